//! Assumptions of a simulation where the files do not state something, each with its value.

use super::waiting_calls::pool_name;
use crate::compile::plan::{Plan, UnknownPool};
use crate::model::change::{ChangePlaces, Rollout, Routing, Strategy};
use crate::model::topology::{Evidence, Objective};
use crate::model::{Change, Topology, defaults};
use crate::prose::format;

/// The most dependencies that are named one by one.
const NAMED: usize = 3;

/// Returns everything that is assumed about a change and a topology, in sentences. A break that was
/// asked for (`is_certain`) says itself what happens.
pub(super) fn all_assumptions(
    topology: &Topology,
    change: &Change,
    plan: &Plan,
    is_certain: bool,
) -> Vec<String> {
    let mut said = Vec::new();
    if !is_certain && !change.targets.is_empty() {
        said.extend(of_the_break(change));
    }
    if !change.is_moment() {
        said.extend(of_the_rollout(change));
        said.extend(of_outages(topology));
    }
    said.extend(of_the_topology(topology, change));
    said.extend(of_patience(topology, plan));
    said.extend(of_pools(topology, plan));
    said
}

/// Returns what is assumed of customers who wait, where they may have to.
fn of_patience(topology: &Topology, plan: &Plan) -> Option<String> {
    let lacking: Vec<&str> = topology
        .flows
        .iter()
        .filter(|flow| flow.patience.is_none())
        .map(|flow| &*flow.name)
        .collect();
    // Where nothing can come late nobody loses patience.
    (plan.has_delays && !lacking.is_empty()).then(|| {
        let patience = defaults::PATIENCE;
        format!(
            "a customer gives an order up after {patience}, where no `patience` is stated: {}",
            name_list(&lacking)
        )
    })
}

/// Returns what is assumed of pools that cannot be sized.
fn of_pools(topology: &Topology, plan: &Plan) -> Option<String> {
    let named = |pool: &UnknownPool| match pool_name(topology, *pool) {
        (service, dependency) if dependency.is_empty() => service,
        (caller, dependency) => format!("{caller} > {dependency}"),
    };
    let names: Vec<String> = plan.unknown_pools.iter().map(named).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!(
            "a pool limits nothing where `rate` or `latency` is not stated: {}",
            name_list(&names)
        )
    })
}

/// Returns what is assumed about how it breaks.
fn of_the_break(change: &Change) -> Vec<String> {
    let ChangePlaces { modes, severity, onset, .. } = change.places;
    let mut said = Vec::new();
    if modes.is_none() {
        said.push("a target that breaks is down: no other failure `modes` are stated".to_owned());
    }
    if severity.is_none() {
        said.push("the severity is 100%: every request to a changed instance fails".to_owned());
    }
    if onset.is_none() {
        said.push("the onset is 0 s: a target fails as soon as the change reaches it".to_owned());
    }
    said
}

