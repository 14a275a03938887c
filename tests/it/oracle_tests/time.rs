//! Rollout, detection, rollback, repair and restart, with their numbers. All delays are certain
//! and all times multiples of the step, so that the grid is exact.

use blastwave::model::change::{Change, KillSwitch, Routing};
use blastwave::model::topology::{Buffer, Queue, WhenFull};
use blastwave::model::units::Utilization;
use blastwave::model::{Share, Topology};

use super::small::{
    Broken::{Corrupt, Down, Slow, Surge},
    Small, any_of, assert_close, assert_state, breaks, call, component, delay, id, plain, rollout,
    seconds, share, shop, with_time,
};
use crate::oracle::{DetectedBy, Trial, lasting, moment, story};
use crate::random::{Features, scenario};

const STEP: f64 = 10.0;
/// A stage that stays.
const STAYS: f64 = f64::INFINITY;

fn told(topology: &Topology, change: &Change) -> Trial {
    story(topology, change, 1, 0, STEP)
}

#[test]
fn an_incident_lasts_from_the_break_to_the_end_of_the_rollback() {
    let topology = shop();
    let trial =
        told(&topology, &with_time(breaks(&topology, &[("b", Down(0.6))]), 300.0, 900.0, 7200.0));
    let detected = trial.detected.expect("it is noticed");
    assert_eq!((detected.at, detected.by), (300.0, DetectedBy::Ordinary));
    assert_close(detected.exposure, 1.0);
    assert_eq!(trial.cause_ended, Some(1200.0));
    let flow = &trial.flows["order"];
    assert_close(flow.lost_seconds, 0.6 * 1200.0);
    assert_close(flow.orders_lost.expect("it has a rate"), 2.0 * 0.6 * 1200.0);
    assert_close(flow.wrong_orders.expect("it has a rate"), 0.0);
    assert_eq!(flow.outcome.first_failed, Some(0.0));
    assert_close(flow.outcome.failed_for, 1200.0);
    assert_state(flow.outcome.state, [0.0; 4]);
}

#[test]
fn what_is_below_the_alert_threshold_is_never_noticed() {
    let topology = shop();
    let trial =
        told(&topology, &with_time(breaks(&topology, &[("b", Down(0.01))]), 300.0, 900.0, 7200.0));
    assert_eq!(trial.detected, None);
    assert_close(trial.flows["order"].lost_seconds, 72.0);
}

#[test]
fn a_gate_stops_the_rollout_where_it_is() {
    let topology = shop();
    let mut change = with_time(breaks(&topology, &[("b", Down(1.0))]), 3600.0, 300.0, 7200.0);
    change.detection.as_mut().expect("stated").alert_threshold = Some(share(0.5));
    let stages = [(0.1, 600.0, 1.0), (1.0, STAYS, 0.0)];
    change.rollout = Some(rollout(Routing::Random, &stages));
    let trial = told(&topology, &change);
    let detected = trial.detected.expect("the gate sees it");
    assert_eq!((detected.at, detected.by), (600.0, DetectedBy::Gate));
    assert_close(detected.exposure, 0.1);
    assert_eq!(trial.cause_ended, Some(900.0));
    assert_close(trial.flows["order"].lost_seconds, 0.1 * 900.0);
}

#[test]
fn stages_follow_each_other_until_someone_notices() {
    let topology = shop();
    let mut change = with_time(breaks(&topology, &[("b", Down(1.0))]), 600.0, 300.0, 7200.0);
    change.detection.as_mut().expect("stated").alert_threshold = Some(share(0.2));
    // Gates that never catch. 10% for 600 s, 50% from 600 s on, which starts the clock; noticed at
    // 1200 s, before the last stage at 1800 s; ended at 1500 s.
    let stages = [(0.1, 600.0, 0.0), (0.5, 1200.0, 0.0), (1.0, STAYS, 0.0)];
    change.rollout = Some(rollout(Routing::Random, &stages));
    let trial = told(&topology, &change);
    assert_eq!(trial.detected.map(|detected| detected.at), Some(1200.0));
    assert_close(trial.flows["order"].lost_seconds, 0.1 * 600.0 + 0.5 * 900.0);
    assert_close(trial.nodes["b"].peak_failing, 0.5);
    assert_eq!(trial.nodes["b"].first_failed, Some(600.0));
}

