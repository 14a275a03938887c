//! What a node does in each trial, as planes of bits.

use super::wiring::bend;
use crate::engine::simd::{Bits, array};

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
        2 => array(|plane| if plane == 0 { failing } else { any }),
        _ => array(|plane| [it.slow, unanswered, failing, any][plane]),
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
pub(super) fn bent<B: Bits, const P: usize>(bits: B, how: u8, planes: [B::V; P]) -> [B::V; P] {
    if P == 1 || how == 0 {
        return planes;
    }
    if P == 2 {
        let is_soft = how & bend::SOFT != 0;
        return if is_soft {
            array(|plane| if plane == 0 { bits.none() } else { planes[0] })
        } else {
            planes
        };
    }
    let [mut slow, mut unanswered, mut failing, mut any] = array(|plane| planes[plane % P]);
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
    array(|plane| [slow, unanswered, failing, any][plane])
}

/// Slow, down or corrupt.
#[inline(always)]
pub(super) fn fails_now<B: Bits>(bits: B, it: &Apart<B::V>) -> B::V {
    bits.or(bits.or(it.slow, it.down), it.corrupt)
}
