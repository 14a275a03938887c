//! What is shipped: every topology with its changes is right, runs, and teaches what its header says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use blastwave::analysis::{Settings, Stop, simulate_change};
use blastwave::compile::compile;
use blastwave::diagnostic::Sources;
use blastwave::engine::{Silent, Simulator, Tally};
use blastwave::load;
use blastwave::model::{Change, Topology};
use blastwave::render;
use blastwave::report::Detector;
use blastwave::report::{Report, UnitReport};

const TRIALS: u64 = 4_096;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/topologies"))
}

/// The YAML files of a folder by their names without the ending; none where there is no folder.
fn yaml_files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| {
            let name = path.file_stem().expect("a file").to_str().expect("a name of ours");
            (name.to_owned(), fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

fn read(text: &str) -> (load::Document, Sources) {
    let mut sources = Sources::default();
    let document = load::parse_document("shipped.yaml", text.as_bytes().to_vec(), &mut sources);
    (document.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")), sources)
}

fn topology(name: &str) -> Topology {
    let text = fs::read_to_string(folder().join(format!("{name}.yaml"))).expect("it is shipped");
    Topology::from_document(&read(&text).0).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Reads a change that is right.
pub(crate) fn change(topology: &Topology, text: &str) -> Change {
    let change = Change::from_document(&read(text).0, topology);
    change.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

/// Every shipped topology with each of its changes, with their names.
fn scenarios() -> Vec<(String, Topology, Change)> {
    let mut all = Vec::new();
    for name in yaml_files(folder()).into_keys() {
        let topology = topology(&name);
        for (change_name, text) in yaml_files(&folder().join("changes").join(&name)) {
            let change = change(&topology, &text);
            all.push((format!("{name}, {change_name}"), topology.clone(), change));
        }
    }
    all
}

fn run(topology: &Topology, change: &Change, trials: u64) -> Report {
    let settings = Settings { stop: Stop::Trials(trials), ..Settings::default() };
    simulate_change(topology, change, &settings, &Silent)
}

fn shipped(name: &str, change_name: &str) -> Report {
    let topology = topology(name);
    let path = folder().join(format!("changes/{name}/{change_name}.yaml"));
    let change = change(&topology, &fs::read_to_string(path).expect("it is shipped"));
    run(&topology, &change, TRIALS)
}

fn flow<'a>(report: &'a Report, name: &str) -> &'a UnitReport {
    report.flows.iter().find(|flow| flow.name == name).expect("it has this flow")
}

fn lost(report: &Report, name: &str) -> f64 {
    flow(report, name).orders_lost.expect("it has a rate").mean
}

/// Fails where a figure of a header is off by more than it is rounded, and by more than its error.
#[track_caller]
fn assert_is_told(report: &Report, name: &str, told: f64) {
    let of = flow(report, name).orders_lost.expect("it has a rate");
    let error = (of.mean_high - of.mean) / 1.959_964;
    let slack = 5.0 * error + 0.03 * told;
    assert!((of.mean - told).abs() <= slack, "{name} loses {}, not {told}", of.mean);
}

#[test]
fn every_change_runs_and_its_report_is_in_order() {
    let all = scenarios();
    assert!(all.len() >= 25, "only {} changes are shipped", all.len());
    for (name, topology, change) in &all {
        let report = run(topology, change, 256);
        assert!(report.unsettled.is_empty(), "{name}: {:?} do not settle", report.unsettled);
        assert_eq!(report.flows.len(), topology.flows.len(), "{name}");
        let style = render::text::TextStyle { width: 80, ascii: false, color: false };
        let text = render::text::render_report(&report, &style);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{name}\n{text}");
    }
}

/// Where each warm-up is cut into four times as many steps, no mean may move by more than 1%.
#[test]
fn a_four_times_finer_grid_moves_no_mean_by_a_hundredth() {
    for (name, topology, change) in scenarios() {
        let plan = compile(&topology, &change, Settings::default().lasting);
        let lost = |finer: u32| {
            let steps = blastwave::engine::fluid::RAMP_STEPS * finer;
            let simulation = Simulator::with_ramp_steps(&plan, 1, steps);
            let mut tally = Tally::new(&plan);
            simulation.run_trials(0..512, &mut tally, &Silent);
            let means = tally.flows.iter().map(|flow| flow.lost.mean().unwrap_or(0.0));
            let shares = tally.units.iter().map(|unit| unit.share / 512.0);
            means.chain(shares).collect::<Vec<f64>>()
        };
        for (coarse, fine) in lost(1).into_iter().zip(lost(4)) {
            let near = (coarse - fine).abs() <= 0.01 * fine.abs().max(1e-3);
            assert!(near, "{name}: {coarse} on the usual grid, {fine} on a finer one");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    for (name, topology, change) in scenarios() {
        let told = [1, 2, 3, 8].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads start")
                .install(|| render::json::render_report(&run(&topology, &change, 640)))
        });
        assert!(told.iter().all(|text| *text == told[0]), "{name}");
    }
}

#[test]
fn one_more_service_that_nobody_calls_changes_no_other_figure() {
    for (name, topology, change) in scenarios() {
        let mut more = topology.clone();
        let mut stranger = topology.services[0].clone();
        stranger.name = "zz-stranger".to_owned();
        stranger.dependencies.clear();
        stranger.endpoints.clear();
        stranger.domains.clear();
        stranger.replicas = None;
        // By the order of names it comes last, so that no number of another service changes.
        more.services.push(stranger);
        let before = run(&topology, &change, 256);
        let mut after = run(&more, &change, 256);
        after.services.retain(|service| service.name != "zz-stranger");
        assert_eq!(before.services, after.services, "{name}");
        assert_eq!(before.flows, after.flows, "{name}");
        assert_eq!(before.dependencies, after.dependencies, "{name}");
    }
}

#[test]
fn retries_at_three_layers_keep_an_outage_up_and_a_budget_does_not() {
    let report = shipped("retry-storm", "half-a-rack");
    assert_eq!(report.metastable, ["db-north"]);
    assert_is_told(&report, "order-north", 432_000.0);
    assert_is_told(&report, "order-south", 32_000.0);
    let slip = shipped("retry-storm", "small-slip");
    assert!(lost(&slip, "order-north") < 1.0 && lost(&slip, "order-south") < 1.0);
}

/// The four outcomes of the experiment on retries in "Metastable Failures in the Wild" (OSDI 2022).
#[test]
fn a_second_or_two_points_of_a_trigger_decide_whether_an_outage_stays() {
    let outcomes = ["baseline", "stronger-trigger", "shorter-trigger"].map(|change| {
        let report = shipped("retry-experiment", change);
        (report.metastable.clone(), lost(&report, "insert"), lost(&report, "insert-less"))
    });
    let [baseline, stronger, shorter] = outcomes;
    assert_eq!((baseline.0.len(), stronger.0, shorter.0.len()), (0, vec!["primary".to_owned()], 0));
    // All but a few seconds of the hour after the trigger, or a few seconds of it.
    assert!(baseline.1 < 1.0 && stronger.1 > 350_000.0 && shorter.1 < 100.0);
    assert!(baseline.2 < 1.0 && stronger.2 < 1.0 && shorter.2 < 1.0);
}

/// Brooker: N retries are 1 + N times the work when everything fails, a token bucket of 10% is 1.1 times.
#[test]
fn retries_multiply_the_work_and_a_token_bucket_hardly_does() {
    let report = shipped("token-bucket", "all-calls-fail");
    let loads: BTreeMap<&str, f64> = report.example_trials[0].steps[0]
        .overloads
        .iter()
        .map(|overload| (overload.service.as_str(), overload.load))
        .collect();
    assert!((loads["api-retries"] - 4.0).abs() < 1e-6, "{loads:?}");
    assert!((loads["api-bucket"] - 1.1).abs() < 1e-6, "{loads:?}");
    let some = shipped("token-bucket", "some-calls-fail");
    assert!((lost(&some, "with-retries") - lost(&some, "with-a-bucket")).abs() < 1.0);
}

/// Brooker: a retry makes an open load collapse, and a limit on requests in progress prevents it.
#[test]
fn an_open_load_never_gets_over_a_pause_that_a_limit_forgets() {
    let report = shipped("open-and-closed", "pause");
    assert_eq!(report.metastable, ["open-server"]);
    assert_is_told(&report, "open", 4_300_000.0);
    assert_is_told(&report, "closed", 2_000.0);
}

/// Metafor's server: metastable where its queue is longer than the timeout of its client.
#[test]
fn a_queue_beyond_the_timeout_makes_an_overload_stay() {
    let report = shipped("queue-beyond-timeout", "stress");
    assert_eq!(report.metastable, ["server"]);
    assert_is_told(&report, "long-queue", 68_000.0);
    assert_is_told(&report, "short-queue", 260.0);
}

#[test]
fn a_cache_that_restarts_takes_its_database_with_it() {
    assert_is_told(&shipped("cache-loss", "restart-at-once"), "browse", 64_000.0);
    assert!(lost(&shipped("cache-loss", "restart-in-steps"), "browse") < 1e-9);
}

#[test]
fn a_short_canary_does_not_see_a_slow_leak() {
    let short = shipped("canary-blind", "new-driver");
    let long = shipped("canary-blind", "new-driver-long-bake");
    assert_is_told(&short, "place-order", 18_000.0);
    assert_is_told(&long, "place-order", 6_500.0);
    assert!(short.timeline.detected_by.get(&Detector::Gate).copied().unwrap_or(0.0) < 0.01);
    assert!(long.timeline.detected_by[&Detector::Gate] > 0.85);
}

#[test]
fn tools_that_are_part_of_the_blast_double_the_loss() {
    let inside = lost(&shipped("monitoring-loop", "identity-config"), "place-order");
    let outside = lost(&shipped("monitoring-loop", "identity-config-outside"), "place-order");
    // The same draws, each delay twice as long: the horizon is never reached.
    assert!((inside / outside - 2.0).abs() < 0.01, "{inside} {outside}");
    assert_is_told(&shipped("monitoring-loop", "identity-config"), "place-order", 43_000.0);
}

#[test]
fn a_validation_turns_hours_of_wrong_orders_into_minutes_of_refused_ones() {
    let trusting = shipped("inventory-race", "faster-reservations");
    let checking = shipped("inventory-race-checked", "faster-reservations");
    assert_is_told(&trusting, "place-order", 39_000.0);
    assert_is_told(&checking, "place-order", 3_800.0);
    let wrong = |report: &Report| {
        flow(report, "place-order").wrong_orders.map_or(0.0, |wrong_order| wrong_order.mean)
    };
    assert!(wrong(&trusting) > 30_000.0);
    assert!(wrong(&checking) < 1e-9);
}

#[test]
fn a_timeout_and_retries_save_an_export_from_a_partner_that_hangs_at_times() {
    let report = shipped("order-export", "partner-release");
    assert!(lost(&report, "guarded") < 0.15 * lost(&report, "hurried"));
    let outage = shipped("order-export", "partner-outage");
    assert!((lost(&outage, "guarded") - lost(&outage, "hurried")).abs() < 1e-6);
}

#[test]
fn a_change_cell_by_cell_takes_a_quarter_at_most() {
    let total = |change| {
        let report = shipped("cell-based", change);
        report.total.expect("there are rates").orders_lost.mean
    };
    let (one, all) = (total("one-cell-first"), total("all-cells-at-once"));
    // The delays are drawn once for each trial, whatever breaks.
    assert!((one / all - 0.25).abs() < 0.01, "{one} of {all}");
}

#[test]
fn a_checkout_is_as_safe_as_what_its_two_providers_do_not_share() {
    // Facts: success is the product of the independent parts; the shared network takes both providers.
    let parts = 0.9995 * 0.999 * 0.999;
    let independent = parts * (1.0 - 0.005 * 0.005);
    let shared = parts * 0.995;
    assert!((independent - 0.997_477_06_f64).abs() < 5e-9);
    assert!((shared - 0.992_514_49_f64).abs() < 5e-9);
    let topology = topology("emac-checkout");
    // A change that never breaks leaves what fails by itself.
    let mut nothing = change(
        &topology,
        "version: 1\nchange: nothing\ntargets: [{ service: checkout, probability: 1% }]\n",
    );
    nothing.targets.clear();
    let trials = 2_000_000;
    let report = run(&topology, &nothing, trials);
    for (name, success) in [("independent", independent), ("shared", shared)] {
        let fails = flow(&report, name).failed.p;
        let error = (success * (1.0 - success) / trials as f64).sqrt();
        assert!((fails - (1.0 - success)).abs() < 5.0 * error, "{name}: {fails}");
    }
}

#[test]
fn posting_needs_ten_services_at_once() {
    let topology = topology("social-network");
    let mut nothing = change(
        &topology,
        "version: 1\nchange: nothing\ntargets: [{ service: text, probability: 1% }]\n",
    );
    nothing.targets.clear();
    let report = run(&topology, &nothing, 100_000);
    let succeeds = [("compose-post", 10), ("read-home-timeline", 4), ("read-user-timeline", 3)];
    for (name, services) in succeeds {
        let success = 0.9_f64.powi(services);
        let error = (success * (1.0 - success) / 100_000.0).sqrt();
        let fails = flow(&report, name).failed.p;
        assert!((fails - (1.0 - success)).abs() < 5.0 * error, "{name}: {fails}");
    }
}
