//! Explanations: cut sets and importance with names, the ways that failure took, protections.

use blastwave::analysis::explain::ExplanationRequest;
use blastwave::analysis::{Settings, Stop, explain_flows};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::model::{Change, Topology};
use blastwave::render;
use blastwave::report::ExplainReport;
use blastwave::report::explain::{FlowExplained, PathReport};
use blastwave::report::{EstimationMethod, FailureOrigin, PartKind, Protection, UnknownKind};

use crate::chain::chain;
use crate::exact::{dense, topology};

const SHOP: &str = "
version: 1
topology: shop
services:
  storefront:
    dependencies:
      - orders
      - { service: reviews, criticality: soft, timeout: 1s }
      - { service: search, timeout: 1s, fallback: static }
  orders: { dependencies: [payments, { any_of: [inventory-db, inventory-replica] }] }
  payments: { availability: 99.9% }
  inventory-db: { availability: 99% }
  inventory-replica: { availability: 98% }
  reviews: { availability: 90% }
  search: { availability: 95% }
flows:
  place-order: { steps: [storefront], rate: 10/s }
";

fn asked(topology: &Topology, breaks: &[&str], asked: ExplanationRequest) -> ExplainReport {
    let breaks: Vec<String> = breaks.iter().map(|broken| (*broken).to_owned()).collect();
    let change = if breaks.is_empty() {
        Change::from_targets("nothing", Vec::new())
    } else {
        Change::from_breaks(&breaks, topology, &mut Sources::default()).unwrap()
    };
    let settings = Settings { stop: Stop::Trials(4_096), is_certain: true, ..Settings::default() };
    let asked = ExplanationRequest { has_change: !breaks.is_empty(), ..asked };
    explain_flows(topology, &change, &settings, &asked, &Silent).unwrap()
}

fn only_flow(report: &ExplainReport) -> &FlowExplained {
    assert_eq!(report.flows.len(), 1);
    &report.flows[0]
}

/// The cut sets as `a+b`.
fn sets(flow: &FlowExplained) -> Vec<String> {
    let cut_sets = flow.cut_sets.as_ref().expect("cut sets were found");
    let names = |set: &blastwave::report::explain::CutSetReport| {
        set.events.iter().map(|event| event.name.clone()).collect::<Vec<_>>().join("+")
    };
    cut_sets.sets.iter().map(names).collect()
}

fn way<'a>(flow: &'a FlowExplained, through: &[&str]) -> Option<&'a PathReport> {
    flow.paths.iter().find(|path| path.through == through)
}

#[test]
fn a_flow_is_explained_by_the_smallest_sets_of_what_fails_it() {
    let report = asked(&topology(SHOP), &[], ExplanationRequest::default());
    let flow = only_flow(&report);
    assert_eq!(
        sets(flow),
        ["payments", "inventory-db+inventory-replica", "orders", "storefront"],
        "likelier ones first, then smaller ones"
    );
    let cut_sets = flow.cut_sets.as_ref().unwrap();
    assert_eq!((cut_sets.count, cut_sets.complete_to_order), (4, None));
    let exact = flow.unit.failed.exact.expect("it is exact");
    assert!((exact - (0.001 + 0.999 * 0.01 * 0.02)).abs() < 1e-15, "{exact}");
    assert!((cut_sets.sets[1].probability - 0.0002).abs() < 1e-15);
    assert!((cut_sets.sets[1].share.unwrap() - 0.0002 / exact).abs() < 1e-12);
}

#[test]
fn sets_larger_than_wanted_are_left_out_and_that_is_said() {
    let wanted = ExplanationRequest { max_order: Some(1), ..ExplanationRequest::default() };
    let report = asked(&topology(SHOP), &[], wanted);
    let cut_sets = only_flow(&report).cut_sets.clone().unwrap();
    assert_eq!((cut_sets.count, cut_sets.complete_to_order), (3, Some(1)));
    let text = render::text::render_explanation(&report, &render::text::TextStyle::default());
    assert!(text.contains("of at most 1: larger ones were not looked for"), "{text}");
}

