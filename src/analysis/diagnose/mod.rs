//! Diagnoses an observation: every component in every mode, by how well its simulated break agrees
//! with the observations.
//!
//! By Bayes' rule: a component and mode is as likely as its prior times the chance of what is seen,
//! given that it broke. That chance is the mean over simulated trials of the product over what is seen,
//! each report being wrong with a stated probability; what hangs together in a trial hangs together
//! in it. One more trial, in which every state is equally likely, is added to the simulated ones
//! (Laplace's rule of succession), so that nothing is impossible only because it was not simulated.
//!
//! What to look at next is told by expected information (Lindley, "On a measure of the information
//! provided by an experiment", 1956): by how many bits, on average, the state of something not yet seen
//! narrows down which component it was.

mod candidates;
mod likelihood;
mod next;
mod pairs;

use crate::engine::Progress;
use crate::engine::parallel;
use crate::model::change::TargetRef;
use crate::model::incident::{Observed, ObservedOn, ObservedState};
use crate::model::topology::ServiceId;
use crate::model::{Seconds, Topology};
use crate::report::diagnosis::{
    CandidateReport, DiagnosisReport, DiagnosisScoreReport, MissReport, ModeReport, RankedReport,
    SCHEMA, SCORE_SCHEMA, SeenReport,
};
use crate::report::{ComponentKind, ComponentState, PriorKind};
use crate::sort::Arrange as _;

use super::simulate::{Settings, Stop};
use super::waiting_reasons::ReasonNames;
use crate::project::IncidentCase;
use candidates::BreakCandidate;
use likelihood::{ObservedEvidence, Seen};

/// The chance that a report is wrong, where nobody says: people on call misread one dashboard in
/// twenty (an assumption: no published figure was found).
pub const MISREPORT: f64 = 0.05;
/// The chance that nobody reports on a component that fails, where nobody says: silence is weak evidence
/// of health (an assumption: reports are written by those who look at a few dashboards).
pub const UNREPORTED: f64 = 0.8;
/// How many trials each candidate gets, where nobody says.
pub const TRIALS: u64 = 256;
/// Posteriors that differ by less than this share are equal.
const SLACK: f64 = 1e-9;
/// Of how many components it is told how they agree with what is seen.
const LEADING: usize = 5;

/// Observation, and how it is to be taken.
#[derive(Clone, Copy, Debug)]
pub struct DiagnosisRequest<'a> {
    /// Name of the observation.
    pub name: &'a str,
    /// Observed states.
    pub observed: &'a [Observed],
    /// The chance that a report is wrong, above 0 and below a half.
    pub misreport: f64,
    /// The chance that nobody reports on a component that fails, above 0 and at most 1.
    pub unreported: f64,
    /// Prior over the candidates.
    pub prior: PriorKind,
    /// Services that were changed shortly before: most outages are set off by changes.
    pub deployed: &'a [ServiceId],
    /// For how long a break has lasted, where a single moment is looked at; nothing for a break with
    /// the documented delays of detection and rollback, of which the worst moments count.
    pub lasting: Option<Seconds>,
}

