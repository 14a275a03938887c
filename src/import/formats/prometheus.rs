//! Service graph metrics: answers of Prometheus' query API as JSON, or its text format.
//!
//! Of Tempo and the OpenTelemetry connector, of Istio, of Linkerd, or of any other metric with two labels.
//! A mesh counts a call at both ends; only the caller's proxy can report what has no proxy itself. Of one
//! pair one end counts, the destination's where there is one.

use std::collections::{BTreeMap, BTreeSet};

use super::histograms::{Histograms, has_failed};
use super::spans::is_address_only;
use super::traffic::{CallTraffic, CountUnit, CountedCalls};
use crate::diagnostic::{Code, Diagnostic, Place, SourceId};
use crate::import::graph::EvidenceGraph;
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

    /// Returns the metric of Tempo and of the OpenTelemetry connector (`tempo`), of Istio (`istio`), or of
    /// Linkerd (`linkerd`).
    pub fn from_preset(name: &str) -> Option<Self> {
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
}

/// A metric that counts calls, with all labels that may name the two sides, the best first.
struct MetricShape {
    name: String,
    callers: Vec<String>,
    callees: Vec<String>,
    /// It counts connections and no requests, so that no share can be told from it.
    is_of_connections: bool,
}

impl MetricShape {
    fn new(name: &str, callers: &[&str], callees: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let is_of_connections = name.contains("tcp");
        Self {
            name: name.to_owned(),
            callers: owned(callers),
            callees: owned(callees),
            is_of_connections,
        }
    }

    /// Returns the shapes to look for: the user's, or all that are known.
    fn known_shapes(metric: Option<&Metric>) -> Vec<Self> {
        let presets = ["tempo", "istio", "linkerd"];
        // A metric equal to a preset is read as that preset, with all the labels that it may use.
        let own = metric.filter(|own| {
            !presets.iter().any(|item| Metric::from_preset(item).as_ref() == Some(*own))
        });
        if let Some(own) = own {
            return vec![Self::new(&own.name, &[&own.caller], &[&own.callee])];
        }
        let istio = |name| {
            Self::new(
                name,
                &["source_workload", "source_app"],
                &[
                    "destination_workload",
                    "destination_service_name",
                    "destination_service",
                    "destination_app",
                ],
            )
        };
        let workloads = ["deployment", "statefulset", "daemonset", "job", "replicaset"];
        let targets: Vec<String> =
            workloads.iter().map(|workload| format!("dst_{workload}")).collect();
        let mut targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        targets.push("dst_service");
        let linkerd = |name| Self::new(name, &workloads, &targets);
        let all = vec![
            Self::new("service_graph_request_total", &["client"], &["server"]),
            istio("istio_requests_total"),
            istio("istio_tcp_connections_opened_total"),
            linkerd("response_total"),
            linkerd("tcp_open_total"),
        ];
        match metric {
            // The counter of connections goes with the one of requests: `istio` means both.
            Some(metric) => {
                let prefix = metric.name.split('_').next().unwrap_or_default().to_owned();
                all.into_iter()
                    .filter(|shape| {
                        shape.name == metric.name
                            || prefix == "istio" && shape.name.starts_with("istio_")
                    })
                    .collect()
            }
            None => all,
        }
    }
}

struct Sample<'a> {
    labels: BTreeMap<&'a str, String>,
    value: f64,
}

/// Which end of a call counted it, the one that counts for least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reporter {
    Source,
    Waypoint,
    /// Also where a metric does not say.
    Destination,
}

/// A workload with its namespace, where that is known.
type MetricWorkload = (String, String);

/// The calls of one pair as one end counted them.
#[derive(Default)]
struct Reported {
    requests: f64,
    failed: f64,
    group: String,
    source: String,
    is_message: bool,
    /// The callee is known by the name of its Service, and by no workload.
    is_by_service: bool,
}

/// Everything that the samples say.
#[derive(Default)]
struct FoundSamples {
    pairs: BTreeMap<(MetricWorkload, MetricWorkload), BTreeMap<Reporter, Reported>>,
    from_outside: BTreeMap<MetricWorkload, CountedCalls>,
    /// Calls that failed, where a metric of its own counts them.
    failures: BTreeMap<(MetricWorkload, MetricWorkload), f64>,
    latencies: Histograms,
    kinds: BTreeMap<MetricWorkload, &'static str>,
    /// Services and the brokers that they use, with where that was found.
    messages: BTreeMap<(MetricWorkload, MetricWorkload), String>,
    /// Samples of calls to hosts that the mesh does not know.
    unknown: u64,
    addresses: u64,
    samples: usize,
}

