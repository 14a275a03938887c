//! Alerts that start the clocks of detection: shares of orders that fail, or counts of failed
//! requests.

use super::plan::{Alert, AlertOf, FlowId, Hit, Plan, TargetId};
use crate::model::change::{Detection, Watches};
use crate::model::{Change, Share, defaults};

/// Adds the alerts to a plan whose traffic is known.
pub(super) fn add_alerts(plan: &mut Plan, change: &Change) {
    let detection = &change.detection.clone().unwrap_or_default();
    let watches = detection.watches.unwrap_or_default();
    let flows = plan.flows.entries().map(|(flow, item)| (flow, item.rate));
    let flows = flows.filter(|_| watches.flows);
    let mut alerts: Vec<Alert> =
        // Every flow has alerts of its own: the first of any starts the clock.
        flows.flat_map(|(flow, rate)| flow_alerts(detection, flow, rate)).collect();
    let targets = plan.targets.ids().iter().filter(|_| watches.target);
    alerts.extend(targets.filter_map(|target| target_alert(plan, detection, watches, target)));
    if let Some(schedule) = &mut plan.schedule {
        schedule.alerts = alerts;
        schedule.failures = detection.failures.unwrap_or(defaults::FAILURES);
    }
}

/// An alert as soon as a share fails.
fn alert_at_once(of: AlertOf, detection: &Detection) -> Alert {
    let threshold = detection.alert_threshold.map_or(defaults::ALERT_THRESHOLD, Share::get);
    Alert { of, threshold, failures: 0.0, rate: 0.0 }
}

/// An alert once so many requests have failed.
fn alert_by_count(of: AlertOf, detection: &Detection, rate: f64) -> Alert {
    let threshold = detection.alert_threshold.map_or(0.0, Share::get);
    let failures = f64::from(detection.failures.unwrap_or(defaults::FAILURES));
    Alert { of, threshold, failures, rate }
}

/// Where neither a share nor a count is stated, either of them notices.
fn flow_alerts(detection: &Detection, flow: FlowId, rate: f64) -> Vec<Alert> {
    let of = AlertOf::Flow(flow);
    // Without a rate no number of requests can be told, only a share.
    let is_counted = !rate.is_nan();
    match (detection.alert_threshold, detection.failures) {
        (Some(_), None) => vec![alert_at_once(of, detection)],
        (_, Some(_)) if is_counted => vec![alert_by_count(of, detection, rate)],
        (None, None) if is_counted => {
            vec![alert_at_once(of, detection), alert_by_count(of, detection, rate)]
        }
        _ => vec![alert_at_once(of, detection)],
    }
}

/// Only what is asked for is watched at a target whose requests nobody can count.
fn target_alert(
    plan: &Plan,
    detection: &Detection,
    watches: Watches,
    target: TargetId,
) -> Option<Alert> {
    // A failure domain gets no requests whose failing could be watched.
    if let Hit::Domain(_) = plan.targets[target].hit {
        return None;
    }
    let of = AlertOf::Target(target);
    // A target that only the defaults would watch is left out where its requests cannot be counted.
    let is_stated = detection.watches == Some(watches) || detection.failures.is_some();
    let goes_by_share = detection.alert_threshold.is_some() && detection.failures.is_none();
    match plan.target_rate(target) {
        Some(rate) if !goes_by_share => Some(alert_by_count(of, detection, rate)),
        _ => is_stated.then(|| alert_at_once(of, detection)),
    }
}

impl Plan {
    /// Returns how many requests per second a target gets in normal times; `None` where that is not known,
    /// and for a failure domain, which gets none.
    pub fn target_rate(&self, target: TargetId) -> Option<f64> {
        match self.targets[target].hit {
            Hit::Service(service) => self.services[service].traffic.rate,
            Hit::Endpoint { node, .. } => self.nodes[node].traffic.rate,
            Hit::Domain(_) => None,
        }
    }
}
