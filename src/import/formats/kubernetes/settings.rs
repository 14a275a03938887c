//! Settings of pods: variables, arguments, mounted `ConfigMaps` and Secrets.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;

use super::cluster::{Cluster, ClusterWorkload};
use crate::diagnostic::Code;
use crate::import::graph::EvidenceGraph;
use crate::import::graph::addresses::{Address, Purpose, in_arguments, in_file, in_variable};
use crate::import::graph::gateways;
use crate::import::graph::pools::server_pool;
use crate::import::graph::references::{Reference, Target, Variable};
use crate::load::Node;

/// How often a variable may refer to another.
const EXPANSIONS_MAX: usize = 8;

/// A longer value is left as it is: values that double would grow for ever.
const VALUE_MAX: usize = 64 * 1024;

/// `ConfigMaps` and Secrets that pods need and nobody wrote down, with who needs them.
#[derive(Default)]
pub(super) struct Absent {
    users: BTreeMap<(&'static str, String), BTreeSet<String>>,
}

impl Absent {
    fn note_absent(&mut self, kind: &'static str, name: &str, user: &str) {
        self.users.entry((kind, name.to_owned())).or_default().insert(user.to_owned());
    }

    /// Warns of each: whatever stands in it is unknown.
    pub(super) fn warn_of_absent(&self, _: &Cluster<'_>, graph: &mut EvidenceGraph) {
        for ((kind, name), users) in &self.users {
            let shown: Vec<&str> = users.iter().map(String::as_str).take(3).collect();
            let more = if users.len() > 3 { ", ..." } else { "" };
            let message = format!(
                "{kind} `{name}` of {}{more} is not among the manifests: its addresses are unknown",
                shown.join(", ")
            );
            let help = "add it to the files; only names of hosts are taken from it";
            graph.warn_with_help(Code::Dangling, message, help);
        }
    }
}

/// The entries of a `ConfigMap` or Secret.
fn entries_of(store: &Node) -> Vec<(&str, String)> {
    // `stringData` comes first: Kubernetes lets it win over `data`.
    let plain = ["stringData", "data"].into_iter().flat_map(|key| {
        let entries = store.get(key).map(Node::entries).unwrap_or_default();
        entries.iter().map(move |entry| (key, entry))
    });
    let is_secret = store.scalar_at("kind") == Some("Secret");
    plain
        .filter_map(|(key, entry)| {
            let text = entry.value.scalar()?;
            // `data` of a Secret is in base64, that of a ConfigMap is plain text.
            let decoded = (is_secret && key == "data").then(|| {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
                String::from_utf8(bytes).ok()
            });
            // Bytes that are no text, such as certificates, hold no address.
            Some((&*entry.key.text, decoded.unwrap_or_else(|| Some(text.to_owned()))?))
        })
        .collect()
}

/// One workload and what is around it.
struct SettingsReader<'a, 'c> {
    workload: &'a ClusterWorkload<'a>,
    cluster: &'a Cluster<'a>,
    absent: &'c mut Absent,
}

/// Collects the variables of all pods, and adds what arguments and mounted files say. Those of init
/// containers are for the start.
pub(super) fn collect_variables(
    cluster: &Cluster<'_>,
    graph: &mut EvidenceGraph,
    absent: &mut Absent,
) -> Vec<Variable> {
    let mut all = Vec::new();
    for workload in &cluster.workloads {
        let mut reader = SettingsReader { workload, cluster, absent };
        for container in workload.pod.get("containers").map(Node::items).unwrap_or_default() {
            let own = reader.read_environment(container);
            reader.add_arguments(container, &own, false, graph);
            reader.add_pool(container, &own, graph);
            all.extend(own);
        }
        for container in workload.pod.get("initContainers").map(Node::items).unwrap_or_default() {
            let own = reader.read_environment(container);
            // A sidecar runs as long as the pod.
            let is_sidecar = container.scalar_at("restartPolicy") == Some("Always");
            reader.add_arguments(container, &own, !is_sidecar, graph);
            // An init container that runs on belongs to the work of the pod; others only delay its
            // start.
            if is_sidecar {
                all.extend(own);
            } else {
                reader.add_start(&own, graph);
            }
        }
        reader.add_mounted(graph);
    }
    all
}

impl<'a> SettingsReader<'a, '_> {
    fn source_text(&self, what: &str) -> String {
        format!("{}: {} {} {what}", self.workload.path, self.workload.kind, self.workload.name)
    }

