//! Network policies, which say who may call, and budgets and autoscalers, which say how many run.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::objects::{Labels, Object, Objects, labels_of};
use super::workloads::whole_replicas;
use crate::diagnostic::Code;
use crate::import::graph::EvidenceGraph;
use crate::load::Node;
use crate::model::topology::Evidence;

/// Labels that usually hold the name of a workload.
const NAMES: &[&str] = &["app.kubernetes.io/name", "app", "name", "k8s-app", "service"];

/// Adds who may call: more than who does, but nothing beyond it.
pub(super) fn read_network_policies(
    objects: &Objects<'_>,
    cluster: &Cluster<'_>,
    graph: &mut EvidenceGraph,
) {
    for object in objects.of_kind("NetworkPolicy") {
        let name = object.name().unwrap_or("without a name");
        let source = format!("{}: NetworkPolicy {name}", object.path);
        let namespace = object.namespace();
        let targets =
            selected_workloads(object.node.node_at("spec.podSelector"), namespace, cluster);
        // Without labels it is about every pod of the namespace, and says nothing of any.
        let Some(targets) = targets else { continue };
        if targets.is_empty() {
            let message = format!("network policy `{name}` selects pods that nothing here runs");
            graph.warn(Code::Dangling, message, object.node.place);
            continue;
        }
        for target in &targets {
            graph.service_or_new(target);
        }
        let callers = policy_peers(object, "spec.ingress", "from", cluster);
        let callees = policy_peers(object, "spec.egress", "to", cluster);
        for target in &targets {
            for caller in &callers {
                graph.depend_on(caller, target, Evidence::Declared, &*source);
            }
            for callee in &callees {
                graph.depend_on(target, callee, Evidence::Declared, &*source);
            }
        }
    }
}

/// The workloads that the rules of a network policy name.
fn policy_peers(
    object: &Object<'_>,
    rules: &str,
    side: &str,
    cluster: &Cluster<'_>,
) -> Vec<String> {
    let rules = object.items_at(rules).iter();
    let peers = rules.flat_map(|rule| rule.get(side).map(Node::items).unwrap_or_default());
    peers
        .filter_map(|peer| {
            let labels = peer.node_at("namespaceSelector.matchLabels");
            // Kubernetes gives every namespace this label, so policies select a namespace by its
            // name with it.
            let other = labels.and_then(|label| label.get("kubernetes.io/metadata.name")?.scalar());
            selected_workloads(peer.get("podSelector"), other.or(object.namespace()), cluster)
        })
        .flatten()
        .collect()
}

/// The labels that a selector asks for; of those that may have several values, the only one.
fn labels_of_selector(selector: &Node) -> Labels {
    let mut labels = labels_of(selector.get("matchLabels"));
    for rule in selector.get("matchExpressions").map(Node::items).unwrap_or_default() {
        let values = rule.get("values").map(Node::items).unwrap_or_default();
        // A selector of several values names several workloads, and one label cannot say that.
        if let (Some("In"), Some(key), [value]) =
            (rule.scalar_at("operator"), rule.scalar_at("key"), values)
        {
            labels.extend(value.scalar().map(|value| (key.to_owned(), value.to_owned())));
        }
    }
    labels
}

/// The workloads that a selector means; nothing for one without labels. Where no workloads are known,
/// the label that usually holds the name is taken for it.
fn selected_workloads(
    selector: Option<&Node>,
    namespace: Option<&str>,
    cluster: &Cluster<'_>,
) -> Option<Vec<String>> {
    let labels = labels_of_selector(selector?);
    if labels.is_empty() {
        return None;
    }
    if cluster.workloads.is_empty() {
        let name = NAMES.iter().find_map(|key| labels.get(*key));
        return Some(name.into_iter().cloned().collect());
    }
    let found = cluster.selected_workloads(namespace, &labels);
    Some(found.into_iter().map(|index| cluster.workloads[index].name.clone()).collect())
}

/// Adds how many pods there are at least, and how many of them must stay.
pub(super) fn read_replicas(
    objects: &Objects<'_>,
    cluster: &Cluster<'_>,
    graph: &mut EvidenceGraph,
) {
    // The index is by name only: namespaces are compared below, since manifests often leave them
    // out.
    let mut by_object: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, workload) in cluster.workloads.iter().enumerate() {
        by_object.entry(workload.object).or_default().push(index);
    }
    for object in &objects.all {
        // The least that an autoscaler keeps is what there is, whatever the workload says.
        let least = match object.kind() {
            "HorizontalPodAutoscaler" => object.node.node_at("spec.minReplicas"),
            "ScaledObject" => object.node.node_at("spec.minReplicaCount"),
            _ => continue,
        };
        let name = object.node.scalar_at("spec.scaleTargetRef.name").unwrap_or_default();
        let Some(least) = least.and_then(Node::number).and_then(whole_replicas) else { continue };
        for index in by_object.get(name).into_iter().flatten() {
            let workload = &cluster.workloads[*index];
            let is_same = workload.namespace == object.namespace()
                || workload.namespace.is_none()
                || object.namespace().is_none();
            if is_same {
                graph.service_or_new(&workload.name).replicas = Some(least);
            }
        }
    }
    for object in objects.of_kind("PodDisruptionBudget") {
        let Some(selector) = object.node.node_at("spec.selector") else { continue };
        for index in cluster.selected_workloads(object.namespace(), &labels_of_selector(selector)) {
            let service = graph.service_or_new(&cluster.workloads[index].name);
            // Without a number Kubernetes runs one pod.
            let count = service.replicas.unwrap_or(1);
            service.needs = needed_replicas(object, count).or(service.needs);
        }
    }
}

/// How many of so many pods a budget keeps.
fn needed_replicas(object: &Object<'_>, count: u32) -> Option<u32> {
    let part = |key: &str| {
        let text = object.node.node_at("spec")?.get(key)?.scalar()?;
        match text.strip_suffix('%') {
            // Kubernetes rounds up, for what stays as for what may go.
            Some(share) => Some((share.parse::<f64>().ok()? / 100.0 * f64::from(count)).ceil()),
            None => text.parse::<f64>().ok(),
        }
    };
    let kept = part("minAvailable").or_else(|| Some(f64::from(count) - part("maxUnavailable")?))?;
    // A budget of 0 would need no pod at all, yet a service without pods answers nothing.
    whole_replicas(kept.clamp(1.0, f64::from(count)))
}
