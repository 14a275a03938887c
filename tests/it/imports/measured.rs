//! Figures that sources measured: latencies, failures and rates, in every format that has them, and what is
//! said where there are too few.

use blastwave::import::{Format, Options};

use super::{imported, valid};

/// One recorded call of `web` that asks `cart` once, in each format of traces.
struct Call {
    number: u64,
    /// How long `web` takes, in milliseconds; `cart` takes half of it.
    milliseconds: u64,
    is_failed: bool,
}

/// So many calls: of a hundred the last takes ten times as long, and every tenth fails.
fn calls(count: u64) -> impl Iterator<Item = Call> {
    (1..=count).map(|number| Call {
        number,
        milliseconds: if number.is_multiple_of(40) { 401 } else { 40 },
        is_failed: number.is_multiple_of(10) && !number.is_multiple_of(40),
    })
}

fn otlp(count: u64) -> String {
    let span = |call: &Call, service: &str, id: u64, parent: &str, milliseconds: u64| {
        let start = 1_700_000_000_000_000_000 + call.number * 1_000_000_000;
        let end = start + milliseconds * 1_000_000;
        let code = if call.is_failed { "\"STATUS_CODE_ERROR\"" } else { "1" };
        format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\
             \"{service}\"}}}}]}},\"scopeSpans\":[{{\"spans\":[{{\"traceId\":\"{:032x}\",\"spanId\":\"{:016x}\",\
             \"parentSpanId\":\"{parent}\",\"name\":\"op\",\"kind\":2,\"startTimeUnixNano\":\"{start}\",\
             \"endTimeUnixNano\":{end},\"status\":{{\"code\":{code}}}}}]}}]}}]}}\n",
            call.number,
            call.number * 2 + id
        )
    };
    let both = |call: Call| {
        let parent = format!("{:016x}", call.number * 2);
        let web = span(&call, "web", 0, "", call.milliseconds);
        web + &span(&call, "cart", 1, &parent, call.milliseconds / 2)
    };
    calls(count).map(both).collect()
}

fn jaeger(count: u64) -> String {
    let span = |call: &Call, process: &str, id: u64, references: &str, milliseconds: u64| {
        format!(
            "{{\"traceID\":\"{0:x}\",\"spanID\":\"{1:x}\",\"operationName\":\"op\",\"processID\":\"{process}\",\
             \"references\":[{references}],\"startTime\":{2},\"duration\":{3},\"tags\":[{{\"key\":\"span.kind\",\
             \"type\":\"string\",\"value\":\"server\"}},{{\"key\":\"error\",\"type\":\"bool\",\"value\":{4}}}]}}",
            call.number,
            call.number * 2 + id,
            1_700_000_000_000_000 + call.number * 1_000_000,
            milliseconds * 1_000,
            call.is_failed
        )
    };
    let both = |call: Call| {
        let parent = format!(
            "{{\"refType\":\"CHILD_OF\",\"traceID\":\"{:x}\",\"spanID\":\"{:x}\"}}",
            call.number,
            call.number * 2
        );
        let web = span(&call, "p1", 0, "", call.milliseconds);
        format!("{web},{}", span(&call, "p2", 1, &parent, call.milliseconds / 2))
    };
    let spans: Vec<String> = calls(count).map(both).collect();
    format!(
        "{{\"data\":[{{\"spans\":[{}],\"processes\":{{\"p1\":{{\"serviceName\":\"web\"}},\"p2\":{{\"serviceName\":\"cart\"}}}}}}]}}",
        spans.join(",")
    )
}

fn zipkin(count: u64) -> String {
    let span = |call: &Call, service: &str, id: u64, parent: &str, milliseconds: u64| {
        let error = if call.is_failed { ",\"tags\":{\"error\":\"\"}" } else { "" };
        format!(
            "{{\"traceId\":\"{:016x}\",\"id\":\"{:016x}\"{parent},\"kind\":\"SERVER\",\"name\":\"op\",\
             \"localEndpoint\":{{\"serviceName\":\"{service}\"}},\"timestamp\":{},\"duration\":{}{error}}}",
            call.number,
            call.number * 2 + id,
            1_700_000_000_000_000 + call.number * 1_000_000,
            milliseconds * 1_000
        )
    };
    let both = |call: Call| {
        let parent = format!(",\"parentId\":\"{:016x}\"", call.number * 2);
        let web = span(&call, "web", 0, "", call.milliseconds);
        format!("[{web},{}]", span(&call, "cart", 1, &parent, call.milliseconds / 2))
    };
    format!("[{}]", calls(count).map(both).collect::<Vec<_>>().join(","))
}

