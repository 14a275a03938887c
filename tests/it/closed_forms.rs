//! The engine against arithmetic that fits on a page: where the answer is known, it must come out.

use blastwave::analysis::{Settings, Stop, simulate_change};
use blastwave::compile::compile;
use blastwave::diagnostic::Sources;
use blastwave::engine::{Silent, Simulator};
use blastwave::load;
use blastwave::model::{Change, Seconds, Topology};
use blastwave::report::{Detector, Interval, Quantiles, Report, UnitReport};

pub(crate) fn read(topology: &str, change: &str) -> (Topology, Change) {
    let mut sources = Sources::default();
    let mut document = |name: &str, text: &str| {
        load::parse_document(name, text.as_bytes().to_vec(), &mut sources).expect("it is right")
    };
    let (topology, change) = (document("topology", topology), document("change", change));
    let topology = Topology::from_document(&topology).expect("it is right");
    let change = Change::from_document(&change, &topology).expect("it is right");
    (topology, change)
}

pub(crate) fn report(topology: &str, change: &str, trials: u64) -> Report {
    let (topology, change) = read(topology, change);
    let settings = Settings { stop: Stop::Trials(trials), ..Settings::default() };
    simulate_change(&topology, &change, &settings, &Silent)
}

fn lost(report: &Report) -> Quantiles {
    report.total.as_ref().expect("there are rates and there is time").orders_lost
}

/// The standard error of the mean, from its 95% interval.
fn standard_error(of: &Quantiles) -> f64 {
    (of.mean_high - of.mean) / 1.959_964
}

#[track_caller]
pub(crate) fn assert_near(found: f64, expected: f64) {
    let within = 1e-9 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= within, "{found}, not {expected}");
}

const SHOP: &str = "
version: 1
topology: shop
services:
  web: {}
flows:
  order: { steps: [web], rate: 20/s }
";

/// The mean of a lognormal of this median and 95th percentile.
fn lognormal_mean(median: f64, p95: f64) -> f64 {
    let sigma = (p95 / median).ln() / 1.644_853_626_951_472_2;
    median * (sigma * sigma / 2.0).exp()
}

/// The share of orders that fail where retries, a fallback or a second step meet this change.
fn failing_share(dependency: &str, change: &str) -> f64 {
    let topology = format!(
        "version: 1\ntopology: shop\nservices:\n  web: {{ dependencies: [{dependency}] }}\n  prices: {{ endpoints: {{ list: {{}}, one: {{}} }} }}\n  \
         stock: {{}}\nflows:\n  order: {{ steps: [web], rate: 20/s }}\n"
    );
    report(&topology, &format!("version: 1\nchange: bug\n{change}\n"), 64).flows[0].failing_share
}

#[test]
fn a_bug_that_a_request_triggers_is_triggered_again_by_its_retries_and_fallbacks() {
    let bug = "targets: [{ service: prices, severity: { share: 30%, of: requests } }]";
    let retries = "{ service: prices, timeout: 1s, retries: 3 }";
    assert_near(failing_share(retries, bug), 0.3);
    assert_near(failing_share("{ service: prices/one, fallback: prices/list }", bug), 0.3);
    assert_near(failing_share("prices/one, prices/list", bug), 0.3);
    assert_near(failing_share("{ service: prices, calls: 20 }", bug), 0.3);
    let attempts = bug.replace("requests", "attempts");
    assert_near(failing_share(retries, &attempts), 0.3_f64.powi(4));
    assert_near(failing_share("prices/one, prices/list", &attempts), 1.0 - 0.7 * 0.7);
}

#[test]
fn what_a_severity_is_a_share_of_follows_from_the_kind_of_change() {
    let retries = "{ service: prices, timeout: 1s, retries: 1 }";
    for (kind, expected) in
        [("code", 0.5), ("data", 0.5), ("schema", 0.5), ("infrastructure", 0.25)]
    {
        let change = format!("kind: {kind}\ntargets: [{{ service: prices, severity: 50% }}]");
        assert_near(failing_share(retries, &change), expected);
    }
    assert_near(failing_share(retries, "targets: [{ service: prices, severity: 50% }]"), 0.5);
}