/// Ranks what may have broken.
pub fn diagnose_observation(
    topology: &Topology,
    question: &DiagnosisRequest<'_>,
    settings: &Settings,
    progress: &dyn Progress,
) -> DiagnosisReport {
    let seen = seen_units(topology, question.observed);
    let evidence = ObservedEvidence {
        topology,
        question,
        seen: &seen,
        settings,
        trials: trials_per_candidate(settings),
        silent: &silent_units(topology, &seen),
    };
    // Components are ranked, and not modes: which one broke is what people ask.
    let ranked = rank_components(topology, &evidence, question, progress);
    let leading: Vec<&RankedComponent> = ranked.iter().take(LEADING).collect();
    let agreeing = leading
        .iter()
        // A component is judged by its most likely mode.
        .map(|leading| evidence.agreement_of(leading.best_mode()))
        .collect::<Vec<_>>();
    let reasons = ReasonNames::new(topology);
    let told = ranked.iter().enumerate().map(|(place, component)| CandidateReport {
        rank: component.rank,
        tied: component.tied,
        name: component.name.clone(),
        kind: component.kind,
        posterior: component.posterior,
        modes: component.mode_reports(),
        agrees: agreeing.get(place).map(|agreeing| agreeing.agrees),
        misses: agreeing
            .get(place)
            .map(|agreeing| miss_reports(topology, &seen, agreeing))
            .unwrap_or_default(),
        waiting: agreeing
            .get(place)
            .map(|agreeing| reasons.waiting_reports(&agreeing.reasons))
            .unwrap_or_default(),
    });
    DiagnosisReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        topology: topology.name.clone(),
        observation: question.name.to_owned(),
        seed: settings.seed,
        trials: evidence.trials,
        partial: progress.is_cancelled(),
        misreport: question.misreport,
        unreported: question.unreported,
        prior: question.prior,
        deployed: deployed_names(topology, question),
        lasting_s: question.lasting.map(Seconds::get),
        observed: seen.iter().map(|seen| seen.seen_report(topology)).collect(),
        candidates: told.collect(),
        pairs: pairs::likelier_pairs(&evidence, &ranked, progress),
        look_at: next::find_next_looks(topology, &evidence, &ranked, progress),
        assumptions: diagnosis_assumptions(question),
    }
}

/// At which place diagnoses of incidents put what set them off.
pub fn score_diagnoses(
    cases: &[IncidentCase],
    settings: &Settings,
    progress: &dyn Progress,
) -> DiagnosisScoreReport {
    let one = |case: &IncidentCase| {
        let question = DiagnosisRequest {
            name: &case.incident.name,
            observed: &case.incident.observed,
            misreport: MISREPORT,
            unreported: UNREPORTED,
            prior: PriorKind::Equal,
            // What was deployed would give most triggers away.
            deployed: &[],
            lasting: None,
        };
        let topology = &case.topology;
        let seen = seen_units(topology, question.observed);
        let trials = trials_per_candidate(settings);
        let silent = silent_units(topology, &seen);
        let evidence = ObservedEvidence {
            topology,
            question: &question,
            seen: &seen,
            settings,
            trials,
            silent: &silent,
        };
        let ranked = rank_components(topology, &evidence, &question, progress);
        let triggers: Vec<String> = case
            .change
            .targets
            .iter()
            .map(|target| candidates::name_of(topology, target.on))
            .collect();
        // Of several, the one that is found first.
        let found = ranked.iter().find(|ranked| triggers.contains(&ranked.name));
        let (rank, tied) =
            // A trigger that is no candidate ranks behind all of them.
            found.map_or((ranked.len() as u64 + 1, 0), |item| (item.rank, item.tied));
        RankedReport {
            incident: case.incident.name.clone(),
            scored: case.incident.scored,
            trigger: triggers,
            rank,
            tied,
            candidates: ranked.len() as u64,
            posterior: found.map_or(0.0, |found| found.posterior),
            first: ranked.first().map_or_else(String::new, |ranked| ranked.name.clone()),
        }
    };
    let incidents: Vec<RankedReport> = cases.iter().map(one).collect();
    let counted = || incidents.iter().filter(|incident| incident.scored);
    DiagnosisScoreReport {
        schema: SCORE_SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: settings.seed,
        trials: trials_per_candidate(settings),
        partial: progress.is_cancelled(),
        scored: counted().count() as u64,
        first: counted().filter(|counted| counted.is_within(1)).count() as u64,
        first_three: counted().filter(|counted| counted.is_within(3)).count() as u64,
        // Three guesses among n hit with 3/n: what a diagnosis is compared with.
        by_chance: counted().map(|counted| (3.0 / counted.candidates.max(1) as f64).min(1.0)).sum(),
        incidents,
    }
}

