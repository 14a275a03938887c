//! Compose files and manifests: secrets stay where they are, files are read once and only inside of the
//! project, and all ways in which a name is found agree.

use std::fs;

use blastwave::diagnostic::Sources;
use blastwave::import::{self, EvidenceGraph, Format, Options};
use blastwave::render::text::diagnostics::{DiagnosticStyle, render_diagnostics};
use blastwave::report::UnknownKind;
use blastwave::{Change, Simulation};

use super::{imported, valid};

/// Everything that an import prints or writes.
fn all_that_is_said(format: Format, files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let first = folder.path().join(files[0].0).to_str().unwrap().to_owned();
    let (mut graph, mut sources) = (EvidenceGraph::default(), Sources::default());
    let options = Options::default();
    import::read_files(format, &[first], &options, &mut graph, &mut sources, &|_, _| {}).unwrap();
    import::settle_graph(&mut graph);
    let text = import::write_topology("t", &graph);
    valid(&text);
    let summary = import::summary_lines(&graph, "t.yaml").join("\n");
    text + &summary + &render_diagnostics(&graph.take_warnings(), &sources, DiagnosticStyle::Plain)
}

#[test]
fn a_start_order_is_no_proof_that_serving_needs_nothing() {
    // A gateway starts after the application, and the application after its database.
    let compose = "services:\n  front: { image: nginx, ports: [\"443:443\"], depends_on: [app] }\n  \
                   app: { image: a, depends_on: { db: { condition: service_healthy } } }\n  \
                   db: { image: mysql }\n";
    let (text, _) =
        imported(Format::Compose, &[("compose.yaml", compose)], &Options::default()).unwrap();
    let topology = valid(&text);
    let change = Change::breaking(["db"], &topology).unwrap();
    let report = Simulation::new(&topology, &change).trials(1_000).run();
    let [unknown] = &*report.unknowns else { panic!("{:?}", report.unknowns) };
    assert_eq!((unknown.caller.as_str(), unknown.what), ("app", UnknownKind::Phase));
    assert_eq!((unknown.best, unknown.worst), (0.0, 1.0));
}

#[test]
fn planted_secrets_appear_nowhere() {
    let compose = "x-all: &all { PASSWORD: SECRET1, API: 'http://SECRET2:80' }\nservices:\n  \
                   web: { image: x, environment: { <<: *all, A_URL: \"http://${TOKEN}:80\", PW: SECRET3, H: '${NO}' }, \
                   depends_on: [nobody, '${TOKEN}'], env_file: [a.env, gone.env], labels: { k: SECRET4 }, \
                   command: 'run --password=SECRET5 --host=SECRET6', hostname: '${TOKEN}', \
                   deploy: { placement: { constraints: ['node.labels.zone == ${TOKEN}'] } } }\n  \
                   db: { image: postgres, hostname: '${TOKEN}' }\n";
    let said = all_that_is_said(
        Format::Compose,
        &[
            ("compose.yaml", compose),
            (".env", "TOKEN=SECRET7\n"),
            ("a.env", "DB_URL=postgres://u:SECRET8@db:5432/SECRET9\nMAIL_HOST=SECRET10\n"),
            ("gone.env.example", "X_URL=http://u:SECRET11@SECRET12\n"),
        ],
    );
    assert!(said.contains("service: db"), "{said}");
    assert!(!said.contains("SECRET"), "{said}");
    let manifests = "kind: List\nitems:\n- {kind: Secret, metadata: {name: s}, stringData: {A: 'http://u:SECRET1@db:1/SECRET2', \
                     B_HOST: SECRET3}}\n- {kind: Secret, metadata: {name: t}, data: {URL: aHR0cDovL1NFQ1JFVDQ6ODA=}}\n\
                     - {kind: Service, metadata: {name: db}, spec: {selector: {a: db}}}\n\
                     - {kind: Service, metadata: {name: none, annotations: {x: SECRET5}}, spec: {selector: {a: none}}}\n\
                     - {kind: Deployment, metadata: {name: db}, spec: {template: {metadata: {labels: {a: db}}, spec: {containers: \
                     [{image: x}]}}}}\n- {kind: Deployment, metadata: {name: web}, spec: {template: {spec: {containers: [{image: x, \
                     args: ['--key=SECRET6'], env: [{name: P, value: SECRET7}, {name: Q_URL, value: 'http://$(P):1'}], \
                     envFrom: [{secretRef: {name: s}}, {secretRef: {name: t}}]}]}}}}\n";
    let said = all_that_is_said(Format::Kubernetes, &[("all.yaml", manifests)]);
    assert!(said.contains("service: db"), "{said}");
    assert!(!said.contains("SECRET"), "{said}");
}

