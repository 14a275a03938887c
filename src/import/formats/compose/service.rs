//! One service of a Compose file, as it is written there, and what a later file says over it.

use std::collections::{BTreeMap, BTreeSet};

use super::interpolate::Filled;
use crate::diagnostic::Place;
use crate::load::{Node, Value};

/// A value of the environment, and where it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct ComposeSetting {
    pub(super) value: String,
    pub(super) source: String,
    /// It stands in the file as it is.
    pub(super) is_literal: bool,
    /// It comes from an example of a file that is not there.
    pub(super) is_example: bool,
}

/// Another service that is named, and where.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) source: String,
    pub(super) place: Place,
    /// The name as the file has it: what was filled in may be a secret.
    pub(super) shown: String,
}

/// A file or a text that the containers of a service find in their file system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mount {
    /// A path on the machine, and where it is in the container.
    Path(String, String),
    /// One of the `configs` of the project.
    Config(String),
}

/// A service as merged from all files.
#[derive(Clone, Debug, Default)]
pub(super) struct ComposeService {
    pub(super) image: String,
    pub(super) replicas: Option<u32>,
    /// Where it must run: names of domains with their kinds.
    pub(super) domains: Vec<(String, &'static str)>,
    pub(super) environment: BTreeMap<String, ComposeSetting>,
    pub(super) arguments: BTreeMap<&'static str, (Vec<String>, String)>,
    pub(super) labels: BTreeMap<String, String>,
    /// Services to start first.
    pub(super) start: BTreeMap<String, Mention>,
    /// Those of them that must have done their work before.
    pub(super) completed: BTreeSet<String>,
    /// Those of them that it starts without where they are not there.
    pub(super) optional: BTreeSet<String>,
    /// Services that share a name space with it, or that it cannot be without.
    pub(super) linked: BTreeMap<String, Mention>,
    /// Names by which only this service reaches others.
    pub(super) aliases: BTreeMap<String, String>,
    /// Hosts outside that only this service knows by name.
    pub(super) extra_hosts: BTreeSet<String>,
    /// Its other names, each with what the file has: what was filled in may be a secret.
    pub(super) other_names: BTreeMap<String, String>,
    pub(super) profiles: BTreeSet<String>,
    pub(super) networks: BTreeSet<String>,
    pub(super) mounts: BTreeSet<Mount>,
    /// A port is open to everybody, or to the machine itself.
    pub(super) ports: PublishedPorts,
}

/// To whom the ports of a service are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PublishedPorts {
    #[default]
    Closed,
    /// Only to the machine that it runs on.
    Local,
    Open,
}

pub(super) type Services = BTreeMap<String, ComposeService>;

impl ComposeService {
    /// Takes over what a later file says, which comes over what an earlier one said.
    pub(super) fn merge_later(&mut self, later: Self, node: &Node) {
        // A tag such as `!override` or `!reset` arrives as the only key of a mapping.
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
        if replaces("ports") {
            self.ports = PublishedPorts::Closed;
        }
        self.environment.extend(later.environment);
        self.completed.extend(later.completed);
        // `required: false` holds only until a later file states the same dependency anew.
        self.optional.retain(|callee| !later.start.contains_key(callee));
        self.optional.extend(later.optional);
        self.start.extend(later.start);
        self.linked.extend(later.linked);
        self.aliases.extend(later.aliases);
        self.extra_hosts.extend(later.extra_hosts);
        self.arguments.extend(later.arguments);
        self.labels.extend(later.labels);
        self.other_names.extend(later.other_names);
        self.profiles.extend(later.profiles);
        self.networks.extend(later.networks);
        self.mounts.extend(later.mounts);
        // Compose adds the ports of later files to those of earlier ones.
        self.ports = self.ports.max(later.ports);
        self.replicas = later.replicas.or(self.replicas);
        self.domains.extend(later.domains);
        if !later.image.is_empty() {
            self.image = later.image;
        }
    }

