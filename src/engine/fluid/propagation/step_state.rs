//! One moment: failure travels to callers.

use crate::engine::fluid::propagation::call_pipeline::{NoObserver, SLACK, Waiting};
use crate::engine::fluid::propagation::delays::{Delay, List, Piece};
use crate::model::id::{IdRange, Table};

use crate::compile::plan::{
    ActiveSlot, BufferSlot, Call, CallId, ConsumerId, DependencyId, Fallback, GroupId, MemberId,
    NodeId, Plan, RefillId, ServiceId,
};
use crate::engine::cycles::{LAST_ROUNDS, free_rounds};
use crate::engine::fluid::state::index_set::IndexSet;
use crate::engine::fluid::state::lanes::{
    Lanes, Shares, SurvivalProducts, all, every, for_lanes, has, mask, same,
};
use crate::engine::fluid::state::plan_index::{OnlyWorsens, PlanIndex, Watched};
use crate::engine::simd::array;
use crate::model::id::declare_ids;

declare_ids! { local
    /// The number of a node whose own health is known: its place in [`Run::affected`](crate::engine::fluid::run::Run::affected).
    AffectedId;
}

/// Overload has settled when nothing changes by more than this.
pub(crate) const SETTLED: f64 = 1e-9;
/// A cycle is at rest when nothing in it changes by more than this: changes that shrink slowly must
/// not add up to 1e-9.
const REST: f64 = 1e-12;
/// Cycles in which things may get better as they get worse elsewhere are computed round by round,
/// as the semantics say, up to so many nodes: failure may take as many rounds to travel round.
const ROUND_BY_ROUND: usize = 4_096;

/// The users that meet the change, or those that do not: at random routing there is one cohort.
pub(crate) struct Cohort<const W: usize> {
    /// By node.
    pub(crate) shares: Table<NodeId, Shares<W>>,
    /// By node: ok in every lane.
    pub(crate) quiet: Table<NodeId, bool>,
    /// By node: since when it has been failing; infinite where it is not.
    pub(crate) since: Table<NodeId, Lanes<W>>,
    /// Of every `any_of` with a buffer: what it gives before the buffer, and since when it fails.
    pub(crate) entries: Table<BufferSlot, Shares<W>>,
    pub(crate) entries_since: Table<BufferSlot, Lanes<W>>,
    /// By node, for those with trouble of their own: its index in `own`.
    pub(crate) own_index: Table<NodeId, Option<AffectedId>>,
    /// Survival of each node by its own health, apart from overload.
    pub(crate) own: Table<AffectedId, SurvivalProducts<W>>,
    /// The share of requests for which calls are made all the same, apart from overload.
    pub(crate) own_sends: Table<AffectedId, Lanes<W>>,
    /// For each limit of what is watched: the lanes in which it has passed.
    expired: Vec<u8>,
    /// By member: how its traffic grows by retries, lost caches, moved traffic.
    pub(crate) traffic: Table<MemberId, Lanes<W>>,
    /// By call: the share of it that goes to the fallback.
    pub(crate) failed_over: Table<CallId, Lanes<W>>,
    /// By node: by how much a surge multiplies its calls, where it does.
    pub(crate) surge: Vec<(NodeId, Lanes<W>)>,
    /// By node and lane: how much later than usual it answers; empty where nothing can wait.
    pub(crate) delays: Table<NodeId, [Delay; W]>,
    /// By node: the share of its answers that come too late for its most impatient caller.
    pub(crate) too_late: Table<NodeId, Lanes<W>>,
    /// By node, for those hit by a target that answers later: the share of requests, and by how much.
    pub(crate) slowed: Vec<Slowed<W>>,
    /// By the first member of each call that is limited: how long a call takes.
    pub(crate) call_times: Vec<(MemberId, Lanes<W>)>,
    /// By call that goes to one member at a time, and lane: the number of that member.
    pub(crate) active_members: Table<ActiveSlot, [u32; W]>,
    /// By refill: the share of misses that is answered.
    pub(crate) misses_answered: Table<RefillId, Lanes<W>>,
    /// By node, for those that crashed and have not restarted: what is left at the most, whatever
    /// their calls do by then.
    pub(crate) floors: Vec<(NodeId, SurvivalProducts<W>)>,
}

/// A node that answers later because of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slowed<const W: usize> {
    pub(crate) node: NodeId,
    pub(crate) share: Lanes<W>,
    /// By how many seconds.
    pub(crate) adds: f64,
    /// How many times as long answers take.
    pub(crate) factor: f64,
}

/// Remainder of a jump of a wait: retries of calls that were too late before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Echo<const W: usize> {
    /// The wait before.
    pub(crate) wait: Lanes<W>,
    /// When it jumped.
    pub(crate) since: Lanes<W>,
}

impl<const W: usize> Echo<W> {
    pub(crate) const NONE: Self = Self { wait: all(0.0), since: all(f64::NEG_INFINITY) };
}

