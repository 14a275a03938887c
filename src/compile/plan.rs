//! A topology and a change as dense arrays of numbers, in evaluation order.
//!
//! A plan holds no strings: equal plans give equal tallies. Each array is indexed by ids of its own
//! kind only. The order of services, domains and flows is that of the topology, the order of nodes
//! is the order of evaluation, dependencies before callers.

use super::interventions::Interventions;
use super::key::Key;
use crate::model::change::Routing;
use crate::model::id::{IdRange, Table, declare_ids};
use crate::model::topology::MemberMode;
pub use crate::model::topology::{DomainId, FlowId, ServiceId};

declare_ids! {
    /// The number of a node: its index in [`Plan::nodes`], in the order of evaluation.
    NodeId;
    /// The number of a component: its index in [`Plan::groups`].
    GroupId;
    /// The number of a call: its index in [`Plan::calls`].
    CallId;
    /// The number of a member: its index in [`Plan::members`].
    MemberId;
    /// The number of a call among those that go to one member at a time.
    ActiveSlot;
    /// The number of a call among those of an `any_of` with a buffer.
    BufferSlot;
    /// The number of a dependency as written: its index in [`Plan::dependencies`].
    DependencyId;
    /// The number of a replica: its index in [`Plan::replicas`].
    ReplicaId;
    /// The number of a target: its index in [`Plan::targets`].
    TargetId;
    /// The number of a node that takes messages at its own pace: its index in [`Plan::consumers`].
    ConsumerId;
    /// The number of a cache that comes back cold: its index in [`Plan::refills`].
    RefillId;
}

/// Everything an engine needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// From which peak share on something counts as failed.
    pub failed: f64,
    /// From which peak share on something counts as degraded.
    pub degraded: f64,
    /// In evaluation order.
    pub nodes: Table<NodeId, Node>,
    /// The strongly connected components of the nodes, in evaluation order.
    pub groups: Table<GroupId, Group>,
    /// The calls of all nodes, a node's in a row.
    pub calls: Table<CallId, Call>,
    /// Members of all calls, those of a call in a row.
    pub members: Table<MemberId, Member>,
    /// The dependencies as written: what is drawn and counted once, however many nodes call it.
    pub dependencies: Table<DependencyId, Dependency>,
    /// By the number of the service in the topology.
    pub services: Table<ServiceId, Service>,
    /// By the number of the flow in the topology.
    pub flows: Table<FlowId, Flow>,
    /// By the number of the domain in the topology.
    pub domains: Table<DomainId, Domain>,
    /// Domains such that every one comes after the one it is within.
    pub domain_order: Vec<DomainId>,
    /// All replicas of all services, a service's in a row.
    pub replicas: Table<ReplicaId, Replica>,
    /// Outages that come and go without the change; empty for a single moment, in which things are
    /// down or not.
    pub outages: Vec<OutageProcess>,
    /// The things changed.
    pub targets: Table<TargetId, Target>,
    /// Limits on how many calls of a dependency are in progress.
    pub bulkheads: Vec<Bulkhead>,
    /// Caches that come back cold after they were lost, those of a dependency in a row.
    pub refills: Table<RefillId, Refill>,
    /// Nodes that take messages out of buffers at their own pace.
    pub consumers: Table<ConsumerId, Consumer>,
    /// Whether targets that fail every request have made their own calls before.
    pub failing_targets_call: bool,
    /// Pools of which nobody can tell how much of them is in use in normal times, in their order.
    pub unknown_pools: Vec<UnknownPool>,
    /// Whether the targets break in turn, each in one of 64 trials: for a ranking by the fluid engine.
    pub rotate_targets: bool,
    /// Whether some users always meet the change and the others never.
    pub routing: Routing,
    /// The course of rollout, detection and rollback; `None` for a single moment.
    pub schedule: Option<Schedule>,
    /// Interventions of operators and automations.
    pub interventions: Interventions,
    /// For a single moment: how long the break has lasted, in seconds.
    pub lasting: f64,
    /// Whether some service states what it can serve, so that loads matter.
    pub has_load: bool,
    /// Whether anything may fail without the change.
    pub has_background: bool,
    /// Whether answers may come later than usual by so much that somebody gives up or is late.
    pub has_delays: bool,
}

