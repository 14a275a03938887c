//! Whether to ship: a policy and limits, sampled until every rule is decided or it is known that it
//! cannot be.
//!
//! A rule is evaluated with every figure at its interval (see [`crate::summary::sequential`]), in three
//! values: it fires, it holds, or it cannot be told. Where more trials may tell, more are run. Where the
//! input lacks what it takes to tell, the rule is undecided at once. What is undecided at the end asks
//! for caution.

mod assume;
mod baseline;
mod cases;
mod deciders;
mod diff;
mod doubts;
mod facts;
mod interval;
mod reasons;
mod rules;
mod runs;
mod sentences;
mod together;
mod verdict;
mod waivers;

pub use crate::report::Assumption;
pub use cases::judge_case;

use crate::compile::{Plan, compile};
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::{Progress, Simulator, Tally};
use crate::model::{Change, Diff, Topology};
use crate::policy::evaluate::STEPS_MAX;
use crate::policy::{Policy, Waiver};
use crate::report::compare::SinglePoint;
use crate::report::{FilesReport, Report, TestReport, Unknown, Verdict};
use crate::summary::{sequential, summarize};

use super::simulate::{self, Settings, Stop};
use super::{budget, single_points, unknowns};
use rules::RuleState;
use runs::{CheckRun, Context};

/// A limit that a figure of a flow must not exceed.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The number of the flow in the topology.
    pub flow: u32,
    /// The figure that is limited.
    pub measure: Measure,
    /// The highest value that is allowed.
    pub at_most: f64,
}

/// A figure of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The probability that it fails.
    Failed,
    /// Orders lost on average.
    Lost,
}

/// The question to the gate: what the change must hold, and what is known beside.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The policy, and whether it is the one that comes with the program.
    pub policy: Option<(&'a Policy, bool)>,
    /// Waivers of rules of the policy.
    pub waivers: &'a [Waiver],
    /// Limits beside the policy; the change stops when one is exceeded.
    pub limits: &'a [Limit],
    /// The assumption about protections that are not stated.
    pub unknown: Assumption,
    /// The current time, in seconds since 1970.
    pub now: Option<f64>,
    /// An earlier result to compare with.
    pub baseline: Option<&'a Report>,
    /// Whether to look for single points of failure even without a baseline, for later comparisons: it
    /// takes a simulation of every service.
    pub single_points: bool,
    /// The changes of which the one that is checked was made; empty for a single one.
    pub changes: &'a [Change],
    /// The diff that the change was made from.
    pub diff: Option<&'a Diff>,
    /// By flow: the outage minutes that are already spent of its error budget; empty where none are.
    pub spent: &'a [f64],
    /// Warnings about the files that are to ask for caution.
    pub warnings: &'a [Diagnostic],
    /// Whether the answer is to explain itself: by what is unknown, and by what would turn the verdict.
    pub explains: bool,
    /// The most trials that are run for a rule which is hard to decide.
    pub max_trials: u64,
}

/// The chance, per rule, that an interval ever misses.
const ERROR: f64 = 0.05;
/// The default of `--max-trials`.
pub const MAX_TRIALS: u64 = 200_000;
/// The most trials of the topology as assumed at the first checkpoint: only rules read them, most rules
/// are decided at once, and overload everywhere makes them the most expensive of all: as many as are computed
/// side by side.
const ASSUMED_FIRST: u64 = 8;

impl Default for Gate<'_> {
    fn default() -> Self {
        Self {
            policy: None,
            waivers: &[],
            limits: &[],
            unknown: Assumption::default(),
            now: None,
            baseline: None,
            single_points: false,
            changes: &[],
            diff: None,
            spent: &[],
            warnings: &[],
            explains: true,
            max_trials: MAX_TRIALS,
        }
    }
}

/// A check that is ready to run: the change is compiled, and every rule is known to be affordable.
pub struct Check<'a> {
    topology: &'a Topology,
    change: &'a Change,
    gate: &'a Gate<'a>,
    settings: &'a Settings,
    plan: Plan,
    rules: Vec<RuleState>,
}

