//! Tables of callers and dependencies: comma, semicolon or tab between the columns.
//!
//! The first row is a header where its words say so, in whatever spelling. Where it may be one and is not
//! understood, the table is refused: a direction that is guessed is wrong half of the time.

use std::collections::BTreeSet;

use super::edges::{CALLEES, CALLERS, COUNTS};
use crate::diagnostic::{Code, Diagnostic, Place, SourceId};
use crate::import::Input;
use crate::import::graph::EvidenceGraph;
use crate::load;
use crate::model::topology::Evidence;

/// Words of a header that name the caller, besides those of lists of edges.
const CALLER_WORDS: &[&str] = &[
    "application",
    "app",
    "system",
    "component",
    "name",
    "dependent",
    "user",
    "calling",
    "origin",
    "used_by",
    "microservice",
    "workload",
];

/// Words of a header that name the dependency, besides those of lists of edges.
const CALLEE_WORDS: &[&str] = &[
    "requires",
    "required",
    "needs",
    "needed",
    "uses",
    "used",
    "calls",
    "called",
    "depends",
    "dependencies",
    "dependson",
    "consumes",
    "supplier",
    "downstream",
    "relies",
];

/// Which column holds what.
#[derive(Clone, Debug, PartialEq)]
struct Columns {
    caller: usize,
    callee: usize,
    kind: Option<usize>,
    criticality: Option<usize>,
    count: Option<usize>,
}

/// The meaning of the first row.
#[derive(Debug, PartialEq)]
enum FirstRow {
    Header(Columns),
    /// Services, as in all other rows.
    Data(Columns),
    /// Perhaps a header; nothing says what its columns mean.
    Unknown,
}

/// A row with its place and its line, counted from 1.
struct CsvRow {
    cells: Vec<String>,
    place: Place,
    line: usize,
}

/// Reads tables.
pub(in crate::import) fn read_tables(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let source = load::read_text(path, input.sources)?;
        let text = &input.sources.get(source).text;
        let separator = guess_separator(text);
        let rows = parse_rows(text, separator, source);
        let Some(first) = rows.first() else { continue };
        let (columns, skipped) = match first_row(&rows, separator) {
            FirstRow::Header(columns) => (columns, 1),
            FirstRow::Data(columns) => (columns, 0),
            FirstRow::Unknown => {
                let shown: Vec<String> =
                    first.cells.iter().map(|cell| format!("`{}`", cell.trim())).collect();
                let message = format!("which column calls which is unknown: {}", shown.join(", "));
                return Err(vec![Diagnostic::error(Code::NotUnderstood, message, first.place).help(
                    "name the columns in the first line: `from` is the caller, and `to` what it depends on",
                )]);
            }
        };
        for row in &rows[skipped..] {
            add_row(path, row, &columns, separator, input.options.reverse, graph);
        }
    }
    Ok(())
}

fn add_row(
    path: &str,
    row: &CsvRow,
    columns: &Columns,
    separator: char,
    reverse: bool,
    graph: &mut EvidenceGraph,
) {
    let cell =
        |at: usize| row.cells.get(at).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
    let word = |column: Option<usize>| column.and_then(cell).unwrap_or_default().to_lowercase();
    let callers = cell(columns.caller).map(|cell| names_in(cell, separator)).unwrap_or_default();
    let callees = cell(columns.callee).map(|cell| names_in(cell, separator)).unwrap_or_default();
    if callers.is_empty() && callees.is_empty() {
        graph.warn(Code::NotUnderstood, "this line names no caller and dependency", row.place);
        return;
    }
    if callers.is_empty() || callees.is_empty() {
        // A row with one name states that there is such a service, and nothing about what it calls.
        for only in callers.iter().chain(&callees) {
            graph.service_or_new(only);
        }
        return;
    }
    let count = columns.count.and_then(cell).and_then(|cell| cell.parse::<f64>().ok());
    let count = count.filter(|count| count.is_finite() && *count > 0.0);
    let evidence = if count.is_some() { Evidence::Observed } else { Evidence::Declared };
    let (kind, criticality) = (word(columns.kind), word(columns.criticality));
    for (caller, callee) in callers.iter().flat_map(|from| callees.iter().map(move |to| (from, to)))
    {
        let (caller, callee) = if reverse { (callee, caller) } else { (caller, callee) };
        let source = format!("{path}: line {}", row.line);
        let Some(dependency) = graph.depend_on(caller, callee, evidence, source) else { continue };
        dependency.calls += count.unwrap_or(0.0);
        dependency.is_soft |= kind == "soft" || criticality == "soft";
        if kind == "async" || kind == "sync" {
            dependency.note_call(kind == "async");
        }
    }
}

