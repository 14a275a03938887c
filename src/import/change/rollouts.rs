//! How workloads are shipped: rolling updates of Kubernetes, Argo Rollouts, canaries of Flagger.

use super::draft::{AT_ONCE, ChangeDraft, Effect, FailureMode, Impact, Resource, SourceRollout};
use super::owners::ResourceOwners;
use super::shipping::share_text;
use crate::import::formats::kubernetes::objects::Objects;
use crate::load::{Document, Node};
use crate::model::Seconds;
use crate::model::change::ChangeKind;
use crate::model::units::parse_duration;

/// How many names a reason lists.
pub(super) const LISTED: usize = 4;
/// For how long a person looks before a paused rollout goes on: assumed.
const PERSON_LOOKS: f64 = 600.0;
/// The chance that an analysis sees a failing target: assumed, as for the canaries of our strategies.
const ANALYSIS_CATCHES: &str = "50%";
/// The most steps that are read: as many stages as a rollout may have.
const STEPS_MAX: usize = 900;

/// Adds a new version of every Rollout, or of the target of every Canary; returns whether there is one.
pub(super) fn ship_new_versions(
    documents: &[(String, Document)],
    kind: &'static str,
    owners: &ResourceOwners<'_>,
    draft: &mut ChangeDraft,
) -> bool {
    let objects = Objects::from_documents(documents);
    let mut is_found = false;
    for object in objects.of_kind(kind) {
        is_found = true;
        let name = object.name().unwrap_or("unnamed");
        let target = object.node.scalar_at("spec.targetRef.name");
        let label = format!("{}/{name}", kind.to_lowercase());
        let long = format!("{}/{label}", object.namespace().unwrap_or_default());
        let effect = Effect::new(
            ChangeKind::Code,
            Impact::some_break(FailureMode::Down),
            "a new version is shipped",
        );
        let rollout = if kind == "Canary" {
            canary_rollout(&object.node)
        } else {
            workload_rollout(&object.node)
        };
        let hints: Vec<&str> = target.into_iter().chain([name]).collect();
        let names = [label.as_str(), long.as_str()];
        let resource = Resource { name: &label, names: &names, hints: &hints };
        draft.add_effects(owners, resource, vec![Effect { rollout, ..effect }]);
    }
    is_found
}

/// Returns how a new version of a workload reaches users; `None` where the manifest leaves it open.
pub(super) fn workload_rollout(workload: &Node) -> Option<SourceRollout> {
    match workload.scalar_at("kind")? {
        "Deployment" | "DeploymentConfig" => Some(deployment_rollout(workload)),
        "StatefulSet" => stateful_rollout(workload),
        "DaemonSet" => Some(SourceRollout {
            yaml: "rolling".to_owned(),
            reason: "a rolling update over nodes whose number the manifest does not say".to_owned(),
        }),
        "Rollout" => argo_rollout(workload),
        _ => None,
    }
}

fn deployment_rollout(workload: &Node) -> SourceRollout {
    let step = step_text(workload);
    if workload.scalar_at("spec.strategy.type") == Some("Recreate") {
        return SourceRollout {
            yaml: format!("{{ strategy: rolling, max_unavailable: 100%{step} }}"),
            reason: "`Recreate`: all old pods end before the new ones start".to_owned(),
        };
    }
    let replicas = workload.node_at("spec.replicas").and_then(Node::number).unwrap_or(1.0);
    let settings = workload.node_at("spec.strategy.rollingUpdate");
    let share = |key: &str| {
        let stated = settings.and_then(|settings| settings.get(key));
        stated.map_or(Some(0.25), |node| share_of_replicas(node, replicas))
    };
    let (away, surge) = (share("maxUnavailable"), share("maxSurge"));
    // Kubernetes rounds what may be away down and what is added up, so that one always moves.
    let is_default = settings.is_none_or(|settings| {
        settings.get("maxUnavailable").is_none() && settings.get("maxSurge").is_none()
    });
    let (away, surge) = match (away, surge) {
        (Some(away), Some(surge)) if away + surge >= 0.001 => (away, surge),
        _ => (0.0, 1.0 / replicas.max(1.0)),
    };
    let origin = if is_default { "the default of Kubernetes" } else { "as the manifest says" };
    SourceRollout {
        yaml: format!(
            "{{ strategy: rolling, max_unavailable: {}, max_surge: {}{step} }}",
            share_text(away.min(1.0)),
            share_text(surge.min(1.0))
        ),
        reason: format!(
            "a rolling update, {origin}; it waits until pods are ready, and looks no further"
        ),
    }
}

