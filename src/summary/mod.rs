//! From counts to answers: the only room with statistics.
//!
//! A [`Tally`] comes in, a [`Summary`] goes out: every figure with what is known of its error.

pub mod beta;
pub mod difference;
pub mod estimate;
mod histogram;
pub mod lognormal;
pub mod paired;
pub mod sequential;

pub use estimate::Estimate;
pub use histogram::Histogram;

use crate::engine::outcome::{Anomalies, Failures, WaitReason};
use crate::engine::sketch::Sketch;
use crate::engine::tally::{DependencyTally, FlowTally, Tally, UnitTally};
use crate::sort::Arrange as _;

/// Estimates from the trials, by the numbers of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many trials.
    pub trials: u64,
    /// Services, then endpoints, then flows.
    pub units: Vec<UnitSummary>,
    /// By flow: orders lost, where that is known.
    pub flows: Vec<Option<Losses>>,
    /// By flow: the mean number of orders that are late because of the change, where its rate is known
    /// and there is time.
    pub late_orders: Vec<Option<f64>>,
    /// By flow: outage because of the change, where there is time.
    pub outages: Vec<Option<Outage>>,
    /// Over all flows with a rate.
    pub total: Option<Losses>,
    /// How the trials spread over the orders lost in all; nothing where none loses any.
    pub histogram: Option<Histogram>,
    /// By dependency, for those that failure entered.
    pub dependencies: Vec<Option<ContainmentSummary>>,
    /// By service: the shares of trials in which it is still overloaded at the end, never comes
    /// back, does not settle.
    pub anomalies: Vec<Anomalies<f64>>,
    /// Why requests wait in vain: each reason with the share of trials in which it holds at some moment,
    /// most frequent first.
    pub reasons: Vec<(WaitReason, f64)>,
    /// The course of the trials, where there is time.
    pub course: Option<TimelineSummary>,
}

/// A service, an endpoint or a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitSummary {
    /// The probability that it fails.
    pub failed: Estimate,
    /// The probability that it is degraded or worse.
    pub degraded: Estimate,
    /// The same without the change.
    pub baseline: Failures<Estimate>,
    /// The same because of the change: from the trials in which it fails, at some moment, and would
    /// not without the change.
    pub caused: Failures<Estimate>,
    /// The mean of its peak failing share.
    pub failing_share: f64,
    /// The mean of its peak share that is answered, but late.
    pub late_share: f64,
    /// When it first failed, over the trials in which it did.
    pub first_failed: Option<SpreadSummary>,
    /// For how long in all.
    pub failed_for: Option<SpreadSummary>,
}

/// How times spread over trials, in seconds: quantiles, each not exceeded by its share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpreadSummary {
    /// 1 in 10 trials does not exceed it.
    pub p10: f64,
    /// 1 in 4 does not.
    pub p25: f64,
    /// Half of the trials do not.
    pub p50: f64,
    /// 3 in 4 do not.
    pub p75: f64,
    /// 9 in 10 do not.
    pub p90: f64,
    /// 19 in 20 do not.
    pub p95: f64,
}

/// Orders lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// All of them.
    pub lost: QuantileSummary,
    /// Those that went wrong unnoticed.
    pub wrong: Option<QuantileSummary>,
    /// How likely it is to lose at least so many: pairs of orders and probability.
    pub exceedance: Vec<(f64, Estimate)>,
}

/// Outage of a flow because of the change.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    /// In seconds.
    pub lost: QuantileSummary,
    /// The probability that it is not over at the horizon.
    pub unfinished: Estimate,
}

/// A distribution in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileSummary {
    /// The mean.
    pub mean: f64,
    /// Its 95% interval.
    pub mean_interval: (f64, f64),
    /// The median.
    pub p50: f64,
    /// Value that 1 in 20 trials exceeds.
    pub p95: f64,
    /// Value that 1 in 100 trials exceeds.
    pub p99: f64,
    /// The worst trial.
    pub max: f64,
}

/// Containment at a dependency, as shares of all trials.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainmentSummary {
    /// Failure entered.
    pub tried: f64,
    /// It passed to the caller.
    pub passed: f64,
    /// It was contained, by guard in the order of [`crate::engine::Protection::ALL`].
    pub held: Vec<f64>,
}

/// The course of the trials.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineSummary {
    /// The probability that some flow loses anything.
    pub impact: Estimate,
    /// When it first does, over those trials.
    pub impact_at: Option<SpreadSummary>,
    /// When the change is detected, over the trials in which it is.
    pub detected_at: Option<SpreadSummary>,
    /// When the cause ends, over the trials in which it does.
    pub ended_at: Option<SpreadSummary>,
    /// When the last flow stops losing, over the trials with an impact.
    pub over_at: Option<SpreadSummary>,
    /// The exposure at detection: median and 19 of 20.
    pub exposure: Option<SpreadSummary>,
    /// The shares of trials in which it is noticed by nobody, an alert, wrong answers, a gate.
    pub detected_by: [f64; 4],
}

/// Where the exceedance curve is given, as probabilities.
const EXCEEDANCE: [f64; 12] =
    [0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0001];

