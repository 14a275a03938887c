//! Computes the contribution of one call to its caller: the steps of the pipeline, in their order.

use crate::compile::plan::{Cache, Call, ConsumerId, Fallback, MemberId, NodeId};
use crate::engine::fluid::load::messages::LEVEL_SLACK;
use crate::engine::fluid::propagation::delays::{Attempts, Bounds, CallDelay, Delay, List, Piece};
use crate::engine::fluid::propagation::step_state::{StepState, choose, choose_lanes, refills};
use crate::engine::fluid::state::lanes::{Lanes, Shares, SurvivalProducts, all, has, mask, same};
use crate::engine::simd::array;
use crate::engine::tally::Protection;
use crate::model::topology::MemberMode;

/// Comparisons with thresholds have this much slack.
pub(crate) const SLACK: f64 = 1e-9;
/// A breaker opens when this share of attempts fails.
const BREAKER_OPENS: f64 = 0.5;

/// Result of one call.
pub(crate) struct Called<const W: usize> {
    pub(crate) shares: Shares<W>,
    /// The share that reached the fallback, whether it worked or not.
    pub(crate) failed_over: Lanes<W>,
    /// Whether it makes its caller wait in some lane: then [`Waiting::call`] says how.
    pub(crate) is_delayed: bool,
}

/// Result of a single attempt of a call.
pub(crate) struct Attempt<const W: usize> {
    pub(crate) shares: Shares<W>,
    /// The share of calls that is made, where some bypass it.
    pub(crate) made: Option<Lanes<W>>,
    /// The share that took all of the timeout.
    pub(crate) timed_out: Lanes<W>,
}

/// Room for how the call that is evaluated makes its caller wait.
pub(crate) struct Waiting<const W: usize> {
    /// By lane.
    pub(crate) call: [CallDelay; W],
    /// By lane: seconds that a request is in progress because of it, beyond the usual.
    pub(crate) held: Lanes<W>,
    /// By lane: the delays of one attempt that is answered.
    pub(crate) attempt: [Delay; W],
    /// Limits that keep the pieces of the caller's delay apart.
    pub(crate) bounds: Bounds,
    /// The same of each member of an `any_of`.
    pub(crate) members: Vec<[CallDelay; W]>,
    pub(crate) is_delayed: bool,
}

impl<const W: usize> Waiting<W> {
    pub(crate) fn new() -> Self {
        Self {
            call: std::array::from_fn(|_| CallDelay::default()),
            held: all(0.0),
            attempt: [Delay::NONE; W],
            bounds: Bounds::new(&[], false, 0.0),
            members: Vec::new(),
            is_delayed: false,
        }
    }

    /// Nothing waits.
    pub(crate) fn begin(&mut self) {
        if self.is_delayed {
            self.clear_lanes(u8::MAX);
            self.held = all(0.0);
        }
        self.is_delayed = false;
    }

    fn clear_lanes(&mut self, lanes: u8) {
        for lane in (0..W).filter(|lane| has(lanes, *lane)) {
            self.call[lane].clear();
            self.held[lane] = 0.0;
        }
    }

    fn scale(&mut self, by: impl Fn(usize) -> f64) {
        for (lane, call) in self.call.iter_mut().enumerate() {
            let by = by(lane);
            call.answered.scale(by);
            call.failed.scale(by);
            self.held[lane] *= by;
        }
    }
}

/// Observer of the steps of a call.
pub(crate) trait CallObserver<const W: usize> {
    /// Called with the raw state of a dependency, or of each member, before any step.
    fn enters(&mut self, _shares: &Shares<W>) {}
    /// Called with the shares after a step that is the work of this protection.
    fn after(&mut self, _guard: Protection, _shares: &Shares<W>) {}
}

/// Observer that ignores all steps.
pub(crate) struct NoObserver;

impl<const W: usize> CallObserver<W> for NoObserver {}

