//! The pipeline of a call on lanes: from the state of a dependency to the state that its caller
//! sees.

use super::block::BlockState;
use super::lane_counter::LaneCounter;
use super::random_source::RandomSource;
use super::state_planes::{StatePlanes, failing_lanes, failing_plane, pack_planes, unpack_planes};
use crate::compile::plan::{Call, Fallback, NONE};
use crate::engine::simd::{Bits, array};
use crate::engine::tally::Protection;

/// Observes the state between the steps of a call.
pub(super) trait CallObserver<B: Bits> {
    /// Receives the state of one called member before any step.
    fn observe_member(&mut self, _bits: B, _raw: &StatePlanes<B::V>) {}
    /// Receives the lanes that still fail after the step that belongs to `guard`.
    fn observe_step(&mut self, _bits: B, _guard: Protection, _failing: B::V) {}
}

/// Observer that ignores all steps.
pub(super) struct NoObserver;

impl<B: Bits> CallObserver<B> for NoObserver {}

impl<const P: usize> BlockState<'_, P> {
    /// Returns the planes that a call adds to its caller.
    #[inline(always)]
    pub(super) fn evaluate_call<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        index: u32,
    ) -> [B::V; P] {
        source.vector_bits().outline(
            #[inline(always)]
            || {
                let run_pipeline =
                    self.run_pipeline(source, &self.plan.calls[index as usize], &mut NoObserver);
                pack_planes(source.vector_bits(), run_pipeline)
            },
        )
    }

    /// Returns the state of a node as exclusive planes.
    #[inline(always)]
    fn unpacked_state<B: Bits>(&self, bits: B, node: u32) -> StatePlanes<B::V> {
        let state = &self.planes[node as usize];
        unpack_planes(bits, array::<_, P>(|plane| bits.load(&state[plane])))
    }

    /// Runs steps 0 to 8 of a call.
    #[inline(always)]
    pub(super) fn run_pipeline<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        call: &Call,
        steps: &mut impl CallObserver<B>,
    ) -> StatePlanes<B::V> {
        let bits = source.vector_bits();
        let mut item = if call.any_of {
            self.evaluate_any_of(source, call, steps)
        } else {
            self.evaluate_member(source, call, self.plan.members_of(call)[0].node, steps)
        };
        let mut soft = call.soft;
        if let Some(buffer) = call.buffer() {
            // In a snapshot a failing dependency has been failing for no time at all, so any buffer
            // still holds.
            let felt = if buffer.holds > 0.0 {
                bits.none()
            } else {
                self.awaited_failure(source, call, &item)
            };
            for plane in [&mut item.slow, &mut item.down, &mut item.corrupt, &mut item.degraded] {
                *plane = bits.and(*plane, felt);
            }
            steps.observe_step(bits, Protection::Buffer, failing_lanes(bits, &item));
            soft = buffer.drops;
        }
        self.apply_fallback(source, call, &mut item);
        steps.observe_step(bits, Protection::Fallback, failing_lanes(bits, &item));
        if soft {
            item.degraded = bits.or(item.degraded, bits.or(item.down, item.corrupt));
            (item.down, item.corrupt) = (bits.none(), bits.none());
            steps.observe_step(bits, Protection::Soft, failing_lanes(bits, &item));
        }
        if call.probability < 1.0 {
            item = StatePlanes::all_ok(bits);
            steps.observe_step(bits, Protection::CallProbability, bits.none());
        }
        let dependency = &self.plan.dependencies[call.dependency as usize];
        if dependency.propagation < 1.0 {
            let any = bits.or(failing_lanes(bits, &item), item.degraded);
            let reaches = source.propagation_lanes(call.dependency, dependency, any);
            for plane in [&mut item.slow, &mut item.down, &mut item.corrupt, &mut item.degraded] {
                *plane = bits.and(*plane, reaches);
            }
            steps.observe_step(bits, Protection::Propagation, failing_lanes(bits, &item));
        }
        item
    }

    /// Returns the lanes in which a buffer's dependency fails: the single member, or the `any_of`
    /// as a whole.
    #[inline(always)]
    fn awaited_failure<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        call: &Call,
        together: &StatePlanes<B::V>,
    ) -> B::V {
        if call.any_of {
            failing_lanes(source.vector_bits(), together)
        } else {
            let node = self.plan.members_of(call)[0].node;
            failing_lanes(source.vector_bits(), &self.called_state(source, call, node))
        }
    }

    /// Returns the state of a node as this call sees it: broken where the dependency itself is the
    /// origin.
    #[inline(always)]
    fn called_state<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        call: &Call,
        node: u32,
    ) -> StatePlanes<B::V> {
        let bits = source.vector_bits();
        let unpacked_state = self.unpacked_state(bits, node);
        let Some((lanes, [slow, down, corrupt])) = source.forced_failure(call.dependency) else {
            return unpacked_state;
        };
        let or = |plane: B::V, broken: B::V| {
            bits.or(bits.without(plane, lanes), bits.and(broken, lanes))
        };
        StatePlanes {
            slow: or(unpacked_state.slow, slow),
            down: or(unpacked_state.down, down),
            corrupt: or(unpacked_state.corrupt, corrupt),
            degraded: bits.without(unpacked_state.degraded, lanes),
        }
    }

    /// Runs steps 0 to 4 for one member. Retries never change a share that is 0 or 1.
    #[inline(always)]
    fn evaluate_member<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        call: &Call,
        node: u32,
        steps: &mut impl CallObserver<B>,
    ) -> StatePlanes<B::V> {
        let bits = source.vector_bits();
        let raw = self.called_state(source, call, node);
        let mut item = raw;
        steps.observe_member(bits, &raw);
        if call.soft {
            item.degraded = bits.none();
        }
        if call.gives_up {
            (item.down, item.slow) = (bits.or(item.down, item.slow), bits.none());
        }
        if call.validates {
            (item.down, item.corrupt) = (bits.or(item.down, item.corrupt), bits.none());
        }
        if call.retries > 0 {
            steps.observe_step(bits, Protection::Retry, failing_lanes(bits, &item));
        }
        if let Some(cache) = call.cache() {
            let answers = if cache.hit_ratio < 1.0 {
                bits.none()
            } else if cache.ttl > 0.0 {
                bits.all()
            } else {
                // With a time to live of zero the first failure empties the cache.
                bits.without(bits.all(), failing_lanes(bits, &raw))
            };
            let answers = if cache.node == NONE {
                answers
            } else {
                let lost = bits.load(&self.planes[cache.node as usize][failing_plane::<P>()]);
                bits.without(answers, lost)
            };
            for plane in [&mut item.slow, &mut item.down] {
                *plane = bits.without(*plane, answers);
            }
            if cache.keeps_out_corrupt() {
                item.corrupt = bits.without(item.corrupt, answers);
            }
            steps.observe_step(bits, Protection::Cache, failing_lanes(bits, &item));
        }
        item
    }

    /// Returns the lanes in which fewer than `needs` members are up. Members of a Boolean plan fail
    /// fast or not at all.
    #[inline(always)]
    fn evaluate_any_of<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        call: &Call,
        steps: &mut impl CallObserver<B>,
    ) -> StatePlanes<B::V> {
        let bits = source.vector_bits();
        let members = self.plan.members_of(call);
        let allowed = members.len() as u32 - call.needs;
        let mut lost = LaneCounter::new(bits);
        for member in members {
            let evaluate_member = self.evaluate_member(source, call, member.node, steps);
            lost.add_carry(bits, evaluate_member.down);
        }
        let down = lost.at_least(bits, allowed + 1);
        steps.observe_step(bits, Protection::Redundancy, down);
        StatePlanes { down, ..StatePlanes::all_ok(bits) }
    }

    /// Runs step 6: the fallback answers where the call fails fast.
    #[inline(always)]
    fn apply_fallback<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        call: &Call,
        state_planes: &mut StatePlanes<B::V>,
    ) {
        let bits = source.vector_bits();
        if call.fallback() == Fallback::None {
            return;
        }
        let dependency = &self.plan.dependencies[call.dependency as usize];
        let caught = source.fallback_successes(call.dependency, dependency, state_planes.down);
        state_planes.down = bits.without(state_planes.down, caught);
        let Fallback::Node(node) = call.fallback() else {
            state_planes.degraded = bits.or(state_planes.degraded, caught);
            return;
        };
        let instead = self.unpacked_state(bits, node);
        let served = bits.without(caught, failing_lanes(bits, &instead));
        state_planes.degraded = bits.or(state_planes.degraded, served);
        state_planes.corrupt = bits.or(state_planes.corrupt, bits.and(caught, instead.corrupt));
        state_planes.down = bits.or(state_planes.down, bits.and(caught, instead.down));
        let hangs = bits.and(caught, instead.slow);
        if call.has_deadline {
            state_planes.down = bits.or(state_planes.down, hangs);
        } else {
            state_planes.slow = bits.or(state_planes.slow, hangs);
        }
    }
}
