//! Impact of everything that can break: a ranking, and a matrix for a heat-map.

use serde::{Deserialize, Serialize};

use super::{CallReport, EngineName, FailureMode, OriginKind, ThresholdsReport};

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/rank/v1";

/// Everything that can break, the worst first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RankReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The name of the topology.
    pub topology: String,
    /// Kind of component that breaks.
    pub by: OriginKind,
    /// How it breaks; never `surge`.
    pub mode: FailureMode,
    /// For how long the break has lasted at the moment that is looked at, in seconds.
    pub lasting_s: f64,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials each origin was given.
    pub trials: u64,
    /// Which engine ran them.
    pub engine: EngineName,
    /// Whether it was interrupted, so that fewer trials were run than asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// From which share of requests on something counts as failed, or as degraded.
    pub thresholds: ThresholdsReport,
    /// How many services the topology has.
    pub services: u64,
    /// The flows, in the order of the topology.
    pub flows: Vec<RankFlow>,
    /// Components that break, the worst first; with `--top`, so many of them.
    pub origins: Vec<OriginReport>,
    /// How many origins were left out.
    pub left_out: u64,
    /// Which flow fails how likely when which origin breaks.
    pub matrix: MatrixReport,
    /// Assumptions, in sentences.
    pub assumptions: Vec<String>,
}

/// A flow that may be taken down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RankFlow {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether it is business-critical.
    pub critical: bool,
    /// Orders per second, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
}

/// Something that breaks, and its impact beyond what fails in the same trials anyway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OriginReport {
    /// From 1 on; origins that take equally much have the same.
    pub rank: u64,
    /// Its name; of a dependency `caller > dependency`.
    pub name: String,
    /// The call, for a dependency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallReport>,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Kind of the service, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Who owns it, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// How much it matters, 1 most, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u32>,
    /// Other services that fail.
    pub services: ImpactReport,
    /// Flows that fail.
    pub flows: ImpactReport,
    /// Orders per minute of the requests that fail, over flows whose rate is known; nothing where
    /// no rate is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_per_min: Option<ImpactReport>,
    /// The flows for which it is a single point of failure: they fail in every trial in which it
    /// breaks, and would not have failed in all of them anyway.
    pub single_point_of: Vec<String>,
}

/// A number that differs from trial to trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ImpactReport {
    /// The mean over trials.
    pub mean: f64,
    /// The lower end of its 95% interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The worst trial.
    pub worst: f64,
}

/// Shares of trials by origin and flow. Rows are in the order of [`RankReport::origins`], columns in
/// that of [`RankReport::flows`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MatrixReport {
    /// The names of the rows.
    pub origins: Vec<String>,
    /// The names of the columns.
    pub flows: Vec<String>,
    /// The share of trials in which the flow fails and would not have failed anyway.
    pub failed: Vec<Vec<f64>>,
    /// The same for degraded or worse.
    pub degraded: Vec<Vec<f64>>,
}
