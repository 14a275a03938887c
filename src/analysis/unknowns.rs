//! Finds unknowns that matter: the result at its best and at its worst, with the same draws.

use std::collections::BTreeSet;

use crate::compile::{Plan, compile, plan::UnknownPool};
use crate::engine::{Silent, Simulator, Tally, parallel};
use crate::model::change::TargetRef;
use crate::model::topology::{
    Caller, Dependency, Evidence, Fallback, NodeRef, Phase, Queue, Recovery, UnknownPools,
};
use crate::model::units::Utilization;
use crate::model::{Change, Seconds, Share, Topology};
use crate::report::Unknown;
use crate::report::{Metric, UnknownKind};
use crate::sort::Arrange as _;
use crate::summary::{Summary, summarize};

use super::simulate::{Settings, Stop};
use super::waiting_calls::{
    add_usual_timeouts, call_name, can_hang, pool_name, untimed_calls_to_what_waits,
};

/// The most candidates that are screened, most often exposed first: each costs a simulation.
const CANDIDATES: usize = 12;
/// How much is spent on unknowns: a paired difference needs few trials.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// The most unknowns that are reported.
    pub(super) reported: usize,
    /// The trials in which a candidate shows whether it matters.
    screened: u64,
    /// The trials in which those that matter most are measured.
    measured: u64,
}

impl Effort {
    /// Beside figures that are asked for.
    pub(super) const QUICK: Self = Self { reported: 5, screened: 16, measured: 64 };
    /// Where unknowns are asked for.
    pub(super) const THOROUGH: Self = Self { reported: 20, screened: 128, measured: 512 };
}

/// Finds what is not stated and matters: timeouts and fallbacks through which failure propagated,
/// timeouts of calls to what may answer late, how much of pools is in use, capacities of services that
/// get more than their normal load, and dependencies that are only guessed. They come widest first.
///
/// The figure of each is the mean of all trials plus the difference that it makes in the first few of
/// them, with the same draws.
pub(super) fn find_unknowns(
    topology: &Topology,
    change: &Change,
    plan: &Plan,
    settings: &Settings,
    summary: &Summary,
    effort: Effort,
) -> Vec<Unknown> {
    let candidates = find_candidates(topology, change, plan, settings.lasting, summary);
    if candidates.is_empty() {
        return Vec::new();
    }
    let question = UnknownsQuestion { topology, change, plan, settings };
    // In few trials first: most candidates make no difference, and each costs a simulation.
    let mut found = question.candidate_differences(candidates, effort.screened);
    found.truncate(effort.reported);
    let found = question.candidate_differences(
        found.into_iter().map(|(candidate, _)| candidate).collect(),
        effort.measured,
    );
    // The stated result is the one of all trials, of which the differences are added.
    let (stated, metric) = result_metric(summary, topology);
    let unknown = |(candidate, difference): (UnknownCandidate, f64)| {
        let (caller, dependency) = candidate.caller_and_dependency(topology);
        // A difference from few trials may be larger than the mean it is added to.
        let other = (stated + difference).max(0.0);
        Unknown {
            caller,
            dependency,
            what: candidate.unknown_kind(),
            others: candidate.others() as u32,
            best: stated.min(other),
            worst: stated.max(other),
            metric,
            place: None,
        }
    };
    found.into_iter().map(unknown).collect()
}

/// Something that is not stated. The index is that of a dependency as declared, or of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum UnknownCandidate {
    /// Whether the dependency is there at all.
    Existence(usize),
    /// Whether the dependency is needed only to start.
    Phase(usize),
    Timeout(usize),
    Fallback(usize),
    Capacity(usize),
    /// All timeouts of calls to what may answer late: one unknown, however many calls.
    Waits(Vec<usize>),
    /// How much of these pools is in use in normal times.
    Pools(Vec<UnknownPool>),
}

impl UnknownCandidate {
    /// Returns the topology that states it, the other way than it is simulated.
    fn stated_in(&self, topology: &Topology) -> Topology {
        let mut other = topology.clone();
        match self {
            Self::Existence(index) => dependency_mut(&mut other, *index).propagation = Share::ZERO,
            Self::Phase(index) => {
                for needed in start_orders_above(topology, *index) {
                    dependency_mut(&mut other, needed).phase = Phase::Serve;
                }
            }
            Self::Timeout(index) => add_usual_timeouts(&mut other, &[*index]),
            Self::Waits(calls) => add_usual_timeouts(&mut other, calls),
            Self::Pools(_) => other.unknown_pools = UnknownPools::Busy,
            Self::Fallback(index) => {
                let everything = Fallback { on: None, works: Share::ONE };
                dependency_mut(&mut other, *index).fallback = Some(everything);
            }
            Self::Capacity(service) => {
                let service = &mut other.services[*service];
                service.utilization = Some(Utilization::FULL);
                // Where nothing may wait, what is beyond the capacity is lost, which is the worst.
                service.queue = service.queue.or(Some(Queue::Refuses));
            }
        }
        other
    }

