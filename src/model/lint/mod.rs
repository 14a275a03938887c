//! Warnings about a checked topology or change: doubtful rather than wrong.
//!
//! Everything here is linear in the size of the graph, or bounded: a topology of a million services
//! gets its warnings in seconds, and of each kind at most [`WARNINGS_PER_CODE`].

mod change;
mod cycles;
mod effect;
mod fallbacks;
mod gates;
mod graph;
mod names;
mod reach;
mod redundancy;
mod retries;
mod timeouts;
mod waiting;

pub use change::lint_change;

use graph::LintGraph;

use super::topology::Topology;
use crate::diagnostic::{Diagnostic, Findings};

/// More warnings of one kind are only counted.
pub const WARNINGS_PER_CODE: usize = 20;

/// Everything doubtful about a topology, sorted by place.
pub fn lint_topology(topology: &Topology) -> Vec<Diagnostic> {
    let graph = LintGraph::new(topology);
    let mut findings = Findings::new(WARNINGS_PER_CODE);
    cycles::find_cycles(&graph, &mut findings);
    timeouts::find_timeouts(&graph, &mut findings);
    retries::find_retry_amplification(&graph, &mut findings);
    waiting::find_waits(&graph, &mut findings);
    fallbacks::find_shared_fallbacks(&graph, &mut findings);
    redundancy::find_lost_redundancy(&graph, &mut findings);
    reach::find_unreached(&graph, &mut findings);
    effect::find_without_effect(&graph, &mut findings);
    names::find_confusable(topology, &mut findings);
    findings.finish()
}

/// A path of names: `a -> b -> c`, with its middle left out when it is long.
fn path_text(names: &[String]) -> String {
    const SHOWN: usize = 12;
    if names.len() <= SHOWN {
        return names.join(" -> ");
    }
    // The beginning and the end of a path say most of it.
    let (head, tail) = (&names[..SHOWN / 2], &names[names.len() - 3..]);
    let left_out = names.len() - head.len() - tail.len();
    format!("{} -> … ({left_out} more) … -> {}", head.join(" -> "), tail.join(" -> "))
}

/// A few names in backticks, and how many more there are.
fn listed_names(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let ticked: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match (ticked.split_last(), names.len().saturating_sub(SHOWN)) {
        (None, _) => String::new(),
        (Some((only, [])), 0) => only.clone(),
        (Some((last, rest)), 0) => format!("{} and {last}", rest.join(", ")),
        (Some(_), more) => format!("{} and {more} more", ticked.join(", ")),
    }
}
