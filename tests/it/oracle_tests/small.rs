//! Small topologies and changes by name, for cases that are worked out by hand.

use std::collections::BTreeMap;

use blastwave::diagnostic::Place;
use blastwave::model::change::{
    Component, Delay, Detection, Modes, Rollback, Rollout, Routing, SeverityOf, Stage, Target,
    TargetRef,
};
use blastwave::model::shipping::ShippingDefaults;
use blastwave::model::topology::{
    Cache, Criticality, Dependency, Domain, DomainId, Endpoint, Fallback, Flow, NodeRef, Phase,
    Recovery, Service, ServiceId, Thresholds, Timeout, UnknownPools,
};
use blastwave::model::{Change, Rate, Seconds, Share, Topology};

use crate::oracle::{State, Trial, moment};
use crate::random::plain_call;

/// A share.
pub(super) fn share(value: f64) -> Share {
    Share::new(value).expect("a share")
}

/// A duration.
pub(super) fn seconds(value: f64) -> Seconds {
    Seconds::new(value).expect("a duration")
}

/// A delay that is always the same.
pub(super) fn delay(value: f64) -> Delay {
    Delay { median: seconds(value), p95: seconds(value) }
}

/// A flow of 2 orders a second to `a`, which calls `b`.
pub(super) fn shop() -> Topology {
    Small::new()
        .service("a", &[call("b")])
        .service("b", &[])
        .flow("order", 2.0, &[call("a")])
        .build()
}

/// A dependency whose nodes are still names.
#[derive(Clone)]
pub(super) struct Call {
    on: Vec<&'static str>,
    cache_service: Option<&'static str>,
    fallback: Option<&'static str>,
    dependency: Dependency,
}

/// A call with nothing to it.
pub(super) fn call(on: &'static str) -> Call {
    Call { on: vec![on], cache_service: None, fallback: None, dependency: plain_call(Vec::new()) }
}

