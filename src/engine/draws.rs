//! Random numbers addressed by (seed, trial, key): any trial can be drawn alone, in any order.
//!
//! A word of 512 random bits belongs to (seed, block of 512 trials, [`Key`], index); bit `t` of it
//! belongs to trial `512 * block + t`. It is four AES states `key + 4 * index + j`, each through
//! four AES rounds under round keys that come from (seed, block). AES rounds as a counter-based
//! generator are ARS of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011),
//! which passes `BigCrush` from five rounds on with a trivial key schedule; here the round keys
//! are fully mixed by ten rounds.
//!
//! These words, in the order of 8 indices within 64 names within blocks, were piped into dieharder
//! 3.31.1 (`dieharder -g 200 -d N`, its standard sizes): of its default battery tests 0 to 4, 8 to 13,
//! 15 to 17, 100 to 102 and 204 to 209, and of those with a parameter 200 with 8, 201 with 2 to 5, 202 with
//! 2, 3 and 5, and 203 with 8. All passed, with p-values from 0.013 to 0.979, but for three that it calls weak:
//! spheres (12) 0.9996, greatest common divisors (17) 0.9998, and distances in four dimensions (201 with 4)
//! 0.998. With the words of 63 names instead, and ten times as many samples for 12, these came to 0.67, 0.49
//! and 0.60, and 0.32. Left out: the other parameters of 200 to 203, and what dieharder itself calls suspect
//! (5 to 7) or not to be used (14). `PractRand` and `TestU01` were not at hand.
//!
//! A chance event compares such words, most significant first, with the binary digits of its
//! probability: exact to 2^-64, the same bits whether 64 or 512 trials are drawn at once, and
//! nested: what happens at probability p happens at every larger one too.

use super::simd::aes_round;
use crate::compile::Key;

/// How many trials share a random word.
pub const BLOCK: u32 = 512;
/// How many trials one `u64` of it covers.
pub const CHUNK: u32 = 64;
const ROUNDS: usize = 4;
/// The block number whose words are the continuous draws, one AES state a trial.
const CONTINUOUS: u64 = u64::MAX;

/// All randomness of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    seed: u64,
}

impl Draws {
    /// The draws of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The draws of the 64 trials from `64 * chunk` on.
    pub fn chunk(self, chunk: u64) -> ChunkDraws {
        let per_block = u64::from(BLOCK / CHUNK);
        ChunkDraws {
            round_keys: RoundKeys::new(self.seed, chunk / per_block),
            // Keys of continuous draws do not depend on the block: the number of the trial is in
            // the counter.
            continuous: RoundKeys::new(self.seed, CONTINUOUS),
            first_trial: chunk * u64::from(CHUNK),
            slice: (chunk % per_block) as u32,
        }
    }
}

/// The draws of 64 trials in a row; bit `i` of every mask belongs to the `i`-th of them.
#[derive(Clone, Debug)]
pub struct ChunkDraws {
    round_keys: RoundKeys,
    continuous: RoundKeys,
    first_trial: u64,
    /// Which `u64` of the 512-bit words, 0 to 7.
    slice: u32,
}

impl ChunkDraws {
    /// The trials in which an event of this probability happens.
    pub fn bernoulli(&self, key: Key, probability: f64) -> u64 {
        let Some(digits) = binary_digits(probability) else {
            return if probability >= 1.0 { u64::MAX } else { 0 };
        };
        // A trial's draw is below the probability if it has a 0 at the first digit that differs.
        let (mut below, mut undecided) = (0, u64::MAX);
        for index in 0..64 {
            let word = self.random_word(key, index);
            if digits >> (63 - index) & 1 == 1 {
                below |= undecided & !word;
                undecided &= word;
            } else {
                undecided &= !word;
            }
            // The remaining digits are all 0, so what is undecided is not below.
            if undecided == 0 || digits << index << 1 == 0 {
                break;
            }
        }
        below
    }

    /// A number strictly between 0 and 1, uniform, for one of the 64 trials.
    pub fn uniform(&self, key: Key, lane: u32) -> f64 {
        let state = self.continuous.encrypt_counter(key, self.first_trial + u64::from(lane));
        let bits = (state as u64) >> 11;
        // In the middle of each of 2^53 steps, so that neither 0 nor 1 can come out.
        (bits as f64 + 0.5) * (-53_f64).exp2()
    }

    /// A standard normal number for one of the 64 trials.
    pub fn normal(&self, key: Key, lane: u32) -> f64 {
        normal_quantile(self.uniform(key, lane))
    }

    fn random_word(&self, key: Key, index: u32) -> u64 {
        // Four states make up a word of 512 bits, and a state holds two slices.
        let state = self.round_keys.encrypt_counter(key, u64::from(4 * index + self.slice / 2));
        (state >> (64 * (self.slice % 2))) as u64
    }
}

/// The first 64 binary digits of a probability strictly between 0 and 1, or nothing.
pub fn binary_digits(probability: f64) -> Option<u64> {
    if probability <= 0.0 || probability >= 1.0 {
        return None;
    }
    // Exact: a float times a power of two; the cast drops digits beyond the 64th.
    #[expect(clippy::cast_sign_loss, reason = "probabilities are positive here")]
    let digits = (probability * 64_f64.exp2()) as u64;
    // The smallest probability keeps one digit, since no digits mean certainty.
    Some(digits.max(1))
}

/// Round keys for one block of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundKeys(pub [u128; ROUNDS + 1]);

