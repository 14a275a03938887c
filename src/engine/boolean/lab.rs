//! 512 trials of one plan: what is down, what that takes with it, until nothing is new.

use std::collections::BTreeSet;

use super::wiring::{Edge, Way, Wiring, bend};
use crate::compile::plan::{Hit, NONE, Plan};
use crate::engine::cycles::{LAST_ROUNDS, free_rounds};
use crate::engine::draws::{RoundKeys, digits};
use crate::engine::simd::{Bits, Word};

/// Room for 512 trials.
///
/// A node has `P` planes of bits, each a superset of the one before. One: failed. Two: failed;
/// degraded or worse. Four: slow; slow or down; slow, down or corrupt; any of these or degraded.
pub(super) struct Lab<'a, const P: usize> {
    pub(super) plan: &'a Plan,
    pub(super) wiring: &'a Wiring,
    /// By node.
    pub(super) state: Vec<[Word; P]>,
    /// By node in a cycle: what was passed on inside it.
    passed_on: Vec<[Word; P]>,
    /// A bit per node: something in it is new.
    awake: Vec<u64>,
    /// Nodes that were awake.
    pub(super) touched: Vec<u32>,
    /// By service: the trials in which it is in a cycle that did not come to rest.
    pub(super) restless: Vec<(u32, Word)>,
    pub(super) keys: RoundKeys,
    domains: Vec<Word>,
    /// Services that may be down in the background or through a target domain.
    ailing: &'a [u32],
}

/// The plane of what fails.
pub(super) const fn failing<const P: usize>() -> usize {
    if P == 4 { 2 } else { 0 }
}

/// What a node, or a call, does: four planes that exclude each other.
#[derive(Clone, Copy)]
pub(super) struct Apart<V> {
    pub(super) slow: V,
    pub(super) down: V,
    pub(super) corrupt: V,
    pub(super) degraded: V,
}

impl<'a, const P: usize> Lab<'a, P> {
    pub(super) fn new(plan: &'a Plan, wiring: &'a Wiring, ailing: &'a [u32]) -> Self {
        let nodes = plan.nodes.len();
        let has_cycles = wiring.ways.iter().any(|way| *way != Way::Single);
        Self {
            plan,
            wiring,
            state: vec![[Word::NONE; P]; nodes],
            passed_on: vec![[Word::NONE; P]; if has_cycles { nodes } else { 0 }],
            awake: vec![0; nodes.div_ceil(64)],
            touched: Vec::new(),
            restless: Vec::new(),
            keys: RoundKeys::new(0, 0),
            domains: vec![Word::NONE; plan.domains.len()],
            ailing,
        }
    }

    /// Computes block `block` of a seed: the trials from `512 * block` on.
    #[inline(always)]
    pub(super) fn block<B: Bits>(&mut self, bits: B, seed: u64, block: u64) {
        self.clear();
        self.keys = RoundKeys::new(seed, block);
        let draws = Draws::new(bits, &self.keys);
        self.fall(draws);
        let mut word = 0;
        while word < self.awake.len() {
            if self.awake[word] == 0 {
                word += 1;
                continue;
            }
            let node = word as u32 * 64 + self.awake[word].trailing_zeros();
            let group = self.plan.nodes[node as usize].group as usize;
            match self.wiring.ways[group] {
                Way::Single => {
                    self.awake[word] &= self.awake[word] - 1;
                    self.touched.push(node);
                    self.ask(draws, node);
                    self.pass_on(draws, node);
                }
                Way::Spread => self.spread(draws, group),
                Way::Rounds => self.rounds(draws, group),
            }
        }
    }

    fn clear(&mut self) {
        for node in self.touched.drain(..) {
            self.state[node as usize] = [Word::NONE; P];
            if let Some(passed_on) = self.passed_on.get_mut(node as usize) {
                *passed_on = [Word::NONE; P];
            }
        }
        self.restless.clear();
    }

    #[inline(always)]
    fn wake(&mut self, node: u32) {
        self.awake[node as usize / 64] |= 1 << (node % 64);
    }

    /// Adds these planes to a node.
    #[inline(always)]
    fn add<B: Bits>(&mut self, bits: B, node: u32, planes: [B::V; P]) {
        let state = &mut self.state[node as usize];
        let mut any_new = bits.none();
        for plane in 0..P {
            let old = bits.load(&state[plane]);
            any_new = bits.or(any_new, bits.without(planes[plane], old));
            bits.store(&mut state[plane], bits.or(old, planes[plane]));
        }
        if !bits.is_none(any_new) {
            self.wake(node);
        }
    }