impl<const W: usize> Cohort<W> {
    fn new(plan: &Plan, index_of_plan: &PlanIndex) -> Self {
        let entries = plan.calls.iter().filter(|call| call.buffer_slot().is_some()).count();
        let (loaded_members, loaded_calls) =
            if plan.has_load { (plan.members.len(), plan.calls.len()) } else { (0, 0) };
        let delayed_nodes = if plan.has_delays { plan.nodes.len() } else { 0 };
        Self {
            shares: Table::filled(Shares::OK, plan.nodes.len()),
            quiet: Table::filled(true, plan.nodes.len()),
            since: Table::filled(all(f64::INFINITY), plan.nodes.len()),
            entries: Table::filled(Shares::OK, entries),
            entries_since: Table::filled(all(f64::INFINITY), entries),
            expired: vec![0; index_of_plan.limits.iter().map(|limits| limits.after.len()).sum()],
            own_index: Table::filled(None, plan.nodes.len()),
            own: Table::new(),
            own_sends: Table::new(),
            traffic: normal_traffic(index_of_plan, loaded_members),
            failed_over: Table::filled(all(0.0), loaded_calls),
            surge: Vec::new(),
            delays: Table::filled([Delay::NONE; W], delayed_nodes),
            too_late: Table::filled(all(0.0), delayed_nodes),
            slowed: Vec::new(),
            call_times: Vec::new(),
            active_members: Table::filled([0; W], index_of_plan.failing_over.len()),
            misses_answered: Table::filled(all(1.0), plan.refills.len()),
            floors: Vec::new(),
        }
    }

    /// Notes how long a limited call takes in these lanes.
    pub(crate) fn note_call_time(&mut self, place: MemberId, times: &Lanes<W>, lanes: u8) {
        match self.call_times.iter_mut().find(|(known, _)| *known == place) {
            Some((_, known)) => *known = choose_lanes(lanes, times, known),
            None => self.call_times.push((place, *times)),
        }
    }

    fn reset(&mut self, index_of_plan: &PlanIndex) {
        for (shares, quiet) in self.shares.iter_mut().zip(&mut self.quiet) {
            // Quiet nodes are ok as they are, and most nodes are quiet.
            if !std::mem::replace(quiet, true) {
                *shares = Shares::OK;
            }
        }
        self.delays.fill([Delay::NONE; W]);
        self.too_late.fill(all(0.0));
        self.slowed.clear();
        self.call_times.clear();
        self.misses_answered.fill(all(1.0));
        for limits in &index_of_plan.limits {
            *self.failing_since_mut(limits.watched) = all(f64::INFINITY);
        }
        self.entries.fill(Shares::OK);
        self.expired.fill(0);
        self.own_index.fill(None);
        self.own.clear();
        self.own_sends.clear();
        self.traffic.fill(all(1.0));
        if !self.traffic.is_empty() {
            for slot in &index_of_plan.standby {
                self.traffic[*slot] = all(0.0);
            }
        }
        self.active_members.fill([0; W]);
        self.failed_over.fill(all(0.0));
        self.surge.clear();
        self.floors.clear();
    }

    /// Since when something watched has been failing; infinite where it is not.
    pub(crate) fn failing_since(&self, watched: Watched) -> &Lanes<W> {
        match watched {
            Watched::Node(node) => &self.since[node],
            Watched::Entry(entry) => &self.entries_since[entry],
        }
    }

    /// The same, to be set.
    pub(crate) fn failing_since_mut(&mut self, watched: Watched) -> &mut Lanes<W> {
        match watched {
            Watched::Node(node) => &mut self.since[node],
            Watched::Entry(entry) => &mut self.entries_since[entry],
        }
    }

    /// Returns the survival of a node by its own health, apart from overload.
    pub(crate) fn own_of(&self, node: NodeId) -> Option<&SurvivalProducts<W>> {
        self.own.get(self.own_index[node]?)
    }
}