/// A service as such, an endpoint, or a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The service it belongs to; `None` for a flow.
    pub service: Option<ServiceId>,
    /// Its calls, in [`Plan::calls`].
    pub calls: IdRange<CallId>,
    /// Its component, in [`Plan::groups`].
    pub group: GroupId,
    /// Whether some call has a guard that depends on for how long its dependency has been failing.
    pub has_timed_guard: bool,
    /// Whether some call's guard asks for how long this node has been failing.
    pub tracks_failing_since: bool,
    /// Its normal traffic from calls that count as normal, and whether those are fallbacks' only.
    pub traffic: Traffic,
}

/// Normal traffic of a node or a service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The sum of the weights of the calls that make it up; 0 where nothing calls.
    pub total: f64,
    /// Requests per second in normal times; `None` where they are not known.
    pub rate: Option<f64>,
    /// Whether only fallbacks (and what is called only by them) call it.
    pub only_fallback: bool,
    /// Whether weights are requests per second, because all rates are known.
    pub is_known: bool,
}

/// Nodes that reach each other, or a single one.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// In [`Plan::nodes`].
    pub nodes: IdRange<NodeId>,
    /// Whether it is a cycle.
    pub cyclic: bool,
}

/// One call of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which dependency as written it is.
    pub dependency: DependencyId,
    /// Its members, in [`Plan::members`].
    pub members: IdRange<MemberId>,
    /// How many of them must answer.
    pub needs: u32,
    /// Whether the members stand in for each other.
    pub any_of: bool,
    /// Written as soft.
    pub soft: bool,
    /// Has a timeout, a breaker, or nobody waits: what hangs fails.
    pub gives_up: bool,
    /// Has a timeout or a breaker: a fallback that hangs fails.
    pub has_deadline: bool,
    /// Seconds that the caller waits for one attempt; infinite without a timeout.
    pub timeout: f64,
    /// Whether the caller waits for the answer at all.
    pub is_waited_for: bool,
    /// Whether what it sends are messages.
    pub is_async: bool,
    /// Has a breaker: no retries when half of the calls fail.
    pub breaker: bool,
    /// Notices wrong answers.
    pub validates: bool,
    /// Tries again this often.
    pub retries: u32,
    /// How many times each request that makes the call makes it.
    pub calls: u32,
    /// The share of requests that make the call.
    pub probability: f64,
    /// Whether it stays inside the cycle of its caller.
    pub intra_cycle: bool,
    /// Guards that few calls have, apart from the others so that those stay small.
    pub guards: Option<Box<Guards>>,
}

/// Guards that few calls have.
#[derive(Clone, Debug, PartialEq)]
pub struct Guards {
    /// Retries per call at most; infinite without a budget.
    pub budget: f64,
    /// Seconds that the caller waits for all attempts together; infinite where that is not stated.
    pub waits_in_all: f64,
    /// How many of these calls are in progress at once, at most; infinite without a limit.
    pub max_in_flight: f64,
    /// Whether it is made beside the other calls, instead of after them.
    pub is_parallel: bool,
    /// How it finds the members of an `any_of`; `None` = each call finds one that is up.
    pub mode: Option<MemberMode>,
    /// For how many seconds it goes on calling a member that fails.
    pub failover: f64,
    /// Its number among the calls that go to one member at a time; `None` for all others.
    pub active_slot: Option<ActiveSlot>,
    /// Answers kept.
    pub cache: Option<Cache>,
    /// A queue.
    pub buffer: Option<Buffer>,
    /// Fallback of the call.
    pub fallback: Fallback,
    /// The weight of its fallback traffic at the fallback's node and service.
    pub fallback_weight: f64,
    /// Its number among the calls of an `any_of` with a buffer; `None` for all others.
    pub buffer_slot: Option<BufferSlot>,
}

impl Call {
    /// Retries per call at most; infinite without a budget.
    #[inline]
    pub fn budget(&self) -> f64 {
        self.guards.as_ref().map_or(f64::INFINITY, |guards| guards.budget)
    }

