//! One moment: load travels to dependencies, and overload makes it fail in turn.

use super::lanes::{LANES, Lanes, all, has, mask};
use super::moment::{Moment, SETTLED};
use crate::compile::plan::{NONE, Plan, Traffic};
use crate::model::topology::Overload;

/// From this round on, overload goes only part of the way to what the loads ask for.
const DAMPED_FROM: u32 = 200;
/// Which part.
const DAMPING: f64 = 0.3;
/// When a moment is given up.
const ROUNDS: u32 = 1_000;

/// Room for the loads of one moment.
pub(super) struct Loads {
    /// By node: traffic beyond what its base implies; cleared as it is read.
    excess: Vec<Lanes>,
    has_excess: Vec<bool>,
    /// By service, over both cohorts.
    service_excess: Vec<Lanes>,
    /// By service: what it can serve, as a multiple of normal load; infinite where not known.
    pub(super) capacity: Vec<Lanes>,
    /// By service: load relative to normal at the last round.
    pub(super) load: Vec<Lanes>,
    /// By service: the lanes in which it is down for reasons that are no overload.
    pub(super) exempt: Vec<u8>,
    /// By service: the lanes in which it still swings when the moment was given up.
    pub(super) swings: Vec<u8>,
}

impl Loads {
    pub(super) fn new(plan: &Plan) -> Self {
        let (nodes, services) =
            if plan.has_load { (plan.nodes.len(), plan.services.len()) } else { (0, 0) };
        Self {
            excess: vec![all(0.0); nodes],
            has_excess: vec![false; nodes],
            service_excess: vec![all(0.0); services],
            capacity: vec![all(f64::INFINITY); services],
            load: vec![all(1.0); services],
            exempt: vec![0; services],
            swings: vec![0; services],
        }
    }

    fn add(&mut self, plan: &Plan, node: u32, weight: f64, traffic: &Lanes, cohort_share: &Lanes) {
        if weight == 0.0 {
            return;
        }
        self.has_excess[node as usize] = true;
        let service = plan.nodes[node as usize].service as usize;
        for lane in 0..LANES {
            let more = weight * traffic[lane];
            self.excess[node as usize][lane] += more;
            self.service_excess[service][lane] += cohort_share[lane] * more;
        }
    }

    /// A node's load relative to normal, or nothing where it is normal in every lane.
    fn take(&mut self, node: usize, traffic: Traffic) -> Option<Lanes> {
        if !self.has_excess[node] {
            return traffic.only_fallback_load();
        }
        let excess = std::mem::replace(&mut self.excess[node], all(0.0));
        self.has_excess[node] = false;
        Some(relative(&excess, traffic))
    }
}

impl Traffic {
    /// What arrives in normal times where only fallbacks call: nothing.
    fn only_fallback_load(self) -> Option<Lanes> {
        (self.only_fallback && self.total > 0.0).then_some(all(0.0))
    }
}

fn relative(excess: &Lanes, traffic: Traffic) -> Lanes {
    if traffic.total <= 0.0 {
        return all(1.0);
    }
    let base = if traffic.only_fallback { 0.0 } else { 1.0 };
    std::array::from_fn(|lane| base + excess[lane] / traffic.total)
}