#[test]
fn files_that_include_themselves_many_times_are_read_once() {
    let text = format!(
        "include: [{}]\nservices: {{ web: {{ image: x }} }}\n",
        "compose.yaml, ".repeat(10)
    );
    let (text, _) =
        imported(Format::Compose, &[("compose.yaml", &text)], &Options::default()).unwrap();
    assert!(text.contains("  web: {}\n"), "{text}");
}

#[test]
fn files_outside_of_the_project_are_read_only_when_the_user_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(folder.path().join("other.yaml"), "services: {db: {image: postgres}}\n").unwrap();
    fs::write(folder.path().join("a.env"), "DB_HOST=db\n").unwrap();
    let compose = "include: [../other.yaml]\nservices: {web: {image: x, env_file: ../a.env}}\n";
    let path = project.join("compose.yaml");
    fs::write(&path, compose).unwrap();
    let read = |allow_outside: bool| {
        let (mut graph, mut sources) = (EvidenceGraph::default(), Sources::default());
        let options = Options { allow_outside, ..Options::default() };
        let files = [path.to_str().unwrap().to_owned()];
        import::read_files(Format::Compose, &files, &options, &mut graph, &mut sources, &|_, _| {})
            .unwrap();
        let warnings = graph.take_warnings();
        (import::write_topology("t", &graph), warnings.len())
    };
    let (text, warnings) = read(false);
    assert!(!text.contains("db:"), "{text}");
    assert_eq!(warnings, 2);
    let (text, warnings) = read(true);
    assert!(text.contains("service: db"), "{text}");
    assert_eq!(warnings, 0);
}

/// A stable and a canary version behind one name: whatever names them, the canary gets a tenth.
#[test]
fn all_ways_to_name_a_service_agree_on_the_shares_of_its_versions() {
    let ways = [
        "env: [{name: QUOTE_URL, value: 'http://quote'}]",
        "env: [{name: X, value: 'http://$(NAME)', }, {name: NAME, value: quote}], args: ['--quote=quote:80']",
        "args: ['--quote-url', 'http://quote.shop.svc.cluster.local:80']",
        "envFrom: [{configMapRef: {name: c}}]",
        "envFrom: [{secretRef: {name: s}}]",
        "volumeMounts: [{name: v, mountPath: /x}]",
        "volumeMounts: [{name: w, mountPath: /x}]",
    ];
    for way in ways {
        let workload = |name: &str, replicas: u32| {
            format!(
                "- {{kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: {replicas}, template: {{metadata: {{labels: \
                 {{app: quote}}}}, spec: {{containers: [{{image: x}}]}}}}}}}}\n"
            )
        };
        let manifests = format!(
            "kind: List\nitems:\n{}{}- {{kind: Service, metadata: {{name: quote}}, spec: {{selector: {{app: quote}}}}}}\n\
             - {{kind: ConfigMap, metadata: {{name: c}}, data: {{QUOTE_ADDR: 'quote:80'}}}}\n\
             - {{kind: Secret, metadata: {{name: s}}, stringData: {{QUOTE_ADDR: 'quote:80'}}}}\n\
             - {{kind: ConfigMap, metadata: {{name: n}}, data: {{x.conf: \"server {{ location / {{ proxy_pass http://quote; }} }}\"}}}}\n\
             - {{kind: Deployment, metadata: {{name: web}}, spec: {{template: {{spec: {{containers: [{{image: x, {way}}}], volumes: \
             [{{name: v, configMap: {{name: c}}}}, {{name: w, configMap: {{name: n}}}}]}}}}}}}}\n",
            workload("stable", 9),
            workload("canary", 1),
        );
        let files = [("all.yaml", manifests.as_str())];
        let (text, _) = imported(Format::Kubernetes, &files, &Options::default()).unwrap();
        for line in
            ["service: canary, call_probability: 10%", "service: stable, call_probability: 90%"]
        {
            assert!(text.contains(line), "{way}: no `{line}` in\n{text}");
        }
    }
}

