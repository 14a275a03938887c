//! Routes, splits and rules of gateways and meshes: where requests enter, how calls are divided between
//! versions, how long callers wait, how often they try, and whether they stop calling.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::limits;
use super::objects::{Labels, Object, Objects, labels_of};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::gateways::labels::hosts_of_rule;
use crate::import::graph::limits::CallLimits;
use crate::import::graph::references::Target;
use crate::load::Node;

/// Limits that a source sets for every call to some services.
pub(super) struct RouteLimit {
    callees: Vec<String>,
    limits: CallLimits,
}

/// Versions of services by the labels that a rule gives their names: `(host, subset)`.
type Subsets = BTreeMap<(String, String), Labels>;

/// Reads routes: entries and shares go to the graph and the cluster, limits come back.
pub(super) fn read_routes<'a>(
    objects: &'a Objects<'_>,
    cluster: &mut Cluster<'a>,
    graph: &mut EvidenceGraph,
) -> Vec<RouteLimit> {
    // Splits must be known before targets are looked up: a host then means its versions.
    let subsets = read_subsets(objects);
    for object in &objects.all {
        publish_hosts(object, cluster);
        note_split(object, &subsets, cluster);
    }
    let mut limits = Vec::new();
    for object in &objects.all {
        mark_entries(object, cluster, graph);
        for (host, namespace, limit) in limits::stated_limits(object) {
            let callees = services_of(&cluster.find_target_from(namespace, &host, 0));
            limits.push(RouteLimit { callees, limits: limit });
        }
    }
    limits
}

/// Adds limits to the dependencies on the services that they are about.
pub(super) fn apply_limits(limits: &[RouteLimit], graph: &mut EvidenceGraph) {
    let mut callers: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    if limits.is_empty() {
        return;
    }
    // Limits are about callees: without an index all dependencies would be searched for each of
    // them.
    for pair in graph.dependencies.keys() {
        callers.entry(pair.1.clone()).or_default().push(pair.clone());
    }
    for limit in limits {
        for callee in &limit.callees {
            let callee = graph.service_name(callee);
            for pair in callers.get(&callee).into_iter().flatten() {
                let Some(dependency) = graph.dependencies.get_mut(pair) else { continue };
                dependency.apply_limits(&limit.limits);
            }
        }
    }
}

fn read_subsets(objects: &Objects<'_>) -> Subsets {
    let mut found = Subsets::new();
    for object in objects.of_kind("DestinationRule") {
        let host = object.node.scalar_at("spec.host").unwrap_or_default();
        for subset in object.items_at("spec.subsets") {
            let name = subset.scalar_at("name").unwrap_or_default();
            found.insert((host.to_owned(), name.to_owned()), labels_of(subset.get("labels")));
        }
    }
    found
}

/// The backends of a rule: name, namespace and weight.
pub(super) fn rule_backends<'n>(
    items: &'n [Node],
    object: &'n Object<'_>,
) -> Vec<(&'n str, Option<&'n str>, f64)> {
    let backend = |item: &'n Node| {
        let name = item.scalar_at("name").or_else(|| item.scalar_at("service"))?;
        let weight = item.get("weight").and_then(Node::number).unwrap_or(1.0);
        Some((name, item.scalar_at("namespace").or(object.namespace()), weight))
    };
    items.iter().filter_map(backend).collect()
}

/// The workloads behind backends, each with its share of all calls.
fn workload_shares(
    cluster: &Cluster<'_>,
    backends: &[(&str, Option<&str>, f64)],
) -> Vec<(String, f64)> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for (name, namespace, weight) in backends {
        // A backend that is not among the manifests gets no share, and the others keep theirs.
        let Some(index) = cluster.find_service(name, *namespace) else { continue };
        let versions = own_versions(cluster, index);
        let total: f64 = versions.iter().map(|(_, pods)| pods).sum();
        for (workload, pods) in versions {
            let share = weight * pods / total.max(f64::MIN_POSITIVE);
            match shares.iter_mut().find(|(known, _)| *known == workload) {
                Some((_, known)) => *known += share,
                None => shares.push((workload, share)),
            }
        }
    }
    shares
}

/// The workloads that a Service selects, whatever routes say of it: a route may lead back to it.
fn own_versions(cluster: &Cluster<'_>, index: usize) -> Vec<(String, f64)> {
    let pods = |workload: &usize| {
        let workload = &cluster.workloads[*workload];
        (workload.name.clone(), f64::from(workload.replicas.unwrap_or(1)))
    };
    cluster.services[index].workloads.iter().map(pods).collect()
}

