//! `blastwave explain`: why flows fail.

use clap::Args;

use crate::cli::Failure;
use crate::cli::args::{DetailArgs, OutputArgs, Pageless, QuestionArgs, SamplingArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::run::SimulationRequest;
use crate::cli::terminal::Terminal;
use blastwave::analysis;
use blastwave::analysis::explain::ExplanationRequest;
use blastwave::model::topology::FlowId;
use blastwave::render;
use blastwave::suggest;

/// Arguments of `blastwave explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    question: QuestionArgs,

    /// Explain only this flow
    #[arg(long, value_name = "NAME", help_heading = "Explanation")]
    flow: Option<String>,

    /// Demand exact probabilities, and fail with the reason where there are none
    #[arg(long, help_heading = "Explanation")]
    exact: bool,

    /// Look only for sets of at most so many failures
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000),
        help_heading = "Explanation"
    )]
    max_order: Option<u32>,

    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    detail: DetailArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  What can fail placing an order at all, and what matters most?
    blastwave explain shop.yaml --flow place-order
  Through what would a break of payments reach the flows, and what would hold it?
    blastwave explain shop.yaml --break payments
  Exact probabilities of what fails for its own reasons, as data:
    blastwave explain shop.yaml --exact --format json";

/// Explains.
pub(crate) fn run_explain(args: &ExplainArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let format = args.output.pageless_format("an explanation")?;
    let wants_summary = args.detail.wants_summary(matches!(format, Pageless::Json))?;
    let inputs = inputs::read_with_or_without_change(&args.question)?;
    let flow = args.flow.as_deref().map(|name| {
        let flows = || inputs.topology.flows.iter().map(|flow| flow.name.as_str());
        // By name and not by part of it: an explanation of the wrong flow would mislead.
        let known = flows().position(|flow| flow == name).map(FlowId::new);
        known.ok_or_else(|| {
            let failure = Failure::usage(format!("there is no flow `{name}`"));
            match suggest::nearest(name, flows()) {
                Some(nearest) => failure.help(format!("did you mean `{nearest}`?")),
                None => failure.help("the topology has no flow of that name"),
            }
        })
    });
    let asked = ExplanationRequest {
        flow: flow.transpose()?,
        exact: args.exact,
        max_order: args.max_order,
        has_change: !inputs.change.targets.is_empty(),
    };
    let question = SimulationRequest::from_inputs(
        inputs,
        &args.question,
        &args.sampling,
        &args.output,
        terminal,
    )?;
    let report = question.run_analysis(&args.sampling, |progress| {
        let inputs = &question.inputs;
        analysis::explain_flows(
            &inputs.topology,
            &inputs.change,
            &question.settings,
            &asked,
            progress,
        )
    })?;
    let report = report.map_err(|obstacle| {
        Failure::usage(format!("exact probabilities are not to be had: {obstacle}"))
            .help("without `--exact`, they are estimated from trials")
    })?;
    let report = if wants_summary { report.into_summary() } else { report };
    let exit = args.sampling.exit_status(report.partial, report.trials)?;
    let text = match format {
        Pageless::Text => {
            render::text::render_explanation(&report, &question.text_style(&args.output.to))
        }
        Pageless::Json => render::json::render_explanation(&report),
        Pageless::Markdown => render::markdown::render_explanation(&report),
    };
    question.write_text(&text)?;
    Ok(exit)
}
