//! Puts a topology together: from its parts in other files, its templates, and the patch of an environment.
//!
//! All of it happens on trees of values, before anything is decoded: every value keeps its place, so that
//! what is wrong is reported where it is written, in whichever file that is. Problems are left in the document.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::read::{Field, Problems, Shape};
use super::topology::SERVICE;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::{Document, Entry, Key, Node, VALUES_MAX, Value};
use crate::suggest;

/// Sections that every file may hold: mappings from names to what they are.
const SECTIONS: [&str; 5] = ["failure_domains", "templates", "services", "flows", "aliases"];
/// Keys that every file may hold beside the sections.
const SHARED_KEYS: [&str; 3] = ["version", "topology", "team"];

pub(crate) const ENVIRONMENT: Shape = Shape {
    what: "an environment",
    keys: &["thresholds", "failure_domains", "defaults", "services", "flows"],
    schema: "/$defs/environment",
};

/// Puts the parts of a topology into its document. A name may be defined once, in whichever file.
fn merge_parts(root: Document, parts: Vec<Document>) -> Document {
    let Document { source, root: node, mut problems } = root;
    let place = node.place;
    let mut merged = MergedParts::default();
    let mut rest = merged.add_file(entries_of(node), &mut problems);
    // The parts are in it now.
    rest.retain(|entry| &*entry.key.text != "include");
    for part in parts {
        problems.extend(part.problems);
        for entry in merged.add_file(entries_of(part.root), &mut problems) {
            if !SHARED_KEYS.contains(&&*entry.key.text) {
                problems.push(not_in_parts(&entry));
            }
        }
    }
    rest.extend(merged.sections.into_values());
    let root = Node { place, value: Value::Mapping(rest.into()) };
    Document { source, root, problems }
}

/// Sections of all files so far.
#[derive(Default)]
struct MergedParts {
    sections: BTreeMap<&'static str, Entry>,
    /// By section: the places of names.
    names: BTreeMap<&'static str, BTreeMap<Box<str>, Place>>,
}

impl MergedParts {
    /// Adds the sections of a file; returns its other entries.
    fn add_file(&mut self, entries: Vec<Entry>, problems: &mut Vec<Diagnostic>) -> Vec<Entry> {
        let team = entries.iter().find(|entry| &*entry.key.text == "team").cloned();
        let mut rest = Vec::new();
        for mut entry in entries {
            let section = SECTIONS.into_iter().find(|section| **section == *entry.key.text);
            match section {
                None => rest.push(entry),
                Some(section) => {
                    if section == "services"
                        && let Some(team) = &team
                    {
                        own_services(&mut entry.value, team);
                    }
                    self.add_section(section, entry, problems);
                }
            }
        }
        rest
    }

    fn add_section(&mut self, section: &'static str, entry: Entry, problems: &mut Vec<Diagnostic>) {
        let Value::Mapping(entries) = entry.value.value else {
            // The decoder says what is wrong with a section that is none.
            self.sections.entry(section).or_insert(entry);
            return;
        };
        let names = self.names.entry(section).or_default();
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries.into_vec() {
            match names.get(&entry.key.text) {
                // Twice in one file was reported with the form of that file.
                Some(first) if first.source != entry.key.place.source => {
                    problems.push(defined_twice(section, &entry.key, *first));
                }
                _ => {
                    names.entry(entry.key.text.clone()).or_insert(entry.key.place);
                    kept.push(entry);
                }
            }
        }
        let known = self.sections.entry(section).or_insert_with(|| Entry {
            key: entry.key,
            value: Node { place: entry.value.place, value: Value::Mapping(Box::default()) },
        });
        if let Value::Mapping(entries) = &mut known.value.value {
            let mut all = std::mem::take(entries).into_vec();
            all.append(&mut kept);
            *entries = all.into();
        }
    }
}

fn entries_of(node: Node) -> Vec<Entry> {
    match node.value {
        Value::Mapping(entries) => entries.into_vec(),
        _ => Vec::new(),
    }
}

fn defined_twice(section: &str, key: &Key, first: Place) -> Diagnostic {
    let noun = match section {
        "failure_domains" => "failure domain",
        "templates" => "template",
        "services" => "service",
        "flows" => "flow",
        _ => "alias",
    };
    let message = format!("the {noun} `{}` is defined in two files", key.text);
    Diagnostic::error(Code::DuplicateName, message, key.place)
        .label("defined again")
        .other_place(first, "the first definition, which owns the name")
        .help("refer to it by its name, or give this one another name")
}

fn not_in_parts(entry: &Entry) -> Diagnostic {
    let key = &entry.key.text;
    let message = format!("`{key}` is not a key of a part of a topology");
    Diagnostic::error(Code::UnknownKey, message, entry.key.place).help(
        "a part has `version`, `topology`, `team`, `failure_domains`, `templates`, `services`, `flows` and \
         `aliases`; all else stands in the file that includes it",
    )
}

