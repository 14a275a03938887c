//! One trial, step by step.

use serde::{Deserialize, Serialize};

use super::TrialLabel;

/// One trial, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TrialTrace {
    /// Which trial it is of all.
    pub label: TrialLabel,
    /// Its number.
    pub trial: u64,
    /// Orders lost in it, where some flow has a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<f64>,
    /// Orders that are late in it because of the change, where some flow has a rate and promises a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_late: Option<f64>,
    /// How its targets break, in words, in the order in which they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// When it was noticed, in seconds from the start of the rollout; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_s: Option<f64>,
    /// State of everything from one time to the next.
    pub steps: Vec<StepReport>,
}

/// State of everything from one time to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StepReport {
    /// From when, in seconds from the start of the rollout.
    pub from_s: f64,
    /// Until when.
    pub until_s: f64,
    /// The share that has the change.
    pub exposure: f64,
    /// Events at `from_s`, in words.
    pub events: Vec<String>,
    /// Services that are not completely ok, most failing first.
    pub services: Vec<StateReport>,
    /// Flows that are not completely ok, most failing first.
    pub flows: Vec<StateReport>,
    /// Services with more load than they can serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overloads: Vec<OverloadReport>,
    /// Orders lost in this step, where some flow has a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<f64>,
}

/// Shares of requests by how they end; what is left is ok.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StateReport {
    /// The service (`service/endpoint` for one of its endpoints) or flow.
    pub name: String,
    /// Hang.
    pub slow: f64,
    /// Fail fast.
    pub down: f64,
    /// Are wrong, and taken for right.
    pub corrupt: f64,
    /// Have something missing.
    pub degraded: f64,
    /// Are answered, but late: of a flow, later than it promises; of a service, later than usual.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

impl StateReport {
    /// Slow, down or corrupt.
    pub fn failing_share(&self) -> f64 {
        // A degraded answer still serves, so it does not count.
        self.slow + self.down + self.corrupt
    }
}

/// A service with more load than it can serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OverloadReport {
    /// The service.
    pub service: String,
    /// Its load, as a multiple of normal.
    pub load: f64,
    /// Capacity, as a multiple of normal.
    pub capacity: f64,
    /// The share of requests lost to it.
    pub lost: f64,
}
