//! Trial counts of blocks, and the sinks that results of a block go to.

use super::block::BlockState;
use super::containment::{ContainmentLanes, EdgeLanes, EdgeObserver, Exposure};
use super::propagation_graph::{PropagationGraph, transform};
use super::random_source::BlockDraws;
use super::state_planes::{failing_plane, unpack_planes};
use super::{Boolean, UnitLanes};
use crate::compile::plan::{DependencyId, ServiceId};
use crate::engine::outcome::{self, Anomalies, Anomaly, Failures, Outcome, UnitOutcome};
use crate::engine::simd::{Bits, LaneMask, array};
use crate::engine::tally::{Protection, Tally};
use crate::model::id::Table;

/// Trial counts. They are integers, so that blocks may be added in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCounts {
    /// By unit, with the change, without it and because of it: failed; degraded or worse.
    pub units: Vec<[u64; 6]>,
    /// By dependency: exposed, propagated, and contained by each protection. Without the edges below.
    pub dependencies: Table<DependencyId, [u64; 2 + Protection::ALL.len()]>,
    /// By edge whose failure ends by its draw alone: exposed, propagated. Few numbers side by side,
    /// since most calls are such edges and are counted while they propagate.
    edges: Vec<[u64; 2]>,
    /// By service: in a cycle that did not settle.
    pub unsettled: Table<ServiceId, u64>,
}

impl BlockCounts {
    /// Creates counts of zero.
    pub fn new(engine: &Boolean<'_>) -> Self {
        let observed = usize::from(engine.observes);
        Self {
            units: vec![[0; 6]; engine.units.count],
            dependencies: Table::filled(
                [0; 2 + Protection::ALL.len()],
                engine.plan.dependencies.len() * observed,
            ),
            edges: vec![[0; 2]; engine.graph.edge_count() * observed],
            unsettled: Table::filled(0, engine.plan.services.len()),
        }
    }

    /// Adds the counts of other blocks.
    pub fn merge_counts(&mut self, other: &Self) {
        fn add_all<'a, const N: usize>(
            all: impl IntoIterator<Item = &'a mut [u64; N]>,
            more: impl IntoIterator<Item = &'a [u64; N]>,
        ) {
            for (all, more) in all.into_iter().flatten().zip(more.into_iter().flatten()) {
                *all += more;
            }
        }
        add_all(&mut self.units, &other.units);
        add_all(&mut self.dependencies, &other.dependencies);
        add_all(&mut self.edges, &other.edges);
        for (all, more) in self.unsettled.iter_mut().zip(&other.unsettled) {
            *all += more;
        }
    }

    /// Adds the counts of this many trials to a tally.
    pub fn add_to(&self, engine: &Boolean<'_>, tally: &mut Tally, trials: u64) {
        tally.trials += trials;
        for (unit, counts) in tally.units.iter_mut().zip(&self.units) {
            let [failed, degraded, anyway_failed, anyway_degraded, caused_failed, caused_degraded] =
                counts;
            unit.failed += failed;
            unit.degraded += degraded;
            unit.baseline.failed += anyway_failed;
            unit.baseline.degraded += anyway_degraded;
            unit.caused.failed += caused_failed;
            unit.caused.degraded += caused_degraded;
            // Of a share that is 0 or 1 the sum is the number of failures.
            unit.share += *failed as f64;
        }
        for (all, [tried, passed, held @ ..]) in
            tally.dependencies.iter_mut().zip(&self.dependencies)
        {
            all.tried += tried;
            all.passed += passed;
            for (all, held) in all.held.iter_mut().zip(held) {
                *all += held;
            }
        }
        for (place, [exposed, passed]) in (0..).zip(&self.edges) {
            let Some(dependency) = engine.graph.observed_at(place) else { continue };
            if *exposed == 0 {
                continue;
            }
            let all = &mut tally.dependencies[dependency];
            all.tried += exposed;
            all.passed += passed;
            // Without other protections, what does not propagate was held by the draw.
            all.held[Protection::Propagation as usize] += exposed - passed;
        }
        for (all, unsettled) in tally.anomalies.iter_mut().zip(&self.unsettled) {
            all.unsettled += unsettled;
        }
    }

    fn add_containment(&mut self, dependency: DependencyId, seen: &ContainmentLanes) {
        let [tried, passed, held @ ..] = &mut self.dependencies[dependency];
        *tried += u64::from(seen.tried.count());
        *passed += u64::from(seen.passed.count());
        for (all, word) in held.iter_mut().zip(&seen.held) {
            *all += u64::from(word.count());
        }
    }
}

