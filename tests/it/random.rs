//! Random scenarios: a topology and a change from a number and a set of switches.
//!
//! They are built straight as model types, valid as `load` would leave them: sorted by name, no
//! service depending on itself, shares within their bounds, a hit ratio of 100% only for ever.

use std::collections::BTreeSet;

use blastwave::diagnostic::Place;
use blastwave::model::change::{
    Change, Component, Delay, Detection, KillSwitch, Modes, Rollback, Rollout, Routing, SeverityOf,
    Stage, Target, TargetRef,
};
use blastwave::model::shipping::ShippingDefaults;
use blastwave::model::topology::{
    Buffer, Cache, CallKind, Criticality, Dependency, Domain, DomainId, Endpoint, Fallback, Flow,
    NodeRef, Phase, Queue, Recovery, Replicas, Service, ServiceId, Thresholds, Timeout,
    UnknownPools, UserRetries, WhenFull,
};
use blastwave::model::units::Utilization;
use blastwave::model::{Rate, Seconds, Share, Topology};

/// What may occur in a random scenario.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a switch each, all on their own")]
pub(crate) struct Features {
    /// The least and the most services.
    pub(crate) services: (usize, usize),
    /// Only shares of 0 and 1 come out: nothing partial is used where it would show.
    pub(crate) whole_shares: bool,
    /// Targets that hang.
    pub(crate) slow: bool,
    /// Targets that lie.
    pub(crate) corrupt: bool,
    /// Targets that call too often.
    pub(crate) surge: bool,
    /// More than one target.
    pub(crate) several_targets: bool,
    /// Targets that break only sometimes.
    pub(crate) uncertain_targets: bool,
    /// Severities other than 100%.
    pub(crate) severity: bool,
    /// Soft calls.
    pub(crate) soft: bool,
    /// Asynchronous calls.
    pub(crate) asynchronous: bool,
    /// Retries, with and without a budget.
    pub(crate) retries: bool,
    /// Circuit breakers.
    pub(crate) breakers: bool,
    /// Timeouts.
    pub(crate) timeouts: bool,
    /// Callers that notice wrong answers.
    pub(crate) validation: bool,
    /// Caches, with and without a service.
    pub(crate) caches: bool,
    /// Buffers.
    pub(crate) buffers: bool,
    /// Static fallbacks.
    pub(crate) static_fallbacks: bool,
    /// Fallbacks to another service.
    pub(crate) service_fallbacks: bool,
    /// Calls to any of several.
    pub(crate) any_of: bool,
    /// Endpoints.
    pub(crate) endpoints: bool,
    /// Failure domains.
    pub(crate) domains: bool,
    /// Replicas.
    pub(crate) replicas: bool,
    /// Services, replicas and domains that are down for their own reasons.
    pub(crate) availability: bool,
    /// Services that need each other.
    pub(crate) cycles: bool,
    /// Calls that not every request makes.
    pub(crate) call_probability: bool,
    /// Calls over which failure may not travel.
    pub(crate) propagation: bool,
    /// Calls needed only to start.
    pub(crate) start_phase: bool,
    /// Services that are down the whole time.
    pub(crate) during: bool,
    /// Limits on load.
    pub(crate) load: bool,
    /// Flows whose rate is not known.
    pub(crate) unknown_rates: bool,
    /// Customers who try again.
    pub(crate) retry_by_users: bool,
    /// Detection and rollback, and with them time.
    pub(crate) time: bool,
    /// Rollouts in stages.
    pub(crate) rollout: bool,
    /// Sticky routing.
    pub(crate) sticky: bool,
    /// Targets that stay dormant at small exposures.
    pub(crate) min_exposure: bool,
    /// Targets that fail only after a while.
    pub(crate) onset: bool,
    /// Kill switches.
    pub(crate) kill_switch: bool,
    /// Rollbacks that fail or make things worse.
    pub(crate) bad_rollback: bool,
    /// Corrupt data that outlives the rollback.
    pub(crate) repair: bool,
    /// Restarts, warm-ups and crashes.
    pub(crate) recovery: bool,
}

impl Features {
    /// Every share in every trial is 0 or 1, in a single moment.
    pub(crate) fn boolean() -> Self {
        Self {
            whole_shares: true,
            surge: false,
            severity: false,
            call_probability: false,
            ..Self::moment()
        }
    }

