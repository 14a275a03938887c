//! Sorting by one copy of the sorting code.
//!
//! The standard library's sort is compiled anew for every list and every comparison: some eighty
//! places that sort a handful of things were a seventh of the program and of the time it takes to
//! build. Here the numbers of the places are sorted instead, once for all, and then the things are
//! moved. What sorts millions of things (traces, keys of a document, samples) keeps its own copy.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Slices that can be sorted so.
pub(crate) trait Arrange<T> {
    /// Sorts by a comparison; what is equal keeps its order.
    fn arrange_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);

    /// Sorts by a key; what is equal keeps its order.
    fn arrange_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K);
}

impl<T> Arrange<T> for [T] {
    fn arrange_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        let from = sorted(self.len(), &mut |a, b| compare(&self[a], &self[b]));
        move_to_places(from, &mut |a, b| self.swap(a, b));
    }

    fn arrange_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.arrange_by(|a, b| key(a).cmp(&key(b)));
    }
}

/// Iterators whose things can be gathered one by one: `collect` sorts them first, with a copy of the
/// sorting code for each sort of thing.
pub(crate) trait Gather: Iterator + Sized {
    /// All of them; of equal ones the first.
    fn into_set(self) -> BTreeSet<Self::Item>
    where
        Self::Item: Ord,
    {
        let mut set = BTreeSet::new();
        set.extend(self);
        set
    }

    /// Collects pairs into a map; of equal keys the last counts.
    fn into_map<K: Ord, V>(self) -> BTreeMap<K, V>
    where
        Self: Iterator<Item = (K, V)>,
    {
        let mut map = BTreeMap::new();
        map.extend(self);
        map
    }
}

impl<I: Iterator> Gather for I {}

/// The places of so many things in the order of a comparison.
fn sorted(len: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    // Stable, so that equal things keep their order.
    places.sort_by(|a, b| compare(*a, *b));
    places
}

/// Brings every thing to its place, given where each place's thing comes from: around each ring of
/// places that change hands, one swap after the other.
fn move_to_places(mut from: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..from.len() {
        let mut at = start;
        while from[at] != start {
            let next = from[at];
            swap(at, next);
            from[at] = at;
            at = next;
        }
        from[at] = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_the_standard_library(keys in prop::collection::vec(0_u8..20, 0..60)) {
            let mut things: Vec<(u8, usize)> = keys.into_iter().zip(0..).collect();
            let mut expected = things.clone();
            expected.sort_by_key(|expected| expected.0);
            things.arrange_by_key(|thing| thing.0);
            prop_assert_eq!(&things, &expected);
            expected.sort_by_key(|expected| std::cmp::Reverse(expected.0));
            things.arrange_by(|a, b| b.0.cmp(&a.0));
            prop_assert_eq!(things, expected);
        }
    }
}
