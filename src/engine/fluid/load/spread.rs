//! One moment: load travels to dependencies, and overload makes it fail in turn.

use crate::compile::plan::{NodeId, Plan, Service, ServiceId, Traffic};
use crate::engine::fluid::load::approach::{
    Approach, DAMPED_FROM, Pace, SETTLED, SWINGS_FROM, Step,
};
use crate::engine::fluid::propagation::step_state::StepState;
use crate::engine::fluid::state::index_set::IndexSet;
use crate::engine::fluid::state::lanes::{Lanes, all, for_lanes, has, mask, same};
use crate::engine::fluid::state::plan_index::Arrival;
use crate::engine::simd::array;
use crate::model::id::Table;

/// Overload swings once it is this many times nearer to its value two rounds ago than to that of the last
/// round.
const SWING_RATIO: f64 = 4.0;
/// Round at which a moment is given up and reported as unsettled.
pub(crate) const ROUNDS: u32 = 300;

/// The loads of a moment, kept so that only what changes is computed anew.
pub(crate) struct Loads<const W: usize> {
    /// For each cohort, by slot (members, then the fallbacks of calls): traffic beyond normal.
    sent: Vec<Vec<Lanes<W>>>,
    /// For each cohort, by node: whether what arrives at it changed.
    arrives_anew: Vec<IndexSet<NodeId>>,
    /// For each cohort, by node: the sum of what arrives, beyond normal, by weight.
    excess: Vec<Table<NodeId, Lanes<W>>>,
    /// For each cohort, by node: its load; nothing where it is normal in every lane.
    node_load: Vec<Table<NodeId, Option<Lanes<W>>>>,
    /// By service: whether what arrives at one of its nodes changed.
    service_anew: IndexSet<ServiceId>,
    /// By service: whether the share lost to overload may change: its load did, or what it can serve,
    /// or that share itself in the last round.
    pub(crate) dirty: IndexSet<ServiceId>,
    /// By service: what it can serve, as a multiple of normal load; infinite where not known.
    pub(crate) capacity: Table<ServiceId, Lanes<W>>,
    /// By service: the share of its full capacity that it has, and the share of what comes that is
    /// not turned away on purpose.
    pub(crate) speed: Table<ServiceId, Lanes<W>>,
    pub(crate) arrives: Table<ServiceId, Lanes<W>>,
    /// By service, of those with a queue: the share of what comes that its own health does not fail.
    pub(crate) healthy: Table<ServiceId, Lanes<W>>,
    /// By service: what it can serve with the threads that are free, as `capacity`.
    pub(crate) usable: Table<ServiceId, Lanes<W>>,
    /// By service: the work that waits, in seconds at full capacity.
    pub(crate) backlog: Table<ServiceId, Lanes<W>>,
    /// By service: its threads that wait for ever.
    pub(crate) stuck: Table<ServiceId, Lanes<W>>,
    /// Whether time goes on: in a single moment no queue has filled.
    pub(crate) is_timed: bool,
    /// By service: load relative to normal at the last round.
    pub(crate) load: Table<ServiceId, Lanes<W>>,
    /// By service: the lanes in which it is down for reasons that are no overload.
    pub(crate) exempt: Table<ServiceId, u8>,
    /// By service: how what is lost comes nearer to what the loads ask for.
    pub(crate) approaches: Table<ServiceId, [Approach; W]>,
    /// The lanes in which overload has begun to swing.
    pub(crate) swings: u8,
    /// The lanes in which some service stays where its loads jump.
    at_jump: u8,
    /// By service: the lanes in which it still swings when the moment was given up.
    pub(crate) oscillates: Table<ServiceId, u8>,
    /// How the users were split over the cohorts at the last round.
    users: Vec<Lanes<W>>,
}

impl<const W: usize> Loads<W> {
    pub(crate) fn new(plan: &Plan, cohorts: usize) -> Self {
        let (nodes, services, slots) = if plan.has_load {
            (plan.nodes.len(), plan.services.len(), plan.members.len() + plan.calls.len())
        } else {
            (0, 0, 0)
        };
        Self {
            sent: vec![vec![all(0.0); slots]; cohorts],
            arrives_anew: vec![IndexSet::new(nodes, true); cohorts],
            excess: vec![Table::filled(all(0.0), nodes); cohorts],
            node_load: vec![Table::filled(None, nodes); cohorts],
            service_anew: IndexSet::new(services, true),
            dirty: IndexSet::new(services, true),
            capacity: Table::filled(all(f64::INFINITY), services),
            speed: Table::filled(all(1.0), services),
            arrives: Table::filled(all(1.0), services),
            healthy: Table::filled(all(1.0), services),
            usable: Table::filled(all(f64::INFINITY), services),
            backlog: Table::filled(all(0.0), services),
            stuck: Table::filled(all(0.0), services),
            is_timed: plan.schedule.is_some() || plan.lasting > 0.0,
            load: Table::filled(all(1.0), services),
            exempt: Table::filled(0, services),
            approaches: Table::filled([Approach::NEW; W], services),
            swings: 0,
            at_jump: 0,
            oscillates: Table::filled(0, services),
            users: Vec::new(),
        }
    }

