//! Guesses the kind of a service from its image or its name.

use std::collections::BTreeSet;

use super::EvidenceGraph;
use crate::sort::Gather as _;

/// Names of images of each kind of server: the last part without registry, tag and vendor.
const SERVERS: &[(&str, &[&str])] = &[
    (
        "database",
        &[
            "postgres",
            "postgresql",
            "postgis",
            "pgvector",
            "timescaledb",
            "spilo",
            "mysql",
            "mariadb",
            "percona",
            "mongo",
            "mongodb",
            "mssql",
            "sqlserver",
            "sql",
            "cassandra",
            "scylla",
            "scylladb",
            "cockroach",
            "cockroachdb",
            "clickhouse",
            "elasticsearch",
            "opensearch",
            "dynamodb",
            "couchdb",
            "couchbase",
            "neo4j",
            "influxdb",
            "oracle",
            "cratedb",
            "tidb",
            "yugabyte",
            "yugabytedb",
            "solr",
            "meilisearch",
            "typesense",
            "qdrant",
            "weaviate",
            "milvus",
            "arangodb",
            "rethinkdb",
            "surrealdb",
            "db2",
            "etcd",
        ],
    ),
    (
        "cache",
        &["redis", "memcached", "memcache", "valkey", "keydb", "dragonfly", "varnish", "hazelcast"],
    ),
    (
        "queue",
        &[
            "kafka",
            "rabbitmq",
            "nats",
            "activemq",
            "artemis",
            "pulsar",
            "redpanda",
            "mosquitto",
            "emqx",
            "vernemq",
            "hivemq",
            "nsq",
            "nsqd",
            "elasticmq",
            "rocketmq",
            "beanstalkd",
        ],
    ),
    (
        "gateway",
        &[
            "nginx",
            "openresty",
            "traefik",
            "envoy",
            "haproxy",
            "caddy",
            "kong",
            "apisix",
            "krakend",
            "tyk",
            "httpd",
            "swag",
        ],
    ),
];

/// Words of an image beside the name of a server that do not make it anything else.
const VARIANTS: &[&str] = &[
    "server",
    "alpine",
    "slim",
    "debian",
    "ubuntu",
    "ubi",
    "ubi8",
    "ubi9",
    "rhel",
    "cluster",
    "local",
    "community",
    "enterprise",
    "oss",
    "ce",
    "ee",
    "ha",
    "stack",
    "standalone",
    "single",
    "all",
    "streaming",
    "replica",
    "primary",
    "master",
    "edge",
    "free",
    "xe",
    "database",
    "db",
    "classic",
    "unprivileged",
    "gateway",
    "proxy",
    "management",
    "repmgr",
    "galera",
    "xl",
    "cp",
    "apache",
    "eclipse",
    "azure",
    "amazon",
    "aws",
    "google",
    "ibm",
    "official",
    "library",
    "developer",
    "native",
    "v2",
    "v3",
    "image",
    "jetstream",
    "sentinel",
    "container",
];

/// Words that make of the image of a server a tool for people: `kafka-ui`.
const CONSOLES: &[&str] = &[
    "ui",
    "console",
    "commander",
    "insight",
    "dashboard",
    "dashboards",
    "manager",
    "express",
    "browser",
    "viewer",
    "admin",
    "gui",
];

/// Images that are such tools by their own names.
const CONSOLE_IMAGES: &[&str] = &[
    "redisinsight",
    "adminer",
    "pgadmin",
    "pgadmin4",
    "phpmyadmin",
    "kafdrop",
    "akhq",
    "portainer",
    "mailhog",
    "mailpit",
    "cerebro",
];

/// Words that make of any image one that watches others.
const WATCHERS: &[&str] = &["exporter", "exporters", "metrics", "monitoring", "cadvisor"];

/// Starts of images that record what others do; with a slash the end of a whole path, and with `$` a
/// first word.
const TELEMETRY_IMAGES: &[&str] = &[
    "otel",
    "opentelemetry-collector",
    "jaeger",
    "zipkin",
    "prometheus",
    "alertmanager",
    "grafana",
    "loki",
    "promtail",
    "fluentd",
    "fluent-bit",
    "datalust/seq",
    "statsd",
    "logstash",
    "kibana",
    "tempo$",
    "pyroscope",
    "telegraf",
    "vector$",
    "datadog",
    "node-exporter",
    "blackbox",
    "filebeat",
    "metricbeat",
    "signoz",
    "victoria-metrics",
    "thanos",
];

