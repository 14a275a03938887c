//! What is not stated, at its worst or at its best.
//!
//! | not stated | at worst | as simulated otherwise | at best |
//! |---|---|---|---|
//! | `timeout` of a dependency | waits for ever | waits for ever | gives up |
//! | `fallback` of a hard dependency | none | none | `static` |
//! | `utilization` of a service | no more headroom than its `needs` promises: the replicas it needs carry the normal load and no more; without `replicas`, none at all | no limit | no limit |
//!
//! A step of a flow has neither a timeout nor a fallback that could be unknown: customers wait.

use std::borrow::Cow;

use crate::model::topology::{Dependency, Fallback, Phase, Timeout};
use crate::model::{Seconds, Share, Topology};
use crate::report::Assumption;

/// The topology with what it does not state at its worst or best.
pub(super) fn assume(topology: &Topology, unknown: Assumption) -> Cow<'_, Topology> {
    let changes = match unknown {
        Assumption::Stated => false,
        Assumption::Worst => topology.services.iter().any(|it| it.utilization.is_none()),
        Assumption::Best => true,
    };
    if !changes {
        return Cow::Borrowed(topology);
    }
    let mut assumed = topology.clone();
    for service in &mut assumed.services {
        if unknown == Assumption::Worst {
            let promised = service
                .replicas
                .as_ref()
                .map_or(1.0, |it| f64::from(it.needs) / f64::from(it.count));
            service.utilization = service.utilization.or(Share::new(promised));
            continue;
        }
        let endpoints = service.endpoints.iter_mut().flat_map(|it| &mut it.dependencies);
        service.dependencies.iter_mut().chain(endpoints).for_each(at_best);
    }
    Cow::Owned(assumed)
}

fn at_best(it: &mut Dependency) {
    if it.timeout == Timeout::Unstated {
        it.timeout = Timeout::After(Seconds::whole(1));
    }
    if it.fallback.is_none() && !it.is_soft() && it.phase == Phase::Serve {
        it.fallback = Some(Fallback { on: None, works: Share::ONE });
    }
}
