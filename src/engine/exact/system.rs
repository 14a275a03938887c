//! States of all nodes as functions of the events: the steps of the Boolean engine, on diagrams.

use super::Obstacle;
use super::events::{EventVariables, ExactEvent, event_probability};
use super::store::{Exhausted, Handle, Store};
use crate::compile::Plan;
use crate::compile::plan::{Call, DependencyId, DomainId, Hit, NodeId, ServiceId, TargetId};
use crate::engine::boolean::CycleShape;
use crate::engine::pipeline::{self, CallContext, StateSets};
use crate::model::id::{IdRange, Table};

/// State of a node as nested functions: slow; slow or down; slow, down or corrupt; any of these or
/// degraded.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct StateFunctions([Handle; 4]);

impl StateFunctions {
    /// Returns where the node fails.
    pub(super) fn failing_where(&self) -> Handle {
        self.0[2]
    }

    /// Returns where the node is degraded or worse.
    pub(super) fn impacted_where(&self) -> Handle {
        self.0[3]
    }
}

/// Functions of all nodes while they are computed.
pub(super) struct NodeFunctions<'a> {
    plan: &'a Plan,
    variables: &'a EventVariables,
    pub(super) store: Store,
    domains: Table<DomainId, Handle>,
    pub(super) nodes: Table<NodeId, StateFunctions>,
}

/// Returns the constant function.
fn constant(value: bool) -> Handle {
    if value { Handle::TRUE } else { Handle::FALSE }
}

type Solved<T> = Result<T, Exhausted>;

/// Rounds after which a cycle that may oscillate is given up, in small cycles.
const ROUNDS: usize = 400;

impl<'a> NodeFunctions<'a> {
    /// Computes all nodes, dependencies before callers.
    pub(super) fn solve_nodes(
        plan: &'a Plan,
        shape: &CycleShape,
        variables: &'a EventVariables,
        store: Store,
    ) -> Result<Self, Obstacle> {
        let none = StateFunctions(std::array::from_fn(|_| Handle::FALSE));
        let mut item = Self {
            plan,
            variables,
            domains: Table::filled(Handle::FALSE, plan.domains.len()),
            nodes: Table::filled(none, plan.nodes.len()),
            store,
        };
        item.apply_own_failures()?;
        for group in plan.groups.ids() {
            let nodes = plan.groups[group].nodes;
            for node in nodes {
                item.merge_calls(node, |call| !call.intra_cycle)?;
            }
            if !plan.groups[group].cyclic {
                continue;
            }
            if shape.only_worsens[group] {
                item.iterate_worklist(nodes)?;
            } else {
                item.iterate_rounds(nodes)?;
            }
        }
        Ok(item)
    }

    /// Returns the function of an event: a variable, or a constant if it is never drawn.
    fn event_function(&mut self, event: ExactEvent) -> Solved<Handle> {
        match self.variables.place_of(event) {
            Some(place) => self.store.variable(place),
            None => Ok(constant(event_probability(self.plan, event) >= 1.0)),
        }
    }

    /// Applies the own failures of domains, targets and services.
    fn apply_own_failures(&mut self) -> Solved<()> {
        for domain in self.plan.domains.ids() {
            self.domains[domain] = self.event_function(ExactEvent::Domain(domain))?;
        }
        for target in self.plan.targets.ids() {
            self.apply_target(target)?;
        }
        // Outer domains come first in this order, so each takes over one that is complete.
        for domain in &self.plan.domain_order {
            if let Some(within) = self.plan.domains[*domain].within {
                let outer = self.domains[within];
                self.domains[*domain] = self.store.or(self.domains[*domain], outer)?;
            }
        }
        for service in self.plan.services.ids() {
            let down = self.service_failures(service)?;
            let planes = self.pack_planes(&StateSets { down, ..Self::ok_state() })?;
            for node in self.plan.nodes_of(service) {
                self.merge_planes(node, planes)?;
            }
        }
        Ok(())
    }

