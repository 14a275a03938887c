//! From YAML to a checked topology, its lints and a plan: by services, with five dependencies each.
//! Cost should grow as the text does.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;

use std::fmt::Write as _;
use std::time::Duration;

use blastwave::compile::compile;
use blastwave::diagnostic::Sources;
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
                writeln!(text, "      - {{ service: service-{on:07}, timeout: 300ms, retries: 1 }}")
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
    let document = load::parse("large.yaml", bytes, &mut sources).expect("it is right");
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
            bencher.iter(|| lint::topology(&topology).len());
        });
        let change = common::staged(&topology, services / 2);
        group.bench_function(BenchmarkId::new("compile", services), |bencher| {
            bencher.iter(|| compile(&topology, &change, Seconds::ZERO).nodes.len());
        });
    }
    group.finish();
}

criterion_group!(benches, loading);
criterion_main!(benches);