/// The state of eight trials at a time of their own each.
pub(crate) struct StepState<'a, const W: usize> {
    pub(crate) plan: &'a Plan,
    pub(crate) index_of_plan: &'a PlanIndex,
    /// By dependency: the lanes in which failure reaches the caller.
    pub(crate) reaches: Table<DependencyId, u8>,
    /// By dependency: the lanes in which the fallback works.
    pub(crate) works: Table<DependencyId, u8>,
    /// The lanes in which something may answer wrongly.
    pub(crate) corrupt_lanes: u8,
    /// The lanes that are computed: the others are at rest, or their trials are over.
    pub(crate) active: u8,
    pub(crate) time: Lanes<W>,
    /// One at random routing, two (exposed, not exposed) at sticky routing.
    pub(crate) cohorts: Vec<Cohort<W>>,
    /// By service: the share of requests lost to overload.
    pub(crate) overload: Table<ServiceId, Lanes<W>>,
    /// By service: seconds that a request waits in its queue, and by how much that grows in a second.
    pub(crate) waits: Table<ServiceId, Lanes<W>>,
    pub(crate) wait_rates: Table<ServiceId, Lanes<W>>,
    /// By service: what the last jump of that wait left behind.
    pub(crate) echoes: Table<ServiceId, Echo<W>>,
    /// By bulkhead: the share of calls that it lets through.
    pub(crate) admitted: Vec<Lanes<W>>,
    /// By consumer: the messages that wait for it, in seconds of normal traffic.
    pub(crate) messages: Table<ConsumerId, Lanes<W>>,
    /// By consumer: the share of messages that is lost, or blocked, where the buffer is full.
    pub(crate) spilled: Table<ConsumerId, Lanes<W>>,
    /// By refill: for how many seconds the cache has been refilled; infinite where it is full.
    pub(crate) refilled: Table<RefillId, Lanes<W>>,
    /// By flow, for those whose customers think before they try again: how many orders are placed, those
    /// of customers who come back included; 1 is normal.
    pub(crate) returning: Vec<(NodeId, Lanes<W>)>,
    /// Room for how a call makes its caller wait.
    pub(crate) waiting: Box<Waiting<W>>,
    /// By node: whether something that its state follows from changed: its own trouble, a guard
    /// that waits, or what it refers to. For each cohort.
    dirty: Vec<IndexSet<NodeId>>,
    /// By node: whether it was computed anew since this was last cleared.
    pub(crate) computed: Table<NodeId, bool>,
    /// By node: whether what it sends to its dependencies may have changed. For each cohort.
    pub(crate) sends_anew: Vec<IndexSet<NodeId>>,
    /// By dependency and node, for those that calls are led around: the share of them.
    pub(crate) bypassed: Vec<((DependencyId, NodeId), Lanes<W>)>,
    /// By dependency, for those of services that are switched off: the share that is not called.
    pub(crate) switched_off: Vec<(DependencyId, Lanes<W>)>,
    /// Room for the delay of the node that is computed: one after the other, beside each other, for how
    /// long requests are in progress, and what it comes to.
    adding: [List; W],
    beside: [List; W],
    held: Lanes<W>,
    next_delay: [Delay; W],
    /// Room for the members of an `any_of`.
    pub(crate) members: Vec<Shares<W>>,
    /// By service: the lanes in which it is in a cycle that did not come to rest.
    pub(crate) unsettled: Table<ServiceId, u8>,
    /// By node: whether it is computed in the next round of a cycle.
    awaited: Table<NodeId, bool>,
}

impl<'a, const W: usize> StepState<'a, W> {
    pub(crate) fn new(plan: &'a Plan, index_of_plan: &'a PlanIndex, cohorts: usize) -> Self {
        Self {
            plan,
            index_of_plan,
            reaches: Table::filled(u8::MAX, plan.dependencies.len()),
            works: Table::filled(u8::MAX, plan.dependencies.len()),
            corrupt_lanes: every::<W>(),
            active: every::<W>(),
            time: all(0.0),
            cohorts: (0..cohorts).map(|_| Cohort::new(plan, index_of_plan)).collect(),
            overload: Table::filled(all(0.0), plan.services.len()),
            waits: Table::filled(all(0.0), waiting_services(plan)),
            wait_rates: Table::filled(all(0.0), waiting_services(plan)),
            echoes: Table::filled(Echo::NONE, waiting_services(plan)),
            admitted: vec![all(1.0); plan.bulkheads.len()],
            messages: Table::filled(all(0.0), plan.consumers.len()),
            spilled: Table::filled(all(0.0), plan.consumers.len()),
            refilled: Table::filled(all(f64::INFINITY), plan.refills.len()),
            returning: returning(plan),
            waiting: Box::new(Waiting::new()),
            dirty: vec![IndexSet::new(plan.nodes.len(), true); cohorts],
            computed: Table::filled(false, plan.nodes.len()),
            sends_anew: vec![IndexSet::new(plan.nodes.len(), true); cohorts],
            bypassed: Vec::new(),
            switched_off: Vec::new(),
            adding: std::array::from_fn(|_| List::NONE),
            beside: std::array::from_fn(|_| List::NONE),
            held: all(0.0),
            next_delay: [Delay::NONE; W],
            members: Vec::new(),
            unsettled: Table::filled(0, plan.services.len()),
            awaited: Table::filled(false, plan.nodes.len()),
        }
    }

