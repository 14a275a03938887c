//! Diagnoses: posteriors by hand, ties that are told, what to look at, and how often the trigger of a
//! published incident is found.

use crate::support::program;
use std::path::Path;
use std::process::Output;

use blastwave::analysis::diagnose::{DiagnosisRequest, diagnose_observation};
use blastwave::analysis::{Settings, Stop};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::Observation;
use blastwave::report::DiagnosisReport;
use blastwave::report::PriorKind;
use blastwave::report::schema;

use crate::exact::topology;

fn diagnosed(text: &str, seen: &str, prior: PriorKind) -> DiagnosisReport {
    diagnosed_by(text, &format!("{{ version: 1, observation: now, observed: {seen} }}"), prior)
}

fn diagnosed_file(text: &str, seen: &str) -> DiagnosisReport {
    let file = format!("version: 1\nobservation: now\nobserved: {seen}\n");
    diagnosed_by(text, &file, PriorKind::Equal)
}

fn diagnosed_by(text: &str, file: &str, prior: PriorKind) -> DiagnosisReport {
    let topology = topology(text);
    let document =
        load::parse_document("seen", file.as_bytes().to_vec(), &mut Sources::default()).unwrap();
    let seen = Observation::from_document(&document, &topology).unwrap();
    let question = DiagnosisRequest {
        name: &seen.name,
        observed: &seen.observed,
        misreport: 0.05,
        unreported: seen.unreported.map_or(0.8, blastwave::model::Share::get),
        prior,
        deployed: &seen.deployed,
        lasting: None,
    };
    let settings = Settings { stop: Stop::Trials(64), ..Settings::default() };
    let report = diagnose_observation(&topology, &question, &settings, &Silent);
    validate(&serde_json::to_value(&report).unwrap());
    report
}

fn validate(answer: &serde_json::Value) {
    let schema = serde_json::from_str(schema::DIAGNOSIS).unwrap();
    if let Err(error) = jsonschema::validate(&schema, answer) {
        panic!("{error}");
    }
}

const CHAIN: &str = "
version: 1
topology: chain
services:
  top: { dependencies: [mid] }
  mid: { dependencies: [leaf] }
  leaf:
flows:
  buy: { steps: [top] }
";

#[test]
fn posteriors_are_those_of_bayes_rule() {
    let seen = "[{ service: mid, state: failed }, { service: leaf, state: unaffected }]";
    let report = diagnosed(CHAIN, seen, PriorKind::Equal);
    // All 64 trials are alike, and one more has every state with equal chance. Nobody speaks of `top`: so
    // they would in 8 of 10 cases if it failed, in 9 of 10 if it was degraded.
    let chance = |product: f64| (64.0 * product + 0.9 / 9.0) / 65.0;
    let (right, far, near) = (0.95, 0.05 * 0.25, 0.05 * 0.5);
    let modes = |down: f64, surge: f64, partial: f64| {
        0.2 * (3.0 * chance(0.8 * down) + chance(surge) + chance(0.9 * partial))
    };
    let mid = modes(right * right, far * right, near * right);
    let top = modes(far * right, far * right, far * right);
    // Nothing to call, so no surge.
    let leaf = 0.25 * (3.0 * chance(0.8 * right * far) + chance(0.9 * near * near));
    let sum = mid + top + leaf;
    for (name, expected) in [("mid", mid), ("top", top), ("leaf", leaf)] {
        let found = report.candidates.iter().find(|candidate| candidate.name == name).unwrap();
        assert!((found.posterior - expected / sum).abs() < 1e-12, "{name}: {found:?}");
    }
    assert_eq!((report.candidates[0].name.as_str(), report.candidates[0].agrees), ("mid", Some(2)));
    assert_eq!(report.candidates[1].rank, 2);
}

#[test]
fn what_was_deployed_is_likelier_and_what_breaks_in_part_is_told() {
    let seen = "[{ flow: buy, state: degraded }, { service: top, state: degraded }]";
    let report = diagnosed(CHAIN, seen, PriorKind::Equal);
    let first = &report.candidates[0].modes[0];
    assert_eq!(first.share, 0.3, "half of the requests would have failed them: {report:#?}");
    let text = CHAIN
        .replace("top: { dependencies: [mid] }", "top: { dependencies: [mid, other] }\n  other:");
    let deployed = |deployed: &str| {
        let seen = format!("[{{ service: top }}]\nunreported: 100%\ndeployed: [{deployed}]");
        let report = diagnosed_file(&text, &seen);
        let of =
            |name: &str| report.candidates.iter().find(|item| item.name == name).unwrap().posterior;
        (of("other"), of("leaf"))
    };
    let (other, leaf) = deployed("other");
    assert!(other > 6.0 * leaf, "70% beside 10% each: {other} {leaf}");
    let (other, leaf) = deployed("");
    assert!((other - leaf).abs() < 1e-9, "nothing tells them apart: {other} {leaf}");
}

