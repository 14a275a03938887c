//! What must always hold, over random scenarios.

use std::collections::BTreeSet;

use blastwave::diagnostic::Place;
use blastwave::model::change::{Component, Delay, Modes, SeverityOf, Target, TargetRef};
use blastwave::model::topology::{Criticality, Dependency, Fallback, NodeRef, ServiceId, Timeout};
use blastwave::model::{Share, Topology};

use super::small::seconds;
use crate::oracle::{State, Trial, lasting, moment, story};
use crate::random::{Dice, Features, Scenario, plain_call, scenario};

/// By how much rounding may break a law.
const ROUNDING: f64 = 1e-9;
/// By how much a cycle may that comes to rest when it moves by less than 1e-9 a round.
const AT_REST: f64 = 1e-7;
/// A trial of the kind that a scenario without time allows.
type Look = fn(&Scenario, u64) -> Trial;

fn at_once(scenario: &Scenario, trial: u64) -> Trial {
    moment(&scenario.topology, &scenario.change, 1, trial)
}

fn after_hours(scenario: &Scenario, trial: u64) -> Trial {
    lasting(&scenario.topology, &scenario.change, 1, trial, 5000.0)
}

fn as_story(scenario: &Scenario, trial: u64) -> Trial {
    story(&scenario.topology, &scenario.change, 1, trial, 120.0)
}

/// The states of all nodes in the last moment, services as such and endpoints first.
fn states(trial: &Trial) -> Vec<(&str, State)> {
    let nodes = trial.nodes.iter().map(|(name, outcome)| (name.as_str(), outcome.state));
    let flows = trial.flows.iter().map(|(name, flow)| (name.as_str(), flow.outcome.state));
    nodes.chain(flows).collect()
}

#[test]
fn shares_are_shares() {
    let cases: [(Features, Look, u64); 4] = [
        (Features::moment(), at_once, 3000),
        (Features::moment(), after_hours, 1000),
        (Features::load(), at_once, 1000),
        (Features::time(), as_story, 200),
    ];
    for (features, look, count) in cases {
        for seed in 0..count {
            let trial = look(&scenario(seed, &features), seed);
            for (name, state) in states(&trial) {
                let State { slow, down, corrupt, degraded } = state;
                for share in [slow, down, corrupt, degraded, state.bad()] {
                    let is_share = (-ROUNDING..=1.0 + ROUNDING).contains(&share);
                    assert!(is_share, "{seed} {name}: {state:?}");
                }
            }
            for (name, passage) in &trial.dependencies {
                assert!(passage.went_on <= 1.0 + ROUNDING, "{seed} {name:?}: {passage:?}");
                assert!(passage.went_on >= 0.0, "{seed} {name:?}: {passage:?}");
            }
        }
    }
}

#[test]
fn what_was_tried_either_passed_or_was_contained_by_something() {
    for seed in 0..2000 {
        let trial = at_once(&scenario(seed, &Features::load()), seed);
        for (name, passage) in &trial.dependencies {
            let is_contained = passage.contained_by.is_some();
            assert_eq!(passage.tried && !passage.passed, is_contained, "{seed} {name:?}");
        }
    }
}

#[test]
fn boolean_scenarios_come_out_whole() {
    for seed in 0..5000 {
        let trial = at_once(&scenario(seed, &Features::boolean()), seed);
        if trial.somebody_gave_up {
            continue;
        }
        for (name, State { slow, down, corrupt, degraded }) in states(&trial) {
            for share in [slow, down, corrupt, degraded] {
                assert!(share.fract() == 0.0, "{seed} {name}: {share}");
            }
        }
    }
}

#[test]
fn equal_inputs_give_equal_outcomes() {
    for seed in 0..50 {
        let scenario = scenario(seed, &Features::time());
        assert_eq!(as_story(&scenario, 3), as_story(&scenario, 3));
    }
}

/// All calls of a topology.
fn calls(topology: &mut Topology) -> Vec<&mut Dependency> {
    let services = topology.services.iter_mut().flat_map(|service| {
        let of_endpoints = service.endpoints.iter_mut().flat_map(|e| &mut e.dependencies);
        service.dependencies.iter_mut().chain(of_endpoints)
    });
    services.chain(topology.flows.iter_mut().flat_map(|flow| &mut flow.steps)).collect()
}

/// Everything that is drawn either always or never happens.
fn make_certain(Scenario { topology, change }: &mut Scenario) {
    let round = |share: &mut Share| {
        *share = if share.get() < 0.5 { Share::ZERO } else { Share::ONE };
    };
    topology.domains.iter_mut().flat_map(|domain| &mut domain.availability).for_each(round);
    for service in &mut topology.services {
        service.availability.iter_mut().for_each(round);
        service.replicas.iter_mut().flat_map(|r| &mut r.availability).for_each(round);
    }
    for call in calls(topology) {
        round(&mut call.propagation);
        call.fallback.iter_mut().for_each(|fallback| round(&mut fallback.works));
    }
    for target in &mut change.targets {
        round(&mut target.probability);
        target.modes = Modes::default();
        target.severity.1 = target.severity.0;
    }
}

