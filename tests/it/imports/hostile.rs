//! Files made to do harm: each is refused with a clear error, or its harm is left out, within bounded
//! time and memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use blastwave::diagnostic::{Code, Diagnostic, Sources};
use blastwave::import::{self, EvidenceGraph, Format, Options};
use blastwave::render::text::diagnostics::{DiagnosticStyle, render_diagnostics};

use super::imported;

/// What takes longer does not end. Each file is refused within a second; the rest is for machines that are
/// busy with something else, on which a narrow limit would fail what is right.
const NO_END: Duration = Duration::from_secs(600);

fn refused(format: Format, name: &str, text: &str) -> Diagnostic {
    let started = Instant::now();
    let problems = imported(format, &[(name, text)], &Options::default()).unwrap_err();
    assert!(started.elapsed() < NO_END, "{} took too long", format.name());
    problems.into_iter().next().expect("it says why")
}

/// Imports one file, which may be no text.
fn read_one(format: Format, path: &Path) -> (Result<(), Vec<Diagnostic>>, EvidenceGraph, Sources) {
    let (mut graph, mut sources) = (EvidenceGraph::default(), Sources::default());
    let files = [path.to_str().unwrap().to_owned()];
    let options = Options::default();
    let read = import::read_files(format, &files, &options, &mut graph, &mut sources, &|_, _| {});
    (read, graph, sources)
}

#[test]
fn entities_are_never_expanded_and_files_never_fetched() {
    let declared = [
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;\">]>",
        "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/hostname\">]>",
        "<!DOCTYPE x SYSTEM \"http://example.com/x.dtd\">",
    ];
    for declaration in declared {
        let text = format!("{declaration}<graphml><graph><node id=\"&a;\"/></graph></graphml>");
        let problem = refused(Format::Graphml, "x.graphml", &text);
        assert_eq!(problem.code, Code::Syntax, "{declaration}");
    }
}

#[test]
fn aliases_cannot_explode() {
    let mut text = String::from("services: &a0 {a: {image: x}, b: {image: x}, c: {image: x}}\n");
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        text += &format!("x{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", "));
    }
    for format in [Format::Compose, Format::Kubernetes, Format::Backstage, Format::Mapping] {
        assert_eq!(refused(format, "x.yaml", &text).code, Code::AliasBomb, "{}", format.name());
    }
}

#[test]
fn variables_that_double_stay_small() {
    let mut env = String::from("A0=aaaaaaaaaaaaaaaa\n");
    for level in 1..64 {
        env += &format!("A{level}=${{A{0}}}${{A{0}}}\n", level - 1);
    }
    let files =
        [("compose.yaml", "services: {web: {image: x, environment: [A63]}}"), (".env", &env)];
    let (text, _) = imported(Format::Compose, &files, &Options::default()).unwrap();
    assert!(text.len() < 2_000, "{text}");
}

#[test]
fn nesting_is_refused_whatever_the_brackets() {
    let deep = 100_000;
    for (name, open) in
        [("x.yaml", "["), ("x.json", "{\"a\":"), ("y.yaml", "- "), ("y.json", "[{\"data\":")]
    {
        let text = open.repeat(deep);
        for format in Format::ALL.iter().copied() {
            // Of these, a table has no depth, and a drawing begins with a word.
            if format != Format::Csv {
                refused(format, name, &text);
            }
        }
    }
    refused(Format::Dot, "x.dot", &format!("digraph {}", "{".repeat(deep)));
    refused(Format::Dot, "y.dot", &format!("digraph {{ a [label={}] }}", "<".repeat(deep)));
    refused(
        Format::Structurizr,
        "x.dsl",
        &format!("workspace {{ model {{ {}", "a = group x { ".repeat(deep)),
    );
    refused(Format::Graphml, "x.graphml", &format!("<graphml>{}", "<graph>".repeat(deep)));
}

/// Imports a file that is a megabyte of the same, one way or the other, and returns whether it was read.
fn ends_in_time(format: Format, name: &str, text: &str) -> bool {
    let started = Instant::now();
    let read = imported(format, &[(name, text)], &Options::default());
    let took = started.elapsed();
    // Work by the square takes hours; a busy machine makes a minute of the seconds that this takes.
    assert!(took.as_secs() < 300, "{} took {took:?} for {text:.60}", format.name());
    read.is_ok()
}