#[test]
fn targets_of_one_change_share_its_bad_requests() {
    let both = |first: &str, second: &str| {
        failing_share(
            "prices, stock",
            &format!(
                "targets: [{{ service: prices, severity: {first} }}, {{ service: stock, severity: {second} }}]"
            ),
        )
    };
    assert_near(both("30%", "30%"), 0.3);
    // All of the 20% are among the 50%.
    assert_near(both("50%", "20%"), 0.5 * (1.0 - 0.0 * (1.0 - 0.4)));
    // Trouble of its own meets good and bad requests alike.
    assert_near(both("50%", "{ share: 20%, of: attempts }"), 1.0 - 0.5 * 0.8);
}

#[test]
fn a_canary_on_half_of_the_instances_fails_a_bad_request_half_of_the_time() {
    let change = "targets: [{ service: prices, severity: 40% }]\n\
                  rollout: { stages: [{ exposure: 50%, bake: 1h }] }\nhorizon: 1h";
    let retry = "{ service: prices, timeout: 1s, retries: 1 }";
    assert_near(failing_share(retry, change), 0.4 * 0.25);
    let sticky = change.replace("rollout: {", "rollout: { routing: sticky,");
    assert_near(failing_share(retry, &sticky), 0.4 * 0.5);
}

#[test]
fn a_constant_failure_costs_its_rate_times_its_share_times_the_time_to_end_it() {
    let report = report(
        SHOP,
        "
version: 1
change: constant
targets: [{ service: web, severity: 60% }]
detection: { median: 5m, p95: 15m }
rollback: { median: 15m, p95: 45m }
horizon: 20d
",
        100_000,
    );
    let found = lost(&report);
    let time = lognormal_mean(300.0, 900.0) + lognormal_mean(900.0, 2700.0);
    let expected = 20.0 * 0.6 * time;
    assert!(
        (found.mean - expected).abs() < 3.0 * standard_error(&found),
        "{} lost, not {expected}, at a standard error of {}",
        found.mean,
        standard_error(&found)
    );
    // The interval means something: it is as narrow as so many trials allow.
    assert!(standard_error(&found) < 0.005 * expected);
}

#[test]
fn a_canary_loses_what_arithmetic_says() {
    // At 10% for 600 s: caught by the gate with 30%, then 120 s until it is back. Otherwise it goes
    // on to everybody, is noticed after 300 s (alerts below 20% are not raised), and back after 120 s.
    let report = report(
        SHOP,
        "
version: 1
change: canary
targets: [{ service: web, severity: 80% }]
rollout: { stages: [{ exposure: 10%, bake: 10m, catch_probability: 30% }, { exposure: 100% }] }
detection: { alert_threshold: 20%, median: 5m }
rollback: { median: 2m }
",
        20_000,
    );
    let caught = 20.0 * 0.8 * 0.1 * (600.0 + 120.0);
    let missed = 20.0 * 0.8 * (0.1 * 600.0 + 300.0 + 120.0);
    let share = *report.timeline.detected_by.get(&Detector::Gate).expect("some are caught");
    let found = lost(&report);
    // With the share that was drawn it is exact; and the share is what the gate says.
    let expected = share * caught + (1.0 - share) * missed;
    assert!((found.mean - expected).abs() < 1e-6 * expected, "{} {expected}", found.mean);
    let error = (0.3_f64 * 0.7 / 20_000.0).sqrt();
    assert!((share - 0.3).abs() < 5.0 * error, "{share} are caught");
    assert!((found.max - missed).abs() < 1e-4 * missed, "{} {missed}", found.max);
}

/// What is lost when a service that is reached through queues is down for this long.
fn lost_behind(queues: &str, minutes: u32) -> f64 {
    let topology = format!(
        "
version: 1
topology: queues
services:
  front: {{ dependencies: [{{ service: middle, buffer: {queues} }}] }}
  middle: {{ dependencies: [{{ service: back, buffer: {{ holds: 30m, when_full: block }} }}] }}
  back: {{}}
flows:
  order: {{ steps: [front], rate: 1/s }}
"
    );
    // Nobody notices: the alert is set so that only time ends it.
    let change = format!(
        "
version: 1
change: down
targets: [{{ service: back }}]
detection: {{ alert_threshold: 100% }}
horizon: {minutes}m
"
    );
    lost(&report(&topology, &change, 64)).mean
}

