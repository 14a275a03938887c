//! The stable, versioned shape of every answer: the only types that are written out as data.
//!
//! Names and meanings are fixed: fields are added, never renamed. Shares and probabilities are
//! numbers from 0 to 1, durations are seconds, orders are numbers of orders.

pub mod advise;
pub mod budget;
pub mod cascade;
mod codes;
pub mod compare;
pub mod diagnosis;
pub mod drift;
pub mod explain;
mod files;
pub mod gate;
pub mod observed;
pub mod page;
pub mod policy_test;
mod problem;
pub mod rank;
pub mod replay;
pub mod schema;
pub mod structure;
mod summary;
pub mod topology_review;
pub mod trial_trace;
pub mod waiting;

pub use crate::model::cost::AdviceKind;
pub use advise::AdviseReport;
pub use budget::{BudgetReport, BudgetRisk, ObjectiveReport};
pub use cascade::CascadeReport;
pub use codes::{
    ActionKind, Assumption, ComparedKind, ComparisonOperator, ComparisonOutcome, ComponentKind,
    ComponentState, CutEventKind, DeciderInput, Decision, Detector, EditedFile, EngineName,
    EstimationMethod, EventScope, FailureMode, FailureOrigin, GuessedKind, HistogramScale,
    LeftOutReason, LimitOutcome, Metric, ModelElement, OriginKind, PartKind, PriorKind,
    ProblemSeverity, Protection, RolloutStrategy, RoutingMode, RuleOutcome, TimelineMode,
    TrialLabel, UnknownKind, WaitingReason, WaiverOutcome,
};
pub use compare::CompareReport;
pub use diagnosis::{DiagnosisReport, DiagnosisScoreReport};
pub use explain::ExplainReport;
pub use files::{FilesReport, TouchedReport};
pub use gate::{
    AloneReport, BaselineReport, BeforeAfterReport, DeciderReport, DeltaReport, DifferenceReport,
    InteractionReport, LimitReport, MetricReport, PolicyReport, RuleReport, TestReport,
    TogetherReport, Verdict, WaiverReport,
};
pub use observed::ObservedReport;
pub use page::PageReport;
pub use problem::{PlaceReport, Problem};
pub use rank::RankReport;
pub use replay::ReplayReport;
pub use structure::StructureReport;
pub use summary::OmittedReport;
pub use topology_review::ReviewReport;
pub use trial_trace::TrialTrace;
pub use waiting::WaitingReport;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::topology::Thresholds;

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/result/v1";

/// Result of the simulation of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The name of the topology.
    pub topology: String,
    /// The name of the change.
    pub change: String,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials were run.
    pub trials: u64,
    /// Which engine ran them.
    pub engine: EngineName,
    /// Whether it was interrupted, so that fewer trials were run than asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The chance that the change breaks at all; 1 where a break was asked for.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub failure_probability: f64,
    /// From which peak share of requests on something counts as failed, or as degraded.
    #[serde(default)]
    pub thresholds: ThresholdsReport,
    /// Whether time passes, and what happens when.
    #[serde(rename = "course")]
    pub timeline: TimelineReport,
    /// Targets of the change, and how each may break.
    pub targets: Vec<TargetReport>,
    /// Services, those that most likely fail because of the change first.
    pub services: Vec<UnitReport>,
    /// Flows, those that most likely fail because of the change first.
    pub flows: Vec<UnitReport>,
    /// Orders lost over all flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<TotalReport>,
    /// Dependencies that failure entered, in the order in which they are written.
    pub dependencies: Vec<DependencyReport>,
    /// Services that stay overloaded though the cause is gone, in some trial.
    pub metastable: Vec<String>,
    /// Services that never come back by themselves, in some trial.
    pub never_recovers: Vec<String>,
    /// Services whose load and failure did not settle in some trial: their figures are doubtful.
    pub unsettled: Vec<String>,
    /// Why requests wait in vain, or are refused: each reason with the share of trials, most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingReport>,
    /// Unknowns that matter, widest first.
    pub unknowns: Vec<Unknown>,
    /// Of a check: services and failure domains that fail a flow when they alone are down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_points: Option<Vec<compare::SinglePoint>>,
    /// The median trial and a 1-in-20 trial, where there is time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub example_trials: Vec<TrialTrace>,
    /// Where a picture of it, or a page about it, is to be found: a link for comments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Assumptions, in sentences.
    pub assumptions: Vec<String>,
    /// Of a change that was made from a diff: its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesReport>,
    /// Of several changes in one window: each alone, and all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<TogetherReport>,
    /// Differences from an earlier result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineReport>,
    /// The verdict of `check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Of a summary: the lists that are shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<OmittedReport>,
}

