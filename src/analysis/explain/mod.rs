//! Why a flow fails: smallest sets of failures, importance, the ways that failure took, what
//! protections did, what is not known.

mod analysis;
mod cuts;
mod importance;
mod names;
mod origins;
mod paths;
mod trials;

use crate::compile::plan::FlowId;
use crate::compile::{Plan, compile};
use crate::engine::exact::{Limits, Obstacle};
use crate::engine::{Progress, Simulator};
use crate::model::{Change, Topology};
use crate::report::explain::{
    EXPLAIN_SCHEMA_NAME, ExactReport, ExplainReport, FlowExplained, ImportanceReport,
};
use crate::report::{Report, UnitReport};
use crate::summary::{Summary, summarize};

use super::simulate::{self, Settings};
use super::{exact, unknowns};
use analysis::Analysis;
use names::EventNames;
use trials::Variant;

/// Request for an explanation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExplanationRequest {
    /// Only the flow of this number in the topology.
    pub flow: Option<FlowId>,
    /// Exact values, or nothing.
    pub exact: bool,
    /// Cut sets of at most so many events.
    pub max_order: Option<u32>,
    /// Whether there is a change at all; without one, services and domains may be down however
    /// unlikely that is, since it is the structure that is asked about.
    pub has_change: bool,
}

/// Limits on the work for exact values that are not demanded.
const USUAL: Limits = Limits { steps: 48_000_000, bytes: 512 << 20 };
/// How many trials are followed step by step at the most, and how many nodes in all of them.
const FOLLOWED: u64 = 10_000;
const FOLLOWED_NODES: u64 = 1_000_000_000;

/// Explains why flows fail.
///
/// # Errors
/// Why there are no exact values, where they are demanded.
pub fn explain_flows(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    asked: &ExplanationRequest,
    progress: &dyn Progress,
) -> Result<ExplainReport, Obstacle> {
    let plan = compile(topology, change, settings.lasting);
    let limits = if asked.exact { Limits::THOROUGH } else { USUAL };
    let values = exact::exact_values(&plan, limits);
    let values = match values {
        // Where exact values are demanded, their lack is an error; otherwise trials answer.
        Err(obstacle) if asked.exact => return Err(obstacle),
        values => values,
    };
    let simulation = Simulator::with_engine(&plan, settings.seed, settings.engine);
    let (tally, is_partial) = simulate::run_trials(&plan, &simulation, settings.stop, progress);
    let summary = summarize(&tally);
    let mut report = simulate::simulation_report(topology, change, settings, &simulation, &summary);
    if let Ok(values) = &values {
        let Report { services, flows, failure_probability, .. } = &mut report;
        exact::put_values(topology, values, services, flows, *failure_probability);
    }
    report.partial = is_partial;
    let flows: Vec<FlowId> = match asked.flow {
        Some(flow) => vec![flow],
        None => plan.flows.ids().iter().collect(),
    };
    let inquiry = Inquiry { topology, change, settings, asked, plan: &plan, summary: &summary };
    let found = inquiry.flow_explanations(&simulation, &flows, limits, progress);
    let variant = Variant { topology: topology.clone(), change: change.clone() };
    let (containment, containment_left_out) =
        trials::protection_reports(&variant, settings, &summary);
    let unknowns = unknowns::find_unknowns(
        topology,
        change,
        &plan,
        settings,
        &summary,
        unknowns::Effort::THOROUGH,
    );
    let explained = |unit: UnitReport| {
        let place = flows.iter().position(|flow| topology.flow(*flow).name == unit.name)?;
        Some(FlowExplained { unit, ..found[place].clone() })
    };
    Ok(ExplainReport {
        omitted: Vec::new(),
        schema: EXPLAIN_SCHEMA_NAME.to_owned(),
        tool_version: report.tool_version,
        topology: report.topology,
        change: asked.has_change.then_some(report.change),
        seed: report.seed,
        trials: report.trials,
        engine: report.engine,
        partial: report.partial,
        exact: ExactReport {
            used: values.is_ok(),
            reason: values.err().map(|obstacle| obstacle.to_string()),
        },
        thresholds: report.thresholds,
        targets: report.targets,
        services: report.services,
        flows: report.flows.into_iter().filter_map(explained).collect(),
        containment,
        containment_left_out,
        waiting: report.waiting,
        unknowns,
        assumptions: if asked.has_change { report.assumptions } else { Vec::new() },
    })
}

/// Scenario that all parts of an explanation are about.
struct Inquiry<'a> {
    topology: &'a Topology,
    change: &'a Change,
    settings: &'a Settings,
    asked: &'a ExplanationRequest,
    plan: &'a Plan,
    summary: &'a Summary,
}

impl Inquiry<'_> {
    /// Returns the explanation of each of these flows, without their figures.
    fn flow_explanations<'a>(
        &'a self,
        simulation: &'a Simulator<'a>,
        flows: &[FlowId],
        limits: Limits,
        progress: &dyn Progress,
    ) -> Vec<FlowExplained> {
        let names = EventNames::new(self.topology, self.change, self.plan);
        let analysis = Analysis::new(self.plan, limits);
        // Following costs time for each node and trial, so large plans get fewer trials.
        let most = (FOLLOWED_NODES / self.plan.nodes.len().max(1) as u64).clamp(256, FOLLOWED);
        let trials = self.summary.trials.min(most);
        let ways =
            paths::trace_ways(self.plan, simulation, self.settings.seed, trials, flows, progress);
        let (mut importance, importance_left_out) =
            self.importance_reports(analysis.as_ref().ok(), &names, flows);
        let first = self.plan.services.len()
            + self.plan.services.iter().map(|service| service.endpoints.len()).sum::<usize>();
        let explained = flows.iter().zip(&ways).enumerate().map(|(place, (flow, ways))| {
            let cut_sets = match &analysis {
                Ok(analysis) => {
                    // Structural sets need the events that never happen by themselves.
                    let is_structural = !self.asked.has_change && analysis.has_everything;
                    let unit = first + flow.index();
                    cuts::find_cut_sets(analysis, &names, unit, self.asked.max_order, is_structural)
                }
                Err(obstacle) => Err(obstacle.to_string()),
            };
            let (paths, paths_incomplete) = ways.path_reports(&names, trials);
            FlowExplained {
                unit: UnitReport::default(),
                no_cut_sets: cut_sets.as_ref().err().cloned(),
                cut_sets: cut_sets.ok(),
                importance: std::mem::take(&mut importance[place]),
                importance_left_out,
                paths,
                paths_incomplete,
            }
        });
        explained.collect()
    }

    /// By flow: exact where the functions of this very scenario are known with everything in them,
    /// else from trials; and how many parts were left out.
    fn importance_reports(
        &self,
        analysis: Option<&Analysis>,
        names: &EventNames<'_>,
        flows: &[FlowId],
    ) -> (Vec<Vec<ImportanceReport>>, u64) {
        let exact =
            analysis.filter(|analysis| analysis.simplified.is_none() && analysis.has_everything);
        if let Some(analysis) = exact {
            let first = self.plan.services.len()
                + self.plan.services.iter().map(|service| service.endpoints.len()).sum::<usize>();
            let units = flows.iter().map(|flow| first + flow.index());
            let of = |unit| importance::exact_importance(self.plan, analysis, names, unit);
            return (units.map(of).collect(), 0);
        }
        let variant = Variant { topology: self.topology.clone(), change: self.change.clone() };
        trials::sampled_importance(&variant, self.settings, self.summary, flows)
    }
}
