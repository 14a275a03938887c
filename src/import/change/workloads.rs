//! Workloads before and after: what a difference in their pods can break.

use std::collections::BTreeSet;

use super::draft::{Effect, FailureMode, Impact};
use super::equal::is_equal_option;
use crate::import::formats::kubernetes::objects::Object;
use crate::import::formats::kubernetes::workloads::lasting_pod;
use crate::load::Node;
use crate::model::change::ChangeKind;

/// Outcome of a comparison of two states of a workload.
pub(super) enum WorkloadChange {
    /// It breaks nothing, for this reason.
    Harmless(&'static str),
    /// Effects on the service.
    Effects(Vec<Effect>),
}

/// Compares two states of a workload.
pub(super) fn compare_workloads(
    old: Option<&Object<'_>>,
    new: Option<&Object<'_>>,
) -> WorkloadChange {
    let (Some(old), Some(new)) = (old, new) else {
        return if new.is_some() {
            WorkloadChange::Harmless("created: nothing that runs calls it yet")
        } else {
            let reason = "removed: down for whoever still calls it";
            WorkloadChange::Effects(vec![
                Effect::new(ChangeKind::Infrastructure, Impact::Outage, reason)
                    .at_once("what is removed"),
            ])
        };
    };
    let mut effects: Vec<Effect> = replicas_effect(&old.node, &new.node).into_iter().collect();
    if let (Some(old), Some(new)) = (lasting_pod(old), lasting_pod(new)) {
        effects.extend(pod_effects(old, new));
    }
    if effects.is_empty() {
        return WorkloadChange::Harmless("only what no running pod reads, or more capacity");
    }
    WorkloadChange::Effects(effects)
}

/// Returns what fewer replicas do.
fn replicas_effect(old: &Node, new: &Node) -> Option<Effect> {
    // One is what Kubernetes takes where a manifest says nothing, unless an autoscaler decides.
    let count = |node: &Node| node.node_at("spec.replicas").and_then(Node::number);
    let (before, after) = (count(old)?, count(new)?);
    if after >= before || before <= 0.0 || after < 0.0 {
        return None;
    }
    let reason = format!("replicas from {before} to {after}");
    let impact =
        if after < 1.0 { Impact::Outage } else { Impact::CapacityCut(1.0 - after / before) };
    Some(Effect::new(ChangeKind::Infrastructure, impact, reason))
}

/// Keys of a container, by what a change of them can break.
const CONTAINER_KEYS: [(&str, &str); 10] = [
    ("command", "another command runs"),
    ("args", "the program is started in another way"),
    ("env", "its settings change"),
    ("envFrom", "its settings change"),
    ("ports", "it listens elsewhere"),
    ("securityContext", "it may lack a right that it needs"),
    ("volumeMounts", "files that it reads are elsewhere"),
    ("lifecycle", "it starts and ends in another way"),
    ("startupProbe", "a wrong probe keeps it from starting"),
    ("readinessProbe", "a wrong probe takes it out of service"),
];

/// Keys of a pod, by what a change of them can break.
const POD_KEYS: [(&str, &str); 11] = [
    ("initContainers", "what runs before it can fail"),
    ("serviceAccountName", "it may lack a right that it needs"),
    ("volumes", "files that it reads are elsewhere"),
    ("securityContext", "it may lack a right that it needs"),
    ("nodeSelector", "it may find no node to run on"),
    ("affinity", "it may find no node to run on"),
    ("tolerations", "it may find no node to run on"),
    ("topologySpreadConstraints", "it may find no node to run on"),
    ("hostNetwork", "it is reached in another way"),
    ("dnsPolicy", "it may find no other service"),
    ("imagePullSecrets", "its image may not be readable"),
];

fn pod_effects(old: &Node, new: &Node) -> Vec<Effect> {
    let spec = |template: &'_ Node| template.get("spec").cloned();
    let (Some(old_spec), Some(new_spec)) = (spec(old), spec(new)) else { return Vec::new() };
    let mut effects = Vec::new();
    let config = |reason: String| {
        Effect::new(ChangeKind::Config, Impact::some_break(FailureMode::Down), reason)
    };
    for (key, what) in POD_KEYS {
        if !is_equal_option(old_spec.get(key), new_spec.get(key)) {
            effects.push(config(format!("{key} changes: {what}")));
        }
    }
    if !is_equal_option(old.node_at("metadata.labels"), new.node_at("metadata.labels")) {
        let reason = "labels of its pods change: Services may no longer select them";
        effects.push(config(reason.to_owned()));
    }
    let containers =
        |spec: &Node| spec.get("containers").map(Node::items).unwrap_or_default().to_vec();
    let (old, new) = (containers(&old_spec), containers(&new_spec));
    let named = |all: &[Node], name: &str| {
        all.iter().find(|container| container.scalar_at("name") == Some(name)).cloned()
    };
    let names: BTreeSet<&str> =
        old.iter().chain(&new).filter_map(|container| container.scalar_at("name")).collect();
    for name in names {
        match (named(&old, name), named(&new, name)) {
            (Some(old), Some(new)) => effects.extend(container_effects(name, &old, &new)),
            (None, Some(_)) => {
                let reason = format!("container {name} is added");
                effects.push(Effect { kind: ChangeKind::Code, ..config(reason) });
            }
            _ => {
                let reason = format!("container {name} is gone");
                effects.push(Effect { kind: ChangeKind::Code, ..config(reason) });
            }
        }
    }
    effects
}

fn container_effects(name: &str, old: &Node, new: &Node) -> Vec<Effect> {
    let mut effects = Vec::new();
    let (before, after) = (old.scalar_at("image"), new.scalar_at("image"));
    if before != after {
        let shown = |image: Option<&str>| image.unwrap_or("none").to_owned();
        let reason = format!("image of {name} from {} to {}", shown(before), shown(after));
        effects.push(Effect::new(ChangeKind::Code, Impact::some_break(FailureMode::Down), reason));
    }
    for (key, what) in CONTAINER_KEYS {
        if !is_equal_option(old.get(key), new.get(key)) {
            // Values may be secrets: only the names of variables are told.
            let which = if key == "env" { changed_variables(old, new) } else { String::new() };
            let reason = format!("{key} of {name} changes{which}: {what}");
            let break_of_it = Impact::some_break(FailureMode::Down);
            effects.push(Effect::new(ChangeKind::Config, break_of_it, reason));
        }
    }
    if !is_equal_option(old.get("livenessProbe"), new.get("livenessProbe")) {
        let reason = format!("livenessProbe of {name} changes: a wrong probe restarts it for ever");
        let break_of_it = Impact::some_break(FailureMode::Down);
        effects.push(Effect::new(ChangeKind::Config, break_of_it, reason));
    }
    effects.extend(resource_effects(name, old, new));
    effects
}

/// Returns the names of variables that differ, in brackets.
fn changed_variables(old: &Node, new: &Node) -> String {
    let variables = |node: &'_ Node| node.get("env").map(Node::items).unwrap_or_default().to_vec();
    let (old, new) = (variables(old), variables(new));
    let find = |all: &[Node], name: &str| {
        all.iter().find(|variable| variable.scalar_at("name") == Some(name)).cloned()
    };
    let names: BTreeSet<&str> =
        old.iter().chain(&new).filter_map(|variable| variable.scalar_at("name")).collect();
    let differs =
        |name: &&str| !is_equal_option(find(&old, name).as_ref(), find(&new, name).as_ref());
    let names: Vec<&str> =
        names.into_iter().filter(differs).take(super::rollouts::LISTED).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

/// Returns what lower limits do: less memory kills the program, less processor slows it down.
fn resource_effects(name: &str, old: &Node, new: &Node) -> Vec<Effect> {
    let mut effects = Vec::new();
    let at = |node: &Node, path: &str| node.node_at(path)?.scalar().map(str::to_owned);
    let lowered = |path: &str| {
        let (before, after) = (at(old, path), at(new, path)?);
        // A limit where there was none is lower than none, but nobody knows by how much.
        let ratio = match &before {
            Some(before) => quantity(&after)? / quantity(before)?,
            None => 0.0,
        };
        (ratio < 1.0).then(|| (before.unwrap_or_else(|| "none".to_owned()), after, ratio))
    };
    if let Some((before, after, _)) = lowered("resources.limits.memory") {
        let reason = format!(
            "memory limit of {name} from {before} to {after}: it may be killed for want of memory"
        );
        effects.push(Effect::new(
            ChangeKind::Config,
            Impact::some_break(FailureMode::Down),
            reason,
        ));
    }
    if let Some((before, after, ratio)) = lowered("resources.limits.cpu") {
        let reason = format!("processor limit of {name} from {before} to {after}");
        let impact = if ratio > 0.0 {
            Impact::CapacityCut(1.0 - ratio)
        } else {
            Impact::some_break(FailureMode::Slow)
        };
        effects.push(Effect::new(ChangeKind::Config, impact, reason));
    }
    effects
}

/// Reads a quantity of Kubernetes: `500m`, `2`, `128Mi`, `1e3`.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 11] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("u", 1e-6),
        ("n", 1e-9),
    ];
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .unwrap_or((text, 1.0));
    let value: f64 = number.trim().parse().ok()?;
    (value > 0.0 && value.is_finite()).then_some(value * factor)
}

