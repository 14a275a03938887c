//! The fluid engine: trials of a three-stage rollout with detection and rollback, over topologies of
//! a hundred, a thousand and ten thousand services, beside the plain implementation of the tests,
//! which computes one trial at a time.
//!
//! Trials per second are the figure to look at: cost should grow as services and dependencies do. Ten
//! dependencies or so go back against the layers, whatever the size; once more with ten times as many,
//! which makes one cycle of a sixth of all services.
//! `cargo bench --bench fluid`; on Linux the last line is the most memory that was in use.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;
#[path = "../tests/it/oracle/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a bench uses a part of it")]
mod oracle;

use std::time::Duration;

use blastwave::compile::compile;
use blastwave::engine::{Silent, Simulator, Tally};
use blastwave::model::Seconds;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Dependencies per service in the layered topologies; the last layers have fewer.
const DEGREE: f64 = 5.6;

/// Whether this is measured, rather than run once as a test.
fn is_bench() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// All sizes where they are measured, the smallest where the bench is only run once.
fn sizes<T: Clone>(all: &[T]) -> Vec<T> {
    if is_bench() { all.to_vec() } else { all[..1].to_vec() }
}

fn rollouts(criterion: &mut Criterion) {
    for with_load in [false, true] {
        let name = if with_load { "rollout with load" } else { "rollout" };
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).warm_up_time(Duration::from_millis(500));
        let cases = [
            (100, 0.002, "100"),
            (1_000, 0.002, "1000"),
            (10_000, 0.000_2, "10000"),
            (10_000, 0.002, "10000, a sixth in one cycle"),
        ];
        for (services, back, name) in sizes(&cases) {
            let topology = common::layered(services, DEGREE, back, with_load);
            let change = common::staged(&topology, services * 9 / 10);
            let plan = compile(&topology, &change, Seconds::ZERO);
            let trials =
                if is_bench() { u64::from(640_000 / services).div_ceil(64) * 64 } else { 64 };
            group.throughput(Throughput::Elements(trials));
            group.bench_function(BenchmarkId::new("engine", name), |bencher| {
                bencher.iter(|| {
                    let mut tally = Tally::new(&plan);
                    Simulator::new(&plan, 1).run_trials(0..trials, &mut tally, &Silent);
                    tally.trials
                });
            });
        }
        group.finish();
    }
}

/// The plain implementation takes steps of fixed length: here as few as its shortest events allow.
fn plain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rollout");
    group.sample_size(10).warm_up_time(Duration::from_millis(100));
    for services in sizes(&[100, 1_000]) {
        let topology = common::layered(services, DEGREE, 0.002, false);
        let change = common::staged(&topology, services * 9 / 10);
        let step = change.horizon.get() / 100.0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("plain, one trial", services), |bencher| {
            let mut trial = 0;
            bencher.iter(|| {
                trial += 1;
                oracle::story(&topology, &change, 1, trial, step)
            });
        });
    }
    group.finish();
}

/// The question of a reviewer: 10,000 trials at once.
#[expect(clippy::print_stderr, reason = "a bench speaks to the one who runs it")]
fn questions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10,000 trials");
    group.sample_size(10).warm_up_time(Duration::from_millis(100));
    for services in sizes(&[100, 1_000]) {
        let topology = common::layered(services, DEGREE, 0.002, true);
        let change = common::staged(&topology, services * 9 / 10);
        let plan = compile(&topology, &change, Seconds::ZERO);
        // Once, as a test, a few trials show as much as many.
        let trials = if is_bench() { 10_000 } else { 64 };
        group.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| {
                let mut tally = Tally::new(&plan);
                Simulator::new(&plan, 1).run_trials(0..trials, &mut tally, &Silent);
                tally.trials
            });
        });
    }
    group.finish();
    if let Some(peak) = common::peak_memory() {
        eprintln!("the most memory in use so far: {peak}");
    }
}

criterion_group!(benches, questions, rollouts, plain);
criterion_main!(benches);
