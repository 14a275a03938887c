//! The review of a topology that changes: what the new one loses and gains, as data.

use serde::{Deserialize, Serialize};

use super::compare::SinglePoint;
use super::{CallReport, ComponentKind, PlaceReport, Verdict};
use crate::model::cost::AdviceKind;

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/review/v1";

word_enums! {
    /// Direction in which a flow changes.
    FlowTrend {
        /// More single breaks fail it, or some fail it more often, and none less often.
        Weaker = "weaker",
        /// Fewer single breaks fail it, or some fail it less often, and none more often.
        Stronger = "stronger",
        /// Some single breaks fail it more often, and others less often.
        Mixed = "mixed",
        /// No single break fails it more or less often.
        Unchanged = "unchanged",
    }
}

/// Differences between two states of a topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReviewReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials each single break was given.
    pub trials: u64,
    /// Whether it was interrupted, so that fewer trials were run than asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The topology as it was.
    pub before: ReviewedTopology,
    /// The topology as it shall be.
    pub after: ReviewedTopology,
    /// Flows that both have, weaker ones first.
    pub flows: Vec<FlowReview>,
    /// Services and failure domains that alone fail more flows than before.
    pub single_points_gained: Vec<SinglePoint>,
    /// Services and failure domains that alone failed more flows before.
    pub single_points_lost: Vec<SinglePoint>,
    /// Dependencies that are new, and lack a protection.
    pub unprotected_dependencies: Vec<DependencyReview>,
    /// Dependencies that both have, and that lost a protection.
    pub weakened_dependencies: Vec<DependencyReview>,
    /// Services and flows that only the new one has.
    pub added: Vec<String>,
    /// Services and flows that only the old one has.
    pub removed: Vec<String>,
    /// Verdict of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// One state of the topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReviewedTopology {
    /// Its name.
    pub name: String,
    /// Where it was read: a path, or a path in a commit.
    pub file: String,
    /// How many services it has.
    pub services: u64,
    /// How many dependencies it declares.
    pub dependencies: u64,
    /// How many single breaks were simulated: each service and each failure domain.
    pub breaks: u64,
}

/// A flow in both states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FlowReview {
    /// Its name.
    pub name: String,
    /// Whether it is business-critical in the new state.
    pub critical: bool,
    /// Its direction.
    pub trend: FlowTrend,
    /// How many single breaks failed it in at least half of the trials.
    pub breaks_before: u64,
    /// How many single breaks do so now.
    pub breaks_after: u64,
    /// Single breaks that fail it more often than before, the largest difference first.
    pub worse: Vec<BreakReview>,
    /// Single breaks that fail it less often than before.
    pub better: Vec<BreakReview>,
    /// Its outage over 90 days without any change.
    pub budget: BudgetReview,
}

/// A single break in both states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BreakReview {
    /// The service or failure domain that breaks.
    pub name: String,
    /// Which of the two it is.
    pub kind: ComponentKind,
    /// The share of trials in which it failed the flow; absent where it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// The share in the new state; absent where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
}

/// Outage minutes of a flow over 90 days that follow from the declared availabilities alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BudgetReview {
    /// Outage minutes in the old state; absent where it declares no availability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_min: Option<f64>,
    /// Outage minutes in the new state; absent where it declares no availability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_min: Option<f64>,
    /// Outage minutes that the objective of the new state allows.
    pub budget_min: f64,
    /// Whether the objective is the default one, because the topology states none.
    pub is_assumed: bool,
}

/// A dependency, and the protections that it lacks or lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DependencyReview {
    /// The call.
    pub call: CallReport,
    /// Protections that are missing.
    pub missing: Vec<AdviceKind>,
    /// Where the new state declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceReport>,
}
