//! Origins of failure that break one at a time, and the impact of each.

use crate::compile::Plan;
use crate::compile::plan::{DependencyId, DomainId, Fallback, NodeId, ServiceId};

/// Component that breaks with certainty, completely and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// All nodes of a service.
    Service(ServiceId),
    /// The node of one endpoint.
    Endpoint {
        /// Its service.
        service: ServiceId,
        /// Its node.
        node: NodeId,
    },
    /// A failure domain. It can only be down.
    Domain(DomainId),
    /// A declared dependency: its calls see a broken member, whatever the state of that member.
    Dependency(DependencyId),
}

impl Origin {
    /// Returns the service whose own failure is not part of the impact.
    pub fn own_service(self) -> Option<ServiceId> {
        match self {
            Self::Service(service) | Self::Endpoint { service, .. } => Some(service),
            Self::Domain(_) | Self::Dependency(_) => None,
        }
    }
}

/// Failure mode of an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureMode {
    /// Fails fast.
    #[default]
    Down,
    /// Hangs.
    Slow,
    /// Gives wrong answers.
    Corrupt,
}

impl FailureMode {
    /// Returns the name of the mode in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow => "slow",
            Self::Corrupt => "corrupt",
        }
    }
}

/// Moments of a number that differs from trial to trial.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Sum over all trials.
    pub sum: f64,
    /// Sum of squares.
    pub squares: f64,
    /// Greatest value.
    pub worst: f64,
}

impl Moments {
    /// Adds a value that this many trials have.
    pub fn add_value(&mut self, value: f64, trials: f64) {
        self.sum += value * trials;
        self.squares += value * value * trials;
        self.worst = self.worst.max(value);
    }

    fn merge_moments(&mut self, other: &Self) {
        self.sum += other.sum;
        self.squares += other.squares;
        self.worst = self.worst.max(other.worst);
    }
}

/// Impact of an origin beyond the failures that occur in the same trials anyway.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impact {
    /// Number of trials.
    pub trials: u64,
    /// Number of other services that fail.
    pub services: Moments,
    /// Number of flows that fail.
    pub flows: Moments,
    /// Orders per second of requests that fail, over flows whose rate is known.
    pub orders: Moments,
    /// Trials in which the flow fails, by flow.
    pub failed: Vec<u64>,
    /// Trials in which the flow is degraded or worse, by flow.
    pub degraded: Vec<u64>,
    /// Trials in which the flow fails without the origin, by flow.
    pub baseline: Vec<u64>,
}

impl Impact {
    /// Creates the impact of no trials.
    pub fn new(flows: usize) -> Self {
        let none = vec![0; flows];
        Self { failed: none.clone(), degraded: none.clone(), baseline: none, ..Self::default() }
    }

    /// Scales the result of one deterministic trial to `trials` identical ones.
    pub fn repeat_for(&mut self, trials: u64) {
        self.trials *= trials;
        for moments in [&mut self.services, &mut self.flows, &mut self.orders] {
            moments.sum *= trials as f64;
            moments.squares *= trials as f64;
        }
        for counts in [&mut self.failed, &mut self.degraded, &mut self.baseline] {
            counts.iter_mut().for_each(|count| *count *= trials);
        }
    }

    /// Adds the impact in other trials.
    pub fn merge_impact(&mut self, other: &Self) {
        self.trials += other.trials;
        self.services.merge_moments(&other.services);
        self.flows.merge_moments(&other.flows);
        self.orders.merge_moments(&other.orders);
        let pairs = [
            (&mut self.failed, &other.failed),
            (&mut self.degraded, &other.degraded),
            (&mut self.baseline, &other.baseline),
        ];
        for (all, more) in pairs {
            for (all, more) in all.iter_mut().zip(more) {
                *all += more;
            }
        }
    }
}

/// Returns whether any event is random. If not, all trials of a snapshot are equal.
pub fn is_random(plan: &Plan) -> bool {
    let is_open = |p: f64| p > 0.0 && p < 1.0;
    let is_fallible = |unavailability: f64| unavailability > 0.0;
    let falls_back = plan.calls.iter().filter(|call| call.fallback() != Fallback::None);
    plan.dependencies
        .iter()
        .any(|dependency| dependency.observed.is_some() && is_open(dependency.propagation))
        || falls_back.into_iter().any(|call| is_open(plan.dependencies[call.dependency].works))
        || plan.services.iter().any(|service| is_fallible(service.unavailability))
        || plan.domains.iter().any(|domain| is_fallible(domain.unavailability))
        || plan.replicas.iter().any(|replica| is_fallible(replica.unavailability))
}
