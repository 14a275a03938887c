//! Formats that code hosts and pipelines show beside the lines of a change.

mod findings;
pub mod github;
pub mod junit;
pub mod sarif;
mod uri;
