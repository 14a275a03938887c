//! From arguments to a project: what a question names, read and checked.

use super::Failure;
use super::args::{EnvironmentArgs, QuestionArgs};
use super::diff::{DiffArgs, NoList};
use blastwave::diagnostic::Sources;
use blastwave::model::Topology;
use blastwave::project::{
    Cause, IncidentCase, Project, ProjectError, Request, read_incident_cases,
};

/// A project with the text of its files.
pub(crate) struct Inputs {
    pub(crate) project: Project,
    /// The text of all files, to show places in them.
    pub(crate) sources: Sources,
}

impl std::ops::Deref for Inputs {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

/// Reads what a question names; all that is wrong with its files is found before anything is simulated.
pub(crate) fn read_inputs(question: &QuestionArgs) -> Result<Inputs, Failure> {
    read_request(&request_of(question))
}

/// Reads what a question names; where it names no change, only background failures occur.
pub(crate) fn read_with_or_without_change(question: &QuestionArgs) -> Result<Inputs, Failure> {
    read_request(&Request { default_cause: Some(Cause::Nothing), ..request_of(question) })
}

/// Reads what a question names together with an incident, which may name what the question leaves open.
pub(crate) fn read_with_incident(question: &QuestionArgs, path: &str) -> Result<Inputs, Failure> {
    read_request(&Request { incident: Some(path.to_owned()), ..request_of(question) })
}

/// Reads what a question names, where the change may be made from a diff.
/// Files that `provided` holds are not opened.
pub(crate) fn read_with_diff(
    question: &QuestionArgs,
    diff: &DiffArgs,
    provided: Sources,
) -> Result<Inputs, Failure> {
    let request = request_of(question);
    let is_list_on_stdin = diff.changed_files.as_deref() == Some("-");
    // Checked before the list is read: it would leave nothing for the topology.
    if is_list_on_stdin && request.topology.as_deref() == Some("-") {
        return Err(failure_of(ProjectError::RepeatedStdin, Sources::default()));
    }
    let list = diff.file_list().map_err(|none| match none {
        NoList::Unreadable(problem) => {
            Failure::Input { diagnostics: vec![*problem], sources: Sources::default() }
        }
        NoList::Failure(failure) => failure,
    })?;
    let cause = list.map(Cause::Diff).or(request.cause);
    // Where nothing is said to break, the topology itself is judged.
    let default_cause = Some(Cause::Nothing);
    read_request_with(&Request { cause, default_cause, ..request }, provided)
}

/// Reads what a question names, where the text of its change is made by this program and known as `name`.
pub(crate) fn read_with_derived(
    question: &QuestionArgs,
    name: &str,
    text: String,
    mut provided: Sources,
) -> Result<Inputs, Failure> {
    provided.provide(name, text.into_bytes());
    let cause = Some(Cause::Changes(vec![name.to_owned()]));
    let mut inputs = read_request_with(&Request { cause, ..request_of(question) }, provided)?;
    // Nobody can open, or mend, a file that was never written.
    inputs.project.files.retain(|file| file != name);
    let Inputs { project, sources } = &mut inputs;
    project.warnings.retain(|warning| {
        warning.primary.as_ref().is_none_or(|label| sources.get(label.place.source).name != name)
    });
    Ok(inputs)
}

/// Reads the topology of a path, or of the scenario there, and returns the paths that were read.
pub(crate) fn read_topology(path: &str) -> Result<(Topology, Vec<String>), Failure> {
    read_topology_in(path, &EnvironmentArgs::default())
}

/// The same in an environment.
pub(crate) fn read_topology_in(
    path: &str,
    environment: &EnvironmentArgs,
) -> Result<(Topology, Vec<String>), Failure> {
    let mut sources = Sources::default();
    let environment = environment.env.as_deref();
    let read = blastwave::project::read_topology(path, environment, &mut sources);
    read.map_err(|diagnostics| Failure::Input { diagnostics, sources })
}

/// Reads the topology of a path, or of the scenario there, where `sources` may hold its files; returns the
/// paths that were read, and the text of the files.
pub(crate) fn read_topology_with_sources(
    path: &str,
    environment: &EnvironmentArgs,
    mut sources: Sources,
) -> Result<(Topology, Vec<String>, Sources), Failure> {
    let environment = environment.env.as_deref();
    match blastwave::project::read_topology(path, environment, &mut sources) {
        Ok((topology, files)) => Ok((topology, files, sources)),
        Err(diagnostics) => Err(Failure::Input { diagnostics, sources }),
    }
}

/// Reads the topology of a path, where `provided` may hold it, or of the scenario there.
pub(crate) fn read_provided_topology(
    path: &str,
    environment: Option<&str>,
    provided: &Sources,
) -> Result<Topology, Failure> {
    let mut sources = provided.clone();
    match blastwave::project::read_topology(path, environment, &mut sources) {
        Ok((topology, _)) => Ok(topology),
        Err(diagnostics) => Err(Failure::Input { diagnostics, sources }),
    }
}

/// Reads incidents, each with its topology and its change, and returns the paths that were read.
pub(crate) fn read_cases(paths: &[String]) -> Result<(Vec<IncidentCase>, Vec<String>), Failure> {
    let mut sources = Sources::default();
    let read = read_incident_cases(paths, &mut sources);
    read.map_err(|diagnostics| Failure::Input { diagnostics, sources })
}

pub(super) fn request_of(question: &QuestionArgs) -> Request {
    let (topology, breaks) = match question.topology_and_breaks() {
        Some((topology, breaks)) => (Some(topology.to_owned()), breaks),
        None => (None, [].as_slice()),
    };
    let cause = if !question.change.is_empty() {
        Some(Cause::Changes(question.change.clone()))
    } else if !breaks.is_empty() {
        Some(Cause::Breaks(breaks.to_vec()))
    } else {
        None
    };
    let environment = question.environment().map(str::to_owned);
    Request { topology, cause, environment, ..Request::default() }
}

fn read_request(request: &Request) -> Result<Inputs, Failure> {
    read_request_with(request, Sources::default())
}

fn read_request_with(request: &Request, mut sources: Sources) -> Result<Inputs, Failure> {
    match Project::read_request(request, &mut sources) {
        Ok(project) => Ok(Inputs { project, sources }),
        Err(error) => Err(failure_of(error, sources)),
    }
}

/// Says what is wrong with a request in terms of arguments.
fn failure_of(error: ProjectError, sources: Sources) -> Failure {
    let failure = Failure::usage(error.to_string());
    match error {
        ProjectError::Input(diagnostics) => Failure::Input { diagnostics, sources },
        ProjectError::NoTopology => {
            failure.help("put it first: `blastwave simulate shop.yaml --break payments`")
        }
        ProjectError::NoCause => failure
            .help("name a planned change with `--change FILE`, or a service with `--break NAME`"),
        ProjectError::RepeatedStdin => failure.help("give the topology or the change as a file"),
        _ => failure,
    }
}

/// Returns one line for all warnings and how to see them; `None` without warnings.
pub(crate) fn warning_line(project: &Project) -> Option<String> {
    let noun = match project.warnings.len() {
        0 => return None,
        1 => "warning",
        _ => "warnings",
    };
    // Quoted, since the line is there to be copied.
    let files: Vec<String> = project.files.iter().map(|file| shell_quoted(file)).collect();
    let count = project.warnings.len();
    Some(format!("{count} {noun}: run `blastwave validate {}`\n", files.join(" ")))
}

/// Returns a path as a shell takes it.
pub(crate) fn shell_quoted(path: &str) -> String {
    // Few characters have no meaning in any shell; all else is quoted.
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,=@%:".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path.to_owned();
    }
    // A quote cannot stand within quotes: they are closed, the quote is escaped, and they are
    // opened again.
    format!("'{}'", path.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(shell_quoted("a/b-c.yaml"), "a/b-c.yaml");
        assert_eq!(shell_quoted("my shop.yaml"), "'my shop.yaml'");
        assert_eq!(shell_quoted("it's"), "'it'\\''s'");
    }
}
