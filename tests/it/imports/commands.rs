//! `init`, `drift` and `import --strict` as users run them.

use std::fs;
use std::path::Path;

use crate::support::program;

const COMPOSE: &str = "services:\n  web: { image: x, ports: ['80:80'], environment: { CART_URL: 'http://cart' } }\n  \
                       cart: { image: x, environment: { DB_HOST: db } }\n  db: { image: 'postgres:17' }\n";

/// The exit status and what is printed, on both streams.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let done = program(folder).args(arguments).output().expect("the program runs");
    let text = [done.stdout, done.stderr].concat();
    (done.status.code().expect("it ends"), String::from_utf8(text).expect("text"))
}

fn shop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yaml"), COMPOSE).unwrap();
    folder
}

#[test]
fn init_writes_files_with_which_the_first_check_runs() {
    let folder = shop();
    let (status, said) = run(folder.path(), &["init"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("compose.yaml: compose"), "{said}");
    let next = said.lines().find_map(|line| line.strip_prefix("next:")).expect("a next command");
    let next: Vec<&str> = next.split_whitespace().skip(1).collect();
    let (status, said) = run(folder.path(), &[&next[..], &["--trials", "200"]].concat());
    assert!([0, 1, 3].contains(&status), "{said}");
    for file in ["topology.yaml", "changes/first-change.yaml"] {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema="), "{text}");
        let (status, said) = run(folder.path(), &["validate", "topology.yaml", file]);
        assert_eq!(status, 0, "{said}");
    }
    assert!(folder.path().join(".github/workflows/blast-radius.yml").is_file());
}

#[test]
fn init_overwrites_nothing_and_writes_nothing_where_it_finds_nothing() {
    let folder = shop();
    fs::write(folder.path().join("topology.yaml"), "mine").unwrap();
    let (status, said) = run(folder.path(), &["init"]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("topology.yaml would be overwritten"), "{said}");
    assert!(!folder.path().join("changes").exists());
    assert_eq!(fs::read_to_string(folder.path().join("topology.yaml")).unwrap(), "mine");
    let empty = tempfile::tempdir().unwrap();
    let (status, said) = run(empty.path(), &["init"]);
    assert_eq!(status, 2, "{said}");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn drift_tells_both_ways_and_what_has_moved() {
    let folder = shop();
    let topology = "version: 1\ntopology: shop\nservices:\n  web: { replicas: 2, dependencies: [db] }\n  cart: \
                    { dependencies: [db] }\n  db: {}\n  mail: {}\nflows:\n  buy: { steps: [web] }\n";
    fs::write(folder.path().join("shop.yaml"), topology).unwrap();
    let compose = COMPOSE.replace("web: {", "web: { deploy: { replicas: 3 },");
    fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    let from = ["drift", "shop.yaml", "--from", "compose", "compose.yaml"];
    let (status, said) = run(folder.path(), &from);
    assert_eq!(status, 3, "{said}");
    for line in [
        "differ in 4 places",
        "  web -> cart (inferred; compose.yaml: services.web.environment.CART_URL)",
        "  web -> db",
        "  mail",
        "  web: replicas 2 in the topology, 3 in the sources",
    ] {
        assert!(said.contains(line), "no `{line}` in\n{said}");
    }
    let (_, json) = run(folder.path(), &[&from[..], &["--format", "json", "--quiet"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let codes: Vec<&str> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| difference["code"].as_str().unwrap())
        .collect();
    let expected = [
        "service-not-in-sources",
        "dependency-not-in-topology",
        "dependency-not-in-sources",
        "moved",
    ];
    assert_eq!(codes, expected);
    let (_, markdown) =
        run(folder.path(), &[&from[..], &["--format", "markdown", "--quiet"]].concat());
    assert!(markdown.contains("- `web` -> `cart`"), "{markdown}");
}

#[test]
fn drift_is_silent_where_nothing_differs() {
    let folder = shop();
    let (status, _) = run(folder.path(), &["import", "compose", "compose.yaml", "-o", "shop.yaml"]);
    assert_eq!(status, 0);
    let (status, said) =
        run(folder.path(), &["drift", "shop.yaml", "--from", "auto", "compose.yaml"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("agree on 3 services and 2 dependencies"), "{said}");
    let (status, said) =
        run(folder.path(), &["drift", "shop.yaml", "--from", "compos", "compose.yaml"]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("did you mean `compose`?"), "{said}");
}

#[test]
fn strict_ends_with_status_3_where_only_start_order_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let compose = "services:\n  web: { image: x, depends_on: [db] }\n  db: { image: postgres }\n";
    fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    let import = ["import", "compose", "compose.yaml", "-o", "shop.yaml"];
    let (status, said) = run(folder.path(), &import);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("simulations look harmless"), "{said}");
    let (status, _) = run(folder.path(), &[&import[..], &["--strict"]].concat());
    assert_eq!(status, 3);
}

/// So many calls recorded by Jaeger: each takes as long, and asks `cart` where `asks` says so.
fn traces(count: u64, milliseconds: u64, asks: impl Fn(u64) -> bool) -> String {
    let span = |trace: u64, id: u64, service: &str, parent: &str| {
        format!(
            "{{\"traceID\":\"{trace:x}\",\"spanID\":\"{:x}\",\"operationName\":\"op\",\"process\":{{\"serviceName\":\
             \"{service}\"}},\"references\":[{parent}],\"startTime\":{},\"duration\":{},\"tags\":[{{\"key\":\"span.kind\",\
             \"value\":\"server\"}}]}}",
            trace * 2 + id,
            1_700_000_000_000_000 + trace * 1_000_000,
            milliseconds * 1_000
        )
    };
    let mut spans = Vec::new();
    for trace in 1..=count {
        spans.push(span(trace, 0, "web", ""));
        if asks(trace) {
            let parent = format!(
                "{{\"refType\":\"CHILD_OF\",\"traceID\":\"{trace:x}\",\"spanID\":\"{:x}\"}}",
                trace * 2
            );
            spans.push(span(trace, 1, "cart", &parent));
        }
    }
    format!("{{\"data\":[{{\"spans\":[{}]}}]}}", spans.join(","))
}

#[test]
fn drift_tells_latencies_shares_and_rates_that_moved_up_or_down_beyond_the_tolerance() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("before.json", traces(400, 40, |trace| trace % 2 == 0));
    let import = ["import", "jaeger", "before.json", "--window", "400s", "-o", "shop.yaml"];
    assert_eq!(run(folder.path(), &import).0, 0);
    let drift = |name: &str, more: &[&str]| {
        let from = ["drift", "shop.yaml", "--from", "jaeger", name, "--window", "400s", "--quiet"];
        run(folder.path(), &[&from[..], more].concat())
    };
    assert_eq!(drift("before.json", &[]).0, 0);
    write("slower.json", traces(400, 60, |trace| trace % 4 == 0));
    let (status, said) = drift("slower.json", &[]);
    assert_eq!(status, 3, "{said}");
    for line in [
        "  web: latency median 40ms in the topology, 60ms in the sources (slower.json)",
        "  web: latency p99 40ms in the topology, 60ms in the sources (slower.json)",
        "  web -> cart: call probability 50.0% in the topology, 25.0% in the sources",
    ] {
        assert!(said.contains(line), "no `{line}` in\n{said}");
    }
    write("faster.json", traces(200, 20, |trace| trace % 2 == 0));
    let (status, said) = drift("faster.json", &[]);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("latency median 40ms in the topology, 20ms"), "{said}");
    assert!(said.contains(": rate 1.000/s in the topology, 0.500/s in the sources"), "{said}");
    // What is tolerated is no difference, in any form of output.
    let (status, json) = drift("slower.json", &["--tolerance", "60%", "--format", "json"]);
    assert_eq!(status, 0, "{json}");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(report["tolerance"], 0.6);
    let (_, markdown) = drift("slower.json", &["--format", "markdown"]);
    assert!(markdown.contains("- `web`: latency median 40ms"), "{markdown}");
    assert_eq!(drift("slower.json", &["--tolerance", "much"]).0, 2);
    // Of so few requests chance explains a share that differs.
    write("few.json", traces(6, 40, |trace| trace == 1));
    let (_, said) = drift("few.json", &[]);
    assert!(!said.contains("call probability"), "{said}");
}

#[test]
fn drift_tells_limits_that_the_sources_state_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = |timeout: &str, connections: u32| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: db}}\nspec: {{selector: {{app: db}}}}\n---\napiVersion: apps/v1\n\
             kind: Deployment\nmetadata: {{name: db}}\nspec: {{template: {{metadata: {{labels: {{app: db}}}}}}}}\n---\napiVersion: \
             apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{template: {{metadata: {{labels: {{app: web}}}}, spec: \
             {{containers: [{{name: c, image: x, env: [{{name: DB_HOST, value: db}}]}}]}}}}}}\n---\napiVersion: \
             networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v}}\nspec: {{hosts: [db], http: [{{timeout: {timeout}, \
             route: [{{destination: {{host: db}}}}]}}]}}\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: \
             {{name: d}}\nspec: {{host: db, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {connections}}}}}}}}}\n"
        )
    };
    fs::write(folder.path().join("all.yaml"), manifest("2s", 10)).unwrap();
    let import = ["import", "kubernetes", "all.yaml", "-o", "shop.yaml"];
    assert_eq!(run(folder.path(), &import).0, 0);
    fs::write(folder.path().join("all.yaml"), manifest("3s", 20)).unwrap();
    let drift = ["drift", "shop.yaml", "--from", "kubernetes", "all.yaml", "--quiet"];
    let (status, said) = run(folder.path(), &drift);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("  web -> db: timeout 2s in the topology, 3s in the sources"), "{said}");
    assert!(said.contains("  web -> db: max in flight 10 in the topology, 20 in"), "{said}");
}

