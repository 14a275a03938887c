//! What one call contributes to its caller: the steps of the pipeline, in their order.

use crate::compile::plan::{Call, Fallback, NONE};
use crate::engine::fluid::propagation::step_state::StepState;
use crate::engine::fluid::state::lanes::{Lanes, Shares, SurvivalProducts, all, has, mask};
use crate::engine::simd::array;
use crate::engine::tally::Protection;

/// Comparisons with thresholds have this much slack.
pub(crate) const SLACK: f64 = 1e-9;
/// A breaker opens when this share of attempts fails.
const BREAKER_OPENS: f64 = 0.5;

/// Result of one call.
pub(crate) struct Called<const W: usize> {
    pub(crate) shares: Shares<W>,
    /// The share that reached the fallback, whether it worked or not.
    pub(crate) failed_over: Lanes<W>,
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
        let members = self.plan.members_of(call).iter().all(|member| quiet[member.node as usize]);
        members
            && !self.is_led_around(call)
            && (!self.plan.has_load
                || call
                    .cache()
                    .is_none_or(|cache| cache.node == NONE || quiet[cache.node as usize]))
    }

    /// Evaluates a call: steps 0 to 8 of the semantics.
    #[inline(always)]
    pub(crate) fn call(
        &mut self,
        call: &Call,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Called<W> {
        let mut shares = if call.any_of {
            self.any_of(call, cohort, steps)
        } else {
            self.member(call, call.members.start, cohort, steps)
        };
        let mut soft = call.soft;
        if let Some(buffer) = call.buffer() {
            let holding = self.buffer_holds(call, &shares, buffer.holds, cohort);
            silence(&mut shares, holding);
            steps.after(Protection::Buffer, &shares);
            soft = buffer.drops;
        }
        let failed_over = shares.down;
        self.fall_back(call, cohort, &mut shares);
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
        }
        if call.probability < 1.0 {
            scale(&mut shares, &all(call.probability));
            steps.after(Protection::CallProbability, &shares);
        }
        let off = self.switched_off.iter().find(|(known, _)| *known == call.dependency);
        if let Some((_, off)) = off {
            scale(&mut shares, &off.map(|off| 1.0 - off));
            steps.after(Protection::CallProbability, &shares);
        }
        let reaches = self.reaches[call.dependency as usize];
        if reaches != u8::MAX {
            silence(&mut shares, !reaches);
            steps.after(Protection::Propagation, &shares);
        }
        Called { shares, failed_over }
    }

    /// Evaluates steps 0 to 4 for one member, and records how its traffic grows.
    #[inline(always)]
    fn member(
        &mut self,
        call: &Call,
        member: u32,
        cohort: usize,
        steps: &mut impl CallObserver<W>,
    ) -> Shares<W> {
        let node = self.plan.members[member as usize].node;
        let raw = self.cohorts[cohort].shares[node as usize];
        let mut shares = raw;
        let made = self.made(call, node);
        if let Some(made) = &made {
            scale(&mut shares, made);
        }
        steps.enters(&shares);
        if call.soft {
            shares.degraded = all(0.0);
        }
        if call.gives_up {
            for lane in 0..W {
                shares.down[lane] += shares.slow[lane];
            }
            shares.slow = all(0.0);
        }
        if call.validates {
            for lane in 0..W {
                shares.down[lane] += shares.corrupt[lane];
            }
            shares.corrupt = all(0.0);
        }
        let mut factor = all(1.0);
        if call.retries > 0 {
            factor = retry(call, &mut shares);
            steps.after(Protection::Retry, &shares);
        }
        if let Some(cache) = call.cache() {
            let fresh = self.fresh_share(node, &raw, cache.ttl, cohort);
            let served =
                (cache.node != NONE).then(|| self.cohorts[cohort].shares[cache.node as usize]);
            for lane in 0..W {
                let working = served.as_ref().map_or(1.0, |served| 1.0 - served.failing(lane));
                let answers = cache.hit_ratio * working * fresh[lane];
                let rest = 1.0 - answers;
                shares.slow[lane] *= rest;
                shares.down[lane] *= rest;
                if cache.keeps_out_corrupt() {
                    shares.corrupt[lane] *= rest;
                }
                if cache.hit_ratio < 1.0 {
                    factor[lane] *= rest / (1.0 - cache.hit_ratio);
                }
            }
            steps.after(Protection::Cache, &shares);
        }
        if self.plan.has_load {
            if let Some(made) = &made {
                for lane in 0..W {
                    factor[lane] *= made[lane];
                }
            }
            self.cohorts[cohort].traffic[member as usize] = factor;
        }
        shares
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
        for member in call.members.clone() {
            let shares = self.member(call, member, cohort, steps);
            members.push(shares);
        }
        let shares = together(&members, call.needs);
        steps.after(Protection::Redundancy, &shares);
        if self.plan.has_load {
            let up = sum_up(&members);
            for (index, member) in call.members.clone().enumerate() {
                let moved = moved_traffic(&members, &up, index, call.needs);
                let factor = &mut self.cohorts[cohort].traffic[member as usize];
                for lane in 0..W {
                    factor[lane] *= moved[lane];
                }
            }
        }
        self.members = members;
        shares
    }

    /// Returns the share of a dependency's calls to a node that is made, where some bypass it.
    #[inline(always)]
    fn made(&self, call: &Call, node: u32) -> Option<Lanes<W>> {
        let key = (call.dependency, node);
        let led = self.led_around.iter().find(|(known, _)| *known == key);
        led.map(|(_, led)| led.map(|share| 1.0 - share))
    }

    /// Returns whether some of these calls bypass what they call.
    #[inline(always)]
    fn is_led_around(&self, call: &Call) -> bool {
        self.led_around.iter().any(|((dependency, _), _)| *dependency == call.dependency)
    }

    /// Returns the lanes in which a node has been failing for less than this many seconds, or is not.
    #[inline(always)]
    fn holds(&self, node: u32, shares: &Shares<W>, limit: f64, cohort: usize) -> u8 {
        self.not_failing_for(shares, &self.cohorts[cohort].since[node as usize], limit)
    }

    /// Returns the share of a cache's entries that have not expired. They expire one by one from when the
    /// node began to fail: in the course of time in steps, each at its middle.
    #[inline(always)]
    fn fresh_share(&self, node: u32, shares: &Shares<W>, ttl: f64, cohort: usize) -> Lanes<W> {
        if !ttl.is_finite() {
            return all(1.0);
        }
        let since = &self.cohorts[cohort].since[node as usize];
        let is_timed = self.plan.schedule.is_some();
        let steps = f64::from(self.index_of_plan.expiry_steps);
        array(|lane| {
            if shares.failing(lane) < self.plan.failed - SLACK {
                return 1.0;
            }
            let time = self.time[lane];
            let expired = (time - since[lane].min(time)) / ttl;
            if is_timed {
                // A boundary was computed by a product: allow for its rounding.
                let step = (expired * steps + 1e-6).floor();
                if step >= steps { 0.0 } else { 1.0 - (step + 0.5) / steps }
            } else {
                (1.0 - expired).max(0.0)
            }
        })
    }

    #[inline(always)]
    fn buffer_holds(&mut self, call: &Call, shares: &Shares<W>, limit: f64, cohort: usize) -> u8 {
        if call.buffer_slot() == NONE {
            let node = self.plan.members[call.members.start as usize].node;
            let raw = self.cohorts[cohort].shares[node as usize];
            return self.holds(node, &raw, limit, cohort);
        }
        let entry = call.buffer_slot() as usize;
        self.cohorts[cohort].entries[entry] = *shares;
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
            Fallback::Static | Fallback::Node(_) => self.works[call.dependency as usize],
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
        let instead = &self.cohorts[cohort].shares[node as usize];
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
            if call.has_deadline {
                shares.down[lane] = down + slow;
            } else {
                shares.down[lane] = down;
                shares.slow[lane] += slow;
            }
        }
    }
}

/// Multiplies all four shares.
#[inline(always)]
fn scale<const W: usize>(shares: &mut Shares<W>, by: &Lanes<W>) {
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
fn retry<const W: usize>(call: &Call, shares: &mut Shares<W>) -> Lanes<W> {
    let budget = call.budget();
    let mut attempts = all(1.0);
    for lane in 0..W {
        let p = shares.down[lane];
        let open = call.breaker && p >= BREAKER_OPENS - SLACK;
        let retries = if open { 0.0 } else { retries_per_call(p, call.retries).min(budget) };
        attempts[lane] = 1.0 + retries;
        shares.slow[lane] *= attempts[lane];
        shares.corrupt[lane] *= attempts[lane];
        shares.degraded[lane] *= attempts[lane];
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
        if lost.iter().all(|lost| *lost == 0.0) || lost.iter().all(|lost| *lost == 1.0) {
            continue;
        }
        uncertain += 1;
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
            moved[lane] = (count * own / up[lane]).min(count / f64::from(needs));
        }
    }
    moved
}
