//! How much later than usual answers come: a few pieces, each a share of requests and a time.
//!
//! A delay of 3 s for one request in ten is not one of 0.3 s for all of them: only the former makes
//! callers give up. So a delay is kept in pieces, of which the largest stay apart.

use crate::compile::plan::Lognormal;

/// How many pieces of a node's delay are kept apart.
const PIECES: usize = 4;
/// How many pieces a list holds before it is cut down.
const ROOM: usize = 24;
/// Shares below this are none.
const NEGLIGIBLE: f64 = 1e-12;
/// An answer that comes this much before a timeout, in seconds, is as good as late: times are rounded.
pub(crate) const EDGE: f64 = 1e-6;
/// A delay below a millisecond is none that anybody notices.
const NOTICEABLE: f64 = 1e-3;
/// Nothing takes longer than this, in seconds: thirty years.
pub(crate) const LONGEST: f64 = 1e9;

/// A share of requests that are answered later than usual.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Piece {
    pub(crate) share: f64,
    /// By how many seconds.
    pub(crate) length: f64,
    /// How many times as long as usual the answer itself takes.
    pub(crate) factor: f64,
    /// By how much the length grows in a second.
    pub(crate) rate: f64,
}

impl Piece {
    /// A share of requests that are answered so much later.
    pub(crate) fn later(share: f64, length: f64) -> Self {
        Self { share, length, factor: 1.0, rate: 0.0 }
    }

    /// Returns how much later than usual the answer comes on average.
    pub(crate) fn mean(self, usual: Lognormal) -> f64 {
        let longer = if self.factor > 1.0 { (self.factor - 1.0) * usual.mean() } else { 0.0 };
        (self.length + longer).min(LONGEST)
    }

    /// Returns the share of these requests that come later than a limit, among those that do not in
    /// normal times.
    pub(crate) fn is_beyond(self, usual: Lognormal, limit: f64) -> f64 {
        if limit.is_infinite() {
            return 0.0;
        }
        let room = limit - self.length;
        if room <= EDGE {
            return 1.0;
        }
        if usual.median <= 0.0 {
            return 0.0;
        }
        let normally = usual.exceeds(limit);
        if normally >= 1.0 {
            return 1.0;
        }
        ((usual.exceeds(room / self.factor) - normally) / (1.0 - normally)).max(0.0)
    }
}

/// Pieces in the order of their lengths, never more than [`ROOM`] of them.
///
/// It is no `Copy`: it is large, mostly empty, and there are several for each node and lane.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pieces: [Piece; ROOM],
    count: usize,
}

impl Default for List {
    fn default() -> Self {
        Self::NONE
    }
}

impl List {
    pub(crate) const NONE: Self = Self {
        pieces: [Piece { share: 0.0, length: 0.0, factor: 1.0, rate: 0.0 }; ROOM],
        count: 0,
    };

