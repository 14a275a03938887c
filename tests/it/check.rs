//! The gate from end to end: what it says, and the status it ends with.

use crate::support::program;
use std::fs;
use std::path::Path;
use std::process::Output;

const TOPOLOGY: &str = "\
version: 1
topology: shop
services:
  web: { tier: 1, utilization: 50%, dependencies: [{ service: pay, timeout: 1s, fallback: { static: true, works: 70% } }] }
  pay: { tier: 2, utilization: 50% }
flows:
  order: { steps: [web], rate: 60/min, critical: true }
";

const CHANGE: &str = "\
version: 1
change: v2
kind: code
authored_by: ai
reviewed_by: []
sources: [{ title: wiki, updated: 2024-01-01 }]
failure_probability: 10%
targets: [pay]
detection: { median: 5m }
rollback: { median: 10m }
";

/// Runs a check with a policy of one rule, in a folder of its own.
fn check(rule: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("shop.yaml", TOPOLOGY);
    write("v2.yaml", CHANGE);
    write("bad.json", "{\"schema\": \"other/v1\"}");
    write("policy.yaml", &format!("version: 1\npolicy: p\nrules:\n  - {rule}\n"));
    run(folder.path(), more)
}

fn run(folder: &Path, more: &[&str]) -> Output {
    program(folder)
        .args(["check", "shop.yaml", "--change", "v2.yaml", "--policy", "policy.yaml", "--quiet"])
        .args(["--trials", "1000", "--max-trials", "4000"])
        .args(more)
        .output()
        .expect("it runs")
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn a_rule_that_holds_proceeds() {
    let output = check("{ name: a, when: 'flows[\"order\"].failed.p > 0.9', verdict: stop }", &[]);
    assert_eq!(status(&output), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("PROCEED"));
}

#[test]
fn a_rule_that_fires_stops_or_asks_for_caution() {
    let rule =
        "{ name: a, when: 'services.exists(s, s.tier == 1 && s.failed.p > 0.1)', verdict: stop }";
    assert_eq!(status(&check(rule, &[])), Some(1));
    let rule = rule.replace("verdict: stop", "verdict: caution");
    assert_eq!(status(&check(&rule, &[])), Some(3));
    assert_eq!(status(&check(&rule, &["--fail-on", "stop"])), Some(0));
}

#[test]
fn what_stays_on_its_limit_is_undecided() {
    let output = check("{ name: a, when: 'flows[\"order\"].failed.p > 0.3', verdict: stop }", &[]);
    assert_eq!(status(&output), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("undecided"));
}

#[test]
fn what_is_assumed_is_looked_at_by_itself_and_after_fewer_trials() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    // Retries bring more load than usual, so a limit of capacity that nobody states matters.
    let unstated = TOPOLOGY.replace("tier: 2, utilization: 50%", "tier: 2");
    write("shop.yaml", &unstated.replace("timeout: 1s,", "timeout: 1s, retries: 1,"));
    write("v2.yaml", CHANGE);
    let rule = "{ name: a, when: 'flows[\"order\"].failed.p > 0.99', verdict: stop }";
    write("policy.yaml", &format!("version: 1\npolicy: p\nrules:\n  - {rule}\n"));
    let output = program(folder.path())
        .args(["check", "shop.yaml", "--change", "v2.yaml", "--policy", "policy.yaml", "--quiet"])
        .args(["--trials", "3000", "--format", "json"])
        .output()
        .expect("it runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let test = &report["verdict"]["test"];
    assert_eq!(test["checkpoints"], serde_json::json!([3000]));
    assert_eq!(test["checkpoints_assumed"], serde_json::json!([8]));
    assert_eq!(report["trials"], 3000);
}

#[test]
fn what_nobody_said_is_undecided_and_never_no() {
    let rule = "{ name: a, when: 'change.sources.exists(s, s.age_days > 180)', verdict: stop }";
    let output = check(rule, &[]);
    assert_eq!(status(&output), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("--now"));
    assert_eq!(status(&check(rule, &["--now", "2026-12-18"])), Some(1));
    assert_eq!(status(&check(rule, &["--now", "2024-02-01"])), Some(0));
}

#[test]
fn a_rule_about_the_change_needs_no_figures() {
    let rule = "{ name: a, when: 'change.authored_by == \"ai\" && size(change.reviewed_by) == 0', verdict: caution }";
    assert_eq!(status(&check(rule, &[])), Some(3));
    let rule = "{ name: a, when: 'change.rollout.stages[0].exposure > 0.05', verdict: stop }";
    assert_eq!(status(&check(rule, &[])), Some(1));
}

#[test]
fn a_policy_that_is_wrong_never_proceeds() {
    for when in
        ["flows[\"ordr\"].failed.p > 0.2", "flows.exists(f, f.failed > 0.2)", "total.", "1 + 1"]
    {
        let output = check(&format!("{{ name: a, when: '{when}', verdict: stop }}"), &[]);
        assert_eq!(status(&output), Some(2), "{when}");
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("policy.yaml:4:"), "{when}");
    }
}