    /// Seconds that the caller waits for all attempts together; infinite where that is not stated.
    #[inline]
    pub fn waits_in_all(&self) -> f64 {
        self.guards.as_ref().map_or(f64::INFINITY, |guards| guards.waits_in_all)
    }

    /// How many of these calls are in progress at once, at most; infinite without a limit.
    #[inline]
    pub fn max_in_flight(&self) -> f64 {
        self.guards.as_ref().map_or(f64::INFINITY, |guards| guards.max_in_flight)
    }

    /// Whether it is made beside the other calls, instead of after them.
    #[inline]
    pub fn is_parallel(&self) -> bool {
        self.guards.as_ref().is_some_and(|guards| guards.is_parallel)
    }

    /// How it finds the members of an `any_of`; `None` = each call finds one that is up.
    #[inline]
    pub fn mode(&self) -> Option<MemberMode> {
        self.guards.as_ref().and_then(|guards| guards.mode)
    }

    /// For how many seconds it goes on calling a member that fails.
    #[inline]
    pub fn failover(&self) -> f64 {
        self.guards.as_ref().map_or(0.0, |guards| guards.failover)
    }

    /// Returns its number among the calls that go to one member at a time; `None` for all others.
    #[inline]
    pub fn active_slot(&self) -> Option<ActiveSlot> {
        self.guards.as_ref().and_then(|guards| guards.active_slot)
    }

    /// Answers kept.
    #[inline]
    pub fn cache(&self) -> Option<&Cache> {
        self.guards.as_ref().and_then(|guards| guards.cache.as_ref())
    }

    /// A queue.
    #[inline]
    pub fn buffer(&self) -> Option<&Buffer> {
        self.guards.as_ref().and_then(|guards| guards.buffer.as_ref())
    }

    /// Returns the fallback of the call.
    #[inline]
    pub fn fallback(&self) -> Fallback {
        self.guards.as_ref().map_or(Fallback::None, |guards| guards.fallback)
    }

    /// Returns its number among the calls of an `any_of` with a buffer; `None` for all others.
    #[inline]
    pub fn buffer_slot(&self) -> Option<BufferSlot> {
        self.guards.as_ref().and_then(|guards| guards.buffer_slot)
    }
}

/// One node that a call points at.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// The weight of this traffic among what arrives at the node and its service.
    pub weight: f64,
    /// Whether it is not normal traffic, but comes only by way of a fallback.
    pub extra: bool,
}

/// Answers kept by the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// For how long in seconds; infinite for a static one.
    pub ttl: f64,
    /// The share of calls answered.
    pub hit_ratio: f64,
    /// The node of the service that holds them; `None` where the caller does.
    pub node: Option<NodeId>,
    /// Its refills, one for each member of the call, in [`Plan::refills`]; none where it comes back full
    /// after it was lost.
    pub refills: IdRange<RefillId>,
}

impl Cache {
    /// Whether it keeps wrong answers from its caller. A copy that never expires does not: a new
    /// wrong value replaces it, where one that is missing leaves it in place.
    #[inline]
    pub fn keeps_out_corrupt(&self) -> bool {
        self.ttl.is_finite()
    }
}

/// A queue between caller and dependency.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// For how long nothing is felt, in seconds.
    pub holds: f64,
    /// Whether it then loses what comes, rather than blocking.
    pub drops: bool,
    /// The node behind it in [`Plan::consumers`] that empties it at its own pace; `None` where that
    /// pace is not known, so that it fills while the dependency is failing and is empty at once afterwards.
    pub consumer: Option<ConsumerId>,
}

/// Fallback of a call that fails fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing.
    None,
    /// Something that cannot fail.
    Static,
    /// A call of this node.
    Node(NodeId),
}

