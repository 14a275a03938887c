//! Orders lost over all flows: how they spread, what is likely, what is possible.

use super::Page;
use super::ink::{Ink, Line, columns};
use crate::render::{story, words};
use crate::report::{HistogramReport, Report, TotalReport};

/// Adds the section where orders are counted and some are lost.
pub(super) fn add(page: &mut Page, report: &Report) {
    let Some(total) = report.total.as_ref().filter(|total| total.orders_lost.max > 0.0) else {
        return;
    };
    page.head("Orders lost", &remark(total));
    if let Some(histogram) = &total.histogram {
        curve(page, histogram);
    }
    let figures = figures(page, total);
    page.paragraph(Ink::Plain, "  ", &figures);
    if let Some(worth) = story::worth(report, &page.wording) {
        page.paragraph(Ink::Plain, "  ", &worth);
    }
}

fn remark(total: &TotalReport) -> String {
    let none = total.histogram.as_ref().map_or(0.0, |histogram| histogram.none);
    match none {
        _ if none > 0.0 => format!("over all flows; none in {} of worlds", words::percent(none)),
        _ => "over all flows".to_owned(),
    }
}

/// Each cell is a step, as high as it is likely; what is beyond the last step is counted.
fn curve(page: &mut Page, histogram: &HistogramReport) {
    let end = words::count(histogram.step * histogram.shares.len() as f64);
    let beyond = histogram.beyond;
    let mut line = Line::of(Ink::Plain, "  ");
    line.push(Ink::Faint, "0 ").push(Ink::Doubtful, page.glyphs.curve(&histogram.shares));
    line.push(Ink::Faint, format!(" {end}"));
    if beyond > 0.0 {
        let more = format!(", more in {} of worlds", words::percent(beyond));
        if line.columns() + columns(&more) <= page.style.width {
            line.push(Ink::Faint, more);
        }
    }
    page.line(&line);
}

fn figures(page: &Page, total: &TotalReport) -> String {
    let of = &total.orders_lost;
    let mut parts = vec![format!("mean {}", words::mean(of))];
    if of.mean_high > of.mean_low {
        let dash = page.glyphs.dash;
        let (low, high) = (words::digits(of.mean_low, 3), words::digits(of.mean_high, 3));
        parts[0].push_str(&format!(" ({low}{dash}{high})"));
    }
    let tail = [("1 in 2", of.p50), ("1 in 20", of.p95), ("1 in 100", of.p99)];
    parts.extend(tail.map(|(how_often, orders)| format!("{how_often}: {}", words::rough(orders))));
    parts.push(format!("worst {}", words::rough(of.max)));
    parts.join(&format!(" {} ", page.glyphs.dot))
}
