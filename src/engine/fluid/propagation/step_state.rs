//! One moment: failure travels to callers.

use crate::engine::fluid::propagation::call_pipeline::{NoObserver, SLACK};
use std::ops::Range;

use crate::compile::plan::{Fallback, NONE, Plan};
use crate::engine::cycles::{LAST_ROUNDS, free_rounds};
use crate::engine::fluid::state::index_set::IndexSet;
use crate::engine::fluid::state::lanes::{
    Lanes, Shares, SurvivalProducts, all, every, for_lanes, has, mask, same,
};
use crate::engine::fluid::state::plan_index::{OnlyWorsens, PlanIndex, Watched};
use crate::engine::simd::array;
use crate::model::topology::Overload;

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
    pub(crate) shares: Vec<Shares<W>>,
    /// By node: ok in every lane.
    pub(crate) quiet: Vec<bool>,
    /// By node: since when it has been failing; infinite where it is not.
    pub(crate) since: Vec<Lanes<W>>,
    /// Of every `any_of` with a buffer: what it gives before the buffer, and since when it fails.
    pub(crate) entries: Vec<Shares<W>>,
    pub(crate) entries_since: Vec<Lanes<W>>,
    /// By node, for those with trouble of their own: its index in `own`.
    pub(crate) own_index: Vec<u32>,
    /// What own health leaves, apart from overload.
    pub(crate) own: Vec<SurvivalProducts<W>>,
    /// The share of requests for which calls are made all the same, apart from overload.
    pub(crate) own_sends: Vec<Lanes<W>>,
    /// For each limit of what is watched: the lanes in which it has passed.
    expired: Vec<u8>,
    /// By member: how its traffic grows by retries, lost caches, moved traffic.
    pub(crate) traffic: Vec<Lanes<W>>,
    /// By call: the share of it that goes to the fallback.
    pub(crate) failed_over: Vec<Lanes<W>>,
    /// By node: by how much a surge multiplies its calls, where it does.
    pub(crate) surge: Vec<(u32, Lanes<W>)>,
    /// By node, for those that crashed and have not restarted: what is left at the most, whatever
    /// their calls do by then.
    pub(crate) floors: Vec<(u32, SurvivalProducts<W>)>,
}

impl<const W: usize> Cohort<W> {
    fn new(plan: &Plan, index_of_plan: &PlanIndex) -> Self {
        let entries = plan.calls.iter().filter(|call| call.buffer_slot() != NONE).count();
        let (loaded_members, loaded_calls) =
            if plan.has_load { (plan.members.len(), plan.calls.len()) } else { (0, 0) };
        Self {
            shares: vec![Shares::OK; plan.nodes.len()],
            quiet: vec![true; plan.nodes.len()],
            since: vec![all(f64::INFINITY); plan.nodes.len()],
            entries: vec![Shares::OK; entries],
            entries_since: vec![all(f64::INFINITY); entries],
            expired: vec![0; index_of_plan.limits.iter().map(|limits| limits.after.len()).sum()],
            own_index: vec![NONE; plan.nodes.len()],
            own: Vec::new(),
            own_sends: Vec::new(),
            traffic: vec![all(1.0); loaded_members],
            failed_over: vec![all(0.0); loaded_calls],
            surge: Vec::new(),
            floors: Vec::new(),
        }
    }

    fn reset(&mut self, index_of_plan: &PlanIndex) {
        for (shares, quiet) in self.shares.iter_mut().zip(&mut self.quiet) {
            if !std::mem::replace(quiet, true) {
                *shares = Shares::OK;
            }
        }
        for limits in &index_of_plan.limits {
            *self.failing_since_mut(limits.watched) = all(f64::INFINITY);
        }
        self.entries.fill(Shares::OK);
        self.expired.fill(0);
        self.own_index.fill(NONE);
        self.own.clear();
        self.own_sends.clear();
        self.traffic.fill(all(1.0));
        self.failed_over.fill(all(0.0));
        self.surge.clear();
        self.floors.clear();
    }

    /// Since when something watched has been failing; infinite where it is not.
    pub(crate) fn failing_since(&self, watched: Watched) -> &Lanes<W> {
        match watched {
            Watched::Node(node) => &self.since[node as usize],
            Watched::Entry(entry) => &self.entries_since[entry as usize],
        }
    }

    /// The same, to be set.
    pub(crate) fn failing_since_mut(&mut self, watched: Watched) -> &mut Lanes<W> {
        match watched {
            Watched::Node(node) => &mut self.since[node as usize],
            Watched::Entry(entry) => &mut self.entries_since[entry as usize],
        }
    }

