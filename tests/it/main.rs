//! Everything that is tested from outside: one binary, a module for each idea.

mod oracle;
mod oracle_tests;
mod random;