    /// Forgets everything but the draws: all is ok, as it would be computed where nothing has trouble
    /// of its own.
    pub(crate) fn reset(&mut self) {
        self.time = all(0.0);
        self.cohorts.iter_mut().for_each(|cohort| cohort.reset(self.index_of_plan));
        self.bypassed.clear();
        self.switched_off.clear();
        self.overload.fill(all(0.0));
        self.waits.fill(all(0.0));
        self.wait_rates.fill(all(0.0));
        self.echoes.fill(Echo::NONE);
        self.admitted.fill(all(1.0));
        self.messages.fill(all(0.0));
        self.spilled.fill(all(0.0));
        self.refilled.fill(all(f64::INFINITY));
        self.returning.iter_mut().for_each(|(_, orders)| *orders = all(1.0));
        self.unsettled.fill(0);
        self.dirty.iter_mut().for_each(|dirty| dirty.fill(false));
        self.sends_anew.iter_mut().for_each(|sends| sends.fill(true));
    }

    /// Has every node computed anew.
    pub(crate) fn touch_all(&mut self) {
        self.dirty.iter_mut().for_each(|dirty| dirty.fill(true));
    }

    /// Notes that the own health of a node, or a guard of its that waits, may have changed.
    pub(crate) fn touch(&mut self, node: NodeId) {
        for cohort in 0..self.cohorts.len() {
            self.dirty[cohort].mark(node);
            self.sends_anew[cohort].mark(node);
        }
    }

    /// The same for all nodes of a service.
    pub(crate) fn touch_service(&mut self, service: ServiceId) {
        let plan = self.plan;
        for node in plan.nodes_of(service) {
            self.touch(node);
        }
    }

    /// The same for all that call a service.
    pub(crate) fn touch_service_callers(&mut self, service: ServiceId) {
        let (plan, index_of_plan) = (self.plan, self.index_of_plan);
        for node in plan.nodes_of(service) {
            for caller in index_of_plan.callers_of(node) {
                self.touch(*caller);
            }
        }
    }

    /// When the retries that a jump of a wait left behind end next in a lane.
    pub(crate) fn next_echo(&self, lane: usize) -> f64 {
        let mut next = f64::INFINITY;
        for (service, echo) in self.echoes.entries() {
            if echo.wait[lane] <= 0.0 {
                continue;
            }
            for node in self.plan.nodes_of(service) {
                for timeout in self.index_of_plan.timeouts_at(node) {
                    let end = echo.since[lane] + timeout;
                    if *timeout <= echo.wait[lane] && end > self.time[lane] {
                        next = next.min(end);
                    }
                }
            }
        }
        next
    }

    /// Has the callers computed anew whose retries end at the present time.
    pub(crate) fn touch_echoes(&mut self) {
        for service in self.echoes.ids() {
            if self.echoes[service].wait.iter().all(|wait| *wait <= 0.0) {
                continue;
            }
            self.touch_service_callers(service);
            let timeouts = self.plan.nodes_of(service);
            let timeouts = timeouts.flat_map(|node| self.index_of_plan.timeouts_at(node));
            let longest = timeouts.copied().fold(0.0, f64::max);
            for lane in 0..W {
                if self.time[lane] >= self.echoes[service].since[lane] + longest {
                    self.echoes[service].wait[lane] = 0.0;
                }
            }
        }
    }

    /// Notes where a guard that waits has come to an end, or begins again.
    pub(crate) fn touch_expired(&mut self) {
        let time = self.time;
        // In a single moment what is left of a cache is that of the very time.
        let is_timed = self.plan.schedule.is_some();
        for (cohort, item) in self.cohorts.iter_mut().enumerate() {
            let mut next = 0;
            for limits in &self.index_of_plan.limits {
                let since = *item.failing_since(limits.watched);
                let steps = next..next + limits.after.len();
                // Where nothing fails and nothing has expired, no limit can be passed.
                if same(&since, &all(f64::INFINITY))
                    && item.expired[steps.clone()].iter().all(|expired| *expired == 0)
                {
                    next = steps.end;
                    continue;
                }
                for after in &limits.after {
                    let expired = mask::<W>(|lane| time[lane] >= since[lane] + after);
                    let before = std::mem::replace(&mut item.expired[next], expired);
                    if before != expired || !is_timed {
                        for node in &limits.by {
                            self.dirty[cohort].mark(*node);
                            self.sends_anew[cohort].mark(*node);
                        }
                    }
                    next += 1;
                }
            }
        }
    }

    /// Computes failure anew wherever something may have changed.
    pub(crate) fn sweep(&mut self) {
        let plan = self.plan;
        for cohort in 0..self.cohorts.len() {
            let mut next = NodeId::new(0);
            // Whatever refers to a node comes later, or is in the same cycle.
            while let Some(node) = self.dirty[cohort].take_first_from(next) {
                let index = plan.nodes[node].group;
                let group = &plan.groups[index];
                next = group.nodes.end;
                if group.cyclic {
                    self.cycle(group.nodes, cohort, self.in_any_order(index));
                    continue;
                }
                let shares = self.next_shares(node, cohort, None);
                let comes_anew = self.take_delay(node, cohort);
                if comes_anew || self.cohorts[cohort].shares[node] != shares {
                    self.cohorts[cohort].shares[node] = shares;
                    self.note_if_quiet(node, cohort);
                    self.touch_callers(node, cohort);
                }
            }
        }
    }

