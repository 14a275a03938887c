//! Requests that wait: in queues, for threads, and in calls of which only so many are in progress.

use crate::compile::plan::{NodeId, Service, ServiceId};
use crate::engine::fluid::load::spread::Loads;
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::propagation::delays::LONGEST;
use crate::engine::fluid::propagation::step_state::{SETTLED, StepState};
use crate::engine::fluid::state::lanes::{Lanes, has, mask, same};
use crate::engine::simd::array;

impl<const W: usize> Loads<W> {
    /// Whether a service has no room for work that waits. In a single moment none waits anywhere: the least
    /// that any queue loses in the end is what there is no capacity for.
    #[inline]
    pub(crate) fn is_full(&self, service: &Service, id: ServiceId, lane: usize) -> bool {
        service.queue <= 0.0 || !self.is_timed || self.backlog[id][lane] >= service.queue - SLACK
    }

    /// How fast a service works, as a share of its full capacity.
    #[inline]
    pub(crate) fn working(&self, service: &Service, id: ServiceId, lane: usize) -> f64 {
        let usable = self.usable[id][lane];
        if usable.is_finite() {
            service.utilization * usable * self.arrives[id][lane]
        } else {
            self.speed[id][lane]
        }
    }

    /// How much work comes in a second, in seconds at full capacity. What its own health fails, or what
    /// is turned away on purpose, is none.
    #[inline]
    pub(crate) fn arriving(&self, service: &Service, id: ServiceId, lane: usize) -> f64 {
        service.utilization * self.load[id][lane] * self.healthy[id][lane]
    }

    /// By how much the work that waits grows in a second, in seconds at full capacity.
    pub(crate) fn growth(&self, service: &Service, id: ServiceId, lane: usize) -> f64 {
        if !self.is_timed || has(self.exempt[id], lane) || service.queue <= 0.0 {
            return 0.0;
        }
        let arriving = self.arriving(service, id, lane);
        let growth = arriving - self.working(service, id, lane);
        let backlog = self.backlog[id][lane];
        let is_at_end = if growth > 0.0 {
            backlog >= self.longest(service, id, lane) - SLACK
        } else {
            backlog <= 0.0
        };
        if is_at_end || growth.abs() <= SLACK { 0.0 } else { growth }
    }

    /// The most work that can wait, in seconds at full capacity. Where requests are thrown away whose
    /// callers have given up, none waits longer than the most patient caller.
    #[inline]
    pub(crate) fn longest(&self, service: &Service, id: ServiceId, lane: usize) -> f64 {
        if service.drops_expired && service.timeouts[1].is_finite() {
            service.queue.min(service.timeouts[1] * self.working(service, id, lane))
        } else {
            service.queue
        }
    }
}

