//! Operations on 512 trials by AVX-512 with wide AES.
#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "the names of intrinsics are their own prefix")
)]

use std::arch::x86_64::*;

use super::Avx2;
use super::{Bits, LaneMask, WideAesTask, with_avx512};

/// Token of a machine with AVX-512 and wide AES.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("vaes")
            && Avx2::new().is_some();
        has.then_some(Self(()))
    }
}

// SAFETY of every block below: a value of the type exists only on a machine on which the
// features of the intrinsics were found. Memory is touched only through references to `LaneMask`,
// which has the size and the alignment of the vector.
impl Bits for Avx512 {
    type V = __m512i;

    #[inline(always)]
    fn load(self, word: &LaneMask) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_load_si512(std::ptr::from_ref(word).cast()) }
    }

    #[inline(always)]
    fn store(self, word: &mut LaneMask, v: __m512i) {
        // SAFETY: see above.
        unsafe { _mm512_store_si512(std::ptr::from_mut(word).cast(), v) }
    }

    #[inline(always)]
    fn none(self) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn all(self) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi64(-1) }
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn without(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_andnot_si512(b, a) }
    }

    #[inline(always)]
    fn is_none(self, v: __m512i) -> bool {
        // SAFETY: see above.
        unsafe { _mm512_test_epi64_mask(v, v) == 0 }
    }

    #[inline(always)]
    fn count(self, v: __m512i) -> u32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_add_epi64(_mm512_popcnt_epi64(v)).cast_unsigned() as u32 }
    }

    #[inline(always)]
    fn broadcast_state(self, state: u128) -> __m512i {
        // SAFETY: see above.
        unsafe {
            _mm512_broadcast_i32x4(_mm_set_epi64x(
                (state >> 64).cast_signed() as i64,
                state.cast_signed() as i64,
            ))
        }
    }

    #[inline(always)]
    fn fill_by_sign(self, negative: i64) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi64(negative >> 63) }
    }

    #[inline(always)]
    fn load_digit(self, digits: &[u64; 8], place: usize) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi64(digits[place].cast_signed()) }
    }

    #[inline(always)]
    fn decide_below(self, below: __m512i, word: __m512i, digit: __m512i) -> __m512i {
        // The majority of not `word`, `digit` and `below`.
        // SAFETY: see above.
        unsafe { _mm512_ternarylogic_epi64::<0x8e>(word, digit, below) }
    }

    #[inline(always)]
    fn or_differing(self, lanes: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_ternarylogic_epi64::<0xf6>(lanes, a, b) }
    }

    #[inline(always)]
    fn number_states(self, states: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi64(states, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0)) }
    }

    #[inline(always)]
    fn advance_states(self, states: __m512i, words: u32) -> __m512i {
        let by = 4 * i64::from(words);
        // SAFETY: see above.
        unsafe { _mm512_add_epi64(states, _mm512_set_epi64(0, by, 0, by, 0, by, 0, by)) }
    }

    #[inline(always)]
    fn aes_round(self, states: __m512i, round_key: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_aesenc_epi128(states, round_key) }
    }

    #[inline(never)]
    fn outline<R>(self, work: impl FnOnce() -> R) -> R {
        // SAFETY: see above.
        unsafe { with_avx512(work) }
    }

    #[inline(always)]
    fn with_wide_aes<W: WideAesTask<Self::V>>(self, work: &W) -> __m512i {
        self.outline(
            #[inline(always)]
            || work.run(self),
        )
    }
}
