//! The engine for plans in which every share is 0 or 1: 512 trials in a machine word.
//!
//! The same draws and the same answers as the fluid engine, trial by trial. What is new in some
//! trial is pushed from a node to its callers, and only there and then is an edge drawn; calls that
//! are more than an edge are asked when something they refer to changed.

mod ask;
mod chances;
mod counter;
mod fall;
mod lab;
mod origins;
mod planes;
mod suits;
mod watch;
mod wiring;
mod world;

use chances::Draws;
use lab::Lab;
pub use origins::LANES;
use planes::failing;
use suits::Can;
use wiring::Wiring;

use super::origins::{Mode, Origin, Toll};
use super::outcome::{self, Anomalies, Anomaly, Flow, Outcome, TRIALS, Unit};
use super::simd::{self, Bits, Level, Task, Word, array};
use super::tally::{Protection, Tally};
use crate::compile::Plan;
use crate::compile::plan::NONE;

/// How many trials a block has.
pub const BLOCK: u64 = 512;

/// An engine for one Boolean plan.
pub struct Boolean<'a> {
    plan: &'a Plan,
    wiring: Wiring,
    planes: usize,
    /// Services that may be down in the background or through a target domain.
    ailing: Vec<u32>,
    units: Units,
    level: Level,
    /// Whether it is counted what came of failure at each dependency.
    observes: bool,
}

/// Which nodes make up a unit.
struct Units {
    /// By node: the unit that it alone is, or [`NONE`].
    alone: Vec<u32>,
    /// Services with endpoints, and all their nodes.
    several: Vec<(u32, Vec<u32>)>,
    /// How many there are.
    count: usize,
}

/// Why a plan is not Boolean; nothing if it is.
pub fn obstacle(plan: &Plan) -> Option<&'static str> {
    suits::obstacle(plan, &suits::states(plan))
}

/// What another engine for Boolean plans needs to know of one.
pub(super) struct Shape {
    /// By group: whether it is a cycle in which things only get worse, so that any order of
    /// computing it ends at the same least fixed point.
    pub(super) only_worsens: Vec<bool>,
}

/// The shape of a plan, or why it is not Boolean.
pub(super) fn shape(plan: &Plan) -> Result<Shape, &'static str> {
    let can = suits::states(plan);
    if let Some(obstacle) = suits::obstacle(plan, &can) {
        return Err(obstacle);
    }
    let planes = planes(plan, &can);
    let groups = 0..plan.groups.len();
    let only_worsens = groups.map(|group| wiring::way(plan, group, planes) == wiring::Way::Spread);
    Ok(Shape { only_worsens: only_worsens.collect() })
}

/// Why a plan is not Boolean when one of these origins breaks; nothing if it is.
pub fn obstacle_with(plan: &Plan, origins: &[Origin], mode: Mode) -> Option<&'static str> {
    suits::obstacle(plan, &suits::states_with(plan, origins, mode))
}

/// How many planes a plan needs.
fn planes(plan: &Plan, can: &[Can]) -> usize {
    let any = |is: fn(&Can) -> bool| can.iter().any(is) && !plan.nodes.is_empty();
    match () {
        () if any(|can| can.slow || can.corrupt) => 4,
        () if any(|can| can.degraded) => 2,
        () => 1,
    }
}

impl<'a> Boolean<'a> {
    /// An engine for a plan without an [`obstacle`].
    pub fn new(plan: &'a Plan, level: Level, observes: bool) -> Self {
        Self::of(plan, &suits::states(plan), level, observes)
    }

    /// An engine in which any of these origins may break, each alone.
    pub fn for_origins(plan: &'a Plan, level: Level, origins: &[Origin], mode: Mode) -> Self {
        Self::of(plan, &suits::states_with(plan, origins, mode), level, false)
    }

