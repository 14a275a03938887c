//! Load and overload, with their numbers.

use blastwave::model::Topology;
use blastwave::model::topology::{Cache, Queue, Replicas, UserRetries};
use blastwave::model::units::Utilization;

use super::small::{
    Broken,
    Broken::{Corrupt, Down, Slow, Surge},
    Call, Small, any_of, assert_close, assert_state, at_once, breaks, call, component, seconds,
    share,
};
use crate::oracle::{lasting, moment};

/// A topology in which load is computed, by a service that nothing calls.
fn measured(small: Small) -> Topology {
    small.service_with("meter", &[], |meter| meter.utilization = Utilization::new(1.0)).build()
}

fn load_of(name: &str, topology: &Topology, targets: &[(&str, Broken)]) -> f64 {
    at_once(topology, targets).loads[name]
}

/// A flow calls `a`, which calls `b`, `c` and `d` as said.
fn a_calls(calls: &[Call]) -> Topology {
    let small = Small::new()
        .service("a", calls)
        .service("b", &[])
        .service("c", &[])
        .service("d", &[])
        .flow("order", 10.0, &[call("a")]);
    measured(small)
}

#[test]
fn nothing_broken_means_normal_load() {
    let topology = a_calls(&[call("b").retries(2).cache(0.5), any_of(1, &["c", "d"])]);
    let trial = at_once(&topology, &[]);
    assert!(trial.loads.values().all(|load| (load - 1.0).abs() < 1e-12), "{:?}", trial.loads);
}

#[test]
fn retries_multiply_calls() {
    // R = 0.5 + 0.25.
    assert_close(load_of("b", &a_calls(&[call("b").retries(2)]), &[("b", Down(0.5))]), 1.75);
    assert_close(load_of("b", &a_calls(&[call("b").retries(2)]), &[("b", Down(1.0))]), 3.0);
    // What hangs is not retried, unless it is given up.
    assert_close(load_of("b", &a_calls(&[call("b").retries(2)]), &[("b", Slow(1.0))]), 1.0);
    let gives_up = a_calls(&[call("b").retries(2).timeout()]);
    assert_close(load_of("b", &gives_up, &[("b", Slow(1.0))]), 3.0);
}

#[test]
fn a_lost_cache_lets_everything_through() {
    let topology = a_calls(&[call("b").cache(0.9).cache_service("c")]);
    assert_close(load_of("b", &topology, &[("c", Down(1.0))]), 10.0);
    // Half of the cache answers: (1 - 0.45) / 0.1.
    assert_close(load_of("b", &topology, &[("c", Down(0.5))]), 5.5);
    assert_close(load_of("b", &topology, &[("b", Down(1.0))]), 1.0);
}

#[test]
fn an_expired_cache_lets_everything_through_too() {
    let mut topology = a_calls(&[call("b")]);
    let ttl = Some(seconds(60.0));
    topology.services[0].dependencies[0].cache =
        Some(Cache { ttl, hit_ratio: share(0.75), service: None, refill: None });
    let change = breaks(&topology, &[("b", Down(1.0))]);
    assert_close(lasting(&topology, &change, 1, 0, 0.0).loads["b"], 1.0);
    // Half of the entries are left: (1 - 0.375) / 0.25.
    assert_close(lasting(&topology, &change, 1, 0, 30.0).loads["b"], 2.5);
    assert_close(lasting(&topology, &change, 1, 0, 60.0).loads["b"], 4.0);
}

#[test]
fn a_surge_multiplies_all_calls_of_the_target() {
    let topology = a_calls(&[call("b"), call("c").retries(1)]);
    let trial = at_once(&topology, &[("a", Surge(0.5, 5.0)), ("c", Down(0.5))]);
    assert_close(trial.loads["a"], 1.0);
    assert_close(trial.loads["b"], 1.0 + 0.5 * 4.0);
    assert_close(trial.loads["c"], 3.0 * 1.5);
    assert_state(trial.nodes["b"].state, [0.0; 4]);
}

