//! The graph of a topology as nodes, calls and members in evaluation order.

use std::collections::BTreeMap;

use super::interventions::Interventions;
use super::key::Key;
use super::order::{self, EvaluationGroup};
use super::plan::{
    ActiveSlot, Buffer, BufferSlot, Cache, Call, Dependency, DependencyId, Domain, DomainId,
    Fallback, Flow, Group, Guards, Lognormal, Member, Node, NodeId, ObservedCall, Plan, Refill,
    RefillId, Replica, Service, ServiceId, StartNeed, Traffic,
};
use crate::model::change::Routing;
use crate::model::id::{Id as _, IdRange, Table, declare_ids};
use crate::model::topology::{
    self as model, CallKind, Caller, MemberMode, NodeRef, Phase, Queue, WhenFull,
};
use crate::model::units::Utilization;
use crate::model::{Seconds, Share, Topology, defaults};

/// Standard normal numbers are below this in 99 of 100 cases.
const Z99: f64 = 2.326_347_874_040_840_8;

/// A plan without any change: what may fail for its own reasons, and how failure travels.
pub(super) fn compile_topology(topology: &Topology) -> Plan {
    let declared_nodes = DeclaredNodes::collect(topology);
    let components = order::strongly_connected_components(&declared_nodes.arcs(topology));
    let mut place: Table<DeclaredNodeId, NodeId> =
        Table::filled(NodeId::new(0), declared_nodes.nodes.len());
    for (position, node) in components.iter().flat_map(|component| &component.nodes).enumerate() {
        place[DeclaredNodeId(*node)] = NodeId::new(position);
    }
    let mut plan = Plan {
        failed: topology.thresholds.failed.get(),
        degraded: topology.thresholds.degraded.get(),
        nodes: Table::with_capacity(place.len()),
        groups: Table::with_capacity(components.len()),
        calls: Table::new(),
        members: Table::new(),
        dependencies: compile_dependencies(topology),
        services: Table::new(),
        flows: Table::new(),
        domains: compile_domains(topology),
        domain_order: domain_order(topology),
        replicas: Table::new(),
        outages: Vec::new(),
        targets: Table::new(),
        bulkheads: Vec::new(),
        consumers: Table::new(),
        refills: Table::new(),
        failing_targets_call: topology.failing_targets_call,
        unknown_pools: Vec::new(),
        rotate_targets: false,
        routing: Routing::Random,
        schedule: None,
        interventions: Interventions::default(),
        lasting: 0.0,
        has_load: topology.services.iter().any(|service| service.utilization.is_some()),
        has_background: false,
        has_delays: false,
    };
    add_nodes(&mut plan, topology, &declared_nodes, &components, &place);
    add_services(&mut plan, topology, &declared_nodes, &place);
    add_flows(&mut plan, topology, &declared_nodes, &place);
    // Last, since a guard marks nodes that may come after its own.
    mark_waiting(&mut plan);
    add_refills(&mut plan, topology);
    plan.has_background = plan.services.iter().any(|service| service.unavailability > 0.0)
        || plan.domains.iter().any(|domain| domain.unavailability > 0.0)
        || plan.replicas.iter().any(|replica| replica.unavailability > 0.0);
    plan
}

declare_ids! { local
    /// The number of a node in the order in which a topology lists them, which is not that of evaluation.
    DeclaredNodeId;
}

/// The nodes of a topology in the order in which it lists them, with what each calls.
struct DeclaredNodes {
    /// The service of a node, or nothing for a flow.
    nodes: Table<DeclaredNodeId, Option<ServiceId>>,
    /// For each node the dependencies that it has, among all that are declared.
    calls: Table<DeclaredNodeId, Vec<DependencyId>>,
    /// The first node of each service: its plain one; its endpoints follow.
    first: Table<ServiceId, DeclaredNodeId>,
    /// The node of each flow.
    flows: Vec<DeclaredNodeId>,
}

