//! What is not stated, at its worst or at its best.
//!
//! | not stated | at worst | as simulated otherwise | at best |
//! |---|---|---|---|
//! | `timeout` of a dependency | waits for ever | waits for ever | gives up |
//! | `fallback` of a hard dependency | none | none | `static` |
//! | `utilization` of a service that may get more than its normal load | no more headroom than its `needs` promises: the replicas it needs carry the normal load and no more; without `replicas`, none at all | no limit | no limit |
//! | whether a dependency with `evidence: assumed` is there | it is | it is | it is not |
//! | whether a dependency with `phase: start` that nobody declared by hand is needed to serve | it is | it is not | it is not |
//!
//! A step of a flow has neither a timeout nor a fallback that could be unknown: customers wait.

use std::borrow::Cow;

use crate::analysis::unknowns::{dependencies_mut, may_be_overloaded, needs_start_only};
use crate::model::topology::{Dependency, Evidence, Fallback, Phase, Timeout};
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
                    .map_or(1.0, |it| f64::from(it.needs) / f64::from(it.count));
                service.utilization = Share::new(promised);
            }
            if topology.declared_dependencies().any(|(_, it)| needs_start_only(it)) {
                let guessed = dependencies_mut(assumed.to_mut()).filter(|it| needs_start_only(it));
                guessed.for_each(|it| it.phase = Phase::Serve);
            }
        }
        Assumption::Best => {
            let assumed = assumed.to_mut();
            for service in &mut assumed.services {
                let endpoints = service.endpoints.iter_mut().flat_map(|it| &mut it.dependencies);
                service.dependencies.iter_mut().chain(endpoints).for_each(at_best);
            }
        }
    }
    assumed
}

fn at_best(it: &mut Dependency) {
    if it.evidence == Some(Evidence::Assumed) {
        it.propagation = Share::ZERO;
    }
    if it.timeout == Timeout::Unstated {
        it.timeout = Timeout::After(Seconds::whole(1));
    }
    if it.fallback.is_none() && !it.no_fallback && !it.is_soft() && it.phase == Phase::Serve {
        it.fallback = Some(Fallback { on: None, works: Share::ONE });
    }
}
