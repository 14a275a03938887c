//! Many values kept as counts in narrow buckets, so that memory stays bounded.

/// How many values are gathered before they are sorted into buckets.
const PENDING: usize = 4096;

/// A distribution of values of 0 or more.
///
/// A bucket holds the values that share the leading binary digits, so the mean of a bucket, which
/// stands for its values, is within `2^-digits` of each of them; equal values come out exactly.
/// Adding values in the same order gives the same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    digits: u32,
    buckets: Vec<Bucket>,
    pending: Vec<f64>,
    count: u64,
    sum: f64,
    sum_of_squares: f64,
    min: f64,
    max: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    code: u32,
    count: u32,
    sum: f64,
}

impl Sketch {
    /// An empty one that keeps so many binary digits, at most 20.
    pub fn new(digits: u32) -> Self {
        Self {
            digits,
            buckets: Vec::new(),
            pending: Vec::new(),
            count: 0,
            sum: 0.0,
            sum_of_squares: 0.0,
            min: f64::INFINITY,
            max: 0.0,
        }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        debug_assert!(value >= 0.0, "values are 0 or more");
        self.count += 1;
        self.sum += value;
        self.sum_of_squares += value * value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.pending.push(value);
        if self.pending.len() == PENDING {
            self.settle();
        }
    }