#[test]
fn a_gate_does_not_see_what_only_calls_too_often_or_has_not_begun() {
    let topology = shop();
    let stages = [(0.5, 600.0, 1.0), (1.0, STAYS, 0.0)];
    let surge = breaks(&topology, &[("a", Surge(1.0, 9.0))]);
    let mut late = breaks(&topology, &[("a", Down(1.0))]);
    late.targets[0].onset = delay(600.0);
    let mut dormant = breaks(&topology, &[("a", Down(1.0))]);
    dormant.targets[0].min_exposure = share(0.6);
    for (change, lost) in [(surge, 0.0), (late, 600.0), (dormant, 600.0)] {
        let mut change = with_time(change, 300.0, 300.0, 7200.0);
        change.rollout = Some(rollout(Routing::Random, &stages));
        let trial = told(&topology, &change);
        let noticed = (lost > 0.0).then_some((900.0, DetectedBy::Ordinary));
        assert_eq!(trial.detected.map(|detected| (detected.at, detected.by)), noticed);
        assert_close(trial.flows["order"].lost_seconds, lost);
    }
}

#[test]
fn onset_counts_from_the_exposure_that_it_needs() {
    let topology = shop();
    let mut change = with_time(breaks(&topology, &[("b", Down(1.0))]), 60.0, 60.0, 7200.0);
    change.targets[0].min_exposure = share(0.5);
    change.targets[0].onset = delay(400.0);
    let stages = [(0.1, 300.0, 1.0), (0.5, 300.0, 0.0), (1.0, STAYS, 0.0)];
    change.rollout = Some(rollout(Routing::Random, &stages));
    let trial = told(&topology, &change);
    // 50% from 300 s on, failing from 700 s on, when everything has the change.
    assert_eq!(trial.nodes["b"].first_failed, Some(700.0));
    assert_close(trial.flows["order"].lost_seconds, 120.0);
}

#[test]
fn sticky_users_meet_the_change_always_or_never() {
    // Half the users, three attempts. Random: 0.5^3; sticky: one half fails whatever it tries.
    let mut topology = shop();
    topology.services[0].dependencies[0].retries = Some(2);
    for (routing, lost) in [(Routing::Random, 0.125), (Routing::Sticky, 0.5)] {
        let mut change = with_time(breaks(&topology, &[("b", Down(1.0))]), 600.0, 0.0, 600.0);
        change.rollout = Some(rollout(routing, &[(0.5, STAYS, 0.0)]));
        assert_close(told(&topology, &change).flows["order"].outcome.peak_failing, lost);
    }
}

#[test]
fn sticky_cohorts_share_capacity() {
    // Exposed: surge of 5, load 5; unexposed: 1. At half exposure 3, on a capacity of 2.
    let mut topology = shop();
    topology.services[1].utilization = Utilization::new(0.5);
    topology.services[1].queue = Some(Queue::Refuses);
    let mut change = with_time(breaks(&topology, &[("a", Surge(1.0, 5.0))]), 600.0, 0.0, 600.0);
    change.rollout = Some(rollout(Routing::Sticky, &[(0.5, STAYS, 0.0)]));
    let trial = told(&topology, &change);
    assert_close(trial.loads["b"], 3.0);
    assert_close(trial.nodes["b"].peak_failing, 1.0 / 3.0);
}

#[test]
fn delays_are_longer_while_what_they_need_is_failed() {
    let topology = shop();
    let mut change = with_time(breaks(&topology, &[("b", Down(1.0))]), 300.0, 600.0, 7200.0);
    change.detection.as_mut().expect("stated").depends_on = vec![id(&topology, "a")];
    let rollback = change.rollback.as_mut().expect("stated");
    rollback.depends_on = vec![id(&topology, "b")];
    rollback.needs_factor = 3.0;
    let trial = told(&topology, &change);
    assert_eq!(trial.detected.map(|detected| detected.at), Some(600.0));
    assert_eq!(trial.cause_ended, Some(600.0 + 1800.0));
}

