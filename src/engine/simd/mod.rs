//! Vector instructions of the machine, chosen at run time: the only place with `unsafe` code.
//!
//! [`run_with_widest`] compiles plain loops for wide vectors. [`Bits`] are the operations on 512 trials
//! that the Boolean engine consists of: by hand for AVX-512 and for AVX2, and once portable. All of them
//! give the same bits: vector units round like scalar ones, the compiler neither reorders nor fuses
//! floating-point operations, and AES rounds are standardised.
//!
//! `.ci/miri` runs the tests of this file and of the draws under Miri (`cargo +nightly miri test`), where
//! it is installed: first the portable code, then AVX2 with and without wide AES (`-C
//! target-feature=+avx2,+aes,+vaes,+popcnt,+bmi1,+bmi2`). Miri finds no undefined behaviour in either.
//! It has no AVX-512, so that file is not covered.
#![expect(unsafe_code, reason = "a processor's features are known only at run time")]

use ::aes::hazmat::cipher_round;

mod aes;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// Vector instructions that an engine uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// The baseline of the target architecture.
    Portable,
    /// AVX2 and AES.
    Avx2,
    /// AVX-512 with wide AES.
    Avx512,
}

impl InstructionSet {
    /// Returns the widest set that this machine has.
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
/// Only code that is inlined into `work` is compiled so.
#[inline]
pub(crate) fn run_with_widest<R>(work: impl FnOnce() -> R) -> R {
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

/// Work that is generic over the vector instructions.
pub(crate) trait SimdTask {
    /// Result of the work.
    type Output;
    /// Runs the work with these instructions.
    fn run<B: Bits>(self, bits: B) -> Self::Output;
}

/// Runs a task with an instruction set, or with the widest one below it that the machine has.
pub(crate) fn run_task<T: SimdTask>(level: InstructionSet, task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if level >= InstructionSet::Avx512
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
        if level >= InstructionSet::Avx2
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
    // Other architectures have only the portable code.
    let _ = level;
    task.run(Portable)
}

/// # Safety
/// The machine must have these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(
    enable = "avx512f,avx512dq,avx512vl,avx512bw,vaes,aes,avx2,popcnt,bmi1,bmi2,avx512vpopcntdq"
)]
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

/// One bit for each of 512 lanes: bit `i % 64` of word `i / 64` belongs to lane `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct LaneMask(pub [u64; 8]);

impl LaneMask {
    /// No lane.
    pub const NONE: Self = Self([0; 8]);
    /// All lanes.
    pub const ALL: Self = Self([u64::MAX; 8]);

    /// Returns the number of lanes.
    #[inline(always)]
    pub fn count(&self) -> u32 {
        // No `sum`: its closure would be compiled without the caller's instructions.
        let mut count = 0;
        for word in self.0 {
            count += word.count_ones();
        }
        count
    }

