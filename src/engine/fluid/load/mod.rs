//! Load travels from callers to dependencies within one time step, and overload makes it fail.

pub(crate) mod approach;
pub(crate) mod fixed_point;
pub(crate) mod messages;
pub(crate) mod queues;
pub(crate) mod spread;
