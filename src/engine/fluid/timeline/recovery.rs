//! The end of the cause: what comes back at once, what must restart, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::compile::plan::{NodeId, ServiceId, StartNeed};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{Shares, has};
use crate::engine::trace::Event;

/// A service that must restart in one trial, and what it suffers until then.
#[derive(Clone, Debug)]
pub(crate) struct PendingRestart {
    pub(crate) lane: usize,
    pub(crate) service: ServiceId,
    /// When it serves again; infinite for never.
    pub(crate) at: f64,
    /// Whether it failed through its calls: then what it keeps does not add to what they do.
    pub(crate) crashed: bool,
    /// Whether a target domain took it down: then it fails fast, and is not overloaded.
    pub(crate) fell: bool,
    /// Whether calls were led to the rest of it before, so that it only lacks capacity.
    pub(crate) drained: bool,
    /// The share of it that restarts: 1 but for what operators start anew in part.
    pub(crate) part: f64,
    /// For each of its nodes and each cohort the slow and the down share that it keeps.
    shares: Vec<(NodeId, Vec<(f64, f64)>)>,
}

impl PendingRestart {
    /// The slow and down share that a node keeps until the restart.
    pub(crate) fn share_of(&self, node: NodeId, cohort: usize) -> (f64, f64) {
        let kept = self.shares.iter().find(|(held, _)| *held == node);
        kept.map_or((0.0, 0.0), |(_, shares)| shares[cohort])
    }
}