/// Gives the services of a file the team of the file, unless they state their own.
fn own_services(services: &mut Node, team: &Entry) {
    let Value::Mapping(entries) = &mut services.value else { return };
    for service in entries.iter_mut() {
        let states_team = service.value.entries().iter().any(|entry| &*entry.key.text == "team");
        if states_team {
            continue;
        }
        let place = service.value.place;
        match &mut service.value.value {
            Value::Mapping(entries) => {
                let mut all = std::mem::take(entries).into_vec();
                all.push(team.clone());
                *entries = all.into();
            }
            Value::Null => {
                let value = Value::Mapping([team.clone()].into());
                service.value = Node { place, value };
            }
            // The decoder says what is wrong with it.
            _ => {}
        }
    }
}

/// Puts a topology together from its file and its parts, in one of its environments or as it stands.
pub(crate) fn compose_topology(
    root: Document,
    parts: Vec<Document>,
    environment: Option<&str>,
) -> Document {
    let mut document = merge_parts(root, parts);
    expand_templates(&mut document);
    remove_entry(&mut document.root, "team");
    match environment {
        Some(name) => apply_environment(document, name),
        None => document,
    }
}

/// Returns a topology whose services have what their templates and the team of the file give them; borrowed
/// where there is neither.
pub(crate) fn expand_topology(document: &Document) -> Cow<'_, Document> {
    let has = |key| document.get(key).is_some();
    if !has("templates") && !has("team") {
        return Cow::Borrowed(document);
    }
    // A file alone is a topology without parts.
    let mut expanded = merge_parts(document.clone(), Vec::new());
    // What cannot be read alone stays, so that it is reported.
    if let Some(include) = document.get("include") {
        push_entry(&mut expanded.root, include.clone());
    }
    expand_templates(&mut expanded);
    remove_entry(&mut expanded.root, "team");
    Cow::Owned(expanded)
}

/// Gives services what the templates say that they extend.
fn expand_templates(document: &mut Document) {
    let Some(templates) = remove_entry(&mut document.root, "templates") else { return };
    let problems = Problems::new();
    let field = Field::of_entry(&templates, &problems);
    let known: BTreeMap<&str, &Node> = field
        .named_entries()
        .into_iter()
        .map(|entry| {
            // Also those that nothing extends: a key that means nothing must not look like a protection.
            Field::of_entry(entry, &problems).mapping(&SERVICE);
            (&*entry.key.text, &entry.value)
        })
        .collect();
    for template in known.values() {
        if let Some(entry) = template.entries().iter().find(|entry| &*entry.key.text == "extends") {
            let message = "a template extends no other template";
            problems.push(Diagnostic::error(Code::Conflict, message, entry.key.place));
        }
    }
    let sizes: BTreeMap<&str, usize> =
        known.iter().map(|(name, node)| (*name, value_count(node))).collect();
    let mut total = 0_usize;
    if let Value::Mapping(entries) = &mut document.root.value {
        let services = entries.iter_mut().find(|entry| &*entry.key.text == "services");
        let services = services.map(|entry| &mut entry.value.value);
        if let Some(Value::Mapping(services)) = services {
            for service in services.iter_mut() {
                let Some(name) = remove_entry(&mut service.value, "extends") else { continue };
                let Some(text) = Field::of_entry(&name, &problems).str() else { continue };
                let Some(template) = known.get(text) else {
                    problems.push(unknown_template(text, &name, known.keys().copied()));
                    continue;
                };
                total = total.saturating_add(sizes[text]);
                // A template is copied for each service: a small file must not fill the memory.
                if total > VALUES_MAX {
                    let message = "templates expand to more values than a topology may have";
                    problems.push(Diagnostic::error(Code::TooLarge, message, name.key.place));
                    break;
                }
                let own = std::mem::replace(&mut service.value, (*template).clone());
                patch_node(&mut service.value, own);
            }
        }
    }
    if let Err(found) = problems.into_result::<()>(None) {
        document.problems.extend(found);
    }
}

fn unknown_template<'a>(
    text: &str,
    entry: &Entry,
    names: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let message = format!("there is no template `{text}`");
    let problem = Diagnostic::error(Code::UnknownName, message, entry.value.place);
    match suggest::nearest(text, names) {
        Some(name) => problem.help(format!("did you mean `{name}`?")).replace_with(name),
        None => problem.help("define it under `templates`"),
    }
}

/// Returns how many values a node holds, itself included.
fn value_count(node: &Node) -> usize {
    let inner = node.entries().iter().map(|entry| &entry.value).chain(node.items());
    1 + inner.map(value_count).sum::<usize>()
}

