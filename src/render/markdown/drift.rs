//! How a topology and its sources differ, as a comment for a pull request.

use std::fmt::Write as _;

use crate::prose::drift::{GROUPS, drift_headline, entry_detail, entry_name};
use crate::prose::escape::{markdown_code as code, markdown_prose as prose};
use crate::report::drift::DriftReport;

/// Renders the differences as a comment for a pull request.
pub fn drift_markdown(report: &DriftReport) -> String {
    let mut out = format!("**{}**\n", prose(&drift_headline(report)));
    for (wanted, title) in GROUPS {
        let mut entries =
            report.differences.iter().filter(|difference| difference.code == wanted).peekable();
        if entries.peek().is_some() {
            let _ = writeln!(out, "\n### {title}\n");
        }
        for entry in entries {
            let _ = writeln!(out, "- {}{}", entry_name(entry, code), entry_detail(entry, code));
        }
    }
    out
}
