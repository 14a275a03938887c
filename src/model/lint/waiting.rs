//! Queues in which everybody gives up, and pools that a dependency nobody needs can fill.

use super::graph::LintGraph;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::{CallKind, Dependency, Phase, Queue, Service};
use crate::model::units::{Rate, Seconds};

pub(super) fn find_waits(graph: &LintGraph<'_>, findings: &mut Findings) {
    long_queues(graph, findings);
    small_pools(graph, findings);
}

fn is_waited_for(dependency: &Dependency) -> bool {
    dependency.phase == Phase::Serve && matches!(dependency.kind, None | Some(CallKind::Sync))
}

/// A queue longer than every caller's timeout: what is at its end is served for nobody.
fn long_queues(graph: &LintGraph<'_>, findings: &mut Findings) {
    let mut longest: Vec<Option<f64>> = vec![None; graph.topology.services.len()];
    for (_, call) in graph.topology.declared_dependencies().filter(|(_, call)| is_waited_for(call))
    {
        // A caller without a timeout waits as long as it takes.
        let waits = call.waits_per_attempt().map_or(f64::INFINITY, Seconds::get);
        for callee in &call.on {
            let known = &mut longest[callee.service.0 as usize];
            *known = Some(known.map_or(waits, |known| known.max(waits)));
        }
    }
    for (service, longest) in graph.topology.services.iter().zip(longest) {
        let (Some(Queue::Holds(work)), Some(longest)) = (service.queue, longest) else { continue };
        // One caller that waits long enough gets its answer.
        if work.get() < longest || service.drop_expired {
            continue;
        }
        let patience = Seconds::new(longest).unwrap_or_default();
        findings.add(Code::LongQueue, || {
            let message = format!(
                "the queue of `{}` holds {work} of work, but no caller waits longer than {patience}",
                service.name
            );
            Diagnostic::warning(Code::LongQueue, message, service.place).help(
                "once it is full, work is done for callers that gave up: shorten `queue`, or write \
                 `drop_expired: true`",
            )
        });
    }
}

/// A pool that a soft dependency fills when it hangs: it fails what it was not needed for.
fn small_pools(graph: &LintGraph<'_>, findings: &mut Findings) {
    // Rates need a walk over the whole graph, which only matters where a pool is stated.
    if graph.topology.services.iter().all(|service| service.concurrency.is_none()) {
        return;
    }
    let rates = requests(graph);
    for node in 0..graph.len() {
        let service = graph.topology.service(graph.node_at(node).service);
        let (Some(threads), Some(rate)) = (service.concurrency, rates[node]) else { continue };
        // A hard dependency that hangs fails the service with or without its pool.
        for call in
            graph.own_dependencies(node).iter().filter(|call| call.is_soft() && is_waited_for(call))
        {
            report_if_small(graph, service, f64::from(threads), rate, call, findings);
        }
    }
}

fn report_if_small(
    graph: &LintGraph<'_>,
    service: &Service,
    threads: f64,
    rate: f64,
    call: &Dependency,
    findings: &mut Findings,
) {
    let attempts = f64::from(call.retries.unwrap_or(0) + 1);
    let Some(timeout) = call.waits_per_attempt() else { return };
    let in_all = call.waits_in_all().map_or(f64::INFINITY, Seconds::get);
    let waits = (timeout.get() * attempts).min(in_all) * f64::from(call.calls);
    // Little's law: threads in use are calls per second times the time each is waited for.
    let held = rate * call.call_probability.get() * waits;
    // Both keep a hanging call from holding more threads.
    let is_guarded = call.max_in_flight.is_some() || call.circuit_breaker == Some(true);
    if held <= threads || is_guarded {
        return;
    }
    findings.add(Code::SmallPool, || {
        let name = graph.topology.dependency_name(call);
        let message = format!(
            "`{}` has {threads} threads, but holds {held:.0} of them for `{name}` when that hangs",
            service.name
        );
        Diagnostic::warning(Code::SmallPool, message, call.place).help(
            "it fails without what it can do without: lower `timeout`, or add `max_in_flight` or \
             `circuit_breaker: true`",
        )
    });
}

/// Requests per second at each node in normal times; nothing where they are not known.
pub(super) fn requests(graph: &LintGraph<'_>) -> Vec<Option<f64>> {
    let components = graph.strong_components(|call| call.phase == Phase::Serve);
    let component_of = graph.component_numbers(&components);
    let mut rates: Vec<Option<f64>> = vec![Some(0.0); graph.len()];
    // Requests begin at the flows; an unknown rate makes all that it reaches unknown.
    for flow in &graph.topology.flows {
        for step in &flow.steps {
            bring(graph, &mut rates, step, flow.rate.map(Rate::get), |_| true);
        }
    }
    // Callers come after what they call.
    for node in components.iter().rev().flatten() {
        // Within a circle requests would be counted without end.
        let outside = |callee: usize| component_of[callee] != component_of[*node];
        let own = graph.own_dependencies(*node).iter();
        // An endpoint makes the calls of its service too.
        let plain =
            graph.plain_node(*node).into_iter().flat_map(|plain| graph.own_dependencies(plain));
        for call in own.chain(plain).filter(|call| call.phase == Phase::Serve) {
            let rate = rates[*node];
            bring(graph, &mut rates, call, rate, outside);
        }
    }
    rates
}

fn bring(
    graph: &LintGraph<'_>,
    rates: &mut [Option<f64>],
    call: &Dependency,
    rate: Option<f64>,
    counts: impl Fn(usize) -> bool,
) {
    // Where some of several are needed, each gets its part of the calls.
    let share = f64::from(call.needs) / call.on.len().max(1) as f64;
    let times = call.call_probability.get() * f64::from(call.calls) * share;
    for callee in
        call.on.iter().map(|callee| graph.index_of(*callee)).filter(|callee| counts(*callee))
    {
        // One unknown part makes the sum unknown.
        rates[callee] = rates[callee].zip(rate).map(|(known, rate)| known + rate * times);
    }
}
