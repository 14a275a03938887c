//! Incidents that happened, simulated again: how well does the model agree with them?
//!
//! The structure that a review documents comes in, with the change that set it off and what was seen.
//! What fails by the simulation is held against what failed, with the scores of rules that simulate
//! nothing beside it.

mod actions;
mod rules;
mod score;
mod without;

use crate::compile::compile;
use crate::engine::{Progress, Simulation};
use crate::model::change::TargetRef;
use crate::model::incident::{Observed, ObservedOn, ObservedState};
use crate::model::{Change, Seconds, Topology};
use crate::project::IncidentCase;
use crate::report::replay::{
    AblationReport, ActionReport, ComponentReport, ContainmentReport, DurationReport,
    IncidentReport, ReplayReport, RuleScoreReport, SCHEMA, ScoreReport,
};
use crate::report::{ComponentState, ModelElement};
use crate::summary::{Summary, summarize};

use super::diagnose;
use super::simulate::{Settings, Stop, run_trials};
use rules::ReachRule;
use score::{IncidentEvidence, PredictedPair};

/// Additional parts of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayRequest {
    /// Leave each element of the model out in turn.
    pub ablate: bool,
    /// At which place a diagnosis puts what set each off.
    pub diagnose: bool,
}

/// Simulates incidents and compares.
pub fn replay_incidents(
    cases: &[IncidentCase],
    asked: ReplayRequest,
    settings: &Settings,
    progress: &dyn Progress,
) -> ReplayReport {
    let with = |edit: &TopologyEdit<'_>| -> (Vec<Prediction>, Vec<Prediction>) {
        let predict = |topology: &Topology, change: &Change| {
            let (topology, change) = edit(topology, change);
            predict_incident(&topology, &change, settings, progress)
        };
        let both = cases.iter().map(|case| {
            let told = predict(&case.topology, &case.change);
            // Where nobody did anything it is the same.
            let undone = if case.change.actions.is_empty() {
                told.clone()
            } else {
                predict(&case.topology, &actions::without_actions(&case.change))
            };
            (told, undone)
        });
        both.unzip()
    };
    let (full, undone) = with(&|topology, change| (topology.clone(), change.clone()));
    let (stated, stated_undone) =
        with(&|topology, change| (without::declared_only(topology), change.clone()));
    let examined: Vec<Examined> = cases
        .iter()
        .zip(full.iter().zip(&undone))
        .map(|(item, (full, undone))| examine_incident(item, full, undone, settings, progress))
        .collect();
    let mut of_full = all_evidence(cases, &full, &undone);
    for (item, examined) in of_full.iter_mut().zip(&examined) {
        item.containments =
            examined.containment.iter().filter_map(|containment| containment.confirmed).collect();
    }
    let of_stated = all_evidence(cases, &stated, &stated_undone);
    let incidents = cases.iter().zip(&full).zip(examined).enumerate();
    ReplayReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: settings.seed,
        trials: full.iter().map(|full| full.trials).min().unwrap_or(0),
        partial: full.iter().chain(&stated).any(|full| full.trials < wanted_trials(settings)),
        score: overall_score(cases, &of_full),
        stated_only: overall_score(cases, &of_stated),
        // With the duration of the simulation that was told what operators did.
        durations_told: overall_score(cases, &all_evidence(cases, &full, &full)),
        nothing_done: overall_score(cases, &all_evidence(cases, &undone, &undone)),
        diagnosis: asked.diagnose.then(|| {
            // A diagnosis simulates every component in every mode, so it gets fewer trials.
            let trials = Stop::Trials(wanted_trials(settings).min(diagnose::TRIALS));
            diagnose::score_diagnoses(cases, &Settings { stop: trials, ..*settings }, progress)
        }),
        baselines: baseline_reports(cases),
        incidents: incidents
            .map(|(index, ((case, full), examined))| IncidentReport {
                name: case.incident.name.clone(),
                date: case.incident.date.map(|date| date.to_string()),
                scored: case.incident.scored,
                score: score::score_report([&of_full[index]]),
                stated_only: score::score_report([&of_stated[index]]),
                components: component_reports(case, full),
                duration: examined.duration,
                containment: examined.containment,
                actions: examined.actions,
                sources: case.incident.sources.clone(),
            })
            .collect(),
        ablation: if asked.ablate { ablation_reports(cases, &full, &with) } else { Vec::new() },
    }
}

