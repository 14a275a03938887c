//! Simulated incidents beside what happened, and how well the two agree.

use serde::{Deserialize, Serialize};

use super::diagnosis::DiagnosisScoreReport;
use super::{ActionKind, ComponentState, ModelElement};
use crate::model::incident::FixKind;

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/replay/v1";

/// Incidents, simulated and compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReplayReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials each simulation was given.
    pub trials: u64,
    /// Whether it was interrupted, so that some simulations have fewer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Over all incidents that count.
    pub score: ScoreReport,
    /// The same without dependencies that are only inferred.
    pub stated_only: ScoreReport,
    /// The same where the duration that counts is that of a simulation which is told what operators
    /// did, and when: most of it is given.
    pub durations_told: ScoreReport,
    /// The same where the duration that counts is that of a simulation which is told only the kind of
    /// fix, and takes the usual time of that kind.
    #[serde(default)]
    pub fix_told: ScoreReport,
    /// The same without anything that operators did.
    pub nothing_done: ScoreReport,
    /// By how much the simulation is better than the best of the rules.
    #[serde(default)]
    pub leads: LeadsReport,
    /// Predicted probabilities to be hit beside how many were, over all incidents that count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibrationBin>,
    /// At which place a diagnosis puts what set the incidents off; only where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<DiagnosisScoreReport>,
    /// Scores of rules that simulate nothing.
    pub baselines: Vec<RuleScoreReport>,
    /// One by one, in the order given.
    pub incidents: Vec<IncidentReport>,
    /// Scores without one element of the model each; only where asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablation: Vec<AblationReport>,
}

/// How well a simulation agrees with what happened. What cannot be said of it is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ScoreReport {
    /// How many incidents.
    pub incidents: u64,
    /// How many services and flows whose state was observed, and that count.
    pub components: u64,
    /// How many more were observed that no dependency connects with anything: they do not count.
    #[serde(default)]
    pub unconnected: u64,
    /// The mean of the share of the impacted that were predicted to be, and of the unaffected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<f64>,
    /// The mean F1 over failed, degraded (late included) and unaffected, of those that were observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// The mean squared error of the probability to be impacted (Brier 1950); 0 is best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brier: Option<f64>,
    /// The mean distance between predicted and stated shares of failed requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_error: Option<f64>,
    /// How many shares are stated.
    #[serde(default)]
    pub shares: u64,
    /// Kendall's tau-b of the order in which things were first hit, over those that the simulation hits
    /// too: times within a minute are ties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
    /// How many pairs were hit at different times.
    pub timed_pairs: u64,
    /// In how many incidents.
    #[serde(default)]
    pub timed_incidents: u64,
    /// The same of the order in which things were well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_tau: Option<f64>,
    /// How many pairs were well again at different times.
    #[serde(default)]
    pub recovery_pairs: u64,
    /// In how many incidents.
    #[serde(default)]
    pub recovery_incidents: u64,
    /// How many incidents have both durations.
    pub durations: u64,
    /// In how many the longer is at most twice the shorter.
    pub duration_within_2: u64,
    /// In how many it is at most four times the shorter.
    pub duration_within_4: u64,
    /// How many containments that stopped something can be taken away.
    pub containments: u64,
    /// How many of them let more fail when they are.
    pub containments_confirmed: u64,
    /// 95% intervals, from incidents drawn anew; only over several incidents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<IntervalsReport>,
}

impl ScoreReport {
    /// Returns the share of durations within a factor of four; nothing where there is none.
    pub fn share_within_4(&self) -> Option<f64> {
        (self.durations > 0).then(|| self.duration_within_4 as f64 / self.durations as f64)
    }
}

/// Intervals of a score that holds 95% of those of incidents drawn anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct IntervalsReport {
    /// Of the balanced accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<[f64; 2]>,
    /// Of the macro-F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<[f64; 2]>,
    /// Of the Brier score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brier: Option<[f64; 2]>,
    /// Of the error of shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_error: Option<[f64; 2]>,
    /// Of the tau of starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau: Option<[f64; 2]>,
    /// Of the tau of recoveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_tau: Option<[f64; 2]>,
    /// Of the share of durations within a factor of four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_4: Option<[f64; 2]>,
}

/// By how much the simulation is better than the best rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LeadsReport {
    /// In balanced accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<LeadReport>,
    /// In macro-F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<LeadReport>,
}