#[test]
fn queues_lose_nothing_in_incidents_shorter_than_what_they_hold() {
    let block = "{ holds: 60m, when_full: block }";
    // The first queue holds 30 minutes, the second 60 more from when the first is full.
    for (minutes, lost) in [(29, 0.0), (31, 0.0), (89, 0.0), (90, 0.0), (100, 600.0)] {
        assert_near(lost_behind(block, minutes), lost);
    }
    // A queue that drops when it is full costs something else, but no orders.
    assert_near(lost_behind("{ holds: 60m, when_full: drop }", 200), 0.0);
}

/// The failing share of the flow when `web` calls `store` so many times as often.
fn overloaded(queue: &str, factor: f64) -> f64 {
    let topology = format!(
        "
version: 1
topology: surge
services:
  web: {{ dependencies: [{{ service: store, timeout: 1s }}] }}
  store: {{ utilization: 50%, latency: {{ median: 100ms, p99: 400ms }}, queue: {queue} }}
flows:
  order: {{ steps: [web], rate: 1/s }}
"
    );
    let change = format!(
        "
version: 1
change: surge
targets: [{{ service: web, modes: {{ surge: {{ probability: 100%, factor: {factor} }} }} }}]
"
    );
    report(&topology, &change, 64).flows[0].failing_share
}

#[test]
fn what_is_refused_and_what_crowded_threads_do_in_time_follow_their_formulas() {
    // Capacity is 1 / 50% = 2 times the normal load. Twelve threads on eight cores take half as long
    // again: of what they serve they are in time with a median of 150 ms and a p99 of 600 ms.
    let sigma = libm::log(4.0) / 2.326_347_874;
    let within = |time: f64| 1.0 - 0.5 * libm::erfc(libm::log(time / 0.1) / sigma / 2_f64.sqrt());
    let in_time = within(1.0 * 8.0 / 12.0) / within(1.0);
    for factor in [1.5, 2.0, 2.5, 3.0, 3.9, 4.0, 8.0] {
        let served = f64::min(2.0 / factor, 1.0);
        assert_near(overloaded("none", factor), 1.0 - served);
        let crowded = if served < 1.0 { 1.0 - served * in_time } else { 0.0 };
        assert_near(overloaded("{ threads: 12, cores: 8 }", factor), crowded);
    }
}

#[test]
fn retries_bring_as_much_load_as_attempts_that_fail_independently() {
    // Little's law for retries: (1 - p^(n+1)) / (1 - p) attempts per call. A store that can serve a
    // little more than that is not overloaded, one that can serve a little less is.
    for (p, n) in [(0.5, 2_i32), (0.2, 3), (0.8, 1)] {
        let attempts = (1.0 - f64::powi(p, n + 1)) / (1.0 - p);
        for (slack, is_over) in [(1.001, false), (0.999, true)] {
            let utilization = 1.0 / (attempts * slack);
            let topology = format!(
                "
version: 1
topology: retries
services:
  web: {{ dependencies: [{{ service: store, timeout: 1s, retries: {n} }}] }}
  store: {{ utilization: {utilization}, overload: shed }}
flows:
  order: {{ steps: [web], rate: 1/s }}
"
            );
            let change = format!(
                "version: 1\nchange: flaky\nkind: infrastructure\ntargets: [{{ service: store, severity: {p} }}]\n"
            );
            let (topology, change) = read(&topology, &change);
            let plan = compile(&topology, &change, Seconds::ZERO);
            let trace = Simulator::new(&plan, 1).trace_trial(0);
            let moment = trace.steps.last().expect("there is a moment");
            assert_eq!(
                moment.overloads.iter().any(|(_, _, _, lost)| *lost > 1e-9),
                is_over,
                "p {p}, {n} retries, {attempts} attempts: {:?}",
                moment.overloads
            );
        }
    }
}

