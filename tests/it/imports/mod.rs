//! Files of other programs: each trap of their formats in a small file of our own, with the whole topology
//! that it must become; and that no file can make the importers panic.

mod commands;
mod deployments;
mod hostile;
mod limits;
mod measured;
mod traps;

use std::fs;
use std::path::Path;

use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::import::{self, EvidenceGraph, Format, Options};
use blastwave::load;
use blastwave::model::Topology;
use proptest::prelude::*;

/// Writes files into a directory of their own, and imports them by name.
fn imported(
    format: Format,
    files: &[(&str, &str)],
    options: &Options,
) -> Result<(String, Vec<Diagnostic>), Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if !name.ends_with(".env") {
            paths.push(path.to_str().unwrap().to_owned());
        }
    }
    let mut graph = EvidenceGraph::default();
    let mut sources = Sources::default();
    import::read_files(format, &paths, options, &mut graph, &mut sources, &|_, _| {})?;
    import::settle_graph(&mut graph);
    let text = import::write_topology("test", &graph);
    valid(&text);
    let prefix = format!("{}/", Path::new(folder.path()).display());
    Ok((text.replace(&prefix, ""), graph.take_warnings()))
}

fn valid(text: &str) -> Topology {
    let document =
        load::parse_document("result", text.as_bytes().to_vec(), &mut Sources::default())
            .expect("YAML");
    Topology::from_document(&document).expect("a topology")
}

/// Imports, and compares all lines that are no comments.
#[track_caller]
fn check(format: Format, files: &[(&str, &str)], expected: &str) -> Vec<Diagnostic> {
    let (text, warnings) = imported(format, files, &Options::default()).expect("it can be read");
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
    };
    let expected = format!("version: 1\ntopology: test\n{expected}");
    assert_eq!(lines(&text), lines(&expected), "\n{text}");
    warnings
}

#[test]
fn compose_start_order_stays_start_order_until_an_address_confirms_it() {
    check(
        Format::Compose,
        &[
            (
                "compose.yaml",
                "x-up: &up {condition: service_healthy}\nservices:\n  web:\n    depends_on: {db: {<<: *up}, \
                 cart: {<<: *up}}\n    environment: [CART_ADDR, DB_USER=db, PASS=hunter2]\n    deploy: \
                 {replicas: \"${COUNT:-2}\"}\n  cart: {image: cart}\n  db: {image: 'postgres:17'}\n",
            ),
            (".env", "PORT=70\nCART_ADDR=cart:${PORT}\n"),
        ],
        "services:\n  cart: {}\n  db:\n    kind: database\n  web:\n    replicas: 2\n    dependencies:\n      - \
         { service: cart, evidence: declared, source: \"compose.yaml: services.web.depends_on.cart; \
         compose.yaml: services.web.environment.CART_ADDR\" }\n      - { service: db, phase: start, evidence: \
         declared, source: \"compose.yaml: services.web.depends_on.db\" }\nflows:\n  web: { title: \
         \"requests that enter at web\", steps: [web] }\n",
    );
}

#[test]
fn secrets_in_variables_are_never_written() {
    let compose = "services:\n  a: {environment: {DB_URL: 'postgres://root:hunter2@b:5432/x?sslkey=s3cret'}}\n  b: {}\n";
    let (text, _) = imported(Format::Compose, &[("c.yaml", compose)], &Options::default()).unwrap();
    assert!(text.contains("service: b"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("s3cret"), "{text}");
}

#[test]
fn a_kubernetes_address_that_leads_nowhere_is_a_warning() {
    let manifest = "kind: List\nitems:\n- kind: Deployment\n  metadata: {name: web}\n  spec:\n    replicas: 3\n    \
                    template:\n      metadata: {labels: {app: web}}\n      spec:\n        containers:\n        - env:\n          \
                    - {name: DB_ADDR, value: 'data:5432'}\n          - {name: X_ADDR, value: 'nobody:80'}\n- kind: \
                    StatefulSet\n  metadata: {name: db}\n  spec: {template: {metadata: {labels: {app: db}}}}\n- \
                    kind: Service\n  apiVersion: v1\n  metadata: {name: data}\n  spec: {selector: {app: db}}\n";
    let warnings = check(
        Format::Kubernetes,
        &[("all.yaml", manifest)],
        "services:\n  db: {}\n  web:\n    replicas: 3\n    dependencies:\n      - { service: db, evidence: inferred, \
         source: \"all.yaml: Deployment web env DB_ADDR\" }\nflows:\n  web: { title: \"requests that enter at \
         web\", steps: [web] }\n",
    );
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].code, Code::Dangling);
}

