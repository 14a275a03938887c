//! Engine for plans in which every share is 0 or 1: simulates 512 trials per vector word.
//!
//! Uses the same draws and gives the same results as the fluid engine, trial by trial. New failures
//! are pushed from a node to its callers, and an edge is drawn only where a new failure meets it.
//! Calls that are more than an edge are evaluated when a node that they refer to has changed.

mod block;
mod call_pipeline;
mod containment;
mod eligibility;
mod impacts;
mod lane_counter;
mod own_failures;
mod propagation_graph;
mod random_source;
mod sampled_block;
mod state_planes;

use block::BlockState;
use containment::ContainmentLanes;
use eligibility::PossibleStates;
pub use impacts::LANES;
use propagation_graph::PropagationGraph;
use random_source::BlockDraws;
use state_planes::failing_plane;

use super::origins::{FailureMode, Impact, Origin};
use super::outcome::{self, Anomalies, Anomaly, Failures, Flow, Outcome, TRIALS, Unit};
use super::simd::{self, Bits, InstructionSet, LaneMask, SimdTask, array};
use super::tally::{Protection, Tally};
use crate::compile::Plan;
use crate::compile::plan::NONE;

/// Number of trials in a block.
pub const BLOCK: u64 = 512;

/// Engine for one Boolean plan.
pub struct Boolean<'a> {
    plan: &'a Plan,
    graph: PropagationGraph,
    planes: usize,
    /// Services that may be down in the background or through a target domain.
    may_be_down: Vec<u32>,
    units: UnitNodes,
    level: InstructionSet,
    /// Whether containment is counted at each dependency.
    observes: bool,
    /// Whether more failures never lead to fewer. Then simulating the change continues from the
    /// state without it, instead of starting again.
    accumulates: bool,
}

/// Nodes that make up each unit.
struct UnitNodes {
    /// Unit by node where the node is a unit of its own, else [`NONE`].
    single: Vec<u32>,
    /// Services with endpoints, with all their nodes.
    multi_node: Vec<(u32, Vec<u32>)>,
    /// Number of units.
    count: usize,
}

/// Returns why a plan is not Boolean, or `None` if it is.
pub fn find_obstacle(plan: &Plan) -> Option<&'static str> {
    eligibility::find_obstacle(plan, &eligibility::possible_states(plan))
}

/// Properties of the cycles of a Boolean plan that the exact engine needs.
pub(super) struct CycleShape {
    /// By group: whether it is a cycle in which states only get worse, so that every order of
    /// evaluation ends at the same least fixed point.
    pub(super) only_worsens: Vec<bool>,
}

/// Returns the cycle properties of a plan, or why it is not Boolean.
pub(super) fn cycle_shape(plan: &Plan) -> Result<CycleShape, &'static str> {
    let possible = eligibility::possible_states(plan);
    if let Some(obstacle) = eligibility::find_obstacle(plan, &possible) {
        return Err(obstacle);
    }
    let planes = planes(plan, &possible);
    let groups = 0..plan.groups.len();
    let only_worsens = groups.map(|group| {
        propagation_graph::cycle_strategy(plan, group, planes)
            == propagation_graph::CycleStrategy::Worklist
    });
    Ok(CycleShape { only_worsens: only_worsens.collect() })
}

/// Returns why a plan is not Boolean when one of these origins breaks, or `None` if it is.
pub fn find_obstacle_with_origins(
    plan: &Plan,
    origins: &[Origin],
    mode: FailureMode,
) -> Option<&'static str> {
    eligibility::find_obstacle(plan, &eligibility::possible_states_with(plan, origins, mode))
}

/// Returns the number of planes that a plan needs.
fn planes(plan: &Plan, possible: &[PossibleStates]) -> usize {
    let any = |is: fn(&PossibleStates) -> bool| possible.iter().any(is) && !plan.nodes.is_empty();
    match () {
        () if any(|possible| possible.slow || possible.corrupt) => 4,
        () if any(|possible| possible.degraded) => 2,
        () => 1,
    }
}

