//! From a plan to counts: one semantics, several engines.
//!
//! A [`Plan`] and a seed come in, a [`Tally`] goes out. Nothing depends on the number of threads:
//! every draw is addressed by seed, trial and name, and outcomes are added in the order of trials,
//! or, where they are integers, in any order.

pub mod boolean;
mod cycles;
pub mod draws;
pub mod exact;
pub mod fluid;
pub mod origins;
pub mod outcome;
pub(crate) mod parallel;
mod pipeline;
pub mod simd;
pub mod sketch;
pub mod tally;
pub mod trace;

use std::ops::Range;

use crate::compile::Plan;
use boolean::{BLOCK, BlockCounts, Boolean};
use draws::Draws;
use fluid::Fluid;
use outcome::{Outcome, TRIALS};
use parallel::Pool;
use simd::{InstructionSet, LaneMask};
pub use tally::{Protection, Tally};

/// How many chunks of 64 trials are added up at a time: 4,096 trials keep all threads busy, and
/// progress moves often enough to be looked at.
const WINDOW: u64 = 64;
/// How many blocks of 512 trials are counted at a time: they take microseconds each.
const BLOCK_WINDOW: u64 = 128;

/// Observer of the progress of a simulation.
pub trait Progress: Sync {
    /// Called when this many trials are done.
    fn trials_done(&self, trials: u64);

    /// Called with the partial tally after every window, before [`Progress::trials_done`]. Quantiles
    /// are not available yet.
    fn counted(&self, _tally: &Tally) {}

    /// Returns whether to stop early.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Observer that ignores all progress.
pub struct Silent;

impl Progress for Silent {
    fn trials_done(&self, _trials: u64) {}
}

/// Which engine to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The Boolean one where the plan is Boolean, else the fluid one.
    #[default]
    Automatic,
    /// The fluid one, whatever the plan.
    Fluid,
    /// The Boolean one with these instructions; the plan must be Boolean.
    Boolean(InstructionSet),
}

/// Runs trials of one plan.
pub struct Simulator<'a> {
    engine: Engine<'a>,
    seed: u64,
    ramp_steps: u32,
    plan: &'a Plan,
}

