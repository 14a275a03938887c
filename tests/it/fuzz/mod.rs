//! Fuzz targets, run without a fuzzer: what is shipped and small files of each format are changed at random,
//! and nothing may panic, hang or fill memory.
//!
//! Each target takes a few hundred inputs as a test. Variables make the same run longer:
//! `BLASTWAVE_FUZZ_EXECUTIONS` for each target, `BLASTWAVE_FUZZ_SEED`, `BLASTWAVE_FUZZ_TARGET`. The last input
//! of each target is kept in the build folder, so that one which ends the process is at hand.

#[expect(unreachable_pub, reason = "the fuzzer's package calls them from outside")]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use blastwave::import::Format;

/// Executions of each target as a test.
const EXECUTIONS: u64 = 200;
/// An input that takes longer hangs.
const SLOW: Duration = Duration::from_secs(5);
/// A process that held more has filled memory.
const MEMORY_MAX: u64 = 1_000_000_000;
/// The longest input: what takes long because it is long is for other tests.
const LENGTH_MAX: usize = 64 * 1024;

/// Texts that mean something in some format.
const TOKENS: &[&str] = &[
    "0",
    "-1",
    "1e999",
    "99999999999999999999",
    "0.0000001",
    "NaN",
    "50%",
    "1s",
    "99999d",
    "1/s",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!Ref ",
    "---\n",
    "\n  ",
    "\n- ",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\u{202e}",
    "\u{feff}",
    "\u{1b}[31m",
    "::error::",
    "##[error]",
    "<!--",
    "&amp;",
    "<![CDATA[",
    "->",
    " -- ",
    "any_of: [",
    "needs: 3",
    "dependencies: [",
    "service: ",
    "availability: 99%",
    "utilization: 333%",
    "queue: 0s",
    "retries: 100",
    "timeout: 0",
    "replicas: { count: 1000000000, needs: 1 }",
    "cache: { ttl: 1s, hit_ratio: 100% }",
    "during: [",
    "version: 1\n",
    "flows.exists(f, ",
    "services.all(s, ",
    "? true : false",
    " && ",
    "timestamp(\"2026-01-01T00:00:00Z\")",
    "duration(\"1h\")",
    "size(",
    "%",
    "${A:-",
    "$(",
    "://",
    "@",
    ",,",
    "null",
    "true",
    "~",
    "\t",
    "\r\n",
    "\0",
];

/// Numbers that follow from a seed: the mixing function of `SplitMix64`.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let width = [1, 2, 8, 64, 1024][self.below(5)];
        start..(start + self.below(width + 1)).min(length)
    }
}

/// Returns another input, made of one and of parts of a second.
fn changed(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(input.len() + 1);
        match numbers.below(8) {
            0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            1 if at < input.len() => input[at] = (numbers.next() & 0xFF) as u8,
            2 => drop(input.drain(numbers.range(input.len()))),
            3 => {
                let part = input[numbers.range(input.len())].to_vec();
                input.splice(at..at, part);
            }
            4 => {
                let other = &seeds[numbers.below(seeds.len())];
                let part = other[numbers.range(other.len())].to_vec();
                input.splice(at..at, part);
            }
            5 => {
                let times = [1, 1, 1, 2, 50][numbers.below(5)];
                let token = TOKENS[numbers.below(TOKENS.len())].repeat(times);
                input.splice(at..at, token.into_bytes());
            }
            _ => {
                let token = TOKENS[numbers.below(TOKENS.len())];
                input.splice(numbers.range(input.len()), token.bytes());
            }
        }
    }
    input.truncate(LENGTH_MAX);
    input
}

fn files_in(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().ends_with(ending) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(|path: PathBuf| fs::read(path).unwrap()).collect()
}

/// Returns inputs for a target that it knows what to do with.
fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    let topologies = || files_in("topologies", "yaml");
    let small = |seeds: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        seeds.into_iter().filter(|seed| seed.len() < 8_000).collect()
    };
    match target {
        "yaml" => [topologies(), files_in("tests/it/broken", "yaml")].concat(),
        "change" => [files_in("topologies/changes", "yaml"), files_in("topologies/incidents", "yaml")].concat(),
        "policy" => [files_in("src/policy", "yaml"), files_in("tests/it/broken", "yaml")].concat(),
        "condition" => conditions(),
        "import" => import_seeds(),
        "diff" => vec![
            b"web/a.rs\npay/b c.rs\n\"docs/\\303\\244.md\"\n".to_vec(),
            b"web/a.rs\0pay/b\n.rs\0".to_vec(),
            b"web/**/*.[!a-c]rs".to_vec(),
            b"web/a.rs____// a comment\nfn main() {}\n// another\nfn main() { }\n".to_vec(),
        ],
        "baseline" => vec![result()],
        "merge" | "simulate" => small(files_in("tests/it/broken", "yaml"))
            .into_iter()
            .chain(small(topologies()))
            .chain([targets::SHOP.as_bytes().to_vec()])
            .collect(),
        "check" => small(files_in("topologies/changes", "yaml"))
            .into_iter()
            .chain([b"version: 1\nchange: c\ntargets: [pay]\nrollout: { stages: [5%, 100%] }\ndetection: 5m\nrollback: { median: 10m, p95: 30m }\n".to_vec()])
            .collect(),
        other => panic!("`{other}` has no seeds"),
    }
}

