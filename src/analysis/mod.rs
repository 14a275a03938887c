//! The questions people ask, each a function over the rooms before it. No printing, no files.

pub mod advise;
pub mod compare;
pub mod diagnose;
mod exact;
pub mod explain;
pub mod gate;
pub mod rank;
pub mod replay;
pub mod simulate;
mod single_points;
mod unknowns;

pub use advise::advise;
pub use compare::compare;
pub use diagnose::diagnose;
pub use explain::explain;
pub use gate::{Assumption, Check, Gate, Limit, MAX_TRIALS, Measure};
pub use rank::rank;
pub use replay::replay;
pub use simulate::{Settings, Stop, engine_obstacle, simulate, story};
