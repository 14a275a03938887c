//! Warnings about a change.

use super::{WARNINGS_PER_CODE, gates};
use crate::diagnostic::{Code, Diagnostic, Findings, Place};
use crate::model::change::{Change, Component, Routing, Target, TargetRef};
use crate::model::topology::Topology;
use crate::model::units::{Seconds, Share};

/// Everything doubtful about a change, sorted by place.
pub fn lint_change(change: &Change, topology: &Topology) -> Vec<Diagnostic> {
    let mut findings = Findings::new(WARNINGS_PER_CODE);
    for target in &change.targets {
        of_target(change, target, topology, &mut findings);
    }
    of_times(change, &mut findings);
    of_gates(change, &mut findings);
    gates::find_blind_gates(change, topology, &mut findings);
    of_replicas(change, topology, &mut findings);
    of_actions(change, &mut findings);
    findings.finish()
}

fn no_effect(place: Place, fact: impl Into<String>, help: &str) -> Diagnostic {
    Diagnostic::warning(Code::NoEffect, fact, place).help(help)
}

fn target_name(target: &Target, topology: &Topology) -> String {
    match target.on {
        TargetRef::Node(node) => topology.node_name(node),
        TargetRef::Domain(domain) => topology.domain(domain).name.clone(),
    }
}

fn of_target(change: &Change, target: &Target, topology: &Topology, findings: &mut Findings) {
    let name = target_name(target, topology);
    let mut note = |fact: String, help: &str| findings.push(no_effect(target.place, fact, help));
    if target.probability.is_zero() {
        note(
            format!("`{name}` never breaks: its probability is 0%"),
            "remove the target, or raise `probability`",
        );
    }
    if target.severity.1.is_zero() {
        note(format!("nothing of `{name}` fails: its severity is 0%"), "raise `severity`");
    }
    // In a single moment there is no time before it.
    if target.onset.p95 > Seconds::ZERO && change.is_moment() {
        note(
            format!("the onset of `{name}` has no effect in a single moment"),
            "say how the change rolls out, is detected or taken back",
        );
    }
    // From the median on, half of the breaks come too late.
    if target.onset.median > change.horizon {
        note(
            format!("`{name}` hardly ever breaks before the horizon of {}", change.horizon),
            "raise `horizon`, or lower `onset`",
        );
    }
    let most = most_exposure(change);
    if target.min_exposure > most {
        note(
            format!(
                "`{name}` never breaks: it stays dormant below an exposure of {}, but the rollout ends at {most}",
                target.min_exposure
            ),
            "lower `min_exposure`, or add a stage",
        );
    }
    if is_down_anyway(change, target) {
        note(
            format!("`{name}` is down the whole time anyway"),
            "name it under `targets` or under `during`, not both",
        );
    }
}

fn most_exposure(change: &Change) -> Share {
    let last = change.rollout.as_ref().and_then(|rollout| rollout.stages.last());
    last.map_or(Share::ONE, |stage| stage.exposure)
}

fn is_down_anyway(change: &Change, target: &Target) -> bool {
    let component = match target.on {
        TargetRef::Node(node) => Component::Service(node.service),
        TargetRef::Domain(domain) => Component::Domain(domain),
    };
    change.during.contains(&component)
}

fn of_times(change: &Change, findings: &mut Findings) {
    // Repair and the second detection are only about wrong answers.
    let is_corrupt = change.targets.iter().any(|target| !target.modes.corrupt.is_zero());
    let corrupt_only =
        [(change.places.repair, "repair"), (change.places.corrupt_detection, "corrupt")];
    for (place, key) in corrupt_only {
        if let Some(place) = place.filter(|_| !is_corrupt) {
            let fact = format!("`{key}` has no effect: no target gives wrong answers");
            findings.push(no_effect(place, fact, "give a target the mode `corrupt`, or remove it"));
        }
    }
    if let Some(place) = change.places.horizon.filter(|_| change.is_moment()) {
        let help = "say how the change rolls out, is detected or taken back";
        findings.push(no_effect(place, "`horizon` has no effect in a single moment", help));
    }
    let rollout = change.rollout.as_ref().zip(change.places.rollout);
    if let Some((rollout, place)) = rollout {
        let bakes = rollout.stages.iter().filter_map(|stage| stage.bake);
        let lasts: f64 = bakes.map(Seconds::get).sum();
        if lasts > change.horizon.get() {
            let fact = format!("the rollout is not complete at the horizon of {}", change.horizon);
            findings.push(no_effect(place, fact, "raise `horizon`, or shorten the bakes"));
        }
    }
}

fn of_actions(change: &Change, findings: &mut Findings) {
    for item in change.actions.iter().filter(|action| action.at >= change.horizon) {
        let fact = format!("nothing is counted any more at {}, after the horizon", item.at);
        findings.push(no_effect(item.place, fact, "raise `horizon`, or remove the action"));
    }
}

/// A gate looks for failing requests, and a surge makes none by itself.
fn of_gates(change: &Change, findings: &mut Findings) {
    let Some((rollout, place)) = change.rollout.as_ref().zip(change.places.rollout) else { return };
    let has_gate = rollout.stages.iter().any(|stage| !stage.catch_probability.is_zero());
    let only_surges = change.targets.iter().all(|target| target.modes.surge.is_one());
    if has_gate && only_surges {
        let fact = "the gates see nothing: no target fails by itself";
        findings.push(no_effect(place, fact, "a surge shows in what is called, not in the target"));
    }
}

/// Stages that are no whole number of replicas: more instances have the change than is stated.
fn of_replicas(change: &Change, topology: &Topology, findings: &mut Findings) {
    let Some((rollout, place)) = change.rollout.as_ref().zip(change.places.rollout) else { return };
    // Sticky rollouts expose users and not replicas, and the stages of a named strategy were not
    // chosen by hand.
    if rollout.routing == Routing::Sticky || rollout.strategy.is_some() {
        return;
    }
    // Targets with a rollout of their own have stages of their own.
    let nodes = change.targets.iter().filter(|target| target.rollout.is_none());
    let services = nodes.filter_map(|target| match target.on {
        TargetRef::Node(node) => Some(topology.service(node.service)),
        TargetRef::Domain(_) => None,
    });
    for service in services {
        let Some(replicas) = &service.replicas else { continue };
        let count = f64::from(replicas.count);
        let partial = rollout.stages.iter().find(|stage| {
            let replicas = stage.exposure.get() * count;
            // A hundredth of a replica is a matter of rounding.
            (replicas - replicas.round()).abs() > 0.01
        });
        if let Some(stage) = partial {
            let whole = (stage.exposure.get() * count).ceil();
            let fact = format!(
                "{:.0} of {} replicas of `{}` have the change at an exposure of {}, which is {:.0}%",
                whole,
                replicas.count,
                service.name,
                stage.exposure,
                100.0 * whole / count
            );
            findings.push(
                Diagnostic::warning(Code::PartialReplica, fact, place)
                    .help("state exposures that are whole numbers of replicas"),
            );
        }
    }
}
