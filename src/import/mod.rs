//! Files of other programs to a topology: one file per format, one shared graph of evidence.
//!
//! Paths and options come in, a [`graph::EvidenceGraph`] is filled, and [`write_topology`] makes a topology file of
//! it that [`crate::model`] accepts. What a source does not say stays unsaid; a part that cannot be
//! understood is a warning; a file that is not what it should be is an error. Values of environment
//! variables are only searched for names of hosts and are never copied: they hold secrets.

mod auto;
mod change;
mod format;
mod formats;
mod graph;
mod named_files;
mod recognition;
mod timeline;

pub use auto::{Recognized, recognize_files};
pub use change::{ChangeFormat, ChangeRequest, DerivedChange, derive_change};
pub use format::Format;
pub use formats::mapping::Paths;
pub use formats::prometheus::Metric;
pub use graph::drift::{DifferenceKind, DriftDifference, Moved, find_drift};
pub use graph::limits::StatedPool;
pub use graph::measurements::{LatencyGap, MeasuredErrors, MeasuredLatency};
pub use graph::merge::{Merged, aliases_of, merge_graph};
pub use graph::names::shell_word;
pub use graph::summary::{most_called, summary_lines};
pub use graph::write::{write_topology, yaml_scalar};
pub use graph::{
    EvidenceGraph, ImportedDependency, ImportedFlow, ImportedObjective, ImportedService,
};
pub use recognition::{Recognition, Unrendered, recognize_file};
pub use timeline::{TimelineText, incident_of_timeline};

use formats::{
    aspire, backstage, bering, cloudformation, compose, csv, d2, dot, ecs, edges, entities,
    graphml, hubble, isotope, jaeger, kiali, kubernetes, linkerd, mapping, mermaid, mubench, nais,
    objectives, otlp, plantuml, prometheus, skywalking, spigo, structurizr, terraform, xray,
    zipkin,
};
use graph::{flows, kinds, summary as found};

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic, Place, SourceId, Sources};
use crate::load::{self, Document};

/// Meaning of a dashed or dotted line in a drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dashed {
    /// The same as any other.
    #[default]
    Plain,
    /// The caller does not wait.
    Async,
    /// The caller lives without it.
    Soft,
}

/// Options that the user gives for the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Arrows point from the dependency to its caller.
    pub reverse: bool,
    /// Meaning of dashed lines.
    pub dashed: Dashed,
    /// Over how many seconds the calls were recorded, for rates.
    pub window: Option<f64>,
    /// Tell the operations apart with which requests enter, each with dependencies of its own.
    pub endpoints: bool,
    /// Files that other files name may lie outside of the project.
    pub allow_outside: bool,
    /// The metric and its labels.
    pub metric: Option<Metric>,
    /// Where a mapped file says what.
    pub paths: Paths,
}

/// Files, options and progress that an importer works with.
pub(crate) struct Input<'a> {
    pub(crate) files: &'a [String],
    pub(crate) options: &'a Options,
    pub(crate) sources: &'a mut Sources,
    /// Told how many bytes of how many were read.
    pub(crate) progress: &'a dyn Fn(u64, Option<u64>),
}

impl Input<'_> {
    /// Reads a file in a language of its own; returns its number, for places in it, and its text.
    pub(crate) fn read_text(&mut self, path: &str) -> Result<(SourceId, String), Vec<Diagnostic>> {
        let source = load::read_text(path, self.sources)?;
        Ok((source, self.sources.get(source).text.clone()))
    }

    /// The documents of all files, each with the path it came from.
    pub(crate) fn read_documents(
        &mut self,
        graph: &mut EvidenceGraph,
    ) -> Result<Vec<(String, Document)>, Vec<Diagnostic>> {
        let mut all = Vec::new();
        for path in self.files {
            for mut document in load::read_foreign(path, self.sources)? {
                graph.warn_all(std::mem::take(&mut document.problems));
                if recognition::has_placeholder_name(&document.root) {
                    let message =
                        format!("an object of `{path}` is left out: its name is a placeholder");
                    graph.warn(Code::NotUnderstood, message, document.root.place);
                    continue;
                }
                all.push((path.clone(), document));
            }
        }
        Ok(all)
    }
}

