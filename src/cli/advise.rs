//! `blastwave advise`: what would help.

use clap::Args;

use super::Failure;
use super::answer::Question;
use super::args::{OutputArgs, Pageless, QuestionArgs, SamplingArgs};
use super::exit::Exit;
use super::inputs;
use super::terminal::Terminal;
use blastwave::render;
use blastwave::study::{self, Stop};

/// How many trials estimate a saving where nothing else is said: there are many to estimate.
const TRIALS: u64 = 4096;

/// What `blastwave advise` can be asked.
#[derive(Debug, Args)]
pub(crate) struct AdviseArgs {
    #[command(flatten)]
    question: QuestionArgs,
    /// Try no protections of this kind, because they are out of the question; can be repeated
    #[arg(long, value_name = "KIND", value_parser = study::advise::KINDS, help_heading = "Protections")]
    leave_out: Vec<String>,

    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  What would help most against this change breaking?
    blastwave advise shop.yaml --change payments-v4.yaml
  And where nobody can do without a call?
    blastwave advise shop.yaml --change payments-v4.yaml --leave-out soft --leave-out fallback
  And against payments hanging, as data?
    blastwave advise shop.yaml --break payments:slow --format json";

/// Advises.
pub(super) fn run(args: &AdviseArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let format = args.output.pageless("advice")?;
    let inputs = inputs::read(&args.question)?;
    let mut question =
        Question::of(inputs, &args.question, &args.sampling, &args.output, terminal)?;
    if args.sampling.precision.is_some() {
        return Err(Failure::usage("`--precision` is for `simulate` and `compare`")
            .help("say how many trials estimate each saving with `--trials`"));
    }
    if args.sampling.trials == Some(1) {
        return Err(Failure::usage("one trial says nothing of how sure a saving is")
            .help("leave `--trials` out, or give at least 2"));
    }
    question.settings.stop = Stop::Trials(args.sampling.trials.unwrap_or(TRIALS));
    let report = question.run(&args.sampling, |progress| {
        let inputs = &question.inputs;
        let leave_out = &args.leave_out;
        study::advise(&inputs.topology, &inputs.change, leave_out, &question.settings, progress)
    })?;
    let exit = args.sampling.ended(report.partial, report.trials)?;
    let text = match format {
        Pageless::Text => render::text::render_advice(&report, &question.style(&args.output.to)),
        Pageless::Json => render::json::render_advice(&report),
        Pageless::Markdown => render::markdown::render_advice(&report),
    };
    question.write_text(&text)?;
    Ok(exit)
}
