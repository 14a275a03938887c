//! The numbers of a picture, for those who draw their own: one line for each thing, commas between.

use super::losses::exceedance_points;
use super::timeline::Unable;
use crate::report::TimelineMode;
use crate::report::{CascadeReport, Report, Spread};

/// The boxes and links of a cascade.
pub fn cascade_csv(cascade: &CascadeReport) -> String {
    let mut table = CsvTable::new(&[
        "what",
        "name",
        "to",
        "state",
        "order",
        "fails",
        "fails_low",
        "fails_high",
        "degraded",
        "first_failed_s_p50",
        "passed",
        "guard",
        "held",
    ]);
    for item in &cascade.boxes {
        let first = item.first_failed_s.map_or_else(String::new, |first| first.p50.to_string());
        table.add_row(&[
            "service",
            &item.name,
            "",
            item.state.as_str(),
            &item.rank.map_or_else(String::new, |rank| rank.to_string()),
            &item.failed.p.to_string(),
            &item.failed.low.to_string(),
            &item.failed.high.to_string(),
            &item.degraded.p.to_string(),
            &first,
        ]);
    }
    for edge in &cascade.edges {
        let (from, to) = (&cascade.boxes[edge.from].name, &cascade.boxes[edge.to].name);
        let passed = edge.passed.to_string();
        // An edge without a protection still needs its line for the share that passed.
        let none = (String::new(), String::new());
        let held: Vec<(String, String)> =
            edge.held.iter().map(|held| (held.guard.to_string(), held.share.to_string())).collect();
        for (guard, share) in if held.is_empty() { vec![none] } else { held } {
            let kind = edge.kind.as_str();
            table.add_row(&[kind, from, to, "", "", "", "", "", "", "", &passed, &guard, &share]);
        }
    }
    for flow in &cascade.flows {
        table.add_row(&[
            "flow",
            &flow.name,
            "",
            "",
            "",
            &flow.failed.p.to_string(),
            &flow.failed.low.to_string(),
            &flow.failed.high.to_string(),
            &flow.degraded.p.to_string(),
        ]);
    }
    table.text
}

/// When things fail, and the course of the change.
///
/// # Errors
/// Where there is no time.
pub fn timeline_csv(report: &Report, cascade: &CascadeReport) -> Result<String, Unable> {
    if report.timeline.mode == TimelineMode::Snapshot {
        return Err(Unable::Moment);
    }
    let mut table = CsvTable::new(&[
        "what",
        "name",
        "fails",
        "p10_s",
        "p25_s",
        "p50_s",
        "p75_s",
        "p90_s",
        "p95_s",
        "failed_for_p50_s",
    ]);
    let course = &report.timeline;
    let events = [
        ("first_loss", course.impact_s),
        ("noticed", course.detected_s),
        ("cause_ends", course.ended_s),
        ("over", course.resolved_s),
    ];
    for (name, spread) in events {
        if let Some(spread) = spread {
            table.add_times("change", name, "", spread, "");
        }
    }
    let mut add =
        |what: &str, name: &str, p: f64, first: Option<Spread>, lasted: Option<Spread>| {
            if let Some(first) = first {
                let lasted = lasted.map_or_else(String::new, |lasted| lasted.p50.to_string());
                table.add_times(what, name, &p.to_string(), first, &lasted);
            }
        };
    for item in &cascade.boxes {
        add("service", &item.name, item.failed.p, item.first_failed_s, item.failed_for_s);
    }
    for flow in &report.flows {
        add("flow", &flow.name, flow.failed.p, flow.first_failed_s, flow.failed_for_s);
    }
    Ok(table.text)
}

/// The distribution of lost orders and its exceedance curve.
///
/// # Errors
/// Where none are counted, or none are lost.
pub fn losses_csv(report: &Report) -> Result<String, Unable> {
    let total = report.total.as_ref().ok_or(Unable::NoRates)?;
    let histogram = total.histogram.as_ref().ok_or(Unable::NothingLost)?;
    let mut table = CsvTable::new(&["what", "orders", "p", "low", "high"]);
    table.add_row(&["share_losing_none", "0", &histogram.none.to_string()]);
    for (end, share) in histogram.ends.iter().zip(&histogram.shares) {
        table.add_row(&["share_up_to", &end.to_string(), &share.to_string()]);
    }
    table.add_row(&["share_beyond", "", &histogram.beyond.to_string()]);
    for item in exceedance_points(report, total) {
        table.add_row(&[
            "at_least",
            &item.orders.to_string(),
            &item.p.to_string(),
            &item.low.to_string(),
            &item.high.to_string(),
        ]);
    }
    Ok(table.text)
}

/// Lines of values.
pub(super) struct CsvTable {
    pub(super) text: String,
    columns: usize,
}

impl CsvTable {
    /// With these heads.
    pub(super) fn new(heads: &[&str]) -> Self {
        let mut table = Self { text: String::new(), columns: heads.len() };
        table.add_row(heads);
        table
    }

    /// Adds a line; what is missing at its end is empty.
    pub(super) fn add_row(&mut self, values: &[&str]) {
        let none = std::iter::repeat_n(&"", self.columns.saturating_sub(values.len()));
        let values: Vec<String> =
            values.iter().chain(none).map(|value| quoted_field(value)).collect();
        self.text.push_str(&values.join(","));
        self.text.push('\n');
    }

    fn add_times(&mut self, what: &str, name: &str, p: &str, spread: Spread, lasted: &str) {
        let Spread { p10, p25, p50, p75, p90, p95 } = spread;
        let [p10, p25, p50, p75, p90, p95] =
            [p10, p25, p50, p75, p90, p95].map(|item| item.to_string());
        self.add_row(&[what, name, p, &p10, &p25, &p50, &p75, &p90, &p95, lasted]);
    }
}

/// A value as RFC 4180 wants it. What a spreadsheet would take for a formula gets an apostrophe.
fn quoted_field(value: &str) -> String {
    // Spreadsheets run cells that begin with these signs as formulas. A negative number is none.
    let is_number = value.parse::<f64>().is_ok();
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let value = if is_formula { format!("'{value}") } else { value.to_owned() };
    if value.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value
}
