//! Failure travels to callers: section "One moment: failure travels to callers".

use std::collections::{BTreeMap, BTreeSet};

use blastwave::model::topology::{Buffer, CallKind, MemberMode, Queue, WhenFull};
use blastwave::model::{Seconds, Share, defaults};

use super::graph::Graph;
use super::interventions::{Acts, Effects};
use super::messages;
use super::waiting::{self, Bounds, Delay, Piece, Usual, Waiting};
use super::world::World;

/// By how much comparisons with thresholds may be missed.
pub(crate) const SLACK: f64 = 1e-9;
/// By how much a fixed point may still move.
pub(crate) const SETTLED: f64 = 1e-9;
/// How often the nodes of a cycle are computed at most.
const ROUNDS: u32 = 10_000;
/// A cycle is at rest when no share in it moves by more than this in a round.
const REST: f64 = 1e-12;

/// Whether a share or a time reaches a threshold.
pub(crate) fn reaches(value: f64, threshold: f64) -> bool {
    value >= threshold - SLACK
}

/// The shares of requests that end badly; the rest is ok.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// The request hangs.
    pub(crate) slow: f64,
    /// It fails fast.
    pub(crate) down: f64,
    /// Its answer is wrong and taken for right.
    pub(crate) corrupt: f64,
    /// Its answer lacks something.
    pub(crate) degraded: f64,
}

impl State {
    /// Nothing ends badly.
    pub(crate) const OK: Self = Self { slow: 0.0, down: 0.0, corrupt: 0.0, degraded: 0.0 };
    /// Everything fails fast.
    pub(crate) const DOWN: Self = Self { down: 1.0, ..Self::OK };

    /// Slow, down or corrupt.
    pub(crate) fn failing(self) -> f64 {
        self.slow + self.down + self.corrupt
    }

    /// Slow, down, corrupt or degraded.
    pub(crate) fn bad(self) -> f64 {
        self.failing() + self.degraded
    }

    /// What is left at the four levels: not slow, nor down, nor corrupt, nor degraded.
    fn levels(self) -> [f64; 4] {
        let not_slow = 1.0 - self.slow;
        let nor_down = not_slow - self.down;
        let nor_corrupt = nor_down - self.corrupt;
        // Rounding may leave less than nothing.
        [not_slow, nor_down, nor_corrupt, nor_corrupt - self.degraded].map(|left| left.max(0.0))
    }

    /// The state of which `A1` to `A4` are left at the four levels.
    fn of_levels([a1, a2, a3, a4]: [f64; 4]) -> Self {
        Self { slow: 1.0 - a1, down: a1 - a2, corrupt: a2 - a3, degraded: a3 - a4 }
    }

    /// All four times a share.
    pub(crate) fn times(self, share: f64) -> Self {
        Self {
            slow: self.slow * share,
            down: self.down * share,
            corrupt: self.corrupt * share,
            degraded: self.degraded * share,
        }
    }

    /// All four added.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            slow: self.slow + other.slow,
            down: self.down + other.down,
            corrupt: self.corrupt + other.corrupt,
            degraded: self.degraded + other.degraded,
        }
    }

    /// The most that any of the four differs.
    pub(crate) fn distance(self, other: Self) -> f64 {
        let away = self.plus(other.times(-1.0));
        [away.slow, away.down, away.corrupt, away.degraded]
            .into_iter()
            .fold(0.0, |most, difference| most.max(difference.abs()))
    }
}

/// Everything that decides a moment, but for the overload it starts with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Situation {
    /// One, or with sticky routing the exposed and the unexposed users.
    pub(crate) cohorts: Vec<Cohort>,
    /// By service: wholly down in the background or through domains or replicas.
    pub(crate) down: Vec<bool>,
    /// By service: the share of replicas that is up, times the ramp after a restart.
    pub(crate) capacity: Vec<f64>,
    /// What was done on purpose.
    pub(crate) effects: Option<Effects>,
    /// By service: the share of calls that goes to replicas which are down.
    pub(crate) failing_over: Vec<f64>,
    /// By service: the share of calls that hangs where a failure domain does.
    pub(crate) hanging: Vec<f64>,
    /// By service: whether calls to replicas that were lost hang, instead of failing.
    pub(crate) loses_slowly: Vec<bool>,
    /// The work that waits.
    pub(crate) waiting: Waiting,
    /// The dependencies as written whose messages find the buffer full.
    pub(crate) full: BTreeSet<usize>,
    /// (written, member): the share of its usual answers that a cache gives which is refilled.
    pub(crate) warm: BTreeMap<(usize, usize), f64>,
    /// By flow: orders, those of customers who thought and come back included; 1 is normal.
    pub(crate) returning: Vec<f64>,
    /// Whether time goes on, so that callers have to learn what fails.
    pub(crate) is_story: bool,
    /// When it is.
    pub(crate) now: f64,
}