fn wanted_trials(settings: &Settings) -> u64 {
    let (Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. }) = settings.stop;
    trials
}

/// The services that a change breaks: its targets, and all that is in the domains among them.
fn targeted_services(topology: &Topology, change: &Change) -> Vec<usize> {
    let mut found = Vec::new();
    for target in &change.targets {
        match target.on {
            TargetRef::Node(node) => found.push(node.service.0 as usize),
            TargetRef::Domain(domain) => {
                let within =
                    // A service in several domains is up while one of them is.
                    |service: &crate::model::topology::Service| service.domains == [domain];
                let all = topology.services.iter().enumerate();
                found.extend(all.filter(|(_, item)| within(item)).map(|(index, _)| index));
            }
        }
    }
    found
}

/// Prediction of one incident: by service, then by flow.
#[derive(Clone, Debug, PartialEq)]
struct Prediction {
    trials: u64,
    failed: Vec<f64>,
    degraded: Vec<f64>,
    /// The median time of the first failure, seconds.
    first: Vec<Option<f64>>,
    /// The median of how long it failed in all, seconds.
    lasted: Vec<Option<f64>>,
    /// The median from the first impact to the last, seconds.
    duration: Option<f64>,
}

fn predict_incident(
    topology: &Topology,
    change: &Change,
    settings: &Settings,
    progress: &dyn Progress,
) -> Prediction {
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulation::with_engine(&plan, settings.seed, settings.engine);
    let stop = Stop::Trials(wanted_trials(settings));
    let (tally, _) = run_trials(&plan, &simulation, stop, progress);
    let summary = summarize(&tally);
    let (services, flows) = (topology.services.len(), topology.flows.len());
    let units = &summary.units;
    let wanted = || units[..services].iter().chain(&units[units.len() - flows..]);
    Prediction {
        trials: summary.trials,
        failed: wanted().map(|wanted| wanted.failed.p).collect(),
        degraded: wanted().map(|wanted| wanted.degraded.p).collect(),
        first: wanted()
            .map(|wanted| wanted.first_failed.map(|first_failed| first_failed.p50))
            .collect(),
        lasted: wanted().map(|wanted| wanted.failed_for.map(|failed_for| failed_for.p50)).collect(),
        duration: median_duration(&summary),
    }
}

fn median_duration(summary: &Summary) -> Option<f64> {
    let course = summary.course.as_ref()?;
    // Medians of two times, each of its own order: the difference may come out below 0.
    Some((course.over_at?.p50 - course.impact_at?.p50).max(0.0))
}

impl Prediction {
    /// The state that is most likely: of a probability of half, the worse.
    fn likely_state(&self, unit: usize) -> ObservedState {
        if self.failed[unit] >= 0.5 {
            ObservedState::Failed
        } else if self.degraded[unit] >= 0.5 {
            ObservedState::Degraded
        } else {
            ObservedState::Unaffected
        }
    }
}

/// Returns the observed state of each service or flow: its worst, and from when it was impacted.
fn observed_units(case: &IncidentCase) -> Vec<(usize, ObservedState, Option<f64>)> {
    let mut found: Vec<(usize, ObservedState, Option<f64>)> = Vec::new();
    for observed in &case.incident.observed {
        // Several observations may be of one thing; its worst state is what happened to it.
        let unit = unit_index(case, observed);
        let from = observed.from.map(Seconds::get);
        match found.iter_mut().find(|(known, ..)| *known == unit) {
            None => found.push((unit, observed.state, from)),
            Some((_, state, since)) => {
                if badness_of(observed.state) > badness_of(*state) {
                    *state = observed.state;
                    // Only failures are compared in time.
                    *since = from;
                }
            }
        }
    }
    found
}

fn unit_index(case: &IncidentCase, observed: &Observed) -> usize {
    match observed.on {
        ObservedOn::Service(id) => id.0 as usize,
        ObservedOn::Flow(flow) => case.topology.services.len() + flow as usize,
    }
}

