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

impl WaitingReport {
    /// Returns the reason in a sentence without its end: what stands still, and for what it waits.
    pub fn sentence(&self, name: &dyn Fn(&str) -> String) -> String {
        let Self { size, limit_s, .. } = self;
        let service = name(&self.service);
        let dependency = self.dependency.as_deref().map_or_else(String::new, name);
        let all = size.map_or_else(|| "all".to_owned(), |size| format!("all {size}"));
        let limit = |what: &str| {
            limit_s.map_or_else(String::new, |limit| format!(" ({what}{})", seconds_text(limit)))
        };
        match self.reason {
            WaitingReason::QueueFull => {
                format!("the queue of {service} is full{}, so it refuses requests", limit(""))
            }
            WaitingReason::QueueWait => {
                format!("requests wait in the queue of {service} for longer than its callers do")
            }
            WaitingReason::Overload => {
                format!("{service} gets more load than it can serve, so it refuses requests")
            }
            WaitingReason::Threads if self.dependency.is_some() => {
                format!("{all} threads of {service} wait for {dependency}")
            }
            WaitingReason::Threads => format!("{all} threads of {service} are busy"),
            WaitingReason::CallLimit => {
                format!(
                    "{service} has {all} of its calls to {dependency} in progress, so it makes no more"
                )
            }
            WaitingReason::LateAnswers => {
                format!("answers of {dependency} come after the timeout of {service}{}", limit(""))
            }
            WaitingReason::CacheExpired => {
                format!(
                    "the answers of {dependency} that {service} keeps have expired{}",
                    limit("after ")
                )
            }
            WaitingReason::CacheLost => {
                format!("{service} has lost its cache of {dependency}, so every request is a call")
            }
        }
    }
}

/// Returns a limit as files state it: `2 s`, `500 ms`, `10 min`.
fn seconds_text(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => format!("{} ms", (seconds * 1e6).round() / 1e3),
        seconds if seconds < 120.0 => format!("{} s", (seconds * 1e3).round() / 1e3),
        seconds if seconds < 7200.0 => format!("{} min", (seconds / 0.6).round() / 100.0),
        seconds => format!("{} h", (seconds / 36.0).round() / 100.0),
    }
}
