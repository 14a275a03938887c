//! Failed requests that are counted until somebody, or a gate, is sure: section "Time".

use blastwave::model::change::{Change, Detection};
use blastwave::model::{Rate, Share};

use super::graph::Graph;
use super::load::{Moment, target_rate};
use super::moment::{SLACK, State};

/// What is watched.
#[derive(Clone, Copy, Debug)]
enum Watched {
    Flow(usize),
    Target(usize),
}

/// A reason to start the clock.
#[derive(Clone, Debug)]
struct Alert {
    watched: Watched,
    threshold: f64,
    /// How many failed requests it takes, and how many requests come per second; `None` where the share
    /// is enough.
    count: Option<(f64, f64)>,
    /// Of slow and down requests, and of all that fail.
    so_far: [f64; 2],
}

/// All that is counted.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    alerts: Vec<Alert>,
    /// By target: its rate, as [`target_rate`] has it.
    rates: Vec<Option<f64>>,
    /// By target: failed requests so far, and when its present stage began.
    targets: Vec<[f64; 2]>,
    /// What a gate must see.
    least: u32,
}

/// A target at a moment: the share of changed instances that fails, and of all requests to it; slow or
/// down, and those with wrong answers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failing {
    pub(crate) of_changed: [f64; 2],
    pub(crate) of_all: [f64; 2],
}

impl Evidence {
    pub(crate) fn new(graph: &Graph, change: &Change, detection: &Detection) -> Self {
        let watches = detection.watches.unwrap_or_default();
        let rates: Vec<Option<f64>> =
            change.targets.iter().map(|target| target_rate(graph, target.on)).collect();
        let threshold = detection.alert_threshold.map(Share::get);
        let stated = detection.failures.map(f64::from);
        let mut alerts = Vec::new();
        let mut add = |watched, threshold, count| {
            alerts.push(Alert { watched, threshold, count, so_far: [0.0; 2] });
        };
        if watches.flows {
            for (number, flow) in graph.topology.flows.iter().enumerate() {
                let rate = flow.rate.map(Rate::get);
                let is_counted = rate.is_some() && (stated.is_some() || threshold.is_none());
                if let (Some(rate), true) = (rate, is_counted) {
                    let count = Some((stated.unwrap_or(10.0), rate));
                    add(Watched::Flow(number), threshold.unwrap_or(0.0), count);
                }
                if rate.is_none() || stated.is_none() {
                    add(Watched::Flow(number), threshold.unwrap_or(0.01), None);
                }
            }
        }
        if watches.target {
            let is_asked_for = stated.is_some() || detection.watches.is_some();
            for (number, rate) in rates.iter().enumerate() {
                let Some(rate) = *rate else { continue };
                let is_counted = !rate.is_nan() && (stated.is_some() || threshold.is_none());
                if is_counted {
                    let count = Some((stated.unwrap_or(10.0), rate));
                    add(Watched::Target(number), threshold.unwrap_or(0.0), count);
                } else if is_asked_for {
                    add(Watched::Target(number), threshold.unwrap_or(0.01), None);
                }
            }
        }
        let targets = vec![[0.0; 2]; change.targets.len()];
        Self { alerts, rates, targets, least: detection.failures.unwrap_or(10) }
    }

    /// A stage of a target begins.
    pub(crate) fn begin_stage(&mut self, target: usize) {
        let [so_far, at_stage] = &mut self.targets[target];
        *at_stage = *so_far;
    }

    /// Whether slow and down requests are noticed, and all that fail.
    pub(crate) fn notices(
        &self,
        graph: &Graph,
        moment: &Moment,
        baseline: &Moment,
        targets: &[Failing],
    ) -> [bool; 2] {
        let mut notices = [false; 2];
        for alert in &self.alerts {
            let failing = alert.failing(graph, moment, baseline, targets);
            for level in 0..2 {
                notices[level] |= match alert.count {
                    Some((least, _)) => alert.so_far[level] >= least * (1.0 - 1e-9),
                    None => failing.of_changed[level] > alert.threshold + SLACK,
                };
            }
        }
        notices
    }

    /// Counts what fails for so many seconds.
    pub(crate) fn count(
        &mut self,
        graph: &Graph,
        moment: &Moment,
        baseline: &Moment,
        targets: &[Failing],
        seconds: f64,
    ) {
        for alert in &mut self.alerts {
            let failing = alert.failing(graph, moment, baseline, targets);
            let Some((_, rate)) = alert.count else { continue };
            for level in 0..2 {
                if failing.of_changed[level] > alert.threshold + SLACK {
                    alert.so_far[level] += rate * failing.of_all[level] * seconds;
                }
            }
        }
        for ((counts, rate), failing) in self.targets.iter_mut().zip(&self.rates).zip(targets) {
            let rate = rate.filter(|rate| !rate.is_nan()).unwrap_or(0.0);
            counts[0] += rate * failing.of_all[1] * seconds;
        }
    }

    /// The chance that a gate sees enough of some of these targets.
    pub(crate) fn chance_to_see(&self, broken: impl Iterator<Item = usize>) -> f64 {
        let chance = |target: usize| match self.rates[target] {
            Some(rate) if !rate.is_nan() => {
                let [so_far, at_stage] = self.targets[target];
                chance_of_at_least(self.least, so_far - at_stage)
            }
            _ => 1.0,
        };
        broken.map(chance).fold(0.0, f64::max)
    }
}

impl Alert {
    fn failing(
        &self,
        graph: &Graph,
        moment: &Moment,
        baseline: &Moment,
        targets: &[Failing],
    ) -> Failing {
        match self.watched {
            Watched::Target(target) => targets[target],
            Watched::Flow(flow) => {
                let node = graph.flow(flow);
                let charged = |of: fn(State) -> f64| {
                    (of(moment.states[node]) - of(baseline.states[node])).max(0.0)
                };
                let shares = [charged(|state| state.slow + state.down), charged(State::failing)];
                Failing { of_changed: shares, of_all: shares }
            }
        }
    }
}

/// One minus the sum of the terms below, each by its logarithm, since they may be very small.
fn chance_of_at_least(least: u32, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    let term = |number: u32| {
        let number = f64::from(number);
        libm::exp(number * libm::log(mean) - mean - libm::lgamma(number + 1.0))
    };
    (1.0 - (0..least).map(term).sum::<f64>()).max(0.0)
}
