//! Impacts of up to 512 origins at once: each lane is an origin that breaks alone in the same
//! trial.
//!
//! Every random event is drawn once per trial and shared by all lanes, so that ranking all services
//! costs little more than simulating a few.

use crate::compile::plan::{CallId, DependencyId, DomainId, FlowId, NodeId, ServiceId};
use crate::model::id::Table;
use std::collections::BTreeMap;

use super::Boolean;
use super::block::BlockState;
use super::call_pipeline::NoObserver;
use super::lane_counter::LaneCounter;
use super::propagation_graph::Edge;
use super::random_source::BlockDraws;
use super::sampled_block::{
    BrokenDependencies, SampledBlock, SampledTrial, contains_trial, single_lane,
};
use super::state_planes::{apply_transform, pack_planes};
use crate::compile::Plan;
use crate::engine::draws::RoundKeys;
use crate::engine::origins::{FailureMode, Impact, Moments, Origin};
use crate::engine::pipeline::StateSets;
use crate::engine::simd::{Bits, LaneMask, SimdTask, array};

/// Number of origins that are simulated together.
pub const LANES: usize = 512;

/// The lane of what is no origin.
const NO_LANE: u32 = LANES as u32;

/// Task that simulates the trials of one block for up to [`LANES`] origins.
pub(super) struct RankBlock<'t, 'a, const P: usize> {
    pub(super) engine: &'t Boolean<'a>,
    pub(super) block_state: &'t mut BlockState<'a, P>,
    pub(super) seed: u64,
    pub(super) block: u64,
    pub(super) valid: &'t LaneMask,
    pub(super) origins: &'t [Origin],
    pub(super) mode: FailureMode,
}

impl<const P: usize> SimdTask for RankBlock<'_, '_, P> {
    type Output = Vec<Impact>;

    #[inline(always)]
    fn run<B: Bits>(self, bits: B) -> Vec<Impact> {
        let Self { engine, block_state, seed, block, valid, origins, mode } = self;
        let plan = engine.plan;
        let baseline = ImpactBaseline::new(engine, block_state, bits, seed, block);
        // Once for all trials: what fails anyway does not depend on the origin.
        let keys = RoundKeys::new(seed, block);
        let draws = BlockDraws::new(bits, &keys);
        let sampled = SampledBlock::new(plan, &engine.graph, draws);
        let targets = OriginTargets::<P>::new(engine, origins);
        let forced = forced_lanes(bits, mode);
        let mut counts = LaneCounts::new(plan);
        for trial in (0..LANES as u32).filter(|trial| contains_trial(valid, *trial)) {
            let broken = BrokenDependencies {
                lanes: &targets.lanes_of_dependencies,
                dependencies: &targets.dependencies_of_edges,
                forced,
            };
            let has_broken = !targets.lanes_of_dependencies.is_empty();
            let source = SampledTrial {
                bits,
                sampled: &sampled,
                trial,
                broken: has_broken.then_some(broken),
            };
            block_state.clear_states();
            // Where no domain is an origin, what is down for its own reasons is known already.
            if targets.domains.is_empty() {
                for service in &baseline.failed_domains[trial as usize] {
                    block_state.mark_service_down(bits, *service, bits.all());
                }
            } else {
                for (domain, word) in block_state.domains.iter_mut().zip(&sampled.domains) {
                    bits.store(domain, source.lanes_in_trial(word));
                }
                for (domain, lanes) in &targets.domains {
                    let domain = &mut block_state.domains[*domain];
                    let both = bits.or(bits.load(domain), bits.load(lanes));
                    bits.store(domain, both);
                }
                block_state.apply_domain_failures(bits, source);
            }
            targets.apply_target(block_state, source, forced);
            block_state.propagate_failures(source, &mut NoObserver);
            counts.add_trial(engine, block_state, source, &baseline, &targets.own);
        }
        // The state is left clean for the simulation that comes next.
        block_state.clear_states();
        counts.into_impacts(plan, origins, &baseline, valid)
    }
}

/// Returns the slow, down and corrupt lanes that a failure mode sets: all or none.
#[inline(always)]
fn forced_lanes<B: Bits>(bits: B, mode: FailureMode) -> [B::V; 3] {
    let modes = [FailureMode::Slow, FailureMode::Down, FailureMode::Corrupt];
    array(|item| if modes[item] == mode { bits.all() } else { bits.none() })
}

