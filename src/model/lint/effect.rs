//! Keys that have no effect as written, and dependencies written twice.

use super::graph::LintGraph;
use crate::diagnostic::{Code, Diagnostic, Findings, Place};
use crate::model::topology::{
    Dependency, Domain, DomainId, Flow, NodeRef, Phase, Queue, Service, Topology, WhenFull,
};
use crate::model::units::Seconds;
use crate::sort::Arrange as _;

pub(super) fn find_without_effect(graph: &LintGraph<'_>, findings: &mut Findings) {
    let topology = graph.topology;
    let lists = (0..graph.len()).map(|node| graph.own_dependencies(node));
    for list in lists.chain(topology.flows.iter().map(|flow| &flow.steps[..])) {
        find_repeated(topology, list, findings);
        for dependency in list {
            of_dependency(topology, dependency, findings);
        }
    }
    for service in &topology.services {
        of_service(service, findings);
    }
    unused_repair_times(topology, findings);
    unused_domains(topology, findings);
    of_flows(topology, findings);
}

fn no_effect(place: Place, fact: impl Into<String>, help: &str) -> Diagnostic {
    Diagnostic::warning(Code::NoEffect, fact, place).help(help)
}

/// The same thing called twice by one caller.
fn find_repeated(topology: &Topology, list: &[Dependency], findings: &mut Findings) {
    let mut sorted: Vec<&Dependency> = list.iter().collect();
    // Sorted so that equal calls stand side by side; comparing all pairs would take the square of
    // them.
    sorted.arrange_by(|a, b| same_call(a).cmp(&same_call(b)));
    for same in sorted.chunk_by(|a, b| same_call(a) == same_call(b)) {
        for again in &same[1..] {
            let message = format!("`{}` is called twice", topology.dependency_name(again));
            findings.push(
                Diagnostic::warning(Code::RepeatedDependency, message, again.place)
                    .label("again here")
                    .other_place(same[0].place, "first here")
                    .help("each counts as a call of its own; if it is one call, remove the other"),
            );
        }
    }
}

fn same_call(dependency: &Dependency) -> (bool, &[NodeRef]) {
    // What is needed to start and to serve is two needs and not one written twice.
    (dependency.phase == Phase::Start, &dependency.on)
}

fn of_dependency(topology: &Topology, dependency: &Dependency, findings: &mut Findings) {
    let Dependency { place, .. } = *dependency;
    let name = || topology.dependency_name(dependency);
    let mut note = |fact: String, help: &str| findings.push(no_effect(place, fact, help));
    if dependency.retry_budget.is_some() && dependency.retries.unwrap_or(0) == 0 {
        note(
            format!("`retry_budget` of `{}` has no effect without `retries`", name()),
            "state `retries`, or remove it",
        );
    }
    if dependency.call_probability.is_zero() {
        note(
            format!("`{}` is never called: its `call_probability` is 0%", name()),
            "remove the dependency, or say how often it is called",
        );
    }
    if dependency.propagation.is_zero() {
        note(
            format!("failure of `{}` is never felt: its `propagation` is 0%", name()),
            "remove the dependency if it is none",
        );
    }
    if dependency.fallback.is_some_and(|fallback| fallback.works.is_zero()) {
        note(format!("the fallback for `{}` never works", name()), "remove it, or raise `works`");
    }
    if dependency.cache.is_some_and(|cache| cache.hit_ratio.is_zero()) {
        note(
            format!("the cache for `{}` never answers: its `hit_ratio` is 0%", name()),
            "remove it, or raise `hit_ratio`",
        );
    }
    let blocks = dependency.buffer.is_some_and(|buffer| buffer.when_full == WhenFull::Block);
    // A buffer that blocks makes the caller wait, and so it cannot go on without the other.
    if blocks && dependency.is_soft() {
        note(
            format!("`{}` is not soft: its buffer blocks when it is full", name()),
            "write `when_full: drop` if the caller goes on without it",
        );
    }
    if dependency.phase == Phase::Start && is_guarded(dependency) {
        note(
            format!("`{}` is needed to start only, so what guards its calls has no effect", name()),
            "remove the guards, or `phase: start` if it is needed to serve",
        );
    }
}

