//! Random decisions of one block, stored so that a single trial can read them for all lanes.

use super::own_failures::BackgroundFailures;
use super::propagation_graph::{Edge, PropagationGraph};
use super::random_source::{BlockDraws, RandomSource};
use crate::compile::Plan;
use crate::compile::plan::{
    Dependency, DependencyId, DomainId, Fallback, Replica, ReplicaId, Service, ServiceId,
};
use crate::engine::simd::{Bits, LaneMask};
use crate::model::id::Table;

/// Random decisions of the 512 trials of a block.
pub(super) struct SampledBlock {
    /// Edge crossings: one bit by trial and edge.
    crossing: Vec<u64>,
    /// Number of `u64` in `crossing` for each trial.
    row: usize,
    /// Propagation by dependency; drawn only for dependencies with evaluated calls.
    reaches: Table<DependencyId, LaneMask>,
    works: Table<DependencyId, LaneMask>,
    services: Table<ServiceId, LaneMask>,
    replicas: Table<ReplicaId, LaneMask>,
    /// Own failures by domain.
    pub(super) domains: Table<DomainId, LaneMask>,
}

impl SampledBlock {
    /// Draws all decisions that may be read.
    #[inline(always)]
    pub(super) fn new<B: Bits>(
        plan: &Plan,
        graph: &PropagationGraph,
        draws: BlockDraws<'_, B>,
    ) -> Self {
        let bits = draws.bits;
        let word = |v: B::V| {
            let mut word = LaneMask::NONE;
            bits.store(&mut word, v);
            word
        };
        let edges = graph.all_edges();
        let row = edges.len().div_ceil(64);
        // A row for each trial, since a ranking walks through the trials one by one.
        let mut crossing = vec![0_u64; row * 512];
        // Drawn for all trials of an edge, but read for all edges of a trial: squares of 64 are
        // turned.
        for (group, edges) in edges.chunks(64).enumerate() {
            let mut square = [[0_u64; 64]; 8];
            for (place, edge) in edges.iter().enumerate() {
                let drawn = word(draws.edge_crossings(edge, 0, bits.all()));
                for part in 0..8 {
                    square[part][place] = drawn.0[part];
                }
            }
            for (part, square) in square.iter_mut().enumerate() {
                transpose_square(square);
                for (trial, edges) in square.iter().enumerate() {
                    crossing[(part * 64 + trial) * row + group] = *edges;
                }
            }
        }
        // Without evaluated calls nobody reads these.
        let has_evaluated = graph.has_evaluated();
        let of_dependencies = if has_evaluated { plan.dependencies.len() } else { 0 };
        let mut reaches = Table::filled(LaneMask::NONE, of_dependencies);
        let mut works = Table::filled(LaneMask::NONE, of_dependencies);
        for call in graph.all_evaluated().map(|index| &plan.calls[index]) {
            let dependency = &plan.dependencies[call.dependency];
            let all = bits.all();
            reaches[call.dependency] =
                word(draws.propagation_lanes(call.dependency, dependency, all));
            if call.fallback() != Fallback::None {
                works[call.dependency] =
                    word(draws.fallback_successes(call.dependency, dependency, all));
            }
        }
        let domain = |domain: &crate::compile::plan::Domain| {
            word(draws.draw_unless_certain(domain.key.0, domain.unavailability, domain.during))
        };
        Self {
            crossing,
            row,
            reaches,
            works,
            services: (plan.services.entries())
                .map(|(id, service)| word(draws.service_failures(id, service)))
                .collect(),
            replicas: (plan.replicas.entries())
                .map(|(id, replica)| word(draws.replica_failures(id, replica)))
                .collect(),
            domains: plan.domains.iter().map(domain).collect(),
        }
    }
}

/// One trial of a block: every random decision is the same in all lanes.
#[derive(Clone, Copy)]
pub(super) struct SampledTrial<'w, B: Bits> {
    pub(super) bits: B,
    pub(super) sampled: &'w SampledBlock,
    pub(super) trial: u32,
    /// Dependencies that are origins.
    pub(super) broken: Option<BrokenDependencies<'w, B>>,
}