    /// Returns what is not stated.
    fn unknown_kind(&self) -> UnknownKind {
        match self {
            Self::Existence(_) => UnknownKind::Dependency,
            Self::Phase(_) => UnknownKind::Phase,
            Self::Timeout(_) | Self::Waits(_) => UnknownKind::Timeout,
            Self::Fallback(_) => UnknownKind::Fallback,
            Self::Capacity(_) => UnknownKind::Capacity,
            Self::Pools(_) => UnknownKind::PoolUse,
        }
    }

    /// Returns how many more calls or pools are meant than the one that is named.
    fn others(&self) -> usize {
        match self {
            Self::Waits(calls) => calls.len() - 1,
            Self::Pools(pools) => pools.len() - 1,
            _ => 0,
        }
    }

    /// Returns the caller and the dependency; of a capacity or threads, the service and nothing.
    fn caller_and_dependency(&self, topology: &Topology) -> (String, String) {
        match self {
            Self::Existence(index)
            | Self::Phase(index)
            | Self::Timeout(index)
            | Self::Fallback(index) => call_name(topology, *index),
            Self::Waits(calls) => call_name(topology, calls[0]),
            Self::Pools(pools) => pool_name(topology, pools[0]),
            Self::Capacity(service) => (topology.services[*service].name.clone(), String::new()),
        }
    }
}

/// The question whose answer hangs on what is not stated.
struct UnknownsQuestion<'a> {
    topology: &'a Topology,
    change: &'a Change,
    /// The plan of both as they are stated.
    plan: &'a Plan,
    settings: &'a Settings,
}

impl UnknownsQuestion<'_> {
    /// Returns the difference that each candidate makes to the result, in at most so many trials:
    /// those that matter, widest first.
    fn candidate_differences(
        &self,
        candidates: Vec<UnknownCandidate>,
        most_trials: u64,
    ) -> Vec<(UnknownCandidate, f64)> {
        let trials = match self.settings.stop {
            Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials,
        };
        let trials = trials.min(most_trials);
        let stated = self.mean_result(self.plan, trials);
        let others = parallel::each_of(&candidates, |item| {
            let other = item.stated_in(self.topology);
            self.mean_result(&compile(&other, self.change, self.settings.lasting), trials)
        });
        let mut all: Vec<(UnknownCandidate, f64)> = candidates
            .into_iter()
            .zip(others)
            .map(|(candidate, other)| (candidate, other - stated))
            // What makes no difference but that of rounding does not matter.
            .filter(|(_, difference)| difference.abs() > 1e-9)
            .collect();
        all.arrange_by(|(a, one), (b, other)| {
            other.abs().total_cmp(&one.abs()).then_with(|| a.cmp(b))
        });
        all
    }

    fn mean_result(&self, plan: &Plan, trials: u64) -> f64 {
        let simulation =
            // Something that is stated may take the question beyond the Boolean engine.
            Simulator::with_engine(plan, self.settings.seed, self.settings.engine_of_variants());
        let mut tally = Tally::new(plan);
        simulation.run_trials(0..trials, &mut tally, &Silent);
        // What is not stated is no flow and no rate.
        result_metric(&summarize(&tally), self.topology).0
    }
}

