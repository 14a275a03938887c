//! What a call brings to its caller, for 512 trials: the steps of the pipeline on bits.

use super::lab::{Apart, Draws, Lab, apart, failing, planes_of};
use crate::compile::plan::{Call, Fallback, NONE};
use crate::engine::simd::{Bits, Word};
use crate::engine::tally::Guard;

/// What the steps of a call leave, for those who want to know.
pub(super) trait Steps<B: Bits> {
    /// A dependency, or one of several, before any step.
    fn enters(&mut self, _bits: B, _raw: &Apart<B::V>) {}
    /// What still fails after a step that is the work of this guard.
    fn after(&mut self, _bits: B, _guard: Guard, _failing: B::V) {}
}

/// Nobody wants to know.
pub(super) struct Unwatched;

impl<B: Bits> Steps<B> for Unwatched {}

impl<const P: usize> Lab<'_, P> {
    /// The planes that a call brings to its caller.
    #[inline(always)]
    pub(super) fn answer<B: Bits>(&self, draws: Draws<B>, index: u32) -> [B::V; P] {
        let it = self.steps(draws, &self.plan.calls[index as usize], &mut Unwatched);
        planes_of(draws.bits, it)
    }

    /// The state of a node, taken apart.
    #[inline(always)]
    fn state_of<B: Bits>(&self, bits: B, node: u32) -> Apart<B::V> {
        let state = &self.state[node as usize];
        apart(bits, std::array::from_fn::<_, P, _>(|plane| bits.load(&state[plane])))
    }

    /// Steps 0 to 8.
    #[inline(always)]
    pub(super) fn steps<B: Bits>(
        &self,
        draws: Draws<B>,
        call: &Call,
        steps: &mut impl Steps<B>,
    ) -> Apart<B::V> {
        let bits = draws.bits;
        let mut it = if call.any_of {
            self.any_of(bits, call, steps)
        } else {
            self.member(bits, call, self.plan.members_of(call)[0].node, steps)
        };
        let mut soft = call.soft;
        if let Some(buffer) = call.buffer() {
            // In a single moment a failing dependency has been failing for no time at all.
            let felt = if buffer.holds > 0.0 { bits.none() } else { self.fails(bits, call, &it) };
            for plane in [&mut it.slow, &mut it.down, &mut it.corrupt, &mut it.degraded] {
                *plane = bits.and(*plane, felt);
            }
            steps.after(bits, Guard::Buffer, fails_now(bits, &it));
            soft = buffer.drops;
        }
        self.fall_back(draws, call, &mut it);
        steps.after(bits, Guard::Fallback, fails_now(bits, &it));
        if soft {
            it.degraded = bits.or(it.degraded, bits.or(it.down, it.corrupt));
            (it.down, it.corrupt) = (bits.none(), bits.none());
            steps.after(bits, Guard::Soft, fails_now(bits, &it));
        }
        if call.probability < 1.0 {
            it = Apart::ok(bits);
            steps.after(bits, Guard::Rarity, bits.none());
        }
        let dependency = &self.plan.dependencies[call.dependency as usize];
        if dependency.propagation < 1.0 {
            let any = bits.or(fails_now(bits, &it), it.degraded);
            let reaches = draws.chance(dependency.propagation_key.0, dependency.propagation, any);
            for plane in [&mut it.slow, &mut it.down, &mut it.corrupt, &mut it.degraded] {
                *plane = bits.and(*plane, reaches);
            }
            steps.after(bits, Guard::Luck, fails_now(bits, &it));
        }
        it
    }

    /// What the guards that wait look at: the dependency itself, or an `any_of` as a whole.
    #[inline(always)]
    fn fails<B: Bits>(&self, bits: B, call: &Call, together: &Apart<B::V>) -> B::V {
        if call.any_of {
            fails_now(bits, together)
        } else {
            let node = self.plan.members_of(call)[0].node;
            bits.load(&self.state[node as usize][failing::<P>()])
        }
    }

    /// Steps 0 to 4 for one member. Retries change nothing that is all or nothing.
    #[inline(always)]
    fn member<B: Bits>(
        &self,
        bits: B,
        call: &Call,
        node: u32,
        steps: &mut impl Steps<B>,
    ) -> Apart<B::V> {
        let raw = self.state_of(bits, node);
        let mut it = raw;
        steps.enters(bits, &raw);
        if call.soft {
            it.degraded = bits.none();
        }
        if call.gives_up {
            (it.down, it.slow) = (bits.or(it.down, it.slow), bits.none());
        }
        if call.validates {
            (it.down, it.corrupt) = (bits.or(it.down, it.corrupt), bits.none());
        }
        if call.retries > 0 {
            steps.after(bits, Guard::Retry, fails_now(bits, &it));
        }
        if let Some(cache) = call.cache() {
            let answers = if cache.hit_ratio < 1.0 {
                bits.none()
            } else if cache.ttl > 0.0 {
                bits.all()
            } else {
                // Failing uses up a cache that lasts for no time.
                bits.without(bits.all(), fails_now(bits, &raw))
            };
            let answers = if cache.node == NONE {
                answers
            } else {
                let lost = bits.load(&self.state[cache.node as usize][failing::<P>()]);
                bits.without(answers, lost)
            };
            for plane in [&mut it.slow, &mut it.down, &mut it.corrupt] {
                *plane = bits.without(*plane, answers);
            }
            steps.after(bits, Guard::Cache, fails_now(bits, &it));
        }
        it
    }

    /// Whether fewer than `needs` members are up; members of a Boolean plan fail fast or not at all.
    #[inline(always)]
    fn any_of<B: Bits>(&self, bits: B, call: &Call, steps: &mut impl Steps<B>) -> Apart<B::V> {
        let members = self.plan.members_of(call);
        let allowed = members.len() as u32 - call.needs;
        let mut lost = super::lab::Counter::new(bits);
        for member in members {
            let it = self.member(bits, call, member.node, steps);
            lost.add(bits, it.down);
        }
        let down = lost.at_least(bits, allowed + 1);
        steps.after(bits, Guard::Redundancy, down);
        Apart { down, ..Apart::ok(bits) }
    }

    /// Step 6.
    #[inline(always)]
    fn fall_back<B: Bits>(&self, draws: Draws<B>, call: &Call, it: &mut Apart<B::V>) {
        let bits = draws.bits;
        if call.fallback() == Fallback::None {
            return;
        }
        let dependency = &self.plan.dependencies[call.dependency as usize];
        let caught = draws.chance(dependency.works_key.0, dependency.works, it.down);
        it.down = bits.without(it.down, caught);
        let Fallback::Node(node) = call.fallback() else {
            it.degraded = bits.or(it.degraded, caught);
            return;
        };
        let instead = self.state_of(bits, node);
        let served = bits.without(caught, fails_now(bits, &instead));
        it.degraded = bits.or(it.degraded, served);
        it.corrupt = bits.or(it.corrupt, bits.and(caught, instead.corrupt));
        it.down = bits.or(it.down, bits.and(caught, instead.down));
        let hangs = bits.and(caught, instead.slow);
        if call.timed {
            it.down = bits.or(it.down, hangs);
        } else {
            it.slow = bits.or(it.slow, hangs);
        }
    }

    /// At every dependency that something came in at: in which trials, where it passed, and what
    /// held it.
    #[inline(always)]
    pub(super) fn observe<B: Bits>(&self, draws: Draws<B>, mut see: impl FnMut(u32, &Seen)) {
        let bits = draws.bits;
        let mut calls: Vec<u32> =
            self.touched.iter().flat_map(|node| self.wiring.observed(*node)).copied().collect();
        calls.sort_unstable();
        calls.dedup();
        for index in calls {
            let call = &self.plan.calls[index as usize];
            let mut watch = Watch::new(bits);
            let passed = fails_now(bits, &self.steps(draws, call, &mut watch));
            if !bits.is_none(watch.entered) {
                let it = &self.plan.dependencies[call.dependency as usize];
                let reaches = draws.chance(it.propagation_key.0, it.propagation, watch.entered);
                let unlucky = bits.without(watch.entered, reaches);
                see(call.dependency, &watch.seen(bits, call, passed, unlucky));
            }
        }
    }
}

