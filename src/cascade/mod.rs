//! Chooses which services, failure domains and links a picture shows.
//!
//! A topology and the report of its simulation come in, a [`CascadeReport`] comes out: the services that
//! are hit, the callers whose protection held, and how failure got from one to the next. The rest is
//! counted.

mod calls;
mod fold;
mod graph;
mod page;
mod ways;

pub use calls::flows_by_service;
pub use page::page_report;
pub use ways::with_one_arrow;

use std::collections::BTreeSet;

use crate::model::Topology;
use crate::report::cascade::{Arrows, CASCADE_SCHEMA, CascadeFlow, CascadeReport};
use crate::report::{FailureMode, TimelineMode};
use crate::report::{Report, TargetReport, UnitReport};
use fold::{fold_callers, fold_groups};
use graph::{CascadeGraph, CascadeNode, hit_share};

/// The threshold rises no higher than this: above it, a picture would hide how failure gets from one
/// box to the next.
const THRESHOLD_MAX: f64 = 0.5;

/// Below this number of boxes all arrows can be followed.
const DENSE_BOXES: usize = 12;
/// From this number of failing calls per box on, arrows hide each other.
const DENSE_CALLS: f64 = 1.5;

/// Limits on what a picture shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CascadeFilter {
    /// The least share of trials in which something is hit so that it is shown.
    pub threshold: f64,
    /// The greatest number of boxes.
    pub boxes_max: usize,
    /// How the boxes are made to fit.
    pub fold: Fold,
    /// How many ways in a box shows; nothing for all of them unless they would hide each other.
    pub arrows: Option<Arrows>,
}

impl Default for CascadeFilter {
    /// Shows what is hit in 5% of trials, in at most 40 boxes: a page has tables for the rest.
    fn default() -> Self {
        Self { threshold: 0.05, boxes_max: 40, fold: Fold::Callers, arrows: None }
    }
}

/// How boxes are made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Raises the threshold up to one half; if that is not enough, omits what fails least often.
    Never,
    /// Shows the callers of a box that matter least, and all that they reach, as one box.
    Callers,
    /// Shows the services of a group as one box.
    By(Grouping),
}

/// Property that the services of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// The team that owns them.
    Team,
    /// The failure domains that they run in.
    Zone,
    /// Their tier.
    Tier,
    /// Their kind.
    Kind,
}

/// Returns the part of a report that passes the filter. The topology is the one that was simulated.
pub fn cascade_report(
    topology: &Topology,
    report: &Report,
    filter: &CascadeFilter,
) -> CascadeReport {
    let graph = CascadeGraph::new(topology, report);
    let boxes_max = filter.boxes_max.max(1);
    // Folding keeps the threshold that was asked for; only omitting raises it.
    let (threshold, reached) = match filter.fold {
        Fold::Never => fitting_threshold(&graph, filter),
        _ => (filter.threshold, graph.reached_nodes(filter.threshold)),
    };
    // What folds is chosen among all that is hit; what is omitted need not be looked at.
    let nodes_max = if filter.fold == Fold::Never { boxes_max } else { usize::MAX };
    let shown = graph.most_important(&reached, nodes_max);
    let (rarely_hit, untouched) = graph.count_others(&reached);
    let is_hit = |unit: &&UnitReport| hit_share(unit) >= threshold;
    let cascade = CascadeReport {
        schema: CASCADE_SCHEMA.to_owned(),
        topology: report.topology.clone(),
        change: report.change.clone(),
        targets: report.targets.iter().map(|target| target.name.clone()).collect(),
        mode: common_mode(&report.targets),
        seed: report.seed,
        trials: report.trials,
        has_time: report.timeline.mode == TimelineMode::Rollout,
        threshold,
        threshold_asked: (threshold > filter.threshold).then_some(filter.threshold),
        totals: graph.state_totals(&reached, filter.threshold.min(threshold)),
        edges: graph.cascade_edges(&shown, threshold),
        // A state keeps its meaning however much is omitted.
        boxes: graph.cascade_boxes(&shown, filter.threshold.min(threshold)),
        arrows: Arrows::All,
        further_calls: 0,
        flows: hit_flows(report, threshold),
        flows_omitted: report.flows.iter().filter(|flow| !is_hit(flow)).count(),
        omitted: reached.len() - shown.len(),
        rarely_hit,
        untouched,
    };
    let cascade = match filter.fold {
        Fold::By(grouping) => fold_groups(cascade, grouping),
        Fold::Never | Fold::Callers => cascade,
    };
    let must_fold = filter.fold != Fold::Never && cascade.boxes.len() > boxes_max;
    let is_single = match filter.arrows {
        Some(arrows) => arrows == Arrows::One,
        None => is_dense(&cascade),
    };
    if must_fold {
        fold_callers(cascade, boxes_max)
    } else if is_single {
        // Folded cascades have one arrow for each box already.
        with_one_arrow(&cascade)
    } else {
        cascade
    }
}

/// Returns whether arrows would hide each other.
fn is_dense(cascade: &CascadeReport) -> bool {
    let boxes = cascade.boxes.len();
    let calls = cascade.edges.iter().filter(|edge| edge.passed >= cascade.threshold).count();
    boxes > DENSE_BOXES && calls as f64 > DENSE_CALLS * boxes as f64
}

/// Returns the lowest threshold at which the boxes fit, and the nodes that reach it. If there is none
/// up to [`THRESHOLD_MAX`], returns the one that was asked for: a higher one would not tell apart what
/// is hit in every trial.
fn fitting_threshold(
    graph: &CascadeGraph<'_>,
    filter: &CascadeFilter,
) -> (f64, BTreeSet<CascadeNode>) {
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
pub fn common_mode(targets: &[TargetReport]) -> Option<FailureMode> {
    let mut modes = targets.iter().flat_map(|target| target.modes.keys());
    let first = modes.next()?;
    // Targets that break in different ways have no mode in common.
    modes.all(|mode| mode == first).then_some(*first)
}

/// Returns the flows that are hit, worst first.
fn hit_flows(report: &Report, threshold: f64) -> Vec<CascadeFlow> {
    let late = |flow: &UnitReport| flow.noticeable_late().map_or(0.0, |late| late.p);
    let is_hit = |flow: &&UnitReport| hit_share(flow) >= threshold || late(flow) >= threshold;
    let mut flows: Vec<CascadeFlow> =
        report.flows.iter().filter(is_hit).map(cascade_flow).collect();
    // Critical flows come first: they decide. Equal ones keep the order of the topology.
    flows.sort_by(|a, b| {
        let failed = b.failed.p.total_cmp(&a.failed.p);
        let degraded = b.degraded.p.total_cmp(&a.degraded.p);
        b.critical.cmp(&a.critical).then(failed).then(degraded)
    });
    flows
}

fn cascade_flow(flow: &UnitReport) -> CascadeFlow {
    CascadeFlow {
        name: flow.name.clone(),
        title: flow.title.clone(),
        critical: flow.critical == Some(true),
        failed: flow.caused.failed,
        degraded: flow.caused.degraded,
        failed_anyway: flow.baseline.failed.p,
        orders_lost: flow.orders_lost.map(|lost| lost.mean),
        outage_min: flow.lost.map(|lost| lost.mean),
        late: flow.noticeable_late(),
    }
}