/// Returns the share that a number of replicas, or a percentage, stands for.
fn share_of_replicas(node: &Node, replicas: f64) -> Option<f64> {
    let text = node.scalar()?;
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.trim().parse::<f64>().ok()? / replicas.max(1.0),
    };
    (share.is_finite() && share >= 0.0).then_some(share.min(1.0))
}

/// Returns how long a step takes, as a further key; empty where the manifest leaves it open.
fn step_text(workload: &Node) -> String {
    let number = |path: &str| workload.node_at(path).and_then(Node::number).unwrap_or(0.0);
    let containers = workload.node_at("spec.template.spec.containers");
    let containers = containers.map(Node::items).unwrap_or_default().iter();
    let probe = containers
        .filter_map(|container| container.node_at("readinessProbe.initialDelaySeconds")?.number())
        .fold(0.0, f64::max);
    let ready = number("spec.minReadySeconds") + probe;
    match Seconds::new(ready) {
        Some(ready) if ready.get() >= 1.0 => format!(", step: {ready}"),
        _ => String::new(),
    }
}

fn stateful_rollout(workload: &Node) -> Option<SourceRollout> {
    // `OnDelete` waits for somebody to delete pods, and nothing says when.
    if workload.scalar_at("spec.updateStrategy.type") == Some("OnDelete") {
        return None;
    }
    let replicas = workload.node_at("spec.replicas").and_then(Node::number).unwrap_or(1.0).max(1.0);
    let settings = workload.node_at("spec.updateStrategy.rollingUpdate");
    let partition =
        settings.and_then(|settings| settings.get("partition")?.number()).unwrap_or(0.0);
    if partition > 0.0 && partition < replicas {
        return Some(SourceRollout {
            yaml: format!("{{ stages: [{}] }}", share_text(1.0 - partition / replicas)),
            reason: format!(
                "`partition: {partition}` of {replicas}: the pods below it keep the old version"
            ),
        });
    }
    let stated = settings.and_then(|settings| settings.get("maxUnavailable"));
    let away = stated.and_then(|node| share_of_replicas(node, replicas)).unwrap_or(1.0 / replicas);
    Some(SourceRollout {
        yaml: format!(
            "{{ strategy: rolling, max_unavailable: {}{} }}",
            share_text(away.max(0.001)),
            step_text(workload)
        ),
        reason: "one pod after the other, the last first".to_owned(),
    })
}

/// A stage in the making.
struct StageDraft {
    exposure: f64,
    bake: f64,
    is_watched: bool,
}

impl StageDraft {
    fn yaml_text(&self) -> String {
        // An analysis without a pause still looks for a while.
        let bake = if self.is_watched && self.bake <= 0.0 { PERSON_LOOKS } else { self.bake };
        let mut text = format!("{{ exposure: {}", share_text(self.exposure));
        if let Some(bake) = Seconds::new(bake).filter(|bake| bake.get() > 0.0) {
            text += &format!(", bake: {bake}");
            if self.is_watched {
                text += &format!(", catch_probability: {ANALYSIS_CATCHES}");
            }
        }
        text + " }"
    }
}

/// Returns the stages as a value of `rollout`; what comes last reaches everybody.
fn stages_text(mut stages: Vec<StageDraft>) -> String {
    let mut greatest = 0.0;
    // Exposures of a rollout never go down; a canary that shrinks has been seen by as many already.
    for stage in &mut stages {
        greatest = f64::max(greatest, stage.exposure);
        stage.exposure = greatest;
    }
    stages.retain(|stage| stage.exposure > 0.0);
    if stages.last().is_none_or(|last| last.exposure < 1.0 || last.bake > 0.0) {
        stages.push(StageDraft { exposure: 1.0, bake: 0.0, is_watched: false });
    }
    let texts: Vec<String> = stages.iter().map(StageDraft::yaml_text).collect();
    format!("{{ stages: [{}] }}", texts.join(", "))
}

