//! A question as it was asked: which topology, what happens to it, and which files say so.
//!
//! A [`Request`] comes in, a checked [`Project`] goes out, or everything that is wrong with its files.
//! **Invariant:** nothing is simulated before all files of a request are found to be right.

mod include;
pub mod merge;
mod read;

use crate::diagnostic::Diagnostic;
use crate::model::authorship::Authorship;
use crate::model::diff::ChangedFile;
use crate::model::{Change, Diff, Incident, Topology};

pub use read::{compose_document, read_incident_cases, read_topology, topology_of_scenario};

/// Cause of failure, as it was requested.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// Only background failures occur.
    Nothing,
    /// These change files, all of them in one window.
    Changes(Vec<String>),
    /// These targets break with certainty: `TARGET[:MODE]`.
    Breaks(Vec<String>),
    /// The services break to which changed files belong.
    Diff(FileList),
}

/// Changed files, as a list or a version control system gave them.
#[derive(Clone, Debug, PartialEq)]
pub struct FileList {
    /// The files.
    pub files: ChangedFiles,
    /// The path of a change that says how the files are shipped; its targets are the services they
    /// belong to.
    pub shipped_as: Option<String>,
    /// Patterns of files that belong to no service on purpose.
    pub ignored: Vec<String>,
    /// Authors, reviewers and sources, as far as commits name them.
    pub authorship: Authorship,
}

/// Changed files, with their content or by name only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedFiles {
    /// Their names, separated by line ends or NUL bytes.
    Names {
        /// The list.
        bytes: Vec<u8>,
        /// Whether names end with NUL bytes.
        is_null_separated: bool,
    },
    /// Their names and what each of them does to the program.
    Contents(Vec<ChangedFile>),
}

/// A question: the files that it names, and what they leave open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The path of a topology or of a scenario; an incident may name one instead.
    pub topology: Option<String>,
    /// Cause of failure; `None` stands for that of the incident or the scenario.
    pub cause: Option<Cause>,
    /// Cause where none of these states one; without it, that is an error.
    pub default_cause: Option<Cause>,
    /// The path of an incident.
    pub incident: Option<String>,
    /// Environment of the topology; `None` stands for that of the scenario, or for the topology as it stands.
    pub environment: Option<String>,
}

/// A request whose files were read and found to be right.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The structure.
    pub topology: Topology,
    /// Change that breaks; several changes are merged into one.
    pub change: Change,
    /// The changes that were merged; empty for a single one.
    pub changes: Vec<Change>,
    /// The diff that the change was made from.
    pub diff: Option<Diff>,
    /// The incident, with what operators did already added to `change`.
    pub incident: Option<Incident>,
    /// The paths of the policies that the scenario names, the organisation's first.
    pub policies: Vec<String>,
    /// The path of the waivers that the scenario names.
    pub waivers: Option<String>,
    /// Whether the break happens with certainty, because it was asked for.
    pub is_certain: bool,
    /// Warnings about the files.
    pub warnings: Vec<Diagnostic>,
    /// The paths that were read, as the request or a scenario names them, each once.
    pub files: Vec<String>,
}

/// An incident with the topology and the change that it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentCase {
    /// The structure at that time.
    pub topology: Topology,
    /// The trigger, with what operators did.
    pub change: Change,
    /// Incident that was observed.
    pub incident: Incident,
}

/// Why a request is no project.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// No topology is named, by the request or by its incident.
    #[error("no topology is named")]
    NoTopology,
    /// Nothing is said to break.
    #[error("nothing is said to break")]
    NoCause,
    /// Standard input is named more than once, but can be read only once.
    #[error("standard input can be read only once")]
    RepeatedStdin,
    /// Files are wrong: all that is wrong with any of them.
    #[error("{} problems in the input files", .0.len())]
    Input(Vec<Diagnostic>),
}

impl From<Vec<Diagnostic>> for ProjectError {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Input(diagnostics)
    }
}
