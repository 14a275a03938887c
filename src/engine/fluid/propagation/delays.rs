//! How much later than usual answers come: a few pieces, each a share of requests and a time.
//!
//! A delay of 3 s for one request in ten is not one of 0.3 s for all of them: only the former makes
//! callers give up. So a delay is kept in pieces. What lies between the same two limits of callers is one
//! piece: adding one takes no search, and no caller sees a difference.

use crate::compile::plan::Lognormal;

/// How many limits part the pieces of a node's delay: those of its callers, and two below the shortest.
const BOUNDS: usize = BELOW_SHORTEST + CALLERS_LIMITS;
const BELOW_SHORTEST: usize = 2;
/// How many limits of callers are told apart.
const CALLERS_LIMITS: usize = 4;
/// How many pieces a delay has at the most.
const PIECES: usize = BOUNDS + 1;
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

    /// Returns its length, factor and rate times its share.
    #[inline(always)]
    fn weighted(self) -> Self {
        let share = self.share;
        Self {
            share,
            length: share * self.length,
            factor: share * self.factor,
            rate: share * self.rate,
        }
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

/// Limits that part the pieces of a node's delay: how long its callers wait, and halves below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// In rising order, and infinite where there are fewer.
    limits: [f64; BOUNDS],
    /// Where all callers give up in time: the longest limit. What comes after it comes no later for anybody,
    /// so that a wait which grows from there on changes nothing for them.
    cap: f64,
    /// How long the node takes by itself on average, in seconds: what a factor multiplies.
    usual: f64,
}

impl Bounds {
    /// Returns the bounds of a node with these limits of its callers, in rising order and each once, of which
    /// all give up or some hold on for ever.
    pub(crate) fn new(callers_limits: &[f64], all_give_up: bool, usual: f64) -> Self {
        let mut limits = [f64::INFINITY; BOUNDS];
        let Some(shortest) = callers_limits.first() else {
            return Self { limits, cap: f64::INFINITY, usual };
        };
        // Two delays in a row cross a limit that each of them alone keeps well.
        (limits[0], limits[1]) = (shortest / 4.0, shortest / 2.0);
        let known = callers_limits.len();
        let kept = known.min(CALLERS_LIMITS);
        for (place, limit) in limits[BELOW_SHORTEST..].iter_mut().enumerate().take(kept) {
            let at = if kept < known { place * (known - 1) / (kept - 1) } else { place };
            *limit = callers_limits[at];
        }
        let cap = if all_give_up { callers_limits[known - 1] } else { f64::INFINITY };
        Self { limits, cap, usual }
    }

    /// Returns the place of a piece.
    #[inline(always)]
    fn place(&self, piece: &Piece) -> usize {
        let longer = if piece.factor > 1.0 { (piece.factor - 1.0) * self.usual } else { 0.0 };
        let length = piece.length + longer + EDGE;
        self.limits.iter().fold(0, |place, limit| place + usize::from(length >= *limit))
    }

    /// Returns in how many seconds a piece that grows or shrinks comes to another place.
    fn crosses(&self, piece: &Piece, place: usize) -> f64 {
        let limit = if piece.rate > 0.0 {
            self.limits.get(place).copied()
        } else {
            self.limits[..place].last().map(|limit| limit - 2.0 * EDGE)
        };
        limit.map_or(f64::INFINITY, |limit| ((limit - piece.length) / piece.rate).max(0.0))
    }
}

/// Pieces by their places between limits, each of which is the mean of what was added to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    /// A piece where one was added; sums of length, factor and rate by share where several were.
    sums: [Piece; PIECES],
    /// The places that hold something, and those that hold sums.
    held: u8,
    mixed: u8,
    /// In how many seconds the first piece of all that were added comes to another place.
    crosses: f64,
}

impl Default for List {
    fn default() -> Self {
        Self::NONE
    }
}

/// The places that a set of them holds, in rising order.
fn places(mut set: u8) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (place < u8::BITS as usize).then_some(place)
    })
}

impl List {
    pub(crate) const NONE: Self = Self {
        sums: [Piece { share: 0.0, length: 0.0, factor: 1.0, rate: 0.0 }; PIECES],
        held: 0,
        mixed: 0,
        crosses: f64::INFINITY,
    };

    pub(crate) fn clear(&mut self) {
        (self.held, self.mixed, self.crosses) = (0, 0, f64::INFINITY);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Returns the pieces, in the order of their places.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        places(self.held).map(|place| self.piece(place))
    }

