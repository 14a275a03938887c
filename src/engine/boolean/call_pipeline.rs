//! The pipeline of a call on lanes: a set of trials is a vector with a bit for each.

use std::convert::Infallible;

use super::block::BlockState;
use super::lane_counter::LaneCounter;
use super::random_source::RandomSource;
use super::state_planes::{failing_lanes, failing_plane, pack_planes, unpack_planes};
use crate::compile::plan::{Call, CallId, DependencyId, NodeId, Plan};
use crate::engine::pipeline::{self, CallContext, StateSets};
use crate::engine::simd::{Bits, array};
use crate::engine::tally::Protection;

/// Observes the state between the steps of a call.
pub(super) trait CallObserver<B: Bits> {
    /// Receives the state of one called member before any step.
    fn observe_member(&mut self, _bits: B, _raw: &StateSets<B::V>) {}
    /// Receives the state after the step that belongs to `guard`.
    fn observe_step(&mut self, _bits: B, _guard: Protection, _state: &StateSets<B::V>) {}
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
        index: CallId,
    ) -> [B::V; P] {
        source.vector_bits().outline(
            #[inline(always)]
            || {
                let call = &self.plan.calls[index];
                let state = self.run_pipeline(source, call, &mut NoObserver);
                pack_planes(source.vector_bits(), state)
            },
        )
    }

    /// Runs steps 0 to 8 of a call.
    #[inline(always)]
    pub(super) fn run_pipeline<B: Bits>(
        &self,
        source: impl RandomSource<B>,
        call: &Call,
        observer: &mut impl CallObserver<B>,
    ) -> StateSets<B::V> {
        let mut context = LaneContext { block: self, bits: source.vector_bits(), source, observer };
        let Ok(state) = pipeline::run_pipeline(&mut context, call);
        state
    }

    /// Returns the state of a node as exclusive planes.
    #[inline(always)]
    fn unpacked_state<B: Bits>(&self, bits: B, node: NodeId) -> StateSets<B::V> {
        let state = &self.planes[node];
        unpack_planes(bits, array::<_, P>(|plane| bits.load(&state[plane])))
    }
}

/// Lanes of a block, as they are when a call is evaluated.
struct LaneContext<'a, 'p, B, R, O, const P: usize> {
    block: &'a BlockState<'p, P>,
    bits: B,
    source: R,
    observer: &'a mut O,
}

impl<B: Bits, R: RandomSource<B>, O: CallObserver<B>, const P: usize> CallContext
    for LaneContext<'_, '_, B, R, O, P>
{
    type Set = B::V;
    type Error = Infallible;
    type Losses = LaneCounter<B::V>;

    #[inline(always)]
    fn plan(&self) -> &Plan {
        self.block.plan
    }

    #[inline(always)]
    fn none(&self) -> B::V {
        self.bits.none()
    }

    #[inline(always)]
    fn all(&self) -> B::V {
        self.bits.all()
    }

    #[inline(always)]
    fn and(&mut self, a: B::V, b: B::V) -> Result<B::V, Infallible> {
        Ok(self.bits.and(a, b))
    }

    #[inline(always)]
    fn or(&mut self, a: B::V, b: B::V) -> Result<B::V, Infallible> {
        Ok(self.bits.or(a, b))
    }

    #[inline(always)]
    fn without(&mut self, a: B::V, b: B::V) -> Result<B::V, Infallible> {
        Ok(self.bits.without(a, b))
    }

    #[inline(always)]
    fn node_state(&mut self, node: NodeId) -> Result<StateSets<B::V>, Infallible> {
        Ok(self.block.unpacked_state(self.bits, node))
    }

    #[inline(always)]
    fn node_failures(&mut self, node: NodeId) -> B::V {
        self.bits.load(&self.block.planes[node][failing_plane::<P>()])
    }

    #[inline(always)]
    fn called_state(&mut self, call: &Call, node: NodeId) -> Result<StateSets<B::V>, Infallible> {
        let bits = self.bits;
        let state = self.block.unpacked_state(bits, node);
        let Some((lanes, [slow, down, corrupt])) = self.source.forced_failure(call.dependency)
        else {
            return Ok(state);
        };
        let or = |plane: B::V, broken: B::V| {
            bits.or(bits.without(plane, lanes), bits.and(broken, lanes))
        };
        Ok(StateSets {
            slow: or(state.slow, slow),
            down: or(state.down, down),
            corrupt: or(state.corrupt, corrupt),
            degraded: bits.without(state.degraded, lanes),
        })
    }

    #[inline(always)]
    fn called_failures(&mut self, call: &Call, node: NodeId) -> B::V {
        let Ok(state) = self.called_state(call, node);
        failing_lanes(self.bits, &state)
    }

    #[inline(always)]
    fn no_losses(&self, _members: usize) -> LaneCounter<B::V> {
        LaneCounter::new(self.bits)
    }

    #[inline(always)]
    fn add_loss(&mut self, losses: &mut LaneCounter<B::V>, lost: B::V) {
        losses.add_carry(self.bits, lost);
    }

    #[inline(always)]
    fn at_least(&mut self, losses: &LaneCounter<B::V>, count: u32) -> Result<B::V, Infallible> {
        Ok(losses.at_least(self.bits, count))
    }

    #[inline(always)]
    fn fallback_successes(
        &mut self,
        dependency: DependencyId,
        down: B::V,
    ) -> Result<B::V, Infallible> {
        let declared = &self.block.plan.dependencies[dependency];
        Ok(self.source.fallback_successes(dependency, declared, down))
    }

    #[inline(always)]
    fn propagating(
        &mut self,
        dependency: DependencyId,
        state: &StateSets<B::V>,
    ) -> Result<Option<B::V>, Infallible> {
        let declared = &self.block.plan.dependencies[dependency];
        if declared.propagation >= 1.0 {
            return Ok(None);
        }
        let any = self.bits.or(failing_lanes(self.bits, state), state.degraded);
        Ok(Some(self.source.propagation_lanes(dependency, declared, any)))
    }

    #[inline(always)]
    fn observe_member(&mut self, raw: &StateSets<B::V>) {
        self.observer.observe_member(self.bits, raw);
    }

    #[inline(always)]
    fn observe_step(&mut self, guard: Protection, state: &StateSets<B::V>) {
        self.observer.observe_step(self.bits, guard, state);
    }
}
