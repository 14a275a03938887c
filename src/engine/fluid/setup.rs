//! What a run needs to know about a plan, worked out once.

use std::collections::BTreeSet;

use crate::compile::plan::{Hit, NONE, Plan};

/// Something whose failing time is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Node(u32),
    Entry(u32),
}

/// What a run needs to know about a plan.
pub(crate) struct Setup {
    /// Nodes with a guard that waits: they must be computed anew at every moment.
    pub(super) waiting: Vec<u32>,
    /// What guards watch, and after how long of failing something happens.
    pub(super) limits: Vec<(Watched, Vec<f64>)>,
    /// Services whose health a target domain can change.
    pub(super) in_target_domains: Vec<u32>,
    /// By service: the targets that hit it or one of its endpoints.
    pub(super) targets_of: Vec<Vec<u32>>,
    /// Nodes that some restart waits for in vain if they are failed without the change.
    pub(super) start_nodes: Vec<u32>,
    /// Services that may crash.
    pub(super) crashing: Vec<u32>,
}

impl Setup {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut targets_of = vec![Vec::new(); plan.services.len()];
        for (index, target) in plan.targets.iter().enumerate() {
            match target.hit {
                Hit::Service(service) | Hit::Endpoint { service, .. } => {
                    targets_of[service as usize].push(index as u32);
                }
                Hit::Domain(_) => {}
            }
        }
        let services = || 0..plan.services.len() as u32;
        let start_nodes: BTreeSet<u32> = plan
            .services
            .iter()
            .flat_map(|service| &service.waits_for)
            .filter(|need| need.start_only)
            .flat_map(|need| need.any_of.iter().map(|(_, node)| *node))
            .collect();
        Self {
            waiting: (0..plan.nodes.len() as u32)
                .filter(|node| plan.nodes[*node as usize].waits)
                .collect(),
            limits: limits(plan),
            in_target_domains: services().filter(|it| is_in_target_domain(plan, *it)).collect(),
            targets_of,
            start_nodes: start_nodes.into_iter().collect(),
            crashing: services().filter(|it| plan.services[*it as usize].crashes).collect(),
        }
    }
}

fn limits(plan: &Plan) -> Vec<(Watched, Vec<f64>)> {
    let mut of_nodes: Vec<Vec<f64>> = vec![Vec::new(); plan.nodes.len()];
    let mut of_entries = Vec::new();
    for call in &plan.calls {
        let ttl = call.cache.as_ref().map(|cache| cache.ttl).filter(|ttl| ttl.is_finite());
        let holds = call.buffer.as_ref().map(|buffer| buffer.holds);
        let members = plan.members_of(call).iter().map(|member| member.node as usize);
        if let Some(ttl) = ttl {
            members.clone().for_each(|node| of_nodes[node].push(ttl));
        }
        if let Some(holds) = holds {
            if call.waited == NONE {
                members.for_each(|node| of_nodes[node].push(holds));
            } else {
                of_entries.push((Watched::Entry(call.waited), vec![holds]));
            }
        }
    }
    let nodes = of_nodes.into_iter().enumerate().filter(|(_, limits)| !limits.is_empty());
    let nodes = nodes.map(|(node, mut limits)| {
        limits.sort_by(f64::total_cmp);
        limits.dedup();
        (Watched::Node(node as u32), limits)
    });
    nodes.chain(of_entries).collect()
}

/// Whether a target domain, or one within it, holds the service or a replica of it.
fn is_in_target_domain(plan: &Plan, service: u32) -> bool {
    let service = &plan.services[service as usize];
    let replicas = &plan.replicas[service.replicas.start as usize..service.replicas.end as usize];
    let sits_in = service.domains.iter().copied().chain(replicas.iter().map(|it| it.domain));
    let hits = |domain: u32| plan.targets.iter().any(|target| target.hit == Hit::Domain(domain));
    let mut domains = sits_in.filter(|domain| *domain != NONE);
    domains.any(|mut domain| {
        loop {
            if hits(domain) {
                return true;
            }
            match plan.domains[domain as usize].within {
                NONE => return false,
                within => domain = within,
            }
        }
    })
}
