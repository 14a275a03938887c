//! From the merged services of a project to the graph: names, start order, addresses, gateways, entries.

use std::collections::{BTreeMap, BTreeSet};

use super::files::ComposeReader;
use super::service::{ComposeService, Mention, PublishedPorts, Services};
use crate::diagnostic::Code;
use crate::import::graph::addresses::in_arguments;
use crate::import::graph::gateways::{self, labels};
use crate::import::graph::pools::{connect_pools, server_pool};
use crate::import::graph::references::{Reference, Target, Variable, connect_variables};
use crate::import::graph::{EvidenceGraph, kinds};
use crate::model::topology::Evidence;

/// Who is behind which name.
struct ServiceNames<'a> {
    services: &'a Services,
    by_name: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Names by which users reach services: rules of gateways.
    public: BTreeMap<String, &'a str>,
    networks: BTreeSet<&'a str>,
}

impl<'a> ServiceNames<'a> {
    fn new(services: &'a Services) -> Self {
        let mut by_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut public = BTreeMap::new();
        for (name, service) in services {
            by_name.entry(name).or_default().insert(name);
            for other in service.other_names.keys() {
                by_name.entry(other).or_default().insert(name);
            }
            for host in service_exposures(service).into_iter().flat_map(|exposure| exposure.hosts) {
                public.entry(host).or_insert(name.as_str());
            }
        }
        let networks = services.values().flat_map(|service| &service.networks);
        let networks = networks.map(String::as_str).collect();
        Self { services, by_name, public, networks }
    }

    /// The services that one name stands for.
    fn services_named(&self, name: &str) -> Option<&BTreeSet<&'a str>> {
        let known = || self.by_name.get(name);
        let lower = || self.by_name.get(name.to_ascii_lowercase().as_str());
        // `tasks.NAME` of a swarm, `NAME.NETWORK`, and `PROJECT-NAME-1` of a single container.
        let task = || self.by_name.get(name.strip_prefix("tasks.")?);
        let of_network = || {
            let (name, network) = name.split_once('.')?;
            // Compose calls a network `PROJECT_NETWORK`, and which project it is does not stand in
            // the file.
            let is_network = self.networks.contains(network) || network.contains('_');
            self.by_name.get(name).filter(|_| is_network)
        };
        let of_container = || {
            let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let base = base.strip_suffix(['-', '_']).filter(|base| base.len() < name.len())?;
            let mut marks = base.match_indices(['-', '_']).map(|(at, _)| &base[at + 1..]);
            marks.find_map(|part| self.by_name.get(part))
        };
        // The most literal reading counts: a service whose name looks like that of a container
        // keeps it.
        known().or_else(lower).or_else(task).or_else(of_network).or_else(of_container)
    }

    /// Finds the service behind a host that another service names.
    fn find_target(&self, caller: &str, host: &str) -> Target {
        let own = self.services.get(caller);
        let alias = own.and_then(|service| service.aliases.get(host));
        let host = alias.map_or(host, String::as_str);
        // A container looks into its own hosts file before it asks for the names of services.
        if own.is_some_and(|service| service.extra_hosts.contains(host)) {
            return Target::External(host.to_owned());
        }
        match self.services_named(host) {
            Some(names) if names.len() == 1 => Target::Service(
                names.iter().next().map_or_else(String::new, |name| (*name).to_owned()),
            ),
            Some(names) => Target::AnyOf(
                host.to_owned(),
                names.iter().map(|name| (*name).to_owned()).collect(),
            ),
            None => self
                .public
                .get(host)
                .map_or(Target::Unknown, |name| Target::Service((*name).to_owned())),
        }
    }
}

fn service_exposures(service: &ComposeService) -> Vec<labels::Exposure> {
    let labels = service.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let host =
        service.environment.get("VIRTUAL_HOST").map(|environment| environment.value.as_str());
    labels::label_exposures(labels, host)
}

