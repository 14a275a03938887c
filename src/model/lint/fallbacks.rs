//! Fallbacks that fail together with what they replace.

use std::collections::VecDeque;

use super::graph::{LintGraph, is_hard};
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::{Dependency, NodeRef};
use crate::sort::Arrange as _;

/// How many nodes may be looked at in all. Each fallback needs two walks; where a default gives one
/// to each of a million dependencies, those that come after this are not checked.
const LOOKS: usize = 20_000_000;

pub(super) fn find_shared_fallbacks(graph: &LintGraph<'_>, findings: &mut Findings) {
    let mut walks = Walks {
        graph,
        needed_by: vec![0; graph.len()],
        seen_by: vec![0; graph.len()],
        walk: 0,
        looks: LOOKS,
        fallback: None,
    };
    let mut guarded: Vec<(NodeRef, &Dependency)> = all_dependencies(graph)
        .filter_map(|dep| dep.fallback.and_then(|fallback| fallback.on).map(|on| (on, dep)))
        .collect();
    // Those with the same fallback one after the other: what it needs is then found once.
    guarded.arrange_by_key(|(on, dep)| (*on, dep.place));
    for (fallback, dependency) in guarded {
        if let Some(shared) = walks.shared_need(fallback, dependency) {
            findings.push(fallback_warning(graph, fallback, dependency, shared));
        }
    }
}

fn all_dependencies<'a>(graph: &LintGraph<'a>) -> impl Iterator<Item = &'a Dependency> {
    let of_nodes = (0..graph.len()).flat_map(|node| graph.own_dependencies(node));
    of_nodes.chain(graph.topology.flows.iter().flat_map(|flow| &flow.steps))
}

struct Walks<'g, 'a> {
    graph: &'g LintGraph<'a>,
    /// Which walk found a node to be needed by the fallback, and which came by last.
    needed_by: Vec<u32>,
    seen_by: Vec<u32>,
    walk: u32,
    looks: usize,
    fallback: Option<(NodeRef, u32)>,
}

impl Walks<'_, '_> {
    /// The nearest thing that a fallback and what it replaces both need, or that is the other.
    fn shared_need(&mut self, fallback: NodeRef, dependency: &Dependency) -> Option<usize> {
        let needed = self.mark_needs(fallback);
        self.walk += 1;
        let mut queue: VecDeque<usize> = VecDeque::new();
        // A dependency on any of several fails when too few are left: each counts.
        for node in &dependency.on {
            queue.push_back(self.graph.index_of(*node));
        }
        while let Some(node) = queue.pop_front() {
            if self.seen_by[node] == self.walk || self.looks == 0 {
                continue;
            }
            self.seen_by[node] = self.walk;
            self.looks -= 1;
            if self.needed_by[node] == needed {
                return Some(node);
            }
            queue.extend(self.graph.callees_of(node, is_hard));
        }
        None
    }

    /// Marks everything that a fallback cannot do without, itself included.
    fn mark_needs(&mut self, fallback: NodeRef) -> u32 {
        if let Some((known, walk)) = self.fallback
            && known == fallback
        {
            return walk;
        }
        self.walk += 1;
        self.fallback = Some((fallback, self.walk));
        let mut queue = vec![self.graph.index_of(fallback)];
        while let Some(node) = queue.pop() {
            if self.needed_by[node] == self.walk || self.looks == 0 {
                continue;
            }
            self.needed_by[node] = self.walk;
            self.looks -= 1;
            queue.extend(self.graph.callees_of(node, is_hard));
        }
        self.walk
    }
}

fn fallback_warning(
    graph: &LintGraph<'_>,
    fallback: NodeRef,
    dependency: &Dependency,
    shared: usize,
) -> Diagnostic {
    let topology = graph.topology;
    let name = topology.node_name(fallback);
    let replaced = topology.dependency_name(dependency);
    let shared_node = graph.node_at(shared);
    let message = if dependency.on.iter().any(|node| node.service == shared_node.service) {
        format!("the fallback `{name}` needs `{replaced}`, which it replaces")
    } else if shared == graph.index_of(fallback) {
        format!("`{replaced}` needs `{name}`, its own fallback")
    } else {
        format!("`{replaced}` and its fallback `{name}` both need `{}`", graph.name_of(shared))
    };
    Diagnostic::warning(Code::SharedFallback, message, dependency.place)
        .help("a fallback helps only where it does not fail together with what it replaces")
}
