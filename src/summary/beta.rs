//! The beta distribution: what is known of a probability after so many events among so many chances.

use super::estimate::Estimate;

/// How often the interval is halved: more than an `f64` can tell apart.
const HALVINGS: u32 = 200;
/// Terms of the continued fraction at most; the numbers of rows that there can be need far fewer.
const TERMS: u32 = 10_000;
/// A factor this close to 1 changes the fraction no more.
const CONVERGED: f64 = 1e-15;
/// Stands for a divisor of 0, as Lentz's method needs it.
const TINY: f64 = 1e-300;

/// A beta distribution of a probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// Events, those of the prior among them; above 0.
    pub events: f64,
    /// Chances at which none happened, those of the prior among them; above 0.
    pub others: f64,
}

impl Beta {
    /// Returns the distribution with a mean, worth so many rows.
    pub fn with_mean(mean: f64, rows: f64) -> Self {
        Self { events: mean * rows, others: (1.0 - mean) * rows }
    }

    /// Returns the distribution after more rows, `events` of `rows` with the event.
    #[must_use]
    pub fn after(self, events: u64, rows: u64) -> Self {
        let others = rows.saturating_sub(events) as f64;
        Self { events: self.events + events as f64, others: self.others + others }
    }

    /// Returns the mean.
    pub fn mean(self) -> f64 {
        self.events / (self.events + self.others)
    }

    /// Returns the mean with the interval that holds 95%, as much outside on either side.
    pub fn estimate(self) -> Estimate {
        Estimate { p: self.mean(), low: self.quantile(0.025), high: self.quantile(0.975) }
    }

    /// Returns the value that a share `q` of the distribution lies below.
    pub fn quantile(self, q: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if self.cumulative(middle) < q { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// Returns the share of the distribution below `x`: the regularized incomplete beta function.
    pub fn cumulative(self, x: f64) -> f64 {
        if x <= 0.0 {
            return 0.0;
        }
        if x >= 1.0 {
            return 1.0;
        }
        let (a, b) = (self.events, self.others);
        let front = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - log_beta(a, b));
        // The fraction converges fast on one side of the mean, and the function is symmetric.
        if x < (a + 1.0) / (a + b + 2.0) {
            front * continued_fraction(a, b, x) / a
        } else {
            1.0 - front * continued_fraction(b, a, 1.0 - x) / b
        }
    }
}

/// Returns the logarithm of the beta function.
pub(crate) fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

/// The continued fraction of the incomplete beta function (Abramowitz and Stegun 1964, 26.5.8), by the
/// modified method of Lentz.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let held = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / held(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for term in 1..=TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / held(1.0 + even * d);
        c = held(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / held(1.0 + odd * d);
        c = held(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < CONVERGED {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_have_their_closed_forms() {
        // With one chance more than events of 1, the distribution is 1 - (1 - x)^n.
        for n in [1.0, 5.0, 400.0] {
            for q in [0.025, 0.5, 0.975] {
                let exact = 1.0 - libm::pow(1.0 - q, 1.0 / n);
                let found = Beta { events: 1.0, others: n }.quantile(q);
                assert!((found - exact).abs() < 1e-12, "{n} {q}: {found} {exact}");
            }
        }
        let even = Beta { events: 1e6, others: 1e6 };
        assert!((even.quantile(0.5) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn an_interval_holds_95_percent() {
        let beta = Beta { events: 3.5, others: 40.0 };
        let estimate = beta.estimate();
        let held = beta.cumulative(estimate.high) - beta.cumulative(estimate.low);
        assert!((held - 0.95).abs() < 1e-9, "{held}");
    }
}