    fn of(plan: &'a Plan, can: &[Can], level: Level, observes: bool) -> Self {
        debug_assert!(suits::obstacle(plan, can).is_none(), "the plan is Boolean");
        let ailing = (0..plan.services.len() as u32).filter(|service| {
            // Targets strike by themselves; what else can bring a service down?
            let it = &plan.services[*service as usize];
            it.unavailability > 0.0
                || it.during
                || !it.domains.is_empty()
                || plan.replicas[it.replicas.start as usize..it.replicas.end as usize]
                    .iter()
                    .any(|replica| replica.unavailability > 0.0 || replica.domain != NONE)
        });
        Self {
            plan,
            wiring: Wiring::new(plan, can),
            planes: planes(plan, can),
            ailing: ailing.collect(),
            units: Units::new(plan),
            level,
            observes,
        }
    }

    /// Room for the blocks of one thread.
    pub fn scratch(&'a self) -> Scratch<'a> {
        let planes = match self.planes {
            1 => Planes::One(Lab::new(self.plan, &self.wiring, &self.ailing)),
            2 => Planes::Two(Lab::new(self.plan, &self.wiring, &self.ailing)),
            _ => Planes::Four(Lab::new(self.plan, &self.wiring, &self.ailing)),
        };
        Scratch { planes }
    }

    /// Adds the trials of a block to a count; of the 512 those in `valid`.
    pub fn count(
        &'a self,
        scratch: &mut Scratch<'a>,
        seed: u64,
        block: u64,
        valid: &Word,
        counts: &mut Counts,
    ) {
        self.block(scratch, seed, block, valid, Sink::Counts(counts));
    }

    /// The outcomes of a block, 64 trials each.
    pub fn outcomes(
        &'a self,
        scratch: &mut Scratch<'a>,
        seed: u64,
        block: u64,
        valid: &Word,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> =
            valid.0.iter().map(|valid| self.empty_outcome(*valid)).collect();
        self.block(scratch, seed, block, valid, Sink::Outcomes(&mut outcomes));
        for outcome in &mut outcomes {
            outcome.dependencies.retain(|it| it.tried != 0);
            outcome.dependencies.sort_unstable_by_key(|it| it.dependency);
            outcome.anomalies.retain(|it| it.trials.unsettled != 0);
        }
        outcomes.retain(|outcome| outcome.valid != 0);
        outcomes
    }

    /// What each of up to [`LANES`] origins takes with it in the trials of a block, of the 512 those
    /// in `valid`.
    pub fn tolls(
        &'a self,
        seed: u64,
        block: u64,
        valid: &Word,
        origins: &[Origin],
        mode: Mode,
    ) -> Vec<Toll> {
        let engine = self;
        // One plane serves as two: a ranking is not worth another copy of everything.
        if self.planes < 4 {
            let lab = &mut Lab::<2>::new(self.plan, &self.wiring, &self.ailing);
            let task = origins::OneBlock { engine, lab, seed, block, valid, origins, mode };
            simd::run(self.level, task)
        } else {
            let lab = &mut Lab::<4>::new(self.plan, &self.wiring, &self.ailing);
            let task = origins::OneBlock { engine, lab, seed, block, valid, origins, mode };
            simd::run(self.level, task)
        }
    }

    /// Of every unit that something may have come to: where it failed, and where it was degraded or
    /// worse.
    #[inline(always)]
    fn each_unit<B: Bits, const P: usize>(
        &self,
        lab: &Lab<'_, P>,
        bits: B,
        mut see: impl FnMut(u32, B::V, B::V),
    ) {
        for node in &lab.touched {
            let unit = self.units.alone[*node as usize];
            if unit != NONE {
                let state = &lab.state[*node as usize];
                see(unit, bits.load(&state[failing::<P>()]), bits.load(&state[P - 1]));
            }
        }
        for (service, nodes) in &self.units.several {
            let worst = |plane: usize| {
                let words = nodes.iter().map(|node| bits.load(&lab.state[*node as usize][plane]));
                words.fold(bits.none(), |all, word| bits.or(all, word))
            };
            see(*service, worst(failing::<P>()), worst(P - 1));
        }
    }

    fn empty_outcome(&self, valid: u64) -> Outcome {
        let none = [f64::NAN; TRIALS];
        let flow = || Flow { share: [0.0; TRIALS], lost: none, wrong: none, unserved: none };
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
        valid: &Word,
        sink: Sink<'_>,
    ) {
        match &mut scratch.planes {
            Planes::One(lab) => {
                simd::run(self.level, OneBlock { engine: self, lab, seed, block, valid, sink });
            }
            Planes::Two(lab) => {
                simd::run(self.level, OneBlock { engine: self, lab, seed, block, valid, sink });
            }
            Planes::Four(lab) => {
                simd::run(self.level, OneBlock { engine: self, lab, seed, block, valid, sink });
            }
        }
    }
}

impl Units {
    fn new(plan: &Plan) -> Self {
        let mut alone = vec![NONE; plan.nodes.len()];
        let mut several = Vec::new();
        let mut next = plan.services.len() as u32;
        for (service, it) in plan.services.iter().enumerate() {
            if it.endpoints.is_empty() {
                alone[it.node as usize] = service as u32;
            } else {
                several.push((service as u32, plan.nodes_of(service as u32).collect()));
            }
            for endpoint in &it.endpoints {
                alone[*endpoint as usize] = next;
                next += 1;
            }
        }
        for flow in &plan.flows {
            alone[flow.node as usize] = next;
            next += 1;
        }
        Self { alone, several, count: next as usize }
    }
}

/// Room for the blocks of one thread.
pub struct Scratch<'a> {
    planes: Planes<'a>,
}

