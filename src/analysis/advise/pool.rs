//! Choosing among protections by few trials, and taking the best together.

use super::protection::{ProtectionCandidate, ProtectionStep};
use super::{AdvisedState, SCREEN, SLACK, STEPS, SavingEstimate, TrialMeasure, mean_cost};
use crate::analysis::Settings;
use crate::engine::Progress;
use crate::engine::parallel;
use crate::model::Costs;
use crate::report::advise::AdviceReport;
use crate::sort::Arrange as _;

/// How many trials tell which dependencies matter at all.
const GLANCE: u64 = 128;
/// How many candidates are estimated.
pub(super) const KEPT: usize = 16;
/// How many a gate is offered.
const OFFERED: usize = 24;

/// Pool that protections are chosen from, and the figure they are chosen by.
pub(super) struct CandidatePool<'a> {
    pub(super) base: &'a AdvisedState,
    pub(super) settings: &'a Settings,
    pub(super) measure: TrialMeasure,
    pub(super) costs: &'a Costs,
    pub(super) progress: &'a dyn Progress,
}

/// Protections taken one after the other, each as it is told and as its steps.
type Taken = Vec<(AdviceReport, (String, Vec<ProtectionStep>))>;

impl CandidatePool<'_> {
    /// The mean saving of each of some states, by few trials.
    fn mean_savings(
        &self,
        from: &AdvisedState,
        all: &[Vec<ProtectionStep>],
        trials: u64,
    ) -> Vec<f64> {
        let before: f64 = from.trial_losses(self.settings, 0, trials, self.measure).iter().sum();
        let saved = |steps: &Vec<ProtectionStep>| {
            // A search that was cancelled must end soon; its result is marked as partial.
            if self.progress.is_cancelled() {
                return 0.0;
            }
            let after = from.with_steps(steps).trial_losses(self.settings, 0, trials, self.measure);
            (before - after.iter().sum::<f64>()) / trials as f64
        };
        parallel::each_of(all, saved)
    }

    /// Of the dependencies that failure passed, those whose best protection would save most; a gate may
    /// ask for what saves nothing by itself.
    pub(super) fn best_places(&self, passed: &[usize], is_gated: bool) -> Vec<usize> {
        let ideal: Vec<Vec<ProtectionStep>> = passed
            .iter()
            .map(|at| {
                vec![
                    ProtectionStep::Timeout(*at),
                    ProtectionStep::Validate(*at),
                    ProtectionStep::Soft(*at),
                ]
            })
            .collect();
        let saved = self.mean_savings(self.base, &ideal, GLANCE);
        let mut order: Vec<usize> =
            (0..passed.len()).filter(|len| is_gated || saved[*len] > SLACK).collect();
        order.arrange_by(|a, b| saved[*b].total_cmp(&saved[*a]).then(a.cmp(b)));
        order.into_iter().take(KEPT).map(|order| passed[order]).collect()
    }

    /// The candidates that seem to save most for their cost: of those of one kind at one place, the
    /// one that does, with the fewest steps where several do. Those that save nothing by themselves come
    /// last, and how many do is told too.
    pub(super) fn screen_candidates(
        &self,
        all: Vec<ProtectionCandidate>,
    ) -> (Vec<ProtectionCandidate>, usize) {
        let steps: Vec<Vec<ProtectionStep>> = all.iter().map(|item| item.steps.clone()).collect();
        let saved = self.mean_savings(self.base, &steps, SCREEN);
        let mut rated: Vec<(f64, ProtectionCandidate)> = saved
            .into_iter()
            .zip(all)
            .map(|(saved, item)| {
                (if saved > SLACK { saved / item.total_cost(self.costs) } else { 0.0 }, item)
            })
            .collect();
        rated.arrange_by(|a, b| b.0.total_cmp(&a.0));
        // To be near is no order of its own: a may be near b and b near c, and a not near c.
        let is_near = |a: &(f64, ProtectionCandidate), b: &(f64, ProtectionCandidate)| {
            a.0 - b.0 <= SLACK * a.0
        };
        for near in rated.chunk_by_mut(is_near) {
            near.arrange_by_key(|near| near.1.steps.len());
        }
        let mut kept: Vec<ProtectionCandidate> = Vec::new();
        let mut saving = 0;
        for (worth, protection) in rated {
            let is_known = |item: &ProtectionCandidate| {
                item.kind == protection.kind && item.at == protection.at
            };
            if kept.len() < OFFERED && !kept.iter().any(is_known) {
                saving += usize::from(worth > 0.0);
                kept.push(protection);
            }
        }
        (kept, saving)
    }

    /// Takes what saves most for its cost one after the other, as long as each saves with certainty.
    pub(super) fn take_together(
        &self,
        mut left: Vec<ProtectionCandidate>,
        before: &[f64],
        estimate: &SavingEstimate<'_>,
    ) -> (Taken, f64) {
        let (mut state, mut now) = (self.base.clone(), before.to_vec());
        let mut taken = Taken::new();
        let mut done: Vec<ProtectionStep> = Vec::new();
        while taken.len() < STEPS && !self.progress.is_cancelled() {
            for protection in &mut left {
                // Steps that are taken already cost nothing once more.
                protection.steps.retain(|step| !done.contains(step));
            }
            left.retain(|protection| !protection.steps.is_empty());
            let steps: Vec<Vec<ProtectionStep>> =
                left.iter().map(|left| left.steps.clone()).collect();
            let saved = self.mean_savings(&state, &steps, SCREEN);
            let worth = |at: usize| saved[at] / left[at].total_cost(self.costs);
            let best = (0..left.len())
                .filter(|len| saved[*len] > SLACK)
                // Of equal ones the first is taken, so that the result is always the same.
                .max_by(|a, b| worth(*a).total_cmp(&worth(*b)).then(b.cmp(a)));
            let Some(best) = best else { break };
            let protection = left.remove(best);
            let next = state.with_steps(&protection.steps);
            let losses = next.trial_losses(self.settings, SCREEN, estimate.end, self.measure);
            let advice = estimate.advice_report(&state, &protection, &now, &losses);
            // The best by few trials may save nothing for certain; then none after it does either.
            if advice.saved.low <= 0.0 {
                break;
            }
            done.extend(&protection.steps);
            taken.push((advice, (protection.what, protection.steps)));
            (state, now) = (next, losses);
        }
        (taken, mean_cost(&now))
    }
}
