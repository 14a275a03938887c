//! Whether what is said to be likely happens so often: predicted probabilities beside what was hit.

use super::score::{IncidentEvidence, is_impacted};
use crate::report::replay::CalibrationBin;

/// How many bins probabilities are sorted into.
const BINS: usize = 10;

/// The calibration curve over some incidents; bins without a component are left out.
pub(super) fn calibration_curve<'a>(
    incidents: impl IntoIterator<Item = &'a IncidentEvidence>,
) -> Vec<CalibrationBin> {
    let mut bins = vec![(0_u64, 0.0, 0_u64); BINS];
    for pair in incidents.into_iter().flat_map(IncidentEvidence::counted_pairs) {
        // A probability of 1 belongs to the last bin.
        let is_within = |at: &usize| pair.impacted * (BINS as f64) < *at as f64 + 1.0;
        let at = (0..BINS).find(is_within).unwrap_or(BINS - 1);
        bins[at].0 += 1;
        bins[at].1 += pair.impacted;
        bins[at].2 += u64::from(is_impacted(pair.observed));
    }
    let share = |part: f64, all: u64| part / all as f64;
    let filled = bins.into_iter().enumerate().filter(|(_, (count, ..))| *count > 0);
    filled
        .map(|(at, (components, sum, hit))| CalibrationBin {
            from: share(at as f64, BINS as u64),
            to: share(at as f64 + 1.0, BINS as u64),
            components,
            predicted: share(sum, components),
            observed: share(hit as f64, components),
        })
        .collect()
}
