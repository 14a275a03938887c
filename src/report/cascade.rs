//! The shape of a cascade: the services that a failure reaches, and how it gets from one to the next.

use serde::{Deserialize, Serialize};

pub use super::codes::{BoxState, EdgeKind};
use super::{FailureMode, Protection};
use super::{Interval, LateReport, Spread, WaitingReport};

/// The version of the shape of a [`CascadeReport`].
pub const CASCADE_SCHEMA: &str = "blastwave/cascade/v1";

/// The part of a simulation that fits into a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CascadeReport {
    /// [`CASCADE_SCHEMA`].
    pub schema: String,
    /// The name of the topology.
    pub topology: String,
    /// The name of the change.
    pub change: String,
    /// The names of what breaks.
    pub targets: Vec<String>,
    /// The mode in which every target breaks, if it is the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FailureMode>,
    /// The seed of all draws.
    pub seed: u64,
    /// The number of trials.
    pub trials: u64,
    /// Whether the change has a course of time; otherwise the result is a snapshot.
    pub has_time: bool,
    /// The least share of trials in which something is hit so that it is shown.
    pub threshold: f64,
    /// The threshold that was asked for, where it had to be raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_asked: Option<f64>,
    /// Counts over all services that do not break themselves, whether they are shown or not.
    pub totals: CascadeTotals,
    /// The services and failure domains that are shown, in the order of impact.
    pub boxes: Vec<CascadeBox>,
    /// The ways of failure between boxes, from what fails to what feels it.
    pub edges: Vec<CascadeEdge>,
    /// How many ways in a box shows.
    pub arrows: Arrows,
    /// The number of further calls over which failure propagates between services that are hit, where
    /// every box shows one way in only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub further_calls: usize,
    /// The flows that are hit, worst first.
    pub flows: Vec<CascadeFlow>,
    /// The number of flows that are hit in fewer trials than the threshold, or in none.
    pub flows_omitted: usize,
    /// The number of services that reach the threshold and are omitted for lack of room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: usize,
    /// The number of services that are hit in fewer trials than the threshold.
    pub rarely_hit: usize,
    /// The number of services that are hit in no trial.
    pub untouched: usize,
}

/// Counts over all services that do not break themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CascadeTotals {
    /// Services that fail in at least half of the trials.
    pub fails: usize,
    /// Services that fail in fewer trials, but at least in the threshold's share.
    pub may_fail: usize,
    /// Services that are degraded, and fail in fewer trials than the threshold.
    pub degrades: usize,
    /// Callers that a protection kept working in at least the threshold's share of trials.
    pub holds: usize,
}

/// How many ways in a box shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Arrows {
    /// All of them.
    #[default]
    All,
    /// The strongest one.
    One,
}

/// A service or failure domain in a cascade, or several services as one box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CascadeBox {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How badly it is hit.
    pub state: BoxState,
    /// Its place in the order of first failures by median time, where there is time; 0 for what breaks
    /// itself. Equal times share a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// The least number of calls between it and what breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<usize>,
    /// The probability that it fails because of the change.
    pub failed: Interval,
    /// The probability that it is degraded or worse because of the change.
    pub degraded: Interval,
    /// The probability that it fails without the change.
    #[serde(default)]
    pub failed_anyway: f64,
    /// When it first failed, over the trials in which it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed_s: Option<Spread>,
    /// For how long it failed in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_for_s: Option<Spread>,
    /// The team that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The failure domains that it or its replicas are in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// How much it matters, 1 most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u32>,
    /// The kind of service, or of failure domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The names of the flows that run over it.
    pub flows: Vec<String>,
    /// Why requests wait in vain there, or are refused, in at least the threshold's share of trials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingReport>,
    /// The services that it stands for, where it is more than one. The figures above are then those of
    /// the one that fails most often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folded: Option<FoldedServices>,
}

/// Services that are shown as one box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FoldedServices {
    /// Their names, in the order of impact.
    pub names: Vec<String>,
    /// How many of them failure reaches straight from the box that leads to them; the others are
    /// reached through these.
    pub direct: usize,
    /// How many of them fail at least in the threshold's share of trials.
    pub failing: usize,
    /// How many of the others are degraded in as many.
    pub degraded: usize,
}

/// A way of failure from one box to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CascadeEdge {
    /// The index in `boxes` of what fails.
    pub from: usize,
    /// The index in `boxes` of what feels it.
    pub to: usize,
    /// How the two are connected.
    pub kind: EdgeKind,
    /// The share of trials in which failure propagated; for kinds other than calls, in which the box is
    /// hit.
    pub passed: f64,
    /// The shares of trials in which protections contained it, strongest first.
    pub held: Vec<GuardShare>,
}

impl CascadeEdge {
    /// Returns the strongest protection if it held in at least this share of trials.
    pub fn strongest_guard(&self, at_least: f64) -> Option<&GuardShare> {
        self.held.first().filter(|guard| guard.share >= at_least)
    }
}

/// The share of trials in which a protection held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GuardShare {
    /// The protection: `fallback`, `soft`, `timeout`, `retry`, `cache`, `buffer`, `redundancy` and so on.
    pub guard: Protection,
    /// The share of trials.
    pub share: f64,
}

/// A flow that is hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CascadeFlow {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether the flow is business-critical.
    pub critical: bool,
    /// The probability that it fails because of the change.
    pub failed: Interval,
    /// The probability that it is degraded or worse because of the change.
    pub degraded: Interval,
    /// The probability that it fails without the change.
    #[serde(default)]
    pub failed_anyway: f64,
    /// The mean number of lost orders, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<f64>,
    /// The mean outage because of the change in minutes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage_min: Option<f64>,
    /// Its share that is answered, but late; late is not failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<LateReport>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
