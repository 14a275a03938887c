//! Who wrote a change, who reviewed it and what it relies on: from the commits of a range, and in rules.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program;

const SHOP: &str = "\
version: 1
topology: shop
services:
  web: { paths: ['web/**'], dependencies: [{ service: pay, timeout: 1s, fallback: none }] }
  pay: { paths: ['pay/**'], rollout: canary, detection: 5m, rollback: 10m }
flows:
  order: { steps: [web], critical: true }
";

/// The rules of the book.
const RULES: &str = r#"
  - name: humans back in the loop
    when: change.authored_by != "human" && !(has(change.reviewed_by) && size(change.reviewed_by) > 0)
    verdict: stop
  - name: fresh sources
    when: change.sources.exists(s, s.age_days > 365)
    verdict: stop
"#;

const AGENT: &str = "Claude <noreply@anthropic.com>";
const ANN: &str = "Ann <ann@shop.example>";

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a repository whose first commit is followed by one for each author and message.
fn repository(commits: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    git(at, &["init", "-q", "."]);
    fs::write(at.join("shop.yaml"), SHOP).unwrap();
    fs::write(at.join("policy.yaml"), format!("version: 1\npolicy: p\nrules:{RULES}")).unwrap();
    git(at, &["add", "-A"]);
    git(at, &["commit", "-qm", "begin"]);
    git(at, &["tag", "begin"]);
    fs::create_dir(at.join("pay")).unwrap();
    for (index, (author, message)) in commits.iter().enumerate() {
        fs::write(at.join("pay/a.rs"), format!("fn a() {{ {index} }}")).unwrap();
        git(at, &["add", "-A"]);
        git(at, &["commit", "-qm", message, "--author", author]);
    }
    folder
}

/// Returns the outcomes of the two rules.
fn outcomes(folder: &Path, more: &[&str]) -> [String; 2] {
    let mut command = program(folder);
    command.args(["check", "shop.yaml", "--git-range", "begin..HEAD", "--policy", "policy.yaml"]);
    command.args(["--trials", "64", "--quiet", "--format", "json", "--now", "2026-12-18"]);
    let output = command.args(more).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let rules = report["verdict"]["rules"].as_array().unwrap();
    [0, 1].map(|index| rules[index]["outcome"].as_str().unwrap().to_owned())
}

#[test]
fn humans_come_back_into_the_loop_by_one_line_of_policy() {
    let reviewed = "pay: retry\n\nReviewed-by: Ben <ben@shop.example>\n";
    let alone = "pay: retry\n\nReviewed-by: Claude <noreply@anthropic.com>\n";
    for (commits, expected) in [
        (vec![(AGENT, "pay: retry")], "fired"),
        (vec![(AGENT, reviewed)], "held"),
        (vec![(AGENT, alone)], "fired"),
        (vec![(AGENT, reviewed), (AGENT, "pay: and more")], "fired"),
        (vec![(ANN, "pay: retry\n\nAssisted-by: a model\n")], "fired"),
        (vec![(ANN, "pay: retry\n\nCo-authored-by: Claude <noreply@anthropic.com>\n")], "fired"),
        // Nobody says whether a machine helped.
        (vec![(ANN, "pay: retry")], "undecided"),
        (vec![(ANN, reviewed)], "held"),
    ] {
        let folder = repository(&commits);
        assert_eq!(outcomes(folder.path(), &[])[0], expected, "{commits:?}");
    }
}

#[test]
fn a_link_is_as_old_as_the_change_file_says_and_otherwise_of_unknown_age() {
    let message = "pay: retry\n\nSee https://wiki.example/pay.\n";
    let folder = repository(&[(AGENT, message)]);
    let at = folder.path();
    assert_eq!(outcomes(at, &[])[1], "undecided");
    for (updated, expected) in [("2023-11-02", "fired"), ("2026-11-02", "held")] {
        let source =
            format!("{{ title: wiki, url: 'https://wiki.example/pay', updated: {updated} }}");
        let text = format!("version: 1\nchange: c\nauthored_by: human\nsources: [{source}]\n");
        fs::write(at.join("shipped.yaml"), text).unwrap();
        // What the file says of authors stands before what commits say.
        assert_eq!(outcomes(at, &["--rollout", "shipped.yaml"]), ["held", expected]);
    }
    let without =
        repository(&[(AGENT, "pay: retry\n\nGenerated with [a tool](https://tool.example)\n")]);
    assert_eq!(outcomes(without.path(), &[])[1], "held");
}

#[test]
fn a_change_file_states_the_same_without_git() {
    let folder = repository(&[]);
    let at = folder.path();
    let outcome = |keys: &str| {
        let text = format!("version: 1\nchange: c\ntargets: [pay]\n{keys}");
        fs::write(at.join("change.yaml"), text).unwrap();
        let mut command = program(at);
        command.args(["check", "shop.yaml", "--change", "change.yaml", "--policy", "policy.yaml"]);
        let output = command.args(["--trials", "64", "--format", "json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["verdict"]["rules"][0]["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(outcome("authored_by: ai\n"), "fired");
    assert_eq!(outcome("authored_by: ai\nreviewed_by: []\n"), "fired");
    assert_eq!(outcome("authored_by: mixed\nreviewed_by: Ben\n"), "held");
    assert_eq!(outcome("authored_by: human\n"), "held");
    assert_eq!(outcome(""), "undecided");
}

#[test]
fn the_rules_of_the_book_are_these() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/book/src/policy.md");
    let page = fs::read_to_string(page).unwrap();
    assert!(RULES.lines().all(|line| page.contains(line)), "{RULES}");
}

#[test]
fn a_repository_that_is_kept_outside_of_the_root_is_not_read() {
    let folder = repository(&[(AGENT, "pay: retry")]);
    let at = folder.path();
    assert_eq!(outcomes(at, &["--root", "."])[0], "fired");
    let check = |at: &Path| {
        let mut command = program(at);
        command.args(["check", "shop.yaml", "--git-range", "begin..HEAD", "--root", "."]);
        let output = command.args(["--trials", "64"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // A folder within a repository, and a linked work tree.
    let within = at.join("within");
    fs::create_dir(&within).unwrap();
    fs::copy(at.join("shop.yaml"), within.join("shop.yaml")).unwrap();
    let linked = at.join("linked");
    git(at, &["worktree", "add", "-q", "linked", "HEAD"]);
    for folder in [within, linked] {
        let (status, said) = check(&folder);
        assert_eq!(status, Some(2));
        assert!(said.contains("the repository is kept outside of `--root`"), "{said}");
    }
}
