//! From a plan to counts: one semantics, several engines.
//!
//! A [`Plan`] and a seed come in, a [`Tally`] goes out. Nothing depends on the number of threads:
//! every draw is addressed by seed, trial and name, and outcomes are added in the order of trials.

pub mod draws;
pub mod fluid;
pub mod outcome;
mod simd;
pub mod sketch;
pub mod tally;
pub mod tape;

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::compile::Plan;
use draws::Draws;
use fluid::{Fluid, Scratch};
use outcome::{Outcome, TRIALS};
pub use tally::{Guard, Tally};

/// How many chunks of 64 trials are added up at a time: 4,096 trials keep all threads busy, and
/// progress moves often enough to be looked at.
const WINDOW: u64 = 64;

/// Hears how far a simulation has come.
pub trait Progress: Sync {
    /// So many trials are done.
    fn trials_done(&self, trials: u64);

    /// This is what was counted so far, for whoever wants to show how certain it is by now. Called
    /// before [`Progress::trials_done`] and as often; quantiles are not ready to be asked for.
    fn counted(&self, _tally: &Tally) {}

    /// Whether the rest should be left undone.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody listens.
pub struct Silent;

impl Progress for Silent {
    fn trials_done(&self, _trials: u64) {}
}

/// Runs trials of one plan.
pub struct Simulation<'a> {
    engine: Fluid<'a>,
    draws: Draws,
}

impl<'a> Simulation<'a> {
    /// Trials of a plan under a seed.
    pub fn new(plan: &'a Plan, seed: u64) -> Self {
        Self::with_ramp_steps(plan, seed, fluid::RAMP_STEPS)
    }

    /// The same with warm-ups cut into so many steps.
    pub fn with_ramp_steps(plan: &'a Plan, seed: u64, ramp_steps: u32) -> Self {
        Self { engine: Fluid::new(plan, ramp_steps), draws: Draws::new(seed) }
    }

    /// The name of the engine.
    pub fn engine(&self) -> &'static str {
        "fluid"
    }

    /// One trial, moment by moment.
    pub fn tape(&'a self, trial: u64) -> tape::Tape {
        self.engine.tape(self.draws, trial)
    }

    /// Adds the trials of a range to a tally; stops early, at a whole number of windows, when
    /// cancelled.
    pub fn run(&'a self, trials: Range<u64>, tally: &mut Tally, progress: &dyn Progress) {
        self.windows(trials, progress, |outcomes| {
            for outcome in outcomes {
                tally.add(outcome);
            }
            progress.counted(tally);
        });
        tally.settle();
    }

    /// Gives the outcomes of a range of trials one after the other, in their order.
    pub fn each(
        &'a self,
        trials: Range<u64>,
        progress: &dyn Progress,
        mut take: impl FnMut(&Outcome),
    ) {
        self.windows(trials, progress, |outcomes| outcomes.iter().for_each(&mut take));
    }

    /// Gives the outcomes of a range of trials, many at a time, in their order.
    fn windows(
        &'a self,
        trials: Range<u64>,
        progress: &dyn Progress,
        mut take: impl FnMut(&[Outcome]),
    ) {
        let width = TRIALS as u64;
        let chunks = trials.start / width..trials.end.div_ceil(width);
        let scratches: Mutex<Vec<Scratch<'a>>> = Mutex::new(Vec::new());
        let mut first = chunks.start;
        while first < chunks.end && !progress.is_cancelled() {
            let window = first..chunks.end.min(first + WINDOW);
            let outcomes: Vec<Outcome> = window
                .clone()
                .into_par_iter()
                .map(|chunk| {
                    let free = scratches.lock().expect("no thread panics holding it").pop();
                    let mut scratch = free.unwrap_or_else(|| self.engine.scratch());
                    let valid = valid(chunk * width, &trials);
                    let outcome = self.engine.chunk(&mut scratch, self.draws, chunk, valid);
                    scratches.lock().expect("no thread panics holding it").push(scratch);
                    outcome
                })
                .collect();
            take(&outcomes);
            let done = (window.end * width).min(trials.end) - trials.start;
            progress.trials_done(done);
            first = window.end;
        }
    }
}

/// Which of the 64 trials from `first` on are in the range.
fn valid(first: u64, trials: &Range<u64>) -> u64 {
    (0..TRIALS as u64)
        .filter(|trial| trials.contains(&(first + trial)))
        .fold(0, |mask, trial| mask | 1 << trial)
}
