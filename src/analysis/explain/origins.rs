//! Where failure begins in each trial: the same draws as the engines make, asked for again.

use crate::compile::Plan;
use crate::compile::plan::{DomainId, Hit, NodeId, ServiceId};
use crate::engine::draws::{ChunkDraws, Draws};
use crate::model::id::Table;

/// By node, for 64 trials: in which of them a target fails it, and in which it is down anyway.
pub(super) struct Origins {
    pub(super) target: Table<NodeId, u64>,
    pub(super) background: Table<NodeId, u64>,
}

/// The origins in the 64 trials from `64 * chunk` on.
pub(super) fn origins_in_chunk(plan: &Plan, seed: u64, chunk: u64) -> Origins {
    let draws = Draws::new(seed).chunk(chunk);
    let none = || Table::filled(0, plan.nodes.len());
    let mut item = Origins { target: none(), background: none() };
    let mut by_target: Table<DomainId, u64> = Table::filled(0, plan.domains.len());
    for target in &plan.targets {
        let broken = draws.bernoulli(target.key, target.probability);
        let mut left = broken;
        for mode in 0..3 {
            left &= !draws.bernoulli(target.mode_keys[mode], target.modes[mode]);
        }
        match target.hit {
            Hit::Domain(domain) => by_target[domain] |= broken,
            // What is left surges, which does not fail it.
            Hit::Endpoint { node, .. } => item.target[node] |= broken & !left,
            Hit::Service(service) => {
                plan.nodes_of(service).for_each(|node| item.target[node] |= broken & !left);
            }
        }
    }
    let mut anyway: Table<DomainId, u64> = plan
        .domains
        .iter()
        .map(|domain| all_if(domain.during) | draws.bernoulli(domain.key, domain.unavailability))
        .collect();
    // The order has every domain behind the one that it lies in.
    for domain in &plan.domain_order {
        if let Some(within) = plan.domains[*domain].within {
            anyway[*domain] |= anyway[within];
            by_target[*domain] |= by_target[within];
        }
    }
    let both: Table<DomainId, u64> = anyway.iter().zip(&by_target).map(|(a, b)| a | b).collect();
    for service in plan.services.ids() {
        // The same function gives both: with and without the domains that targets took down.
        let background = down_trials(plan, &draws, service, &anyway);
        let with_target = down_trials(plan, &draws, service, &both);
        for node in plan.nodes_of(service) {
            item.background[node] = background;
            // A node that is down anyway was not brought down by the change.
            item.target[node] |= with_target & !background;
        }
    }
    item
}

fn all_if(is_sure: bool) -> u64 {
    if is_sure { u64::MAX } else { 0 }
}

/// In which trials a service is down, given in which its domains are.
fn down_trials(
    plan: &Plan,
    draws: &ChunkDraws,
    service: ServiceId,
    domains: &Table<DomainId, u64>,
) -> u64 {
    let item = &plan.services[service];
    let mut down = all_if(item.during) | draws.bernoulli(item.key, item.unavailability);
    // A service in several domains is down only with all of them.
    if !item.domains.is_empty() {
        down |= item.domains.iter().fold(u64::MAX, |all, domain| all & domains[*domain]);
    }
    if item.replicas.is_empty() {
        return down;
    }
    let mut up = [0_u32; 64];
    for replica in &plan.replicas[item.replicas] {
        let mut lost = draws.bernoulli(replica.key, replica.unavailability);
        if let Some(domain) = replica.domain {
            lost |= domains[domain];
        }
        for (trial, up) in up.iter_mut().enumerate() {
            *up += u32::from(lost >> trial & 1 == 0);
        }
    }
    for (trial, up) in up.into_iter().enumerate() {
        down |= u64::from(up < item.needs) << trial;
    }
    down
}
