//! Reads typed values out of a document, and goes on after every problem.
//!
//! A [`Shape`] names the keys that a mapping may have; a [`Mapping`] reports all others when it is
//! made; a [`Field`] is one value, which knows what it is called, and reports when it is not what is
//! asked of it. All of them report to one list of [`Problems`], and none of them stops the reading.

mod mapping;
mod scalars;

pub(crate) use mapping::{Mapping, Shape};

use std::cell::RefCell;
use std::fmt::Display;

use crate::diagnostic::{Code, Diagnostic, Findings, Place};
use crate::load::{Document, Entry, Node, Value};
use crate::sort::Arrange as _;
use crate::suggest::Suggester;

/// More problems of one kind are only counted.
const PROBLEMS_PER_CODE: usize = 100;

/// Everything found wrong in one document.
#[derive(Debug)]
pub(crate) struct Problems {
    findings: RefCell<Findings>,
    suggester: Suggester,
}

impl Problems {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            findings: RefCell::new(Findings::new(PROBLEMS_PER_CODE)),
            suggester: Suggester::default(),
        }
    }

    /// Those of the form of a document, to be reported with those of its meaning.
    pub(crate) fn of_document(document: &Document) -> Self {
        let problems = Self::new();
        document.problems.iter().for_each(|problem| problems.push(problem.clone()));
        problems
    }

    pub(crate) fn push(&self, problem: Diagnostic) {
        self.findings.borrow_mut().push(problem);
    }

    /// Returns the value that was read, or everything that is wrong with it.
    pub(crate) fn into_result<T>(self, value: Option<T>) -> Result<T, Vec<Diagnostic>> {
        let findings = self.findings.into_inner();
        match value {
            Some(value) if findings.is_empty() => Ok(value),
            _ => Err(findings.finish()),
        }
    }

    /// Offers the nearest of the names that would have been right, or else says `otherwise`.
    pub(crate) fn suggest_nearest<'a>(
        &self,
        problem: Diagnostic,
        word: &str,
        names: impl IntoIterator<Item = &'a str>,
        otherwise: impl FnOnce() -> Option<String>,
    ) -> Diagnostic {
        // Suggestions cost a search through all names, so they end with the problems that are
        // shown.
        if !self.findings.borrow().has_room(problem.code) {
            return problem;
        }
        match self.suggester.nearest(word, names) {
            Some(name) => {
                problem.help(format!("did you mean `{name}`?")).replace_with(yaml_word(name))
            }
            None => match otherwise() {
                Some(help) => problem.help(help),
                None => problem,
            },
        }
    }
}

/// A name as it can be written in YAML: in quotes where it needs them.
pub(crate) fn yaml_word(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '%');
    let starts_well = name.chars().next().is_some_and(char::is_alphabetic);
    // YAML would read these words as other types.
    let other_type = matches!(name.to_lowercase().as_str(), "true" | "false" | "null");
    if starts_well && !other_type && name.chars().all(safe) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// A value, and the key whose value it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// The key, for messages; for the items of a list, that of the list.
    pub(crate) name: &'a str,
    key: Option<Place>,
    pub(crate) node: &'a Node,
    problems: &'a Problems,
}

impl<'a> Field<'a> {
    /// The outermost value of a document.
    pub(crate) fn root_of(document: &'a Document, name: &'a str, problems: &'a Problems) -> Self {
        Self { name, key: None, node: &document.root, problems }
    }

    /// A value outside of any document.
    pub(crate) fn standalone(node: &'a Node, name: &'a str, problems: &'a Problems) -> Self {
        Self { name, key: None, node, problems }
    }

    /// Where the value is.
    pub(crate) fn place(&self) -> Place {
        self.node.place
    }

    /// Where its key is, or itself in a list.
    pub(crate) fn place_of_key(&self) -> Place {
        self.key.unwrap_or(self.node.place)
    }

    pub(crate) fn report_problem(&self, code: Code, message: impl Into<String>, help: &str) {
        self.problems.push(Diagnostic::error(code, message, self.place()).help(help));
    }

    /// Reports that the value is of another type; `what` is what the key takes.
    pub(crate) fn wrong_type(&self, what: &str) -> Diagnostic {
        let given = self.node.value.describe();
        let message = match self.node.value {
            Value::Null => format!("`{}` has no value", self.name),
            _ => format!("`{}` is {what}, but this is {given}", self.name),
        };
        let problem = Diagnostic::error(Code::WrongType, message, self.place());
        match self.node.value {
            Value::Null => problem.help(format!("write {what}, or remove the key")),
            _ => problem,
        }
    }

