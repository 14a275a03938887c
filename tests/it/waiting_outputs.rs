//! What people read of waiting: orders that are late, beside those that fail.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program;

/// Answers of the catalog come a second later for ten minutes: no order fails, all of them are late.
const SHOP: &str = "\
version: 1
topology: shop
services:
  web: { latency: { median: 100ms, p99: 300ms }, dependencies: [{ service: catalog, timeout: none }] }
  catalog: { latency: { median: 40ms, p99: 120ms } }
flows:
  order: { steps: [web], rate: 200/s, patience: 10s, objective: { availability: 99.9%, latency: 800ms, window: 30d } }
";

const SLOWER: &str = "\
version: 1
change: slower
targets: [{ service: catalog, modes: { slow: { probability: 100%, adds: 1s } } }]
actions: [{ at: 10m, action: fix }]
horizon: 30m
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// What a command says, with its lines joined: where they break depends on the width.
fn said(folder: &Path, arguments: &str) -> String {
    let output = program(folder).args(arguments.split(' ')).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.is_empty(), "{arguments}: {complaint}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ten minutes of 200 orders a second.
const LATE: &str = "100% (120,000)";

#[test]
fn late_orders_stand_beside_those_that_fail_in_every_output() {
    let folder = folder(&[("shop.yaml", SHOP), ("slower.yaml", SLOWER)]);
    let change = "shop.yaml --change slower.yaml --trials 64 --quiet";
    let sentence = "Late, but served, at the worst moment: 100% of order (120,000 orders).";
    for command in ["simulate", "check"] {
        let text = said(folder.path(), &format!("{command} {change}"));
        assert!(text.contains(sentence) && text.contains(LATE), "{text}");
        let comment = said(folder.path(), &format!("{command} {change} --format markdown"));
        assert!(comment.contains(&sentence.replace("order (", "`order` (")), "{comment}");
        assert!(comment.contains(&format!("| {LATE} |")), "{comment}");
        let page = said(folder.path(), &format!("{command} {change} --format html"));
        assert!(page.contains("late, but served") && page.contains(LATE), "{page}");
    }
    let explained = said(folder.path(), &format!("explain {change}"));
    assert!(
        explained.contains("order is late, but served, in 100% of its requests"),
        "{explained}"
    );
    let picture = said(folder.path(), "diagram shop.yaml --change slower.yaml --trials 64 -o -");
    assert!(picture.contains("late 100%"), "{picture}");
}

#[test]
fn rules_may_ask_for_what_is_late() {
    let rule = |name: &str, when: &str| {
        format!("  - {{ name: {name}, when: '{when}', verdict: caution }}\n")
    };
    let policy = [
        "version: 1\npolicy: late\nrules:\n".to_owned(),
        rule("most are late", "flows.exists(f, f.late_share > 0.5)"),
        rule("many are late", "flows.order.late_orders.mean > 100000.0"),
        rule("more than all are late", "flows.order.late_orders.mean > 130000.0"),
        rule("the catalog is late", "services.catalog.late_share > 0.5"),
        rule("the web is in time", "services.web.late_share < 0.5"),
    ];
    let files = [("shop.yaml", SHOP), ("slower.yaml", SLOWER), ("late.yaml", &policy.concat())];
    let folder = folder(&files);
    let output = program(folder.path())
        .args("check shop.yaml --change slower.yaml --policy late.yaml --quiet".split(' '))
        .args(["--format", "json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = report["verdict"]["rules"].as_array().unwrap();
    let fired = rules.iter().filter(|rule| rule["outcome"] == "fired");
    let fired: Vec<&str> = fired.map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(fired, ["most are late", "many are late", "the catalog is late"], "{rules:#?}");
}

#[test]
fn a_comparison_tells_how_much_is_late_on_each_side() {
    let faster = SHOP.replace("timeout: none", "timeout: 300ms, fallback: static");
    let folder = folder(&[
        ("shop.yaml", SHOP),
        ("faster.yaml", &faster.replace("topology: shop", "topology: faster")),
        ("slower.yaml", SLOWER),
    ]);
    let sides = "shop.yaml faster.yaml --change slower.yaml --trials 64 --quiet";
    let text = said(folder.path(), &format!("compare {sides}"));
    assert!(text.contains(&format!("late, but served, at worst {LATE} → 0.032% (39)")), "{text}");
    let page = said(folder.path(), &format!("compare {sides} --format html"));
    assert!(page.contains("late, but served: shop") && page.contains(LATE), "{page}");
}

#[test]
fn a_traced_trial_tells_the_share_and_the_number_of_late_orders() {
    let folder = folder(&[("shop.yaml", SHOP), ("slower.yaml", SLOWER)]);
    let change = "shop.yaml --change slower.yaml --trials 64 --quiet";
    let text = said(folder.path(), "simulate shop.yaml --change slower.yaml --trial 3");
    assert!(text.contains("Trial 3: 0 orders lost, 120,000 late"), "{text}");
    assert!(text.contains("order 100% late") && text.contains("catalog 100% late"), "{text}");
    let json: Value =
        serde_json::from_str(&said(folder.path(), &format!("simulate {change} --format json")))
            .unwrap();
    let trial = &json["example_trials"][0];
    assert_eq!(trial["orders_late"].as_f64().unwrap().round(), 120_000.0);
    assert_eq!(trial["steps"][0]["flows"][0]["late"], 1.0);
    assert_eq!(json["flows"][0]["late"]["p"], 1.0);
}

#[test]
fn where_nothing_is_late_nothing_is_said_of_it() {
    let folder = folder(&[("shop.yaml", SHOP)]);
    for format in ["text", "markdown", "html --no-progress"] {
        let command =
            format!("simulate shop.yaml --break catalog --trials 64 --quiet --format {format}");
        let text = said(folder.path(), &command);
        assert!(!text.contains("Late") && !text.contains("late, but served"), "{text}");
    }
}

/// A reason why requests wait, and a system in which it is the reason.
struct Case {
    services: &'static str,
    change: &'static str,
    reason: &'static str,
    sentence: &'static str,
    caption: &'static str,
}

const LOSE_CAPACITY: &str = "
targets: [notes]
actions: [{ at: 1m, action: remove, target: db, share: 60% }]
horizon: 1h
";

const HANGS: &str = "
targets: [{ service: db, modes: { slow: 100% } }]
actions: [{ at: 30m, action: fix }]
horizon: 1h
";

const IS_DOWN: &str = "
targets: [db]
actions: [{ at: 30m, action: fix }]
horizon: 1h
";

const CASES: [Case; 9] = [
    Case {
        services: "
  web: { dependencies: [{ service: db, timeout: 1s }] }
  db: { utilization: 60%, queue: 500ms }",
        change: LOSE_CAPACITY,
        reason: "queue-full",
        sentence: "the queue of db is full (500 ms), so it refuses requests (100%)",
        caption: "queue full",
    },
    Case {
        services: "
  web: { dependencies: [{ service: db, timeout: 1s }] }
  db: { utilization: 60% }",
        change: LOSE_CAPACITY,
        reason: "queue-wait",
        sentence: "requests wait in the queue of db for longer than its callers do (100%)",
        caption: "queue too long",
    },
    Case {
        services: "
  web: { dependencies: [{ service: db, timeout: 1s }] }
  db: { utilization: 60%, queue: none }",
        change: LOSE_CAPACITY,
        reason: "overload",
        sentence: "db gets more load than it can serve, so it refuses requests (100%)",
        caption: "overloaded",
    },
    Case {
        services: "
  web: { concurrency: 200, latency: { median: 50ms, p99: 100ms }, dependencies: [{ service: db, timeout: 3s, criticality: soft }] }
  db:",
        change: HANGS,
        reason: "threads",
        sentence: "all 200 threads of web wait for db (100%)",
        caption: "threads wait for db",
    },
    Case {
        services: "
  web: { dependencies: [{ service: db, timeout: 3s, criticality: soft, max_in_flight: 20 }] }
  db: { latency: { median: 50ms, p99: 100ms } }",
        change: HANGS,
        reason: "call-limit",
        sentence: "web has all 20 of its calls to db in progress, so it makes no more (100%)",
        caption: "call limit to db",
    },
    Case {
        services: "
  web: { dependencies: [{ service: db, timeout: 800ms }] }
  db: { latency: { median: 50ms, p99: 100ms } }",
        change: "
targets: [{ service: db, modes: { slow: { probability: 100%, adds: 1s } } }]
actions: [{ at: 30m, action: fix }]
horizon: 1h
",
        reason: "late-answers",
        sentence: "answers of db come after the timeout of web (800 ms) (100%)",
        caption: "db too late",
    },
    Case {
        services: "
  web: { dependencies: [{ service: db, timeout: 1s, cache: { ttl: 10m, hit_ratio: 90% } }] }
  db:",
        change: IS_DOWN,
        reason: "cache-expired",
        sentence: "the answers of db that web keeps have expired (after 10 min) (100%)",
        caption: "cache of db expired",
    },
    Case {
        services: "
  web: { dependencies: [{ service: store, timeout: 1s, cache: { ttl: 10m, hit_ratio: 90%, service: db } }] }
  store: { utilization: 60% }
  db:",
        change: IS_DOWN,
        reason: "cache-lost",
        sentence: "web has lost its cache of store, so every request is a call (100%)",
        caption: "cache of store lost",
    },
    Case {
        services: "
  web: { dependencies: [{ service: store, timeout: 1s, cache: { ttl: static, hit_ratio: 90%, service: db, refill: 10m } }] }
  store: { utilization: 60% }
  db:",
        change: "
targets: [{ service: db, modes: down }]
actions: [{ at: 10m, action: fix }]
horizon: 2h
",
        reason: "cache-cold",
        sentence: "the cache of store in web is cold and fills again (100%)",
        caption: "cache of store cold",
    },
];

impl Case {
    fn folder(&self) -> TempDir {
        let topology = format!(
            "version: 1\ntopology: shop\nservices:\n  notes:{}\nflows:\n  order: {{ steps: [web], rate: 100/s }}\n",
            self.services
        );
        let change = format!("version: 1\nchange: breaks{}", self.change);
        folder(&[("shop.yaml", &topology), ("breaks.yaml", &change)])
    }
}

#[test]
fn every_reason_why_requests_wait_is_named_in_every_output() {
    for case in &CASES {
        let folder = case.folder();
        let on = "shop.yaml --change breaks.yaml --trials 64 --quiet";
        let text = said(folder.path(), &format!("simulate {on} --format json"));
        let json: Value = serde_json::from_str(&text).unwrap();
        let reasons =
            json["waiting"].as_array().unwrap_or_else(|| panic!("{}: {text}", case.reason));
        let found = reasons.iter().find(|item| item["reason"] == case.reason);
        let found = found.unwrap_or_else(|| panic!("{}: {reasons:?}", case.reason));
        assert_eq!(found["p"], 1.0, "{}", case.reason);
        let sentence = case.sentence.strip_suffix(" (100%)").unwrap();
        assert_eq!(found["text"], sentence);
        let events: Vec<&Value> = json["example_trials"][0]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|step| step["events"].as_array().unwrap())
            .collect();
        assert!(events.iter().any(|event| *event == sentence), "{}: {events:?}", case.reason);
        for command in ["simulate", "check", "explain"] {
            let text = said(folder.path(), &format!("{command} {on}"));
            assert!(text.contains(case.sentence), "{command}, {}: {text}", case.reason);
        }
        for format in ["markdown", "html"] {
            let text = said(folder.path(), &format!("simulate {on} --format {format}"));
            assert!(text.contains("Why requests wait, or are refused"), "{}: {text}", case.reason);
        }
        let picture =
            said(folder.path(), "diagram shop.yaml --change breaks.yaml --trials 64 --quiet -o -");
        assert!(picture.contains(case.caption), "{}: {picture}", case.reason);
    }
}

#[test]
fn where_nothing_waits_no_reason_is_given() {
    let folder = folder(&[("shop.yaml", SHOP)]);
    let text = said(folder.path(), "simulate shop.yaml --break catalog --trials 64 --quiet");
    assert!(!text.contains("Why requests wait"), "{text}");
}

#[test]
fn a_diagnosis_says_for_what_requests_wait_if_a_candidate_broke() {
    let case = &CASES[3];
    let folder = case.folder();
    fs::write(
        folder.path().join("seen.yaml"),
        "version: 1\nobservation: orders fail\nobserved: [{ flow: order, state: failed }]\n",
    )
    .unwrap();
    let text = said(folder.path(), "diagnose shop.yaml --observed seen.yaml --quiet");
    assert!(text.contains("then all 200 threads of web wait for db"), "{text}");
}
