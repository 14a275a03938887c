//! How likely a change is to break, from the size of its diff: an assumption.
//!
//! The base is the change failure rate of [`defaults::failure_probability`]. That larger changes break
//! more often is published (Kamei et al., "A large-scale empirical study of just-in-time quality
//! assurance", IEEE TSE 39(6), 2013, for 11 projects; Kamei and others again, IEEE TSE 44(5), 2018). How
//! much more is not published in a form that could be used here, so the steepness is ours: ten times
//! the lines multiply the odds by 1.78. The result stays between the best and the worst cluster of
//! DORA's 2024 report, 5% and 40%.

use crate::model::change::ChangeKind;
use crate::model::defaults;
use crate::model::units::Share;

/// How large a change of services is. Files that change no behaviour do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffSize {
    /// How many files.
    pub files: u64,
    /// How many lines were added and removed in them.
    pub lines: u64,
}

/// How likely a change is to break, and by what that was judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Risk {
    /// The probability that the change breaks.
    pub failure_probability: Share,
    /// The size that it was judged by.
    pub size: DiffSize,
}

/// A change of this size breaks with the base probability.
const USUAL_LINES: f64 = 50.0;
/// The power of the size by which the odds grow.
const STEEPNESS: f64 = 0.25;
/// The lowest and the highest result.
const RANGE: (f64, f64) = (0.05, 0.4);

impl Risk {
    /// Judges a change by its size.
    pub(super) fn by_size(size: DiffSize, kind: Option<ChangeKind>) -> Self {
        let base = defaults::failure_probability(kind).get();
        // Each file counts at least one line: a submodule or an image has none that could be counted.
        let lines = size.lines.max(size.files).max(1) as f64;
        let odds = base / (1.0 - base) * libm::pow(lines / USUAL_LINES, STEEPNESS);
        let probability = (odds / (1.0 + odds)).clamp(RANGE.0, RANGE.1);
        // A thousandth is more than the assumption can tell.
        let rounded = (probability * 1000.0).round() / 1000.0;
        Self { failure_probability: Share::new(rounded).expect("between 5% and 40%"), size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probability(lines: u64) -> f64 {
        Risk::by_size(DiffSize { files: 1, lines }, None).failure_probability.get()
    }

    #[test]
    fn larger_changes_break_more_often_within_the_published_range() {
        assert_eq!(probability(50).to_string(), "0.1");
        assert_eq!(probability(500).to_string(), "0.165");
        let all: Vec<f64> = (0..60).map(|power| probability(1 << power)).collect();
        assert!(all.is_sorted(), "{all:?}");
        assert_eq!((all[0].to_string(), all[59].to_string()), ("0.05".into(), "0.4".into()));
    }
}
