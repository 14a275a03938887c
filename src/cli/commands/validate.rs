//! `blastwave validate`: every problem in some files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cli::args::{ListFormat, ValidateArgs};
use crate::cli::exit::Exit;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use crate::cli::{Failure, diagnostics_style};
use blastwave::diagnostic::{self, Code, Diagnostic, Severity, Sources};
use blastwave::load::{self, Document};
use blastwave::model::incident::held_within;
use blastwave::model::{Change, Costs, Incident, Kind, Observation, Scenario, Topology, lint};
use blastwave::policy::{CaseSuite, Policy, Waivers};
use blastwave::project::{compose_document, read_topology};
use blastwave::render::ci::{github, sarif};
use blastwave::render::json;
use blastwave::render::text::diagnostics;
use blastwave::report::Problem;

/// Reads files, and writes everything that is wrong with them or doubtful.
pub(crate) fn run_validate(args: &ValidateArgs, terminal: Terminal) -> Result<Exit, Failure> {
    if args.files.iter().filter(|file| *file == "-").count() > 1 {
        return Err(Failure::usage("standard input can be read only once"));
    }
    // Opened before anything is read, so that a path that cannot be written is told at once.
    let output = ResultOutput::open(args.output.as_deref(), &args.files)?;
    let mut found = FileFindings::default();
    found.check_files(&args.files);
    found.settle_problems(args.strict);
    let text = match args.format {
        ListFormat::Text => found.findings_text(diagnostics_style(output.has_color(terminal))),
        ListFormat::Json => json::render_problems(&found.problem_reports()),
        ListFormat::Sarif => sarif::render_problems(&found.problem_reports()),
        ListFormat::Github => github::render_problems(&found.problem_reports()),
    };
    output.write_result(&text, terminal)?;
    found.exit_status()
}

/// Documents that were read, and what is wrong with them.
#[derive(Default)]
struct FileFindings {
    sources: Sources,
    problems: Vec<Diagnostic>,
    /// Documents by path, so that a file which several others name is read and judged once;
    /// nothing for what cannot be read.
    documents: BTreeMap<String, Option<Document>>,
    topologies: BTreeMap<String, Option<Topology>>,
    /// Files that are parts of one of the topologies.
    parts: BTreeSet<String>,
    /// One line for each file that is in order.
    facts: Vec<String>,
    /// Changes that could not be checked, and why.
    unchecked: Option<Unchecked>,
}

struct Unchecked {
    change: String,
    topologies: usize,
}

impl FileFindings {
    /// The problems as data.
    fn problem_reports(&self) -> Vec<Problem> {
        self.problems.iter().map(|problem| Problem::new(problem, &self.sources)).collect()
    }

    fn check_files(&mut self, files: &[String]) {
        // All files are read before any is judged: which topology there is may stand last.
        for file in files {
            self.read_file(file);
        }
        let of_kind = |found: &Self, wanted: Kind| -> Vec<String> {
            let is_wanted = |file: &&String| found.kind_of(file) == Some(wanted);
            files.iter().filter(is_wanted).cloned().collect()
        };
        // Topologies first, since all others are checked against them; their parts are read with them.
        for file in &of_kind(self, Kind::Topology) {
            self.find_parts(file);
        }
        let is_whole = |file: &String| !self.parts.contains(&plain_path(file));
        let mut topologies = of_kind(self, Kind::Topology);
        topologies.retain(is_whole);
        topologies.extend(files.iter().filter(|file| Path::new(file).is_dir()).cloned());
        for file in &topologies {
            self.check_topology(file);
        }
        for file in of_kind(self, Kind::Change) {
            match topologies.as_slice() {
                [topology] => self.check_change(&file, topology),
                // With several topologies it is not clear which one is meant, and with none no name
                // can be checked.
                several => self.leave_unchecked(&file, several.len()),
            }
        }
        let only_topology = topologies.first().filter(|_| topologies.len() == 1);
        let mut policies: Vec<Policy> = Vec::new();
        for file in of_kind(self, Kind::Policy) {
            // A policy can be checked without a topology, apart from names.
            policies.extend(self.check_policy(&file, only_topology));
        }
        for file in of_kind(self, Kind::Waivers) {
            // With several policies it is not known which of them are applied together.
            let policy = policies.first().filter(|_| policies.len() == 1);
            self.check_waivers(&file, only_topology, policy);
        }
        for file in of_kind(self, Kind::PolicyTest) {
            self.check_policy_test(&file);
        }
        for file in of_kind(self, Kind::Scenario) {
            self.check_scenario(&file);
        }
        for file in of_kind(self, Kind::Incident) {
            self.check_incident(&file, &topologies);
        }
        for file in of_kind(self, Kind::Costs) {
            self.check_costs(&file, only_topology);
        }
        for file in of_kind(self, Kind::Observation) {
            match topologies.as_slice() {
                [topology] => self.check_observation(&file, topology),
                several => self.leave_unchecked(&file, several.len()),
            }
        }
        for file in files {
            self.explain_foreign(file);
        }
    }

