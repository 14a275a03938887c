//! Templates of AWS `CloudFormation`, those of SAM and what `cdk synth` writes among them.
//!
//! A resource that runs is a service; the others (roles, listeners, task definitions) only carry references
//! from one to the next. A text that is the name of a resource, or holds `${Name}`, is a reference, in
//! whichever way YAML or JSON writes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load::{Node, Value};
use crate::model::topology::Evidence;

/// The deepest nesting of properties that is searched.
const DEPTH_MAX: usize = 60;

/// The role that a resource has in the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResourceRole {
    /// It runs, and has this kind.
    Runs(Option<&'static str>),
    /// Requests from outside arrive here.
    Entry,
    /// It leads events of a queue to a function.
    Mapping,
    /// It leads requests of a gateway on.
    Route,
    /// It belongs to others.
    Plumbing,
}

/// Types of resources that run, by the part of their name that tells; the first that fits counts.
const RUNNING: &[(&str, ResourceRole)] = &[
    ("AWS::Lambda::Function", ResourceRole::Runs(None)),
    ("AWS::Serverless::Function", ResourceRole::Runs(None)),
    ("AWS::ECS::Service", ResourceRole::Runs(None)),
    ("AWS::EC2::Instance", ResourceRole::Runs(None)),
    ("AWS::AppRunner::Service", ResourceRole::Runs(None)),
    ("AWS::ElasticBeanstalk::Environment", ResourceRole::Runs(None)),
    ("AWS::StepFunctions::StateMachine", ResourceRole::Runs(None)),
    ("AWS::Serverless::StateMachine", ResourceRole::Runs(None)),
    ("AWS::RDS::DBInstance", ResourceRole::Runs(Some("database"))),
    ("AWS::RDS::DBCluster", ResourceRole::Runs(Some("database"))),
    ("AWS::DynamoDB::Table", ResourceRole::Runs(Some("database"))),
    ("AWS::DynamoDB::GlobalTable", ResourceRole::Runs(Some("database"))),
    ("AWS::Serverless::SimpleTable", ResourceRole::Runs(Some("database"))),
    ("AWS::DocDB::DBCluster", ResourceRole::Runs(Some("database"))),
    ("AWS::Neptune::DBCluster", ResourceRole::Runs(Some("database"))),
    ("AWS::Redshift::Cluster", ResourceRole::Runs(Some("database"))),
    ("AWS::OpenSearchService::Domain", ResourceRole::Runs(Some("database"))),
    ("AWS::Elasticsearch::Domain", ResourceRole::Runs(Some("database"))),
    ("AWS::ElastiCache::", ResourceRole::Runs(Some("cache"))),
    ("AWS::SQS::Queue", ResourceRole::Runs(Some("queue"))),
    ("AWS::SNS::Topic", ResourceRole::Runs(Some("queue"))),
    ("AWS::Kinesis::Stream", ResourceRole::Runs(Some("queue"))),
    ("AWS::MSK::Cluster", ResourceRole::Runs(Some("queue"))),
    ("AWS::AmazonMQ::Broker", ResourceRole::Runs(Some("queue"))),
    ("AWS::Events::EventBus", ResourceRole::Runs(Some("queue"))),
    ("AWS::S3::Bucket", ResourceRole::Runs(Some("storage"))),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", ResourceRole::Entry),
    ("AWS::ApiGateway::RestApi", ResourceRole::Entry),
    ("AWS::ApiGatewayV2::Api", ResourceRole::Entry),
    ("AWS::Serverless::Api", ResourceRole::Entry),
    ("AWS::Serverless::HttpApi", ResourceRole::Entry),
    ("AWS::CloudFront::Distribution", ResourceRole::Entry),
    ("AWS::Lambda::EventSourceMapping", ResourceRole::Mapping),
    ("AWS::SNS::Subscription", ResourceRole::Mapping),
    ("AWS::ElasticLoadBalancingV2::Listener", ResourceRole::Route),
    ("AWS::ApiGateway::Method", ResourceRole::Route),
    ("AWS::ApiGatewayV2::Integration", ResourceRole::Route),
];

/// Parts of `ElastiCache` that run nothing.
const NOT_RUNNING: &[&str] = &[
    "SubnetGroup",
    "ParameterGroup",
    "SecurityGroup",
    "QueuePolicy",
    "TopicPolicy",
    "BucketPolicy",
];

struct TemplateResource<'a> {
    role: ResourceRole,
    kind: &'a str,
    node: &'a Node,
    /// The resources that it refers to.
    references: BTreeSet<&'a str>,
}