    #[inline(always)]
    fn piece(&self, place: usize) -> Piece {
        let sum = self.sums[place];
        if self.mixed & 1 << place == 0 {
            return sum;
        }
        Piece {
            share: sum.share,
            length: sum.length / sum.share,
            factor: sum.factor / sum.share,
            rate: sum.rate / sum.share,
        }
    }

    /// Adds a piece to what lies between the same limits.
    #[inline(always)]
    pub(crate) fn add(&mut self, bounds: &Bounds, piece: Piece) {
        if piece.share <= NEGLIGIBLE
            || (piece.length <= 0.0 && piece.factor <= 1.0 && piece.rate == 0.0)
        {
            return;
        }
        let place = bounds.place(&piece);
        if piece.rate != 0.0 {
            self.crosses = self.crosses.min(bounds.crosses(&piece, place));
        }
        let bit = 1 << place;
        let known = &mut self.sums[place];
        if self.held & bit == 0 {
            self.held |= bit;
            *known = piece;
            return;
        }
        if self.mixed & bit == 0 {
            self.mixed |= bit;
            *known = known.weighted();
        }
        let piece = piece.weighted();
        known.share += piece.share;
        known.length += piece.length;
        known.factor += piece.factor;
        known.rate += piece.rate;
    }

    /// Adds the pieces of another list of the same node, with their shares times this.
    pub(crate) fn add_scaled(&mut self, bounds: &Bounds, other: &Self, share: f64) {
        for piece in other.pieces() {
            self.add(bounds, Piece { share: piece.share * share, ..piece });
        }
        self.crosses = self.crosses.min(other.crosses);
    }

    /// Multiplies all shares.
    pub(crate) fn scale(&mut self, by: f64) {
        if by <= 0.0 {
            self.clear();
        }
        for place in places(self.held) {
            let sum = &mut self.sums[place];
            sum.share *= by;
            if self.mixed & 1 << place != 0 {
                (sum.length, sum.factor, sum.rate) =
                    (sum.length * by, sum.factor * by, sum.rate * by);
            }
        }
    }

    /// Returns the sum of all shares.
    pub(crate) fn share(&self) -> f64 {
        places(self.held).map(|place| self.sums[place].share).sum()
    }

    /// Returns the mean of the lengths, over all requests.
    pub(crate) fn mean(&self) -> f64 {
        let of = |place: usize| {
            let sum = &self.sums[place];
            if self.mixed & 1 << place == 0 { sum.share * sum.length } else { sum.length }
        };
        places(self.held).map(of).sum()
    }

    /// Takes over the pieces of another list, without copying places that hold nothing.
    fn take_over(&mut self, other: &Self) {
        (self.held, self.mixed, self.crosses) = (other.held, other.mixed, other.crosses);
        for place in places(other.held) {
            self.sums[place] = other.sums[place];
        }
    }

    /// Makes it the delay of two things that a request waits for: one after the other, or beside each
    /// other. Shares are those of requests that both answer.
    pub(crate) fn join(&mut self, bounds: &Bounds, other: &Self, is_beside: bool) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            self.take_over(other);
            return;
        }
        // What crosses a limit alone does so no later together with something else.
        let crosses = self.crosses.min(other.crosses);
        let (one, other) = (Delay::of(self), Delay::of(other));
        let on_time = |delay: &Delay| (1.0 - share_of(delay.as_slice())).max(0.0);
        let (on_time, other_on_time) = (on_time(&one), on_time(&other));
        self.clear();
        self.crosses = crosses;
        for a in one.as_slice() {
            self.add(bounds, Piece { share: a.share * other_on_time, ..*a });
        }
        for b in other.as_slice() {
            self.add(bounds, Piece { share: b.share * on_time, ..*b });
        }
        for a in one.as_slice() {
            for b in other.as_slice() {
                let longer = if a.length >= b.length { a } else { b };
                let (length, rate) = if is_beside {
                    (longer.length, longer.rate)
                } else {
                    ((a.length + b.length).min(LONGEST), a.rate + b.rate)
                };
                let (share, factor) = (a.share * b.share, a.factor * b.factor);
                self.add(bounds, Piece { share, length, factor, rate });
            }
        }
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
    /// In how many seconds the first part of it comes to another place between limits.
    crosses: f64,
}

impl PartialEq for Delay {
    fn eq(&self, other: &Self) -> bool {
        // When the next part comes to another place is nothing that callers see.
        self.held == other.held && self.as_slice() == other.as_slice()
    }
}

