//! Machines: replicas that are counted, callers that do not know yet, restarts that are drained, and caches
//! whose entries expire one by one.

use crate::closed_forms::{assert_near, report};

/// The orders of the only flow that are lost on average.
fn lost(topology: &str, change: &str) -> f64 {
    let report = report(topology, change, 64);
    report.flows[0].orders_lost.as_ref().expect("there is a rate").mean
}

fn failing_share(topology: &str, change: &str) -> f64 {
    report(topology, change, 64).flows[0].failing_share
}

/// A change of `web` for ten minutes.
fn canary(exposure: &str, rest: &str) -> String {
    format!(
        "version: 1\nchange: canary\nkind: infrastructure\ntargets: [web]\n\
         rollout: {{ stages: [{{ exposure: {exposure}, bake: 10m }}]{rest} }}\n\
         actions: [{{ at: 10m, action: fix }}]\nhorizon: 10m\n"
    )
}

fn replicated(replicas: &str) -> String {
    format!(
        "version: 1\ntopology: shop\nservices:\n  web: {{ replicas: {replicas} }}\n\
         flows:\n  order: {{ steps: [web], rate: 100/s }}\n"
    )
}

#[test]
fn a_stage_is_a_whole_number_of_replicas() {
    for (exposure, share) in [("5%", 1.0 / 6.0), ("16.7%", 2.0 / 6.0), ("50%", 0.5), ("100%", 1.0)]
    {
        assert_near(failing_share(&replicated("6"), &canary(exposure, "")), share);
    }
    assert_near(lost(&replicated("6"), &canary("5%", "")), 100.0 * 600.0 / 6.0);
    // A share of users is one of users.
    assert_near(failing_share(&replicated("6"), &canary("5%", ", routing: sticky")), 0.05);
}

#[test]
fn a_broken_replica_is_not_up() {
    let topology = replicated("{ count: 6, needs: 5 }");
    assert_near(failing_share(&topology, &canary("10%", "")), 1.0 / 6.0);
    assert_near(failing_share(&topology, &canary("30%", "")), 1.0);
}

/// Three zones with a third of the replicas each, one of which is lost for five minutes.
fn zones(retries: u32) -> String {
    format!(
        "version: 1\ntopology: shop\nfailure_domains: {{ za: {{}}, zb: {{}}, zc: {{}} }}\nservices:\n  \
         web: {{ dependencies: [{{ service: orders, timeout: 1s, retries: {retries} }}] }}\n  \
         orders: {{ replicas: {{ count: 12, domains: [za, zb, zc], failover: 20s }}, utilization: 50%, overload: shed }}\n\
         flows:\n  order: {{ steps: [web], rate: 600/s }}\n"
    )
}

const ZONE: &str = "
version: 1
change: zone
kind: infrastructure
targets: [{ domain: za }]
actions: [{ at: 5m, action: fix }]
horizon: 5m
";

#[test]
fn calls_to_lost_replicas_fail_until_callers_know() {
    assert_near(lost(&zones(0), ZONE), 600.0 / 3.0 * 20.0);
    // Each attempt meets a lost replica anew.
    assert_near(lost(&zones(1), ZONE), 600.0 / 9.0 * 20.0);
}

/// What a restart of half of `web` for two minutes costs, at a utilization of 80%.
fn restarted(drained: bool) -> f64 {
    let topology = "
version: 1
topology: shop
services:
  web: { utilization: 80%, overload: shed, recovery: { restart: 2m } }
  notes: {}
flows:
  order: { steps: [web], rate: 100/s }
";
    let change = format!(
        "version: 1\nchange: elsewhere\ntargets: [notes]\n\
         actions: [{{ at: 1m, action: restart, target: web, share: 50%, drained: {drained} }}]\nhorizon: 1h\n"
    );
    lost(topology, &change)
}

#[test]
fn a_drained_restart_loses_what_the_rest_cannot_carry() {
    assert_near(restarted(true), 100.0 * 120.0 * (1.0 - 0.5 / 0.8));
    assert_near(restarted(false), 100.0 * 120.0 * 0.5);
}