    /// What is down, slow or corrupt by itself.
    #[inline(always)]
    fn fall<B: Bits>(&mut self, draws: Draws<B>) {
        let bits = draws.bits;
        for index in 0..self.plan.domains.len() {
            let it = &self.plan.domains[index];
            let down = draws.unless_sure(it.key.0, it.unavailability, it.during);
            bits.store(&mut self.domains[index], down);
        }
        for target in 0..self.plan.targets.len() {
            self.strike(draws, target);
        }
        for domain in &self.plan.domain_order {
            let within = self.plan.domains[*domain as usize].within;
            if within != NONE {
                let both = bits.or(
                    bits.load(&self.domains[*domain as usize]),
                    bits.load(&self.domains[within as usize]),
                );
                bits.store(&mut self.domains[*domain as usize], both);
            }
        }
        for service in self.ailing {
            let down = self.service_down(draws, *service);
            if !bits.is_none(down) {
                let planes = planes_of(bits, Apart { down, ..Apart::ok(bits) });
                for node in self.plan.nodes_of(*service) {
                    self.add(bits, node, planes);
                }
            }
        }
    }

    /// What a broken target does by itself.
    #[inline(always)]
    fn strike<B: Bits>(&mut self, draws: Draws<B>, target: usize) {
        let (bits, it) = (draws.bits, &self.plan.targets[target]);
        let broken = draws.chance(it.key.0, it.probability, bits.all());
        if let Hit::Domain(domain) = it.hit {
            let domain = &mut self.domains[domain as usize];
            let both = bits.or(bits.load(domain), broken);
            bits.store(domain, both);
            return;
        }
        let mut left = broken;
        let [down, slow, corrupt] = [0, 1, 2].map(|mode| {
            let drawn = draws.chance(it.mode_keys[mode].0, it.modes[mode], left);
            left = bits.without(left, drawn);
            drawn
        });
        let planes = planes_of(bits, Apart { slow, down, corrupt, degraded: bits.none() });
        match it.hit {
            Hit::Endpoint { node, .. } => self.add(bits, node, planes),
            Hit::Service(service) => {
                for node in self.plan.nodes_of(service) {
                    self.add(bits, node, planes);
                }
            }
            Hit::Domain(_) => {}
        }
    }

    #[inline(always)]
    fn service_down<B: Bits>(&self, draws: Draws<B>, service: u32) -> B::V {
        let (bits, it) = (draws.bits, &self.plan.services[service as usize]);
        let mut down = draws.unless_sure(it.key.0, it.unavailability, it.during);
        let mut domains =
            it.domains.iter().map(|domain| bits.load(&self.domains[*domain as usize]));
        if let Some(first) = domains.next() {
            down = bits.or(down, domains.fold(first, |all, domain| bits.and(all, domain)));
        }
        let count = it.replicas.len() as u32;
        if count == 0 {
            return down;
        }
        let mut lost = Counter::new(bits);
        for replica in it.replicas.clone() {
            let replica = &self.plan.replicas[replica as usize];
            let mut fails = draws.chance(replica.key.0, replica.unavailability, bits.all());
            if replica.domain != NONE {
                fails = bits.or(fails, bits.load(&self.domains[replica.domain as usize]));
            }
            lost.add(bits, fails);
        }
        bits.or(down, lost.at_least(bits, count - it.needs + 1))
    }

    /// Asks the calls of a node that are more than edges what they bring.
    #[inline(always)]
    fn ask<B: Bits>(&mut self, draws: Draws<B>, node: u32) {
        for index in self.wiring.asked(node) {
            let planes = self.answer(draws, *index);
            let state = &mut self.state[node as usize];
            for plane in 0..P {
                let old = draws.bits.load(&state[plane]);
                draws.bits.store(&mut state[plane], draws.bits.or(old, planes[plane]));
            }
        }
    }

