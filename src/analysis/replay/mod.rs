//! Incidents that happened, simulated again: how well does the model agree with them?
//!
//! The structure that a review documents comes in, with the change that set it off and what was seen.
//! What fails by the simulation is held against what failed, with the scores of rules that simulate
//! nothing beside it.

mod actions;
mod bootstrap;
mod calibration;
mod evidence;
mod order;
mod predict;
mod rules;
mod score;
mod without;

use crate::engine::Progress;
use crate::model::change::TargetRef;
use crate::model::incident::ObservedState;
use crate::model::{Change, Seconds, Topology};
use crate::project::IncidentCase;
use crate::report::replay::{
    AblationReport, ActionReport, ComponentReport, ContainmentReport, DurationReport,
    IncidentReport, LeadsReport, ReplayReport, RuleScoreReport, SCHEMA, ScoreReport,
};
use crate::report::{ComponentState, ModelElement};

use super::diagnose;
use super::simulate::{Settings, Stop};
use evidence::{OutcomeUnit, Variants, all_evidence, observed_units, rule_evidence};
use predict::{Prediction, predict_incident};
use rules::ReachRule;
use score::IncidentEvidence;

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
    let with = |edit: &TopologyEdit<'_>| predict_variants(cases, edit, settings, progress);
    let full = with(&|topology, change| (topology.clone(), change.clone()));
    let declared = with(&|topology, change| (without::declared_only(topology), change.clone()));
    let examined: Vec<Examined> = cases
        .iter()
        .zip(&full)
        .map(|(item, full)| examine_incident(item, full, settings, progress))
        .collect();
    let mut of_full = all_evidence(cases, &full, Variants::UNTOLD);
    for (item, examined) in of_full.iter_mut().zip(&examined) {
        item.containments =
            examined.containment.iter().filter_map(|containment| containment.confirmed).collect();
    }
    let of_declared = all_evidence(cases, &declared, Variants::UNTOLD);
    let overall = |variants| overall_score(cases, &all_evidence(cases, &full, variants));
    let rules = rule_evidences(cases);
    let incidents = cases.iter().zip(&full).zip(examined).enumerate();
    ReplayReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: settings.seed,
        trials: full.iter().map(|full| full.told.trials).min().unwrap_or(0),
        partial: full
            .iter()
            .chain(&declared)
            .any(|full| full.told.trials < wanted_trials(settings)),
        score: overall_score(cases, &of_full),
        stated_only: overall_score(cases, &of_declared),
        durations_told: overall(Variants::ACTIONS_TOLD),
        fix_told: overall(Variants::FIX_TOLD),
        nothing_done: overall(Variants::NOTHING_DONE),
        leads: leads_report(cases, &of_full, &rules),
        calibration: calibration::calibration_curve(scored(cases, &of_full)),
        diagnosis: asked.diagnose.then(|| {
            // A diagnosis simulates every component in every mode, so it gets fewer trials.
            let trials = Stop::Trials(wanted_trials(settings).min(diagnose::TRIALS));
            diagnose::score_diagnoses(cases, &Settings { stop: trials, ..*settings }, progress)
        }),
        baselines: baseline_reports(cases, &rules),
        incidents: incidents
            .map(|(index, ((case, full), examined))| IncidentReport {
                name: case.incident.name.clone(),
                date: case.incident.date.map(|date| date.to_string()),
                scored: case.incident.scored,
                score: score::score_report([&of_full[index]]),
                stated_only: score::score_report([&of_declared[index]]),
                components: component_reports(case, &full.told),
                duration: examined.duration,
                containment: examined.containment,
                actions: examined.actions,
                sources: case.incident.sources.clone(),
            })
            .collect(),
        ablation: if asked.ablate { ablation_reports(cases, &full, &with) } else { Vec::new() },
    }
}

