//! What is not to be had exactly, from pairs of trials with the same draws: importance, and what
//! protections save.

use super::importance::Figures;
use crate::compile::compile;
use crate::engine::outcome::Outcome;
use crate::engine::{Silent, Simulation};
use crate::model::change::{Component, TargetRef};
use crate::model::topology::{Criticality, Fallback, Phase, ServiceId, Timeout};
use crate::model::{Change, Share, Topology};
use crate::report::explain::{ImportanceReport, Measured, ProtectionReport};
use crate::study::Settings;
use crate::study::simulate::Stop;
use crate::summary::Summary;
use crate::summary::paired::{self, Difference};

/// How many pairs of trials a part gets at the most.
const PAIRS: u64 = 512;
/// How many pairs a protection gets at the most.
const PROTECTION_PAIRS: u64 = 1_024;
/// How many parts are looked at, those that failure came to most often first.
const PARTS: usize = 40;
/// How many protections are removed for a trial.
const PROTECTIONS: usize = 24;

/// A topology and a change to it.
#[derive(Clone)]
pub(super) struct World {
    pub(super) topology: Topology,
    pub(super) change: Change,
}

impl World {
    fn each(&self, settings: &Settings, trials: u64, take: impl FnMut(&Outcome)) {
        let plan = compile(&self.topology, &self.change, settings.lasting);
        Simulation::with(&plan, settings.seed, settings.engine).each(0..trials, &Silent, take);
    }

    /// By flow, in which trials it fails: 64 in each mask.
    fn failures(&self, settings: &Settings, trials: u64) -> Vec<Vec<u64>> {
        let mut failures = vec![Vec::new(); self.topology.flows.len()];
        self.each(settings, trials, |outcome| {
            let first = outcome.units.len() - failures.len();
            for (masks, unit) in failures.iter_mut().zip(&outcome.units[first..]) {
                masks.push(unit.failed & outcome.valid);
            }
        });
        failures
    }

    /// What each trial loses: orders where they are known, else the mean failing share of flows.
    fn losses(&self, settings: &Settings, trials: u64) -> Vec<f64> {
        let mut losses = Vec::new();
        self.each(settings, trials, |outcome| {
            let counts_orders = counts_orders(outcome);
            for trial in (0..64).filter(|trial| outcome.valid >> trial & 1 == 1) {
                losses.push(loss(outcome, trial, counts_orders));
            }
        });
        losses
    }
}

fn counts_orders(outcome: &Outcome) -> bool {
    outcome.flows.iter().any(|flow| !flow.lost[0].is_nan())
}

fn loss(outcome: &Outcome, trial: usize, counts_orders: bool) -> f64 {
    if counts_orders {
        return outcome.flows.iter().map(|it| it.lost[trial]).filter(|it| !it.is_nan()).sum();
    }
    let shares = outcome.flows.iter().map(|flow| flow.share[trial]);
    shares.sum::<f64>() / outcome.flows.len().max(1) as f64
}

fn pairs(settings: &Settings, most: u64) -> u64 {
    match settings.stop {
        Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials.min(most),
    }
}

/// Something that may fail, and the worlds in which it does for certain, and never.
struct Part {
    kind: &'static str,
    name: String,
    q: f64,
    failed: World,
    works: World,
}

/// By flow, the importance of every part that failure came to, most first.
pub(super) fn importance(
    world: &World,
    settings: &Settings,
    summary: &Summary,
    flows: &[u32],
) -> Vec<Vec<ImportanceReport>> {
    let trials = pairs(settings, PAIRS);
    let first = summary.units.len() - world.topology.flows.len();
    let mut reports = vec![Vec::new(); flows.len()];
    for part in parts(world, summary) {
        let failed = part.failed.failures(settings, trials);
        let works = part.works.failures(settings, trials);
        for (reports, flow) in reports.iter_mut().zip(flows) {
            let flow = *flow as usize;
            let count = |masks: &[Vec<u64>]| {
                masks[flow].iter().map(|mask| u64::from(mask.count_ones())).sum::<u64>()
            };
            let only = |a: &[Vec<u64>], b: &[Vec<u64>]| {
                let both = a[flow].iter().zip(&b[flow]);
                both.map(|(a, b)| u64::from((a & !b).count_ones())).sum::<u64>()
            };
            let (more, less) = (only(&failed, &works), only(&works, &failed));
            if more == 0 && less == 0 {
                continue;
            }
            let share = |count: u64| count as f64 / trials.max(1) as f64;
            let figures = Figures {
                // Of all trials: the pairs are too few to see what is rare.
                p: summary.units[first + flow].failed.p,
                if_failed: share(count(&failed)),
                if_works: share(count(&works)),
                q: part.q,
            };
            let birnbaum = measured(paired::proportions(more, less, trials));
            reports.push(figures.report(part.kind, part.name.clone(), birnbaum));
        }
    }
    reports.iter_mut().for_each(|reports| super::importance::most_first(reports));
    reports
}

