//! Replayed incidents for a terminal.

use super::emphasis::{Emphasis, StyledLine, text_columns};
use super::{Page, TextStyle};
use crate::prose::replay::{
    column_heads, incident_lines, incident_title, replay_footer, replay_headline, score_notes,
    score_rows, short_names, timed_components,
};
use crate::report::ReplayReport;
use crate::report::replay::IncidentReport;

/// How wide a column of figures is, with the gap before it.
const FIGURE: usize = 9;

/// The comparison as lines of text, the last one with its newline.
pub fn render_replay(report: &ReplayReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    page.add_paragraph(Emphasis::Strong, "", &replay_headline(report));
    page.add_gap();
    add_scores(&mut page, report);
    page.add_gap();
    let start = format!("  {} ", page.glyphs.bullet);
    for note in score_notes(report) {
        let note = page.shown_name(&note);
        page.add_paragraph(Emphasis::Plain, &start, &note);
    }
    for incident in &report.incidents {
        let head = page.shown_name(&incident_title(incident));
        page.add_head(&head, "");
        let start = format!("  {} ", page.glyphs.bullet);
        for line in incident_lines(incident) {
            let line = page.shown_name(&line);
            page.add_paragraph(Emphasis::Plain, &start, &line);
        }
        add_times(&mut page, incident);
    }
    page.add_gap();
    page.add_paragraph(Emphasis::Faint, "", &replay_footer(report));
    page.text
}

/// When what was impacted, and when it fails by the simulation; on narrow pages one below the other.
fn add_times(page: &mut Page, incident: &IncidentReport) {
    for time in timed_components(incident) {
        let name = page.shown_name(time.name);
        let start = format!("  {} ", page.glyphs.bullet);
        let said = format!("{name}: seen {}; simulated {}", time.seen, time.simulated);
        page.add_paragraph(Emphasis::Faint, &start, &said);
    }
}

/// The scores, with as many columns as the page has room for beside names of 24 columns.
fn add_scores(page: &mut Page, report: &ReplayReport) {
    let heads = column_heads(report);
    let rows = score_rows(report);
    let longest =
        rows.iter().map(|row| text_columns(&page.shown_name(&row.name))).max().unwrap_or(0);
    // One column more takes its room from the names.
    let names = if report.diagnosis.is_some() { 19 } else { 28 };
    let shown = (page.style.width.saturating_sub(names) / FIGURE).min(heads.len());
    let width = longest.min(page.style.width - shown * FIGURE);
    let names = short_names(
        &rows,
        width,
        &|name| page.shown_name(name),
        &text_columns,
        page.glyphs.ellipsis,
    );
    let mut row = |name: &str, ink: Emphasis, figures: &[String]| {
        let mut line = StyledLine::default();
        line.push_piece(Emphasis::Plain, name)
            .push_blanks(width.saturating_sub(text_columns(name)));
        for figure in &figures[..shown] {
            line.push_piece(ink, format!("{figure:>FIGURE$}"));
        }
        page.add_line(&line);
    };
    row("", Emphasis::Faint, &heads);
    for (name, item) in names.iter().zip(&rows) {
        row(name, Emphasis::Plain, &item.cells);
    }
}
