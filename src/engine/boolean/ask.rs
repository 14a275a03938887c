//! What a call brings to its caller, for 512 trials: the steps of the pipeline on bits.

use super::chances::Chances;
use super::counter::Counter;
use super::lab::Lab;
use super::planes::{Apart, apart, failing, fails_now, planes_of};
use crate::compile::plan::{Call, Fallback, NONE};
use crate::engine::simd::{Bits, array};
use crate::engine::tally::Protection;

/// What the steps of a call leave, for those who want to know.
pub(super) trait Steps<B: Bits> {
    /// A dependency, or one of several, before any step.
    fn enters(&mut self, _bits: B, _raw: &Apart<B::V>) {}
    /// What still fails after a step that is the work of this guard.
    fn after(&mut self, _bits: B, _guard: Protection, _failing: B::V) {}
}

/// Nobody wants to know.
pub(super) struct Unwatched;

impl<B: Bits> Steps<B> for Unwatched {}

impl<const P: usize> Lab<'_, P> {
    /// The planes that a call brings to its caller.
    #[inline(always)]
    pub(super) fn answer<B: Bits>(&self, chances: impl Chances<B>, index: u32) -> [B::V; P] {
        chances.bits().apart(
            #[inline(always)]
            || {
                let it = self.steps(chances, &self.plan.calls[index as usize], &mut Unwatched);
                planes_of(chances.bits(), it)
            },
        )
    }

    /// The state of a node, taken apart.
    #[inline(always)]
    fn state_of<B: Bits>(&self, bits: B, node: u32) -> Apart<B::V> {
        let state = &self.state[node as usize];
        apart(bits, array::<_, P>(|plane| bits.load(&state[plane])))
    }

    /// Steps 0 to 8.
    #[inline(always)]
    pub(super) fn steps<B: Bits>(
        &self,
        chances: impl Chances<B>,
        call: &Call,
        steps: &mut impl Steps<B>,
    ) -> Apart<B::V> {
        let bits = chances.bits();
        let mut it = if call.any_of {
            self.any_of(chances, call, steps)
        } else {
            self.member(chances, call, self.plan.members_of(call)[0].node, steps)
        };
        let mut soft = call.soft;
        if let Some(buffer) = call.buffer() {
            // In a single moment a failing dependency has been failing for no time at all.
            let felt =
                if buffer.holds > 0.0 { bits.none() } else { self.fails(chances, call, &it) };
            for plane in [&mut it.slow, &mut it.down, &mut it.corrupt, &mut it.degraded] {
                *plane = bits.and(*plane, felt);
            }
            steps.after(bits, Protection::Buffer, fails_now(bits, &it));
            soft = buffer.drops;
        }
        self.fall_back(chances, call, &mut it);
        steps.after(bits, Protection::Fallback, fails_now(bits, &it));
        if soft {
            it.degraded = bits.or(it.degraded, bits.or(it.down, it.corrupt));
            (it.down, it.corrupt) = (bits.none(), bits.none());
            steps.after(bits, Protection::Soft, fails_now(bits, &it));
        }
        if call.probability < 1.0 {
            it = Apart::ok(bits);
            steps.after(bits, Protection::CallProbability, bits.none());
        }
        let dependency = &self.plan.dependencies[call.dependency as usize];
        if dependency.propagation < 1.0 {
            let any = bits.or(fails_now(bits, &it), it.degraded);
            let reaches = chances.reaches(call.dependency, dependency, any);
            for plane in [&mut it.slow, &mut it.down, &mut it.corrupt, &mut it.degraded] {
                *plane = bits.and(*plane, reaches);
            }
            steps.after(bits, Protection::Propagation, fails_now(bits, &it));
        }
        it
    }

    /// What the guards that wait look at: the dependency itself, or an `any_of` as a whole.
    #[inline(always)]
    fn fails<B: Bits>(
        &self,
        chances: impl Chances<B>,
        call: &Call,
        together: &Apart<B::V>,
    ) -> B::V {
        if call.any_of {
            fails_now(chances.bits(), together)
        } else {
            let node = self.plan.members_of(call)[0].node;
            fails_now(chances.bits(), &self.called(chances, call, node))
        }
    }

    /// The state of a node as a call of it finds it.
    #[inline(always)]
    fn called<B: Bits>(&self, chances: impl Chances<B>, call: &Call, node: u32) -> Apart<B::V> {
        let bits = chances.bits();
        let it = self.state_of(bits, node);
        let Some((lanes, [slow, down, corrupt])) = chances.breaks(call.dependency) else {
            return it;
        };
        let or = |plane: B::V, broken: B::V| {
            bits.or(bits.without(plane, lanes), bits.and(broken, lanes))
        };
        Apart {
            slow: or(it.slow, slow),
            down: or(it.down, down),
            corrupt: or(it.corrupt, corrupt),
            degraded: bits.without(it.degraded, lanes),
        }
    }

    /// Steps 0 to 4 for one member. Retries change nothing that is all or nothing.
    #[inline(always)]
    fn member<B: Bits>(
        &self,
        chances: impl Chances<B>,
        call: &Call,
        node: u32,
        steps: &mut impl Steps<B>,
    ) -> Apart<B::V> {
        let bits = chances.bits();
        let raw = self.called(chances, call, node);
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
            steps.after(bits, Protection::Retry, fails_now(bits, &it));
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
            steps.after(bits, Protection::Cache, fails_now(bits, &it));
        }
        it
    }

    /// Whether fewer than `needs` members are up; members of a Boolean plan fail fast or not at all.
    #[inline(always)]
    fn any_of<B: Bits>(
        &self,
        chances: impl Chances<B>,
        call: &Call,
        steps: &mut impl Steps<B>,
    ) -> Apart<B::V> {
        let bits = chances.bits();
        let members = self.plan.members_of(call);
        let allowed = members.len() as u32 - call.needs;
        let mut lost = Counter::new(bits);
        for member in members {
            let it = self.member(chances, call, member.node, steps);
            lost.add(bits, it.down);
        }
        let down = lost.at_least(bits, allowed + 1);
        steps.after(bits, Protection::Redundancy, down);
        Apart { down, ..Apart::ok(bits) }
    }

    /// Step 6.
    #[inline(always)]
    fn fall_back<B: Bits>(&self, chances: impl Chances<B>, call: &Call, it: &mut Apart<B::V>) {
        let bits = chances.bits();
        if call.fallback() == Fallback::None {
            return;
        }
        let dependency = &self.plan.dependencies[call.dependency as usize];
        let caught = chances.works(call.dependency, dependency, it.down);
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
        if call.has_deadline {
            it.down = bits.or(it.down, hangs);
        } else {
            it.slow = bits.or(it.slow, hangs);
        }
    }
}
