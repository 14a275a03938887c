//! One world from moment to moment: what is carried over, and since when things have been failing.

use std::collections::{BTreeMap, BTreeSet};

use super::customers::Customers;
use super::graph::Graph;
use super::load::{Moment, settle};
use super::messages::Messages;
use super::moment::{Cohort, Situation, reaches};
use super::refills::Refills;
use super::waiting::Waiting;
use super::world::World;

/// Since when things have been failing without a break, in one cohort.
#[derive(Clone, Debug)]
struct Clocks {
    /// By node.
    node: Vec<Option<f64>>,
    /// By dependency as written: what its buffer has behind it.
    behind_buffer: Vec<Option<f64>>,
}

/// A trial with the change, or without it, from moment to moment.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    graph: &'a Graph<'a>,
    world: &'a World,
    /// Whether time goes on, so that what falls is looked at in steps.
    is_timed: bool,
    clocks: Vec<Clocks>,
    /// By cohort: the members that all calls went to last.
    active: Vec<BTreeMap<usize, usize>>,
    last: Option<(Situation, Moment)>,
    waiting: Waiting,
    messages: Messages,
    refills: Refills,
    customers: Customers,
    /// When the last moment was.
    at: f64,
    /// The shares of services that start anew.
    forgotten: Vec<(usize, f64)>,
    /// By service: whether its backlog grows, and how often that has changed.
    turns: Vec<(bool, u32)>,
}

/// So often a backlog turns that slides along a limit: it grows below, shrinks above.
const SLIDES: u32 = 24;

impl<'a> Walk<'a> {
    /// A walk that has not begun.
    pub(crate) fn new(graph: &'a Graph<'a>, world: &'a World, is_timed: bool) -> Self {
        let waiting = Waiting { is_timed, ..Waiting::none(graph.topology.services.len()) };
        Self {
            graph,
            world,
            is_timed,
            clocks: Vec::new(),
            active: Vec::new(),
            last: None,
            waiting,
            messages: Messages::default(),
            refills: Refills::default(),
            customers: Customers::new(graph),
            at: 0.0,
            forgotten: Vec::new(),
            turns: vec![(false, 0); graph.topology.services.len()],
        }
    }

    /// The last moment computed.
    pub(crate) fn last(&self) -> Option<&Moment> {
        self.last.as_ref().map(|(_, moment)| moment)
    }

    /// How many backlogs slide along a limit.
    pub(crate) fn sliding(&self) -> usize {
        self.turns.iter().filter(|(_, turns)| *turns >= SLIDES).count()
    }

    /// Forgets a share of what a service loses to overload.
    pub(crate) fn forget(&mut self, service: usize, share: f64) {
        if let Some((situation, moment)) = &mut self.last {
            moment.lost[service] *= 1.0 - share;
            self.forgotten.push((service, share));
            // Whatever comes next is not the same.
            situation.cohorts.clear();
        }
    }

    /// Goes on to `now`; what is overdue in the situation is filled in here.
    pub(crate) fn go_to(&mut self, now: f64, mut situation: Situation) -> &Moment {
        let still = Clocks {
            node: vec![None; self.graph.nodes.len()],
            behind_buffer: vec![None; self.graph.written.len()],
        };
        self.clocks.resize(situation.cohorts.len(), still);
        for (clocks, cohort) in self.clocks.iter().zip(&mut situation.cohorts) {
            note_overdue(self.graph, clocks, now, self.is_timed, cohort);
        }
        self.active.resize(situation.cohorts.len(), BTreeMap::new());
        for (active, cohort) in self.active.iter().zip(&mut situation.cohorts) {
            cohort.active.clone_from(active);
        }
        situation.is_story = self.is_timed;
        self.gather(now, &situation);
        situation.waiting = self.waiting.clone();
        situation.full = self.messages.full(self.graph);
        situation.warm = self.refills.warm(self.graph);
        situation.returning = self.customers.orders(self.graph);
        // Nothing else asks what time it is.
        situation.now =
            if self.waiting.echo.iter().any(|(echo, _)| *echo > 0.0) { now } else { 0.0 };
        let moment = self.moment(&situation);
        self.active.clone_from(&moment.active);
        if self.is_timed {
            self.refills.look(self.graph, &moment);
        }
        for (number, clocks) in self.clocks.iter_mut().enumerate() {
            clocks.read(self.graph, now, &moment, number);
        }
        &self.last.insert((situation, moment)).1
    }

    /// What has gathered in queues since the last moment, and how long that makes requests wait now.
    fn gather(&mut self, now: f64, situation: &Situation) {
        if !self.waiting.is_timed {
            return;
        }
        if let Some((before, moment)) = &self.last {
            let coming: Vec<f64> = (0..moment.loads.len())
                .map(|service| {
                    let is_down = before.down.get(service).copied().unwrap_or(false);
                    if is_down { 0.0 } else { moment.coming[service] }
                })
                .collect();
            for (service, stated) in self.graph.topology.services.iter().enumerate() {
                let Some(used) = stated.utilization else { continue };
                let grows = used.get() * coming[service] > before.capacity[service];
                let (grew, turns) = &mut self.turns[service];
                *turns += u32::from(std::mem::replace(grew, grows) != grows);
            }
            self.waiting.go_on(self.graph, now - self.at, &coming, &before.capacity);
            self.messages.go_on(self.graph, now - self.at, &moment.message_growth);
            self.refills.go_on(now - self.at, moment);
            self.customers.go_on(self.graph, now - self.at, moment);
        }
        for (service, share) in self.forgotten.drain(..) {
            // What waits in it is lost with it, and is not tried again.
            self.waiting.backlog[service] *= 1.0 - share;
            self.waiting.wait[service] = 0.0;
        }
        self.at = now;
        self.waiting.look(self.graph, now, &situation.capacity, &situation.down);
    }

