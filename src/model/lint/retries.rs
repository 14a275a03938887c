//! Retries at several layers of one path: the attempts multiply.

use super::graph::LintGraph;
use super::path_text;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::{Dependency, NodeRef, Phase};

/// Fewer attempts per request than this are not worth a word.
const ATTEMPTS_MIN: f64 = 4.0;

/// The path from a node on which attempts multiply most.
#[derive(Clone, Copy)]
struct Worst<'a> {
    attempts: f64,
    layers: u32,
    /// The call it starts with, and what that calls; `None` at the end of the path.
    next: Option<(&'a Dependency, usize)>,
}

const NONE: Worst<'static> = Worst { attempts: 1.0, layers: 0, next: None };

/// Reports the worst path.
///
/// # Complexity
/// Linear: the worst path from a node goes on with the worst path from one of its callees.
pub(super) fn find_retry_amplification(graph: &LintGraph<'_>, findings: &mut Findings) {
    let components = graph.strong_components(is_call);
    let component_of = graph.component_numbers(&components);
    // Components come callees before callers, so what a node calls is known when it is looked at.
    let mut worst = vec![NONE; graph.len()];
    for node in components.into_iter().flatten() {
        // A call inside a circle is left out: it could be repeated for ever.
        let leaves = |callee: &NodeRef| component_of[graph.index_of(*callee)] != component_of[node];
        let own = worst_of(graph, graph.own_dependencies(node), leaves, &worst);
        let plain =
            graph.plain_node(node).filter(|plain| component_of[*plain] != component_of[node]);
        // An endpoint makes the calls of its service too, so the worse of both counts.
        worst[node] = match plain.map(|plain| worst[plain]) {
            Some(plain) if plain.attempts > own.attempts => plain,
            _ => own,
        };
    }
    let flows = graph.topology.flows.iter();
    let of_flows = flows.map(|flow| {
        (format!("flow {}", flow.name), worst_of(graph, &flow.steps, |_| true, &worst))
    });
    // Without flows every node may be where requests enter.
    let starts: Vec<(String, Worst<'_>)> = if graph.topology.flows.is_empty() {
        let nodes = (0..graph.len()).filter(|node| worst[*node].layers > 1);
        nodes.map(|node| (graph.name_of(node), worst[node])).collect()
    } else {
        of_flows.collect()
    };
    // The first of equal ones, so that the answer does not depend on luck.
    let mut most: Option<(String, Worst<'_>)> = None;
    for (name, start) in starts {
        let least = most.as_ref().map_or(ATTEMPTS_MIN - 1e-9, |(_, most)| most.attempts);
        if start.layers > 1 && start.attempts > least {
            most = Some((name, start));
        }
    }
    if let Some((name, start)) = most {
        findings.push(retries_warning(graph, name, start, &worst));
    }
}

fn is_call(dependency: &Dependency) -> bool {
    dependency.phase == Phase::Serve
}

/// How often a call is made on average when every attempt fails.
fn mean_attempts(dependency: &Dependency) -> f64 {
    // An open breaker makes no retries.
    if dependency.circuit_breaker == Some(true) {
        return 1.0;
    }
    let retries = f64::from(dependency.retries.unwrap_or(0));
    // A budget is a share of the calls, so it bounds the retries of each on average.
    1.0 + dependency.retry_budget.map_or(retries, |budget| retries.min(budget.get()))
}

fn worst_of<'a>(
    graph: &LintGraph<'a>,
    dependencies: &'a [Dependency],
    leaves: impl Fn(&NodeRef) -> bool,
    worst: &[Worst<'a>],
) -> Worst<'a> {
    let mut most = NONE;
    for call in dependencies.iter().filter(|dep| is_call(dep)) {
        for callee in call.on.iter().filter(|callee| leaves(callee)) {
            let callee = graph.index_of(*callee);
            let below = worst[callee];
            let attempts = mean_attempts(call);
            // Only calls that are made again are a layer.
            let layers = below.layers + u32::from(attempts > 1.0);
            if attempts * below.attempts > most.attempts {
                most = Worst {
                    attempts: attempts * below.attempts,
                    layers,
                    next: Some((call, callee)),
                };
            }
        }
    }
    most
}

fn retries_warning(
    graph: &LintGraph<'_>,
    start: String,
    worst: Worst<'_>,
    all: &[Worst<'_>],
) -> Diagnostic {
    let (mut names, mut repeated) = (vec![start], Vec::new());
    let mut at = worst;
    while let Some((call, callee)) = at.next {
        let factor = mean_attempts(call);
        let times =
            if factor > 1.0 { format!(" ×{}", attempts_text(factor)) } else { String::new() };
        names.push(format!("{}{times}", graph.name_of(callee)));
        if factor > 1.0 {
            repeated.push((call, callee));
        }
        at = all[callee];
    }
    let (last, target) = repeated.last().expect("at least two layers retry");
    let message = format!(
        "retries multiply: one request can become {} calls to `{}`",
        attempts_text(worst.attempts),
        graph.name_of(*target)
    );
    let problem = Diagnostic::warning(Code::RetryAmplification, message, last.place)
        .label(path_text(&names))
        .help("retry at one layer only, or limit retries with `retry_budget` or `circuit_breaker`");
    let others = repeated.iter().rev().skip(1).take(3);
    others.fold(problem, |problem, (call, _)| {
        problem.other_place(call.place, format!("{} attempts", attempts_text(mean_attempts(call))))
    })
}

fn attempts_text(attempts: f64) -> String {
    if attempts > 1e6 {
        "over a million".to_owned()
    } else {
        format!("{}", (attempts * 10.0).round() / 10.0)
    }
}
