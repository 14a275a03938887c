//! The engine and the oracle agree, trial by trial, share by share.

use std::collections::BTreeMap;
use std::ops::Range;

use blastwave::compile::{Plan, compile};
use blastwave::diagnostic::Place;
use blastwave::engine::outcome::{Failures, Outcome};
use blastwave::engine::trace::Trace;
use blastwave::engine::{Protection, Silent, Simulator};
use blastwave::model::action::{Action, ActionKind, Automation};
use blastwave::model::change::{Delay, Detection, Modes, TargetRef, Watches};
use blastwave::model::topology::{CallKind, Caller, Dependency, MemberMode, ServiceId};
use blastwave::model::{Change, Seconds, Share, Topology};

use crate::oracle;
use crate::random::{Dice, Features, Scenario, describe, scenario};

const SEED: u64 = 11;
/// How far shares of the two may be apart, without load.
const NEAR: f64 = 1e-9;
/// With load: both stop when overload changes by less than 1e-9, each on its own side.
const NEAR_WITH_LOAD: f64 = 1e-6;
/// Trials that are looked at: of two chunks of 64, and several groups in them.
const TRIALS: [u64; 7] = [0, 1, 2, 3, 64, 70, 127];

/// Few services: what they do to each other is easy to read when a test fails.
fn small(features: Features) -> Features {
    Features { services: (1, 4), ..features }
}

/// The first trials of a plan.
fn outcomes(plan: &Plan, trials: u64) -> Vec<Outcome> {
    let simulation = Simulator::new(plan, SEED);
    let mut outcomes = Vec::new();
    simulation.each_outcome(0..trials, &Silent, |outcome| outcomes.push(outcome.clone()));
    outcomes
}

/// Services, then endpoints, then flows, as the engine counts them.
fn unit_names(topology: &Topology) -> Vec<String> {
    let services = topology.services.iter().map(|service| service.name.clone());
    let endpoints = topology.services.iter().flat_map(|service| {
        service.endpoints.iter().map(move |item| format!("{}/{}", service.name, item.name))
    });
    let flows = topology.flows.iter().map(|flow| format!("flow {}", flow.name));
    services.chain(endpoints).chain(flows).collect()
}

/// The outcomes of the oracle in the same order.
fn oracle_units(topology: &Topology, trial: &oracle::Trial) -> Vec<oracle::Outcome> {
    let of = |name: String| match name.strip_prefix("flow ") {
        Some(flow) => trial.flows[flow].outcome.clone(),
        None if name.contains('/') => trial.nodes[&name].clone(),
        None => trial.services[&name].clone(),
    };
    unit_names(topology).into_iter().map(of).collect()
}

/// The peak of what fails, by unit.
fn failing_peaks(units: usize, trace: &Trace) -> Vec<f64> {
    let mut peaks = vec![0.0_f64; units];
    for (unit, state) in trace.steps.iter().flat_map(|moment| &moment.units) {
        let peak = &mut peaks[*unit as usize];
        *peak = peak.max(state.failing_share());
    }
    peaks
}

/// Whether a share is too near to a threshold for the two to judge it alike.
fn is_on_the_edge(topology: &Topology, outcome: &oracle::Outcome) -> bool {
    let edge = |share: f64, threshold: f64| (share - threshold).abs() < NEAR_WITH_LOAD;
    edge(outcome.peak_failing, topology.thresholds.failed.get())
        || edge(outcome.peak_bad, topology.thresholds.degraded.get())
        || edge(outcome.without_peaks[0], topology.thresholds.failed.get())
        || edge(outcome.without_peaks[1], topology.thresholds.degraded.get())
}

fn bit(mask: u64, trial: u64) -> bool {
    mask >> (trial % 64) & 1 == 1
}

fn assert_moments_agree(features: &Features, lasting: f64, near: f64, seeds: Range<u64>) {
    for seed in seeds {
        let Scenario { topology, change } = scenario(seed, features);
        let plan = compile(&topology, &change, Seconds::new(lasting).expect("a duration"));
        let simulation = Simulator::new(&plan, SEED);
        let outcomes = outcomes(&plan, 128);
        for trial in TRIALS {
            let expected = oracle::lasting(&topology, &change, SEED, trial, lasting);
            if expected.restless || !expected.unsettled.is_empty() {
                continue;
            }
            let found = Found { topology: &topology, change: &change, seed, trial };
            let peaks = failing_peaks(unit_names(&topology).len(), &simulation.trace_trial(trial));
            for (unit, expected) in oracle_units(&topology, &expected).iter().enumerate() {
                let (peak, expected_peak) = (peaks[unit], expected.peak_failing);
                found.assert((peak - expected_peak).abs() < near, unit, (peak, expected_peak));
            }
            let outcome = &outcomes[(trial / 64) as usize];
            found.assert_units_agree(outcome, &expected);
            found.assert_dependencies_agree(outcome, &expected);
        }
    }
}

