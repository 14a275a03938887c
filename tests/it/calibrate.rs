//! Calibration from a record: figures of histories with known parameters, what is said of rows that cannot be
//! right, and what is written into a topology.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use blastwave::calibrate::{Columns, Records, TableFile, read_records, ready_columns};
use blastwave::diagnostic::Sources;
use blastwave::load;
use blastwave::model::Topology;

use crate::support::program;

const SHOP: &str = "\
version: 1
topology: shop
# Kept as it is.
services:
  web: { dependencies: [{ service: pay, timeout: 1s }] }
  pay:
    detection: { median: 1m, p95: 2m, watches: [flows] }  # of the old alerts
    dependencies: [stock]
  stock:
flows:
  order: { steps: [web], critical: true }
";

fn topology(text: &str) -> Topology {
    let document = load::parse_document("shop", text.as_bytes().to_vec(), &mut Sources::default());
    Topology::from_document(&document.unwrap()).unwrap()
}

fn records(tables: &[(&str, &str)], topology: &Topology) -> Records {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (index, (format, text)) in tables.iter().enumerate() {
        let path = folder.path().join(format!("{index}.csv"));
        fs::write(&path, text).unwrap();
        let columns = ready_columns(format).unwrap();
        files.push(TableFile { path: path.to_str().unwrap().to_owned(), columns, service: None });
    }
    read_records(&files, topology).unwrap()
}

/// Random numbers that are the same on every machine: xorshift (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..20 {
            random.uniform();
        }
        random
    }

    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }

    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// A probability from a beta distribution of whole numbers: the `a`-th of `a + b - 1` uniform ones.
    fn beta(&mut self, a: usize, b: usize) -> f64 {
        let mut all: Vec<f64> = (1..a + b).map(|_| self.uniform()).collect();
        all.sort_by(f64::total_cmp);
        all[a - 1]
    }
}

const START: f64 = 1.7e9;

#[test]
fn intervals_hold_what_histories_were_made_of_in_95_of_100() {
    let shop = topology(SHOP);
    let histories = 200_u64;
    let (mut failure, mut median, mut p95, mut rollback) = (0_u64, 0_u64, 0_u64, 0_u64);
    for seed in 0..histories {
        let mut random = Random::new(seed);
        let mut table = "service,at,failed,failed_at,detected_at,restored_at\n".to_owned();
        // Services differ as a beta distribution says; the prior of each is found from all.
        let truth = [random.beta(3, 17), random.beta(3, 17), random.beta(3, 17)];
        // The record ends while some rollbacks go on.
        let end = START + 400.0 * 3600.0 + 1800.0;
        for (service, p) in ["web", "pay", "stock"].iter().zip(truth) {
            for change in 0..400_u32 {
                let at = START + f64::from(change) * 3600.0;
                let _ = write!(table, "{service},{at}");
                if random.uniform() >= p {
                    table.push_str(",no,,,\n");
                    continue;
                }
                let detected = at + random.lognormal(300.0, 0.8);
                let restored = detected + random.lognormal(3600.0, 1.0);
                let restored = if restored > end { String::new() } else { restored.to_string() };
                let _ = writeln!(table, ",yes,{at},{detected},{restored}");
            }
        }
        let found = records(&[("changes", &table)], &shop).calibrate(&shop, None);
        let pay = found.services.iter().find(|service| service.service == "pay").unwrap();
        let estimate = pay.failure.unwrap();
        failure += u64::from(estimate.low <= truth[1] && truth[1] <= estimate.high);
        let detection = found.group.detection.unwrap();
        median += u64::from(detection.median.low <= 300.0 && 300.0 <= detection.median.high);
        let truth = 300.0 * (0.8 * 1.644_853_627_f64).exp();
        p95 += u64::from(detection.p95.low <= truth && truth <= detection.p95.high);
        let fit = found.group.rollback.unwrap();
        rollback += u64::from(fit.median.low <= 3600.0 && 3600.0 <= fit.median.high);
    }
    // 95% of 200, within five standard errors of 1.5%.
    for (what, held) in
        [("failure", failure), ("median", median), ("p95", p95), ("rollback", rollback)]
    {
        assert!((175..=200).contains(&held), "{what}: {held} of {histories}");
    }
}