impl Moment<'_> {
    /// Failure, then loads, then overload, until nothing changes. Each lane stops when it has
    /// settled. `shares_of_users` weighs the cohorts.
    pub(super) fn settle(&mut self, loads: &mut Loads, shares_of_users: &[Lanes]) {
        self.sweep();
        if !self.plan.has_load {
            return;
        }
        let mut moving = u8::MAX;
        for round in 0..ROUNDS {
            self.spread_load(loads, shares_of_users);
            moving &= self.overload(loads, moving, round);
            if moving == 0 {
                return;
            }
            self.sweep();
        }
        self.note_swings(loads, moving);
    }

    /// Lets load run from the flows to everything they call; callers come after dependencies in
    /// evaluation order, so this goes backwards.
    fn spread_load(&mut self, loads: &mut Loads, shares_of_users: &[Lanes]) {
        loads.service_excess.fill(all(0.0));
        for (cohort, users) in shares_of_users.iter().enumerate() {
            for node in (0..self.plan.nodes.len()).rev() {
                self.pass_on_load(loads, node, cohort, users);
            }
        }
        for (service, it) in self.plan.services.iter().enumerate() {
            loads.load[service] = relative(&loads.service_excess[service], it.traffic);
        }
    }

    /// Adds what one node sends to its dependencies beyond (or short of) its normal traffic.
    fn pass_on_load(&self, loads: &mut Loads, node: usize, cohort: usize, users: &Lanes) {
        let plan = self.plan;
        let it = &plan.nodes[node];
        let own = if it.service == NONE {
            self.user_retries(node, cohort)
        } else {
            loads.take(node, it.traffic)
        };
        let state = &self.cohorts[cohort];
        let lost = self.answered_by_own_health(node, cohort);
        let surge = state.surge.iter().find(|(surging, _)| *surging == node as u32);
        let plain = own.is_none() && lost.is_none() && surge.is_none();
        let mut base = all(1.0);
        for it in
            [own.as_ref(), lost.as_ref(), surge.map(|(_, factor)| factor)].into_iter().flatten()
        {
            for lane in 0..LANES {
                base[lane] *= it[lane];
            }
        }
        for index in it.calls.clone() {
            let call = &plan.calls[index as usize];
            if call.inside || plain && self.is_quiet(call, cohort) {
                continue;
            }
            for member in call.members.clone() {
                let factor = &state.traffic[member as usize];
                let member = &plan.members[member as usize];
                let normal = if member.extra { 0.0 } else { 1.0 };
                let mut more = all(0.0);
                for lane in 0..LANES {
                    more[lane] = base[lane] * factor[lane] - normal;
                }
                if more != all(0.0) {
                    loads.add(plan, member.node, member.weight, &more, users);
                }
            }
            let failed_over = &state.failed_over[index as usize];
            if *failed_over != all(0.0)
                && let Some(fallback) = self.fallback_node(index as usize)
            {
                let works = self.world.works[call.dependency as usize];
                let mut more = all(0.0);
                for lane in 0..LANES {
                    let works = f64::from(u8::from(has(works, lane)));
                    more[lane] = base[lane] * failed_over[lane] * works;
                }
                loads.add(plan, fallback as u32, call.fallback_weight, &more, users);
            }
        }
    }

    /// Customers who try again.
    fn user_retries(&self, node: usize, cohort: usize) -> Option<Lanes> {
        let flow = self.plan.flows.iter().find(|flow| flow.node as usize == node)?;
        if flow.retry_attempts == 0 || self.cohorts[cohort].quiet[node] {
            return None;
        }
        let shares = &self.cohorts[cohort].shares[node];
        Some(std::array::from_fn(|lane| {
            let again = flow.retry_share * shares.unanswered(lane);
            let mut sum = 0.0;
            for _ in 0..flow.retry_attempts {
                sum = again * (1.0 + sum);
            }
            1.0 + sum
        }))
    }

    /// The share of requests not lost to a node's own health, where some are.
    fn answered_by_own_health(&self, node: usize, cohort: usize) -> Option<Lanes> {
        let own = self.cohorts[cohort].own_of(node).map(|left| left.0[1]);
        let service = self.plan.nodes[node].service;
        if service == NONE {
            return own;
        }
        let lost = &self.overload[service as usize];
        if *lost == all(0.0) {
            return own;
        }
        let own = own.unwrap_or(all(1.0));
        Some(std::array::from_fn(|lane| own[lane] * (1.0 - lost[lane])))
    }

    /// Sets overload from the loads; gives the lanes in which it still changes.
    fn overload(&mut self, loads: &Loads, moving: u8, round: u32) -> u8 {
        let mut moved = 0;
        for (index, service) in self.plan.services.iter().enumerate() {
            if service.utilization <= 0.0 {
                continue;
            }
            let (load, capacity) = (&loads.load[index], &loads.capacity[index]);
            let old = self.overload[index];
            let mut new = old;
            for lane in 0..LANES {
                if !has(moving, lane) {
                    continue;
                }
                let asked = if has(loads.exempt[index], lane) {
                    0.0
                } else {
                    lost_share(service.overload, load[lane], capacity[lane])
                };
                let step = if round < DAMPED_FROM { 1.0 } else { DAMPING };
                if (asked - old[lane]).abs() > SETTLED {
                    moved |= 1 << lane;
                    new[lane] =
                        if step < 1.0 { old[lane] + step * (asked - old[lane]) } else { asked };
                }
            }
            if new != old {
                self.overload[index] = new;
                for node in self.plan.nodes_of(index as u32) {
                    self.dirty[node as usize] = true;
                }
            }
        }
        moved
    }

    /// Notes which services still change in the lanes that did not settle.
    fn note_swings(&self, loads: &mut Loads, moving: u8) {
        for (index, service) in self.plan.services.iter().enumerate() {
            if service.utilization <= 0.0 {
                continue;
            }
            let swings = mask(|lane| {
                let exempt = has(loads.exempt[index], lane);
                let asked = lost_share(
                    service.overload,
                    loads.load[index][lane],
                    loads.capacity[index][lane],
                );
                has(moving, lane) && !exempt && (asked - self.overload[index][lane]).abs() > SETTLED
            });
            loads.swings[index] |= swings;
        }
    }
}

/// The share of requests that a service loses when `load` arrives and it can serve `capacity`.
///
/// Collapse is goodput that falls linearly from all of the capacity at full load to nothing at
/// twice that, the shape of congestion collapse.
fn lost_share(overload: Overload, load: f64, capacity: f64) -> f64 {
    if load <= capacity {
        return 0.0;
    }
    if capacity <= 0.0 {
        return 1.0;
    }
    let served = capacity / load;
    match overload {
        Overload::Shed => 1.0 - served,
        Overload::Collapse => 1.0 - served * (2.0 - load / capacity).max(0.0),
    }
}