/// Parts of the names of hosts outside to which traces, logs and figures go.
const TELEMETRY_OUTSIDE: &[&str] = &[
    "sentry",
    "datadoghq",
    "newrelic",
    "honeycomb",
    "grafana.net",
    "logz.io",
    "loggly",
    "rollbar",
    "bugsnag",
    "segment.io",
    "segment.com",
    "amplitude",
    "mixpanel",
    "google-analytics",
    "papertrail",
    "splunk",
    "dynatrace",
    "elastic-apm",
    "lightstep",
    "statuscake",
    "posthog",
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

/// Returns the kind of a service with this image; `None` for one that is not known.
pub(in crate::import) fn of_image(image: &str) -> Option<&'static str> {
    let image = image.to_lowercase();
    let path = image.split('@').next().unwrap_or_default();
    // The tag starts behind the last `:` that no `/` follows; before may be the port of a registry.
    let path = match path.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => path,
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    let words: Vec<&str> = last.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
    // Words of watchers count first: `postgres-exporter` watches a database and is none.
    if has(WATCHERS) {
        return Some("telemetry");
    }
    if has(CONSOLE_IMAGES) {
        return Some("console");
    }
    let is_telemetry = |word: &&str| match word.strip_suffix('$') {
        Some(word) => words.first() == Some(&word),
        None if word.contains('/') => path.ends_with(*word),
        None => last.starts_with(*word),
    };
    if TELEMETRY_IMAGES.iter().any(is_telemetry) {
        return Some("telemetry");
    }
    let is_version =
        |word: &str| word.trim_start_matches('v').bytes().all(|byte| byte.is_ascii_digit());
    let is_variant = |word: &&str| VARIANTS.contains(word) || is_version(word);
    // A gateway that is called after its server: `kong-gateway` is one, `postgres-meta` no database.
    let kind_of = |word: &str| {
        // `postgres17`, `hivemq4`
        let base = word.trim_end_matches(|c: char| c.is_ascii_digit());
        // Short names such as `h2` are no name with a version: a base has more than two letters.
        let is_it = |name: &str| name == word || base.len() > 2 && name == base;
        SERVERS
            .iter()
            .find(|(_, names)| names.iter().any(|name| is_it(name)))
            .map(|(kind, _)| *kind)
    };
    let named: Vec<&'static str> = words.iter().filter_map(|word| kind_of(word)).collect();
    let rest_is_plain = words.iter().all(|word| kind_of(word).is_some() || is_variant(word));
    // The repository `mcr.microsoft.com/mssql/server` names the server in the part before.
    let before = path.rsplit('/').nth(1).and_then(kind_of);
    match named.first() {
        // A console of a database is called after it, and stores nothing.
        Some(_) if has(CONSOLES) => Some("console"),
        Some(kind) if rest_is_plain => Some(kind),
        None if words == ["server"] => before,
        _ => None,
    }
}

