//! The shape of advice: which protections would save most, one at a time and together.

use serde::{Deserialize, Serialize};

use super::compare::Difference;

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/advise/v1";

/// The JSON Schema of [`AdviseReport`].
pub const ADVISE_SCHEMA: &str = include_str!("advise.schema.json");

/// What would help against a change that breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub engine: String,
    /// Whether it was interrupted, so that less was tried than could have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What is saved: `orders_lost`, or `failing_share` (the mean over flows of the peak failing
    /// share) for single moments and where no flow has a rate.
    pub measure: String,
    /// Its mean as things are.
    pub before: f64,
    /// How many protections were tried in all.
    pub tried: u64,
    /// How many savings were estimated with the full number of trials, of single protections and of
    /// steps: every interval is as wide as it takes for all of so many to hold at once in 95% of
    /// cases (Bonferroni). What was to be estimated was chosen by other trials.
    pub comparisons: u64,
    /// Protections one at a time, best first: only those whose interval lies above 0.
    pub alone: Vec<AdviceReport>,
    /// How many others saved nothing that can be told from noise.
    pub within_noise: u64,
    /// Protections together: each is the best addition to those before it.
    pub together: Vec<AdviceReport>,
    /// What is left of the measure with all of `together`.
    pub after: f64,
    /// What was taken for granted, in sentences.
    pub assumptions: Vec<String>,
}

/// One protection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdviceReport {
    /// What sort of protection: `timeout`, `fallback`, `soft`, `retry`, `cache`, `validation`,
    /// `circuit-breaker`, `second-domain`, `shed`, `kill-switch`, `smaller-first-stage`,
    /// `longer-bake`, `gate`, `faster-detection`, `faster-rollback`.
    pub kind: String,
    /// Whose protection: `caller > dependency`, a service, or `the change`.
    pub at: String,
    /// What to change, in a sentence.
    pub what: String,
    /// The same as keys of the YAML.
    pub edits: Vec<EditReport>,
    /// How much of the measure it saves: alone, or on top of the steps before it.
    pub saved: Difference,
    /// The same as a share of the measure before anything was done.
    pub saved_share: f64,
    /// What is left of the measure after it.
    pub left: f64,
}

/// Keys to set in one place of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditReport {
    /// Which file: `topology` or `change`.
    pub file: String,
    /// Where, as a path of keys and indices: `services.storefront.dependencies[2]`.
    pub path: String,
    /// What to write there, as YAML.
    pub yaml: String,
}
