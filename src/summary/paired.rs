//! Differences between two scenarios that were drawn alike, trial by trial.

use super::estimate::Z975;

/// A figure with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedDifference {
    /// The figure.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The difference of two probabilities from pairs of trials: in `more` of them something happens
/// only in the second scenario, in `less` only in the first.
///
/// The interval is that of Agresti and Min, "Simple improved confidence intervals for comparing
/// matched proportions" (Statistics in Medicine 24, 2005): half a trial is added to each of the four
/// cells, so that the interval keeps a width where no pair differs.
pub fn paired_proportions(more: u64, less: u64, trials: u64) -> PairedDifference {
    if trials == 0 {
        return PairedDifference { value: 0.0, low: -1.0, high: 1.0 };
    }
    let value = (more as f64 - less as f64) / trials as f64;
    let (b, c, n) = (more as f64 + 0.5, less as f64 + 0.5, trials as f64 + 2.0);
    let centre = (b - c) / n;
    let reach = Z975 * libm::sqrt((b + c) - (b - c) * (b - c) / n) / n;
    let (low, high) = ((centre - reach).max(-1.0), (centre + reach).min(1.0));
    // The interval is around a shrunken centre; it must still hold the figure itself.
    PairedDifference { value, low: low.min(value), high: high.max(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_never_differ_leave_some_doubt() {
        let proportion = paired_proportions(0, 0, 1000);
        assert_eq!(proportion.value, 0.0);
        assert!(
            proportion.low < 0.0 && proportion.high > 0.0 && proportion.high < 0.005,
            "{proportion:?}"
        );
    }

    #[test]
    fn the_interval_lies_around_the_difference() {
        let proportion = paired_proportions(30, 10, 1000);
        assert_eq!(proportion.value, 0.02);
        // By hand: b = 30.5, c = 10.5, n = 1002.
        assert!(
            (proportion.low - 0.007_5).abs() < 1e-3 && (proportion.high - 0.032_4).abs() < 1e-3,
            "{proportion:?}"
        );
    }
}
