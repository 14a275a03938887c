//! Rendered Kubernetes manifests: workloads joined to Services by their labels, addresses in the
//! environment, `ConfigMap`s and arguments, network policies, and Istio's timeouts and retries.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::Graph;
use crate::import::graph::environment::{Variable, connect};
use crate::import::graph::{hosts, kinds};
use crate::import::{Format, Input, not_of};
use crate::load::{Node, Value};
use crate::model::topology::Evidence;
use crate::model::units;

type Labels = BTreeMap<String, String>;

/// Kinds that run pods, and where their pod template is.
const WORKLOADS: &[(&str, &str)] = &[
    ("Deployment", "spec.template"),
    ("StatefulSet", "spec.template"),
    ("DaemonSet", "spec.template"),
    ("ReplicaSet", "spec.template"),
    ("Rollout", "spec.template"),
    ("Job", "spec.template"),
    ("CronJob", "spec.jobTemplate.spec.template"),
    ("Pod", ""),
];

struct Workload<'a> {
    name: String,
    namespace: &'a str,
    labels: Labels,
    pod: &'a Node,
    path: &'a str,
    kind: &'a str,
}

struct Service<'a> {
    name: &'a str,
    namespace: &'a str,
    /// The workloads behind it by number; one outside the cluster has none.
    workloads: Vec<usize>,
    external: Option<&'a str>,
}

struct Cluster<'a> {
    workloads: Vec<Workload<'a>>,
    services: Vec<Service<'a>>,
    config_maps: BTreeMap<(&'a str, &'a str), &'a Node>,
}

/// Reads manifests.
pub(in crate::import) fn read(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    let documents = input.documents(graph)?;
    let mut objects = Vec::new();
    for (path, document) in &documents {
        flatten(path, &document.root, &mut objects);
    }
    let is_object = |(_, node): &&(&str, &Node)| node.scalar_at("kind").is_some();
    if !objects.iter().any(|object| is_object(&object)) {
        let path = documents.first().map_or("", |(path, _)| path);
        return Err(not_of(Format::Kubernetes, path, "no object in it has a `kind`"));
    }
    let mut cluster =
        Cluster { workloads: Vec::new(), services: Vec::new(), config_maps: BTreeMap::new() };
    workloads(&objects, &mut cluster, graph);
    services(&objects, &mut cluster, graph);
    let variables = variables(&cluster, graph);
    let count = cluster.workloads.len();
    connect(&variables, count, |caller, host| cluster.resolve(caller, host), graph);
    let of_kind = |wanted: &'static str| {
        objects.iter().filter(move |(_, it)| it.scalar_at("kind") == Some(wanted))
    };
    // Before the routes, which say more of dependencies that are there.
    for (path, object) in of_kind("NetworkPolicy") {
        policy(path, object, &cluster, graph);
    }
    for (_, object) in &objects {
        match object.scalar_at("kind").unwrap_or_default() {
            "VirtualService" => virtual_service(object, &cluster, graph),
            "Ingress" => ingress(object, &cluster, graph),
            "HorizontalPodAutoscaler" => autoscaler(object, &cluster, graph),
            _ => {}
        }
    }
    Ok(())
}

/// The objects of a document, also those in lists.
fn flatten<'a>(path: &'a str, node: &'a Node, objects: &mut Vec<(&'a str, &'a Node)>) {
    let is_list = node.scalar_at("kind").is_some_and(|kind| kind.ends_with("List"));
    if let (true, Some(Value::Sequence(items))) = (is_list, node.get("items").map(|it| &it.value)) {
        items.iter().for_each(|item| objects.push((path, item)));
    } else if let Value::Sequence(items) = &node.value {
        items.iter().for_each(|item| objects.push((path, item)));
    } else {
        objects.push((path, node));
    }
}

fn namespace_of(object: &Node) -> &str {
    object.scalar_at("metadata.namespace").unwrap_or("default")
}

fn labels_of(node: Option<&Node>) -> Labels {
    let pair = |entry: &crate::load::Entry| {
        Some((entry.key.text.to_string(), entry.value.scalar()?.to_owned()))
    };
    node.map(Node::entries).unwrap_or_default().iter().filter_map(pair).collect()
}

