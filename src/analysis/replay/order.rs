//! In which order things failed and came back: Kendall's tau-b, over several incidents.
//!
//! Within an incident every two components make a pair. With `C` pairs in the right order, `D` in the wrong
//! one, and `N_o`, `N_p` pairs that are no tie in what was observed or predicted,
//! `tau_b = (C - D) / sqrt(N_o N_p)` (Kendall, "The treatment of ties in ranking problems", 1945). The
//! counts are added up over incidents first: most of them have too few pairs for a figure of their own.

/// Times closer than this are a tie, in seconds: reviews tell minutes.
const TIE_S: f64 = 60.0;

/// Counts of pairs, to be added up over incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PairCounts {
    /// Pairs in the right order minus pairs in the wrong one.
    concordance: i64,
    /// Pairs that are no tie in what was observed.
    observed: u64,
    /// Pairs that are no tie in what was predicted.
    predicted: u64,
}

impl PairCounts {
    /// Counts the pairs of one incident, from observed and predicted times in seconds.
    pub(super) fn of_times(times: &[(f64, f64)]) -> Self {
        let mut counts = Self::default();
        for (index, a) in times.iter().enumerate() {
            for b in &times[..index] {
                let (observed, predicted) = (time_order(a.0, b.0), time_order(a.1, b.1));
                counts.concordance += observed * predicted;
                counts.observed += observed.unsigned_abs();
                counts.predicted += predicted.unsigned_abs();
            }
        }
        counts
    }

    pub(super) fn add(&mut self, other: Self) {
        self.concordance += other.concordance;
        self.observed += other.observed;
        self.predicted += other.predicted;
    }

    /// How many pairs have an order to be predicted.
    pub(super) fn ordered_pairs(self) -> u64 {
        self.observed
    }

    /// Returns tau-b; nothing where no pair was observed in an order. A prediction of ties alone has 0.
    pub(super) fn tau_b(self) -> Option<f64> {
        let scale = libm::sqrt(self.observed as f64 * self.predicted as f64);
        (self.observed > 0).then(|| {
            // All tied: neither right nor wrong about any pair.
            if scale > 0.0 { self.concordance as f64 / scale } else { 0.0 }
        })
    }
}

/// 1 where the first is later, -1 where it is earlier, 0 for a tie.
fn time_order(a: f64, b: f64) -> i64 {
    match a - b {
        difference if difference >= TIE_S => 1,
        difference if difference <= -TIE_S => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(pairs: &[(f64, f64)]) -> Vec<(f64, f64)> {
        pairs.iter().map(|(a, b)| (a * 60.0, b * 60.0)).collect()
    }

    #[test]
    fn ties_shrink_the_scale_and_not_the_agreement() {
        // Pairs: one tied in both, two right, none wrong.
        let counts = PairCounts::of_times(&minutes(&[(0.0, 0.0), (0.0, 0.0), (5.0, 9.0)]));
        assert_eq!(counts.tau_b(), Some(1.0));
        // Predicted ties where there was an order: 2 right of 3 observed and 2 predicted.
        let counts = PairCounts::of_times(&minutes(&[(0.0, 0.0), (2.0, 0.0), (5.0, 9.0)]));
        assert!((counts.tau_b().unwrap() - 2.0 / 6.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn without_an_observed_order_there_is_no_figure_and_without_a_predicted_one_it_is_0() {
        assert_eq!(PairCounts::of_times(&minutes(&[(1.0, 0.0), (1.0, 9.0)])).tau_b(), None);
        assert_eq!(PairCounts::of_times(&minutes(&[(1.0, 4.0), (3.0, 4.0)])).tau_b(), Some(0.0));
    }
}
