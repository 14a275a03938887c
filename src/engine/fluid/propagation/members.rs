//! Members of an `any_of` of which each call goes to one: to the same for all, or to one at random.

use crate::compile::plan::{Call, NodeId};
use crate::engine::fluid::propagation::call_pipeline::{
    Attempt, CallObserver, SLACK, retry, scale,
};
use crate::engine::fluid::propagation::delays::{Delay, List, Piece};
use crate::engine::fluid::propagation::step_state::{StepState, choose_lanes};
use crate::engine::fluid::state::lanes::{Lanes, Shares, all, every, has, mask};
use crate::engine::simd::array;
use crate::engine::tally::Protection;

impl<const W: usize> StepState<'_, W> {
    /// Returns the lanes in which callers know that a member does not answer: it has failed for long enough,
    /// and by more than its own overload, which fewer calls would mend.
    fn is_known_to_fail(&self, call: &Call, node: NodeId, cohort: usize) -> u8 {
        let of_cohort = &self.cohorts[cohort];
        let shares = &of_cohort.shares[node];
        let too_late = of_cohort.too_late.get(node).copied().unwrap_or(all(0.0));
        let overload = &self.overload[self.plan.service_of(node)];
        // In a single moment callers know everything.
        let learns = if self.plan.schedule.is_some() { call.failover() } else { 0.0 };
        let since = &of_cohort.since[node];
        mask::<W>(|lane| {
            let unanswered = shares.failing_with(too_late[lane], lane) - shares.corrupt[lane];
            let kept = 1.0 - overload[lane];
            let fails =
                kept > 0.0 && (unanswered - overload[lane]) / kept >= self.plan.failed - SLACK;
            fails && (learns <= 0.0 || self.time[lane] >= since[lane] + learns)
        })
    }

    /// Returns, by lane, the number of the member that all calls go to: the last one, or the next that is not
    /// known to fail.
    fn active_member(&self, call: &Call, cohort: usize) -> [u32; W] {
        let Some(slot) = call.active_slot() else { return [0; W] };
        let mut active = self.cohorts[cohort].active_members[slot];
        let members = self.plan.members_of(call);
        let failing: Vec<u8> =
            members.iter().map(|member| self.is_known_to_fail(call, member.node, cohort)).collect();
        for (lane, active) in active.iter_mut().enumerate() {
            let count = members.len() as u32;
            let next = (0..count).map(|step| (*active + step) % count);
            let mut next = next.filter(|number| !has(failing[*number as usize], lane));
            *active = next.next().unwrap_or(*active);
        }
        active
    }

    /// Notes which members calls go to from now on: nobody goes back by himself.
    pub(crate) fn note_active_members(&mut self) {
        let index_of_plan = self.index_of_plan;
        for (slot, call) in index_of_plan.failing_over.entries() {
            let call = &self.plan.calls[*call];
            for cohort in 0..self.cohorts.len() {
                let active = self.active_member(call, cohort);
                self.cohorts[cohort].active_members[slot] = active;
            }
        }
    }

    /// Evaluates steps 0 to 4 of a call that goes to one member at a time.
    #[inline(never)]
    pub(crate) fn one_of(
        &mut self,
        call: &Call,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Shares<W> {
        let active = self.active_member(call, cohort);
        let mut chosen = Shares::OK;
        let mut is_delayed = false;
        for (number, member) in call.members.iter().enumerate() {
            let is_active = mask::<W>(|lane| active[lane] as usize == number);
            self.waiting.begin();
            let shares = self.member(call, member, cohort, steps);
            chosen = super::step_state::choose(is_active, &shares, &chosen);
            is_delayed |= self.waiting.is_delayed;
            if self.plan.has_delays {
                self.waiting.keep_member(number);
            }
            if self.plan.has_load {
                let idle = self.active & !is_active;
                let known = &mut self.cohorts[cohort].traffic[member];
                *known = choose_lanes(idle, &all(0.0), known);
            }
        }
        self.waiting.begin();
        if is_delayed {
            self.waiting.is_delayed = true;
            for (lane, number) in active.iter().enumerate() {
                let of_member = &self.waiting.members[*number as usize][lane];
                let of_member = of_member.clone();
                self.waiting.call[lane] = of_member;
            }
        }
        steps.after(Protection::Redundancy, &chosen);
        chosen
    }

    /// Evaluates steps 0 to 4 of a call of which each attempt goes to one member at random, of those that are
    /// not known to fail.
    #[inline(never)]
    pub(crate) fn spread(
        &mut self,
        call: &Call,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Shares<W> {
        let members = self.plan.members_of(call).to_vec();
        let weights = self.weights(call, cohort);
        let (mut shares, mut timed_out, mut made) = (Shares::OK, all(0.0), all(0.0));
        let mut fresh: Lanes<W> = all(0.0);
        let mut is_delayed = false;
        let waits = self.plan.has_delays && call.is_waited_for;
        let mut in_time = [List::NONE; W];
        let mut made_of = Vec::with_capacity(members.len());
        for (number, member) in members.iter().enumerate() {
            self.waiting.begin();
            let raw = self.cohorts[cohort].shares[member.node];
            let attempt = self.attempt(call, member.node, cohort, steps);
            let Attempt { shares: mut part, made: made_here, timed_out: late } = attempt;
            let weight = &weights[number];
            scale(&mut part, weight);
            let made_here = made_here.unwrap_or(all(1.0));
            let ttl = call.cache().map_or(f64::INFINITY, |cache| cache.ttl);
            let fresh_here = self.fresh_share(member.node, &raw, ttl, cohort);
            for lane in 0..W {
                shares.slow[lane] += part.slow[lane];
                shares.down[lane] += part.down[lane];
                shares.corrupt[lane] += part.corrupt[lane];
                shares.degraded[lane] += part.degraded[lane];
                timed_out[lane] += weight[lane] * late[lane];
                made[lane] += weight[lane] * made_here[lane];
                fresh[lane] += weight[lane] * fresh_here[lane];
            }
            made_of.push(made_here);
            is_delayed |= self.waiting.is_delayed;
            for lane in (0..W).filter(|lane| waits && has(self.active, *lane)) {
                for piece in self.waiting.attempt[lane].as_slice() {
                    let share = piece.share * weight[lane];
                    in_time[lane].add(&self.waiting.bounds, Piece { share, ..*piece });
                }
            }
        }
        self.waiting.begin();
        self.waiting.is_delayed = is_delayed;
        for lane in (0..W).filter(|lane| waits && has(self.active, *lane)) {
            self.waiting.attempt[lane] = Delay::of(&in_time[lane]);
        }
        let mut factor = all(1.0);
        let failing = shares.down;
        if call.retries > 0 {
            factor = retry(call, &mut shares);
        }
        if waits {
            self.wait_for_attempts(call, &failing, &timed_out, &mut shares, &mut factor);
        }
        if let Some(cache) = call.cache() {
            let warm = self.refill(call, call.members.start, cohort, Some(&made), &shares);
            self.answer_from_cache(cache, cohort, [&fresh, &warm], &mut shares, &mut factor);
        }
        steps.after(Protection::Redundancy, &shares);
        if self.plan.has_load {
            let count = members.len() as f64;
            for (number, slot) in call.members.iter().enumerate() {
                let more: Lanes<W> = array(|lane| {
                    factor[lane] * count * weights[number][lane] * made_of[number][lane]
                });
                let known = &mut self.cohorts[cohort].traffic[slot];
                *known = choose_lanes(self.active, &more, known);
            }
        }
        shares
    }

    /// Returns the share of attempts that goes to each member: the same to all that are not known to fail, or
    /// to all where all are.
    fn weights(&self, call: &Call, cohort: usize) -> Vec<Lanes<W>> {
        let members = self.plan.members_of(call);
        let mut called: Vec<u8> = members
            .iter()
            .map(|member| !self.is_known_to_fail(call, member.node, cohort))
            .collect();
        let none = called.iter().fold(every::<W>(), |none, lanes| none & !lanes);
        called.iter_mut().for_each(|lanes| *lanes |= none);
        let count: Lanes<W> =
            array(|lane| called.iter().filter(|lanes| has(**lanes, lane)).count() as f64);
        let weight = |lanes: &u8| -> Lanes<W> {
            array(|lane| if has(*lanes, lane) { 1.0 / count[lane] } else { 0.0 })
        };
        called.iter().map(weight).collect()
    }
}