/// Returns what is worth looking into, most often exposed first.
fn find_candidates(
    topology: &Topology,
    change: &Change,
    plan: &Plan,
    lasting: Seconds,
    summary: &Summary,
) -> Vec<UnknownCandidate> {
    // How often each lets failure through, its number, and what is not stated of it.
    let mut found: Vec<(f64, usize, UnknownCandidate)> = Vec::new();
    for (index, ((caller, dependency), seen)) in
        topology.declared_dependencies().zip(&summary.dependencies).enumerate()
    {
        if needs_start_only(dependency) && dependency.on.iter().any(|on| is_touched(summary, *on)) {
            found.push((1.0, index, UnknownCandidate::Phase(index)));
        }
        let passed = seen.as_ref().map_or(0.0, |seen| seen.passed);
        // What lets nothing through cannot matter, however it is stated.
        if passed == 0.0 || dependency.phase == Phase::Start {
            continue;
        }
        if dependency.evidence == Some(Evidence::Assumed) {
            found.push((passed, index, UnknownCandidate::Existence(index)));
        }
        // A flow has customers with patience, and no timeouts or fallbacks of its own.
        if matches!(caller, Caller::Flow(_)) {
            continue;
        }
        if can_hang(dependency) {
            found.push((passed, index, UnknownCandidate::Timeout(index)));
        }
        if dependency.fallback.is_none() && !dependency.no_fallback && !dependency.is_soft() {
            found.push((passed, index, UnknownCandidate::Fallback(index)));
        }
    }
    // Of equals the first dependencies with all that they leave open, not one kind of all of them.
    found.arrange_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, &a.2).cmp(&(b.1, &b.2))));
    found.truncate(CANDIDATES);
    let mut found: Vec<UnknownCandidate> =
        found.into_iter().map(|(_, _, candidate)| candidate).collect();
    // What is looked into by itself need not be named once more among the others.
    let mut waits = untimed_calls_to_what_waits(topology, change, lasting);
    waits.retain(|index| !found.contains(&UnknownCandidate::Timeout(*index)));
    if !waits.is_empty() {
        found.push(UnknownCandidate::Waits(waits));
    }
    if !plan.unknown_pools.is_empty() {
        found.push(UnknownCandidate::Pools(plan.unknown_pools.clone()));
    }
    let overloaded = overloaded_services(topology, change, summary);
    let services = (0..overloaded.len()).filter(|index| overloaded[*index]);
    // Half as many: capacities are guesses about services that are not known to matter.
    let capacities = services.map(UnknownCandidate::Capacity).take(CANDIDATES / 2);
    found.extend(capacities);
    found
}

/// Whether the service of a node is ever degraded because of the change.
fn is_touched(summary: &Summary, node: NodeRef) -> bool {
    summary.units[node.service.0 as usize].caused.degraded.p > 0.0
}

/// Whether a dependency is said to be needed only to start, by a guess: importers conclude that from
/// the order in which services start, and nobody has confirmed it.
pub(super) fn needs_start_only(dependency: &Dependency) -> bool {
    // A start order that a deployment file declares is declared; that serving needs nothing more is not.
    let is_imported = dependency.source.is_some();
    dependency.phase == Phase::Start
        && match dependency.evidence {
            Some(Evidence::Inferred | Evidence::Assumed) => true,
            Some(Evidence::Declared) => is_imported,
            _ => false,
        }
}

/// Returns a guessed start order and those by which its caller is reached: in a chain that starts one
/// after the other, one dependency alone that were needed to serve would reach nobody.
fn start_orders_above(topology: &Topology, index: usize) -> Vec<usize> {
    let dependencies: Vec<(Caller, &Dependency)> = topology.declared_dependencies().collect();
    let mut calls_of = vec![Vec::new(); topology.services.len()];
    for (place, (_, dependency)) in dependencies.iter().enumerate() {
        dependency.on.iter().for_each(|on| calls_of[on.service.0 as usize].push(place));
    }
    let mut is_above = vec![false; topology.services.len()];
    let mut found = BTreeSet::from([index]);
    let mut open = vec![dependencies[index].0];
    while let Some(caller) = open.pop() {
        let Caller::Node(NodeRef { service, .. }) = caller else { continue };
        if std::mem::replace(&mut is_above[service.0 as usize], true) {
            continue;
        }
        for &place in &calls_of[service.0 as usize] {
            let (caller, dependency) = dependencies[place];
            open.push(caller);
            if needs_start_only(dependency) {
                found.insert(place);
            }
        }
    }
    found.into_iter().collect()
}

/// Returns, by service, whether it states no utilization though it gets more than its normal load in a
/// trial: by retries, as a fallback, as one of several, past a cache, or from a target that surges.
fn overloaded_services(topology: &Topology, change: &Change, summary: &Summary) -> Vec<bool> {
    let is_exposed = |index: usize| summary.dependencies[index].is_some();
    unlimited_services(topology, change, is_exposed, |_| false)
}