    /// Everything that may occur in a single moment without load.
    pub(crate) fn moment() -> Self {
        Self {
            load: false,
            surge: false,
            unknown_rates: false,
            retry_by_users: false,
            ..Self::load()
        }
    }

    /// Everything that may occur in a single moment.
    pub(crate) fn load() -> Self {
        Self {
            time: false,
            rollout: false,
            sticky: false,
            min_exposure: false,
            onset: false,
            kill_switch: false,
            bad_rollback: false,
            repair: false,
            recovery: false,
            ..Self::time()
        }
    }

    /// Everything.
    pub(crate) fn time() -> Self {
        Self {
            services: (1, 12),
            whole_shares: false,
            slow: true,
            corrupt: true,
            surge: true,
            several_targets: true,
            uncertain_targets: true,
            severity: true,
            soft: true,
            asynchronous: true,
            retries: true,
            breakers: true,
            timeouts: true,
            validation: true,
            caches: true,
            buffers: true,
            static_fallbacks: true,
            service_fallbacks: true,
            any_of: true,
            endpoints: true,
            domains: true,
            replicas: true,
            availability: true,
            cycles: true,
            call_probability: true,
            propagation: true,
            start_phase: true,
            during: true,
            load: true,
            unknown_rates: true,
            retry_by_users: true,
            time: true,
            rollout: true,
            sticky: true,
            min_exposure: true,
            onset: true,
            kill_switch: true,
            bad_rollback: true,
            repair: true,
            recovery: true,
        }
    }

    /// Some of the switches that are on: scenarios with little in them find what others hide.
    fn some(mut self, dice: &mut Dice) -> Self {
        let Self {
            services: _,
            whole_shares: _,
            time: _,
            slow,
            corrupt,
            surge,
            several_targets,
            uncertain_targets,
            severity,
            soft,
            asynchronous,
            retries,
            breakers,
            timeouts,
            validation,
            caches,
            buffers,
            static_fallbacks,
            service_fallbacks,
            any_of,
            endpoints,
            domains,
            replicas,
            availability,
            cycles,
            call_probability,
            propagation,
            start_phase,
            during,
            load,
            unknown_rates,
            retry_by_users,
            rollout,
            sticky,
            min_exposure,
            onset,
            kill_switch,
            bad_rollback,
            repair,
            recovery,
        } = &mut self;
        let switches = [
            slow,
            corrupt,
            surge,
            several_targets,
            uncertain_targets,
            severity,
            soft,
            asynchronous,
            retries,
            breakers,
            timeouts,
            validation,
            caches,
            buffers,
            static_fallbacks,
            service_fallbacks,
            any_of,
            endpoints,
            domains,
            replicas,
            availability,
            cycles,
            call_probability,
            propagation,
            start_phase,
            during,
            load,
            unknown_rates,
            retry_by_users,
            rollout,
            sticky,
            min_exposure,
            onset,
            kill_switch,
            bad_rollback,
            repair,
            recovery,
        ];
        for switch in switches {
            *switch &= dice.chance(0.7);
        }
        self
    }
}

/// A topology and a change to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    /// What there is.
    pub(crate) topology: Topology,
    /// What is done to it.
    pub(crate) change: Change,
}

/// The random scenario with this number. Each uses some of the features that are switched on.
pub(crate) fn scenario(seed: u64, features: &Features) -> Scenario {
    let mut dice = Dice::new(seed);
    let features = features.some(&mut dice);
    let (least, most) = features.services;
    let count = least + dice.below(most - least + 1);
    let mut order: Vec<usize> = (0..count).collect();
    dice.shuffle(&mut order);
    let most_endpoints = if features.endpoints { 3 } else { 1 };
    let endpoints = (0..count).map(|_| dice.below(most_endpoints)).collect();
    let domains = if features.domains { dice.below(5) } else { 0 };
    Builder { dice, features, order, endpoints, domains }.scenario()
}