/// A trial in which the two are compared.
struct Found<'a> {
    topology: &'a Topology,
    change: &'a Change,
    seed: u64,
    trial: u64,
}

impl Found<'_> {
    fn assert(&self, agrees: bool, unit: usize, values: impl std::fmt::Debug) {
        let name = &unit_names(self.topology)[unit];
        self.assert_for(agrees, name, values);
    }

    fn assert_for(&self, agrees: bool, name: &str, values: impl std::fmt::Debug) {
        assert!(
            agrees,
            "scenario {}, trial {}, {name}: the engine and the oracle say {values:?}\n{}",
            self.seed,
            self.trial,
            describe(self.topology, self.change)
        );
    }

    fn assert_units_agree(&self, outcome: &Outcome, expected: &oracle::Trial) {
        for (unit, expected) in oracle_units(self.topology, expected).iter().enumerate() {
            if is_on_the_edge(self.topology, expected) {
                continue;
            }
            let failed = bit(outcome.units[unit].failed, self.trial);
            self.assert(failed == expected.fails, unit, (failed, expected.fails));
            let degraded = bit(outcome.units[unit].degraded, self.trial);
            self.assert(degraded == expected.is_degraded, unit, (degraded, expected.is_degraded));
            let of = |masks: &Failures<u64>| {
                [masks.failed, masks.degraded].map(|mask| bit(mask, self.trial))
            };
            let (without, caused) =
                (of(&outcome.units[unit].baseline), of(&outcome.units[unit].caused));
            self.assert(without == expected.without, unit, (without, expected.without));
            self.assert(caused == expected.caused, unit, (caused, expected.caused));
        }
    }

    /// Where failure came in, where it passed, and what held it.
    fn assert_dependencies_agree(&self, outcome: &Outcome, expected: &oracle::Trial) {
        let degraded = self.topology.thresholds.degraded.get();
        let mut seen: BTreeMap<(String, String), u32> = BTreeMap::new();
        for (number, (caller, declared_dependency)) in
            self.topology.declared_dependencies().enumerate()
        {
            let key = (
                drawn_caller(self.topology, caller),
                self.topology.dependency_name(declared_dependency),
            );
            let times = seen.entry(key.clone()).or_default();
            *times += 1;
            let dependency = if *times == 1 { key.1 } else { format!("{}#{times}", key.1) };
            let expected = &expected.dependencies[&(key.0.clone(), dependency.clone())];
            let edge = |share: f64| (share - degraded).abs() < NEAR_WITH_LOAD;
            if edge(expected.came_in) || edge(expected.went_on) {
                continue;
            }
            let name = format!("{} > {dependency}", key.0);
            let found = outcome
                .dependencies
                .iter()
                .find(|dependency| dependency.dependency.index() == number);
            let tried = found.is_some_and(|found| bit(found.tried, self.trial));
            let is_called = declared_dependency.phase == blastwave::model::topology::Phase::Serve;
            self.assert_for(tried == (expected.tried && is_called), &name, (tried, expected));
            if let Some(found) = found.filter(|_| tried) {
                let passed = bit(found.passed, self.trial);
                self.assert_for(passed == expected.passed, &name, (passed, expected.passed));
                let held = found.held.iter().position(|held| bit(*held, self.trial));
                let held = held.map(|guard| Protection::ALL[guard]);
                self.assert_for(
                    is_same_guard(declared_dependency, held, expected.contained_by),
                    &name,
                    held,
                );
            }
        }
    }
}

fn drawn_caller(topology: &Topology, caller: Caller) -> String {
    let prefix = if matches!(caller, Caller::Flow(_)) { "flow:" } else { "" };
    format!("{prefix}{}", topology.caller_name(caller))
}

