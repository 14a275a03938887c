//! Sentences about results, shared by every format that people read, and the one formatter of numbers.
//!
//! **Invariant:** equal reports give equal sentences; no clock, no terminal, no locale.

pub(crate) mod advice;
pub(crate) mod comparison;
pub(crate) mod diagnosis;
pub(crate) mod differences;
pub(crate) mod drift;
pub(crate) mod escape;
pub(crate) mod explanation;
pub(crate) mod format;
pub(crate) mod ranking;
pub(crate) mod replay;
pub(crate) mod review;
pub(crate) mod simulation;
pub(crate) mod terms;
pub(crate) mod topology_review;
pub(crate) mod waiting;
