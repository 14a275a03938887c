//! A verdict on one line, for logs and chats.

use super::text::harmless;
use crate::prose::simulation::{self, Wording};
use crate::report::Report;

const WORDING: Wording = Wording { name: harmless, arrow: "→" };

/// The verdict, what was checked, the first reason, and what happens.
pub fn render(report: &Report) -> String {
    let (topology, change) = (harmless(&report.topology), harmless(&report.change));
    let headline = simulation::headline(report, &WORDING);
    let Some(verdict) = &report.verdict else {
        return format!("{topology}, {change}: {headline}\n");
    };
    let undecided = if simulation::is_open(verdict) { ", undecided" } else { "" };
    let reason = verdict
        .reasons
        .first()
        .map_or_else(String::new, |reason| format!(" {}.", harmless(reason)));
    format!(
        "{}{undecided}: {topology}, {change}:{reason} {headline}\n",
        verdict.decision.as_str().to_uppercase()
    )
}
