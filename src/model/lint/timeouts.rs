//! Timeouts that are not stated, and those that end before the work they wait for.

use super::graph::LintGraph;
use super::listed_names;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::{Dependency, Phase, Service, Timeout};
use crate::model::units::Seconds;

pub(super) fn find_timeouts(graph: &LintGraph<'_>, findings: &mut Findings) {
    for service in &graph.topology.services {
        // One warning for each service: a thousand calls without a timeout are one habit.
        if let Some(first) = unstated_timeouts(service).next() {
            findings.add(Code::NoTimeout, || unstated_warning(graph, service, first));
        }
    }
    find_inversions(graph, findings);
}

/// Returns the calls of a service or one of its endpoints that have no stated timeout.
fn unstated_timeouts(service: &Service) -> impl Iterator<Item = &Dependency> {
    let of_endpoints = service.endpoints.iter().flat_map(|endpoint| &endpoint.dependencies);
    service.dependencies.iter().chain(of_endpoints).filter(|dep| waits_for_ever(dep))
}

/// One warning for all of them.
fn unstated_warning(graph: &LintGraph<'_>, service: &Service, first: &Dependency) -> Diagnostic {
    let names: Vec<String> =
        unstated_timeouts(service).map(|dep| graph.topology.dependency_name(dep)).collect();
    let message =
        format!("`{}` calls {} without a stated timeout", service.name, listed_names(&names));
    let problem = Diagnostic::warning(Code::NoTimeout, message, first.place).help(
        "a caller without a timeout hangs with what it calls; state `timeout`, or `none` if there \
         is none, here or under `defaults: {dependency: …}`",
    );
    unstated_timeouts(service)
        .skip(1)
        .take(2)
        .fold(problem, |problem, dep| problem.other_place(dep.place, ""))
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

impl Wait<'_> {
    /// Returns the kind of warning for a caller that gives up after this time, which is less than the wait.
    fn code(&self, patience: Seconds) -> Code {
        let attempt = self.call.waits_per_attempt().unwrap_or(self.longest);
        match () {
            () if self.call.fallback.is_some() => Code::LateFallback,
            () if attempts_of(self.call) > 1.0 && attempt <= patience => Code::LateRetries,
            () => Code::TimeoutInversion,
        }
    }

    /// Returns what to write instead, nearest to what is written.
    fn advice(&self, code: Code, patience: Seconds) -> String {
        let attempts = attempts_of(self.call);
        let each = Seconds::new(patience.get() / attempts).unwrap_or(patience);
        match code {
            Code::LateFallback => format!(
                "the fallback begins after the caller gave up: wait {each} at most for each attempt, or let \
                 the caller wait longer than {}",
                self.longest
            ),
            Code::LateRetries => {
                let attempt = self.call.waits_per_attempt().unwrap_or(patience);
                let whole = (patience.get() / attempt.get() + 1e-9).floor().max(1.0);
                format!(
                    "attempts after the first {whole} are for nobody: write `retries: {}`, or a timeout of \
                     {each} for each attempt",
                    whole - 1.0
                )
            }
            _ => "work goes on that nobody waits for: the caller's timeout should be the longest"
                .to_owned(),
        }
    }
}

/// Returns how many attempts a call makes at the most.
fn attempts_of(call: &Dependency) -> f64 {
    f64::from(call.retries.unwrap_or(0) + 1)
}

/// Callers that give up on a dependency before that gives up on its own.
fn find_inversions(graph: &LintGraph<'_>, findings: &mut Findings) {
    let waits: Vec<Option<Wait<'_>>> =
        (0..graph.len()).map(|node| longest_wait(graph, node)).collect();
    // What an endpoint waits for includes what its service waits for.
    let wait = |node: usize| {
        let plain = graph.plain_node(node).and_then(|plain| waits[plain]);
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
        check_call(graph, || caller.clone(), call, &wait, findings);
    }
    for node in 0..graph.len() {
        for call in graph.own_dependencies(node) {
            check_call(graph, || format!("`{}`", graph.name_of(node)), call, &wait, findings);
        }
    }
}

fn longest_wait<'a>(graph: &LintGraph<'a>, node: usize) -> Option<Wait<'a>> {
    let wait = |call: &'a Dependency| {
        let Timeout::After(timeout) = call.timeout else { return None };
        let waits = !call.is_async() && call.phase == Phase::Serve;
        let attempts = attempts_of(call);
        // Attempts end one by one, but never later than the call as a whole.
        let in_all = call.attempt_timeout.map(|attempt| attempt.get() * attempts);
        let longest = in_all.map_or(timeout.get() * attempts, |all| all.min(timeout.get()));
        let longest = Seconds::new(longest)?;
        waits.then_some(Wait { longest, call })
    };
    let waits = graph.own_dependencies(node).iter().filter_map(wait);
    waits.max_by(|a, b| a.longest.get().total_cmp(&b.longest.get()))
}

fn check_call<'a>(
    graph: &LintGraph<'a>,
    caller: impl Fn() -> String,
    call: &Dependency,
    wait: &impl Fn(usize) -> Option<Wait<'a>>,
    findings: &mut Findings,
) {
    let Timeout::After(patience) = call.timeout else { return };
    for callee in &call.on {
        let Some(wait) = wait(graph.index_of(*callee)) else { continue };
        // A hair of tolerance, since sums of rounded times may differ in the last bit.
        if wait.longest.get() <= patience.get() * (1.0 + 1e-9) {
            continue;
        }
        let code = wait.code(patience);
        findings.add(code, || {
            let name = graph.topology.node_name(*callee);
            let message = format!(
                "{} gives up on `{name}` after {patience}, but `{name}` may wait {} for `{}`",
                caller(),
                wait.longest,
                graph.topology.dependency_name(wait.call)
            );
            Diagnostic::warning(code, message, call.place)
                .label(format!("{patience} in all"))
                .other_place(wait.call.place, attempts_text(wait.call))
                .help(wait.advice(code, patience))
        });
    }
}

fn attempts_text(call: &Dependency) -> String {
    match (call.timeout, call.retries.unwrap_or(0)) {
        (Timeout::After(timeout), 0) => format!("{timeout}"),
        (Timeout::After(timeout), retries) => {
            format!("{timeout} for each of {} attempts", retries + 1)
        }
        _ => String::new(),
    }
}
