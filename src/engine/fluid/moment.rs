//! One moment: failure travels to callers.

use super::call::{SLACK, Unwatched};
use super::lanes::{LANES, Lanes, Left, Shares, all, has, mask};
use super::world::World;
use crate::compile::plan::{Fallback, NONE, Plan};
use crate::model::topology::Overload;

/// A fixed point is reached when nothing changes by more than this.
pub(super) const SETTLED: f64 = 1e-9;
/// How many rounds inside a cycle are tried.
const ROUNDS: u32 = 10_000;

/// The users that meet the change, or those that do not: at random routing there is one cohort.
pub(super) struct Cohort {
    /// By node.
    pub(super) shares: Vec<Shares>,
    /// By node: ok in every lane.
    pub(super) quiet: Vec<bool>,
    /// By node: since when it has been failing; infinite where it is not.
    pub(super) since: Vec<Lanes>,
    /// Of every `any_of` with a buffer: what it gives before the buffer, and since when it fails.
    pub(super) entries: Vec<Shares>,
    pub(super) entries_since: Vec<Lanes>,
    /// By node, for those with trouble of their own: its index in `own`.
    pub(super) own_index: Vec<u32>,
    /// What own health leaves, apart from overload.
    pub(super) own: Vec<Left>,
    /// By member: how its traffic grows by retries, lost caches, moved traffic.
    pub(super) traffic: Vec<Lanes>,
    /// By call: the share of it that goes to the fallback.
    pub(super) failed_over: Vec<Lanes>,
    /// By node: by how much a surge multiplies its calls, where it does.
    pub(super) surge: Vec<(u32, Lanes)>,
}

impl Cohort {
    fn new(plan: &Plan) -> Self {
        let entries = plan.calls.iter().filter(|call| call.waited != NONE).count();
        let (loaded_members, loaded_calls) =
            if plan.has_load { (plan.members.len(), plan.calls.len()) } else { (0, 0) };
        Self {
            shares: vec![Shares::OK; plan.nodes.len()],
            quiet: vec![true; plan.nodes.len()],
            since: vec![all(f64::INFINITY); plan.nodes.len()],
            entries: vec![Shares::OK; entries],
            entries_since: vec![all(f64::INFINITY); entries],
            own_index: vec![NONE; plan.nodes.len()],
            own: Vec::new(),
            traffic: vec![all(1.0); loaded_members],
            failed_over: vec![all(0.0); loaded_calls],
            surge: Vec::new(),
        }
    }

    fn reset(&mut self) {
        self.shares.fill(Shares::OK);
        self.quiet.fill(true);
        self.since.fill(all(f64::INFINITY));
        self.entries.fill(Shares::OK);
        self.entries_since.fill(all(f64::INFINITY));
        self.own_index.fill(NONE);
        self.own.clear();
        self.traffic.fill(all(1.0));
        self.failed_over.fill(all(0.0));
        self.surge.clear();
    }

    /// What the own health of a node leaves, apart from overload.
    pub(super) fn own_of(&self, node: usize) -> Option<&Left> {
        self.own.get(self.own_index[node] as usize)
    }
}

/// The state of eight trials at a time of their own each.
pub(super) struct Moment<'a> {
    pub(super) plan: &'a Plan,
    pub(super) world: World,
    pub(super) time: Lanes,
    /// One at random routing, two (exposed, not exposed) at sticky routing.
    pub(super) cohorts: Vec<Cohort>,
    /// By service: the share of requests lost to overload.
    pub(super) overload: Vec<Lanes>,
    /// By node: whether its own trouble, or a guard that waits, may have changed.
    pub(super) dirty: Vec<bool>,
    /// By node: whether the sweep under way changed it.
    changed: Vec<bool>,
    /// By node: whether it was computed anew since this was last cleared.
    pub(super) computed: Vec<bool>,
    /// Room for the members of an `any_of`.
    pub(super) members: Vec<Shares>,
}

impl<'a> Moment<'a> {
    pub(super) fn new(plan: &'a Plan, cohorts: usize) -> Self {
        Self {
            plan,
            world: World::new(plan),
            time: all(0.0),
            cohorts: (0..cohorts).map(|_| Cohort::new(plan)).collect(),
            overload: vec![all(0.0); plan.services.len()],
            dirty: vec![true; plan.nodes.len()],
            changed: vec![false; plan.nodes.len()],
            computed: vec![false; plan.nodes.len()],
            members: Vec::new(),
        }
    }

    /// Forgets everything but the draws.
    pub(super) fn reset(&mut self) {
        self.time = all(0.0);
        self.cohorts.iter_mut().for_each(Cohort::reset);
        self.overload.fill(all(0.0));
        self.dirty.fill(true);
    }

    /// Computes failure anew wherever something may have changed.
    pub(super) fn sweep(&mut self) {
        for cohort in 0..self.cohorts.len() {
            self.changed.fill(false);
            for group in &self.plan.groups {
                if group.cyclic {
                    self.cycle(group.nodes.clone(), cohort);
                } else if self.is_touched(group.nodes.start, cohort) {
                    let node = group.nodes.start as usize;
                    let shares = self.node(node, cohort, false);
                    self.put(node, cohort, shares);
                }
            }
        }
        self.dirty.fill(false);
    }

    /// Whether a node must be computed anew: its own trouble, or something it refers to, changed.
    fn is_touched(&self, node: u32, _cohort: usize) -> bool {
        self.dirty[node as usize] || {
            let calls = self.plan.calls_of(&self.plan.nodes[node as usize]);
            calls.iter().any(|call| self.plan.referred(call).any(|it| self.changed[it as usize]))
        }
    }

