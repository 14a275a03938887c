//! What the script of an HTML report knows: the figures of every service, and how failure gets from
//! one to the next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Report, UnitReport, focus};
use crate::model::Topology;
use crate::sort::Gather as _;

/// The data of an HTML report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PageReport {
    /// The names of the flows.
    pub flows: Vec<String>,
    /// The services, in the order of the report.
    pub services: Vec<PageService>,
    /// Where failure came in.
    pub calls: Vec<PageCall>,
    /// When the last service of nearly all trials has failed, in seconds; 0 where there is no time.
    pub until_s: f64,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageService {
    /// Its name.
    pub name: String,
    /// The share of trials in which it fails.
    pub failed: f64,
    /// In which it is degraded or worse.
    pub degraded: f64,
    /// When it first failed: the 10th, 25th, 50th, 75th, 90th and 95th percentile, in seconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_s: Vec<f64>,
    /// The flows that run over it, by their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<usize>,
}

/// A dependency at which failure came in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageCall {
    /// Who calls.
    pub caller: String,
    /// What is called.
    pub dependency: String,
    /// The share of trials in which failure passed to the caller.
    pub passed: f64,
    /// In which it was contained, by what.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, f64>,
}

impl PageReport {
    /// The data of a report. The topology is the one that was simulated.
    pub fn new(topology: &Topology, report: &Report) -> Self {
        let over = focus::flows_over(topology);
        let places: BTreeMap<&str, usize> =
            topology.services.iter().enumerate().map(|(i, it)| (it.name.as_str(), i)).into_map();
        let flows: Vec<String> = report.flows.iter().map(|it| it.name.clone()).collect();
        let numbers: BTreeMap<&str, usize> =
            flows.iter().enumerate().map(|(i, it)| (it.as_str(), i)).into_map();
        let service = |unit: &UnitReport| {
            let names = places.get(unit.name.as_str()).map_or(&[][..], |place| &over[*place]);
            let mut flows: Vec<usize> =
                names.iter().filter_map(|it| numbers.get(it.as_str()).copied()).collect();
            flows.sort_unstable();
            let first = unit.first_failed_s.filter(|_| report.course.kind == "time");
            PageService {
                name: unit.name.clone(),
                failed: unit.failed.exact.unwrap_or(unit.failed.p),
                degraded: unit.degraded.exact.unwrap_or(unit.degraded.p),
                first_s: first.map_or_else(Vec::new, |it| {
                    vec![it.p10, it.p25, it.p50, it.p75, it.p90, it.p95]
                }),
                flows,
            }
        };
        let services: Vec<PageService> = report.services.iter().map(service).collect();
        let last = services.iter().filter_map(|it| it.first_s.last().copied());
        let until_s = last.fold(0.0, f64::max) * 1.25;
        let reached = report.dependencies.iter().filter(|it| it.tried > 0.0);
        let calls = reached.map(|it| PageCall {
            caller: it.caller.clone(),
            dependency: it.dependency.clone(),
            passed: it.passed,
            held: it.contained.clone(),
        });
        Self { flows, services, calls: calls.collect(), until_s }
    }
}
