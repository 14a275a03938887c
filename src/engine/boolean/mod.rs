//! Engine for plans in which every share is 0 or 1: simulates 512 trials per vector word.
//!
//! Uses the same draws and gives the same results as the fluid engine, trial by trial. New failures
//! are pushed from a node to its callers, and an edge is drawn only where a new failure meets it.
//! Calls that are more than an edge are evaluated when a node that they refer to has changed.

mod block;
mod block_counts;
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

use crate::model::id::Table;
use std::collections::BTreeMap;

use block::BlockState;
pub use block_counts::BlockCounts;
use block_counts::{BlockSink, SinkObserver};
pub use eligibility::NotBoolean;
use eligibility::PossibleStates;
pub use impacts::LANES;
use propagation_graph::PropagationGraph;
use random_source::BlockDraws;
use state_planes::failing_plane;

use super::origins::{FailureMode, Impact, Origin};
use super::outcome::{FlowOutcome, Outcome, TRIALS, UnitOutcome};
use super::simd::{self, Bits, InstructionSet, LaneMask, SimdTask};
use crate::compile::Plan;
use crate::compile::plan::{GroupId, NodeId, ServiceId};
use crate::compile::waits::may_give_up_first;

/// Number of trials in a block.
pub const BLOCK: u64 = 512;

/// Engine for one Boolean plan.
pub struct Boolean<'a> {
    plan: &'a Plan,
    graph: PropagationGraph,
    planes: usize,
    /// Services that may be down in the background or through a target domain.
    may_be_down: Vec<ServiceId>,
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
    /// Unit by node, where the node is a unit of its own.
    single: Table<NodeId, Option<u32>>,
    /// Services with endpoints, with all their nodes.
    multi_node: Vec<(ServiceId, Vec<NodeId>)>,
    /// Number of units.
    count: usize,
}

/// Returns why a plan is not Boolean, or `None` if it is.
pub fn find_obstacle(plan: &Plan) -> Option<NotBoolean> {
    eligibility::find_obstacle(plan, &eligibility::possible_states(plan))
}

/// Properties of the cycles of a Boolean plan that the exact engine needs.
pub(super) struct CycleShape {
    /// By group: whether it is a cycle in which states only get worse, so that every order of
    /// evaluation ends at the same least fixed point.
    pub(super) only_worsens: Table<GroupId, bool>,
}

/// Returns the cycle properties of a plan, or why it is not Boolean.
pub(super) fn cycle_shape(plan: &Plan) -> Result<CycleShape, NotBoolean> {
    let possible = eligibility::possible_states(plan);
    if let Some(obstacle) = eligibility::find_obstacle(plan, &possible) {
        return Err(obstacle);
    }
    let planes = plane_count(plan, &possible);
    let groups = plan.groups.ids().iter();
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
) -> Option<NotBoolean> {
    if mode == FailureMode::Slow && may_give_up_first(plan) {
        return Some(NotBoolean::Delays);
    }
    eligibility::find_obstacle(plan, &eligibility::possible_states_with(plan, origins, mode))
}

