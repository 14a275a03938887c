//! A problem in an input file, as data.

use serde::{Deserialize, Serialize};

use super::ProblemSeverity;
use crate::diagnostic::{Code, Diagnostic, Label, Sources};

/// One thing wrong, or doubtful, in an input file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Problem {
    /// Kind of problem.
    pub code: Code,
    /// How bad it is.
    pub severity: ProblemSeverity,
    /// Description of the problem.
    pub message: String,
    /// Where; nothing when the file as a whole is meant, which the message then names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceReport>,
    /// Other places that explain it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PlaceReport>,
    /// Advice on what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Replacement for the text at the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
}

/// A place in an input file; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlaceReport {
    /// The file.
    pub file: String,
    /// Its line.
    pub line: usize,
    /// The column of its first character.
    pub column: usize,
    /// The line where it ends.
    pub end_line: usize,
    /// The column behind its last character.
    pub end_column: usize,
    /// A few words on it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Problem {
    /// A diagnostic with its places in the words of its sources.
    pub fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let severity =
            if diagnostic.is_error() { ProblemSeverity::Error } else { ProblemSeverity::Warning };
        let place = |label: &Label| PlaceReport::new(label, sources);
        Self {
            code: diagnostic.code,
            severity,
            message: diagnostic.message.clone(),
            place: diagnostic.primary.as_ref().map(place),
            others: diagnostic.others.iter().map(place).collect(),
            help: diagnostic.help.clone(),
            replacement: diagnostic.fix.as_ref().map(|fix| fix.replacement.clone()),
        }
    }
}

impl PlaceReport {
    /// A labelled place in the words of its sources.
    pub fn new(label: &Label, sources: &Sources) -> Self {
        let place = label.place;
        let (line, column) = sources.line_column(place);
        // The end is looked up as a place of its own: it may lie on a later line.
        let end = crate::diagnostic::Place { start: place.end, ..place };
        let (end_line, end_column) = sources.line_column(end);
        Self {
            file: sources.get(place.source).name.clone(),
            line,
            column,
            end_line,
            end_column,
            text: label.text.clone(),
        }
    }
}
