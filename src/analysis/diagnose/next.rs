//! Finds the most informative next observation: the one expected to tell most about which
//! component broke.

use super::likelihood::ObservedEvidence;
use super::{RankedComponent, STATES, unit_kind, unit_name};
use crate::engine::Progress;
use crate::engine::parallel;
use crate::model::Topology;
use crate::report::diagnosis::{AnswerReport, LookReport};
use crate::sort::Arrange as _;

/// How many components are told apart, most likely first.
const COMPONENTS: usize = 12;
/// Number of observations that are suggested.
const LOOKS: usize = 5;
/// Less than this is nothing: a thousandth of a bit.
const NOTHING: f64 = 1e-3;

/// Returns the observations to make next, the most informative first.
pub(super) fn find_next_looks(
    topology: &Topology,
    evidence: &ObservedEvidence<'_>,
    ranked: &[RankedComponent],
    progress: &dyn Progress,
) -> Vec<LookReport> {
    let leading = &ranked[..ranked.len().min(COMPONENTS)];
    let sum: f64 = leading.iter().map(|leading| leading.posterior).sum();
    // With one component left nothing remains to be told apart.
    if leading.len() < 2 || sum <= 0.0 || progress.is_cancelled() {
        return Vec::new();
    }
    let chances: Vec<f64> = leading.iter().map(|leading| leading.posterior / sum).collect();
    // What a report would say of each unit, given each component in its likeliest mode.
    let reports: Vec<Vec<[f64; 3]>> = parallel::each_of(leading, |item| {
        evidence
            .state_probabilities(item.best_mode())
            .iter()
            .map(|state| report_distribution(evidence, state))
            .collect()
    });
    let units = topology.services.len() + topology.flows.len();
    // What is seen already tells nothing new.
    let unseen = (0..units).filter(|unit| evidence.seen.iter().all(|seen| seen.unit != *unit));
    let mut looks: Vec<(f64, usize)> = unseen
        .map(|unit| (mutual_information(&chances, &reports, unit), unit))
        .filter(|(bits, _)| *bits > NOTHING)
        .collect();
    looks.arrange_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    looks.truncate(LOOKS);
    let answer = |unit: usize, state: usize| {
        let weights: Vec<f64> = chances
            .iter()
            .zip(&reports)
            .map(|(chance, report)| chance * report[unit][state])
            .collect();
        let total: f64 = weights.iter().sum();
        let best = (0..weights.len()).reduce(|a, b| if weights[b] > weights[a] { b } else { a });
        let best = best.expect("two at least");
        AnswerReport {
            state: STATES[state],
            chance: total,
            leader: leading[best].name.clone(),
            posterior: if total > 0.0 { weights[best] / total } else { 0.0 },
        }
    };
    looks
        .into_iter()
        .map(|(bits, unit)| LookReport {
            name: unit_name(topology, unit),
            kind: unit_kind(topology, unit),
            bits,
            answers: (0..STATES.len()).rev().map(|state| answer(unit, state)).collect(),
        })
        .collect()
}

/// Returns the distribution of a report, given how likely each state is.
fn report_distribution(evidence: &ObservedEvidence<'_>, states: &[f64; 3]) -> [f64; 3] {
    let chance = |said: usize| {
        states
            .iter()
            .enumerate()
            .map(|(truth, p)| p * evidence.report_probability(said, truth))
            .sum::<f64>()
    };
    [chance(0), chance(1), chance(2)]
}

/// The mutual information of which component it was and what is said of a unit, in bits.
fn mutual_information(chances: &[f64], reports: &[Vec<[f64; 3]>], unit: usize) -> f64 {
    let mut marginal = [0.0; 3];
    let mut within = 0.0;
    for (chance, of_units) in chances.iter().zip(reports) {
        within += chance * entropy_bits(of_units[unit]);
        marginal.iter_mut().zip(of_units[unit]).for_each(|(sum, unit)| *sum += chance * unit);
    }
    // Rounding may give a tiny negative number where the report is the same for all.
    (entropy_bits(marginal) - within).max(0.0)
}

fn entropy_bits(of: [f64; 3]) -> f64 {
    // 0 log 0 counts as 0.
    of.into_iter().filter(|of| *of > 0.0).map(|of| -of * libm::log2(of)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_splits_two_equals_tells_one_bit_and_what_does_not_tells_nothing() {
        let reports =
            [vec![[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], vec![[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]];
        let chances = [0.5, 0.5];
        assert!((mutual_information(&chances, &reports, 0) - 1.0).abs() < 1e-12);
        assert!(mutual_information(&chances, &reports, 1).abs() < 1e-12);
    }
}
