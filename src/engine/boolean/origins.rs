//! A lane is an origin: 512 things break in the same trial, each in a world of its own.
//!
//! What chance decides is drawn once per trial and is the same in all lanes, so that a ranking of
//! all services costs little more than a simulation of a few.

use std::collections::BTreeMap;

use super::Boolean;
use super::chances::Draws;
use super::counter::Counter;
use super::lab::Lab;
use super::planes::{Apart, bent, planes_of};
use super::wiring::Edge;
use super::world::{Broken, OneTrial, World, is_in, lane};
use crate::compile::Plan;
use crate::compile::plan::NONE;
use crate::engine::draws::RoundKeys;
use crate::engine::origins::{Mode, Moments, Origin, Toll};
use crate::engine::simd::{Bits, Task, Word, array};

/// How many origins break at once.
pub const LANES: usize = 512;

/// The trials of one block for up to [`LANES`] origins.
pub(super) struct OneBlock<'t, 'a, const P: usize> {
    pub(super) engine: &'t Boolean<'a>,
    pub(super) lab: &'t mut Lab<'a, P>,
    pub(super) seed: u64,
    pub(super) block: u64,
    pub(super) valid: &'t Word,
    pub(super) origins: &'t [Origin],
    pub(super) mode: Mode,
}

impl<const P: usize> Task for OneBlock<'_, '_, P> {
    type Output = Vec<Toll>;

    #[inline(always)]
    fn run<B: Bits>(self, bits: B) -> Vec<Toll> {
        let Self { engine, lab, seed, block, valid, origins, mode } = self;
        let plan = engine.plan;
        let anyway = Anyway::new(engine, lab, bits, seed, block);
        let keys = RoundKeys::new(seed, block);
        let draws = Draws::new(bits, &keys);
        let world = World::new(plan, &engine.wiring, draws);
        let strikes = Strikes::<P>::new(engine, origins);
        let does = does(bits, mode);
        let mut counts = LaneCounts::new(plan);
        for trial in (0..LANES as u32).filter(|trial| is_in(valid, *trial)) {
            let broken = Broken {
                lanes: &strikes.lanes_of_dependencies,
                dependencies: &strikes.dependencies_of_edges,
                does,
            };
            let has_broken = !strikes.lanes_of_dependencies.is_empty();
            let chances =
                OneTrial { bits, world: &world, trial, broken: has_broken.then_some(broken) };
            lab.clear();
            if strikes.domains.is_empty() {
                for service in &anyway.fallen[trial as usize] {
                    lab.bring_down(bits, *service, bits.all());
                }
            } else {
                for (domain, word) in lab.domains.iter_mut().zip(&world.domains) {
                    bits.store(domain, chances.of_word(word));
                }
                for (domain, lanes) in &strikes.domains {
                    let domain = &mut lab.domains[*domain as usize];
                    let both = bits.or(bits.load(domain), bits.load(lanes));
                    bits.store(domain, both);
                }
                lab.fall_with_domains(bits, chances);
            }
            strikes.strike(lab, chances, does);
            lab.sweep(chances);
            counts.add(engine, lab, chances, &anyway, &strikes.own);
        }
        lab.clear();
        counts.tolls(plan, origins, &anyway, valid)
    }
}

/// Slow, down and corrupt in all lanes, as a mode has it.
#[inline(always)]
fn does<B: Bits>(bits: B, mode: Mode) -> [B::V; 3] {
    let modes = [Mode::Slow, Mode::Down, Mode::Corrupt];
    array(|it| if modes[it] == mode { bits.all() } else { bits.none() })
}

/// What fails without any origin, by the trials of a block.
struct Anyway {
    /// By trial: services that are down for their own reasons.
    fallen: Vec<Vec<u32>>,
    /// By unit; empty where nothing fails by itself.
    failed: Vec<Word>,
    degraded: Vec<Word>,
}

impl Anyway {
    #[inline(always)]
    fn new<B: Bits, const P: usize>(
        engine: &Boolean<'_>,
        lab: &mut Lab<'_, P>,
        bits: B,
        seed: u64,
        block: u64,
    ) -> Self {
        lab.block(bits, seed, block);
        let keys = RoundKeys::new(seed, block);
        let draws = Draws::new(bits, &keys);
        let mut fallen = vec![Vec::new(); LANES];
        let mut any = false;
        for service in lab.ailing {
            let mut down = Word::NONE;
            bits.store(&mut down, lab.service_down(bits, draws, *service));
            for trial in (0..LANES as u32).filter(|trial| is_in(&down, *trial)) {
                fallen[trial as usize].push(*service);
                any = true;
            }
        }
        let units = if any { engine.units.count } else { 0 };
        let mut it =
            Self { fallen, failed: vec![Word::NONE; units], degraded: vec![Word::NONE; units] };
        if any {
            engine.each_unit(lab, bits, |unit, failed, degraded| {
                bits.store(&mut it.failed[unit as usize], failed);
                bits.store(&mut it.degraded[unit as usize], degraded);
            });
        }
        it
    }

