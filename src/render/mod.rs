//! Turns what the other rooms found into text for people and machines.
//!
//! A [`crate::report::Report`] comes in, text goes out: no clock, no terminal, no locale, so that equal
//! reports give equal bytes. A folder or a file is one format; the sentences in it are from `prose`.

pub mod ci;
pub mod csv;
pub mod html;
pub mod json;
pub mod markdown;
pub mod patch;
pub mod text;

pub use crate::prose::escape::without_commands;
pub use crate::prose::review::Review;
