//! Steps of a trial: rollout, detection, interventions, restarts, and the same without the change.

pub(crate) mod baseline;
pub(crate) mod evidence;
pub(crate) mod failover;
pub(crate) mod interventions;
pub(crate) mod messages;
pub(crate) mod progress;
pub(crate) mod recovery;
pub(crate) mod refills;
pub(crate) mod sliding;
pub(crate) mod waits;
