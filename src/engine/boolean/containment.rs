//! Containment at every dependency: where failure propagated to the caller, and which protection
//! contained it.

use super::block::{BlockState, is_observed_in_parts};
use super::call_pipeline::{CallObserver, NoObserver};
use super::propagation_graph::transform;
use super::random_source::{BlockDraws, RandomSource as _};
use super::state_planes::failing_lanes;
use crate::compile::plan::{Call, DependencyId};
use crate::engine::pipeline::StateSets;
use crate::engine::simd::{Bits, LaneMask, array};
use crate::engine::tally::Protection;

/// Observes failure at the edges of the propagation graph while it propagates.
pub(super) trait EdgeObserver<B: Bits> {
    /// Whether anything is observed.
    const ACTIVE: bool;

    /// Sets whether the edges crossed from now on are observed.
    fn set_active(&mut self, active: bool);

    /// Returns whether an edge may be observed several times, each time for other lanes.
    fn counts_parts(&self) -> bool;

    /// Returns the exposure of the callers of a node with these planes.
    fn exposure_of<const P: usize>(&self, bits: B, planes: [B::V; P]) -> Exposure<B::V>;

    /// Receives the lanes that cross an edge whose dependency is observed.
    fn observe_edge(
        &mut self,
        bits: B,
        place: u32,
        transform: u8,
        exposure: &Exposure<B::V>,
        crossing: B::V,
    );
}

/// Failing lanes of a node, which are the same at all edges to its callers.
#[derive(Clone, Copy)]
pub(super) struct Exposure<V> {
    /// Slow, down or corrupt.
    pub(super) failing: V,
    pub(super) slow: V,
    pub(super) corrupt: V,
    /// Number of failing lanes.
    pub(super) count: u32,
}

impl<B: Bits> EdgeObserver<B> for NoObserver {
    const ACTIVE: bool = false;

    #[inline(always)]
    fn set_active(&mut self, _active: bool) {}

    #[inline(always)]
    fn counts_parts(&self) -> bool {
        false
    }

    #[inline(always)]
    fn exposure_of<const P: usize>(&self, bits: B, _planes: [B::V; P]) -> Exposure<B::V> {
        let none = bits.none();
        Exposure { failing: none, slow: none, corrupt: none, count: 0 }
    }

    #[inline(always)]
    fn observe_edge(
        &mut self,
        _bits: B,
        _place: u32,
        _transform: u8,
        _exposure: &Exposure<B::V>,
        _crossing: B::V,
    ) {
    }
}

/// Lanes of each outcome at an edge. Only four protections can act there: without buffer, cache,
/// fallback and `any_of`, failure ends by `criticality: soft` or does not propagate.
pub(super) struct EdgeLanes<V> {
    pub(super) passed: V,
    pub(super) held: [(Protection, V); 4],
}

impl<V: Copy> EdgeLanes<V> {
    /// Applies the steps of a call that is no more than an edge.
    #[inline(always)]
    pub(super) fn new<B: Bits<V = V>>(
        bits: B,
        transform: u8,
        exposure: &Exposure<V>,
        crossing: V,
    ) -> Self {
        let none = bits.none();
        let crossed = bits.and(exposure.failing, crossing);
        let (mut passed, mut timeout, mut validation) = (crossed, none, none);
        if transform & transform::SOFT != 0 {
            // A soft dependency that hangs still blocks the caller unless the call gives up.
            let slow = bits.and(exposure.slow, crossing);
            (passed, timeout) =
                if transform & transform::GIVES_UP != 0 { (none, slow) } else { (slow, none) };
            if transform & transform::VALIDATES != 0 {
                validation = bits.and(exposure.corrupt, crossing);
            }
        }
        let soft = bits.without(crossed, bits.or(passed, bits.or(timeout, validation)));
        let held = [
            (Protection::Soft, soft),
            (Protection::Timeout, timeout),
            (Protection::Validation, validation),
            (Protection::Propagation, bits.without(exposure.failing, crossing)),
        ];
        Self { passed, held }
    }
}

