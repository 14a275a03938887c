//! Meaning of the columns of a table: from a small YAML, or one of those that come with the program.

use super::table::{ColumnPath, Row};
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::{self, Document, Node, Value};
use crate::suggest;

/// Kind of rows that a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// A row for each change, whether it failed or not.
    Changes,
    /// A row for each incident.
    Incidents,
}

/// A condition on a row: some value of a column is one of these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    paths: Vec<ColumnPath>,
    words: Vec<String>,
}

impl Condition {
    /// Returns whether it holds; `None` where the row has no such value.
    pub(super) fn holds(&self, row: &Row<'_>) -> Option<bool> {
        let mut is_there = false;
        for path in &self.paths {
            for value in row.values(path) {
                is_there = true;
                if self.words.iter().any(|word| word.eq_ignore_ascii_case(value.trim())) {
                    return Some(true);
                }
            }
        }
        is_there.then_some(false)
    }
}

/// Meaning of the columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Kind of its rows.
    pub kind: TableKind,
    /// Where the list of rows is, in JSON; `None` = the whole document.
    pub(super) rows: Option<ColumnPath>,
    pub(super) id: Vec<ColumnPath>,
    pub(super) service: Vec<ColumnPath>,
    pub(super) at: Vec<ColumnPath>,
    pub(super) started: Vec<ColumnPath>,
    pub(super) detected: Vec<ColumnPath>,
    pub(super) ended: Vec<ColumnPath>,
    pub(super) failed: Option<Condition>,
    /// Rows that are not over yet, whatever their columns say.
    pub(super) open: Option<Condition>,
    /// All of these must hold for a row to count.
    pub(super) only: Vec<Condition>,
    /// Names of services in the topology, by those in the table.
    pub(super) services: Vec<(String, String)>,
}

/// The mappings that come with the program, by the name of the format.
pub const READY: [(&str, &str); 8] = [
    ("changes", include_str!("mappings/changes.yaml")),
    ("incidents", include_str!("mappings/incidents.yaml")),
    ("github", include_str!("mappings/github.yaml")),
    ("gitlab", include_str!("mappings/gitlab.yaml")),
    ("pagerduty", include_str!("mappings/pagerduty.yaml")),
    ("opsgenie", include_str!("mappings/opsgenie.yaml")),
    ("incident-io", include_str!("mappings/incident-io.yaml")),
    ("jira", include_str!("mappings/jira.yaml")),
];

/// Returns the columns of a format that the program knows.
///
/// # Errors
/// There is no such format.
pub fn ready_columns(format: &str) -> Result<Columns, Vec<Diagnostic>> {
    let Some((name, text)) = READY.iter().find(|(name, _)| *name == format) else {
        let names = READY.iter().map(|(name, _)| *name);
        let message = format!("`{format}` is no format of a record");
        let help = match suggest::nearest(format, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "there are {}; for other tables name a mapping: `FILE.yaml`",
                names.collect::<Vec<_>>().join(", ")
            ),
        };
        return Err(vec![Diagnostic::file_error(Code::UnknownWord, message).help(help)]);
    };
    let bytes = text.as_bytes().to_vec();
    let document = load::parse_document(name, bytes, &mut Sources::default())?;
    Columns::from_document(&document)
}

const KEYS: [&str; 7] = ["version", "table", "rows", "columns", "open", "only", "services"];
const COLUMNS: [&str; 7] = ["id", "service", "at", "failed", "started", "detected", "ended"];

