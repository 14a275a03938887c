//! The program: arguments in, streams and an exit status out. All of it is in [`cli`].

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
