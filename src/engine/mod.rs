//! From a plan to counts: one semantics, several engines.

pub mod draws;
