//! What chance decides in 512 trials, kept so that one trial at a time can be asked for it.

use super::chances::{Chances, Draws};
use super::fall::Background;
use super::wiring::{Edge, Wiring};
use crate::compile::Plan;
use crate::compile::plan::{Dependency, Fallback, Replica, Service};
use crate::engine::simd::{Bits, Word};

/// The draws of a block of trials.
pub(super) struct World {
    /// By trial and edge, a bit each: whether failure crosses it.
    crossing: Vec<u64>,
    /// How many numbers of `crossing` a trial has.
    row: usize,
    /// By dependency as written; drawn only for those that are asked.
    reaches: Vec<Word>,
    works: Vec<Word>,
    services: Vec<Word>,
    replicas: Vec<Word>,
    /// By domain: down for its own reasons.
    pub(super) domains: Vec<Word>,
}

impl World {
    /// Draws what may be asked for.
    #[inline(always)]
    pub(super) fn new<B: Bits>(plan: &Plan, wiring: &Wiring, draws: Draws<'_, B>) -> Self {
        let bits = draws.bits;
        let word = |v: B::V| {
            let mut word = Word::NONE;
            bits.store(&mut word, v);
            word
        };
        let edges = wiring.edges();
        let row = edges.len().div_ceil(64);
        let mut crossing = vec![0_u64; row * 512];
        for (group, edges) in edges.chunks(64).enumerate() {
            let mut square = [[0_u64; 64]; 8];
            for (place, edge) in edges.iter().enumerate() {
                let drawn = word(draws.crosses(edge, 0, bits.all()));
                for part in 0..8 {
                    square[part][place] = drawn.0[part];
                }
            }
            for (part, square) in square.iter_mut().enumerate() {
                transpose(square);
                for (trial, edges) in square.iter().enumerate() {
                    crossing[(part * 64 + trial) * row + group] = *edges;
                }
            }
        }
        let has_asked = wiring.has_asked();
        let of_dependencies = if has_asked { plan.dependencies.len() } else { 0 };
        let mut reaches = vec![Word::NONE; of_dependencies];
        let mut works = vec![Word::NONE; of_dependencies];
        for call in wiring.all_asked().map(|index| &plan.calls[index as usize]) {
            let it = &plan.dependencies[call.dependency as usize];
            let all = bits.all();
            reaches[call.dependency as usize] = word(draws.reaches(call.dependency, it, all));
            if call.fallback() != Fallback::None {
                works[call.dependency as usize] = word(draws.works(call.dependency, it, all));
            }
        }
        let domain = |it: &crate::compile::plan::Domain| {
            word(draws.unless_sure(it.key.0, it.unavailability, it.during))
        };
        let numbered = |number: usize| number as u32;
        Self {
            crossing,
            row,
            reaches,
            works,
            services: (plan.services.iter().enumerate())
                .map(|(number, it)| word(draws.service(numbered(number), it)))
                .collect(),
            replicas: (plan.replicas.iter().enumerate())
                .map(|(number, it)| word(draws.replica(numbered(number), it)))
                .collect(),
            domains: plan.domains.iter().map(domain).collect(),
        }
    }
}

/// One trial of a world: chance decides the same in all lanes.
#[derive(Clone, Copy)]
pub(super) struct OneTrial<'w, B: Bits> {
    pub(super) bits: B,
    pub(super) world: &'w World,
    pub(super) trial: u32,
    /// The dependencies that break.
    pub(super) broken: Option<Broken<'w, B>>,
}

/// Dependencies that break, a lane each.
#[derive(Clone, Copy)]
pub(super) struct Broken<'w, B: Bits> {
    /// By dependency: its lane, or more than there are.
    pub(super) lanes: &'w [u32],
    /// By edge: its dependency.
    pub(super) dependencies: &'w [u32],
    /// Slow, down, corrupt.
    pub(super) does: [B::V; 3],
}

