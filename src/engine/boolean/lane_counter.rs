//! Counters for many lanes at once.

use crate::engine::simd::{Bits, LaneMask};

/// Counts by lane in binary: plane `i` holds digit `i` of every lane's count.
pub(super) struct LaneCounter<V> {
    digits: Vec<V>,
}

impl<V: Copy> LaneCounter<V> {
    pub(super) fn new<B: Bits<V = V>>(_bits: B) -> Self {
        Self { digits: Vec::new() }
    }

    #[inline(always)]
    pub(super) fn add_carry<B: Bits<V = V>>(&mut self, bits: B, mut carry: V) {
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

    /// Writes the count of every lane.
    #[inline(always)]
    pub(super) fn write_counts<B: Bits<V = V>>(&self, bits: B, counts: &mut [f64; 512]) {
        let mut whole = [0_u64; 512];
        for (place, digit) in self.digits.iter().enumerate() {
            let mut word = LaneMask::NONE;
            bits.store(&mut word, *digit);
            for (part, counts) in word.0.iter().zip(whole.chunks_exact_mut(64)) {
                for (lane, count) in counts.iter_mut().enumerate() {
                    *count |= (part >> lane & 1) << place;
                }
            }
        }
        for (count, whole) in counts.iter_mut().zip(whole) {
            *count = whole as f64;
        }
    }

    /// Returns the lanes whose count is at least `limit`.
    #[inline(always)]
    pub(super) fn at_least<B: Bits<V = V>>(&self, bits: B, limit: u32) -> V {
        let (mut more, mut equal) = (bits.none(), bits.all());
        // A limit above all counts needs digits that no count has.
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
