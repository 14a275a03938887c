//! Tools that tests share: the program as users run it, files that keep what it says, and a browser.

pub(crate) mod chromium;
mod kept;
mod program;

pub(crate) use kept::{KeptFiles, assert_kept, is_update, kept_path};
pub(crate) use program::{CHANGE, program, program_path};