    /// Passes on what a node does to everything outside its group.
    #[inline(always)]
    fn pass_on<B: Bits>(&mut self, draws: Draws<B>, node: u32) {
        let wiring = self.wiring;
        let state = self.state[node as usize];
        let planes: [B::V; P] = std::array::from_fn(|plane| draws.bits.load(&state[plane]));
        if draws.bits.is_none(planes[P - 1]) {
            return;
        }
        for edge in wiring.outside(node) {
            self.push(draws, edge, planes);
        }
        for caller in wiring.wakes(node) {
            self.wake(*caller);
        }
    }

    /// Passes these planes on over an edge: only what is new to the caller, so that each edge is
    /// drawn at most once in each trial.
    #[inline(always)]
    fn push<B: Bits>(&mut self, draws: Draws<B>, edge: &Edge, planes: [B::V; P]) {
        let bits = draws.bits;
        let brought = bent(bits, edge.bend, planes);
        let state = &mut self.state[edge.caller as usize];
        let mut new: [B::V; P] =
            std::array::from_fn(|plane| bits.without(brought[plane], bits.load(&state[plane])));
        let mut relevant = new[0];
        for plane in &new[1..] {
            relevant = bits.or(relevant, *plane);
        }
        if bits.is_none(relevant) {
            return;
        }
        if edge.digits != 0 {
            let reaches = draws.draw(edge.key, edge.digits, relevant);
            if bits.is_none(reaches) {
                return;
            }
            for plane in &mut new {
                *plane = bits.and(*plane, reaches);
            }
        }
        for plane in 0..P {
            let old = bits.load(&state[plane]);
            bits.store(&mut state[plane], bits.or(old, new[plane]));
        }
        self.wake(edge.caller);
    }

    /// A cycle in which things only get worse: forward through its nodes as long as something is
    /// new, then again from the front, until nothing is.
    #[inline(always)]
    fn spread<B: Bits>(&mut self, draws: Draws<B>, group: usize) {
        let (bits, wiring) = (draws.bits, self.wiring);
        let nodes = self.plan.groups[group].nodes.clone();
        let first_touched = self.touched.len();
        while let Some(node) = self.next_awake(nodes.start, nodes.end) {
            let mut next = Some(node);
            while let Some(node) = next {
                self.awake[node as usize / 64] &= !(1 << (node % 64));
                self.touched.push(node);
                self.ask(draws, node);
                let state = self.state[node as usize];
                let passed = std::mem::replace(&mut self.passed_on[node as usize], state);
                let new: [B::V; P] = std::array::from_fn(|plane| {
                    bits.without(bits.load(&state[plane]), bits.load(&passed[plane]))
                });
                if state != passed {
                    for edge in wiring.inside(node) {
                        self.push(draws, edge, new);
                    }
                    for caller in wiring.wakes(node).iter().filter(|it| nodes.contains(it)) {
                        self.wake(*caller);
                    }
                }
                next = self.next_awake(node + 1, nodes.end);
            }
        }
        let mut touched = self.touched.split_off(first_touched);
        touched.sort_unstable();
        touched.dedup();
        self.touched.append(&mut touched);
        self.leave(draws, first_touched);
    }

    /// Passes on what the nodes of a group do to everything outside it.
    #[inline(always)]
    fn leave<B: Bits>(&mut self, draws: Draws<B>, first_touched: usize) {
        for index in first_touched..self.touched.len() {
            let node = self.touched[index];
            let group = self.plan.nodes[node as usize].group;
            let state = self.state[node as usize];
            let planes: [B::V; P] = std::array::from_fn(|plane| draws.bits.load(&state[plane]));
            for edge in self.wiring.outside(node) {
                self.push(draws, edge, planes);
            }
            for caller in self.wiring.wakes(node) {
                if self.plan.nodes[*caller as usize].group != group {
                    self.wake(*caller);
                }
            }
        }
    }

    /// The first node from one on, before another, in which something is new.
    #[inline(always)]
    fn next_awake(&self, from: u32, to: u32) -> Option<u32> {
        let mut word = from as usize / 64;
        let mut bits = self.awake.get(word)? & (u64::MAX << (from % 64));
        loop {
            if bits != 0 {
                let node = word as u32 * 64 + bits.trailing_zeros();
                return (node < to).then_some(node);
            }
            word += 1;
            if word * 64 >= to as usize {
                return None;
            }
            bits = self.awake[word];
        }
    }

