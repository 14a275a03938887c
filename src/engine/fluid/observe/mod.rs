//! Records eight trials while they run.

pub(crate) mod collector;
pub(crate) mod customers;
pub(crate) mod reasons;
pub(crate) mod record;
pub(crate) mod tracing;