    /// Reads everything but the environment. `fill` fills in variables.
    pub(super) fn read_settings(
        &mut self,
        node: &Node,
        at: &dyn Fn(&str) -> String,
        beside: &dyn Fn(&str) -> String,
        fill: &mut dyn FnMut(&str, &str) -> Filled,
    ) {
        let get = |key: &str| node.get(key).map(without_tag);
        for key in ["command", "entrypoint"] {
            if let Some(value) = get(key) {
                let words = list_texts(value).map(|word| fill(word, key).text).collect();
                self.arguments.insert(key, (words, at(key)));
            }
        }
        self.read_dependencies(node, at, fill);
        if let Some(image) = get("image").and_then(Node::scalar) {
            self.image = fill(image, "image").text;
        }
        let count = node.node_at("deploy.replicas").or(node.get("scale")).and_then(Node::scalar);
        if let Some(count) = count.and_then(|text| fill(text, "scale").text.parse::<u32>().ok()) {
            self.replicas = Some(count);
        }
        for constraint in
            node.node_at("deploy.placement.constraints").into_iter().flat_map(list_texts)
        {
            self.domains.extend(place_of(constraint, fill));
        }
        for key in ["hostname", "container_name"] {
            let name = get(key).and_then(Node::scalar);
            self.other_names.extend(name.map(|name| (fill(name, key).text, name.to_owned())));
        }
        for entry in get("networks").map(Node::entries).unwrap_or_default() {
            let names = entry.value.get("aliases").into_iter().flat_map(list_texts);
            let address = entry.value.scalar_at("ipv4_address");
            let names = names.chain(address);
            self.other_names
                .extend(names.map(|name| (fill(name, "networks").text, name.to_owned())));
        }
        for (network, ..) in get("networks").map(key_value_pairs).unwrap_or_default() {
            self.networks.insert(network.to_owned());
        }
        for pair in get("extra_hosts").map(key_value_pairs).unwrap_or_default() {
            // `name:address` in the older form.
            let name = pair.0.split(':').next().unwrap_or_default();
            self.extra_hosts.insert(fill(name, "extra_hosts").text);
        }
        self.profiles.extend(get("profiles").into_iter().flat_map(list_texts).map(str::to_owned));
        let deployed = node.node_at("deploy.labels").map(without_tag);
        for (key, value, _) in
            get("labels").into_iter().chain(deployed).flat_map(key_value_pairs).collect::<Vec<_>>()
        {
            let value = fill(value.unwrap_or_default(), "labels").text;
            self.labels.insert(fill(key, "labels").text, value);
        }
        self.ports =
            get("ports").map_or(PublishedPorts::Closed, |node| published_ports(node, fill));
        for volume in get("volumes").map(Node::items).unwrap_or_default() {
            let (source, target) = match volume.scalar() {
                Some(text) => {
                    let text = fill(text, "volumes").text;
                    let (source, target) = text.split_once(':').unwrap_or((&text, ""));
                    (source.to_owned(), target.split(':').next().unwrap_or_default().to_owned())
                }
                None => (
                    fill(volume.scalar_at("source").unwrap_or_default(), "volumes").text,
                    fill(volume.scalar_at("target").unwrap_or_default(), "volumes").text,
                ),
            };
            if source.starts_with(['.', '/']) {
                self.mounts.insert(Mount::Path(beside(&source), target));
            }
        }
        for config in get("configs").map(Node::items).unwrap_or_default() {
            let name = config.scalar().or_else(|| config.scalar_at("source"));
            self.mounts.extend(name.map(|name| Mount::Config(name.to_owned())));
        }
    }

