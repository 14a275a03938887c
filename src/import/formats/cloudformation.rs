//! Templates of AWS `CloudFormation`, those of SAM and what `cdk synth` writes among them.
//!
//! A resource that runs is a service; the others (roles, listeners, task definitions) only carry references
//! from one to the next. A text that is the name of a resource, or holds `${Name}`, is a reference, in
//! whichever way YAML or JSON writes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::import::graph::Graph;
use crate::import::{Format, Input, not_of};
use crate::load::{Node, Value};
use crate::model::topology::Evidence;

/// The deepest nesting of properties that is searched.
const DEPTH_MAX: usize = 60;

/// The role that a resource has in the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
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
const RUNNING: &[(&str, Role)] = &[
    ("AWS::Lambda::Function", Role::Runs(None)),
    ("AWS::Serverless::Function", Role::Runs(None)),
    ("AWS::ECS::Service", Role::Runs(None)),
    ("AWS::EC2::Instance", Role::Runs(None)),
    ("AWS::AppRunner::Service", Role::Runs(None)),
    ("AWS::ElasticBeanstalk::Environment", Role::Runs(None)),
    ("AWS::StepFunctions::StateMachine", Role::Runs(None)),
    ("AWS::Serverless::StateMachine", Role::Runs(None)),
    ("AWS::RDS::DBInstance", Role::Runs(Some("database"))),
    ("AWS::RDS::DBCluster", Role::Runs(Some("database"))),
    ("AWS::DynamoDB::Table", Role::Runs(Some("database"))),
    ("AWS::DynamoDB::GlobalTable", Role::Runs(Some("database"))),
    ("AWS::Serverless::SimpleTable", Role::Runs(Some("database"))),
    ("AWS::DocDB::DBCluster", Role::Runs(Some("database"))),
    ("AWS::Neptune::DBCluster", Role::Runs(Some("database"))),
    ("AWS::Redshift::Cluster", Role::Runs(Some("database"))),
    ("AWS::OpenSearchService::Domain", Role::Runs(Some("database"))),
    ("AWS::Elasticsearch::Domain", Role::Runs(Some("database"))),
    ("AWS::ElastiCache::", Role::Runs(Some("cache"))),
    ("AWS::SQS::Queue", Role::Runs(Some("queue"))),
    ("AWS::SNS::Topic", Role::Runs(Some("queue"))),
    ("AWS::Kinesis::Stream", Role::Runs(Some("queue"))),
    ("AWS::MSK::Cluster", Role::Runs(Some("queue"))),
    ("AWS::AmazonMQ::Broker", Role::Runs(Some("queue"))),
    ("AWS::Events::EventBus", Role::Runs(Some("queue"))),
    ("AWS::S3::Bucket", Role::Runs(Some("storage"))),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", Role::Entry),
    ("AWS::ApiGateway::RestApi", Role::Entry),
    ("AWS::ApiGatewayV2::Api", Role::Entry),
    ("AWS::Serverless::Api", Role::Entry),
    ("AWS::Serverless::HttpApi", Role::Entry),
    ("AWS::CloudFront::Distribution", Role::Entry),
    ("AWS::Lambda::EventSourceMapping", Role::Mapping),
    ("AWS::SNS::Subscription", Role::Mapping),
    ("AWS::ElasticLoadBalancingV2::Listener", Role::Route),
    ("AWS::ApiGateway::Method", Role::Route),
    ("AWS::ApiGatewayV2::Integration", Role::Route),
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

struct Resource<'a> {
    role: Role,
    kind: &'a str,
    node: &'a Node,
    /// The resources that it refers to.
    references: BTreeSet<&'a str>,
}

/// Reads templates.
pub(in crate::import) fn read_templates(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let entries = document.root.get("Resources").map(Node::entries).unwrap_or_default();
        let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.key.text).collect();
        let resources: BTreeMap<&str, Resource<'_>> = entries
            .iter()
            .filter_map(|entry| {
                let kind = entry.value.scalar_at("Type")?;
                let mut references = BTreeSet::new();
                if let Some(properties) = entry.value.get("Properties") {
                    collect_references(properties, &names, 0, &mut references);
                }
                references.remove(&*entry.key.text);
                let role = role_of(kind);
                Some((&*entry.key.text, Resource { role, kind, node: &entry.value, references }))
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

fn role_of(kind: &str) -> Role {
    if NOT_RUNNING.iter().any(|end| kind.ends_with(end)) {
        return Role::Plumbing;
    }
    let known = RUNNING
        .iter()
        .find(|(name, _)| *name == kind || name.ends_with("::") && kind.starts_with(name));
    known.map_or(Role::Plumbing, |(_, role)| *role)
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
            let first = text.split('.').next().unwrap_or(text);
            found.extend(names.get(first));
            for part in text.split("${").skip(1) {
                let name = part.split(['}', '.']).next().unwrap_or_default();
                found.extend(names.get(name));
            }
        }
    }
}

