//! Tables of callers and dependencies: comma, semicolon or tab between the columns.

use super::edges::{CALLEES, CALLERS, COUNTS};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::import::Input;
use crate::import::graph::Graph;
use crate::load;
use crate::model::topology::Evidence;

/// Which column holds what.
struct Columns {
    caller: usize,
    callee: usize,
    kind: Option<usize>,
    criticality: Option<usize>,
    count: Option<usize>,
}

/// Reads tables.
pub(in crate::import) fn read(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    for path in input.files {
        let source = load::read_text(path, input.sources)?;
        let text = &input.sources.get(source).text;
        let separator = separator(text);
        let mut columns = None;
        let mut offset = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let start = offset;
            offset += line.len();
            let line = line.trim_end_matches(['\n', '\r']);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let cells = cells(line, separator);
            let columns = if let Some(columns) = &columns {
                columns
            } else {
                let header = header(&cells);
                let is_header = header.is_some();
                let first =
                    Columns { caller: 0, callee: 1, kind: Some(2), criticality: None, count: None };
                let columns = &*columns.insert(header.unwrap_or(first));
                if is_header {
                    continue;
                }
                columns
            };
            let cell =
                |at: usize| cells.get(at).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
            let place = Place { source, start: start as u32, end: (start + line.len()) as u32 };
            match (cell(columns.caller), cell(columns.callee)) {
                (Some(caller), Some(callee)) => {
                    let (caller, callee) =
                        if input.options.reverse { (callee, caller) } else { (caller, callee) };
                    let count =
                        columns.count.and_then(cell).and_then(|cell| cell.parse::<f64>().ok());
                    let count = count.filter(|count| count.is_finite() && *count > 0.0);
                    let evidence =
                        if count.is_some() { Evidence::Observed } else { Evidence::Declared };
                    let source = format!("{path}: line {}", index + 1);
                    let Some(dependency) = graph.depend(caller, callee, evidence, source) else {
                        continue;
                    };
                    let word = |column: Option<usize>| {
                        column.and_then(cell).unwrap_or_default().to_lowercase()
                    };
                    let (kind, criticality) = (word(columns.kind), word(columns.criticality));
                    dependency.calls += count.unwrap_or(0.0);
                    dependency.is_soft |= kind == "soft" || criticality == "soft";
                    if kind == "async" || kind == "sync" {
                        dependency.saw(kind == "async");
                    }
                }
                (Some(only), None) | (None, Some(only)) => {
                    graph.service(only);
                }
                (None, None) => graph.warn(
                    Code::NotUnderstood,
                    "this line names no caller and dependency",
                    place,
                ),
            }
        }
    }
    Ok(())
}

/// The separator that the first line holds most of.
fn separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    let count = |c: char| first.matches(c).count();
    [',', '\t', ';'].into_iter().rev().max_by_key(|c| count(*c)).unwrap_or(',')
}

fn header(cells: &[String]) -> Option<Columns> {
    let lower: Vec<String> = cells.iter().map(|cell| cell.trim().to_lowercase()).collect();
    let find = |names: &[&str]| {
        lower.iter().position(|cell| names.iter().any(|name| name.eq_ignore_ascii_case(cell)))
    };
    let callee = find(CALLEES)?;
    let caller = find(CALLERS).filter(|caller| *caller != callee)?;
    let (kind, criticality) = (find(&["kind", "type"]), find(&["criticality"]));
    Some(Columns { caller, callee, kind, criticality, count: find(COUNTS) })
}

/// The cells of a line; a cell in double quotes may hold separators and doubled quotes.
fn cells(line: &str, separator: char) -> Vec<String> {
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

    #[test]
    fn cells_may_be_quoted() {
        assert_eq!(cells("a,\"b,\"\"c\"\"\",", ','), ["a", "b,\"c\"", ""]);
        assert_eq!(cells("a\tb", '\t'), ["a", "b"]);
    }

    #[test]
    fn the_separator_is_the_most_frequent() {
        assert_eq!(separator("a;b;c\n"), ';');
        assert_eq!(separator("a\tb,c\td\n"), '\t');
        assert_eq!(separator("# a, b\na;b"), ';');
        assert_eq!(separator("a,b"), ',');
    }
}