fn badness_of(state: ObservedState) -> u8 {
    match state {
        ObservedState::Unaffected => 0,
        ObservedState::Degraded => 1,
        ObservedState::Failed => 2,
    }
}

/// Returns the evidence of all cases; `timed` as for [`evidence_of`].
fn all_evidence(
    cases: &[IncidentCase],
    found: &[Prediction],
    timed: &[Prediction],
) -> Vec<IncidentEvidence> {
    let all = cases.iter().zip(found.iter().zip(timed));
    all.map(|(case, (item, timed))| evidence_of(case, item, timed)).collect()
}

/// `timed` is the simulation whose duration counts: one that is not told what operators did.
fn evidence_of(
    case: &IncidentCase,
    prediction: &Prediction,
    timed: &Prediction,
) -> IncidentEvidence {
    let pairs = observed_units(case).into_iter().map(|(unit, state, from)| PredictedPair {
        observed: state,
        predicted: prediction.likely_state(unit),
        impacted: prediction.degraded[unit],
        times: from
            .filter(|_| state == ObservedState::Failed)
            // What never fails by the simulation comes after everything that does.
            .map(|from| (from, prediction.first[unit].unwrap_or(f64::INFINITY))),
    });
    IncidentEvidence {
        pairs: pairs.collect(),
        duration: case.incident.duration.map(Seconds::get).zip(timed.duration),
        containments: Vec::new(),
    }
}

fn overall_score(cases: &[IncidentCase], evidence: &[IncidentEvidence]) -> ScoreReport {
    let scored = cases.iter().zip(evidence).filter(|(case, _)| case.incident.scored);
    score::score_report(scored.map(|(_, scored)| scored))
}

fn component_reports(case: &IncidentCase, prediction: &Prediction) -> Vec<ComponentReport> {
    let services = case.topology.services.len();
    let name = |unit: usize| match unit.checked_sub(services) {
        None => case.topology.services[unit].name.clone(),
        Some(flow) => case.topology.flows[flow].name.clone(),
    };
    let component = |(unit, state, from)| ComponentReport {
        name: name(unit),
        observed: ComponentState::from(state),
        predicted: ComponentState::from(prediction.likely_state(unit)),
        failed: prediction.failed[unit],
        degraded: prediction.degraded[unit],
        observed_from_s: from,
        observed_until_s: impacted_until(case, unit),
        first_failed_s: prediction.first[unit],
        failed_for_s: prediction.lasted[unit],
    };
    observed_units(case).into_iter().map(component).collect()
}

/// Until when something was impacted; nothing where the end of one of its states is not known.
fn impacted_until(case: &IncidentCase, of: usize) -> Option<f64> {
    let all = case.incident.observed.iter().filter(|observed| unit_index(case, observed) == of);
    let ends: Option<Vec<f64>> = all.map(|item| item.until.map(Seconds::get)).collect();
    ends?.into_iter().reduce(f64::max)
}

/// Findings about one incident by itself.
struct Examined {
    duration: Option<DurationReport>,
    containment: Vec<ContainmentReport>,
    actions: Vec<ActionReport>,
}

fn examine_incident(
    case: &IncidentCase,
    full: &Prediction,
    undone: &Prediction,
    settings: &Settings,
    progress: &dyn Progress,
) -> Examined {
    let observed = case.incident.duration.map(Seconds::get);
    let is_told = !case.change.actions.is_empty();
    // Without what operators did, since the simulation must not be told how long it took.
    let ratio = undone.duration.zip(observed).map(|(predicted, observed)| predicted / observed);
    let duration = DurationReport {
        observed_s: observed,
        predicted_s: undone.duration,
        given_actions_s: full.duration.filter(|_| is_told),
        ratio,
    };
    let contained = case.incident.containment.iter();
    Examined {
        duration: (observed.is_some() || undone.duration.is_some()).then_some(duration),
        containment: contained
            .map(|contained| containment_report(case, contained, full, settings, progress))
            .collect(),
        actions: actions::action_reports(case, full, settings, progress),
    }
}

