//! What the gate writes for code hosts, and that it is what their formats ask for.

use crate::support::program;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use blastwave::analysis::{Check, Gate, Settings, Stop};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::{Change, Topology};
use blastwave::policy::Policy;
use blastwave::report::Decision;
use serde_json::Value;
use tempfile::TempDir;

const SHOP: &str = "\
version: 1
topology: shop
services:
  web: { tier: 1, utilization: 50%, dependencies: [pay, { service: log, criticality: soft }] }
  pay: { utilization: 50% }
  log: { utilization: 50% }
flows:
  order: { steps: [web], rate: 60/min, critical: true }
";

const PAY: &str = "\
version: 1
change: pay v2
targets:
  - service: pay
    modes: { down: 50%, slow: 50% }
";

const LOG: &str = "version: 1\nchange: log v2\ntargets: [{ service: log, probability: 30% }]\n";

const POLICY: &str = "\
version: 1
policy: p
rules:
  - { name: \"50%: orders, all\", when: 'flows[\"order\"].failed.p > 0.5', verdict: stop, message: \"a <b> & 100%\" }
  - { name: freeze, when: 'now > timestamp(\"2026-01-01T00:00:00Z\")', verdict: stop }
  - { name: held, when: 'flows[\"order\"].failed.p > 1.5', verdict: caution }
";

fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("my shop.yaml", SHOP), ("pay.yaml", PAY), ("log.yaml", LOG), ("policy.yaml", POLICY)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

fn check(folder: &Path, more: &[&str]) -> (String, Option<i32>) {
    let start = ["check", "my shop.yaml", "--trials", "400", "--quiet"];
    let output = run(folder, &[&start, more].concat());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.is_empty(), "{complaint}");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn sarif(text: &str) -> Value {
    // The part of the published schema that is written: it refuses every key that is not in it.
    let schema = include_str!("files/sarif-written.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let log: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
    let wrong: Vec<String> =
        validator.iter_errors(&log).map(|iter_error| iter_error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{text}");
    log
}

#[test]
fn sarif_is_as_published_and_points_at_what_can_be_edited() {
    let folder = shop();
    let with_policy = ["--change", "pay.yaml", "--policy", "policy.yaml", "--format", "sarif"];
    let (text, status) = check(folder.path(), &with_policy);
    assert_eq!(status, Some(1));
    let log = sarif(&text);
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let results = run["results"].as_array().unwrap();
    let of = |id: &str| results.iter().find(|result| result["ruleId"] == id).unwrap();
    let fired = of("rule/50%: orders, all");
    assert_eq!(fired["level"], "error");
    let place = &fired["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "pay.yaml");
    assert_eq!(place["region"]["startLine"], 4);
    let related = fired["relatedLocations"].to_string();
    assert!(related.contains("my%20shop.yaml") && related.contains("policy.yaml"), "{related}");
    assert_eq!(of("rule/freeze")["level"], "warning");
    assert!(results.iter().all(|result| result["ruleId"] != "rule/held"));
    let unknown = of("unknown/fallback");
    assert_eq!(unknown["level"], "note");
    let place = &unknown["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "my%20shop.yaml");
    assert_eq!(place["region"]["startLine"], 4);
}

#[test]
fn sarif_of_breaks_diffs_limits_and_problems_is_as_published() {
    let folder = shop();
    let (text, _) = check(folder.path(), &["--format", "sarif", "--break", "pay"]);
    assert!(!text.contains("--break"), "an argument is no file: {text}");
    sarif(&text);
    fs::write(folder.path().join("list"), "x\n").unwrap();
    sarif(&check(folder.path(), &["--format", "sarif", "--changed-files", "list"]).0);
    let limit = ["--change", "log.yaml", "--max-failed", "order=1%", "--format", "sarif"];
    let (text, status) = check(folder.path(), &limit);
    assert_eq!(
        (status, sarif(&text)["runs"][0]["results"].as_array().unwrap().len()),
        (Some(0), 0)
    );
    fs::write(
        folder.path().join("bad.yaml"),
        "version: 1\ntopology: a\nservices: { a: { tear: 1 } }\n",
    )
    .unwrap();
    let output = run(folder.path(), &["validate", "bad.yaml", "my shop.yaml", "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(1));
    let log = sarif(&String::from_utf8(output.stdout).unwrap());
    let first = &log["runs"][0]["results"][0];
    assert_eq!(first["locations"][0]["physicalLocation"]["region"]["startLine"], 3);
}

/// An element: its name, the attributes that it must and may have, and its children.
type Element =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// What the XML Schema of Jenkins (`junit-10.xsd` of its xUnit plugin) allows, of what every version
/// of it agrees on: for each element its attributes, those that must be there first, and its children.
const JUNIT: [Element; 4] = [
    ("testsuites", &[], &["name", "time", "tests", "failures", "errors"], &["testsuite"]),
    (
        "testsuite",
        &["name", "tests", "failures", "errors"],
        &["time", "skipped", "timestamp", "hostname", "id", "package", "file"],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    (
        "testcase",
        &["name", "classname"],
        &["time", "group"],
        &["skipped", "error", "failure", "system-out", "system-err"],
    ),
    ("failure", &[], &["message", "type"], &[]),
];

#[test]
fn junit_has_the_elements_of_its_schema_and_true_counts() {
    let folder = shop();
    let with_policy = ["--change", "pay.yaml", "--policy", "policy.yaml", "--format", "junit"];
    let (text, status) = check(folder.path(), &with_policy);
    assert_eq!(status, Some(1));
    let document =
        roxmltree::Document::parse(&text).unwrap_or_else(|parse| panic!("{parse}: {text}"));
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        let (_, must, may, children) =
            JUNIT.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("{name}"));
        assert!(must.iter().all(|must| node.attribute(*must).is_some()), "{name}");
        let known = |text: &str| must.contains(&text) || may.contains(&text);
        assert!(node.attributes().all(|attribute| known(attribute.name())), "{name}");
        let elements = node.children().filter(roxmltree::Node::is_element);
        assert!(
            elements
                .map(|element| element.tag_name().name())
                .all(|element| children.contains(&element)),
            "{name}"
        );
    }
    let count = |name| {
        document
            .descendants()
            .filter(|descendant| descendant.has_tag_name(name))
            .count()
            .to_string()
    };
    for node in document
        .descendants()
        .filter(|descendant| descendant.tag_name().name().starts_with("testsuite"))
    {
        assert_eq!(node.attribute("tests"), Some(&*count("testcase")));
        assert_eq!(node.attribute("failures"), Some(&*count("failure")));
    }
    let failures: BTreeMap<&str, &str> = document
        .descendants()
        .filter(|descendant| descendant.has_tag_name("failure"))
        .map(|descendant| {
            (
                descendant.parent().unwrap().attribute("name").unwrap(),
                descendant.attribute("type").unwrap(),
            )
        })
        .collect();
    let wanted = [("50%: orders, all", "stop"), ("freeze", "undecided"), ("verdict", "stop")];
    assert_eq!(failures, BTreeMap::from(wanted));
}

#[test]
fn annotations_are_commands_that_names_cannot_end() {
    let folder = shop();
    let with_policy = ["--change", "pay.yaml", "--policy", "policy.yaml", "--format", "github"];
    let (text, _) = check(folder.path(), &with_policy);
    let first = text.lines().next().unwrap();
    let start = "::error file=pay.yaml,line=4,endLine=4,col=14,endColumn=17,";
    assert!(first.starts_with(start), "{first}");
    assert!(first.contains(",title=50%25%3A orders%2C all::"), "{first}");
    assert!(first.contains("a <b> & 100%25"), "{first}");
    assert!(text.lines().last().unwrap().starts_with("::error title=blastwave%3A stop::STOP"));
    for line in text.lines() {
        let known = ["::error ", "::warning ", "::notice "];
        assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
    }
    fs::write(
        folder.path().join("bad.yaml"),
        "version: 1\ntopology: a\nservices: { a: { tear: 1 } }\n",
    )
    .unwrap();
    let output = run(folder.path(), &["validate", "bad.yaml", "--format", "github"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("::error file=bad.yaml,line=3,endLine=3,"), "{said}");
}

#[test]
fn a_short_verdict_is_one_line() {
    let folder = shop();
    let (text, _) = check(folder.path(), &["--change", "pay.yaml", "--format", "short"]);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("CAUTION: shop, pay v2: order fails "), "{text}");
}

#[test]
fn equal_inputs_give_the_same_comment_and_it_can_be_found_again() {
    let folder = shop();
    let comment = |threads: &str| {
        let more = ["--change", "pay.yaml", "--format", "markdown", "--threads", threads];
        check(folder.path(), &more).0
    };
    let first = comment("1");
    assert_eq!(first, comment("3"));
    assert!(first.starts_with("<!-- blastwave:check:shop -->\n\n### ⚠️ Caution:"), "{first}");
    let of_log = check(folder.path(), &["--change", "log.yaml", "--format", "markdown"]).0;
    assert_eq!(of_log.lines().next(), first.lines().next(), "another change, the same comment");
}

#[test]
fn differences_and_several_changes_show_in_text_and_markdown() {
    let folder = shop();
    let to_file = ["--change", "log.yaml", "--format", "json", "-o", "last.json"];
    check(folder.path(), &to_file);
    let both =
        ["--change", "pay.yaml", "--change", "log.yaml", "--baseline", "last.json", "--format"];
    for (format, arrow) in [("text", "→"), ("markdown", "→")] {
        let (text, _) = check(folder.path(), &[&both[..], &[format]].concat());
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "");
        for wanted in [
            format!("order fails more often: 0% {arrow} 100%"),
            "the two changes do not have the same targets.".to_owned(),
            "order fails: 100% by pay v2, 0% by log v2; 100% by all of them".to_owned(),
        ] {
            assert!(text.contains(&wanted), "{wanted} is not in\n{text}");
        }
    }
}

#[test]
fn a_rule_of_unbounded_work_is_an_error() {
    let folder = shop();
    let services = (0..60).map(|item| format!("  s{item}: {{}}\n")).collect::<Vec<_>>().concat();
    let shop = SHOP.replace("flows:\n", &format!("{services}flows:\n"));
    fs::write(folder.path().join("my shop.yaml"), shop).unwrap();
    let when = "services.all(a, services.all(b, services.all(c, services.all(d, a.failed.p + b.failed.p < 3.0))))";
    let policy =
        format!("version: 1\npolicy: p\nrules: [{{ name: a, when: '{when}', verdict: stop }}]\n");
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    let output = run(
        folder.path(),
        &["check", "my shop.yaml", "--change", "pay.yaml", "--policy", "policy.yaml"],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("rule-too-large") && output.stdout.is_empty(), "{said}");
}

#[test]
fn exactly_on_the_limit_at_most_one_of_twenty_gates_proceeds() {
    let mut sources = Sources::default();
    let mut read =
        |text: &str| load::parse_document("x", text.as_bytes().to_vec(), &mut sources).unwrap();
    let shop = "version: 1\ntopology: t\nservices: { pay: { utilization: 50% } }\nflows: { order: { steps: [pay] } }\n";
    let topology = Topology::from_document(&read(shop)).unwrap();
    let change = "version: 1\nchange: c\ntargets: [{ service: pay, probability: 30% }]\n";
    let change = Change::from_document(&read(change), &topology).unwrap();
    let rule = "{ name: a, when: 'flows[\"order\"].failed.p >= 0.3', verdict: stop }";
    let policy = read(&format!("version: 1\npolicy: p\nrules: [{rule}]\n"));
    let policy = Policy::from_document(&policy, &sources, Some(&topology)).unwrap();
    let gate = Gate { policy: Some((&policy, false)), max_trials: 1600, ..Gate::default() };
    let decided = (1..=1000).map(|seed| {
        let settings = Settings { seed, stop: Stop::Trials(100), ..Settings::default() };
        let check = Check::new(&topology, &change, &gate, &settings).unwrap();
        check.verdict(&Silent).decision
    });
    let proceeded = decided.filter(|decided| *decided == Decision::Proceed).count();
    assert!(proceeded <= 50, "{proceeded} of 1000 proceed though the limit is reached");
}
