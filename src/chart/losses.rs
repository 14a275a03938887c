//! Orders lost: how the trials spread, and how likely it is to lose at least so many.

use super::axis::{AxisScale, bent_marks, round_marks};
use super::font::Weight;
use super::frame::{MARGIN, Sheet, cause_clause, provenance_note};
use super::layout::Point;
use super::palette::Palette;
use super::svg::{Anchor, LabelStyle, LineStyle, SvgPath};
use super::timeline::Unable;
use super::{ChartStyle, PageSize};
use crate::cascade::common_mode;
use crate::prose::format;
use crate::report::HistogramScale;
use crate::report::{Report, TotalReport};
use crate::sort::Arrange as _;
use crate::summary::estimate::{Z975, wilson_interval};

/// The room of the scale of bars at the right.
const SHARES: f64 = 52.0;

/// A point of the exceedance curve: at least so many orders, how likely, and its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exceeds {
    pub(super) orders: f64,
    pub(super) p: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Draws the distribution of orders lost and its exceedance curve.
///
/// # Errors
/// Where no flow has a rate, or no trial loses any order.
pub fn draw_losses(report: &Report, style: &ChartStyle<'_>) -> Result<String, Unable> {
    let total = report.total.as_ref().ok_or(Unable::NoRates)?;
    let histogram = total.histogram.as_ref().ok_or(Unable::NothingLost)?;
    let width = if style.size == PageSize::Doc { 860.0 } else { 1200.0 };
    let mut sheet = Sheet::new(style, width);
    let title = losses_title(report, total);
    sheet.draw_head(&title, &losses_notes(report, total));
    let left = MARGIN + 52.0;
    let plot = Plot {
        at: Point { x: left, y: sheet.top + 8.0 },
        width: width - left - MARGIN - SHARES,
        height: if style.size == PageSize::Doc { 300.0 } else { 380.0 },
        x: orders_scale(total, width - left - MARGIN - SHARES),
    };
    plot.draw_grid(&mut sheet, histogram.scale == HistogramScale::Linear);
    plot.draw_bars(&mut sheet, total);
    let points = exceedance_points(report, total);
    plot.draw_curve(&mut sheet, &points);
    plot.draw_labels(&mut sheet, total);
    sheet.top = plot.at.y + plot.height + 48.0;
    draw_legend(&mut sheet);
    let description = format!("{}. {}", title, losses_notes(report, total).join(" "));
    Ok(sheet.into_svg("losses", &title, &description))
}

fn losses_title(report: &Report, total: &TotalReport) -> String {
    let targets: Vec<String> = report.targets.iter().map(|target| target.name.clone()).collect();
    let cause = cause_clause(&targets, common_mode(&report.targets), &report.change);
    let lost = &total.orders_lost;
    let orders = |value: f64| format::digits(value, 3);
    if lost.p50 > 0.0 {
        let (half, tail) = (orders(lost.p50), orders(lost.p95));
        return format!(
            "{cause}, half of the trials lose {half} orders or more, 1 in 20 loses {tail}"
        );
    }
    let some = total.histogram.as_ref().map_or(0.0, |histogram| 1.0 - histogram.none);
    format!(
        "{cause}, orders are lost in {} of trials, {} at worst",
        format::percent(some),
        orders(lost.max)
    )
}

fn losses_notes(report: &Report, total: &TotalReport) -> Vec<String> {
    let lost = &total.orders_lost;
    let mut notes = vec![
        provenance_note(report.trials, report.seed),
        format!(
            "On average {} orders are lost (95% interval {}); the worst trial loses {}.",
            format::mean(lost),
            format::mean_interval(lost, " to "),
            format::digits(lost.max, 3)
        ),
    ];
    if let Some(none) =
        total.histogram.as_ref().map(|histogram| histogram.none).filter(|none| *none > 0.0)
    {
        notes.push(format!("{} of trials lose none.", format::percent(none)));
    }
    notes
}

fn orders_scale(total: &TotalReport, length: f64) -> AxisScale {
    let lost = &total.orders_lost;
    let histogram = total.histogram.as_ref();
    let last = histogram.and_then(|histogram| histogram.ends.last()).copied().unwrap_or(lost.max);
    // A little more than the bars, so that the tail beyond 1 in 100 shows.
    let max = lost.max.min(last * 1.25).max(lost.p99);
    match histogram {
        Some(histogram) if histogram.scale != HistogramScale::Linear => {
            let bend = histogram.ends.first().copied().unwrap_or(max);
            AxisScale::logarithmic(length, lost.max.max(last), bend)
        }
        _ => AxisScale::linear(length, max),
    }
}

