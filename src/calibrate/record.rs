//! Rows as changes and incidents of services; rows that cannot be right are told and left out.

use std::collections::{BTreeMap, BTreeSet};

use super::TableFile;
use super::columns::{Columns, TableKind};
use super::table::{ColumnPath, Row, read_rows, shown_path};
use crate::diagnostic::{Code, Diagnostic, Findings, Severity};
use crate::model::Topology;
use crate::policy::expression::parse_timestamp;

/// How many rows of one kind of problem are named.
const NAMED: usize = 5;
/// A number above this counts milliseconds: in seconds, it would be the year 5138.
const MILLISECONDS: f64 = 1e11;

/// A change of the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordedChange {
    /// The service, by its place in the topology.
    pub service: u32,
    /// When it was made, in seconds since 1970.
    pub at: f64,
    /// Whether it failed.
    pub has_failed: bool,
    /// When the failure began, where it failed.
    pub started: f64,
    /// When the failure was noticed.
    pub detected: Option<f64>,
    /// When it was over; `None` = not known, or not yet.
    pub ended: Option<f64>,
}

/// An incident of the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutageRecord {
    /// The service, by its place in the topology.
    pub service: u32,
    /// When it began, or was noticed where nothing says when it began.
    pub started: f64,
    /// When it was noticed, where that is known beside its begin.
    pub detected: Option<f64>,
    /// When it was over; `None` = not yet.
    pub ended: Option<f64>,
}

/// Everything that tables say.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Changes, in the order of the tables.
    pub changes: Vec<RecordedChange>,
    /// Incidents, in the order of the tables.
    pub outages: Vec<OutageRecord>,
    /// First and last moment of all changes.
    pub changes_span: Option<(f64, f64)>,
    /// First and last moment of all incidents.
    pub outages_span: Option<(f64, f64)>,
    /// How many rows name a service that the topology does not have, by that name.
    pub unknown_services: BTreeMap<String, u64>,
    /// How many rows were read.
    pub rows: u64,
    /// How many rows were left out because they cannot be right.
    pub left_out: u64,
    /// Tables that were read, by name.
    pub tables: Vec<String>,
    /// Whether some tables say when failures of changes ended, so that a missing end is an open one.
    pub has_ends: bool,
    /// Rows that cannot be right, and remarks.
    pub warnings: Vec<Diagnostic>,
}

/// A moment of a row.
#[derive(Clone, Copy)]
struct Moment {
    seconds: f64,
    has_zone: bool,
}

/// Reads a moment: RFC 3339, the same without a zone (taken as UTC), or a number of seconds or milliseconds.
fn parse_moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Some(seconds) = parse_timestamp(text).filter(|_| text.len() > 10) {
        return Some(Moment { seconds, has_zone: true });
    }
    if let Ok(number) = text.parse::<f64>() {
        let seconds = if number.abs() > MILLISECONDS { number / 1000.0 } else { number };
        return seconds.is_finite().then_some(Moment { seconds, has_zone: true });
    }
    // `+0000` is what some programs write for `+00:00`.
    if let Some((start, zone)) = text.len().checked_sub(5).and_then(|at| text.split_at_checked(at))
        && zone.starts_with(['+', '-'])
    {
        let seconds = parse_timestamp(&format!("{start}{}:{}", &zone[..3], &zone[3..]));
        if let Some(seconds) = seconds {
            return Some(Moment { seconds, has_zone: true });
        }
    }
    let seconds = parse_timestamp(text).or_else(|| parse_timestamp(&format!("{text}Z")))?;
    Some(Moment { seconds, has_zone: false })
}

/// Reads a table into records.
pub(super) fn read_table(
    table: &TableFile,
    topology: &Topology,
    records: &mut Records,
) -> Result<(), Vec<Diagnostic>> {
    let mut reader = TableReader {
        table,
        topology,
        columns: &table.columns,
        records,
        findings: Findings::new(NAMED),
        ids: BTreeSet::new(),
        zoned: None,
        naive: None,
        used: 0,
        rows: 0,
    };
    let rows = table.columns.rows.clone();
    read_rows(&table.path, rows.as_ref(), |number, row| reader.add_row(number, row))?;
    reader.finish()
}