#[test]
fn what_operators_do_until_a_time_is_undone_then() {
    let topology = "
version: 1
topology: shop
services:
  web: { dependencies: [stock] }
  stock: {}
flows:
  order: { steps: [web], rate: 100/s }
";
    let change = |action: &str| {
        format!(
            "version: 1\nchange: elsewhere\ntargets: [stock]\nactions: [{action}]\n\
             rollback: 100h\nhorizon: 1h\n"
        )
    };
    let bypass = "{ at: 10m, action: bypass, target: stock, until: 40m }";
    assert_near(lost(topology, &change(bypass)), 100.0 * 1800.0);
    let off = "{ at: 10m, action: shed, share: 50%, until: 20m }, { at: 0s, action: fix }";
    assert_near(lost(topology, &change(off)), 100.0 * 600.0 * 0.5);
}

#[test]
fn an_automation_takes_nothing_back_in_the_moment_in_which_it_helps() {
    let topology = |keep: &str| {
        format!(
            "version: 1\ntopology: shop\nservices:\n  web: {{ dependencies: [stock] }}\n  stock: {{}}\n  \
             keeper: {{ kind: automation, automation: {{ watches: web, action: bypass, target: stock, for: 1m{keep} }} }}\n\
             flows:\n  order: {{ steps: [web], rate: 100/s }}\n"
        )
    };
    let change = "
version: 1
change: away
targets: [stock]
actions: [{ at: 1h, action: fix }]
horizon: 2h
";
    // A minute until it acts; then it holds for as long as it keeps what it did, once.
    assert_near(lost(&topology(", keep: 10m"), change), 100.0 * (3600.0 - 600.0));
    assert_near(lost(&topology(", keep: 2h"), change), 100.0 * 60.0);
    assert_near(lost(&topology(""), change), 100.0 * (3600.0 - 900.0));
}

#[test]
fn a_rollback_that_takes_a_while_takes_exposure_back_bit_by_bit() {
    let topology = "
version: 1
topology: shop
services: { web: {} }
flows:
  order: { steps: [web], rate: 100/s }
";
    let change = "
version: 1
change: slow-way-back
targets: [web]
detection: { alert_threshold: 1%, median: 5m }
rollback: { median: 10m, takes: 30m }
horizon: 1d
";
    assert_near(lost(topology, change), 100.0 * 60.0 * (15.0 + 30.0 / 2.0));
}

#[test]
fn entries_of_a_cache_expire_one_by_one() {
    let topology = "
version: 1
topology: shop
services:
  web: { dependencies: [{ service: catalog, timeout: 1s, cache: { ttl: 5m, hit_ratio: 90% } }] }
  catalog: {}
flows:
  order: { steps: [web], rate: 500/s }
";
    for (minutes, left) in [(2.5, 0.75), (5.0, 0.5), (10.0, 0.25)] {
        let change = format!(
            "version: 1\nchange: away\ntargets: [catalog]\nactions: [{{ at: {0}s, action: fix }}]\nhorizon: {0}s\n",
            minutes * 60.0
        );
        assert_near(lost(topology, &change), 500.0 * minutes * 60.0 * (1.0 - 0.9 * left));
    }
}

#[test]
fn a_zone_that_hangs_costs_a_timeout_until_callers_know() {
    let hanging = |topology: &str| {
        let change = ZONE.replace("domain: za", "domain: za, modes: slow");
        lost(topology, &change)
    };
    // A third of the calls times out for 20 s, unless it is tried again elsewhere.
    assert_near(hanging(&zones(0)), 600.0 * 20.0 / 3.0);
    assert_near(hanging(&zones(1)), 600.0 * 20.0 / 9.0);
    // Where callers never learn of it, as long as it lasts.
    let never = zones(0).replace(", failover: 20s", "");
    assert_near(hanging(&never), 600.0 * 300.0 / 3.0);
}

/// A good change of a service with 80% in use, rolled out so, with what is lost for capacity alone.
fn rolled_out(replicas: &str, rollout: &str) -> f64 {
    let topology = format!(
        "version: 1\ntopology: shop\nservices:\n  web: {{ {replicas}utilization: 80%, queue: none }}\n\
         flows:\n  order: {{ steps: [web], rate: 100/s }}\n"
    );
    let change = format!(
        "version: 1\nchange: good\ntargets: [{{ service: web, probability: 0% }}]\n\
         rollout: {{ strategy: rolling, {rollout} }}\nhorizon: 2h\n"
    );
    lost(&topology, &change)
}