#[test]
fn importance_follows_its_definitions() {
    let report = asked(&topology(SHOP), &[], ExplanationRequest::default());
    let flow = only_flow(&report);
    let p = flow.unit.failed.exact.unwrap();
    let of = |kind: &str, name: &str| {
        let found = flow
            .importance
            .iter()
            .find(|importance| importance.kind.as_str() == kind && importance.name == name);
        found.unwrap_or_else(|| panic!("{kind} {name} has no importance"))
    };
    let replica = of("service", "inventory-replica");
    let (if_failed, if_works) = (0.001 + 0.999 * 0.01, 0.001);
    let near = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{found} {expected}");
    };
    near(replica.birnbaum.value, if_failed - if_works);
    near(replica.failed_if_failed, if_failed);
    near(replica.failed_if_works, if_works);
    near(replica.criticality.unwrap(), 0.02 * (if_failed - if_works) / p);
    near(replica.fussell_vesely.unwrap(), 0.02 * if_failed / p);
    near(replica.risk_achievement_worth.unwrap(), if_failed / p);
    near(replica.risk_reduction_worth.unwrap(), p / if_works);
    assert_eq!(of("dependency", "orders>payments").method, EstimationMethod::Exact);
    assert!(
        !flow.importance.iter().any(|importance| importance.name == "reviews"),
        "a soft one does not matter"
    );
    assert_eq!(of("service", "storefront").birnbaum.value, 1.0 - p);
}

/// Failure may come by either of two services, and be held at a third.
const DIAMOND: &str = "
version: 1
topology: diamond
services:
  top: { dependencies: [left, right, { service: cushion, criticality: soft, timeout: 1s }] }
  left: { dependencies: [bottom] }
  right: { dependencies: [{ service: bottom, propagation: 50% }] }
  cushion: { dependencies: [bottom] }
  bottom:
flows:
  buy: { steps: [top] }
";

#[test]
fn every_way_that_failure_took_is_counted() {
    let report = asked(&topology(DIAMOND), &["bottom"], ExplanationRequest::default());
    let flow = only_flow(&report);
    let left = way(flow, &["bottom", "left", "top", "buy"]).expect("it went by the left");
    assert_eq!((left.trials, left.origin, left.contained_by), (4_096, FailureOrigin::Target, None));
    let right = way(flow, &["bottom", "right", "top", "buy"]).expect("it went by the right");
    let error = (0.25 / 4_096.0_f64).sqrt();
    assert!((right.share - 0.5).abs() < 5.0 * error, "{}", right.share);
    let held = way(flow, &["bottom", "cushion", "top"]).expect("it was held at the cushion");
    assert_eq!((held.trials, held.contained_by), (4_096, Some(Protection::Soft)));
    let unlucky = way(flow, &["bottom", "right"]).expect("luck held it at the right");
    assert_eq!(unlucky.contained_by, Some(Protection::Propagation));
    assert_eq!(unlucky.trials + right.trials, 4_096);
}

#[test]
fn a_break_is_the_only_cause_of_its_explanation() {
    let report = asked(&topology(DIAMOND), &["bottom"], ExplanationRequest::default());
    let flow = only_flow(&report);
    assert_eq!(sets(flow), ["bottom"]);
    assert_eq!(flow.unit.failed.exact, Some(1.0));
    let target =
        flow.importance.iter().find(|importance| importance.kind == PartKind::Target).unwrap();
    assert_eq!((target.name.as_str(), target.birnbaum.value), ("bottom", 1.0));
    assert_eq!(target.risk_reduction_worth, None, "without it nothing fails");
}

#[test]
fn a_protection_saves_what_would_be_lost_without_it() {
    let text = "
version: 1
topology: cushioned
services:
  top:
    dependencies:
      - { service: hard, timeout: 1s }
      - { service: soft, criticality: soft, timeout: 1s }
  hard:
  soft:
flows:
  buy: { steps: [top] }
";
    let report = asked(&topology(text), &["soft"], ExplanationRequest::default());
    let soft = report
        .containment
        .iter()
        .find(|containment| containment.protection == Protection::Soft)
        .unwrap();
    assert_eq!((soft.caller.as_str(), soft.dependency.as_str()), ("top", "soft"));
    assert_eq!((soft.exposed, soft.contained, soft.passed), (1.0, 1.0, 0.0));
    let saved = soft.saved.expect("it was tried out");
    assert_eq!((saved.value, saved.low, saved.high), (1.0, Some(1.0), Some(1.0)));
    let timeout = report
        .containment
        .iter()
        .find(|containment| containment.protection == Protection::Timeout)
        .unwrap();
    assert_eq!(timeout.saved.unwrap().value, 0.0, "what fails fast needs no timeout");
}

#[test]
fn an_unstated_capacity_may_matter() {
    let text = "
version: 1
topology: spare
services:
  top: { dependencies: [{ service: main, timeout: 1s, fallback: spare }] }
  main:
  spare:
  other: { dependencies: [spare] }
flows:
  buy: { steps: [top], rate: 100/s }
  look: { steps: [other], rate: 50/s }
";
    let report = asked(&topology(text), &["main"], ExplanationRequest::default());
    let found = report
        .unknowns
        .iter()
        .find(|unknown| unknown.what == UnknownKind::Capacity)
        .expect("it matters");
    assert_eq!((found.caller.as_str(), found.dependency.as_str()), ("spare", ""));
    assert!(found.best < found.worst, "{found:?}");
}

