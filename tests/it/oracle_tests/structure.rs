//! Nodes, cycles, replicas, domains, and draws.

use blastwave::model::topology::Replicas;
use blastwave::model::{Change, Share};

use super::small::{
    Broken::{Corrupt, Down},
    Small, assert_close, assert_state, at_once, breaks, call, component, share, state_of_a,
};
use crate::oracle::moment;

#[test]
fn a_service_hits_all_its_endpoints_and_an_endpoint_only_itself() {
    let topology = Small::new()
        .service("a", &[])
        .service("s", &[call("a")])
        .endpoint("s", "x", &[])
        .endpoint("s", "y", &[])
        .build();
    let down = |target| {
        let trial = at_once(&topology, &[(target, Down(1.0))]);
        ["s", "s/x", "s/y"].map(|node| trial.nodes[node].state.down)
    };
    assert_eq!(down("s"), [1.0, 1.0, 1.0]);
    assert_eq!(down("s/x"), [0.0, 1.0, 0.0]);
    assert_eq!(down("a"), [1.0, 1.0, 1.0], "the service's calls are its endpoints' too");
}

#[test]
fn an_endpoint_adds_its_own_calls() {
    let topology = Small::new()
        .service("a", &[])
        .service("b", &[])
        .service("s", &[call("a")])
        .endpoint("s", "x", &[call("b")])
        .build();
    let trial = at_once(&topology, &[("a", Down(0.5)), ("b", Down(0.5))]);
    assert_close(trial.nodes["s"].state.down, 0.5);
    assert_close(trial.nodes["s/x"].state.down, 0.75);
    assert_close(trial.services["s"].state.down, 0.75);
    assert!(trial.services["s"].fails);
}

#[test]
fn failure_in_a_cycle_is_not_counted_again_each_time_round() {
    // a and b need each other. Out of the cycle a has its own 0.2, b has c with 0.3; by the
    // products it would be 1 - 0.8 * 0.7 = 0.44 and more each round; it is the worse of the two.
    let topology = Small::new()
        .service("a", &[call("b")])
        .service("b", &[call("a"), call("c")])
        .service("c", &[])
        .service("d", &[call("a")])
        .build();
    let trial = at_once(&topology, &[("a", Down(0.2)), ("c", Down(0.3))]);
    for name in ["a", "b", "d"] {
        assert_state(trial.nodes[name].state, [0.0, 0.3, 0.0, 0.0]);
    }
}

#[test]
fn in_a_cycle_the_worse_is_taken_at_each_level() {
    // a: own corrupt 0.4. b: down 0.1 through c. At the level of down both have 0.9 left, at the
    // level of corrupt the least of 0.6 and 0.9.
    let topology = Small::new()
        .service("a", &[call("b")])
        .service("b", &[call("a"), call("c")])
        .service("c", &[])
        .build();
    let trial = at_once(&topology, &[("a", Corrupt(0.4)), ("c", Down(0.1))]);
    assert_state(trial.nodes["a"].state, [0.0, 0.1, 0.3, 0.0]);
    assert_state(trial.nodes["b"].state, [0.0, 0.1, 0.3, 0.0]);
}