/// How pods use a `ConfigMap` or a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfigUse {
    /// As files, which change while the pods run.
    Files,
    /// As variables, which are read at the start.
    Variables,
}

impl ConfigUse {
    /// Whether running pods see a change.
    pub(super) fn is_pushed(self) -> bool {
        self == Self::Files
    }

    /// Returns how a change reaches the pods, as a clause.
    pub(super) fn description(self, is_restarted: bool) -> &'static str {
        match (self, is_restarted) {
            (Self::Files, _) => "which its pods read as files: they change while it runs",
            (Self::Variables, true) => "which its new pods read at their start",
            (Self::Variables, false) => {
                "which its pods read at their next start: nothing says when that is"
            }
        }
    }
}

/// Returns how a workload uses an object of a kind, a name and a namespace; `None` where it does not.
pub(super) fn config_uses(
    workload: &Object<'_>,
    kind: &str,
    name: &str,
    namespace: &str,
) -> Option<ConfigUse> {
    if workload.namespace().unwrap_or_default() != namespace {
        return None;
    }
    let pod = lasting_pod(workload)?.get("spec")?;
    let (volume, volume_name, reference) = match kind {
        "Secret" => ("secret", "secretName", "secretRef"),
        _ => ("configMap", "name", "configMapRef"),
    };
    let key_reference = format!("{volume}KeyRef");
    let is_named =
        |node: Option<&Node>, key: &str| node.is_some_and(|node| node.scalar_at(key) == Some(name));
    let volumes = pod.get("volumes").map(Node::items).unwrap_or_default();
    let is_file = volumes.iter().any(|item| {
        let projected = item.node_at("projected.sources").map(Node::items).unwrap_or_default();
        is_named(item.get(volume), volume_name)
            || projected.iter().any(|source| is_named(source.get(volume), "name"))
    });
    if is_file {
        return Some(ConfigUse::Files);
    }
    let containers = ["containers", "initContainers"];
    let mut containers =
        containers.iter().flat_map(|key| pod.get(key).map(Node::items).unwrap_or_default());
    let is_variable = containers.any(|container| {
        let from = container.get("envFrom").map(Node::items).unwrap_or_default();
        let variables = container.get("env").map(Node::items).unwrap_or_default();
        from.iter().any(|source| is_named(source.get(reference), "name"))
            || variables.iter().any(|variable| {
                let source = variable.get("valueFrom");
                is_named(source.and_then(|source| source.get(&key_reference)), "name")
            })
    });
    is_variable.then_some(ConfigUse::Variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_the_suffixes_of_kubernetes() {
        for (text, value) in [
            ("500m", 0.5),
            ("2", 2.0),
            ("1Ki", 1024.0),
            ("1.5Gi", 1_610_612_736.0),
            ("1e3", 1000.0),
        ] {
            assert_eq!(quantity(text).map(|value| value.to_string()), Some(value.to_string()));
        }
        assert_eq!(quantity("much"), None);
        assert_eq!(quantity("0"), None);
    }
}
