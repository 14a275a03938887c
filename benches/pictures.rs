//! From a report to pictures: a cascade should take less than 50 ms, its PNG less than 300 ms.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;

use std::time::Duration;

use blastwave::engine::Silent;
use blastwave::render::picture::{self, Lanes, Size, Style};
use blastwave::report::FocusReport;
use blastwave::report::focus::Lens;
use blastwave::study::{Settings, Stop, simulate};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn pictures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("picture");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    for services in [60_u32, 300] {
        let topology = common::layered(services, 5.6, 0.002, false);
        let change = common::staged(&topology, services * 9 / 10);
        let settings = Settings { stop: Stop::Trials(256), ..Settings::default() };
        let report = simulate(&topology, &change, &settings, &Silent);
        let lens = Lens { threshold: 0.01, boxes_max: Size::Full.boxes_max() };
        let style = Style { size: Size::Full, ..Style::default() };
        group.bench_function(BenchmarkId::new("focus", services), |bencher| {
            bencher.iter(|| FocusReport::new(&topology, &report, &lens).boxes.len());
        });
        let focus = FocusReport::new(&topology, &report, &lens);
        group.bench_function(BenchmarkId::new("cascade", services), |bencher| {
            bencher.iter(|| picture::cascade(&focus, &style).len());
        });
        group.bench_function(BenchmarkId::new("timeline", services), |bencher| {
            bencher.iter(|| picture::timeline(&report, &focus, Lanes::Team, None, &style).is_ok());
        });
        let svg = picture::cascade(&focus, &style);
        group.bench_function(BenchmarkId::new("png", services), |bencher| {
            bencher.iter(|| picture::png(&svg, 1.0, None).map_or(0, |bytes| bytes.len()));
        });
    }
    group.finish();
}

criterion_group!(benches, pictures);
criterion_main!(benches);
