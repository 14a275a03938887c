//! The README and the book tell the truth: every command in them is run, and its whole output compared.
//!
//! Commands are the lines of `console` blocks that begin with `$ blastwave`; a line may go on after a
//! `\`. `| head -N` keeps the first lines, `> FILE` writes them to a file, `$ cat FILE` shows one, and
//! `$ echo $?` the exit status of the command before. All run one after the other in a copy of what is shipped, without a terminal.
//! `UPDATE=1 cargo test --test it readme` writes what is said now into the pages: read the difference
//! before you commit it.

use crate::support::{assert_kept, program};
use std::fs;
use std::path::Path;

use blastwave::diagnostic::Sources;
use blastwave::load;
use blastwave::model::{Change, Topology};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("the page is there")
}

/// Where blastwave is not run: for these a reader needs a checkout.
const NOT_RUN: &[&str] = &["$ cargo "];

#[test]
fn every_console_block_is_true() {
    is_true("README.md");
}

/// Returns the pages of the book, in order of their names.
fn book_pages() -> Vec<String> {
    let folder = root().join("docs/book/src");
    let entries = fs::read_dir(folder).expect("the book is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let mut pages: Vec<String> = names
        .map(|name| format!("docs/book/src/{}", name.to_str().expect("a plain name")))
        .filter(|page| page.ends_with(".md"))
        .collect();
    pages.sort();
    pages
}

#[test]
fn every_console_block_of_the_book_is_true() {
    let pages = book_pages();
    assert!(pages.len() > 10, "the book has its pages");
    for page in pages {
        is_true(&page);
    }
}

#[test]
fn every_page_of_the_book_is_in_its_summary_and_every_link_leads_to_a_file() {
    let summary = read("docs/book/src/SUMMARY.md");
    let mut dead = Vec::new();
    let others = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/decisions.md",
        "docs/fuzzing.md",
        "docs/releases.md",
        "docs/threat-model.md",
    ];
    for page in book_pages().into_iter().chain(others.map(str::to_owned)) {
        let name = page.rsplit('/').next().expect("a name");
        if page.starts_with("docs/book/") && name != "SUMMARY.md" {
            assert!(summary.contains(&format!("({name})")), "{page} is not in the summary");
        }
        let folder = root().join(&page).parent().expect("a folder").to_owned();
        for link in read(&page).split("](").skip(1) {
            let target = link.split([')', '#']).next().expect("the start of a text");
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                dead.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn the_table_of_incidents_is_what_the_simulation_says() {
    is_true("topologies/incidents/README.md");
}

fn is_true(file: &str) {
    let text = read(file);
    let place = tempfile::tempdir().expect("a folder of our own");
    copy(&root().join("topologies"), &place.path().join("topologies"));
    copy(&root().join("tests/it"), &place.path().join("tests/it"));
    let told = retold(&text, place.path());
    assert_kept(&root().join(file), &told);
}

#[test]
fn every_yaml_block_is_right() {
    for page in book_pages().into_iter().chain(["README.md".to_owned()]) {
        check_yaml_blocks(&page);
    }
}

/// Reads all blocks of YAML; topologies and changes are checked, a change against the topology before it.
fn check_yaml_blocks(page: &str) {
    let text = read(page);
    let mut sources = Sources::default();
    let mut topology = None;
    let mut blocks = 0;
    for block in text.split("```yaml\n").skip(1) {
        let yaml = block.split("```").next().expect("the start of a text");
        let document = load::parse_document(page, yaml.as_bytes().to_vec(), &mut sources)
            .expect("a block of YAML that can be read");
        blocks += 1;
        if yaml.contains("\ntopology:") {
            topology = Some(Topology::from_document(&document).expect("a right topology"));
        } else if yaml.contains("\nchange:") {
            let topology = topology.as_ref().expect("the topology comes first");
            Change::from_document(&document, topology).expect("a right change");
        }
    }
    let least = if page == "README.md" { 2 } else { 0 };
    assert!(blocks >= least, "the README shows a topology and a change");
}

/// The README with what its commands print now.
fn retold(text: &str, place: &Path) -> String {
    let mut told = String::new();
    let mut lines = text.lines().peekable();
    let mut is_console = false;
    let mut status = None;
    while let Some(line) = lines.next() {
        told.push_str(line);
        told.push('\n');
        if let Some(language) = line.strip_prefix("```") {
            is_console = !is_console && language == "console";
            continue;
        }
        if !is_console
            || !line.starts_with("$ ")
            || NOT_RUN.iter().any(|item| line.starts_with(item))
        {
            continue;
        }
        let mut command = line[2..].to_owned();
        while command.ends_with('\\') {
            command.pop();
            let more = lines.next().expect("a command goes on after a `\\`");
            told.push_str(more);
            told.push('\n');
            command.push_str(more.trim_start().trim_start_matches("> "));
        }
        while lines.next_if(|line| !line.starts_with("$ ") && !line.starts_with("```")).is_some() {}
        told.push_str(&run(&command, place, &mut status));
    }
    told
}

/// The files that a path with `/*/` stands for, in order.
fn expanded(word: String, place: &Path) -> Vec<String> {
    let Some((folder, rest)) = word.split_once("/*/") else { return vec![word] };
    let entries = fs::read_dir(place.join(folder)).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let mut files: Vec<String> = names
        .map(|name| format!("{folder}/{}/{rest}", name.to_str().expect("a plain name")))
        .filter(|file| place.join(file).is_file())
        .collect();
    files.sort();
    files
}

/// What a command prints: what it found, and then what it had to say about it.
fn run(command: &str, place: &Path, status: &mut Option<i32>) -> String {
    let words: Vec<String> =
        split(command).into_iter().flat_map(|word| expanded(word, place)).collect();
    let at = |mark: &str| words.iter().position(|word| word == mark);
    let (pipe, file) = (at("|"), at(">"));
    let end = pipe.or(file).unwrap_or(words.len());
    let mut printed = match words[0].as_str() {
        "blastwave" => {
            let output = program(place)
                .args(&words[1..end])
                .env("NO_COLOR", "1")
                .output()
                .expect("the program runs");
            *status = output.status.code();
            let text = |bytes| String::from_utf8(bytes).expect("text");
            let said = text(output.stderr);
            let mut found = text(output.stdout);
            if let Some(file) = file {
                fs::write(place.join(&words[file + 1]), &found).expect("the file can be written");
                found.clear();
            }
            if !found.is_empty() && !said.is_empty() {
                found.push('\n');
            }
            found + &said
        }
        "cat" => fs::read_to_string(place.join(&words[1])).expect("the file is there"),
        "echo" if words[1] == "$?" => format!("{}\n", status.expect("a command came before")),
        other => panic!("the README runs `{other}`, which this test does not know"),
    };
    if let Some(pipe) = pipe {
        assert_eq!(words[pipe + 1], "head", "`| head -N` is the only pipe this test knows");
        let most = words[pipe + 2].trim_start_matches("-n").trim_start_matches('-');
        let most = most.parse().expect("a number of lines");
        printed = printed.lines().take(most).fold(String::new(), |text, line| text + line + "\n");
    }
    printed
}

/// Words as a shell splits them, single and double quotes included.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(open), item) if item == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, item) => word.get_or_insert_default().push(item),
        }
    }
    words.extend(word);
    words
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file or a folder").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}