impl DeclaredNodes {
    fn collect(topology: &Topology) -> Self {
        let mut item = Self {
            nodes: Table::new(),
            calls: Table::new(),
            first: Table::new(),
            flows: Vec::new(),
        };
        let mut next = DependencyId::new(0);
        // Dependencies are numbered as they are written, in the order of `declared_dependencies`.
        let mut take = |count: usize| {
            let start = next;
            next = DependencyId::new(start.index() + count);
            IdRange { start, end: next }
        };
        for service in &topology.services {
            let own: Vec<DependencyId> = take(service.dependencies.len()).iter().collect();
            let id = item.first.push(item.nodes.next_id());
            item.add(Some(id), own.clone());
            for endpoint in &service.endpoints {
                let added = take(endpoint.dependencies.len());
                // An endpoint makes the calls of its service and its own.
                item.add(Some(id), own.iter().copied().chain(added).collect());
            }
        }
        for flow in &topology.flows {
            item.flows.push(item.nodes.next_id());
            let steps = take(flow.steps.len());
            item.add(None, steps.iter().collect());
        }
        item
    }

    fn add(&mut self, service: Option<ServiceId>, calls: Vec<DependencyId>) {
        self.nodes.push(service);
        self.calls.push(calls);
    }

    fn node(&self, node: NodeRef) -> DeclaredNodeId {
        let DeclaredNodeId(plain) = self.first[node.service];
        DeclaredNodeId(plain + node.endpoint.map_or(0, |endpoint| endpoint + 1))
    }

    /// Returns the nodes that each node refers to while it serves.
    fn arcs(&self, topology: &Topology) -> Vec<Vec<u32>> {
        let declared: Table<DependencyId, &model::Dependency> =
            topology.declared_dependencies().map(|(_, dependency)| dependency).collect();
        let arcs_of = |calls: &Vec<DependencyId>| {
            let serving = calls
                .iter()
                .map(|call| declared[*call])
                // What is needed only to start takes no part in serving, so it makes no cycle
                // either.
                .filter(|call| call.phase == Phase::Serve);
            serving.flat_map(|serving| self.referred(serving)).collect()
        };
        self.calls.iter().map(arcs_of).collect()
    }

    fn referred<'a>(&'a self, dependency: &'a model::Dependency) -> impl Iterator<Item = u32> + 'a {
        let plain = |service| NodeRef { service, endpoint: None };
        let cache = dependency.cache.and_then(|cache| cache.service).map(plain);
        let fallback = dependency.fallback.and_then(|fallback| fallback.on);
        dependency.on.iter().copied().chain(cache).chain(fallback).map(|node| self.node(node).0)
    }
}

fn compile_dependencies(topology: &Topology) -> Table<DependencyId, Dependency> {
    // There are many, so their names are hashed piece by piece instead of being put together.
    let [propagation, fallback] = ["propagation", "fallback"].map(Key::of);
    let mut dependencies: Table<DependencyId, Dependency> = topology
        .declared_dependencies()
        .map(|(caller, declared)| Dependency {
            // Load brings no failure to its caller, only requests to what it calls.
            propagation: if declared.is_load() { 0.0 } else { declared.propagation.get() },
            is_load: declared.kind == Some(CallKind::Load),
            propagation_key: dependency_key(propagation, topology, caller, declared),
            works: declared.fallback.map_or(1.0, |fallback| fallback.works.get()),
            works_key: dependency_key(fallback, topology, caller, declared),
            observed: None,
        })
        .collect();
    number_repeats(&mut dependencies);
    dependencies
}

/// Returns the key of a draw for a dependency: `CALLER>DEPENDENCY`, with `flow:` before a flow.
fn dependency_key(
    key: Key,
    topology: &Topology,
    caller: Caller,
    declared: &model::Dependency,
) -> Key {
    let of_node = |key: Key, node: NodeRef| {
        let service = topology.service(node.service);
        let key = key.followed_by(&service.name);
        match node.endpoint {
            None => key,
            Some(index) => {
                key.followed_by("/").followed_by(&service.endpoints[index as usize].name)
            }
        }
    };
    let mut key = match caller {
        Caller::Node(node) => of_node(key, node),
        Caller::Flow(flow) => {
            key.followed_by("flow:").followed_by(&topology.flows[flow as usize].name)
        }
    };
    // Members are named too, in their order: another choice of them is another dependency.
    for (index, node) in declared.on.iter().enumerate() {
        key = of_node(key.followed_by(if index == 0 { ">" } else { "|" }), *node);
    }
    key
}

