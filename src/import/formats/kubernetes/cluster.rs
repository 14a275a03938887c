//! Who is behind which name: Services and their workloads, hosts of routes, entries for the outside.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::{Labels, Objects, labels_of};
use crate::diagnostic::Code;
use crate::import::graph::references::Target;
use crate::import::graph::{EvidenceGraph, LeftOutReason};
use crate::load::Node;

/// How often one name may lead to another.
const HOPS_MAX: usize = 4;

/// Something that runs pods.
pub(super) struct ClusterWorkload<'a> {
    /// The name in the topology.
    pub(super) name: String,
    pub(super) namespace: Option<&'a str>,
    pub(super) labels: Labels,
    pub(super) pod: &'a Node,
    pub(super) path: &'a str,
    pub(super) kind: &'a str,
    /// The name of the object.
    pub(super) object: &'a str,
    /// How many pods it runs, where that is stated.
    pub(super) replicas: Option<u32>,
}

/// A name in front of pods.
pub(super) struct ClusterService<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
    /// The workloads behind it by number.
    pub(super) workloads: Vec<usize>,
    /// A name outside that it stands for.
    external: Option<&'a str>,
    /// It selects no pods: its endpoints are listed elsewhere.
    is_listed: bool,
    /// How a route or a split divides the calls to it.
    pub(super) split: Option<Vec<(String, f64)>>,
}

/// `ConfigMaps` and Secrets by kind and name, each with its namespace.
type Stores<'a> = BTreeMap<(&'static str, &'a str), Vec<(Option<&'a str>, &'a Node)>>;

/// All that names lead to.
pub(super) struct Cluster<'a> {
    pub(super) workloads: Vec<ClusterWorkload<'a>>,
    pub(super) services: Vec<ClusterService<'a>>,
    /// `ConfigMaps` and Secrets by kind, namespace and name.
    stores: Stores<'a>,
    services_by_name: BTreeMap<&'a str, Vec<usize>>,
    workloads_by_name: BTreeMap<String, usize>,
    workloads_by_label: BTreeMap<(String, String), Vec<usize>>,
    /// Hosts that `ServiceEntries` define, with the name to call them by.
    outside: BTreeMap<String, String>,
    /// Hosts by which users reach a Service, and the Service.
    public: BTreeMap<String, (String, Option<String>)>,
    /// Addresses that Services have in the cluster.
    addresses: BTreeMap<&'a str, usize>,
}

/// Whether two namespaces may be the same: what is rendered for one often leaves it out.
fn may_be_same(one: Option<&str>, other: Option<&str>) -> bool {
    one == other || one.is_none() || other.is_none()
}

impl ClusterWorkload<'_> {
    /// Returns whether the pod has an address of its own for a host (`hostAliases`): it is outside.
    fn has_host_alias(&self, host: &str) -> bool {
        let aliases = self.pod.get("hostAliases").map(Node::items).unwrap_or_default();
        let names = aliases
            .iter()
            .flat_map(|alias| alias.get("hostnames").map(Node::items).unwrap_or_default());
        names.filter_map(Node::scalar).any(|name| name.eq_ignore_ascii_case(host))
    }
}

