//! The content of a topology as a report: each service with its neighbours and the flows over it.

use std::collections::BTreeSet;

use crate::model::topology::{Caller, Dependency, Flow, FlowId, NodeRef, Service, ServiceId};
use crate::model::{Rate, Seconds, Share, Topology};
use crate::report::structure::{
    DependencyStructure, FlowStructure, SCHEMA, ServiceStructure, StructureReport,
};

/// Reports what a topology holds: all services, or those that are asked for, and all flows or those that run
/// over one of them.
pub fn structure_report(topology: &Topology, wanted: &[ServiceId]) -> StructureReport {
    let users = users_by_service(topology);
    let over: Vec<BTreeSet<ServiceId>> =
        topology.flows.iter().map(|flow| services_of_flow(topology, flow)).collect();
    let is_wanted = |id: ServiceId| wanted.is_empty() || wanted.contains(&id);
    let ids = (0..topology.services.len() as u32).map(ServiceId).filter(|id| is_wanted(*id));
    let services = ids.map(|id| {
        let flows = topology.flows.iter().zip(&over).filter(|(_, over)| over.contains(&id));
        let flows = flows.map(|(flow, _)| flow.name.clone()).collect();
        let used_by = users[id.index()].iter().cloned().collect();
        service_structure(topology, topology.service(id), used_by, flows)
    });
    let is_over_wanted =
        |over: &BTreeSet<ServiceId>| wanted.is_empty() || wanted.iter().any(|id| over.contains(id));
    let flows = (0..topology.flows.len()).filter(|flow| is_over_wanted(&over[*flow]));
    StructureReport {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        topology: topology.name.clone(),
        service_count: topology.services.len() as u64,
        services: services.collect(),
        flows: flows
            .map(|flow| flow_structure(topology, topology.flow(FlowId::new(flow))))
            .collect(),
        omitted: Vec::new(),
    }
}

/// Returns, by service, the names of the services and endpoints that call it.
fn users_by_service(topology: &Topology) -> Vec<BTreeSet<String>> {
    let mut users = vec![BTreeSet::new(); topology.services.len()];
    for (caller, dependency) in topology.declared_dependencies() {
        // Flows stand in a list of their own.
        if matches!(caller, Caller::Flow(_)) {
            continue;
        }
        for node in called_nodes(dependency) {
            users[node.service.index()].insert(topology.caller_name(caller));
        }
    }
    users
}

fn called_nodes(dependency: &Dependency) -> impl Iterator<Item = NodeRef> + '_ {
    let fallback = dependency.fallback.iter().filter_map(|fallback| fallback.on);
    dependency.on.iter().copied().chain(fallback)
}

/// Returns the services that an order needs, directly or through others.
fn services_of_flow(topology: &Topology, flow: &Flow) -> BTreeSet<ServiceId> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<NodeRef> = flow.steps.iter().flat_map(called_nodes).collect();
    while let Some(node) = open.pop() {
        if !seen.insert(node) {
            continue;
        }
        let service = topology.service(node.service);
        // Only the endpoint that is called, and what the service calls for all of them.
        let endpoint = node.endpoint.map(|index| &service.endpoints[index as usize].dependencies);
        let calls = service.dependencies.iter().chain(endpoint.into_iter().flatten());
        open.extend(calls.flat_map(called_nodes));
    }
    seen.into_iter().map(|node| node.service).collect()
}

fn service_structure(
    topology: &Topology,
    service: &Service,
    used_by: Vec<String>,
    flows: Vec<String>,
) -> ServiceStructure {
    let own = service.dependencies.iter().map(|call| dependency_structure(topology, None, call));
    let of_endpoints = service.endpoints.iter().flat_map(|endpoint| {
        let from = Some(endpoint.name.as_str());
        endpoint.dependencies.iter().map(move |call| dependency_structure(topology, from, call))
    });
    ServiceStructure {
        name: service.name.clone(),
        title: service.title.clone(),
        kind: service.kind.clone(),
        team: service.team.clone(),
        tier: service.tier,
        availability: service.availability.map(Share::get),
        replicas: service.replicas.as_ref().map(|replicas| replicas.count),
        paths: service.paths.clone(),
        endpoints: service.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect(),
        depends_on: own.chain(of_endpoints).collect(),
        used_by,
        flows,
    }
}

fn flow_structure(topology: &Topology, flow: &Flow) -> FlowStructure {
    FlowStructure {
        name: flow.name.clone(),
        title: flow.title.clone(),
        critical: flow.critical,
        rate_per_s: flow.rate.map(Rate::get),
        steps: flow.steps.iter().map(|step| dependency_structure(topology, None, step)).collect(),
    }
}

fn dependency_structure(
    topology: &Topology,
    from: Option<&str>,
    dependency: &Dependency,
) -> DependencyStructure {
    let fallback = match dependency.fallback {
        Some(fallback) => {
            Some(fallback.on.map_or_else(|| "static".to_owned(), |node| topology.node_name(node)))
        }
        None => dependency.no_fallback.then(|| "none".to_owned()),
    };
    DependencyStructure {
        from: from.map(str::to_owned),
        on: dependency.on.iter().map(|node| topology.node_name(*node)).collect(),
        soft: dependency.is_soft(),
        timeout_s: dependency.waits_per_attempt().map(Seconds::get),
        retries: dependency.retries,
        fallback,
    }
}
