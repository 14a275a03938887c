//! Assumes the worst or the best about everything that is not stated.
//!
//! | not stated | at worst | as simulated otherwise | at best |
//! |---|---|---|---|
//! | `timeout` of a dependency | waits for ever | waits for ever | gives up |
//! | the same, of a hard call to what may queue or be late | gives up after the usual time | waits for ever | waits for ever |
//! | rates or latencies that would say how much of a pool is in use | 80% in normal times | the pool limits nothing | the pool limits nothing |
//! | whether a target that fails all requests makes its calls before, where capacities are not stated | it does | it does not | it does not |
//! | `fallback` of a hard dependency | none | none | `static` |
//! | `utilization` of a service that may get more than its normal load | no more headroom than its `needs` promises: the replicas it needs carry the normal load and no more; without `replicas`, none at all | no limit | no limit |
//! | whether a dependency with `evidence: assumed` is there | it is | it is | it is not |
//! | whether an importer that assumed a dependency was right to assume that its caller can do without it | it was not | it was | it was |
//! | whether a dependency with `phase: start` that nobody declared by hand is needed to serve | it is | it is not | it is not |
//!
//! What fires as stated fires at worst too. So the worst of a timeout is the reading that is not simulated
//! otherwise: who gives up on a queue fails at once, and tries again.
//!
//! A step of a flow has neither a timeout nor a fallback that could be unknown: customers wait.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::analysis::unknowns::{dependencies_mut, may_be_overloaded, needs_start_only};
use crate::analysis::waiting_calls::{add_usual_timeouts, untimed_calls_to_what_waits};
use crate::compile::Plan;
use crate::model::topology::{
    Caller, Criticality, Dependency, Evidence, Fallback, Phase, Queue, Timeout, UnknownPools,
};
use crate::model::units::Utilization;
use crate::model::{Change, Seconds, Share, Topology, defaults};
use crate::report::Assumption;

/// Returns the topology with what it does not state at its worst or best, by its plan as it stands; borrowed where that changes
/// nothing, so that nothing is simulated twice.
pub(super) fn assume_unknowns<'a>(
    topology: &'a Topology,
    change: &Change,
    plan: &Plan,
    lasting: Seconds,
    assumption: Assumption,
) -> Cow<'a, Topology> {
    let mut assumed = Cow::Borrowed(topology);
    match assumption {
        Assumption::Stated => {}
        Assumption::Worst => {
            let unlimited = may_be_overloaded(topology, change);
            // Capacity is unknown only where more than the normal load may come.
            for index in (0..unlimited.len()).filter(|index| unlimited[*index]) {
                let service = &mut assumed.to_mut().services[index];
                let promised = service
                    .replicas
                    .as_ref()
                    // Without replicas nothing promises headroom.
                    .map_or(1.0, |replica| f64::from(replica.needs) / f64::from(replica.count));
                service.utilization = Utilization::new(promised);
                // No wait makes up for what is refused, in a single moment too.
                service.queue = service.queue.or(Some(Queue::Refuses));
            }
            // A target that fails all of its requests spares what it calls. If that made the verdict better,
            // a break of 99% would be judged harder than one of 100%.
            if unlimited.contains(&true) {
                assumed.to_mut().failing_targets_call = true;
            }
            if topology
                .declared_dependencies()
                .any(|(_, declared_dependency)| needs_start_only(declared_dependency))
            {
                let guessed = dependencies_mut(assumed.to_mut())
                    .filter(|dependencies_mut| needs_start_only(dependencies_mut));
                guessed.for_each(|guessed| guessed.phase = Phase::Serve);
            }
            if topology.declared_dependencies().any(|(_, dependency)| is_guessed_soft(dependency)) {
                let guessed = dependencies_mut(assumed.to_mut())
                    .filter(|dependency| is_guessed_soft(dependency));
                guessed.for_each(|guessed| guessed.criticality = Some(Criticality::Hard));
            }
            let impatient = impatient_calls(topology, change, lasting);
            if !impatient.is_empty() {
                add_usual_timeouts(assumed.to_mut(), &impatient);
            }
            // Pools of unknown use are taken for busy, since a pool that limits nothing can fail
            // nobody.
            if !plan.unknown_pools.is_empty() {
                assumed.to_mut().unknown_pools = UnknownPools::Busy;
            }
        }
        Assumption::Best => {
            let patient = BTreeSet::from_iter(impatient_calls(topology, change, lasting));
            let assumed = assumed.to_mut();
            let declared = topology.declared_dependencies();
            // Steps of flows come last in the list, and customers wait whatever is assumed.
            let of_services = declared.filter(|(by, _)| !matches!(by, Caller::Flow(_))).count();
            for (index, dependency) in dependencies_mut(assumed).take(of_services).enumerate() {
                // A caller that can do nothing but fail is better off if it waits.
                let is_patient = dependency.no_fallback && patient.contains(&index);
                assume_best(dependency, is_patient);
            }
        }
    }
    assumed
}

/// Returns the calls that would fail more with a timeout than they do without: their callers can do
/// nothing but fail, and keep no thread of a pool waiting.
fn impatient_calls(topology: &Topology, change: &Change, lasting: Seconds) -> Vec<usize> {
    let mut found = untimed_calls_to_what_waits(topology, change, lasting);
    let declared: Vec<(Caller, &Dependency)> = topology.declared_dependencies().collect();
    found.retain(|index| {
        let (caller, dependency) = declared[*index];
        let has_threads = match caller {
            Caller::Node(node) => topology.services[node.service.0 as usize].concurrency.is_some(),
            Caller::Flow(_) => false,
        };
        !has_threads && !dependency.is_soft() && dependency.fallback.is_none()
    });
    found
}

/// Whether an importer assumed both the dependency and that its caller can do without it.
fn is_guessed_soft(dependency: &Dependency) -> bool {
    dependency.evidence == Some(Evidence::Assumed)
        && dependency.source.is_some()
        && dependency.is_soft()
}

fn assume_best(dependency: &mut Dependency, is_patient: bool) {
    if dependency.evidence == Some(Evidence::Assumed) {
        // A dependency that is not there carries no failure.
        dependency.propagation = Share::ZERO;
    }
    // A patient caller fails less without a timeout.
    if dependency.timeout == Timeout::Unstated && !is_patient {
        dependency.timeout = Timeout::After(defaults::USUAL_TIMEOUT);
    }
    if dependency.fallback.is_none()
        && !dependency.no_fallback
        && !dependency.is_soft()
        && dependency.phase == Phase::Serve
    {
        dependency.fallback = Some(Fallback { on: None, works: Share::ONE });
    }
}