/// Users who fare alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cohort {
    /// Their share of all users.
    pub(crate) weight: f64,
    /// By node: its broken targets, and what is left from before a restart.
    pub(crate) causes: Vec<Vec<State>>,
    /// By node: broken targets that fail some requests only, after the node made its calls.
    pub(crate) late_causes: Vec<Vec<State>>,
    /// By node: what it crashed into, if it has not restarted yet.
    pub(crate) crashed: Vec<Vec<State>>,
    /// By node: by how much broken targets multiply its calls.
    pub(crate) surge: Vec<f64>,
    /// (written, member): if the member is failing now, the share of what the cache held that is left.
    pub(crate) fresh: BTreeMap<(usize, usize), f64>,
    /// (written, member): members that have been failing for so long that callers know.
    pub(crate) known_members: BTreeSet<(usize, usize)>,
    /// By dependency as written: the member that all calls went to last.
    pub(crate) active: BTreeMap<usize, usize>,
    /// The share that is left at once when it begins to fail.
    pub(crate) fresh_at_first: f64,
    /// By node: how much later broken targets let it answer, one after the other.
    pub(crate) slowed: Vec<Vec<Piece>>,
    /// If what is behind the buffer is failing now, it has been for `holds` or longer.
    pub(crate) overdue_buffers: BTreeSet<usize>,
}

/// One cohort at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here<'a> {
    /// The nodes and calls.
    pub(crate) graph: &'a Graph<'a>,
    /// The draws.
    pub(crate) world: &'a World,
    /// What decides the moment.
    pub(crate) situation: &'a Situation,
    /// The cohort.
    pub(crate) cohort: &'a Cohort,
    /// By service: the share lost to overload.
    pub(crate) lost: &'a [f64],
    /// By node: the share of messages that a full buffer has no room for.
    pub(crate) spilled: &'a BTreeMap<usize, f64>,
}

/// One dependency of an `any_of`, or the only one of a call, after steps 0 to 4.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// What is left of its state.
    pub(crate) state: State,
    /// Retries per call, `R` of step 3.
    pub(crate) retries: f64,
    /// Which share of what it usually does the cache answers; 1 without a cache.
    pub(crate) cache_answers: f64,
    /// The share of calls that would be answered without the cache.
    pub(crate) misses_answered: f64,
    /// The share of its normal traffic that it gets, where each call goes to one member.
    pub(crate) share: Option<f64>,
    /// How it makes the caller wait: of requests that are answered, and of those that fail.
    answered: Delay,
    failed: Delay,
    /// Its failing share before, after step 3, and after step 4.
    failing: [f64; 3],
}

/// What an attempt comes to after steps 0 to 2.
#[derive(Clone, Debug, Default)]
struct Attempt {
    state: State,
    /// The share that took all of the timeout.
    timed_out: f64,
    /// How much later the others are answered.
    in_time: Delay,
    /// The share of calls that is made at all.
    made: f64,
    /// The failing share before.
    comes_in: f64,
}

/// The steps after which the failing share of a call is looked at.
pub(crate) const STAGES: usize = 9;

/// What a call contributes, and how it came to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contribution {
    /// Each of what it calls after step 4.
    pub(crate) members: Vec<Member>,
    /// The call after step 4, the members of an `any_of` together.
    pub(crate) together: State,
    /// The share d that reaches step 6.
    pub(crate) falling_back: f64,
    /// What it contributes.
    pub(crate) state: State,
    /// How much later the caller goes on, as shares of what goes on at all.
    delay: Delay,
    /// The failing share: as it comes in; after retries, cache, `any_of`, buffer, fallback, soft,
    /// `call_probability`; and in the end.
    pub(crate) failing: [f64; STAGES],
}

