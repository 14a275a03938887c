//! Messages from moment to moment: how many wait in buffers, and which orders are late by them.
//!
//! While loads are constant what waits grows or shrinks at a constant rate, so the next time at which a
//! buffer is full or empty, or orders become late, is computed.

use crate::compile::plan::FlowId;
use crate::engine::fluid::load::messages::LEVEL_SLACK;
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{Lanes, same};
use crate::engine::simd::array;

impl Run<'_> {
    /// Notes by how much what waits for each consumer grows in a second.
    pub(crate) fn note_message_rates(&mut self, users: &[Lanes]) {
        if !self.loads.is_timed {
            return;
        }
        for (id, consumer) in self.plan.consumers.entries() {
            let [comes, takes] = self.state.message_rates(&self.loads, users, id);
            let waits = self.state.messages[id];
            self.message_growth[id] = array(|lane| {
                let growth = comes[lane] - takes[lane];
                let is_at_end =
                    if growth > 0.0 { waits[lane] >= consumer.holds } else { waits[lane] <= 0.0 };
                if is_at_end || growth.abs() <= SLACK { 0.0 } else { growth }
            });
        }
    }

    /// Lets messages gather or be taken in one lane until a later time.
    pub(crate) fn advance_messages(&mut self, lane: usize, until: f64) {
        let duration = until - self.state.time[lane];
        for (id, consumer) in self.plan.consumers.entries() {
            let growth = self.message_growth[id][lane];
            if growth == 0.0 || duration <= 0.0 {
                continue;
            }
            let before = self.state.messages[id];
            let after = before[lane] + growth * duration;
            let after = if after <= LEVEL_SLACK { 0.0 } else { after.min(consumer.holds) };
            self.state.messages[id][lane] = after;
            if !same(&before, &self.state.messages[id]) {
                self.state.touch_callers_of_consumer(id);
            }
        }
    }

    /// Returns when a buffer is full or empty next, or orders begin or cease to be late.
    pub(crate) fn next_message(&self, lane: usize) -> f64 {
        let mut next = f64::INFINITY;
        for (id, consumer) in self.plan.consumers.entries() {
            let growth = self.message_growth[id][lane];
            let waits = self.state.messages[id][lane];
            if growth == 0.0 {
                continue;
            }
            let ahead = |level: &f64| (level - waits) * growth.signum() > LEVEL_SLACK;
            let levels = consumer.levels.iter().copied().chain([0.0]);
            let after = levels.filter(ahead).map(|level| (level - waits) / growth);
            next = next.min(self.state.time[lane] + after.fold(f64::INFINITY, f64::min));
        }
        next
    }

    /// Returns the share of a flow's orders of which some message waits longer than is promised.
    pub(crate) fn late_messages(&self, flow: FlowId, lane: usize) -> f64 {
        let flow = &self.plan.flows[flow];
        let mut on_time = 1.0;
        for (consumer, share) in &flow.messages {
            let beyond = self.state.messages[*consumer][lane] - flow.promised;
            let is_late = beyond > LEVEL_SLACK
                || (beyond >= -LEVEL_SLACK && self.message_growth[*consumer][lane] >= 0.0);
            if is_late {
                on_time *= 1.0 - share;
            }
        }
        1.0 - on_time
    }
}
