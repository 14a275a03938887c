//! Every kind of problem has a broken file in `broken/`, and beside it the whole message expected.
//!
//! A file is called `KIND-CODE.yaml`, further ones `KIND-CODE-2.yaml` and so on; breaks of the command
//! line stand in `break-CODE.txt`, one in a line. `UPDATE=1 cargo test --test it` writes what is said
//! now into the `.stderr` files: read the difference before you commit it.

use crate::support::{KeptFiles, assert_kept, kept_path};
use std::fs;
use std::path::{Path, PathBuf};

use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::load;
use blastwave::model::{Change, Scenario, Topology, lint};
use blastwave::policy::{CaseSuite, Policy, Waivers};
use blastwave::render::text::diagnostics::{DiagnosticStyle, render_diagnostics};

/// Codes whose files are too large or too strange to be kept; `load.rs` makes them.
const MADE_BY_TESTS: &[Code] =
    &[Code::Unreadable, Code::TooLarge, Code::NotUtf8, Code::TooDeep, Code::AliasBomb];

/// Codes that only files of later kinds can have.
const OF_LATER_KINDS: &[Code] = &[Code::UnknownFlow];

/// Codes that only imports have.
const OF_IMPORTS: &[Code] = &[Code::NotUnderstood, Code::Dangling, Code::ImportConflict];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/broken")
}

/// Names of the broken files, sorted.
fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder is there");
    let names = entries.map(|entry| {
        let name = entry.expect("it can be listed").file_name();
        name.into_string().expect("a name of ours")
    });
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".stderr")).collect();
    names.sort();
    names
}

/// The kind and the code in a file name.
fn parts(name: &str) -> (&str, &str) {
    let stem = name.rsplit_once('.').expect("an extension").0;
    let (kind, code) = stem.split_once('-').expect("KIND-CODE");
    let number = code.rsplit_once('-').filter(|(_, end)| end.parse::<u32>().is_ok());
    (kind, number.map_or(code, |(code, _)| code))
}

fn full_topology(sources: &mut Sources) -> Topology {
    let text = include_str!("files/full-topology.yaml").as_bytes().to_vec();
    let document = load::parse_document("full-topology.yaml", text, sources).expect("it is right");
    Topology::from_document(&document).expect("it is right")
}

/// Everything said about a file.
fn problems(name: &str, text: &str, sources: &mut Sources) -> Vec<Diagnostic> {
    let parse =
        |sources: &mut Sources| load::parse_document(name, text.as_bytes().to_vec(), sources);
    let result = match parts(name).0 {
        "topology" => parse(sources)
            .and_then(|document| Topology::from_document(&document))
            .map(|topology| lint::lint_topology(&topology)),
        "change" => {
            let topology = full_topology(sources);
            parse(sources)
                .and_then(|document| Change::from_document(&document, &topology))
                .map(|change| lint::lint_change(&change, &topology))
        }
        "scenario" => parse(sources)
            .and_then(|document| Scenario::from_document(&document, sources))
            .map(|_| Vec::new()),
        "policy" => {
            let topology = full_topology(sources);
            parse(sources)
                .and_then(|document| Policy::from_document(&document, sources, Some(&topology)))
                .map(|_| Vec::new())
        }
        "waivers" => {
            let topology = full_topology(sources);
            parse(sources)
                .and_then(|document| Waivers::from_document(&document, Some(&topology)))
                .map(|_| Vec::new())
        }
        "suite" => parse(sources)
            .and_then(|document| CaseSuite::from_document(&document, sources))
            .map(|_| Vec::new()),
        "break" => {
            let topology = full_topology(sources);
            let specs: Vec<String> = text.lines().map(str::to_owned).collect();
            Change::from_breaks(&specs, &topology, sources)
                .map(|change| lint::lint_change(&change, &topology))
        }
        kind => panic!("no kind of file is called `{kind}`"),
    };
    result.unwrap_or_else(|problems| problems)
}

#[test]
fn every_broken_file_says_what_is_wrong() {
    let mut kept = KeptFiles::default();
    for name in names() {
        let text = fs::read_to_string(folder().join(&name)).unwrap();
        let mut sources = Sources::default();
        let problems = problems(&name, &text, &mut sources);
        let said = render_diagnostics(&problems, &sources, DiagnosticStyle::Plain);
        let (_, code) = parts(&name);
        assert!(problems.iter().any(|p| p.code.as_str() == code), "{name} says:\n{said}");
        kept.compare(&folder().join(&name).with_extension("stderr"), &said);
    }
    kept.assert_current();
}

#[test]
fn every_code_has_a_broken_file() {
    let names = names();
    let covered: Vec<&str> = names.iter().map(|name| parts(name).1).collect();
    for code in Code::ALL {
        let others = [MADE_BY_TESTS, OF_LATER_KINDS, OF_IMPORTS];
        let elsewhere = others.iter().any(|list| list.contains(code));
        let has_file = covered.contains(&code.as_str());
        assert!(has_file || elsewhere, "no broken file for `{code}`");
    }
    for code in covered {
        assert!(Code::ALL.iter().any(|known| known.as_str() == code), "no code `{code}`");
    }
}

#[test]
fn every_expected_message_has_its_file() {
    let names = names();
    let stems: Vec<&str> = names.iter().map(|name| name.rsplit_once('.').unwrap().0).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(stem) = name.strip_suffix(".stderr") {
            assert!(stems.contains(&stem), "{name} belongs to no file");
        }
    }
}

#[test]
fn words_are_stable_and_explained() {
    for code in Code::ALL {
        let word = code.as_str();
        assert!(
            word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')),
            "{word}"
        );
        assert!(code.describe().ends_with('.'), "{word}: {}", code.describe());
    }
}

#[test]
fn the_full_topology_gets_only_the_warnings_it_deserves() {
    let mut sources = Sources::default();
    let topology = full_topology(&mut sources);
    let warnings =
        render_diagnostics(&lint::lint_topology(&topology), &sources, DiagnosticStyle::Plain);
    assert_kept(&kept_path("full-topology-warnings.txt"), &warnings);
}
