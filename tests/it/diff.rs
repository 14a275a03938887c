//! A range of git as pipelines use it: what counts as a change of a service, what is left out, and
//! that nothing of the repository is run.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program;

const SHOP: &str = "\
version: 1
topology: shop
services:
  web: { paths: ['web/**'], dependencies: [{ service: pay, timeout: 1s, fallback: none }] }
  pay: { paths: [pay/, vendor/pay], rollout: canary, detection: 5m, rollback: 10m }
flows:
  order: { steps: [web], critical: true }
";

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A repository with these files, committed.
fn repository(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop.yaml"), SHOP).unwrap();
    write(folder.path(), files);
    git(folder.path(), &["init", "-q", "."]);
    commit(folder.path());
    folder
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn commit(folder: &Path) {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-qm", "x"]);
}

fn check(folder: &Path, more: &[&str]) -> Output {
    let mut command = program(folder);
    command.args(["check", "shop.yaml", "--trials", "64", "--quiet", "--format", "json"]);
    command.args(["--git-range", "HEAD~1..HEAD"]).args(more).output().unwrap()
}

fn report(folder: &Path, more: &[&str]) -> Value {
    let output = check(folder, more);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// The services that the last commit touches.
fn touched(folder: &Path) -> Vec<String> {
    let report = report(folder, &[]);
    let services = report["files"]["services"].as_array().unwrap().clone();
    services.iter().map(|service| service["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn comments_tests_and_documentation_touch_no_service_and_are_named() {
    let folder = repository(&[("pay/a.rs", "fn a() {} // one"), ("pay/tests/a.rs", "1")]);
    let at = folder.path();
    let edits = [("pay/a.rs", "fn a() {} // two"), ("pay/tests/a.rs", "2"), ("docs/a.md", "x")];
    write(at, &edits);
    commit(at);
    assert!(touched(at).is_empty());
    let report = report(at, &[]);
    assert_eq!(report["verdict"]["decision"], "proceed");
    let left_out = report["files"]["left_out"].as_array().unwrap();
    let reasons: Vec<&str> =
        left_out.iter().map(|left_out| left_out["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["comments", "test", "documentation"]);
}

#[test]
fn a_renamed_file_counts_on_both_sides() {
    let text = "fn a() { one(); two(); three(); four(); five(); six(); }\n".repeat(20);
    let folder = repository(&[("pay/a.rs", &text)]);
    fs::create_dir(folder.path().join("web")).unwrap();
    git(folder.path(), &["mv", "pay/a.rs", "web/a.rs"]);
    git(folder.path(), &["config", "diff.renames", "copies"]);
    commit(folder.path());
    assert_eq!(touched(folder.path()), ["pay", "web"]);
}

#[test]
fn a_moved_submodule_is_a_change_of_its_service_whatever_the_repository_ignores() {
    let library = repository(&[("f", "1")]);
    let folder = repository(&[]);
    let at = folder.path();
    let url = library.path().to_str().unwrap();
    git(at, &["submodule", "--quiet", "add", url, "vendor/pay"]);
    git(at, &["config", "-f", ".gitmodules", "submodule.vendor/pay.ignore", "all"]);
    commit(at);
    write(&at.join("vendor/pay"), &[("f", "2")]);
    commit(&at.join("vendor/pay"));
    git(at, &["update-index", "--add", "vendor/pay"]);
    git(at, &["commit", "-qm", "x"]);
    assert_eq!(touched(at), ["pay"]);
    assert_eq!(report(at, &[])["files"]["guessed_kind"], "dependency");
}

#[test]
fn nothing_that_the_repository_configures_is_run() {
    let folder =
        repository(&[("pay/a.rs", "fn a() {}"), (".gitattributes", "*.rs diff=x filter=x\n")]);
    let at = folder.path();
    write(at, &[("pay/a.rs", "fn b() {}")]);
    commit(at);
    let trap = "touch ran; cat";
    for key in [
        "diff.external",
        "diff.x.command",
        "diff.x.textconv",
        "filter.x.smudge",
        "core.fsmonitor",
        "core.pager",
    ] {
        git(at, &["config", key, trap]);
    }
    let mut command = program(at);
    command.env("GIT_EXTERNAL_DIFF", trap).args([
        "check",
        "shop.yaml",
        "--quiet",
        "--trials",
        "64",
    ]);
    let output = command.args(["--git-range", "HEAD~1..HEAD"]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!at.join("ran").exists());
}

#[test]
fn a_range_names_two_commits_and_a_pattern_is_not_empty() {
    let folder = repository(&[]);
    let wrong = |args: &[&str]| {
        let mut command = program(folder.path());
        let output = command.args(["check", "shop.yaml"]).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for range in ["HEAD", "..", "...", "", "--output=x..HEAD"] {
        let said = wrong(&[&format!("--git-range={range}")]);
        assert!(said.contains("is not a range of git"), "{range}: {said}");
    }
    let said = wrong(&["--git-range", "HEAD..HEAD", "--ignore-files", ""]);
    assert!(said.contains("empty pattern"), "{said}");
    assert!(wrong(&["--rollout", "x.yaml"]).contains("`--rollout` needs"));
}

#[test]
fn a_change_of_the_diff_is_shipped_as_the_topology_or_a_file_says() {
    let folder = repository(&[("pay/a.rs", "fn a() {}")]);
    let at = folder.path();
    write(
        at,
        &[
            ("pay/a.rs", "fn b() {}"),
            ("ship.yaml", "version: 1\nchange: x\nfailure_probability: 7%\n"),
        ],
    );
    commit(at);
    let declared = report(at, &[]);
    let first = |report: &Value| report["failure_probability"].as_f64().unwrap();
    assert!((0.05..0.1).contains(&first(&declared)), "a small change: {}", first(&declared));
    let stated = report(at, &["--rollout", "ship.yaml"]);
    assert!((first(&stated) - 0.07).abs() < 1e-9);
    write(at, &[("ship.yaml", "version: 1\nchange: x\ntargets: [pay]\n")]);
    let output = check(at, &["--rollout", "ship.yaml"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn every_recipe_that_lists_files_counts_renames_on_both_sides_and_submodules() {
    let hooks = include_str!("../../.pre-commit-hooks.yaml");
    let recipes: Vec<&str> = hooks.lines().filter(|line| line.contains("git diff")).collect();
    assert!(!recipes.is_empty());
    for recipe in recipes {
        assert!(recipe.contains("--no-renames --ignore-submodules=none"), "{recipe}");
    }
}

#[test]
fn a_pull_request_is_judged_by_the_topology_and_the_policy_of_its_base() {
    let strict = "{version: 1, policy: p, rules: [{name: none, when: 'true', verdict: stop}]}";
    let scenario = "{version: 1, scenario: s, topology: shop.yaml, policy: policy.yaml}";
    let folder = repository(&[
        ("pay/a.rs", "fn a() {}"),
        ("policy.yaml", strict),
        ("scenario.yaml", scenario),
    ]);
    let at = folder.path();
    // It edits the service, and everything by which it is judged.
    let lax = "{version: 1, policy: p, rules: [{name: none, when: 'false', verdict: stop}]}";
    let alone = SHOP.replace("dependencies: [{ service: pay, timeout: 1s, fallback: none }]", "");
    write(at, &[("pay/a.rs", "fn a() { b() }"), ("shop.yaml", &alone), ("policy.yaml", lax)]);
    commit(at);
    let minutes_lost =
        |more: &[&str]| report(at, more)["flows"][0]["lost"]["mean"].as_f64().expect("minutes");
    assert_eq!(minutes_lost(&[]), 0.0);
    assert!(minutes_lost(&["--topology-from", "HEAD~1"]) > 0.0);
    let judged = report(at, &["--topology-from", "HEAD~1"])["assumptions"].to_string();
    assert!(judged.contains("shop.yaml is that of HEAD~1"), "{judged}");
    assert!(judged.contains("the file at hand differs"), "{judged}");

    let policy = ["--policy", "policy.yaml"];
    assert_ne!(check(at, &policy).status.code(), Some(1));
    let from_base = [&policy[..], &["--policy-from", "HEAD~1"]].concat();
    assert_eq!(check(at, &from_base).status.code(), Some(1));

    // A scenario names both; a topology at hand that cannot even be read changes nothing.
    write(at, &[("shop.yaml", "no topology"), ("scenario.yaml", "no scenario")]);
    let from_base = ["--topology-from", "HEAD~1", "--policy-from", "HEAD~1"];
    let mut command = program(at);
    command.args([
        "check",
        "scenario.yaml",
        "--trials",
        "64",
        "--quiet",
        "--git-range",
        "HEAD~1..HEAD",
    ]);
    assert_eq!(command.args(from_base).output().unwrap().status.code(), Some(1));
}

#[test]
fn a_revision_that_lacks_the_file_is_refused() {
    let folder = repository(&[("pay/a.rs", "fn a() {}")]);
    let at = folder.path();
    write(at, &[("pay/a.rs", "fn a() { b() }")]);
    commit(at);
    for (more, message) in [
        (["--topology-from", "nobody"], "nobody"),
        (["--topology-from", "--help"], "--topology-from"),
        (["--topology-from", ""], "not a revision"),
        (["--policy-from", "HEAD"], "needs a policy"),
    ] {
        let output = check(at, &more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(message), "{said}");
        assert!(output.stdout.is_empty());
    }
    write(at, &[("new.yaml", SHOP)]);
    let mut command = program(at);
    command.args(["check", "new.yaml", "--git-range", "HEAD~1..HEAD", "--topology-from", "HEAD"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("git finds no `new.yaml` in `HEAD`"), "{said}");
}
