//! Isotope's service graphs: what a service calls is its `script`.

use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;

/// Reads service graphs.
pub(in crate::import) fn read_service_graphs(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let root = &document.root;
        let services = root.get("services").map(Node::items).unwrap_or_default();
        if services.is_empty() {
            return Err(not_of(Format::Isotope, &path, "it has no list of `services`"));
        }
        let defaults = root.get("defaults").or(root.get("default"));
        let replicas = |node: Option<&Node>| {
            let count = node?.get("numReplicas")?.number()?;
            #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
            (1.0..=10_000.0).contains(&count).then_some(count as u32)
        };
        for node in services {
            let Some(name) = node.scalar_at("name") else { continue };
            let service = graph.service_or_new(name);
            service.is_entry = node.scalar_at("isEntrypoint") == Some("true");
            service.replicas = replicas(Some(node)).or(replicas(defaults));
            let script = node.get("script").or(defaults.and_then(|default| default.get("script")));
            add_steps(name, script, &path, graph);
        }
    }
    Ok(())
}

/// Steps follow each other; those of a list within it run side by side. For failure it is all the same.
fn add_steps(caller: &str, script: Option<&Node>, path: &str, graph: &mut EvidenceGraph) {
    let mut open: Vec<&Node> = script.map(Node::items).unwrap_or_default().iter().collect();
    while let Some(step) = open.pop() {
        // The order of steps is of no interest, so lists within lists are taken apart as they come.
        open.extend(step.items());
        let Some(call) = step.get("call") else { continue };
        let Some(callee) = call.scalar().or_else(|| call.scalar_at("service")) else { continue };
        let source = format!("{path}: {caller} script");
        let known = graph.depend_on(caller, callee, Evidence::Declared, source);
        if let (Some(dependency), Some(percent)) =
            (known, call.get("probability").and_then(Node::number))
        {
            dependency.call_probability = Some((percent / 100.0).clamp(0.0, 1.0));
        }
    }
}
