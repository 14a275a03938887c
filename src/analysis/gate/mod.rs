//! Whether to ship: a policy and limits, sampled until every rule is decided or it is known that it
//! cannot be.
//!
//! A rule is evaluated with every figure at its interval (see [`crate::summary::sequential`]), in three
//! values: it fires, it holds, or it cannot be told. Where more trials may tell, more are run; where
//! something was never said that it takes to tell, the rule is undecided at once. What is undecided at
//! the end asks for caution.

mod assume;
mod baseline;
mod diff;
mod evaluate;
mod together;
mod value;
mod verdict;
mod world;

pub use assume::Unknown;

use crate::compile::{Plan, compile};
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::{Progress, Simulation, Tally};
use crate::model::{Change, Diff, Topology, defaults};
use crate::policy::Policy;
use crate::policy::expression::{Expr, Node, Operator};
use crate::policy::{Rule, Severity};
use crate::report::compare::SinglePoint;
use crate::report::{FilesReport, Report, TestReport};
use crate::summary::{sequential, summarize};

use super::simulate::{self, Offset, Settings, Stop};
use super::single_points;
use evaluate::{Found, asks_for_some, evaluate, speaks_of};
use value::Truth;
use world::World;

/// A limit that a figure of a flow must not exceed.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The number of the flow in the topology.
    pub flow: u32,
    /// Which figure.
    pub measure: Measure,
    /// At most this.
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

/// What a change must hold, and what is known beside.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The policy, and whether it is the one that comes with the program.
    pub policy: Option<(&'a Policy, bool)>,
    /// Limits beside it; each stops.
    pub limits: &'a [Limit],
    /// How protections that are not stated are taken.
    pub unknown: Unknown,
    /// What time it is, in seconds since 1970.
    pub now: Option<f64>,
    /// An earlier result to compare with.
    pub baseline: Option<&'a Report>,
    /// Whether to look for single points of failure without one too, for what compares later: it
    /// takes a simulation of every service.
    pub single_points: bool,
    /// The changes of which the one that is checked was made; empty for a single one.
    pub changes: &'a [Change],
    /// The diff that the change was made from.
    pub diff: Option<&'a Diff>,
    /// The trials that a rule which is hard to decide may cost at the most.
    pub max_trials: u64,
}

/// The chance, per rule, that an interval ever misses.
const ERROR: f64 = 0.05;
/// What `--max-trials` is where it is not said.
pub const MAX_TRIALS: u64 = 200_000;
/// How many trials of a topology as assumed are looked at first, at the most: nothing but rules is read
/// from them, most are decided at once, and overload everywhere makes them the dearest of all.
const ASSUMED_FIRST: u64 = 1_000;

impl Default for Gate<'_> {
    fn default() -> Self {
        Self {
            policy: None,
            limits: &[],
            unknown: Unknown::default(),
            now: None,
            baseline: None,
            single_points: false,
            changes: &[],
            diff: None,
            max_trials: MAX_TRIALS,
        }
    }
}

/// A rule, and what is known of it so far.
struct Asked {
    rule: Rule,
    unknown: Unknown,
    /// The chance that an interval of one of its figures misses.
    error: f64,
    /// Whether more trials can change what is decided.
    is_firm: bool,
    found: Option<Found>,
    trials: u64,
}

impl Asked {
    fn is_open(&self) -> bool {
        self.found.as_ref().is_none_or(|found| found.truth == Truth::Open)
    }

    /// Whether it did not fire only because no trial has shown yet what it looks for.
    fn may_yet_be_seen(&self) -> bool {
        !self.is_firm && self.found.as_ref().is_some_and(|found| found.truth == Truth::No)
    }
}

/// The trials of a topology as stated, or as assumed.
struct Run<'a> {
    topology: &'a Topology,
    simulation: &'a Simulation<'a>,
    tally: Tally,
    /// After how many trials it was looked at.
    looks: Vec<u64>,
}

impl<'a> Run<'a> {
    fn new(topology: &'a Topology, simulation: &'a Simulation<'a>, tally: Tally) -> Self {
        let looks = vec![tally.trials];
        Self { topology, simulation, tally, looks }
    }

    /// Doubles the trials, up to so many, and has them looked at again.
    fn grow(&mut self, max_trials: u64, progress: &dyn Progress) {
        let done = self.tally.trials;
        let next = (done * 2).clamp(1, max_trials);
        self.simulation.run(done..next, &mut self.tally, &Offset { progress, done });
        self.looks.push(next);
    }
}

/// What is known at a look, beside what was simulated.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// Which look it is, from 1.
    look: u32,
    unknowns: &'a [crate::report::Unknown],
    single_points: &'a [SinglePoint],
    /// Whether the change is sure to break.
    is_certain: bool,
}