/// Eleven services; posting needs all of them, reading home four, reading a user's posts three.
const NETWORK: &str = "
version: 1
topology: network
services:
  gateway: { availability: 100% }
  storage: { availability: 100% }
  user-timeline: { availability: 100%, dependencies: [storage] }
  home-timeline: { availability: 100%, dependencies: [storage] }
  compose:
    availability: 100%
    dependencies: [user-timeline, home-timeline, id, media, user, text, links, mentions]
  id: { availability: 100% }
  media: { availability: 100% }
  user: { availability: 100% }
  text: { availability: 100% }
  links: { availability: 100% }
  mentions: { availability: 100% }
flows:
  post: { steps: [gateway, compose] }
  read-home: { steps: [gateway, home-timeline, user-timeline] }
  read-user: { steps: [gateway, user-timeline] }
";

/// In which shares people do it, in the order of the flows' names.
const MIX: [(&str, f64); 3] = [("post", 0.375), ("read-home", 0.4), ("read-user", 0.225)];

/// The share of requests that work, where this fails for certain, or by itself.
fn network_success(topology: &str, broken: &[String]) -> f64 {
    let mut sources = Sources::default();
    let document =
        load::parse_document("network", topology.as_bytes().to_vec(), &mut sources).unwrap();
    let topology = Topology::from_document(&document).unwrap();
    let change = match broken {
        [] => Change::from_targets("nothing", Vec::new()),
        broken => Change::from_breaks(broken, &topology, &mut sources).unwrap(),
    };
    let trials = if broken.is_empty() { 512 } else { 1 };
    let settings = Settings { stop: Stop::Trials(trials), ..Settings::default() };
    let report = simulate_change(&topology, &change, &settings, &Silent);
    let works = |name: &str| {
        let flow = report.flows.iter().find(|flow| flow.name == name).expect("it has this flow");
        1.0 - flow.failed.exact.unwrap_or(flow.failed.p)
    };
    MIX.iter().map(|(name, share)| share * works(name)).sum()
}

/// All sets of `count` of the first `of` numbers, as bits.
fn sets(of: u32, count: u32) -> impl Iterator<Item = u32> {
    (0..1_u32 << of).filter(move |set| set.count_ones() == count)
}

/// What was published for the social network of `DeathStarBench` at failure probabilities of 10, 30, 50
/// and 70% is no independent failure of each service: it is the mean over all sets of exactly 1, 3, 5
/// and 8 failed services of eleven (about the probability times eleven), for requests of which 22.5%
/// need three services, 40% four and 37.5% all.
#[test]
fn the_published_social_network_fails_by_exact_counts_and_not_independently() {
    let (topology, _) = read(NETWORK, "version: 1\nchange: c\ntargets: [id]\n");
    let names: Vec<String> = topology.services.iter().map(|service| service.name.clone()).collect();
    assert_eq!(names.len(), 11);
    let published = [
        (0.1, 1, 0.418_182, 0.544_144),
        (0.3, 3, 0.161_212, 0.180_630),
        (0.5, 5, 0.045_455, 0.053_308),
        (0.7, 8, 0.001_364, 0.009_316),
    ];
    for (p, failed, mean, independent) in published {
        let of_each: Vec<f64> = sets(11, failed)
            .map(|set| {
                let is_in = |service: &usize| set >> service & 1 == 1;
                let broken: Vec<String> =
                    (0..11).filter(is_in).map(|item| names[item].clone()).collect();
                network_success(NETWORK, &broken)
            })
            .collect();
        let found = of_each.iter().sum::<f64>() / of_each.len() as f64;
        assert!((found - mean).abs() < 1e-6, "{failed} of 11 fail: {found}, not {mean}");
        // The same services failing independently, each with this probability, would give:
        let independently = NETWORK.replace("100%", &format!("{}%", (1.0 - p) * 100.0));
        let found = network_success(&independently, &[]);
        let is_near = (found - independent).abs() < 1e-6;
        assert!(is_near, "independently at {p}: {found}, not {independent}");
    }
}

