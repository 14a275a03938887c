//! A verdict on one line, for logs and chats.

use crate::prose::escape::harmless_name;
use crate::prose::simulation::{self, Wording};
use crate::report::Report;

const WORDING: Wording = Wording { name: harmless_name, arrow: "→" };

/// The verdict, what was checked, the first reason, and what happens.
pub fn render_short(report: &Report) -> String {
    let (topology, change) = (harmless_name(&report.topology), harmless_name(&report.change));
    let headline = simulation::headline(report, &WORDING);
    let Some(verdict) = &report.verdict else {
        return format!("{topology}, {change}: {headline}\n");
    };
    let undecided = if simulation::is_open(verdict) { ", undecided" } else { "" };
    // One line has room for one reason.
    let reason = verdict
        .reasons
        .first()
        .map_or_else(String::new, |reason| format!(" {}.", harmless_name(reason)));
    format!(
        "{}{undecided}: {topology}, {change}:{reason} {headline}\n",
        verdict.decision.as_str().to_uppercase()
    )
}
