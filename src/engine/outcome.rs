//! Outcomes that an engine gives for 64 trials; bit `i` of a mask and entry `i` of an array belong
//! to the `i`-th of them.

use crate::compile::plan::{DependencyId, ServiceId};
use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::tally::Protection;

/// How many trials an outcome is about.
pub const TRIALS: usize = 64;

/// One number for each of 64 trials.
pub type Each = [f64; TRIALS];

/// Outcome of 64 trials.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Which of the 64 count.
    pub valid: u64,
    /// By unit: every service (the worst of its nodes), then every endpoint in the order of
    /// services, then every flow.
    pub units: Vec<UnitOutcome>,
    /// When units failed, for those that did and where there is time.
    pub times: Vec<FailedTime>,
    /// By flow.
    pub flows: Vec<FlowOutcome>,
    /// For dependencies that failure entered.
    pub dependencies: Vec<DependencyOutcome>,
    /// For services to which something unusual happened.
    pub anomalies: Vec<Anomaly>,
    /// Why requests waited in vain, each with the trials in which it held at some moment.
    pub reasons: BTreeMap<WaitReason, u64>,
    /// The course of the trials, where there is time.
    pub course: Option<Box<Timeline>>,
}

/// A service, an endpoint or a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UnitOutcome {
    /// In which trials it failed.
    pub failed: u64,
    /// In which it was degraded or worse.
    pub degraded: u64,
    /// The trials in which the same holds without the change.
    pub baseline: Failures<u64>,
    /// The trials in which the same holds because of the change: at some moment it does with the
    /// change and, at that moment, would not without.
    pub caused: Failures<u64>,
    /// The sum of its peak failing shares.
    pub share: f64,
    /// The sum of its peak shares that are answered, but late.
    pub late: f64,
}

/// Both degrees of failure of a unit: a mask of lanes or trials, a count of trials, or a
/// probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures<T> {
    /// It failed.
    pub failed: T,
    /// It was degraded or worse.
    pub degraded: T,
}

impl<T> Failures<T> {
    /// Converts each entry.
    pub fn map<U>(&self, convert: impl Fn(&T) -> U) -> Failures<U> {
        Failures { failed: convert(&self.failed), degraded: convert(&self.degraded) }
    }
}

impl Failures<u64> {
    /// Adds the numbers of trials in these masks.
    pub fn add_trials(&mut self, masks: &Self) {
        self.failed += u64::from(masks.failed.count_ones());
        self.degraded += u64::from(masks.degraded.count_ones());
    }
}

/// When a unit failed in one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailedTime {
    /// The unit.
    pub unit: u32,
    /// From when, in seconds from the start of the rollout.
    pub first: f64,
    /// For how long in all, in seconds.
    pub lasted: f64,
}

/// A flow, trial by trial.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowOutcome {
    /// Its peak failing share.
    pub share: Each,
    /// Orders lost; NaN where its rate is not known, or there is no time.
    pub lost: Each,
    /// Of these, orders that went wrong unnoticed.
    pub wrong: Each,
    /// Outage because of the change, in seconds: the integral over time of its failing share less
    /// what the same trial has without the change, never below 0. NaN where there is no time.
    pub outage: Each,
    /// Orders that are late because of the change; NaN where its rate is not known, or there is no time.
    pub late: Each,
    /// In which trials it still loses something to the change at the horizon.
    pub unfinished: u64,
}

/// Containment at a dependency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DependencyOutcome {
    /// The dependency as written.
    pub dependency: DependencyId,
    /// Trials in which failure entered.
    pub tried: u64,
    /// In which it passed.
    pub passed: u64,
    /// In which it was contained, by guard.
    pub held: [u64; Protection::ALL.len()],
}

/// Anomalies of a service, one value for each kind: a mask of lanes or trials, a count of trials,
/// or a share of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anomalies<T> {
    /// It is still overloaded at the end, though the cause is gone.
    pub metastable: T,
    /// It never comes back by itself.
    pub never_recovers: T,
    /// Its load and its failure did not settle.
    pub unsettled: T,
}

impl<T> Anomalies<T> {
    /// Converts each entry.
    pub fn map<U>(&self, convert: impl Fn(&T) -> U) -> Anomalies<U> {
        Anomalies {
            metastable: convert(&self.metastable),
            never_recovers: convert(&self.never_recovers),
            unsettled: convert(&self.unsettled),
        }
    }
}

/// Anomalies of a service, as masks of trials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// The service.
    pub service: ServiceId,
    /// The trials of each kind.
    pub trials: Anomalies<u64>,
}

/// Why requests wait in vain at a place, or are refused there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitReason {
    /// The kind of reason.
    pub cause: WaitCause,
    /// The service; `None` where the reason is at a call.
    pub service: Option<ServiceId>,
    /// The dependency as declared: the call at which the reason is, or of busy threads the one that they
    /// wait for. `None` where there is none.
    pub dependency: Option<DependencyId>,
}

impl Ord for WaitReason {
    /// Compares the causes, then the services, then the dependencies. A reason that names none comes
    /// after those that do.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |reason: &Self| {
            let Self { cause, service, dependency } = *reason;
            (cause, service.is_none(), service, dependency.is_none(), dependency)
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for WaitReason {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A kind of reason why requests wait in vain, or are refused: what brings about others comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitCause {
    /// All threads of a service are busy.
    Threads,
    /// As many calls of a dependency are in progress as its caller allows.
    CallLimit,
    /// The service that holds the caller's cache fails.
    CacheLost,
    /// The caller's cache was lost and fills again.
    CacheCold,
    /// All entries of the caller's cache have expired.
    CacheExpired,
    /// The queue of a service is full.
    QueueFull,
    /// Requests wait in the queue of a service longer than its most impatient caller does.
    QueueWait,
    /// A service has more load than it serves, and nothing waits there.
    Overload,
    /// Answers come after the timeout of the caller.
    LateAnswers,
}

/// Who noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DetectedBy {
    /// Nobody, until the end.
    Nobody,
    /// The clock that slow and failed orders start.
    Alert,
    /// The clock that wrong answers start.
    WrongAnswers,
    /// The check at the end of a stage.
    Gate,
}

/// The course of 64 trials, in seconds from the start of the rollout; infinite for never.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// When some flow first lost something to the change.
    pub impact: Each,
    /// When it was detected.
    pub detected: Each,
    /// By whom.
    pub detected_by: [DetectedBy; TRIALS],
    /// The exposure at that time; the last one where it was not detected.
    pub exposure: Each,
    /// When the cause ended.
    pub ended: Each,
    /// When the last flow stopped losing; 0 where none ever did.
    pub over: Each,
}

impl Timeline {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self {
            impact: [f64::INFINITY; TRIALS],
            detected: [f64::INFINITY; TRIALS],
            detected_by: [DetectedBy::Nobody; TRIALS],
            exposure: [0.0; TRIALS],
            ended: [f64::INFINITY; TRIALS],
            over: [0.0; TRIALS],
        }
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}