impl<const W: usize> StepState<'_, W> {
    /// Returns whether everything that a call refers to is ok, so that it contributes nothing.
    #[inline(always)]
    pub(crate) fn is_quiet(&self, call: &Call, cohort: usize) -> bool {
        let quiet = &self.cohorts[cohort].quiet;
        let members = self.plan.members_of(call).iter().all(|member| quiet[member.node]);
        members
            && !self.is_bypassed(call)
            // A cache that fails loses nothing while what it covers is ok, but it lets more load
            // through.
            && (!self.plan.has_load
                || call
                    .cache()
                    .is_none_or(|cache| cache.node.is_none_or(|node| quiet[node])))
            && (self.plan.bulkheads.is_empty() || !self.is_limited(call))
            && (self.plan.consumers.is_empty() || !self.spills(call))
            && (self.plan.refills.is_empty() || !self.is_cold(call))
    }

    /// Evaluates a call of a node: steps 0 to 8 of the semantics.
    #[inline(always)]
    pub(crate) fn call(
        &mut self,
        call: &Call,
        caller: NodeId,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Called<W> {
        if let Some(bounds) = self.index_of_plan.bounds.get(caller) {
            self.waiting.bounds = *bounds;
        }
        self.waiting.begin();
        let consumer = call.buffer().and_then(|buffer| buffer.consumer);
        let mut shares = if let Some(consumer) = consumer {
            self.messages(call, consumer, cohort, steps)
        } else if call.any_of {
            match call.mode() {
                None | Some(MemberMode::Quorum) => self.any_of(call, cohort, steps),
                Some(MemberMode::Failover) => self.one_of(call, cohort, steps),
                Some(MemberMode::Spread) => self.spread(call, cohort, steps),
            }
        } else {
            self.member(call, call.members.start, cohort, steps)
        };
        let mut soft = call.soft;
        if !self.plan.bulkheads.is_empty() {
            self.limit(call, cohort, &mut shares);
        }
        if let Some(buffer) = call.buffer().filter(|_| consumer.is_some()) {
            steps.after(Protection::Buffer, &shares);
            soft = buffer.drops;
        } else if let Some(buffer) = call.buffer() {
            let holding = self.buffer_holds(call, &shares, buffer.holds, cohort);
            silence(&mut shares, holding);
            if self.waiting.is_delayed {
                self.waiting.clear_lanes(holding);
            }
            steps.after(Protection::Buffer, &shares);
            soft = buffer.drops;
        }
        let failed_over = shares.down;
        if self.plan.has_delays && call.fallback() != Fallback::None {
            self.wait_for_fallback(call, cohort, &shares);
        }
        self.fall_back(call, cohort, &mut shares);
        if self.waiting.is_delayed {
            self.end_waiting(soft);
        }
        steps.after(Protection::Fallback, &shares);
        if soft {
            for lane in 0..W {
                shares.degraded[lane] += shares.down[lane] + shares.corrupt[lane];
            }
            (shares.down, shares.corrupt) = (all(0.0), all(0.0));
            steps.after(Protection::Soft, &shares);
        }
        if call.calls > 1 {
            // A request fails by any of its calls, each of which meets failure anew.
            shares = SurvivalProducts::of(&shares).power(call.calls).shares();
            if self.waiting.is_delayed {
                self.wait_several_times(call.calls);
            }
        }
        if call.probability < 1.0 {
            scale(&mut shares, &all(call.probability));
            if self.waiting.is_delayed {
                self.waiting.scale(|_| call.probability);
            }
            steps.after(Protection::CallProbability, &shares);
        }
        let off = self.switched_off.iter().find(|(known, _)| *known == call.dependency);
        if let Some((_, off)) = off {
            let off = *off;
            scale(&mut shares, &off.map(|off| 1.0 - off));
            if self.waiting.is_delayed {
                self.waiting.scale(|lane| 1.0 - off[lane]);
            }
            steps.after(Protection::CallProbability, &shares);
        }
        let reaches = self.reaches[call.dependency];
        if reaches != u8::MAX {
            silence(&mut shares, !reaches);
            if self.waiting.is_delayed {
                self.waiting.clear_lanes(!reaches);
            }
            steps.after(Protection::Propagation, &shares);
        }
        Called { shares, failed_over, is_delayed: self.waiting.is_delayed }
    }

    /// Evaluates steps 0 to 2 for one member: a single attempt.
    #[inline(always)]
    pub(crate) fn attempt(
        &mut self,
        call: &Call,
        node: NodeId,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Attempt<W> {
        let raw = self.cohorts[cohort].shares[node];
        let mut shares = raw;
        let made = self.made(call, node);
        if let Some(made) = &made {
            scale(&mut shares, made);
        }
        steps.enters(&shares);
        if call.soft {
            shares.degraded = all(0.0);
        }
        let waits = self.plan.has_delays && call.is_waited_for;
        let mut timed_out = if call.timeout.is_finite() { shares.slow } else { all(0.0) };
        if call.gives_up {
            for lane in 0..W {
                shares.down[lane] += shares.slow[lane];
            }
            shares.slow = all(0.0);
        }
        if waits {
            let made = made.unwrap_or(all(1.0));
            self.lose_late(call, node, cohort, &made, &mut shares, &mut timed_out);
        }
        if call.validates {
            for lane in 0..W {
                shares.down[lane] += shares.corrupt[lane];
            }
            shares.corrupt = all(0.0);
        }
        Attempt { shares, made, timed_out }
    }

    /// Evaluates steps 0 to 4 for one member, and records how its traffic grows.
    #[inline(always)]
    pub(crate) fn member(
        &mut self,
        call: &Call,
        member: MemberId,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Shares<W> {
        let node = self.plan.members[member].node;
        let raw = self.cohorts[cohort].shares[node];
        let Attempt { mut shares, made, timed_out } = self.attempt(call, node, cohort, steps);
        let waits = self.plan.has_delays && call.is_waited_for;
        let mut factor = all(1.0);
        // Waiting is counted by attempts, so this is the share of one, before retries lower it.
        let failing = shares.down;
        if call.retries > 0 {
            factor = retry(call, &mut shares);
        }
        if waits {
            self.wait_for_attempts(call, &failing, &timed_out, &mut shares, &mut factor);
            if call.retries > 0 {
                self.echo(call, node, &mut factor);
            }
        }
        if call.breaker {
            self.open_breaker(node, cohort, made.as_ref(), &mut shares, &mut factor);
        }
        if call.retries > 0 {
            steps.after(Protection::Retry, &shares);
        }
        if let Some(cache) = call.cache() {
            let fresh = self.fresh_share(node, &raw, cache.ttl, cohort);
            let warm = self.refill(call, member, cohort, made.as_ref(), &shares);
            self.answer_from_cache(cache, cohort, [&fresh, &warm], &mut shares, &mut factor);
            steps.after(Protection::Cache, &shares);
        }
        if self.plan.has_load {
            if let Some(made) = &made {
                for lane in 0..W {
                    factor[lane] *= made[lane];
                }
            }
            let known = &mut self.cohorts[cohort].traffic[member];
            // Lanes that are not computed keep what they had.
            *known = choose_lanes(self.active, &factor, known);
        }
        shares
    }

    /// Applies step 4: takes away what a cache answers, of which a share is fresh, and warm again.
    #[inline(always)]
    pub(crate) fn answer_from_cache(
        &mut self,
        cache: &Cache,
        cohort: usize,
        [fresh, warm]: [&Lanes<W>; 2],
        shares: &mut Shares<W>,
        factor: &mut Lanes<W>,
    ) {
        let served = cache.node.map(|node| self.cohorts[cohort].shares[node]);
        for lane in 0..W {
            let working = served.as_ref().map_or(1.0, |served| 1.0 - served.failing(lane));
            let answers = cache.hit_ratio * working * fresh[lane] * warm[lane];
            let rest = 1.0 - answers;
            shares.slow[lane] *= rest;
            shares.down[lane] *= rest;
            if cache.keeps_out_corrupt() {
                shares.corrupt[lane] *= rest;
            }
            // At a hit ratio of 100% no traffic is normal, so there is nothing to relate to.
            if cache.hit_ratio < 1.0 {
                factor[lane] *= rest / (1.0 - cache.hit_ratio);
            }
            if self.waiting.is_delayed {
                self.waiting.call[lane].answered.scale(rest);
                self.waiting.call[lane].failed.scale(rest);
            }
        }
    }

    /// Evaluates a call that sends messages to a consumer: nothing is felt before the buffer is full,
    /// and then what the consumer does not take is.
    #[inline(never)]
    fn messages(
        &mut self,
        call: &Call,
        consumer: ConsumerId,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Shares<W> {
        let member = call.members.start;
        let node = self.plan.members[member].node;
        let made = self.made(call, node).unwrap_or(all(1.0));
        let mut shares = self.cohorts[cohort].shares[node];
        scale(&mut shares, &made);
        steps.enters(&shares);
        shares = Shares::OK;
        let full = self.full_buffer(call, consumer);
        for lane in (0..W).filter(|lane| has(full, *lane)) {
            shares.down[lane] = self.spilled[consumer][lane] * made[lane];
        }
        if self.plan.has_load {
            let known = &mut self.cohorts[cohort].traffic[member];
            *known = choose_lanes(self.active, &made, known);
        }
        shares
    }

    /// Returns the lanes in which the buffer of a call is full.
    fn full_buffer(&self, call: &Call, consumer: ConsumerId) -> u8 {
        let holds = call.buffer().map_or(f64::INFINITY, |buffer| buffer.holds);
        mask::<W>(|lane| self.messages[consumer][lane] >= holds - LEVEL_SLACK)
    }

    /// Returns whether some messages find their buffer full.
    fn spills(&self, call: &Call) -> bool {
        let Some(consumer) = call.buffer().and_then(|buffer| buffer.consumer) else {
            return false;
        };
        let full = self.full_buffer(call, consumer);
        full != 0 && !same(&self.spilled[consumer], &all(0.0))
    }

    /// Evaluates steps 0 to 4 for every member of an `any_of`, and combines them.
    #[inline(always)]
    fn any_of(
        &mut self,
        call: &Call,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Shares<W> {
        let mut members = std::mem::take(&mut self.members);
        members.clear();
        let mut is_delayed = false;
        for member in call.members {
            self.waiting.begin();
            let shares = self.member(call, member, cohort, steps);
            members.push(shares);
            if self.plan.has_delays {
                is_delayed |= self.waiting.is_delayed;
                let number = members.len() - 1;
                self.waiting.keep_member(number);
            }
        }
        let shares = together(&members, call.needs);
        if is_delayed {
            self.waiting.wait_for_members(&members, &shares);
        }
        steps.after(Protection::Redundancy, &shares);
        if self.plan.has_load && call.mode().is_none() {
            let up = sum_up(&members);
            for (index, member) in call.members.iter().enumerate() {
                let moved = moved_traffic(&members, &up, index, call.needs);
                let factor = &mut self.cohorts[cohort].traffic[member];
                for lane in 0..W {
                    factor[lane] *= if has(self.active, lane) { moved[lane] } else { 1.0 };
                }
            }
        }
        self.members = members;
        shares
    }

    /// Opens a breaker where half of the calls fail by the node's own health: then none is made, and all
    /// fail at once. Fewer calls would not help, as they would an overload.
    fn open_breaker(
        &mut self,
        node: NodeId,
        cohort: usize,
        made: Option<&Lanes<W>>,
        shares: &mut Shares<W>,
        factor: &mut Lanes<W>,
    ) {
        let Some(own) = self.cohorts[cohort].own_of(node) else { return };
        let open = mask::<W>(|lane| 1.0 - own.0[1][lane] >= BREAKER_OPENS - SLACK);
        for lane in (0..W).filter(|lane| has(open, *lane)) {
            for share in [&mut shares.slow, &mut shares.corrupt, &mut shares.degraded] {
                share[lane] = 0.0;
            }
            shares.down[lane] = made.map_or(1.0, |made| made[lane]);
            factor[lane] = 0.0;
            self.waiting.call[lane].clear();
        }
    }

    /// Returns the share of a dependency's calls to a node that is made, where some bypass it.
    #[inline(always)]
    fn made(&self, call: &Call, node: NodeId) -> Option<Lanes<W>> {
        let key = (call.dependency, node);
        let led = self.bypassed.iter().find(|(known, _)| *known == key);
        led.map(|(_, led)| led.map(|share| 1.0 - share))
    }

    /// Returns whether some of these calls bypass what they call.
    #[inline(always)]
    fn is_bypassed(&self, call: &Call) -> bool {
        self.bypassed.iter().any(|((dependency, _), _)| *dependency == call.dependency)
    }

    /// Returns the lanes in which a node has been failing for less than this many seconds, or is not.
    #[inline(always)]
    fn holds(&self, node: NodeId, shares: &Shares<W>, limit: f64, cohort: usize) -> u8 {
        let cohort = &self.cohorts[cohort];
        let mut shares = *shares;
        if let Some(too_late) = cohort.too_late.get(node) {
            for lane in 0..W {
                shares.down[lane] = shares.failing_with(too_late[lane], lane)
                    - shares.slow[lane]
                    - shares.corrupt[lane];
            }
        }
        self.not_failing_for(&shares, &cohort.since[node], limit)
    }

    /// Returns the share of a cache's entries that have not expired. They expire one by one from when the
    /// node began to fail: in the course of time in steps, each at its middle.
    #[inline(always)]
    pub(crate) fn fresh_share(
        &self,
        node: NodeId,
        shares: &Shares<W>,
        ttl: f64,
        cohort: usize,
    ) -> Lanes<W> {
        if !ttl.is_finite() {
            return all(1.0);
        }
        let since = &self.cohorts[cohort].since[node];
        let is_timed = self.plan.schedule.is_some();
        let steps = f64::from(self.index_of_plan.expiry_steps);
        let service = self.plan.service_of(node);
        let overload = self.overload[service];
        // What is answered too late for its most impatient caller renews no entry either.
        let too_late = self.cohorts[cohort].too_late.get(node);
        array(|lane| {
            let too_late = too_late.map_or(0.0, |too_late| too_late[lane]);
            if shares.failing_with(too_late, lane) < self.plan.failed - SLACK {
                return 1.0;
            }
            let time = self.time[lane];
            let expired = (time - since[lane].min(time)) / ttl;
            if overload[lane] > SLACK {
                // What is overloaded answers some calls, and those renew entries.
                return if expired < 1.0 - SLACK { 1.0 } else { 0.0 };
            }
            if is_timed {
                // A boundary was computed by a product: allow for its rounding.
                let step = (expired * steps + 1e-6).floor();
                if step >= steps { 0.0 } else { 1.0 - (step + 0.5) / steps }
            } else {
                (1.0 - expired).max(0.0)
            }
        })
    }

    /// Returns whether some cache of a call is not full again after it was lost.
    fn is_cold(&self, call: &Call) -> bool {
        refills(call)
            .iter()
            .any(|slot| self.refilled[slot].iter().any(|seconds| seconds.is_finite()))
    }

    /// Returns the share of its usual answers that the cache of a member gives while it is refilled, and
    /// notes the share of misses that refills it.
    #[inline(always)]
    pub(crate) fn refill(
        &mut self,
        call: &Call,
        member: MemberId,
        cohort: usize,
        made: Option<&Lanes<W>>,
        shares: &Shares<W>,
    ) -> Lanes<W> {
        let place = call.members.place_of(member);
        let Some(slot) = refills(call).iter().nth(place) else {
            return all(1.0);
        };
        let made = made.copied().unwrap_or(all(1.0));
        let answered: Lanes<W> =
            array(
                |lane| {
                    if made[lane] > 0.0 { 1.0 - shares.unanswered(lane) / made[lane] } else { 0.0 }
                },
            );
        let known = &mut self.cohorts[cohort].misses_answered[slot];
        *known = choose_lanes(self.active, &answered, known);
        self.refilled[slot].map(|seconds| self.plan.refills[slot].warm_share(seconds))
    }

    #[inline(always)]
    fn buffer_holds(&mut self, call: &Call, shares: &Shares<W>, limit: f64, cohort: usize) -> u8 {
        let Some(entry) = call.buffer_slot() else {
            let node = self.plan.members[call.members.start].node;
            let raw = self.cohorts[cohort].shares[node];
            return self.holds(node, &raw, limit, cohort);
        };
        // An `any_of` has no node that says since when it fails, so its shares are kept by call.
        let known = &mut self.cohorts[cohort].entries[entry];
        *known = choose(self.active, shares, known);
        self.not_failing_for(shares, &self.cohorts[cohort].entries_since[entry], limit)
    }

    #[inline(always)]
    fn not_failing_for(&self, shares: &Shares<W>, since: &Lanes<W>, limit: f64) -> u8 {
        mask::<W>(|lane| {
            let failing = shares.failing(lane) >= self.plan.failed - SLACK;
            let since = since[lane].min(self.time[lane]);
            !failing || self.time[lane] < since + limit
        })
    }

    /// Step 6.
    #[inline(always)]
    fn fall_back(&self, call: &Call, cohort: usize, shares: &mut Shares<W>) {
        let works = match call.fallback() {
            Fallback::None => return,
            Fallback::Static | Fallback::Node(_) => self.works[call.dependency],
        };
        let Fallback::Node(node) = call.fallback() else {
            for lane in 0..W {
                if has(works, lane) {
                    shares.degraded[lane] += shares.down[lane];
                    shares.down[lane] = 0.0;
                }
            }
            return;
        };
        let instead = &self.cohorts[cohort].shares[node];
        for lane in 0..W {
            if !has(works, lane) {
                continue;
            }
            let failed = shares.down[lane];
            let (slow, down, corrupt) = (
                failed * instead.slow[lane],
                failed * instead.down[lane],
                failed * instead.corrupt[lane],
            );
            shares.degraded[lane] += failed * (1.0 - instead.failing(lane));
            shares.corrupt[lane] += corrupt;
            // A caller that waits only so long gives up on a fallback that hangs.
            if call.has_deadline {
                shares.down[lane] = down + slow;
            } else {
                shares.down[lane] = down;
                shares.slow[lane] += slow;
            }
        }
    }
}

impl<const W: usize> Waiting<W> {
    /// Keeps how a member of an `any_of` makes its caller wait.
    pub(crate) fn keep_member(&mut self, number: usize) {
        if self.members.len() <= number {
            self.members.push(std::array::from_fn(|_| CallDelay::default()));
        }
        if self.is_delayed {
            self.members[number].clone_from(&self.call);
        } else {
            self.members[number].iter_mut().for_each(CallDelay::clear);
        }
    }

    /// A request waits for the member that answers it; where too few do, for those that fail.
    fn wait_for_members(&mut self, members: &[Shares<W>], together: &Shares<W>) {
        self.is_delayed = true;
        let bounds = &self.bounds;
        for lane in 0..W {
            let call = &mut self.call[lane];
            call.clear();
            let up: f64 = members.iter().map(|member| 1.0 - member.unanswered(lane)).sum();
            let down: f64 = members.iter().map(|member| member.down[lane]).sum();
            let answered = (1.0 - together.unanswered(lane)).max(0.0);
            for member in &self.members[..members.len()] {
                if up > 0.0 {
                    call.answered.add_scaled(bounds, &member[lane].answered, answered / up);
                }
                if down > 0.0 {
                    let failed = &member[lane].failed;
                    call.failed.add_scaled(bounds, failed, together.down[lane] / down);
                }
            }
        }
    }
}

impl<const W: usize> StepState<'_, W> {
    /// The share of answers that come too late is lost to the caller, which has waited all its
    /// timeout by then. Notes the delays of the others.
    fn lose_late(
        &mut self,
        call: &Call,
        node: NodeId,
        cohort: usize,
        made: &Lanes<W>,
        shares: &mut Shares<W>,
        timed_out: &mut Lanes<W>,
    ) {
        let service = self.plan.service_of(node);
        let usual = self.plan.services[service].latency;
        let active = self.active;
        for lane in (0..W).filter(|lane| has(active, *lane)) {
            let delay = &self.cohorts[cohort].delays[node][lane];
            let in_time = &mut self.waiting.attempt[lane];
            in_time.clear();
            if delay.as_slice().is_empty() {
                continue;
            }
            let answered = (made[lane] - shares.unanswered(lane)).max(0.0);
            let mut lost = 0.0;
            for piece in delay.as_slice() {
                let share = answered * piece.share;
                let late = share * piece.is_beyond(usual, call.timeout);
                lost += late;
                let length = piece.mean(usual);
                let rate = if length < call.timeout { piece.rate } else { 0.0 };
                let length = length.min(call.timeout);
                in_time.push(Piece { share: share - late, length, factor: 1.0, rate });
            }
            let lost = lost.min(answered);
            if lost > 0.0 {
                let left = 1.0 - lost / answered;
                // Right, wrong and incomplete answers are late alike, so each loses the same part.
                shares.corrupt[lane] *= left;
                shares.degraded[lane] *= left;
                shares.down[lane] += lost;
                timed_out[lane] += lost;
            }
            self.waiting.is_delayed = true;
        }
    }

    /// Costs in time of the attempts of a call for its caller.
    pub(crate) fn wait_for_attempts(
        &mut self,
        call: &Call,
        failing: &Lanes<W>,
        timed_out: &Lanes<W>,
        shares: &mut Shares<W>,
        factor: &mut Lanes<W>,
    ) {
        let active = self.active;
        for lane in (0..W).filter(|lane| has(active, *lane)) {
            if timed_out[lane] <= 0.0 && self.waiting.attempt[lane].as_slice().is_empty() {
                continue;
            }
            let is_open = call.breaker && failing[lane] >= BREAKER_OPENS - SLACK;
            let retries = if is_open { 0 } else { call.retries };
            let all_retries = retries_per_call(failing[lane], retries);
            let Waiting { call: calls, attempt, bounds, is_delayed, .. } = &mut *self.waiting;
            let attempts = Attempts {
                failing: failing[lane],
                // What an open breaker refuses costs no time.
                timed_out: if is_open { 0.0 } else { timed_out[lane] },
                retries,
                tried_again: if all_retries > 0.0 {
                    (call.budget() / all_retries).min(1.0)
                } else {
                    1.0
                },
                timeout: call.timeout,
                in_all: call.waits_in_all(),
                answered: attempt[lane].as_slice(),
            };
            let (failed, made) = attempts.finish(bounds, &mut calls[lane]);
            *is_delayed = true;
            // A limit on all attempts together leaves fewer of them than the sum of powers says.
            if call.waits_in_all().is_finite() && !is_open {
                for share in [&mut shares.slow, &mut shares.corrupt, &mut shares.degraded] {
                    share[lane] *= made / factor[lane];
                }
                (shares.down[lane], factor[lane]) = (failed, made);
            }
        }
    }

    /// Retries of calls that were too late come one timeout later, when those that follow them may
    /// be in time again.
    fn echo(&self, call: &Call, node: NodeId, factor: &mut Lanes<W>) {
        let service = self.plan.service_of(node);
        let Some(echo) = self.echoes.get(service) else { return };
        for lane in 0..W {
            let is_late = self.waits[service][lane] >= call.timeout;
            if echo.wait[lane] >= call.timeout
                && !is_late
                && self.time[lane] < echo.since[lane] + call.timeout
            {
                factor[lane] = factor[lane].max(1.0 + f64::from(call.retries).min(call.budget()));
            }
        }
    }

    /// Whether some calls of a dependency fail because too many are in progress.
    fn is_limited(&self, call: &Call) -> bool {
        let known = self.plan.bulkheads.iter().position(|item| item.dependency == call.dependency);
        known.is_some_and(|number| !same(&self.admitted[number], &all(1.0)))
    }

    /// Beyond its limit on calls in progress a caller fails at once. Notes how long a call takes.
    fn limit(&mut self, call: &Call, cohort: usize, shares: &mut Shares<W>) {
        let known = self.plan.bulkheads.iter().position(|item| item.dependency == call.dependency);
        let Some(number) = known else { return };
        let usual = self.usual_time(call);
        let admitted = self.admitted[number];
        let mut times = all(usual);
        for lane in 0..W {
            if self.waiting.is_delayed {
                let waits = &self.waiting.call[lane];
                times[lane] += waits.answered.mean() + waits.failed.mean();
            }
            if shares.slow[lane] > 0.0 {
                // What hangs is in progress for ever, so that no finite limit is enough.
                times[lane] = f64::INFINITY;
            }
            let refused = 1.0 - admitted[lane];
            if refused > 0.0 {
                for share in
                    [&mut shares.slow, &mut shares.down, &mut shares.corrupt, &mut shares.degraded]
                {
                    share[lane] *= admitted[lane];
                }
                shares.down[lane] += refused;
            }
        }
        let place = call.members.start;
        for slot in call.members {
            let traffic = &mut self.cohorts[cohort].traffic[slot];
            for lane in 0..W {
                traffic[lane] *= if has(self.active, lane) { admitted[lane] } else { 1.0 };
            }
        }
        self.cohorts[cohort].note_call_time(place, &times, self.active);
        if self.waiting.is_delayed {
            self.waiting.scale(|lane| admitted[lane]);
        }
    }

    /// Returns how long a call takes in normal times, as far as that is known.
    pub(crate) fn usual_time(&self, call: &Call) -> f64 {
        let node = self.plan.members[call.members.start].node;
        let service = self.plan.service_of(node);
        self.plan.services[service].latency.mean()
    }

    /// Adds the wait for the fallback to what fails, before step 6 changes the shares.
    fn wait_for_fallback(&mut self, call: &Call, cohort: usize, shares: &Shares<W>) {
        let works = self.works[call.dependency];
        let instead = match call.fallback() {
            Fallback::Node(node) => Some(node),
            Fallback::None | Fallback::Static => None,
        };
        let works = works & self.active;
        let bounds = self.waiting.bounds;
        for lane in (0..W).filter(|lane| has(works, *lane)) {
            let failing = shares.down[lane];
            if failing <= 0.0 {
                continue;
            }
            let failed = std::mem::take(&mut self.waiting.call[lane].failed);
            let Some(node) = instead else {
                // Something that cannot fail takes no time.
                self.waiting.call[lane].answered.add_scaled(&bounds, &failed, 1.0);
                continue;
            };
            let service = self.plan.service_of(node);
            let latency = self.plan.services[service].latency;
            let usual = latency.mean();
            let delay = &self.cohorts[cohort].delays[node][lane];
            let answers = 1.0 - self.cohorts[cohort].shares[node].unanswered(lane);
            // What failed at once waits for the fallback alone.
            let at_once = if usual > 0.0 { (failing - failed.share()).max(0.0) } else { 0.0 };
            let mut waits = List::NONE;
            for piece in failed.pieces() {
                let (share, length) = (piece.share / failing, piece.length + usual);
                waits.add(&bounds, Piece { share, length, ..piece });
            }
            waits.add(&bounds, Piece::later(at_once / failing, usual));
            let mut of_fallback = List::NONE;
            for piece in delay.as_slice() {
                let length = piece.mean(latency);
                of_fallback.add(&bounds, Piece { length, factor: 1.0, ..*piece });
            }
            let call = &mut self.waiting.call[lane];
            call.failed.add_scaled(&bounds, &waits, failing * (1.0 - answers));
            let mut both = waits;
            both.join(&bounds, &of_fallback, false);
            if !both.is_empty() {
                self.waiting.is_delayed = true;
            }
            call.answered.add_scaled(&bounds, &both, failing * answers);
        }
    }

    /// Adds up for how long requests are in progress. What a caller can do without is answered
    /// later; what it cannot has failed.
    fn end_waiting(&mut self, soft: bool) {
        let bounds = self.waiting.bounds;
        for lane in 0..W {
            let CallDelay { answered, failed } = &mut self.waiting.call[lane];
            self.waiting.held[lane] = answered.mean() + failed.mean();
            if soft {
                answered.add_scaled(&bounds, failed, 1.0);
            }
            failed.clear();
        }
    }

    /// Several calls one after the other: more requests wait, and some of them several times.
    fn wait_several_times(&mut self, calls: u32) {
        let bounds = self.waiting.bounds;
        for lane in 0..W {
            let times = f64::from(calls);
            let answered = &mut self.waiting.call[lane].answered;
            let once = answered.share().min(1.0);
            self.waiting.held[lane] *= times;
            if once <= 0.0 {
                continue;
            }
            // A request waits if any of its calls does, and longer so that the mean is that of all
            // calls.
            let some = 1.0 - libm::pow(1.0 - once, times);
            let mut list = List::NONE;
            let longer = times * once / some;
            for piece in answered.pieces() {
                let share = piece.share * some / once;
                let (length, rate) = (piece.length * longer, piece.rate * longer);
                list.add(&bounds, Piece { share, length, rate, ..piece });
            }
            *answered = list;
        }
    }
}

/// Multiplies all four shares.
#[inline(always)]
pub(crate) fn scale<const W: usize>(shares: &mut Shares<W>, by: &Lanes<W>) {
    for share in [&mut shares.slow, &mut shares.down, &mut shares.corrupt, &mut shares.degraded] {
        for lane in 0..W {
            share[lane] *= by[lane];
        }
    }
}

/// Sets all shares to 0 in these lanes.
#[inline(always)]
fn silence<const W: usize>(shares: &mut Shares<W>, lanes: u8) {
    for lane in 0..W {
        if has(lanes, lane) {
            shares.slow[lane] = 0.0;
            shares.down[lane] = 0.0;
            shares.corrupt[lane] = 0.0;
            shares.degraded[lane] = 0.0;
        }
    }
}

/// Applies step 3, and returns the mean number of attempts.
#[inline(always)]
pub(crate) fn retry<const W: usize>(call: &Call, shares: &mut Shares<W>) -> Lanes<W> {
    let budget = call.budget();
    let mut attempts = all(1.0);
    for lane in 0..W {
        let p = shares.down[lane];
        let open = call.breaker && p >= BREAKER_OPENS - SLACK;
        let retries = if open { 0.0 } else { retries_per_call(p, call.retries).min(budget) };
        attempts[lane] = 1.0 + retries;
        // Whatever is not down ends the attempts, so each attempt adds its share.
        shares.slow[lane] *= attempts[lane];
        shares.corrupt[lane] *= attempts[lane];
        shares.degraded[lane] *= attempts[lane];
        // Without a budget this is p^(n+1), since R (1 - p) = p - p^(n+1).
        shares.down[lane] = (p - retries * (1.0 - p)).max(0.0);
    }
    attempts
}

/// Returns R = p + p^2 + ... + p^n, the mean number of retries when each attempt fails with p.
#[inline(always)]
fn retries_per_call(p: f64, retries: u32) -> f64 {
    let mut sum = 0.0;
    for _ in 0..retries {
        sum = p * (1.0 + sum);
    }
    sum
}

/// Returns the state of an `any_of` that needs this many members neither slow nor down.
#[inline(always)]
fn together<const W: usize>(members: &[Shares<W>], needs: u32) -> Shares<W> {
    let mut shares = Shares::OK;
    let too_few = too_few_up(members, needs);
    for lane in 0..W {
        let (mut all_down, mut slow, mut not_down, mut corrupt, mut degraded, mut up) =
            (1.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for member in members {
            all_down *= member.down[lane];
            slow += member.slow[lane];
            not_down += 1.0 - member.down[lane];
            corrupt += member.corrupt[lane];
            degraded += member.degraded[lane];
            up += 1.0 - member.slow[lane] - member.down[lane];
        }
        // Requests go to members that are not down, and hit slow ones by chance.
        let hangs = if not_down > 0.0 { (1.0 - all_down) * slow / not_down } else { 0.0 };
        let fails = (too_few[lane] - hangs).max(0.0);
        let answered = (1.0 - hangs - fails).max(0.0);
        let per_answer = if up > 0.0 { answered / up } else { 0.0 };
        shares.slow[lane] = hangs;
        shares.down[lane] = fails;
        shares.corrupt[lane] = per_answer * corrupt;
        shares.degraded[lane] = per_answer * degraded;
    }
    shares
}

/// Returns the probability that fewer than `needs` members are neither slow nor down.
///
/// The number that are up follows a Poisson binomial distribution, built up member by member; only
/// its first `needs` terms are kept. Takes time in proportion to the members, and to the square of
/// those that are neither up nor lost with certainty.
#[inline(always)]
fn too_few_up<const W: usize>(members: &[Shares<W>], needs: u32) -> Lanes<W> {
    let needs = needs as usize;
    if needs == 1 {
        let mut none = all(1.0);
        for member in members {
            for lane in 0..W {
                none[lane] *= member.unanswered(lane).min(1.0);
            }
        }
        return none;
    }
    // Members that are up in all lanes shift the distribution by one, exactly. Mostly these are all
    // but a few, and the distribution of the others is short.
    let up =
        members.iter().filter(|member| (0..W).all(|lane| member.unanswered(lane) == 0.0)).count();
    let Some(needs) = needs.checked_sub(up).filter(|needs| *needs > 0) else {
        return all(0.0);
    };
    let mut chance: Vec<Lanes<W>> = vec![all(0.0); needs];
    chance[0] = all(1.0);
    let mut uncertain = 0;
    for member in members {
        let lost: Lanes<W> = array(|lane| member.unanswered(lane).min(1.0));
        // Members that are up were counted above; those that are lost change nothing.
        if lost.iter().all(|lost| *lost == 0.0) || lost.iter().all(|lost| *lost == 1.0) {
            continue;
        }
        uncertain += 1;
        // From the top down, as each term needs the one below it from before this member.
        for count in (0..needs.min(uncertain + 1)).rev() {
            for lane in 0..W {
                let one_more =
                    if count > 0 { chance[count - 1][lane] * (1.0 - lost[lane]) } else { 0.0 };
                chance[count][lane] = chance[count][lane] * lost[lane] + one_more;
            }
        }
    }
    chance.iter().fold(all(0.0), |sum, item| array(|lane| sum[lane] + item[lane]))
}

/// Returns the sum of the shares of all members that are neither slow nor down.
#[inline(always)]
fn sum_up<const W: usize>(members: &[Shares<W>]) -> Lanes<W> {
    array(|lane| members.iter().map(|member| 1.0 - member.unanswered(lane)).sum())
}

/// Returns the traffic of a member relative to normal, when traffic moves to those that are up.
#[inline(always)]
fn moved_traffic<const W: usize>(
    members: &[Shares<W>],
    up: &Lanes<W>,
    index: usize,
    needs: u32,
) -> Lanes<W> {
    let mut moved = all(1.0);
    let count = members.len() as f64;
    for lane in 0..W {
        // What is left of shares by rounding is not something that is up.
        if up[lane] > SLACK {
            let own = 1.0 - members[index].unanswered(lane);
            // A member gets all requests at the most; `needs` of `count` of them are normal.
            moved[lane] = (count * own / up[lane]).min(count / f64::from(needs));
        }
    }
    moved
}
