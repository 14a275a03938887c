//! Replayed incidents as Markdown.

use crate::prose::escape::markdown_prose;
use crate::prose::replay::{
    column_heads, incident_lines, incident_title, replay_footer, replay_headline, score_notes,
    score_rows, timed_components,
};
use crate::report::replay::ReplayReport;

/// The comparison in Markdown.
pub fn replay_markdown(report: &ReplayReport) -> String {
    let mut out = format!("{}\n\n", markdown_prose(&replay_headline(report)));
    let heads = column_heads(report);
    out.push_str(&format!("| | {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(heads.len())));
    for row in score_rows(report) {
        out.push_str(&format!("| {} | {} |\n", markdown_prose(&row.name), row.cells.join(" | ")));
    }
    out.push('\n');
    for note in score_notes(report) {
        out.push_str(&format!("- {}\n", markdown_prose(&note)));
    }
    for incident in &report.incidents {
        out.push_str(&format!("\n### {}\n\n", markdown_prose(&incident_title(incident))));
        for line in incident_lines(incident) {
            out.push_str(&format!("- {}\n", markdown_prose(&line)));
        }
        let times = timed_components(incident);
        if !times.is_empty() {
            out.push_str("\n| impacted | seen | simulated |\n|---|---|---|\n");
        }
        for time in times {
            let [seen, simulated] = [&time.seen, &time.simulated].map(|text| markdown_prose(text));
            out.push_str(&format!("| {} | {seen} | {simulated} |\n", markdown_prose(time.name)));
        }
    }
    out.push_str(&format!("\n{}\n", replay_footer(report)));
    out
}