fn measured(of: Difference) -> Measured {
    Measured { value: of.value, low: Some(of.low), high: Some(of.high) }
}

/// The parts worth trying, those that failure came to most often first.
fn parts(world: &World, summary: &Summary) -> Vec<Part> {
    let mut parts: Vec<(f64, Part)> = Vec::new();
    let topology = &world.topology;
    for (number, target) in world.change.targets.iter().enumerate() {
        let with = |probability: Share| {
            let mut world = world.clone();
            world.change.targets[number].probability = probability;
            world
        };
        let name = match target.on {
            TargetRef::Node(node) => topology.node_name(node),
            TargetRef::Domain(domain) => topology.domain(domain).name.clone(),
        };
        let (failed, works) = (with(Share::ONE), with(Share::ZERO));
        parts
            .push((2.0, Part { kind: "target", name, q: target.probability.get(), failed, works }));
    }
    for (number, service) in topology.services.iter().enumerate() {
        // As often as it fails; the others come last, since they matter only if they did.
        let often = summary.units[number].failed.p;
        parts.push((often, service_part(world, number)));
        if service.replicas.is_some() {
            parts.push((often, replicas_part(world, number)));
        }
    }
    for (number, (caller, it)) in topology.written().enumerate() {
        let Some(seen) = &summary.dependencies[number] else { continue };
        if it.phase != Phase::Serve {
            continue;
        }
        let name = format!("{}>{}", topology.caller_name(caller), topology.dependency_name(it));
        let with = |propagation: Share| {
            let mut world = world.clone();
            super::super::unknowns::dependency_mut(&mut world.topology, number).propagation =
                propagation;
            world
        };
        let (failed, works) = (with(Share::ONE), with(Share::ZERO));
        let q = it.propagation.get();
        parts.push((seen.tried, Part { kind: "dependency", name: name.clone(), q, failed, works }));
        let Some(fallback) = it.fallback else { continue };
        let with = |works: Share| {
            let mut world = world.clone();
            let it = super::super::unknowns::dependency_mut(&mut world.topology, number);
            it.fallback = Some(Fallback { works, ..fallback });
            world
        };
        let (failed, works) = (with(Share::ZERO), with(Share::ONE));
        let q = fallback.works.complement().get();
        parts.push((seen.tried, Part { kind: "fallback", name, q, failed, works }));
    }
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    parts.into_iter().take(PARTS).map(|(_, part)| part).collect()
}

fn service_part(world: &World, number: usize) -> Part {
    let service = &world.topology.services[number];
    let component = Component::Service(ServiceId(number as u32));
    let (mut failed, mut works) = (world.clone(), world.clone());
    failed.change.during.push(component);
    works.change.during.retain(|it| *it != component);
    works.topology.services[number].availability = None;
    let is_during = world.change.during.contains(&component);
    let q = service.availability.map_or(0.0, |share| share.complement().get());
    let q = if is_during { 1.0 } else { q };
    Part { kind: "service", name: service.name.clone(), q, failed, works }
}

fn replicas_part(world: &World, number: usize) -> Part {
    let with = |availability: Share| {
        let mut world = world.clone();
        if let Some(replicas) = &mut world.topology.services[number].replicas {
            replicas.availability = Some(availability);
        }
        world
    };
    let service = &world.topology.services[number];
    let q = service.replicas.as_ref().map_or(0.0, |replicas| {
        let one = replicas.availability.map_or(0.0, |share| share.complement().get());
        let chances = (0..replicas.count).map(|_| one);
        super::importance::at_least((replicas.count - replicas.needs) as usize + 1, chances)
    });
    let (failed, works) = (with(Share::ZERO), with(Share::ONE));
    Part { kind: "replicas", name: service.name.clone(), q, failed, works }
}

