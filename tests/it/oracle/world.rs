//! The draws of one trial: section "A trial".

use std::collections::BTreeMap;

use blastwave::compile::Key;
use blastwave::engine::draws::{CHUNK, ChunkDraws, Draws};
use blastwave::model::change::{Component, Delay, Modes, Stage, Target, TargetRef};
use blastwave::model::defaults::MTTR;
use blastwave::model::topology::{DomainId, Service};
use blastwave::model::{Change, Share};

use super::graph::Graph;

/// How a broken target breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Fails fast.
    Down,
    /// Hangs.
    Slow,
    /// Gives wrong answers that are taken for right.
    Corrupt,
    /// Works, but calls its dependencies more often.
    Surge,
}

/// What a target drew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DrawnTarget {
    /// Whether it breaks.
    pub(crate) broken: bool,
    /// How, if it does.
    pub(crate) mode: Mode,
    /// Which share of requests served by changed instances fails.
    pub(crate) severity: f64,
    /// From first exposure to first failure, in seconds.
    pub(crate) onset: f64,
}

/// Everything that one trial draws. Delays are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct World {
    /// By name of the domain: down for its own reasons.
    pub(crate) domain_down: BTreeMap<String, bool>,
    /// By name of the service: down for its own reasons.
    pub(crate) service_down: BTreeMap<String, bool>,
    /// By `service#i`: down for its own reasons.
    pub(crate) replica_down: BTreeMap<String, bool>,
    /// In the order of [`Change::targets`].
    pub(crate) targets: Vec<DrawnTarget>,
    /// By name of the service, `service#i` or domain: the times at which its later outages begin and end,
    /// in turn; the first is the end of the one at the start, if there is one.
    pub(crate) turns: BTreeMap<String, Vec<f64>>,
    /// By `caller>dependency`: failure reaches the caller at all.
    pub(crate) reaches: BTreeMap<String, bool>,
    /// By `caller>dependency`: the fallback works.
    pub(crate) fallback_works: BTreeMap<String, bool>,
    /// By stage: a failing target is caught at its end.
    pub(crate) gates: Vec<bool>,
    /// By target and stage of its own rollout: the same.
    pub(crate) target_gates: Vec<Vec<bool>>,
    /// By stage, and by target and stage of its own: whether the gate sees enough, as a number between
    /// 0 and 1.
    pub(crate) gate_counts: Vec<f64>,
    pub(crate) target_gate_counts: Vec<Vec<f64>>,
    /// Of the ordinary clock.
    pub(crate) detection: f64,
    /// Of the corrupt clock.
    pub(crate) detection_corrupt: f64,
    /// Of the rollback.
    pub(crate) rollback: f64,
    /// Of the kill switch.
    pub(crate) kill_switch: f64,
    /// By which corrupt data outlives the cause; `None` = the change says nothing of it.
    pub(crate) repair: Option<f64>,
    /// The rollback ends the cause.
    pub(crate) rollback_works: bool,
    /// The rollback leaves every broken target wholly down.
    pub(crate) rollback_worsens: bool,
    /// The kill switch ends the cause.
    pub(crate) kill_switch_works: bool,
}

/// Reads the draws of one trial.
struct Dice {
    draws: ChunkDraws,
    lane: u32,
}

impl Dice {
    fn new(seed: u64, trial: u64) -> Self {
        let chunk = u64::from(CHUNK);
        Self { draws: Draws::new(seed).chunk(trial / chunk), lane: (trial % chunk) as u32 }
    }

    fn happens(&self, what: &str, name: &str, probability: f64) -> bool {
        self.draws.bernoulli(Key::new(what, name), probability) >> self.lane & 1 == 1
    }

    fn between(&self, what: &str, name: &str, low: f64, high: f64) -> f64 {
        low + (high - low) * self.draws.uniform(Key::new(what, name), self.lane)
    }

    /// A lognormal delay: `median * exp(sigma z)`.
    fn delay(&self, what: &str, name: &str, delay: Delay) -> f64 {
        let (median, p95) = (delay.median.get(), delay.p95.get());
        if median <= 0.0 {
            return 0.0;
        }
        let sigma = libm::log(p95 / median) / 1.644_853_626_951_472_2;
        median * libm::exp(sigma * self.draws.normal(Key::new(what, name), self.lane))
    }
}