fn xray(count: u64) -> String {
    let segment = |call: &Call, name: &str, id: u64, parent: &str, milliseconds: u64| {
        let start = 1_700_000_000_u64 + call.number;
        format!(
            "{{\"Document\":{{\"trace_id\":\"1-{:08x}-000000000000000000000000\",\"id\":\"{:016x}\"{parent},\
             \"name\":\"{name}\",\"start_time\":{start}.0,\"end_time\":{start}.{:03},\"fault\":{}}}}}",
            call.number,
            call.number * 2 + id,
            milliseconds,
            call.is_failed
        )
    };
    let both = |call: Call| {
        let parent = format!(",\"parent_id\":\"{:016x}\"", call.number * 2);
        let web = segment(&call, "web", 0, "", call.milliseconds);
        format!(
            "{{\"Segments\":[{web},{}]}}",
            segment(&call, "cart", 1, &parent, call.milliseconds / 2)
        )
    };
    format!("{{\"Traces\":[{}]}}", calls(count).map(both).collect::<Vec<_>>().join(","))
}

fn skywalking(count: u64) -> String {
    let span = |call: &Call, service: &str, segment: &str, refs: &str, milliseconds: u64| {
        let start = 1_700_000_000_000_u64 + call.number * 1_000;
        format!(
            "{{\"traceId\":\"t{0}\",\"segmentId\":\"{segment}{0}\",\"spanId\":0,\"parentSpanId\":-1,\"refs\":[{refs}],\
             \"serviceCode\":\"{service}\",\"startTime\":{start},\"endTime\":{1},\"endpointName\":\"op\",\
             \"type\":\"Entry\",\"peer\":\"\",\"layer\":\"Http\",\"isError\":{2}}}",
            call.number,
            start + milliseconds,
            call.is_failed
        )
    };
    let both = |call: Call| {
        let parent = format!(
            "{{\"parentSegmentId\":\"w{}\",\"parentSpanId\":0,\"type\":\"CROSS_PROCESS\"}}",
            call.number
        );
        let web = span(&call, "web", "w", "", call.milliseconds);
        format!("{web},{}", span(&call, "cart", "c", &parent, call.milliseconds / 2))
    };
    let spans: Vec<String> = calls(count).map(both).collect();
    format!("{{\"data\":{{\"trace\":{{\"spans\":[{}]}}}}}}", spans.join(","))
}

/// Writes so many calls in a format.
type WriteCalls = fn(u64) -> String;

/// Every format of traces, with what writes so many calls in it.
const TRACES: [(Format, WriteCalls); 5] = [
    (Format::Otlp, otlp),
    (Format::Jaeger, jaeger),
    (Format::Zipkin, zipkin),
    (Format::Xray, xray),
    (Format::Skywalking, skywalking),
];

#[test]
fn every_format_of_traces_gives_the_same_latencies_and_failures() {
    for (format, text) in TRACES {
        let files = [("traces.json", &*text(400))];
        let (text, _) = imported(format, &files, &Options::default()).unwrap();
        for line in [
            "    latency: { median: 40ms, p99: 401ms }  # observed: 370 requests, traces.json\n",
            "    latency: { median: 20ms, p99: 200ms }  # observed: 370 requests, traces.json\n",
            // Where `cart` fails, `web` fails through it.
            "    # errors: 7.5% of requests failed, 0% not through its calls (observed: traces.json)\n",
            "    # errors: 7.5% of requests failed, 7.5% not through its calls (observed: traces.json)\n",
        ] {
            assert!(text.contains(line), "{}: {line}\n{text}", format.name());
        }
        let topology = valid(&text);
        assert!(topology.services.iter().all(|service| service.latency.is_some()));
    }
}

#[test]
fn of_few_requests_no_latency_is_written() {
    for (format, text) in TRACES {
        let files = [("traces.json", &*text(99))];
        let (text, _) = imported(format, &files, &Options::default()).unwrap();
        assert!(
            !text.contains("latency:") && !text.contains("# errors"),
            "{}\n{text}",
            format.name()
        );
    }
}