/// Adds services and dependencies to the graph.
pub(super) fn add_services(services: &Services, reader: &mut ComposeReader<'_, '_>) {
    let names = ServiceNames::new(services);
    warn_of_shared_names(&names, reader.graph);
    let mut variables = Vec::new();
    for (name, service) in services {
        add_service(name, service, reader.graph);
        for (list, is_start) in [(&service.start, true), (&service.linked, false)] {
            for (callee, mention) in list {
                add_mention(name, service, callee, mention, is_start, &names, reader.graph);
            }
        }
        for (words, source) in service.arguments.values() {
            for (address, purpose) in in_arguments(words.iter().map(String::as_str)) {
                let target = names.find_target(name, &address.host);
                // A command may name hosts that it only talks of.
                if target != Target::Unknown {
                    let reference = Reference::from_address(name, &address, source);
                    reader.graph.add_reference(&Reference { purpose, ..reference }, target);
                }
            }
        }
        add_pool(name, service, reader.graph);
        for (key, setting) in &service.environment {
            variables.push(Variable {
                caller: name.clone(),
                key: key.clone(),
                value: setting.value.clone(),
                source: setting.source.clone(),
                is_literal: setting.is_literal,
                is_example: setting.is_example,
            });
        }
    }
    connect_variables(
        &variables,
        services.len(),
        |caller, host| names.find_target(caller, host),
        reader.graph,
    );
    connect_pools(&variables, reader.graph);
    add_mounted(services, &names, reader);
    add_exposed(services, reader.graph);
    add_entries(services, reader.graph);
    add_profiles(services, reader.graph);
}

fn add_service(name: &str, service: &ComposeService, graph: &mut EvidenceGraph) {
    let known = graph.service_or_new(name);
    known.kind = kinds::of_image(&service.image).map(str::to_owned).or(known.kind.take());
    known.replicas = service.replicas.filter(|count| *count > 0).or(known.replicas);
    let domains: BTreeSet<String> =
        service.domains.iter().map(|(domain, kind)| graph.domain_name(domain, kind)).collect();
    // A node is in one zone, one region and one rack: to be down with any of them, it is enough to
    // name the smallest; of several it is not known which.
    if let (1, Some(domain)) = (domains.len(), domains.into_iter().next()) {
        graph.service_or_new(name).domains = vec![domain];
    }
}

/// Adds a service that another names in its definition.
fn add_mention(
    name: &str,
    service: &ComposeService,
    callee: &str,
    mention: &Mention,
    is_start: bool,
    names: &ServiceNames<'_>,
    graph: &mut EvidenceGraph,
) {
    let Some(callees) = names.services_named(callee) else {
        if is_start && service.optional.contains(callee) {
            return;
        }
        let shown = &mention.shown;
        let message = format!("`{name}` names `{shown}`, which is not among the services");
        graph.warn(Code::Dangling, message, mention.place);
        return;
    };
    for found in callees {
        if is_start && service.completed.contains(callee) {
            // What must have ended before others start answers no requests.
            graph.service_or_new(found).kind.get_or_insert_with(|| "job".to_owned());
        }
        let dependency = if is_start {
            graph.depend_to_start(name, found, mention.source.clone())
        } else {
            graph.depend_on(name, found, Evidence::Declared, mention.source.clone())
        };
        if let (Some(dependency), true) = (dependency, callees.len() > 1) {
            dependency.any_of = Some(callee.to_owned());
        }
    }
}

/// Adds how many requests a service has in progress at once, where its command says so.
fn add_pool(name: &str, service: &ComposeService, graph: &mut EvidenceGraph) {
    let words = service.arguments.values().flat_map(|(words, _)| words.iter().map(String::as_str));
    let known: BTreeMap<&str, &str> = service
        .environment
        .iter()
        .map(|(key, setting)| (key.as_str(), setting.value.as_str()))
        .collect();
    if let Some(each) = server_pool(words, &known) {
        graph.note_pool(name, each, &format!("services.{name}: command and environment"));
    }
}