#[test]
fn availability_is_the_share_of_time_without_an_outage() {
    let shop = topology(SHOP);
    let histories = 200_u64;
    let mut held = 0_u64;
    for seed in 0..histories {
        let mut random = Random::new(1000 + seed);
        let (up, down, sigma) = (50.0 * 3600.0, 1800.0, 0.7_f64);
        let mean_down = down * (sigma * sigma / 2.0).exp();
        let truth = up / (up + mean_down);
        let mut table = "service,started_at,ended_at\n".to_owned();
        let mut at = START;
        for _ in 0..60 {
            at += -up * random.uniform().ln();
            let until = at + random.lognormal(down, sigma);
            let _ = writeln!(table, "stock,{at},{until}");
            at = until;
        }
        let found = records(&[("incidents", &table)], &shop).calibrate(&shop, Some(at - START));
        let estimate = found.services[0].availability.unwrap();
        held += u64::from(estimate.low <= truth && truth <= estimate.high);
    }
    assert!((175..=200).contains(&held), "{held} of {histories}");
}

#[test]
fn outages_of_a_failed_change_count_with_it_and_those_at_once_count_once() {
    let shop = topology(SHOP);
    let changes = "service,at,failed,failed_at,detected_at,restored_at\n\
                   pay,2026-03-01T10:00:00Z,yes,2026-03-01T10:00:00Z,2026-03-01T10:05:00Z,2026-03-01T11:00:00Z\n";
    let incidents = "service,started_at,ended_at\n\
                     pay,2026-03-01T10:10:00Z,2026-03-01T11:00:00Z\n\
                     pay,2026-03-02T00:00:00Z,2026-03-02T01:00:00Z\n\
                     pay,2026-03-02T00:30:00Z,2026-03-02T01:30:00Z\n\
                     pay,2026-03-03T00:00:00Z,2026-03-03T00:30:00Z\n";
    let records = records(&[("changes", changes), ("incidents", incidents)], &shop);
    let found = records.calibrate(&shop, Some(100.0 * 3600.0));
    let pay = &found.services[0];
    assert_eq!((pay.outages, pay.of_changes), (3, 1));
    // An hour and a half, and half an hour, of a hundred.
    assert!((pay.availability.unwrap().p - 0.98).abs() < 1e-12, "{pay:?}");
}