#[test]
fn load_goes_on_from_caller_to_dependency() {
    let small = Small::new()
        .service("a", &[call("b")])
        .service("b", &[call("c")])
        .service("c", &[])
        .flow("order", 10.0, &[call("a")]);
    assert_close(load_of("c", &measured(small), &[("a", Surge(1.0, 7.0))]), 7.0);
}

#[test]
fn only_what_is_wholly_down_makes_no_calls() {
    let topology = a_calls(&[call("b")]);
    // A bug that fails some requests does so after they were made; wrong answers are answers.
    for (broken, load) in [
        (Down(0.4), 1.0),
        (Slow(0.4), 1.0),
        (Corrupt(0.4), 1.0),
        (Down(1.0), 0.0),
        (Slow(1.0), 0.0),
        (Corrupt(1.0), 1.0),
    ] {
        assert_close(load_of("b", &topology, &[("a", broken)]), load);
    }
}

#[test]
fn traffic_is_split_by_the_rates_of_flows() {
    let small = |rate: f64| {
        let small = Small::new()
            .service("db", &[])
            .service("a", &[call("db")])
            .service("b", &[call("db").with(|call| call.call_probability = share(0.5))])
            .flow("from-a", 30.0, &[call("a")]);
        if rate > 0.0 {
            small.flow("from-b", rate, &[call("b")])
        } else {
            small.flow_with("from-b", &[call("b")], |_| {})
        }
    };
    // 30 from a, doubled, and 20 * 0.5 from b.
    let surge = [("a", Surge(1.0, 2.0))];
    assert_close(load_of("db", &measured(small(20.0)), &surge), 70.0 / 40.0);
    // The second flow's rate unknown: half from each.
    assert_close(load_of("db", &measured(small(0.0)), &surge), 1.5);
}

#[test]
fn a_caller_that_no_flow_reaches_makes_the_split_unknown() {
    let small = Small::new()
        .service("db", &[])
        .service("a", &[call("db")])
        .service("job", &[call("db")])
        .flow("order", 30.0, &[call("a")]);
    assert_close(load_of("db", &measured(small), &[("a", Surge(1.0, 2.0))]), 1.5);
}

#[test]
fn a_plain_node_that_nothing_refers_to_beside_endpoints_does_not_count() {
    let small = Small::new()
        .service("db", &[])
        .service("a", &[call("db")])
        .endpoint("a", "x", &[])
        .service("b", &[call("db")])
        .flow("order", 30.0, &[call("a/x")])
        .flow("other", 10.0, &[call("b")]);
    assert_close(load_of("db", &measured(small), &[("b", Surge(1.0, 5.0))]), 80.0 / 40.0);
}

#[test]
fn endpoints_share_the_capacity_of_their_service() {
    let mut topology = Small::new()
        .service_with("a", &[], |a| {
            a.utilization = Utilization::new(0.5);
            a.queue = Some(Queue::Refuses);
        })
        .endpoint("a", "x", &[])
        .endpoint("a", "y", &[])
        .service("s", &[call("a/x")])
        .flow("s", 30.0, &[call("s")])
        .flow("y", 10.0, &[call("a/y")])
        .build();
    let targets = [("s", Surge(1.0, 5.0))];
    // (30 * 5 + 10) / 40 = 4 on a capacity of 2: half of everything is refused.
    let trial = at_once(&topology, &targets);
    assert_close(trial.loads["a"], 4.0);
    assert_state(trial.nodes["a/y"].state, [0.0, 0.5, 0.0, 0.0]);
    assert_state(trial.nodes["a/x"].state, [0.0, 0.5, 0.0, 0.0]);
    // At a single moment a queue loses as much: nothing can gather in it.
    topology.services[0].queue = None;
    assert_state(at_once(&topology, &targets).nodes["a/y"].state, [0.0, 0.5, 0.0, 0.0]);
}

