//! From the files that a question names to a topology and a change.

use super::Failure;
use super::args::QuestionArgs;
use super::diff::{DiffArgs, List, NoList};
use blastwave::analysis;
use blastwave::analysis::replay::Case;
use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::load::{self, Document};
use blastwave::model::incident::{IncidentFiles, held_within};
use blastwave::model::{Change, Diff, Incident, Kind, Scenario, Topology, lint};

/// What was read for one question.
pub(crate) struct Inputs {
    pub(crate) topology: Topology,
    /// What breaks; of several changes, all of them as one.
    pub(crate) change: Change,
    /// The changes of which it was made; empty for a single one.
    pub(crate) changes: Vec<Change>,
    /// The diff that the change was made from.
    pub(crate) diff: Option<Diff>,
    /// The text of all files, to show places in it.
    pub(crate) sources: Sources,
    /// The policy that the scenario names.
    pub(crate) policy: Option<String>,
    /// Whether the break happens for certain, because it was asked for.
    pub(crate) is_certain: bool,
    /// What is doubtful in the files.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The files, as the user or a scenario names them.
    pub(crate) files: Vec<String>,
}

/// Where the change comes from.
enum Cause<'a> {
    Files(Vec<String>),
    Diff(List),
    Breaks(&'a [String]),
}

/// Reads what a question names; all that is wrong with it is found before anything is simulated.
pub(crate) fn read(question: &QuestionArgs) -> Result<Inputs, Failure> {
    read_with(question, nothing_breaks)
}

/// The topology of a path, or that of a scenario, and the files that were read.
pub(crate) fn read_topology(path: &str) -> Result<(Topology, Vec<String>), Failure> {
    let mut sources = Sources::default();
    let read = topology_document(path, &mut sources)
        .and_then(|(document, _, files)| Ok((Topology::from_document(&document)?, files)));
    read.map_err(|diagnostics| Failure::Input { diagnostics, sources })
}

/// The same, where nothing need break: then only what fails for its own reasons does.
pub(crate) fn read_with_or_without_change(question: &QuestionArgs) -> Result<Inputs, Failure> {
    read_with(question, || Ok(Cause::Breaks(&[])))
}

/// The same, where the change may be made from a diff.
pub(crate) fn read_with_diff(question: &QuestionArgs, diff: &DiffArgs) -> Result<Inputs, Failure> {
    let mut sources = Sources::default();
    let named = IncidentFiles::default();
    match gather(question, diff, &named, nothing_breaks, &mut sources) {
        Ok(inputs) => Ok(Inputs { sources, ..inputs }),
        Err(wrong) => Err(wrong.into_failure(sources)),
    }
}

fn read_with(
    question: &QuestionArgs,
    without: impl Fn() -> Result<Cause<'static>, Wrong>,
) -> Result<Inputs, Failure> {
    let mut sources = Sources::default();
    let (diff, named) = (DiffArgs::default(), IncidentFiles::default());
    match gather(question, &diff, &named, without, &mut sources) {
        Ok(inputs) => Ok(Inputs { sources, ..inputs }),
        Err(wrong) => Err(wrong.into_failure(sources)),
    }
}

/// The same with an incident, which may say what the question leaves open.
pub(crate) fn read_with_incident(
    question: &QuestionArgs,
    path: &str,
) -> Result<(Inputs, Incident), Failure> {
    let mut sources = Sources::default();
    let both = incident(question, path, &mut sources);
    both.map_err(|wrong| wrong.into_failure(sources))
}

