//! Orders lost over all flows: how they spread, what is likely, what is possible.

use super::Page;
use super::emphasis::{Emphasis, StyledLine, text_columns};
use crate::prose::{format, simulation};
use crate::report::HistogramScale;
use crate::report::{HistogramReport, Report, TotalReport};

/// Adds the section where orders are counted and some are lost.
pub(super) fn add_losses(page: &mut Page, report: &Report) {
    let Some(total) = report.total.as_ref().filter(|total| total.orders_lost.max > 0.0) else {
        return;
    };
    let remark = losses_remark(page, total);
    page.add_head("Orders lost", &remark);
    if let Some(histogram) = &total.histogram {
        add_curve(page, histogram);
    }
    let figures = loss_figures(total);
    page.add_parts("  ", &figures);
    let worth = simulation::losses_in_words(report, &page.wording);
    if !worth.is_empty() {
        page.add_parts("  ", &worth);
    }
}

/// The mean and how sure it is, and how often nothing is lost.
fn losses_remark(page: &Page, total: &TotalReport) -> String {
    let of = &total.orders_lost;
    let mean = format::mean(of);
    // A mean that is known exactly has no interval.
    let interval = if of.mean_high > of.mean_low {
        format!(" ({})", format::mean_interval(of, page.glyphs.dash))
    } else {
        String::new()
    };
    let none = total.histogram.as_ref().map_or(0.0, |histogram| histogram.none);
    let none = if none > 0.0 {
        format!("; none in {} of simulations", format::percent(none))
    } else {
        String::new()
    };
    format!("{mean} on average{interval} over all flows{none}")
}

/// Each cell is a step, as high as it is likely; what is beyond the last step is counted.
fn add_curve(page: &mut Page, histogram: &HistogramReport) {
    let (Some(first), Some(last)) = (histogram.ends.first(), histogram.ends.last()) else { return };
    // On a linear scale the first step begins at nothing; on the other one it holds all that is
    // less.
    let is_linear = histogram.scale == HistogramScale::Linear;
    let from = if is_linear { "0".to_owned() } else { format!("under {}", format::count(*first)) };
    let mut line = StyledLine::of_piece(Emphasis::Plain, "  ");
    line.push_piece(Emphasis::Faint, from).push_blanks(1);
    line.push_piece(Emphasis::Doubtful, page.glyphs.height_curve(&histogram.shares)).push_blanks(1);
    line.push_piece(Emphasis::Faint, format::count(*last));
    let mut remarks = Vec::new();
    if histogram.beyond > 0.0 {
        remarks.push(format!("more in {} of simulations", format::percent(histogram.beyond)));
    }
    if !is_linear {
        remarks.push("in steps of 1, 2, 5, 10".to_owned());
    }
    for remark in remarks {
        let remark = format!(", {remark}");
        // A remark that does not fit is left out: the curve must stay on one line.
        if line.column_count() + text_columns(&remark) <= page.style.width {
            line.push_piece(Emphasis::Faint, remark);
        }
    }
    page.add_line(&line);
}

fn loss_figures(total: &TotalReport) -> Vec<String> {
    let of = &total.orders_lost;
    let tail = [("1 in 2", of.p50), ("1 in 20", of.p95), ("1 in 100", of.p99)];
    let tail =
        tail.map(|(how_often, orders)| format!("{how_often}: {}", format::quantile(orders, of)));
    let worst = format!("worst {}", format::quantile(of.max, of));
    tail.into_iter().chain([worst]).collect()
}
