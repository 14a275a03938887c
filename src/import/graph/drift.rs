//! How a topology and its sources differ, both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::measurements::MeasuredLatency;
use super::write::{measured_duration, written_timeouts};
use super::{EvidenceGraph, ImportedDependency};
use crate::model::Topology;
use crate::model::topology::{Dependency, Evidence, Timeout};
use crate::model::units::{Rate, Seconds};

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
    pub evidence: Option<Evidence>,
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
    /// The key of the topology, such as `replicas`, `latency.p99`, `call_probability` or `rate`.
    pub key: &'static str,
    /// Its value in the topology.
    pub topology: String,
    /// Its value in the sources.
    pub sources: String,
}

/// Returns where a topology and its sources differ: by kind, then by name.
///
/// Dependencies that are only assumed prove nothing, and are left out. Measured figures have moved where
/// they differ by more than `tolerance`, as a part of the larger one, and by more than chance explains.
pub fn find_drift(
    topology: &Topology,
    graph: &EvidenceGraph,
    tolerance: f64,
) -> Vec<DriftDifference> {
    let mut figures = FigureComparison { topology, graph, tolerance, found: Vec::new() };
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
        // A service that only one side knows is a difference already; its dependencies would repeat
        // it.
        let both_known = known.contains(pair.0) && known.contains(pair.1);
        match written.get(&pair) {
            Some(own) => figures.compare_dependency(pair, own, dependency),
            // Of a new service all dependencies are new.
            None if both_known && dependency.evidence != Evidence::Assumed => {
                let new =
                    new_difference(DifferenceKind::DependencyNotInTopology, caller, Some(callee));
                found.push(DriftDifference {
                    evidence: Some(dependency.evidence),
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
        // What the sources do not have at all cannot say that a dependency is missing.
        let both = [caller, callee].iter().all(|name| graph.services.contains_key(**name));
        if !is_there && both {
            found.push(new_difference(
                DifferenceKind::DependencyNotInSources,
                caller,
                Some(callee),
            ));
        }
    }
    figures.compare_services();
    figures.compare_flows();
    found.append(&mut figures.found);
    found.sort_by(|a, b| (a.kind, &a.name, &a.dependency).cmp(&(b.kind, &b.name, &b.dependency)));
    found
}

fn new_difference(kind: DifferenceKind, name: &str, dependency: Option<&str>) -> DriftDifference {
    let dependency = dependency.map(str::to_owned);
    let name = name.to_owned();
    DriftDifference { kind, name, dependency, evidence: None, source: None, moved: None }
}

/// Standard error of the median of n lognormal times, as a factor of sigma / sqrt(n).
const ERROR_OF_MEDIAN: f64 = 1.2533;

/// The same of the 99th percentile: sqrt(0.01 * 0.99) over the density of the normal there, 0.02665.
const ERROR_OF_P99: f64 = 3.733;

/// How many standard errors a difference must have: less may be chance.
const ERRORS_MIN: f64 = 3.0;

/// Compares the figures of a topology with those of the sources.
struct FigureComparison<'a> {
    topology: &'a Topology,
    graph: &'a EvidenceGraph,
    /// Measured figures that differ by less than this part of the larger one have not moved.
    tolerance: f64,
    found: Vec<DriftDifference>,
}

impl FigureComparison<'_> {
    /// Returns whether two measured figures differ by more than is tolerated.
    fn has_moved(&self, one: f64, other: f64) -> bool {
        // The larger of the two is the base, so that it does not matter which of them is called the
        // new one.
        (one - other).abs() > self.tolerance * one.abs().max(other.abs())
    }

    /// Returns whether two quantiles differ by more than is tolerated and by more than chance explains.
    fn has_quantile_moved(
        &self,
        stated: f64,
        seen: f64,
        latency: &MeasuredLatency,
        error: f64,
    ) -> bool {
        let sigma = libm::log((latency.p99 / latency.median).max(1.0)) / SIGMA_AT_P99;
        let chance = latency.requests.map_or(0.0, |requests| error * sigma / requests.sqrt());
        // Quantiles of lognormal times are compared on a logarithmic scale, on which their errors
        // are even.
        self.has_moved(stated, seen) && libm::log(seen / stated).abs() > ERRORS_MIN * chance
    }

    fn add_moved(
        &mut self,
        place: &MovedPlace<'_>,
        key: &'static str,
        topology: String,
        sources: String,
    ) {
        let new = new_difference(DifferenceKind::Moved, place.name, place.dependency);
        self.found.push(DriftDifference {
            moved: Some(Moved { key, topology, sources }),
            evidence: place.evidence,
            source: place.source.map(str::to_owned),
            ..new
        });
    }

    /// Compares what both say of one dependency.
    fn compare_dependency(
        &mut self,
        (caller, callee): (&str, &str),
        own: &Dependency,
        found: &ImportedDependency,
    ) {
        let place = MovedPlace {
            name: caller,
            dependency: Some(callee),
            evidence: Some(found.evidence),
            source: found.sources.first().map(String::as_str),
        };
        let stated = own.call_probability.get();
        if let Some(seen) = found.call_probability {
            // The standard error of a share that was counted in so many requests.
            let chance = found.counted_requests.map_or(0.0, |requests| {
                (stated.max(seen) * (1.0 - stated.min(seen)) / requests).sqrt()
            });
            if self.has_moved(stated, seen) && (stated - seen).abs() > ERRORS_MIN * chance {
                let percent = |share: f64| format!("{:.1}%", share * 100.0);
                self.add_moved(&place, "call_probability", percent(stated), percent(seen));
            }
        }
        if let Some(seen) = found.calls_per_request
            && self.has_moved(f64::from(own.calls), f64::from(seen))
        {
            self.add_moved(&place, "calls", own.calls.to_string(), seen.to_string());
        }
        self.compare_limits(&place, own, found);
    }

    /// Compares limits that both state: those are written, not measured, and any difference counts.
    fn compare_limits(
        &mut self,
        place: &MovedPlace<'_>,
        own: &Dependency,
        found: &ImportedDependency,
    ) {
        let (timeout, attempt_timeout) = written_timeouts(found);
        let own_timeout = match own.timeout {
            Timeout::After(seconds) => Some(seconds.get()),
            Timeout::None | Timeout::Unstated => None,
        };
        let own_attempt = own.attempt_timeout.map(Seconds::get);
        for (key, stated, seen) in
            [("timeout", own_timeout, timeout), ("attempt_timeout", own_attempt, attempt_timeout)]
        {
            if let (Some(stated), Some(seen)) = (stated, seen)
                // Half a millisecond is less than what is left after times are written and read
                // again.
                && (stated - seen).abs() > 0.000_5
            {
                let time = |seconds: f64| measured_duration(seconds);
                self.add_moved(place, key, time(stated), time(seen));
            }
        }
        for (key, stated, seen) in [
            ("retries", own.retries, found.retries),
            ("max_in_flight", own.max_in_flight, found.max_in_flight),
        ] {
            if let (Some(stated), Some(seen)) = (stated, seen)
                && stated != seen
            {
                self.add_moved(place, key, stated.to_string(), seen.to_string());
            }
        }
    }

    /// Compares replicas, pools and latencies of services.
    fn compare_services(&mut self) {
        for service in &self.topology.services {
            let Some(found) = self.graph.services.get(&*service.name) else { continue };
            let place =
                MovedPlace { name: &service.name, dependency: None, evidence: None, source: None };
            for (key, stated, seen) in [
                ("replicas", service.replicas.as_ref().map(|own| own.count), found.replicas),
                ("concurrency", service.concurrency, found.concurrency()),
            ] {
                if let (Some(stated), Some(seen)) = (stated, seen)
                    && stated != seen
                {
                    self.add_moved(&place, key, stated.to_string(), seen.to_string());
                }
            }
            if let (Some(stated), Some(seen)) = (&service.latency, &found.latency) {
                let place = MovedPlace {
                    evidence: Some(Evidence::Observed),
                    source: Some(&seen.source),
                    ..place
                };
                for (key, stated, figure, error) in [
                    ("latency.median", stated.median.get(), seen.median, ERROR_OF_MEDIAN),
                    ("latency.p99", stated.p99.get(), seen.p99, ERROR_OF_P99),
                ] {
                    if self.has_quantile_moved(stated, figure, seen, error) {
                        let time = |seconds: f64| measured_duration(seconds);
                        self.add_moved(&place, key, time(stated), time(figure));
                    }
                }
            }
        }
    }

    fn compare_flows(&mut self) {
        for flow in &self.topology.flows {
            let stated = flow.rate.map(Rate::get);
            let seen = self.graph.flows.get(&*flow.name).and_then(|flow| flow.rate);
            // Rates that only one side has are no contradiction.
            if let (Some(stated), Some(seen)) = (stated, seen)
                && self.has_moved(stated, seen)
            {
                let rate = |rate: f64| format!("{rate:.3}/s");
                let place =
                    MovedPlace { name: &flow.name, dependency: None, evidence: None, source: None };
                self.add_moved(&place, "rate", rate(stated), rate(seen));
            }
        }
    }
}

/// The standard deviations at which the 99th percentile of a normal distribution lies.
const SIGMA_AT_P99: f64 = 2.326_347_874_040_840_8;

/// The place of a figure, and how the sources know it.
#[derive(Clone, Copy)]
struct MovedPlace<'a> {
    name: &'a str,
    dependency: Option<&'a str>,
    evidence: Option<Evidence>,
    source: Option<&'a str>,
}