/// The oracle names the step that held; the engine may name what made that step possible.
fn is_same_guard(
    dependency: &Dependency,
    found: Option<Protection>,
    expected: Option<oracle::Guard>,
) -> bool {
    let Some(expected) = expected else { return found.is_none() };
    let expected = match expected {
        oracle::Guard::Luck => Protection::Propagation,
        oracle::Guard::Retry => Protection::Retry,
        oracle::Guard::Cache => Protection::Cache,
        oracle::Guard::Redundancy => Protection::Redundancy,
        oracle::Guard::Buffer => Protection::Buffer,
        oracle::Guard::Fallback => Protection::Fallback,
        oracle::Guard::Soft => Protection::Soft,
        oracle::Guard::Rarity => Protection::CallProbability,
        oracle::Guard::Start => return false,
    };
    let caught = matches!(
        expected,
        Protection::Redundancy | Protection::Retry | Protection::Fallback | Protection::Soft
    );
    match found {
        Some(Protection::Timeout) => {
            caught
                && (dependency.timeout.is_set()
                    || dependency.is_async()
                    || dependency.circuit_breaker == Some(true))
        }
        Some(Protection::Validation) => caught && dependency.validates == Some(true),
        found => found == Some(expected),
    }
}

#[test]
fn single_moments_agree() {
    assert_moments_agree(&small(Features::moment()), 0.0, NEAR, 0..600);
    assert_moments_agree(&Features::moment(), 0.0, NEAR, 5_000..5_100);
}

#[test]
fn moments_that_have_lasted_agree() {
    for (index, lasting) in [60.0, 600.0, 3600.0, 36_000.0].into_iter().enumerate() {
        let first = 1000 * (index as u64 + 1);
        assert_moments_agree(&small(Features::moment()), lasting, NEAR, first..first + 40);
    }
}

#[test]
fn loads_agree() {
    assert_moments_agree(&small(Features::load()), 0.0, NEAR_WITH_LOAD, 10_000..10_600);
    assert_moments_agree(&Features::load(), 0.0, NEAR_WITH_LOAD, 15_000..15_100);
}

/// How many trials of each story are compared.
const STORIES: u64 = 3;
/// Into how many steps the oracle cuts a story.
const STEPS: f64 = 2_000.0;
/// How much finer the grid is where the first one is not fine enough.
const FINER: f64 = 8.0;
/// An event of the oracle is late by up to a step: so many of them may come after one another.
const EVENTS: f64 = 12.0;
/// How far apart losses may be, as a share, where a wait slides along a limit.
const SLIDING: f64 = 0.03;

#[test]
fn stories_agree() {
    for seed in 20_000..20_300 {
        assert_story_agrees(seed, &scenario(seed, &small(Features::time())));
    }
}

#[test]
fn stories_in_which_somebody_acts_agree() {
    for seed in 30_000..30_400 {
        assert_story_agrees(seed, &acting_scenario(seed));
    }
}

#[test]
fn stories_of_cold_caches_thinking_customers_and_hanging_zones_agree() {
    for seed in 40_000..40_150 {
        let mut scenario = scenario(seed, &small(Features::time()));
        let mut dice = Dice::new(seed);
        let Scenario { topology, change } = &mut scenario;
        let of_services = topology.services.iter_mut().flat_map(|service| {
            let endpoints = service.endpoints.iter_mut().flat_map(|item| &mut item.dependencies);
            service.dependencies.iter_mut().chain(endpoints)
        });
        for dependency in of_services {
            if let Some(cache) = dependency.cache.as_mut().filter(|_| dice.chance(0.7)) {
                cache.refill = Seconds::new(1.0 + 600.0 * dice.unit());
            }
        }
        for users in topology.flows.iter_mut().filter_map(|flow| flow.retry_by_users.as_mut()) {
            users.after = Seconds::new(1.0 + 1200.0 * dice.unit()).filter(|_| dice.chance(0.7));
        }
        for target in &mut change.targets {
            if matches!(target.on, TargetRef::Domain(_)) && dice.chance(0.6) {
                target.modes = Modes { down: Share::ZERO, slow: Share::ONE, ..Modes::default() };
            }
        }
        for replicas in topology.services.iter_mut().filter_map(|item| item.replicas.as_mut()) {
            let seconds = 60.0 * (1 + dice.below(30)) as f64;
            replicas.failover = Seconds::new(seconds).filter(|_| dice.chance(0.5));
        }
        assert_story_agrees(seed, &scenario);
    }
}

