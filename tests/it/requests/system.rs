//! The systems that are simulated: services with servers, queues and threads, and the calls between them.

use super::draws::Time;

/// A system with one flow of requests into its first service.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// The services; requests of users come to those that a flow names.
    pub services: Vec<Service>,
    pub flows: Vec<Flow>,
    /// What happens, and when.
    pub events: Vec<(f64, Happening)>,
}

/// Requests of users to one service.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub service: usize,
    /// Requests per second; they come at random (Poisson).
    pub rate: f64,
    /// How long a user waits, in seconds.
    pub patience: f64,
    /// How often a user tries again at once after a failure.
    pub user_retries: usize,
}

impl Flow {
    /// A flow of users who wait as long as necessary and do not try again.
    pub(crate) fn new(service: usize, rate: f64) -> Self {
        Self { service, rate, patience: f64::INFINITY, user_retries: 0 }
    }
}

/// A service: its work, who does the work, and what it calls.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The work of a request itself, without its calls.
    pub work: Time,
    /// How many requests are worked on at once; `None` for as many as come.
    pub servers: Option<usize>,
    /// How many requests may wait for a server; `None` for as many as come.
    pub waiting_places: Option<usize>,
    /// How many requests may be in progress at once, their calls included; the rest are refused.
    pub threads: Option<usize>,
    /// Whether a request whose caller gave up is dropped when its turn comes.
    pub drops_expired: bool,
    pub calls: Vec<Call>,
}

impl Service {
    /// A service that does this work for as many requests as come.
    pub(crate) fn new(work: Time) -> Self {
        Self {
            work,
            servers: None,
            waiting_places: None,
            threads: None,
            drops_expired: false,
            calls: Vec::new(),
        }
    }

    /// A service with so many servers, which are busy for this share of the time at this rate.
    pub(crate) fn loaded(servers: usize, utilization: f64, rate: f64) -> Self {
        let mean = utilization * servers as f64 / rate;
        Self { servers: Some(servers), ..Self::new(Time::Exponential(mean)) }
    }

    pub(crate) fn calling(mut self, call: Call) -> Self {
        self.calls.push(call);
        self
    }
}

/// A call of one service to another, made after the caller's own work.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub service: usize,
    /// How long an attempt is waited for, in seconds.
    pub timeout: f64,
    /// Attempts after the first.
    pub retries: usize,
    /// Whether the caller does without the answer.
    pub is_soft: bool,
    pub cache: Option<Cache>,
}

impl Call {
    pub(crate) fn new(service: usize, timeout: f64) -> Self {
        Self { service, timeout, retries: 0, is_soft: false, cache: None }
    }

    pub(crate) fn retries(self, retries: usize) -> Self {
        Self { retries, ..self }
    }

    pub(crate) fn soft(self) -> Self {
        Self { is_soft: true, ..self }
    }
}

/// A cache in front of a call: each key is an entry of its own.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    /// The number of different keys.
    pub keys: usize,
    /// How much more often a key is asked for than the next: the exponent of Zipf's law, 0 for evenly.
    pub skew: f64,
    /// How long an entry holds after it was fetched, in seconds.
    pub ttl: f64,
    /// How many entries there is room for; the one used longest ago makes room.
    pub room: Option<usize>,
}

/// Something that happens to a service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// The service works at this share of its full speed from now on.
    Speed { service: usize, share: f64 },
    /// So many attempts fail from now on, after the work and the calls were done.
    Fails { service: usize, share: f64, of: Of },
    /// So many attempts are never answered from now on.
    Hangs { service: usize, share: f64, of: Of },
}

/// What a share of failures is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Each attempt by itself.
    Attempts,
    /// The request of the user: all its attempts meet the same.
    Requests,
}
