//! Service graph metrics: answers of Prometheus' query API as JSON, or its text format.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::import::graph::Graph;
use crate::import::{Format, Input, not_of};
use crate::load::{self, Node};
use crate::model::topology::Evidence;

/// Which metric counts calls, and which labels name the two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The end of the metric's name, since some set-ups put a prefix before it.
    pub name: String,
    /// The label of the caller.
    pub caller: String,
    /// The label of the dependency.
    pub callee: String,
}

impl Metric {
    fn new(name: &str, caller: &str, callee: &str) -> Self {
        Self { name: name.to_owned(), caller: caller.to_owned(), callee: callee.to_owned() }
    }

    /// The metric of Tempo and of the OpenTelemetry connector, of Istio, or of Linkerd.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "tempo" => Some(Self::new("service_graph_request_total", "client", "server")),
            "istio" => Some(Self::new(
                "istio_requests_total",
                "source_workload",
                "destination_service_name",
            )),
            "linkerd" => Some(Self::new("response_total", "deployment", "dst_deployment")),
            _ => None,
        }
    }

    fn presets() -> Vec<Self> {
        ["tempo", "istio", "linkerd"].iter().filter_map(|name| Self::preset(name)).collect()
    }
}

struct Sample<'a> {
    labels: BTreeMap<&'a str, String>,
    value: f64,
}

/// Reads metrics.
pub(in crate::import) fn read(
    input: &mut Input<'_>,
    graph: &mut Graph,
) -> Result<(), Vec<Diagnostic>> {
    let metrics = match &input.options.metric {
        Some(metric) => vec![metric.clone()],
        None => Metric::presets(),
    };
    for path in input.files {
        let source = load::read_text(path, input.sources)?;
        let text = input.sources.get(source).text.clone();
        let found = if text.trim_start().starts_with(['{', '[']) {
            let documents = load::parse_foreign(path, text.into_bytes(), input.sources)?;
            documents.iter().map(|it| answer(&it.root, path, &metrics, graph)).sum()
        } else {
            lines(&text, path, &metrics, source, graph)
        };
        if found == 0 {
            let names: Vec<&str> = metrics.iter().map(|metric| &*metric.name).collect();
            let expected = format!("it has no sample of {} with both sides", names.join(", "));
            return Err(not_of(Format::Prometheus, path, &expected));
        }
    }
    Ok(())
}

fn answer(root: &Node, path: &str, metrics: &[Metric], graph: &mut Graph) -> usize {
    let results = root.at("data.result").or(root.get("result")).unwrap_or(root);
    let mut found = 0;
    for result in results.items() {
        let labels = result.get("metric").map(Node::entries).unwrap_or_default();
        let labels = labels
            .iter()
            .map(|entry| (&*entry.key.text, entry.value.scalar().unwrap_or_default().to_owned()))
            .collect();
        let last = result.get("values").and_then(|values| values.items().last());
        let pair = result.get("value").or(last);
        let value = pair.and_then(|pair| pair.items().get(1)?.number()).unwrap_or(0.0);
        found += usize::from(sample(&Sample { labels, value }, None, path, metrics, graph));
    }
    found
}

fn lines(
    text: &str,
    path: &str,
    metrics: &[Metric],
    source: crate::diagnostic::SourceId,
    graph: &mut Graph,
) -> usize {
    let mut found = 0;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((name, read)) = parse(line) {
            found += usize::from(sample(&read, Some(name), path, metrics, graph));
        } else {
            let place = Place { source, start: start as u32, end: (start + line.len()) as u32 };
            graph.warn(Code::NotUnderstood, "this is no sample of a metric", place);
        }
    }
    found
}

/// `name{label="value",…} 1.5 1700000000`.
fn parse(line: &str) -> Option<(&str, Sample<'_>)> {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(char::is_whitespace)?;
        let value = value.split_whitespace().next()?.parse().ok()?;
        return Some((name, Sample { labels: BTreeMap::new(), value }));
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            let value = after.split_whitespace().next()?.parse().ok()?;
            return Some((name.trim(), Sample { labels, value }));
        }
        let (key, after) = rest.split_once('=')?;
        let mut text = String::new();
        let mut characters = after.trim_start().strip_prefix('"')?.char_indices();
        let body = after.trim_start().strip_prefix('"')?;
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => text.push('\n'),
                    c => text.push(c),
                },
                (_, c) => text.push(c),
            }
        };
        labels.insert(key.trim(), text);
        rest = &body[end + 1..];
    }
}

/// Returns whether a line is a sample of a metric.
pub(crate) fn is_sample(line: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    parse(line).is_some_and(|(name, _)| is_name(name))
}

/// Adds a sample, if it is one of calls; whether it was.
fn sample(
    sample: &Sample<'_>,
    name: Option<&str>,
    path: &str,
    metrics: &[Metric],
    graph: &mut Graph,
) -> bool {
    let label = |key: &str| sample.labels.get(key).map(String::as_str).filter(|it| !it.is_empty());
    let name = name.or(label("__name__"));
    let metric = metrics.iter().find(|metric| {
        name.is_none_or(|name| name.ends_with(&metric.name))
            && label(&metric.caller).is_some()
            && label(&metric.callee).is_some()
    });
    let Some(metric) = metric else { return false };
    let (Some(caller), Some(callee)) = (label(&metric.caller), label(&metric.callee)) else {
        return false;
    };
    // Both ends of a call count it: the destination's count is kept.
    if label("reporter").is_some_and(|reporter| reporter != "destination") {
        return true;
    }
    let shown = name.unwrap_or(&metric.name);
    let kind = label("connection_type").unwrap_or_default().to_owned();
    let dependency = graph.depend(caller, callee, Evidence::Observed, format!("{path}: {shown}"));
    if let Some(dependency) = dependency {
        if sample.value.is_finite() && sample.value > 0.0 {
            dependency.calls += sample.value;
        }
        if kind == "messaging_system" {
            dependency.saw(true);
        }
    }
    match kind.as_str() {
        "database" => graph.service(callee).kind = Some("database".to_owned()),
        "virtual_node" if caller != "user" => {
            graph.service(callee).kind.get_or_insert_with(|| "external".to_owned());
        }
        _ => {}
    }
    if caller == "user" {
        graph.service(callee).is_entry = true;
        graph.service(caller).kind = Some("load generator".to_owned());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_parsed_with_escapes_and_time_stamps() {
        let (name, sample) = parse(r#"x_total{a="b\"c",d="e}"} 4.5 17"#).unwrap();
        assert_eq!((name, sample.value), ("x_total", 4.5));
        assert_eq!(sample.labels["a"], "b\"c");
        assert_eq!(sample.labels["d"], "e}");
        assert!(parse("x{a=\"b").is_none());
        assert_eq!(parse("up 1").unwrap().1.value, 1.0);
    }
}