struct TableReader<'a> {
    table: &'a TableFile,
    topology: &'a Topology,
    columns: &'a Columns,
    records: &'a mut Records,
    findings: Findings,
    ids: BTreeSet<String>,
    /// The first row whose moments have a time zone, and the first whose have none.
    zoned: Option<u64>,
    naive: Option<u64>,
    used: u64,
    rows: u64,
}

/// Why a row is left out.
struct BadRow {
    code: Code,
    message: String,
}

impl TableReader<'_> {
    fn add_row(&mut self, number: u64, row: &Row<'_>) {
        self.rows += 1;
        if self.columns.only.iter().any(|condition| condition.holds(row) == Some(false)) {
            return;
        }
        match self.read_row(number, row) {
            Ok(()) => {}
            Err(bad) => {
                self.records.left_out += 1;
                let path = shown_path(&self.table.path);
                self.findings.add(bad.code, || Diagnostic {
                    severity: Severity::Warning,
                    ..Diagnostic::file_error(
                        bad.code,
                        format!("row {number} of `{path}` is left out: {}", bad.message),
                    )
                });
            }
        }
    }

    fn read_row(&mut self, number: u64, row: &Row<'_>) -> Result<(), BadRow> {
        if let Some(id) = row.first_value(&self.columns.id)
            && !self.ids.insert(id.to_string())
        {
            let message = format!("the id `{id}` stands in an earlier row already");
            return Err(BadRow { code: Code::DuplicateName, message });
        }
        let Some(service) = self.service_of(row) else { return Ok(()) };
        let columns = self.columns;
        let started = self.moment_of(number, row, &columns.started)?;
        let detected = self.moment_of(number, row, &columns.detected)?;
        let is_open = columns.open.as_ref().and_then(|open| open.holds(row)) == Some(true);
        // What is open has the moment of its last change where its end would stand.
        let ended = if is_open { None } else { self.moment_of(number, row, &columns.ended)? };
        match columns.kind {
            TableKind::Changes => {
                let at = self.moment_of(number, row, &columns.at)?;
                let at = at.ok_or_else(|| missing("when the change was made"))?;
                let failed = columns.failed.as_ref().and_then(|failed| failed.holds(row));
                let has_failed = failed.ok_or_else(|| missing("whether the change failed"))?;
                let started = started.unwrap_or(at);
                in_order(started, detected, ended)?;
                let spans = [Some(at), Some(started), detected, ended];
                widen(&mut self.records.changes_span, spans);
                self.records.has_ends |= ended.is_some();
                let change = RecordedChange { service, at, has_failed, started, detected, ended };
                self.records.changes.push(change);
            }
            TableKind::Incidents => {
                let begin = started.or(detected).ok_or_else(|| missing("when it began"))?;
                in_order(begin, detected, ended)?;
                widen(&mut self.records.outages_span, [Some(begin), detected, ended, None]);
                // Where only the alert is known, nothing says how long that took.
                let detected = detected.filter(|_| started.is_some());
                self.records.outages.push(OutageRecord {
                    service,
                    started: begin,
                    detected,
                    ended,
                });
            }
        }
        self.used += 1;
        Ok(())
    }

    /// The service of a row; `None` where the topology has none of its names.
    fn service_of(&mut self, row: &Row<'_>) -> Option<u32> {
        let mut first = None;
        for path in &self.columns.service {
            for name in row.values(path) {
                let name = name.trim();
                // The address of a repository ends with its name.
                let name = name.trim_end_matches('/').rsplit("://").next().map_or(name, |rest| {
                    if rest.len() == name.len() {
                        name
                    } else {
                        rest.rsplit('/').next().unwrap_or(rest)
                    }
                });
                let services = &self.columns.services;
                let other = services.iter().find(|(other, _)| other == name);
                let name = other.map_or(name, |(_, service)| service);
                if let Some(service) = find_service(self.topology, name) {
                    return Some(service);
                }
                first.get_or_insert_with(|| name.to_owned());
            }
        }
        let of_table = self.table.service.as_deref();
        if first.is_none()
            && let Some(service) = of_table.and_then(|name| find_service(self.topology, name))
        {
            return Some(service);
        }
        let name = first.unwrap_or_else(|| "(no service)".to_owned());
        // A hostile table may name millions: those that were seen first stand for all.
        let known = &mut self.records.unknown_services;
        if known.len() < 1000 || known.contains_key(&name) {
            *known.entry(name).or_default() += 1;
        }
        None
    }

    fn moment_of(
        &mut self,
        number: u64,
        row: &Row<'_>,
        paths: &[ColumnPath],
    ) -> Result<Option<f64>, BadRow> {
        let Some(text) = row.first_value(paths) else { return Ok(None) };
        let Some(moment) = parse_moment(&text) else {
            let message = format!("`{}` is no moment", shown_text(&text));
            return Err(BadRow { code: Code::BadUnit, message });
        };
        let seen = if moment.has_zone { &mut self.zoned } else { &mut self.naive };
        seen.get_or_insert(number);
        Ok(Some(moment.seconds))
    }

    fn finish(self) -> Result<(), Vec<Diagnostic>> {
        let path = shown_path(&self.table.path).to_owned();
        let mut findings = self.findings.finish();
        // Which of two clocks a moment without a zone is by cannot be told, and hours would be wrong.
        if let (Some(zoned), Some(naive)) = (self.zoned, self.naive) {
            let message = format!(
                "row {naive} of `{path}` has a moment without a time zone, and row {zoned} one with it"
            );
            let problem = Diagnostic::file_error(Code::Conflict, message);
            return Err(vec![
                problem.help("write all moments with their zone: `2026-11-02T14:03:00Z`"),
            ]);
        }
        if self.naive.is_some() {
            let message = format!("moments of `{path}` have no time zone: they are taken for UTC");
            findings.push(Diagnostic {
                severity: Severity::Warning,
                ..Diagnostic::file_error(Code::NotUnderstood, message)
            });
        }
        if self.used == 0 {
            let unknown: Vec<&str> =
                self.records.unknown_services.keys().take(NAMED).map(String::as_str).collect();
            let message = format!("no row of `{path}` can be used, of {}", self.rows);
            let problem = Diagnostic::file_error(Code::Empty, message);
            let problem = if unknown.is_empty() {
                problem.help("do the names of the columns fit? A mapping says what each means")
            } else {
                let names = unknown.join(", ");
                problem.help(format!(
                    "the topology has no service called {names}; `services:` of a mapping gives them other names"
                ))
            };
            findings.push(problem);
            return Err(findings);
        }
        self.records.rows += self.rows;
        self.records.tables.push(path);
        self.records.warnings.extend(findings);
        Ok(())
    }
}

