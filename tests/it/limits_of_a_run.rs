//! A run ends within a second of Ctrl-C, and at its limits of time and memory, whatever command it is
//! and whatever it waits for; nothing is left half written.

use crate::support::{CHANGE, program};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const TOPOLOGY: &str = "\
version: 1
topology: shop
services:
  web: { dependencies: [{ service: pay, timeout: 1s, fallback: { static: true, works: 70% } }, stock] }
  pay: { availability: 99.9% }
  stock: { availability: 99% }
flows:
  order: { steps: [web], rate: 60/min }
";

const INCIDENT: &str = "\
version: 1
incident: i
topology: shop.yaml
change: v2.yaml
observed: [{ service: pay }, { flow: order, state: unaffected }]
";

/// Commands that simulate for hours.
const ENDLESS: [&str; 10] = [
    "simulate shop.yaml --change v2.yaml",
    "simulate shop.yaml --break pay",
    "check shop.yaml --change v2.yaml",
    "explain shop.yaml --change v2.yaml",
    "rank shop.yaml",
    "advise shop.yaml --change v2.yaml",
    "compare shop.yaml other.yaml --change v2.yaml",
    "diagram shop.yaml --change v2.yaml -o out.svg",
    "diagnose shop.yaml --observed observed.yaml",
    "replay incident.yaml",
];

/// Commands that wait for standard input.
const WAITING: [&str; 12] = [
    "simulate - --break pay",
    "check - --break pay",
    "explain -",
    "rank -",
    "advise - --break pay",
    "compare - other.yaml --break pay",
    "diagram - --break pay -o out.svg",
    "diagnose - --observed observed.yaml",
    "validate -",
    "import compose -",
    "import otlp -",
    "drift shop.yaml --from compose -",
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("shop.yaml", TOPOLOGY);
    write("other.yaml", &TOPOLOGY.replace("shop", "other"));
    write("v2.yaml", CHANGE);
    write("incident.yaml", INCIDENT);
    write("observed.yaml", "version: 1\nobservation: now\nobserved: [{ service: pay }]\n");
    folder
}