impl Columns {
    /// Reads a mapping.
    ///
    /// # Errors
    /// Returns everything that is wrong with it.
    pub fn from_document(document: &Document) -> Result<Self, Vec<Diagnostic>> {
        let root = &document.root;
        let mut problems = document.problems.clone();
        refuse_unknown_keys(root, &KEYS, "a mapping of columns", &mut problems);
        let kind = match root.scalar_at("table") {
            Some("changes") => Some(TableKind::Changes),
            Some("incidents") => Some(TableKind::Incidents),
            _ => {
                let place = root.get("table").map_or(root.place, |node| node.place);
                let message = "`table` says what a row is";
                let problem = Diagnostic::error(Code::MissingKey, message, place);
                problems.push(problem.help("write `table: changes` or `table: incidents`"));
                None
            }
        };
        if root.get("version").and_then(Node::number) != Some(1.0) {
            let message = "a mapping of columns begins with `version: 1`";
            problems.push(Diagnostic::error(Code::MissingKey, message, root.place));
        }
        let columns = root.get("columns");
        if let Some(columns) = columns {
            refuse_unknown_keys(columns, &COLUMNS, "`columns`", &mut problems);
        }
        let mut of =
            |key: &str| paths_of(columns.and_then(|columns| columns.get(key)), &mut problems);
        let read = Self {
            kind: kind.unwrap_or(TableKind::Changes),
            rows: None,
            id: of("id"),
            service: of("service"),
            at: of("at"),
            started: of("started"),
            detected: of("detected"),
            ended: of("ended"),
            failed: None,
            open: None,
            only: Vec::new(),
            services: Vec::new(),
        };
        let failed = columns.and_then(|columns| columns.get("failed"));
        let only = root.get("only").map(Node::entries).unwrap_or_default();
        let only = only.iter().map(|entry| Condition {
            paths: ColumnPath::parse(&entry.key.text).into_iter().collect(),
            words: words_of(&entry.value),
        });
        let services = root.get("services").map(Node::entries).unwrap_or_default();
        let services = services.iter().filter_map(|entry| {
            Some((entry.key.text.to_string(), entry.value.scalar()?.to_owned()))
        });
        let read = Self {
            rows: root.scalar_at("rows").and_then(ColumnPath::parse),
            failed: failed.and_then(|node| condition_of(node, &mut problems)),
            open: root.get("open").and_then(|node| condition_of(node, &mut problems)),
            only: only.collect(),
            services: services.collect(),
            ..read
        };
        read.require_columns(root, &mut problems);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    /// Reports columns without which no figure can be made.
    fn require_columns(&self, root: &Node, problems: &mut Vec<Diagnostic>) {
        let mut lacks = |key: &str, help: &str| {
            let message = format!("no column says `{key}`");
            problems.push(Diagnostic::error(Code::MissingKey, message, root.place).help(help));
        };
        match self.kind {
            TableKind::Changes => {
                if self.at.is_empty() {
                    lacks(
                        "at",
                        "name the column that says when a change was made: `at: [deployed_at]`",
                    );
                }
                if self.failed.is_none() {
                    let help = "name the column, and its words for a change that failed: `failed: { column: \
                                [status], is: [failed, rolled-back] }`";
                    lacks("failed", help);
                }
            }
            TableKind::Incidents if self.started.is_empty() && self.detected.is_empty() => {
                lacks(
                    "started",
                    "name the column that says when an incident began: `started: [started_at]`",
                );
            }
            TableKind::Incidents => {}
        }
    }
}

fn refuse_unknown_keys(node: &Node, known: &[&str], what: &str, problems: &mut Vec<Diagnostic>) {
    for entry in node.entries().iter().filter(|entry| !known.contains(&&*entry.key.text)) {
        let key = &*entry.key.text;
        let message = format!("{what} has no key `{key}`");
        let problem = Diagnostic::error(Code::UnknownKey, message, entry.key.place);
        problems.push(match suggest::nearest(key, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("it has {}", known.join(", "))),
        });
    }
}

/// One column, or several of which the first with a value counts.
fn paths_of(node: Option<&Node>, problems: &mut Vec<Diagnostic>) -> Vec<ColumnPath> {
    let Some(node) = node else { return Vec::new() };
    let mut paths = Vec::new();
    for word in words_of(node) {
        if let Some(path) = ColumnPath::parse(&word) {
            paths.push(path);
        } else {
            let message = format!("`{word}` is no path of a column");
            let problem = Diagnostic::error(Code::BadName, message, node.place);
            problems.push(problem.help("write for example `status`, `service.name`, `tags[]`"));
        }
    }
    paths
}

fn words_of(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Sequence(items) => {
            items.iter().filter_map(Node::scalar).map(str::to_owned).collect()
        }
        _ => node.scalar().map(str::to_owned).into_iter().collect(),
    }
}

fn condition_of(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<Condition> {
    let (Some(column), Some(words)) = (node.get("column"), node.get("is")) else {
        let message = "a condition has a `column` and the words that it `is`";
        let problem = Diagnostic::error(Code::MissingKey, message, node.place);
        problems.push(problem.help("write for example `{ column: [status], is: [failed] }`"));
        return None;
    };
    Some(Condition { paths: paths_of(Some(column), problems), words: words_of(words) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_mapping_can_be_read() {
        for (name, _) in READY {
            let columns =
                ready_columns(name).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
            assert!(!columns.service.is_empty(), "{name}");
        }
    }
}