impl Dice {
    /// When something that is up a share of the time goes down and up, from the start to the horizon.
    fn turns(&self, name: &str, up: f64, down_at_first: bool, mttr: Delay, end: f64) -> Vec<f64> {
        let mut turns = Vec::new();
        if up <= 0.0 || up >= 1.0 {
            return turns;
        }
        let sigma = libm::log(mttr.p95.get() / mttr.median.get()) / 1.644_853_626_951_472_2;
        let mean = mttr.median.get() * libm::exp(sigma * sigma / 2.0);
        let length = |number: u32| self.delay("outage-length", &format!("{name}#{number}"), mttr);
        let mut now = 0.0;
        if down_at_first {
            // What one comes upon is the longer the likelier, and one comes upon it anywhere.
            let left = self.between("outage-left", name, 0.0, 1.0);
            now = left * libm::exp(sigma * sigma) * length(0);
            turns.push(now);
        }
        for number in 1.. {
            let uniform = self.between("outage-gap", &format!("{name}#{number}"), 0.0, 1.0);
            let begins = now - libm::log(uniform) * mean * up / (1.0 - up);
            if begins >= end {
                break;
            }
            now = begins + length(number);
            turns.extend([begins, now]);
        }
        turns
    }
}

impl World {
    /// Whether something is down for its own reasons at this time, given whether it is so at the start.
    fn is_down(&self, name: &str, at_first: bool, now: f64) -> bool {
        let turns = self.turns.get(name).map_or(&[][..], Vec::as_slice);
        let turned = turns.iter().filter(|turn| **turn <= now).count();
        at_first ^ (turned % 2 == 1)
    }

    /// Draws trial number `trial`.
    pub(crate) fn draw(graph: &Graph, change: &Change, seed: u64, trial: u64) -> Self {
        let dice = Dice::new(seed, trial);
        let topology = graph.topology;
        let own_reasons = |what, name: &str, availability: Option<Share>| {
            let down = availability.map_or(0.0, |share| share.complement().get());
            (name.to_owned(), dice.happens(what, name, down))
        };
        let mut replica_down = BTreeMap::new();
        for service in &topology.services {
            for replica in service.replicas.iter().flat_map(|replicas| 0..replicas.count) {
                let availability = service.replicas.as_ref().and_then(|r| r.availability);
                let name = replica_name(service, replica);
                replica_down.extend([own_reasons("replica", &name, availability)]);
            }
        }
        let by_dependency = |draw: &dyn Fn(&str, &super::graph::Written) -> bool| {
            graph.written.iter().map(|w| (w.key.clone(), draw(&w.key, w))).collect()
        };
        let delay = |what, delay: Option<Delay>| dice.delay(what, "", delay.unwrap_or_default());
        let mut turns = BTreeMap::new();
        if !change.is_moment() {
            let mut add = |what, name: String, availability: Option<Share>, mttr: Option<Delay>| {
                let up = availability.map_or(1.0, Share::get);
                let down_at_first = dice.happens(what, &name, 1.0 - up);
                let mttr = mttr.unwrap_or(Delay { median: MTTR.0, p95: MTTR.1 });
                let times = dice.turns(&name, up, down_at_first, mttr, change.horizon.get());
                turns.insert(name, times);
            };
            for item in &topology.domains {
                let is_down = change.during.contains(&Component::Domain(
                    topology.domain_id(&item.name).expect("it has a number"),
                ));
                let availability = item.availability.filter(|_| !is_down);
                add("domain", item.name.clone(), availability, item.mttr);
            }
            for item in &topology.services {
                let is_down = change.during.contains(&Component::Service(
                    topology.service_id(&item.name).expect("it has a number"),
                ));
                let availability = item.availability.filter(|_| !is_down);
                add("service", item.name.clone(), availability, item.mttr);
                if let Some(replicas) = &item.replicas {
                    for number in 0..replicas.count {
                        let name = replica_name(item, number);
                        add("replica", name, replicas.availability, replicas.mttr);
                    }
                }
            }
        }
        let detection = change.detection.as_ref();
        let rollback = change.rollback.as_ref();
        let kill_switch = change.kill_switch.as_ref();
        Self {
            domain_down: (topology.domains.iter())
                .map(|domain| own_reasons("domain", &domain.name, domain.availability))
                .collect(),
            service_down: (topology.services.iter())
                .map(|service| own_reasons("service", &service.name, service.availability))
                .collect(),
            replica_down,
            turns,
            targets: change.targets.iter().map(|t| draw_target(graph, &dice, change, t)).collect(),
            reaches: by_dependency(&|key, written| {
                dice.happens("propagation", key, written.dependency.propagation.get())
            }),
            fallback_works: by_dependency(&|key, written| {
                let works = written.dependency.fallback.map_or(0.0, |f| f.works.get());
                dice.happens("fallback", key, works)
            }),
            gates: (change.rollout.iter().flat_map(|rollout| &rollout.stages).enumerate())
                .map(|(i, stage)| {
                    dice.happens("gate", &i.to_string(), stage.catch_probability.get())
                })
                .collect(),
            target_gates: (change.targets.iter())
                .map(|target| {
                    let name = target_name(graph, target);
                    let stages = target.rollout.iter().flat_map(|rollout| &rollout.stages);
                    let gate = |(i, stage): (usize, &Stage)| {
                        dice.happens("gate", &format!("{name}/{i}"), stage.catch_probability.get())
                    };
                    stages.enumerate().map(gate).collect()
                })
                .collect(),
            gate_counts: (change.rollout.iter().flat_map(|rollout| &rollout.stages).enumerate())
                .map(|(i, _)| dice.between("gate-count", &i.to_string(), 0.0, 1.0))
                .collect(),
            target_gate_counts: (change.targets.iter())
                .map(|target| {
                    let name = target_name(graph, target);
                    let stages = target.rollout.iter().flat_map(|rollout| &rollout.stages);
                    let draw =
                        |(i, _)| dice.between("gate-count", &format!("{name}/{i}"), 0.0, 1.0);
                    stages.enumerate().map(draw).collect()
                })
                .collect(),
            detection: delay("detection", detection.and_then(|d| d.delay)),
            detection_corrupt: delay(
                "detection-corrupt",
                detection.and_then(|d| d.corrupt.or(d.delay)),
            ),
            rollback: delay("rollback", rollback.and_then(|r| r.delay)),
            kill_switch: delay("kill-switch", kill_switch.map(|k| k.delay)),
            repair: change.repair.map(|repair| delay("repair", Some(repair))),
            rollback_works: rollback
                .is_some_and(|r| dice.happens("rollback-works", "", r.works.get())),
            rollback_worsens: rollback
                .is_some_and(|r| dice.happens("rollback-worsens", "", r.worsens.get())),
            kill_switch_works: kill_switch
                .is_some_and(|k| dice.happens("kill-switch-works", "", k.works.get())),
        }
    }
}