/// Takes note of how the calls to a Service are divided, where an object says so.
fn note_split(object: &Object<'_>, subsets: &Subsets, cluster: &mut Cluster<'_>) {
    match object.kind() {
        "TrafficSplit" => {
            let root = object.node.scalar_at("spec.service").unwrap_or_default();
            let host = root.split('.').next().unwrap_or(root);
            let items = object.items_at("spec.backends");
            // Weights were once quantities: `500m`.
            let parts: Vec<(&str, Option<&str>, f64)> = items
                .iter()
                .filter_map(|item| {
                    let text = item.scalar_at("weight").unwrap_or("1");
                    let weight = match text.strip_suffix('m') {
                        Some(milli) => milli.parse::<f64>().map(|parse| parse / 1000.0),
                        None => text.parse(),
                    };
                    Some((item.scalar_at("service")?, object.namespace(), weight.unwrap_or(1.0)))
                })
                .collect();
            set_split(cluster, host, object.namespace(), &workload_shares(cluster, &parts));
        }
        // Of Linkerd, Consul and Traefik.
        "ServiceProfile" | "ServiceSplitter" | "TraefikService" => {
            let paths = ["spec.dstOverrides", "spec.splits", "spec.weighted.services"];
            let parts: Vec<(&str, Option<&str>, f64)> = (paths.into_iter())
                .flat_map(|path| object.items_at(path))
                .filter_map(|item| {
                    let name = ["authority", "service", "name"]
                        .iter()
                        .find_map(|key| item.scalar_at(key))?;
                    let text = item.scalar_at("weight").unwrap_or("1");
                    let weight = text.trim_end_matches('m').parse().unwrap_or(1.0);
                    Some((name.split(['.', ':']).next()?, object.namespace(), weight))
                })
                .collect();
            // A profile is called by the whole host of its Service.
            let name = object.name().unwrap_or_default();
            let name = name.split('.').next().unwrap_or(name);
            set_split(cluster, name, object.namespace(), &workload_shares(cluster, &parts));
        }
        "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" => {
            let Some(rule) = object.items_at("spec.rules").iter().find(|rule| is_general(rule))
            else {
                return;
            };
            let items = rule.get("backendRefs").map(Node::items).unwrap_or_default();
            let shares = workload_shares(cluster, &rule_backends(items, object));
            for parent in object.items_at("spec.parentRefs") {
                // Only a route whose parent is a Service divides calls inside; with a gateway as
                // parent it is an entry.
                if let (Some("Service"), Some(name)) =
                    (parent.scalar_at("kind"), parent.scalar_at("name"))
                {
                    let namespace = parent.scalar_at("namespace").or(object.namespace());
                    set_split(cluster, name, namespace, &shares);
                }
            }
        }
        "VirtualService"
            if object.api_group().starts_with("networking.istio.io")
                || object.api_group().is_empty() =>
        {
            let gateways = object.items_at("spec.gateways");
            // Without gateways, or with the word for them all, it holds inside the mesh.
            let is_inside = gateways.is_empty()
                || gateways.iter().any(|gateway| gateway.scalar() == Some("mesh"));
            let rules = ["spec.http", "spec.tcp", "spec.tls"].into_iter();
            let mut rules = rules.flat_map(|key| object.items_at(key));
            let Some(rule) = rules.find(|rule| is_general(rule)) else { return };
            let shares = divided_by_subsets(rule, object, subsets, cluster);
            for host in object.items_at("spec.hosts").iter().filter_map(Node::scalar) {
                if let (true, Some(index)) =
                    (is_inside, cluster.service_of_host(host, object.namespace()))
                    // A rule with all weights at 0 turns requests away and names no version.
                    && shares.iter().any(|(_, share)| *share > 0.0)
                {
                    cluster.services[index].split = Some(shares.clone());
                }
            }
        }
        _ => {}
    }
}

fn set_split(
    cluster: &mut Cluster<'_>,
    name: &str,
    namespace: Option<&str>,
    shares: &[(String, f64)],
) {
    if let Some(index) = cluster.find_service(name, namespace)
        && shares.iter().any(|(_, share)| *share > 0.0)
    {
        cluster.services[index].split = Some(shares.to_vec());
    }
}