/// Reads templates.
pub(in crate::import) fn read_templates(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let entries = document.root.get("Resources").map(Node::entries).unwrap_or_default();
        let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.key.text).collect();
        let resources: BTreeMap<&str, TemplateResource<'_>> = entries
            .iter()
            .filter_map(|entry| {
                let kind = entry.value.scalar_at("Type")?;
                let mut references = BTreeSet::new();
                if let Some(properties) = entry.value.get("Properties") {
                    collect_references(properties, &names, 0, &mut references);
                }
                references.remove(&*entry.key.text);
                let role = role_of(kind);
                Some((
                    &*entry.key.text,
                    TemplateResource { role, kind, node: &entry.value, references },
                ))
            })
            .collect();
        if resources.is_empty() {
            return Err(not_of(
                Format::Cloudformation,
                &path,
                "it has no `Resources` with a `Type`",
            ));
        }
        add_resources(&path, &resources, graph);
    }
    Ok(())
}

fn role_of(kind: &str) -> ResourceRole {
    if NOT_RUNNING.iter().any(|end| kind.ends_with(end)) {
        return ResourceRole::Plumbing;
    }
    let known = RUNNING
        .iter()
        .find(|(name, _)| *name == kind || name.ends_with("::") && kind.starts_with(name));
    known.map_or(ResourceRole::Plumbing, |(_, role)| *role)
}

/// Collects the resources that texts below a node name.
fn collect_references<'n>(
    node: &Node,
    names: &BTreeSet<&'n str>,
    depth: usize,
    found: &mut BTreeSet<&'n str>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    match &node.value {
        Value::Sequence(items) => {
            // `Fn::GetAtt: [Name, Attribute]`.
            items.iter().for_each(|item| collect_references(item, names, depth + 1, found));
        }
        Value::Mapping(entries) => {
            entries
                .iter()
                .for_each(|entry| collect_references(&entry.value, names, depth + 1, found));
        }
        _ => {
            let Some(text) = node.scalar() else { return };
            // `Name.Attribute` is the short form of `Fn::GetAtt`.
            let first = text.split('.').next().unwrap_or(text);
            found.extend(names.get(first));
            for part in text.split("${").skip(1) {
                let name = part.split(['}', '.']).next().unwrap_or_default();
                found.extend(names.get(name));
            }
        }
    }
}

fn add_resources(
    path: &str,
    resources: &BTreeMap<&str, TemplateResource<'_>>,
    graph: &mut EvidenceGraph,
) {
    let runs = |name: &str| {
        resources.get(name).is_some_and(|resource| {
            matches!(resource.role, ResourceRole::Runs(_) | ResourceRole::Entry)
        })
    };
    for (name, resource) in resources {
        match resource.role {
            ResourceRole::Runs(kind) => {
                let service = graph.service_or_new(name);
                service.kind = kind.map(str::to_owned).or(service.kind.take());
                #[expect(clippy::cast_sign_loss, reason = "clamped to be at least 1")]
                if let Some(count) =
                    resource.node.node_at("Properties.DesiredCount").and_then(Node::number)
                {
                    service.replicas =
                        Some(count.clamp(1.0, 10_000.0) as u32).filter(|count| *count > 1);
                }
            }
            ResourceRole::Entry => {
                let service = graph.service_or_new(name);
                service.kind = Some("gateway".to_owned());
                service.is_entry = true;
            }
            _ => {}
        }
    }
    for (name, resource) in resources {
        match resource.role {
            ResourceRole::Runs(_) | ResourceRole::Entry => {
                for callee in reached_resources(name, resources) {
                    add_call(path, name, callee, resources, graph);
                }
                add_events(path, name, resource, resources, graph);
            }
            ResourceRole::Mapping => {
                let ends: Vec<&str> = resource
                    .references
                    .iter()
                    .copied()
                    .filter(|reference| runs(reference))
                    .collect();
                // The stream of a DynamoDB table is a source of events, and the table counts as a
                // database.
                let is_queue = |name: &&&str| {
                    matches!(resources[**name].role, ResourceRole::Runs(Some("queue" | "database")))
                };
                let (sources, takers): (Vec<&&str>, Vec<&&str>) = ends.iter().partition(is_queue);
                for taker in takers {
                    for source in &sources {
                        add_taker(path, taker, source, resource.kind, graph);
                    }
                }
            }
            ResourceRole::Route => {
                // A route names its gateway, and what it leads to, perhaps through a target group.
                let (gateways, others): (Vec<&str>, Vec<&str>) = resource
                    .references
                    .iter()
                    .copied()
                    .partition(|reference| resources[reference].role == ResourceRole::Entry);
                let behind: BTreeSet<&str> = others
                    .iter()
                    .flat_map(|other| members_of(other, resources))
                    .filter(|other| runs(other))
                    .collect();
                for gateway in gateways {
                    for callee in &behind {
                        add_call(path, gateway, callee, resources, graph);
                    }
                }
            }
            ResourceRole::Plumbing => {}
        }
    }
}

