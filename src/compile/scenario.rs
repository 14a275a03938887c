//! The change: what it hits, how it breaks, and its course in time.

use std::collections::BTreeMap;

use super::graph::unrepeated;
use super::key::Key;
use super::outages;
use super::plan::{Delay, Hit, Lognormal, Plan, Schedule, Stage, Target};
use crate::model::change::{self as model, Component, Modes, Routing, Slowness, TargetRef};
use crate::model::{Change, Seconds, Topology, defaults};

/// Adds a change to the plan of its topology.
pub(super) fn add_change(plan: &mut Plan, topology: &Topology, change: &Change, lasting: Seconds) {
    let mut repeats = BTreeMap::new();
    for item in &change.targets {
        // A service named twice has two targets with draws of their own.
        let name = unrepeated(&mut repeats, target_name(topology, item));
        plan.targets.push(compile_target(plan, item, &name));
    }
    // Services that break in the same mode draw it together, by the name of the first.
    if let Some(first) = change.mode_drawn_for() {
        let mode_keys = mode_keys(&target_name(topology, first));
        let of_services = |target: &&mut Target| !matches!(target.hit, Hit::Domain(_));
        plan.targets.iter_mut().filter(of_services).for_each(|target| target.mode_keys = mode_keys);
    }
    for component in &change.during {
        // What is down the whole time fails without the change too.
        plan.has_background = true;
        match component {
            Component::Service(service) => plan.services[*service].during = true,
            Component::Domain(domain) => plan.domains[*domain].during = true,
        }
    }
    plan.lasting = lasting.get();
    plan.routing = change.rollout.as_ref().map_or(Routing::Random, |rollout| rollout.routing);
    plan.schedule = (!change.is_moment()).then(|| compile_schedule(change));
    count_replicas(plan);
    number_gates(plan);
    if plan.schedule.is_some() {
        plan.outages = outages::outage_processes(topology);
    }
}

fn target_name(topology: &Topology, target: &model::Target) -> String {
    match target.on {
        TargetRef::Node(node) => topology.node_name(node),
        TargetRef::Domain(domain) => topology.domain(domain).name.clone(),
    }
}

/// The draws of a target's mode.
fn mode_keys(name: &str) -> [Key; 3] {
    ["mode-down", "mode-slow", "mode-corrupt"].map(|what| Key::new(what, name))
}

fn compile_target(plan: &Plan, target: &model::Target, name: &str) -> Target {
    let key = |what| Key::new(what, name);
    Target {
        hit: match target.on {
            TargetRef::Domain(domain) => Hit::Domain(domain),
            TargetRef::Node(node) => match node.endpoint {
                None => Hit::Service(node.service),
                Some(endpoint) => Hit::Endpoint {
                    service: node.service,
                    node: plan.services[node.service].endpoints[endpoint as usize],
                },
            },
        },
        probability: target.probability.get(),
        key: key("target"),
        modes: mode_chances(&target.modes),
        mode_keys: mode_keys(name),
        surge_factor: target.modes.surge_factor,
        slow_adds: match target.modes.slowness {
            None => f64::INFINITY,
            Some(Slowness::Adds(adds)) => adds.get(),
            Some(Slowness::Factor(_)) => 0.0,
        },
        slow_factor: match target.modes.slowness {
            Some(Slowness::Factor(factor)) => factor,
            None | Some(Slowness::Adds(_)) => 1.0,
        },
        severity_min: target.severity.0.get(),
        severity_max: target.severity.1.get(),
        // A domain takes no requests of which some could fail.
        of_requests: target.severity_of == model::SeverityOf::Requests
            && matches!(target.on, TargetRef::Node(_)),
        severity_key: key("severity"),
        onset: compile_delay(target.onset),
        onset_key: key("onset"),
        min_exposure: target.min_exposure.get(),
        replicas: 0,
        stages: own_stages(target, name),
        first_gate: 0,
    }
}

fn own_stages(target: &model::Target, name: &str) -> Vec<Stage> {
    let stages = target.rollout.iter().flat_map(|rollout| &rollout.stages).enumerate();
    stages.map(|(index, item)| compile_stage(item, &format!("{name}/{index}"))).collect()
}

