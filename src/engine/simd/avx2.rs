//! Operations on 512 trials by AVX2 with AES, two vectors each.
#![cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "the names of intrinsics are their own prefix")
)]

use std::arch::x86_64::*;

use super::{Bits, LaneMask, WideAesTask, with_avx2, with_avx2_and_wide_aes};

/// Token of a machine with AVX2 and AES. If `WIDE`, its AES rounds take two states at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2<const WIDE: bool = false> {
    /// Whether the machine has AES rounds for two states at a time.
    is_wide: bool,
}

impl Avx2 {
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        has.then(|| Self { is_wide: is_x86_feature_detected!("vaes") })
    }

    /// Returns the token of the same machine without its wide AES.
    #[cfg(test)]
    pub(crate) fn narrow() -> Option<Self> {
        Self::new().map(|_| Self { is_wide: false })
    }
}

// SAFETY of every block below: as for `Avx512`; a `LaneMask` holds two vectors of 256 bits, each
// aligned as it must be.
impl<const WIDE: bool> Bits for Avx2<WIDE> {
    type V = [__m256i; 2];

    #[inline(always)]
    fn load(self, word: &LaneMask) -> Self::V {
        let place: *const __m256i = std::ptr::from_ref(word).cast();
        // SAFETY: see above.
        unsafe { [_mm256_load_si256(place), _mm256_load_si256(place.add(1))] }
    }

    #[inline(always)]
    fn store(self, word: &mut LaneMask, v: Self::V) {
        let place: *mut __m256i = std::ptr::from_mut(word).cast();
        // SAFETY: see above.
        unsafe {
            _mm256_store_si256(place, v[0]);
            _mm256_store_si256(place.add(1), v[1]);
        }
    }

    #[inline(always)]
    fn none(self) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn all(self) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi64x(-1); 2] }
    }

    #[inline(always)]
    fn and(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])] }
    }

    #[inline(always)]
    fn or(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])] }
    }

    #[inline(always)]
    fn xor(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_xor_si256(a[0], b[0]), _mm256_xor_si256(a[1], b[1])] }
    }

    #[inline(always)]
    fn without(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_andnot_si256(b[0], a[0]), _mm256_andnot_si256(b[1], a[1])] }
    }

    #[inline(always)]
    fn is_none(self, v: Self::V) -> bool {
        // SAFETY: see above.
        unsafe {
            let any = _mm256_or_si256(v[0], v[1]);
            _mm256_testz_si256(any, any) == 1
        }
    }

    #[inline(always)]
    fn broadcast_state(self, state: u128) -> Self::V {
        // SAFETY: see above.
        unsafe {
            let one =
                _mm_set_epi64x((state >> 64).cast_signed() as i64, state.cast_signed() as i64);
            [_mm256_broadcastsi128_si256(one); 2]
        }
    }

    #[inline(always)]
    fn fill_by_sign(self, negative: i64) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi64x(negative >> 63); 2] }
    }

    #[inline(always)]
    fn load_digit(self, digits: &[u64; 8], place: usize) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi64x(digits[place].cast_signed()); 2] }
    }

    #[inline(always)]
    fn number_states(self, states: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe {
            [
                _mm256_add_epi64(states[0], _mm256_set_epi64x(0, 1, 0, 0)),
                _mm256_add_epi64(states[1], _mm256_set_epi64x(0, 3, 0, 2)),
            ]
        }
    }

    #[inline(always)]
    fn advance_states(self, states: Self::V, words: u32) -> Self::V {
        let by = 4 * i64::from(words);
        // SAFETY: see above.
        unsafe {
            let by = _mm256_set_epi64x(0, by, 0, by);
            [_mm256_add_epi64(states[0], by), _mm256_add_epi64(states[1], by)]
        }
    }

    #[inline(always)]
    fn aes_round(self, states: Self::V, round_key: Self::V) -> Self::V {
        if WIDE {
            // SAFETY: see above; where `WIDE`, wide AES was found as well.
            return unsafe {
                [
                    _mm256_aesenc_epi128(states[0], round_key[0]),
                    _mm256_aesenc_epi128(states[1], round_key[1]),
                ]
            };
        }
        // SAFETY: see above.
        unsafe {
            let half = |states: __m256i, key: __m256i| {
                let key = _mm256_castsi256_si128(key);
                let low = _mm_aesenc_si128(_mm256_castsi256_si128(states), key);
                let high = _mm_aesenc_si128(_mm256_extracti128_si256::<1>(states), key);
                _mm256_set_m128i(high, low)
            };
            [half(states[0], round_key[0]), half(states[1], round_key[1])]
        }
    }

    #[inline(never)]
    fn outline<R>(self, work: impl FnOnce() -> R) -> R {
        // SAFETY: see above.
        unsafe { with_avx2(work) }
    }

    #[inline(always)]
    fn with_wide_aes<W: WideAesTask<Self::V>>(self, work: &W) -> Self::V {
        if self.is_wide {
            let bits = Avx2::<true> { is_wide: true };
            // SAFETY: see above; wide AES was found as well.
            return unsafe {
                with_avx2_and_wide_aes(
                    #[inline(always)]
                    || work.run(bits),
                )
            };
        }
        self.outline(
            #[inline(always)]
            || work.run(self),
        )
    }
}