#[test]
fn a_table_and_a_list_give_shares_of_calls() {
    let dependencies = "services:\n  a:\n    dependencies:\n      - { service: b, evidence: observed, source: \
                        \"FILE\" }\n  b:\n    dependencies:\n      - { service: c, call_probability: 25%, \
                        evidence: observed, source: \"NEXT\" }\n  c: {}\nflows:\n  a: { title: \"requests that \
                        enter at a\", steps: [a] }\n";
    let expected =
        |first: &str, second: &str| dependencies.replace("FILE", first).replace("NEXT", second);
    check(
        Format::Csv,
        &[("t.csv", "from,to,count\na,b,8\nb,\"c\",2\n")],
        &expected("t.csv: line 2", "t.csv: line 3"),
    );
    check(
        Format::Jaeger,
        &[(
            "d.json",
            "{\"data\":[{\"parent\":\"a\",\"child\":\"b\",\"callCount\":8},\n{\"parent\":\"b\",\"child\":\"c\",\"callCount\":2}]}",
        )],
        &expected("d.json: entry 1", "d.json: entry 2"),
    );
}

#[test]
fn drawings_are_read_by_their_arrows() {
    check(
        Format::Dot,
        &[("g.dot", "digraph { edge [style=dotted] a:p -> {b c} /* x */; d -> a [dir=back] }")],
        "services:\n  a:\n    dependencies:\n      - { service: b, evidence: declared, source: \"g.dot: line 1\" }\n      \
         - { service: c, evidence: declared, source: \"g.dot: line 1\" }\n      - { service: d, evidence: declared, \
         source: \"g.dot: line 1\" }\n  b: {}\n  c: {}\n  d: {}\nflows:\n  a: { title: \"requests that enter at \
         a\", steps: [a] }\n",
    );
}

#[test]
fn traces_give_flows_with_rates_over_their_window() {
    let line = |trace: &str, span: &str, parent: &str, kind: &str, service: &str| {
        format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\
             \"{service}\"}}}}]}},\"scopeSpans\":[{{\"spans\":[{{\"traceId\":\"{trace}\",\"spanId\":\"{span}\",\
             \"parentSpanId\":\"{parent}\",\"name\":\"GET /x/42\",\"kind\":{kind}}}]}}]}}]}}\n"
        )
    };
    let trace = "5b8efff798038103d269b633813fc60c";
    let text = line(trace, "EEE19B7EC3C1B174", "", "2", "web")
        + &line(trace, "eee19b7ec3c1b175", "7uGbfsPBsXQ=", "\"SPAN_KIND_SERVER\"", "cart");
    let options = Options { window: Some(0.5), ..Options::default() };
    let (text, _) = imported(Format::Otlp, &[("t.jsonl", &text)], &options).unwrap();
    let topology = valid(&text);
    assert_eq!(topology.services.len(), 2);
    assert!(text.contains("{ service: cart, evidence: observed"), "{text}");
    assert!(
        text.contains(
            "\"web GET .x.{id}\": { title: \"GET /x/{id} at web\", steps: [web], rate: 2/s }"
        ),
        "{text}"
    );
}

#[test]
fn what_is_no_such_file_is_an_error_that_names_it() {
    for format in Format::ALL.iter().copied() {
        let files = [("no.txt", "42\n")];
        let problems = imported(format, &files, &Options::default());
        if format != Format::Csv {
            assert!(problems.is_err(), "{}", format.name());
        }
    }
}

#[test]
fn bombs_are_refused() {
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><graphml>&b;</graphml>";
    assert!(imported(Format::Graphml, &[("x.graphml", entities)], &Options::default()).is_err());
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        aliases += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    let problems =
        imported(Format::Compose, &[("c.yaml", &aliases)], &Options::default()).unwrap_err();
    assert_eq!(problems[0].code, Code::AliasBomb);
}

