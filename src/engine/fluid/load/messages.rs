//! Messages that wait in buffers until their consumer takes them.

use crate::compile::plan::ConsumerId;
use crate::engine::fluid::load::queues::settled_lanes;
use crate::engine::fluid::load::spread::Loads;
use crate::engine::fluid::propagation::step_state::StepState;
use crate::engine::fluid::state::lanes::{Lanes, all, mask, same};
use crate::engine::simd::array;

/// Levels are reached this much too early, since the times at which they are come from a division.
pub(crate) const LEVEL_SLACK: f64 = 1e-6;

impl<const W: usize> StepState<'_, W> {
    /// Returns how fast messages come to a consumer, and how fast it takes them: 1 is normal traffic.
    pub(crate) fn message_rates(
        &self,
        loads: &Loads<W>,
        shares_of_users: &[Lanes<W>],
        id: ConsumerId,
    ) -> [Lanes<W>; 2] {
        let consumer = &self.plan.consumers[id];
        let (node, service) = (consumer.node, consumer.service);
        let (mut comes, mut works): (Lanes<W>, Lanes<W>) = (all(0.0), all(0.0));
        for (cohort, users) in shares_of_users.iter().enumerate() {
            let load = loads.load_of(cohort, node);
            let shares = &self.cohorts[cohort].shares[node];
            for lane in 0..W {
                comes[lane] += users[lane] * load[lane];
                works[lane] += users[lane] * (1.0 - shares.unanswered(lane));
            }
        }
        let takes = array(|lane| {
            // What is lost to overload is no loss of capacity.
            let kept = 1.0 - self.overload[service][lane];
            if works[lane] <= 0.0 || kept <= 0.0 {
                return 0.0;
            }
            loads.usable[service][lane] * (works[lane] / kept).min(1.0)
        });
        [comes, takes]
    }

    /// Computes the share of messages that full buffers have no room for. Returns the lanes in which
    /// that changed.
    pub(crate) fn spill_messages(
        &mut self,
        loads: &Loads<W>,
        shares_of_users: &[Lanes<W>],
        moving: u8,
    ) -> u8 {
        let mut moved = 0;
        for id in self.plan.consumers.ids() {
            let [comes, takes] = self.message_rates(loads, shares_of_users, id);
            let old = self.spilled[id];
            let new = settled_lanes(moving, &old, |lane| {
                if comes[lane] > takes[lane] { 1.0 - takes[lane] / comes[lane] } else { 0.0 }
            });
            if same(&old, &new) {
                continue;
            }
            self.spilled[id] = new;
            let is_full = mask::<W>(|lane| {
                let consumer = &self.plan.consumers[id];
                let least = consumer.levels.first().copied().unwrap_or(f64::INFINITY);
                self.messages[id][lane] >= least - LEVEL_SLACK
            });
            moved |= is_full & mask::<W>(|lane| new[lane] != old[lane]);
            self.touch_callers_of_consumer(id);
        }
        moved
    }

    /// Has the callers of a consumer computed anew.
    pub(crate) fn touch_callers_of_consumer(&mut self, id: ConsumerId) {
        let index_of_plan = self.index_of_plan;
        for caller in index_of_plan.callers_of(self.plan.consumers[id].node) {
            self.touch(*caller);
        }
    }
}
