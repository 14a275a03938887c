//! Reads the files of a request, and checks each against the others.

use std::slice;

use super::include::{self, ReadTopology};
use super::merge::merge_changes;
use super::{Cause, ChangedFiles, FileList, IncidentCase, Project, ProjectError, Request};
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::{self, Document};
use crate::model::incident::{IncidentFiles, held_within};
use crate::model::{Change, Diff, Incident, Kind, Scenario, Topology, lint};

impl Project {
    /// Reads what a request names. The text of all files is added to `sources`, so that places in them
    /// can be shown.
    ///
    /// # Errors
    /// Returns all that is wrong with the request and its files.
    pub fn read_request(request: &Request, sources: &mut Sources) -> Result<Self, ProjectError> {
        let incident = match &request.incident {
            Some(path) => Some((path, load::read_document(path, sources)?)),
            None => None,
        };
        // The incident is read first: it may name the topology and the cause.
        let named = match &incident {
            Some((_, document)) => Incident::named_files(document, sources)?,
            None => IncidentFiles::default(),
        };
        let topology =
            request.topology.clone().or_else(|| Some(named.topology.as_ref()?.path.clone()));
        let topology = topology.ok_or(ProjectError::NoTopology)?;
        // What was asked for stands before what files say.
        let cause = request.cause.clone().or_else(|| cause_of_incident(&named));
        refuse_repeated_stdin(&topology, cause.as_ref())?;
        let default = request.default_cause.clone();
        let environment = request.environment.as_deref();
        let documents = read_documents(&topology, environment, cause, default, sources)?;
        let mut project = documents.check_documents(sources)?;
        if let Some((path, document)) = incident {
            let incident = Incident::from_document(&document, &project.topology, sources)?;
            // Only after the change is checked: what operators did is laid over it.
            project.change = incident.acted_on(&project.change);
            project.incident = Some(incident);
            add_files(&mut project.files, slice::from_ref(path));
        }
        Ok(project)
    }
}

/// Reads the topology of a path, or the one that a scenario there names; returns the paths that were read
/// beside it.
///
/// # Errors
/// Returns all that is wrong with the files.
pub fn read_topology(
    path: &str,
    environment: Option<&str>,
    sources: &mut Sources,
) -> Result<(Topology, Vec<String>), Vec<Diagnostic>> {
    let (document, _, files) = topology_document(path, environment, sources)?;
    Ok((Topology::from_document(&document)?, files))
}

/// Puts the document of a topology together with the files that it includes, in an environment or as it
/// stands; returns the paths that were read beside it.
///
/// # Errors
/// Returns all that keeps the files from being read.
pub fn compose_document(
    path: &str,
    document: Document,
    environment: Option<&str>,
    sources: &mut Sources,
) -> Result<(Document, Vec<String>), Vec<Diagnostic>> {
    let ReadTopology { document, files } = composed_topology(path, document, environment, sources)?;
    Ok((document, files))
}