fn calibrate(folder: &Path, args: &[&str]) -> Output {
    fs::write(folder.join("shop.yaml"), SHOP).unwrap();
    program(folder).args(["calibrate", "shop.yaml"]).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Changes of `pay`, of which every tenth failed and was noticed and taken back in growing times.
fn table(rows: u32) -> String {
    let mut table = "service,at,failed,detected_at,restored_at\n".to_owned();
    for row in 0..rows {
        let at = 1_700_000_000 + row * 7200;
        let _ = match row % 10 {
            0 => {
                let (detected, restored) = (at + 200 + row % 400, at + 1500 + row);
                writeln!(table, "pay,{at},rolled-back,{detected},{restored}")
            }
            _ => writeln!(table, "pay,{at},no,,"),
        };
    }
    table
}

#[test]
fn figures_are_written_with_their_source_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("deploys.csv"), table(400)).unwrap();
    let output = calibrate(folder.path(), &["--from", "changes", "deploys.csv", "-o", "new.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let new = fs::read_to_string(folder.path().join("new.yaml")).unwrap();
    for kept in ["# Kept as it is.", "watches: [flows]", "# of the old alerts", "critical: true"] {
        assert!(new.contains(kept), "{kept}\n{new}");
    }
    let read = topology(&new);
    let pay = read.services.iter().find(|service| service.name == "pay").unwrap();
    let shipping = read.shipping_of(pay);
    // 40 of 400 failed, and nobody else says how much services differ.
    assert!((shipping.failure_probability.unwrap().get() - 0.1).abs() < 0.005);
    let detection = shipping.detection.unwrap();
    assert!(detection.watches.is_some_and(|watches| !watches.target), "what was said stays");
    assert!((200.0..600.0).contains(&detection.delay.unwrap().median.get()));
    assert!(new.contains("40 of 400 changes failed, 95%: "), "{new}");
    let report = text(&output.stdout);
    assert!(report.contains("40") && report.contains("defaults.change"), "{report}");
    // Once more with the same record nothing moves.
    fs::write(folder.path().join("shop.yaml"), &new).unwrap();
    let again = program(folder.path())
        .args(["calibrate", "new.yaml", "--from", "changes", "deploys.csv", "-o", "again.yaml"])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(fs::read_to_string(folder.path().join("again.yaml")).unwrap(), new);
}

#[test]
fn few_rows_are_no_number_to_trust() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("deploys.csv"), table(10)).unwrap();
    let report = text(&calibrate(folder.path(), &["--from", "changes", "deploys.csv"]).stdout);
    assert!(report.contains("few rows: a wide interval, not a number to trust"), "{report}");
    fs::write(folder.path().join("deploys.csv"), table(9)).unwrap();
    let arguments = ["--from", "changes", "deploys.csv", "-o", "new.yaml"];
    let report = text(&calibrate(folder.path(), &arguments).stdout);
    assert!(report.contains("stay at their published defaults"), "{report}");
    assert_eq!(fs::read_to_string(folder.path().join("new.yaml")).unwrap(), SHOP);
}