/// Whether a host outside only records what others do.
pub(in crate::import) fn is_outside_telemetry(host: &str) -> bool {
    TELEMETRY_OUTSIDE.iter().any(|word| host.contains(word))
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

/// Returns whether a peer that is known by its name alone only records what others do.
fn is_telemetry_peer(name: &str) -> bool {
    let name = name.to_lowercase();
    let first = name.split('.').next().unwrap_or_default();
    let words: Vec<&str> = first.split(['-', '_']).collect();
    let fits = |word: &&str| match word.strip_suffix('$') {
        Some(word) => words.first() == Some(&word),
        None => first.starts_with(*word),
    };
    TELEMETRY_IMAGES.iter().any(fits)
        || TELEMETRY.iter().any(|word| first.starts_with(word))
        || is_outside_telemetry(&name)
}

/// Fills in kinds that names tell, and takes what goes to telemetry for soft: a user's request does
/// not fail because nobody records it.
pub(in crate::import) fn soften_telemetry(graph: &mut EvidenceGraph) {
    for (name, service) in &mut graph.services {
        let is_outside = service.kind.as_deref() == Some("external");
        if is_outside && is_telemetry_peer(name) {
            service.kind = Some("telemetry".to_owned());
        } else if let Some(kind) = of_name(name)
            && (service.kind.is_none() || kind == "load generator")
        {
            // A load generator is one whatever its image is.
            service.kind = Some(kind.to_owned());
        }
    }
    let EvidenceGraph { services, dependencies, .. } = graph;
    let is_telemetry = |name: &String| {
        services.get(name).is_some_and(|service| service.kind.as_deref() == Some("telemetry"))
    };
    for ((caller, callee), dependency) in dependencies {
        // A collector that asks services for their figures does not serve anyone by it.
        let is_of_telemetry = is_telemetry(callee) || is_telemetry(caller);
        dependency.is_soft |= is_of_telemetry && !dependency.is_start;
    }
}

/// Words of kinds in catalogs that stand for a broker, beside the names of brokers.
const BROKER_WORDS: &[&str] = &[
    "queue",
    "queues",
    "topic",
    "topics",
    "broker",
    "brokers",
    "sqs",
    "sns",
    "kinesis",
    "pubsub",
    "mq",
    "amqp",
    "servicebus",
    "eventhub",
    "eventhubs",
    "msk",
];

/// Words behind the name of a broker that leave it one: `kafka cluster`.
const BROKER_ENDS: &[&str] = &["cluster", "instance", "server", "stream", "namespace"];

/// Domains of providers whose hosts name what they offer: `sqs.eu-west-1.amazonaws.com`.
const PROVIDERS: &[&str] =
    &["amazonaws.com", "googleapis.com", "windows.net", "cloudamqp.com", "aivencloud.com"];

/// Whether a kind is one of brokers.
fn is_broker_kind(kind: &str) -> bool {
    let lower = kind.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    // The last word tells the kind: `kafka connector` is no broker.
    let mut last = words.next_back();
    if last.is_some_and(|word| BROKER_ENDS.contains(&word)) {
        last = words.next_back();
    }
    last.is_some_and(is_broker_word)
}

fn is_broker_word(word: &str) -> bool {
    BROKER_WORDS.contains(&word) || of_image(word) == Some("queue")
}

/// Whether a host outside is a broker, going by its name.
fn is_outside_broker(host: &str) -> bool {
    let host = host.to_lowercase();
    let base = |label: &str| {
        let label = label.trim_end_matches(|c: char| c.is_ascii_digit());
        is_broker_word(label.trim_end_matches('-'))
    };
    let is_of_provider = PROVIDERS.iter().any(|domain| host.ends_with(domain))
        && host.split('.').any(|label| label == "cloudamqp" || base(label));
    is_of_provider || host.split('.').next().is_some_and(base)
}

/// Takes calls of brokers for ones that nobody waits for, unless a source says that they are: whoever
/// hands a message over goes on, and whoever takes it is not asked. What brokers send one another keeps
/// its kind.
pub(in crate::import) fn detach_from_brokers(graph: &mut EvidenceGraph) {
    let EvidenceGraph { services, dependencies, .. } = graph;
    // A broker has many callers: each name is looked at once.
    let brokers: BTreeSet<&String> = services
        .iter()
        .filter(|(name, service)| match service.kind.as_deref() {
            Some("external") => is_outside_broker(name),
            Some(kind) => is_broker_kind(kind),
            None => false,
        })
        .map(|(name, _)| name)
        .into_set();
    for ((caller, callee), dependency) in dependencies {
        let is_of_broker = brokers.contains(callee) && !brokers.contains(caller);
        if dependency.is_async.is_none() && !dependency.is_start && is_of_broker {
            dependency.note_call(true);
        }
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
        for image in [
            "postgrest/postgrest:v12",
            "acme/postgres-meta",
            "acme/redis-worker",
            "acme/server",
            "acme/ui",
        ] {
            assert_eq!(of_image(image), None, "{image}");
        }
        for image in [
            "confluentinc/cp-kafka:8",
            "eclipse-mosquitto:2",
            "apache/kafka",
            "rabbitmq:3-management",
        ] {
            assert_eq!(of_image(image), Some("queue"), "{image}");
        }
        for image in [
            "mcr.microsoft.com/mssql/server",
            "mysql/mysql-server",
            "timescale/timescaledb-ha:pg17",
            "bitnami/mariadb-galera",
        ] {
            assert_eq!(of_image(image), Some("database"), "{image}");
        }
        for image in
            ["provectuslabs/kafka-ui", "mongo-express", "dpage/pgadmin4", "redis/redisinsight"]
        {
            assert_eq!(of_image(image), Some("console"), "{image}");
        }
        for image in [
            "oliver006/redis_exporter",
            "quay.io/prometheuscommunity/postgres-exporter",
            "nginx/nginx-prometheus-exporter",
        ] {
            assert_eq!(of_image(image), Some("telemetry"), "{image}");
        }
        for kind in
            ["queue", "kafka-topic", "message-broker", "Kafka cluster", "aws:sqs", "rabbitmq"]
        {
            assert!(is_broker_kind(kind), "{kind}");
        }
        for kind in ["kafka-consumer", "queue worker", "database", "cache", "service", "cluster"] {
            assert!(!is_broker_kind(kind), "{kind}");
        }
        for host in [
            "sqs.eu-west-1.amazonaws.com",
            "kafka-1.prod.example.com",
            "b-1.shop.x.kafka.eu-west-1.amazonaws.com",
            "shop.servicebus.windows.net",
        ] {
            assert!(is_outside_broker(host), "{host}");
        }
        for host in ["kafka-ui.example.com", "shop.s3.amazonaws.com", "topics-api.example.com"] {
            assert!(!is_outside_broker(host), "{host}");
        }
        assert_eq!(of_name("emojivoto.vote-bot"), Some("load generator"));
        assert_eq!(of_name("checkout"), None);
    }
}