/// From which peak share of requests on something counts as failed, or as degraded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ThresholdsReport {
    /// Of requests that are slow, down or corrupt.
    pub failed: f64,
    /// Of requests that are any of these or degraded.
    pub degraded: f64,
}

impl Default for ThresholdsReport {
    fn default() -> Self {
        Self::from(Thresholds::default())
    }
}

impl From<Thresholds> for ThresholdsReport {
    fn from(thresholds: Thresholds) -> Self {
        Self { failed: thresholds.failed.get(), degraded: thresholds.degraded.get() }
    }
}

/// A probability with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interval {
    /// The share of trials.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub p: f64,
    /// The lower end.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub low: f64,
    /// The upper end.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub high: f64,
    /// The exact value, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub exact: Option<f64>,
}

/// A service, an endpoint or a flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UnitReport {
    /// Its name; an endpoint's is without its service.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of a service: what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of a service: who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Of a service: how much it matters, 1 most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u32>,
    /// Of a flow: whether it is business-critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,
    /// Of a flow: orders per second, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// The probability that it fails.
    pub failed: Interval,
    /// The probability that it is degraded or worse.
    pub degraded: Interval,
    /// The same probabilities without the change.
    #[serde(default)]
    pub baseline: Failures,
    /// The same because of the change: at some moment it fails and, at that moment, would not
    /// without the change.
    #[serde(default)]
    pub caused: Failures,
    /// The mean over trials of the peak share of requests that are slow, down or corrupt.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub failing_share: f64,
    /// Share that is answered, but late: of a flow, later than it promises; of a service, later than usual.
    /// Late is not failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<LateReport>,
    /// When it first failed, over the trials in which it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed_s: Option<Spread>,
    /// For how long in all, over the trials in which it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_for_s: Option<Spread>,
    /// Of a flow: orders lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<Quantiles>,
    /// Of a flow: of these, orders that went wrong unnoticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong_orders: Option<Quantiles>,
    /// Of a flow: probabilities of losing at least a number of orders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceedance: Vec<Exceedance>,
    /// Of a flow: outage minutes because of the change, if it breaks: the integral over time of its
    /// failing share less what fails without the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Quantiles>,
    /// Of a flow: the probability that this outage is not over at the horizon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Interval>,
    /// Of a flow: what is promised to its users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveReport>,
    /// Of a flow: what the change uses of its error budget, if it breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetReport>,
    /// Of a flow: what the lost orders are worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_lost: Option<Money>,
    /// The same for a rollout that may or may not break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_rollout: Option<PerRollout>,
    /// Of a service: its endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Self>,
}

/// Share that is answered, but late.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LateReport {
    /// The mean over trials of the peak share of requests that are late.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub p: f64,
    /// Of a flow: the mean number of orders that are late because of the change, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<f64>,
}

/// From this share of requests on, lateness is worth a figure.
const LATE_LEAST: f64 = 0.0005;
/// From this number of orders on: a short peak may be a small share of a long time.
const LATE_ORDERS_LEAST: f64 = 0.5;

impl UnitReport {
    /// Returns how much of it is late, where that is enough to be shown.
    pub fn noticeable_late(&self) -> Option<LateReport> {
        let orders = |late: &LateReport| late.count.is_some_and(|count| count >= LATE_ORDERS_LEAST);
        self.late.filter(|late| late.p >= LATE_LEAST || orders(late))
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self { p: 0.0, low: 0.0, high: 1.0, exact: None }
    }
}

/// How a figure spreads over trials: quantiles, each not exceeded by its share of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Spread {
    /// The 10th percentile.
    pub p10: f64,
    /// The 25th percentile.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The 75th percentile.
    pub p75: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
}

/// A distribution in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Quantiles {
    /// The mean.
    pub mean: f64,
    /// The lower end of its 95% interval.
    pub mean_low: f64,
    /// The upper end.
    pub mean_high: f64,
    /// The median.
    pub p50: f64,
    /// Value that 1 in 20 trials exceeds.
    pub p95: f64,
    /// Value that 1 in 100 trials exceeds.
    pub p99: f64,
    /// The worst trial.
    pub max: f64,
}

/// A point of an exceedance curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Exceedance {
    /// Number of orders of which at least so many are lost.
    pub orders: f64,
    /// with this probability.
    pub p: f64,
    /// The lower end of its 95% interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Money {
    /// The mean.
    pub mean: f64,
    /// Value that 1 in 20 trials exceeds; absent for a sum over flows whose orders differ in
    /// value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
    /// Of what.
    pub currency: String,
}

/// The two degrees of failure, each with its probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Failures {
    /// The probability that it fails.
    pub failed: Interval,
    /// The probability that it is degraded or worse.
    pub degraded: Interval,
}

