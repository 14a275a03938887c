//! Error budgets: what a change uses of the outage minutes that objectives allow.

use crate::compile::plan::FlowId;
use crate::engine::Tally;
use crate::model::Topology;
use crate::report::{BudgetReport, BudgetRisk, Interval, ObjectiveReport, Report};
use crate::summary::Estimate;
use crate::summary::estimate::estimate_proportion;

/// The share of what is left of an error budget from which on it is at risk: a change that may take a
/// quarter of it leaves room for three more incidents.
pub(super) const AT_RISK: f64 = 0.25;

/// Returns the outage minutes that are left of the error budget of a flow; `spent` is by flow, and empty
/// where nothing is spent.
pub(super) fn left_minutes(topology: &Topology, flow: usize, spent: &[f64]) -> f64 {
    // More may have been spent than the budget had.
    let budget = topology.flows[flow].objective().budget_minutes();
    (budget - spent.get(flow).unwrap_or(&0.0)).max(0.0)
}

/// Adds objectives, and what the change uses of their budgets, to the flows of a report.
pub(super) fn add_budgets(topology: &Topology, tally: &Tally, spent: &[f64], report: &mut Report) {
    let q = report.failure_probability;
    for unit in &mut report.flows {
        let found = topology.flows.iter().position(|flow| flow.name == unit.name);
        let index = found.expect("reports are about flows of the topology");
        let flow = &topology.flows[index];
        let objective = flow.objective();
        let budget = objective.budget_minutes();
        unit.objective = Some(ObjectiveReport {
            availability: objective.availability.get(),
            window_s: objective.window.get(),
            budget_min: budget,
            spent_min: *spent.get(index).unwrap_or(&0.0),
            is_assumed: flow.objective.is_none(),
        });
        // A single moment has no minutes.
        let Some(lost) = &unit.lost else { continue };
        let left = left_minutes(topology, index, spent) * 60.0;
        let outage = &tally.flows[FlowId::new(index)].outage;
        let exceeds = |seconds: f64| {
            interval_of(&estimate_proportion(outage.count_above(seconds), tally.trials))
        };
        let (exhausts, at_risk) = (exceeds(left), exceeds(left * AT_RISK));
        unit.budget = Some(BudgetReport {
            mean: lost.mean / budget,
            p50: lost.p50 / budget,
            p95: lost.p95 / budget,
            exhausts,
            at_risk,
            per_rollout: BudgetRisk {
                exhausts: scaled_interval(exhausts, q),
                at_risk: scaled_interval(at_risk, q),
            },
        });
    }
}

fn interval_of(of: &Estimate) -> Interval {
    Interval { p: of.p, low: of.low, high: of.high, exact: None }
}

fn scaled_interval(of: Interval, factor: f64) -> Interval {
    Interval { p: of.p * factor, low: of.low * factor, high: of.high * factor, exact: None }
}
