//! A ranking as Markdown.

use super::{MarkdownTable, folded_list};
use crate::prose::escape::{markdown_code as code, markdown_prose as prose};
use crate::prose::ranking::{
    impact_text, interruption_note, interval_text, origin_nouns, rank_footer, rank_headline,
    single_points,
};
use crate::report::RankReport;

/// How many rows a table may have.
const ROWS_MAX: usize = 20;

/// The ranking as a comment.
pub fn rank_markdown(report: &RankReport) -> String {
    let mut parts = Vec::new();
    parts.extend(interruption_note(report).map(|interruption| format!("> ⚠️ **{interruption}**")));
    parts.push(format!("**{}**", rank_headline(report, code)));
    let has_orders = report.origins.iter().any(|origin| origin.orders_per_min.is_some());
    let mut columns = vec![origin_nouns(report)[0], "flows", "other services"];
    if has_orders {
        columns.extend(["orders per minute", "95% interval"]);
    }
    let mut table = MarkdownTable::new(&columns, 1);
    for origin in report.origins.iter().take(ROWS_MAX) {
        // The mark stands beside the name, since colour is lost in a comment.
        let mark = if origin.single_point_of.is_empty() { "" } else { "⚠️ " };
        let mut cells = vec![
            format!("{mark}{}", code(&origin.name)),
            impact_text(&origin.flows),
            impact_text(&origin.services),
        ];
        if let Some(orders) = &origin.orders_per_min {
            cells.extend([impact_text(orders), interval_text(orders, "–")]);
        }
        table.rows.push(cells);
    }
    if !table.rows.is_empty() {
        parts.push(table.render_table());
    }
    let points = single_points(report, code).into_iter();
    let points = points.map(|[flow, names]| format!("{flow}: {names}")).collect();
    parts.extend(folded_list("⚠️ Single points of failure", points));
    let assumptions = report.assumptions.iter().map(|assumption| prose(assumption)).collect();
    parts.extend(folded_list("Assumed", assumptions));
    parts.push(format!("<sub>{}</sub>", prose(&rank_footer(report))));
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}
