//! blastwave: what fails, how likely, for how long and at what cost when a planned change breaks.

pub mod analysis;
pub mod cascade;
pub mod chart;
pub mod compile;
pub mod diagnostic;
pub mod engine;
pub mod import;
pub mod load;
pub mod model;
pub mod policy;
pub mod project;
mod prose;
pub mod render;
pub mod report;
mod sort;
pub mod suggest;
pub mod summary;

#[doc = include_str!("semantics.md")]
pub mod semantics {}

#[doc = include_str!("architecture.md")]
pub mod architecture {}