#[test]
fn rows_that_cannot_be_right_are_told_with_their_number() {
    let good = table(20);
    for (row, said) in [
        ("pay,1700000000,yes,1600000000,\n", "row 22 of `deploys.csv` is left out: it was noticed"),
        (
            "pay,1700000000,yes,1700000100,1700000050\n",
            "it was over after it was noticed, but 50 s before",
        ),
        ("pay,soon,no,,\n", "`soon` is no moment"),
        ("pay,,no,,\n", "it does not say when the change was made"),
        ("pay,1700000000,,,\n", "it does not say whether the change failed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("deploys.csv"), format!("{good}{row}")).unwrap();
        let output = calibrate(folder.path(), &["--from", "changes", "deploys.csv"]);
        assert_eq!(output.status.code(), Some(0));
        let stderr = text(&output.stderr);
        assert!(stderr.contains(said), "{row}: {stderr}");
        assert!(text(&output.stdout).contains("1 row left out"), "{}", text(&output.stdout));
    }
}

#[test]
fn tables_that_make_no_sense_are_refused() {
    let mixed = "service,at,failed\npay,2026-01-01 10:00:00,no\npay,2026-01-02T10:00:00+01:00,no\n";
    let twice = "id,service,at,failed\n7,pay,1700000000,no\n7,pay,1700000000,no\n";
    for (table, status, said) in [
        (
            mixed,
            2,
            "row 2 of `deploys.csv` has a moment without a time zone, and row 3 one with it",
        ),
        (twice, 0, "the id `7` stands in an earlier row already"),
        ("service,at,failed\nshop,1700000000,no\n", 2, "the topology has no service called shop"),
        ("a,b\n1,2\n", 2, "no row of `deploys.csv` can be used"),
        ("", 2, "`deploys.csv` holds no row"),
        ("service,at\n\"pay,1\n", 2, "a quote that begins in line 2"),
        ("{\"service\": \"pay\"}\n{\n", 2, "line 2 of `deploys.csv` is not JSON"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("deploys.csv"), table).unwrap();
        let output = calibrate(folder.path(), &["--from", "changes", "deploys.csv"]);
        assert_eq!(output.status.code(), Some(status), "{table}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said), "{table}: {}", text(&output.stderr));
    }
    let folder = tempfile::tempdir().unwrap();
    for (from, said) in
        [("pagerdutty", "did you mean `pagerduty`?"), ("columns.yaml", "did you mean `detected`?")]
    {
        let mapping = "version: 1\ntable: incidents\ncolumns: { started: a, detectd: b }\n";
        fs::write(folder.path().join("columns.yaml"), mapping).unwrap();
        let output = calibrate(folder.path(), &["--from", from, "deploys.csv"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(said), "{from}: {}", text(&output.stderr));
    }
}

#[test]
fn records_of_other_programs_are_read_as_they_are() {
    let shop = topology(SHOP);
    let github = r#"[
      {"id": 1, "environment": "production", "created_at": "2026-05-01T10:00:00Z", "repository_url": "https://api.github.com/repos/acme/pay",
       "statuses": [{"state": "success"}]},
      {"id": 2, "environment": "production", "created_at": "2026-05-02T10:00:00Z", "repository_url": "https://api.github.com/repos/acme/pay",
       "statuses": [{"state": "in_progress"}, {"state": "failure"}]},
      {"id": 3, "environment": "staging", "created_at": "2026-05-03T10:00:00Z", "repository_url": "https://api.github.com/repos/acme/pay",
       "statuses": [{"state": "failure"}]}]"#;
    let pagerduty = r#"{"incidents": [
      {"id": "P1", "status": "resolved", "created_at": "2026-05-02T10:10:00Z", "last_status_change_at": "2026-05-02T11:10:00Z", "service": {"summary": "Pay"}},
      {"id": "P2", "status": "triggered", "created_at": "2026-05-04T10:00:00Z", "last_status_change_at": "2026-05-04T10:00:00Z", "service": {"summary": "Pay"}}]}"#;
    let gitlab = r#"[{"id": 9, "status": "failed", "created_at": "2026-05-01T10:00:00.000Z", "environment": {"name": "production"}, "deployable": {"project": {"name": "stock"}}},
      {"id": 10, "status": "running", "created_at": "2026-05-01T10:00:00.000Z", "environment": {"name": "production"}, "deployable": {"project": {"name": "stock"}}}]"#;
    let opsgenie = r#"{"data": [{"id": "o", "status": "closed", "impactedServices": ["web"], "impactStartDate": "2026-05-01T09:50:00Z", "createdAt": "2026-05-01T10:00:00Z", "impactEndDate": "2026-05-01T10:30:00Z"}]}"#;
    let incident_io = r#"{"incidents": [{"id": "i", "created_at": "2026-05-01T10:00:00Z",
      "custom_field_entries": [{"custom_field": {"name": "Affected services"}, "values": [{"value_catalog_entry": {"name": "stock"}}]}],
      "incident_timestamp_values": [{"incident_timestamp": {"name": "Impact started at"}, "value": {"value": "2026-05-01T09:00:00Z"}},
        {"incident_timestamp": {"name": "Fixed at"}, "value": {"value": "2026-05-01T11:00:00Z"}}]}]}"#;
    let jira = r#"{"issues": [{"key": "INC-1", "fields": {"created": "2026-05-01T10:00:00.000+0200", "resolutiondate": null, "components": [{"name": "web"}]}}]}"#;
    let read = records(
        &[
            ("github", github),
            ("gitlab", gitlab),
            ("pagerduty", pagerduty),
            ("opsgenie", opsgenie),
            ("incident-io", incident_io),
            ("jira", jira),
        ],
        &shop,
    );
    assert_eq!(read.left_out, 0, "{:?}", read.warnings);
    let changes: Vec<(u32, bool)> =
        read.changes.iter().map(|change| (change.service, change.has_failed)).collect();
    // Sorted by name, the services are pay, stock and web.
    assert_eq!(changes, [(0, false), (0, true), (1, true)]);
    let outages: Vec<(u32, Option<f64>, Option<f64>)> = read
        .outages
        .iter()
        .map(|outage| {
            let since = |moment: Option<f64>| moment.map(|moment| moment - outage.started);
            (outage.service, since(outage.detected), since(outage.ended))
        })
        .collect();
    assert_eq!(
        outages,
        [
            (0, None, Some(3600.0)),
            (0, None, None),
            (2, Some(600.0), Some(2400.0)),
            (1, Some(3600.0), Some(7200.0)),
            (2, None, None),
        ]
    );
}

