//! `blastwave import`: a topology from what somebody already has.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::exit::Exit;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use crate::cli::{Failure, diagnostics_style, values};
use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::import::{self, Dashed, EvidenceGraph, Format, Metric, Options, Paths};
use blastwave::load::{self, Document};
use blastwave::model::{Kind, Seconds, Topology};
use blastwave::render::text::diagnostics;

/// Time before a progress bar appears.
const PATIENCE: Duration = Duration::from_millis(300);

pub(crate) const EXAMPLES: &str = "\
Examples:
  From Compose files, in the order of `docker compose -f`:
    blastwave import compose compose.yaml compose.prod.yaml -o shop.yaml
  From what runs in a cluster, Helm and Kustomize rendered:
    kubectl get deploy,sts,svc,cm,netpol -o yaml | blastwave import kubernetes - -o shop.yaml
  From an hour of traces, with the rates of the flows, into a topology that people edit:
    blastwave import otlp traces.jsonl --window 1h --merge shop.yaml -o shop.yaml
  From whatever lies in a directory:
    blastwave import auto deploy/ -o shop.yaml
  From catalog files of your own:
    blastwave import mapping services/ --name-at metadata.name --dependencies-at 'spec.needs.*.service'";

/// From what, to what.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The format of the files; `auto` looks at each
    #[arg(value_name = "FORMAT", value_parser = format_parser())]
    format: Chosen,

    /// The files, or directories; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,

    /// Write to a file, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<String>,

    /// Name of the topology [default: the name of the output, or of the first file]
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    name: Option<String>,

    /// Add to this topology; what people wrote in it stays as it is
    #[arg(long, value_name = "TOPOLOGY", help_heading = "Output")]
    merge: Option<String>,

    /// Print what would change instead of changing it
    #[arg(long, requires = "merge", help_heading = "Output")]
    diff: bool,

    /// Take one name for another: `nginx-web-server=nginx`; can be repeated
    #[arg(long = "alias", value_name = "OTHER=NAME", value_parser = parse_pair, help_heading = "Reading")]
    aliases: Vec<(String, String)>,

    /// Over how long traces or metrics were recorded, for rates: `1h`
    #[arg(long, value_name = "DURATION", value_parser = values::parse_duration, help_heading = "Reading")]
    window: Option<Seconds>,

    /// Give the operations with which requests enter, in traces, dependencies of their own
    ///
    /// Then each flow calls what its own requests called, as often as they did. Only for services at which
    /// all recorded requests begin.
    #[arg(long, help_heading = "Reading")]
    endpoints: bool,

    /// Read files that others name (`include`, `extends`, mounted configuration) outside of the
    /// repository, or of the folder of the first file, too
    #[arg(long, help_heading = "Reading")]
    allow_outside: bool,

    /// Exit with status 3 where no dependency is known that is needed to serve
    #[arg(long, help_heading = "Output")]
    strict: bool,

    /// Arrows of drawings and tables point from the dependency to its caller
    #[arg(long, help_heading = "Reading")]
    reverse: bool,

    /// Meaning of dashed and dotted lines of a drawing
    #[arg(long, value_name = "MEANING", default_value = "plain", help_heading = "Reading")]
    dashed: DashedArg,

    /// The metric that counts calls: `tempo`, `istio`, `linkerd`, or `NAME:CALLER-LABEL:CALLEE-LABEL`
    #[arg(long, value_name = "METRIC", value_parser = parse_metric, help_heading = "Reading")]
    metric: Option<Metric>,

    /// Mapping: where the descriptions of services are, such as `services.*` [default: the document]
    #[arg(long, value_name = "PATH", default_value = "", help_heading = "Mapping")]
    items_at: String,

    /// Mapping: where the name of a service is [default: name]
    #[arg(long, value_name = "PATH", help_heading = "Mapping")]
    name_at: Option<String>,

    /// Mapping: where its dependencies are [default: dependencies]; can be repeated
    #[arg(long, value_name = "PATH", help_heading = "Mapping")]
    dependencies_at: Vec<String>,

    /// Mapping: where its callers are; can be repeated
    #[arg(long, value_name = "PATH", help_heading = "Mapping")]
    callers_at: Vec<String>,

    /// Mapping: where its team is
    #[arg(long, value_name = "PATH", help_heading = "Mapping")]
    team_at: Option<String>,

    /// Mapping: where its kind is
    #[arg(long, value_name = "PATH", help_heading = "Mapping")]
    kind_at: Option<String>,

    /// Mapping: what to take away from the start of names, such as `service:`; can be repeated
    #[arg(long, value_name = "TEXT", help_heading = "Mapping")]
    strip: Vec<String>,
}

