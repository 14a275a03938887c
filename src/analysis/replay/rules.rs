//! Rules that simulate nothing, for comparison: who can reach whom.

use crate::model::incident::ObservedState;
use crate::model::topology::{Caller, Dependency, Phase};
use crate::model::{Change, Topology};

use super::targeted_services;

/// A rule, with what it says in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReachRule {
    Everything,
    HardReach,
    HardAndLoad,
    EveryEdge,
    EveryEdgeButStatic,
}

impl ReachRule {
    pub(super) const ALL: [Self; 5] = [
        Self::Everything,
        Self::HardReach,
        Self::HardAndLoad,
        Self::EveryEdge,
        Self::EveryEdgeButStatic,
    ];

    /// Returns what the rule says, in words.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Everything => "everything fails",
            Self::HardReach => "reach: hard",
            Self::HardAndLoad => "reach: hard and load",
            Self::EveryEdge => "reach: every dependency",
            Self::EveryEdgeButStatic => "reach: all but static caches",
        }
    }

    /// Predicts the state of each service and then each flow: failed or unaffected.
    pub(super) fn predict_states(self, topology: &Topology, change: &Change) -> Vec<ObservedState> {
        let mut reached = vec![self == Self::Everything; topology.services.len()];
        for service in targeted_services(topology, change) {
            reached[service] = true;
        }
        // Again and again, since what is reached may reach more.
        while self.spread_once(topology, &mut reached) {}
        let flows = topology.flows.iter().map(|flow| {
            let on = |dependency: &Dependency| {
                dependency.on.iter().any(|on| reached[on.service.0 as usize])
            };
            self == Self::Everything
                || flow.steps.iter().any(|step| self.is_followed(step) && on(step))
        });
        let flows: Vec<bool> = flows.collect();
        reached.extend(flows);
        let state = |item| if item { ObservedState::Failed } else { ObservedState::Unaffected };
        reached.into_iter().map(state).collect()
    }

    /// One step from what is reached; returns whether anything new was reached.
    fn spread_once(self, topology: &Topology, reached: &mut [bool]) -> bool {
        let mut moved = false;
        // What reacts by itself to a failure is reached by it, as surely as over a hard dependency.
        for service in &topology.services {
            for automation in &service.automations {
                let target = automation.target.0 as usize;
                if reached[automation.watches.0 as usize] && !reached[target] {
                    reached[target] = true;
                    moved = true;
                }
            }
        }
        for (caller, dependency) in topology.declared_dependencies() {
            let Caller::Node(caller) = caller else { continue };
            let caller = caller.service.0 as usize;
            for on in &dependency.on {
                let on = on.service.0 as usize;
                // Load goes from the caller to what it calls, failure the other way.
                let (from, to) = if dependency.is_load() { (caller, on) } else { (on, caller) };
                if reached[from] && !reached[to] && self.is_followed(dependency) {
                    reached[to] = true;
                    moved = true;
                }
            }
        }
        moved
    }

    fn is_followed(self, dependency: &Dependency) -> bool {
        let is_hard = !dependency.is_soft() && dependency.phase == Phase::Serve;
        let is_static = dependency.cache.is_some_and(|cache| cache.ttl.is_none());
        match self {
            Self::Everything => true,
            Self::HardReach => is_hard && !dependency.is_load(),
            Self::HardAndLoad => is_hard || dependency.is_load(),
            Self::EveryEdge => true,
            Self::EveryEdgeButStatic => !is_static,
        }
    }
}
