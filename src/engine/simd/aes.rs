//! AES rounds on the states of whole words, by the processor's instruction where it has one.
//!
//! The `aes` crate has the same rounds, but each of its calls costs more than the round.

use super::aes_round;

/// Encrypts the states of as many words as there are in `words`, by four rounds. `first` are the four
/// states of the first word; those of each later word have counters that are higher by four.
pub(super) fn encrypt_words(keys: &[u128; 5], first: &[u64; 8], words: &mut [[u64; 8]]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("aes") {
        // SAFETY: the feature was found.
        unsafe { x86_64::encrypt_words(keys, first, words) };
        return;
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("aes") {
        // SAFETY: the feature was found.
        unsafe { aarch64::encrypt_words(keys, first, words) };
        return;
    }
    for (word, out) in (0..).zip(words) {
        for state in 0..4 {
            let low = first[2 * state].wrapping_add(4 * word);
            let mut block = (u128::from(first[2 * state + 1]) << 64 | u128::from(low)) ^ keys[0];
            for key in &keys[1..] {
                block = aes_round(block, *key);
            }
            out[2 * state] = block as u64;
            out[2 * state + 1] = (block >> 64) as u64;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m128i, _mm_aesenc_si128, _mm_set_epi64x, _mm_storeu_si128, _mm_xor_si128,
    };

    /// # Safety
    /// The machine must have AES instructions.
    #[target_feature(enable = "aes")]
    pub(super) unsafe fn encrypt_words(keys: &[u128; 5], first: &[u64; 8], words: &mut [[u64; 8]]) {
        let vector = |high: u64, low: u64| _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        let key = |number: usize| vector((keys[number] >> 64) as u64, keys[number] as u64);
        let keys = [key(0), key(1), key(2), key(3), key(4)];
        let mut counter = 0;
        for word in words {
            // Four states in flight hide most of the latency of a round; the next word overlaps.
            let state = |place: usize| {
                let low = first[2 * place].wrapping_add(counter);
                _mm_xor_si128(vector(first[2 * place + 1], low), keys[0])
            };
            let mut states = [state(0), state(1), state(2), state(3)];
            for key in &keys[1..] {
                for state in &mut states {
                    *state = _mm_aesenc_si128(*state, *key);
                }
            }
            for (place, state) in states.iter().enumerate() {
                let out: *mut __m128i = word[2 * place..2 * place + 2].as_mut_ptr().cast();
                // SAFETY: the slice has 16 bytes, and the store needs no alignment.
                unsafe { _mm_storeu_si128(out, *state) };
            }
            counter += 4;
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::{
        uint8x16_t, vaeseq_u8, vaesmcq_u8, vdupq_n_u8, veorq_u8, vld1q_u8, vst1q_u8,
    };

    /// # Safety
    /// The machine must have AES instructions.
    #[target_feature(enable = "neon,aes")]
    pub(super) unsafe fn encrypt_words(keys: &[u128; 5], first: &[u64; 8], words: &mut [[u64; 8]]) {
        let vector = |value: u128| -> uint8x16_t {
            let bytes = value.to_le_bytes();
            // SAFETY: the array has the 16 bytes that are read.
            unsafe { vld1q_u8(bytes.as_ptr()) }
        };
        let keys =
            [vector(keys[0]), vector(keys[1]), vector(keys[2]), vector(keys[3]), vector(keys[4])];
        let mut counter = 0;
        for word in words {
            for place in 0..4 {
                let low = u128::from(first[2 * place].wrapping_add(counter));
                let mut state =
                    veorq_u8(vector(u128::from(first[2 * place + 1]) << 64 | low), keys[0]);
                for key in &keys[1..] {
                    // This instruction adds its key before the round, so it gets zero here.
                    state = veorq_u8(vaesmcq_u8(vaeseq_u8(state, vdupq_n_u8(0))), *key);
                }
                let mut bytes = [0; 16];
                // SAFETY: the array has the 16 bytes that are written.
                unsafe { vst1q_u8(bytes.as_mut_ptr(), state) };
                let value = u128::from_le_bytes(bytes);
                word[2 * place] = value as u64;
                word[2 * place + 1] = (value >> 64) as u64;
            }
            counter += 4;
        }
    }
}
