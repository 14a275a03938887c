//! In which order the 64 trials of a chunk are computed, eight at a time.
//!
//! A trial's figures do not depend on its neighbours, but its cost does: eight trials take as many moments
//! as the longest of them, and in trials without wrong answers most cycles are computed far sooner, if all
//! eight are such trials.

use crate::engine::fluid::state::lanes::LANES;

/// An order of 64 trials.
pub(crate) struct TrialOrder {
    /// The trial at each place.
    trials: [u8; 64],
    /// Whether each trial is in its own place.
    is_plain: bool,
}

impl TrialOrder {
    /// Each trial in its own place.
    pub(crate) fn plain() -> Self {
        Self { trials: std::array::from_fn(|place| place as u8), is_plain: true }
    }

    /// The trials in the order of their costs, equal ones in their own order.
    pub(crate) fn by_cost<K: Ord>(cost: impl Fn(usize) -> K) -> Self {
        let Self { mut trials, .. } = Self::plain();
        trials.sort_by_key(|trial| cost(usize::from(*trial)));
        let is_plain = trials.is_sorted();
        Self { trials, is_plain }
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
        // Most things are down, or work, in all trials or in none.
        if self.is_plain || mask == 0 || mask == u64::MAX {
            return mask;
        }
        let bits = (0..64).zip(&self.trials).map(|(place, trial)| (mask >> trial & 1) << place);
        bits.fold(0, |places, bit| places | bit)
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
            let (costs, mask) = (word(2 * number) as u64, word(2 * number + 1) as u64);
            let order = TrialOrder::by_cost(|trial| costs.rotate_left(trial as u32) % 7);
            let arranged = order.arranged(mask);
            for place in 0..64 {
                let trial = order.eight(place / 8)[place as usize % 8];
                assert_eq!(arranged >> place & 1, mask >> trial & 1);
                assert_eq!(order.place(trial), place as usize);
            }
        }
        assert_eq!(TrialOrder::by_cost(|_| 0).arranged(5), 5);
        assert_eq!(TrialOrder::by_cost(|trial| trial != 2).arranged(5), 3);
    }
}
