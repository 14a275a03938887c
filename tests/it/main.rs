//! Everything that is tested from outside: one binary, a module for each subject.

#![expect(clippy::unwrap_used, reason = "what a test unwraps, it takes for granted")]

mod advise;
#[cfg(feature = "mcp")]
mod agents;
mod agreement;
mod authorship;
mod background;
mod browser;
mod calibrate;
mod chain;
mod changes;
mod check;
mod cli;
mod closed_forms;
mod compare;
mod diagnose;
mod diagnostics;
mod diff;
mod engines;
mod evidence;
mod exact;
mod explain;
mod figures;
mod fuzz;
mod gate_ci;
mod gate_cli;
mod gate_outputs;
mod html;
mod imports;
mod limits_of_a_run;
mod load;
mod machines;
mod model;
mod oracle;
mod oracle_tests;
mod pictures;
mod random;
mod ranking;
mod readme;
mod reference;
mod regressions;
mod replay;
mod requests;
mod reviews;
mod statistics;
mod support;
mod tidy;
mod topologies;
mod unknowns;
mod verdict;
mod verdict_laws;
mod waiting;
mod waiting_lints;
mod waiting_messages;
mod waiting_outputs;
