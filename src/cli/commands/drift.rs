//! `blastwave drift`: where a topology and what really runs differ.

use clap::{Args, ValueEnum};

use super::import::{join_lines, parse_pair};
use crate::cli::exit::Exit;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use crate::cli::{Failure, diagnostics_style, values};
use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::import::{self, DifferenceKind, DriftDifference, EvidenceGraph, Format, Options};
use blastwave::load;
use blastwave::model::{Seconds, Share, Topology};
use blastwave::render::{self, text::diagnostics};
use blastwave::report::drift::{DriftCode, DriftEntry, DriftReport};
use blastwave::suggest;

/// Which topology, and what it is held against.
#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    /// The topology
    #[arg(value_name = "TOPOLOGY")]
    topology: String,

    /// Sources to compare with: a format of `blastwave import`, or `auto`, and files; can be
    /// repeated
    #[arg(long, num_args = 2.., value_names = ["FORMAT", "FILE"], required = true)]
    from: Vec<String>,

    /// Take one name for another: `nginx-web-server=nginx`; can be repeated
    #[arg(long = "alias", value_name = "OTHER=NAME", value_parser = parse_pair, help_heading = "Reading")]
    aliases: Vec<(String, String)>,

    /// Over how long traces or metrics were recorded, for rates: `1h`
    #[arg(long, value_name = "DURATION", value_parser = values::parse_duration, help_heading = "Reading")]
    window: Option<Seconds>,

    /// Part by which a measured latency, share or rate may differ, of the larger figure
    #[arg(long, value_name = "SHARE", default_value = "20%", value_parser = values::parse_share, help_heading = "Reading")]
    tolerance: Share,

    /// Read files that others name outside of the repository, too
    #[arg(long, help_heading = "Reading")]
    allow_outside: bool,

    /// How to write the differences
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: DriftFormat,

    /// Write to a file, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DriftFormat {
    Text,
    Json,
    Markdown,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  Does the topology still say what the Compose file says?
    blastwave drift topology.yaml --from compose compose.yaml
  Against what runs, and against an hour of traces, as a comment for a pull request:
    blastwave drift topology.yaml --from kubernetes all.yaml --from otlp traces.jsonl --window 1h \\
      --format markdown";

/// Compares, and ends with status 3 where they differ.
pub(crate) fn run_drift(args: &DriftArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let mut sources = Sources::default();
    // The output must not take the place of the topology that is compared.
    let output = ResultOutput::open(args.output.as_deref(), std::slice::from_ref(&args.topology))?;
    let (report, warnings) = match compare_sources(args, terminal, &mut sources) {
        Ok(compared) => compared,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    if !warnings.is_empty() {
        let style = diagnostics_style(terminal.colors_messages());
        terminal.write_note(&diagnostics::render_diagnostics(&warnings, &sources, style));
    }
    let text = match args.format {
        DriftFormat::Text => render::text::drift_text(&report),
        DriftFormat::Json => render::json::render_drift(&report),
        DriftFormat::Markdown => render::markdown::drift_markdown(&report),
    };
    output.write_result(&text, terminal)?;
    Ok(if report.differences.is_empty() { Exit::Done } else { Exit::Caution })
}

fn compare_sources(
    args: &DriftArgs,
    terminal: Terminal,
    sources: &mut Sources,
) -> Result<(DriftReport, Vec<Diagnostic>), Vec<Diagnostic>> {
    let document = load::read_document(&args.topology, sources)?;
    let topology = Topology::from_document(&document)?;
    let mut aliases = import::aliases_of(&document);
    aliases.extend(args.aliases.iter().cloned());
    let mut graph = EvidenceGraph::new(&aliases);
    let options = Options {
        // No time at all would make every rate endless.
        window: args.window.map(Seconds::get).filter(|window| *window > 0.0),
        allow_outside: args.allow_outside,
        ..Options::default()
    };
    for (format, files) in source_groups(&args.from)? {
        let progress = |_, _| {};
        if let Some(format) = format {
            import::read_files(format, &files, &options, &mut graph, sources, &progress)?;
        } else {
            let mut recognized = import::recognize_files(&files)?;
            let read = recognized.read_groups(&options, &mut graph, sources, &progress);
            // Notes are written even where the reading failed: they say what was recognised.
            terminal.write_note(&join_lines(&recognized.notes));
            read?;
        }
    }
    import::settle_graph(&mut graph);
    let warnings = graph.take_warnings();
    let known = |name: &str| graph.services.contains_key(name);
    let in_both = topology.services.iter().filter(|service| known(&service.name)).count();
    let differences = import::find_drift(&topology, &graph, args.tolerance.get());
    let only_in_sources = differences
        .iter()
        .filter(|difference| difference.kind == DifferenceKind::DependencyNotInTopology)
        .count();
    let report = DriftReport {
        schema_version: 1,
        tolerance: args.tolerance.get(),
        topology: topology.name.clone(),
        sources: graph.origins.clone(),
        services: in_both,
        dependencies: graph.dependencies.len() - only_in_sources,
        differences: differences.into_iter().map(drift_entry).collect(),
    };
    Ok((report, warnings))
}

/// The files of one `--from`, with their format; `None` is `auto`.
type SourceGroup = (Option<Format>, Vec<String>);

/// Returns the files of each `--from`.
fn source_groups(from: &[String]) -> Result<Vec<SourceGroup>, Vec<Diagnostic>> {
    let mut groups: Vec<SourceGroup> = Vec::new();
    for word in from {
        let format = Format::ALL.iter().copied().find(|format| format.name() == word);
        match groups.last_mut() {
            // A word that is a format begins a group, even where a file is called like that.
            _ if word == "auto" || format.is_some() => groups.push((format, Vec::new())),
            Some((_, files)) => files.push(word.clone()),
            None => {
                let names = Format::ALL.iter().map(|format| format.name()).chain(["auto"]);
                let message = format!("`{word}` is no format of `blastwave import`");
                let problem = Diagnostic::file_error(Code::UnknownWord, message);
                let nearest = suggest::nearest(word, names);
                return Err(vec![match nearest {
                    Some(nearest) => problem.help(format!("did you mean `{nearest}`?")),
                    None => problem.help("write `--from FORMAT FILE`, or `--from auto FILE`"),
                }]);
            }
        }
    }
    Ok(groups)
}

fn drift_entry(difference: DriftDifference) -> DriftEntry {
    let moved = difference.moved;
    DriftEntry {
        code: match difference.kind {
            DifferenceKind::ServiceNotInTopology => DriftCode::ServiceNotInTopology,
            DifferenceKind::ServiceNotInSources => DriftCode::ServiceNotInSources,
            DifferenceKind::DependencyNotInTopology => DriftCode::DependencyNotInTopology,
            DifferenceKind::DependencyNotInSources => DriftCode::DependencyNotInSources,
            DifferenceKind::Moved => DriftCode::Moved,
        },
        name: difference.name,
        dependency: difference.dependency,
        evidence: difference.evidence,
        source: difference.source,
        key: moved.as_ref().map(|moved| moved.key.to_owned()),
        in_topology: moved.as_ref().map(|moved| moved.topology.clone()),
        in_sources: moved.map(|moved| moved.sources),
    }
}