impl Known<'_> {
    /// Before anything is simulated.
    fn at_first(is_certain: bool) -> Self {
        Self { look: 1, unknowns: &[], single_points: &[], is_certain }
    }
}

/// Which rules take too much work, before anything is simulated.
///
/// # Errors
/// One diagnostic for each of them.
pub fn affordable(
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
) -> Result<(), Vec<Diagnostic>> {
    let plan = compile(topology, change, crate::model::Seconds::ZERO);
    let tally = Tally::new(&plan);
    let world = world(topology, change, gate, &tally, Known::at_first(false));
    let too_much = gate
        .policy
        .iter()
        .flat_map(|(policy, _)| &policy.rules)
        .filter(|&rule| evaluate(&rule.when, &world, ERROR).is_too_much)
        .map(|rule| {
            let message = format!(
                "the rule `{}` takes more than {} steps for this topology",
                rule.name,
                evaluate::STEPS_MAX
            );
            Diagnostic::error(Code::RuleTooLarge, message, rule.when.place)
                .help("macros inside one another multiply: ask for less at once")
        });
    let too_much: Vec<Diagnostic> = too_much.collect();
    if too_much.is_empty() { Ok(()) } else { Err(too_much) }
}

/// Simulates a change and says whether to ship it.
pub fn check(
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Report {
    let mut asked = asked(topology, change, gate, settings);
    let other = if gate.unknown == Unknown::Stated
        || !asked.iter().any(|it| it.unknown != Unknown::Stated && is_simulated(&it.rule.when))
    {
        None
    } else {
        Some(assume::assume(topology, gate.unknown)).filter(|it| **it != *topology)
    };
    let plan = compile(topology, change, settings.lasting);
    let other_plan = other.as_ref().map(|it| compile(it, change, settings.lasting));
    let simulation = Simulation::with(&plan, settings.seed, settings.engine);
    let other_simulation = other_plan.as_ref().map(|it| Simulation::new(it, settings.seed));
    let (tally, mut is_partial) = simulate::run(&plan, &simulation, settings.stop, progress);
    let first = tally.trials;
    let unknowns = super::unknowns::find(
        topology,
        change,
        settings,
        &summarize(&tally),
        super::unknowns::REPORTED,
    );
    let is_compared = gate.single_points || gate.baseline.is_some();
    let points = is_compared.then(|| single_points::find(topology, settings.lasting));
    let mut runs = vec![Run::new(topology, &simulation, tally)];
    if let (Some(topology), Some(plan), Some(simulation)) =
        (other.as_deref(), &other_plan, &other_simulation)
    {
        let (tally, cut) = run(plan, simulation, first.min(ASSUMED_FIRST), progress);
        is_partial |= cut;
        runs.push(Run::new(topology, simulation, tally));
    }
    let max_trials = gate.max_trials.max(first);
    loop {
        for it in &mut asked {
            let seen_in = |run: &Run<'_>, it: &mut Asked| {
                let known = Known {
                    look: run.looks.len() as u32,
                    unknowns: &unknowns,
                    single_points: points.as_deref().unwrap_or_default(),
                    is_certain: settings.is_certain,
                };
                look_at(it, &world(run.topology, change, gate, &run.tally, known));
            };
            let run = which(&runs, it.unknown);
            seen_in(&runs[run], it);
            // What is not seen as assumed may be seen in the more numerous trials as stated.
            if run != 0 && it.may_yet_be_seen() {
                seen_in(&runs[0], it);
            }
        }
        let mut has_grown = false;
        for index in 0..runs.len() {
            let is_open = asked.iter().any(|it| it.is_open() && which(&runs, it.unknown) == index);
            if is_open && runs[index].tally.trials < max_trials && !progress.is_cancelled() {
                runs[index].grow(max_trials, progress);
                has_grown = true;
            }
        }
        if !has_grown {
            break;
        }
    }
    let tally = &runs[0].tally;
    let summary = summarize(tally);
    let mut report = simulate::report(topology, change, settings, &simulation, &summary);
    simulate::add_exact(topology, &plan, &mut report);
    report.partial = is_partial || progress.is_cancelled();
    report.unknowns = unknowns;
    report.stories = simulate::stories(topology, change, &simulation, tally);
    report.files = gate.diff.map(|it| FilesReport::new(it, topology));
    report.assumptions.extend(gate.diff.filter(|it| !it.services.is_empty()).map(diff::assumption));
    report.single_points = points;
    report.baseline = gate.baseline.map(|it| baseline::compare(topology, &report, it));
    if gate.changes.len() > 1 {
        report.together =
            Some(together::compare(topology, gate.changes, settings, &report, progress));
        report.assumptions.extend(together::assumptions(gate.changes));
    }
    let is_tested = asked.iter().any(|it| it.found.as_ref().is_some_and(|it| it.comparisons > 0));
    let test = is_tested.then(|| TestReport {
        method: sequential::METHOD.to_owned(),
        citation: sequential::CITATION.to_owned(),
        error: ERROR,
        looks: runs[0].looks.clone(),
        looks_assumed: runs.get(1).map(|run| run.looks.clone()).unwrap_or_default(),
        max_trials,
    });
    report.verdict = Some(verdict::verdict(gate, &asked, report.partial, test));
    report
}