#[test]
fn two_breaks_are_named_where_no_single_one_explains_what_is_seen() {
    let shop = "
version: 1
topology: two
services:
  a: { dependencies: [x] }
  b: { dependencies: [y] }
  x:
  y:
flows:
  one: { steps: [a] }
  two: { steps: [b] }
";
    let all = "[{ service: a }, { service: x }, { service: b }, { service: y }]";
    let report = diagnosed(shop, all, PriorKind::Equal);
    assert_eq!(report.pairs[0].names, ["x", "y"], "{:#?}", report.pairs);
    assert!(report.pairs[0].odds > 10.0);
    let half = "[{ service: a }, { service: x }, { service: b, state: unaffected }]";
    assert!(diagnosed(shop, half, PriorKind::Equal).pairs.is_empty(), "one explains it all");
}

const TWINS: &str = "
version: 1
topology: twins
services:
  top: { dependencies: [left, right] }
  left: { availability: 99% }
  right: { availability: 99.9% }
flows:
  buy: { steps: [top] }
";

#[test]
fn ties_are_told_and_the_observation_that_breaks_them_is_named() {
    let without = TWINS.replace("{ availability: 99% }", "").replace("{ availability: 99.9% }", "");
    let report = diagnosed(&without, "[{ flow: buy }, { service: top }]", PriorKind::Equal);
    let twins: Vec<_> =
        report.candidates.iter().filter(|candidate| candidate.name != "top").collect();
    assert!(twins.iter().all(|twin| twin.tied >= 1 && twin.rank == twins[0].rank), "{twins:#?}");
    let look = &report.look_at[0];
    assert!(["left", "right"].contains(&look.name.as_str()) && look.bits > 0.2, "{look:?}");
    let failed = &look.answers[0];
    assert_eq!((failed.state.as_str(), &failed.leader), ("failed", &look.name));
    let chances: f64 = look.answers.iter().map(|answer| answer.chance).sum();
    assert!((chances - 1.0).abs() < 1e-9);
}

#[test]
fn stated_availability_weighs_where_it_is_asked_to() {
    let seen = "[{ flow: buy }, { service: top }]";
    let report = diagnosed(TWINS, seen, PriorKind::Stated);
    let posterior = |name: &str| {
        report
            .candidates
            .iter()
            .find(|candidate| candidate.name == name)
            .map(|candidate| candidate.posterior)
            .unwrap()
    };
    assert!(posterior("left") > 8.0 * posterior("right"), "{:#?}", report.candidates);
}

fn blastwave(args: &[&str]) -> Output {
    program(env!("CARGO_MANIFEST_DIR")).args(args).output().unwrap()
}

#[test]
fn observations_and_incidents_are_taken_and_answers_are_as_their_schema_says() {
    let seen = "tests/it/files/full-observed.yaml";
    let incident = "topologies/incidents/roblox-2021-10-28/incident.yaml";
    for args in [
        ["diagnose", "topologies/webshop.yaml", "--observed", seen],
        ["diagnose", incident, "--incident", incident],
    ] {
        let output = blastwave(&[&args[..], &["--trials", "64", "--format", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        validate(&answer);
        let sum: f64 = answer["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| answer["posterior"].as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }
    let alone = blastwave(&["diagnose", "--incident", incident, "--trials", "64"]);
    assert_eq!(alone.status.code(), Some(0));
    let wrong = blastwave(&["diagnose", "topologies/retry-storm.yaml", "--observed", seen]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("full-observed.yaml:6"),
        "places are told"
    );
}

#[test]
fn the_trigger_of_a_published_incident_is_mostly_among_the_first_three() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies/incidents");
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("incident.yaml"))
        .filter(|file| file.is_file())
        .map(|file| file.display().to_string())
        .collect();
    files.sort();
    let mut args = vec!["diagnose", "--trials", "64", "--format", "json", "--score"];
    args.extend(files.iter().map(String::as_str));
    let output = blastwave(&args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    validate(&answer);
    assert_eq!(answer["scored"], 35);
    let found = answer["first_three"].as_u64().unwrap();
    assert!(found >= 30, "{found}");
    assert!(found as f64 > 1.5 * answer["by_chance"].as_f64().unwrap());
}