fn missing(what: &str) -> BadRow {
    BadRow { code: Code::MissingKey, message: format!("it does not say {what}") }
}

/// Refuses what ends before it begins.
fn in_order(started: f64, detected: Option<f64>, ended: Option<f64>) -> Result<(), BadRow> {
    let after = |what: &str, moment: Option<f64>, before: f64| match moment {
        Some(moment) if moment < before => {
            let message = format!("it was {what} {} s before that", before - moment);
            Err(BadRow { code: Code::OutOfRange, message })
        }
        _ => Ok(()),
    };
    after("noticed after it began, but", detected, started)?;
    after("over after it began, but", ended, started)?;
    after("over after it was noticed, but", ended, detected.unwrap_or(started))
}

fn widen(span: &mut Option<(f64, f64)>, moments: [Option<f64>; 4]) {
    for moment in moments.into_iter().flatten() {
        let (first, last) = span.unwrap_or((moment, moment));
        *span = Some((first.min(moment), last.max(moment)));
    }
}

/// Returns the place of a service of this name; `_` and capitals of other programs do not count.
fn find_service(topology: &Topology, name: &str) -> Option<u32> {
    let find = |name: &str| {
        let services = &topology.services;
        services.binary_search_by(|service| (*service.name).cmp(name)).ok()
    };
    let index = find(name).or_else(|| find(&name.to_lowercase().replace(['_', ' '], "-")))?;
    u32::try_from(index).ok()
}

/// The beginning of a text, for a message.
fn shown_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_many_forms() {
        let seconds = |text: &str| parse_moment(text).map(|moment| moment.seconds as i64);
        for text in [
            "2026-11-02T14:00:00Z",
            "2026-11-02T15:00:00+01:00",
            "2026-11-02T15:00:00.000+0100",
            "2026-11-02 14:00:00",
            "1793628000",
            "1793628000000",
        ] {
            assert_eq!(seconds(text), Some(1_793_628_000), "{text}");
        }
        assert_eq!(seconds("yesterday"), None);
        assert!(parse_moment("2026-11-02 14:00:00").is_some_and(|moment| !moment.has_zone));
    }
}
