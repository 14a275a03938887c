//! How likely what is seen is, given what broke.

use std::collections::BTreeMap;

use super::DiagnosisRequest;
use super::candidates::{BreakCandidate, change_of};
use crate::analysis::Settings;
use crate::compile::compile;
use crate::engine::outcome::{Outcome, TRIALS, WaitReason};
use crate::engine::{Silent, Simulator};
use crate::model::{Seconds, Topology};
use crate::sort::Arrange as _;

/// The chance that of two things the wrong one is said to have failed first.
const WRONG_ORDER: f64 = 0.2;
/// Of wrong reports, so many are of the neighbouring state where there is one.
const NEIGHBOR: f64 = 0.75;

/// Observed state of a unit; units are services first, then flows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) unit: usize,
    /// 0 for unaffected, 1 for degraded, 2 for failed.
    pub(super) state: usize,
    /// From when, in seconds.
    pub(super) from: Option<f64>,
}

/// Observations, and the simulation that weighs them.
pub(super) struct ObservedEvidence<'a> {
    pub(super) topology: &'a Topology,
    pub(super) question: &'a DiagnosisRequest<'a>,
    pub(super) seen: &'a [Seen],
    pub(super) settings: &'a Settings,
    pub(super) trials: u64,
    /// Units that nobody reported on though others of their kind were.
    pub(super) silent: &'a [usize],
}

/// How well a break agrees with what is seen.
pub(super) struct Agreement {
    /// The state that is most likely, of each thing seen.
    pub(super) predicted: Vec<usize>,
    /// In how many of them that is what was seen.
    pub(super) agrees: u64,
    /// Why requests wait in vain, each reason with its share of trials, most frequent first.
    pub(super) reasons: Vec<(WaitReason, f64)>,
}

