//! `blastwave show`: what a topology holds, as it was read.

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::cli::args::{DetailArgs, WriteArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use blastwave::analysis;
use blastwave::model::Topology;
use blastwave::model::topology::ServiceId;
use blastwave::render;
use blastwave::suggest;

/// Arguments of `blastwave show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The topology, or a scenario that names one; `-` is standard input
    #[arg(value_name = "TOPOLOGY")]
    topology: String,

    /// Show only this service, and the flows that run over it; can be repeated
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,

    /// Write lines for people, or data for scripts
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: ShowFormat,
    #[command(flatten)]
    detail: DetailArgs,
    #[command(flatten)]
    to: WriteArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    Text,
    Json,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  Who calls payments, whom does it call, and which flows run over it?
    blastwave show shop.yaml --service payments
  All services and flows, as data:
    blastwave show shop.yaml --format json";

/// Shows a topology.
pub(crate) fn run_show(args: &ShowArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let wants_summary = args.detail.wants_summary(args.format == ShowFormat::Json)?;
    let (topology, files) = inputs::read_topology(&args.topology)?;
    let output = ResultOutput::open(args.to.output.as_deref(), &files)?;
    let wanted: Vec<ServiceId> =
        args.service.iter().map(|name| find_service(&topology, name)).collect::<Result<_, _>>()?;
    let report = analysis::structure_report(&topology, &wanted);
    let report = if wants_summary { report.into_summary() } else { report };
    let text = match args.format {
        ShowFormat::Text => render::text::render_structure(&report),
        ShowFormat::Json => render::json::render_structure(&report),
    };
    output.write_result(&text, terminal)?;
    Ok(Exit::Done)
}

fn find_service(topology: &Topology, name: &str) -> Result<ServiceId, Failure> {
    topology.service_id(name).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no service `{name}`"));
        let names = topology.services.iter().map(|service| service.name.as_str());
        match suggest::nearest(name, names) {
            Some(nearest) => failure.help(format!("did you mean `{nearest}`?")),
            None => failure
                .help(format!("`blastwave show` lists the {} there are", topology.services.len())),
        }
    })
}
