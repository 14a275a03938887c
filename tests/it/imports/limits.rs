//! Limits of calls and of services: how long callers wait, for each attempt and in all, how often they try,
//! and how many requests are in progress, in every source that states them.

use blastwave::import::{Format, Options};

use super::{imported, valid};

/// A workload of Kubernetes with its Service, called by its name.
fn workload(name: &str, replicas: u32, container: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}}}\n---\napiVersion: \
         apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  template:\n    metadata: {{labels: \
         {{app: {name}}}}}\n    spec: {{containers: [{{name: c, image: x{container}}}]}}\n"
    )
}

/// `web` with three replicas calls `quote`; the line of that dependency when an object is added.
#[track_caller]
fn line_with(object: &str) -> String {
    let text = workload("web", 3, ", env: [{name: QUOTE_URL, value: 'http://quote'}]")
        + &workload("quote", 2, "")
        + "---\n"
        + object;
    let (text, _) =
        imported(Format::Kubernetes, &[("all.yaml", &text)], &Options::default()).unwrap();
    let line = text.lines().find(|line| line.contains("{ service: quote")).expect("a dependency");
    line.trim()
        .trim_start_matches("- { service: quote, ")
        .split(", evidence")
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn limits_for_each_attempt_and_for_all_are_told_apart_in_every_mesh() {
    let route = |rule: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  parentRefs: [{{kind: \
             Service, group: '', name: quote}}]\n  rules: [{{{rule}, backendRefs: [{{name: quote}}]}}]\n"
        )
    };
    let istio = |rule: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\nspec:\n  hosts: [quote]\n  http: \
             [{{{rule}, route: [{{destination: {{host: quote}}}}]}}]\n"
        )
    };
    let annotated = |keys: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: quote, annotations: {{{keys}}}}}\nspec: {{selector: {{app: quote}}}}\n"
        )
    };
    let kuma = |kind: &str, default: &str| {
        format!(
            "apiVersion: kuma.io/v1alpha1\nkind: {kind}\nmetadata: {{name: k}}\nspec:\n  to: [{{targetRef: {{kind: MeshService, name: \
             quote_shop_svc_80}}, default: {{{default}}}}}]\n"
        )
    };
    for (object, expected) in [
        (route("timeouts: {request: 2s}"), "timeout: 2s"),
        (
            route("timeouts: {request: 2s}, retry: {attempts: 3}"),
            "timeout: 2s, attempt_timeout: 2s, retries: 3",
        ),
        (
            route("timeouts: {request: 2s, backendRequest: 400ms}, retry: {attempts: 3}"),
            "timeout: 2s, attempt_timeout: 400ms, retries: 3",
        ),
        (route("timeouts: {backendRequest: 400ms}"), "timeout: 400ms"),
        (
            istio("timeout: 1s, retries: {attempts: 2, perTryTimeout: 300ms}"),
            "timeout: 1s, attempt_timeout: 300ms, retries: 2",
        ),
        (istio("retries: {attempts: 2, perTryTimeout: 300ms}"), "timeout: 300ms, retries: 2"),
        (
            annotated(
                "timeout.linkerd.io/request: 1s, retry.linkerd.io/http: 5xx, retry.linkerd.io/limit: '2', \
                 retry.linkerd.io/timeout: 300ms",
            ),
            "timeout: 1s, attempt_timeout: 300ms, retries: 2",
        ),
        (kuma("MeshTimeout", "http: {requestTimeout: 1s}"), "timeout: 1s"),
        (
            kuma("MeshRetry", "http: {numRetries: 2, perTryTimeout: 300ms}"),
            "timeout: 300ms, retries: 2",
        ),
    ] {
        assert_eq!(line_with(&object), expected, "{object}");
    }
}

