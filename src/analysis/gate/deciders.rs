//! What decides: the inputs whose plausible range turns the verdict, each with its turning point.
//!
//! | input | plausible where it is assumed | plausible where it is stated |
//! |---|---|---|
//! | failure probability | 5% to 40%, the best and the worst cluster of DORA 2024 | a third to three times |
//! | time until a rollback is done | 5 min to 503 min, the 95th percentile of the default | a third to three times |
//! | time until a break is noticed | 1 min to 47 min, the 95th percentile of the default | a third to three times |
//! | severity | 10% to 100% | half of it to 100% |
//! | exposure of the first stage | | a third to three times, at most 100% |
//! | probability that a gate catches a failing target | | 0% to 90% |
//!
//! Verdicts are compared at the estimates of few trials with the same draws, so a turning point is known
//! to about two digits.

use super::Check;
use super::facts::TrialFacts;
use super::runs::{Context, Run};
use crate::compile::compile;
use crate::engine::{Silent, Simulation, Tally};
use crate::model::change::Delay;
use crate::model::{Change, Seconds, Share, defaults};
use crate::policy::Severity;
use crate::policy::evaluate::{Ternary, evaluate};
use crate::sort::Arrange as _;

/// The trials of one variant: enough to see on which side of a limit it lies.
const TRIALS: u64 = 64;
/// The halvings of a range in search of the turning point.
const HALVINGS: usize = 5;
/// The most inputs that are named.
const NAMED: usize = 5;

/// Returns what would turn the verdict, in sentences: nearest turning point first.
pub(super) fn deciders(check: &Check<'_>) -> Vec<String> {
    if check.change.targets.is_empty() || check.change.is_moment() {
        return Vec::new();
    }
    let inputs = [
        Input::FailureProbability,
        Input::Rollback,
        Input::Detection,
        Input::Severity,
        Input::FirstExposure,
        Input::CatchProbability,
    ];
    let base = decision(check, check.change);
    let mut found: Vec<(f64, String)> =
        inputs.into_iter().filter_map(|input| turning_point(check, input, base)).collect();
    found.arrange_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().take(NAMED).map(|(_, sentence)| sentence).collect()
}

/// A number that the verdict hangs on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    FailureProbability,
    Rollback,
    Detection,
    Severity,
    FirstExposure,
    CatchProbability,
}

impl Input {
    /// Returns its value, and whether that is assumed; `None` where the change has no such input.
    fn value(self, check: &Check<'_>) -> Option<(f64, bool)> {
        let change = check.change;
        let stage = || change.rollout.as_ref()?.stages.first();
        Some(match self {
            Self::FailureProbability if check.settings.is_certain => return None,
            Self::FailureProbability => {
                let stated = change.failure_probability;
                let known = stated.unwrap_or_else(|| defaults::failure_probability(change.kind));
                (known.get(), stated.is_none())
            }
            Self::Rollback => {
                let is_assumed =
                    change.rollback.as_ref().is_none_or(|rollback| rollback.delay.is_none());
                (defaults::rollback_delay(change).median.get(), is_assumed)
            }
            Self::Detection => {
                let is_assumed =
                    change.detection.as_ref().is_none_or(|detection| detection.delay.is_none());
                (defaults::detection_delay(change).median.get(), is_assumed)
            }
            Self::Severity => {
                let [target] = change.targets.as_slice() else { return None };
                (target.severity.1.get(), change.places.severity.is_none())
            }
            Self::FirstExposure => (stage()?.exposure.get(), false),
            Self::CatchProbability => {
                stage()?.bake?;
                (stage()?.catch_probability.get(), false)
            }
        })
    }

    /// Returns the plausible range of a value.
    fn range(self, value: f64, is_assumed: bool) -> (f64, f64) {
        match (self, is_assumed) {
            (Self::FailureProbability, true) => (0.05, 0.4),
            (Self::Rollback, true) => (300.0, 503.0 * 60.0),
            (Self::Detection, true) => (60.0, 47.0 * 60.0),
            (Self::Severity, true) => (0.1, 1.0),
            (Self::Severity, false) => (value / 2.0, 1.0),
            (Self::CatchProbability, _) => (0.0, 0.9),
            (Self::FailureProbability | Self::FirstExposure, _) => {
                (value / 3.0, (value * 3.0).min(1.0))
            }
            (Self::Rollback | Self::Detection, false) => (value / 3.0, value * 3.0),
        }
    }

