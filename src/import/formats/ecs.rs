//! Task definitions of Amazon ECS, and what `aws ecs describe-task-definition` and `describe-services` print.
//!
//! A family is a service; its containers are parts of it. Addresses stand in the environment, as in Compose.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::references::{Target, Variable, connect_variables};
use crate::import::graph::{EvidenceGraph, kinds};
use crate::import::{Format, Input, hide_values, not_of};
use crate::load::Node;

/// Images beside the program of a task, which serve nobody else.
const SIDECARS: &[&str] = &[
    "envoy",
    "xray",
    "x-ray",
    "fluent",
    "firelens",
    "otel",
    "opentelemetry",
    "datadog",
    "agent",
    "cloudwatch",
    "appmesh",
    "newrelic",
    "splunk",
    "proxy",
];

/// Reads task definitions and services.
pub(in crate::import) fn read_definitions(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let documents = input.read_documents(graph)?;
    let mut tasks: BTreeMap<String, Task<'_>> = BTreeMap::new();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (path, document) in &documents {
        // Diagnostics show lines of the file, and these values may be passwords.
        hide_values(
            std::slice::from_ref(document),
            &["environment", "command", "value"],
            input.sources,
        );
        for node in definition_nodes(&document.root) {
            if let Some(task) = Task::new(path, node, graph) {
                names.insert(task.family.to_lowercase(), task.family.clone());
                tasks.insert(task.family.clone(), task);
            } else {
                add_service(node, &mut counts, &mut names);
            }
        }
    }
    if tasks.is_empty() {
        let path = documents.first().map_or("", |(path, _)| path);
        return Err(not_of(Format::Ecs, path, "it holds no `family` with `containerDefinitions`"));
    }
    let mut variables = Vec::new();
    let mut secrets = 0;
    for (family, task) in &tasks {
        let service = graph.service_or_new(family);
        service.kind = task.program_kind().map(str::to_owned).or(service.kind.take());
        service.replicas = counts.get(family).copied().filter(|count| *count > 1);
        for container in &task.containers {
            task.add_variables(container, &mut variables);
            secrets += container.get("secrets").map(Node::items).unwrap_or_default().len();
        }
    }
    let lookup = |_: &str, host: &str| {
        let lower = host.to_lowercase();
        // `stock`, and `stock.shop.local` of service discovery; a name of the internet is none of them.
        let first = lower.split('.').next().unwrap_or_default();
        let is_discovered = lower.split('.').count() <= 3
            && ["local", "internal", "svc"].iter().any(|end| lower.ends_with(end));
        let known = names
            .get(&lower)
            .or_else(|| names.get(first).filter(|_| is_discovered || !lower.contains('.')));
        known.map_or(Target::Unknown, |family| Target::Service(family.clone()))
    };
    connect_variables(&variables, tasks.len(), lookup, graph);
    if secrets > 0 {
        graph.remarks.push(format!(
            "{secrets} variables come from secrets, whose values are not in the files: databases may be missing."
        ));
    }
    Ok(())
}

/// Returns the task definitions and services of a document, however it wraps them.
fn definition_nodes(root: &Node) -> Vec<&Node> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        // The last one pushed is taken first: in reverse, definitions keep the order of the file.
        open.extend(node.items().iter().rev());
        let is_leaf =
            node.get("containerDefinitions").is_some() || node.get("serviceName").is_some();
        if is_leaf {
            found.push(node);
            continue;
        }
        for key in ["taskDefinition", "taskDefinitions", "services"] {
            open.extend(node.get(key));
        }
    }
    found
}

/// A task definition.
struct Task<'a> {
    path: &'a str,
    family: String,
    containers: Vec<&'a Node>,
}

impl<'a> Task<'a> {
    fn new(path: &'a str, node: &'a Node, graph: &mut EvidenceGraph) -> Option<Self> {
        let containers = node.get("containerDefinitions")?;
        let arn = node.scalar_at("taskDefinitionArn").map(family_of);
        let Some(family) = node.scalar_at("family").map(str::to_owned).or(arn) else {
            graph.warn(Code::NotUnderstood, "a task definition without a `family`", node.place);
            return None;
        };
        Some(Self { path, family, containers: containers.items().iter().collect() })
    }

    /// Returns the kind of the program: of the first container that is no sidecar.
    fn program_kind(&self) -> Option<&'static str> {
        let images: Vec<&str> =
            self.containers.iter().filter_map(|container| container.scalar_at("image")).collect();
        let is_sidecar = |image: &&&str| SIDECARS.iter().any(|word| image.contains(word));
        let main = images.iter().find(|image| !is_sidecar(image)).or(images.first())?;
        kinds::of_image(main)
    }

    fn add_variables(&self, container: &Node, variables: &mut Vec<Variable>) {
        let name = container.scalar_at("name").unwrap_or("container");
        for entry in container.get("environment").map(Node::items).unwrap_or_default() {
            let (Some(key), Some(value)) = (entry.scalar_at("name"), entry.scalar_at("value"))
            else {
                continue;
            };
            variables.push(Variable {
                caller: self.family.clone(),
                key: key.to_owned(),
                value: value.to_owned(),
                source: format!("{}: {} {name} environment.{key}", self.path, self.family),
                is_literal: true,
                is_example: false,
            });
        }
    }
}

/// Takes note of a running service: how many tasks it wants, and by which names it is found.
fn add_service(
    node: &Node,
    counts: &mut BTreeMap<String, u32>,
    names: &mut BTreeMap<String, String>,
) {
    let Some(family) = node.scalar_at("taskDefinition").map(family_of) else { return };
    #[expect(clippy::cast_sign_loss, reason = "clamped to be at least 0")]
    if let Some(count) = node.get("desiredCount").and_then(Node::number) {
        // Several services may run the same task, so their counts add up.
        let known = counts.entry(family.clone()).or_default();
        *known = known.saturating_add(count.clamp(0.0, 10_000.0) as u32);
    }
    names.extend(node.scalar_at("serviceName").map(|name| (name.to_lowercase(), family.clone())));
    let aliases =
        node.node_at("serviceConnectConfiguration.services").map(Node::items).unwrap_or_default();
    for service in aliases {
        names.extend(
            service
                .scalar_at("discoveryName")
                .map(|scalar_at| (scalar_at.to_lowercase(), family.clone())),
        );
        for alias in service.get("clientAliases").map(Node::items).unwrap_or_default() {
            names.extend(
                alias
                    .scalar_at("dnsName")
                    .map(|scalar_at| (scalar_at.to_lowercase(), family.clone())),
            );
        }
    }
}

/// Returns the family of `arn:aws:ecs:…:task-definition/store:7`, or of `store:7`.
fn family_of(arn: &str) -> String {
    let last = arn.rsplit('/').next().unwrap_or(arn);
    last.split(':').next().unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_told_from_its_revision() {
        assert_eq!(family_of("arn:aws:ecs:eu-1:1:task-definition/store:7"), "store");
        assert_eq!(family_of("store:7"), "store");
    }
}
