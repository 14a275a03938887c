//! The checked topology: services, what they depend on, and the order flows that run over them.

use super::action::Automation;
use super::change::Delay;
use super::id::declare_ids;
use super::shipping::{Shipping, ShippingDefaults};
use super::units::{Money, Rate, Seconds, Share, Utilization};
use crate::diagnostic::Place;

declare_ids! {
    /// The number of a service: its index in [`Topology::services`].
    ServiceId;
    /// The number of a failure domain: its index in [`Topology::domains`].
    DomainId;
    /// The number of an order flow: its index in [`Topology::flows`].
    FlowId;
}

/// Node that a dependency or a target points at: a service as such, or one of its endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeRef {
    /// The service.
    pub service: ServiceId,
    /// The index of the endpoint in [`Service::endpoints`]; `None` for the service as such.
    pub endpoint: Option<u32>,
}

/// A service dependency graph with the order flows that run over it.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// Its name.
    pub name: String,
    /// From which shares on something counts as failed or degraded.
    pub thresholds: Thresholds,
    /// Sorted by name.
    pub domains: Vec<Domain>,
    /// Sorted by name.
    pub services: Vec<Service>,
    /// Sorted by name.
    pub flows: Vec<Flow>,
    /// How changes are shipped where a service does not declare it.
    pub shipping: ShippingDefaults,
    /// The reading of pools whose normal use cannot be computed.
    pub unknown_pools: UnknownPools,
    /// Whether targets that fail every request have made their own calls before, so that what they
    /// call gets all of its load and more.
    pub failing_targets_call: bool,
}

/// The reading of pools (`concurrency`, `max_in_flight`) where rates or latencies are not stated, so that
/// nobody can tell how much of them is in use in normal times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownPools {
    /// They limit nothing.
    #[default]
    LimitNothing,
    /// In normal times [`super::defaults::POOL_USE`] of each is in use.
    Busy,
}

/// From which peak share of requests on something counts as failed or degraded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Of requests that are slow, down or corrupt; default 50%.
    pub failed: Share,
    /// Of requests that are any of these or degraded; default 1%.
    pub degraded: Share,
}

impl Default for Thresholds {
    fn default() -> Self {
        let share = |value| Share::new(value).expect("a share");
        Self { failed: share(0.5), degraded: share(0.01) }
    }
}

/// A zone, region, rack, cluster: things that fail together.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Its name, unique among services and domains.
    pub name: String,
    /// Kind of the domain, in free text.
    pub kind: Option<String>,
    /// The domain that takes it down with it.
    pub within: Option<DomainId>,
    /// The share of time in which it is not down for its own reasons.
    pub availability: Option<Share>,
    /// How long each outage of its own lasts; `None` = [`super::defaults::MTTR`].
    pub mttr: Option<Delay>,
    /// Where it is defined.
    pub place: Place,
}

/// A service: a thing that is deployed and can fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name, unique among services and domains.
    pub name: String,
    /// A longer name for people.
    pub title: Option<String>,
    /// Kind of the service, in free text; `service` when not stated.
    pub kind: String,
    /// Who owns it.
    pub team: Option<String>,
    /// How much it matters: 1 is most.
    pub tier: Option<u32>,
    /// Globs of the source files that belong to it.
    pub paths: Vec<String>,
    /// Patterns of the resources that belong to it, in plans, manifests and flags.
    pub resources: Vec<String>,
    /// The share of time in which it is not down for its own reasons.
    pub availability: Option<Share>,
    /// How long each outage of its own lasts; `None` = [`super::defaults::MTTR`].
    pub mttr: Option<Delay>,
    /// It is down when all of them are; sorted.
    pub domains: Vec<DomainId>,
    /// Its replicas, when they are said.
    pub replicas: Option<Replicas>,
    /// Normal load as a share of what all replicas can serve, above 0; `None` = no limit known.
    pub utilization: Option<Utilization>,
    /// Where requests wait that it cannot serve at once; `None` = not stated, which means an
    /// unbounded queue.
    pub queue: Option<Queue>,
    /// Whether it throws away requests whose callers have given up, instead of working on them.
    pub drop_expired: bool,
    /// How long it takes to answer in normal times, its own calls included.
    pub latency: Option<Latency>,
    /// How many requests it can have in progress at once, all replicas together.
    pub concurrency: Option<u32>,
    /// How it comes back.
    pub recovery: Recovery,
    /// Automations that react when something fails.
    pub automations: Vec<Automation>,
    /// Dependencies of every request to the service.
    pub dependencies: Vec<Dependency>,
    /// Operations with dependencies of their own; sorted by name.
    pub endpoints: Vec<Endpoint>,
    /// How its changes are shipped; see [`Topology::shipping`]. Boxed, since few services declare it.
    pub shipping: Option<Box<Shipping>>,
    /// Whether no caller may do without it (`never: [soft]`).
    pub never_soft: bool,
    /// Where it is defined.
    pub place: Place,
}

