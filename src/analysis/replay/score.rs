//! How well what was predicted agrees with what happened.

use crate::model::incident::ObservedState;
use crate::report::replay::ScoreReport;

/// The states, the worst first.
const STATES: [ObservedState; 3] =
    [ObservedState::Failed, ObservedState::Degraded, ObservedState::Unaffected];

/// Something whose state was observed and predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PredictedPair {
    pub(super) observed: ObservedState,
    pub(super) predicted: ObservedState,
    /// The probability to be degraded or worse.
    pub(super) impacted: f64,
    /// From when it was impacted, and the median time of its first failure; seconds.
    pub(super) times: Option<(f64, f64)>,
}

/// One incident, as far as a score needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct IncidentEvidence {
    pub(super) pairs: Vec<PredictedPair>,
    /// Observed and predicted, in seconds.
    pub(super) duration: Option<(f64, f64)>,
    /// By containment that can be taken away: whether more failed without it.
    pub(super) containments: Vec<bool>,
}

/// The score over some incidents.
pub(super) fn score_report<'a>(
    incidents: impl IntoIterator<Item = &'a IncidentEvidence>,
) -> ScoreReport {
    let mut score = ScoreReport::default();
    let mut pairs: Vec<PredictedPair> = Vec::new();
    let mut order = 0_i64;
    for incident in incidents {
        score.incidents += 1;
        let (timed, sum) = in_order(&incident.pairs);
        score.timed_pairs += timed;
        order += sum;
        if let Some((observed, predicted)) = incident.duration {
            score.durations += 1;
            score.duration_within_2 += u64::from(is_within(observed, predicted, 2.0));
            score.duration_within_4 += u64::from(is_within(observed, predicted, 4.0));
        }
        score.containments += incident.containments.len() as u64;
        score.containments_confirmed +=
            incident.containments.iter().filter(|containment| **containment).count() as u64;
        pairs.extend(&incident.pairs);
    }
    score.components = pairs.len() as u64;
    score.balanced_accuracy = balanced_accuracy(&pairs);
    score.macro_f1 = macro_f1(&pairs);
    score.brier = brier_score(&pairs);
    score.tau = (score.timed_pairs > 0).then(|| order as f64 / score.timed_pairs as f64);
    score
}

/// Whether two durations differ at most by a factor.
pub(super) fn is_within(a: f64, b: f64, factor: f64) -> bool {
    // Both ways round, since a factor is the same in either direction.
    a <= b * factor && b <= a * factor
}

fn share_of(count: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

fn is_impacted(state: ObservedState) -> bool {
    state != ObservedState::Unaffected
}

/// Recall and specificity in equal parts; where only one of them is to be had, that one.
fn balanced_accuracy(pairs: &[PredictedPair]) -> Option<f64> {
    let right = |impacted: bool| {
        let all = || pairs.iter().filter(|pair| is_impacted(pair.observed) == impacted);
        share_of(
            all().filter(|item| is_impacted(item.predicted) == impacted).count(),
            all().count(),
        )
    };
    match (right(true), right(false)) {
        (Some(recall), Some(specificity)) => Some(f64::midpoint(recall, specificity)),
        (one, other) => one.or(other),
    }
}

/// The mean over the states that were observed of 2 TP / (2 TP + FP + FN).
fn macro_f1(pairs: &[PredictedPair]) -> Option<f64> {
    let mut sum = 0.0;
    let mut states = 0;
    for state in STATES {
        let observed = pairs.iter().filter(|pair| pair.observed == state).count();
        let predicted = pairs.iter().filter(|pair| pair.predicted == state).count();
        let both =
            pairs.iter().filter(|pair| pair.observed == state && pair.predicted == state).count();
        // A state that never occurred has no recall, and would only lower the mean.
        if observed > 0 {
            states += 1;
            // The two counts hold what is in both of them twice.
            sum += 2.0 * both as f64 / (observed + predicted) as f64;
        }
    }
    (states > 0).then(|| sum / f64::from(states))
}

fn brier_score(pairs: &[PredictedPair]) -> Option<f64> {
    let error =
        |pair: &PredictedPair| pair.impacted - if is_impacted(pair.observed) { 1.0 } else { 0.0 };
    let sum: f64 = pairs.iter().map(|pair| error(pair) * error(pair)).sum();
    (!pairs.is_empty()).then(|| sum / pairs.len() as f64)
}

/// How many pairs were impacted at different times, and of these how many more are predicted in
/// the right order than in the wrong one. Times within a second are equal.
fn in_order(pairs: &[PredictedPair]) -> (u64, i64) {
    let times: Vec<(f64, f64)> = pairs.iter().filter_map(|pair| pair.times).collect();
    let sign = |difference: f64| match difference {
        difference if difference > 1.0 => 1,
        difference if difference < -1.0 => -1,
        _ => 0,
    };
    let (mut timed, mut sum) = (0, 0);
    for (index, a) in times.iter().enumerate() {
        for b in &times[..index] {
            let observed = sign(a.0 - b.0);
            if observed != 0 {
                timed += 1;
                // Both never fail by the simulation: infinite times have no difference.
                let predicted =
                    if a.1.is_infinite() && b.1.is_infinite() { 0.0 } else { a.1 - b.1 };
                sum += observed * sign(predicted);
            }
        }
    }
    (timed, sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObservedState::{Degraded, Failed, Unaffected};

    fn pair(observed: ObservedState, predicted: ObservedState, impacted: f64) -> PredictedPair {
        PredictedPair { observed, predicted, impacted, times: None }
    }

    #[test]
    fn a_perfect_prediction_has_perfect_scores() {
        let states = [Failed, Degraded, Unaffected];
        let pairs =
            states.map(|state| pair(state, state, if state == Unaffected { 0.0 } else { 1.0 }));
        let found = score_report(&[IncidentEvidence {
            pairs: pairs.to_vec(),
            ..IncidentEvidence::default()
        }]);
        assert_eq!(found.balanced_accuracy, Some(1.0));
        assert_eq!(found.macro_f1, Some(1.0));
        assert_eq!(found.brier, Some(0.0));
        assert_eq!(found.tau, None);
    }

    #[test]
    fn everything_failed_is_half_right() {
        let states = [Failed, Degraded, Unaffected, Unaffected];
        let pairs = states.map(|state| pair(state, Failed, 1.0)).to_vec();
        let found = score_report(&[IncidentEvidence { pairs, ..IncidentEvidence::default() }]);
        assert_eq!(found.balanced_accuracy, Some(0.5));
        assert!((found.macro_f1.unwrap() - 0.4 / 3.0).abs() < 1e-12);
        assert_eq!(found.brier, Some(0.5));
    }

    #[test]
    fn order_counts_right_minus_wrong_pairs_and_no_ties() {
        let timed = |times| PredictedPair { times: Some(times), ..pair(Failed, Failed, 1.0) };
        let pairs = vec![timed((0.0, 5.0)), timed((60.0, 90.0)), timed((120.0, 90.0))];
        let found = score_report(&[IncidentEvidence { pairs, ..IncidentEvidence::default() }]);
        assert_eq!(found.timed_pairs, 3);
        assert!((found.tau.unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn durations_are_compared_both_ways() {
        let of = |predicted| IncidentEvidence {
            duration: Some((60.0, predicted)),
            ..IncidentEvidence::default()
        };
        let found = score_report(&[of(20.0), of(100.0), of(300.0)]);
        assert_eq!((found.duration_within_2, found.duration_within_4), (1, 2));
    }
}