    /// A `ConfigMap` or Secret; one that is not there is noted, unless the pod can do without.
    fn find_store(&mut self, kind: &'static str, reference: &Node, key: &str) -> Option<&'a Node> {
        let name = reference.scalar_at(key)?;
        let found = self.cluster.find_store(kind, self.workload.namespace, name);
        // A pod with an optional reference starts without it, so its absence is no gap in the
        // files.
        if found.is_none() && reference.scalar_at("optional") != Some("true") {
            self.absent.note_absent(kind, name, &self.workload.name);
        }
        found
    }

    /// The variables of a container, with those filled in that refer to earlier ones.
    fn read_environment(&mut self, container: &Node) -> Vec<Variable> {
        let mut all: Vec<Variable> = Vec::new();
        let caller = self.workload.name.clone();
        // `env` comes after `envFrom`: as in Kubernetes, it wins over it.
        for from in container.get("envFrom").map(Node::items).unwrap_or_default() {
            let prefix = from.scalar_at("prefix").unwrap_or_default();
            for (kind, key) in [("ConfigMap", "configMapRef"), ("Secret", "secretRef")] {
                let Some(reference) = from.get(key) else { continue };
                let name = reference.scalar_at("name").unwrap_or_default().to_owned();
                let Some(store) = self.find_store(kind, reference, "name") else { continue };
                let entries: Vec<(String, String)> = entries_of(store)
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect();
                for (key, value) in entries {
                    all.push(Variable {
                        caller: caller.clone(),
                        source: self.source_text(&format!("envFrom {name}.{key}")),
                        key: format!("{prefix}{key}"),
                        value,
                        is_literal: kind == "ConfigMap",
                        is_example: false,
                    });
                }
            }
        }
        for variable in container.get("env").map(Node::items).unwrap_or_default() {
            let Some(key) = variable.scalar_at("name") else { continue };
            let mut is_literal = true;
            let value = match variable.scalar_at("value") {
                Some(value) => {
                    // A value made of others is not what the file shows, and may hold a secret.
                    is_literal = !value.contains("$(");
                    Some(fill_variables(value, &all))
                }
                None => [("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")]
                    .into_iter()
                    .find_map(|(kind, reference)| {
                        let reference = variable.get("valueFrom")?.get(reference)?;
                        let wanted = reference.scalar_at("key")?;
                        let store = self.find_store(kind, reference, "name")?;
                        // A value out of a Secret must never be shown.
                        is_literal = kind == "ConfigMap";
                        entries_of(store).into_iter().find(|(key, _)| *key == wanted)
                    })
                    .map(|(_, value)| value),
            };
            if let Some(value) = value {
                let source = self.source_text(&format!("env {key}"));
                let (caller, key) = (caller.clone(), key.to_owned());
                // The later of two variables of one name counts, as in Kubernetes.
                all.retain(|known| known.key != key);
                all.push(Variable { caller, key, value, source, is_literal, is_example: false });
            }
        }
        all
    }

    fn find_target(&self, host: &str) -> Target {
        self.cluster.find_target_of(self.workload, host)
    }

    fn add_reference(
        &self,
        address: &Address,
        source: &str,
        is_start: bool,
        graph: &mut EvidenceGraph,
    ) {
        let target = self.find_target(&address.host);
        let purpose = if is_start { Purpose::Start } else { Purpose::Unstated };
        // A command or a file may name hosts that it only talks of; what is there is meant.
        if target == Target::Unknown && (is_start || !address.is_certain) {
            return;
        }
        let reference = Reference::from_address(&self.workload.name, address, source);
        graph.add_reference(&Reference { purpose, ..reference }, target);
    }

    /// Adds how many requests a container has in progress at once, where its command says so.
    fn add_pool(&self, container: &Node, variables: &[Variable], graph: &mut EvidenceGraph) {
        let words = ["command", "args"]
            .into_iter()
            .flat_map(|key| container.get(key).map(Node::items).unwrap_or_default())
            .filter_map(Node::scalar);
        let known: BTreeMap<&str, &str> =
            variables.iter().map(|variable| (&*variable.key, &*variable.value)).collect();
        if let Some(each) = server_pool(words, &known) {
            graph.note_pool(&self.workload.name, each, &self.source_text("command and env"));
        }
    }

    fn add_arguments(
        &self,
        container: &Node,
        variables: &[Variable],
        is_start: bool,
        graph: &mut EvidenceGraph,
    ) {
        let words: Vec<String> = ["command", "args"]
            .iter()
            .flat_map(|key| container.get(key).map(Node::items).unwrap_or_default())
            .filter_map(Node::scalar)
            .map(|word| fill_variables(word, variables))
            .collect();
        let mut found = in_arguments(words.iter().map(String::as_str));
        if is_start {
            // Loops that wait for others name them anywhere: `nc -z db 5432`.
            let bare = words
                .iter()
                .flat_map(|text| text.split(|c: char| c.is_whitespace() || ";'\"".contains(c)));
            found.extend(bare.map(|word| {
                let host = word.split(':').next().unwrap_or_default().to_owned();
                (Address::of_host(host), Purpose::Start)
            }));
        }
        let source = self.source_text(if is_start { "initContainers" } else { "args" });
        for (address, purpose) in &found {
            self.add_reference(address, &source, is_start || *purpose == Purpose::Start, graph);
        }
    }

    /// Adds what init containers are told: needed to start.
    fn add_start(&self, variables: &[Variable], graph: &mut EvidenceGraph) {
        for variable in variables {
            for address in in_variable(&variable.key, &variable.value).addresses {
                self.add_reference(&address, &variable.source, true, graph);
            }
        }
    }

    /// Adds the addresses in the files that the containers see: of each `ConfigMap` and Secret only the
    /// keys that are mounted.
    fn add_mounted(&mut self, graph: &mut EvidenceGraph) {
        let containers = self.workload.pod.get("containers").map(Node::items).unwrap_or_default();
        let mut parts: BTreeMap<&str, Option<BTreeSet<&str>>> = BTreeMap::new();
        for mount in containers.iter().flat_map(|container| {
            container.get("volumeMounts").map(Node::items).unwrap_or_default()
        }) {
            let name = mount.scalar_at("name").unwrap_or_default();
            let part = parts.entry(name).or_insert_with(|| Some(BTreeSet::new()));
            match mount.scalar_at("subPath") {
                Some(path) => part.iter_mut().for_each(|known| {
                    known.insert(path);
                }),
                // A mount without `subPath` shows the whole volume.
                None => *part = None,
            }
        }
        for volume in self.workload.pod.get("volumes").map(Node::items).unwrap_or_default() {
            let name = volume.scalar_at("name").unwrap_or_default();
            let part = parts.get(name).cloned().flatten();
            let projected =
                volume.node_at("projected.sources").map(Node::items).unwrap_or_default();
            for source in std::iter::once(volume).chain(projected) {
                for (kind, key, name) in
                    [("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")]
                {
                    let Some(reference) = source.get(key) else { continue };
                    // A projected Secret has `name` where a volume of its own has `secretName`.
                    let name = if reference.get(name).is_some() { name } else { "name" };
                    self.add_store(kind, reference, name, part.as_ref(), graph);
                }
            }
        }
    }

    fn add_store(
        &mut self,
        kind: &'static str,
        reference: &Node,
        name_key: &str,
        part: Option<&BTreeSet<&str>>,
        graph: &mut EvidenceGraph,
    ) {
        let name = reference.scalar_at(name_key).unwrap_or_default();
        let items = reference.get("items").map(Node::items).unwrap_or_default();
        let Some(store) = self.find_store(kind, reference, name_key) else { return };
        for (key, text) in entries_of(store) {
            let item = items.iter().find(|item| item.scalar_at("key") == Some(key));
            // `items` may rename a key; the mount then selects it by its new name.
            let path = item.and_then(|item| item.scalar_at("path")).unwrap_or(key);
            let is_mounted = (items.is_empty() || item.is_some())
                && part.is_none_or(|part| part.contains(path) || part.contains(key));
            if !is_mounted {
                continue;
            }
            let source = self.source_text(&format!("{kind} {name}.{key}"));
            if let Some(upstreams) = gateways::configured_upstreams(&text, &|_| None) {
                let lookup = |host: &str| self.find_target(host);
                gateways::connect_upstreams(
                    &self.workload.name,
                    &upstreams,
                    &source,
                    lookup,
                    graph,
                );
                if let Some(each) = gateways::configured_pool(&text) {
                    graph.note_pool(&self.workload.name, each, &source);
                }
                // The generic search for addresses would find the upstreams of a gateway once more,
                // without their meaning.
                continue;
            }
            // A file of one line says by its name what it holds.
            let found = match text.lines().count() {
                0 | 1 => in_variable(key, &text).addresses,
                _ => in_file(&text),
            };
            for address in &found {
                self.add_reference(address, &source, false, graph);
            }
        }
    }
}

/// A value with `$(NAME)` filled in; `$$(NAME)` stays.
fn fill_variables(value: &str, known: &[Variable]) -> String {
    if !value.contains("$(") {
        return value.to_owned();
    }
    let mut out = value.to_owned();
    // Values may refer to one another in a circle.
    for _ in 0..EXPANSIONS_MAX {
        let mut next = String::new();
        let mut rest = out.as_str();
        while let Some(at) = rest.find("$(") {
            let inner = &rest[at + 2..];
            let end = inner.find(')');
            let name = end.map_or("", |end| &inner[..end]);
            // `$$(NAME)` stands for the text `$(NAME)`.
            let is_escaped = rest[..at].ends_with('$');
            let value = known.iter().find(|variable| variable.key == name && !is_escaped);
            if let (Some(end), Some(variable)) = (end, value) {
                next.push_str(&rest[..at]);
                next.push_str(&variable.value);
                rest = &inner[end + 1..];
            } else {
                next.push_str(&rest[..at + 2]);
                rest = inner;
            }
        }
        next.push_str(rest);
        // A value that no longer changes is filled; one that grows too long keeps what it had
        // before.
        if next == out || next.len() > VALUE_MAX {
            break;
        }
        out = next;
    }
    out
}
