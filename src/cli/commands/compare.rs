//! `blastwave compare`: architectures, or plans, under the same trials.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;

use crate::cli::Failure;
use crate::cli::args::{Format, MomentArgs, OutputArgs, SamplingArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs::Inputs;
use crate::cli::run::{self, SimulationRequest, check_lasting, not_boolean};
use crate::cli::terminal::Terminal;
use blastwave::analysis::{self, compare::Side};
use blastwave::cascade::{CascadeFilter, cascade_report};
use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::load::{self, Document, Node, Value};
use blastwave::model::{Change, Topology};
use blastwave::project::Project;
use blastwave::render::{self, html::Made};
use blastwave::report::ComparedKind;
use blastwave::report::compare::SideReport;
use blastwave::report::{CascadeReport, CompareReport};

/// Arguments of `blastwave compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The topologies, each compared with the first; one with `--changes`
    #[arg(value_name = "TOPOLOGY", required = true)]
    topologies: Vec<String>,

    /// The planned change that breaks, in all of them
    #[arg(long, value_name = "FILE", help_heading = "What breaks", conflicts_with_all = ["breaks", "changes"])]
    change: Option<String>,

    /// Services, endpoints or failure domains that break completely, at once and with certainty;
    /// can be repeated
    #[arg(
        long = "break",
        value_name = "TARGET[:MODE]",
        help_heading = "What breaks",
        conflicts_with = "changes"
    )]
    breaks: Vec<String>,

    /// Compare these changes to one topology instead
    #[arg(long, value_name = "FILE", num_args = 2.., help_heading = "What breaks")]
    changes: Vec<String>,

    /// Take what the one calls OLD for what the other calls NEW; can be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = parse_rename, help_heading = "What breaks")]
    rename: Vec<[String; 2]>,

    #[command(flatten)]
    moment: MomentArgs,

    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  Which of two architectures takes a broken change better?
    blastwave compare now.yaml planned.yaml --change payments-v4.yaml
  The same where a thing has another name in the other:
    blastwave compare monolith.yaml split.yaml --break db --rename db=orders-db
  Which of two ways to roll out?
    blastwave compare shop.yaml --changes at-once.yaml canary.yaml
  A report for people to open in a browser:
    blastwave compare now.yaml planned.yaml --change payments-v4.yaml --format html -o report.html";

fn parse_rename(text: &str) -> Result<[String; 2], String> {
    match text.split_once('=').map(|(old, new)| (old.trim(), new.trim())) {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => {
            Ok([old.to_owned(), new.to_owned()])
        }
        _ => Err("not two names; write for example `db=orders-db`".to_owned()),
    }
}

