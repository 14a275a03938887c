//! Jaeger: traces as its page and its API give them, and dependencies.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::spans::{
    Given, Linker, SpanKind, has_failed, id_number, settled_kind, span_peer, zone_name,
};
use super::traces::{LooseNumber, Several, each_value};
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};
use crate::model::topology::Evidence;

/// An answer of the API, a trace, a span or a link: the keys tell.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerItem<'a> {
    #[serde(borrow, default)]
    data: Option<Vec<Self>>,
    /// Storages wrap each span, and lists of them twice.
    #[serde(borrow, default, rename = "_source")]
    source: Option<Box<Self>>,
    #[serde(borrow, default)]
    hits: Option<Several<Self>>,
    #[serde(borrow, default)]
    spans: Option<Vec<Self>>,
    #[serde(borrow, default)]
    processes: BTreeMap<Cow<'a, str>, Process<'a>>,
    #[serde(borrow, default)]
    parent: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    child: Option<Cow<'a, str>>,
    #[serde(default, alias = "call_count")]
    call_count: Option<f64>,
    #[serde(borrow, default, rename = "traceID", alias = "traceId")]
    trace_id: Cow<'a, str>,
    #[serde(borrow, default, rename = "spanID", alias = "spanId")]
    id: Cow<'a, str>,
    #[serde(borrow, default, rename = "parentSpanID")]
    parent_span_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    operation_name: Cow<'a, str>,
    /// In microseconds.
    #[serde(default)]
    start_time: LooseNumber,
    /// In microseconds.
    #[serde(default)]
    duration: LooseNumber,
    #[serde(borrow, default)]
    references: Option<Vec<Reference<'a>>>,
    #[serde(borrow, default)]
    tags: Option<Vec<Tag<'a>>>,
    #[serde(borrow, default, rename = "processID")]
    process_id: Cow<'a, str>,
    #[serde(borrow, default)]
    process: Option<Process<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process<'a> {
    #[serde(borrow, default)]
    service_name: Cow<'a, str>,
    #[serde(borrow, default)]
    tags: Option<Vec<Tag<'a>>>,
}

/// Browsers save the whole chain of ancestors below `span`, which is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    #[serde(borrow, default)]
    ref_type: Cow<'a, str>,
    #[serde(borrow, default, rename = "traceID", alias = "traceId")]
    trace_id: Cow<'a, str>,
    #[serde(borrow, default, rename = "spanID", alias = "spanId")]
    span_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(default, alias = "vStr", alias = "v_str")]
    value: serde_json::Value,
}

/// Reads traces or dependencies.
pub(in crate::import) fn read_traces(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let mut linker = Linker::new();
    let path = input.files.first().cloned().unwrap_or_default();
    let mut links = 0_u64;
    each_value(Format::Jaeger, input, graph, |bytes, graph| {
        let items: Several<JaegerItem<'_>> = serde_json::from_slice(bytes)?;
        let nobody = BTreeMap::new();
        // Taken from the end: the first comes first.
        let mut open: Vec<(&JaegerItem<'_>, &Processes<'_>)> =
            items.as_list().iter().rev().map(|item| (item, &nobody)).collect();
        while let Some((item, processes)) = open.pop() {
            if let (Some(parent), Some(child)) = (&item.parent, &item.child) {
                links += 1;
                let source = format!("{path}: entry {links}");
                let known = graph.depend_on(parent, child, Evidence::Observed, source);
                if let Some(dependency) = known {
                    dependency.calls +=
                        item.call_count.filter(|call_count| *call_count > 0.0).unwrap_or(0.0);
                }
            }
            // Only spans have an identifier of their own; answers, traces and hits only hold
            // others.
            if !item.id.is_empty() {
                add_span(item, processes, &mut linker);
            }
            // A trace names its processes once for all spans below it.
            let own = if item.processes.is_empty() { processes } else { &item.processes };
            let below = item.data.iter().chain(&item.spans).flatten();
            let below = below.chain(item.hits.iter().flat_map(Several::as_list));
            let below: Vec<_> =
                below.chain(item.source.as_deref()).map(|below| (below, own)).collect();
            open.extend(below.into_iter().rev());
        }
        Ok(())
    })?;
    if linker.spans_total() == 0 && links == 0 {
        return Err(not_of(Format::Jaeger, &path, "it holds neither spans nor `{parent, child}`"));
    }
    linker.finish_graph(&path, input.options, graph);
    Ok(())
}