/// Returns the topology as it is in an environment. The document is one whose parts are put together.
fn apply_environment(mut document: Document, name: &str) -> Document {
    let environments = remove_entry(&mut document.root, "environments");
    let known = environments.as_ref().map(|entry| entry.value.entries()).unwrap_or_default();
    let Some(environment) = known.iter().find(|entry| &*entry.key.text == name) else {
        let names = || known.iter().map(|entry| &*entry.key.text);
        let message = format!("the topology has no environment `{name}`");
        let place = environments.as_ref().map_or(document.root.place, |entry| entry.key.place);
        let problem = Diagnostic::error(Code::UnknownName, message, place);
        document.problems.push(match (suggest::nearest(name, names()), known) {
            (Some(near), _) => problem.help(format!("did you mean `{near}`?")),
            (None, []) => problem.help("define it under `environments`"),
            (None, _) => problem.help(format!("it has {}", names().collect::<Vec<_>>().join(", "))),
        });
        return document;
    };
    let problems = Problems::new();
    // Unknown keys are reported by the shape.
    Field::of_entry(environment, &problems).mapping_or_nothing(&ENVIRONMENT);
    for section in environment.value.entries() {
        let target = entry_mut(&mut document.root, &section.key.text);
        match target {
            // A patch changes what is there; a new service would be one that nobody else knows.
            Some(target) if SECTIONS.contains(&&*section.key.text) => {
                patch_section(&mut target.value, &section.value, &problems);
            }
            Some(target) => patch_node(&mut target.value, section.value.clone()),
            None => push_entry(&mut document.root, section.clone()),
        }
    }
    if let Err(found) = problems.into_result::<()>(None) {
        document.problems.extend(found);
    }
    document
}

/// Patches services, flows or failure domains that are there; reports names that are not.
fn patch_section(target: &mut Node, patches: &Node, problems: &Problems) {
    let Value::Mapping(entries) = &mut target.value else { return };
    let index: BTreeMap<Box<str>, usize> =
        entries.iter().enumerate().map(|(at, entry)| (entry.key.text.clone(), at)).collect();
    for patch in patches.entries() {
        let name = &patch.key.text;
        match index.get(name) {
            Some(at) if matches!(patch.value.value, Value::Mapping(_)) => {
                patch_node(&mut entries[*at].value, patch.value.clone());
            }
            Some(_) => {
                let message = format!("the patch of `{name}` is no mapping");
                let help =
                    "an environment changes keys of services and flows; it removes none of them";
                let problem = Diagnostic::error(Code::WrongType, message, patch.key.place);
                problems.push(problem.help(help));
            }
            None => {
                let message = format!("there is no `{name}` to be changed");
                let problem = Diagnostic::error(Code::UnknownName, message, patch.key.place);
                let names = index.keys().map(|name| &**name);
                problems.push(problems.suggest_nearest(problem, name, names, || {
                    Some("an environment changes what the topology defines".to_owned())
                }));
            }
        }
    }
}

/// Lays a patch over a node, as a JSON merge patch (RFC 7396): mappings are merged, all else is replaced, and
/// nothing (`~`) removes a key.
fn patch_node(target: &mut Node, patch: Node) {
    let Value::Mapping(patches) = patch.value else {
        // A service of which nothing is written changes nothing of its template.
        if !matches!(patch.value, Value::Null) {
            *target = patch;
        }
        return;
    };
    let earlier = std::mem::replace(&mut target.value, Value::Null);
    let entries = if let Value::Mapping(entries) = earlier {
        entries.into_vec()
    } else {
        target.place = patch.place;
        Vec::new()
    };
    // By name, since a hostile file may have any number of keys on both sides.
    let mut index: BTreeMap<Box<str>, usize> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        index.entry(entry.key.text.clone()).or_insert(at);
    }
    let mut kept: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    for entry in patches.into_vec() {
        let known = index.get(&entry.key.text).and_then(|at| kept.get_mut(*at));
        match (known, &entry.value.value) {
            (Some(known), Value::Null) => *known = None,
            (Some(Some(known)), _) => {
                // The key is that of the patch: a problem with the value is one of the patch.
                known.key = entry.key;
                patch_node(&mut known.value, entry.value);
            }
            (Some(removed), _) => *removed = Some(entry),
            (None, Value::Null) => {}
            (None, _) => kept.push(Some(entry)),
        }
    }
    let kept: Vec<Entry> = kept.into_iter().flatten().collect();
    target.value = Value::Mapping(kept.into());
}

fn entry_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Entry> {
    match &mut node.value {
        Value::Mapping(entries) => entries.iter_mut().find(|entry| &*entry.key.text == key),
        _ => None,
    }
}

fn push_entry(node: &mut Node, entry: Entry) {
    if let Value::Mapping(entries) = &mut node.value {
        let mut all = std::mem::take(entries).into_vec();
        all.push(entry);
        *entries = all.into();
    }
}

fn remove_entry(node: &mut Node, key: &str) -> Option<Entry> {
    let Value::Mapping(entries) = &mut node.value else { return None };
    let at = entries.iter().position(|entry| &*entry.key.text == key)?;
    let mut all = std::mem::take(entries).into_vec();
    let removed = all.remove(at);
    *entries = all.into();
    Some(removed)
}
