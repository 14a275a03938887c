//! OpenTelemetry traces: the JSON of the protocol, with ids in hexadecimal digits or base64, and enums
//! as numbers or words; one object for a file, or one on each line, which is read in a stream.

use std::borrow::Cow;

use serde::Deserialize;

use super::otlp_stream;
use super::spans::{
    Given, Linker, SpanKind, has_failed, id_number, settled_kind, span_peer, zone_name,
};
use super::traces::{LooseNumber, Several, each_value};
use crate::diagnostic::Diagnostic;
use crate::import::graph::EvidenceGraph;
use crate::import::{Format, Input, not_of};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpRequest<'a> {
    #[serde(borrow, default, alias = "batches", alias = "resource_spans")]
    resource_spans: Vec<ResourceSpans<'a>>,
    /// APIs wrap what they answer: Tempo below `trace`, Jaeger below `result`.
    #[serde(
        borrow,
        default,
        alias = "result",
        alias = "traces",
        alias = "data",
        alias = "results"
    )]
    trace: Option<Several<Self>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceSpans<'a> {
    #[serde(borrow, default)]
    resource: OtlpResource<'a>,
    #[serde(borrow, default, alias = "scope_spans", alias = "instrumentationLibrarySpans")]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Default, Deserialize)]
struct OtlpResource<'a> {
    #[serde(borrow, default)]
    attributes: Vec<Attribute<'a>>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default)]
    spans: Vec<OtlpSpan<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpSpan<'a> {
    #[serde(borrow, default, alias = "trace_id")]
    trace_id: Cow<'a, str>,
    #[serde(borrow, default, rename = "spanId", alias = "span_id")]
    id: Cow<'a, str>,
    #[serde(borrow, default, alias = "parent_span_id")]
    parent_span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: OtlpKind<'a>,
    #[serde(borrow, default)]
    attributes: Vec<Attribute<'a>>,
    #[serde(borrow, default)]
    links: Vec<OtlpLink<'a>>,
    #[serde(default, alias = "start_time_unix_nano")]
    start_time_unix_nano: LooseNumber,
    #[serde(default, alias = "end_time_unix_nano")]
    end_time_unix_nano: LooseNumber,
    /// Only its code is looked at; whatever else stands there is no error.
    #[serde(default)]
    status: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpLink<'a> {
    #[serde(borrow, default, alias = "span_id")]
    span_id: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum OtlpKind<'a> {
    Number(i64),
    Word(#[serde(borrow)] Cow<'a, str>),
    #[default]
    None,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    value: AnyValue<'a>,
}

