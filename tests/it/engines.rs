//! On a Boolean scenario both engines count the same, trial for trial.

use blastwave::compile::plan::Fallback;
use blastwave::compile::{Plan, compile};
use blastwave::diagnostic::{Place, Sources};
use blastwave::engine::simd::InstructionSet;
use blastwave::engine::{Choice, Silent, Simulator, Tally, boolean};
use blastwave::load;
use blastwave::model::change::{Target, TargetRef};
use blastwave::model::topology::{Cache, NodeRef, ServiceId};
use blastwave::model::{Change, Seconds, Share, Topology};

use crate::random::{Features, Scenario, describe, scenario};

#[test]
fn both_engines_count_the_same() {
    let mut compared = 0;
    let mut covered = [0; FEATURES.len()];
    for seed in 0..1_500 {
        let Scenario { topology, change } = scenario(seed, &Features::boolean());
        let lasting = if seed % 3 == 0 { Seconds::hours(2) } else { Seconds::ZERO };
        let plan = compile(&topology, &change, lasting);
        if boolean::find_obstacle(&plan).is_some() {
            continue;
        }
        compared += 1;
        for (count, (_, has)) in covered.iter_mut().zip(FEATURES) {
            *count += u32::from(has(&plan));
        }
        let tally = |choice| counted(&plan, choice, 700);
        let expected = tally(Choice::Fluid);
        for level in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            let found = tally(Choice::Boolean(level));
            let differ = difference(&found, &expected);
            assert!(
                differ.is_none() && found == expected,
                "scenario {seed} {level:?} {differ:?}\n{}",
                describe(&topology, &change)
            );
        }
    }
    // Where somebody may give up on what waits for something that hangs, shares are not whole.
    assert!(compared > 800, "only {compared} scenarios were Boolean");
    for (count, (name, _)) in covered.iter().zip(FEATURES) {
        assert!(*count > 20, "only {count} scenarios had {name}");
    }
}

/// What must have been among the scenarios.
type Feature = (&'static str, fn(&Plan) -> bool);
const FEATURES: [Feature; 16] = [
    ("hanging targets", |plan| {
        plan.targets.iter().any(|target| target.modes[0] < 1.0 && target.modes[1] > 0.0)
    }),
    ("lying targets", |plan| {
        plan.targets
            .iter()
            .any(|target| target.modes[0] < 1.0 && target.modes[1] < 1.0 && target.modes[2] > 0.0)
    }),
    ("soft calls", |plan| plan.calls.iter().any(|call| call.soft)),
    ("timeouts", |plan| plan.calls.iter().any(|call| call.has_deadline)),
    ("validation", |plan| plan.calls.iter().any(|call| call.validates)),
    ("retries", |plan| plan.calls.iter().any(|call| call.retries > 0)),
    ("caches", |plan| plan.calls.iter().any(|call| call.cache().is_some())),
    ("buffers", |plan| plan.calls.iter().any(|call| call.buffer().is_some())),
    ("static fallbacks", |plan| plan.calls.iter().any(|call| call.fallback() == Fallback::Static)),
    ("other services as fallbacks", |plan| {
        plan.calls.iter().any(|call| matches!(call.fallback(), Fallback::Node(_)))
    }),
    ("any_of", |plan| plan.calls.iter().any(|call| call.any_of)),
    ("doubtful edges", |plan| {
        plan.dependencies
            .iter()
            .any(|dependency| dependency.propagation > 0.0 && dependency.propagation < 1.0)
    }),
    ("cycles", |plan| plan.groups.iter().any(|group| group.nodes.len() > 1)),
    ("domains and replicas", |plan| !plan.domains.is_empty() && !plan.replicas.is_empty()),
    ("something down during the change", |plan| {
        plan.services.iter().any(|service| service.during)
            || plan.domains.iter().any(|domain| domain.during)
    }),
    ("a break that has lasted", |plan| plan.lasting > 0.0),
];

fn counted(plan: &Plan, choice: Choice, trials: u64) -> Tally {
    let simulation = Simulator::with_engine(plan, 5, choice);
    let mut tally = Tally::new(plan);
    simulation.run_trials(0..trials, &mut tally, &Silent);
    tally
}

/// The shipped topologies, and each again with every share made whole.
fn shipped() -> Vec<Topology> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in
        paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
    {
        let mut sources = Sources::default();
        let document = load::read_document(path.to_str().unwrap(), &mut sources).unwrap();
        let Ok(topology) = Topology::from_document(&document) else { continue };
        let mut whole = topology.clone();
        for service in &mut whole.services {
            service.utilization = None;
            let of_endpoints =
                service.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.dependencies);
            for dependency in service.dependencies.iter_mut().chain(of_endpoints) {
                dependency.call_probability = Share::ONE;
                dependency.cache =
                    dependency.cache.map(|cache| Cache { hit_ratio: Share::ONE, ..cache });
            }
        }
        for step in whole.flows.iter_mut().flat_map(|flow| &mut flow.steps) {
            step.call_probability = Share::ONE;
        }
        all.extend([topology, whole]);
    }
    all
}

