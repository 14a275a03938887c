//! The report of a calibration: how many rows stand behind each figure, how sure it is, and what stays at its
//! published default.

use std::fmt::Write as _;

use super::figures::{Calibration, MIN_ROWS, ServiceFigures};
use super::record::Records;
use super::write::{Written, counted, delay_text, fine_share, share_text};
use crate::summary::estimate::Estimate;
use crate::summary::lognormal::LognormalFit;

/// Figures on fewer rows than these have wide intervals, which is said.
const FEW_ROWS: u64 = 30;
/// How many services of no topology are named.
const NAMED: usize = 5;

/// Returns the report as text.
pub fn report_text(records: &Records, calibration: &Calibration, written: &Written) -> String {
    let mut text = String::new();
    let rows = counted(records.rows, "row", "rows");
    let _ = writeln!(text, "Calibrated from {rows} of {}", records.tables.join(", "));
    if records.left_out > 0 {
        let rows = counted(records.left_out, "row", "rows");
        let _ = writeln!(text, "{rows} left out, since they cannot be right");
    }
    add_unknown_services(&mut text, records);
    if calibration.group.changes > 0 {
        add_failures(&mut text, calibration);
    }
    add_delays(&mut text, calibration);
    add_outages(&mut text, calibration);
    add_defaults(&mut text, calibration);
    if !written.changes.is_empty() {
        let _ = writeln!(text, "\nWritten");
        for line in &written.changes {
            let _ = writeln!(text, "  {line}");
        }
    }
    if !written.refused.is_empty() {
        let _ = writeln!(text, "\nNot written: add these by hand");
        for line in &written.refused {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn add_unknown_services(text: &mut String, records: &Records) {
    let unknown = &records.unknown_services;
    if unknown.is_empty() {
        return;
    }
    let rows: u64 = unknown.values().sum();
    let names: Vec<&str> = unknown.keys().take(NAMED).map(String::as_str).collect();
    let more = unknown.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let _ = writeln!(
        text,
        "{} of services that the topology does not have: {}{more}",
        counted(rows, "row", "rows"),
        names.join(", ")
    );
}

fn add_failures(text: &mut String, calibration: &Calibration) {
    let group = &calibration.group;
    let _ = writeln!(
        text,
        "\nFailure of changes  {} days; before any row 10% (DORA 2024, worth 10 rows); for each service that of all, worth {:.0} rows",
        calibration.change_days.ceil(),
        group.strength
    );
    let mut table =
        Table::new(&["service", "changes", "failed", "probability", "95% interval", ""]);
    let row = |name: &str, changes: u64, failed: u64, estimate: Estimate| {
        let (low, high) = (share_text(estimate.low), share_text(estimate.high));
        let interval = format!("{low} to {high}");
        let [changes_text, failed] = [changes, failed].map(|count| count.to_string());
        vec![
            name.to_owned(),
            changes_text,
            failed,
            share_text(estimate.p),
            interval,
            doubt(changes),
        ]
    };
    table.add_row(row("all", group.changes, group.failed, group.failure));
    for service in &calibration.services {
        if let Some(failure) = service.failure {
            table.add_row(row(&service.service, service.changes, service.failed, failure));
        }
    }
    table.write_to(text);
}

/// Returns a warning about a figure on few rows.
fn doubt(rows: u64) -> String {
    if rows < MIN_ROWS {
        "too few rows: not written".to_owned()
    } else if rows < FEW_ROWS {
        "few rows: a wide interval, not a number to trust".to_owned()
    } else {
        String::new()
    }
}

fn add_delays(text: &mut String, calibration: &Calibration) {
    let mut table =
        Table::new(&["service", "delay", "rows", "open", "median", "95% interval", "p95", ""]);
    let mut add = |name: &str, what: &str, fit: &Option<LognormalFit>| {
        let Some(fit) = fit else { return };
        let interval = format!("{} to {}", delay_text(fit.median.low), delay_text(fit.median.high));
        table.add_row(vec![
            name.to_owned(),
            what.to_owned(),
            fit.over.to_string(),
            fit.open.to_string(),
            delay_text(fit.median.value),
            interval,
            delay_text(fit.p95.value),
            doubt(fit.over),
        ]);
    };
    add("all", "detection", &calibration.group.detection);
    add("all", "rollback", &calibration.group.rollback);
    for service in &calibration.services {
        add(&service.service, "detection", &service.detection);
        add(&service.service, "rollback", &service.rollback);
        add(&service.service, "outage", &service.mttr);
    }
    if !table.rows.is_empty() {
        let _ = writeln!(text, "\nDelays  lognormal, with what is still open");
        table.write_to(text);
    }
}

fn add_outages(text: &mut String, calibration: &Calibration) {
    let mut table =
        Table::new(&["service", "outages", "of changes", "availability", "95% interval", ""]);
    for service in calibration.services.iter().filter(|service| has_outages(service)) {
        let (value, interval) = match service.availability {
            Some(found) => (
                fine_share(found.p),
                format!("{} to {}", fine_share(found.low), fine_share(found.high)),
            ),
            None => ("-".to_owned(), "too few outages: not written".to_owned()),
        };
        let of_changes = service.of_changes.to_string();
        let outages = service.outages.to_string();
        table.add_row(vec![
            service.service.clone(),
            outages,
            of_changes,
            value,
            interval,
            String::new(),
        ]);
    }
    if !table.rows.is_empty() {
        let days = calibration.outage_days.ceil();
        let _ = writeln!(
            text,
            "\nOutages  {days} days; those that began while a failed change was in place count with it"
        );
        table.write_to(text);
    }
}

fn has_outages(service: &ServiceFigures) -> bool {
    service.outages + service.of_changes > 0
}

/// Says what stays at its published default.
fn add_defaults(text: &mut String, calibration: &Calibration) {
    let group = &calibration.group;
    let mut kept = Vec::new();
    if group.changes < MIN_ROWS {
        kept.push("failure_probability: 10% (the middle cluster of DORA's 2024 report)");
    }
    if group.detection.is_none() {
        kept.push("detection: median 4.8 min, 19 of 20 within 47 min (354 cloud post-mortems, ISSRE 2022)");
    }
    if group.rollback.is_none() {
        kept.push("rollback: median 91 min, 19 of 20 within 503 min (the same study)");
    }
    if kept.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nToo few rows; these stay at their published defaults");
    for line in kept {
        let _ = writeln!(text, "  {line}");
    }
}

/// Columns of text, as wide as they must be.
struct Table {
    rows: Vec<Vec<String>>,
    head: Vec<String>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self { rows: Vec::new(), head: head.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn add_row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    fn write_to(&self, text: &mut String) {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            all()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        for row in all() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let _ = write!(line, "  {cell:<width$}", width = width(column));
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}