/// Compares.
pub(crate) fn run_compare(args: &CompareArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let has_changes = !args.changes.is_empty();
    match (args.topologies.len(), has_changes) {
        (1, false) => {
            return Err(Failure::usage("there is nothing to compare with")
                .help("name two topologies, or one and `--changes X.yaml Y.yaml`"));
        }
        (2.., true) => {
            return Err(Failure::usage("`--changes` compares changes to one topology")
                .help("compare topologies under one `--change`"));
        }
        _ if !has_changes && args.change.is_none() && args.breaks.is_empty() => {
            return Err(Failure::usage("nothing is said to break").help(
                "name a planned change with `--change FILE`, or a service with `--break NAME`",
            ));
        }
        _ => {}
    }
    let mut sources = Sources::default();
    let read = match read_sides(args, &mut sources) {
        Ok(read) => read,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    // A name that is mistyped would otherwise change nothing without a word.
    for [old, new] in &args.rename {
        if !read.renamed.contains(old) {
            return Err(Failure::usage(format!("nothing is called `{old}`"))
                .help(format!("`--rename {old}={new}` is for a service, domain or flow")));
        }
    }
    // A difference is judged by its interval, and one trial has none.
    if args.sampling.trials == Some(1) {
        return Err(Failure::usage("one trial says nothing of how much two sides differ")
            .help("leave `--trials` out, or give at least 2"));
    }
    // The first side stands for the request; the others are checked like it below.
    let (topology, change) = read.sides[0].clone();
    let project = Project {
        topology,
        change,
        changes: Vec::new(),
        diff: None,
        incident: None,
        policies: Vec::new(),
        waivers: None,
        is_certain: !args.breaks.is_empty(),
        warnings: Vec::new(),
        files: read.files,
    };
    let inputs = Inputs { project, sources };
    let file = args.output.to.output.as_deref();
    let question = SimulationRequest::with_duration(
        inputs,
        args.moment.lasting,
        &args.sampling,
        file,
        terminal,
    )?;
    // All sides run on the same engine under the same trials, so each must suit.
    for (topology, change) in &read.sides[1..] {
        check_lasting(args.moment.lasting, change)?;
        if let Some(reason) = analysis::engine_obstacle(topology, change, &question.settings) {
            return Err(not_boolean(reason));
        }
    }
    let names = side_names(
        &read.sides,
        if has_changes { &args.changes } else { &args.topologies },
        has_changes,
    );
    let sides: Vec<Side<'_>> = read
        .sides
        .iter()
        .zip(names)
        .map(|((topology, change), name)| Side { name, topology, change })
        .collect();
    let of = if has_changes { ComparedKind::Changes } else { ComparedKind::Topologies };
    let report = question.run_analysis(&args.sampling, |progress| {
        analysis::compare_sides(&sides, of, &args.rename, &question.settings, progress)
    })?;
    let exit = args.sampling.exit_status(report.partial, report.trials)?;
    let text = match args.output.format {
        Format::Text => {
            render::text::render_comparison(&report, &question.text_style(&args.output.to))
        }
        Format::Json => render::json::render_comparison(&report),
        Format::Markdown => render::markdown::render_comparison(&report),
        Format::Html => comparison_page(&report, &sides, &question.inputs.files),
    };
    question.write_text(&text)?;
    Ok(exit)
}

/// A report to open in a browser. Sides are those of the report, in its order.
pub(crate) fn comparison_page(
    report: &CompareReport,
    sides: &[Side<'_>],
    files: &[String],
) -> String {
    let cascade = |(side, of): (&Side<'_>, &SideReport)| {
        cascade_report(side.topology, &of.result, &CascadeFilter::default())
    };
    let focuses: Vec<CascadeReport> = sides.iter().zip(&report.sides).map(cascade).collect();
    let command = run::command_line();
    render::html::comparison_page(report, &focuses, &Made { command: &command, inputs: files })
}

/// The name of the topology or change, or the file where names repeat.
fn side_names(sides: &[(Topology, Change)], files: &[String], has_changes: bool) -> Vec<String> {
    let own = |(topology, change): &(Topology, Change)| {
        if has_changes { change.name.clone() } else { topology.name.clone() }
    };
    let names: Vec<String> = sides.iter().map(own).collect();
    if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
        return names;
    }
    let stem = |file: &String| {
        Path::new(file)
            .file_stem()
            .map_or_else(|| file.clone(), |item| item.to_string_lossy().into())
    };
    // Sides of one name could not be told apart in tables and pictures: their files tell them
    // apart.
    let stems: Vec<String> = files.iter().map(stem).collect();
    let all_differ = stems.iter().collect::<BTreeSet<_>>().len() == stems.len();
    let numbered = |(index, stem): (usize, String)| format!("{stem} ({})", index + 1);
    if all_differ { stems } else { stems.into_iter().enumerate().map(numbered).collect() }
}

struct CompareFiles {
    sides: Vec<(Topology, Change)>,
    files: Vec<String>,
    /// The old names that were found.
    renamed: BTreeSet<String>,
}

fn read_sides(args: &CompareArgs, sources: &mut Sources) -> Result<CompareFiles, Vec<Diagnostic>> {
    let mut renamed = BTreeSet::new();
    let mut document = |path: &String, sources: &mut Sources| {
        let mut document: Document = load::read_document(path, sources)?;
        rename_all(&mut document.root, "", &args.rename, &mut renamed);
        Ok::<_, Vec<Diagnostic>>(document)
    };
    // Documents are kept, not changes: each change is read anew for each topology.
    let changes: Vec<&String> = args.changes.iter().chain(&args.change).collect();
    let mut files = args.topologies.clone();
    files.extend(changes.iter().map(|path| (*path).clone()));
    let mut topologies = Vec::new();
    for path in &args.topologies {
        topologies.push(Topology::from_document(&document(path, sources)?)?);
    }
    let changes: Vec<Document> =
        changes.iter().map(|path| document(path, sources)).collect::<Result<_, _>>()?;
    let mut breaks = args.breaks.clone();
    // Breaks name things as well, and must follow them to their new names.
    for spec in &mut breaks {
        // The mode stands behind the colon and is no name.
        let (name, mode) = spec.split_at(spec.find(':').unwrap_or(spec.len()));
        if let Some(new) = new_name(name, &args.rename) {
            *spec = format!("{new}{mode}");
        }
    }
    let mut sides = Vec::new();
    for topology in &topologies {
        for document in &changes {
            sides.push((topology.clone(), Change::from_document(document, topology)?));
        }
        if changes.is_empty() {
            let change = Change::from_breaks(&breaks, topology, sources)?;
            sides.push((topology.clone(), change));
        }
    }
    Ok(CompareFiles { sides, files, renamed })
}

/// Where things are given their names.
const DEFINES: [&str; 3] = ["services", "failure_domains", "flows"];
/// Where they are referred to by them.
const REFERS: [&str; 14] = [
    "targets",
    "target",
    "caller",
    "watches",
    "service",
    "domain",
    "domains",
    "within",
    "during",
    "dependencies",
    "any_of",
    "steps",
    "needs",
    "fallback",
];

/// Gives things their new names, where they are defined and wherever they are referred to.
/// `under` is the key that a value stands at.
fn rename_all(
    node: &mut Node,
    under: &str,
    renames: &[[String; 2]],
    renamed: &mut BTreeSet<String>,
) {
    match &mut node.value {
        Value::Text(text) if REFERS.contains(&under) => {
            if let Some(new) = new_name(text, renames) {
                *text = new.into();
            }
        }
        Value::Sequence(items) => {
            items.iter_mut().for_each(|item| rename_all(item, under, renames, renamed));
        }
        Value::Mapping(entries) => {
            for entry in entries.iter_mut() {
                // Keys of other mappings are words of the format, even where one is spelled like a
                // service.
                let old = renames.iter().find(|[old, _]| **old == *entry.key.text);
                if let (true, Some([old, new])) = (DEFINES.contains(&under), old) {
                    renamed.insert(old.clone());
                    entry.key.text = new.as_str().into();
                }
                let key = entry.key.text.to_string();
                rename_all(&mut entry.value, &key, renames, renamed);
            }
        }
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The new name of a service, one of its endpoints, a domain or a flow.
fn new_name(text: &str, renames: &[[String; 2]]) -> Option<String> {
    renames.iter().find_map(|[old, new]| {
        let rest = text.strip_prefix(old.as_str())?;
        // An endpoint goes with its service; `cart-db` does not go with `cart`.
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{new}{rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_name_is_renamed() {
        let mut sources = Sources::default();
        let text = "services:\n  soft: {}\n  shop:\n    kind: soft\n    dependencies:\n      \
                    - { service: soft, criticality: soft }\n      - soft/read\n";
        let mut document =
            load::parse_document("t.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        let mut renamed = BTreeSet::new();
        let renames = [["soft".to_owned(), "hard".to_owned()]];
        rename_all(&mut document.root, "", &renames, &mut renamed);
        let shown = format!("{:?}", document.root);
        assert_eq!(shown.matches("\"hard\"").count(), 2, "{shown}");
        assert_eq!(shown.matches("\"hard/read\"").count(), 1, "{shown}");
        assert_eq!(shown.matches("\"soft\"").count(), 2, "{shown}");
        assert!(renamed.contains("soft"));
    }

    #[test]
    fn a_change_is_renamed_too() {
        let mut sources = Sources::default();
        let text = "targets: [pay, pay/card]\nactions:\n  - { at: 5m, action: bypass, target: pay, caller: pay }\n";
        let mut document =
            load::parse_document("c.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        let renames = [["pay".to_owned(), "till".to_owned()]];
        rename_all(&mut document.root, "", &renames, &mut BTreeSet::new());
        let shown = format!("{:?}", document.root);
        assert_eq!(shown.matches("\"till\"").count(), 3, "{shown}");
        assert_eq!(shown.matches("\"till/card\"").count(), 1, "{shown}");
        assert!(!shown.contains("\"pay"), "{shown}");
    }
}
