//! Error budgets: what the objective of a flow allows, and what a change uses of it.

use serde::{Deserialize, Serialize};

use super::Interval;

/// The objective of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ObjectiveReport {
    /// The promised availability, between 0 and 1.
    pub availability: f64,
    /// The window over which it is promised, in seconds.
    pub window_s: f64,
    /// The outage minutes that it allows.
    pub budget_min: f64,
    /// The outage minutes that are already spent.
    pub spent_min: f64,
    /// Whether the objective is the default one, because the topology states none.
    pub is_assumed: bool,
}

/// The share of the whole error budget that a change uses if it breaks; 1 is all of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BudgetReport {
    /// The mean over trials.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Value that 1 in 20 trials exceeds.
    pub p95: f64,
    /// The probability that nothing is left, with what is spent already.
    pub exhausts: Interval,
    /// The probability that more than a quarter of what is left is used.
    pub at_risk: Interval,
    /// The same per rollout: multiplied by the failure probability of the change.
    pub per_rollout: BudgetRisk,
}

/// The risk that a rollout is to an error budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BudgetRisk {
    /// The probability that nothing is left.
    pub exhausts: Interval,
    /// The probability that more than a quarter of what is left is used.
    pub at_risk: Interval,
}
