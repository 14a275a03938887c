//! One service's way to the share that it loses to overload, from round to round.

/// Difference below which a lost share has settled at what the loads ask for.
pub(crate) const SETTLED: f64 = 1e-7;
/// Round from which all overload counts as swinging: it moves only part of the way to what the loads
/// ask for.
pub(crate) const DAMPED_FROM: u32 = 50;
/// Round from which it is looked whether it swings, and from which what creeps takes leaps.
pub(crate) const SWINGS_FROM: u32 = 7;
/// Part of the way while no secant is known.
const DAMPING: f64 = 0.3;
/// Round from which the part is [`DAMPING`] again, because services that pull at each other have not
/// come to rest by secants.
const FIXED_FROM: u32 = 100;
/// Shortest step from which a secant is estimated: below it rounding dominates.
const TELLING: f64 = 1e-8;
/// Least part of the way.
const PART_LEAST: f64 = 0.05;
/// Overload creeps where a step closes less than this part of the gap.
const CREEPS: f64 = 0.5;
/// The longest leap of an overload that creeps: a longer one might end at another state of rest.
const LONGEST_LEAP: f64 = 0.05;
/// So many rounds may pass before the bracket must have halved.
const PATIENCE: u8 = 2;
/// An end of the bracket that was seen so many rounds ago is looked at again: other services may have
/// moved.
const OUT_OF_DATE: u8 = 12;

/// How far the rounds of a moment have come in one lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    is_damped: bool,
    leaps: bool,
    is_fixed: bool,
}

impl Pace {
    pub(crate) fn of(round: u32, swings: bool) -> Self {
        Self { is_damped: swings, leaps: round >= SWINGS_FROM, is_fixed: round >= FIXED_FROM }
    }
}

/// Result of one round.
pub(crate) enum Step {
    /// The lost share is what the loads ask for.
    Settled,
    /// The lost share lies where the loads jump: just below they ask for more, just above for less.
    AtJump,
    /// It goes on to this share.
    To(f64),
}

/// Memory of one service of what it has seen in the last rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Approach {
    /// The share lost one round before, and how much more the loads asked for then.
    pub(crate) before: f64,
    gap: f64,
    part: f64,
    /// At `low` the loads asked for more than was lost, at `high` for less; infinite where not known.
    low: f64,
    high: f64,
    /// How far these were apart when that had last halved, and how many rounds ago.
    width: f64,
    since_halved: u8,
    /// How many rounds ago the ends were seen.
    low_age: u8,
    high_age: u8,
}

impl Approach {
    pub(crate) const NEW: Self = Self {
        before: 0.0,
        gap: 0.0,
        part: DAMPING,
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
        width: f64::INFINITY,
        since_halved: 0,
        low_age: 0,
        high_age: 0,
    };

    /// Forgets the bracket and the part of the way, as at the beginning of a moment.
    pub(crate) fn forget(&mut self) {
        *self = Self { before: self.before, gap: self.gap, ..Self::NEW };
    }

    /// Returns where what is lost goes when the loads ask for `asked`.
    pub(crate) fn step(&mut self, lost: f64, asked: f64, pace: Pace) -> Step {
        let gap = asked - lost;
        let gap_before = std::mem::replace(&mut self.gap, gap);
        let last = lost - std::mem::replace(&mut self.before, lost);
        if gap.abs() <= SETTLED {
            // What is left of a loss that is over counts as one for caches: it ends for good.
            return if asked == 0.0 && lost > 0.0 { Step::To(0.0) } else { Step::Settled };
        }
        let part = (last.abs() > TELLING).then(|| part_of_the_way(last, gap_before, gap));
        if !pace.is_damped {
            // Steps go all of the way, or beyond it where what is lost creeps.
            let part = part.filter(|part| pace.leaps && *part > 1.0).unwrap_or(1.0);
            return Step::To((lost + part * gap).clamp(0.0, 1.0));
        }
        if pace.is_fixed {
            return Step::To(lost + DAMPING * gap);
        }
        self.narrow(lost, gap);
        // Where no secant can be told, the last one is the best guess.
        self.part = part.unwrap_or(self.part);
        let to = lost + self.part * gap;
        if !self.width.is_finite() {
            return Step::To(to.clamp(0.0, 1.0));
        }
        Step::To(match () {
            () if self.low_age >= OUT_OF_DATE => self.low,
            () if self.high_age >= OUT_OF_DATE => self.high,
            () if self.high - self.low <= SETTLED => return Step::AtJump,
            () if self.low < to && to < self.high && self.since_halved < PATIENCE => to,
            () => 0.5 * (self.low + self.high),
        })
    }

