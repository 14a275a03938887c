//! Caches that were lost and come back cold: each miss that is answered fills them again.

use crate::compile::plan::{NONE, Refill};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::LANES;

impl Run<'_> {
    /// Empties the caches that are lost at the present moment.
    pub(crate) fn note_lost_caches(&mut self) {
        if !self.loads.is_timed {
            return;
        }
        for index in 0..self.plan.refills.len() {
            for lane in 0..LANES {
                let refill = &self.plan.refills[index];
                if self.state.refilled[index][lane] != 0.0 && self.is_cache_lost(refill, lane) {
                    self.state.refilled[index][lane] = 0.0;
                    self.touch_refilled(index);
                }
            }
        }
    }

    /// Whether the service that holds a cache fails; of the caller itself, whether it does by its own
    /// health.
    pub(crate) fn is_cache_lost(&self, refill: &Refill, lane: usize) -> bool {
        let failed = self.plan.failed - SLACK;
        if refill.cache != NONE {
            return self.failing_share(refill.cache, lane) >= failed;
        }
        let fails = |node: u32| {
            self.over_cohorts(lane, |cohort| {
                let own = self.state.cohorts[cohort].own_of(node as usize);
                own.map_or(0.0, |own| 1.0 - own.0[1][lane])
            })
        };
        refill.service != NONE
            && self.plan.nodes_of(refill.service).any(|node| fails(node) >= failed)
    }

    fn touch_refilled(&mut self, index: usize) {
        for caller in &self.plan.refills[index].callers {
            self.state.touch(*caller);
        }
    }

    /// Returns the share of the misses of a cache that is answered and fills it.
    fn refills_by(&self, index: usize, lane: usize) -> f64 {
        if self.is_cache_lost(&self.plan.refills[index], lane) {
            return 0.0;
        }
        self.over_cohorts(lane, |cohort| self.state.cohorts[cohort].misses_answered[index][lane])
    }

    /// Lets the caches of one lane fill until a later time.
    pub(crate) fn advance_refills(&mut self, lane: usize, until: f64) {
        let duration = until - self.state.time[lane];
        for index in 0..self.plan.refills.len() {
            let before = self.state.refilled[index][lane];
            if before.is_infinite() || duration <= 0.0 {
                continue;
            }
            let refill = &self.plan.refills[index];
            let after = before + self.refills_by(index, lane) * duration;
            let warm = refill.warm_share(after);
            let is_full = warm >= 1.0;
            if is_full || warm != refill.warm_share(before) {
                self.touch_refilled(index);
            }
            self.state.refilled[index][lane] = if is_full { f64::INFINITY } else { after };
        }
    }

    /// Returns when some cache next answers more.
    pub(crate) fn next_refill(&self, lane: usize) -> f64 {
        let mut next = f64::INFINITY;
        for (index, refill) in self.plan.refills.iter().enumerate() {
            let refilled = self.state.refilled[index][lane];
            let by = if refilled.is_finite() { self.refills_by(index, lane) } else { 0.0 };
            if by > 0.0 {
                let after = (refill.next_step(refilled) - refilled) / by;
                next = next.min(self.state.time[lane] + after);
            }
        }
        next
    }
}