    /// Whether a unit fails, and is degraded or worse, without any origin.
    #[inline(always)]
    fn of(&self, unit: u32, trial: u32) -> [bool; 2] {
        let at = |words: &[Word]| words.get(unit as usize).is_some_and(|word| is_in(word, trial));
        [at(&self.failed), at(&self.degraded)]
    }
}

/// What breaks in which lane.
struct Strikes<const P: usize> {
    /// By service: the lanes in which it is what breaks.
    own: Vec<Word>,
    nodes: Vec<(u32, Word)>,
    domains: Vec<(u32, Word)>,
    /// Edges that bring failure in some lane, with their places.
    edges: Vec<(u32, Edge, u32)>,
    /// Callers that must be asked.
    asked: Vec<u32>,
    /// By dependency its lane; empty where none breaks.
    lanes_of_dependencies: Vec<u32>,
    dependencies_of_edges: Vec<u32>,
}

impl<const P: usize> Strikes<P> {
    fn new(engine: &Boolean<'_>, origins: &[Origin]) -> Self {
        let plan = engine.plan;
        let (mut nodes, mut domains) = (BTreeMap::new(), BTreeMap::new());
        let mut lanes_of_dependencies = Vec::new();
        let mark = |words: &mut BTreeMap<u32, Word>, of: u32, lane: usize| {
            words.entry(of).or_insert(Word::NONE).0[lane / 64] |= 1 << (lane % 64);
        };
        let mut own = Vec::new();
        for (lane, origin) in origins.iter().enumerate() {
            if let Some(service) = origin.own() {
                own.resize(plan.services.len(), Word::NONE);
                own[service as usize].0[lane / 64] |= 1 << (lane % 64);
            }
            match *origin {
                Origin::Service(service) => {
                    for node in plan.nodes_of(service) {
                        mark(&mut nodes, node, lane);
                    }
                }
                Origin::Endpoint { node, .. } => mark(&mut nodes, node, lane),
                Origin::Domain(domain) => mark(&mut domains, domain, lane),
                Origin::Dependency(dependency) => {
                    if lanes_of_dependencies.is_empty() {
                        lanes_of_dependencies = vec![NONE; plan.dependencies.len()];
                    }
                    lanes_of_dependencies[dependency as usize] = lane as u32;
                }
            }
        }
        let mut it = Self {
            own,
            nodes: nodes.into_iter().collect(),
            domains: domains.into_iter().collect(),
            edges: Vec::new(),
            asked: Vec::new(),
            lanes_of_dependencies,
            dependencies_of_edges: Vec::new(),
        };
        if !it.lanes_of_dependencies.is_empty() {
            it.find_edges(engine);
        }
        it
    }

    /// Where dependencies that break are called.
    fn find_edges(&mut self, engine: &Boolean<'_>) {
        let plan = engine.plan;
        let numbers: BTreeMap<u128, u32> = (plan.dependencies.iter().zip(0..))
            .map(|(dependency, number)| (dependency.propagation_key.0, number))
            .collect();
        for (edge, place) in engine.wiring.edges().into_iter().zip(0..) {
            let dependency = numbers[&edge.key];
            self.dependencies_of_edges.push(dependency);
            let lane = self.lanes_of_dependencies[dependency as usize];
            if lane != NONE {
                self.edges.push((place, edge, lane));
            }
        }
        for node in 0..plan.nodes.len() as u32 {
            let breaks = |call: &u32| {
                let dependency = plan.calls[*call as usize].dependency;
                self.lanes_of_dependencies[dependency as usize] != NONE
            };
            if engine.wiring.asked(node).iter().any(breaks) {
                self.asked.push(node);
            }
        }
    }

    #[inline(always)]
    fn strike<B: Bits>(&self, lab: &mut Lab<'_, P>, chances: OneTrial<'_, B>, does: [B::V; 3]) {
        let bits = chances.bits;
        let [slow, down, corrupt] = does;
        let planes: [B::V; P] =
            planes_of(bits, Apart { slow, down, corrupt, degraded: bits.none() });
        for (node, lanes) in &self.nodes {
            let lanes = bits.load(lanes);
            lab.add(bits, *node, array(|plane| bits.and(planes[plane], lanes)));
        }
        for (place, edge, number) in &self.edges {
            let lanes = chances.draw_edge(*place, lane(bits, *number));
            let brought = bent(bits, edge.bend, array(|plane| bits.and(planes[plane], lanes)));
            lab.add(bits, edge.caller, brought);
        }
        for caller in &self.asked {
            lab.wake(*caller);
        }
    }
}

/// What was counted, by lane.
struct LaneCounts {
    services: Sums,
    flows: Sums,
    orders: Sums,
    /// By flow, counts of trials in bits.
    failed: Vec<Trials>,
    degraded: Vec<Trials>,
}

/// Moments of many lanes.
struct Sums {
    sum: Vec<f64>,
    squares: Vec<f64>,
    worst: Vec<f64>,
}

