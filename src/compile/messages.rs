//! Messages: calls that nobody waits for, to services that state how much they can take.

use crate::compile::plan::NodeId;
use std::collections::BTreeMap;

use super::plan::{Call, Consumer, ConsumerId, Plan};
use crate::model::id::Table;

/// Adds the consumers of a plan that knows its pools and its traffic, and what orders lead to there.
pub(super) fn add(plan: &mut Plan) {
    add_consumers(plan);
    if plan.consumers.is_empty() {
        return;
    }
    for flow in plan.flows.ids() {
        if plan.flows[flow].promised.is_finite() {
            let messages = messages_of(plan, plan.flows[flow].node);
            for (consumer, _) in &messages {
                let promised = plan.flows[flow].promised;
                plan.consumers[*consumer].levels.push(promised);
            }
            plan.flows[flow].messages = messages;
        }
    }
    for consumer in &mut plan.consumers {
        consumer.levels.sort_by(f64::total_cmp);
        consumer.levels.dedup();
    }
}

fn add_consumers(plan: &mut Plan) {
    let mut numbers = BTreeMap::new();
    for call in plan.calls.ids() {
        let Some(node) = consumer_node(plan, &plan.calls[call]) else { continue };
        let service = plan.service_of(node);
        let consumer = *numbers.entry(node).or_insert_with(|| {
            plan.consumers.push(Consumer { node, service, holds: 0.0, levels: Vec::new() })
        });
        let guards = plan.calls[call].guards.as_mut();
        let buffer = guards.and_then(|guards| guards.buffer.as_mut()).expect("it has a buffer");
        buffer.consumer = Some(consumer);
        let consumer = &mut plan.consumers[consumer];
        consumer.holds = consumer.holds.max(buffer.holds);
        consumer.levels.push(buffer.holds);
    }
}

/// Returns the node that takes the messages of a call, where it is known how many it can take.
fn consumer_node(plan: &Plan, call: &Call) -> Option<NodeId> {
    if !call.is_async || call.any_of || call.buffer().is_none() {
        return None;
    }
    let node = plan.members_of(call).first()?.node;
    (plan.services[plan.service_of(node)].utilization > 0.0).then_some(node)
}

/// Returns the consumers that orders lead to, each with the share of orders that do.
fn messages_of(plan: &Plan, flow: NodeId) -> Vec<(ConsumerId, f64)> {
    let mut reach: Table<NodeId, f64> = Table::filled(0.0, plan.nodes.len());
    reach[flow] = 1.0;
    let mut misses: Table<ConsumerId, f64> = Table::filled(1.0, plan.consumers.len());
    // Callers come after what they call.
    for node in plan.nodes.ids().iter().rev().skip_while(|node| *node != flow) {
        if reach[node] <= 0.0 {
            continue;
        }
        for call in plan.calls_of(&plan.nodes[node]) {
            if call.intra_cycle || plan.dependencies[call.dependency].is_load {
                continue;
            }
            let members = plan.members_of(call);
            let each = f64::from(call.needs) / members.len() as f64;
            let makes = reach[node] * call.probability * each;
            for member in members {
                let known = &mut reach[member.node];
                *known = 1.0 - (1.0 - *known) * (1.0 - makes);
            }
            if let Some(consumer) = call.buffer().and_then(|buffer| buffer.consumer) {
                misses[consumer] *= 1.0 - makes;
            }
        }
    }
    let all = misses.entries().map(|(consumer, misses)| (consumer, 1.0 - misses));
    all.filter(|(_, share)| *share > 0.0).collect()
}
