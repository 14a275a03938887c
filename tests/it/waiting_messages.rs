//! Messages, customers who think, caches that come back cold and open breakers, against their closed forms.

use crate::closed_forms::report;

#[track_caller]
fn assert_within(found: f64, wanted: f64, part: f64) {
    assert!((found - wanted).abs() <= part * wanted.abs(), "{found}, not {wanted}");
}

/// Orders that lead to a message each, and what becomes of them while the consumer breaks for so many seconds.
fn mails(
    utilization: f64,
    buffer: &str,
    target: &str,
    seconds: f64,
) -> blastwave::report::UnitReport {
    let topology = format!(
        "
version: 1
topology: shop
services:
  web: {{ dependencies: [{{ service: mailer, kind: async, buffer: {{ {buffer} }} }}] }}
  mailer: {{ utilization: {utilization} }}
flows:
  order: {{ steps: [web], rate: 20/s, objective: {{ latency: 15m }} }}
"
    );
    let change = format!(
        "
version: 1
change: consumer
kind: infrastructure
targets: [{{ service: mailer, {target} }}]
actions: [{{ at: {seconds}s, action: fix }}]
horizon: 48h
"
    );
    report(&topology, &change, 64).flows.remove(0)
}

#[test]
fn messages_that_wait_for_their_consumer_make_orders_late_and_lose_none() {
    // Late from when 15 min wait until what waits is worked off: (D - limit)/(1 - u).
    for (used, seconds) in [(0.5, 3600.0), (0.8, 3600.0), (0.3, 7200.0)] {
        let flow = mails(used, "holds: 4h, when_full: drop", "modes: down", seconds);
        let late = flow.late.expect("it promises something").count.expect("a rate");
        assert_within(late, 20.0 * (seconds - 900.0) / (1.0 - used), 0.001);
        assert_eq!(flow.orders_lost.expect("a rate").mean, 0.0);
        assert_eq!(flow.failing_share, 0.0);
    }
}

#[test]
fn a_consumer_that_hangs_or_fails_in_part_fills_the_buffer_by_what_it_does_not_take() {
    // Of a share s, 1 - (1 - s)/u of the full rate stays behind.
    for (mode, severity, used) in
        [("down", 0.6, 0.8), ("slow", 0.6, 0.8), ("down", 0.9, 0.5), ("down", 0.1, 0.8)]
    {
        let target = format!("modes: {mode}, severity: {severity}");
        let seconds = 10_000.0;
        let fills = f64::max(1.0 - (1.0 - severity) / used, 0.0);
        let late = mails(used, "holds: 48h, when_full: drop", &target, seconds).late;
        let late = late.map_or(0.0, |late| late.count.expect("a rate"));
        let most = fills * seconds;
        let drains = 1.0 / used - 1.0;
        let wanted = if most > 900.0 {
            20.0 * ((most - 900.0) / fills + (most - 900.0) / drains)
        } else {
            0.0
        };
        assert!((late - wanted).abs() <= 0.001 * wanted + 1e-6, "{late}, not {wanted}");
    }
}

#[test]
fn a_full_buffer_blocks_or_drops_what_the_consumer_does_not_take() {
    let fills = 1.0 - 0.4 / 0.8;
    let target = "modes: down, severity: 60%";
    let blocked = mails(0.8, "holds: 10m, when_full: block", target, 3600.0);
    let full = 600.0 / fills;
    assert_within(blocked.failing_share, fills, 1e-6);
    assert_within(blocked.orders_lost.expect("a rate").mean, 20.0 * fills * (3600.0 - full), 1e-4);
    let dropped = mails(0.8, "holds: 10m, when_full: drop", target, 3600.0);
    assert_eq!(dropped.orders_lost.expect("a rate").mean, 0.0);
    assert!(dropped.degraded.p > 0.99, "a lost message is something missing");
}

#[test]
fn the_broker_is_what_a_producer_needs() {
    let topology = "
version: 1
topology: shop
services:
  web: { dependencies: [broker, { service: mailer, kind: async, buffer: { holds: 4h, when_full: drop } }] }
  broker:
  mailer: { utilization: 50% }
flows:
  order: { steps: [web], rate: 20/s }
";
    let failing = |target: &str| {
        let change = format!(
            "
version: 1
change: break
kind: infrastructure
targets: [{target}]
actions: [{{ at: 10m, action: fix }}]
horizon: 1h
"
        );
        report(topology, &change, 64).flows[0].failing_share
    };
    assert_eq!(failing("broker"), 1.0);
    assert_eq!(failing("mailer"), 0.0);
}

