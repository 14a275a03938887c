//! Exact probabilities beside what trials say.

use crate::compile::Plan;
use crate::engine::exact::{Detail, Exact, Limits, Obstacle};
use crate::model::Topology;
use crate::report::{Interval, UnitReport};

/// The exact probabilities that a unit fails, and that it is degraded or worse.
pub(super) type Values = (f64, f64);

/// The exact values of all units, where the limits suffice.
pub(super) fn values(plan: &Plan, limits: Limits) -> Result<Vec<Values>, Obstacle> {
    let exact = Exact::solve(plan, Detail::Drawn, limits)?;
    let units = exact.units.iter();
    Ok(units.map(|it| (exact.probability(&it.failed), exact.probability(&it.degraded))).collect())
}

/// Puts exact values beside intervals, and beside those that are multiplied by the chance that the
/// change breaks at all.
pub(super) fn put(
    topology: &Topology,
    values: &[Values],
    services: &mut [UnitReport],
    flows: &mut [UnitReport],
    failure_probability: f64,
) {
    let mut endpoint = topology.services.len();
    let mut of_service = Vec::with_capacity(topology.services.len());
    for (index, service) in topology.services.iter().enumerate() {
        let first = endpoint;
        endpoint += service.endpoints.len();
        of_service.push((service.name.as_str(), index, first));
    }
    for report in services {
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

fn put_one((failed, degraded): Values, report: &mut UnitReport, failure_probability: f64) {
    let set = |interval: &mut Interval, value: f64| interval.exact = Some(value);
    set(&mut report.failed, failed);
    set(&mut report.degraded, degraded);
    if let Some(per_rollout) = &mut report.per_rollout {
        set(&mut per_rollout.failed, failed * failure_probability);
        set(&mut per_rollout.degraded, degraded * failure_probability);
    }
}
