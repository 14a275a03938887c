//! Turns what the other rooms found into text for people and machines.
//!
//! A [`crate::report::Report`] comes in, text goes out: no clock, no terminal, no locale, so that equal
//! reports give equal bytes.

pub mod advice;
mod comparison;
mod diagnosis;
pub mod diagnostics;
mod differences;
mod explanation;
mod findings;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod patch;
pub mod picture;
pub mod rank;
pub mod replay;
pub mod review;
pub mod sarif;
pub mod short;
mod story;
pub mod text;
mod uri;
mod words;
