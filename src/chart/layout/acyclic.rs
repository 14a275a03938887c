//! Which links must be turned around so that no cycle is left.

use super::LayoutGraph;
use crate::sort::Arrange as _;

/// Marks the links that close a cycle in a walk from the first boxes, so that these stay first.
pub(super) fn back_links(graph: &LayoutGraph) -> Vec<bool> {
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); graph.boxes.len()];
    let mut has_in = vec![false; graph.boxes.len()];
    for (index, link) in graph.links.iter().enumerate() {
        out[link.from].push(index);
        has_in[link.to] = true;
    }
    let is_first = |node: usize| graph.is_first.get(node).copied().unwrap_or(false);
    let mut starts: Vec<usize> = (0..graph.boxes.len()).collect();
    // What breaks comes first, then what nothing leads to, so that cycles are cut where they
    // return.
    starts.arrange_by_key(|node| (!is_first(*node), has_in[*node], *node));
    let mut walk = CycleWalk {
        graph,
        out: &out,
        state: vec![VisitState::New; graph.boxes.len()],
        returns: vec![false; graph.links.len()],
    };
    for start in starts {
        walk.from(start);
    }
    walk.returns
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum VisitState {
    New,
    Open,
    Done,
}

struct CycleWalk<'a> {
    graph: &'a LayoutGraph,
    out: &'a [Vec<usize>],
    state: Vec<VisitState>,
    returns: Vec<bool>,
}

impl CycleWalk<'_> {
    /// Depth first, with a stack of its own: a chain may be long.
    fn from(&mut self, start: usize) {
        if self.state[start] != VisitState::New {
            return;
        }
        self.state[start] = VisitState::Open;
        let mut stack = vec![(start, 0)];
        while let Some((node, next)) = stack.pop() {
            let Some(link) = self.out[node].get(next).copied() else {
                self.state[node] = VisitState::Done;
                continue;
            };
            // The place behind the next link is noted, so that the walk goes on there.
            stack.push((node, next + 1));
            let to = self.graph.links[link].to;
            match self.state[to] {
                // A link back into the open path is what closes a cycle.
                VisitState::Open => self.returns[link] = true,
                VisitState::Done => {}
                VisitState::New => {
                    self.state[to] = VisitState::Open;
                    stack.push((to, 0));
                }
            }
        }
    }
}
