//! How a topology and its sources differ, for a terminal.

use std::fmt::Write as _;

use crate::prose::drift::{drift_headline, entries_by_group, entry_detail, entry_name};
use crate::report::drift::DriftReport;

/// Renders the differences for a terminal.
pub fn drift_text(report: &DriftReport) -> String {
    let plain: fn(&str) -> String = str::to_owned;
    let mut out = drift_headline(report) + "\n";
    for (title, entries) in entries_by_group(report) {
        let _ = writeln!(out, "\n{title}");
        for entry in entries {
            let _ = writeln!(out, "  {}{}", entry_name(entry, plain), entry_detail(entry, plain));
        }
    }
    out
}
