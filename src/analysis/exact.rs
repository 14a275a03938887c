//! Exact probabilities beside what trials say.

use crate::compile::Plan;
use crate::engine::exact::{Detail, Exact, Function, Limits, Obstacle, UnitFunctions};
use crate::engine::outcome::Failures;
use crate::model::Topology;
use crate::report::{Interval, Report, UnitReport};

use super::reach::Reach;

/// The exact probabilities of one unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    /// With the change.
    pub(super) with: Failures<f64>,
    /// Without it.
    pub(super) baseline: Failures<f64>,
    /// Because of it; `None` where the limits do not suffice.
    pub(super) caused: Option<Failures<f64>>,
}

/// The exact values of all units, where the limits suffice.
pub(super) fn exact_values(plan: &Plan, limits: Limits) -> Result<Vec<Values>, Obstacle> {
    let exact = Exact::solve_plan(plan, Detail::Drawn, limits)?;
    // With the limits exhausted only the differences are unknown; the two sides still are exact.
    let caused = exact.caused_units(limits).ok();
    let probabilities = |unit: &UnitFunctions, of: &dyn Fn(&Function) -> f64| Failures {
        failed: of(&unit.failed),
        degraded: of(&unit.degraded),
    };
    let values = exact.units.iter().enumerate().map(|(unit, item)| Values {
        with: probabilities(item, &|of| exact.probability(of)),
        baseline: probabilities(item, &|of| exact.without_change(of)),
        caused: caused
            .as_ref()
            .map(|caused| probabilities(&caused[unit], &|of| exact.probability(of))),
    });
    Ok(values.collect())
}

/// Puts exact values beside intervals, and beside those that are multiplied by the chance that the
/// change breaks at all.
pub(super) fn put_values(
    topology: &Topology,
    values: &[Values],
    services: &mut [UnitReport],
    flows: &mut [UnitReport],
    failure_probability: f64,
) {
    // Exact values stand in the order of units, reports in that of what fails most.
    let mut endpoint = topology.services.len();
    let mut of_service = Vec::with_capacity(topology.services.len());
    for (index, service) in topology.services.iter().enumerate() {
        let first = endpoint;
        endpoint += service.endpoints.len();
        of_service.push((service.name.as_str(), index, first));
    }
    for report in services {
        // Services of a topology are in the order of their names.
        let known = of_service.binary_search_by(|(name, ..)| (*name).cmp(&report.name));
        let (_, index, first) =
            of_service[known.expect("reports are about the topology's services")];
        put_one(values[index], report, failure_probability);
        for (endpoint, value) in report.endpoints.iter_mut().zip(&values[first..]) {
            put_one(*value, endpoint, failure_probability);
        }
    }
    for report in flows {
        let known = topology.flows.binary_search_by(|flow| flow.name.as_str().cmp(&report.name));
        let index = known.expect("reports are about the topology's flows");
        put_one(values[endpoint + index], report, failure_probability);
    }
}

/// Puts an exact 0 on everything that a change cannot reach, beside what trials say.
pub(super) fn put_unreached(topology: &Topology, reach: &Reach, report: &mut Report) {
    let nothing = |unit: &mut UnitReport| {
        // What a change cannot reach fails because of it in no trial at all, so this 0 is exact.
        let per_rollout = unit.per_rollout.iter_mut().map(|per_rollout| &mut per_rollout.caused);
        for caused in per_rollout.chain([&mut unit.caused]) {
            caused.failed.exact = Some(0.0);
            caused.degraded.exact = Some(0.0);
        }
    };
    for unit in &mut report.services {
        let index = topology.services.binary_search_by(|service| service.name.cmp(&unit.name));
        if index.is_ok_and(|index| !reach.has_service(index)) {
            nothing(unit);
            unit.endpoints.iter_mut().for_each(nothing);
        }
    }
    for unit in &mut report.flows {
        let index = topology.flows.binary_search_by(|flow| flow.name.cmp(&unit.name));
        if index.is_ok_and(|index| !reach.has_flow(index)) {
            nothing(unit);
        }
    }
}

fn put_one(values: Values, report: &mut UnitReport, failure_probability: f64) {
    let set = |interval: &mut Interval, value: f64| interval.exact = Some(value);
    let Values { with, baseline, caused } = values;
    set(&mut report.failed, with.failed);
    set(&mut report.degraded, with.degraded);
    set(&mut report.baseline.failed, baseline.failed);
    set(&mut report.baseline.degraded, baseline.degraded);
    if let Some(caused) = caused {
        set(&mut report.caused.failed, caused.failed);
        set(&mut report.caused.degraded, caused.degraded);
    }
    if let Some(per_rollout) = &mut report.per_rollout {
        let total = |with: f64, baseline: f64| {
            failure_probability * with + (1.0 - failure_probability) * baseline
        };
        set(&mut per_rollout.failed, total(with.failed, baseline.failed));
        set(&mut per_rollout.degraded, total(with.degraded, baseline.degraded));
        if let Some(caused) = caused {
            set(&mut per_rollout.caused.failed, failure_probability * caused.failed);
            set(&mut per_rollout.caused.degraded, failure_probability * caused.degraded);
        }
    }
}