/// Reads metrics.
pub(in crate::import) fn read_metrics(
    input: &mut Input<'_>,
    graph: &mut EvidenceGraph,
) -> Result<(), Vec<Diagnostic>> {
    let shapes = MetricShape::known_shapes(input.options.metric.as_ref());
    let mut found = FoundSamples::default();
    for path in input.files {
        let (source, text) = input.read_text(path)?;
        let before = found.samples;
        if text.trim_start().starts_with(['{', '[']) {
            for document in load::parse_foreign(path, text.into_bytes(), input.sources)? {
                read_answer(&document.root, path, &shapes, &mut found);
            }
        } else {
            read_lines(&text, path, &shapes, source, &mut found, graph);
        }
        if found.samples == before {
            let names: Vec<&str> = shapes.iter().map(|shape| &*shape.name).collect();
            let expected = format!("it has no sample of {} with both sides", names.join(", "));
            return Err(not_of(Format::Prometheus, path, &expected));
        }
    }
    found.add_to(input.options.window.map_or(CountUnit::Requests, CountUnit::RequestsOver), graph);
    Ok(())
}

fn read_answer(root: &Node, path: &str, shapes: &[MetricShape], found: &mut FoundSamples) {
    let results = root.node_at("data.result").or(root.get("result")).unwrap_or(root);
    for result in results.items() {
        let labels = result.get("metric").map(Node::entries).unwrap_or_default();
        let labels = labels
            .iter()
            .map(|entry| (&*entry.key.text, entry.value.scalar().unwrap_or_default().to_owned()))
            .collect();
        // A query over a range has many values. Counters grow, so the last one holds all the calls.
        let last = result.get("values").and_then(|values| values.items().last());
        let pair = result.get("value").or(last);
        let value = pair.and_then(|pair| pair.items().get(1)?.number()).unwrap_or(0.0);
        found.add_sample(&Sample { labels, value }, None, path, shapes);
    }
}

fn read_lines(
    text: &str,
    path: &str,
    shapes: &[MetricShape],
    source: SourceId,
    found: &mut FoundSamples,
    graph: &mut EvidenceGraph,
) {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((name, sample)) = parse_sample(line) {
            found.add_sample(&sample, Some(name), path, shapes);
        } else {
            let place = Place { source, start: start as u32, end: (start + line.len()) as u32 };
            graph.warn(Code::NotUnderstood, "this is no sample of a metric", place);
        }
    }
}

/// Parses `name{label="value",…} 1.5 1700000000`.
fn parse_sample(line: &str) -> Option<(&str, Sample<'_>)> {
    // A sample without labels has no braces.
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
            // What stands behind the value is the time of the sample, which is not needed.
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
    parse_sample(line).is_some_and(|(name, _)| is_name(name))
}

/// Returns whether a label stands for who or what nobody knows.
fn is_unknown(text: &str) -> bool {
    text.is_empty() || text == "unknown"
}

/// Returns whether a label stands for hosts that a mesh does not know.
fn is_passthrough(text: &str) -> bool {
    matches!(text, "PassthroughCluster" | "BlackHoleCluster" | "InboundPassthroughClusterIpv4")
}