/// Returns the running resources that one refers to, itself or through what belongs to it.
fn reached_resources<'a>(
    name: &str,
    resources: &'a BTreeMap<&str, TemplateResource<'_>>,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = resources[name].references.iter().copied().collect();
    while let Some(at) = open.pop() {
        let Some((at, resource)) = resources.get_key_value(at) else { continue };
        // A service registers with its target group: the call goes the other way.
        if !seen.insert(*at) || resource.kind.ends_with("::TargetGroup") {
            continue;
        }
        match resource.role {
            ResourceRole::Runs(_) | ResourceRole::Entry => {
                found.insert(*at);
            }
            ResourceRole::Plumbing => open.extend(resource.references.iter().copied()),
            ResourceRole::Mapping | ResourceRole::Route => {}
        }
    }
    found.remove(name);
    found
}

/// Returns what is behind a target group, or else the resource itself.
fn members_of<'a>(
    name: &'a str,
    resources: &'a BTreeMap<&str, TemplateResource<'_>>,
) -> Vec<&'a str> {
    if !resources[name].kind.ends_with("::TargetGroup") {
        return vec![name];
    }
    let members = resources.iter().filter(|(_, resource)| resource.references.contains(name));
    members.map(|(member, _)| *member).chain(resources[name].references.iter().copied()).collect()
}

fn add_call(
    path: &str,
    caller: &str,
    callee: &str,
    resources: &BTreeMap<&str, TemplateResource<'_>>,
    graph: &mut EvidenceGraph,
) {
    let source = format!("{path}: Resources.{caller}");
    // A reference may be only a permission or a setting, so the call is inferred and not declared.
    let known = graph.depend_on(caller, callee, Evidence::Inferred, source);
    let is_queue = resources[callee].role == ResourceRole::Runs(Some("queue"));
    if let (Some(dependency), true) = (known, is_queue) {
        dependency.note_call(true);
    }
}

/// Makes who takes messages depend on where they come from.
fn add_taker(path: &str, taker: &str, source: &str, kind: &str, graph: &mut EvidenceGraph) {
    let known = graph.depend_on(taker, source, Evidence::Declared, format!("{path}: {kind}"));
    if let Some(dependency) = known {
        dependency.note_call(true);
    }
}

/// Adds the events of a function of SAM: requests that enter, and queues that it takes from.
fn add_events(
    path: &str,
    name: &str,
    resource: &TemplateResource<'_>,
    resources: &BTreeMap<&str, TemplateResource<'_>>,
    graph: &mut EvidenceGraph,
) {
    let names: BTreeSet<&str> = resources.keys().copied().collect();
    for entry in resource.node.node_at("Properties.Events").map(Node::entries).unwrap_or_default() {
        let kind = entry.value.scalar_at("Type").unwrap_or_default();
        let mut sources = BTreeSet::new();
        collect_references(&entry.value, &names, 0, &mut sources);
        if matches!(kind, "Api" | "HttpApi") {
            for gateway in
                sources.iter().filter(|source| resources[**source].role == ResourceRole::Entry)
            {
                // The function names the gateway in its event, but it is the gateway that calls the
                // function.
                let pair = (graph.service_name(name), graph.service_name(gateway));
                graph.dependencies.remove(&pair);
                add_call(path, gateway, name, resources, graph);
            }
            // Without a gateway in the template SAM adds one, so requests enter at the function.
            graph.service_or_new(name).is_entry |= sources.is_empty();
        } else if matches!(kind, "SQS" | "SNS" | "Kinesis" | "DynamoDB" | "MSK" | "MQ" | "S3") {
            for source in sources
                .iter()
                .filter(|source| matches!(resources[**source].role, ResourceRole::Runs(_)))
            {
                add_taker(path, name, source, &format!("Resources.{name} event {kind}"), graph);
            }
        }
    }
}