impl RoundKeys {
    /// Ten rounds over (seed, block, number of the round key), so that near inputs share nothing.
    pub fn new(seed: u64, block: u64) -> Self {
        // The first digits of pi after the point: nothing up the sleeve.
        const PI: u128 = 0x243f_6a88_85a3_08d3_1319_8a2e_0370_7344;
        let mut keys = [0; ROUNDS + 1];
        for (number, key) in keys.iter_mut().enumerate() {
            let mut state = u128::from(seed) | u128::from(block) << 64;
            for round in 0..10 {
                let constant = PI.rotate_left(11 * round) ^ (number as u128) << 40;
                state = aes_round(state, constant);
            }
            *key = state;
        }
        Self(keys)
    }

    /// The random state number `counter` of a key.
    pub fn encrypt_counter(&self, key: Key, counter: u64) -> u128 {
        // Only the low half counts up, without carry, as vector units add.
        let low = (key.0 as u64).wrapping_add(counter);
        let mut state = (key.0 >> 64 << 64 | u128::from(low)) ^ self.0[0];
        for round_key in &self.0[1..] {
            state = aes_round(state, *round_key);
        }
        state
    }
}

/// The point that a standard normal number stays below with probability `p`.
///
/// Wichura, "Algorithm AS 241: the percentage points of the normal distribution" (Applied
/// Statistics 37, 1988), routine PPND16: relative error about 1e-16. Logarithm and root come from
/// `libm`, so that the bits are the same on every machine.
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    // Three ranges, each with a ratio of polynomials of its own, as published.
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * rational_ratio(&CENTRE, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail));
    let value =
        if r <= 5.0 { rational_ratio(&MIDDLE, r - 1.6) } else { rational_ratio(&FAR, r - 5.0) };
    // The distribution is symmetric, so one tail serves for both.
    if q < 0.0 { -value } else { value }
}

type Coefficients = ([f64; 8], [f64; 8]);

fn rational_ratio((numerator, denominator): &Coefficients, r: f64) -> f64 {
    let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, term| sum * r + term);
    horner(numerator) / horner(denominator)
}

const CENTRE: Coefficients = (
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_545,
    ],
);
const MIDDLE: Coefficients = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
const FAR: Coefficients = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_aes_round_has_the_published_answer() {
        // FIPS 197, appendix B: the state after the first round of the example.
        let input = u128::from_le_bytes([
            0x19, 0x3d, 0xe3, 0xbe, 0xa0, 0xf4, 0xe2, 0x2b, 0x9a, 0xc6, 0x8d, 0x2a, 0xe9, 0xf8,
            0x48, 0x08,
        ]);
        let key = u128::from_le_bytes([
            0xa0, 0xfa, 0xfe, 0x17, 0x88, 0x54, 0x2c, 0xb1, 0x23, 0xa3, 0x39, 0x39, 0x2a, 0x6c,
            0x76, 0x05,
        ]);
        let output = u128::from_le_bytes([
            0xa4, 0x9c, 0x7f, 0xf2, 0x68, 0x9f, 0x35, 0x2b, 0x6b, 0x5b, 0xea, 0x43, 0x02, 0x6a,
            0x50, 0x49,
        ]);
        assert_eq!(aes_round(input, key), output);
    }

    #[test]
    fn the_random_source_has_known_answers() {
        // By a program of its own in C with the processor's AES instruction.
        let keys = RoundKeys::new(1, 0);
        let states = [0, 1, 2, 3]
            .map(|counter| keys.encrypt_counter(Key::new("propagation", "a>b"), counter));
        let expected: [u128; 4] = [
            0x4a1d_841d_5ef1_0cba_c0b9_54bc_a1c9_c209,
            0x9318_8e8c_fe1d_d87b_012b_18e1_8411_aae9,
            0xd8f1_3047_e16d_0129_5cb7_88b6_0101_cb76,
            0xab6d_64a0_3e52_822a_ed27_8ed9_18f9_3505,
        ];
        assert_eq!(states, expected);
        // The first word of the chunks of the block are these states, low halves first.
        let draws =
            |chunk| Draws::new(1).chunk(chunk).random_word(Key::new("propagation", "a>b"), 0);
        assert_eq!(draws(0), expected[0] as u64);
        assert_eq!(draws(7), (expected[3] >> 64) as u64);
    }

    #[test]
    fn events_are_nested_and_as_frequent_as_they_should_be() {
        // Miri takes a thousand times as long, and sees in one what it would see in all.
        let (chunks, probabilities) =
            if cfg!(miri) { (1, &[0.3][..]) } else { (2000, &[1e-3, 0.1, 0.3, 0.5, 0.999][..]) };
        let draws = Draws::new(1);
        let key = Key::new("test", "event");
        for &probability in probabilities {
            let mut happened = 0;
            for chunk in 0..chunks {
                let draws = draws.chunk(chunk);
                let rarer = draws.bernoulli(key, probability / 2.0);
                let mask = draws.bernoulli(key, probability);
                assert_eq!(rarer & !mask, 0);
                happened += u64::from(mask.count_ones());
            }
            let n = (chunks * u64::from(CHUNK)) as f64;
            let mean = n * probability;
            let error = (n * probability * (1.0 - probability)).sqrt();
            assert!((happened as f64 - mean).abs() < 5.0 * error, "{probability}: {happened}");
        }
    }

    #[test]
    fn impossible_and_certain_events_draw_nothing() {
        let draws = Draws::new(1).chunk(0);
        assert_eq!(draws.bernoulli(Key(0), 0.0), 0);
        assert_eq!(draws.bernoulli(Key(0), 1.0), u64::MAX);
    }

    #[test]
    fn quantiles_of_the_normal_distribution_are_the_tabulated_ones() {
        for (p, z) in [
            (0.5, 0.0),
            (0.95, 1.644_853_626_951_472_2),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813_5),
            (1e-12, -7.034_483_825_301_131),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-13, "{p}: {}", normal_quantile(p));
        }
    }
}