#[test]
fn what_is_certain_is_the_same_in_every_trial() {
    for seed in 0..500 {
        let mut scenario = scenario(seed, &Features::load());
        make_certain(&mut scenario);
        let first = at_once(&scenario, 0);
        for trial in [1, 63, 64, 511, 512, 1_000_000] {
            assert_eq!(at_once(&scenario, trial), first, "{seed}");
        }
    }
}

#[test]
fn what_never_propagates_never_passes() {
    for seed in 0..1000 {
        let mut scenario = scenario(seed, &Features::load());
        for call in calls(&mut scenario.topology) {
            call.propagation = Share::ZERO;
        }
        let trial = at_once(&scenario, seed);
        assert!(trial.dependencies.values().all(|passage| passage.went_on == 0.0), "{seed}");
        let no_flow_is_hit =
            trial.flows.values().all(|flow| flow.outcome.state.distance(State::OK) == 0.0);
        assert!(no_flow_is_hit, "{seed}");
    }
}

#[test]
fn a_change_that_never_breaks_costs_nothing() {
    for seed in 0..100 {
        let mut scenario = scenario(seed, &Features::time());
        scenario.change.targets.iter_mut().for_each(|target| target.probability = Share::ZERO);
        let trial = as_story(&scenario, seed);
        for flow in trial.flows.values() {
            assert_eq!(flow.lost_seconds, 0.0, "{seed}");
        }
        assert_eq!(trial.detected, None, "{seed}");
        assert!(trial.metastable.is_empty(), "{seed}");
    }
}

#[test]
fn nothing_broken_means_nothing_overloaded() {
    let features = Features { availability: false, during: false, ..Features::load() };
    for seed in 0..1000 {
        let mut scenario = scenario(seed, &features);
        scenario.change.targets.clear();
        let trial = at_once(&scenario, seed);
        for (name, load) in &trial.loads {
            assert!((-ROUNDING..=1.0 + ROUNDING).contains(load), "{seed} {name}: {load}");
        }
        for (name, state) in states(&trial) {
            assert!(state.distance(State::OK) < ROUNDING, "{seed} {name}: {state:?}");
        }
    }
}

#[test]
fn an_unrelated_edit_changes_no_other_draw() {
    for seed in 0..500 {
        let before = scenario(seed, &Features::moment());
        let mut after = before.clone();
        let mut stranger = before.topology.services[0].clone();
        stranger.name = "zz-stranger".to_owned();
        after.topology.services.push(stranger);
        let (before, mut after) = (at_once(&before, seed), at_once(&after, seed));
        after.nodes.retain(|name, _| !name.starts_with("zz"));
        after.services.retain(|name, _| !name.starts_with("zz"));
        after.dependencies.retain(|(caller, _), _| !caller.starts_with("zz"));
        after.loads.remove("zz-stranger");
        assert_eq!(before, after, "{seed}");
    }
}

/// Failures of mode down and slow, load aside.
fn monotone() -> Features {
    Features { corrupt: false, surge: false, load: false, ..Features::load() }
}

/// Holds one trial of each of many scenarios to be no better after an edit that says whether it
/// found something to do: no less slow, and no less slow or down.
fn assert_never_helps(edit: impl Fn(&mut Scenario, &mut Dice) -> bool) {
    let mut edited = 0;
    for seed in 0..1200 {
        let mut before = scenario(seed, &monotone());
        // A target of smaller severity than another one shares its bad requests: that may help.
        let targets = before.change.targets.iter_mut();
        targets.for_each(|target| target.severity_of = SeverityOf::Attempts);
        let mut after = before.clone();
        if !edit(&mut after, &mut Dice::new(seed)) {
            continue;
        }
        edited += 1;
        assert_no_better(seed, &before, &after);
    }
    assert!(edited > 300, "{edited}");
}

/// The same the other way round: no worse after the edit.
fn assert_never_hurts(edit: impl Fn(&mut Scenario, &mut Dice) -> bool) {
    let mut edited = 0;
    for seed in 0..1200 {
        let before = scenario(seed, &monotone());
        let mut after = before.clone();
        if !edit(&mut after, &mut Dice::new(seed)) {
            continue;
        }
        edited += 1;
        assert_no_better(seed, &after, &before);
    }
    assert!(edited > 300, "{edited}");
}

