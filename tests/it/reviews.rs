//! Reviews of incidents: whole, honest about every miss, and those that ship are current.

use crate::support::{assert_kept, program};
use std::fs;
use std::path::{Path, PathBuf};

/// One that the simulation agrees with, one in part, one hardly.
const SHIPPED: [&str; 3] =
    ["cloudflare-botmgmt-2025-11-18", "aws-dynamodb-2015-09-20", "slack-2022-02-22"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The review of an incident in this folder.
fn review(folder: &Path, name: &str) -> String {
    let output = program(folder)
        .args(["diagram", "--incident", "incident.yaml", "--trials", "1000", "-o", name])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn with_incident(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("incident.yaml"), text).unwrap();
    folder
}

#[test]
fn the_reviews_that_ship_are_current() {
    for name in SHIPPED {
        let folder = root().join("topologies/incidents").join(name);
        let copy = with_incident(&fs::read_to_string(folder.join("incident.yaml")).unwrap());
        let text = review(copy.path(), "review.md");
        assert_kept(&folder.join("review.md"), &text);
    }
}

#[test]
fn a_review_has_every_section_and_names_every_miss() {
    let folder = root().join("topologies/incidents/slack-2022-02-22");
    let text = fs::read_to_string(folder.join("review.md")).unwrap();
    for section in [
        "Summary",
        "Timeline",
        "Cascade",
        "Seen and simulated",
        "What contained it",
        "What would have helped",
        "What this rests on",
    ] {
        assert!(text.contains(&format!("\n## {section}\n")), "{section}");
    }
    let rows = text.lines().filter(|line| line.ends_with("| miss |"));
    let missed: Vec<&str> =
        rows.map(|line| line.split(" | ").next().unwrap().trim_start_matches("| ")).collect();
    assert!(!missed.is_empty(), "this incident is one that the simulation does not agree with");
    for name in missed {
        assert!(text.contains(&format!("\n- {name} ")), "{name} is said in words");
    }
}

/// An incident whose names and words break what is put together from text.
const HOSTILE: &str = r#"version: 1
incident: "</script><script>alert(1)</script> ```"
date: 2026-01-02
topology:
  version: 1
  topology: shop
  services:
    "a`c": {}
    "<b web": { dependencies: ["a`c"] }
  flows:
    order: { steps: ["<b web"] }
breaks: ["a`c"]
observed:
  - { service: "<b web", state: degraded, from: 5m, source: "``` | <img src=x> @team" }
  - { flow: order, state: failed, from: 6m, until: 9m }
what_held: ["```", "<script>"]
notes: "| a | b |"
sources: ["javascript:alert(1)"]
"#;

#[test]
fn names_do_nothing_in_a_review() {
    let folder = with_incident(HOSTILE);
    let text = review(folder.path(), "review.md");
    // Within code nothing acts.
    let bare: String = text.split('`').step_by(2).collect();
    for refused in ["<script", "<img", "<b ", "@team"] {
        assert!(!bare.contains(refused), "{refused} in\n{text}");
    }
    assert!(
        text.lines().filter(|line| line.starts_with("```")).count().is_multiple_of(2),
        "{text}"
    );
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells = line.matches('|').count();
        assert!([4, 7].contains(&cells), "{line}");
    }
    let page = review(folder.path(), "review.html");
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<b web"));
}

#[test]
fn a_single_moment_has_a_review_without_a_picture_of_time() {
    let folder = with_incident(HOSTILE);
    let text = review(folder.path(), "review.md");
    assert_eq!(text.matches("```mermaid").count(), 1, "{text}");
    assert!(text.contains("Where they differ"), "{text}");
}

#[test]
fn markdown_needs_an_incident() {
    let folder = with_incident(HOSTILE);
    let output = program(folder.path())
        .args(["diagram", "incident.yaml", "--break", "a`c", "-o", "review.md"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("name the incident with `--incident`"), "{said}");
}
