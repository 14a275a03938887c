//! The figures of everything that is shipped, for a fixed seed: they change only where the semantics do, and
//! then the changelog says so under "Changed results".

use crate::support::{assert_kept, kept_path};
use std::fmt::Write as _;
use std::path::Path;

use blastwave::analysis::{Settings, Stop, simulate_change};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::{Change, Topology};
use serde_json::Value;

/// The figures of flows that are recorded, as paths into the result.
const OF_FLOWS: [&str; 8] = [
    "/failed/p",
    "/degraded/p",
    "/failing_share",
    "/first_failed_s/p50",
    "/failed_for_s/p50",
    "/failed_for_s/p95",
    "/orders_lost/mean",
    "/orders_lost/p95",
];

/// The figures of services that are recorded.
const OF_SERVICES: [&str; 4] = ["/failed/p", "/degraded/p", "/failing_share", "/failed_for_s/p50"];

fn sorted_entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// Returns the result of a shipped change as JSON.
fn shipped_result(topology: &Path, change: &Path) -> Value {
    let mut sources = Sources::default();
    let document = load::read_document(topology.to_str().unwrap(), &mut sources).unwrap();
    let topology = Topology::from_document(&document).unwrap();
    let document = load::read_document(change.to_str().unwrap(), &mut sources).unwrap();
    let change = Change::from_document(&document, &topology).unwrap();
    let settings = Settings { seed: 7, stop: Stop::Trials(320), ..Settings::default() };
    serde_json::to_value(simulate_change(&topology, &change, &settings, &Silent)).unwrap()
}

/// Writes one line for each flow or service: its name, and its figures in order; `-` where there is none.
fn write_units(text: &mut String, noun: &str, units: &Value, paths: &[&str]) {
    let mut units: Vec<_> = units.as_array().unwrap().iter().collect();
    units.sort_by_key(|unit| unit["name"].as_str());
    for unit in units {
        let figures: Vec<String> = paths
            .iter()
            .map(|path| unit.pointer(path).map_or_else(|| "-".to_owned(), Value::to_string))
            .collect();
        writeln!(text, "{noun} {}: {}", unit["name"].as_str().unwrap(), figures.join(" ")).unwrap();
    }
}

#[test]
fn figures_of_shipped_changes_stay_for_an_equal_seed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let mut text = String::new();
    for folder in sorted_entries(&root.join("changes")) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        for change in sorted_entries(&folder) {
            let result = shipped_result(&root.join(format!("{name}.yaml")), &change);
            let of_change = change.file_stem().unwrap().to_str().unwrap();
            let engine = result["engine"].as_str().unwrap();
            writeln!(text, "\n{name} / {of_change} ({engine})").unwrap();
            write_units(&mut text, "flow", &result["flows"], &OF_FLOWS);
            write_units(&mut text, "service", &result["services"], &OF_SERVICES);
            let lists = ["metastable", "never_recovers"];
            for (list, names) in lists.map(|list| (list, &result[list])) {
                writeln!(text, "{list}: {names}").unwrap();
            }
        }
    }
    assert_kept(&kept_path("figures-of-shipped-changes.txt"), text.trim_start());
}
