//! The failure functions that cut sets and importance are read from.

use crate::compile::Plan;
use crate::engine::boolean;
use crate::engine::exact::{Detail, Exact, Limits, Obstacle};

/// The functions of a plan, or of the plan that comes nearest to it.
pub(super) struct Analysis {
    pub(super) exact: Exact,
    /// Whether what never happens, or always does, can be asked about too.
    pub(super) has_everything: bool,
    /// Simplification that made every share 0 or 1; nothing where the functions are exact.
    pub(super) simplified: Option<String>,
}

impl Analysis {
    /// Finds the functions, with as much detail as the limits allow.
    pub(super) fn new(plan: &Plan, limits: Limits) -> Result<Self, Obstacle> {
        let simplified = boolean::find_obstacle(plan).map(|obstacle| obstacle.to_string());
        let whole;
        let plan = if simplified.is_some() {
            whole = all_or_nothing(plan);
            &whole
        } else {
            plan
        };
        // Half of what is allowed for each try.
        let half = Limits { steps: limits.steps / 2, ..limits };
        // Everything includes events that never happen, which structural questions ask about.
        let everything = Exact::solve_plan(plan, Detail::Everything, half);
        let has_everything = everything.is_ok();
        let exact = everything.or_else(|_| Exact::solve_plan(plan, Detail::Drawn, half))?;
        Ok(Self { exact, has_everything, simplified })
    }
}

/// The nearest plan in which every share is 0 or 1: a single moment in which targets fail completely,
/// nothing is overloaded, and a call that is made, or not answered from a cache, in less than the
/// share that counts as failed cannot fail its caller.
fn all_or_nothing(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    // Without time and load the functions depend on draws alone.
    (plan.schedule, plan.lasting, plan.has_load) = (None, 0.0, false);
    plan.has_delays = false;
    for target in &mut plan.targets {
        (target.severity_min, target.severity_max) = (1.0, 1.0);
    }
    let failed = plan.failed;
    for call in &mut plan.calls {
        if call.probability > 0.0 && call.probability < 1.0 {
            // Of those that are missed too seldom to fail the caller, something is missing.
            call.soft |= call.probability < failed;
            call.probability = 1.0;
        }
        if let Some(cache) = call.guards.as_mut().and_then(|guards| guards.cache.as_mut()) {
            cache.hit_ratio = if 1.0 - cache.hit_ratio < failed { 1.0 } else { 0.0 };
        }
        if call.any_of {
            // Members that hang, lie or lack something count as down.
            (call.gives_up, call.validates, call.soft) = (true, true, true);
        }
    }
    plan
}
