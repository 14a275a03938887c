//! Data for scripts: the report as it is.

use crate::report::Report;

/// The report as indented JSON with a newline at the end; keys are always in the same order.
pub fn render(report: &Report) -> String {
    pretty(report)
}

/// Any part of a report, in the same form.
pub(super) fn pretty(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("texts, numbers, lists and maps");
    text.push('\n');
    text
}
