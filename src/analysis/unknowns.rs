//! What is not stated and matters: the result at its best and at its worst, with the same draws.

use crate::compile::compile;
use crate::engine::{Silent, Simulation, Tally};
use crate::model::change::TargetRef;
use crate::model::topology::{Caller, Dependency, Fallback, Phase, Timeout};
use crate::model::{Change, Seconds, Share, Topology};
use crate::report::Unknown;
use crate::report::{Metric, UnknownKind};
use crate::sort::Arrange as _;
use crate::summary::{Summary, summarize};

use super::simulate::{Settings, Stop};

/// How many of each kind are looked into, most often passed first.
const CANDIDATES: usize = 8;
/// In how many trials, at the most, each shows whether it matters...
const SCREENED: u64 = 128;
/// ...and in how many those that matter most are measured.
const MEASURED: u64 = 512;
/// How many a simulation reports.
pub(super) const REPORTED: usize = 5;

/// The unstated timeouts and fallbacks through which failure passed, and the unstated capacities of
/// services that get more than their normal load when it does: widest first, so many at the most.
///
/// What each makes of the result is the mean of all trials plus the difference that it makes in the
/// first few of them, with the same draws: a difference is known well from far fewer.
pub(super) fn find(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    summary: &Summary,
    most: usize,
) -> Vec<Unknown> {
    let candidates = candidates(topology, summary);
    let capacities = capacities(topology, change, summary);
    let all: Vec<Candidate> = (candidates.into_iter())
        .map(|(index, what)| Candidate::Guard(index, what))
        .chain(capacities.into_iter().map(Candidate::Capacity))
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    let question = Question { topology, change, settings };
    let mut found = question.differences(all, SCREENED);
    found.truncate(most);
    let found =
        question.differences(found.into_iter().map(|(candidate, _)| candidate).collect(), MEASURED);
    let (stated, metric) = result(summary, topology);
    let unknown = |(candidate, difference): (Candidate, f64)| {
        let (caller, dependency, what) = candidate.names(topology);
        let other = (stated + difference).max(0.0);
        let (best, worst) = (stated.min(other), stated.max(other));
        Unknown { caller, dependency, what, best, worst, metric, place: None }
    };
    found.into_iter().map(unknown).collect()
}

/// Something that is not stated: at its best a protection, at its worst a capacity.
#[derive(Clone, Copy)]
enum Candidate {
    /// A protection of a dependency as written.
    Guard(usize, What),
    /// How much a service can serve.
    Capacity(usize),
}

impl Candidate {
    /// The topology that states it.
    fn stated_in(self, topology: &Topology) -> Topology {
        let mut other = topology.clone();
        match self {
            Self::Guard(index, What::Timeout) => {
                dependency_mut(&mut other, index).timeout = Timeout::After(Seconds::whole(1));
            }
            Self::Guard(index, What::Fallback) => {
                let everything = Fallback { on: None, works: Share::ONE };
                dependency_mut(&mut other, index).fallback = Some(everything);
            }
            Self::Capacity(service) => other.services[service].utilization = Some(Share::ONE),
        }
        other
    }

    /// The caller or service, the dependency, and what is not stated.
    fn names(self, topology: &Topology) -> (String, String, UnknownKind) {
        match self {
            Self::Guard(index, what) => {
                let (caller, written) = topology
                    .declared_dependencies()
                    .nth(index)
                    .expect("candidates are dependencies as written");
                let dependency = topology.dependency_name(written);
                (topology.caller_name(caller), dependency, what.code())
            }
            Self::Capacity(service) => {
                (topology.services[service].name.clone(), String::new(), UnknownKind::Capacity)
            }
        }
    }
}

/// What is asked.
struct Question<'a> {
    topology: &'a Topology,
    change: &'a Change,
    settings: &'a Settings,
}

impl Question<'_> {
    /// The difference that each makes to the result in so many trials, at the most: those that
    /// matter, widest first.
    fn differences(&self, candidates: Vec<Candidate>, most_trials: u64) -> Vec<(Candidate, f64)> {
        let trials = match self.settings.stop {
            Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials,
        };
        let trials = trials.min(most_trials);
        let stated = self.measure(self.topology, trials);
        let difference = |candidate: Candidate| {
            let other = self.measure(&candidate.stated_in(self.topology), trials);
            (candidate, other - stated)
        };
        let mut all: Vec<_> = candidates.into_iter().map(difference).collect();
        all.retain(|(_, difference)| difference.abs() > 1e-9);
        let names = |candidate: &Candidate| candidate.names(self.topology);
        all.arrange_by(|(a, one), (b, other)| {
            other.abs().total_cmp(&one.abs()).then_with(|| names(a).cmp(&names(b)))
        });
        all
    }

    fn measure(&self, topology: &Topology, trials: u64) -> f64 {
        let plan = compile(topology, self.change, self.settings.lasting);
        let simulation =
            Simulation::with(&plan, self.settings.seed, self.settings.engine_of_variants());
        let mut tally = Tally::new(&plan);
        simulation.run(0..trials, &mut tally, &Silent);
        result(&summarize(&tally), topology).0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Timeout,
    Fallback,
}

