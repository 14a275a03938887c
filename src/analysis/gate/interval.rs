//! Intervals of simulated figures, each computed once.

use std::cell::RefCell;
use std::collections::BTreeMap;

pub(super) use crate::summary::sequential::{mean_interval, quantile_interval};

use crate::summary::sequential;

/// Intervals of shares that were computed before: a rule over 30,000 dependencies asks for few
/// different counts, most of them 0.
#[derive(Default)]
pub(super) struct IntervalCache {
    shares: RefCell<BTreeMap<[u64; 3], (f64, f64)>>,
}

impl IntervalCache {
    /// Returns the interval of `sequential`.
    pub(super) fn share(&self, successes: f64, trials: u64, error: f64) -> (f64, f64) {
        let key = [successes.to_bits(), trials, error.to_bits()];
        *self
            .shares
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| sequential::share_interval(successes, trials, error))
    }
}