/// Only texts and whole numbers are looked at.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue<'a> {
    #[serde(borrow, default, alias = "string_value")]
    string_value: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "int_value")]
    int_value: Option<Whole<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Whole<'a> {
    Number(i64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

/// Reads traces.
pub(in crate::import) fn read_traces(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let mut linker = Linker::new();
    let (large, files): (Vec<String>, Vec<String>) =
        // A large file is read in a stream: as a tree it would take several times its size in
        // memory.
        input.files.iter().cloned().partition(|path| otlp_stream::is_one_large_value(path));
    for path in &large {
        otlp_stream::read_resources(path, input.progress, &mut |spans| {
            add_resource(spans, &mut linker);
        })?;
    }
    let path = input.files.first().map_or("", String::as_str);
    let input = &mut Input {
        files: &files,
        options: input.options,
        sources: &mut *input.sources,
        progress: input.progress,
    };
    each_value(Format::Otlp, input, graph, |bytes, _| {
        let requests: Several<OtlpRequest<'_>> = serde_json::from_slice(bytes)?;
        let mut open: Vec<&OtlpRequest<'_>> = requests.as_list().iter().collect();
        // Wrappers may hold wrappers, and a hostile file holds many: a list of open ones needs no
        // stack.
        while let Some(request) = open.pop() {
            request.resource_spans.iter().for_each(|spans| add_resource(spans, &mut linker));
            open.extend(request.trace.iter().flat_map(Several::as_list));
        }
        Ok(())
    })?;
    if linker.spans_total() == 0 {
        return Err(not_of(
            Format::Otlp,
            path,
            "it holds no `resourceSpans` with spans of a service",
        ));
    }
    linker.finish_graph(path, input.options, graph);
    Ok(())
}

fn attribute_text<'a>(attributes: &'a [Attribute<'_>], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.string_value.as_deref().filter(|text| !text.trim().is_empty())
}

fn attribute_integer(attributes: &[Attribute<'_>], key: &str) -> Option<i64> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.int_value.as_ref()? {
        Whole::Number(number) => Some(*number),
        // JSON of the protocol writes 64-bit numbers as texts.
        Whole::Text(text) => text.parse().ok(),
    }
}

fn add_resource(spans: &ResourceSpans<'_>, linker: &mut Linker) {
    let service =
        attribute_text(&spans.resource.attributes, "service.name").unwrap_or("unknown_service");
    let zone = zone_name(&|key| attribute_text(&spans.resource.attributes, key));
    // Libraries in one process write into scopes of their own, which say nothing about services.
    for span in spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
        let get = |key: &str| attribute_text(&span.attributes, key);
        let status = ["http.response.status_code", "http.status_code"]
            .iter()
            .find_map(|key| attribute_integer(&span.attributes, key))
            .map(|status| status.to_string());
        let get_status =
            // The number is that of the HTTP status, which no other key may get.
            |key: &str| get(key).or(status.as_deref().filter(|_| key.starts_with("http.")));
        let kind = settled_kind(kind_of(&span.kind), &get);
        linker.add_span(Given {
            trace: id_number(&span.trace_id),
            id: id_number(&span.id),
            parent: id_number(&span.parent_span_id),
            kind,
            service,
            operation: &span.name,
            peer: span_peer(kind, &get),
            resends: attribute_integer(&span.attributes, "http.request.resend_count")
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
            link: span.links.first().map_or(0, |link| id_number(&link.span_id)),
            zone,
            start: span.start_time_unix_nano.0.filter(|start| *start > 0),
            duration: duration_of(span),
            is_failed: has_failed(is_marked_failed(span), &get_status),
            ..Given::default()
        });
    }
}

/// Returns how long a span took, in nanoseconds.
fn duration_of(span: &OtlpSpan<'_>) -> Option<u64> {
    let (start, end) = (span.start_time_unix_nano.0?, span.end_time_unix_nano.0?);
    // Clocks may step back, and a start of 0 means that it is not set.
    end.checked_sub(start).filter(|_| start > 0)
}

/// Returns whether the status of a span says that it failed, as a number or a word.
fn is_marked_failed(span: &OtlpSpan<'_>) -> bool {
    let code = span.status.get("code");
    let word = code.and_then(serde_json::Value::as_str).unwrap_or_default();
    // 2 is `STATUS_CODE_ERROR` in the protocol.
    code.and_then(serde_json::Value::as_i64) == Some(2)
        || word.trim_start_matches("STATUS_CODE_") == "ERROR"
}

fn kind_of(kind: &OtlpKind<'_>) -> SpanKind {
    // Numbers are those of the protocol, in which 1 is an internal span.
    match kind {
        OtlpKind::Number(2) => SpanKind::Server,
        OtlpKind::Number(3) => SpanKind::Client,
        OtlpKind::Number(4) => SpanKind::Producer,
        OtlpKind::Number(5) => SpanKind::Consumer,
        OtlpKind::Word(word) => match word.trim_start_matches("SPAN_KIND_") {
            "SERVER" => SpanKind::Server,
            "CLIENT" => SpanKind::Client,
            "PRODUCER" => SpanKind::Producer,
            "CONSUMER" => SpanKind::Consumer,
            _ => SpanKind::Local,
        },
        _ => SpanKind::Local,
    }
}