impl What {
    fn code(self) -> UnknownKind {
        match self {
            Self::Timeout => UnknownKind::Timeout,
            Self::Fallback => UnknownKind::Fallback,
        }
    }
}

/// Services that do not state their utilization and that get more than usual when something fails:
/// by calls that are tried again, as a fallback, as one of several, or from a target that surges. At
/// worst they serve no more than their normal load.
fn capacities(topology: &Topology, change: &Change, summary: &Summary) -> Vec<usize> {
    let mut more = vec![false; topology.services.len()];
    for ((caller, it), seen) in topology.declared_dependencies().zip(&summary.dependencies) {
        let surges = change.targets.iter().any(|target| {
            let Caller::Node(caller) = caller else { return false };
            let hits = matches!(target.on, TargetRef::Node(on) if on.service == caller.service);
            hits && !target.modes.surge.is_zero()
        });
        let came = seen.is_some();
        let is_tried_again = it.retries.is_some_and(|retries| retries > 0);
        if surges || (came && (is_tried_again || it.any_of || it.cache.is_some())) {
            it.on.iter().for_each(|on| more[on.service.0 as usize] = true);
        }
        if let (true, Some(on)) = (came, it.fallback.and_then(|fallback| fallback.on)) {
            more[on.service.0 as usize] = true;
        }
    }
    let is_unstated = |service: &usize| topology.services[*service].utilization.is_none();
    let candidates = (0..more.len()).filter(|service| more[*service]).filter(is_unstated);
    candidates.take(CANDIDATES).collect()
}

/// Dependencies through which failure passed and that do not state a protection, most often first.
fn candidates(topology: &Topology, summary: &Summary) -> Vec<(usize, What)> {
    let mut found: Vec<(f64, usize, What)> = Vec::new();
    for (index, ((caller, it), seen)) in
        topology.declared_dependencies().zip(&summary.dependencies).enumerate()
    {
        let passed = seen.as_ref().map_or(0.0, |seen| seen.passed);
        if passed == 0.0 || it.phase == Phase::Start {
            continue;
        }
        let can_hang = it.timeout == Timeout::Unstated
            && it.circuit_breaker != Some(true)
            && !it.is_async()
            && !matches!(caller, Caller::Flow(_));
        if can_hang {
            found.push((passed, index, What::Timeout));
        }
        if it.fallback.is_none() && !it.is_soft() && !matches!(caller, Caller::Flow(_)) {
            found.push((passed, index, What::Fallback));
        }
    }
    found.arrange_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2 as u8).cmp(&(b.1, b.2 as u8))));
    found.into_iter().take(CANDIDATES).map(|(_, index, what)| (index, what)).collect()
}

/// Orders lost on average, or else the failing share over all flows.
fn result(summary: &Summary, topology: &Topology) -> (f64, Metric) {
    if let Some(total) = &summary.total {
        return (total.lost.mean, Metric::OrdersLost);
    }
    let flows = &summary.units[summary.units.len() - topology.flows.len()..];
    let mean = flows.iter().map(|flow| flow.failing_share).sum::<f64>() / flows.len().max(1) as f64;
    (mean, Metric::FailingShare)
}

/// Every dependency as written, in the order of [`Topology::written`].
pub(super) fn dependencies_mut(topology: &mut Topology) -> impl Iterator<Item = &mut Dependency> {
    let of_services = topology.services.iter_mut().flat_map(|service| {
        let own = service.dependencies.iter_mut();
        own.chain(service.endpoints.iter_mut().flat_map(|it| it.dependencies.iter_mut()))
    });
    of_services.chain(topology.flows.iter_mut().flat_map(|flow| flow.steps.iter_mut()))
}

/// The dependency with this number among them.
pub(super) fn dependency_mut(topology: &mut Topology, index: usize) -> &mut Dependency {
    dependencies_mut(topology).nth(index).expect("candidates are dependencies as written")
}
