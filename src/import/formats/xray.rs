//! AWS X-Ray: the service graph (`aws xray get-service-graph`) and traces (`aws xray batch-get-traces`).

use std::collections::BTreeMap;

use super::spans::{Given, Linker, Peer, SpanKind, id_number, is_address_only};
use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::measurements::{Durations, MeasuredErrors, REQUESTS_MIN};
use crate::import::graph::{EvidenceGraph, ImportedFlow};
use crate::import::{Format, Input, not_of};
use crate::load::{Node, parse_foreign};
use crate::model::topology::Evidence;

/// The deepest nesting of subsegments that is followed.
const DEPTH_MAX: usize = 50;

/// Reads graphs and traces.
pub(crate) fn read_traces(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let mut linker = Linker::new();
    let mut services = 0;
    let documents = input.read_documents(graph)?;
    for (path, document) in &documents {
        if let Some(list) = document.root.get("Services") {
            services += add_service_graph(path, &document.root, list.items(), graph);
        }
        for trace in document.root.get("Traces").map(Node::items).unwrap_or_default() {
            for segment in trace.get("Segments").map(Node::items).unwrap_or_default() {
                add_document(path, segment, input, graph, &mut linker)?;
            }
        }
        // A segment by itself, as the daemon takes it.
        if document.root.get("trace_id").is_some() {
            add_segment(&document.root, "", 0, None, &mut linker, 0);
        }
    }
    let path = documents.first().map_or("", |(path, _)| path);
    if services == 0 && linker.spans_total() == 0 {
        let expected = "it holds neither `Services` with `Edges` nor `Traces` with `Segments`";
        return Err(not_of(Format::Xray, path, expected));
    }
    linker.finish_graph(path, input.options, graph);
    Ok(())
}

