//! A ranking for a terminal.

use super::emphasis::Emphasis;
use super::table::{TextBar, TextCell, TextRow, TextTable, Widths};
use super::{Page, TextStyle};
use crate::prose::escape;
use crate::prose::ranking::{
    amount_text, impact_text, interruption_note, interval_text, origin_nouns, rank_footer,
    rank_headline, single_points,
};
use crate::report::RankReport;
use crate::report::rank::OriginReport;

/// How many are shown where nothing else is asked for: more stand in the data.
const ROWS_MAX: usize = 25;
/// Columns that are given up first where the page is narrow: the interval, then other services.
const EXPENDABLE: &[usize] = &[3, 1];

/// The ranking as lines of text, the last one with its newline.
pub fn render_rank(report: &RankReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    if let Some(interruption) = interruption_note(report) {
        page.add_paragraph(Emphasis::Doubtful, "", &interruption);
        page.add_gap();
    }
    let name: fn(&str) -> String = if style.ascii {
        |name| escape::name(name, true)
    } else {
        |name| escape::name(name, false)
    };
    let headline = rank_headline(report, name);
    page.add_paragraph(Emphasis::Strong, "", &headline);
    add_table(&mut page, report);
    let points = single_points(report, name);
    if !points.is_empty() {
        page.add_head("Single points of failure", "each takes the flow down in every trial");
        for [flow, names] in points {
            let start = format!("  {} ", page.glyphs.bullet);
            page.add_paragraph(Emphasis::Plain, &start, &format!("{flow}: {names}"));
        }
    }
    if !report.assumptions.is_empty() {
        page.add_head("Assumed", "");
        for assumption in &report.assumptions {
            let start = format!("  {} ", page.glyphs.bullet);
            page.add_paragraph(Emphasis::Plain, &start, assumption);
        }
    }
    page.add_gap();
    page.add_paragraph(Emphasis::Faint, "", &name(&rank_footer(report)));
    page.text
}

fn add_table(page: &mut Page, report: &RankReport) {
    if report.origins.is_empty() {
        return;
    }
    let has_orders = report.origins.iter().any(|origin| origin.orders_per_min.is_some());
    let mut heads = vec!["flows", "services"];
    if has_orders {
        heads.extend(["orders/min", "95% interval"]);
    }
    let noun = origin_nouns(report)[1];
    let mut title = noun.to_owned();
    // Every noun begins with an ASCII letter.
    title[..1].make_ascii_uppercase();
    let head = TextRow {
        mark: None,
        name: (Emphasis::Strong, title),
        bar: TextBar::Blank,
        cells: heads.into_iter().map(|head| TextCell::new(Emphasis::Faint, head)).collect(),
    };
    let body = report.origins.iter().take(ROWS_MAX).map(|origin| origin_row(page, report, origin));
    let table =
        TextTable { rows: std::iter::once(head).chain(body).collect(), expendable: EXPENDABLE };
    let widths = Widths::fit_page(&table, page.style.width);
    page.add_gap();
    for line in table.table_lines(&widths, page.glyphs) {
        page.add_line(&line);
    }
    let more = report.origins.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        let text = format!("and {} more {noun}", amount_text(more as f64));
        page.add_paragraph(Emphasis::Faint, "  ", &text);
    }
}

fn origin_row(page: &Page, report: &RankReport, origin: &OriginReport) -> TextRow {
    let share = at_stake(report, origin);
    let (ink, mark) = if origin.single_point_of.is_empty() {
        (Emphasis::Plain, " ")
    } else {
        (Emphasis::Bad, page.glyphs.warning)
    };
    let plain = |text: String| TextCell::new(Emphasis::Plain, text);
    let mut cells = vec![plain(impact_text(&origin.flows)), plain(impact_text(&origin.services))];
    if let Some(orders) = &origin.orders_per_min {
        cells.push(plain(impact_text(orders)));
        cells.push(TextCell::new(Emphasis::Faint, interval_text(orders, page.glyphs.dash)));
    }
    TextRow {
        mark: Some((ink, mark)),
        name: (Emphasis::Plain, page.shown_name(&origin.name)),
        bar: TextBar::Shares(share, share),
        cells,
    }
}

/// The share of all orders, or where no rate is known of all flows, that is lost.
fn at_stake(report: &RankReport, origin: &OriginReport) -> f64 {
    let rates = report.flows.iter().filter_map(|flow| flow.rate_per_s);
    let all = rates.sum::<f64>() * 60.0;
    match origin.orders_per_min {
        Some(orders) if all > 0.0 => (orders.mean / all).min(1.0),
        _ => origin.flows.mean / (report.flows.len() as f64).max(1.0),
    }
}
