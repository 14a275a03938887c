//! Hostile and broken input: a diagnostic, never a panic, never minutes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::load;
use blastwave::model::{Change, Kind, Scenario, Topology, lint};
use blastwave::render::text::diagnostics::{DiagnosticStyle, render_diagnostics};
use proptest::prelude::*;

const FULL: &[&str] = &[
    include_str!("files/full-topology.yaml"),
    include_str!("files/full-change.yaml"),
    include_str!("files/full-scenario.yaml"),
];

/// Everything that can be said about some bytes, whatever they are.
fn say_everything(bytes: Vec<u8>) -> String {
    let mut sources = Sources::default();
    let full =
        load::parse_document("full", FULL[0].as_bytes().to_vec(), &mut sources).expect("right");
    let full = Topology::from_document(&full).expect("right");
    let document = load::parse_document("file", bytes, &mut sources);
    let problems = document.map_or_else(
        |problems| problems,
        |document| {
            let mut said = Vec::new();
            let mut add = |result: Result<Vec<Diagnostic>, Vec<Diagnostic>>| {
                said.extend(result.unwrap_or_else(|problems| problems));
            };
            // Whatever its kind: a wrong one is refused, not misread.
            add(Topology::from_document(&document).map(|topology| lint::lint_topology(&topology)));
            add(Change::from_document(&document, &full)
                .map(|change| lint::lint_change(&change, &full)));
            add(Scenario::from_document(&document, &sources).map(|_| Vec::new()));
            Kind::of_document(&document);
            said
        },
    );
    render_diagnostics(&problems, &sources, DiagnosticStyle::Plain)
}

#[track_caller]
fn quickly<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    // Against what never ends: unoptimised, with others at work beside it, what is linear takes seconds.
    assert!(start.elapsed() < Duration::from_secs(120), "took {:?}", start.elapsed());
    done
}

#[track_caller]
fn codes(text: impl Into<Vec<u8>>) -> Vec<Code> {
    let mut sources = Sources::default();
    let bytes = text.into();
    let problems = quickly(|| {
        let result = load::parse_document("file.yaml", bytes, &mut sources);
        result.and_then(|document| Topology::from_document(&document)).err().unwrap_or_default()
    });
    quickly(|| render_diagnostics(&problems, &sources, DiagnosticStyle::Plain));
    problems.into_iter().map(|problem| problem.code).collect()
}

#[test]
fn what_cannot_be_read_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let code = |path: &str| load::read_document(path, &mut Sources::default()).unwrap_err()[0].code;
    assert_eq!(code(&path("none.yaml")), Code::Unreadable);
    assert_eq!(code(folder.path().to_str().unwrap()), Code::Unreadable);
    assert_eq!(code("a\0b"), Code::Unreadable);
    let large = std::fs::File::create(path("large.yaml")).unwrap();
    large.set_len(500 * 1024 * 1024).unwrap();
    assert_eq!(quickly(|| code(&path("large.yaml"))), Code::TooLarge);
    std::fs::write(path("latin.yaml"), b"topology: caf\xE9\n").unwrap();
    assert_eq!(code(&path("latin.yaml")), Code::NotUtf8);
}