/// A format, or that each file tells its own.
#[derive(Clone, Copy, Debug)]
enum Chosen {
    Auto,
    This(Format),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DashedArg {
    Plain,
    Async,
    Soft,
}

fn format_parser() -> impl clap::builder::TypedValueParser<Value = Chosen> {
    let names = std::iter::once("auto").chain(Format::ALL.iter().map(|format| format.name()));
    PossibleValuesParser::new(names).map(|name| {
        let format = Format::ALL.iter().copied().find(|format| format.name() == name);
        format.map_or(Chosen::Auto, Chosen::This)
    })
}

pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((other, name)) if !other.is_empty() && !name.is_empty() => {
            Ok((other.to_owned(), name.to_owned()))
        }
        _ => Err("write the other name, `=`, and the name of the service".to_owned()),
    }
}

fn parse_metric(text: &str) -> Result<Metric, String> {
    // A preset first, since it holds no colon.
    if let Some(preset) = Metric::from_preset(text) {
        return Ok(preset);
    }
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [name, caller, callee] if !name.is_empty() => {
            let owned = |text: &str| text.to_owned();
            Ok(Metric { name: owned(name), caller: owned(caller), callee: owned(callee) })
        }
        _ => {
            Err("write `tempo`, `istio`, `linkerd`, or `NAME:CALLER-LABEL:CALLEE-LABEL`".to_owned())
        }
    }
}

/// Reads the files, and writes the topology.
pub(crate) fn run_import(args: &ImportArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let mut sources = Sources::default();
    let imported = import_files(args, terminal, &mut sources);
    let mut imported = match imported {
        Ok(imported) => imported,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    let warnings = std::mem::take(&mut imported.warnings);
    if !warnings.is_empty() {
        let style = diagnostics_style(terminal.colors_messages());
        terminal.write_note(&diagnostics::render_diagnostics(&warnings, &sources, style));
    }
    // The topology that is added to may be the one that is written.
    let output = ResultOutput::open(args.output.as_deref(), &args.files)?;
    if args.diff {
        let changes = join_lines(&imported.changes);
        output.write_result(
            if changes.is_empty() { "nothing would change\n" } else { &changes },
            terminal,
        )?;
        return Ok(Exit::Done);
    }
    output.write_result(&imported.text, terminal)?;
    let path = args.output.as_deref().unwrap_or("-");
    terminal.write_note(&join_lines(&import::summary_lines(&imported.graph, path)));
    // A topology in which nothing depends on anything shows no failure that spreads.
    let serves_alone = imported.graph.serving_dependencies().next().is_none();
    Ok(if args.strict && serves_alone { Exit::Caution } else { Exit::Done })
}

/// Lines, each with its end.
pub(super) fn join_lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

struct Imported {
    text: String,
    changes: Vec<String>,
    warnings: Vec<Diagnostic>,
    graph: EvidenceGraph,
}

fn import_files(
    args: &ImportArgs,
    terminal: Terminal,
    sources: &mut Sources,
) -> Result<Imported, Vec<Diagnostic>> {
    let base = match &args.merge {
        Some(path) => {
            let document = load::read_document(path, sources)?;
            if Kind::of_document(&document) != Some(Kind::Topology) {
                let message = format!("`{path}` is no topology to add to");
                return Err(vec![Diagnostic::file_error(Code::WrongKind, message)]);
            }
            // Checked first: what is wrong in it would otherwise be taken for the fault of the
            // import.
            Topology::from_document(&document)?;
            Some(document)
        }
        None => None,
    };
    let mut aliases = base.as_ref().map(import::aliases_of).unwrap_or_default();
    aliases.extend(args.aliases.iter().cloned());
    let mut graph = EvidenceGraph::new(&aliases);
    let bar = ImportBar::new(terminal);
    let read = read_files(args, &mut graph, sources, terminal, &bar);
    // The bar goes before any message, which would begin in its line.
    bar.line.finish_and_clear();
    read?;
    import::settle_graph(&mut graph);
    if base.is_none() && graph.services.is_empty() {
        let message = "objectives by themselves make no topology";
        let help = "add them to one: `--merge shop.yaml -o shop.yaml`";
        return Err(vec![Diagnostic::file_error(Code::Empty, message).help(help)]);
    }
    let mut warnings = graph.take_warnings();
    let (text, changes) = match &base {
        Some(document) => {
            let before = &sources.get(document.source).text;
            let merged = import::merge_graph(document, before, &graph);
            warnings.extend(merged.conflicts);
            (merged.text, merged.changes)
        }
        None => (import::write_topology(&topology_name(args), &graph), Vec::new()),
    };
    check_output(&text)?;
    Ok(Imported { text, changes, warnings, graph })
}

/// Checks that the tool can read the topology that is written.
pub(super) fn check_output(text: &str) -> Result<(), Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let read = load::parse_document("the result", text.as_bytes().to_vec(), &mut sources);
    read.and_then(|document: Document| Topology::from_document(&document)).map_err(|problems| {
        let first = problems.first().map_or("", |problem| &problem.message).to_owned();
        vec![
            Diagnostic::file_error(
                Code::ImportConflict,
                format!("the result would not be a valid topology: {first}"),
            )
            .help("nothing was written; if the sources are in order, please report this"),
        ]
    })?;
    Ok(())
}

