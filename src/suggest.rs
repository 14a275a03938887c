//! "Did you mean": the nearest of the names that would have been right.

use std::cell::Cell;

/// How many names may be compared in one run: on a topology of a million services, a thousand
/// misspelled references would otherwise take an hour.
const COMPARISONS: usize = 500_000;

/// Finds near names, as long as that is cheap.
#[derive(Debug)]
pub struct Suggester {
    left: Cell<usize>,
}

impl Default for Suggester {
    fn default() -> Self {
        Self { left: Cell::new(COMPARISONS) }
    }
}

impl Suggester {
    /// The name nearest to `word`, if one is near enough to be what was meant.
    pub fn nearest<'a>(
        &self,
        word: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        let mut best: Option<(usize, &'a str)> = None;
        for name in names {
            // Without a suggestion the message is still right.
            if self.left.get() == 0 {
                return None;
            }
            self.left.set(self.left.get() - 1);
            let Some(distance) = is_near(word, name) else { continue };
            // Of equally near names the first one given.
            if best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, name));
            }
        }
        best.map(|(_, name)| name)
    }
}

/// The name nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    Suggester::default().nearest(word, names)
}

/// The edits between two words, if they are few: at most a third of the longer word, at least one.
///
/// Two names that differ only in case, or in `-`, `_` and spaces, are near at any length.
fn is_near(word: &str, name: &str) -> Option<usize> {
    let (short, long) = (word.len().min(name.len()), word.len().max(name.len()));
    let limit = (long / 3).max(1);
    // Names are not long; what is as long as this is no name, and comparing it takes its square.
    if word == name || long - short > limit || long > 200 {
        return None;
    }
    if folded_letters(word).eq(folded_letters(name)) {
        return Some(0);
    }
    // A single letter can be turned into any other: no help.
    let distance = strsim::osa_distance(word, name);
    (distance <= limit && distance < long).then_some(distance)
}

/// A word without the differences that people overlook.
fn folded_letters(word: &str) -> impl Iterator<Item = char> {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_mended() {
        let names = ["payments", "orders", "cart", "db"];
        assert_eq!(nearest("paymnts", names), Some("payments"));
        assert_eq!(nearest("payemnts", names), Some("payments"));
        assert_eq!(nearest("Cart", names), Some("cart"));
        assert_eq!(nearest("bd", names), Some("db"));
        assert_eq!(nearest("retry-budget", ["retries", "retry_budget"]), Some("retry_budget"));
    }

    #[test]
    fn nothing_rather_than_a_bad_guess() {
        assert_eq!(nearest("inventory", ["payments", "orders", "cart"]), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest("cart", ["cart"]), None);
        assert_eq!(nearest("", ["a"]), None);
    }

    #[test]
    fn looking_stops_when_it_becomes_dear() {
        let suggester = Suggester { left: Cell::new(1) };
        assert_eq!(suggester.nearest("crat", ["nothing", "cart"]), None);
    }
}