/// Replicas of a service: interchangeable copies, some of which may be down.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicas {
    /// How many there are, at least 1.
    pub count: u32,
    /// How many must be up for the service to be up, 1 to `count`.
    pub needs: u32,
    /// The share of time in which each of them is not down for its own reasons.
    pub availability: Option<Share>,
    /// How long each outage of one of them lasts; `None` = [`super::defaults::MTTR`].
    pub mttr: Option<Delay>,
    /// How long callers go on calling replicas that went down; `None` = not at all.
    pub failover: Option<Seconds>,
    /// Replica `i` sits in domain `i mod len`, in the order written; may be empty.
    pub domains: Vec<DomainId>,
}

/// Where requests wait that a service cannot serve at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Queue {
    /// In a queue without a limit: each is served, the later the longer the queue.
    #[default]
    Unbounded,
    /// Nowhere: what cannot be served at once is refused at once.
    Refuses,
    /// In a queue that holds this much work, as time at full capacity; beyond it, requests are refused.
    Holds(Seconds),
    /// In threads that share the processor: each request takes longer the more there are.
    Threads {
        /// How many requests are worked on at once.
        threads: u32,
        /// How many of them a processor serves at full speed.
        cores: u32,
    },
}

/// How long a service takes to answer in normal times: lognormal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Half of the answers take less.
    pub median: Seconds,
    /// 99 of 100 answers take less; at least the median.
    pub p99: Seconds,
}

/// How a service comes back after it was down.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recovery {
    /// From when its dependencies are back to when it serves again.
    pub restart: Seconds,
    /// Over which its capacity then grows from nothing to all.
    pub warmup: Seconds,
    /// Whether it must restart when it failed only through its calls.
    pub crashes: bool,
}

/// An operation of a service, with dependencies added to the service's.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name, unique within the service.
    pub name: String,
    /// Dependencies of requests to the endpoint, beyond those of the service.
    pub dependencies: Vec<Dependency>,
    /// Where it is defined.
    pub place: Place,
}

/// Order flow: a node whose calls are its steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    pub title: Option<String>,
    /// The calls that one order makes; at least one.
    pub steps: Vec<Dependency>,
    /// How many orders arrive.
    pub rate: Option<Rate>,
    /// Value of one order.
    pub value: Option<Money>,
    /// Whether the flow is business-critical.
    pub critical: bool,
    /// Objective promised to its users; `None` = not declared, which means the default.
    pub objective: Option<Objective>,
    /// How customers whose order failed try again.
    pub retry_by_users: Option<UserRetries>,
    /// After how long a customer gives an order up; `None` = not stated, which means the default.
    pub patience: Option<Seconds>,
    /// Where it is defined.
    pub place: Place,
}

impl Flow {
    /// Returns the objective, as declared or by default.
    pub fn objective(&self) -> Objective {
        self.objective.unwrap_or_default()
    }
}

/// How much of its window a flow may be out before its promise is broken: an error budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// The promised share of good minutes, above 0% and below 100%.
    pub availability: Share,
    /// The time over which it is measured, above 0.
    pub window: Seconds,
    /// The time within which an order is to be done; one that takes longer is late, not failed.
    pub latency: Option<Seconds>,
}

