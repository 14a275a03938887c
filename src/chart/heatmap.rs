//! The heat-map: what breaks, by row, and how likely each flow then fails; the worst first.

use super::csv::CsvTable;
use super::dot::percent_text;
use super::font::Weight;
use super::frame::{MARGIN, Sheet, provenance_note};
use super::layout::Point;
use super::palette::{HEATS, Palette};
use super::svg::{Anchor, LabelStyle, LineStyle};
use super::{ChartStyle, PageSize};
use crate::prose::format;
use crate::report::RankReport;
use crate::report::rank::OriginReport;

/// Maximum number of rows: more cannot be read.
const ROWS_MAX: usize = 20;
/// Maximum number of columns.
const COLUMNS_MAX: usize = 12;
/// How much room the cells of a row have in a column of text.
const DOC_CELLS: f64 = 480.0;

/// Draws which flow fails how likely when which origin breaks.
pub fn draw_heatmap(rank: &RankReport, style: &ChartStyle<'_>) -> String {
    let rows = rank.origins.len().min(ROWS_MAX);
    let columns = rank.flows.len().min(COLUMNS_MAX);
    let mut sheet = Sheet::new(style, 0.0);
    let letters = sheet.letters;
    let is_doc = style.size == PageSize::Doc;
    let name = |origin: &OriginReport| origin.name.clone();
    let names = rank.origins[..rows]
        .iter()
        .map(|origin| sheet.text_width(&name(origin), letters.plain, Weight::Regular))
        .fold(80.0, f64::max)
        // A long name must not push the cells out of the page.
        .min(if is_doc { 150.0 } else { 240.0 });
    let cell = rank.flows[..columns]
        .iter()
        .map(|flow| sheet.text_width(&flow.name, letters.small, Weight::Regular) + 14.0)
        .fold(64.0, f64::max)
        .min(if columns > 6 || is_doc { 92.0 } else { 130.0 });
    // All columns that there are, and the bars, in a column of text.
    let cell = if is_doc { cell.min((DOC_CELLS / columns.max(1) as f64).max(46.0)) } else { cell };
    let left = MARGIN + names + 12.0;
    let bars = left + columns as f64 * cell + 24.0;
    let length_most = if is_doc { 90.0 } else { 150.0 };
    sheet.width = (bars + length_most + 100.0).max(640.0);
    let title = heatmap_title(rank);
    sheet.draw_head(&title, &heatmap_notes(rank));
    let top = sheet.top + letters.small + 8.0;
    for (column, flow) in rank.flows[..columns].iter().enumerate() {
        let x = left + (column as f64 + 0.5) * cell;
        let text = sheet.ruler.fit_text(&flow.name, letters.small, Weight::Regular, cell - 4.0);
        let how = LabelStyle::new(letters.small, Palette::Text).anchored_at(Anchor::Middle);
        sheet.svg.draw_text(Point { x, y: top - 7.0 }, how, &text);
    }
    let (what, most) = bar_scale(rank, rows);
    sheet.svg.draw_text(
        Point { x: bars, y: top - 7.0 },
        LabelStyle::new(letters.small, Palette::Text),
        what,
    );
    for (row, origin) in rank.origins[..rows].iter().enumerate() {
        let y = top + row as f64 * 27.0;
        let middle = y + 12.5 + letters.plain * 0.36;
        let text = sheet.ruler.fit_text(&name(origin), letters.plain, Weight::Regular, names);
        let how = LabelStyle::new(letters.plain, Palette::Text).anchored_at(Anchor::End);
        sheet.svg.draw_text(Point { x: left - 10.0, y: middle }, how, &text);
        for column in 0..columns {
            let share = cell_share(rank, row, column);
            let at = Point { x: left + column as f64 * cell + 1.0, y };
            cell_at(&mut sheet, at, cell - 2.0, share);
        }
        let (impact, _) = impact_figure(origin);
        let length = if most > 0.0 { length_most * impact / most } else { 0.0 };
        let at = Point { x: bars, y: y + 5.0 };
        sheet.svg.draw_rect(at, (length, 15.0), 0.0, Some(Palette::Outline), None);
        let at = Point { x: bars + length + 6.0, y: middle };
        sheet.svg.draw_text(
            at,
            LabelStyle::new(letters.small, Palette::Text),
            &format::digits(impact, 3),
        );
    }
    sheet.top = top + rows as f64 * 27.0 + 10.0;
    draw_legend(&mut sheet, left);
    left_out(&mut sheet, rank, rows, columns);
    let description = format!("{title}. {}", heatmap_notes(rank).join(" "));
    sheet.into_svg("heatmap", &title, &description)
}