/// A canary that breaks at exposure `e` and is over after `d` loses `e * d`, of any flow and without
/// rates; and a rollout that breaks in one of two cases only loses that in one of two.
#[test]
fn a_canary_loses_its_exposure_times_the_time_to_end_it_because_of_the_change() {
    let topology = "
version: 1
topology: canary
services:
  web: { dependencies: [store] }
  store: { availability: 100% }
flows:
  order: { steps: [web] }
";
    let change = "
version: 1
change: canary
failure_probability: 25%
targets: [store]
rollout: { stages: [{ exposure: 20%, bake: 8h }, { exposure: 100% }] }
detection: 6m
rollback: 14m
horizon: 20d
";
    let report = report(topology, change, 64);
    let flow = &report.flows[0];
    let lost = flow.lost.expect("there is time");
    for minutes in [lost.mean, lost.p50, lost.p95, lost.p99, lost.max] {
        assert_near(minutes, 0.2 * (6.0 + 14.0));
    }
    assert_near(flow.unfinished.expect("there is time").p, 0.0);
}

/// With probability q the change breaks, and otherwise nothing does.
#[test]
fn what_fails_per_rollout_is_a_total_probability() {
    let topology = "
version: 1
topology: pair
services:
  web: { availability: 100%, dependencies: [store, { service: hints, criticality: soft }] }
  store: { availability: 60% }
  hints: { availability: 80% }
flows:
  order: { steps: [web] }
";
    let change = "
version: 1
change: hints
failure_probability: 25%
targets: [{ service: hints, probability: 50% }, { service: web, probability: 10% }]
";
    let report = report(topology, change, 4096);
    let flow = &report.flows[0];
    let exact = |interval: Interval| interval.exact.expect("the diagrams are small");
    // The store fails it anyway; the web alone because of the change.
    assert_near(exact(flow.failed), 1.0 - 0.6 * 0.9);
    assert_near(exact(flow.baseline.failed), 0.4);
    assert_near(exact(flow.caused.failed), 0.6 * 0.1);
    // Degraded or worse: anyway unless both work; because of the change unless neither breaks.
    assert_near(exact(flow.baseline.degraded), 1.0 - 0.6 * 0.8);
    assert_near(exact(flow.caused.degraded), 0.6 * 0.8 * (1.0 - 0.5 * 0.9));
    let per_rollout = flow.per_rollout.expect("every flow has it");
    assert_near(exact(per_rollout.failed), 0.25 * (1.0 - 0.6 * 0.9) + 0.75 * 0.4);
    assert_near(exact(per_rollout.caused.failed), 0.25 * 0.6 * 0.1);
    assert_near(exact(per_rollout.caused.degraded), 0.25 * 0.6 * 0.8 * 0.55);
    // Trials say the same, within five standard errors.
    for (found, expected) in
        [(flow.baseline.failed, 0.4), (flow.caused.failed, 0.06), (flow.caused.degraded, 0.264)]
    {
        let error = (expected * (1.0 - expected) / 4096.0_f64).sqrt();
        assert!((found.p - expected).abs() < 5.0 * error, "{found:?}, not {expected}");
    }
}

/// The single flow of a topology after a change.
fn only_flow(topology: &str, change: &str) -> UnitReport {
    report(topology, change, 512).flows.remove(0)
}

/// A request that makes `n` calls to something of which a share `s` fails, fails with
/// 1 - (1 - s)^n.
#[test]
fn a_request_fails_by_any_of_its_calls() {
    let topology = "
version: 1
topology: page
services:
  web: { dependencies: [{ service: prices, timeout: 1s, calls: 20 }] }
  prices: {}
flows:
  order: { steps: [web], rate: 200/s }
";
    let change = "version: 1\nchange: canary\nkind: infrastructure\ntargets: [{ service: prices, severity: 5% }]\n";
    let flow = only_flow(topology, change);
    assert_near(flow.failing_share, 1.0 - 0.95_f64.powi(20));
}

