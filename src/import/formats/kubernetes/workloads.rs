//! Workloads: what runs pods, where, and how many.

use std::collections::BTreeMap;

use super::cluster::{Cluster, ClusterWorkload};
use super::objects::{Object, Objects, labels_of};
use crate::diagnostic::Code;
use crate::import::graph::limits::pool_size;
use crate::import::graph::{EvidenceGraph, kinds};
use crate::load::Node;

/// Kinds that run pods, and where their pod template is.
const WORKLOADS: &[(&str, &str)] = &[
    ("Deployment", "spec.template"),
    ("StatefulSet", "spec.template"),
    ("DaemonSet", "spec.template"),
    ("ReplicaSet", "spec.template"),
    ("ReplicationController", "spec.template"),
    ("DeploymentConfig", "spec.template"),
    ("Rollout", "spec.template"),
    ("Job", "spec.template"),
    ("CronJob", "spec.jobTemplate.spec.template"),
    ("Pod", ""),
];

/// Those of them whose pods end by themselves.
const RUN_TO_AN_END: [&str; 2] = ["Job", "CronJob"];

/// Labels of nodes that say in which zone they are.
const ZONES: &[&str] = &["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];

/// Labels that hold the team that owns a workload.
const TEAMS: &[&str] = &["team", "owner", "app.kubernetes.io/team", "app.kubernetes.io/owner"];

/// The kind of a workload and where its pod template is; `None` for other objects.
fn template_of(object: &Object<'_>) -> Option<(&'static str, &'static str)> {
    // Knative calls by the name of `Service` what runs pods.
    if object.kind() == "Service" && object.api_group() == "serving.knative.dev" {
        return Some(("Service", "spec.template"));
    }
    WORKLOADS.iter().find(|(kind, _)| *kind == object.kind()).copied()
}

/// Returns the pod template of an object that runs pods without end; `None` for other objects.
pub(in crate::import) fn lasting_pod<'a>(object: &'a Object<'_>) -> Option<&'a Node> {
    let (kind, path) = WORKLOADS.iter().find(|(kind, _)| *kind == object.kind())?;
    let node = if path.is_empty() { Some(&*object.node) } else { object.node.node_at(path) };
    node.filter(|_| !RUN_TO_AN_END.contains(kind))
}

/// Adds the workloads to the cluster and to the graph.
pub(super) fn add_workloads<'a>(
    objects: &'a Objects<'_>,
    cluster: &mut Cluster<'a>,
    graph: &mut EvidenceGraph,
) {
    // Names of workloads are unique only within a namespace: only those that occur in several are
    // made longer.
    let mut namespaces: BTreeMap<&str, (Option<&str>, bool)> = BTreeMap::new();
    for object in objects.all.iter().filter(|object| template_of(object).is_some()) {
        if let Some(name) = object.name() {
            let known = namespaces.entry(name).or_insert((object.namespace(), false));
            known.1 |= known.0 != object.namespace();
        }
    }
    let mut unnamed_zones = 0;
    for object in &objects.all {
        let Some((kind, template)) = template_of(object) else { continue };
        let node = &*object.node;
        // A replica set or pod that something else made is that thing.
        if !object.items_at("metadata.ownerReferences").is_empty() {
            continue;
        }
        let Some(plain) = object.name() else {
            graph.warn(Code::NotUnderstood, format!("a {kind} without a name"), node.place);
            continue;
        };
        let is_in_several = namespaces.get(plain).is_some_and(|(_, several)| *several);
        let name = match object.namespace() {
            Some(namespace) if is_in_several => format!("{namespace}/{plain}"),
            None if is_in_several => format!("default/{plain}"),
            _ => plain.to_owned(),
        };
        let template =
            if template.is_empty() { node } else { node.node_at(template).unwrap_or(node) };
        let labels = labels_of(template.node_at("metadata.labels"));
        let pod = template.get("spec").unwrap_or(template);
        let containers = pod.get("containers").map(Node::items).unwrap_or_default();
        // Sidecars come and go; what a pod is for is its first container.
        let image = containers.first().and_then(|container| container.scalar_at("image"));
        let service = graph.service_or_new(&name);
        // A job that runs the image of a database is still a job.
        service.kind = match kind {
            "Job" | "CronJob" => Some("job".to_owned()),
            _ => image.and_then(kinds::of_image).map(str::to_owned).or(service.kind.take()),
        };
        let own_labels = node.node_at("metadata.labels");
        let team = TEAMS.iter().find_map(|key| own_labels?.get(key)?.scalar());
        service.team = team.map(str::to_owned).or(service.team.take());
        let replicas =
            node.node_at("spec.replicas").and_then(Node::number).and_then(whole_replicas);
        // A number that is missing is left open: an autoscaler may state it later.
        service.replicas = replicas;
        // Knative gives each Service a public address unless it is told otherwise.
        service.is_entry |= kind == "Service";
        // Knative's limit of one pod.
        let pool = pod.get("containerConcurrency").and_then(Node::number).and_then(pool_size);
        if let Some(each) = pool {
            let source = format!("{}: {kind} {plain} containerConcurrency", object.path);
            graph.note_pool(&name, each, &source);
        }
        let zones = pod_zones(pod);
        let is_spread = is_spread_over_zones(pod);
        // Of several zones without a rule that spreads its pods, all may be in one.
        if zones.len() == 1 || is_spread {
            let named: Vec<String> =
                zones.iter().map(|zone| graph.domain_name(zone, "zone")).collect();
            graph.service_or_new(&name).domains = named;
        }
        unnamed_zones += usize::from(is_spread && zones.is_empty());
        cluster.workloads.push(ClusterWorkload {
            name,
            namespace: object.namespace(),
            labels,
            pod,
            path: object.path,
            kind,
            object: plain,
            replicas,
        });
    }
    if unnamed_zones > 0 {
        let are = if unnamed_zones == 1 { "workload is" } else { "workloads are" };
        graph.remarks.push(format!(
            "{unnamed_zones} {are} spread over zones that no manifest names: add `failure_domains`, \
             and `domains` to the replicas."
        ));
    }
}