/// Returns what is assumed about how it is shipped.
fn of_the_rollout(change: &Change) -> Vec<String> {
    let mut said = Vec::new();
    let rollout = change.rollout.as_ref();
    if let Some((rollout, strategy)) =
        rollout.and_then(|rollout| Some((rollout, rollout.strategy?)))
    {
        let name = match strategy {
            Strategy::AllAtOnce => "all-at-once",
            Strategy::Canary => "canary",
            Strategy::BlueGreen => "blue-green",
            Strategy::Rolling => "rolling",
            Strategy::Cells => "cells",
        };
        let first = rollout.stages.first();
        let exposure = first.map_or(1.0, |stage| stage.exposure.get());
        let bake = first.and_then(|stage| stage.bake);
        let watched = bake.map_or_else(String::new, |bake| format!(", with a bake of {bake}"));
        let caught = first.map_or(0.0, |stage| stage.catch_probability.get());
        let gate = if caught > 0.0 {
            format!(" and a gate that catches {} of failing targets", format::stated_share(caught))
        } else {
            String::new()
        };
        said.push(format!(
            "`{name}` stands for {} stages, the first of {}{watched}{gate}",
            rollout.stages.len(),
            format::stated_share(exposure)
        ));
    }
    let is_kept = |rollout: &Rollout| rollout.routing == Routing::Sticky;
    let own_rollouts = || change.targets.iter().filter_map(|target| target.rollout.as_ref());
    if own_rollouts().any(is_kept) && !rollout.is_some_and(is_kept) {
        said.push(
            "users are not kept on exposed instances: `cells` of one target routes as the change does"
                .to_owned(),
        );
    }
    // A target with a rollout of its own does not change at once.
    if rollout.is_none() && own_rollouts().count() < change.targets.len() {
        said.push("everything changes at once: no rollout is stated".to_owned());
    }
    let detection = change.detection.clone().unwrap_or_default();
    if detection.alert_threshold.is_none() && detection.failures.is_none() {
        said.push(format!(
            "an alert notices when {} of the orders of a flow fail, or {} requests to a flow or to a target",
            format::stated_share(defaults::ALERT_THRESHOLD),
            defaults::FAILURES
        ));
    }
    if change.places.horizon.is_none() {
        let horizon = change.horizon;
        said.push(format!("nothing is counted after a horizon of {horizon}"));
    }
    said
}

/// Returns what is assumed about outages that have nothing to do with the change.
fn of_outages(topology: &Topology) -> Option<String> {
    let of_domains = topology
        .domains
        .iter()
        .filter(|domain| domain.availability.is_some() && domain.mttr.is_none())
        .map(|domain| &*domain.name);
    let of_services = topology.services.iter().filter(|service| {
        let of_replicas = service
            .replicas
            .as_ref()
            .is_some_and(|item| item.availability.is_some() && item.mttr.is_none());
        of_replicas || (service.availability.is_some() && service.mttr.is_none())
    });
    let lacking: Vec<&str> = of_domains.chain(of_services.map(|service| &*service.name)).collect();
    let (median, p95) = defaults::MTTR;
    (!lacking.is_empty()).then(|| {
        format!(
            "an outage of its own lasts {median} in the median and {p95} at most in 19 of 20, where no `mttr` is stated: {}",
            name_list(&lacking)
        )
    })
}

/// Returns what is assumed about the topology.
fn of_the_topology(topology: &Topology, change: &Change) -> Vec<String> {
    let mut said = Vec::new();
    let lacking: Vec<&str> = topology
        .flows
        .iter()
        .filter(|flow| flow.objective.is_none())
        .map(|flow| &*flow.name)
        .collect();
    if !lacking.is_empty() {
        let objective = Objective::default();
        said.push(format!(
            "the objective of {} is {} over {}, since none is stated",
            name_list(&lacking),
            format::stated_share(objective.availability.get()),
            objective.window
        ));
    }
    // A file in which every dependency has its own propagation assumes nothing.
    if !change.targets.is_empty()
        && topology
            .declared_dependencies()
            .any(|(_, declared_dependency)| declared_dependency.propagation.get() >= 1.0)
    {
        said.push(
            "failure propagates along a dependency with 100%, where nothing else is stated"
                .to_owned(),
        );
    }
    let guessed: Vec<String> = topology
        .declared_dependencies()
        .filter(|(_, declared_dependency)| declared_dependency.evidence == Some(Evidence::Assumed))
        .map(|(caller, declared_dependency)| {
            format!(
                "{} > {}",
                topology.caller_name(caller),
                topology.dependency_name(declared_dependency)
            )
        })
        .collect();
    if !guessed.is_empty() {
        let names: Vec<&str> = guessed.iter().map(String::as_str).collect();
        let (number, noun) =
            (guessed.len(), if guessed.len() == 1 { "dependency is" } else { "dependencies are" });
        said.push(format!("{number} {noun} only assumed to be there: {}", name_list(&names)));
    }
    said
}

fn name_list(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}