/// The workloads behind the destinations of a rule of Istio: of each Service those of one subset.
fn divided_by_subsets(
    rule: &Node,
    object: &Object<'_>,
    subsets: &Subsets,
    cluster: &Cluster<'_>,
) -> Vec<(String, f64)> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for route in rule.get("route").map(Node::items).unwrap_or_default() {
        let Some(host) = route.scalar_at("destination.host") else { continue };
        // Istio gives a single destination all calls where it has no weight.
        let weight = route.get("weight").and_then(Node::number).unwrap_or(100.0);
        let Some(index) = cluster.service_of_host(host, object.namespace()) else { continue };
        let subset = route.scalar_at("destination.subset");
        // A subset that no rule defines selects nothing in Istio; here all pods are taken, which
        // keeps the dependency.
        let wanted = subset.and_then(|subset| subsets.get(&(host.to_owned(), subset.to_owned())));
        let is_of_subset = |workload: &&usize| {
            let labels = &cluster.workloads[**workload].labels;
            wanted.is_none_or(|wanted| {
                wanted.iter().all(|(key, wanted)| labels.get(key) == Some(wanted))
            })
        };
        let members: Vec<&usize> =
            cluster.services[index].workloads.iter().filter(is_of_subset).collect();
        let pods = |member: &usize| f64::from(cluster.workloads[*member].replicas.unwrap_or(1));
        let total: f64 = members.iter().map(|member| pods(member)).sum();
        for member in members {
            let share = weight * pods(member) / total.max(f64::MIN_POSITIVE);
            shares.push((cluster.workloads[*member].name.clone(), share));
        }
    }
    shares
}

/// Returns whether a rule is for all requests: it asks for nothing, or for every path.
pub(super) fn is_general(rule: &Node) -> bool {
    let asks_for_nothing = |key: &str| {
        rule.get(key).is_none_or(|conditions| {
            // A condition for `/` holds for every path. Any other condition leaves requests to
            // other rules.
            conditions.items().iter().all(|condition| {
                let path = condition.scalar_at("path.value").or(condition.scalar_at("uri.prefix"));
                condition.entries().len() == 1 && path == Some("/")
            })
        })
    };
    asks_for_nothing("match") && asks_for_nothing("matches")
}

/// Takes note of the hosts by which users reach services.
fn publish_hosts(object: &Object<'_>, cluster: &mut Cluster<'_>) {
    let namespace = object.namespace();
    let mut publish = |hosts: Vec<String>, services: &[&str]| {
        for (host, service) in
            hosts.iter().flat_map(|host| services.iter().map(move |item| (host, item)))
        {
            cluster.publish_host(host, service, namespace);
        }
    };
    match object.kind() {
        "Ingress" => {
            for rule in object.items_at("spec.rules") {
                let host = rule.scalar_at("host").map(str::to_owned).into_iter().collect();
                let paths = rule.node_at("http.paths").map(Node::items).unwrap_or_default();
                let names: Vec<&str> = paths.iter().filter_map(backend_of_path).collect();
                publish(host, &names);
            }
        }
        "HTTPRoute" | "GRPCRoute" | "TLSRoute" => {
            let hosts = object.items_at("spec.hostnames").iter().filter_map(Node::scalar);
            let hosts = hosts.map(str::to_owned).collect();
            let names: Vec<&str> =
                entered_services(object).into_iter().map(|(name, ..)| name).collect();
            publish(hosts, &names);
        }
        "IngressRoute" => {
            for route in object.items_at("spec.routes") {
                let services = route.get("services").map(Node::items).unwrap_or_default();
                let names: Vec<&str> =
                    services.iter().filter_map(|service| service.scalar_at("name")).collect();
                publish(hosts_of_rule(route.scalar_at("match").unwrap_or_default()), &names);
            }
        }
        "Route" => {
            let host = object.node.scalar_at("spec.host").map(str::to_owned);
            let name = object.node.scalar_at("spec.to.name");
            publish(host.into_iter().collect(), &name.into_iter().collect::<Vec<_>>());
        }
        _ => {}
    }
}

fn backend_of_path(path: &Node) -> Option<&str> {
    // The second form is that of `v1beta1`, which many charts still render.
    path.scalar_at("backend.service.name").or_else(|| path.scalar_at("backend.serviceName"))
}