impl Here<'_> {
    /// The states of all nodes: the least fixed point from all-ok. The flag says whether every
    /// cycle came to rest.
    pub(crate) fn failure(&self) -> (Vec<State>, Vec<Delay>, bool) {
        let mut states = vec![State::OK; self.graph.nodes.len()];
        let mut delays = vec![Delay::new(); self.graph.nodes.len()];
        let mut all_rest = true;
        for cycle in &self.graph.cycles {
            let mut rounds = 0;
            loop {
                let seen = Seen { states: &states, delays: &delays, caller: cycle[0] };
                let next: Vec<(State, Delay)> =
                    cycle.iter().map(|node| self.state(*node, seen)).collect();
                let mut moved: f64 = 0.0;
                for (node, (next, delay)) in cycle.iter().zip(next) {
                    moved = moved.max(next.distance(states[*node]));
                    if delays[*node] != delay {
                        moved = 1.0;
                    }
                    (states[*node], delays[*node]) = (next, delay);
                }
                rounds += 1;
                if moved <= REST {
                    break;
                }
                if rounds == ROUNDS {
                    all_rest = false;
                    break;
                }
            }
        }
        (states, delays, all_rest)
    }

    /// The state of a node, given those of what it calls.
    fn state(&self, node: usize, seen: Seen<'_>) -> (State, Delay) {
        let mut products = [1.0; 4];
        for cause in self.own_health(node) {
            products = each(products, cause.levels(), |product, factor| product * factor);
        }
        let mut least_inside = [1.0; 4];
        let bounds = self.bounds(node);
        let (mut delay, mut beside) = (self.own_delay(node), Delay::new());
        for written in &self.graph.nodes[node].calls {
            let contribution = self.contribution(*written, Seen { caller: node, ..seen });
            let factors = contribution.state.levels();
            if !self.graph.is_inside(node, *written) {
                if self.graph.written[*written].dependency.parallel {
                    beside = waiting::both(&beside, &contribution.delay, true, bounds);
                } else {
                    delay = waiting::both(&delay, &contribution.delay, false, bounds);
                }
            }
            if self.graph.is_inside(node, *written) {
                least_inside = each(least_inside, factors, f64::min);
            } else {
                products = each(products, factors, |product, factor| product * factor);
            }
        }
        let mut levels = each(products, least_inside, f64::min);
        for kept in &self.cohort.crashed[node] {
            levels = each(levels, kept.levels(), f64::min);
        }
        delay = waiting::both(&delay, &beside, false, bounds);
        if let Some(flow) = self.graph.flow_of(node) {
            // Customers give up.
            let stated = &self.graph.topology.flows[flow];
            let patience = stated.patience.unwrap_or(defaults::PATIENCE).get();
            let lost = waiting::beyond(&delay, Usual::of(None), patience);
            levels = levels.map(|level| level * (1.0 - lost));
        }
        (State::of_levels(levels), delay)
    }

    /// How much later a node answers before it calls anything: its queue, crowded threads, targets.
    fn own_delay(&self, node: usize) -> Delay {
        let mut delay = Delay::new();
        let Some(service) = self.graph.nodes[node].service() else { return delay };
        let bounds = self.bounds(node);
        let wait = self.situation.waiting.wait[service];
        delay = waiting::both(&delay, &vec![waiting::later(1.0, wait)], false, bounds);
        if let Some(Queue::Threads { threads, cores }) = self.graph.topology.services[service].queue
            && self.lost[service] > 0.0
        {
            let factor = f64::from(threads) / f64::from(cores);
            let crowded = vec![Piece { share: 1.0, length: 0.0, factor }];
            delay = waiting::both(&delay, &crowded, false, bounds);
        }
        for slowed in &self.cohort.slowed[node] {
            delay = waiting::both(&delay, &vec![*slowed], false, bounds);
        }
        delay
    }

    /// What parts the pieces of a node's delay.
    fn bounds(&self, node: usize) -> Bounds<'_> {
        let service = self.graph.nodes[node].service();
        let latency = service.and_then(|number| self.graph.topology.services[number].latency);
        Bounds { limits: &self.graph.bounds[node], usual: Usual::of(latency).mean() }
    }

    /// The share of a node's requests that it answers too late for its most impatient caller.
    pub(crate) fn too_late(&self, node: usize, state: State, delay: &Delay) -> f64 {
        let Some(service) = self.graph.nodes[node].service() else { return 0.0 };
        let shortest = self.graph.timeouts(node).into_iter().fold(f64::INFINITY, f64::min);
        let usual = Usual::of(self.graph.topology.services[service].latency);
        (1.0 - state.failing()) * waiting::beyond(delay, usual, shortest)
    }

    /// The causes in a node's own health, each as the state it alone would bring.
    fn own_health(&self, node: usize) -> Vec<State> {
        let mut causes = self.early_causes(node);
        causes.extend(&self.cohort.late_causes[node]);
        causes
    }

    /// The share of requests that a node does not answer by its own health, overload apart.
    pub(crate) fn own_failing(&self, node: usize) -> f64 {
        let nothing_lost = vec![0.0; self.lost.len()];
        let here = Here { lost: &nothing_lost, ..*self };
        let left: f64 =
            here.own_health(node).iter().map(|cause| 1.0 - cause.slow - cause.down).product();
        1.0 - left
    }

    /// Those for which a node does not even make its calls.
    pub(crate) fn early_causes(&self, node: usize) -> Vec<State> {
        let effects = self.situation.effects.as_ref();
        let Some(service) = self.graph.nodes[node].service() else {
            let orders =
                effects.map(|effect| State { down: effect.orders_turned_away, ..State::OK });
            return orders.into_iter().collect();
        };
        let mut causes = self.cohort.causes[node].clone();
        if let Some(effects) = effects {
            causes.push(State { down: effects.turned_away[service], ..State::OK });
            causes.push(State { degraded: effects.off[service], ..State::OK });
        }
        if self.situation.down[service] {
            causes.push(State::DOWN);
        }
        let failing_over = self.situation.failing_over.get(service).copied().unwrap_or(0.0);
        causes.push(if self.situation.loses_slowly[service] {
            State { slow: failing_over, ..State::OK }
        } else {
            State { down: failing_over, ..State::OK }
        });
        causes.push(State { slow: self.situation.hanging[service], ..State::OK });
        let lost = self.lost[service];
        causes.push(match self.graph.topology.services[service].queue.unwrap_or_default() {
            Queue::Threads { .. } => State { slow: lost, ..State::OK },
            Queue::Unbounded | Queue::Refuses | Queue::Holds(_) => {
                State { down: lost, ..State::OK }
            }
        });
        causes
    }

    /// What a call contributes to a node that makes it, given the states of the nodes.
    pub(crate) fn contribution(&self, number: usize, seen: Seen<'_>) -> Contribution {
        let states = seen.states;
        let written = &self.graph.written[number];
        let call = written.dependency;
        let bounds = self.bounds(seen.caller);
        let consumer = messages::consumer(self.graph, number);
        let members: Vec<Member> = match consumer {
            Some(node) => vec![self.message(number, node, seen)],
            None => match call.mode {
                Some(MemberMode::Failover) => self.one_of(number, seen),
                Some(MemberMode::Spread) => self.spread(number, seen),
                Some(MemberMode::Quorum) | None => {
                    (0..written.on.len()).map(|m| self.member(number, m, seen)).collect()
                }
            },
        };
        let worst = |stage: usize| members.iter().map(|m| m.failing[stage]).fold(0.0, f64::max);
        // Where each call goes to one member, what it meets is the state of that one, or the mean.
        let one = match call.mode {
            Some(MemberMode::Failover | MemberMode::Spread) => {
                members.iter().position(|member| member.share.is_some_and(|share| share > 0.0))
            }
            Some(MemberMode::Quorum) | None => None,
        };
        let together = match one {
            Some(one) => members[one].state,
            None if call.any_of => any_of(&members, call.needs as usize),
            None => members[0].state,
        };
        let mut failing = [0.0; STAGES];
        let combined = if consumer.is_some() { worst(2) } else { together.failing() };
        failing[..4].copy_from_slice(&[worst(0), worst(1), worst(2), combined]);

        // 5.
        let behind =
            if call.any_of { together.failing() } else { self.failing_of(written.on[0], seen) };
        let buffer = call.buffer.map(|buffer| match (consumer, buffer.when_full) {
            (None, _) => self.buffer(number, buffer, behind),
            (Some(_), WhenFull::Drop) => Buffered::Dropped,
            (Some(_), WhenFull::Block) => Buffered::Blocked,
        });
        let mut state = if buffer == Some(Buffered::Held) { State::OK } else { together };
        let (mut answered, mut failed) = match buffer {
            Some(Buffered::Held) => (Delay::new(), Delay::new()),
            _ if one.is_none() && call.any_of => waits_of_members(&members, together),
            _ if one.is_some() => {
                let one = &members[one.expect("there is one")];
                (one.answered.clone(), one.failed.clone())
            }
            _ => (members[0].answered.clone(), members[0].failed.clone()),
        };
        failing[4] = state.failing();
        // 6.
        let falling_back = state.down;
        if call.fallback.is_some() && !matches!(call.kind, Some(CallKind::Async)) {
            let waits = (&mut answered, &mut failed);
            self.wait_for_fallback(number, falling_back, bounds, seen, waits);
        }
        state = self.fall_back(number, state, states);
        failing[5] = state.failing();
        // 7.
        let acts_soft = match buffer {
            Some(Buffered::Dropped) => true,
            Some(Buffered::Blocked) => false,
            Some(Buffered::Held) | None => call.is_soft(),
        };
        if acts_soft {
            state.degraded += state.down + state.corrupt;
            (state.down, state.corrupt) = (0.0, 0.0);
            answered.extend(failed);
        }
        failing[6] = state.failing();
        // 8.
        if call.calls > 1 {
            let calls = f64::from(call.calls);
            state = State::of_levels(state.levels().map(|level| libm::pow(level, calls)));
            answered = waiting::cut(answered, bounds);
            let once = waiting::total(&answered).min(1.0);
            if once > 0.0 {
                let some = 1.0 - libm::pow(1.0 - once, calls);
                for piece in &mut answered {
                    piece.share *= some / once;
                    piece.length *= calls * once / some;
                }
            }
        }
        answered = waiting::scaled(&answered, call.call_probability.get());
        state = state.times(call.call_probability.get());
        if let Some(effects) = &self.situation.effects {
            state = Acts::after_call(effects, self.graph.caller_of(number), state);
            let off = self.graph.caller_of(number).map_or(0.0, |service| effects.off[service]);
            answered = waiting::scaled(&answered, 1.0 - off);
        }
        failing[7] = state.failing();
        if !self.world.reaches[&written.key] || !written.serves() || written.is_for_load() {
            state = State::OK;
            answered.clear();
        }
        failing[8] = state.failing();
        let goes_on = 1.0 - state.slow - state.down;
        let mut delay =
            if goes_on > 0.0 { waiting::scaled(&answered, 1.0 / goes_on) } else { Delay::new() };
        let all = waiting::total(&delay);
        if all > 1.0 {
            delay = waiting::scaled(&delay, 1.0 / all);
        }
        let delay = waiting::cut(delay, bounds);
        Contribution { members, together, falling_back, state, delay, failing }
    }

    /// A message: nothing but what a full buffer has no room for is felt.
    fn message(&self, number: usize, node: usize, seen: Seen<'_>) -> Member {
        let made = 1.0 - self.led_around(number, node);
        let is_full = self.situation.full.contains(&number);
        let spilled = self.spilled.get(&node).copied().filter(|_| is_full).unwrap_or(0.0);
        let comes_in = seen.states[node].times(made).failing();
        Member {
            state: State { down: spilled * made, ..State::OK },
            retries: 0.0,
            cache_answers: 1.0,
            misses_answered: 1.0,
            share: None,
            answered: Delay::new(),
            failed: Delay::new(),
            failing: [comes_in; 3],
        }
    }

    /// Steps 0 to 4 for one of what is called.
    fn member(&self, number: usize, member: usize, seen: Seen<'_>) -> Member {
        let node = self.graph.written[number].on[member];
        let attempt = self.attempt(number, node, seen);
        let fresh = self.fresh(number, member, seen);
        self.protected(number, member, attempt, Some(node), fresh, seen)
    }

    /// Steps 0 to 2: a single attempt.
    fn attempt(&self, number: usize, node: usize, seen: Seen<'_>) -> Attempt {
        let states = seen.states;
        let call = self.graph.written[number].dependency;
        let made = 1.0 - self.led_around(number, node);
        let State { slow: mut l, down: mut d, corrupt: mut c, degraded: mut g } =
            states[node].times(1.0 - self.led_around(number, node));
        let comes_in = l + d + c;
        let breaker = call.circuit_breaker == Some(true);
        // 0.
        if call.is_soft() {
            g = 0.0;
        }
        // 1.
        let timeout = call.waits_per_attempt().map_or(f64::INFINITY, Seconds::get);
        let mut timed_out = if timeout.is_finite() { l } else { 0.0 };
        if timeout.is_finite() || breaker || call.is_async() {
            d += l;
            l = 0.0;
        }
        let waits = matches!(call.kind, None | Some(CallKind::Sync));
        let mut in_time = Delay::new();
        if waits {
            let service = self.graph.nodes[node].service().expect("flows are not called");
            let usual = Usual::of(self.graph.topology.services[service].latency);
            let goes_on = (made - l - d).max(0.0);
            let mut lost = 0.0;
            for piece in &seen.delays[node] {
                let late = goes_on * piece.share * piece.beyond(usual, timeout);
                lost += late;
                let length = piece.mean(usual).min(timeout);
                in_time.push(waiting::later(goes_on * piece.share - late, length));
            }
            lost = lost.min(goes_on);
            if lost > 0.0 {
                (c, g) = (c * (1.0 - lost / goes_on), g * (1.0 - lost / goes_on));
                d += lost;
                timed_out += lost;
            }
        }
        // 2.
        if call.validates == Some(true) {
            d += c;
            c = 0.0;
        }
        let state = State { slow: l, down: d, corrupt: c, degraded: g };
        Attempt { state, timed_out, in_time, made, comes_in }
    }

    /// The share of what a cache held that is left.
    fn fresh(&self, number: usize, member: usize, seen: Seen<'_>) -> f64 {
        let written = &self.graph.written[number];
        let ttl = written.dependency.cache.and_then(|cache| cache.ttl);
        let node = written.on[member];
        if ttl.is_none() || !self.is_failing(self.failing_of(node, seen)) {
            return 1.0;
        }
        let left = self.cohort.fresh.get(&(number, member)).copied();
        let left = left.unwrap_or(self.cohort.fresh_at_first);
        // What is overloaded answers some calls, and those renew entries.
        let service = self.graph.nodes[node].service();
        let is_renewed = service.is_some_and(|service| self.lost[service] > SLACK);
        if is_renewed && left > SLACK { 1.0 } else { left }
    }

    /// Whether callers know that a node does not answer, and by more than its own overload.
    fn is_known_to_fail(&self, number: usize, member: usize, seen: Seen<'_>) -> bool {
        let written = &self.graph.written[number];
        let node = written.on[member];
        let lost = self.graph.nodes[node].service().map_or(0.0, |service| self.lost[service]);
        let unanswered = self.failing_of(node, seen) - seen.states[node].corrupt;
        let is_known = self.cohort.known_members.contains(&(number, member))
            || written.dependency.failover.is_none()
            || !self.situation.is_story;
        lost < 1.0 && self.is_failing((unanswered - lost) / (1.0 - lost)) && is_known
    }

    /// The number of the member that all calls go to.
    pub(crate) fn active_member(&self, number: usize, seen: Seen<'_>) -> usize {
        let count = self.graph.written[number].on.len();
        let last = self.cohort.active.get(&number).copied().unwrap_or(0);
        let mut next = (0..count).map(|step| (last + step) % count);
        next.find(|member| !self.is_known_to_fail(number, *member, seen)).unwrap_or(last)
    }

    /// The members of a call that goes to one of them.
    fn one_of(&self, number: usize, seen: Seen<'_>) -> Vec<Member> {
        let active = self.active_member(number, seen);
        let share = |member: usize| if member == active { 1.0 } else { 0.0 };
        let all = 0..self.graph.written[number].on.len();
        all.map(|m| Member { share: Some(share(m)), ..self.member(number, m, seen) }).collect()
    }

    /// The members of a call of which each attempt goes to one at random.
    fn spread(&self, number: usize, seen: Seen<'_>) -> Vec<Member> {
        let on = &self.graph.written[number].on;
        let all: Vec<usize> = (0..on.len()).collect();
        let mut called: Vec<usize> = all
            .iter()
            .copied()
            .filter(|member| !self.is_known_to_fail(number, *member, seen))
            .collect();
        if called.is_empty() {
            called.clone_from(&all);
        }
        let weight = 1.0 / called.len() as f64;
        let mut mean = Attempt::default();
        let mut fresh = 0.0;
        for member in &called {
            let attempt = self.attempt(number, on[*member], seen);
            mean.state = mean.state.plus(attempt.state.times(weight));
            mean.timed_out += weight * attempt.timed_out;
            mean.in_time.extend(waiting::scaled(&attempt.in_time, weight));
            mean.made += weight * attempt.made;
            fresh += weight * self.fresh(number, *member, seen);
        }
        mean.in_time = waiting::cut(mean.in_time, self.bounds(seen.caller));
        let combined = self.protected(number, 0, mean, None, fresh, seen);
        let of = |member: usize| {
            let attempt = self.attempt(number, on[member], seen);
            let share = if called.contains(&member) { weight * on.len() as f64 } else { 0.0 };
            Member { share: Some(share), failing: [attempt.comes_in; 3], ..combined.clone() }
        };
        all.into_iter().map(of).collect()
    }

    /// Steps 3 and 4; at random there is no single node behind them.
    fn protected(
        &self,
        number: usize,
        member: usize,
        attempt: Attempt,
        node: Option<usize>,
        fresh: f64,
        seen: Seen<'_>,
    ) -> Member {
        let states = seen.states;
        let written = &self.graph.written[number];
        let call = written.dependency;
        let bounds = self.bounds(seen.caller);
        let Attempt { state, timed_out, in_time, made, comes_in } = attempt;
        let State { slow: mut l, down: mut d, corrupt: mut c, degraded: mut g } = state;
        let breaker = call.circuit_breaker == Some(true);
        let timeout = call.waits_per_attempt().map_or(f64::INFINITY, Seconds::get);
        let waits = matches!(call.kind, None | Some(CallKind::Sync));
        // 3.
        let p = d;
        // The page's (1-p^(n+1))/(1-p) - 1 is this sum, which needs no case for p = 1.
        let all: f64 = (1..=call.retries.unwrap_or(0)).map(|k| libm::pow(p, f64::from(k))).sum();
        let budget = call.retry_budget.map_or(f64::INFINITY, Share::get);
        let retries = if breaker && reaches(p, 0.5) { 0.0 } else { all.min(budget) };
        (l, c, g) = (l * (1.0 + retries), c * (1.0 + retries), g * (1.0 + retries));
        d = p - retries * (1.0 - p);
        let (mut answered, mut failed) = (Delay::new(), Delay::new());
        let mut for_load = retries;
        if waits && (timed_out > 0.0 || !in_time.is_empty()) {
            let is_open = breaker && reaches(p, 0.5);
            let timed_out = if is_open { 0.0 } else { timed_out };
            let in_all = call.waits_in_all().map_or(f64::INFINITY, Seconds::get);
            let tried_again = if all > 0.0 { (budget / all).min(1.0) } else { 1.0 };
            let number = if is_open { 0 } else { call.retries.unwrap_or(0) };
            let all = waiting::attempts(
                [(p - timed_out).max(0.0), timed_out],
                number,
                tried_again,
                [timeout, in_all],
                &in_time,
            );
            if in_all.is_finite() && !is_open {
                let factor = all.made / (1.0 + retries);
                (l, c, g) = (l * factor, c * factor, g * factor);
                d = all.failing;
                for_load = all.made - 1.0;
            }
            (answered, failed) =
                (waiting::cut(all.answered, bounds), waiting::cut(all.failed, bounds));
        }
        // What was too late before a wait became shorter at once is tried again.
        let echoes = node.is_some_and(|node| {
            let service = self.graph.nodes[node].service().expect("flows are not called");
            let (wait, (echo, since)) =
                (self.situation.waiting.wait[service], self.situation.waiting.echo[service]);
            echo >= timeout && wait < timeout && self.situation.now < since + timeout
        });
        if echoes && waits {
            for_load = for_load.max(f64::from(call.retries.unwrap_or(0)).min(budget));
        }
        let mut retries = for_load;
        // An open breaker lets nothing through.
        if breaker && node.is_some_and(|node| reaches(self.own_failing(node), 0.5)) {
            (l, d, c, g, retries) = (0.0, made, 0.0, 0.0, -1.0);
            answered.clear();
            failed.clear();
        }
        let retried = l + d + c;
        let misses_answered = if made > 0.0 { 1.0 - (l + d) / made } else { 0.0 };
        // 4.
        let mut cache_answers = 1.0;
        if let Some(cache) = call.cache {
            let serves = written.cache_service.map_or(1.0, |node| 1.0 - states[node].failing());
            let warm = self.situation.warm.get(&(number, member)).copied().unwrap_or(1.0);
            cache_answers = serves * fresh * warm;
            let rest = 1.0 - cache.hit_ratio.get() * cache_answers;
            (l, d) = (l * rest, d * rest);
            answered = waiting::scaled(&answered, rest);
            failed = waiting::scaled(&failed, rest);
            if cache.ttl.is_some() {
                c *= rest;
            }
        }
        Member {
            state: State { slow: l, down: d, corrupt: c, degraded: g },
            retries,
            cache_answers,
            misses_answered,
            share: None,
            answered,
            failed,
            failing: [comes_in, retried, l + d + c],
        }
    }

    /// The share of a dependency's calls to a node that goes around it.
    pub(crate) fn led_around(&self, written: usize, node: usize) -> f64 {
        let effects = self.situation.effects.as_ref().zip(self.graph.nodes[node].service());
        let led = effects.and_then(|(effect, service)| effect.led_around.get(&(written, service)));
        led.copied().unwrap_or(0.0)
    }

    /// Whether what has this failing share has been failing for at least `limit`.
    fn is_over(&self, failing: f64, overdue: bool, limit: f64) -> bool {
        // What is not failing has been so for no time at all.
        if self.is_failing(failing) { overdue } else { reaches(0.0, limit) }
    }

    /// Whether this is a failing share to call failed.
    fn is_failing(&self, failing: f64) -> bool {
        reaches(failing, self.graph.topology.thresholds.failed.get())
    }

    fn buffer(&self, number: usize, buffer: Buffer, behind: f64) -> Buffered {
        let overdue = self.cohort.overdue_buffers.contains(&number);
        match buffer.when_full {
            _ if !self.is_over(behind, overdue, buffer.holds.get()) => Buffered::Held,
            WhenFull::Drop => Buffered::Dropped,
            WhenFull::Block => Buffered::Blocked,
        }
    }

    /// The failing share of a node, with what it answers too late.
    fn failing_of(&self, node: usize, seen: Seen<'_>) -> f64 {
        let state = seen.states[node];
        state.failing() + self.too_late(node, state, &seen.delays[node])
    }

    /// What fails waits for what is called instead.
    fn wait_for_fallback(
        &self,
        number: usize,
        failing: f64,
        bounds: Bounds<'_>,
        seen: Seen<'_>,
        (answered, failed): (&mut Delay, &mut Delay),
    ) {
        let written = &self.graph.written[number];
        if !self.world.fallback_works[&written.key] || failing <= 0.0 {
            return;
        }
        let Some(node) = written.fallback else {
            answered.append(failed);
            return;
        };
        let service = self.graph.nodes[node].service().expect("flows are not called");
        let usual = Usual::of(self.graph.topology.services[service].latency);
        let mut waits = failed.clone();
        if usual.mean() > 0.0 {
            let at_once = (failing - waiting::total(&waits)).max(0.0);
            waits.iter_mut().for_each(|piece| piece.length += usual.mean());
            waits.push(waiting::later(at_once, usual.mean()));
        }
        let waits = waiting::cut(waiting::scaled(&waits, 1.0 / failing), bounds);
        let instead: Delay = seen.delays[node]
            .iter()
            .map(|piece| waiting::later(piece.share, piece.mean(usual)))
            .collect();
        let answers = 1.0 - seen.states[node].slow - seen.states[node].down;
        let both = waiting::both(&waits, &instead, false, bounds);
        answered.extend(waiting::scaled(&both, failing * answers));
        *failed = waiting::scaled(&waits, failing * (1.0 - answers));
    }

    /// Step 6.
    fn fall_back(&self, number: usize, mut state: State, states: &[State]) -> State {
        let written = &self.graph.written[number];
        if !self.world.fallback_works[&written.key] {
            return state;
        }
        let call = written.dependency;
        let instead = written.fallback.map_or(State::OK, |node| states[node]);
        let d = state.down;
        state.degraded += d * (1.0 - instead.failing());
        state.corrupt += d * instead.corrupt;
        state.down = d * instead.down;
        if call.waits_per_attempt().is_some() || call.circuit_breaker == Some(true) {
            state.down += d * instead.slow;
        } else {
            state.slow += d * instead.slow;
        }
        state
    }
}

