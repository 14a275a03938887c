//! How a topology and its sources differ, as a comment for a pull request.

use std::fmt::Write as _;

use crate::prose::drift::{drift_headline, entries_by_group, entry_detail, entry_name};
use crate::prose::escape::{markdown_code as code, markdown_prose as prose};
use crate::report::drift::DriftReport;

/// Renders the differences as a comment for a pull request.
pub fn drift_markdown(report: &DriftReport) -> String {
    let mut out = format!("**{}**\n", prose(&drift_headline(report)));
    for (title, entries) in entries_by_group(report) {
        let _ = writeln!(out, "\n### {title}\n");
        for entry in entries {
            let _ = writeln!(out, "- {}{}", entry_name(entry, code), entry_detail(entry, code));
        }
    }
    out
}