/// Returns, by service, whether it states no utilization though it may get more than its normal load,
/// or have less than its capacity: then a limit could matter.
pub(super) fn may_be_overloaded(topology: &Topology, change: &Change) -> Vec<bool> {
    let acts = !change.actions.is_empty()
        || topology.services.iter().any(|service| !service.automations.is_empty())
        || topology.flows.iter().any(|flow| flow.retry_by_users.is_some());
    let may_lack_capacity =
        |service: usize| acts || topology.services[service].recovery != Recovery::default();
    let mut found = unlimited_services(topology, change, |_| true, may_lack_capacity);
    // More load is passed on to whatever a service calls.
    let mut calls: Vec<Vec<usize>> = vec![Vec::new(); topology.services.len()];
    for (caller, declared_dependency) in topology.declared_dependencies() {
        if let Caller::Node(caller) = caller {
            let called = declared_dependency
                .on
                .iter()
                .chain(declared_dependency.fallback.iter().filter_map(|of| of.on.as_ref()));
            calls[caller.service.0 as usize].extend(called.map(|on| on.service.0 as usize));
        }
    }
    let mut reached = more_load(topology, change, |_| true);
    let mut queue: Vec<usize> = (0..reached.len()).filter(|index| reached[*index]).collect();
    while let Some(service) = queue.pop() {
        for next in std::mem::take(&mut calls[service]) {
            if !reached[next] {
                reached[next] = true;
                queue.push(next);
            }
        }
    }
    for (index, service) in topology.services.iter().enumerate() {
        found[index] |= reached[index] && service.utilization.is_none();
    }
    found
}

fn unlimited_services(
    topology: &Topology,
    change: &Change,
    is_exposed: impl Fn(usize) -> bool,
    may_lack_capacity: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut found = more_load(topology, change, is_exposed);
    for (index, service) in topology.services.iter().enumerate() {
        found[index] = (found[index] || may_lack_capacity(index)) && service.utilization.is_none();
    }
    found
}

/// Returns, by service, whether a caller may send it more than its normal load.
fn more_load(
    topology: &Topology,
    change: &Change,
    is_exposed: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let mut more = vec![false; topology.services.len()];
    let surging: Vec<_> = (change.targets.iter())
        .filter(|target| !target.modes.surge.is_zero())
        .filter_map(|target| match target.on {
            TargetRef::Node(on) => Some(on.service),
            TargetRef::Domain(_) => None,
        })
        .collect();
    for (index, (caller, declared_dependency)) in topology.declared_dependencies().enumerate() {
        let surges = matches!(caller, Caller::Node(caller) if surging.contains(&caller.service));
        let is_tried_again = declared_dependency.retries.is_some_and(|retries| retries > 0);
        let exposed = is_exposed(index);
        let waits = declared_dependency.buffer.is_some();
        if surges
            || (exposed
                && (is_tried_again
                    || declared_dependency.any_of
                    || declared_dependency.cache.is_some()
                    || waits))
        {
            declared_dependency.on.iter().for_each(|on| more[on.service.0 as usize] = true);
        }
        if let (true, Some(on)) =
            (exposed, declared_dependency.fallback.and_then(|fallback| fallback.on))
        {
            more[on.service.0 as usize] = true;
        }
    }
    more
}

/// Returns the figure that unknowns are measured by, and its name: orders lost on average, or without
/// rates the failing share over all flows.
fn result_metric(summary: &Summary, topology: &Topology) -> (f64, Metric) {
    if let Some(total) = &summary.total {
        return (total.lost.mean, Metric::OrdersLost);
    }
    let flows = &summary.units[summary.units.len() - topology.flows.len()..];
    let mean = flows.iter().map(|flow| flow.failing_share).sum::<f64>() / flows.len().max(1) as f64;
    (mean, Metric::FailingShare)
}

/// Every dependency as written, in the order of [`Topology::declared_dependencies`].
pub(super) fn dependencies_mut(topology: &mut Topology) -> impl Iterator<Item = &mut Dependency> {
    let of_services = topology.services.iter_mut().flat_map(|service| {
        let own = service.dependencies.iter_mut();
        own.chain(
            service.endpoints.iter_mut().flat_map(|endpoint| endpoint.dependencies.iter_mut()),
        )
    });
    of_services.chain(topology.flows.iter_mut().flat_map(|flow| flow.steps.iter_mut()))
}

/// The dependency with this number among them.
pub(super) fn dependency_mut(topology: &mut Topology, index: usize) -> &mut Dependency {
    dependencies_mut(topology).nth(index).expect("candidates are dependencies as written")
}