/// A dependency as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// The chance that failure reaches the caller at all.
    pub propagation: f64,
    /// Whether it is there for the load that it carries.
    pub is_load: bool,
    /// Key of the Bernoulli draw for `propagation`.
    pub propagation_key: Key,
    /// The chance that its fallback works.
    pub works: f64,
    /// Key of the Bernoulli draw for `works`.
    pub works_key: Key,
    /// The call at which its containment is observed: the plain node's, if a service's. `None`
    /// for one of `phase: start`, which is not called while serving.
    pub observed: Option<ObservedCall>,
}

/// The call at which the containment of a dependency is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedCall {
    /// The call.
    pub call: CallId,
    /// The node that makes it.
    pub caller: NodeId,
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its plain node.
    pub node: NodeId,
    /// The nodes of its endpoints, in the order of the topology.
    pub endpoints: Vec<NodeId>,
    /// The chance that it is down for its own reasons.
    pub unavailability: f64,
    /// Key of the Bernoulli draw for it.
    pub key: Key,
    /// Whether the change says that it is down the whole time.
    pub during: bool,
    /// It is down when all of these are; empty = never for this reason.
    pub domains: Vec<DomainId>,
    /// Its replicas, in [`Plan::replicas`]; empty = not said.
    pub replicas: IdRange<ReplicaId>,
    /// How many of them it needs.
    pub needs: u32,
    /// Seconds until callers know that some are down: until then their share of the calls fails.
    pub failover: f64,
    /// Normal load as a share of what all replicas serve, or of the threads that there are; 0 = not
    /// known.
    pub utilization: f64,
    /// How much work may wait, in seconds at full capacity; infinite without a limit.
    pub queue: f64,
    /// Whether requests are thrown away whose callers have given up.
    pub drops_expired: bool,
    /// How many times longer a request takes when all threads are busy; 1 where they do not share
    /// processors.
    pub crowding: f64,
    /// How long answers take in normal times; a median of 0 = not known.
    pub latency: Lognormal,
    /// How many requests can be in progress; infinite where that is not stated, or what it means
    /// is not known.
    pub concurrency: f64,
    /// The shortest and the longest of its callers' timeouts; infinite where there is none.
    pub timeouts: [f64; 2],
    /// For how many seconds a request holds one of them in normal times.
    pub normal_hold: f64,
    /// Normal traffic of all its nodes.
    pub traffic: Traffic,
    /// Seconds to restart.
    pub restart: f64,
    /// Seconds to warm up.
    pub warmup: f64,
    /// Whether it must restart when it failed only through its calls.
    pub crashes: bool,
    /// Services that a restart waits for.
    pub start_needs: Vec<StartNeed>,
}

/// Services that a restart waits for: as many of them as are needed.
#[derive(Clone, Debug, PartialEq)]
pub struct StartNeed {
    /// The services and the nodes of them that are meant.
    pub any_of: Vec<(ServiceId, NodeId)>,
    /// How many.
    pub needs: u32,
    /// Whether they are needed only to start: then one that is failed anyway is waited for in vain.
    pub start_only: bool,
}

/// A replica of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// The chance that it is down for its own reasons.
    pub unavailability: f64,
    /// Key of the Bernoulli draw for it.
    pub key: Key,
    /// The domain it sits in, if one is declared.
    pub domain: Option<DomainId>,
}

/// A failure domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// The domain that takes it down, if it lies in one.
    pub within: Option<DomainId>,
    /// The chance that it is down for its own reasons.
    pub unavailability: f64,
    /// Key of the Bernoulli draw for it.
    pub key: Key,
    /// Whether the change says that it is down the whole time.
    pub during: bool,
}

/// The outages of one thing that fails for its own reasons now and then.
#[derive(Clone, Debug, PartialEq)]
pub struct OutageProcess {
    /// Component that fails.
    pub of: OutageOf,
    /// The rate per second at which outages begin while it is up.
    pub rate: f64,
    /// How long each lasts.
    pub length: Lognormal,
    /// Key of the uniform draw for how much is left of the outage at the start.
    pub left_key: Key,
    /// Key of the uniform draws for the times from one outage to the next, before their number.
    pub gap_keys: Key,
    /// Key of the normal draws for how long outages last, before their number.
    pub length_keys: Key,
}

