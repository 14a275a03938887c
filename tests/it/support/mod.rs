//! What tests share: the program as users run it, and a browser.

pub(crate) mod chromium;
mod program;

pub(crate) use program::{CHANGE, program, program_path};