impl<const P: usize> BlockState<'_, P> {
    /// Observes the edges that could not be observed while failures propagated: those inside cycles
    /// where states are known only after the last round, and all where failures began in a state
    /// that was not empty.
    #[inline(always)]
    pub(super) fn observe_other_edges<B: Bits>(
        &self,
        draws: BlockDraws<'_, B>,
        observer: &mut impl EdgeObserver<B>,
    ) {
        let bits = draws.bits;
        // Without cycles everything was observed while it propagated.
        if self.observed_edges && self.propagated.is_empty() {
            return;
        }
        observer.set_active(true);
        let has_parts = self.observed_edges && observer.counts_parts();
        for node in &self.visited {
            let exposure = observer.exposure_of(bits, self.load_planes(bits, *node));
            if bits.is_none(exposure.failing) {
                continue;
            }
            for (place, edge) in self.graph.edges_from(*node, !self.observed_edges) {
                let is_done = has_parts && is_observed_in_parts(self.graph, place, edge);
                if self.graph.is_observed(place) && !is_done {
                    let crossing = draws.edge_crossings(edge, place, exposure.failing);
                    observer.observe_edge(bits, place, edge.transform, &exposure, crossing);
                }
            }
        }
    }

    /// Calls `see` for every dependency that was exposed to failure and whose call is more than an
    /// edge, with the lanes of each outcome.
    #[inline(always)]
    pub(super) fn observe_calls<B: Bits>(
        &self,
        draws: BlockDraws<'_, B>,
        mut see: impl FnMut(DependencyId, &ContainmentLanes),
    ) {
        let bits = draws.bits;
        let mut calls = Vec::new();
        for node in &self.visited {
            // A call with several members is found once for each of them.
            calls.extend_from_slice(self.graph.observed_calls(*node));
        }
        calls.sort_unstable();
        calls.dedup();
        for index in calls {
            let call = &self.plan.calls[index];
            let mut watch = ContainmentObserver::new(bits);
            let passed = failing_lanes(bits, &self.run_pipeline(draws, call, &mut watch));
            if !bits.is_none(watch.entered) {
                let dependency = &self.plan.dependencies[call.dependency];
                // From the same draws as in the pipeline, so that they agree.
                let reaches = draws.propagation_lanes(call.dependency, dependency, watch.entered);
                let unlucky = bits.without(watch.entered, reaches);
                see(call.dependency, &watch.containment_of(bits, call, passed, unlucky));
            }
        }
    }
}

/// Lanes of each outcome at one dependency.
pub(super) struct ContainmentLanes {
    pub(super) tried: LaneMask,
    pub(super) passed: LaneMask,
    pub(super) held: [LaneMask; Protection::ALL.len()],
}

/// Follows the steps of one call, with the same rules as the fluid engine.
struct ContainmentObserver<B: Bits> {
    entered: B::V,
    slow: B::V,
    corrupt: B::V,
    left: [B::V; Protection::ALL.len()],
    has_acted: [bool; Protection::ALL.len()],
}

impl<B: Bits> ContainmentObserver<B> {
    fn new(bits: B) -> Self {
        let none = bits.none();
        Self {
            entered: none,
            slow: none,
            corrupt: none,
            left: [none; Protection::ALL.len()],
            has_acted: [false; Protection::ALL.len()],
        }
    }

    #[inline(always)]
    fn containment_of(
        &self,
        bits: B,
        call: &Call,
        passed: B::V,
        unlucky: B::V,
    ) -> ContainmentLanes {
        let mut held = [bits.none(); Protection::ALL.len()];
        let mut was_held = bits.none();
        for step in Protection::STEPS.into_iter().filter(|step| self.has_acted[*step as usize]) {
            let is_held = bits.without(self.entered, self.left[step as usize]);
            // What an earlier step held already is credited to it.
            let now = bits.without(is_held, was_held);
            for by in &mut held {
                // A step that fails again what was held takes the credit from those before it.
                *by = bits.without(*by, now);
            }
            held[step as usize] = bits.or(held[step as usize], now);
            was_held = is_held;
        }
        if call.gives_up {
            credit_enabler(bits, &mut held, Protection::Timeout, self.slow);
        }
        if call.validates {
            credit_enabler(bits, &mut held, Protection::Validation, self.corrupt);
        }
        for by in &mut held {
            // Where the draw would have ended failure anyway, no protection is credited.
            *by = bits.without(*by, unlucky);
        }
        held[Protection::Propagation as usize] = unlucky;
        let contained = bits.without(self.entered, passed);
        ContainmentLanes {
            tried: bits.to_mask(self.entered),
            passed: bits.to_mask(bits.and(self.entered, passed)),
            held: array(
                #[inline(always)]
                |by| bits.to_mask(bits.and(held[by], contained)),
            ),
        }
    }
}

/// Credits a protection without which the one that contained failure could not have acted.
#[inline(always)]
fn credit_enabler<B: Bits>(
    bits: B,
    held: &mut [B::V; Protection::ALL.len()],
    enabler: Protection,
    lanes: B::V,
) {
    for protection in
        [Protection::Redundancy, Protection::Retry, Protection::Fallback, Protection::Soft]
    {
        let enabled = bits.and(held[protection as usize], lanes);
        held[protection as usize] = bits.without(held[protection as usize], enabled);
        held[enabler as usize] = bits.or(held[enabler as usize], enabled);
    }
}

impl<B: Bits> CallObserver<B> for ContainmentObserver<B> {
    #[inline(always)]
    fn observe_member(&mut self, bits: B, raw: &StateSets<B::V>) {
        // Among several members the first failing one decides which protection is credited.
        self.slow = bits.or(self.slow, bits.without(raw.slow, self.entered));
        self.corrupt = bits.or(self.corrupt, bits.without(raw.corrupt, self.entered));
        self.entered = bits.or(self.entered, failing_lanes(bits, raw));
    }

    #[inline(always)]
    fn observe_step(&mut self, bits: B, guard: Protection, state: &StateSets<B::V>) {
        self.has_acted[guard as usize] = true;
        self.left[guard as usize] = bits.or(self.left[guard as usize], failing_lanes(bits, state));
    }
}
