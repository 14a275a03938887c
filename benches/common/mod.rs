//! Topologies of any size for the benches: layered as real systems are, with few cycles.

use blastwave::diagnostic::Place;
pub mod production;
pub mod searches;

use blastwave::model::change::{
    Change, Delay, Detection, Modes, Rollback, Rollout, Routing, Stage, Target, TargetRef,
};
use blastwave::model::shipping::ShippingDefaults;
use blastwave::model::topology::{
    Cache, Criticality, Dependency, Flow, NodeRef, Phase, Recovery, Service, ServiceId, Thresholds,
    Timeout,
};
use blastwave::model::units::Utilization;
use blastwave::model::{Rate, Seconds, Share, Topology};

/// A small generator of numbers (splitmix64, Steele et al. 2014): equal seeds, equal topologies.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (-53_f64).exp2()
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn chance(&mut self, p: f64) -> bool {
        ((self.next() >> 11) as f64) * (-53_f64).exp2() < p
    }
}

pub fn share(value: f64) -> Share {
    Share::new(value).expect("a share")
}

pub fn seconds(value: f64) -> Seconds {
    Seconds::new(value).expect("a duration")
}

pub fn hard(on: u32) -> Dependency {
    Dependency {
        on: vec![NodeRef { service: ServiceId(on), endpoint: None }],
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

pub fn service(number: u32) -> Service {
    Service {
        name: format!("service-{number:07}"),
        title: None,
        kind: "service".to_owned(),
        team: None,
        tier: None,
        paths: Vec::new(),
        resources: Vec::new(),
        availability: None,
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
        mttr: None,
        never_soft: false,
        place: Place::default(),
    }
}

/// So many services in layers; each calls `degree` others on average, mostly in later layers, a few
/// (`back`) anywhere before. The last ones are databases; 12 flows start at the first ones.
pub fn layered(services: u32, degree: f64, back: f64, with_load: bool) -> Topology {
    let numbers = &mut Numbers::new(7);
    let layers = 8;
    let per_layer = services.div_ceil(layers);
    let mut all: Vec<Service> = (0..services).map(service).collect();
    for number in 0..services {
        let layer = number / per_layer;
        let count = (numbers.below((degree * 2.0) as u64 * 16) as f64 / 16.0).round() as u32;
        let mut called = std::collections::BTreeSet::new();
        for _ in 0..count {
            let on = if numbers.chance(back) {
                numbers.below(u64::from(services)) as u32
            } else {
                let first = (layer + 1) * per_layer;
                if first >= services {
                    continue;
                }
                // Mostly the next layer, sometimes a later one.
                let reach = if numbers.chance(0.8) { per_layer } else { services };
                first + numbers.below(u64::from(reach.min(services - first))) as u32
            };
            if on != number && called.insert(on) {
                all[number as usize].dependencies.push(protected(on, numbers));
            }
        }
        if with_load && numbers.chance(0.5) {
            all[number as usize].utilization =
                Utilization::new(0.3 + 0.05 * numbers.below(8) as f64);
            all[number as usize].recovery =
                Recovery { restart: seconds(120.0), warmup: seconds(300.0), crashes: false };
        }
    }
    let flows = (0..12.min(services)).map(flow).collect();
    Topology {
        name: format!("layered-{services}"),
        thresholds: Thresholds::default(),
        domains: Vec::new(),
        services: all,
        flows,
        shipping: ShippingDefaults::default(),
        unknown_pools: blastwave::model::topology::UnknownPools::LimitNothing,
        failing_targets_call: false,
    }
}

fn protected(on: u32, numbers: &mut Numbers) -> Dependency {
    let mut item = hard(on);
    item.timeout = if numbers.chance(0.7) { Timeout::After(seconds(1.0)) } else { Timeout::None };
    if numbers.chance(0.25) {
        item.criticality = Some(Criticality::Soft);
    }
    if numbers.chance(0.3) {
        item.retries = Some(2);
        item.retry_budget = numbers.chance(0.5).then(|| share(0.2));
    }
    if numbers.chance(0.05) {
        item.cache = Some(Cache {
            ttl: Some(seconds(600.0)),
            hit_ratio: share(0.9),
            service: None,
            refill: None,
        });
    }
    if numbers.chance(0.3) {
        item.propagation = share(0.9);
    }
    item
}

fn flow(number: u32) -> Flow {
    Flow {
        name: format!("flow-{number}"),
        title: None,
        steps: vec![hard(number)],
        rate: Rate::per_second(10.0),
        value: None,
        critical: false,
        objective: None,
        retry_by_users: None,
        patience: None,
        place: Place::default(),
    }
}

/// A break of one service in three stages, with detection and rollback.
pub fn staged(topology: &Topology, target: u32) -> Change {
    let on = TargetRef::Node(NodeRef { service: ServiceId(target), endpoint: None });
    let delay = |median: f64, p95: f64| Delay { median: seconds(median), p95: seconds(p95) };
    let stage = |exposure: f64, bake: Option<f64>, catch_probability: f64| Stage {
        exposure: share(exposure),
        bake: bake.map(seconds),
        catch_probability: share(catch_probability),
    };
    assert!((target as usize) < topology.services.len());
    Change {
        rollout: Some(Rollout {
            routing: Routing::Random,
            stages: vec![
                stage(0.01, Some(600.0), 0.5),
                stage(0.25, Some(1200.0), 0.5),
                stage(1.0, None, 0.0),
            ],
            strategy: None,
            replacing: None,
        }),
        detection: Some(Detection {
            alert_threshold: Some(share(0.01)),
            failures: None,
            watches: None,
            delay: Some(delay(300.0, 1800.0)),
            corrupt: None,
            depends_on: Vec::new(),
            needs_factor: 2.0,
        }),
        rollback: Some(Rollback {
            delay: Some(delay(900.0, 5400.0)),
            depends_on: Vec::new(),
            needs_factor: 2.0,
            works: share(0.95),
            worsens: Share::ZERO,
            takes: Seconds::ZERO,
        }),
        ..Change::from_targets("staged", vec![broken(on)])
    }
}

pub fn broken(on: TargetRef) -> Target {
    Target {
        severity_of: blastwave::model::change::SeverityOf::default(),
        on,
        probability: Share::ONE,
        modes: Modes {
            down: share(0.5),
            slow: share(0.3),
            corrupt: share(0.2),
            surge: Share::ZERO,
            surge_factor: 1.0,
            slowness: None,
        },
        severity: (share(0.6), Share::ONE),
        onset: Delay::default(),
        min_exposure: Share::ZERO,
        rollout: None,
        place: Place::default(),
    }
}

/// A service is down, for certain.
pub fn down(service: u32) -> Change {
    let on = TargetRef::Node(NodeRef { service: ServiceId(service), endpoint: None });
    let mut target = broken(on);
    target.modes = Modes::default();
    target.severity = (Share::ONE, Share::ONE);
    Change::from_targets("down", vec![target])
}

/// A cascade graph: `services` in layers, each with `degree` dependencies on average, a few of them
/// (`back`) anywhere, the others in a later layer, where popular services are chosen more often (Zipf
/// with exponent 0.8). Failure crosses each with a chance between 10% and 30%, or of 30% where `high`.
/// Popular services come first in their layer.
pub fn cascade(services: u32, degree: u32, back: f64, high: bool) -> Topology {
    let numbers = &mut Numbers::new(11);
    let layers = 12;
    let per_layer = services.div_ceil(layers);
    let mut all: Vec<Service> = (0..services).map(service).collect();
    for from in 0..services {
        let layer = from / per_layer;
        let mut called = std::collections::BTreeSet::new();
        for _ in 0..degree {
            let on = if numbers.chance(back) {
                numbers.below(u64::from(services)) as u32
            } else {
                let further = if numbers.chance(0.7) { 0 } else { numbers.below(3) as u32 };
                let first = (layer + 1 + further) * per_layer;
                if first >= services {
                    continue;
                }
                first + zipf(numbers, per_layer.min(services - first))
            };
            if on != from && called.insert(on) {
                let mut edge = hard(on);
                let spread = 0.2 * (numbers.below(1 << 20) as f64 / 1_048_576.0);
                edge.propagation = share(if high { 0.3 } else { 0.1 + spread });
                all[from as usize].dependencies.push(edge);
            }
        }
    }
    Topology {
        name: format!("cascade-{services}"),
        thresholds: Thresholds::default(),
        domains: Vec::new(),
        services: all,
        flows: Vec::new(),
        shipping: ShippingDefaults::default(),
        unknown_pools: blastwave::model::topology::UnknownPools::LimitNothing,
        failing_targets_call: false,
    }
}

/// A rank from 0, by a power law of exponent 0.8.
fn zipf(numbers: &mut Numbers, count: u32) -> u32 {
    let unit = (numbers.next() >> 11) as f64 * (-53_f64).exp2();
    let rank = f64::from(count) * unit.powf(5.0);
    (rank as u32).min(count - 1)
}

/// The most popular service of the last layer is down, for certain.
pub fn popular_down(topology: &Topology) -> Change {
    let services = topology.services.len() as u32;
    let per_layer = services.div_ceil(12);
    let last = (services - 1) / per_layer * per_layer;
    down(last)
}

/// The most memory that the process had, where the system tells.
pub fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}
