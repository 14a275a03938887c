//! How a topology and its sources differ, both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::{EvidenceGraph, evidence_word};
use crate::model::Topology;
use crate::model::topology::{Dependency, Evidence};
use crate::model::units::Rate;

/// Shares and rates that differ by less than this part of the larger one have not moved.
const TOLERANCE: f64 = 0.2;

/// One place where a topology and its sources differ.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftDifference {
    /// In which way.
    pub kind: DifferenceKind,
    /// The service, the caller, or the flow.
    pub name: String,
    /// Callee, where the difference is about a dependency.
    pub dependency: Option<String>,
    /// How the sources know it.
    pub evidence: Option<&'static str>,
    /// Where the sources have it.
    pub source: Option<String>,
    /// Figure that has moved, with its value in the topology and in the sources.
    pub moved: Option<Moved>,
}

/// In which way a topology and its sources differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The sources have a service that the topology has not.
    ServiceNotInTopology,
    /// The topology has a service that the sources have not.
    ServiceNotInSources,
    /// The sources have a dependency that the topology has not.
    DependencyNotInTopology,
    /// The topology has a dependency that the sources have not.
    DependencyNotInSources,
    /// Both have it, with other figures.
    Moved,
}

/// A figure that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// The key of the topology: `replicas`, `timeout`, `call_probability`, `rate`.
    pub key: &'static str,
    /// Its value in the topology.
    pub topology: String,
    /// Its value in the sources.
    pub sources: String,
}

/// Returns where a topology and its sources differ: by kind, then by name.
///
/// Dependencies that are only assumed prove nothing, and are left out.
pub fn find_drift(topology: &Topology, graph: &EvidenceGraph) -> Vec<DriftDifference> {
    let mut found = Vec::new();
    let known: BTreeSet<&str> = topology.services.iter().map(|service| &*service.name).collect();
    for name in graph.services.keys().filter(|name| !known.contains(name.as_str())) {
        found.push(new_difference(DifferenceKind::ServiceNotInTopology, name, None));
    }
    for name in known.iter().filter(|name| !graph.services.contains_key(**name)) {
        found.push(new_difference(DifferenceKind::ServiceNotInSources, name, None));
    }
    let mut written: BTreeMap<(&str, &str), &Dependency> = BTreeMap::new();
    for service in &topology.services {
        let of_endpoints = service.endpoints.iter().flat_map(|endpoint| &endpoint.dependencies);
        for dependency in service.dependencies.iter().chain(of_endpoints) {
            for on in &dependency.on {
                let callee = &*topology.services[on.service.0 as usize].name;
                written.entry((&*service.name, callee)).or_insert(dependency);
            }
        }
    }
    for ((caller, callee), dependency) in &graph.dependencies {
        let pair = (caller.as_str(), callee.as_str());
        let both_known = known.contains(pair.0) && known.contains(pair.1);
        match written.get(&pair) {
            Some(own) => moved_dependency(pair, own, dependency, &mut found),
            // Of a new service all dependencies are new.
            None if both_known && dependency.evidence != Evidence::Assumed => {
                let new =
                    new_difference(DifferenceKind::DependencyNotInTopology, caller, Some(callee));
                found.push(DriftDifference {
                    evidence: Some(evidence_word(dependency.evidence)),
                    source: dependency.sources.first().cloned(),
                    ..new
                });
            }
            None => {}
        }
    }
    for (caller, callee) in written.keys() {
        let is_there =
            graph.dependencies.contains_key(&((*caller).to_owned(), (*callee).to_owned()));
        let both = [caller, callee].iter().all(|name| graph.services.contains_key(**name));
        if !is_there && both {
            found.push(new_difference(
                DifferenceKind::DependencyNotInSources,
                caller,
                Some(callee),
            ));
        }
    }
    moved_services(topology, graph, &mut found);
    found.sort_by(|a, b| (a.kind, &a.name, &a.dependency).cmp(&(b.kind, &b.name, &b.dependency)));
    found
}

fn new_difference(kind: DifferenceKind, name: &str, dependency: Option<&str>) -> DriftDifference {
    let dependency = dependency.map(str::to_owned);
    let name = name.to_owned();
    DriftDifference { kind, name, dependency, evidence: None, source: None, moved: None }
}

/// Whether two figures differ by more than the sampling of a source explains.
fn has_moved(one: f64, other: f64) -> bool {
    (one - other).abs() > TOLERANCE * one.abs().max(other.abs())
}

fn moved_dependency(
    (caller, callee): (&str, &str),
    own: &Dependency,
    found: &super::ImportedDependency,
    differences: &mut Vec<DriftDifference>,
) {
    let stated = own.call_probability.get();
    let Some(seen) = found.call_probability.filter(|seen| has_moved(stated, *seen)) else { return };
    let percent = |share: f64| format!("{:.1}%", share * 100.0);
    let moved =
        Moved { key: "call_probability", topology: percent(stated), sources: percent(seen) };
    let new = new_difference(DifferenceKind::Moved, caller, Some(callee));
    let source = found.sources.first().cloned();
    let evidence = Some(evidence_word(found.evidence));
    differences.push(DriftDifference { moved: Some(moved), evidence, source, ..new });
}

fn moved_services(
    topology: &Topology,
    graph: &EvidenceGraph,
    differences: &mut Vec<DriftDifference>,
) {
    for service in &topology.services {
        let stated = service.replicas.as_ref().map(|replicas| replicas.count);
        let seen = graph.services.get(&*service.name).and_then(|service| service.replicas);
        if let (Some(stated), Some(seen)) = (stated, seen)
            && stated != seen
        {
            let (topology, sources) = (stated.to_string(), seen.to_string());
            let moved = Some(Moved { key: "replicas", topology, sources });
            let new = new_difference(DifferenceKind::Moved, &service.name, None);
            differences.push(DriftDifference { moved, ..new });
        }
    }
    for flow in &topology.flows {
        let stated = flow.rate.map(Rate::get);
        let seen = graph.flows.get(&*flow.name).and_then(|flow| flow.rate);
        if let (Some(stated), Some(seen)) = (stated, seen)
            && has_moved(stated, seen)
        {
            let rate = |rate: f64| format!("{rate:.3}/s");
            let moved = Some(Moved { key: "rate", topology: rate(stated), sources: rate(seen) });
            let new = new_difference(DifferenceKind::Moved, &flow.name, None);
            differences.push(DriftDifference { moved, ..new });
        }
    }
}
