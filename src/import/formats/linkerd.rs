//! `linkerd viz edges deploy -o json`.

use super::edges;
use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::model::topology::Evidence;

/// Reads edges.
pub(in crate::import) fn read_edges(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let list = edges::list_of(&document.root);
        let list =
            list.ok_or_else(|| not_of(Format::Linkerd, &path, "it is no list of `{src, dst}`"))?;
        for (index, item) in list.iter().enumerate() {
            let side = |name: &str| {
                let namespace = item
                    .scalar_at(&format!("{name}_namespace"))
                    .filter(|scalar_at| !scalar_at.is_empty());
                let name = item.scalar_at(name).filter(|scalar_at| !scalar_at.is_empty())?;
                Some(namespace.map_or(name.to_owned(), |namespace| format!("{namespace}/{name}")))
            };
            let (Some(caller), Some(callee)) = (side("src"), side("dst")) else {
                let message = format!("entry {} of `{path}` has no `src` and `dst`", index + 1);
                graph.warn(Code::NotUnderstood, message, item.place);
                continue;
            };
            // The same workload is also known by its plain name, as other files have it.
            for (key, name) in [("src", &caller), ("dst", &callee)] {
                if let Some(short) = item.scalar_at(key) {
                    graph.note_short_name(name, short);
                }
            }
            let source = format!("{path}: entry {}", index + 1);
            graph.depend_on(&caller, &callee, Evidence::Observed, source);
        }
    }
    Ok(())
}
