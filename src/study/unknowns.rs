//! What is not stated and matters: the result at its best and at its worst, with the same draws.

use crate::compile::compile;
use crate::engine::{Silent, Simulation, Tally};
use crate::model::change::TargetRef;
use crate::model::topology::{Caller, Dependency, Fallback, Phase, Timeout};
use crate::model::{Change, Share, Topology};
use crate::report::Unknown;
use crate::summary::{Summary, summarize};

use super::simulate::{Settings, Stop};

/// How many are looked into, most often passed first.
const CANDIDATES: usize = 8;
/// How many trials each gets at the most.
const TRIALS: u64 = 2_048;
/// How many a simulation reports.
pub(super) const REPORTED: usize = 5;

/// The unstated timeouts and fallbacks through which failure passed, and the unstated capacities of
/// services that get more than their normal load when it does: widest first, so many at the most.
pub(super) fn find(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    summary: &Summary,
    most: usize,
) -> Vec<Unknown> {
    let candidates = candidates(topology, summary);
    let capacities = capacities(topology, change, summary);
    if candidates.is_empty() && capacities.is_empty() {
        return Vec::new();
    }
    let trials = match settings.stop {
        Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials.min(TRIALS),
    };
    let measured = |topology: &Topology| measure(topology, change, settings, trials);
    let (stated, name) = measured(topology);
    let mut unknowns: Vec<Unknown> = candidates
        .into_iter()
        .map(|(index, what)| {
            let mut guarded = topology.clone();
            let it = dependency_mut(&mut guarded, index);
            match what {
                What::Timeout => {
                    it.timeout = Timeout::After(crate::model::Seconds::whole(1));
                }
                What::Fallback => it.fallback = Some(Fallback { on: None, works: Share::ONE }),
            }
            let (best, _) = measured(&guarded);
            let (caller, written) =
                topology.written().nth(index).expect("candidates are dependencies as written");
            Unknown {
                caller: topology.caller_name(caller),
                dependency: topology.dependency_name(written),
                what: what.as_str().to_owned(),
                best: best.min(stated),
                worst: stated.max(best),
                measure: name.to_owned(),
                place: None,
            }
        })
        .collect();
    unknowns.extend(capacities.into_iter().map(|service| {
        let mut limited = topology.clone();
        limited.services[service].utilization = Some(Share::ONE);
        let (worst, _) = measured(&limited);
        Unknown {
            caller: topology.services[service].name.clone(),
            dependency: String::new(),
            what: "capacity".to_owned(),
            best: stated.min(worst),
            worst: worst.max(stated),
            measure: name.to_owned(),
            place: None,
        }
    }));
    unknowns.retain(|unknown| unknown.worst - unknown.best > 1e-9);
    unknowns.sort_by(|a, b| {
        let width = |it: &Unknown| it.worst - it.best;
        width(b).total_cmp(&width(a)).then_with(|| {
            (&a.caller, &a.dependency, &a.what).cmp(&(&b.caller, &b.dependency, &b.what))
        })
    });
    unknowns.truncate(most);
    unknowns
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Timeout,
    Fallback,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Fallback => "fallback",
        }
    }
}

/// Services that do not state their utilization and that get more than usual when something fails:
/// by calls that are tried again, as a fallback, as one of several, or from a target that surges. At
/// worst they serve no more than their normal load.
fn capacities(topology: &Topology, change: &Change, summary: &Summary) -> Vec<usize> {
    let mut more = vec![false; topology.services.len()];
    for ((caller, it), seen) in topology.written().zip(&summary.dependencies) {
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
    for (index, ((caller, it), seen)) in topology.written().zip(&summary.dependencies).enumerate() {
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
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2 as u8).cmp(&(b.1, b.2 as u8))));
    found.into_iter().take(CANDIDATES).map(|(_, index, what)| (index, what)).collect()
}

/// Orders lost on average, or else the failing share over all flows.
fn measure(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    trials: u64,
) -> (f64, &'static str) {
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulation::new(&plan, settings.seed);
    let mut tally = Tally::new(&plan);
    simulation.run(0..trials, &mut tally, &Silent);
    let summary = summarize(&tally);
    if let Some(total) = &summary.total {
        return (total.lost.mean, "orders_lost");
    }
    let flows = &summary.units[summary.units.len() - topology.flows.len()..];
    let mean = flows.iter().map(|flow| flow.failing_share).sum::<f64>() / flows.len().max(1) as f64;
    (mean, "failing_share")
}

/// The dependency with this number in the order of [`Topology::written`].
pub(super) fn dependency_mut(topology: &mut Topology, index: usize) -> &mut Dependency {
    let of_services = topology.services.iter_mut().flat_map(|service| {
        let own = service.dependencies.iter_mut();
        own.chain(service.endpoints.iter_mut().flat_map(|it| it.dependencies.iter_mut()))
    });
    let of_flows = topology.flows.iter_mut().flat_map(|flow| flow.steps.iter_mut());
    of_services.chain(of_flows).nth(index).expect("candidates are dependencies as written")
}