/// A small generator of its own, splitmix64 (Steele, Lea, Flood 2014): the scenarios stay the same
/// whatever becomes of the engine's draws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice with this number.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 up to but not including 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (-53_f64).exp2()
    }

    /// A number from 0 to `count` - 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of them.
    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    /// Different ones of them, at most `most`, at least one if there is one.
    fn some_of<T: Clone>(&mut self, from: &[T], most: usize) -> Vec<T> {
        let mut all = from.to_vec();
        self.shuffle(&mut all);
        let count = 1 + self.below(most);
        all.truncate(count);
        all
    }

    /// A share: nothing or everything now and then, hundredths, or anything between.
    pub(crate) fn share(&mut self) -> Share {
        let unit = self.unit();
        let value = match self.below(8) {
            0 => 0.0,
            1 => 1.0,
            2 | 3 => (unit * 100.0).round() / 100.0,
            _ => unit,
        };
        Share::new(value).expect("within 0 and 1")
    }

    /// A share of this at least.
    fn share_from(&mut self, least: f64) -> Share {
        let share = self.share().get();
        Share::new(least + (1.0 - least) * share).expect("within 0 and 1")
    }

    /// A whole number of seconds, more than none and at most this.
    fn seconds(&mut self, most: usize) -> Seconds {
        Seconds::new(1.0 + self.below(most) as f64).expect("a duration")
    }

    /// A delay of at most `most` seconds in the median, or none.
    fn delay(&mut self, most: usize) -> Delay {
        if self.chance(0.15) {
            return Delay::default();
        }
        let median = self.seconds(most);
        let spread = if self.chance(0.3) { 1.0 } else { 1.0 + 3.0 * self.unit() };
        Delay { median, p95: Seconds::new(median.get() * spread).expect("a duration") }
    }
}

struct Builder {
    dice: Dice,
    features: Features,
    /// Callers before what they call, unless there are cycles; so names tell nothing of it.
    order: Vec<usize>,
    /// By service: how many endpoints it has.
    endpoints: Vec<usize>,
    domains: usize,
}

impl Builder {
    fn scenario(mut self) -> Scenario {
        let domains = (0..self.domains).map(|number| self.domain(number)).collect();
        let services = (0..self.order.len()).map(|number| self.service(number)).collect();
        let flow_count = 1 + self.dice.below(3);
        let flows = (0..flow_count).map(|number| self.flow(number)).collect();
        let mut topology = Topology {
            name: "random".to_owned(),
            thresholds: self.thresholds(),
            domains,
            services,
            flows,
            shipping: ShippingDefaults::default(),
            unknown_pools: UnknownPools::LimitNothing,
            failing_targets_call: false,
        };
        if self.features.whole_shares {
            keep_choices_whole(&mut topology);
        }
        let change = self.change();
        Scenario { topology, change }
    }

    fn thresholds(&mut self) -> Thresholds {
        if self.dice.chance(0.7) {
            return Thresholds::default();
        }
        let failed = self.dice.share_from(0.1);
        let degraded = Share::new(failed.get() * 0.2 * self.dice.unit() + 0.001);
        Thresholds { failed, degraded: degraded.expect("a share") }
    }

    fn availability(&mut self) -> Option<Share> {
        let is_stated = self.features.availability && self.dice.chance(0.4);
        is_stated.then(|| self.dice.share_from(0.5))
    }

    fn domain(&mut self, number: usize) -> Domain {
        let is_within = number > 0 && self.dice.chance(0.4);
        Domain {
            name: format!("domain-{number}"),
            kind: None,
            within: is_within.then(|| DomainId(self.dice.below(number) as u32)),
            availability: self.availability(),
            mttr: None,
            place: Place::default(),
        }
    }

    fn some_domains(&mut self, most: usize) -> Vec<DomainId> {
        let all: Vec<DomainId> = (0..self.domains as u32).map(DomainId).collect();
        self.dice.some_of(&all, most)
    }

    fn service(&mut self, number: usize) -> Service {
        let features = self.features;
        let mut domains = if self.dice.chance(0.4) { self.some_domains(2) } else { Vec::new() };
        domains.sort();
        let has_replicas = features.replicas && self.dice.chance(0.4);
        let has_limit = features.load && self.dice.chance(0.6);
        let candidates = self.callable_from(number);
        Service {
            name: format!("service-{number:02}"),
            title: None,
            kind: "service".to_owned(),
            team: None,
            tier: None,
            paths: Vec::new(),
            resources: Vec::new(),
            availability: self.availability(),
            mttr: None,
            domains,
            replicas: has_replicas.then(|| self.replicas()),
            utilization: has_limit
                .then(|| Utilization::new(0.2 + 0.8 * self.dice.unit()).expect("above 0")),
            queue: self.dice.pick(&[None, Some(Queue::Unbounded), Some(Queue::Refuses)]),
            drop_expired: false,
            latency: None,
            concurrency: None,
            recovery: self.recovery(),
            automations: Vec::new(),
            dependencies: self.dependencies(&candidates, 4),
            endpoints: (0..self.endpoints[number])
                .map(|endpoint| Endpoint {
                    name: format!("endpoint-{endpoint}"),
                    dependencies: self.dependencies(&candidates, 3),
                    place: Place::default(),
                })
                .collect(),
            shipping: None,
            never_soft: false,
            place: Place::default(),
        }
    }