fn trials_per_candidate(settings: &Settings) -> u64 {
    let (Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. }) = settings.stop;
    trials
}

/// Returns the observed state of each unit: its worst, and from when.
fn seen_units(topology: &Topology, observed: &[Observed]) -> Vec<Seen> {
    let mut found: Vec<Seen> = Vec::new();
    for item in observed {
        let unit = match item.on {
            ObservedOn::Service(id) => id.0 as usize,
            ObservedOn::Flow(flow) => topology.services.len() + flow as usize,
        };
        let one = Seen { unit, state: badness_of(item.state), from: item.from.map(Seconds::get) };
        match found.iter_mut().find(|known| known.unit == unit) {
            None => found.push(one),
            Some(known) if one.state > known.state => *known = one,
            Some(_) => {}
        }
    }
    found
}

/// Returns what nobody reported on: services where some service was reported, flows where some flow was.
fn silent_units(topology: &Topology, seen: &[Seen]) -> Vec<usize> {
    let services = topology.services.len();
    let is_service = |unit: usize| unit < services;
    let units = 0..services + topology.flows.len();
    let is_silent = |unit: &usize| {
        seen.iter().all(|seen| seen.unit != *unit)
            // Who never speaks of flows says nothing by not naming one.
            && seen.iter().any(|seen| is_service(seen.unit) == is_service(*unit))
    };
    units.filter(is_silent).collect()
}

fn deployed_names(topology: &Topology, question: &DiagnosisRequest<'_>) -> Vec<String> {
    question.deployed.iter().map(|id| topology.service(*id).name.clone()).collect()
}

fn badness_of(state: ObservedState) -> usize {
    match state {
        ObservedState::Unaffected => 0,
        // A late answer is one with something missing.
        ObservedState::Late | ObservedState::Degraded => 1,
        ObservedState::Failed => 2,
    }
}

/// States, the mildest first.
const STATES: [ComponentState; 3] =
    [ComponentState::Unaffected, ComponentState::Degraded, ComponentState::Failed];

fn unit_name(topology: &Topology, unit: usize) -> String {
    match unit.checked_sub(topology.services.len()) {
        None => topology.services[unit].name.clone(),
        Some(flow) => topology.flows[flow].name.clone(),
    }
}

fn unit_kind(topology: &Topology, unit: usize) -> ComponentKind {
    let is_service = unit < topology.services.len();
    if is_service { ComponentKind::Service } else { ComponentKind::Flow }
}

impl Seen {
    fn seen_report(&self, topology: &Topology) -> SeenReport {
        SeenReport {
            name: unit_name(topology, self.unit),
            kind: unit_kind(topology, self.unit),
            state: STATES[self.state],
            from_s: self.from,
        }
    }
}

/// A component that may have broken, in each of its modes.
struct RankedComponent {
    name: String,
    kind: ComponentKind,
    rank: u64,
    tied: u64,
    posterior: f64,
    candidates: Vec<(BreakCandidate, f64)>,
}

impl RankedComponent {
    /// The mode in which it most likely broke.
    fn best_mode(&self) -> BreakCandidate {
        let most = self.candidates.iter().reduce(|a, b| if b.1 > a.1 { b } else { a });
        most.expect("a component has a mode").0
    }

    fn mode_reports(&self) -> Vec<ModeReport> {
        let mut modes: Vec<ModeReport> = self
            .candidates
            .iter()
            .map(|(candidate, posterior)| ModeReport {
                mode: candidate.mode,
                share: candidate.share,
                posterior: *posterior,
            })
            .collect();
        modes.arrange_by(|a, b| b.posterior.total_cmp(&a.posterior));
        modes
    }
}