/// Starts a command with an open standard input, from which nothing ever comes.
fn start(folder: &Path, arguments: &str, more: &[&str]) -> Child {
    program(folder)
        .args(arguments.split_whitespace())
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end, while standard input stays open.
fn output_of(mut child: Child) -> Output {
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(input);
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails unless a command has ended by itself, has written nothing and has said why.
fn assert_ended_early(arguments: &str, output: &Output, why: &str) {
    let message = said(output);
    assert_eq!(output.status.code(), Some(130), "{arguments}: {message}");
    assert!(
        message.contains(why) && message.contains("nothing was written"),
        "{arguments}: {message}"
    );
    assert!(output.stdout.is_empty(), "{arguments}");
}

#[cfg(target_os = "linux")]
mod interrupts {
    use super::*;

    /// Ends a command as Ctrl-C does once it listens; returns how long it took to end.
    fn interrupt(child: Child, after: Duration) -> (Output, Duration) {
        let id = child.id().to_string();
        let status = |key: &str| {
            let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        // The second bit of the signals that are caught is that of signal 2, SIGINT.
        while u64::from_str_radix(&status("SigCgt:"), 16).unwrap_or(0) & 0b10 == 0 {
            assert!(!status("State:").starts_with('Z'), "it ended by itself");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(after);
        let started = Instant::now();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        (output_of(child), started.elapsed())
    }

    /// Fails unless one of a few tries ends within a second: on a busy machine one may take longer.
    fn assert_ends_at_once(folder: &Path, arguments: &str, more: &[&str]) {
        let mut took = Duration::MAX;
        for _ in 0..3 {
            let child = start(folder, arguments, more);
            let (output, time) = interrupt(child, Duration::from_millis(150));
            assert_ended_early(arguments, &output, "interrupted");
            took = took.min(time);
            if took < Duration::from_secs(1) {
                return;
            }
        }
        panic!("{arguments}: took {took:?} to end");
    }

    #[test]
    fn the_first_interrupt_ends_every_simulation_within_a_second() {
        let folder = folder();
        for arguments in ENDLESS {
            assert_ends_at_once(folder.path(), arguments, &["--trials", "1000M"]);
        }
    }

    #[test]
    fn the_first_interrupt_ends_every_command_that_waits_for_input() {
        let folder = folder();
        for arguments in WAITING {
            assert_ends_at_once(folder.path(), arguments, &[]);
        }
    }

    #[test]
    fn the_first_interrupt_ends_work_that_no_trial_is_part_of() {
        let folder = folder();
        // Every pair of a thousand services in a row: the exact answer takes its time.
        let services: String = (0..3_000)
            .map(|i| format!("  s{i}: {{ availability: 99%, dependencies: [{}] }}\n", links(i)))
            .collect();
        let text = format!(
            "version: 1\ntopology: t\nservices:\n{services}flows:\n  f: {{ steps: [s0] }}\n"
        );
        fs::write(folder.path().join("large.yaml"), text).unwrap();
        let child = start(folder.path(), "explain large.yaml --exact", &["--trials", "1000M"]);
        let (output, took) = interrupt(child, Duration::from_millis(300));
        assert_ended_early("explain", &output, "interrupted");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }

    fn links(service: usize) -> String {
        let links: Vec<String> = [1, 7, 31]
            .iter()
            .map(|step| service + step)
            .filter(|to| *to < 3_000)
            .map(|to| format!("s{to}"))
            .collect();
        links.join(", ")
    }
}

#[test]
fn time_ends_every_command() {
    let folder = folder();
    for arguments in ENDLESS.iter().chain(&WAITING) {
        let is_endless = ENDLESS.contains(arguments);
        let trials: &[&str] = if is_endless { &["--trials", "1000M"] } else { &[] };
        let more = [&["--timeout", "300ms"], trials].concat();
        let started = Instant::now();
        let output = output_of(start(folder.path(), arguments, &more));
        assert_ended_early(arguments, &output, "out of time");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{arguments}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn a_partial_result_is_written_when_time_is_over() {
    let folder = folder();
    let more = ["--trials", "1000M", "--partial", "--timeout", "2s", "--format", "json"];
    let output = output_of(start(folder.path(), "simulate shop.yaml --change v2.yaml", &more));
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["partial"], true);
    let trials = result["trials"].as_u64().unwrap();
    assert!((1..1_000_000_000).contains(&trials), "{trials}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_ends_a_run_and_the_last_result_stays() {
    let folder = folder();
    // What is read takes many times its text: a list of a million items.
    let text = format!(
        "version: 1\ntopology: t\nservices: {{ a: {{}} }}\nlist: [{}]\n",
        "1,".repeat(2_000_000)
    );
    fs::write(folder.path().join("large.yaml"), text).unwrap();
    fs::write(folder.path().join("out.txt"), "the last result").unwrap();
    for arguments in ["simulate large.yaml --break a -o out.txt", "validate large.yaml -o out.txt"]
    {
        let output = output_of(start(folder.path(), arguments, &["--max-memory", "64MB"]));
        assert_ended_early(arguments, &output, "out of memory");
        assert!(said(&output).contains("`--max-memory` is 64 MB"), "{}", said(&output));
    }
    assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), "the last result");
    let left = fs::read_dir(folder.path()).unwrap();
    assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp")));
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let folder = folder();
    for (flag, value, why) in [
        ("--timeout", "0s", "no time"),
        ("--timeout", "10", "10s"),
        ("--timeout", "-1s", "duration"),
        ("--max-memory", "512", "512MB"),
        ("--max-memory", "1MB", "64 MB"),
        ("--max-memory", "lots", "not a size"),
    ] {
        let value = format!("{flag}={value}");
        let output = output_of(start(folder.path(), "validate shop.yaml", &[&value]));
        assert_eq!(output.status.code(), Some(2), "{value}: {}", said(&output));
        assert!(said(&output).contains(why), "{value}: {}", said(&output));
    }
}
