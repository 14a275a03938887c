//! Terraform and `OpenTofu`: a state (`terraform state pull`) or a plan (`terraform show -json PLAN`).
//!
//! Both say which resource refers to which. A service that refers to a database, through a task
//! definition or a variable of a module as well, is taken to need it; that is inferred. Resources that
//! serve no requests, such as networks and permissions, are only followed.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::import::graph::{EvidenceGraph, ImportedDependency};
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;

/// Names of resources that say nothing: the module has the better name.
const EMPTY_NAMES: [&str; 5] = ["this", "main", "default", "self", "resource"];

/// Kinds of resources that serve requests, by the end of their type behind the provider.
const KINDS: [(&str, &[&str]); 6] = [
    (
        "service",
        &[
            "ecs_service",
            "lambda_function",
            "apprunner_service",
            "elastic_beanstalk_environment",
            "cloud_run_service",
            "cloud_run_v2_service",
            "cloudfunctions_function",
            "cloudfunctions2_function",
            "app_engine_standard_app_version",
            "compute_instance",
            "function_app",
            "web_app",
            "app_service",
            "container_app",
            "container_group",
            "virtual_machine",
            "deployment",
            "deployment_v1",
            "stateful_set",
            "stateful_set_v1",
        ],
    ),
    (
        "database",
        &[
            "db_instance",
            "rds_cluster",
            "docdb_cluster",
            "dynamodb_table",
            "neptune_cluster",
            "redshift_cluster",
            "opensearch_domain",
            "elasticsearch_domain",
            "sql_database_instance",
            "spanner_instance",
            "bigtable_instance",
            "firestore_database",
            "alloydb_cluster",
            "postgresql_server",
            "postgresql_flexible_server",
            "mysql_server",
            "mysql_flexible_server",
            "mssql_server",
            "cosmosdb_account",
            "database_cluster",
        ],
    ),
    (
        "cache",
        &[
            "elasticache_cluster",
            "elasticache_replication_group",
            "elasticache_serverless_cache",
            "memorydb_cluster",
            "redis_instance",
            "redis_cluster",
            "memcache_instance",
            "redis_cache",
        ],
    ),
    (
        "queue",
        &[
            "sqs_queue",
            "sns_topic",
            "msk_cluster",
            "msk_serverless_cluster",
            "kinesis_stream",
            "mq_broker",
            "cloudwatch_event_bus",
            "pubsub_topic",
            "servicebus_queue",
            "servicebus_topic",
            "eventhub",
            "kafka_topic",
            "kafka_cluster",
        ],
    ),
    (
        "gateway",
        &[
            "lb",
            "alb",
            "elb",
            "api_gateway_rest_api",
            "apigatewayv2_api",
            "cloudfront_distribution",
            "compute_url_map",
            "application_gateway",
            "api_management",
        ],
    ),
    ("storage", &["s3_bucket", "storage_bucket", "storage_account", "efs_file_system"]),
];

/// Types that are the whole of what stands behind the provider, as small providers call them.
const WHOLE_TYPES: [(&str, &str); 8] = [
    ("service", "service"),
    ("app", "service"),
    ("function", "service"),
    ("instance", "service"),
    ("database", "database"),
    ("cache", "cache"),
    ("queue", "queue"),
    ("topic", "queue"),
];

/// Resources that only tie a consumer to where its messages come from.
const SUBSCRIPTIONS: [&str; 3] =
    ["event_source_mapping", "topic_subscription", "pubsub_subscription"];

/// Reads states and plans.
pub(in crate::import) fn read_resources(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let root = &document.root;
        let mut resources = Resources::default();
        // A plan holds the configuration with its expressions, which say more than the state that
        // it also has.
        if let Some(module) = root.node_at("configuration.root_module") {
            resources.add_module("", module);
        } else if root.get("terraform_version").is_some() && root.get("resources").is_some() {
            resources.add_state(root);
        } else {
            let expected = "it is neither a state nor a plan as JSON (`terraform show -json PLAN`)";
            return Err(not_of(Format::Terraform, &path, expected));
        }
        resources.add_to(&path, graph);
    }
    Ok(())
}

/// Returns whether a type, without its provider, ends in these words: `bulb` is no `lb`.
fn ends_in_words(kind: &str, end: &str) -> bool {
    let type_name = kind.split_once('_').map_or("", |(_, name)| name);
    type_name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
}