/// Puts `#2`, `#3` and so on behind the names of dependencies that have the name of an earlier one.
fn number_repeats(dependencies: &mut Table<DependencyId, Dependency>) {
    let mut order: Vec<DependencyId> = dependencies.ids().iter().collect();
    let key = |id: DependencyId| (dependencies[id].propagation_key, id);
    // The id decides between equal keys, so the first one written keeps the plain name.
    order.sort_unstable_by_key(|id| key(*id));
    let mut repeats = Vec::new();
    let mut number = 1;
    for pair in order.windows(2) {
        number = if key(pair[0]).0 == key(pair[1]).0 { number + 1 } else { 1 };
        if number > 1 {
            repeats.push((pair[1], number));
        }
    }
    for (id, number) in repeats {
        let Dependency { propagation_key, works_key, .. } = &mut dependencies[id];
        for key in [propagation_key, works_key] {
            *key = key.followed_by("#").numbered(number);
        }
    }
}

/// The name, with `#2`, `#3` and so on behind it when it was seen before.
pub(super) fn unrepeated(seen: &mut BTreeMap<String, u32>, name: String) -> String {
    let count = seen.entry(name.clone()).or_default();
    *count += 1;
    if *count == 1 { name } else { format!("{name}#{count}") }
}

fn compile_domains(topology: &Topology) -> Table<DomainId, Domain> {
    let domain = |item: &model::Domain| Domain {
        within: item.within,
        unavailability: unavailability(item.availability),
        // By name and not by number, so that a domain added above moves no draw.
        key: Key::new("domain", &item.name),
        during: false,
    };
    topology.domains.iter().map(domain).collect()
}

fn unavailability(availability: Option<Share>) -> f64 {
    availability.map_or(0.0, |share| share.complement().get())
}

/// Domains by how deep they lie, so that each comes after the one it is within.
fn domain_order(topology: &Topology) -> Vec<DomainId> {
    let depth = |mut domain: DomainId| {
        let mut depth = 0;
        while let Some(within) = topology.domain(domain).within {
            domain = within;
            depth += 1;
        }
        depth
    };
    let mut order: Vec<DomainId> = (0..topology.domains.len()).map(DomainId::new).collect();
    order.sort_by_key(|domain| depth(*domain));
    order
}

fn add_nodes(
    plan: &mut Plan,
    topology: &Topology,
    declared_nodes: &DeclaredNodes,
    components: &[EvaluationGroup],
    place: &Table<DeclaredNodeId, NodeId>,
) {
    let all: Table<DependencyId, &model::Dependency> =
        topology.declared_dependencies().map(|(_, dependency)| dependency).collect();
    for component in components {
        let first = plan.nodes.next_id();
        for node in component.nodes.iter().copied().map(DeclaredNodeId) {
            let first_call = plan.calls.next_id();
            for dependency in &declared_nodes.calls[node] {
                let item = all[*dependency];
                // What is needed only to start is not called while serving.
                if item.phase == Phase::Serve {
                    add_call(plan, declared_nodes, place, *dependency, item);
                }
            }
            plan.nodes.push(Node {
                service: declared_nodes.nodes[node],
                calls: IdRange { start: first_call, end: plan.calls.next_id() },
                group: plan.groups.next_id(),
                has_timed_guard: false,
                tracks_failing_since: false,
                traffic: Traffic::default(),
            });
        }
        // A component is one stretch of nodes, since they are added one component after the other.
        let nodes = IdRange { start: first, end: plan.nodes.next_id() };
        plan.groups.push(Group { nodes, cyclic: component.cyclic });
        mark_intra_cycle(plan, nodes);
    }
}