/// Failures without any origin, by the trials of a block.
struct ImpactBaseline {
    /// Services that are down for their own reasons, by trial.
    failed_domains: Vec<Vec<ServiceId>>,
    /// Failed trials by unit; empty where nothing fails by itself.
    failed: Vec<LaneMask>,
    degraded: Vec<LaneMask>,
}

impl ImpactBaseline {
    #[inline(always)]
    fn new<B: Bits, const P: usize>(
        engine: &Boolean<'_>,
        block_state: &mut BlockState<'_, P>,
        bits: B,
        seed: u64,
        block: u64,
    ) -> Self {
        block_state.simulate_block(bits, &mut NoObserver, seed, block, engine.accumulates);
        let keys = RoundKeys::new(seed, block);
        let draws = BlockDraws::new(bits, &keys);
        let mut failed_domains = vec![Vec::new(); LANES];
        let mut any = false;
        for service in block_state.may_be_down {
            let mut down = LaneMask::NONE;
            bits.store(&mut down, block_state.service_failures(bits, draws, *service));
            for trial in (0..LANES as u32).filter(|trial| contains_trial(&down, *trial)) {
                failed_domains[trial as usize].push(*service);
                any = true;
            }
        }
        let units = if any { engine.units.count } else { 0 };
        let mut item = Self {
            failed_domains,
            failed: vec![LaneMask::NONE; units],
            degraded: vec![LaneMask::NONE; units],
        };
        if any {
            engine.for_each_unit(
                block_state,
                bits,
                #[inline(always)]
                |unit, lanes| {
                    let (failed, degraded) = (lanes.failed, lanes.degraded);
                    bits.store(&mut item.failed[unit as usize], failed);
                    bits.store(&mut item.degraded[unit as usize], degraded);
                },
            );
        }
        item
    }

    /// Returns whether a unit fails, and whether it is degraded or worse, without any origin.
    #[inline(always)]
    fn failure_of(&self, unit: u32, trial: u32) -> [bool; 2] {
        let at = |words: &[LaneMask]| {
            words.get(unit as usize).is_some_and(|word| contains_trial(word, trial))
        };
        [at(&self.failed), at(&self.degraded)]
    }
}

/// Nodes, domains and edges that break, with the lanes in which they do.
struct OriginTargets<const P: usize> {
    /// Lanes whose origin belongs to the service, by service.
    own: Table<ServiceId, LaneMask>,
    nodes: Vec<(NodeId, LaneMask)>,
    domains: Vec<(DomainId, LaneMask)>,
    /// Edges that transmit failure in some lane: place, edge and lane.
    edges: Vec<(u32, Edge, u32)>,
    /// Callers whose calls must be evaluated.
    evaluated: Vec<NodeId>,
    /// Lane by dependency, [`NO_LANE`] where none is; empty where no dependency breaks.
    lanes_of_dependencies: Table<DependencyId, u32>,
    dependencies_of_edges: Vec<DependencyId>,
}

/// Marks the lane of an origin in the word of what it breaks.
fn mark_lane<I: Ord>(words: &mut BTreeMap<I, LaneMask>, broken: I, lane: usize) {
    words.entry(broken).or_insert(LaneMask::NONE).0[lane / 64] |= 1 << (lane % 64);
}

impl<const P: usize> OriginTargets<P> {
    fn new(engine: &Boolean<'_>, origins: &[Origin]) -> Self {
        let plan = engine.plan;
        let (mut nodes, mut domains) = (BTreeMap::new(), BTreeMap::new());
        let mut lanes_of_dependencies = Table::new();
        let mut own = Table::new();
        for (lane, origin) in origins.iter().enumerate() {
            if let Some(service) = origin.own_service() {
                // Grown only where an origin has a service of its own.
                own.resize(plan.services.len(), LaneMask::NONE);
                own[service].0[lane / 64] |= 1 << (lane % 64);
            }
            match *origin {
                Origin::Service(service) => {
                    for node in plan.nodes_of(service) {
                        mark_lane(&mut nodes, node, lane);
                    }
                }
                Origin::Endpoint { node, .. } => mark_lane(&mut nodes, node, lane),
                Origin::Domain(domain) => mark_lane(&mut domains, domain, lane),
                Origin::Dependency(dependency) => {
                    if lanes_of_dependencies.is_empty() {
                        lanes_of_dependencies = Table::filled(NO_LANE, plan.dependencies.len());
                    }
                    lanes_of_dependencies[dependency] = lane as u32;
                }
            }
        }
        let mut item = Self {
            own,
            nodes: nodes.into_iter().collect(),
            domains: domains.into_iter().collect(),
            edges: Vec::new(),
            evaluated: Vec::new(),
            lanes_of_dependencies,
            dependencies_of_edges: Vec::new(),
        };
        if !item.lanes_of_dependencies.is_empty() {
            item.collect_edges(engine);
        }
        item
    }

