//! Which of many things are to be looked at again: a bit for each, so that most are passed over
//! sixty-four at a time.

/// A set of small numbers.
#[derive(Clone, Debug)]
pub(crate) struct IndexSet {
    words: Vec<u64>,
    count: usize,
}

impl IndexSet {
    /// All of so many, or none of them.
    pub(crate) fn new(count: usize, marked: bool) -> Self {
        let mut marks = Self { words: vec![0; count.div_ceil(64)], count };
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
    pub(crate) fn mark(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    /// Clears a mark; says whether it was there.
    #[inline(always)]
    pub(crate) fn take(&mut self, index: usize) -> bool {
        let word = &mut self.words[index / 64];
        let was = *word >> (index % 64) & 1 == 1;
        *word &= !(1 << (index % 64));
        was
    }

    /// The first marked one from this one on.
    #[inline(always)]
    fn first_from(&self, index: usize) -> Option<usize> {
        let mut at = index / 64;
        let mut word = *self.words.get(at)? & (u64::MAX << (index % 64));
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }

    /// Clears the first mark from this one on; says where it was.
    #[inline(always)]
    pub(crate) fn take_first_from(&mut self, index: usize) -> Option<usize> {
        let first = self.first_from(index)?;
        self.clear(first);
        Some(first)
    }

    /// The last marked one before this one, in either of two sets of the same size.
    #[inline(always)]
    pub(crate) fn last_before(&self, other: &Self, index: usize) -> Option<usize> {
        let mut at = index / 64;
        let below = (1_u64 << (index % 64)) - 1;
        // A search may begin behind the last word.
        let both = |at: usize| self.words.get(at).map_or(0, |word| word | other.words[at]);
        let mut word = both(at) & below;
        while word == 0 {
            at = at.checked_sub(1)?;
            word = both(at);
        }
        Some(at * 64 + 63 - word.leading_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_from_both_ends() {
        for count in [0, 1, 63, 64, 65, 200] {
            let (mut marks, none) = (IndexSet::new(count, false), IndexSet::new(count, false));
            assert_eq!(marks.first_from(0), None);
            assert_eq!(marks.last_before(&none, count), None);
            let some: Vec<usize> = (0..count).filter(|index| index % 61 == 0).collect();
            some.iter().for_each(|index| marks.mark(*index));
            let up = |from: usize| marks.first_from(from);
            let found: Vec<usize> = std::iter::successors(up(0), |index| up(index + 1)).collect();
            assert_eq!(found, some);
            let down = |before: usize| none.last_before(&marks, before);
            let mut found: Vec<usize> =
                std::iter::successors(down(count), |index| down(*index)).collect();
            found.reverse();
            assert_eq!(found, some);
        }
    }

    #[test]
    fn what_is_taken_is_gone() {
        let mut marks = IndexSet::new(130, false);
        marks.mark(3);
        marks.mark(129);
        assert_eq!(marks.take_first_from(4), Some(129));
        assert_eq!(marks.take_first_from(0), Some(3));
        assert_eq!(marks.take_first_from(0), None);
    }

    #[test]
    fn all_are_marked_and_no_more() {
        let mut marks = IndexSet::new(70, true);
        assert_eq!((0..70).filter(|index| marks.take(*index)).count(), 70);
        assert_eq!(marks.first_from(0), None);
        marks.mark(69);
        marks.clear(69);
        assert!(!marks.take(69));
    }
}
