//! µBench's work models: groups of external services, each called with a probability.

use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;

/// Reads work models.
pub(in crate::import) fn read_work_models(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        // A file holds services beside settings of its own, and only services have this key.
        let is_service = |node: &Node| node.get("external_services").is_some();
        let entries: Vec<_> =
            document.root.entries().iter().filter(|entry| is_service(&entry.value)).collect();
        if entries.is_empty() {
            return Err(not_of(Format::Mubench, &path, "nothing in it has `external_services`"));
        }
        for entry in entries {
            let caller = &entry.key.text;
            graph.service_or_new(caller);
            let groups = entry.value.get("external_services").map(Node::items).unwrap_or_default();
            for group in groups {
                let services = group.get("services").map(Node::items).unwrap_or_default();
                let length = group.get("seq_len").and_then(Node::number).unwrap_or(f64::INFINITY);
                // Of a longer group only some are called, drawn anew for each request.
                let drawn = (length / services.len().max(1) as f64).min(1.0);
                for callee in services.iter().filter_map(Node::scalar) {
                    let source = format!("{path}: {caller}.external_services");
                    let stated =
                        group.get("probabilities").and_then(|group| group.get(callee)?.number());
                    let share = stated.unwrap_or(1.0).clamp(0.0, 1.0) * drawn.max(0.0);
                    let known = graph.depend_on(caller, callee, Evidence::Declared, source);
                    if let Some(dependency) = known
                        // A dependency of every request is the default, and needs no key.
                        && share < 1.0
                    {
                        dependency.call_probability = Some(share);
                    }
                }
            }
        }
    }
    Ok(())
}