    /// Takes down which files a topology includes.
    fn find_parts(&mut self, path: &str) {
        let document = self.document_at(path).filter(|document| document.get("include").is_some());
        let Some(document) = document.cloned() else { return };
        let mut sources = self.sources.clone();
        // What is wrong is told when the topology is checked.
        if let Ok((_, files)) = compose_document(path, document, None, &mut sources) {
            let parts = files.iter().filter(|file| *file != path);
            self.parts.extend(parts.map(|file| plain_path(file)));
        }
    }

    /// Reads a file, if it was not yet.
    fn read_file(&mut self, path: &str) {
        // The files of a folder are read when it is checked as a topology.
        if self.documents.contains_key(path) || Path::new(path).is_dir() {
            return;
        }
        let document = load::read_document(path, &mut self.sources);
        let document = document.map_err(|problems| self.problems.extend(problems)).ok();
        self.documents.insert(path.to_owned(), document);
    }

    fn document_at(&self, path: &str) -> Option<&Document> {
        self.documents.get(path)?.as_ref()
    }

    fn kind_of(&self, path: &str) -> Option<Kind> {
        Kind::of_document(self.document_at(path)?)
    }

    fn check_topology(&mut self, path: &str) {
        if self.topologies.contains_key(path) {
            return;
        }
        let read = if Path::new(path).is_dir() {
            read_topology(path, None, &mut self.sources).map(|(topology, _)| topology)
        } else {
            let Some(document) = self.document_at(path).cloned() else { return };
            self.composed_topology(path, &held_within(document, "topology"))
        };
        let topology = match read {
            Ok(topology) => {
                self.problems.extend(lint::lint_topology(&topology));
                self.facts.push(format!("{path}: {}", describe_topology(&topology)));
                Some(topology)
            }
            // Kept as wrong, so that it is not judged again for each file that names it.
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        };
        self.topologies.insert(path.to_owned(), topology);
    }

    /// Decodes a topology with its parts, as it stands and in each of its environments.
    fn composed_topology(
        &mut self,
        path: &str,
        document: &Document,
    ) -> Result<Topology, Vec<Diagnostic>> {
        let names = |document: &Document| -> Vec<String> {
            let environments = document.get("environments").map(|entry| entry.value.entries());
            environments.into_iter().flatten().map(|entry| entry.key.text.to_string()).collect()
        };
        let environments = names(document);
        let (base, _) = compose_document(path, document.clone(), None, &mut self.sources)?;
        let topology = Topology::from_document(&base)?;
        // Each would repeat what is wrong with the topology itself, so they come after it.
        let mut problems = Vec::new();
        for name in environments {
            let composed = compose_document(path, document.clone(), Some(&name), &mut self.sources)
                .and_then(|(document, _)| Topology::from_document(&document));
            problems.extend(composed.err().into_iter().flatten());
        }
        if problems.is_empty() { Ok(topology) } else { Err(problems) }
    }