enum Engine<'a> {
    Fluid(Fluid<'a>),
    Boolean(Boolean<'a>),
}

impl<'a> Simulator<'a> {
    /// Trials of a plan under a seed, by the engine that suits it.
    pub fn new(plan: &'a Plan, seed: u64) -> Self {
        Self::with_engine(plan, seed, Choice::Automatic)
    }

    /// The same by a certain engine.
    pub fn with_engine(plan: &'a Plan, seed: u64, choice: Choice) -> Self {
        let boolean = |level| Engine::Boolean(Boolean::new(plan, level, true));
        let engine = match choice {
            Choice::Fluid => Engine::Fluid(Fluid::new(plan, fluid::RAMP_STEPS)),
            Choice::Boolean(level) => boolean(level),
            Choice::Automatic => match boolean::find_obstacle(plan) {
                None => boolean(InstructionSet::best()),
                Some(_) => Engine::Fluid(Fluid::new(plan, fluid::RAMP_STEPS)),
            },
        };
        Self { engine, seed, ramp_steps: fluid::RAMP_STEPS, plan }
    }

    /// The fluid engine with warm-ups cut into so many steps.
    pub fn with_ramp_steps(plan: &'a Plan, seed: u64, ramp_steps: u32) -> Self {
        Self { engine: Engine::Fluid(Fluid::new(plan, ramp_steps)), seed, ramp_steps, plan }
    }

    /// The same, counting only what fails and not what contained it: faster.
    pub fn counting_failures(plan: &'a Plan, seed: u64, level: InstructionSet) -> Self {
        let engine = match boolean::find_obstacle(plan) {
            None => Engine::Boolean(Boolean::new(plan, level, false)),
            Some(_) => Engine::Fluid(Fluid::new(plan, fluid::RAMP_STEPS)),
        };
        Self { engine, seed, ramp_steps: fluid::RAMP_STEPS, plan }
    }

    /// Returns the plan whose trials it runs.
    pub fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// Returns whether the Boolean engine runs it; otherwise the fluid engine does.
    pub fn is_boolean(&self) -> bool {
        matches!(self.engine, Engine::Boolean(_))
    }

    /// One trial, moment by moment.
    pub fn trace_trial(&self, trial: u64) -> trace::Trace {
        Fluid::new(self.plan, self.ramp_steps).trace(Draws::new(self.seed), trial)
    }

    /// Adds the trials of a range to a tally; stops early, at a whole number of windows, when
    /// cancelled.
    pub fn run_trials(&'a self, trials: Range<u64>, tally: &mut Tally, progress: &dyn Progress) {
        match &self.engine {
            Engine::Fluid(_) => self.each_window(trials, progress, |outcomes| {
                outcomes.iter().flatten().for_each(|outcome| tally.add_outcome(outcome));
                progress.counted(tally);
            }),
            Engine::Boolean(engine) => self.count_trials(engine, trials, tally, progress),
        }
        tally.settle_sketches();
    }

    /// Counts the trials of a range.
    fn count_trials(
        &'a self,
        engine: &'a Boolean<'a>,
        trials: Range<u64>,
        tally: &mut Tally,
        progress: &dyn Progress,
    ) {
        let pool = Pool::default();
        for window in trial_windows(&trials, BLOCK, BLOCK_WINDOW) {
            if progress.is_cancelled() {
                return;
            }
            let counted = Pool::default();
            parallel::each_in(window.clone(), |block| {
                let valid = valid_word(block * BLOCK, &trials);
                pool.with_item(
                    || engine.new_scratch(),
                    |scratch| {
                        let count = |counts: &mut BlockCounts| {
                            engine.count_block(scratch, self.seed, block, &valid, counts);
                        };
                        counted.with_item(|| BlockCounts::new(engine), count);
                    },
                );
            });
            let done = (window.end * BLOCK).min(trials.end) - trials.start;
            let trials_counted =
                done - (window.start * BLOCK).max(trials.start).saturating_sub(trials.start);
            // Counts are integers, so they may be added up in any order.
            let counts = counted.into_all().into_iter().reduce(|mut all, more| {
                all.merge_counts(&more);
                all
            });
            if let Some(counts) = counts {
                counts.add_to(engine, tally, trials_counted);
            }
            progress.counted(tally);
            progress.trials_done(done);
        }
    }

    /// Gives the outcomes of a range of trials one after the other, in their order.
    pub fn each_outcome(
        &'a self,
        trials: Range<u64>,
        progress: &dyn Progress,
        mut take: impl FnMut(&Outcome),
    ) {
        self.each_window(trials, progress, |outcomes| {
            outcomes.iter().flatten().for_each(&mut take);
        });
    }

    /// Gives the outcomes of a range of trials, many at a time, in their order.
    fn each_window(
        &'a self,
        trials: Range<u64>,
        progress: &dyn Progress,
        take: impl FnMut(&[Vec<Outcome>]),
    ) {
        match &self.engine {
            Engine::Fluid(engine) => {
                let (draws, pool) = (Draws::new(self.seed), Pool::default());
                let outcomes = |chunk: u64| {
                    let valid = valid_trials(chunk * TRIALS as u64, &trials);
                    vec![engine.chunk(&pool, draws, chunk, valid)]
                };
                in_order(&trials, TRIALS as u64, WINDOW, progress, outcomes, take);
            }
            Engine::Boolean(engine) => {
                let pool = Pool::default();
                let outcomes = |block: u64| {
                    let valid = valid_word(block * BLOCK, &trials);
                    let block =
                        |scratch: &mut _| engine.block_outcomes(scratch, self.seed, block, &valid);
                    pool.with_item(|| engine.new_scratch(), block)
                };
                let window = WINDOW * TRIALS as u64 / BLOCK;
                in_order(&trials, BLOCK, window, progress, outcomes, take);
            }
        }
    }
}

/// Computes pieces of `width` trials in parallel, a window at a time, and hands on their outcomes
/// in order.
fn in_order(
    trials: &Range<u64>,
    width: u64,
    window: u64,
    progress: &dyn Progress,
    outcomes: impl Fn(u64) -> Vec<Outcome> + Sync,
    mut take: impl FnMut(&[Vec<Outcome>]),
) {
    for window in trial_windows(trials, width, window) {
        if progress.is_cancelled() {
            return;
        }
        let all = parallel::each_in(window.clone(), &outcomes);
        take(&all);
        progress.trials_done((window.end * width).min(trials.end) - trials.start);
    }
}

/// The pieces of `width` trials that a range touches, so many at a time.
fn trial_windows(trials: &Range<u64>, width: u64, window: u64) -> impl Iterator<Item = Range<u64>> {
    let pieces = trials.start / width..trials.end.div_ceil(width);
    let step = usize::try_from(window).expect("windows are small");
    pieces.clone().step_by(step).map(move |first| first..pieces.end.min(first + window))
}

/// Returns which of the 64 trials from `first` on are in the range.
fn valid_trials(first: u64, trials: &Range<u64>) -> u64 {
    (0..TRIALS as u64)
        .filter(|trial| trials.contains(&(first + trial)))
        .fold(0, |mask, trial| mask | 1 << trial)
}

/// Returns which of the 512 trials from `first` on are in the range.
fn valid_word(first: u64, trials: &Range<u64>) -> LaneMask {
    LaneMask(std::array::from_fn(|part| valid_trials(first + (part * TRIALS) as u64, trials)))
}
