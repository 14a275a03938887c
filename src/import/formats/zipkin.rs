//! Zipkin: traces of the second edition, as a list or a list of lists, and dependencies.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::spans::{
    Given, Linker, SpanKind, has_failed, id_number, is_address_only, settled_kind, span_peer,
    zone_name,
};
use super::traces::{LooseNumber, each_value};
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::model::topology::Evidence;

#[derive(Deserialize)]
#[serde(untagged)]
enum ZipkinItem<'a> {
    Trace(#[serde(borrow)] Vec<ZipkinSpan<'a>>),
    One(#[serde(borrow)] Box<ZipkinSpan<'a>>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZipkinSpan<'a> {
    #[serde(borrow, default)]
    trace_id: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    parent_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    local_endpoint: Option<ZipkinEndpoint<'a>>,
    #[serde(borrow, default)]
    remote_endpoint: Option<ZipkinEndpoint<'a>>,
    #[serde(borrow, default)]
    tags: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(default)]
    shared: bool,
    /// In microseconds.
    #[serde(default)]
    timestamp: LooseNumber,
    /// In microseconds.
    #[serde(default)]
    duration: LooseNumber,
    // What a link of dependencies has.
    #[serde(borrow, default)]
    parent: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    child: Option<Cow<'a, str>>,
    #[serde(default)]
    call_count: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZipkinEndpoint<'a> {
    #[serde(borrow, default)]
    service_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ipv4: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ipv6: Option<Cow<'a, str>>,
}

/// Reads traces or dependencies.
pub(in crate::import) fn read_traces(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let mut linker = Linker::new();
    let path = input.files.first().cloned().unwrap_or_default();
    let mut links = 0_u64;
    each_value(Format::Zipkin, input, graph, |bytes, graph| {
        let items: Vec<ZipkinItem<'_>> = if bytes.starts_with(b"{") {
            vec![serde_json::from_slice(bytes)?]
        } else {
            serde_json::from_slice(bytes)?
        };
        for item in &items {
            let spans = match item {
                ZipkinItem::Trace(spans) => &spans[..],
                ZipkinItem::One(span) => std::slice::from_ref(&**span),
            };
            for span in spans {
                if let (Some(parent), Some(child)) = (&span.parent, &span.child) {
                    links += 1;
                    let source = format!("{path}: entry {links}");
                    let known = graph.depend_on(parent, child, Evidence::Observed, source);
                    if let Some(dependency) = known {
                        dependency.calls +=
                            span.call_count.filter(|call_count| *call_count > 0.0).unwrap_or(0.0);
                    }
                } else {
                    add_span(span, &mut linker);
                }
            }
        }
        Ok(())
    })?;
    if linker.spans_total() == 0 && links == 0 {
        return Err(not_of(Format::Zipkin, &path, "it holds neither spans nor `{parent, child}`"));
    }
    linker.finish_graph(&path, input.options, graph);
    Ok(())
}

fn add_span(span: &ZipkinSpan<'_>, linker: &mut Linker) {
    let name = |endpoint: &Option<ZipkinEndpoint<'_>>| -> String {
        let name = endpoint.as_ref().and_then(|endpoint| endpoint.service_name.as_deref());
        name.unwrap_or_default().to_owned()
    };
    let (service, remote) = (name(&span.local_endpoint), name(&span.remote_endpoint));
    let tags = span.tags.as_ref();
    let get = |key: &str| {
        let text = tags?.get(key).map(|text| &**text);
        text.filter(|text| !text.trim().is_empty())
    };
    // Some libraries put an address where a name belongs.
    let is_remote_named = !remote.is_empty() && !is_address_only(&remote);
    let kind = match span.kind.as_deref() {
        Some("CLIENT") => SpanKind::Client,
        Some("SERVER") => SpanKind::Server,
        Some("PRODUCER") => SpanKind::Producer,
        Some("CONSUMER") => SpanKind::Consumer,
        // Without a kind but with both ends it is a call.
        _ if !service.is_empty() && is_remote_named => SpanKind::Client,
        _ => SpanKind::Local,
    };
    let kind = settled_kind(kind, &get);
    let mut other = span_peer(kind, &get);
    // The endpoint is what the tracer knew, and tags are what the library guessed.
    if is_remote_named {
        other.name = &remote;
        other.is_address = false;
    } else if other.name.is_empty() && kind == SpanKind::Client {
        let endpoint = span.remote_endpoint.as_ref();
        other.is_address |= !remote.is_empty()
            || endpoint.is_some_and(|endpoint| endpoint.ipv4.is_some() || endpoint.ipv6.is_some());
    }
    // A remote endpoint says what it is only where tags do.
    let is_told = ["db.system", "db.system.name", "db.type"].iter().any(|key| get(key).is_some());
    other.kind = match kind {
        SpanKind::Producer | SpanKind::Consumer => Some("queue"),
        SpanKind::Client if is_told || !is_remote_named => other.kind,
        _ => None,
    };
    linker.add_span(Given {
        trace: id_number(&span.trace_id),
        id: id_number(&span.id),
        parent: span.parent_id.as_deref().map_or(0, id_number),
        is_shared: span.shared,
        kind,
        service: &service,
        operation: span.name.as_deref().unwrap_or_default(),
        peer: other,
        zone: zone_name(&get),
        start: span.timestamp.0.map(|start| start.saturating_mul(1_000)),
        duration: span.duration.0.map(|duration| duration.saturating_mul(1_000)),
        // The tag holds a message, or nothing.
        is_failed: has_failed(
            tags.and_then(|tags| tags.get("error")).is_some_and(|error| error != "false"),
            &get,
        ),
        ..Given::default()
    });
}
