//! Rules of the house that no lint knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("`{path}` is there"))
}

/// All files under these folders or of these names, by their path from the root, sorted.
fn files(of: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut queue: Vec<PathBuf> = of.iter().map(|name| root().join(name)).collect();
    while let Some(path) = queue.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder can be listed");
            queue.extend(entries.map(|entry| entry.expect("it can be listed").path()));
        } else {
            let path = path.strip_prefix(root()).expect("it lies under the root");
            found.push(path.to_str().expect("a name of ours").replace('\\', "/"));
        }
    }
    found.sort();
    found
}

/// Code, and everything that people read.
fn texts() -> Vec<(String, String)> {
    let all = files(&[
        "src",
        "tests",
        "benches",
        "topologies",
        "README.md",
        "CHANGELOG.md",
        "Cargo.toml",
    ]);
    // Broken files on purpose are not all text; pictures are not text at all.
    all.into_iter()
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

fn code() -> Vec<(String, String)> {
    let is_code = |(path, _): &(String, String)| {
        Path::new(path).extension().is_some_and(|extension| extension == "rs")
    };
    texts().into_iter().filter(is_code).collect()
}

/// Fails with every place at which one of the words stands in one of the texts.
fn refuse(texts: &[(String, String)], words: &[String], why: &str) {
    let mut found = Vec::new();
    for (path, text) in texts {
        for (index, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                found.push(format!("{path}:{}: `{word}`: {why}", index + 1));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Words in two halves, so that this file does not hold them itself.
fn halves(words: &[[&str; 2]]) -> Vec<String> {
    words.iter().map(|halves| halves.concat()).collect()
}

#[test]
fn the_architecture_names_every_file_and_no_other() {
    let page = read("src/architecture.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`'));
    let named: Vec<String> = lines.map(|(path, _)| format!("src/{path}")).collect();
    let there = files(&["src"]);
    let (named_once, all): (BTreeSet<_>, BTreeSet<_>) =
        (named.iter().collect(), there.iter().collect());
    assert_eq!(named.len(), named_once.len(), "a file is named twice in src/architecture.md");
    let missing: Vec<_> = all.difference(&named_once).collect();
    let gone: Vec<_> = named_once.difference(&all).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "src/architecture.md: give each of these a line \"- `FILE`: what it is\" in its room: {missing:?}; these are gone: {gone:?}"
    );
}

#[test]
fn a_room_uses_only_rooms_to_its_left() {
    const ROOMS: [&str; 15] = [
        "load",
        "model",
        "policy",
        "project",
        "import",
        "compile",
        "engine",
        "summary",
        "report",
        "prose",
        "calibrate",
        "analysis",
        "cascade",
        "chart",
        "render",
    ];
    let mut found = Vec::new();
    for (path, text) in code() {
        let Some((room, _)) = path.strip_prefix("src/").and_then(|path| path.split_once('/'))
        else {
            continue;
        };
        let own = ROOMS.iter().position(|name| *name == room);
        // Tests of a room may hold it beside a later one: every file format has its schema in `model`.
        let text = text.split_once("#[cfg(test)]").map_or(text.as_str(), |(code, _)| code);
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (place, name) in ROOMS.iter().enumerate() {
                let uses = ["crate::", "blastwave::"].iter().any(|start| {
                    let rest = line.split(start).skip(1);
                    rest.into_iter().any(|rest| {
                        rest.strip_prefix(name).is_some_and(|rest| {
                            !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                        })
                    })
                });
                let is_right =
                    own.is_some_and(|own| place > own || (room != "import" && *name == "import"));
                if uses && is_right {
                    found.push(format!("{path}:{}: `{room}` uses `{name}`", index + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_changelog_has_this_version() {
    let text = read("CHANGELOG.md");
    let mut heads = text.lines().filter_map(|line| line.strip_prefix("## [")?.split(']').next());
    assert_eq!(heads.next(), Some("Unreleased"), "what is not released yet comes first");
    let version = env!("CARGO_PKG_VERSION");
    let newest = heads.next().unwrap_or("0.1.0");
    assert_eq!(newest, version, "the newest version in CHANGELOG.md is that of Cargo.toml");
}

#[test]
fn every_shipped_topology_is_in_the_book_and_has_changes() {
    let page = read("docs/book/src/topologies.md");
    let all = files(&["topologies"]);
    let is_topology = |path: &&String| path.matches('/').count() == 1;
    for path in all.iter().filter(is_topology) {
        assert!(page.contains(path.as_str()), "the book does not name `{path}`");
        let name = Path::new(path).file_stem().expect("a file").to_str().expect("a name of ours");
        let folder = format!("topologies/changes/{name}/");
        let changes = all.iter().filter(|path| path.starts_with(&folder)).count();
        assert!(changes >= 2, "`{path}` has {changes} changes in `{folder}`");
    }
    for path in all.iter().filter(|path| path.starts_with("topologies/changes/")) {
        let name = path.split('/').nth(2).expect("a folder for each topology");
        let topology = format!("topologies/{name}.yaml");
        assert!(all.contains(&topology), "`{path}` belongs to no topology");
    }
}

#[test]
fn nothing_has_an_order_of_its_own() {
    let words = halves(&[["Hash", "Map"], ["Hash", "Set"], ["thread", "_rng"], ["System", "Time"]]);
    let library: Vec<_> = code()
        .into_iter()
        .filter(|(path, _)| path.starts_with("src/") && !path.starts_with("src/cli/"))
        .collect();
    refuse(&library, &words, "results must be the same bytes every time");
}

/// Whether a line of documentation is the first of its block.
fn opens_documentation(lines: &[&str], index: usize) -> bool {
    let is_doc = |line: &str| ["///", "//!"].iter().any(|mark| line.trim_start().starts_with(mark));
    is_doc(lines[index]) && !index.checked_sub(1).is_some_and(|before| is_doc(lines[before]))
}

#[test]
fn documentation_opens_with_a_verb_or_with_what_it_is_about() {
    let mut found = Vec::new();
    // The oracle in the tests is prose beside the page of the semantics, in its order.
    for (path, text) in code().into_iter().filter(|(path, _)| path.starts_with("src/")) {
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            let said = lines[index].trim_start().trim_start_matches(['/', '!']).trim_start();
            if opens_documentation(&lines, index) && said.starts_with("What ") {
                found.push(format!("{path}:{}: {said}", index + 1));
            }
        }
    }
    assert!(found.is_empty(), "write `Returns ...`, or the noun it is:\n{}", found.join("\n"));
}

#[test]
fn nothing_that_outlives_its_line_is_called_it() {
    let starts =
        halves(&[["let i", "t "], ["let mut i", "t "], ["for i", "t in "], ["let i", "t:"]]);
    let mut found = Vec::new();
    for (path, text) in code() {
        for (index, line) in text.lines().enumerate() {
            if starts.iter().any(|start| line.trim_start().starts_with(start.as_str())) {
                found.push(format!("{path}:{}", index + 1));
            }
        }
    }
    assert!(found.is_empty(), "name it for what it is: {found:?}");
}

#[test]
fn every_test_runs_and_nothing_is_left_for_later() {
    let words = halves(&[
        ["#[ig", "nore"],
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["todo", "!("],
        ["unimplement", "ed!("],
    ]);
    refuse(&code(), &words, "finish it or leave it out");
}

#[test]
fn the_words_are_those_of_the_house() {
    let words =
        halves(&[["up", "stream"], ["down", "stream"], ["Up", "stream"], ["Down", "stream"]]);
    let ours: Vec<_> = texts().into_iter().filter(|(path, _)| !path.contains("/import")).collect();
    refuse(&ours, &words, "say caller and dependency");
}

#[test]
fn nothing_depends_on_the_machine_it_was_written_on() {
    let words =
        halves(&[["/wo", "rk/"], ["/tmp/", "h"], ["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"]]);
    refuse(&texts(), &words, "a path that only one machine has");
}
