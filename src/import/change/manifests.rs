//! Rendered Kubernetes manifests before and after: what each changed object can break.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::AT_ONCE;
use super::draft::{ChangeDraft, Effect, FailureMode, Impact, Resource, SourceRollout};
use super::equal::is_equal_option;
use super::owners::ResourceOwners;
use super::rollouts::{self, LISTED};
use super::workloads::{WorkloadChange, compare_workloads, config_uses};
use crate::import::formats::kubernetes::objects::{Object, Objects, labels_of};
use crate::import::formats::kubernetes::workloads::lasting_pod;
use crate::load::{Document, Node};
use crate::model::change::ChangeKind;

/// Kinds whose objects no request depends on while they run.
const NO_TRAFFIC: [&str; 14] = [
    "CustomResourceDefinition",
    "PodDisruptionBudget",
    "PriorityClass",
    "PodMonitor",
    "ServiceMonitor",
    "PrometheusRule",
    "Job",
    "CronJob",
    "Event",
    "AnalysisTemplate",
    "ClusterAnalysisTemplate",
    "MetricTemplate",
    "Canary",
    "LimitRange",
];

/// Kinds that lead requests to Services, and where they name them.
const ROUTES: [&str; 11] = [
    "Ingress",
    "HTTPRoute",
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
    "VirtualService",
    "DestinationRule",
    "ServiceRouter",
    "ServiceSplitter",
    "IngressRoute",
    "TrafficSplit",
];

/// An object by kind, namespace and name: what makes it the same before and after.
type ObjectKey = (String, String, String);

/// Compares manifests, and adds what each difference can break.
pub(super) fn compare_manifests(
    old: &[(String, Document)],
    new: &[(String, Document)],
    owners: &ResourceOwners<'_>,
    draft: &mut ChangeDraft,
) {
    let (old, new) = (Objects::from_documents(old), Objects::from_documents(new));
    let comparison = Comparison::new(&old, &new);
    let keys: BTreeSet<&ObjectKey> = comparison.old.keys().chain(comparison.new.keys()).collect();
    for key in keys {
        comparison.compare_object(key, owners, draft);
    }
}

struct Comparison<'a> {
    old: BTreeMap<ObjectKey, &'a Object<'a>>,
    new: BTreeMap<ObjectKey, &'a Object<'a>>,
}

impl<'a> Comparison<'a> {
    fn new(old: &'a Objects<'a>, new: &'a Objects<'a>) -> Self {
        let by_key = |objects: &'a Objects<'a>| {
            let all = objects.all.iter();
            all.filter_map(|object| Some((key_of(object)?, object))).collect()
        };
        Self { old: by_key(old), new: by_key(new) }
    }

    fn compare_object(
        &self,
        key: &ObjectKey,
        owners: &ResourceOwners<'_>,
        draft: &mut ChangeDraft,
    ) {
        let (old, new) = (self.old.get(key).copied(), self.new.get(key).copied());
        let label = label_of(key);
        if let (Some(old), Some(new)) = (old, new)
            && is_same_object(&old.node, &new.node)
        {
            return;
        }
        let kind = key.0.as_str();
        if NO_TRAFFIC.contains(&kind) {
            draft.leave_out("of a kind that serves no request", &label);
            return;
        }
        let some = new.or(old);
        if some.is_some_and(|object| lasting_pod(object).is_some()) {
            self.add_workload(key, old, new, owners, draft);
            return;
        }
        match kind {
            "ConfigMap" | "Secret" => self.add_config(key, old, new, owners, draft),
            "NetworkPolicy" | "CiliumNetworkPolicy" | "AuthorizationPolicy" => {
                let selectors = ["spec.podSelector", "spec.endpointSelector", "spec.selector"];
                self.add_selecting(key, [old, new], &selectors, POLICY_BREAK, owners, draft);
            }
            "Service" => {
                self.add_selecting(
                    key,
                    [old, new],
                    &["spec.selector"],
                    SERVICE_BREAK,
                    owners,
                    draft,
                );
            }
            "HorizontalPodAutoscaler" | "ScaledObject" => {
                add_autoscaler(key, old, new, owners, draft);
            }
            _ if ROUTES.contains(&kind) => Self::add_route(key, [old, new], owners, draft),
            _ => {
                let effect = applied_at_once(
                    &label,
                    ChangeKind::Config,
                    FailureMode::Down,
                    &format!("{}; what it can break is not known by its kind", verb(old, new)),
                );
                add_object(key, &[], vec![effect], owners, draft);
            }
        }
    }

