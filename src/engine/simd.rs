//! Vector instructions of the machine, chosen at run time: the only place with `unsafe` code.
//!
//! Two things live here: [`widest`], under which plain loops are compiled for wide vectors, and
//! [`Bits`], the operations on 512 trials at a time that the Boolean engine is made of, once by hand
//! for AVX-512, once for AVX2, and once portable. All of them give the same bits: vector units
//! round like scalar ones, the compiler neither reorders nor fuses floating-point operations, and an
//! AES round is an AES round.
//!
//! `.ci/miri` runs the tests of this file and of the draws under Miri (`cargo +nightly miri test`), where
//! there is one: first the portable code, then AVX2 with and without wide AES (`-C
//! target-feature=+avx2,+aes,+vaes,+popcnt,+bmi1,+bmi2`). Nothing undefined was found in either.
//! AVX-512 was not run so.
#![expect(unsafe_code, reason = "a processor's features are known only at run time")]

use aes::hazmat::cipher_round;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whatever every machine has.
    Portable,
    /// AVX2 and AES.
    Avx2,
    /// AVX-512 with wide AES.
    Avx512,
}

impl Level {
    /// The best that this machine has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if Avx512::new().is_some() {
                return Self::Avx512;
            }
            if Avx2::new().is_some() {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// Runs `work` compiled for the widest vector instructions that this machine has.
///
/// Only what is inlined into `work` profits.
#[inline]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if Avx512::new().is_some() {
            // SAFETY: the token proves that the machine has the features of the function.
            return unsafe { with_avx512(work) };
        }
        if Avx2::new().is_some() {
            // SAFETY: the token proves that the machine has the features of the function.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}

/// Work that is generic over the instructions used.
pub(crate) trait Task {
    /// What comes out.
    type Output;
    /// Does it.
    fn run<B: Bits>(self, bits: B) -> Self::Output;
}

/// Runs a task with the instructions of a level, or of the best level below that the machine has.
pub(crate) fn run<T: Task>(level: Level, task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if level >= Level::Avx512
            && let Some(bits) = Avx512::new()
        {
            // SAFETY: the token proves that the machine has the features of the function.
            return unsafe {
                with_avx512(
                    #[inline(always)]
                    || task.run(bits),
                )
            };
        }
        if level >= Level::Avx2
            && let Some(bits) = Avx2::new()
        {
            // SAFETY: the token proves that the machine has the features of the function.
            return unsafe {
                with_avx2(
                    #[inline(always)]
                    || task.run(bits),
                )
            };
        }
    }
    let _ = level;
    task.run(Portable)
}

/// # Safety
/// The machine must have these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,vaes,aes,avx2,popcnt,bmi1,bmi2")]
unsafe fn with_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// # Safety
/// The machine must have these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,aes,popcnt,bmi1,bmi2")]
unsafe fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// # Safety
/// The machine must have these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,aes,vaes,popcnt,bmi1,bmi2")]
#[inline(never)]
unsafe fn with_avx2_and_wide_aes<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// 512 bits in memory: bit `i % 64` of word `i / 64` belongs to trial `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Word(pub [u64; 8]);

impl Word {
    /// No trial.
    pub const NONE: Self = Self([0; 8]);
    /// Every trial.
    pub const ALL: Self = Self([u64::MAX; 8]);

