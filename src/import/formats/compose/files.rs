//! The files of a project: overrides, `include`, `extends`, environment files, mounted configuration.
//!
//! Each file is read once, however often it is named, and none outside of the project unless the user
//! allows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use super::interpolate::{ComposeVariables, Filled, fill_variables, read_variables};
use super::service::{
    ComposeService, ComposeSetting, Mount, Services, key_value_pairs, list_texts,
    service_definitions, without_tag,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::addresses::{Purpose, purpose_of};
use crate::import::{Input, hide_values};
use crate::load::{self, Document, Node};

/// How deeply files may include and extend one another.
const INCLUDES_MAX: usize = 16;

/// A larger file is no configuration that anybody wrote.
const CONFIG_MAX: usize = 4 * 1024 * 1024;

/// Of a mounted folder so many files are read.
const CONFIGS_MAX: usize = 64;

/// Variables that the shell or Compose itself sets.
const ALWAYS_SET: &[&str] =
    &["COMPOSE_PROJECT_NAME", "PWD", "HOME", "USER", "UID", "GID", "HOSTNAME", "PATH", "SHELL"];

/// Words that mark an example of a file of variables, behind its name or before.
const EXAMPLES: &[&str] = &["example", "sample", "dist", "template", "default", "defaults"];

/// Keys of Compose files whose values may be secrets.
pub(super) const SECRET_KEYS: &[&str] =
    &["environment", "command", "entrypoint", "labels", "healthcheck", "args", "content"];

/// One of the `configs` of a project.
#[derive(Clone, Debug)]
enum Config {
    File(String),
    Content(String),
}

/// Reads the files of a project, each once.
pub(super) struct ComposeReader<'r, 'i> {
    pub(super) input: &'r mut Input<'i>,
    pub(super) graph: &'r mut EvidenceGraph,
    /// Variables that are set where the file is read.
    known: Rc<ComposeVariables>,
    /// The folder that named files may lie in.
    folder: PathBuf,
    documents: BTreeMap<String, Option<Rc<Vec<Document>>>>,
    /// By file: the document and the entry of each service that may be extended.
    positions: BTreeMap<String, BTreeMap<String, (usize, usize)>>,
    environments: BTreeMap<String, Rc<BTreeMap<String, String>>>,
    texts: BTreeMap<String, Option<Rc<String>>>,
    included: BTreeSet<PathBuf>,
    configs: BTreeMap<String, Config>,
    /// Variables without a value that may be addresses: what each was to be used for, and where.
    unset: BTreeMap<String, String>,
    /// Files of variables that are not there: which example was taken, and who names it.
    missing: BTreeMap<String, (Option<String>, String)>,
}

impl<'r, 'i> ComposeReader<'r, 'i> {
    pub(super) fn new(input: &'r mut Input<'i>, graph: &'r mut EvidenceGraph, first: &str) -> Self {
        let mut reader = Self {
            input,
            graph,
            known: Rc::default(),
            folder: load::project_folder(first),
            documents: BTreeMap::new(),
            positions: BTreeMap::new(),
            environments: BTreeMap::new(),
            texts: BTreeMap::new(),
            included: BTreeSet::new(),
            configs: BTreeMap::new(),
            unset: BTreeMap::new(),
            missing: BTreeMap::new(),
        };
        reader.known = Rc::new(reader.variables_beside(first));
        reader
    }

    /// Returns the variables that the `.env` beside a file sets, and those that an example beside
    /// it would set.
    fn variables_beside(&mut self, path: &str) -> ComposeVariables {
        let file = path_beside(path, ".env");
        let values = (*self.environment_file(&file)).clone();
        let examples = Self::example_of(&file).map(|path| (*self.environment_file(&path)).clone());
        ComposeVariables { values, examples: examples.unwrap_or_default() }
    }

    /// The variables of a file; none where it cannot be read.
    fn environment_file(&mut self, path: &str) -> Rc<BTreeMap<String, String>> {
        if let Some(known) = self.environments.get(path) {
            return Rc::clone(known);
        }
        let text = self.text_beside(path);
        let read = text.map(|text| read_variables(&text, &self.known)).unwrap_or_default();
        let read = Rc::new(read);
        self.environments.insert(path.to_owned(), Rc::clone(&read));
        read
    }

    /// The example beside a file of variables: `.env.example`, `example.env`.
    fn example_of(path: &str) -> Option<String> {
        let (folder, name) =
            path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let stem = name.strip_suffix(".env").unwrap_or(name);
        let of = |word: &&str| {
            let others = [
                format!("{name}.{word}"),
                format!("{name}-{word}"),
                format!("{stem}.{word}.env"),
                format!("{word}{name}"),
                format!("{word}.{}", name.trim_start_matches('.')),
                format!("{}.{word}", name.trim_start_matches('.')),
            ];
            others.into_iter().map(|name| path_beside(&format!("{folder}/"), &name))
        };
        let relative = |path: String| {
            if folder.is_empty() { path.trim_start_matches('/').to_owned() } else { path }
        };
        EXAMPLES.iter().flat_map(of).map(relative).find(|path| load::is_file(path))
    }

    /// A text beside the project, read once; `None` where it is not there, too large, or outside.
    fn text_beside(&mut self, path: &str) -> Option<Rc<String>> {
        if let Some(known) = self.texts.get(path) {
            return known.clone();
        }
        let read = if load::is_file(path) && self.is_allowed(path) {
            let bytes = load::read_bytes(path).ok().filter(|bytes| bytes.len() <= CONFIG_MAX);
            bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Rc::new)
        } else {
            None
        };
        self.texts.insert(path.to_owned(), read.clone());
        read
    }

    /// Whether a file may be read. One outside of the project is named, and left unread.
    fn is_allowed(&mut self, path: &str) -> bool {
        if self.input.options.allow_outside || load::is_within(path, &self.folder) {
            return true;
        }
        let message = format!("`{path}` lies outside of the project, and was not read");
        self.graph.warn_with_help(
            Code::Dangling,
            message,
            "pass `--allow-outside` to read files outside of the repository, or of the folder of the first file",
        );
        false
    }

    fn read_documents(&mut self, path: &str) -> Result<Rc<Vec<Document>>, Vec<Diagnostic>> {
        if let Some(Some(known)) = self.documents.get(path) {
            return Ok(Rc::clone(known));
        }
        let mut read = load::read_foreign(path, self.input.sources)?;
        for document in &mut read {
            self.graph.warn_all(std::mem::take(&mut document.problems));
        }
        // Diagnostics show lines of the file, and these values may be passwords.
        hide_values(&read, SECRET_KEYS, self.input.sources);
        let read = Rc::new(read);
        self.documents.insert(path.to_owned(), Some(Rc::clone(&read)));
        Ok(read)
    }

    /// Reads one file and all that it includes.
    pub(super) fn read_file(
        &mut self,
        path: &str,
        services: &mut Services,
        depth: usize,
    ) -> Result<(), Vec<Diagnostic>> {
        // The file may be reached by several paths, and by links that lead back to it.
        if let Ok(identity) = std::path::Path::new(path).canonicalize() {
            self.included.insert(identity);
        }
        for document in &*self.read_documents(path)? {
            for included in document.root.get("include").map(Node::items).unwrap_or_default() {
                self.read_include(path, included, services, depth)?;
            }
            for config in document.root.get("configs").map(Node::entries).unwrap_or_default() {
                let file = config.value.scalar_at("file");
                let file = file.map(|file| {
                    Config::File(path_beside(path, &fill_variables(file, &self.known).text))
                });
                let content = config.value.scalar_at("content");
                let content =
                    content.map(|text| Config::Content(fill_variables(text, &self.known).text));
                let config_name = config.key.text.to_string();
                self.configs.extend(file.or(content).map(|config| (config_name, config)));
            }
            for (name, node) in service_definitions(&document.root) {
                let service = self.read_service(path, name, node, depth);
                services.entry(name.to_owned()).or_default().merge_later(service, node);
            }
        }
        Ok(())
    }

    /// Reads what a file includes, each file once. Included files have a directory and an environment
    /// of their own.
    fn read_include(
        &mut self,
        path: &str,
        node: &Node,
        services: &mut Services,
        depth: usize,
    ) -> Result<(), Vec<Diagnostic>> {
        if depth >= INCLUDES_MAX {
            let message = "files include one another without end";
            self.graph.warn(Code::NotUnderstood, message, node.place);
            return Ok(());
        }
        let paths = node.scalar().map_or_else(
            || node.get("path").map(|paths| list_texts(paths).collect()).unwrap_or_default(),
            |path| vec![path],
        );
        for named in paths {
            let file = path_beside(path, &fill_variables(named, &self.known).text);
            if !load::is_file(&file) {
                let message = format!(
                    "`{}` is included, but there is no such file",
                    path_beside(path, named)
                );
                self.graph.warn(Code::Dangling, message, node.place);
                continue;
            }
            let identity = std::path::Path::new(&file).canonicalize();
            if !self.included.insert(identity.unwrap_or_else(|_| PathBuf::from(&file)))
                || !self.is_allowed(&file)
            {
                continue;
            }
            let mut own = self.variables_beside(&file);
            for named in node.get("env_file").into_iter().flat_map(list_texts) {
                let named = path_beside(path, &fill_variables(named, &self.known).text);
                own.values.extend((*self.environment_file(&named)).clone());
            }
            // As in Compose, what the outer project sets counts more than the files of the included
            // one.
            own.values.extend(self.known.values.clone());
            let outer = std::mem::replace(&mut self.known, Rc::new(own));
            let read = self.read_file(&file, services, depth + 1);
            self.known = outer;
            read?;
        }
        Ok(())
    }

    fn read_service(
        &mut self,
        path: &str,
        name: &str,
        node: &Node,
        depth: usize,
    ) -> ComposeService {
        let mut service = ComposeService::default();
        if let Some(extends) = node.get("extends") {
            service = self.extended_service(path, extends, depth);
        }
        let at = |key: &str| format!("{path}: services.{name}.{key}");
        self.read_environment(path, name, node, &mut service);
        let known = Rc::clone(&self.known);
        let unset = &mut self.unset;
        let mut fill_noting = |text: &str, key: &str| {
            let filled = fill_variables(text, &known);
            // Nothing behind these keys is the address of a dependency, so none is missed.
            if !filled.unset.is_empty() && !matches!(key, "image" | "labels" | "volumes" | "scale")
            {
                note_unset(unset, &filled, &at(key), "");
            }
            filled
        };
        service.read_settings(node, &at, &|source| path_beside(path, source), &mut fill_noting);
        service
    }

    /// Reads the environment: first its files, over them what stands in the file itself.
    fn read_environment(
        &mut self,
        path: &str,
        name: &str,
        node: &Node,
        service: &mut ComposeService,
    ) {
        let at = |key: &str| format!("{path}: services.{name}.{key}");
        let get = |key: &str| node.get(key).map(without_tag);
        for named in get("env_file").into_iter().flat_map(list_texts) {
            let file = path_beside(path, &fill_variables(named, &self.known).text);
            let is_there = load::is_file(&file);
            let example = if is_there { None } else { Self::example_of(&file) };
            if !is_there {
                let seen = (example.clone(), at("env_file"));
                self.missing.entry(file.clone()).or_insert(seen);
            }
            let from = example.as_ref().unwrap_or(&file);
            for (key, value) in &*self.environment_file(from) {
                let setting = ComposeSetting {
                    value: value.clone(),
                    source: at(&format!("env_file.{key}")),
                    is_literal: false,
                    is_example: example.is_some(),
                };
                service.environment.insert(key.clone(), setting);
            }
        }
        for (key, value, _) in get("environment").map(key_value_pairs).unwrap_or_default() {
            // Without a value it is passed through from the environment of the caller.
            let passed = format!("${{{key}}}");
            let written = value.unwrap_or(&passed);
            let filled = fill_variables(written, &self.known);
            let source = at(&format!("environment.{key}"));
            note_unset(&mut self.unset, &filled, &source, key);
            let setting = ComposeSetting {
                is_literal: !written.contains('$'),
                is_example: filled.is_example,
                value: filled.text,
                source,
            };
            service.environment.insert(key.to_owned(), setting);
        }
    }

    /// The service that another extends.
    fn extended_service(&mut self, path: &str, extends: &Node, depth: usize) -> ComposeService {
        let known = Rc::clone(&self.known);
        let filled = |text: &str| fill_variables(text, &known).text;
        let (file, name) = match extends.scalar() {
            Some(name) => (path.to_owned(), filled(name)),
            None => (
                extends
                    .scalar_at("file")
                    .map_or(path.to_owned(), |file| path_beside(path, &filled(file))),
                filled(extends.scalar_at("service").unwrap_or_default()),
            ),
        };
        let problem = if depth >= INCLUDES_MAX {
            Some((
                Code::NotUnderstood,
                format!("services that `{name}` extends extend one another without end"),
            ))
        } else if !load::is_file(&file) {
            Some((Code::Dangling, format!("`{name}` of `{file}` is extended, but cannot be read")))
        } else if !self.is_allowed(&file) {
            // `is_allowed` has warned of it.
            return ComposeService::default();
        } else {
            None
        };
        if let Some((code, message)) = problem {
            self.graph.warn(code, message, extends.place);
            return ComposeService::default();
        }
        let Ok(documents) = self.read_documents(&file) else {
            let message = format!("`{file}` is extended, but is not YAML");
            self.graph.warn(Code::NotUnderstood, message, extends.place);
            return ComposeService::default();
        };
        // Hundreds of services may extend those of one large file, so it is searched only once.
        let index = self.positions.entry(file.clone()).or_insert_with(|| {
            let mut positions = BTreeMap::new();
            for (document, read) in documents.iter().enumerate() {
                // The first edition of the format has no `services`: they stand outermost.
                let services = read.root.get("services").unwrap_or(&read.root);
                for (entry, service) in services.entries().iter().enumerate() {
                    positions.entry(service.key.text.to_string()).or_insert((document, entry));
                }
            }
            positions
        });
        let Some((document, entry)) = index.get(&name).copied() else {
            return ComposeService::default();
        };
        let root = &documents[document].root;
        let services = root.get("services").unwrap_or(root);
        self.read_service(&file, &name, without_tag(&services.entries()[entry].value), depth + 1)
    }

    /// The texts that a container finds where something is mounted, with what to call them.
    pub(super) fn mounted_texts(
        &mut self,
        mount: &Mount,
        is_gateway: bool,
    ) -> Vec<(String, Rc<String>)> {
        let (source, target) = match mount {
            Mount::Config(name) => match self.configs.get(name).cloned() {
                Some(Config::File(path)) => (path, String::new()),
                Some(Config::Content(text)) => {
                    return vec![(format!("configs.{name}"), Rc::new(text))];
                }
                None => return Vec::new(),
            },
            Mount::Path(source, target) => (source.clone(), target.clone()),
        };
        // An image that was built on nginx has a name of its own. Where its configuration is
        // mounted still tells which gateway it is.
        let is_of_gateway = is_gateway
            || ["nginx", "traefik", "caddy", "envoy", "kong", "haproxy", "apache", "httpd"]
                .iter()
                .any(|word| target.to_lowercase().contains(word));
        if load::is_file(&source) {
            let is_config = is_of_gateway || is_config_name(&source);
            let text = if is_config { self.text_beside(&source) } else { None };
            return text.map(|text| (source, text)).into_iter().collect();
        }
        if !is_of_gateway || !std::path::Path::new(&source).is_dir() || !self.is_allowed(&source) {
            return Vec::new();
        }
        let files = load::files_below(&source).into_iter().take(CONFIGS_MAX);
        files.filter_map(|file| self.text_beside(&file).map(|text| (file, text))).collect()
    }

    /// Warns of what was not set and of files that are not there: all that depends on them is unknown.
    pub(super) fn warn_of_the_unknown(&mut self) {
        let unset = std::mem::take(&mut self.unset);
        for (name, place) in unset {
            let taken = if self.known.examples.contains_key(&name) {
                "its example is taken, as assumed"
            } else {
                "what it leads to is unknown"
            };
            let message = format!("`{name}` is not set ({place}): {taken}");
            self.graph.warn_with_help(Code::Dangling, message, "set it in `.env` beside the file");
        }
        for (file, (example, place)) in std::mem::take(&mut self.missing) {
            let taken = match example {
                Some(example) => format!("`{example}` is taken for it, as assumed"),
                None => "its variables are unknown, and dependencies may be missing".to_owned(),
            };
            let message = format!("`{file}` is not there ({place}): {taken}");
            self.graph.warn_of_file(Code::Dangling, message);
        }
    }
}

/// Keeps in mind names without a value, where what they fill may be an address.
fn note_unset(unset: &mut BTreeMap<String, String>, filled: &Filled, source: &str, key: &str) {
    let is_none = |name: &str| matches!(purpose_of(name), Purpose::NoAddress | Purpose::NotCalled);
    if filled.unset.is_empty() || is_none(key) {
        return;
    }
    for name in &filled.unset {
        if !ALWAYS_SET.contains(&name.as_str()) && !is_none(name) {
            unset.entry(name.clone()).or_insert_with(|| source.to_owned());
        }
    }
}

/// Whether a file is called like configuration.
fn is_config_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let ends = [".conf", ".cfg", ".yml", ".yaml", ".toml", ".json", ".template", ".tmpl", ".caddy"];
    name.starts_with("caddyfile") || ends.iter().any(|end| name.ends_with(end))
}

/// The path of a file named in another.
pub(super) fn path_beside(path: &str, name: &str) -> String {
    let name = name.strip_prefix("./").unwrap_or(name);
    match path.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}