    pub(crate) fn as_slice(&self) -> &[Piece] {
        &self.pieces[..self.count]
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a piece at its place; a full list is cut down first.
    pub(crate) fn add(&mut self, piece: Piece) {
        if piece.share <= NEGLIGIBLE
            || (piece.length <= 0.0 && piece.factor <= 1.0 && piece.rate == 0.0)
        {
            return;
        }
        self.merge_down_to(ROOM - 1);
        let mut at = self.count;
        while at > 0 && self.pieces[at - 1].length > piece.length {
            self.pieces[at] = self.pieces[at - 1];
            at -= 1;
        }
        self.pieces[at] = piece;
        self.count += 1;
    }

    /// Adds pieces, with their shares times this.
    pub(crate) fn add_scaled(&mut self, pieces: &[Piece], share: f64) {
        for piece in pieces {
            self.add(Piece { share: piece.share * share, ..*piece });
        }
    }

    /// Multiplies all shares.
    pub(crate) fn scale(&mut self, by: f64) {
        if by <= 0.0 {
            self.clear();
        }
        self.pieces[..self.count].iter_mut().for_each(|piece| piece.share *= by);
    }

    /// Returns the sum of all shares.
    pub(crate) fn share(&self) -> f64 {
        share_of(self.as_slice())
    }

    /// Returns the mean of the lengths, over all requests.
    pub(crate) fn mean(&self) -> f64 {
        self.as_slice().iter().map(|piece| piece.share * piece.length).sum()
    }

    /// Merges neighbours, those first that are nearest to each other by how far their requests move, until
    /// so many pieces are left.
    ///
    /// This is where a simulation with waits spends a third of its time: pieces stay where they are until
    /// the end, and what a merge costs is one number together with its place.
    fn merge_down_to(&mut self, left: usize) {
        if self.count <= left {
            return;
        }
        let count = self.count;
        let mut keys = [NEVER; ROOM];
        let (mut next, mut last) = ([0_u8; ROOM], [0_u8; ROOM]);
        for at in 0..count {
            (next[at], last[at]) = (at as u8 + 1, (at as u8).wrapping_sub(1));
        }
        for at in 0..count - 1 {
            keys[at] = key_of_merging(&self.pieces[at], &self.pieces[at + 1], at);
        }
        for _ in left..count {
            let nearest = keys.iter().copied().fold(NEVER, u64::min);
            let at = (nearest & PLACE) as usize;
            let gone = usize::from(next[at]);
            self.pieces[at] = merged(&self.pieces[at], &self.pieces[gone]);
            let after = usize::from(next[gone]);
            next[at] = next[gone];
            (keys[at], keys[gone]) = (NEVER, NEVER);
            // Only the two pairs that the new piece is part of cost something else now.
            if after < count {
                last[after] = at as u8;
                keys[at] = key_of_merging(&self.pieces[at], &self.pieces[after], at);
            }
            let before = usize::from(last[at]);
            if before < count {
                keys[before] = key_of_merging(&self.pieces[before], &self.pieces[at], before);
            }
        }
        let mut at = 0;
        for place in 0..left {
            self.pieces[place] = self.pieces[at];
            at = usize::from(next[at]);
        }
        self.count = left;
    }

    /// Keeps the largest pieces apart and merges the others.
    fn cut(&mut self) {
        self.merge_down_to(PIECES);
    }

    /// Takes over the pieces of another list, without copying the room that it does not use.
    pub(crate) fn take_over(&mut self, other: &Self) {
        self.count = other.count;
        self.pieces[..self.count].copy_from_slice(other.as_slice());
    }

    fn set(&mut self, delay: &Delay) {
        self.count = usize::from(delay.count);
        self.pieces[..self.count].copy_from_slice(delay.as_slice());
    }

    /// Makes it the delay of two things that a request waits for: one after the other, or beside each
    /// other. Shares are those of requests that both answer.
    pub(crate) fn join(&mut self, other: &Self, is_beside: bool) {
        if other.is_empty() {
            self.cut();
            return;
        }
        let (one, other) = (Delay::of(self, 0.0), Delay::of(other, 0.0));
        if one.as_slice().is_empty() {
            self.set(&other);
            return;
        }
        let on_time = |delay: &Delay| (1.0 - share_of(delay.as_slice())).max(0.0);
        let (on_time, other_on_time) = (on_time(&one), on_time(&other));
        self.clear();
        self.add_scaled(one.as_slice(), other_on_time);
        self.add_scaled(other.as_slice(), on_time);
        for a in one.as_slice() {
            for b in other.as_slice() {
                let longer = if a.length >= b.length { a } else { b };
                let (length, rate) = if is_beside {
                    (longer.length, longer.rate)
                } else {
                    ((a.length + b.length).min(LONGEST), a.rate + b.rate)
                };
                self.add(Piece {
                    share: a.share * b.share,
                    length,
                    factor: a.factor * b.factor,
                    rate,
                });
            }
        }
        self.cut();
    }
}

/// The bits of a key that say where the pair is.
const PLACE: u64 = 31;
/// The key of what cannot be merged.
const NEVER: u64 = u64::MAX;

/// Returns how far requests move when two neighbours become one, with the place of the first: the bits of
/// a number that is not negative are in the order of the numbers.
fn key_of_merging(a: &Piece, b: &Piece, at: usize) -> u64 {
    let moved = a.share * b.share / (a.share + b.share)
        * (b.length - a.length + (b.factor - a.factor).abs());
    moved.max(0.0).to_bits() & !PLACE | at as u64
}

/// Returns one piece for two, with their means.
fn merged(a: &Piece, b: &Piece) -> Piece {
    let share = a.share + b.share;
    let mean = |of: fn(&Piece) -> f64| (a.share * of(a) + b.share * of(b)) / share;
    Piece {
        share,
        length: mean(|piece| piece.length),
        factor: mean(|piece| piece.factor),
        rate: mean(|piece| piece.rate),
    }
}

/// Returns the sum of all shares.
fn share_of(pieces: &[Piece]) -> f64 {
    pieces.iter().map(|piece| piece.share).sum()
}

/// How much later than usual a node answers: shares of the requests that it answers at all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delay {
    pieces: [Piece; PIECES],
    count: u8,
    /// Seconds that a request is in progress longer than usual, on average over all requests.
    pub(crate) held: f64,
}

