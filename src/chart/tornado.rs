//! The tornado: what would change the result most, widest first. To the right what protections keep
//! away, which was measured with the same draws; to both sides what is not known.

use super::ChartStyle;
use super::axis::{AxisScale, round_marks};
use super::csv::CsvTable;
use super::font::Weight;
use super::frame::{MARGIN, Sheet, cause_clause, provenance_note};
use super::layout::Point;
use super::palette::Palette;
use super::svg::{Anchor, LabelStyle, LineStyle};
use super::timeline::Unable;
use crate::cascade::common_mode;
use crate::prose::format;
use crate::report::ExplainReport;
use crate::report::explain::ProtectionReport;
use crate::report::{Metric, Protection};
use crate::sort::Arrange as _;

/// Maximum number of bars.
const BARS_MAX: usize = 15;
const ROW: f64 = 30.0;
/// At least so far are marks of the scale from each other.
const MARKS_APART: f64 = 84.0;

/// Bar of a tornado: a variation, and how much it changes the result.
struct TornadoBar {
    /// Where: a call, or a service.
    place: String,
    /// Label of the variation.
    what: String,
    /// How much less at the best, 0 or below.
    less: f64,
    /// How much more at the worst, 0 or above.
    more: f64,
    is_unknown: bool,
}

/// The bars, in one measure.
struct Bars {
    base: Option<f64>,
    has_orders: bool,
    bars: Vec<TornadoBar>,
    /// Protections whose effect cannot be told from chance.
    unclear: usize,
}

/// Draws what protections save and what unknowns may cost.
///
/// # Errors
/// Where nothing makes a difference that can be told from chance.
pub fn draw_tornado(explained: &ExplainReport, style: &ChartStyle<'_>) -> Result<String, Unable> {
    let all = collect_bars(explained);
    if all.bars.is_empty() {
        return Err(Unable::NoDifference);
    }
    let is_doc = style.size == super::PageSize::Doc;
    let mut sheet = Sheet::new(style, if is_doc { 860.0 } else { 1200.0 });
    let title = tornado_title(explained, &all);
    sheet.draw_head(&title, &tornado_notes(explained, &all));
    draw_bars(&mut sheet, &all);
    draw_legend(&mut sheet, &all);
    let description = format!("{title}. {}", tornado_notes(explained, &all).join(" "));
    Ok(sheet.into_svg("tornado", &title, &description))
}

/// The numbers of a tornado.
pub fn tornado_csv(explained: &ExplainReport) -> String {
    let all = collect_bars(explained);
    let metric = if all.has_orders { Metric::OrdersLost } else { Metric::FailingShare };
    let mut table = CsvTable::new(&["where", "what", "kind", "less", "more", "metric"]);
    for bar in &all.bars {
        let kind = if bar.is_unknown { "unknown" } else { "protection" };
        let (less, more) = (bar.less.to_string(), bar.more.to_string());
        table.add_row(&[&bar.place, &bar.what, kind, &less, &more, metric.as_str()]);
    }
    table.text
}

fn collect_bars(explained: &ExplainReport) -> Bars {
    let lost = explained.flows.iter().filter_map(|flow| flow.unit.orders_lost);
    let means: Vec<f64> = lost.map(|lost| lost.mean).collect();
    let has_orders = !means.is_empty();
    let base = has_orders.then(|| means.iter().sum::<f64>());
    // Without orders, both ends are means over flows of their failing shares: so is what they are
    // compared with.
    let shares = explained.flows.iter().map(|flow| flow.unit.failing_share);
    let as_it_is =
        base.unwrap_or_else(|| shares.sum::<f64>() / explained.flows.len().max(1) as f64);
    let metric = if has_orders { Metric::OrdersLost } else { Metric::FailingShare };
    let mut bars = Vec::new();
    let mut unclear = 0;
    for item in explained.containment.iter().filter(|containment| containment.metric == metric) {
        let Some(saved) = item.saved else { continue };
        let is_clear = saved.low.unwrap_or(saved.value) > 0.0;
        if is_clear {
            bars.push(TornadoBar {
                place: format!("{} → {}", item.caller, item.dependency),
                what: protection_label(item),
                less: 0.0,
                more: saved.value,
                is_unknown: false,
            });
        } else {
            unclear += 1;
        }
    }
    for item in explained.unknowns.iter().filter(|unknown| unknown.metric == metric) {
        // The two are sums of the same trials as the base: what differs by less is rounding.
        let noise = 1e-9 * as_it_is.abs().max(item.worst.abs());
        let beyond = |difference: f64| if difference.abs() <= noise { 0.0 } else { difference };
        let less = beyond((item.best - as_it_is).min(0.0));
        let more = beyond((item.worst - as_it_is).max(0.0));
        if more - less > 0.0 {
            let place = if item.dependency.is_empty() {
                item.caller.clone()
            } else {
                format!("{} → {}", item.caller, item.dependency)
            };
            let others = if item.others == 0 {
                String::new()
            } else {
                format!(" (and {} more)", item.others)
            };
            let what = format!("{} not stated{others}", item.what);
            bars.push(TornadoBar { place, what, less, more, is_unknown: true });
        }
    }
    bars.arrange_by(|a, b| (b.more - b.less).total_cmp(&(a.more - a.less)));
    Bars { base, has_orders, bars, unclear }
}

