//! Runs trials until every rule is decided, or it is known that it cannot be.

use super::facts::TrialFacts;
use super::interval::IntervalCache;
use super::rules::RuleState;
use super::{Assumption, Gate};
use crate::analysis::exact;
use crate::analysis::reach::Reach;
use crate::analysis::simulate::{Offset, Settings};
use crate::compile::Plan;
use crate::engine::exact::Limits;
use crate::engine::{Progress, Simulator, Tally};
use crate::model::topology::{Caller, Dependency};
use crate::model::{Change, Topology, defaults};
use crate::policy::RuleVerdict;
use crate::report;
use crate::report::compare::SinglePoint;

/// The trials of the topology as stated, or as assumed.
pub(super) struct CheckRun<'a> {
    topology: &'a Topology,
    plan: &'a Plan,
    simulation: &'a Simulator<'a>,
    /// The exact probabilities, where they are cheap.
    pub(super) exact: Option<Vec<exact::Values>>,
    pub(super) tally: Tally,
    /// The assumption about what is not stated.
    pub(super) assumption: Assumption,
    /// The most trials that it may have.
    pub(super) max_trials: u64,
    /// The numbers of trials at which rules were evaluated.
    pub(super) checkpoints: Vec<u64>,
}

impl<'a> CheckRun<'a> {
    pub(super) fn new(
        topology: &'a Topology,
        plan: &'a Plan,
        simulation: &'a Simulator<'a>,
        tally: Tally,
        (assumption, max_trials): (Assumption, u64),
    ) -> Self {
        let checkpoints = vec![tally.trials];
        // Exact values decide rules without trials, where they cost less than these.
        let exact = exact::exact_values(plan, Limits::CHEAP).ok();
        Self { topology, plan, simulation, exact, tally, assumption, max_trials, checkpoints }
    }

    /// Returns a run of which only the estimates are asked for.
    pub(super) fn sampled(
        topology: &'a Topology,
        plan: &'a Plan,
        simulation: &'a Simulator<'a>,
        tally: Tally,
    ) -> Self {
        let checkpoints = vec![tally.trials];
        let (assumption, max_trials) = (Assumption::Stated, tally.trials);
        Self { topology, plan, simulation, exact: None, tally, assumption, max_trials, checkpoints }
    }

    /// Returns the probability that a flow fails without the change: the exact one, where it is known.
    pub(super) fn unavailability(&self, flow: usize) -> f64 {
        let unit = self.tally.units.len() - self.topology.flows.len() + flow;
        if let Some(exact) = &self.exact {
            return exact[unit].baseline.failed;
        }
        let failed = self.tally.units[unit].baseline.failed as f64;
        failed / self.tally.trials.max(1) as f64
    }

    /// Doubles the trials, up to the most that are allowed.
    fn double(&mut self, progress: &dyn Progress) {
        let done = self.tally.trials;
        // Doubling keeps the number of checkpoints small, each of which takes a share of the error.
        let next = (done * 2).clamp(1, self.max_trials);
        // Trials go on where they stopped, so that 2,000 trials are the same whether they were run
        // at once or not.
        self.simulation.run_trials(done..next, &mut self.tally, &Offset { progress, done });
        self.checkpoints.push(next);
    }
}

/// Facts at a checkpoint that are not counted in trials.
#[derive(Clone)]
pub(super) struct Context<'a> {
    pub(super) topology: &'a Topology,
    pub(super) change: &'a Change,
    pub(super) gate: &'a Gate<'a>,
    pub(super) failure_probability: f64,
    pub(super) unknowns: &'a [report::Unknown],
    pub(super) single_points: &'a [SinglePoint],
    pub(super) dependencies: Vec<(Caller, &'a Dependency)>,
    pub(super) intervals: std::rc::Rc<IntervalCache>,
    /// Units that the change could hit at all.
    pub(super) reach: std::rc::Rc<Reach>,
}