/// Component that fails for its own reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageOf {
    /// A failure domain.
    Domain(DomainId),
    /// A service.
    Service(ServiceId),
    /// A replica, and its service.
    Replica {
        /// In [`Plan::replicas`].
        replica: ReplicaId,
        /// Whose it is.
        service: ServiceId,
    },
}

/// A flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Its node.
    pub node: NodeId,
    /// Orders per second; NaN when not known.
    pub rate: f64,
    /// The share of customers who try again after a failure.
    pub retry_share: f64,
    /// How often at most.
    pub retry_attempts: u32,
    /// Seconds that they think before each of these attempts, on average; 0 where they do not.
    pub retry_after: f64,
    /// Seconds after which a customer gives an order up.
    pub patience: f64,
    /// Seconds within which an order is to be done; infinite where nothing is promised.
    pub promised: f64,
    /// How long an order takes in normal times; a median of 0 = not known.
    pub latency: Lognormal,
    /// The consumers in [`Plan::consumers`] that orders lead to, each with the share of orders that do;
    /// empty where nothing is promised.
    pub messages: Vec<(ConsumerId, f64)>,
}

impl Flow {
    /// Whether customers think before they try again.
    pub fn thinks(&self) -> bool {
        self.retry_after > 0.0 && self.retry_attempts > 0
    }

    /// Returns the share of orders that are lost, and of those the share that goes wrong unnoticed,
    /// while this share of attempts gets no answer and this share a wrong one.
    ///
    /// A customer whose attempt gets no answer tries again with probability r, at most n times; an
    /// order is lost when its customer gives up: `p ((1 - r) sum (r p)^k + (r p)^n)` for k < n.
    pub fn lost_orders(&self, unanswered: f64, corrupt: f64) -> [f64; 2] {
        let again = self.retry_share * unanswered;
        let (mut tries, mut reach) = (0.0, 1.0);
        for _ in 0..self.retry_attempts {
            tries += reach;
            reach *= again;
        }
        let given_up = unanswered * ((1.0 - self.retry_share) * tries + reach);
        // A wrong answer is taken for a right one, so it ends the attempts.
        let wrong = corrupt * (tries + reach);
        [given_up + wrong, wrong]
    }
}

/// Component that a target hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// All nodes of a service.
    Service(ServiceId),
    /// The node of one endpoint.
    Endpoint {
        /// Its service.
        service: ServiceId,
        /// Its node.
        node: NodeId,
    },
    /// A failure domain.
    Domain(DomainId),
}

/// One thing changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Component that it hits.
    pub hit: Hit,
    /// The chance that it breaks.
    pub probability: f64,
    /// Key of the Bernoulli draw for it.
    pub key: Key,
    /// The chances of down, slow and corrupt, each given that the ones before were not drawn; what
    /// is left is surge.
    pub modes: [f64; 3],
    /// Keys of the Bernoulli draws for `modes`.
    pub mode_keys: [Key; 3],
    /// How much more often a surging target calls.
    pub surge_factor: f64,
    /// By how many seconds a slow target answers later; infinite where it hangs.
    pub slow_adds: f64,
    /// How many times as long a slow target takes.
    pub slow_factor: f64,
    /// The least share of requests on changed instances that fail.
    pub severity_min: f64,
    /// The greatest.
    pub severity_max: f64,
    /// Whether certain requests fail, rather than each attempt anew.
    pub of_requests: bool,
    /// Key of the uniform draw for the severity.
    pub severity_key: Key,
    /// From first exposure to first failure.
    pub onset: Lognormal,
    /// Key of the normal draw for `onset`.
    pub onset_key: Key,
    /// It is dormant below this exposure.
    pub min_exposure: f64,
    /// How many replicas its service has, in which exposure is counted; 0 = not known, or exposure is
    /// one of users.
    pub replicas: u32,
    /// The stages of its own rollout; empty where that of the change is its.
    pub stages: Vec<Stage>,
    /// The number of the gate of its first stage, among those of the change and of all targets.
    pub first_gate: u32,
}