impl<'a> Boolean<'a> {
    /// Creates an engine for a plan without an obstacle; see [`find_obstacle`].
    pub fn new(plan: &'a Plan, level: InstructionSet, observes: bool) -> Self {
        Self::of(plan, &eligibility::possible_states(plan), level, observes)
    }

    /// Creates an engine in which any of these origins may break, one at a time.
    pub fn for_origins(
        plan: &'a Plan,
        level: InstructionSet,
        origins: &[Origin],
        mode: FailureMode,
    ) -> Self {
        Self::of(plan, &eligibility::possible_states_with(plan, origins, mode), level, false)
    }

    fn of(
        plan: &'a Plan,
        possible: &[PossibleStates],
        level: InstructionSet,
        observes: bool,
    ) -> Self {
        debug_assert!(eligibility::find_obstacle(plan, possible).is_none(), "the plan is Boolean");
        let may_be_down = (0..plan.services.len() as u32).filter(|service| {
            // Targets are applied separately; these are the other reasons to be down.
            let it = &plan.services[*service as usize];
            it.unavailability > 0.0
                || it.during
                || !it.domains.is_empty()
                || plan.replicas[it.replicas.start as usize..it.replicas.end as usize]
                    .iter()
                    .any(|replica| replica.unavailability > 0.0 || replica.domain != NONE)
        });
        let plane_count = planes(plan, possible);
        Self {
            plan,
            graph: PropagationGraph::new(plan, possible),
            planes: plane_count,
            accumulates: plan
                .calls
                .iter()
                .all(|call| propagation_graph::is_monotone(call, plane_count)),
            may_be_down: may_be_down.collect(),
            units: UnitNodes::new(plan),
            level,
            observes,
        }
    }

