//! What a service is, going by its image or its name.

use super::Graph;

/// Starts of the last part of an image; with a slash its end, and with `$` at their end its first word.
const BY_IMAGE: &[(&str, &[&str])] = &[
    (
        "database",
        &[
            "postgres",
            "postgis",
            "mysql",
            "mariadb",
            "mongo",
            "mssql",
            "cassandra",
            "cockroach",
            "clickhouse",
            "elasticsearch",
            "opensearch",
            "dynamodb",
            "couchdb",
            "neo4j",
            "influxdb",
            "oracle",
        ],
    ),
    ("cache", &["redis", "memcached", "valkey", "keydb", "dragonfly"]),
    ("queue", &["kafka", "rabbitmq", "nats", "activemq", "pulsar", "redpanda", "mosquitto"]),
    (
        "telemetry",
        &[
            "otel",
            "opentelemetry-collector",
            "jaeger",
            "zipkin",
            "prometheus",
            "grafana",
            "loki",
            "fluentd",
            "fluent-bit",
            "datalust/seq",
            "statsd",
            "logstash",
            "kibana",
            "tempo$",
            "pyroscope",
        ],
    ),
    ("gateway", &["nginx", "traefik", "envoy", "haproxy", "caddy", "kong"]),
];

const GENERATORS: &[&str] = &[
    "loadgen",
    "load-gen",
    "load_gen",
    "load-test",
    "user-sim",
    "vote-bot",
    "locust",
    "k6",
    "artillery",
    "traffic-gen",
    "virtual-customer",
    "virtual-worker",
];

const TELEMETRY: &[&str] = &[
    "otel-collector",
    "otelcol",
    "jaeger",
    "zipkin",
    "prometheus",
    "grafana",
    "fluentd",
    "tracing-server",
    "grafana-server",
    "prometheus-server",
];

/// The kind of a service with this image.
pub(in crate::import) fn of_image(image: &str) -> Option<&'static str> {
    let image = image.to_lowercase();
    let path = image.split('@').next().unwrap_or_default();
    // The tag starts behind the last `:` that no `/` follows; before may be the port of a registry.
    let path = match path.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => path,
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    let fits = |word: &&str| match word.strip_suffix('$') {
        Some(word) => last.split(['-', '_']).next() == Some(word),
        None if word.contains('/') => path.ends_with(*word),
        None => last.starts_with(*word),
    };
    BY_IMAGE.iter().find(|(_, words)| words.iter().any(&fits)).map(|(kind, _)| *kind)
}

/// The kind of a service with this name, for the few that names tell for sure.
pub(in crate::import) fn of_name(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let last = name.rsplit(['.', '/']).next().unwrap_or_default();
    if GENERATORS.iter().any(|word| last.contains(word)) {
        return Some("load generator");
    }
    TELEMETRY.iter().any(|word| last.starts_with(word)).then_some("telemetry")
}

/// Fills in kinds that names tell, and takes what goes to telemetry for soft: a user's request does
/// not fail because nobody records it.
pub(in crate::import) fn soften(graph: &mut Graph) {
    for (name, service) in &mut graph.services {
        if let Some(kind) = of_name(name)
            && (service.kind.is_none() || kind == "load generator")
        {
            service.kind = Some(kind.to_owned());
        }
    }
    let Graph { services, dependencies, .. } = graph;
    let is_telemetry = |name: &String| {
        services.get(name).is_some_and(|service| service.kind.as_deref() == Some("telemetry"))
    };
    for ((_, callee), dependency) in dependencies {
        dependency.is_soft |= is_telemetry(callee) && !dependency.is_start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_tell_kinds_whatever_their_registry_and_tag() {
        assert_eq!(of_image("registry:5000/library/postgres:17@sha256:00"), Some("database"));
        assert_eq!(of_image("docker.io/bitnami/redis"), Some("cache"));
        assert_eq!(of_image("acme/shop:nginx"), None);
        assert_eq!(of_image("grafana/tempo:2.6"), Some("telemetry"));
        assert_eq!(of_image("temporalio/auto-setup"), None);
        assert_eq!(of_image("acme/temporal"), None);
        assert_eq!(of_name("emojivoto.vote-bot"), Some("load generator"));
        assert_eq!(of_name("checkout"), None);
    }
}
