//! All origins by the fluid engine: one after the other, or where chance decides nothing, a trial each.

use super::Work;
use crate::compile::plan::DependencyId;
use crate::compile::{Plan, compile};
use crate::diagnostic::Place;
use crate::engine::boolean::BLOCK;
use crate::engine::origins::{FailureMode, Impact, Origin, is_random};
use crate::engine::outcome::{Outcome, TRIALS};
use crate::engine::parallel;
use crate::engine::{Choice, Silent, Simulator};
use crate::model::change::{Modes, Target, TargetRef};
use crate::model::topology::{Dependency, NodeRef, Service, ServiceId};
use crate::model::{Change, Share};

/// So many trials of all origins are run before the next: what fails anyway is kept meanwhile.
const WINDOW: u64 = 8 * BLOCK;
/// So many times as many origins as there are trials at once are computed between interruptions.
const WIDE: usize = 8;

/// Returns the impact of each origin.
pub(super) fn fluid_impacts(work: &Work<'_>) -> Vec<Impact> {
    let has_own_plan = |origin: &Origin| matches!(origin, Origin::Dependency(_));
    // A dependency has a plan of its own, so origins of that kind cannot share one.
    if is_random(work.plan) || work.origins.iter().any(has_own_plan) {
        one_by_one(work)
    } else {
        in_turn(work)
    }
}

/// Where all trials of an origin are the same, the trials that are computed at once are an origin
/// each.
fn in_turn(work: &Work<'_>) -> Vec<Impact> {
    let mut impacts = vec![Impact::new(work.plan.flows.len()); work.origins.len()];
    if work.trials == 0 {
        return impacts;
    }
    // Once for all origins: without a break every trial is the same.
    let anyway = outcomes_of(work.plan, work, &(0..TRIALS as u64));
    let tolls_of = |origins: &[Origin]| -> Vec<Impact> {
        let targets = origins
            .iter()
            .map(|origin| certain_target(target_of(work, *origin), mode_of(work, *origin)));
        let change = Change::from_targets("rank", targets.collect());
        let mut plan = compile(work.topology, &change, work.settings.lasting);
        // Each trial breaks the target of its own number.
        plan.rotate_targets = true;
        let outcomes = outcomes_of(&plan, work, &(0..origins.len() as u64));
        let impact = |(trial, origin): (usize, &Origin)| {
            let mut impact = Impact::new(plan.flows.len());
            add_outcome(
                &mut impact,
                &plan,
                origin.own_service(),
                &outcomes[0],
                &anyway[0],
                // Only the trial that breaks this origin is its own.
                1 << trial,
            );
            impact
        };
        origins.iter().enumerate().map(impact).collect()
    };
    let mut done = 0;
    let windows = work.origins.chunks(TRIALS * WIDE).zip(impacts.chunks_mut(TRIALS * WIDE));
    for (origins, impacts) in windows {
        if work.progress.is_cancelled() {
            break;
        }
        let pieces: Vec<&[Origin]> = origins.chunks(TRIALS).collect();
        let found = parallel::each_of(&pieces, |origins| tolls_of(origins));
        for (impact, found) in impacts.iter_mut().zip(found.into_iter().flatten()) {
            *impact = found;
        }
        done += origins.len() as u64;
        work.progress.trials_done(done);
    }
    impacts
}

/// One origin after the other, in as many trials as are asked for.
fn one_by_one(work: &Work<'_>) -> Vec<Impact> {
    let mut impacts = vec![Impact::new(work.plan.flows.len()); work.origins.len()];
    let mut first = 0;
    while first < work.trials && !work.progress.is_cancelled() {
        let trials = first..work.trials.min(first + WINDOW);
        // The trials without a break are computed once for all origins.
        let anyway = outcomes_of(work.plan, work, &trials);
        let of_origin = |origin: &Origin| {
            // Asked in each piece too, since one origin may take long.
            if work.progress.is_cancelled() {
                return Impact::default();
            }
            let plan = plan_of(work, *origin);
            impact_beyond(work, origin.own_service(), &outcomes_of(&plan, work, &trials), &anyway)
        };
        let found = parallel::each_of(work.origins, of_origin);
        // An origin without trials was cut short: the window is left out for all of them, so that
        // their trials stay equal.
        if found.iter().any(|impact| impact.trials == 0) {
            break;
        }
        for (all, impact) in impacts.iter_mut().zip(&found) {
            all.merge_impact(impact);
        }
        first = trials.end;
        work.progress.trials_done(first * work.origins.len() as u64);
    }
    impacts
}