    /// Returns the change with another value.
    fn set(self, change: &Change, value: f64) -> Option<Change> {
        let mut changed = change.clone();
        let share = Share::new(value.clamp(0.0, 1.0));
        // The spread of a delay stays in proportion.
        let scaled = |delay: Delay| {
            let factor = value / delay.median.get().max(1e-9);
            let median = Seconds::new(value)?;
            Some(Delay { median, p95: Seconds::new(delay.p95.get() * factor)? })
        };
        match self {
            Self::FailureProbability => changed.failure_probability = share,
            Self::Rollback => {
                let delay = scaled(defaults::rollback_delay(change))?;
                changed.rollback.as_mut()?.delay = Some(delay);
            }
            Self::Detection => {
                let delay = scaled(defaults::detection_delay(change))?;
                changed.detection.as_mut()?.delay = Some(delay);
            }
            Self::Severity => {
                let target = changed.targets.first_mut()?;
                let low = target.severity.0.get().min(value);
                target.severity = (Share::new(low)?, share?);
            }
            Self::FirstExposure => {
                let stages = &mut changed.rollout.as_mut()?.stages;
                // Later stages never expose fewer.
                for stage in stages.iter_mut().skip(1) {
                    stage.exposure = Share::new(stage.exposure.get().max(value))?;
                }
                stages.first_mut()?.exposure = share?;
            }
            Self::CatchProbability => {
                changed.rollout.as_mut()?.stages.first_mut()?.catch_probability = share?;
            }
        }
        Some(changed)
    }

    /// Returns a value in words.
    fn show(self, value: f64) -> String {
        match self {
            Self::Rollback | Self::Detection if value >= 5400.0 => {
                format!("{:.1} h", value / 3600.0)
            }
            Self::Rollback | Self::Detection => format!("{:.0} min", value / 60.0),
            _ => super::sentences::number((value * 1000.0).round() / 1000.0, true),
        }
    }

    /// Returns what it says of a value below or above a turning point.
    fn claim(self, is_below: bool, point: &str) -> String {
        let side = if is_below { "less" } else { "more" };
        match self {
            Self::FailureProbability => {
                format!("the change breaks in {side} than {point} of rollouts")
            }
            Self::Rollback => format!("the rollback takes {side} than {point}"),
            Self::Detection => format!("a break is noticed after {side} than {point}"),
            Self::Severity => format!("{side} than {point} of its requests fail"),
            Self::FirstExposure => format!("the first stage exposes {side} than {point}"),
            Self::CatchProbability => {
                format!("the first gate catches {side} than {point} of failing targets")
            }
        }
    }
}

/// Returns how far the turning point is, as a logarithm, and the sentence about it; nothing where no
/// plausible value turns the verdict.
fn turning_point(check: &Check<'_>, input: Input, base: u8) -> Option<(f64, String)> {
    let (value, is_assumed) = input.value(check)?;
    let (low, high) = input.range(value, is_assumed);
    let decide = |at: f64| Some(decision(check, &input.set(check.change, at)?));
    for (end, is_below) in [(low, true), (high, false)] {
        let is_beyond = if is_below { end < value } else { end > value };
        let Some(other) =
            is_beyond.then(|| decide(end)).flatten().filter(|is_beyond| *is_beyond != base)
        else {
            continue;
        };
        let (mut inside, mut outside) = (value, end);
        for _ in 0..HALVINGS {
            let middle = if inside > 0.0 && outside > 0.0 {
                libm::sqrt(inside * outside)
            } else {
                f64::midpoint(inside, outside)
            };
            if decide(middle)? == base { inside = middle } else { outside = middle }
        }
        let word = ["proceed", "caution", "stop"][usize::from(other)];
        let how = if is_assumed { "assumed" } else { "stated" };
        let claim = input.claim(is_below, &input.show(outside));
        let distance = libm::log((outside.max(1e-6) / value.max(1e-6)).max(1e-9)).abs();
        return Some((distance, format!("{word} if {claim} ({how} {})", input.show(value))));
    }
    None
}

/// Returns the verdict at the estimates of a few trials: 0 for proceed, 1 for caution, 2 for stop.
fn decision(check: &Check<'_>, change: &Change) -> u8 {
    let Check { topology, gate, settings, rules, .. } = check;
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulation::with_engine(&plan, settings.seed, settings.engine_of_variants());
    let mut tally = Tally::new(&plan);
    simulation.run_trials(0..TRIALS, &mut tally, &Silent);
    tally.settle_sketches();
    let context = Context::new(topology, change, gate, settings);
    let run = Run::new(topology, &plan, &simulation, tally);
    let facts = TrialFacts { is_point: true, ..context.facts_of(&run) };
    let fired = rules
        .iter()
        .filter(|state| evaluate(&state.rule.when, &facts, super::ERROR).result == Ternary::True);
    let severities = fired.map(|state| match state.rule.verdict {
        Severity::Caution => 1,
        Severity::Stop => 2,
    });
    severities.max().unwrap_or(0)
}