/// Customers who try `n` times more lose p^(n+1) of their orders; of whom only a share r does, more.
#[test]
fn customers_who_try_again_lose_fewer_orders_than_attempts_fail() {
    for (retries, share, attempts) in [("3", 1.0, 3), ("{ share: 60%, attempts: 2 }", 0.6, 2)] {
        let topology = format!(
            "
version: 1
topology: shop
services:
  web: {{}}
flows:
  order: {{ steps: [web], rate: 200/s, retry_by_users: {retries} }}
"
        );
        let change = "
version: 1
change: flaky
targets: [{ service: web, severity: 50% }]
actions: [{ at: 10m, action: fix }]
horizon: 10m
";
        let flow = only_flow(&topology, change);
        let p: f64 = 0.5;
        let given_up: f64 =
            (0..attempts).map(|k| p * (1.0 - share) * (share * p).powi(k)).sum::<f64>()
                + p * (share * p).powi(attempts);
        let lost = flow.orders_lost.expect("there is a rate").mean;
        assert_near(lost / (200.0 * 600.0), given_up);
        assert_near(flow.lost.expect("there is time").mean, 5.0);
    }
}

/// A copy protects from what is missing and not from what is wrong, whether it is a cache that never
/// expires or pushed; a cache that expires, and a caller that validates, keep the right value.
#[test]
fn a_wrong_value_replaces_a_copy_and_a_missing_one_does_not() {
    for (dependency, down, corrupt) in [
        ("{ service: flags, timeout: 1s, cache: { ttl: static } }", 0.0, 1.0),
        ("{ service: flags, kind: push }", 0.0, 1.0),
        ("{ service: flags, kind: push, validates: true }", 0.0, 0.0),
        ("{ service: flags, timeout: 1s, cache: { ttl: 5m, hit_ratio: 90% } }", 0.1, 0.1),
    ] {
        let topology = format!(
            "
version: 1
topology: flags
services:
  web: {{ dependencies: [{dependency}] }}
  flags: {{}}
flows:
  order: {{ steps: [web] }}
"
        );
        for (modes, expected) in [("down", down), ("slow", down), ("corrupt", corrupt)] {
            let target = format!("targets: [{{ service: flags, modes: {modes} }}]");
            let flow = only_flow(&topology, &format!("version: 1\nchange: flag\n{target}\n"));
            assert_near(flow.failing_share, expected);
            if let Some(exact) = flow.failed.exact {
                assert_near(exact, expected);
            }
        }
    }
}

/// One change is one cause: its targets break in the same mode, unless it says otherwise.
#[test]
fn the_mode_of_a_change_is_drawn_once() {
    let topology = "
version: 1
topology: pair
services:
  web: { dependencies: [{ service: left, fallback: static }, { service: right, fallback: static }] }
  left: {}
  right: {}
flows:
  order: { steps: [web] }
";
    let modes = "modes: { down: 50%, slow: 50% }";
    let change = |more: &str| {
        format!(
            "version: 1\nchange: both\ntargets: [{{ service: left, {modes} }}, {{ service: right, {modes} }}]\n{more}"
        )
    };
    // It hangs if either does: what is down has a fallback.
    for (more, expected) in [("", 0.5), ("independent: true\n", 0.75)] {
        let flow = report(topology, &change(more), 4096).flows.remove(0);
        let error = (expected * (1.0 - expected) / 4096.0_f64).sqrt();
        assert!(
            (flow.failed.p - expected).abs() < 5.0 * error,
            "{:?}, not {expected}",
            flow.failed
        );
    }
}

/// A target with a rollout of its own breaks by it: here an hour later than the change begins, and
/// then for as long as it takes to notice and take back.
#[test]
fn a_target_with_its_own_rollout_breaks_by_that() {
    let topology = "
version: 1
topology: two
services:
  web: {}
  app: {}
flows:
  browse: { steps: [web] }
  order: { steps: [app] }
";
    let change = "
version: 1
change: two
targets:
  - { service: web, severity: 40% }
  - { service: app, rollout: { stages: [{ exposure: 25%, bake: 2h }, 100%] } }
rollout: { stages: [{ exposure: 0%, bake: 1h }, 100%] }
detection: 10m
rollback: 10m
horizon: 1d
";
    let report = report(topology, change, 64);
    let lost = |name: &str| {
        let flow = report.flows.iter().find(|flow| flow.name == name).expect("it has this flow");
        flow.lost.expect("there is time").mean
    };
    // Noticed in the first 10 minutes and over in 20, so that the other target is never rolled out.
    assert_near(lost("order"), 0.25 * 20.0);
    assert_near(lost("browse"), 0.0);
}
