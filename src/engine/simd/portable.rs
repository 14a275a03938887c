//! Operations on 512 trials in plain code, for machines without the instructions of the others.

use super::aes::encrypt_words;
use super::{Bits, LaneMask, WideAesTask, aes_round, array};

/// Token for plain code that runs everywhere. Its loops over eight words are vectorised by the
/// compiler for the baseline of the target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Bits for Portable {
    type V = [u64; 8];

    #[inline(always)]
    fn load(self, word: &LaneMask) -> Self::V {
        word.0
    }

    #[inline(always)]
    fn store(self, word: &mut LaneMask, v: Self::V) {
        word.0 = v;
    }

    #[inline(always)]
    fn none(self) -> Self::V {
        [0; 8]
    }

    #[inline(always)]
    fn all(self) -> Self::V {
        [u64::MAX; 8]
    }

    #[inline(always)]
    fn and(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] & b[i])
    }

    #[inline(always)]
    fn or(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn xor(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] ^ b[i])
    }

    #[inline(always)]
    fn without(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] & !b[i])
    }

    #[inline(always)]
    fn is_none(self, v: Self::V) -> bool {
        let mut any = 0;
        for word in v {
            any |= word;
        }
        any == 0
    }

    #[inline(always)]
    fn broadcast_state(self, state: u128) -> Self::V {
        array(|i| (state >> (64 * (i % 2))) as u64)
    }

    #[inline(always)]
    fn fill_by_sign(self, negative: i64) -> Self::V {
        [(negative >> 63).cast_unsigned(); 8]
    }

    #[inline(always)]
    fn load_digit(self, digits: &[u64; 8], place: usize) -> Self::V {
        [digits[place]; 8]
    }

    #[inline(always)]
    fn number_states(self, mut states: Self::V) -> Self::V {
        for number in 0..4 {
            states[2 * number] = states[2 * number].wrapping_add(number as u64);
        }
        states
    }

    #[inline(always)]
    fn advance_states(self, mut states: Self::V, words: u32) -> Self::V {
        for number in 0..4 {
            states[2 * number] = states[2 * number].wrapping_add(4 * u64::from(words));
        }
        states
    }

    #[inline(always)]
    fn aes_round(self, mut states: Self::V, round_key: Self::V) -> Self::V {
        for number in 0..4 {
            let pair =
                |v: &Self::V| u128::from(v[2 * number]) | u128::from(v[2 * number + 1]) << 64;
            let state = aes_round(pair(&states), pair(&round_key));
            states[2 * number] = state as u64;
            states[2 * number + 1] = (state >> 64) as u64;
        }
        states
    }

    #[inline(always)]
    fn random_words(self, keys: &[u128; 5], states: Self::V) -> [Self::V; 8] {
        let mut words = [[0; 8]; 8];
        encrypt_words(keys, &states, &mut words);
        words
    }

    #[inline(always)]
    fn random_word_pair(self, keys: &[u128; 5], states: Self::V) -> [Self::V; 2] {
        let mut words = [[0; 8]; 2];
        encrypt_words(keys, &states, &mut words);
        words
    }

    #[inline(never)]
    fn outline<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }

    #[inline(never)]
    fn with_wide_aes<W: WideAesTask<Self::V>>(self, work: &W) -> Self::V {
        work.run(self)
    }
}