/// Incidents, each with the topology and the change that it names or holds, and the files that
/// were read; all that is wrong with any of them.
pub(crate) fn read_cases(paths: &[String]) -> Result<(Vec<Case>, Vec<String>), Failure> {
    let mut sources = Sources::default();
    let mut cases = Vec::new();
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match case(path, &mut sources) {
            Ok((case, read)) => {
                cases.push(case);
                add_files(&mut files, read);
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        return Ok((cases, files));
    }
    Err(Failure::Input { diagnostics: problems, sources })
}

fn case(path: &str, sources: &mut Sources) -> Result<(Case, Vec<String>), Vec<Diagnostic>> {
    let document = load::read(path, sources)?;
    let named = Incident::files(&document, sources)?;
    let place = document.root.place;
    let lacks = |what: &str, help: &str| {
        vec![
            Diagnostic::error(Code::MissingKey, format!("{path} names no {what}"), place)
                .help(help),
        ]
    };
    let topology = named.topology.ok_or_else(|| lacks("topology", "add `topology: shop.yaml`"))?;
    let changes: Vec<String> = named.change.into_iter().map(|file| file.path).collect();
    let cause = match (changes.is_empty(), named.breaks.as_slice()) {
        (false, _) => Cause::Files(changes),
        (true, []) => {
            return Err(lacks("cause", "add `change: change.yaml` or `breaks: [payments]`"));
        }
        (true, breaks) => Cause::Breaks(breaks),
    };
    let nothing = || Ok(Cause::Breaks(&[]));
    let read =
        files(&topology.path, Some(cause), nothing, sources).map_err(|wrong| match wrong {
            Wrong::Input(problems) => problems,
            Wrong::Usage(_) => Vec::new(),
        })?;
    let inputs = read.check(sources)?;
    let incident = Incident::from_document(&document, &inputs.topology, sources)?;
    let Inputs { topology, change, mut files, .. } = inputs;
    add_files(&mut files, [path.to_owned()]);
    let change = incident.acted_on(&change);
    Ok((Case { topology, change, incident }, files))
}

fn incident(
    question: &QuestionArgs,
    path: &str,
    sources: &mut Sources,
) -> Result<(Inputs, Incident), Wrong> {
    let document = load::read(path, sources)?;
    let named = Incident::files(&document, sources)?;
    let mut inputs = gather(question, &DiffArgs::default(), &named, nothing_breaks, sources)?;
    let incident = Incident::from_document(&document, &inputs.topology, sources)?;
    inputs.change = incident.acted_on(&inputs.change);
    add_files(&mut inputs.files, [path.to_owned()]);
    Ok((inputs, incident))
}

fn gather(
    question: &QuestionArgs,
    diff: &DiffArgs,
    named: &IncidentFiles,
    without: impl Fn() -> Result<Cause<'static>, Wrong>,
    sources: &mut Sources,
) -> Result<Inputs, Wrong> {
    let by_incident = named.topology.as_ref().map(|file| (file.path.as_str(), [].as_slice()));
    let (path, breaks) = question.topology_and_breaks().or(by_incident).ok_or_else(|| {
        Wrong::Usage(
            Failure::usage("no topology is named")
                .help("put it first: `blastwave simulate shop.yaml --break payments`"),
        )
    })?;
    let by_incident = named.change.as_ref().filter(|_| breaks.is_empty());
    let breaks = if breaks.is_empty() { named.breaks.as_slice() } else { breaks };
    let named = by_incident.map(|file| vec![file.path.clone()]).unwrap_or_default();
    let changes = if question.change.is_empty() { named } else { question.change.clone() };
    let stdin = changes.iter().chain(&diff.changed_files).filter(|file| *file == "-").count();
    if stdin + usize::from(path == "-") > 1 {
        return Err(Wrong::Usage(
            Failure::usage("standard input can be read only once")
                .help("give the topology or the change as a file"),
        ));
    }
    let list = diff.list().map_err(|none| match none {
        NoList::Unreadable(problem) => Wrong::Input(vec![*problem]),
        NoList::Failure(failure) => Wrong::Usage(failure),
    })?;
    if let Some(list) = list {
        return Ok(files(path, Some(Cause::Diff(list)), without, sources)?.check(sources)?);
    }
    let asked = match (changes.is_empty(), breaks) {
        (false, _) => Some(Cause::Files(changes)),
        (true, []) => None,
        (true, breaks) => Some(Cause::Breaks(breaks)),
    };
    Ok(files(path, asked, without, sources)?.check(sources)?)
}

enum Wrong {
    Input(Vec<Diagnostic>),
    Usage(Failure),
}

impl Wrong {
    fn into_failure(self, sources: Sources) -> Failure {
        match self {
            Self::Input(diagnostics) => Failure::Input { diagnostics, sources },
            Self::Usage(failure) => failure,
        }
    }
}

impl From<Vec<Diagnostic>> for Wrong {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Input(diagnostics)
    }
}

/// A topology as it was read, and what is to happen to it.
struct Files<'a> {
    topology: Document,
    cause: Read<'a>,
    policy: Option<String>,
    paths: Vec<String>,
}

enum Read<'a> {
    Files(Vec<Document>),
    Diff(List),
    Breaks(&'a [String]),
}

