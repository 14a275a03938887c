//! Random decisions about calls, from the keyed draws of a block.

use super::propagation_graph::Edge;
use crate::compile::plan::{Dependency, DependencyId};
use crate::engine::draws::{RoundKeys, binary_digits};
use crate::engine::simd::{Bits, DIGITS, WideAesTask};

/// Source of the random decisions about calls.
pub(super) trait RandomSource<B: Bits>: Copy {
    /// Returns the vector operations.
    fn vector_bits(self) -> B;
    /// Returns the lanes of `relevant` in which failure crosses the edge, which has this place
    /// among all edges.
    fn edge_crossings(self, edge: &Edge, place: u32, relevant: B::V) -> B::V;
    /// Returns the lanes of `relevant` in which failure of a dependency propagates to the caller.
    fn propagation_lanes(self, id: DependencyId, dependency: &Dependency, relevant: B::V) -> B::V;
    /// Returns the lanes of `relevant` in which the fallback of a dependency works.
    fn fallback_successes(self, id: DependencyId, dependency: &Dependency, relevant: B::V) -> B::V;
    /// Returns the lanes in which the dependency is the origin, and the slow, down and corrupt
    /// lanes it then has.
    fn forced_failure(self, id: DependencyId) -> Option<(B::V, [B::V; 3])>;
}

/// Draws of one block.
#[derive(Clone, Copy)]
pub(super) struct BlockDraws<'k, B: Bits> {
    pub(super) bits: B,
    keys: &'k RoundKeys,
}

impl<'k, B: Bits> BlockDraws<'k, B> {
    pub(super) fn new(bits: B, keys: &'k RoundKeys) -> Self {
        Self { bits, keys }
    }

    /// Returns all lanes where the event is certain, else the lanes in which it is drawn.
    #[inline(always)]
    pub(super) fn draw_unless_certain(self, key: u128, probability: f64, is_sure: bool) -> B::V {
        if is_sure { self.bits.all() } else { self.draw_event(key, probability, self.bits.all()) }
    }

    /// Draws the lanes of `relevant` in which an event of this probability happens.
    #[inline(always)]
    pub(super) fn draw_event(self, key: u128, probability: f64, relevant: B::V) -> B::V {
        match binary_digits(probability) {
            Some(digits) => self.draw_digits(key, digits, relevant),
            None if probability >= 1.0 => relevant,
            None => self.bits.none(),
        }
    }

    /// Draws by the binary digits of the probability; see [`crate::engine::draws`].
    #[inline(always)]
    pub(super) fn draw_digits(self, key: u128, digits: u64, relevant: B::V) -> B::V {
        self.bits.with_wide_aes(&BernoulliComparison { keys: self.keys, key, digits, relevant })
    }
}

/// Comparison of the random words of a key with the binary digits of a probability.
struct BernoulliComparison<'k, V> {
    keys: &'k RoundKeys,
    key: u128,
    digits: u64,
    relevant: V,
}

/// Words that are always compared. They decide all but two of 512 lanes on average, and their AES
/// rounds are independent, so that they overlap in the processor.
const AT_ONCE: u32 = 8;

impl<V: Copy> WideAesTask<V> for BernoulliComparison<'_, V> {
    /// From the last of the first words back: a lane is below if its number first differs where the
    /// digit is 1, so that each word overrules the ones after it.
    #[inline(always)]
    fn run<B: Bits<V = V>>(&self, bits: B) -> V {
        // The first eight digits are looked up, so that no shift is needed for each of them.
        let digits = &DIGITS[(self.digits >> 56) as usize];
        let states = bits.number_states(bits.broadcast_state(self.key));
        let words = bits.random_words(&self.keys.0, states);
        let (mut below, mut differs) = (bits.none(), bits.none());
        macro_rules! word {
            ($place:literal) => {
                let digit = bits.load_digit(digits, $place);
                below = bits.decide_below(below, words[$place], digit);
                differs = bits.or_differing(differs, words[$place], digit);
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
        let below = bits.and(below, self.relevant);
        let undecided = bits.without(self.relevant, differs);
        if bits.is_none(undecided) {
            return below;
        }
        bits.or(below, self.compare_rest(bits, bits.advance_states(states, AT_ONCE), undecided))
    }
}

impl<V: Copy> BernoulliComparison<'_, V> {
    /// Returns the undecided lanes that are below by the digits after the first ones.
    #[inline(always)]
    fn compare_rest<B: Bits<V = V>>(&self, bits: B, mut states: V, mut undecided: V) -> V {
        let mut digits = self.digits << AT_ONCE;
        let mut below = bits.none();
        // Each word leaves half of the lanes undecided, so two words per check.
        while digits != 0 && !bits.is_none(undecided) {
            let words = bits.random_word_pair(&self.keys.0, states);
            for word in words {
                let digit = bits.fill_by_sign(digits.cast_signed());
                let decides = bits.xor(word, digit);
                below = bits.or(below, bits.and(bits.and(undecided, decides), digit));
                undecided = bits.without(undecided, decides);
                digits <<= 1;
            }
            states = bits.advance_states(states, 2);
        }
        below
    }
}

impl<B: Bits> RandomSource<B> for BlockDraws<'_, B> {
    #[inline(always)]
    fn vector_bits(self) -> B {
        self.bits
    }

    #[inline(always)]
    fn edge_crossings(self, edge: &Edge, _place: u32, relevant: B::V) -> B::V {
        // An edge that is certain costs no random numbers.
        if edge.digits == 0 { relevant } else { self.draw_digits(edge.key, edge.digits, relevant) }
    }

    #[inline(always)]
    fn propagation_lanes(self, _id: DependencyId, dependency: &Dependency, relevant: B::V) -> B::V {
        self.draw_event(dependency.propagation_key.0, dependency.propagation, relevant)
    }

    #[inline(always)]
    fn fallback_successes(
        self,
        _id: DependencyId,
        dependency: &Dependency,
        relevant: B::V,
    ) -> B::V {
        self.draw_event(dependency.works_key.0, dependency.works, relevant)
    }

    #[inline(always)]
    fn forced_failure(self, _id: DependencyId) -> Option<(B::V, [B::V; 3])> {
        None
    }
}
