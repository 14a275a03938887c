//! Pairs of causes: whether two breaks together explain what is seen better than one.

use super::RankedComponent;
use super::candidates::BreakCandidate;
use super::likelihood::ObservedEvidence;
use crate::engine::Progress;
use crate::engine::parallel;
use crate::report::diagnosis::PairReport;
use crate::sort::Arrange as _;

/// Of incidents, so many have more than one cause (354 post-mortems of public clouds: Li et al., "Going
/// through the life cycle of faults in clouds", ISSRE 2022).
const TWO_CAUSES: f64 = 0.232;
/// How many components are tried as the first of a pair, most likely first.
const FIRSTS: usize = 3;
/// How many are tried as the second: what explains the rest may explain little by itself.
const SECONDS: usize = 40;
/// How many pairs are told.
const PAIRS: usize = 3;

/// Returns the pairs that are likelier than the likeliest single break, likeliest first.
pub(super) fn likelier_pairs(
    evidence: &ObservedEvidence<'_>,
    ranked: &[RankedComponent],
    progress: &dyn Progress,
) -> Vec<PairReport> {
    let Some(best) = ranked.first().filter(|_| ranked.len() > 1) else { return Vec::new() };
    let count = ranked.len() as f64;
    // Both priors spread evenly, so that many components do not make pairs likelier.
    let single = libm::log((1.0 - TWO_CAUSES) / count);
    let pair = libm::log(TWO_CAUSES / (count * (count - 1.0) / 2.0));
    let modes: Vec<BreakCandidate> = ranked.iter().map(RankedComponent::best_mode).collect();
    let pairs: Vec<[usize; 2]> = (0..FIRSTS.min(ranked.len()))
        .flat_map(|first| (first + 1..ranked.len().min(SECONDS)).map(move |second| [first, second]))
        .collect();
    let alone = single + evidence.log_likelihood(&[best.best_mode()]);
    let odds = parallel::each_piece(pairs.len(), |at| {
        if progress.is_cancelled() {
            return f64::NEG_INFINITY;
        }
        pair + evidence.log_likelihood(&pairs[at].map(|member| modes[member])) - alone
    });
    let mut found: Vec<(f64, [usize; 2])> =
        odds.into_iter().zip(pairs).filter(|(odds, _)| *odds > 0.0).collect();
    found.arrange_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.truncate(PAIRS);
    found
        .into_iter()
        .map(|(odds, members)| PairReport {
            names: members.map(|member| ranked[member].name.clone()).to_vec(),
            modes: members.map(|member| modes[member].mode).to_vec(),
            odds: libm::exp(odds),
        })
        .collect()
}
