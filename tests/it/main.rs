//! The integration tests: one binary, a module for each subject.

mod diagnostics;
mod load;
mod model;
