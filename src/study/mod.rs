//! The questions people ask, each a function over the rooms before it. No printing, no files.

mod exact;
pub mod explain;
pub mod gate;
pub mod simulate;
mod unknowns;

pub use explain::explain;
pub use gate::{Gate, Limit, MAX_TRIALS, Measure, Unknown, affordable, check, merge};
pub use simulate::{Settings, Stop, simulate, story};
