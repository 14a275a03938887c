//! Tables: rows of CSV, of JSON lines, or of a list in a JSON document.

use std::borrow::Cow;

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic};
use crate::load::{self, Lines};

/// Step of a path into a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The value of a key.
    Key(String),
    /// Every item of a list.
    Each,
    /// The items of a list that have this text at this path.
    Where(Vec<String>, String),
}

/// Where a value stands in a row: `status`, `service.name`, `tags[]`, `fields[name=Impact].value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnPath {
    text: String,
    steps: Vec<Step>,
}

impl ColumnPath {
    /// Reads a path; `None` where it is empty, or a bracket is not closed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if let Some(inner) = rest.strip_prefix('[') {
                let (inside, behind) = inner.split_once(']')?;
                steps.push(match inside.split_once('=') {
                    None if inside.is_empty() => Step::Each,
                    None => return None,
                    Some((path, value)) => {
                        let path = path.split('.').map(str::to_owned).collect();
                        Step::Where(path, value.to_owned())
                    }
                });
                rest = behind;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                if end == 0 {
                    return None;
                }
                steps.push(Step::Key(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        Some(Self { text: text.trim().to_owned(), steps })
    }
}

/// One row of a table.
pub(super) enum Row<'a> {
    /// Fields of a line, with the names of the columns.
    Fields(&'a [String], &'a [Cow<'a, str>]),
    /// A value of JSON.
    Json(&'a Value),
}

impl Row<'_> {
    /// Returns the values at a path; empty ones are none.
    pub(super) fn values(&self, path: &ColumnPath) -> Vec<Cow<'_, str>> {
        let found = match self {
            Self::Fields(names, fields) => {
                let index = names.iter().position(|name| *name == path.text);
                let field = index.and_then(|index| fields.get(index));
                field.map(|field| Cow::Borrowed(&**field)).into_iter().collect()
            }
            Self::Json(value) => json_values(value, path),
        };
        found.into_iter().filter(|text: &Cow<'_, str>| !text.trim().is_empty()).collect()
    }

    /// Returns the first value of several paths.
    pub(super) fn first_value(&self, paths: &[ColumnPath]) -> Option<Cow<'_, str>> {
        paths.iter().find_map(|path| self.values(path).into_iter().next())
    }
}

fn json_values<'a>(value: &'a Value, path: &ColumnPath) -> Vec<Cow<'a, str>> {
    let mut found = vec![value];
    for step in &path.steps {
        found = match step {
            Step::Key(key) => found.into_iter().filter_map(|value| value.get(key)).collect(),
            Step::Each => found.into_iter().filter_map(Value::as_array).flatten().collect(),
            Step::Where(keys, wanted) => found
                .into_iter()
                .filter_map(Value::as_array)
                .flatten()
                .filter(|item| {
                    let at = keys.iter().try_fold(*item, |value, key| value.get(key));
                    at.and_then(Value::as_str) == Some(wanted)
                })
                .collect(),
        };
    }
    let text = |value: &'a Value| match value {
        Value::String(text) => Some(Cow::Borrowed(&**text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    found.into_iter().filter_map(text).collect()
}

/// Hands every row of a file to `take`, with its number: the line of a CSV or of JSON lines, else the place
/// in the list, counted from 1.
///
/// # Errors
/// The file cannot be read, or is no table.
pub(super) fn read_rows(
    path: &str,
    rows: Option<&ColumnPath>,
    mut take: impl FnMut(u64, &Row<'_>),
) -> Result<(), Vec<Diagnostic>> {
    let mut lines = Lines::open_file(path).map_err(|problem| vec![*problem])?;
    let first = loop {
        match lines.next_line().map_err(|problem| vec![*problem])? {
            None => return Err(vec![empty_table(path)]),
            Some(line) => {
                let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
                if !line.trim_ascii().is_empty() {
                    break line.to_vec();
                }
            }
        }
    };
    let start = first.trim_ascii_start().first().copied();
    if !matches!(start, Some(b'{' | b'[')) {
        return read_fields(path, &first, lines, take);
    }
    // One value on each line, or one value in all.
    if let Ok(value) = serde_json::from_slice::<Value>(&first)
        && rows.is_none()
        && value.is_object()
    {
        take(lines.line_number(), &Row::Json(&value));
        loop {
            let line = lines.next_line().map_err(|problem| vec![*problem])?;
            let Some(line) = line else { return Ok(()) };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let value: Result<Value, _> = serde_json::from_slice(line);
            let number = lines.line_number();
            match value {
                Ok(value) => take(number, &Row::Json(&value)),
                Err(error) => return Err(vec![not_json(path, number, &error)]),
            }
        }
    }
    // The line that was read stands at the beginning of the rest.
    let bytes = lines.read_rest().map_err(|problem| vec![*problem])?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| vec![not_json(path, error.line() as u64, &error)])?;
    let list = match rows {
        Some(rows) if !value.is_array() => {
            let found = rows.steps.iter().try_fold(&value, |value, step| match step {
                Step::Key(key) => value.get(key),
                Step::Each | Step::Where(..) => Some(value),
            });
            found.and_then(Value::as_array)
        }
        _ => value.as_array(),
    };
    let Some(list) = list else {
        let wanted = rows.map_or("a list of rows", |rows| &rows.text);
        let message = format!("`{path}` has no list at `{wanted}`");
        return Err(vec![Diagnostic::file_error(Code::WrongKind, message)]);
    };
    for (number, row) in (1..).zip(list) {
        take(number, &Row::Json(row));
    }
    Ok(())
}

fn empty_table(path: &str) -> Diagnostic {
    Diagnostic::file_error(Code::Empty, format!("`{path}` holds no row"))
}

fn not_json(path: &str, line: u64, error: &serde_json::Error) -> Diagnostic {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(&*words, |(words, _)| words);
    Diagnostic::file_error(Code::Syntax, format!("line {line} of `{path}` is not JSON: {words}"))
}

/// Reads lines of fields, the first of which has the names of the columns.
fn read_fields(
    path: &str,
    head: &[u8],
    mut lines: Lines,
    mut take: impl FnMut(u64, &Row<'_>),
) -> Result<(), Vec<Diagnostic>> {
    let head = text_of(path, lines.line_number(), head)?;
    // What parts the names of the columns parts the fields too.
    let separator = [',', ';', '\t']
        .into_iter()
        .max_by_key(|separator| (head.matches(*separator).count(), *separator == ','))
        .unwrap_or(',');
    let names: Vec<String> =
        fields_of(&head, separator).iter().map(|name| name.trim().to_owned()).collect();
    let mut record = String::new();
    let mut started = 0;
    loop {
        let line = match lines.next_line().map_err(|problem| vec![*problem])? {
            None => break,
            Some(line) => line.to_vec(),
        };
        let number = lines.line_number();
        let line = text_of(path, number, &line)?;
        if record.is_empty() {
            if line.trim().is_empty() {
                continue;
            }
            started = number;
            record.push_str(line.trim_end_matches('\r'));
        } else {
            record.push('\n');
            record.push_str(line.trim_end_matches('\r'));
        }
        // A field in quotes may go on in the next line.
        if record.matches('"').count() % 2 == 1 {
            continue;
        }
        take(started, &Row::Fields(&names, &fields_of(&record, separator)));
        record.clear();
    }
    if record.is_empty() {
        return Ok(());
    }
    let message = format!("a quote that begins in line {started} of `{path}` is never closed");
    Err(vec![Diagnostic::file_error(Code::Syntax, message)])
}

fn text_of<'a>(path: &str, line: u64, bytes: &'a [u8]) -> Result<Cow<'a, str>, Vec<Diagnostic>> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| {
        let message = format!("line {line} of `{path}` is not UTF-8");
        vec![Diagnostic::file_error(Code::NotUtf8, message)]
    })
}