fn overloaded(factor: f64, utilization: f64, queue: Queue) -> [f64; 2] {
    let topology = Small::new()
        .service("a", &[call("b")])
        .service_with("b", &[], |b| {
            b.utilization = Utilization::new(utilization);
            b.queue = Some(queue);
        })
        .flow("order", 1.0, &[call("a")])
        .build();
    let state = at_once(&topology, &[("a", Surge(1.0, factor))]).nodes["b"].state;
    [state.slow, state.down]
}

#[test]
fn a_service_without_a_queue_serves_what_it_can() {
    // Capacity 1 / 0.5 = 2.
    assert_eq!(overloaded(2.0, 0.5, Queue::Refuses), [0.0, 0.0]);
    assert_close(overloaded(8.0, 0.5, Queue::Refuses)[1], 0.75);
    assert_close(overloaded(8.0, 0.5, Queue::Refuses)[0], 0.0);
}

#[test]
fn threads_that_share_processors_serve_what_they_can_and_let_the_rest_hang() {
    let threads = Queue::Threads { threads: 200, cores: 8 };
    assert_eq!(overloaded(2.0, 0.5, threads), [0.0, 0.0]);
    assert_close(overloaded(3.0, 0.5, threads)[0], 1.0 / 3.0);
    assert_close(overloaded(8.0, 0.5, threads)[0], 0.75);
}

#[test]
fn every_queue_loses_what_there_is_no_capacity_for_at_a_single_moment() {
    // Load 8 on a capacity of 2: the least that any queue loses in the end.
    let refused = overloaded(8.0, 0.5, Queue::Refuses);
    assert_close(refused[1], 0.75);
    assert_eq!(overloaded(8.0, 0.5, Queue::Unbounded), refused);
    assert_eq!(overloaded(8.0, 0.5, Queue::Holds(seconds(2.0))), refused);
}

#[test]
fn fewer_replicas_are_less_capacity() {
    let mut topology = Small::new()
        .domain("east", None)
        .domain("west", None)
        .service_with("a", &[], |a| {
            a.utilization = Utilization::new(0.6);
            a.queue = Some(Queue::Refuses);
        })
        .flow("order", 1.0, &[call("a")])
        .build();
    let domains = ["east", "west"].map(|name| topology.domain_id(name).expect("a domain"));
    let replicas = Replicas {
        count: 4,
        needs: 2,
        availability: None,
        mttr: None,
        failover: None,
        domains: domains.to_vec(),
    };
    topology.services[0].replicas = Some(replicas);
    // Two of four up: 0.5 / 0.6 of the load is served.
    let trial = at_once(&topology, &[("east", Down(1.0))]);
    assert_state(trial.nodes["a"].state, [0.0, 1.0 - 0.5 / 0.6, 0.0, 0.0]);
}

