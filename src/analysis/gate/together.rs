//! Several changes in one window: as one change of which everything breaks, and each alone.

use crate::compile::compile;
use crate::engine::{Progress, Simulation};
use crate::model::change::{Delay, Detection, Rollback, Rollout};
use crate::model::{Change, Share, Topology, defaults};
use crate::report::{AloneReport, InteractionReport, Interval, Report, TogetherReport};
use crate::summary::{Estimate, summarize};

use crate::analysis::simulate::{self, Settings, Stop};

/// Several changes as one, in which all of them break.
///
/// What holds for the whole window is taken from whichever change protects least: the rollout that
/// exposes most at first, the slowest detection and rollback, the longest horizon. It breaks when any of
/// them does, each by itself.
pub fn merge(changes: &[Change]) -> Option<Change> {
    let (first, rest) = changes.split_first()?;
    let mut all = first.clone();
    for it in rest {
        all.name = format!("{} + {}", all.name, it.name);
        all.targets.extend(it.targets.iter().cloned());
        all.sources.extend(it.sources.iter().cloned());
        all.during.extend(&it.during);
        all.kind = if all.kind == it.kind { all.kind } else { None };
        // A machine had a hand in it where it had one in any; nobody reviewed it where any was not.
        if all.authored_by != it.authored_by {
            all.authored_by =
                all.authored_by.and(it.authored_by).map(|_| crate::model::change::Author::Mixed);
        }
        all.reviewed_by = match (all.reviewed_by.take(), &it.reviewed_by) {
            (Some(these), Some(those)) if !these.is_empty() && !those.is_empty() => {
                Some(these.into_iter().chain(those.iter().cloned()).collect())
            }
            (Some(these), Some(_)) if these.is_empty() => Some(these),
            (Some(_), Some(those)) => Some(those.clone()),
            _ => None,
        };
        let spared = (1.0 - chance(&all)) * (1.0 - chance(it));
        all.failure_probability = Share::new(1.0 - spared);
        let is_moment = (all.is_moment(), it.is_moment());
        all.rollout = match is_moment {
            (true, false) => it.rollout.clone(),
            (false, true) => all.rollout,
            _ => bolder(all.rollout.take(), it.rollout.clone()),
        };
        all.detection = slower(all.detection.take(), it.detection.clone(), detection_delay);
        all.rollback = slower(all.rollback.take(), it.rollback.clone(), rollback_delay);
        all.kill_switch = all.kill_switch.filter(|_| it.kill_switch.is_some());
        all.repair = match (all.repair, it.repair) {
            (Some(a), Some(b)) => Some(if b.median > a.median { b } else { a }),
            (a, b) => a.or(b),
        };
        all.actions.extend(it.actions.iter().cloned());
        all.horizon = if it.horizon > all.horizon { it.horizon } else { all.horizon };
    }
    all.during.sort();
    all.during.dedup();
    Some(all)
}

fn chance(change: &Change) -> f64 {
    let stated = change.failure_probability;
    stated.unwrap_or_else(|| defaults::failure_probability(change.kind)).get()
}

/// The rollout that exposes more at first, or as much for a shorter time; none is all at once.
fn bolder(a: Option<Rollout>, b: Option<Rollout>) -> Option<Rollout> {
    let (a, b) = (a?, b?);
    let boldness = |it: &Rollout| {
        let first = it.stages.first();
        let bake =
            first.and_then(|stage| stage.bake).map_or(0.0, crate::model::units::Seconds::get);
        (first.map_or(1.0, |stage| stage.exposure.get()), -bake)
    };
    Some(if boldness(&b) > boldness(&a) { b } else { a })
}

/// The one with the longer delay; one that is not said has the documented default.
fn slower<T>(a: Option<T>, b: Option<T>, delay: impl Fn(Option<&T>) -> Delay) -> Option<T> {
    let is_slower = delay(b.as_ref()).median > delay(a.as_ref()).median;
    match (a, b) {
        (Some(a), Some(b)) => Some(if is_slower { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn detection_delay(it: Option<&Detection>) -> Delay {
    let usual = Delay { median: defaults::DETECTION.0, p95: defaults::DETECTION.1 };
    it.and_then(|it| it.delay).unwrap_or(usual)
}

fn rollback_delay(it: Option<&Rollback>) -> Delay {
    let usual = Delay { median: defaults::ROLLBACK.0, p95: defaults::ROLLBACK.1 };
    it.and_then(|it| it.delay).unwrap_or(usual)
}

/// What the merged change takes for granted.
pub(super) fn assumptions(changes: &[Change]) -> Vec<String> {
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
pub(super) fn compare(
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
        let simulation = Simulation::new(&plan, settings.seed);
        let (tally, _) = simulate::run(&plan, &simulation, Stop::Trials(trials), progress);
        alone.push(AloneReport {
            change: change.name.clone(),
            failure_probability: chance(change),
            trials: tally.trials,
        });
        summaries.push(summarize(&tally));
    }
    let interval = |of: &Estimate| Interval { p: of.p, low: of.low, high: of.high, exact: None };
    let flows = report.flows.iter().filter_map(|flow| {
        let index = topology.flows.iter().position(|it| it.name == flow.name)?;
        let units: Vec<Interval> = summaries
            .iter()
            .map(|it| interval(&it.units[it.units.len() - topology.flows.len() + index].failed))
            .collect();
        let lost = summaries.iter().map(|it| Some(it.flows[index].as_ref()?.lost.mean));
        Some(InteractionReport {
            name: flow.name.clone(),
            apart: 1.0 - units.iter().map(|it| 1.0 - it.p).product::<f64>(),
            alone: units,
            together: flow.failed,
            orders_lost_alone: lost.collect::<Option<Vec<f64>>>().unwrap_or_default(),
            orders_lost_together: flow.orders_lost.as_ref().map(|it| it.mean),
        })
    });
    TogetherReport { flows: flows.collect(), alone }
}
