//! Queues, pools and late answers, against their closed forms.

use crate::closed_forms::report;

/// A shop whose database loses capacity for a minute, and gets it back.
struct Outage<'a> {
    /// The keys of the database.
    database: &'a str,
    /// The keys of the call.
    call: &'a str,
    /// The share of its capacity that is gone meanwhile.
    lost: f64,
    /// For how many seconds.
    seconds: f64,
    horizon: &'a str,
}

impl Outage<'_> {
    fn report(&self) -> blastwave::report::Report {
        let Self { database, call, lost, seconds, horizon } = self;
        let topology = format!(
            "
version: 1
topology: shop
services:
  web: {{ dependencies: [{{ service: db, {call} }}] }}
  db: {{ {database} }}
  notes:
flows:
  order: {{ steps: [web], rate: 100/s }}
"
        );
        let change = format!(
            "
version: 1
change: maintenance
targets: [notes]
actions:
  - {{ at: 0s, action: remove, target: db, share: {lost} }}
  - {{ at: {seconds}s, action: add-capacity, target: db, share: {lost} }}
  - {{ at: {seconds}s, action: fix }}
horizon: {horizon}
"
        );
        report(&topology, &change, 64)
    }
}

#[track_caller]
fn assert_within(found: f64, wanted: f64, part: f64) {
    assert!((found - wanted).abs() <= part * wanted.abs(), "{found}, not {wanted}");
}

/// When the flow first loses something, and when it last does, in seconds.
fn impact(report: &blastwave::report::Report) -> (f64, f64) {
    let course = &report.timeline;
    let at = |spread: &Option<blastwave::report::Spread>| spread.as_ref().expect("it fails").p50;
    (at(&course.impact_s), at(&course.over_s))
}

#[test]
fn a_service_collapses_when_the_wait_reaches_the_timeout() {
    // T C / (L - C), with C = c/u.
    for (used, left, timeout) in [(0.8, 0.5, 2.0), (0.6, 0.2, 1.0), (0.9, 0.75, 5.0)] {
        let database = format!("utilization: {used}, queue: unbounded");
        let call = format!("timeout: {timeout}s");
        let outage = Outage {
            database: &database,
            call: &call,
            lost: 1.0 - left,
            seconds: 600.0,
            horizon: "1h",
        };
        let capacity: f64 = left / used;
        assert_within(impact(&outage.report()).0, timeout * capacity / (1.0 - capacity), 0.01);
    }
}

#[test]
fn a_backlog_is_worked_off_by_what_capacity_is_left_over() {
    // B / (c - u L) until the wait is below the timeout again.
    for (used, left, seconds, timeout) in [(0.8, 0.01, 60.0, 1.0), (0.5, 0.1, 120.0, 3.0)] {
        let database = format!("utilization: {used}");
        let call = format!("timeout: {timeout}s");
        let outage =
            Outage { database: &database, call: &call, lost: 1.0 - left, seconds, horizon: "2h" };
        let backlog = (used - left) * seconds;
        let over = seconds + (backlog - timeout) / (1.0 - used);
        assert_within(impact(&outage.report()).1, over, 0.01);
    }
}

#[test]
fn a_backlog_stays_if_and_only_if_retries_bring_more_than_all_capacity() {
    // u (1 + R) against 1.
    for retries in 1..=3 {
        for (load, stays) in [(0.97, false), (1.03, true)] {
            let database = format!("utilization: {}", load / f64::from(1 + retries));
            let call = format!("timeout: 1s, retries: {retries}");
            let outage = Outage {
                database: &database,
                call: &call,
                lost: 0.99,
                seconds: 60.0,
                horizon: "2h",
            };
            let found = outage.report().metastable.iter().any(|service| service == "db");
            assert_eq!(found, stays, "{retries} retries, {load} of the capacity");
        }
    }
}

#[test]
fn a_queue_with_a_limit_refuses_what_does_not_fit() {
    // Full after Q / (u - c): then 1 - C/L is refused, and the wait Q/c is short enough for the others.
    let outage = Outage {
        database: "utilization: 80%, queue: 500ms",
        call: "timeout: 2s",
        lost: 0.5,
        seconds: 600.0,
        horizon: "1h",
    };
    let report = outage.report();
    assert_within(report.flows[0].failing_share, 1.0 - 0.5 / 0.8, 0.01);
    assert_within(impact(&report).0, 0.5 / (0.8 - 0.5), 0.01);
    assert_within(impact(&report).1, 600.0, 0.01);
}