fn containment_report(
    case: &IncidentCase,
    item: &crate::model::incident::Containment,
    full: &Prediction,
    settings: &Settings,
    progress: &dyn Progress,
) -> ContainmentReport {
    let name = |service: usize| case.topology.services[service].name.clone();
    let without = without::without_containment(&case.topology, item);
    let newly = without.map(|topology| {
        // The same draws, so that only the containment makes a difference.
        let found = predict_incident(&topology, &case.change, settings, progress);
        let is_new = |service: &usize| {
            badness_of(found.likely_state(*service)) > badness_of(full.likely_state(*service))
        };
        (0..case.topology.services.len()).filter(is_new).collect::<Vec<_>>()
    });
    let stopped = |newly: &Vec<usize>| {
        let is_new =
            |stopped: &crate::model::topology::ServiceId| newly.contains(&(stopped.0 as usize));
        // A containment that names nothing which it stopped cannot be confirmed.
        (!item.stopped.is_empty()).then(|| item.stopped.iter().any(is_new))
    };
    ContainmentReport {
        what: item.what.clone(),
        stopped: item.stopped.iter().map(|service| name(service.0 as usize)).collect(),
        confirmed: newly.as_ref().and_then(stopped),
        newly_impacted: newly.unwrap_or_default().into_iter().map(name).collect(),
    }
}

fn baseline_reports(cases: &[IncidentCase]) -> Vec<RuleScoreReport> {
    let mut found: Vec<RuleScoreReport> =
        ReachRule::ALL.map(|rule| baseline_report(cases, rule)).to_vec();
    if let Some((constant, score)) = constant_duration(cases) {
        let rule = format!("every incident lasts {:.0} min, the median of all", constant / 60.0);
        found.push(RuleScoreReport { rule, score });
    }
    found
}

fn baseline_report(cases: &[IncidentCase], rule: ReachRule) -> RuleScoreReport {
    let evidence: Vec<IncidentEvidence> = cases
        .iter()
        .map(|case| {
            let states = rule.predict_states(&case.topology, &case.change);
            let pair = |(unit, state, _): (usize, _, _)| PredictedPair {
                observed: state,
                predicted: states[unit],
                // A rule knows no probabilities, so it is as sure as can be.
                impacted: if states[unit] == ObservedState::Unaffected { 0.0 } else { 1.0 },
                times: None,
            };
            let pairs = observed_units(case).into_iter().map(pair).collect();
            IncidentEvidence { pairs, ..IncidentEvidence::default() }
        })
        .collect();
    RuleScoreReport { rule: rule.describe().to_owned(), score: overall_score(cases, &evidence) }
}

/// The median duration of the incidents that count, and how well it alone would do.
fn constant_duration(cases: &[IncidentCase]) -> Option<(f64, ScoreReport)> {
    let scored = cases.iter().filter(|case| case.incident.scored);
    let mut all: Vec<f64> =
        scored.filter_map(|scored| scored.incident.duration).map(Seconds::get).collect();
    all.sort_by(f64::total_cmp);
    // The upper median of an even number, so that it is a duration that occurred.
    let median = *all.get(all.len() / 2)?;
    let of = |value: &f64| IncidentEvidence {
        duration: Some((*value, median)),
        ..IncidentEvidence::default()
    };
    let evidence: Vec<IncidentEvidence> = all.iter().map(of).collect();
    Some((median, score::score_report(&evidence)))
}

/// Another topology and change in the place of a case's.
type TopologyEdit<'a> = dyn Fn(&Topology, &Change) -> (Topology, Change) + 'a;

/// Simulates every case so edited: as it was, and without what operators did.
type Simulate<'a> = dyn Fn(&TopologyEdit<'_>) -> (Vec<Prediction>, Vec<Prediction>) + 'a;

fn ablation_reports(
    cases: &[IncidentCase],
    full: &[Prediction],
    with: &Simulate<'_>,
) -> Vec<AblationReport> {
    let ablate = |element: &ModelElement| {
        let (found, timed) = with(&|topology, change| element.leave_out(topology, change));
        AblationReport {
            without: *element,
            score: overall_score(cases, &all_evidence(cases, &found, &timed)),
            // Compared number by number: an element that no incident uses changes nothing at all.
            changes_anything: found != full,
        }
    };
    ModelElement::ALL.iter().map(ablate).collect()
}
