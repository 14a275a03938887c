//! Recognition by the beginning of a file, before it is parsed: traces may be too large to be read twice, and
//! templates are no YAML.

use super::{Recognition, Unrendered};
use crate::import::Format;
use crate::import::formats::{mermaid, plantuml, prometheus};

/// Words of which all must stand in the beginning of a JSON file of a format; the first that fits counts.
const TELLING: &[(&[&str], Format)] = &[
    (&["\"resourceSpans\""], Format::Otlp),
    (&["\"resource_spans\""], Format::Otlp),
    (&["\"scopeSpans\""], Format::Otlp),
    (&["\"batches\""], Format::Otlp),
    (&["\"localEndpoint\""], Format::Zipkin),
    (&["\"serviceCode\"", "\"segmentId\""], Format::Skywalking),
    (&["\"isReal\"", "\"calls\""], Format::Skywalking),
    (&["\"spanID\""], Format::Jaeger),
    (&["\"operationName\"", "\"process\""], Format::Jaeger),
    (&["\"processes\"", "\"spans\""], Format::Jaeger),
    (&["\"callCount\""], Format::Jaeger),
    (&["\"src_namespace\""], Format::Linkerd),
    (&["\"latency_ms_p50\"", "\"meshed\""], Format::Linkerd),
    (&["\"resultType\""], Format::Prometheus),
    (&["\"softwareSystems\""], Format::Structurizr),
    (&["\"external_services\""], Format::Mubench),
    (&["io.mb3r.bering"], Format::Bering),
    (&["\"verdict\"", "\"is_reply\""], Format::Hubble),
    (&["\"verdict\"", "\"traffic_direction\""], Format::Hubble),
    (&["\"ReferenceId\"", "\"Edges\""], Format::Xray),
    (&["\"Segments\"", "\"Document\""], Format::Xray),
    (&["\"containerDefinitions\""], Format::Ecs),
    (&["\"AWSTemplateFormatVersion\""], Format::Cloudformation),
    (&["\"Resources\"", "\"AWS::"], Format::Cloudformation),
];

/// Recognises a file by its first bytes.
pub(super) fn recognize_text(text: &str) -> Option<Recognition> {
    let start = text.trim_start_matches(['\u{FEFF}', ' ', '\n', '\r', '\t']);
    if start.starts_with('<') {
        let is_graphml = start.contains("graphml");
        return Some(if is_graphml {
            Recognition::Format(Format::Graphml)
        } else {
            Recognition::Unknown
        });
    }
    if start.starts_with(['{', '[']) {
        let all = |words: &[&str]| words.iter().all(|word| start.contains(word));
        let known = TELLING.iter().find(|(words, _)| all(words));
        return known
            .map(|(_, format)| Recognition::Format(*format))
            .or_else(|| recognize_terraform(start));
    }
    // NAIS files are templates, which their own tool fills in; they are read as they are.
    if text.lines().any(|line| line.starts_with("apiVersion: nais.io")) {
        return Some(Recognition::Format(Format::Nais));
    }
    if mermaid::is_mermaid(text) {
        return Some(Recognition::Format(Format::Mermaid));
    }
    if plantuml::is_plantuml(text) {
        return Some(Recognition::Format(Format::Plantuml));
    }
    let mut words = without_comments(start).split_whitespace();
    match words.next() {
        Some("digraph" | "graph" | "strict") if start.contains('{') => {
            return Some(Recognition::Format(Format::Dot));
        }
        Some("workspace") if start.contains('{') => {
            return Some(Recognition::Format(Format::Structurizr));
        }
        _ => {}
    }
    let is_sample = |line: &str| prometheus::is_sample(line.trim());
    let is_metric =
        text.lines().any(|line| line.starts_with("# TYPE ")) && text.lines().any(is_sample);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    if is_metric || lines.next().is_some_and(|first| first.contains('{') && is_sample(first)) {
        return Some(Recognition::Format(Format::Prometheus));
    }
    None
}

/// Returns a text behind the comments at its beginning.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if rest.starts_with("//") || rest.starts_with('#') {
            rest.split_once('\n').map(|(_, after)| after)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map(|(_, after)| after)
        } else {
            return rest;
        };
        rest = after.unwrap_or_default().trim_start();
    }
}

/// Recognises plans and states of Terraform.
fn recognize_terraform(text: &str) -> Option<Recognition> {
    if !text.contains("\"terraform_version\"") {
        return None;
    }
    Some(Recognition::Format(Format::Terraform))
}

/// Recognises templates, which are no YAML before they are rendered.
pub(super) fn recognize_template(text: &str, path: &str) -> Option<Recognition> {
    let holds = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if holds(&["${{ values.", "${{ parameters.", "${{values.", "{% if", "{% for", "<%=", "<% "]) {
        return Some(Recognition::Unrendered(Unrendered::Placeholders { file: path.to_owned() }));
    }
    if holds(&["{{"]) {
        let is_helm = is_of_helm(text);
        let is_in_chart = path.contains("/templates/") || path.starts_with("templates/");
        return Some(Recognition::Unrendered(if is_helm || is_in_chart {
            Unrendered::helm_template(path)
        } else {
            Unrendered::Placeholders { file: path.to_owned() }
        }));
    }
    None
}

/// Returns whether a text is written for the templates of Helm.
pub(super) fn is_of_helm(text: &str) -> bool {
    [".Values", ".Release", ".Chart", "include ", "define ", "{{-", "-}}"]
        .iter()
        .any(|word| text.contains(word))
}

/// Returns whether a name is a placeholder of a template, and no name.
pub(super) fn is_placeholder(name: &str) -> bool {
    let is_marked =
        |mark: &str| name.len() > 2 * mark.len() && name.starts_with(mark) && name.ends_with(mark);
    ["{{", "${", "<%", "$("].iter().any(|open| name.contains(open))
        || ["__", "@@", "%%", "%"].iter().any(|mark| is_marked(mark))
        || name.starts_with('<') && name.ends_with('>')
}