/// The points of the curve, from none to the worst: those of the report, and the ends of the bars.
pub(super) fn exceedance_points(report: &Report, total: &TotalReport) -> Vec<Exceeds> {
    let n = report.trials as f64;
    #[expect(clippy::cast_sign_loss, reason = "shares are not negative")]
    let with_interval = |orders: f64, p: f64| {
        let (low, high) = wilson_interval((p * n).round() as u64, report.trials, Z975);
        Exceeds { orders, p, low, high }
    };
    let mut points = Vec::new();
    if let Some(histogram) = &total.histogram {
        let mut left = 1.0 - histogram.none;
        points.push(with_interval(0.0, left.clamp(0.0, 1.0)));
        for (end, share) in histogram.ends.iter().zip(&histogram.shares) {
            left -= share;
            points.push(with_interval(*end, left.clamp(0.0, 1.0)));
        }
    }
    let stated = total.exceedance.iter().map(|exceedance| Exceeds {
        orders: exceedance.orders,
        p: exceedance.p,
        low: exceedance.low,
        high: exceedance.high,
    });
    points.extend(stated);
    points.push(with_interval(total.orders_lost.max, 1.0 / n.max(1.0)));
    points.arrange_by(|a, b| a.orders.total_cmp(&b.orders).then(b.p.total_cmp(&a.p)));
    // Points of both kinds may differ by the width of a bucket: the curve never rises.
    let mut least = 1.0_f64;
    for point in &mut points {
        least = least.min(point.p);
        point.p = least;
    }
    points
}

struct Plot {
    at: Point,
    width: f64,
    height: f64,
    x: AxisScale,
}

impl Plot {
    fn point_at(&self, orders: f64, p: f64) -> Point {
        Point { x: self.at.x + self.x.position_of(orders), y: self.y(p) }
    }

    fn y(&self, p: f64) -> f64 {
        self.at.y + self.height * (1.0 - p.clamp(0.0, 1.0))
    }

    fn draw_grid(&self, sheet: &mut Sheet<'_>, is_even: bool) {
        let size = sheet.letters.small;
        for step in 0_u8..=4 {
            let p = f64::from(step) / 4.0;
            let from = Point { x: self.at.x, y: self.y(p) };
            let to = Point { x: self.at.x + self.width, ..from };
            sheet.svg.draw_line(
                from,
                to,
                LineStyle::new(Palette::Faint, if step == 0 { 1.4 } else { 0.8 }),
            );
            let how = LabelStyle::new(size, Palette::Soft).anchored_at(Anchor::End);
            let at = Point { x: from.x - 8.0, y: from.y + size * 0.36 };
            sheet.svg.draw_text(at, how, &format::percent(p));
        }
        let marks = if is_even {
            round_marks(self.x.max(), if self.width > 900.0 { 8.0 } else { 6.0 })
        } else {
            bent_marks(self.x, 62.0)
        };
        let y = self.at.y + self.height;
        for mark in marks {
            let x = self.at.x + self.x.position_of(mark);
            sheet.svg.draw_line(
                Point { x, y },
                Point { x, y: y + 5.0 },
                LineStyle::new(Palette::Faint, 1.4),
            );
            let text = format::count(mark);
            let half = sheet.text_width(&text, size, Weight::Regular) / 2.0;
            let middle = x.min(sheet.width - 4.0 - half);
            let how = LabelStyle::new(size, Palette::Soft).anchored_at(Anchor::Middle);
            sheet.svg.draw_text(Point { x: middle, y: y + 8.0 + size }, how, &text);
        }
        let how = LabelStyle::new(size, Palette::Text).anchored_at(Anchor::Middle);
        let at = Point { x: self.at.x + self.width / 2.0, y: y + 14.0 + size * 2.0 };
        sheet.svg.draw_text(at, how, "orders lost in one incident");
    }

    /// The bars: as high as their share of the highest, to half the height of the plot.
    fn draw_bars(&self, sheet: &mut Sheet<'_>, total: &TotalReport) {
        let Some(histogram) = &total.histogram else { return };
        let highest = histogram.shares.iter().copied().fold(0.0, f64::max);
        if highest <= 0.0 {
            return;
        }
        self.draw_share_axis(sheet, highest);
        let mut start = 0.0;
        for (end, share) in histogram.ends.iter().zip(&histogram.shares) {
            let (from, to) = (self.x.position_of(start), self.x.position_of(*end));
            let height = self.height * 0.5 * share / highest;
            start = *end;
            if height < 0.05 {
                continue;
            }
            let at = Point { x: self.at.x + from + 0.8, y: self.at.y + self.height - height };
            let size = ((to - from - 1.6).max(0.6), height);
            sheet.svg.open_group(
                &[("class", "bw-bar")],
                &format!(
                    "{} of trials lose up to {} orders",
                    format::percent(*share),
                    format::count(*end)
                ),
            );
            sheet.svg.draw_rect(
                at,
                size,
                0.0,
                Some(Palette::Range),
                Some(LineStyle::new(Palette::Outline, 0.6)),
            );
            sheet.svg.close_group();
        }
    }

    /// Marks the heights of bars at the right: they have a scale of their own.
    fn draw_share_axis(&self, sheet: &mut Sheet<'_>, highest: f64) {
        let size = sheet.letters.tiny;
        let right = self.at.x + self.width;
        for share in [highest / 2.0, highest] {
            let y = self.at.y + self.height * (1.0 - 0.5 * share / highest);
            let line = LineStyle::new(Palette::Outline, 1.0);
            sheet.svg.draw_line(Point { x: right, y }, Point { x: right + 5.0, y }, line);
            let at = Point { x: right + 8.0, y: y + size * 0.36 };
            sheet.svg.draw_text(at, LabelStyle::new(size, Palette::Soft), &format::percent(share));
        }
    }

