//! Pieces of work on all threads at once.
//!
//! One copy of rayon's splitting and stealing serves all pieces, which are tens of microseconds or
//! more each; what each thread finds goes where its piece belongs, so that no order is lost. Room to
//! work in is handed from piece to piece.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

/// Does so many pieces of work, and gives what was found in their order.
pub(crate) fn each_piece<T: Send>(pieces: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let found: Vec<Mutex<Option<T>>> = (0..pieces).map(|_| Mutex::new(None)).collect();
    spread_work(pieces, &|piece| {
        let result = work(piece);
        *found[piece].lock().expect("each is written once") = Some(result);
    });
    let found = found.into_iter().map(Mutex::into_inner);
    found.map(|found| found.ok().flatten().expect("each piece was done")).collect()
}

/// The same for the pieces of a window.
pub(crate) fn each_in<T: Send>(window: Range<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let pieces = usize::try_from(window.end - window.start).expect("windows are small");
    each_piece(pieces, |piece| work(window.start + piece as u64))
}

/// The same for the things of a list.
pub(crate) fn each_of<'a, I: Sync, T: Send>(
    list: &'a [I],
    work: impl Fn(&'a I) -> T + Sync,
) -> Vec<T> {
    each_piece(list.len(), |piece| work(&list[piece]))
}

fn spread_work(pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    // In a pool already, its threads take the pieces; else the pool of the whole process does.
    if rayon::current_thread_index().is_none() {
        crate::threads::ensure_threads();
    }
    (0..pieces).into_par_iter().for_each(work);
}

/// Room to work in, kept for whoever needs it next.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// Takes what is free, or makes a new one.
    pub(crate) fn take(&self, new: impl FnOnce() -> T) -> T {
        let free = self.0.lock().expect("no thread panics holding it").pop();
        free.unwrap_or_else(new)
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, item: T) {
        self.0.lock().expect("no thread panics holding it").push(item);
    }

    /// Does some work in it.
    pub(crate) fn with_item<R>(
        &self,
        new: impl FnOnce() -> T,
        work: impl FnOnce(&mut T) -> R,
    ) -> R {
        let mut item = self.take(new);
        let result = work(&mut item);
        self.give_back(item);
        result
    }

    /// Returns all of them, once no thread uses them.
    pub(crate) fn into_all(self) -> Vec<T> {
        self.0.into_inner().expect("no thread panics holding it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_keeps_its_order() {
        assert_eq!(
            each_piece(1000, |piece| piece * piece),
            (0..1000).map(|item| item * item).collect::<Vec<_>>()
        );
        assert_eq!(each_of(&["a", "bc", ""], |item| item.len()), [1, 2, 0]);
        assert_eq!(each_in(5..8, |piece| piece), [5, 6, 7]);
        assert!(each_piece(0, |piece| piece).is_empty());
    }
}
