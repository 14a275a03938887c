//! Failed requests as evidence: how long it takes until somebody is sure, and what a gate can see.

use blastwave::report::{Detector, Report};

use crate::closed_forms::{assert_near, report};

const SHOP: &str = "
version: 1
topology: shop
services:
  web: { dependencies: [{ service: mail, criticality: soft, timeout: 1s }] }
  mail: {}
  notes: {}
flows:
  order: { steps: [web], rate: 20/s }
";

/// A canary of a service whose break costs nothing but time.
fn canary(target: &str, exposure: &str, detection: &str) -> String {
    format!(
        "version: 1\nchange: canary\ntargets: [{target}]\n\
         rollout: {{ stages: [{{ exposure: {exposure}, bake: 24h }}] }}\n\
         detection: {detection}\nrollback: 5m\nhorizon: 24h\n"
    )
}

/// When it is noticed, in the median; infinite where it never is.
fn detected(topology: &str, change: &str) -> f64 {
    let report = report(topology, change, 64);
    report.timeline.detected_s.map_or(f64::INFINITY, |detected| detected.p50)
}

/// The share of trials in which a gate notices.
fn share_caught(report: &Report) -> f64 {
    report.timeline.detected_by.get(&Detector::Gate).copied().unwrap_or(0.0)
}

#[test]
fn the_clock_starts_when_so_many_requests_have_failed() {
    // 20 requests per second, of which 1% meet the change.
    for (detection, after) in [
        ("{ failures: 10, median: 5m }", 50.0),
        ("{ failures: 100, median: 5m }", 500.0),
        ("{ failures: 10, median: 5m, watches: flows }", 50.0),
        ("{ failures: 10, median: 5m, watches: [target] }", 50.0),
        // Nothing is stated: ten of them.
        ("5m", 50.0),
    ] {
        assert_near(detected(SHOP, &canary("web", "1%", detection)), after + 300.0);
    }
    // A share that is not exceeded is not noticed, however many requests make it up.
    assert!(
        detected(SHOP, &canary("web", "1%", "{ alert_threshold: 2%, median: 5m }")).is_infinite()
    );
    let both = "{ alert_threshold: 2%, failures: 10, median: 5m, watches: flows }";
    assert!(detected(SHOP, &canary("web", "1%", both)).is_infinite());
    // Of a target it is the changed instances that are looked at, and all of those fail.
    let both = "{ alert_threshold: 2%, failures: 10, median: 5m, watches: target }";
    assert_near(detected(SHOP, &canary("web", "1%", both)), 350.0);
}

#[test]
fn what_no_flow_loses_is_noticed_at_the_target() {
    assert_near(detected(SHOP, &canary("mail", "5%", "{ failures: 10, median: 5m }")), 310.0);
    let flows = "{ failures: 10, median: 5m, watches: flows }";
    assert!(detected(SHOP, &canary("mail", "5%", flows)).is_infinite());
    // Nobody can count requests to what no flow needs: that it fails is enough.
    assert_near(detected(SHOP, &canary("notes", "5%", "{ failures: 10, median: 5m }")), 300.0);
}

#[test]
fn without_rates_a_share_of_a_flow_is_noticed_as_before() {
    let topology = SHOP.replace(", rate: 20/s", "");
    let stated = "{ failures: 10, median: 5m, watches: flows }";
    assert_near(detected(&topology, &canary("web", "5%", stated)), 300.0);
    assert!(detected(&topology, &canary("web", "1%", stated)).is_infinite());
}

#[test]
fn wrong_answers_are_counted_by_a_clock_of_their_own() {
    let change = canary(
        "{ service: web, modes: corrupt }",
        "1%",
        "{ failures: 10, median: 5m, corrupt: 1h }",
    );
    assert_near(detected(SHOP, &change), 50.0 + 3600.0);
}

#[test]
fn a_gate_catches_what_it_can_count() {
    // Five failed requests are expected during the bake.
    let change = |failures: u32| {
        format!(
            "version: 1\nchange: canary\ntargets: [web]\n\
             rollout: {{ stages: [{{ exposure: 5%, bake: 5s, catch_probability: 80% }}, 100%] }}\n\
             detection: {{ failures: {failures}, median: 1d }}\nrollback: 5m\nhorizon: 1h\n"
        )
    };
    let (trials, mean) = (8_000, 20.0 * 0.05 * 5.0_f64);
    for failures in [1, 3, 8] {
        let below: f64 = (0..failures)
            .map(|number| {
                let factorial: f64 = (1..=number).map(f64::from).product();
                (-mean).exp() * mean.powf(f64::from(number)) / factorial
            })
            .sum();
        let expected = 0.8 * (1.0 - below);
        let report = report(SHOP, &change(failures), trials);
        let caught = share_caught(&report);
        let error = (expected * (1.0 - expected) / trials as f64).sqrt();
        assert!((caught - expected).abs() < 5.0 * error, "{failures}: {caught}, not {expected}");
    }
}

#[test]
fn a_gate_that_cannot_count_requests_catches_as_it_says() {
    let topology = SHOP.replace(", rate: 20/s", "");
    let change = "
version: 1
change: canary
targets: [web]
rollout: { stages: [{ exposure: 5%, bake: 5s, catch_probability: 100% }, 100%] }
detection: { median: 1d }
rollback: 5m
horizon: 1h
";
    assert_near(share_caught(&report(&topology, change, 64)), 1.0);
}
