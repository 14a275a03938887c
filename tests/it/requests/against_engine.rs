//! The engine against single requests: small systems, written once as YAML and once as objects.
//!
//! Each test draws systems of one kind, from a fixed seed. A share may differ by 0.05, a number of orders by 15%:
//! what is compared is a model of rates with single requests, which come in bursts.

use blastwave::{Change, Simulation, Topology};

use super::draws::{Draws, Time};
use super::simulator::simulate;
use super::system::{Cache, Call, Flow, Happening, Of, Service, System};

/// How far a share may be from that of the simulated requests.
const SHARE_TOLERANCE: f64 = 0.05;
/// How far a number of lost orders may be, as a share of it.
const ORDERS_TOLERANCE: f64 = 0.15;
/// The same where a cache fills or empties.
const CACHE_TOLERANCE: f64 = 0.25;

/// What a service does that takes no time to speak of.
const QUICK: Time = Time::Fixed(0.001);

/// What the engine says of the only flow.
struct Expected {
    failing_share: f64,
    orders_lost: f64,
    stays: bool,
}

fn engine(topology: &str, change: &str) -> Expected {
    let topology = Topology::from_yaml(topology).unwrap_or_else(|error| panic!("{error}"));
    let change = Change::from_yaml(change, &topology).unwrap_or_else(|error| panic!("{error}"));
    let report = Simulation::new(&topology, &change).trials(20).run();
    let flow = &report.flows[0];
    Expected {
        failing_share: flow.failing_share,
        orders_lost: flow.orders_lost.as_ref().map_or(0.0, |lost| lost.mean),
        stays: !report.metastable.is_empty() || !report.never_recovers.is_empty(),
    }
}

/// A number between `low` and `high`, rounded as a person would write it.
fn between(draws: &mut Draws, low: f64, high: f64) -> f64 {
    ((low + (high - low) * draws.share()) * 100.0).round() / 100.0
}

#[track_caller]
fn assert_share(found: f64, expected: f64, system: &str) {
    assert!((found - expected).abs() <= SHARE_TOLERANCE, "{found}, not {expected}: {system}");
}

#[track_caller]
fn assert_orders(found: f64, expected: f64, tolerance: f64, system: &str) {
    let within = (tolerance * expected).max(50.0);
    assert!((found - expected).abs() <= within, "{found}, not {expected}: {system}");
}

/// A shop of two services: `web` calls `db`, as `call` and `service` say.
fn shop(call: &str, service: &str, flow: &str) -> String {
    format!(
        "version: 1
topology: shop
services:
  web: {{ dependencies: [{{ service: db, {call} }}] }}
  db: {{ {service} }}
  notes:
flows:
  buy: {{ steps: [web], {flow} }}
"
    )
}

/// A change that takes this share of the capacity of `db` away for so many seconds.
fn loses_capacity(share: f64, seconds: f64, horizon: f64) -> String {
    format!(
        "version: 1
change: maintenance
kind: infrastructure
targets: [notes]
actions:
  - {{ at: 0s, action: remove, target: db, share: {share} }}
  - {{ at: {seconds}s, action: add-capacity, target: db, share: {share} }}
  - {{ at: {seconds}s, action: fix }}
horizon: {horizon}s
"
    )
}

/// The same system as objects: `db` works at `1 - share` of its speed for so many seconds.
fn slowed(call: Call, db: Service, rate: f64, share: f64, seconds: f64) -> System {
    System {
        services: vec![Service::new(QUICK).calling(call), db],
        flows: vec![Flow::new(0, rate)],
        events: vec![
            (0.0, Happening::Speed { service: 1, share: 1.0 - share }),
            (seconds, Happening::Speed { service: 1, share: 1.0 }),
        ],
    }
}

/// A break of `db` for so many seconds.
fn breaks(target: &str, seconds: f64) -> String {
    format!(
        "version: 1
change: breaks
kind: infrastructure
targets: [{{ service: db, {target} }}]
actions: [{{ at: {seconds}s, action: fix }}]
horizon: {seconds}s
"
    )
}

