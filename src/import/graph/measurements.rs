//! Figures that sources measured: how long answers take and how many fail, with the number of requests
//! that this is known from.

use std::collections::BTreeMap;

use super::ImportedService;

/// The fewest requests from which figures are taken: of fewer, none is expected above the 99th percentile.
pub(in crate::import) const REQUESTS_MIN: f64 = 100.0;

/// The longest answer that is taken for one, in seconds: a day.
const LATENCY_MAX: f64 = 86_400.0;

/// How long the answers of a service take in normal times.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredLatency {
    /// Half of the answers take less, in seconds; above 0.
    pub median: f64,
    /// 99 of 100 answers take less, in seconds; at least the median.
    pub p99: f64,
    /// The number of requests that were timed; `None` = the source does not say.
    pub requests: Option<f64>,
    /// The file that has it.
    pub source: String,
}

/// How many requests to a service failed.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredErrors {
    /// The number of requests that were counted, in any unit that is the same for `failed`.
    pub requests: f64,
    /// How many of them failed.
    pub failed: f64,
    /// How many failed although no call that they made did; `None` = the source does not say.
    pub failed_alone: Option<f64>,
    /// The file that has it.
    pub source: String,
}

/// Why a source that times requests gives no latency of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatencyGap {
    /// It has fewer than 100 requests.
    FewRequests,
    /// One request in a hundred takes longer than the last bucket says.
    BeyondBuckets,
    /// It has one figure, and does not say which quantile that is.
    UnnamedQuantile,
    /// Its clock is too coarse: most answers take no time.
    CoarseClock,
}

impl ImportedService {
    /// Keeps a latency; of several the one that is known from most requests. What takes longer than any
    /// answer does is a fault of the source.
    pub(in crate::import) fn note_latency(&mut self, found: MeasuredLatency) {
        // Of equal counts the first one stays, so a later source must know more to replace it.
        let is_better = |known: &MeasuredLatency| found.requests > known.requests;
        let is_time = found.median > 0.0 && (found.median..=LATENCY_MAX).contains(&found.p99);
        if is_time && self.latency.as_ref().is_none_or(is_better) {
            self.latency = Some(found);
        }
    }

    /// Keeps how many requests failed; of several sources the one that counted most.
    pub(in crate::import) fn note_errors(&mut self, found: MeasuredErrors) {
        let is_better = |known: &MeasuredErrors| found.requests > known.requests;
        if self.errors.as_ref().is_none_or(is_better) {
            self.errors = Some(found);
        }
    }

    /// Keeps how long the answers took, and how many were failures; of these so many although no call that
    /// the service made failed, where that is known.
    pub(in crate::import) fn note_answers(
        &mut self,
        answers: &SeenAnswers,
        failed_alone: Option<u64>,
        source: &str,
    ) {
        self.note_durations(&answers.durations, source);
        let requests = answers.total as f64;
        if requests >= REQUESTS_MIN {
            self.note_errors(MeasuredErrors {
                requests,
                failed: answers.failed as f64,
                failed_alone: failed_alone.map(|alone| alone as f64),
                source: source.to_owned(),
            });
        }
    }

    /// Keeps the latency of timed requests, or why there is none.
    pub(in crate::import) fn note_durations(&mut self, durations: &Durations, source: &str) {
        let requests = durations.count() as f64;
        if requests == 0.0 {
            return;
        }
        let (median, p99) = (durations.quantile(0.5), durations.quantile(0.99));
        if requests < REQUESTS_MIN {
            self.latency_gap = self.latency_gap.or(Some(LatencyGap::FewRequests));
        } else if median <= 0.0 {
            // Half of the durations are 0: the clock of the source counts in larger steps.
            self.latency_gap = self.latency_gap.or(Some(LatencyGap::CoarseClock));
        } else {
            let (requests, source) = (Some(requests), source.to_owned());
            self.note_latency(MeasuredLatency { median, p99, requests, source });
        }
    }
}

/// The answers that were seen of one service.
#[derive(Clone, Debug, Default)]
pub(in crate::import) struct SeenAnswers {
    /// Of those that were no failures: failing fast, or at the end of a timeout, is not normal.
    durations: Durations,
    total: u64,
    failed: u64,
}

impl SeenAnswers {
    /// Counts one answer, with its duration in nanoseconds where that is known.
    pub(in crate::import) fn add_answer(&mut self, duration: Option<u64>, is_failed: bool) {
        self.total += 1;
        if is_failed {
            self.failed += 1;
        } else if let Some(duration) = duration {
            self.durations.add_nanoseconds(duration);
        }
    }

    /// Adds all answers of another.
    pub(in crate::import) fn add_all(&mut self, other: &Self) {
        self.durations.add_all(&other.durations);
        self.total += other.total;
        self.failed += other.failed;
    }
}

/// The number of buckets for each power of two.
const BUCKETS_PER_OCTAVE: u32 = 64;

/// Counted durations, in buckets of 1.6% of their length: of each the count and the sum.
///
/// The order in which they are added does not matter, and memory grows with the spread of the durations,
/// not with their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::import) struct Durations {
    buckets: BTreeMap<u16, (u64, u128)>,
    count: u64,
}