#[test]
fn a_patch_changes_only_what_it_says() {
    let base = "kind: StatefulSet\nmetadata: {name: ledger}\nspec: {replicas: 3, template: {spec: {containers: [{name: c, image: \
                'postgres:17'}]}}}\n";
    let patch = "kind: StatefulSet\nmetadata: {name: ledger}\nspec: {template: {spec: {containers: [{name: c, resources: {}}]}}}\n";
    let files = [("a.yaml", base), ("b.yaml", patch)];
    let (text, _) = imported(Format::Kubernetes, &files, &Options::default()).unwrap();
    assert!(text.contains("  ledger:\n    kind: database\n    replicas: 3\n"), "{text}");
}

#[test]
fn hosts_that_a_pod_has_an_address_of_its_own_for_are_outside() {
    let manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    metadata: {labels: {app: \
                    web}}\n    spec:\n      hostAliases: [{ip: 10.9.9.9, hostnames: [mainframe, tape]}]\n      containers: [{name: c, \
                    image: x, args: ['--tape=http://tape:80'], env: [{name: MAINFRAME_HOST, value: Mainframe}]}]\n";
    let (text, warnings) =
        imported(Format::Kubernetes, &[("all.yaml", manifest)], &Options::default()).unwrap();
    for name in ["mainframe", "tape"] {
        assert!(text.contains(&format!("  {name}:\n    kind: external\n")), "{text}");
        assert!(text.contains(&format!("{{ service: {name}, evidence: inferred")), "{text}");
    }
    assert!(warnings.is_empty(), "{warnings:?}");
}

/// Compose files of services with an image of their own, and of `web` with this environment.
fn compose_with(environment: &str, others: &[(&str, &str)]) -> String {
    let mut text = format!("services:\n  web: {{ image: w, environment: {{ {environment} }} }}\n");
    for (name, image) in others {
        text += &format!("  {name}: {{ image: {image} }}\n");
    }
    text
}

#[test]
fn lists_of_hosts_below_any_key_are_addresses_and_lists_of_words_are_not() {
    let others = [("zk1", "z"), ("zk2", "z"), ("a", "c"), ("b", "c"), ("mail", "m"), ("seo", "s")];
    let environment = "ZK: 'zk1:2181,zk2:2181/kafka', CASS: 'a,b', ELSEWHERE: 'x1.example.com:9042,\
                       x2.example.com:9042', NOWHERE: 'gone1:7000,gone2:7000', FLAVOURS: 'mail,dark', \
                       FEATURES: 'mail,seo'";
    let compose = compose_with(environment, &others);
    let said = all_that_is_said(Format::Compose, &[("compose.yaml", &compose)]);
    for callee in ["zk1", "zk2", "a", "b", "x1.example.com", "x2.example.com"] {
        assert!(
            said.contains(&format!("{{ service: {callee}, evidence: inferred")),
            "{callee}: {said}"
        );
    }
    for word in ["mail", "seo", "dark", "gone1"] {
        assert!(!said.contains(&format!("service: {word}")), "{word}: {said}");
    }
    let line = "left out:     1 lists with hosts that no source defines (NOWHERE of web)";
    assert!(said.contains(line), "{said}");
    let manifests = "kind: List\nitems:\n- {kind: Service, metadata: {name: a}, spec: {selector: {x: a}}}\n\
                     - {kind: Service, metadata: {name: b}, spec: {selector: {x: b}}}\n\
                     - {kind: Deployment, metadata: {name: a}, spec: {template: {metadata: {labels: {x: a}}, spec: {containers: [{image: i}]}}}}\n\
                     - {kind: Deployment, metadata: {name: b}, spec: {template: {metadata: {labels: {x: b}}, spec: {containers: [{image: i}]}}}}\n\
                     - {kind: Deployment, metadata: {name: web}, spec: {template: {spec: {containers: [{image: i, \
                     env: [{name: CASS, value: 'a,b'}, {name: WORDS, value: 'a,none'}]}]}}}}\n";
    let said = all_that_is_said(Format::Kubernetes, &[("all.yaml", manifests)]);
    for callee in ["a", "b"] {
        assert!(said.contains(&format!("service: {callee}, evidence: inferred")), "{said}");
    }
}

