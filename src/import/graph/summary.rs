//! Summary of an import, in about ten lines.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::measurements::LatencyGap;
use super::names::shell_word;
use super::write::{digits_text, measured_duration, whole_text};
use super::{EvidenceGraph, LeftOutReason};
use crate::model::topology::Evidence;
use crate::sort::{Arrange as _, Gather as _};

/// Warning about a graph in which nothing is needed to serve.
pub(in crate::import) const NO_RUN_TIME_DEPENDENCY: &str = "No source says what any service needs to \
     serve: simulations look harmless. Import traces, manifests or a catalog as well.";

/// The lines for a person; `path` is where the topology goes.
pub fn summary_lines(graph: &EvidenceGraph, path: &str) -> Vec<String> {
    let mut lines =
        vec![services_line(graph), dependencies_line(graph), flows_line(graph), cycles_line(graph)];
    lines.push(unknown_line(graph));
    lines.extend(latency_line(graph));
    lines.extend(latency_gap_lines(graph));
    lines.extend(errors_line(graph));
    let guessed = graph
        .dependencies
        .values()
        .filter(|dependency| dependency.is_soft && !dependency.is_start)
        .count();
    if guessed > 0 {
        lines.push(format!(
            "soft:         {guessed} dependencies, on telemetry or only assumed; review them"
        ));
    }
    if graph.self_calls > 0 {
        lines.push(format!("left out:     {} calls of services to themselves", graph.self_calls));
    }
    if graph.address_calls > 0 {
        lines.push(format!(
            "left out:     {} calls to an IP address that no name is known for",
            graph.address_calls
        ));
    }
    lines.extend(left_out(graph));
    if graph.serving_dependencies().next().is_none() {
        lines.push(format!("warning:      {NO_RUN_TIME_DEPENDENCY}"));
    }
    // An example with a real name can be copied and run.
    let victim = most_called(graph).unwrap_or_else(|| "SERVICE".to_owned());
    if path == "-" {
        lines.push("next:         write it to a file with `-o shop.yaml`, then `blastwave validate shop.yaml`".to_owned());
    } else {
        lines.push(format!(
            "next:         blastwave simulate {} --break {}",
            shell_word(path),
            shell_word(&victim)
        ));
    }
    lines
}

/// Which addresses became no dependency, and why.
fn left_out(graph: &EvidenceGraph) -> Vec<String> {
    let line = |(reason, names): (&LeftOutReason, &BTreeSet<String>)| {
        let what = match reason {
            LeftOutReason::OwnMachine => "addresses of the own machine",
            LeftOutReason::OwnAddress => "addresses of the service itself, or links",
            LeftOutReason::Schema => "names of schemas",
            LeftOutReason::NotCalled => "addresses that are named and not called",
            LeftOutReason::UnknownHost => "lists with hosts that no source defines",
            LeftOutReason::UnusedEntry => "hosts of ServiceEntry objects that no workload names",
        };
        let shown: Vec<&str> = names.iter().map(String::as_str).take(3).collect();
        let more = if names.len() > 3 { ", ..." } else { "" };
        format!("left out:     {} {what} ({}{more})", names.len(), shown.join(", "))
    };
    let common = (graph.common_variables > 0).then(|| {
        format!(
            "assumed:      {} addresses, since most services have the same variables",
            graph.common_variables
        )
    });
    graph.left_out.iter().map(line).chain(common).collect()
}

