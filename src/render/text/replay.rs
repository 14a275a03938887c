//! Replayed incidents for a terminal.

use super::emphasis::{Emphasis, Line, columns, shorten};
use super::{Page, Style};
use crate::render::replay::{footer, headline, heads, lines, score_rows, timeline, title};
use crate::report::ReplayReport;
use crate::report::replay::IncidentReport;

/// How wide a column of figures is, with the gap before it.
const FIGURE: usize = 10;

/// The comparison as lines of text, the last one with its newline.
pub fn render_replay(report: &ReplayReport, style: &Style) -> String {
    let mut page = Page::new(*style);
    page.paragraph(Emphasis::Strong, "", &headline(report));
    page.gap();
    table(&mut page, report);
    for incident in &report.incidents {
        let head = page.name(&title(incident));
        page.head(&head, "");
        let start = format!("  {} ", page.glyphs.bullet);
        for line in lines(incident) {
            let line = page.name(&line);
            page.paragraph(Emphasis::Plain, &start, &line);
        }
        times(&mut page, incident);
    }
    page.gap();
    page.paragraph(Emphasis::Faint, "", &footer(report));
    page.text
}

/// When what was impacted, and when it fails by the simulation; on narrow pages one below the other.
fn times(page: &mut Page, incident: &IncidentReport) {
    for time in timeline(incident) {
        let name = page.name(time.name);
        let start = format!("  {} ", page.glyphs.bullet);
        let said = format!("{name}: seen {}; simulated {}", time.seen, time.simulated);
        page.paragraph(Emphasis::Faint, &start, &said);
    }
}

/// The scores, with as many columns as the page has room for beside names of 24 columns.
fn table(page: &mut Page, report: &ReplayReport) {
    let heads = heads(report);
    let rows: Vec<_> =
        score_rows(report).into_iter().map(|row| (page.name(&row.name), row.cells)).collect();
    let longest = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    // One column more takes its room from the names.
    let names = if report.diagnosis.is_some() { 20 } else { 24 };
    let shown = (page.style.width.saturating_sub(names) / FIGURE).min(heads.len());
    let width = longest.min(page.style.width - shown * FIGURE);
    let mut row = |name: &str, ink: Emphasis, figures: &[String]| {
        let name = shorten(name, width, page.glyphs.ellipsis);
        let mut line = Line::default();
        line.push(Emphasis::Plain, &name).blank(width - columns(&name));
        for figure in &figures[..shown] {
            line.push(ink, format!("{figure:>FIGURE$}"));
        }
        page.line(&line);
    };
    row("", Emphasis::Faint, &heads);
    for (name, cells) in &rows {
        row(name, Emphasis::Plain, cells);
    }
}