fn workloads<'a>(objects: &[(&'a str, &'a Node)], cluster: &mut Cluster<'a>, graph: &mut Graph) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut repeated = Vec::new();
    let mut unnamed_zones = 0;
    let is_workload = |object: &Node| {
        let kind = object.scalar_at("kind")?;
        WORKLOADS.iter().find(|(known, _)| *known == kind).copied()
    };
    for (_, object) in objects {
        if let (Some(_), Some(name)) = (is_workload(object), object.scalar_at("metadata.name")) {
            let namespace = namespace_of(object);
            if seen.insert(name, namespace).is_some_and(|first| first != namespace) {
                repeated.push(name);
            }
        }
    }
    for (path, object) in objects {
        let Some((kind, template)) = is_workload(object) else { continue };
        // A replica set or pod that something else made is that thing.
        if object.at("metadata.ownerReferences").is_some_and(|owners| !owners.items().is_empty()) {
            continue;
        }
        let Some(name) = object.scalar_at("metadata.name") else {
            graph.warn(Code::NotUnderstood, format!("a {kind} without a name"), object.place);
            continue;
        };
        let namespace = namespace_of(object);
        let name =
            if repeated.contains(&name) { format!("{namespace}/{name}") } else { name.to_owned() };
        let template =
            if template.is_empty() { object } else { object.at(template).unwrap_or(object) };
        let labels = labels_of(template.at("metadata.labels"));
        let pod = template.get("spec").unwrap_or(template);
        let image = pod.get("containers").and_then(|list| list.items().first()?.scalar_at("image"));
        let service = graph.service(&name);
        service.kind = match kind {
            "Job" | "CronJob" => Some("job".to_owned()),
            _ => image.and_then(kinds::of_image).map(str::to_owned),
        };
        service.team = object.scalar_at("metadata.labels.team").map(str::to_owned);
        let zones = zones(pod);
        let is_spread = is_spread_over_zones(pod);
        let replicas = object.at("spec.replicas").and_then(Node::number);
        service.replicas = replicas.and_then(whole);
        // Of several zones without a rule that spreads its pods, all may be in one.
        if zones.len() == 1 || is_spread {
            let named: Vec<String> = zones.iter().map(|zone| graph.domain(zone, "zone")).collect();
            graph.service(&name).domains = named;
        }
        unnamed_zones += usize::from(is_spread && zones.is_empty());
        cluster.workloads.push(Workload { name, namespace, labels, pod, path, kind });
    }
    if unnamed_zones > 0 {
        let are = if unnamed_zones == 1 { "workload is" } else { "workloads are" };
        graph.remarks.push(format!(
            "{unnamed_zones} {are} spread over zones that no manifest names: add `failure_domains`, \
             and `domains` to the replicas."
        ));
    }
}