/// The fields of a line (RFC 4180).
fn fields_of(line: &str, separator: char) -> Vec<Cow<'_, str>> {
    // Most lines have no quotes, and are parted without a look at every character.
    if !line.contains('"') {
        return line.split(separator).map(Cow::Borrowed).collect();
    }
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut is_quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if is_quoted && rest.peek() == Some(&'"') => {
                field.push('"');
                rest.next();
            }
            '"' => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => {
                fields.push(Cow::Owned(std::mem::take(&mut field)));
            }
            c => field.push(c),
        }
    }
    fields.push(Cow::Owned(field));
    fields
}

/// Returns the path of a file as messages show it.
pub(super) fn shown_path(path: &str) -> &str {
    if path == "-" { load::STDIN } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_rfc_4180() {
        assert_eq!(fields_of("a,b c,,d", ','), ["a", "b c", "", "d"]);
        assert_eq!(fields_of("\"a,b\",\"say \"\"so\"\"\"", ','), ["a,b", "say \"so\""]);
    }

    #[test]
    fn paths_lead_into_lists() {
        let row: Value = serde_json::from_str(
            "{\"a\":{\"b\":1},\"l\":[{\"n\":{\"k\":\"x\"},\"v\":\"1\"},{\"n\":{\"k\":\"y\"},\"v\":\"2\"}]}",
        )
        .unwrap();
        let row = Row::Json(&row);
        let values = |path: &str| row.values(&ColumnPath::parse(path).unwrap()).concat();
        assert_eq!(values("a.b"), "1");
        assert_eq!(values("l[].v"), "12");
        assert_eq!(values("l[n.k=y].v"), "2");
        assert_eq!(values("no.where"), "");
        for wrong in ["", "a[", "a..b", "a[0]"] {
            assert_eq!(ColumnPath::parse(wrong), None, "{wrong}");
        }
    }
}