    /// Collects the edges and evaluated calls of the dependencies that break.
    fn collect_edges(&mut self, engine: &Boolean<'_>) {
        let plan = engine.plan;
        // An edge knows the key of its dependency and not its id.
        let ids: BTreeMap<u128, DependencyId> = (plan.dependencies.entries())
            .map(|(id, dependency)| (dependency.propagation_key.0, id))
            .collect();
        for (edge, place) in engine.graph.all_edges().into_iter().zip(0..) {
            let dependency = ids[&edge.key];
            self.dependencies_of_edges.push(dependency);
            let lane = self.lanes_of_dependencies[dependency];
            if lane != NO_LANE {
                self.edges.push((place, edge, lane));
            }
        }
        for node in plan.nodes.ids() {
            let breaks = |call: &CallId| {
                let dependency = plan.calls[*call].dependency;
                self.lanes_of_dependencies[dependency] != NO_LANE
            };
            if engine.graph.evaluated_calls(node).iter().any(breaks) {
                self.evaluated.push(node);
            }
        }
    }

    #[inline(always)]
    fn apply_target<B: Bits>(
        &self,
        block_state: &mut BlockState<'_, P>,
        source: SampledTrial<'_, B>,
        forced: [B::V; 3],
    ) {
        let bits = source.bits;
        let [slow, down, corrupt] = forced;
        let planes: [B::V; P] =
            pack_planes(bits, StateSets { slow, down, corrupt, degraded: bits.none() });
        for (node, lanes) in &self.nodes {
            let lanes = bits.load(lanes);
            block_state.merge_planes(bits, *node, array(|plane| bits.and(planes[plane], lanes)));
        }
        for (place, edge, number) in &self.edges {
            let lanes = source.edge_crossing_in_trial(*place, single_lane(bits, *number));
            let brought = apply_transform(
                bits,
                edge.transform,
                array(|plane| bits.and(planes[plane], lanes)),
            );
            block_state.merge_planes(bits, edge.caller, brought);
        }
        for caller in &self.evaluated {
            block_state.mark_dirty(*caller);
        }
    }
}

/// Counts by lane.
struct LaneCounts {
    services: LaneMoments,
    flows: LaneMoments,
    orders: LaneMoments,
    /// Trials by flow, in which it fails because of the origin.
    failed: Table<FlowId, LaneTrialCounts>,
    degraded: Table<FlowId, LaneTrialCounts>,
}

/// Moments of 512 lanes.
struct LaneMoments {
    sum: Vec<f64>,
    squares: Vec<f64>,
    worst: Vec<f64>,
}

impl LaneMoments {
    fn new() -> Self {
        let none = vec![0.0; LANES];
        Self { sum: none.clone(), squares: none.clone(), worst: none }
    }

    #[inline(always)]
    fn add_values(&mut self, values: &[f64; LANES]) {
        let sums = self.sum.iter_mut().zip(&mut self.squares).zip(&mut self.worst);
        for (((sum, squares), worst), value) in sums.zip(values) {
            *sum += value;
            *squares += value * value;
            *worst = if *value > *worst { *value } else { *worst };
        }
    }

    fn moments_of(&self, lane: usize) -> Moments {
        Moments { sum: self.sum[lane], squares: self.squares[lane], worst: self.worst[lane] }
    }
}

/// Trial counts of up to 512 in each lane, in binary across ten lane masks.
#[derive(Clone)]
struct LaneTrialCounts([LaneMask; 10]);

impl LaneTrialCounts {
    #[inline(always)]
    fn add_carry<B: Bits>(&mut self, bits: B, mut carry: B::V) {
        for digit in &mut self.0 {
            if bits.is_none(carry) {
                return;
            }
            let old = bits.load(digit);
            bits.store(digit, bits.xor(old, carry));
            carry = bits.and(old, carry);
        }
    }