/// A limit on how many calls of a dependency are in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Bulkhead {
    /// The dependency as written.
    pub dependency: DependencyId,
    /// How many, over all its calls.
    pub limit: f64,
    /// Its calls.
    pub calls: Vec<LimitedCall>,
}

/// A cache that comes back cold after it was lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Refill {
    /// The service that makes the calls; `None` for a flow.
    pub service: Option<ServiceId>,
    /// The node of the service that holds it; `None` where its caller does.
    pub cache: Option<NodeId>,
    /// Seconds after which it answers half of what it did, if all misses are answered.
    pub half: f64,
    /// The share of calls that it answers.
    pub hit_ratio: f64,
    /// The nodes that make the calls.
    pub callers: Vec<NodeId>,
}

impl Refill {
    /// Returns the share of its usual answers that a cache gives which has been refilled for so many
    /// seconds: in steps, each at its middle.
    pub fn warm_share(&self, refilled: f64) -> f64 {
        if refilled.is_infinite() {
            return 1.0;
        }
        let step = self.step(refilled);
        let missing = libm::exp2(-(step + 0.5) / REFILL_STEPS);
        let others = if self.hit_ratio < 1.0 { 1.0 - self.hit_ratio } else { 1.0 };
        if missing * self.hit_ratio <= REFILLED * others { 1.0 } else { 1.0 - missing }
    }

    /// Returns the number of the step that a cache has come to.
    fn step(&self, refilled: f64) -> f64 {
        // A boundary was computed by a power: allow for its rounding.
        (REFILL_STEPS * libm::log2(1.0 + refilled / self.half) + 1e-6).floor()
    }

    /// Returns for how many seconds it will have been refilled at the next step.
    pub fn next_step(&self, refilled: f64) -> f64 {
        self.half * (libm::exp2((self.step(refilled) + 1.0) / REFILL_STEPS) - 1.0)
    }
}

/// How often the refilling of a cache is looked at until half of what is missing is there.
const REFILL_STEPS: f64 = 8.0;
/// A cache is full again once what it misses beyond the usual is this part of what it usually misses.
const REFILLED: f64 = 0.01;

/// A node that takes messages out of buffers at its own pace.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// The node.
    pub node: NodeId,
    /// Its service, which states its utilization.
    pub service: ServiceId,
    /// How much the largest of its buffers holds, in seconds of normal traffic.
    pub holds: f64,
    /// How much must wait for something to change: buffers are full, or orders are late; in order.
    pub levels: Vec<f64>,
}

/// A pool whose normal use is not known, because a rate or a latency is not stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnknownPool {
    /// The threads of a service, by its index.
    Threads(ServiceId),
    /// The limit on calls of a dependency, by its index as declared.
    Calls(DependencyId),
}

/// One call of a dependency that is limited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitedCall {
    /// The call.
    pub call: CallId,
    /// The node that makes it.
    pub node: NodeId,
    /// How often in normal times, per second.
    pub rate: f64,
}

/// A lognormal delay in seconds; a median of 0 is always 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lognormal {
    /// The median.
    pub median: f64,
    /// The standard deviation of the logarithm.
    pub sigma: f64,
}

impl Lognormal {
    /// The delay at this standard normal number.
    #[inline]
    pub fn at(self, z: f64) -> f64 {
        if self.sigma == 0.0 { self.median } else { self.median * libm::exp(self.sigma * z) }
    }

    /// Returns the mean.
    pub fn mean(self) -> f64 {
        self.median * libm::exp(0.5 * self.sigma * self.sigma)
    }

    /// Returns the chance that it takes longer than this.
    pub fn exceeds(self, time: f64) -> f64 {
        if time <= 0.0 {
            return 1.0;
        }
        if self.sigma == 0.0 || self.median == 0.0 {
            return if self.median >= time { 1.0 } else { 0.0 };
        }
        let z = libm::log(time / self.median) / self.sigma;
        // The upper tail by `erfc`, which keeps its digits where the chance is small.
        0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
    }
}