fn protection_label(protection: &ProtectionReport) -> String {
    if protection.protection == Protection::Soft {
        "made hard".to_owned()
    } else {
        format!("without {}", protection.protection)
    }
}

fn tornado_title(explained: &ExplainReport, all: &Bars) -> String {
    let bar = &all.bars[0];
    let is_saving = -bar.less > bar.more;
    let size = figure_text(bar.more.max(-bar.less), all);
    let targets: Vec<String> = explained.targets.iter().map(|target| target.name.clone()).collect();
    let cause = match &explained.change {
        Some(change) if !targets.is_empty() => {
            format!("{}, ", cause_clause(&targets, common_mode(&explained.targets), change))
        }
        _ => String::new(),
    };
    let matters = format!("{cause}{} matters most", bar.place);
    if bar.is_unknown && is_saving {
        format!("{matters}: {}, which may be {size} less", bar.what)
    } else if bar.is_unknown {
        format!("{matters}: {}, which may be {size} more", bar.what)
    } else {
        format!("{matters}: {}, {size} more would be lost", bar.what)
    }
}

fn figure_text(value: f64, all: &Bars) -> String {
    if all.has_orders {
        format!("{} orders", format::digits(value, 3))
    } else {
        format!("{} of requests", format::percent(value))
    }
}

fn tornado_notes(explained: &ExplainReport, all: &Bars) -> Vec<String> {
    let mut notes = vec![provenance_note(explained.trials, explained.seed)];
    if let Some(base) = all.base {
        notes.push(format!("As it is, {} orders are lost on average.", format::digits(base, 3)));
    }
    notes.push(
        "Each bar changes one thing and simulates the same trials again: how much more or less is lost."
            .to_owned(),
    );
    notes
}

fn draw_bars(sheet: &mut Sheet<'_>, all: &Bars) {
    let letters = sheet.letters;
    let shown = &all.bars[..all.bars.len().min(BARS_MAX)];
    let names = shown
        .iter()
        .map(|bar| {
            sheet.text_width(&bar.place, letters.small, Weight::Bold)
                + sheet.text_width(&bar.what, letters.small, Weight::Regular)
                + 8.0
        })
        .fold(120.0, f64::max)
        .min(sheet.width * 0.45);
    let least = shown.iter().map(|bar| bar.less).fold(0.0, f64::min);
    let most = shown.iter().map(|bar| bar.more).fold(0.0, f64::max);
    let room = sheet.width - MARGIN * 2.0 - names - 170.0;
    let scale = AxisScale::linear(room, most - least);
    let left = MARGIN + names + 80.0;
    let middle = left + scale.position_of(-least);
    let top = sheet.top + letters.small + 8.0;
    let bottom = top + shown.len() as f64 * ROW;
    for mark in marks_between(least, most, room / MARKS_APART) {
        let x = left + scale.position_of(mark - least);
        let line = LineStyle::new(Palette::Faint, 0.8);
        sheet.svg.draw_line(Point { x, y: top }, Point { x, y: bottom }, line);
        let text = match mark {
            0.0 => "as it is".to_owned(),
            more if more > 0.0 => format!("+{}", amount_text(more, all)),
            less => format!("−{}", amount_text(-less, all)),
        };
        let how = LabelStyle::new(letters.tiny, Palette::Soft).anchored_at(Anchor::Middle);
        sheet.svg.draw_text(Point { x, y: top - 6.0 }, how, &text);
    }
    for (row, bar) in shown.iter().enumerate() {
        let y = top + row as f64 * ROW + 4.0;
        let base = y + 11.0 + letters.small * 0.36;
        let what = sheet.text_width(&bar.what, letters.small, Weight::Regular) + 8.0;
        let place = sheet.ruler.fit_text(&bar.place, letters.small, Weight::Bold, names - what);
        let parts = [
            (Weight::Bold, Palette::Text, place.as_str()),
            (Weight::Regular, Palette::Soft, "  "),
            (Weight::Regular, Palette::Soft, bar.what.as_str()),
        ];
        let how = LabelStyle::new(letters.small, Palette::Text).anchored_at(Anchor::End);
        sheet.svg.draw_spans(Point { x: MARGIN + names, y: base }, how, &parts);
        let color = if bar.is_unknown { Palette::Degrades } else { Palette::Spread };
        let outline = LineStyle::new(Palette::Outline, 1.0);
        let outline = if bar.is_unknown { outline.dashed("4 3") } else { outline };
        let from = middle - scale.position_of(-bar.less);
        let size = (scale.position_of(-bar.less) + scale.position_of(bar.more), 22.0);
        sheet.svg.draw_rect(Point { x: from, y }, size, 1.0, Some(color), Some(outline));
        let how = LabelStyle::new(letters.small, Palette::Text);
        if bar.more > 0.0 {
            let at = Point { x: middle + scale.position_of(bar.more) + 6.0, y: base };
            sheet.svg.draw_text(at, how, &format!("+{}", amount_text(bar.more, all)));
        }
        if bar.less < 0.0 {
            let at = Point { x: from - 6.0, y: base };
            sheet.svg.draw_text(
                at,
                how.anchored_at(Anchor::End),
                &format!("−{}", amount_text(-bar.less, all)),
            );
        }
    }
    let line = LineStyle::new(Palette::Text, 2.0);
    sheet.svg.draw_line(Point { x: middle, y: top }, Point { x: middle, y: bottom }, line);
    sheet.top = bottom + 10.0;
}

