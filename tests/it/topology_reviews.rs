//! Reviews of a topology that changes: what it loses and gains, and what the policy says of that.

use crate::support::program;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const OLD: &str = "\
version: 1
topology: shop
services:
  web:
    availability: 99.99%
    dependencies:
      - { service: pay, timeout: 1s, fallback: { static: true } }
      - { service: cart, timeout: 1s }
  pay: { availability: 99.9% }
  cart: { availability: 99.99% }
flows:
  order: { steps: [web], critical: true }
  browse: { steps: [cart] }
";

fn new() -> String {
    let without = OLD.replace(", fallback: { static: true }", "");
    without
        .replace("  pay: { availability: 99.9% }", "  pay: { dependencies: [bank] }\n  bank: {}")
        .replace("  browse: { steps: [cart] }\n", "")
}

fn folder(old: &str, new: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old.yaml"), old).unwrap();
    fs::write(folder.path().join("new.yaml"), new).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

fn review(folder: &Path, more: &[&str]) -> Output {
    run(folder, &[&["review", "old.yaml", "new.yaml", "--trials", "200"], more].concat())
}

fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(output)))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn what_is_lost_and_gained_is_said_in_every_format() {
    let folder = folder(OLD, &new());
    let output = review(folder.path(), &["--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    let report = json(&output);
    assert_eq!(names(&report["single_points_gained"]), ["bank", "pay"]);
    assert!(names(&report["single_points_lost"]).contains(&"cart"), "browse is gone");
    let order = &report["flows"][0];
    assert_eq!((order["name"].as_str(), order["trend"].as_str()), (Some("order"), Some("weaker")));
    assert_eq!((&order["breaks_before"], &order["breaks_after"]), (&2.into(), &4.into()));
    assert_eq!(names(&order["worse"]), ["bank", "pay"]);
    assert_eq!(report["unprotected_dependencies"][0]["call"]["dependency"], "bank");
    let missing = &report["unprotected_dependencies"][0]["missing"];
    assert_eq!(*missing, serde_json::json!(["timeout", "fallback"]));
    assert_eq!(report["weakened_dependencies"][0]["missing"], serde_json::json!(["fallback"]));
    assert_eq!(report["added"], serde_json::json!(["bank"]));
    assert_eq!(report["removed"], serde_json::json!(["flow browse"]));
    // Two nines of four each: 0.0002 of 129,600 minutes.
    let before = order["budget"]["before_min"].as_f64().unwrap();
    assert!((before - 129_600.0 * (1.0 - 0.9999 * 0.9999)).abs() < 1e-6, "{before}");
    for format in ["text", "markdown"] {
        let text = words(&review(folder.path(), &["--format", format]));
        assert!(text.contains("2 single points of failure more (bank, pay)"), "{format}: {text}");
        assert!(text.contains("1 flow weaker"), "{format}: {text}");
        assert!(text.contains("new single point of failure"), "{format}: {text}");
    }
}

#[test]
fn a_topology_that_does_not_change_proceeds_and_its_mirror_is_stronger() {
    let same = folder(OLD, OLD);
    let output = review(same.path(), &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let report = json(&output);
    assert_eq!(report["flows"][0]["trend"], "unchanged");
    for key in ["single_points_gained", "single_points_lost", "added", "removed"] {
        assert_eq!(report[key].as_array().map(Vec::len), Some(0), "{key}");
    }
    let mirror = folder(&new(), OLD);
    let report = json(&review(mirror.path(), &["--format", "json"]));
    assert_eq!(names(&report["single_points_lost"]), ["bank", "pay"]);
    assert_eq!(report["flows"][0]["trend"], "stronger");
}

#[test]
fn the_policy_decides_over_the_difference() {
    let folder = folder(OLD, &new());
    let rule = |when: &str, verdict: &str| {
        let text = format!(
            "version: 1\npolicy: p\nrules:\n  - {{ name: r, when: '{when}', verdict: {verdict} }}\n"
        );
        fs::write(folder.path().join("p.yaml"), text).unwrap();
        review(folder.path(), &["--policy", "p.yaml"]).status.code()
    };
    assert_eq!(rule("size(delta.single_points_gained) > 1", "stop"), Some(1));
    assert_eq!(rule("size(delta.single_points_gained) > 1", "caution"), Some(3));
    assert_eq!(rule("size(delta.single_points_gained) > 2", "stop"), Some(0));
    assert_eq!(rule("\"bank\" in delta.added", "stop"), Some(1));
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
}

#[test]
fn both_states_are_taken_from_the_commits_of_a_range() {
    let folder = folder(OLD, OLD);
    let at = folder.path();
    git(at, &["init", "-q", "-b", "main", "."]);
    git(at, &["add", "-A"]);
    git(at, &["commit", "-qm", "x"]);
    fs::write(at.join("old.yaml"), new()).unwrap();
    git(at, &["commit", "-qam", "x"]);
    // Neither state is the file at hand.
    fs::write(at.join("old.yaml"), "nothing").unwrap();
    let range = ["review", "old.yaml", "--git-range", "HEAD~1..HEAD", "--format", "json"];
    let output = run(at, &range);
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    assert_eq!(names(&json(&output)["single_points_gained"]), ["bank", "pay"]);
    let output = run(at, &["review", "other.yaml", "--git-range", "HEAD~1..HEAD"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("git finds no `other.yaml`"), "{}", words(&output));
}

#[test]
fn questions_that_are_no_review_are_refused() {
    let folder = folder(OLD, "version: 1\nincident: i\ntopology: old.yaml\n");
    for (arguments, why) in [
        (&["old.yaml"][..], "a review needs two states"),
        (&["new.yaml"], "blastwave diagram --incident new.yaml"),
        (&["old.yaml", "new.yaml"], "a topology needs `services`"),
        (&["old.yaml", "new.yaml", "--git-range", "a..b"], "takes both states of one topology"),
        (&["-", "-"], "standard input can be read only once"),
    ] {
        let output = run(folder.path(), &[&["review"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(words(&output).contains(why), "{arguments:?}: {}", words(&output));
    }
}
