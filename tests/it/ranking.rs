//! Rankings: both engines agree, whatever breaks, and what they say has the published shape.

use std::collections::BTreeMap;

use blastwave::analysis::rank::{RankingRequest, fluid_reason, rank_origins};
use blastwave::analysis::{Settings, Stop};
use blastwave::engine::origins::FailureMode;
use blastwave::engine::simd::InstructionSet;
use blastwave::engine::{Choice, Silent};
use blastwave::report::RankReport;
use blastwave::report::schema;
use blastwave::report::{EngineName, OriginKind};
use blastwave::{
    model::{Share, Topology},
    render,
};

use crate::random::{Features, Scenario, scenario};

const ALL: [OriginKind; 4] =
    [OriginKind::Service, OriginKind::Endpoint, OriginKind::Domain, OriginKind::Dependency];

fn settings(trials: u64, engine: Choice) -> Settings {
    Settings { stop: Stop::Trials(trials), seed: 3, engine, ..Settings::default() }
}

fn ranked(topology: &Topology, ranking: RankingRequest, trials: u64, engine: Choice) -> RankReport {
    let mut report = rank_origins(topology, ranking, &settings(trials, engine), &Silent);
    report.engine = EngineName::Fluid;
    report
}

#[test]
fn both_engines_rank_alike_whatever_breaks() {
    let mut compared = [0; ALL.len()];
    for seed in 0..160 {
        let Scenario { topology, .. } = scenario(seed, &Features::boolean());
        for (number, by) in ALL.into_iter().enumerate() {
            for mode in [FailureMode::Down, FailureMode::Slow, FailureMode::Corrupt] {
                let ranking = RankingRequest { by, mode, top: None };
                let asked = settings(70, Choice::Automatic);
                let is_domain = by == OriginKind::Domain && mode != FailureMode::Down;
                if is_domain || fluid_reason(&topology, ranking, &asked).is_some() {
                    continue;
                }
                let expected = ranked(&topology, ranking, 70, Choice::Fluid);
                if expected.origins.is_empty() {
                    continue;
                }
                compared[number] += 1;
                let found = ranked(&topology, ranking, 70, Choice::Boolean(InstructionSet::best()));
                assert_eq!(found, expected, "scenario {seed} by {by:?} {mode:?}");
            }
        }
    }
    assert!(compared.iter().all(|count| *count > 40), "too few were Boolean: {compared:?}");
}

/// Something apart that may be down by itself: with it, not all trials are the same.
fn with_chance(topology: &Topology) -> Topology {
    let mut with = topology.clone();
    let mut apart = with.services[0].clone();
    "~apart".clone_into(&mut apart.name);
    (apart.dependencies, apart.endpoints, apart.domains) = (Vec::new(), Vec::new(), Vec::new());
    (apart.replicas, apart.utilization) = (None, None);
    apart.availability = Some(Share::new(0.5).expect("a share"));
    with.services.push(apart);
    with
}

/// By origin what is not an interval, and its row of the matrix.
fn figures(report: &RankReport) -> BTreeMap<String, Vec<f64>> {
    let of = |number: usize| {
        let origin = &report.origins[number];
        let tolls = [Some(&origin.services), Some(&origin.flows), origin.orders_per_min.as_ref()];
        let own = tolls.into_iter().flatten().flat_map(|toll| [toll.mean, toll.worst]);
        let rows = [&report.matrix.failed[number], &report.matrix.degraded[number]];
        let row = rows.into_iter().flatten().copied();
        (origin.name.clone(), own.chain(row).collect())
    };
    (0..report.origins.len()).map(of).collect()
}

#[test]
fn a_trial_for_each_origin_tells_what_many_tell() {
    let mut compared = 0;
    for seed in 0..60 {
        let calm = Features {
            availability: false,
            propagation: false,
            services: (4, 12),
            ..Features::load()
        };
        let Scenario { topology, .. } = scenario(seed, &calm);
        for by in [OriginKind::Service, OriginKind::Endpoint, OriginKind::Domain] {
            let ranking = RankingRequest { by, ..RankingRequest::default() };
            let found = ranked(&topology, ranking, 8, Choice::Fluid);
            let is_random = !found
                .assumptions
                .iter()
                .any(|assumption| assumption.contains("every trial is the same"));
            if is_random || found.origins.is_empty() {
                continue;
            }
            compared += 1;
            let mut expected = figures(&ranked(&with_chance(&topology), ranking, 8, Choice::Fluid));
            expected.remove("~apart");
            assert_eq!(figures(&found), expected, "scenario {seed} by {by:?}");
        }
    }
    assert!(compared > 20, "in only {compared} nothing was left to chance");
}

#[test]
fn all_instructions_rank_alike() {
    for seed in 0..40 {
        let Scenario { topology, .. } = scenario(seed, &Features::boolean());
        let ranking = RankingRequest::default();
        if fluid_reason(&topology, ranking, &settings(1, Choice::Automatic)).is_some() {
            continue;
        }
        let portable = ranked(&topology, ranking, 600, Choice::Boolean(InstructionSet::Portable));
        for level in [InstructionSet::Avx2, InstructionSet::Avx512] {
            assert_eq!(ranked(&topology, ranking, 600, Choice::Boolean(level)), portable);
        }
    }
}

#[test]
fn rankings_do_not_depend_on_the_number_of_threads() {
    let Scenario { topology, .. } = scenario(7, &Features::boolean());
    for engine in [Choice::Automatic, Choice::Fluid] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let ranking = RankingRequest::default();
            let report = pool
                .install(|| rank_origins(&topology, ranking, &settings(1_500, engine), &Silent));
            render::json::render_rank(&report)
        };
        let alone = with(1);
        for threads in [2, 3, 8] {
            assert_eq!(with(threads), alone);
        }
    }
}

#[test]
fn rankings_have_the_published_shape() {
    let schema: serde_json::Value = serde_json::from_str(schema::RANK).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for seed in 0..20 {
        let Scenario { topology, .. } = scenario(seed, &Features::boolean());
        for by in ALL {
            let ranking = RankingRequest { by, top: Some(3), ..RankingRequest::default() };
            let report = ranked(&topology, ranking, 64, Choice::Automatic);
            let mut report = report;
            report.engine = EngineName::Boolean;
            let value = serde_json::to_value(&report).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "scenario {seed} by {by:?}: {errors:?}");
        }
    }
}
