//! The command line: arguments to calls of the library, results to streams and an exit status.
//!
//! **Invariant:** only here is anything printed, is a terminal asked for, is a process ended.

mod args;
mod commands;
mod derived;
mod diff;
mod exit;
mod git;
mod inputs;
mod limits;
#[cfg(feature = "mcp")]
mod mcp;
mod memory;
mod output;
mod policies;
mod progress;
mod run;
mod terminal;
mod values;
mod watchdog;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::load;
use blastwave::render::text::diagnostics;
use exit::Exit;
use output::OutputError;
use terminal::Terminal;
use watchdog::EarlyEnd;

/// Does what the arguments say.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let terminal = Terminal::new(cli.console);
    // Before the command: reading a large file can take long as well.
    start_watching(&cli, terminal);
    let exit = stay_within(cli.resources.root.as_deref())
        .and_then(|()| run_command(&cli, terminal))
        .unwrap_or_else(|failure| failure.report_failure(terminal));
    exit.into()
}

/// Watches over the run: its time, its memory, and Ctrl-C.
fn start_watching(cli: &Cli, terminal: Terminal) {
    // The limits of a server are those of its calls, and it ends by itself.
    #[cfg(feature = "mcp")]
    if matches!(cli.command, Command::Mcp(_)) {
        return;
    }
    watchdog::start_watching(&cli.resources, terminal);
}

/// Refuses, from now on, every file outside of a folder.
fn stay_within(root: Option<&str>) -> Result<(), Failure> {
    let Some(root) = root else { return Ok(()) };
    load::confine_to(root).map_err(|problem| Failure::Input {
        diagnostics: vec![*problem],
        sources: Sources::default(),
    })
}

fn run_command(cli: &Cli, terminal: Terminal) -> Result<Exit, Failure> {
    match &cli.command {
        #[cfg(feature = "mcp")]
        Command::Mcp(args) => mcp::run_mcp(args, &cli.resources),
        Command::Simulate(args) => commands::simulate::run_simulate(args, terminal),
        Command::Calibrate(args) => commands::calibrate::run_calibrate(args, terminal),
        Command::Change(args) => commands::change::run_change(args, terminal),
        Command::Check(args) => commands::check::run_check(args, terminal),
        Command::Explain(args) => commands::explain::run_explain(args, terminal),
        Command::Advise(args) => commands::advise::run_advise(args, terminal),
        Command::Compare(args) => commands::compare::run_compare(args, terminal),
        Command::Diagnose(args) => commands::diagnose::run_diagnose(args, terminal),
        Command::Diagram(args) => commands::diagram::run_diagram(args, terminal),
        Command::Import(args) => commands::import::run_import(args, terminal),
        Command::Init(args) => commands::init::run_init(args, terminal),
        Command::Drift(args) => commands::drift::run_drift(args, terminal),
        Command::Rank(args) => commands::rank::run_rank(args, terminal),
        Command::Replay(args) => commands::replay::run_replay(args, terminal),
        Command::Incident { command } => commands::incident::run_incident(command, terminal),
        Command::Validate(args) => commands::validate::run_validate(args, terminal),
        Command::Show(args) => commands::show::run_show(args, terminal),
        Command::Review(args) => commands::topology_review::run_review(args, terminal),
        Command::Schema { what } => commands::schema::run_schema(*what, terminal),
        Command::Policy { command } => commands::policy::run_policy(command, terminal),
        Command::Completions { shell } => commands::installers::print_completions(*shell, terminal),
        Command::Man { command } => {
            commands::installers::print_manual(command.as_deref(), terminal)
        }
    }
}

/// Why a command could not do what it was asked for.
#[derive(Debug)]
enum Failure {
    /// The arguments make no sense together.
    Usage { message: String, help: Option<String> },
    /// Input files are wrong.
    Input { diagnostics: Vec<Diagnostic>, sources: Sources },
    /// The result cannot be written.
    Output(OutputError),
    /// It was ended early: by Ctrl-C, or by a limit of the run.
    Interrupted { trials: u64 },
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// Says what to do.
    fn help(mut self, text: impl Into<String>) -> Self {
        if let Self::Usage { help, .. } = &mut self {
            *help = Some(text.into());
        }
        self
    }

    /// Tells the user, and gives the status to end with.
    fn report_failure(&self, terminal: Terminal) -> Exit {
        match self {
            Self::Usage { message, help } => {
                terminal.write_error(message);
                if let Some(help) = help {
                    terminal.write_message(&format!("  help: {help}\n"));
                }
                Exit::Unusable
            }
            Self::Input { diagnostics, sources } => {
                let style = diagnostics_style(terminal.colors_messages());
                terminal.write_message(&diagnostics::render_diagnostics(
                    diagnostics,
                    sources,
                    style,
                ));
                Exit::Unusable
            }
            Self::Output(error) => {
                terminal.write_error(&error.to_string());
                Exit::Unusable
            }
            Self::Interrupted { trials } => {
                let end = watchdog::early_end().unwrap_or(EarlyEnd::Interrupted);
                terminal.write_message(&watchdog::end_message(end, Some(*trials)));
                Exit::Interrupted
            }
        }
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        Self::Output(error)
    }
}

fn diagnostics_style(has_color: bool) -> diagnostics::DiagnosticStyle {
    if has_color { diagnostics::DiagnosticStyle::Ansi } else { diagnostics::DiagnosticStyle::Plain }
}

/// Help and version are results; anything else that the parser says is a message.
fn usage(error: &clap::Error) -> Exit {
    // A closed pipe takes nothing from the help that was read.
    drop(error.print());
    if error.use_stderr() { Exit::Unusable } else { Exit::Done }
}