/// Slow, down or corrupt.
#[inline(always)]
fn fails_now<B: Bits>(bits: B, it: &Apart<B::V>) -> B::V {
    bits.or(bits.or(it.slow, it.down), it.corrupt)
}

/// What came of failure at a dependency.
pub(super) struct Seen {
    pub(super) tried: Word,
    pub(super) passed: Word,
    pub(super) held: [Word; Guard::ALL.len()],
}

/// Follows the steps of one call, as the fluid engine does.
struct Watch<B: Bits> {
    entered: B::V,
    slow: B::V,
    corrupt: B::V,
    left: [B::V; Guard::ALL.len()],
    has_acted: [bool; Guard::ALL.len()],
}

impl<B: Bits> Watch<B> {
    fn new(bits: B) -> Self {
        let none = bits.none();
        Self {
            entered: none,
            slow: none,
            corrupt: none,
            left: [none; Guard::ALL.len()],
            has_acted: [false; Guard::ALL.len()],
        }
    }

    #[inline(always)]
    fn seen(&self, bits: B, call: &Call, passed: B::V, unlucky: B::V) -> Seen {
        let mut held = [bits.none(); Guard::ALL.len()];
        let mut was_held = bits.none();
        for step in Guard::STEPS.into_iter().filter(|step| self.has_acted[*step as usize]) {
            let is_held = bits.without(self.entered, self.left[step as usize]);
            let now = bits.without(is_held, was_held);
            for by in &mut held {
                *by = bits.without(*by, now);
            }
            held[step as usize] = bits.or(held[step as usize], now);
            was_held = is_held;
        }
        let mut rename = |enabler: Guard, which: B::V| {
            for guard in [Guard::Redundancy, Guard::Retry, Guard::Fallback, Guard::Soft] {
                let renamed = bits.and(held[guard as usize], which);
                held[guard as usize] = bits.without(held[guard as usize], renamed);
                held[enabler as usize] = bits.or(held[enabler as usize], renamed);
            }
        };
        if call.gives_up {
            rename(Guard::Timeout, self.slow);
        }
        if call.validates {
            rename(Guard::Validation, self.corrupt);
        }
        for by in &mut held {
            *by = bits.without(*by, unlucky);
        }
        held[Guard::Luck as usize] = unlucky;
        let word = |v: B::V| {
            let mut word = Word::NONE;
            bits.store(&mut word, v);
            word
        };
        let contained = bits.without(self.entered, passed);
        Seen {
            tried: word(self.entered),
            passed: word(bits.and(self.entered, passed)),
            held: held.map(|by| word(bits.and(by, contained))),
        }
    }
}

impl<B: Bits> Steps<B> for Watch<B> {
    #[inline(always)]
    fn enters(&mut self, bits: B, raw: &Apart<B::V>) {
        // Of several members the first one that fails is looked at.
        self.slow = bits.or(self.slow, bits.without(raw.slow, self.entered));
        self.corrupt = bits.or(self.corrupt, bits.without(raw.corrupt, self.entered));
        self.entered = bits.or(self.entered, fails_now(bits, raw));
    }

    #[inline(always)]
    fn after(&mut self, bits: B, guard: Guard, failing: B::V) {
        self.has_acted[guard as usize] = true;
        self.left[guard as usize] = bits.or(self.left[guard as usize], failing);
    }
}
