//! Index of a plan for runs, computed once.

use crate::model::id::Table;
use std::collections::BTreeSet;

use crate::compile::plan::{
    ActiveSlot, BufferSlot, Call, CallId, DomainId, Fallback, Group, GroupId, Hit, MemberId,
    NodeId, Plan, Service, ServiceId, TargetId,
};
use crate::engine::fluid::propagation::delays::Bounds;

/// Something whose failing time is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    Node(NodeId),
    Entry(BufferSlot),
}

/// Something that is watched by guards that wait.
pub(crate) struct Limits {
    pub(crate) watched: Watched,
    /// After how long of failing something happens, each once, in order.
    pub(crate) after: Vec<f64>,
    /// The nodes whose calls have those guards.
    pub(crate) by: Vec<NodeId>,
}

/// In which trials things in a cycle only get worse as others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnlyWorsens {
    Always,
    /// In those in which nothing answers wrongly.
    UnlessCorrupting,
    Never,
}

/// Index of a plan for runs.
pub(crate) struct PlanIndex {
    /// Into how many steps the expiry of a cache is cut.
    pub(crate) expiry_steps: u32,
    /// Limits of guards: what they watch, and after how long of failing something happens.
    pub(crate) limits: Vec<Limits>,
    /// Services whose health a target domain can change.
    pub(crate) in_target_domains: Vec<ServiceId>,
    /// By service: the targets that hit it or one of its endpoints.
    pub(crate) targets_of: Table<ServiceId, Vec<TargetId>>,
    /// Nodes that some restart waits for in vain if they are failed without the change.
    pub(crate) start_nodes: Vec<NodeId>,
    /// By group: in which trials it is a cycle in which things only get worse as others do, so that
    /// any order of computing it ends at the same least fixed point.
    pub(crate) only_worsens: Table<GroupId, OnlyWorsens>,
    /// Whether some cycle is such a one in trials in which nothing answers wrongly, and in no others:
    /// then trials of either sort are computed side by side.
    pub(crate) corrupting_last: bool,
    /// Calls that go to one member at a time, in the order of their slots.
    pub(crate) failing_over: Table<ActiveSlot, CallId>,
    /// Members of these calls, but for the first of each: in normal times nobody calls them.
    pub(crate) standby: Vec<MemberId>,
    /// Services that may crash.
    pub(crate) crashing: Vec<ServiceId>,
    /// Services at which work may wait, in a queue or for threads.
    pub(crate) queued: Vec<ServiceId>,
    /// By domain: the services that it, or one within it, holds; empty where outages do not come and go.
    pub(crate) services_in: Table<DomainId, Vec<ServiceId>>,
    /// Who refers to a node.
    callers: Rows<NodeId>,
    /// Arrivals of traffic at each node.
    arrivals: Rows<Arrival>,
    /// The timeouts of the callers of a node, each once.
    timeouts: Rows<f64>,
    /// By node: what parts the pieces of its delay; empty where nothing can wait.
    pub(crate) bounds: Table<NodeId, Bounds>,
    /// The shortest of all timeouts of calls; one second where none is stated.
    pub(crate) shortest_timeout: f64,
}

/// A call that brings traffic to a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Where its traffic is kept: a member's, or, behind all members, a fallback's.
    pub(crate) slot: u32,
    /// Its weight.
    pub(crate) weight: f64,
}

/// Lists by number, in one piece of memory.
struct Rows<T> {
    starts: Vec<u32>,
    entries: Vec<T>,
}