impl Sums {
    fn new() -> Self {
        let none = vec![0.0; LANES];
        Self { sum: none.clone(), squares: none.clone(), worst: none }
    }

    #[inline(always)]
    fn add(&mut self, values: &[f64; LANES]) {
        let sums = self.sum.iter_mut().zip(&mut self.squares).zip(&mut self.worst);
        for (((sum, squares), worst), value) in sums.zip(values) {
            *sum += value;
            *squares += value * value;
            *worst = if *value > *worst { *value } else { *worst };
        }
    }

    fn of(&self, lane: usize) -> Moments {
        Moments { sum: self.sum[lane], squares: self.squares[lane], worst: self.worst[lane] }
    }
}

/// Up to 512 trials in each lane, counted in bits.
#[derive(Clone)]
struct Trials([Word; 10]);

impl Trials {
    #[inline(always)]
    fn add<B: Bits>(&mut self, bits: B, mut carry: B::V) {
        for digit in &mut self.0 {
            if bits.is_none(carry) {
                return;
            }
            let old = bits.load(digit);
            bits.store(digit, bits.xor(old, carry));
            carry = bits.and(old, carry);
        }
    }

    fn of(&self, lane: usize) -> u64 {
        let digits = self.0.iter().enumerate();
        digits.map(|(place, digit)| u64::from(is_in(digit, lane as u32)) << place).sum()
    }
}

impl LaneCounts {
    fn new(plan: &Plan) -> Self {
        let trials = vec![Trials([Word::NONE; 10]); plan.flows.len()];
        Self {
            services: Sums::new(),
            flows: Sums::new(),
            orders: Sums::new(),
            failed: trials.clone(),
            degraded: trials,
        }
    }

    /// Adds one trial.
    #[inline(always)]
    fn add<B: Bits, const P: usize>(
        &mut self,
        engine: &Boolean<'_>,
        lab: &Lab<'_, P>,
        chances: OneTrial<'_, B>,
        anyway: &Anyway,
        own: &[Word],
    ) {
        let (bits, trial) = (chances.bits, chances.trial);
        let plan = engine.plan;
        let services = plan.services.len() as u32;
        let first_flow = (engine.units.count - plan.flows.len()) as u32;
        let mut failing = Counter::new(bits);
        let mut flows = [0.0; LANES];
        let mut orders = [0.0; LANES];
        engine.each_unit(lab, bits, |unit, failed, degraded| {
            let [fails_anyway, is_degraded_anyway] = anyway.of(unit, trial);
            if unit < services && !fails_anyway {
                let own = own.get(unit as usize).map_or(bits.none(), |lanes| bits.load(lanes));
                failing.add(bits, bits.without(failed, own));
            }
            let Some(flow) = unit.checked_sub(first_flow) else { return };
            let flow = flow as usize;
            if !is_degraded_anyway {
                self.degraded[flow].add(bits, degraded);
            }
            if !fails_anyway && !bits.is_none(failed) {
                self.failed[flow].add(bits, failed);
                let mut lanes = Word::NONE;
                bits.store(&mut lanes, failed);
                let rate = plan.flows[flow].rate;
                add_where(&lanes, &mut flows, 1.0);
                if !rate.is_nan() {
                    add_where(&lanes, &mut orders, rate);
                }
            }
        });
        let mut counted = [0.0; LANES];
        failing.counts(bits, &mut counted);
        self.services.add(&counted);
        self.flows.add(&flows);
        self.orders.add(&orders);
    }

    /// What each origin took; its own service does not count.
    fn tolls(self, plan: &Plan, origins: &[Origin], anyway: &Anyway, valid: &Word) -> Vec<Toll> {
        let trials = u64::from(valid.count());
        let first_flow = anyway.failed.len().saturating_sub(plan.flows.len());
        let lost_anyway = |flow: usize| {
            let word = anyway.failed.get(first_flow + flow);
            word.map_or(0, |word| {
                word.0.iter().zip(valid.0).map(|(a, b)| u64::from((a & b).count_ones())).sum()
            })
        };
        let of_lane = |lane: usize| Toll {
            trials,
            services: self.services.of(lane),
            flows: self.flows.of(lane),
            orders: self.orders.of(lane),
            failed: self.failed.iter().map(|it| it.of(lane)).collect(),
            degraded: self.degraded.iter().map(|it| it.of(lane)).collect(),
            anyway: (0..plan.flows.len()).map(lost_anyway).collect(),
        };
        (0..origins.len()).map(of_lane).collect()
    }
}

/// Adds a number in these lanes.
#[inline(always)]
fn add_where(lanes: &Word, values: &mut [f64; LANES], number: f64) {
    for (part, values) in lanes.0.iter().zip(values.chunks_exact_mut(64)) {
        for (place, value) in values.iter_mut().enumerate() {
            *value += if part >> place & 1 == 1 { number } else { 0.0 };
        }
    }
}
