//! From YAML to a checked topology, its lints and a plan: by services, with five dependencies each.
//! Cost should grow as the text does.
//!
//! `cargo bench --bench load -- growth` goes up to a million services and five million dependencies,
//! once: it says how long they take to load, to compile, and for 512 trials.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use blastwave::compile::compile;
use blastwave::diagnostic::Sources;
use blastwave::engine::simd::InstructionSet;
use blastwave::engine::{Silent, Simulator, Tally};
use blastwave::load;
use blastwave::model::{Seconds, Topology, lint};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A topology as people write it.
fn yaml(services: u32) -> String {
    let numbers = &mut common::Numbers::new(3);
    let mut text = String::from("version: 1\ntopology: large\nservices:\n");
    for service in 0..services {
        let _ = writeln!(text, "  service-{service:07}:");
        let _ = writeln!(
            text,
            "    kind: service\n    tier: {}\n    team: team-{}",
            service % 3 + 1,
            service % 40
        );
        let later = services - service - 1;
        if later > 0 {
            text.push_str("    dependencies:\n");
        }
        for (index, on) in later_ones(numbers, service, later).into_iter().enumerate() {
            let _ = if index % 2 == 0 {
                writeln!(
                    text,
                    "      - {{ service: service-{on:07}, timeout: 300ms, propagation: 30% }}"
                )
            } else {
                writeln!(text, "      - service-{on:07}")
            };
        }
    }
    text.push_str("flows:\n  order: { steps: [service-0000000], rate: 10/s }\n");
    text
}

fn later_ones(numbers: &mut common::Numbers, service: u32, later: u32) -> Vec<u32> {
    let mut chosen: Vec<u32> = (0..5_u32.min(later))
        .map(|_| service + 1 + numbers.below(u64::from(later)) as u32)
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn read(text: &str) -> Topology {
    let mut sources = Sources::default();
    let bytes = text.as_bytes().to_vec();
    let document = load::parse_document("large.yaml", bytes, &mut sources).expect("it is right");
    Topology::from_document(&document).expect("it is right")
}

fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    for services in [100_u32, 1_000, 10_000] {
        let text = yaml(services);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("read and check", services), |bencher| {
            bencher.iter(|| read(&text).services.len());
        });
        let topology = read(&text);
        group.bench_function(BenchmarkId::new("lint", services), |bencher| {
            bencher.iter(|| lint::lint_topology(&topology).len());
        });
        let change = common::staged(&topology, services / 2);
        group.bench_function(BenchmarkId::new("compile", services), |bencher| {
            bencher.iter(|| compile(&topology, &change, Seconds::ZERO).nodes.len());
        });
    }
    group.finish();
}

/// From text to 512 trials of one origin, once by size.
#[expect(clippy::print_stderr, reason = "a bench speaks to the one who runs it")]
fn growth(_: &mut Criterion) {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let sizes: &[u32] = match () {
        () if !has("--bench") => &[100],
        () if has("growth") => &[10_000, 100_000, 1_000_000],
        () => return,
    };
    for services in sizes {
        let text = yaml(*services);
        let (topology, loaded) = timed(|| read(&text));
        drop(text);
        let (plan, compiled) =
            timed(|| compile(&topology, &common::down(services / 10 * 9), Seconds::ZERO));
        let (tally, run) = timed(|| {
            let simulation = Simulator::counting_failures(&plan, 1, InstructionSet::best());
            assert!(simulation.is_boolean());
            let mut tally = Tally::new(&plan);
            simulation.run_trials(0..512, &mut tally, &Silent);
            tally
        });
        let failed: u64 = tally.units[..*services as usize].iter().map(|unit| unit.failed).sum();
        eprintln!(
            "{services} services, {} dependencies: loaded in {loaded:.2} s, compiled in {compiled:.2} s, \
             512 trials in {run:.3} s; reach {:.0}; {:.2} s per 100,000 services; memory {}",
            plan.dependencies.len(),
            failed as f64 / 512.0,
            (loaded + compiled + run) / f64::from(*services) * 1e5,
            common::peak_memory().unwrap_or_else(|| "unknown".to_owned()),
        );
    }
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

criterion_group!(benches, loading, growth);
criterion_main!(benches);
