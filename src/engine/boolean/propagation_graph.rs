//! The propagation graph of a plan: edges from each node to the callers that its failure reaches.

use super::eligibility::PossibleStates;
use crate::compile::Plan;
use crate::compile::plan::{Call, CallId, DependencyId, Fallback, GroupId, NodeId, ObservedCall};
use crate::engine::draws::binary_digits;
use crate::model::id::Table;

/// Bits of an edge transform: how a call changes the state that it propagates.
pub(super) mod transform {
    /// Failing becomes degraded.
    pub(in super::super) const SOFT: u8 = 1;
    /// Slow becomes down.
    pub(in super::super) const GIVES_UP: u8 = 2;
    /// Corrupt becomes down.
    pub(in super::super) const VALIDATES: u8 = 4;
}

/// A call without buffer, cache, fallback or `any_of`, seen from its member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// Key of the Bernoulli draw for `propagation`.
    pub(super) key: u128,
    /// Binary digits of `propagation`; 0 where it is 1.
    pub(super) digits: u64,
    /// The calling node.
    pub(super) caller: NodeId,
    /// How the call changes the state; see [`transform`].
    pub(super) transform: u8,
}

/// How the states of a group of nodes are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CycleStrategy {
    /// One node, evaluated once.
    Acyclic,
    /// A cycle in which states only get worse: new lanes are propagated until there are none.
    Worklist,
    /// A cycle in which a failure may hide a wrong answer: computed in synchronous rounds.
    Rounds,
}

/// A plan indexed by what fails.
pub(super) struct PropagationGraph {
    /// Edges to callers in other groups, by node.
    outside: AdjacencyRows<Edge>,
    /// Edges to callers in the same group, by node.
    inside: AdjacencyRows<Edge>,
    /// Callers whose calls must be evaluated when the node changes, by node.
    callers_to_evaluate: AdjacencyRows<NodeId>,
    /// Calls of the node that are more than an edge, by node.
    evaluated: AdjacencyRows<CallId>,
    /// Calls of the node at which a dependency is observed and that are no edge, by node.
    observed: AdjacencyRows<CallId>,
    /// Dependency that is observed at the edge, if one is, by place.
    observed_at: Vec<Option<DependencyId>>,
    /// Strategy by group.
    pub(super) strategies: Table<GroupId, CycleStrategy>,
}

/// Rows of varying length in one allocation.
pub(super) struct AdjacencyRows<T> {
    starts: Vec<u32>,
    entries: Vec<T>,
}

