//! How a topology and its sources differ, for a terminal.

use std::fmt::Write as _;

use crate::prose::drift::{GROUPS, drift_headline, entry_detail, entry_name};
use crate::report::drift::DriftReport;

/// Renders the differences for a terminal.
pub fn drift_text(report: &DriftReport) -> String {
    let plain: fn(&str) -> String = str::to_owned;
    let mut out = drift_headline(report) + "\n";
    for (wanted, title) in GROUPS {
        let mut entries =
            report.differences.iter().filter(|difference| difference.code == wanted).peekable();
        if entries.peek().is_some() {
            let _ = writeln!(out, "\n{title}");
        }
        for entry in entries {
            let _ = writeln!(out, "  {}{}", entry_name(entry, plain), entry_detail(entry, plain));
        }
    }
    out
}