impl Objective {
    /// Returns the outage minutes that the window allows.
    pub fn budget_minutes(&self) -> f64 {
        (1.0 - self.availability.get()) * self.window.get() / 60.0
    }
}

impl Default for Objective {
    /// Returns 99.9% over 30 days, an allowance of 43.2 minutes.
    ///
    /// The figure is the usual example of the SRE literature (Beyer et al., "The Site Reliability
    /// Workbook", 2018, chapter 2), not a measurement.
    fn default() -> Self {
        let availability = Share::new(0.999).expect("a share");
        Self { availability, window: Seconds::hours(30 * 24), latency: None }
    }
}

/// Customers who try again when their order failed: they add load, and their orders still count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserRetries {
    /// The share of them who try again after each failure.
    pub share: Share,
    /// How often each tries again at most, at least 1.
    pub attempts: u32,
    /// The mean time after which they do, exponentially distributed; `None` = at once.
    pub after: Option<Seconds>,
}

/// A call from a service, an endpoint or a flow to a service or endpoint, or to any of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Nodes that are called: one, or the members of an `any_of`, in the order written.
    pub on: Vec<NodeRef>,
    /// How many of `on` must answer; 1 for a single one.
    pub needs: u32,
    /// Whether it was written as `any_of`, even with one member.
    pub any_of: bool,
    /// How its calls find the members of an `any_of`; `None` = not stated: each call finds one that is up.
    pub mode: Option<MemberMode>,
    /// How long callers go on calling a member that fails; `None` = not at all.
    pub failover: Option<Seconds>,
    /// Whether the caller fails without it; `None` = not stated, which means hard.
    pub criticality: Option<Criticality>,
    /// Whether the caller waits for it; `None` = not stated, which means sync.
    pub kind: Option<CallKind>,
    /// How long the caller waits: for each attempt, or in all where `attempt_timeout` is stated.
    pub timeout: Timeout,
    /// How long the caller waits for each attempt.
    pub attempt_timeout: Option<Seconds>,
    /// How many of these calls the caller has in progress at once, all its replicas together; beyond
    /// that a call fails at once.
    pub max_in_flight: Option<u32>,
    /// Whether the caller makes the call beside its others, instead of after them.
    pub parallel: bool,
    /// How often the caller tries again; `None` = not stated, which means 0.
    pub retries: Option<u32>,
    /// At most this many retries per call on average.
    pub retry_budget: Option<Share>,
    /// Whether the caller stops calling what keeps failing; `None` = not stated, which means no.
    pub circuit_breaker: Option<bool>,
    /// Whether the caller notices wrong answers; `None` = not stated, which means no.
    pub validates: Option<bool>,
    /// Answers kept for when it fails.
    pub cache: Option<Cache>,
    /// A queue between the two.
    pub buffer: Option<Buffer>,
    /// Fallback of the caller.
    pub fallback: Option<Fallback>,
    /// Whether `fallback: none` is declared: that there is none is then known.
    pub no_fallback: bool,
    /// How many times each request that makes the call makes it; default 1.
    pub calls: u32,
    /// The share of requests that make the call; default 100%.
    pub call_probability: Share,
    /// The chance that failure reaches the caller at all: our doubt about the edge; default 100%.
    pub propagation: Share,
    /// Needed to serve, or only to start.
    pub phase: Phase,
    /// How we know of it.
    pub evidence: Option<Evidence>,
    /// Whether the caller may never do without it (`never: [soft]`).
    pub never_soft: bool,
    /// Where we know it from.
    pub source: Option<String>,
    /// Where it is declared.
    pub place: Place,
}

impl Dependency {
    /// Whether the caller survives without it.
    pub fn is_soft(&self) -> bool {
        self.criticality == Some(Criticality::Soft)
    }

    /// How long the caller waits for one attempt; `None` where it waits for ever, or nothing is said.
    pub fn waits_per_attempt(&self) -> Option<Seconds> {
        match (self.attempt_timeout, self.timeout) {
            (Some(attempt), Timeout::After(total)) if total < attempt => Some(total),
            (Some(attempt), _) => Some(attempt),
            (None, Timeout::After(timeout)) => Some(timeout),
            (None, Timeout::None | Timeout::Unstated) => None,
        }
    }

