//! The shape of the answer of `explain`: why flows fail, through what, and what mattered.

use serde::{Deserialize, Serialize};

use super::{
    CallReport, CutEventKind, EngineName, EstimationMethod, EventScope, FailureMode, FailureOrigin,
    Metric, PartKind, Protection, TargetReport, ThresholdsReport, UnitReport, Unknown,
    WaitingReport,
};

/// The version of this shape.
pub const EXPLAIN_SCHEMA_NAME: &str = "blastwave/explain/v1";

/// Why flows fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExplainReport {
    /// [`EXPLAIN_SCHEMA_NAME`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The name of the topology.
    pub topology: String,
    /// The name of the change; nothing where only what fails for its own reasons is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials were run.
    pub trials: u64,
    /// Which engine ran them.
    pub engine: EngineName,
    /// Whether it was interrupted, so that fewer trials were run than asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Whether exact values were found, and why not.
    pub exact: ExactReport,
    /// From which peak share of requests on something counts as failed, or as degraded.
    #[serde(default)]
    pub thresholds: ThresholdsReport,
    /// Targets of the change, and how each may break.
    pub targets: Vec<TargetReport>,
    /// Services, most likely to fail first.
    pub services: Vec<UnitReport>,
    /// Flows, most likely to fail first, each with what explains it.
    pub flows: Vec<FlowExplained>,
    /// Protections, the one that saved most first.
    pub containment: Vec<ProtectionReport>,
    /// How many of those were not removed for a trial, so that they have no `saved`: those that held
    /// failure least often.
    #[serde(default)]
    pub containment_left_out: u64,
    /// Why requests wait in vain, or are refused: each reason with the share of trials, most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingReport>,
    /// Unknowns that matter, widest first.
    pub unknowns: Vec<Unknown>,
    /// Assumptions, in sentences.
    pub assumptions: Vec<String>,
    /// Of a summary: the lists that are shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<super::OmittedReport>,
}

/// Whether exact values were found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExactReport {
    /// Whether `failed.exact` stands beside the intervals.
    pub used: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A flow, and what explains it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FlowExplained {
    /// Its name and figures.
    #[serde(flatten)]
    pub unit: UnitReport,
    /// The smallest sets of failures that fail it; nothing where they could not be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_sets: Option<CutSetsReport>,
    /// Why there are no cut sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_cut_sets: Option<String>,
    /// How much each part matters to it, most first.
    pub importance: Vec<ImportanceReport>,
    /// The ways that failure took in the trials, most frequent first.
    pub paths: Vec<PathReport>,
    /// How many parts were not tried for `importance`: those that failure came to least often. Only
    /// where it comes from trials.
    #[serde(default)]
    pub importance_left_out: u64,
    /// Whether there were more ways than were followed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paths_incomplete: bool,
}

/// The minimal cut sets of a flow: sets of failures that together fail it, and none of whose parts
/// does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CutSetsReport {
    /// Which events they are made of.
    pub events: EventScope,
    /// How many there are, as far as they are complete.
    pub count: u64,
    /// How many there are of each order, from 1 on; of order 0 there is one where the flow fails anyway.
    pub by_order: Vec<OrderCount>,
    /// Up to which order they are complete; nothing where all were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_to_order: Option<u32>,
    /// The most likely ones, most likely first, then the smallest.
    pub sets: Vec<CutSetReport>,
    /// Why they are those of a simpler scenario, in which every failure is all or nothing, at one
    /// moment, without load; nothing where they are those of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simplified: Option<String>,
}

/// Number of cut sets with this number of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OrderCount {
    /// How many events.
    pub order: u32,
    /// How many sets.
    pub count: u64,
}

/// A smallest set of failures that fails a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CutSetReport {
    /// Events that together fail the flow.
    pub events: Vec<CutEventReport>,
    /// How many they are.
    pub order: u32,
    /// The probability that all of them happen.
    pub probability: f64,
    /// The same as a share of the probability that the flow fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// Something that fails.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CutEventReport {
    /// Kind of event.
    pub kind: CutEventKind,
    /// Its name; of dependencies and fallbacks the caller and what is called, joined by `>`; of
    /// replicas the service and the number, joined by `#`.
    pub name: String,
    /// The call, for a dependency or a fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallReport>,
    /// The number of the replica, for a replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<u32>,
    /// Of what the change breaks: how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FailureMode>,
}

/// How much a part matters to a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ImportanceReport {
    /// Kind of part.
    pub kind: PartKind,
    /// Its name, as in [`CutEventReport::name`].
    pub name: String,
    /// The call, for a dependency or a fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallReport>,
    /// The probability that it fails by itself.
    pub probability: f64,
    /// How it was computed.
    pub method: EstimationMethod,
    /// Birnbaum's: by how much the probability that the flow fails differs between the part failed
    /// and the part working.
    pub birnbaum: Measured,
    /// Criticality: the probability that the part failed and is critical, given that the flow fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<f64>,
    /// Fussell and Vesely's: the probability that the part has failed, given that the flow fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fussell_vesely: Option<f64>,
    /// Risk achievement worth: how many times as likely the flow fails when the part has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_achievement_worth: Option<f64>,
    /// Risk reduction worth: how many times less likely the flow fails when the part never does;
    /// nothing where the flow then never fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_reduction_worth: Option<f64>,
    /// The probability that the flow fails, given that the part has.
    pub failed_if_failed: f64,
    /// The probability that the flow fails, given that the part works.
    pub failed_if_works: f64,
}

/// A figure, with its 95% interval where it was estimated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Measured {
    /// The figure.
    pub value: f64,
    /// The lower end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// A way that failure took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PathReport {
    /// Where it began.
    pub origin: FailureOrigin,
    /// The names of what it went through: from where it began to the flow, or to the caller whose
    /// call held it.
    pub through: Vec<String>,
    /// The share of trials in which failure went this way; several ways may be open in one trial.
    pub share: f64,
    /// In how many trials.
    pub trials: u64,
    /// Protection that contained it at its last step; absent where it reached the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contained_by: Option<Protection>,
}

/// Effect of a protection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ProtectionReport {
    /// Who calls.
    pub caller: String,
    /// Callee of the dependency.
    pub dependency: String,
    /// The protection.
    pub protection: Protection,
    /// The share of trials in which failure came to the call.
    pub exposed: f64,
    /// The share of trials in which this protection contained it.
    pub contained: f64,
    /// The share of trials in which failure passed all the same.
    pub passed: f64,
    /// Additional loss without it, on average, with the same draws; nothing where it was not tried
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Measured>,
    /// Metric of `saved`.
    pub metric: Metric,
}