/// The number of the run whose figures a rule is about.
fn which(runs: &[Run<'_>], unknown: Unknown) -> usize {
    usize::from(unknown != Unknown::Stated && runs.len() > 1)
}

fn run<'a>(
    plan: &'a Plan,
    simulation: &'a Simulation<'a>,
    trials: u64,
    progress: &dyn Progress,
) -> (Tally, bool) {
    simulate::run(plan, simulation, Stop::Trials(trials), progress)
}

fn world<'a>(
    topology: &'a Topology,
    change: &'a Change,
    gate: &'a Gate<'_>,
    tally: &'a Tally,
    known: Known<'a>,
) -> World<'a> {
    let stated = change.failure_probability;
    let stated = stated.unwrap_or_else(|| defaults::failure_probability(change.kind)).get();
    World {
        topology,
        change,
        failure_probability: if known.is_certain { 1.0 } else { stated },
        tally,
        look: known.look,
        unknowns: known.unknowns,
        now: gate.now,
        baseline: gate.baseline,
        single_points: known.single_points,
    }
}

/// Evaluates a rule, unless it is decided for good.
fn look_at(it: &mut Asked, world: &World<'_>) {
    let is_decided = it.found.as_ref().is_some_and(|found| found.truth != Truth::Open);
    let is_fired = it.found.as_ref().is_some_and(|found| found.truth == Truth::Yes);
    if is_fired || (is_decided && it.is_firm) {
        return;
    }
    it.found = Some(evaluate(&it.rule.when, world, it.error));
    it.trials = world.tally.trials;
}

/// Whether a condition speaks of what is simulated.
fn is_simulated(when: &Node) -> bool {
    speaks_of(
        when,
        &["flows", "services", "dependencies", "total", "metastable", "never_recovers", "delta"],
    )
}

/// The limits, as rules, and then the rules of the policy.
fn asked(topology: &Topology, change: &Change, gate: &Gate<'_>, settings: &Settings) -> Vec<Asked> {
    let plan = compile(topology, change, settings.lasting);
    let tally = Tally::new(&plan);
    let known = Known::at_first(settings.is_certain);
    let world = world(topology, change, gate, &tally, known);
    let limits = gate.limits.iter().map(|limit| of_limit(topology, limit));
    let rules = gate.policy.iter().flat_map(|(policy, _)| policy.rules.iter().cloned());
    limits
        .chain(rules)
        .map(|rule| {
            let found = evaluate(&rule.when, &world, ERROR);
            let figures = if asks_for_some(&rule.when) {
                found.places.len() as u64
            } else {
                found.comparisons
            };
            let unknown = match (gate.unknown, rule.verdict) {
                (Unknown::Worst, Severity::Caution) => Unknown::Stated,
                (unknown, _) => unknown,
            };
            Asked {
                error: ERROR / figures.max(1) as f64,
                is_firm: !speaks_of(&rule.when, &["metastable", "never_recovers"]),
                unknown: if is_simulated(&rule.when) { unknown } else { Unknown::Stated },
                rule,
                found: None,
                trials: 0,
            }
        })
        .collect()
}

fn of_limit(topology: &Topology, limit: &Limit) -> Rule {
    let flow = &topology.flows[limit.flow as usize].name;
    let node = |expr| Node { expr, place: crate::diagnostic::Place::default() };
    let of = |inner, name| node(Expr::Field(Box::new(inner), name));
    let item = node(Expr::Item(
        Box::new(node(Expr::Name("flows".to_owned()))),
        Box::new(node(Expr::Text(flow.clone()))),
    ));
    let (name, figure) = match limit.measure {
        Measure::Failed => (format!("{flow} fails"), of(of(item, "failed"), "p")),
        Measure::Lost => (format!("{flow} loses orders"), of(of(item, "orders_lost"), "mean")),
    };
    let at_most = node(Expr::Number(limit.at_most));
    Rule {
        name,
        text: String::new(),
        when: node(Expr::Two(Operator::More, Box::new([figure, at_most]))),
        verdict: Severity::Stop,
        message: String::new(),
        place: crate::diagnostic::Place::default(),
    }
}
