//! Facts of a plan that waiting needs: pools whose size means something, timeouts of callers, and
//! whether answers can come too late at all.

use super::plan::{
    Bulkhead, Call, Fallback, LimitedCall, Lognormal, Node, Plan, ServiceId, UnknownPool,
};
use crate::compile::plan::{CallId, NodeId};
use crate::model::defaults;
use crate::model::id::Table;
use crate::model::topology::UnknownPools;

/// Adds it to a plan that has its targets and its traffic.
pub(super) fn add_waiting(plan: &mut Plan, unknown: UnknownPools) {
    size_pools(plan, unknown);
    add_bulkheads(plan, unknown);
    plan.unknown_pools.sort_unstable();
    add_timeouts(plan);
    add_latencies_of_flows(plan);
    plan.has_load |=
        !plan.bulkheads.is_empty() || plan.services.iter().any(|service| service.utilization > 0.0);
    plan.has_delays = has_delays(plan);
}

/// A pool limits something only where it is known how many requests come and how long each stays.
/// Without a utilization its threads are the capacity.
fn size_pools(plan: &mut Plan, unknown: UnknownPools) {
    for (id, service) in plan.services.entries_mut() {
        let traffic = service.traffic;
        service.normal_hold = service.latency.mean();
        // Nobody calls it: no thread of it is ever in use.
        if service.concurrency.is_infinite() || traffic.total <= 0.0 {
            service.concurrency = f64::INFINITY;
            continue;
        }
        // Little's law: requests in progress are rate times time, so both must be known.
        let is_known = traffic.is_known && service.normal_hold > 0.0;
        if !is_known {
            plan.unknown_pools.push(UnknownPool::Threads(id));
            if unknown == UnknownPools::LimitNothing {
                service.concurrency = f64::INFINITY;
                continue;
            }
            let in_use = defaults::POOL_USE * service.concurrency;
            service.normal_hold = match () {
                () if traffic.is_known => in_use / traffic.total,
                () if service.normal_hold > 0.0 => service.normal_hold,
                () => defaults::USUAL_HOLD_S,
            };
            // Where rates are not known, traffic is a weight: threads are counted in the same unit.
            service.concurrency = traffic.total * service.normal_hold / defaults::POOL_USE;
        }
        if service.utilization <= 0.0 {
            // By the same law: what is in use of what there is.
            service.utilization = traffic.total * service.normal_hold / service.concurrency;
        }
    }
}

fn add_bulkheads(plan: &mut Plan, unknown: UnknownPools) {
    let mut found: Vec<Bulkhead> = Vec::new();
    for (id, node) in plan.nodes.entries() {
        let rate = match node.service {
            None => {
                let flow = plan.flows.iter().find(|flow| flow.node == id);
                flow.map_or(f64::NAN, |flow| flow.rate)
            }
            _ if node.traffic.is_known => node.traffic.total,
            // A plain node that nothing calls brings no requests.
            _ if node.traffic.total <= 0.0 => continue,
            _ => f64::NAN,
        };
        for number in node.calls {
            let call = &plan.calls[number];
            // Who does not wait holds no place.
            if call.max_in_flight().is_infinite() || !call.is_waited_for {
                continue;
            }
            let limited = LimitedCall {
                call: number,
                node: id,
                rate: rate * call.probability * f64::from(call.calls),
            };
            // A dependency of a service is called by its endpoints too, and they share one limit.
            match found.iter_mut().find(|known| known.dependency == call.dependency) {
                Some(known) => known.calls.push(limited),
                None => found.push(Bulkhead {
                    dependency: call.dependency,
                    limit: call.max_in_flight(),
                    calls: vec![limited],
                }),
            }
        }
    }
    for bulkhead in &mut found {
        if bulkhead.calls.iter().any(|call| call.rate.is_nan()) {
            plan.unknown_pools.push(UnknownPool::Calls(bulkhead.dependency));
            match unknown {
                UnknownPools::LimitNothing => bulkhead.calls.retain(|call| !call.rate.is_nan()),
                UnknownPools::Busy => assume_busy(bulkhead, &plan.nodes, &plan.calls),
            }
        }
    }
    // A limit on calls that are never made limits nothing.
    found.retain(|bulkhead| bulkhead.calls.iter().any(|call| call.rate > 0.0));
    plan.bulkheads = found;
}

/// Weighs calls of which some rate is not known by the traffic of their callers, and sizes the limit so
/// that in normal times the usual part of it is in use.
fn assume_busy(bulkhead: &mut Bulkhead, nodes: &Table<NodeId, Node>, calls: &Table<CallId, Call>) {
    for limited in &mut bulkhead.calls {
        let call = &calls[limited.call];
        let node = &nodes[limited.node];
        let requests = if node.service.is_none() { 1.0 } else { node.traffic.total };
        limited.rate = requests * call.probability * f64::from(call.calls);
    }
    let all: f64 = bulkhead.calls.iter().map(|limited| limited.rate).sum();
    bulkhead.limit = all * defaults::USUAL_HOLD_S / defaults::POOL_USE;
}

