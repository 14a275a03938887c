//! The program as users run it: in a folder of their own, without the terminal that the tests run in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variables by which a terminal would change what is written.
const OF_THE_TERMINAL: [&str; 4] = ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"];

/// A change of `pay` that takes time to be noticed and taken back.
pub(crate) const CHANGE: &str = "\
version: 1
change: v2
targets: [{ service: pay, severity: { min: 20%, max: 90% } }]
detection: { median: 5m, p95: 20m }
rollback: { median: 10m, p95: 30m }
";

/// Returns the path of the program that is tested.
pub(crate) fn program_path() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_blastwave"))
}

/// Returns the program, to be run in a folder, with nothing on standard input.
pub(crate) fn program(folder: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program_path());
    command.current_dir(folder).stdin(Stdio::null());
    for name in OF_THE_TERMINAL {
        command.env_remove(name);
    }
    command
}
