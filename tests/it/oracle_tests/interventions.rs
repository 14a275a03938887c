//! What operators and automations do, with its numbers, by the oracle and by the engine alike.

use blastwave::compile::compile;
use blastwave::diagnostic::Place;
use blastwave::engine::{Silent, Simulator};
use blastwave::model::action::{Action, ActionKind, Automation};
use blastwave::model::units::Utilization;
use blastwave::model::{Change, Seconds, Topology};

use super::small::{
    Broken::{Down, Surge},
    assert_close, breaks, id, seconds, share, shop, with_time,
};
use crate::oracle::story;

const STEP: f64 = 10.0;

/// Seconds' worth of orders lost, which the two must say alike.
fn lost(topology: &Topology, change: &Change) -> f64 {
    let expected = story(topology, change, 1, 0, STEP).flows["order"].lost_seconds;
    let plan = compile(topology, change, Seconds::ZERO);
    let mut found = f64::NAN;
    Simulator::new(&plan, 1).each_outcome(0..1, &Silent, |item| found = item.flows[0].outage[0]);
    // What follows from a moment is done a step later by the oracle.
    assert!((found - expected).abs() <= STEP, "the engine says {found}, the oracle {expected}");
    found
}

/// A change that nobody notices before its horizon of 7200 s.
fn unnoticed(topology: &Topology, broken: &[(&str, super::small::Broken)]) -> Change {
    with_time(breaks(topology, broken), 9000.0, 0.0, 7200.0)
}

fn act(topology: &Topology, at: f64, action: ActionKind, target: &str, part: f64) -> Action {
    Action {
        until: None,
        drained: false,
        at: seconds(at),
        action,
        target: (!target.is_empty()).then(|| id(topology, target)),
        caller: None,
        share: Some(share(part)),
        place: Place::default(),
    }
}

#[test]
fn a_bypass_lets_callers_do_without() {
    let topology = shop();
    let mut change = unnoticed(&topology, &[("b", Down(1.0))]);
    change.actions = vec![act(&topology, 600.0, ActionKind::Bypass, "b", 0.75)];
    assert_close(lost(&topology, &change), 600.0 + 0.25 * 6600.0);
    // Somebody else's calls are not led around.
    change.actions[0].caller = Some(id(&topology, "b"));
    assert_close(lost(&topology, &change), 7200.0);
    change.actions[0].caller = Some(id(&topology, "a"));
    assert_close(lost(&topology, &change), 600.0 + 0.25 * 6600.0);
}

#[test]
fn what_is_shed_is_lost_and_the_last_word_counts() {
    let topology = shop();
    let mut change = unnoticed(&topology, &[("a", Surge(1.0, 2.0))]);
    change.actions = vec![
        act(&topology, 600.0, ActionKind::Shed, "b", 0.4),
        act(&topology, 1600.0, ActionKind::Shed, "", 0.5),
        act(&topology, 2600.0, ActionKind::Shed, "b", 0.0),
    ];
    assert_close(lost(&topology, &change), 0.4 * 1000.0 + 0.7 * 1000.0 + 0.5 * 4600.0);
}

#[test]
fn what_is_switched_off_calls_nothing_and_lacks_something() {
    let topology = shop();
    let mut change = unnoticed(&topology, &[("b", Down(1.0))]);
    change.actions = vec![act(&topology, 600.0, ActionKind::Disable, "a", 1.0)];
    assert_close(lost(&topology, &change), 600.0);
    let trial = story(&topology, &change, 1, 0, STEP);
    assert_close(trial.flows["order"].outcome.state.degraded, 1.0);
    // Without a target the change is switched off, for good.
    change.actions = vec![act(&topology, 900.0, ActionKind::Disable, "", 1.0)];
    assert_close(lost(&topology, &change), 900.0);
}

#[test]
fn what_operators_mend_is_not_drawn_and_may_be_one_thing_of_several() {
    let topology = shop();
    let broken = [("a", Down(0.5)), ("b", Down(1.0))];
    // The rollback would be done at 300 s.
    let mut change = with_time(breaks(&topology, &broken), 200.0, 100.0, 7200.0);
    change.actions = vec![
        act(&topology, 1000.0, ActionKind::Fix, "b", 1.0),
        act(&topology, 2000.0, ActionKind::Rollback, "a", 0.5),
        act(&topology, 3000.0, ActionKind::Rollback, "a", 1.0),
    ];
    assert_close(lost(&topology, &change), 1000.0 + 0.5 * 1000.0 + 0.25 * 1000.0);
    let trial = story(&topology, &change, 1, 0, STEP);
    assert_eq!(trial.cause_ended, Some(3000.0));
}

#[test]
fn an_automation_acts_after_a_while_and_not_too_often() {
    let mut topology = shop();
    topology.services[1].utilization = Utilization::new(0.5);
    topology.services[1].queue = Some(blastwave::model::topology::Queue::Refuses);
    let b = id(&topology, "b");
    topology.services[1].automations = vec![Automation {
        keep: Seconds::ZERO,
        watches: b,
        failing: share(0.2),
        lasting: seconds(600.0),
        action: ActionKind::Remove,
        target: b,
        share: Some(share(0.2)),
        every: seconds(1000.0),
        at_most: 4,
    }];
    // 30% fail until the rollback at 1200 s. Capacity for twice the load, less 0.4 each time: at 600
    // and at 1600 s, if it still fails; it does not.
    let change = with_time(breaks(&topology, &[("b", Down(0.3))]), 600.0, 600.0, 7200.0);
    assert_close(lost(&topology, &change), 0.3 * 1200.0);
    // Turning everything away is taken back once what it watches is well.
    let mut guarded = topology.clone();
    let rule = &mut guarded.services[1].automations[0];
    (rule.action, rule.target, rule.share) = (ActionKind::Shed, id(&topology, "a"), None);
    assert_close(lost(&guarded, &change), 0.3 * 600.0 + 600.0);
    // One that takes more away each time takes healthy servers away: from 600 s on capacity 0.8.
    topology.services[1].automations[0].share = Some(share(0.6));
    // 0.7 * 0.8 are served until 1200 s; then 0.8, which is failing by 20%, so that it acts again.
    let expected = 0.3 * 600.0 + (1.0 - 0.7 * 0.8) * 600.0 + 0.2 * 400.0 + 5600.0;
    assert_close(lost(&topology, &change), expected);
}
