//! The questions people ask, each a function over the rooms before it. No printing, no files.

pub mod advise;
mod assumptions;
mod budget;
mod build_report;
pub mod compare;
pub mod diagnose;
mod exact;
pub mod explain;
pub mod gate;
mod places;
pub mod rank;
mod reach;
pub mod replay;
pub mod simulate;
mod single_points;
mod structure;
mod topology_review;
mod trace_report;
mod unknowns;
mod waiting_calls;
mod waiting_reasons;

pub use advise::advise;
pub use compare::compare_sides;
pub use diagnose::diagnose_observation;
pub use explain::explain_flows;
pub use gate::{Assumption, Check, Gate, Limit, MAX_TRIALS, Measure, judge_case};
pub use places::add_places;
pub use rank::rank_origins;
pub use replay::replay_incidents;
pub use simulate::{Settings, Stop, engine_obstacle, simulate_change, trace_trial};
pub use structure::structure_report;
pub use topology_review::{ReviewRequest, review_topologies};