/// The chance that `n` times of thinking, one after the other, take no longer than `seconds`.
fn erlang(n: u32, mean: f64, seconds: f64) -> f64 {
    let passed = seconds / mean;
    let (mut term, mut sum) = ((-passed).exp(), 0.0);
    for k in 0..n {
        sum += term;
        term *= passed / f64::from(k + 1);
    }
    1.0 - sum
}

fn lost_by_customers(retries: &str, share: f64, seconds: f64) -> f64 {
    let topology = format!(
        "
version: 1
topology: shop
services:
  web:
flows:
  order: {{ steps: [web], rate: 100/s, retry_by_users: {{ {retries} }} }}
"
    );
    let change = format!(
        "
version: 1
change: break
kind: infrastructure
targets: [{{ service: web, severity: {share} }}]
actions: [{{ at: {seconds}s, action: fix }}]
horizon: 24h
"
    );
    report(&topology, &change, 64).flows[0].orders_lost.expect("a rate").mean
}

#[test]
fn customers_who_think_outlast_a_short_outage() {
    // rate * integral over the outage of P(Erlang(n, after) <= s).
    for (attempts, after, seconds) in [(3, 60.0, 120.0), (1, 30.0, 120.0), (5, 10.0, 300.0)] {
        let steps = 20_000;
        let step = seconds / f64::from(steps);
        let integral: f64 =
            (0..steps).map(|k| erlang(attempts, after, (f64::from(k) + 0.5) * step) * step).sum();
        let lost =
            lost_by_customers(&format!("attempts: {attempts}, after: {after}s"), 1.0, seconds);
        assert_within(lost, 100.0 * integral, 1e-4);
    }
}

#[test]
fn customers_who_think_lose_as_much_of_a_long_outage_as_those_who_do_not() {
    let day = 20.0 * 3600.0;
    let at_once = lost_by_customers("attempts: 2, share: 60%", 0.5, day);
    let thinking = lost_by_customers("attempts: 2, share: 60%, after: 60s", 0.5, day);
    assert_within(thinking, at_once, 0.01);
    assert!(thinking < at_once);
}

#[test]
fn a_lost_cache_comes_back_cold_and_fills_by_the_misses_that_are_answered() {
    let (hits, used, half, rate) = (0.9, 0.5, 15.0, 100.0);
    let topology = format!(
        "
version: 1
topology: shop
services:
  web: {{ dependencies: [{{ service: db, timeout: 1s, cache: {{ ttl: 1h, hit_ratio: {hits}, service: redis, refill: {half}s }} }}] }}
  redis:
  db: {{ utilization: {used}, queue: none }}
flows:
  order: {{ steps: [web], rate: {rate}/s }}
"
    );
    let change = "
version: 1
change: break
kind: infrastructure
targets: [redis]
actions: [{ at: 10s, action: fix }]
horizon: 4h
";
    let lost = report(&topology, change, 64).flows[0].orders_lost.expect("a rate").mean;
    // m times the usual misses come; 1/(u m) of them are answered: dt = u m dx.
    let load = |x: f64| (1.0 - hits * x / (x + half)) / (1.0 - hits);
    let step = 0.001;
    let mut x: f64 = 0.0;
    let mut wanted = 10.0 * (1.0 - 1.0 / (used * load(0.0)));
    while used * load(x) > 1.0 {
        wanted += (1.0 - hits) * load(x) * (used * load(x) - 1.0) * step;
        x += step;
    }
    assert_within(lost, rate * wanted, 0.05);
    // Without the key it is full at once.
    let full = topology.replace(", refill: 15s", "");
    let lost = report(&full, change, 64).flows[0].orders_lost.expect("a rate").mean;
    assert_within(lost, rate * 10.0 * (1.0 - 1.0 / (used * load(0.0))), 1e-6);
}

#[test]
fn an_open_breaker_lets_nothing_through_and_all_goes_to_the_fallback() {
    let failing = |severity: &str| {
        let topology = "
version: 1
topology: shop
services:
  web: { dependencies: [{ service: a, circuit_breaker: true, fallback: { service: b } }] }
  a:
  b: { utilization: 200%, queue: none }
flows:
  order: { steps: [web], rate: 100/s }
";
        let change = format!(
            "
version: 1
change: break
kind: infrastructure
targets: [{{ service: a, severity: {severity} }}]
"
        );
        report(topology, &change, 64).flows[0].failing_share
    };
    // The fallback serves half of all that would come.
    assert_within(failing("60%"), 0.5, 1e-6);
    assert!(failing("40%") < 1e-9, "what it serves is enough for 40%");
}