#[test]
fn retries_help_as_often_as_single_attempts_succeed() {
    let mut draws = Draws::new(1);
    for _ in 0..12 {
        let share = between(&mut draws, 0.1, 0.95);
        let retries = draws.index(4);
        for (of, word) in [(Of::Attempts, "attempts"), (Of::Requests, "requests")] {
            let topology = shop(&format!("timeout: 1s, retries: {retries}"), "", "rate: 200/s");
            let target = format!("severity: {{ share: {share}, of: {word} }}");
            let found = engine(&topology, &breaks(&target, 100.0));
            let call = Call::new(1, 1.0).retries(retries);
            let system = System {
                services: vec![Service::new(QUICK).calling(call), Service::new(QUICK)],
                flows: vec![Flow::new(0, 200.0)],
                events: vec![(0.0, Happening::Fails { service: 1, share, of })],
            };
            let run = simulate(&system, 100.0, 1);
            let name = format!("{share} of {word}, {retries} retries");
            assert_share(found.failing_share, run.failing_share(0, 0.0, 90.0), &name);
        }
    }
}

#[test]
fn a_backlog_fails_requests_until_it_is_worked_off() {
    let mut draws = Draws::new(2);
    for _ in 0..10 {
        let utilization = between(&mut draws, 0.4, 0.85);
        let share = between(&mut draws, 0.6, 1.0);
        let seconds = between(&mut draws, 20.0, 90.0).round();
        let timeout = between(&mut draws, 0.5, 2.0);
        let horizon = 1_500.0;
        let topology = shop(
            &format!("timeout: {timeout}s"),
            &format!("utilization: {utilization}"),
            "rate: 200/s",
        );
        let found = engine(&topology, &loses_capacity(share, seconds, horizon));
        let db = Service::loaded(20, utilization, 200.0);
        let run = simulate(&slowed(Call::new(1, timeout), db, 200.0, share, seconds), horizon, 1);
        let name = format!("u {utilization}, {share} gone for {seconds} s, timeout {timeout} s");
        assert_orders(found.orders_lost, run.lost(0, 0.0, horizon), ORDERS_TOLERANCE, &name);
    }
}

#[test]
fn retries_keep_a_backlog_up_where_they_ask_for_more_than_there_is() {
    let mut draws = Draws::new(3);
    for _ in 0..8 {
        let retries = 1 + draws.index(3);
        // Well below or well above u (1 + R) = 1: at the border it is chance that decides.
        let asked = if draws.is_below(0.5) { 0.75 } else { 1.3 };
        let utilization = (asked / (1.0 + retries as f64) * 100.0).round() / 100.0;
        let topology = shop(
            &format!("timeout: 1s, retries: {retries}"),
            &format!("utilization: {utilization}"),
            "rate: 200/s",
        );
        let found = engine(&topology, &loses_capacity(0.99, 60.0, 2_400.0));
        let db = Service::loaded(20, utilization, 200.0);
        let system = slowed(Call::new(1, 1.0).retries(retries), db, 200.0, 0.99, 60.0);
        let run = simulate(&system, 2_400.0, 1);
        let stays = run.failing_share(0, 2_000.0, 2_300.0) > 0.5;
        let name = format!("u {utilization}, {retries} retries");
        assert_eq!(stays, asked > 1.0, "{name}");
        assert_eq!(found.stays, stays, "{name}");
        assert_orders(found.orders_lost, run.lost(0, 0.0, 2_400.0), ORDERS_TOLERANCE, &name);
    }
}

#[test]
fn a_queue_of_no_length_serves_what_there_is_capacity_for() {
    let mut draws = Draws::new(4);
    for _ in 0..8 {
        let utilization = between(&mut draws, 0.5, 0.8);
        let share = between(&mut draws, 0.5, 0.9);
        let topology =
            shop("timeout: 1s", &format!("utilization: {utilization}, queue: none"), "rate: 500/s");
        let found = engine(&topology, &loses_capacity(share, 100.0, 100.0));
        let db = Service { waiting_places: Some(0), ..Service::loaded(60, utilization, 500.0) };
        let run = simulate(&slowed(Call::new(1, 1.0), db, 500.0, share, 100.0), 100.0, 1);
        let name = format!("u {utilization}, {share} gone");
        assert_share(found.failing_share, run.failing_share(0, 5.0, 95.0), &name);
    }
}

