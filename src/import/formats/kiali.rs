//! Kiali's graph: Cytoscape JSON whose ids are hashes.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::Graph;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// Reads graphs.
pub(in crate::import) fn read(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.documents(graph)? {
        let elements = document.root.get("elements").ok_or_else(|| {
            not_of(Format::Kiali, &path, "it has no `elements` with `nodes` and `edges`")
        })?;
        let data = |key: &str| -> Vec<&Node> {
            let list = elements.get(key).map(Node::items).unwrap_or_default();
            list.iter().filter_map(|item| item.get("data")).collect()
        };
        let (nodes, edges) = (data("nodes"), data("edges"));
        let clusters: std::collections::BTreeSet<&str> = nodes
            .iter()
            .filter_map(|node| node.scalar_at("cluster"))
            .filter(|it| *it != "unknown")
            .into_set();
        let mut names = BTreeMap::new();
        for node in &nodes {
            let Some(id) = node.scalar_at("id") else { continue };
            // Boxes only group.
            if node.get("isBox").is_some_and(|it| it.scalar().is_some()) {
                continue;
            }
            let name = name_of(node, clusters.len() > 1);
            if let Some(cluster) = node.scalar_at("cluster").filter(|_| clusters.len() > 1) {
                let domain = graph.domain(cluster, "cluster");
                graph.service(&name).domains = vec![domain];
            }
            let service = graph.service(&name);
            service.is_entry |= node.scalar_at("isRoot") == Some("true");
            if node.get("isServiceEntry").is_some() {
                service.kind = Some("external".to_owned());
            }
            names.insert(id, name);
        }
        let is_of_services = document.root.scalar_at("graphType") == Some("service");
        let through = if is_of_services { BTreeMap::new() } else { collapsible(&nodes, &edges) };
        for edge in &edges {
            let (Some(from), Some(to)) = (edge.scalar_at("source"), edge.scalar_at("target"))
            else {
                graph.warn(Code::NotUnderstood, "an edge without two ends", edge.place);
                continue;
            };
            let (Some(caller), Some(_)) = (names.get(from), names.get(to)) else {
                let message = format!("an edge of `{path}` names a node that is not there");
                graph.warn(Code::Dangling, message, edge.place);
                continue;
            };
            if through.contains_key(from) {
                continue;
            }
            let protocol = edge.scalar_at("traffic.protocol").unwrap_or("unknown");
            let source = format!("{path}: {protocol} traffic");
            // A service between two workloads only stands for the second.
            for target in through.get(to).map_or(&[to][..], Vec::as_slice) {
                if let Some(callee) = names.get(*target) {
                    graph.depend(caller, callee, Evidence::Observed, source.clone());
                }
            }
        }
        for id in through.keys() {
            if let Some(name) = names.get(id) {
                let name = graph.name(name);
                graph.services.remove(&name);
            }
        }
    }
    Ok(())
}

/// Service nodes that lead on to workloads, and where to: they are the same thing twice.
fn collapsible<'a>(nodes: &[&'a Node], edges: &[&'a Node]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut targets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        if node.scalar_at("nodeType") == Some("service")
            && let Some(id) = node.scalar_at("id")
        {
            targets.insert(id, Vec::new());
        }
    }
    for edge in edges {
        if let (Some(from), Some(to)) = (edge.scalar_at("source"), edge.scalar_at("target"))
            && let Some(list) = targets.get_mut(from)
        {
            list.push(to);
        }
    }
    targets.retain(|_, list| !list.is_empty());
    targets
}

fn name_of(node: &Node, with_cluster: bool) -> String {
    let get = |key: &str| node.scalar_at(key).filter(|text| !text.is_empty());
    let namespace = get("namespace").unwrap_or("unknown");
    let name = match (get("nodeType"), get("app"), get("workload"), get("service")) {
        (Some("service"), _, _, Some(service)) => format!("svc:{service}"),
        (Some("app"), Some(app), _, _) => match get("version") {
            Some(version) => format!("{app}@{version}"),
            None => app.to_owned(),
        },
        (_, _, Some(workload), _) => workload.to_owned(),
        (_, Some(app), _, _) => app.to_owned(),
        (_, _, _, Some(service)) => format!("svc:{service}"),
        _ => "unknown".to_owned(),
    };
    match get("cluster") {
        Some(cluster) if with_cluster => format!("{cluster}/{namespace}/{name}"),
        _ => format!("{namespace}/{name}"),
    }
}
