//! Kiali's graph: Cytoscape JSON whose ids are hashes.

use std::collections::{BTreeMap, BTreeSet};

use super::traffic::{CallTraffic, CountUnit, CountedCalls};
use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::measurements::LatencyGap;
use crate::import::{Format, Input, not_of};
use crate::load::Node;

/// The party that a node of the graph stands for.
enum KialiParty {
    Service {
        name: String,
        group: String,
    },
    /// Callers from outside of the mesh: a node that only stands for users.
    Outside(String),
    /// Hosts that the mesh does not know.
    Unknown,
}

/// Reads graphs.
pub(in crate::import) fn read_graphs(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    for (path, document) in input.read_documents(graph)? {
        let elements = document.root.get("elements").ok_or_else(|| {
            not_of(Format::Kiali, &path, "it has no `elements` with `nodes` and `edges`")
        })?;
        let data = |key: &str| -> Vec<&Node> {
            let list = elements.get(key).map(Node::items).unwrap_or_default();
            list.iter().filter_map(|item| item.get("data")).collect()
        };
        let (nodes, edges) = (data("nodes"), data("edges"));
        // A graph of services has no workloads behind them to collapse into.
        let is_of_services = document.root.scalar_at("graphType") == Some("service");
        let through =
            // In graphs of workloads Kiali draws the service between two workloads as a node of its
            // own.
            if is_of_services { BTreeMap::new() } else { collapsible_nodes(&nodes, &edges) };
        let parties = add_nodes(&nodes, &through, graph);
        let mut traffic = CallTraffic::new(CountUnit::PerSecond);
        let mut unknown = 0;
        for edge in &edges {
            let (Some(from), Some(to)) = (edge.scalar_at("source"), edge.scalar_at("target"))
            else {
                graph.warn(Code::NotUnderstood, "an edge without two ends", edge.place);
                continue;
            };
            let (Some(caller), Some(_)) = (parties.get(from), parties.get(to)) else {
                let message = format!("an edge of `{path}` names a node that is not there");
                graph.warn(Code::Dangling, message, edge.place);
                continue;
            };
            // What a service sends on to its workloads is counted with the calls to it.
            if through.contains_key(from) {
                continue;
            }
            let protocol = edge.scalar_at("traffic.protocol").unwrap_or("unknown");
            let source = format!("{path}: {protocol} traffic");
            let (requests, failed) = (requests_of(edge), failures_of(edge));
            // A service between two workloads only stands for the second.
            let own = [(to, 1.0)];
            for (target, share) in through.get(to).map_or(&own[..], Vec::as_slice) {
                let Some(KialiParty::Service { name: callee, group }) = parties.get(*target) else {
                    unknown += 1;
                    continue;
                };
                let counted = CountedCalls {
                    requests: requests * share,
                    failed: failed * share,
                    group: group.clone(),
                    is_message: false,
                    source: source.clone(),
                };
                match caller {
                    KialiParty::Service { name, .. } => traffic.count_calls(name, callee, &counted),
                    KialiParty::Outside(name) => {
                        traffic.count_calls(name, callee, &counted);
                        let rate = traffic.per_second(counted.requests);
                        let service = graph.service_or_new(callee);
                        service.is_entry = true;
                        let rate = rate.filter(|rate| *rate > 0.0);
                        service.entry_rate = rate
                            .map(|rate| rate + service.entry_rate.unwrap_or(0.0))
                            .or(service.entry_rate);
                    }
                    KialiParty::Unknown => unknown += 1,
                }
                // Kiali shows one response time whose quantile the user chose, and the file does
                // not say which.
                if edge.get("responseTime").is_some() {
                    let service = graph.service_or_new(callee);
                    service.latency_gap = service.latency_gap.or(Some(LatencyGap::UnnamedQuantile));
                }
            }
        }
        traffic.add_to(graph);
        if unknown > 0 {
            graph.remarks.push(format!(
                "{unknown} edges lead to hosts that the mesh does not know: third parties may be missing."
            ));
        }
    }
    Ok(())
}

