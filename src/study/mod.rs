//! The questions people ask, each a function over the rooms before it. No printing, no files.

pub mod check;
mod exact;
pub mod explain;
pub mod simulate;
mod unknowns;

pub use check::{Limit, Measure, check};
pub use explain::explain;
pub use simulate::{Settings, Stop, simulate, story};
