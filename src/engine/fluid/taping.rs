//! Takes down everything that happens in one lane.

use super::lanes::has;
use super::run::Run;
use super::world::Mode;
use crate::engine::tape::{Event, Moment, State, Tape};

/// A lane of which everything is taken down.
pub(super) struct Taped {
    pub(super) lane: usize,
    pub(super) tape: Tape,
    /// Events since the last moment.
    events: Vec<Event>,
    /// Targets that were failing at the last moment.
    failing: Vec<bool>,
}

impl Taped {
    pub(super) fn new(lane: usize) -> Self {
        Self { lane, tape: Tape::default(), events: Vec::new(), failing: Vec::new() }
    }
}

impl Run<'_> {
    /// Takes down an event, if somebody wants to know of this lane.
    pub(super) fn note(&mut self, lane: usize, event: Event) {
        if let Some(taped) = self.taped.as_mut().filter(|taped| taped.lane == lane) {
            taped.events.push(event);
        }
    }

    /// Takes down the present moment.
    pub(super) fn tape_moment(&mut self, lanes: u8) {
        let Some(mut taped) = self.taped.take() else { return };
        let lane = taped.lane;
        if has(lanes, lane) {
            let time = self.moment.time[lane];
            let mut events = std::mem::take(&mut taped.events);
            self.tape_targets(&mut taped, &mut events);
            let restarted = self.held.iter().filter(|held| held.lane == lane && held.at == time);
            events.extend(restarted.map(|held| Event::Restarted(held.service)));
            if self.courses[lane].repair_at == time && time > self.courses[lane].ended_at {
                events.push(Event::Repaired);
            }
            let moment = Moment {
                from: time,
                until: time,
                exposure: self.courses[lane].exposure,
                events,
                units: self.units_now(lane),
                overloads: self.overloads_now(lane),
                lost: 0.0,
            };
            taped.tape.moments.push(moment);
        }
        self.taped = Some(taped);
    }

    /// Notes which targets have begun to fail since the last moment.
    fn tape_targets(&self, taped: &mut Taped, events: &mut Vec<Event>) {
        let lane = taped.lane;
        taped.failing.resize(self.plan.targets.len(), false);
        for (target, was_failing) in taped.failing.iter_mut().enumerate() {
            let fails = self.target_shares[target].iter().any(|shares| shares[lane] > 0.0);
            if fails && !*was_failing {
                let mode = match self.world.targets[target].mode[lane] {
                    Mode::Down => 0,
                    Mode::Slow => 1,
                    Mode::Corrupt => 2,
                    Mode::Surge => 3,
                };
                events.push(Event::TargetFails(target as u32, mode));
            }
            *was_failing = fails;
        }
    }

    fn units_now(&self, lane: usize) -> Vec<(u32, State)> {
        let state = |node: u32| State {
            slow: self.node_share(node, lane, |shares, lane| shares.slow[lane]),
            down: self.node_share(node, lane, |shares, lane| shares.down[lane]),
            corrupt: self.node_share(node, lane, |shares, lane| shares.corrupt[lane]),
            degraded: self.node_share(node, lane, |shares, lane| shares.degraded[lane]),
        };
        let worst = |nodes: &[u32]| {
            let states = nodes.iter().map(|node| state(*node));
            let badness = |it: &State| (it.failing(), it.degraded);
            states.reduce(|a, b| if badness(&b) > badness(&a) { b } else { a })
        };
        let units = self.record.unit_nodes().iter().map(|nodes| worst(nodes)).enumerate();
        units
            .filter_map(|(unit, state)| state.map(|state| (unit as u32, state)))
            .filter(|(_, state)| state.failing() + state.degraded > 0.0)
            .collect()
    }

    fn overloads_now(&self, lane: usize) -> Vec<(u32, f64, f64, f64)> {
        if !self.plan.has_load {
            return Vec::new();
        }
        (0..self.plan.services.len())
            .filter(|service| self.moment.overload[*service][lane] > 0.0)
            .map(|service| {
                let (load, capacity) =
                    (self.loads.load[service][lane], self.loads.capacity[service][lane]);
                (service as u32, load, capacity, self.moment.overload[service][lane])
            })
            .collect()
    }

    /// Takes down until when the present moment holds, and what is lost in it.
    pub(super) fn tape_until(&mut self, lane: usize, until: f64) {
        if self.taped.as_ref().is_none_or(|taped| taped.lane != lane) {
            return;
        }
        let duration = until - self.moment.time[lane];
        let rates = self.plan.flows.iter().map(|flow| flow.rate).enumerate();
        let lost = rates.filter(|(_, rate)| !rate.is_nan());
        let lost: f64 =
            lost.map(|(flow, rate)| rate * self.charged(flow, lane)[1] * duration).sum();
        let taped = self.taped.as_mut().expect("just looked at");
        if let Some(moment) = taped.tape.moments.last_mut() {
            (moment.until, moment.lost) = (until, lost);
        }
    }
}