    /// Takes the present share as the new end of the bracket.
    fn narrow(&mut self, lost: f64, gap: f64) {
        self.low_age = self.low_age.saturating_add(1);
        self.high_age = self.high_age.saturating_add(1);
        if gap > 0.0 {
            (self.low, self.low_age) = (lost, 0);
            // More is asked for even here, so the upper end is out of date: other services moved.
            if self.high <= lost {
                self.high = f64::INFINITY;
            }
        } else {
            (self.high, self.high_age) = (lost, 0);
            // Less is asked for even here, so the lower end is out of date.
            if self.low >= lost {
                self.low = f64::NEG_INFINITY;
            }
        }
        let width = self.high - self.low;
        if width <= 0.5 * self.width || width.is_infinite() {
            (self.width, self.since_halved) = (width, 0);
        } else {
            self.since_halved = self.since_halved.saturating_add(1);
        }
    }
}

/// Returns which part of the gap between what is asked for and what is lost to go, if it goes on
/// closing as it did by the last step: the secant method.
///
/// Where it swings that is less than all of it. Where what is lost creeps, each step going the same way as
/// the last one and closing little of the gap, it is several times the gap: where capacity only just
/// suffices, plain steps shrink as 1/n and need tens of thousands of rounds.
fn part_of_the_way(last: f64, gap_before: f64, gap: f64) -> f64 {
    let slope = (gap_before - gap) / last;
    let creeps = last * gap > 0.0 && slope > 0.0 && slope < CREEPS;
    match () {
        () if slope > 1.0 => (1.0 / slope).max(PART_LEAST),
        () if creeps => (1.0 / slope).min((LONGEST_LEAP / gap.abs()).max(1.0)),
        () => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a service approach what a function of its losses asks for; gives the rounds and where it ends.
    fn approach(asks: impl Fn(f64) -> f64) -> (u32, f64, bool) {
        let mut approach = Approach::NEW;
        let (mut lost, mut before, mut swings) = (0.0_f64, 0.0_f64, false);
        for round in 0..300 {
            match approach.step(lost, asks(lost), Pace::of(round, swings)) {
                Step::Settled => return (round, lost, false),
                Step::AtJump => return (round, lost, true),
                Step::To(next) => {
                    let is_back = 4.0 * (next - before).abs() <= (next - lost).abs();
                    swings |= (round >= SWINGS_FROM && is_back) || round + 1 >= DAMPED_FROM;
                    before = std::mem::replace(&mut lost, next);
                }
            }
        }
        panic!("never at rest, at {lost}");
    }

    #[test]
    fn what_creeps_arrives_in_a_few_rounds() {
        // Where capacity only just suffices what is left shrinks by its own square.
        let (rounds, lost, _) = approach(|lost| lost + 0.2 * (0.3 - lost) * (0.3 - lost).abs());
        assert!(rounds < 60, "{rounds} rounds");
        // It rests where the square is below what counts.
        assert!((lost - 0.3).abs() < 1e-3, "{lost}");
        let (rounds, lost, _) = approach(|lost| 0.5 - 0.99 * (0.5 - lost));
        assert!(rounds < 40, "{rounds} rounds");
        assert!((lost - 0.5).abs() < 1e-6, "{lost}");
    }

    #[test]
    fn what_swings_arrives_by_secants() {
        let (rounds, lost, at_jump) = approach(|lost| 0.9 - 1.2 * lost);
        assert!(rounds < 40 && !at_jump, "{rounds} rounds");
        assert!((lost - 0.9 / 2.2).abs() < 1e-8, "{lost}");
    }

    #[test]
    fn what_jumps_stays_at_the_jump() {
        let (rounds, lost, at_jump) = approach(|lost| if lost < 0.3 { 0.35 } else { 0.25 });
        assert!(at_jump && rounds < 80, "{rounds} rounds");
        assert!((lost - 0.3).abs() < 2.0 * SETTLED, "{lost}");
    }
}