#[test]
fn a_baseline_that_is_none_is_refused() {
    let rule = "{ name: a, when: 'delta.flows.exists(f, f.failed.p > 0.1)', verdict: stop }";
    assert_eq!(status(&check(rule, &["--baseline", "bad.json"])), Some(2));
    assert_eq!(status(&check(rule, &["--baseline", "shop.yaml"])), Some(2));
    assert_eq!(status(&check(rule, &[])), Some(3));
}

#[test]
fn a_result_differs_from_itself_by_nothing_that_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("shop.yaml", TOPOLOGY);
    write("v2.yaml", CHANGE);
    let rule = "{ name: a, when: 'delta.flows.exists(f, f.failed.p > 0.2)', verdict: stop }";
    write("policy.yaml", &format!("version: 1\npolicy: p\nrules:\n  - {rule}\n"));
    assert_eq!(status(&run(folder.path(), &["--format", "json", "-o", "last.json"])), Some(3));
    assert_eq!(status(&run(folder.path(), &["--baseline", "last.json"])), Some(0));
}

#[test]
fn a_new_single_point_of_failure_shows_and_rules_can_ask_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    let topology = |timeout: &str| {
        format!(
            "version: 1\ntopology: shop\nservices:\n  web: {{ dependencies: [pay, {{ service: look, timeout: 1s{timeout} }}] }}\n  pay: {{}}\n  look: {{}}\nflows: {{ order: {{ steps: [web] }} }}\n"
        )
    };
    write("shop.yaml", &topology(", criticality: soft"));
    write("v2.yaml", "version: 1\nchange: v2\ntargets: [pay]\n");
    let rule = "{ name: points, when: 'size(delta.single_points_gained) > 0', verdict: stop, message: look }";
    write("policy.yaml", &format!("version: 1\npolicy: p\nrules:\n  - {rule}\n"));
    let earlier = run(folder.path(), &["--format", "json", "-o", "last.json"]);
    assert_eq!(status(&earlier), Some(3), "nothing to compare with, so undecided");
    let points = |text: &[u8]| -> serde_json::Value {
        serde_json::from_slice::<serde_json::Value>(text).expect("JSON")["single_points"].clone()
    };
    let last = fs::read(folder.path().join("last.json")).expect("written");
    let names = |of: &serde_json::Value| -> Vec<String> {
        let of = of.as_array().expect("a list");
        of.iter().map(|of| of["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&points(&last)), ["pay", "web"]);
    assert_eq!(status(&run(folder.path(), &["--baseline", "last.json"])), Some(0));
    write("shop.yaml", &topology(""));
    let output = run(folder.path(), &["--baseline", "last.json"]);
    let said = String::from_utf8(output.stdout.clone()).expect("text");
    assert_eq!(status(&output), Some(1), "{said}");
    assert!(said.contains("New single points of failure: look."), "{said}");
    write("shop.yaml", &topology(", criticality: soft"));
    let mut without: serde_json::Value = serde_json::from_slice(&last).expect("JSON");
    without.as_object_mut().expect("an object").remove("single_points");
    write("last.json", &without.to_string());
    let output = run(folder.path(), &["--baseline", "last.json"]);
    assert_eq!(status(&output), Some(3), "what the earlier result does not say is not known");
}

#[test]
fn a_comment_links_to_its_picture_and_refuses_what_is_no_link() {
    let rule = "{ name: a, when: 'flows[\"order\"].failed.p > 2', verdict: stop }";
    let url = "https://ci.example/runs/7/cascade.svg";
    let output = check(rule, &["--format", "markdown", "--picture", url]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(said.contains(&format!("]({url})")), "{said}");
    for wrong in ["javascript:alert(1)", "a b", "https://a/<script>", ""] {
        assert_eq!(status(&check(rule, &["--picture", wrong])), Some(2), "{wrong}");
    }
}