/// Reads incidents, each with the topology and the change that it names or holds; returns the paths that
/// were read beside them.
///
/// # Errors
/// Returns all that is wrong with any of them.
pub fn read_incident_cases(
    paths: &[String],
    sources: &mut Sources,
) -> Result<(Vec<IncidentCase>, Vec<String>), Vec<Diagnostic>> {
    let mut cases = Vec::new();
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match read_incident_case(path, sources) {
            Ok((case, read)) => {
                cases.push(case);
                add_files(&mut files, &read);
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok((cases, files)) } else { Err(problems) }
}

fn read_incident_case(
    path: &str,
    sources: &mut Sources,
) -> Result<(IncidentCase, Vec<String>), Vec<Diagnostic>> {
    let document = load::read_document(path, sources)?;
    let named = Incident::named_files(&document, sources)?;
    let lacks = |what: &str, help: &str| {
        let message = format!("{path} names no {what}");
        vec![Diagnostic::error(Code::MissingKey, message, document.root.place).help(help)]
    };
    let cause = cause_of_incident(&named)
        .ok_or_else(|| lacks("cause", "add `change: change.yaml` or `breaks: [payments]`"))?;
    let topology = named.topology.ok_or_else(|| lacks("topology", "add `topology: shop.yaml`"))?;
    let documents = read_documents(&topology.path, None, Some(cause), None, sources)
        .map_err(only_diagnostics)?;
    let Project { topology, change, mut files, .. } = documents.check_documents(sources)?;
    let incident = Incident::from_document(&document, &topology, sources)?;
    add_files(&mut files, &[path.to_owned()]);
    let change = incident.acted_on(&change);
    Ok((IncidentCase { topology, change, incident }, files))
}

/// Returns the diagnostics of an error about a request that names its topology and its cause.
fn only_diagnostics(error: ProjectError) -> Vec<Diagnostic> {
    match error {
        ProjectError::Input(diagnostics) => diagnostics,
        ProjectError::NoTopology | ProjectError::NoCause | ProjectError::RepeatedStdin => {
            Vec::new()
        }
    }
}

/// Returns what an incident says set it off: a change before breaks.
fn cause_of_incident(named: &IncidentFiles) -> Option<Cause> {
    match (&named.change, named.breaks.as_slice()) {
        (Some(change), _) => Some(Cause::Changes(vec![change.path.clone()])),
        (None, []) => None,
        (None, breaks) => Some(Cause::Breaks(breaks.to_vec())),
    }
}

/// Refuses a request that names standard input twice. A diff counts by its own bytes: they were read already.
fn refuse_repeated_stdin(topology: &str, cause: Option<&Cause>) -> Result<(), ProjectError> {
    let changes = match cause {
        Some(Cause::Changes(files)) => files.as_slice(),
        _ => &[],
    };
    // The topology counts as well: a pipe can be read by one reader only.
    let count =
        changes.iter().map(String::as_str).chain([topology]).filter(|path| *path == "-").count();
    if count > 1 { Err(ProjectError::RepeatedStdin) } else { Ok(()) }
}

/// The files of a request as trees of values, before they are checked.
struct Documents {
    topology: Document,
    cause: CauseDocuments,
    policies: Vec<String>,
    waivers: Option<String>,
    paths: Vec<String>,
}

enum CauseDocuments {
    Changes(Vec<Document>),
    Breaks(Vec<String>),
    /// With the change that says how its files are shipped.
    Diff(FileList, Option<Document>),
}

/// Reads a topology or scenario and its changes. A cause that was asked for replaces the scenario's.
fn read_documents(
    path: &str,
    environment: Option<&str>,
    asked: Option<Cause>,
    default: Option<Cause>,
    sources: &mut Sources,
) -> Result<Documents, ProjectError> {
    let (topology, scenario, mut paths) = topology_document(path, environment, sources)?;
    let cause = asked
        .or_else(|| cause_of_scenario(scenario.as_ref()?))
        .or(default)
        .ok_or(ProjectError::NoCause)?;
    let cause = match cause {
        // Nothing is a list of breaks without a break, so that what follows has one way less.
        Cause::Nothing => CauseDocuments::Breaks(Vec::new()),
        Cause::Breaks(breaks) => CauseDocuments::Breaks(breaks),
        Cause::Diff(list) => {
            let shipped_as = match &list.shipped_as {
                Some(file) => {
                    add_files(&mut paths, slice::from_ref(file));
                    Some(load::read_document(file, sources)?)
                }
                None => None,
            };
            CauseDocuments::Diff(list, shipped_as)
        }
        Cause::Changes(files) => {
            let documents = change_documents(&files, sources)?;
            add_files(&mut paths, &files);
            CauseDocuments::Changes(documents)
        }
    };
    let (policies, waivers) = match scenario {
        Some(Scenario { policies, waivers, .. }) => (policies, waivers),
        None => (Vec::new(), None),
    };
    let policies: Vec<String> = policies.into_iter().map(|policy| policy.path).collect();
    let waivers = waivers.map(|waivers| waivers.path);
    // They are inputs of the question, though only the gate reads them.
    add_files(&mut paths, &policies);
    add_files(&mut paths, waivers.as_slice());
    Ok(Documents { topology, cause, policies, waivers, paths })
}

fn cause_of_scenario(scenario: &Scenario) -> Option<Cause> {
    let changes: Vec<String> = scenario.changes.iter().map(|change| change.path.clone()).collect();
    (!changes.is_empty()).then_some(Cause::Changes(changes))
}

/// Adds paths, each once: one file may hold an incident with its topology and its change.
fn add_files(files: &mut Vec<String>, more: &[String]) {
    for file in more {
        if !files.contains(file) {
            files.push(file.clone());
        }
    }
}

/// Returns the path of the topology that a scenario names; `None` where the file is no scenario.
///
/// # Errors
/// Returns all that is wrong with the file of this path; the topology is not read.
pub fn topology_of_scenario(
    path: &str,
    sources: &mut Sources,
) -> Result<Option<String>, Vec<Diagnostic>> {
    if include::is_folder(path) {
        return Ok(None);
    }
    let document = load::read_document(path, sources)?;
    if Kind::of_document(&document) != Some(Kind::Scenario) {
        return Ok(None);
    }
    Ok(Some(Scenario::from_document(&document, sources)?.topology.path))
}

/// Reads the topology of a path, or the one that a scenario there names; returns that scenario and the
/// paths that were read beside it.
fn topology_document(
    path: &str,
    environment: Option<&str>,
    sources: &mut Sources,
) -> Result<(Document, Option<Scenario>, Vec<String>), Vec<Diagnostic>> {
    if include::is_folder(path) {
        let ReadTopology { document, files } = include::read_folder(path, environment, sources)?;
        return Ok((document, None, files));
    }
    let first = load::read_document(path, sources)?;
    match Kind::of_document(&first) {
        Some(Kind::Scenario) => {}
        Some(Kind::Topology) => {
            let ReadTopology { document, files } =
                composed_topology(path, first, environment, sources)?;
            return Ok((document, None, files));
        }
        // An incident may hold its topology itself, so the file may be one of those.
        _ => return Ok((held_within(first, "topology"), None, vec![path.to_owned()])),
    }
    let scenario = Scenario::from_document(&first, sources)?;
    let mut paths = vec![path.to_owned()];
    // What was asked for stands before what the scenario says.
    let environment = environment.or(scenario.environment.as_deref());
    let topology = &scenario.topology.path;
    let ReadTopology { document, files } = if include::is_folder(topology) {
        include::read_folder(topology, environment, sources)?
    } else {
        let document = load::read_document(topology, sources)?;
        composed_topology(topology, document, environment, sources)?
    };
    add_files(&mut paths, &files);
    Ok((document, Some(scenario), paths))
}

/// Puts a topology together; one that includes nothing stays as it is, which costs nothing.
fn composed_topology(
    path: &str,
    document: Document,
    environment: Option<&str>,
    sources: &mut Sources,
) -> Result<ReadTopology, Vec<Diagnostic>> {
    if document.get("include").is_none() && environment.is_none() {
        return Ok(ReadTopology { document, files: vec![path.to_owned()] });
    }
    include::read_included(path, document, environment, sources)
}

fn change_documents(
    files: &[String],
    sources: &mut Sources,
) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    for file in files {
        match load::read_document(file, sources) {
            Ok(document) => documents.push(held_within(document, "change")),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

impl Documents {
    /// Checks the topology, and then the change against it.
    fn check_documents(self, sources: &mut Sources) -> Result<Project, Vec<Diagnostic>> {
        let topology = Topology::from_document(&self.topology).map_err(|mut problems| {
            // Names in the changes cannot be checked without a topology; their form can.
            if let CauseDocuments::Changes(documents) = &self.cause {
                problems.extend(documents.iter().flat_map(|document| document.problems.clone()));
            }
            problems
        })?;
        let mut warnings = lint::lint_topology(&topology);
        let mut diff = None;
        let mut changes = match &self.cause {
            CauseDocuments::Changes(documents) => {
                let changes = checked_changes(documents, &topology)?;
                warnings
                    .extend(changes.iter().flat_map(|change| lint::lint_change(change, &topology)));
                changes
            }
            // Nobody wrote a change that is made from a diff, so there is nothing to warn about.
            CauseDocuments::Diff(list, shipped_as) => {
                let read = match &list.files {
                    ChangedFiles::Names { bytes, is_null_separated } => {
                        Diff::from_names(bytes, *is_null_separated, &topology, &list.ignored)?
                    }
                    ChangedFiles::Contents(files) => {
                        Diff::of_files(files, &topology, &list.ignored)?
                    }
                };
                let mut change = read.as_change(&topology);
                if let Some(document) = shipped_as {
                    change = Change::shipped_as(document, &topology, change)?;
                }
                change = list.authorship.clone().completed(change);
                diff = Some(read);
                vec![change]
            }
            CauseDocuments::Breaks(breaks) if breaks.is_empty() => {
                // A change without targets: what fails then fails for its own reasons.
                vec![Change::from_targets("nothing", Vec::new())]
            }
            CauseDocuments::Breaks(breaks) => {
                vec![Change::from_breaks(breaks, &topology, sources)?]
            }
        };
        let change = merge_changes(&changes).expect("every cause makes at least one change");
        // Only here are both the horizon and all availabilities known.
        if let Some(problem) = change.find_too_many_outages(&topology, self.topology.root.place) {
            return Err(vec![problem]);
        }
        // A single change is not merged, so there is nothing to compare it with.
        if changes.len() == 1 {
            changes.clear();
        }
        let is_certain = matches!(self.cause, CauseDocuments::Breaks(_));
        let Self { policies, waivers, paths: files, .. } = self;
        let incident = None;
        Ok(Project {
            topology,
            change,
            changes,
            diff,
            incident,
            policies,
            waivers,
            is_certain,
            warnings,
            files,
        })
    }
}

/// Checks changes against their topology; returns everything that is wrong with any of them.
fn checked_changes(
    documents: &[Document],
    topology: &Topology,
) -> Result<Vec<Change>, Vec<Diagnostic>> {
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
