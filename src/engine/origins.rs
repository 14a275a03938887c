//! Things that break one at a time, and what each takes with it.

use crate::compile::Plan;
use crate::compile::plan::{Fallback, NONE};

/// Something that breaks for certain, wholly and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// All nodes of a service.
    Service(u32),
    /// The node of one endpoint.
    Endpoint {
        /// Its service.
        service: u32,
        /// Its node.
        node: u32,
    },
    /// A failure domain; it can only be down.
    Domain(u32),
    /// A dependency as written: its calls find what they call broken, whatever that is doing.
    Dependency(u32),
}

impl Origin {
    /// The service whose own failure is not counted.
    pub fn own(self) -> Option<u32> {
        match self {
            Self::Service(service) | Self::Endpoint { service, .. } => Some(service),
            Self::Domain(_) | Self::Dependency(_) => None,
        }
    }
}

/// How an origin breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Fails fast.
    #[default]
    Down,
    /// Hangs.
    Slow,
    /// Gives wrong answers.
    Corrupt,
}

impl Mode {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow => "slow",
            Self::Corrupt => "corrupt",
        }
    }
}

/// A number that differs from trial to trial.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// The sum over trials.
    pub sum: f64,
    /// The sum of squares.
    pub squares: f64,
    /// The greatest.
    pub worst: f64,
}

impl Moments {
    /// Adds what so many trials have.
    pub fn add(&mut self, value: f64, trials: f64) {
        self.sum += value * trials;
        self.squares += value * value * trials;
        self.worst = self.worst.max(value);
    }

    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.squares += other.squares;
        self.worst = self.worst.max(other.worst);
    }
}

/// What an origin takes with it, beyond what fails in the same trials anyway.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Toll {
    /// How many trials.
    pub trials: u64,
    /// Other services that fail.
    pub services: Moments,
    /// Flows that fail.
    pub flows: Moments,
    /// Orders per second of requests that fail, over flows whose rate is known.
    pub orders: Moments,
    /// By flow: in how many trials it fails.
    pub failed: Vec<u64>,
    /// By flow: in how many it is degraded or worse.
    pub degraded: Vec<u64>,
    /// By flow: in how many it fails without the origin.
    pub anyway: Vec<u64>,
}

impl Toll {
    /// Nothing counted yet.
    pub fn new(flows: usize) -> Self {
        let none = vec![0; flows];
        Self { failed: none.clone(), degraded: none.clone(), anyway: none, ..Self::default() }
    }

    /// Takes its one trial for so many that are all the same.
    pub fn repeat(&mut self, trials: u64) {
        self.trials *= trials;
        for moments in [&mut self.services, &mut self.flows, &mut self.orders] {
            moments.sum *= trials as f64;
            moments.squares *= trials as f64;
        }
        for counts in [&mut self.failed, &mut self.degraded, &mut self.anyway] {
            counts.iter_mut().for_each(|count| *count *= trials);
        }
    }

    /// Adds later trials.
    pub fn merge(&mut self, other: &Self) {
        self.trials += other.trials;
        self.services.merge(&other.services);
        self.flows.merge(&other.flows);
        self.orders.merge(&other.orders);
        let pairs = [
            (&mut self.failed, &other.failed),
            (&mut self.degraded, &other.degraded),
            (&mut self.anyway, &other.anyway),
        ];
        for (all, more) in pairs {
            for (all, more) in all.iter_mut().zip(more) {
                *all += more;
            }
        }
    }
}

/// Whether chance decides anything: if not, all trials of a single moment are the same.
pub fn is_random(plan: &Plan) -> bool {
    let is_open = |p: f64| p > 0.0 && p < 1.0;
    let is_fallible = |unavailability: f64| unavailability > 0.0;
    let falls_back = plan.calls.iter().filter(|call| call.fallback() != Fallback::None);
    plan.dependencies.iter().any(|it| it.call != NONE && is_open(it.propagation))
        || falls_back
            .into_iter()
            .any(|call| is_open(plan.dependencies[call.dependency as usize].works))
        || plan.services.iter().any(|it| is_fallible(it.unavailability))
        || plan.domains.iter().any(|it| is_fallible(it.unavailability))
        || plan.replicas.iter().any(|it| is_fallible(it.unavailability))
}
