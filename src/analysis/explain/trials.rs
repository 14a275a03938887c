//! Estimates what cannot be computed exactly, from pairs of trials with the same draws:
//! importance, and savings of protections.

use super::importance::Figures;
use super::names::PartName;
use crate::analysis::Settings;
use crate::analysis::simulate::Stop;
use crate::analysis::unknowns::dependency_mut;
use crate::compile::compile;
use crate::compile::plan::FlowId;
use crate::engine::outcome::Outcome;
use crate::engine::{self, Silent, Simulator};
use crate::model::change::{Component, TargetRef};
use crate::model::topology::{Criticality, Dependency, Phase, ServiceId, Timeout};
use crate::model::{Change, Share, Topology};
use crate::report::explain::{ImportanceReport, Measured, ProtectionReport};
use crate::report::{self, Metric, PartKind};
use crate::sort::Arrange as _;
use crate::summary::Summary;
use crate::summary::difference::Paired;
use crate::summary::paired::{self, PairedDifference};

/// How many pairs of trials a part gets at the most.
const PAIRS: u64 = 512;
/// How many pairs a protection gets at the most.
const PROTECTION_PAIRS: u64 = 1_024;
/// How many parts are looked at in any case, those that failure came to most often first.
const PARTS: usize = 40;
/// How many protections are removed for a trial in any case, those that held most often first.
const PROTECTIONS: usize = 24;
/// How many services, flows and calls may be computed for either in all trials together: what is small
/// is looked at whole.
const WORK: u64 = 100_000_000;

/// A topology and a change to it.
#[derive(Clone)]
pub(super) struct Variant {
    pub(super) topology: Topology,
    pub(super) change: Change,
}

impl Variant {
    fn each_outcome(&self, settings: &Settings, trials: u64, take: impl FnMut(&Outcome)) {
        let plan = compile(&self.topology, &self.change, settings.lasting);
        Simulator::with_engine(&plan, settings.seed, settings.engine).each_outcome(
            0..trials,
            &Silent,
            take,
        );
    }

    /// By flow, in which trials it fails: 64 in each mask.
    fn flow_failures(&self, settings: &Settings, trials: u64) -> Vec<Vec<u64>> {
        let mut failures = vec![Vec::new(); self.topology.flows.len()];
        self.each_outcome(settings, trials, |outcome| {
            let first = outcome.units.len() - failures.len();
            for (masks, unit) in failures.iter_mut().zip(&outcome.units[first..]) {
                // Lanes beyond the last trial hold no trial.
                masks.push(unit.failed & outcome.valid);
            }
        });
        failures
    }

    /// Returns the loss of each trial: orders where they are known, else the mean failing share of
    /// flows.
    fn trial_losses(&self, settings: &Settings, trials: u64) -> Vec<f64> {
        let mut losses = Vec::new();
        self.each_outcome(settings, trials, |outcome| {
            let counts_orders = counts_orders(outcome);
            for trial in (0..64).filter(|trial| outcome.valid >> trial & 1 == 1) {
                losses.push(loss_of(outcome, trial, counts_orders));
            }
        });
        losses
    }
}

fn counts_orders(outcome: &Outcome) -> bool {
    outcome.flows.iter().any(|flow| !flow.lost[0].is_nan())
}

fn loss_of(outcome: &Outcome, trial: usize, counts_orders: bool) -> f64 {
    if counts_orders {
        return outcome
            .flows
            .iter()
            .map(|flow| flow.lost[trial])
            // A flow without a rate loses orders that nobody can count.
            .filter(|flow| !flow.is_nan())
            .sum();
    }
    let shares = outcome.flows.iter().map(|flow| flow.share[trial]);
    shares.sum::<f64>() / outcome.flows.len().max(1) as f64
}

fn paired_trials(settings: &Settings, most: u64) -> u64 {
    match settings.stop {
        Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials.min(most),
    }
}

/// Something that may fail, by its number in the change, the topology, or among dependencies.
#[derive(Clone, Copy, Debug)]
enum TriedPart {
    Target(usize),
    Service(usize),
    Replicas(usize),
    Dependency(usize),
    Fallback(usize),
}