/// Labels of nodes that say in which zone they are.
const ZONES: &[&str] = &["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];

/// The zones in which the pods must run, as far as they are named.
fn zones(pod: &Node) -> Vec<&str> {
    let selected = pod
        .get("nodeSelector")
        .and_then(|labels| ZONES.iter().find_map(|zone| labels.get(zone)?.scalar()));
    if let Some(zone) = selected {
        return vec![zone];
    }
    let terms =
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let terms = pod.at(terms).map(Node::items).unwrap_or_default();
    let expressions = terms
        .iter()
        .flat_map(|term| term.get("matchExpressions").map(Node::items).unwrap_or_default())
        .filter(|it| it.scalar_at("key").is_some_and(|key| ZONES.contains(&key)))
        .filter(|it| it.scalar_at("operator") == Some("In"));
    let values = expressions.flat_map(|it| it.get("values").map(Node::items).unwrap_or_default());
    let mut zones: Vec<&str> = values.filter_map(Node::scalar).collect();
    zones.sort_unstable();
    zones.dedup();
    zones
}

/// Whether a rule keeps the pods from all being in one zone.
fn is_spread_over_zones(pod: &Node) -> bool {
    let is_of_zones =
        |it: &Node| it.scalar_at("topologyKey").is_some_and(|key| ZONES.contains(&key));
    let spread = pod.get("topologySpreadConstraints").map(Node::items).unwrap_or_default();
    let apart = "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    let apart = pod.at(apart).map(Node::items).unwrap_or_default();
    let must = |it: &&Node| it.scalar_at("whenUnsatisfiable") != Some("ScheduleAnyway");
    spread.iter().filter(must).chain(apart).any(is_of_zones)
}

fn whole(number: f64) -> Option<u32> {
    #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
    (1.0..=10_000.0).contains(&number).then_some(number as u32)
}

fn services<'a>(objects: &[(&'a str, &'a Node)], cluster: &mut Cluster<'a>, graph: &mut Graph) {
    for (_, object) in objects {
        let Some(name) = object.scalar_at("metadata.name") else { continue };
        let namespace = namespace_of(object);
        match object.scalar_at("kind") {
            Some("ConfigMap") => {
                if let Some(data) = object.get("data") {
                    cluster.config_maps.insert((namespace, name), data);
                }
            }
            Some("Service") if object.scalar_at("apiVersion").is_none_or(|it| it == "v1") => {
                let selector = labels_of(object.at("spec.selector"));
                let external = object.scalar_at("spec.externalName");
                let workloads = cluster.selected(namespace, &selector);
                if workloads.is_empty() && !selector.is_empty() && external.is_none() {
                    let message = format!("service `{name}` selects pods that nothing here runs");
                    graph.warn(Code::Dangling, message, object.place);
                }
                let is_open =
                    matches!(object.scalar_at("spec.type"), Some("LoadBalancer" | "NodePort"));
                if is_open {
                    for index in &workloads {
                        graph.service(&cluster.workloads[*index].name).is_entry = true;
                    }
                }
                if let Some(external) = external {
                    graph.service(external).kind = Some("external".to_owned());
                }
                cluster.services.push(Service { name, namespace, workloads, external });
            }
            _ => {}
        }
    }
}

impl Cluster<'_> {
    /// The workloads whose pods have all these labels; none where no label is asked for.
    fn selected(&self, namespace: &str, selector: &Labels) -> Vec<usize> {
        let fits = |workload: &Workload<'_>| {
            workload.namespace == namespace
                && selector.iter().all(|(key, value)| workload.labels.get(key) == Some(value))
        };
        let all = self.workloads.iter().enumerate();
        let fitting = all.filter(|(_, workload)| !selector.is_empty() && fits(workload));
        fitting.map(|(index, _)| index).collect()
    }

    /// The workloads behind a host: `svc`, `svc.ns`, `svc.ns.svc.cluster.local`, or a pod of a set.
    fn resolve(&self, caller: &str, host: &str) -> Vec<String> {
        let own = self.workloads.iter().find(|workload| workload.name == caller);
        let namespace = own.map_or("default", |workload| workload.namespace);
        let parts: Vec<&str> = host.split('.').collect();
        let is_inside = |rest: &[&str]| rest.is_empty() || rest[0] == "svc";
        let found = self.services.iter().find(|service| match parts.as_slice() {
            [name] => service.name == *name && service.namespace == namespace,
            [name, ns, rest @ ..] if is_inside(rest) => {
                service.name == *name && service.namespace == *ns
            }
            // A pod of a stateful set has its own name in front.
            [_, name, ns, rest @ ..] if is_inside(rest) => {
                service.name == *name && service.namespace == *ns
            }
            _ => false,
        });
        match found {
            Some(service) if service.external.is_some() => {
                service.external.into_iter().map(str::to_owned).collect()
            }
            Some(service) => {
                service.workloads.iter().map(|index| self.workloads[*index].name.clone()).collect()
            }
            None => Vec::new(),
        }
    }
}

