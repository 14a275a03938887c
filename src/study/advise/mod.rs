//! What would help: protections tried one at a time and then together, all with the same draws.
//!
//! Candidates come from the dependencies through which failure passed. A few hundred trials choose
//! among them; those chosen are estimated with other trials, so that the choice does not flatter
//! them, and with intervals that hold for all of them at once (Bonferroni: Dunn, 1961, "Multiple
//! comparisons among means"). Together, each step is the best addition to those before it.

mod candidates;
mod protection;

use rayon::prelude::*;

use crate::compile::compile;
use crate::engine::draws::normal_quantile;
use crate::engine::outcome::TRIALS;
use crate::engine::{Progress, Silent, Simulation, Tally};
use crate::model::{Change, Topology};
use crate::report::advise::{AdviceReport, AdviseReport, SCHEMA};
use crate::report::compare::Difference;
use crate::summary::difference::Paired;
use crate::summary::estimate::Z975;

use super::simulate::{Settings, Stop};
use protection::{Protection, Step};

/// How many trials find what failure passes through, and choose among candidates.
const SCREEN: u64 = 512;
/// How many trials tell which dependencies matter at all.
const GLANCE: u64 = 128;
/// How many candidates are estimated.
const KEPT: usize = 16;
/// How many steps are taken together at the most.
const STEPS: usize = 6;
/// How often all intervals hold at once.
const CONFIDENCE: f64 = 0.95;
/// Savings that differ by less than this share are equal.
const SLACK: f64 = 1e-9;

/// A topology and a change with some protections.
#[derive(Clone)]
struct State {
    topology: Topology,
    change: Change,
}

impl State {
    fn with(&self, steps: &[Step]) -> Self {
        let mut state = self.clone();
        for step in steps {
            step.apply(&mut state.topology, &mut state.change);
        }
        state
    }

    /// What each trial costs, in the order of trials.
    fn play(&self, settings: &Settings, from: u64, to: u64, measure: Measure) -> Vec<f64> {
        let plan = compile(&self.topology, &self.change, settings.lasting);
        let engine = settings.engine_of_variants();
        let mut costs = Vec::new();
        Simulation::with(&plan, settings.seed, engine).each(from..to, &Silent, |outcome| {
            let count = outcome.flows.len().max(1) as f64;
            for trial in (0..TRIALS).filter(|trial| outcome.valid >> trial & 1 == 1) {
                let of = outcome.flows.iter().map(|flow| match measure {
                    Measure::Share => flow.share[trial] / count,
                    Measure::Orders if flow.lost[trial].is_nan() => 0.0,
                    Measure::Orders => flow.lost[trial],
                });
                costs.push(of.sum());
            }
        });
        costs
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Measure {
    Orders,
    Share,
}

/// The kinds of protections that are tried.
pub const KINDS: [&str; 15] = [
    "timeout",
    "circuit-breaker",
    "validation",
    "retry",
    "cache",
    "fallback",
    "soft",
    "second-domain",
    "shed",
    "kill-switch",
    "smaller-first-stage",
    "longer-bake",
    "gate",
    "faster-detection",
    "faster-rollback",
];

/// Finds what would help against a change that breaks; protections of some [`KINDS`] may be left out.
pub fn advise(
    topology: &Topology,
    change: &Change,
    leave_out: &[String],
    settings: &Settings,
    progress: &dyn Progress,
) -> AdviseReport {
    let has_rates = topology.flows.iter().any(|flow| flow.rate.is_some());
    let measure = if has_rates && !change.is_moment() { Measure::Orders } else { Measure::Share };
    let base = State { topology: topology.clone(), change: change.clone() };
    let study = Study { base: &base, settings, measure, progress };
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulation::with(&plan, settings.seed, settings.engine);
    let mut tally = Tally::new(&plan);
    simulation.run(0..SCREEN, &mut tally, &Silent);
    let passed = candidates::passed(topology, &tally);
    let unseen = passed.len().saturating_sub(KEPT);
    let places = study.places(&passed);
    let mut all = candidates::all(topology, change, &tally, &places);
    all.retain(|it| leave_out.iter().all(|kind| kind != it.kind));
    let tried = all.len() as u64;
    let kept = study.screen(all);
    let comparisons = kept.len() + STEPS;
    let z = normal_quantile(1.0 - (1.0 - CONFIDENCE) / (2.0 * comparisons as f64));
    let trials = match settings.stop {
        Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials,
    };
    let end = SCREEN + trials;
    let before = base.play(settings, SCREEN, end, measure);
    let mean = |costs: &[f64]| costs.iter().sum::<f64>() / costs.len().max(1) as f64;
    let reported = Reported { before: mean(&before), z };
    let mut alone: Vec<AdviceReport> = Vec::new();
    for protection in &kept {
        if progress.is_cancelled() {
            break;
        }
        let costs = base.with(&protection.steps).play(settings, SCREEN, end, measure);
        alone.push(reported.advice(topology, change, protection, &before, &costs));
        progress.trials_done(trials);
    }
    let within_noise = alone.iter().filter(|it| it.saved.low <= 0.0).count() as u64;
    alone.retain(|it| it.saved.low > 0.0);
    alone.sort_by(|a, b| b.saved.value.total_cmp(&a.saved.value));
    let (together, after) = study.together(kept, &before, &reported, end);
    AdviseReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        topology: topology.name.clone(),
        change: change.name.clone(),
        seed: settings.seed,
        trials,
        engine: simulation.engine().to_owned(),
        partial: progress.is_cancelled(),
        measure: if measure == Measure::Orders { "orders_lost" } else { "failing_share" }
            .to_owned(),
        before: reported.before,
        tried,
        comparisons: comparisons as u64,
        alone,
        within_noise,
        together,
        after,
        assumptions: assumptions(unseen),
    }
}

fn assumptions(unseen: usize) -> Vec<String> {
    let mut said = vec![
        "whether a call can be done without, answered from a cache or tried again is for those who \
         know the business to say"
            .to_owned(),
    ];
    if unseen > 0 {
        said.push(format!(
            "protections were tried only where failure passed and a perfect one would save most; {unseen} \
             other calls were left out"
        ));
    }
    said
}

struct Study<'a> {
    base: &'a State,
    settings: &'a Settings,
    measure: Measure,
    progress: &'a dyn Progress,
}