#[test]
fn stories_of_members_that_calls_go_to_one_by_one_agree() {
    for seed in 50_000..50_150 {
        let mut scenario = scenario(seed, &small(Features::time()));
        let mut dice = Dice::new(seed);
        let topology = &mut scenario.topology;
        let of_services =
            topology.services.iter_mut().flat_map(|service| &mut service.dependencies);
        for dependency in of_services.filter(|dependency| dependency.any_of) {
            dependency.mode = dice.pick(&[
                None,
                Some(MemberMode::Failover),
                Some(MemberMode::Spread),
                Some(MemberMode::Quorum),
            ]);
            if matches!(dependency.mode, Some(MemberMode::Failover | MemberMode::Spread)) {
                dependency.needs = 1;
                let seconds = Seconds::new(30.0 * (1 + dice.below(30)) as f64);
                dependency.failover = seconds.filter(|_| dice.chance(0.7));
            }
        }
        assert_story_agrees(seed, &scenario);
    }
}

/// A story in which operators, automations, or both act.
fn acting_scenario(seed: u64) -> Scenario {
    let mut scenario = scenario(seed, &small(Features::time()));
    let mut dice = Dice::new(seed);
    if dice.chance(0.7) {
        add_actions(&mut scenario, &mut dice);
    }
    if scenario.change.actions.is_empty() || dice.chance(0.5) {
        add_automations(&mut scenario.topology, &mut dice);
    }
    if dice.chance(0.3) {
        make_some_loads(&mut scenario.topology, &mut dice);
    }
    for action in &mut scenario.change.actions {
        use ActionKind::{Fix, Restart, Rollback};
        let is_undone = !matches!(action.action, Fix | Restart | Rollback) && dice.chance(0.4);
        let after = action.at.get() + 60.0 * (1 + dice.below(120)) as f64;
        action.until = is_undone.then(|| Seconds::new(after).expect("a duration"));
    }
    for replicas in scenario.topology.services.iter_mut().filter_map(|it| it.replicas.as_mut()) {
        let seconds = 60.0 * (1 + dice.below(30)) as f64;
        replicas.failover = dice.chance(0.4).then(|| Seconds::new(seconds).expect("a duration"));
    }
    if let (Some(rollback), true) = (&mut scenario.change.rollback, dice.chance(0.4)) {
        rollback.takes = Seconds::whole(60 * (1 + dice.below(60)) as u32);
    }
    if dice.chance(0.5) {
        state_times_to_repair(&mut scenario.topology, &mut dice);
    }
    if let (Some(detection), true) = (&mut scenario.change.detection, dice.chance(0.6)) {
        state_evidence(detection, &mut dice);
    }
    scenario
}

fn assert_story_agrees(seed: u64, scenario: &Scenario) {
    let Scenario { topology, change } = scenario;
    let plan = compile(topology, change, Seconds::ZERO);
    let step = change.horizon.get() / STEPS;
    let outcomes = outcomes(&plan, STORIES);
    let course = outcomes[0].course.as_ref().expect("there is time");
    for trial in 0..STORIES {
        let lost = |flow: usize| outcomes[0].flows[flow].outage[trial as usize];
        let near = |expected: &oracle::Trial, step: f64| {
            let mut flows = topology.flows.iter().enumerate();
            flows.all(|(index, flow)| {
                let found = expected.flows[&flow.name].lost_seconds;
                (lost(index) - found).abs() <= tolerance(expected, found, step)
            })
        };
        let mut step = step;
        let mut expected = oracle::story(topology, change, SEED, trial, step);
        if expected.restless || !expected.unsettled.is_empty() {
            continue;
        }
        if !near(&expected, step) {
            // More events than usual may be late: on a finer grid they are less so.
            step /= FINER;
            expected = oracle::story(topology, change, SEED, trial, step);
        }
        let found = Found { topology, change, seed, trial };
        for (index, flow) in topology.flows.iter().enumerate() {
            let lost = lost(index);
            let seconds = expected.flows[&flow.name].lost_seconds;
            let agrees = (lost - seconds).abs() <= tolerance(&expected, seconds, step);
            found.assert_for(agrees, &flow.name, (lost, seconds, step));
        }
        let detected = course.detected[trial as usize];
        let expected_at = expected.detected.map_or(f64::INFINITY, |detected| detected.at);
        let agrees = detected == expected_at || (detected - expected_at).abs() <= EVENTS * step;
        found.assert_for(agrees, "detection", (detected, expected_at));
        let never_recovers: Vec<&str> = outcomes[0]
            .anomalies
            .iter()
            .filter(|anomaly| bit(anomaly.trials.never_recovers, trial))
            .map(|anomaly| topology.service(anomaly.service).name.as_str())
            .collect();
        let never: Vec<&str> = expected.never_recover.iter().map(String::as_str).collect();
        found.assert_for(
            never_recovers == never,
            "services that never come back",
            (&never_recovers, &never),
        );
    }
}