#[test]
fn a_mapping_names_columns_services_and_what_counts() {
    let mapping = "\
version: 1
table: changes
columns: { service: app, at: when, failed: { column: result, is: [bad] } }
only: { stage: [live] }
services: { Payments API: pay }
";
    let bytes = mapping.as_bytes().to_vec();
    let document = load::parse_document("columns.yaml", bytes, &mut Sources::default()).unwrap();
    let columns = Columns::from_document(&document).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let rows = "app;when;result;stage\nPayments API;2026-01-01T00:00:00Z;bad;live\nPayments API;2026-01-01T00:00:00Z;ok;test\n\
                ;2026-01-02T00:00:00Z;good;live\n";
    fs::write(&path, rows).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let shop = topology(SHOP);
    let table = TableFile { path, columns, service: Some("stock".to_owned()) };
    let read = read_records(&[table], &shop).unwrap();
    let found: Vec<(u32, bool)> =
        read.changes.iter().map(|change| (change.service, change.has_failed)).collect();
    assert_eq!(found, [(0, true), (1, false)]);
}

#[test]
fn a_large_record_is_read_in_time() {
    let shop = topology(SHOP);
    let rows = 100_000;
    let started = Instant::now();
    let read = records(&[("changes", &table(rows))], &shop);
    assert_eq!(read.changes.len(), rows as usize);
    let found = read.calibrate(&shop, None);
    assert_eq!(found.group.failed, u64::from(rows / 10));
    // Busy machines and plain builds take many times as long as a release.
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
}

#[test]
fn a_record_that_stays_as_it_was_agrees_with_itself_and_one_that_changes_does_not() {
    let shop = topology(SHOP);
    let history = |later: f64| {
        let mut random = Random::new(7);
        let mut table = "service,at,failed,failed_at,detected_at,restored_at\n".to_owned();
        for change in 0..2000_u32 {
            let at = START + f64::from(change) * 3600.0;
            let (service, p) = if change % 2 == 0 { ("pay", 0.3) } else { ("web", 0.02) };
            let p = if change < 1200 { p } else { p * later };
            if random.uniform() >= p {
                let _ = writeln!(table, "{service},{at},no,,,");
                continue;
            }
            let detected = at + random.lognormal(300.0, 0.8);
            let restored = detected + random.lognormal(1200.0, 0.5);
            let _ = writeln!(table, "{service},{at},yes,{at},{detected},{restored}");
        }
        records(&[("changes", &table)], &shop).back_test(&shop).unwrap()
    };
    let held = |test: &blastwave::calibrate::BackTest| {
        test.groups.iter().all(|group| {
            let near = 3.0 * (group.failed.high - group.failed.low) / 2.0;
            (group.forecast - group.failed.p).abs() <= near
        })
    };
    let same = history(1.0);
    assert_eq!((same.learned, same.forecast, same.groups.len()), (1200, 800, 2));
    assert!(same.brier < same.brier_of_base_rate && held(&same), "{same:?}");
    for coverage in [same.detection, same.rollback] {
        let [median, p95] = coverage.unwrap();
        assert!((0.3..0.7).contains(&median.p) && p95.p > 0.85, "{same:?}");
    }
    let worse = history(2.5);
    assert!(!held(&worse), "{worse:?}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("deploys.csv"), table(400)).unwrap();
    let report =
        text(&calibrate(folder.path(), &["--from", "changes", "deploys.csv", "--check"]).stdout);
    assert!(report.contains("160 changes forecast from the 240 before"), "{report}");
    fs::write(folder.path().join("deploys.csv"), table(40)).unwrap();
    let report =
        text(&calibrate(folder.path(), &["--from", "changes", "deploys.csv", "--check"]).stdout);
    assert!(report.contains("too few changes"), "{report}");
}