type Processes<'a> = BTreeMap<Cow<'a, str>, Process<'a>>;

/// Returns the text of a tag.
fn tag_text<'t>(tags: Option<&'t [Tag<'_>]>, key: &str) -> Option<&'t str> {
    let found = tags.unwrap_or_default().iter().find(|tag| tag.key == key)?;
    found.value.as_str().filter(|text| !text.trim().is_empty())
}

/// Returns the value of a tag that is no text as one: a number, or whether something is so.
fn tag_value(tags: Option<&[Tag<'_>]>, key: &str) -> Option<String> {
    let found = tags.unwrap_or_default().iter().find(|tag| tag.key == key)?;
    let is_told = found.value.is_number() || found.value.is_boolean();
    is_told.then(|| found.value.to_string())
}

fn add_span(span: &JaegerItem<'_>, processes: &Processes<'_>, linker: &mut Linker) {
    let process = span.process.as_ref().or_else(|| processes.get(&span.process_id));
    // An unnamed service still calls others, and its calls are not lost this way.
    let service = process.map_or("unknown", |process| &process.service_name);
    let get = |key: &str| tag_text(span.tags.as_deref(), key);
    let kind = match get("span.kind").map(str::to_ascii_lowercase).as_deref() {
        Some("client") => SpanKind::Client,
        Some("server") => SpanKind::Server,
        Some("producer") => SpanKind::Producer,
        Some("consumer") => SpanKind::Consumer,
        _ => SpanKind::Local,
    };
    let kind = settled_kind(kind, &get);
    let references = span.references.as_deref().unwrap_or_default();
    let same_trace =
        |item: &&Reference<'_>| item.trace_id.is_empty() || item.trace_id == span.trace_id;
    // Of several parents the one that waits for the span counts; one that it only follows waits for
    // nothing.
    let parent = references
        .iter()
        .filter(same_trace)
        .min_by_key(|reference| u8::from(reference.ref_type != "CHILD_OF"));
    // A reference into another trace is how a consumer names the message that it works on.
    let other = references.iter().find(|reference| !same_trace(reference));
    // Traces of early versions have the parent in a field of its own, and no references.
    let old = span.parent_span_id.as_deref();
    let values = ["error", "http.status_code", "http.response.status_code"]
        .map(|key| (key, tag_value(span.tags.as_deref(), key)));
    let get_value = |key: &str| {
        let value = values.iter().find(|(known, _)| *known == key)?.1.as_deref();
        get(key).or(value)
    };
    linker.add_span(Given {
        trace: id_number(&span.trace_id),
        id: id_number(&span.id),
        parent: parent.map(|parent| &*parent.span_id).or(old).map_or(0, id_number),
        kind,
        service,
        operation: &span.operation_name,
        peer: span_peer(kind, &get),
        is_detached: parent.is_some_and(|parent| parent.ref_type == "FOLLOWS_FROM"),
        link: other.map_or(0, |other| id_number(&other.span_id)),
        zone: zone_name(&|key| tag_text(process.and_then(|process| process.tags.as_deref()), key)),
        // Jaeger counts microseconds, while spans of all formats are compared in nanoseconds.
        start: span.start_time.0.map(|start| start.saturating_mul(1_000)),
        duration: span.duration.0.map(|duration| duration.saturating_mul(1_000)),
        is_failed: has_failed(false, &|key| get(key).or_else(|| get_value(key))),
        ..Given::default()
    });
}