enum Planes<'a> {
    One(Lab<'a, 1>),
    Two(Lab<'a, 2>),
    Four(Lab<'a, 4>),
}

/// Where the results of a block go. Both at once in the same code: a copy of the engine for each
/// would double what is compiled.
enum Sink<'s> {
    Counts(&'s mut Counts),
    Outcomes(&'s mut [Outcome]),
}

impl Sink<'_> {
    /// What came of a unit: in which trials it failed, and in which it was degraded or worse.
    #[inline(always)]
    fn unit(&mut self, unit: u32, failed: &Word, degraded: &Word) {
        match self {
            Self::Counts(counts) => counts.unit(unit, failed, degraded),
            Self::Outcomes(outcomes) => note_unit(outcomes, unit, failed, degraded),
        }
    }

    /// What came of failure at a dependency.
    #[inline(always)]
    fn dependency(&mut self, dependency: u32, seen: &watch::Seen) {
        match self {
            Self::Counts(counts) => counts.dependency(dependency, seen),
            Self::Outcomes(outcomes) => note_dependency(outcomes, dependency, seen),
        }
    }

    /// In which trials a service is in a cycle that did not come to rest.
    fn restless(&mut self, service: u32, lanes: &Word) {
        match self {
            Self::Counts(counts) => {
                counts.restless[service as usize] += u64::from(lanes.count());
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

struct OneBlock<'t, 'a, const P: usize> {
    engine: &'t Boolean<'a>,
    lab: &'t mut Lab<'a, P>,
    seed: u64,
    block: u64,
    valid: &'t Word,
    sink: Sink<'t>,
}

impl<const P: usize> Task for OneBlock<'_, '_, P> {
    type Output = ();

    #[inline(always)]
    fn run<B: Bits>(self, bits: B) {
        let Self { engine, lab, seed, block, valid, mut sink } = self;
        lab.block(bits, seed, block);
        let counted = bits.load(valid);
        let masked = |word: &Word| bits.word(bits.and(bits.load(word), counted));
        for node in &lab.touched {
            let unit = engine.units.alone[*node as usize];
            if unit != NONE {
                let state = &lab.state[*node as usize];
                if P == 1 {
                    let failed = masked(&state[0]);
                    sink.unit(unit, &failed, &failed);
                } else {
                    sink.unit(unit, &masked(&state[failing::<P>()]), &masked(&state[P - 1]));
                }
            }
        }
        for (service, nodes) in &engine.units.several {
            let worst = |plane: usize| {
                let words = nodes.iter().map(|node| bits.load(&lab.state[*node as usize][plane]));
                let mut worst = Word::NONE;
                bits.store(&mut worst, words.fold(bits.none(), |all, word| bits.or(all, word)));
                masked(&worst)
            };
            sink.unit(*service, &worst(failing::<P>()), &worst(P - 1));
        }
        if engine.observes {
            let draws = Draws::new(bits, &lab.keys);
            lab.observe(draws, |dependency, seen| {
                let seen = watch::Seen {
                    tried: masked(&seen.tried),
                    passed: masked(&seen.passed),
                    held: array(|guard| masked(&seen.held[guard])),
                };
                sink.dependency(dependency, &seen);
            });
        }
        for (service, lanes) in &lab.restless {
            sink.restless(*service, &masked(lanes));
        }
    }
}

/// Counts of trials: integers, so that blocks may come in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// By unit: failed; degraded or worse.
    pub units: Vec<[u64; 2]>,
    /// By dependency: tried, passed, and held by each guard.
    pub dependencies: Vec<[u64; 2 + Protection::ALL.len()]>,
    /// By service: in a cycle that did not come to rest.
    pub restless: Vec<u64>,
}

impl Counts {
    /// Nothing counted.
    pub fn new(engine: &Boolean<'_>) -> Self {
        let dependencies = if engine.observes { engine.plan.dependencies.len() } else { 0 };
        Self {
            units: vec![[0; 2]; engine.units.count],
            dependencies: vec![[0; 2 + Protection::ALL.len()]; dependencies],
            restless: vec![0; engine.plan.services.len()],
        }
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        fn add<const N: usize>(all: &mut [[u64; N]], more: &[[u64; N]]) {
            for (all, more) in all.iter_mut().flatten().zip(more.iter().flatten()) {
                *all += more;
            }
        }
        add(&mut self.units, &other.units);
        add(&mut self.dependencies, &other.dependencies);
        for (all, more) in self.restless.iter_mut().zip(&other.restless) {
            *all += more;
        }
    }

    /// Adds them, of so many trials, to a tally.
    pub fn add_to(&self, tally: &mut Tally, trials: u64) {
        tally.trials += trials;
        for (unit, [failed, degraded]) in tally.units.iter_mut().zip(&self.units) {
            unit.failed += failed;
            unit.degraded += degraded;
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
        for (all, restless) in tally.anomalies.iter_mut().zip(&self.restless) {
            all.unsettled += restless;
        }
    }
}

impl Counts {
    #[inline(always)]
    fn unit(&mut self, unit: u32, failed: &Word, degraded: &Word) {
        let counts = &mut self.units[unit as usize];
        let failures = u64::from(failed.count());
        counts[0] += failures;
        counts[1] +=
            if std::ptr::eq(failed, degraded) { failures } else { u64::from(degraded.count()) };
    }

    #[inline(always)]
    fn dependency(&mut self, dependency: u32, seen: &watch::Seen) {
        let [tried, passed, held @ ..] = &mut self.dependencies[dependency as usize];
        *tried += u64::from(seen.tried.count());
        *passed += u64::from(seen.passed.count());
        for (all, word) in held.iter_mut().zip(&seen.held) {
            *all += u64::from(word.count());
        }
    }
}

fn note_unit(outcomes: &mut [Outcome], unit: u32, failed: &Word, degraded: &Word) {
    for (outcome, (failed, degraded)) in outcomes.iter_mut().zip(failed.0.iter().zip(degraded.0)) {
        let share = f64::from(failed.count_ones());
        outcome.units[unit as usize] = Unit { failed: *failed, degraded, share };
        let first_flow = outcome.units.len() - outcome.flows.len();
        if let Some(flow) = (unit as usize).checked_sub(first_flow) {
            outcome.flows[flow].share = array(|trial| f64::from((failed >> trial & 1) as u8));
        }
    }
}

fn note_dependency(outcomes: &mut [Outcome], dependency: u32, seen: &watch::Seen) {
    for (part, outcome) in outcomes.iter_mut().enumerate() {
        outcome.dependencies.push(outcome::Dependency {
            dependency,
            tried: seen.tried.0[part],
            passed: seen.passed.0[part],
            held: array(|by| seen.held[by].0[part]),
        });
    }
}
