//! The order of evaluation: dependencies before callers, cycles in one piece.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// Nodes that reach each other, in the order in which they are evaluated; or a single node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EvaluationGroup {
    pub(super) nodes: Vec<u32>,
    pub(super) cyclic: bool,
}

/// The strongly connected components, each after all that it depends on.
///
/// `arcs[caller]` lists what a node depends on; a node that lists itself is a cycle of one.
///
/// # Complexity
/// Linear in nodes and arcs.
pub(super) fn strongly_connected_components(arcs: &[Vec<u32>]) -> Vec<EvaluationGroup> {
    let mut graph = DiGraph::<(), ()>::with_capacity(arcs.len(), arcs.iter().map(Vec::len).sum());
    for _ in arcs {
        graph.add_node(());
    }
    for (caller, dependencies) in arcs.iter().enumerate() {
        for dependency in dependencies {
            graph.add_edge(index(caller as u32), index(*dependency), ());
        }
    }
    // Kosaraju's is iterative (Tarjan's recurses and would overflow on long chains), and gives
    // components in postorder: callers last.
    kosaraju_scc(&graph)
        .into_iter()
        .map(|component| {
            let nodes: Vec<u32> = component.iter().map(|node| node.index() as u32).collect();
            // A component of one node is a cycle only if it calls itself.
            let cyclic = nodes.len() > 1 || arcs[nodes[0] as usize].contains(&nodes[0]);
            EvaluationGroup {
                nodes: if cyclic { dependencies_first(nodes, arcs) } else { nodes },
                cyclic,
            }
        })
        .collect()
}

fn index(node: u32) -> NodeIndex {
    NodeIndex::new(node as usize)
}

/// Orders the nodes of one cycle by depth-first postorder from its first node, so that one sweep
/// carries failure as far as it can; the order depends on nothing outside the cycle.
fn dependencies_first(mut nodes: Vec<u32>, arcs: &[Vec<u32>]) -> Vec<u32> {
    nodes.sort_unstable();
    let position = |node: u32| nodes.binary_search(&node).ok();
    // An own path and not a recursion: a cycle may be as long as a topology.
    let mut seen = vec![false; nodes.len()];
    let mut postorder = Vec::with_capacity(nodes.len());
    let mut path: Vec<(u32, usize)> = vec![(nodes[0], 0)];
    seen[0] = true;
    while let Some((node, next)) = path.last_mut() {
        if let Some(dependency) = arcs[*node as usize].get(*next) {
            *next += 1;
            if let Some(position) = position(*dependency)
                && !seen[position]
            {
                seen[position] = true;
                path.push((*dependency, 0));
            }
        } else {
            postorder.push(*node);
            path.pop();
        }
    }
    postorder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(arcs: &[Vec<u32>]) -> Vec<(Vec<u32>, bool)> {
        strongly_connected_components(arcs).into_iter().map(|c| (c.nodes, c.cyclic)).collect()
    }

    #[test]
    fn dependencies_come_before_callers() {
        assert_eq!(
            order(&[vec![1], vec![2], vec![]]),
            [(vec![2], false), (vec![1], false), (vec![0], false)]
        );
    }

    #[test]
    fn a_cycle_is_one_component_with_dependencies_first() {
        assert_eq!(
            order(&[vec![1], vec![2], vec![0, 3], vec![]]),
            [(vec![3], false), (vec![2, 1, 0], true)]
        );
    }

    #[test]
    fn a_chain_of_a_million_does_not_overflow_the_stack() {
        let arcs: Vec<Vec<u32>> =
            (0..1_000_000).map(|n| if n < 999_999 { vec![n + 1] } else { vec![0] }).collect();
        assert_eq!(strongly_connected_components(&arcs).len(), 1);
    }
}