    /// Sorts what is pending into buckets; must be called before quantiles are asked for.
    pub fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        // A stable sort keeps the order in which equal codes are summed.
        pending.sort_by_key(|value| self.bucket_code(*value));
        let mut merged: Vec<Bucket> = Vec::with_capacity(self.buckets.len() + 16);
        let mut old = std::mem::take(&mut self.buckets).into_iter().peekable();
        for value in &pending {
            let code = self.bucket_code(*value);
            while let Some(bucket) = old.next_if(|bucket| bucket.code <= code) {
                merged.push(bucket);
            }
            match merged.last_mut() {
                Some(last) if last.code == code => {
                    last.count += 1;
                    last.sum += value;
                }
                _ => merged.push(Bucket { code, count: 1, sum: *value }),
            }
        }
        merged.extend(old);
        self.buckets = merged;
        pending.clear();
        self.pending = pending;
    }

    fn bucket_code(&self, value: f64) -> u32 {
        // Bits of positive floats are ordered like the floats.
        (value.to_bits() >> (52 - self.digits)) as u32
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean; nothing where there are none.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The standard error of the mean; nothing where there are fewer than two values.
    pub fn standard_error(&self) -> Option<f64> {
        let n = self.count as f64;
        let mean = self.mean().filter(|_| self.count > 1)?;
        // The variance of a sample; rounding may bring it below 0.
        let variance = (self.sum_of_squares / n - mean * mean).max(0.0) * n / (n - 1.0);
        Some(libm::sqrt(variance / n))
    }

    /// The smallest; nothing where there are none.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest; nothing where there are none.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// The smallest value that at least the share `q` of all values do not exceed.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        debug_assert!(self.pending.is_empty(), "settled before it is asked");
        #[expect(clippy::cast_sign_loss, reason = "a rank is not negative")]
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        self.value_of_rank(rank)
    }

    /// The value of this rank, 1 for the smallest; nothing beyond the last.
    pub fn value_of_rank(&self, rank: u64) -> Option<f64> {
        debug_assert!(self.pending.is_empty(), "settled before it is asked");
        let mut below = 0;
        for bucket in &self.buckets {
            below += u64::from(bucket.count);
            if below >= rank {
                let mean = bucket.sum / f64::from(bucket.count);
                // Rounding may carry the mean of a bucket past all of its values.
                return Some(mean.clamp(self.min, self.max));
            }
        }
        None
    }

    /// Several quantiles at once, for rising shares; nothing where there are no values.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        debug_assert!(self.pending.is_empty(), "settled before it is asked");
        if self.count == 0 {
            return None;
        }
        let (mut buckets, mut below) = (self.buckets.iter(), 0);
        let mut value = self.max;
        Some(shares.map(|q| {
            #[expect(clippy::cast_sign_loss, reason = "a rank is not negative")]
            let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
            while below < rank {
                let Some(bucket) = buckets.next() else { break };
                below += u64::from(bucket.count);
                value = (bucket.sum / f64::from(bucket.count)).clamp(self.min, self.max);
            }
            value
        }))
    }

    /// Returns how many values are larger than a limit, to one part in a billion.
    ///
    /// Values that share a bucket with the limit count as their mean, so the answer is exact unless
    /// some of them lie within `2^-digits` of it.
    pub fn count_above(&self, limit: f64) -> u64 {
        debug_assert!(self.pending.is_empty(), "settled before it is asked");
        // The mean of equal values may differ from them by rounding.
        let limit = limit * (1.0 + 1e-9);
        let is_larger = |bucket: &&Bucket| bucket.sum / f64::from(bucket.count) > limit;
        self.buckets.iter().filter(is_larger).map(|bucket| u64::from(bucket.count)).sum()
    }

    /// Returns the sum of all values, each of which counts for at most `cap`; buckets count as their mean.
    pub fn capped_sum(&self, cap: f64) -> f64 {
        debug_assert!(self.pending.is_empty(), "settled before it is asked");
        let capped = |bucket: &Bucket| {
            let count = f64::from(bucket.count);
            (bucket.sum / count).min(cap) * count
        };
        self.buckets.iter().map(capped).sum()
    }

    /// How many values are at least this large; buckets count as their mean.
    pub fn at_least(&self, limit: f64) -> u64 {
        debug_assert!(self.pending.is_empty(), "settled before it is asked");
        let large = |bucket: &&Bucket| bucket.sum / f64::from(bucket.count) >= limit;
        self.buckets.iter().filter(large).map(|bucket| u64::from(bucket.count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_order_statistics_within_the_stated_error() {
        let mut sketch = Sketch::new(12);
        for value in (1..=10_000).rev() {
            sketch.add(f64::from(value));
        }
        sketch.settle();
        for (q, exact) in [(0.5, 5_000.0), (0.95, 9_500.0), (0.0, 1.0), (1.0, 10_000.0)] {
            let found = sketch.quantile(q).expect("there are values");
            assert!((found - exact).abs() <= exact / 4096.0, "{q}: {found}");
        }
        let shares = [0.0, 0.1, 0.1, 0.5, 0.95, 1.0];
        let one_by_one = shares.map(|q| sketch.quantile(q).expect("there are values"));
        assert_eq!(sketch.quantiles(shares), Some(one_by_one));
        assert_eq!(sketch.mean(), Some(5_000.5));
        assert_eq!(sketch.max(), Some(10_000.0));
        assert_eq!(sketch.at_least(0.0), 10_000);
        assert_eq!(sketch.count_above(0.0), 10_000);
        assert_eq!(sketch.count_above(10_000.0), 0);
        assert_eq!(sketch.capped_sum(1.0), 10_000.0);
        assert!((sketch.capped_sum(1e9) - sketch.sum()).abs() < 1.0);
    }

    #[test]
    fn equal_values_come_out_exactly() {
        let mut sketch = Sketch::new(9);
        for _ in 0..5_000 {
            sketch.add(1234.567);
        }
        sketch.settle();
        assert_eq!(sketch.quantile(0.5), Some(1234.567));
        assert_eq!((sketch.count_above(1234.567), sketch.count_above(1234.566)), (0, 5_000));
        assert_eq!(Sketch::new(9).quantile(0.5), None);
        assert_eq!(Sketch::new(9).quantiles([0.5]), None);
    }

    #[test]
    fn memory_stays_bounded() {
        let mut sketch = Sketch::new(9);
        for value in 0..1_000_000 {
            sketch.add(f64::from(value) * 0.1);
        }
        sketch.settle();
        assert!(sketch.buckets.len() < 12_000, "{}", sketch.buckets.len());
    }
}