fn target_name(graph: &Graph, target: &Target) -> String {
    match target.on {
        TargetRef::Node(node) => graph.topology.node_name(node),
        TargetRef::Domain(domain) => graph.topology.domain(domain).name.clone(),
    }
}

fn draw_target(graph: &Graph, dice: &Dice, change: &Change, target: &Target) -> DrawnTarget {
    let name = target_name(graph, target);
    // One change is one cause, unless it says otherwise.
    let services =
        || change.targets.iter().filter(|target| matches!(target.on, TargetRef::Node(_)));
    let is_one_cause =
        !change.independent && services().all(|service| service.modes == target.modes);
    let is_domain = matches!(target.on, TargetRef::Domain(_));
    let mode_name = services()
        .next()
        .filter(|_| is_one_cause && !is_domain)
        .map_or(name.clone(), |item| target_name(graph, item));
    let (low, high) = target.severity;
    DrawnTarget {
        broken: dice.happens("target", &name, target.probability.get()),
        mode: draw_mode(dice, &mode_name, &target.modes),
        severity: if is_domain {
            1.0
        } else {
            dice.between("severity", &name, low.get(), high.get())
        },
        onset: dice.delay("onset", &name, target.onset),
    }
}

/// Each mode with its chance given that the ones before were not drawn.
fn draw_mode(dice: &Dice, name: &str, modes: &Modes) -> Mode {
    let in_order = [
        (Mode::Down, "mode-down", modes.down.get()),
        (Mode::Slow, "mode-slow", modes.slow.get()),
        (Mode::Corrupt, "mode-corrupt", modes.corrupt.get()),
        (Mode::Surge, "", modes.surge.get()),
    ];
    let mut left = 1.0;
    for (index, (mode, what, chance)) in in_order.into_iter().enumerate() {
        // Certain when nothing else can follow, whatever rounding left of the rest.
        let is_last = in_order[index + 1..].iter().all(|(_, _, later)| *later <= 0.0);
        if is_last || dice.happens(what, name, chance / left) {
            return mode;
        }
        left -= chance;
    }
    Mode::Surge
}

