//! Finds the deciding inputs: those whose plausible range turns the verdict, each with its turning point.
//!
//! | input | plausible where it is assumed | plausible where it is stated |
//! |---|---|---|
//! | failure probability | 5% to 40%, the best and the worst cluster of DORA 2024 | a third to three times |
//! | time until a rollback is done | 5 min to 503 min, the 95th percentile of the default | a third to three times |
//! | time until a break is noticed | 1 min to 47 min, the 95th percentile of the default | a third to three times |
//! | severity | 10% to 100% | half of it to 100% |
//! | exposure of the first stage | | a third to three times, at most 100% |
//! | probability that the first gate catches a failing target | | 0% to 90% |
//! | what is unknown | as stated, instead of at its worst | |
//!
//! Inputs are varied one at a time, with the same draws and what is unknown as stated. The failure
//! probability scales figures that are there already. Every other value takes a small simulation, so that
//! turning points are known to about a tenth, and inputs are looked at in the order above until a third
//! of the time is used that the verdict took.

use super::Check;
use super::facts::TrialFacts;
use super::runs::{CheckRun, Context};
use crate::compile::{Plan, compile};
use crate::engine::{Silent, Simulator, Tally};
use crate::model::change::Delay;
use crate::model::{Change, Seconds, Share, defaults};
use crate::policy::RuleVerdict;
use crate::policy::evaluate::{Ternary, evaluate};
use crate::prose::format;
use crate::report::{Assumption, DeciderInput, DeciderReport, Decision};
use crate::sort::Arrange as _;

/// The trials of one variant: enough to see on which side of a limit it lies.
const TRIALS: u64 = 64;
/// The fewest trials that may be spent on all variants, however early the verdict was clear: too few to
/// be felt.
const SPENT_LEAST: u64 = 8 * TRIALS;
/// The halvings of a range in search of the turning point; those of the failure probability cost nothing.
const HALVINGS: usize = 4;
const HALVINGS_SCALED: usize = 12;
/// The most inputs that are named.
const NAMED: usize = 5;

/// The inputs that take a simulation, the most telling first.
const SIMULATED: [DeciderInput; 5] = [
    DeciderInput::Rollback,
    DeciderInput::Detection,
    DeciderInput::Exposure,
    DeciderInput::CatchProbability,
    DeciderInput::Severity,
];

/// Returns what would turn the verdict, nearest turning point first; `run` are the trials as stated.
pub(super) fn deciders(check: &Check<'_>, run: &CheckRun<'_>) -> Vec<DeciderReport> {
    // Without a target nothing can turn the verdict; without time most inputs mean nothing.
    if check.change.targets.is_empty() || check.change.is_moment() {
        return Vec::new();
    }
    let context = Context::new(check.topology, check.change, check.gate, check.settings);
    let stated = decision_at_estimates(check, &context, run);
    let is_worst = |verdict| {
        let mut fired = check.rules.iter().filter(|state| state.has_fired(verdict));
        fired.any(|state| state.taken == Assumption::Worst)
    };
    // What is unknown decides if the verdict is milder without it.
    if stated < Decision::Stop && is_worst(RuleVerdict::Stop) {
        return vec![unknowns_decider(stated)];
    }
    let mut variants =
        // A third of the time: half of the trials again.
        Variants { check, base: stated, left: (run.tally.trials / 2).max(SPENT_LEAST) / TRIALS };
    let mut found: Vec<(f64, DeciderReport)> =
        failure_probability(check, &context, run, stated).into_iter().collect();
    // Few trials may lie on the other side of a limit than many: then they cannot say what turns it.
    if variants.decide_with(check.change, &check.plan) == Some(stated) {
        let simulated = SIMULATED.iter().filter_map(|input| variants.turning_point(*input));
        found.extend(simulated);
    }
    // The nearest turning point is the likeliest to be reached.
    found.arrange_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().take(NAMED).map(|(_, decider)| decider).collect()
}

/// Returns that what is unknown decides: with it as stated the verdict would be this one.
fn unknowns_decider(verdict: Decision) -> DeciderReport {
    DeciderReport {
        input: DeciderInput::Unknowns,
        verdict,
        value: None,
        turning_point: None,
        is_below: None,
        low: None,
        high: None,
        is_assumed: true,
        text: format!("{verdict} if nothing that is unknown is at its worst"),
    }
}

/// Returns the failure probability at which the figures that are known turn the verdict.
fn failure_probability(
    check: &Check<'_>,
    context: &Context<'_>,
    run: &CheckRun<'_>,
    base: Decision,
) -> Option<(f64, DeciderReport)> {
    let known = KnownInput::of(check, DeciderInput::FailureProbability)?;
    let decide = |value: f64| {
        let context = Context { failure_probability: value, ..context.clone() };
        Some(decision_at_estimates(check, &context, run))
    };
    known.turning_point(base, HALVINGS_SCALED, decide)
}