fn argo_rollout(workload: &Node) -> Option<SourceRollout> {
    if let Some(canary) = workload.node_at("spec.strategy.canary") {
        return Some(argo_canary(canary));
    }
    let blue_green = workload.node_at("spec.strategy.blueGreen")?;
    let has = |key: &str| blue_green.get(key).is_some();
    let watched = has("postPromotionAnalysis");
    // The old fleet stays for half a minute unless the manifest says otherwise.
    let stays = blue_green.get("scaleDownDelaySeconds").and_then(Node::number).unwrap_or(30.0);
    let stays =
        Seconds::new(stays).filter(|stays| stays.get() >= 1.0).unwrap_or(Seconds::whole(30));
    let catches = if watched { ANALYSIS_CATCHES } else { "0%" };
    let looks = if watched {
        "an analysis afterwards sees every second fault (assumed)"
    } else {
        "nothing looks at it afterwards"
    };
    Some(SourceRollout {
        yaml: format!("{{ strategy: blue-green, bake: {stays}, catch_probability: {catches} }}"),
        reason: format!("`blueGreen`: all traffic moves at once, and {looks}"),
    })
}

fn argo_canary(canary: &Node) -> SourceRollout {
    let steps = canary.get("steps").map(Node::items).unwrap_or_default();
    let in_background = canary.get("analysis").is_some();
    let mut stages: Vec<StageDraft> = Vec::new();
    let mut current = StageDraft { exposure: 0.0, bake: 0.0, is_watched: in_background };
    let (mut waits_for_person, mut is_watched) = (false, in_background);
    for step in steps.iter().take(STEPS_MAX) {
        if let Some(weight) = step.get("setWeight").and_then(Node::number) {
            let exposure = (weight / 100.0).clamp(0.0, 1.0);
            let next = StageDraft { exposure, bake: 0.0, is_watched: in_background };
            stages.push(std::mem::replace(&mut current, next));
        }
        if let Some(pause) = step.get("pause") {
            let stated = pause.get("duration").and_then(seconds_of);
            waits_for_person |= stated.is_none();
            // Who lets it go on has looked at it, and sees what an analysis would.
            current.is_watched |= stated.is_none();
            current.bake += stated.unwrap_or(PERSON_LOOKS);
        }
        if step.get("analysis").is_some() || step.get("experiment").is_some() {
            current.is_watched = true;
            is_watched = true;
        }
    }
    stages.push(current);
    let mut reason = "the steps of the Rollout".to_owned();
    if waits_for_person {
        reason += "; a pause without a duration is 10 min, and who ends it sees every second fault (assumed)";
    }
    if is_watched {
        reason += "; an analysis sees every second fault (assumed)";
    }
    if steps.is_empty() {
        // Without steps a canary is an ordinary rolling update.
        return SourceRollout {
            yaml: "rolling".to_owned(),
            reason: "a canary without steps is a rolling update".to_owned(),
        };
    }
    SourceRollout { yaml: stages_text(stages), reason }
}

/// Returns how Flagger ships the target of a Canary.
pub(super) fn canary_rollout(canary: &Node) -> Option<SourceRollout> {
    let spec = canary.get("spec")?;
    if spec.scalar_at("skipAnalysis") == Some("true") {
        return Some(SourceRollout {
            yaml: AT_ONCE.to_owned(),
            reason: "`skipAnalysis`: the canary is promoted without a look".to_owned(),
        });
    }
    // Before v1beta1 it was called `canaryAnalysis`.
    let analysis = spec.get("analysis").or_else(|| spec.get("canaryAnalysis"))?;
    let interval = analysis.get("interval").and_then(seconds_of).unwrap_or(60.0);
    let has = |key: &str| analysis.get(key).is_some_and(|node| !node.items().is_empty());
    let is_watched = has("metrics") || has("webhooks");
    let weights = flagger_weights(analysis);
    let looks = if is_watched {
        "its checks see every second fault (assumed)"
    } else {
        "it has no checks, so nothing stops it"
    };
    if weights.is_empty() {
        return Some(SourceRollout {
            yaml: AT_ONCE.to_owned(),
            reason: "no weights: what share of users an A/B test or a switch reaches is not known, so all \
                     of them count"
                .to_owned(),
        });
    }
    let stages: Vec<StageDraft> = weights
        .into_iter()
        .take(STEPS_MAX)
        .map(|exposure| StageDraft { exposure, bake: interval, is_watched })
        .collect();
    Some(SourceRollout {
        yaml: stages_text(stages),
        reason: format!("the weights of the Canary, one each interval; {looks}"),
    })
}

