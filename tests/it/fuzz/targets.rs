//! Entry points for arbitrary bytes. Each ends with a value or with diagnostics, whatever the bytes are: no
//! panic, no abort, bounded time and memory. `cargo fuzz` runs them, and so does a plain test.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::PathBuf;

use blastwave::analysis::{self, Check, Gate, Settings, Stop};
use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::engine::Silent;
use blastwave::import::{self, EvidenceGraph, Format, Options};
use blastwave::load::{self, Document};
use blastwave::model::diff::{Diff, Effect};
use blastwave::model::{Change, Costs, Incident, Observation, Scenario, Topology, lint};
use blastwave::policy::Policy;
use blastwave::render;
use blastwave::render::text::diagnostics::{DiagnosticStyle, render_diagnostics};
use blastwave::report::Report;

/// A target: its name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: [Target; 10] = [
    ("yaml", fuzz_yaml),
    ("change", fuzz_change),
    ("policy", fuzz_policy),
    ("condition", fuzz_condition),
    ("import", fuzz_import),
    ("diff", fuzz_diff),
    ("baseline", fuzz_baseline),
    ("merge", fuzz_merge),
    ("simulate", fuzz_simulate),
    ("check", fuzz_check),
];

/// Topology that changes, policies and diffs are read against.
pub const SHOP: &str = "\
version: 1
topology: shop
failure_domains: { zone: { availability: 99.9% } }
services:
  web: { paths: ['web/**'], replicas: { count: 3, needs: 2 }, dependencies: [{ service: pay, timeout: 1s, retries: 2 }, stock] }
  pay: { paths: ['pay/**', '*.proto'], utilization: 60%, queue: 500ms, latency: { median: 10ms, p99: 90ms } }
  stock: { availability: 99.5%, domains: [zone] }
flows:
  order: { steps: [web], rate: 20/s, value: 10 EUR, critical: true }
  browse: { steps: [stock] }
";

/// A limit of trials that finds what fails in a trial, and not what many trials find.
const TRIALS: u64 = 32;

thread_local! {
    /// File for importers, which read files: one for each thread, written anew each time.
    static FILE: RefCell<Option<(tempfile::TempDir, PathBuf, File)>> = const { RefCell::new(None) };
}

/// Replaces the content of a file. It is never empty on the way: some file systems wait for the disk when a file
/// is emptied and written anew, which takes a thousand times as long as any target.
pub fn rewrite(file: &mut File, content: &[u8]) {
    file.rewind().expect("it is a file");
    file.write_all(content).expect("there is room");
    file.set_len(content.len() as u64).expect("there is room");
}

fn shop() -> Topology {
    Topology::from_yaml(SHOP).expect("it is ours")
}

fn parse_document(data: &[u8], sources: &mut Sources) -> Result<Document, Vec<Diagnostic>> {
    load::parse_document("input", data.to_vec(), sources)
}

/// Shows problems as a user sees them: messages and places must be right for any text.
fn show(problems: &[Diagnostic], sources: &Sources) {
    let text = render_diagnostics(problems, sources, DiagnosticStyle::Plain);
    assert_eq!(text.is_empty(), problems.is_empty());
}

fn show_failure<T>(read: Result<T, Vec<Diagnostic>>, sources: &Sources) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal says why");
            show(&problems, sources);
            None
        }
    }
}

/// Reads bytes as every kind of file that stands alone.
pub fn fuzz_yaml(data: &[u8]) {
    let mut sources = Sources::default();
    let document = parse_document(data, &mut sources);
    let Some(document) = show_failure(document, &sources) else { return };
    if let Some(topology) = show_failure(Topology::from_document(&document), &sources) {
        show(&lint::lint_topology(&topology), &sources);
    }
    show_failure(Scenario::from_document(&document, &sources), &sources);
    show_failure(Costs::from_document(&document, None), &sources);
    show_failure(Policy::from_document(&document, &sources, None), &sources);
}

/// Reads bytes as files that are about a topology.
pub fn fuzz_change(data: &[u8]) {
    let (topology, mut sources) = (shop(), Sources::default());
    let document = parse_document(data, &mut sources);
    let Some(document) = show_failure(document, &sources) else { return };
    if let Some(change) = show_failure(Change::from_document(&document, &topology), &sources) {
        show(&lint::lint_change(&change, &topology), &sources);
    }
    show_failure(Incident::from_document(&document, &topology, &sources), &sources);
    show_failure(Observation::from_document(&document, &topology), &sources);
    show_failure(Costs::from_document(&document, Some(&topology)), &sources);
}

/// Reads bytes as a policy.
pub fn fuzz_policy(data: &[u8]) {
    let (topology, mut sources) = (shop(), Sources::default());
    let document = parse_document(data, &mut sources);
    let Some(document) = show_failure(document, &sources) else { return };
    let policy = Policy::from_document(&document, &sources, Some(&topology));
    show_failure(policy, &sources);
}

/// Reads bytes as the condition of a rule, and evaluates it where it is one.
pub fn fuzz_condition(data: &[u8]) {
    let Ok(condition) = str::from_utf8(data) else { return };
    let quoted = condition.replace('\'', "''");
    let text =
        format!("version: 1\npolicy: p\nrules: [{{ name: r, when: '{quoted}', verdict: stop }}]\n");
    let (topology, mut sources) = (shop(), Sources::default());
    let document = parse_document(text.as_bytes(), &mut sources);
    let Some(document) = show_failure(document, &sources) else { return };
    let policy = Policy::from_document(&document, &sources, Some(&topology));
    let Some(policy) = show_failure(policy, &sources) else { return };
    let change = Change::breaking(["pay"], &topology).expect("it is ours");
    judge(&topology, &change, &policy, &sources);
}

