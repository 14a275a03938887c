//! Builds the data of an HTML report from a topology and its simulation.

use std::collections::BTreeMap;

use super::calls::flows_by_service;
use super::graph::waiting_by_service;
use crate::model::Topology;
use crate::report::TimelineMode;
use crate::report::page::{PageCall, PageService, PageWaiting};
use crate::report::{PageReport, Report, UnitReport, WaitingReport};
use crate::sort::Gather as _;

/// The last time on a page is this much later than the 95th percentile of the last first failure.
const TIME_MARGIN: f64 = 1.25;

/// Returns the data of a report's page. The topology is the one that was simulated.
pub fn page_report(topology: &Topology, report: &Report) -> PageReport {
    let flow_names = flows_by_service(topology);
    let named = |(index, name)| (name, index);
    let service_ids: BTreeMap<&str, usize> = topology
        .services
        .iter()
        .map(|service| service.name.as_str())
        .enumerate()
        .map(named)
        .into_map();
    let flows: Vec<String> = report.flows.iter().map(|flow| flow.name.clone()).collect();
    let flow_ids: BTreeMap<&str, usize> =
        flows.iter().map(String::as_str).enumerate().map(named).into_map();
    let waiting = waiting_by_service(topology, report);
    let page_waiting =
        |reason: &WaitingReport| PageWaiting { text: reason.text.clone(), p: reason.p };
    let page_service = |unit: &UnitReport| {
        let index = service_ids.get(unit.name.as_str());
        let names = index.map_or(&[][..], |index| &flow_names[*index]);
        let mut flows: Vec<usize> =
            names.iter().filter_map(|name| flow_ids.get(name.as_str()).copied()).collect();
        flows.sort_unstable();
        // A snapshot has no times to replay.
        let first = unit.first_failed_s.filter(|_| report.timeline.mode == TimelineMode::Rollout);
        PageService {
            name: unit.name.clone(),
            // A figure that is known exactly replaces its estimate, as in the tables.
            failed: unit.failed.exact.unwrap_or(unit.failed.p),
            degraded: unit.degraded.exact.unwrap_or(unit.degraded.p),
            first_s: first.map_or_else(Vec::new, |first| {
                vec![first.p10, first.p25, first.p50, first.p75, first.p90, first.p95]
            }),
            flows,
            waiting: index
                .map_or_else(Vec::new, |index| waiting[*index].iter().map(page_waiting).collect()),
        }
    };
    let services: Vec<PageService> = report.services.iter().map(page_service).collect();
    let last = services.iter().filter_map(|service| service.first_s.last().copied());
    // Room behind the last event, so that it does not end at the edge.
    let until_s = last.fold(0.0, f64::max) * TIME_MARGIN;
    // Most calls of a large topology never see a failure.
    let exposed = report.dependencies.iter().filter(|call| call.exposed > 0.0);
    let calls = exposed.map(|call| PageCall {
        caller: call.caller.clone(),
        dependency: call.dependency.clone(),
        passed: call.passed,
        held: call.contained.clone(),
    });
    PageReport { flows, services, calls: calls.collect(), until_s }
}
