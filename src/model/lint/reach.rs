//! Services that no flow reaches, and flows without a rate.

use super::graph::LintGraph;
use super::listed_names;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::{Dependency, NodeRef, ServiceId};

pub(super) fn find_unreached(graph: &LintGraph<'_>, findings: &mut Findings) {
    without_rate(graph, findings);
    // Without flows nothing is reached, and one warning for each service would say nothing.
    if !graph.topology.flows.is_empty()
        && let Some(problem) = unreached_warning(graph)
    {
        findings.push(problem);
    }
}

fn without_rate(graph: &LintGraph<'_>, findings: &mut Findings) {
    let flows = &graph.topology.flows;
    let Some(with) = flows.iter().find(|flow| flow.rate.is_some()) else { return };
    for flow in flows.iter().filter(|flow| flow.rate.is_none()) {
        let message = format!("flow `{}` has no rate", flow.name);
        findings.push(
            Diagnostic::warning(Code::NoRate, message, flow.place)
                .other_place(with.place, "this one has")
                .help("its lost orders are not counted; state `rate`, for example `1200/min`"),
        );
    }
}

/// One warning for all services that no flow reaches, in whatever way.
fn unreached_warning(graph: &LintGraph<'_>) -> Option<Diagnostic> {
    let topology = graph.topology;
    let mut reached = vec![false; topology.services.len()];
    let mut visited = vec![false; graph.len()];
    let mut queue: Vec<usize> = Vec::new();
    let steps = topology.flows.iter().flat_map(|flow| &flow.steps);
    queue.extend(steps.flat_map(dependency_references).map(|node| graph.index_of(node)));
    while let Some(node) = queue.pop() {
        if std::mem::replace(&mut visited[node], true) {
            continue;
        }
        reached[graph.node_at(node).service.0 as usize] = true;
        // An endpoint's service makes calls of its own for it.
        queue.extend(graph.plain_node(node));
        let calls = graph.own_dependencies(node).iter();
        queue.extend(calls.flat_map(dependency_references).map(|node| graph.index_of(node)));
    }
    let missed: Vec<usize> = (0..reached.len()).filter(|index| !reached[*index]).collect();
    let first = &topology.services[*missed.first()?];
    let names: Vec<String> =
        missed.iter().map(|index| topology.services[*index].name.clone()).collect();
    let message = match names.len() {
        1 => format!("no flow reaches {}", listed_names(&names)),
        count => format!("no flow reaches {count} services: {}", listed_names(&names)),
    };
    let problem = Diagnostic::warning(Code::UnreachedService, message, first.place)
        .help("what happens to them costs no orders; is a dependency or a flow missing?");
    let others = missed.iter().skip(1).take(2);
    Some(
        others.fold(problem, |problem, index| {
            problem.other_place(topology.services[*index].place, "")
        }),
    )
}

/// Everything a dependency names: what it calls, its fallback and its cache.
fn dependency_references(dependency: &Dependency) -> impl Iterator<Item = NodeRef> {
    let plain = |service: ServiceId| NodeRef { service, endpoint: None };
    let fallback = dependency.fallback.and_then(|fallback| fallback.on);
    let cache = dependency.cache.and_then(|cache| cache.service).map(plain);
    dependency.on.iter().copied().chain(fallback).chain(cache)
}
