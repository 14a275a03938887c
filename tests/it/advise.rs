//! Advice: it finds a protection that was taken away, and recommends nothing that its own interval
//! does not support.

use crate::support::program;
use blastwave::analysis::advise::{Advice, FileTexts, Until, Wanted, find_advice};
use blastwave::analysis::{Gate, Settings, Stop, advise};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::cost::Cost;
use blastwave::model::{Change, Costs, Topology};
use blastwave::policy::Policy;
use blastwave::report::AdviceKind;
use blastwave::report::AdviseReport;
use blastwave::report::schema;

use crate::exact::topology;
use crate::topologies::change;

fn webshop_without(protection: &str) -> Topology {
    let path = format!("{}/topologies/webshop.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(protection), "{protection} is not in the webshop");
    let text = text.replacen(protection, "", 1);
    topology(&text)
}

fn advised(topology: &Topology, broken: &str) -> AdviseReport {
    let breaks = [broken.to_owned()];
    let change = Change::from_breaks(&breaks, topology, &mut Sources::default()).unwrap();
    let settings = Settings { stop: Stop::Trials(512), is_certain: true, ..Settings::default() };
    let report = advise(topology, &change, &[], &settings, &Silent);
    let json = serde_json::to_value(&report).unwrap();
    let schema = serde_json::from_str(schema::ADVISE).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &json) {
        panic!("{error}");
    }
    report
}

#[test]
fn a_protection_that_was_taken_from_the_webshop_is_found() {
    let cases = [
        (
            ", fallback: { service: catalog/list, works: 90% }",
            "search",
            "fallback",
            "storefront/search > search",
        ),
        (", validates: true", "prices:corrupt", "validation", "orders/place > prices"),
        (", fallback: static", "prices", "fallback", "orders/place > prices"),
    ];
    for (protection, broken, kind, at) in cases {
        let report = advised(&webshop_without(protection), broken);
        let is_it = |advice: &&blastwave::report::advise::AdviceReport| {
            advice.kind.as_str() == kind && advice.at == at
        };
        assert!(report.alone.iter().find(is_it).is_some(), "{protection}: {:#?}", report.alone);
    }
}

#[test]
fn nothing_is_recommended_that_its_interval_does_not_support() {
    for broken in ["payments:slow", "orders-db", "email"] {
        let report = advised(&webshop_without(", validates: true"), broken);
        assert!(report.alone.iter().chain(&report.together).all(|alone| alone.saved.low > 0.0));
        assert!(report.after <= report.before);
    }
}

#[test]
fn what_is_left_out_is_not_recommended() {
    let shop = webshop_without(", validates: true");
    let breaks = ["payments:slow".to_owned()];
    let change = Change::from_breaks(&breaks, &shop, &mut Sources::default()).unwrap();
    let settings = Settings { stop: Stop::Trials(512), is_certain: true, ..Settings::default() };
    let left_out = [AdviceKind::Soft, AdviceKind::Fallback];
    let report = advise(&shop, &change, &left_out, &settings, &Silent);
    assert!(!report.alone.is_empty());
    let kinds = report.alone.iter().chain(&report.together).map(|alone| alone.kind);
    for kind in kinds {
        assert!(!left_out.contains(&kind), "{kind}");
    }
}

/// A topology, a change to it and advice about both.
fn asked(topology: &Topology, change: &Change, costs: &Costs, until: Option<Until<'_>>) -> Advice {
    let settings = Settings { stop: Stop::Trials(64), ..Settings::default() };
    let wanted = Wanted { leave_out: &[], costs, until };
    let advice = find_advice(topology, change, &wanted, &settings, &Silent);
    let json = serde_json::to_value(&advice.report).unwrap();
    let schema = serde_json::from_str(schema::ADVISE).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &json) {
        panic!("{error}");
    }
    advice
}