impl<'a> Context<'a> {
    /// Returns the context before anything is simulated.
    pub(super) fn new(
        topology: &'a Topology,
        change: &'a Change,
        gate: &'a Gate<'a>,
        settings: &Settings,
    ) -> Self {
        let stated = change.failure_probability;
        let stated = stated.unwrap_or_else(|| defaults::failure_probability(change.kind)).get();
        Self {
            topology,
            change,
            gate,
            failure_probability: if settings.is_certain { 1.0 } else { stated },
            unknowns: &[],
            single_points: &[],
            dependencies: topology.declared_dependencies().collect(),
            intervals: std::rc::Rc::default(),
            reach: std::rc::Rc::new(Reach::of(topology, change)),
        }
    }

    /// Returns the facts of a tally.
    pub(super) fn facts<'b>(
        &'b self,
        topology: &'b Topology,
        tally: &'b Tally,
        checkpoint: u32,
    ) -> TrialFacts<'b> {
        TrialFacts {
            topology,
            change: self.change,
            failure_probability: self.failure_probability,
            tally,
            checkpoint,
            unknowns: self.unknowns,
            now: self.gate.now,
            baseline: self.gate.baseline,
            single_points: self.single_points,
            dependencies: &self.dependencies,
            intervals: &self.intervals,
            reach: &self.reach,
            exact: None,
            spent: self.gate.spent,
            is_point: false,
        }
    }

    /// Returns the facts of a run as it stands.
    pub(super) fn facts_of<'b>(&'b self, run: &'b CheckRun<'_>) -> TrialFacts<'b> {
        TrialFacts {
            exact: run.exact.as_deref(),
            ..self.facts(run.topology, &run.tally, run.checkpoints.len() as u32)
        }
    }

    /// Evaluates the rules that are seen in a run.
    pub(super) fn evaluate(&self, rules: &mut [RuleState], run: &CheckRun<'_>) {
        let facts = self.facts_of(run);
        for state in rules.iter_mut().filter(|state| state.is_seen_in(run.assumption)) {
            state.evaluate(&facts, run.assumption, run.tally.trials);
        }
    }
}

/// Returns what the verdict is at least: no rule that asks for no more needs another trial.
pub(super) fn floor(rules: &[RuleState], is_doubtful: bool) -> Option<RuleVerdict> {
    // A doubt asks for caution whatever the rules say.
    let fired = rules.iter().filter(|state| state.has_fired(RuleVerdict::Caution));
    let doubtful = is_doubtful.then_some(RuleVerdict::Caution);
    fired.map(|state| state.rule.verdict).max().max(doubtful)
}

/// Doubles the trials of the runs as long as a rule that could yet raise the verdict needs more of them.
pub(super) fn decide(
    rules: &mut [RuleState],
    runs: &mut [CheckRun<'_>],
    context: &Context<'_>,
    is_doubtful: bool,
    progress: &dyn Progress,
) {
    loop {
        let mut has_grown = false;
        // Overload everywhere makes the trials at worst the most expensive: what the others decide
        // first need not be asked there.
        for index in 0..runs.len() {
            let floor = floor(rules, is_doubtful);
            // Only rules that could still change the verdict get more trials.
            let is_needed = rules.iter().any(|state| {
                state.needs_trials() && state.could_raise(floor) && last_run(state, runs) == index
            });
            let run = &mut runs[index];
            if is_needed && run.tally.trials < run.max_trials && !progress.is_cancelled() {
                run.double(progress);
                context.evaluate(rules, run);
                has_grown = true;
            }
        }
        if !has_grown {
            break;
        }
    }
    for run in runs {
        // Trials alone cannot tell a probability from a limit close beside it. That is worth seconds, but
        // only once it is known that there is no other way.
        let floor = floor(rules, is_doubtful);
        let is_open = |state: &RuleState| {
            state.needs_trials() && state.could_raise(floor) && state.is_seen_in(run.assumption)
        };
        if run.exact.is_none() && rules.iter().any(is_open) && !progress.is_cancelled() {
            run.exact = exact::exact_values(run.plan, Limits::THOROUGH).ok();
            context.evaluate(rules, run);
        }
    }
}

/// Returns the run whose trials decide a rule.
fn last_run(state: &RuleState, runs: &[CheckRun<'_>]) -> usize {
    usize::from(state.unknown != Assumption::Stated && runs.len() > 1)
}