    /// Returns whether there is no lane.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// Builds an array place by place, for code that runs with vector instructions.
///
/// The standard library's `from_fn` and `map` call their closures through a function of their own. It is
/// compiled without the caller's instructions, so that every operation in it would become a call.
#[inline(always)]
pub(crate) fn array<T: Copy, const N: usize>(mut at: impl FnMut(usize) -> T) -> [T; N] {
    let mut array = [at(0); N];
    for place in 1..N {
        array[place] = at(place);
    }
    array
}

/// Operations on 512 lanes. A value of an implementing type proves that the machine has the
/// instructions.
pub(crate) trait Bits: Copy {
    /// 512 bits in registers.
    type V: Copy;
    fn load(self, word: &LaneMask) -> Self::V;
    fn store(self, word: &mut LaneMask, v: Self::V);
    /// Stores the lanes in a new mask.
    #[inline(always)]
    fn to_mask(self, v: Self::V) -> LaneMask {
        let mut word = LaneMask::NONE;
        self.store(&mut word, v);
        word
    }
    fn none(self) -> Self::V;
    fn all(self) -> Self::V;
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns the lanes of `a` that are not in `b`.
    fn without(self, a: Self::V, b: Self::V) -> Self::V;
    fn is_none(self, v: Self::V) -> bool;
    /// Returns the number of lanes.
    #[inline(always)]
    fn count(self, v: Self::V) -> u32 {
        self.to_mask(v).count()
    }
    /// Returns all lanes if the number is negative, else none.
    fn fill_by_sign(self, negative: i64) -> Self::V;
    /// Returns all lanes if the digit at this place is 1, else none; see [`DIGITS`].
    fn load_digit(self, digits: &[u64; 8], place: usize) -> Self::V;
    /// Decides which numbers are below another by one more digit in front: where the bit of the number
    /// differs from the digit of the other, it is below if the digit is 1; elsewhere the digits behind
    /// have decided.
    #[inline(always)]
    fn decide_below(self, below: Self::V, word: Self::V, digit: Self::V) -> Self::V {
        self.xor(below, self.and(self.xor(below, digit), self.xor(word, digit)))
    }
    /// Adds the lanes in which `a` and `b` differ to `lanes`.
    #[inline(always)]
    fn or_differing(self, lanes: Self::V, a: Self::V, b: Self::V) -> Self::V {
        self.or(lanes, self.xor(a, b))
    }
    /// Returns four equal 128-bit states.
    fn broadcast_state(self, state: u128) -> Self::V;
    /// Adds to the low half of each 128-bit state its number, 0 to 3.
    fn number_states(self, states: Self::V) -> Self::V;
    /// Adds `4 * words` to the low half of each 128-bit state: the states of a later word.
    fn advance_states(self, states: Self::V, words: u32) -> Self::V;
    /// Runs one AES encryption round on each 128-bit state. The round key must be the same in all four.
    fn aes_round(self, states: Self::V, round_key: Self::V) -> Self::V;
    /// Returns eight random words in a row: the states of the first word, and of the seven after it,
    /// encrypted under these round keys.
    #[inline(always)]
    fn random_words(self, keys: &[u128; 5], states: Self::V) -> [Self::V; 8] {
        // No loop: the compiler would have to unroll it before it could keep the words in registers.
        let [a, b] = self.random_word_pair(keys, states);
        let [c, d] = self.random_word_pair(keys, self.advance_states(states, 2));
        let [e, f] = self.random_word_pair(keys, self.advance_states(states, 4));
        let [g, h] = self.random_word_pair(keys, self.advance_states(states, 6));
        [a, b, c, d, e, f, g, h]
    }
    /// Returns two random words in a row.
    #[inline(always)]
    fn random_word_pair(self, keys: &[u128; 5], states: Self::V) -> [Self::V; 2] {
        [encrypt(self, keys, states), encrypt(self, keys, self.advance_states(states, 1))]
    }
    /// Runs work in a function of its own, compiled for these instructions: for code that is used in
    /// several places, or too cold to be worth a copy in each.
    fn outline<R>(self, work: impl FnOnce() -> R) -> R;
    /// Runs work that is mostly AES rounds in a function of its own, with the widest rounds that the
    /// machine has.
    fn with_wide_aes<W: WideAesTask<Self::V>>(self, work: &W) -> Self::V;
}

/// Encrypts four states by four AES rounds.
#[inline(always)]
fn encrypt<B: Bits>(bits: B, keys: &[u128; 5], states: B::V) -> B::V {
    let state = bits.xor(states, bits.broadcast_state(keys[0]));
    let state = bits.aes_round(state, bits.broadcast_state(keys[1]));
    let state = bits.aes_round(state, bits.broadcast_state(keys[2]));
    let state = bits.aes_round(state, bits.broadcast_state(keys[3]));
    bits.aes_round(state, bits.broadcast_state(keys[4]))
}

/// Work that is generic over instruction sets with the same registers.
pub(crate) trait WideAesTask<V> {
    /// Runs the work with these instructions.
    fn run<B: Bits<V = V>>(&self, bits: B) -> V;
}

/// The binary digits of every byte, the most significant first, each as all ones or none: a vector unit
/// broadcasts them while it loads.
pub(crate) static DIGITS: [[u64; 8]; 256] = {
    let mut digits = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut place = 0;
        while place < 8 {
            digits[byte][place] = ((byte as u64) >> (7 - place) & 1).wrapping_neg();
            place += 1;
        }
        byte += 1;
    }
    digits
};

