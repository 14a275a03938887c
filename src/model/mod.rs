//! The checked model: what the input files mean.
//!
//! Documents come in from [`crate::load`], checked values go out: a [`Topology`], a [`Change`]. After this
//! room nothing is checked again, and no later room sees YAML. Everything named in the model is
//! sorted by name, so that the order of keys in a file changes nothing.

pub mod change;
pub mod defaults;
pub mod topology;
pub mod units;

pub use change::Change;
pub use topology::Topology;
pub use units::{Money, Rate, Seconds, Share};
