//! What every node does as functions of the events: the steps of the Boolean engine, on diagrams.

use super::Obstacle;
use super::bdd::Exhausted;
use super::diagram::{Function, Workshop};
use super::events::{Event, Variables, chance};
use crate::compile::Plan;
use crate::compile::plan::{Call, Fallback, Hit, NONE};
use crate::engine::boolean::CycleShape;

/// What a node, or a call, does; no two at once.
#[derive(Clone, PartialEq)]
pub(super) struct Apart {
    pub(super) slow: Function,
    pub(super) down: Function,
    pub(super) corrupt: Function,
    pub(super) degraded: Function,
}

/// The same, each with those before it: slow; or down; or corrupt; or degraded.
#[derive(Clone, PartialEq)]
pub(super) struct Planes([Function; 4]);

impl Planes {
    /// Where it fails.
    pub(super) fn failing(&self) -> &Function {
        &self.0[2]
    }

    /// Where it is degraded or worse.
    pub(super) fn any(&self) -> &Function {
        &self.0[3]
    }
}

/// The functions of all nodes in the making.
pub(super) struct System<'a> {
    plan: &'a Plan,
    variables: &'a Variables,
    pub(super) workshop: Workshop,
    domains: Vec<Function>,
    pub(super) nodes: Vec<Planes>,
}

type Made<T> = Result<T, Exhausted>;

/// How often a cycle that may swing is gone round before it is given up.
const ROUNDS: usize = 400;

impl<'a> System<'a> {
    /// Computes all nodes, dependencies before callers.
    pub(super) fn solve(
        plan: &'a Plan,
        shape: &CycleShape,
        variables: &'a Variables,
        workshop: Workshop,
    ) -> Result<Self, Obstacle> {
        let none = Planes(std::array::from_fn(|_| workshop.no.clone()));
        let mut it = Self {
            plan,
            variables,
            domains: vec![workshop.no.clone(); plan.domains.len()],
            nodes: vec![none; plan.nodes.len()],
            workshop,
        };
        it.fall()?;
        for group in 0..plan.groups.len() {
            let nodes = plan.groups[group].nodes.clone();
            for node in nodes.clone() {
                it.join_calls(node, |call| !call.intra_cycle)?;
            }
            if !plan.groups[group].cyclic {
                continue;
            }
            let nodes: Vec<u32> = nodes.collect();
            if shape.only_worsens[group] {
                it.spread(&nodes)?;
            } else {
                it.rounds(&nodes)?;
            }
        }
        Ok(it)
    }

    /// What an event is: a variable, or settled.
    fn event(&self, event: Event) -> Function {
        match self.variables.place(event) {
            Some(place) => Workshop::variable(place),
            None => self.workshop.constant(chance(self.plan, event) >= 1.0),
        }
    }

    /// What is down, slow or corrupt by itself.
    fn fall(&mut self) -> Made<()> {
        for domain in 0..self.plan.domains.len() {
            self.domains[domain] = self.event(Event::Domain(domain as u32));
        }
        for target in 0..self.plan.targets.len() {
            self.strike(target)?;
        }
        for domain in &self.plan.domain_order {
            let within = self.plan.domains[*domain as usize].within;
            if within != NONE {
                let outer = self.domains[within as usize].clone();
                self.domains[*domain as usize] =
                    self.workshop.or(&self.domains[*domain as usize], &outer)?;
            }
        }
        for service in 0..self.plan.services.len() as u32 {
            let down = self.service_down(service)?;
            let planes = self.planes(&Apart { down, ..self.ok() })?;
            for node in self.plan.nodes_of(service) {
                self.join(node, &planes)?;
            }
        }
        Ok(())
    }

    fn strike(&mut self, target: usize) -> Made<()> {
        let it = &self.plan.targets[target];
        let broken = self.event(Event::Target(target as u32));
        if let Hit::Domain(domain) = it.hit {
            let domain = domain as usize;
            self.domains[domain] = self.workshop.or(&self.domains[domain], &broken)?;
            return Ok(());
        }
        let mut left = broken;
        let mut modes = Vec::with_capacity(3);
        for mode in 0..3 {
            let drawn = self.event(Event::Mode(target as u32, mode));
            modes.push(self.workshop.and(&left, &drawn)?);
            left = self.workshop.without(&left, &drawn)?;
        }
        let [down, slow, corrupt] = <[Function; 3]>::try_from(modes).expect("three modes");
        let planes = self.planes(&Apart { slow, down, corrupt, ..self.ok() })?;
        match it.hit {
            Hit::Endpoint { node, .. } => self.join(node, &planes)?,
            Hit::Service(service) => {
                for node in self.plan.nodes_of(service) {
                    self.join(node, &planes)?;
                }
            }
            Hit::Domain(_) => {}
        }
        Ok(())
    }

