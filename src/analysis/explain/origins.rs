//! Where failure begins in each trial: the same draws as the engines make, asked for again.

use crate::compile::Plan;
use crate::compile::plan::{Hit, NONE};
use crate::engine::draws::{ChunkDraws, Draws};

/// By node, for 64 trials: in which of them a target fails it, and in which it is down anyway.
pub(super) struct Origins {
    pub(super) target: Vec<u64>,
    pub(super) background: Vec<u64>,
}

/// The origins in the 64 trials from `64 * chunk` on.
pub(super) fn origins_in_chunk(plan: &Plan, seed: u64, chunk: u64) -> Origins {
    let draws = Draws::new(seed).chunk(chunk);
    let none = || vec![0_u64; plan.nodes.len()];
    let mut item = Origins { target: none(), background: none() };
    let mut by_target = vec![0_u64; plan.domains.len()];
    for target in &plan.targets {
        let broken = draws.bernoulli(target.key, target.probability);
        let mut left = broken;
        for mode in 0..3 {
            left &= !draws.bernoulli(target.mode_keys[mode], target.modes[mode]);
        }
        match target.hit {
            Hit::Domain(domain) => by_target[domain as usize] |= broken,
            // What is left surges, which does not fail it.
            Hit::Endpoint { node, .. } => item.target[node as usize] |= broken & !left,
            Hit::Service(service) => {
                plan.nodes_of(service)
                    .for_each(|node| item.target[node as usize] |= broken & !left);
            }
        }
    }
    let mut anyway: Vec<u64> = plan
        .domains
        .iter()
        .map(|domain| all_if(domain.during) | draws.bernoulli(domain.key, domain.unavailability))
        .collect();
    // The order has every domain behind the one that it lies in.
    for domain in &plan.domain_order {
        let within = plan.domains[*domain as usize].within;
        if within != NONE {
            anyway[*domain as usize] |= anyway[within as usize];
            by_target[*domain as usize] |= by_target[within as usize];
        }
    }
    let both: Vec<u64> = anyway.iter().zip(&by_target).map(|(a, b)| a | b).collect();
    for service in 0..plan.services.len() as u32 {
        // The same function gives both: with and without the domains that targets took down.
        let background = down_trials(plan, &draws, service, &anyway);
        let with_target = down_trials(plan, &draws, service, &both);
        for node in plan.nodes_of(service) {
            item.background[node as usize] = background;
            // A node that is down anyway was not brought down by the change.
            item.target[node as usize] |= with_target & !background;
        }
    }
    item
}

fn all_if(is_sure: bool) -> u64 {
    if is_sure { u64::MAX } else { 0 }
}

/// In which trials a service is down, given in which its domains are.
fn down_trials(plan: &Plan, draws: &ChunkDraws, service: u32, domains: &[u64]) -> u64 {
    let item = &plan.services[service as usize];
    let mut down = all_if(item.during) | draws.bernoulli(item.key, item.unavailability);
    // A service in several domains is down only with all of them.
    if !item.domains.is_empty() {
        down |= item.domains.iter().fold(u64::MAX, |all, domain| all & domains[*domain as usize]);
    }
    if item.replicas.is_empty() {
        return down;
    }
    let mut up = [0_u32; 64];
    for index in item.replicas.clone() {
        let replica = &plan.replicas[index as usize];
        let mut lost = draws.bernoulli(replica.key, replica.unavailability);
        if replica.domain != NONE {
            lost |= domains[replica.domain as usize];
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