    fn count_of(&self, lane: usize) -> u64 {
        let digits = self.0.iter().enumerate();
        digits.map(|(place, digit)| u64::from(contains_trial(digit, lane as u32)) << place).sum()
    }
}

impl LaneCounts {
    fn new(plan: &Plan) -> Self {
        // Ten binary digits count to 1023, and a block has 512 trials.
        let trials = Table::filled(LaneTrialCounts([LaneMask::NONE; 10]), plan.flows.len());
        Self {
            services: LaneMoments::new(),
            flows: LaneMoments::new(),
            orders: LaneMoments::new(),
            failed: trials.clone(),
            degraded: trials,
        }
    }

    /// Adds one trial.
    #[inline(always)]
    fn add_trial<B: Bits, const P: usize>(
        &mut self,
        engine: &Boolean<'_>,
        block_state: &BlockState<'_, P>,
        source: SampledTrial<'_, B>,
        baseline: &ImpactBaseline,
        own: &Table<ServiceId, LaneMask>,
    ) {
        let (bits, trial) = (source.bits, source.trial);
        let plan = engine.plan;
        let services = plan.services.len() as u32;
        let first_flow = (engine.units.count - plan.flows.len()) as u32;
        let mut failing = LaneCounter::new(bits);
        let mut flows = [0.0; LANES];
        let mut orders = [0.0; LANES];
        engine.for_each_unit(
            block_state,
            bits,
            #[inline(always)]
            |unit, lanes| {
                let (failed, degraded) = (lanes.failed, lanes.degraded);
                let [fails_in_baseline, is_degraded_in_baseline] = baseline.failure_of(unit, trial);
                // What fails in this trial anyway is not charged to the origin.
                if unit < services && !fails_in_baseline {
                    let others = match own.get(ServiceId(unit)) {
                        Some(own) => bits.without(failed, bits.load(own)),
                        None => failed,
                    };
                    failing.add_carry(bits, others);
                }
                let Some(flow) = unit.checked_sub(first_flow).map(FlowId) else { return };
                if !is_degraded_in_baseline {
                    self.degraded[flow].add_carry(bits, degraded);
                }
                if !fails_in_baseline && !bits.is_none(failed) {
                    self.failed[flow].add_carry(bits, failed);
                    let mut lanes = LaneMask::NONE;
                    bits.store(&mut lanes, failed);
                    let rate = plan.flows[flow].rate;
                    add_where(&lanes, &mut flows, 1.0);
                    if !rate.is_nan() {
                        add_where(&lanes, &mut orders, rate);
                    }
                }
            },
        );
        let mut counted = [0.0; LANES];
        failing.write_counts(bits, &mut counted);
        self.services.add_values(&counted);
        self.flows.add_values(&flows);
        self.orders.add_values(&orders);
    }

    /// Returns the impact of each origin. The failure of its own service is not counted.
    fn into_impacts(
        self,
        plan: &Plan,
        origins: &[Origin],
        baseline: &ImpactBaseline,
        valid: &LaneMask,
    ) -> Vec<Impact> {
        let trials = u64::from(valid.count());
        let first_flow = baseline.failed.len().saturating_sub(plan.flows.len());
        let lost_in_baseline = |flow: usize| {
            let word = baseline.failed.get(first_flow + flow);
            word.map_or(0, |word| {
                word.0.iter().zip(valid.0).map(|(a, b)| u64::from((a & b).count_ones())).sum()
            })
        };
        let of_lane = |lane: usize| Impact {
            trials,
            services: self.services.moments_of(lane),
            flows: self.flows.moments_of(lane),
            orders: self.orders.moments_of(lane),
            failed: self.failed.iter().map(|failed| failed.count_of(lane)).collect(),
            degraded: self.degraded.iter().map(|degraded| degraded.count_of(lane)).collect(),
            baseline: (0..plan.flows.len()).map(lost_in_baseline).collect(),
        };
        (0..origins.len()).map(of_lane).collect()
    }
}

/// Adds a number in the given lanes.
#[inline(always)]
fn add_where(lanes: &LaneMask, values: &mut [f64; LANES], number: f64) {
    for (part, values) in lanes.0.iter().zip(values.chunks_exact_mut(64)) {
        for (place, value) in values.iter_mut().enumerate() {
            *value += if part >> place & 1 == 1 { number } else { 0.0 };
        }
    }
}
