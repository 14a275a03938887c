//! Topologies of several files, templates and environments, from outside.

use crate::support::program;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const ROOT: &str = "\
version: 1
topology: shop
include: [teams/*.yaml]
templates:
  stateless: { availability: 99.9%, replicas: { count: 3, needs: 1 } }
environments:
  staging:
    services:
      pay: { replicas: { count: 1 } }
      cart: { dependencies: [] }
flows:
  order: { steps: [web], critical: true }
";

const FRONT: &str = "\
version: 1
topology: front
team: front
services:
  web: { extends: stateless, dependencies: [pay, cart] }
  cart: { dependencies: [pay] }
";

const MONEY: &str = "\
version: 1
topology: money
team: money
services:
  pay: { extends: stateless, replicas: { needs: 2 } }
  ledger:
";

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A folder with the shop in three files, and with others in their place or beside them.
fn shop(others: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let usual = [("shop.yaml", ROOT), ("teams/front.yaml", FRONT), ("teams/money.yaml", MONEY)];
    write(folder.path(), &usual);
    write(folder.path(), others);
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn validated(others: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = run(shop(others).path(), &["validate", "shop.yaml"]);
    (output.status.code(), said(&output))
}

/// The services of a topology with their teams, as a ranking names them.
fn teams(folder: &Path, topology: &str, more: &[&str]) -> Vec<(String, String)> {
    let output =
        run(folder, &[&["rank", topology, "--format", "json", "--trials", "10"], more].concat());
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let origins = report["origins"].as_array().unwrap();
    let mut all: Vec<_> =
        origins.iter().map(|item| (text(&item["name"]), text(&item["team"]))).collect();
    all.sort();
    all
}

#[test]
fn parts_are_one_topology_whose_services_belong_to_their_teams() {
    let expected = [("cart", "front"), ("ledger", "money"), ("pay", "money"), ("web", "front")]
        .map(|(name, team)| (name.to_owned(), team.to_owned()));
    let folder = shop(&[]);
    assert_eq!(teams(folder.path(), "shop.yaml", &[]), expected);
    // A folder is the same, with or without a file for what belongs to nobody.
    let root = ROOT.replace("include: [teams/*.yaml]\n", "");
    write(folder.path(), &[("all/topology.yaml", &root)]);
    write(folder.path(), &[("all/front.yaml", FRONT), ("all/deep/money.yaml", MONEY)]);
    assert_eq!(teams(folder.path(), "all", &[]), expected);
    write(folder.path(), &[("shop.yaml", &ROOT.replace("count: 1", "count: 2"))]);
    // A pattern may begin in the folder of the file itself.
    for pattern in ["'**/*.yaml'", "'*/front.yaml', teams/money.yaml"] {
        let root = ROOT.replace("teams/*.yaml", pattern);
        write(folder.path(), &[("own/shop.yaml", &root), ("own/t/front.yaml", FRONT)]);
        write(folder.path(), &[("own/teams/money.yaml", MONEY)]);
        assert_eq!(teams(&folder.path().join("own"), "shop.yaml", &[]), expected, "{pattern}");
        assert_eq!(teams(folder.path(), "own/shop.yaml", &[]), expected, "{pattern}");
    }
    let scenario = "version: 1\nscenario: s\ntopology: shop.yaml\nenvironment: staging\n";
    write(folder.path(), &[("s.yaml", scenario)]);
    assert_eq!(teams(folder.path(), "s.yaml", &[]), expected);
    let output = run(folder.path(), &["validate", "shop.yaml", "teams/front.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = run(folder.path(), &["validate", "all"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_name_has_one_owner_and_both_places_are_shown() {
    let again = MONEY.replace("ledger:", "cart: {}");
    let (status, text) = validated(&[("teams/money.yaml", &again)]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the service `cart` is defined in two files"), "{text}");
    assert!(text.contains("teams/front.yaml:6") && text.contains("teams/money.yaml:6"), "{text}");
    let flow = format!("{FRONT}flows:\n  order: {{ steps: [cart] }}\n");
    let (_, text) = validated(&[("teams/front.yaml", &flow)]);
    assert!(text.contains("the flow `order` is defined in two files"), "{text}");
}

#[test]
fn names_are_looked_up_across_files() {
    let slip = FRONT.replace("dependencies: [pay]", "dependencies: [legder]");
    let (status, text) = validated(&[("teams/front.yaml", &slip)]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("did you mean `ledger`?"), "{text}");
    assert!(text.contains("teams/front.yaml:6") && text.contains("teams/money.yaml:6"), "{text}");
}

#[test]
fn what_a_part_may_not_have_is_said() {
    let with_defaults = format!("{FRONT}defaults: {{ dependency: {{ timeout: 1s }} }}\n");
    let (status, text) = validated(&[("teams/front.yaml", &with_defaults)]);
    assert_eq!(status, Some(1));
    assert!(text.contains("`defaults` is not a key of a part of a topology"), "{text}");
    let nested = format!("{FRONT}include: [more.yaml]\n");
    let (_, text) = validated(&[("teams/front.yaml", &nested)]);
    assert!(text.contains("`include` is not a key of a part"), "{text}");
    let (_, text) = validated(&[("teams/x.yaml", "version: 1\nchange: c\ntargets: [pay]\n")]);
    assert!(text.contains("is a change, not a part of a topology"), "{text}");
    let (_, text) = validated(&[("teams/x.yaml", "a: [b\n")]);
    assert!(text.contains("teams/x.yaml"), "{text}");
}

#[test]
fn only_files_below_the_folder_are_included() {
    for (pattern, why) in [
        ("/etc/passwd", "is no path below the folder"),
        ("../*.yaml", "leads out of the folder"),
        ("teams/../../x.yaml", "leads out of the folder"),
        ("C:/x.yaml", "is no path below the folder"),
        ("./teams/*.yaml", "is no path of a file"),
        ("none/*.yaml", "matches no file"),
        ("teams/[.yaml", "is no pattern"),
        ("**/**/**/**/**/x", "too many wildcards"),
    ] {
        let root = ROOT.replace("teams/*.yaml", &format!("'{pattern}'"));
        let (status, text) = validated(&[("shop.yaml", &root)]);
        assert_ne!(status, Some(0), "{pattern}: {text}");
        assert!(text.contains(why), "{pattern}: {text}");
    }
    for include in ["teams/*.yaml", "[{ a: b }]", "~"] {
        let root = ROOT.replace("[teams/*.yaml]", include);
        let (status, text) = validated(&[("shop.yaml", &root)]);
        assert_ne!(status, Some(0), "{include}: {text}");
    }
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.yaml"), MONEY).unwrap();
    let folder = shop(&[]);
    fs::remove_file(folder.path().join("teams/money.yaml")).unwrap();
    let link = folder.path().join("linked");
    std::os::unix::fs::symlink(outside.path(), link).unwrap();
    for pattern in ["linked/*.yaml", "linked/x.yaml"] {
        let root = ROOT.replace("teams/*.yaml", &format!("teams/*.yaml, {pattern}"));
        fs::write(folder.path().join("shop.yaml"), root).unwrap();
        let output = run(folder.path(), &["validate", "shop.yaml"]);
        assert_ne!(output.status.code(), Some(0), "{}", said(&output));
        assert!(said(&output).contains("leads out of the folder"), "{}", said(&output));
    }
}

#[test]
fn templates_give_what_a_service_does_not_state() {
    let folder = shop(&[]);
    // Three replicas of which two are needed, from the template and the service.
    let explained = |service: &str, more: &[&str]| {
        let arguments = ["simulate", "shop.yaml", "--trials", "2000", "--format", "json"];
        let output = run(folder.path(), &[&arguments, more].concat());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let services = report["services"].as_array().unwrap().clone();
        services.into_iter().find(|item| item["name"] == service).unwrap()["failed"]["exact"]
            .as_f64()
            .unwrap()
    };
    assert!((explained("pay", &[]) - 0.001).abs() < 1e-9);
    for (right, wrong, why) in [
        ("extends: stateless, dep", "extends: statless, dep", "did you mean `stateless`?"),
        ("extends: stateless, dep", "extends: [a], dep", "is a text"),
    ] {
        let (status, text) = validated(&[("teams/front.yaml", &FRONT.replace(right, wrong))]);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(why), "{text}");
    }
    let unused = ROOT.replace("flows:", "  other: { replica: 3 }\nflows:").replace(
        "environments:\n  staging:\n    services:\n      pay: { replicas: { count: 1 } }\n      cart: { dependencies: [] }\n",
        "",
    );
    let (status, text) = validated(&[("shop.yaml", &unused)]);
    assert_eq!(status, Some(1), "a key that means nothing is found where nobody uses it");
    assert!(text.contains("`replica` is not a key of a service"), "{text}");
    let chained = ROOT.replace("stateless: { ", "stateless: { extends: stateless, ");
    let (_, text) = validated(&[("shop.yaml", &chained)]);
    assert!(text.contains("a template extends no other template"), "{text}");
    // A file alone may have templates too.
    let alone = "version: 1\ntopology: t\nteam: x\ntemplates: { a: { tier: 1 } }\n\
                 services: { s: { extends: a } }\nflows: { f: { steps: [s] } }\n";
    assert!(blastwave::Topology::from_yaml(alone).is_ok());
    let topology = blastwave::Topology::from_yaml(alone).unwrap();
    assert_eq!(topology.services[0].tier, Some(1));
    assert_eq!(topology.services[0].team.as_deref(), Some("x"));
    let without = alone.replace("templates: { a: { tier: 1 } }\n", "");
    assert!(blastwave::Topology::from_yaml(&without).is_err());
}

#[test]
fn an_environment_changes_what_is_there_and_nothing_else() {
    let folder = shop(&[]);
    let failing = |more: &[&str]| {
        let arguments = ["simulate", "shop.yaml", "--break", "cart", "--format", "json"];
        let output = run(folder.path(), &[&arguments, more].concat());
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", said(&output)))
    };
    assert!(failing(&[])["flows"][0]["failed"]["p"].as_f64().unwrap() > 0.99);
    // A patch that asks for more than is left is wrong: one replica, of which two are needed.
    let output = run(folder.path(), &["simulate", "shop.yaml", "--env", "staging"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let (status, text) = validated(&[]);
    assert_eq!(status, Some(1), "`validate` looks into every environment: {text}");
    let right = ROOT.replace("count: 1", "count: 2");
    write(folder.path(), &[("shop.yaml", &right)]);
    assert_eq!(failing(&["--env", "staging"])["flows"][0]["failed"]["exact"], 1.0);
    for (right, wrong, why) in [
        ("staging:", "stagin:", "did you mean `stagin`?"),
        ("cart: { dep", "kart: { dep", "did you mean `cart`?"),
        ("cart: { dependencies: [] }", "cart: ~", "is no mapping"),
        ("    services:\n      pay", "    include: [x]\n    services:\n      pay", "include"),
    ] {
        let root = ROOT.replace(right, wrong);
        write(folder.path(), &[("shop.yaml", &root)]);
        let output = run(folder.path(), &["simulate", "shop.yaml", "--env", "staging"]);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", said(&output));
        assert!(said(&output).contains(why), "{wrong}: {}", said(&output));
    }
}

#[test]
fn an_edit_of_a_topology_of_parts_is_refused() {
    let folder = shop(&[("compose.yaml", "services: { web: { image: x } }\n")]);
    let arguments =
        ["import", "compose", "compose.yaml", "--merge", "shop.yaml", "-o", "merged.yaml"];
    let output = run(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("only together with the files that it includes"));
    assert!(!folder.path().join("merged.yaml").exists());
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
}

#[test]
fn a_topology_of_a_commit_takes_its_parts_from_that_commit() {
    let right = ROOT.replace("count: 1", "count: 2");
    let folder = shop(&[("shop.yaml", &right)]);
    let at = folder.path();
    git(at, &["init", "-q", "-b", "main", "."]);
    git(at, &["add", "-A"]);
    git(at, &["commit", "-qm", "x"]);
    // The change takes the dependency on what it breaks out of the topology.
    write(at, &[("teams/front.yaml", &FRONT.replace("dependencies: [pay, cart]", "tier: 1"))]);
    let check = |more: &[&str]| {
        let arguments = ["check", "shop.yaml", "--break", "pay", "--quiet"];
        run(at, &[&arguments, more].concat())
    };
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = check(&["--topology-from", "main"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    // A part that only the commit has is read, and one that it does not have is not.
    fs::remove_file(at.join("teams/front.yaml")).unwrap();
    write(at, &[("teams/more.yaml", FRONT)]);
    let output = check(&["--topology-from", "main"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
}

#[test]
fn two_hundred_files_of_five_thousand_services_are_one_topology() {
    let folder = tempfile::tempdir().unwrap();
    let root = "version: 1\ntopology: large\ninclude: [teams/*.yaml]\n\
                flows: { order: { steps: [s0] } }\n";
    write(folder.path(), &[("shop.yaml", root)]);
    fs::create_dir(folder.path().join("teams")).unwrap();
    for file in 0..200 {
        let mut text = format!("version: 1\ntopology: t{file}\nteam: t{file}\nservices:\n");
        for service in file * 25..file * 25 + 25 {
            let callee = (service * 7 + 1) % 5000;
            let next = if callee > service { format!("s{callee}") } else { String::new() };
            text += &format!("  s{service}: {{ dependencies: [{next}] }}\n");
        }
        fs::write(folder.path().join(format!("teams/{file}.yaml")), text).unwrap();
    }
    let output = run(folder.path(), &["simulate", "shop.yaml", "--break", "s0", "--trials", "10"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