/// The zones in which the pods must run, as far as they are named.
fn pod_zones(pod: &Node) -> Vec<&str> {
    let selected = pod
        .get("nodeSelector")
        .and_then(|labels| ZONES.iter().find_map(|zone| labels.get(zone)?.scalar()));
    // A node selector names one zone and counts before everything that affinity may add.
    if let Some(zone) = selected {
        return vec![zone];
    }
    // Preferred rules are left out: the scheduler ignores them when it has no room.
    let terms =
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let terms = pod.node_at(terms).map(Node::items).unwrap_or_default();
    let expressions = terms
        .iter()
        .flat_map(|term| term.get("matchExpressions").map(Node::items).unwrap_or_default())
        .filter(|term| term.scalar_at("key").is_some_and(|key| ZONES.contains(&key)))
        .filter(|term| term.scalar_at("operator") == Some("In"));
    let values =
        expressions.flat_map(|term| term.get("values").map(Node::items).unwrap_or_default());
    let mut zones: Vec<&str> = values.filter_map(Node::scalar).collect();
    // Several terms may name the same zone.
    zones.sort_unstable();
    zones.dedup();
    zones
}

/// Whether a rule keeps the pods from all being in one zone.
fn is_spread_over_zones(pod: &Node) -> bool {
    let is_of_zones =
        |rule: &Node| rule.scalar_at("topologyKey").is_some_and(|key| ZONES.contains(&key));
    let spread = pod.get("topologySpreadConstraints").map(Node::items).unwrap_or_default();
    let apart = "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    let apart = pod.node_at(apart).map(Node::items).unwrap_or_default();
    // `ScheduleAnyway` is a wish: when it matters, all pods may be in one zone.
    let must = |rule: &&Node| rule.scalar_at("whenUnsatisfiable") != Some("ScheduleAnyway");
    spread.iter().filter(must).chain(apart).any(is_of_zones)
}

/// A number of replicas, from 1 to 10,000.
pub(super) fn whole_replicas(number: f64) -> Option<u32> {
    #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
    (1.0..=10_000.0).contains(&number).then_some(number as u32)
}