fn add_resources(path: &str, resources: &BTreeMap<&str, Resource<'_>>, graph: &mut Graph) {
    let runs = |name: &str| {
        resources
            .get(name)
            .is_some_and(|resource| matches!(resource.role, Role::Runs(_) | Role::Entry))
    };
    for (name, resource) in resources {
        match resource.role {
            Role::Runs(kind) => {
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
            Role::Entry => {
                let service = graph.service_or_new(name);
                service.kind = Some("gateway".to_owned());
                service.is_entry = true;
            }
            _ => {}
        }
    }
    for (name, resource) in resources {
        match resource.role {
            Role::Runs(_) | Role::Entry => {
                for callee in reached_resources(name, resources) {
                    add_call(path, name, callee, resources, graph);
                }
                add_events(path, name, resource, resources, graph);
            }
            Role::Mapping => {
                let ends: Vec<&str> = resource
                    .references
                    .iter()
                    .copied()
                    .filter(|reference| runs(reference))
                    .collect();
                let is_queue = |name: &&&str| {
                    matches!(resources[**name].role, Role::Runs(Some("queue" | "database")))
                };
                let (sources, takers): (Vec<&&str>, Vec<&&str>) = ends.iter().partition(is_queue);
                for taker in takers {
                    for source in &sources {
                        add_taker(path, taker, source, resource.kind, graph);
                    }
                }
            }
            Role::Route => {
                // A route names its gateway, and what it leads to, perhaps through a target group.
                let (gateways, others): (Vec<&str>, Vec<&str>) = resource
                    .references
                    .iter()
                    .copied()
                    .partition(|reference| resources[reference].role == Role::Entry);
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
            Role::Plumbing => {}
        }
    }
}

/// Returns the running resources that one refers to, itself or through what belongs to it.
fn reached_resources<'a>(
    name: &str,
    resources: &'a BTreeMap<&str, Resource<'_>>,
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
            Role::Runs(_) | Role::Entry => {
                found.insert(*at);
            }
            Role::Plumbing => open.extend(resource.references.iter().copied()),
            Role::Mapping | Role::Route => {}
        }
    }
    found.remove(name);
    found
}

/// Returns what is behind a target group, or else the resource itself.
fn members_of<'a>(name: &'a str, resources: &'a BTreeMap<&str, Resource<'_>>) -> Vec<&'a str> {
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
    resources: &BTreeMap<&str, Resource<'_>>,
    graph: &mut Graph,
) {
    let source = format!("{path}: Resources.{caller}");
    let known = graph.depend_on(caller, callee, Evidence::Inferred, source);
    let is_queue = resources[callee].role == Role::Runs(Some("queue"));
    if let (Some(dependency), true) = (known, is_queue) {
        dependency.note_call(true);
    }
}

/// Makes who takes messages depend on where they come from.
fn add_taker(path: &str, taker: &str, source: &str, kind: &str, graph: &mut Graph) {
    let known = graph.depend_on(taker, source, Evidence::Declared, format!("{path}: {kind}"));
    if let Some(dependency) = known {
        dependency.note_call(true);
    }
}

/// Adds the events of a function of SAM: requests that enter, and queues that it takes from.
fn add_events(
    path: &str,
    name: &str,
    resource: &Resource<'_>,
    resources: &BTreeMap<&str, Resource<'_>>,
    graph: &mut Graph,
) {
    let names: BTreeSet<&str> = resources.keys().copied().collect();
    for entry in resource.node.node_at("Properties.Events").map(Node::entries).unwrap_or_default() {
        let kind = entry.value.scalar_at("Type").unwrap_or_default();
        let mut sources = BTreeSet::new();
        collect_references(&entry.value, &names, 0, &mut sources);
        if matches!(kind, "Api" | "HttpApi") {
            for gateway in sources.iter().filter(|source| resources[**source].role == Role::Entry) {
                let pair = (graph.service_name(name), graph.service_name(gateway));
                graph.dependencies.remove(&pair);
                add_call(path, gateway, name, resources, graph);
            }
            graph.service_or_new(name).is_entry |= sources.is_empty();
        } else if matches!(kind, "SQS" | "SNS" | "Kinesis" | "DynamoDB" | "MSK" | "MQ" | "S3") {
            for source in
                sources.iter().filter(|source| matches!(resources[**source].role, Role::Runs(_)))
            {
                add_taker(path, name, source, &format!("Resources.{name} event {kind}"), graph);
            }
        }
    }
}
