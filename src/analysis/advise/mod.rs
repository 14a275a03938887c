//! Finds protections that help: tried one at a time and then together, all with the same draws.
//!
//! Candidates come from the dependencies through which failure passed. A few hundred trials choose
//! among them; those chosen are estimated with other trials, so that the choice does not flatter
//! them, and with intervals that hold for all of them at once (Bonferroni: Dunn, 1961, "Multiple
//! comparisons among means"). They are ordered by what they save for their cost, which is the number
//! of steps where nobody says otherwise. Together, each is the best addition to those before it.

mod candidates;
mod pool;
mod protection;
mod until;
mod write;

use crate::compile::compile;
use crate::engine::draws::normal_quantile;
use crate::engine::outcome::TRIALS;
use crate::engine::{Progress, Silent, Simulator, Tally};
use crate::model::{Change, Costs, Topology};
use crate::report::advise::{AdviceReport, AdviseReport, NoiseReport, SCHEMA};
use crate::report::compare::Difference;
use crate::report::{AdviceKind, EngineName, Metric};
use crate::sort::Arrange as _;
use crate::summary::difference::Paired;
use crate::summary::estimate::Z975;

pub use until::Until;
pub use write::{FileTexts, WrittenFiles};

use super::simulate::{Settings, Stop};
use pool::{CandidatePool, KEPT};
use protection::{ProtectionCandidate, ProtectionStep};

/// How many trials find what failure passes through, and choose among candidates.
const SCREEN: u64 = 512;
/// How many steps are taken together at the most.
const STEPS: usize = 6;
/// How often all intervals hold at once.
const CONFIDENCE: f64 = 0.95;
/// Savings that differ by less than this share are equal.
const SLACK: f64 = 1e-9;

/// Request for advice.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The kinds that are out of the question.
    pub leave_out: &'a [AdviceKind],
    /// Costs of protections.
    pub costs: &'a Costs,
    /// The gate that shall let the change through.
    pub until: Option<Until<'a>>,
}

/// Advice, and what it is made of.
#[derive(Clone, Debug)]
pub struct Advice {
    /// The answer.
    pub report: AdviseReport,
    base: AdvisedState,
    /// The protections to write, each in a sentence and as steps: those that the gate asks for, or
    /// else all of those taken together.
    steps: Vec<(String, Vec<ProtectionStep>)>,
}

/// A topology and a change with some protections.
#[derive(Clone, Debug)]
struct AdvisedState {
    topology: Topology,
    change: Change,
}

impl AdvisedState {
    fn with_steps(&self, steps: &[ProtectionStep]) -> Self {
        let mut state = self.clone();
        for step in steps {
            step.apply_to(&mut state.topology, &mut state.change);
        }
        state
    }

    /// Returns the loss of each trial, in the order of trials.
    fn trial_losses(
        &self,
        settings: &Settings,
        from: u64,
        to: u64,
        measure: TrialMeasure,
    ) -> Vec<f64> {
        // Compiled anew for each protection: a step may change nodes, calls and traffic.
        let plan = compile(&self.topology, &self.change, settings.lasting);
        // A protection may take a plan beyond what the Boolean engine can do, so a demand for that
        // engine is not binding here.
        let engine = settings.engine_of_variants();
        let mut costs = Vec::new();
        Simulator::with_engine(&plan, settings.seed, engine).each_outcome(
            from..to,
            &Silent,
            |outcome| {
                let count = outcome.flows.len().max(1) as f64;
                for trial in (0..TRIALS).filter(|trial| outcome.valid >> trial & 1 == 1) {
                    let of = outcome.flows.iter().map(|flow| match measure {
                        // With no rate to weigh them by, all flows count alike.
                        TrialMeasure::Share => flow.share[trial] / count,
                        // A flow without a rate loses orders that cannot be counted; as zero it
                        // leaves the sum to the others.
                        TrialMeasure::Orders if flow.lost[trial].is_nan() => 0.0,
                        TrialMeasure::Orders => flow.lost[trial],
                    });
                    costs.push(of.sum());
                }
            },
        );
        costs
    }
}

#[derive(Clone, Copy, PartialEq)]
enum TrialMeasure {
    Orders,
    Share,
}

/// Finds what would help against a change that breaks; protections of some kinds may be left out.
pub fn advise(
    topology: &Topology,
    change: &Change,
    leave_out: &[AdviceKind],
    settings: &Settings,
    progress: &dyn Progress,
) -> AdviseReport {
    let wanted = Wanted { leave_out, costs: &Costs::default(), until: None };
    find_advice(topology, change, &wanted, settings, progress).report
}

