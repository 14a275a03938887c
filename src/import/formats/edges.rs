//! Lists of edges as JSON: `{parent, child, callCount}`, `{source, target}`, `{from, to}`.
//!
//! The same shape serves the dependencies of Jaeger and Zipkin, D3 graphs and dumps of databases.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load::{Node, Value};
use crate::model::topology::Evidence;

/// The keys of the caller in such lists.
pub(in crate::import) const CALLERS: &[&str] =
    &["parent", "from", "caller", "source", "src", "client", "consumer", "upstream_of", "service"];

/// The keys of the dependency.
pub(in crate::import) const CALLEES: &[&str] = &[
    "child",
    "to",
    "callee",
    "target",
    "dst",
    "destination",
    "server",
    "dependency",
    "depends_on",
    "provider",
];

/// The keys of the number of calls.
pub(in crate::import) const COUNTS: &[&str] =
    &["callCount", "call_count", "calls", "count", "requests", "weight"];

/// Reads lists of edges.
pub(in crate::import) fn read_lists(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let list = list_of(&document.root).ok_or_else(|| {
            not_of(Format::Json, &path, "it holds no list of objects such as `{from, to}`")
        })?;
        read_nodes(&document.root, graph);
        let reverse = input.options.reverse;
        add_edges(list, &path, Evidence::Declared, reverse, graph);
    }
    Ok(())
}

/// The list of edges of a document: itself, or below one of the usual keys.
pub(in crate::import) fn list_of(root: &Node) -> Option<&[Node]> {
    if let Value::Sequence(items) = &root.value {
        return Some(items);
    }
    ["data", "edges", "links", "dependencies", "elements.edges"].iter().find_map(|key| match &root
        .node_at(key)?
        .value
    {
        Value::Sequence(items) => Some(&items[..]),
        _ => None,
    })
}

fn read_nodes(root: &Node, graph: &mut EvidenceGraph) {
    for node in root.get("nodes").map(Node::items).unwrap_or_default() {
        let name = ["id", "name", "service"].iter().find_map(|key| node.scalar_at(key));
        if let Some(name) = name.or(node.scalar()) {
            graph.service_or_new(name);
        }
    }
}

/// Adds the edges of a list.
pub(in crate::import) fn add_edges(
    list: &[Node],
    path: &str,
    evidence: Evidence,
    reverse: bool,
    graph: &mut EvidenceGraph,
) {
    for (index, item) in list.iter().enumerate() {
        let scalar = |keys: &[&str]| keys.iter().find_map(|key| item.get(key).and_then(end_of));
        let (Some(caller), Some(callee)) = (scalar(CALLERS), scalar(CALLEES)) else {
            let message = format!("entry {} of `{path}` names no caller and dependency", index + 1);
            graph.warn(Code::NotUnderstood, message, item.place);
            continue;
        };
        let (caller, callee) = if reverse { (callee, caller) } else { (caller, callee) };
        let count = COUNTS.iter().find_map(|key| item.get(key)?.number()).unwrap_or(0.0);
        let kind =
            item.scalar_at("kind").or(item.scalar_at("type")).unwrap_or_default().to_lowercase();
        let criticality = item.scalar_at("criticality").unwrap_or_default();
        let evidence = if count > 0.0 { Evidence::Observed } else { evidence };
        let source = format!("{path}: entry {}", index + 1);
        let Some(dependency) = graph.depend_on(caller, callee, evidence, source) else { continue };
        if count.is_finite() && count > 0.0 {
            dependency.calls += count;
        }
        dependency.is_soft |= criticality == "soft" || kind == "soft";
        if kind == "async" || kind == "sync" {
            dependency.note_call(kind == "async");
        }
    }
}

/// The name of an end of an edge: a text, or an object that has one.
fn end_of(node: &Node) -> Option<&str> {
    let name = node.scalar().or_else(|| node.scalar_at("name")).or_else(|| node.scalar_at("id"))?;
    (!name.trim().is_empty()).then_some(name)
}

/// From how often dependencies were called: in which share of a caller's requests. Only where the calls
/// to the caller were counted too.
pub(in crate::import) fn derive_call_probabilities(graph: &mut EvidenceGraph) {
    let mut received: BTreeMap<String, f64> = BTreeMap::new();
    for ((_, callee), dependency) in &graph.dependencies {
        *received.entry(callee.clone()).or_default() += dependency.calls;
    }
    for ((caller, _), dependency) in &mut graph.dependencies {
        let requests = received.get(caller).copied().unwrap_or(0.0);
        if dependency.calls > 0.0 && requests > 0.0 && dependency.call_probability.is_none() {
            // More calls than requests mean several calls for a request, and counts do not tell in
            // which share of requests.
            dependency.call_probability = Some((dependency.calls / requests).min(1.0));
        }
    }
}
