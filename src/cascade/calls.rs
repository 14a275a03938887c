//! Figures of calls between services, and the flows that run over each service.

use std::collections::BTreeMap;

use crate::model::Topology;
use crate::model::topology::{Caller, Dependency, Phase, Service};
use crate::report::Protection;
use crate::report::{DependencyReport, Report};
use crate::sort::Gather as _;

/// Shares of trials in which failure arrived at the calls from one service to another.
#[derive(Clone, Debug, Default)]
pub(super) struct CallOutcome {
    /// In which a failing answer came back.
    pub(super) exposed: f64,
    /// In which it propagated to the caller.
    pub(super) passed: f64,
    /// In which a protection held, by protection.
    pub(super) held: BTreeMap<Protection, f64>,
}

impl CallOutcome {
    /// Returns the share of trials in which the strongest protection held.
    pub(super) fn strongest_guard(&self) -> f64 {
        self.held.values().copied().fold(0.0, f64::max)
    }
}

/// Returns all calls of a service and of its endpoints.
pub(super) fn service_calls(service: &Service) -> impl Iterator<Item = &Dependency> {
    let own = service.dependencies.iter();
    own.chain(service.endpoints.iter().flat_map(|endpoint| &endpoint.dependencies))
}

/// Returns the outcomes of calls by the indices of dependency and caller. Of several calls between the
/// same two services, each figure is that of the call at which it is greatest.
pub(super) fn call_outcomes(
    topology: &Topology,
    report: &Report,
) -> BTreeMap<(usize, usize), CallOutcome> {
    let reported: BTreeMap<(&str, &str), &DependencyReport> = report
        // A call has no number in a report, so it is found by its names.
        .dependencies
        .iter()
        .map(|call| ((call.caller.as_str(), call.dependency.as_str()), call))
        .into_map();
    let mut outcomes: BTreeMap<(usize, usize), CallOutcome> = BTreeMap::new();
    for (caller, written) in
        topology.declared_dependencies().filter(|(_, call)| call.phase == Phase::Serve)
    {
        // Flows are no boxes, so their steps are no links between services.
        let Caller::Node(node) = caller else { continue };
        let (by, on) = (topology.caller_name(caller), topology.dependency_name(written));
        let Some(found) = reported.get(&(by.as_str(), on.as_str())) else { continue };
        for target in &written.on {
            // A call of a service to itself leads nowhere in a picture.
            if target.service == node.service {
                continue;
            }
            let key = (target.service.0 as usize, node.service.0 as usize);
            let outcome = outcomes.entry(key).or_default();
            outcome.exposed = outcome.exposed.max(found.exposed);
            outcome.passed = outcome.passed.max(found.passed);
            for (guard, share) in &found.contained {
                let held = outcome.held.entry(*guard).or_default();
                *held = held.max(*share);
            }
        }
    }
    outcomes
}

/// Returns, by service, the names of the flows that run over it, directly or through others.
pub fn flows_by_service(topology: &Topology) -> Vec<Vec<String>> {
    let mut flows = vec![Vec::new(); topology.services.len()];
    for flow in &topology.flows {
        let mut is_seen = vec![false; topology.services.len()];
        let steps = flow.steps.iter().flat_map(|step| &step.on);
        let mut open: Vec<usize> = steps.map(|node| node.service.0 as usize).collect();
        while let Some(index) = open.pop() {
            // A list of open services instead of recursion: chains may be long, and cycles are
            // allowed.
            if std::mem::replace(&mut is_seen[index], true) {
                continue;
            }
            let called = service_calls(&topology.services[index]).flat_map(|call| &call.on);
            open.extend(called.map(|node| node.service.0 as usize));
        }
        for (names, _) in flows.iter_mut().zip(&is_seen).filter(|(_, is_seen)| **is_seen) {
            names.push(flow.name.clone());
        }
    }
    flows
}
