//! Which of many things are to be looked at again: a bit for each, so that most are passed over
//! sixty-four at a time.

use std::marker::PhantomData;

use crate::model::id::Id;

/// A set of ids of one array.
#[derive(Clone, Debug)]
pub(crate) struct IndexSet<I> {
    words: Vec<u64>,
    count: usize,
    ids: PhantomData<I>,
}

impl<I: Id> IndexSet<I> {
    /// All of so many, or none of them.
    pub(crate) fn new(count: usize, marked: bool) -> Self {
        let mut marks = Self { words: vec![0; count.div_ceil(64)], count, ids: PhantomData };
        marks.fill(marked);
        marks
    }

    /// Marks all, or none.
    pub(crate) fn fill(&mut self, marked: bool) {
        self.words.fill(if marked { u64::MAX } else { 0 });
        // No bit beyond the count may be set, or a search would find it.
        let rest = self.count % 64;
        if marked && rest > 0 {
            *self.words.last_mut().expect("there is a rest") = (1 << rest) - 1;
        }
    }

    #[inline(always)]
    pub(crate) fn mark(&mut self, id: I) {
        let index = id.index();
        self.words[index / 64] |= 1 << (index % 64);
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self, id: I) {
        let index = id.index();
        self.words[index / 64] &= !(1 << (index % 64));
    }

    /// Clears a mark; says whether it was there.
    #[inline(always)]
    pub(crate) fn take(&mut self, id: I) -> bool {
        let index = id.index();
        let word = &mut self.words[index / 64];
        let was = *word >> (index % 64) & 1 == 1;
        *word &= !(1 << (index % 64));
        was
    }

    /// The first marked one from this one on.
    #[inline(always)]
    fn first_from(&self, id: I) -> Option<I> {
        let index = id.index();
        let mut at = index / 64;
        let mut word = *self.words.get(at)? & (u64::MAX << (index % 64));
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(I::new(at * 64 + word.trailing_zeros() as usize))
    }

    /// Clears the first mark from this one on; says where it was.
    #[inline(always)]
    pub(crate) fn take_first_from(&mut self, id: I) -> Option<I> {
        let first = self.first_from(id)?;
        self.clear(first);
        Some(first)
    }

    /// The last marked one before this one, in either of two sets of the same size.
    #[inline(always)]
    pub(crate) fn last_before(&self, other: &Self, id: I) -> Option<I> {
        let index = id.index();
        let mut at = index / 64;
        let below = (1_u64 << (index % 64)) - 1;
        // A search may begin behind the last word.
        let both = |at: usize| self.words.get(at).map_or(0, |word| word | other.words[at]);
        let mut word = both(at) & below;
        while word == 0 {
            at = at.checked_sub(1)?;
            word = both(at);
        }
        Some(I::new(at * 64 + 63 - word.leading_zeros() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::plan::ServiceId;

    #[test]
    fn marks_are_found_from_both_ends() {
        for count in [0, 1, 63, 64, 65, 200] {
            let mut marks: IndexSet<ServiceId> = IndexSet::new(count, false);
            let none = marks.clone();
            let (first, end) = (ServiceId::new(0), ServiceId::new(count));
            assert_eq!(marks.first_from(first), None);
            assert_eq!(marks.last_before(&none, end), None);
            let some: Vec<ServiceId> = (0..count).step_by(61).map(ServiceId::new).collect();
            some.iter().for_each(|id| marks.mark(*id));
            let up = |from: ServiceId| marks.first_from(from);
            let found: Vec<ServiceId> =
                std::iter::successors(up(first), |id| up(ServiceId(id.0 + 1))).collect();
            assert_eq!(found, some);
            let down = |before: ServiceId| none.last_before(&marks, before);
            let mut found: Vec<ServiceId> =
                std::iter::successors(down(end), |id| down(*id)).collect();
            found.reverse();
            assert_eq!(found, some);
        }
    }

    #[test]
    fn what_is_taken_is_gone() {
        let [first, low, next, high] = [0, 3, 4, 129].map(ServiceId);
        let mut marks = IndexSet::new(130, false);
        marks.mark(low);
        marks.mark(high);
        assert_eq!(marks.take_first_from(next), Some(high));
        assert_eq!(marks.take_first_from(first), Some(low));
        assert_eq!(marks.take_first_from(first), None);
    }

    #[test]
    fn all_are_marked_and_no_more() {
        let (first, last) = (ServiceId(0), ServiceId(69));
        let mut marks = IndexSet::new(70, true);
        assert_eq!((0..70).filter(|number| marks.take(ServiceId(*number))).count(), 70);
        assert_eq!(marks.first_from(first), None);
        marks.mark(last);
        marks.clear(last);
        assert!(!marks.take(last));
    }
}