    /// How long the caller waits for all attempts together, where that is stated.
    pub fn waits_in_all(&self) -> Option<Seconds> {
        match (self.attempt_timeout, self.timeout) {
            (Some(_), Timeout::After(total)) => Some(total),
            _ => None,
        }
    }

    /// Whether the caller does not wait for it.
    pub fn is_async(&self) -> bool {
        self.kind == Some(CallKind::Async)
    }

    /// Whether only load runs along it: failure never reaches the caller.
    pub fn is_load(&self) -> bool {
        self.kind == Some(CallKind::Load) || self.propagation.is_zero()
    }
}

/// How calls find the members of an `any_of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberMode {
    /// All go to one member, and to the next one once it fails.
    Failover,
    /// All members are asked at once, and as many as are needed must answer.
    Quorum,
    /// Each attempt goes to one of them at random, of those that are not known to fail.
    Spread,
}

/// Whether a caller fails without its dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criticality {
    /// It fails.
    Hard,
    /// It serves with something missing.
    Soft,
}

/// Whether a caller waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// It waits.
    Sync,
    /// It goes on: what is slow is as good as down.
    Async,
    /// It puts load on the other and needs no answer: failure does not travel along.
    Load,
    /// It holds a copy that is pushed to it, such as flags, secrets or routes. That the source is down
    /// or slow is not felt; a wrong value replaces the copy.
    Push,
}

/// How long a caller waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Timeout {
    /// Not stated: unknown, simulated as waiting for ever.
    Unstated,
    /// Stated as `none`: it waits for ever.
    None,
    /// This long.
    After(Seconds),
}

impl Timeout {
    /// Whether the caller gives up at some time.
    pub fn is_set(self) -> bool {
        matches!(self, Self::After(_))
    }
}

/// Answers of a dependency that the caller keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cache {
    /// How long they are good; `None` = for ever (`static`).
    pub ttl: Option<Seconds>,
    /// The share of calls they answer.
    pub hit_ratio: Share,
    /// The service that holds them, when it can fail too.
    pub service: Option<ServiceId>,
    /// After how long a cache that was lost answers half of what it did; `None` = it comes back full.
    pub refill: Option<Seconds>,
}

/// A queue between caller and dependency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buffer {
    /// How long a failing dependency is not felt.
    pub holds: Seconds,
    /// Behaviour when the buffer is full.
    pub when_full: WhenFull,
}

/// Behaviour of a full buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Loses what comes: the call acts as soft.
    Drop,
    /// Stops the caller: the call acts as hard.
    Block,
}

/// Fallback of a caller for a call that fails fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fallback {
    /// The service or endpoint it calls; `None` = something that cannot fail (`static`).
    pub on: Option<NodeRef>,
    /// The chance per trial that it works at all; default 100%.
    pub works: Share,
}

/// The caller that declares a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// A service as such, for all its endpoints, or one endpoint.
    Node(NodeRef),
    /// The flow of this index in [`Topology::flows`].
    Flow(u32),
}

/// When a dependency is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// To serve requests.
    #[default]
    Serve,
    /// To start, not to serve.
    Start,
}

word_enums! {
    /// How a dependency is known.
    Evidence {
        /// Somebody wrote it down.
        Declared = "declared",
        /// Concluded from something else, such as an environment variable.
        Inferred = "inferred",
        /// Seen in traces or metrics.
        Observed = "observed",
        /// Taken for granted by an author.
        Assumed = "assumed",
    }
}

impl Topology {
    /// Whether a flow decides about a verdict: it is critical, or no flow is.
    pub fn is_judged(&self, flow: &Flow) -> bool {
        flow.critical || !self.flows.iter().any(|flow| flow.critical)
    }

    /// Returns the longest window of the objectives of flows; without flows, the default one.
    pub fn longest_window(&self) -> Seconds {
        let windows = self.flows.iter().map(|flow| flow.objective().window);
        let longest = windows.reduce(|a, b| if b > a { b } else { a });
        longest.unwrap_or(Objective::default().window)
    }

