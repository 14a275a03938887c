//! The engine for shares of requests, load and time: eight trials side by side.
//!
//! A trial is deterministic arithmetic on the shares of [`crate::semantics`], given its draws. Each
//! lane has a clock of its own and goes from event to event; between events nothing changes but
//! capacity during a warm-up, which is cut into steps.

mod load;
mod observe;
mod propagation;
mod run;
mod state;
mod timeline;

use observe::collector::Collector;
use observe::tracing::TracedLane;
use run::Run;
use state::lanes::LANES;
use state::plan_index::PlanIndex;
use state::sampled_trials::SampledChunk;

use super::draws::Draws;
use super::outcome::{Outcome, TRIALS};
use super::parallel::{Pool, each_of};
use super::trace::Trace;
use crate::compile::Plan;

/// Into how many steps a warm-up, or the expiry of a cache, is cut, unless said otherwise.
pub const RAMP_STEPS: u32 = 32;

/// An engine for one plan.
pub struct Fluid<'a> {
    plan: &'a Plan,
    index_of_plan: PlanIndex,
    ramp_steps: u32,
}

/// Most nodes of a plan whose groups of eight trials are computed on several threads: each needs room of
/// its own.
const FEW_NODES: usize = 5_000;

impl<'a> Fluid<'a> {
    /// An engine that cuts warm-ups into this many steps.
    pub fn new(plan: &'a Plan, ramp_steps: u32) -> Self {
        Self { plan, index_of_plan: PlanIndex::new(plan, ramp_steps), ramp_steps }
    }

    /// One trial, moment by moment.
    pub fn trace(&'a self, draws: Draws, trial: u64) -> Trace {
        let width = TRIALS as u64;
        let sampled = self.sampled(draws, trial / width, 1 << (trial % width));
        let place = sampled.order().place((trial % width) as u8);
        let mut run = self.new_run();
        run.traced = Some(TracedLane::new(place % LANES));
        run.trials(&sampled, (place / LANES) as u32);
        run.traced.map(|traced| traced.trace).expect("it was put there")
    }

    /// The outcome of the 64 trials from `64 * chunk` on, of which those in `valid` count.
    ///
    /// Room for eight trials is taken from `pool`.
    pub(crate) fn chunk(
        &'a self,
        pool: &Pool<Run<'a>>,
        draws: Draws,
        chunk: u64,
        valid: u64,
    ) -> Outcome {
        let sampled = self.sampled(draws, chunk, valid);
        let places = sampled.order().arranged(valid);
        let mut collector = Collector::new(self.plan, valid);
        let lanes = |group: u32| (places >> (group * LANES as u32)) as u8;
        let groups = (0..(TRIALS / LANES) as u32).filter(|group| lanes(*group) != 0);
        let groups: Vec<u32> = groups.collect();
        // A few looks at 64 trials must keep all threads busy too.
        let at_once = if self.plan.nodes.len() <= FEW_NODES { groups.len() } else { 1 };
        for groups in groups.chunks(at_once.max(1)) {
            let runs = each_of(groups, |group| {
                let mut run = pool.take(|| self.new_run());
                run.trials(&sampled, *group);
                run
            });
            // In the order of groups, so that sums come out the same on any number of threads.
            for (group, run) in groups.iter().zip(runs) {
                collector.collect(&run, sampled.order().eight(*group), lanes(*group));
                pool.give_back(run);
            }
        }
        collector.finish()
    }

    fn new_run(&'a self) -> Run<'a> {
        Run::new(self.plan, &self.index_of_plan, self.ramp_steps)
    }

    fn sampled(&self, draws: Draws, chunk: u64, valid: u64) -> SampledChunk {
        SampledChunk::new(self.plan, draws, (chunk, valid), self.index_of_plan.corrupting_last)
    }
}