    /// What the own health of a node leaves, apart from overload.
    pub(crate) fn own_of(&self, node: usize) -> Option<&SurvivalProducts<W>> {
        self.own.get(self.own_index[node] as usize)
    }
}

/// The state of eight trials at a time of their own each.
pub(crate) struct StepState<'a, const W: usize> {
    pub(crate) plan: &'a Plan,
    pub(crate) index_of_plan: &'a PlanIndex,
    /// By dependency: the lanes in which failure reaches the caller.
    pub(crate) reaches: Vec<u8>,
    /// By dependency: the lanes in which the fallback works.
    pub(crate) works: Vec<u8>,
    /// The lanes in which something may answer wrongly.
    pub(crate) corrupt_lanes: u8,
    pub(crate) time: Lanes<W>,
    /// One at random routing, two (exposed, not exposed) at sticky routing.
    pub(crate) cohorts: Vec<Cohort<W>>,
    /// By service: the share of requests lost to overload.
    pub(crate) overload: Vec<Lanes<W>>,
    /// By node: whether something that its state follows from changed: its own trouble, a guard
    /// that waits, or what it refers to. For each cohort.
    dirty: Vec<IndexSet>,
    /// By node: whether it was computed anew since this was last cleared.
    pub(crate) computed: Vec<bool>,
    /// By node: whether what it sends to its dependencies may have changed. For each cohort.
    pub(crate) sends_anew: Vec<IndexSet>,
    /// By dependency and node, for those that calls are led around: the share of them.
    pub(crate) led_around: Vec<((u32, u32), Lanes<W>)>,
    /// By dependency, for those of services that are switched off: the share that is not called.
    pub(crate) switched_off: Vec<(u32, Lanes<W>)>,
    /// Room for the members of an `any_of`.
    pub(crate) members: Vec<Shares<W>>,
    /// By service: the lanes in which it is in a cycle that did not come to rest.
    pub(crate) unsettled: Vec<u8>,
    /// By node: whether it is computed in the next round of a cycle.
    awaited: Vec<bool>,
}

impl<'a, const W: usize> StepState<'a, W> {
    pub(crate) fn new(plan: &'a Plan, index_of_plan: &'a PlanIndex, cohorts: usize) -> Self {
        Self {
            plan,
            index_of_plan,
            reaches: vec![u8::MAX; plan.dependencies.len()],
            works: vec![u8::MAX; plan.dependencies.len()],
            corrupt_lanes: every::<W>(),
            time: all(0.0),
            cohorts: (0..cohorts).map(|_| Cohort::new(plan, index_of_plan)).collect(),
            overload: vec![all(0.0); plan.services.len()],
            dirty: vec![IndexSet::new(plan.nodes.len(), true); cohorts],
            computed: vec![false; plan.nodes.len()],
            sends_anew: vec![IndexSet::new(plan.nodes.len(), true); cohorts],
            led_around: Vec::new(),
            switched_off: Vec::new(),
            members: Vec::new(),
            unsettled: vec![0; plan.services.len()],
            awaited: vec![false; plan.nodes.len()],
        }
    }

    /// Forgets everything but the draws: all is ok, as it would be computed where nothing has trouble
    /// of its own.
    pub(crate) fn reset(&mut self) {
        self.time = all(0.0);
        self.cohorts.iter_mut().for_each(|cohort| cohort.reset(self.index_of_plan));
        self.led_around.clear();
        self.switched_off.clear();
        self.overload.fill(all(0.0));
        self.unsettled.fill(0);
        self.dirty.iter_mut().for_each(|dirty| dirty.fill(false));
        self.sends_anew.iter_mut().for_each(|sends| sends.fill(true));
    }

    /// Has every node computed anew.
    pub(crate) fn touch_all(&mut self) {
        self.dirty.iter_mut().for_each(|dirty| dirty.fill(true));
    }

    /// Notes that the own health of a node, or a guard of its that waits, may have changed.
    pub(crate) fn touch(&mut self, node: u32) {
        for cohort in 0..self.cohorts.len() {
            self.dirty[cohort].mark(node as usize);
            self.sends_anew[cohort].mark(node as usize);
        }
    }

    /// The same for all nodes of a service.
    pub(crate) fn touch_service(&mut self, service: u32) {
        let plan = self.plan;
        for node in plan.nodes_of(service) {
            self.touch(node);
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
                            self.dirty[cohort].mark(*node as usize);
                            self.sends_anew[cohort].mark(*node as usize);
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
            let mut next = 0;
            // Whatever refers to a node comes later, or is in the same cycle.
            while let Some(node) = self.dirty[cohort].take_first_from(next) {
                let index = self.index_of_plan.group_of[node] as usize;
                let group = &plan.groups[index];
                next = group.nodes.end as usize;
                if group.cyclic {
                    self.cycle(group.nodes.clone(), cohort, self.in_any_order(index));
                    continue;
                }
                let shares = self.next_shares(node, cohort, None);
                if self.cohorts[cohort].shares[node] != shares {
                    self.cohorts[cohort].shares[node] = shares;
                    self.cohorts[cohort].quiet[node] = shares.is_ok();
                    self.touch_callers(node, cohort);
                }
            }
        }
    }