    /// Resets all loads to normal.
    pub(crate) fn reset(&mut self) {
        self.sent.iter_mut().for_each(|sent| sent.fill(all(0.0)));
        self.arrives_anew.iter_mut().for_each(|anew| anew.fill(true));
        self.service_anew.fill(true);
        self.dirty.fill(true);
        self.oscillates.fill(0);
        self.users.clear();
        self.backlog.fill(all(0.0));
        self.stuck.fill(all(0.0));
    }

    /// Sets the capacity of a service from now on, and the lanes in which it is down for reasons
    /// that are no overload.
    pub(crate) fn serve(&mut self, service: ServiceId, capacity: &Lanes<W>, exempt: u8) {
        if !same(&self.capacity[service], capacity) || self.exempt[service] != exempt {
            (self.capacity[service], self.exempt[service]) = (*capacity, exempt);
            self.dirty.mark(service);
        }
    }

    /// The load of a node relative to its normal one.
    pub(crate) fn load_of(&self, cohort: usize, node: NodeId) -> Lanes<W> {
        self.node_load[cohort][node].unwrap_or(all(1.0))
    }

    /// The share of users that a cohort stands for.
    pub(crate) fn share_of_users(&self, cohort: usize) -> Lanes<W> {
        self.users.get(cohort).copied().unwrap_or(all(1.0))
    }

    /// The share of requests that a service would lose to overload by the present loads.
    fn asked(&self, service: &Service, id: ServiceId, lane: usize) -> f64 {
        if has(self.exempt[id], lane) || !self.is_full(service, id, lane) {
            return 0.0;
        }
        lost_share(self.load[id][lane], self.usable[id][lane])
    }

    /// Has every service looked at again.
    pub(crate) fn mark_all_dirty(&mut self) {
        self.dirty.fill(true);
    }
}

/// The sum of what arrives, beyond normal, by weight.
#[inline(always)]
fn excess<const W: usize>(sent: &[Lanes<W>], arrivals: &[Arrival]) -> Lanes<W> {
    let mut sum: Lanes<W> = all(0.0);
    for arrival in arrivals {
        let sent = &sent[arrival.slot as usize];
        for lane in 0..W {
            sum[lane] += arrival.weight * sent[lane];
        }
    }
    sum
}

#[inline(always)]
fn relative<const W: usize>(excess: &Lanes<W>, traffic: Traffic) -> Lanes<W> {
    if traffic.total <= 0.0 {
        return all(1.0);
    }
    // What only a fallback calls gets nothing in normal times; its total counts all that could
    // come.
    let base = if traffic.only_fallback { 0.0 } else { 1.0 };
    array(|lane| base + excess[lane] / traffic.total)
}