/// The Services at which requests from outside enter by an object.
fn entered_services<'n>(object: &'n Object<'_>) -> Vec<(&'n str, Option<&'n str>)> {
    let namespace = object.namespace();
    let node = &*object.node;
    let own = |name: Option<&'n str>| name.map(|name| (name, namespace));
    match object.kind() {
        "Ingress" => {
            let rules = object.items_at("spec.rules").iter();
            let paths = rules
                .flat_map(|rule| rule.node_at("http.paths").map(Node::items).unwrap_or_default());
            let default = node
                .scalar_at("spec.defaultBackend.service.name")
                .or_else(|| node.scalar_at("spec.backend.serviceName"));
            paths.map(backend_of_path).chain([default]).filter_map(own).collect()
        }
        "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" => {
            let is_gateway =
                // Without a kind the parent is a Gateway, by the default of the API.
                |parent: &Node| parent.scalar_at("kind").is_none_or(|kind| kind != "Service");
            if !object.items_at("spec.parentRefs").iter().any(is_gateway) {
                return Vec::new();
            }
            let rules = object.items_at("spec.rules").iter();
            let items =
                rules.flat_map(|rule| rule.get("backendRefs").map(Node::items).unwrap_or_default());
            // A weight of 0 is how a version is kept ready without requests.
            let used = |item: &&Node| item.get("weight").and_then(Node::number) != Some(0.0);
            items
                .filter(used)
                .filter_map(|item| {
                    let name = item.scalar_at("name")?;
                    Some((name, item.scalar_at("namespace").or(namespace)))
                })
                .collect()
        }
        "IngressRoute" | "IngressRouteTCP" | "HTTPProxy" => {
            let keys = ["spec.routes", "spec.tcpproxy"];
            let routes = keys.into_iter().flat_map(|key| object.items_at(key));
            let services =
                routes.flat_map(|route| route.get("services").map(Node::items).unwrap_or_default());
            services.map(|service| service.scalar_at("name")).filter_map(own).collect()
        }
        "Route" => {
            let others = object.items_at("spec.alternateBackends").iter();
            let others = others.map(|other| other.scalar_at("name"));
            others.chain([node.scalar_at("spec.to.name")]).filter_map(own).collect()
        }
        // Of nginx; that of Istio is read by its destinations.
        "VirtualServer" => object
            .items_at("spec.upstreams")
            .iter()
            .map(|item| item.scalar_at("service"))
            .filter_map(own)
            .collect(),
        // Of Ambassador: `service: http://web.shop:80`.
        "Mapping" => {
            let service = node.scalar_at("spec.service").unwrap_or_default();
            let host = service.rsplit("://").next().unwrap_or(service);
            let host = host.split([':', '/']).next().unwrap_or(host);
            own(Some(host)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Marks the services at which requests enter.
fn mark_entries(object: &Object<'_>, cluster: &Cluster<'_>, graph: &mut EvidenceGraph) {
    let mut hosts: Vec<(String, Option<&str>)> = entered_services(object)
        .into_iter()
        .map(|(name, namespace)| (name.to_owned(), namespace))
        .collect();
    if object.kind() == "VirtualService" {
        let gateways = object.items_at("spec.gateways").iter();
        // `mesh` stands for callers inside; any other gateway lets requests in.
        if gateways.filter_map(Node::scalar).any(|name| name != "mesh") {
            let rules = ["spec.http", "spec.tcp", "spec.tls"].into_iter();
            let routes = rules
                .flat_map(|key| object.items_at(key))
                .flat_map(|rule| rule.get("route").map(Node::items).unwrap_or_default());
            let used = |route: &&Node| route.get("weight").and_then(Node::number) != Some(0.0);
            let destinations =
                routes.filter(used).filter_map(|route| route.scalar_at("destination.host"));
            hosts.extend(destinations.map(|host| (host.to_owned(), object.namespace())));
        }
    }
    for (host, namespace) in hosts {
        for name in services_of(&cluster.find_target_from(namespace, &host, 0)) {
            graph.service_or_new(&name).is_entry = true;
        }
    }
}

fn services_of(target: &Target) -> Vec<String> {
    match target {
        Target::Service(name) | Target::External(name) => vec![name.clone()],
        Target::Versions(all) => {
            all.iter().filter(|(_, share)| *share > 0.0).map(|(name, _)| name.clone()).collect()
        }
        Target::AnyOf(_, names) => names.clone(),
        Target::Unknown => Vec::new(),
    }
}
