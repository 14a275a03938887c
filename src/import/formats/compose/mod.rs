//! Docker Compose: files in the order of `-f`, with `.env`, overrides, `include`, `extends` and
//! profiles; and what `docker compose config --format json` prints.
//!
//! `depends_on` is start order and stays that unless an address in the environment confirms it.

mod interpolate;

use std::collections::{BTreeMap, BTreeSet};

use self::interpolate::{expand, variables};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::import::graph::Graph;
use crate::import::graph::environment::{Variable, connect};
use crate::import::graph::{hosts, kinds};
use crate::import::{Format, Input, not_of};
use crate::load::{self, Node, Value};
use crate::model::topology::Evidence;

/// How deeply files may include and extend one another.
const INCLUDES_MAX: usize = 16;

/// In which order Compose looks for its files in a directory, with the override that goes with each.
const USUAL_NAMES: [(&str, &str); 4] = [
    ("compose.yaml", "compose.override.yaml"),
    ("compose.yml", "compose.override.yml"),
    ("docker-compose.yml", "docker-compose.override.yml"),
    ("docker-compose.yaml", "docker-compose.override.yaml"),
];

/// A service as merged from all files.
#[derive(Clone, Debug, Default)]
struct Service {
    image: String,
    replicas: Option<u32>,
    /// Where it must run: names of domains with their kinds.
    domains: Vec<(String, &'static str)>,
    /// Values and where they stand.
    environment: BTreeMap<String, (String, String)>,
    arguments: BTreeMap<&'static str, (Vec<String>, String)>,
    /// Services to start first, and where that stands.
    start: BTreeMap<String, (String, Place)>,
    /// Those of them that must have done their work before.
    completed: BTreeSet<String>,
    /// Those of them that it starts without where they are not there.
    optional: BTreeSet<String>,
    /// Services that share a network name with it, or whose network it uses.
    linked: BTreeMap<String, (String, Place)>,
    other_names: BTreeSet<String>,
    profiles: BTreeSet<String>,
}

type Services = BTreeMap<String, Service>;

/// Reads Compose files.
pub(in crate::import) fn read(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    let files: Vec<String> = input.files.iter().flat_map(|path| expand_directory(path)).collect();
    let known = files.first().map(|first| beside(first, ".env")).map(|path| env_file(&path, input));
    let mut services = Services::new();
    let mut reader = Reader { input, graph, known: known.unwrap_or_default() };
    for path in &files {
        reader.file(path, &mut services, 0)?;
    }
    if services.is_empty() {
        let path = files.first().map_or("", String::as_str);
        return Err(not_of(Format::Compose, path, "it has no `services`"));
    }
    finish(&services, graph);
    Ok(())
}

/// What Compose would read in a directory; environment files are found by themselves.
fn expand_directory(path: &str) -> Vec<String> {
    if path.rsplit('.').next() == Some("env") {
        return Vec::new();
    }
    if path == "-" || load::is_file(path) {
        return vec![path.to_owned()];
    }
    let folder = path.trim_end_matches('/');
    for (name, with) in USUAL_NAMES {
        let (file, with) = (format!("{folder}/{name}"), format!("{folder}/{with}"));
        if load::is_file(&file) {
            return if load::is_file(&with) { vec![file, with] } else { vec![file] };
        }
    }
    vec![path.to_owned()]
}

/// The path of a file named in another.
fn beside(path: &str, name: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}

fn env_file(path: &str, input: &mut Input<'_>) -> BTreeMap<String, String> {
    if !load::is_file(path) {
        return BTreeMap::new();
    }
    match load::read_text(path, input.sources) {
        Ok(source) => variables(&input.sources.get(source).text),
        Err(_) => BTreeMap::new(),
    }
}

struct Reader<'r, 'i> {
    input: &'r mut Input<'i>,
    graph: &'r mut Graph,
    known: BTreeMap<String, String>,
}

impl Reader<'_, '_> {
    fn file(
        &mut self,
        path: &str,
        services: &mut Services,
        depth: usize,
    ) -> Result<(), Vec<Diagnostic>> {
        for mut document in load::read_foreign(path, self.input.sources)? {
            self.graph.warn_all(std::mem::take(&mut document.problems));
            for included in document.root.get("include").map(Node::items).unwrap_or_default() {
                self.include(path, included, services, depth)?;
            }
            for (name, node) in definitions(&document.root) {
                let service = self.service(path, name, node, depth);
                services.entry(name.to_owned()).or_default().merge(service, node);
            }
        }
        Ok(())
    }