#[test]
fn a_file_that_is_not_text_is_shown_where_it_stops_being_one() {
    let mut sources = Sources::default();
    let problems =
        load::parse_document("f", b"version: 1\ntopology: caf\xE9\n".to_vec(), &mut sources);
    let said = render_diagnostics(&problems.unwrap_err(), &sources, DiagnosticStyle::Plain);
    let wanted = [
        "error[not-utf8]: `f` is not UTF-8 text: byte 0xE9 at offset 24, on line 2, has no meaning",
        " --> f:2:14",
        "  |",
        "2 | topology: caf�",
        "  |              ^",
        "  |",
        "  = help: save the file as UTF-8",
        "",
        "1 error",
    ];
    assert_eq!(said.trim_end().lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn nesting_is_refused_at_once() {
    for piece in ["{a: ", "[", "- ", "? ", "a: {", "[{a: ", "- - ", "!!x [", "&a [", "'a': ["] {
        let said = codes(piece.repeat(100_000));
        assert!(said.iter().any(|code| matches!(code, Code::TooDeep | Code::Syntax)), "{piece}");
    }
    let steps: Vec<String> = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(codes(steps.concat()), [Code::TooDeep]);
}

#[test]
fn aliases_cannot_explode() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..30 {
        let below = vec![format!("*a{}", level - 1); 9].join(",");
        writeln!(bomb, "a{level}: &a{level} [{below}]").unwrap();
    }
    assert_eq!(codes(bomb), [Code::AliasBomb]);
    assert_eq!(codes("a: &x {b: *x}\n"), [Code::AliasBomb]);
    // A flat one: one large value, often.
    let mut flat = format!("a: &a [{}]\nb:\n", "x, ".repeat(20_000));
    flat.push_str(&"- *a\n".repeat(20_000));
    assert_eq!(codes(flat), [Code::AliasBomb]);
}

#[test]
fn honest_aliases_work() {
    let mut text = String::from(
        "version: 1\ntopology: t\nservices:\n  base: &base { tier: 1, dependencies: [{ service: db, timeout: 1s }] }\n  db: {}\n",
    );
    for index in 0..5000 {
        writeln!(text, "  s{index}: *base").unwrap();
    }
    assert_eq!(codes(text), []);
}

#[test]
fn a_million_mistakes_give_a_short_answer() {
    let mut text = String::from("version: 1\ntopology: t\nservices:\n");
    for index in 0..20_000 {
        writeln!(text, "  s{index}: {{ colour: red, tier: x, dependencies: [nothing-{index}] }}")
            .unwrap();
    }
    let mut sources = Sources::default();
    let problems = quickly(|| {
        let document = load::parse_document("file", text.into_bytes(), &mut sources).unwrap();
        Topology::from_document(&document).unwrap_err()
    });
    assert!(problems.len() < 500, "{}", problems.len());
    let said = quickly(|| render_diagnostics(&problems, &sources, DiagnosticStyle::Plain));
    assert!(said.contains("19900 more problems of the kind `unknown-service`"), "{said}");
}

#[test]
fn a_wide_mapping_is_no_trouble() {
    let keys: Vec<String> = (0..100_000).map(|index| format!("k{}: 1\n", index % 60_000)).collect();
    assert!(codes(keys.concat()).contains(&Code::WrongKind));
    let one_line: Vec<String> = (0..100_000).map(|index| format!("k{index}: 1, ")).collect();
    let one_line = one_line.concat();
    assert_eq!(
        codes(format!("{{ version: 1, topology: t, services: {{ s: {{ {one_line} }} }} }}")).len(),
        101
    );
}

#[test]
fn an_endless_word_is_shown_in_part() {
    let text = format!(
        "version: 1\ntopology: t\nservices: {{ a: {{ overload: {}s }} }}\n",
        "a".repeat(1_000_000)
    );
    let said = quickly(|| say_everything(text.into_bytes()));
    assert!(said.contains("cannot be `aaa"), "{}", &said[..1000]);
    assert!(said.len() < 20_000, "{}", said.len());
}

#[test]
fn odd_texts_are_no_trouble() {
    for text in [
        "",
        "\u{feff}",
        "\u{feff}a: 1",
        "a: 1\u{feff}",
        "\0",
        "a: \0",
        "\t",
        "\ta: 1",
        "a:\t1",
        "---",
        "--- a",
        "...",
        "--- \n...\n---\n",
        "%YAML 1.2\n---\na: 1",
        "%YAML 9.9\n---\na: 1",
        "%TAG ! x\n---\na: 1",
        "!",
        "!!",
        "!<x> y",
        "&",
        "*",
        "&a",
        "*a",
        "&a &b c",
        "a: &a\nb: *a",
        "? ",
        "?",
        ":",
        ": a",
        "- ",
        "-",
        "[",
        "]",
        "{",
        "}",
        "{,}",
        "[,]",
        "{a}",
        "{a: }",
        "{: a}",
        "\"",
        "'",
        "\"\\u{d800}\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "|",
        ">",
        "|0",
        "|9\n x",
        "a: |\n\tb",
        "a: |+\n\n\n",
        "a: >-\n b\n\n c\n",
        "a: 'b\n\n c'",
        "a: \"b\\\n  c\"",
        "a\u{85}b: c",
        "a: b\u{2028}c",
        "\u{1F600}: \u{1F600}",
        "a: b\r\nc: d\r\n",
        "a: b\rc: d\r",
        "a: 1e999",
        "a: .nan",
        "a: 0x",
        "a: 99999999999999999999999999999999999999999999",
        "a: -0",
        "<<: a",
        "<<: {a: 1}",
        "\"<<\": 1",
        "null: 1",
        "~: 1",
        "true: 1",
        "1: 1",
        "[a]: 1",
        "{a: 1}: 1",
        "a: b: c",
        "a: [b\nc]",
        "a: {b\n: c}",
        "- a\nb: c",
        "a: - b",
        "@a",
        "`a",
        "a: %b",
        "#",
        "a: #b",
        "a: b#c",
    ] {
        say_everything(text.as_bytes().to_vec());
        say_everything(format!("version: 1\ntopology: {text}\n").into_bytes());
        say_everything(format!("version: 1\ntopology: t\nservices:\n  a: {text}\n").into_bytes());
    }
}

/// A full file with some bytes replaced, removed, doubled or moved.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(": ".to_owned()),
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("\t".to_owned()),
        Just("- ".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("!x ".to_owned()),
        Just("<<".to_owned()),
        Just("| ".to_owned()),
        Just("#".to_owned()),
        Just("---\n".to_owned()),
        Just("\u{2028}".to_owned()),
        Just("1e9".to_owned()),
        Just("null".to_owned()),
        "\\PC{0,3}",
    ];
    let edit = (any::<prop::sample::Index>(), 0..6_usize, piece);
    (prop::sample::select(FULL), prop::collection::vec(edit, 1..8)).prop_map(|(text, edits)| {
        let mut text = text.to_owned();
        for (at, removed, piece) in edits {
            let at = floor(&text, at.index(text.len()));
            let end = floor(&text, (at + removed).min(text.len()));
            text.replace_range(at..end, &piece);
        }
        text.into_bytes()
    })
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        say_everything(bytes);
    }

    #[test]
    fn any_text_is_answered(text in "(\\PC|[ \\n:{}\\[\\],&*!|>'\"%@`#-]){0,100}") {
        say_everything(text.into_bytes());
    }

    #[test]
    fn any_slip_in_a_good_file_is_answered(bytes in mutated()) {
        say_everything(bytes);
    }

    #[test]
    fn any_break_is_answered(spec in "(payments|storefront/checkout|eu-west-1a|\\PC{0,5})(:(down|slow|surge|\\PC{0,3})){0,3}") {
        let mut sources = Sources::default();
        let full = load::parse_document("full", FULL[0].as_bytes().to_vec(), &mut sources).unwrap();
        let full = Topology::from_document(&full).unwrap();
        if let Err(problems) = Change::from_breaks(&[spec], &full, &mut sources) {
            render_diagnostics(&problems, &sources, DiagnosticStyle::Ansi);
        }
    }
}

#[test]
fn aliases_of_a_long_text_are_bounded_by_the_bytes_they_stand_for() {
    let long = "x".repeat(10_000);
    let with = |count: usize| format!("a: &a {long}\nb: [{}]\n", vec!["*a"; count].join(", "));
    assert_eq!(codes(with(200)), [Code::AliasBomb]);
    assert!(load::parse_document("few", with(50).into_bytes(), &mut Sources::default()).is_ok());
    let foreign = |count| {
        load::parse_foreign("file", with(count).into_bytes(), &mut Sources::default()).is_ok()
    };
    assert!(foreign(50) && !foreign(200));
}
