//! Statistics of differences between two simulations of the same trials.
//!
//! Draws are keyed by name, so trial `i` is the same on both sides, and what both have in
//! common cancels in the difference within a trial: the common random numbers of the simulation
//! literature (Law, "Simulation Modeling and Analysis", 5th edition, section 11.2). Intervals are
//! for the mean of those differences.

use super::lognormal::student_quantile;
use super::paired::{self, PairedDifference};

/// A number on either side, trial by trial: means, and how they vary together.
///
/// Sums are kept by the method of Welford (1962), in the order of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Paired {
    count: u64,
    mean_a: f64,
    mean_b: f64,
    squares_a: f64,
    squares_b: f64,
    products: f64,
    mean_difference: f64,
    squares_difference: f64,
}

impl Paired {
    /// Adds a trial.
    pub fn add_trial(&mut self, a: f64, b: f64) {
        self.count += 1;
        let n = self.count as f64;
        // The difference has sums of its own: from the variances of both sides it could lose all
        // its digits.
        let (from_a, from_b, from_d) =
            (a - self.mean_a, b - self.mean_b, b - a - self.mean_difference);
        self.mean_a += from_a / n;
        self.mean_b += from_b / n;
        self.mean_difference += from_d / n;
        self.squares_a += from_a * (a - self.mean_a);
        self.squares_b += from_b * (b - self.mean_b);
        self.products += from_a * (b - self.mean_b);
        self.squares_difference += from_d * (b - a - self.mean_difference);
    }

    /// The means of the two sides.
    pub fn side_means(&self) -> (f64, f64) {
        (self.mean_a, self.mean_b)
    }

    /// The mean of the second minus the first, with the 95% interval of Student's paired test.
    /// There must be two trials at least.
    pub fn mean_difference(&self) -> PairedDifference {
        let error =
            libm::sqrt(self.mean_variance(self.squares_difference) / self.count.max(1) as f64);
        self.interval_around(error)
    }

    /// The same for what the two sides would give from trials of their own, as a measure of what
    /// pairing gains.
    pub fn unpaired_difference(&self) -> PairedDifference {
        let sum = self.mean_variance(self.squares_a) + self.mean_variance(self.squares_b);
        self.interval_around(libm::sqrt(sum / self.count.max(1) as f64))
    }

    /// The mean difference as a share of the mean of the first side; nothing where that mean is not
    /// clearly above 0.
    ///
    /// The interval is Fieller's (1954), "Some problems in interval estimation", for a ratio of
    /// means that vary together.
    pub fn relative_difference(&self) -> Option<PairedDifference> {
        let n = self.count as f64;
        let t2 = self.student_quantile() * self.student_quantile();
        let (aa, bb) =
            (self.mean_variance(self.squares_a) / n, self.mean_variance(self.squares_b) / n);
        let ab = self.mean_variance(self.products) / n;
        let scale = self.mean_a * self.mean_a - t2 * aa;
        // Where the first mean may be 0, Fieller's interval is not bounded and a ratio has no
        // meaning.
        if self.count < 2 || self.mean_a <= 0.0 || scale <= 0.0 {
            return None;
        }
        let middle = self.mean_a * self.mean_b - t2 * ab;
        let under = middle * middle - scale * (self.mean_b * self.mean_b - t2 * bb);
        // Rounding alone can bring it below 0.
        let reach = libm::sqrt(under.max(0.0));
        Some(PairedDifference {
            value: self.mean_b / self.mean_a - 1.0,
            low: (middle - reach) / scale - 1.0,
            high: (middle + reach) / scale - 1.0,
        })
    }

    fn interval_around(&self, error: f64) -> PairedDifference {
        let (value, reach) = (self.mean_difference, self.student_quantile() * error);
        PairedDifference { value, low: value - reach, high: value + reach }
    }

    fn mean_variance(&self, squares: f64) -> f64 {
        // One less than the trials, since the mean was estimated from them too.
        if self.count < 2 { 0.0 } else { squares.max(0.0) / (self.count - 1) as f64 }
    }

    /// Student's quantile that belongs to the normal one.
    fn student_quantile(&self) -> f64 {
        student_quantile(self.count.saturating_sub(1) as f64)
    }
}

/// Something that happens or not on either side, trial by trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairedEvent {
    trials: u64,
    only_a: u64,
    only_b: u64,
}

impl PairedEvent {
    /// Adds 64 trials: those that count, and those in which it happens on either side.
    pub fn add_trials(&mut self, valid: u64, a: u64, b: u64) {
        self.trials += u64::from(valid.count_ones());
        // Pairs that agree say nothing of the difference, so only the others are counted.
        self.only_a += u64::from((valid & a & !b).count_ones());
        self.only_b += u64::from((valid & b & !a).count_ones());
    }

    /// Whether it happens on one side only in some trial.
    pub fn is_different(&self) -> bool {
        self.only_a + self.only_b > 0
    }

    /// The probability on the second side minus that on the first, with the 95% interval of
    /// [`paired::proportions`].
    pub fn probability_difference(&self) -> PairedDifference {
        paired::paired_proportions(self.only_b, self.only_a, self.trials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_the_interval_of_the_paired_t_test() {
        // By hand: differences 1, 2, 3, 4; mean 2.5, standard error 0.6455, t(3) = 3.182.
        let mut paired = Paired::default();
        for (a, b) in [(10.0, 11.0), (20.0, 22.0), (30.0, 33.0), (40.0, 44.0)] {
            paired.add_trial(a, b);
        }
        let difference = paired.mean_difference();
        assert!((difference.value - 2.5).abs() < 1e-12);
        assert!(
            (difference.high - difference.value - 3.182 * 0.6455).abs() < 0.05,
            "{difference:?}"
        );
        let relative = paired.relative_difference().expect("the first mean is above 0");
        assert!((relative.value - 0.1).abs() < 1e-12 && relative.low <= 0.1 + 1e-9);
    }

    #[test]
    fn equal_sides_differ_by_exactly_nothing() {
        let mut paired = Paired::default();
        for trial in 0..100 {
            let value = f64::from(trial).sqrt();
            paired.add_trial(value, value);
        }
        assert_eq!(paired.mean_difference(), PairedDifference { value: 0.0, low: 0.0, high: 0.0 });
    }

    #[test]
    fn events_that_never_differ_keep_some_doubt() {
        let mut event = PairedEvent::default();
        event.add_trials(u64::MAX, 7, 7);
        let item = event.probability_difference();
        assert!(item.low < 0.0 && item.high > 0.0 && item.value == 0.0);
        // 20 of 64 only on the second side.
        event = PairedEvent::default();
        event.add_trials(u64::MAX, 0, (1 << 20) - 1);
        let difference = event.probability_difference();
        assert!(
            difference.low > 0.15
                && difference.high < 0.45
                && (difference.value - 0.3125).abs() < 1e-12,
            "{difference:?}"
        );
    }
}