/// Returns the verdict of the rules at the estimates of a run.
fn decision_at_estimates(check: &Check<'_>, context: &Context<'_>, run: &CheckRun<'_>) -> Decision {
    let facts = TrialFacts { is_point: true, ..context.facts_of(run) };
    let fired = check
        .rules
        .iter()
        .filter(|state| evaluate(&state.rule.when, &facts, super::ERROR).result == Ternary::True);
    match fired.map(|state| state.rule.verdict).max() {
        None => Decision::Proceed,
        Some(RuleVerdict::Caution) => Decision::Caution,
        Some(RuleVerdict::Stop) => Decision::Stop,
    }
}

/// Changes that differ in one input, and how many of them may yet be simulated.
struct Variants<'a> {
    check: &'a Check<'a>,
    base: Decision,
    left: u64,
}

impl Variants<'_> {
    /// Simulates a variant; `None` where no more may be.
    fn decide(&mut self, change: &Change) -> Option<Decision> {
        let plan = compile(self.check.topology, change, self.check.settings.lasting);
        self.decide_with(change, &plan)
    }

    /// Simulates a variant whose plan is known; `None` where no more may be.
    fn decide_with(&mut self, change: &Change, plan: &Plan) -> Option<Decision> {
        // The budget of simulations is counted, not timed, so that the same file always has the
        // same deciders.
        self.left = self.left.checked_sub(1)?;
        let Check { topology, gate, settings, .. } = self.check;
        let simulation = Simulator::with_engine(plan, settings.seed, settings.engine_of_variants());
        let mut tally = Tally::new(plan);
        simulation.run_trials(0..TRIALS, &mut tally, &Silent);
        let context = Context::new(topology, change, gate, settings);
        let run = CheckRun::sampled(topology, plan, &simulation, tally);
        Some(decision_at_estimates(self.check, &context, &run))
    }

    fn turning_point(&mut self, input: DeciderInput) -> Option<(f64, DeciderReport)> {
        let known = KnownInput::of(self.check, input)?;
        let (check, base) = (self.check, self.base);
        known.turning_point(base, HALVINGS, |value| {
            self.decide(&with_value(check.change, input, value)?)
        })
    }
}

/// An input of a change, and what it may plausibly be.
struct KnownInput {
    input: DeciderInput,
    value: f64,
    is_assumed: bool,
    low: f64,
    high: f64,
}

impl KnownInput {
    /// Returns what is known of an input; `None` where the change has no such input.
    fn of(check: &Check<'_>, input: DeciderInput) -> Option<Self> {
        let change = check.change;
        let stage = || change.rollout.as_ref()?.stages.first();
        let (value, is_assumed) = match input {
            DeciderInput::FailureProbability if check.settings.is_certain => return None,
            DeciderInput::FailureProbability => {
                let stated = change.failure_probability;
                let known = stated.unwrap_or_else(|| defaults::failure_probability(change.kind));
                (known.get(), stated.is_none())
            }
            DeciderInput::Rollback => {
                let stated = change.rollback.as_ref().and_then(|rollback| rollback.delay);
                (defaults::rollback_delay(change).median.get(), stated.is_none())
            }
            DeciderInput::Detection => {
                let stated = change.detection.as_ref().and_then(|detection| detection.delay);
                (defaults::detection_delay(change).median.get(), stated.is_none())
            }
            DeciderInput::Severity => {
                // With several targets one severity is no input of the change.
                let [target] = change.targets.as_slice() else { return None };
                (target.severity.1.get(), change.places.severity.is_none())
            }
            DeciderInput::Exposure => (stage()?.exposure.get(), false),
            DeciderInput::CatchProbability => {
                // A stage without a bake has no end at which a gate could look.
                stage()?.bake?;
                (stage()?.catch_probability.get(), false)
            }
            DeciderInput::Unknowns => return None,
        };
        let (low, high) = plausible_range(input, value, is_assumed);
        Some(Self { input, value, is_assumed, low, high })
    }

    /// Returns how far the turning point is, as a logarithm, and what there is to say of it; `None` where
    /// no plausible value turns the verdict, or no more may be simulated.
    fn turning_point(
        &self,
        base: Decision,
        halvings: usize,
        mut decide: impl FnMut(f64) -> Option<Decision>,
    ) -> Option<(f64, DeciderReport)> {
        for (end, is_below) in [(self.low, true), (self.high, false)] {
            // A range may lie on one side of the value only.
            let is_beyond = if is_below { end < self.value } else { end > self.value };
            if !is_beyond {
                continue;
            }
            let verdict = decide(end)?;
            if verdict == base {
                continue;
            }
            let (mut inside, mut outside, mut verdict) = (self.value, end, verdict);
            for _ in 0..halvings {
                // Most inputs are multiplied rather than added to, so the middle is taken of their
                // logarithms where that exists.
                let middle = if inside > 0.0 && outside > 0.0 {
                    libm::sqrt(inside * outside)
                } else {
                    f64::midpoint(inside, outside)
                };
                // What is nearer says which verdict follows at first.
                match decide(middle) {
                    Some(found) if found == base => inside = middle,
                    Some(found) => (outside, verdict) = (middle, found),
                    None => break,
                }
            }
            // Factors are compared, so that minutes and shares can be ordered together.
            let distance = libm::log(outside.max(1e-6) / self.value.max(1e-6)).abs();
            return Some((distance, self.report(outside, is_below, verdict)));
        }
        None
    }

