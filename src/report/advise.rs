//! The shape of advice: which protections would save most, one at a time and together.

use serde::{Deserialize, Serialize};

use super::compare::Difference;
use super::{AdviceKind, CallReport, Decision, EditedFile, EngineName, Metric};

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/advise/v1";

/// Advice against a change that breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AdviseReport {
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
    /// How many trials each figure rests on.
    pub trials: u64,
    /// Which engine ran them.
    pub engine: EngineName,
    /// Whether it was interrupted, so that less was tried than could have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Metric of the savings: orders lost; the failing share in snapshots and where no flow has a
    /// rate.
    pub metric: Metric,
    /// The name of the list of costs that counts; nothing where every step costs 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<String>,
    /// Its mean as things are.
    pub before: f64,
    /// How many protections were tried in all.
    pub tried: u64,
    /// How many savings were estimated with the full number of trials, of single protections and of
    /// steps: every interval is as wide as it takes for all of so many to hold at once in 95% of
    /// cases (Bonferroni). What was to be estimated was chosen by other trials.
    pub comparisons: u64,
    /// Protections one at a time, those that save most for their cost first: only those whose interval
    /// lies above 0.
    pub alone: Vec<AdviceReport>,
    /// How many others saved nothing that can be told from noise.
    pub within_noise: u64,
    /// Which those are.
    #[serde(default)]
    pub noise: Vec<NoiseReport>,
    /// Protections together: each is the best addition to those before it.
    pub together: Vec<AdviceReport>,
    /// Value of the metric with all of `together`.
    pub after: f64,
    /// Protections that turn the verdict of a gate, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UntilReport>,
    /// Assumptions, in sentences.
    pub assumptions: Vec<String>,
    /// Of a summary: the lists that are shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<super::OmittedReport>,
}

/// One protection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AdviceReport {
    /// Kind of protection.
    pub kind: AdviceKind,
    /// Whose protection: `caller > dependency`, a service, or `the change`.
    pub at: String,
    /// The call, for a protection of a dependency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallReport>,
    /// Change to make, in a sentence.
    pub what: String,
    /// The same as keys of the YAML.
    pub edits: Vec<EditReport>,
    /// How much of the measure it saves: alone, or on top of the steps before it.
    pub saved: Difference,
    /// How many things are to be changed for it.
    #[serde(default)]
    pub steps: u64,
    /// Cost: the number of steps where nothing else is stated.
    #[serde(default)]
    pub cost: f64,
    /// Saving for each unit of cost.
    #[serde(default)]
    pub saved_per_cost: Difference,
    /// Saving as a share of the metric before anything was done.
    pub saved_share: f64,
    /// Value of the metric after it.
    pub left: f64,
}

/// A protection whose saving cannot be told from noise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NoiseReport {
    /// As in [`AdviceReport::kind`].
    pub kind: AdviceKind,
    /// As in [`AdviceReport::at`].
    pub at: String,
    /// As in [`AdviceReport::call`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallReport>,
    /// Protection that was tried, in a sentence.
    pub what: String,
}

/// The smallest set of protections found with which a gate lets the change through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UntilReport {
    /// The name of the policy.
    pub policy: String,
    /// The verdict as things are.
    pub before: Decision,
    /// The verdict with `steps`.
    pub after: Decision,
    /// Whether that is to proceed, with the draws of this seed and with others.
    pub reached: bool,
    /// The protections, each on top of those before it; where no set passes, the set that comes
    /// nearest. Here a saving may lie within noise: it is the verdict that counts.
    pub steps: Vec<AdviceReport>,
    /// Cost of all of them together.
    pub cost: f64,
    /// How many sets were judged. Not every set was, so a smaller one may exist.
    pub judged: u64,
    /// Why the verdict is not to proceed, where it is not.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// Keys to set in one place of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EditReport {
    /// Which file.
    pub file: EditedFile,
    /// Where, as a path of keys and indices: `services.storefront.dependencies[2]`.
    pub path: String,
    /// Text to write there, as YAML.
    pub yaml: String,
}
