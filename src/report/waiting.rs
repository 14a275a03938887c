//! Why requests wait in vain, or are refused: full queues, busy threads, late answers, lost caches.

use serde::{Deserialize, Serialize};

use super::WaitingReason;

/// A reason why requests wait in vain at a place, or are refused there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WaitingReport {
    /// The kind of reason.
    pub reason: WaitingReason,
    /// The service; of a reason at a call, the caller (`service/endpoint` for an endpoint).
    pub service: String,
    /// The dependency of a call, or the one that threads wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// The size of a pool: threads, or calls in progress at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
    /// The limit in seconds: work that a queue holds, the timeout of a caller, the time to live of a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_s: Option<f64>,
    /// The share of trials in which it holds at some moment.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub p: f64,
    /// The same in a sentence, without the share.
    pub text: String,
}
