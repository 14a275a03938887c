//! Searches for what turns a verdict: the smallest set of protections found with which a gate lets
//! the change through.
//!
//! Sets of one are judged first, then of two of the most promising, and then the best so far grows by
//! the best addition as long as that brings it nearer; of what grew, every part is left out again that
//! is not needed. A set counts only
//! if the gate lets it through twice: with the draws of the question, as `check` would, and with
//! others, since the best of many sets may have been lucky.

use super::pool::CandidatePool;
use super::protection::{ProtectionCandidate, ProtectionStep};
use super::{AdvisedState, SCREEN, STEPS, SavingEstimate};
use crate::analysis::gate::{Check, Gate};
use crate::analysis::{Settings, Stop};
use crate::engine::Silent;
use crate::engine::parallel;
use crate::report::Verdict;
use crate::report::advise::UntilReport;
use crate::report::{Decision, RuleOutcome};
use crate::sort::Arrange as _;

/// How many of the most promising are tried in pairs.
const PAIRED: usize = 10;
/// How many sets that seem to pass are judged again, cheapest first.
const CONFIRMED: usize = 4;
/// Other draws for the second judgement.
const OTHER: u64 = 0x9e37_79b9_7f4a_7c15;
/// The trials that a rule may cost while sets are compared.
const ROUGH: u64 = 8_000;

/// A gate that shall let the change through.
#[derive(Clone, Copy, Debug)]
pub struct Until<'a> {
    /// The gate.
    pub gate: Gate<'a>,
    /// After how many trials it looks first.
    pub first_look: u64,
}

/// Result of the search.
pub(super) struct SearchResult {
    pub(super) report: UntilReport,
    pub(super) steps: Vec<(String, Vec<ProtectionStep>)>,
}

/// How far a set is from passing: fewer is better, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    decision: Decision,
    stops: usize,
    others: usize,
}

/// Looks for a set that the gate lets through.
pub(super) fn find_smallest_set(
    pool: &CandidatePool<'_>,
    until: &Until<'_>,
    offered: Vec<ProtectionCandidate>,
    before: &[f64],
    estimate: &SavingEstimate<'_>,
) -> SearchResult {
    let search = SetSearch { pool, until, offered };
    // The verdict without protections comes first: if it lets the change through, nothing is
    // needed.
    let at_first = search.judge_set(&[], pool.settings.seed, until.gate.max_trials);
    let (set, verdict, judged) = if at_first.decision == Decision::Proceed {
        (Vec::new(), at_first.clone(), 1)
    } else {
        search.smallest_set(&at_first)
    };
    let is_reached = verdict.decision == Decision::Proceed;
    let (mut steps, mut reports) = (Vec::new(), Vec::new());
    let (mut state, mut now) = (pool.base.clone(), before.to_vec());
    for at in &set {
        // What earlier parts of the set do already must not be paid for twice.
        let protection = search.without_earlier_steps(&set, *at);
        let next = state.with_steps(&protection.steps);
        let losses = next.trial_losses(pool.settings, SCREEN, estimate.end, pool.measure);
        reports.push(estimate.advice_report(&state, &protection, &now, &losses));
        steps.push((protection.what, protection.steps));
        (state, now) = (next, losses);
    }
    let report = UntilReport {
        policy: until.gate.policy.map_or_else(String::new, |(policy, _)| policy.name.clone()),
        before: at_first.decision,
        after: verdict.decision,
        reached: is_reached,
        cost: reports.iter().map(|reports| reports.cost).sum(),
        steps: reports,
        judged,
        reasons: if is_reached { Vec::new() } else { verdict.reasons },
    };
    SearchResult { report, steps }
}

struct SetSearch<'a> {
    pool: &'a CandidatePool<'a>,
    until: &'a Until<'a>,
    offered: Vec<ProtectionCandidate>,
}

type Judged = (Vec<usize>, Verdict);

