//! Eligibility of a plan for the Boolean engine: every share in every trial must be 0 or 1.

use crate::model::id::Table;
use std::collections::BTreeSet;
use std::convert::Infallible;

use crate::compile::plan::{Buffer, Call, DependencyId, DomainId, Hit, NodeId, ObservedCall, Plan};
use crate::engine::origins::{FailureMode, Origin};
use crate::engine::pipeline::{self, CallContext, StateSets};

/// Why a plan is not for the Boolean engine: some share of requests may be neither 0 nor 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotBoolean {
    /// The change has stages, a detection or a rollback.
    #[error("the change has a course in time")]
    Timeline,
    /// A cache or a buffer protects for a part of the time.
    #[error("caches or buffers run out while the break lasts")]
    TimedGuard,
    /// Load is followed.
    #[error("some service states its utilization, so loads are followed")]
    Load,
    /// A failure domain is slow: a part of the replicas hangs.
    #[error("a failure domain may hang, which some replicas then do")]
    HangingDomain,
    /// Delays are compared with timeouts.
    #[error("answers may come later than somebody waits for them")]
    Delays,
    /// A flow counts as failed or degraded at no failing request at all.
    #[error("a threshold is 0%")]
    ZeroThreshold,
    /// The severity of a target may be below 1.
    #[error("a target may fail only a part of its requests (severity)")]
    PartialSeverity,
    /// A `call_probability` between 0 and 1.
    #[error("some call is made by a part of the requests only (call_probability)")]
    PartialCall,
    /// A `hit_ratio` between 0 and 1.
    #[error("a cache answers a part of the calls only (hit_ratio)")]
    PartialCache,
    /// A member of an `any_of` that may fail in a way that the others do not make good.
    #[error("a member of an `any_of` may be slow, corrupt or degraded, which counts in part")]
    PartialMember,
    /// One draw decides the mode of several targets; only the exact engine cannot follow it.
    #[error("several targets break in one mode, which is drawn")]
    SharedMode,
}

/// States that a node can be in, in any trial.
pub(super) type PossibleStates = StateSets<bool>;

impl PossibleStates {
    fn union_with(self, other: Self) -> Self {
        Self {
            slow: self.slow || other.slow,
            down: self.down || other.down,
            corrupt: self.corrupt || other.corrupt,
            degraded: self.degraded || other.degraded,
        }
    }
}

/// Returns why a plan is not Boolean, or `None` if it is.
pub(super) fn find_obstacle(
    plan: &Plan,
    possible: &Table<NodeId, PossibleStates>,
) -> Option<NotBoolean> {
    if plan.schedule.is_some() {
        return Some(NotBoolean::Timeline);
    }
    if plan.lasting > 0.0 && plan.nodes.iter().any(|node| node.has_timed_guard) {
        return Some(NotBoolean::TimedGuard);
    }
    if plan.has_load {
        return Some(NotBoolean::Load);
    }
    if plan.has_delays {
        return Some(NotBoolean::Delays);
    }
    // With a threshold of nothing everything would fail, even without any failure.
    if plan.failed <= 1e-9 || plan.degraded <= 1e-9 {
        return Some(NotBoolean::ZeroThreshold);
    }
    let is_partial = |target: &&crate::compile::plan::Target| {
        !matches!(target.hit, Hit::Domain(_)) && target.severity_min < 1.0
    };
    if plan.targets.iter().find(is_partial).is_some() {
        return Some(NotBoolean::PartialSeverity);
    }
    let hangs = |target: &crate::compile::plan::Target| {
        matches!(target.hit, Hit::Domain(_)) && target.modes[0] < 1.0
    };
    if plan.targets.iter().any(hangs) {
        return Some(NotBoolean::HangingDomain);
    }
    plan.calls.iter().find_map(|call| call_obstacle(plan, call, possible))
}

fn call_obstacle(
    plan: &Plan,
    call: &Call,
    possible: &Table<NodeId, PossibleStates>,
) -> Option<NotBoolean> {
    let is_partial = |share: f64| share > 0.0 && share < 1.0;
    if is_partial(call.probability) {
        return Some(NotBoolean::PartialCall);
    }
    if call.cache().is_some_and(|cache| is_partial(cache.hit_ratio)) {
        return Some(NotBoolean::PartialCache);
    }
    if call.any_of {
        let members = plan.members_of(call).iter().map(|member| possible[member.node]);
        let any = members.fold(PossibleStates::default(), PossibleStates::union_with);
        let may_hang = any.slow && !call.gives_up;
        let may_corrupt = any.corrupt && !call.validates;
        let may_degrade = any.degraded && !call.soft;
        if may_hang || may_corrupt || may_degrade {
            return Some(NotBoolean::PartialMember);
        }
    }
    None
}

/// Returns the possible states of every node.
pub(super) fn possible_states(plan: &Plan) -> Table<NodeId, PossibleStates> {
    propagate_states(plan, own_possible_states(plan, &|_| false))
}

/// Returns the possible states of every node if, in addition, these origins may break.
pub(super) fn possible_states_with(
    plan: &Plan,
    origins: &[Origin],
    mode: FailureMode,
) -> Table<NodeId, PossibleStates> {
    let failed_domains: BTreeSet<DomainId> = origins
        .iter()
        .filter_map(|origin| match origin {
            Origin::Domain(domain) => Some(*domain),
            _ => None,
        })
        .collect();
    let mut possible = own_possible_states(plan, &|domain| failed_domains.contains(&domain));
    let states = PossibleStates {
        slow: mode == FailureMode::Slow,
        down: mode == FailureMode::Down,
        corrupt: mode == FailureMode::Corrupt,
        degraded: false,
    };
    let mut add = |node: NodeId| possible[node] = possible[node].union_with(states);
    for origin in origins {
        match *origin {
            Origin::Service(service) => plan.nodes_of(service).for_each(&mut add),
            Origin::Endpoint { node, .. } => add(node),
            Origin::Domain(_) => {}
            Origin::Dependency(number) => {
                // A broken dependency looks to its caller like a broken member.
                if let Some(ObservedCall { call, .. }) = plan.dependencies[number].observed {
                    plan.members_of(&plan.calls[call]).iter().for_each(|member| add(member.node));
                }
            }
        }
    }
    propagate_states(plan, possible)
}

