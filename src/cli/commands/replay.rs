//! `blastwave replay`: incidents that happened, simulated again and compared.

use clap::Args;

use crate::cli::Failure;
use crate::cli::args::{OutputArgs, Pageless, SamplingArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::output::ResultOutput;
use crate::cli::run::{Runner, stop_rule};
use crate::cli::terminal::Terminal;
use crate::cli::values;
use blastwave::analysis::replay::{ReplayRequest, replay_incidents};
use blastwave::analysis::{Settings, Stop};
use blastwave::model::Share;
use blastwave::render;
use blastwave::report::ReplayReport;

/// Arguments of `blastwave replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Incidents, each with its topology and what set it off
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,

    /// Leave each element of the model out in turn, and say what that costs
    #[arg(long, help_heading = "Comparison")]
    ablate: bool,

    /// Say at which place a diagnosis puts what set each incident off
    #[arg(long, help_heading = "Comparison")]
    diagnose: bool,

    /// End with status 1 if the balanced accuracy is below this: `92%`
    #[arg(long, value_name = "SHARE", value_parser = values::parse_share, help_heading = "Limits")]
    min_balanced: Option<Share>,

    /// End with status 1 if the macro-F1 of failed, degraded, unaffected is below this
    #[arg(long, value_name = "SHARE", value_parser = values::parse_share, help_heading = "Limits")]
    min_f1: Option<Share>,

    /// End with status 1 if the order of failures has a lower tau than this
    #[arg(long, value_name = "SHARE", value_parser = values::parse_share, help_heading = "Limits")]
    min_tau: Option<Share>,

    /// End with status 1 if fewer durations than this are within a factor of 4
    #[arg(long, value_name = "N", help_heading = "Limits")]
    min_durations: Option<u64>,

    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  Does the model agree with what happened?
    blastwave replay friday.yaml
  The back-test on published incidents, with a limit for CI:
    blastwave replay topologies/incidents/*/incident.yaml --min-f1 50%
  Would a diagnosis have found what set each of them off?
    blastwave replay topologies/incidents/*/incident.yaml --diagnose
  What does each element of the model contribute?
    blastwave replay topologies/incidents/*/incident.yaml --ablate --format markdown";

/// How many trials where nothing is said: incidents differ far more than trials.
const TRIALS: u64 = 1000;

/// Replays.
pub(crate) fn run_replay(args: &ReplayArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let format = args.output.pageless_format("a replay")?;
    if args.sampling.precision.is_some() {
        return Err(Failure::usage("every incident is given the same number of trials")
            .help("say how many with `--trials`"));
    }
    let (cases, files) = inputs::read_cases(&args.files)?;
    let trials = match stop_rule(&args.sampling) {
        Stop::Trials(trials) if args.sampling.trials.is_some() => trials,
        _ => TRIALS,
    };
    let settings = Settings {
        seed: args.sampling.seed,
        stop: Stop::Trials(trials),
        is_certain: true,
        engine: args.sampling.engine.library_choice(),
        ..Settings::default()
    };
    // One incident that does not suit would stop the run halfway.
    for case in &cases {
        let (topology, change) = (&case.topology, &case.change);
        if let Some(reason) = blastwave::analysis::engine_obstacle(topology, change, &settings) {
            return Err(crate::cli::run::not_boolean(reason));
        }
    }
    let output = ResultOutput::open(args.output.to.output.as_deref(), &files)?;
    let asked = ReplayRequest { ablate: args.ablate, diagnose: args.diagnose };
    let runner = Runner { terminal, stop: settings.stop };
    let report = runner.run_analysis(&args.sampling, |progress| {
        replay_incidents(&cases, asked, &settings, progress)
    })?;
    let exit = args.sampling.exit_status(report.partial, report.trials)?;
    let text = match format {
        Pageless::Text => {
            render::text::render_replay(&report, &output.text_style(&args.output.to, terminal))
        }
        Pageless::Json => render::json::render_replay(&report),
        Pageless::Markdown => render::markdown::replay_markdown(&report),
    };
    output.write_result(&text, terminal)?;
    // The result is written first: a score below its limit is still worth reading.
    let missed = missed_limits(args, &report);
    for line in &missed {
        terminal.write_error(line);
    }
    Ok(match exit {
        // An early end says more than a missed limit of part of the incidents.
        Exit::Done if !missed.is_empty() => Exit::Stop,
        exit => exit,
    })
}

/// The limits that are not held, in words; a score that cannot be had holds none.
fn missed_limits(args: &ReplayArgs, report: &ReplayReport) -> Vec<String> {
    let score = &report.score;
    let limits = [
        ("balanced accuracy", args.min_balanced, score.balanced_accuracy),
        ("macro-F1", args.min_f1, score.macro_f1),
        ("tau", args.min_tau, score.tau),
    ];
    let mut missed = Vec::new();
    for (what, limit, found) in limits {
        let Some(limit) = limit.map(Share::get) else { continue };
        if found.is_none_or(|found| found < limit) {
            let found = found.map_or_else(|| "unknown".to_owned(), |found| format!("{found:.3}"));
            missed.push(format!("{what} is {found}, below {limit:.3}"));
        }
    }
    if let Some(limit) = args.min_durations.filter(|limit| score.duration_within_4 < *limit) {
        let found = score.duration_within_4;
        missed.push(format!("{found} durations are within a factor of 4, fewer than {limit}"));
    }
    missed
}