/// Reads all files, each in its format.
fn read_files(
    args: &ImportArgs,
    graph: &mut EvidenceGraph,
    sources: &mut Sources,
    terminal: Terminal,
    bar: &ImportBar,
) -> Result<(), Vec<Diagnostic>> {
    let options = Options {
        reverse: args.reverse,
        dashed: match args.dashed {
            DashedArg::Plain => Dashed::Plain,
            DashedArg::Async => Dashed::Async,
            DashedArg::Soft => Dashed::Soft,
        },
        window: args.window.map(Seconds::get).filter(|window| *window > 0.0),
        endpoints: args.endpoints,
        allow_outside: args.allow_outside,
        metric: args.metric.clone(),
        paths: Paths {
            items: args.items_at.clone(),
            name: args.name_at.clone(),
            dependencies: args.dependencies_at.clone(),
            callers: args.callers_at.clone(),
            team: args.team_at.clone(),
            kind: args.kind_at.clone(),
            strip: args.strip.clone(),
        },
    };
    let progress = |done: u64, size: Option<u64>| bar.show_progress(done, size);
    match args.format {
        Chosen::This(format) => {
            import::read_files(format, &args.files, &options, graph, sources, &progress)
        }
        Chosen::Auto => {
            let mut recognized = import::recognize_files(&args.files)?;
            let read = recognized.read_groups(&options, graph, sources, &progress);
            bar.line.finish_and_clear();
            terminal.write_note(&join_lines(&recognized.notes));
            read
        }
    }
}

/// Returns the name of the topology.
fn topology_name(args: &ImportArgs) -> String {
    if let Some(name) = &args.name {
        return name.clone();
    }
    let output = args.output.as_deref().filter(|path| *path != "-");
    let path = output.or(args.files.first().map(String::as_str)).unwrap_or("imported");
    let file = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    // A hidden file such as `.env` is called by what stands behind the dot.
    let stem = file.trim_start_matches('.').split('.').next().unwrap_or_default();
    if stem.is_empty() || stem == "-" { "imported".to_owned() } else { stem.to_owned() }
}

/// How much of a large file is read.
struct ImportBar {
    line: ProgressBar,
    is_wanted: bool,
    started: Instant,
    known: RefCell<Option<u64>>,
}

impl ImportBar {
    fn new(terminal: Terminal) -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style =
            ProgressStyle::with_template("reading [{bar:24}] {bytes}/{total_bytes}  {eta} left")
                .expect("the template is well-formed")
                .progress_chars("=> ");
        line.set_style(style);
        let is_wanted =
            // A bar in a log would be thousands of lines.
            terminal.has_progress() && std::io::IsTerminal::is_terminal(&std::io::stderr());
        Self { line, is_wanted, started: Instant::now(), known: RefCell::new(None) }
    }

    fn show_progress(&self, done: u64, size: Option<u64>) {
        // Most files are read at once, and a bar that flashes up only distracts.
        if !self.is_wanted || self.started.elapsed() < PATIENCE {
            return;
        }
        if self.line.is_hidden() {
            self.line.set_draw_target(ProgressDrawTarget::stderr());
        }
        // Each file has its own size, and to set the length anew redraws the bar.
        if self.known.replace(size) != size
            && let Some(size) = size
        {
            self.line.set_length(size);
        }
        self.line.set_position(done);
    }
}
