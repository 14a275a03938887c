//! State of waiting from moment to moment: work in queues, threads that hang, and when that
//! matters next.
//!
//! While loads are constant all of it grows or shrinks at a constant rate, so the next time at which
//! a queue is full or empty, or a wait crosses the timeout of a caller, is computed.

use crate::compile::plan::{Hit, Lognormal, ServiceId};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::propagation::delays::{EDGE, LONGEST};
use crate::engine::fluid::propagation::step_state::{Echo, Slowed};
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{LANES, Lanes, all, same};
use crate::engine::fluid::state::sampled_trials::Mode;
use crate::engine::fluid::timeline::sliding::SlidingWait;
use crate::engine::simd::array;

/// After so many moments of one overload the next is at least a part of the shortest timeout away: where
/// many queues fill at once, what happens within a few milliseconds happens at once.
const CLOSE_MOMENTS: u32 = 8;
/// The part.
const PART_OF_TIMEOUT: f64 = 0.1;
/// How many moments may follow each other as closely as they come, apart from that: what swings between
/// two states would go on for ever.
const FREE_MOMENTS: f64 = 64.0;
/// One more is free after each such part of the time for which something has been waiting. So a backlog
/// that lasts for days, but matters rarely, is followed exactly all the time.
const PART_OF_AGE: f64 = 0.02;

/// How long something has been waiting in one lane, and how often that was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WaitingSpell {
    since: f64,
    moments: u32,
    /// How many moments are free.
    free: f64,
    /// When the next moment comes because of what waits.
    due: f64,
}

