//! Engine for exact probabilities in plans in which every share is 0 or 1.
//!
//! The state of a node in a trial is a Boolean function of the events that were drawn. This engine
//! computes the functions as binary decision diagrams (Bryant, "Graph-based algorithms for Boolean
//! function manipulation", 1986), by the steps that the Boolean engine runs on single trials; on cycles
//! it finds the same least fixed point. A probability is then a sum over the diagram. Diagrams may grow
//! exponentially, so there are limits on steps and memory. Beyond them the engine returns a reason, and
//! the caller falls back to trials.

mod bdd;
mod diagram;
mod events;
pub mod solutions;
mod store;
mod system;
mod table;
mod weigh;

pub use bdd::{Bdd, BddNode};
pub use diagram::{Function, Limits};
pub use events::{Detail, EventVariables, ExactEvent};
pub use solutions::{Families, Solutions};

use std::rc::Rc;

use store::{Exhausted, Handle, Store};
use system::{NodeFunctions, StateFunctions};

use super::boolean::{self, NotBoolean};
use crate::compile::Plan;
use crate::compile::plan::Target;

/// Reason why there are no exact values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// Some shares are neither 0 nor 1.
    NotBoolean(NotBoolean),
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
            Self::NotBoolean(why) => why.fmt(f),
            Self::TooMany => f.write_str("more than 65,534 things may fail on their own"),
            Self::TooLarge(limits) => write!(
                f,
                "the decision diagrams grow beyond {} steps or {} MB",
                limits.steps,
                limits.bytes >> 20
            ),
            Self::Swings => f.write_str("a cycle of dependencies does not come to rest"),
        }
    }
}

/// Plans with fewer allowed steps per node than this are not tried.
const STEPS_PER_NODE: usize = 10;

/// Functions of all units of a plan.
pub struct Exact {
    /// By unit, in the order of [`super::outcome::Outcome::units`].
    pub units: Vec<UnitFunctions>,
    /// Events that the functions depend on.
    pub variables: EventVariables,
}

/// A service, an endpoint or a flow.
pub struct UnitFunctions {
    /// Events in which the unit fails.
    pub failed: Function,
    /// Events in which it is degraded or worse.
    pub degraded: Function,
}

impl Exact {
    /// Computes the functions of a plan.
    ///
    /// # Errors
    /// The reason if the plan is not Boolean or the limits do not suffice.
    pub fn solve_plan(plan: &Plan, detail: Detail, limits: Limits) -> Result<Self, Obstacle> {
        if plan.nodes.len() > limits.steps / STEPS_PER_NODE {
            return Err(Obstacle::TooLarge(limits));
        }
        if has_common_mode(plan) {
            // Solutions take a target and its own modes together.
            return Err(Obstacle::NotBoolean(NotBoolean::SharedMode));
        }
        let shape = match detail {
            Detail::Drawn => boolean::cycle_shape(plan),
            Detail::Everything => boolean::cycle_shape(&all_may_fail(plan)),
        };
        let shape = shape.map_err(Obstacle::NotBoolean)?;
        let variables = EventVariables::new(plan, detail).ok_or(Obstacle::TooMany)?;
        let solved = NodeFunctions::solve_nodes(plan, &shape, &variables, Store::new(limits));
        let units = solved.and_then(|mut system| Ok(unit_functions(plan, &mut system)?));
        let units = units.map_err(|obstacle| match obstacle {
            Obstacle::TooLarge(_) => Obstacle::TooLarge(limits),
            other => other,
        })?;
        Ok(Self { units, variables })
    }

    /// Returns the probability that a function is true.
    pub fn probability(&self, of: &Function) -> f64 {
        weigh::function_probability(of, |place| self.variables.chances[place])
    }

    /// Returns the probability given that these events happen, or do not.
    pub fn conditional_probability(&self, of: &Function, events: &[u16], happen: bool) -> f64 {
        let mut chances = self.variables.chances.clone();
        for place in events {
            chances[usize::from(*place)] = if happen { 1.0 } else { 0.0 };
        }
        weigh::function_probability(of, |place| chances[place])
    }