/// Number of variants that are affordable, each of this number of trials.
fn affordable_variants(variant: &Variant, trials: u64, least: usize) -> usize {
    let endpoints =
        variant.topology.services.iter().map(|service| service.endpoints.len()).sum::<usize>();
    let nodes = variant.topology.services.len() + endpoints + variant.topology.flows.len();
    let size = (nodes + variant.topology.declared_dependencies().count()) as u64;
    // In a small system everything is affordable, and in a large one at least the most frequent
    // parts.
    usize::try_from(WORK / (size * trials).max(1)).unwrap_or(usize::MAX).max(least)
}

/// By flow, the importance of every part that failure came to, most first; and how many parts were
/// left out, those that it came to least often.
pub(super) fn sampled_importance(
    variant: &Variant,
    settings: &Settings,
    summary: &Summary,
    flows: &[FlowId],
) -> (Vec<Vec<ImportanceReport>>, u64) {
    let trials = paired_trials(settings, PAIRS);
    let first = summary.units.len() - variant.topology.flows.len();
    let mut reports = vec![Vec::new(); flows.len()];
    let mut parts = parts_to_try(variant, summary);
    let left_out = parts.len();
    parts.truncate(affordable_variants(variant, 2 * trials, PARTS));
    let left_out = (left_out - parts.len()) as u64;
    for part in parts {
        // Both variants use the draws of the question, so only the part makes the difference.
        let failed = part.variant_with(variant, true).flow_failures(settings, trials);
        let works = part.variant_with(variant, false).flow_failures(settings, trials);
        let (kind, name, q) = part.part_name(variant);
        for (reports, flow) in reports.iter_mut().zip(flows) {
            let flow = flow.index();
            let count = |masks: &[Vec<u64>]| {
                masks[flow].iter().map(|mask| u64::from(mask.count_ones())).sum::<u64>()
            };
            let only = |a: &[Vec<u64>], b: &[Vec<u64>]| {
                let both = a[flow].iter().zip(&b[flow]);
                both.map(|(a, b)| u64::from((a & !b).count_ones())).sum::<u64>()
            };
            let (more, less) = (only(&failed, &works), only(&works, &failed));
            // A part that changed no trial would be a line of zeros.
            if more == 0 && less == 0 {
                continue;
            }
            let share = |count: u64| count as f64 / trials.max(1) as f64;
            let figures = Figures {
                // Of all trials: the pairs are too few to see what is rare.
                p: summary.units[first + flow].failed.p,
                if_failed: share(count(&failed)),
                if_works: share(count(&works)),
                q,
            };
            let birnbaum = measured_difference(paired::paired_proportions(more, less, trials));
            reports.push(figures.importance_report(kind, name.clone(), birnbaum));
        }
    }
    reports.iter_mut().for_each(|reports| super::importance::most_first(reports));
    (reports, left_out)
}

fn measured_difference(of: PairedDifference) -> Measured {
    Measured { value: of.value, low: Some(of.low), high: Some(of.high) }
}

/// The parts worth trying, those that failure came to most often first.
fn parts_to_try(variant: &Variant, summary: &Summary) -> Vec<TriedPart> {
    // The change comes before everything.
    let targets = 0..variant.change.targets.len();
    let mut parts: Vec<(f64, TriedPart)> =
        targets.map(|number| (2.0, TriedPart::Target(number))).collect();
    for (number, service) in variant.topology.services.iter().enumerate() {
        let often = summary.units[number].failed.p;
        parts.push((often, TriedPart::Service(number)));
        if service.replicas.is_some() {
            // Replicas matter as often as their service does.
            parts.push((often, TriedPart::Replicas(number)));
        }
    }
    for (number, (_, declared_dependency)) in variant.topology.declared_dependencies().enumerate() {
        let Some(seen) = &summary.dependencies[number] else { continue };
        if declared_dependency.phase != Phase::Serve {
            continue;
        }
        parts.push((seen.tried, TriedPart::Dependency(number)));
        if declared_dependency.fallback.is_some() {
            parts.push((seen.tried, TriedPart::Fallback(number)));
        }
    }
    parts.arrange_by(|a, b| b.0.total_cmp(&a.0));
    parts.into_iter().map(|(_, part)| part).collect()
}