fn warn_of_shared_names(names: &ServiceNames<'_>, graph: &mut EvidenceGraph) {
    for (name, services) in names.by_name.iter().filter(|(_, services)| services.len() > 1) {
        let all: Vec<String> = services.iter().map(|service| format!("`{service}`")).collect();
        let shown = services
            .iter()
            .find_map(|service| names.services.get(*service)?.other_names.get(*name));
        let shown = shown.map_or(*name, String::as_str);
        let message = format!("{} are both reached as `{shown}`", all.join(" and "));
        let help = "one of them is taken to be enough; if they run by profiles, only one does";
        graph.warn_with_help(Code::ImportConflict, message, help);
    }
}

/// Adds what the mounted configuration of gateways says.
fn add_mounted(services: &Services, names: &ServiceNames<'_>, reader: &mut ComposeReader<'_, '_>) {
    for (name, service) in services {
        let is_gateway = kinds::of_image(&service.image) == Some("gateway");
        let variable =
            |key: &str| service.environment.get(key).map(|environment| environment.value.clone());
        let mut texts = Vec::new();
        for mount in &service.mounts {
            texts.extend(reader.mounted_texts(mount, is_gateway));
        }
        // Some gateways, such as Traefik, are configured by arguments in place of files.
        for (words, source) in service.arguments.values().filter(|_| is_gateway) {
            texts.push((source.clone(), words.join("\n").into()));
        }
        for (source, text) in texts {
            let Some(upstreams) = gateways::configured_upstreams(&text, &variable) else {
                continue;
            };
            reader.graph.mounted_files.insert(source.clone());
            let lookup = |host: &str| names.find_target(name, host);
            gateways::connect_upstreams(name, &upstreams, &source, lookup, reader.graph);
            if let Some(each) = gateways::configured_pool(&text) {
                reader.graph.note_pool(name, each, &source);
            }
        }
    }
}

/// Adds what gateways learn from the labels of the services behind them. Without the gateway itself,
/// requests enter at those services.
fn add_exposed(services: &Services, graph: &mut EvidenceGraph) {
    let mut doors: BTreeMap<labels::Discovery, Vec<&str>> = BTreeMap::new();
    for (name, service) in services {
        if let Some(by) = labels::discovery_of(&service.image) {
            doors.entry(by).or_default().push(name);
        }
    }
    for (name, service) in services {
        for exposure in service_exposures(service) {
            let doors = doors.get(&exposure.by).map(Vec::as_slice).unwrap_or_default();
            for door in doors {
                let source = format!("services.{name}.{}", exposure.key);
                graph.depend_on(door, name, Evidence::Declared, source);
            }
            graph.service_or_new(name).is_entry |= doors.is_empty();
        }
    }
}

/// Requests enter where ports are open to everybody; where none is, at those open to the machine.
fn add_entries(services: &Services, graph: &mut EvidenceGraph) {
    // Operators use the published ports of databases and consoles: no order enters there.
    let is_behind = |name: &str| {
        let kind = graph.services.get(name).and_then(|service| service.kind.as_deref());
        matches!(kind, Some("database" | "cache" | "queue" | "telemetry" | "console"))
    };
    let open = |wanted: PublishedPorts| -> Vec<&String> {
        let has = |(name, service): &(&String, &ComposeService)| {
            service.ports == wanted && !is_behind(name)
        };
        services.iter().filter(has).map(|(name, _)| name).collect()
    };
    let mut entries = open(PublishedPorts::Open);
    if entries.is_empty() {
        entries = open(PublishedPorts::Local);
    }
    for name in entries {
        graph.service_or_new(name).is_entry = true;
    }
}

fn add_profiles(services: &Services, graph: &mut EvidenceGraph) {
    let mut profiles: BTreeMap<&str, usize> = BTreeMap::new();
    for profile in services.values().flat_map(|service| &service.profiles) {
        *profiles.entry(profile).or_default() += 1;
    }
    for (profile, count) in profiles {
        let noun = if count == 1 { "service runs" } else { "services run" };
        graph.remarks.push(format!("{count} {noun} only with profile {profile}."));
    }
}
