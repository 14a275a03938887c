//! Replicas that are down before their callers know: for that long their share of the calls fails.

use crate::compile::plan::{Plan, ServiceId};
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{LANES, Lanes, all, same};

/// Knowledge of callers about the replicas of one service.
#[derive(Clone, Debug)]
pub(crate) struct Failover {
    service: ServiceId,
    /// The share of replicas that was up when this was last looked at.
    up: Lanes,
    /// The share of calls that goes to replicas which are down...
    failing: Lanes,
    /// ...until then.
    until: Lanes,
}

impl Failover {
    /// Returns what callers know of the services for which a time is stated; nothing in a single
    /// moment, in which they know everything.
    pub(crate) fn of_services(plan: &Plan) -> Vec<Self> {
        let services = plan.services.entries();
        let stated = services.filter(|(_, item)| item.failover > 0.0 && plan.schedule.is_some());
        let new = |service| Self { service, up: all(1.0), failing: all(0.0), until: all(0.0) };
        stated.map(|(service, _)| new(service)).collect()
    }
}

impl Run<'_> {
    /// Goes back to the start: what is down by then is known.
    pub(crate) fn reset_failovers(&mut self) {
        for item in &mut self.failovers {
            item.up = self.sampled.capacity[item.service];
            item.failing = all(0.0);
            item.until = all(0.0);
        }
    }

    /// Notes replicas that went down or came back since the last moment.
    pub(crate) fn update_failovers(&mut self) {
        for index in 0..self.failovers.len() {
            let service = self.failovers[index].service;
            let up = *self.replicas_left(service);
            let lasts = self.plan.services[service].failover;
            let item = &mut self.failovers[index];
            for lane in 0..LANES {
                let time = self.state.time[lane];
                if time >= item.until[lane] {
                    item.failing[lane] = 0.0;
                }
                let lost = item.up[lane] - up[lane];
                if lost > 1e-9 {
                    item.failing[lane] += lost;
                    item.until[lane] = time + lasts;
                }
                // What is up again does not fail, whether callers know of it or not.
                item.failing[lane] = item.failing[lane].min(1.0 - up[lane]).max(0.0);
                item.up[lane] = up[lane];
            }
            if !same(&item.failing, &all(0.0)) {
                self.register_affected(service);
            }
        }
    }

    /// Returns the share of the calls to a service that goes to replicas which are down, where there are
    /// any.
    pub(crate) fn failing_over(&self, service: ServiceId) -> Option<&Lanes> {
        let item = self.failovers.iter().find(|item| item.service == service)?;
        (!same(&item.failing, &all(0.0))).then_some(&item.failing)
    }

    /// When callers know next that replicas of some service are down.
    pub(crate) fn next_failover(&self, lane: usize) -> f64 {
        let active = self.failovers.iter().filter(|item| item.failing[lane] > 0.0);
        active.map(|item| item.until[lane]).fold(f64::INFINITY, f64::min)
    }
}