/// Whether something is said about how calls are guarded; timeouts may come from the defaults.
fn is_guarded(dependency: &Dependency) -> bool {
    dependency.cache.is_some()
        || dependency.buffer.is_some()
        || dependency.fallback.is_some()
        || dependency.validates == Some(true)
}

fn of_service(service: &Service, findings: &mut Findings) {
    let mut note = |fact: String, help: &str| findings.push(no_effect(service.place, fact, help));
    let name = &service.name;
    if service.utilization.is_none() && service.concurrency.is_none() && service.queue.is_some() {
        note(
            format!("`queue` of `{name}` has no effect without `utilization` or `concurrency`"),
            "no limit of its capacity is known: state `utilization`",
        );
    }
    if service.drop_expired && matches!(service.queue, Some(Queue::Refuses | Queue::Threads { .. }))
    {
        note(
            format!("`drop_expired` of `{name}` has no effect: nothing waits in a queue"),
            "remove it, or state a `queue`",
        );
    }
    if service.utilization.is_none() && service.recovery.warmup > Seconds::ZERO {
        note(
            format!("`warmup` of `{name}` has no effect without `utilization`"),
            "a share of unlimited capacity is enough: state `utilization`",
        );
    }
    if let Some(replicas) = &service.replicas
        && replicas.domains.len() > replicas.count as usize
    {
        note(
            format!(
                "`{name}` names {} failure domains for {}",
                replicas.domains.len(),
                match replicas.count {
                    1 => "1 replica".to_owned(),
                    count => format!("{count} replicas"),
                }
            ),
            "each replica sits in one of them, in the order written: the last ones stay empty",
        );
    }
}

/// Times to repair of what never fails by itself.
fn unused_repair_times(topology: &Topology, findings: &mut Findings) {
    let mut note = |name: &str, place: Place| {
        let fact = format!("`mttr` of `{name}` has no effect without `availability`");
        let help = "no outage of its own is known: state `availability`, or remove `mttr`";
        findings.push(no_effect(place, fact, help));
    };
    for Domain { name, mttr, availability, place, .. } in &topology.domains {
        if mttr.is_some() && availability.is_none() {
            note(name, *place);
        }
    }
    for Service { name, mttr, availability, replicas, place, .. } in &topology.services {
        let of_replicas = replicas
            .as_ref()
            .is_some_and(|item| item.mttr.is_some() && item.availability.is_none());
        if of_replicas || (mttr.is_some() && availability.is_none()) {
            note(name, *place);
        }
    }
}

/// Failure domains that nothing is in.
fn unused_domains(topology: &Topology, findings: &mut Findings) {
    let mut used = vec![false; topology.domains.len()];
    let mut mark = |domain: &DomainId| used[domain.0 as usize] = true;
    for service in &topology.services {
        service.domains.iter().for_each(&mut mark);
        let replicas = service.replicas.iter().flat_map(|replicas| &replicas.domains);
        replicas.for_each(&mut mark);
    }
    // A domain in which others lie is used by them.
    topology.domains.iter().filter_map(|domain| domain.within.as_ref()).for_each(&mut mark);
    let unused = topology.domains.iter().zip(used).filter(|(_, used)| !used);
    for (Domain { name, place, .. }, _) in unused {
        let fact = format!("nothing is in the failure domain `{name}`");
        findings.push(no_effect(*place, fact, "name it under `domains` of a service"));
    }
}

fn of_flows(topology: &Topology, findings: &mut Findings) {
    let has_load = topology
        .services
        .iter()
        .any(|service| service.utilization.is_some() || service.concurrency.is_some());
    if has_load {
        return;
    }
    // With a rate it saves orders, with a capacity it adds load.
    let unheard = |flow: &&Flow| flow.retry_by_users.is_some() && flow.rate.is_none();
    for flow in topology.flows.iter().filter(unheard) {
        findings.push(no_effect(
            flow.place,
            format!("`retry_by_users` of `{}` has no effect", flow.name),
            "state the `rate` of the flow, or the `utilization` of services",
        ));
    }
}
