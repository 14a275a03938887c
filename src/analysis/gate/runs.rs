//! Runs trials until every rule is decided, or it is known that it cannot be.

use super::facts::TrialFacts;
use super::interval::Cache;
use super::rules::RuleState;
use super::{Assumption, Gate};
use crate::analysis::exact;
use crate::analysis::simulate::{Offset, Settings};
use crate::compile::Plan;
use crate::engine::exact::Limits;
use crate::engine::{Progress, Simulation, Tally};
use crate::model::topology::{Caller, Dependency};
use crate::model::{Change, Topology, defaults};
use crate::report;
use crate::report::compare::SinglePoint;

/// The trials of the topology as stated, or as assumed.
pub(super) struct Run<'a> {
    topology: &'a Topology,
    simulation: &'a Simulation<'a>,
    /// The exact probabilities, where they are cheap.
    pub(super) exact: Option<Vec<exact::Values>>,
    pub(super) tally: Tally,
    /// The numbers of trials at which rules were evaluated.
    pub(super) checkpoints: Vec<u64>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        topology: &'a Topology,
        plan: &Plan,
        simulation: &'a Simulation<'a>,
        tally: Tally,
    ) -> Self {
        let checkpoints = vec![tally.trials];
        let exact = exact::exact_values(plan, Limits::CHEAP).ok();
        Self { topology, simulation, exact, tally, checkpoints }
    }

    /// Doubles the trials, up to `max_trials`.
    fn double(&mut self, max_trials: u64, progress: &dyn Progress) {
        let done = self.tally.trials;
        let next = (done * 2).clamp(1, max_trials);
        self.simulation.run_trials(done..next, &mut self.tally, &Offset { progress, done });
        self.checkpoints.push(next);
    }
}

/// What is known at a checkpoint beside what was counted.
#[derive(Clone)]
pub(super) struct Context<'a> {
    pub(super) topology: &'a Topology,
    pub(super) change: &'a Change,
    pub(super) gate: &'a Gate<'a>,
    pub(super) failure_probability: f64,
    pub(super) unknowns: &'a [report::Unknown],
    pub(super) single_points: &'a [SinglePoint],
    pub(super) dependencies: Vec<(Caller, &'a Dependency)>,
    pub(super) intervals: std::rc::Rc<Cache>,
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
            exact: None,
            spent: self.gate.spent,
            is_point: false,
        }
    }

    /// Returns the facts of a run as it stands.
    pub(super) fn facts_of<'b>(&'b self, run: &'b Run<'_>) -> TrialFacts<'b> {
        TrialFacts {
            exact: run.exact.as_deref(),
            ..self.facts(run.topology, &run.tally, run.checkpoints.len() as u32)
        }
    }

    fn evaluate(&self, state: &mut RuleState, run: &Run<'_>) {
        let facts = self.facts_of(run);
        state.evaluate(&facts, run.tally.trials);
    }
}

/// Evaluates all rules, and doubles the trials of a run as long as a rule needs more of them.
pub(super) fn decide(
    rules: &mut [RuleState],
    runs: &mut [Run<'_>],
    context: &Context<'_>,
    max_trials: u64,
    progress: &dyn Progress,
) {
    let run_index = |state: &RuleState, runs: &[Run<'_>]| {
        usize::from(state.unknown != Assumption::Stated && runs.len() > 1)
    };
    loop {
        for state in rules.iter_mut() {
            let index = run_index(state, runs);
            context.evaluate(state, &runs[index]);
            // What is not seen as assumed may be seen in the more numerous trials as stated.
            if index != 0 && state.may_yet_fire() {
                context.evaluate(state, &runs[0]);
            }
        }
        let mut has_grown = false;
        for index in 0..runs.len() {
            let is_needed =
                rules.iter().any(|state| state.needs_trials() && run_index(state, runs) == index);
            if is_needed && runs[index].tally.trials < max_trials && !progress.is_cancelled() {
                runs[index].double(max_trials, progress);
                has_grown = true;
            }
        }
        if !has_grown {
            return;
        }
    }
}
