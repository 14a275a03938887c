//! The engine for exact probabilities in plans in which every share is 0 or 1.
//!
//! What a node does in a trial is a Boolean function of what was drawn. This engine writes the
//! functions down as binary decision diagrams (Bryant, "Graph-based algorithms for Boolean function
//! manipulation", 1986), by the steps that the Boolean engine takes on single trials; on cycles it
//! takes the same least fixed point. A probability is then a sum over the diagram. Diagrams may grow
//! beyond any bound, so that there is a limit on nodes and steps: beyond it the answer is a reason,
//! and trials are the way to go.

mod bdd;
mod diagram;
mod events;
pub mod solutions;
mod system;
mod table;
mod weigh;

pub use bdd::{Bdd, Node};
pub use diagram::{Function, Limits};
pub use events::{Detail, Event, Variables};
pub use solutions::{Families, Solutions};

use bdd::Exhausted;
use diagram::Workshop;
use system::{Planes, System};

use super::boolean;
use crate::compile::Plan;
use crate::compile::plan::Target;

/// Why there are no exact values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Some shares are neither 0 nor 1.
    NotBoolean(&'static str),
    /// More events than can be numbered.
    TooMany,
    /// The diagrams grow beyond the limit.
    TooLarge(Limits),
    /// A cycle of dependencies does not come to rest.
    Swings,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBoolean(why) => f.write_str(why),
            Self::TooMany => f.write_str("more than 65,534 things may fail on their own"),
            Self::TooLarge(limits) => write!(
                f,
                "the decision diagrams grow beyond {} steps or {} nodes in one",
                limits.steps, limits.nodes
            ),
            Self::Swings => f.write_str("a cycle of dependencies does not come to rest"),
        }
    }
}

/// Plans of which each node has fewer steps than this are not tried.
const STEPS_PER_NODE: usize = 10;

/// The functions of all units of a plan.
pub struct Exact {
    /// By unit, in the order of [`super::outcome::Outcome::units`].
    pub units: Vec<Unit>,
    /// What the functions are functions of.
    pub variables: Variables,
}

/// A service, an endpoint or a flow.
pub struct Unit {
    /// Where it fails.
    pub failed: Function,
    /// Where it is degraded or worse.
    pub degraded: Function,
}

impl Exact {
    /// Finds the functions of a plan.
    ///
    /// # Errors
    /// Why it could not.
    pub fn solve(plan: &Plan, detail: Detail, limits: Limits) -> Result<Self, Obstacle> {
        if plan.nodes.len() > limits.steps / STEPS_PER_NODE {
            return Err(Obstacle::TooLarge(limits));
        }
        if has_common_mode(plan) {
            // Solutions take a target and its own modes together.
            return Err(Obstacle::NotBoolean("several targets break in one mode, which is drawn"));
        }
        let shape = match detail {
            Detail::Drawn => boolean::cycle_shape(plan),
            Detail::Everything => boolean::cycle_shape(&all_may_fail(plan)),
        };
        let shape = shape.map_err(Obstacle::NotBoolean)?;
        let variables = Variables::new(plan, detail).ok_or(Obstacle::TooMany)?;
        let workshop = Workshop::new(limits);
        let solved = System::solve(plan, &shape, &variables, workshop);
        let units = solved.and_then(|mut system| Ok(units(plan, &mut system)?));
        let units = units.map_err(|obstacle| match obstacle {
            Obstacle::TooLarge(_) => Obstacle::TooLarge(limits),
            other => other,
        })?;
        Ok(Self { units, variables })
    }

    /// The probability that a function is true.
    pub fn probability(&self, of: &Function) -> f64 {
        weigh::probability(of, |place| self.variables.chances[place])
    }

    /// The same where some events are certain, or certain not to happen.
    pub fn conditional(&self, of: &Function, events: &[u16], happen: bool) -> f64 {
        let mut chances = self.variables.chances.clone();
        for place in events {
            chances[usize::from(*place)] = if happen { 1.0 } else { 0.0 };
        }
        weigh::probability(of, |place| chances[place])
    }

