//! State and propagation of one block: 512 trials of one plan, simulated until nothing changes.

use crate::model::id::{IdRange, Table};
use std::collections::BTreeSet;

use super::containment::EdgeObserver;
use super::propagation_graph::{CycleStrategy, Edge, PropagationGraph, transform};
use super::random_source::{BlockDraws, RandomSource};
use super::state_planes::{apply_transform, failing_plane};
use crate::compile::plan::{DomainId, GroupId, NodeId, Plan, ServiceId};
use crate::engine::cycles::{LAST_ROUNDS, free_rounds};
use crate::engine::draws::RoundKeys;
use crate::engine::outcome::Failures;
use crate::engine::simd::{Bits, LaneMask, array};

/// State of one block of 512 trials, reused from block to block.
///
/// A node has `P` planes of lanes, each a superset of the one before. One plane: failed. Two:
/// failed; degraded or worse. Four: slow; slow or down; slow, down or corrupt; any of these or
/// degraded.
pub(super) struct BlockState<'a, const P: usize> {
    pub(super) plan: &'a Plan,
    pub(super) graph: &'a PropagationGraph,
    /// Planes by node.
    pub(super) planes: Table<NodeId, [LaneMask; P]>,
    /// Planes by node that were already propagated inside its cycle; empty in plans without cycles.
    pub(super) propagated: Table<NodeId, [LaneMask; P]>,
    /// One bit per node: its planes grew since they were last propagated.
    dirty: Vec<u64>,
    /// Nodes whose planes were propagated in this block.
    pub(super) visited: Vec<NodeId>,
    /// Lanes by node in which it fails without the change.
    pub(super) baseline: Table<NodeId, Failures<LaneMask>>,
    /// Nodes whose planes were propagated without the change.
    baseline_nodes: Vec<NodeId>,
    /// Whether edges between groups were observed while failures propagated.
    pub(super) observed_edges: bool,
    /// Services in a cycle that did not settle, with the trials in which it did not.
    pub(super) unsettled: Vec<(ServiceId, LaneMask)>,
    pub(super) keys: RoundKeys,
    pub(super) domains: Table<DomainId, LaneMask>,
    /// Services that may be down in the background or through a target domain.
    pub(super) may_be_down: &'a [ServiceId],
}

const NO_FAILURES: Failures<LaneMask> =
    Failures { failed: LaneMask::NONE, degraded: LaneMask::NONE };

impl<'a, const P: usize> BlockState<'a, P> {
    pub(super) fn new(
        plan: &'a Plan,
        graph: &'a PropagationGraph,
        may_be_down: &'a [ServiceId],
    ) -> Self {
        let nodes = plan.nodes.len();
        // Only cycles need to know what was propagated already.
        let has_cycles = graph.strategies.iter().any(|way| *way != CycleStrategy::Acyclic);
        Self {
            plan,
            graph,
            planes: Table::filled([LaneMask::NONE; P], nodes),
            propagated: Table::filled([LaneMask::NONE; P], if has_cycles { nodes } else { 0 }),
            dirty: vec![0; nodes.div_ceil(64)],
            visited: Vec::new(),
            baseline: Table::filled(NO_FAILURES, nodes),
            baseline_nodes: Vec::new(),
            observed_edges: false,
            unsettled: Vec::new(),
            keys: RoundKeys::new(0, 0),
            domains: Table::filled(LaneMask::NONE, plan.domains.len()),
            may_be_down,
        }
    }