    fn check_change(&mut self, path: &str, topology: &str) {
        let Some(document) = self.document_at(path) else { return };
        // With a topology that is wrong itself, every name in the change may be wrong or right.
        let Some(Some(topology)) = self.topologies.get(topology) else {
            // What is wrong with its form can be told all the same.
            let problems = document.problems.clone();
            self.problems.extend(problems);
            return;
        };
        match Change::from_document(&held_within(document.clone(), "change"), topology) {
            Ok(change) => {
                let warnings = lint::lint_change(&change, topology);
                let count = counted_noun(change.targets.len(), "target");
                let fact = format!("{path}: change `{}` to {count}", change.name);
                self.problems.extend(warnings);
                self.facts.push(fact);
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// Checks a policy, and the names in it where there is one topology.
    fn check_policy(&mut self, path: &str, topology: Option<&String>) -> Option<Policy> {
        let document = self.document_at(path)?;
        let topology = topology.and_then(|path| self.topologies.get(path)?.as_ref());
        match Policy::from_document(document, &self.sources, topology) {
            Ok(policy) => {
                let rules = counted_noun(policy.rules.len(), "rule");
                self.facts.push(format!("{path}: policy `{}` of {rules}", policy.name));
                Some(policy)
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    /// Checks waivers, the services and teams in them where there is one topology, and their rules where there
    /// is one policy.
    fn check_waivers(&mut self, path: &str, topology: Option<&String>, policy: Option<&Policy>) {
        let Some(document) = self.document_at(path) else { return };
        let topology = topology.and_then(|path| self.topologies.get(path)?.as_ref());
        match Waivers::from_document(document, topology) {
            Ok(waivers) => {
                let problems = policy.map(|policy| waivers.unknown_rules(policy));
                self.problems.extend(problems.into_iter().flatten());
                let count = counted_noun(waivers.list.len(), "waiver");
                self.facts.push(format!("{path}: waivers `{}`: {count}", waivers.name));
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// Checks tests of policies; the files that they name are read when they are run.
    fn check_policy_test(&mut self, path: &str) {
        let Some(document) = self.document_at(path) else { return };
        match CaseSuite::from_document(document, &self.sources) {
            Ok(suite) => {
                let count = counted_noun(suite.cases.len(), "case");
                self.facts.push(format!("{path}: policy test `{}` of {count}", suite.name));
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// Checks costs, and the places in them where there is one topology.
    fn check_costs(&mut self, path: &str, topology: Option<&String>) {
        let Some(document) = self.document_at(path) else { return };
        let topology = topology.and_then(|path| self.topologies.get(path)?.as_ref());
        match Costs::from_document(document, topology) {
            Ok(costs) => {
                let count = counted_noun(costs.protections.len(), "cost");
                self.facts.push(format!("{path}: costs `{}` of {count}", costs.name));
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    fn check_observation(&mut self, path: &str, topology: &str) {
        let Some(document) = self.document_at(path) else { return };
        let Some(Some(topology)) = self.topologies.get(topology) else { return };
        match Observation::from_document(document, topology) {
            Ok(seen) => {
                let count = counted_noun(seen.observed.len(), "report");
                self.facts.push(format!("{path}: observation `{}` of {count}", seen.name));
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    fn leave_unchecked(&mut self, path: &str, topologies: usize) {
        let problems = self.document_at(path).map(|document| document.problems.clone());
        self.problems.extend(problems.into_iter().flatten());
        self.unchecked.get_or_insert(Unchecked { change: path.to_owned(), topologies });
    }

    /// Checks a scenario, and the files it names.
    fn check_scenario(&mut self, path: &str) {
        let Some(document) = self.document_at(path) else { return };
        let scenario = match Scenario::from_document(document, &self.sources) {
            Ok(scenario) => scenario,
            Err(problems) => return self.problems.extend(problems),
        };
        self.read_file(&scenario.topology.path);
        self.check_topology(&scenario.topology.path);
        for change in &scenario.changes {
            self.read_file(&change.path);
            self.check_change(&change.path, &scenario.topology.path);
        }
        let mut policies = Vec::new();
        for policy in &scenario.policies {
            self.read_file(&policy.path);
            policies.extend(self.check_policy(&policy.path, Some(&scenario.topology.path)));
        }
        // Policies that are wrong by themselves say nothing about each other.
        let policy = if policies.len() == scenario.policies.len() {
            Policy::layered(policies).unwrap_or_else(|problems| {
                self.problems.extend(problems);
                None
            })
        } else {
            None
        };
        if let Some(waivers) = &scenario.waivers {
            self.read_file(&waivers.path);
            self.check_waivers(&waivers.path, Some(&scenario.topology.path), policy.as_ref());
        }
        let changes = counted_noun(scenario.changes.len(), "change");
        self.facts.push(format!("{path}: scenario `{}` of {changes}", scenario.name));
    }

    /// Checks an incident against the topology it names, or the only one there is.
    fn check_incident(&mut self, path: &str, topologies: &[String]) {
        let Some(document) = self.document_at(path) else { return };
        let (named, has_change) = match Incident::named_files(document, &self.sources) {
            Ok(files) => {
                // An incident may hold its change itself, and is then a change file too.
                let has_change = files.change.is_some_and(|file| file.path == path);
                (files.topology.map(|file| file.path), has_change)
            }
            Err(problems) => return self.problems.extend(problems),
        };
        let topology = match (named, topologies) {
            (Some(named), _) => named,
            (None, [one]) => one.clone(),
            (None, several) => return self.leave_unchecked(path, several.len()),
        };
        self.read_file(&topology);
        self.check_topology(&topology);
        if has_change {
            self.check_change(path, &topology);
        }
        let Some(Some(topology)) = self.topologies.get(&topology) else { return };
        let Some(document) = self.document_at(path) else { return };
        match Incident::from_document(document, topology, &self.sources) {
            Ok(incident) => {
                let count = counted_noun(incident.observed.len(), "observation");
                self.facts.push(format!("{path}: incident `{}` with {count}", incident.name));
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// Says what a file is that is none of those which can be checked.
    fn explain_foreign(&mut self, path: &str) {
        let Some(document) = self.document_at(path) else { return };
        if Kind::of_document(document).is_some() {
            return;
        }
        // It tells best what is missing, and what the file is instead.
        let problems = Topology::from_document(document).err().unwrap_or_default();
        self.problems.extend(problems);
    }

    /// Puts the problems in order, and takes warnings for errors where that is wanted.
    fn settle_problems(&mut self, is_strict: bool) {
        if is_strict {
            for problem in &mut self.problems {
                problem.severity = Severity::Error;
            }
        }
        diagnostic::sort(&mut self.problems);
    }

    fn has_errors(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }

    /// Facts where nothing is wrong, problems where something is, and how many.
    fn findings_text(&self, style: diagnostics::DiagnosticStyle) -> String {
        let mut text = String::new();
        if !self.has_errors() {
            for fact in &self.facts {
                text.push_str(fact);
                text.push('\n');
            }
        }
        if self.problems.is_empty() {
            if self.unchecked.is_none() {
                text.push_str("no problems\n");
            }
            return text;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&diagnostics::render_diagnostics(&self.problems, &self.sources, style));
        text
    }

    fn exit_status(&self) -> Result<Exit, Failure> {
        if let Some(Unchecked { change, topologies }) = &self.unchecked {
            let failure = Failure::usage(format!("`{change}` was not checked"));
            return Err(match topologies {
                0 => failure.help("it is checked against its topology: name that file too"),
                _ => failure.help(format!(
                    "it is checked against one topology, but {topologies} are named"
                )),
            });
        }
        // A file that was not read is neither right nor wrong.
        let is_unread =
            |problem: &Diagnostic| matches!(problem.code, Code::Unreadable | Code::TooLarge);
        Ok(match () {
            () if self.problems.iter().any(is_unread) => Exit::Unusable,
            () if self.has_errors() => Exit::Stop,
            () => Exit::Done,
        })
    }
}

/// Returns a path without what does not change where it leads.
fn plain_path(path: &str) -> String {
    path.trim_start_matches("./").to_owned()
}

/// Describes the size of a topology.
fn describe_topology(topology: &Topology) -> String {
    format!(
        "topology `{}` of {}, {}, {}",
        topology.name,
        counted_noun(topology.services.len(), "service"),
        match topology.declared_dependencies().count() {
            1 => "1 dependency".to_owned(),
            count => format!("{count} dependencies"),
        },
        counted_noun(topology.flows.len(), "flow")
    )
}

fn counted_noun(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
