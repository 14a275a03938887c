//! Turns what the other rooms found into text for people and machines.

pub mod diagnostics;
