//! What came of failure at every dependency: where it passed, and what held it.

use super::ask::Steps;
use super::chances::{Chances as _, Draws};
use super::lab::Lab;
use super::planes::{Apart, fails_now};
use crate::compile::plan::Call;
use crate::engine::simd::{Bits, Word, array};
use crate::engine::tally::Protection;

impl<const P: usize> Lab<'_, P> {
    /// At every dependency that something came in at: in which trials, where it passed, and what
    /// held it.
    #[inline(always)]
    pub(super) fn observe<B: Bits>(&self, draws: Draws<'_, B>, mut see: impl FnMut(u32, &Seen)) {
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
                let reaches = draws.reaches(call.dependency, it, watch.entered);
                let unlucky = bits.without(watch.entered, reaches);
                see(call.dependency, &watch.seen(bits, call, passed, unlucky));
            }
        }
    }
}

/// What came of failure at a dependency.
pub(super) struct Seen {
    pub(super) tried: Word,
    pub(super) passed: Word,
    pub(super) held: [Word; Protection::ALL.len()],
}

/// Follows the steps of one call, as the fluid engine does.
struct Watch<B: Bits> {
    entered: B::V,
    slow: B::V,
    corrupt: B::V,
    left: [B::V; Protection::ALL.len()],
    has_acted: [bool; Protection::ALL.len()],
}

impl<B: Bits> Watch<B> {
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
    fn seen(&self, bits: B, call: &Call, passed: B::V, unlucky: B::V) -> Seen {
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
        Seen {
            tried: bits.word(self.entered),
            passed: bits.word(bits.and(self.entered, passed)),
            held: array(
                #[inline(always)]
                |by| bits.word(bits.and(held[by], contained)),
            ),
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
    fn after(&mut self, bits: B, guard: Protection, failing: B::V) {
        self.has_acted[guard as usize] = true;
        self.left[guard as usize] = bits.or(self.left[guard as usize], failing);
    }
}