    fn add_workload(
        &self,
        key: &ObjectKey,
        old: Option<&Object<'_>>,
        new: Option<&Object<'_>>,
        owners: &ResourceOwners<'_>,
        draft: &mut ChangeDraft,
    ) {
        match compare_workloads(old, new) {
            WorkloadChange::Harmless(reason) => draft.leave_out(reason, &label_of(key)),
            WorkloadChange::Effects(mut effects) => {
                let canary = new.and_then(|new| self.canary_of(new));
                let rollout = match (canary, new) {
                    (Some(canary), _) => rollouts::canary_rollout(&canary.node),
                    (None, Some(new)) => rollouts::workload_rollout(&new.node),
                    (None, None) => None,
                };
                // Only what needs new pods is rolled out: a number of replicas holds at once.
                let rolled = |effect: &&mut Effect| matches!(effect.impact, Impact::Break { .. });
                for effect in effects.iter_mut().filter(rolled) {
                    effect.rollout.clone_from(&rollout);
                }
                add_object(key, &workload_hints(old, new), effects, owners, draft);
            }
        }
    }

    /// The canary of Flagger that ships a workload.
    fn canary_of(&self, workload: &Object<'_>) -> Option<&Object<'a>> {
        let of_it = |canary: &&&Object<'_>| {
            canary.node.scalar_at("spec.targetRef.name") == workload.name()
                && canary.node.scalar_at("spec.targetRef.kind").unwrap_or("Deployment")
                    == workload.kind()
                && canary.namespace() == workload.namespace()
        };
        let mut canaries = self.new.values().filter(|object| object.kind() == "Canary");
        canaries.find(of_it).copied()
    }

    /// Adds a changed `ConfigMap` or Secret to the workloads that use it.
    fn add_config(
        &self,
        key: &ObjectKey,
        old: Option<&Object<'_>>,
        new: Option<&Object<'_>>,
        owners: &ResourceOwners<'_>,
        draft: &mut ChangeDraft,
    ) {
        let label = label_of(key);
        if old.is_none() {
            // A name that is new is used only by pods that are new as well, and these count by themselves.
            draft.leave_out("created: only new pods can use it", &label);
            return;
        }
        let mut is_used = false;
        for (user_key, user) in &self.new {
            let Some(usage) = config_uses(user, &key.0, &key.2, &key.1) else { continue };
            is_used = true;
            let is_restarted = self
                .old
                .get(user_key)
                .is_none_or(|before| !is_same_object(&before.node, &user.node));
            let effect = if new.is_none() {
                let reason = format!("{label} is gone, and pods that need it do not start");
                Effect::new(ChangeKind::Config, Impact::whole_break(FailureMode::Down), reason)
            } else {
                let keys = changed_keys(old, new);
                let reason =
                    format!("{label} changes ({keys}), {}", usage.description(is_restarted));
                let break_of_it = Impact::some_break(FailureMode::Down);
                Effect::new(ChangeKind::Config, break_of_it, reason)
            };
            let rollout = if usage.is_pushed() || !is_restarted {
                Some(SourceRollout {
                    yaml: AT_ONCE.to_owned(),
                    reason: format!("{label} reaches all pods by itself, without a rollout"),
                })
            } else {
                rollouts::workload_rollout(&user.node)
            };
            let effect = Effect { rollout, ..effect };
            add_object(user_key, &workload_hints(None, Some(user)), vec![effect], owners, draft);
        }
        if !is_used {
            draft.leave_out("used by no pod in the manifests", &label);
        }
    }

