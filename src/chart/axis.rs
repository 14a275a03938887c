//! Scales with round marks: numbers on a straight one, times on one that gives the first minutes as
//! much room as the later hours.

use crate::prose::format;

/// From values to places on a line of some length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AxisScale {
    length: f64,
    max: f64,
    /// Values far below it are spread evenly, values far above by their logarithm; nothing for evenly
    /// throughout.
    bend: Option<f64>,
}

impl AxisScale {
    /// Evenly from 0 to `max`.
    pub(super) fn linear(length: f64, max: f64) -> Self {
        Self { length, max: max.max(f64::MIN_POSITIVE), bend: None }
    }

    /// From 0 to `max`, by the logarithm where values are far above `bend`.
    pub(super) fn logarithmic(length: f64, max: f64, bend: f64) -> Self {
        // A bend at 0 would divide by it, and one above the end would bend nothing.
        let max = max.max(f64::MIN_POSITIVE);
        Self { length, max, bend: Some(bend.clamp(max * 1e-12, max)) }
    }

    /// The value at its end.
    pub(super) fn max(self) -> f64 {
        self.max
    }

    /// Where a value stands, within the line.
    pub(super) fn position_of(self, value: f64) -> f64 {
        let share = match self.bend {
            None => value / self.max,
            // Near 0 `log1p` is linear, so the scale has a 0 that a plain logarithm lacks.
            Some(bend) => libm::log1p(value / bend) / libm::log1p(self.max / bend),
        };
        share.clamp(0.0, 1.0) * self.length
    }
}

/// Round marks of a number, at most so many steps.
pub(super) fn round_marks(max: f64, steps: f64) -> Vec<f64> {
    let wanted = max / steps.max(1.0);
    // A maximum of 0 or of infinity has no steps.
    if !(wanted.is_finite() && wanted > 0.0) {
        return vec![0.0];
    }
    // Rounding must not push a step out that is exactly as large as wanted.
    let step = round_numbers().find(|step| *step >= wanted * (1.0 - 1e-9)).unwrap_or(wanted);
    let mut marks = Vec::new();
    // No axis has room for more marks, and a loop over numbers with a tiny step would not end.
    for index in 0..64 {
        let mark = f64::from(index) * step;
        if mark > max * (1.0 + 1e-9) {
            break;
        }
        marks.push(mark);
    }
    marks
}

/// Round marks of a number on a bent scale: 0 and 1, 2, 5 times the powers of ten.
pub(super) fn bent_marks(scale: AxisScale, apart: f64) -> Vec<f64> {
    spaced_values(scale, round_numbers().take_while(|mark| *mark <= scale.max), apart)
}

/// Marks of time on a bent scale.
pub(super) fn time_marks(scale: AxisScale, apart: f64) -> Vec<(f64, String)> {
    const TIMES: [f64; 24] = [
        0.1,
        1.0,
        5.0,
        10.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        1200.0,
        1800.0,
        3600.0,
        7200.0,
        14_400.0,
        28_800.0,
        43_200.0,
        86_400.0,
        172_800.0,
        259_200.0,
        604_800.0,
        1_209_600.0,
        2_592_000.0,
        7_776_000.0,
        31_536_000.0,
    ];
    let times = TIMES.into_iter().take_while(|time| *time <= scale.max);
    spaced_values(scale, times, apart)
        .into_iter()
        .map(|time| {
            (
                time,
                if time == 0.0 {
                    "start".to_owned()
                } else {
                    format!("+{}", format::duration(time))
                },
            )
        })
        .collect()
}

/// 0, and those values that stand at least so far from the one before.
fn spaced_values(scale: AxisScale, values: impl Iterator<Item = f64>, apart: f64) -> Vec<f64> {
    let mut marks = vec![0.0];
    let mut last = 0.0;
    for value in values {
        let at = scale.position_of(value);
        // Labels closer than this would overlap.
        if at - last >= apart {
            marks.push(value);
            last = at;
        }
    }
    marks
}

/// 1, 2 and 5 times the powers of ten.
fn round_numbers() -> impl Iterator<Item = f64> {
    (-9..=60).flat_map(|power| {
        [1, 2, 5].map(|factor| {
            // Parsed from decimal digits: powers of ten computed in floating point would be off in
            // the last digit.
            format!("{factor}e{power}").parse::<f64>().expect("a number with its power of ten")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        assert_eq!(round_marks(4253.0, 5.0), [0.0, 1000.0, 2000.0, 3000.0, 4000.0]);
        assert_eq!(round_marks(1.0, 4.0), [0.0, 0.5, 1.0]);
        assert_eq!(round_marks(0.0, 4.0), [0.0]);
    }

    #[test]
    fn times_keep_apart_and_rise() {
        let scale = AxisScale::logarithmic(600.0, 86_400.0, 60.0);
        let marks = time_marks(scale, 60.0);
        assert_eq!(marks[0], (0.0, "start".to_owned()));
        let at: Vec<f64> = marks.iter().map(|(time, _)| scale.position_of(*time)).collect();
        assert!(at.windows(2).all(|pair| pair[1] >= pair[0] + 60.0), "{at:?}");
        assert!(marks.len() >= 5, "{marks:?}");
        assert_eq!(scale.position_of(86_400.0), 600.0);
    }
}
