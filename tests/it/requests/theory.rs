//! The simulator against the theory of queues and caches, before the engine is held against the simulator.
//!
//! Means of long simulations spread by less than 1 to 2% here; 5% is far beyond chance and finds any wrong rule.

use super::draws::Time;
use super::simulator::{Run, simulate};
use super::system::{Cache, Call, Flow, Happening, Of, Service, System};

/// How far a long simulation may be from the formula.
const TOLERANCE: f64 = 0.05;

#[track_caller]
fn assert_about(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= TOLERANCE * expected.abs().max(1e-3),
        "{found}, not {expected}"
    );
}

fn system(services: Vec<Service>, rate: f64) -> System {
    System { services, flows: vec![Flow::new(0, rate)], events: Vec::new() }
}

fn mean_wait(run: &Run) -> f64 {
    run.waited[0] / run.served[0] as f64
}

/// The probability that a request waits in M/M/c (Erlang's C formula).
fn erlang_c(servers: usize, offered: f64) -> f64 {
    let mut blocked = 1.0; // Erlang's B formula, by its recursion.
    for n in 1..=servers {
        blocked = offered * blocked / (n as f64 + offered * blocked);
    }
    let utilization = offered / servers as f64;
    blocked / (1.0 - utilization * (1.0 - blocked))
}

#[test]
fn several_servers_wait_as_erlang_says() {
    let (rate, servers, utilization) = (100.0, 4, 0.8);
    let run =
        simulate(&system(vec![Service::loaded(servers, utilization, rate)], rate), 3_000.0, 1);
    let offered = utilization * servers as f64;
    let mean_work = offered / rate;
    assert_about(
        mean_wait(&run),
        erlang_c(servers, offered) * mean_work / (servers as f64 - offered),
    );
}

#[test]
fn a_bounded_queue_refuses_as_the_birth_and_death_process_says() {
    let (rate, servers, places) = (100.0, 2, 3);
    let service = Service { waiting_places: Some(places), ..Service::loaded(servers, 0.9, rate) };
    let run = simulate(&system(vec![service], rate), 3_000.0, 2);
    // M/M/c/K: the states' weights are offered^n / n! up to c, and fall by the utilization from there.
    let offered = 0.9 * servers as f64;
    let mut weights = vec![1.0];
    for n in 1..=servers + places {
        let rate_of_leaving = n.min(servers) as f64;
        weights.push(weights[n - 1] * offered / rate_of_leaving);
    }
    let blocked = weights[servers + places] / weights.iter().sum::<f64>();
    assert_about(run.failing_share(0, 0.0, 3_000.0), blocked);
}

#[test]
fn one_server_with_any_work_waits_as_pollaczek_and_khinchine_say() {
    let (rate, utilization) = (100.0, 0.7);
    let (median, p99) = (0.004_9, 0.03);
    let sigma = f64::ln(p99 / median) / 2.326_347_874;
    // Of each kind of work, its squared coefficient of variation.
    let kinds = [
        (Time::Fixed(utilization / rate), 0.0),
        (Time::Exponential(utilization / rate), 1.0),
        (Time::Lognormal { median, p99 }, (sigma * sigma).exp() - 1.0),
    ];
    for (work, variation) in kinds {
        let service = Service { servers: Some(1), ..Service::new(work) };
        let run = simulate(&system(vec![service], rate), 6_000.0, 3);
        let (mean, second_moment) = (work.mean(), work.mean().powi(2) * (1.0 + variation));
        assert_about(mean_wait(&run), rate * second_moment / (2.0 * (1.0 - rate * mean)));
    }
}

#[test]
fn a_cache_without_expiry_hits_as_che_says() {
    let cache = Cache { keys: 2_000, skew: 0.8, ttl: f64::INFINITY, room: Some(200) };
    let call = Call { cache: Some(cache.clone()), ..Call::new(1, 1.0) };
    let origin = Service::new(Time::Fixed(0.001));
    let services = vec![Service::new(Time::Fixed(0.001)).calling(call), origin];
    let run = simulate(&system(services, 500.0), 400.0, 4);
    let hits = run.cache_hits as f64 / (run.cache_hits + run.cache_misses) as f64;
    // Che's approximation: every entry stays for the same time t since its last use, with as many entries as there is room.
    let weights: Vec<f64> = (1..=cache.keys).map(|rank| (rank as f64).powf(-cache.skew)).collect();
    let total: f64 = weights.iter().sum();
    let present = |t: f64| weights.iter().map(|w| 1.0 - (-w / total * t).exp()).sum::<f64>();
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if present(middle) < 200.0 { low = middle } else { high = middle }
    }
    let expected: f64 = weights.iter().map(|w| w / total * (1.0 - (-w / total * low).exp())).sum();
    assert_about(hits, expected);
}

#[test]
fn independent_attempts_all_fail_with_the_power_of_their_number() {
    for (of, expected) in [(Of::Attempts, 0.5_f64.powi(3)), (Of::Requests, 0.5)] {
        let callee = Service::new(Time::Fixed(0.001));
        let services =
            vec![Service::new(Time::Fixed(0.001)).calling(Call::new(1, 1.0).retries(2)), callee];
        let events = vec![(0.0, Happening::Fails { service: 1, share: 0.5, of })];
        let run = simulate(&System { events, ..system(services, 500.0) }, 200.0, 5);
        assert_about(run.failing_share(0, 0.0, 190.0), expected);
    }
}

#[test]
fn a_backlog_drains_with_the_capacity_that_is_left_over() {
    // u = 0.8, nothing is served for 60 s: waits are above the timeout until u·60 s of work are down to 1 s.
    let (rate, utilization, outage) = (200.0, 0.8, 60.0);
    let services = vec![
        Service::new(Time::Fixed(0.001)).calling(Call::new(1, 1.0)),
        Service::loaded(4, utilization, rate),
    ];
    let events = vec![
        (0.0, Happening::Speed { service: 1, share: 0.0 }),
        (outage, Happening::Speed { service: 1, share: 1.0 }),
    ];
    let run = simulate(&System { events, ..system(services, rate) }, 900.0, 6);
    let drained = (utilization * outage - 1.0) / (1.0 - utilization);
    assert_about(run.lost(0, 0.0, 890.0), rate * (outage + drained));
}

#[test]
fn threads_that_wait_for_a_hanging_call_refuse_the_rest() {
    // λ h = 1,000/s · 3 s of 200 threads.
    let waiting = Service { threads: Some(200), ..Service::new(Time::Fixed(0.01)) }
        .calling(Call::new(1, 3.0).soft());
    let services = vec![waiting, Service::new(Time::Fixed(0.001))];
    let events = vec![(0.0, Happening::Hangs { service: 1, share: 1.0, of: Of::Attempts })];
    let run = simulate(&System { events, ..system(services, 1_000.0) }, 120.0, 7);
    assert_about(run.failing_share(0, 10.0, 110.0), 1.0 - 200.0 / (1_000.0 * 3.01));
    assert!(run.refused[0] > 0);
}
