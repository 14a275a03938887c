//! Lognormal delays from a record of them, some of which were not over when the record ended.
//!
//! The fit has the greatest likelihood: what is over counts with its density, what is still open with
//! the chance to last longer. Without the open ones, the longest incidents would be those that are
//! left out.

use super::estimate::Z975;

/// Rounds of the search at most.
const ROUNDS: u32 = 2_000;
/// A round that moves the parameters by less than this is the last.
const CONVERGED: f64 = 1e-12;
/// A standard normal number is below this in 19 of 20 cases.
const Z95: f64 = 1.644_853_626_951_472_2;
/// From here on the tail of the normal distribution is too small for its own ratio.
const FAR: f64 = 30.0;

/// A figure with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FigureInterval {
    /// The figure.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A lognormal distribution that was fitted to delays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LognormalFit {
    /// Half of the delays are shorter.
    pub median: FigureInterval,
    /// 19 of 20 are shorter.
    pub p95: FigureInterval,
    /// How many were over.
    pub over: u64,
    /// How many were still open.
    pub open: u64,
}

/// Fits a lognormal distribution to delays in seconds: those that are over, and how long those have lasted
/// that are still open. `None` where fewer than three different delays are over: nothing could be said of how they
/// spread.
pub fn fit_lognormal(over: &[f64], open: &[f64]) -> Option<LognormalFit> {
    let logs: Vec<f64> = over.iter().map(|delay| libm::log(*delay)).collect();
    let ends: Vec<f64> = open.iter().map(|delay| libm::log(*delay)).collect();
    let count = logs.len() as f64;
    if logs.len() < 3 {
        return None;
    }
    let mean = logs.iter().sum::<f64>() / count;
    let squares: f64 = logs.iter().map(|log| (log - mean) * (log - mean)).sum();
    if squares <= 1e-18 * count {
        return None;
    }
    let (mean, sigma) = most_likely(mean, squares, count, &ends);
    // The spread is estimated from as many delays as the mean, which takes one of them.
    let sigma = sigma * libm::sqrt(count / (count - 1.0));
    let covariance = covariance(&logs, &ends, mean, sigma);
    let quantile = student_quantile(count - 1.0);
    let figure = |k: f64| {
        let variance = covariance[0] + 2.0 * k * covariance[1] + k * k * covariance[2];
        let reach = quantile * libm::sqrt(variance.max(0.0));
        let at = mean + k * sigma;
        FigureInterval {
            value: libm::exp(at),
            low: libm::exp(at - reach),
            high: libm::exp(at + reach),
        }
    };
    let (over, open) = (logs.len() as u64, ends.len() as u64);
    Some(LognormalFit { median: figure(0.0), p95: figure(Z95), over, open })
}

/// Returns the mean and the spread of the logarithms with the greatest likelihood, by expectation and
/// maximization: what is open stands for its mean and spread beyond where it is now.
fn most_likely(mean: f64, squares: f64, count: f64, ends: &[f64]) -> (f64, f64) {
    let all = count + ends.len() as f64;
    let (mut centre, mut sigma) = (mean, libm::sqrt(squares / count));
    if ends.is_empty() {
        return (centre, sigma);
    }
    for _ in 0..ROUNDS {
        let mut sum = count * mean;
        for end in ends {
            sum += centre + sigma * hazard((end - centre) / sigma);
        }
        let next = sum / all;
        let mut spread = squares + count * (mean - next) * (mean - next);
        for end in ends {
            let a = (end - centre) / sigma;
            let h = hazard(a);
            let expected = centre + sigma * h;
            // The variance beyond a point is smaller than that of the whole.
            let variance = sigma * sigma * (1.0 - h * (h - a)).max(0.0);
            spread += variance + (expected - next) * (expected - next);
        }
        let next_sigma = libm::sqrt(spread / all);
        let moved = (next - centre).abs() + (next_sigma - sigma).abs();
        (centre, sigma) = (next, next_sigma);
        if moved < CONVERGED {
            break;
        }
    }
    (centre, sigma)
}

/// Returns the density of a standard normal number at `a` by the chance to be above.
fn hazard(a: f64) -> f64 {
    if a > FAR {
        return a + 1.0 / a;
    }
    let density = libm::exp(-0.5 * a * a) / libm::sqrt(2.0 * std::f64::consts::PI);
    density / (0.5 * libm::erfc(a / std::f64::consts::SQRT_2))
}

/// Returns the variances and the covariance of mean and spread: the inverse of the observed information.
fn covariance(logs: &[f64], ends: &[f64], mean: f64, sigma: f64) -> [f64; 3] {
    let (mut of_mean, mut of_both, mut of_sigma) = (0.0, 0.0, 0.0);
    for log in logs {
        let z = (log - mean) / sigma;
        of_mean += 1.0;
        of_both += 2.0 * z;
        of_sigma += 3.0 * z * z - 1.0;
    }
    for end in ends {
        let a = (end - mean) / sigma;
        let h = hazard(a);
        let bend = h * (h - a);
        of_mean += bend;
        of_both += bend * a + h;
        of_sigma += bend * a * a + 2.0 * a * h;
    }
    let determinant = of_mean * of_sigma - of_both * of_both;
    // Where nearly everything is open the likelihood is flat, and the mean alone is known a little.
    if determinant <= 0.0 {
        let alone = sigma * sigma / of_mean.max(1e-12);
        return [alone, 0.0, alone];
    }
    let scale = sigma * sigma / determinant;
    [of_sigma * scale, -of_both * scale, of_mean * scale]
}

/// Student's quantile for 95% intervals, from the normal one: Abramowitz and Stegun (1964), 26.7.5.
pub(crate) fn student_quantile(freedom: f64) -> f64 {
    let z = Z975;
    // A series and not a table: exact enough from a few rows on, and the same on every machine.
    let freedom = freedom.max(1.0);
    let (z3, z5, z7) = (z * z * z, z * z * z * z * z, z * z * z * z * z * z * z);
    z + (z3 + z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * freedom * freedom)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * freedom * freedom * freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_open_ones_it_is_the_mean_and_the_spread_of_the_logarithms() {
        let delays: Vec<f64> = (-2..=2).map(|step| libm::exp(f64::from(step))).collect();
        let fit = fit_lognormal(&delays, &[]).unwrap();
        // The logarithms are -2 to 2: mean 0, variance 10 / 4.
        assert!((fit.median.value - 1.0).abs() < 1e-12, "{fit:?}");
        let sigma = libm::sqrt(2.5);
        assert!((fit.p95.value - libm::exp(Z95 * sigma)).abs() < 1e-9, "{fit:?}");
    }

    #[test]
    fn what_is_open_makes_delays_longer_and_nothing_shorter_than_it() {
        let over = [60.0, 120.0, 300.0, 600.0, 900.0, 1200.0];
        let without = fit_lognormal(&over, &[]).unwrap();
        let with = fit_lognormal(&over, &[5000.0, 9000.0]).unwrap();
        assert!(with.median.value > without.median.value && with.p95.value > without.p95.value);
        assert!(with.median.high / with.median.low > without.median.high / without.median.low);
        assert_eq!((with.over, with.open), (6, 2));
    }

    #[test]
    fn nothing_is_said_of_what_does_not_spread() {
        assert_eq!(fit_lognormal(&[60.0, 60.0, 60.0, 60.0], &[]), None);
        assert_eq!(fit_lognormal(&[60.0, 70.0], &[80.0; 10]), None);
    }
}