#[test]
fn threads_that_wait_for_what_hangs_are_gone_for_everything_else() {
    let mut draws = Draws::new(5);
    for _ in 0..8 {
        let threads = 50 + draws.index(250);
        let timeout = between(&mut draws, 0.5, 4.0);
        let share = between(&mut draws, 0.3, 1.0);
        let topology = format!(
            "version: 1
topology: shop
services:
  web: {{ latency: {{ median: 20ms, p99: 60ms }}, concurrency: {threads}, queue: none, dependencies: [{{ service: db, criticality: soft, timeout: {timeout}s }}] }}
  db:
flows:
  buy: {{ steps: [{{ service: web, timeout: 10s }}], rate: 400/s }}
"
        );
        let target = format!("modes: slow, severity: {{ share: {share}, of: attempts }}");
        let found = engine(&topology, &breaks(&target, 120.0));
        let work = Time::Lognormal { median: 0.02, p99: 0.06 };
        let web = Service { threads: Some(threads), ..Service::new(work) };
        let system = System {
            services: vec![web.calling(Call::new(1, timeout).soft()), Service::new(QUICK)],
            flows: vec![Flow::new(0, 400.0)],
            events: vec![(0.0, Happening::Hangs { service: 1, share, of: Of::Attempts })],
        };
        let run = simulate(&system, 120.0, 1);
        let name = format!("{threads} threads, {timeout} s, {share} hang");
        assert_share(found.failing_share, run.failing_share(0, 10.0, 110.0), &name);
    }
}

#[test]
fn what_takes_longer_is_too_late_for_some() {
    let mut draws = Draws::new(6);
    for _ in 0..10 {
        let (median, p99) = (0.05, between(&mut draws, 0.2, 0.6));
        let adds = between(&mut draws, 0.2, 1.2);
        let timeout = between(&mut draws, 0.3, 1.4);
        let topology = shop(
            &format!("timeout: {timeout}s"),
            &format!("latency: {{ median: {median}s, p99: {p99}s }}"),
            "rate: 200/s",
        );
        let target = format!("modes: {{ slow: {{ probability: 100%, adds: {adds}s }} }}");
        let found = engine(&topology, &breaks(&target, 100.0));
        // What is added comes before the work: a service of its own that takes so long.
        let added = Service::new(Time::Fixed(adds)).calling(Call::new(2, 100.0));
        let system = System {
            services: vec![
                Service::new(Time::Fixed(0.0)).calling(Call::new(1, timeout)),
                added,
                Service::new(Time::Lognormal { median, p99 }),
            ],
            flows: vec![Flow::new(0, 200.0)],
            events: Vec::new(),
        };
        let run = simulate(&system, 100.0, 1);
        let name = format!("p99 {p99} s, {adds} s more, timeout {timeout} s");
        assert_share(found.failing_share, run.failing_share(0, 0.0, 90.0), &name);
    }
}

#[test]
fn attempts_end_when_the_caller_gives_up() {
    let mut draws = Draws::new(7);
    for _ in 0..8 {
        let retries = draws.index(5);
        let (inner, outer) = (between(&mut draws, 0.4, 1.2), between(&mut draws, 0.5, 4.0));
        let share = between(&mut draws, 0.3, 0.8);
        let topology = format!(
            "version: 1
topology: shop
services:
  web: {{ dependencies: [{{ service: orders, timeout: {outer}s }}] }}
  orders: {{ dependencies: [{{ service: db, timeout: {inner}s, retries: {retries} }}] }}
  db:
flows:
  buy: {{ steps: [web], rate: 200/s }}
"
        );
        let target = format!("modes: slow, severity: {{ share: {share}, of: attempts }}");
        let found = engine(&topology, &breaks(&target, 100.0));
        let system = System {
            services: vec![
                Service::new(QUICK).calling(Call::new(1, outer)),
                Service::new(QUICK).calling(Call::new(2, inner).retries(retries)),
                Service::new(QUICK),
            ],
            flows: vec![Flow::new(0, 200.0)],
            events: vec![(0.0, Happening::Hangs { service: 2, share, of: Of::Attempts })],
        };
        let run = simulate(&system, 100.0, 1);
        let name = format!("{retries} retries of {inner} s within {outer} s, {share} hang");
        assert_share(found.failing_share, run.failing_share(0, 0.0, 90.0), &name);
    }
}