    /// A cycle in which a failure may hide a wrong answer: each round from the states of the round
    /// before, from all-ok, as the fluid engine does it.
    #[inline(always)]
    fn rounds<B: Bits>(&mut self, draws: Draws<B>, group: usize) {
        let bits = draws.bits;
        let nodes = self.plan.groups[group].nodes.clone();
        let first_touched = self.touched.len();
        self.touched.extend(nodes.clone());
        for node in nodes.clone() {
            self.awake[node as usize / 64] &= !(1 << (node % 64));
        }
        // What comes from outside and from a node's own health is the same in every round.
        let base: Vec<[Word; P]> = nodes.clone().map(|node| self.state[node as usize]).collect();
        for node in nodes.clone() {
            self.state[node as usize] = [Word::NONE; P];
        }
        let free = free_rounds(nodes.len());
        let mut moving = Word::ALL;
        let mut restless = Word::NONE;
        let mut new = base.clone();
        for round in 0..free + LAST_ROUNDS {
            let mut moved = bits.none();
            for (place, node) in nodes.clone().enumerate() {
                let mut planes: [B::V; P] =
                    std::array::from_fn(|plane| bits.load(&base[place][plane]));
                for index in self.wiring.asked(node) {
                    let brought = self.answer(draws, *index);
                    for plane in 0..P {
                        planes[plane] = bits.or(planes[plane], brought[plane]);
                    }
                }
                for plane in 0..P {
                    let old = bits.load(&self.state[node as usize][plane]);
                    let mut plane_new = planes[plane];
                    if round >= free {
                        plane_new = bits.or(plane_new, old);
                    }
                    let live = bits.load(&moving);
                    let chosen = bits.or(bits.and(plane_new, live), bits.without(old, live));
                    moved = bits.or(moved, bits.xor(chosen, old));
                    bits.store(&mut new[place][plane], chosen);
                }
            }
            for (place, node) in nodes.clone().enumerate() {
                self.state[node as usize] = new[place];
            }
            let still = bits.and(bits.load(&moving), moved);
            bits.store(&mut moving, still);
            if moving.is_none() {
                break;
            }
            if round + 1 == free {
                restless = moving;
            }
        }
        if !restless.is_none() {
            let services = nodes.map(|node| self.plan.nodes[node as usize].service);
            let services: BTreeSet<u32> = services.filter(|it| *it != NONE).collect();
            self.restless.extend(services.into_iter().map(|it| (it, restless)));
        }
        self.leave(draws, first_touched);
    }
}

/// The draws of a block.
#[derive(Clone, Copy)]
pub(super) struct Draws<B: Bits> {
    pub(super) bits: B,
    round_keys: [B::V; 5],
}

impl<B: Bits> Draws<B> {
    #[inline(always)]
    pub(super) fn new(bits: B, keys: &RoundKeys) -> Self {
        Self { bits, round_keys: keys.0.map(|key| bits.splat(key)) }
    }

    /// Everything where it is sure, else an event of this probability.
    #[inline(always)]
    fn unless_sure(self, key: u128, probability: f64, is_sure: bool) -> B::V {
        if is_sure { self.bits.all() } else { self.chance(key, probability, self.bits.all()) }
    }

    /// The relevant trials in which an event of this probability happens.
    #[inline(always)]
    pub(super) fn chance(self, key: u128, probability: f64, relevant: B::V) -> B::V {
        match digits(probability) {
            Some(digits) => self.draw(key, digits, relevant),
            None if probability >= 1.0 => relevant,
            None => self.bits.none(),
        }
    }

    /// The same by the binary digits of the probability; see [`crate::engine::draws`].
    #[inline(always)]
    fn draw(self, key: u128, mut digits: u64, relevant: B::V) -> B::V {
        let bits = self.bits;
        let mut states = bits.number(bits.splat(key));
        let (mut below, mut undecided) = (bits.none(), relevant);
        // Eight words at a time keep the AES units busy, and most trials are decided by then.
        for _ in 0..8 {
            for _ in 0..8 {
                let word = self.word(states);
                let digit = bits.fill(digits.cast_signed());
                // Where the digit is 1, a 0 decides for, where it is 0, a 1 decides against.
                let decides = bits.xor(word, digit);
                below = bits.or(below, bits.and(bits.and(undecided, decides), digit));
                undecided = bits.without(undecided, decides);
                digits <<= 1;
                states = bits.step(states);
            }
            if digits == 0 || bits.is_none(undecided) {
                break;
            }
        }
        below
    }

