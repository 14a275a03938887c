//! Whether every share in every trial is 0 or 1, so that a trial fits into bits.

use std::collections::BTreeSet;

use crate::compile::plan::{Call, Fallback, Hit, NONE, Plan};
use crate::engine::origins::{Mode, Origin};

/// Which states a node can be in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Can {
    pub(super) slow: bool,
    pub(super) down: bool,
    pub(super) corrupt: bool,
    pub(super) degraded: bool,
}

impl Can {
    fn or(self, other: Self) -> Self {
        Self {
            slow: self.slow || other.slow,
            down: self.down || other.down,
            corrupt: self.corrupt || other.corrupt,
            degraded: self.degraded || other.degraded,
        }
    }
}

/// Why a plan is not Boolean; nothing if it is.
pub(super) fn obstacle(plan: &Plan, can: &[Can]) -> Option<&'static str> {
    if plan.schedule.is_some() {
        return Some("the change has a course in time");
    }
    if plan.lasting > 0.0 && plan.nodes.iter().any(|node| node.has_timed_guard) {
        return Some("caches or buffers run out while the break lasts");
    }
    if plan.has_load {
        return Some("some service states its utilization, so loads are followed");
    }
    if plan.failed <= 1e-9 || plan.degraded <= 1e-9 {
        return Some("a threshold is 0%");
    }
    let is_partial = |it: &&crate::compile::plan::Target| {
        !matches!(it.hit, Hit::Domain(_)) && it.severity_min < 1.0
    };
    if plan.targets.iter().find(is_partial).is_some() {
        return Some("a target may fail only a part of its requests (severity)");
    }
    plan.calls.iter().find_map(|call| obstacle_of(plan, call, can))
}

fn obstacle_of(plan: &Plan, call: &Call, can: &[Can]) -> Option<&'static str> {
    let is_partial = |share: f64| share > 0.0 && share < 1.0;
    if is_partial(call.probability) {
        return Some("some call is made by a part of the requests only (call_probability)");
    }
    if call.cache().is_some_and(|cache| is_partial(cache.hit_ratio)) {
        return Some("a cache answers a part of the calls only (hit_ratio)");
    }
    if call.any_of {
        let members = plan.members_of(call).iter().map(|member| can[member.node as usize]);
        let any = members.fold(Can::default(), Can::or);
        let hangs = any.slow && !call.gives_up;
        let lies = any.corrupt && !call.validates;
        let lacks = any.degraded && !call.soft;
        if hangs || lies || lacks {
            return Some(
                "a member of an `any_of` may be slow, corrupt or degraded, which counts in part",
            );
        }
    }
    None
}

/// Which states every node can be in, in whatever trial.
pub(super) fn states(plan: &Plan) -> Vec<Can> {
    spread(plan, own_states(plan, &|_| false))
}

/// The same where, beside what the plan says, these origins may break.
pub(super) fn states_with(plan: &Plan, origins: &[Origin], mode: Mode) -> Vec<Can> {
    let fallen: BTreeSet<u32> = origins
        .iter()
        .filter_map(|origin| match origin {
            Origin::Domain(domain) => Some(*domain),
            _ => None,
        })
        .collect();
    let mut can = own_states(plan, &|domain| fallen.contains(&domain));
    let states = Can {
        slow: mode == Mode::Slow,
        down: mode == Mode::Down,
        corrupt: mode == Mode::Corrupt,
        degraded: false,
    };
    let mut add = |node: u32| can[node as usize] = can[node as usize].or(states);
    for origin in origins {
        match *origin {
            Origin::Service(service) => plan.nodes_of(service).for_each(&mut add),
            Origin::Endpoint { node, .. } => add(node),
            Origin::Domain(_) => {}
            Origin::Dependency(number) => {
                // A call that finds what it calls broken is as one of something that breaks.
                let call = plan.dependencies[number as usize].call;
                if let Some(call) = plan.calls.get(call as usize) {
                    plan.members_of(call).iter().for_each(|member| add(member.node));
                }
            }
        }
    }
    spread(plan, can)
}

fn spread(plan: &Plan, mut can: Vec<Can>) -> Vec<Can> {
    for group in &plan.groups {
        loop {
            let mut changed = false;
            for node in group.nodes.clone() {
                let calls = plan.calls_of(&plan.nodes[node as usize]);
                let new = calls
                    .iter()
                    .fold(can[node as usize], |all, call| all.or(contributes(plan, call, &can)));
                changed |= new != can[node as usize];
                can[node as usize] = new;
            }
            if !changed || !group.cyclic {
                break;
            }
        }
    }
    can
}

/// The states that come from a node's own health.
fn own_states(plan: &Plan, breaks: &dyn Fn(u32) -> bool) -> Vec<Can> {
    let mut can = vec![Can::default(); plan.nodes.len()];
    for (index, service) in plan.services.iter().enumerate() {
        let replicas =
            &plan.replicas[service.replicas.start as usize..service.replicas.end as usize];
        let can_fall = |domain: u32| domain != NONE && can_domain_fall(plan, domain, breaks);
        let down = service.unavailability > 0.0
            || service.during
            || service.domains.iter().any(|domain| can_fall(*domain))
            || replicas.iter().any(|it| it.unavailability > 0.0 || can_fall(it.domain));
        for node in plan.nodes_of(index as u32) {
            can[node as usize].down |= down;
        }
    }
    for target in &plan.targets {
        let [down, slow, corrupt] = target.modes;
        let states = Can {
            down: down > 0.0,
            slow: down < 1.0 && slow > 0.0,
            corrupt: down < 1.0 && slow < 1.0 && corrupt > 0.0,
            degraded: false,
        };
        match target.hit {
            Hit::Domain(_) => {}
            Hit::Endpoint { node, .. } => can[node as usize] = can[node as usize].or(states),
            Hit::Service(service) => {
                for node in plan.nodes_of(service) {
                    can[node as usize] = can[node as usize].or(states);
                }
            }
        }
    }
    can
}

fn can_domain_fall(plan: &Plan, mut domain: u32, breaks: &dyn Fn(u32) -> bool) -> bool {
    while domain != NONE {
        let it = &plan.domains[domain as usize];
        let is_target = plan.targets.iter().any(|target| target.hit == Hit::Domain(domain));
        if it.unavailability > 0.0 || it.during || is_target || breaks(domain) {
            return true;
        }
        domain = it.within;
    }
    false
}

/// The states that a call can bring to its caller.
fn contributes(plan: &Plan, call: &Call, can: &[Can]) -> Can {
    let members = plan.members_of(call).iter().map(|member| can[member.node as usize]);
    let mut state = members.fold(Can::default(), Can::or);
    state.degraded &= !call.soft;
    if call.gives_up {
        state = Can { down: state.down || state.slow, slow: false, ..state };
    }
    if call.validates {
        state = Can { down: state.down || state.corrupt, corrupt: false, ..state };
    }
    let drops = call.buffer().is_some_and(|buffer| buffer.drops);
    if state.down {
        match call.fallback() {
            Fallback::None => {}
            Fallback::Static => state.degraded = true,
            Fallback::Node(node) => {
                let instead = can[node as usize];
                state.degraded = true;
                state.corrupt |= instead.corrupt;
                state.slow |= instead.slow && !call.has_deadline;
            }
        }
    }
    if call.soft || drops {
        state.degraded |= state.down || state.corrupt;
    }
    state
}
