//! A probability estimated from trials, and how sure one can be of it.

/// A standard normal number stays within this in 95% of cases.
pub const Z975: f64 = 1.959_963_984_540_054;

/// A probability with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The share of trials.
    pub p: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Estimate {
    /// How wide the interval is.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

/// Estimates a probability from so many successes among so many trials, with a 95% interval.
///
/// The interval is Wilson's (1927), "Probable inference, the law of succession, and statistical
/// inference", which stays inside 0..1 and keeps its width when nothing, or everything, succeeded.
/// Without trials it is all of 0..1.
pub fn estimate_proportion(successes: u64, trials: u64) -> Estimate {
    let (low, high) = wilson_interval(successes, trials, Z975);
    let p = if trials == 0 { 0.0 } else { successes as f64 / trials as f64 };
    Estimate { p, low, high }
}

/// Wilson's interval at `z` standard errors.
pub fn wilson_interval(successes: u64, trials: u64, z: f64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let p = successes as f64 / n;
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = z / (1.0 + z2 / n) * libm::sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n));
    // At the ends the formula gives 0 and 1 up to rounding.
    let low = if successes == 0 { 0.0 } else { (centre - reach).max(0.0) };
    let high = if successes == trials { 1.0 } else { (centre + reach).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_has_the_published_values() {
        // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (successes, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let estimate = estimate_proportion(successes, trials);
            assert!((estimate.low - low).abs() < 5e-5, "{estimate:?}");
            assert!((estimate.high - high).abs() < 5e-5, "{estimate:?}");
        }
    }

    #[test]
    fn nothing_is_known_without_trials() {
        assert_eq!(estimate_proportion(0, 0), Estimate { p: 0.0, low: 0.0, high: 1.0 });
    }
}