    fn replicas(&mut self) -> Replicas {
        let count = 1 + self.dice.below(5) as u32;
        Replicas {
            count,
            needs: 1 + self.dice.below(count as usize) as u32,
            availability: self.availability(),
            mttr: None,
            failover: None,
            domains: if self.dice.chance(0.6) { self.some_domains(3) } else { Vec::new() },
        }
    }

    fn recovery(&mut self) -> Recovery {
        if !self.features.recovery || self.dice.chance(0.3) {
            return Recovery::default();
        }
        Recovery {
            restart: self.dice.seconds(900),
            warmup: if self.dice.chance(0.5) { Seconds::ZERO } else { self.dice.seconds(1800) },
            crashes: self.dice.chance(0.3),
        }
    }

    /// The services that a service may call.
    fn callable_from(&mut self, number: usize) -> Vec<usize> {
        if self.features.cycles && self.dice.chance(0.35) {
            return self.order.iter().copied().filter(|other| *other != number).collect();
        }
        let rank = self.order.iter().position(|other| *other == number).expect("in the order");
        self.order[rank + 1..].to_vec()
    }

    fn node(&mut self, service: usize) -> NodeRef {
        let endpoints = self.endpoints[service];
        let is_endpoint = endpoints > 0 && self.dice.chance(0.6);
        NodeRef {
            service: ServiceId(service as u32),
            endpoint: is_endpoint.then(|| self.dice.below(endpoints) as u32),
        }
    }

    /// Calls of one service or endpoint to some of the candidates.
    fn dependencies(&mut self, candidates: &[usize], most: usize) -> Vec<Dependency> {
        let count = self.dice.below(most);
        if candidates.is_empty() {
            return Vec::new();
        }
        (0..count).map(|_| self.dependency(candidates)).collect()
    }

    fn dependency(&mut self, candidates: &[usize]) -> Dependency {
        let features = self.features;
        let any_of = features.any_of && self.dice.chance(0.25);
        let services = self.dice.some_of(candidates, if any_of { 4 } else { 1 });
        let on: Vec<NodeRef> = services.iter().map(|service| self.node(*service)).collect();
        let needs = if any_of { 1 + self.dice.below(on.len()) as u32 } else { 1 };
        // A choice among members that may hang or lie comes out in parts.
        let keeps_whole = any_of && features.whole_shares;
        let mut maybe = |is_on: bool, chance: f64| is_on && self.dice.chance(chance);
        let timeout = maybe(features.timeouts, 0.4) || keeps_whole;
        let validates = maybe(features.validation, 0.3) || keeps_whole;
        let is_soft = maybe(features.soft, 0.3);
        let is_async = maybe(features.asynchronous, 0.15);
        let breaker = maybe(features.breakers, 0.2);
        let retries = maybe(features.retries, 0.3);
        let has_cache = maybe(features.caches, 0.2);
        let has_buffer = maybe(features.buffers, 0.15);
        let has_fallback = maybe(features.static_fallbacks || features.service_fallbacks, 0.25);
        let not_always = maybe(features.call_probability, 0.25);
        let doubtful = maybe(features.propagation, 0.3);
        let at_start = maybe(features.start_phase, 0.1);
        let repeats = maybe(features.call_probability, 0.15);
        Dependency {
            needs,
            any_of,
            criticality: is_soft.then_some(Criticality::Soft),
            kind: is_async.then_some(CallKind::Async),
            timeout: if timeout {
                Timeout::After(Seconds::new(2.0).expect("a duration"))
            } else {
                self.dice.pick(&[Timeout::Unstated, Timeout::None])
            },
            retries: retries.then(|| 1 + self.dice.below(3) as u32),
            retry_budget: (retries && self.dice.chance(0.5)).then(|| self.dice.share()),
            circuit_breaker: breaker.then_some(true),
            validates: validates.then_some(true),
            cache: has_cache.then(|| self.cache(candidates, &services)),
            buffer: has_buffer.then(|| Buffer {
                holds: self.dice.seconds(7200),
                when_full: self.dice.pick(&[WhenFull::Drop, WhenFull::Block]),
            }),
            fallback: has_fallback.then(|| self.fallback(candidates, &services)),
            calls: if repeats { 2 + self.dice.below(3) as u32 } else { 1 },
            call_probability: if not_always { self.dice.share() } else { Share::ONE },
            propagation: if doubtful { self.dice.share() } else { Share::ONE },
            phase: if at_start { Phase::Start } else { Phase::Serve },
            ..plain_call(on)
        }
    }

