//! Limits that sources state for calls and for services: how long callers wait, how often they try, and
//! how many requests are in progress at once.

use super::{EvidenceGraph, ImportedDependency, ImportedService};

/// The largest number of replicas that a topology allows.
const REPLICAS_MAX: u32 = 10_000;

/// The largest number of requests in progress that a topology allows.
const IN_PROGRESS_MAX: u32 = 1_000_000_000;

/// A limit of this size or more is a way to say that there is none.
const UNLIMITED: f64 = 1_000_000.0;

/// Limits that a source sets for every call of some dependency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::import) struct CallLimits {
    /// For all attempts together, in seconds.
    pub(in crate::import) timeout: Option<f64>,
    /// For each attempt, in seconds.
    pub(in crate::import) attempt_timeout: Option<f64>,
    /// Attempts after the first.
    pub(in crate::import) retries: Option<u32>,
    /// Retries as a share of calls, at most.
    pub(in crate::import) retry_budget: Option<f64>,
    /// Calls in progress at once, for each replica of the caller.
    pub(in crate::import) max_in_flight: Option<u32>,
    /// The caller stops calling what keeps failing.
    pub(in crate::import) circuit_breaker: bool,
}

impl CallLimits {
    /// Returns these limits, with those of others where these say nothing.
    pub(in crate::import) fn or(self, other: Self) -> Self {
        Self {
            timeout: self.timeout.or(other.timeout),
            attempt_timeout: self.attempt_timeout.or(other.attempt_timeout),
            retries: self.retries.or(other.retries),
            retry_budget: self.retry_budget.or(other.retry_budget),
            max_in_flight: self.max_in_flight.or(other.max_in_flight),
            circuit_breaker: self.circuit_breaker || other.circuit_breaker,
        }
    }
}

impl ImportedDependency {
    /// Takes over limits; where they say nothing, what is known stays.
    pub(in crate::import) fn apply_limits(&mut self, limits: &CallLimits) {
        self.timeout = limits.timeout.or(self.timeout);
        self.attempt_timeout = limits.attempt_timeout.or(self.attempt_timeout);
        self.retries = limits.retries.or(self.retries);
        self.retry_budget = limits.retry_budget.or(self.retry_budget);
        self.max_in_flight_each = limits.max_in_flight.or(self.max_in_flight_each);
        self.circuit_breaker |= limits.circuit_breaker;
    }
}

/// A number of requests that a source states for each replica of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct StatedPool {
    /// How many requests each replica has in progress at once, at least 1.
    pub each: u32,
    /// Where that stands: file and key.
    pub source: String,
}

impl EvidenceGraph {
    /// Keeps how many requests each replica of a service has in progress at once, where a source states
    /// it; the first one counts.
    pub(in crate::import) fn note_pool(&mut self, service: &str, each: u32, source: &str) {
        let source = source.to_owned();
        self.service_or_new(service).pool.get_or_insert(StatedPool { each, source });
    }

    /// Counts the calls in progress of all replicas of each caller, of which a source states those of one.
    pub(in crate::import) fn settle_limits(&mut self) {
        for ((caller, _), dependency) in &mut self.dependencies {
            // Replicas may become known after a limit was read, so all are counted at the end.
            let replicas = self.services.get(caller).and_then(ImportedService::written_replicas);
            dependency.max_in_flight =
                dependency.max_in_flight_each.map(|each| of_all_replicas(each, replicas));
        }
    }
}

impl ImportedService {
    /// Returns how many replicas a topology states of it.
    pub(in crate::import) fn written_replicas(&self) -> Option<u32> {
        self.replicas.map(|count| count.clamp(1, REPLICAS_MAX))
    }

    /// Returns how many requests all replicas together have in progress at once.
    pub(in crate::import) fn concurrency(&self) -> Option<u32> {
        self.pool.as_ref().map(|pool| of_all_replicas(pool.each, self.written_replicas()))
    }
}

/// Returns how many requests all replicas have in progress; where no number of them is known it is one.
fn of_all_replicas(each: u32, replicas: Option<u32>) -> u32 {
    // One replica is the least, so the limit is never stated too large.
    each.saturating_mul(replicas.unwrap_or(1)).min(IN_PROGRESS_MAX)
}

/// Returns a number of connections, threads or requests as a limit: whole and at least 1, and none where it
/// is so large that it limits nothing.
pub(in crate::import) fn pool_size(number: f64) -> Option<u32> {
    // Programs write millions where they mean no limit.
    #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
    (1.0..UNLIMITED).contains(&number).then_some(number as u32)
}

/// Returns a number of attempts after the first; 0 is one, too.
pub(in crate::import) fn attempt_count(number: f64) -> Option<u32> {
    #[expect(clippy::cast_sign_loss, reason = "it is at least 0")]
    (0.0..=10_000.0).contains(&number).then_some(number as u32)
}
