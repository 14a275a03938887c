//! Caches that were lost and come back cold: each miss that is answered fills them again.

use crate::compile::plan::{NodeId, Refill, RefillId};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::LANES;

impl Run<'_> {
    /// Empties the caches that are lost at the present moment.
    pub(crate) fn note_lost_caches(&mut self) {
        if !self.loads.is_timed {
            return;
        }
        for id in self.plan.refills.ids() {
            for lane in 0..LANES {
                let refill = &self.plan.refills[id];
                if self.state.refilled[id][lane] != 0.0 && self.is_cache_lost(refill, lane) {
                    self.state.refilled[id][lane] = 0.0;
                    self.touch_refilled(id);
                }
            }
        }
    }

    /// Whether the service that holds a cache fails; of the caller itself, whether it does by its own
    /// health.
    pub(crate) fn is_cache_lost(&self, refill: &Refill, lane: usize) -> bool {
        let failed = self.plan.failed - SLACK;
        if let Some(cache) = refill.cache {
            return self.failing_share(cache, lane) >= failed;
        }
        let fails = |node: NodeId| {
            self.over_cohorts(lane, |cohort| {
                let own = self.state.cohorts[cohort].own_of(node);
                own.map_or(0.0, |own| 1.0 - own.0[1][lane])
            })
        };
        let of_service = |service| self.plan.nodes_of(service).any(|node| fails(node) >= failed);
        refill.service.is_some_and(of_service)
    }

    fn touch_refilled(&mut self, id: RefillId) {
        for caller in &self.plan.refills[id].callers {
            self.state.touch(*caller);
        }
    }

    /// Returns the share of the misses of a cache that is answered and fills it.
    fn refills_by(&self, id: RefillId, lane: usize) -> f64 {
        if self.is_cache_lost(&self.plan.refills[id], lane) {
            return 0.0;
        }
        self.over_cohorts(lane, |cohort| self.state.cohorts[cohort].misses_answered[id][lane])
    }

    /// Lets the caches of one lane fill until a later time.
    pub(crate) fn advance_refills(&mut self, lane: usize, until: f64) {
        let duration = until - self.state.time[lane];
        for id in self.plan.refills.ids() {
            let before = self.state.refilled[id][lane];
            if before.is_infinite() || duration <= 0.0 {
                continue;
            }
            let refill = &self.plan.refills[id];
            let after = before + self.refills_by(id, lane) * duration;
            let warm = refill.warm_share(after);
            let is_full = warm >= 1.0;
            if is_full || warm != refill.warm_share(before) {
                self.touch_refilled(id);
            }
            self.state.refilled[id][lane] = if is_full { f64::INFINITY } else { after };
        }
    }

    /// Returns when some cache next answers more.
    pub(crate) fn next_refill(&self, lane: usize) -> f64 {
        let mut next = f64::INFINITY;
        for (id, refill) in self.plan.refills.entries() {
            let refilled = self.state.refilled[id][lane];
            let by = if refilled.is_finite() { self.refills_by(id, lane) } else { 0.0 };
            if by > 0.0 {
                let after = (refill.next_step(refilled) - refilled) / by;
                next = next.min(self.state.time[lane] + after);
            }
        }
        next
    }
}