#[test]
fn the_configuration_of_a_gateway_is_said_to_be_read_with_the_compose_file_that_mounts_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "compose.yaml",
        "services:\n  edge: { image: nginx, volumes: ['./edge/nginx.conf:/etc/nginx/nginx.conf:ro'] }\n  \
         app: { image: a }\n",
    );
    let proxy = "http { server { location / { proxy_pass http://app:80; } } }\n";
    write("edge/nginx.conf", proxy);
    write("old/nginx.conf", proxy);
    let (status, said) = run(folder.path(), &["import", "auto", "."]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("edge/nginx.conf: read with the Compose file that mounts it"), "{said}");
    assert!(said.contains("old/nginx.conf: not recognised, left out"), "{said}");
    assert!(said.contains("service: app"), "{said}");
}

const SHOP: &str = "version: 1\ntopology: shop\nservices:\n  web: { dependencies: [pay] }  # kept\n  pay:\nflows:\n  \
                    order: { steps: [web] }\n  refund:\n    steps: [pay]\n    objective: { availability: 99% }\n";

/// Adds objectives to the shop; returns the status, the topology and what is said.
fn merged(format: &str, text: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop.yaml"), SHOP).unwrap();
    fs::write(folder.path().join("slo.yaml"), text).unwrap();
    let arguments = ["import", format, "slo.yaml", "--merge", "shop.yaml", "-o", "shop.yaml"];
    let (status, said) = run(folder.path(), &arguments);
    (status, fs::read_to_string(folder.path().join("shop.yaml")).unwrap(), said)
}