impl<T> Rows<T> {
    /// From pairs of row and entry.
    fn new(rows: usize, mut pairs: Vec<(NodeId, T)>) -> Self {
        // Stable, so that the entries of a row are added up in the order in which they came.
        pairs.sort_by_key(|(row, _)| *row);
        let mut starts = vec![0_u32; rows + 1];
        for (row, _) in &pairs {
            starts[row.index() + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        Self { starts, entries: pairs.into_iter().map(|(_, entry)| entry).collect() }
    }

    #[inline]
    fn row(&self, row: NodeId) -> &[T] {
        let row = row.index();
        &self.entries[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

impl PlanIndex {
    pub(crate) fn new(plan: &Plan, ramp_steps: u32) -> Self {
        let mut targets_of = Table::filled(Vec::new(), plan.services.len());
        for (id, target) in plan.targets.entries() {
            match target.hit {
                Hit::Service(service) | Hit::Endpoint { service, .. } => {
                    targets_of[service].push(id);
                }
                Hit::Domain(_) => {}
            }
        }
        let services = || plan.services.ids().iter();
        let start_nodes: BTreeSet<NodeId> = plan
            .services
            .iter()
            .flat_map(|service| &service.start_needs)
            .filter(|need| need.start_only)
            .flat_map(|need| need.any_of.iter().map(|(_, node)| *node))
            .collect();
        let only_worsens = only_worsens(plan);
        Self {
            limits: limits(plan, ramp_steps),
            expiry_steps: ramp_steps,
            in_target_domains: services()
                .filter(|service| is_in_target_domain(plan, *service))
                .collect(),
            targets_of,
            start_nodes: start_nodes.into_iter().collect(),
            corrupting_last: only_worsens
                .iter()
                .any(|worsens| *worsens == OnlyWorsens::UnlessCorrupting),
            only_worsens,
            failing_over: failing_over(plan),
            standby: failing_over(plan)
                .iter()
                .flat_map(|call| plan.calls[*call].members.iter().skip(1))
                .collect(),
            crashing: services().filter(|service| plan.services[*service].crashes).collect(),
            queued: services().filter(|service| may_queue(&plan.services[*service])).collect(),
            services_in: services_in_domains(plan),
            callers: callers(plan),
            arrivals: arrivals(plan),
            timeouts: timeouts(plan),
            bounds: bounds(plan),
            shortest_timeout: shortest_timeout(plan),
        }
    }

    /// Who refers to a node.
    #[inline]
    pub(crate) fn callers_of(&self, node: NodeId) -> &[NodeId] {
        self.callers.row(node)
    }

    /// The timeouts of the callers of a node, each once.
    #[inline]
    pub(crate) fn timeouts_at(&self, node: NodeId) -> &[f64] {
        self.timeouts.row(node)
    }

    /// Returns the arrivals of traffic at a node.
    #[inline]
    pub(crate) fn arrivals_at(&self, node: NodeId) -> &[Arrival] {
        self.arrivals.row(node)
    }
}

/// How long to tell delays apart, in seconds, of what nobody waits for.
const WITHOUT_CALLERS: f64 = 60.0;

/// Whether work may wait at a service, in a queue or for threads.
fn may_queue(service: &Service) -> bool {
    service.utilization > 0.0 && (service.queue > 0.0 || service.concurrency.is_finite())
}

/// Inside a cycle, a breaker that opens takes retries away, members that stand in for each other
/// hide what one of them does, a cache hides a dependency that fails and not one that is degraded,
/// and a wrong answer that nobody notices may turn into a failure that
/// is caught. Everything else lets through at least as much the more comes in.
fn only_worsens(plan: &Plan) -> Table<GroupId, OnlyWorsens> {
    let may_corrupt = plan.targets.iter().any(|target| target.modes[2] > 0.0);
    let catches = |call: &Call| {
        call.retries > 0
            || call.soft
            || call.fallback() != Fallback::None
            || call.buffer().is_some()
    };
    let of_group = |group: &Group| {
        let nodes = &plan.nodes[group.nodes];
        let refers = |call: &Call| plan.referred(call).any(|node| group.nodes.contains(node));
        let calls =
            || nodes.iter().flat_map(|node| plan.calls_of(node)).filter(|call| refers(call));
        let hides = |call: &Call| {
            call.any_of || call.cache().is_some() || (call.breaker && call.retries > 0)
        };
        if calls().any(hides) {
            OnlyWorsens::Never
        } else if may_corrupt && calls().any(|call| catches(call) && !call.validates) {
            OnlyWorsens::UnlessCorrupting
        } else {
            OnlyWorsens::Always
        }
    };
    plan.groups.iter().map(of_group).collect()
}

/// Returns the calls that go to one member at a time.
fn failing_over(plan: &Plan) -> Table<ActiveSlot, CallId> {
    let calls = plan.calls.entries();
    calls.filter(|(_, call)| call.active_slot().is_some()).map(|(id, _)| id).collect()
}

fn callers(plan: &Plan) -> Rows<NodeId> {
    let mut pairs = Vec::new();
    for (caller, node) in plan.nodes.entries() {
        for call in plan.calls_of(node) {
            pairs.extend(plan.referred(call).map(|referred| (referred, caller)));
        }
    }
    // By the numbers, since pairs of ids are compared more slowly.
    pairs.sort_unstable_by_key(|(referred, caller): &(NodeId, NodeId)| (referred.0, caller.0));
    pairs.dedup();
    Rows::new(plan.nodes.len(), pairs)
}

fn shortest_timeout(plan: &Plan) -> f64 {
    let shortest = plan.calls.iter().map(|call| call.timeout).fold(f64::INFINITY, f64::min);
    if shortest.is_finite() { shortest } else { 1.0 }
}

fn timeouts(plan: &Plan) -> Rows<f64> {
    let mut pairs: Vec<(NodeId, f64)> = Vec::new();
    if plan.has_delays {
        for call in plan.calls.iter().filter(|call| call.is_waited_for && call.timeout.is_finite())
        {
            pairs.extend(plan.members_of(call).iter().map(|member| (member.node, call.timeout)));
        }
    }
    // In rising order, so that the shortest timeout is the first.
    pairs.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    pairs.dedup();
    Rows::new(plan.nodes.len(), pairs)
}

/// How long those wait for each node that call it. Outside cycles, whoever has no timeout waits as long as
/// those that wait for it in turn, and so does whoever calls something else instead.
fn bounds(plan: &Plan) -> Table<NodeId, Bounds> {
    if !plan.has_delays {
        return Table::new();
    }
    let mut limits: Table<NodeId, Vec<f64>> = Table::filled(Vec::new(), plan.nodes.len());
    let mut holds_on: Table<NodeId, bool> = Table::filled(false, plan.nodes.len());
    for flow in &plan.flows {
        let own = [flow.promised, flow.patience];
        limits[flow.node].extend(own.iter().filter(|limit| limit.is_finite()));
    }
    for call in plan.calls.iter().filter(|call| call.is_waited_for && call.timeout.is_finite()) {
        for member in plan.members_of(call) {
            limits[member.node].push(call.timeout);
        }
    }
    for node in &plan.nodes {
        for call in plan.calls_of(node) {
            // Customers hold no thread while they wait.
            let is_counted = node.service.is_some() || call.max_in_flight().is_finite();
            if call.timeout.is_infinite() && is_counted {
                plan.members_of(call).iter().for_each(|member| holds_on[member.node] = true);
            }
            if let Fallback::Node(node) = call.fallback() {
                holds_on[node] = true;
            }
        }
    }
    // Callers come after what they call.
    for caller in plan.nodes.ids().iter().rev() {
        let mut own = std::mem::take(&mut limits[caller]);
        if own.is_empty() {
            own.push(WITHOUT_CALLERS);
        }
        own.sort_by(f64::total_cmp);
        own.dedup();
        let calls = plan.calls_of(&plan.nodes[caller]).iter();
        for call in calls.filter(|call| call.is_waited_for && !call.intra_cycle) {
            if call.timeout.is_infinite() {
                for member in plan.members_of(call) {
                    limits[member.node].extend(&own);
                }
            }
            if let Fallback::Node(node) = call.fallback() {
                limits[node].extend(&own);
            }
        }
        limits[caller] = own;
    }
    let usual = |service: Option<ServiceId>| {
        service.map_or(0.0, |service| plan.services[service].latency.mean())
    };
    let nodes = plan.nodes.iter().zip(limits).zip(holds_on);
    nodes
        .map(|((node, limits), holds_on)| Bounds::new(&limits, !holds_on, usual(node.service)))
        .collect()
}

fn arrivals(plan: &Plan) -> Rows<Arrival> {
    let mut pairs = Vec::new();
    if plan.has_load {
        for (slot, member) in plan.members.iter().enumerate() {
            if member.weight > 0.0 {
                let slot = slot as u32;
                pairs.push((member.node, Arrival { slot, weight: member.weight }));
            }
        }
        for (index, call) in plan.calls.iter().enumerate() {
            let weight = call.guards.as_ref().map_or(0.0, |guards| guards.fallback_weight);
            if let (Fallback::Node(node), true) = (call.fallback(), weight > 0.0) {
                let slot = (plan.members.len() + index) as u32;
                pairs.push((node, Arrival { slot, weight }));
            }
        }
    }
    Rows::new(plan.nodes.len(), pairs)
}

fn limits(plan: &Plan, expiry_steps: u32) -> Vec<Limits> {
    let mut of_nodes: Table<NodeId, (Vec<f64>, Vec<NodeId>)> =
        Table::filled(Default::default(), plan.nodes.len());
    let mut of_entries = Vec::new();
    for (caller, node) in plan.nodes.entries() {
        for call in plan.calls_of(node) {
            let mut watch_members = |limit: f64| {
                for member in plan.members_of(call) {
                    let (after, by) = &mut of_nodes[member.node];
                    after.push(limit);
                    by.push(caller);
                }
            };
            if let Some(ttl) = call.cache().map(|cache| cache.ttl).filter(|ttl| ttl.is_finite()) {
                let steps = f64::from(expiry_steps);
                for step in 1..=expiry_steps {
                    watch_members(ttl * (f64::from(step) / steps));
                }
            }
            if call.failover() > 0.0 {
                watch_members(call.failover());
            }
            if let Some(holds) = call.buffer().map(|buffer| buffer.holds) {
                match call.buffer_slot() {
                    None => watch_members(holds),
                    Some(slot) => {
                        let watched = Watched::Entry(slot);
                        of_entries.push(Limits { watched, after: vec![holds], by: vec![caller] });
                    }
                }
            }
        }
    }
    let nodes = of_nodes.ids().iter().zip(of_nodes).filter(|(_, (after, _))| !after.is_empty());
    let nodes = nodes.map(|(node, (mut after, mut by))| {
        after.sort_by(f64::total_cmp);
        after.dedup();
        // Callers came in rising order, so equal ones are neighbours.
        by.dedup();
        Limits { watched: Watched::Node(node), after, by }
    });
    nodes.chain(of_entries).collect()
}

/// Returns the services that each domain, or one within it, holds whole or a replica of.
fn services_in_domains(plan: &Plan) -> Table<DomainId, Vec<ServiceId>> {
    if plan.outages.is_empty() {
        return Table::new();
    }
    let mut services_in: Table<DomainId, Vec<ServiceId>> =
        Table::filled(Vec::new(), plan.domains.len());
    for (service, item) in plan.services.entries() {
        let of_replicas = plan.replicas[item.replicas].iter().filter_map(|replica| replica.domain);
        for domain in item.domains.iter().copied().chain(of_replicas) {
            let mut next = Some(domain);
            while let Some(domain) = next {
                let services = &mut services_in[domain];
                // Services come in rising order: one that is here already is in all outer domains,
                // too.
                if services.last() == Some(&service) {
                    break;
                }
                services.push(service);
                next = plan.domains[domain].within;
            }
        }
    }
    services_in
}

/// Whether a target domain, or one within it, holds the service or a replica of it.
fn is_in_target_domain(plan: &Plan, service: ServiceId) -> bool {
    let service = &plan.services[service];
    let of_replicas = plan.replicas[service.replicas].iter().filter_map(|replica| replica.domain);
    let mut domains = service.domains.iter().copied().chain(of_replicas);
    let hits =
        |domain: DomainId| plan.targets.iter().any(|target| target.hit == Hit::Domain(domain));
    domains.any(|mut domain| {
        loop {
            if hits(domain) {
                return true;
            }
            match plan.domains[domain].within {
                None => return false,
                Some(within) => domain = within,
            }
        }
    })
}
