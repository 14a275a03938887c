//! Where the engine learns what chance decides.

use super::wiring::Edge;
use crate::compile::plan::Dependency;
use crate::engine::draws::{RoundKeys, digits};
use crate::engine::simd::{Bits, Wide};

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
pub(super) struct Draws<'k, B: Bits> {
    pub(super) bits: B,
    keys: &'k RoundKeys,
}

impl<'k, B: Bits> Draws<'k, B> {
    pub(super) fn new(bits: B, keys: &'k RoundKeys) -> Self {
        Self { bits, keys }
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
        self.bits.with_wide_aes(&Below { keys: self.keys, key, digits, relevant })
    }
}

/// A comparison of random numbers with the binary digits of a probability.
struct Below<'k, V> {
    keys: &'k RoundKeys,
    key: u128,
    digits: u64,
    relevant: V,
}

/// So many words are compared in any case: they decide some fifty trials more often than not, and
/// their AES rounds, which do not wait for each other, keep the units busy.
const AT_ONCE: u32 = 8;

impl<V: Copy> Wide<V> for Below<'_, V> {
    /// From the last of the first words back: a trial is below if its number differs first where the
    /// digit is 1, so that each word overrules those after it.
    #[inline(always)]
    fn run<B: Bits<V = V>>(&self, bits: B) -> V {
        let first = (self.digits >> 56) as u8;
        let digits = bits.digits(first);
        // `other` is whether what is known differs from the last digit, and goes from digit to digit
        // by where they change: one operation in four less than by the digits themselves.
        let changes = bits.digits(first ^ first << 1);
        let states = bits.number(bits.splat(self.key));
        let (mut other, mut differs) = (bits.none(), bits.none());
        macro_rules! word {
            ($place:literal) => {
                let digit = bits.digit(digits, $place);
                let decides = self.word(bits, bits.step(states, $place), digit);
                other = bits.without(bits.xor(other, bits.digit(changes, $place)), decides);
                differs = bits.or(differs, decides);
            };
        }
        word!(7);
        word!(6);
        word!(5);
        word!(4);
        word!(3);
        word!(2);
        word!(1);
        word!(0);
        let below = bits.and(bits.xor(other, bits.digit(digits, 0)), self.relevant);
        let undecided = bits.without(self.relevant, differs);
        if bits.is_none(undecided) {
            return below;
        }
        bits.or(below, self.rest(bits, bits.step(states, AT_ONCE), undecided))
    }
}

impl<V: Copy> Below<'_, V> {
    /// The trials that are below by the digits after the first ones.
    #[inline(always)]
    fn rest<B: Bits<V = V>>(&self, bits: B, mut states: V, mut undecided: V) -> V {
        let mut digits = self.digits << AT_ONCE;
        let mut below = bits.none();
        // Each word leaves one in two.
        while digits != 0 && !bits.is_none(undecided) {
            for _ in 0..2 {
                let digit = bits.fill(digits.cast_signed());
                let decides = self.word(bits, states, digit);
                below = bits.or(below, bits.and(bits.and(undecided, decides), digit));
                undecided = bits.without(undecided, decides);
                digits <<= 1;
                states = bits.step(states, 1);
            }
        }
        below
    }

    /// Where a random word differs from a digit.
    #[inline(always)]
    fn word<B: Bits<V = V>>(&self, bits: B, states: V, digit: V) -> V {
        let [first, rounds @ .., last] = &self.keys.0;
        let mut state = bits.xor(states, bits.splat(*first));
        for round_key in rounds {
            state = bits.aes_round(state, bits.splat(*round_key));
        }
        // A round ends by adding its key.
        bits.aes_round(state, bits.xor(bits.splat(*last), digit))
    }
}

impl<B: Bits> Chances<B> for Draws<'_, B> {
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