impl Run<'_> {
    /// Nothing waits yet.
    pub(crate) fn reset_waits(&mut self) {
        self.spells =
            [WaitingSpell { since: 0.0, moments: 0, free: FREE_MOMENTS, due: f64::INFINITY };
                LANES];
        self.sliding.iter_mut().for_each(SlidingWait::reset);
    }

    /// Notes which nodes answer later because of a target.
    pub(crate) fn update_slowed(&mut self) {
        if !self.plan.has_delays {
            return;
        }
        for cohort in 0..self.state.cohorts.len() {
            let mut slowed: Vec<Slowed<LANES>> = Vec::new();
            for (target, item) in self.plan.targets.entries() {
                if item.slow_adds.is_infinite() {
                    continue;
                }
                let share: Lanes = array(|lane| {
                    let share = self.target_shares[target][cohort][lane];
                    if share > 0.0 && self.mode(target, lane) == Mode::Slow { share } else { 0.0 }
                });
                if same(&share, &all(0.0)) {
                    continue;
                }
                let mut add = |node| {
                    slowed.push(Slowed {
                        node,
                        share,
                        adds: item.slow_adds,
                        factor: item.slow_factor,
                    });
                };
                match item.hit {
                    Hit::Service(service) => self.plan.nodes_of(service).for_each(&mut add),
                    Hit::Endpoint { node, .. } => add(node),
                    Hit::Domain(_) => {}
                }
            }
            if self.state.cohorts[cohort].slowed != slowed {
                let before = std::mem::replace(&mut self.state.cohorts[cohort].slowed, slowed);
                let after = self.state.cohorts[cohort].slowed.clone();
                before.iter().chain(&after).for_each(|slowed| self.state.touch(slowed.node));
            }
        }
    }

    /// Notes how long requests wait by now, and how fast that grows, as far as the loads of the last moment
    /// tell: mostly they stay, and then what fails is computed once.
    pub(crate) fn look_at_waits(&mut self, alive: u8) {
        if self.state.waits.is_empty() || !self.loads.is_timed {
            return;
        }
        self.state.look_at_pools(&mut self.loads);
        for &id in &self.index_of_plan.queued {
            self.state.wait_in_queue(&mut self.loads, id, alive);
        }
        self.note_wait_rates();
    }

    /// Notes how fast waits grow at the present moment; says whether that changed.
    pub(crate) fn note_wait_rates(&mut self) -> bool {
        if self.state.waits.is_empty() || !self.loads.is_timed {
            return false;
        }
        let mut changed = false;
        for &id in &self.index_of_plan.queued {
            let service = &self.plan.services[id];
            let rates: Lanes = array(|lane| {
                let growth = self.loads.growth(service, id, lane);
                let working = self.loads.working(service, id, lane);
                // The wait is the backlog over the work done in a second.
                if growth != 0.0 && working > 0.0 { growth / working } else { 0.0 }
            });
            if same(&self.state.wait_rates[id], &rates) {
                continue;
            }
            self.state.wait_rates[id] = rates;
            self.state.touch_service(id);
            changed = true;
        }
        changed
    }

    /// Notes waits that are shorter at once than they were when the last moment ended, and says whether
    /// there are any: what they made too late is tried again for one timeout more.
    pub(crate) fn note_jumps(&mut self) -> bool {
        let mut has_jumped = false;
        if self.state.waits.is_empty() || !self.loads.is_timed {
            return has_jumped;
        }
        for &id in &self.index_of_plan.queued {
            for lane in 0..LANES {
                let (before, now) = (self.waits_before[id][lane], self.state.waits[id][lane]);
                if now < before - EDGE && before.is_finite() {
                    let echo: &mut Echo<LANES> = &mut self.state.echoes[id];
                    (echo.wait[lane], echo.since[lane]) = (before, self.state.time[lane]);
                    self.state.touch_service_callers(id);
                    has_jumped = true;
                }
                self.waits_before[id][lane] = now;
            }
        }
        has_jumped
    }

    /// Lets work gather or shrink in one lane until a later time.
    pub(crate) fn advance_waits(&mut self, lane: usize, until: f64) {
        let duration = until - self.state.time[lane];
        if self.state.waits.is_empty() || !self.loads.is_timed || duration <= 0.0 {
            return;
        }
        let mut is_waiting = false;
        let sliding = &self.sliding[lane];
        for (place, &id) in self.index_of_plan.queued.iter().enumerate() {
            let service = &self.plan.services[id];
            let mut growth = self.loads.growth(service, id, lane);
            let mut moved = growth * duration;
            let mut waits_longer = self.state.wait_rates[id][lane] * duration;
            if sliding.is_sliding() {
                moved = sliding.moved(place, duration);
                let working = self.loads.working(service, id, lane);
                waits_longer = if working > 0.0 { moved / working } else { 0.0 };
                growth = if moved == 0.0 { growth } else { moved };
            }
            if growth != 0.0 {
                let longest = self.loads.longest(service, id, lane);
                let backlog = &mut self.loads.backlog[id][lane];
                let after = *backlog + moved;
                // Exactly 0, or it would be about to run empty again and again.
                *backlog = if after <= SLACK { 0.0 } else { after.min(longest) };
                self.loads.dirty.mark(id);
            }
            self.waits_before[id][lane] =
                (self.state.waits[id][lane] + waits_longer).clamp(0.0, LONGEST);
            is_waiting |= growth != 0.0 || self.loads.backlog[id][lane] > 0.0;
            if service.concurrency.is_finite() {
                let hanging = self.state.hanging(&self.loads, id)[lane];
                let hung = if sliding.is_sliding() {
                    sliding.hung(place, duration)
                } else {
                    hanging * duration
                };
                let stuck = &mut self.loads.stuck[id][lane];
                let after = if hanging > 0.0 { *stuck + hung } else { 0.0 };
                let threads = service.concurrency * self.loads.speed[id][lane];
                // Rounding must not leave a thread that is never taken.
                let capped = if after >= threads - 1e-6 * threads { threads } else { after };
                *stuck = capped;
                is_waiting |= hanging > 0.0;
            }
        }
        let spell = &mut self.spells[lane];
        if is_waiting {
            spell.free += duration / (PART_OF_AGE * (until - spell.since));
            spell.free = spell.free.min(FREE_MOMENTS);
            if spell.due <= until {
                spell.moments += 1;
                spell.free = (spell.free - 1.0).max(0.0);
            }
        } else {
            *spell =
                WaitingSpell { since: until, moments: 0, free: FREE_MOMENTS, due: f64::INFINITY };
        }
    }

    /// When something that waits matters next in a lane.
    pub(crate) fn next_wait(&mut self, lane: usize) -> f64 {
        if !self.plan.has_delays || !self.loads.is_timed || self.state.waits.is_empty() {
            return f64::INFINITY;
        }
        self.sliding[lane].stop();
        let mut after = f64::INFINITY;
        let mut moves = false;
        for &id in &self.index_of_plan.queued {
            let service = &self.plan.services[id];
            let growth = self.loads.growth(service, id, lane);
            let backlog = self.loads.backlog[id][lane];
            if growth > 0.0 {
                after = after.min((self.loads.longest(service, id, lane) - backlog) / growth);
            } else if growth < 0.0 {
                after = after.min(backlog / -growth);
            }
            moves |= growth != 0.0;
            if service.concurrency.is_finite() {
                let hanging = self.state.hanging(&self.loads, id)[lane];
                let threads = service.concurrency * self.loads.speed[id][lane];
                let free = threads - self.loads.stuck[id][lane];
                if hanging > 0.0 && free > SLACK {
                    after = after.min(free / hanging);
                }
            }
        }
        if moves {
            after = after.min(self.next_crossing(lane));
        }
        let time = self.state.time[lane];
        let spell = &self.spells[lane];
        let mut least = (1.0 - spell.free).max(0.0) * PART_OF_AGE * (time - spell.since);
        if spell.moments > CLOSE_MOMENTS {
            least = least.max(self.index_of_plan.shortest_timeout * PART_OF_TIMEOUT);
        }
        if moves && after.is_finite() {
            self.note_waiting_state(lane, after);
        }
        if after < least {
            after = self.sliding[lane].slide(least).unwrap_or(least);
        }
        let due = self.state.next_echo(lane).min(time + after);
        self.spells[lane].due = due;
        due
    }

    /// Notes how fast everything that waits grows, until something happens because of it.
    fn note_waiting_state(&mut self, lane: usize, lasts: f64) {
        let spell = &self.spells[lane];
        // Only what is about to turn for the third time and more can slide.
        let is_close = spell.moments + 3 > CLOSE_MOMENTS || spell.free < 4.0;
        if !is_close {
            return self.sliding[lane].reset();
        }
        let flows = self.plan.flows.ids().iter();
        let flows: Vec<[f64; 4]> = flows.map(|flow| self.pure_losses(flow, lane)).collect();
        let (plan, state, loads) = (self.plan, &self.state, &self.loads);
        let queued = &self.index_of_plan.queued;
        self.sliding[lane].note(|now| {
            now.lasts = lasts;
            now.flows = flows;
            now.growth.clear();
            now.growth.extend(queued.iter().map(|&id| loads.growth(&plan.services[id], id, lane)));
            now.hanging.clear();
            now.hanging.extend(queued.iter().map(|&id| {
                let has_threads = plan.services[id].concurrency.is_finite();
                if has_threads { state.hanging(loads, id)[lane] } else { 0.0 }
            }));
        });
    }

    /// Whether so much work waits at a service that somebody gives up on it, and it does not get less.
    pub(crate) fn is_swamped(&self, id: ServiceId, lane: usize) -> bool {
        let Some(wait) = self.state.waits.get(id).map(|wait| wait[lane]) else { return false };
        let service = &self.plan.services[id];
        let patience = self.plan.flows.iter().map(|flow| flow.patience);
        let shortest = patience.fold(service.timeouts[0], f64::min);
        let arriving = self.loads.arriving(service, id, lane);
        wait >= shortest - EDGE && arriving >= self.loads.working(service, id, lane) - SLACK
    }

    /// In how many seconds some delay crosses the timeout of a caller, the patience of a customer, or
    /// what a flow promises.
    fn next_crossing(&self, lane: usize) -> f64 {
        let plan = self.plan;
        let mut next = f64::INFINITY;
        for cohort in &self.state.cohorts {
            for (id, node) in plan.nodes.entries() {
                let Some(service) = node.service else { continue };
                if cohort.quiet[id] {
                    continue;
                }
                let usual = plan.services[service].latency;
                let delay = &cohort.delays[id][lane];
                // Also where no caller has a timeout: customers lose their patience.
                next = next.min(delay.crosses());
                for timeout in self.index_of_plan.timeouts_at(id) {
                    next = next.min(delay.next_crossing(usual, *timeout));
                }
            }
            for flow in &plan.flows {
                let delay = &cohort.delays[flow.node][lane];
                next = next.min(delay.crosses());
                let usual: Lognormal = flow.latency;
                next = next.min(delay.next_crossing(usual, flow.patience));
                next = next.min(delay.next_crossing(usual, flow.promised));
            }
        }
        next
    }
}
