//! Simulates a change that breaks: the numbers, without a verdict.

use crate::compile::{Plan, compile};
use crate::engine::boolean::{self, NotBoolean};
use crate::engine::exact::Limits;
use crate::engine::{Choice, Progress, Simulator, Tally};
use crate::model::{Change, Seconds, Topology};
use crate::report::{EngineName, Report, TrialLabel, TrialTrace};
use crate::summary::{self, Summary, summarize};

use super::assumptions::all_assumptions;
use super::build_report::{ReportContext, build_report};
use super::reach::Reach;
use super::trace_report::trace_report;
use super::{budget, exact, unknowns};

/// How to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials.
    pub stop: Stop,
    /// Of single moments: for how long the break has lasted.
    pub lasting: Seconds,
    /// Whether the break happens with certainty, because it was asked for.
    pub is_certain: bool,
    /// Which engine; one that does not suit the question is refused by [`engine_obstacle`].
    pub engine: Choice,
}

/// Why the engine that is asked for is not for this change; nothing if it is.
pub fn engine_obstacle(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
) -> Option<NotBoolean> {
    match settings.engine {
        Choice::Automatic | Choice::Fluid => None,
        Choice::Boolean(_) => boolean::find_obstacle(&compile(topology, change, settings.lasting)),
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            stop: Stop::Trials(10_000),
            lasting: Seconds::ZERO,
            is_certain: false,
            engine: Choice::Automatic,
        }
    }
}

impl Settings {
    /// The engine for a question with something changed: that may take it beyond what is Boolean,
    /// so the Boolean engine is taken where it suits.
    pub(super) fn engine_of_variants(&self) -> Choice {
        if self.engine == Choice::Fluid { Choice::Fluid } else { Choice::Automatic }
    }
}

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stop {
    /// After so many trials.
    Trials(u64),
    /// When the interval of every flow is this narrow, or after so many trials at the most.
    Precision {
        /// From the lower to the upper end.
        width: f64,
        /// At the most.
        max_trials: u64,
    },
}

/// How many trials are run before intervals are looked at: in steps of this.
const STEP: u64 = 4096;

/// Simulates a change.
pub fn simulate_change(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    progress: &dyn Progress,
) -> Report {
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulator::with_engine(&plan, settings.seed, settings.engine);
    let (tally, is_partial) = run_trials(&plan, &simulation, settings.stop, progress);
    let summary = summarize(&tally);
    let mut report = simulation_report(topology, change, settings, &simulation, &summary);
    add_exact(topology, change, &plan, &mut report);
    report.partial = is_partial;
    budget::add_budgets(topology, &tally, &[], &mut report);
    report.unknowns = unknowns::find_unknowns(
        topology,
        change,
        &plan,
        settings,
        &summary,
        unknowns::Effort::QUICK,
    );
    // Last, since they are traced anew and show steps that figures do not.
    report.example_trials = example_trials(topology, change, &simulation, &tally);
    report
}

/// One trial, step by step.
pub fn trace_trial(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    trial: u64,
) -> TrialTrace {
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulator::with_engine(&plan, settings.seed, settings.engine);
    let targets: Vec<_> = change.targets.iter().map(|target| target.on).collect();
    trace_report(topology, &targets, &simulation.trace_trial(trial), trial, TrialLabel::Requested)
}

/// The median trial and a 1-in-20 trial.
pub(super) fn example_trials<'a>(
    topology: &Topology,
    change: &Change,
    simulation: &'a Simulator<'a>,
    tally: &Tally,
) -> Vec<TrialTrace> {
    let targets: Vec<_> = change.targets.iter().map(|target| target.on).collect();
    [(TrialLabel::Median, 0.5), (TrialLabel::OneInTwenty, 0.95)]
        .into_iter()
        .filter_map(|(label, q)| {
            // Traced anew by its number: to keep the steps of all trials would take gigabytes.
            let trial = tally.trial_at(q)?;
            Some(trace_report(topology, &targets, &simulation.trace_trial(trial), trial, label))
        })
        .collect()
}

/// The report of a summary.
pub(super) fn simulation_report(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    simulation: &Simulator<'_>,
    summary: &Summary,
) -> Report {
    let context = ReportContext {
        topology,
        change,
        is_certain: settings.is_certain,
        lasting: settings.lasting,
        seed: settings.seed,
        engine: EngineName::of_simulation(simulation),
    };
    let mut report = build_report(&context, summary);
    report.assumptions.extend(all_assumptions(
        topology,
        change,
        simulation.plan(),
        settings.is_certain,
    ));
    report
}

/// Adds exact values where they are cheap, and an exact 0 for what the change cannot reach.
pub(super) fn add_exact(topology: &Topology, change: &Change, plan: &Plan, report: &mut Report) {
    // What the change cannot reach is 0 for certain, whatever few trials say.
    exact::put_unreached(topology, &Reach::of(topology, change), report);
    if let Ok(values) = exact::exact_values(plan, Limits::CHEAP) {
        let Report { services, flows, failure_probability, .. } = report;
        exact::put_values(topology, &values, services, flows, *failure_probability);
    }
}

/// Runs trials until it is time to stop; says whether it was cancelled before.
pub(super) fn run_trials<'a>(
    plan: &Plan,
    simulation: &'a Simulator<'a>,
    stop: Stop,
    progress: &dyn Progress,
) -> (Tally, bool) {
    let mut tally = Tally::new(plan);
    match stop {
        Stop::Trials(trials) => simulation.run_trials(0..trials, &mut tally, progress),
        Stop::Precision { width, max_trials } => {
            while tally.trials < max_trials && !progress.is_cancelled() {
                let next = (tally.trials + STEP).min(max_trials);
                let offset = Offset { progress, done: tally.trials };
                simulation.run_trials(tally.trials..next, &mut tally, &offset);
                // Looked at in steps, so that the interval is not computed for each trial.
                if summary::widest_flow_interval(&tally) <= width {
                    break;
                }
            }
        }
    }
    let asked = match stop {
        // With a precision it is done when it is reached, so nothing was asked beyond that.
        Stop::Trials(trials) => trials,
        Stop::Precision { .. } => tally.trials,
    };
    let is_partial = tally.trials < asked || progress.is_cancelled();
    (tally, is_partial)
}

/// Progress of trials that follow others.
pub(super) struct Offset<'a> {
    pub(super) progress: &'a dyn Progress,
    pub(super) done: u64,
}

impl Progress for Offset<'_> {
    fn trials_done(&self, trials: u64) {
        self.progress.trials_done(self.done + trials);
    }

    fn counted(&self, tally: &Tally) {
        self.progress.counted(tally);
    }

    fn is_cancelled(&self) -> bool {
        self.progress.is_cancelled()
    }
}