impl TriedPart {
    /// Returns the variant in which it fails with certainty, or never by itself.
    fn variant_with(self, variant: &Variant, fails: bool) -> Variant {
        let mut variant = variant.clone();
        let (chance, contrary) =
            if fails { (Share::ONE, Share::ZERO) } else { (Share::ZERO, Share::ONE) };
        match self {
            Self::Target(number) => variant.change.targets[number].probability = chance,
            Self::Service(number) => {
                let component = Component::Service(ServiceId(number as u32));
                variant.change.during.retain(|during| *during != component);
                // The stated availability gives way: the part fails for certain or never.
                variant.topology.services[number].availability = None;
                if fails {
                    variant.change.during.push(component);
                }
            }
            Self::Replicas(number) => {
                if let Some(replicas) = &mut variant.topology.services[number].replicas {
                    replicas.availability = Some(contrary);
                }
            }
            Self::Dependency(number) => {
                dependency_mut(&mut variant.topology, number).propagation = chance;
            }
            Self::Fallback(number) => {
                if let Some(fallback) = &mut dependency_mut(&mut variant.topology, number).fallback
                {
                    fallback.works = contrary;
                }
            }
        }
        variant
    }

    /// Its kind, its name, and how likely it fails by itself.
    fn part_name(self, variant: &Variant) -> (PartKind, PartName, f64) {
        let topology = &variant.topology;
        let down = |availability: Option<Share>| {
            availability.map_or(0.0, |share| share.complement().get())
        };
        let written = |number: usize| {
            let (caller, declared_dependency) =
                topology.declared_dependencies().nth(number).expect("found among those written");
            let name = PartName::of_call(
                topology.caller_name(caller),
                topology.dependency_name(declared_dependency),
            );
            (name, declared_dependency)
        };
        match self {
            Self::Target(number) => {
                let target = &variant.change.targets[number];
                let name = match target.on {
                    TargetRef::Node(node) => topology.node_name(node),
                    TargetRef::Domain(domain) => topology.domain(domain).name.clone(),
                };
                (PartKind::Target, name.into(), target.probability.get())
            }
            Self::Service(number) => {
                let service = &topology.services[number];
                let component = Component::Service(ServiceId(number as u32));
                let is_during = variant.change.during.contains(&component);
                let q = if is_during { 1.0 } else { down(service.availability) };
                (PartKind::Service, service.name.clone().into(), q)
            }
            Self::Replicas(number) => {
                let service = &topology.services[number];
                let q = service.replicas.as_ref().map_or(0.0, |replicas| {
                    let one = down(replicas.availability);
                    let chances = (0..replicas.count).map(|_| one);
                    super::importance::at_least(
                        (replicas.count - replicas.needs) as usize + 1,
                        chances,
                    )
                });
                (PartKind::Replicas, service.name.clone().into(), q)
            }
            Self::Dependency(number) => {
                let (name, item) = written(number);
                (PartKind::Dependency, name, item.propagation.get())
            }
            Self::Fallback(number) => {
                let (name, item) = written(number);
                (
                    PartKind::Fallback,
                    name,
                    item.fallback.map_or(0.0, |fallback| fallback.works.complement().get()),
                )
            }
        }
    }
}

