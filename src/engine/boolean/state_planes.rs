//! States of a node in 512 lanes, as nested planes or as exclusive planes.

use super::propagation_graph::transform;
use crate::engine::pipeline::StateSets;
use crate::engine::simd::{Bits, array};

/// Returns the index of the plane that holds the failing lanes.
pub(super) const fn failing_plane<const P: usize>() -> usize {
    if P == 4 { 2 } else { 0 }
}

/// Packs exclusive planes into nested ones.
#[inline(always)]
pub(super) fn pack_planes<B: Bits, const P: usize>(bits: B, state: StateSets<B::V>) -> [B::V; P] {
    let unanswered = bits.or(state.slow, state.down);
    let failing = bits.or(unanswered, state.corrupt);
    let any = bits.or(failing, state.degraded);
    match P {
        // With one plane nothing is ever degraded.
        1 => [failing; P],
        2 => array(|plane| if plane == 0 { failing } else { any }),
        _ => array(|plane| [state.slow, unanswered, failing, any][plane]),
    }
}

/// Unpacks nested planes into exclusive ones.
#[inline(always)]
pub(super) fn unpack_planes<B: Bits, const P: usize>(
    bits: B,
    planes: [B::V; P],
) -> StateSets<B::V> {
    let ok = StateSets::all_ok(bits.none());
    match P {
        1 => StateSets { down: planes[0], ..ok },
        2 => StateSets { down: planes[0], degraded: bits.without(planes[P - 1], planes[0]), ..ok },
        _ => StateSets {
            slow: planes[0],
            down: bits.without(planes[1 % P], planes[0]),
            corrupt: bits.without(planes[2 % P], planes[1 % P]),
            degraded: bits.without(planes[P - 1], planes[2 % P]),
        },
    }
}

/// Applies the transform of an edge to nested planes.
#[inline(always)]
pub(super) fn apply_transform<B: Bits, const P: usize>(
    bits: B,
    how: u8,
    planes: [B::V; P],
) -> [B::V; P] {
    if P == 1 || how == 0 {
        return planes;
    }
    if P == 2 {
        let is_soft = how & transform::SOFT != 0;
        return if is_soft {
            array(|plane| if plane == 0 { bits.none() } else { planes[0] })
        } else {
            planes
        };
    }
    let [mut slow, mut unanswered, mut failing, mut any] = array(|plane| planes[plane % P]);
    if how & transform::SOFT != 0 {
        // Before anything else changes: what fails becomes degraded.
        any = failing;
    }
    if how & transform::GIVES_UP != 0 {
        slow = bits.none();
    }
    if how & transform::VALIDATES != 0 {
        unanswered = failing;
    }
    if how & transform::SOFT != 0 {
        // What is slow blocks even a soft caller; all else it can do without.
        (unanswered, failing) = (slow, slow);
    }
    array(|plane| [slow, unanswered, failing, any][plane])
}

/// Returns the lanes that are slow, down or corrupt.
#[inline(always)]
pub(super) fn failing_lanes<B: Bits>(bits: B, state: &StateSets<B::V>) -> B::V {
    bits.or(bits.or(state.slow, state.down), state.corrupt)
}
