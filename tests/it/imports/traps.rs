//! Each trap of each format in a folder of its own: `traps/FORMAT-WORDS/`, with small files of ours, the
//! whole topology that they must become in `expected.yaml`, and what must be said of them in
//! `expected.stderr`. Where nothing can be made of them, only that is there.
//!
//! The files at the top of the folder are imported together, in the order of their names; `options.txt`
//! holds one option on each line. `UPDATE=1 cargo test --test it imports` writes what comes out now: read
//! the difference before you commit it.

use crate::support::KeptFiles;
use std::fs;
use std::path::{Path, PathBuf};

use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::import::{self, Dashed, EvidenceGraph, Format, Options};
use blastwave::render::text::diagnostics::{DiagnosticStyle, render_diagnostics};

/// Seen from where tests run, so that nothing depends on where the checkout is.
fn folder() -> PathBuf {
    PathBuf::from("tests/it/imports/traps")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().expect("a name of ours"))
        .collect();
    names.sort();
    names
}

fn format_of(trap: &str) -> Format {
    let format =
        Format::ALL.iter().copied().find(|item| Some(item.name()) == trap.split('-').next());
    format.unwrap_or_else(|| panic!("`{trap}` begins with no format"))
}

fn options(folder: &Path) -> Options {
    let text = fs::read_to_string(folder.join("options.txt")).unwrap_or_default();
    let mut options = Options::default();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.to_owned();
        match key {
            "endpoints" => options.endpoints = true,
            "reverse" => options.reverse = true,
            "dashed" if value == "async" => options.dashed = Dashed::Async,
            "window" => options.window = value.parse().ok(),
            "items" => options.paths.items = value,
            "name" => options.paths.name = Some(value),
            "dependencies" => options.paths.dependencies.push(value),
            "callers" => options.paths.callers.push(value),
            "team" => options.paths.team = Some(value),
            "strip" => options.paths.strip.push(value),
            other => panic!("no option `{other}`"),
        }
    }
    options
}

/// What the files become, and what is said of them.
fn imported(trap: &str) -> (Option<String>, String) {
    let folder = folder().join(trap);
    let is_input = |name: &String| {
        let is_ours = name.starts_with("expected.") || name == "options.txt";
        !is_ours && name != ".env" && folder.join(name).is_file()
    };
    let files: Vec<String> = names(&folder)
        .into_iter()
        .filter(is_input)
        .map(|name| folder.join(name).to_str().expect("text").to_owned())
        .collect();
    let mut graph = EvidenceGraph::default();
    let mut sources = Sources::default();
    let read = import::read_files(
        format_of(trap),
        &files,
        &options(&folder),
        &mut graph,
        &mut sources,
        &|_, _| {},
    );
    let text = read.is_ok().then(|| {
        import::settle_graph(&mut graph);
        let text = import::write_topology(trap, &graph);
        super::valid(&text);
        text
    });
    let said: Vec<Diagnostic> = read.err().unwrap_or_else(|| graph.take_warnings());
    let said = if said.is_empty() {
        String::new()
    } else {
        render_diagnostics(&said, &sources, DiagnosticStyle::Plain)
    };
    let here = format!("{}/", folder.display());
    (text.map(|text| text.replace(&here, "")), said.replace(&here, ""))
}

#[test]
fn every_trap_is_passed_with_the_whole_topology_and_all_that_must_be_said() {
    let mut kept = KeptFiles::default();
    for trap in names(&folder()) {
        let (topology, said) = imported(&trap);
        let at = |name: &str| folder().join(&trap).join(name);
        kept.compare(&at("expected.yaml"), &topology.unwrap_or_default());
        kept.compare(&at("expected.stderr"), &said);
    }
    kept.assert_current();
}

#[test]
fn every_format_has_a_trap() {
    let traps = names(&folder());
    for format in Format::ALL.iter().copied() {
        assert!(traps.iter().any(|trap| format_of(trap) == format), "none for {}", format.name());
    }
}
