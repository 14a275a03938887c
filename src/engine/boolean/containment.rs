//! Containment at every dependency: where failure propagated to the caller, and which protection
//! contained it.

use super::block::BlockState;
use super::call_pipeline::CallObserver;
use super::random_source::{BlockDraws, RandomSource as _};
use super::state_planes::{StatePlanes, failing_lanes};
use crate::compile::plan::Call;
use crate::engine::simd::{Bits, LaneMask, array};
use crate::engine::tally::Protection;

impl<const P: usize> BlockState<'_, P> {
    /// Calls `see` for every dependency that was exposed to failure, with the lanes of each
    /// outcome.
    #[inline(always)]
    pub(super) fn observe_containment<B: Bits>(
        &self,
        draws: BlockDraws<'_, B>,
        mut see: impl FnMut(u32, &ContainmentLanes),
    ) {
        let bits = draws.bits;
        let mut calls: Vec<u32> =
            self.visited.iter().flat_map(|node| self.graph.observed(*node)).copied().collect();
        calls.sort_unstable();
        calls.dedup();
        for index in calls {
            let call = &self.plan.calls[index as usize];
            let mut watch = ContainmentObserver::new(bits);
            let passed = failing_lanes(bits, &self.run_pipeline(draws, call, &mut watch));
            if !bits.is_none(watch.entered) {
                let it = &self.plan.dependencies[call.dependency as usize];
                let reaches = draws.propagations(call.dependency, it, watch.entered);
                let unlucky = bits.without(watch.entered, reaches);
                see(call.dependency, &watch.seen(bits, call, passed, unlucky));
            }
        }
    }
}

/// Lanes of each outcome at one dependency.
pub(super) struct ContainmentLanes {
    pub(super) tried: LaneMask,
    pub(super) passed: LaneMask,
    pub(super) held: [LaneMask; Protection::ALL.len()],
}

/// Follows the steps of one call, with the same rules as the fluid engine.
struct ContainmentObserver<B: Bits> {
    entered: B::V,
    slow: B::V,
    corrupt: B::V,
    left: [B::V; Protection::ALL.len()],
    has_acted: [bool; Protection::ALL.len()],
}

impl<B: Bits> ContainmentObserver<B> {
    fn new(bits: B) -> Self {
        let none = bits.none();
        Self {
            entered: none,
            slow: none,
            corrupt: none,
            left: [none; Protection::ALL.len()],
            has_acted: [false; Protection::ALL.len()],
        }
    }

    #[inline(always)]
    fn seen(&self, bits: B, call: &Call, passed: B::V, unlucky: B::V) -> ContainmentLanes {
        let mut held = [bits.none(); Protection::ALL.len()];
        let mut was_held = bits.none();
        for step in Protection::STEPS.into_iter().filter(|step| self.has_acted[*step as usize]) {
            let is_held = bits.without(self.entered, self.left[step as usize]);
            let now = bits.without(is_held, was_held);
            for by in &mut held {
                *by = bits.without(*by, now);
            }
            held[step as usize] = bits.or(held[step as usize], now);
            was_held = is_held;
        }
        let mut rename = |enabler: Protection, which: B::V| {
            for guard in
                [Protection::Redundancy, Protection::Retry, Protection::Fallback, Protection::Soft]
            {
                let renamed = bits.and(held[guard as usize], which);
                held[guard as usize] = bits.without(held[guard as usize], renamed);
                held[enabler as usize] = bits.or(held[enabler as usize], renamed);
            }
        };
        if call.gives_up {
            rename(Protection::Timeout, self.slow);
        }
        if call.validates {
            rename(Protection::Validation, self.corrupt);
        }
        for by in &mut held {
            *by = bits.without(*by, unlucky);
        }
        held[Protection::Propagation as usize] = unlucky;
        let contained = bits.without(self.entered, passed);
        ContainmentLanes {
            tried: bits.to_mask(self.entered),
            passed: bits.to_mask(bits.and(self.entered, passed)),
            held: array(
                #[inline(always)]
                |by| bits.to_mask(bits.and(held[by], contained)),
            ),
        }
    }
}

impl<B: Bits> CallObserver<B> for ContainmentObserver<B> {
    #[inline(always)]
    fn observe_member(&mut self, bits: B, raw: &StatePlanes<B::V>) {
        // Among several members the first failing one decides which protection is credited.
        self.slow = bits.or(self.slow, bits.without(raw.slow, self.entered));
        self.corrupt = bits.or(self.corrupt, bits.without(raw.corrupt, self.entered));
        self.entered = bits.or(self.entered, failing_lanes(bits, raw));
    }

    #[inline(always)]
    fn observe_step(&mut self, bits: B, guard: Protection, failing: B::V) {
        self.has_acted[guard as usize] = true;
        self.left[guard as usize] = bits.or(self.left[guard as usize], failing);
    }
}