    fn apply_target(&mut self, target: TargetId) -> Solved<()> {
        let item = &self.plan.targets[target];
        let broken = self.event_function(ExactEvent::Target(target))?;
        if let Hit::Domain(domain) = item.hit {
            self.domains[domain] = self.store.or(self.domains[domain], broken)?;
            return Ok(());
        }
        let mut left = broken;
        let mut modes = Vec::with_capacity(3);
        // A target fails in one mode: each is drawn only where none before it was.
        for mode in 0..3 {
            let drawn = self.event_function(ExactEvent::Mode(target, mode))?;
            modes.push(self.store.and(left, drawn)?);
            left = self.store.without(left, drawn)?;
        }
        let [down, slow, corrupt] = <[Handle; 3]>::try_from(modes).expect("three modes");
        let planes = self.pack_planes(&StateSets { slow, down, corrupt, ..Self::ok_state() })?;
        match item.hit {
            Hit::Endpoint { node, .. } => self.merge_planes(node, planes)?,
            Hit::Service(service) => {
                for node in self.plan.nodes_of(service) {
                    self.merge_planes(node, planes)?;
                }
            }
            Hit::Domain(_) => {}
        }
        Ok(())
    }

    fn service_failures(&mut self, service: ServiceId) -> Solved<Handle> {
        let item = &self.plan.services[service];
        let mut down = self.event_function(ExactEvent::Service(service))?;
        if !item.domains.is_empty() {
            let mut all = Handle::TRUE;
            for domain in &item.domains {
                all = self.store.and(all, self.domains[*domain])?;
            }
            down = self.store.or(down, all)?;
        }
        let count = item.replicas.len();
        if count == 0 {
            return Ok(down);
        }
        let mut lost = Vec::with_capacity(count);
        for id in item.replicas {
            let own = self.event_function(ExactEvent::Replica(id))?;
            lost.push(match self.plan.replicas[id].domain {
                Some(domain) => self.store.or(own, self.domains[domain])?,
                None => own,
            });
        }
        // Fewer than `needs` are up once this many are lost.
        let too_few = self.store.at_least(count - item.needs as usize + 1, &lost)?;
        self.store.or(down, too_few)
    }

    fn ok_state() -> StateSets<Handle> {
        StateSets::all_ok(Handle::FALSE)
    }

    fn pack_planes(&mut self, state: &StateSets<Handle>) -> Solved<StateFunctions> {
        let unanswered = self.store.or(state.slow, state.down)?;
        let failing = self.store.or(unanswered, state.corrupt)?;
        let any = self.store.or(failing, state.degraded)?;
        Ok(StateFunctions([state.slow, unanswered, failing, any]))
    }

    /// Merges planes into those of a node.
    fn merge_planes(&mut self, node: NodeId, planes: StateFunctions) -> Solved<()> {
        let old = self.nodes[node];
        self.nodes[node] = self.union_planes(old, planes)?;
        Ok(())
    }

    /// Returns the union of two states; equal planes are combined once.
    fn union_planes(&mut self, a: StateFunctions, b: StateFunctions) -> Solved<StateFunctions> {
        let mut joined = a;
        for plane in 0..4 {
            let is_same = plane > 0 && a.0[plane] == a.0[plane - 1] && b.0[plane] == b.0[plane - 1];
            joined.0[plane] = if is_same {
                joined.0[plane - 1]
            } else {
                self.store.or(a.0[plane], b.0[plane])?
            };
        }
        Ok(joined)
    }

    /// Merges the results of some calls into a node.
    fn merge_calls(&mut self, node: NodeId, which: impl Fn(&Call) -> bool) -> Solved<()> {
        let plan = self.plan;
        for index in plan.nodes[node].calls {
            let call = &plan.calls[index];
            if which(call) {
                let brought = self.evaluate_call(call)?;
                let planes = self.pack_planes(&brought)?;
                self.merge_planes(node, planes)?;
            }
        }
        Ok(())
    }