impl PartialEq for Delay {
    fn eq(&self, other: &Self) -> bool {
        self.held == other.held && self.as_slice() == other.as_slice()
    }
}

impl Delay {
    /// Nothing comes later.
    pub(crate) const NONE: Self = Self {
        pieces: [Piece { share: 0.0, length: 0.0, factor: 0.0, rate: 0.0 }; PIECES],
        count: 0,
        held: 0.0,
    };

    /// The delay of a list, with its largest pieces apart.
    pub(crate) fn of(list: &List, held: f64) -> Self {
        if list.count > PIECES {
            let mut short = list.clone();
            short.cut();
            return Self::of(&short, held);
        }
        let mut delay = Self { count: list.count as u8, held, ..Self::NONE };
        delay.pieces[..list.count].copy_from_slice(list.as_slice());
        delay
    }

    pub(crate) fn as_slice(&self) -> &[Piece] {
        &self.pieces[..usize::from(self.count)]
    }

    /// Whether nothing comes later, and nothing is in progress longer.
    pub(crate) fn is_none(&self) -> bool {
        self.count == 0 && self.held == 0.0
    }

    /// Returns the share of answers that come later than a limit.
    pub(crate) fn is_beyond(&self, usual: Lognormal, limit: f64) -> f64 {
        let late = self.as_slice().iter().map(|piece| piece.share * piece.is_beyond(usual, limit));
        late.sum::<f64>().min(1.0)
    }

    /// Returns the share of answers whose delay anybody could notice.
    pub(crate) fn noticeable(&self) -> f64 {
        let pieces = self.as_slice().iter();
        let seen = pieces.filter(|piece| piece.length >= NOTICEABLE || piece.factor > 1.0);
        seen.map(|piece| piece.share).sum::<f64>().min(1.0)
    }

    /// Returns the share of orders that come later than promised, among those that customers wait for.
    pub(crate) fn late_orders(&self, usual: Lognormal, promised: f64, patience: f64) -> f64 {
        let kept = 1.0 - self.is_beyond(usual, patience);
        if promised.is_infinite() || kept <= 0.0 {
            return 0.0;
        }
        let late = |piece: &Piece| {
            (piece.is_beyond(usual, promised) - piece.is_beyond(usual, patience)).max(0.0)
        };
        let late: f64 = self.as_slice().iter().map(|piece| piece.share * late(piece)).sum();
        (late / kept).min(1.0)
    }

    /// Returns in how many seconds the next piece crosses a limit, or comes a good deal nearer to it;
    /// infinite for never.
    ///
    /// Where answers differ in how long they take, the share that comes too late changes all the
    /// time. It is looked at again whenever another eighth of them crosses the limit.
    pub(crate) fn next_crossing(&self, usual: Lognormal, limit: f64) -> f64 {
        let mut next = f64::INFINITY;
        if limit.is_infinite() {
            return next;
        }
        for piece in self.as_slice().iter().filter(|piece| piece.rate != 0.0) {
            let mut until = |length: f64| {
                let target = if piece.rate > 0.0 { length } else { length - 2.0 * EDGE };
                let after = (target - piece.length) / piece.rate;
                let is_ahead = (target - piece.length) * piece.rate.signum() > 0.5 * EDGE;
                if is_ahead {
                    next = next.min(after);
                }
            };
            until(limit);
            if usual.median > 0.0 && usual.sigma > 0.0 {
                for normal in EIGHTHS {
                    until(limit - piece.factor * usual.at(normal));
                }
            }
        }
        next
    }
}

