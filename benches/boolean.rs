//! The Boolean engine beside one search per trial, and rankings. See `benches/README.md`.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;

use std::time::Duration;

use blastwave::analysis::rank::{RankingRequest, rank_origins};
use blastwave::analysis::{Settings, Stop};
use blastwave::compile::compile;
use blastwave::engine::simd::InstructionSet;
use blastwave::engine::{Silent, Simulator, Tally};
use blastwave::model::{Seconds, Topology};
use common::production::{JAEGER, META, production};
use common::searches::{caller_graph, search_trials};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use petgraph::graph::NodeIndex;

/// Whether benches are only run once, to see that they still run.
fn is_test() -> bool {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    has("--test") || !has("--bench")
}

/// A graph, what breaks in it, and how many trials the engine and the searches get.
struct Case {
    name: &'static str,
    topology: Topology,
    origin: u32,
    trials: [u64; 2],
}

fn cases() -> Vec<Case> {
    let cascade = |name, services, back, high, trials| {
        let services = if is_test() { 200 } else { services };
        let topology = common::cascade(services, 5, back, high);
        let per_layer = services.div_ceil(12);
        Case { name, topology, origin: (services - 1) / per_layer * per_layer, trials }
    };
    let production = |shape: &common::production::Shape, trials| {
        let services = if is_test() { 200 } else { shape.services };
        let topology = production(shape, services, 0.1);
        let origin = most_called(&topology);
        Case { name: shape.name, topology, origin, trials }
    };
    vec![
        cascade("1k", 1_000, 0.002, false, [512_000, 20_000]),
        cascade("1k-high", 1_000, 0.002, true, [256_000, 10_000]),
        cascade("1k-stress", 1_000, 0.03, false, [128_000, 10_000]),
        cascade("10k", 10_000, 0.000_2, false, [128_000, 10_000]),
        cascade("100k", 100_000, 0.000_02, false, [10_240, 2_000]),
        production(&JAEGER, [256_000, 20_000]),
        production(&META, [10_240, 1_000]),
    ]
}

/// The service with the most callers.
fn most_called(topology: &Topology) -> u32 {
    let mut callers = vec![0_u32; topology.services.len()];
    for dependency in topology.services.iter().flat_map(|service| &service.dependencies) {
        callers[dependency.on[0].service.0 as usize] += 1;
    }
    let most = callers.iter().enumerate().max_by_key(|(_, count)| **count);
    most.map_or(0, |(service, _)| service as u32)
}

fn simulate<'a>(simulation: &'a Simulator<'a>, mut tally: Tally, trials: u64) -> Tally {
    simulation.run_trials(0..trials, &mut tally, &Silent);
    tally
}

/// One thing breaks: trials per second, by the searches and by every kind of instructions.
#[expect(clippy::print_stderr, reason = "a bench speaks to the one who runs it")]
fn one_origin(criterion: &mut Criterion) {
    for case in cases() {
        let mut group = criterion.benchmark_group(format!("boolean/{}", case.name));
        group.sample_size(10).warm_up_time(Duration::from_millis(500));
        let [trials, searched] = if is_test() { [512, 500] } else { case.trials };
        let graph = caller_graph(&case.topology);
        let origin = NodeIndex::new(case.origin as usize);
        let plan = compile(&case.topology, &common::down(case.origin), Seconds::ZERO);
        let simulation = Simulator::counting_failures(&plan, 1, InstructionSet::best());
        let tally = simulate(&simulation, Tally::new(&plan), trials);
        let failed: u64 = tally.units.iter().map(|unit| unit.failed).sum();
        eprintln!(
            "{}: {} services, {} dependencies; reach {:.1}, by searches {:.1}",
            case.name,
            plan.services.len(),
            plan.dependencies.len(),
            failed as f64 / trials as f64,
            search_trials(&graph, origin, searched)
        );
        group.throughput(Throughput::Elements(searched));
        group.bench_function("petgraph", |bencher| {
            bencher.iter(|| search_trials(&graph, origin, searched));
        });
        group.throughput(Throughput::Elements(trials));
        for level in [InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Portable] {
            let simulation = Simulator::counting_failures(&plan, 1, level);
            group.bench_function(BenchmarkId::new("engine", format!("{level:?}")), |bencher| {
                bencher.iter(|| simulate(&simulation, Tally::new(&plan), trials).trials);
            });
        }
        group.finish();
    }
}

/// Everything breaks in turn: 1,000 services with 10,000 trials each, 10,000 with 1,000.
fn rankings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rank");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    for (services, trials) in [(1_000, 10_000), (10_000, 1_000)] {
        let (small, few) = if is_test() { (100, 64) } else { (services, trials) };
        let topology = common::cascade(small, 5, 0.002, false);
        let settings = Settings { stop: Stop::Trials(few), ..Settings::default() };
        group.throughput(Throughput::Elements(few * u64::from(small)));
        group.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| {
                rank_origins(&topology, RankingRequest::default(), &settings, &Silent).origins.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, one_origin, rankings);
criterion_main!(benches);