    /// The lanes in which a cycle may be computed in any order.
    fn in_any_order(&self, group: GroupId) -> u8 {
        match self.index_of_plan.only_worsens[group] {
            _ if self.plan.groups[group].nodes.len() > ROUND_BY_ROUND => every::<W>(),
            OnlyWorsens::Always => every::<W>(),
            OnlyWorsens::UnlessCorrupting => every::<W>() & !self.corrupt_lanes,
            OnlyWorsens::Never => 0,
        }
    }

    /// Takes over how much later a node answers, as it was just computed; says whether that changed.
    fn take_delay(&mut self, node: NodeId, cohort: usize) -> bool {
        if !self.plan.has_delays {
            return false;
        }
        let known = &mut self.cohorts[cohort].delays[node];
        let changed = *known != self.next_delay;
        for (known, next) in known.iter_mut().zip(&self.next_delay) {
            known.take_over(next);
        }
        changed
    }

    /// Notes whether nothing at all is unusual about a node.
    fn note_if_quiet(&mut self, node: NodeId, cohort: usize) {
        let cohort = &mut self.cohorts[cohort];
        let is_on_time =
            cohort.delays.get(node).is_none_or(|delays| delays.iter().all(Delay::is_none));
        cohort.quiet[node] = is_on_time && cohort.shares[node].is_ok();
    }

    /// Whatever refers to a node that changed must be computed anew.
    fn touch_callers(&mut self, node: NodeId, cohort: usize) {
        for caller in self.index_of_plan.callers_of(node) {
            self.dirty[cohort].mark(*caller);
        }
    }

    /// The state of a node, given those of what it calls; in a cycle, as far as its pace lets it.
    fn next_shares(&mut self, node: NodeId, cohort: usize, pace: Option<&Pace>) -> Shares<W> {
        for_lanes::<W, _>(
            #[inline(always)]
            || {
                let left = self.node(node, cohort, pace.is_some());
                let old = &self.cohorts[cohort].shares[node];
                match pace {
                    None if self.active == every::<W>() => left.shares(),
                    None => choose(self.active, &left.shares(), old),
                    Some(pace) => pace.next_shares(left, old),
                }
            },
        )
    }

    /// Returns the survival at a node, given the states of what it calls.
    #[inline(always)]
    fn node(&mut self, node: NodeId, cohort: usize, in_cycle: bool) -> SurvivalProducts<W> {
        let plan = self.plan;
        self.computed[node] = true;
        self.sends_anew[cohort].mark(node);
        let mut left = self.own_health(node, cohort);
        let mut inside = SurvivalProducts::ALL;
        if plan.has_delays {
            self.begin_delay(node, cohort);
        }
        for index in plan.nodes[node].calls {
            let call = &plan.calls[index];
            if self.is_quiet(call, cohort) {
                self.note_quiet(index, cohort);
                continue;
            }
            let called = self.call(call, node, cohort, &mut NoObserver);
            if plan.has_load {
                let known = &mut self.cohorts[cohort].failed_over[index];
                *known = choose_lanes(self.active, &called.failed_over, known);
            }
            if called.is_delayed && !call.intra_cycle {
                self.add_delay(call, node, &called.shares);
            }
            let call_left = SurvivalProducts::of(&called.shares);
            if in_cycle && call.intra_cycle {
                inside.min_with(&call_left);
            } else {
                left.times(&call_left);
            }
        }
        if in_cycle {
            left.min_with(&inside);
        }
        let floors = &self.cohorts[cohort].floors;
        if let Some((_, floor)) = floors.iter().find(|(held, _)| *held == node) {
            left.min_with(floor);
        }
        if plan.has_delays {
            self.end_delay(node, cohort, &mut left);
        }
        left
    }

    /// Starts to add up how much later a node answers: by its own, before it calls anything.
    #[inline(never)]
    fn begin_delay(&mut self, node: NodeId, cohort: usize) {
        self.beside.iter_mut().chain(&mut self.adding).for_each(List::clear);
        self.held = all(0.0);
        let Some(service) = self.plan.nodes[node].service else { return };
        let crowding = self.plan.services[service].crowding;
        let active = self.active;
        let bounds = &self.index_of_plan.bounds[node];
        for lane in (0..W).filter(|lane| has(active, *lane)) {
            let list = &mut self.adding[lane];
            if let (Some(wait), Some(rate)) =
                (self.waits.get(service), self.wait_rates.get(service))
            {
                let (length, rate) = (wait[lane], rate[lane]);
                list.add(bounds, Piece { share: 1.0, length, factor: 1.0, rate });
            }
            if crowding > 1.0 && self.overload[service][lane] > 0.0 {
                let mut crowded = List::NONE;
                let factor = crowding;
                crowded.add(bounds, Piece { share: 1.0, length: 0.0, factor, rate: 0.0 });
                list.join(bounds, &crowded, false);
            }
            for slowed in &self.cohorts[cohort].slowed {
                if slowed.node == node && slowed.share[lane] > 0.0 {
                    let (share, length, factor) = (slowed.share[lane], slowed.adds, slowed.factor);
                    let piece = Piece { share, length, factor, rate: 0.0 };
                    let mut later = List::NONE;
                    later.add(bounds, piece);
                    // What it takes longer by itself keeps its threads busy; waiting in a queue does not.
                    self.held[lane] += share * piece.mean(self.plan.services[service].latency);
                    list.join(bounds, &later, false);
                }
            }
        }
    }