/// The variables of all pods. Those of init containers are for the start.
fn variables(cluster: &Cluster<'_>, graph: &mut Graph) -> Vec<Variable> {
    let mut all = Vec::new();
    for workload in &cluster.workloads {
        let caller = &workload.name;
        let config = |name: &str| cluster.config_maps.get(&(workload.namespace, name)).copied();
        let at = |key: &str| format!("{}: {} {caller} {key}", workload.path, workload.kind);
        let containers = workload.pod.get("containers").map(Node::items).unwrap_or_default();
        for container in containers {
            for variable in container.get("env").map(Node::items).unwrap_or_default() {
                let Some(key) = variable.scalar_at("name") else { continue };
                let referred = || {
                    let reference = variable.at("valueFrom.configMapKeyRef")?;
                    config(reference.scalar_at("name")?)?.scalar_at(reference.scalar_at("key")?)
                };
                if let Some(value) = variable.scalar_at("value").or_else(referred) {
                    let source = at(&format!("env {key}"));
                    all.push(variable_of(caller, key, value, source));
                }
            }
            for from in container.get("envFrom").map(Node::items).unwrap_or_default() {
                let name = from.scalar_at("configMapRef.name").unwrap_or_default();
                for entry in config(name).map(Node::entries).unwrap_or_default() {
                    let source = at(&format!("envFrom {name}.{}", entry.key.text));
                    let value = entry.value.scalar().unwrap_or_default();
                    all.push(variable_of(caller, &entry.key.text, value, source));
                }
            }
            add_arguments(container, caller, &at("args"), cluster, graph, false);
        }
        for container in workload.pod.get("initContainers").map(Node::items).unwrap_or_default() {
            add_arguments(container, caller, &at("initContainers"), cluster, graph, true);
        }
        for volume in workload.pod.get("volumes").map(Node::items).unwrap_or_default() {
            let name = volume.scalar_at("configMap.name").unwrap_or_default();
            for entry in config(name).map(Node::entries).unwrap_or_default() {
                let text = entry.value.scalar().unwrap_or_default();
                for host in hosts::in_text(text, false, false) {
                    for callee in cluster.resolve(caller, &host) {
                        let source = at(&format!("ConfigMap {name}.{}", entry.key.text));
                        graph.depend(caller, &callee, Evidence::Inferred, source);
                    }
                }
            }
        }
    }
    all
}

fn variable_of(caller: &str, key: &str, value: &str, source: String) -> Variable {
    let (caller, key, value) = (caller.to_owned(), key.to_owned(), value.to_owned());
    Variable { caller, key, value, source }
}

fn add_arguments(
    container: &Node,
    caller: &str,
    source: &str,
    cluster: &Cluster<'_>,
    graph: &mut Graph,
    is_start: bool,
) {
    let words = ["command", "args"]
        .iter()
        .flat_map(|key| container.get(key).map(Node::items).unwrap_or_default())
        .filter_map(Node::scalar);
    let mut found = hosts::in_arguments(words.clone());
    if is_start {
        // Loops that wait for others name them anywhere: `nc -z db 5432`.
        let bare =
            words.flat_map(|text| text.split(|c: char| c.is_whitespace() || ";'\"".contains(c)));
        found.extend(bare.map(str::to_owned));
    }
    for host in found {
        for callee in cluster.resolve(caller, &host) {
            if is_start {
                graph.depend_to_start(caller, &callee, source);
            } else {
                graph.depend(caller, &callee, Evidence::Inferred, source);
            }
        }
    }
}

/// A network policy says who may call: more than who does, but nothing beyond it.
fn policy(path: &str, object: &Node, cluster: &Cluster<'_>, graph: &mut Graph) {
    let name = object.scalar_at("metadata.name").unwrap_or("without a name");
    let source = format!("{path}: NetworkPolicy {name}");
    let namespace = namespace_of(object);
    let targets = selected(object.at("spec.podSelector"), namespace, cluster);
    // Without labels it is about every pod of the namespace, and says nothing of any.
    let Some(targets) = targets else { return };
    if targets.is_empty() {
        let message = format!("network policy `{name}` selects pods that nothing here runs");
        graph.warn(Code::Dangling, message, object.place);
        return;
    }
    for target in &targets {
        graph.service(target);
    }
    let peers = |rules: &str, side: &str| -> Vec<String> {
        let rules = object.at(rules).map(Node::items).unwrap_or_default();
        let peers =
            rules.iter().flat_map(|rule| rule.get(side).map(Node::items).unwrap_or_default());
        peers
            .filter_map(|peer| {
                let labels = peer.at("namespaceSelector.matchLabels");
                let other = labels.and_then(|it| it.get("kubernetes.io/metadata.name")?.scalar());
                selected(peer.get("podSelector"), other.unwrap_or(namespace), cluster)
            })
            .flatten()
            .collect()
    };
    let (callers, callees) = (peers("spec.ingress", "from"), peers("spec.egress", "to"));
    for target in &targets {
        for caller in &callers {
            graph.depend(caller, target, Evidence::Declared, &*source);
        }
        for callee in &callees {
            graph.depend(target, callee, Evidence::Declared, &*source);
        }
    }
}