    fn service_down(&mut self, service: u32) -> Made<Function> {
        let it = &self.plan.services[service as usize];
        let mut down = self.event(Event::Service(service));
        if !it.domains.is_empty() {
            let mut all = self.workshop.yes.clone();
            for domain in &it.domains {
                all = self.workshop.and(&all, &self.domains[*domain as usize].clone())?;
            }
            down = self.workshop.or(&down, &all)?;
        }
        let count = it.replicas.len();
        if count == 0 {
            return Ok(down);
        }
        let mut lost = Vec::with_capacity(count);
        for index in it.replicas.clone() {
            let own = self.event(Event::Replica(index));
            let domain = self.plan.replicas[index as usize].domain;
            lost.push(match self.domains.get(domain as usize) {
                Some(domain) => self.workshop.or(&own, &domain.clone())?,
                None => own,
            });
        }
        let too_few = self.workshop.at_least(count - it.needs as usize + 1, &lost)?;
        self.workshop.or(&down, &too_few)
    }

    fn ok(&self) -> Apart {
        let no = &self.workshop.no;
        Apart { slow: no.clone(), down: no.clone(), corrupt: no.clone(), degraded: no.clone() }
    }

    fn planes(&mut self, it: &Apart) -> Made<Planes> {
        let unanswered = self.workshop.or(&it.slow, &it.down)?;
        let failing = self.workshop.or(&unanswered, &it.corrupt)?;
        let any = self.workshop.or(&failing, &it.degraded)?;
        Ok(Planes([it.slow.clone(), unanswered, failing, any]))
    }

    fn apart(&mut self, node: u32) -> Made<Apart> {
        let [slow, unanswered, failing, any] = self.nodes[node as usize].0.clone();
        Ok(Apart {
            down: self.workshop.without(&unanswered, &slow)?,
            corrupt: self.workshop.without(&failing, &unanswered)?,
            degraded: self.workshop.without(&any, &failing)?,
            slow,
        })
    }

    /// Adds planes to a node.
    fn join(&mut self, node: u32, planes: &Planes) -> Made<()> {
        let old = self.nodes[node as usize].clone();
        self.nodes[node as usize] = self.both(&old, planes)?;
        Ok(())
    }

    /// The planes of two things together; planes that are the same function are joined once.
    fn both(&mut self, a: &Planes, b: &Planes) -> Made<Planes> {
        let mut joined = a.clone();
        for plane in 0..4 {
            let is_same = plane > 0
                && Function::ptr_eq(&a.0[plane], &a.0[plane - 1])
                && Function::ptr_eq(&b.0[plane], &b.0[plane - 1]);
            joined.0[plane] = if is_same {
                joined.0[plane - 1].clone()
            } else {
                self.workshop.or(&a.0[plane], &b.0[plane])?
            };
        }
        Ok(joined)
    }

    /// Adds what some calls of a node bring.
    fn join_calls(&mut self, node: u32, which: impl Fn(&Call) -> bool) -> Made<()> {
        let plan = self.plan;
        for index in plan.nodes[node as usize].calls.clone() {
            let call = &plan.calls[index as usize];
            if which(call) {
                let brought = self.steps(call)?;
                let planes = self.planes(&brought)?;
                self.join(node, &planes)?;
            }
        }
        Ok(())
    }