impl FoundSamples {
    /// Takes a sample, if it is one of calls.
    fn add_sample(
        &mut self,
        sample: &Sample<'_>,
        name: Option<&str>,
        path: &str,
        shapes: &[MetricShape],
    ) {
        let label = |key: &str| {
            sample.labels.get(key).map(|text| text.trim()).filter(|label| !label.is_empty())
        };
        let name = name.or(label("__name__"));
        // Latencies and failures are metrics of their own, which no shape below may count as calls.
        if let Some(name) = name
            && (self.latencies.add_sample(name, &sample.labels, sample.value, path)
                || self.add_failures(name, sample))
        {
            return;
        }
        let has_any = |keys: &[String]| keys.iter().any(|key| label(key).is_some());
        let shape = shapes.iter().find(|shape| {
            name.is_none_or(|name| name.ends_with(&shape.name))
                && has_any(&shape.callers)
                && has_any(&shape.callees)
        });
        let Some(shape) = shape else { return };
        self.samples += 1;
        let known = |keys: &[String]| {
            keys.iter().filter_map(|key| label(key)).find(|text| !is_unknown(text))
        };
        // Tempo calls every caller that sends no traces `user`.
        let caller = known(&shape.callers).filter(|caller| *caller != "user");
        let Some(callee) = known(&shape.callees).filter(|callee| !is_passthrough(callee)) else {
            self.unknown += 1;
            return;
        };
        // `stock.shop.svc.cluster.local` is the Service of `stock`.
        let callee = if callee.split('.').nth(2) == Some("svc") {
            callee.split('.').next().unwrap_or(callee)
        } else {
            callee
        };
        // An address changes with every pod: as a service it would be gone tomorrow.
        if is_address_only(callee) {
            self.addresses += 1;
            return;
        }
        let space =
            |keys: &[&str]| keys.iter().find_map(|key| label(key)).unwrap_or_default().to_owned();
        let target = (
            callee.to_owned(),
            space(&[
                "destination_workload_namespace",
                "destination_service_namespace",
                "dst_namespace",
            ]),
        );
        // One connection carries any number of requests.
        let value = if shape.is_of_connections { 0.0 } else { sample.value };
        let value = if value.is_finite() { value.max(0.0) } else { 0.0 };
        self.note_kind(sample, &target, label("connection_type").unwrap_or_default());
        if label("connection_type") == Some("messaging_system")
            && let Some(broker) =
                ["client_messaging_system", "server_messaging_system", "messaging_system"]
                    .iter()
                    .find_map(|key| label(key))
        {
            self.add_message(caller, target.0.as_str(), broker, name.unwrap_or(&shape.name), path);
            return;
        }
        let Some(caller) = caller.filter(|caller| !is_address_only(caller)) else {
            // Without a caller the call comes from outside of everything that is measured.
            let source = format!("{path}: {}", name.unwrap_or(&shape.name));
            let known = self.from_outside.entry(target);
            let known = known.or_insert_with(|| CountedCalls { source, ..CountedCalls::default() });
            known.requests += value;
            known.failed += if has_failed(&sample.labels) { value } else { 0.0 };
            return;
        };
        let from = (caller.to_owned(), space(&["source_workload_namespace", "namespace"]));
        // Istio has `reporter` and Linkerd has `direction`, with the same meaning.
        let reporter = match label("reporter").or(label("direction")) {
            Some("source" | "outbound") => Reporter::Source,
            Some("waypoint") => Reporter::Waypoint,
            _ => Reporter::Destination,
        };
        let ends = self.pairs.entry((from, target)).or_default();
        let reported = ends.entry(reporter).or_insert_with(|| Reported {
            group: label("destination_service_name").unwrap_or(callee).to_owned(),
            source: format!("{path}: {}", name.unwrap_or(&shape.name)),
            is_message: true,
            // A destination that is `unknown` is how the proxy of the caller reports a Service
            // without its workload.
            is_by_service: label("destination_workload").is_some_and(is_unknown),
            requests: 0.0,
            failed: 0.0,
        });
        reported.requests += value;
        reported.failed += if has_failed(&sample.labels) { value } else { 0.0 };
        // A pair counts as messages only where all of its samples are of messages.
        reported.is_message &= label("connection_type") == Some("messaging_system");
    }

    /// Takes a sample of the metric with which service graphs count failures; gives whether it is one.
    fn add_failures(&mut self, name: &str, sample: &Sample<'_>) -> bool {
        let is_of_failures = name.ends_with("service_graph_request_failed_total");
        let label = |key: &str| sample.labels.get(key).cloned().unwrap_or_default();
        if is_of_failures && sample.value.is_finite() && sample.value > 0.0 {
            // The metrics of service graphs know no namespaces.
            let plain = |name: String| (name, String::new());
            let pair = (plain(label("client")), plain(label("server")));
            *self.failures.entry(pair).or_default() += sample.value;
        }
        is_of_failures
    }

    /// Adds a message through a broker that a label names: both sides depend on it.
    fn add_message(
        &mut self,
        producer: Option<&str>,
        consumer: &str,
        broker: &str,
        metric: &str,
        path: &str,
    ) {
        let plain = |name: &str| (name.to_owned(), String::new());
        self.kinds.insert(plain(broker), "queue");
        for end in producer.into_iter().chain([consumer]) {
            let source = format!("{path}: {metric}");
            self.messages.insert((plain(end), plain(broker)), source);
        }
    }

    fn note_kind(&mut self, sample: &Sample<'_>, target: &MetricWorkload, connection: &str) {
        let has_no_workload =
            sample.labels.get("destination_workload").is_some_and(|label| is_unknown(label));
        let kind = match connection {
            "database" => Some("database"),
            "virtual_node" if sample.labels.get("client").is_none_or(|label| label != "user") => {
                Some("external")
            }
            // A name of the internet that no workload serves.
            _ if has_no_workload && target.0.contains('.') => Some("external"),
            _ => None,
        };
        if let Some(kind) = kind {
            self.kinds.entry(target.clone()).or_insert(kind);
        }
    }