#[test]
fn entries_of_a_cache_expire_one_by_one() {
    let mut draws = Draws::new(8);
    for _ in 0..6 {
        let ttl = between(&mut draws, 60.0, 300.0).round();
        let seconds = (ttl * between(&mut draws, 0.3, 1.5)).round();
        let (keys, rate) = (200_u16, 500.0);
        // Of each key an entry is there from its fetch on, and asked for again on average keys/rate after it expired.
        let hit_ratio = ttl / (ttl + f64::from(keys) / rate);
        let topology = shop(
            &format!("timeout: 1s, cache: {{ ttl: {ttl}s, hit_ratio: {hit_ratio:.4} }}"),
            "",
            "rate: 500/s",
        );
        let found = engine(&topology, &breaks("modes: down", seconds));
        let cache = Cache { keys: usize::from(keys), skew: 0.0, ttl, room: None };
        let warm_up = 3.0 * ttl;
        let system = System {
            services: vec![
                Service::new(QUICK).calling(Call { cache: Some(cache), ..Call::new(1, 1.0) }),
                Service::new(QUICK),
            ],
            flows: vec![Flow::new(0, rate)],
            events: vec![(warm_up, Happening::Fails { service: 1, share: 1.0, of: Of::Attempts })],
        };
        let run = simulate(&system, warm_up + seconds + 5.0, 1);
        let name = format!("ttl {ttl} s, away for {seconds} s");
        let expected = run.lost(0, warm_up, warm_up + seconds);
        assert_orders(found.orders_lost, expected, CACHE_TOLERANCE, &name);
    }
}

#[test]
fn users_who_try_again_lose_less() {
    let mut draws = Draws::new(9);
    for _ in 0..8 {
        let (share, again) = (between(&mut draws, 0.2, 0.8), 1 + draws.index(4));
        let flow = format!("rate: 200/s, retry_by_users: {again}");
        let topology = shop("timeout: 1s", "", &flow);
        let target = format!("severity: {{ share: {share}, of: attempts }}");
        let found = engine(&topology, &breaks(&target, 200.0));
        let system = System {
            services: vec![Service::new(QUICK).calling(Call::new(1, 1.0)), Service::new(QUICK)],
            flows: vec![Flow { user_retries: again, ..Flow::new(0, 200.0) }],
            events: vec![(0.0, Happening::Fails { service: 1, share, of: Of::Attempts })],
        };
        let run = simulate(&system, 200.0, 1);
        let name = format!("{share} fail, {again} more tries");
        assert_orders(found.orders_lost, run.lost(0, 0.0, 199.0), ORDERS_TOLERANCE, &name);
    }
}

#[test]
fn messages_wait_for_their_consumer_and_are_late() {
    let mut draws = Draws::new(10);
    for _ in 0..6 {
        let used = between(&mut draws, 0.3, 0.8);
        let (left, seconds) = (between(&mut draws, 0.0, 0.5) * used, 600.0);
        let left = (left * 100.0).round() / 100.0;
        let limit = 120.0;
        let topology = format!(
            "version: 1
topology: shop
services:
  web: {{ dependencies: [{{ service: mailer, kind: async, buffer: {{ holds: 4h, when_full: drop }} }}] }}
  mailer: {{ utilization: {used} }}
  notes:
flows:
  buy: {{ steps: [web], rate: 20/s, objective: {{ latency: {limit}s }} }}
"
        );
        let horizon = 4.0 * seconds / (1.0 - used);
        let change =
            loses_capacity(1.0 - left, seconds, horizon).replace("target: db", "target: mailer");
        let (topology, change) = {
            let topology = Topology::from_yaml(&topology).expect("it is right");
            let change = Change::from_yaml(&change, &topology).expect("it is right");
            (topology, change)
        };
        let report = Simulation::new(&topology, &change).trials(20).run();
        let late = report.flows[0].late.as_ref().map_or(0.0, |late| late.count.expect("a rate"));
        // As objects: each message is a request of its own, which nobody gives up on.
        let system = System {
            services: vec![Service::loaded(4, used, 20.0)],
            flows: vec![Flow::new(0, 20.0)],
            events: vec![
                (0.0, Happening::Speed { service: 0, share: left.max(1e-6) }),
                (seconds, Happening::Speed { service: 0, share: 1.0 }),
            ],
        };
        let run = simulate(&system, horizon, 1);
        let expected = run.outcomes.iter().filter(|outcome| outcome.took > limit).count() as f64;
        assert_orders(late, expected, ORDERS_TOLERANCE, &format!("{used} used, {left} left"));
    }
}
