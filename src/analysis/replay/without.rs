//! Topologies and changes with something taken out of them.

use crate::model::change::{Delay, Detection, Modes, SeverityOf};
use crate::model::incident::Containment;
use crate::model::topology::{
    CallKind, Criticality, Dependency, Evidence, Phase, Queue, Recovery, Timeout,
};
use crate::model::{Change, Share, Topology};
use crate::report::ModelElement;

impl ModelElement {
    /// The same topology and change without it.
    pub(super) fn leave_out(self, topology: &Topology, change: &Change) -> (Topology, Change) {
        let (mut topology, mut change) = (topology.clone(), change.clone());
        for service in &mut topology.services {
            match self {
                Self::Loads => (service.utilization, service.concurrency) = (None, None),
                Self::Backlogs if service.utilization.is_some() => {
                    service.queue = Some(Queue::Refuses);
                }
                Self::Pools => service.concurrency = None,
                // Without replicas a service is one thing that is up or down.
                Self::Redundancy => service.replicas = None,
                Self::Recovery => service.recovery = Recovery::default(),
                Self::Automations => service.automations.clear(),
                _ => {}
            }
        }
        edit_dependencies(&mut topology, |dependencies| {
            // Load that is there for its own sake goes with loads.
            if self == Self::Loads {
                dependencies.retain(|dependency| !dependency.is_load());
            }
            dependencies
                .iter_mut()
                .filter(|dependency| !dependency.is_load())
                .for_each(|dependency| self.strip_element(dependency));
        });
        for target in &mut change.targets {
            match self {
                Self::Severity => target.severity = (Share::ONE, Share::ONE),
                Self::Onset => target.onset = Delay::default(),
                Self::Modes => target.modes = Modes::default(),
                Self::BadRequests => target.severity_of = SeverityOf::Attempts,
                _ => {}
            }
        }
        if self == Self::Onset {
            change.rollout = None;
        }
        if let (Self::EvidenceOfFailure, Some(detection)) = (self, &mut change.detection) {
            // At once when anything fails, whether ten requests have failed by then or none.
            *detection = Detection {
                alert_threshold: Some(detection.alert_threshold.unwrap_or(Share::ZERO)),
                failures: None,
                ..detection.clone()
            };
        }
        if self == Self::Actions {
            change.actions.clear();
        }
        (topology, change)
    }

    fn strip_element(self, dependency: &mut Dependency) {
        match self {
            Self::Softness => dependency.criticality = None,
            Self::Caches => dependency.cache = None,
            Self::Buffers => dependency.buffer = None,
            Self::Fallbacks => dependency.fallback = None,
            // Not to wait at all is the shortest timeout, so both go together.
            Self::Timeouts => (dependency.timeout, dependency.kind) = (Timeout::None, None),
            Self::Pools => dependency.max_in_flight = None,
            Self::Expiry => {
                if let Some(cache) = &mut dependency.cache {
                    cache.ttl = None;
                }
            }
            Self::Push if dependency.kind == Some(CallKind::Push) => dependency.kind = None,
            Self::CallShares => dependency.call_probability = Share::ONE,
            Self::Retries => (dependency.retries, dependency.retry_budget) = (None, None),
            Self::StartPhase => dependency.phase = Phase::Serve,
            Self::Redundancy => dependency.needs = dependency.on.len() as u32,
            _ => {}
        }
    }
}

/// The topology with stated dependencies only.
pub(super) fn declared_only(topology: &Topology) -> Topology {
    let mut topology = topology.clone();
    edit_dependencies(&mut topology, |them| {
        them.retain(|them| them.evidence != Some(Evidence::Inferred));
    });
    topology
}

/// The topology without a containment: its calls are hard, and nothing stands in for what they
/// call. Nothing where the containment consists in no call.
pub(super) fn without_containment(
    topology: &Topology,
    containment: &Containment,
) -> Option<Topology> {
    let caller = containment.caller?;
    let mut topology = topology.clone();
    let mut found = false;
    let service = &mut topology.services[caller.0 as usize];
    let own = std::iter::once(&mut service.dependencies);
    for entry in
        own.chain(service.endpoints.iter_mut().map(|endpoint| &mut endpoint.dependencies)).flatten()
    {
        let is_meant =
            containment.dependency.is_none_or(|on| entry.on.iter().any(|item| item.service == on));
        let is_protected = entry.is_soft()
            || entry.cache.is_some()
            || entry.buffer.is_some()
            || entry.fallback.is_some()
            || entry.phase == Phase::Start
            || entry.on.len() > entry.needs as usize;
        // Load is no call that could be protected.
        if is_meant && is_protected && !entry.is_load() {
            found = true;
            entry.criticality = Some(Criticality::Hard);
            entry.kind = Some(CallKind::Sync);
            (entry.cache, entry.buffer, entry.fallback) = (None, None, None);
            entry.phase = Phase::Serve;
            entry.needs = entry.on.len() as u32;
        }
    }
    found.then_some(topology)
}

fn edit_dependencies(topology: &mut Topology, mut change: impl FnMut(&mut Vec<Dependency>)) {
    for service in &mut topology.services {
        change(&mut service.dependencies);
        service.endpoints.iter_mut().for_each(|endpoint| change(&mut endpoint.dependencies));
    }
}