    /// The probability that a function is true where no target of the change breaks.
    pub fn without_change(&self, of: &Function) -> f64 {
        let is_target =
            |place: usize| matches!(self.variables.events[place], ExactEvent::Target(_));
        weigh::function_probability(of, |place| {
            if is_target(place) { 0.0 } else { self.variables.chances[place] }
        })
    }

    /// Finds, for every unit, the functions that are true where it fails and would not without the
    /// change. As functions of their own, since a difference of two probabilities has no digits
    /// left where both are nearly equal.
    ///
    /// # Errors
    /// The limits, if they do not suffice.
    pub fn caused_units(&self, limits: Limits) -> Result<Vec<UnitFunctions>, Obstacle> {
        let is_target =
            |place: u16| matches!(self.variables.events[usize::from(place)], ExactEvent::Target(_));
        let mut store = Store::new(limits);
        let mut beyond = |of: &Function| {
            let with = store.import_function(of, |_| false)?;
            let without = store.import_function(of, is_target)?;
            store.without(with, without)
        };
        let pairs =
            self.units.iter().map(|unit| Ok([beyond(&unit.failed)?, beyond(&unit.degraded)?]));
        let pairs: Result<Vec<[Handle; 2]>, Exhausted> = pairs.collect();
        let units = pairs.and_then(|pairs| export_units(&mut store, &pairs));
        units.map_err(|Exhausted| Obstacle::TooLarge(limits))
    }

    /// Returns, for each event, the probability given that it happens minus that given that it does not.
    pub fn derivatives(&self, of: &Function) -> Vec<f64> {
        weigh::function_derivatives(of, &self.variables.chances)
    }
}

impl From<Exhausted> for Obstacle {
    fn from(_: Exhausted) -> Self {
        // The limits are put in where they are known.
        Self::TooLarge(Limits { steps: 0, bytes: 0 })
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

/// Returns the plan in which every service, domain and replica may fail.
fn all_may_fail(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    // Any chance between 0 and 1 will do: only whether it may fail matters for the shape.
    let maybe = |chance: &mut f64| *chance = if *chance > 0.0 { *chance } else { 0.5 };
    plan.services.iter_mut().for_each(|service| maybe(&mut service.unavailability));
    plan.domains.iter_mut().for_each(|domain| maybe(&mut domain.unavailability));
    plan.replicas.iter_mut().for_each(|replica| maybe(&mut replica.unavailability));
    plan
}

/// Returns services as the worst of their nodes, then endpoints, then flows.
fn unit_functions(
    plan: &Plan,
    system: &mut NodeFunctions<'_>,
) -> Result<Vec<UnitFunctions>, Exhausted> {
    let pair = |planes: &StateFunctions| [planes.failing_where(), planes.impacted_where()];
    let mut pairs = Vec::new();
    for service in plan.services.ids() {
        // A service is as bad as the worst of its nodes.
        let mut worst = [Handle::FALSE; 2];
        for node in plan.nodes_of(service) {
            let own = pair(&system.nodes[node]);
            worst[0] = system.store.or(worst[0], own[0])?;
            worst[1] = system.store.or(worst[1], own[1])?;
        }
        pairs.push(worst);
    }
    let endpoints = plan.services.iter().flat_map(|service| &service.endpoints);
    pairs.extend(endpoints.map(|node| pair(&system.nodes[*node])));
    pairs.extend(plan.flows.iter().map(|flow| pair(&system.nodes[flow.node])));
    export_units(&mut system.store, &pairs)
}

/// Exports pairs of functions as units.
fn export_units(store: &mut Store, pairs: &[[Handle; 2]]) -> Result<Vec<UnitFunctions>, Exhausted> {
    let mut exported = store.export_functions(pairs.as_flattened())?.into_iter().map(Rc::new);
    let mut units = Vec::with_capacity(pairs.len());
    while let (Some(failed), Some(degraded)) = (exported.next(), exported.next()) {
        // Mostly nothing is degraded that does not fail: then both are one list.
        let degraded = if degraded == failed { failed.clone() } else { degraded };
        units.push(UnitFunctions { failed, degraded });
    }
    Ok(units)
}