/// Adds the services of nodes; gives what each node stands for.
fn add_nodes<'a>(
    nodes: &[&'a Node],
    through: &BTreeMap<&str, Vec<(&str, f64)>>,
    graph: &mut EvidenceGraph,
) -> BTreeMap<&'a str, KialiParty> {
    // With one cluster its name would only make all names longer.
    let clusters: BTreeSet<&str> = nodes.iter().filter_map(|node| cluster_of(node)).collect();
    let mut parties = BTreeMap::new();
    for node in nodes {
        let Some(id) = node.scalar_at("id") else { continue };
        // Boxes only group.
        if node.get("isBox").is_some_and(|node| node.scalar().is_some()) {
            continue;
        }
        if is_unknown(node) {
            let name = name_of(node, false);
            graph.service_or_new(&name).kind = Some("load generator".to_owned());
            parties.insert(id, KialiParty::Outside(name));
            continue;
        }
        let service = node.scalar_at("service").unwrap_or_default();
        // These two stand for all hosts that the mesh does not know: they would join unrelated
        // third parties in one.
        if matches!(service, "PassthroughCluster" | "BlackHoleCluster") {
            parties.insert(id, KialiParty::Unknown);
            continue;
        }
        let name = name_of(node, clusters.len() > 1);
        // Versions of one application form a group, of which any may answer a call.
        let group = match (node.scalar_at("namespace"), node.scalar_at("app")) {
            (Some(namespace), Some(app)) if !app.is_empty() => format!("{namespace}/{app}"),
            _ => name.clone(),
        };
        if !through.contains_key(id) {
            // A workload is called so in its manifest.
            let workload = node
                .scalar_at("workload")
                .filter(|scalar_at| name.ends_with(&format!("/{scalar_at}")));
            if let (Some(workload), true) = (workload, clusters.len() < 2) {
                graph.note_short_name(&name, workload);
            }
            if let Some(cluster) = cluster_of(node).filter(|_| clusters.len() > 1) {
                let domain = graph.domain_name(cluster, "cluster");
                graph.service_or_new(&name).domains = vec![domain];
            }
            let service = graph.service_or_new(&name);
            service.is_entry |= node.scalar_at("isRoot") == Some("true");
            // The service `unknown` is how Kiali draws hosts outside of the mesh.
            let is_of_nobody = node.scalar_at("service") == Some("unknown");
            if node.get("isServiceEntry").is_some() || is_of_nobody {
                service.kind = Some("external".to_owned());
            }
        }
        parties.insert(id, KialiParty::Service { name, group });
    }
    parties
}

fn cluster_of(node: &Node) -> Option<&str> {
    node.scalar_at("cluster").filter(|cluster| !cluster.is_empty() && *cluster != "unknown")
}

/// Returns whether a node stands for whoever is outside of the mesh.
fn is_unknown(node: &Node) -> bool {
    let is =
        // Kiali leaves fields out or writes `unknown`, which both mean that it does not know.
        |key: &str| node.scalar_at(key).is_none_or(|text| text.is_empty() || text == "unknown");
    // A service that nobody knows is called, and does not call.
    let is_called = node.scalar_at("nodeType") == Some("service");
    // A node that aggregates requests stands for operations of a known service.
    !is_called && is("workload") && is("app") && is("service") && node.get("aggregate").is_none()
}

/// Returns the requests per second of an edge; 0 for connections, which are no requests.
fn requests_of(edge: &Node) -> f64 {
    sum_of_rates(edge, &["http", "grpc"])
}

/// Returns the requests per second of an edge that failed.
fn failures_of(edge: &Node) -> f64 {
    sum_of_rates(edge, &["http5xx", "grpcErr"])
}

fn sum_of_rates(edge: &Node, keys: &[&str]) -> f64 {
    let rate = |key: &str| {
        edge.node_at(&format!("traffic.rates.{key}")).and_then(Node::number).unwrap_or(0.0)
    };
    let rate: f64 = keys.iter().map(|key| rate(key)).sum();
    // A rate may be `NaN` where Prometheus had nothing to divide.
    if rate.is_finite() { rate.max(0.0) } else { 0.0 }
}

/// Returns the service nodes that lead on to workloads, and which share of their calls goes where: they are
/// the same thing twice.
fn collapsible_nodes<'a>(
    nodes: &[&'a Node],
    edges: &[&'a Node],
) -> BTreeMap<&'a str, Vec<(&'a str, f64)>> {
    let mut targets: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
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
            list.push((to, requests_of(edge)));
        }
    }
    targets.retain(|_, list| !list.is_empty());
    for list in targets.values_mut() {
        let all: f64 = list.iter().map(|(_, requests)| requests).sum();
        for (_, share) in list.iter_mut() {
            // Without rates nothing is known of the split: then no count is either.
            *share = if all > 0.0 { *share / all } else { 1.0 };
        }
    }
    targets
}

fn name_of(node: &Node, with_cluster: bool) -> String {
    let get = |key: &str| node.scalar_at(key).filter(|text| !text.is_empty());
    let namespace = get("namespace").unwrap_or("unknown");
    let name = match (get("nodeType"), get("app"), get("workload"), get("service")) {
        // A service and its workload often have the same name and are two nodes, so one of them
        // gets a prefix.
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
    match cluster_of(node) {
        Some(cluster) if with_cluster => format!("{cluster}/{namespace}/{name}"),
        _ => format!("{namespace}/{name}"),
    }
}