#[test]
fn work_whose_callers_gave_up_is_thrown_away_where_the_service_says_so() {
    let outage = |call| Outage {
        database: "utilization: 80%, drop_expired: true",
        call,
        lost: 0.99,
        seconds: 60.0,
        horizon: "1h",
    };
    // Nobody tries again: over as soon as the capacity is back.
    let once = outage("timeout: 1s").report();
    assert_within(impact(&once).1, 60.0, 0.01);
    assert!(once.metastable.is_empty());
    // Retries keep the wait at the timeout: it stays.
    let again = outage("timeout: 1s, retries: 3").report();
    assert!(again.metastable.iter().any(|service| service == "db"));
    assert_within(again.flows[0].orders_lost.expect("a rate").mean, 360_000.0, 0.02);
}

#[test]
fn threads_that_hang_take_down_what_never_calls_the_hanging_service() {
    let topology = "
version: 1
topology: shop
services:
  web:
    latency: { median: 20ms, p99: 50ms }
    concurrency: 100
    endpoints:
      buy: { dependencies: [{ service: fraud, timeout: none }] }
      look:
  fraud:
flows:
  buy: { steps: [{ service: web/buy, timeout: 5s }], rate: 10/s }
  look: { steps: [{ service: web/look, timeout: 5s }], rate: 90/s }
";
    let change = "
version: 1
change: hangs
targets: [{ service: fraud, modes: slow }]
actions: [{ at: 10m, action: fix }]
horizon: 10m
";
    let unguarded = report(topology, change, 64);
    let look = unguarded.flows.iter().find(|flow| flow.name == "look").expect("a flow");
    assert_within(look.failing_share, 1.0, 0.001);
    // N / (lambda l) = 100 / 10 s; what comes then waits, and is given up 5 s later at the latest.
    let first = look.first_failed_s.as_ref().expect("it fails").p50;
    assert!((10.0..=15.1).contains(&first), "{first}");
    let guarded = topology.replace("timeout: none", "timeout: none, max_in_flight: 20");
    let limited = report(&guarded, change, 64);
    let look = limited.flows.iter().find(|flow| flow.name == "look").expect("a flow");
    assert!(look.failing_share < 1e-9, "{}", look.failing_share);
}

#[test]
fn late_is_not_failed() {
    let topology = "
version: 1
topology: shop
services:
  web: { dependencies: [{ service: stock, timeout: none }] }
  stock:
flows:
  order: { steps: [web], rate: 10/s, patience: 10s, objective: { latency: 800ms } }
";
    let late = |adds: &str, share: &str| {
        let change = format!(
            "
version: 1
change: slower
kind: infrastructure
targets: [{{ service: stock, severity: {share}, modes: {{ slow: {{ probability: 100%, adds: {adds} }} }} }}]
actions: [{{ at: 100s, action: fix }}]
horizon: 200s
"
        );
        let flow = report(topology, &change, 64).flows.remove(0);
        let late = flow.late.expect("it promises something");
        (flow.failing_share, late.p, late.count.expect("a rate"))
    };
    assert_eq!(late("500ms", "100%"), (0.0, 0.0, 0.0));
    let (failing, share, orders) = late("3s", "10%");
    assert!(failing == 0.0 && (share - 0.1).abs() < 1e-9);
    assert_within(orders, 100.0, 1e-6);
    let (failing, share, _) = late("30s", "100%");
    assert!((failing - 1.0).abs() < 1e-9 && share == 0.0);
}

#[test]
fn a_caller_that_gave_up_gets_no_further_attempts() {
    let failing = |total: &str| {
        let topology = format!(
            "
version: 1
topology: shop
services:
  web: {{ dependencies: [{{ service: api, timeout: {total} }}] }}
  api: {{ dependencies: [{{ service: db, timeout: 1s, retries: 3 }}] }}
  db:
flows:
  order: {{ steps: [web], rate: 10/s }}
"
        );
        let change = "
version: 1
change: hangs
kind: infrastructure
targets: [{ service: db, modes: slow, severity: 50% }]
";
        report(&topology, change, 64).flows[0].failing_share
    };
    // Attempts begin after 0, 1, 2 and 3 s.
    assert_within(failing("900ms"), 0.5, 1e-9);
    assert_within(failing("2s"), 0.25, 1e-9);
    assert_within(failing("2500ms"), 0.125, 1e-9);
    assert_within(failing("10s"), 0.0625, 1e-9);
}

