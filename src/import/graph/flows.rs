//! Order flows where no source gives any: from the services that requests from outside reach.

use std::collections::{BTreeMap, BTreeSet};

use super::{EvidenceGraph, ImportedFlow};
use crate::sort::Arrange as _;

/// More flows than this nobody reads.
const FLOWS_MAX: usize = 400;

/// Usual names of services that face users.
const FACES: &[&str] =
    &["front", "gateway", "edge", "web", "portal", "page", "ingress", "ui", "proxy", "nginx"];

/// Kinds of services that no order starts at.
const BEHIND: &[&str] = &[
    "database",
    "cache",
    "queue",
    "telemetry",
    "console",
    "job",
    "load generator",
    "library",
    "external",
];

/// Adds flows, if there is none yet: from where a source says that requests enter. Where none says so,
/// until every service that calls another is reached by one.
pub(in crate::import) fn derive_flows(graph: &mut EvidenceGraph) {
    if !graph.flows.is_empty() {
        return;
    }
    let mut callees: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut called = BTreeSet::new();
    for (caller, callee) in graph.serving_dependencies() {
        callees.entry(caller).or_default().push(callee);
        // A load generator and a collector call services without being a part of any order.
        if !is_generator(graph, caller) && !is_kind(graph, caller, "telemetry") {
            called.insert(callee);
        }
    }
    let can_start = |name: &str| {
        let kind = graph.services.get(name).and_then(|service| service.kind.as_deref());
        !kind.is_some_and(|kind| BEHIND.contains(&kind)) && !is_generator(graph, name)
    };
    let mut entries: Vec<&str> = Vec::new();
    let mut remark = None;
    let mut known = BTreeSet::new();
    let stated =
        graph.services.iter().filter(|(name, service)| service.is_entry && can_start(name));
    entries.extend(stated.map(|(name, _)| name.as_str()).take(FLOWS_MAX));
    let starts =
        |name: &&str| !called.contains(*name) && callees.contains_key(*name) && can_start(name);
    let unstated: Vec<&str> = graph.services.keys().map(String::as_str).filter(starts).collect();
    if entries.is_empty() {
        entries.extend(unstated.iter().take(FLOWS_MAX));
    } else {
        // Workers take their work from elsewhere: that nobody calls them makes them no entry.
        let left: Vec<&str> =
            unstated.into_iter().filter(|name| !graph.services[*name].is_entry).collect();
        remark = not_entered(&left);
    }
    // What is left lies in circles that nothing outside calls: start at the one that calls most.
    let mut rest: Vec<&str> = callees.keys().copied().filter(|name| can_start(name)).collect();
    rest.arrange_by_key(|name| (std::cmp::Reverse(callees[name].len()), *name));
    for name in &entries {
        mark_reached(name, &callees, &mut known);
    }
    // Where a source names entries, a circle that none of them reaches is no work of orders.
    let is_stated = remark.is_some() || graph.services.values().any(|service| service.is_entry);
    for name in rest.into_iter().filter(|_| !is_stated) {
        if !known.contains(name) && entries.len() < FLOWS_MAX {
            entries.push(name);
            mark_reached(name, &callees, &mut known);
        }
    }
    if entries.is_empty() {
        entries = user_facing_services(graph, can_start);
    }
    let flows: Vec<(String, ImportedFlow)> = entries
        .into_iter()
        .map(|name| {
            let flow = ImportedFlow {
                title: Some(format!("requests that enter at {name}")),
                steps: vec![name.to_owned()],
                rate: graph.services.get(name).and_then(|service| service.entry_rate),
                is_derived: true,
            };
            (name.to_owned(), flow)
        })
        .collect();
    graph.flows.extend(flows);
    graph.remarks.extend(remark);
}

/// Returns the note about services that nobody calls and at which no request enters.
fn not_entered(names: &[&str]) -> Option<String> {
    let shown: Vec<&str> = names.iter().take(4).copied().collect();
    let more = if names.len() > 4 { ", ..." } else { "" };
    (!names.is_empty()).then(|| {
        format!(
            "No source says that requests enter at {}{more}: no flow starts there; add one if orders do.",
            shown.join(", ")
        )
    })
}

/// Whether it only makes load, and is no part of what users need.
pub(in crate::import) fn is_generator(graph: &EvidenceGraph, name: &str) -> bool {
    is_kind(graph, name, "load generator")
}

fn is_kind(graph: &EvidenceGraph, name: &str, kind: &str) -> bool {
    graph.services.get(name).is_some_and(|service| service.kind.as_deref() == Some(kind))
}

/// Where nothing is known of dependencies: what is called like something that users see, or else all.
fn user_facing_services(graph: &EvidenceGraph, can_start: impl Fn(&str) -> bool) -> Vec<&str> {
    let all = || graph.services.keys().map(String::as_str);
    let named = all().filter(|name| {
        let lower = name.to_lowercase();
        can_start(name)
            && lower
                .split(['-', '_', '.'])
                .any(|part| FACES.iter().any(|face| part.starts_with(face)))
    });
    let found: Vec<&str> = named.take(FLOWS_MAX).collect();
    if !found.is_empty() {
        return found;
    }
    let starting: Vec<&str> = all().filter(|name| can_start(name)).take(FLOWS_MAX).collect();
    if starting.is_empty() { all().take(FLOWS_MAX).collect() } else { starting }
}

fn mark_reached<'a>(
    from: &'a str,
    callees: &BTreeMap<&'a str, Vec<&'a str>>,
    reached: &mut BTreeSet<&'a str>,
) {
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(callees.get(name).into_iter().flatten().copied());
        }
    }
}
