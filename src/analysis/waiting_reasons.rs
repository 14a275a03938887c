//! Reasons why requests wait in vain, with names in place of numbers.

use crate::compile::plan::DependencyId;
use crate::engine::outcome::{WaitCause, WaitReason};
use crate::model::Topology;
use crate::model::id::Table;
use crate::model::topology::{Caller, Dependency, Queue, Service};
use crate::model::units::Seconds;
use crate::prose;
use crate::report::{WaitingReason, WaitingReport};

/// Names of what reasons refer to by number.
pub(super) struct ReasonNames<'a> {
    topology: &'a Topology,
    declared: Table<DependencyId, (Caller, &'a Dependency)>,
}

impl<'a> ReasonNames<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        Self { topology, declared: topology.declared_dependencies().collect() }
    }

    /// Returns reports of these reasons, each with the share of trials in which it holds.
    pub(super) fn waiting_reports(&self, reasons: &[(WaitReason, f64)]) -> Vec<WaitingReport> {
        reasons.iter().map(|(reason, share)| self.waiting_report(*reason, *share)).collect()
    }

    /// Returns the report of a reason that holds in this share of trials.
    pub(super) fn waiting_report(&self, reason: WaitReason, share: f64) -> WaitingReport {
        let WaitReason { cause, service, dependency } = reason;
        let service = service.map(|service| self.topology.service(service));
        let call = dependency.map(|dependency| self.declared[dependency]);
        let caller =
            || call.map_or_else(String::new, |(caller, _)| self.topology.caller_name(caller));
        let call = call.map(|(_, call)| call);
        let mut report = WaitingReport {
            reason: WaitingReason::from(cause),
            service: service.map_or_else(caller, |service| service.name.clone()),
            dependency: call.map(|call| self.topology.dependency_name(call)),
            size: size_of(cause, service, call).map(f64::from),
            limit_s: limit_of(cause, service, call).map(Seconds::get),
            p: share,
            text: String::new(),
        };
        report.text = prose::waiting::sentence(&report, str::to_owned);
        report
    }
}

/// Returns the size of the pool that a reason is about.
fn size_of(cause: WaitCause, service: Option<&Service>, call: Option<&Dependency>) -> Option<u32> {
    match cause {
        WaitCause::Threads => {
            let service = service?;
            let of_queue = match service.queue {
                Some(Queue::Threads { threads, .. }) => Some(threads),
                _ => None,
            };
            service.concurrency.or(of_queue)
        }
        WaitCause::CallLimit => call?.max_in_flight,
        _ => None,
    }
}

/// Returns the limit that a reason is about.
fn limit_of(
    cause: WaitCause,
    service: Option<&Service>,
    call: Option<&Dependency>,
) -> Option<Seconds> {
    match cause {
        WaitCause::QueueFull => match service?.queue {
            Some(Queue::Holds(work)) => Some(work),
            _ => None,
        },
        WaitCause::LateAnswers => call?.waits_per_attempt(),
        WaitCause::CacheExpired => call?.cache.as_ref()?.ttl,
        _ => None,
    }
}

impl From<WaitCause> for WaitingReason {
    fn from(cause: WaitCause) -> Self {
        match cause {
            WaitCause::QueueFull => Self::QueueFull,
            WaitCause::QueueWait => Self::QueueWait,
            WaitCause::Overload => Self::Overload,
            WaitCause::Threads => Self::Threads,
            WaitCause::CallLimit => Self::CallLimit,
            WaitCause::LateAnswers => Self::LateAnswers,
            WaitCause::CacheExpired => Self::CacheExpired,
            WaitCause::CacheLost => Self::CacheLost,
            WaitCause::CacheCold => Self::CacheCold,
        }
    }
}
