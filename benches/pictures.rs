//! Pictures and pages: how long they take once a simulation is done, and whether that is within what is
//! promised.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;

use std::time::{Duration, Instant};

use blastwave::analysis::{Settings, Stop, simulate_change};
use blastwave::cascade::{CascadeFilter, cascade_report, page_report};
use blastwave::chart::{self, ChartStyle, PageSize, Theme};
use blastwave::engine::Silent;
use blastwave::model::Topology;
use blastwave::render::html::{self, Made};
use blastwave::report::Report;
use criterion::{Criterion, criterion_group, criterion_main};

const STYLE: ChartStyle<'static> =
    ChartStyle { size: PageSize::Slide, theme: Theme::Light, font: None };

/// A simulation of so many services in which most are hit.
fn simulated(services: u32) -> (Topology, Report) {
    let topology = common::layered(services, 3.0, 0.002, false);
    let change = common::staged(&topology, services * 9 / 10);
    let settings = Settings { stop: Stop::Trials(256), ..Settings::default() };
    let report = simulate_change(&topology, &change, &settings, &Silent);
    (topology, report)
}

/// Fails where the middle of some runs takes longer than is promised.
fn within(what: &str, promised: Duration, mut run: impl FnMut() -> usize) {
    let mut times: Vec<Duration> = (0..11)
        .map(|_| {
            let start = Instant::now();
            assert!(run() > 0);
            start.elapsed()
        })
        .collect();
    times.sort();
    let middle = times[times.len() / 2];
    assert!(middle <= promised, "{what} takes {middle:?}, and {promised:?} is promised");
}

fn pictures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pictures");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    let (topology, report) = simulated(300);
    let cascade = cascade_report(
        &topology,
        &report,
        &CascadeFilter { threshold: 0.01, boxes_max: 60, ..CascadeFilter::default() },
    );
    assert!((50..=60).contains(&cascade.boxes.len()), "{} boxes", cascade.boxes.len());
    let draw_cascade = || chart::draw_cascade(&cascade, &STYLE).len();
    let svg = chart::draw_cascade(&cascade, &STYLE);
    #[cfg(feature = "png")]
    let png = || chart::render_png(&svg, 2.0, None).expect("it is not too large").len();
    let page = || {
        let cascade = cascade_report(&topology, &report, &CascadeFilter::default());
        let data = page_report(&topology, &report);
        html::simulated_page(&report, &cascade, &data, &Made::default()).len()
    };
    group.bench_function("cascade/60", |bencher| bencher.iter(draw_cascade));
    #[cfg(feature = "png")]
    group.bench_function("png/60", |bencher| bencher.iter(png));
    group.bench_function("html/300", |bencher| bencher.iter(page));
    group.finish();
    assert!(page() < 500_000, "{} bytes", page());
    if std::env::args().any(|arg| arg == "--bench") {
        within("a cascade of 60 services", Duration::from_millis(50), draw_cascade);
        #[cfg(feature = "png")]
        within("its PNG", Duration::from_millis(300), png);
        within("the page of 300 services", Duration::from_secs(1), page);
    }
}

criterion_group!(benches, pictures);
criterion_main!(benches);
