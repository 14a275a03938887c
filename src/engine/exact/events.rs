//! Random events of a trial, as the variables of a decision diagram.

use crate::model::id::Table;
use std::collections::BTreeMap;

use crate::compile::Plan;
use crate::compile::plan::{
    CallId, DependencyId, DomainId, Fallback, Hit, NodeId, ReplicaId, ServiceId, Target, TargetId,
};

/// Event that happens in a trial or not, independently of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExactEvent {
    /// The domain is down for its own reasons, or throughout the change.
    Domain(DomainId),
    /// The service is down for its own reasons, or throughout the change.
    Service(ServiceId),
    /// The replica, in [`Plan::replicas`], is down for its own reasons.
    Replica(ReplicaId),
    /// The target breaks.
    Target(TargetId),
    /// The target breaks in this mode (down, slow, corrupt: 0 to 2), given that it breaks in none
    /// of the modes before.
    Mode(TargetId, u8),
    /// Failure of the dependency propagates to its caller.
    Reaches(DependencyId),
    /// The fallback of the dependency does not work.
    NoFallback(DependencyId),
}

/// Events that become variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Events that happen in some trials and not in others, and the targets. All others are constant.
    Drawn,
    /// All events, also impossible and certain ones, to ask what would follow from them.
    Everything,
}

/// The events that are variables, in the order of the diagram, with their probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct EventVariables {
    /// By place in the order.
    pub events: Vec<ExactEvent>,
    /// Probability of each event.
    pub chances: Vec<f64>,
    /// By target: the probabilities of down, slow and corrupt, given that it breaks.
    pub modes: Table<TargetId, [f64; 3]>,
    places: BTreeMap<ExactEvent, u16>,
    detail: Detail,
}

/// Most variables: diagrams number them with 16 bits and keep one number for their ends.
const MOST: usize = u16::MAX as usize - 1;

impl EventVariables {
    /// Returns the events of a plan in the order in which a depth-first walk from the flows first meets
    /// them, so that neighbours in the graph are neighbours in the diagram. `None` if there are too many.
    pub(super) fn new(plan: &Plan, detail: Detail) -> Option<Self> {
        let mut item = Self {
            events: Vec::new(),
            chances: Vec::new(),
            modes: plan.targets.iter().map(mode_probabilities).collect(),
            places: BTreeMap::new(),
            detail,
        };
        EventWalk { plan, seen: Table::filled(false, plan.nodes.len()), into: &mut item }
            .visit_all();
        (item.events.len() <= MOST).then_some(item)
    }

    /// Returns the place of an event if it is a variable.
    pub fn place_of(&self, event: ExactEvent) -> Option<u16> {
        self.places.get(&event).copied()
    }

    /// Adds an event if it is to be a variable.
    fn add_event(&mut self, event: ExactEvent, chance: f64) {
        // Certain and impossible events need no variable: they decide nothing.
        let is_drawn = chance > 0.0 && chance < 1.0;
        let is_target = matches!(event, ExactEvent::Target(_));
        let wanted = is_drawn || is_target || self.detail == Detail::Everything;
        // One more than allowed is added, so that the caller sees that there are too many.
        if wanted && self.events.len() <= MOST && !self.places.contains_key(&event) {
            self.places.insert(event, self.events.len() as u16);
            self.events.push(event);
            self.chances.push(chance.clamp(0.0, 1.0));
        }
    }
}

/// Returns the probabilities that a broken target is down, slow and corrupt. A domain can only be down.
fn mode_probabilities(target: &Target) -> [f64; 3] {
    if matches!(target.hit, Hit::Domain(_)) {
        return [1.0, 0.0, 0.0];
    }
    let mut left = 1.0;
    target.modes.map(|chance| {
        let share = left * chance;
        left *= 1.0 - chance;
        share
    })
}