/// The course of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// One after the other.
    pub stages: Vec<Stage>,
    /// Alerts that start the clocks of detection; the first one does.
    pub alerts: Vec<Alert>,
    /// How many failed requests a gate must see.
    pub failures: u32,
    /// From alert to detection.
    pub detection: Delay,
    /// The same where only wrong answers show.
    pub detection_corrupt: Delay,
    /// From detection to the end of the cause.
    pub rollback: Delay,
    /// The chance that the rollback works.
    pub rollback_works: f64,
    /// The chance that it makes things worse.
    pub rollback_worsens: f64,
    /// Seconds over which the rollback takes exposure back.
    pub rollback_takes: f64,
    /// The faster way back.
    pub kill_switch: Option<Delay>,
    /// The chance that it works.
    pub kill_switch_works: f64,
    /// How long corrupt data outlives the cause.
    pub repair: Option<Lognormal>,
    /// Seconds after which nothing is counted.
    pub horizon: f64,
}

/// Something that starts the clock of detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alert {
    /// Flow or target that is watched.
    pub of: AlertOf,
    /// The failing share above which it is noticed, or above which failed requests count.
    pub threshold: f64,
    /// How many failed requests it takes; 0 = none, the share is enough.
    pub failures: f64,
    /// Requests per second in normal times; 0 where the share is enough.
    pub rate: f64,
}

/// Subject that an alert watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertOf {
    /// Loss of a flow to the change.
    Flow(FlowId),
    /// Failure of a target by itself, where the change has come: the others are what it is
    /// compared with.
    Target(TargetId),
}

/// A step of a rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// The share that has the change.
    pub exposure: f64,
    /// Seconds it stays so.
    pub bake: f64,
    /// The chance that the check at its end sees a failing target.
    pub gate: f64,
    /// Key of the Bernoulli draw for `gate`.
    pub gate_key: Key,
    /// Key of the uniform draw for whether the gate sees enough failed requests.
    pub count_key: Key,
}

/// A delay that is longer when a service that it needs is failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    /// Without that.
    pub delay: Lognormal,
    /// Services that it needs.
    pub needs: Vec<ServiceId>,
    /// How much longer.
    pub factor: f64,
}

impl Target {
    /// Returns the share of instances that has the change where this share is meant to: a whole number
    /// of replicas.
    pub fn whole_exposure(&self, exposure: f64) -> f64 {
        if self.replicas == 0 {
            return exposure;
        }
        let replicas = f64::from(self.replicas);
        // A little less before it is rounded up, so that 0.3 of 10 replicas are 3 and not 4.
        ((exposure * replicas - 1e-9).ceil() / replicas).clamp(0.0, 1.0)
    }
}

impl Plan {
    /// Returns whether some requests fail where others never do, so that they are followed apart.
    pub fn splits_requests(&self) -> bool {
        self.targets.iter().any(|target| target.of_requests && target.severity_min < 1.0)
    }

    /// The calls of a node.
    #[inline]
    pub fn calls_of(&self, node: &Node) -> &[Call] {
        &self.calls[node.calls]
    }

    /// Returns the members of a call.
    #[inline]
    pub fn members_of(&self, call: &Call) -> &[Member] {
        &self.members[call.members]
    }

    /// The nodes of a service: the plain one, then its endpoints.
    #[inline]
    pub fn nodes_of(&self, service: ServiceId) -> impl Iterator<Item = NodeId> + '_ {
        let service = &self.services[service];
        std::iter::once(service.node).chain(service.endpoints.iter().copied())
    }

    /// Returns the service of a node that something calls.
    ///
    /// # Panics
    /// For the node of a flow: nothing calls flows.
    #[inline]
    pub fn service_of(&self, node: NodeId) -> ServiceId {
        self.nodes[node].service.expect("what is called is not a flow")
    }

    /// Everything a call refers to: its members, its fallback, and what holds its cache.
    #[inline]
    pub fn referred<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = NodeId> + 'a {
        let fallback = match call.fallback() {
            Fallback::Node(node) => Some(node),
            Fallback::None | Fallback::Static => None,
        };
        let cache = call.cache().and_then(|cache| cache.node);
        self.members_of(call).iter().map(|member| member.node).chain(fallback).chain(cache)
    }
}
