//! A plan turned round: from what fails to whom it is passed on.

use super::suits::Can;
use crate::compile::Plan;
use crate::compile::plan::{Call, Fallback, NONE};
use crate::engine::draws::digits;

/// How a plain call changes what it passes on.
pub(super) mod bend {
    /// What fails is only missing.
    pub(in super::super) const SOFT: u8 = 1;
    /// What hangs fails.
    pub(in super::super) const GIVES_UP: u8 = 2;
    /// What is wrong fails.
    pub(in super::super) const VALIDATES: u8 = 4;
}

/// A plain call, seen from what is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// The draw whether failure reaches the caller.
    pub(super) key: u128,
    /// The digits of its probability; 0 where it is certain.
    pub(super) digits: u64,
    /// The caller.
    pub(super) caller: u32,
    /// What it does on the way: see [`bend`].
    pub(super) bend: u8,
}

/// How a group of nodes is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One node, once.
    Single,
    /// A cycle in which things only get worse: what is new is passed on until nothing is.
    Spread,
    /// A cycle in which a failure may hide a wrong answer: round by round, as the page has it.
    Rounds,
}

/// A plan seen from what fails.
pub(super) struct Wiring {
    /// For each node the plain calls of it from outside its group.
    outside: Rows<Edge>,
    /// The same from inside.
    inside: Rows<Edge>,
    /// For each node the callers that must be asked when it changes.
    wakes: Rows<u32>,
    /// For each node its calls that are more than an edge.
    asked: Rows<u32>,
    /// For each node the calls of it at which a dependency is observed.
    observed: Rows<u32>,
    /// By group.
    pub(super) ways: Vec<Way>,
}

/// Lists by number, in one piece of memory.
pub(super) struct Rows<T> {
    starts: Vec<u32>,
    entries: Vec<T>,
}

impl<T: Copy> Rows<T> {
    fn new(rows: usize, pairs: &[(u32, T)]) -> Self {
        let mut starts = vec![0_u32; rows + 1];
        for (row, _) in pairs {
            starts[*row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut places = vec![0_u32; pairs.len()];
        for (index, (row, _)) in pairs.iter().enumerate() {
            places[next[*row as usize] as usize] = index as u32;
            next[*row as usize] += 1;
        }
        Self { starts, entries: places.iter().map(|index| pairs[*index as usize].1).collect() }
    }

    #[inline(always)]
    pub(super) fn row(&self, row: u32) -> &[T] {
        &self.entries[self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize]
    }

    /// The entries of a row with their places among all.
    #[inline(always)]
    fn placed(&self, row: u32) -> impl Iterator<Item = (u32, &T)> {
        (self.starts[row as usize]..).zip(self.row(row))
    }
}

impl Wiring {
    pub(super) fn new(plan: &Plan, can: &[Can]) -> Self {
        let nodes = plan.nodes.len();
        let planes = super::planes(plan, can);
        let ways: Vec<Way> = (0..plan.groups.len()).map(|group| way(plan, group, planes)).collect();
        let (mut outside, mut inside) = (Vec::new(), Vec::new());
        let (mut wakes, mut asked, mut observed) = (Vec::new(), Vec::new(), Vec::new());
        for (caller, node) in plan.nodes.iter().enumerate() {
            for index in node.calls.clone() {
                let call = &plan.calls[index as usize];
                if call.probability == 0.0 {
                    continue;
                }
                let is_inside = call.intra_cycle && ways[node.group as usize] == Way::Rounds;
                if is_plain(call) && !is_inside {
                    if let Some(edge) = edge(plan, call, caller as u32) {
                        let on = plan.members_of(call)[0].node;
                        if call.intra_cycle { &mut inside } else { &mut outside }.push((on, edge));
                    }
                } else {
                    asked.push((caller as u32, index));
                    wakes.extend(plan.referred(call).map(|node| (node, caller as u32)));
                }
            }
        }
        for dependency in plan.dependencies.iter().filter(|it| it.call != NONE) {
            let call = &plan.calls[dependency.call as usize];
            let members = plan.members_of(call).iter();
            observed.extend(members.map(|member| (member.node, dependency.call)));
        }
        Self {
            outside: Rows::new(nodes, &outside),
            inside: Rows::new(nodes, &inside),
            wakes: Rows::new(nodes, &wakes),
            asked: Rows::new(nodes, &asked),
            observed: Rows::new(nodes, &observed),
            ways,
        }
    }

    #[inline(always)]
    pub(super) fn outside(&self, node: u32) -> impl Iterator<Item = (u32, &Edge)> {
        self.outside.placed(node)
    }

    #[inline(always)]
    pub(super) fn inside(&self, node: u32) -> impl Iterator<Item = (u32, &Edge)> {
        let outside = self.outside.entries.len() as u32;
        self.inside.placed(node).map(move |(place, edge)| (outside + place, edge))
    }

    /// All edges by their places.
    pub(super) fn edges(&self) -> Vec<Edge> {
        self.outside.entries.iter().chain(&self.inside.entries).copied().collect()
    }

    /// Whether any call is more than an edge.
    pub(super) fn has_asked(&self) -> bool {
        !self.asked.entries.is_empty()
    }

    /// All calls that are more than an edge.
    pub(super) fn all_asked(&self) -> impl Iterator<Item = u32> + '_ {
        self.asked.entries.iter().copied()
    }

    #[inline(always)]
    pub(super) fn wakes(&self, node: u32) -> &[u32] {
        self.wakes.row(node)
    }

    #[inline(always)]
    pub(super) fn asked(&self, node: u32) -> &[u32] {
        self.asked.row(node)
    }

    pub(super) fn observed(&self, node: u32) -> &[u32] {
        self.observed.row(node)
    }
}

/// Whether a call is no more than an edge: retries and breakers change nothing that is all or
/// nothing.
fn is_plain(call: &Call) -> bool {
    let is_guarded =
        call.cache().is_some() || call.buffer().is_some() || call.fallback() != Fallback::None;
    !call.any_of && !is_guarded
}

/// How a group of a plan with so many planes is computed.
pub(super) fn way(plan: &Plan, group: usize, planes: usize) -> Way {
    let group = &plan.groups[group];
    if !group.cyclic {
        return Way::Single;
    }
    // With failing and degraded alone, more trouble brings no less, whatever a call does; but a
    // cache hides a dependency that fails and not one that is degraded.
    let only_worse = |call: &Call| match planes {
        1 => true,
        2 => call.cache().is_none(),
        _ => is_plain(call),
    };
    let calls = group.nodes.clone().flat_map(|node| plan.calls_of(&plan.nodes[node as usize]));
    let all = calls.filter(|call| call.intra_cycle).all(only_worse);
    if all { Way::Spread } else { Way::Rounds }
}

fn edge(plan: &Plan, call: &Call, caller: u32) -> Option<Edge> {
    let dependency = &plan.dependencies[call.dependency as usize];
    let certain = dependency.propagation >= 1.0;
    if dependency.propagation <= 0.0 {
        return None;
    }
    let bend = [
        (call.soft, bend::SOFT),
        (call.gives_up, bend::GIVES_UP),
        (call.validates, bend::VALIDATES),
    ];
    Some(Edge {
        key: dependency.propagation_key.0,
        digits: if certain { 0 } else { digits(dependency.propagation).expect("between 0 and 1") },
        caller,
        bend: bend.iter().filter(|(is, _)| *is).fold(0, |all, (_, bit)| all | bit),
    })
}