fn add_call(
    plan: &mut Plan,
    declared_nodes: &DeclaredNodes,
    place: &Table<DeclaredNodeId, NodeId>,
    dependency: DependencyId,
    item: &model::Dependency,
) {
    let node = |node: NodeRef| place[declared_nodes.node(node)];
    let first = plan.members.next_id();
    let member = |on: &NodeRef| Member { node: node(*on), weight: 0.0, extra: false };
    for on in &item.on {
        plan.members.push(member(on));
    }
    let breaker = item.circuit_breaker == Some(true);
    let timeout = item.waits_per_attempt().map_or(f64::INFINITY, Seconds::get);
    // A breaker cuts off what hangs as a timeout does.
    let has_deadline = timeout.is_finite() || breaker;
    let cache = item.cache.map(|cache| Cache {
        ttl: cache.ttl.map_or(f64::INFINITY, Seconds::get),
        hit_ratio: cache.hit_ratio.get(),
        node: cache.service.map(|service| node(NodeRef { service, endpoint: None })),
        refills: IdRange::EMPTY,
    });
    let buffer = item.buffer.map(|buffer| Buffer {
        holds: buffer.holds.get(),
        drops: buffer.when_full == WhenFull::Drop,
        consumer: None,
    });
    let fallback = match item.fallback.map(|fallback| fallback.on) {
        None => Fallback::None,
        Some(None) => Fallback::Static,
        Some(Some(on)) => Fallback::Node(node(on)),
    };
    let guards = Guards {
        budget: item.retry_budget.map_or(f64::INFINITY, Share::get),
        waits_in_all: item.waits_in_all().map_or(f64::INFINITY, Seconds::get),
        max_in_flight: item.max_in_flight.map_or(f64::INFINITY, f64::from),
        is_parallel: item.parallel,
        mode: item.mode,
        failover: item.failover.map_or(0.0, Seconds::get),
        active_slot: None,
        cache,
        buffer,
        fallback,
        fallback_weight: 0.0,
        buffer_slot: None,
    };
    // Boxed only where there is one: most calls have none, and the engines walk over all of them.
    let is_guarded = item.retry_budget.is_some()
        || guards.waits_in_all.is_finite()
        || guards.max_in_flight.is_finite()
        || guards.is_parallel
        || guards.mode.is_some()
        || guards.cache.is_some()
        || guards.buffer.is_some()
        || guards.fallback != Fallback::None;
    plan.calls.push(Call {
        dependency,
        members: IdRange { start: first, end: plan.members.next_id() },
        needs: item.needs,
        any_of: item.any_of,
        soft: item.is_soft(),
        // Nobody waits for an answer of an asynchronous call, so nothing can hang on it.
        gives_up: has_deadline || item.is_async(),
        has_deadline,
        timeout,
        is_waited_for: matches!(item.kind, None | Some(CallKind::Sync)),
        is_async: item.is_async(),
        breaker,
        validates: item.validates == Some(true),
        retries: item.retries.unwrap_or(0),
        calls: item.calls,
        probability: item.call_probability.get(),
        intra_cycle: false,
        guards: is_guarded.then(|| Box::new(guards)),
    });
}

/// Marks the calls of these nodes that refer to one of them.
fn mark_intra_cycle(plan: &mut Plan, group: IdRange<NodeId>) {
    for node in group {
        for call in plan.nodes[node].calls {
            let item = &plan.calls[call];
            // Caches and fallbacks count too: failure can go round through them.
            let intra_cycle = plan.referred(item).any(|node| group.contains(node));
            plan.calls[call].intra_cycle = intra_cycle;
        }
    }
}

fn add_services(
    plan: &mut Plan,
    topology: &Topology,
    declared_nodes: &DeclaredNodes,
    place: &Table<DeclaredNodeId, NodeId>,
) {
    for service in &topology.services {
        let id = plan.services.next_id();
        let first = declared_nodes.first[id];
        let place_of = |offset: usize| place[DeclaredNodeId::new(first.index() + offset)];
        let first_replica = plan.replicas.next_id();
        if let Some(replicas) = &service.replicas {
            for number in 0..replicas.count {
                // Replicas are dealt out in turn over the domains that are named.
                let domain = replicas.domains.get(number as usize % replicas.domains.len().max(1));
                plan.replicas.push(Replica {
                    unavailability: unavailability(replicas.availability),
                    // By service and number, so that one replica more moves no other draw.
                    key: Key::new("replica", &format!("{}#{number}", service.name)),
                    domain: domain.copied(),
                });
            }
        }
        plan.services.push(Service {
            node: place_of(0),
            endpoints: (1..=service.endpoints.len()).map(place_of).collect(),
            unavailability: unavailability(service.availability),
            key: Key::new("service", &service.name),
            during: false,
            domains: service.domains.clone(),
            replicas: IdRange { start: first_replica, end: plan.replicas.next_id() },
            needs: service.replicas.as_ref().map_or(0, |replicas| replicas.needs),
            failover: service
                .replicas
                .as_ref()
                .and_then(|replicas| replicas.failover)
                .map_or(0.0, Seconds::get),
            utilization: service.utilization.map_or(0.0, Utilization::get),
            // Without a limit stated work may wait for ever, which is what a plain queue does.
            queue: longest_queue(service.queue.unwrap_or_default()),
            drops_expired: service.drop_expired,
            crowding: slowdown_when_full(service.queue.unwrap_or_default()),
            latency: service.latency.map_or(Lognormal::default(), compile_latency),
            concurrency: service.concurrency.map_or(f64::INFINITY, f64::from),
            timeouts: [f64::INFINITY; 2],
            normal_hold: 0.0,
            traffic: Traffic::default(),
            restart: service.recovery.restart.get(),
            warmup: service.recovery.warmup.get(),
            crashes: service.recovery.crashes,
            start_needs: start_needs(id, service, declared_nodes, place),
        });
        mark_observed(plan, place_of(0));
        for endpoint in 1..=service.endpoints.len() {
            mark_observed(plan, place_of(endpoint));
        }
    }
}