    fn cache(&mut self, candidates: &[usize], of: &[usize]) -> Cache {
        let hit_ratio = if self.features.whole_shares { Share::ONE } else { self.dice.share() };
        let for_ever = hit_ratio.is_one() || self.dice.chance(0.3);
        let others = others(candidates, of);
        let has_service = !others.is_empty() && self.dice.chance(0.5);
        Cache {
            ttl: (!for_ever).then(|| self.dice.seconds(7200)),
            hit_ratio,
            service: has_service.then(|| ServiceId(self.dice.pick(&others) as u32)),
            refill: None,
        }
    }

    /// Something other than what fails.
    fn fallback(&mut self, candidates: &[usize], instead_of: &[usize]) -> Fallback {
        let others = others(candidates, instead_of);
        let is_static = !self.features.service_fallbacks
            || (self.features.static_fallbacks && self.dice.chance(0.4));
        let works = if self.dice.chance(0.5) { Share::ONE } else { self.dice.share() };
        if is_static || others.is_empty() {
            return Fallback { on: None, works };
        }
        let other = self.dice.pick(&others);
        Fallback { on: Some(self.node(other)), works }
    }

    fn flow(&mut self, number: usize) -> Flow {
        let all = self.order.clone();
        let count = 1 + self.dice.below(3);
        let is_unknown = self.features.unknown_rates && self.dice.chance(0.3);
        let tries_again = self.features.retry_by_users && self.dice.chance(0.4);
        Flow {
            name: format!("flow-{number}"),
            title: None,
            steps: (0..count)
                // A flow does not start.
                .map(|_| Dependency { phase: Phase::Serve, ..self.dependency(&all) })
                .collect(),
            rate: if is_unknown { None } else { Rate::per_second(1.0 + 99.0 * self.dice.unit()) },
            value: None,
            critical: false,
            objective: None,
            patience: None,
            retry_by_users: tries_again.then(|| UserRetries {
                share: self.dice.share(),
                attempts: 1 + self.dice.below(3) as u32,
                after: None,
            }),
            place: Place::default(),
        }
    }

    fn change(&mut self) -> Change {
        let count = if self.features.several_targets { 1 + self.dice.below(3) } else { 1 };
        let mut targets: Vec<Target> = Vec::new();
        for _ in 0..count {
            let target = self.target();
            if targets.iter().all(|other| other.on != target.on) {
                targets.push(target);
            }
        }
        let mut change = Change::from_targets("random", targets);
        if self.features.during && self.dice.chance(0.3) {
            change.during = vec![self.component()];
        }
        if self.features.time {
            self.add_time(&mut change);
        }
        change
    }

    fn component(&mut self) -> Component {
        if self.domains > 0 && self.dice.chance(0.5) {
            return Component::Domain(DomainId(self.dice.below(self.domains) as u32));
        }
        Component::Service(ServiceId(self.dice.below(self.order.len()) as u32))
    }

