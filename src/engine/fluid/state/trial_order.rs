//! In which order the 64 trials of a chunk are computed, eight at a time.
//!
//! A trial's figures do not depend on its neighbours, but its cost does: in trials without wrong
//! answers most cycles are computed far sooner, if all eight are such trials.

use crate::engine::fluid::state::lanes::LANES;

/// How many halvings it takes to bring any of 64 bits to its place.
const STEPS: usize = 6;

/// An order of 64 trials.
pub(crate) struct TrialOrder {
    /// The trial at each place.
    trials: [u8; 64],
    /// How many come first, and how masks are taken apart; nothing where places are trials.
    moves: Option<(u32, Moves, Moves)>,
}

impl TrialOrder {
    /// Each trial in its own place.
    pub(crate) fn plain() -> Self {
        Self { trials: std::array::from_fn(|place| place as u8), moves: None }
    }

    /// Those of a mask behind all others.
    pub(crate) fn with_last(last: u64) -> Self {
        if last == 0 || last == u64::MAX {
            return Self::plain();
        }
        let of = |mask: u64| (0..64).filter(move |trial| mask >> trial & 1 == 1);
        let mut trials = [0; 64];
        for (place, trial) in of(!last).chain(of(last)).enumerate() {
            trials[place] = trial;
        }
        let moves = (last.count_zeros(), Moves::new(!last), Moves::new(last));
        Self { trials, moves: Some(moves) }
    }

    /// The trials of the eight places from `8 * group` on.
    pub(crate) fn eight(&self, group: u32) -> [u8; LANES] {
        let first = group as usize * LANES;
        std::array::from_fn(|lane| self.trials[first + lane])
    }

    /// The place of a trial.
    pub(crate) fn place(&self, trial: u8) -> usize {
        let place = self.trials.iter().position(|item| *item == trial);
        place.expect("every trial of a chunk has a place")
    }

    /// A mask of trials as one of places.
    pub(crate) fn arranged(&self, mask: u64) -> u64 {
        match &self.moves {
            None => mask,
            Some((first, others, last)) => others.gathered(mask) | last.gathered(mask) << first,
        }
    }
}

/// How the bits under a mask are gathered at the low end: Warren, "Hacker's Delight" (2nd edition,
/// 2012), section 7-4.
struct Moves {
    under: u64,
    /// The bits that move by 1, 2, 4, 8, 16 and 32 places.
    by: [u64; STEPS],
}

impl Moves {
    fn new(under: u64) -> Self {
        let (mut left, mut zeros) = (under, !under << 1);
        let by = std::array::from_fn(|step| {
            // Whether an odd number of zeros lie below each bit.
            let mut odd = zeros;
            for shift in 0..STEPS {
                odd ^= odd << (1 << shift);
            }
            let moving = odd & left;
            left = (left ^ moving) | moving >> (1_u64 << step);
            zeros &= !odd;
            moving
        });
        Self { under, by }
    }

    fn gathered(&self, mask: u64) -> u64 {
        let mut bits = mask & self.under;
        for (step, moving) in self.by.iter().enumerate() {
            let moving = bits & moving;
            bits = (bits ^ moving) | moving >> (1_u64 << step);
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::draws::RoundKeys;

    #[test]
    fn masks_follow_their_trials() {
        let keys = RoundKeys::new(7, 0);
        let word =
            |number: u64| keys.encrypt_counter(crate::compile::Key::new("order", "test"), number);
        for number in 0..200 {
            let (last, mask) = (word(2 * number) as u64, word(2 * number + 1) as u64);
            // Few and many of them, too.
            let last = match number % 3 {
                0 => last,
                1 => last & (word(2 * number) >> 64) as u64 & mask.rotate_left(9),
                _ => last | (word(2 * number) >> 64) as u64 | mask.rotate_left(9),
            };
            let order = TrialOrder::with_last(last);
            let arranged = order.arranged(mask);
            for place in 0..64 {
                let trial = order.eight(place / 8)[place as usize % 8];
                assert_eq!(arranged >> place & 1, mask >> trial & 1);
                assert_eq!(order.place(trial), place as usize);
            }
            assert_eq!(order.arranged(last).leading_ones(), last.count_ones());
        }
        assert_eq!(TrialOrder::with_last(0).arranged(5), 5);
        assert_eq!(TrialOrder::with_last(u64::MAX).arranged(5), 5);
    }
}
