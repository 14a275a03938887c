//! Intervals that hold at every look at once, for a gate that samples until it can tell.
//!
//! An ordinary 95% interval that is looked at again and again misses the truth far more often than in
//! 5% of cases, because looking stops when it happens to miss. These do not.
//!
//! - Shares of trials, means of shares, and quantiles: the mixture of binomial likelihood ratios over a
//!   Beta(1/2, 1/2) prior is a martingale at the true share, and by Ville's inequality exceeds `1/error`
//!   at any time with a chance of at most `error` (Robbins, "Statistical methods related to the law of
//!   the iterated logarithm", 1970; the beta-binomial boundary of Howard, Ramdas, `McAuliffe` and Sekhon,
//!   "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics, 2021). For
//!   means of shares it is a supermartingale, since a share spreads at most as a yes or no does. For
//!   quantiles it bounds their ranks.
//! - Means of orders: look `j` of those at doubling numbers of trials spends `error / (j (j + 1))`, which
//!   sums to `error` over any number of looks (a spending function in the sense of Lan and `DeMets`,
//!   "Discrete sequential boundaries for clinical trials", 1983), on an interval by the normal
//!   approximation, which the thousands of trials of the first look allow.

use super::beta::log_beta;
use crate::engine::draws::normal_quantile;
use crate::engine::sketch::Sketch;

/// Where this is from, for reports.
pub const CITATION: &str = "Robbins (1970); Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 \
                            (2021); for means Lan and DeMets, Biometrika 70 (1983)";

/// Name of the method, for reports.
pub const METHOD: &str = "intervals that hold at every look at once: beta-binomial mixture confidence \
                          sequences for shares and quantiles, error spending over doubling looks for means";

/// Halvings of an interval of shares: to the last digits of a float.
const HALVINGS: u32 = 60;

/// Where the true share lies that gave so many successes: the truth is outside at any time with a chance
/// of at most `error`. Successes may be a sum of shares.
pub fn share_interval(successes: f64, trials: u64, error: f64) -> (f64, f64) {
    let n = trials as f64;
    if trials == 0 {
        return (0.0, 1.0);
    }
    // The estimate itself is always inside, so each end lies between it and 0 or 1.
    let p = (successes / n).clamp(0.0, 1.0);
    let (mixture, bound) = (log_mixture(successes, n), -libm::log(error));
    // By Ville's inequality: a share stays in until the evidence against it exceeds `1/error`.
    let is_in = |share: f64| evidence_against(mixture, successes, n, share) < bound;
    let end = |outside: f64| {
        let (mut outside, mut inside) = (outside, p);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(outside, inside);
            if is_in(middle) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        outside
    };
    // Without a success 0 itself cannot be excluded, and there is no end to be searched for.
    let low = if successes <= 0.0 { 0.0 } else { end(0.0) };
    let high = if successes >= n { 1.0 } else { end(1.0) };
    (low, high)
}

/// Returns the logarithm of the mixture of likelihood ratios against a share.
fn log_evidence(successes: f64, trials: f64, share: f64) -> f64 {
    evidence_against(log_mixture(successes, trials), successes, trials, share)
}

/// The same, where the likelihood under the mixture is known: it costs most, and is the same for all shares.
fn evidence_against(mixture: f64, successes: f64, trials: f64, share: f64) -> f64 {
    // Nothing times an endless logarithm is nothing here, and not undefined.
    let times = |count: f64, of: f64| if count == 0.0 { 0.0 } else { count * libm::log(of) };
    mixture - times(successes, share) - times(trials - successes, 1.0 - share)
}

/// Returns the logarithm of the likelihood under the mixture of all shares.
fn log_mixture(successes: f64, trials: f64) -> f64 {
    // The logarithm of Beta(1/2, 1/2) is that of pi.
    log_beta(successes + 0.5, trials - successes + 0.5) - libm::log(std::f64::consts::PI)
}

/// Where the true quantile lies; infinite above where no rank bounds it yet.
pub fn quantile_interval(of: &Sketch, q: f64, error: f64) -> (f64, f64) {
    let n = of.count();
    let is_in = |rank: u64| log_evidence(rank as f64, n as f64, q) < -libm::log(error);
    // The rank that is expected is always inside, so each end is searched for from there.
    #[expect(clippy::cast_sign_loss, reason = "a rank is not negative")]
    let middle = (q * n as f64).round() as u64;
    // The fewest that may lie at or below the quantile, and the most that may lie below it.
    let (mut outside, mut fewest) = (0, middle);
    while outside < fewest {
        let half = outside.midpoint(fewest);
        if is_in(half) {
            fewest = half;
        } else {
            outside = half + 1;
        }
    }
    let (mut most, mut beyond) = (middle, n);
    while most < beyond {
        let half = most.midpoint(beyond + 1).max(most + 1);
        if is_in(half) {
            most = half;
        } else {
            beyond = half - 1;
        }
    }
    let low = if fewest == 0 { 0.0 } else { of.value_of_rank(fewest).unwrap_or(0.0) };
    (low, of.value_of_rank(most + 1).unwrap_or(f64::INFINITY))
}

