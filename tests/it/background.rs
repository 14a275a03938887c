//! Outages that have nothing to do with the change: they come and go, and are charged to nobody.

use blastwave::compile::compile;
use blastwave::engine::{Silent, Simulator};
use blastwave::model::Seconds;

use crate::closed_forms::{read, report};

const ELSEWHERE: &str = "
version: 1
change: elsewhere
targets: [notes]
rollout: all-at-once
horizon: 24h
";

/// A flow over something that fails by itself, beside something that nothing needs.
fn shop(pricing: &str) -> String {
    format!(
        "version: 1\ntopology: shop\nservices:\n  web: {{ dependencies: [pricing] }}\n  pricing: {pricing}\n  notes: {{}}\n\
         flows:\n  order: {{ steps: [web], rate: 200/s }}\n"
    )
}

#[test]
fn as_many_days_have_an_outage_as_its_share_of_time_and_its_length_say() {
    let trials = 8_000;
    let topology = shop("{ availability: 99%, mttr: 30m }");
    let order = &report(&topology, ELSEWHERE, trials).flows[0];
    let expected = 1.0 - 0.99 * (-48.0_f64 * 0.01 / 0.99).exp();
    let error = (expected * (1.0 - expected) / trials as f64).sqrt();
    assert!((order.failed.p - expected).abs() < 5.0 * error, "{:?}", order.failed);
    let lasting = order.failed_for_s.as_ref().expect("there is time").p50;
    assert!((lasting - 1800.0).abs() < 1e-6, "one outage is the usual number of them: {lasting}");
}

#[test]
fn something_is_down_for_its_share_of_the_time_however_long_its_outages_last() {
    for repair in ["20m", "{ median: 30m, p95: 4h }", "{ median: 3h, p95: 30h }"] {
        let (topology, change) =
            read(&shop(&format!("{{ availability: 90%, mttr: {repair} }}")), ELSEWHERE);
        let plan = compile(&topology, &change, Seconds::ZERO);
        let mut shares = Vec::new();
        let trials = 6_400;
        Simulator::new(&plan, 3).each_outcome(0..trials, &Silent, |outcome| {
            let flow = outcome.units.len() as u32 - 1;
            let of_flow = outcome.times.iter().filter(|time| time.unit == flow);
            shares.extend(of_flow.map(|time| time.lasted / 86_400.0));
        });
        let count = trials as f64;
        let mean = shares.iter().sum::<f64>() / count;
        let squares = shares.iter().map(|share| share * share).sum::<f64>() / count;
        let error = ((squares - mean * mean) / count).sqrt();
        assert!((mean - 0.1).abs() < 5.0 * error, "{repair}: {mean} with an error of {error}");
    }
}

#[test]
fn a_domain_that_comes_and_goes_takes_what_is_in_it_along() {
    let topology = "
version: 1
topology: shop
failure_domains: { west: { availability: 95%, mttr: 1h }, west-a: { within: west } }
services:
  web: { dependencies: [pricing] }
  pricing: { replicas: { count: 2, needs: 2, domains: [west-a] } }
  notes: {}
flows:
  order: { steps: [web], rate: 200/s }
";
    let trials = 4_000;
    let order = &report(topology, ELSEWHERE, trials).flows[0];
    let expected = 1.0 - 0.95 * (-24.0_f64 * 0.05 / 0.95).exp();
    let error = (expected * (1.0 - expected) / trials as f64).sqrt();
    assert!((order.failed.p - expected).abs() < 5.0 * error, "{:?}", order.failed);
}

#[test]
fn an_outage_of_its_own_is_not_charged_to_a_change_elsewhere() {
    let report = report(&shop("{ availability: 90%, mttr: 1h }"), ELSEWHERE, 640);
    let order = &report.flows[0];
    assert!(order.baseline.failed.p > 0.5, "most days have an outage");
    assert!(order.caused.failed.p == 0.0, "none is caused");
    assert!(order.lost.as_ref().expect("there is time").mean == 0.0, "none is charged");
    assert!(order.orders_lost.as_ref().expect("there is a rate").mean == 0.0, "nor orders");
}