/// The numbers of a heat-map.
pub fn heatmap_csv(rank: &RankReport) -> String {
    let mut table = CsvTable::new(&["origin", "flow", "fails", "degraded", "orders_per_min"]);
    for (row, origin) in rank.origins.iter().enumerate() {
        let orders = origin
            .orders_per_min
            .map_or_else(String::new, |orders_per_min| orders_per_min.mean.to_string());
        for (column, flow) in rank.flows.iter().enumerate() {
            let degraded = rank.matrix.degraded.get(row).and_then(|degraded| degraded.get(column));
            let degraded = degraded.map_or_else(String::new, f64::to_string);
            let share = cell_share(rank, row, column).to_string();
            table.add_row(&[&origin.name, &flow.name, &share, &degraded, &orders]);
        }
    }
    table.text
}

fn heatmap_title(rank: &RankReport) -> String {
    let Some(worst) = rank.origins.first() else { return "Nothing can break".to_owned() };
    match impact_figure(worst) {
        (orders, true) if orders > 0.0 => format!(
            "{} takes most with it: {} orders a minute when it is {}",
            worst.name,
            format::digits(orders, 3),
            rank.mode
        ),
        (flows, false) if flows > 0.0 => format!(
            "{} takes most with it: {} of {} when it is {}",
            worst.name,
            format::digits(flows, 2),
            format::plural(rank.flows.len(), "flow"),
            rank.mode
        ),
        _ => format!("No {} takes an order flow with it", rank.by),
    }
}

fn heatmap_notes(rank: &RankReport) -> Vec<String> {
    vec![
        provenance_note(rank.trials, rank.seed),
        format!(
            "Each {} breaks alone in all of them: the share in which a flow then fails because of it.",
            rank.by
        ),
    ]
}

/// Orders per minute where rates are known, else flows; and which of the two.
fn impact_figure(origin: &OriginReport) -> (f64, bool) {
    origin.orders_per_min.map_or((origin.flows.mean, false), |impact| (impact.mean, true))
}

fn bar_scale(rank: &RankReport, rows: usize) -> (&'static str, f64) {
    let impacts = rank.origins[..rows].iter().map(impact_figure);
    let has_orders = rank.origins.first().is_some_and(|origin| impact_figure(origin).1);
    let most = impacts.map(|impact| impact.0).fold(0.0, f64::max);
    (if has_orders { "orders lost a minute" } else { "flows that fail" }, most)
}

fn cell_share(rank: &RankReport, row: usize, column: usize) -> f64 {
    rank.matrix.failed.get(row).and_then(|failed| failed.get(column)).copied().unwrap_or(0.0)
}

fn cell_at(sheet: &mut Sheet<'_>, at: Point, width: f64, share: f64) {
    let step = heat_step(share);
    let line = Some(LineStyle::new(Palette::Faint, 0.8));
    sheet.svg.draw_rect(at, (width, 25.0), 1.5, Some(Palette::Heat(step)), line);
    let size = sheet.letters.small;
    let how = LabelStyle::new(size, Palette::on_heat(step)).anchored_at(Anchor::Middle);
    // A dot keeps the cells that matter visible among many zeros.
    let text = if share < 0.005 { "·".to_owned() } else { percent_text(share) };
    sheet.svg.draw_text(Point { x: at.x + width / 2.0, y: at.y + 12.5 + size * 0.36 }, how, &text);
}

/// The step of heat of a share: the first for next to nothing, the last for nearly always.
fn heat_step(share: f64) -> u8 {
    if share < 0.005 {
        return 0;
    }
    // 0 has a step of its own, and the others share what is left.
    #[expect(clippy::cast_sign_loss, reason = "shares are not negative")]
    let step = 1 + (share.clamp(0.0, 1.0) * f64::from(HEATS - 1)) as u8;
    step.min(HEATS - 1)
}

fn draw_legend(sheet: &mut Sheet<'_>, left: f64) {
    let size = sheet.letters.small;
    for step in 0..HEATS {
        let at = Point { x: left + f64::from(step) * 26.0, y: sheet.top };
        let line = Some(LineStyle::new(Palette::Faint, 0.8));
        sheet.svg.draw_rect(at, (26.0, 12.0), 0.0, Some(Palette::Heat(step)), line);
    }
    let right = left + f64::from(HEATS) * 26.0 + 10.0;
    let text = "never to always (· = under 0.5%)";
    sheet.svg.draw_text(
        Point { x: right, y: sheet.top + 10.0 },
        LabelStyle::new(size, Palette::Soft),
        text,
    );
    sheet.top += 24.0;
}

fn left_out(sheet: &mut Sheet<'_>, rank: &RankReport, rows: usize, columns: usize) {
    // Rows that the report left out are not drawn either.
    let hidden = (rank.origins.len() - rows) as u64 + rank.left_out;
    let mut parts = Vec::new();
    if hidden > 0 {
        let hidden = usize::try_from(hidden).unwrap_or(usize::MAX);
        parts.push(format!("{} that take less with them", format::plural(hidden, "row")));
    }
    if rank.flows.len() > columns {
        parts.push(format::plural(rank.flows.len() - columns, "flow"));
    }
    if !parts.is_empty() {
        let how = LabelStyle::new(sheet.letters.small, Palette::Soft);
        sheet.draw_paragraph(&format!("Not drawn: {}.", format::list(&parts, "and", 2)), how);
    }
}