#[test]
fn pools_of_connections_count_for_all_replicas_of_the_caller() {
    let rule = |policy: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: quote, trafficPolicy: \
             {{{policy}}}}}\n"
        )
    };
    let kuma = "apiVersion: kuma.io/v1alpha1\nkind: MeshCircuitBreaker\nmetadata: {name: k}\nspec:\n  to: [{targetRef: {kind: \
                MeshService, name: quote}, default: {connectionLimits: {maxConnections: 9, maxRequests: 7}}}]\n";
    for (object, expected) in [
        (rule("connectionPool: {tcp: {maxConnections: 10}}"), "max_in_flight: 30"),
        (
            rule("connectionPool: {tcp: {maxConnections: 10}, http: {http2MaxRequests: 20}}"),
            "max_in_flight: 60",
        ),
        (
            rule(
                "portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 4}}}]",
            ),
            "max_in_flight: 12",
        ),
        // A way to say that there is none.
        (
            rule("connectionPool: {tcp: {maxConnections: 2147483647}}, outlierDetection: {}"),
            "circuit_breaker: true",
        ),
        (kuma.to_owned(), "max_in_flight: 21, circuit_breaker: true"),
    ] {
        assert_eq!(line_with(&object), expected, "{object}");
    }
}

/// The line of the dependency of `door` on `api`, by the configuration that is mounted into it.
#[track_caller]
fn line_of_gateway(image: &str, path: &str, config: &str) -> String {
    let compose = format!(
        "services:\n  door: {{image: '{image}', ports: ['80:80'], volumes: ['./config:{path}']}}\n  api: {{image: x}}\n  b: \
         {{image: x}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    std::fs::write(folder.path().join("config"), config).unwrap();
    let file = folder.path().join("compose.yaml").to_str().unwrap().to_owned();
    let mut graph = blastwave::import::EvidenceGraph::default();
    let mut sources = blastwave::diagnostic::Sources::default();
    let options = Options::default();
    blastwave::import::read_files(
        Format::Compose,
        &[file],
        &options,
        &mut graph,
        &mut sources,
        &|_, _| {},
    )
    .unwrap();
    blastwave::import::settle_graph(&mut graph);
    let text = blastwave::import::write_topology("t", &graph);
    valid(&text);
    let line = text.lines().find(|line| line.contains("api, ") || line.contains("[api, b]"));
    let line = line.unwrap_or_else(|| panic!("no dependency in\n{text}")).trim();
    let concurrency = text.lines().find_map(|line| line.trim().strip_prefix("concurrency: "));
    let concurrency = concurrency.map(|value| format!(" of {}", value.split(' ').next().unwrap()));
    let limits = line.split_once(", evidence").unwrap().0;
    let limits = limits.split_once("api").unwrap().1.trim_start_matches([',', ' ', 'b', ']']);
    format!("{limits}{}", concurrency.unwrap_or_default())
}

#[test]
fn gateways_say_how_long_they_wait_and_how_much_they_let_through() {
    let nginx = "worker_processes 2;\nevents { worker_connections 512; }\nhttp { proxy_read_timeout 7s;\nupstream u { server \
                 api:80 max_conns=10; server b:80 max_conns=20; }\nserver { location / { proxy_pass http://u; \
                 proxy_next_upstream_timeout 10s; proxy_read_timeout 500ms; } } }\n";
    assert_eq!(
        line_of_gateway("nginx", "/etc/nginx/nginx.conf", nginx),
        "timeout: 10s, attempt_timeout: 500ms, max_in_flight: 30 of 512"
    );
    let outer = "http { proxy_read_timeout 7s; server { location / { proxy_pass http://api; } } }";
    assert_eq!(line_of_gateway("nginx", "/etc/nginx/nginx.conf", outer), "timeout: 7s");
    let haproxy = "global\n  maxconn 900\ndefaults\n  timeout server 30s\n  retries 2\nbackend x\n  timeout server 1500\n  \
                   server s1 api:80 maxconn 40\n";
    assert_eq!(
        line_of_gateway("haproxy", "/usr/local/etc/haproxy/haproxy.cfg", haproxy),
        "timeout: 1500ms, retries: 2, max_in_flight: 40 of 900"
    );
    let caddy = ":80 {\n reverse_proxy api:80 {\n  lb_try_duration 5s\n  lb_retries 2\n  transport http {\n   \
                 response_header_timeout 800ms\n  }\n }\n}\n";
    assert_eq!(
        line_of_gateway("caddy", "/etc/caddy/Caddyfile", caddy),
        "timeout: 5s, attempt_timeout: 800ms, retries: 2"
    );
    let envoy = "static_resources:\n  listeners:\n  - filter_chains: [{filters: [{typed_config: {route_config: {virtual_hosts: \
                 [{name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: api, timeout: 2s, retry_policy: \
                 {num_retries: 3, per_try_timeout: 0.4s}}}]}]}}}]}]\n  clusters:\n  - {name: api, circuit_breakers: {thresholds: \
                 [{max_connections: 50, max_requests: 60, retry_budget: {budget_percent: {value: 25}}}]}, outlier_detection: {}, \
                 load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: api, port_value: \
                 80}}}}]}]}}\n";
    assert_eq!(
        line_of_gateway("envoyproxy/envoy:v1.30", "/etc/envoy/envoy.yaml", envoy),
        "timeout: 2s, attempt_timeout: 400ms, retries: 3, retry_budget: 25%, max_in_flight: 60, circuit_breaker: true"
    );
    let kong = "_format_version: '3.0'\nservices: [{name: a, url: 'http://api:80', read_timeout: 2500, retries: 1}]\n";
    assert_eq!(
        line_of_gateway("kong:3", "/kong/declarative/kong.yml", kong),
        "timeout: 2500ms, retries: 1"
    );
    let traefik = "http:\n  routers: {r: {rule: 'PathPrefix(`/`)', service: s, middlewares: [again, few]}}\n  middlewares: {again: \
                   {retry: {attempts: 3}}, few: {inFlightReq: {amount: 25}}}\n  serversTransports: {t: {forwardingTimeouts: \
                   {responseHeaderTimeout: 900ms}}}\n  services: {s: {loadBalancer: {serversTransport: t, servers: [{url: \
                   'http://api:80'}]}}}\n";
    assert_eq!(
        line_of_gateway("traefik:v3", "/etc/traefik/dynamic.yml", traefik),
        "timeout: 900ms, retries: 2, max_in_flight: 25"
    );
}

#[test]
fn workers_and_pools_that_programs_are_told_become_limits_and_no_other_value_does() {
    let compose = "services:\n  web:\n    image: x\n    command: gunicorn -w 4 --threads 2 app:app\n    deploy: {replicas: 3}\n    \
                   environment: {DB_URL: 'postgres://u:424242@ledger/x', DB_POOL_SIZE: '15', DB_POOL_TOKEN: '313131'}\n  ledger: \
                   {image: 'postgres:17', command: 'postgres -c max_connections=200'}\n";
    let (text, _) =
        imported(Format::Compose, &[("compose.yaml", compose)], &Options::default()).unwrap();
    assert!(
        text.contains("    concurrency: 24  # services.web: command and environment\n"),
        "{text}"
    );
    assert!(text.contains("    concurrency: 200  # services.ledger: command and environment\n"));
    assert!(text.contains("{ service: ledger, max_in_flight: 45, evidence: inferred"), "{text}");
    assert!(!text.contains("424242") && !text.contains("313131"), "{text}");
    let manifest = workload(
        "web",
        2,
        ", args: [gunicorn, --workers=3, app], env: [{name: LEDGER_POOL_SIZE, value: '5'}, {name: LEDGER_HOST, value: ledger}]",
    ) + &workload("ledger", 1, "").replace("image: x", "image: 'postgres:17'");
    let (text, _) =
        imported(Format::Kubernetes, &[("all.yaml", &manifest)], &Options::default()).unwrap();
    assert!(
        text.contains("    concurrency: 6  # all.yaml: Deployment web command and env\n"),
        "{text}"
    );
    assert!(text.contains("{ service: ledger, max_in_flight: 10, "), "{text}");
}