    /// Adds an object to the workloads that its labels select.
    fn add_selecting(
        &self,
        key: &ObjectKey,
        states: [Option<&Object<'_>>; 2],
        selectors: &[&str],
        (mode, what): (FailureMode, &str),
        owners: &ResourceOwners<'_>,
        draft: &mut ChangeDraft,
    ) {
        let [old, new] = states;
        let reason = format!("{} is {}; {what}", label_of(key), verb(old, new));
        let mut selected: BTreeMap<&ObjectKey, &Object<'_>> = BTreeMap::new();
        for object in [old, new].into_iter().flatten() {
            let selector = selectors.iter().find_map(|path| object.node.node_at(path));
            // A Service without a selector leads to what others enter by hand.
            let Some(selector) = selector else { continue };
            let matched = self.new.iter().filter(|(_, workload)| {
                workload.namespace() == object.namespace() && is_selected(workload, selector)
            });
            selected.extend(matched.map(|(key, workload)| (key, *workload)));
        }
        let label = label_of(key);
        let effect = || applied_at_once(&label, ChangeKind::Config, mode, &reason);
        if selected.is_empty() {
            // A new Service that selects nothing, or nothing that is shown, may still be called.
            add_object(key, &[&key.2], vec![effect()], owners, draft);
        }
        for (workload_key, workload) in selected {
            let hints = workload_hints(None, Some(workload));
            add_object(workload_key, &hints, vec![effect()], owners, draft);
        }
    }

    /// Adds a route to the Services that it names.
    fn add_route(
        key: &ObjectKey,
        states: [Option<&Object<'_>>; 2],
        owners: &ResourceOwners<'_>,
        draft: &mut ChangeDraft,
    ) {
        let [old, new] = states;
        let reason =
            format!("{} is {}; a wrong route refuses requests", label_of(key), verb(old, new));
        let mut services: BTreeSet<String> = BTreeSet::new();
        for object in states.into_iter().flatten() {
            services.extend(named_services(object.kind(), &object.node));
        }
        let label = label_of(key);
        let effect = || applied_at_once(&label, ChangeKind::Config, FailureMode::Down, &reason);
        if services.is_empty() {
            add_object(key, &[&key.2], vec![effect()], owners, draft);
        }
        for service in services {
            let name = format!("service/{service}");
            let names = [name.as_str()];
            let hints = [service.as_str()];
            let resource = Resource { name: &name, names: &names, hints: &hints };
            draft.add_effects(owners, resource, vec![effect()]);
        }
    }
}

/// How a service fails where a policy is wrong, and why.
const POLICY_BREAK: (FailureMode, &str) =
    (FailureMode::Slow, "a wrong rule drops packets, and callers hang");
/// How a service fails where what leads to its pods is wrong, and why.
const SERVICE_BREAK: (FailureMode, &str) =
    (FailureMode::Down, "a wrong selector or port refuses requests");

/// Returns an effect of an object that holds for everybody as soon as it is applied.
fn applied_at_once(label: &str, kind: ChangeKind, mode: FailureMode, reason: &str) -> Effect {
    Effect::new(kind, Impact::some_break(mode), reason).at_once(label)
}

fn add_autoscaler(
    key: &ObjectKey,
    old: Option<&Object<'_>>,
    new: Option<&Object<'_>>,
    owners: &ResourceOwners<'_>,
    draft: &mut ChangeDraft,
) {
    let object = new.or(old);
    let target = object.and_then(|object| object.node.scalar_at("spec.scaleTargetRef.name"));
    let greatest = |object: Option<&Object<'_>>| {
        let spec = object?.node.get("spec")?;
        let stated = spec.get("maxReplicas").or_else(|| spec.get("maxReplicaCount"))?;
        stated.number().filter(|count| *count >= 1.0)
    };
    let effects = match (greatest(old), greatest(new)) {
        (Some(before), Some(after)) if after < before => {
            let reason = format!("at most {after} pods instead of {before}");
            let cut = Impact::CapacityCut(1.0 - after / before);
            vec![Effect::new(ChangeKind::Config, cut, reason)]
        }
        (Some(_) | None, Some(_)) => {
            draft.leave_out("it scales as far as before, or further", &label_of(key));
            return;
        }
        _ => {
            let break_of_it = Impact::some_break(FailureMode::Down);
            let reason = "nothing scales it any more, and how far it was scaled is not known";
            vec![Effect::new(ChangeKind::Config, break_of_it, reason)]
        }
    };
    let hints: Vec<&str> = target.into_iter().collect();
    add_object(key, &hints, effects, owners, draft);
}

/// Adds an object under the names that patterns may call it by.
fn add_object(
    key: &ObjectKey,
    hints: &[&str],
    effects: Vec<Effect>,
    owners: &ResourceOwners<'_>,
    draft: &mut ChangeDraft,
) {
    let short = label_of(key);
    let long = format!("{}/{short}", key.1);
    let names = if key.1.is_empty() { vec![short.as_str()] } else { vec![short.as_str(), &long] };
    draft.add_effects(owners, Resource { name: &short, names: &names, hints }, effects);
}

/// Names of a workload that may be those of its service, the best first.
fn workload_hints<'a>(old: Option<&'a Object<'_>>, new: Option<&'a Object<'_>>) -> Vec<&'a str> {
    let object = new.or(old);
    let labels = ["app.kubernetes.io/name", "app"];
    let labelled = |object: &'a Object<'_>| {
        let all = object.node.node_at("metadata.labels");
        labels.into_iter().filter_map(move |label| all?.get(label)?.scalar())
    };
    let named = object.and_then(|object| object.name());
    named.into_iter().chain(object.into_iter().flat_map(labelled)).collect()
}

fn key_of(object: &Object<'_>) -> Option<ObjectKey> {
    let namespace = object.namespace().unwrap_or_default();
    Some((object.kind().to_owned(), namespace.to_owned(), object.name()?.to_owned()))
}

/// Returns the name by which people know an object: `deployment/cart`.
fn label_of((kind, _, name): &ObjectKey) -> String {
    format!("{}/{name}", kind.to_lowercase())
}

fn verb(old: Option<&Object<'_>>, new: Option<&Object<'_>>) -> &'static str {
    match (old, new) {
        (None, _) => "created",
        (_, None) => "removed",
        _ => "changed",
    }
}