/// How much work may wait, in seconds at full capacity.
fn longest_queue(queue: Queue) -> f64 {
    match queue {
        Queue::Unbounded => f64::INFINITY,
        Queue::Refuses | Queue::Threads { .. } => 0.0,
        Queue::Holds(work) => work.get(),
    }
}

/// How many times longer a request takes when all threads are busy.
fn slowdown_when_full(queue: Queue) -> f64 {
    match queue {
        Queue::Threads { threads, cores } => f64::from(threads) / f64::from(cores),
        Queue::Unbounded | Queue::Refuses | Queue::Holds(_) => 1.0,
    }
}

fn compile_latency(latency: model::Latency) -> Lognormal {
    let (median, p99) = (latency.median.get(), latency.p99.get());
    // The 99th percentile of a lognormal is `median * exp(sigma * Z99)`, solved for sigma.
    Lognormal { median, sigma: libm::log(p99 / median) / Z99 }
}

/// The hard dependencies of a service and its endpoints on other services, of either phase.
fn start_needs(
    own: ServiceId,
    service: &model::Service,
    declared_nodes: &DeclaredNodes,
    place: &Table<DeclaredNodeId, NodeId>,
) -> Vec<StartNeed> {
    let of_endpoints = service.endpoints.iter().flat_map(|endpoint| &endpoint.dependencies);
    let hard =
        service.dependencies.iter().chain(of_endpoints).filter(|dependency| !dependency.is_soft());
    // Load is not waited for by a restart: it needs no answer.
    let hard = hard.filter(|hard| hard.kind != Some(CallKind::Load));
    // A service that waited for itself would never start.
    hard.filter(|hard| hard.on.iter().all(|on| on.service != own))
        .map(|hard| StartNeed {
            any_of: hard
                .on
                .iter()
                .map(|on| (on.service, place[declared_nodes.node(*on)]))
                .collect(),
            needs: hard.needs,
            start_only: hard.phase == Phase::Start,
        })
        .collect()
}

/// Makes the calls of a node those at which its dependencies are observed, unless another node's
/// are already: the plain node comes first, so a service's dependencies are observed there.
fn mark_observed(plan: &mut Plan, caller: NodeId) {
    for call in plan.nodes[caller].calls {
        let dependency = &mut plan.dependencies[plan.calls[call].dependency];
        dependency.observed.get_or_insert(ObservedCall { call, caller });
    }
}

fn add_flows(
    plan: &mut Plan,
    topology: &Topology,
    declared_nodes: &DeclaredNodes,
    place: &Table<DeclaredNodeId, NodeId>,
) {
    for (flow, node) in topology.flows.iter().zip(&declared_nodes.flows) {
        let node = place[*node];
        plan.flows.push(Flow {
            node,
            // Not a number where it is not known: any count of orders made of it is then not known
            // either.
            rate: flow.rate.map_or(f64::NAN, super::super::model::units::Rate::get),
            retry_share: flow.retry_by_users.map_or(0.0, |retries| retries.share.get()),
            retry_attempts: flow.retry_by_users.map_or(0, |retries| retries.attempts),
            retry_after: (flow.retry_by_users)
                .and_then(|retries| retries.after)
                .map_or(0.0, Seconds::get),
            patience: flow.patience.unwrap_or(defaults::PATIENCE).get(),
            promised: flow
                .objective
                .and_then(|objective| objective.latency)
                .map_or(f64::INFINITY, Seconds::get),
            latency: Lognormal::default(),
            messages: Vec::new(),
        });
        mark_observed(plan, node);
    }
}