#[test]
fn a_cycle_does_not_fail_out_of_nothing() {
    let topology = Small::new()
        .service("a", &[call("b"), call("d")])
        .service("b", &[call("a")])
        .service("c", &[])
        .service("d", &[])
        .build();
    assert_state(state_of_a(&topology, &[("c", Down(1.0))]), [0.0; 4]);
    assert_state(state_of_a(&topology, &[("d", Down(1.0))]), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn a_fallback_into_the_cycle_makes_a_call_part_of_it() {
    // c is outside, but falls back to b, which needs a: the call joins by maximum. a: own 0.5, and
    // of c's 0.5 b serves 0.5: 0.25 down, 0.25 degraded. Not slow 1, nor down min(0.5, 0.75).
    let topology = Small::new()
        .service("a", &[call("c").fallback("b")])
        .service("b", &[call("a")])
        .service("c", &[])
        .build();
    let state = state_of_a(&topology, &[("a", Down(0.5)), ("c", Down(0.5))]);
    assert_state(state, [0.0, 0.5, 0.0, 0.0]);
}

#[test]
fn long_chains_and_long_cycles_end() {
    let names: Vec<&'static str> =
        (0..300).map(|n| &*Box::leak(format!("s{n:03}").into_boxed_str())).collect();
    let chain = |last_calls_first: bool| {
        let mut small = Small::new();
        for (name, next) in names.iter().zip(names[1..].iter().chain([&names[0]])) {
            let is_last = *next == names[0];
            let calls = if is_last && !last_calls_first { vec![] } else { vec![call(next)] };
            small = small.service(name, &calls);
        }
        small.build()
    };
    for last_calls_first in [false, true] {
        let trial = at_once(&chain(last_calls_first), &[(names[299], Down(0.3))]);
        assert_close(trial.nodes[names[0]].state.down, 0.3);
    }
}

#[test]
fn replicas_are_down_with_their_domains() {
    // Of five replicas, 0, 2 and 4 sit in the first of two domains.
    let topology = |needs| {
        let small = Small::new().domain("east", None).domain("west", None);
        let mut topology = small.service("a", &[]).build();
        topology.services[0].replicas = Some(Replicas {
            count: 5,
            needs,
            availability: None,
            mttr: None,
            failover: None,
            domains: [1, 0].map(blastwave::model::topology::DomainId).to_vec(),
        });
        topology
    };
    for (needs, domain, down) in
        [(2, "west", 0.0), (3, "west", 1.0), (3, "east", 0.0), (4, "east", 1.0)]
    {
        let state = state_of_a(&topology(needs), &[(domain, Down(1.0))]);
        assert_state(state, [0.0, down, 0.0, 0.0]);
    }
}

#[test]
fn a_service_is_down_when_all_its_domains_are() {
    let small = Small::new()
        .domain("region", None)
        .domain("zone-1", Some("region"))
        .domain("zone-2", None)
        .service("a", &[]);
    let mut topology = small.build();
    topology.services[0].domains =
        ["zone-1", "zone-2"].map(|name| topology.domain_id(name).expect("a domain")).to_vec();
    let down = |names: &[&str]| {
        let mut change = breaks(&topology, &[(names[0], Down(1.0))]);
        change.during = names[1..].iter().map(|name| component(&topology, name)).collect();
        moment(&topology, &change, 1, 0).nodes["a"].state.down
    };
    assert_close(down(&["region"]), 0.0);
    assert_close(down(&["zone-2"]), 0.0);
    assert_close(down(&["zone-2", "zone-1"]), 1.0);
    assert_close(down(&["zone-2", "region"]), 1.0);
}

#[test]
fn what_is_down_anyway_is_in_the_baseline_too() {
    let topology = Small::new().service("a", &[call("b")]).service("b", &[]).build();
    let mut change = breaks(&topology, &[("a", Down(1.0))]);
    change.during = vec![component(&topology, "b")];
    let trial = moment(&topology, &change, 1, 0);
    assert_state(trial.nodes["a"].baseline, [0.0, 1.0, 0.0, 0.0]);
    assert_state(trial.nodes["b"].baseline, [0.0, 1.0, 0.0, 0.0]);
}

/// How many of 4000 trials satisfy something, as a share.
fn share_of_trials(is_so: impl Fn(u64) -> bool) -> f64 {
    (0..4000).filter(|trial| is_so(*trial)).count() as f64 / 4000.0
}

/// Holds a share of 4000 trials to a probability, with four standard errors and more to spare.
#[track_caller]
fn assert_likely(share: f64, probability: f64) {
    assert!((share - probability).abs() < 0.035, "{share} is not {probability}");
}

#[test]
fn everything_happens_as_often_as_it_should() {
    let mut topology = Small::new()
        .domain("zone", None)
        .service("a", &[call("b").with(|call| call.propagation = share(0.7))])
        .service("b", &[])
        .service("c", &[])
        .service("d", &[])
        .build();
    topology.domains[0].availability = Some(share(0.8));
    topology.services[2].domains = vec![blastwave::model::topology::DomainId(0)];
    topology.services[3].availability = Some(share(0.9));
    let mut change = breaks(&topology, &[("b", Down(1.0))]);
    change.targets[0].probability = share(0.6);
    let down = |name: &str| {
        share_of_trials(|trial| moment(&topology, &change, 5, trial).nodes[name].fails)
    };
    assert_likely(down("a"), 0.6 * 0.7);
    assert_likely(down("b"), 0.6);
    assert_likely(down("c"), 0.2);
    assert_likely(down("d"), 0.1);
}

#[test]
fn modes_are_drawn_with_their_chances() {
    let topology = Small::new().service("a", &[]).build();
    let mut change = breaks(&topology, &[("a", Down(1.0))]);
    let modes = &mut change.targets[0].modes;
    (modes.down, modes.slow, modes.corrupt, modes.surge) =
        (share(0.4), share(0.3), share(0.2), share(0.1));
    let states: Vec<_> =
        (0..4000).map(|trial| moment(&topology, &change, 5, trial).nodes["a"].state).collect();
    let mean = |of: fn(&crate::oracle::State) -> f64| states.iter().map(of).sum::<f64>() / 4000.0;
    assert_likely(mean(|state| state.down), 0.4);
    assert_likely(mean(|state| state.slow), 0.3);
    assert_likely(mean(|state| state.corrupt), 0.2);
}

#[test]
fn severity_is_uniform_between_its_bounds() {
    let topology = Small::new().service("a", &[]).build();
    let mut change = breaks(&topology, &[("a", Down(1.0))]);
    change.targets[0].severity = (share(0.2), share(0.6));
    let severity = |trial| moment(&topology, &change, 5, trial).nodes["a"].state.down;
    assert!((0..4000).map(severity).all(|severity| (0.2..=0.6).contains(&severity)));
    assert_likely((0..4000).map(severity).sum::<f64>() / 4000.0, 0.4);
    assert_likely(share_of_trials(|trial| severity(trial) < 0.3), 0.25);
}

#[test]
fn the_second_dependency_of_a_name_has_draws_of_its_own() {
    let doubtful = call("b").with(|call| call.propagation = share(0.5));
    let topology =
        Small::new().service("a", &[doubtful.clone().soft(), doubtful]).service("b", &[]).build();
    let change = breaks(&topology, &[("b", Down(1.0))]);
    let trial = moment(&topology, &change, 5, 0);
    let names: Vec<_> = trial.dependencies.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["b", "b#2"]);
    let state = |trial| moment(&topology, &change, 5, trial).nodes["a"].state;
    assert_likely(share_of_trials(|trial| state(trial).down > 0.0), 0.5);
    assert_likely(share_of_trials(|trial| state(trial).bad() > 0.0), 0.75);
}

#[test]
fn a_dependency_of_the_service_is_one_for_all_its_endpoints() {
    let doubtful = call("b").with(|call| call.propagation = share(0.5));
    let topology =
        Small::new().service("a", &[doubtful]).endpoint("a", "x", &[]).service("b", &[]).build();
    let change = breaks(&topology, &[("b", Down(1.0))]);
    for trial in 0..100 {
        let trial = moment(&topology, &change, 5, trial);
        assert_eq!(trial.nodes["a"].state, trial.nodes["a/x"].state);
    }
}

#[test]
fn a_change_without_a_broken_target_does_nothing() {
    let topology = Small::new().service("a", &[]).build();
    let mut change = breaks(&topology, &[("a", Down(1.0))]);
    change.targets[0].probability = Share::ZERO;
    assert_state(moment(&topology, &change, 1, 0).nodes["a"].state, [0.0; 4]);
    let nothing = Change::from_targets("nothing", Vec::new());
    assert_state(moment(&topology, &nothing, 1, 0).nodes["a"].state, [0.0; 4]);
}
