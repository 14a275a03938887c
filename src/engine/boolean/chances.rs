//! Where the engine learns what chance decides.

use super::wiring::Edge;
use crate::compile::plan::Dependency;
use crate::engine::draws::{RoundKeys, digits};
use crate::engine::simd::Bits;

/// What chance decides about calls.
pub(super) trait Chances<B: Bits>: Copy {
    /// The instructions.
    fn bits(self) -> B;
    /// Of these lanes those in which failure crosses an edge, which has this place among all edges.
    fn crosses(self, edge: &Edge, place: u32, relevant: B::V) -> B::V;
    /// Of these lanes those in which failure at a dependency as written reaches the caller.
    fn reaches(self, number: u32, dependency: &Dependency, relevant: B::V) -> B::V;
    /// Of these lanes those in which the fallback of a dependency as written works.
    fn works(self, number: u32, dependency: &Dependency, relevant: B::V) -> B::V;
    /// The lanes in which a dependency as written is what breaks, and what it then does.
    fn breaks(self, number: u32) -> Option<(B::V, [B::V; 3])>;
}

/// The draws of a block.
#[derive(Clone, Copy)]
pub(super) struct Draws<B: Bits> {
    pub(super) bits: B,
    round_keys: [B::V; 5],
}

impl<B: Bits> Draws<B> {
    #[inline(always)]
    pub(super) fn new(bits: B, keys: &RoundKeys) -> Self {
        Self { bits, round_keys: keys.0.map(|key| bits.splat(key)) }
    }

    /// Everything where it is sure, else an event of this probability.
    #[inline(always)]
    pub(super) fn unless_sure(self, key: u128, probability: f64, is_sure: bool) -> B::V {
        if is_sure { self.bits.all() } else { self.chance(key, probability, self.bits.all()) }
    }

    /// The relevant trials in which an event of this probability happens.
    #[inline(always)]
    pub(super) fn chance(self, key: u128, probability: f64, relevant: B::V) -> B::V {
        match digits(probability) {
            Some(digits) => self.draw(key, digits, relevant),
            None if probability >= 1.0 => relevant,
            None => self.bits.none(),
        }
    }

    /// The same by the binary digits of the probability; see [`crate::engine::draws`].
    #[inline(always)]
    pub(super) fn draw(self, key: u128, digits: u64, relevant: B::V) -> B::V {
        let bits = self.bits;
        let mut open = Open {
            states: bits.number(bits.splat(key)),
            digits,
            below: bits.none(),
            undecided: relevant,
        };
        // Several words at a time keep the AES units busy. A few trials are decided by four, most
        // of 512 by eight, and the rest needs about one word more for each halving.
        self.compare::<4>(&mut open);
        if open.is_decided(bits) {
            return open.below;
        }
        self.compare::<4>(&mut open);
        for _ in 0..28 {
            if open.is_decided(bits) {
                break;
            }
            self.compare::<2>(&mut open);
        }
        open.below
    }

    /// Compares so many words with the next digits.
    #[inline(always)]
    fn compare<const WORDS: usize>(self, open: &mut Open<B>) {
        let bits = self.bits;
        for _ in 0..WORDS {
            let word = self.word(open.states);
            let digit = bits.fill(open.digits.cast_signed());
            // Where the digit is 1, a 0 decides for, where it is 0, a 1 decides against.
            let decides = bits.xor(word, digit);
            let decides_for = bits.and(bits.and(open.undecided, decides), digit);
            open.below = bits.or(open.below, decides_for);
            open.undecided = bits.without(open.undecided, decides);
            open.digits <<= 1;
            open.states = bits.step(open.states);
        }
    }

    #[inline(always)]
    fn word(self, states: B::V) -> B::V {
        let bits = self.bits;
        let mut state = bits.xor(states, self.round_keys[0]);
        for round_key in &self.round_keys[1..] {
            state = bits.aes_round(state, *round_key);
        }
        state
    }
}

impl<B: Bits> Chances<B> for Draws<B> {
    #[inline(always)]
    fn bits(self) -> B {
        self.bits
    }

    #[inline(always)]
    fn crosses(self, edge: &Edge, _place: u32, relevant: B::V) -> B::V {
        if edge.digits == 0 { relevant } else { self.draw(edge.key, edge.digits, relevant) }
    }

    #[inline(always)]
    fn reaches(self, _number: u32, it: &Dependency, relevant: B::V) -> B::V {
        self.chance(it.propagation_key.0, it.propagation, relevant)
    }

    #[inline(always)]
    fn works(self, _number: u32, it: &Dependency, relevant: B::V) -> B::V {
        self.chance(it.works_key.0, it.works, relevant)
    }

    #[inline(always)]
    fn breaks(self, _number: u32) -> Option<(B::V, [B::V; 3])> {
        None
    }
}

/// A comparison under way.
struct Open<B: Bits> {
    states: B::V,
    /// Those that are left, the next one first.
    digits: u64,
    below: B::V,
    undecided: B::V,
}

impl<B: Bits> Open<B> {
    #[inline(always)]
    fn is_decided(&self, bits: B) -> bool {
        self.digits == 0 || bits.is_none(self.undecided)
    }
}
