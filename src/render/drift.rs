//! How a topology and its sources differ, as text and as Markdown.

use std::fmt::Write as _;

use crate::prose::escape::{markdown_code as code, markdown_prose as prose};
use crate::prose::format;
use crate::report::drift::{DriftCode, DriftEntry, DriftReport};

/// The groups in the order in which they are shown, each with its title.
const GROUPS: [(DriftCode, &str); 5] = [
    (DriftCode::ServiceNotInTopology, "Services that the topology does not have"),
    (DriftCode::ServiceNotInSources, "Services that the sources do not have"),
    (DriftCode::DependencyNotInTopology, "Dependencies that the topology does not have"),
    (DriftCode::DependencyNotInSources, "Dependencies that the sources do not have"),
    (DriftCode::Moved, "Figures that have moved"),
];

/// Returns the sentence that says whether they differ.
fn drift_headline(report: &DriftReport) -> String {
    match report.differences.len() {
        0 => format!(
            "The topology and its sources agree on {} and {}.",
            format::plural(report.services, "service"),
            match report.dependencies {
                1 => "1 dependency".to_owned(),
                count => format!("{count} dependencies"),
            }
        ),
        1 => "The topology and its sources differ in 1 place.".to_owned(),
        count => format!("The topology and its sources differ in {count} places."),
    }
}

fn entry_name(entry: &DriftEntry, style: fn(&str) -> String) -> String {
    match &entry.dependency {
        Some(dependency) => format!("{} -> {}", style(&entry.name), style(dependency)),
        None => style(&entry.name),
    }
}

/// Returns the text behind the name: the figures, or how it is known and where.
fn entry_detail(entry: &DriftEntry, style: fn(&str) -> String) -> String {
    if let (Some(key), Some(topology), Some(sources)) =
        (&entry.key, &entry.in_topology, &entry.in_sources)
    {
        // Keys of the topology are written with `_` and `.`, which read badly in a sentence.
        let key = key.replace(['_', '.'], " ");
        let source = entry.source.as_deref().map(|source| format!(" ({})", style(source)));
        let source = source.unwrap_or_default();
        return format!(": {key} {topology} in the topology, {sources} in the sources{source}");
    }
    match (&entry.evidence, &entry.source) {
        (Some(evidence), Some(source)) => format!(" ({evidence}; {})", style(source)),
        (Some(evidence), None) => format!(" ({evidence})"),
        _ => String::new(),
    }
}

/// Renders the differences for a terminal.
pub fn drift_text(report: &DriftReport) -> String {
    let plain: fn(&str) -> String = str::to_owned;
    let mut out = drift_headline(report) + "\n";
    for (wanted, title) in GROUPS {
        let mut entries =
            report.differences.iter().filter(|difference| difference.code == wanted).peekable();
        if entries.peek().is_some() {
            let _ = writeln!(out, "\n{title}");
        }
        for entry in entries {
            let _ = writeln!(out, "  {}{}", entry_name(entry, plain), entry_detail(entry, plain));
        }
    }
    out
}

/// Renders the differences as a comment for a pull request.
pub fn drift_markdown(report: &DriftReport) -> String {
    let mut out = format!("**{}**\n", prose(&drift_headline(report)));
    for (wanted, title) in GROUPS {
        let mut entries =
            report.differences.iter().filter(|difference| difference.code == wanted).peekable();
        if entries.peek().is_some() {
            let _ = writeln!(out, "\n### {title}\n");
        }
        for entry in entries {
            let _ = writeln!(out, "- {}{}", entry_name(entry, code), entry_detail(entry, code));
        }
    }
    out
}