impl<'a> Check<'a> {
    /// Compiles the change and estimates the cost of every rule; nothing is simulated yet.
    ///
    /// # Errors
    /// One diagnostic for each rule that takes too much work for this topology.
    pub fn new(
        topology: &'a Topology,
        change: &'a Change,
        gate: &'a Gate<'a>,
        settings: &'a Settings,
    ) -> Result<Self, Vec<Diagnostic>> {
        let plan = compile(topology, change, settings.lasting);
        let context = Context::new(topology, change, gate, settings);
        let rules = context.rules(&Tally::new(&plan));
        let too_large: Vec<Diagnostic> = rules
            .iter()
            .filter(|state| state.is_too_large)
            .map(|state| too_large(&state.rule.name, state.rule.when.place))
            .collect();
        if too_large.is_empty() {
            return Ok(Self { topology, change, gate, settings, plan, rules });
        }
        Err(too_large)
    }

    /// Simulates the change and says whether to ship it.
    pub fn run(self, progress: &dyn Progress) -> Report {
        self.decide(RunPurpose::Report, progress, |decided| decided.report(progress))
    }

    /// Returns the verdict alone, without the cost of a report.
    pub fn verdict(self, progress: &dyn Progress) -> Verdict {
        self.decide(RunPurpose::Verdict, progress, |decided| decided.verdict())
    }

    /// Decides all rules, and hands over everything that is known then.
    fn decide<T>(
        mut self,
        purpose: RunPurpose,
        progress: &dyn Progress,
        then: impl FnOnce(Decided<'_>) -> T,
    ) -> T {
        let Self { topology, change, gate, settings, .. } = self;
        let simulation = Simulator::with_engine(&self.plan, settings.seed, settings.engine);
        // The trials that were asked for are run once and serve the report too.
        let (tally, mut is_partial) =
            simulate::run_trials(&self.plan, &simulation, settings.stop, progress);
        let first = tally.trials;
        let needs_unknowns = (purpose == RunPurpose::Report && gate.explains)
            // Finding unknowns takes simulations of its own.
            || rules::mention_unknowns(&self.rules);
        let unknowns = if needs_unknowns {
            let summary = summarize(&tally);
            unknowns::find_unknowns(
                topology,
                change,
                &self.plan,
                settings,
                &summary,
                unknowns::Effort::QUICK,
            )
        } else {
            Vec::new()
        };
        let is_compared = gate.single_points || gate.baseline.is_some();
        let points =
            // Every service is broken once, so nobody pays for it who does not compare.
            is_compared.then(|| single_points::find_single_points(topology, settings.lasting));
        let context = Context {
            unknowns: &unknowns,
            single_points: points.as_deref().unwrap_or_default(),
            ..Context::new(topology, change, gate, settings)
        };
        // A first look with more trials than allowed is still a look.
        let max_trials = gate.max_trials.max(first);
        let limits = (Assumption::Stated, max_trials);
        let mut runs = vec![CheckRun::new(topology, &self.plan, &simulation, tally, limits)];
        context.evaluate(&mut self.rules, &runs[0]);
        let is_doubtful = {
            let tally = &runs[0].tally;
            !doubts::doubts(topology, change, gate, &self.rules, tally).is_empty()
        };
        let floor = runs::floor(&self.rules, is_doubtful);
        // What is not stated is only simulated where a rule that sees it could yet change the verdict.
        let assumed = rules::need_assumptions(&self.rules, floor)
            .then(|| {
                assume::assume_unknowns(
                    topology,
                    change,
                    &self.plan,
                    settings.lasting,
                    gate.unknown,
                )
            })
            // An assumption that changes nothing need not be simulated.
            .filter(|assumed| **assumed != *topology);
        if assumed.is_none() {
            rules::take_as_stated(&mut self.rules);
            context.evaluate(&mut self.rules, &runs[0]);
        }
        let assumed_plan =
            assumed.as_ref().map(|assumed| compile(assumed, change, settings.lasting));
        let assumed_simulation =
            assumed_plan.as_ref().map(|plan| Simulator::new(plan, settings.seed));
        if let (Some(topology), Some(plan), Some(simulation)) =
            (assumed.as_deref(), &assumed_plan, &assumed_simulation)
        {
            // The assumed topology is expensive, and most rules are decided by a few of its trials.
            let stop = Stop::Trials(first.min(ASSUMED_FIRST));
            let (tally, is_cut) = simulate::run_trials(plan, simulation, stop, progress);
            is_partial |= is_cut;
            let limits = (gate.unknown, max_trials);
            let run = CheckRun::new(topology, plan, simulation, tally, limits);
            context.evaluate(&mut self.rules, &run);
            runs.push(run);
        }
        runs::decide(&mut self.rules, &mut runs, &context, is_doubtful, progress);
        is_partial |= progress.is_cancelled();
        let assumed_checkpoints =
            runs.get(1).map(|run| run.checkpoints.clone()).unwrap_or_default();
        // The first run is that of the topology as stated, which the report is about.
        let run = runs.swap_remove(0);
        then(Decided {
            check: &self,
            simulation: &simulation,
            run,
            assumed_checkpoints,
            max_trials,
            is_partial,
            unknowns,
            points,
        })
    }
}

/// Purpose of a run of a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunPurpose {
    /// A report with everything that explains the verdict.
    Report,
    /// The verdict alone.
    Verdict,
}