    /// The service with this number.
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.0 as usize]
    }

    /// Returns a flow.
    pub fn flow(&self, id: FlowId) -> &Flow {
        &self.flows[id.index()]
    }

    /// The domain with this number.
    pub fn domain(&self, id: DomainId) -> &Domain {
        &self.domains[id.0 as usize]
    }

    /// The number of the service of this name.
    pub fn service_id(&self, name: &str) -> Option<ServiceId> {
        // Names are sorted, so they can be searched by halves.
        let index = self.services.binary_search_by(|service| service.name.as_str().cmp(name));
        index.ok().map(|index| ServiceId(index as u32))
    }

    /// The number of the failure domain of this name.
    pub fn domain_id(&self, name: &str) -> Option<DomainId> {
        let index = self.domains.binary_search_by(|domain| domain.name.as_str().cmp(name));
        index.ok().map(|index| DomainId(index as u32))
    }

    /// Finds the node that `service` or `service/endpoint` refers to.
    pub fn node(&self, name: &str) -> Option<NodeRef> {
        let (service, endpoint) = match name.split_once('/') {
            Some((service, endpoint)) => (service, Some(endpoint)),
            None => (name, None),
        };
        let service = self.service_id(service)?;
        let Some(endpoint) = endpoint else { return Some(NodeRef { service, endpoint: None }) };
        let endpoints = &self.service(service).endpoints;
        let index = endpoints.binary_search_by(|known| known.name.as_str().cmp(endpoint)).ok()?;
        Some(NodeRef { service, endpoint: Some(index as u32) })
    }

    /// Returns whether a dependency must stay hard: it is declared hard, or it or what it calls says
    /// `never: [soft]`. Advice must not make such a dependency soft.
    pub fn must_stay_hard(&self, dependency: &Dependency) -> bool {
        dependency.never_soft
            || dependency.criticality == Some(Criticality::Hard)
            || dependency.on.iter().any(|node| self.service(node.service).never_soft)
    }

    /// The name of a node: `service` or `service/endpoint`.
    pub fn node_name(&self, node: NodeRef) -> String {
        let service = self.service(node.service);
        match node.endpoint {
            None => service.name.clone(),
            Some(index) => format!("{}/{}", service.name, service.endpoints[index as usize].name),
        }
    }

    /// Returns every declared dependency with its caller: service by service, each with its own first
    /// and then its endpoints', then flow by flow. The order is that of all counts per dependency.
    pub fn declared_dependencies(&self) -> impl Iterator<Item = (Caller, &Dependency)> + '_ {
        let of_services = self.services.iter().enumerate().flat_map(|(index, service)| {
            let id = ServiceId(index as u32);
            let own = NodeRef { service: id, endpoint: None };
            let of_endpoints =
                service.endpoints.iter().enumerate().flat_map(move |(endpoint, written)| {
                    let node = NodeRef { service: id, endpoint: Some(endpoint as u32) };
                    written.dependencies.iter().map(move |item| (Caller::Node(node), item))
                });
            service
                .dependencies
                .iter()
                .map(move |item| (Caller::Node(own), item))
                .chain(of_endpoints)
        });
        let of_flows = self.flows.iter().enumerate().flat_map(|(index, flow)| {
            flow.steps.iter().map(move |item| (Caller::Flow(index as u32), item))
        });
        of_services.chain(of_flows)
    }

    /// The name of a caller: `service`, `service/endpoint`, or the flow's.
    pub fn caller_name(&self, caller: Caller) -> String {
        match caller {
            Caller::Node(node) => self.node_name(node),
            Caller::Flow(flow) => self.flows[flow as usize].name.clone(),
        }
    }

    /// The name of what a dependency points at; members of an `any_of` are joined by `|`.
    pub fn dependency_name(&self, dependency: &Dependency) -> String {
        let names: Vec<String> = dependency.on.iter().map(|node| self.node_name(*node)).collect();
        names.join("|")
    }
}