    fn report(&self, turning_point: f64, is_below: bool, verdict: Decision) -> DeciderReport {
        let how = if self.is_assumed { "assumed" } else { "stated" };
        let claim =
            turning_point_text(self.input, is_below, &input_text(self.input, turning_point));
        let now = input_text(self.input, self.value);
        DeciderReport {
            input: self.input,
            verdict,
            value: Some(self.value),
            turning_point: Some(turning_point),
            is_below: Some(is_below),
            low: Some(self.low),
            high: Some(self.high),
            is_assumed: self.is_assumed,
            text: format!("{verdict} if {claim} ({how} {now})"),
        }
    }
}

/// Returns the plausible range of an input with this value.
fn plausible_range(input: DeciderInput, value: f64, is_assumed: bool) -> (f64, f64) {
    match (input, is_assumed) {
        (DeciderInput::FailureProbability, true) => (0.05, 0.4),
        (DeciderInput::Rollback, true) => (300.0, defaults::ROLLBACK.1.get()),
        (DeciderInput::Detection, true) => (60.0, defaults::DETECTION.1.get()),
        (DeciderInput::Severity, true) => (0.1, 1.0),
        (DeciderInput::Severity, false) => (value / 2.0, 1.0),
        (DeciderInput::CatchProbability, _) => (0.0, 0.9),
        (DeciderInput::FailureProbability | DeciderInput::Exposure, _) => {
            (value / 3.0, (value * 3.0).min(1.0))
        }
        _ => (value / 3.0, value * 3.0),
    }
}

/// Returns the change with another value of an input.
fn with_value(change: &Change, input: DeciderInput, value: f64) -> Option<Change> {
    let mut changed = change.clone();
    let as_share = Share::new(value.clamp(0.0, 1.0));
    // The spread of a delay stays in proportion.
    let scaled = |delay: Delay| {
        let factor = value / delay.median.get().max(1e-9);
        let median = Seconds::new(value)?;
        Some(Delay { median, p95: Seconds::new(delay.p95.get() * factor)? })
    };
    match input {
        DeciderInput::FailureProbability => changed.failure_probability = as_share,
        DeciderInput::Rollback => {
            let delay = scaled(defaults::rollback_delay(change))?;
            changed.rollback.as_mut()?.delay = Some(delay);
        }
        DeciderInput::Detection => {
            let delay = scaled(defaults::detection_delay(change))?;
            changed.detection.as_mut()?.delay = Some(delay);
        }
        DeciderInput::Severity => {
            let target = changed.targets.first_mut()?;
            let low = target.severity.0.get().min(value);
            // A lower end above the upper one would be no range.
            target.severity = (Share::new(low)?, as_share?);
        }
        DeciderInput::Exposure => {
            let stages = &mut changed.rollout.as_mut()?.stages;
            // Later stages never expose fewer.
            for stage in stages.iter_mut().skip(1) {
                stage.exposure = Share::new(stage.exposure.get().max(value))?;
            }
            stages.first_mut()?.exposure = as_share?;
        }
        DeciderInput::CatchProbability => {
            changed.rollout.as_mut()?.stages.first_mut()?.catch_probability = as_share?;
        }
        DeciderInput::Unknowns => return None,
    }
    Some(changed)
}

/// Returns a value of an input in words.
fn input_text(input: DeciderInput, value: f64) -> String {
    match input {
        DeciderInput::Rollback | DeciderInput::Detection if value >= 5400.0 => {
            format!("{:.1} h", value / 3600.0)
        }
        DeciderInput::Rollback | DeciderInput::Detection if value >= 600.0 => {
            format!("{:.0} min", value / 60.0)
        }
        DeciderInput::Rollback | DeciderInput::Detection => {
            format!("{} min", format::three_digits((value / 6.0).round() / 10.0))
        }
        _ => format::percent_three_digits((value * 1000.0).round() / 1000.0),
    }
}

/// Returns what is said of a value below or above a turning point.
fn turning_point_text(input: DeciderInput, is_below: bool, point: &str) -> String {
    let side = if is_below { "less" } else { "more" };
    match input {
        DeciderInput::FailureProbability => {
            format!("the change breaks in {side} than {point} of rollouts")
        }
        DeciderInput::Rollback => format!("the rollback takes {side} than {point}"),
        DeciderInput::Detection => format!("a break is noticed after {side} than {point}"),
        DeciderInput::Severity => format!("{side} than {point} of its requests fail"),
        DeciderInput::Exposure => format!("the first stage exposes {side} than {point}"),
        DeciderInput::CatchProbability => {
            format!("the first gate catches {side} than {point} of failing targets")
        }
        DeciderInput::Unknowns => "what is unknown is as stated".to_owned(),
    }
}