/// Where the true mean lies, at this look, the first being 1.
pub fn mean_interval(of: &Sketch, error: f64, look: u32) -> (f64, f64) {
    let (Some(mean), Some(standard_error)) = (of.mean(), of.standard_error()) else {
        return (0.0, f64::INFINITY);
    };
    let look = f64::from(look);
    let spent = error / (look * (look + 1.0));
    // Half of it on either side.
    let reach = normal_quantile(1.0 - spent / 2.0) * standard_error;
    ((mean - reach).max(0.0), mean + reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SplitMix64`: enough for tests.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    const REPETITIONS: u64 = 1000;
    const LOOKS: u32 = 7;
    const FIRST: u64 = 500;

    /// How often an interval is ever completely below the truth.
    fn missed(mut ever_below: impl FnMut(&mut Random) -> bool) -> u64 {
        (0..REPETITIONS).filter(|seed| ever_below(&mut Random(*seed))).count() as u64
    }

    #[test]
    fn a_share_exactly_on_the_limit_is_called_below_it_in_at_most_5_of_100_cases() {
        for p in [0.05, 0.5] {
            let missed = missed(|random| {
                let (mut successes, mut trials) = (0_u64, 0);
                (0..LOOKS).any(|look| {
                    while trials < FIRST << look {
                        successes += u64::from(random.next() < p);
                        trials += 1;
                    }
                    share_interval(successes as f64, trials, 0.05).1 <= p
                })
            });
            assert!(missed <= REPETITIONS / 20, "{missed} at {p}");
        }
    }

    #[test]
    fn a_mean_and_a_quantile_exactly_on_the_limit_are_called_below_it_in_at_most_5_of_100_cases() {
        // Exponential with mean 1, whose 95% quantile is ln 20.
        let truth = libm::log(20.0);
        let mut by_mean = 0;
        let by_quantile = missed(|random| {
            let mut sketch = Sketch::new(16);
            let (mut mean_below, mut quantile_below) = (false, false);
            for look in 0..4 {
                while sketch.count() < FIRST << look {
                    sketch.add(-libm::log(1.0 - random.next()));
                }
                sketch.settle();
                mean_below |= mean_interval(&sketch, 0.05, look + 1).1 <= 1.0;
                quantile_below |= quantile_interval(&sketch, 0.95, 0.05).1 <= truth;
            }
            by_mean += u64::from(mean_below);
            quantile_below
        });
        assert!(by_mean <= REPETITIONS / 20, "{by_mean}");
        assert!(by_quantile <= REPETITIONS / 20, "{by_quantile}");
    }

    #[test]
    fn ordinary_intervals_would_fail_that() {
        let missed = missed(|random| {
            let (mut successes, mut trials) = (0_u64, 0);
            (0..LOOKS).any(|look| {
                while trials < FIRST << look {
                    successes += u64::from(random.next() < 0.5);
                    trials += 1;
                }
                crate::summary::estimate::estimate_proportion(successes, trials).high < 0.5
            })
        });
        assert!(missed > REPETITIONS / 20, "{missed}");
    }

    #[test]
    fn intervals_hold_their_estimate_and_shrink() {
        let (low, high) = share_interval(500.0, 10_000, 0.05);
        assert!(low < 0.05 && 0.05 < high && high - low < 0.02, "{low} {high}");
        let (finer_low, finer_high) = share_interval(50_000.0, 1_000_000, 0.05);
        assert!(finer_high - finer_low < (high - low) / 5.0);
        assert_eq!(share_interval(0.0, 0, 0.05), (0.0, 1.0));
        assert_eq!(share_interval(0.0, 100, 0.05).0, 0.0);
        assert_eq!(share_interval(100.0, 100, 0.05).1, 1.0);
        let mut sketch = Sketch::new(16);
        (1..=1000).for_each(|value| sketch.add(f64::from(value)));
        sketch.settle();
        let (low, high) = quantile_interval(&sketch, 0.5, 0.05);
        assert!((400.0..500.0).contains(&low) && (501.0..600.0).contains(&high), "{low} {high}");
        assert_eq!(quantile_interval(&Sketch::new(9), 0.5, 0.05), (0.0, f64::INFINITY));
    }
}
