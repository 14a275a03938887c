//! Failure travels from dependencies to callers within one time step.

pub(crate) mod call_pipeline;
pub(crate) mod delays;
pub(crate) mod members;
pub(crate) mod own_health;
pub(crate) mod step_state;