/// Round marks on both sides of 0, at most so many steps.
fn marks_between(least: f64, most: f64, steps: f64) -> Vec<f64> {
    let step = round_marks(most - least, steps.max(1.0)).get(1).copied().unwrap_or(f64::INFINITY);
    let sides = |end: f64| {
        (1..64).map(f64::from).map(move |item| item * step).take_while(move |item| *item <= end)
    };
    let mut between: Vec<f64> = sides(-least).map(|mark| -mark).collect();
    between.reverse();
    between.push(0.0);
    between.extend(sides(most));
    between
}

fn amount_text(value: f64, all: &Bars) -> String {
    if all.has_orders { format::digits(value, 3) } else { format::percent(value) }
}

fn draw_legend(sheet: &mut Sheet<'_>, all: &Bars) {
    let size = sheet.letters.small;
    let y = sheet.top + 8.0;
    let mut x = MARGIN;
    let entries =
        [(false, "a protection taken away"), (true, "something not stated, best to worst")];
    for (is_unknown, text) in entries {
        if all.bars.iter().all(|bar| bar.is_unknown != is_unknown) {
            continue;
        }
        let color = if is_unknown { Palette::Degrades } else { Palette::Spread };
        let line = LineStyle::new(Palette::Outline, 1.0);
        let line = if is_unknown { line.dashed("4 3") } else { line };
        sheet.svg.draw_rect(Point { x, y: y - 7.0 }, (30.0, 14.0), 1.0, Some(color), Some(line));
        let at = Point { x: x + 38.0, y: y + size * 0.36 };
        sheet.svg.draw_text(at, LabelStyle::new(size, Palette::Text), text);
        x += 38.0 + sheet.text_width(text, size, Weight::Regular) + 24.0;
    }
    sheet.top = y + 12.0;
    let mut left_out = Vec::new();
    if all.bars.len() > BARS_MAX {
        left_out
            .push(format!("{} that matter less", format::plural(all.bars.len() - BARS_MAX, "bar")));
    }
    if all.unclear > 0 {
        let many = format::plural(all.unclear, "protection");
        left_out.push(format!("{many} whose effect cannot be told from chance"));
    }
    if !left_out.is_empty() {
        let how = LabelStyle::new(size, Palette::Soft);
        sheet.draw_paragraph(&format!("Not drawn: {}.", format::list(&left_out, "and", 2)), how);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_on_both_sides_and_apart() {
        assert_eq!(marks_between(-900.0, 4200.0, 6.0), [0.0, 1000.0, 2000.0, 3000.0, 4000.0]);
        assert_eq!(marks_between(-2100.0, 1200.0, 4.0), [-2000.0, -1000.0, 0.0, 1000.0]);
        assert_eq!(marks_between(0.0, 0.0, 4.0), [0.0]);
    }
}