    /// Adds what a call makes its caller wait. Pieces are shares of the requests that go on.
    #[inline(never)]
    fn add_delay(&mut self, call: &Call, node: NodeId, shares: &Shares<W>) {
        let active = self.active;
        let bounds = &self.index_of_plan.bounds[node];
        for lane in (0..W).filter(|lane| has(active, *lane)) {
            self.held[lane] += self.waiting.held[lane];
            let list = &mut self.waiting.call[lane].answered;
            let answered = 1.0 - shares.unanswered(lane);
            if list.is_empty() || answered <= 0.0 {
                continue;
            }
            list.scale(1.0 / answered);
            let all_of_it = list.share();
            if all_of_it > 1.0 {
                list.scale(1.0 / all_of_it);
            }
            if call.is_parallel() {
                self.beside[lane].join(bounds, list, true);
            } else {
                self.adding[lane].join(bounds, list, false);
            }
        }
    }

    /// Returns the delay of a node. Customers give up on orders that take longer than their
    /// patience.
    #[inline(never)]
    fn end_delay(&mut self, node: NodeId, cohort: usize, left: &mut SurvivalProducts<W>) {
        let active = self.active;
        let bounds = &self.index_of_plan.bounds[node];
        for lane in 0..W {
            if has(active, lane) {
                self.adding[lane].join(bounds, &self.beside[lane], false);
                self.next_delay[lane].set(&self.adding[lane], self.held[lane], bounds);
            } else {
                self.next_delay[lane].take_over(&self.cohorts[cohort].delays[node][lane]);
            }
        }
        let Some(service) = self.plan.nodes[node].service else {
            let flow = self.plan.flows.iter().find(|flow| flow.node == node);
            if let Some(flow) = flow {
                let lost: Lanes<W> =
                    array(|lane| self.next_delay[lane].is_beyond(flow.latency, flow.patience));
                left.apply_slow(&lost);
            }
            return;
        };
        let shortest = self.index_of_plan.timeouts_at(node).first().copied();
        let usual = self.plan.services[service].latency;
        self.cohorts[cohort].too_late[node] =
            array(|lane| self.next_delay[lane].is_beyond(usual, shortest.unwrap_or(f64::INFINITY)));
    }

    /// A call at which nothing happens carries its normal traffic.
    #[inline(always)]
    fn note_quiet(&mut self, index: CallId, cohort: usize) {
        let call = &self.plan.calls[index];
        // A quiet call is not evaluated, so what its buffer remembers is cleared here.
        if let Some(slot) = call.buffer_slot() {
            self.cohorts[cohort].entries[slot] = Shares::OK;
        }
        if self.plan.has_load {
            let usual = self
                .plan
                .bulkheads
                .iter()
                .any(|item| item.dependency == call.dependency)
                .then(|| self.usual_time(call));
            let cohort = &mut self.cohorts[cohort];
            if let Some(usual) = usual {
                cohort.note_call_time(call.members.start, &all(usual), every::<W>());
            }
            cohort.failed_over[index] = all(0.0);
            let active = call.active_slot().map(|slot| cohort.active_members[slot]);
            for (number, member) in (0_u32..).zip(call.members) {
                cohort.traffic[member] = match active {
                    None => all(1.0),
                    Some(active) => active.map(|active| f64::from(u8::from(active == number))),
                };
            }
        }
        for slot in refills(call) {
            self.cohorts[cohort].misses_answered[slot] = all(1.0);
        }
    }

    #[inline(always)]
    fn own_health(&self, node: NodeId, cohort: usize) -> SurvivalProducts<W> {
        let mut left = self.cohorts[cohort].own_of(node).copied().unwrap_or(SurvivalProducts::ALL);
        if let Some(service) = self.plan.nodes[node].service.filter(|_| self.plan.has_load) {
            let lost = &self.overload[service];
            if !same(lost, &all(0.0)) {
                // Threads that share processors leave the rest waiting; queues refuse it.
                if self.plan.services[service].crowding > 1.0 {
                    left.apply_slow(lost);
                } else {
                    left.apply_down(lost);
                }
            }
        }
        left
    }