#[test]
fn what_is_not_boolean_is_explained_from_trials() {
    let text = SHOP.replace(
        "payments: { availability: 99.9% }",
        "payments: { availability: 90%, utilization: 50% }",
    );
    let shop = topology(&text);
    let change = Change::from_targets("nothing", Vec::new());
    let demanded = ExplanationRequest { exact: true, ..ExplanationRequest::default() };
    let refused = explain_flows(&shop, &change, &Settings::default(), &demanded, &Silent);
    assert!(refused.unwrap_err().to_string().contains("utilization"));
    let report = asked(&shop, &[], ExplanationRequest::default());
    assert!(report.exact.reason.as_ref().unwrap().contains("utilization"));
    let flow = only_flow(&report);
    assert_eq!(flow.unit.failed.exact, None);
    assert_eq!(sets(flow)[0], "payments");
    assert!(flow.cut_sets.as_ref().unwrap().simplified.is_some());
    let payments = flow.importance.iter().find(|importance| importance.name == "payments").unwrap();
    let birnbaum = payments.birnbaum;
    assert_eq!(payments.method, EstimationMethod::Trials);
    assert!(birnbaum.low.unwrap() <= birnbaum.value && birnbaum.value <= birnbaum.high.unwrap());
    assert!(birnbaum.value > 0.99, "{birnbaum:?}");
}

#[test]
fn every_explanation_validates_and_does_not_depend_on_threads() {
    let schema = serde_json::from_str(blastwave::report::schema::EXPLAIN).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let utilized = SHOP.replace("99.9%", "99%, utilization: 50%");
    for (text, breaks) in [
        (SHOP, vec![]),
        (SHOP, vec!["payments:slow"]),
        (DIAMOND, vec!["bottom"]),
        (&utilized, vec![]),
    ] {
        let topology = topology(text);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| asked(&topology, &breaks, ExplanationRequest::default()))
        };
        let json = render::json::render_explanation(&on(1));
        assert_eq!(json, render::json::render_explanation(&on(3)));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let problems: Vec<String> =
            validator.iter_errors(&value).map(|iter_error| iter_error.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}");
        assert!(value["flows"][0]["failed"]["p"].is_number());
        let read: ExplainReport = serde_json::from_str(&json).unwrap();
        assert_eq!(render::json::render_explanation(&read), json);
        assert!(render::markdown::render_explanation(&read).contains("fails in"));
    }
}

#[test]
fn a_chain_of_500_services_is_explained_wholly() {
    let chain = chain(500);
    let report = asked(&chain, &[], ExplanationRequest::default());
    let flow = only_flow(&report);
    let cut_sets = flow.cut_sets.as_ref().unwrap();
    assert_eq!(cut_sets.complete_to_order, None);
    assert!(cut_sets.count >= 500, "{}", cut_sets.count);
    assert!(report.exact.used);
    assert!(flow.importance.iter().all(|importance| importance.method == EstimationMethod::Exact));
}

#[test]
fn a_dense_topology_ends_by_its_limit_and_says_so() {
    let report = asked(&dense(60), &[], ExplanationRequest::default());
    let flow = only_flow(&report);
    let reason = report.exact.reason.as_ref().expect("it is too large");
    assert!(reason.contains("the decision diagrams grow beyond"), "{reason}");
    // The probabilities and the cut sets have limits of their own.
    let said = flow.no_cut_sets.as_deref();
    assert_eq!(said.is_some(), flow.cut_sets.is_none());
    assert!(said.is_none_or(|said| said.contains("the decision diagrams grow beyond")), "{said:?}");
    assert!(flow.unit.failed.exact.is_none());
}

#[test]
fn many_thousand_sets_are_counted_without_being_listed() {
    let mut text = "version: 1\ntopology: wide\nservices:\n".to_owned();
    let groups: Vec<String> = (0..9)
        .map(|group| {
            let parts: Vec<String> = (0..4).map(|part| format!("part-{group}-{part}")).collect();
            for part in &parts {
                text += &format!("  {part}: {{ availability: 99% }}\n");
            }
            text += &format!("  group-{group}: {{ dependencies: [{}] }}\n", parts.join(", "));
            format!("group-{group}")
        })
        .collect();
    text += &format!("flows:\n  order: {{ steps: [{{ any_of: [{}] }}] }}\n", groups.join(", "));
    let topology = topology(&text);
    let report = asked(&topology, &[], ExplanationRequest::default());
    let cut_sets = only_flow(&report).cut_sets.clone().unwrap();
    // Each of nine groups goes by itself or by one of its four parts.
    assert_eq!(cut_sets.count, 5_u64.pow(9));
    assert_eq!(cut_sets.sets.len(), 50);
    assert_eq!(cut_sets.complete_to_order, None);
}