/// Two calls for each request, and the database that is asked sends no spans itself.
#[test]
fn what_sends_no_spans_is_timed_by_its_callers_and_calls_are_counted() {
    let span = |number: u64,
                id: u64,
                parent: &str,
                kind: u64,
                milliseconds: u64,
                attributes: &str| {
        let start = 1_700_000_000_000_000_000_u64 + number * 1_000_000_000;
        format!(
            "{{\"traceId\":\"{number:032x}\",\"spanId\":\"{:016x}\",\"parentSpanId\":\"{parent}\",\"name\":\"op\",\
             \"kind\":{kind},\"startTimeUnixNano\":{start},\"endTimeUnixNano\":{},\"attributes\":[{attributes}]}}",
            number * 8 + id,
            start + milliseconds * 1_000_000
        )
    };
    let database = "{\"key\":\"db.system\",\"value\":{\"stringValue\":\"postgresql\"}},\
                    {\"key\":\"server.address\",\"value\":{\"stringValue\":\"ledger\"}}";
    let missing = "{\"key\":\"http.status_code\",\"value\":{\"intValue\":\"404\"}},\
                   {\"key\":\"server.address\",\"value\":{\"stringValue\":\"api.example.com\"}}";
    let mut spans = Vec::new();
    for number in 1..=150 {
        let parent = format!("{:016x}", number * 8);
        spans.push(span(number, 0, "", 2, 50, ""));
        spans.push(span(number, 1, &parent, 3, 4, database));
        spans.push(span(number, 2, &parent, 3, 4, database));
        spans.push(span(number, 3, &parent, 3, 9, missing));
    }
    let text = format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\
         \"web\"}}}}]}},\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}",
        spans.join(",")
    );
    let files = [("t.json", &*text)];
    let (text, _) = imported(Format::Otlp, &files, &Options::default()).unwrap();
    assert!(text.contains("latency: { median: 4ms, p99: 4ms }  # observed: 300 requests, t.json"));
    assert!(text.contains("{ service: ledger, calls: 2, evidence: observed"), "{text}");
    // That something is not there is an answer.
    assert!(!text.contains("# errors"), "{text}");
}

#[test]
fn histograms_of_metrics_give_latencies_of_those_who_are_called() {
    let istio = |bound: &str, count: u64| {
        format!(
            "istio_request_duration_milliseconds_bucket{{reporter=\"destination\",source_workload=\"web\",\
             destination_workload=\"cart\",response_code=\"200\",le=\"{bound}\"}} {count}\n"
        )
    };
    let requests = |code: u32, count: u64| {
        format!(
            "istio_requests_total{{reporter=\"destination\",source_workload=\"web\",destination_workload=\"cart\",\
             response_code=\"{code}\"}} {count}\n"
        )
    };
    let text = istio("50", 500) + &istio("100", 990) + &istio("200", 1_000) + &istio("+Inf", 1_000);
    let text = text + &requests(200, 1_000) + &requests(503, 20);
    let (found, _) =
        imported(Format::Prometheus, &[("m.txt", &text)], &Options::default()).unwrap();
    assert!(
        found.contains("latency: { median: 50ms, p99: 100ms }  # observed: 1,000 requests, m.txt")
    );
    assert!(
        found.contains("# errors: 2% of requests failed (observed: m.txt: istio_requests_total)"),
        "{found}"
    );
    // Where one in fifty is slower than the last bucket, nothing is known of the slowest.
    let text =
        istio("50", 500) + &istio("100", 980) + &istio("+Inf", 1_000) + &requests(200, 1_000);
    let (found, _) =
        imported(Format::Prometheus, &[("m.txt", &text)], &Options::default()).unwrap();
    assert!(!found.contains("latency:"), "{found}");
    let tempo = "traces_service_graph_request_total{client=\"web\",server=\"cart\"} 200\n\
                 traces_service_graph_request_total{client=\"user\",server=\"web\"} 400\n\
                 traces_service_graph_request_failed_total{client=\"web\",server=\"cart\"} 10\n\
                 traces_service_graph_request_server_seconds_bucket{client=\"web\",server=\"cart\",le=\"0.1\"} 200\n\
                 traces_service_graph_request_server_seconds_bucket{client=\"web\",server=\"cart\",le=\"+Inf\"} 200\n";
    let options = Options { window: Some(20.0), ..Options::default() };
    let (found, _) = imported(Format::Prometheus, &[("m.txt", tempo)], &options).unwrap();
    assert!(
        found.contains("latency: { median: 50ms, p99: 99ms }  # observed: 200 requests, m.txt")
    );
    assert!(found.contains("# errors: 5% of requests failed"), "{found}");
    assert!(found.contains("steps: [web], rate: 20/s }"), "{found}");
}