    /// Simulates block `block` of a seed: the trials from `512 * block` on, first without the change
    /// and then with it.
    ///
    /// Where more failures never lead to fewer (`accumulates`), the second part continues from the
    /// first.
    #[inline(always)]
    pub(super) fn simulate_block<B: Bits>(
        &mut self,
        bits: B,
        observer: &mut impl EdgeObserver<B>,
        seed: u64,
        block: u64,
        accumulates: bool,
    ) {
        self.clear_states();
        self.clear_baseline();
        let keys = RoundKeys::new(seed, block);
        self.keys = keys;
        let draws = BlockDraws::new(bits, &keys);
        let has_change = !self.plan.targets.is_empty();
        // One loop, so that propagation is compiled once.
        for with_change in [false, true] {
            if !with_change || !accumulates {
                self.clear_states();
                self.apply_background(draws);
            }
            if with_change {
                self.apply_targets(draws);
            }
            // Edges may be observed while failures propagate if every failure of this state does.
            // Otherwise some failures were propagated before anyone observed.
            let starts_empty = !with_change || !accumulates || self.baseline_nodes.is_empty();
            self.observed_edges = with_change == has_change && starts_empty;
            observer.set_active(self.observed_edges);
            self.propagate_failures(draws, observer);
            // Without a change there is no second part.
            if with_change == has_change {
                break;
            }
            self.keep_baseline();
        }
        if !has_change {
            self.keep_baseline();
        } else if !self.baseline_nodes.is_empty() {
            // A node is counted once, whichever part came to it.
            self.visited.extend_from_slice(&self.baseline_nodes);
            self.visited.sort_unstable();
            self.visited.dedup();
        }
    }

    /// Keeps the present failures as those without the change.
    #[inline(always)]
    fn keep_baseline(&mut self) {
        self.baseline_nodes.clone_from(&self.visited);
        // Only what was visited can have failed; all other nodes keep their zeros.
        for node in &self.visited {
            let planes = &self.planes[*node];
            self.baseline[*node] =
                Failures { failed: planes[failing_plane::<P>()], degraded: planes[P - 1] };
        }
    }

    fn clear_baseline(&mut self) {
        for node in self.baseline_nodes.drain(..) {
            self.baseline[node] = NO_FAILURES;
        }
    }

    /// Returns whether anything fails in this block without the change.
    pub(super) fn has_baseline(&self) -> bool {
        !self.baseline_nodes.is_empty()
    }