    fn target(&mut self) -> Target {
        let features = self.features;
        let is_uncertain = features.uncertain_targets && self.dice.chance(0.5);
        let is_partial = features.severity && self.dice.chance(0.6);
        let has_minimum = features.min_exposure && self.dice.chance(0.3);
        let has_onset = features.onset && self.dice.chance(0.4);
        let on = match self.component() {
            Component::Domain(domain) => TargetRef::Domain(domain),
            Component::Service(service) => TargetRef::Node(self.node(service.0 as usize)),
        };
        let is_domain = matches!(on, TargetRef::Domain(_));
        Target {
            on,
            probability: if is_uncertain { self.dice.share() } else { Share::ONE },
            modes: if is_domain { Modes::default() } else { self.modes() },
            severity: if is_partial && !is_domain {
                self.severity()
            } else {
                (Share::ONE, Share::ONE)
            },
            severity_of: if self.dice.chance(0.5) {
                SeverityOf::Requests
            } else {
                SeverityOf::Attempts
            },
            onset: if has_onset { self.dice.delay(3600) } else { Delay::default() },
            min_exposure: if has_minimum { self.dice.share() } else { Share::ZERO },
            rollout: None,
            place: Place::default(),
        }
    }

    fn severity(&mut self) -> (Share, Share) {
        let (a, b) = (self.dice.share(), self.dice.share());
        match self.dice.below(3) {
            0 => (a, a),
            _ if a.get() <= b.get() => (a, b),
            _ => (b, a),
        }
    }

    /// One mode for certain, or several in tenths.
    fn modes(&mut self) -> Modes {
        let Features { slow, corrupt, surge, .. } = self.features;
        let is_possible = [true, slow, corrupt, surge];
        let possible: Vec<usize> = (0..4).filter(|mode| is_possible[*mode]).collect();
        let tenths = if self.dice.chance(0.5) { 1 } else { 10 };
        let mut counts = [0_u32; 4];
        for _ in 0..tenths {
            counts[self.dice.pick(&possible)] += 1;
        }
        let share =
            |mode: usize| Share::new(f64::from(counts[mode]) / f64::from(tenths)).expect("a share");
        Modes {
            down: share(0),
            slow: share(1),
            corrupt: share(2),
            surge: share(3),
            surge_factor: 1.0 + 9.0 * self.dice.unit(),
            slowness: None,
        }
    }

    fn add_time(&mut self, change: &mut Change) {
        let features = self.features;
        if features.rollout {
            change.rollout = Some(self.rollout());
        }
        change.detection = Some(Detection {
            alert_threshold: Share::new(0.01 + 0.2 * self.dice.unit()),
            failures: None,
            watches: None,
            delay: Some(self.dice.delay(1800)),
            corrupt: Some(self.dice.delay(5400)),
            depends_on: self.depends_on(),
            needs_factor: 1.0 + 2.0 * self.dice.unit(),
        });
        let goes_wrong = features.bad_rollback && self.dice.chance(0.4);
        change.rollback = Some(Rollback {
            delay: Some(self.dice.delay(3600)),
            depends_on: self.depends_on(),
            needs_factor: 1.0 + 2.0 * self.dice.unit(),
            works: if goes_wrong { self.dice.share() } else { Share::ONE },
            worsens: if goes_wrong { self.dice.share() } else { Share::ZERO },
            takes: Seconds::ZERO,
        });
        if features.kill_switch && self.dice.chance(0.4) {
            change.kill_switch = Some(KillSwitch {
                delay: self.dice.delay(600),
                depends_on: self.depends_on(),
                needs_factor: 1.0 + 2.0 * self.dice.unit(),
                works: self.dice.share(),
            });
        }
        if features.repair && self.dice.chance(0.6) {
            change.repair = Some(self.dice.delay(7200));
        }
        if features.rollout {
            for target in &mut change.targets {
                if self.dice.chance(0.15) {
                    target.rollout = Some(self.rollout());
                }
            }
        }
        change.horizon = Seconds::new(3600.0 + self.dice.below(36_000) as f64).expect("a duration");
    }

    fn depends_on(&mut self) -> Vec<ServiceId> {
        if self.dice.chance(0.6) {
            return Vec::new();
        }
        let all: Vec<ServiceId> = (0..self.order.len() as u32).map(ServiceId).collect();
        self.dice.some_of(&all, 2)
    }

    fn rollout(&mut self) -> Rollout {
        let count = 1 + self.dice.below(4);
        let mut exposures: Vec<f64> = (0..count).map(|_| self.dice.share().get()).collect();
        exposures.sort_by(f64::total_cmp);
        if self.dice.chance(0.7) {
            exposures[count - 1] = 1.0;
        }
        let is_sticky = self.features.sticky && self.dice.chance(0.5);
        let mut stage = |exposure: f64| Stage {
            exposure: Share::new(exposure).expect("a share"),
            bake: self.dice.chance(0.8).then(|| self.dice.seconds(2400)),
            catch_probability: if self.dice.chance(0.5) { Share::ZERO } else { self.dice.share() },
        };
        Rollout {
            routing: if is_sticky { Routing::Sticky } else { Routing::Random },
            stages: exposures.into_iter().map(&mut stage).collect(),
            strategy: None,
            replacing: None,
        }
    }
}