    /// Nothing changes while nothing that decides a moment does, not even what has not settled.
    fn moment(&mut self, situation: &Situation) -> Moment {
        match self.last.take() {
            Some((before, moment)) if before == *situation => moment,
            Some((_, moment)) => settle(self.graph, self.world, situation, &moment.lost),
            None => {
                let nothing = vec![0.0; self.graph.topology.services.len()];
                settle(self.graph, self.world, situation, &nothing)
            }
        }
    }

    /// When the next cache or buffer is used up after `now`, if everything goes on like this.
    pub(crate) fn next_overdue(&self, now: f64) -> Option<f64> {
        let due = self.clocks.iter().flat_map(|clocks| clocks.due(self.graph));
        due.flat_map(|(since, limit, store)| {
            let steps = if matches!(store, Store::Cache(..)) { STEPS } else { 1 };
            let step = move |step: u32| since + limit * (f64::from(step) / f64::from(steps));
            (1..=steps).map(step)
        })
        .filter(|due| !reaches(now, *due))
        .min_by(f64::total_cmp)
    }
}

/// A cache (with the number of its member) or a buffer of a dependency as written.
#[derive(Clone, Copy)]
enum Store {
    Cache(usize, usize),
    /// What callers do not know yet of a member.
    Member(usize, usize),
    Buffer(usize),
}

impl Clocks {
    /// Since when what is behind each cache and buffer fails, and how long that lasts.
    fn due(&self, graph: &Graph) -> Vec<(f64, f64, Store)> {
        let mut due = Vec::new();
        for (number, written) in graph.written.iter().enumerate() {
            let call = written.dependency;
            if let Some(ttl) = call.cache.and_then(|cache| cache.ttl) {
                for (member, node) in written.on.iter().enumerate() {
                    let cache = Store::Cache(number, member);
                    due.extend(self.node[*node].map(|since| (since, ttl.get(), cache)));
                }
            }
            if let Some(failover) = call.failover {
                for (member, node) in written.on.iter().enumerate() {
                    let known = Store::Member(number, member);
                    due.extend(self.node[*node].map(|since| (since, failover.get(), known)));
                }
            }
            if let Some(buffer) = call.buffer {
                let since = self.behind_buffer[number];
                let holds = buffer.holds.get();
                due.extend(since.map(|since| (since, holds, Store::Buffer(number))));
            }
        }
        due
    }

    /// Looks at what a moment came to.
    fn read(&mut self, graph: &Graph, now: f64, moment: &Moment, cohort: usize) {
        let failed = graph.topology.thresholds.failed.get();
        let run_while = |clock: &mut Option<f64>, failing: f64| {
            *clock = reaches(failing, failed).then(|| clock.unwrap_or(now));
        };
        let states = &moment.by_cohort[cohort];
        let failing =
            |node: usize| states[node].failing() + moment.too_late_by_cohort[cohort][node];
        for (node, clock) in self.node.iter_mut().enumerate() {
            run_while(clock, failing(node));
        }
        for (number, clock) in self.behind_buffer.iter_mut().enumerate() {
            let written = &graph.written[number];
            let together = moment.contributions[cohort][number].together;
            let behind =
                if written.dependency.any_of { together.failing() } else { failing(written.on[0]) };
            run_while(clock, behind);
        }
    }
}

/// In how many steps the entries of a cache expire.
const STEPS: u32 = 32;

/// What is left of a cache whose dependency has been failing for so long.
fn fresh_share(failing_for: f64, ttl: f64, is_timed: bool) -> f64 {
    let expired = failing_for / ttl;
    if !is_timed {
        return (1.0 - expired).max(0.0);
    }
    let steps = f64::from(STEPS);
    let step = (expired * steps + 1e-6).floor();
    if step >= steps { 0.0 } else { 1.0 - (step + 0.5) / steps }
}

fn note_overdue(graph: &Graph, clocks: &Clocks, now: f64, is_timed: bool, cohort: &mut Cohort) {
    cohort.fresh.clear();
    cohort.fresh_at_first = fresh_share(0.0, 1.0, is_timed);
    cohort.overdue_buffers = BTreeSet::new();
    cohort.known_members = BTreeSet::new();
    for (since, limit, store) in clocks.due(graph) {
        match store {
            Store::Cache(number, member) => {
                let fresh = fresh_share(now - since, limit, is_timed);
                cohort.fresh.insert((number, member), fresh);
            }
            Store::Member(number, member) => {
                if reaches(now - since, limit) {
                    cohort.known_members.insert((number, member));
                }
            }
            Store::Buffer(number) => {
                if reaches(now - since, limit) {
                    cohort.overdue_buffers.insert(number);
                }
            }
        }
    }
}