    /// The least fixed point of a cycle, from all-ok. Each lane stops when it has settled, so that
    /// a trial's figures do not depend on its neighbours. In some lanes any order leads there.
    fn cycle(&mut self, nodes: IdRange<NodeId>, cohort: usize, in_any_order: u8) {
        // A cycle always starts again from all-ok, so only the end shows what has changed.
        let before: Vec<Shares<W>> =
            nodes.iter().map(|node| self.cohorts[cohort].shares[node]).collect();
        let active = self.active;
        for node in nodes {
            let shares = &mut self.cohorts[cohort].shares[node];
            *shares = choose(active, &Shares::OK, shares);
            self.note_if_quiet(node, cohort);
        }
        let on_time_before =
            self.plan.has_delays.then(|| self.cohorts[cohort].delays[nodes].to_vec());
        let mut moving = 0;
        if in_any_order & active != 0 {
            moving |= self.sweep_cycle(nodes, cohort, in_any_order & active);
        }
        if active & !in_any_order != 0 {
            let lanes = active & !in_any_order;
            moving |= self.rounds_of_cycle(nodes, cohort, lanes);
        }
        for (place, (node, before)) in nodes.iter().zip(before).enumerate() {
            let comes_anew = on_time_before
                .as_ref()
                .is_some_and(|before| before[place] != self.cohorts[cohort].delays[node]);
            if comes_anew || self.cohorts[cohort].shares[node] != before {
                self.touch_callers(node, cohort);
            }
            self.dirty[cohort].clear(node);
            if let Some(service) = self.plan.nodes[node].service.filter(|_| moving != 0) {
                self.unsettled[service] |= moving;
            }
        }
    }

    /// Round by round: each from the states of the round before, and only where one of those
    /// changed. Gives the lanes that do not come to rest.
    fn rounds_of_cycle(&mut self, nodes: IdRange<NodeId>, cohort: usize, lanes: u8) -> u8 {
        let mut pace = Pace::new(lanes, nodes.len());
        let mut turn: Vec<NodeId> = nodes.iter().collect();
        let mut new: Vec<Shares<W>> = Vec::with_capacity(turn.len());
        let mut came_anew: Vec<bool> = Vec::with_capacity(turn.len());
        loop {
            new.clear();
            let mut moved = 0;
            came_anew.clear();
            for node in &turn {
                new.push(self.next_shares(*node, cohort, Some(&pace)));
                came_anew.push(self.take_delay(*node, cohort));
            }
            let mut next = Vec::new();
            for ((node, new), comes_anew) in turn.iter().zip(&new).zip(&came_anew) {
                let old = std::mem::replace(&mut self.cohorts[cohort].shares[*node], *new);
                if *comes_anew || old != *new {
                    moved |= mask::<W>(|lane| *comes_anew || difference(new, &old, lane) > REST);
                    self.note_if_quiet(*node, cohort);
                    for caller in self.index_of_plan.callers_of(*node) {
                        let awaited = &mut self.awaited[*caller];
                        if nodes.contains(*caller) && !std::mem::replace(awaited, true) {
                            next.push(*caller);
                        }
                    }
                }
            }
            for node in &next {
                self.awaited[*node] = false;
            }
            if pace.is_over(moved) {
                return pace.unsettled;
            }
            next.sort_unstable();
            turn = next;
        }
    }

    /// Sweep after sweep in the order of evaluation, each only through nodes of which something that
    /// they refer to changed. Gives the lanes that do not come to rest.
    ///
    /// A sweep carries a failure as far as the order allows. Where things only get worse it ends
    /// where the rounds end, at the least fixed point.
    fn sweep_cycle(&mut self, nodes: IdRange<NodeId>, cohort: usize, lanes: u8) -> u8 {
        let mut pace = Pace::new(lanes, nodes.len());
        for node in nodes {
            self.awaited[node] = true;
        }
        loop {
            let mut moved = 0;
            for node in nodes {
                if !std::mem::take(&mut self.awaited[node]) {
                    continue;
                }
                let new = self.next_shares(node, cohort, Some(&pace));
                let comes_anew = self.take_delay(node, cohort);
                let old = self.cohorts[cohort].shares[node];
                if comes_anew || new != old {
                    self.cohorts[cohort].shares[node] = new;
                    self.note_if_quiet(node, cohort);
                    moved |= mask::<W>(|lane| comes_anew || difference(&new, &old, lane) > REST);
                    for caller in self.index_of_plan.callers_of(node) {
                        self.awaited[*caller] |= nodes.contains(*caller);
                    }
                }
            }
            if pace.is_over(moved) {
                for node in nodes {
                    self.awaited[node] = false;
                }
                return pace.unsettled;
            }
        }
    }

