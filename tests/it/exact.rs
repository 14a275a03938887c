//! The exact engine against enumeration, published values and trials.

use std::collections::BTreeSet;

use blastwave::compile::{Plan, compile};
use blastwave::diagnostic::Sources;
use blastwave::engine::exact::solutions::{self, EventRole};
use blastwave::engine::exact::{Detail, Exact, ExactEvent, Limits, Obstacle};
use blastwave::engine::{Choice, Silent, Simulator, Tally, boolean};
use blastwave::load;
use blastwave::model::{Change, Seconds, Topology};

use crate::random::{Dice, Features, Scenario, describe, scenario};

/// Reads a topology that is right.
pub(crate) fn topology(text: &str) -> Topology {
    let mut sources = Sources::default();
    let document =
        load::parse_document("file.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
    Topology::from_document(&document).unwrap()
}

/// What fails for its own reasons, without any change.
pub(crate) fn background(topology: &Topology) -> Plan {
    compile(topology, &Change::from_targets("nothing", Vec::new()), Seconds::ZERO)
}

fn solve(plan: &Plan, detail: Detail) -> Exact {
    Exact::solve_plan(plan, detail, Limits::THOROUGH).unwrap()
}

/// The exact probability that the only flow fails.
fn flow_fails(text: &str) -> f64 {
    let exact = solve(&background(&topology(text)), Detail::Drawn);
    exact.probability(&exact.units.last().unwrap().failed)
}

#[track_caller]
fn assert_near(found: f64, expected: f64, relative: f64) {
    assert!((found - expected).abs() <= relative * expected.abs(), "{found:e} is not {expected:e}");
}

/// Makes an event of a plan certain, or impossible.
fn settle(plan: &mut Plan, event: ExactEvent, happens: bool) {
    let chance = f64::from(u8::from(happens));
    match event {
        ExactEvent::Domain(domain) => plan.domains[domain].unavailability = chance,
        ExactEvent::Service(service) => plan.services[service].unavailability = chance,
        ExactEvent::Replica(replica) => plan.replicas[replica].unavailability = chance,
        ExactEvent::Target(target) => plan.targets[target].probability = chance,
        ExactEvent::Mode(item, mode) => {
            plan.targets[item].modes[usize::from(mode)] = chance;
        }
        ExactEvent::Reaches(reaches) => plan.dependencies[reaches].propagation = chance,
        ExactEvent::NoFallback(no_fallback) => {
            plan.dependencies[no_fallback].works = 1.0 - chance;
        }
    }
}

/// Which units fail, and which are degraded or worse, in the one world in which nothing is drawn.
fn world(plan: &Plan) -> Vec<(bool, bool)> {
    let simulation = Simulator::with_engine(plan, 1, Choice::Automatic);
    let mut units = Vec::new();
    simulation.each_outcome(0..1, &Silent, |outcome| {
        units = outcome
            .units
            .iter()
            .map(|unit| (unit.failed & 1 == 1, unit.degraded & 1 == 1))
            .collect();
    });
    units
}

/// What happens in a world, and what each unit then is: failed, degraded.
type World = (BTreeSet<ExactEvent>, Vec<(bool, bool)>);

/// Every world that the events make, with the sets of what happens in it.
fn worlds(plan: &Plan, events: &[ExactEvent]) -> Vec<World> {
    let mut plan = plan.clone();
    (0..1_u32 << events.len())
        .map(|bits| {
            let happens = |place: usize| bits >> place & 1 == 1;
            for (place, event) in events.iter().enumerate() {
                settle(&mut plan, *event, happens(place));
            }
            let set = events.iter().enumerate().filter(|(place, _)| happens(*place));
            (set.map(|(_, event)| *event).collect(), world(&plan))
        })
        .collect()
}

fn small_features(services: usize) -> Features {
    Features { services: (1, services), ..Features::boolean() }
}

/// Boolean random plans with few events.
fn small_plans(services: usize, events: usize) -> impl Iterator<Item = (u64, Scenario, Plan)> {
    (0..).filter_map(move |seed| {
        let scenario = scenario(seed, &small_features(services));
        let plan = compile(&scenario.topology, &scenario.change, Seconds::ZERO);
        if boolean::find_obstacle(&plan).is_some() {
            return None;
        }
        let exact = Exact::solve_plan(&plan, Detail::Drawn, Limits::THOROUGH);
        let count = exact.map_or(0, |exact| exact.variables.events.len());
        (1..=events).contains(&count).then_some((seed, scenario, plan))
    })
}

#[test]
fn exact_probabilities_are_those_of_all_worlds_together() {
    for (seed, scenario, plan) in small_plans(7, 8).take(250) {
        let exact = solve(&plan, Detail::Drawn);
        let everything = Exact::solve_plan(&plan, Detail::Everything, Limits::THOROUGH);
        let variables = &exact.variables;
        let mut expected = vec![(0.0, 0.0); exact.units.len()];
        for (set, units) in worlds(&plan, &variables.events) {
            let factors = variables.events.iter().zip(&variables.chances);
            let weight: f64 =
                factors.map(|(event, p)| if set.contains(event) { *p } else { 1.0 - p }).product();
            for (sum, (failed, degraded)) in expected.iter_mut().zip(units) {
                sum.0 += if failed { weight } else { 0.0 };
                sum.1 += if degraded { weight } else { 0.0 };
            }
        }
        for (unit, (failed, degraded)) in expected.into_iter().enumerate() {
            let item = &exact.units[unit];
            let found = (exact.probability(&item.failed), exact.probability(&item.degraded));
            let differs = |a: f64, b: f64| (a - b).abs() > 1e-12;
            let told = || describe(&scenario.topology, &scenario.change);
            assert!(
                !differs(found.0, failed),
                "{seed} unit {unit}: {found:?} {failed}\n{}",
                told()
            );
            assert!(
                !differs(found.1, degraded),
                "{seed} unit {unit}: {found:?} {degraded}\n{}",
                told()
            );
            if let Ok(everything) = &everything {
                let more = everything.probability(&everything.units[unit].failed);
                assert!(!differs(more, failed), "{seed} unit {unit}: {more} {failed}\n{}", told());
            }
        }
    }
}

#[test]
fn exact_probabilities_lie_within_five_standard_errors_of_trials() {
    let trials = 20_480;
    for (seed, scenario, plan) in small_plans(12, 60).step_by(3).take(60) {
        let exact = solve(&plan, Detail::Drawn);
        let mut tally = Tally::new(&plan);
        Simulator::new(&plan, 11).run_trials(0..trials, &mut tally, &Silent);
        if tally.anomalies.iter().any(|anomaly| anomaly.unsettled > 0) {
            continue;
        }
        for (unit, counted) in exact.units.iter().zip(&tally.units) {
            for (function, count) in
                [(&unit.failed, counted.failed), (&unit.degraded, counted.degraded)]
            {
                let p = exact.probability(function);
                let error = (p * (1.0 - p) / trials as f64).sqrt() + 1e-4;
                let found = count as f64 / trials as f64;
                assert!(
                    (found - p).abs() < 5.0 * error,
                    "{seed}: {found} {p}\n{}",
                    describe(&scenario.topology, &scenario.change)
                );
            }
        }
    }
}

/// The minimal elements of the worlds in which a unit fails, with the modes of a target as one thing.
fn smallest(
    plan: &Plan,
    events: &[ExactEvent],
    unit: usize,
) -> BTreeSet<BTreeSet<(ExactEvent, Option<u8>)>> {
    let failing: BTreeSet<BTreeSet<(ExactEvent, Option<u8>)>> = worlds(plan, events)
        .into_iter()
        .filter(|(_, units)| units[unit].0)
        .filter_map(|(set, _)| named(plan, events, &set))
        .collect();
    let is_smallest =
        |set: &&BTreeSet<_>| failing.iter().all(|other| other == *set || !other.is_subset(set));
    failing.iter().filter(is_smallest).cloned().collect()
}

/// A world by what breaks in it in which mode; nothing where a mode is drawn that has no effect.
fn named(
    plan: &Plan,
    events: &[ExactEvent],
    set: &BTreeSet<ExactEvent>,
) -> Option<BTreeSet<(ExactEvent, Option<u8>)>> {
    let mut named = BTreeSet::new();
    for event in set {
        match event {
            ExactEvent::Mode(target, _) => {
                let target = ExactEvent::Target(*target);
                if events.contains(&target) && !set.contains(&target) {
                    return None;
                }
            }
            ExactEvent::Target(_) => {}
            other => {
                named.insert((*other, None));
            }
        }
    }
    for (id, target) in plan.targets.entries() {
        let event = ExactEvent::Target(id);
        let breaks = set.contains(&event);
        if !breaks {
            continue;
        }
        let is_domain = matches!(target.hit, blastwave::compile::plan::Hit::Domain(_));
        let modes = if is_domain { [1.0, 0.0, 0.0] } else { target.modes };
        let mode = (0..3_u8).find(|mode| {
            modes[usize::from(*mode)] >= 1.0 || set.contains(&ExactEvent::Mode(id, *mode))
        });
        if let Some(mode) = mode {
            named.insert((event, Some(mode)));
        }
    }
    Some(named)
}

#[test]
fn cut_sets_are_the_smallest_sets_of_events_that_fail_a_unit() {
    let mut sets = 0;
    for (seed, scenario, plan) in small_plans(6, 7).take(1_000) {
        let exact = solve(&plan, Detail::Drawn);
        let events = &exact.variables.events;
        let unit = exact.units.len() - 1;
        let expected = smallest(&plan, events, unit);
        let function = &exact.units[unit].failed;
        let found = solutions::find_cut_sets(
            function,
            &exact.variables,
            |_, _| EventRole::Event,
            None,
            100_000,
        )
        .unwrap();
        let all: BTreeSet<BTreeSet<(ExactEvent, Option<u8>)>> = found
            .most_likely(1_000)
            .into_iter()
            .map(|(parts, _)| {
                let parts = parts.into_iter().map(|part| found.parts[part as usize]);
                parts.map(|part| (part.event, part.mode)).collect()
            })
            .collect();
        let told = || describe(&scenario.topology, &scenario.change);
        assert_eq!(all, expected, "{seed}\n{}", told());
        assert_eq!(found.sets_total() as usize, expected.len(), "{seed}");
        sets += expected.len();
        let pairs = solutions::find_cut_sets(
            function,
            &exact.variables,
            |_, _| EventRole::Event,
            Some(2),
            100_000,
        )
        .unwrap();
        let up_to_two = expected.iter().filter(|set| set.len() <= 2).count();
        assert_eq!(pairs.sets_total() as usize, up_to_two, "{seed}\n{}", told());
    }
    assert!(sets > 1_000, "only {sets} sets were compared");
}

#[test]
fn importance_by_differentiation_is_importance_by_conditioning() {
    for (seed, _, plan) in small_plans(10, 30).step_by(2).take(150) {
        let Ok(exact) = Exact::solve_plan(&plan, Detail::Everything, Limits::THOROUGH) else {
            continue;
        };
        let function = &exact.units.last().unwrap().failed;
        for (place, derivative) in exact.derivatives(function).into_iter().enumerate() {
            let at = |happens| exact.conditional_probability(function, &[place as u16], happens);
            let difference = at(true) - at(false);
            assert!((derivative - difference).abs() < 1e-9, "{seed}: {derivative} {difference}");
        }
    }
}

/// `OpenFTA`'s example of a power supply, as it stands in SCRAM's inputs.
const THEATRE: &str = "
version: 1
topology: theatre
services:
  mains: { availability: 97% }
  generator: { dependencies: [generator-set, relay] }
  generator-set: { availability: 98% }
  relay: { availability: 95% }
flows:
  theatre: { steps: [{ any_of: [mains, generator] }] }
";

/// SCRAM's two trains of a valve and a pump each.
const TWO_TRAINS: &str = "
version: 1
topology: two-trains
services:
  one: { dependencies: [valve-one, pump-one] }
  two: { dependencies: [valve-two, pump-two] }
  valve-one: { availability: 50% }
  valve-two: { availability: 50% }
  pump-one: { availability: 30% }
  pump-two: { availability: 30% }
flows:
  top: { steps: [{ any_of: [one, two] }] }
";

/// SCRAM's gate of which two of three inputs must be true.
const TWO_OF_THREE: &str = "
version: 1
topology: two-of-three
services:
  a: { availability: 90% }
  b: { availability: 80% }
  c: { availability: 70% }
flows:
  top: { steps: [{ any_of: [a, b, c], needs: 2 }] }
";

/// `OpenFTA`'s example of three motors, as it stands in SCRAM's inputs: a gate is a service that needs
/// what its `or` takes, or any one of what its `and` takes. Basic events fail in 2% of trials, house
/// events always.
const THREE_MOTORS: &str = "
version: 1
topology: three-motors
services:
  e1: { dependencies: [{ any_of: [e2, e3] }] }
  e2: { dependencies: [k5, e4] }
  e4: { dependencies: [{ any_of: [t-e1, e6] }] }
  e6: { dependencies: [t2, k5] }
  e3: { dependencies: [k2, e5] }
  e5: { dependencies: [t1, e8] }
  e8: { dependencies: [k1, e9] }
  e9: { dependencies: [e10, e11] }
  e10: { dependencies: [{ any_of: [kt1, kt3, e12] }] }
  e12: { dependencies: [kt2, t4] }
  e11: { dependencies: [s1, t3] }
  t-e1: { dependencies: [k1, t-e2] }
  t-e2: { dependencies: [t-e3, t-e4] }
  t-e4: { dependencies: [s1, t1inc] }
  t-e3: { dependencies: [{ any_of: [t-e5, t-e6, t-e7] }] }
  t-e5: { dependencies: [kt1inc, t2inc] }
  t-e6: { dependencies: [kt2inc, t3inc] }
  t-e7: { dependencies: [kt3inc, t4inc] }
  k1: { availability: 98% }
  k2: { availability: 98% }
  k5: { availability: 98% }
  s1: { availability: 98% }
  t1: { availability: 98% }
  t2: { availability: 98% }
  t3: { availability: 98% }
  t4: { availability: 98% }
  kt1inc: { availability: 98% }
  kt2inc: { availability: 98% }
  kt3inc: { availability: 98% }
  t1inc: { availability: 98% }
  t2inc: { availability: 98% }
  t3inc: { availability: 98% }
  t4inc: { availability: 98% }
  kt1: { availability: 0% }
  kt2: { availability: 0% }
  kt3: { availability: 0% }
flows:
  top: { steps: [e1] }
";

#[test]
fn published_fault_trees_come_out_as_published() {
    assert_near(flow_fails(THEATRE), 0.002_07, 1e-9);
    assert_near(flow_fails(TWO_TRAINS), 0.7225, 1e-9);
    assert_near(flow_fails(TWO_OF_THREE), 0.098, 1e-9);
    // 2% + 98% of 2% of what lets the transferred gate fail: three single events, or one of two in
    // each of three places. Published as 0.0211538, to seven digits.
    let (p, q) = (0.02_f64, 0.98_f64);
    let pair = 1.0 - q * q;
    let transferred = 1.0 - q * q * q * (1.0 - pair * pair * pair);
    let found = flow_fails(THREE_MOTORS);
    assert_near(found, p + q * p * transferred, 1e-9);
    assert!((found - 0.021_153_8).abs() < 5e-8, "{found}");
}

/// Checkout over two payment providers, and what all of it stands on; with a network for each
/// provider, or one for both. The parts multiply to the published successes.
fn checkout(providers: &str) -> String {
    format!(
        "
version: 1
topology: checkout
services:
  checkout: {{ availability: 99.9%, dependencies: [orders, database, {{ any_of: [card, wallet] }}] }}
  orders: {{ availability: 99.9% }}
  database: {{ availability: 99.95% }}
{providers}
flows:
  pay: {{ steps: [checkout] }}
"
    )
}

#[test]
fn a_shared_network_takes_both_providers() {
    let alone = "  card: { dependencies: [network-a] }
  wallet: { dependencies: [network-b] }
  network-a: { availability: 99.5% }
  network-b: { availability: 99.5% }";
    let shared = "  card: { dependencies: [network] }
  wallet: { dependencies: [network] }
  network: { availability: 99.5% }";
    let (alone, shared) = (flow_fails(&checkout(alone)), flow_fails(&checkout(shared)));
    let parts = 0.999 * 0.999 * 0.9995;
    assert_near(alone, 1.0 - parts * (1.0 - 0.005 * 0.005), 1e-9);
    assert_near(shared, 1.0 - parts * 0.995, 1e-9);
    assert!((1.0 - alone - 0.997_477_06).abs() < 5e-9, "{alone}");
    assert!((1.0 - shared - 0.992_514_49).abs() < 5e-9, "{shared}");
}

#[test]
fn a_very_small_probability_has_all_its_digits() {
    let text = "
version: 1
topology: redundant
services:
  a: { availability: 99.999% }
  b: { availability: 99.999% }
  c: { availability: 99.999% }
flows:
  order: { steps: [{ any_of: [a, b, c] }] }
";
    assert_near(flow_fails(text), 1e-15, 1e-9);
}

#[test]
fn what_is_not_boolean_or_too_large_says_so() {
    let loaded = "
version: 1
topology: loaded
services:
  a: { availability: 99%, utilization: 50% }
flows:
  order: { steps: [a] }
";
    let plan = background(&topology(loaded));
    let refused = Exact::solve_plan(&plan, Detail::Drawn, Limits::THOROUGH).err();
    assert!(matches!(refused, Some(Obstacle::NotBoolean(_))), "{refused:?}");
    let plan = background(&dense(40));
    let refused = Exact::solve_plan(&plan, Detail::Drawn, Limits::CHEAP).err();
    assert_eq!(refused, Some(Obstacle::TooLarge(Limits::CHEAP)));
    let told = Obstacle::TooLarge(Limits::CHEAP).to_string();
    assert!(told.contains("300000 steps"), "{told}");
}

/// Layers in which everything may call everything of the next two, over uncertain dependencies.
pub(crate) fn dense(services: usize) -> Topology {
    let mut dice = Dice::new(1);
    let mut text = "version: 1\ntopology: dense\nservices:\n".to_owned();
    for from in 0..services {
        let calls = (from + 1..services).filter(|_| dice.chance(0.4)).map(|to| {
            format!("{{ any_of: [s{to:03}, s{:03}], propagation: 90% }}", (to * 7 + 3) % services)
        });
        let calls: Vec<String> =
            calls.filter(|call| !call.contains(&format!("s{from:03}"))).collect();
        let calls: BTreeSet<String> = calls.into_iter().collect();
        let calls: Vec<String> = calls
            .into_iter()
            .filter(|call| {
                let names: Vec<&str> = call.split(['[', ',', ']']).collect();
                names[1].trim() != names[2].trim()
            })
            .collect();
        text += &format!(
            "  s{from:03}: {{ availability: 99%, dependencies: [{}] }}\n",
            calls.join(", ")
        );
    }
    text += "flows:\n  order: { steps: [s000] }\n";
    topology(&text)
}

/// A service that needs some of its members, each available 99% of the time.
fn any_of(members: usize, needs: usize) -> Topology {
    let names: Vec<String> = (1..=members).map(|number| format!("s{number}")).collect();
    let services: String =
        names.iter().map(|name| format!("  {name}: {{ availability: 99% }}\n")).collect();
    topology(&format!(
        "version: 1\ntopology: t\nservices:\n  s0: {{ dependencies: [{{ any_of: [{}], needs: {needs} }}] }}\n{services}flows:\n  f: {{ steps: [s0] }}\n",
        names.join(", ")
    ))
}

#[test]
fn the_likeliest_of_billions_of_equal_cut_sets_are_listed_at_once() {
    let exact = solve(&background(&any_of(40, 20)), Detail::Drawn);
    let function = &exact.units.last().unwrap().failed;
    let role = |_, _| EventRole::Event;
    let found = solutions::find_cut_sets(function, &exact.variables, role, None, 100_000).unwrap();
    // 40 over 21, and s0 and the flow have no failures of their own.
    assert_eq!(found.sets_total(), 131_282_408_400);
    let sets = found.most_likely(50);
    assert_eq!(sets.len(), 50);
    let distinct: BTreeSet<&Vec<u32>> = sets.iter().map(|(parts, _)| parts).collect();
    assert_eq!(distinct.len(), 50);
    for (parts, probability) in &sets {
        assert_eq!(parts.len(), 21);
        assert_near(*probability, 0.01_f64.powi(21), 1e-12);
    }
}

#[test]
fn sets_are_listed_from_the_most_likely_one_on() {
    for (seed, _, plan) in small_plans(8, 10).step_by(3).take(200) {
        let exact = solve(&plan, Detail::Drawn);
        let function = &exact.units.last().unwrap().failed;
        let found = solutions::find_cut_sets(
            function,
            &exact.variables,
            |_, _| EventRole::Event,
            None,
            100_000,
        )
        .unwrap();
        let all = found.most_likely(10_000);
        assert_eq!(all.len() as u64, found.sets_total(), "{seed}");
        for pair in all.windows(2) {
            assert!(pair[0].1 >= pair[1].1 * (1.0 - 1e-12), "{seed}: {pair:?}");
        }
        let first = found.most_likely(3);
        assert_eq!(first, all[..first.len()], "{seed}");
    }
}