/// Returns the names in a cell, which may hold several.
///
/// Where semicolons part the columns, one within a quoted cell belongs to a name, unless a space follows.
fn names_in(cell: &str, separator: char) -> Vec<&str> {
    let mut names = vec![""];
    let mut start = 0;
    for (at, c) in cell.char_indices() {
        let after = &cell[at + c.len_utf8()..];
        let is_end = match c {
            ',' | '|' | '\n' => true,
            ';' => separator != ';' || after.starts_with(char::is_whitespace),
            _ => false,
        };
        if is_end {
            names.push(&cell[start..at]);
            start = at + c.len_utf8();
        }
    }
    names.push(&cell[start..]);
    // Callers and dependencies of a row multiply, so a hostile row must not hold millions of both.
    names.into_iter().map(str::trim).filter(|name| !name.is_empty()).take(10_000).collect()
}

/// Returns what the first row is: by its words, by numbers that stand only below it, or by whether its
/// names appear again.
fn first_row(rows: &[CsvRow], separator: char) -> FirstRow {
    let cells = &rows[0].cells;
    if let Some(columns) = parse_header(cells) {
        return FirstRow::Header(columns);
    }
    let data = Columns { caller: 0, callee: 1, kind: Some(2), criticality: None, count: None };
    let rest = &rows[1..];
    let is_number = |cell: &String| cell.trim().parse::<f64>().is_ok();
    let is_above_numbers = (0..cells.len()).any(|at| {
        let below: Vec<&String> = rest.iter().filter_map(|row| row.cells.get(at)).collect();
        !is_number(&cells[at]) && !below.is_empty() && below.iter().all(|cell| is_number(cell))
    });
    let is_half_known =
        cells.iter().any(|cell| is_caller(cell) || is_callee(cell)) && rest.len() > 1;
    let names: BTreeSet<&str> = rest
        .iter()
        .flat_map(|row| row.cells.iter().take(2).flat_map(|cell| names_in(cell, separator)))
        .collect();
    // Names of services appear again further down, words of a header do not.
    let appears_again = cells.iter().take(2).any(|cell| names.contains(cell.trim()));
    if is_above_numbers || !appears_again && (is_half_known || rest.len() > 1) {
        FirstRow::Unknown
    } else {
        FirstRow::Data(data)
    }
}

/// Returns the words of a header's cell in small letters: `Depends On`, `dependsOn` and `depends_on` have
/// the same.
fn words_of(cell: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in cell.trim().chars() {
        let is_hump = c.is_uppercase() && before.is_lowercase();
        if (!c.is_alphanumeric() || is_hump) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns whether a cell is one of these words, or has one among its own.
fn has_word(cell: &str, known: &[&str], exact: &[&str]) -> bool {
    let words = words_of(cell);
    if words.is_empty() {
        return false;
    }
    let joined = words.join("_");
    let plain = |name: &str| words_of(name).join("_");
    exact.iter().any(|name| plain(name) == joined)
        || words.iter().any(|word| known.contains(&word.as_str()) || exact.contains(&word.as_str()))
}

fn is_caller(cell: &str) -> bool {
    has_word(cell, CALLER_WORDS, CALLERS)
}

fn is_callee(cell: &str) -> bool {
    has_word(cell, CALLEE_WORDS, CALLEES)
}

/// Returns what the columns hold, where the words of the first row say so.
fn parse_header(cells: &[String]) -> Option<Columns> {
    // A hostile row has a million cells: each is taken apart once.
    let own: Vec<String> = cells.iter().map(|cell| words_of(cell).join("_")).collect();
    let exactly = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| words_of(name).join("_")).collect();
        own.iter().position(|own| !own.is_empty() && names.contains(own))
    };
    // What a component is used by is its caller.
    let users =
        cells.iter().position(|cell| words_of(cell).last().is_some_and(|word| word == "by"));
    if let Some(caller) = users {
        let mut others = cells.iter().enumerate().filter(|(at, _)| *at != caller);
        let named = others.clone().find(|(_, cell)| is_caller(cell) || is_callee(cell));
        let callee = named.or_else(|| others.next()).map(|(at, _)| at)?;
        return Some(Columns {
            caller,
            callee,
            kind: None,
            criticality: None,
            count: exactly(COUNTS),
        });
    }
    // "Target application" is no caller, though an application may be one.
    let callee = exactly(CALLEES).or_else(|| cells.iter().position(|cell| is_callee(cell)))?;
    let others = |at: &usize| *at != callee;
    let caller = exactly(CALLERS).filter(others).or_else(|| {
        let mut others = cells.iter().enumerate().filter(|(at, _)| *at != callee);
        others.find(|(_, cell)| is_caller(cell)).map(|(at, _)| at)
    })?;
    let (kind, criticality) = (exactly(&["kind", "type", "mode"]), exactly(&["criticality"]));
    Some(Columns { caller, callee, kind, criticality, count: exactly(COUNTS) })
}

