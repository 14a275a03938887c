//! Outcomes that were observed, beside the predicted ones, as far as scores need them.

use super::predict::Prediction;
use super::rules::ReachRule;
use super::score::{IncidentEvidence, PredictedPair};
use super::{CasePredictions, badness_of, targeted_services};
use crate::model::incident::{Observed, ObservedOn, ObservedState};
use crate::model::topology::{Caller, NodeRef};
use crate::model::{Seconds, Share};
use crate::project::IncidentCase;

/// From which share of failed requests on something has failed, and from which on it is degraded.
const FAILED: f64 = 0.5;
const DEGRADED: f64 = 0.01;

/// Outcome of a service or a flow: its worst state, and from when until when it was impacted at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OutcomeUnit {
    pub(super) unit: usize,
    pub(super) state: ObservedState,
    pub(super) from: Option<f64>,
    /// Nothing where the end of one of its states is not known.
    pub(super) until: Option<f64>,
    /// The largest share of failed requests that is stated.
    pub(super) share: Option<f64>,
}

/// Returns what is known of each service or flow that was observed.
pub(super) fn observed_units(case: &IncidentCase) -> Vec<OutcomeUnit> {
    let mut found: Vec<OutcomeUnit> = Vec::new();
    for observed in &case.incident.observed {
        let one = OutcomeUnit {
            unit: unit_index(case, observed),
            state: stated_state(observed),
            from: observed.from.map(Seconds::get),
            until: observed.until.map(Seconds::get),
            share: observed.severity.map(Share::get),
        };
        match found.iter_mut().find(|known| known.unit == one.unit) {
            None => found.push(one),
            // Several observations may be of one thing; its worst state is what happened to it.
            Some(known) => {
                if badness_of(one.state) > badness_of(known.state) {
                    known.state = one.state;
                }
                known.from = earlier(known.from, one.from);
                known.until = known.until.zip(one.until).map(|(a, b)| a.max(b));
                known.share = [known.share, one.share].into_iter().flatten().reduce(f64::max);
            }
        }
    }
    found
}

fn earlier(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::min)
}

/// The state by the share of failed requests where it is stated, otherwise the state as written.
fn stated_state(observed: &Observed) -> ObservedState {
    match (observed.state, observed.severity.map(Share::get)) {
        // A share of late answers is no share of failed ones.
        (ObservedState::Late, _) | (_, None) => observed.state,
        (_, Some(share)) if share >= FAILED => ObservedState::Failed,
        (_, Some(share)) if share >= DEGRADED => ObservedState::Degraded,
        // Nothing fails, but something may be missing.
        (ObservedState::Degraded, Some(share)) if share <= 0.0 => ObservedState::Degraded,
        (_, Some(_)) => ObservedState::Unaffected,
    }
}

fn unit_index(case: &IncidentCase, observed: &Observed) -> usize {
    match observed.on {
        ObservedOn::Service(id) => id.0 as usize,
        ObservedOn::Flow(flow) => case.topology.services.len() + flow as usize,
    }
}

/// Which of the predictions of an incident count: for states and times, and for the duration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variants {
    states: Told,
    duration: Told,
}

#[derive(Clone, Copy, Debug)]
enum Told {
    Nothing,
    Fix,
    Actions,
}

impl Variants {
    /// States with what operators did, durations without it: most of a duration would be given.
    pub(super) const UNTOLD: Self = Self { states: Told::Actions, duration: Told::Nothing };
    /// Both with what operators did.
    pub(super) const ACTIONS_TOLD: Self = Self { states: Told::Actions, duration: Told::Actions };
    /// States with what operators did, durations told only the kind of fix.
    pub(super) const FIX_TOLD: Self = Self { states: Told::Actions, duration: Told::Fix };
    /// Both without anything that operators did.
    pub(super) const NOTHING_DONE: Self = Self { states: Told::Nothing, duration: Told::Nothing };
}

impl CasePredictions {
    fn by_told(&self, told: Told) -> Option<&Prediction> {
        match told {
            Told::Nothing => Some(&self.undone),
            Told::Fix => self.fix_told.as_ref(),
            Told::Actions => Some(&self.told),
        }
    }
}

/// Returns the evidence of all cases.
pub(super) fn all_evidence(
    cases: &[IncidentCase],
    found: &[CasePredictions],
    variants: Variants,
) -> Vec<IncidentEvidence> {
    let all = cases.iter().zip(found);
    let one = |(case, found): (&IncidentCase, &CasePredictions)| {
        let states = found.by_told(variants.states).unwrap_or(&found.told);
        let predicted = found.by_told(variants.duration).and_then(|item| item.duration);
        IncidentEvidence {
            pairs: predicted_pairs(case, states),
            duration: case.incident.duration.map(Seconds::get).zip(predicted),
            containments: Vec::new(),
        }
    };
    all.map(one).collect()
}

fn predicted_pairs(case: &IncidentCase, prediction: &Prediction) -> Vec<PredictedPair> {
    let connected = connected_units(case);
    let pair = |item: OutcomeUnit| {
        let is_hit = item.state != ObservedState::Unaffected;
        let (start, end) = prediction.impact[item.unit];
        PredictedPair {
            observed: item.state,
            predicted: prediction.likely_state(item.unit),
            impacted: prediction.hit_probability(item.unit),
            shares: item.share.map(|share| (share, prediction.shares[item.unit])),
            // What the simulation never hits is a miss already, and has no place in the order.
            starts: item.from.filter(|_| is_hit && start.is_finite()).map(|from| (from, start)),
            ends: item.until.filter(|_| is_hit && end.is_finite()).map(|until| (until, end)),
            is_connected: connected[item.unit],
        }
    };
    observed_units(case).into_iter().map(pair).collect()
}

/// Returns the evidence that a rule gives, which knows no times and no probabilities.
pub(super) fn rule_evidence(case: &IncidentCase, rule: ReachRule) -> IncidentEvidence {
    let states = rule.predict_states(&case.topology, &case.change);
    let connected = connected_units(case);
    let pair = |item: OutcomeUnit| {
        let predicted = states[item.unit];
        let certain = if predicted == ObservedState::Unaffected { 0.0 } else { 1.0 };
        PredictedPair {
            observed: item.state,
            predicted,
            impacted: certain,
            shares: item.share.map(|share| (share, certain)),
            starts: None,
            ends: None,
            is_connected: connected[item.unit],
        }
    };
    let pairs = observed_units(case).into_iter().map(pair).collect();
    IncidentEvidence { pairs, ..IncidentEvidence::default() }
}

/// By service and flow: whether some dependency leads to it or from it, or it was changed itself.
fn connected_units(case: &IncidentCase) -> Vec<bool> {
    let topology = &case.topology;
    let mut connected = vec![false; topology.services.len()];
    for service in targeted_services(topology, &case.change) {
        connected[service] = true;
    }
    for (caller, dependency) in topology.declared_dependencies() {
        // A flow of its own connects a service with nobody else.
        let Caller::Node(caller) = caller else { continue };
        let fallback = dependency.fallback.and_then(|fallback| fallback.on);
        let ends = dependency.on.iter().copied().chain(fallback).chain([caller]);
        ends.for_each(|node: NodeRef| connected[node.service.0 as usize] = true);
    }
    connected.extend(std::iter::repeat_n(true, topology.flows.len()));
    connected
}
