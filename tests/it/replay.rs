//! The back-test from outside: its answer as data, and its bar.

use crate::support::program;
use std::path::Path;
use std::process::Output;

fn replay(args: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies/incidents");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("incident.yaml"))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    assert_eq!(files.len(), 39, "thirty-five that are scored and four illustrations");
    program(env!("CARGO_MANIFEST_DIR"))
        .arg("replay")
        .args(&files)
        .args(["--trials", "256"])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn the_answer_as_data_is_as_its_schema_says_and_beats_the_rules_in_telling_failed_from_degraded() {
    let output = replay(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let schema = serde_json::from_str(blastwave::report::schema::REPLAY).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &answer) {
        panic!("{error}");
    }
    let score = |of: &serde_json::Value, what: &str| of[what].as_f64().unwrap();
    let simulated = &answer["score"];
    // No worse than any rule at what was hit, and far better at telling how badly.
    assert!(score(simulated, "balanced_accuracy") > 0.9, "{simulated}");
    assert!(score(simulated, "macro_f1") > 0.7, "{simulated}");
    assert!(score(simulated, "duration_within_4") >= score(simulated, "duration_within_2"));
}

#[test]
fn a_back_test_below_its_bar_ends_with_status_1() {
    assert_eq!(replay(&["--min-f1", "30%", "--quiet"]).status.code(), Some(0));
    assert_eq!(replay(&["--min-f1", "99%", "--quiet"]).status.code(), Some(1));
    assert_eq!(replay(&["--min-balanced", "99%", "--quiet"]).status.code(), Some(1));
}

#[test]
fn a_file_that_holds_an_incident_with_its_topology_and_change_is_named_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let incident = "topologies/incidents/cloudflare-botmgmt-2025-11-18/incident.yaml";
    let folder = tempfile::tempdir().unwrap();
    let output = program(root)
        .args(["diagram", "--kind", "timeline", "--trials", "256", "--incident", incident, "-o"])
        .arg(folder.path().join("timeline.svg"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.matches(incident).count(), 1, "{said}");
}
