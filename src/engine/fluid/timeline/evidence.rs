//! Evidence of a break: failed requests that are counted until somebody, or a gate, is sure.

use crate::compile::plan::{Alert, AlertOf, Plan, TargetId};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{Lanes, all, has};
use crate::engine::fluid::state::sampled_trials::Mode;
use crate::model::id::Table;

/// Failed requests so far, and how many more there are per second at the present moment.
#[derive(Clone, Copy, Debug)]
struct Count {
    so_far: Lanes,
    per_second: Lanes,
}

const NOTHING: Count = Count { so_far: all(0.0), per_second: all(0.0) };

/// Evidence counted in eight trials.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// By alert: slow and down requests, and those with wrong ones.
    alerts: Vec<[Count; 2]>,
    /// By target, for gates: all failed requests on changed instances.
    targets: Table<TargetId, Count>,
    /// By target: how many there were when its present stage began.
    at_stage: Table<TargetId, Lanes>,
}

/// The shares of what is watched that fail, and the failed requests per second: slow and down ones, and
/// those with wrong ones.
#[derive(Clone, Copy, Debug, Default)]
struct Failing {
    shares: [f64; 2],
    per_second: [f64; 2],
}

impl Evidence {
    /// Room for what a plan has counted; nothing for a single moment.
    pub(crate) fn new(plan: &Plan) -> Self {
        let Some(schedule) = &plan.schedule else { return Self::default() };
        let of_targets = plan.targets.iter().flat_map(|target| &target.stages);
        let has_gates = schedule.stages.iter().chain(of_targets).any(|stage| stage.gate > 0.0);
        let gated = if has_gates { plan.targets.len() } else { 0 };
        Self {
            alerts: vec![[NOTHING; 2]; schedule.alerts.len()],
            targets: Table::filled(NOTHING, gated),
            at_stage: Table::filled(all(0.0), gated),
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.alerts.fill([NOTHING; 2]);
        self.targets.fill(NOTHING);
        self.at_stage.fill(all(0.0));
    }

    /// Counts what fails from the present moment of a lane for so long.
    #[inline]
    fn count_for(&mut self, lane: usize, duration: f64) {
        for count in self.alerts.iter_mut().flatten().chain(&mut self.targets) {
            if count.per_second[lane] > 0.0 {
                count.so_far[lane] += count.per_second[lane] * duration;
            }
        }
    }

    /// Notes that a stage begins: of one target, or of all that have no rollout of their own.
    pub(crate) fn begin_stage(&mut self, plan: &Plan, lane: usize, target: Option<TargetId>) {
        for (id, count) in self.targets.entries() {
            let begins = match target {
                Some(target) => target == id,
                None => plan.targets[id].stages.is_empty(),
            };
            if begins {
                self.at_stage[id][lane] = count.so_far[lane];
            }
        }
    }
}

impl Count {
    /// How many seconds it takes until there are so many, if everything goes on like this; 0 once there
    /// are, allowing for the rounding of times and sums.
    #[inline]
    fn time_until(&self, failures: f64, lane: usize, time: f64) -> f64 {
        let lacking = failures - self.so_far[lane];
        let per_second = self.per_second[lane];
        let rounding = per_second * (1e-9 + 1e-12 * time) + 1e-9 * failures;
        match () {
            () if lacking <= rounding => 0.0,
            () if per_second > 0.0 => lacking / per_second,
            () => f64::INFINITY,
        }
    }
}

impl Run<'_> {
    /// Looks at what fails at the present moment of a lane; says whether alerts notice what is slow or
    /// down, and what is so or wrong.
    pub(crate) fn weigh_evidence(&mut self, lane: usize) -> [bool; 2] {
        let plan = self.plan;
        let Some(schedule) = &plan.schedule else { return [false; 2] };
        let time = self.state.time[lane];
        let mut notices = [false; 2];
        for (index, alert) in schedule.alerts.iter().enumerate() {
            let failing = self.failing_of(alert, lane);
            for level in 0..2 {
                let is_above = failing.shares[level] > alert.threshold + SLACK;
                let count = &mut self.evidence.alerts[index][level];
                count.per_second[lane] = if is_above { failing.per_second[level] } else { 0.0 };
                notices[level] |= if alert.failures > 0.0 {
                    count.time_until(alert.failures, lane, time) <= 0.0
                } else {
                    is_above
                };
            }
        }
        for target in self.evidence.targets.ids() {
            // Where the rate is not known nothing is counted; no gate asks for it then.
            let rate = plan.target_rate(target).unwrap_or(0.0);
            let failing = self.failing_share_of_target(target, lane)[1];
            self.evidence.targets[target].per_second[lane] = rate * failing;
        }
        notices
    }