/// What each stated protection did, and what it saved, the one that saved most first.
pub(super) fn containment(
    world: &World,
    settings: &Settings,
    summary: &Summary,
) -> Vec<ProtectionReport> {
    let trials = pairs(settings, PROTECTION_PAIRS);
    let base = world.losses(settings, trials);
    let measure = if summary.total.is_some() { "orders_lost" } else { "failing_share" };
    let mut found: Vec<(f64, usize, &'static str)> = Vec::new();
    for (number, (_, it)) in world.topology.written().enumerate() {
        let Some(seen) = &summary.dependencies[number] else { continue };
        for protection in Protection::ALL.into_iter().filter(|them| them.is_stated(it)) {
            found.push((seen.held[protection.guard()], number, protection.as_str()));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut reports: Vec<ProtectionReport> = found
        .into_iter()
        .enumerate()
        .map(|(place, (held, number, protection))| {
            let (caller, it) =
                world.topology.written().nth(number).expect("found among those written");
            let seen = summary.dependencies[number].as_ref().expect("found where failure came");
            let protection = Protection::ALL
                .into_iter()
                .find(|it| it.as_str() == protection)
                .expect("one of them");
            let saved = (place < PROTECTIONS).then(|| {
                let mut without = world.clone();
                protection
                    .remove(super::super::unknowns::dependency_mut(&mut without.topology, number));
                let lost = without.losses(settings, trials);
                measured(paired::mean(lost.iter().zip(&base).map(|(a, b)| a - b)))
            });
            ProtectionReport {
                caller: world.topology.caller_name(caller),
                dependency: world.topology.dependency_name(it),
                protection: protection.as_str().to_owned(),
                tried: seen.tried,
                held,
                leaked: seen.passed,
                saved,
                measure: measure.to_owned(),
            }
        })
        .collect();
    let value = |it: &ProtectionReport| it.saved.map_or(f64::NEG_INFINITY, |saved| saved.value);
    // Those that were not tried out stay last, those that held most first.
    reports.sort_by(|a, b| value(b).total_cmp(&value(a)));
    reports
}

/// A protection that a dependency may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    Timeout,
    Validation,
    Retry,
    Cache,
    Buffer,
    Fallback,
    Soft,
    Redundancy,
}

impl Protection {
    const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Validation,
        Self::Retry,
        Self::Cache,
        Self::Buffer,
        Self::Fallback,
        Self::Soft,
        Self::Redundancy,
    ];

    fn as_str(self) -> &'static str {
        crate::engine::Guard::ALL[self.guard()].as_str()
    }

    /// The number of the guard that the engine names.
    fn guard(self) -> usize {
        use crate::engine::Guard;
        (match self {
            Self::Timeout => Guard::Timeout,
            Self::Validation => Guard::Validation,
            Self::Retry => Guard::Retry,
            Self::Cache => Guard::Cache,
            Self::Buffer => Guard::Buffer,
            Self::Fallback => Guard::Fallback,
            Self::Soft => Guard::Soft,
            Self::Redundancy => Guard::Redundancy,
        }) as usize
    }

    fn is_stated(self, it: &crate::model::topology::Dependency) -> bool {
        match self {
            Self::Timeout => it.timeout.is_set() || it.circuit_breaker == Some(true),
            Self::Validation => it.validates == Some(true),
            Self::Retry => it.retries.is_some_and(|retries| retries > 0),
            Self::Cache => it.cache.is_some(),
            Self::Buffer => it.buffer.is_some(),
            Self::Fallback => it.fallback.is_some(),
            Self::Soft => it.is_soft(),
            Self::Redundancy => it.any_of && (it.needs as usize) < it.on.len(),
        }
    }

    fn remove(self, it: &mut crate::model::topology::Dependency) {
        match self {
            Self::Timeout => (it.timeout, it.circuit_breaker) = (Timeout::None, None),
            Self::Validation => it.validates = None,
            Self::Retry => (it.retries, it.retry_budget) = (None, None),
            Self::Cache => it.cache = None,
            Self::Buffer => it.buffer = None,
            Self::Fallback => it.fallback = None,
            Self::Soft => it.criticality = Some(Criticality::Hard),
            Self::Redundancy => it.needs = it.on.len() as u32,
        }
    }
}