    /// Files that another includes have a directory and an environment of their own.
    fn include(
        &mut self,
        path: &str,
        node: &Node,
        services: &mut Services,
        depth: usize,
    ) -> Result<(), Vec<Diagnostic>> {
        if depth >= INCLUDES_MAX {
            self.graph.warn(
                Code::NotUnderstood,
                "files include one another without end",
                node.place,
            );
            return Ok(());
        }
        let paths = node.scalar().map_or_else(
            || {
                let paths = node.get("path");
                paths.map(|paths| texts(paths).collect()).unwrap_or_default()
            },
            |path| vec![path],
        );
        for named in paths {
            let file = beside(path, &expand(named, &self.known));
            if !load::is_file(&file) {
                let message = format!("`{file}` is included, but there is no such file");
                self.graph.warn(Code::Dangling, message, node.place);
                continue;
            }
            let mut own = env_file(&beside(&file, ".env"), self.input);
            for named in node.get("env_file").into_iter().flat_map(texts) {
                own.extend(env_file(&beside(path, named), self.input));
            }
            own.extend(self.known.clone());
            let outer = std::mem::replace(&mut self.known, own);
            let read = self.file(&file, services, depth + 1);
            self.known = outer;
            read?;
        }
        Ok(())
    }

    fn service(&mut self, path: &str, name: &str, node: &Node, depth: usize) -> Service {
        let mut service = Service::default();
        if let Some(extends) = node.get("extends") {
            service = self.base(path, extends, depth);
        }
        let at = |key: &str| format!("{path}: services.{name}.{key}");
        let get = |key: &str| node.get(key).map(untagged);
        for file in get("env_file").into_iter().flat_map(texts) {
            for (key, value) in env_file(&beside(path, &expand(file, &self.known)), self.input) {
                let source = at(&format!("env_file.{key}"));
                service.environment.insert(key, (value, source));
            }
        }
        for (key, value, _) in get("environment").map(pairs).unwrap_or_default() {
            // Without a value it is passed through from the environment of the caller.
            let value = match value {
                Some(value) => expand(value, &self.known),
                None => self.known.get(key).cloned().unwrap_or_default(),
            };
            service.environment.insert(key.to_owned(), (value, at(&format!("environment.{key}"))));
        }
        for key in ["command", "entrypoint"] {
            if let Some(value) = get(key) {
                let words = texts(value).map(|word| expand(word, &self.known)).collect();
                service.arguments.insert(key, (words, at(key)));
            }
        }
        let dependencies = get("depends_on").map(pairs).unwrap_or_default();
        let is_optional = |callee: &str| {
            get("depends_on")?.get(callee)?.scalar_at("required").map(|it| it == "false")
        };
        for (callee, _, place) in dependencies {
            let condition = get("depends_on").and_then(|it| it.get(callee)?.scalar_at("condition"));
            if condition == Some("service_completed_successfully") {
                service.completed.insert(callee.to_owned());
            }
            if is_optional(callee) == Some(true) {
                service.optional.insert(callee.to_owned());
            } else {
                service.optional.remove(callee);
            }
            service.start.insert(callee.to_owned(), (at(&format!("depends_on.{callee}")), place));
        }
        for key in ["links", "volumes_from", "network_mode", "pid", "ipc"] {
            for text in get(key).into_iter().flat_map(texts) {
                let text = match key {
                    "links" | "volumes_from" => text,
                    _ => match text.strip_prefix("service:") {
                        Some(service) => service,
                        None => continue,
                    },
                };
                let callee = text.split(':').next().unwrap_or_default().to_owned();
                let list =
                    if key == "volumes_from" { &mut service.start } else { &mut service.linked };
                list.insert(callee, (at(key), node.place));
            }
        }
        if let Some(image) = get("image").and_then(Node::scalar) {
            service.image = expand(image, &self.known);
        }
        let count = node.at("deploy.replicas").or(node.get("scale")).and_then(Node::scalar);
        if let Some(count) = count.and_then(|text| expand(text, &self.known).parse::<u32>().ok()) {
            service.replicas = Some(count);
        }
        for constraint in node.at("deploy.placement.constraints").into_iter().flat_map(texts) {
            service.domains.extend(place(&expand(constraint, &self.known)));
        }
        service.other_names.extend(
            ["hostname", "container_name"]
                .iter()
                .filter_map(|key| get(key)?.scalar())
                .map(|name| expand(name, &self.known)),
        );
        for entry in get("networks").map(Node::entries).unwrap_or_default() {
            let names = entry.value.get("aliases").into_iter().flat_map(texts);
            service.other_names.extend(names.map(|name| expand(name, &self.known)));
        }
        service.profiles.extend(get("profiles").into_iter().flat_map(texts).map(str::to_owned));
        service
    }