    /// A cycle in which things only get worse: whoever refers to what changed is computed again.
    fn spread(&mut self, nodes: &[u32]) -> Made<()> {
        let (first, last) = (nodes[0], nodes[nodes.len() - 1]);
        let mut callers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            for call in self.plan.calls_of(&self.plan.nodes[*node as usize]) {
                for on in self.plan.referred(call).filter(|on| (first..=last).contains(on)) {
                    callers[(on - first) as usize].push(place);
                }
            }
        }
        let mut is_stale = vec![true; nodes.len()];
        while is_stale.contains(&true) {
            for place in 0..nodes.len() {
                if !std::mem::replace(&mut is_stale[place], false) {
                    continue;
                }
                let before = self.nodes[nodes[place] as usize].clone();
                self.join_calls(nodes[place], |call| call.intra_cycle)?;
                if self.nodes[nodes[place] as usize] != before {
                    callers[place].iter().for_each(|caller| is_stale[*caller] = true);
                }
            }
        }
        Ok(())
    }

    /// A cycle in which a failure may hide a wrong answer: each round from the states of the round
    /// before, from all-ok, as the other engines do it.
    fn rounds(&mut self, nodes: &[u32]) -> Result<(), Obstacle> {
        let base: Vec<Planes> =
            nodes.iter().map(|node| self.nodes[*node as usize].clone()).collect();
        let none = Planes(std::array::from_fn(|_| self.workshop.no.clone()));
        for node in nodes {
            self.nodes[*node as usize] = none.clone();
        }
        for _ in 0..ROUNDS.max(2 * nodes.len()) {
            let mut new = Vec::with_capacity(nodes.len());
            for (node, base) in nodes.iter().zip(&base) {
                new.push(self.round(*node, base.clone())?);
            }
            let mut has_moved = false;
            for (node, new) in nodes.iter().zip(new) {
                has_moved |= self.nodes[*node as usize] != new;
                self.nodes[*node as usize] = new;
            }
            if !has_moved {
                return Ok(());
            }
        }
        Err(Obstacle::Swings)
    }

    /// A node's state after a round, given what comes from outside its cycle.
    fn round(&mut self, node: u32, mut new: Planes) -> Made<Planes> {
        let plan = self.plan;
        for call in plan.calls_of(&plan.nodes[node as usize]).iter().filter(|call| call.intra_cycle)
        {
            let brought = self.steps(call)?;
            let planes = self.planes(&brought)?;
            new = self.both(&new, &planes)?;
        }
        Ok(new)
    }

    /// Steps 0 to 8 of a call.
    fn steps(&mut self, call: &Call) -> Made<Apart> {
        if call.probability <= 0.0 {
            return Ok(self.ok());
        }
        let mut it = if call.any_of {
            self.any_of(call)?
        } else {
            self.member(call, self.plan.members_of(call)[0].node)?
        };
        let mut is_soft = call.soft;
        if let Some(buffer) = call.buffer() {
            // In a single moment a failing dependency has been failing for no time at all.
            let felt = if buffer.holds > 0.0 {
                self.workshop.no.clone()
            } else if call.any_of {
                self.planes(&it)?.failing().clone()
            } else {
                self.nodes[self.plan.members_of(call)[0].node as usize].failing().clone()
            };
            it = self.only(&it, &felt)?;
            is_soft = buffer.drops;
        }
        self.fall_back(call, &mut it)?;
        if is_soft {
            let lost = self.workshop.or(&it.down, &it.corrupt)?;
            it.degraded = self.workshop.or(&it.degraded, &lost)?;
            (it.down, it.corrupt) = (self.workshop.no.clone(), self.workshop.no.clone());
        }
        let reaches = self.event(Event::Reaches(call.dependency));
        self.only(&it, &reaches)
    }

    /// What is left of a state where something is true.
    fn only(&mut self, it: &Apart, when: &Function) -> Made<Apart> {
        Ok(Apart {
            slow: self.workshop.and(&it.slow, when)?,
            down: self.workshop.and(&it.down, when)?,
            corrupt: self.workshop.and(&it.corrupt, when)?,
            degraded: self.workshop.and(&it.degraded, when)?,
        })
    }

    /// Steps 0 to 4 for one member. Retries change nothing that is all or nothing.
    fn member(&mut self, call: &Call, node: u32) -> Made<Apart> {
        let mut it = self.apart(node)?;
        let no = self.workshop.no.clone();
        if call.soft {
            it.degraded = no.clone();
        }
        if call.gives_up {
            it.down = self.workshop.or(&it.down, &it.slow)?;
            it.slow = no.clone();
        }
        if call.validates {
            it.down = self.workshop.or(&it.down, &it.corrupt)?;
            it.corrupt = no.clone();
        }
        if let Some(cache) = call.cache() {
            let mut answers = self.workshop.constant(cache.hit_ratio >= 1.0);
            if cache.ttl <= 0.0 {
                // Failing uses up a cache that lasts for no time.
                let failing = self.nodes[node as usize].failing().clone();
                answers = self.workshop.without(&answers, &failing)?;
            }
            if cache.node != NONE {
                let lost = self.nodes[cache.node as usize].failing().clone();
                answers = self.workshop.without(&answers, &lost)?;
            }
            it.slow = self.workshop.without(&it.slow, &answers)?;
            it.down = self.workshop.without(&it.down, &answers)?;
            if cache.keeps_out_corrupt() {
                it.corrupt = self.workshop.without(&it.corrupt, &answers)?;
            }
        }
        Ok(it)
    }

    /// Fewer members up than needed; they fail fast or not at all.
    fn any_of(&mut self, call: &Call) -> Made<Apart> {
        let plan = self.plan;
        let members = plan.members_of(call);
        let mut lost = Vec::with_capacity(members.len());
        for member in members {
            lost.push(self.member(call, member.node)?.down);
        }
        let down = self.workshop.at_least(members.len() - call.needs as usize + 1, &lost)?;
        Ok(Apart { down, ..self.ok() })
    }

    /// Step 6.
    fn fall_back(&mut self, call: &Call, it: &mut Apart) -> Made<()> {
        if call.fallback() == Fallback::None {
            return Ok(());
        }
        let fails = self.event(Event::NoFallback(call.dependency));
        let caught = self.workshop.without(&it.down, &fails)?;
        it.down = self.workshop.without(&it.down, &caught)?;
        let Fallback::Node(node) = call.fallback() else {
            it.degraded = self.workshop.or(&it.degraded, &caught)?;
            return Ok(());
        };
        let instead = self.apart(node)?;
        let fails = self.nodes[node as usize].failing().clone();
        let served = self.workshop.without(&caught, &fails)?;
        it.degraded = self.workshop.or(&it.degraded, &served)?;
        let lies = self.workshop.and(&caught, &instead.corrupt)?;
        it.corrupt = self.workshop.or(&it.corrupt, &lies)?;
        let fails_too = self.workshop.and(&caught, &instead.down)?;
        it.down = self.workshop.or(&it.down, &fails_too)?;
        let hangs = self.workshop.and(&caught, &instead.slow)?;
        if call.has_deadline {
            it.down = self.workshop.or(&it.down, &hangs)?;
        } else {
            it.slow = self.workshop.or(&it.slow, &hangs)?;
        }
        Ok(())
    }
}
