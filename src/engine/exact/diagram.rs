//! The functions that are handed out, and limits on the work that finds them.

use std::rc::Rc;

use super::bdd::Bdd;

/// A Boolean function of the events.
pub type Function = Rc<Bdd>;

/// Limits on work. They count steps and bytes, never time, so that equal inputs end equally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps in all: triples of nodes that operations look at, and nodes that they make.
    pub steps: usize,
    /// Memory for diagrams, in bytes.
    pub bytes: usize,
}

impl Limits {
    /// Spent without being asked: some hundredths of a second.
    pub const CHEAP: Self = Self { steps: 300_000, bytes: 64 << 20 };
    /// Spent on being asked: some seconds to half a minute.
    pub const THOROUGH: Self = Self { steps: 160_000_000, bytes: 1 << 30 };
}