    /// How many trials.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// An array made place by place, for what runs with vector instructions: the standard library's
/// `from_fn` and `map` call their closures through a function of their own, which knows nothing of the
/// caller's instructions unless the whole crate is optimised once more.
#[inline(always)]
pub(crate) fn array<T: Copy, const N: usize>(mut at: impl FnMut(usize) -> T) -> [T; N] {
    let mut array = [at(0); N];
    for place in 1..N {
        array[place] = at(place);
    }
    array
}

/// Operations on 512 trials at a time. A value of an implementing type proves that the machine has
/// the instructions.
pub(crate) trait Bits: Copy {
    /// 512 bits in registers.
    type V: Copy;
    fn load(self, word: &Word) -> Self::V;
    fn store(self, word: &mut Word, v: Self::V);
    /// The bits in memory of their own.
    #[inline(always)]
    fn word(self, v: Self::V) -> Word {
        let mut word = Word::NONE;
        self.store(&mut word, v);
        word
    }
    fn none(self) -> Self::V;
    fn all(self) -> Self::V;
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` without `b`.
    fn without(self, a: Self::V, b: Self::V) -> Self::V;
    fn is_none(self, v: Self::V) -> bool;
    /// Every trial where the number is negative, else none.
    fn fill(self, negative: i64) -> Self::V;
    /// A byte of eight digits made ready for [`Bits::digit`].
    fn digits(self, byte: u8) -> Self::V;
    /// Every trial where the digit at this place, 0 being the most significant, is 1; else none.
    fn digit(self, digits: Self::V, place: u8) -> Self::V;
    /// Four 128-bit states, all the same.
    fn splat(self, state: u128) -> Self::V;
    /// Adds to the low half of each 128-bit state its number, 0 to 3.
    fn number(self, states: Self::V) -> Self::V;
    /// Adds 4 for each of so many words to the low half of each 128-bit state.
    fn step(self, states: Self::V, words: u32) -> Self::V;
    /// One AES encryption round of each 128-bit state; the round key must be the same in all four.
    fn aes_round(self, states: Self::V, round_key: Self::V) -> Self::V;
    /// Does some work in a function of its own, compiled for these instructions: for what is used in
    /// several places, or not hot enough to be worth a copy in each.
    fn apart<R>(self, work: impl FnOnce() -> R) -> R;
    /// Does work that is mostly AES rounds in a function of its own, with the widest ones that the
    /// machine has.
    fn with_wide_aes<W: Wide<Self::V>>(self, work: &W) -> Self::V;
}

/// Work that is generic over instructions with the same registers.
pub(crate) trait Wide<V> {
    /// Does it.
    fn run<B: Bits<V = V>>(&self, bits: B) -> V;
}

/// Plain code that runs everywhere.
///
/// Where better is nearly always to be had, on x86-64, its operations are calls: inlined they were an
/// eighth of the whole program, for machines that are hardly left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Bits for Portable {
    type V = [u64; 8];

    #[inline(always)]
    fn load(self, word: &Word) -> Self::V {
        word.0
    }

    #[inline(always)]
    fn store(self, word: &mut Word, v: Self::V) {
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

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn and(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] & b[i])
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn or(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] | b[i])
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn xor(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] ^ b[i])
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn without(self, a: Self::V, b: Self::V) -> Self::V {
        array(|i| a[i] & !b[i])
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn is_none(self, v: Self::V) -> bool {
        v.iter().fold(0, |any, word| any | word) == 0
    }

    #[inline(always)]
    fn splat(self, state: u128) -> Self::V {
        array(|i| (state >> (64 * (i % 2))) as u64)
    }

    #[inline(always)]
    fn fill(self, negative: i64) -> Self::V {
        [(negative >> 63).cast_unsigned(); 8]
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn digits(self, byte: u8) -> Self::V {
        array(|place| u64::from(byte << place >> 7).wrapping_neg())
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn digit(self, digits: Self::V, place: u8) -> Self::V {
        [digits[usize::from(place % 8)]; 8]
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn number(self, mut states: Self::V) -> Self::V {
        for number in 0..4 {
            states[2 * number] = states[2 * number].wrapping_add(number as u64);
        }
        states
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    fn step(self, mut states: Self::V, words: u32) -> Self::V {
        for number in 0..4 {
            states[2 * number] = states[2 * number].wrapping_add(4 * u64::from(words));
        }
        states
    }

    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
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

    #[inline(never)]
    fn apart<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }

    #[inline(never)]
    fn with_wide_aes<W: Wide<Self::V>>(self, work: &W) -> Self::V {
        work.run(self)
    }
}

/// One AES encryption round of one state: by the processor's instruction where there is one. It is
/// long where there is none, and used in many places.
#[inline(never)]
pub(crate) fn aes_round(state: u128, round_key: u128) -> u128 {
    let mut block = state.to_le_bytes().into();
    cipher_round(&mut block, &round_key.to_le_bytes().into());
    u128::from_le_bytes(block.into())
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[cfg_attr(
        not(test),
        expect(clippy::wildcard_imports, reason = "the names of intrinsics are their own prefix")
    )]
    use std::arch::x86_64::*;

    use super::{Bits, Wide, Word};

    /// In byte `i` the bit of digit `i`.
    const PLACES: i64 = 0x0102_0408_1020_4080;

    /// A machine with AVX-512 and wide AES.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx512(());

    impl Avx512 {
        #[inline]
        pub(crate) fn new() -> Option<Self> {
            let has = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("vaes")
                && Avx2::new().is_some();
            has.then_some(Self(()))
        }
    }

    // SAFETY of every block below: a value of the type exists only on a machine on which the
    // features of the intrinsics were found. Memory is touched only through references to `Word`,
    // which has the size and the alignment of the vector.
    impl Bits for Avx512 {
        type V = __m512i;

        #[inline(always)]
        fn load(self, word: &Word) -> __m512i {
            // SAFETY: see above.
            unsafe { _mm512_load_si512(std::ptr::from_ref(word).cast()) }
        }

        #[inline(always)]
        fn store(self, word: &mut Word, v: __m512i) {
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
        fn splat(self, state: u128) -> __m512i {
            // SAFETY: see above.
            unsafe {
                _mm512_broadcast_i32x4(_mm_set_epi64x(
                    (state >> 64).cast_signed() as i64,
                    state.cast_signed() as i64,
                ))
            }
        }

        #[inline(always)]
        fn fill(self, negative: i64) -> __m512i {
            // SAFETY: see above.
            unsafe { _mm512_set1_epi64(negative >> 63) }
        }

        #[inline(always)]
        fn digits(self, byte: u8) -> __m512i {
            // SAFETY: see above.
            unsafe {
                let places = _mm512_set1_epi64(PLACES);
                let ones = _mm512_test_epi8_mask(_mm512_set1_epi8(byte.cast_signed()), places);
                _mm512_movm_epi8(ones)
            }
        }

        #[inline(always)]
        fn digit(self, digits: __m512i, place: u8) -> __m512i {
            // SAFETY: see above.
            unsafe { _mm512_shuffle_epi8(digits, _mm512_set1_epi8(place.cast_signed())) }
        }

        #[inline(always)]
        fn number(self, states: __m512i) -> __m512i {
            // SAFETY: see above.
            unsafe { _mm512_add_epi64(states, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0)) }
        }

        #[inline(always)]
        fn step(self, states: __m512i, words: u32) -> __m512i {
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
        fn apart<R>(self, work: impl FnOnce() -> R) -> R {
            // SAFETY: see above.
            unsafe { super::with_avx512(work) }
        }

        #[inline(always)]
        fn with_wide_aes<W: Wide<Self::V>>(self, work: &W) -> __m512i {
            self.apart(
                #[inline(always)]
                || work.run(self),
            )
        }
    }

    /// A machine with AVX2 and AES; where `WIDE`, with AES for two states at a time.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx2<const WIDE: bool = false> {
        /// The same machine, where it has wide AES.
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

        /// The same machine, as if it had no wide AES.
        #[cfg(test)]
        pub(crate) fn narrow() -> Option<Self> {
            Self::new().map(|_| Self { is_wide: false })
        }
    }

    // SAFETY of every block below: as for `Avx512`; a `Word` holds two vectors of 256 bits, each
    // aligned as it must be.
    impl<const WIDE: bool> Bits for Avx2<WIDE> {
        type V = [__m256i; 2];

        #[inline(always)]
        fn load(self, word: &Word) -> Self::V {
            let place: *const __m256i = std::ptr::from_ref(word).cast();
            // SAFETY: see above.
            unsafe { [_mm256_load_si256(place), _mm256_load_si256(place.add(1))] }
        }

        #[inline(always)]
        fn store(self, word: &mut Word, v: Self::V) {
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
        fn splat(self, state: u128) -> Self::V {
            // SAFETY: see above.
            unsafe {
                let one =
                    _mm_set_epi64x((state >> 64).cast_signed() as i64, state.cast_signed() as i64);
                [_mm256_broadcastsi128_si256(one); 2]
            }
        }

        #[inline(always)]
        fn fill(self, negative: i64) -> Self::V {
            // SAFETY: see above.
            unsafe { [_mm256_set1_epi64x(negative >> 63); 2] }
        }

        #[inline(always)]
        fn digits(self, byte: u8) -> Self::V {
            // SAFETY: see above.
            unsafe {
                let places = _mm256_set1_epi64x(PLACES);
                let byte = _mm256_set1_epi8(byte.cast_signed());
                [_mm256_cmpeq_epi8(_mm256_and_si256(byte, places), places); 2]
            }
        }

        #[inline(always)]
        fn digit(self, digits: Self::V, place: u8) -> Self::V {
            // SAFETY: see above.
            unsafe {
                let place = _mm256_set1_epi8(place.cast_signed());
                [_mm256_shuffle_epi8(digits[0], place), _mm256_shuffle_epi8(digits[1], place)]
            }
        }

        #[inline(always)]
        fn number(self, states: Self::V) -> Self::V {
            // SAFETY: see above.
            unsafe {
                [
                    _mm256_add_epi64(states[0], _mm256_set_epi64x(0, 1, 0, 0)),
                    _mm256_add_epi64(states[1], _mm256_set_epi64x(0, 3, 0, 2)),
                ]
            }
        }

        #[inline(always)]
        fn step(self, states: Self::V, words: u32) -> Self::V {
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
        fn apart<R>(self, work: impl FnOnce() -> R) -> R {
            // SAFETY: see above.
            unsafe { super::with_avx2(work) }
        }

        #[inline(always)]
        fn with_wide_aes<W: Wide<Self::V>>(self, work: &W) -> Self::V {
            if self.is_wide {
                let bits = Avx2::<true> { is_wide: true };
                // SAFETY: see above; wide AES was found as well.
                return unsafe {
                    super::with_avx2_and_wide_aes(
                        #[inline(always)]
                        || work.run(bits),
                    )
                };
            }
            self.apart(
                #[inline(always)]
                || work.run(self),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every operation on pseudo-random words, folded into one.
    struct Everything;

    /// AES rounds of one of them.
    struct Rounds<V>(V);

    impl<V: Copy> Wide<V> for Rounds<V> {
        fn run<B: Bits<V = V>>(&self, bits: B) -> V {
            bits.aes_round(bits.aes_round(self.0, bits.splat(77 << 70)), bits.splat(5))
        }
    }

    impl Task for Everything {
        type Output = (Word, bool);

        fn run<B: Bits>(self, bits: B) -> Self::Output {
            let mut words = [Word::NONE; 3];
            for (number, word) in words.iter_mut().enumerate() {
                for (place, part) in word.0.iter_mut().enumerate() {
                    *part =
                        (number as u64 * 8 + place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                }
            }
            let [a, b, c] = [0, 1, 2].map(|number| bits.load(&words[number]));
            let mixed = bits.xor(bits.without(a, b), bits.or(bits.and(b, c), bits.none()));
            let counted = bits.step(bits.number(bits.splat(u128::MAX - 5)), 3);
            let rounded =
                bits.aes_round(bits.xor(counted, mixed), bits.splat(0x0123_4567_89ab_cdef));
            let rounded = bits.with_wide_aes(&Rounds(rounded));
            let digits = bits.digits(0b1000_1001);
            let digits = bits.xor(bits.digit(digits, 0), bits.and(bits.digit(digits, 4), b));
            let digits = bits.xor(digits, bits.and(bits.digit(bits.digits(1), 7), c));
            let mut out = Word::NONE;
            bits.store(&mut out, bits.xor(rounded, bits.xor(bits.all(), digits)));
            let fills = bits.is_none(bits.fill(5)) && !bits.is_none(bits.fill(-1));
            (out, bits.is_none(bits.none()) && !bits.is_none(a) && fills)
        }
    }

    #[test]
    fn all_levels_give_the_same_bits() {
        let portable = run(Level::Portable, Everything);
        assert!(portable.1);
        assert_eq!(run(Level::Avx2, Everything), portable);
        #[cfg(target_arch = "x86_64")]
        if let Some(bits) = Avx2::narrow() {
            assert_eq!(Everything.run(bits), portable);
        }
        // What is not found is not run: Miri must have found what the compiler was told of.
        if cfg!(all(miri, target_feature = "avx2")) {
            assert_eq!(Level::best(), Level::Avx2);
        }
        assert_eq!(run(Level::Avx512, Everything), portable);
    }
}