fn assert_no_better(seed: u64, good: &Scenario, bad: &Scenario) {
    for look in [at_once, after_hours] {
        let (good, bad) = (look(good, seed), look(bad, seed));
        if good.somebody_gave_up || bad.somebody_gave_up {
            // What fails fast is in time where what hangs, or is waited for, is not.
            continue;
        }
        for ((name, good), (_, bad)) in states(&good).into_iter().zip(states(&bad)) {
            assert!(bad.slow >= good.slow - AT_REST, "{seed} {name}: {good:?} {bad:?}");
            assert!(bad.failing() >= good.failing() - AT_REST, "{seed} {name}: {good:?} {bad:?}");
        }
    }
}

fn some_service(topology: &Topology, dice: &mut Dice) -> ServiceId {
    ServiceId(dice.below(topology.services.len()) as u32)
}

#[test]
fn one_more_thing_that_is_down_never_helps() {
    assert_never_helps(|scenario, dice| {
        let service = some_service(&scenario.topology, dice);
        scenario.change.during.push(Component::Service(service));
        true
    });
}

#[test]
fn one_more_target_never_helps() {
    assert_never_helps(|scenario, dice| {
        let service = some_service(&scenario.topology, dice);
        let on = TargetRef::Node(NodeRef { service, endpoint: None });
        if scenario.change.targets.iter().any(|target| target.on == on) {
            return false;
        }
        let slow = dice.share();
        let modes = Modes { down: slow.complement(), slow, ..Modes::default() };
        let severity = dice.share();
        scenario.change.targets.push(Target {
            severity_of: SeverityOf::Attempts,
            on,
            probability: Share::ONE,
            modes,
            severity: (severity, severity),
            onset: Delay::default(),
            min_exposure: Share::ZERO,
            rollout: None,
            place: Place::default(),
        });
        true
    });
}

#[test]
fn more_severe_failures_never_help() {
    assert_never_helps(|scenario, dice| {
        let more = dice.share();
        let targets = &mut scenario.change.targets;
        for severity in targets.iter_mut().map(|target| &mut target.severity) {
            let (low, high) = (severity.0.get().max(more.get()), severity.1.get().max(more.get()));
            *severity = (Share::new(low).expect("a share"), Share::new(high).expect("a share"));
        }
        true
    });
}

/// Whether a service reaches another by calls of any kind.
fn reaches(topology: &Topology, from: ServiceId, to: ServiceId) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut todo = vec![from];
    while let Some(service) = todo.pop() {
        let service = topology.service(service);
        let of_endpoints = service.endpoints.iter().flat_map(|e| &e.dependencies);
        for call in service.dependencies.iter().chain(of_endpoints) {
            let fallback = call.fallback.and_then(|fallback| fallback.on);
            let cache = call.cache.and_then(|cache| cache.service);
            let nodes = call.on.iter().copied().chain(fallback).map(|node| node.service);
            for next in nodes.chain(cache) {
                if seen.insert(next) {
                    todo.push(next);
                }
            }
        }
    }
    seen.contains(&to)
}

#[test]
fn one_more_hard_dependency_never_helps_unless_it_closes_a_cycle() {
    // Inside a cycle calls join by maximum, which is less than by product: closing one may help.
    assert_never_helps(|scenario, dice| {
        let caller = some_service(&scenario.topology, dice);
        let service = some_service(&scenario.topology, dice);
        if reaches(&scenario.topology, service, caller) {
            return false;
        }
        let call = plain_call(vec![NodeRef { service, endpoint: None }]);
        scenario.topology.services[caller.0 as usize].dependencies.push(call);
        true
    });
}

/// Edits one of the calls that are so.
fn edit_one(
    scenario: &mut Scenario,
    dice: &mut Dice,
    is_so: fn(&Dependency) -> bool,
    edit: fn(&mut Dependency),
) -> bool {
    let mut fitting: Vec<_> =
        calls(&mut scenario.topology).into_iter().filter(|call| is_so(call)).collect();
    if fitting.is_empty() {
        return false;
    }
    let one = dice.below(fitting.len());
    edit(fitting[one]);
    true
}

#[test]
fn a_soft_call_never_hurts() {
    assert_never_hurts(|scenario, dice| {
        edit_one(
            scenario,
            dice,
            |call| !call.is_soft(),
            |call| call.criticality = Some(Criticality::Soft),
        )
    });
}

#[test]
fn a_timeout_never_hurts() {
    assert_never_hurts(|scenario, dice| {
        edit_one(
            scenario,
            dice,
            |call| !call.timeout.is_set(),
            |call| call.timeout = Timeout::After(seconds(1.0)),
        )
    });
}

#[test]
fn a_static_fallback_never_hurts() {
    assert_never_hurts(|scenario, dice| {
        edit_one(
            scenario,
            dice,
            |call| call.fallback.is_none(),
            |call| {
                call.fallback = Some(Fallback { on: None, works: Share::ONE });
            },
        )
    });
}

#[test]
fn needing_fewer_of_a_choice_never_hurts() {
    assert_never_hurts(|scenario, dice| {
        edit_one(scenario, dice, |call| call.needs > 1, |call| call.needs -= 1)
    });
}
