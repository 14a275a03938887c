//! The gate as pipelines use it: from the files of a diff to a verdict and its exit status.

use crate::support::program;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SHOP: &str = "\
version: 1
topology: shop
services:
  web:
    paths: [web/**, '*.proto']
    tier: 1
    utilization: 50%
    dependencies: [{ service: pay, timeout: 1s, fallback: { static: true, works: 70% } }]
  pay: { paths: [pay/], utilization: 50% }
  log: { paths: ['log/**'], utilization: 50% }
flows:
  order: { steps: [web], rate: 60/min, critical: true }
";

fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop.yaml"), SHOP).unwrap();
    folder
}

/// Runs `check shop.yaml`, with a list of files on standard input.
fn check(folder: &Path, more: &[&str], list: &[u8]) -> Output {
    let mut child = program(folder)
        .args(["check", "shop.yaml", "--trials", "500", "--quiet"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends before it reads, as on wrong usage, leaves a broken pipe.
    drop(child.stdin.take().unwrap().write_all(list));
    child.wait_with_output().unwrap()
}

fn of_files(list: &[u8], more: &[&str]) -> Output {
    check(shop().path(), &[&["--changed-files", "-"], more].concat(), list)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

#[test]
fn each_verdict_on_a_diff_has_its_status() {
    assert_eq!(of_files(b"log/a.rs\n", &[]).status.code(), Some(0));
    let untold = of_files(b"web/a.rs\n", &[]);
    assert_eq!(untold.status.code(), Some(3));
    assert!(said(&untold).contains("not known how web is shipped"), "{}", said(&untold));
    assert_eq!(of_files(b"pay/a.rs\n", &["--fail-on", "stop"]).status.code(), Some(0));
    assert_eq!(of_files(b"pay/a.rs\n", &[]).status.code(), Some(3));
    for wrong in
        [&["-z", "--change", "v2.yaml"][..], &["--ignore-files", "[a"], &["--break", "pay"]]
    {
        let output = of_files(b"web/a.rs\n", wrong);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn patterns_that_take_too_much_work_are_refused_and_plain_ones_are_not() {
    let folder = shop();
    let files: String = (0..5_000).map(|i| format!("{}{i}\n", "a".repeat(60))).collect();
    let service = |pattern: &dyn Fn(usize) -> String| {
        let patterns: Vec<String> = (0..5_000).map(|i| format!("'{}'", pattern(i))).collect();
        format!("  many: {{ paths: [{}] }}\nflows:", patterns.join(", "))
    };
    let hostile = service(&|i| format!("{}[bc]{i}", "*a".repeat(30)));
    fs::write(folder.path().join("shop.yaml"), SHOP.replace("flows:", &hostile)).unwrap();
    let output = check(folder.path(), &["--changed-files", "-"], files.as_bytes());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("too much work"), "{}", said(&output));
    let plain = service(&|i| format!("services/{i}/**"));
    fs::write(folder.path().join("shop.yaml"), SHOP.replace("flows:", &plain)).unwrap();
    let output = check(folder.path(), &["--changed-files", "-"], files.as_bytes());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
}

#[test]
fn strictness_asks_for_caution_where_a_warning_hides_something() {
    let folder = shop();
    let write = |text: &str| fs::write(folder.path().join("shop.yaml"), text).unwrap();
    let check = |more: &[&str]| check(folder.path(), &[&["--break", "log"], more].concat(), b"");
    // In order, and nothing breaks for users: there is nothing to be strict about.
    write(
        &SHOP
            .replace("log: {", "log: { tier: 2,")
            .replace("[web], ", "[web, { service: log, mode: soft, timeout: 1s }], "),
    );
    let clean = check(&["--strict"]);
    assert!(!said(&clean).contains("--strict"), "{}", said(&clean));
    assert_eq!(clean.status, check(&[]).status);
    // No flow reaches `log`, so that nothing can come of its break.
    write(SHOP);
    assert_eq!(check(&[]).status.code(), Some(0));
    let strict = check(&["--strict"]);
    assert_eq!(strict.status.code(), Some(3), "{}", said(&strict));
    assert!(said(&strict).contains("may hide something"), "{}", said(&strict));
    assert_eq!(check(&["--strict", "--fail-on", "stop"]).status.code(), Some(0));
}

#[test]
fn a_diff_that_touches_no_service_never_proceeds_unless_it_is_said_that_it_may() {
    let output = of_files(b"docs/a.md\nREADME.md\n", &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("2 changed files belong to no service"), "{}", said(&output));
    // The line may be broken between the two names.
    let words = said(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("`docs/a.md`, `README.md`"), "{words}");
    let docs = ["--ignore-files", "docs/**"];
    assert_eq!(of_files(b"docs/a.md\nREADME.md\n", &docs).status.code(), Some(3));
    let output = of_files(b"docs/a.md\n", &docs);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("no service is touched"), "{}", said(&output));
    assert_eq!(of_files(b"", &docs).status.code(), Some(3), "the list may never have been made");
    let output = of_files(b"log/a\nREADME.md\n", &[]);
    assert_eq!(output.status.code(), Some(3), "what is known does not excuse what is not");
}

#[test]
fn a_wrong_policy_is_an_error_whatever_the_diff() {
    let folder = shop();
    fs::write(folder.path().join("p.yaml"), "version: 1\npolicy: p\nrules: [{ name: a }]\n")
        .unwrap();
    let more = ["--changed-files", "-", "--policy", "p.yaml", "--ignore-files", "docs/"];
    for list in [&b"docs/x\n"[..], b"log/a\n"] {
        assert_eq!(check(folder.path(), &more, list).status.code(), Some(2));
    }
}

#[test]
fn several_services_are_one_change_whose_kind_is_guessed() {
    let output = of_files(b"pay/db/migrations/1.sql\nlog/a.rs\nlog/b.rs\n", &["--format", "json"]);
    let report = json(&output);
    let names: Vec<_> =
        report["targets"].as_array().unwrap().iter().map(|report| &report["name"]).collect();
    assert_eq!(names, ["log", "pay"]);
    assert_eq!(report["files"]["guessed_kind"], "schema");
    assert_eq!(report["files"]["services"][0]["files"], 2);
    let said = report["assumptions"].to_string();
    assert!(said.contains("kind (schema) is guessed"), "{said}");
}

#[test]
fn names_may_hold_anything() {
    let quoted = b"\"web/na\\303\\257ve \\\"x\\\"\\n.rs\"\nweb/a b'c.rs\n\xff\xfe\n";
    let report = json(&of_files(quoted, &["--format", "json"]));
    assert_eq!(report["files"]["services"][0]["files"], 2);
    assert_eq!(report["files"]["first_unmatched"][0], "\\xff\\xfe");
    let report = json(&of_files(b"web/a\nb\0web/\xff\0\"x\"\0", &["-z", "--format", "json"]));
    assert_eq!(report["files"]["services"][0]["files"], 2);
    assert_eq!(report["files"]["first_unmatched"][0], "\"x\"");
    let output = of_files(b"web/a\0", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--null"));
}

#[test]
fn a_million_files_are_counted_and_few_are_named() {
    let list = (0..1_000_000)
        .map(|item| format!("pay/{item}\nother {item}\n"))
        .collect::<Vec<_>>()
        .concat();
    let report = json(&of_files(list.as_bytes(), &["--format", "json"]));
    assert_eq!(report["files"]["unmatched"], 1_000_000);
    assert_eq!(report["files"]["services"][0]["files"], 1_000_000);
    assert_eq!(report["files"]["first_unmatched"].as_array().unwrap().len(), 5);
}

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_range_of_git_is_read_from_the_root_of_the_repository() {
    let folder = shop();
    let at = folder.path();
    git(at, &["init", "-q", "."]);
    git(at, &["add", "."]);
    git(at, &["commit", "-qm", "one"]);
    fs::create_dir_all(at.join("web/deep")).unwrap();
    fs::write(at.join("web/deep/na\u{ef}ve \"file\".rs"), "x").unwrap();
    git(at, &["add", "."]);
    git(at, &["commit", "-qm", "two"]);
    let range = ["--git-range", "HEAD~1..HEAD", "--format", "json"];
    assert_eq!(json(&check(at, &range, b""))["files"]["services"][0]["name"], "web");
    fs::write(at.join("web/deep/shop.yaml"), SHOP).unwrap();
    let deep = check(&at.join("web/deep"), &range, b"");
    assert_eq!(json(&deep)["files"]["services"][0]["name"], "web");
    for wrong in ["nowhere..HEAD", "--output=x", ""] {
        let output = check(at, &[&format!("--git-range={wrong}")], b"");
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(output.stdout.is_empty());
    }
    assert!(!at.join("x").exists());
}

#[test]
fn without_git_or_a_repository_a_range_is_an_error() {
    let folder = shop();
    let mut command = program(folder.path());
    command.args(["check", "shop.yaml", "--git-range", "A..B"]);
    let output = command.env("GIT_CEILING_DIRECTORIES", folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("git says:"), "{}", said(&output));
    let output = command.env("PATH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("cannot run `git`"), "{}", said(&output));
}
