//! Names of random draws.
//!
//! A draw is a function of (seed, trial, name of the thing drawn), so that an unrelated edit of a
//! topology moves no other draw, and two topologies can be compared trial by trial.

/// The name of a draw, hashed to 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub u128);

impl Key {
    /// The key of the draw `what` for the thing called `name`, such as `("propagation", "a>b")`.
    ///
    /// 128-bit FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv) over both, a zero byte between them.
    /// It need not be random by itself: the generator mixes it.
    pub fn new(what: &str, name: &str) -> Self {
        Self::of(what).followed_by(name)
    }

    /// The key of the draw `what` for a thing whose name is still empty.
    pub(super) fn of(what: &str) -> Self {
        const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        Self(what.bytes().chain([0]).fold(OFFSET, hash_byte))
    }

    /// Returns the key of the same draw with more text behind its name: a name need not be put together
    /// to be hashed.
    #[must_use]
    pub(super) fn followed_by(self, text: &str) -> Self {
        Self(text.bytes().fold(self.0, hash_byte))
    }

    /// Returns the key of the same draw with a number behind its name, in decimal digits.
    #[must_use]
    pub fn numbered(self, number: u32) -> Self {
        let mut hash = self.0;
        // The largest power of ten in the number, so that digits come from the left as in a text.
        let mut unit = 10_u32.pow(number.checked_ilog10().unwrap_or(0));
        while unit > 0 {
            let digit = (number / unit % 10) as u8;
            hash = hash_byte(hash, b'0' + digit);
            unit /= 10;
        }
        Self(hash)
    }
}

fn hash_byte(hash: u128, byte: u8) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    (hash ^ u128::from(byte)).wrapping_mul(PRIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fnv_1a() {
        // The published vector for "foobar" has no zero byte: start from its parts instead.
        let by_hand =
            b"a\0b".iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
                (hash ^ u128::from(*byte)).wrapping_mul((1 << 88) + 0x13b)
            });
        assert_eq!(Key::new("a", "b").0, by_hand);
    }

    #[test]
    fn numbers_go_behind_the_name() {
        for number in [0, 1, 9, 10, 105, 4_000_000_000] {
            let by_hand = Key::new("outage-gap", &format!("cart#{number}"));
            assert_eq!(Key::new("outage-gap", "cart#").numbered(number), by_hand);
        }
    }

    #[test]
    fn what_and_name_are_kept_apart() {
        assert_ne!(Key::new("a", "bc"), Key::new("ab", "c"));
    }
}
