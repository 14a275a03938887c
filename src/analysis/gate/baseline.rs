//! Compares a result with an earlier one.

use std::collections::BTreeSet;

use crate::analysis::single_points::only_in;
use crate::model::Topology;
use crate::report::compare::SinglePoint;
use crate::report::{
    BaselineReport, BeforeAfterReport, DeltaReport, DifferenceReport, Interval, Quantiles, Report,
    UnitReport,
};
use crate::sort::{Arrange as _, Gather as _};

/// Returns the names that the earlier result does not have, and those that only it has.
pub(super) fn names_on_one_side(
    topology: &Topology,
    baseline: &Report,
) -> (Vec<String>, Vec<String>) {
    let flows = topology.flows.iter().map(|flow| &*flow.name);
    let now: BTreeSet<&str> =
        topology.services.iter().map(|service| &*service.name).chain(flows).into_set();
    let flows = baseline.flows.iter().map(|flow| &*flow.name);
    let then: BTreeSet<&str> =
        baseline.services.iter().map(|service| &*service.name).chain(flows).into_set();
    let only = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| {
        these.difference(those).map(|name| (*name).to_owned()).collect()
    };
    (only(&now, &then), only(&then, &now))
}

/// Which single points of failure only this topology has, and which only the earlier one had;
/// nothing where the earlier result does not say.
pub(super) fn single_points(
    now: &[SinglePoint],
    baseline: &Report,
) -> Option<(Vec<String>, Vec<String>)> {
    let then = baseline.single_points.as_deref()?;
    Some((only_in(now, then), only_in(then, now)))
}

/// Compares a result with an earlier one.
pub(super) fn compare_with_baseline(
    topology: &Topology,
    report: &Report,
    baseline: &Report,
) -> BaselineReport {
    let (added, removed) = names_on_one_side(topology, baseline);
    let mut services = unit_deltas(&report.services, &baseline.services);
    services.retain(|service| service.failed.low > 0.0 || service.failed.high < 0.0);
    let points = report.single_points.as_deref();
    let points = points.and_then(|now| single_points(now, baseline));
    let (single_points_gained, single_points_lost) = points.unzip();
    let total = |of: &Report| of.total.as_ref().map(|total| total.orders_lost);
    BaselineReport {
        change: baseline.change.clone(),
        trials: baseline.trials,
        seed: baseline.seed,
        flows: unit_deltas(&report.flows, &baseline.flows),
        services,
        differs: reasons_not_comparable(report, baseline, added.len() + removed.len()),
        added,
        removed,
        single_points_gained,
        single_points_lost,
        orders_lost: total(baseline)
            .zip(total(report))
            .map(|(before, after)| mean_difference(&before, &after)),
    }
}

/// Returns the reasons why two results are not about the same thing but for the change.
fn reasons_not_comparable(now: &Report, then: &Report, names: usize) -> Vec<String> {
    let mut said = Vec::new();
    if names > 0 {
        said.push(format!(
            "the two topologies are not the same: {names} services or flows are in one of them only"
        ));
    }
    if now.thresholds != then.thresholds {
        said.push("what counts as failed or degraded is not the same in the two".to_owned());
    }
    if now.timeline.mode != then.timeline.mode {
        said.push("one has a course in time and the other is a single moment".to_owned());
    }
    let targets =
        |of: &Report| of.targets.iter().map(|target| target.name.clone()).collect::<Vec<_>>();
    if targets(now) != targets(then) {
        said.push("the two changes do not have the same targets".to_owned());
    }
    // Two versions may simulate the same file differently.
    if now.tool_version != then.tool_version {
        let (now, then) = (&now.tool_version, &then.tool_version);
        said.push(format!("they were simulated by different versions: {then} and {now}"));
    }
    said
}

fn unit_deltas(now: &[UnitReport], then: &[UnitReport]) -> Vec<DeltaReport> {
    let mut deltas: Vec<DeltaReport> = now
        .iter()
        .filter_map(|after| {
            let before = then.iter().find(|before| before.name == after.name)?;
            let lost = before.orders_lost.as_ref().zip(after.orders_lost.as_ref());
            Some(DeltaReport {
                name: after.name.clone(),
                failed: share_difference(&before.failed, &after.failed),
                orders_lost: lost.map(|(before, after)| mean_difference(before, after)),
                orders_lost_p95: lost.map(|(before, after)| BeforeAfterReport {
                    before: before.p95,
                    after: after.p95,
                }),
            })
        })
        .collect();
    deltas.arrange_by(|a, b| {
        let worse = |delta: &DeltaReport| delta.failed.after - delta.failed.before;
        worse(b).total_cmp(&worse(a)).then_with(|| a.name.cmp(&b.name))
    });
    deltas
}

/// The square-and-add interval of Newcombe, "Interval estimation for the difference between
/// independent proportions" (1998), method 10. Equal seeds make the two depend on each other, which
/// only narrows the truth.
fn newcombe_difference(before: [f64; 3], after: [f64; 3]) -> DifferenceReport {
    let [low0, p0, high0] = before;
    let [low1, p1, high1] = after;
    let reach = |a: f64, b: f64| libm::sqrt(a * a + b * b);
    DifferenceReport {
        before: p0,
        after: p1,
        low: p1 - p0 - reach(p1 - low1, high0 - p0),
        high: p1 - p0 + reach(high1 - p1, p0 - low0),
    }
}

fn share_difference(before: &Interval, after: &Interval) -> DifferenceReport {
    let ends = |interval: &Interval| [interval.low, interval.p, interval.high];
    newcombe_difference(ends(before), ends(after))
}

fn mean_difference(before: &Quantiles, after: &Quantiles) -> DifferenceReport {
    let ends = |quantiles: &Quantiles| [quantiles.mean_low, quantiles.mean, quantiles.mean_high];
    newcombe_difference(ends(before), ends(after))
}