    /// The probability that a function is true where no target of the change breaks.
    pub fn without_change(&self, of: &Function) -> f64 {
        let is_target = |place: usize| matches!(self.variables.events[place], Event::Target(_));
        weigh::probability(
            of,
            |place| {
                if is_target(place) { 0.0 } else { self.variables.chances[place] }
            },
        )
    }

    /// Finds, for every unit, the functions that are true where it fails and would not without the
    /// change. As functions of their own, since a difference of two probabilities has no digits
    /// left where both are nearly equal.
    ///
    /// # Errors
    /// The limits, if they do not suffice.
    pub fn caused(&self, limits: Limits) -> Result<Vec<Unit>, Obstacle> {
        let mut workshop = Workshop::new(limits);
        let is_target =
            |place: u16| matches!(self.variables.events[usize::from(place)], Event::Target(_));
        let mut beyond = |of: &Function| {
            let without = workshop.restricted(of, is_target)?;
            workshop.without(of, &without)
        };
        let unit =
            |it: &Unit| Ok(Unit { failed: beyond(&it.failed)?, degraded: beyond(&it.degraded)? });
        let units: Result<Vec<Unit>, Exhausted> = self.units.iter().map(unit).collect();
        units.map_err(|Exhausted| Obstacle::TooLarge(limits))
    }

    /// By event: how much more likely a function is true where it happens than where it does not.
    pub fn derivatives(&self, of: &Function) -> Vec<f64> {
        weigh::derivatives(of, &self.variables.chances)
    }
}

impl From<Exhausted> for Obstacle {
    fn from(_: Exhausted) -> Self {
        // The limits are put in where they are known.
        Self::TooLarge(Limits { steps: 0, nodes: 0 })
    }
}

/// Whether several targets break in the same mode, and chance decides in which.
fn has_common_mode(plan: &Plan) -> bool {
    let is_drawn =
        |target: &&Target| target.modes.iter().any(|chance| *chance > 0.0 && *chance < 1.0);
    let mut keys: Vec<u128> =
        plan.targets.iter().filter(is_drawn).map(|target| target.mode_keys[0].0).collect();
    let drawn = keys.len();
    keys.sort_unstable();
    keys.dedup();
    keys.len() < drawn
}

/// The plan in which all that may be asked about may happen.
fn all_may_fail(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let maybe = |chance: &mut f64| *chance = if *chance > 0.0 { *chance } else { 0.5 };
    plan.services.iter_mut().for_each(|it| maybe(&mut it.unavailability));
    plan.domains.iter_mut().for_each(|it| maybe(&mut it.unavailability));
    plan.replicas.iter_mut().for_each(|it| maybe(&mut it.unavailability));
    plan
}

/// Services as the worst of their nodes, then endpoints, then flows.
fn units(plan: &Plan, system: &mut System<'_>) -> Result<Vec<Unit>, Exhausted> {
    let unit =
        |planes: &Planes| Unit { failed: planes.failing().clone(), degraded: planes.any().clone() };
    let mut units = Vec::new();
    for service in 0..plan.services.len() as u32 {
        let mut nodes = plan.nodes_of(service);
        let plain = nodes.next().expect("every service has a plain node");
        let mut worst = unit(&system.nodes[plain as usize]);
        for node in nodes {
            let it = unit(&system.nodes[node as usize]);
            worst.failed = system.workshop.or(&worst.failed, &it.failed)?;
            worst.degraded = system.workshop.or(&worst.degraded, &it.degraded)?;
        }
        units.push(worst);
    }
    let endpoints = plan.services.iter().flat_map(|service| &service.endpoints);
    units.extend(endpoints.map(|node| unit(&system.nodes[*node as usize])));
    units.extend(plan.flows.iter().map(|flow| unit(&system.nodes[flow.node as usize])));
    Ok(units)
}
