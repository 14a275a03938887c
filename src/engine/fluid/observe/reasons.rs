//! Reasons why requests wait in vain: full queues, busy threads, limits on calls, late answers, lost caches.

use std::collections::BTreeMap;

use crate::compile::plan::{Call, DependencyId, NodeId, ObservedCall, RefillId, ServiceId};
use crate::engine::fluid::propagation::call_pipeline::{NoObserver, SLACK};
use crate::engine::fluid::propagation::delays::EDGE;
use crate::engine::fluid::propagation::step_state::refills;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{LANES, Lanes, has, mask};
use crate::engine::outcome::{WaitCause, WaitReason};

/// Reasons, each with the lanes in which it holds.
pub(crate) type ReasonLanes = BTreeMap<WaitReason, u8>;

/// Adds lanes to those of a reason.
fn add_reason(reasons: &mut ReasonLanes, reason: WaitReason, lanes: u8) {
    if lanes != 0 {
        *reasons.entry(reason).or_default() |= lanes;
    }
}

impl Run<'_> {
    /// Returns the reasons that hold at the present moment in these lanes: at services, and at all calls.
    pub(crate) fn reasons_now(&mut self, lanes: u8) -> ReasonLanes {
        let mut found = ReasonLanes::new();
        self.add_service_reasons(lanes, &mut found);
        self.add_limit_reasons(lanes, &mut found);
        for (id, dependency) in self.plan.dependencies.entries() {
            if let Some(ObservedCall { call, .. }) = dependency.observed {
                let call = &self.plan.calls[call];
                self.add_call_reasons(id, call, lanes, &mut found);
            }
        }
        found
    }

    /// Adds those that hold at services.
    pub(crate) fn add_service_reasons(&mut self, lanes: u8, found: &mut ReasonLanes) {
        if !self.plan.has_load {
            return;
        }
        for (id, service) in self.plan.services.entries() {
            if service.utilization <= 0.0 {
                continue;
            }
            let lanes = lanes & !self.loads.exempt[id];
            let at = |cause| WaitReason { cause, service: Some(id), dependency: None };
            let refused = self.lanes_refusing(id, lanes);
            let (full, flooded) = if service.queue > 0.0 && self.loads.is_timed {
                (refused, 0)
            } else {
                (0, refused)
            };
            add_reason(found, at(WaitCause::QueueFull), full);
            add_reason(found, at(WaitCause::Overload), flooded);
            add_reason(found, at(WaitCause::QueueWait), self.lanes_waiting(id, lanes));
            let busy = self.lanes_without_threads(id, lanes);
            if busy != 0 {
                let holders = self.holders_of_threads(id);
                for lane in (0..LANES).filter(|lane| has(busy, *lane)) {
                    let dependency = holders[lane];
                    let reason = WaitReason { dependency, ..at(WaitCause::Threads) };
                    add_reason(found, reason, 1 << lane);
                }
            }
        }
    }

    /// Returns the lanes in which a service refuses a share of its requests that counts.
    fn lanes_refusing(&self, id: ServiceId, lanes: u8) -> u8 {
        let least = self.plan.degraded - SLACK;
        lanes & mask::<LANES>(|lane| self.state.overload[id][lane] >= least)
    }

    /// Returns the lanes in which requests wait longer at a service than its most impatient caller, or
    /// where no caller gives up, than the most impatient customer.
    fn lanes_waiting(&self, id: ServiceId, lanes: u8) -> u8 {
        let Some(waits) = self.state.waits.get(id) else { return 0 };
        let patience = self.plan.services[id].timeouts[0];
        let limit = if patience.is_finite() {
            patience
        } else {
            self.plan.flows.iter().map(|flow| flow.patience).fold(f64::INFINITY, f64::min)
        };
        lanes & mask::<LANES>(|lane| waits[lane] > 0.0 && waits[lane] >= limit - EDGE)
    }

    /// Returns the lanes in which all threads of a service are busy, and more requests come than they serve.
    fn lanes_without_threads(&self, id: ServiceId, lanes: u8) -> u8 {
        if !self.plan.services[id].concurrency.is_finite() {
            return 0;
        }
        let (usable, capacity) = (&self.loads.usable[id], &self.loads.capacity[id]);
        let comes = |lane: usize| self.loads.load[id][lane] * self.loads.arrives[id][lane];
        lanes
            & mask::<LANES>(|lane| {
                usable[lane] < capacity[lane] - SLACK && comes(lane) > usable[lane] + SLACK
            })
    }

    /// Returns, by lane, the dependency for which most threads of a service wait; `None` where they wait
    /// for none.
    fn holders_of_threads(&mut self, id: ServiceId) -> [Option<DependencyId>; LANES] {
        let plan = self.plan;
        let (mut longest, mut holders): (Lanes, _) = ([0.0; LANES], [None; LANES]);
        for node in plan.nodes_of(id) {
            for call in plan.calls_of(&plan.nodes[node]) {
                let held = self.thread_times_of(call, node);
                for lane in 0..LANES {
                    if held[lane] > longest[lane] {
                        (longest[lane], holders[lane]) = (held[lane], Some(call.dependency));
                    }
                }
            }
        }
        holders
    }

    /// Returns for how many seconds a call holds a thread beyond the usual; what hangs outweighs all else.
    fn thread_times_of(&mut self, call: &Call, caller: NodeId) -> Lanes {
        let mut longest: Lanes = [0.0; LANES];
        for cohort in 0..self.state.cohorts.len() {
            if self.state.is_quiet(call, cohort) {
                continue;
            }
            let called = self.state.call(call, caller, cohort, &mut NoObserver);
            for (lane, longest) in longest.iter_mut().enumerate() {
                let hangs = called.shares.slow[lane] * f64::from(u32::MAX);
                let held = if called.is_delayed { self.state.waiting.held[lane] } else { 0.0 };
                *longest = longest.max(hangs + held);
            }
        }
        longest
    }

    /// Adds the limits on calls in progress that are reached.
    pub(crate) fn add_limit_reasons(&self, lanes: u8, found: &mut ReasonLanes) {
        let least = self.plan.degraded - SLACK;
        for (bulkhead, admitted) in self.plan.bulkheads.iter().zip(&self.state.admitted) {
            let reason = WaitReason {
                cause: WaitCause::CallLimit,
                service: None,
                dependency: Some(bulkhead.dependency),
            };
            let reached = mask::<LANES>(|lane| 1.0 - admitted[lane] >= least);
            add_reason(found, reason, reached & lanes);
        }
    }

    /// Adds those that hold at a call.
    pub(crate) fn add_call_reasons(
        &self,
        dependency: DependencyId,
        call: &Call,
        lanes: u8,
        found: &mut ReasonLanes,
    ) {
        let at = |cause| WaitReason { cause, service: None, dependency: Some(dependency) };
        let least = self.plan.degraded - SLACK;
        if self.plan.has_delays && call.is_waited_for && call.timeout.is_finite() {
            let late: Lanes = std::array::from_fn(|lane| self.late_share_of_call(call, lane));
            add_reason(
                found,
                at(WaitCause::LateAnswers),
                lanes & mask::<LANES>(|lane| late[lane] >= least),
            );
        }
        // In a single moment without capacities a lost cache makes nobody wait; and the Boolean engine, which
        // counts the same there, knows no reasons.
        let is_timed = self.plan.schedule.is_some();
        if !is_timed && !self.plan.has_load && !self.plan.has_delays {
            return;
        }
        let Some(cache) = call.cache() else { return };
        let is_failing =
            |node: NodeId, lane: usize| self.failing_share(node, lane) >= self.plan.failed - SLACK;
        if let Some(node) = cache.node {
            let lost = mask::<LANES>(|lane| has(lanes, lane) && is_failing(node, lane));
            add_reason(found, at(WaitCause::CacheLost), lost);
        }
        add_reason(found, at(WaitCause::CacheCold), self.lanes_with_cold_cache(call, lanes));
        if cache.ttl.is_finite() {
            let node = self.plan.members[call.members.start].node;
            let expired = mask::<LANES>(|lane| {
                has(lanes, lane) && is_failing(node, lane) && self.is_expired(call, node, lane)
            });
            add_reason(found, at(WaitCause::CacheExpired), expired);
        }
    }

    /// Returns the lanes in which a share of the requests that counts is called for because the cache of a
    /// call is not yet full again.
    fn lanes_with_cold_cache(&self, call: &Call, lanes: u8) -> u8 {
        let hit_ratio = call.cache().map_or(0.0, |cache| cache.hit_ratio);
        let least = self.plan.degraded - SLACK;
        mask::<LANES>(|lane| {
            // While it is still lost there is another name for it.
            let is_cold = |id: RefillId| {
                let refill = &self.plan.refills[id];
                let warm = refill.warm_share(self.state.refilled[id][lane]);
                (1.0 - warm) * hit_ratio >= least && !self.is_cache_lost(refill, lane)
            };
            has(lanes, lane) && refills(call).iter().any(is_cold)
        })
    }

    /// Returns the share of the answers to a call that come after its timeout, of its member that is latest.
    fn late_share_of_call(&self, call: &Call, lane: usize) -> f64 {
        let late = |node: NodeId| {
            let usual = self.plan.services[self.plan.service_of(node)].latency;
            self.over_cohorts(lane, |cohort| {
                let cohort = &self.state.cohorts[cohort];
                let answered = 1.0 - cohort.shares[node].unanswered(lane);
                answered * cohort.delays[node][lane].is_beyond(usual, call.timeout)
            })
        };
        self.plan.members_of(call).iter().map(|member| late(member.node)).fold(0.0, f64::max)
    }

    /// Returns whether no entry of a call's cache is left in a lane, for any of its users.
    fn is_expired(&self, call: &Call, node: NodeId, lane: usize) -> bool {
        let ttl = call.cache().map_or(f64::INFINITY, |cache| cache.ttl);
        (0..self.state.cohorts.len()).any(|cohort| {
            let shares = self.state.cohorts[cohort].shares[node];
            self.state.fresh_share(node, &shares, ttl, cohort)[lane] <= 0.0
        })
    }
}
