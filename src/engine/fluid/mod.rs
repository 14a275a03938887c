//! The engine for shares of requests, load and time: eight trials side by side.
//!
//! A trial is deterministic arithmetic on the shares of [`crate::semantics`], given its draws. Each
//! lane has a clock of its own and goes from event to event; between events nothing changes but
//! capacity during a warm-up, which is cut into steps.

mod acts;
mod baseline;
mod call;
mod course;
mod lanes;
mod load;
mod marks;
mod moment;
mod order;
mod own;
mod record;
mod recovery;
mod run;
mod settle;
mod setup;
mod taping;
mod world;

use lanes::LANES;
use record::Record;
use run::Run;
use setup::Setup;
use taping::Taped;
use world::ChunkWorld;

use super::draws::Draws;
use super::outcome::{Course, Dependency, Each, FailedTime, Flow, Oddity, Outcome, TRIALS, Unit};
use super::tape::Tape;
use crate::compile::Plan;

/// Into how many steps a warm-up is cut, unless said otherwise.
pub const RAMP_STEPS: u32 = 32;

/// An engine for one plan.
pub struct Fluid<'a> {
    plan: &'a Plan,
    setup: Setup,
    ramp_steps: u32,
}

/// Room for the trials of one thread.
pub struct Scratch<'a> {
    run: Run<'a>,
}

impl<'a> Fluid<'a> {
    /// An engine that cuts warm-ups into this many steps.
    pub fn new(plan: &'a Plan, ramp_steps: u32) -> Self {
        Self { plan, setup: Setup::new(plan), ramp_steps }
    }

    /// Room to work in, reused from chunk to chunk.
    pub fn scratch(&'a self) -> Scratch<'a> {
        Scratch { run: Run::new(self.plan, &self.setup, self.ramp_steps) }
    }

    /// One trial, moment by moment.
    pub fn tape(&'a self, draws: Draws, trial: u64) -> Tape {
        let width = TRIALS as u64;
        let world = self.world(draws, trial / width);
        let place = world.order().place((trial % width) as u8);
        let mut run = Run::new(self.plan, &self.setup, self.ramp_steps);
        run.taped = Some(Taped::new(place % LANES));
        run.trials(&world, (place / LANES) as u32);
        run.taped.map(|taped| taped.tape).expect("it was put there")
    }

    /// The outcome of the 64 trials from `64 * chunk` on, of which those in `valid` count.
    pub fn chunk(
        &'a self,
        scratch: &mut Scratch<'a>,
        draws: Draws,
        chunk: u64,
        valid: u64,
    ) -> Outcome {
        let world = self.world(draws, chunk);
        let places = world.order().arranged(valid);
        let mut collector = Collector::new(self.plan, valid);
        for group in 0..(TRIALS / LANES) as u32 {
            let lanes = (places >> (group * LANES as u32)) as u8;
            if lanes != 0 {
                scratch.run.trials(&world, group);
                collector.collect(&scratch.run, world.order().eight(group), lanes);
            }
        }
        collector.finish()
    }

    fn world(&self, draws: Draws, chunk: u64) -> ChunkWorld {
        ChunkWorld::new(self.plan, draws, chunk, self.setup.liars_last)
    }
}

/// Puts the records of eight times eight trials together.
struct Collector<'a> {
    plan: &'a Plan,
    outcome: Outcome,
    dependencies: Vec<Option<Box<Dependency>>>,
    oddities: Vec<[u64; 3]>,
}

impl<'a> Collector<'a> {
    fn new(plan: &'a Plan, valid: u64) -> Self {
        let endpoints: usize = plan.services.iter().map(|service| service.endpoints.len()).sum();
        let units = plan.services.len() + endpoints + plan.flows.len();
        let flow = || Flow {
            share: [0.0; TRIALS],
            lost: [f64::NAN; TRIALS],
            wrong: [f64::NAN; TRIALS],
            unserved: [f64::NAN; TRIALS],
        };
        Self {
            plan,
            outcome: Outcome {
                valid,
                units: vec![Unit::default(); units],
                times: Vec::new(),
                flows: plan.flows.iter().map(|_| flow()).collect(),
                dependencies: Vec::new(),
                oddities: Vec::new(),
                course: plan.schedule.is_some().then(Box::default),
            },
            dependencies: vec![None; plan.dependencies.len()],
            oddities: vec![[0; 3]; plan.services.len()],
        }
    }