/// Returns the kind of service that resources of a type are; `None` where they serve no requests.
pub(in crate::import) fn kind_of_type(kind: &str) -> Option<&'static str> {
    let (_, type_name) = kind.split_once('_')?;
    let whole = WHOLE_TYPES.iter().find(|(whole, _)| *whole == type_name);
    let by_end = KINDS.iter().find(|(_, ends)| ends.iter().any(|end| ends_in_words(kind, end)));
    whole.map(|(_, kind)| *kind).or(by_end.map(|(kind, _)| *kind))
}

/// A resource that serves requests.
struct Served {
    name: String,
    kind: &'static str,
    replicas: Option<u32>,
}

/// Resources, variables and outputs by their address, and what each refers to.
#[derive(Default)]
struct Resources {
    served: BTreeMap<String, Served>,
    subscriptions: BTreeSet<String>,
    references: BTreeMap<String, BTreeSet<String>>,
    /// Whether references are those of all that is behind them too, as in a state.
    is_transitive: bool,
}

impl Resources {
    /// Adds the resources of a state.
    fn add_state(&mut self, root: &Node) {
        self.is_transitive = true;
        for resource in root.get("resources").map(Node::items).unwrap_or_default() {
            let (Some(kind), Some(name)) = (resource.scalar_at("type"), resource.scalar_at("name"))
            else {
                continue;
            };
            let module = resource.scalar_at("module").unwrap_or_default();
            let scope = if module.is_empty() { String::new() } else { format!("{module}.") };
            let is_data = resource.scalar_at("mode") == Some("data");
            let data = if is_data { "data." } else { "" };
            let address = format!("{scope}{data}{kind}.{name}");
            let instances = resource.get("instances").map(Node::items).unwrap_or_default();
            // All instances of a resource are copies of it, so the first one stands for all.
            let counted = instances.first().and_then(|one| one.get("attributes"));
            let replicas = counted.and_then(|one| whole_count(one.get("desired_count")?));
            // Data sources look up what others made, and make nothing themselves.
            if !is_data {
                self.add_resource(&address, &scope, kind, name, replicas);
            }
            for instance in instances {
                let list = instance.get("dependencies").map(Node::items).unwrap_or_default();
                let known = self.references.entry(address.clone()).or_default();
                known.extend(list.iter().filter_map(Node::scalar).map(str::to_owned));
            }
        }
    }

    /// Adds the resources of a module of a plan, and those of the modules that it calls.
    fn add_module(&mut self, scope: &str, module: &Node) {
        for resource in module.get("resources").map(Node::items).unwrap_or_default() {
            let (Some(address), Some(kind), Some(name)) = (
                resource.scalar_at("address"),
                resource.scalar_at("type"),
                resource.scalar_at("name"),
            ) else {
                continue;
            };
            let address = format!("{scope}{address}");
            if resource.scalar_at("mode") != Some("data") {
                let replicas = resource
                    .node_at("expressions.desired_count.constant_value")
                    .and_then(whole_count);
                self.add_resource(&address, scope, kind, name, replicas);
            }
            for key in ["expressions", "depends_on"] {
                if let Some(node) = resource.get(key) {
                    self.refer(&address, scope, node);
                }
            }
        }
        for call in module.get("module_calls").map(Node::entries).unwrap_or_default() {
            let within = format!("{scope}module.{}.", call.key.text);
            // What a module is given leads to the variable with its name inside.
            for variable in call.value.get("expressions").map(Node::entries).unwrap_or_default() {
                self.refer(&format!("{within}var.{}", variable.key.text), scope, &variable.value);
            }
            let Some(called) = call.value.get("module") else { continue };
            for output in called.get("outputs").map(Node::entries).unwrap_or_default() {
                let name = format!("{scope}module.{}.{}", call.key.text, output.key.text);
                self.refer(&name, &within, &output.value);
            }
            self.add_module(&within, called);
        }
    }

    fn add_resource(
        &mut self,
        address: &str,
        scope: &str,
        kind: &str,
        name: &str,
        replicas: Option<u32>,
    ) {
        if SUBSCRIPTIONS.iter().any(|end| ends_in_words(kind, end)) {
            self.subscriptions.insert(address.to_owned());
        }
        let Some(kind) = kind_of_type(kind) else { return };
        // Small modules call their only resource `this` or `main`: their own name says more.
        let module = scope.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        // Modules with `for_each` have their key in brackets.
        let module = module.split('[').next().unwrap_or_default();
        let name = if EMPTY_NAMES.contains(&name) && !module.is_empty() { module } else { name };
        self.served.insert(address.to_owned(), Served { name: name.to_owned(), kind, replicas });
    }