#[test]
fn nobody_waits_for_a_broker_that_its_image_scheme_or_host_tells() {
    let others = [
        ("bus", "rabbitmq:3"),
        ("own", "acme/own"),
        ("cache", "redis:7"),
        ("db", "postgres"),
        ("mosquitto", "eclipse-mosquitto"),
    ];
    let environment = "BUS_HOST: bus, OWN: 'nats://own:4222', CACHE_URL: 'redis://cache', DB_URL: 'postgres://db/x', \
                       Q_URL: 'https://sqs.eu-west-1.amazonaws.com/1/q', MQ: 'amqps://far.example.com', \
                       API_URL: 'https://api.example.com', M_HOST: mosquitto";
    let said =
        all_that_is_said(Format::Compose, &[("compose.yaml", &compose_with(environment, &others))]);
    for callee in ["bus", "own", "sqs.eu-west-1.amazonaws.com", "far.example.com", "mosquitto"] {
        let line = format!("{{ service: {callee}, kind: async, evidence: inferred");
        assert!(said.contains(&line), "{callee}: {said}");
    }
    for callee in ["cache", "db", "api.example.com"] {
        let line = format!("{{ service: {callee}, evidence: inferred");
        assert!(said.contains(&line), "{callee}: {said}");
    }
}

#[test]
fn nobody_waits_for_a_broker_that_spans_or_catalogs_tell() {
    let span = |id: u32, kind: u32, attributes: &str| {
        format!(
            "{{\"traceId\":\"{id:032x}\",\"spanId\":\"{id:016x}\",\"name\":\"x\",\"kind\":{kind},\
             \"attributes\":[{attributes}]}}"
        )
    };
    let attribute = |key: &str, value: &str| {
        format!("{{\"key\":\"{key}\",\"value\":{{\"stringValue\":\"{value}\"}}}}")
    };
    let to = |host: &str, key: &str, value: &str| {
        attribute("server.address", host) + "," + &attribute(key, value)
    };
    let spans = [
        span(1, 3, &to("bus", "messaging.system", "rabbitmq")),
        span(2, 3, &to("stream", "messaging.system", "redis")),
        span(3, 3, &to("cache", "db.system", "redis")),
    ];
    let traces = format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{}]}},\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}",
        attribute("service.name", "web"),
        spans.join(",")
    );
    let said = all_that_is_said(Format::Otlp, &[("traces.json", &traces)]);
    for (callee, is_async) in [("bus", true), ("stream", true), ("cache", false)] {
        let line =
            said.lines().find(|line| line.contains(&format!("service: {callee},"))).expect(callee);
        assert_eq!(line.contains("kind: async"), is_async, "{line}");
    }
    let catalog = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: web}\n\
                   spec: {type: service, dependsOn: ['resource:orders', 'resource:store', 'component:taker']}\n\
                   ---\napiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: orders}\n\
                   spec: {type: kafka-topic}\n\
                   ---\napiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: store}\n\
                   spec: {type: database}\n\
                   ---\napiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: taker}\n\
                   spec: {type: kafka-consumer}\n";
    let said = all_that_is_said(Format::Backstage, &[("catalog-info.yaml", catalog)]);
    for (callee, is_async) in [("orders", true), ("store", false), ("taker", false)] {
        let line =
            said.lines().find(|line| line.contains(&format!(".default.{callee},"))).expect(callee);
        assert_eq!(line.contains("kind: async"), is_async, "{line}");
    }
}

#[test]
fn hosts_that_a_mesh_knows_and_nobody_names_are_told() {
    let entry = |name: &str, host: &str| {
        format!(
            "- {{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}}}, \
             spec: {{hosts: [{host}]}}}}\n"
        )
    };
    let manifests = format!(
        "kind: List\napiVersion: v1\nitems:\n{}{}- {{kind: Deployment, metadata: {{name: web}}, spec: {{template: {{spec: \
         {{containers: [{{image: i, env: [{{name: PAY_URL, value: 'https://pay.example.com'}}]}}]}}}}}}}}\n",
        entry("pay", "pay.example.com"),
        entry("mail", "mail.example.com")
    );
    let said = all_that_is_said(Format::Kubernetes, &[("all.yaml", &manifests)]);
    let line =
        "left out:     1 hosts of ServiceEntry objects that no workload names (mail.example.com)";
    assert!(said.contains(line), "{said}");
    assert!(said.contains("service: pay.example.com"), "{said}");
}
