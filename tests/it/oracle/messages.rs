//! Messages that wait for their consumer: section "One moment: messages".

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;

/// Levels are reached this much too early.
const EDGE: f64 = 1e-6;

/// What waits for the consumers, by node, in seconds of normal traffic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Messages {
    waiting: BTreeMap<usize, f64>,
}

/// The node that takes the messages of a dependency as written, where it is known how many it can take.
pub(crate) fn consumer(graph: &Graph, written: usize) -> Option<usize> {
    let call = graph.written[written].dependency;
    let node = *graph.written[written].on.first()?;
    let service = graph.nodes[node].service()?;
    let is_known = graph.topology.services[service].utilization.is_some();
    let is_message = call.is_async() && !call.any_of && call.buffer.is_some();
    (is_message && is_known && graph.written[written].serves()).then_some(node)
}

/// The nodes that take messages.
pub(crate) fn consumers(graph: &Graph) -> BTreeSet<usize> {
    (0..graph.written.len()).filter_map(|written| consumer(graph, written)).collect()
}

/// How much the buffers of a consumer hold, by dependency as written.
fn buffers(graph: &Graph, node: usize) -> Vec<(usize, f64)> {
    let of = |written: usize| {
        let buffer = graph.written[written].dependency.buffer?;
        (consumer(graph, written) == Some(node)).then_some((written, buffer.holds.get()))
    };
    (0..graph.written.len()).filter_map(of).collect()
}

impl Messages {
    /// Lets messages gather or be taken for some seconds, given by how much they grow in each.
    pub(crate) fn go_on(&mut self, graph: &Graph, seconds: f64, growth: &BTreeMap<usize, f64>) {
        for (node, growth) in growth {
            let most = buffers(graph, *node).iter().map(|(_, holds)| *holds).fold(0.0, f64::max);
            let waiting = self.waiting.entry(*node).or_default();
            *waiting = (*waiting + growth * seconds).clamp(0.0, most);
        }
    }

    /// The dependencies as written whose buffers are full.
    pub(crate) fn full(&self, graph: &Graph) -> BTreeSet<usize> {
        let mut full = BTreeSet::new();
        for node in consumers(graph) {
            let waiting = self.waiting.get(&node).copied().unwrap_or(0.0);
            for (written, holds) in buffers(graph, node) {
                if waiting >= holds - EDGE {
                    full.insert(written);
                }
            }
        }
        full
    }
}