    /// Returns scratch buffers for the blocks of one thread.
    pub fn scratch(&'a self) -> Scratch<'a> {
        let planes = match self.planes {
            1 => Planes::One(BlockState::new(self.plan, &self.graph, &self.may_be_down)),
            2 => Planes::Two(BlockState::new(self.plan, &self.graph, &self.may_be_down)),
            _ => Planes::Four(BlockState::new(self.plan, &self.graph, &self.may_be_down)),
        };
        Scratch { planes }
    }

    /// Adds those trials of a block to `counts` that are in `valid`.
    pub fn count(
        &'a self,
        scratch: &mut Scratch<'a>,
        seed: u64,
        block: u64,
        valid: &LaneMask,
        counts: &mut BlockCounts,
    ) {
        self.block(scratch, seed, block, valid, BlockSink::Counts(counts));
    }

    /// Returns the outcomes of a block, 64 trials each, of the trials in `valid`.
    pub fn outcomes(
        &'a self,
        scratch: &mut Scratch<'a>,
        seed: u64,
        block: u64,
        valid: &LaneMask,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> =
            valid.0.iter().map(|valid| self.empty_outcome(*valid)).collect();
        self.block(scratch, seed, block, valid, BlockSink::Outcomes(&mut outcomes));
        for outcome in &mut outcomes {
            outcome.dependencies.retain(|it| it.tried != 0);
            outcome.dependencies.sort_unstable_by_key(|it| it.dependency);
            outcome.anomalies.retain(|it| it.trials.unsettled != 0);
        }
        outcomes.retain(|outcome| outcome.valid != 0);
        outcomes
    }

    /// Returns the impact of each of up to [`LANES`] origins in the trials of a block that are in
    /// `valid`.
    pub fn impacts(
        &'a self,
        seed: u64,
        block: u64,
        valid: &LaneMask,
        origins: &[Origin],
        mode: FailureMode,
    ) -> Vec<Impact> {
        let engine = self;
        // Plans with one plane use two here: one more compiled copy would not pay for rankings.
        if self.planes < 4 {
            let block_state = &mut BlockState::<2>::new(self.plan, &self.graph, &self.may_be_down);
            let task =
                impacts::RankBlock { engine, block_state, seed, block, valid, origins, mode };
            simd::run_task(self.level, task)
        } else {
            let block_state = &mut BlockState::<4>::new(self.plan, &self.graph, &self.may_be_down);
            let task =
                impacts::RankBlock { engine, block_state, seed, block, valid, origins, mode };
            simd::run_task(self.level, task)
        }
    }

    /// Calls `see` for every unit that may be affected, with the failed lanes and the lanes that
    /// are degraded or worse.
    #[inline(always)]
    fn for_each_unit<B: Bits, const P: usize>(
        &self,
        block_state: &BlockState<'_, P>,
        bits: B,
        mut see: impl FnMut(u32, B::V, B::V),
    ) {
        for node in &block_state.visited {
            let unit = self.units.single[*node as usize];
            if unit != NONE {
                let state = &block_state.planes[*node as usize];
                see(unit, bits.load(&state[failing_plane::<P>()]), bits.load(&state[P - 1]));
            }
        }
        for (service, nodes) in &self.units.multi_node {
            let worst = |plane: usize| {
                let words =
                    nodes.iter().map(|node| bits.load(&block_state.planes[*node as usize][plane]));
                words.fold(bits.none(), |all, word| bits.or(all, word))
            };
            see(*service, worst(failing_plane::<P>()), worst(P - 1));
        }
    }

    fn empty_outcome(&self, valid: u64) -> Outcome {
        let none = [f64::NAN; TRIALS];
        let flow =
            || Flow { share: [0.0; TRIALS], lost: none, wrong: none, outage: none, unfinished: 0 };
        Outcome {
            valid,
            units: vec![Unit::default(); self.units.count],
            times: Vec::new(),
            flows: self.plan.flows.iter().map(|_| flow()).collect(),
            dependencies: Vec::new(),
            anomalies: Vec::new(),
            course: None,
        }
    }

    fn block(
        &'a self,
        scratch: &mut Scratch<'a>,
        seed: u64,
        block: u64,
        valid: &LaneMask,
        sink: BlockSink<'_>,
    ) {
        match &mut scratch.planes {
            Planes::One(block_state) => {
                simd::run_task(
                    self.level,
                    SimulateBlock { engine: self, block_state, seed, block, valid, sink },
                );
            }
            Planes::Two(block_state) => {
                simd::run_task(
                    self.level,
                    SimulateBlock { engine: self, block_state, seed, block, valid, sink },
                );
            }
            Planes::Four(block_state) => {
                simd::run_task(
                    self.level,
                    SimulateBlock { engine: self, block_state, seed, block, valid, sink },
                );
            }
        }
    }
}

impl UnitNodes {
    fn new(plan: &Plan) -> Self {
        let mut single = vec![NONE; plan.nodes.len()];
        let mut multi_node = Vec::new();
        let mut next = plan.services.len() as u32;
        for (service, it) in plan.services.iter().enumerate() {
            if it.endpoints.is_empty() {
                single[it.node as usize] = service as u32;
            } else {
                multi_node.push((service as u32, plan.nodes_of(service as u32).collect()));
            }
            for endpoint in &it.endpoints {
                single[*endpoint as usize] = next;
                next += 1;
            }
        }
        for flow in &plan.flows {
            single[flow.node as usize] = next;
            next += 1;
        }
        Self { single, multi_node, count: next as usize }
    }
}

/// Scratch buffers for the blocks of one thread.
pub struct Scratch<'a> {
    planes: Planes<'a>,
}

