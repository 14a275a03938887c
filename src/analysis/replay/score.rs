//! How well what was predicted agrees with what happened.

use super::order::PairCounts;
use crate::model::incident::ObservedState;
use crate::report::replay::ScoreReport;

/// Classes of states, the worst first: what is late is degraded, and no failure.
const CLASSES: [ObservedState; 3] =
    [ObservedState::Failed, ObservedState::Degraded, ObservedState::Unaffected];

/// Something whose state was observed and predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PredictedPair {
    pub(super) observed: ObservedState,
    pub(super) predicted: ObservedState,
    /// The probability to be hit.
    pub(super) impacted: f64,
    /// The share of requests that failed, where it is stated, and the predicted one.
    pub(super) shares: Option<(f64, f64)>,
    /// The observed and predicted first impact; seconds.
    pub(super) starts: Option<(f64, f64)>,
    /// The observed and predicted end of the last impact; seconds.
    pub(super) ends: Option<(f64, f64)>,
    /// Whether some dependency leads to it or from it, or it was changed itself.
    pub(super) is_connected: bool,
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

impl IncidentEvidence {
    /// Returns the pairs that count: what nothing connects with the cause is right for free.
    pub(super) fn counted_pairs(&self) -> impl Iterator<Item = &PredictedPair> {
        self.pairs.iter().filter(|pair| pair.is_connected)
    }
}