impl Run<'_> {
    /// Ends the cause in one lane: decides from the last moment what must restart, and when.
    pub(crate) fn end_cause(&mut self, lane: usize, time: f64) {
        let mut restarting: BTreeMap<ServiceId, PendingRestart> = BTreeMap::new();
        for service in self.plan.services.ids() {
            let mut targets = self.index_of_plan.targets_of[service].iter();
            let fell = has(self.fallen[service], lane);
            if fell || targets.any(|target| self.must_restart(*target, lane)) {
                restarting.insert(service, self.hold_target(service, lane));
            }
        }
        for service in &self.index_of_plan.crashing {
            if let Some(node) = self.crashed_node(*service, lane) {
                // What a target broke keeps what that target does to it, and no crash beside it.
                let hold = || self.hold_crash(*service, node, lane);
                restarting.entry(*service).or_insert_with(hold);
            }
        }
        // Only after the above: until it is set, a worsened target counts as down.
        self.progress[lane].ended_at = time;
        self.hold_all(restarting, lane, time);
    }

    /// The same for one service alone, while others are still broken.
    pub(crate) fn end_cause_at(&mut self, service: ServiceId, lane: usize, time: f64) {
        let mut targets = self.index_of_plan.targets_of[service].iter();
        if targets.any(|target| self.must_restart(*target, lane)) {
            let held = self.hold_target(service, lane);
            self.hold_all(BTreeMap::from([(service, held)]), lane, time);
        }
    }

    /// Starts a share of a service anew, or lets it wait for nothing any more.
    pub(crate) fn restart(&mut self, service: ServiceId, lane: usize, share: f64, drained: bool) {
        let time = self.state.time[lane];
        let at = time + self.plan.services[service].restart;
        let overload = &mut self.state.overload[service][lane];
        *overload *= 1.0 - share;
        if let Some(backlog) = self.loads.backlog.get_mut(service) {
            // What waits in a process is lost with it, and nobody waits for that any more.
            backlog[lane] *= 1.0 - share;
            self.waits_before[service][lane] = 0.0;
            self.loads.dirty.mark(service);
        }
        self.state.touch_service(service);
        let waiting = self.pending_restarts.iter_mut().find(|pending_restart| {
            pending_restart.lane == lane
                && pending_restart.service == service
                && time < pending_restart.at
        });
        if let Some(held) = waiting {
            held.at = held.at.min(at);
            return;
        }
        // Nothing can be led to the rest where nothing is left.
        let drained = drained && share < 1.0;
        let fails = if drained { 0.0 } else { share };
        let held = self.hold(service, lane, |_, _| (0.0, fails));
        self.register_affected(service);
        self.replace(PendingRestart { at, fell: share >= 1.0, drained, part: share, ..held });
    }

    fn hold_all(
        &mut self,
        restarting: BTreeMap<ServiceId, PendingRestart>,
        lane: usize,
        time: f64,
    ) {
        if restarting.is_empty() {
            return;
        }
        let at = self.restart_times(&restarting, lane, time);
        for (service, mut held) in restarting {
            held.at = at.get(&service).copied().unwrap_or(f64::INFINITY);
            self.register_affected(service);
            self.note(lane, Event::Restarts(service, held.at));
            self.replace(held);
        }
    }

    /// Holds a service, whatever held it before.
    fn replace(&mut self, held: PendingRestart) {
        self.pending_restarts.retain(|pending_restart| {
            pending_restart.lane != held.lane || pending_restart.service != held.service
        });
        self.pending_restarts.push(held);
    }

    /// The worst node of a service that crashes when its calls fail, if they have.
    fn crashed_node(&self, service: ServiceId, lane: usize) -> Option<NodeId> {
        let unanswered = |node: NodeId| self.node_share(node, lane, Shares::unanswered);
        let worst = self
            .plan
            .nodes_of(service)
            .reduce(|worst, node| if unanswered(node) > unanswered(worst) { node } else { worst });
        worst.filter(|node| {
            let is_up = !has(self.sampled.down[service], lane);
            is_up && unanswered(*node) >= self.plan.failed - SLACK
        })
    }

    /// Returns the failure that a service keeps where targets or their domains broke it.
    fn hold_target(&self, service: ServiceId, lane: usize) -> PendingRestart {
        let fell = has(self.fallen[service], lane);
        let keeps = |node, cohort| {
            if fell { (0.0, 1.0) } else { self.lasting_harm(node, cohort, lane) }
        };
        PendingRestart { fell, ..self.hold(service, lane, keeps) }
    }

    /// Returns the failure that a crashed service keeps, in all its nodes: what was slow and down
    /// in the worst.
    fn hold_crash(&self, service: ServiceId, worst: NodeId, lane: usize) -> PendingRestart {
        let keeps = |_, cohort: usize| {
            let shares = &self.state.cohorts[cohort].shares[worst];
            (shares.slow[lane], shares.down[lane])
        };
        PendingRestart { crashed: true, ..self.hold(service, lane, keeps) }
    }

    fn hold(
        &self,
        service: ServiceId,
        lane: usize,
        keeps: impl Fn(NodeId, usize) -> (f64, f64),
    ) -> PendingRestart {
        let cohorts = self.state.cohorts.len();
        let shares = self
            .plan
            .nodes_of(service)
            .map(|node| (node, (0..cohorts).map(|cohort| keeps(node, cohort)).collect()))
            .collect();
        let (at, part) = (f64::INFINITY, 1.0);
        PendingRestart {
            lane,
            service,
            at,
            crashed: false,
            fell: false,
            drained: false,
            part,
            shares,
        }
    }

    /// When each of these services serves again. One that waits for itself in a circle, or for
    /// something that never comes, is not in the answer.
    ///
    /// Knuth, "A generalization of Dijkstra's algorithm" (1977): services are fixed in the order in
    /// which they come back, so the earliest members of an `any_of` are known when they are needed.
    fn restart_times(
        &self,
        restarting: &BTreeMap<ServiceId, PendingRestart>,
        lane: usize,
        ended: f64,
    ) -> BTreeMap<ServiceId, f64> {
        // What restarts already has its time.
        let waits = |item: &&PendingRestart| {
            item.lane == lane && ended < item.at && !restarting.contains_key(&item.service)
        };
        let waiting: BTreeMap<ServiceId, f64> = self
            .pending_restarts
            .iter()
            .filter(waits)
            .map(|pending_restart| (pending_restart.service, pending_restart.at))
            .collect();
        let not_there: BTreeSet<ServiceId> =
            restarting.keys().chain(waiting.keys()).copied().collect();
        let mut open: BTreeMap<ServiceId, Vec<(&StartNeed, u32)>> = BTreeMap::new();
        let mut waited_for: BTreeMap<ServiceId, BTreeSet<ServiceId>> = BTreeMap::new();
        for service in restarting.keys() {
            let mut needs = Vec::new();
            for need in &self.plan.services[*service].start_needs {
                let still = self.still_needed(need, &not_there, lane);
                if still > 0 {
                    needs.push((need, still));
                    for (member, _) in &need.any_of {
                        waited_for.entry(*member).or_default().insert(*service);
                    }
                }
            }
            open.insert(*service, needs);
        }
        let mut coming: BinaryHeap<Reverse<(OrderedTime, ServiceId)>> = BinaryHeap::new();
        let restart = |service: ServiceId, ready: f64| {
            Reverse((OrderedTime(ready + self.plan.services[service].restart), service))
        };
        for (service, needs) in &open {
            if needs.is_empty() {
                coming.push(restart(*service, ended));
            }
        }
        for (service, at) in waiting.into_iter().filter(|(_, at)| at.is_finite()) {
            coming.push(Reverse((OrderedTime(at), service)));
        }
        let mut at = BTreeMap::new();
        while let Some(Reverse((OrderedTime(time), service))) = coming.pop() {
            if at.insert(service, time).is_some() {
                continue;
            }
            for caller in waited_for.get(&service).into_iter().flatten() {
                let needs = open.get_mut(caller).expect("every caller that waits is restarting");
                let before = needs.len();
                for (need, still) in needs.iter_mut() {
                    let counts = need.any_of.iter().filter(|(member, _)| *member == service);
                    *still = still.saturating_sub(counts.count() as u32);
                }
                needs.retain(|(_, still)| *still > 0);
                if before > 0 && needs.is_empty() {
                    coming.push(restart(*caller, time));
                }
            }
        }
        at
    }

    /// How many members of a need must still come back.
    fn still_needed(&self, need: &StartNeed, not_there: &BTreeSet<ServiceId>, lane: usize) -> u32 {
        let there = need.any_of.iter().filter(|(service, node)| {
            let fails_anyway = need.start_only && self.baseline.start_failed(*node, lane, self);
            !not_there.contains(service) && !fails_anyway
        });
        need.needs.saturating_sub(there.count() as u32)
    }
}

/// A time that can be compared: never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OrderedTime(f64);

impl Eq for OrderedTime {}

impl PartialOrd for OrderedTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