/// All components, most likely first.
fn rank_components(
    topology: &Topology,
    evidence: &ObservedEvidence<'_>,
    question: &DiagnosisRequest<'_>,
    progress: &dyn Progress,
) -> Vec<RankedComponent> {
    let all = candidates::all_candidates(topology);
    let priors = candidates::prior_probabilities(topology, &all, question.prior, question.deployed);
    let logs = parallel::each_piece(all.len(), |item| {
        // After a cancellation the rest gets no chance, and the report is marked as partial.
        if progress.is_cancelled() {
            return f64::NEG_INFINITY;
        }
        libm::log(priors[item]) + evidence.log_likelihood(&all[item..=item])
    });
    // Weights are relative to the best, whose logarithm may be far below what `exp` can hold.
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> =
        logs.iter().map(|log| if top.is_finite() { libm::exp(log - top) } else { 0.0 }).collect();
    let sum: f64 = weights.iter().sum();
    let mut components: Vec<RankedComponent> = Vec::new();
    for (candidate, weight) in all.iter().zip(&weights) {
        let posterior = if sum > 0.0 { weight / sum } else { 0.0 };
        let name = candidates::name_of(topology, candidate.on);
        // All candidates of one component stand side by side.
        match components.last_mut().filter(|component| component.name == name) {
            Some(known) => {
                known.posterior += posterior;
                known.candidates.push((*candidate, posterior));
            }
            None => components.push(RankedComponent {
                name,
                kind: if matches!(candidate.on, TargetRef::Domain(_)) {
                    ComponentKind::Domain
                } else {
                    ComponentKind::Service
                },
                rank: 0,
                tied: 0,
                posterior,
                candidates: vec![(*candidate, posterior)],
            }),
        }
    }
    // Components with equal chances are ordered by name, so that the report is always the same.
    components.arrange_by(|a, b| b.posterior.total_cmp(&a.posterior).then(a.name.cmp(&b.name)));
    let posteriors: Vec<f64> = components.iter().map(|component| component.posterior).collect();
    for component in &mut components {
        let own = component.posterior;
        // Components in the same position have chances that differ only by rounding.
        let near = |other: &&f64| (**other - own).abs() <= SLACK * own.max(**other);
        let above = posteriors.iter().filter(|other| **other > own && !near(other)).count();
        component.rank = above as u64 + 1;
        component.tied = posteriors.iter().filter(near).count() as u64 - 1;
    }
    components
}

fn miss_reports(
    topology: &Topology,
    seen: &[Seen],
    agreement: &likelihood::Agreement,
) -> Vec<MissReport> {
    let both = seen.iter().zip(&agreement.predicted);
    both.filter(|(seen, predicted)| seen.state != **predicted)
        .map(|(seen, predicted)| MissReport {
            name: unit_name(topology, seen.unit),
            observed: STATES[seen.state],
            predicted: STATES[*predicted],
        })
        .collect()
}

fn diagnosis_assumptions(question: &DiagnosisRequest<'_>) -> Vec<String> {
    let mut said = vec![
        "one component broke at once, with all of its requests or 30% of them; a surge is tenfold"
            .to_owned(),
        match question.prior {
            PriorKind::Equal => "before anything is seen, all components and their modes are alike",
            PriorKind::Stated => {
                "before anything is seen, a component is as likely as it is down by its stated \
                 availability, and its modes are alike"
            }
        }
        .to_owned(),
        "the posterior is of this model: where the topology lacks a component or a call, it cannot \
         know"
            .to_owned(),
    ];
    if question.unreported < 1.0 {
        said.push(format!(
            "a component that fails stays unreported in {:.0}% of cases: silence is weak evidence of health",
            question.unreported * 100.0
        ));
    }
    if !question.deployed.is_empty() {
        said.push("7 of 10 outages are set off by what was deployed".to_owned());
    }
    if question.observed.iter().any(|observed| observed.from.is_some())
        && question.lasting.is_none()
    {
        said.push(
            "of two things seen to fail at different times, one time in five is told wrongly"
                .to_owned(),
        );
    }
    said
}
