//! Eight trials side by side: the arithmetic of all of them in one go.
//!
//! Every function here is a plain loop over the lanes, which compilers turn into vector
//! instructions. Lanes never mix, and additions keep their order, so a trial's figures depend
//! neither on its neighbours nor on the width of the machine's vectors.

use crate::engine::simd::{array, run_with_widest};

/// How many trials are computed side by side; the few that take long to settle go alone.
pub(crate) const LANES: usize = 8;

/// One number per trial.
pub(crate) type Lanes<const W: usize = LANES> = [f64; W];

/// All lanes the same.
pub(crate) const fn all<const W: usize>(value: f64) -> Lanes<W> {
    [value; W]
}

/// Runs `work` with the widest SIMD features available. For `W == 1` it is called directly.
#[inline(always)]
pub(crate) fn for_lanes<const W: usize, R>(work: impl FnOnce() -> R) -> R {
    if W == 1 { work() } else { run_with_widest(work) }
}

/// Returns whether all lanes are equal, without a branch between them.
#[inline(always)]
pub(crate) fn same<const W: usize>(a: &Lanes<W>, b: &Lanes<W>) -> bool {
    let mut differ = false;
    for lane in 0..W {
        differ |= a[lane] != b[lane];
    }
    !differ
}

/// One bit per lane, as numbers: 1 where it is set.
pub(crate) fn ones(mask: u8) -> Lanes {
    array(|lane| f64::from(mask >> lane & 1))
}

/// Returns the lanes in which the test holds, as bits.
#[inline(always)]
pub(crate) fn mask<const W: usize>(test: impl Fn(usize) -> bool) -> u8 {
    let mut mask = 0;
    for lane in 0..W {
        mask |= u8::from(test(lane)) << lane;
    }
    mask
}

/// A mask of all lanes.
pub(crate) const fn every<const W: usize>() -> u8 {
    u8::MAX >> (8 - W)
}

/// Whether a bit of a mask is set.
#[inline(always)]
pub(crate) fn has(mask: u8, lane: usize) -> bool {
    mask >> lane & 1 == 1
}

/// Shares of requests by how they end; what is left is ok.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares<const W: usize = LANES> {
    pub(crate) slow: Lanes<W>,
    pub(crate) down: Lanes<W>,
    pub(crate) corrupt: Lanes<W>,
    pub(crate) degraded: Lanes<W>,
}

impl<const W: usize> PartialEq for Shares<W> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        same(&self.slow, &other.slow)
            && same(&self.down, &other.down)
            && same(&self.corrupt, &other.corrupt)
            && same(&self.degraded, &other.degraded)
    }
}

impl<const W: usize> Shares<W> {
    /// Everything ok.
    pub(crate) const OK: Self =
        Self { slow: all(0.0), down: all(0.0), corrupt: all(0.0), degraded: all(0.0) };

    /// Whether everything is ok in every lane.
    #[inline(always)]
    pub(crate) fn is_ok(&self) -> bool {
        // Shares are never negative, so their sum is 0 only where all of them are.
        let mut sum: Lanes<W> = all(0.0);
        for lane in 0..W {
            sum[lane] =
                self.slow[lane] + self.down[lane] + self.corrupt[lane] + self.degraded[lane];
        }
        same(&sum, &all(0.0))
    }

    /// Slow, down or corrupt.
    #[inline(always)]
    pub(crate) fn failing(&self, lane: usize) -> f64 {
        self.slow[lane] + self.down[lane] + self.corrupt[lane]
    }

    /// Slow, down, corrupt, or answered too late, which this share of answers is.
    #[inline(always)]
    pub(crate) fn failing_with(&self, too_late: f64, lane: usize) -> f64 {
        let answered = 1.0 - self.slow[lane] - self.down[lane] - self.corrupt[lane];
        self.failing(lane) + too_late * answered.max(0.0)
    }

    /// Slow or down.
    #[inline(always)]
    pub(crate) fn unanswered(&self, lane: usize) -> f64 {
        self.slow[lane] + self.down[lane]
    }
}

/// Shares of requests that survive independent causes: the products A1 to A4 of the semantics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SurvivalProducts<const W: usize = LANES>(pub(crate) [Lanes<W>; 4]);

impl<const W: usize> PartialEq for SurvivalProducts<W> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        (0..4).all(|level| same(&self.0[level], &other.0[level]))
    }
}

impl<const W: usize> SurvivalProducts<W> {
    /// Everything survives.
    pub(crate) const ALL: Self = Self([all(1.0); 4]);

    /// Returns the products of one cause.
    #[inline(always)]
    pub(crate) fn of(shares: &Shares<W>) -> Self {
        let mut left = [all(0.0); 4];
        for lane in 0..W {
            let not_slow = 1.0 - shares.slow[lane];
            // Rounding may leave a little less than nothing.
            let nor_down = (not_slow - shares.down[lane]).max(0.0);
            let nor_corrupt = (nor_down - shares.corrupt[lane]).max(0.0);
            left[0][lane] = not_slow;
            left[1][lane] = nor_down;
            left[2][lane] = nor_corrupt;
            left[3][lane] = (nor_corrupt - shares.degraded[lane]).max(0.0);
        }
        Self(left)
    }

    /// Adds an independent cause.
    #[inline(always)]
    pub(crate) fn times(&mut self, other: &Self) {
        for level in 0..4 {
            for lane in 0..W {
                self.0[level][lane] *= other.0[level][lane];
            }
        }
    }

    /// Returns the products of this many equal causes, by repeated squaring: the same operations in
    /// the same order on every machine.
    pub(crate) fn power(&self, mut exponent: u32) -> Self {
        let (mut result, mut square) = (Self::ALL, *self);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result.times(&square);
            }
            let factor = square;
            square.times(&factor);
            exponent >>= 1;
        }
        result
    }

    /// Takes the worse of two causes, at each level.
    #[inline(always)]
    pub(crate) fn min_with(&mut self, other: &Self) {
        for level in 0..4 {
            for lane in 0..W {
                self.0[level][lane] = self.0[level][lane].min(other.0[level][lane]);
            }
        }
    }

    /// Adds a cause by which this share of requests fails fast.
    #[inline(always)]
    pub(crate) fn apply_down(&mut self, share: &Lanes<W>) {
        for level in 1..4 {
            for lane in 0..W {
                self.0[level][lane] *= 1.0 - share[lane];
            }
        }
    }

    /// Adds a cause by which this share of requests hangs.
    #[inline(always)]
    pub(crate) fn apply_slow(&mut self, share: &Lanes<W>) {
        for level in 0..4 {
            for lane in 0..W {
                self.0[level][lane] *= 1.0 - share[lane];
            }
        }
    }

    /// Returns the shares by how requests end.
    #[inline(always)]
    pub(crate) fn shares(&self) -> Shares<W> {
        let [a1, a2, a3, a4] = &self.0;
        let mut shares = Shares::OK;
        for lane in 0..W {
            shares.slow[lane] = 1.0 - a1[lane];
            shares.down[lane] = a1[lane] - a2[lane];
            shares.corrupt[lane] = a2[lane] - a3[lane];
            shares.degraded[lane] = a3[lane] - a4[lane];
        }
        shares
    }
}
