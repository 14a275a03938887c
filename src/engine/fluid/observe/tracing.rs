//! Takes down everything that happens in one lane.

use crate::compile::plan::{FlowId, NodeId, ServiceId, TargetId};
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{Shares, has};
use crate::engine::fluid::state::sampled_trials::Mode;
use crate::engine::outcome::WaitReason;
use crate::engine::trace::{Event, State, Trace, TraceStep};
use crate::model::id::Table;

/// A lane of which everything is taken down.
pub(crate) struct TracedLane {
    pub(crate) lane: usize,
    pub(crate) trace: Trace,
    /// Events since the last moment.
    events: Vec<Event>,
    /// Targets that were failing at the last moment.
    failing: Table<TargetId, bool>,
    /// Why requests waited in vain at the last moment.
    reasons: Vec<WaitReason>,
}

impl TracedLane {
    pub(crate) fn new(lane: usize) -> Self {
        Self {
            lane,
            trace: Trace::default(),
            events: Vec::new(),
            failing: Table::new(),
            reasons: Vec::new(),
        }
    }
}

impl Run<'_> {
    /// Takes down an event, if somebody wants to know of this lane.
    pub(crate) fn note(&mut self, lane: usize, event: Event) {
        if let Some(traced) = self.traced.as_mut().filter(|traced| traced.lane == lane) {
            traced.events.push(event);
        }
    }

    /// Takes down the present moment.
    pub(crate) fn trace_step(&mut self, lanes: u8) {
        let Some(mut traced) = self.traced.take() else { return };
        let lane = traced.lane;
        if has(lanes, lane) {
            let time = self.state.time[lane];
            let mut events = std::mem::take(&mut traced.events);
            self.trace_targets(&mut traced, &mut events);
            let restarted =
                self.pending_restarts.iter().filter(|held| held.lane == lane && held.at == time);
            events.extend(restarted.map(|held| Event::Restarted(held.service)));
            if self.progress[lane].repair_at == time && time > self.progress[lane].ended_at {
                events.push(Event::Repaired);
            }
            self.trace_reasons(&mut traced, &mut events);
            let step = TraceStep {
                from: time,
                until: time,
                exposure: self.progress[lane].exposure,
                events,
                units: self.units_now(lane),
                overloads: self.overloads_now(lane),
                lost: 0.0,
                late: 0.0,
            };
            traced.trace.steps.push(step);
        }
        self.traced = Some(traced);
    }

    /// Notes which targets have begun to fail since the last moment.
    fn trace_targets(&self, traced: &mut TracedLane, events: &mut Vec<Event>) {
        let lane = traced.lane;
        traced.failing.resize(self.plan.targets.len(), false);
        for (target, was_failing) in traced.failing.entries_mut() {
            let fails = self.target_shares[target].iter().any(|shares| shares[lane] > 0.0);
            if fails && !*was_failing {
                let mode = match self.sampled.targets[target].mode[lane] {
                    Mode::Down => 0,
                    Mode::Slow => 1,
                    Mode::Corrupt => 2,
                    Mode::Surge => 3,
                };
                events.push(Event::TargetFails(target, mode));
            }
            *was_failing = fails;
        }
    }

    /// Notes for which reasons requests begin, and cease, to wait in vain.
    fn trace_reasons(&mut self, traced: &mut TracedLane, events: &mut Vec<Event>) {
        // In the order of the reasons: that in which calls are evaluated says nothing to readers.
        let now: Vec<WaitReason> = self.reasons_now(1 << traced.lane).into_keys().collect();
        let begun = now.iter().filter(|reason| !traced.reasons.contains(reason));
        events.extend(begun.map(|reason| Event::WaitBegins(*reason)));
        let ended = traced.reasons.iter().filter(|reason| !now.contains(reason));
        events.extend(ended.map(|reason| Event::WaitEnds(*reason)));
        traced.reasons = now;
    }

    fn units_now(&self, lane: usize) -> Vec<(u32, State)> {
        let state = |node: NodeId, flow: Option<FlowId>| State {
            // What comes too late for a caller is as good as slow to it.
            slow: self.node_share(node, lane, |shares, lane| shares.slow[lane])
                + self.failing_share(node, lane)
                - self.node_share(node, lane, Shares::failing),
            down: self.node_share(node, lane, |shares, lane| shares.down[lane]),
            corrupt: self.node_share(node, lane, |shares, lane| shares.corrupt[lane]),
            degraded: self.degraded_share(node, lane),
            late: self.late_share(node, flow, lane),
        };
        let nodes_of = self.record.unit_nodes();
        let flows_from = nodes_of.len() - self.plan.flows.len();
        let worst = |(unit, nodes): (usize, &Vec<NodeId>)| {
            let states = nodes
                .iter()
                .map(|node| state(*node, unit.checked_sub(flows_from).map(FlowId::new)));
            let badness = |state: &State| (state.failing_share(), state.degraded, state.late);
            let worst = states.reduce(|a, b| if badness(&b) > badness(&a) { b } else { a })?;
            let is_shown = worst.failing_share() + worst.degraded + worst.late > 0.0;
            is_shown.then_some((unit as u32, worst))
        };
        nodes_of.iter().enumerate().filter_map(worst).collect()
    }

    fn overloads_now(&self, lane: usize) -> Vec<(ServiceId, f64, f64, f64)> {
        if !self.plan.has_load {
            return Vec::new();
        }
        self.plan
            .services
            .ids()
            .iter()
            .filter(|service| self.state.overload[*service][lane] > 0.0)
            .map(|service| {
                let (load, capacity) =
                    (self.loads.load[service][lane], self.loads.capacity[service][lane]);
                (service, load, capacity, self.state.overload[service][lane])
            })
            .collect()
    }

    /// Takes down until when the present moment holds, and what is lost in it.
    pub(crate) fn trace_until(&mut self, lane: usize, until: f64) {
        if self.traced.as_ref().is_none_or(|traced| traced.lane != lane) {
            return;
        }
        let duration = until - self.state.time[lane];
        let (mut lost, mut late) = (0.0, 0.0);
        let rates = self.plan.flows.entries().map(|(id, flow)| (id, flow.rate));
        for (flow, rate) in rates.filter(|(_, rate)| duration > 0.0 && !rate.is_nan()) {
            lost += self.record.flows[flow].lost_now[lane];
            late += rate * self.charged_late(flow, lane) * duration;
        }
        let traced = self.traced.as_mut().expect("just looked at");
        if let Some(step) = traced.trace.steps.last_mut() {
            (step.until, step.lost, step.late) = (until, lost, late);
        }
    }
}