    fn put(&mut self, node: usize, cohort: usize, shares: Shares) {
        let cohort = &mut self.cohorts[cohort];
        if cohort.shares[node] != shares {
            self.changed[node] = true;
            cohort.shares[node] = shares;
            cohort.quiet[node] = shares.is_ok();
        }
    }

    /// The state of a node, given those of what it calls.
    #[inline(always)]
    fn node(&mut self, node: usize, cohort: usize, in_cycle: bool) -> Shares {
        let plan = self.plan;
        self.computed[node] = true;
        let mut left = self.own_health(node, cohort);
        let mut inside = Left::ALL;
        let calls = plan.nodes[node].calls.clone();
        for index in calls {
            let call = &plan.calls[index as usize];
            if self.is_quiet(call, cohort) {
                self.note_quiet(index, cohort);
                continue;
            }
            let called = self.call(call, cohort, &mut Unwatched);
            if plan.has_load {
                self.cohorts[cohort].failed_over[index as usize] = called.failed_over;
            }
            let call_left = Left::of(&called.shares);
            if in_cycle && call.inside {
                inside.least(&call_left);
            } else {
                left.times(&call_left);
            }
        }
        if in_cycle {
            left.least(&inside);
        }
        left.shares()
    }

    /// A call at which nothing happens carries its normal traffic.
    #[inline(always)]
    fn note_quiet(&mut self, index: u32, cohort: usize) {
        let call = &self.plan.calls[index as usize];
        if call.waited != NONE {
            self.cohorts[cohort].entries[call.waited as usize] = Shares::OK;
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
    fn own_health(&self, node: usize, cohort: usize) -> Left {
        let mut left = self.cohorts[cohort].own_of(node).copied().unwrap_or(Left::ALL);
        let service = self.plan.nodes[node].service;
        if self.plan.has_load && service != NONE {
            let lost = &self.overload[service as usize];
            if *lost != all(0.0) {
                match self.plan.services[service as usize].overload {
                    Overload::Shed => left.lose_down(lost),
                    Overload::Collapse => left.lose_slow(lost),
                }
            }
        }
        left
    }

    /// The least fixed point of a cycle, from all-ok. Each lane stops when it has settled, so that
    /// a trial's figures do not depend on its neighbours.
    fn cycle(&mut self, nodes: std::ops::Range<u32>, cohort: usize) {
        if !nodes.clone().any(|node| self.is_touched(node, cohort)) {
            return;
        }
        let before: Vec<Shares> =
            nodes.clone().map(|node| self.cohorts[cohort].shares[node as usize]).collect();
        for node in nodes.clone() {
            self.cohorts[cohort].shares[node as usize] = Shares::OK;
            self.cohorts[cohort].quiet[node as usize] = true;
        }
        let mut moving = u8::MAX;
        for _ in 0..ROUNDS {
            let mut moved = 0;
            for node in nodes.clone() {
                let node = node as usize;
                let new = self.node(node, cohort, true);
                let cohort = &mut self.cohorts[cohort];
                let old = cohort.shares[node];
                moved |= mask(|lane| difference(&new, &old, lane) > SETTLED);
                cohort.shares[node] = choose(moving, &new, &old);
                cohort.quiet[node] = cohort.shares[node].is_ok();
            }
            moving &= moved;
            if moving == 0 {
                break;
            }
        }
        for (node, before) in nodes.zip(before) {
            let changed = self.cohorts[cohort].shares[node as usize] != before;
            self.changed[node as usize] = changed;
        }
    }

    /// Notes since when nodes, and the `any_of`s with a buffer, have been failing.
    pub(super) fn note_since(&mut self) {
        let (time, failed) = (self.time, self.plan.failed - SLACK);
        for cohort in &mut self.cohorts {
            let note = |since: &mut Lanes, shares: &Shares| {
                for lane in 0..LANES {
                    since[lane] = if shares.failing(lane) >= failed {
                        since[lane].min(time[lane])
                    } else {
                        f64::INFINITY
                    };
                }
            };
            for (node, it) in self.plan.nodes.iter().enumerate() {
                if it.is_waited_for {
                    note(&mut cohort.since[node], &cohort.shares[node]);
                }
            }
            for (since, shares) in cohort.entries_since.iter_mut().zip(&cohort.entries) {
                note(since, shares);
            }
        }
    }

    /// Whether the fallback of a call is one that can get load.
    pub(super) fn fallback_node(&self, call: usize) -> Option<usize> {
        match self.plan.calls[call].fallback {
            Fallback::Node(node) => Some(node as usize),
            Fallback::None | Fallback::Static => None,
        }
    }
}

#[inline(always)]
fn difference(new: &Shares, old: &Shares, lane: usize) -> f64 {
    let one = |new: &Lanes, old: &Lanes| (new[lane] - old[lane]).abs();
    one(&new.slow, &old.slow)
        .max(one(&new.down, &old.down))
        .max(one(&new.corrupt, &old.corrupt))
        .max(one(&new.degraded, &old.degraded))
}

/// The new shares in these lanes, the old ones in the others.
#[inline(always)]
fn choose(lanes: u8, new: &Shares, old: &Shares) -> Shares {
    let pick = |new: &Lanes, old: &Lanes| -> Lanes {
        std::array::from_fn(|lane| if has(lanes, lane) { new[lane] } else { old[lane] })
    };
    Shares {
        slow: pick(&new.slow, &old.slow),
        down: pick(&new.down, &old.down),
        corrupt: pick(&new.corrupt, &old.corrupt),
        degraded: pick(&new.degraded, &old.degraded),
    }
}
