//! `blastwave diagnose`: what may have broken, given what is seen.

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::cli::args::{MomentArgs, OutputArgs, Pageless, SamplingArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::output::ResultOutput;
use crate::cli::run::{Runner, stop_rule};
use crate::cli::terminal::Terminal;
use blastwave::analysis::diagnose::{
    DiagnosisRequest, MISREPORT, TRIALS, UNREPORTED, diagnose_observation, score_diagnoses,
};
use blastwave::analysis::{Settings, Stop};
use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::load;
use blastwave::model::incident::{Observed, held_within};
use blastwave::model::topology::ServiceId;
use blastwave::model::{Incident, Kind, Observation, Share, Topology};
use blastwave::render;
use blastwave::report::PriorKind;

/// Arguments of `blastwave diagnose`.
#[derive(Debug, Args)]
pub(crate) struct DiagnoseArgs {
    /// The topology; an incident says itself which
    #[arg(value_name = "TOPOLOGY")]
    topology: Option<String>,

    /// Observations: an observation file, or an incident
    #[arg(long, visible_alias = "incident", value_name = "FILE", help_heading = "What is seen")]
    observed: Option<String>,

    /// Say how likely components are before anything is seen
    ///
    /// `equal`: all alike. `stated`: by the share of time for which each is down by its stated
    /// availability; those that state none as the mean of those that do.
    #[arg(long, value_name = "PRIOR", default_value = "equal", help_heading = "What is seen")]
    prior: PriorArg,

    /// Say instead at which place it puts what set these incidents off
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["topology", "observed"],
        help_heading = "What is seen"
    )]
    score: Vec<String>,

    #[command(flatten)]
    moment: MomentArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PriorArg {
    Equal,
    Stated,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  Payments and orders fail, the catalog does not: what broke, and what to look at next?
    blastwave diagnose shop.yaml --observed seen.yaml
  The same of an incident, as data:
    blastwave diagnose --incident incident.yaml --format json
  Would it have found what set published incidents off?
    blastwave diagnose --score topologies/incidents/*/incident.yaml";

/// Diagnoses.
pub(crate) fn run_diagnose(args: &DiagnoseArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let format = args.output.pageless_format("a diagnosis")?;
    // Each component gets the same trials in each mode, so that their results can be compared.
    if args.sampling.precision.is_some() {
        return Err(Failure::usage("`--precision` is for `simulate` and `compare`")
            .help("say how many trials each component gets in each mode with `--trials`"));
    }
    let settings = Settings {
        seed: args.sampling.seed,
        stop: args.sampling.trials.map_or(Stop::Trials(TRIALS), |_| stop_rule(&args.sampling)),
        engine: args.sampling.engine.library_choice(),
        ..Settings::default()
    };
    let runner = Runner { terminal, stop: settings.stop };
    let style = |output: &ResultOutput| output.text_style(&args.output.to, terminal);
    let path = args.output.to.output.as_deref();
    if !args.score.is_empty() {
        let (cases, files) = inputs::read_cases(&args.score)?;
        let output = ResultOutput::open(path, &files)?;
        let report = runner.run_analysis(&args.sampling, |progress| {
            score_diagnoses(&cases, &settings, progress)
        })?;
        let exit = args.sampling.exit_status(report.partial, 1)?;
        let text = match format {
            Pageless::Text => render::text::render_diagnosis_score(&report, &style(&output)),
            Pageless::Json => render::json::render_diagnosis_score(&report),
            Pageless::Markdown => render::markdown::render_diagnosis_score(&report),
        };
        output.write_result(&text, terminal)?;
        return Ok(exit);
    }
    let read = read_files(args)?;
    let output = ResultOutput::open(path, &read.files)?;
    let question = DiagnosisRequest {
        name: &read.name,
        observed: &read.observed,
        misreport: read.misreport,
        unreported: read.unreported,
        deployed: &read.deployed,
        prior: match args.prior {
            PriorArg::Equal => PriorKind::Equal,
            PriorArg::Stated => PriorKind::Stated,
        },
        lasting: args.moment.lasting,
    };
    let report = runner.run_analysis(&args.sampling, |progress| {
        diagnose_observation(&read.topology, &question, &settings, progress)
    })?;
    let exit = args.sampling.exit_status(report.partial, 1)?;
    let text = match format {
        Pageless::Text => render::text::render_diagnosis(&report, &style(&output)),
        Pageless::Json => render::json::render_diagnosis(&report),
        Pageless::Markdown => render::markdown::render_diagnosis(&report),
    };
    output.write_result(&text, terminal)?;
    Ok(exit)
}

/// Files that were read.
struct DiagnoseFiles {
    topology: Topology,
    name: String,
    observed: Vec<Observed>,
    misreport: f64,
    unreported: f64,
    deployed: Vec<ServiceId>,
    files: Vec<String>,
}

fn read_files(args: &DiagnoseArgs) -> Result<DiagnoseFiles, Failure> {
    let Some(seen) = args.observed.as_deref() else {
        return Err(Failure::usage("nothing is said to be seen")
            .help("name an observation or an incident with `--observed FILE`"));
    };
    // The second reading would find it empty.
    if args.topology.as_deref() == Some("-") && seen == "-" {
        return Err(Failure::usage("standard input can be read only once")
            .help("give the topology or the observation as a file"));
    }
    let mut sources = Sources::default();
    let fail =
        |diagnostics: Vec<Diagnostic>, sources: Sources| Failure::Input { diagnostics, sources };
    let document = match load::read_document(seen, &mut sources) {
        Ok(document) => document,
        Err(problems) => return Err(fail(problems, sources)),
    };
    let is_incident = Kind::of_document(&document) == Some(Kind::Incident);
    let named = match &args.topology {
        Some(path) => Some(path.clone()),
        // An incident may say itself which topology it is about.
        None if is_incident => match Incident::named_files(&document, &sources) {
            Ok(files) => files.topology.map(|topology| topology.path),
            Err(problems) => return Err(fail(problems, sources)),
        },
        None => None,
    };
    let Some(path) = named else {
        return Err(Failure::usage("no topology is named")
            .help("put it first: `blastwave diagnose shop.yaml --observed seen.yaml`"));
    };
    // An incident that holds its topology was read already; it may be standard input.
    let (topology, mut files) = if path == seen {
        match Topology::from_document(&held_within(document.clone(), "topology")) {
            Ok(topology) => (topology, vec![path]),
            Err(problems) => return Err(fail(problems, sources)),
        }
    } else {
        inputs::read_topology(&path)?
    };
    if !files.iter().any(|file| file == seen) {
        files.push(seen.to_owned());
    }
    let read = if is_incident {
        Incident::from_document(&document, &topology, &sources).map(|incident| Observation {
            name: incident.name,
            observed: incident.observed,
            misreport: None,
            unreported: None,
            deployed: Vec::new(),
        })
    } else {
        Observation::from_document(&document, &topology)
    };
    match read {
        Ok(observation) => Ok(DiagnoseFiles {
            topology,
            name: observation.name,
            observed: observation.observed,
            misreport: observation.misreport.map_or(MISREPORT, Share::get),
            unreported: observation.unreported.map_or(UNREPORTED, Share::get),
            deployed: observation.deployed,
            files,
        }),
        Err(problems) => Err(fail(problems, sources)),
    }
}
