//! Turns what the other rooms found into text for people and machines.
//!
//! A [`crate::report::Report`] comes in, text goes out: no clock, no terminal, no locale, so that equal
//! reports give equal bytes.

pub mod csv;
pub mod diagnostics;
pub mod drift;
mod findings;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod patch;
pub mod rank;
pub mod replay;
pub mod review;
pub mod sarif;
pub mod short;
pub mod text;
mod uri;

pub use crate::prose::escape::without_commands;