impl SetSearch<'_> {
    /// The smallest set found, its verdict, and how many sets were judged; where none passes, the set
    /// that comes nearest.
    fn smallest_set(&self, at_first: &Verdict) -> (Vec<usize>, Verdict, u64) {
        let mut judged = 1;
        let mut singles = self.judge_all((0..self.offered.len()).map(|at| vec![at]).collect());
        judged += singles.len() as u64;
        if let Some((set, verdict)) = self.confirmed_set(&singles, &mut judged) {
            return (set, verdict, judged);
        }
        singles.arrange_by_key(|single| self.distance_and_cost(single));
        let best: Vec<usize> = singles.iter().take(PAIRED).map(|(set, _)| set[0]).collect();
        let pairs = best
            .iter()
            .enumerate()
            .flat_map(|(place, a)| best[place + 1..].iter().map(|b| vec![*a, *b]));
        let mut pairs = self.judge_all(pairs.collect());
        judged += pairs.len() as u64;
        if let Some((set, verdict)) = self.confirmed_set(&pairs, &mut judged) {
            return (set, verdict, judged);
        }
        pairs.extend(singles);
        pairs.push((Vec::new(), at_first.clone()));
        pairs.arrange_by_key(|pair| self.distance_and_cost(pair));
        let mut now = pairs.swap_remove(0);
        while now.0.len() < STEPS && !self.pool.progress.is_cancelled() {
            let more = (0..self.offered.len()).filter(|at| !now.0.contains(at));
            let grown = more.map(|at| [now.0.as_slice(), &[at]].concat());
            let mut grown = self.judge_all(grown.collect());
            judged += grown.len() as u64;
            if let Some((set, verdict)) = self.confirmed_set(&grown, &mut judged) {
                let (set, verdict) = self.prune_set(set, verdict, &mut judged);
                return (set, verdict, judged);
            }
            // The nearest set goes on; a search of all sets would take ages.
            grown.arrange_by_key(|grown| self.distance_and_cost(grown));
            match grown.into_iter().next() {
                // Without progress further steps would only add costs.
                Some(next) if verdict_distance(&next.1) < verdict_distance(&now.1) => now = next,
                _ => break,
            }
        }
        (now.0, now.1, judged)
    }

    /// The cheapest of those that pass, with all trials and with other draws.
    fn confirmed_set(&self, all: &[Judged], judged: &mut u64) -> Option<Judged> {
        let mut passing: Vec<&Judged> =
            all.iter().filter(|(_, verdict)| verdict.decision == Decision::Proceed).collect();
        passing.arrange_by(|a, b| {
            self.cost_of(&a.0).total_cmp(&self.cost_of(&b.0)).then(a.0.cmp(&b.0))
        });
        // A few candidates for confirmation are enough: each costs two full judgements.
        for (set, _) in passing.into_iter().take(CONFIRMED) {
            *judged += 1;
            if let Some(verdict) = self.passing_verdict(set) {
                return Some((set.clone(), verdict));
            }
        }
        None
    }

    fn passing_verdict(&self, set: &[usize]) -> Option<Verdict> {
        let (seed, most) = (self.pool.settings.seed, self.until.gate.max_trials);
        let verdict = self.judge_set(set, seed, most);
        // Draws that chose the set favour it, so it must pass with others as well.
        let again = || self.judge_set(set, seed ^ OTHER, most).decision == Decision::Proceed;
        (verdict.decision == Decision::Proceed && again()).then_some(verdict)
    }

    /// Leaves out what is not needed, dearest first.
    fn prune_set(
        &self,
        mut set: Vec<usize>,
        mut verdict: Verdict,
        judged: &mut u64,
    ) -> (Vec<usize>, Verdict) {
        let mut order = set.clone();
        order.arrange_by(|a, b| self.cost_of(&[*b]).total_cmp(&self.cost_of(&[*a])).then(a.cmp(b)));
        for at in order {
            let fewer: Vec<usize> = set.iter().copied().filter(|set| *set != at).collect();
            *judged += 1;
            if let Some(passing) = self.passing_verdict(&fewer) {
                (set, verdict) = (fewer, passing);
            }
        }
        (set, verdict)
    }

    fn judge_all(&self, sets: Vec<Vec<usize>>) -> Vec<Judged> {
        // Hundreds of sets are compared, so each gets fewer trials than the final judgement.
        let most = self.until.gate.max_trials.min(ROUGH);
        let verdicts = parallel::each_of(&sets, |set| {
            let is_wanted = !self.pool.progress.is_cancelled();
            is_wanted.then(|| self.judge_set(set, self.pool.settings.seed, most))
        });
        sets.into_iter().zip(verdicts).filter_map(|(set, verdict)| Some((set, verdict?))).collect()
    }

    fn judge_set(&self, set: &[usize], seed: u64, max_trials: u64) -> Verdict {
        let AdvisedState { topology, change } = self.pool.base.with_steps(&self.steps_of(set));
        let gate = Gate { max_trials, ..self.until.gate };
        let stop = Stop::Trials(self.until.first_look);
        let settings = Settings { seed, stop, ..*self.pool.settings };
        Check::new(&topology, &change, &gate, &settings)
            .expect("protections do not make rules more expensive")
            .verdict(&Silent)
    }

    /// The steps of a set, each once.
    fn steps_of(&self, set: &[usize]) -> Vec<ProtectionStep> {
        let mut steps: Vec<ProtectionStep> = Vec::new();
        for step in set.iter().flat_map(|at| &self.offered[*at].steps) {
            if !steps.contains(step) {
                steps.push(*step);
            }
        }
        steps
    }

    /// A protection of a set without the steps of those before it.
    fn without_earlier_steps(&self, set: &[usize], at: usize) -> ProtectionCandidate {
        // The order of the set decides who pays for steps that two protections share.
        let before = set.iter().position(|set| *set == at).unwrap_or(0);
        let done = self.steps_of(&set[..before]);
        let mut protection = self.offered[at].clone();
        protection.steps.retain(|step| !done.contains(step));
        protection
    }

    fn cost_of(&self, set: &[usize]) -> f64 {
        (0..set.len())
            .map(|at| self.without_earlier_steps(set, set[at]).total_cost(self.pool.costs))
            .sum()
    }

    /// The nearer to passing the smaller; of equal ones what is cheaper, by thousandths.
    fn distance_and_cost(&self, judged: &Judged) -> (Distance, u64, Vec<usize>) {
        // Costs are compared as whole thousandths, since a key of an order cannot be a floating
        // point number.
        #[expect(clippy::cast_sign_loss, reason = "costs are above 0")]
        let cost = (self.cost_of(&judged.0) * 1e3) as u64;
        (verdict_distance(&judged.1), cost, judged.0.clone())
    }
}

fn verdict_distance(verdict: &Verdict) -> Distance {
    let open: Vec<Decision> = verdict
        .rules
        .iter()
        .filter(|rule| rule.outcome != RuleOutcome::Held)
        .map(|rule| rule.verdict)
        .collect();
    let stops = open.iter().filter(|severity| **severity == Decision::Stop).count();
    Distance { decision: verdict.decision, stops, others: open.len() - stops }
}
