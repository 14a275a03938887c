//! All origins by the Boolean engine: 512 in each of its words.

use super::Work;
use crate::engine::Choice;
use crate::engine::boolean::{BLOCK, Boolean, LANES};
use crate::engine::origins::Impact;
use crate::engine::parallel;
use crate::engine::simd::{InstructionSet, LaneMask};

/// How many pieces of work are handed out at a time: enough for all threads, and few enough to be
/// interrupted between.
const WINDOW: usize = 32;

/// Returns the impact of each origin.
pub(super) fn boolean_impacts(work: &Work<'_>) -> Vec<Impact> {
    let level = match work.settings.engine {
        Choice::Boolean(level) => level,
        Choice::Automatic | Choice::Fluid => InstructionSet::best(),
    };
    let engine = Boolean::for_origins(work.plan, level, work.origins, work.mode);
    let mut impacts = vec![Impact::new(work.plan.flows.len()); work.origins.len()];
    // Blocks outside, origins inside: when interrupted, all origins have had about as many trials.
    let pieces: Vec<(u64, usize)> = (0..work.trials.div_ceil(BLOCK))
        .flat_map(|block| (0..work.origins.len()).step_by(LANES).map(move |first| (block, first)))
        .collect();
    let mut done = 0;
    for window in pieces.chunks(WINDOW) {
        if work.progress.is_cancelled() {
            break;
        }
        let piece = |(block, first): &(u64, usize)| {
            let end = work.origins.len().min(first + LANES);
            let valid = valid_lanes(*block, work.trials);
            let origins = &work.origins[*first..end];
            engine.origin_impacts(work.settings.seed, *block, &valid, origins, work.mode)
        };
        let found = parallel::each_of(window, piece);
        // In order, so that sums do not depend on which thread was first.
        for ((_, first), found) in window.iter().zip(&found) {
            for (all, impact) in impacts[*first..].iter_mut().zip(found) {
                all.merge_impact(impact);
                done += impact.trials;
            }
        }
        work.progress.trials_done(done);
    }
    impacts
}

/// Which trials of a block are wanted.
fn valid_lanes(block: u64, trials: u64) -> LaneMask {
    let left = (trials - block * BLOCK).min(BLOCK);
    LaneMask(std::array::from_fn(|part| match left.saturating_sub(part as u64 * 64) {
        0 => 0,
        64.. => u64::MAX,
        few => (1 << few) - 1,
    }))
}
