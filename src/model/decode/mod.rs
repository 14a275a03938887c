//! From documents to the checked model: everything wrong is reported, none of it twice.
//!
//! What is reported counts as not said, and reading goes on; whatever was read is thrown away in the
//! end if anything was reported. So most functions need not tell what was wrong from what was absent.

mod breaks;
mod change;
pub(crate) mod compose;
pub(crate) mod delay;
mod dependency;
pub(crate) mod kind;
mod name_index;
pub(crate) mod names;
pub(crate) mod read;
mod renamed;
mod rollout;
mod shipping;
mod topology;
mod waiting;

/// The mappings of topologies, changes, scenarios, incidents, policies, costs, observations, waivers and
/// policy tests, for the test that holds the schemas to them.
#[cfg(test)]
pub(crate) const SHAPES: [&[&read::Shape]; 9] = [
    &[
        &topology::TOPOLOGY,
        &topology::THRESHOLDS,
        &topology::DEFAULTS,
        &topology::DOMAIN,
        &topology::SERVICE,
        &topology::REPLICAS,
        &topology::RECOVERY,
        &super::action::AUTOMATION,
        &topology::ENDPOINT,
        &topology::FLOW,
        &topology::USER_RETRIES,
        &topology::OBJECTIVE,
        &shipping::CHANGE_DEFAULTS,
        &shipping::TEAM,
        &rollout::ROLLOUT,
        &rollout::STAGE,
        &change::DETECTION,
        &change::ROLLBACK,
        &delay::DELAY,
        &dependency::DEPENDENCY,
        &dependency::DEFAULTS,
        &dependency::CACHE,
        &dependency::BUFFER,
        &dependency::FALLBACK,
        &waiting::QUEUE,
        &waiting::LATENCY,
        &compose::ENVIRONMENT,
    ],
    &[
        &change::CHANGE,
        &change::RELIED_ON,
        &change::TARGET,
        &change::MODES,
        &change::SURGE,
        &waiting::SLOW,
        &change::SEVERITY,
        &change::DETECTION,
        &change::ROLLBACK,
        &change::KILL_SWITCH,
        &super::action::ACTION,
        &rollout::ROLLOUT,
        &rollout::STAGE,
        &delay::DELAY,
    ],
    &[&super::scenario::SCENARIO],
    &[
        &super::incident::INCIDENT,
        &super::incident::OBSERVED,
        &super::action::ACTION,
        &super::incident::CONTAINMENT,
    ],
    &[&crate::policy::POLICY, &crate::policy::RULE],
    &[&super::cost::COSTS, &super::cost::COST],
    &[&super::observation::OBSERVATION, &super::incident::OBSERVED],
    &[&crate::policy::waivers::WAIVERS, &crate::policy::waivers::WAIVER],
    &[&crate::policy::cases::SUITE, &crate::policy::cases::CASE],
];