fn services_line(graph: &EvidenceGraph) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for service in graph.services.values() {
        if let Some(kind) = &service.kind {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let mut kinds: Vec<(&str, usize)> = kinds.into_iter().collect();
    kinds.arrange_by_key(|(kind, count)| (std::cmp::Reverse(*count), *kind));
    let shown: Vec<String> =
        kinds.iter().take(4).map(|(kind, count)| format!("{count} {kind}")).collect();
    let among =
        if shown.is_empty() { String::new() } else { format!(", among them {}", shown.join(", ")) };
    format!("services:     {}{among}", graph.services.len())
}

fn dependencies_line(graph: &EvidenceGraph) -> String {
    let count = |wanted| {
        graph.dependencies.values().filter(|dependency| dependency.evidence == wanted).count()
    };
    let start = graph.dependencies.values().filter(|dependency| dependency.is_start).count();
    let mut parts = Vec::new();
    for (evidence, word) in [
        (Evidence::Observed, "observed"),
        (Evidence::Declared, "declared"),
        (Evidence::Inferred, "inferred"),
        (Evidence::Assumed, "assumed"),
    ] {
        if count(evidence) > 0 {
            parts.push(format!("{} {word}", count(evidence)));
        }
    }
    if start > 0 {
        parts.push(format!("{start} of them only to start"));
    }
    let parts = if parts.is_empty() { "no source names any".to_owned() } else { parts.join(", ") };
    format!("dependencies: {} ({parts})", graph.dependencies.len())
}

fn flows_line(graph: &EvidenceGraph) -> String {
    let derived = graph.flows.values().filter(|flow| flow.is_derived).count();
    let rated = graph.flows.values().filter(|flow| flow.rate.is_some()).count();
    let how = match (derived, rated) {
        (0, 0) => match graph.recorded_over {
            Some(seconds) => format!(
                "without rates: the time stamps of the traces span {}; `--window` gives rates",
                measured_duration(seconds)
            ),
            None => "without rates: `--window` gives those of traces".to_owned(),
        },
        (0, rated) => format!("{rated} with a rate"),
        _ => {
            "derived from where requests enter; no source says what the order flows are".to_owned()
        }
    };
    format!("flows:        {} ({how})", graph.flows.len())
}

/// Returns how many latencies are known, and from how many requests.
fn latency_line(graph: &EvidenceGraph) -> Option<String> {
    let known = graph.services.values().filter_map(|service| service.latency.as_ref());
    let requests: Vec<f64> = known.map(|latency| latency.requests.unwrap_or(0.0)).collect();
    let noun = if requests.len() == 1 { "service" } else { "services" };
    (!requests.is_empty()).then(|| {
        let total = whole_text(requests.iter().sum());
        format!("latency:      {} {noun}, from {total} requests", requests.len())
    })
}

/// Returns of which services a source times requests without giving a latency, and why.
fn latency_gap_lines(graph: &EvidenceGraph) -> Vec<String> {
    let mut gaps: BTreeMap<LatencyGap, Vec<&str>> = BTreeMap::new();
    for (name, service) in &graph.services {
        if let (None, Some(gap)) = (&service.latency, service.latency_gap) {
            gaps.entry(gap).or_default().push(name);
        }
    }
    let line = |(gap, names): (LatencyGap, Vec<&str>)| {
        let why = match gap {
            LatencyGap::FewRequests => "with fewer than 100 timed requests",
            LatencyGap::BeyondBuckets => "with answers slower than the last bucket",
            LatencyGap::UnnamedQuantile => "with one response time of an unnamed quantile",
            LatencyGap::CoarseClock => "with a clock too coarse",
        };
        let noun = if names.len() == 1 { "service" } else { "services" };
        let more = if names.len() > 3 { ", ..." } else { "" };
        let shown = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        format!("no latency:   {} {noun} {why} ({shown}{more})", names.len())
    };
    gaps.into_iter().map(line).collect()
}

/// Returns where most requests fail: that is written beside the services, and not simulated.
fn errors_line(graph: &EvidenceGraph) -> Option<String> {
    let mut failing: Vec<(&str, f64)> = graph
        .services
        .iter()
        .filter_map(|(name, service)| {
            let errors = service.errors.as_ref().filter(|errors| errors.failed > 0.0)?;
            Some((name.as_str(), errors.failed / errors.requests))
        })
        .collect();
    // Equal shares are ordered by name, so that the line is always the same.
    failing.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let shown: Vec<String> = failing
        .iter()
        .take(3)
        .map(|(name, share)| format!("{name} {}%", digits_text(share * 100.0, 2)))
        .collect();
    let more = if failing.len() > 3 { ", ..." } else { "" };
    (!failing.is_empty()).then(|| {
        format!(
            "errors:       {}{more} of requests failed; noted beside the services, not simulated",
            shown.join(", ")
        )
    })
}

fn cycles_line(graph: &EvidenceGraph) -> String {
    let mut calls = DiGraph::<&str, ()>::new();
    let nodes: BTreeMap<&str, _> =
        graph.services.keys().map(|name| (name.as_str(), calls.add_node(name))).into_map();
    for (caller, callee) in graph.serving_dependencies() {
        calls.add_edge(nodes[caller], nodes[callee], ());
    }
    // Kosaraju's algorithm is iterative in petgraph; Tarjan's is recursive and overflows on long
    // chains.
    let mut cycles: Vec<Vec<&str>> = kosaraju_scc(&calls)
        .into_iter()
        .filter(|cycle| cycle.len() > 1)
        .map(|cycle| cycle.into_iter().map(|node| calls[node]).collect())
        .collect();
    // Components come in the order of the search, and are shown in that of their names.
    for cycle in &mut cycles {
        cycle.sort_unstable();
    }
    cycles.arrange_by_key(|cycle| (std::cmp::Reverse(cycle.len()), cycle[0]));
    match cycles.first() {
        None => "cycles:       none".to_owned(),
        Some(largest) => format!(
            "cycles:       {}, the largest of {} services with {}",
            cycles.len(),
            largest.len(),
            largest.iter().take(3).copied().collect::<Vec<_>>().join(", ")
        ),
    }
}

fn unknown_line(graph: &EvidenceGraph) -> String {
    let touched: BTreeSet<&str> =
        graph.dependencies.keys().flat_map(|(caller, callee)| [&**caller, &**callee]).into_set();
    let without: Vec<&str> =
        graph.services.keys().map(String::as_str).filter(|name| !touched.contains(name)).collect();
    let no_timeout = graph
        .dependencies
        .values()
        .filter(|dependency| dependency.timeout.is_none() && !dependency.is_start)
        .count();
    let alone = match without.as_slice() {
        [] => String::new(),
        some => format!(
            "any dependency of {} services ({}{}), ",
            some.len(),
            some.iter().take(3).copied().collect::<Vec<_>>().join(", "),
            if some.len() > 3 { ", …" } else { "" }
        ),
    };
    format!("unknown:      {alone}timeouts of {no_timeout} dependencies, fallbacks of all")
}

/// Returns the service that most others call.
pub fn most_called(graph: &EvidenceGraph) -> Option<String> {
    let mut callers: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, callee) in graph.serving_dependencies() {
        *callers.entry(callee).or_default() += 1;
    }
    let most = callers.into_iter().max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)));
    most.map(|(name, _)| name.to_owned()).or_else(|| graph.services.keys().next().cloned())
}