/// Predictions of one incident by how much the simulation is told of the way back.
#[derive(Clone, Debug, PartialEq)]
struct CasePredictions {
    /// With what operators did, when they did it.
    told: Prediction,
    /// Without anything that operators did.
    undone: Prediction,
    /// Without it, but with the kind of fix that ended it; nothing where that is not known.
    fix_told: Option<Prediction>,
}

fn predict_variants(
    cases: &[IncidentCase],
    edit: &TopologyEdit<'_>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Vec<CasePredictions> {
    let one = |case: &IncidentCase| {
        let predict = |change: &Change| {
            let (topology, change) = edit(&case.topology, change);
            predict_incident(&topology, &change, settings, progress)
        };
        let told = predict(&case.change);
        // Where nobody did anything it is the same.
        let undone = if case.change.actions.is_empty() {
            told.clone()
        } else {
            predict(&actions::without_actions(&case.change))
        };
        let fix = case.incident.fix;
        let fix_told = fix.map(|fix| predict(&actions::with_fix(&case.change, fix)));
        CasePredictions { told, undone, fix_told }
    };
    cases.iter().map(one).collect()
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

fn badness_of(state: ObservedState) -> u8 {
    match state {
        ObservedState::Unaffected => 0,
        ObservedState::Late => 1,
        ObservedState::Degraded => 2,
        ObservedState::Failed => 3,
    }
}

/// The evidence of the incidents that count.
fn scored<'a>(
    cases: &[IncidentCase],
    evidence: &'a [IncidentEvidence],
) -> Vec<&'a IncidentEvidence> {
    let both = cases.iter().zip(evidence).filter(|(case, _)| case.incident.scored);
    both.map(|(_, evidence)| evidence).collect()
}

fn overall_score(cases: &[IncidentCase], evidence: &[IncidentEvidence]) -> ScoreReport {
    let scored = scored(cases, evidence);
    ScoreReport {
        intervals: bootstrap::score_intervals(&scored),
        ..score::score_report(scored.iter().copied())
    }
}

fn component_reports(case: &IncidentCase, prediction: &Prediction) -> Vec<ComponentReport> {
    let services = case.topology.services.len();
    let name = |unit: usize| match unit.checked_sub(services) {
        None => case.topology.services[unit].name.clone(),
        Some(flow) => case.topology.flows[flow].name.clone(),
    };
    let component = |item: &OutcomeUnit| ComponentReport {
        name: name(item.unit),
        observed: ComponentState::from(item.state),
        predicted: ComponentState::from(prediction.likely_state(item.unit)),
        failed: prediction.failed[item.unit],
        degraded: prediction.degraded[item.unit],
        share: prediction.shares[item.unit],
        observed_share: item.share,
        observed_from_s: item.from,
        observed_until_s: item.until,
        first_failed_s: prediction.first[item.unit],
        failed_for_s: prediction.lasted[item.unit],
        hit_from_s: Some(prediction.impact[item.unit].0).filter(|time| time.is_finite()),
        hit_until_s: Some(prediction.impact[item.unit].1).filter(|time| time.is_finite()),
    };
    observed_units(case).iter().map(component).collect()
}

/// Findings about one incident by itself.
struct Examined {
    duration: Option<DurationReport>,
    containment: Vec<ContainmentReport>,
    actions: Vec<ActionReport>,
}