    /// Solves a cycle in which states only get worse: the callers of what changed are computed again.
    fn iterate_worklist(&mut self, nodes: IdRange<NodeId>) -> Solved<()> {
        let mut callers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            for call in self.plan.calls_of(&self.plan.nodes[node]) {
                for on in self.plan.referred(call).filter(|on| nodes.contains(*on)) {
                    callers[nodes.place_of(on)].push(place);
                }
            }
        }
        let mut dirty = vec![true; nodes.len()];
        while dirty.contains(&true) {
            for (place, node) in nodes.iter().enumerate() {
                if !std::mem::replace(&mut dirty[place], false) {
                    continue;
                }
                let before = self.nodes[node];
                self.merge_calls(node, |call| call.intra_cycle)?;
                if self.nodes[node] != before {
                    callers[place].iter().for_each(|caller| dirty[*caller] = true);
                }
            }
        }
        Ok(())
    }

    /// Solves a cycle in which a failure may hide a wrong answer: each round from the states of the round
    /// before, beginning with all-ok, as the other engines do.
    fn iterate_rounds(&mut self, nodes: IdRange<NodeId>) -> Result<(), Obstacle> {
        let base: Vec<StateFunctions> = nodes.iter().map(|node| self.nodes[node]).collect();
        let none = StateFunctions(std::array::from_fn(|_| Handle::FALSE));
        for node in nodes {
            self.nodes[node] = none;
        }
        // A failure may need a round for each node of the cycle, so large cycles get more rounds.
        for _ in 0..ROUNDS.max(2 * nodes.len()) {
            let mut new = Vec::with_capacity(nodes.len());
            for (node, base) in nodes.iter().zip(&base) {
                new.push(self.next_state(node, *base)?);
            }
            let mut has_moved = false;
            for (node, new) in nodes.iter().zip(new) {
                has_moved |= self.nodes[node] != new;
                self.nodes[node] = new;
            }
            if !has_moved {
                return Ok(());
            }
        }
        Err(Obstacle::Swings)
    }

    /// Returns the state of a node after a round, given its state without calls inside the cycle.
    fn next_state(&mut self, node: NodeId, mut new: StateFunctions) -> Solved<StateFunctions> {
        let plan = self.plan;
        for call in plan.calls_of(&plan.nodes[node]).iter().filter(|call| call.intra_cycle) {
            let brought = self.evaluate_call(call)?;
            let planes = self.pack_planes(&brought)?;
            new = self.union_planes(new, planes)?;
        }
        Ok(new)
    }

    /// Returns the state that a call adds to its caller.
    fn evaluate_call(&mut self, call: &Call) -> Solved<StateSets<Handle>> {
        if call.probability <= 0.0 {
            return Ok(Self::ok_state());
        }
        pipeline::run_pipeline(self, call)
    }
}

impl CallContext for NodeFunctions<'_> {
    type Set = Handle;
    type Error = Exhausted;
    type Losses = Vec<Handle>;

    fn plan(&self) -> &Plan {
        self.plan
    }

    fn none(&self) -> Handle {
        Handle::FALSE
    }

    fn all(&self) -> Handle {
        Handle::TRUE
    }

    fn and(&mut self, a: Handle, b: Handle) -> Solved<Handle> {
        self.store.and(a, b)
    }

    fn or(&mut self, a: Handle, b: Handle) -> Solved<Handle> {
        self.store.or(a, b)
    }

    fn without(&mut self, a: Handle, b: Handle) -> Solved<Handle> {
        self.store.without(a, b)
    }

    fn node_state(&mut self, node: NodeId) -> Solved<StateSets<Handle>> {
        let [slow, unanswered, failing, any] = self.nodes[node].0;
        Ok(StateSets {
            down: self.store.without(unanswered, slow)?,
            corrupt: self.store.without(failing, unanswered)?,
            degraded: self.store.without(any, failing)?,
            slow,
        })
    }

    fn node_failures(&mut self, node: NodeId) -> Handle {
        self.nodes[node].failing_where()
    }

    fn no_losses(&self, members: usize) -> Vec<Handle> {
        Vec::with_capacity(members)
    }

    fn add_loss(&mut self, losses: &mut Vec<Handle>, lost: Handle) {
        losses.push(lost);
    }

    fn at_least(&mut self, losses: &Vec<Handle>, count: u32) -> Solved<Handle> {
        self.store.at_least(count as usize, losses)
    }

    fn fallback_successes(&mut self, dependency: DependencyId, down: Handle) -> Solved<Handle> {
        let fails = self.event_function(ExactEvent::NoFallback(dependency))?;
        self.store.without(down, fails)
    }

    fn propagating(
        &mut self,
        dependency: DependencyId,
        _state: &StateSets<Handle>,
    ) -> Solved<Option<Handle>> {
        self.event_function(ExactEvent::Reaches(dependency)).map(Some)
    }
}
