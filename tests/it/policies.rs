//! Policies in layers, waivers, and tests of policies, from outside.

use crate::support::program;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const SHOP: &str = "\
version: 1
topology: shop
services:
  web: { team: front, dependencies: [{ service: pay, timeout: 1s }, { service: cart, timeout: 1s }] }
  pay: { team: money }
  cart: { team: front }
flows:
  order: { steps: [web], critical: true }
";

const CHANGE: &str = "version: 1\nchange: pay-v2\ntargets: [pay]\nfailure_probability: 50%\n";

const ORGANISATION: &str = "\
version: 1
policy: organisation
rules:
  - { name: orders fail, when: 'flows.exists(f, f.caused.failed.p > 0.2)', verdict: stop }
";

fn waiver(rest: &str) -> String {
    format!(
        "version: 1\nwaivers: money\nwaive:\n  - {{ rule: orders fail, who: Ada Lovelace, \
         why: the old provider ends, until: 2026-12-24, {rest} }}\n"
    )
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("shop.yaml", SHOP), ("change.yaml", CHANGE), ("org.yaml", ORGANISATION)]
        .iter()
        .chain(files)
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

fn check(folder: &Path, more: &[&str]) -> Output {
    let usual =
        ["check", "shop.yaml", "--change", "change.yaml", "--policy", "org.yaml", "--quiet"];
    run(folder, &[&usual, more].concat())
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn words(output: &Output) -> String {
    said(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

#[test]
fn a_team_adds_rules_but_loosens_none() {
    let adds = "version: 1\npolicy: team\nrules:\n  - { name: cart too, \
                when: 'services[\"cart\"].failed.p > 0.5', verdict: caution }\n";
    let loosens = "version: 1\npolicy: team\nrules:\n  - { name: orders fail, \
                   when: 'flows.exists(f, f.caused.failed.p > 0.9)', verdict: stop }\n";
    let folder = folder(&[("adds.yaml", adds), ("loosens.yaml", loosens)]);
    let both = check(folder.path(), &["--policy", "adds.yaml", "--format", "json"]);
    assert_eq!(both.status.code(), Some(1), "{}", said(&both));
    let verdict = &json(&both)["verdict"];
    assert_eq!(verdict["policy"]["layers"], serde_json::json!(["organisation", "team"]));
    let of: Vec<&str> =
        verdict["rules"].as_array().unwrap().iter().filter_map(|r| r["policy"].as_str()).collect();
    assert_eq!(of, ["organisation", "team"]);
    let refused = check(folder.path(), &["--policy", "loosens.yaml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    // Both places are shown.
    let text = said(&refused);
    assert!(text.contains("loosens.yaml:4") && text.contains("org.yaml:4"), "{text}");
    // A scenario names them in the same order.
    let scenario = "version: 1\nscenario: s\ntopology: shop.yaml\nchange: change.yaml\n";
    for (policies, status) in [("adds", 1), ("loosens", 2)] {
        let text = format!("{scenario}policies: [org.yaml, {policies}.yaml]\n");
        fs::write(folder.path().join("s.yaml"), text).unwrap();
        let output = run(folder.path(), &["check", "s.yaml", "--quiet"]);
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        let output = run(folder.path(), &["validate", "s.yaml"]);
        assert_eq!(output.status.code(), Some(i32::from(status == 2)), "{}", said(&output));
    }
    let open = ORGANISATION.replace("verdict: stop", "verdict: stop, overridable: true");
    fs::write(folder.path().join("org.yaml"), open).unwrap();
    let allowed = check(folder.path(), &["--policy", "loosens.yaml"]);
    assert_eq!(allowed.status.code(), Some(1), "{}", said(&allowed));
}

#[test]
fn a_waiver_turns_stop_into_caution_and_shows_in_every_output() {
    let folder = folder(&[("w.yaml", &waiver("services: [pay]"))]);
    let with = |more: &[&str]| {
        check(folder.path(), &[&["--waivers", "w.yaml", "--now", "2026-12-18"], more].concat())
    };
    assert_eq!(check(folder.path(), &[]).status.code(), Some(1));
    let output = with(&[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    for format in ["text", "json", "markdown", "sarif", "junit", "github", "html"] {
        let output = with(&["--format", format]);
        assert_eq!(output.status.code(), Some(3), "{format}: {}", said(&output));
        let text = words(&output);
        assert!(text.contains("Ada Lovelace"), "{format}: {text}");
        assert!(text.contains("2026-12-24"), "{format}: {text}");
        assert!(text.contains("the old provider ends"), "{format}: {text}");
    }
    let verdict = json(&with(&["--format", "json"]))["verdict"].clone();
    assert_eq!(verdict["waivers"][0]["outcome"], "applied");
    assert_eq!(verdict["rules"][0]["waived"], true);
    assert_eq!(verdict["rules"][0]["verdict"], "stop");
    // The last day counts in full, the next one no more.
    let at = |now: &str| {
        check(folder.path(), &["--waivers", "w.yaml", "--now", now, "--format", "json"])
    };
    assert_eq!(at("2026-12-24T23:59:59Z").status.code(), Some(3));
    let expired = at("2026-12-25T00:00:00Z");
    assert_eq!(expired.status.code(), Some(1));
    assert_eq!(json(&expired)["verdict"]["waivers"][0]["outcome"], "expired");
    assert!(words(&expired).contains("expired on 2026-12-24"));
    // A limit of the command line is nobody's rule, so no waiver weakens it.
    assert_eq!(with(&["--max-failed", "order=1%"]).status.code(), Some(1));
}

#[test]
fn a_waiver_counts_only_for_what_it_names_and_while_that_is_known() {
    for (rest, outcome) in [
        ("services: [pay]", "applied"),
        ("teams: [money]", "applied"),
        ("changes: [pay-*]", "applied"),
        ("teams: [money], changes: [pay-v2]", "applied"),
        ("services: [cart]", "out-of-scope"),
        ("teams: [front]", "out-of-scope"),
        ("services: [pay], changes: [pay-v3]", "out-of-scope"),
        ("changes: ['*']", "too-broad"),
        ("services: [web, pay, cart]", "too-broad"),
        ("teams: [front, money]", "too-broad"),
    ] {
        let folder = folder(&[("w.yaml", &waiver(rest))]);
        let arguments = ["--waivers", "w.yaml", "--now", "2026-12-18", "--format", "json"];
        let output = check(folder.path(), &arguments);
        let status = if outcome == "applied" { 3 } else { 1 };
        assert_eq!(output.status.code(), Some(status), "{rest}: {}", said(&output));
        assert_eq!(json(&output)["verdict"]["waivers"][0]["outcome"], outcome, "{rest}");
    }
    for (text, now, outcome) in [
        (waiver("services: [pay]"), None, "not-checked"),
        (waiver("services: [pay]").replace("2026-12-24", "2027-12-24"), Some(()), "too-long"),
        (waiver("services: [pay]").replace("orders fail", "order fail"), Some(()), "unknown-rule"),
    ] {
        let folder = folder(&[("w.yaml", &text)]);
        let now: &[&str] = if now.is_some() { &["--now", "2026-12-18"] } else { &[] };
        let arguments = [&["--waivers", "w.yaml", "--format", "json"], now].concat();
        let output = check(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let waiver = &json(&output)["verdict"]["waivers"][0];
        assert_eq!(waiver["outcome"], outcome);
        let reasons = json(&output)["verdict"]["reasons"].to_string();
        assert!(reasons.contains("the waiver of"), "{reasons}");
    }
}

#[test]
fn a_wrong_waiver_is_an_error() {
    let wrong = |text: &str| {
        let folder = folder(&[("w.yaml", text)]);
        let arguments = ["--waivers", "w.yaml", "--now", "2026-12-18"];
        let output = check(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(output.stdout.is_empty());
        words(&output)
    };
    assert!(wrong(&waiver("services: [payy]")).contains("did you mean `pay`?"));
    assert!(wrong(&waiver("teams: [mony]")).contains("did you mean `money`?"));
    assert!(wrong(&waiver("services: []")).contains("`services` names nothing"));
    assert!(wrong(&waiver("")).contains("a waiver has no scope"));
    assert!(wrong(&waiver("services: [pay]").replace("2026-12-24", "soon")).contains("not a date"));
    let validated = |text: &str| {
        let folder = folder(&[("w.yaml", text)]);
        let output = run(folder.path(), &["validate", "shop.yaml", "org.yaml", "w.yaml"]);
        (output.status.code(), words(&output))
    };
    assert_eq!(validated(&waiver("services: [pay]")).0, Some(0));
    let (status, text) = validated(&waiver("services: [pay]").replace("orders fail", "order fail"));
    assert_eq!(status, Some(1));
    assert!(text.contains("did you mean `orders fail`?"), "{text}");
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
}

fn commit(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-qm", "x"]);
}

/// A repository whose branch `main` has the files, with a branch `mine` checked out.
fn repository(files: &[(&str, &str)]) -> TempDir {
    let shop = SHOP.replace("pay: { team: money", "pay: { team: money, paths: [pay/**]");
    let folder = folder(&[("shop.yaml", &shop)]);
    git(folder.path(), &["init", "-q", "-b", "main", "."]);
    fs::create_dir(folder.path().join("pay")).unwrap();
    commit(folder.path(), &[&[("pay/a.rs", "fn a() {}")], files].concat());
    git(folder.path(), &["checkout", "-qb", "mine"]);
    folder
}

/// Checks a range of the repository; returns the status and what is said.
fn check_range(folder: &Path, range: &str) -> (Option<i32>, String) {
    let mut command = program(folder);
    command.args(["check", "shop.yaml", "--policy", "org.yaml", "--waivers", "w.yaml"]);
    command.args(["--git-range", range, "--now", "2026-12-18", "--quiet"]);
    let output = command.output().unwrap();
    (output.status.code(), words(&output))
}

fn protected() -> String {
    ORGANISATION.replace("rules:", "waivers_from: main\nrules:")
}

const NOTHING_WAIVED: &str = "version: 1\nwaivers: money\nwaive: []\n";

#[test]
fn a_change_cannot_write_its_own_waiver() {
    let policy = protected();
    let own = waiver("services: [pay]");
    let edit = ("pay/a.rs", "fn a() { b() }");
    // Without the protection the cheat works: this is what it protects from.
    let open = repository(&[("w.yaml", NOTHING_WAIVED)]);
    commit(open.path(), &[edit, ("w.yaml", &own)]);
    assert_eq!(check_range(open.path(), "main...HEAD").0, Some(3));

    let folder = repository(&[("org.yaml", &policy), ("w.yaml", NOTHING_WAIVED)]);
    let at = folder.path();
    commit(at, &[edit, ("w.yaml", &own)]);
    let (status, text) = check_range(at, "main...HEAD");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("w.yaml is that of `main`"), "{text}");
    assert!(text.contains("the file at hand differs, and does not count"), "{text}");
    // Neither in a commit before the one that is checked, nor uncommitted.
    commit(at, &[("pay/a.rs", "fn a() { c() }")]);
    assert_eq!(check_range(at, "HEAD~1..HEAD").0, Some(1));
    // Nor by taking the line, or the rule, out of the policy.
    let tame = ORGANISATION.replace("0.2", "2.0");
    commit(at, &[("org.yaml", &tame), ("pay/a.rs", "fn a() { d() }")]);
    let (status, text) = check_range(at, "main...HEAD");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("org.yaml is that of `main`"), "{text}");
    // Nor by a tag that is called like the branch.
    git(at, &["tag", "main"]);
    git(at, &["checkout", "-q", "mine"]);
    assert_eq!(check_range(at, "refs/heads/main...HEAD").0, Some(1));
    git(at, &["tag", "-d", "main"]);
    // Nor once it is merged: the range of the merge begins before it.
    git(at, &["checkout", "-q", "main"]);
    git(at, &["merge", "-q", "--no-ff", "-m", "x", "mine"]);
    assert_eq!(check_range(at, "HEAD~1..HEAD").0, Some(1));
}

#[test]
fn a_waiver_of_the_branch_counts_until_the_branch_takes_it_back() {
    let own = waiver("services: [pay]");
    let policy = protected();
    let folder = repository(&[("org.yaml", &policy), ("w.yaml", &own)]);
    let at = folder.path();
    commit(at, &[("pay/a.rs", "fn a() { b() }")]);
    let (status, text) = check_range(at, "main...HEAD");
    assert_eq!(status, Some(3), "{text}");
    assert!(text.contains("waived by Ada Lovelace"), "{text}");
    git(at, &["checkout", "-q", "main"]);
    commit(at, &[("w.yaml", NOTHING_WAIVED)]);
    git(at, &["checkout", "-q", "mine"]);
    let (status, text) = check_range(at, "main...HEAD");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("was withdrawn"), "{text}");
    // A branch that nobody can find protects nothing, so nothing is judged.
    git(at, &["branch", "-qm", "main", "other"]);
    let (status, text) = check_range(at, "other...HEAD");
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("git finds no branch `main`"), "{text}");
}

const SUITE: &str = "\
version: 1
policy_test: organisation
policies: [org.yaml]
waivers: w.yaml
topology: shop.yaml
now: 2026-12-18
cases:
  - { name: pay is waived, change: change.yaml, verdict: caution, fires: [orders fail], waived: [orders fail] }
  - { name: pay stops later, change: change.yaml, now: 2027-01-10, verdict: stop, fires: [orders fail] }
  - { name: cart alone, breaks: [cart], verdict: stop }
";

#[test]
fn tests_of_policies_pass_fail_and_are_refused() {
    let waivers = waiver("services: [pay]");
    let run_suite = |suite: &str| {
        let folder = folder(&[("w.yaml", &waivers), ("t.yaml", suite)]);
        run(folder.path(), &["policy", "test", "t.yaml", "--format", "json", "--no-progress"])
    };
    let output = run_suite(SUITE);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(json(&output)["passed"], 3);
    for (right, wrong, why) in [
        ("verdict: caution", "verdict: proceed", "the verdict is caution, not proceed"),
        ("fires: [orders fail], waived", "holds: [orders fail], waived", "must hold"),
        ("waived: [orders fail]", "waived: [orders]", "the policy has no rule `orders`"),
        ("verdict: stop }", "verdict: stop, waived: [orders fail] }", "must fire and be waived"),
    ] {
        let output = run_suite(&SUITE.replace(right, wrong));
        assert_eq!(output.status.code(), Some(1), "{wrong}: {}", said(&output));
        assert_eq!(json(&output)["failed"], 1);
        assert!(said(&output).contains(why), "{wrong}: {}", said(&output));
    }
    for (right, wrong, why) in [
        ("verdict: caution", "verdict: maybe", "`verdict` cannot be `maybe`"),
        ("breaks: [cart]", "breaks: [cort]", "did you mean `cart`?"),
        ("change: change.yaml", "change: none.yaml", "none.yaml"),
        ("now: 2027-01-10", "now: clock", "`clock` is not a time"),
        ("name: cart alone", "name: pay is waived", "two cases are called"),
        ("policies: [org.yaml]", "policies: [shop.yaml]", "this is a topology, not a policy"),
        ("cases:", "kases:", "`kases` is not a key"),
    ] {
        let output = run_suite(&SUITE.replacen(right, wrong, 1));
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{wrong}");
        assert!(words(&output).contains(why), "{wrong}: {}", said(&output));
    }
}
