//! Random numbers for single requests: a generator and the distributions of the theory.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// The quantile of a standard normal variable at 99%.
const NORMAL_P99: f64 = 2.326_347_874_040_841;

/// How long something takes, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    /// Always the same.
    Fixed(f64),
    /// Memoryless, with this mean.
    Exponential(f64),
    /// Lognormal, with this median and 99th percentile.
    Lognormal {
        /// Half of all times are shorter.
        median: f64,
        /// One in a hundred is longer.
        p99: f64,
    },
}

impl Time {
    /// The mean, in seconds.
    pub(crate) fn mean(self) -> f64 {
        match self {
            Self::Fixed(seconds) | Self::Exponential(seconds) => seconds,
            Self::Lognormal { median, p99 } => {
                let sigma = (p99 / median).ln() / NORMAL_P99;
                median * (sigma * sigma / 2.0).exp()
            }
        }
    }
}

/// A source of random numbers; equal seeds give equal numbers.
pub(crate) struct Draws(SmallRng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// A number between 0 and 1, evenly.
    pub(crate) fn share(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    pub(crate) fn is_below(&mut self, share: f64) -> bool {
        share > 0.0 && self.share() < share
    }

    /// A whole number below `count`, evenly.
    #[expect(clippy::cast_sign_loss, reason = "a share is never negative")]
    pub(crate) fn index(&mut self, count: usize) -> usize {
        ((self.share() * count as f64) as usize).min(count - 1)
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }

    pub(crate) fn time(&mut self, time: Time) -> f64 {
        match time {
            Time::Fixed(seconds) => seconds,
            Time::Exponential(mean) => self.exponential(mean),
            Time::Lognormal { median, p99 } => {
                let sigma = (p99 / median).ln() / NORMAL_P99;
                median * (sigma * self.normal()).exp()
            }
        }
    }

    /// A standard normal variable, by the method of Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}