fn outcomes_of(plan: &Plan, work: &Work<'_>, trials: &std::ops::Range<u64>) -> Vec<Outcome> {
    let simulation = Simulator::with_engine(plan, work.settings.seed, Choice::Fluid);
    let mut outcomes = Vec::new();
    simulation.each_outcome(trials.clone(), &Silent, |outcome| outcomes.push(outcome.clone()));
    outcomes
}

/// Returns the target that breaks for an origin without a plan of its own.
fn target_of(work: &Work<'_>, origin: Origin) -> TargetRef {
    let node = |service: ServiceId, endpoint| TargetRef::Node(NodeRef { service, endpoint });
    match origin {
        Origin::Service(service) => node(service, None),
        Origin::Endpoint { service, node: at } => {
            let endpoints = &work.plan.services[service].endpoints;
            let endpoint =
                endpoints.iter().position(|endpoint| *endpoint == at).map(|number| number as u32);
            node(service, endpoint)
        }
        Origin::Domain(domain) => TargetRef::Domain(domain),
        Origin::Dependency(_) => unreachable!("calls are turned aside in a plan of their own"),
    }
}

/// How an origin breaks: domains are always down.
fn mode_of(work: &Work<'_>, origin: Origin) -> FailureMode {
    if matches!(origin, Origin::Domain(_)) { FailureMode::Down } else { work.mode }
}

/// The plan in which an origin breaks.
fn plan_of(work: &Work<'_>, origin: Origin) -> Plan {
    let lasting = work.settings.lasting;
    let broken = |on| Change::from_targets("rank", vec![certain_target(on, mode_of(work, origin))]);
    match origin {
        Origin::Dependency(number) => {
            // The calls go to something in between that is broken, and no further. Nothing else
            // may change: cycles stay what they are, and draws keep their names. So the plan is that
            // of the topology as it is, in which the calls are turned aside; a call that nobody makes
            // has what is in between come before its caller.
            let mut topology = work.topology.clone();
            let between = ServiceId::new(topology.services.len());
            topology.services.push(nothing_but_broken());
            let on = NodeRef { service: between, endpoint: None };
            let (all, at) = written_beside(&mut topology, number.index());
            let mut unused = all[at].clone();
            (unused.on, unused.needs, unused.any_of) = (vec![on], 1, false);
            (unused.cache, unused.buffer, unused.fallback) = (None, None, None);
            unused.call_probability = Share::ZERO;
            // A call that is never made, so that nothing changes but the order of nodes.
            all.push(unused);
            let mut plan = compile(&topology, &broken(TargetRef::Node(on)), lasting);
            turn_aside(&mut plan, number, between);
            plan
        }
        _ => compile(work.topology, &broken(target_of(work, origin)), lasting),
    }
}

/// Lets all calls of a dependency go to a service.
fn turn_aside(plan: &mut Plan, dependency: DependencyId, to: ServiceId) {
    // The node in between takes the place of what was called.
    let node = plan.services[to].node;
    let calls = plan.calls.iter().filter(|call| call.dependency == dependency);
    for member in calls.flat_map(|call| call.members) {
        let member = &mut plan.members[member];
        let before = std::mem::replace(&mut member.node, node);
        // Caches and buffers need to know since when it has been failing.
        plan.nodes[node].tracks_failing_since |= plan.nodes[before].tracks_failing_since;
    }
}

fn certain_target(on: TargetRef, mode: FailureMode) -> Target {
    let mut target = Target::down_with_certainty(on, Place::default());
    let share = |item| if item == mode { Share::ONE } else { Share::ZERO };
    target.modes = Modes {
        down: share(FailureMode::Down),
        slow: share(FailureMode::Slow),
        corrupt: share(FailureMode::Corrupt),
        ..Modes::default()
    };
    target
}