    /// Propagates new failures until no node is dirty.
    #[inline(always)]
    pub(super) fn propagate_failures<B: Bits>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut impl EdgeObserver<B>,
    ) {
        // By words of 64 nodes, since most nodes of a large plan stay untouched in a block.
        let mut word = 0;
        while word < self.dirty.len() {
            if self.dirty[word] == 0 {
                word += 1;
                continue;
            }
            let node = NodeId(word as u32 * 64 + self.dirty[word].trailing_zeros());
            let group = self.plan.nodes[node].group;
            match self.graph.strategies[group] {
                CycleStrategy::Acyclic => {
                    // Nodes are in order of evaluation, so a node that is done here is never made
                    // dirty again.
                    self.dirty[word] &= self.dirty[word] - 1;
                    self.visited.push(node);
                    self.evaluate_calls(source, node);
                    self.propagate_outside(source, observer, node);
                }
                CycleStrategy::Worklist => self.iterate_worklist(source, observer, group),
                CycleStrategy::Rounds => self.iterate_rounds(source, observer, group),
            }
        }
    }

    pub(super) fn clear_states(&mut self) {
        for node in self.visited.drain(..) {
            self.planes[node] = [LaneMask::NONE; P];
            if let Some(propagated) = self.propagated.get_mut(node) {
                *propagated = [LaneMask::NONE; P];
            }
        }
        self.unsettled.clear();
    }

    #[inline(always)]
    pub(super) fn mark_dirty(&mut self, node: NodeId) {
        self.dirty[node.index() / 64] |= 1 << (node.0 % 64);
    }

    /// Merges planes into those of a node and marks it dirty if they add a lane.
    #[inline(always)]
    pub(super) fn merge_planes<B: Bits>(&mut self, bits: B, node: NodeId, planes: [B::V; P]) {
        let state = &mut self.planes[node];
        let mut any_new = bits.none();
        for plane in 0..P {
            let old = bits.load(&state[plane]);
            any_new = bits.or(any_new, bits.without(planes[plane], old));
            bits.store(&mut state[plane], bits.or(old, planes[plane]));
        }
        if !bits.is_none(any_new) {
            self.mark_dirty(node);
        }
    }

    /// Evaluates the calls of a node that are more than edges and merges the results.
    #[inline(always)]
    fn evaluate_calls<B: Bits>(&mut self, source: impl RandomSource<B>, node: NodeId) {
        for index in self.graph.evaluated_calls(node) {
            let planes = self.evaluate_call(source, *index);
            let state = &mut self.planes[node];
            for plane in 0..P {
                let old = source.vector_bits().load(&state[plane]);
                source
                    .vector_bits()
                    .store(&mut state[plane], source.vector_bits().or(old, planes[plane]));
            }
        }
    }

    /// Propagates the state of a node to all callers outside its group.
    #[inline(always)]
    fn propagate_outside<B: Bits>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut impl EdgeObserver<B>,
        node: NodeId,
    ) {
        let graph = self.graph;
        let planes = self.load_planes(source.vector_bits(), node);
        if source.vector_bits().is_none(planes[P - 1]) {
            return;
        }
        self.cross_edges_outside(source, observer, node, planes);
        for caller in graph.callers_to_evaluate(node) {
            self.mark_dirty(*caller);
        }
    }

    /// Returns the planes of a node in registers.
    #[inline(always)]
    pub(super) fn load_planes<B: Bits>(&self, bits: B, node: NodeId) -> [B::V; P] {
        let state = &self.planes[node];
        array(
            #[inline(always)]
            |plane| bits.load(&state[plane]),
        )
    }

    /// Propagates the planes of a node over all edges that leave its group.
    #[inline(always)]
    fn cross_edges_outside<B: Bits, O: EdgeObserver<B>>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut O,
        node: NodeId,
        planes: [B::V; P],
    ) {
        let (bits, graph) = (source.vector_bits(), self.graph);
        let exposure = observer.exposure_of(bits, planes);
        if O::ACTIVE && !bits.is_none(exposure.failing) {
            for (place, edge) in graph.edges_outside(node) {
                if !graph.is_observed(place) {
                    self.cross_edge(source, place, edge, planes);
                    continue;
                }
                // All affected lanes are drawn, not only those that are new to the caller: the
                // draws decide what propagated, and the caller takes its lanes from the same draws.
                let crossing = source.edge_crossings(edge, place, planes[P - 1]);
                observer.observe_edge(bits, place, edge.transform, &exposure, crossing);
                self.merge_crossing(bits, edge, planes, crossing);
            }
        } else {
            for (place, edge) in graph.edges_outside(node) {
                self.cross_edge(source, place, edge, planes);
            }
        }
    }

    /// Propagates new lanes of a node over all edges inside its group.
    #[inline(always)]
    fn cross_edges_inside<B: Bits, O: EdgeObserver<B>>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut O,
        node: NodeId,
        new: [B::V; P],
    ) {
        let (bits, graph) = (source.vector_bits(), self.graph);
        let exposure = observer.exposure_of(bits, new);
        let observes = O::ACTIVE && observer.counts_parts() && !bits.is_none(exposure.failing);
        // A lane that was degraded before and now fails is new in one plane and not in the last.
        let mut affected = new[0];
        for plane in &new[1..] {
            affected = bits.or(affected, *plane);
        }
        for (place, edge) in graph.edges_inside(node) {
            if observes && is_observed_in_parts(graph, place, edge) {
                let crossing = source.edge_crossings(edge, place, affected);
                observer.observe_edge(bits, place, edge.transform, &exposure, crossing);
                self.merge_crossing(bits, edge, new, crossing);
            } else {
                self.cross_edge(source, place, edge, new);
            }
        }
    }

    /// Merges those lanes into the caller that cross an edge to it.
    #[inline(always)]
    fn merge_crossing<B: Bits>(&mut self, bits: B, edge: &Edge, planes: [B::V; P], crossing: B::V) {
        let brought = apply_transform(bits, edge.transform, planes);
        let state = &mut self.planes[edge.caller];
        let mut any_new = bits.none();
        for plane in 0..P {
            let old = bits.load(&state[plane]);
            let crossed = bits.and(brought[plane], crossing);
            any_new = bits.or(any_new, bits.without(crossed, old));
            bits.store(&mut state[plane], bits.or(old, crossed));
        }
        if !bits.is_none(any_new) {
            self.mark_dirty(edge.caller);
        }
    }

    /// Propagates planes over an edge. Only lanes that are new to the caller are drawn, so that
    /// each edge is drawn at most once per trial.
    #[inline(always)]
    fn cross_edge<B: Bits>(
        &mut self,
        source: impl RandomSource<B>,
        place: u32,
        edge: &Edge,
        planes: [B::V; P],
    ) {
        let bits = source.vector_bits();
        let brought = apply_transform(bits, edge.transform, planes);
        let state = &mut self.planes[edge.caller];
        let mut new: [B::V; P] = array(
            #[inline(always)]
            |plane| bits.without(brought[plane], bits.load(&state[plane])),
        );
        // A lane may be new in one plane and old in another, so all planes are asked.
        let mut relevant = new[0];
        for plane in &new[1..] {
            relevant = bits.or(relevant, *plane);
        }
        // An edge that brings nothing new needs no draw.
        if bits.is_none(relevant) {
            return;
        }
        let reaches = source.edge_crossings(edge, place, relevant);
        if bits.is_none(reaches) {
            return;
        }
        for plane in &mut new {
            *plane = bits.and(*plane, reaches);
        }
        for plane in 0..P {
            let old = bits.load(&state[plane]);
            bits.store(&mut state[plane], bits.or(old, new[plane]));
        }
        self.mark_dirty(edge.caller);
    }

    /// Solves a cycle in which states only get worse: sweeps forward while nodes are dirty, then
    /// starts again from the front, until no node is.
    #[inline(always)]
    fn iterate_worklist<B: Bits>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut impl EdgeObserver<B>,
        group: GroupId,
    ) {
        let (bits, graph) = (source.vector_bits(), self.graph);
        let nodes = self.plan.groups[group].nodes;
        let first_visited = self.visited.len();
        while let Some(node) = self.next_dirty(nodes.start, nodes.end) {
            let mut next = Some(node);
            while let Some(node) = next {
                self.dirty[node.index() / 64] &= !(1 << (node.0 % 64));
                self.visited.push(node);
                self.evaluate_calls(source, node);
                let mut new = self.load_planes(bits, node);
                let mut any_new = bits.none();
                for plane in 0..P {
                    let propagated = &mut self.propagated[node][plane];
                    let before = bits.load(propagated);
                    bits.store(propagated, new[plane]);
                    // Only what is new goes on, so that an edge is drawn once for each lane.
                    new[plane] = bits.without(new[plane], before);
                    any_new = bits.or(any_new, new[plane]);
                }
                if !bits.is_none(any_new) {
                    self.cross_edges_inside(source, observer, node, new);
                    for caller in graph
                        .callers_to_evaluate(node)
                        .iter()
                        .filter(|caller| nodes.contains(**caller))
                    {
                        self.mark_dirty(*caller);
                    }
                }
                next = self.next_dirty(NodeId(node.0 + 1), nodes.end);
            }
        }
        // A node in a cycle may have been visited several times, and is counted once.
        let mut visited = self.visited.split_off(first_visited);
        visited.sort_unstable();
        visited.dedup();
        self.visited.append(&mut visited);
        self.propagate_group_outside(source, observer, first_visited);
    }

    /// Propagates the states of the visited nodes of a group to all callers outside it.
    #[inline(always)]
    fn propagate_group_outside<B: Bits>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut impl EdgeObserver<B>,
        first_visited: usize,
    ) {
        source.vector_bits().outline(
            #[inline(always)]
            || self.push_group_outside(source, observer, first_visited),
        );
    }

    #[inline(always)]
    fn push_group_outside<B: Bits>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut impl EdgeObserver<B>,
        first_visited: usize,
    ) {
        for index in first_visited..self.visited.len() {
            let node = self.visited[index];
            let group = self.plan.nodes[node].group;
            let planes = self.load_planes(source.vector_bits(), node);
            self.cross_edges_outside(source, observer, node, planes);
            for caller in self.graph.callers_to_evaluate(node) {
                if self.plan.nodes[*caller].group != group {
                    self.mark_dirty(*caller);
                }
            }
        }
    }

    /// Returns the first dirty node in `from..to`.
    #[inline(always)]
    fn next_dirty(&self, from: NodeId, to: NodeId) -> Option<NodeId> {
        let mut word = from.index() / 64;
        let mut bits = self.dirty.get(word)? & (u64::MAX << (from.0 % 64));
        loop {
            if bits != 0 {
                let node = NodeId(word as u32 * 64 + bits.trailing_zeros());
                return (node < to).then_some(node);
            }
            word += 1;
            // The bits behind `to` belong to other groups.
            if word * 64 >= to.index() {
                return None;
            }
            bits = self.dirty[word];
        }
    }

    /// Solves a cycle in which a failure may hide a wrong answer. Every round computes all nodes
    /// from the states of the round before, beginning with all-ok, exactly as the fluid engine
    /// does.
    #[inline(always)]
    fn iterate_rounds<B: Bits>(
        &mut self,
        source: impl RandomSource<B>,
        observer: &mut impl EdgeObserver<B>,
        group: GroupId,
    ) {
        let bits = source.vector_bits();
        let nodes = self.plan.groups[group].nodes;
        let first_visited = self.visited.len();
        self.visited.extend(nodes);
        for node in nodes {
            self.dirty[node.index() / 64] &= !(1 << (node.0 % 64));
        }
        // Own failures and calls that leave the cycle are the same in every round.
        let base: Vec<[LaneMask; P]> = nodes.iter().map(|node| self.planes[node]).collect();
        for node in nodes {
            self.planes[node] = [LaneMask::NONE; P];
        }
        let free = free_rounds(nodes.len());
        let mut moving = LaneMask::ALL;
        let mut unsettled = LaneMask::NONE;
        // All nodes read the states of the round before, so new ones are kept apart until it ends.
        let mut new = base.clone();
        for round in 0..free + LAST_ROUNDS {
            let mut moved = bits.none();
            for (place, node) in nodes.iter().enumerate() {
                let mut planes: [B::V; P] = array(
                    #[inline(always)]
                    |plane| bits.load(&base[place][plane]),
                );
                for index in self.graph.evaluated_calls(node) {
                    let brought = self.evaluate_call(source, *index);
                    for plane in 0..P {
                        planes[plane] = bits.or(planes[plane], brought[plane]);
                    }
                }
                for plane in 0..P {
                    let old = bits.load(&self.planes[node][plane]);
                    let mut plane_new = planes[plane];
                    // From here on nothing gets better any more, so that every cycle comes to rest.
                    if round >= free {
                        plane_new = bits.or(plane_new, old);
                    }
                    let live = bits.load(&moving);
                    // Lanes that have settled are left alone: they would only cost time.
                    let chosen = bits.or(bits.and(plane_new, live), bits.without(old, live));
                    moved = bits.or(moved, bits.xor(chosen, old));
                    bits.store(&mut new[place][plane], chosen);
                }
            }
            for (place, node) in nodes.iter().enumerate() {
                self.planes[node] = new[place];
            }
            let still = bits.and(bits.load(&moving), moved);
            bits.store(&mut moving, still);
            if moving.is_none() {
                break;
            }
            if round + 1 == free {
                unsettled = moving;
            }
        }
        if !unsettled.is_none() {
            self.record_unsettled(nodes, unsettled);
        }
        self.propagate_group_outside(source, observer, first_visited);
    }

    // Rare, and so kept out of the code that runs for every block.
    #[inline(never)]
    fn record_unsettled(&mut self, nodes: IdRange<NodeId>, unsettled: LaneMask) {
        let services = nodes.iter().filter_map(|node| self.plan.nodes[node].service);
        let services: BTreeSet<ServiceId> = services.collect();
        self.unsettled.extend(services.into_iter().map(|service| (service, unsettled)));
    }
}

/// Returns whether an edge inside a group may be counted lane by lane, as its lanes fail: what a lane
/// turns into later must not matter, which it does where a soft dependency hangs.
#[inline(always)]
pub(super) fn is_observed_in_parts(graph: &PropagationGraph, place: u32, edge: &Edge) -> bool {
    edge.transform & transform::SOFT == 0 && graph.is_observed(place)
}
