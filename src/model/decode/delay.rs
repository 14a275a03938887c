//! Delays: a duration, or a median and a 95th percentile.

use super::read::{Field, Mapping, Shape};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::change::Delay;
use crate::model::units::Seconds;

/// A delay that is written as a mapping.
pub(crate) const DELAY: Shape =
    Shape { what: "a delay", keys: &["median", "p95"], schema: "/$defs/delay_settings" };

/// A delay: `10m` is always that long.
pub(crate) fn delay(field: &Field<'_>) -> Option<Delay> {
    if !field.is_mapping() {
        let median = field.duration()?;
        return Some(Delay { median, p95: median });
    }
    let mapping = field.mapping(&DELAY)?;
    mapping.need("median", "10m")?;
    delay_of(&mapping)?
}

/// The delay in a mapping that says more than that; `Some(None)` when it does not say it.
pub(crate) fn delay_of(mapping: &Mapping<'_>) -> Option<Option<Delay>> {
    let p95_field = mapping.get("p95");
    let Some(median_field) = mapping.get("median") else {
        if p95_field.is_some() {
            mapping.need("median", "10m");
            return None;
        }
        return Some(None);
    };
    let median = median_field.duration();
    let p95 = p95_field.map(|field| field.duration());
    let (median, p95) = (median?, p95.unwrap_or(median)?);
    if let Some(field) = p95_field {
        check_order(&median_field, median, &field, p95)?;
    }
    Some(Some(Delay { median, p95 }))
}

fn check_order(
    median_field: &Field<'_>,
    median: Seconds,
    p95_field: &Field<'_>,
    p95: Seconds,
) -> Option<()> {
    if p95 >= median && (median > Seconds::ZERO || p95 == Seconds::ZERO) {
        return Some(());
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
    p95_field.problems().push(problem.other(median_field.place(), "the median"));
    None
}