/// The candidates that are not among these.
fn others(candidates: &[usize], these: &[usize]) -> Vec<usize> {
    candidates.iter().copied().filter(|other| !these.contains(other)).collect()
}

/// A call with nothing to it but what it calls.
pub(crate) fn plain_call(on: Vec<NodeRef>) -> Dependency {
    Dependency {
        on,
        needs: 1,
        any_of: false,
        criticality: None,
        kind: None,
        timeout: Timeout::Unstated,
        attempt_timeout: None,
        max_in_flight: None,
        parallel: false,
        retries: None,
        retry_budget: None,
        circuit_breaker: None,
        validates: None,
        cache: None,
        buffer: None,
        fallback: None,
        calls: 1,
        call_probability: Share::ONE,
        propagation: Share::ONE,
        phase: Phase::Serve,
        evidence: None,
        mode: None,
        failover: None,
        never_soft: false,
        no_fallback: false,
        source: None,
        place: Place::default(),
    }
}

/// Leaves a choice only among what is never degraded: the degraded share of a choice is a part of
/// the whole even where every member has all or nothing.
fn keep_choices_whole(topology: &mut Topology) {
    let mut degradable: BTreeSet<ServiceId> = BTreeSet::new();
    let mut before = None;
    while before.replace(degradable.len()) != Some(degradable.len()) {
        for (number, service) in topology.services.iter().enumerate() {
            let endpoints = service.endpoints.iter().flat_map(|e| &e.dependencies);
            if service.dependencies.iter().chain(endpoints).any(|d| can_degrade(d, &degradable)) {
                degradable.insert(ServiceId(number as u32));
            }
        }
    }
    let services = topology.services.iter_mut().flat_map(|service| {
        let endpoints = service.endpoints.iter_mut().flat_map(|e| &mut e.dependencies);
        service.dependencies.iter_mut().chain(endpoints)
    });
    for call in services.chain(topology.flows.iter_mut().flat_map(|flow| &mut flow.steps)) {
        if call.any_of && call.on.iter().any(|on| degradable.contains(&on.service)) {
            call.on.truncate(1);
            call.needs = 1;
            call.any_of = false;
        }
    }
}

fn can_degrade(call: &Dependency, degradable: &BTreeSet<ServiceId>) -> bool {
    call.is_soft()
        || call.fallback.is_some()
        || call.on.iter().any(|on| degradable.contains(&on.service))
}

/// The calls of each caller, with its service; flows have none.
fn all_calls(topology: &Topology) -> Vec<(Option<ServiceId>, &Dependency)> {
    let mut all = Vec::new();
    for (number, service) in topology.services.iter().enumerate() {
        let of_endpoints = service.endpoints.iter().flat_map(|e| &e.dependencies);
        let caller = Some(ServiceId(number as u32));
        all.extend(service.dependencies.iter().chain(of_endpoints).map(|call| (caller, call)));
    }
    all.extend(topology.flows.iter().flat_map(|flow| &flow.steps).map(|call| (None, call)));
    all
}

/// A scenario in a few lines, to be read when a test fails.
pub(crate) fn describe(topology: &Topology, change: &Change) -> String {
    let mut lines = Vec::new();
    for service in &topology.services {
        lines.push(format!(
            "{}: availability {:?} domains {:?} replicas {:?} utilization {:?} {:?}",
            service.name,
            service.availability,
            service.domains,
            service.replicas,
            service.utilization,
            service.queue
        ));
    }
    for (caller, declared_dependency) in topology.declared_dependencies() {
        lines.push(format!(
            "{} > {}: {:?} {:?} {:?} retries {:?} {:?} breaker {:?} validates {:?} {:?} {:?} {:?} needs {} calls {} q {} p {} {:?}",
            topology.caller_name(caller),
            topology.dependency_name(declared_dependency),
            declared_dependency.criticality,
            declared_dependency.kind,
            declared_dependency.timeout,
            declared_dependency.retries,
            declared_dependency.retry_budget,
            declared_dependency.circuit_breaker,
            declared_dependency.validates,
            declared_dependency.cache,
            declared_dependency.buffer,
            declared_dependency.fallback,
            declared_dependency.needs,
            declared_dependency.calls,
            declared_dependency.call_probability,
            declared_dependency.propagation,
            declared_dependency.phase,
        ));
    }
    lines.extend(change.actions.iter().map(|action| format!("{action:?}")));
    let automations = topology.services.iter().flat_map(|service| &service.automations);
    lines.extend(automations.map(|automation| format!("{automation:?}")));
    lines.push(format!("{change:#?}").lines().take(60).collect::<Vec<_>>().join("\n"));
    lines.join("\n")
}

