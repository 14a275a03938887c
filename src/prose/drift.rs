//! Sentences on how a topology and its sources differ.

use super::format;
use crate::report::drift::{DriftCode, DriftEntry, DriftReport};

/// The groups in the order in which they are shown, each with its title.
const GROUPS: [(DriftCode, &str); 5] = [
    (DriftCode::ServiceNotInTopology, "Services that the topology does not have"),
    (DriftCode::ServiceNotInSources, "Services that the sources do not have"),
    (DriftCode::DependencyNotInTopology, "Dependencies that the topology does not have"),
    (DriftCode::DependencyNotInSources, "Dependencies that the sources do not have"),
    (DriftCode::Moved, "Figures that have moved"),
];

/// Returns the differences by group, each group with its title, without those that are empty.
pub(crate) fn entries_by_group(
    report: &DriftReport,
) -> impl Iterator<Item = (&'static str, Vec<&DriftEntry>)> {
    let groups = GROUPS.into_iter().map(|(code, title)| {
        let entries = report.differences.iter().filter(|entry| entry.code == code);
        (title, entries.collect::<Vec<_>>())
    });
    groups.filter(|(_, entries)| !entries.is_empty())
}

/// Returns the sentence that says whether they differ.
pub(crate) fn drift_headline(report: &DriftReport) -> String {
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

/// Returns the name of the service, flow or dependency.
pub(crate) fn entry_name(entry: &DriftEntry, style: fn(&str) -> String) -> String {
    match &entry.dependency {
        Some(dependency) => format!("{} -> {}", style(&entry.name), style(dependency)),
        None => style(&entry.name),
    }
}

/// Returns the text behind the name: the figures, or how it is known and where.
pub(crate) fn entry_detail(entry: &DriftEntry, style: fn(&str) -> String) -> String {
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
