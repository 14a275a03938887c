//! Warnings about waiting: each where it is due, and not where it is not.

use blastwave::diagnostic::{Code, Sources};
use blastwave::load;
use blastwave::model::{Change, Topology, lint};

fn document(text: &str) -> load::Document {
    load::parse_document("shop.yaml", text.as_bytes().to_vec(), &mut Sources::default()).unwrap()
}

fn topology(services: &str) -> Topology {
    let text = format!(
        "version: 1\ntopology: shop\nservices:{services}\nflows:\n  buy: {{ steps: [{{ service: web, timeout: 60s }}], rate: 10/s }}\n"
    );
    Topology::from_document(&document(&text)).unwrap()
}

fn warnings(services: &str) -> Vec<Code> {
    lint::lint_topology(&topology(services)).iter().map(|warning| warning.code).collect()
}

/// A warning, services that deserve it, and services that do not: the smallest difference between them.
const OF_TOPOLOGIES: [(Code, &str, &str); 5] = [
    (
        Code::LateRetries,
        "
  web: { dependencies: [{ service: cart, timeout: 2s }] }
  cart: { dependencies: [{ service: redis, timeout: 1s, retries: 2 }] }
  redis:",
        "
  web: { dependencies: [{ service: cart, timeout: 2s }] }
  cart: { dependencies: [{ service: redis, timeout: 1s, retries: 1 }] }
  redis:",
    ),
    (
        Code::LateRetries,
        "
  web: { dependencies: [{ service: cart, timeout: 2s }] }
  cart: { dependencies: [{ service: redis, timeout: 1s, retries: 2 }] }
  redis:",
        "
  web: { dependencies: [{ service: cart, timeout: 2s }] }
  cart: { dependencies: [{ service: redis, timeout: 2s, attempt_timeout: 1s, retries: 2 }] }
  redis:",
    ),
    (
        Code::LateFallback,
        "
  web: { dependencies: [{ service: cart, timeout: 1s }] }
  cart: { dependencies: [{ service: redis, timeout: 2s, fallback: static }] }
  redis:",
        "
  web: { dependencies: [{ service: cart, timeout: 1s }] }
  cart: { dependencies: [{ service: redis, timeout: 900ms, fallback: static }] }
  redis:",
    ),
    (
        Code::LongQueue,
        "
  web: { dependencies: [{ service: redis, timeout: 1s }] }
  redis: { utilization: 60%, queue: 2s }",
        "
  web: { dependencies: [{ service: redis, timeout: 1s }] }
  redis: { utilization: 60%, queue: 500ms }",
    ),
    (
        Code::SmallPool,
        "
  web: { concurrency: 20, dependencies: [{ service: fraud, timeout: 3s, criticality: soft }] }
  fraud:",
        "
  web: { concurrency: 20, dependencies: [{ service: fraud, timeout: 1s, criticality: soft }] }
  fraud:",
    ),
];

#[test]
fn calls_queues_and_pools_are_warned_of_where_due_and_nowhere_else() {
    for (code, due, fine) in OF_TOPOLOGIES {
        assert!(warnings(due).contains(&code), "{code} of {due}");
        assert!(!warnings(fine).contains(&code), "{code} of {fine}");
    }
}

fn warnings_of_change(targets: &str, stage: &str) -> Vec<Code> {
    let topology = topology(
        "
  web: { replicas: { count: 10, domains: [] }, endpoints: { buy: {}, browse: {} } }",
    );
    let text = format!(
        "version: 1\nchange: canary\ntargets: [{targets}]\nrollout: {{ stages: [{stage}, 100%] }}\n"
    );
    let change = Change::from_document(&document(&text), &topology).unwrap();
    lint::lint_change(&change, &topology).iter().map(|warning| warning.code).collect()
}

/// Ten requests a second: one second of a tenth of them is one.
#[test]
fn a_gate_is_warned_of_where_it_cannot_see_ten_failed_requests() {
    let cases = [
        ("web", "{ exposure: 10%, bake: 9s, catch_probability: 90% }", true),
        ("web", "{ exposure: 10%, bake: 10s, catch_probability: 90% }", false),
        ("web", "{ exposure: 10%, bake: 9s }", false),
        (
            "{ service: web, severity: 50% }",
            "{ exposure: 10%, bake: 19s, catch_probability: 90% }",
            true,
        ),
        (
            "{ service: web, severity: 50% }",
            "{ exposure: 10%, bake: 20s, catch_probability: 90% }",
            false,
        ),
        ("web/browse", "{ exposure: 100%, bake: 1h, catch_probability: 90% }", true),
    ];
    for (targets, stage, is_due) in cases {
        let found = warnings_of_change(targets, stage).contains(&Code::BlindGate);
        assert_eq!(found, is_due, "{targets}: {stage}");
    }
}

#[test]
fn a_stage_is_warned_of_that_is_no_whole_number_of_replicas() {
    for (stage, is_due) in
        [("{ exposure: 5%, bake: 1m }", true), ("{ exposure: 20%, bake: 1m }", false)]
    {
        let found = warnings_of_change("web", stage).contains(&Code::PartialReplica);
        assert_eq!(found, is_due, "{stage}");
    }
}

/// Without rates nothing is known of what a gate sees: it is not said to be blind.
#[test]
fn where_no_rate_is_known_no_gate_is_called_blind() {
    let text = "version: 1\ntopology: shop\nservices: { web: }\nflows: { buy: { steps: [web] } }\n";
    let topology = Topology::from_document(&document(text)).unwrap();
    let text = "version: 1\nchange: canary\ntargets: [web]\nrollout: { stages: [{ exposure: 1%, bake: 1s, catch_probability: 90% }, 100%] }\n";
    let change = Change::from_document(&document(text), &topology).unwrap();
    let found = lint::lint_change(&change, &topology);
    assert!(found.iter().all(|warning| warning.code != Code::BlindGate), "{found:?}");
}