/// Lets exposures be whole numbers of replicas, unless they are shares of users.
fn count_replicas(plan: &mut Plan) {
    for target in &mut plan.targets {
        // Stages of its own count instances; those of sticky routing count users.
        let of_users = target.stages.is_empty() && plan.routing == Routing::Sticky;
        if let (Hit::Service(service) | Hit::Endpoint { service, .. }, false) =
            (target.hit, of_users)
        {
            target.replicas = plan.services[service].replicas.len() as u32;
        }
    }
}

/// Numbers the gates of targets after those of the change.
fn number_gates(plan: &mut Plan) {
    let Some(schedule) = &plan.schedule else { return };
    let mut next = schedule.stages.len() as u32;
    for target in &mut plan.targets {
        target.first_gate = next;
        next += target.stages.len() as u32;
    }
}

/// The chance of each mode given that none before it was drawn; the last one possible is certain.
fn mode_chances(modes: &Modes) -> [f64; 3] {
    let weights = [modes.down, modes.slow, modes.corrupt, modes.surge]
        .map(super::super::model::units::Share::get);
    let last = weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0);
    let mut left = 1.0;
    let mut chances = [0.0; 3];
    for (mode, chance) in chances.iter_mut().enumerate() {
        // The last possible mode is certain, so that rounding leaves nothing over.
        *chance = if mode == last { 1.0 } else { (weights[mode] / left).min(1.0) };
        left -= weights[mode];
    }
    chances
}

pub(super) fn compile_delay(delay: model::Delay) -> Lognormal {
    Lognormal { median: delay.median.get(), sigma: delay.sigma() }
}

fn compile_schedule(change: &Change) -> Schedule {
    // Without a rollout everything has the change at once.
    let everything = [model::Stage {
        exposure: crate::model::Share::ONE,
        bake: None,
        catch_probability: crate::model::Share::ZERO,
    }];
    let stages = change.rollout.as_ref().map_or(&everything[..], |rollout| &rollout.stages);
    let detection = change.detection.as_ref();
    let detected_by = |delay| Delay {
        delay: compile_delay(delay),
        needs: detection.map_or_else(Vec::new, |detection| detection.depends_on.clone()),
        factor: detection.map_or(2.0, |detection| detection.needs_factor),
    };
    let rollback = change.rollback.as_ref();
    let kill_switch = change.kill_switch.as_ref();
    Schedule {
        stages: (stages.iter().enumerate())
            .map(|(index, item)| compile_stage(item, &index.to_string()))
            .collect(),
        alerts: Vec::new(),
        failures: 0,
        detection: detected_by(defaults::detection_delay(change)),
        detection_corrupt: detected_by(defaults::detection_corrupt(change)),
        rollback: Delay {
            delay: compile_delay(defaults::rollback_delay(change)),
            needs: rollback.map_or_else(Vec::new, |rollback| rollback.depends_on.clone()),
            factor: rollback.map_or(2.0, |rollback| rollback.needs_factor),
        },
        rollback_works: rollback.map_or(1.0, |rollback| rollback.works.get()),
        rollback_takes: rollback.map_or(0.0, |rollback| rollback.takes.get()),
        rollback_worsens: rollback.map_or(0.0, |rollback| rollback.worsens.get()),
        kill_switch: kill_switch.map(|kill_switch| Delay {
            delay: compile_delay(kill_switch.delay),
            needs: kill_switch.depends_on.clone(),
            factor: kill_switch.needs_factor,
        }),
        kill_switch_works: kill_switch.map_or(1.0, |kill_switch| kill_switch.works.get()),
        repair: change.repair.map(compile_delay),
        horizon: change.horizon.get(),
    }
}

fn compile_stage(stage: &model::Stage, name: &str) -> Stage {
    Stage {
        exposure: stage.exposure.get(),
        bake: stage.bake.map_or(0.0, Seconds::get),
        // A gate decides at the end of a bake; without one there is nothing to look at.
        gate: if stage.bake.is_some() { stage.catch_probability.get() } else { 0.0 },
        gate_key: Key::new("gate", name),
        count_key: Key::new("gate-count", name),
    }
}