/// Numbers the caches that come back cold, for each dependency and member.
fn add_refills(plan: &mut Plan, topology: &Topology) {
    let refill_times: Table<DependencyId, Option<f64>> = topology
        .declared_dependencies()
        .map(|(_, item)| item.cache.and_then(|cache| cache.refill).map(Seconds::get))
        .collect();
    let mut refills: Table<DependencyId, Option<IdRange<RefillId>>> =
        Table::filled(None, refill_times.len());
    for (id, node) in plan.nodes.entries() {
        let service = node.service;
        for call in node.calls {
            let item = &mut plan.calls[call];
            let Some(half) = refill_times[item.dependency] else { continue };
            let members = item.members.len();
            let guards = item.guards.as_mut().expect("a call with a cache has guards");
            let cache = guards.cache.as_mut().expect("it refills");
            // Who makes the calls of a dependency fills the same caches.
            cache.refills = *refills[item.dependency].get_or_insert_with(|| {
                let start = plan.refills.next_id();
                let (cache, hit_ratio) = (cache.node, cache.hit_ratio);
                let new = Refill { service, cache, half, hit_ratio, callers: Vec::new() };
                plan.refills.resize(plan.refills.len() + members, new);
                IdRange { start, end: plan.refills.next_id() }
            });
            for refill in &mut plan.refills[cache.refills] {
                refill.callers.push(id);
            }
        }
    }
}

/// Notes which nodes and calls are watched for how long they have been failing.
fn mark_waiting(plan: &mut Plan) {
    let (mut buffer_slots, mut active_slots) = (0, 0);
    for node in plan.nodes.ids() {
        for call in plan.nodes[node].calls {
            let item = &mut plan.calls[call];
            let has_ttl = item.cache().is_some_and(|cache| cache.ttl.is_finite());
            let has_buffer = item.buffer().is_some();
            // Members stand in for each other, so it is the time since all of them fail that
            // counts, not that of one.
            if has_buffer
                && item.any_of
                && let Some(guards) = &mut item.guards
            {
                guards.buffer_slot = Some(BufferSlot(buffer_slots));
                buffer_slots += 1;
            }
            if item.mode() == Some(MemberMode::Failover)
                && let Some(guards) = &mut item.guards
            {
                guards.active_slot = Some(ActiveSlot(active_slots));
                active_slots += 1;
            }
            let learns = item.failover() > 0.0;
            if !has_ttl && !has_buffer && !learns {
                continue;
            }
            let members = item.members;
            plan.nodes[node].has_timed_guard = true;
            for member in members {
                let node = plan.members[member].node;
                plan.nodes[node].tracks_failing_since = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_dependencies_are_those_of_their_whole_names() {
        let topology = Topology::from_yaml(
            "{version: 1, topology: t, services: {web: {dependencies: [db, {any_of: [db, cart/add], needs: 1}],
             endpoints: {buy: {dependencies: [db]}}}, db: {}, cart: {endpoints: {add: {}}}},
             flows: {web: {steps: [web/buy, web/buy, web/buy]}}}",
        )
        .expect("it is right");
        let names = ["web>db", "web>db|cart/add", "web/buy>db", "flow:web>web/buy"];
        let names = names.into_iter().map(str::to_owned);
        let repeats = (2..=3).map(|number| format!("flow:web>web/buy#{number}"));
        let expected: Vec<[Key; 2]> = names
            .chain(repeats)
            .map(|name| ["propagation", "fallback"].map(|what| Key::new(what, &name)))
            .collect();
        let found: Vec<[Key; 2]> = compile_dependencies(&topology)
            .iter()
            .map(|dependency| [dependency.propagation_key, dependency.works_key])
            .collect();
        assert_eq!(found, expected);
    }
}
