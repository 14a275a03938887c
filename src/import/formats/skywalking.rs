//! Apache `SkyWalking`: answers of its query API, with the topology of services or the spans of a trace.

use std::collections::{BTreeMap, BTreeSet};

use super::spans::{Given, Linker, Peer, SpanKind, id_number, is_address_only};
use crate::diagnostic::{Code, Diagnostic};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::kinds;
use crate::import::{Format, Input, not_of};
use crate::load::Node;
use crate::model::topology::Evidence;

/// Reads answers.
pub(crate) fn read_answers(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let mut linker = Linker::new();
    let mut nodes = 0;
    let documents = input.read_documents(graph)?;
    for (path, document) in &documents {
        let data = document.root.get("data").unwrap_or(&document.root);
        // The query may give its answer any name.
        let own = std::iter::once(data).chain(data.entries().iter().map(|entry| &entry.value));
        for answer in own {
            if answer.get("calls").is_some() {
                nodes += add_topology(path, answer, graph);
            }
            for span in answer.get("spans").map(Node::items).unwrap_or_default() {
                add_span(span, &mut linker);
            }
        }
    }
    let path = documents.first().map_or("", |(path, _)| path);
    if nodes == 0 && linker.spans_total() == 0 {
        let expected = "it holds neither `nodes` with `calls` nor `spans`";
        return Err(not_of(Format::Skywalking, path, expected));
    }
    linker.finish_graph(path, input.options, graph);
    Ok(())
}

/// Returns the name of a service without the group in front of it (`agent::store`), and without the port
/// that a peer has.
fn name_of(node: &Node) -> Option<&str> {
    let name = node.scalar_at("name")?;
    let name = name.rsplit("::").next().unwrap_or(name);
    // Of a broker with several addresses the first stands for all.
    let name = name.split([',', ';']).next().unwrap_or(name);
    Some(match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    })
}

/// Adds nodes and calls; gives how many services there are.
fn add_topology(path: &str, answer: &Node, graph: &mut EvidenceGraph) -> usize {
    let list = |key: &str| answer.get(key).map(Node::items).unwrap_or_default();
    let kind = |node: &Node| node.scalar_at("type").unwrap_or_default().to_lowercase();
    let mut names: BTreeMap<&str, (&str, Option<&'static str>)> = BTreeMap::new();
    let mut users = Vec::new();
    let mut addresses = BTreeSet::new();
    for node in list("nodes") {
        let (Some(id), Some(name)) = (node.scalar_at("id"), name_of(node)) else { continue };
        if kind(node) == "user" {
            users.push(id);
            continue;
        }
        let is_real = node.scalar_at("isReal") != Some("false");
        // The agent makes such a node for every address that it sees.
        if !is_real && is_address_only(name) {
            addresses.insert(id);
            continue;
        }
        let tells =
            kinds::of_image(&kind(node)).filter(|of_image| *of_image != "gateway" || !is_real);
        let service = graph.service_or_new(name);
        service.kind = match tells {
            Some(kind) => Some(kind.to_owned()),
            None if !is_real => Some("external".to_owned()),
            None => service.kind.take(),
        };
        names.insert(id, (name, tells));
    }
    for (index, call) in list("calls").iter().enumerate() {
        let (Some(from), Some(to)) = (call.scalar_at("source"), call.scalar_at("target")) else {
            continue;
        };
        match (names.get(from), names.get(to)) {
            (Some(from), Some(to)) => {
                // A queue does not call its consumers: they take from it, and need it.
                let is_queue = |end: &(&str, Option<&str>)| end.1 == Some("queue");
                let (caller, callee) = if is_queue(from) { (to, from) } else { (from, to) };
                let source = format!("{path}: call {}", index + 1);
                let known = graph.depend_on(caller.0, callee.0, Evidence::Observed, source);
                if let (Some(dependency), true) = (known, is_queue(callee)) {
                    dependency.note_call(true);
                }
            }
            _ if addresses.contains(from) || addresses.contains(to) => graph.address_calls += 1,
            (None, Some(to)) if users.contains(&from) => graph.service_or_new(to.0).is_entry = true,
            _ => {
                let message =
                    format!("call {} of `{path}` names a node that is not there", index + 1);
                graph.warn(Code::Dangling, message, call.place);
            }
        }
    }
    names.len()
}

fn add_span(span: &Node, linker: &mut Linker) {
    let get = |key: &str| span.scalar_at(key).filter(|text| !text.is_empty()).unwrap_or_default();
    // The numbers of spans start anew in every segment, so that both together name a span.
    let number = |segment: &str, span: &str| id_number(&format!("{segment}#{span}"));
    let (segment, own) = (get("segmentId"), get("spanId"));
    let reference = span.get("refs").and_then(|refs| refs.items().first());
    // `-1` is the parent of the first span in a segment, whose parent is in another one.
    let parent = match (get("parentSpanId"), reference) {
        ("" | "-1", None) => 0,
        ("" | "-1", Some(reference)) => number(
            reference.scalar_at("parentSegmentId").unwrap_or_default(),
            reference.scalar_at("parentSpanId").unwrap_or_default(),
        ),
        (parent, _) => number(segment, parent),
    };
    let layer = get("layer").to_lowercase();
    let is_message = layer == "mq";
    let kind = match get("type").to_lowercase().as_str() {
        "entry" if is_message => SpanKind::Consumer,
        "entry" => SpanKind::Server,
        "exit" if is_message => SpanKind::Producer,
        "exit" => SpanKind::Client,
        _ => SpanKind::Local,
    };
    // Peers are `host:port`, of brokers several with commas between.
    let peer = get("peer").split([',', ';']).next().unwrap_or_default();
    let peer = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    let time = |key: &str| {
        let milliseconds = span.get(key).and_then(Node::number).filter(|time| *time > 0.0)?;
        #[expect(clippy::cast_sign_loss, reason = "it is above 0")]
        Some((milliseconds as u64).saturating_mul(1_000_000))
    };
    let (start, end) = (time("startTime"), time("endTime"));
    let service = get("serviceCode").rsplit("::").next().unwrap_or_default();
    linker.add_span(Given {
        trace: id_number(get("traceId")),
        id: number(segment, own),
        parent,
        kind,
        service,
        operation: get("endpointName"),
        peer: Peer {
            name: if kind == SpanKind::Server || is_address_only(peer) { "" } else { peer },
            kind: Some(match layer.as_str() {
                "database" => "database",
                "cache" => "cache",
                "mq" => "queue",
                _ => "external",
            }),
            broker: "",
            is_address: is_address_only(peer),
        },
        start,
        duration: start.zip(end).and_then(|(start, end)| end.checked_sub(start)),
        is_failed: get("isError") == "true",
        ..Given::default()
    });
}