fn examine_incident(
    case: &IncidentCase,
    full: &CasePredictions,
    settings: &Settings,
    progress: &dyn Progress,
) -> Examined {
    let observed = case.incident.duration.map(Seconds::get);
    let is_told = !case.change.actions.is_empty();
    let undone = &full.undone;
    // Without what operators did, since the simulation must not be told how long it took.
    let ratio = undone.duration.zip(observed).map(|(predicted, observed)| predicted / observed);
    let duration = DurationReport {
        observed_s: observed,
        predicted_s: undone.duration,
        given_actions_s: full.told.duration.filter(|_| is_told),
        fix: case.incident.fix,
        given_fix_s: full.fix_told.as_ref().and_then(|item| item.duration),
        ratio,
    };
    let contained = case.incident.containment.iter();
    Examined {
        duration: (observed.is_some() || undone.duration.is_some()).then_some(duration),
        containment: contained
            .map(|contained| containment_report(case, contained, &full.told, settings, progress))
            .collect(),
        actions: actions::action_reports(case, &full.told, settings, progress),
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

/// Predictions of each rule for all incidents.
type RuleEvidence = (ReachRule, Vec<IncidentEvidence>);

fn rule_evidences(cases: &[IncidentCase]) -> Vec<RuleEvidence> {
    let of_rule = |rule: ReachRule| {
        (rule, cases.iter().map(|case| rule_evidence(case, rule)).collect::<Vec<_>>())
    };
    ReachRule::ALL.map(of_rule).to_vec()
}

fn baseline_reports(cases: &[IncidentCase], rules: &[RuleEvidence]) -> Vec<RuleScoreReport> {
    let of_rule = |(rule, evidence): &RuleEvidence| RuleScoreReport {
        rule: rule.describe().to_owned(),
        score: overall_score(cases, evidence),
    };
    let mut found: Vec<RuleScoreReport> = rules.iter().map(of_rule).collect();
    if let Some((constant, score)) = constant_duration(cases) {
        let rule = format!("median duration, {:.0} min", constant / 60.0);
        found.push(RuleScoreReport { rule, score });
    }
    found
}

/// By how much the simulation is better than the best rule.
fn leads_report(
    cases: &[IncidentCase],
    simulated: &[IncidentEvidence],
    rules: &[RuleEvidence],
) -> LeadsReport {
    let of_rules: Vec<(String, Vec<&IncidentEvidence>)> = rules
        .iter()
        .map(|(rule, evidence)| (rule.describe().to_owned(), scored(cases, evidence)))
        .collect();
    let lead = |figure| bootstrap::lead_over(&scored(cases, simulated), &of_rules, figure);
    LeadsReport {
        balanced_accuracy: lead(|score| score.balanced_accuracy),
        macro_f1: lead(|score| score.macro_f1),
    }
}

/// The median duration of the incidents that count, and how well it alone would do.
fn constant_duration(cases: &[IncidentCase]) -> Option<(f64, ScoreReport)> {
    let of = |case: &IncidentCase| case.incident.duration.map(Seconds::get);
    let mut all: Vec<f64> =
        cases.iter().filter(|case| case.incident.scored).filter_map(of).collect();
    all.sort_by(f64::total_cmp);
    // The upper median of an even number, so that it is a duration that occurred.
    let median = *all.get(all.len() / 2)?;
    let evidence: Vec<IncidentEvidence> = cases
        .iter()
        .map(|case| IncidentEvidence {
            duration: of(case).map(|observed| (observed, median)),
            ..IncidentEvidence::default()
        })
        .collect();
    Some((median, overall_score(cases, &evidence)))
}

/// Another topology and change in the place of a case's.
type TopologyEdit<'a> = dyn Fn(&Topology, &Change) -> (Topology, Change) + 'a;

/// Simulates every case so edited.
type Simulate<'a> = dyn Fn(&TopologyEdit<'_>) -> Vec<CasePredictions> + 'a;

fn ablation_reports(
    cases: &[IncidentCase],
    full: &[CasePredictions],
    with: &Simulate<'_>,
) -> Vec<AblationReport> {
    let ablate = |element: &ModelElement| {
        let found = with(&|topology, change| element.leave_out(topology, change));
        AblationReport {
            without: *element,
            score: overall_score(cases, &all_evidence(cases, &found, Variants::UNTOLD)),
            // Compared number by number: an element that no incident uses changes nothing at all.
            changes_anything: found != full,
        }
    };
    ModelElement::ALL.iter().map(ablate).collect()
}
