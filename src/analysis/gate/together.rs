//! Several changes in one window: as one change of which everything breaks, and each alone.

use crate::compile::compile;
use crate::engine::{Progress, Simulator};
use crate::model::{Change, Topology};
use crate::project::merge::failure_probability;
use crate::report::{AloneReport, InteractionReport, Interval, Report, TogetherReport};
use crate::summary::{Estimate, summarize};

use crate::analysis::simulate::{self, Settings, Stop};

/// Returns the assumptions about the merged change.
pub(super) fn merge_assumptions(changes: &[Change]) -> Vec<String> {
    vec![
        format!(
            "all {} changes break in one window: figures per rollout are multiplied by the chance that any \
             of them breaks, and so are upper bounds",
            changes.len()
        ),
        "the window has the boldest rollout and the slowest detection and rollback of the changes"
            .to_owned(),
    ]
}

/// Each change alone, beside the report of all of them.
pub(super) fn compare_changes(
    topology: &Topology,
    changes: &[Change],
    settings: &Settings,
    report: &Report,
    progress: &dyn Progress,
) -> TogetherReport {
    let trials = match settings.stop {
        Stop::Trials(trials) => trials,
        Stop::Precision { .. } => report.trials,
    };
    let mut alone = Vec::new();
    let mut summaries = Vec::new();
    for change in changes {
        let plan = compile(topology, change, settings.lasting);
        let simulation = Simulator::new(&plan, settings.seed);
        let (tally, _) = simulate::run_trials(&plan, &simulation, Stop::Trials(trials), progress);
        alone.push(AloneReport {
            change: change.name.clone(),
            failure_probability: failure_probability(change),
            trials: tally.trials,
        });
        summaries.push(summarize(&tally));
    }
    let interval = |of: &Estimate| Interval { p: of.p, low: of.low, high: of.high, exact: None };
    let flows = report.flows.iter().filter_map(|flow| {
        let index = topology.flows.iter().position(|item| item.name == flow.name)?;
        let units: Vec<Interval> = summaries
            .iter()
            .map(|summary| {
                interval(&summary.units[summary.units.len() - topology.flows.len() + index].failed)
            })
            .collect();
        let lost = summaries.iter().map(|summary| Some(summary.flows[index].as_ref()?.lost.mean));
        Some(InteractionReport {
            name: flow.name.clone(),
            // If they did not interact, the flow would work only where it works under each of them.
            independent: 1.0 - units.iter().map(|unit| 1.0 - unit.p).product::<f64>(),
            alone: units,
            together: flow.failed,
            // A sum of which one part is unknown is unknown.
            orders_lost_alone: lost.collect::<Option<Vec<f64>>>().unwrap_or_default(),
            orders_lost_together: flow.orders_lost.as_ref().map(|orders_lost| orders_lost.mean),
        })
    });
    TogetherReport { flows: flows.collect(), alone }
}