#[test]
fn random_scenarios_are_valid() {
    for seed in 0..2000 {
        let Scenario { topology, change } = scenario(seed, &Features::time());
        assert!(topology.services.is_sorted_by(|a, b| a.name < b.name));
        assert!(topology.domains.is_sorted_by(|a, b| a.name < b.name));
        assert!(topology.flows.is_sorted_by(|a, b| a.name < b.name));
        for service in &topology.services {
            assert!(service.endpoints.is_sorted_by(|a, b| a.name < b.name));
            assert!(service.domains.is_sorted_by(|a, b| a < b));
        }
        for (caller, call) in all_calls(&topology) {
            let cache_service = call.cache.and_then(|cache| cache.service);
            let fallback = call.fallback.and_then(|fallback| fallback.on);
            let others = call.on.iter().copied().chain(fallback).map(|node| node.service);
            assert!(others.chain(cache_service).all(|other| Some(other) != caller), "{seed}");
            assert!((1..=call.on.len()).contains(&(call.needs as usize)), "{seed}");
            assert!(call.any_of || call.on.len() == 1, "{seed}");
            let members: BTreeSet<NodeRef> = call.on.iter().copied().collect();
            assert_eq!(members.len(), call.on.len(), "{seed}");
            assert!(call.cache.is_none_or(|c| !c.hit_ratio.is_one() || c.ttl.is_none()));
        }
        for target in &change.targets {
            let Modes { down, slow, corrupt, surge, surge_factor, .. } = target.modes;
            let sum = down.get() + slow.get() + corrupt.get() + surge.get();
            assert!((sum - 1.0).abs() < 1e-9 && surge_factor >= 1.0, "{seed}");
            assert!(target.severity.0 <= target.severity.1, "{seed}");
            assert!(target.onset.median <= target.onset.p95, "{seed}");
        }
        if let Some(rollout) = &change.rollout {
            assert!(rollout.stages.is_sorted_by(|a, b| a.exposure <= b.exposure), "{seed}");
        }
    }
}

#[test]
fn random_scenarios_use_everything_now_and_then() {
    type IsUsed = fn(&Dependency) -> bool;
    let uses: [(&str, IsUsed); 15] = [
        ("soft", Dependency::is_soft),
        ("async", Dependency::is_async),
        ("a timeout", |call| call.timeout.is_set()),
        ("retries", |call| call.retries.is_some()),
        ("a retry budget", |call| call.retry_budget.is_some()),
        ("a breaker", |call| call.circuit_breaker == Some(true)),
        ("validation", |call| call.validates == Some(true)),
        ("a cache", |call| call.cache.is_some_and(|cache| cache.service.is_none())),
        ("a cache service", |call| call.cache.is_some_and(|cache| cache.service.is_some())),
        ("a buffer", |call| call.buffer.is_some()),
        ("a static fallback", |call| call.fallback.is_some_and(|f| f.on.is_none())),
        ("a fallback service", |call| call.fallback.is_some_and(|f| f.on.is_some())),
        ("any_of", |call| call.any_of && call.on.len() > 1),
        ("call_probability", |call| !call.call_probability.is_one()),
        ("a start phase", |call| call.phase == Phase::Start),
    ];
    let scenarios: Vec<Scenario> =
        (0..1000).map(|seed| scenario(seed, &Features::time())).collect();
    for (name, is_used) in uses {
        let count = scenarios
            .iter()
            .filter(|s| all_calls(&s.topology).iter().any(|(_, call)| is_used(call)))
            .count();
        assert!(count > 100, "{name}: {count}");
    }
}