impl<T: Copy> AdjacencyRows<T> {
    fn new(rows: usize, pairs: &[(NodeId, T)]) -> Self {
        let mut starts = vec![0_u32; rows + 1];
        for (row, _) in pairs {
            starts[row.index() + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut places = vec![0_u32; pairs.len()];
        for (index, (row, _)) in pairs.iter().enumerate() {
            places[next[row.index()] as usize] = index as u32;
            next[row.index()] += 1;
        }
        Self { starts, entries: places.iter().map(|index| pairs[*index as usize].1).collect() }
    }

    #[inline(always)]
    pub(super) fn row_entries(&self, row: NodeId) -> &[T] {
        &self.entries[self.starts[row.index()] as usize..self.starts[row.index() + 1] as usize]
    }

    /// Returns the entries of a row with their places among all entries.
    #[inline(always)]
    fn entries_with_places(&self, row: NodeId) -> impl Iterator<Item = (u32, &T)> {
        (self.starts[row.index()]..).zip(self.row_entries(row))
    }
}

impl<A, C> AdjacencyRows<(A, C)> {
    /// Keeps the first part of every entry.
    fn into_firsts(self) -> AdjacencyRows<A> {
        let entries = self.entries.into_iter().map(|(first, _)| first).collect();
        AdjacencyRows { starts: self.starts, entries }
    }
}

impl PropagationGraph {
    pub(super) fn new(plan: &Plan, possible: &Table<NodeId, PossibleStates>) -> Self {
        let nodes = plan.nodes.len();
        let planes = super::plane_count(plan, possible);
        let strategies: Table<GroupId, CycleStrategy> =
            plan.groups.ids().iter().map(|group| cycle_strategy(plan, group, planes)).collect();
        let (mut outside, mut inside) = (Vec::new(), Vec::new());
        let (mut callers_to_evaluate, mut evaluated, mut observed) =
            (Vec::new(), Vec::new(), Vec::new());
        for (caller, node) in plan.nodes.entries() {
            for index in node.calls {
                let call = &plan.calls[index];
                // A call that is never made propagates nothing.
                if call.probability == 0.0 {
                    continue;
                }
                // Rounds need all calls of a cycle evaluated together.
                let is_inside = call.intra_cycle && strategies[node.group] == CycleStrategy::Rounds;
                if is_plain_edge(call) && !is_inside {
                    if let Some(edge) = propagation_edge(plan, call, caller) {
                        let on = plan.members_of(call)[0].node;
                        if call.intra_cycle { &mut inside } else { &mut outside }
                            .push((on, (edge, index)));
                    }
                } else {
                    evaluated.push((caller, index));
                    callers_to_evaluate.extend(plan.referred(call).map(|node| (node, caller)));
                }
            }
        }
        let mut is_edge: Table<CallId, bool> = Table::filled(false, plan.calls.len());
        for (_, (_, index)) in outside.iter().chain(&inside) {
            is_edge[*index] = true;
        }
        for dependency in &plan.dependencies {
            let Some(ObservedCall { call, .. }) = dependency.observed else { continue };
            if !is_edge[call] {
                let members = plan.members_of(&plan.calls[call]).iter();
                observed.extend(members.map(|member| (member.node, call)));
            }
        }
        let outside = AdjacencyRows::new(nodes, &outside);
        let inside = AdjacencyRows::new(nodes, &inside);
        let observed_at = outside.entries.iter().chain(&inside.entries).map(|(_, index)| {
            let dependency = plan.calls[*index].dependency;
            let observed = plan.dependencies[dependency].observed;
            observed.is_some_and(|observed| observed.call == *index).then_some(dependency)
        });
        let observed_at = observed_at.collect();
        Self {
            outside: outside.into_firsts(),
            inside: inside.into_firsts(),
            observed_at,
            callers_to_evaluate: AdjacencyRows::new(nodes, &callers_to_evaluate),
            evaluated: AdjacencyRows::new(nodes, &evaluated),
            observed: AdjacencyRows::new(nodes, &observed),
            strategies,
        }
    }

    #[inline(always)]
    pub(super) fn edges_outside(&self, node: NodeId) -> impl Iterator<Item = (u32, &Edge)> {
        self.outside.entries_with_places(node)
    }

    #[inline(always)]
    pub(super) fn edges_inside(&self, node: NodeId) -> impl Iterator<Item = (u32, &Edge)> {
        // Edges inside groups have their places behind all others.
        let outside = self.outside.entries.len() as u32;
        self.inside.entries_with_places(node).map(move |(place, edge)| (outside + place, edge))
    }

    /// Returns the edges from a node: those inside its group, and the others if `all`.
    #[inline(always)]
    pub(super) fn edges_from(&self, node: NodeId, all: bool) -> impl Iterator<Item = (u32, &Edge)> {
        let outside = if all { self.outside.row_entries(node) } else { &[] };
        let first = self.outside.starts[node.index()];
        (first..).zip(outside).chain(self.edges_inside(node))
    }

    /// Returns all edges in the order of their places.
    pub(super) fn all_edges(&self) -> Vec<Edge> {
        self.outside.entries.iter().chain(&self.inside.entries).copied().collect()
    }

    /// Returns whether any call is more than an edge.
    pub(super) fn has_evaluated(&self) -> bool {
        !self.evaluated.entries.is_empty()
    }

    /// Returns all calls that are more than an edge.
    pub(super) fn all_evaluated(&self) -> impl Iterator<Item = CallId> + '_ {
        self.evaluated.entries.iter().copied()
    }

    #[inline(always)]
    pub(super) fn callers_to_evaluate(&self, node: NodeId) -> &[NodeId] {
        self.callers_to_evaluate.row_entries(node)
    }

    #[inline(always)]
    pub(super) fn evaluated_calls(&self, node: NodeId) -> &[CallId] {
        self.evaluated.row_entries(node)
    }

    pub(super) fn observed_calls(&self, node: NodeId) -> &[CallId] {
        self.observed.row_entries(node)
    }

    /// Returns the dependency that is observed at the edge of this place, if one is.
    #[inline(always)]
    pub(super) fn observed_at(&self, place: u32) -> Option<DependencyId> {
        self.observed_at[place as usize]
    }

    /// Returns whether a dependency is observed at the edge of this place.
    #[inline(always)]
    pub(super) fn is_observed(&self, place: u32) -> bool {
        self.observed_at(place).is_some()
    }

    /// Returns the number of edges.
    pub(super) fn edge_count(&self) -> usize {
        self.observed_at.len()
    }
}

/// Returns whether a call is no more than an edge. Retries and breakers never change a share that
/// is 0 or 1.
fn is_plain_edge(call: &Call) -> bool {
    let is_guarded =
        call.cache().is_some() || call.buffer().is_some() || call.fallback() != Fallback::None;
    !call.any_of && !is_guarded
}

/// Returns how a group is computed in a plan with this many planes.
pub(super) fn cycle_strategy(plan: &Plan, group: GroupId, planes: usize) -> CycleStrategy {
    let group = &plan.groups[group];
    if !group.cyclic {
        return CycleStrategy::Acyclic;
    }
    let calls = group.nodes.iter().flat_map(|node| plan.calls_of(&plan.nodes[node]));
    let all = calls.filter(|call| call.intra_cycle).all(|call| is_monotone(call, planes));
    if all { CycleStrategy::Worklist } else { CycleStrategy::Rounds }
}

/// Returns whether more failures of what a call refers to never bring its caller fewer, in a plan
/// with this many planes.
pub(super) fn is_monotone(call: &Call, planes: usize) -> bool {
    // Failing and degraded alone are monotone through every call but one with a cache, which hides
    // a failing dependency and not a degraded one.
    match planes {
        1 => true,
        2 => call.cache().is_none(),
        _ => is_plain_edge(call),
    }
}

fn propagation_edge(plan: &Plan, call: &Call, caller: NodeId) -> Option<Edge> {
    let dependency = &plan.dependencies[call.dependency];
    let certain = dependency.propagation >= 1.0;
    if dependency.propagation <= 0.0 {
        return None;
    }
    let transform = [
        (call.soft, transform::SOFT),
        (call.gives_up, transform::GIVES_UP),
        (call.validates, transform::VALIDATES),
    ];
    Some(Edge {
        key: dependency.propagation_key.0,
        // Digits of 0 stand for certainty, since no chance between 0 and 1 has none.
        digits: if certain {
            0
        } else {
            binary_digits(dependency.propagation).expect("between 0 and 1")
        },
        caller,
        transform: transform.iter().filter(|(is, _)| *is).fold(0, |all, (_, bit)| all | bit),
    })
}
