//! What is not stated and matters has a best and a worst: timeouts before queues, and pools of unknown use.

use blastwave::analysis::{Check, Gate, Settings, Stop, simulate_change};
use blastwave::diagnostic::Sources;
use blastwave::engine::Silent;
use blastwave::load;
use blastwave::model::{Change, Topology};
use blastwave::policy::Policy;
use blastwave::report::{Decision, Report, Unknown, UnknownKind};

fn read(topology: &str, change: &str) -> (Topology, Change) {
    let mut sources = Sources::default();
    let mut document = |name: &str, text: String| {
        load::parse_document(name, text.into_bytes(), &mut sources).unwrap()
    };
    let topology = Topology::from_document(&document(
        "t.yaml",
        format!("version: 1\ntopology: t\n{topology}"),
    ))
    .unwrap();
    let change = Change::from_document(
        &document("c.yaml", format!("version: 1\nchange: c\n{change}")),
        &topology,
    )
    .unwrap();
    (topology, change)
}

fn simulated(topology: &str, change: &str) -> Report {
    let (topology, change) = read(topology, change);
    let settings = Settings { stop: Stop::Trials(128), ..Settings::default() };
    simulate_change(&topology, &change, &settings, &Silent)
}

fn decision(topology: &str, change: &str) -> Decision {
    let (topology, change) = read(topology, change);
    let policy = Policy::default_policy(&mut Sources::default());
    let gate = Gate { policy: Some((&policy, true)), max_trials: 16_384, ..Gate::default() };
    let settings = Settings { stop: Stop::Trials(128), ..Settings::default() };
    let check = Check::new(&topology, &change, &gate, &settings);
    check.unwrap_or_else(|_| panic!("the default policy is affordable")).verdict(&Silent).decision
}

fn unknowns_of(report: &Report, kind: UnknownKind) -> Vec<&Unknown> {
    report.unknowns.iter().filter(|unknown| unknown.what == kind).collect()
}

/// A shop before a queue, with something more to say about the call.
fn queue_behind(call: &str) -> String {
    format!(
        "services:\n  shop: {{ dependencies: [{{ service: orders-db{call} }}] }}\n  \
         orders-db: {{ utilization: 80% }}\n  mail: {{}}\n\
         flows: {{ buy: {{ steps: [shop], rate: 100/s, critical: true }} }}\n"
    )
}

/// So much of the capacity is away for 40 minutes, for which nothing that is changed is to blame.
fn capacity_away(percent: u32) -> String {
    format!(
        "failure_probability: 50%\ntargets: [mail]\n\
         rollout: all-at-once\ndetection: 0s\nrollback: 2h\nhorizon: 6h\n\
         actions: [{{ at: 10m, action: remove, target: orders-db, share: {percent}%, until: 50m }}]\n"
    )
}

#[test]
fn a_queue_whose_callers_state_no_timeout_is_an_unknown() {
    // Work gathers at 0.8 - 0.79 = 0.01 s a second: at the end requests wait 30 s, less than customers do.
    let report = simulated(&queue_behind(""), &capacity_away(21));
    let found = unknowns_of(&report, UnknownKind::Timeout);
    assert_eq!(found.len(), 1, "{:?}", report.unknowns);
    let unknown = found[0];
    assert_eq!((unknown.caller.as_str(), unknown.dependency.as_str()), ("shop", "orders-db"));
    assert_eq!((unknown.others, unknown.best), (0, 0.0));
    // With a timeout of 1 s all fail from 79 s on, until 24 s of work are done at 0.2 s a second.
    let worst = 100.0 * (2400.0 - 79.0 + 115.0);
    assert!((unknown.worst - worst).abs() < 0.01 * worst, "{unknown:?}");
    for stated in [", timeout: 1s", ", timeout: none"] {
        let report = simulated(&queue_behind(stated), &capacity_away(21));
        assert!(unknowns_of(&report, UnknownKind::Timeout).is_empty(), "{stated}");
    }
}

#[test]
fn a_verdict_that_turns_on_an_unstated_timeout_is_not_proceed() {
    let change = capacity_away(21);
    assert_eq!(decision(&queue_behind(", timeout: none"), &change), Decision::Proceed);
    assert_eq!(decision(&queue_behind(""), &change), Decision::Stop);
}

#[test]
fn a_verdict_that_does_not_turn_on_unstated_timeouts_stays_proceed() {
    // There is still more capacity than load: nothing queues up, whoever waits for how long.
    assert_eq!(decision(&queue_behind(""), &capacity_away(19)), Decision::Proceed);
}