/// Destination of the results of a block. One type for both, since a generic sink would compile the
/// engine twice.
pub(super) enum BlockSink<'s> {
    Counts(&'s mut BlockCounts),
    Outcomes(&'s mut [Outcome]),
}

impl BlockSink<'_> {
    /// Adds the lanes in which a unit failed. `has_baseline` is whether anything at all fails without
    /// the change.
    #[inline(always)]
    pub(super) fn add_unit<B: Bits, const P: usize>(
        &mut self,
        bits: B,
        unit: u32,
        lanes: UnitLanes<B::V>,
        has_baseline: bool,
    ) {
        let caused_failed = bits.without(lanes.failed, lanes.baseline_failed);
        let caused_degraded = bits.without(lanes.degraded, lanes.baseline_degraded);
        match self {
            Self::Counts(counts) => {
                let counts = &mut counts.units[unit as usize];
                let mut add = |place: usize, failed: u32, degraded: u32| {
                    counts[place] += u64::from(failed);
                    counts[place + 1] += u64::from(degraded);
                };
                let (failed, degraded) = count_pair::<B, P>(bits, lanes.failed, lanes.degraded);
                add(0, failed, degraded);
                if has_baseline {
                    let (failed, degraded) =
                        count_pair::<B, P>(bits, lanes.baseline_failed, lanes.baseline_degraded);
                    add(2, failed, degraded);
                    let (failed, degraded) =
                        count_pair::<B, P>(bits, caused_failed, caused_degraded);
                    add(4, failed, degraded);
                } else {
                    add(4, failed, degraded);
                }
            }
            Self::Outcomes(outcomes) => {
                let masks = |failed: B::V, degraded: B::V| Failures {
                    failed: bits.to_mask(failed),
                    degraded: bits.to_mask(degraded),
                };
                record_unit(
                    outcomes,
                    unit,
                    &masks(lanes.failed, lanes.degraded),
                    &masks(lanes.baseline_failed, lanes.baseline_degraded),
                    &masks(caused_failed, caused_degraded),
                );
            }
        }
    }

    /// Adds the containment at one dependency.
    fn add_dependency(&mut self, dependency: DependencyId, seen: &ContainmentLanes) {
        match self {
            Self::Counts(counts) => counts.add_containment(dependency, seen),
            Self::Outcomes(outcomes) => record_dependency(outcomes, dependency, seen),
        }
    }

    /// Adds the lanes in which the cycle of a service did not settle.
    pub(super) fn add_unsettled(&mut self, service: ServiceId, lanes: &LaneMask) {
        match self {
            Self::Counts(counts) => {
                counts.unsettled[service] += u64::from(lanes.count());
            }
            Self::Outcomes(outcomes) => {
                for (outcome, unsettled) in outcomes.iter_mut().zip(lanes.0) {
                    let trials = Anomalies { unsettled, ..Anomalies::default() };
                    outcome.anomalies.push(Anomaly { service, trials });
                }
            }
        }
    }
}

/// Returns the numbers of failed lanes and of lanes that are degraded or worse.
#[inline(always)]
fn count_pair<B: Bits, const P: usize>(bits: B, failed: B::V, degraded: B::V) -> (u32, u32) {
    let failures = bits.count(failed);
    // With one plane both are the same lanes.
    (failures, if P == 1 { failures } else { bits.count(degraded) })
}

/// Observer that adds what it sees in the valid lanes to a sink.
pub(super) struct SinkObserver<'s, 'g, B: Bits> {
    pub(super) sink: BlockSink<'s>,
    pub(super) graph: &'g PropagationGraph,
    pub(super) valid: B::V,
    /// Whether containment is counted at all.
    pub(super) observes: bool,
    /// Whether the edges that are crossed now are observed.
    pub(super) is_active: bool,
}

impl<B: Bits> SinkObserver<'_, '_, B> {
    /// Adds the dependencies whose calls are more than edges.
    #[inline(always)]
    pub(super) fn observe_calls<const P: usize>(
        &mut self,
        bits: B,
        block_state: &BlockState<'_, P>,
        draws: BlockDraws<'_, B>,
    ) {
        let valid = self.valid;
        block_state.observe_calls(
            draws,
            #[inline(always)]
            |dependency, seen| {
                let seen = ContainmentLanes {
                    tried: valid_mask(bits, &seen.tried, valid),
                    passed: valid_mask(bits, &seen.passed, valid),
                    held: array(
                        #[inline(always)]
                        |guard| valid_mask(bits, &seen.held[guard], valid),
                    ),
                };
                self.sink.add_dependency(dependency, &seen);
            },
        );
    }
}