/// Returns the probability of an event.
pub(super) fn event_probability(plan: &Plan, event: ExactEvent) -> f64 {
    let sure = |is_sure: bool, chance: f64| if is_sure { 1.0 } else { chance };
    match event {
        ExactEvent::Domain(item) => {
            let domain = &plan.domains[item];
            sure(domain.during, domain.unavailability)
        }
        ExactEvent::Service(item) => {
            let service = &plan.services[item];
            sure(service.during, service.unavailability)
        }
        ExactEvent::Replica(replica) => plan.replicas[replica].unavailability,
        ExactEvent::Target(target) => plan.targets[target].probability,
        ExactEvent::Mode(target, mode) => plan.targets[target].modes[mode as usize],
        ExactEvent::Reaches(reaches) => plan.dependencies[reaches].propagation,
        ExactEvent::NoFallback(no_fallback) => 1.0 - plan.dependencies[no_fallback].works,
    }
}

struct EventWalk<'a> {
    plan: &'a Plan,
    seen: Table<NodeId, bool>,
    into: &'a mut EventVariables,
}

impl EventWalk<'_> {
    fn visit_all(&mut self) {
        for flow in &self.plan.flows {
            self.from(flow.node);
        }
        // Services that no flow reaches have probabilities too.
        for node in self.plan.nodes.ids().iter().rev() {
            self.from(node);
        }
    }

    /// Without recursion: chains may be as long as the topology.
    fn from(&mut self, root: NodeId) {
        let mut stack = vec![(root, None)];
        while let Some((node, by)) = stack.pop() {
            if let Some(by) = by {
                self.call_events(by);
            }
            if std::mem::replace(&mut self.seen[node], true) {
                continue;
            }
            let item = &self.plan.nodes[node];
            if let Some(service) = item.service {
                self.own_events(node, service);
            }
            // In reverse, since the last one put on the stack is walked first.
            for index in item.calls.iter().rev() {
                let call = &self.plan.calls[index];
                let referred: Vec<NodeId> = self.plan.referred(call).collect();
                stack.extend(referred.into_iter().rev().map(|node| (node, Some(index))));
            }
        }
    }

    fn call_events(&mut self, index: CallId) {
        let call = &self.plan.calls[index];
        let dependency = call.dependency;
        self.visit_event(ExactEvent::Reaches(dependency));
        if call.fallback() != Fallback::None {
            self.visit_event(ExactEvent::NoFallback(dependency));
        }
    }

    fn own_events(&mut self, node: NodeId, service: ServiceId) {
        self.visit_event(ExactEvent::Service(service));
        for (target, declared) in self.plan.targets.entries() {
            match declared.hit {
                Hit::Service(hit) if hit == service => self.visit_target(target),
                Hit::Endpoint { node: hit, .. } if hit == node => self.visit_target(target),
                _ => {}
            }
        }
        let item = &self.plan.services[service];
        for domain in &item.domains {
            self.visit_domain(*domain);
        }
        for replica in item.replicas {
            if let Some(domain) = self.plan.replicas[replica].domain {
                self.visit_domain(domain);
            }
            self.visit_event(ExactEvent::Replica(replica));
        }
    }

    fn visit_domain(&mut self, domain: DomainId) {
        let mut next = Some(domain);
        while let Some(domain) = next {
            self.visit_event(ExactEvent::Domain(domain));
            for (target, declared) in self.plan.targets.entries() {
                if declared.hit == Hit::Domain(domain) {
                    self.visit_event(ExactEvent::Target(target));
                }
            }
            next = self.plan.domains[domain].within;
        }
    }

    /// A target and its modes stand in a row: [`super::solutions`] takes them together.
    fn visit_target(&mut self, target: TargetId) {
        self.visit_event(ExactEvent::Target(target));
        for (mode, chance) in self.plan.targets[target].modes.into_iter().enumerate() {
            if chance > 0.0 && chance < 1.0 {
                self.visit_event(ExactEvent::Mode(target, mode as u8));
            }
        }
    }

    fn visit_event(&mut self, event: ExactEvent) {
        self.into.add_event(event, event_probability(self.plan, event));
    }
}