impl<'a> Cluster<'a> {
    pub(super) fn from_objects(objects: &'a Objects<'_>) -> Self {
        let mut stores = Stores::new();
        for object in &objects.all {
            let kind = match object.kind() {
                "ConfigMap" => "ConfigMap",
                "Secret" => "Secret",
                _ => continue,
            };
            let name = object.name().unwrap_or_default();
            stores.entry((kind, name)).or_default().push((object.namespace(), &*object.node));
        }
        Self {
            workloads: Vec::new(),
            services: Vec::new(),
            stores,
            services_by_name: BTreeMap::new(),
            workloads_by_name: BTreeMap::new(),
            workloads_by_label: BTreeMap::new(),
            outside: BTreeMap::new(),
            public: BTreeMap::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// Indexes the workloads by name and label, so that a large cluster is read in linear time.
    pub(super) fn index_workloads(&mut self) {
        for (index, workload) in self.workloads.iter().enumerate() {
            self.workloads_by_name.insert(workload.name.clone(), index);
            for (key, value) in &workload.labels {
                let label = (key.clone(), value.clone());
                self.workloads_by_label.entry(label).or_default().push(index);
            }
        }
    }

    /// The `ConfigMap` or Secret of this name that pods of a namespace see.
    pub(super) fn find_store(
        &self,
        kind: &'static str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<&'a Node> {
        let all = self.stores.get(&(kind, name))?;
        all.iter().find(|(known, _)| may_be_same(*known, namespace)).map(|(_, node)| *node)
    }

    /// The workloads whose pods have all these labels; none where no label is asked for.
    pub(super) fn selected_workloads(
        &self,
        namespace: Option<&str>,
        selector: &Labels,
    ) -> Vec<usize> {
        // Of all labels the one that the fewest workloads have is looked up: a label that all of
        // them share would make the search quadratic.
        let candidates = selector
            .iter()
            .map(|(key, value)| self.workloads_by_label.get(&(key.clone(), value.clone())))
            .min_by_key(|found| found.map_or(0, Vec::len))
            .flatten();
        let fits = |index: &usize| {
            let workload = &self.workloads[*index];
            may_be_same(workload.namespace, namespace)
                && selector.iter().all(|(key, value)| workload.labels.get(key) == Some(value))
        };
        candidates.into_iter().flatten().copied().filter(fits).collect()
    }

    /// Notes the hosts outside that the mesh knows and no workload names.
    pub(super) fn note_unused_entries(&self, graph: &mut EvidenceGraph) {
        for host in self.outside.values() {
            if graph.known_service(host).is_none() {
                let unused = graph.left_out.entry(LeftOutReason::UnusedEntry).or_default();
                unused.insert(host.clone());
            }
        }
    }

    pub(super) fn read_services(&mut self, objects: &'a Objects<'_>, graph: &mut EvidenceGraph) {
        for object in objects.of_kind("ServiceEntry") {
            let name = object.name().unwrap_or_default();
            let hosts: Vec<&str> =
                object.items_at("spec.hosts").iter().filter_map(Node::scalar).collect();
            for host in &hosts {
                // The host is what others call it by; one for all that stand in one entry.
                let shown = hosts.first().map_or(name, |first| *first);
                self.outside.insert((*host).to_owned(), shown.to_owned());
            }
            for address in
                object.items_at("spec.addresses").iter().chain(object.items_at("spec.endpoints"))
            {
                let address = address.scalar().or_else(|| address.scalar_at("address"));
                if let (Some(address), Some(host)) = (address, hosts.first()) {
                    // Entries of the outside may share an address; the first host that names it is
                    // kept.
                    self.outside.entry(address.to_owned()).or_insert_with(|| (*host).to_owned());
                }
            }
        }
        let listed: BTreeSet<&str> = (objects
            .of_kind("Endpoints")
            .filter_map(|of_kind| of_kind.name()))
        .chain(objects.of_kind("EndpointSlice").filter_map(|of_kind| {
            of_kind.node.node_at("metadata.labels")?.get("kubernetes.io/service-name")?.scalar()
        }))
        // A Service without a selector may have its endpoints listed by hand, often outside of the
        // cluster.
        .collect();
        // Knative calls its workloads `Service` as well, in an API group of its own.
        for object in objects.of_kind("Service").filter(|object| object.api_group().is_empty()) {
            let Some(name) = object.name() else { continue };
            let namespace = object.namespace();
            let selector = labels_of(object.node.node_at("spec.selector"));
            let external = object.node.scalar_at("spec.externalName");
            let workloads = self.selected_workloads(namespace, &selector);
            // One without a selector leads elsewhere on purpose, and an external name needs no
            // pods.
            if workloads.is_empty() && !selector.is_empty() && external.is_none() {
                let message = format!("service `{name}` selects pods that nothing here runs");
                graph.warn(Code::Dangling, message, object.node.place);
            }
            let kind = object.node.scalar_at("spec.type");
            if matches!(kind, Some("LoadBalancer" | "NodePort")) {
                for index in &workloads {
                    graph.service_or_new(&self.workloads[*index].name).is_entry = true;
                }
            }
            let index = self.services.len();
            self.services_by_name.entry(name).or_default().push(index);
            let address = object.node.scalar_at("spec.clusterIP");
            // A headless Service has the address `None`.
            self.addresses.extend(
                address.filter(|address| *address != "None").map(|address| (address, index)),
            );
            let is_listed = selector.is_empty() && listed.contains(name);
            self.services.push(ClusterService {
                name,
                namespace,
                workloads,
                external,
                is_listed,
                split: None,
            });
        }
    }

    /// Takes note that users reach a Service by this host.
    pub(super) fn publish_host(&mut self, host: &str, service: &str, namespace: Option<&str>) {
        let target = (service.to_owned(), namespace.map(str::to_owned));
        // Of several routes with one host the first that is read counts.
        self.public.entry(host.to_owned()).or_insert(target);
    }

    /// The Service of a name; in another namespace only where the source leaves namespaces out.
    pub(super) fn find_service(&self, name: &str, namespace: Option<&str>) -> Option<usize> {
        let all = self.services_by_name.get(name)?;
        let exact = all.iter().find(|index| self.services[**index].namespace == namespace);
        let similar = || {
            let fits = |index: &&usize| may_be_same(self.services[**index].namespace, namespace);
            all.iter().find(fits)
        };
        exact.or_else(similar).copied()
    }

    /// The Service that a host names: `svc`, `svc.ns`, `svc.ns.svc.cluster.local`, or a pod of a set in
    /// front of any of them.
    pub(super) fn service_of_host(&self, host: &str, namespace: Option<&str>) -> Option<usize> {
        let parts: Vec<&str> = host.split('.').collect();
        let is_inside = |rest: &[&str]| rest.is_empty() || rest[0] == "svc";
        match parts.as_slice() {
            [name] => self.find_service(name, namespace),
            [name, other, rest @ ..] if is_inside(rest) => {
                let found = self.find_service(name, Some(other));
                // A pod of a stateful set by its short name.
                let of_pod = || {
                    let is_pod = name.contains('-') && name.ends_with(|c: char| c.is_ascii_digit());
                    self.find_service(other, namespace).filter(|_| is_pod && rest.is_empty())
                };
                found.or_else(of_pod)
            }
            [_, name, other, rest @ ..] if is_inside(rest) => self.find_service(name, Some(other)),
            _ => None,
        }
    }

    /// The workloads that get the calls to a Service, with their shares: as a route divides them, or
    /// else by the pods of each.
    pub(super) fn version_shares(&self, index: usize) -> Vec<(String, f64)> {
        let service = &self.services[index];
        if let Some(split) = &service.split {
            return split.clone();
        }
        // Without weights kube-proxy spreads calls evenly over pods, so more pods get more calls.
        let pods = |index: &usize| {
            let workload = &self.workloads[*index];
            (workload.name.clone(), f64::from(workload.replicas.unwrap_or(1)))
        };
        service.workloads.iter().map(pods).collect()
    }

    /// Finds the workload behind a host that a workload names.
    pub(super) fn find_target(&self, caller: &str, host: &str) -> Target {
        let own = self.workloads_by_name.get(caller).map(|index| &self.workloads[*index]);
        match own {
            Some(workload) => self.find_target_of(workload, host),
            None => self.find_target_from(None, host, 0),
        }
    }

    /// Finds what a pod reaches by a host: first by the lines that its manifest adds to its hosts file.
    pub(super) fn find_target_of(&self, workload: &ClusterWorkload<'_>, host: &str) -> Target {
        if workload.has_host_alias(host) {
            return Target::External(host.to_ascii_lowercase());
        }
        self.find_target_from(workload.namespace, host, 0)
    }

    /// Finds the workload behind a host that is named in a namespace.
    pub(super) fn find_target_from(
        &self,
        namespace: Option<&str>,
        host: &str,
        hops: usize,
    ) -> Target {
        let lower = host.to_ascii_lowercase();
        // A dot at the end only says that the name is complete.
        let host = lower.trim_end_matches('.');
        // Inside the cluster its own names come first; public hosts of routes come back to the same
        // Services.
        let found = self
            .service_of_host(host, namespace)
            .or_else(|| self.addresses.get(host).copied())
            .or_else(|| {
                let (name, namespace) = self.public.get(host)?;
                self.find_service(name, namespace.as_deref())
            });
        let Some(index) = found else {
            let wildcard = || {
                let (_, domain) = host.split_once('.')?;
                self.outside.get(&format!("*.{domain}"))
            };
            let outside = self.outside.get(host).or_else(wildcard);
            return outside.map_or(Target::Unknown, |name| Target::External(name.clone()));
        };
        let service = &self.services[index];
        if let Some(external) = service.external {
            // A name outside may be one of a gateway that leads back in.
            return match self.find_target_from(service.namespace, external, hops + 1) {
                Target::Unknown => Target::External(external.to_owned()),
                found if hops < HOPS_MAX => found,
                _ => Target::Unknown,
            };
        }
        let mut versions = self.version_shares(index);
        match versions.len() {
            0 if service.is_listed => Target::External(service.name.to_owned()),
            0 => Target::Unknown,
            1 => Target::Service(versions.swap_remove(0).0),
            _ => Target::Versions(versions),
        }
    }
}
