//! How a distribution spreads over equal steps.

use crate::engine::sketch::Sketch;

/// At most so many steps: as many as fit beside words on a line.
const STEPS_MAX: f64 = 32.0;

/// How trials spread over equal steps; the shares, with `none` and `beyond`, sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The share of trials that are exactly 0.
    pub none: f64,
    /// How wide one step is: 1, 2 or 5 times a power of ten.
    pub step: f64,
    /// The share of trials in each step, the first from just above 0.
    pub shares: Vec<f64>,
    /// The share of trials above all steps.
    pub beyond: f64,
}

/// The histogram of what was counted; nothing where all of it is 0.
///
/// The steps reach to the 99th percentile, or to the largest value where that is 0: the worst of a
/// hundred thousand trials would otherwise press all others into the first step.
pub(super) fn histogram(sketch: &Sketch) -> Option<Histogram> {
    let max = sketch.max().filter(|max| *max > 0.0)?;
    let reach = sketch.quantile(0.99).filter(|reach| *reach > 0.0).unwrap_or(max);
    let step = round_step(reach / STEPS_MAX);
    let steps = (reach / step).ceil().max(1.0) as u32;
    let share = |count: u64| count as f64 / sketch.count() as f64;
    let above = |limit: f64| sketch.at_least(limit);
    let edges = (0..=steps).map(|index| {
        above(if index == 0 { f64::MIN_POSITIVE } else { f64::from(index) * step })
    });
    let edges: Vec<u64> = edges.collect();
    Some(Histogram {
        none: share(sketch.count() - edges[0]),
        step,
        shares: edges.windows(2).map(|pair| share(pair[0] - pair[1])).collect(),
        beyond: share(edges[edges.len() - 1]),
    })
}

/// The smallest of 1, 2 and 5 times a power of ten that is no smaller than `least`.
fn round_step(least: f64) -> f64 {
    let mut power = 1.0;
    while power > least && power > 1e-9 {
        power /= 10.0;
    }
    while power * 10.0 <= least {
        power *= 10.0;
    }
    let fits = |factor: &f64| factor * power >= least;
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Option<Histogram> {
        let mut sketch = Sketch::new(16);
        values.into_iter().for_each(|value| sketch.add(value));
        sketch.settle();
        histogram(&sketch)
    }

    #[test]
    fn every_trial_is_in_one_step() {
        let values = (0..1000).map(|index| if index < 100 { 0.0 } else { f64::from(index) });
        let histogram = of(values).unwrap();
        assert_eq!(histogram.none, 0.1);
        assert_eq!(histogram.step, 50.0);
        assert_eq!(histogram.shares.len(), 20);
        assert_eq!(histogram.shares[..3], [0.0, 0.0, 0.05]);
        let sum: f64 = histogram.shares.iter().sum();
        assert!((sum + histogram.none + histogram.beyond - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_lost_has_no_histogram_and_a_rare_loss_has_one() {
        assert_eq!(of([0.0; 10]), None);
        assert_eq!(of([]), None);
        let rare = of((0..1000).map(|index| if index == 7 { 640.0 } else { 0.0 })).unwrap();
        assert_eq!((rare.none, rare.step, rare.shares.len()), (0.999, 20.0, 32));
        assert_eq!(rare.beyond, 0.001, "the end of a step belongs to the next");
    }

    #[test]
    fn steps_are_round_at_any_size() {
        for (least, step) in [(3.1, 5.0), (1.0, 1.0), (0.015, 0.02), (61_000.0, 100_000.0)] {
            assert!((round_step(least) / step - 1.0).abs() < 1e-12, "{least}");
        }
    }
}
