//! One search per trial over a plain graph: what engines and commands are measured against.

use blastwave::model::Topology;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use rayon::prelude::*;

/// Trials that one piece of work runs.
const PIECE: u64 = 500;

/// Runs one search per trial, as a good engineer would write it: a generator for each piece of work, no
/// allocation within, a stamp instead of clearing what was seen. Returns the mean reach.
pub fn search_trials(graph: &DiGraph<(), f32>, origin: NodeIndex, trials: u64) -> f64 {
    let room = || (vec![0_u32; graph.node_count()], 0_u32, Vec::new());
    let piece = |(seen, stamp, stack): &mut (Vec<u32>, u32, Vec<NodeIndex>), number: u64| {
        let mut random = SmallRng::seed_from_u64(number);
        let mut count = 0_u64;
        for _ in 0..PIECE {
            *stamp += 1;
            seen[origin.index()] = *stamp;
            stack.push(origin);
            while let Some(node) = stack.pop() {
                count += 1;
                for edge in graph.edges(node) {
                    let caller = edge.target();
                    if seen[caller.index()] != *stamp && random.random::<f32>() < *edge.weight() {
                        seen[caller.index()] = *stamp;
                        stack.push(caller);
                    }
                }
            }
        }
        count
    };
    let pieces = trials.div_ceil(PIECE);
    let reached: u64 = (0..pieces).into_par_iter().map_init(room, piece).sum();
    reached as f64 / (pieces * PIECE) as f64
}

/// Builds the graph from what is called to its callers.
pub fn caller_graph(topology: &Topology) -> DiGraph<(), f32> {
    let mut graph = DiGraph::new();
    for _ in &topology.services {
        graph.add_node(());
    }
    for (caller, service) in topology.services.iter().enumerate() {
        for dependency in &service.dependencies {
            let called = NodeIndex::new(dependency.on[0].service.0 as usize);
            graph.add_edge(called, NodeIndex::new(caller), dependency.propagation.get() as f32);
        }
    }
    graph
}
