//! `blastwave simulate`: the figures of a break or a change, without a verdict.

use crate::cli::Failure;
use crate::cli::args::{Format, OutputArgs, SimulateArgs};
use crate::cli::exit::Exit;
use crate::cli::run::SimulationRequest;
use crate::cli::terminal::Terminal;
use blastwave::{analysis, render};

/// Simulates, and writes the result.
pub(crate) fn run_simulate(args: &SimulateArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let request = SimulationRequest::new(&args.question, &args.sampling, &args.output, terminal)?;
    if let Some(trial) = args.trial {
        return write_trial(&request, trial, &args.output);
    }
    let SimulationRequest { inputs, settings, .. } = &request;
    let report = request.run_simulation(&args.sampling, |progress| {
        analysis::simulate_change(&inputs.topology, &inputs.change, settings, progress)
    })?;
    request.write_report(&report, &args.output)?;
    args.sampling.exit_status(report.partial, report.trials)
}

/// Writes one trial, step by step, instead of figures over many.
fn write_trial(
    request: &SimulationRequest,
    trial: u64,
    args: &OutputArgs,
) -> Result<Exit, Failure> {
    let inputs = &request.inputs;
    // One trial has no interval and needs no bar.
    let trace = analysis::trace_trial(&inputs.topology, &inputs.change, &request.settings, trial);
    let text = match args.format {
        Format::Text => render::text::render_trial(&trace, &request.text_style(&args.to)),
        Format::Json => render::json::render_trial(&trace),
        // A comment and a page are about shares, which one trial has not.
        Format::Markdown | Format::Html => {
            return Err(Failure::usage("one trial is written as `text` or `json`"));
        }
    };
    request.write_text(&text)?;
    Ok(Exit::Done)
}