#[test]
fn a_rolling_update_takes_capacity_away_though_it_is_good() {
    // Four steps of two minutes with three quarters of the capacity: 1 - 0.75/0.8 is lost.
    let orders = 100.0 * 480.0 * (1.0 - 0.75 / 0.8);
    assert_near(rolled_out("", "max_unavailable: 25%, max_surge: 0%, step: 2m"), orders);
    assert_near(rolled_out("", "max_unavailable: 25%, max_surge: 25%, step: 2m"), orders / 2.0);
    assert_near(rolled_out("", "max_surge: 25%, step: 2m"), 0.0);
    // A quarter of six replicas is one; where there is one only, it goes.
    assert_near(rolled_out("replicas: 6, ", "max_unavailable: 25%, step: 2m"), 0.0);
    assert_near(rolled_out("replicas: 1, ", "max_unavailable: 25%, step: 2m"), 100.0 * 480.0);
}

#[test]
fn replicas_that_are_away_and_replicas_that_are_broken_meet_what_a_service_needs() {
    // Five of six are needed: with two of them away at a time nobody is served, for three steps of 2 min.
    let needs = |needs: u32| format!("replicas: {{ count: 6, needs: {needs} }}, ");
    let rollout = "max_unavailable: 34%, max_surge: 0%, step: 2m";
    assert_near(rolled_out(&needs(5), rollout), 100.0 * 360.0);
    // Two thirds of the replicas serve 0.667 of 0.8.
    assert_near(rolled_out(&needs(4), rollout), 100.0 * 360.0 * (1.0 - 4.0 / 6.0 / 0.8));
    // The first of six is replaced and broken, the second away: four are up.
    let broken = |needs: u32| {
        let topology = format!(
            "version: 1\ntopology: shop\nservices:\n  \
             web: {{ replicas: {{ count: 6, needs: {needs} }} }}\n\
             flows:\n  order: {{ steps: [web], rate: 100/s }}\n"
        );
        let change = "version: 1\nchange: bad\ntargets: [web]\n\
             rollout: { strategy: rolling, max_unavailable: 1%, max_surge: 0%, step: 2m }\n\
             horizon: 2m\n";
        lost(&topology, change)
    };
    assert_near(broken(5), 100.0 * 120.0);
    assert_near(broken(4), 100.0 * 120.0 / 6.0);
}

/// Two databases of which `web` needs one, and the first breaks for five minutes.
fn either(call: &str, other: &str, horizon: &str) -> f64 {
    let topology = format!(
        "version: 1\ntopology: shop\nservices:\n  \
         web: {{ dependencies: [{{ any_of: [a, b], {call} }}] }}\n  a:\n  b: {{ {other} }}\n\
         flows:\n  order: {{ steps: [web], rate: 100/s }}\n"
    );
    let change = format!(
        "version: 1\nchange: break\nkind: infrastructure\ntargets: [a]\n\
         actions: [{{ at: 5m, action: fix }}]\nhorizon: {horizon}\n"
    );
    lost(&topology, &change)
}

#[test]
fn calls_spread_over_members_fail_until_callers_know() {
    // Each attempt meets the lost half anew.
    assert_near(either("mode: spread, failover: 20s", "", "1h"), 100.0 * 20.0 / 2.0);
    assert_near(either("failover: 20s, retries: 2", "", "1h"), 100.0 * 20.0 / 8.0);
    assert_near(either("mode: spread", "", "1h"), 0.0);
}

#[test]
fn failing_over_takes_a_while_and_nobody_goes_back_by_himself() {
    assert_near(either("mode: failover, failover: 20s", "", "1h"), 100.0 * 20.0);
    assert_near(either("mode: failover", "", "1h"), 0.0);
    // The other one can carry half, and has to until the end.
    let small = "utilization: 200%, queue: none";
    assert_near(
        either("mode: failover, failover: 20s", small, "1h"),
        100.0 * (20.0 + 3580.0 / 2.0),
    );
}

#[test]
fn a_quorum_asks_all_members_so_that_no_traffic_moves() {
    let failing = |mode: &str| {
        let topology = format!(
            "version: 1\ntopology: shop\nservices:\n  \
             web: {{ dependencies: [{{ any_of: [a, b, c], needs: 2{mode} }}] }}\n  a:\n  \
             b: {{ utilization: 80%, queue: none }}\n  c: {{ utilization: 80%, queue: none }}\n\
             flows:\n  order: {{ steps: [web], rate: 100/s }}\n"
        );
        failing_share(&topology, "version: 1\nchange: break\nkind: infrastructure\ntargets: [a]\n")
    };
    assert_near(failing(", mode: quorum"), 0.0);
    // Where two of three are asked, the others get half as much again.
    assert!(failing("") > 0.2);
}