/// Whether two states of an object differ only in what nothing that runs reads.
fn is_same_object(old: &Node, new: &Node) -> bool {
    let keys = |node: &Node| -> BTreeSet<String> {
        node.entries().iter().map(|entry| entry.key.text.to_string()).collect()
    };
    keys(old)
        .union(&keys(new))
        // The cluster writes the state; labels and annotations of the object itself are for people and tools.
        .filter(|key| !["metadata", "status", "apiVersion"].contains(&key.as_str()))
        .all(|key| is_equal_option(old.get(key), new.get(key)))
}

/// The keys whose values differ, as a list; values may be secrets.
fn changed_keys(old: Option<&Object<'_>>, new: Option<&Object<'_>>) -> String {
    let mut names = BTreeSet::new();
    for part in ["data", "stringData", "binaryData"] {
        let of = |object: Option<&Object<'_>>| -> Vec<(String, Node)> {
            let entries = object.and_then(|object| object.node.get(part)).map(Node::entries);
            let entries = entries.unwrap_or_default().iter();
            entries.map(|entry| (entry.key.text.to_string(), entry.value.clone())).collect()
        };
        let (old, new) = (of(old), of(new));
        for (name, value) in old.iter().chain(&new) {
            let find = |all: &[(String, Node)]| {
                all.iter().find(|(other, _)| other == name).map(|(_, node)| node.clone())
            };
            if !is_equal_option(find(&old).as_ref(), find(&new).as_ref())
                || value.scalar().is_none()
            {
                names.insert(name.clone());
            }
        }
    }
    let first: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    let more = names.len() - first.len();
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}

/// Whether labels of the pods of a workload are those of a selector; an empty one selects all.
fn is_selected(workload: &Object<'_>, selector: &Node) -> bool {
    let Some(pod) = lasting_pod(workload) else { return false };
    let labels = labels_of(pod.node_at("metadata.labels"));
    // Expressions are not worked out: what they may select counts as selected.
    let wanted = selector.get("matchLabels").or_else(|| {
        let is_plain = selector.get("matchExpressions").is_none();
        is_plain.then_some(selector)
    });
    let wanted = labels_of(wanted);
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The names of Services that a route leads to, wherever it names them.
fn named_services(kind: &str, route: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Node> = route.get("spec").into_iter().collect();
    // Routes nest as deeply as a file likes, so a list of open nodes takes the place of calls.
    while let Some(node) = open.pop() {
        open.extend(node.items());
        for entry in node.entries() {
            let value = &entry.value;
            let named = match &*entry.key.text {
                "service" => value.scalar_at("name").or_else(|| value.scalar()),
                // Hosts of an Ingress are public names; those of a mesh are Services.
                "host" if kind == "VirtualService" || kind == "DestinationRule" => value.scalar(),
                "serviceName" | "destination" => value.scalar(),
                _ => None,
            };
            if let Some(name) = named {
                // Of `cart.shop.svc.cluster.local` the first part is the Service.
                let name = name.split('.').next().unwrap_or(name);
                found.insert(name.to_owned());
            }
            for reference in value.items().iter().filter(|_| &*entry.key.text == "backendRefs") {
                found.extend(reference.scalar_at("name").map(str::to_owned));
            }
            open.push(value);
        }
    }
    found.retain(|name| !name.is_empty() && name != "*" && !name.contains('*'));
    found
}