    /// The text of a scalar, however it is meant.
    fn scalar_text(&self) -> Option<&'a str> {
        scalar_text(self.node)
    }

    /// Whether the value is this plain word.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.node.value, Value::Text(text) if &**text == word)
    }

    /// Whether the value is a mapping.
    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    /// Whether the value is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::Sequence(_))
    }

    /// Whether the value is a number.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.node.value, Value::Number(_))
    }

    /// A text as it is written; numbers are taken as they are written, too.
    pub(crate) fn str(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Number(number) => Some(&number.text),
            value => {
                let mut problem = self.wrong_type("a text");
                if let Value::Bool(yes) = value {
                    problem = problem
                        .help("put it into quotes if it is meant as a text")
                        .replace_with(format!("\"{yes}\""));
                }
                self.problems.push(problem);
                None
            }
        }
    }

    /// The items of a list, each called like the list.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        if !self.is_list() {
            let problem = self.wrong_type("a list");
            self.problems.push(match self.scalar_text() {
                // A single value in place of a list is the most common slip.
                Some(text) => problem
                    .help("put it into brackets")
                    .replace_with(format!("[{}]", yaml_word(text))),
                None => problem,
            });
        }
        let Self { name, problems, .. } = *self;
        self.node.items().iter().map(move |node| Self { name, key: None, node, problems })
    }

    /// A mapping of this shape.
    pub(crate) fn mapping(&self, shape: &'static Shape) -> Option<Mapping<'a>> {
        if !self.is_mapping() {
            let given = self.node.value.describe();
            self.problems.push(
                match self.node.value {
                    Value::Null => self.wrong_type("a mapping"),
                    _ => Diagnostic::error(
                        Code::WrongType,
                        format!("{} is a mapping, but this is {given}", shape.what),
                        self.place(),
                    ),
                }
                .help(format!("its keys are {}", in_backticks(shape.keys.iter(), "and"))),
            );
            return None;
        }
        Some(self.entries_as(shape))
    }

    /// A mapping of this shape, where nothing at all is as good as an empty one.
    pub(crate) fn mapping_or_nothing(&self, shape: &'static Shape) -> Option<Mapping<'a>> {
        match self.node.value {
            Value::Null => Some(self.entries_as(shape)),
            _ => self.mapping(shape),
        }
    }

    fn entries_as(&self, shape: &'static Shape) -> Mapping<'a> {
        let entries = self.node.entries();
        // What is missing from a block is best shown at the key above it.
        let is_block = entries.first().is_none_or(|first| first.key.place == self.node.place);
        let place = if is_block { self.place_of_key() } else { self.node.place };
        Mapping::new(shape, place, entries, self.problems)
    }

    /// The entries of a mapping whose keys are names, sorted by name; of equal ones the first.
    pub(crate) fn named_entries(&self) -> Vec<&'a Entry> {
        if !self.is_mapping() {
            let problem = self.wrong_type("a mapping from names to what they are");
            self.problems.push(problem);
        }
        let entries = self.node.entries();
        let mut named: Vec<&Entry> =
            // Merge keys are refused with their own diagnostic.
            entries.iter().filter(|entry| &*entry.key.text != "<<").collect();
        named.arrange_by(|a, b| a.key.text.cmp(&b.key.text));
        // A duplicate name was reported with the form of the document.
        named.dedup_by(|again, first| again.key.text == first.key.text);
        named
    }

    /// The value of a named entry.
    pub(crate) fn of_entry(entry: &'a Entry, problems: &'a Problems) -> Self {
        Self { name: &entry.key.text, key: Some(entry.key.place), node: &entry.value, problems }
    }

    pub(crate) fn problems(&self) -> &'a Problems {
        self.problems
    }
}

/// The items of a list that must be different things, sorted; reports those that are listed twice.
pub(crate) fn distinct_items<'a, T: Ord + Copy>(
    field: &Field<'a>,
    resolve: impl Fn(&Field<'a>) -> Option<T>,
) -> Vec<T> {
    let mut all: Vec<(T, Field<'a>)> =
        field.items().filter_map(|item| Some((resolve(&item)?, item))).collect();
    report_repeats(&mut all);
    // A repeated item must not count twice.
    all.dedup_by_key(|(thing, _)| *thing);
    all.into_iter().map(|(thing, _)| thing).collect()
}

/// Sorts, and reports what is there twice.
pub(crate) fn report_repeats<T: Ord + Copy>(all: &mut [(T, Field<'_>)]) {
    // Sorted, repeats stand side by side, and a hostile list takes no quadratic time.
    all.arrange_by_key(|(thing, _)| *thing);
    for pair in all.windows(2) {
        let [(first, _), (again, field)] = pair else { continue };
        if first == again {
            let message = format!("`{}` is listed twice", field.str().unwrap_or_default());
            field.report_problem(Code::DuplicateName, message, "remove one of them");
        }
    }
}

/// Returns the text of a scalar, however it is meant.
fn scalar_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        Value::Number(number) => Some(&number.text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// Names in backticks: `a`, `b` and `c`.
pub(crate) fn in_backticks(names: impl IntoIterator<Item = impl Display>, last: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}
