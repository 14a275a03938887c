//! Spigo's architectures.

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;

/// Reads architectures.
pub(in crate::import) fn read_architectures(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let services = document.root.get("services").map(Node::items).unwrap_or_default();
        if services.is_empty() {
            return Err(not_of(Format::Spigo, &path, "it has no list of `services`"));
        }
        let names: Vec<&str> = services.iter().filter_map(|node| node.scalar_at("name")).collect();
        for node in services {
            let Some(name) = node.scalar_at("name") else { continue };
            let service = graph.service_or_new(name);
            service.kind = node.scalar_at("package").map(crate::import::graph::names::one_line);
            let number = |key: &str| node.get(key).and_then(Node::number).unwrap_or(1.0);
            // So many in each region; none for what is no process, such as a name of a host.
            let count = number("count") * number("regions").max(1.0);
            #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
            let count = (1.0..=10_000.0).contains(&count).then_some(count as u32);
            service.replicas = count;
            for callee in node.get("dependencies").map(Node::items).unwrap_or_default() {
                let Some(callee) = callee.scalar() else { continue };
                if !names.contains(&callee) {
                    let message =
                        format!("`{name}` depends on `{callee}`, which is not in the list");
                    graph.warn(Code::Dangling, message, node.place);
                }
                let source = format!("{path}: {name}.dependencies");
                graph.depend_on(name, callee, Evidence::Declared, source);
            }
        }
    }
    Ok(())
}