    /// Notes since when nodes, and the `any_of`s with a buffer, have been failing.
    pub(crate) fn note_since(&mut self) {
        let (time, failed) = (self.time, self.plan.failed - SLACK);
        for cohort in &mut self.cohorts {
            let note = |since: &mut Lanes<W>, shares: &Shares<W>, too_late: &Lanes<W>| {
                for lane in 0..W {
                    since[lane] = if shares.failing_with(too_late[lane], lane) >= failed {
                        since[lane].min(time[lane])
                    } else {
                        f64::INFINITY
                    };
                }
            };
            for (node, item) in self.plan.nodes.entries() {
                if item.tracks_failing_since {
                    let too_late = cohort.too_late.get(node).copied().unwrap_or(all(0.0));
                    note(&mut cohort.since[node], &cohort.shares[node], &too_late);
                }
            }
            for (since, shares) in cohort.entries_since.iter_mut().zip(&cohort.entries) {
                note(since, shares, &all(0.0));
            }
        }
    }

    /// Whether the fallback of a call is one that can get load.
    pub(crate) fn fallback_node(&self, call: CallId) -> Option<NodeId> {
        match self.plan.calls[call].fallback() {
            Fallback::Node(node) => Some(node),
            Fallback::None | Fallback::Static => None,
        }
    }
}

/// For how many services it is kept how long requests wait: all or none.
fn waiting_services(plan: &Plan) -> usize {
    if plan.has_delays && plan.has_load { plan.services.len() } else { 0 }
}

/// Returns the traffic of all members in normal times: those that stand by have none.
fn normal_traffic<const W: usize>(
    index_of_plan: &PlanIndex,
    members: usize,
) -> Table<MemberId, Lanes<W>> {
    let mut traffic = Table::filled(all(1.0), members);
    if members > 0 {
        for slot in &index_of_plan.standby {
            traffic[*slot] = all(0.0);
        }
    }
    traffic
}

/// The refills of the caches of a call.
pub(crate) fn refills(call: &Call) -> IdRange<RefillId> {
    call.cache().map_or(IdRange::EMPTY, |cache| cache.refills)
}

/// The flows whose customers think before they try again, of whom nobody has come back yet.
fn returning<const W: usize>(plan: &Plan) -> Vec<(NodeId, Lanes<W>)> {
    let thinking = plan.flows.iter().filter(|flow| flow.thinks());
    thinking.map(|flow| (flow.node, all(1.0))).collect()
}

/// How far the rounds of a cycle have come.
struct Pace {
    /// The lanes in which the last round changed something.
    moving: u8,
    /// The lanes that did not come to rest by themselves.
    unsettled: u8,
    /// How many rounds may still go to and fro.
    free: u32,
    /// The rounds left, once nothing gets better again.
    last: Option<u32>,
}

impl Pace {
    fn new(moving: u8, nodes: usize) -> Self {
        Self { moving, unsettled: 0, free: free_rounds(nodes), last: None }
    }

    /// The state of a node after a round: unchanged where its lane is at rest, and in the last
    /// rounds no better than before.
    #[inline(always)]
    fn next_shares<const W: usize>(
        &self,
        mut left: SurvivalProducts<W>,
        old: &Shares<W>,
    ) -> Shares<W> {
        if self.last.is_some() {
            left.min_with(&SurvivalProducts::of(old));
        }
        choose(self.moving, &left.shares(), old)
    }

    /// Whether that was the last round.
    fn is_over(&mut self, moved: u8) -> bool {
        self.moving &= moved;
        if let Some(last) = &mut self.last {
            *last -= 1;
            return self.moving == 0 || *last == 0;
        }
        self.free -= 1;
        if self.free == 0 {
            self.unsettled = self.moving;
            self.last = Some(LAST_ROUNDS);
        }
        self.moving == 0
    }
}

#[inline(always)]
fn difference<const W: usize>(new: &Shares<W>, old: &Shares<W>, lane: usize) -> f64 {
    let one = |new: &Lanes<W>, old: &Lanes<W>| (new[lane] - old[lane]).abs();
    one(&new.slow, &old.slow)
        .max(one(&new.down, &old.down))
        .max(one(&new.corrupt, &old.corrupt))
        .max(one(&new.degraded, &old.degraded))
}

/// The new figures in these lanes, the old ones in the others.
#[inline(always)]
pub(crate) fn choose_lanes<const W: usize>(lanes: u8, new: &Lanes<W>, old: &Lanes<W>) -> Lanes<W> {
    array(|lane| if has(lanes, lane) { new[lane] } else { old[lane] })
}

/// The new shares in these lanes, the old ones in the others.
#[inline(always)]
pub(crate) fn choose<const W: usize>(lanes: u8, new: &Shares<W>, old: &Shares<W>) -> Shares<W> {
    Shares {
        slow: choose_lanes(lanes, &new.slow, &old.slow),
        down: choose_lanes(lanes, &new.down, &old.down),
        corrupt: choose_lanes(lanes, &new.corrupt, &old.corrupt),
        degraded: choose_lanes(lanes, &new.degraded, &old.degraded),
    }
}
