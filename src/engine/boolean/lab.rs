//! 512 trials of one plan: what is down, what that takes with it, until nothing is new.

use std::collections::BTreeSet;
use std::ops::Range;

use super::chances::{Chances, Draws};
use super::planes::bent;
use super::wiring::{Edge, Way, Wiring};
use crate::compile::plan::{NONE, Plan};
use crate::engine::cycles::{LAST_ROUNDS, free_rounds};
use crate::engine::draws::RoundKeys;
use crate::engine::simd::{Bits, Word, array};

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
    pub(super) domains: Vec<Word>,
    /// Services that may be down in the background or through a target domain.
    pub(super) ailing: &'a [u32],
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
        let keys = RoundKeys::new(seed, block);
        self.keys = keys;
        let draws = Draws::new(bits, &keys);
        self.fall(draws);
        self.sweep(draws);
    }

    /// Passes on what is new until nothing is.
    #[inline(always)]
    pub(super) fn sweep<B: Bits>(&mut self, chances: impl Chances<B>) {
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
                    self.ask(chances, node);
                    self.pass_on(chances, node);
                }
                Way::Spread => self.spread(chances, group),
                Way::Rounds => self.rounds(chances, group),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        for node in self.touched.drain(..) {
            self.state[node as usize] = [Word::NONE; P];
            if let Some(passed_on) = self.passed_on.get_mut(node as usize) {
                *passed_on = [Word::NONE; P];
            }
        }
        self.restless.clear();
    }

    #[inline(always)]
    pub(super) fn wake(&mut self, node: u32) {
        self.awake[node as usize / 64] |= 1 << (node % 64);
    }

    /// Adds these planes to a node.
    #[inline(always)]
    pub(super) fn add<B: Bits>(&mut self, bits: B, node: u32, planes: [B::V; P]) {
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

    /// Asks the calls of a node that are more than edges what they bring.
    #[inline(always)]
    fn ask<B: Bits>(&mut self, chances: impl Chances<B>, node: u32) {
        for index in self.wiring.asked(node) {
            let planes = self.answer(chances, *index);
            let state = &mut self.state[node as usize];
            for plane in 0..P {
                let old = chances.bits().load(&state[plane]);
                chances.bits().store(&mut state[plane], chances.bits().or(old, planes[plane]));
            }
        }
    }

    /// Passes on what a node does to everything outside its group.
    #[inline(always)]
    fn pass_on<B: Bits>(&mut self, chances: impl Chances<B>, node: u32) {
        let wiring = self.wiring;
        let state = self.state[node as usize];
        let planes: [B::V; P] = array(|plane| chances.bits().load(&state[plane]));
        if chances.bits().is_none(planes[P - 1]) {
            return;
        }
        for (place, edge) in wiring.outside(node) {
            self.push(chances, place, edge, planes);
        }
        for caller in wiring.wakes(node) {
            self.wake(*caller);
        }
    }

    /// Passes these planes on over an edge: only what is new to the caller, so that each edge is
    /// drawn at most once in each trial.
    #[inline(always)]
    fn push<B: Bits>(
        &mut self,
        chances: impl Chances<B>,
        place: u32,
        edge: &Edge,
        planes: [B::V; P],
    ) {
        let bits = chances.bits();
        let brought = bent(bits, edge.bend, planes);
        let state = &mut self.state[edge.caller as usize];
        let mut new: [B::V; P] =
            array(|plane| bits.without(brought[plane], bits.load(&state[plane])));
        let mut relevant = new[0];
        for plane in &new[1..] {
            relevant = bits.or(relevant, *plane);
        }
        if bits.is_none(relevant) {
            return;
        }
        let reaches = chances.crosses(edge, place, relevant);
        if bits.is_none(reaches) {
            return;
        }
        for plane in &mut new {
            *plane = bits.and(*plane, reaches);
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
    fn spread<B: Bits>(&mut self, chances: impl Chances<B>, group: usize) {
        let (bits, wiring) = (chances.bits(), self.wiring);
        let nodes = self.plan.groups[group].nodes.clone();
        let first_touched = self.touched.len();
        while let Some(node) = self.next_awake(nodes.start, nodes.end) {
            let mut next = Some(node);
            while let Some(node) = next {
                self.awake[node as usize / 64] &= !(1 << (node % 64));
                self.touched.push(node);
                self.ask(chances, node);
                let state = self.state[node as usize];
                let passed = std::mem::replace(&mut self.passed_on[node as usize], state);
                let new: [B::V; P] = array(|plane| {
                    bits.without(bits.load(&state[plane]), bits.load(&passed[plane]))
                });
                if state != passed {
                    for (place, edge) in wiring.inside(node) {
                        self.push(chances, place, edge, new);
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
        self.leave(chances, first_touched);
    }

    /// Passes on what the nodes of a group do to everything outside it.
    #[inline(always)]
    fn leave<B: Bits>(&mut self, chances: impl Chances<B>, first_touched: usize) {
        chances.bits().apart(
            #[inline(always)]
            || self.pass_out(chances, first_touched),
        );
    }

    #[inline(always)]
    fn pass_out<B: Bits>(&mut self, chances: impl Chances<B>, first_touched: usize) {
        for index in first_touched..self.touched.len() {
            let node = self.touched[index];
            let group = self.plan.nodes[node as usize].group;
            let state = self.state[node as usize];
            let planes: [B::V; P] = array(|plane| chances.bits().load(&state[plane]));
            for (place, edge) in self.wiring.outside(node) {
                self.push(chances, place, edge, planes);
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
    fn rounds<B: Bits>(&mut self, chances: impl Chances<B>, group: usize) {
        let bits = chances.bits();
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
                let mut planes: [B::V; P] = array(|plane| bits.load(&base[place][plane]));
                for index in self.wiring.asked(node) {
                    let brought = self.answer(chances, *index);
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
            self.note_restless(nodes, restless);
        }
        self.leave(chances, first_touched);
    }

    #[inline(never)]
    fn note_restless(&mut self, nodes: Range<u32>, restless: Word) {
        let services = nodes.map(|node| self.plan.nodes[node as usize].service);
        let services: BTreeSet<u32> = services.filter(|it| *it != NONE).collect();
        self.restless.extend(services.into_iter().map(|it| (it, restless)));
    }
}