#[test]
fn work_grows_with_a_file_and_not_with_its_square() {
    let lines = |count: usize, line: fn(usize) -> String| (0..count).map(line).collect::<String>();
    let chain = lines(20_000, |i| format!("  s{i}: {{extends: s{}}}\n", i + 1));
    assert!(ends_in_time(
        Format::Compose,
        "x.yaml",
        &format!("services:\n{chain}  s20000: {{image: x}}\n")
    ));
    let policies = lines(4_000, |i| {
        format!("---\nkind: NetworkPolicy\nmetadata: {{name: n{i}}}\nspec: {{podSelector: {{}}}}\n")
    });
    let workload = "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{image: x}]}}}\n";
    assert!(ends_in_time(Format::Kubernetes, "x.yaml", &(workload.to_owned() + &policies)));
    ends_in_time(Format::Kubernetes, "y.yaml", &"---\na: 1\n".repeat(100_000));
    let catalog = lines(11_000, |i| {
        format!(
            "---\nkind: Component\nmetadata: {{name: s{i}}}\nspec: {{dependsOn: [\"component:s{}\"]}}\n",
            i + 1
        )
    });
    assert!(ends_in_time(Format::Backstage, "x.yaml", &catalog));
    assert!(ends_in_time(
        Format::Dot,
        "x.dot",
        &format!("digraph {{ {}a }}", "a -> ".repeat(200_000))
    ));
    ends_in_time(Format::Csv, "x.csv", &",".repeat(1_000_000));
    ends_in_time(Format::D2, "x.d2", &"x: {\n".repeat(200_000));
}

#[test]
fn groups_joined_with_groups_are_bounded() {
    let group = |name: &str, between: &str| {
        (0..20_000).map(|i| format!("{name}{i}")).collect::<Vec<_>>().join(between)
    };
    let text = format!("graph TD\n{} --> {}\n", group("a", " & "), group("b", " & "));
    assert!(ends_in_time(Format::Mermaid, "x.mmd", &text));
    let text = format!("digraph {{ {{ {} }} -> {{ {} }} }}", group("a", " "), group("b", " "));
    assert!(!ends_in_time(Format::Dot, "x.dot", &text));
}

#[test]
fn what_is_wrong_with_a_file_is_said_while_its_format_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    for text in [
        format!("x: &a [{}]\ny: [{}]\n", "a,".repeat(1_000), "*a,".repeat(100_000)),
        "a: [".repeat(1_000),
        "a: 1\na: {\n".to_owned(),
        "\u{0}\u{1}".to_owned(),
    ] {
        fs::write(&path, text).unwrap();
        let output = crate::support::program(folder.path())
            .args(["import", "auto", "x.yaml"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("x.yaml"), "{said}");
    }
}

#[test]
fn what_is_not_utf8_is_an_error_at_its_place_or_skipped_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let read = |format: Format, bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let (read, graph, _) = read_one(format, &path);
        read.map(|()| graph)
    };
    for format in [
        Format::Compose,
        Format::Kubernetes,
        Format::Csv,
        Format::Dot,
        Format::Graphml,
        Format::Prometheus,
    ] {
        let problems = read(format, b"services:\n  w\xFFb: {image: x}\n").unwrap_err();
        assert_eq!(problems[0].code, Code::NotUtf8, "{}", format.name());
    }
    // One broken line of traces does not spoil the rest.
    let span = |service: &str| {
        format!(
            "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":\
             {{\"stringValue\":\"{service}\"}}}}]}},\"scopeSpans\":[{{\"spans\":[{{\"traceId\":\"01\",\
             \"spanId\":\"02\",\"kind\":2}}]}}]}}]}}\n"
        )
    };
    let lines =
        [span("web").as_bytes(), b"{\"resourceSpans\":[\"\xFF\xFE\"]}\n", span("pay").as_bytes()]
            .concat();
    let mut graph = read(Format::Otlp, &lines).unwrap();
    assert_eq!(graph.services.keys().collect::<Vec<_>>(), ["pay", "web"]);
    let warnings = graph.take_warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].message.starts_with("line 2 of"), "{}", warnings[0].message);
}