fn judge(topology: &Topology, change: &Change, policy: &Policy, sources: &Sources) {
    let settings = Settings { stop: Stop::Trials(TRIALS), ..Settings::default() };
    let gate = Gate {
        policy: Some((policy, false)),
        max_trials: TRIALS,
        explains: false,
        ..Gate::default()
    };
    match Check::new(topology, change, &gate, &settings) {
        Ok(check) => assert!(check.run(&Silent).verdict.is_some()),
        Err(problems) => show(&problems, sources),
    }
}

/// Imports bytes after the first, which chooses the format.
pub fn fuzz_import(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let format = Format::ALL[usize::from(*first) % Format::ALL.len()];
    let Some((graph, _)) = imported(format, data) else { return };
    let text = import::write_topology("t", &graph);
    let document = parse_document(text.as_bytes(), &mut Sources::default());
    let document = document.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    // A topology may be refused for what it says, such as too many services, but is one.
    drop(Topology::from_document(&document));
}

/// Returns what is imported of a file with these bytes.
fn imported(format: Format, data: &[u8]) -> Option<(EvidenceGraph, Sources)> {
    let path = FILE.with_borrow_mut(|file| {
        let (_, path, file) = file.get_or_insert_with(|| {
            let folder = tempfile::tempdir().expect("there is room");
            let path = folder.path().join("input");
            let file = File::create(&path).expect("there is room");
            (folder, path, file)
        });
        rewrite(file, data);
        path.to_str().expect("a plain name").to_owned()
    });
    let (mut graph, mut sources) = (EvidenceGraph::default(), Sources::default());
    let options = Options::default();
    let read = import::read_files(format, &[path], &options, &mut graph, &mut sources, &|_, _| {});
    show_failure(read, &sources)?;
    import::settle_graph(&mut graph);
    show(&graph.take_warnings(), &sources);
    Some((graph, sources))
}

/// Reads bytes as lists of changed files, and as the content of a file before and after.
pub fn fuzz_diff(data: &[u8]) {
    let topology = shop();
    for is_null in [false, true] {
        let ignored = ["docs/**".to_owned()];
        if let Ok(diff) = Diff::from_names(data, is_null, &topology, &ignored) {
            drop(diff.as_change(&topology));
        }
    }
    // A pattern is text of somebody, too.
    if let Ok(pattern) = str::from_utf8(data) {
        drop(Diff::from_names(b"web/a.rs\npay/b c.rs\n", false, &topology, &[pattern.to_owned()]));
    }
    let (name, content) = data.split_at(data.len().min(12));
    let (before, after) = content.split_at(content.len() / 2);
    assert!(!Effect::of_texts(name, before, after).plural_noun().is_empty());
}

/// Reads bytes as an earlier result, and shows it in every format.
pub fn fuzz_baseline(data: &[u8]) {
    let Ok(report) = serde_json::from_slice::<Report>(data) else { return };
    for text in [
        render::text::render_report(&report, &render::text::TextStyle::default()),
        render::markdown::render_comment(&report),
        render::json::render_report(&report),
        render::ci::sarif::render_sarif(&report),
        render::ci::junit::render_junit(&report),
        render::ci::github::render_annotations(&report),
        render::text::render_short(&report),
    ] {
        assert!(!text.contains('\u{1b}'), "no command reaches a terminal");
    }
}

/// Reads bytes as a topology, and merges what was imported into it.
pub fn fuzz_merge(data: &[u8]) {
    let mut sources = Sources::default();
    let Ok(document) = parse_document(data, &mut sources) else { return };
    if Topology::from_document(&document).is_err() {
        return;
    }
    let table = b"caller,dependency\nweb,pay\npay,\"a b\"\nweb,new\n";
    let (graph, _) = imported(Format::Csv, table).expect("it is ours");
    let merged = import::merge_graph(&document, &sources.get(document.source).text, &graph);
    let again = parse_document(merged.text.as_bytes(), &mut Sources::default());
    let again = again.unwrap_or_else(|problems| panic!("{problems:?}\n{}", merged.text));
    drop(Topology::from_document(&again));
}

/// Reads bytes as a topology, and breaks its first service.
pub fn fuzz_simulate(data: &[u8]) {
    let Some((topology, _)) = read_topology(data) else { return };
    let Some(first) = topology.services.first() else { return };
    let Ok(change) = Change::breaking([first.name.as_str()], &topology) else { return };
    let settings = Settings { stop: Stop::Trials(TRIALS), ..Settings::default() };
    let report = analysis::simulate_change(&topology, &change, &settings, &Silent);
    assert_eq!(report.flows.len(), topology.flows.len());
    for flow in &report.flows {
        assert!((0.0..=1.0).contains(&flow.failed.p), "{}", flow.name);
    }
    assert!(!render::json::render_report(&report).contains("null,\"low\""));
}

/// Reads bytes as a topology and, after a line of dashes, a change; and judges it.
pub fn fuzz_check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (topology, change) = text.split_once("\n---\n").unwrap_or((SHOP, text));
    let Some((topology, mut sources)) = read_topology(topology.as_bytes()) else { return };
    let Ok(document) = parse_document(change.as_bytes(), &mut sources) else { return };
    let Ok(change) = Change::from_document(&document, &topology) else { return };
    let policy = Policy::default_policy(&mut sources);
    judge(&topology, &change, &policy, &sources);
}

/// Returns a topology that is small enough to be simulated in no time.
fn read_topology(data: &[u8]) -> Option<(Topology, Sources)> {
    let mut sources = Sources::default();
    let document = parse_document(data, &mut sources).ok()?;
    let topology = Topology::from_document(&document).ok()?;
    (topology.services.len() <= 64).then_some((topology, sources))
}