/// Runs one AES encryption round on one state, by the processor's instruction where it has one.
// Not inlined: without the instruction it is long, and it is used in many places.
#[inline(never)]
pub(crate) fn aes_round(state: u128, round_key: u128) -> u128 {
    let mut block = state.to_le_bytes().into();
    cipher_round(&mut block, &round_key.to_le_bytes().into());
    u128::from_le_bytes(block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Task that runs every operation on pseudo-random words and folds the results into one.
    struct Everything;

    /// Two AES rounds of one vector.
    struct Rounds<V>(V);

    impl<V: Copy> WideAesTask<V> for Rounds<V> {
        fn run<B: Bits<V = V>>(&self, bits: B) -> V {
            bits.aes_round(
                bits.aes_round(self.0, bits.broadcast_state(77 << 70)),
                bits.broadcast_state(5),
            )
        }
    }

    impl SimdTask for Everything {
        type Output = (LaneMask, bool);

        fn run<B: Bits>(self, bits: B) -> Self::Output {
            let mut words = [LaneMask::NONE; 3];
            for (number, word) in words.iter_mut().enumerate() {
                for (place, part) in word.0.iter_mut().enumerate() {
                    *part =
                        (number as u64 * 8 + place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                }
            }
            let [a, b, c] = [0, 1, 2].map(|number| bits.load(&words[number]));
            let mixed = bits.xor(bits.without(a, b), bits.or(bits.and(b, c), bits.none()));
            let counted =
                bits.advance_states(bits.number_states(bits.broadcast_state(u128::MAX - 5)), 3);
            let rounded = bits
                .aes_round(bits.xor(counted, mixed), bits.broadcast_state(0x0123_4567_89ab_cdef));
            let rounded = bits.with_wide_aes(&Rounds(rounded));
            let keys = [1, 2 << 80, 3, 4 << 100, 5];
            let words = bits.random_words(&keys, bits.xor(counted, mixed));
            let rounded = words
                .iter()
                .fold(rounded, |all, word| bits.aes_round(bits.xor(all, *word), bits.none()));
            let digits = &DIGITS[0b1000_1001];
            let [first, second] = [0, 1].map(|place| bits.load_digit(digits, place));
            let below = bits.decide_below(bits.decide_below(a, b, first), c, second);
            let digits = bits.or_differing(bits.and(below, rounded), a, second);
            let mut out = LaneMask::NONE;
            bits.store(&mut out, bits.xor(rounded, bits.xor(bits.all(), digits)));
            let fills = bits.is_none(bits.fill_by_sign(5)) && !bits.is_none(bits.fill_by_sign(-1));
            (out, bits.is_none(bits.none()) && !bits.is_none(a) && fills)
        }
    }

    #[test]
    fn all_levels_give_the_same_bits() {
        let portable = run_task(InstructionSet::Portable, Everything);
        assert!(portable.1);
        assert_eq!(run_task(InstructionSet::Avx2, Everything), portable);
        #[cfg(target_arch = "x86_64")]
        if let Some(bits) = Avx2::narrow() {
            assert_eq!(Everything.run(bits), portable);
        }
        // Missing instructions are not run, so Miri must have found what the compiler was told to use.
        if cfg!(all(miri, target_feature = "avx2")) {
            assert_eq!(InstructionSet::best(), InstructionSet::Avx2);
        }
        assert_eq!(run_task(InstructionSet::Avx512, Everything), portable);
    }
}