/// Turns counts into answers.
pub fn summarize(tally: &Tally) -> Summary {
    let trials = tally.trials;
    // A run that was ended before its first trial has shares of 0, not of nothing.
    let share = |count: u64| count as f64 / trials.max(1) as f64;
    Summary {
        trials,
        units: tally.units.iter().map(|unit| summarize_unit(unit, trials)).collect(),
        flows: tally.flows.iter().map(|flow| losses_of(&flow.lost, Some(&flow.wrong))).collect(),
        late_orders: tally.flows.iter().map(|flow| flow.late.mean()).collect(),
        outages: tally.flows.iter().map(|flow| outage_of(flow, trials)).collect(),
        total: losses_of(&tally.lost, None),
        histogram: histogram::histogram_of(&tally.lost),
        dependencies: tally
            .dependencies
            .iter()
            .map(|dependency| containment_of(dependency, trials))
            .collect(),
        anomalies: tally.anomalies.iter().map(|counts| counts.map(|count| share(*count))).collect(),
        reasons: reason_shares(tally),
        course: tally.course.as_ref().map(|course| TimelineSummary {
            impact: estimate::estimate_proportion(course.impact.count(), trials),
            impact_at: spread_of(&course.impact),
            detected_at: spread_of(&course.detected),
            ended_at: spread_of(&course.ended),
            over_at: spread_of(&course.over),
            exposure: spread_of(&course.exposure),
            detected_by: course.detected_by.map(share),
        }),
    }
}

fn reason_shares(tally: &Tally) -> Vec<(WaitReason, f64)> {
    let share = |count: u64| count as f64 / tally.trials.max(1) as f64;
    let mut reasons: Vec<(WaitReason, f64)> =
        tally.reasons.iter().map(|(reason, count)| (*reason, share(*count))).collect();
    // Equals keep the order of kinds and places.
    reasons.arrange_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    reasons
}

/// The width of the widest interval of any flow, as far as it was counted.
pub fn widest_flow_interval(tally: &Tally) -> f64 {
    // Flows stand last among the units.
    let flows = &tally.units[tally.units.len() - tally.flows.len()..];
    let counts = flows.iter().flat_map(|flow| [flow.failed, flow.degraded]);
    counts
        .map(|count| estimate::estimate_proportion(count, tally.trials).width())
        .fold(0.0, f64::max)
}

fn summarize_unit(unit: &UnitTally, trials: u64) -> UnitSummary {
    UnitSummary {
        failed: estimate::estimate_proportion(unit.failed, trials),
        degraded: estimate::estimate_proportion(unit.degraded, trials),
        baseline: unit.baseline.map(|count| estimate::estimate_proportion(*count, trials)),
        caused: unit.caused.map(|count| estimate::estimate_proportion(*count, trials)),
        failing_share: unit.share / trials.max(1) as f64,
        late_share: unit.late / trials.max(1) as f64,
        first_failed: spread_of(&unit.first),
        failed_for: spread_of(&unit.lasted),
    }
}

fn spread_of(sketch: &Sketch) -> Option<SpreadSummary> {
    let [p10, p25, p50, p75, p90, p95] = sketch.quantiles([0.1, 0.25, 0.5, 0.75, 0.9, 0.95])?;
    Some(SpreadSummary { p10, p25, p50, p75, p90, p95 })
}

fn losses_of(lost: &Sketch, wrong: Option<&Sketch>) -> Option<Losses> {
    let quantiles_of_lost = quantiles_of(lost)?;
    let exceeds = |p: f64| {
        let orders = lost.quantile(1.0 - p)?;
        Some((orders, estimate::estimate_proportion(lost.at_least(orders), lost.count())))
    };
    let mut exceedance: Vec<(f64, Estimate)> = EXCEEDANCE.into_iter().filter_map(exceeds).collect();
    // Several quantiles may be the same trial, and a curve has one point there.
    exceedance.dedup_by(|a, b| a.0.total_cmp(&b.0).is_eq());
    Some(Losses { lost: quantiles_of_lost, wrong: wrong.and_then(quantiles_of), exceedance })
}

fn outage_of(flow: &FlowTally, trials: u64) -> Option<Outage> {
    let lost = quantiles_of(&flow.outage)?;
    Some(Outage { lost, unfinished: estimate::estimate_proportion(flow.unfinished, trials) })
}

fn quantiles_of(sketch: &Sketch) -> Option<QuantileSummary> {
    let mean = sketch.mean()?;
    let error = estimate::Z975 * sketch.standard_error().unwrap_or(0.0);
    Some(QuantileSummary {
        mean,
        // Orders and times are never below 0, so no interval of theirs is.
        mean_interval: ((mean - error).max(0.0), mean + error),
        p50: sketch.quantile(0.5)?,
        p95: sketch.quantile(0.95)?,
        p99: sketch.quantile(0.99)?,
        max: sketch.max()?,
    })
}

fn containment_of(dependency_tally: &DependencyTally, trials: u64) -> Option<ContainmentSummary> {
    let share = |count: u64| count as f64 / trials as f64;
    // A dependency to which no failure came contained nothing, which is not the same as letting it
    // through.
    (dependency_tally.tried > 0).then(|| ContainmentSummary {
        tried: share(dependency_tally.tried),
        passed: share(dependency_tally.passed),
        held: dependency_tally.held.iter().map(|count| share(*count)).collect(),
    })
}