/// What a merge makes of a topology.
fn merged(before: &str, edges: &[(&str, &str)]) -> import::Merged {
    let mut sources = Sources::default();
    let document = load::parse_document("t", before.as_bytes().to_vec(), &mut sources).unwrap();
    let mut graph = EvidenceGraph::new(&import::aliases_of(&document));
    for (caller, callee) in edges {
        let evidence = blastwave::model::topology::Evidence::Observed;
        graph.depend_on(caller, callee, evidence, "traces");
    }
    import::settle_graph(&mut graph);
    let merged = import::merge_graph(&document, before, &graph);
    valid(&merged.text);
    merged
}

const EDITED: &str = "\
version: 1
topology: shop   # ours
aliases: { nginx-web: web }
services:
  web:
    # the shop window
    dependencies:
      - { service: cart, evidence: declared, criticality: soft }  # reviewed
      - db

  cart: { kind: service }   # small
  db:
flows:
  buy: { steps: [web] }
";

#[test]
fn edits_and_comments_survive_when_the_same_is_imported_again() {
    let edges =
        [("nginx-web", "cart"), ("web", "db"), ("cart", "db"), ("db", "disk"), ("cart", "x/y")];
    let first = merged(EDITED, &edges);
    assert!(
        first
            .text
            .contains("- { service: cart, evidence: observed, criticality: soft }  # reviewed")
    );
    assert!(first.text.contains("    # the shop window\n"));
    assert!(first.text.contains("topology: shop   # ours\n"));
    assert_eq!(valid(&first.text).services.len(), 5);
    let again = merged(&first.text, &edges);
    assert_eq!(again.text, first.text);
    assert_eq!(again.changes, Vec::<String>::new());
}

#[test]
fn what_a_source_no_longer_has_is_told_and_kept() {
    let merged = merged(EDITED, &[("web", "db")]);
    assert_eq!(merged.text, EDITED);
    assert_eq!(merged.conflicts.len(), 1);
    assert_eq!(merged.conflicts[0].code, Code::ImportConflict);
}

#[test]
fn domains_come_with_new_services_and_steps_keep_to_the_endpoints_that_are_there() {
    let mut sources = Sources::default();
    let document = load::parse_document("t", EDITED.as_bytes().to_vec(), &mut sources).unwrap();
    let mut graph = EvidenceGraph::default();
    for (service, zone) in [("web", "old"), ("new", "eu-1a"), ("other", "cart")] {
        let domain = graph.domain_name(zone, "zone");
        graph.service_or_new(service).domains = vec![domain];
    }
    let flow = |step: &str| import::ImportedFlow {
        title: None,
        steps: vec![step.to_owned()],
        rate: None,
        is_derived: false,
    };
    graph.service_or_new("new").endpoints.insert("op".to_owned(), [("web".to_owned(), 0.5)].into());
    graph.depend_on("new", "web", blastwave::model::topology::Evidence::Observed, "traces");
    graph.flows.insert("a".to_owned(), flow("web/op"));
    graph.flows.insert("b".to_owned(), flow("new/op"));
    import::settle_graph(&mut graph);
    let merged = import::merge_graph(&document, EDITED, &graph);
    let topology = valid(&merged.text);
    // `cart` is a service here, and `web` is as a person wrote it.
    assert_eq!(topology.domains.iter().map(|domain| &*domain.name).collect::<Vec<_>>(), ["eu-1a"]);
    assert!(merged.text.contains("  a: { steps: [web] }"), "{}", merged.text);
    assert!(merged.text.contains("  b: { steps: [\"new/op\"] }"), "{}", merged.text);
    assert!(merged.text.contains("call_probability: 50%"), "{}", merged.text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_an_importer_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0..8_usize) {
        let starts: [&str; 8] = [
            "", "{\"", "[{", "digraph {", "services:\n  a: ", "<graphml>", "workspace {\n model {\n", "a,b\n",
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, [starts[start].as_bytes(), &bytes].concat()).unwrap();
        let path = path.to_str().unwrap().to_owned();
        for format in Format::ALL.iter().copied() {
            let mut graph = EvidenceGraph::default();
            let mut sources = Sources::default();
            let files = [path.clone()];
            let read = import::read_files(format, &files, &Options::default(), &mut graph, &mut sources, &|_, _| {});
            if read.is_ok() {
                import::settle_graph(&mut graph);
                valid(&import::write_topology("t", &graph));
            }
        }
    }
}