#[test]
fn meshes_and_networks_give_failures_rates_and_latencies_where_they_have_them() {
    let kiali = "{\"elements\":{\"nodes\":[{\"data\":{\"id\":\"u\",\"nodeType\":\"unknown\",\"workload\":\"unknown\"}},\
                 {\"data\":{\"id\":\"w\",\"nodeType\":\"workload\",\"namespace\":\"s\",\"workload\":\"web\"}},\
                 {\"data\":{\"id\":\"c\",\"nodeType\":\"workload\",\"namespace\":\"s\",\"workload\":\"cart\"}}],\"edges\":[\
                 {\"data\":{\"source\":\"u\",\"target\":\"w\",\"traffic\":{\"protocol\":\"http\",\"rates\":{\"http\":\"10.0\"}}}},\
                 {\"data\":{\"source\":\"w\",\"target\":\"c\",\"responseTime\":\"12\",\"traffic\":{\"protocol\":\"http\",\
                 \"rates\":{\"http\":\"5.0\",\"http5xx\":\"0.5\",\"http4xx\":\"1.0\"}}}}]}}";
    let (found, _) = imported(Format::Kiali, &[("k.json", kiali)], &Options::default()).unwrap();
    assert!(
        found.contains("# errors: 10% of requests failed (observed: k.json: http traffic)"),
        "{found}"
    );
    assert!(found.contains("steps: [s.web], rate: 10/s }"), "{found}");
    assert!(!found.contains("latency:"), "{found}");
    let flow = |kind: &str, from: &str, to: &str, more: &str| {
        format!(
            "{{\"flow\":{{\"verdict\":\"FORWARDED\",\"source\":{{\"namespace\":\"s\",\"workloads\":[{{\"name\":\"{from}\"}}]}},\
             \"destination\":{{\"namespace\":\"s\",\"workloads\":[{{\"name\":\"{to}\"}}]}},\"is_reply\":{},\"l7\":{{\"type\":\
             \"{kind}\"{more}}}}}}}\n",
            kind == "RESPONSE"
        )
    };
    let mut text = String::new();
    for number in 0..200 {
        text += &flow("REQUEST", "web", "cart", "");
        let code = if number % 20 == 0 { 500 } else { 200 };
        let more = format!(",\"latency_ns\":\"3000000\",\"http\":{{\"code\":{code}}}");
        text += &flow("RESPONSE", "cart", "web", &more);
    }
    let (found, _) = imported(Format::Hubble, &[("h.jsonl", &text)], &Options::default()).unwrap();
    assert!(
        found.contains("latency: { median: 3ms, p99: 3ms }  # observed: 190 requests, h.jsonl")
    );
    assert!(found.contains("# errors: 5% of requests failed (observed: h.jsonl)"), "{found}");
    let xray = "{\"StartTime\":0,\"EndTime\":60,\"Services\":[{\"ReferenceId\":1,\"Name\":\"web\",\"Type\":\"AWS::ECS\",\
                \"ResponseTimeHistogram\":[{\"Value\":0.02,\"Count\":98},{\"Value\":0.3,\"Count\":2}],\"SummaryStatistics\":\
                {\"TotalCount\":100,\"FaultStatistics\":{\"TotalCount\":4}},\"Edges\":[{\"ReferenceId\":2}]},\
                {\"ReferenceId\":2,\"Name\":\"cart\",\"Type\":\"AWS::ECS\",\"Edges\":[]}]}";
    let (found, _) = imported(Format::Xray, &[("x.json", xray)], &Options::default()).unwrap();
    assert!(
        found.contains("latency: { median: 20ms, p99: 300ms }  # observed: 100 requests, x.json")
    );
    assert!(found.contains("# errors: 4% of requests failed (observed: x.json)"), "{found}");
}