/// The score over some incidents, without intervals.
pub(super) fn score_report<'a>(
    incidents: impl IntoIterator<Item = &'a IncidentEvidence>,
) -> ScoreReport {
    let mut score = ScoreReport::default();
    let mut pairs: Vec<PredictedPair> = Vec::new();
    let (mut starts, mut ends) = (PairCounts::default(), PairCounts::default());
    for incident in incidents {
        score.incidents += 1;
        let of = |times: fn(&PredictedPair) -> Option<(f64, f64)>| {
            PairCounts::of_times(&incident.pairs.iter().filter_map(times).collect::<Vec<_>>())
        };
        let (own_starts, own_ends) = (of(|pair| pair.starts), of(|pair| pair.ends));
        score.timed_incidents += u64::from(own_starts.ordered_pairs() > 0);
        score.recovery_incidents += u64::from(own_ends.ordered_pairs() > 0);
        starts.add(own_starts);
        ends.add(own_ends);
        if let Some((observed, predicted)) = incident.duration {
            score.durations += 1;
            score.duration_within_2 += u64::from(is_within(observed, predicted, 2.0));
            score.duration_within_4 += u64::from(is_within(observed, predicted, 4.0));
        }
        score.containments += incident.containments.len() as u64;
        score.containments_confirmed +=
            incident.containments.iter().filter(|containment| **containment).count() as u64;
        score.unconnected += incident.pairs.iter().filter(|pair| !pair.is_connected).count() as u64;
        pairs.extend(incident.counted_pairs());
    }
    score.components = pairs.len() as u64;
    score.balanced_accuracy = balanced_accuracy(&pairs);
    score.macro_f1 = macro_f1(&pairs);
    score.brier = brier_score(&pairs);
    score.shares = pairs.iter().filter(|pair| pair.shares.is_some()).count() as u64;
    score.share_error = share_error(&pairs);
    score.tau = starts.tau_b();
    score.timed_pairs = starts.ordered_pairs();
    score.recovery_tau = ends.tau_b();
    score.recovery_pairs = ends.ordered_pairs();
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

pub(super) fn is_impacted(state: ObservedState) -> bool {
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

/// The class of a state.
fn class_of(state: ObservedState) -> ObservedState {
    if state == ObservedState::Late { ObservedState::Degraded } else { state }
}

/// The mean over the classes that were observed of 2 TP / (2 TP + FP + FN).
fn macro_f1(pairs: &[PredictedPair]) -> Option<f64> {
    let mut sum = 0.0;
    let mut classes = 0;
    for class in CLASSES {
        let is_observed = |pair: &PredictedPair| class_of(pair.observed) == class;
        let is_predicted = |pair: &PredictedPair| class_of(pair.predicted) == class;
        let observed = pairs.iter().filter(|pair| is_observed(pair)).count();
        let predicted = pairs.iter().filter(|pair| is_predicted(pair)).count();
        let both = pairs.iter().filter(|pair| is_observed(pair) && is_predicted(pair)).count();
        // A state that never occurred has no recall, and would only lower the mean.
        if observed > 0 {
            classes += 1;
            // The two counts hold what is in both of them twice.
            sum += 2.0 * both as f64 / (observed + predicted) as f64;
        }
    }
    (classes > 0).then(|| sum / f64::from(classes))
}

fn brier_score(pairs: &[PredictedPair]) -> Option<f64> {
    let error =
        |pair: &PredictedPair| pair.impacted - if is_impacted(pair.observed) { 1.0 } else { 0.0 };
    let sum: f64 = pairs.iter().map(|pair| error(pair) * error(pair)).sum();
    (!pairs.is_empty()).then(|| sum / pairs.len() as f64)
}

/// The mean distance of predicted from stated shares of failed requests.
fn share_error(pairs: &[PredictedPair]) -> Option<f64> {
    let errors: Vec<f64> =
        pairs.iter().filter_map(|pair| pair.shares).map(|(a, b)| (a - b).abs()).collect();
    (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObservedState::{Degraded, Failed, Late, Unaffected};

    fn pair(observed: ObservedState, predicted: ObservedState, impacted: f64) -> PredictedPair {
        PredictedPair {
            observed,
            predicted,
            impacted,
            shares: None,
            starts: None,
            ends: None,
            is_connected: true,
        }
    }

    fn evidence(pairs: &[PredictedPair]) -> [IncidentEvidence; 1] {
        [IncidentEvidence { pairs: pairs.to_vec(), ..IncidentEvidence::default() }]
    }

    #[test]
    fn a_perfect_prediction_has_perfect_scores() {
        let states = [Failed, Degraded, Unaffected];
        let pairs =
            states.map(|state| pair(state, state, if state == Unaffected { 0.0 } else { 1.0 }));
        let found = score_report(&evidence(&pairs));
        assert_eq!(found.balanced_accuracy, Some(1.0));
        assert_eq!(found.macro_f1, Some(1.0));
        assert_eq!(found.brier, Some(0.0));
        assert_eq!((found.tau, found.recovery_tau), (None, None));
    }

    #[test]
    fn everything_failed_is_half_right() {
        let states = [Failed, Degraded, Unaffected, Unaffected];
        let found = score_report(&evidence(&states.map(|state| pair(state, Failed, 1.0))));
        assert_eq!(found.balanced_accuracy, Some(0.5));
        assert!((found.macro_f1.unwrap() - 0.4 / 3.0).abs() < 1e-12);
        assert_eq!(found.brier, Some(0.5));
    }

    #[test]
    fn late_is_degraded_and_neither_failed_nor_well() {
        let found = score_report(&evidence(&[
            pair(Late, Degraded, 1.0),
            pair(Degraded, Late, 1.0),
            pair(Unaffected, Unaffected, 0.0),
        ]));
        assert_eq!((found.macro_f1, found.balanced_accuracy), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn what_nothing_connects_is_counted_apart() {
        let free = PredictedPair { is_connected: false, ..pair(Unaffected, Unaffected, 0.0) };
        let found = score_report(&evidence(&[free, pair(Unaffected, Failed, 1.0)]));
        assert_eq!((found.components, found.unconnected), (1, 1));
        assert_eq!(found.balanced_accuracy, Some(0.0));
    }

    #[test]
    fn shares_are_compared_where_they_are_stated() {
        let stated = PredictedPair { shares: Some((0.35, 0.2)), ..pair(Degraded, Degraded, 1.0) };
        let found = score_report(&evidence(&[stated, pair(Failed, Failed, 1.0)]));
        assert_eq!(found.shares, 1);
        assert!((found.share_error.unwrap() - 0.15).abs() < 1e-12);
    }

    #[test]
    fn orders_of_start_and_of_recovery_are_told_apart() {
        let timed = |starts, ends| PredictedPair {
            starts: Some(starts),
            ends: Some(ends),
            ..pair(Failed, Failed, 1.0)
        };
        let found = score_report(&evidence(&[
            timed((0.0, 0.0), (600.0, 900.0)),
            timed((120.0, 240.0), (1200.0, 300.0)),
        ]));
        assert_eq!((found.tau, found.timed_pairs, found.timed_incidents), (Some(1.0), 1, 1));
        assert_eq!((found.recovery_tau, found.recovery_pairs), (Some(-1.0), 1));
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