/// The shares of traffic that a canary gets, one after the other.
fn flagger_weights(analysis: &Node) -> Vec<f64> {
    let listed = analysis.get("stepWeights").map(Node::items).unwrap_or_default();
    if !listed.is_empty() {
        let weights = listed.iter().filter_map(Node::number);
        return weights.map(|weight| (weight / 100.0).clamp(0.0, 1.0)).collect();
    }
    let number = |key: &str| analysis.get(key).and_then(Node::number);
    let step = number("stepWeight").filter(|step| *step >= 1.0);
    let Some(step) = step else { return Vec::new() };
    let greatest = number("maxWeight").unwrap_or(100.0).clamp(1.0, 100.0);
    // At least 1% each, so there are never more than a hundred.
    (1..=100_u32)
        .map(|count| f64::from(count) * step)
        .take_while(|weight| *weight <= greatest + 1e-9)
        .map(|weight| weight / 100.0)
        .collect()
}

/// Reads a duration: a number of seconds, or a number with its unit.
fn seconds_of(node: &Node) -> Option<f64> {
    let text = node.scalar()?.trim();
    let seconds = match text.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => composed_duration(text)?,
    };
    (seconds.is_finite() && (0.0..=1e8).contains(&seconds)).then_some(seconds)
}

/// Reads a duration of Go: `1h30m`.
fn composed_duration(text: &str) -> Option<f64> {
    let mut total = 0.0;
    for part in text.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
        total += parse_duration(part).ok()?.get();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::load::parse_foreign;

    fn rollout(text: &str) -> String {
        let bytes = text.as_bytes().to_vec();
        let documents = parse_foreign("test", bytes, &mut Sources::default()).unwrap();
        workload_rollout(&documents[0].root).unwrap().yaml
    }

    #[test]
    fn rolling_updates_are_shares_of_replicas() {
        assert_eq!(
            rollout("{kind: Deployment, spec: {replicas: 4}}"),
            "{ strategy: rolling, max_unavailable: 25%, max_surge: 25% }"
        );
        assert_eq!(
            rollout(
                "{kind: Deployment, spec: {replicas: 8, minReadySeconds: 30, strategy: {rollingUpdate: \
                 {maxUnavailable: 0, maxSurge: 2}}}}"
            ),
            "{ strategy: rolling, max_unavailable: 0%, max_surge: 25%, step: 30s }"
        );
        assert_eq!(
            rollout("{kind: StatefulSet, spec: {replicas: 5}}"),
            "{ strategy: rolling, max_unavailable: 20% }"
        );
    }

    #[test]
    fn steps_of_a_rollout_are_stages() {
        assert_eq!(
            rollout(
                "{kind: Rollout, spec: {strategy: {canary: {steps: [{setWeight: 20}, {pause: {duration: 1h30m}}, \
                 {setWeight: 50}, {analysis: {templates: [{templateName: a}]}}, {setWeight: 40}, {pause: {}}]}}}}"
            ),
            "{ stages: [{ exposure: 20%, bake: 90m }, { exposure: 50%, bake: 10m, catch_probability: 50% }, \
             { exposure: 50%, bake: 10m, catch_probability: 50% }, { exposure: 100% }] }"
        );
        assert_eq!(
            rollout("{kind: Rollout, spec: {strategy: {blueGreen: {scaleDownDelaySeconds: 600}}}}"),
            "{ strategy: blue-green, bake: 10m, catch_probability: 0% }"
        );
    }
}
