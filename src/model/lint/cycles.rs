//! Hard dependencies in a circle: none of the services can come back without the others.

use super::graph::{LintGraph, is_hard};
use super::path_text;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::model::topology::Dependency;

/// Where a walk has not been.
const UNSEEN: u32 = u32::MAX;

pub(super) fn find_cycles(graph: &LintGraph<'_>, findings: &mut Findings) {
    let components = graph.strong_components(is_hard);
    let component_of = graph.component_numbers(&components);
    let mut parents = vec![UNSEEN; graph.len()];
    // A node alone is no circle: what depends on itself was refused before.
    for nodes in components.iter().filter(|nodes| nodes.len() > 1) {
        // The least number of a component, so that the same circle is told each time.
        let start = *nodes.iter().min().expect("more than one");
        let circle = shortest_circle(graph, start, &component_of, &mut parents);
        findings.push(cycle_warning(graph, &circle, nodes.len()));
    }
}

/// The nodes of a shortest circle through `start`, which is known to be on one.
fn shortest_circle(
    graph: &LintGraph<'_>,
    start: usize,
    component_of: &[u32],
    parents: &mut [u32],
) -> Vec<usize> {
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for callee in graph.callees_of(node, is_hard) {
            if callee == start {
                return unwind_circle(node, start, parents);
            }
            if component_of[callee] == component_of[start] && parents[callee] == UNSEEN {
                parents[callee] = node as u32;
                queue.push_back(callee);
            }
        }
    }
    vec![start]
}

fn unwind_circle(last: usize, start: usize, parents: &[u32]) -> Vec<usize> {
    let mut circle = vec![last];
    while let Some(node) = circle.last().copied()
        && node != start
    {
        circle.push(parents[node] as usize);
    }
    circle.reverse();
    circle
}

fn cycle_warning(graph: &LintGraph<'_>, circle: &[usize], size: usize) -> Diagnostic {
    // An endpoint followed by its service says nothing to a reader.
    let followed = circle.iter().zip(circle.iter().cycle().skip(1));
    let mut names: Vec<String> = circle
        .iter()
        .enumerate()
        .filter(|(index, node)| {
            let before = circle[(index + circle.len() - 1) % circle.len()];
            graph.plain_node(before) != Some(**node)
        })
        .map(|(_, node)| graph.name_of(*node))
        .collect();
    names.extend(names.first().cloned());
    let calls: Vec<&Dependency> =
        followed.filter_map(|(caller, callee)| call_between(graph, *caller, *callee)).collect();
    let place = calls.first().map(|dep| dep.place).unwrap_or_default();
    let message = format!("hard dependencies in a circle: {}", path_text(&names));
    let mut problem = Diagnostic::warning(Code::DependencyCycle, message, place).help(
        "once all of them are down, none can start; make one dependency soft, or give it a fallback",
    );
    // The circle that is shown may be a small part of what hangs together.
    if size > names.len() {
        problem = problem
            .label(format!("one circle among {size} services and endpoints that need each other"));
    }
    // A few more places show the way without filling the screen.
    calls.iter().skip(1).take(3).fold(problem, |problem, dep| problem.other_place(dep.place, ""))
}

/// The dependency by which one node calls another.
fn call_between<'a>(graph: &LintGraph<'a>, caller: usize, callee: usize) -> Option<&'a Dependency> {
    let callee = graph.node_at(callee);
    graph.own_dependencies(caller).iter().find(|dep| is_hard(dep) && dep.on.contains(&callee))
}