    /// Returns when an alert whose clock does not run has counted enough.
    pub(crate) fn next_alert(&self, lane: usize, runs: [bool; 2]) -> f64 {
        let Some(schedule) = &self.plan.schedule else { return f64::INFINITY };
        let time = self.state.time[lane];
        let mut next = f64::INFINITY;
        for (alert, counts) in schedule.alerts.iter().zip(&self.evidence.alerts) {
            for level in (0..2).filter(|level| alert.failures > 0.0 && !runs[*level]) {
                let until = counts[level].time_until(alert.failures, lane, time);
                // What has enough already is noticed at this moment, not at a later one.
                if until > 0.0 {
                    next = next.min(time + until);
                }
            }
        }
        next
    }

    /// Counts what fails until a later time, while nobody has noticed.
    pub(crate) fn count_evidence(&mut self, lane: usize, until: f64) {
        let duration = until - self.state.time[lane];
        if duration > 0.0 && !self.progress[lane].is_detected() {
            self.evidence.count_for(lane, duration);
        }
    }

    fn failing_of(&self, alert: &Alert, lane: usize) -> Failing {
        match alert.of {
            AlertOf::Flow(flow) => {
                let [unanswered, failing, _] = self.charged(flow, lane);
                let shares = [unanswered, failing];
                Failing { shares, per_second: shares.map(|share| alert.rate * share) }
            }
            AlertOf::Target(target) => {
                let of_all = self.failing_share_of_target(target, lane);
                let exposure = self.progress[lane].exposure_of(target, self.plan);
                let of_changed =
                    |share: f64| if exposure > 0.0 { (share / exposure).min(1.0) } else { share };
                Failing {
                    shares: of_all.map(of_changed),
                    per_second: of_all.map(|share| alert.rate * share),
                }
            }
        }
    }

    /// Returns the share of all requests to a target that fails by itself now: slow or down, and with
    /// wrong answers.
    fn failing_share_of_target(&self, target: TargetId, lane: usize) -> [f64; 2] {
        let share = self.over_cohorts(lane, |cohort| self.target_shares[target][cohort][lane]);
        match self.mode(target, lane) {
            Mode::Down | Mode::Slow => [share, share],
            Mode::Corrupt => [0.0, share],
            Mode::Surge => [0.0, 0.0],
        }
    }

    /// Returns whether the gate of a stage sees enough failed requests, by the draw for it. Where they
    /// cannot be counted it does.
    pub(crate) fn sees_enough(&self, lane: usize, gate: usize) -> bool {
        let Some(schedule) = &self.plan.schedule else { return false };
        let chance = |target: TargetId| {
            if !has(self.sampled.targets[target].broken, lane) {
                return 0.0;
            }
            if self.plan.target_rate(target).is_none() {
                return 1.0;
            }
            let so_far = self.evidence.targets[target].so_far[lane];
            chance_of_at_least(schedule.failures, so_far - self.evidence.at_stage[target][lane])
        };
        let best = self.evidence.targets.ids().iter().map(chance).fold(0.0, f64::max);
        self.sampled.gate_counts.get(gate).is_some_and(|draw| draw[lane] < best)
    }
}

/// Returns the probability that a Poisson number of this mean is at least `least`.
fn chance_of_at_least(least: u32, mean: f64) -> f64 {
    if least == 0 {
        return 1.0;
    }
    if mean <= 0.0 {
        return 0.0;
    }
    let least = f64::from(least);
    let term =
        |number: f64| libm::exp(number * libm::log(mean) - mean - libm::lgamma(number + 1.0));
    // Whichever side is the smaller is summed, from its largest term on.
    let is_below = mean >= least;
    let mut number = if is_below { least - 1.0 } else { least };
    let (mut part, mut sum) = (term(number), 0.0);
    // Smaller terms no longer change the last bit of the sum.
    while part > sum * 1e-17 && number >= 0.0 {
        sum += part;
        part *= if is_below { number / mean } else { mean / (number + 1.0) };
        number += if is_below { -1.0 } else { 1.0 };
    }
    if is_below { 1.0 - sum } else { sum }
}

#[cfg(test)]
mod tests {
    use super::chance_of_at_least;

    #[test]
    fn chances_are_those_of_the_poisson_distribution() {
        for (least, mean) in [(1, 0.3_f64), (3, 2.5), (10, 6.0), (10, 30.0), (50, 20.0)] {
            let (mut term, mut below) = ((-mean).exp(), 0.0);
            for number in 0..least {
                below += term;
                term *= mean / f64::from(number + 1);
            }
            let chance = chance_of_at_least(least, mean);
            assert!((chance - (1.0 - below)).abs() < 1e-12, "{least} of {mean}: {chance}");
        }
        assert_eq!(chance_of_at_least(10, 0.0), 0.0);
        assert!(chance_of_at_least(1_000_000, 2_000_000.0) > 1.0 - 1e-12);
        assert!(chance_of_at_least(1_000_000, 500_000.0) < 1e-12);
    }
}