    fn draw_curve(&self, sheet: &mut Sheet<'_>, points: &[Exceeds]) {
        let band: Vec<(f64, f64)> = points
            .iter()
            .map(|point| self.point_at(point.orders, point.high))
            .chain(points.iter().rev().map(|point| self.point_at(point.orders, point.low)))
            .map(|point| (point.x, point.y))
            .collect();
        sheet.svg.draw_path(
            &SvgPath::polygon(&band),
            Some(Palette::Degrades),
            Some(LineStyle::new(Palette::BarDegrades, 0.6)),
        );
        let mut path = SvgPath::new();
        for (index, item) in points.iter().enumerate() {
            let point = self.point_at(item.orders, item.p);
            path = if index == 0 { path.move_to(point) } else { path.line_to(point) };
        }
        sheet.svg.draw_path(&path, None, Some(LineStyle::new(Palette::Spread, 2.6)));
    }

    /// Marks the median, 1 in 20 and 1 in 100; what would overlap moves up.
    fn draw_labels(&self, sheet: &mut Sheet<'_>, total: &TotalReport) {
        let lost = &total.orders_lost;
        let size = sheet.letters.small;
        let marks =
            [("median", lost.p50, 0.5), ("1 in 20", lost.p95, 0.05), ("1 in 100", lost.p99, 0.01)];
        let mut placed: Vec<QuantileLabel> = Vec::new();
        for (name, orders, p) in marks.into_iter().rev() {
            if orders <= 0.0 {
                continue;
            }
            let point = self.point_at(orders, p);
            let text = format!("{name}: {} or more", format::digits(orders, 3));
            let width = sheet.text_width(&text, size, Weight::Bold);
            let right = self.at.x + self.width;
            let x = (point.x + 9.0).min(right - width);
            // A text that reaches back over the curve stands higher.
            let mut y = point.y - if x < point.x { 34.0 } else { 12.0 };
            while placed.iter().any(|placed| {
                x < placed.at.x + placed.width + 8.0
                    && x + width > placed.at.x - 8.0
                    && (placed.at.y - y).abs() < size + 4.0
            }) {
                y -= size + 6.0;
            }
            placed.push(QuantileLabel { point, text, width, at: Point { x, y } });
        }
        for item in &placed {
            let foot = Point { y: self.at.y + self.height, ..item.point };
            let top = Point { y: item.at.y + 4.0, ..item.point };
            sheet.svg.draw_line(top, foot, LineStyle::new(Palette::Text, 1.1).dashed("3 3"));
        }
        // Over all of the lines, so that none crosses a text.
        for item in &placed {
            sheet.svg.draw_circle(
                item.point,
                4.5,
                Some(Palette::Text),
                Some(LineStyle::new(Palette::Paper, 1.2)),
            );
            let back = Point { x: item.at.x - 3.0, y: item.at.y - size };
            sheet.svg.draw_rect(
                back,
                (item.width + 6.0, size + 4.0),
                2.0,
                Some(Palette::Paper),
                None,
            );
            sheet.svg.draw_text(item.at, LabelStyle::new(size, Palette::Text).bold(), &item.text);
        }
    }
}

/// A point of the curve that is named.
struct QuantileLabel {
    point: Point,
    text: String,
    width: f64,
    /// Where the text begins, on its baseline.
    at: Point,
}

fn draw_legend(sheet: &mut Sheet<'_>) {
    let size = sheet.letters.small;
    let y = sheet.top + 8.0;
    let mut x = MARGIN;
    let entries = [
        "chance of losing at least so many (left scale)",
        "its 95% interval",
        "how the trials spread (scale at the right)",
    ];
    for (index, text) in entries.into_iter().enumerate() {
        let width = 42.0 + sheet.text_width(text, size, Weight::Regular) + 22.0;
        if x > MARGIN && x + width > sheet.width {
            x = MARGIN;
            sheet.top += size + 12.0;
        }
        let y = y.max(sheet.top + 8.0);
        let svg = &mut sheet.svg;
        match index {
            0 => {
                svg.draw_line(
                    Point { x, y },
                    Point { x: x + 32.0, y },
                    LineStyle::new(Palette::Spread, 2.6),
                );
            }
            1 => svg.draw_rect(
                Point { x, y: y - 6.0 },
                (32.0, 12.0),
                0.0,
                Some(Palette::Degrades),
                Some(LineStyle::new(Palette::BarDegrades, 0.6)),
            ),
            _ => svg.draw_rect(
                Point { x: x + 8.0, y: y - 9.0 },
                (16.0, 18.0),
                0.0,
                Some(Palette::Range),
                None,
            ),
        }
        let at = Point { x: x + 40.0, y: y + size * 0.36 };
        sheet.svg.draw_text(at, LabelStyle::new(size, Palette::Text), text);
        x += width;
    }
    sheet.top += size + 8.0;
}