    /// Adds what was seen of these trials in these lanes.
    fn collect(&mut self, run: &Run<'_>, trials: [u8; LANES], lanes: u8) {
        let record = &run.record;
        let at = trials.map(usize::from);
        let counted = |lane: &usize| lanes >> *lane & 1 == 1;
        self.collect_units(record, trials, lanes);
        let first_flow = self.outcome.units.len() - self.plan.flows.len();
        for (index, flow) in self.outcome.flows.iter_mut().enumerate() {
            for lane in (0..LANES).filter(counted) {
                flow.share[at[lane]] = record.units[first_flow + index].failing[lane];
                if self.plan.schedule.is_some() {
                    flow.lost[at[lane]] = record.flows[index].lost[lane];
                    flow.wrong[at[lane]] = record.flows[index].wrong[lane];
                    flow.unserved[at[lane]] = record.flows[index].unserved[lane];
                }
            }
        }
        self.collect_dependencies(record, trials, lanes);
        for (all, masks) in self.oddities.iter_mut().zip(&record.oddities) {
            for (all, mask) in all.iter_mut().zip(masks) {
                *all |= of_trials(mask & lanes, trials);
            }
        }
        if let Some(course) = &mut self.outcome.course {
            for lane in (0..LANES).filter(counted) {
                collect_course(course, run, lane, at[lane]);
            }
        }
    }

    fn collect_units(&mut self, record: &Record, trials: [u8; LANES], lanes: u8) {
        let (failed, degraded) = (self.plan.failed - call::SLACK, self.plan.degraded - call::SLACK);
        for (index, (unit, seen)) in self.outcome.units.iter_mut().zip(&record.units).enumerate() {
            if lanes::same(&seen.any, &lanes::all(0.0)) {
                continue;
            }
            for lane in (0..LANES).filter(|lane| lanes >> *lane & 1 == 1) {
                let bit = 1 << trials[lane];
                unit.share += seen.failing[lane];
                unit.degraded |= if seen.any[lane] >= degraded { bit } else { 0 };
                if seen.failing[lane] >= failed {
                    unit.failed |= bit;
                    if self.plan.schedule.is_some() {
                        self.outcome.times.push(FailedTime {
                            unit: index as u32,
                            first: seen.first[lane],
                            lasted: seen.lasted[lane],
                        });
                    }
                }
            }
        }
    }

    fn collect_dependencies(&mut self, record: &Record, trials: [u8; LANES], lanes: u8) {
        for index in &record.tried {
            let seen = &record.dependencies[*index as usize];
            let place = &mut self.dependencies[*index as usize];
            let it = place.get_or_insert_with(|| {
                Box::new(Dependency {
                    dependency: *index,
                    tried: 0,
                    passed: 0,
                    held: [0; super::tally::Guard::ALL.len()],
                })
            });
            it.tried |= of_trials(seen.tried & lanes, trials);
            it.passed |= of_trials(seen.passed & lanes, trials);
            let held = seen.tried & !seen.passed & lanes;
            for lane in (0..LANES).filter(|lane| held >> *lane & 1 == 1) {
                it.held[seen.guard[lane] as usize] |= 1 << trials[lane];
            }
        }
    }

    fn finish(mut self) -> Outcome {
        self.outcome.dependencies =
            self.dependencies.into_iter().flatten().map(|boxed| *boxed).collect();
        self.outcome.dependencies.retain(|it| it.tried != 0);
        for (service, [metastable, stuck, swings]) in self.oddities.into_iter().enumerate() {
            if metastable | stuck | swings != 0 {
                let service = service as u32;
                self.outcome.oddities.push(Oddity { service, metastable, stuck, swings });
            }
        }
        self.outcome
    }
}

/// A mask of lanes as one of the trials in them.
fn of_trials(lanes: u8, trials: [u8; LANES]) -> u64 {
    let lane = |lane: usize| u64::from(lanes >> lane & 1) << trials[lane];
    if lanes == 0 { 0 } else { (0..LANES).map(lane).sum() }
}

fn collect_course(course: &mut Course, run: &Run<'_>, lane: usize, trial: usize) {
    let set = |each: &mut Each, value: f64| each[trial] = value;
    let it = &run.courses[lane];
    set(&mut course.impact, run.record.impact[lane]);
    set(&mut course.detected, it.detected_at);
    course.detected_by[trial] = it.detected_by;
    set(&mut course.exposure, it.exposure);
    set(&mut course.ended, it.ended_at);
    set(&mut course.over, run.record.over[lane]);
}