/// What a buffer does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Buffered {
    /// Nothing is felt.
    Held,
    /// It is full: the call acts as soft.
    Dropped,
    /// It is full: the call acts as hard.
    Blocked,
}

/// What is known of the nodes so far.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Who makes the call.
    pub(crate) caller: usize,
    pub(crate) states: &'a [State],
    pub(crate) delays: &'a [Delay],
}

/// How long the caller of an `any_of` waits: for the member that answers it.
fn waits_of_members(members: &[Member], together: State) -> (Delay, Delay) {
    let up: f64 = members.iter().map(|m| 1.0 - m.state.slow - m.state.down).sum();
    let down: f64 = members.iter().map(|m| m.state.down).sum();
    let served = (1.0 - together.slow - together.down).max(0.0);
    let (mut answered, mut failed) = (Delay::new(), Delay::new());
    for member in members {
        if up > 0.0 {
            answered.extend(waiting::scaled(&member.answered, served / up));
        }
        if down > 0.0 {
            failed.extend(waiting::scaled(&member.failed, together.down / down));
        }
    }
    (answered, failed)
}

/// What the members of an `any_of` come to together.
fn any_of(members: &[Member], needs: usize) -> State {
    let sum = |of: fn(State) -> f64| members.iter().map(|member| of(member.state)).sum::<f64>();
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let all_down: f64 = members.iter().map(|member| member.state.down).product();
    let too_few = fewer_up_than(members, needs);
    let slow = (1.0 - all_down) * share(sum(|m| m.slow), sum(|m| 1.0 - m.down));
    let down = (too_few - slow).max(0.0);
    let up = sum(|m| 1.0 - m.slow - m.down);
    let served = 1.0 - slow - down;
    State {
        slow,
        down,
        corrupt: served * share(sum(|m| m.corrupt), up),
        degraded: served * share(sum(|m| m.degraded), up),
    }
}

/// The probability that fewer than `needs` members are neither slow nor down.
fn fewer_up_than(members: &[Member], needs: usize) -> f64 {
    // By number of members that are up: the probability of it among those looked at so far.
    let mut chances = vec![0.0; members.len() + 1];
    chances[0] = 1.0;
    for member in members {
        let up = 1.0 - member.state.slow - member.state.down;
        for count in (0..chances.len()).rev() {
            let one_less = if count > 0 { chances[count - 1] } else { 0.0 };
            chances[count] = chances[count] * (1.0 - up) + one_less * up;
        }
    }
    chances[..needs].iter().sum()
}

fn each(a: [f64; 4], b: [f64; 4], join: fn(f64, f64) -> f64) -> [f64; 4] {
    std::array::from_fn(|level| join(a[level], b[level]))
}