/// Returns the conditions of the policy that is shipped.
fn conditions() -> Vec<Vec<u8>> {
    let policy = files_in("src/policy", "yaml").concat();
    let policy = String::from_utf8(policy).unwrap();
    let lines = policy.lines().filter_map(|line| line.trim_start().strip_prefix("when: "));
    let mut found: Vec<Vec<u8>> = lines.map(|line| line.as_bytes().to_vec()).collect();
    found.push(b"flows.order.failed.p > 0.5 || services['pay'].tier in [1, 2]".to_vec());
    found.push(
        b"now > timestamp('2026-01-01T00:00:00Z') && total.orders_lost.p95 >= 1.5e3".to_vec(),
    );
    found.push(
        b"size(change.targets.filter(t, t.service.startsWith('p'))) == 1 ? true : false".to_vec(),
    );
    found
}

/// Returns a small file of every format, after the byte that chooses it.
fn import_seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fuzz/seeds/import");
    let formats = Format::ALL.iter().enumerate();
    formats
        .map(|(index, format)| {
            let path = folder.join(format.name());
            let seed = fs::read(&path).unwrap_or_else(|_| panic!("no seed `{}`", path.display()));
            [&[index as u8][..], &seed].concat()
        })
        .collect()
}

#[test]
fn every_format_has_a_seed_and_its_place_in_the_order() {
    let order = include_str!("seeds/ORDER");
    let formats: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    assert_eq!(order.lines().collect::<Vec<_>>(), formats);
    assert_eq!(import_seeds().len(), formats.len());
}

/// Returns a result as data.
fn result() -> Vec<u8> {
    let topology = blastwave::Topology::from_yaml(targets::SHOP).unwrap();
    let change = blastwave::Change::breaking(["pay"], &topology).unwrap();
    let report = blastwave::Simulation::new(&topology, &change).trials(64).check(None).unwrap();
    serde_json::to_vec(&report).unwrap()
}

/// Returns a number from the environment.
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs one target, and says how fast it was.
#[expect(clippy::print_stdout, reason = "how long it took is what a long run is asked for")]
fn run_target((name, target): targets::Target) {
    if std::env::var("BLASTWAVE_FUZZ_TARGET").is_ok_and(|wanted| wanted != name) {
        return;
    }
    let executions = variable("BLASTWAVE_FUZZ_EXECUTIONS").unwrap_or(EXECUTIONS);
    let seed = variable("BLASTWAVE_FUZZ_SEED").unwrap_or(1);
    let seeds = seeds_of(name);
    assert!(!seeds.is_empty(), "{name}");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{seed}"));
    let mut last_input = fs::File::create(&kept).unwrap();
    let mut numbers = Numbers(seed);
    let (started, mut slowest) = (Instant::now(), Duration::ZERO);
    for execution in 0..executions {
        let input = match seeds.get(execution as usize) {
            Some(seed) => seed.clone(),
            None => changed(&seeds, &mut numbers),
        };
        targets::rewrite(&mut last_input, &input);
        let begun = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| target(&input)));
        slowest = slowest.max(begun.elapsed());
        if ended.is_err() || slowest > SLOW {
            let found = kept.with_extension(format!("{execution}.found"));
            fs::write(&found, &input).unwrap();
            panic!("{name}: input {execution} of seed {seed} ({slowest:?}): `{}`", found.display());
        }
    }
    fs::remove_file(kept).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!("{name}: {executions} executions in {seconds:.0} s, the slowest {slowest:.1?}");
    let memory = most_memory();
    assert!(memory.is_none_or(|bytes| bytes < MEMORY_MAX), "{name}: {memory:?} bytes");
}

/// Returns the most memory that this process ever held, where the system tells.
fn most_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

macro_rules! tests {
    ($($test:ident = $index:literal,)+) => {
        $(
            #[test]
            fn $test() {
                run_target(targets::ALL[$index]);
            }
        )+

        #[test]
        fn every_target_is_run() {
            assert_eq!(targets::ALL.len(), [$($index),+].len());
            for (name, _) in targets::ALL {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
                assert!(path.is_file(), "{}", path.display());
            }
        }
    };
}

tests! {
    any_bytes_are_read_as_files_that_stand_alone = 0,
    any_bytes_are_read_as_files_about_a_topology = 1,
    any_bytes_are_read_as_policies = 2,
    any_text_is_read_as_a_condition = 3,
    any_bytes_are_imported = 4,
    any_bytes_are_read_as_lists_of_files = 5,
    any_bytes_are_read_as_earlier_results = 6,
    any_topology_takes_what_was_imported = 7,
    any_topology_is_simulated = 8,
    any_change_is_judged = 9,
}
