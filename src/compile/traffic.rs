//! Normal traffic: over which callers the load of a node and of a service is split.

use super::plan::{Fallback, Plan, ServiceId, Traffic};
use crate::compile::plan::{CallId, MemberId, NodeId};
use crate::model::id::Table;
use crate::model::topology::MemberMode;

/// One call that brings traffic to a node, as its caller makes it in normal times.
#[derive(Clone, Copy)]
struct CallTraffic {
    from: From,
    node: NodeId,
    /// Requests per second; nothing where it is not known.
    volume: Option<f64>,
    /// Whether it comes only by way of a fallback.
    extra: bool,
    /// Whether it is there for its load.
    is_load: bool,
}

#[derive(Clone, Copy)]
enum From {
    Member(MemberId),
    Fallback(CallId),
}

/// Fills in the weights of members and fallbacks and the traffic of nodes and services.
pub(super) fn weigh_traffic(plan: &mut Plan) {
    let arrivals = all_arrivals(plan);
    let mut of_service: Table<ServiceId, Vec<u32>> = Table::filled(Vec::new(), plan.services.len());
    for (index, arrival) in arrivals.iter().enumerate() {
        of_service[plan.service_of(arrival.node)].push(index as u32);
    }
    for (service, indices) in of_service.entries() {
        let all: Vec<CallTraffic> = indices.iter().map(|index| arrivals[*index as usize]).collect();
        // Volumes and plain weights cannot be added, so one unknown volume makes all of them
        // weights.
        let known = all.iter().all(|item| item.volume.is_some());
        let of_load = load_weight(&all);
        let weight = |arrival: &CallTraffic| match () {
            () if known => arrival.volume,
            () if arrival.is_load => Some(of_load),
            () => Some(1.0),
        };
        for item in &all {
            let weight = weight(item).unwrap_or(1.0);
            match item.from {
                From::Member(member) => {
                    let member = &mut plan.members[member];
                    (member.weight, member.extra) = (weight, item.extra);
                }
                From::Fallback(call) => {
                    let guards = plan.calls[call].guards.as_mut();
                    guards.expect("a call with a fallback has guards").fallback_weight = weight;
                }
            }
        }
        plan.services[service].traffic = total_traffic(&all, weight);
        let nodes: Vec<NodeId> = plan.nodes_of(service).collect();
        for node in nodes {
            let own: Vec<CallTraffic> =
                all.iter().filter(|item| item.node == node).copied().collect();
            plan.nodes[node].traffic = total_traffic(&own, weight);
        }
    }
}

/// Returns the weight of each dependency that is there for its load, where traffic is not known:
/// all of them together weigh as much as the other callers, for a dependency is written down
/// because it can overload.
fn load_weight(arrivals: &[CallTraffic]) -> f64 {
    let loads = arrivals.iter().filter(|arrival| arrival.is_load).count();
    let others = arrivals.iter().filter(|arrival| !arrival.is_load && !arrival.extra).count();
    if loads == 0 || others == 0 { 1.0 } else { others as f64 / loads as f64 }
}

/// The sum of what counts as normal: all that is not extra, or everything if all is.
fn total_traffic(
    arrivals: &[CallTraffic],
    weight: impl Fn(&CallTraffic) -> Option<f64>,
) -> Traffic {
    let only_fallback = arrivals.iter().all(|arrival| arrival.extra);
    let counted = arrivals.iter().filter(|arrival| arrival.extra == only_fallback);
    let rate = match () {
        // Whatever no flow reaches may be called by something else.
        () if arrivals.is_empty() || arrivals.iter().any(|item| item.volume.is_none()) => None,
        () if only_fallback => Some(0.0),
        () => Some(counted.clone().filter_map(|item| item.volume).sum()),
    };
    let is_known = !arrivals.is_empty() && arrivals.iter().all(|arrival| arrival.volume.is_some());
    Traffic { total: counted.filter_map(weight).sum(), rate, only_fallback, is_known }
}

/// Lets the rates of the flows run down to everything they call.
fn all_arrivals(plan: &Plan) -> Vec<CallTraffic> {
    let mut volume: Table<NodeId, Option<f64>> = Table::filled(None, plan.nodes.len());
    let mut extra: Table<NodeId, bool> = Table::filled(false, plan.nodes.len());
    let mut into: Table<NodeId, Vec<u32>> = Table::filled(Vec::new(), plan.nodes.len());
    let mut arrivals: Vec<CallTraffic> = Vec::new();
    let counts = calling_nodes(plan);
    for flow in &plan.flows {
        volume[flow.node] = (!flow.rate.is_nan()).then_some(flow.rate);
    }
    // Callers come after what they call, so backwards each node knows its own traffic before it
    // passes it on.
    for node in plan.nodes.ids().iter().rev() {
        let here: Vec<CallTraffic> =
            into[node].iter().map(|index| arrivals[*index as usize]).collect();
        if !here.is_empty() {
            let only_fallback = here.iter().all(|here| here.extra);
            // Fallback traffic is none in normal times, unless there is no other.
            let counted = || here.iter().filter(|here| here.extra == only_fallback);
            let known = counted().all(|counted| counted.volume.is_some());
            volume[node] = known.then(|| counted().filter_map(|counted| counted.volume).sum());
            extra[node] = only_fallback;
        }
        if !counts[node] {
            continue;
        }
        for call in plan.nodes[node].calls {
            let item = &plan.calls[call];
            // Within a cycle traffic would feed itself.
            if item.intra_cycle {
                continue;
            }
            let per_request = item.probability * f64::from(item.calls);
            let calls = volume[node].map(|volume| volume * per_request);
            let is_load = plan.dependencies[item.dependency].is_load;
            let each = match item.mode() {
                // All that come go to the first, or to each of them.
                Some(MemberMode::Failover | MemberMode::Quorum) => 1.0,
                // Where some of several suffice, each gets its part of the calls.
                Some(MemberMode::Spread) | None => {
                    f64::from(item.needs) / item.members.len() as f64
                }
            };
            let stands_by = item.mode() == Some(MemberMode::Failover);
            let mut arrive = |from, to: NodeId, volume, extra| {
                into[to].push(arrivals.len() as u32);
                arrivals.push(CallTraffic { from, node: to, volume, extra, is_load });
            };
            for member in item.members {
                let to = plan.members[member].node;
                let is_extra = extra[node] || (stands_by && member != item.members.start);
                arrive(From::Member(member), to, calls.map(|calls| calls * each), is_extra);
            }
            if let Fallback::Node(to) = item.fallback() {
                // A fallback gets all calls at once, but only when it is needed.
                arrive(From::Fallback(call), to, calls, true);
            }
        }
    }
    arrivals
}

/// Which nodes make calls at all: not the plain node of a service with endpoints that nothing
/// refers to.
fn calling_nodes(plan: &Plan) -> Table<NodeId, bool> {
    let mut counts = Table::filled(true, plan.nodes.len());
    for service in &plan.services {
        counts[service.node] = service.endpoints.is_empty();
    }
    for call in &plan.calls {
        for node in plan.referred(call) {
            counts[node] = true;
        }
    }
    counts
}