impl Delay {
    /// Nothing comes later.
    pub(crate) const NONE: Self = Self {
        pieces: [Piece { share: 0.0, length: 0.0, factor: 0.0, rate: 0.0 }; PIECES],
        count: 0,
        held: 0.0,
        crosses: f64::INFINITY,
    };

    /// The pieces of a list.
    pub(crate) fn of(list: &List) -> Self {
        let mut delay = Self::NONE;
        list.pieces().for_each(|piece| delay.push(piece));
        delay
    }

    /// Makes it the delay that callers see of a list.
    pub(crate) fn set(&mut self, list: &List, held: f64, bounds: &Bounds) {
        (self.count, self.held, self.crosses) = (0, held, list.crosses);
        for mut piece in list.pieces() {
            if piece.length + EDGE >= bounds.cap {
                (piece.length, piece.rate) = (bounds.cap, 0.0);
            }
            self.push(piece);
        }
    }

    /// Makes it the same as another one, without copying pieces that are not there.
    pub(crate) fn take_over(&mut self, other: &Self) {
        (self.count, self.held, self.crosses) = (other.count, other.held, other.crosses);
        self.pieces[..usize::from(self.count)].copy_from_slice(other.as_slice());
    }

    /// Adds a piece as it is; there must be no more of them than there are places.
    pub(crate) fn push(&mut self, piece: Piece) {
        self.pieces[usize::from(self.count)] = piece;
        self.count += 1;
    }

    /// Forgets all pieces.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
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

    /// Returns in how many seconds the first part of it comes to another place between limits; infinite for
    /// never.
    pub(crate) fn crosses(&self) -> f64 {
        self.crosses
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
    pub(crate) answered: &'a [Piece],
}

/// How many attempts that time out are told apart; more of them count as so many.
const TOLD_APART: usize = 16;

impl Attempts<'_> {
    /// Notes how the call makes its caller wait, and returns the share of requests that fail in the end,
    /// and the mean number of attempts.
    ///
    /// Attempts that fail at once cost no time, those that time out cost all of theirs; an attempt
    /// that would begin after the caller gave up is not made.
    pub(crate) fn finish(&self, bounds: &Bounds, call: &mut CallDelay) -> (f64, f64) {
        call.clear();
        let at_once = (self.failing - self.timed_out).max(0.0);
        let on_time = (1.0 - self.failing - share_of(self.answered)).max(0.0);
        let length = |timeouts: usize| {
            if timeouts == 0 { 0.0 } else { (timeouts as f64 * self.timeout).min(self.in_all) }
        };
        let (mut failed, mut made) = (0.0, 0.0);
        // By how many attempts timed out: the share of requests that makes the next attempt.
        let mut reach = [0.0; TOLD_APART];
        reach[0] = 1.0;
        for attempt in 0..=self.retries {
            // Each attempt adds one more that may have timed out.
            let most = (attempt as usize + 1).min(TOLD_APART - 1);
            for timeouts in (0..=most).rev() {
                let share = reach[timeouts];
                if share > 0.0 {
                    made += share;
                    self.answer(bounds, call, share, length(timeouts), on_time);
                }
                let mut left = share * at_once;
                if timeouts > 0 {
                    left += reach[timeouts - 1] * self.timed_out;
                }
                if timeouts == TOLD_APART - 1 {
                    left += share * self.timed_out;
                }
                let waited = length(timeouts);
                let again = match () {
                    () if attempt == self.retries || waited >= self.in_all - EDGE => 0.0,
                    () if attempt == 0 => self.tried_again,
                    () => 1.0,
                };
                let given_up = left * (1.0 - again);
                failed += given_up;
                call.failed.add(bounds, Piece::later(given_up, waited));
                reach[timeouts] = left * again;
            }
        }
        (failed, made)
    }

    /// Notes the answers to a share of requests that have waited so long for attempts that timed out.
    #[inline(always)]
    fn answer(&self, bounds: &Bounds, call: &mut CallDelay, share: f64, waited: f64, on_time: f64) {
        if waited > 0.0 {
            call.answered.add(bounds, Piece::later(share * on_time, waited));
        }
        for piece in self.answered {
            let length = waited + piece.length;
            let (length, rate) =
                if length < self.in_all { (length, piece.rate) } else { (self.in_all, 0.0) };
            call.answered.add(bounds, Piece { share: share * piece.share, length, rate, ..*piece });
        }
    }
}