/// A service without a name of its own: no file can hold this one.
fn nothing_but_broken() -> Service {
    Service {
        name: "/".to_owned(),
        title: None,
        kind: String::new(),
        team: None,
        tier: None,
        paths: Vec::new(),
        resources: Vec::new(),
        availability: None,
        domains: Vec::new(),
        replicas: None,
        utilization: None,
        queue: None,
        drop_expired: false,
        latency: None,
        concurrency: None,
        recovery: crate::model::topology::Recovery::default(),
        automations: Vec::new(),
        dependencies: Vec::new(),
        endpoints: Vec::new(),
        shipping: None,
        never_soft: false,
        mttr: None,
        place: Place::default(),
    }
}

/// Returns the list in which the dependency of this number stands, and its index there.
fn written_beside(
    topology: &mut crate::model::Topology,
    number: usize,
) -> (&mut Vec<Dependency>, usize) {
    let of_services = topology.services.iter_mut().flat_map(|service| {
        let of_endpoints = service.endpoints.iter_mut().map(|endpoint| &mut endpoint.dependencies);
        std::iter::once(&mut service.dependencies).chain(of_endpoints)
    });
    let of_flows = topology.flows.iter_mut().map(|flow| &mut flow.steps);
    let mut left = number;
    for all in of_services.chain(of_flows) {
        if left < all.len() {
            return (all, left);
        }
        left -= all.len();
    }
    unreachable!("origins are dependencies as written")
}

/// Returns the loss in some trials beyond what is lost anyway.
fn impact_beyond(
    work: &Work<'_>,
    own: Option<ServiceId>,
    outcomes: &[Outcome],
    anyway: &[Outcome],
) -> Impact {
    let mut impact = Impact::new(work.plan.flows.len());
    // Summed block by block, as the Boolean engine does it: rates are still added in other orders,
    // which is why figures are given to nine digits.
    let per_block = BLOCK as usize / TRIALS;
    for (outcomes, anyway) in outcomes.chunks(per_block).zip(anyway.chunks(per_block)) {
        let mut block = Impact::new(work.plan.flows.len());
        for (outcome, anyway) in outcomes.iter().zip(anyway) {
            add_outcome(&mut block, work.plan, own, outcome, anyway, outcome.valid);
        }
        impact.merge_impact(&block);
    }
    impact
}

/// Adds those trials of an outcome that count.
fn add_outcome(
    impact: &mut Impact,
    plan: &Plan,
    own: Option<ServiceId>,
    outcome: &Outcome,
    anyway: &Outcome,
    valid: u64,
) {
    impact.trials += u64::from(valid.count_ones());
    // Flows are the last units of an outcome.
    let first = |outcome: &Outcome| outcome.units.len() - outcome.flows.len();
    for flow in 0..plan.flows.len() {
        let with = &outcome.units[first(outcome) + flow];
        let without = &anyway.units[first(anyway) + flow];
        let count = |mask: u64| u64::from((mask & valid).count_ones());
        impact.failed[flow] += count(with.failed & !without.failed);
        impact.degraded[flow] += count(with.degraded & !without.degraded);
        impact.baseline[flow] += count(without.failed);
    }
    // Trial by trial, since the worst trial is reported as well.
    for trial in (0..TRIALS).filter(|trial| valid >> trial & 1 == 1) {
        let is_new = |with: u64, without: u64| (with & !without) >> trial & 1 == 1;
        let lost = plan.services.ids().iter().filter(|service| {
            let unit = service.index();
            Some(*service) != own && is_new(outcome.units[unit].failed, anyway.units[unit].failed)
        });
        impact.services.add_value(lost.count() as f64, 1.0);
        let (mut flows, mut orders) = (0.0, 0.0);
        for (flow, item) in plan.flows.iter().enumerate() {
            let with = outcome.units[first(outcome) + flow].failed;
            if is_new(with, anyway.units[first(anyway) + flow].failed) {
                flows += 1.0;
            }
            // The change may help a flow in some trial, which is no loss.
            let share = outcome.flows[flow].share[trial] - anyway.flows[flow].share[trial];
            if !item.rate.is_nan() && share > 0.0 {
                orders += item.rate * share;
            }
        }
        impact.flows.add_value(flows, 1.0);
        impact.orders.add_value(orders, 1.0);
    }
}