/// Figures of a rollout that breaks with the failure probability `q`, and otherwise changes
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PerRollout {
    /// The probability that it fails: `q` with the change + `(1 - q)` without it.
    pub failed: Interval,
    /// The probability that it is degraded or worse, likewise.
    pub degraded: Interval,
    /// The probabilities because of the change: `q` times those of a change that breaks.
    #[serde(default)]
    pub caused: Failures,
    /// Orders lost on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<MeanOnly>,
}

/// A mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MeanOnly {
    /// The mean.
    pub mean: f64,
}

/// Orders lost over all flows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TotalReport {
    /// Orders lost.
    pub orders_lost: Quantiles,
    /// How likely it is to lose at least so many.
    pub exceedance: Vec<Exceedance>,
    /// How the trials spread; nothing where no trial loses any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<HistogramReport>,
    /// Value of the orders, by currency.
    pub money_lost: Vec<Money>,
    /// Orders lost on average, multiplied by the chance that the change breaks at all.
    pub per_rollout: MeanOnly,
}

/// How trials spread over steps; the shares, with `none` and `beyond`, sum to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HistogramReport {
    /// The share of trials that lose nothing at all.
    pub none: f64,
    /// Up to how many orders each step reaches, rising; the first begins just above 0.
    pub ends: Vec<f64>,
    /// How the steps are spaced.
    pub scale: HistogramScale,
    /// The share of trials in each step.
    pub shares: Vec<f64>,
    /// The share of trials that lose more than all steps.
    pub beyond: f64,
}

/// Whether time passes, and what happens when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimelineReport {
    /// `rollout` where the change has a rollout, detection or rollback, else `snapshot`.
    pub mode: TimelineMode,
    /// In a snapshot: for how long the break has lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting_s: Option<f64>,
    /// After which nothing is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon_s: Option<f64>,
    /// How requests are spread over exposed and other instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<RoutingMode>,
    /// The shorthand as which the rollout was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RolloutStrategy>,
    /// The stages, as they were simulated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageReport>,
    /// The probability that some flow loses anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Interval>,
    /// When it first does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_s: Option<Spread>,
    /// When the change is detected, over the trials in which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_s: Option<Spread>,
    /// When the cause ends, by a rollback, a switch or by itself, over the trials in which it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_s: Option<Spread>,
    /// When the last flow stops losing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_s: Option<Spread>,
    /// The same as `resolved_s`, under the name that it had in 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_s: Option<Spread>,
    /// How far the rollout had come when it was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure_at_detection: Option<Spread>,
    /// The shares of trials by what detected the change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detected_by: BTreeMap<Detector, f64>,
}

/// A step of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StageReport {
    /// The share that has the change.
    pub exposure: f64,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_s: Option<f64>,
    /// The chance that the check at its end sees a failing target.
    pub gate: f64,
}

/// One thing changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TargetReport {
    /// The service, `service/endpoint`, or failure domain.
    pub name: String,
    /// The chance that it breaks, given that the change does.
    pub probability: f64,
    /// The chance of each mode that is possible.
    pub modes: BTreeMap<FailureMode, f64>,
}

/// A call by its two ends, as data: a name that joins them need not be parsed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CallReport {
    /// Service, endpoint or flow that calls.
    pub caller: String,
    /// Callee; members of an `any_of` are joined by `|`.
    pub dependency: String,
}

/// Containment at a dependency, as shares of all trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DependencyReport {
    /// Who calls: `service`, `service/endpoint`, or a flow.
    pub caller: String,
    /// Callee; members of an `any_of` are joined by `|`.
    pub dependency: String,
    /// Failure came to the call.
    pub exposed: f64,
    /// It passed to the caller.
    pub passed: f64,
    /// It was contained, by what.
    pub contained: BTreeMap<Protection, f64>,
}

/// Something that is not stated, and what it may mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Unknown {
    /// Who calls; of a capacity or a pool of threads, the service.
    pub caller: String,
    /// Callee; empty for a capacity or a pool of threads.
    pub dependency: String,
    /// Kind of setting that is not stated.
    pub what: UnknownKind,
    /// How many more calls or pools leave the same open: `best` and `worst` are those of all together.
    #[serde(default, skip_serializing_if = "is_none_more")]
    pub others: u32,
    /// The figure named by `metric` if it is at its best.
    pub best: f64,
    /// If it is at its worst.
    pub worst: f64,
    /// Metric of `best` and `worst`, which are means.
    pub metric: Metric,
    /// Where it could be stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceReport>,
}

/// Whether an unknown is one call or pool alone.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_none_more(others: &u32) -> bool {
    *others == 0
}