    /// The lanes in which a cycle may be computed in any order.
    fn in_any_order(&self, group: usize) -> u8 {
        match self.index_of_plan.only_worsens[group] {
            _ if self.plan.groups[group].nodes.len() > ROUND_BY_ROUND => every::<W>(),
            OnlyWorsens::Always => every::<W>(),
            OnlyWorsens::UnlessCorrupting => every::<W>() & !self.corrupt_lanes,
            OnlyWorsens::Never => 0,
        }
    }

    /// Whatever refers to a node that changed must be computed anew.
    fn touch_callers(&mut self, node: usize, cohort: usize) {
        for caller in self.index_of_plan.callers_of(node) {
            self.dirty[cohort].mark(*caller as usize);
        }
    }

    /// The state of a node, given those of what it calls; in a cycle, as far as its pace lets it.
    fn next_shares(&mut self, node: usize, cohort: usize, pace: Option<&Pace>) -> Shares<W> {
        for_lanes::<W, _>(
            #[inline(always)]
            || {
                let left = self.node(node, cohort, pace.is_some());
                match pace {
                    None => left.shares(),
                    Some(pace) => pace.next_shares(left, &self.cohorts[cohort].shares[node]),
                }
            },
        )
    }

    /// What is left at a node, given the states of what it calls.
    #[inline(always)]
    fn node(&mut self, node: usize, cohort: usize, in_cycle: bool) -> SurvivalProducts<W> {
        let plan = self.plan;
        self.computed[node] = true;
        self.sends_anew[cohort].mark(node);
        let mut left = self.own_health(node, cohort);
        let mut inside = SurvivalProducts::ALL;
        let calls = plan.nodes[node].calls.clone();
        for index in calls {
            let call = &plan.calls[index as usize];
            if self.is_quiet(call, cohort) {
                self.note_quiet(index, cohort);
                continue;
            }
            let called = self.call(call, cohort, &mut NoObserver);
            if plan.has_load {
                self.cohorts[cohort].failed_over[index as usize] = called.failed_over;
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
        if let Some((_, floor)) = floors.iter().find(|(held, _)| *held as usize == node) {
            left.min_with(floor);
        }
        left
    }

    /// A call at which nothing happens carries its normal traffic.
    #[inline(always)]
    fn note_quiet(&mut self, index: u32, cohort: usize) {
        let call = &self.plan.calls[index as usize];
        if call.buffer_slot() != NONE {
            self.cohorts[cohort].entries[call.buffer_slot() as usize] = Shares::OK;
        }
        if self.plan.has_load {
            let cohort = &mut self.cohorts[cohort];
            cohort.failed_over[index as usize] = all(0.0);
            for member in call.members.clone() {
                cohort.traffic[member as usize] = all(1.0);
            }
        }
    }

    #[inline(always)]
    fn own_health(&self, node: usize, cohort: usize) -> SurvivalProducts<W> {
        let mut left = self.cohorts[cohort].own_of(node).copied().unwrap_or(SurvivalProducts::ALL);
        let service = self.plan.nodes[node].service;
        if self.plan.has_load && service != NONE {
            let lost = &self.overload[service as usize];
            if !same(lost, &all(0.0)) {
                match self.plan.services[service as usize].overload {
                    Overload::Shed => left.apply_down(lost),
                    Overload::Collapse => left.apply_slow(lost),
                }
            }
        }
        left
    }

    /// The least fixed point of a cycle, from all-ok. Each lane stops when it has settled, so that
    /// a trial's figures do not depend on its neighbours. In some lanes any order leads there.
    fn cycle(&mut self, nodes: Range<u32>, cohort: usize, in_any_order: u8) {
        let before: Vec<Shares<W>> =
            nodes.clone().map(|node| self.cohorts[cohort].shares[node as usize]).collect();
        for node in nodes.clone() {
            self.cohorts[cohort].shares[node as usize] = Shares::OK;
            self.cohorts[cohort].quiet[node as usize] = true;
        }
        let mut moving = 0;
        if in_any_order != 0 {
            moving |= self.sweep_cycle(nodes.clone(), cohort, in_any_order);
        }
        if in_any_order != every::<W>() {
            let lanes = every::<W>() & !in_any_order;
            moving |= self.rounds_of_cycle(nodes.clone(), cohort, lanes);
        }
        for (node, before) in nodes.zip(before) {
            if self.cohorts[cohort].shares[node as usize] != before {
                self.touch_callers(node as usize, cohort);
            }
            self.dirty[cohort].clear(node as usize);
            let service = self.plan.nodes[node as usize].service;
            if moving != 0 && service != NONE {
                self.unsettled[service as usize] |= moving;
            }
        }
    }

    /// Round by round: each from the states of the round before, and only where one of those
    /// changed. Gives the lanes that do not come to rest.
    fn rounds_of_cycle(&mut self, nodes: Range<u32>, cohort: usize, lanes: u8) -> u8 {
        let mut pace = Pace::new(lanes, nodes.len());
        let mut turn: Vec<u32> = nodes.clone().collect();
        let mut new: Vec<Shares<W>> = Vec::with_capacity(turn.len());
        loop {
            new.clear();
            for node in &turn {
                new.push(self.next_shares(*node as usize, cohort, Some(&pace)));
            }
            let mut moved = 0;
            let mut next = Vec::new();
            for (node, new) in turn.iter().zip(&new) {
                let old = std::mem::replace(&mut self.cohorts[cohort].shares[*node as usize], *new);
                if old != *new {
                    moved |= mask::<W>(|lane| difference(new, &old, lane) > REST);
                    self.cohorts[cohort].quiet[*node as usize] = new.is_ok();
                    for caller in self.index_of_plan.callers_of(*node as usize) {
                        let awaited = &mut self.awaited[*caller as usize];
                        if nodes.contains(caller) && !std::mem::replace(awaited, true) {
                            next.push(*caller);
                        }
                    }
                }
            }
            for node in &next {
                self.awaited[*node as usize] = false;
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
    fn sweep_cycle(&mut self, nodes: Range<u32>, cohort: usize, lanes: u8) -> u8 {
        let mut pace = Pace::new(lanes, nodes.len());
        for node in nodes.clone() {
            self.awaited[node as usize] = true;
        }
        loop {
            let mut moved = 0;
            for node in nodes.clone() {
                let node = node as usize;
                if !std::mem::take(&mut self.awaited[node]) {
                    continue;
                }
                let new = self.next_shares(node, cohort, Some(&pace));
                let cohort = &mut self.cohorts[cohort];
                let old = cohort.shares[node];
                if new != old {
                    cohort.shares[node] = new;
                    cohort.quiet[node] = new.is_ok();
                    moved |= mask::<W>(|lane| difference(&new, &old, lane) > REST);
                    for caller in self.index_of_plan.callers_of(node) {
                        self.awaited[*caller as usize] |= nodes.contains(caller);
                    }
                }
            }
            if pace.is_over(moved) {
                for node in nodes {
                    self.awaited[node as usize] = false;
                }
                return pace.unsettled;
            }
        }
    }

    /// Notes since when nodes, and the `any_of`s with a buffer, have been failing.
    pub(crate) fn note_since(&mut self) {
        let (time, failed) = (self.time, self.plan.failed - SLACK);
        for cohort in &mut self.cohorts {
            let note = |since: &mut Lanes<W>, shares: &Shares<W>| {
                for lane in 0..W {
                    since[lane] = if shares.failing(lane) >= failed {
                        since[lane].min(time[lane])
                    } else {
                        f64::INFINITY
                    };
                }
            };
            for (node, item) in self.plan.nodes.iter().enumerate() {
                if item.tracks_failing_since {
                    note(&mut cohort.since[node], &cohort.shares[node]);
                }
            }
            for (since, shares) in cohort.entries_since.iter_mut().zip(&cohort.entries) {
                note(since, shares);
            }
        }
    }

    /// Whether the fallback of a call is one that can get load.
    pub(crate) fn fallback_node(&self, call: usize) -> Option<usize> {
        match self.plan.calls[call].fallback() {
            Fallback::Node(node) => Some(node as usize),
            Fallback::None | Fallback::Static => None,
        }
    }
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

/// The new shares in these lanes, the old ones in the others.
#[inline(always)]
fn choose<const W: usize>(lanes: u8, new: &Shares<W>, old: &Shares<W>) -> Shares<W> {
    let pick = |new: &Lanes<W>, old: &Lanes<W>| -> Lanes<W> {
        array(|lane| if has(lanes, lane) { new[lane] } else { old[lane] })
    };
    Shares {
        slow: pick(&new.slow, &old.slow),
        down: pick(&new.down, &old.down),
        corrupt: pick(&new.corrupt, &old.corrupt),
        degraded: pick(&new.degraded, &old.degraded),
    }
}