/// How far the seconds that a flow loses may be from those of the oracle on a grid.
fn tolerance(expected: &oracle::Trial, seconds: f64, step: f64) -> f64 {
    let by_grid = EVENTS * step;
    // The grid goes to and fro over a limit, a step too far each time.
    if expected.slides { by_grid.max(SLIDING * seconds) } else { by_grid }
}

/// One to four things that operators do before the horizon.
fn add_actions(scenario: &mut Scenario, dice: &mut Dice) {
    let Scenario { topology, change } = scenario;
    let horizon = change.horizon.get();
    for _ in 0..=dice.below(4) {
        change.actions.push(Action {
            until: None,
            drained: dice.chance(0.3),
            at: Seconds::new(1.0 + (horizon * dice.unit()).floor()).expect("a duration"),
            action: dice.pick(&ActionKind::ALL).1,
            target: dice.chance(0.7).then(|| some_service(topology, dice)),
            caller: dice.chance(0.3).then(|| some_service(topology, dice)),
            share: dice.chance(0.6).then(|| dice.share()),
            place: Place::default(),
        });
    }
}

fn some_service(topology: &Topology, dice: &mut Dice) -> ServiceId {
    ServiceId(dice.below(topology.services.len()) as u32)
}

fn add_automations(topology: &mut Topology, dice: &mut Dice) {
    for _ in 0..=dice.below(2) {
        let [owner, watches, target] = [0; 3].map(|_| some_service(topology, dice));
        let minutes = |count: usize| Seconds::new(60.0 * count as f64).expect("a duration");
        let again = dice.chance(0.5);
        topology.services[owner.0 as usize].automations.push(Automation {
            keep: minutes(dice.below(20)),
            watches,
            failing: Share::new(0.05 + 0.9 * dice.unit()).expect("a share"),
            lasting: minutes(dice.below(20)),
            action: dice.pick(&ActionKind::ALL).1,
            target,
            share: dice.chance(0.6).then(|| dice.share()),
            every: minutes(if again { 5 + dice.below(20) } else { 0 }),
            at_most: if again { 1 + dice.below(3) as u32 } else { 1 },
        });
    }
}

/// Lets a count of failed requests, or a share, or either of them, start the clock.
fn state_evidence(detection: &mut Detection, dice: &mut Dice) {
    detection.failures = dice.chance(0.6).then(|| 1 + dice.below(100_000) as u32);
    detection.alert_threshold = detection.alert_threshold.filter(|_| dice.chance(0.4));
    detection.watches = dice.chance(0.4).then(|| {
        let flows = dice.chance(0.5);
        Watches { flows, target: !flows || dice.chance(0.5) }
    });
}

fn state_times_to_repair(topology: &mut Topology, dice: &mut Dice) {
    let mut delay = || {
        let median = 600.0 * (1 + dice.below(20)) as f64;
        let p95 = if dice.chance(0.5) { median } else { median * (1 + dice.below(8)) as f64 };
        let seconds = |value| Seconds::new(value).expect("a duration");
        dice.chance(0.7).then(|| Delay { median: seconds(median), p95: seconds(p95) })
    };
    topology.domains.iter_mut().for_each(|domain| domain.mttr = delay());
    for service in &mut topology.services {
        service.mttr = delay();
        service.replicas.iter_mut().for_each(|replicas| replicas.mttr = delay());
    }
}

/// Turns some calls into those that are there for the load.
fn make_some_loads(topology: &mut Topology, dice: &mut Dice) {
    for service in &mut topology.services {
        for dependency in service.dependencies.iter_mut().filter(|_| dice.chance(0.4)) {
            dependency.kind = Some(CallKind::Load);
        }
    }
}
