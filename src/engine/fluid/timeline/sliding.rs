//! Waits that slide along a limit: they grow below it and shrink above it, as behind a breaker that opens
//! on late answers.
//!
//! Between the two states there is no time, so such a wait stays at the limit, and each state has the share
//! of the time that keeps it there (Filippov, Differential Equations with Discontinuous Righthand Sides,
//! 1988). Here one state follows the other for a while each, in these shares; meanwhile everything that
//! waits moves as both together move it. Nothing runs on beyond a limit only because it was not looked at.

use crate::compile::plan::FlowId;

/// How fast things that wait grow in one of the states, and how long it is until it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitingState {
    /// By service with a queue or threads, in their order: seconds of work per second.
    pub(crate) growth: Vec<f64>,
    /// In the same order: threads per second that hang.
    pub(crate) hanging: Vec<f64>,
    /// By flow: what it loses, as [`Run::flow_losses`](crate::engine::fluid::run::Run::flow_losses) gives it.
    pub(crate) flows: Vec<[f64; 4]>,
    /// Seconds until something crosses a limit, is full or empty.
    pub(crate) lasts: f64,
}

impl WaitingState {
    /// Returns the growth in both of two states of what grows in one of them and shrinks in the other.
    fn turning(&self, other: &Self) -> impl Iterator<Item = (f64, f64)> {
        let both = self.growth.iter().copied().zip(other.growth.iter().copied());
        both.filter(|(one, other)| *one < 0.0 && *other > 0.0 || *one > 0.0 && *other < 0.0)
    }

    fn turns(&self, other: &Self) -> bool {
        self.turning(other).next().is_some()
    }

    /// Returns the share of the time in this one of two states that keeps the wait where it is.
    ///
    /// Of several that turn, the one counts that comes as far in one state as it goes back in the other.
    fn balance(&self, other: &Self) -> Option<f64> {
        let distance = |(now, last): &(f64, f64)| {
            ((now.abs() * self.lasts) / (last.abs() * other.lasts)).ln().abs()
        };
        let turning = self.turning(other);
        let nearest = turning.min_by(|one, other| distance(one).total_cmp(&distance(other)));
        nearest.map(|(now, last)| last.abs() / (now.abs() + last.abs()))
    }
}

/// The last states of what waits in one lane, the present one first.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlidingWait {
    states: [WaitingState; 3],
    known: usize,
    /// For how long only the present state moves what waits, and then both together.
    alone_for: f64,
    /// Of the time, the share of the present state.
    share: f64,
}

impl SlidingWait {
    /// Nothing waits.
    pub(crate) fn reset(&mut self) {
        (self.known, self.alone_for) = (0, f64::INFINITY);
    }

    /// Takes note of the present state, which replaces the last one unless something has turned.
    pub(crate) fn note(&mut self, see: impl FnOnce(&mut WaitingState)) {
        self.states.rotate_right(1);
        see(&mut self.states[0]);
        if self.known > 0 && !self.states[0].turns(&self.states[1]) {
            // Something else came between: it is the same state, and what it was before is past.
            self.states[1..].rotate_left(1);
        } else {
            self.known = (self.known + 1).min(self.states.len());
        }
    }

    /// Goes on in one state alone.
    pub(crate) fn stop(&mut self) {
        self.alone_for = f64::INFINITY;
    }

    /// Slides for so long altogether if what waits turns back and forth; gives for how long the present
    /// state lasts then.
    pub(crate) fn slide(&mut self, cycle: f64) -> Option<f64> {
        let [now, last, before] = &self.states;
        if self.known < self.states.len() || !last.turns(before) {
            return None;
        }
        let both = now.lasts + last.lasts;
        if both <= 0.0 {
            return None;
        }
        if both >= cycle && now.turns(last) {
            // Seldom enough to be followed turn by turn; and the next turn may come at once.
            return Some(now.lasts);
        }
        self.share = now.balance(last)?;
        self.alone_for = now.lasts;
        Some((cycle * self.share).max(now.lasts))
    }

    /// Whether the present state is one of two that follow each other.
    pub(crate) fn is_sliding(&self) -> bool {
        self.alone_for.is_finite()
    }

    /// Returns by how much the work grows that waits at a service, by its place, in so many seconds.
    pub(crate) fn moved(&self, place: usize, duration: f64) -> f64 {
        self.over(duration, |state| state.growth[place])
    }

    /// Returns how many threads more hang at a service, by its place, after so many seconds.
    pub(crate) fn hung(&self, place: usize, duration: f64) -> f64 {
        self.over(duration, |state| state.hanging[place])
    }

    /// Returns what a flow loses while the wait slides, given what it loses in the present state.
    pub(crate) fn flow(&self, flow: FlowId, now: [f64; 4]) -> [f64; 4] {
        match self.states[1].flows.get(flow.index()) {
            Some(last) if self.is_sliding() => std::array::from_fn(|level| {
                self.share * now[level] + (1.0 - self.share) * last[level]
            }),
            _ => now,
        }
    }

    fn over(&self, duration: f64, rate: impl Fn(&WaitingState) -> f64) -> f64 {
        let now = rate(&self.states[0]);
        if duration <= self.alone_for {
            return now * duration;
        }
        let both = self.share * now + (1.0 - self.share) * rate(&self.states[1]);
        now * self.alone_for + both * (duration - self.alone_for)
    }
}