enum Planes<'a> {
    One(BlockState<'a, 1>),
    Two(BlockState<'a, 2>),
    Four(BlockState<'a, 4>),
}

/// Destination of the results of a block. One type for both, since a generic sink would compile the
/// engine twice.
enum BlockSink<'s> {
    Counts(&'s mut BlockCounts),
    Outcomes(&'s mut [Outcome]),
}

impl BlockSink<'_> {
    /// Adds the lanes in which a unit failed, and those in which it was degraded or worse.
    #[inline(always)]
    fn unit(&mut self, unit: u32, seen: &UnitLanes) {
        match self {
            Self::Counts(counts) => counts.unit(unit, seen),
            Self::Outcomes(outcomes) => note_unit(outcomes, unit, seen),
        }
    }

    /// Adds the containment at one dependency.
    #[inline(always)]
    fn dependency(&mut self, dependency: u32, seen: &ContainmentLanes) {
        match self {
            Self::Counts(counts) => counts.dependency(dependency, seen),
            Self::Outcomes(outcomes) => note_dependency(outcomes, dependency, seen),
        }
    }

    /// Adds the lanes in which the cycle of a service did not settle.
    fn unsettled(&mut self, service: u32, lanes: &LaneMask) {
        match self {
            Self::Counts(counts) => {
                counts.unsettled[service as usize] += u64::from(lanes.count());
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

/// Lanes in which a unit fails.
struct UnitLanes {
    with: Failures<LaneMask>,
    baseline: Failures<LaneMask>,
    caused: Failures<LaneMask>,
}

impl UnitLanes {
    /// Compares a unit with the change and without it.
    #[inline(always)]
    fn new<B: Bits>(bits: B, with: Failures<LaneMask>, baseline: Failures<LaneMask>) -> Self {
        let beyond = |with: &LaneMask, without: &LaneMask| {
            bits.to_mask(bits.without(bits.load(with), bits.load(without)))
        };
        let caused = Failures {
            failed: beyond(&with.failed, &baseline.failed),
            degraded: beyond(&with.degraded, &baseline.degraded),
        };
        Self { with, baseline, caused }
    }
}

struct SimulateBlock<'t, 'a, const P: usize> {
    engine: &'t Boolean<'a>,
    block_state: &'t mut BlockState<'a, P>,
    seed: u64,
    block: u64,
    valid: &'t LaneMask,
    sink: BlockSink<'t>,
}

impl<const P: usize> SimdTask for SimulateBlock<'_, '_, P> {
    type Output = ();

    #[inline(always)]
    fn run<B: Bits>(self, bits: B) {
        let Self { engine, block_state, seed, block, valid, mut sink } = self;
        block_state.block(bits, seed, block, engine.accumulates);
        let counted = bits.load(valid);
        let masked = |mask: &LaneMask| bits.to_mask(bits.and(bits.load(mask), counted));
        for node in &block_state.visited {
            let unit = engine.units.single[*node as usize];
            if unit != NONE {
                let planes = &block_state.planes[*node as usize];
                let with = Failures {
                    failed: masked(&planes[failing_plane::<P>()]),
                    degraded: masked(&planes[P - 1]),
                };
                let baseline = block_state.baseline[*node as usize].map(masked);
                sink.unit(unit, &UnitLanes::new(bits, with, baseline));
            }
        }
        for (service, nodes) in &engine.units.multi_node {
            let worst = |of: &dyn Fn(usize) -> LaneMask| {
                let masks = nodes.iter().map(|node| bits.load(&of(*node as usize)));
                let worst = masks.fold(bits.none(), |all, mask| bits.or(all, mask));
                bits.to_mask(bits.and(worst, counted))
            };
            let with = Failures {
                failed: worst(&|node| block_state.planes[node][failing_plane::<P>()]),
                degraded: worst(&|node| block_state.planes[node][P - 1]),
            };
            let baseline = Failures {
                failed: worst(&|node| block_state.baseline[node].failed),
                degraded: worst(&|node| block_state.baseline[node].degraded),
            };
            sink.unit(*service, &UnitLanes::new(bits, with, baseline));
        }
        if engine.observes {
            let draws = BlockDraws::new(bits, &block_state.keys);
            block_state.observe_containment(draws, |dependency, seen| {
                let seen = ContainmentLanes {
                    tried: masked(&seen.tried),
                    passed: masked(&seen.passed),
                    held: array(|guard| masked(&seen.held[guard])),
                };
                sink.dependency(dependency, &seen);
            });
        }
        for (service, lanes) in &block_state.unsettled {
            sink.unsettled(*service, &masked(lanes));
        }
    }
}

/// Trial counts. They are integers, so that blocks may be added in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCounts {
    /// By unit, with the change, without it and because of it: failed; degraded or worse.
    pub units: Vec<[u64; 6]>,
    /// By dependency: exposed, propagated, and contained by each protection.
    pub dependencies: Vec<[u64; 2 + Protection::ALL.len()]>,
    /// By service: in a cycle that did not settle.
    pub unsettled: Vec<u64>,
}

impl BlockCounts {
    /// Creates counts of zero.
    pub fn new(engine: &Boolean<'_>) -> Self {
        let dependencies = if engine.observes { engine.plan.dependencies.len() } else { 0 };
        Self {
            units: vec![[0; 6]; engine.units.count],
            dependencies: vec![[0; 2 + Protection::ALL.len()]; dependencies],
            unsettled: vec![0; engine.plan.services.len()],
        }
    }

    /// Adds the counts of other blocks.
    pub fn merge(&mut self, other: &Self) {
        fn add<const N: usize>(all: &mut [[u64; N]], more: &[[u64; N]]) {
            for (all, more) in all.iter_mut().flatten().zip(more.iter().flatten()) {
                *all += more;
            }
        }
        add(&mut self.units, &other.units);
        add(&mut self.dependencies, &other.dependencies);
        for (all, more) in self.unsettled.iter_mut().zip(&other.unsettled) {
            *all += more;
        }
    }

    /// Adds the counts of this many trials to a tally.
    pub fn add_to(&self, tally: &mut Tally, trials: u64) {
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
        for (all, unsettled) in tally.anomalies.iter_mut().zip(&self.unsettled) {
            all.unsettled += unsettled;
        }
    }
}

impl BlockCounts {
    #[inline(always)]
    fn unit(&mut self, unit: u32, seen: &UnitLanes) {
        let counts = &mut self.units[unit as usize];
        let masks = [&seen.with, &seen.baseline, &seen.caused];
        for (pair, failures) in masks.into_iter().enumerate() {
            let failed = u64::from(failures.failed.count());
            counts[2 * pair] += failed;
            counts[2 * pair + 1] += if failures.failed == failures.degraded {
                failed
            } else {
                u64::from(failures.degraded.count())
            };
        }
    }

    #[inline(always)]
    fn dependency(&mut self, dependency: u32, seen: &ContainmentLanes) {
        let [tried, passed, held @ ..] = &mut self.dependencies[dependency as usize];
        *tried += u64::from(seen.tried.count());
        *passed += u64::from(seen.passed.count());
        for (all, word) in held.iter_mut().zip(&seen.held) {
            *all += u64::from(word.count());
        }
    }
}

fn note_unit(outcomes: &mut [Outcome], unit: u32, seen: &UnitLanes) {
    for (part, outcome) in outcomes.iter_mut().enumerate() {
        let of_part = |failures: &Failures<LaneMask>| failures.map(|mask| mask.0[part]);
        let Failures { failed, degraded } = of_part(&seen.with);
        outcome.units[unit as usize] = Unit {
            failed,
            degraded,
            baseline: of_part(&seen.baseline),
            caused: of_part(&seen.caused),
            share: f64::from(failed.count_ones()),
        };
        let first_flow = outcome.units.len() - outcome.flows.len();
        if let Some(flow) = (unit as usize).checked_sub(first_flow) {
            outcome.flows[flow].share = array(|trial| f64::from((failed >> trial & 1) as u8));
        }
    }
}

fn note_dependency(outcomes: &mut [Outcome], dependency: u32, seen: &ContainmentLanes) {
    for (part, outcome) in outcomes.iter_mut().enumerate() {
        outcome.dependencies.push(outcome::Dependency {
            dependency,
            tried: seen.tried.0[part],
            passed: seen.passed.0[part],
            held: array(|by| seen.held[by].0[part]),
        });
    }
}
