//! Into a topology that a person may have edited: only what is new is written, at its place in the text.
//! All else, comments and spaces too, stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::names::one_line;
use super::write::{
    dependency_lines, digits_text, domain_block, flow_block, latency_text, service_block,
    yaml_scalar,
};
use super::{
    EvidenceGraph, ImportedDependency, ImportedObjective, ImportedService, evidence_strength,
};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::{Document, Entry, Node, Value};
use crate::model::topology::Evidence;
use crate::model::units::parse_share;
use crate::model::{Seconds, Share};
use crate::sort::Gather as _;

/// A topology with what was imported.
#[derive(Debug)]
pub struct Merged {
    /// The new text.
    pub text: String,
    /// Changes made, one line each: `+` for what was added, `~` for what is known better now.
    pub changes: Vec<String>,
    /// Where the topology and the sources contradict each other; the topology was kept.
    pub conflicts: Vec<Diagnostic>,
}

/// The table of other names in a topology.
pub fn aliases_of(document: &Document) -> Vec<(String, String)> {
    let entries = document.root.get("aliases").map(Node::entries).unwrap_or_default();
    let pair = |entry: &Entry| Some((entry.key.text.to_string(), entry.value.scalar()?.to_owned()));
    entries.iter().filter_map(pair).collect()
}

/// Adds to a topology what a graph has more.
pub fn merge_graph(document: &Document, text: &str, graph: &EvidenceGraph) -> Merged {
    let ended = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    let text = &*ended;
    let mut merger = Merger { text, edits: Vec::new(), changes: Vec::new(), conflicts: Vec::new() };
    let services = document.root.get("services");
    let known: BTreeMap<&str, &Entry> = services
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| (&*entry.key.text, entry))
        .collect();
    let mut new = String::new();
    for (name, service) in &graph.services {
        let own: Vec<(&str, &ImportedDependency)> = graph
            .dependencies
            // Keys are ordered by caller, so the dependencies of one stand together.
            .range((name.clone(), String::new())..)
            .take_while(|((caller, _), _)| caller == name)
            .map(|((_, callee), dependency)| (callee.as_str(), dependency))
            .collect();
        if let Some(entry) = known.get(name.as_str()) {
            merger.merge_service(entry, &own, service);
        } else {
            new.push_str(&service_block(name, &without_service_domains(service, &known), &own));
            merger.changes.push(format!("+ service {name} ({} dependencies)", own.len()));
        }
    }
    merger.append_blocks("services", services, document, &new);
    merger.merge_flows(document, graph);
    merger.merge_aliases(document, graph);
    // Last: what is put at the end of the text would otherwise come before what still belongs there.
    merger.merge_domains(document, graph, &known);
    merger.into_merged()
}

/// A service without the domains that are called like services of the topology.
fn without_service_domains(
    service: &ImportedService,
    known: &BTreeMap<&str, &Entry>,
) -> ImportedService {
    let mut service = service.clone();
    service.domains.retain(|domain| !known.contains_key(domain.as_str()));
    service
}

/// The flow that an objective is of: one that is called like it or like its service, else the only one
/// whose first step is its service.
fn flow_of_objective<'a>(flows: &'a [Entry], objective: &ImportedObjective) -> Option<&'a Entry> {
    let service = objective.service.as_deref();
    let names = [Some(objective.name.as_str()), service];
    let called = names
        .into_iter()
        .flatten()
        .find_map(|name| flows.iter().find(|entry| *entry.key.text == *name));
    if called.is_some() {
        return called;
    }
    let first_step = |entry: &&Entry| {
        let steps = entry.value.get("steps").map(Node::items).unwrap_or_default();
        let first =
            steps.first().and_then(|step| step.scalar().or_else(|| step.scalar_at("service")));
        // An endpoint belongs to its service.
        first.and_then(|first| first.split('/').next()) == service
    };
    let mut beginning = flows.iter().filter(|_| service.is_some()).filter(first_step);
    let only = beginning.next();
    only.filter(|_| beginning.next().is_none())
}

/// A share as it is stated: a percentage, or a number.
fn stated_share(node: &Node) -> Option<f64> {
    parse_share(node.scalar()?).ok().map(Share::get)
}