/// A call to any of several.
pub(super) fn any_of(needs: u32, on: &[&'static str]) -> Call {
    Call { on: on.to_vec(), ..call("") }.with(|call| {
        call.needs = needs;
        call.any_of = true;
    })
}

impl Call {
    /// Changes it.
    pub(super) fn with(mut self, edit: impl FnOnce(&mut Dependency)) -> Self {
        edit(&mut self.dependency);
        self
    }

    pub(super) fn soft(self) -> Self {
        self.with(|call| call.criticality = Some(Criticality::Soft))
    }

    pub(super) fn timeout(self) -> Self {
        self.with(|call| call.timeout = Timeout::After(seconds(2.0)))
    }

    pub(super) fn retries(self, retries: u32) -> Self {
        self.with(|call| call.retries = Some(retries))
    }

    /// A cache for ever, without a service.
    pub(super) fn cache(self, hit_ratio: f64) -> Self {
        let hit_ratio = share(hit_ratio);
        self.with(|call| {
            call.cache = Some(Cache { ttl: None, hit_ratio, service: None, refill: None });
        })
    }

    pub(super) fn cache_service(mut self, service: &'static str) -> Self {
        self.cache_service = Some(service);
        self
    }

    pub(super) fn static_fallback(self) -> Self {
        self.with(|call| call.fallback = Some(Fallback { on: None, works: Share::ONE }))
    }

    pub(super) fn fallback(mut self, node: &'static str) -> Self {
        self.fallback = Some(node);
        self.static_fallback()
    }

    pub(super) fn at_start(self) -> Self {
        self.with(|call| call.phase = Phase::Start)
    }
}

/// A topology whose nodes are still names.
#[derive(Clone, Default)]
pub(super) struct Small {
    domains: BTreeMap<&'static str, Option<&'static str>>,
    services: BTreeMap<&'static str, (Vec<Call>, Service)>,
    endpoints: BTreeMap<(&'static str, &'static str), Vec<Call>>,
    flows: BTreeMap<&'static str, (Vec<Call>, Flow)>,
}

impl Small {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn domain(mut self, name: &'static str, within: Option<&'static str>) -> Self {
        self.domains.insert(name, within);
        self
    }

    /// A service and what it calls.
    pub(super) fn service(self, name: &'static str, calls: &[Call]) -> Self {
        self.service_with(name, calls, |_| {})
    }

    /// A service, what it calls, and what else it is.
    pub(super) fn service_with(
        mut self,
        name: &'static str,
        calls: &[Call],
        edit: impl FnOnce(&mut Service),
    ) -> Self {
        let mut service = plain_service(name);
        edit(&mut service);
        self.services.insert(name, (calls.to_vec(), service));
        self
    }

    pub(super) fn endpoint(
        mut self,
        service: &'static str,
        name: &'static str,
        calls: &[Call],
    ) -> Self {
        self.endpoints.insert((service, name), calls.to_vec());
        self
    }

    /// A flow of so many orders per second.
    pub(super) fn flow(self, name: &'static str, rate: f64, calls: &[Call]) -> Self {
        self.flow_with(name, calls, |flow| flow.rate = Rate::per_second(rate))
    }

    /// A flow and what else it is.
    pub(super) fn flow_with(
        mut self,
        name: &'static str,
        calls: &[Call],
        edit: impl FnOnce(&mut Flow),
    ) -> Self {
        let mut flow = plain_flow(name);
        edit(&mut flow);
        self.flows.insert(name, (calls.to_vec(), flow));
        self
    }

    /// The model.
    pub(super) fn build(self) -> Topology {
        let mut topology = Topology {
            name: "small".to_owned(),
            thresholds: Thresholds::default(),
            domains: Vec::new(),
            services: Vec::new(),
            flows: Vec::new(),
            shipping: ShippingDefaults::default(),
            unknown_pools: UnknownPools::LimitNothing,
            failing_targets_call: false,
        };
        let domain_names: Vec<&str> = self.domains.keys().copied().collect();
        for (name, within) in &self.domains {
            let within = within.map(|within| {
                let index = domain_names.iter().position(|name| *name == within);
                DomainId(index.expect("a domain") as u32)
            });
            topology.domains.push(Domain {
                name: (*name).to_owned(),
                kind: None,
                within,
                availability: None,
                mttr: None,
                place: Place::default(),
            });
        }
        topology.services = self.services.values().map(|(_, service)| service.clone()).collect();
        for (service, name) in self.endpoints.keys() {
            let id = topology.service_id(service).expect("the service of an endpoint");
            topology.services[id.0 as usize].endpoints.push(Endpoint {
                name: (*name).to_owned(),
                dependencies: Vec::new(),
                place: Place::default(),
            });
        }
        // References need all names to be there.
        let names = topology.clone();
        for ((calls, _), service) in self.services.values().zip(&mut topology.services) {
            service.dependencies = resolve(&names, calls);
        }
        for ((service, name), calls) in &self.endpoints {
            let node = names.node(&format!("{service}/{name}")).expect("an endpoint");
            let service = &mut topology.services[node.service.0 as usize];
            let endpoint = node.endpoint.expect("an endpoint") as usize;
            service.endpoints[endpoint].dependencies = resolve(&names, calls);
        }
        for (calls, flow) in self.flows.values() {
            topology.flows.push(Flow { steps: resolve(&names, calls), ..flow.clone() });
        }
        topology
    }
}

fn resolve(topology: &Topology, calls: &[Call]) -> Vec<Dependency> {
    let node = |name: &str| topology.node(name).unwrap_or_else(|| panic!("no node {name}"));
    let one = |call: &Call| {
        let mut dependency = call.dependency.clone();
        dependency.on = call.on.iter().map(|name| node(name)).collect();
        if let (Some(cache), Some(name)) = (&mut dependency.cache, call.cache_service) {
            cache.service = Some(node(name).service);
        }
        if let (Some(fallback), Some(name)) = (&mut dependency.fallback, call.fallback) {
            fallback.on = Some(node(name));
        }
        dependency
    };
    calls.iter().map(one).collect()
}

fn plain_service(name: &str) -> Service {
    Service {
        name: name.to_owned(),
        title: None,
        kind: "service".to_owned(),
        team: None,
        tier: None,
        paths: Vec::new(),
        resources: Vec::new(),
        availability: None,
        mttr: None,
        domains: Vec::new(),
        replicas: None,
        utilization: None,
        queue: None,
        drop_expired: false,
        latency: None,
        concurrency: None,
        recovery: Recovery::default(),
        automations: Vec::new(),
        dependencies: Vec::new(),
        endpoints: Vec::new(),
        shipping: None,
        never_soft: false,
        place: Place::default(),
    }
}

fn plain_flow(name: &str) -> Flow {
    Flow {
        name: name.to_owned(),
        title: None,
        steps: Vec::new(),
        rate: None,
        value: None,
        critical: false,
        objective: None,
        retry_by_users: None,
        patience: None,
        place: Place::default(),
    }
}

/// How a target breaks, with the share of its requests.
#[derive(Clone, Copy)]
pub(super) enum Broken {
    Down(f64),
    Slow(f64),
    Corrupt(f64),
    /// With its factor.
    Surge(f64, f64),
}

/// A target that breaks for certain.
pub(super) fn target(topology: &Topology, name: &str, broken: Broken) -> Target {
    let nothing = Modes { down: Share::ZERO, ..Modes::default() };
    let (modes, severity) = match broken {
        Broken::Down(severity) => (Modes::default(), severity),
        Broken::Slow(severity) => (Modes { slow: Share::ONE, ..nothing }, severity),
        Broken::Corrupt(severity) => (Modes { corrupt: Share::ONE, ..nothing }, severity),
        Broken::Surge(severity, surge_factor) => {
            (Modes { surge: Share::ONE, surge_factor, ..nothing }, severity)
        }
    };
    let on = match topology.domain_id(name) {
        Some(domain) => TargetRef::Domain(domain),
        None => TargetRef::Node(topology.node(name).expect("a target")),
    };
    Target {
        on,
        probability: Share::ONE,
        modes,
        severity: (share(severity), share(severity)),
        severity_of: SeverityOf::Attempts,
        onset: Delay::default(),
        min_exposure: Share::ZERO,
        rollout: None,
        place: Place::default(),
    }
}

/// A change that breaks these for certain, in a single moment.
pub(super) fn breaks(topology: &Topology, targets: &[(&str, Broken)]) -> Change {
    let targets = targets.iter().map(|(name, broken)| target(topology, name, *broken));
    Change::from_targets("breaks", targets.collect())
}

/// A service or a domain.
pub(super) fn component(topology: &Topology, name: &str) -> Component {
    match topology.domain_id(name) {
        Some(domain) => Component::Domain(domain),
        None => Component::Service(topology.service_id(name).expect("a component")),
    }
}

/// Adds detection and rollback that always take so long, and a horizon.
pub(super) fn with_time(mut change: Change, detection: f64, rollback: f64, horizon: f64) -> Change {
    change.detection = Some(Detection {
        alert_threshold: Some(share(0.01)),
        failures: None,
        watches: None,
        delay: Some(delay(detection)),
        corrupt: Some(delay(detection)),
        depends_on: Vec::new(),
        needs_factor: 2.0,
    });
    change.rollback = Some(Rollback {
        delay: Some(delay(rollback)),
        depends_on: Vec::new(),
        needs_factor: 2.0,
        works: Share::ONE,
        worsens: Share::ZERO,
        takes: Seconds::ZERO,
    });
    change.horizon = seconds(horizon);
    change
}

/// A rollout of (exposure, bake, gate), the last of which stays.
pub(super) fn rollout(routing: Routing, stages: &[(f64, f64, f64)]) -> Rollout {
    let stage = |(exposure, bake, gate): &(f64, f64, f64)| Stage {
        exposure: share(*exposure),
        bake: bake.is_finite().then(|| seconds(*bake)),
        catch_probability: share(*gate),
    };
    Rollout { routing, stages: stages.iter().map(stage).collect(), strategy: None, replacing: None }
}

/// The number of a service.
pub(super) fn id(topology: &Topology, name: &str) -> ServiceId {
    topology.service_id(name).expect("a service")
}

/// One trial of a single moment; all that these cases draw is certain.
pub(super) fn at_once(topology: &Topology, targets: &[(&str, Broken)]) -> Trial {
    moment(topology, &breaks(topology, targets), 1, 0)
}

/// The state of `a` in a single moment.
pub(super) fn state_of_a(topology: &Topology, targets: &[(&str, Broken)]) -> State {
    at_once(topology, targets).nodes["a"].state
}

/// Holds a state to slow, down, corrupt, degraded.
#[track_caller]
pub(super) fn assert_state(state: State, [slow, down, corrupt, degraded]: [f64; 4]) {
    let expected = State { slow, down, corrupt, degraded };
    assert!(state.distance(expected) < 1e-9, "{state:?} is not {expected:?}");
}

/// Holds a number to another.
#[track_caller]
pub(super) fn assert_close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

/// A reference to a service as such.
pub(super) fn plain(topology: &Topology, name: &str) -> NodeRef {
    topology.node(name).expect("a node")
}