/// A check whose rules are decided.
struct Decided<'a> {
    check: &'a Check<'a>,
    simulation: &'a Simulator<'a>,
    /// The trials of the topology as stated.
    run: CheckRun<'a>,
    /// The checkpoints of the topology with what it does not state at its worst or best.
    assumed_checkpoints: Vec<u64>,
    max_trials: u64,
    is_partial: bool,
    unknowns: Vec<Unknown>,
    points: Option<Vec<SinglePoint>>,
}

impl Decided<'_> {
    fn verdict(&self) -> Verdict {
        let rules = &self.check.rules;
        let test = rules.iter().any(RuleState::has_comparisons).then(|| TestReport {
            method: sequential::METHOD.to_owned(),
            citation: sequential::CITATION.to_owned(),
            error: ERROR,
            checkpoints: self.run.checkpoints.clone(),
            checkpoints_assumed: self.assumed_checkpoints.clone(),
            max_trials: self.max_trials,
        });
        verdict::verdict(self.check, &self.run, self.is_partial, test)
    }

    fn report(self, progress: &dyn Progress) -> Report {
        let Check { topology, change, gate, settings, plan, .. } = self.check;
        let summary = summarize(&self.run.tally);
        let mut report =
            simulate::simulation_report(topology, change, settings, self.simulation, &summary);
        // Exact values go into the report wherever they are cheap, whether a rule asks or not.
        simulate::add_exact(topology, change, plan, &mut report);
        report.partial = self.is_partial;
        report.example_trials =
            simulate::example_trials(topology, change, self.simulation, &self.run.tally);
        report.files = gate.diff.map(|diff| FilesReport::new(diff, topology));
        let touched = gate.diff.filter(|diff| !diff.services.is_empty());
        report.assumptions.extend(touched.map(diff::diff_assumption));
        let mut verdict = self.verdict();
        // Deciders of a verdict that was cut short would explain an accident.
        if gate.explains && !self.is_partial {
            verdict.deciders = deciders::deciders(self.check, &self.run);
        }
        report.verdict = Some(verdict);
        budget::add_budgets(topology, &self.run.tally, gate.spent, &mut report);
        report.unknowns = self.unknowns;
        report.single_points = self.points;
        report.baseline = gate
            .baseline
            .map(|baseline| baseline::compare_with_baseline(topology, &report, baseline));
        // One change alone has nothing to interact with.
        if gate.changes.len() > 1 {
            report.together = Some(together::compare_changes(
                topology,
                gate.changes,
                settings,
                &report,
                progress,
            ));
            report.assumptions.extend(together::merge_assumptions(gate.changes));
        }
        report
    }
}

fn too_large(rule: &str, place: crate::diagnostic::Place) -> Diagnostic {
    let message = format!("the rule `{rule}` takes more than {STEPS_MAX} steps for this topology");
    Diagnostic::error(Code::RuleTooLarge, message, place)
        .help("macros inside one another multiply: ask for less at once")
}
