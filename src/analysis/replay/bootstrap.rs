//! How certain a score is: incidents drawn anew, with replacement (Efron, "Bootstrap methods", 1979).
//!
//! Whole incidents are drawn and not components: what happens in one incident hangs together.

use super::score::{IncidentEvidence, score_report};
use crate::report::replay::{IntervalsReport, LeadReport, ScoreReport};

/// How many times incidents are drawn anew.
const RESAMPLES: usize = 1000;
/// The seed of the draws, always the same: an interval is a property of the incidents.
const SEED: u64 = 0x0b1a_57ea;

/// The 95% intervals of a score; nothing for fewer than two incidents.
pub(super) fn score_intervals(incidents: &[&IncidentEvidence]) -> Option<IntervalsReport> {
    if incidents.len() < 2 {
        return None;
    }
    let mut draws = IncidentDraws(SEED);
    let scores: Vec<ScoreReport> = (0..RESAMPLES)
        .map(|_| score_report(draws.sample(incidents.len()).into_iter().map(|at| incidents[at])))
        .collect();
    let of = |figure: &dyn Fn(&ScoreReport) -> Option<f64>| {
        interval_of(scores.iter().filter_map(figure).collect())
    };
    Some(IntervalsReport {
        balanced_accuracy: of(&|score| score.balanced_accuracy),
        macro_f1: of(&|score| score.macro_f1),
        brier: of(&|score| score.brier),
        share_error: of(&|score| score.share_error),
        tau: of(&|score| score.tau),
        recovery_tau: of(&|score| score.recovery_tau),
        within_4: of(&ScoreReport::share_within_4),
    })
}

/// By how much a prediction is better than the best of some rules, with intervals from the same draws.
pub(super) fn lead_over(
    simulated: &[&IncidentEvidence],
    rules: &[(String, Vec<&IncidentEvidence>)],
    figure: fn(&ScoreReport) -> Option<f64>,
) -> Option<LeadReport> {
    let value = |incidents: &[&IncidentEvidence]| figure(&score_report(incidents.iter().copied()));
    let scored =
        rules.iter().filter_map(|(rule, evidence)| Some((rule, evidence, value(evidence)?)));
    // Of equally good rules the first.
    let (rule, best, best_value) = scored.reduce(|a, b| if b.2 > a.2 { b } else { a })?;
    let mut draws = IncidentDraws(SEED);
    let mut differences = Vec::new();
    for _ in 0..RESAMPLES {
        let sample = draws.sample(simulated.len());
        let of = |all: &[&IncidentEvidence]| -> Option<f64> {
            figure(&score_report(sample.iter().map(|at| all[*at])))
        };
        differences.extend(of(simulated).zip(of(best)).map(|(own, rule)| own - rule));
    }
    Some(LeadReport {
        rule: rule.clone(),
        difference: value(simulated)? - best_value,
        interval: interval_of(differences),
    })
}

/// The 2.5% and 97.5% quantiles.
fn interval_of(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    // In whole numbers: as many values are left out at each end.
    let outside = values.len() / 40;
    Some([*values.get(outside)?, *values.get(values.len().checked_sub(outside + 1)?)?])
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, and the same on every machine.
struct IncidentDraws(u64);

impl IncidentDraws {
    fn draw_next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// As many numbers below `count`, with repetitions.
    fn sample(&mut self, count: usize) -> Vec<usize> {
        // The bias of a remainder is far below what a thousand draws can show.
        (0..count).map(|_| (self.draw_next() % count as u64) as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_most_of_the_values_and_is_always_the_same() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(interval_of(values), Some([25.0, 974.0]));
        assert_eq!(interval_of(Vec::new()), None);
        assert_eq!(IncidentDraws(SEED).sample(5), IncidentDraws(SEED).sample(5));
    }

    #[test]
    fn one_incident_says_nothing_about_others() {
        let one = IncidentEvidence::default();
        assert_eq!(score_intervals(&[&one]), None);
    }
}
