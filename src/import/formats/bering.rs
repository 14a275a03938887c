//! Models and snapshots of Bering: services, endpoints, and edges with their protections.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::{EvidenceGraph, ImportedFlow};
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// Reads models and snapshots.
pub(in crate::import) fn read_models(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let root = document.root.get("model").unwrap_or(&document.root);
        let list = |key: &str| root.get(key).map(Node::items).unwrap_or_default();
        if list("services").is_empty() {
            return Err(not_of(Format::Bering, &path, "it has no list of `services`"));
        }
        let support = edge_support(&document.root);
        for node in list("services") {
            let Some(id) = node.scalar_at("id").or(node.scalar_at("name")) else { continue };
            let service = graph.service_or_new(id);
            service.team =
                node.scalar_at("metadata.labels.team").map(crate::import::graph::names::one_line);
            let replicas = node.get("replicas").and_then(Node::number);
            #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
            let replicas = replicas
                .filter(|replica| (1.0..=10_000.0).contains(replica))
                .map(|replica| replica as u32);
            service.replicas = replicas;
        }
        for edge in list("edges") {
            add_edge(&path, edge, &support, graph);
        }
        for endpoint in list("endpoints") {
            let Some(entry) = endpoint.scalar_at("entry_service") else { continue };
            // An endpoint that others call is a part of their flows.
            let id = endpoint.scalar_at("id").unwrap_or(entry);
            let step = graph.service_name(entry);
            let words = id.replace(['/', ':'], " ");
            let words: Vec<&str> = words.split_whitespace().collect();
            let name = crate::import::graph::names::allowed_name(&words.join(" "));
            let title = Some(crate::import::graph::names::one_line(id));
            graph.flows.insert(
                name,
                ImportedFlow { title, steps: vec![step], rate: None, is_derived: false },
            );
        }
    }
    Ok(())
}

/// Which edges of a snapshot were seen in traces, by id.
fn edge_support(root: &Node) -> BTreeMap<&str, bool> {
    let edges = root.node_at("discovery.edges").map(Node::items).unwrap_or_default();
    let seen = |edge: &Node| edge.node_at("support.trace_count").and_then(Node::number) > Some(0.0);
    edges.iter().filter_map(|edge| Some((edge.scalar_at("id")?, seen(edge)))).into_map()
}

fn add_edge(path: &str, edge: &Node, support: &BTreeMap<&str, bool>, graph: &mut EvidenceGraph) {
    let (Some(caller), Some(callee)) = (edge.scalar_at("from"), edge.scalar_at("to")) else {
        graph.warn(
            Code::NotUnderstood,
            format!("an edge of `{path}` without two ends"),
            edge.place,
        );
        return;
    };
    let id = edge.scalar_at("id").unwrap_or_default();
    let seen = support.get(id).copied().unwrap_or(edge.get("observed").is_some());
    let evidence = if seen { Evidence::Observed } else { Evidence::Declared };
    let Some(dependency) = graph.depend_on(caller, callee, evidence, format!("{path}: edges"))
    else {
        return;
    };
    let number = |key: &str| edge.node_at(key).and_then(Node::number);
    dependency.note_call(edge.scalar_at("kind") == Some("async"));
    if let Some(timeout) = number("resilience.request_timeout_ms").filter(|number| *number > 0.0) {
        dependency.attempt_timeout = Some(timeout / 1000.0);
    }
    // The first attempt is no retry.
    if let Some(attempts) = number("resilience.retry.max_attempts").filter(|number| *number >= 1.0)
    {
        #[expect(clippy::cast_sign_loss, reason = "it is at least 0")]
        let retries = (attempts - 1.0).min(100.0) as u32;
        dependency.retries = Some(retries);
    }
    dependency.circuit_breaker |=
        edge.scalar_at("resilience.circuit_breaker.enabled") == Some("true");
}
