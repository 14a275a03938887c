//! Histograms of Prometheus that time the answers of services: of meshes, of service graphs, of servers.

use std::collections::BTreeMap;

use crate::import::graph::EvidenceGraph;
use crate::import::graph::measurements::{
    CumulatedBuckets, LatencyGap, MeasuredLatency, REQUESTS_MIN,
};

/// The labels of a sample.
type SampleLabels<'a> = BTreeMap<&'a str, String>;

/// A histogram, and whose answers it times.
struct HistogramShape {
    /// The end of its name, since some set-ups put a prefix before it.
    name: &'static str,
    /// The length of its unit, in seconds.
    unit: f64,
    /// The labels that may name the service, the best first.
    services: &'static [&'static str],
    namespace: &'static str,
    /// A label that must hold this text.
    condition: Option<(&'static str, &'static str)>,
    /// Of several histograms of a service the one with the lowest rank counts: those of the service
    /// itself before those of its callers, and these before those of libraries.
    rank: u8,
}

impl HistogramShape {
    const fn new(name: &'static str, unit: f64, services: &'static [&'static str]) -> Self {
        Self { name, unit, services, namespace: "namespace", condition: None, rank: 0 }
    }

    const fn when(self, label: &'static str, text: &'static str) -> Self {
        Self { condition: Some((label, text)), ..self }
    }

    const fn ranked(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

const WORKLOADS: &[&str] = &["deployment", "statefulset", "daemonset"];
const TARGETS: &[&str] = &["dst_deployment", "dst_statefulset", "dst_daemonset"];
const SERVERS: &[&str] = &["service_name", "application", "service", "job"];
const ISTIO: &[&str] = &["destination_workload"];
const MILLISECOND: f64 = 0.001;

const SHAPES: &[HistogramShape] = &[
    HistogramShape {
        namespace: "destination_workload_namespace",
        ..HistogramShape::new("istio_request_duration_milliseconds_bucket", MILLISECOND, ISTIO)
            .when("reporter", "destination")
    },
    HistogramShape {
        namespace: "destination_workload_namespace",
        ..HistogramShape::new("istio_request_duration_milliseconds_bucket", MILLISECOND, ISTIO)
            .ranked(1)
    },
    HistogramShape::new("service_graph_request_server_seconds_bucket", 1.0, &["server"]),
    HistogramShape::new("service_graph_request_client_seconds_bucket", 1.0, &["server"]).ranked(1),
    HistogramShape::new("response_latency_ms_bucket", MILLISECOND, WORKLOADS)
        .when("direction", "inbound"),
    HistogramShape {
        namespace: "dst_namespace",
        ..HistogramShape::new("response_latency_ms_bucket", MILLISECOND, TARGETS)
            .when("direction", "outbound")
            .ranked(1)
    },
    HistogramShape::new("spanmetrics_latency_bucket", 1.0, &["service", "service_name"])
        .when("span_kind", "SPAN_KIND_SERVER")
        .ranked(2),
    HistogramShape::new("duration_milliseconds_bucket", MILLISECOND, &["service_name", "service"])
        .when("span_kind", "SPAN_KIND_SERVER")
        .ranked(2),
    HistogramShape::new("http_server_request_duration_seconds_bucket", 1.0, SERVERS).ranked(3),
    HistogramShape::new("http_server_requests_seconds_bucket", 1.0, SERVERS).ranked(3),
];

/// A service with its namespace, where that is known.
type TimedWorkload = (String, String);

/// The histograms of all services, each with the file that it is from.
#[derive(Default)]
pub(super) struct Histograms {
    found: BTreeMap<(TimedWorkload, u8), (CumulatedBuckets, String)>,
}

impl Histograms {
    /// Takes a sample if it is of a histogram of answers; gives whether it is.
    pub(super) fn add_sample(
        &mut self,
        name: &str,
        labels: &SampleLabels<'_>,
        value: f64,
        path: &str,
    ) -> bool {
        let label = |key: &str| labels.get(key).map(|text| text.trim()).unwrap_or_default();
        let is_met = |(key, text): (&str, &str)| label(key) == text;
        let mut shapes = SHAPES
            .iter()
            // The end of a name is compared: Prometheus rules and agents put prefixes before it.
            .filter(|shape| name.ends_with(shape.name) && shape.condition.is_none_or(is_met))
            .peekable();
        let is_histogram = shapes.peek().is_some();
        let shape = shapes.find_map(|shape| {
            let service = shape.services.iter().map(|key| label(key));
            // Meshes write `unknown` where they do not know who answers, which must not become a
            // service.
            let service = service.into_iter().find(|text| !matches!(*text, "" | "unknown"))?;
            Some((shape, service))
        });
        let bound = label("le").parse::<f64>().ok();
        // Failed requests often end early or time out, and would bend the latency of those that are
        // answered.
        if let (Some((shape, service)), Some(bound)) = (shape, bound)
            && !has_failed(labels)
        {
            let workload = (service.to_owned(), label(shape.namespace).to_owned());
            let known = self.found.entry((workload, shape.rank));
            let (buckets, _) =
                known.or_insert_with(|| (CumulatedBuckets::default(), path.to_owned()));
            buckets.add_bucket(bound * shape.unit, value);
        }
        is_histogram
    }

    /// Adds the latencies to services that the graph has.
    pub(super) fn add_to(
        &self,
        name_of: impl Fn(&TimedWorkload) -> String,
        graph: &mut EvidenceGraph,
    ) {
        let mut timed: Option<&TimedWorkload> = None;
        // In the order of ranks: of each workload the first counts.
        for ((workload, _), (buckets, source)) in &self.found {
            if timed.replace(workload) == Some(workload) {
                continue;
            }
            // Histograms time whatever runs; only the edges of the graph say what belongs to the
            // system.
            let Some(service) = graph.known_service(&name_of(workload)) else { continue };
            let requests = buckets.count();
            let gap = match (buckets.quantile(0.5), buckets.quantile(0.99)) {
                // From few requests the 99th percentile is the slowest one or two of them, and says
                // nothing.
                _ if requests < REQUESTS_MIN => LatencyGap::FewRequests,
                (Some(median), Some(p99)) if median > 0.0 => {
                    let (requests, source) = (Some(requests), source.clone());
                    service.note_latency(MeasuredLatency { median, p99, requests, source });
                    // A median of 0 means that all answers are in the first bucket, whose bounds do
                    // not resolve them.
                    continue;
                }
                _ => LatencyGap::BeyondBuckets,
            };
            service.latency_gap = service.latency_gap.or(Some(gap));
        }
    }
}

/// Returns whether the labels of a sample say that its requests failed.
pub(super) fn has_failed(labels: &SampleLabels<'_>) -> bool {
    let label = |key: &str| labels.get(key).map(|text| text.trim()).unwrap_or_default();
    let statuses =
        ["response_code", "status", "http_response_status_code", "http_status_code", "code"];
    // A status of 4xx is a fault of the caller: the service did what it should.
    let is_status = |key: &str| label(key).len() == 3 && label(key).starts_with('5');
    // Unknown, too late, used up, internal, not there, lost: those that are no fault of the caller.
    let grpc = matches!(label("grpc_response_status"), "2" | "4" | "8" | "13" | "14" | "15");
    statuses.iter().any(|key| is_status(key))
        || grpc
        || label("classification") == "failure"
        || label("status_code") == "STATUS_CODE_ERROR"
        || label("outcome") == "SERVER_ERROR"
}
