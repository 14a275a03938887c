//! `blastwave change`: a change file from where changes are made.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::Failure;
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::import::{ChangeFormat, ChangeRequest, DerivedChange, derive_change};
use blastwave::load;
use blastwave::model::{Change, Topology};

pub(crate) const EXAMPLES: &str = "\
Examples:
  What a plan of Terraform does to the services of a topology:
    terraform show -json plan.out > plan.json
    blastwave change terraform plan.json --topology shop.yaml -o change.yaml
  Two states of rendered manifests, files or directories:
    helm template shop ./chart > new.yaml
    blastwave change kubernetes old.yaml new.yaml --topology shop.yaml -o change.yaml
  A new version behind the steps of its Rollout, or of its canary:
    blastwave change argo-rollouts rollout.yaml --topology shop.yaml
  A flag, as it is and as it will be:
    blastwave change launchdarkly before.json after.json --environment production --topology shop.yaml";

/// From what, to what.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// The format of the files
    #[arg(value_name = "FORMAT", value_parser = format_parser())]
    format: ChangeFormat,

    /// The files, or directories of manifests; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,

    /// The topology whose services are changed
    #[arg(long, value_name = "TOPOLOGY", help_heading = "Reading")]
    topology: String,

    #[command(flatten)]
    resources: ResourceArgs,

    /// Name of the change [default: what it is made from]
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    name: Option<String>,

    /// Write to a file, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<String>,
}

/// How resources are read.
#[derive(Clone, Debug, Default, Args)]
#[command(id = "changed_resources")]
pub(crate) struct ResourceArgs {
    /// Changed resources that belong to no service, on purpose: `module.backups.*`; can be repeated
    ///
    /// Only for resources that match no service. A change of nothing else proceeds.
    #[arg(long, value_name = "PATTERN", help_heading = "Reading")]
    pub(crate) ignore_resources: Vec<String>,

    /// Flags: the environment that is changed [default: production, or the only one]
    #[arg(long, value_name = "NAME", help_heading = "Reading")]
    pub(crate) environment: Option<String>,
}

fn format_parser() -> impl TypedValueParser<Value = ChangeFormat> {
    PossibleValuesParser::new(ChangeFormat::ALL.iter().map(|format| format.as_str())).map(|word| {
        let known = ChangeFormat::WORDS.iter().find(|(name, _)| *name == word);
        known.expect("only these words are possible").1
    })
}

/// Reads the files, and writes the change.
pub(crate) fn run_change(args: &ChangeArgs, terminal: Terminal) -> Result<Exit, Failure> {
    if args.topology == "-" && args.files.iter().any(|file| file == "-") {
        return Err(Failure::usage("standard input can be read only once")
            .help("give the topology or the change as a file"));
    }
    let (topology, read) = inputs::read_topology(&args.topology)?;
    let inputs: Vec<String> = args.files.iter().chain(&read).cloned().collect();
    let output = ResultOutput::open(args.output.as_deref(), &inputs)?;
    let name = args.name.clone().unwrap_or_else(|| change_name(args.format, &args.files));
    let request = ChangeRequest {
        format: args.format,
        files: &args.files,
        name: &name,
        ignored: &args.resources.ignore_resources,
        environment: args.resources.environment.as_deref(),
    };
    let derived = derive_checked(&request, &topology)?;
    output.write_result(&derived.text, terminal)?;
    terminal.write_note(&format!("{}\n", derived.summary));
    Ok(Exit::Done)
}

/// Returns a name for a change that is made from files.
pub(crate) fn change_name(format: ChangeFormat, files: &[String]) -> String {
    let last = files.last().map_or("-", String::as_str);
    let file = last.trim_end_matches('/').rsplit('/').next().unwrap_or(last);
    match file {
        "-" | "" => format!("changes of {format}"),
        file => format!("{format} {file}"),
    }
}

/// Derives a change, and checks that it can be read as one.
pub(crate) fn derive_checked(
    request: &ChangeRequest<'_>,
    topology: &Topology,
) -> Result<DerivedChange, Failure> {
    let mut sources = Sources::default();
    let derived = match derive_change(request, topology, &mut sources) {
        Ok(derived) => derived,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    // Whatever the files hold, nothing is written that this program could not read.
    let mut sources = Sources::default();
    let read = load::parse_document("the result", derived.text.clone().into_bytes(), &mut sources)
        .and_then(|document| Change::from_document(&document, topology));
    match read {
        Ok(_) => Ok(derived),
        Err(problems) => {
            let first = problems.first().map_or("", |problem| &problem.message);
            let message = format!("the result would not be a valid change: {first}");
            let problem = Diagnostic::file_error(Code::ImportConflict, message)
                .help("nothing was written; if the sources are in order, please report this");
            Err(Failure::Input { diagnostics: vec![problem], sources })
        }
    }
}