/// Finds what would help against a change that breaks, at what cost, and what turns a verdict.
pub fn find_advice(
    topology: &Topology,
    change: &Change,
    wanted: &Wanted<'_>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Advice {
    let has_rates = topology.flows.iter().any(|flow| flow.rate.is_some());
    let measure =
        // Without time nothing is lost per minute, so shares are compared instead.
        if has_rates && !change.is_moment() { TrialMeasure::Orders } else { TrialMeasure::Share };
    let base = AdvisedState { topology: topology.clone(), change: change.clone() };
    let pool = CandidatePool { base: &base, settings, measure, costs: wanted.costs, progress };
    let plan = compile(topology, change, settings.lasting);
    let simulation = Simulator::with_engine(&plan, settings.seed, settings.engine);
    let mut tally = Tally::new(&plan);
    // The trials of the screening are not used again for estimates: the choice would flatter
    // itself.
    simulation.run_trials(0..SCREEN, &mut tally, &Silent);
    let mut passed = candidates::passed_dependencies(topology, &tally);
    let waiting = candidates::waiting_dependencies(topology, &tally);
    passed.extend(waiting.into_iter().filter(|at| !passed.contains(at)).collect::<Vec<_>>());
    let unseen = passed.len().saturating_sub(KEPT);
    let places = pool.best_places(&passed, wanted.until.is_some());
    let mut all = candidates::all_candidates(topology, change, &tally, &places);
    all.retain(|item| !wanted.leave_out.contains(&item.kind));
    let tried = all.len() as u64;
    let (offered, saving) = pool.screen_candidates(all);
    // The gate may ask for what saves little or nothing, so it is offered more.
    let kept = offered[..saving.min(KEPT)].to_vec();
    // All intervals hold at once: each of them gets its part of the error (Bonferroni).
    let comparisons = kept.len() + STEPS;
    let z = normal_quantile(1.0 - (1.0 - CONFIDENCE) / (2.0 * comparisons as f64));
    let trials = match settings.stop {
        Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. } => trials,
    };
    let end = SCREEN + trials;
    let before = base.trial_losses(settings, SCREEN, end, measure);
    let estimate = SavingEstimate { before: mean_cost(&before), z, costs: wanted.costs, end };
    let mut alone: Vec<AdviceReport> = Vec::new();
    for protection in &kept {
        if progress.is_cancelled() {
            break;
        }
        let costs = base.with_steps(&protection.steps).trial_losses(settings, SCREEN, end, measure);
        alone.push(estimate.advice_report(&base, protection, &before, &costs));
        progress.trials_done(trials);
    }
    let noise: Vec<NoiseReport> =
        // What may save nothing is named without a figure, which would look like a saving.
        alone.iter().filter(|alone| alone.saved.low <= 0.0).map(noise_report).collect();
    alone.retain(|alone| alone.saved.low > 0.0);
    alone.arrange_by(|a, b| b.saved_per_cost.value.total_cmp(&a.saved_per_cost.value));
    let (taken, after) = pool.take_together(kept, &before, &estimate);
    let (together, mut steps): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
    let mut report = AdviseReport {
        omitted: Vec::new(),
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        topology: topology.name.clone(),
        change: change.name.clone(),
        seed: settings.seed,
        trials,
        engine: EngineName::of_simulation(&simulation),
        partial: false,
        metric: if measure == TrialMeasure::Orders {
            Metric::OrdersLost
        } else {
            Metric::FailingShare
        },
        costs: Some(wanted.costs.name.clone()).filter(|name| !name.is_empty()),
        before: estimate.before,
        tried,
        comparisons: comparisons as u64,
        alone,
        within_noise: noise.len() as u64,
        noise,
        together,
        after,
        until: None,
        assumptions: advice_assumptions(unseen),
    };
    if let Some(until) = &wanted.until {
        let found = until::find_smallest_set(&pool, until, offered, &before, &estimate);
        steps = found.steps;
        report.until = Some(found.report);
    }
    report.partial = progress.is_cancelled();
    Advice { report, base, steps }
}

fn mean_cost(costs: &[f64]) -> f64 {
    costs.iter().sum::<f64>() / costs.len().max(1) as f64
}

fn noise_report(advice: &AdviceReport) -> NoiseReport {
    NoiseReport {
        kind: advice.kind,
        at: advice.at.clone(),
        call: advice.call.clone(),
        what: advice.what.clone(),
    }
}

fn advice_assumptions(unseen: usize) -> Vec<String> {
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

/// How savings are estimated and told.
struct SavingEstimate<'a> {
    /// The mean as things are.
    before: f64,
    /// How many standard errors an interval reaches.
    z: f64,
    costs: &'a Costs,
    /// The trial after the last one.
    end: u64,
}

impl SavingEstimate<'_> {
    /// A protection of a state, by what each trial costs before and after it.
    fn advice_report(
        &self,
        state: &AdvisedState,
        protection: &ProtectionCandidate,
        before: &[f64],
        after: &[f64],
    ) -> AdviceReport {
        let AdvisedState { topology, change } = state;
        let mut paired = Paired::default();
        for (before, after) in before.iter().zip(after) {
            // Both sides had the same draws, so the difference varies less than either side does.
            paired.add_trial(*after, *before);
        }
        // `Paired` gives 95% for one comparison; here the intervals must hold for all of them
        // together.
        let (saved, wider) = (paired.mean_difference(), self.z / Z975);
        let end = |end: f64| saved.value + (end - saved.value) * wider;
        let saved = Difference { value: saved.value, low: end(saved.low), high: end(saved.high) };
        let cost = protection.total_cost(self.costs);
        AdviceReport {
            kind: protection.kind,
            at: protection.at.clone(),
            call: protection.call.clone(),
            what: protection.what.clone(),
            edits: protection.steps.iter().map(|step| step.edit_report(topology, change)).collect(),
            saved,
            steps: protection.steps.len() as u64,
            cost,
            saved_per_cost: Difference {
                value: saved.value / cost,
                low: saved.low / cost,
                high: saved.high / cost,
            },
            saved_share: if self.before > 0.0 { saved.value / self.before } else { 0.0 },
            left: paired.side_means().0,
        }
    }
}