    fn read_dependencies(
        &mut self,
        node: &Node,
        at: &dyn Fn(&str) -> String,
        fill: &mut dyn FnMut(&str, &str) -> Filled,
    ) {
        let get = |key: &str| node.get(key).map(without_tag);
        let list = get("depends_on");
        let conditions = list.map(Node::entries).unwrap_or_default();
        for (index, (shown, _, place)) in
            list.map(key_value_pairs).unwrap_or_default().into_iter().enumerate()
        {
            let callee = fill(shown, "depends_on").text;
            let condition = conditions.get(index).map(|entry| &entry.value);
            let says = |key: &str| condition.and_then(|condition| condition.scalar_at(key));
            if says("condition") == Some("service_completed_successfully") {
                self.completed.insert(callee.clone());
            }
            if says("required") == Some("false") {
                self.optional.insert(callee.clone());
            } else {
                self.optional.remove(&callee);
            }
            let (source, shown) = (at(&format!("depends_on.{shown}")), shown.to_owned());
            self.start.insert(callee, Mention { source, place, shown });
        }
        for key in ["links", "external_links", "volumes_from", "network_mode", "pid", "ipc"] {
            for shown in get(key).into_iter().flat_map(list_texts) {
                let text = fill(shown, key).text;
                let is_list = matches!(key, "links" | "external_links" | "volumes_from");
                let text = match text.split_once(':') {
                    Some(("service" | "container", name)) => name,
                    _ if is_list => &text,
                    // Modes such as `host` and `none` name no service.
                    _ => continue,
                };
                let (callee, alias) = text.split_once(':').unwrap_or((text, ""));
                if key.ends_with("links") && !alias.is_empty() {
                    self.aliases.insert(alias.to_owned(), callee.to_owned());
                }
                let mention =
                    Mention { source: at(key), place: node.place, shown: shown.to_owned() };
                // A service that only lends its volumes must exist before the other starts, but
                // need not run.
                let list = if key == "volumes_from" { &mut self.start } else { &mut self.linked };
                list.insert(callee.to_owned(), mention);
            }
        }
    }
}

/// To whom the ports are open that a service publishes.
fn published_ports(node: &Node, fill: &mut dyn FnMut(&str, &str) -> Filled) -> PublishedPorts {
    let open = |text: &str| {
        let is_local = ["127.", "localhost", "[::1]"].iter().any(|start| text.starts_with(start));
        if is_local { PublishedPorts::Local } else { PublishedPorts::Open }
    };
    let of = |port: &Node, fill: &mut dyn FnMut(&str, &str) -> Filled| match port.scalar() {
        Some(text) => open(&fill(text, "ports").text),
        None => open(port.scalar_at("host_ip").unwrap_or_default()),
    };
    node.items().iter().map(|port| of(port, fill)).max().unwrap_or_default()
}

/// Where a constraint wants a service to run: `node.labels.zone == eu-1a`.
///
/// A value that is filled in is written only where the name of its variable speaks of a place: any
/// other may be a secret.
fn place_of(
    constraint: &str,
    fill: &mut dyn FnMut(&str, &str) -> Filled,
) -> Option<(String, &'static str)> {
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
    let name = name.trim();
    let speaks_of_places = |text: &str| {
        let text = text.to_uppercase();
        ["ZONE", "AZ", "REGION", "DATACENTER", "DC", "RACK", "HOST", "NODE"]
            .iter()
            .any(|word| text.split(|c: char| !c.is_alphanumeric()).any(|part| part == *word))
    };
    if name.contains('$') && !speaks_of_places(name) {
        return None;
    }
    Some((fill(name, "deploy").text, kind)).filter(|(name, _)| !name.is_empty())
}

/// The services of a file; of one in the first edition, which has no `services`, its outermost keys.
pub(super) fn service_definitions(root: &Node) -> Vec<(&str, &Node)> {
    let entries = match root.get("services") {
        Some(services) => services.entries(),
        None => root.entries(),
    };
    let is_old = root.get("services").is_none();
    entries
        .iter()
        .filter(|entry| {
            // Without `services` the outermost keys may be anything: what has no image is no
            // service.
            let is_service = || entry.value.get("image").or(entry.value.get("build")).is_some();
            !is_old || is_service()
        })
        .map(|entry| (&*entry.key.text, without_tag(&entry.value)))
        .filter(|(name, _)| !name.starts_with("x-"))
        .collect()
}

/// Returns the value behind `!override`; nothing behind `!reset`.
pub(super) fn without_tag(node: &Node) -> &Node {
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
pub(super) fn list_texts(node: &Node) -> impl Iterator<Item = &str> {
    let own = node.scalar();
    own.into_iter().chain(
        node.items().iter().filter_map(|item| item.scalar().or_else(|| item.scalar_at("path"))),
    )
}

/// The pairs of a mapping, or of a list of `KEY=VALUE` and `KEY`.
pub(super) fn key_value_pairs(node: &Node) -> Vec<(&str, Option<&str>, Place)> {
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
