//! How a distribution spreads over steps with round ends.

use crate::engine::sketch::Sketch;

/// Maximum number of steps: as many as fit beside words on a line.
const STEPS_MAX: usize = 32;

/// How trials spread over steps; the shares, with `none` and `beyond`, sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The share of trials that are exactly 0.
    pub none: f64,
    /// Where each step ends, rising; the first begins just above 0.
    pub ends: Vec<f64>,
    /// Whether the steps are equally wide, rather than each a constant number of times the last.
    pub is_linear: bool,
    /// The share of trials in each step.
    pub shares: Vec<f64>,
    /// The share of trials above all steps.
    pub beyond: f64,
}

/// The histogram of what was counted; nothing where all of it is 0.
///
/// The steps reach to the 99th percentile, or to the largest value where that is 0: the worst of a
/// hundred thousand trials would otherwise press all others together. They are equally wide, unless
/// most trials would then be in the first: losses range from a canary's to those of a day.
pub(super) fn histogram_of(sketch: &Sketch) -> Option<Histogram> {
    let max = sketch.max().filter(|max| *max > 0.0)?;
    let reach = sketch.quantile(0.99).filter(|reach| *reach > 0.0).unwrap_or(max);
    let linear = count_steps(sketch, equal_ends(reach), true);
    let seen: f64 = linear.shares.iter().sum();
    // Where most trials are in the first step, the others would be flat beside it.
    if linear.shares[0] <= seen / 2.0 {
        return Some(linear);
    }
    Some(count_steps(sketch, rising_ends(sketch, linear.none, reach), false))
}

fn count_steps(sketch: &Sketch, ends: Vec<f64>, is_linear: bool) -> Histogram {
    let share = |count: u64| count as f64 / sketch.count() as f64;
    // The first step begins just above 0: what loses nothing is counted apart.
    let starts = std::iter::once(f64::MIN_POSITIVE).chain(ends.iter().copied());
    let above: Vec<u64> = starts.map(|start| sketch.at_least(start)).collect();
    Histogram {
        none: share(sketch.count() - above[0]),
        ends,
        is_linear,
        shares: above.windows(2).map(|pair| share(pair[0] - pair[1])).collect(),
        beyond: share(above[above.len() - 1]),
    }
}

fn equal_ends(reach: f64) -> Vec<f64> {
    let step =
        // Ends that are round can be read off without a scale.
        round_numbers().find(|step| step * STEPS_MAX as f64 >= reach).expect("rounds reach far");
    #[expect(clippy::cast_sign_loss, reason = "clamped to what is positive")]
    let steps = (reach / step).ceil().clamp(1.0, STEPS_MAX as f64) as u32;
    (1..=steps).map(|index| f64::from(index) * step).collect()
}

/// 1, 2, 5, 10 and so on, from what the smallest values need to what the largest do.
fn rising_ends(sketch: &Sketch, none: f64, reach: f64) -> Vec<f64> {
    // The 1st percentile of what loses anything: a single tiny loss would add many empty steps.
    let least = sketch.quantile(none + (1.0 - none) / 100.0).unwrap_or(0.0);
    let mut ends: Vec<f64> = Vec::new();
    for end in round_numbers().skip_while(|end| *end <= least) {
        ends.push(end);
        if end >= reach {
            break;
        }
    }
    // The smallest steps go first: the large losses are what matters.
    let surplus = ends.len().saturating_sub(STEPS_MAX);
    ends.split_off(surplus)
}

/// 1, 2 and 5 times the powers of ten from a millionth on.
fn round_numbers() -> impl Iterator<Item = f64> {
    (-6..=300).flat_map(|power| {
        [1.0, 2.0, 5.0].map(|factor: f64| {
            // Read from text, since powers may differ in the last bit from machine to machine.
            format!("{factor}e{power}").parse().expect("a number with its power of ten")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Option<Histogram> {
        let mut sketch = Sketch::new(16);
        values.into_iter().for_each(|value| sketch.add(value));
        sketch.settle();
        histogram_of(&sketch)
    }

    fn sum(histogram: &Histogram) -> f64 {
        histogram.none + histogram.shares.iter().sum::<f64>() + histogram.beyond
    }

    #[test]
    fn every_trial_is_in_one_step() {
        let values = (0..1000).map(|index| if index < 100 { 0.0 } else { f64::from(index) });
        let histogram = of(values).unwrap();
        assert!(histogram.is_linear);
        assert_eq!(histogram.none, 0.1);
        assert_eq!(histogram.ends.len(), 20);
        assert_eq!(histogram.ends[..3], [50.0, 100.0, 150.0]);
        assert_eq!(histogram.shares[..3], [0.0, 0.0, 0.05]);
        assert!((sum(&histogram) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_ranges_widely_has_rising_steps() {
        let values = (0..1000).map(|index| 1.5 * 2.0_f64.powi(index % 20));
        let histogram = of(values).unwrap();
        assert!(!histogram.is_linear);
        assert_eq!(histogram.ends[..4], [2.0, 5.0, 10.0, 20.0]);
        assert_eq!(histogram.ends.last(), Some(&1e6));
        assert!((sum(&histogram) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_lost_has_no_histogram_and_a_rare_loss_has_one() {
        assert_eq!(of([0.0; 10]), None);
        assert_eq!(of([]), None);
        let rare = of((0..1000).map(|index| if index == 7 { 640.0 } else { 0.0 })).unwrap();
        assert_eq!((rare.none, rare.shares.len()), (0.999, 32));
        assert_eq!(rare.beyond, 0.001, "the end of a step belongs to the next");
    }

    #[test]
    fn equal_values_fill_one_step_at_any_size() {
        for value in [1e-9, 0.3, 1.0, 61_000.0, 1e250] {
            let histogram = of([value; 100]).unwrap();
            assert!((sum(&histogram) - 1.0).abs() < 1e-12, "{value}: {histogram:?}");
            assert!(histogram.ends.len() <= STEPS_MAX, "{value}");
        }
    }
}