fn propagate_states(
    plan: &Plan,
    mut possible: Table<NodeId, PossibleStates>,
) -> Table<NodeId, PossibleStates> {
    for group in &plan.groups {
        loop {
            // Within a cycle until nothing is added: states only grow, so this ends.
            let mut changed = false;
            for node in group.nodes {
                let calls = plan.calls_of(&plan.nodes[node]);
                let new = calls.iter().fold(possible[node], |all, call| {
                    all.union_with(states_from_call(plan, call, &possible))
                });
                changed |= new != possible[node];
                possible[node] = new;
            }
            if !changed || !group.cyclic {
                break;
            }
        }
    }
    possible
}

/// Returns the states that follow from a node's own failures.
fn own_possible_states(
    plan: &Plan,
    breaks: &dyn Fn(DomainId) -> bool,
) -> Table<NodeId, PossibleStates> {
    let mut possible = Table::filled(PossibleStates::default(), plan.nodes.len());
    for (id, service) in plan.services.entries() {
        let can_fail = |domain: DomainId| can_domain_fail(plan, domain, breaks);
        let down = service.unavailability > 0.0
            || service.during
            || service.domains.iter().any(|domain| can_fail(*domain))
            || plan.replicas[service.replicas].iter().any(|replica| {
                replica.unavailability > 0.0 || replica.domain.is_some_and(can_fail)
            });
        for node in plan.nodes_of(id) {
            possible[node].down |= down;
        }
    }
    for target in &plan.targets {
        let [down, slow, corrupt] = target.modes;
        // Modes are drawn one after the other, and none behind one that is certain.
        let states = PossibleStates {
            down: down > 0.0,
            slow: down < 1.0 && slow > 0.0,
            corrupt: down < 1.0 && slow < 1.0 && corrupt > 0.0,
            degraded: false,
        };
        match target.hit {
            Hit::Domain(_) => {}
            Hit::Endpoint { node, .. } => {
                possible[node] = possible[node].union_with(states);
            }
            Hit::Service(service) => {
                for node in plan.nodes_of(service) {
                    possible[node] = possible[node].union_with(states);
                }
            }
        }
    }
    possible
}

fn can_domain_fail(plan: &Plan, domain: DomainId, breaks: &dyn Fn(DomainId) -> bool) -> bool {
    let mut next = Some(domain);
    while let Some(domain) = next {
        let item = &plan.domains[domain];
        let is_target = plan.targets.iter().any(|target| target.hit == Hit::Domain(domain));
        if item.unavailability > 0.0 || item.during || is_target || breaks(domain) {
            return true;
        }
        next = item.within;
    }
    false
}

/// Returns the states that a call can cause at its caller.
fn states_from_call(
    plan: &Plan,
    call: &Call,
    possible: &Table<NodeId, PossibleStates>,
) -> PossibleStates {
    let Ok(state) = pipeline::run_pipeline(&mut PossibleContext { plan, possible }, call);
    state
}

/// Sets of trials of which is known only whether they may hold any: what a step takes out of a set
/// may be less than the whole, so the set is taken to stay.
struct PossibleContext<'a> {
    plan: &'a Plan,
    possible: &'a Table<NodeId, PossibleStates>,
}

impl CallContext for PossibleContext<'_> {
    type Set = bool;
    type Error = Infallible;
    type Losses = bool;

    fn plan(&self) -> &Plan {
        self.plan
    }

    fn none(&self) -> bool {
        false
    }

    fn all(&self) -> bool {
        true
    }

    fn and(&mut self, a: bool, b: bool) -> Result<bool, Infallible> {
        Ok(a && b)
    }

    fn or(&mut self, a: bool, b: bool) -> Result<bool, Infallible> {
        Ok(a || b)
    }

    fn without(&mut self, a: bool, _b: bool) -> Result<bool, Infallible> {
        Ok(a)
    }

    fn node_state(&mut self, node: NodeId) -> Result<PossibleStates, Infallible> {
        Ok(self.possible[node])
    }

    fn node_failures(&mut self, node: NodeId) -> bool {
        let state = self.possible[node];
        state.slow || state.down || state.corrupt
    }

    // A buffer that is full or drained lets failure through, so states behind it stay possible.
    fn still_holds(&self, _buffer: &Buffer) -> bool {
        false
    }

    fn no_losses(&self, _members: usize) -> bool {
        false
    }

    fn add_loss(&mut self, losses: &mut bool, lost: bool) {
        *losses |= lost;
    }

    fn at_least(&mut self, losses: &bool, _count: u32) -> Result<bool, Infallible> {
        Ok(*losses)
    }

    fn fallback_successes(
        &mut self,
        _dependency: DependencyId,
        down: bool,
    ) -> Result<bool, Infallible> {
        Ok(down)
    }

    fn propagating(
        &mut self,
        _dependency: DependencyId,
        _state: &PossibleStates,
    ) -> Result<Option<bool>, Infallible> {
        Ok(None)
    }
}