/// Returns what each stated protection contained and saved, the one that saved most first. Also
/// returns how many protections have no saving because they contained failure least often.
pub(super) fn protection_reports(
    variant: &Variant,
    settings: &Settings,
    summary: &Summary,
) -> (Vec<ProtectionReport>, u64) {
    let trials = paired_trials(settings, PROTECTION_PAIRS);
    let base = variant.trial_losses(settings, trials);
    let metric = if summary.total.is_some() { Metric::OrdersLost } else { Metric::FailingShare };
    let mut found: Vec<(f64, usize, report::Protection)> = Vec::new();
    for (number, (_, declared_dependency)) in variant.topology.declared_dependencies().enumerate() {
        let Some(seen) = &summary.dependencies[number] else { continue };
        for protection in
            GuardKind::ALL.into_iter().filter(|them| them.is_stated(declared_dependency))
        {
            found.push((seen.held[protection.guard_index()], number, protection.code()));
        }
    }
    found.arrange_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let most = affordable_variants(variant, trials, PROTECTIONS);
    let left_out = found.len().saturating_sub(most) as u64;
    let mut reports: Vec<ProtectionReport> = found
        .into_iter()
        .enumerate()
        .map(|(place, (held, number, protection))| {
            let (caller, declared_dependency) = variant
                .topology
                .declared_dependencies()
                .nth(number)
                .expect("found among those written");
            let seen = summary.dependencies[number].as_ref().expect("found where failure came");
            let protection = GuardKind::ALL
                .into_iter()
                .find(|item| item.code() == protection)
                .expect("one of them");
            // Those beyond what is affordable are listed without a saving.
            let saved = (place < most).then(|| {
                let mut without = variant.clone();
                protection.remove_from(dependency_mut(&mut without.topology, number));
                let lost = without.trial_losses(settings, trials);
                let mut difference = Paired::default();
                base.iter()
                    .zip(&lost)
                    .for_each(|(with, without)| difference.add_trial(*with, *without));
                measured_difference(difference.mean_difference())
            });
            ProtectionReport {
                caller: variant.topology.caller_name(caller),
                dependency: variant.topology.dependency_name(declared_dependency),
                protection: protection.code(),
                exposed: seen.tried,
                contained: held,
                passed: seen.passed,
                saved,
                metric,
            }
        })
        .collect();
    let value = |protection: &ProtectionReport| {
        // Without a saving a protection stands behind all that have one.
        protection.saved.map_or(f64::NEG_INFINITY, |saved| saved.value)
    };
    // Those that were not tried out stay last, those that held most first.
    reports.arrange_by(|a, b| value(b).total_cmp(&value(a)));
    (reports, left_out)
}

/// A protection that a dependency may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GuardKind {
    Timeout,
    Validation,
    Retry,
    Cache,
    Buffer,
    Fallback,
    Soft,
    Redundancy,
}

impl GuardKind {
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

    fn code(self) -> report::Protection {
        engine::Protection::ALL[self.guard_index()].into()
    }

    /// The number of the guard that the engine names.
    fn guard_index(self) -> usize {
        (match self {
            Self::Timeout => engine::Protection::Timeout,
            Self::Validation => engine::Protection::Validation,
            Self::Retry => engine::Protection::Retry,
            Self::Cache => engine::Protection::Cache,
            Self::Buffer => engine::Protection::Buffer,
            Self::Fallback => engine::Protection::Fallback,
            Self::Soft => engine::Protection::Soft,
            Self::Redundancy => engine::Protection::Redundancy,
        }) as usize
    }

    fn is_stated(self, dependency: &Dependency) -> bool {
        match self {
            Self::Timeout => {
                dependency.timeout.is_set() || dependency.circuit_breaker == Some(true)
            }
            Self::Validation => dependency.validates == Some(true),
            Self::Retry => dependency.retries.is_some_and(|retries| retries > 0),
            Self::Cache => dependency.cache.is_some(),
            Self::Buffer => dependency.buffer.is_some(),
            Self::Fallback => dependency.fallback.is_some(),
            Self::Soft => dependency.is_soft(),
            Self::Redundancy => {
                // An `any_of` that needs all of its members protects nothing.
                dependency.any_of && (dependency.needs as usize) < dependency.on.len()
            }
        }
    }

    fn remove_from(self, dependency: &mut Dependency) {
        match self {
            Self::Timeout => {
                (dependency.timeout, dependency.circuit_breaker) = (Timeout::None, None);
            }
            Self::Validation => dependency.validates = None,
            Self::Retry => (dependency.retries, dependency.retry_budget) = (None, None),
            Self::Cache => dependency.cache = None,
            Self::Buffer => dependency.buffer = None,
            Self::Fallback => dependency.fallback = None,
            Self::Soft => dependency.criticality = Some(Criticality::Hard),
            Self::Redundancy => dependency.needs = dependency.on.len() as u32,
        }
    }
}