#[test]
fn both_engines_count_the_same_over_every_shipped_topology() {
    let mut compared = 0;
    for topology in shipped() {
        for service in 0..topology.services.len() as u32 {
            let on = TargetRef::Node(NodeRef { service: ServiceId(service), endpoint: None });
            let target = Target::down_with_certainty(on, Place::default());
            let change = Change::from_targets("break", vec![target]);
            let plan = compile(&topology, &change, Seconds::ZERO);
            if boolean::find_obstacle(&plan).is_none() {
                compared += 1;
                let found = counted(&plan, Choice::Boolean(InstructionSet::best()), 600);
                assert_eq!(difference(&found, &counted(&plan, Choice::Fluid, 600)), None);
            }
        }
    }
    assert!(compared > 10, "only {compared} scenarios were Boolean");
}

/// What two tallies do not agree on.
fn difference(found: &Tally, expected: &Tally) -> Option<String> {
    let units = found.units.iter().zip(&expected.units).position(|(a, b)| a != b);
    if let Some(unit) = units {
        return Some(format!("unit {unit}: {:?} {:?}", found.units[unit], expected.units[unit]));
    }
    let mut dependencies = found.dependencies.iter().zip(&expected.dependencies).enumerate();
    let differs = dependencies.find(|(_, (a, b))| a != b);
    if let Some((index, (a, b))) = differs {
        return Some(format!("dependency {index}: {a:?} {b:?}"));
    }
    (found.anomalies != expected.anomalies).then(|| "anomalies".to_owned())
}

#[test]
fn hundreds_of_members_of_which_few_fail_cost_what_those_few_cost() {
    // With time proportional to members times needs for each of the steps this would take minutes.
    let members: Vec<String> = (0..400).map(|number| format!("m{number}")).collect();
    let services: String =
        members.iter().map(|name| format!("  {name}: {{ availability: 99% }}\n")).collect();
    let text = format!(
        "version: 1\ntopology: t\nservices:\n  s: {{ dependencies: [{{ any_of: [{}], needs: 200 }}] }}\n{services}flows:\n  f: {{ steps: [s] }}\n",
        members.join(", ")
    );
    let topology = crate::exact::topology(&text);
    let plan = crate::exact::background(&topology);
    let found = counted(&plan, Choice::Fluid, 2_000);
    // 200 of 400 are never down together; each is in one of 100 trials.
    assert_eq!(found.units.last().unwrap().failed, 0);
    let failed: u64 = found.units[..400].iter().map(|unit| unit.failed).sum();
    let expected = 400.0 * 2_000.0 * 0.01_f64;
    assert!((failed as f64 - expected).abs() < 5.0 * expected.sqrt(), "{failed}");
    assert_eq!(difference(&found, &counted(&plan, Choice::Automatic, 2_000)), None);
}