/// Returns the number of planes that a plan needs.
fn plane_count(plan: &Plan, possible: &Table<NodeId, PossibleStates>) -> usize {
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
        Self::of_plan(plan, &eligibility::possible_states(plan), level, observes)
    }

    /// Creates an engine in which any of these origins may break, one at a time.
    pub fn for_origins(
        plan: &'a Plan,
        level: InstructionSet,
        origins: &[Origin],
        mode: FailureMode,
    ) -> Self {
        Self::of_plan(plan, &eligibility::possible_states_with(plan, origins, mode), level, false)
    }

    fn of_plan(
        plan: &'a Plan,
        possible: &Table<NodeId, PossibleStates>,
        level: InstructionSet,
        observes: bool,
    ) -> Self {
        debug_assert!(eligibility::find_obstacle(plan, possible).is_none(), "the plan is Boolean");
        let may_be_down = plan.services.ids().iter().filter(|service| {
            // Targets are applied separately; these are the other reasons to be down.
            let item = &plan.services[*service];
            item.unavailability > 0.0
                || item.during
                || !item.domains.is_empty()
                || plan.replicas[item.replicas]
                    .iter()
                    .any(|replica| replica.unavailability > 0.0 || replica.domain.is_some())
        });
        let plane_count = plane_count(plan, possible);
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
    pub fn new_scratch(&'a self) -> Scratch<'a> {
        let planes = match self.planes {
            1 => Planes::One(BlockState::new(self.plan, &self.graph, &self.may_be_down)),
            2 => Planes::Two(BlockState::new(self.plan, &self.graph, &self.may_be_down)),
            _ => Planes::Four(BlockState::new(self.plan, &self.graph, &self.may_be_down)),
        };
        Scratch { planes }
    }

    /// Adds those trials of a block to `counts` that are in `valid`.
    pub fn count_block(
        &'a self,
        scratch: &mut Scratch<'a>,
        seed: u64,
        block: u64,
        valid: &LaneMask,
        counts: &mut BlockCounts,
    ) {
        self.simulate_block(scratch, seed, block, valid, BlockSink::Counts(counts));
    }

    /// Returns the outcomes of a block, 64 trials each, of the trials in `valid`.
    pub fn block_outcomes(
        &'a self,
        scratch: &mut Scratch<'a>,
        seed: u64,
        block: u64,
        valid: &LaneMask,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> =
            valid.0.iter().map(|valid| self.empty_outcome(*valid)).collect();
        self.simulate_block(scratch, seed, block, valid, BlockSink::Outcomes(&mut outcomes));
        for outcome in &mut outcomes {
            // A report needs only the dependencies at which something came in.
            outcome.dependencies.retain(|dependency| dependency.tried != 0);
            outcome.dependencies.sort_unstable_by_key(|dependency| dependency.dependency);
            outcome.anomalies.retain(|anomaly| anomaly.trials.unsettled != 0);
        }
        outcomes.retain(|outcome| outcome.valid != 0);
        outcomes
    }

    /// Returns the impact of each of up to [`LANES`] origins in the trials of a block that are in
    /// `valid`.
    pub fn origin_impacts(
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

    /// Calls `see` for every unit that may be affected.
    #[inline(always)]
    fn for_each_unit<B: Bits, const P: usize>(
        &self,
        block_state: &BlockState<'_, P>,
        bits: B,
        mut see: impl FnMut(u32, UnitLanes<B::V>),
    ) {
        for node in &block_state.visited {
            if let Some(unit) = self.units.single[*node] {
                see(unit, UnitLanes::load(bits, block_state, *node));
            }
        }
        for (service, nodes) in &self.units.multi_node {
            let mut worst = UnitLanes::none(bits);
            // A service is as bad as the worst of its nodes.
            for node in nodes {
                worst = worst.or(bits, UnitLanes::load(bits, block_state, *node));
            }
            see(service.0, worst);
        }
    }

    fn empty_outcome(&self, valid: u64) -> Outcome {
        let none = [f64::NAN; TRIALS];
        let flow = || FlowOutcome {
            share: [0.0; TRIALS],
            lost: none,
            wrong: none,
            outage: none,
            late: none,
            unfinished: 0,
        };
        Outcome {
            valid,
            units: vec![UnitOutcome::default(); self.units.count],
            times: Vec::new(),
            flows: self.plan.flows.iter().map(|_| flow()).collect(),
            dependencies: Vec::new(),
            anomalies: Vec::new(),
            reasons: BTreeMap::new(),
            course: None,
        }
    }

    fn simulate_block(
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
        let mut single = Table::filled(None, plan.nodes.len());
        let mut multi_node = Vec::new();
        // Services come first, then endpoints, then flows, as in an outcome.
        let mut next = plan.services.len() as u32;
        for (service, item) in plan.services.entries() {
            if item.endpoints.is_empty() {
                single[item.node] = Some(service.0);
            } else {
                multi_node.push((service, plan.nodes_of(service).collect()));
            }
            for endpoint in &item.endpoints {
                single[*endpoint] = Some(next);
                next += 1;
            }
        }
        for flow in &plan.flows {
            single[flow.node] = Some(next);
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

/// Lanes in which a unit fails, with the change and without it.
#[derive(Clone, Copy)]
struct UnitLanes<V> {
    failed: V,
    degraded: V,
    baseline_failed: V,
    baseline_degraded: V,
}

impl<V: Copy> UnitLanes<V> {
    #[inline(always)]
    fn none<B: Bits<V = V>>(bits: B) -> Self {
        let none = bits.none();
        Self { failed: none, degraded: none, baseline_failed: none, baseline_degraded: none }
    }

    #[inline(always)]
    fn load<B: Bits<V = V>, const P: usize>(
        bits: B,
        block_state: &BlockState<'_, P>,
        node: NodeId,
    ) -> Self {
        let planes = &block_state.planes[node];
        let baseline = &block_state.baseline[node];
        Self {
            failed: bits.load(&planes[failing_plane::<P>()]),
            degraded: bits.load(&planes[P - 1]),
            baseline_failed: bits.load(&baseline.failed),
            baseline_degraded: bits.load(&baseline.degraded),
        }
    }

    #[inline(always)]
    fn or<B: Bits<V = V>>(self, bits: B, other: Self) -> Self {
        Self {
            failed: bits.or(self.failed, other.failed),
            degraded: bits.or(self.degraded, other.degraded),
            baseline_failed: bits.or(self.baseline_failed, other.baseline_failed),
            baseline_degraded: bits.or(self.baseline_degraded, other.baseline_degraded),
        }
    }

    #[inline(always)]
    fn and<B: Bits<V = V>>(self, bits: B, lanes: V) -> Self {
        Self {
            failed: bits.and(self.failed, lanes),
            degraded: bits.and(self.degraded, lanes),
            baseline_failed: bits.and(self.baseline_failed, lanes),
            baseline_degraded: bits.and(self.baseline_degraded, lanes),
        }
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
        let Self { engine, block_state, seed, block, valid, sink } = self;
        let valid = bits.load(valid);
        let observes = engine.observes;
        let is_active = observes;
        let mut observer = SinkObserver { sink, graph: &engine.graph, valid, observes, is_active };
        block_state.simulate_block(bits, &mut observer, seed, block, engine.accumulates);
        if observes {
            let draws = BlockDraws::new(bits, &block_state.keys);
            bits.outline(
                #[inline(always)]
                || {
                    block_state.observe_other_edges(draws, &mut observer);
                    observer.observe_calls(bits, block_state, draws);
                },
            );
        }
        let mut sink = observer.sink;
        let has_baseline = block_state.has_baseline();
        engine.for_each_unit(
            block_state,
            bits,
            #[inline(always)]
            |unit, lanes| sink.add_unit::<B, P>(bits, unit, lanes.and(bits, valid), has_baseline),
        );
        for (service, lanes) in &block_state.unsettled {
            sink.add_unsettled(*service, &bits.to_mask(bits.and(bits.load(lanes), valid)));
        }
    }
}
