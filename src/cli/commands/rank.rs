//! `blastwave rank`: everything that can break, the worst first.

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::cli::args::{EnvironmentArgs, MomentArgs, SamplingArgs, WriteArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::output::ResultOutput;
use crate::cli::run::{self, Runner};
use crate::cli::terminal::Terminal;
use blastwave::analysis::rank::{self, RankingRequest};
use blastwave::analysis::{Settings, Stop};
use blastwave::engine::origins::FailureMode;
use blastwave::model::{Seconds, lint};
use blastwave::render;
use blastwave::report::OriginKind;

#[derive(Debug, Args)]
pub(crate) struct RankArgs {
    /// The topology, or a scenario that names one; `-` is standard input
    #[arg(value_name = "TOPOLOGY")]
    topology: String,

    #[command(flatten)]
    environment: EnvironmentArgs,

    /// Kind of component that breaks, one at a time
    #[arg(long, value_name = "WHAT", default_value = "service", help_heading = "What breaks")]
    by: ByWhat,

    /// How it breaks: it fails fast, hangs, or gives wrong answers
    #[arg(long, value_name = "MODE", default_value = "down", help_heading = "What breaks")]
    mode: How,

    #[command(flatten)]
    moment: MomentArgs,

    #[command(flatten)]
    sampling: SamplingArgs,

    /// Report only the worst so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,

    /// Write a report for people, data for scripts, a comment, the matrix, or a page for a browser
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: RankFormat,
    #[command(flatten)]
    to: WriteArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ByWhat {
    Service,
    Endpoint,
    Domain,
    Dependency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum How {
    Down,
    Slow,
    Corrupt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RankFormat {
    Text,
    Json,
    Markdown,
    Csv,
    Html,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  What would hurt most if it went down?
    blastwave rank shop.yaml
  The ten worst to hang:
    blastwave rank shop.yaml --mode slow --top 10
  Which calls would hurt most if they failed?
    blastwave rank shop.yaml --by dependency
  The heat-map of services and flows for a spreadsheet:
    blastwave rank shop.yaml --format csv -o heat.csv";

/// Ranks.
pub(crate) fn run_rank(args: &RankArgs, terminal: Terminal) -> Result<Exit, Failure> {
    if args.sampling.precision.is_some() {
        return Err(Failure::usage("a ranking runs the same trials for everything that breaks")
            .help("say how many with `--trials`"));
    }
    let ranking = RankingRequest {
        by: match args.by {
            ByWhat::Service => OriginKind::Service,
            ByWhat::Endpoint => OriginKind::Endpoint,
            ByWhat::Domain => OriginKind::Domain,
            ByWhat::Dependency => OriginKind::Dependency,
        },
        mode: match args.mode {
            How::Down => FailureMode::Down,
            How::Slow => FailureMode::Slow,
            How::Corrupt => FailureMode::Corrupt,
        },
        top: args.top.map(|top| top as usize),
    };
    if ranking.by == OriginKind::Domain && ranking.mode != FailureMode::Down {
        return Err(Failure::usage(
            "a ranking takes failure domains down, and breaks them in no other way",
        ));
    }
    let (topology, files) = inputs::read_topology_in(&args.topology, &args.environment)?;
    let settings = Settings {
        seed: args.sampling.seed,
        stop: run::stop_rule(&args.sampling),
        lasting: args.moment.lasting.unwrap_or(Seconds::ZERO),
        is_certain: true,
        engine: args.sampling.engine.library_choice(),
    };
    if args.sampling.engine == crate::cli::args::EngineOf::Boolean
        && let Some(reason) = rank::fluid_reason(&topology, ranking, &settings)
    {
        return Err(run::not_boolean(reason));
    }
    let output = ResultOutput::open(args.to.output.as_deref(), &files)?;
    // The warnings themselves would hide the ranking.
    if !lint::lint_topology(&topology).is_empty() {
        terminal.write_note(&format!("warnings: run `blastwave validate {}`\n", args.topology));
    }
    let origins = rank::origin_count(&topology, ranking.by) as u64;
    // Precision was refused above, so it is always a number of trials.
    let (Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. }) = settings.stop;
    let runner = Runner { terminal, stop: Stop::Trials(trials.saturating_mul(origins)) };
    let report = runner.run_analysis(&args.sampling, |progress| {
        rank::rank_origins(&topology, ranking, &settings, progress)
    })?;
    let exit = args.sampling.exit_status(report.partial, report.trials)?;
    let text = match args.format {
        RankFormat::Text => {
            render::text::render_rank(&report, &output.text_style(&args.to, terminal))
        }
        RankFormat::Json => render::json::render_rank(&report),
        RankFormat::Markdown => render::markdown::rank_markdown(&report),
        RankFormat::Csv => render::csv::rank_csv(&report),
        RankFormat::Html => {
            let command = run::command_line();
            let made = render::html::Made { command: &command, inputs: &files };
            render::html::rank_page(&report, &made)
        }
    };
    output.write_result(&text, terminal)?;
    Ok(exit)
}
