//! A table from a few numbers to one, for the nodes and results of diagrams.
//!
//! The standard library's tables iterate in random order, so this crate does not use them. This one
//! cannot be iterated.

/// By key of so many numbers a number below [`VACANT`]. Open addressing: a key stands in the slot
/// that its hash names or in one of the next, before the first that is vacant.
pub(super) struct HashTable<const WORDS: usize> {
    slots: Vec<Slot<WORDS>>,
    taken: usize,
    /// Memory to grow into.
    spare: Vec<Slot<WORDS>>,
}

type Slot<const WORDS: usize> = ([u32; WORDS], u32);

/// The value of a slot that is free.
const VACANT: u32 = u32::MAX;
/// The slots of a table that holds nothing: a power of two, as always.
const FEWEST: usize = 64;
/// 2^64 divided by the golden ratio: its multiples lie as far apart as can be (Knuth, "The art of
/// computer programming", volume 3, section 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl<const WORDS: usize> HashTable<WORDS> {
    pub(super) fn new() -> Self {
        let mut item = Self { slots: Vec::new(), taken: 0, spare: Vec::new() };
        item.clear();
        item
    }

    /// Removes all keys, in constant time, and keeps the memory.
    fn clear(&mut self) {
        self.slots.clear();
        self.slots.resize(FEWEST, ([0; WORDS], VACANT));
        self.taken = 0;
    }

    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Returns the number of a key, if it has one.
    #[inline]
    pub(super) fn get(&self, key: [u32; WORDS]) -> Option<u32> {
        let (_, value) = self.slots[self.slot_of(key)];
        (value != VACANT).then_some(value)
    }

    /// Returns the number of a key, which is this one if it has none yet.
    #[inline]
    pub(super) fn get_or_insert(&mut self, key: [u32; WORDS], value: u32) -> u32 {
        debug_assert!(value != VACANT, "a number that is kept for vacant slots");
        let slot = self.slot_of(key);
        let (_, found) = self.slots[slot];
        if found != VACANT {
            return found;
        }
        self.slots[slot] = (key, value);
        self.taken += 1;
        // Three of eight slots stay vacant at the least: then a search ends after a few.
        if self.taken > self.slots.len() / 8 * 5 {
            self.grow();
        }
        value
    }

    #[cold]
    fn grow(&mut self) {
        self.spare.clear();
        self.spare.resize(2 * self.slots.len(), ([0; WORDS], VACANT));
        std::mem::swap(&mut self.slots, &mut self.spare);
        for place in 0..self.spare.len() {
            let (key, value) = self.spare[place];
            if value != VACANT {
                let slot = self.slot_of(key);
                self.slots[slot] = (key, value);
            }
        }
    }

    /// Returns the slot of a key, or the one that it would take.
    #[inline]
    fn slot_of(&self, key: [u32; WORDS]) -> usize {
        let mut hash = 0_u64;
        for word in key {
            hash = (hash ^ (hash >> 32) ^ u64::from(word)).wrapping_mul(GOLDEN);
        }
        // The highest bits depend on all of the key.
        let last = self.slots.len() - 1;
        let mut slot = (hash >> (last as u64).leading_zeros()) as usize;
        loop {
            let (found, value) = self.slots[slot & last];
            if value == VACANT || found == key {
                return slot & last;
            }
            slot += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_knows_what_an_ordered_map_knows(
            keys in prop::collection::vec((0_u32..40, 0_u32..40), 0..600),
        ) {
            let mut table = HashTable::new();
            let mut map = BTreeMap::new();
            for round in 0..2 {
                for (value, (a, b)) in (round..).zip(&keys) {
                    prop_assert_eq!(table.get([*a, *b]), map.get(&[*a, *b]).copied());
                    let kept = *map.entry([*a, *b]).or_insert(value);
                    prop_assert_eq!(table.get_or_insert([*a, *b], value), kept);
                }
                for key in (0..41).flat_map(|a| (0..41).map(move |b| [a, b])) {
                    prop_assert_eq!(table.get(key), map.get(&key).copied());
                }
                table.clear();
                map.clear();
            }
        }
    }
}