/// Standard normal numbers below which 1, 3, 5 … of 16 lie.
const EIGHTHS: [f64; 8] = [
    -1.534_120_544,
    -0.887_146_559,
    -0.488_776_411,
    -0.157_310_685,
    0.157_310_685,
    0.488_776_411,
    0.887_146_559,
    1.534_120_544,
];

/// How a call makes its caller wait, as shares of all requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallDelay {
    /// Of those that are answered.
    pub(crate) answered: List,
    /// Of those that fail.
    pub(crate) failed: List,
}

impl CallDelay {
    pub(crate) fn clear(&mut self) {
        self.answered.clear();
        self.failed.clear();
    }
}

/// Result of the attempts of a call.
pub(crate) struct Attempts<'a> {
    /// The share of attempts that fail, and of those the ones that take as long as the timeout.
    pub(crate) failing: f64,
    pub(crate) timed_out: f64,
    pub(crate) retries: u32,
    /// The share of failures that are tried again where a budget lets not all of them.
    pub(crate) tried_again: f64,
    /// Seconds per attempt, and in all.
    pub(crate) timeout: f64,
    pub(crate) in_all: f64,
    /// The delays of one attempt that is answered.
    pub(crate) answered: &'a List,
}

/// How many attempts that time out are told apart; more of them count as so many.
const TOLD_APART: usize = 16;

impl Attempts<'_> {
    /// Notes how the call makes its caller wait, and returns the share of requests that fail in the end,
    /// and the mean number of attempts.
    ///
    /// Attempts that fail at once cost no time, those that time out cost all of theirs; an attempt
    /// that would begin after the caller gave up is not made.
    pub(crate) fn finish(&self, call: &mut CallDelay) -> (f64, f64) {
        call.clear();
        let at_once = (self.failing - self.timed_out).max(0.0);
        let on_time = (1.0 - self.failing - self.answered.share()).max(0.0);
        let length = |timeouts: usize| {
            if timeouts == 0 { 0.0 } else { (timeouts as f64 * self.timeout).min(self.in_all) }
        };
        let (mut failed, mut made) = (0.0, 0.0);
        // By how many attempts timed out: the share of requests that makes the next attempt.
        let mut reach = [0.0; TOLD_APART];
        reach[0] = 1.0;
        for attempt in 0..=self.retries {
            let mut next = [0.0; TOLD_APART];
            for (timeouts, share) in
                reach.iter().copied().enumerate().filter(|(_, share)| *share > 0.0)
            {
                let waited = length(timeouts);
                made += share;
                call.answered.add(Piece::later(share * on_time, waited));
                for piece in self.answered.as_slice() {
                    let length = (waited + piece.length).min(self.in_all);
                    let rate = if waited + piece.length < self.in_all { piece.rate } else { 0.0 };
                    call.answered.add(Piece { share: share * piece.share, length, rate, ..*piece });
                }
                next[timeouts] += share * at_once;
                next[(timeouts + 1).min(TOLD_APART - 1)] += share * self.timed_out;
            }
            for (timeouts, share) in next.iter_mut().enumerate() {
                let is_over = attempt == self.retries || length(timeouts) >= self.in_all - EDGE;
                let again = match () {
                    () if is_over => 0.0,
                    () if attempt == 0 => self.tried_again,
                    () => 1.0,
                };
                let given_up = *share * (1.0 - again);
                failed += given_up;
                call.failed.add(Piece::later(given_up, length(timeouts)));
                *share *= again;
            }
            reach = next;
        }
        (failed, made)
    }
}
