//! From counts to a report, and from a report to text, data and Markdown: by services.

#[path = "../tests/it/chain.rs"]
mod chain;
#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;

use std::time::Duration;

use blastwave::analysis::explain::ExplanationRequest;
use blastwave::analysis::{Settings, Stop, explain_flows, simulate_change};
use blastwave::compile::compile;
use blastwave::engine::{Silent, Simulator, Tally};
use blastwave::model::{Change, Seconds};
use blastwave::render;
use blastwave::summary::summarize;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn reports(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("report");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let sizes: &[u32] = if is_bench { &[100, 1_000] } else { &[100] };
    for services in sizes.iter().copied() {
        let topology = common::layered(services, 5.6, 0.002, true);
        let change = common::staged(&topology, services * 9 / 10);
        let plan = compile(&topology, &change, Seconds::ZERO);
        let mut tally = Tally::new(&plan);
        Simulator::new(&plan, 1).run_trials(0..256, &mut tally, &Silent);
        group.bench_function(BenchmarkId::new("summarize", services), |bencher| {
            bencher.iter(|| summarize(&tally).units.len());
        });
        let settings = Settings { stop: Stop::Trials(256), ..Settings::default() };
        let report = simulate_change(&topology, &change, &settings, &Silent);
        let style = render::text::TextStyle { width: 100, ascii: false, color: false };
        group.bench_function(BenchmarkId::new("text", services), |bencher| {
            bencher.iter(|| render::text::render_report(&report, &style).len());
        });
        group.bench_function(BenchmarkId::new("json", services), |bencher| {
            bencher.iter(|| render::json::render_report(&report).len());
        });
        group.bench_function(BenchmarkId::new("markdown", services), |bencher| {
            bencher.iter(|| render::markdown::render_comment(&report).len());
        });
    }
    group.finish();
}

/// Two seconds are the bar for 500 services.
fn explanations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("explain");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let services = if is_bench { 500 } else { 50 };
    let topology = chain::chain(services);
    let nothing = Change::from_targets("nothing", Vec::new());
    let settings = Settings { is_certain: true, ..Settings::default() };
    group.bench_function(BenchmarkId::new("chain", services), |bencher| {
        bencher.iter(|| {
            let report = explain_flows(
                &topology,
                &nothing,
                &settings,
                &ExplanationRequest::default(),
                &Silent,
            )
            .expect("a report");
            report.flows.len()
        });
    });
    group.finish();
}

criterion_group!(benches, reports, explanations);
criterion_main!(benches);