#[test]
fn attempts_end_with_the_timeout_of_all_of_them() {
    let topology = "
version: 1
topology: shop
services:
  web: { dependencies: [{ service: db, attempt_timeout: 1s, timeout: 2500ms, retries: 9 }] }
  db:
flows:
  order: { steps: [web], rate: 10/s }
";
    let change = "
version: 1
change: hangs
kind: infrastructure
targets: [{ service: db, modes: slow, severity: 50% }]
";
    assert_within(report(topology, change, 64).flows[0].failing_share, 0.125, 1e-9);
}

#[test]
fn a_restart_leaves_a_backlog_behind_and_so_does_enough_capacity() {
    let orders_lost = |action: &str| {
        let topology = "
version: 1
topology: shop
services:
  web: { dependencies: [{ service: db, timeout: 1s, retries: 3 }] }
  db: { utilization: 70% }
  notes:
flows:
  order: { steps: [web], rate: 1/s }
";
        let change = format!(
            "
version: 1
change: maintenance
targets: [notes]
actions:
  - {{ at: 0s, action: remove, target: db, share: 99% }}
  - {{ at: 600s, action: add-capacity, target: db, share: 99% }}
  - {{ at: 600s, action: fix }}
  {action}
horizon: 2h
"
        );
        report(topology, &change, 64).flows[0].orders_lost.expect("a rate").mean
    };
    assert_within(orders_lost(""), 7_200.0, 0.001);
    assert_within(orders_lost("- { at: 1200s, action: restart, target: db }"), 1_200.0, 0.001);
    // Four times the capacity: what gathered in ten minutes at 2.79 s a second and ten at 1.8 shrinks by
    // what four attempts of everything leave over.
    let more = "- { at: 1200s, action: add-capacity, target: db, share: 100% }\n  ".repeat(3);
    let backlog = 600.0 * (2.8 - 0.01) + 600.0 * (2.8 - 1.0);
    assert_within(orders_lost(&more), 1_200.0 + backlog / (4.0 - 2.8), 0.01);
}

/// A shop in which orders ask either of two databases, and reports the first one.
const EITHER: &str = "
version: 1
topology: shop
services:
  web: { dependencies: [{ any_of: [db, spare], timeout: 2s }] }
  batch: { dependencies: [{ service: db, timeout: 2s }] }
  db: { utilization: 80%, queue: unbounded, replicas: { count: 20, domains: [a, b, c, d] } }
  spare:
  notes:
failure_domains: { a: {}, b: {}, c: {}, d: {} }
flows:
  order: { steps: [web], rate: 100/s }
  report: { steps: [batch], rate: 100/s }
";

/// Reports lost to a change, and the probability that they fail because of it.
fn lost_reports(change: &str) -> (f64, f64) {
    let report = report(EITHER, change, 64);
    let flow = report.flows.iter().find(|flow| flow.name == "report");
    // Of flows that are never hit nothing is said.
    flow.map_or((0.0, 0.0), |flow| {
        (flow.orders_lost.as_ref().map_or(0.0, |lost| lost.mean), flow.caused.failed.p)
    })
}

#[test]
fn a_wait_stays_at_the_limit_below_which_it_grows_and_above_which_it_shrinks() {
    for taken in [0.25, 0.3, 0.4] {
        let change = format!(
            "
version: 1
change: maintenance
targets: [notes]
actions: [{{ at: 0s, action: remove, target: db, share: {taken} }}]
horizon: 1h
"
        );
        // Orders are a third of what the database does in normal times, and ask the other one where it is
        // late. With a share s of late answers 0.8 (1 - s/3) of the work comes, and 1 - taken of it is done.
        let late = 3.0 * (1.0 - (1.0 - taken) / 0.8);
        let until = 2.0 * (1.0 - taken) / (0.8 - (1.0 - taken));
        let expected = 100.0 * late * (3600.0 - until);
        let lost = lost_reports(&change).0;
        assert!((lost / expected - 1.0).abs() < 0.01, "{taken}: {lost} instead of {expected}");
    }
}

#[test]
fn what_slides_without_the_change_too_is_not_blamed_on_it() {
    let lost = |targets: &str| {
        let change = format!(
            "
version: 1
change: maintenance
targets: [{targets}]
during: [a]
detection: {{ median: 5m }}
rollback: {{ median: 5m }}
horizon: 1h
"
        );
        lost_reports(&change)
    };
    assert_eq!(lost("notes"), (0.0, 0.0));
    assert!(lost("spare").0 > 0.0);
}
