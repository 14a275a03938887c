//! Timeouts that are not stated, and those that end before the work they wait for.

use super::graph::Graph;
use super::listed;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::{Dependency, Phase, Service, Timeout};
use crate::model::units::Seconds;

pub(super) fn find(graph: &Graph<'_>, findings: &mut Findings) {
    for service in &graph.topology.services {
        if let Some(problem) = unstated(graph, service) {
            findings.push(problem);
        }
    }
    inversions(graph, findings);
}

/// One warning for all that a service calls without a stated timeout.
fn unstated(graph: &Graph<'_>, service: &Service) -> Option<Diagnostic> {
    let of_endpoints = service.endpoints.iter().flat_map(|endpoint| &endpoint.dependencies);
    let calls = service.dependencies.iter().chain(of_endpoints);
    let unstated: Vec<&Dependency> = calls.filter(|dep| waits_for_ever(dep)).collect();
    let first = unstated.first()?;
    let names: Vec<String> =
        unstated.iter().map(|dep| graph.topology.dependency_name(dep)).collect();
    let message = format!("`{}` calls {} without a stated timeout", service.name, listed(&names));
    let problem = Diagnostic::warning(Code::NoTimeout, message, first.place).help(
        "a caller without a timeout hangs with what it calls; state `timeout`, or `none` if there \
         is none, here or under `defaults: {dependency: …}`",
    );
    Some(unstated.iter().skip(1).take(2).fold(problem, |problem, dep| problem.other(dep.place, "")))
}

fn waits_for_ever(dependency: &Dependency) -> bool {
    dependency.timeout == Timeout::Unstated
        && !dependency.is_async()
        && dependency.phase == Phase::Serve
        && dependency.circuit_breaker != Some(true)
}

/// How long a node may wait for one of its calls.
#[derive(Clone, Copy)]
struct Wait<'a> {
    longest: Seconds,
    call: &'a Dependency,
}

/// Callers that give up on a dependency before that gives up on its own.
fn inversions(graph: &Graph<'_>, findings: &mut Findings) {
    let waits: Vec<Option<Wait<'_>>> =
        (0..graph.len()).map(|node| longest_wait(graph, node)).collect();
    // What an endpoint waits for includes what its service waits for.
    let wait = |node: usize| {
        let plain = graph.plain(node).and_then(|plain| waits[plain]);
        [waits[node], plain]
            .into_iter()
            .flatten()
            .max_by(|a, b| a.longest.get().total_cmp(&b.longest.get()))
    };
    let of_flows =
        graph.topology.flows.iter().flat_map(|flow| {
            flow.steps.iter().map(|step| (format!("the flow `{}`", flow.name), step))
        });
    for (caller, call) in of_flows {
        check(graph, || caller.clone(), call, &wait, findings);
    }
    for node in 0..graph.len() {
        for call in graph.dependencies(node) {
            check(graph, || format!("`{}`", graph.name(node)), call, &wait, findings);
        }
    }
}

fn longest_wait<'a>(graph: &Graph<'a>, node: usize) -> Option<Wait<'a>> {
    let wait = |call: &'a Dependency| {
        let Timeout::After(timeout) = call.timeout else { return None };
        let waits = !call.is_async() && call.phase == Phase::Serve;
        let attempts = f64::from(call.retries.unwrap_or(0) + 1);
        let longest = Seconds::new(timeout.get() * attempts)?;
        waits.then_some(Wait { longest, call })
    };
    let waits = graph.dependencies(node).iter().filter_map(wait);
    waits.max_by(|a, b| a.longest.get().total_cmp(&b.longest.get()))
}

fn check<'a>(
    graph: &Graph<'a>,
    caller: impl Fn() -> String,
    call: &Dependency,
    wait: &impl Fn(usize) -> Option<Wait<'a>>,
    findings: &mut Findings,
) {
    let Timeout::After(patience) = call.timeout else { return };
    for callee in &call.on {
        let Some(wait) = wait(graph.index(*callee)) else { continue };
        if wait.longest.get() <= patience.get() * (1.0 + 1e-9) {
            continue;
        }
        let name = graph.topology.node_name(*callee);
        let message = format!(
            "{} gives up on `{name}` after {patience}, but `{name}` may wait {} for `{}`",
            caller(),
            wait.longest,
            graph.topology.dependency_name(wait.call)
        );
        findings.push(
            Diagnostic::warning(Code::TimeoutInversion, message, call.place)
                .label(format!("{patience} in all"))
                .other(wait.call.place, attempts(wait.call))
                .help("work goes on that nobody waits for: the caller's timeout should be the longest"),
        );
    }
}

fn attempts(call: &Dependency) -> String {
    match (call.timeout, call.retries.unwrap_or(0)) {
        (Timeout::After(timeout), 0) => format!("{timeout}"),
        (Timeout::After(timeout), retries) => {
            format!("{timeout} for each of {} attempts", retries + 1)
        }
        _ => String::new(),
    }
}