impl<const W: usize> StepState<'_, W> {
    /// How long a request waits that comes now. Gives the lanes in which that changed.
    pub(crate) fn wait_in_queue(&mut self, loads: &mut Loads<W>, id: ServiceId, moving: u8) -> u8 {
        let service = &self.plan.services[id];
        if self.waits.is_empty() || service.queue <= 0.0 {
            return 0;
        }
        let old = self.waits[id];
        let mut new = old;
        for lane in (0..W).filter(|lane| has(moving, *lane)) {
            if has(loads.exempt[id], lane) {
                loads.backlog[id][lane] = 0.0;
            }
            let longest = loads.longest(service, id, lane);
            let backlog = loads.backlog[id][lane].min(longest);
            loads.backlog[id][lane] = backlog;
            let working = loads.working(service, id, lane);
            let comes = loads.arriving(service, id, lane) > 0.0;
            // Where nothing works, whoever comes waits for ever.
            let stands_still = loads.is_timed && comes && working <= 0.0;
            let wait = if has(loads.exempt[id], lane) {
                0.0
            } else if stands_still {
                LONGEST
            } else if backlog <= 0.0 {
                0.0
            } else {
                (backlog / working).min(LONGEST)
            };
            // What has settled stays as it is to the last bit: nobody computes this lane any more.
            if (wait - old[lane]).abs() > SETTLED * (1.0 + old[lane].abs()) {
                new[lane] = wait;
            }
        }
        if same(&new, &old) {
            return 0;
        }
        self.waits[id] = new;
        self.touch_service(id);
        mask::<W>(|lane| new[lane] != old[lane])
    }

    /// Capacity of services by the threads that they have: each request keeps one as long as it
    /// is in progress.
    pub(crate) fn look_at_pools(&mut self, loads: &mut Loads<W>) {
        for (id, service) in self.plan.services.entries() {
            if service.utilization <= 0.0 {
                continue;
            }
            if service.queue > 0.0 && loads.is_timed {
                let healthy = self.healthy(loads, id);
                if !same(&loads.healthy[id], &healthy) {
                    loads.healthy[id] = healthy;
                    loads.dirty.mark(id);
                }
            }
            let mut usable = loads.capacity[id];
            if service.concurrency.is_finite() {
                let by_threads = self.served_by_threads(loads, service, id);
                usable = array(|lane| usable[lane].min(by_threads[lane]));
            }
            if !same(&loads.usable[id], &usable) {
                loads.usable[id] = usable;
                loads.dirty.mark(id);
            }
        }
    }

    /// The share of what comes to a service that its own health does not fail, overload apart.
    fn healthy(&self, loads: &Loads<W>, id: ServiceId) -> Lanes<W> {
        let nodes = self.plan.nodes_of(id);
        let mut nodes = nodes.flat_map(|node| self.cohorts.iter().map(move |item| (item, node)));
        if nodes.all(|(cohort, node)| cohort.own_of(node).is_none()) {
            return [1.0; W];
        }
        let (mut all, mut healthy): (Lanes<W>, Lanes<W>) = ([0.0; W], [0.0; W]);
        self.for_each_node(loads, id, |cohort, node, requests| {
            let of_cohort = &self.cohorts[cohort];
            let own = of_cohort.own_index[node].map(|index| of_cohort.own_sends[index]);
            let own = own.unwrap_or([1.0; W]);
            for lane in 0..W {
                all[lane] += requests[lane];
                healthy[lane] += requests[lane] * own[lane];
            }
        });
        array(|lane| if all[lane] > 0.0 { healthy[lane] / all[lane] } else { 1.0 })
    }

    fn served_by_threads(&self, loads: &Loads<W>, service: &Service, id: ServiceId) -> Lanes<W> {
        // At a part of its capacity a service has that part of its threads.
        let threads: Lanes<W> = array(|lane| service.concurrency * loads.speed[id][lane]);
        let mut busy: Lanes<W> = [0.0; W];
        let mut hanging: Lanes<W> = [0.0; W];
        self.for_each_node(loads, id, |cohort, node, requests| {
            let usual = service.normal_hold;
            for lane in 0..W {
                let held =
                    self.cohorts[cohort].delays.get(node).map_or(0.0, |delays| delays[lane].held);
                busy[lane] += requests[lane] * (usual + held);
                hanging[lane] += requests[lane] * self.cohorts[cohort].shares[node].slow[lane];
            }
        });
        array(|lane| {
            let is_stuck = hanging[lane] > 0.0 && loads.stuck[id][lane] >= threads[lane] - SLACK;
            match () {
                // Threads on which requests hang never come back, and once they are all, none is
                // served.
                () if is_stuck => 0.0,
                // Little's law: at this load so many threads are busy, so all of them are at so
                // much more.
                () if busy[lane] > 0.0 => loads.load[id][lane] * threads[lane] / busy[lane],
                () => f64::INFINITY,
            }
        })
    }

    /// Requests per second that hang at a service, and keep a thread each.
    pub(crate) fn hanging(&self, loads: &Loads<W>, id: ServiceId) -> Lanes<W> {
        let mut hanging: Lanes<W> = [0.0; W];
        self.for_each_node(loads, id, |cohort, node, requests| {
            for lane in 0..W {
                hanging[lane] += requests[lane] * self.cohorts[cohort].shares[node].slow[lane];
            }
        });
        hanging
    }

    /// Goes through the nodes of a service, with the requests per second that come to each.
    fn for_each_node(
        &self,
        loads: &Loads<W>,
        id: ServiceId,
        mut see: impl FnMut(usize, NodeId, &Lanes<W>),
    ) {
        for cohort in 0..self.cohorts.len() {
            for node in self.plan.nodes_of(id) {
                let normal = self.plan.nodes[node].traffic;
                let load = loads.load_of(cohort, node);
                let users = loads.share_of_users(cohort);
                let requests: Lanes<W> =
                    array(|lane| normal.total * load[lane] * users[lane] * loads.arrives[id][lane]);
                see(cohort, node, &requests);
            }
        }
    }

    /// How many of the calls that are limited go through. Gives the lanes in which that changed.
    pub(crate) fn limit_calls(
        &mut self,
        loads: &Loads<W>,
        shares_of_users: &[Lanes<W>],
        moving: u8,
    ) -> u8 {
        let mut moved = 0;
        for (number, bulkhead) in self.plan.bulkheads.iter().enumerate() {
            let mut in_progress: Lanes<W> = [0.0; W];
            for limited in &bulkhead.calls {
                let call = &self.plan.calls[limited.call];
                for (cohort, users) in shares_of_users.iter().enumerate() {
                    let load = loads.load_of(cohort, limited.node);
                    let times = &self.cohorts[cohort].call_times;
                    let known = times.iter().find(|(place, _)| *place == call.members.start);
                    let times = known.map_or([self.usual_time(call); W], |(_, times)| *times);
                    for lane in 0..W {
                        let requests = limited.rate * load[lane] * users[lane];
                        if requests > 0.0 {
                            // Little's law: calls in progress are calls per second times how long
                            // each takes.
                            in_progress[lane] += requests * times[lane];
                        }
                    }
                }
            }
            let old = self.admitted[number];
            let new = settled_lanes(moving, &old, |lane| {
                if in_progress[lane] <= bulkhead.limit {
                    1.0
                } else {
                    bulkhead.limit / in_progress[lane]
                }
            });
            if same(&old, &new) {
                continue;
            }
            moved |= mask::<W>(|lane| new[lane] != old[lane]);
            self.admitted[number] = new;
            for limited in &bulkhead.calls {
                self.touch(limited.node);
            }
        }
        moved
    }
}

/// Returns new shares in the lanes that move, unless they have settled at the old ones.
pub(super) fn settled_lanes<const W: usize>(
    moving: u8,
    old: &Lanes<W>,
    share: impl Fn(usize) -> f64,
) -> Lanes<W> {
    array(|lane| {
        let new = share(lane);
        if has(moving, lane) && (new - old[lane]).abs() > SETTLED { new } else { old[lane] }
    })
}
