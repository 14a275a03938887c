//! `linkerd viz edges deploy -o json`, and `linkerd viz stat deploy -o json` for how long answers take.

use super::edges;
use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::measurements::MeasuredLatency;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
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
            if item.get("latency_ms_p50").is_some() {
                read_stat(item, &path, graph);
                continue;
            }
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

/// Reads how long the answers of a workload take. Its `success` and `rps` are left out: they are shares and
/// rates over a window that the file does not state, so nobody can tell of how many requests they are.
fn read_stat(item: &Node, path: &str, graph: &mut EvidenceGraph) {
    let word = |key: &str| item.scalar_at(key).filter(|word| !word.is_empty());
    let milliseconds = |key: &str| item.scalar_at(key)?.parse::<f64>().ok();
    let Some(short) = word("name") else { return };
    let name = word("namespace").map_or(short.to_owned(), |space| format!("{space}/{short}"));
    graph.note_short_name(&name, short);
    let service = graph.service_or_new(&name);
    if let (Some(median), Some(p99)) =
        (milliseconds("latency_ms_p50"), milliseconds("latency_ms_p99"))
    {
        let (median, p99) = (median / 1e3, p99 / 1e3);
        service.note_latency(MeasuredLatency {
            median,
            p99,
            requests: None,
            source: path.to_owned(),
        });
    }
}