#[test]
fn a_line_without_end_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traces.jsonl");
    // A gigabyte without a line break, which takes no room on the disk.
    File::create(&path).unwrap().set_len(1 << 30).unwrap();
    for format in [Format::Otlp, Format::Jaeger, Format::Zipkin] {
        let problems = read_one(format, &path).0.unwrap_err();
        assert_eq!(problems[0].code, Code::TooLarge);
        assert!(problems[0].message.contains("line 1 of"), "{}", problems[0].message);
    }
    for format in [Format::Compose, Format::Csv, Format::Dot, Format::Json] {
        let problems = read_one(format, &path).0.unwrap_err();
        assert_eq!(problems[0].code, Code::TooLarge, "{}", format.name());
    }
}

#[test]
fn one_value_too_large_for_memory_says_how_to_write_it_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    file.write_all(b"{\n  \"data\": [\n").unwrap();
    file.into_inner().unwrap().set_len(1 << 30).unwrap();
    let problems = read_one(Format::Jaeger, &path).0.unwrap_err();
    assert_eq!(problems[0].code, Code::TooLarge);
    assert!(problems[0].help.as_ref().unwrap().contains("on each line"), "{:?}", problems[0].help);
}

#[test]
fn traces_in_one_large_value_are_read_resource_by_resource() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let resource = |service: &str, span: &str, parent: &str| {
        format!(
            "{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\"{service}\"}}}}]}},\
             \"scopeSpans\":[{{\"spans\":[{{\"traceId\":\"1\",\"spanId\":\"{span}\",\"parentSpanId\":\"{parent}\",\
             \"name\":\"x\",\"kind\":2}}]}}]}}"
        )
    };
    file.write_all(
        format!("{{\"result\":\n{{\"resourceSpans\":[{}", resource("a", "1", "")).as_bytes(),
    )
    .unwrap();
    // Spaces stand for the traces that there is no time to write.
    for _ in 0..70 {
        file.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    file.write_all(format!(",{}]}}}}\n", resource("b", "2", "1")).as_bytes()).unwrap();
    drop(file);
    let (read, graph, _) = read_one(Format::Otlp, &path);
    read.unwrap();
    assert!(graph.dependencies.contains_key(&("a".to_owned(), "b".to_owned())));
}

#[test]
fn secrets_reach_neither_the_topology_nor_what_is_said() {
    let compose = "services:\n  a:\n    image: x\n    environment:\n      DB_URL: 'postgres://root:hunter2@b:5432/x?sslkey=s3cret'\n      \
                   LOST_URL: 'amqp://root:hunter2@lost:5672/x?sslkey=s3cret'\n      SLASH_URL: 'amqp://root:hunter2/s3cret@lost'\n      \
                   API_TOKEN: hunter2\n      TOKEN_URL: 'https://x.example.com/s3cret'\n      DB_PASSWORD: hunter2\n    command: run --password hunter2 --key=s3cret\n  \
                   b: {image: postgres}\n";
    let manifest = "kind: Deployment\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {app: a}}, spec: {containers: [{env: \
                    [{name: LOST_ADDR, value: 'amqp://root:hunter2@lost:5672'}, {name: KEY, value: s3cret}]}]}}}\n---\nkind: Secret\nmetadata: {name: \
                    s}\nstringData: {password: hunter2}\n---\nkind: ConfigMap\nmetadata: {name: c}\ndata: {password: s3cret}\n";
    for (format, name, text) in
        [(Format::Compose, "c.yaml", compose), (Format::Kubernetes, "k.yaml", manifest)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let (read, mut graph, sources) = read_one(format, &path);
        read.unwrap();
        import::settle_graph(&mut graph);
        let warnings = graph.take_warnings();
        assert!(!warnings.is_empty(), "an address leads nowhere");
        let said = import::write_topology("t", &graph)
            + &render_diagnostics(&warnings, &sources, DiagnosticStyle::Plain)
            + &import::summary_lines(&graph, "t.yaml").join("\n");
        assert!(said.contains("lost"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("s3cret"), "{said}");
    }
}