fn folder(path: &str) -> Vec<std::path::PathBuf> {
    let path = format!("{}/topologies/{path}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(path).unwrap();
    let mut all: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn advice_written_into_the_shipped_files_reads_back_as_what_was_simulated_and_keeps_comments() {
    let mut edited = 0;
    for of in folder("changes") {
        let name = of.file_name().unwrap().to_str().unwrap();
        let text =
            std::fs::read_to_string(of.parent().unwrap().with_file_name(format!("{name}.yaml")));
        let text = text.unwrap();
        let shop = topology(&text);
        let path = folder(&format!("changes/{name}")).remove(0);
        let change_text = std::fs::read_to_string(path).unwrap();
        let breaks = change(&shop, &change_text);
        let costs = Costs::default();
        let advice = asked(&shop, &breaks, &costs, None);
        let texts = FileTexts { topology: Some(&text), change: Some(&change_text) };
        let written = advice.write_files(texts);
        assert_eq!(written.left_out, [], "{name}");
        let is_comment = |line: &&str| line.contains('#');
        for (before, after) in [(&text, &written.topology), (&change_text, &written.change)] {
            let Some(after) = after else { continue };
            edited += 1;
            let kept = |line: &str| after.contains(&line[line.find('#').unwrap()..]);
            assert!(before.lines().filter(is_comment).all(kept), "{name}: comments");
        }
        let with = topology(written.topology.as_ref().unwrap_or(&text));
        let after = change(&with, written.change.as_ref().unwrap_or(&change_text));
        // As it is now, what was written loses what was foretold, to the last digit.
        let again = asked(&with, &after, &costs, None).report;
        assert_eq!(again.before, advice.report.after, "{name}");
    }
    assert!(edited > 10, "{edited} files were edited");
}

#[test]
fn what_has_no_file_or_no_form_that_can_be_edited_is_named() {
    let text = "
version: 1
topology: shared
services:
  top: { dependencies: &calls [payments] }
  twin: { dependencies: *calls }
  payments: {}
flows:
  buy: { steps: [top] }
";
    let shop = topology(text);
    let breaks = ["payments:slow".to_owned()];
    let breaks = Change::from_breaks(&breaks, &shop, &mut Sources::default()).unwrap();
    let advice = asked(&shop, &breaks, &Costs::default(), None);
    assert!(!advice.report.together.is_empty());
    for (topology, reason) in [(Some(text), "anchor"), (None, "no single file")] {
        let written = advice.write_files(FileTexts { topology, change: None });
        assert_eq!(written.topology, None);
        assert_eq!(written.left_out.len(), advice.report.together.len());
        assert!(written.left_out.iter().all(|(_, why)| why.contains(reason)), "{written:?}");
    }
}

#[test]
fn costs_decide_what_comes_first() {
    let shop = webshop_without(", validates: true");
    let breaks = ["payments:slow".to_owned()];
    let breaks = Change::from_breaks(&breaks, &shop, &mut Sources::default()).unwrap();
    let kind = |kind: AdviceKind, cost| Cost { kind, at: None, cost };
    let costs = Costs {
        name: "ours".to_owned(),
        default: 1.0,
        protections: vec![kind(AdviceKind::Soft, 1000.0), kind(AdviceKind::Fallback, 0.5)],
    };
    let report = asked(&shop, &breaks, &costs, None).report;
    assert_eq!(report.costs.as_deref(), Some("ours"));
    assert_eq!(report.alone[0].kind, AdviceKind::Fallback);
    let worth: Vec<f64> = report.alone.iter().map(|alone| alone.saved_per_cost.value).collect();
    assert!(worth.is_sorted_by(|a, b| a >= b), "{worth:?}");
    for alone in report.alone.iter().chain(&report.together) {
        assert!((alone.saved_per_cost.value * alone.cost - alone.saved.value).abs() < 1e-9);
    }
    let soft = report.alone.iter().find(|alone| alone.kind == AdviceKind::Soft).unwrap();
    assert!(soft.cost >= 1000.0, "{}", soft.cost);
}

/// The smallest set with which a policy of one rule lets a break of payments pass.
fn until(text: &str, rule: &str) -> Advice {
    let shop = topology(text);
    let breaks = ["payments:slow".to_owned()];
    let breaks = Change::from_breaks(&breaks, &shop, &mut Sources::default()).unwrap();
    let policy = format!(
        "version: 1\npolicy: ours\nrules: [{{ name: a, when: '{rule}', verdict: stop }}]\n"
    );
    let mut sources = Sources::default();
    let document = load::parse_document("policy", policy.into_bytes(), &mut sources).unwrap();
    let policy = Policy::from_document(&document, &sources, Some(&shop)).unwrap();
    let gate = Gate { policy: Some((&policy, false)), ..Gate::default() };
    asked(&shop, &breaks, &Costs::default(), Some(Until { gate, first_look: 200 }))
}

const TWO_WAYS: &str = "
version: 1
topology: two ways
services:
  top: { dependencies: [left, right] }
  left: { dependencies: [{ service: payments, timeout: 1s }] }
  right: { dependencies: [{ service: payments, timeout: 1s }] }
  payments:
flows:
  buy: { steps: [top] }
";

#[test]
fn the_smallest_set_that_turns_the_verdict_is_found() {
    let advice = until(TWO_WAYS, "services[\"left\"].failed.p > 0.5");
    let found = advice.report.until.as_ref().unwrap();
    assert_eq!((found.before.as_str(), found.after.as_str()), ("stop", "proceed"));
    assert!(found.reached && found.reasons.is_empty());
    assert_eq!(found.steps.len(), 1, "{:#?}", found.steps);
    assert_eq!(found.steps[0].at, "left > payments");
    let both = "services[\"left\"].failed.p > 0.5 || services[\"right\"].failed.p > 0.5";
    let advice = until(TWO_WAYS, both);
    let found = advice.report.until.as_ref().unwrap();
    assert_eq!((found.reached, found.steps.len()), (true, 2), "{:#?}", found.steps);
    let written = advice.write_files(FileTexts { topology: Some(TWO_WAYS), change: None });
    assert_eq!(written.topology.unwrap().matches("payments, timeout: 1s, ").count(), 2);
}

#[test]
fn it_is_said_where_nothing_turns_the_verdict() {
    let advice = until(TWO_WAYS, "services[\"payments\"].failed.p > 0.5");
    let found = advice.report.until.as_ref().unwrap();
    assert_eq!((found.reached, found.after.as_str()), (false, "stop"));
    assert!(!found.reasons.is_empty());
    let style = blastwave::render::text::TextStyle::default();
    let said = blastwave::render::text::render_advice(&advice.report, &style);
    assert!(
        said.starts_with("Nothing that was tried turns the verdict of the policy `ours`"),
        "{said}"
    );
}

#[test]
fn what_is_within_noise_is_named_apart() {
    let report = advised(&webshop_without(", validates: true"), "payments:slow");
    assert_eq!(report.noise.len() as u64, report.within_noise);
    let is_named = |noise: &blastwave::report::advise::NoiseReport| {
        report.alone.iter().any(|alone| alone.kind == noise.kind && alone.at == noise.at)
    };
    assert!(!report.noise.iter().any(is_named));
}

#[test]
fn a_patch_is_written_beside_the_report_and_applies() {
    let folder = tempfile::tempdir().unwrap();
    let shop = TWO_WAYS.replace("[left, right]", "[left]");
    std::fs::write(folder.path().join("shop.yaml"), shop).unwrap();
    let run = |args: &[&str]| {
        let output = program(folder.path())
            .args(["advise", "shop.yaml", "--break", "payments", "--trials", "64"])
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["-o", "help.patch"]).starts_with("What helps most"));
    let patch = std::fs::read_to_string(folder.path().join("help.patch")).unwrap();
    assert!(patch.starts_with("--- a/shop.yaml\n+++ b/shop.yaml\n@@ "), "{patch}");
    run(&["-o", "new.yaml"]);
    let new = std::fs::read_to_string(folder.path().join("new.yaml")).unwrap();
    let added = |text: &str, sign: &str| {
        let lines = text.lines().filter_map(|text| text.strip_prefix(sign)).map(str::to_owned);
        lines.filter(|item| !item.starts_with("++")).collect::<Vec<_>>()
    };
    assert!(!added(&patch, "+").is_empty());
    assert!(added(&patch, "+").iter().all(|line| new.lines().any(|new| new == line)), "{new}");
    assert!(run(&["--format", "csv"]).starts_with("list,rank,kind,at,"));
}

/// A small shop whose change breaks by waiting, and the protection that helps.
struct WaitingCase {
    services: &'static str,
    change: &'static str,
    kind: AdviceKind,
    at: &'static str,
    written: &'static str,
}

#[test]
fn what_fails_by_waiting_is_advised_against() {
    let cases = [
        WaitingCase {
            services: "
  web: { dependencies: [{ service: store, timeout: 1s, cache: { ttl: static, hit_ratio: 90%, service: cache, refill: 20m } }] }
  store: { utilization: 60% }
  cache: { kind: cache }",
            change: "targets: [{ service: cache, modes: down }]\nactions: [{ at: 10m, action: fix }]\nhorizon: 3h\n",
            kind: AdviceKind::WarmCache,
            at: "web > store",
            written: "refill: 0s",
        },
        WaitingCase {
            services: "
  web: { dependencies: [{ service: db, timeout: 1s, retries: 3 }] }
  db: { utilization: 70%, queue: unbounded }",
            change: "targets: [{ service: db, modes: down, severity: 60% }]\nactions: [{ at: 10m, action: fix }]\nhorizon: 3h\n",
            kind: AdviceKind::RetryBudget,
            at: "web > db",
            written: "retry_budget: 10%",
        },
        WaitingCase {
            services: "
  web: { utilization: 40%, concurrency: 100, latency: { median: 50ms, p99: 200ms }, dependencies: [{ service: fraud, timeout: 10s, criticality: soft }] }
  fraud:",
            change: "targets: [{ service: fraud, modes: slow }]\nactions: [{ at: 30m, action: fix }]\nhorizon: 2h\n",
            kind: AdviceKind::Bulkhead,
            at: "web > fraud",
            written: "max_in_flight: 25",
        },
    ];
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        let shop = format!(
            "version: 1\ntopology: shop\nservices:{}\nflows:\n  order: {{ steps: [web], rate: 100/s }}\n",
            case.services
        );
        std::fs::write(folder.path().join("shop.yaml"), shop).unwrap();
        let change = format!("version: 1\nchange: breaks\n{}", case.change);
        std::fs::write(folder.path().join("breaks.yaml"), change).unwrap();
        let output = program(folder.path())
            .args(["advise", "shop.yaml", "--change", "breaks.yaml", "--trials", "64"])
            .args(["--format", "json", "--quiet"])
            .output()
            .unwrap();
        let report: AdviseReport =
            serde_json::from_slice(&output.stdout).expect("it ends with a report");
        let found = report.alone.iter().find(|item| item.kind == case.kind && item.at == case.at);
        let found = found.unwrap_or_else(|| panic!("{:?}: {:#?}", case.kind, report.alone));
        assert!(found.edits.iter().any(|edit| edit.yaml.contains(case.written)), "{found:#?}");
    }
}