/// Adds what some files of one format say to a graph.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub fn read_files(
    format: Format,
    files: &[String],
    options: &Options,
    graph: &mut EvidenceGraph,
    sources: &mut Sources,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), Vec<Diagnostic>> {
    let files: Vec<String> = match format {
        Format::Compose => files.to_vec(),
        _ => files.iter().flat_map(|path| files_below(path, format)).collect(),
    };
    let before = graph.services.len() + graph.dependencies.len();
    let input = &mut Input { files: &files, options, sources, progress };
    match format {
        Format::Compose => compose::read_projects(input, graph),
        Format::Kubernetes => kubernetes::read_manifests(input, graph),
        Format::Backstage => backstage::read_catalogs(input, graph),
        Format::Otlp => otlp::read_traces(input, graph),
        Format::Jaeger => jaeger::read_traces(input, graph),
        Format::Zipkin => zipkin::read_traces(input, graph),
        Format::Prometheus => prometheus::read_metrics(input, graph),
        Format::Csv => csv::read_tables(input, graph),
        Format::Json => edges::read_lists(input, graph),
        Format::Dot => dot::read_drawings(input, graph),
        Format::Graphml => graphml::read_graphs(input, graph),
        Format::Kiali => kiali::read_graphs(input, graph),
        Format::Linkerd => linkerd::read_edges(input, graph),
        Format::Structurizr => structurizr::read_workspaces(input, graph),
        Format::Bering => bering::read_models(input, graph),
        Format::Isotope => isotope::read_service_graphs(input, graph),
        Format::Mubench => mubench::read_work_models(input, graph),
        Format::Aspire => aspire::read_manifests(input, graph),
        Format::Spigo => spigo::read_architectures(input, graph),
        Format::Nais => nais::read_applications(input, graph),
        Format::Mermaid => mermaid::read_drawings(input, graph),
        Format::Ecs => ecs::read_definitions(input, graph),
        Format::Terraform => terraform::read_resources(input, graph),
        Format::Cloudformation => cloudformation::read_templates(input, graph),
        Format::Datadog | Format::Cortex | Format::Opslevel => {
            entities::read_entities(format, input, graph)
        }
        Format::Plantuml => plantuml::read_drawings(input, graph),
        Format::D2 => d2::read_drawings(input, graph),
        Format::Xray => xray::read_traces(input, graph),
        Format::Hubble => hubble::read_flows(input, graph),
        Format::Skywalking => skywalking::read_answers(input, graph),
        Format::Openslo | Format::Sloth | Format::Pyrra => {
            objectives::read_objectives(format, input, graph)
        }
        Format::Mapping => mapping::read_descriptions(input, graph),
    }?;
    let shown: Vec<&str> = files.iter().map(String::as_str).take(4).collect();
    let more =
        if files.len() > 4 { format!(" and {} more", files.len() - 4) } else { String::new() };
    graph.origins.push(format!("{}{more} ({})", shown.join(", "), format.name()));
    let caution = format.caution().to_owned();
    if !graph.remarks.contains(&caution) {
        graph.remarks.push(caution);
    }
    // Objectives are added to services that are known already.
    let has_nothing = graph.services.is_empty() && graph.objectives.is_empty();
    if before == 0 && has_nothing {
        let message = format!("no service was found in {} ({})", shown.join(", "), format.name());
        let problem = Diagnostic::file_error(Code::Empty, message);
        return Err(vec![match recognition::rendering_remedy(&files) {
            Some(remedy) => problem.help(remedy),
            None => problem.help(
                "is this the right format? `blastwave import auto FILE` tells what a file looks like",
            ),
        }]);
    }
    Ok(())
}

/// Settles what can be said only when all sources are read: shares of calls, kinds, flows.
pub fn settle_graph(graph: &mut EvidenceGraph) {
    graph.join_short_names();
    edges::derive_call_probabilities(graph);
    kinds::soften_telemetry(graph);
    kinds::detach_from_brokers(graph);
    graph.settle_limits();
    graph.warn_of_similar_names();
    graph.warn_of_numbered_names();
    graph.part_domains_from_services();
    flows::derive_flows(graph);
    if graph.serving_dependencies().next().is_none() {
        graph.remarks.push(found::NO_RUN_TIME_DEPENDENCY.to_owned());
    }
    graph.remarks.push(
        "No source says what a caller does without a dependency: everything is taken for hard unless \
         marked; review `criticality`, timeouts and fallbacks."
            .to_owned(),
    );
}

/// The files of a directory that can be of a format; the path itself when it is none.
fn files_below(path: &str, format: Format) -> Vec<String> {
    let wanted = format.endings();
    if path == "-" || load::is_file(path) {
        return vec![path.to_owned()];
    }
    let mut files = load::files_below(path);
    if files.as_slice() != [path.to_owned()] {
        files.retain(|file| wanted.iter().any(|end| file.to_lowercase().ends_with(end)));
    }
    files
}

/// Hides what stands below keys that may hold secrets from all messages that show a line.
fn hide_values<'d>(
    documents: impl IntoIterator<Item = &'d Document>,
    keys: &[&str],
    sources: &mut Sources,
) {
    // A file may hold thousands of documents: its text is rewritten once for all of them.
    let mut by_source: BTreeMap<SourceId, Vec<Place>> = BTreeMap::new();
    for document in documents {
        let places = by_source.entry(document.source).or_default();
        let mut open = vec![(&document.root, false)];
        while let Some((node, is_secret)) = open.pop() {
            if is_secret && node.scalar().is_some() {
                places.push(node.place);
            }
            open.extend(node.items().iter().map(|item| (item, is_secret)));
            open.extend(node.entries().iter().map(|entry| {
                let key = &*entry.key.text;
                (&entry.value, is_secret || keys.contains(&key) || key.starts_with("x-"))
            }));
        }
    }
    for (source, places) in by_source {
        sources.hide(source, &places);
    }
}

/// An error about a file that is not of the format it should be.
fn not_of(format: Format, path: &str, expected: &str) -> Vec<Diagnostic> {
    let message = format!("`{path}` is not of the format `{}`: {expected}", format.name());
    vec![
        Diagnostic::file_error(Code::WrongKind, message)
            .help("`blastwave import auto FILE` tells what a file looks like"),
    ]
}