/// Returns the rows of a table without comments and empty lines; a cell in double quotes may go over
/// several lines.
fn parse_rows(text: &str, separator: char, source: SourceId) -> Vec<CsvRow> {
    let mut rows = Vec::new();
    let (mut offset, mut line) = (0, 1);
    while offset < text.len() {
        let rest = &text[offset..];
        let first = rest.split_inclusive('\n').next().unwrap_or(rest);
        let mut length = first.len();
        let is_comment = first.starts_with('#');
        // A quote that is open at the end of a line goes on behind it, unless nothing closes it.
        while !is_comment && rest[..length].matches('"').count() % 2 == 1 {
            match rest[length..].find('\n') {
                Some(end) => length += end + 1,
                None if rest[length..].contains('"') => length = rest.len(),
                None => {
                    length = first.len();
                    break;
                }
            }
        }
        let content = rest[..length].trim_end_matches(['\n', '\r']);
        if !is_comment && !content.trim().is_empty() {
            let place =
                Place { source, start: offset as u32, end: (offset + content.len()) as u32 };
            rows.push(CsvRow { cells: split_cells(content, separator), place, line });
        }
        line += rest[..length].matches('\n').count();
        offset += length;
    }
    rows
}

/// Returns the separator that the first line holds most of.
fn guess_separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    let count = |c: char| first.matches(c).count();
    // Of equal counts the last one wins, so a comma is taken where the line holds none of them.
    [',', '\t', ';'].into_iter().rev().max_by_key(|c| count(*c)).unwrap_or(',')
}

/// Returns the cells of a row; a cell in double quotes may hold separators and doubled quotes.
fn split_cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let cell = cells.last_mut().expect("there is one");
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            // A quote in the middle of a cell is a character like any other.
            '"' if is_quoted || cell.trim().is_empty() => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> FirstRow {
        let separator = guess_separator(text);
        first_row(&parse_rows(text, separator, SourceId::default()), separator)
    }

    #[test]
    fn cells_may_be_quoted() {
        assert_eq!(split_cells("a,\"b,\"\"c\"\"\",", ','), ["a", "b,\"c\"", ""]);
        assert_eq!(split_cells("a\tb", '\t'), ["a", "b"]);
    }

    #[test]
    fn the_separator_is_the_most_frequent() {
        assert_eq!(guess_separator("a;b;c\n"), ';');
        assert_eq!(guess_separator("a\tb,c\td\n"), '\t');
        assert_eq!(guess_separator("# a, b\na;b"), ';');
        assert_eq!(guess_separator("a,b"), ',');
    }

    #[test]
    fn a_header_is_understood_in_whatever_spelling() {
        for header in [
            "from,to",
            "Application Name,Requires",
            "Service;Depends On",
            "dependsOn,service",
            "source_app,target_app",
            "Caller\tCallee",
            "Component,Uses component",
        ] {
            let text = format!("{header}\na,b\nc,a\n");
            assert!(matches!(first(&text), FirstRow::Header(_)), "{header}");
        }
        let FirstRow::Header(columns) = first("component,used by\na,b\n") else {
            panic!("a header")
        };
        assert_eq!((columns.caller, columns.callee), (1, 0));
        let FirstRow::Header(columns) = first("dependsOn,service\na,b\n") else {
            panic!("a header")
        };
        assert_eq!((columns.caller, columns.callee), (1, 0));
    }

    #[test]
    fn a_first_row_that_may_be_a_header_is_not_guessed() {
        assert_eq!(
            first("left,right,since\nfront,till,2021\ntill,ledger,2019\n"),
            FirstRow::Unknown
        );
        assert_eq!(first("left,right\nfront,till\ntill,ledger\n"), FirstRow::Unknown);
        assert!(matches!(first("front,till\ntill,ledger\n"), FirstRow::Data(_)));
        assert!(matches!(first("front,till\n"), FirstRow::Data(_)));
    }

    #[test]
    fn a_cell_may_hold_several_names_and_lines() {
        assert_eq!(names_in("ledger, stock;x\ny", ','), ["ledger", "stock", "x", "y"]);
        assert_eq!(names_in("pay;ments; x", ';'), ["pay;ments", "x"]);
        let rows = parse_rows("a,\"b\nc\"\nd,e\n", ',', SourceId::default());
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].cells[1].as_str(), rows[1].line), ("b\nc", 3));
    }
}