/// By how much the simulation is better than a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LeadReport {
    /// The best rule.
    pub rule: String,
    /// The score of the simulation minus that of the rule.
    pub difference: f64,
    /// The 95% interval of that, over incidents drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// Components whose predicted probability to be hit is in one range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CalibrationBin {
    /// From this probability on.
    pub from: f64,
    /// Below this one; the last bin includes it.
    pub to: f64,
    /// How many components.
    pub components: u64,
    /// The mean of their predicted probabilities.
    pub predicted: f64,
    /// The share of them that were hit.
    pub observed: f64,
}

/// A rule that simulates nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RuleScoreReport {
    /// Description of the rule.
    pub rule: String,
    /// How well it agrees.
    pub score: ScoreReport,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct IncidentReport {
    /// Its name.
    pub name: String,
    /// The day on which it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Whether it counts in the overall score.
    pub scored: bool,
    /// How well the simulation agrees.
    pub score: ScoreReport,
    /// The same without dependencies that are only inferred.
    pub stated_only: ScoreReport,
    /// Observed states beside the predicted ones.
    pub components: Vec<ComponentReport>,
    /// How long it lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<DurationReport>,
    /// Containments that stopped the spread, and what happens without each.
    pub containment: Vec<ContainmentReport>,
    /// Actions of operators, and what each changed by the simulation.
    pub actions: Vec<ActionReport>,
    /// Where the facts are from.
    pub sources: Vec<String>,
}

/// A service or a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ComponentReport {
    /// Its name.
    pub name: String,
    /// The worst state in which it was seen.
    pub observed: ComponentState,
    /// The state that is most likely by the simulation.
    pub predicted: ComponentState,
    /// The probability that it fails.
    pub failed: f64,
    /// The probability that it is degraded or worse.
    pub degraded: f64,
    /// The mean of the peak share of its requests that fail.
    #[serde(default)]
    pub share: f64,
    /// The share of its requests that failed, where it is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_share: Option<f64>,
    /// From when it was impacted, in seconds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_from_s: Option<f64>,
    /// Until when it was impacted, in seconds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_until_s: Option<f64>,
    /// The median time of its first failure, in seconds from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed_s: Option<f64>,
    /// The median of how long it failed in all, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_for_s: Option<f64>,
    /// The median time of its first impact of any sort, in seconds from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_from_s: Option<f64>,
    /// The median time at which its last impact ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_until_s: Option<f64>,
}

impl ComponentReport {
    /// Whether the state was predicted rightly. Late is degraded: reviews seldom tell one from the other.
    pub fn is_hit(&self) -> bool {
        let class = |state| match state {
            ComponentState::Late => ComponentState::Degraded,
            state => state,
        };
        class(self.observed) == class(self.predicted)
    }
}

/// How long an incident lasted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DurationReport {
    /// In truth, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_s: Option<f64>,
    /// The median by the simulation, in seconds, which is not told what operators did:
    /// detection and rollback have the documented delays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_s: Option<f64>,
    /// The same with what operators did, when they did it; left out where nothing is known of that.
    /// It is told and not scored: most of it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_actions_s: Option<f64>,
    /// Kind of fix that ended it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixKind>,
    /// The median duration of a simulation that is told only this kind, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_fix_s: Option<f64>,
    /// Ratio of the predicted to the observed duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

/// Something that stopped the spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ContainmentReport {
    /// Description of the containment.
    pub what: String,
    /// Services that it kept from failing, by the facts.
    pub stopped: Vec<String>,
    /// Services that are impacted without it by the simulation, and are not with it.
    pub newly_impacted: Vec<String>,
    /// Whether that includes something it stopped; nothing where no call of the topology expresses
    /// it, or nothing is known that it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
}

/// Something that operators did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ActionReport {
    /// When, in seconds.
    pub at_s: f64,
    /// Kind of action.
    pub action: ActionKind,
    /// To what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whose calls alone were led around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// To which share of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Components that are worse without it by the simulation.
    pub spared: Vec<String>,
    /// Components that are better without it by the simulation.
    pub made_worse: Vec<String>,
    /// The median duration with it, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_s: Option<f64>,
    /// The median duration without it, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_s: Option<f64>,
}

impl ActionReport {
    /// The durations with it and without it, in seconds, where they differ by half a minute or more.
    pub(crate) fn durations_if_different(&self) -> Option<[f64; 2]> {
        let both = [self.with_s?, self.without_s?];
        // Minutes are shown, so what differs by less would look the same.
        ((both[0] - both[1]).abs() >= 30.0).then_some(both)
    }
}

/// An element of the model that was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AblationReport {
    /// The element that was left out.
    pub without: ModelElement,
    /// How well the simulation agrees without it.
    pub score: ScoreReport,
    /// Whether any probability, time or duration changed at all.
    pub changes_anything: bool,
}
