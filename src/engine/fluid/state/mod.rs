//! Start of eight trials: their draws, and the index of a plan.

pub(crate) mod index_set;
pub(crate) mod lanes;
pub(crate) mod outage_events;
pub(crate) mod plan_index;
pub(crate) mod sampled_trials;
pub(crate) mod trial_order;