impl<const W: usize> StepState<'_, W> {
    /// Failure, then loads, then overload, round after round from this one on, until every lane has
    /// settled or `enough` says so; gives the round and the lanes that still move.
    pub(crate) fn rounds(
        &mut self,
        loads: &mut Loads<W>,
        shares_of_users: &[Lanes<W>],
        first: u32,
        enough: impl Fn(u32, u8) -> bool,
    ) -> (u32, u8) {
        let mut moving = self.active;
        let mut round = first;
        // A lane that goes on alone still knows that it swings.
        if first == 0 {
            loads.swings = 0;
        }
        while round < ROUNDS {
            self.refresh_load(loads, shares_of_users);
            let limited = self.limit_calls(loads, shares_of_users, moving);
            let before = moving;
            moving &= self.overload(loads, moving, round)
                | limited
                | self.spill_messages(loads, shares_of_users, moving);
            let at_jump = before & !moving & loads.at_jump;
            if at_jump != 0 {
                self.record_oscillations(loads, at_jump);
            }
            if moving == 0 {
                return (round, 0);
            }
            self.active = moving;
            self.sweep();
            round += 1;
            if enough(round, moving) {
                return (round, moving);
            }
        }
        self.record_oscillations(loads, moving);
        (ROUNDS, moving)
    }

    /// Brings loads up to the present state.
    pub(crate) fn refresh_load(&mut self, loads: &mut Loads<W>, shares_of_users: &[Lanes<W>]) {
        for_lanes::<W, _>(
            #[inline(always)]
            || self.spread_load(loads, shares_of_users),
        );
    }

    /// Lets load run from the flows to everything they call; callers come after dependencies in
    /// evaluation order, so this goes backwards.
    #[inline(always)]
    fn spread_load(&mut self, loads: &mut Loads<W>, shares_of_users: &[Lanes<W>]) {
        // Loads of services weigh the cohorts by their users, so all of these sums are out of date.
        if loads.users != shares_of_users {
            loads.users = shares_of_users.to_vec();
            loads.service_anew.fill(true);
        }
        for cohort in 0..self.cohorts.len() {
            let mut next = self.plan.nodes.next_id();
            while let Some(node) =
                loads.arrives_anew[cohort].last_before(&self.sends_anew[cohort], next)
            {
                next = node;
                let arrives = loads.arrives_anew[cohort].take(node);
                let sends = self.sends_anew[cohort].take(node);
                let is_anew = arrives && self.take_load(loads, node, cohort);
                if is_anew || sends {
                    self.pass_on_load(loads, node, cohort);
                }
            }
        }
        let mut next = ServiceId::new(0);
        while let Some(service) = loads.service_anew.take_first_from(next) {
            next = ServiceId(service.0 + 1);
            let load = self.service_load(loads, service);
            if !same(&std::mem::replace(&mut loads.load[service], load), &load) {
                loads.dirty.mark(service);
            }
        }
    }

    /// Computes the load of a node from what arrives; says whether it changed.
    #[inline(always)]
    fn take_load(&self, loads: &mut Loads<W>, node: NodeId, cohort: usize) -> bool {
        let traffic = self.plan.nodes[node].traffic;
        let excess = excess(&loads.sent[cohort], self.index_of_plan.arrivals_at(node));
        let load = relative(&excess, traffic);
        loads.excess[cohort][node] = excess;
        let kept = &mut loads.node_load[cohort][node];
        let changed = !same(&kept.unwrap_or(all(1.0)), &load);
        *kept = (!same(&load, &all(1.0))).then_some(load);
        changed
    }

    /// The load of a service: that of all its nodes, over both cohorts.
    #[inline(always)]
    fn service_load(&self, loads: &Loads<W>, service: ServiceId) -> Lanes<W> {
        let mut sum: Lanes<W> = all(0.0);
        for cohort in 0..loads.users.len() {
            let users = &loads.users[cohort];
            for node in self.plan.nodes_of(service) {
                let excess = &loads.excess[cohort][node];
                for lane in 0..W {
                    sum[lane] += users[lane] * excess[lane];
                }
            }
        }
        relative(&sum, self.plan.services[service].traffic)
    }

    /// Notes what one node sends to its dependencies beyond (or short of) its normal traffic.
    #[inline(always)]
    fn pass_on_load(&self, loads: &mut Loads<W>, node: NodeId, cohort: usize) {
        let plan = self.plan;
        let item = &plan.nodes[node];
        let own = if item.service.is_none() {
            self.user_retries(node, cohort)
        } else {
            loads.node_load[cohort][node]
        };
        let state = &self.cohorts[cohort];
        let answered = self.answered_by_own_health(node, cohort);
        let surge = state.surge.iter().find(|(surging, _)| *surging == node);
        let surge = surge.map(|(_, factor)| *factor);
        let mut base: Lanes<W> = all(1.0);
        for factor in [own, answered, surge].into_iter().flatten() {
            for lane in 0..W {
                base[lane] *= factor[lane];
            }
        }
        for index in item.calls {
            let call = &plan.calls[index];
            if call.intra_cycle {
                continue;
            }
            for slot in call.members {
                let member = &plan.members[slot];
                let normal = if member.extra { 0.0 } else { 1.0 };
                let factor = &state.traffic[slot];
                let mut more: Lanes<W> = all(0.0);
                for lane in 0..W {
                    more[lane] = base[lane] * factor[lane] - normal;
                }
                self.send(loads, slot.index(), member.node, &more, cohort);
            }
            if let Some(fallback) = self.fallback_node(index) {
                let works = self.works[call.dependency];
                let failed_over = &state.failed_over[index];
                let mut more: Lanes<W> = all(0.0);
                for lane in 0..W {
                    let share = if has(works, lane) { failed_over[lane] } else { 0.0 };
                    more[lane] = base[lane] * share;
                }
                let slot = plan.members.len() + index.index();
                self.send(loads, slot, fallback, &more, cohort);
            }
        }
    }

    #[inline(always)]
    fn send(&self, loads: &mut Loads<W>, slot: usize, to: NodeId, more: &Lanes<W>, cohort: usize) {
        let sent = &mut loads.sent[cohort][slot];
        if !same(sent, more) {
            *sent = *more;
            loads.arrives_anew[cohort].mark(to);
            loads.service_anew.mark(self.plan.service_of(to));
        }
    }

    /// Customers who try again.
    fn user_retries(&self, node: NodeId, cohort: usize) -> Option<Lanes<W>> {
        let flow = self.plan.flows.iter().find(|flow| flow.node == node)?;
        if flow.thinks() {
            let known = self.returning.iter().find(|(known, _)| *known == node);
            return known.map(|(_, orders)| *orders);
        }
        if flow.retry_attempts == 0 || self.cohorts[cohort].quiet[node] {
            return None;
        }
        let shares = &self.cohorts[cohort].shares[node];
        Some(array(|lane| {
            let again = flow.retry_share * shares.unanswered(lane);
            let mut sum = 0.0;
            // The sum of the powers of `again` up to the number of attempts, by Horner's rule.
            for _ in 0..flow.retry_attempts {
                sum = again * (1.0 + sum);
            }
            1.0 + sum
        }))
    }

    /// The share of requests for which a node makes its calls, whatever becomes of them, where it is not
    /// all of them.
    #[inline(always)]
    fn answered_by_own_health(&self, node: NodeId, cohort: usize) -> Option<Lanes<W>> {
        let of_cohort = &self.cohorts[cohort];
        let own = of_cohort.own_index[node].map(|index| of_cohort.own_sends[index]);
        let Some(service) = self.plan.nodes[node].service else { return own };
        let lost = &self.overload[service];
        if same(lost, &all(0.0)) {
            return own;
        }
        let own = own.unwrap_or(all(1.0));
        Some(array(|lane| own[lane] * (1.0 - lost[lane])))
    }

    /// Sets overload from the loads; gives the lanes in which it still changes.
    fn overload(&mut self, loads: &mut Loads<W>, moving: u8, round: u32) -> u8 {
        let mut moved = 0;
        let paces: [Pace; W] = std::array::from_fn(|lane| Pace::of(round, has(loads.swings, lane)));
        let (mut from_last, mut from_one_before): (Lanes<W>, Lanes<W>) = (all(0.0), all(0.0));
        let mut at_jump = 0;
        self.look_at_pools(loads);
        let mut next = ServiceId::new(0);
        while let Some(id) = loads.dirty.take_first_from(next) {
            next = ServiceId(id.0 + 1);
            let service = &self.plan.services[id];
            if service.utilization <= 0.0 {
                continue;
            }
            moved |= self.wait_in_queue(loads, id, moving);
            let old = self.overload[id];
            let mut new = old;
            let mut is_dirty = false;
            for lane in (0..W).filter(|lane| has(moving, *lane)) {
                let asked = loads.asked(service, id, lane);
                let approach = &mut loads.approaches[id][lane];
                let before = approach.before;
                match approach.step(old[lane], asked, paces[lane]) {
                    Step::Settled => {}
                    // It stays where it is, but is looked at again: a jump may move with other
                    // services.
                    Step::AtJump => {
                        at_jump |= 1 << lane;
                        is_dirty = true;
                    }
                    Step::To(share) => {
                        moved |= 1 << lane;
                        is_dirty = true;
                        new[lane] = share;
                    }
                }
                is_dirty |= before != old[lane];
                from_last[lane] = from_last[lane].max((new[lane] - old[lane]).abs());
                from_one_before[lane] = from_one_before[lane].max((new[lane] - before).abs());
            }
            if !same(&new, &old) {
                self.overload[id] = new;
                self.touch_service(id);
            }
            if is_dirty {
                loads.dirty.mark(id);
            }
        }
        loads.at_jump = at_jump;
        if round >= SWINGS_FROM {
            let swings = mask::<W>(|lane| {
                round + 1 >= DAMPED_FROM || SWING_RATIO * from_one_before[lane] <= from_last[lane]
            });
            begin_to_swing(loads, swings & moving);
        }
        moved
    }

    /// Notes which services still change in the lanes that did not settle.
    fn record_oscillations(&self, loads: &mut Loads<W>, moving: u8) {
        for (id, service) in self.plan.services.entries() {
            if service.utilization <= 0.0 {
                continue;
            }
            let oscillates = mask::<W>(|lane| {
                let asked = loads.asked(service, id, lane);
                let lost = self.overload[id][lane];
                has(moving, lane) && asked > 0.0 && (asked - lost).abs() > SETTLED
            });
            loads.oscillates[id] |= oscillates;
        }
    }
}

/// Has services go by secants where what is lost has begun to swing.
fn begin_to_swing<const W: usize>(loads: &mut Loads<W>, lanes: u8) {
    let new = lanes & !loads.swings;
    loads.swings |= lanes;
    for lane in (0..W).filter(|lane| has(new, *lane)) {
        loads.approaches.iter_mut().for_each(|approach| approach[lane].forget());
    }
}

/// The share of requests that a service refuses when `load` arrives and it can serve `capacity`.
fn lost_share(load: f64, capacity: f64) -> f64 {
    if load <= capacity {
        return 0.0;
    }
    if capacity <= 0.0 {
        return 1.0;
    }
    1.0 - capacity / load
}