    /// Notes every reference below a node of a plan.
    fn refer(&mut self, from: &str, scope: &str, node: &Node) {
        // Expressions may nest as deeply as the file likes, so a list of open nodes takes the place
        // of calls.
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            open.extend(node.items());
            for entry in node.entries() {
                if &*entry.key.text == "references" {
                    let list = entry.value.items().iter().filter_map(Node::scalar);
                    let targets = list.filter_map(|reference| target_of(scope, reference));
                    self.references.entry(from.to_owned()).or_default().extend(targets);
                } else {
                    open.push(&entry.value);
                }
            }
            // `depends_on` is a list of addresses.
            if let Some(target) = node.scalar().and_then(|text| target_of(scope, text)) {
                self.references.entry(from.to_owned()).or_default().insert(target);
            }
        }
    }

    /// Returns what an address leads to that serves requests, through what does not.
    fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = self.referred(from).collect();
        while let Some(address) = open.pop() {
            // A hostile file may hold references in a circle.
            if address == from || !seen.insert(address) {
                continue;
            }
            if self.served.contains_key(address) {
                found.insert(address);
            } else {
                open.extend(self.referred(address));
            }
        }
        found
    }

    fn referred(&self, from: &str) -> impl Iterator<Item = &str> {
        self.references.get(from).into_iter().flatten().map(String::as_str)
    }

    fn add_to(&self, path: &str, graph: &mut EvidenceGraph) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for served in self.served.values() {
            *counts.entry(&served.name).or_default() += 1;
        }
        let name_of = |address: &str| {
            // Two resources with one name keep their whole addresses.
            let served = &self.served[address];
            let is_unique = counts[served.name.as_str()] == 1;
            if is_unique { served.name.clone() } else { address.to_owned() }
        };
        for (address, served) in &self.served {
            let service = graph.service_or_new(&name_of(address));
            if served.kind != "service" {
                service.kind.get_or_insert_with(|| served.kind.to_owned());
            }
            service.replicas = service.replicas.or(served.replicas);
        }
        let all: BTreeMap<&str, BTreeSet<&str>> =
            self.served.keys().map(|address| (address.as_str(), self.reached(address))).collect();
        for (caller, callees) in &all {
            for callee in callees {
                // A state lists what is behind a dependency too: only the nearest are surely its own.
                let is_behind = |other: &&str| other != callee && all[*other].contains(callee);
                let evidence = if self.is_transitive && callees.iter().any(is_behind) {
                    Evidence::Assumed
                } else {
                    Evidence::Inferred
                };
                let source = format!("{path}: {caller} refers to {callee}");
                let is_queue = self.served[*callee].kind == "queue";
                let (caller, callee) = (name_of(caller), name_of(callee));
                let known = graph.depend_on(&caller, &callee, evidence, source);
                note_queue(known, is_queue);
            }
        }
        for subscription in &self.subscriptions {
            let ends = self.reached(subscription);
            let (queues, consumers): (Vec<&str>, Vec<&str>) =
                ends.iter().partition(|end| self.served[**end].kind == "queue");
            for consumer in consumers {
                for queue in &queues {
                    let source = format!("{path}: {subscription}");
                    let (caller, callee) = (name_of(consumer), name_of(queue));
                    let known = graph.depend_on(&caller, &callee, Evidence::Inferred, source);
                    note_queue(known, true);
                }
            }
        }
    }
}

/// Notes that nobody waits for what is put into a queue or taken from it.
fn note_queue(dependency: Option<&mut ImportedDependency>, is_queue: bool) {
    if let Some(dependency) = dependency.filter(|_| is_queue) {
        dependency.note_call(true);
    }
}

/// Returns the address that a reference of a scope leads to: a resource, a variable or an output,
/// without the attribute behind it.
fn target_of(scope: &str, reference: &str) -> Option<String> {
    let parts: Vec<&str> = reference.split('.').map(without_index).collect();
    let length = match parts.first()? {
        &"data" | &"module" => 3,
        // None of these is a resource, a variable or an output.
        &"each" | &"count" | &"path" | &"self" | &"terraform" | &"local" => return None,
        _ => 2,
    };
    (parts.len() >= length).then(|| format!("{scope}{}", parts[..length].join(".")))
}

fn without_index(part: &str) -> &str {
    part.split('[').next().unwrap_or(part)
}

/// Returns a number of copies, where there are any.
fn whole_count(count: &Node) -> Option<u32> {
    let count =
        count.number().filter(|count| (1.0..=1e6).contains(count) && count.fract() == 0.0)?;
    u32::try_from(count as i64).ok()
}
