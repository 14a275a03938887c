//! Output for installers: completions and manual pages, made from the definition of the arguments.

use clap::{Command, CommandFactory as _};

use crate::cli::Failure;
use crate::cli::args::Cli;
use crate::cli::exit::Exit;
use crate::cli::output::OutputError;
use crate::cli::terminal::Terminal;

const PROGRAM: &str = "blastwave";

/// Prints the completions of a shell.
pub(crate) fn print_completions(
    shell: clap_complete::Shell,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    // Into memory first: the generator panics where a pipe is closed.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    print_text(&script, terminal)
}

/// Prints a manual page: of the program, or of one command.
pub(crate) fn print_manual(command: Option<&str>, terminal: Terminal) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    // The definition is complete only once built: until then commands lack the options of the
    // program.
    program.build();
    let page = match command {
        None => program,
        Some(name) => find_subcommand(&program, name)?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).expect("memory takes any text");
    print_text(&text, terminal)
}

fn find_subcommand(program: &Command, name: &str) -> Result<Command, Failure> {
    let known = || program.get_subcommands().map(Command::get_name);
    let found = program.find_subcommand(name).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no command `{name}`"));
        match blastwave::suggest::nearest(name, known()) {
            Some(nearest) => failure.help(format!("did you mean `{nearest}`?")),
            None => {
                failure.help(format!("the commands are {}", known().collect::<Vec<_>>().join(", ")))
            }
        }
    })?;
    Ok(found.clone())
}

fn print_text(text: &[u8], terminal: Terminal) -> Result<Exit, Failure> {
    terminal.write_result(&String::from_utf8_lossy(text)).map_err(OutputError::Stdout)?;
    Ok(Exit::Done)
}