fn files<'a>(
    path: &str,
    asked: Option<Cause<'a>>,
    without: impl Fn() -> Result<Cause<'static>, Wrong>,
    sources: &mut Sources,
) -> Result<Files<'a>, Wrong> {
    let (topology, scenario, mut paths) = topology_document(path, sources)?;
    let named = scenario.as_ref().map_or(&[][..], |scenario| &scenario.changes);
    let cause = match asked {
        Some(asked) => asked,
        None if named.is_empty() => without()?,
        None => Cause::Files(named.iter().map(|change| change.path.clone()).collect()),
    };
    let cause = match cause {
        Cause::Breaks(breaks) => Read::Breaks(breaks),
        Cause::Diff(list) => Read::Diff(list),
        Cause::Files(files) => {
            let documents = documents(&files, sources)?;
            add_files(&mut paths, files);
            Read::Files(documents)
        }
    };
    let policy = scenario.and_then(|scenario| scenario.policy).map(|policy| policy.path);
    Ok(Files { topology, cause, policy, paths })
}

/// Names files, each once: one file may hold an incident with its topology and its change.
fn add_files(files: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for file in more {
        if !files.contains(&file) {
            files.push(file);
        }
    }
}

/// The topology of a path, or the one that a scenario there names, and that scenario; and the files
/// that were read.
fn topology_document(
    path: &str,
    sources: &mut Sources,
) -> Result<(Document, Option<Scenario>, Vec<String>), Vec<Diagnostic>> {
    let first = load::read(path, sources)?;
    if Kind::of(&first) != Some(Kind::Scenario) {
        return Ok((held_within(first, "topology"), None, vec![path.to_owned()]));
    }
    let scenario = Scenario::from_document(&first, sources)?;
    let topology = load::read(&scenario.topology.path, sources)?;
    let paths = vec![path.to_owned(), scenario.topology.path.clone()];
    Ok((topology, Some(scenario), paths))
}

/// The documents of some files, or why any of them cannot be read.
fn documents(files: &[String], sources: &mut Sources) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    for file in files {
        match load::read(file, sources) {
            Ok(document) => documents.push(held_within(document, "change")),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

fn nothing_breaks() -> Result<Cause<'static>, Wrong> {
    Err(Wrong::Usage(
        Failure::usage("nothing is said to break")
            .help("name a planned change with `--change FILE`, or a service with `--break NAME`"),
    ))
}

impl Files<'_> {
    /// Checks the topology, and then the change against it.
    fn check(self, sources: &mut Sources) -> Result<Inputs, Vec<Diagnostic>> {
        let topology = Topology::from_document(&self.topology).map_err(|mut problems| {
            // Names in the changes may be wrong or right; what is wrong with them anyway is said too.
            if let Read::Files(documents) = &self.cause {
                problems.extend(documents.iter().flat_map(|it| it.problems.clone()));
            }
            problems
        })?;
        let diff = match &self.cause {
            Read::Diff(List { bytes, is_null, ignored }) => {
                Some(Diff::read(bytes, *is_null, &topology, ignored)?)
            }
            _ => None,
        };
        let mut changes = match &self.cause {
            Read::Files(documents) => changes(documents, &topology)?,
            Read::Diff(_) => diff.iter().map(|diff| diff.change(&topology)).collect(),
            Read::Breaks([]) => vec![Change::certain("nothing", Vec::new())],
            Read::Breaks(breaks) => vec![Change::from_breaks(breaks, &topology, sources)?],
        };
        let is_certain = matches!(self.cause, Read::Breaks(_));
        let mut warnings = lint::topology(&topology);
        // What is made from a diff was not written by anybody, and holds nothing to be doubted.
        if matches!(self.cause, Read::Files(_)) {
            warnings.extend(changes.iter().flat_map(|change| lint::change(change, &topology)));
        }
        let change = analysis::merge(&changes).expect("a question has a cause");
        if changes.len() == 1 {
            changes.clear();
        }
        let Self { policy, paths: files, .. } = self;
        let sources = Sources::default();
        Ok(Inputs { topology, change, changes, diff, sources, policy, is_certain, warnings, files })
    }
}

/// The changes, or everything that is wrong with any of them.
fn changes(documents: &[Document], topology: &Topology) -> Result<Vec<Change>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut changes = Vec::new();
    for document in documents {
        match Change::from_document(document, topology) {
            Ok(change) => changes.push(change),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(changes) } else { Err(problems) }
}

impl Inputs {
    /// One line for all warnings, and how to see them; nothing where there are none.
    pub(crate) fn warning_line(&self) -> Option<String> {
        let noun = match self.warnings.len() {
            0 => return None,
            1 => "warning",
            _ => "warnings",
        };
        let files: Vec<String> = self.files.iter().map(|file| quoted(file)).collect();
        let count = self.warnings.len();
        Some(format!("{count} {noun}: run `blastwave validate {}`\n", files.join(" ")))
    }
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,=@%:".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("a/b-c.yaml"), "a/b-c.yaml");
        assert_eq!(quoted("my shop.yaml"), "'my shop.yaml'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