/// A node of the service graph.
struct XrayService<'a> {
    name: &'a str,
    kind: NodeKind,
    /// Requests that it got while the graph was recorded.
    requests: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeKind {
    /// Stands for whoever calls from outside.
    Client,
    Service,
    /// Something of which only the address is known.
    Address,
    Other(&'static str),
}

fn node_kind(kind: &str) -> NodeKind {
    let lower = kind.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if lower == "client" {
        NodeKind::Client
    } else if has(&["database::", "dynamodb", "::rds", "redshift", "docdb", "neptune"]) {
        NodeKind::Other("database")
    } else if has(&["sqs", "sns", "kinesis", "::events", "::msk", "eventbridge", "::mq"]) {
        NodeKind::Other("queue")
    } else if has(&["elasticache", "memcached", "redis"]) {
        NodeKind::Other("cache")
    } else if lower == "remote" {
        NodeKind::Other("external")
    } else {
        NodeKind::Service
    }
}

/// Adds the nodes and edges of a service graph; gives how many services it has.
fn add_service_graph(path: &str, root: &Node, list: &[Node], graph: &mut EvidenceGraph) -> usize {
    let number = |node: &Node, path: &str| node.node_at(path).and_then(Node::number).unwrap_or(0.0);
    let services: BTreeMap<&str, XrayService<'_>> = list
        .iter()
        .filter_map(|node| {
            let name =
                node.scalar_at("Name").or_else(|| node.get("Names")?.items().first()?.scalar())?;
            let kind = match node_kind(node.scalar_at("Type").unwrap_or_default()) {
                // A remote host known by its address alone would be another service tomorrow.
                NodeKind::Other("external") if is_address_only(name) => NodeKind::Address,
                kind => kind,
            };
            let requests = number(node, "SummaryStatistics.TotalCount");
            Some((node.scalar_at("ReferenceId")?, XrayService { name, kind, requests }))
        })
        .collect();
    let runs =
        |service: &&XrayService<'_>| !matches!(service.kind, NodeKind::Client | NodeKind::Address);
    // Clients stand for users, who are no service.
    for service in services.values().filter(runs) {
        let known = graph.service_or_new(service.name);
        if let NodeKind::Other(kind) = service.kind {
            known.kind.get_or_insert_with(|| kind.to_owned());
        }
    }
    let seconds = number(root, "EndTime") - number(root, "StartTime");
    for node in list {
        let Some(from) = node.scalar_at("ReferenceId").and_then(|id| services.get(id)) else {
            continue;
        };
        for edge in node.get("Edges").map(Node::items).unwrap_or_default() {
            let to = edge.scalar_at("ReferenceId").and_then(|id| services.get(id));
            let Some(to) = to else {
                let message = format!("an edge of `{}` in `{path}` leads to no service", from.name);
                graph.warn(Code::Dangling, message, edge.place);
                continue;
            };
            let calls = number(edge, "SummaryStatistics.TotalCount").max(0.0);
            if to.kind == NodeKind::Address {
                graph.address_calls += 1;
            } else if from.kind == NodeKind::Client {
                add_entry(to.name, calls, seconds, graph);
            } else {
                add_edge(path, from, to, calls, graph);
            }
        }
    }
    for node in list {
        let service = node.scalar_at("ReferenceId").and_then(|id| services.get(id));
        if let Some(service) = service.filter(runs) {
            add_answers(path, node, service.name, graph);
        }
    }
    services.values().filter(runs).count()
}

/// Adds how long a node of the graph takes to answer, and how often it fails.
fn add_answers(path: &str, node: &Node, name: &str, graph: &mut EvidenceGraph) {
    let mut durations = Durations::default();
    for part in node.get("ResponseTimeHistogram").map(Node::items).unwrap_or_default() {
        let number = |key: &str| part.get(key).and_then(Node::number).filter(|part| *part > 0.0);
        if let (Some(seconds), Some(count)) = (number("Value"), number("Count")) {
            #[expect(clippy::cast_sign_loss, reason = "both are above 0")]
            durations.add_many((seconds * 1e9) as u64, count as u64);
        }
    }
    let service = graph.service_or_new(name);
    service.note_durations(&durations, path);
    let number = |path: &str| node.node_at(path).and_then(Node::number).unwrap_or(0.0);
    let requests = number("SummaryStatistics.TotalCount");
    let failed = number("SummaryStatistics.FaultStatistics.TotalCount");
    if requests >= REQUESTS_MIN && (0.0..=requests).contains(&failed) {
        let source = path.to_owned();
        service.note_errors(MeasuredErrors { requests, failed, failed_alone: None, source });
    }
}

/// Makes a flow of the requests that clients send to a service.
fn add_entry(service: &str, calls: f64, seconds: f64, graph: &mut EvidenceGraph) {
    let step = graph.service_name(service);
    graph.service_or_new(service).is_entry = true;
    if calls > 0.0 && seconds > 0.0 && seconds.is_finite() {
        let flow = graph.flows.entry(step.clone()).or_insert_with(|| ImportedFlow {
            title: Some(format!("requests of clients at {step}")),
            steps: vec![step],
            rate: None,
            is_derived: false,
        });
        flow.rate = Some(flow.rate.unwrap_or(0.0) + calls / seconds);
    }
}

fn add_edge(
    path: &str,
    from: &XrayService<'_>,
    to: &XrayService<'_>,
    calls: f64,
    graph: &mut EvidenceGraph,
) {
    let is_queue = |service: &XrayService<'_>| service.kind == NodeKind::Other("queue");
    // A queue does not call its consumers: they take from it, and need it.
    let is_delivery = is_queue(from);
    let (caller, callee) = if is_delivery { (to, from) } else { (from, to) };
    let source = format!("{path}: {calls} calls from {} to {}", from.name, to.name);
    let known = graph.depend_on(caller.name, callee.name, Evidence::Observed, source);
    let Some(dependency) = known else { return };
    if is_queue(callee) {
        dependency.note_call(true);
    }
    // A delivery is counted at the queue, and says nothing of how many requests of its consumer
    // need it.
    if calls > 0.0 && caller.requests > 0.0 && !is_delivery {
        dependency.call_probability = Some((calls / caller.requests).min(1.0));
    }
}

/// Adds a segment, whose document is a text that holds JSON.
fn add_document(
    path: &str,
    segment: &Node,
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
    linker: &mut Linker,
) -> Result<(), Vec<Diagnostic>> {
    match segment.get("Document") {
        // The API gives each segment as a text, while files exported by hand hold it as an object.
        Some(document) if document.scalar().is_some() => {
            let text = document.scalar().unwrap_or_default().as_bytes().to_vec();
            for document in parse_foreign(path, text, input.sources)? {
                add_segment(&document.root, "", 0, None, linker, 0);
            }
        }
        Some(document) => add_segment(document, "", 0, None, linker, 0),
        None => graph.warn(Code::NotUnderstood, "a segment without a document", segment.place),
    }
    Ok(())
}

/// Adds a segment, or a subsegment of `service`, and everything below it.
fn add_segment(
    node: &Node,
    trace: &str,
    parent: u64,
    service: Option<&str>,
    linker: &mut Linker,
    depth: usize,
) {
    let trace = node.scalar_at("trace_id").unwrap_or(trace);
    let own = id_number(node.scalar_at("id").unwrap_or_default());
    let name = node.scalar_at("name").unwrap_or_default();
    let parent = node.scalar_at("parent_id").map_or(parent, id_number);
    let namespace = node.scalar_at("namespace").unwrap_or_default();
    // A subsegment with a namespace left the process; others are steps within it.
    let is_remote = service.is_some() && matches!(namespace, "remote" | "aws");
    let kind = match service {
        None => SpanKind::Server,
        Some(_) if is_remote => SpanKind::Client,
        Some(_) => SpanKind::Local,
    };
    let table = node.scalar_at("aws.table_name");
    let queue = node.scalar_at("aws.queue_url").and_then(|url| url.rsplit('/').next());
    let peer_kind = if node.get("sql").is_some() || table.is_some() {
        "database"
    } else if queue.is_some() || matches!(name, "SQS" | "SNS" | "Kinesis") {
        "queue"
    } else {
        "external"
    };
    let time = |key: &str| {
        let seconds = node.get(key).and_then(Node::number).filter(|time| *time > 0.0)?;
        // A number of seconds since 1970 holds microseconds, but no nanoseconds.
        #[expect(clippy::cast_sign_loss, reason = "it is above 0")]
        Some((seconds * 1e6).round() as u64)
    };
    let (start, end) = (time("start_time"), time("end_time"));
    let duration = start.zip(end).and_then(|(start, end)| end.checked_sub(start));
    linker.add_span(Given {
        trace: id_number(trace),
        id: own,
        parent,
        kind,
        service: service.unwrap_or(name),
        operation: node.scalar_at("http.request.method").unwrap_or(name),
        peer: if is_remote {
            // The name of a subsegment is that of the service of AWS; a table or a queue in it is
            // more exact.
            Peer { name: queue.or(table).unwrap_or(name), kind: Some(peer_kind), ..Peer::default() }
        } else {
            Peer::default()
        },
        is_detached: is_remote && peer_kind == "queue",
        zone: node.scalar_at("aws.ec2.availability_zone").unwrap_or_default(),
        start: start.map(|start| start.saturating_mul(1_000)),
        duration: duration.map(|duration| duration.saturating_mul(1_000)),
        // `error` is what the caller did wrong, `fault` what failed.
        is_failed: node.scalar_at("fault") == Some("true"),
        ..Given::default()
    });
    if depth < DEPTH_MAX {
        let service = service.or(Some(name));
        for below in node.get("subsegments").map(Node::items).unwrap_or_default() {
            add_segment(below, trace, own, service, linker, depth + 1);
        }
    }
}
