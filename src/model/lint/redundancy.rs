//! Redundancy inside one failure domain.

use super::graph::LintGraph;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::{Dependency, DomainId, Replicas, Service, ServiceId};

pub(super) fn find_lost_redundancy(graph: &LintGraph<'_>, findings: &mut Findings) {
    let topology = graph.topology;
    for service in &topology.services {
        if let Some(problem) = replicas_warning(graph, service) {
            findings.push(problem);
        }
    }
    for node in 0..graph.len() {
        let caller = Some(graph.node_at(node).service);
        for dependency in graph.own_dependencies(node) {
            findings_of(graph, dependency, caller, findings);
        }
    }
    for step in topology.flows.iter().flat_map(|flow| &flow.steps) {
        findings_of(graph, step, None, findings);
    }
}

fn findings_of(
    graph: &LintGraph<'_>,
    dependency: &Dependency,
    caller: Option<ServiceId>,
    findings: &mut Findings,
) {
    if let Some(problem) = members_warning(graph, dependency, caller) {
        findings.push(problem);
    }
}

/// Replicas more than needed, of which too many sit in one failure domain.
fn replicas_warning(graph: &LintGraph<'_>, service: &Service) -> Option<Diagnostic> {
    let replicas = service.replicas.as_ref()?;
    let Replicas { count, needs, domains, .. } = replicas;
    // Without replicas to spare nothing can be lost anyway, and without domains nothing is known.
    if count == needs || domains.is_empty() {
        return None;
    }
    let (domain, lost) = most_replicas(replicas)?;
    // Enough are left, so the domain is no weak point.
    if count - lost >= *needs {
        return None;
    }
    let name = &graph.topology.domain(domain).name;
    let message = if lost == *count {
        format!("all {count} replicas of `{}` are in `{name}`", service.name)
    } else {
        format!(
            "without `{name}`, `{}` has {} of {count} replicas, but needs {needs}",
            service.name,
            count - lost
        )
    };
    Some(
        Diagnostic::warning(Code::SharedDomain, message, service.place)
            .help("spread the replicas over more failure domains, or add some"),
    )
}

/// The failure domain with most replicas, the first by name of equal ones, and how many it has.
fn most_replicas(replicas: &Replicas) -> Option<(DomainId, u32)> {
    let length = replicas.domains.len() as u32;
    // Replica i sits in domain i mod length: the first ones have one more.
    let of_index =
        |index: u32| replicas.count / length + u32::from(index < replicas.count % length);
    let mut counts: Vec<(DomainId, u32)> = replicas
        .domains
        .iter()
        .zip(0..)
        .map(|(domain, index)| (*domain, of_index(index)))
        .collect();
    // A domain may be named several times; sorted, its counts stand side by side.
    counts.sort_unstable();
    let sums = counts
        .chunk_by(|a, b| a.0 == b.0)
        .map(|same| (same[0].0, same.iter().map(|(_, count)| count).sum::<u32>()));
    // Only a larger one takes the place, so that of equal ones the first by name stays.
    sums.reduce(|most, next| if next.1 > most.1 { next } else { most })
}

/// Members of an `any_of` more than needed, of which too many sit in one failure domain.
fn members_warning(
    graph: &LintGraph<'_>,
    dependency: &Dependency,
    caller: Option<ServiceId>,
) -> Option<Diagnostic> {
    let count = dependency.on.len() as u32;
    // All are needed, so there is no redundancy to be lost.
    if count <= dependency.needs {
        return None;
    }
    let topology = graph.topology;
    let home = |service: ServiceId| only_domain(topology.service(service));
    let mut homes: Vec<DomainId> =
        // A member in several domains is not lost with one of them.
        dependency.on.iter().filter_map(|node| home(node.service)).collect();
    homes.sort_unstable();
    let lost = homes.chunk_by(|a, b| a == b).max_by_key(|same| same.len())?;
    // A caller in the same domain is down anyway.
    if count - lost.len() as u32 >= dependency.needs || caller.and_then(home) == Some(lost[0]) {
        return None;
    }
    let name = &topology.domain(lost[0]).name;
    let message = format!(
        "without `{name}`, {} of {count} members are left, but {} must be up",
        count - lost.len() as u32,
        dependency.needs
    );
    Some(
        Diagnostic::warning(Code::SharedDomain, message, dependency.place).help(
            "members protect from the loss of a failure domain only when they are in several",
        ),
    )
}

/// The failure domain that takes a service down alone.
fn only_domain(service: &Service) -> Option<DomainId> {
    match service.domains[..] {
        [domain] => Some(domain),
        [] => {
            let replicas = service.replicas.as_ref()?;
            let (first, rest) = replicas.domains.split_first()?;
            rest.iter().all(|domain| domain == first).then_some(*first)
        }
        _ => None,
    }
}
