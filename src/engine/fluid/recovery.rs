//! The end of the cause: what comes back at once, what must restart, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::call::SLACK;
use super::lanes::has;
use super::run::Run;
use crate::compile::plan::StartNeed;
use crate::engine::tape::Event;

/// A service that must restart in one trial, and what it suffers until then.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) lane: usize,
    pub(super) service: u32,
    /// When it serves again; infinite for never.
    pub(super) at: f64,
    /// For each of its nodes and each cohort the slow and the down share that it keeps.
    shares: Vec<(u32, Vec<(f64, f64)>)>,
}

impl Held {
    /// The slow and down share that a node keeps until the restart.
    pub(super) fn share_of(&self, node: u32, cohort: usize) -> (f64, f64) {
        let kept = self.shares.iter().find(|(held, _)| *held == node);
        kept.map_or((0.0, 0.0), |(_, shares)| shares[cohort])
    }
}

impl Run<'_> {
    /// Ends the cause in one lane: decides from the last moment what must restart, and when.
    pub(super) fn end_cause(&mut self, lane: usize, time: f64) {
        let mut restarting: BTreeMap<u32, Held> = BTreeMap::new();
        for service in 0..self.plan.services.len() as u32 {
            let index = service as usize;
            let is_target = !self.setup.targets_of[index].is_empty();
            let fell = has(self.fallen[index], lane);
            if (is_target || fell) && self.hit_hard(service, lane) {
                restarting.insert(service, self.hold(service, lane, false));
            }
        }
        for service in &self.setup.crashing {
            if self.has_crashed(*service, lane) {
                restarting.insert(*service, self.hold(*service, lane, true));
            }
        }
        self.courses[lane].ended_at = time;
        if restarting.is_empty() {
            return;
        }
        let services: Vec<u32> = restarting.keys().copied().collect();
        let at = self.restart_times(&services, lane, time);
        for (service, mut held) in restarting {
            held.at = at.get(&service).copied().unwrap_or(f64::INFINITY);
            self.afflict(service);
            self.note(lane, Event::Restarts(service, held.at));
            self.held.push(held);
        }
    }

    /// Whether targets, or target domains, took at least the `failed` share of a service.
    fn hit_hard(&self, service: u32, lane: usize) -> bool {
        has(self.fallen[service as usize], lane)
            || self.plan.nodes_of(service).any(|node| {
                let harm = self.over_cohorts(lane, |cohort| {
                    let (slow, down) = self.target_harm(node, cohort, lane);
                    slow + down
                });
                harm >= self.plan.failed - SLACK
            })
    }

    /// Whether a service that crashes when its calls fail has done so.
    fn has_crashed(&self, service: u32, lane: usize) -> bool {
        !has(self.world.down[service as usize], lane)
            && self.plan.nodes_of(service).any(|node| {
                let unanswered = self.over_cohorts(lane, |cohort| {
                    self.moment.cohorts[cohort].shares[node as usize].unanswered(lane)
                });
                unanswered >= self.plan.failed - SLACK
            })
    }

    /// What a service keeps until its restart: all that is slow and down if it crashed, else what
    /// targets did to it.
    fn hold(&self, service: u32, lane: usize, crashed: bool) -> Held {
        let fell = has(self.fallen[service as usize], lane);
        let keeps = |node: u32, cohort: usize| {
            if fell {
                (0.0, 1.0)
            } else if crashed {
                let shares = &self.moment.cohorts[cohort].shares[node as usize];
                (shares.slow[lane], shares.down[lane])
            } else {
                self.target_harm(node, cohort, lane)
            }
        };
        let cohorts = self.moment.cohorts.len();
        let shares = self
            .plan
            .nodes_of(service)
            .map(|node| (node, (0..cohorts).map(|cohort| keeps(node, cohort)).collect()))
            .collect();
        Held { lane, service, at: f64::INFINITY, shares }
    }

    /// When each of these services serves again. One that waits for itself in a circle, or for
    /// something that never comes, is not in the answer.
    ///
    /// Knuth, "A generalization of Dijkstra's algorithm" (1977): services are fixed in the order in
    /// which they come back, so the earliest members of an `any_of` are known when they are needed.
    fn restart_times(&self, restarting: &[u32], lane: usize, ended: f64) -> BTreeMap<u32, f64> {
        let mut open: BTreeMap<u32, Vec<(&StartNeed, u32)>> = BTreeMap::new();
        let mut waited_for: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for service in restarting {
            let mut needs = Vec::new();
            for need in &self.plan.services[*service as usize].waits_for {
                let still = self.still_needed(need, restarting, lane);
                if still > 0 {
                    needs.push((need, still));
                    for (member, _) in &need.any_of {
                        waited_for.entry(*member).or_default().push(*service);
                    }
                }
            }
            open.insert(*service, needs);
        }
        let mut coming: BinaryHeap<Reverse<(OrderedTime, u32)>> = BinaryHeap::new();
        let restart = |service: u32, ready: f64| {
            Reverse((OrderedTime(ready + self.plan.services[service as usize].restart), service))
        };
        for (service, needs) in &open {
            if needs.is_empty() {
                coming.push(restart(*service, ended));
            }
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
    fn still_needed(&self, need: &StartNeed, restarting: &[u32], lane: usize) -> u32 {
        let there = need.any_of.iter().filter(|(service, node)| {
            let fails_anyway = need.start_only && self.baseline.start_failed(*node, lane, self);
            restarting.binary_search(service).is_err() && !fails_anyway
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
