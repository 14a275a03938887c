//! What eight trials start from: their draws, and what is worked out once for a plan.

pub(crate) mod index_set;
pub(crate) mod lanes;
pub(crate) mod outage_events;
pub(crate) mod plan_index;
pub(crate) mod sampled_trials;
pub(crate) mod trial_order;