impl Study<'_> {
    /// The mean saving of each of some states, by few trials.
    fn glance(&self, from: &State, all: &[Vec<Step>], trials: u64) -> Vec<f64> {
        let before: f64 = from.play(self.settings, 0, trials, self.measure).iter().sum();
        let saved = |steps: &Vec<Step>| {
            if self.progress.is_cancelled() {
                return 0.0;
            }
            let after = from.with(steps).play(self.settings, 0, trials, self.measure);
            (before - after.iter().sum::<f64>()) / trials as f64
        };
        all.par_iter().map(saved).collect()
    }

    /// Of the dependencies that failure passed, those whose best protection would save most.
    fn places(&self, passed: &[usize]) -> Vec<usize> {
        let ideal: Vec<Vec<Step>> = passed
            .iter()
            .map(|at| vec![Step::Timeout(*at), Step::Validate(*at), Step::Soft(*at)])
            .collect();
        let saved = self.glance(self.base, &ideal, GLANCE);
        let mut order: Vec<usize> = (0..passed.len()).filter(|it| saved[*it] > SLACK).collect();
        order.sort_by(|a, b| saved[*b].total_cmp(&saved[*a]).then(a.cmp(b)));
        order.into_iter().take(KEPT).map(|it| passed[it]).collect()
    }

    /// The candidates that seem to save most: of those of one kind at one place, the one with the
    /// fewest steps that saves as much as any.
    fn screen(&self, all: Vec<Protection>) -> Vec<Protection> {
        let steps: Vec<Vec<Step>> = all.iter().map(|it| it.steps.clone()).collect();
        let saved = self.glance(self.base, &steps, SCREEN);
        let mut rated: Vec<(f64, Protection)> =
            saved.into_iter().zip(all).filter(|(saved, _)| *saved > SLACK).collect();
        rated.sort_by(|a, b| {
            let near = (a.0 - b.0).abs() <= SLACK * a.0.max(b.0);
            let by_saving = if near { std::cmp::Ordering::Equal } else { b.0.total_cmp(&a.0) };
            by_saving.then(a.1.steps.len().cmp(&b.1.steps.len()))
        });
        let mut kept: Vec<Protection> = Vec::new();
        for (_, protection) in rated {
            let is_known = |it: &Protection| it.kind == protection.kind && it.at == protection.at;
            if kept.len() < KEPT && !kept.iter().any(is_known) {
                kept.push(protection);
            }
        }
        kept
    }

    /// Takes the best step after the other, as long as each saves for certain.
    fn together(
        &self,
        mut left: Vec<Protection>,
        before: &[f64],
        reported: &Reported,
        end: u64,
    ) -> (Vec<AdviceReport>, f64) {
        let (mut state, mut now) = (self.base.clone(), before.to_vec());
        let mut taken: Vec<AdviceReport> = Vec::new();
        let mut done: Vec<Step> = Vec::new();
        while taken.len() < STEPS && !self.progress.is_cancelled() {
            for protection in &mut left {
                protection.steps.retain(|step| !done.contains(step));
            }
            left.retain(|protection| !protection.steps.is_empty());
            let steps: Vec<Vec<Step>> = left.iter().map(|it| it.steps.clone()).collect();
            let saved = self.glance(&state, &steps, SCREEN);
            let best = (0..left.len())
                .filter(|it| saved[*it] > SLACK)
                .max_by(|a, b| saved[*a].total_cmp(&saved[*b]).then(b.cmp(a)));
            let Some(best) = best else { break };
            let protection = left.remove(best);
            let next = state.with(&protection.steps);
            let costs = next.play(self.settings, SCREEN, end, self.measure);
            let State { topology, change } = &state;
            let advice = reported.advice(topology, change, &protection, &now, &costs);
            if advice.saved.low <= 0.0 {
                break;
            }
            done.extend(&protection.steps);
            taken.push(advice);
            (state, now) = (next, costs);
        }
        let after = now.iter().sum::<f64>() / now.len().max(1) as f64;
        (taken, after)
    }
}

struct Reported {
    before: f64,
    z: f64,
}

impl Reported {
    fn advice(
        &self,
        topology: &Topology,
        change: &Change,
        protection: &Protection,
        before: &[f64],
        after: &[f64],
    ) -> AdviceReport {
        let mut paired = Paired::default();
        for (before, after) in before.iter().zip(after) {
            paired.add(*after, *before);
        }
        let (saved, wider) = (paired.difference(), self.z / Z975);
        let end = |end: f64| saved.value + (end - saved.value) * wider;
        AdviceReport {
            kind: protection.kind.to_owned(),
            at: protection.at.clone(),
            what: protection.what.clone(),
            edits: protection.steps.iter().map(|step| step.edit(topology, change)).collect(),
            saved: Difference { value: saved.value, low: end(saved.low), high: end(saved.high) },
            saved_share: if self.before > 0.0 { saved.value / self.before } else { 0.0 },
            left: paired.means().0,
        }
    }
}