/// Dependencies that are origins, one lane each.
#[derive(Clone, Copy)]
pub(super) struct BrokenDependencies<'w, B: Bits> {
    /// Lane by dependency; 512 or more where it is no origin.
    pub(super) lanes: &'w Table<DependencyId, u32>,
    /// Dependency by edge.
    pub(super) dependencies: &'w [DependencyId],
    /// Slow, down and corrupt lanes of an origin.
    pub(super) forced: [B::V; 3],
}

impl<B: Bits> SampledTrial<'_, B> {
    /// Returns these lanes if failure crosses the edge in this trial, else none.
    #[inline(always)]
    pub(super) fn edge_crossing_in_trial(&self, place: u32, lanes: B::V) -> B::V {
        let row = self.trial as usize * self.sampled.row;
        let crosses = self.sampled.crossing[row + place as usize / 64] >> (place % 64) & 1 == 1;
        self.bits.and(lanes, uniform_lanes(self.bits, crosses))
    }

    /// Returns all lanes if the mask contains this trial, else none.
    #[inline(always)]
    pub(super) fn lanes_in_trial(&self, word: &LaneMask) -> B::V {
        uniform_lanes(self.bits, contains_trial(word, self.trial))
    }
}

/// Returns whether a mask contains a trial.
#[inline(always)]
pub(super) fn contains_trial(word: &LaneMask, trial: u32) -> bool {
    word.0[trial as usize / 64] >> (trial % 64) & 1 == 1
}

#[inline(always)]
fn uniform_lanes<B: Bits>(bits: B, is: bool) -> B::V {
    bits.fill_by_sign(-i64::from(is))
}

/// Returns one lane; none if the number is 512 or more.
#[inline(always)]
pub(super) fn single_lane<B: Bits>(bits: B, lane: u32) -> B::V {
    let mut word = LaneMask::NONE;
    if let Some(part) = word.0.get_mut(lane as usize / 64) {
        *part = 1 << (lane % 64);
    }
    bits.load(&word)
}

impl<B: Bits> RandomSource<B> for SampledTrial<'_, B> {
    #[inline(always)]
    fn vector_bits(self) -> B {
        self.bits
    }

    #[inline(always)]
    fn edge_crossings(self, _edge: &Edge, place: u32, relevant: B::V) -> B::V {
        let crossing = self.edge_crossing_in_trial(place, relevant);
        match self.broken {
            None => crossing,
            Some(broken) => {
                let dependency = broken.dependencies[place as usize];
                let its = single_lane(self.bits, broken.lanes[dependency]);
                // The edge of a dependency that is broken carries only what the broken one has.
                self.bits.without(crossing, its)
            }
        }
    }

    #[inline(always)]
    fn propagation_lanes(self, id: DependencyId, _dependency: &Dependency, relevant: B::V) -> B::V {
        self.bits.and(relevant, self.lanes_in_trial(&self.sampled.reaches[id]))
    }

    #[inline(always)]
    fn fallback_successes(
        self,
        id: DependencyId,
        _dependency: &Dependency,
        relevant: B::V,
    ) -> B::V {
        self.bits.and(relevant, self.lanes_in_trial(&self.sampled.works[id]))
    }

    #[inline(always)]
    fn forced_failure(self, id: DependencyId) -> Option<(B::V, [B::V; 3])> {
        let broken = self.broken?;
        Some((single_lane(self.bits, broken.lanes[id]), broken.forced))
    }
}

impl<B: Bits> BackgroundFailures<B> for SampledTrial<'_, B> {
    #[inline(always)]
    fn service_failures(self, id: ServiceId, _service: &Service) -> B::V {
        self.lanes_in_trial(&self.sampled.services[id])
    }

    #[inline(always)]
    fn replica_failures(self, id: ReplicaId, _replica: &Replica) -> B::V {
        self.lanes_in_trial(&self.sampled.replicas[id])
    }
}

/// Transposes a square of bits: bit `j` of row `i` becomes bit `i` of row `j`.
///
/// Warren, "Hacker's Delight" (2nd edition, 2012), section 7-3, with bits counted from the low end.
fn transpose_square(square: &mut [u64; 64]) {
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
    use super::transpose_square;

    #[test]
    fn rows_become_columns() {
        let mut square: [u64; 64] =
            std::array::from_fn(|row| (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let before = square;
        transpose_square(&mut square);
        for row in 0..64 {
            for column in 0..64 {
                assert_eq!(square[row] >> column & 1, before[column] >> row & 1);
            }
        }
    }
}