impl ObservedEvidence<'_> {
    fn each_outcome(&self, breaks: &[BreakCandidate], mut take: impl FnMut(&Outcome)) {
        let change = change_of(breaks, self.question.lasting);
        let lasting = self.question.lasting.unwrap_or(Seconds::ZERO);
        let plan = compile(self.topology, &change, lasting);
        let engine = self.settings.engine_of_variants();
        let simulation = Simulator::with_engine(&plan, self.settings.seed, engine);
        simulation.each_outcome(0..self.trials, &Silent, |outcome| take(outcome));
    }

    /// The number of a unit in an outcome, where endpoints stand between services and flows.
    fn unit_index(&self, outcome: &Outcome, unit: usize) -> usize {
        match unit.checked_sub(self.topology.services.len()) {
            None => unit,
            Some(flow) => outcome.units.len() - self.topology.flows.len() + flow,
        }
    }

    /// The state of a unit in one of 64 trials.
    pub(super) fn unit_state(&self, outcome: &Outcome, unit: usize, trial: usize) -> usize {
        let item = &outcome.units[self.unit_index(outcome, unit)];
        let failed = item.failed >> trial & 1 == 1;
        let degraded = item.degraded >> trial & 1 == 1;
        // A failed unit is degraded as well in the outcome, and here it has one state.
        usize::from(degraded || failed) + usize::from(failed)
    }

    /// The chance of a report, given the true state.
    pub(super) fn report_probability(&self, said: usize, truth: usize) -> f64 {
        let wrong = self.question.misreport;
        match (said, truth) {
            (said, truth) if said == truth => 1.0 - wrong,
            // From the middle both others are neighbours.
            (_, 1) => wrong / 2.0,
            (1, _) => wrong * NEIGHBOR,
            _ => wrong * (1.0 - NEIGHBOR),
        }
    }

    /// The logarithm of the chance of all reports in one trial.
    fn log_likelihood_in_trial(&self, outcome: &Outcome, trial: usize) -> f64 {
        let chance = |seen: &Seen| {
            libm::log(
                self.report_probability(seen.state, self.unit_state(outcome, seen.unit, trial)),
            )
        };
        let silence = |unit: &usize| self.log_silence(self.unit_state(outcome, *unit, trial));
        self.seen.iter().map(chance).sum::<f64>() + self.silent.iter().map(silence).sum::<f64>()
    }

    /// The logarithm of the chance that nobody reports on something in this state.
    fn log_silence(&self, state: usize) -> f64 {
        let unreported = self.question.unreported;
        match state {
            0 => 0.0,
            // What is only degraded is overlooked more easily than what fails.
            1 => libm::log(f64::midpoint(1.0, unreported)),
            _ => libm::log(unreported),
        }
    }

    /// The logarithm of the chance of all that is said, and not said, where every state is as likely as
    /// any other.
    fn log_of_chance(&self) -> f64 {
        let silence = (0..3).map(|state| libm::exp(self.log_silence(state))).sum::<f64>() / 3.0;
        -(self.seen.len() as f64) * libm::log(3.0) + self.silent.len() as f64 * libm::log(silence)
    }

    /// The logarithm of the chance of what is seen, up to what is the same for all candidates.
    pub(super) fn log_likelihood(&self, breaks: &[BreakCandidate]) -> f64 {
        // One trial in which every state is as likely as any other.
        let mut logs = vec![self.log_of_chance()];
        let timed = self.timed_failures();
        let mut firsts: Vec<Vec<f64>> = vec![Vec::new(); timed.len()];
        self.each_outcome(breaks, |outcome| {
            for trial in valid_trials(outcome) {
                logs.push(self.log_likelihood_in_trial(outcome, trial));
            }
            for (seen, firsts) in timed.iter().zip(&mut firsts) {
                let unit = self.unit_index(outcome, seen.unit) as u32;
                let of_unit = outcome.times.iter().filter(|time| time.unit == unit);
                firsts.extend(of_unit.map(|of_unit| of_unit.first));
            }
        });
        // Logarithms are added from the largest: the chances themselves are too small for floating
        // point.
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = logs.iter().map(|log| libm::exp(log - top)).sum::<f64>() / logs.len() as f64;
        top + libm::log(mean) + self.in_order(&timed, firsts)
    }

    /// Returns the units that were seen to fail at a known time, in that order.
    fn timed_failures(&self) -> Vec<Seen> {
        let is_timed = |item: &&Seen| item.state == 2 && item.from.is_some();
        let mut timed: Vec<Seen> = self.seen.iter().filter(is_timed).copied().collect();
        timed.arrange_by(|a, b| a.from.unwrap_or(0.0).total_cmp(&b.from.unwrap_or(0.0)));
        timed
    }

    /// How well the order of failures agrees: by neighbours that failed at different times.
    fn in_order(&self, timed: &[Seen], firsts: Vec<Vec<f64>>) -> f64 {
        let medians: Vec<f64> = firsts.into_iter().map(|first| self.median_of(first)).collect();
        let pairs = timed.windows(2).zip(medians.windows(2));
        let differ = pairs.filter(|(seen, _)| seen[0].from != seen[1].from);
        let chance = differ.map(|(_, medians)| match () {
            // Medians closer than a second give no order.
            () if medians[0] + 1.0 < medians[1] => 1.0 - WRONG_ORDER,
            () if medians[1] + 1.0 < medians[0] => WRONG_ORDER,
            () => 0.5,
        });
        chance.map(libm::log).sum()
    }

    /// The median of all trials; infinite where it does not fail in most.
    fn median_of(&self, mut firsts: Vec<f64>) -> f64 {
        firsts.sort_by(f64::total_cmp);
        // A trial without the failure counts as one in which it comes last.
        let middle = usize::try_from(self.trials / 2).unwrap_or(usize::MAX);
        firsts.get(middle).copied().unwrap_or(f64::INFINITY)
    }

    /// How often each unit is in each state, given a break and what is seen.
    pub(super) fn state_probabilities(&self, candidate: BreakCandidate) -> Vec<[f64; 3]> {
        let units = self.topology.services.len() + self.topology.flows.len();
        // Smoothed by one trial in which every state is as likely as any other.
        let uniform = libm::exp(self.log_of_chance());
        let mut sums = vec![[uniform / 3.0; 3]; units];
        let mut total = uniform;
        self.each_outcome(&[candidate], |outcome| {
            for trial in valid_trials(outcome) {
                let weight = libm::exp(self.log_likelihood_in_trial(outcome, trial));
                total += weight;
                for (unit, sums) in sums.iter_mut().enumerate() {
                    sums[self.unit_state(outcome, unit, trial)] += weight;
                }
            }
        });
        let scale =
            // Without any weight every state is as likely as the others.
            |sums: [f64; 3]| sums.map(|sum| if total > 0.0 { sum / total } else { 1.0 / 3.0 });
        sums.into_iter().map(scale).collect()
    }

    /// How well the break agrees with what is seen, without being told of it.
    pub(super) fn agreement_of(&self, candidate: BreakCandidate) -> Agreement {
        let mut counts = vec![[0_u64; 3]; self.seen.len()];
        let (mut trials, mut reasons) = (0_u64, BTreeMap::<WaitReason, u64>::new());
        self.each_outcome(&[candidate], |outcome| {
            trials += u64::from(outcome.valid.count_ones());
            for (reason, held) in &outcome.reasons {
                *reasons.entry(*reason).or_default() += u64::from(held.count_ones());
            }
            for trial in valid_trials(outcome) {
                for (seen, counts) in self.seen.iter().zip(&mut counts) {
                    counts[self.unit_state(outcome, seen.unit, trial)] += 1;
                }
            }
        });
        // Of equally likely states the worst.
        let likeliest = |counts: &[u64; 3]| {
            (0..3).max_by_key(|state| (counts[*state], *state)).expect("three states")
        };
        let predicted: Vec<usize> = counts.iter().map(likeliest).collect();
        let both = self.seen.iter().zip(&predicted);
        let agrees = both.filter(|(seen, predicted)| seen.state == **predicted).count() as u64;
        let share = |count: u64| count as f64 / trials.max(1) as f64;
        let mut reasons: Vec<(WaitReason, f64)> =
            reasons.into_iter().map(|(reason, count)| (reason, share(count))).collect();
        reasons.arrange_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Agreement { predicted, agrees, reasons }
    }
}

fn valid_trials(outcome: &Outcome) -> impl Iterator<Item = usize> + use<> {
    let mask = outcome.valid;
    (0..TRIALS).filter(move |trial| mask >> trial & 1 == 1)
}