fn add_timeouts(plan: &mut Plan) {
    let mut timeouts: Table<ServiceId, [f64; 2]> =
        Table::filled([f64::INFINITY, 0.0], plan.services.len());
    for call in plan.calls.iter().filter(|call| call.is_waited_for) {
        for member in &plan.members[call.members] {
            let [least, most] = &mut timeouts[plan.service_of(member.node)];
            *least = least.min(call.timeout);
            *most = most.max(call.timeout);
        }
    }
    for (service, [least, most]) in plan.services.iter_mut().zip(timeouts) {
        service.timeouts = [least, if most > 0.0 { most } else { f64::INFINITY }];
    }
}

/// An order takes as long as its steps one after the other: the lognormal time of the same mean and
/// variance (Fenton, "The sum of log-normal probability distributions", 1960).
fn add_latencies_of_flows(plan: &mut Plan) {
    let fitted: Vec<Lognormal> =
        plan.flows.iter().map(|flow| latency_of_steps(plan, flow.node)).collect();
    for (flow, latency) in plan.flows.iter_mut().zip(fitted) {
        flow.latency = latency;
    }
}

fn latency_of_steps(plan: &Plan, node: NodeId) -> Lognormal {
    let known = plan.calls_of(&plan.nodes[node]).iter().filter_map(|call| {
        let first = plan.members_of(call).first()?;
        let latency = plan.services[plan.service_of(first.node)].latency;
        // A step whose latency is not stated adds nothing that is known.
        (call.is_waited_for && latency.median > 0.0).then_some((call, latency))
    });
    let (mut steps, mut mean, mut variance) = (0_u32, 0.0, 0.0);
    let mut only = Lognormal::default();
    for (call, latency) in known {
        let times = call.probability * f64::from(call.calls);
        steps += 1;
        // A single step keeps its own shape instead of a fitted one.
        only = latency;
        mean += times * latency.mean();
        // Variances of independent times add up; a lognormal has `mean^2 (exp(sigma^2) - 1)`.
        variance += times * latency.mean().powi(2) * libm::expm1(latency.sigma * latency.sigma);
    }
    match steps {
        0 => Lognormal::default(),
        1 => only,
        _ => {
            // The inverse of the line above, for the sum.
            let spread = libm::log1p(variance / (mean * mean));
            Lognormal { median: mean * libm::exp(-0.5 * spread), sigma: libm::sqrt(spread) }
        }
    }
}

/// Whether answers may come so much later that somebody gives up, or an order is late.
fn has_delays(plan: &Plan) -> bool {
    let waits = |service: &super::plan::Service| {
        service.utilization > 0.0
            && (service.queue > 0.0 || service.crowding > 1.0 || service.concurrency.is_finite())
    };
    let is_late = |target: &super::plan::Target| {
        // A target that is certainly down never gets to be slow.
        target.modes[1] > 0.0 && target.modes[0] < 1.0 && target.slow_adds.is_finite()
    };
    plan.services.iter().any(waits)
        || !plan.bulkheads.is_empty()
        || plan.targets.iter().any(is_late)
        || (may_hang(plan) && (cuts_attempts(plan) || may_give_up_first(plan)))
}

/// Whether some target may hang.
fn may_hang(plan: &Plan) -> bool {
    plan.targets.iter().any(|target| target.modes[0] < 1.0 && target.modes[1] > 0.0)
}

/// Whether some caller makes no further attempt once it has waited too long in all.
pub(crate) fn cuts_attempts(plan: &Plan) -> bool {
    plan.calls.iter().any(|call| call.retries > 0 && call.waits_in_all().is_finite())
}

/// Whether a caller, or a customer, may give up on a request while what it calls still waits for
/// something that hangs.
pub(crate) fn may_give_up_first(plan: &Plan) -> bool {
    let mut longest: Table<NodeId, f64> = Table::filled(0.0, plan.nodes.len());
    let mut trips = false;
    for (id, node) in plan.nodes.entries() {
        for call in plan.calls_of(node).iter().filter(|call| call.is_waited_for) {
            let behind = plan.referred(call).map(|node| longest[node]).fold(0.0, f64::max);
            trips |= behind >= call.timeout;
            // One after the other, which is the longest also where some are made at once.
            longest[id] += longest_wait(call, behind);
        }
    }
    let of_flow = |flow: &super::plan::Flow| longest[flow.node] >= flow.patience.min(flow.promised);
    trips || plan.flows.iter().any(of_flow)
}

/// How long a caller may wait for a call that it then goes on without, or that is answered late.
fn longest_wait(call: &Call, behind: f64) -> f64 {
    let attempts = f64::from(call.retries + 1);
    let in_all = if call.timeout.is_finite() {
        (call.timeout * attempts).min(call.waits_in_all())
    } else {
        behind * attempts
    };
    let instead = if call.fallback() == Fallback::None { 0.0 } else { behind };
    (in_all + instead) * f64::from(call.calls)
}
