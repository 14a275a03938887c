//! Chooses which services, failure domains and links a picture shows.
//!
//! A topology and the report of its simulation come in, a [`CascadeReport`] comes out: the services that
//! are hit, the callers whose protection held, and how failure got from one to the next. The rest is
//! counted.

mod calls;
mod graph;
mod page;

pub use calls::flows_by_service;
pub use page::page_report;

use std::collections::BTreeSet;

use crate::model::Topology;
use crate::report::cascade::{CASCADE_SCHEMA, CascadeFlow, CascadeReport};
use crate::report::{FailureMode, TimelineMode};
use crate::report::{Report, UnitReport};
use graph::{CascadeGraph, Node};

/// The threshold rises no higher than this: above it, a picture would hide how failure gets from one
/// box to the next.
const THRESHOLD_MAX: f64 = 0.5;

/// Limits on what a picture shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CascadeFilter {
    /// The least share of trials in which something is hit so that it is shown.
    pub threshold: f64,
    /// The greatest number of boxes. The threshold rises up to one half to keep it; if that is not
    /// enough, what fails least often is omitted.
    pub boxes_max: usize,
}

impl Default for CascadeFilter {
    /// Shows what is hit in 5% of trials, in at most 40 boxes: a page has tables for the rest.
    fn default() -> Self {
        Self { threshold: 0.05, boxes_max: 40 }
    }
}

/// Returns the part of a report that passes the filter. The topology is the one that was simulated.
pub fn cascade_report(
    topology: &Topology,
    report: &Report,
    filter: &CascadeFilter,
) -> CascadeReport {
    let graph = CascadeGraph::new(topology, report);
    let boxes_max = filter.boxes_max.max(1);
    let (threshold, reached) = fitting_threshold(&graph, filter);
    let shown = graph.most_important(&reached, boxes_max);
    let drawn: BTreeSet<Node> = shown.iter().copied().collect();
    let (mut omitted, mut rarely_hit, mut untouched) = (0, 0, 0);
    for (index, unit) in graph.units().iter().enumerate() {
        let node = Node::Service(index);
        if drawn.contains(&node) {
            continue;
        }
        if reached.contains(&node) {
            omitted += 1;
        } else if unit.degraded.p > 0.0 || unit.failed.p > 0.0 {
            rarely_hit += 1;
        } else {
            untouched += 1;
        }
    }
    let is_hit = |unit: &&UnitReport| unit.degraded.p.max(unit.failed.p) >= threshold;
    CascadeReport {
        schema: CASCADE_SCHEMA.to_owned(),
        topology: report.topology.clone(),
        change: report.change.clone(),
        targets: report.targets.iter().map(|target| target.name.clone()).collect(),
        mode: common_mode(report),
        seed: report.seed,
        trials: report.trials,
        has_time: report.timeline.mode == TimelineMode::Rollout,
        threshold,
        threshold_asked: (threshold > filter.threshold).then_some(filter.threshold),
        edges: graph.edges(&shown, threshold),
        // A state keeps its meaning however much is omitted.
        boxes: graph.boxes(&shown, filter.threshold.min(threshold)),
        flows: report.flows.iter().filter(is_hit).map(cascade_flow).collect(),
        flows_omitted: report.flows.iter().filter(|flow| !is_hit(flow)).count(),
        omitted,
        rarely_hit,
        untouched,
    }
}

/// Returns the lowest threshold at which the boxes fit, and the nodes that reach it. If there is none
/// up to [`THRESHOLD_MAX`], returns the one that was asked for: a higher one would not tell apart what
/// is hit in every trial.
fn fitting_threshold(graph: &CascadeGraph<'_>, filter: &CascadeFilter) -> (f64, BTreeSet<Node>) {
    let mut threshold = filter.threshold;
    loop {
        let reached = graph.reached_nodes(threshold);
        if reached.len() <= filter.boxes_max.max(1) {
            return (threshold, reached);
        }
        if threshold >= THRESHOLD_MAX {
            return (filter.threshold, graph.reached_nodes(filter.threshold));
        }
        // In steps of a fifth, from 1% on: a few dozen at the most.
        let higher = (threshold.max(0.01) * 1.2).min(THRESHOLD_MAX);
        // The threshold is told to the reader, so it is a whole percentage.
        threshold = (higher * 100.0).ceil() / 100.0;
    }
}

/// Returns the mode in which every target breaks, if it is the same one.
pub fn common_mode(report: &Report) -> Option<FailureMode> {
    let mut modes = report.targets.iter().flat_map(|target| target.modes.keys());
    let first = modes.next()?;
    modes.all(|mode| mode == first).then_some(*first)
}

fn cascade_flow(flow: &UnitReport) -> CascadeFlow {
    CascadeFlow {
        name: flow.name.clone(),
        title: flow.title.clone(),
        critical: flow.critical == Some(true),
        failed: flow.failed,
        degraded: flow.degraded,
        orders_lost: flow.orders_lost.map(|lost| lost.mean),
    }
}
