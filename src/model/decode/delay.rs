//! Delays: a duration, or a median and a 95th percentile.

use super::read::{Field, Mapping, Shape};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::change::Delay;
use crate::model::units::Seconds;

/// A delay that is written as a mapping.
pub(crate) const DELAY: Shape =
    Shape { what: "a delay", keys: &["median", "p95"], schema: "/$defs/delay_settings" };

/// A delay: `10m` is always that long.
pub(crate) fn decode_delay(field: &Field<'_>) -> Option<Delay> {
    if !field.is_mapping() {
        let median = field.duration()?;
        // A plain duration is exact.
        return Some(Delay { median, p95: median });
    }
    needed_delay(&field.mapping(&DELAY)?)
}

/// The delay in a mapping that must say it.
pub(crate) fn needed_delay(mapping: &Mapping<'_>) -> Option<Delay> {
    if mapping.get("p95").is_none() {
        mapping.require("median", "10m");
    }
    delay_of(mapping)
}

/// The delay in a mapping that may say it.
pub(crate) fn delay_of(mapping: &Mapping<'_>) -> Option<Delay> {
    let p95_field = mapping.get("p95");
    // A p95 alone is no delay, so the median is required beside it.
    let median_field = match p95_field {
        Some(_) => mapping.require("median", "10m")?,
        None => mapping.get("median")?,
    };
    let median = median_field.duration();
    let Some(p95_field) = p95_field else {
        return median.map(|median| Delay { median, p95: median });
    };
    let delay = Delay { p95: p95_field.duration()?, median: median? };
    check_order(&median_field, &p95_field, delay).then_some(delay)
}

fn check_order(median_field: &Field<'_>, p95_field: &Field<'_>, delay: Delay) -> bool {
    let Delay { median, p95 } = delay;
    // A median of 0 with a p95 above it is no lognormal delay.
    if p95 >= median && (median > Seconds::ZERO || p95 == Seconds::ZERO) {
        return true;
    }
    let problem = if p95 < median {
        let message = format!("the 95th percentile {p95} is below the median {median}");
        Diagnostic::error(Code::DelayOrder, message, p95_field.place())
            .help("19 of 20 delays are at most `p95`, half of them at most `median`")
    } else {
        let message = format!("a delay with a median of 0 is always 0, not {p95}");
        Diagnostic::error(Code::DelayOrder, message, p95_field.place())
            .help("write a small `median`, such as `1s`")
    };
    p95_field.problems().push(problem.other_place(median_field.place(), "the median"));
    false
}
