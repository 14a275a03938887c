//! The shape of a diagnosis: what may have broken, most likely first, and what to look at next.

use serde::{Deserialize, Serialize};

use super::{ComponentKind, ComponentState, FailureMode, PriorKind, WaitingReport};

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/diagnosis/v1";

/// The version of [`DiagnosisScoreReport`].
pub const SCORE_SCHEMA: &str = "blastwave/diagnosis-score/v1";

/// Components that may have broken, given the observations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DiagnosisReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The name of the topology.
    pub topology: String,
    /// The name of the observation.
    pub observation: String,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials each component had in each mode.
    pub trials: u64,
    /// Whether it was interrupted, so that not all were simulated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The chance that a report is wrong.
    pub misreport: f64,
    /// The chance that nobody reports on a component that fails.
    #[serde(default)]
    pub unreported: f64,
    /// Prior before anything was observed.
    pub prior: PriorKind,
    /// Services that were changed shortly before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deployed: Vec<String>,
    /// For how long the break has lasted, in seconds, where a single moment is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting_s: Option<f64>,
    /// Observed states.
    pub observed: Vec<SeenReport>,
    /// All components, most likely first; their posteriors sum to 1.
    pub candidates: Vec<CandidateReport>,
    /// Pairs of breaks that explain it better than the likeliest single one, likeliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<PairReport>,
    /// Observations to make next, the most informative first.
    pub look_at: Vec<LookReport>,
    /// Assumptions, in sentences.
    pub assumptions: Vec<String>,
}

/// Something that is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SeenReport {
    /// Its name.
    pub name: String,
    /// A service or a flow.
    pub kind: ComponentKind,
    /// The worst that was seen of it.
    pub state: ComponentState,
    /// From when, in seconds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_s: Option<f64>,
}

/// A component that may have broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CandidateReport {
    /// Its place: 1 more than there are that are more likely.
    pub rank: u64,
    /// How many others are exactly as likely: nothing that is seen tells them apart.
    pub tied: u64,
    /// Its name.
    pub name: String,
    /// A service or a failure domain.
    pub kind: ComponentKind,
    /// How likely it is that it broke, in any mode.
    pub posterior: f64,
    /// The same by mode, most likely first.
    pub modes: Vec<ModeReport>,
    /// How much of what is seen is what its likeliest break does; only for the first few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agrees: Option<u64>,
    /// The rest of what is seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misses: Vec<MissReport>,
    /// Why requests wait in vain, or are refused, in its likeliest break; only for the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingReport>,
}

/// A way to break.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ModeReport {
    /// How it breaks.
    pub mode: FailureMode,
    /// The share of its requests that it concerns.
    #[serde(default = "all_requests", skip_serializing_if = "is_all_requests")]
    pub share: f64,
    /// How likely it is that the component broke so.
    pub posterior: f64,
}

/// Two components that may have broken together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PairReport {
    /// Their names.
    pub names: Vec<String>,
    /// How each breaks.
    pub modes: Vec<FailureMode>,
    /// How many times as likely they are as the likeliest single break.
    pub odds: f64,
}

fn all_requests() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_all_requests(share: &f64) -> bool {
    *share >= 1.0
}

/// Something seen that is not what a break does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MissReport {
    /// Its name.
    pub name: String,
    /// The state that is seen.
    pub observed: ComponentState,
    /// The state that is most likely by the simulation.
    pub predicted: ComponentState,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LookReport {
    /// Its name.
    pub name: String,
    /// A service or a flow.
    pub kind: ComponentKind,
    /// By how many bits its state is expected to narrow down which component broke.
    pub bits: f64,
    /// Consequences of each answer.
    pub answers: Vec<AnswerReport>,
}

/// Consequence of finding something in a state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AnswerReport {
    /// The state.
    pub state: ComponentState,
    /// How likely that answer is.
    pub chance: f64,
    /// Which component would then be the most likely one.
    pub leader: String,
    /// How likely it would then be, among those that are told apart.
    pub posterior: f64,
}

/// At which place diagnoses put what set incidents off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DiagnosisScoreReport {
    /// [`SCORE_SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials each component had in each mode.
    pub trials: u64,
    /// Whether it was interrupted, so that not all were simulated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// How many incidents count.
    pub scored: u64,
    /// In how many of them the trigger is first, ties counted against it.
    pub first: u64,
    /// In how many of them it is among the first three, ties counted against it.
    pub first_three: u64,
    /// In how many it would be by chance.
    pub by_chance: f64,
    /// One by one, in the order given.
    pub incidents: Vec<RankedReport>,
}

/// The place of what set an incident off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RankedReport {
    /// The name of the incident.
    pub incident: String,
    /// Whether it counts.
    pub scored: bool,
    /// Components that set it off; of several, the one found first counts.
    pub trigger: Vec<String>,
    /// Its place among the candidates.
    pub rank: u64,
    /// How many others are exactly as likely.
    pub tied: u64,
    /// How many candidates there are.
    pub candidates: u64,
    /// How likely it is by the diagnosis.
    pub posterior: f64,
    /// Component that is ranked first.
    pub first: String,
}

impl RankedReport {
    /// Whether the trigger is among the first few even if all that tie with it come before it.
    pub fn is_within(&self, few: u64) -> bool {
        self.rank + self.tied <= few
    }
}