impl<B: Bits> EdgeObserver<B> for SinkObserver<'_, '_, B> {
    const ACTIVE: bool = true;

    #[inline(always)]
    fn set_active(&mut self, active: bool) {
        self.is_active = self.observes && active;
    }

    #[inline(always)]
    fn counts_parts(&self) -> bool {
        self.is_active && matches!(self.sink, BlockSink::Counts(_))
    }

    #[inline(always)]
    fn exposure_of<const P: usize>(&self, bits: B, planes: [B::V; P]) -> Exposure<B::V> {
        let none = bits.none();
        if !self.is_active {
            return Exposure { failing: none, slow: none, corrupt: none, count: 0 };
        }
        let failing = bits.and(planes[failing_plane::<P>()], self.valid);
        let (mut slow, mut corrupt) = (none, none);
        // With fewer planes nothing is slow or corrupt.
        if P == 4 {
            let state = unpack_planes(bits, planes);
            slow = bits.and(state.slow, self.valid);
            corrupt = bits.and(state.corrupt, self.valid);
        }
        Exposure { failing, slow, corrupt, count: bits.count(failing) }
    }

    #[inline(always)]
    fn observe_edge(
        &mut self,
        bits: B,
        place: u32,
        transform: u8,
        exposure: &Exposure<B::V>,
        crossing: B::V,
    ) {
        if transform & transform::SOFT == 0
            && let BlockSink::Counts(counts) = &mut self.sink
        {
            let [exposed, passed] = &mut counts.edges[place as usize];
            *exposed += u64::from(exposure.count);
            *passed += u64::from(bits.count(bits.and(exposure.failing, crossing)));
            return;
        }
        let Some(dependency) = self.graph.observed_at(place) else { return };
        let lanes = EdgeLanes::new(bits, transform, exposure, crossing);
        match &mut self.sink {
            BlockSink::Counts(counts) => {
                let [exposed, passed, held @ ..] = &mut counts.dependencies[dependency];
                *exposed += u64::from(exposure.count);
                *passed += u64::from(bits.count(lanes.passed));
                for (protection, lanes) in lanes.held {
                    held[protection as usize] += u64::from(bits.count(lanes));
                }
            }
            BlockSink::Outcomes(outcomes) => {
                let mut seen = ContainmentLanes {
                    tried: bits.to_mask(exposure.failing),
                    passed: bits.to_mask(lanes.passed),
                    held: [LaneMask::NONE; Protection::ALL.len()],
                };
                for (protection, lanes) in lanes.held {
                    seen.held[protection as usize] = bits.to_mask(lanes);
                }
                record_dependency(outcomes, dependency, &seen);
            }
        }
    }
}

/// Returns the lanes of a mask that are valid.
#[inline(always)]
fn valid_mask<B: Bits>(bits: B, lanes: &LaneMask, valid: B::V) -> LaneMask {
    bits.to_mask(bits.and(bits.load(lanes), valid))
}

// Outcomes are wanted for few trials, so this stays out of the code that counts.
#[inline(never)]
fn record_unit(
    outcomes: &mut [Outcome],
    unit: u32,
    with: &Failures<LaneMask>,
    baseline: &Failures<LaneMask>,
    caused: &Failures<LaneMask>,
) {
    for (part, outcome) in outcomes.iter_mut().enumerate() {
        let of_part = |failures: &Failures<LaneMask>| failures.map(|mask| mask.0[part]);
        let Failures { failed, degraded } = of_part(with);
        outcome.units[unit as usize] = UnitOutcome {
            failed,
            degraded,
            baseline: of_part(baseline),
            caused: of_part(caused),
            share: f64::from(failed.count_ones()),
            late: 0.0,
        };
        let first_flow = outcome.units.len() - outcome.flows.len();
        if let Some(flow) = (unit as usize).checked_sub(first_flow) {
            outcome.flows[flow].share =
                std::array::from_fn(|trial| f64::from((failed >> trial & 1) as u8));
        }
    }
}

#[inline(never)]
fn record_dependency(outcomes: &mut [Outcome], dependency: DependencyId, seen: &ContainmentLanes) {
    for (part, outcome) in outcomes.iter_mut().enumerate() {
        outcome.dependencies.push(outcome::DependencyOutcome {
            dependency,
            tried: seen.tried.0[part],
            passed: seen.passed.0[part],
            held: std::array::from_fn(|by| seen.held[by].0[part]),
        });
    }
}