    /// The service that another extends.
    fn base(&mut self, path: &str, extends: &Node, depth: usize) -> Service {
        let (file, name) = match extends.scalar() {
            Some(name) => (path.to_owned(), name),
            None => (
                extends.scalar_at("file").map_or(path.to_owned(), |file| beside(path, file)),
                extends.scalar_at("service").unwrap_or_default(),
            ),
        };
        if depth >= INCLUDES_MAX {
            let message = format!("services that `{name}` extends extend one another without end");
            self.graph.warn(Code::NotUnderstood, message, extends.place);
            return Service::default();
        }
        if !load::is_file(&file) {
            let message = format!("`{name}` of `{file}` is extended, but cannot be read");
            self.graph.warn(Code::Dangling, message, extends.place);
            return Service::default();
        }
        let Ok(documents) = load::read_foreign(&file, self.input.sources) else {
            let message = format!("`{file}` is extended, but is not YAML");
            self.graph.warn(Code::NotUnderstood, message, extends.place);
            return Service::default();
        };
        let found = documents.iter().flat_map(|document| definitions(&document.root));
        let found: Vec<_> = found.filter(|(known, _)| *known == name).collect();
        match found.first() {
            Some((_, node)) => self.service(&file, name, node, depth + 1),
            None => Service::default(),
        }
    }
}

impl Service {
    /// What a later file says comes over what an earlier one said.
    fn merge(&mut self, later: Self, node: &Node) {
        let replaces = |key: &str| {
            node.get(key).is_some_and(|value| {
                value.entries().iter().any(|entry| entry.key.text.starts_with('!'))
            })
        };
        if replaces("environment") {
            self.environment.clear();
        }
        if replaces("depends_on") {
            self.start.clear();
        }
        self.environment.extend(later.environment);
        self.completed.extend(later.completed);
        self.optional.retain(|callee| !later.start.contains_key(callee));
        self.optional.extend(later.optional);
        self.start.extend(later.start);
        self.linked.extend(later.linked);
        self.arguments.extend(later.arguments);
        self.other_names.extend(later.other_names);
        self.profiles.extend(later.profiles);
        self.replicas = later.replicas.or(self.replicas);
        self.domains.extend(later.domains);
        if !later.image.is_empty() {
            self.image = later.image;
        }
    }
}

/// Where a constraint wants a service to run: `node.labels.zone == eu-1a`.
fn place(constraint: &str) -> Option<(String, &'static str)> {
    let (key, name) = constraint.split_once("==")?;
    let key = key.trim().to_lowercase();
    let kind = match key.rsplit('.').next()? {
        "zone" | "az" | "availability_zone" | "availability-zone" => "zone",
        "region" => "region",
        "datacenter" | "dc" => "datacenter",
        "rack" => "rack",
        "hostname" if key == "node.hostname" => "host",
        _ => return None,
    };
    Some((name.trim().to_owned(), kind))
}

/// The services of a file; of one in the first edition, which has no `services`, its outermost keys.
fn definitions(root: &Node) -> Vec<(&str, &Node)> {
    let entries = match root.get("services") {
        Some(services) => services.entries(),
        None => root.entries(),
    };
    let is_old = root.get("services").is_none();
    entries
        .iter()
        .filter(|entry| {
            let is_service = || entry.value.get("image").or(entry.value.get("build")).is_some();
            !is_old || is_service()
        })
        .map(|entry| (&*entry.key.text, untagged(&entry.value)))
        .filter(|(name, _)| !name.starts_with("x-"))
        .collect()
}

/// What is behind `!override`; nothing behind `!reset`.
fn untagged(node: &Node) -> &Node {
    const NOTHING: &Node = &Node {
        place: Place { source: crate::diagnostic::SourceId(0), start: 0, end: 0 },
        value: Value::Null,
    };
    match node.entries() {
        [entry] if &*entry.key.text == "!override" => &entry.value,
        [entry] if &*entry.key.text == "!reset" => NOTHING,
        _ => node,
    }
}

/// One text, or those of a list; of objects in it their path.
fn texts(node: &Node) -> impl Iterator<Item = &str> {
    let own = node.scalar();
    own.into_iter().chain(
        node.items().iter().filter_map(|item| item.scalar().or_else(|| item.scalar_at("path"))),
    )
}

/// The pairs of a mapping, or of a list of `KEY=VALUE` and `KEY`.
fn pairs(node: &Node) -> Vec<(&str, Option<&str>, Place)> {
    let mapped = node
        .entries()
        .iter()
        .map(|entry| (&*entry.key.text, entry.value.scalar(), entry.key.place));
    let listed = node.items().iter().filter_map(|item| {
        let text = item.scalar()?;
        Some(match text.split_once('=') {
            Some((key, value)) => (key, Some(value), item.place),
            None => (text, None, item.place),
        })
    });
    mapped.chain(listed).collect()
}

/// From merged services to the graph.
fn finish(services: &Services, graph: &mut Graph) {
    let mut by_name: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, service) in services {
        for other in &service.other_names {
            if let Some(first) = by_name.insert(other, name).filter(|first| first != name) {
                let message = format!("`{first}` and `{name}` are both reached as `{other}`");
                graph.warn_of_file(Code::ImportConflict, message);
            }
        }
    }
    by_name.extend(services.keys().map(|name| (name.as_str(), name.as_str())));
    let mut all = Vec::new();
    let mut profiles: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, service) in services {
        let known = graph.service(name);
        known.kind = kinds::of_image(&service.image).map(str::to_owned).or(known.kind.take());
        known.replicas = service.replicas.filter(|count| *count > 0).or(known.replicas);
        let domains: BTreeSet<String> =
            service.domains.iter().map(|(domain, kind)| graph.domain(domain, kind)).collect();
        // A node is in one zone, one region and one rack: to be down with any of them, it is enough to
        // name the smallest; of several it is not known which.
        if let (1, Some(domain)) = (domains.len(), domains.into_iter().next()) {
            graph.service(name).domains = vec![domain];
        }
        service.profiles.iter().for_each(|profile| *profiles.entry(profile).or_default() += 1);
        for (list, is_start) in [(&service.start, true), (&service.linked, false)] {
            for (callee, (source, place)) in list {
                let is_optional = is_start && service.optional.contains(callee);
                let Some(callee) = by_name.get(callee.as_str()) else {
                    if is_optional {
                        continue;
                    }
                    let message =
                        format!("`{name}` names `{callee}`, which is not among the services");
                    graph.warn(Code::Dangling, message, *place);
                    continue;
                };
                if is_start && service.completed.contains(*callee) {
                    graph.service(callee).kind.get_or_insert_with(|| "job".to_owned());
                }
                if is_start {
                    let known = graph.depend_to_start(name, callee, source.clone());
                    if let Some(dependency) = known {
                        dependency.is_soft |= is_optional;
                    }
                } else {
                    graph.depend(name, callee, Evidence::Declared, source.clone());
                }
            }
        }
        for (words, source) in service.arguments.values() {
            for host in hosts::in_arguments(words.iter().map(String::as_str)) {
                if let Some(callee) = by_name.get(host.as_str()) {
                    graph.depend(name, callee, Evidence::Inferred, source.clone());
                }
            }
        }
        for (key, (value, source)) in &service.environment {
            let (caller, key, value) = (name.clone(), key.clone(), value.clone());
            all.push(Variable { caller, key, value, source: source.clone() });
        }
    }
    let resolve = |_: &str, host: &str| {
        by_name.get(host).map(|name| (*name).to_owned()).into_iter().collect::<Vec<_>>()
    };
    connect(&all, services.len(), resolve, graph);
    for (profile, count) in profiles {
        let noun = if count == 1 { "service runs" } else { "services run" };
        graph.remarks.push(format!("{count} {noun} only with profile {profile}."));
    }
    reverse_telemetry(services, graph);
}

/// A collector that asks services for their figures does not serve anyone by it.
fn reverse_telemetry(services: &Services, graph: &mut Graph) {
    for ((caller, _), dependency) in &mut graph.dependencies {
        let is_collector = services
            .get(caller)
            .is_some_and(|service| kinds::of_image(&service.image) == Some("telemetry"));
        dependency.is_soft |= is_collector && !dependency.is_start;
    }
}