    fn add_to(&self, unit: CountUnit, graph: &mut EvidenceGraph) {
        // Most names are unique, so the namespace is put before a name only where two workloads
        // share it.
        let mut spaces: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let all =
            self.pairs.keys().flat_map(|(from, to)| [from, to]).chain(self.from_outside.keys());
        for (name, space) in all {
            if !space.is_empty() {
                spaces.entry(name).or_default().insert(space);
            }
        }
        let name_of = |workload: &MetricWorkload| {
            let is_ambiguous = spaces.get(workload.0.as_str()).is_some_and(|them| them.len() > 1);
            if is_ambiguous && !workload.1.is_empty() {
                format!("{}/{}", workload.1, workload.0)
            } else {
                workload.0.clone()
            }
        };
        let mut traffic = CallTraffic::new(unit);
        for ((from, to), ends) in &self.pairs {
            // The keys are in the order of trust: the last end is the destination's, where it
            // reported.
            let Some((_, reported)) = ends.last_key_value() else { continue };
            // The caller's proxy knew only the Service; the other end knew its workloads.
            let is_known_better = reported.is_by_service
                && self.pairs.iter().any(|((caller, callee), others)| {
                    caller == from
                        && callee != to
                        && others
                            .values()
                            .any(|other| !other.is_by_service && other.group == reported.group)
                });
            if is_known_better {
                continue;
            }
            let counted = CountedCalls {
                requests: reported.requests,
                failed: reported.failed + self.failures_of(from, to),
                group: reported.group.clone(),
                is_message: reported.is_message,
                source: reported.source.clone(),
            };
            traffic.count_calls(&name_of(from), &name_of(to), &counted);
        }
        for (workload, counted) in &self.from_outside {
            // Failures of requests from outside are counted with an empty caller or with `user`.
            let nobody = [String::new(), "user".to_owned()].map(|name| (name, String::new()));
            let failed = nobody.iter().map(|nobody| self.failures_of(nobody, workload));
            let failed = counted.failed + failed.sum::<f64>();
            traffic.count_entries(&name_of(workload), &CountedCalls { failed, ..counted.clone() });
        }
        traffic.add_to(graph);
        self.latencies.add_to(name_of, graph);
        for ((end, broker), source) in &self.messages {
            let (end, broker) = (name_of(end), name_of(broker));
            let known = graph.depend_on(&end, &broker, Evidence::Observed, source.clone());
            if let Some(dependency) = known {
                // Whether a producer or a consumer, nobody waits for the other side.
                dependency.note_call(true);
            }
        }
        for (workload, kind) in &self.kinds {
            graph.service_or_new(&name_of(workload)).kind.get_or_insert_with(|| (*kind).to_owned());
        }
        graph.address_calls += self.addresses;
        if self.unknown > 0 {
            graph.remarks.push(format!(
                "{} samples count calls to hosts that the mesh does not know: third parties may be missing.",
                self.unknown
            ));
        }
        if self.pairs.values().flat_map(BTreeMap::values).any(|reported| reported.is_message) {
            graph.remarks.push(
                "Messages go through brokers that the metrics do not name; the brokers are missing.".to_owned(),
            );
        }
    }
}

impl FoundSamples {
    /// Returns how many calls of a pair failed, by the metric of its own.
    fn failures_of(&self, from: &MetricWorkload, to: &MetricWorkload) -> f64 {
        self.failures.get(&(from.clone(), to.clone())).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_parsed_with_escapes_and_time_stamps() {
        let (name, sample) = parse_sample(r#"x_total{a="b\"c",d="e}"} 4.5 17"#).unwrap();
        assert_eq!((name, sample.value), ("x_total", 4.5));
        assert_eq!(sample.labels["a"], "b\"c");
        assert_eq!(sample.labels["d"], "e}");
        assert!(parse_sample("x{a=\"b").is_none());
        assert_eq!(parse_sample("up 1").unwrap().1.value, 1.0);
    }

    #[test]
    fn of_both_ends_of_a_call_the_destination_counts() {
        let mut found = FoundSamples::default();
        for (reporter, value) in [("source", 90.0), ("destination", 80.0), ("destination", 5.0)] {
            let labels = BTreeMap::from([
                ("reporter", reporter.to_owned()),
                ("source_workload", "a".to_owned()),
                ("destination_workload", "b".to_owned()),
            ]);
            found.add_sample(
                &Sample { labels, value },
                Some("istio_requests_total"),
                "f",
                &MetricShape::known_shapes(None),
            );
        }
        let mut graph = EvidenceGraph::default();
        found.add_to(CountUnit::Requests, &mut graph);
        assert_eq!(graph.dependencies.values().next().unwrap().calls, 85.0);
    }
}
