//! Whether to ship, and what the answer is based on: rules, figures, the test, the baseline.

use serde::{Deserialize, Serialize};

use super::{
    Assumption, ComparisonOperator, ComparisonOutcome, DeciderInput, Decision, LimitOutcome,
    RuleOutcome, WaiverOutcome,
};

/// Whether to ship.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Verdict {
    /// Whether to proceed, to take care, or to stop.
    pub decision: Decision,
    /// Why, in sentences, worst first.
    pub reasons: Vec<String>,
    /// Deciding inputs, whose plausible range turns the verdict: the nearest turning point first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deciders: Vec<DeciderReport>,
    /// Whether some rule or limit could not be decided, for lack of trials or of information.
    pub undecided: bool,
    /// Every limit of the command line, and what came of it.
    pub limits: Vec<LimitReport>,
    /// The policy that was applied; absent where only limits of the command line were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyReport>,
    /// Every rule of the policy, in its order, and what came of it.
    #[serde(default)]
    pub rules: Vec<RuleReport>,
    /// Every waiver that was given, and what came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<WaiverReport>,
    /// How figures were compared with limits; absent in results of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestReport>,
}

/// An input whose plausible range turns the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DeciderReport {
    /// The input.
    pub input: DeciderInput,
    /// The verdict beyond the turning point.
    pub verdict: Decision,
    /// The value that was simulated: a share, or seconds of a median time; absent for `unknowns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The value from which on the verdict is another one, to about a tenth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turning_point: Option<f64>,
    /// Whether the other verdict follows below the turning point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_below: Option<bool>,
    /// The lower end of the plausible range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Whether the value is assumed, because nobody states it.
    pub is_assumed: bool,
    /// The same in a sentence.
    pub text: String,
}

/// The policy of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PolicyReport {
    /// Its name; where several were put together, that of the first.
    pub name: String,
    /// Whether it is the one that comes with the program.
    pub is_default: bool,
    /// Names of the policies that were put together, in their order; absent for a single one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

/// A waiver, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct WaiverReport {
    /// Name of the rule.
    pub rule: String,
    /// Outcome of the waiver.
    pub outcome: WaiverOutcome,
    /// The services that it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// The teams that it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// The changes that it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The person who takes the risk.
    pub who: String,
    /// Their reason.
    pub why: String,
    /// The last day on which it holds: `2026-12-24`.
    pub until: String,
    /// The same in a sentence.
    pub text: String,
    /// Where it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<super::PlaceReport>,
}

/// A rule of the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// Verdict that it asks for when it fires: `caution` or `stop`.
    pub verdict: Decision,
    /// Whether a waiver turns its stop into caution.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waived: bool,
    /// The policy that it is from; absent where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Outcome of the rule.
    pub outcome: RuleOutcome,
    /// Message to people.
    pub message: String,
    /// Its condition as written, on one line.
    pub when: String,
    /// Of an undecided rule: what is missing, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The simulated figures that decided it, or that keep it from being decided.
    pub metrics: Vec<MetricReport>,
    /// How unstated protections were taken.
    pub assumption: Assumption,
    /// After how many trials it was decided, or given up.
    pub trials: u64,
    /// Where it is written; absent for the default policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<super::PlaceReport>,
    /// Outcome in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Unless it holds: what could be edited, in the change and in the topology.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<super::PlaceReport>,
}

/// A simulated figure, compared with a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MetricReport {
    /// Which: `flows["place-order"].orders_lost.p95`.
    pub name: String,
    /// The flow that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// The service that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The estimate.
    pub value: f64,
    /// The lower end of its interval, which holds at every look at once.
    pub low: f64,
    /// The upper end; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// How it was compared: `>`, `>=`, `<`, `<=`, `==`, `!=`.
    pub comparison: ComparisonOperator,
    /// With what.
    pub limit: f64,
    /// Outcome of the comparison.
    pub outcome: ComparisonOutcome,
}

/// The sequential test by which figures are compared with limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TestReport {
    /// Description of the test and its method, in a sentence.
    pub method: String,
    /// Where it is from.
    pub citation: String,
    /// The chance, per rule, that any of its intervals ever misses the truth.
    pub error: f64,
    /// After how many trials it was looked at.
    pub checkpoints: Vec<u64>,
    /// The same for the topology with what it does not state assumed, where rules ask for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints_assumed: Vec<u64>,
    /// How many trials were allowed.
    pub max_trials: u64,
}

/// A limit of the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LimitReport {
    /// Name of the limited figure, in words.
    pub name: String,
    /// The flow that is limited.
    #[serde(default)]
    pub flow: String,
    /// The limit.
    pub limit: f64,
    /// The estimate; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The lower end of its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper end; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Outcome of the limit.
    pub outcome: LimitOutcome,
    /// Outcome in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Unless it holds: what could be edited, in the change and in the topology.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<super::PlaceReport>,
}

/// Differences from an earlier result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BaselineReport {
    /// The change of the earlier result.
    pub change: String,
    /// Its trials.
    pub trials: u64,
    /// Its seed.
    pub seed: u64,
    /// Flows that are in both, worst first.
    pub flows: Vec<DeltaReport>,
    /// Services that are in both and differ beyond chance, worst first.
    pub services: Vec<DeltaReport>,
    /// Services and flows that only this result has.
    pub added: Vec<String>,
    /// Services and flows that only the earlier one has.
    pub removed: Vec<String>,
    /// Other differences, in sentences: seeds, thresholds, the topologies and changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// Single points of failure that are new; absent where the earlier result does not say its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_points_gained: Option<Vec<String>>,
    /// Single points of failure that are no longer; absent where the earlier result does not say its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_points_lost: Option<Vec<String>>,
    /// More orders lost on average over all flows; absent where either is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<DifferenceReport>,
}

/// A service or a flow in two results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DeltaReport {
    /// Its name.
    pub name: String,
    /// How much likelier it fails.
    pub failed: DifferenceReport,
    /// How many more orders it loses on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<DifferenceReport>,
    /// Orders lost that 1 in 20 trials exceeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost_p95: Option<BeforeAfterReport>,
}

/// A figure in two results, without an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BeforeAfterReport {
    /// In the earlier one.
    pub before: f64,
    /// In this one.
    pub after: f64,
}

/// A figure in two results.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DifferenceReport {
    /// In the earlier one.
    pub before: f64,
    /// In this one.
    pub after: f64,
    /// The lower end of the 95% interval of the difference.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Several changes in one window: each alone and all together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TogetherReport {
    /// The changes alone, in the order given.
    pub alone: Vec<AloneReport>,
    /// Effects on each flow.
    pub flows: Vec<InteractionReport>,
}

/// One of several changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AloneReport {
    /// Its name.
    pub change: String,
    /// The chance that it breaks.
    pub failure_probability: f64,
    /// How many trials it had.
    pub trials: u64,
}

/// A flow under several changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct InteractionReport {
    /// The flow.
    pub name: String,
    /// How likely it fails under each change alone, in their order.
    pub alone: Vec<super::Interval>,
    /// How likely it would fail if they only happened to coincide: 1 minus the product of the
    /// chances that each spares it.
    pub independent: f64,
    /// How likely it fails when all of them break.
    pub together: super::Interval,
    /// Orders lost on average under each alone, where known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders_lost_alone: Vec<f64>,
    /// And when all of them break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost_together: Option<f64>,
}