#[test]
fn a_rollback_may_fail_or_make_everything_worse() {
    let topology = shop();
    let mut change = with_time(breaks(&topology, &[("b", Slow(0.2))]), 300.0, 300.0, 1200.0);
    change.rollback.as_mut().expect("stated").works = Share::ZERO;
    let trial = told(&topology, &change);
    assert_eq!(trial.cause_ended, None);
    assert_close(trial.flows["order"].lost_seconds, 0.2 * 1200.0);
    change.rollback.as_mut().expect("stated").worsens = Share::ONE;
    let trial = told(&topology, &change);
    assert_close(trial.flows["order"].lost_seconds, 0.2 * 600.0 + 600.0);
    assert_state(trial.nodes["b"].state, [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn a_kill_switch_ends_the_cause_if_it_works_first() {
    let topology = shop();
    let mut change = with_time(breaks(&topology, &[("b", Slow(0.2))]), 300.0, 900.0, 7200.0);
    let kill_switch =
        |works| KillSwitch { delay: delay(60.0), depends_on: Vec::new(), needs_factor: 2.0, works };
    change.kill_switch = Some(kill_switch(Share::ONE));
    assert_eq!(told(&topology, &change).cause_ended, Some(360.0));
    change.kill_switch = Some(kill_switch(Share::ZERO));
    assert_eq!(told(&topology, &change).cause_ended, Some(1200.0));
}

#[test]
fn corrupt_data_outlives_the_rollback_until_it_is_repaired() {
    let topology = shop();
    let mut change = with_time(breaks(&topology, &[("b", Corrupt(0.5))]), 300.0, 300.0, 7200.0);
    assert_close(told(&topology, &change).flows["order"].wrong_seconds, 300.0);
    change.repair = Some(delay(1000.0));
    let trial = told(&topology, &change);
    assert_eq!(trial.detected.map(|detected| detected.by), Some(DetectedBy::Corrupt));
    assert_eq!(trial.cause_ended, Some(600.0));
    assert_close(trial.flows["order"].wrong_seconds, 0.5 * 1600.0);
    assert_close(trial.flows["order"].lost_seconds, 0.5 * 1600.0);
}

#[test]
fn what_fails_anyway_is_not_charged_to_the_change() {
    let topology = Small::new()
        .service("a", &[])
        .service("b", &[])
        .flow("order", 2.0, &[call("a"), call("b").with(|call| call.call_probability = share(0.4))])
        .build();
    // Without the change 0.4 fail; with it 1 - 0.6 * 0.5 = 0.7.
    let mut change = with_time(breaks(&topology, &[("a", Down(0.5))]), 300.0, 300.0, 7200.0);
    change.during = vec![component(&topology, "b")];
    let detection = change.detection.as_mut().expect("stated");
    detection.alert_threshold = Some(share(0.29));
    let trial = told(&topology, &change);
    assert_close(trial.flows["order"].lost_seconds, 0.3 * 600.0);
    assert_close(trial.flows["order"].outcome.peak_failing, 0.7);
    // The clock compares the same difference.
    change.detection.as_mut().expect("stated").alert_threshold = Some(share(0.31));
    assert_eq!(told(&topology, &change).detected, None);
}

/// `a` calls `b`, `b` calls `c`; all three are wholly down until 600 s.
fn all_down(edit: impl FnOnce(&mut Topology)) -> Trial {
    let mut topology = Small::new()
        .service("a", &[call("b")])
        .service("b", &[call("c")])
        .service("c", &[])
        .flow("order", 1.0, &[call("a")])
        .build();
    for (service, restart) in topology.services.iter_mut().zip([100.0, 200.0, 400.0]) {
        service.recovery.restart = seconds(restart);
    }
    edit(&mut topology);
    let targets = [("a", Down(1.0)), ("b", Down(1.0)), ("c", Down(1.0))];
    told(&topology, &with_time(breaks(&topology, &targets), 300.0, 300.0, 7200.0))
}

fn down_for(trial: &Trial) -> [f64; 3] {
    ["a", "b", "c"].map(|name| trial.nodes[name].failed_for)
}

#[test]
fn services_restart_after_what_they_need() {
    assert_eq!(down_for(&all_down(|_| {})), [1300.0, 1200.0, 1000.0]);
}

#[test]
fn soft_dependencies_are_not_waited_for() {
    let trial = all_down(|topology| {
        let to_c = &mut topology.services[1].dependencies[0];
        to_c.criticality = Some(blastwave::model::topology::Criticality::Soft);
    });
    assert_eq!(down_for(&trial), [900.0, 800.0, 1000.0]);
}

#[test]
fn dependencies_needed_to_start_are_waited_for() {
    let trial = all_down(|topology| {
        topology.services[1].dependencies[0].phase = blastwave::model::topology::Phase::Start;
    });
    assert_eq!(down_for(&trial), [1300.0, 1200.0, 1000.0]);
}

#[test]
fn of_a_choice_the_earliest_are_waited_for() {
    for (needs, a_down_for) in [(1, 900.0), (2, 1100.0)] {
        let trial = all_down(|topology| {
            topology.services[1].dependencies.clear();
            let both = ["b", "c"].map(|name| plain(topology, name)).to_vec();
            let choice = &mut topology.services[0].dependencies[0];
            (choice.on, choice.any_of, choice.needs) = (both, true, needs);
        });
        assert_eq!(down_for(&trial), [a_down_for, 800.0, 1000.0]);
    }
}

#[test]
fn what_waits_for_itself_in_a_circle_never_comes_back() {
    let trial = all_down(|topology| {
        let to_b = topology.services[0].dependencies[0].clone();
        topology.services[2].dependencies = vec![to_b];
    });
    assert_eq!(down_for(&trial), [7200.0; 3]);
    let never: Vec<&str> = trial.never_recover.iter().map(String::as_str).collect();
    assert_eq!(never, ["a", "b", "c"]);
}

#[test]
fn a_way_around_breaks_the_circle() {
    // b needs c or d, c needs b: b comes back with d, which does not restart.
    let topology = Small::new()
        .service("a", &[])
        .service("b", &[any_of(1, &["c", "d"])])
        .service("c", &[call("b")])
        .service("d", &[])
        .build();
    let targets = [("b", Down(1.0)), ("c", Down(1.0))];
    let trial = told(&topology, &with_time(breaks(&topology, &targets), 0.0, 0.0, 600.0));
    assert_eq!(trial.detected, None, "there is no flow");
    let flows = Small::new()
        .service("b", &[any_of(1, &["c", "d"])])
        .service("c", &[call("b")])
        .service("d", &[])
        .flow("order", 1.0, &[call("b")])
        .build();
    let trial = told(&flows, &with_time(breaks(&flows, &targets), 100.0, 100.0, 600.0));
    assert_eq!(trial.cause_ended, Some(200.0));
    assert!(trial.never_recover.is_empty());
    assert_close(trial.nodes["c"].failed_for, 200.0);
}

#[test]
fn what_needs_a_failed_service_to_start_never_comes_back() {
    let topology = Small::new()
        .service("a", &[call("b").at_start()])
        .service("b", &[])
        .flow("order", 1.0, &[call("a")])
        .build();
    let mut change = with_time(breaks(&topology, &[("a", Down(1.0))]), 300.0, 300.0, 7200.0);
    assert_close(told(&topology, &change).nodes["a"].failed_for, 600.0);
    change.during = vec![component(&topology, "b")];
    let trial = told(&topology, &change);
    assert_close(trial.nodes["a"].failed_for, 7200.0);
    assert!(trial.never_recover.contains("a"));
}

#[test]
fn a_target_that_did_not_fail_as_a_whole_is_back_at_once() {
    let mut topology = shop();
    topology.services[1].recovery.restart = seconds(600.0);
    let until = |severity| {
        let change = breaks(&topology, &[("b", Down(severity))]);
        let trial = told(&topology, &with_time(change, 300.0, 300.0, 7200.0));
        trial.flows["order"].lost_seconds / severity
    };
    assert_close(until(0.4), 600.0);
    assert_close(until(0.8), 1200.0);
}

#[test]
fn callers_are_back_at_once_unless_they_crash() {
    let mut topology = shop();
    topology.services[0].recovery.restart = seconds(600.0);
    let change = with_time(breaks(&topology, &[("b", Down(1.0))]), 300.0, 300.0, 7200.0);
    assert_close(told(&topology, &change).nodes["a"].failed_for, 600.0);
    topology.services[0].recovery.crashes = true;
    assert_close(told(&topology, &change).nodes["a"].failed_for, 1200.0);
    assert_close(told(&topology, &change).nodes["b"].failed_for, 600.0);
}

#[test]
fn what_a_domain_took_down_restarts() {
    let mut topology = Small::new()
        .domain("zone", None)
        .service("a", &[])
        .service("b", &[])
        .flow("order", 1.0, &[call("a"), call("b")])
        .build();
    topology.services[0].domains = vec![topology.domain_id("zone").expect("a domain")];
    topology.services[0].recovery.restart = seconds(500.0);
    let change = with_time(breaks(&topology, &[("zone", Down(1.0))]), 300.0, 300.0, 7200.0);
    assert_close(told(&topology, &change).nodes["a"].failed_for, 1100.0);
}

#[test]
fn capacity_ramps_up_after_a_restart() {
    // Capacity r / 0.5 at the share r of the warm-up: all is served from half of it on; before,
    // the share lost is 1 - 2 r, of which the sum over the steps of 10 s in 200 s is
    // 10 (1 + 0.95 + ... + 0.05) = 105 s.
    let mut topology = shop();
    let b = &mut topology.services[1];
    b.utilization = Utilization::new(0.5);
    b.queue = Some(Queue::Refuses);
    b.recovery.warmup = seconds(400.0);
    let change = with_time(breaks(&topology, &[("b", Slow(1.0))]), 300.0, 300.0, 7200.0);
    let trial = told(&topology, &change);
    assert_close(trial.flows["order"].lost_seconds, 600.0 + 105.0);
    assert!(trial.metastable.is_empty());
}

#[test]
fn what_fails_fast_builds_no_backlog_however_often_it_is_tried() {
    // b serves up to 1 / 0.7 = 1.43. While it is down everything is tried four times, and fails before it
    // does any work: nothing has gathered when it is back, whether it has a queue or not.
    let mut topology = shop();
    let to_b = &mut topology.services[0].dependencies[0];
    to_b.retries = Some(3);
    to_b.timeout = blastwave::model::topology::Timeout::After(seconds(1.0));
    topology.services[1].utilization = Utilization::new(0.7);
    let change = with_time(breaks(&topology, &[("b", Down(1.0))]), 300.0, 300.0, 7200.0);
    let trial = told(&topology, &change);
    assert_eq!(trial.cause_ended, Some(600.0));
    assert!(trial.metastable.is_empty());
    assert_close(trial.flows["order"].lost_seconds, 600.0);
    topology.services[1].queue = Some(Queue::Refuses);
    let trial = told(&topology, &change);
    assert!(trial.metastable.is_empty());
    assert_close(trial.flows["order"].lost_seconds, 600.0);
}

#[test]
fn buffers_fill_while_the_story_goes_on() {
    let mut topology = shop();
    topology.services[0].dependencies[0].buffer =
        Some(Buffer { holds: seconds(500.0), when_full: WhenFull::Block });
    let change = with_time(breaks(&topology, &[("b", Down(1.0))]), 300.0, 300.0, 7200.0);
    let trial = told(&topology, &change);
    // Felt from 500 s on, noticed at 800 s, over at 1100 s.
    assert_eq!(trial.nodes["a"].first_failed, Some(500.0));
    assert_close(trial.flows["order"].lost_seconds, 600.0);
}

#[test]
fn a_story_that_nobody_ends_comes_to_the_lasting_moment() {
    // What fails by itself comes and goes in a story, and in a single moment it does not.
    let features = Features { time: false, load: false, availability: false, ..Features::load() };
    for seed in 0..200 {
        let scenario = scenario(seed, &features);
        let timed = with_time(scenario.change.clone(), 1e9, 1e9, 7260.0);
        let told = story(&scenario.topology, &timed, 1, seed, 60.0);
        let last = lasting(&scenario.topology, &scenario.change, 1, seed, 7200.0);
        for (name, outcome) in &told.nodes {
            let expected = &last.nodes[name];
            // Limits are whole seconds, so the grid may be late by one step for each on a path.
            if outcome.state.distance(expected.state) > 1e-6 {
                let later = lasting(&scenario.topology, &scenario.change, 1, seed, 6600.0);
                assert!(
                    later.nodes[name].state.distance(expected.state) > 1e-6,
                    "{seed} {name}: {:?}, {:?}",
                    outcome.state,
                    expected.state
                );
            }
        }
    }
}

#[test]
fn a_story_begins_with_the_single_moment() {
    // What is left of a cache is looked at in the middle of steps in a story.
    let features = Features { caches: false, ..Features::load() };
    for seed in 0..200 {
        let mut scenario = scenario(seed, &features);
        // A queue is empty when a story begins; a single moment shows what it comes to.
        for service in &mut scenario.topology.services {
            service.queue = service.utilization.and(Some(Queue::Refuses));
        }
        let timed = with_time(scenario.change.clone(), 1e9, 1e9, 1.0);
        let told = story(&scenario.topology, &timed, 1, seed, 60.0);
        let expected = moment(&scenario.topology, &scenario.change, 1, seed);
        assert_eq!(
            told.nodes,
            expected
                .nodes
                .clone()
                .into_iter()
                .map(|(name, mut outcome)| {
                    outcome.failed_for = told.nodes[&name].failed_for;
                    (name, outcome)
                })
                .collect()
        );
        assert_eq!(told.dependencies, expected.dependencies);
    }
}

#[test]
fn a_finer_grid_changes_little() {
    // Mean orders lost over many stories, with steps of 60 s and of 15 s.
    let lost = |step| {
        let one = |seed| {
            let scenario = scenario(seed, &Features { load: false, ..Features::time() });
            let trial = story(&scenario.topology, &scenario.change, 1, seed, step);
            trial.flows.values().map(|flow| flow.lost_seconds).sum::<f64>()
        };
        (0..300).map(one).sum::<f64>()
    };
    let (coarse, fine) = (lost(60.0), lost(15.0));
    assert!((coarse / fine - 1.0).abs() < 0.02, "{coarse} {fine}");
}