#[test]
fn what_is_down_in_the_background_is_not_overloaded() {
    let topology = Small::new()
        .service("a", &[call("b").retries(9)])
        .service_with("b", &[], |b| b.utilization = Utilization::new(0.9))
        .flow("order", 1.0, &[call("a")])
        .build();
    let mut change = breaks(&topology, &[]);
    change.during = vec![component(&topology, "b")];
    let trial = moment(&topology, &change, 1, 0);
    assert_close(trial.loads["b"], 10.0);
    assert_state(trial.nodes["b"].state, [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn retries_can_keep_up_their_own_overload() {
    // Shed at capacity 1.25 under a surge of 2: with share x lost the load is 2 (1 + x), served
    // 1.25 / (2 (1 + x)) = 1 - x: 1 - x^2 = 0.625.
    let topology = Small::new()
        .service("a", &[call("b").retries(1)])
        .service_with("b", &[], |b| {
            b.utilization = Utilization::new(0.8);
            b.queue = Some(Queue::Refuses);
        })
        .flow("order", 1.0, &[call("a")])
        .build();
    let trial = at_once(&topology, &[("a", Surge(1.0, 2.0))]);
    let lost = 0.375_f64.sqrt(); // settled to 1e-7
    assert!((trial.nodes["b"].state.down - lost).abs() < 1e-6);
    assert!((trial.loads["b"] - 2.0 * (1.0 + lost)).abs() < 1e-6);
    assert!(trial.unsettled.is_empty());
}

#[test]
fn a_breaker_on_the_edge_swings_and_is_reported() {
    // Without retries b serves all but 0.44 and the breaker stays shut; with the retries of a shut
    // breaker it loses more than half, and the breaker opens.
    let calls = call("b").retries(3).with(|call| call.circuit_breaker = Some(true));
    let topology = Small::new()
        .service("a", &[calls])
        .service_with("b", &[], |b| {
            b.utilization = Utilization::new(0.9);
            b.queue = Some(Queue::Refuses);
        })
        .flow("order", 1.0, &[call("a")])
        .build();
    let trial = at_once(&topology, &[("a", Surge(1.0, 2.0))]);
    assert!(trial.unsettled.contains("b"));
}

#[test]
fn what_is_called_only_as_a_fallback_is_normally_idle() {
    let topology = a_calls(&[call("b").fallback("c")]);
    assert_close(load_of("c", &topology, &[]), 0.0);
    assert_close(load_of("c", &topology, &[("b", Down(0.3))]), 0.3);
    assert_close(load_of("c", &topology, &[("b", Down(1.0))]), 1.0);
    // Retries do not reach it, and failures that they heal do not either.
    let topology = a_calls(&[call("b").retries(1).fallback("c")]);
    assert_close(load_of("c", &topology, &[("b", Down(0.5))]), 0.25);
}

#[test]
fn fallback_traffic_comes_on_top_of_the_normal() {
    let small = Small::new()
        .service("a", &[call("b").fallback("c")])
        .service("b", &[])
        .service("c", &[])
        .flow("order", 30.0, &[call("a")])
        .flow("other", 10.0, &[call("c")]);
    // 30 * 0.5 on top of 10.
    assert_close(load_of("c", &measured(small), &[("b", Down(0.5))]), 2.5);
}

#[test]
fn any_of_traffic_moves_to_the_members_that_are_up() {
    let one = a_calls(&[any_of(1, &["b", "c", "d"])]);
    assert_close(load_of("c", &one, &[("b", Down(1.0))]), 1.5);
    assert_close(load_of("b", &one, &[("b", Down(1.0))]), 0.0);
    assert_close(load_of("c", &one, &[("b", Down(0.5))]), 3.0 / 2.5);
    assert_close(load_of("b", &one, &[("b", Down(0.5))]), 1.5 / 2.5);
    let down = [("b", Down(1.0)), ("c", Down(1.0))];
    assert_close(load_of("d", &one, &down), 3.0);
    // A request that needs two of three asks each member for at most all of it.
    assert_close(load_of("d", &a_calls(&[any_of(2, &["b", "c", "d"])]), &down), 1.5);
    let all = [("b", Down(1.0)), ("c", Down(1.0)), ("d", Down(1.0))];
    assert_close(load_of("d", &one, &all), 1.0);
}

#[test]
fn users_who_try_again_bring_load() {
    let mut topology = a_calls(&[call("b")]);
    let users = UserRetries { share: share(0.5), attempts: 2, after: None };
    topology.flows[0].retry_by_users = Some(users);
    assert_close(load_of("a", &topology, &[("b", Down(1.0))]), 1.0 + 0.5 + 0.25);
    assert_close(load_of("b", &topology, &[("b", Down(0.4))]), 1.0 + 0.2 + 0.04);
    assert_close(load_of("a", &topology, &[("b", Corrupt(1.0))]), 1.0);
}

#[test]
fn calls_inside_a_cycle_and_calls_to_start_carry_no_load() {
    let small = Small::new()
        .service("a", &[call("b"), call("c").at_start()])
        .service("b", &[call("a").retries(5)])
        .service("c", &[])
        .service("d", &[call("a")])
        .flow("order", 1.0, &[call("d")]);
    let topology = measured(small);
    let trial = at_once(&topology, &[("d", Surge(1.0, 3.0)), ("a", Down(0.5))]);
    assert_close(trial.loads["a"], 3.0);
    assert_close(trial.loads["b"], 1.0);
    assert_close(trial.loads["c"], 1.0);
}