impl Durations {
    /// Counts one duration, in nanoseconds.
    pub(in crate::import) fn add_nanoseconds(&mut self, nanoseconds: u64) {
        self.add_many(nanoseconds, 1);
    }

    /// Counts so many durations of this length, in nanoseconds.
    pub(in crate::import) fn add_many(&mut self, nanoseconds: u64, count: u64) {
        let bucket = self.buckets.entry(bucket_number(nanoseconds)).or_default();
        // Hostile counts may exceed what 64 bits hold.
        bucket.0 = bucket.0.saturating_add(count);
        bucket.1 = bucket.1.saturating_add(u128::from(nanoseconds) * u128::from(count));
        self.count = self.count.saturating_add(count);
    }

    /// Adds all durations of another.
    pub(in crate::import) fn add_all(&mut self, other: &Self) {
        for (number, (count, sum)) in &other.buckets {
            let bucket = self.buckets.entry(*number).or_default();
            bucket.0 = bucket.0.saturating_add(*count);
            bucket.1 = bucket.1.saturating_add(*sum);
        }
        self.count = self.count.saturating_add(other.count);
    }

    /// Returns how many durations were counted.
    pub(in crate::import) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the length, in seconds, that this share of the durations does not exceed; 0 without any.
    pub(in crate::import) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.count as f64).ceil().max(1.0);
        let mut below = 0_u64;
        for (count, sum) in self.buckets.values() {
            below = below.saturating_add(*count);
            if below as f64 >= rank {
                // The mean of the bucket is closer to its durations than either of its bounds.
                return *sum as f64 / *count as f64 / 1e9;
            }
        }
        0.0
    }
}

/// Returns the bucket of a duration: its power of two, and which of the parts of that.
fn bucket_number(nanoseconds: u64) -> u16 {
    let octave = nanoseconds.max(1).ilog2();
    let part = (u128::from(nanoseconds) * u128::from(BUCKETS_PER_OCTAVE)) >> octave;
    let number = octave * BUCKETS_PER_OCTAVE + (part as u32).saturating_sub(BUCKETS_PER_OCTAVE);
    number as u16
}

/// Cumulated counts by the upper bounds of buckets, in seconds, as histograms of metrics have them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::import) struct CumulatedBuckets {
    /// By the bits of the bound, which order like the bounds, since none is below 0.
    counts: BTreeMap<u64, f64>,
}

impl CumulatedBuckets {
    /// Adds the count of the bucket that ends at a bound, in seconds; infinity is one, too.
    pub(in crate::import) fn add_bucket(&mut self, bound: f64, count: f64) {
        if bound >= 0.0 && count.is_finite() && count >= 0.0 {
            // `-0.0` and `0.0` have different bits: the sum is always `0.0`.
            *self.counts.entry((bound + 0.0).to_bits()).or_default() += count;
        }
    }

    /// Returns how many requests were counted: what the last bucket holds.
    pub(in crate::import) fn count(&self) -> f64 {
        self.counts.last_key_value().map_or(0.0, |(_, count)| *count)
    }

    /// Returns the duration, in seconds, that this share of the requests does not exceed; `None` where
    /// it lies beyond the last bound. Within a bucket durations count as spread evenly, as
    /// `histogram_quantile` of Prometheus has them.
    pub(in crate::import) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = share * self.count();
        let (mut from, mut below) = (0.0, 0.0);
        for (bits, count) in &self.counts {
            let bound = f64::from_bits(*bits);
            if *count >= rank && *count > below {
                let within = (rank - below) / (count - below);
                // The bucket of infinity has no upper bound to interpolate to.
                return bound.is_finite().then_some(from + (bound - from) * within.max(0.0));
            }
            (from, below) = (bound, count.max(below));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_durations_are_exact_where_all_are_alike_and_near_where_not() {
        let mut durations = Durations::default();
        (0..98).for_each(|_| durations.add_nanoseconds(40_000_000));
        durations.add_many(400_000_000, 2);
        assert_eq!((durations.quantile(0.5), durations.quantile(0.99)), (0.04, 0.4));
        let mut spread = Durations::default();
        (1..=10_000).for_each(|at| spread.add_nanoseconds(at * 1_000));
        assert!((spread.quantile(0.5) / 0.005 - 1.0).abs() < 0.016);
        assert!((spread.quantile(0.99) / 0.0099 - 1.0).abs() < 0.016);
        assert_eq!(Durations::default().quantile(0.5), 0.0);
        for extreme in [0, 1, u64::MAX] {
            spread.add_nanoseconds(extreme);
        }
    }

    #[test]
    fn quantiles_of_buckets_lie_within_their_bounds_or_are_not_known() {
        let mut buckets = CumulatedBuckets::default();
        for (bound, count) in [(0.1, 50.0), (0.2, 100.0), (f64::INFINITY, 100.0)] {
            buckets.add_bucket(bound, count);
        }
        assert_eq!(buckets.quantile(0.5), Some(0.1));
        assert!((buckets.quantile(0.99).unwrap() - 0.198).abs() < 1e-12);
        buckets.add_bucket(f64::INFINITY, 10.0);
        assert_eq!(buckets.quantile(0.99), None);
        assert_eq!(CumulatedBuckets::default().quantile(0.5), None);
    }
}