#[test]
fn a_slow_target_whose_caller_states_no_timeout_is_an_unknown() {
    let topology = "services: { shop: { dependencies: [stock] }, stock: {} }\n\
                    flows: { buy: { steps: [shop], rate: 100/s } }\n";
    let slow = "targets: [{ service: stock, modes: { slow: { probability: 100%, adds: 3s } } }]\n";
    let report = simulated(topology, slow);
    let found = unknowns_of(&report, UnknownKind::Timeout);
    assert_eq!(found.len(), 1, "{:?}", report.unknowns);
    assert!(found[0].best == 0.0 && found[0].worst > 0.0, "{:?}", found[0]);
}

#[test]
fn three_hundred_calls_without_a_timeout_are_one_unknown() {
    let mut topology = "services:\n  orders-db: { utilization: 80% }\n".to_owned();
    for index in 0..300 {
        topology += &format!("  s{index:03}: {{ dependencies: [orders-db] }}\n");
    }
    // One order in four calls one of them, so that few wait twice.
    let step = |index| format!("{{ service: s{index:03}, call_probability: 0.1% }}");
    let steps: Vec<String> = (0..300).map(step).collect();
    topology += &format!("flows: {{ buy: {{ steps: [{}], rate: 1/s }} }}\n", steps.join(", "));
    topology = topology.replace("services:\n", "services:\n  mail: {}\n");
    let report = simulated(&topology, &capacity_away(21));
    let found = unknowns_of(&report, UnknownKind::Timeout);
    assert!(report.unknowns.len() <= 5, "{:?}", report.unknowns);
    let all = found.iter().find(|unknown| unknown.others > 0).expect("they are named together");
    assert_eq!(all.dependency, "orders-db");
    assert_eq!(all.others, 299, "{all:?}");
}

const STOREFRONT: &str = "\
services:
  storefront: { concurrency: 200, dependencies: [{ service: fraud, timeout: 3s, criticality: soft }] }
  fraud: {}
flows: { buy: { steps: [storefront], critical: true } }
";
const FRAUD_HANGS: &str = "failure_probability: 50%\ntargets: [{ service: fraud, modes: slow }]\n\
     rollout: all-at-once\ndetection: 1m\nrollback: 30m\nhorizon: 6h\n";

#[test]
fn threads_of_which_no_rate_is_stated_are_an_unknown() {
    let report = simulated(STOREFRONT, FRAUD_HANGS);
    let found = unknowns_of(&report, UnknownKind::PoolUse);
    assert_eq!(found.len(), 1, "{:?}", report.unknowns);
    let unknown = found[0];
    assert_eq!((unknown.caller.as_str(), unknown.dependency.as_str()), ("storefront", ""));
    assert!(unknown.best == 0.0 && unknown.worst > 0.5, "{unknown:?}");
    let assumed = |text: &str| report.assumptions.iter().any(|said| said.contains(text));
    assert!(assumed("a pool limits nothing"), "{:?}", report.assumptions);
    assert_ne!(decision(STOREFRONT, FRAUD_HANGS), Decision::Proceed);
}

#[test]
fn threads_of_known_use_are_no_unknown() {
    // 10 requests per second that hold a thread for 3.1 s are 31 of 200.
    let known = STOREFRONT
        .replace("concurrency: 200,", "concurrency: 200, latency: { median: 100ms, p99: 100ms },")
        .replace("steps: [storefront],", "steps: [storefront], rate: 10/s,");
    let report = simulated(&known, FRAUD_HANGS);
    assert!(unknowns_of(&report, UnknownKind::PoolUse).is_empty(), "{:?}", report.unknowns);
    assert_eq!(decision(&known, FRAUD_HANGS), Decision::Proceed);
}

#[test]
fn a_limit_on_calls_of_unknown_rate_is_an_unknown() {
    let topology = "\
services:
  shop: { dependencies: [{ service: fraud, timeout: 3s, max_in_flight: 20 }] }
  fraud: {}
flows: { buy: { steps: [shop] } }
";
    let late = "targets: [{ service: fraud, modes: { slow: { probability: 100%, adds: 2s } } }]\n";
    let report = simulated(topology, late);
    let found = unknowns_of(&report, UnknownKind::PoolUse);
    assert_eq!(found.len(), 1, "{:?}", report.unknowns);
    let unknown = found[0];
    assert_eq!((unknown.caller.as_str(), unknown.dependency.as_str()), ("shop", "fraud"));
    assert!(unknown.best < unknown.worst, "{unknown:?}");
}

#[test]
fn the_patience_of_customers_is_assumed_with_its_value_where_they_may_wait() {
    let says = |topology: &str| {
        let report = simulated(topology, &capacity_away(21));
        report.assumptions.iter().any(|said| said.contains("after 1m") && said.contains("buy"))
    };
    assert!(says(&queue_behind("")));
    assert!(!says(&queue_behind("").replace("rate: 100/s", "rate: 100/s, patience: 10s")));
}
