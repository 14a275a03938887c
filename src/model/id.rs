//! Ids, and the arrays that only ids of their own kind index.
//!
//! An id is the number of an entry in one array. Each array has a type of its own for its ids, so that
//! the number of a node taken for that of a service does not compile.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut, Range};

/// The number of an entry in a [`Table`].
pub trait Id: Copy + Eq + Ord {
    /// The id of the first entry.
    const FIRST: Self;

    /// Makes the id of this number.
    fn from_u32(number: u32) -> Self;

    /// Returns the number.
    fn as_u32(self) -> u32;

    /// Makes the id of the entry at this index.
    ///
    /// # Panics
    /// If the index does not fit into 32 bits: no input that is accepted has so many entries.
    #[inline]
    fn new(index: usize) -> Self {
        Self::from_u32(u32::try_from(index).expect("an index fits into 32 bits"))
    }

    /// Returns the index of the entry.
    #[inline]
    fn index(self) -> usize {
        self.as_u32() as usize
    }
}

/// Declares types of ids, each with the documentation that stands before it; after `local`, types for
/// one room alone, whose methods are those of [`Id`].
macro_rules! declare_ids {
    (local $($(#[$attribute:meta])* $name:ident;)+) => {$(
        $crate::model::id::declare_ids! { @type $(#[$attribute])* pub(crate) $name }
    )+};
    ($($(#[$attribute:meta])* $name:ident;)+) => {$(
        $crate::model::id::declare_ids! { @type $(#[$attribute])* pub $name }

        impl $name {
            /// Makes the id of the entry at this index.
            ///
            /// # Panics
            /// If the index does not fit into 32 bits.
            #[inline]
            pub fn new(index: usize) -> Self {
                <Self as $crate::model::id::Id>::new(index)
            }

            /// Returns the index of the entry.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
    (@type $(#[$attribute:meta])* $visible:vis $name:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visible struct $name($visible u32);

        impl $crate::model::id::Id for $name {
            const FIRST: Self = Self(0);

            #[inline]
            fn from_u32(number: u32) -> Self {
                Self(number)
            }

            #[inline]
            fn as_u32(self) -> u32 {
                self.0
            }
        }
    };
}
pub(crate) use declare_ids;

/// A stretch of entries that lie in a row in a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdRange<I> {
    /// The first one.
    pub start: I,
    /// The one after the last.
    pub end: I,
}

impl<I: Id> IdRange<I> {
    /// No entry.
    pub const EMPTY: Self = Self { start: I::FIRST, end: I::FIRST };

    /// Returns the number of entries.
    #[inline]
    pub fn len(self) -> usize {
        self.end.index().saturating_sub(self.start.index())
    }

    /// Returns whether there is no entry.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Returns whether this entry is one of them.
    #[inline]
    pub fn contains(self, id: I) -> bool {
        self.start <= id && id < self.end
    }

    /// Returns the ids in rising order.
    #[inline]
    pub fn iter(self) -> Ids<I> {
        self.into_iter()
    }

    /// Returns the place of an entry of the range, counted from the first one.
    #[inline]
    pub fn place_of(self, id: I) -> usize {
        id.index() - self.start.index()
    }

    /// Returns the indices of the entries, for a slice.
    #[inline]
    pub fn indices(self) -> Range<usize> {
        self.start.index()..self.end.index()
    }
}

impl<I: Id> IntoIterator for IdRange<I> {
    type Item = I;
    type IntoIter = Ids<I>;

    #[inline]
    fn into_iter(self) -> Ids<I> {
        Ids { numbers: self.start.as_u32()..self.end.as_u32(), kind: PhantomData }
    }
}

/// The ids of a [`IdRange`], one after the other.
#[derive(Clone, Debug)]
pub struct Ids<I> {
    numbers: Range<u32>,
    kind: PhantomData<I>,
}

impl<I: Id> Iterator for Ids<I> {
    type Item = I;

    #[inline]
    fn next(&mut self) -> Option<I> {
        self.numbers.next().map(I::from_u32)
    }

    #[inline]
    fn nth(&mut self, count: usize) -> Option<I> {
        self.numbers.nth(count).map(I::from_u32)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl<I: Id> DoubleEndedIterator for Ids<I> {
    #[inline]
    fn next_back(&mut self) -> Option<I> {
        self.numbers.next_back().map(I::from_u32)
    }
}

impl<I: Id> ExactSizeIterator for Ids<I> {}

/// Entries in a row that ids of one kind index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<I, T> {
    entries: Vec<T>,
    ids: PhantomData<I>,
}

impl<I: Id, T> Table<I, T> {
    /// Makes an empty table.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), ids: PhantomData }
    }

    /// Makes an empty table with room for this many entries.
    pub fn with_capacity(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count), ids: PhantomData }
    }

    /// Makes a table of this many equal entries.
    pub fn filled(entry: T, count: usize) -> Self
    where
        T: Clone,
    {
        Self { entries: vec![entry; count], ids: PhantomData }
    }

    /// Returns the number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the ids of all entries.
    #[inline]
    pub fn ids(&self) -> IdRange<I> {
        IdRange { start: I::from_u32(0), end: self.next_id() }
    }

    /// Returns the id that the next entry will have.
    #[inline]
    pub fn next_id(&self) -> I {
        I::new(self.entries.len())
    }

    /// Adds an entry and returns its id.
    #[inline]
    pub fn push(&mut self, entry: T) -> I {
        let id = self.next_id();
        self.entries.push(entry);
        id
    }

    /// Returns an entry, if there is one of this id.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        self.entries.get(id.index())
    }

    /// Returns an entry to be changed, if there is one of this id.
    #[inline]
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.entries.get_mut(id.index())
    }

    /// Returns all entries.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.entries.iter()
    }

    /// Returns all entries, to be changed.
    #[inline]
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.entries.iter_mut()
    }

    /// Returns all entries, each with its id.
    #[inline]
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator + Clone {
        self.ids().into_iter().zip(&self.entries)
    }

    /// Returns all entries, each with its id, to be changed.
    #[inline]
    pub fn entries_mut(&mut self) -> impl DoubleEndedIterator<Item = (I, &mut T)> {
        self.ids().into_iter().zip(&mut self.entries)
    }

    /// Returns all entries as a slice.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        &self.entries
    }

    /// Makes all entries equal to this one.
    #[inline]
    pub fn fill(&mut self, entry: T)
    where
        T: Clone,
    {
        self.entries.fill(entry);
    }

    /// Makes the table as long as this, with copies of an entry at its end.
    #[inline]
    pub fn resize(&mut self, count: usize, entry: T)
    where
        T: Clone,
    {
        self.entries.resize(count, entry);
    }

    /// Removes all entries.
    #[inline]
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// A list whose entries are replaced all at once, in the room that it has.
pub trait Overwrite<T> {
    /// Puts these entries in the place of all that are there.
    fn overwrite(&mut self, entries: impl Iterator<Item = T>);
}

impl<T> Overwrite<T> for Vec<T> {
    #[inline]
    fn overwrite(&mut self, entries: impl Iterator<Item = T>) {
        self.clear();
        self.extend(entries);
    }
}

impl<I: Id, T> Overwrite<T> for Table<I, T> {
    #[inline]
    fn overwrite(&mut self, entries: impl Iterator<Item = T>) {
        self.entries.overwrite(entries);
    }
}

impl<I: Id, T> Default for Table<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;

    #[inline]
    fn index(&self, id: I) -> &T {
        &self.entries[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for Table<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.entries[id.index()]
    }
}

impl<I: Id, T> Index<IdRange<I>> for Table<I, T> {
    type Output = [T];

    #[inline]
    fn index(&self, range: IdRange<I>) -> &[T] {
        &self.entries[range.indices()]
    }
}

impl<I: Id, T> IndexMut<IdRange<I>> for Table<I, T> {
    #[inline]
    fn index_mut(&mut self, range: IdRange<I>) -> &mut [T] {
        &mut self.entries[range.indices()]
    }
}

impl<I: Id, T> From<Vec<T>> for Table<I, T> {
    fn from(entries: Vec<T>) -> Self {
        Self { entries, ids: PhantomData }
    }
}

impl<I: Id, T> FromIterator<T> for Table<I, T> {
    fn from_iter<E: IntoIterator<Item = T>>(entries: E) -> Self {
        Self { entries: entries.into_iter().collect(), ids: PhantomData }
    }
}

impl<I, T> IntoIterator for Table<I, T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, I, T> IntoIterator for &'a Table<I, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<'a, I, T> IntoIterator for &'a mut Table<I, T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::ServiceId;

    #[test]
    fn entries_are_found_by_the_ids_that_they_were_given() {
        let mut letters: Table<ServiceId, char> = Table::new();
        let ids: Vec<ServiceId> = "abc".chars().map(|letter| letters.push(letter)).collect();
        assert_eq!(letters.ids().into_iter().collect::<Vec<_>>(), ids);
        let found: String = ids.iter().map(|id| letters[*id]).collect();
        assert_eq!(found, "abc");
        assert_eq!(letters.get(letters.next_id()), None);
    }

    #[test]
    fn a_range_is_a_stretch_of_its_table() {
        let letters: Table<ServiceId, char> = "abcde".chars().collect();
        let range = IdRange { start: ServiceId::new(1), end: ServiceId::new(4) };
        assert_eq!(letters[range], ['b', 'c', 'd']);
        assert_eq!(range.len(), 3);
        let contained = letters.entries().filter(|(id, _)| range.contains(*id));
        assert_eq!(contained.map(|(_, letter)| *letter).collect::<String>(), "bcd");
        let backwards: String = range.iter().rev().map(|id| letters[id]).collect();
        assert_eq!(backwards, "dcb");
        assert_eq!(range.place_of(ServiceId::new(3)), 2);
        assert!(IdRange { start: range.end, end: range.start }.is_empty());
    }
}