impl<B: Bits> OneTrial<'_, B> {
    /// Of these lanes all or none, as failure crosses the edge at this place or does not.
    #[inline(always)]
    pub(super) fn draw_edge(&self, place: u32, lanes: B::V) -> B::V {
        let row = self.trial as usize * self.world.row;
        let crosses = self.world.crossing[row + place as usize / 64] >> (place % 64) & 1 == 1;
        self.bits.and(lanes, fill(self.bits, crosses))
    }

    /// All lanes or none, as the trial is among those of a word or not.
    #[inline(always)]
    pub(super) fn of_word(&self, word: &Word) -> B::V {
        fill(self.bits, is_in(word, self.trial))
    }
}

/// Whether a trial is among those of a word.
#[inline(always)]
pub(super) fn is_in(word: &Word, trial: u32) -> bool {
    word.0[trial as usize / 64] >> (trial % 64) & 1 == 1
}

#[inline(always)]
fn fill<B: Bits>(bits: B, is: bool) -> B::V {
    bits.fill(-i64::from(is))
}

/// One lane alone.
#[inline(always)]
pub(super) fn lane<B: Bits>(bits: B, lane: u32) -> B::V {
    let mut word = Word::NONE;
    if let Some(part) = word.0.get_mut(lane as usize / 64) {
        *part = 1 << (lane % 64);
    }
    bits.load(&word)
}

impl<B: Bits> Chances<B> for OneTrial<'_, B> {
    #[inline(always)]
    fn bits(self) -> B {
        self.bits
    }

    #[inline(always)]
    fn crosses(self, _edge: &Edge, place: u32, relevant: B::V) -> B::V {
        let crossing = self.draw_edge(place, relevant);
        match self.broken {
            None => crossing,
            Some(broken) => {
                let dependency = broken.dependencies[place as usize];
                let its = lane(self.bits, broken.lanes[dependency as usize]);
                self.bits.without(crossing, its)
            }
        }
    }

    #[inline(always)]
    fn reaches(self, number: u32, _dependency: &Dependency, relevant: B::V) -> B::V {
        self.bits.and(relevant, self.of_word(&self.world.reaches[number as usize]))
    }

    #[inline(always)]
    fn works(self, number: u32, _dependency: &Dependency, relevant: B::V) -> B::V {
        self.bits.and(relevant, self.of_word(&self.world.works[number as usize]))
    }

    #[inline(always)]
    fn breaks(self, number: u32) -> Option<(B::V, [B::V; 3])> {
        let broken = self.broken?;
        Some((lane(self.bits, broken.lanes[number as usize]), broken.does))
    }
}

impl<B: Bits> Background<B> for OneTrial<'_, B> {
    #[inline(always)]
    fn service(self, number: u32, _service: &Service) -> B::V {
        self.of_word(&self.world.services[number as usize])
    }

    #[inline(always)]
    fn replica(self, number: u32, _replica: &Replica) -> B::V {
        self.of_word(&self.world.replicas[number as usize])
    }
}

/// Makes rows columns: bit `j` of row `i` becomes bit `i` of row `j`.
///
/// Warren, "Hacker's Delight" (2nd edition, 2012), section 7-3, with bits counted from the low end.
fn transpose(square: &mut [u64; 64]) {
    let mut mask = 0x0000_0000_ffff_ffff_u64;
    let mut width = 32;
    while width > 0 {
        let mut row = 0;
        while row < 64 {
            let swapped = (square[row] >> width ^ square[row + width]) & mask;
            square[row] ^= swapped << width;
            square[row + width] ^= swapped;
            row = (row + width + 1) & !width;
        }
        width >>= 1;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn rows_become_columns() {
        let mut square: [u64; 64] =
            std::array::from_fn(|row| (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let before = square;
        transpose(&mut square);
        for row in 0..64 {
            for column in 0..64 {
                assert_eq!(square[row] >> column & 1, before[column] >> row & 1);
            }
        }
    }
}