fn replica_name(service: &Service, replica: u32) -> String {
    format!("{}#{replica}", service.name)
}

/// What the services have left of domains and replicas.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Infrastructure {
    /// By service: wholly down for its own reasons, through `during`, its domains or its replicas.
    pub(crate) down: Vec<bool>,
    /// By service: the share of its replicas that is up.
    pub(crate) up: Vec<f64>,
    /// By service: the share of its calls that hangs in targets, where callers never learn that it does.
    pub(crate) hanging: Vec<f64>,
    /// By service: whether what it lost to targets hangs.
    pub(crate) loses_slowly: Vec<bool>,
}

impl World {
    /// What is up while these domains are down because they are targets.
    pub(crate) fn infrastructure(
        &self,
        graph: &Graph,
        change: &Change,
        targets: &[(DomainId, bool)],
        now: f64,
    ) -> Infrastructure {
        let hanging: Vec<DomainId> =
            targets.iter().filter(|(_, hangs)| *hangs).map(|(domain, _)| *domain).collect();
        let all: Vec<DomainId> = targets.iter().map(|(domain, _)| *domain).collect();
        let down: Vec<DomainId> =
            targets.iter().filter(|(_, hangs)| !hangs).map(|(domain, _)| *domain).collect();
        let mut infrastructure = self.without(graph, change, &down, now);
        if hanging.is_empty() {
            return infrastructure;
        }
        // What hangs serves nobody; where callers learn of it, it is as good as down.
        let lost = self.without(graph, change, &all, now);
        for (service, stated) in graph.topology.services.iter().enumerate() {
            let learns = stated.replicas.as_ref().and_then(|replicas| replicas.failover).is_some();
            let (was_down, up) = (infrastructure.down[service], infrastructure.up[service]);
            infrastructure.up[service] = lost.up[service];
            infrastructure.loses_slowly[service] =
                lost.up[service] < up || (lost.down[service] && !was_down);
            if learns {
                infrastructure.down[service] = lost.down[service];
            } else if !was_down {
                infrastructure.hanging[service] =
                    if lost.down[service] { 1.0 } else { up - lost.up[service] };
            }
        }
        infrastructure
    }

    /// What is up while these domains are down.
    fn without(
        &self,
        graph: &Graph,
        change: &Change,
        targets: &[DomainId],
        now: f64,
    ) -> Infrastructure {
        let topology = graph.topology;
        let own_reasons = |domain: DomainId| {
            let name = &topology.domain(domain).name;
            self.is_down(name, self.domain_down[name], now)
                || change.during.contains(&Component::Domain(domain))
                || targets.contains(&domain)
        };
        let domain_is_down = |domain: DomainId| {
            let mut around = Some(domain);
            while let Some(domain) = around {
                if own_reasons(domain) {
                    return true;
                }
                around = topology.domain(domain).within;
            }
            false
        };
        let replica_is_up = |service: &Service, replica: u32, domains: &[DomainId]| {
            let domain = domains.get(replica as usize % domains.len().max(1));
            let name = replica_name(service, replica);
            !self.is_down(&name, self.replica_down[&name], now)
                && !domain.is_some_and(|domain| domain_is_down(*domain))
        };
        let services = topology.services.len();
        let mut infrastructure = Infrastructure {
            down: Vec::new(),
            up: Vec::new(),
            hanging: vec![0.0; services],
            loses_slowly: vec![false; services],
        };
        for service in &topology.services {
            let id = topology.service_id(&service.name).expect("services are sorted by name");
            let mut down = self.is_down(&service.name, self.service_down[&service.name], now)
                || change.during.contains(&Component::Service(id))
                || (!service.domains.is_empty()
                    && service.domains.iter().all(|domain| domain_is_down(*domain)));
            let mut up = 1.0;
            if let Some(replicas) = &service.replicas {
                let count = (0..replicas.count)
                    .filter(|replica| replica_is_up(service, *replica, &replicas.domains))
                    .count();
                down |= count < replicas.needs as usize;
                up = count as f64 / f64::from(replicas.count);
            }
            infrastructure.down.push(down);
            infrastructure.up.push(up);
        }
        infrastructure
    }
}
