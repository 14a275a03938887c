//! On a Boolean scenario both engines count the same, trial for trial.

use blastwave::compile::compile;
use blastwave::engine::simd::Level;
use blastwave::engine::{Choice, Silent, Simulation, Tally, boolean};
use blastwave::model::Seconds;

use crate::random::{Features, Scenario, describe, scenario};

#[test]
fn both_engines_count_the_same() {
    let mut compared = 0;
    for seed in 0..1_500 {
        let Scenario { topology, change } = scenario(seed, &Features::boolean());
        let plan = compile(&topology, &change, Seconds::ZERO);
        if boolean::obstacle(&plan).is_some() {
            continue;
        }
        compared += 1;
        let tally = |choice| {
            let simulation = Simulation::with(&plan, 5, choice);
            let mut tally = Tally::new(&plan);
            simulation.run(0..700, &mut tally, &Silent);
            tally
        };
        let expected = tally(Choice::Fluid);
        for level in [Level::Portable, Level::Avx2, Level::Avx512] {
            let found = tally(Choice::Boolean(level));
            let differ = difference(&found, &expected);
            assert!(
                differ.is_none() && found == expected,
                "scenario {seed} {level:?} {differ:?}\n{}",
                describe(&topology, &change)
            );
        }
    }
    assert!(compared > 1_000, "only {compared} scenarios were Boolean");
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
    (found.oddities != expected.oddities).then(|| "oddities".to_owned())
}
