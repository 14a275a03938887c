//! The checked model: what the input files mean.
//!
//! Documents come in from [`crate::load`], checked values go out: a [`Topology`], a [`Change`], a
//! [`Policy`](crate::policy::Policy), a [`Scenario`]. After this room nothing is checked again, and no later room sees YAML. Everything
//! named in the model is sorted by name, so that the order of keys in a file changes nothing. What is
//! doubtful rather than wrong, [`lint`] says of what was checked.

pub mod action;
pub mod authorship;
pub mod change;
pub mod cost;
pub(crate) mod decode;
pub mod defaults;
pub mod diff;
pub mod id;
pub mod incident;
pub mod lint;
pub mod observation;
pub mod outages;
mod path_pattern;
pub mod resource_pattern;
pub mod scenario;
pub mod schema;
pub mod shipping;
pub mod topology;
pub mod units;

pub use change::Change;
pub use cost::Costs;
pub(crate) use decode::compose::compose_topology;
pub use decode::kind::Kind;
pub(crate) use decode::read::yaml_word;
pub use diff::Diff;
pub use incident::Incident;
pub use observation::Observation;
pub use scenario::Scenario;
pub use topology::Topology;
pub use units::{Money, Rate, Seconds, Share};
