//! Predictions of the simulation for one incident: states, shares of requests, times.

use super::wanted_trials;
use crate::analysis::Stop;
use crate::analysis::simulate::{Settings, run_trials};
use crate::compile::compile;
use crate::engine::trace::State;
use crate::engine::{Progress, Simulator};
use crate::model::incident::ObservedState;
use crate::model::{Change, Topology};
use crate::summary::summarize;

/// How many trials are followed moment by moment for their times.
const TIMED_TRIALS: u64 = 64;
/// From which share of requests on something is hit, as reviews count it.
const HIT: f64 = 0.01;

/// Prediction of one incident: by service, then by flow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prediction {
    pub(super) trials: u64,
    /// The probability that at least half of the requests fail at some moment.
    pub(super) failed: Vec<f64>,
    /// The probability to be degraded or worse.
    pub(super) degraded: Vec<f64>,
    /// The mean of the peak share of requests that fail.
    pub(super) shares: Vec<f64>,
    /// The mean of the peak share of requests that are answered late.
    pub(super) late: Vec<f64>,
    /// The median time of the first failure, seconds.
    pub(super) first: Vec<Option<f64>>,
    /// The median of how long it failed in all, seconds.
    pub(super) lasted: Vec<Option<f64>>,
    /// The median times of the first and the last impact, seconds; infinite for never.
    pub(super) impact: Vec<(f64, f64)>,
    /// The median from the first impact on anything to the last, seconds.
    pub(super) duration: Option<f64>,
}

pub(super) fn predict_incident(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    progress: &dyn Progress,
) -> Prediction {
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulator::with_engine(&plan, settings.seed, settings.engine);
    let stop = Stop::Trials(wanted_trials(settings));
    let (tally, _) = run_trials(&plan, &simulation, stop, progress);
    let summary = summarize(&tally);
    let (services, flows) = (topology.services.len(), topology.flows.len());
    let units = &summary.units;
    let flows_from = units.len() - flows;
    let wanted = || units[..services].iter().chain(&units[flows_from..]);
    // Endpoints stand between services and flows, and are not observed.
    let place = |unit: usize| match unit {
        unit if unit < services => Some(unit),
        unit if unit >= flows_from => Some(unit - flows_from + services),
        _ => None,
    };
    let times =
        impact_times(&simulation, summary.trials.min(TIMED_TRIALS), services + flows, &place);
    Prediction {
        trials: summary.trials,
        failed: wanted().map(|wanted| wanted.failed.p).collect(),
        degraded: wanted().map(|wanted| wanted.degraded.p).collect(),
        shares: wanted().map(|wanted| wanted.failing_share).collect(),
        late: wanted().map(|wanted| wanted.late_share).collect(),
        first: wanted()
            .map(|wanted| wanted.first_failed.map(|first_failed| first_failed.p50))
            .collect(),
        lasted: wanted().map(|wanted| wanted.failed_for.map(|failed_for| failed_for.p50)).collect(),
        impact: times.by_unit,
        duration: times.duration,
    }
}

/// Times of impacts: medians over trials.
struct ImpactTimes {
    by_unit: Vec<(f64, f64)>,
    duration: Option<f64>,
}

/// Follows trials moment by moment: failing times alone say nothing of what is degraded or late.
fn impact_times(
    simulation: &Simulator<'_>,
    trials: u64,
    units: usize,
    place: &dyn Fn(usize) -> Option<usize>,
) -> ImpactTimes {
    let mut starts: Vec<Vec<f64>> = vec![Vec::new(); units];
    let mut ends: Vec<Vec<f64>> = vec![Vec::new(); units];
    let mut durations = Vec::new();
    for trial in 0..trials {
        let mut spans: Vec<Option<(f64, f64)>> = vec![None; units];
        for step in simulation.trace_trial(trial).steps {
            for (unit, state) in &step.units {
                let Some(at) = place(*unit as usize).filter(|_| is_hit(state)) else { continue };
                let span = spans[at].get_or_insert((step.from, step.until));
                span.1 = step.until;
            }
        }
        let hit = || spans.iter().flatten();
        let start = hit().map(|span| span.0).fold(f64::INFINITY, f64::min);
        let end = hit().map(|span| span.1).fold(f64::NEG_INFINITY, f64::max);
        if start <= end {
            durations.push(end - start);
        }
        for (unit, span) in spans.into_iter().enumerate() {
            let (start, end) = span.unwrap_or((f64::INFINITY, f64::INFINITY));
            starts[unit].push(start);
            ends[unit].push(end);
        }
    }
    let by_unit = starts.into_iter().zip(ends);
    ImpactTimes {
        by_unit: by_unit
            .map(|(starts, ends)| {
                (median(starts).unwrap_or(f64::INFINITY), median(ends).unwrap_or(f64::INFINITY))
            })
            .collect(),
        duration: median(durations),
    }
}

fn is_hit(state: &State) -> bool {
    state.failing_share() + state.degraded >= HIT || state.late >= HIT
}

/// The upper median, so that it is a time that occurred.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Prediction {
    /// The state that is most likely: of a probability of half, the worse.
    pub(super) fn likely_state(&self, unit: usize) -> ObservedState {
        if self.failed[unit] >= 0.5 {
            ObservedState::Failed
        } else if self.degraded[unit] >= 0.5 {
            ObservedState::Degraded
        } else if self.late[unit] >= HIT {
            ObservedState::Late
        } else {
            ObservedState::Unaffected
        }
    }

    /// The probability to be hit at all: degraded or worse, or late.
    pub(super) fn hit_probability(&self, unit: usize) -> f64 {
        // Of lateness only the mean share is counted: from 1% on it is taken for certain.
        if self.late[unit] >= HIT { 1.0 } else { self.degraded[unit] }
    }
}