struct Merger<'a> {
    text: &'a str,
    /// Where, how many bytes to take out, and what to put there.
    edits: Vec<(usize, usize, String)>,
    changes: Vec<String>,
    conflicts: Vec<Diagnostic>,
}

impl Merger<'_> {
    fn report_conflict(&mut self, message: String, place: Place) {
        self.conflicts.push(Diagnostic::warning(Code::ImportConflict, message, place));
    }

    /// Adds what is new about a service that the topology has already.
    fn merge_service(
        &mut self,
        entry: &Entry,
        own: &[(&str, &ImportedDependency)],
        service: &ImportedService,
    ) {
        let name = &*entry.key.text;
        self.merge_latency(entry, service);
        let stated = entry.value.get("replicas");
        let stated_count =
            stated.and_then(|node| node.number().or_else(|| node.get("count")?.number()));
        if let (Some(stated), Some(node), Some(found)) = (stated_count, stated, service.replicas)
            // Replicas are kept: a person may have stated more than the source, for a reason.
            && stated != f64::from(found)
        {
            let message =
                format!("`{name}` has {stated} replicas here, but {found} in the source; kept");
            self.report_conflict(message, node.place);
        }
        let mut written = BTreeSet::new();
        let endpoints = entry.value.get("endpoints").map(Node::entries).unwrap_or_default();
        let lists =
            std::iter::once(&entry.value).chain(endpoints.iter().map(|endpoint| &endpoint.value));
        for item in
            lists.flat_map(|node| node.get("dependencies").map(Node::items).unwrap_or_default())
        {
            let members = item.get("any_of").map(Node::items).unwrap_or_default();
            let named = item.scalar().or_else(|| item.scalar_at("service"));
            for callee in named.into_iter().chain(members.iter().filter_map(Node::scalar)) {
                // A dependency on an endpoint is one on its service to the sources, which know no
                // endpoints.
                let callee = callee.split('/').next().unwrap_or(callee);
                written.insert(callee.to_owned());
                match own.iter().find(|(known, _)| *known == callee) {
                    Some((_, found)) => self.confirm_dependency(name, callee, item, found),
                    // Only what was imported once can be missed now: what a person wrote has no
                    // evidence.
                    None if item.get("evidence").is_some() && !own.is_empty() => {
                        let message = format!(
                            "`{name}` depends on `{callee}` here, but no longer in the source; kept"
                        );
                        self.report_conflict(message, item.place);
                    }
                    None => {}
                }
            }
        }
        let new: Vec<&(&str, &ImportedDependency)> =
            own.iter().filter(|(callee, _)| !written.contains(*callee)).collect();
        if new.is_empty() {
            return;
        }
        let lines = dependency_lines(&new.iter().map(|new| **new).collect::<Vec<_>>());
        if self.insert_dependencies(entry, &lines) {
            for (callee, dependency) in new {
                self.changes.push(format!("+ {name} -> {callee} ({})", dependency.evidence));
            }
        } else {
            let message = format!(
                "`{name}` is written in a way that nothing can be added to; add its dependencies by hand: {}",
                new.iter().map(|(callee, _)| *callee).collect::<Vec<_>>().join(", ")
            );
            self.report_conflict(message, entry.key.place);
        }
    }

    /// Adds how long a service takes to answer, where the topology says nothing of it.
    fn merge_latency(&mut self, entry: &Entry, service: &ImportedService) {
        let Some(latency) = &service.latency else { return };
        let is_stated = entry.value.get("latency").is_some();
        let (value, comment) = latency_text(latency);
        if !is_stated && self.insert_key(entry, &format!("latency: {value}"), &comment) {
            self.changes.push(format!("+ latency of {}", entry.key.text));
        }
    }

    /// Adds a key with its value to a service; whether there was a place for it.
    fn insert_key(&mut self, entry: &Entry, text: &str, comment: &str) -> bool {
        let value = &entry.value;
        let indent = self.column_of(entry.key.place.start as usize);
        match &value.value {
            Value::Null => {
                let at = self.next_line(entry.key.place.end as usize);
                let rest = &self.text[entry.key.place.end as usize..at];
                let is_empty = rest.trim_start_matches(':').trim_start();
                let is_empty = is_empty.is_empty() || is_empty.starts_with('#');
                if is_empty {
                    self.insert_text(at, format!("{:1$}{text}  # {comment}\n", "", indent + 2));
                }
                is_empty
            }
            Value::Mapping(entries) if self.is_flow(value) => {
                let comma = if entries.is_empty() { "" } else { ", " };
                // A mapping on one line takes no comment, which would hide its end.
                self.before_closing(value, '}', &format!("{comma}{text}"))
            }
            Value::Mapping(entries) => {
                let Some(first) = entries.first() else { return false };
                let start = self.line_start(first.key.place.start as usize);
                let own = self.column_of(first.key.place.start as usize);
                // Before its first key: behind the last one the end of a list is hard to tell.
                self.insert_text(start, format!("{:own$}{text}  # {comment}\n", ""));
                true
            }
            _ => false,
        }
    }

    /// Updates a dependency that was imported before and is known better now. What a person wrote
    /// without evidence stays.
    fn confirm_dependency(
        &mut self,
        caller: &str,
        callee: &str,
        item: &Node,
        found: &ImportedDependency,
    ) {
        let Some(evidence) = item.get("evidence") else { return };
        let before = match evidence.scalar() {
            Some("assumed") => Evidence::Assumed,
            Some("inferred") => Evidence::Inferred,
            Some("declared") => Evidence::Declared,
            _ => return,
        };
        if evidence_strength(found.evidence) > evidence_strength(before) {
            self.replace_text(evidence.place, found.evidence.as_str());
            self.changes
                .push(format!("~ {caller} -> {callee} ({}, before {})", found.evidence, before));
        }
        if let Some(phase) = item.get("phase")
            && phase.scalar() == Some("start")
            && !found.is_start
        {
            self.replace_text(phase.place, "serve");
            self.changes
                .push(format!("~ {caller} -> {callee} is needed to serve, not only to start"));
        }
        let stated = item.scalar_at("kind");
        // The kind may be a decision of the person, so it is shown and not changed.
        if stated == Some("async") && found.is_async == Some(false) {
            let message = format!(
                "`{caller}` does not wait for `{callee}` here, but does in the source; kept"
            );
            self.report_conflict(message, item.place);
        }
    }

    fn replace_text(&mut self, place: Place, text: &str) {
        let span = place.span();
        self.edits.push((span.start, span.len(), text.to_owned()));
    }

    fn insert_text(&mut self, at: usize, text: String) {
        self.edits.push((at, 0, text));
    }

    /// Adds lines to the dependencies of a service; whether there was a place for them.
    fn insert_dependencies(&mut self, entry: &Entry, lines: &[String]) -> bool {
        let value = &entry.value;
        let indent = self.column_of(entry.key.place.start as usize);
        let list = |indent: usize, lines: &[String]| -> String {
            lines.iter().fold(String::new(), |mut out, line| {
                let _ = writeln!(out, "{:indent$}- {line}", "");
                out
            })
        };
        let Some(dependencies) =
            value.entries().iter().find(|entry| &*entry.key.text == "dependencies")
        else {
            return match &value.value {
                Value::Null => {
                    let at = self.next_line(entry.key.place.end as usize);
                    let rest = &self.text[entry.key.place.end as usize..at];
                    // A written `null` or `~` is a value, behind which nothing can be nested.
                    if rest.trim_start_matches(':').trim().starts_with(['~', 'n']) {
                        return false;
                    }
                    let body = list(indent + 4, lines);
                    self.insert_text(at, format!("{:1$}dependencies:\n{body}", "", indent + 2));
                    true
                }
                Value::Mapping(entries) if self.is_flow(value) => {
                    let comma = if entries.is_empty() { "" } else { ", " };
                    self.before_closing(
                        value,
                        '}',
                        &format!("{comma}dependencies: [{}]", lines.join(", ")),
                    )
                }
                Value::Mapping(entries) => {
                    let Some(first) = entries.first() else { return false };
                    let own = self.column_of(first.key.place.start as usize);
                    // The end of the block leaves the person's order of keys as it is.
                    let at = self.block_end(entry.key.place.start as usize, indent);
                    self.insert_text(
                        at,
                        format!("{:own$}dependencies:\n{}", "", list(own + 2, lines)),
                    );
                    true
                }
                _ => false,
            };
        };
        let key = dependencies.key.place;
        let own = self.column_of(key.start as usize);
        match &dependencies.value.value {
            Value::Null => {
                let at = self.next_line(key.end as usize);
                self.insert_text(at, list(own + 2, lines));
                true
            }
            Value::Sequence(items) if self.is_flow(&dependencies.value) => {
                let comma = if items.is_empty() { "" } else { ", " };
                self.before_closing(
                    &dependencies.value,
                    ']',
                    &format!("{comma}{}", lines.join(", ")),
                )
            }
            Value::Sequence(items) => {
                let Some(first) = items.first() else { return false };
                let start = self.line_start(first.place.start as usize);
                // The dash may stand at the column of the key or deeper; new items stand where the
                // old ones do.
                let dash = self.text[start..].chars().take_while(|c| *c == ' ').count();
                if !self.text[start + dash..].starts_with('-') {
                    return false;
                }
                let last = items.last().map_or(first.place, |item| item.place);
                let at = self.block_end(last.start as usize, dash);
                self.insert_text(at, list(dash, lines));
                true
            }
            _ => false,
        }
    }

    fn is_flow(&self, node: &Node) -> bool {
        self.text[node.place.start as usize..].starts_with(['{', '['])
    }

    /// Puts text before the bracket that closes a value written on one line.
    fn before_closing(&mut self, node: &Node, bracket: char, text: &str) -> bool {
        let span = node.place.span();
        let written = &self.text[span.clone()];
        if !written.ends_with(bracket) {
            return false;
        }
        let inner = written[..written.len() - 1].trim_end();
        let at = span.start + inner.len();
        // A second insertion at the same place needs a comma of its own.
        let is_second = self.edits.iter().any(|(other, ..)| *other == at);
        let comma = if is_second && !text.starts_with(',') { ", " } else { "" };
        self.insert_text(at, format!("{comma}{text}"));
        true
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn column_of(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// Where the block ends that starts on this line: before the next line that is not deeper. Comments
    /// and empty lines at its end belong to what follows.
    fn block_end(&self, at: usize, indent: usize) -> usize {
        let mut end = self.next_line(at);
        let mut next = end;
        while next < self.text.len() {
            let after = self.next_line(next);
            let line = &self.text[next..after];
            let own = line.chars().take_while(|c| *c == ' ').count();
            let content = line.trim();
            if !content.is_empty() && own <= indent {
                break;
            }
            if !content.is_empty() && own > indent {
                end = after;
            }
            next = after;
        }
        end
    }

    /// Adds blocks, written for an indent of 2, at the end of one of the outermost mappings.
    fn append_blocks(&mut self, key: &str, node: Option<&Node>, document: &Document, blocks: &str) {
        if blocks.is_empty() {
            return;
        }
        let Some(node) = node else {
            let end = self.text.len();
            self.insert_text(end, format!("{key}:\n{blocks}"));
            return;
        };
        let entry = document.get(key).expect("the node is its value");
        let Some(first) = node.entries().first().filter(|_| !self.is_flow(node)) else {
            let message = format!(
                "`{key}` is written in a way that nothing can be added to; write one below the other"
            );
            self.report_conflict(message, entry.key.place);
            return;
        };
        let indent = self.column_of(first.key.place.start as usize);
        let at = self.block_end(entry.key.place.start as usize, 0);
        let mut body = String::new();
        for line in blocks.lines() {
            // Blocks are written for an indent of 2, and the file may use another one.
            let line = line.strip_prefix("  ").unwrap_or(line);
            let _ = writeln!(body, "{:indent$}{line}", "");
        }
        self.insert_text(at, body);
    }

    /// The failure domains that are new.
    fn merge_domains(
        &mut self,
        document: &Document,
        graph: &EvidenceGraph,
        services: &BTreeMap<&str, &Entry>,
    ) {
        let node = document.root.get("failure_domains");
        let mut new = String::new();
        for (name, kind) in &graph.domains {
            let is_known = node.is_some_and(|node| node.get(name).is_some());
            // A domain matters only to the services that are new: those that are there stay as they are.
            let is_of = |service: &String| {
                !services.contains_key(service.as_str())
                    && graph.services[service].domains.contains(name)
            };
            if !is_known
                && !services.contains_key(name.as_str())
                && graph.services.keys().any(is_of)
            // Only domains that a new service uses are of use in the file of a person.
            {
                new.push_str(&domain_block(name, kind));
                self.changes.push(format!("+ failure domain {name}"));
            }
        }
        self.append_blocks("failure_domains", node, document, &new);
    }

    /// Flows of a person come before those that are only derived.
    fn merge_flows(&mut self, document: &Document, graph: &EvidenceGraph) {
        let node = document.root.get("flows");
        let known: BTreeSet<&str> = node
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| &*entry.key.text)
            .collect();
        let mut new = String::new();
        for (name, flow) in &graph.flows {
            if !known.contains(name.as_str()) && (known.is_empty() || !flow.is_derived) {
                // A service that is there keeps its dependencies together unless it has the endpoint.
                let mut flow = flow.clone();
                for step in &mut flow.steps {
                    if let Some((service, endpoint)) = step.split_once('/')
                        && let Some(node) =
                            document.root.get("services").and_then(|root| root.get(service))
                        && node.get("endpoints").and_then(|node| node.get(endpoint)).is_none()
                    {
                        *step = service.to_owned();
                    }
                }
                new.push_str(&flow_block(name, &flow));
                self.changes.push(format!("+ flow {name}"));
            }
        }
        self.append_blocks("flows", node, document, &new);
        self.merge_objectives(node, graph);
    }

    /// Adds objectives to the flows that they are of.
    fn merge_objectives(&mut self, flows: Option<&Node>, graph: &EvidenceGraph) {
        let flows = flows.map(Node::entries).unwrap_or_default();
        // Of several objectives for one flow, that of the greatest availability holds the others.
        let mut chosen: BTreeMap<&str, (&Entry, &ImportedObjective)> = BTreeMap::new();
        for objective in &graph.objectives {
            let Some(flow) = flow_of_objective(flows, objective) else {
                let message = format!(
                    "the objective `{}` belongs to no flow: none is called like it, or begins with its service",
                    objective.name
                );
                self.report_conflict(message, objective.place);
                continue;
            };
            let known = chosen.entry(&flow.key.text).or_insert((flow, objective));
            if objective.availability > known.1.availability {
                *known = (flow, objective);
            }
        }
        for (name, (flow, objective)) in chosen {
            let window = Seconds::new(objective.window).unwrap_or_default();
            let percent = digits_text(objective.availability * 100.0, 8);
            let value = format!("{{ availability: {percent}%, window: {window} }}");
            if let Some(stated) = flow.value.get("objective") {
                if stated.get("availability").and_then(stated_share) != Some(objective.availability)
                {
                    let message = format!(
                        "`{name}` has another objective here than {value} of the source; kept"
                    );
                    self.report_conflict(message, stated.place);
                }
                continue;
            }
            let comment = one_line(&objective.source);
            if self.insert_key(flow, &format!("objective: {value}"), &comment) {
                self.changes.push(format!("+ objective of {name}: {value}"));
            } else {
                let message =
                    format!("`{name}` is written in a way that nothing can be added to: {value}");
                self.report_conflict(message, flow.key.place);
            }
        }
    }

    fn merge_aliases(&mut self, document: &Document, graph: &EvidenceGraph) {
        let known: BTreeSet<String> =
            aliases_of(document).into_iter().map(|(alias, _)| alias).into_set();
        let services = document.root.get("services");
        let is_service = |name: &str| services.is_some_and(|service| service.get(name).is_some());
        let mut new = String::new();
        for (alias, name) in graph.used_aliases() {
            // An alias that has become a service of its own is none any more.
            if !known.contains(alias) && !is_service(alias) {
                let _ = writeln!(new, "  {}: {}", yaml_scalar(alias), yaml_scalar(name));
                self.changes.push(format!("+ alias {alias} of {name}"));
            }
        }
        self.append_blocks("aliases", document.root.get("aliases"), document, &new);
    }

    fn into_merged(mut self) -> Merged {
        let mut text = self.text.to_owned();
        // From the end, so that the offsets of those before stay right; of equal ones the first made
        // comes to stand first.
        self.edits.sort_by_key(|(at, ..)| *at);
        for (at, length, new) in self.edits.iter().rev() {
            text.replace_range(*at..at + length, new);
        }
        Merged { text, changes: self.changes, conflicts: self.conflicts }
    }
}
