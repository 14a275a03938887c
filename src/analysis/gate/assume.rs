//! Assumes the worst or the best about everything that is not stated.
//!
//! | not stated | at worst | as simulated otherwise | at best |
//! |---|---|---|---|
//! | `timeout` of a dependency | waits for ever | waits for ever | gives up |
//! | `fallback` of a hard dependency | none | none | `static` |
//! | `utilization` of a service that may get more than its normal load | no more headroom than its `needs` promises: the replicas it needs carry the normal load and no more; without `replicas`, none at all | no limit | no limit |
//! | whether a dependency with `evidence: assumed` is there | it is | it is | it is not |
//! | whether an importer that assumed a dependency was right to assume that its caller can do without it | it was not | it was | it was |
//! | whether a dependency with `phase: start` that nobody declared by hand is needed to serve | it is | it is not | it is not |
//!
//! A step of a flow has neither a timeout nor a fallback that could be unknown: customers wait.

use std::borrow::Cow;

use crate::analysis::unknowns::{dependencies_mut, may_be_overloaded, needs_start_only};
use crate::model::topology::{Criticality, Dependency, Evidence, Fallback, Phase, Queue, Timeout};
use crate::model::units::Utilization;
use crate::model::{Change, Seconds, Share, Topology};
use crate::report::Assumption;

/// Returns the topology with what it does not state at its worst or best; borrowed where that changes
/// nothing, so that nothing is simulated twice.
pub(super) fn assume<'a>(
    topology: &'a Topology,
    change: &Change,
    assumption: Assumption,
) -> Cow<'a, Topology> {
    let mut assumed = Cow::Borrowed(topology);
    match assumption {
        Assumption::Stated => {}
        Assumption::Worst => {
            let unlimited = may_be_overloaded(topology, change);
            for index in (0..unlimited.len()).filter(|index| unlimited[*index]) {
                let service = &mut assumed.to_mut().services[index];
                let promised = service
                    .replicas
                    .as_ref()
                    .map_or(1.0, |replica| f64::from(replica.needs) / f64::from(replica.count));
                service.utilization = Utilization::new(promised);
                // No wait makes up for what is refused, in a single moment too.
                service.queue = service.queue.or(Some(Queue::Refuses));
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
        }
        Assumption::Best => {
            let assumed = assumed.to_mut();
            for service in &mut assumed.services {
                let endpoints =
                    service.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.dependencies);
                service.dependencies.iter_mut().chain(endpoints).for_each(at_best);
            }
        }
    }
    assumed
}

/// Whether an importer assumed both the dependency and that its caller can do without it.
fn is_guessed_soft(dependency: &Dependency) -> bool {
    dependency.evidence == Some(Evidence::Assumed)
        && dependency.source.is_some()
        && dependency.is_soft()
}

fn at_best(dependency: &mut Dependency) {
    if dependency.evidence == Some(Evidence::Assumed) {
        dependency.propagation = Share::ZERO;
    }
    if dependency.timeout == Timeout::Unstated {
        dependency.timeout = Timeout::After(Seconds::whole(1));
    }
    if dependency.fallback.is_none()
        && !dependency.no_fallback
        && !dependency.is_soft()
        && dependency.phase == Phase::Serve
    {
        dependency.fallback = Some(Fallback { on: None, works: Share::ONE });
    }
}