#[test]
fn latencies_are_merged_into_every_style_of_service() {
    use blastwave::diagnostic::Sources;
    use blastwave::import::{self, EvidenceGraph, MeasuredLatency};
    use blastwave::load;

    let before = "version: 1\ntopology: t\nservices:\n  empty:\n  braces: {}\n  flow: { tier: 1 }\n  block:\n    # ours\n    tier: 2\n\
                  \x20 stated: { latency: { median: 1ms, p99: 2ms } }\nflows:\n  f: { steps: [empty] }\n";
    let mut graph = EvidenceGraph::default();
    for name in ["empty", "braces", "flow", "block", "stated"] {
        let source = "traces".to_owned();
        let latency = MeasuredLatency { median: 0.04, p99: 0.4, requests: Some(500.0), source };
        graph.service_or_new(name).latency = Some(latency);
        let evidence = blastwave::model::topology::Evidence::Observed;
        graph.depend_on(name, "db", evidence, "traces");
    }
    let document =
        load::parse_document("t", before.as_bytes().to_vec(), &mut Sources::default()).unwrap();
    let merged = import::merge_graph(&document, before, &graph);
    let topology = valid(&merged.text);
    for service in topology.services.iter().filter(|service| service.name != "db") {
        let median = if service.name == "stated" { 0.001 } else { 0.04 };
        assert_eq!(
            service.latency.map(|latency| latency.median.get()),
            Some(median),
            "{}",
            merged.text
        );
        assert_eq!(service.dependencies.len(), 1, "{}", merged.text);
    }
    assert!(merged.text.contains("    # ours\n"), "{}", merged.text);
    let document =
        load::parse_document("t", merged.text.as_bytes().to_vec(), &mut Sources::default())
            .unwrap();
    assert_eq!(import::merge_graph(&document, &merged.text, &graph).text, merged.text);
}

#[test]
fn times_and_counts_that_no_clock_gives_are_no_figures_and_no_errors() {
    let spans = "{\"traceId\":\"01\",\"spanId\":\"01\",\"name\":\"x\",\"kind\":2,\"startTimeUnixNano\":18446744073709551615,\
                 \"endTimeUnixNano\":\"-3\",\"status\":{\"code\":{\"x\":[1]}}},{\"traceId\":\"01\",\"spanId\":\"02\",\
                 \"parentSpanId\":\"01\",\"kind\":3,\"startTimeUnixNano\":1.7e18,\"endTimeUnixNano\":1e300,\"status\":\"ok\",\
                 \"attributes\":[{\"key\":\"server.address\",\"value\":{\"stringValue\":\"b\"}}]},{\"traceId\":\"01\",\"spanId\":\
                 \"03\",\"kind\":2,\"startTimeUnixNano\":true,\"endTimeUnixNano\":[],\"status\":null}";
    let repeated = vec![spans; 200].join(",");
    let text = format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\
         \"a\"}}}}]}},\"scopeSpans\":[{{\"spans\":[{repeated}]}}]}}]}}"
    );
    let (found, _) = imported(Format::Otlp, &[("t.json", &text)], &Options::default()).unwrap();
    assert!(found.contains("{ service: b, "), "{found}");
    assert!(!found.contains("latency:") && !found.contains("# errors"), "{found}");
    let sample = |name: &str, label: &str, value: &str| {
        format!(
            "{name}{{reporter=\"destination\",source_workload=\"a\",destination_workload=\"b\",{label}}} {value}\n"
        )
    };
    let mut text = String::new();
    for value in ["NaN", "+Inf", "-5", "1e308", "1e308", "500"] {
        text += &sample("istio_requests_total", "response_code=\"500\"", value);
    }
    for bound in ["NaN", "-1", "1e400", "1e300", "0", ""] {
        let label = format!("le=\"{bound}\"");
        text += &sample("istio_request_duration_milliseconds_bucket", &label, "500");
    }
    let (found, _) =
        imported(Format::Prometheus, &[("m.txt", &text)], &Options::default()).unwrap();
    assert!(found.contains("{ service: b, "), "{found}");
    assert!(
        !found.contains("latency:") && !found.contains("NaN") && !found.contains("inf%"),
        "{found}"
    );
}