/// The workloads that a selector means; nothing for one without labels. Where no workloads are known,
/// the label that usually holds the name is taken for it.
fn selected(
    selector: Option<&Node>,
    namespace: &str,
    cluster: &Cluster<'_>,
) -> Option<Vec<String>> {
    let labels = labels_of(selector?.get("matchLabels"));
    if labels.is_empty() {
        return None;
    }
    if cluster.workloads.is_empty() {
        let name = ["app.kubernetes.io/name", "app", "name", "k8s-app", "service"]
            .iter()
            .find_map(|key| labels.get(*key));
        return Some(name.into_iter().cloned().collect());
    }
    let found = cluster.selected(namespace, &labels);
    Some(found.into_iter().map(|index| cluster.workloads[index].name.clone()).collect())
}

/// Routes traffic to a host, and may say how long callers wait and how often they try. It does not say
/// who calls; only one bound to a gateway says that requests from outside arrive there.
fn virtual_service(object: &Node, cluster: &Cluster<'_>, graph: &mut Graph) {
    let namespace = namespace_of(object);
    let gateways = object.at("spec.gateways").map(Node::items).unwrap_or_default();
    let is_entry =
        gateways.iter().any(|gateway| gateway.scalar().is_some_and(|name| name != "mesh"));
    for rule in object.at("spec.http").map(Node::items).unwrap_or_default() {
        // A rule for some requests only does not hold for all.
        let is_general = rule.get("match").is_none();
        let timeout = rule.scalar_at("timeout").and_then(|text| units::parse_duration(text).ok());
        let retries = rule.at("retries.attempts").and_then(Node::number);
        for route in rule.get("route").map(Node::items).unwrap_or_default() {
            let Some(host) = route.scalar_at("destination.host") else { continue };
            let host =
                if host.contains('.') { host.to_owned() } else { format!("{host}.{namespace}") };
            for callee in cluster.resolve("", &host) {
                let callee = graph.name(&callee);
                if is_entry {
                    graph.service(&callee).is_entry = true;
                }
                let to_it = graph.dependencies.iter_mut().filter(|((_, to), _)| *to == callee);
                for (_, dependency) in to_it.filter(|_| is_general) {
                    dependency.timeout = timeout.map(units::Seconds::get).or(dependency.timeout);
                    dependency.retries = retries.and_then(whole).or(dependency.retries);
                }
            }
        }
    }
}

fn ingress(object: &Node, cluster: &Cluster<'_>, graph: &mut Graph) {
    let namespace = namespace_of(object);
    let rules = object.at("spec.rules").map(Node::items).unwrap_or_default();
    let paths =
        rules.iter().flat_map(|rule| rule.at("http.paths").map(Node::items).unwrap_or_default());
    let backends = paths.filter_map(|path| {
        path.scalar_at("backend.service.name").or_else(|| path.scalar_at("backend.serviceName"))
    });
    for name in backends.chain(object.scalar_at("spec.defaultBackend.service.name")) {
        for callee in cluster.resolve("", &format!("{name}.{namespace}")) {
            graph.service(&callee).is_entry = true;
        }
    }
}

fn autoscaler(object: &Node, cluster: &Cluster<'_>, graph: &mut Graph) {
    let name = object.scalar_at("spec.scaleTargetRef.name").unwrap_or_default();
    let namespace = namespace_of(object);
    let Some(least) = object.at("spec.minReplicas").and_then(Node::number).and_then(whole) else {
        return;
    };
    let is_target = |workload: &&Workload<'_>| {
        workload.namespace == namespace && workload.name.rsplit('/').next() == Some(name)
    };
    for workload in cluster.workloads.iter().filter(is_target) {
        graph.service(&workload.name).replicas = Some(least);
    }
}