    #[inline(always)]
    fn word(self, states: B::V) -> B::V {
        let bits = self.bits;
        let mut state = bits.xor(states, self.round_keys[0]);
        for round_key in &self.round_keys[1..] {
            state = bits.aes_round(state, *round_key);
        }
        state
    }
}

/// Counts of trials, bit by bit: the plane `i` holds the binary digit `i` of each trial's count.
pub(super) struct Counter<V> {
    digits: Vec<V>,
}

impl<V: Copy> Counter<V> {
    pub(super) fn new<B: Bits<V = V>>(_bits: B) -> Self {
        Self { digits: Vec::new() }
    }

    #[inline(always)]
    pub(super) fn add<B: Bits<V = V>>(&mut self, bits: B, mut carry: V) {
        for digit in &mut self.digits {
            if bits.is_none(carry) {
                return;
            }
            let sum = bits.xor(*digit, carry);
            carry = bits.and(*digit, carry);
            *digit = sum;
        }
        if !bits.is_none(carry) {
            self.digits.push(carry);
        }
    }

    /// The trials whose count is at least this.
    #[inline(always)]
    pub(super) fn at_least<B: Bits<V = V>>(&self, bits: B, limit: u32) -> V {
        let (mut more, mut equal) = (bits.none(), bits.all());
        let width = self.digits.len().max(32 - limit.leading_zeros() as usize);
        for place in (0..width).rev() {
            let digit = self.digits.get(place).copied().unwrap_or(bits.none());
            if limit >> place & 1 == 1 {
                equal = bits.and(equal, digit);
            } else {
                more = bits.or(more, bits.and(equal, digit));
                equal = bits.without(equal, digit);
            }
        }
        bits.or(more, equal)
    }
}

impl<V: Copy> Apart<V> {
    #[inline(always)]
    pub(super) fn ok<B: Bits<V = V>>(bits: B) -> Self {
        let none = bits.none();
        Self { slow: none, down: none, corrupt: none, degraded: none }
    }
}

/// The planes of a node that does these things.
#[inline(always)]
pub(super) fn planes_of<B: Bits, const P: usize>(bits: B, it: Apart<B::V>) -> [B::V; P] {
    let unanswered = bits.or(it.slow, it.down);
    let failing = bits.or(unanswered, it.corrupt);
    let any = bits.or(failing, it.degraded);
    match P {
        1 => [failing; P],
        2 => std::array::from_fn(|plane| if plane == 0 { failing } else { any }),
        _ => std::array::from_fn(|plane| [it.slow, unanswered, failing, any][plane]),
    }
}

/// What planes mean, taken apart.
#[inline(always)]
pub(super) fn apart<B: Bits, const P: usize>(bits: B, planes: [B::V; P]) -> Apart<B::V> {
    let ok = Apart::ok(bits);
    match P {
        1 => Apart { down: planes[0], ..ok },
        2 => Apart { down: planes[0], degraded: bits.without(planes[P - 1], planes[0]), ..ok },
        _ => Apart {
            slow: planes[0],
            down: bits.without(planes[1 % P], planes[0]),
            corrupt: bits.without(planes[2 % P], planes[1 % P]),
            degraded: bits.without(planes[P - 1], planes[2 % P]),
        },
    }
}

/// What an edge makes of planes.
#[inline(always)]
fn bent<B: Bits, const P: usize>(bits: B, how: u8, planes: [B::V; P]) -> [B::V; P] {
    if P == 1 || how == 0 {
        return planes;
    }
    if P == 2 {
        let is_soft = how & bend::SOFT != 0;
        return if is_soft {
            std::array::from_fn(|plane| if plane == 0 { bits.none() } else { planes[0] })
        } else {
            planes
        };
    }
    let [mut slow, mut unanswered, mut failing, mut any] =
        [0, 1, 2, 3].map(|plane| planes[plane % P]);
    if how & bend::SOFT != 0 {
        any = failing;
    }
    if how & bend::GIVES_UP != 0 {
        slow = bits.none();
    }
    if how & bend::VALIDATES != 0 {
        unanswered = failing;
    }
    if how & bend::SOFT != 0 {
        (unanswered, failing) = (slow, slow);
    }
    std::array::from_fn(|plane| [slow, unanswered, failing, any][plane])
}