#[test]
fn objectives_become_those_of_flows_and_what_a_person_wrote_is_kept() {
    let openslo = "apiVersion: openslo/v1\nkind: SLO\nmetadata: { name: web-availability }\nspec:\n  service: web\n  \
                   timeWindow: [{ duration: 4w, isRolling: true }]\n  objectives: [{ target: 0.9995 }]\n";
    let sloth = "version: prometheus/v1\nservice: web\nslos:\n  - { name: requests-availability, objective: 99.95 }\n  - \
                 { name: requests-latency, objective: 99 }\n";
    let pyrra = "apiVersion: pyrra.dev/v1alpha1\nkind: ServiceLevelObjective\nmetadata: { name: order }\nspec: { target: \
                 '99.95', window: 4w, indicator: { ratio: {} } }\n";
    for (format, text, window) in
        [("openslo", openslo, "28d"), ("sloth", sloth, "30d"), ("pyrra", pyrra, "28d")]
    {
        let (status, shop, said) = merged(format, text);
        assert_eq!(status, 0, "{format}: {said}");
        let objective = format!("objective: {{ availability: 99.95%, window: {window} }}");
        assert!(shop.contains(&objective) && shop.contains("# kept"), "{format}: {shop}");
        assert_eq!(said.contains("requests-latency"), format == "sloth", "{said}");
    }
    let (status, shop, said) = merged("pyrra", &pyrra.replace("name: order", "name: refund"));
    assert_eq!((status, shop.as_str()), (0, SHOP), "{said}");
    assert!(said.contains("`refund` has another objective here"), "{said}");
    let (_, shop, said) = merged("openslo", &openslo.replace("web", "search"));
    assert_eq!(shop, SHOP);
    assert!(said.contains("belongs to no flow"), "{said}");
    let (status, _, said) = merged("openslo", pyrra);
    assert!(status == 2 && said.contains("it holds no `kind: SLO`"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("slo.yaml"), openslo).unwrap();
    let (status, said) = run(folder.path(), &["import", "openslo", "slo.yaml"]);
    assert!(status == 2 && said.contains("--merge"), "{said}");
}
