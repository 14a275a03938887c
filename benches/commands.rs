//! The built program on files, beside one search per trial with petgraph. See `benches/README.md`.
//!
//! Trials per second are marginal: two runs with different numbers of trials, and the difference of their
//! times, so that reading the file counts in `whole` and not in the ratio.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_sign_loss,
    reason = "every bench uses a part of it; its numbers are small and positive"
)]
mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use blastwave::engine::simd::InstructionSet;
use blastwave::model::Topology;
use common::production::{JAEGER, production};
use common::searches::{caller_graph, search_trials};
use petgraph::graph::NodeIndex;

/// A graph, which service of it breaks, and trials for the longer run of the program.
struct Case {
    name: String,
    topology: Topology,
    origin: u32,
    trials: u64,
}

/// Whether the bench only runs once on small graphs, to see that it still runs.
fn is_test() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

/// Services of the last layer that are called, from the most popular one on.
fn origins(topology: &Topology) -> Vec<u32> {
    let services = topology.services.len() as u32;
    let per_layer = services.div_ceil(12);
    let first = (services - 1) / per_layer * per_layer;
    let mut callers = vec![0_u32; services as usize];
    for dependency in topology.services.iter().flat_map(|service| &service.dependencies) {
        callers[dependency.on[0].service.0 as usize] += 1;
    }
    let mut called: Vec<u32> =
        (first..services).filter(|service| callers[*service as usize] > 0).collect();
    called.sort_by_key(|service| std::cmp::Reverse(callers[*service as usize]));
    called
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes: &[(u32, f64, u64)] = if is_test() {
        &[(60, 0.01, 2_000)]
    } else {
        &[(100, 0.01, 4_000_000), (1_000, 0.002, 2_000_000), (10_000, 0.000_2, 400_000)]
    };
    for (services, back, trials) in sizes {
        for high in [false, true] {
            let topology = common::cascade(*services, 5, *back, high);
            let called = origins(&topology);
            for (place, reach) in [(0, "popular"), (called.len() / 2, "usual")] {
                let kind = if high { "high" } else { "low" };
                cases.push(Case {
                    name: format!("cascade-{services}-{kind}-{reach}"),
                    topology: topology.clone(),
                    origin: called[place],
                    trials: *trials,
                });
            }
        }
    }
    if !is_test() {
        let topology = production(&JAEGER, JAEGER.services, 0.1);
        let most = |service: &u32| {
            let calls = |dependency: &&blastwave::model::topology::Dependency| {
                dependency.on[0].service.0 == *service
            };
            topology.services.iter().flat_map(|service| &service.dependencies).filter(calls).count()
        };
        let origin = (0..JAEGER.services).max_by_key(most).expect("there are services");
        cases.push(Case { name: JAEGER.name.to_owned(), topology, origin, trials: 1_000_000 });
    }
    cases
}

/// Writes a topology of plain dependencies as YAML.
fn write_yaml(topology: &Topology, path: &Path) {
    let mut text = format!("version: 1\ntopology: {}\nservices:\n", topology.name);
    for service in &topology.services {
        let called = service.dependencies.iter().map(|dependency| {
            let on = &topology.services[dependency.on[0].service.0 as usize].name;
            format!("{{ service: {on}, propagation: {} }}", dependency.propagation.get())
        });
        let called = called.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "  {}: {{ dependencies: [{called}] }}", service.name);
    }
    text.push_str("flows:\n");
    for service in topology.services.iter().take(12) {
        let _ = writeln!(text, "  to-{0}: {{ steps: [{0}] }}", service.name);
    }
    std::fs::write(path, text).expect("the folder of the build can be written to");
}

/// Seconds that the program takes for this many trials: the best of some runs.
fn command_seconds(file: &Path, origin: &str, trials: u64, threads: usize) -> f64 {
    let runs = if is_test() { 1 } else { 5 };
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_blastwave"))
            .args(["simulate", "--break", origin, "--format", "json", "--quiet"])
            .args(["--trials", &trials.to_string(), "--threads", &threads.to_string()])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the program was built");
        assert!(status.success(), "simulate ends with {status}");
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// Trials per second of the searches on this many threads, and their mean reach.
fn searches_per_second(case: &Case, threads: usize) -> (f64, f64) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.expect("the machine has threads");
    let graph = caller_graph(&case.topology);
    let origin = NodeIndex::new(case.origin as usize);
    let trials = if is_test() { 500 } else { (case.trials / 20).max(5_000) };
    let (mut best, mut reach) = (0.0_f64, 0.0);
    for _ in 0..(if is_test() { 1 } else { 5 }) {
        let start = Instant::now();
        reach = pool.install(|| search_trials(&graph, origin, trials));
        best = best.max(trials.div_ceil(500) as f64 * 500.0 / start.elapsed().as_secs_f64());
    }
    (best, reach)
}

/// The name of the processor, where the system tells.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or("unknown processor", |model| model.trim_start_matches([' ', '\t', ':'])).to_owned()
}

#[expect(clippy::print_stdout, reason = "a bench speaks to the one who runs it")]
fn main() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("commands");
    std::fs::create_dir_all(&folder).expect("the folder of the build can be written to");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{}, {cores} cores, {:?}", processor(), InstructionSet::best());
    println!(
        "{:28} {:>7} {:>8} {:>9} {:>9} {:>9} {:>6} {:>8}",
        "graph", "reach", "whole s", "M/s", "petgraph", "threads", "ratio", "speed-up"
    );
    for case in cases() {
        let file = folder.join(format!("{}.yaml", case.name));
        write_yaml(&case.topology, &file);
        let origin = &case.topology.services[case.origin as usize].name;
        let mut alone = None;
        let threads = if cores > 1 { vec![1, 2] } else { vec![1] };
        for threads in threads {
            let few = command_seconds(&file, origin, case.trials / 10, threads);
            let many = command_seconds(&file, origin, case.trials, threads);
            let added = (case.trials - case.trials / 10) as f64;
            let rate = added / (many - few).max(1e-9);
            let (searched, reach) = searches_per_second(&case, threads);
            let alone = *alone.get_or_insert(rate);
            println!(
                "{:28} {reach:7.1} {few:8.3} {:9.3} {:9.3} {threads:9} {:6.1} {:8.2}",
                case.name,
                rate / 1e6,
                searched / 1e6,
                rate / searched,
                rate / alone
            );
        }
        std::fs::remove_file(&file).expect("it was just written");
    }
}
