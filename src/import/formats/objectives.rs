//! Service level objectives: `OpenSLO`, Sloth, Pyrra. They say how available something must be, and in which
//! window; a topology has that for its flows.

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::{EvidenceGraph, ImportedObjective};
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::units::{Seconds, parse_duration};

/// Window of Sloth and Pyrra where a file says nothing: 30 days.
const USUAL_WINDOW: f64 = 30.0 * 86_400.0;

/// Reads objectives of a format.
pub(in crate::import) fn read_objectives(
    format: Format,
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let (before, mut is_known) = (graph.objectives.len(), false);
    let documents = input.read_documents(graph)?;
    for (path, document) in &documents {
        let root = &document.root;
        is_known |= is_of_format(format, root);
        match format {
            _ if !is_of_format(format, root) => {}
            Format::Openslo => read_openslo(path, root, graph),
            Format::Pyrra => read_pyrra(path, root, graph),
            _ => {
                // The operator has the same below `spec`.
                let spec = root.get("spec").filter(|_| root.get("kind").is_some());
                read_sloth(path, spec.unwrap_or(root), graph);
            }
        }
    }
    if graph.objectives.len() > before {
        return Ok(());
    }
    let path = documents.first().map_or("", |(path, _)| path);
    if is_known {
        let message = format!("no objective of `{path}` is about requests that fail");
        let help = "objectives about latency, and targets of 0% or 100%, are left out";
        return Err(vec![Diagnostic::file_error(Code::Empty, message).help(help)]);
    }
    let expected = match format {
        Format::Openslo => "it holds no `kind: SLO`",
        Format::Pyrra => "it holds no `kind: ServiceLevelObjective`",
        _ => "it holds no `slos` of a `service`",
    };
    Err(not_of(format, path, expected))
}

/// Whether a document is of a format: a repository keeps other objects beside them.
fn is_of_format(format: Format, root: &Node) -> bool {
    let kind = root.scalar_at("kind");
    match format {
        Format::Openslo => kind == Some("SLO"),
        Format::Pyrra => kind == Some("ServiceLevelObjective"),
        _ => root.get("slos").is_some() || root.node_at("spec.slos").is_some(),
    }
}

fn read_openslo(path: &str, root: &Node, graph: &mut EvidenceGraph) {
    let name = root.scalar_at("metadata.name").unwrap_or("unnamed");
    let spec = |key: &str| root.node_at(&format!("spec.{key}"));
    let service = spec("service").and_then(Node::scalar);
    // A threshold is about how long answers take, and a share of requests is none of time.
    if root.node_at("spec.indicator.spec.thresholdMetric").is_some() {
        leave_out(name, "it is about a threshold, not about requests that fail", root, graph);
        return;
    }
    let windows = spec("timeWindow").map(Node::items).unwrap_or_default();
    let window = windows.first().and_then(|window| window.scalar_at("duration"));
    for objective in spec("objectives").map(Node::items).unwrap_or_default() {
        let percent = objective.get("targetPercent").and_then(Node::number);
        let target = objective.get("target").and_then(Node::number);
        let share = target.or_else(|| percent.map(|percent| percent / 100.0));
        add_objective(path, name, service, share, window, objective, graph);
    }
}

fn read_sloth(path: &str, spec: &Node, graph: &mut EvidenceGraph) {
    let service = spec.scalar_at("service");
    for slo in spec.get("slos").map(Node::items).unwrap_or_default() {
        let name = slo.scalar_at("name").unwrap_or("unnamed");
        let share = slo.get("objective").and_then(Node::number).map(|percent| percent / 100.0);
        if is_about_latency(name) {
            leave_out(name, "its name says that it is about latency", slo, graph);
            continue;
        }
        add_objective(path, name, service, share, None, slo, graph);
    }
}

fn read_pyrra(path: &str, root: &Node, graph: &mut EvidenceGraph) {
    let name = root.scalar_at("metadata.name").unwrap_or("unnamed");
    let is_latency = ["spec.indicator.latency", "spec.indicator.latencyNative"]
        .iter()
        .any(|key| root.node_at(key).is_some());
    if is_latency {
        leave_out(name, "it is about latency, not about requests that fail", root, graph);
        return;
    }
    let labels = root.node_at("metadata.labels");
    let service = labels.and_then(|labels| labels.get("pyrra.dev/service")?.scalar());
    let share = root.node_at("spec.target").and_then(Node::number).map(|percent| percent / 100.0);
    add_objective(path, name, service, share, root.scalar_at("spec.window"), root, graph);
}

fn is_about_latency(name: &str) -> bool {
    let name = name.to_lowercase();
    ["latency", "duration", "response-time"].iter().any(|word| name.contains(word))
}

fn leave_out(name: &str, why: &str, node: &Node, graph: &mut EvidenceGraph) {
    let message = format!("the objective `{name}` is left out: {why}");
    graph.warn(Code::NotUnderstood, message, node.place);
}

fn add_objective(
    path: &str,
    name: &str,
    service: Option<&str>,
    share: Option<f64>,
    window: Option<&str>,
    node: &Node,
    graph: &mut EvidenceGraph,
) {
    let Some(availability) = share.filter(|share| *share > 0.0 && *share < 1.0) else {
        leave_out(name, "its target is no share between 0 and 1", node, graph);
        return;
    };
    let Some(window) = window.map_or(Some(USUAL_WINDOW), window_seconds) else {
        leave_out(name, "its window is no duration", node, graph);
        return;
    };
    graph.objectives.push(ImportedObjective {
        name: name.to_owned(),
        service: service.map(str::to_owned),
        availability,
        window,
        source: format!("{path}: {name}"),
        place: node.place,
    });
}

/// Reads a window: `30d`, `4w`, and the calendar's `1M`, `1Q`, `1Y`.
fn window_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let days = [("w", 7.0), ("M", 30.0), ("Q", 90.0), ("Y", 365.0)];
    for (unit, days) in days {
        if let Some(count) = text.strip_suffix(unit) {
            let count: f64 = count.trim().parse().ok()?;
            return (count > 0.0 && count <= 100.0).then_some(count * days * 86_400.0);
        }
    }
    parse_duration(text).ok().map(Seconds::get).filter(|window| *window > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_durations_or_parts_of_the_calendar() {
        let days = |text: &str| window_seconds(text).map(|seconds| (seconds / 86_400.0).round());
        for (text, expected) in
            [("30d", 30.0), ("4w", 28.0), ("720h", 30.0), ("1M", 30.0), ("1Q", 90.0)]
        {
            assert!(days(text).is_some_and(|days| days.total_cmp(&expected).is_eq()), "{text}");
        }
        assert_eq!(days("a month"), None);
        assert_eq!(days("0w"), None);
    }
}
