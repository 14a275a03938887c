//! The other side of a call, by the attributes of its span: one table of names for all formats of traces,
//! old conventions and new ones.
//!
//! Stores of traces keep the attributes that the programs gave them: Jaeger and Zipkin hold those of
//! OpenTelemetry by now, and OpenTelemetry those of older libraries.

use std::net::IpAddr;

use super::SpanKind;

/// Attributes that name the other side of a call, the best first.
const PEERS: &[&str] = &[
    "peer.service",
    "aws.remote.service",
    "server.address",
    "net.peer.name",
    "peer.hostname",
    "faas.invoked_name",
    "db.connection_string",
    "url.full",
    "http.url",
    "peer.address",
    "http.host",
    "upstream_cluster",
    "net.sock.peer.name",
    "network.peer.address",
    "net.peer.ip",
    "net.sock.peer.addr",
    "peer.ipv4",
    "peer.ipv6",
];

/// Attributes that name a database where no address is known, the best first.
const DATABASES: &[&str] =
    &["db.namespace", "db.name", "db.instance", "db.system", "db.system.name", "db.type"];

/// Attributes that say which sort of database is asked.
const DATABASE_SYSTEMS: &[&str] = &["db.system.name", "db.system", "db.type"];

/// Attributes that only calls of databases have.
const STATEMENTS: &[&str] = &["db.statement", "db.query.text", "sql.query"];

/// Attributes that say which sort of broker carries a message.
const MESSAGE_SYSTEMS: &[&str] = &["messaging.system", "message_bus.system"];

/// Attributes that name the topic or queue of a message.
const DESTINATIONS: &[&str] =
    &["messaging.destination.name", "messaging.destination", "message_bus.destination"];

/// Attributes that say what is done with a message.
const MESSAGE_OPERATIONS: &[&str] =
    &["messaging.operation.type", "messaging.operation", "messaging.operation.name"];

/// Attributes of a process or resource that say in which zone it runs, the best first; a region counts
/// only where no zone is named.
const ZONES: &[&str] = &[
    "cloud.availability_zone",
    "topology.kubernetes.io/zone",
    "k8s.node.label.topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
    "availability_zone",
    "cloud.zone",
    "zone",
    "cloud.region",
];

/// Attributes with the status of an answer by HTTP.
const STATUSES: &[&str] = &["http.response.status_code", "http.status_code"];

/// Sorts of databases that only keep what is stored elsewhere.
const CACHES: &[&str] = &["redis", "memcached", "valkey", "keydb", "dragonfly", "hazelcast"];

/// The other side of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::import) struct Peer<'a> {
    /// Its name; empty = not known by name.
    pub(in crate::import) name: &'a str,
    /// Its kind, when it has no spans of its own.
    pub(in crate::import) kind: Option<&'static str>,
    /// The sort of broker, for messages.
    pub(in crate::import) broker: &'a str,
    /// Only an address is known of it, which says nothing of who is asked.
    pub(in crate::import) is_address: bool,
}

/// Returns the part that a span has in a call: databases are asked, and messages carried, whatever kind a
/// library gives its span.
pub(in crate::import) fn settled_kind<'a>(
    kind: SpanKind,
    get: &dyn Fn(&str) -> Option<&'a str>,
) -> SpanKind {
    let any = |keys: &[&str]| keys.iter().find_map(|key| get(key));
    if any(MESSAGE_SYSTEMS).is_some() && !matches!(kind, SpanKind::Producer | SpanKind::Consumer) {
        let operation = any(MESSAGE_OPERATIONS).unwrap_or_default().to_lowercase();
        return match operation.as_str() {
            "publish" | "send" | "create" => SpanKind::Producer,
            "receive" | "process" | "deliver" | "settle" | "ack" | "poll" => SpanKind::Consumer,
            _ => kind,
        };
    }
    match kind {
        SpanKind::Local if any(DATABASE_SYSTEMS).or(any(STATEMENTS)).is_some() => SpanKind::Client,
        kind => kind,
    }
}

/// Returns the other side of a call, as the attributes of a span of this kind name it.
pub(in crate::import) fn span_peer<'a>(
    kind: SpanKind,
    get: &dyn Fn(&str) -> Option<&'a str>,
) -> Peer<'a> {
    if !matches!(kind, SpanKind::Client | SpanKind::Producer | SpanKind::Consumer) {
        return Peer::default();
    }
    let any = |keys: &[&str]| keys.iter().find_map(|key| get(key));
    let mut is_address = false;
    // The first attribute that names a host wins; those with addresses alone are only noted.
    let named = PEERS.iter().filter_map(|key| get(key)).find_map(|text| {
        let host = host_of(text)?;
        is_address |= is_address_only(host);
        (!is_address_only(host)).then_some(host)
    });
    if matches!(kind, SpanKind::Producer | SpanKind::Consumer) {
        // Without the sort of broker the topic stands for it.
        let broker = any(MESSAGE_SYSTEMS).or(any(DESTINATIONS)).unwrap_or_default();
        let kind = Some("queue").filter(|_| named.is_some() || !broker.is_empty());
        return Peer { name: named.unwrap_or_default(), kind, broker, is_address: false };
    }
    let system = any(DATABASE_SYSTEMS).map(str::to_lowercase);
    let database = any(DATABASES);
    let kind = match &system {
        // A cache is no store of record: what it has lost can be read again elsewhere.
        Some(system) if CACHES.iter().any(|item| system.contains(item)) => "cache",
        Some(_) => "database",
        None if database.or(any(STATEMENTS)).is_some() => "database",
        None if any(MESSAGE_SYSTEMS).is_some() => "queue",
        None => "external",
    };
    // The topic or database stands for an unnamed server, so that the dependency is not lost.
    let name = named.or(database).or(any(MESSAGE_SYSTEMS)).unwrap_or_default();
    Peer { name, kind: Some(kind), broker: "", is_address: is_address && name.is_empty() }
}

/// Returns the zone that the attributes of a process or resource name; empty = none.
pub(in crate::import) fn zone_name<'a>(get: &dyn Fn(&str) -> Option<&'a str>) -> &'a str {
    ZONES.iter().find_map(|key| get(key)).map_or("", str::trim)
}

/// Returns whether a span ended in a failure. One that its caller caused by what it asked for is none:
/// libraries mark a call with the status 404 as an error, and nothing failed.
pub(in crate::import) fn has_failed<'a>(
    is_marked: bool,
    get: &dyn Fn(&str) -> Option<&'a str>,
) -> bool {
    const TOO_MANY_REQUESTS: u32 = 429;
    let status = STATUSES.iter().find_map(|key| get(key)?.trim().parse::<u32>().ok());
    let is_marked =
        is_marked || get("otel.status_code") == Some("ERROR") || get("error") == Some("true");
    match status {
        Some(status) if status >= 500 => true,
        // 429 is sent by a server without capacity, which is a failure of the server and not of the
        // request.
        Some(status) if (400..500).contains(&status) => is_marked && status == TOO_MANY_REQUESTS,
        _ => is_marked,
    }
}

/// Returns the host of an address: without scheme, user, port and path.
fn host_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest.trim_start_matches('/'));
    // Envoy names a cluster `outbound|80||stock.shop.svc.cluster.local`.
    let rest = rest.rsplit('|').next().unwrap_or_default();
    let rest = rest.split(['/', '?', ' ']).next().unwrap_or_default();
    let rest = rest.rsplit('@').next().unwrap_or_default();
    // Of several addresses the first stands for all.
    let rest = rest.split([',', ';']).next().unwrap_or_default();
    let host = match rest.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        // An IPv6 address without brackets has several colons and no port.
        None if rest.matches(':').count() == 1 => rest.split(':').next().unwrap_or_default(),
        None => rest,
    };
    (!host.is_empty()).then_some(host)
}

/// Returns whether a name is an address, which changes with every pod: `10.0.3.17`,
/// `ip-10-0-3-17.ec2.internal`, `10-0-3-17.shop.pod.cluster.local`.
pub(in crate::import) fn is_address_only(host: &str) -> bool {
    let host = host.trim().trim_matches(['[', ']']);
    let without_port = match host.rsplit_once(':') {
        // Colons before the last one belong to an IPv6 address.
        Some((before, port)) if !before.contains(':') && port.parse::<u16>().is_ok() => before,
        _ => host,
    };
    let first = without_port.split('.').next().unwrap_or_default();
    let dashed = first.strip_prefix("ip-").unwrap_or(first);
    let numbers: Vec<&str> = dashed.split('-').collect();
    without_port.parse::<IpAddr>().is_ok()
        || without_port.eq_ignore_ascii_case("localhost")
        || numbers.len() == 4 && numbers.iter().all(|part| part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer_of<'a>(kind: SpanKind, attributes: &[(&str, &'a str)]) -> Peer<'a> {
        let get = |key: &str| {
            attributes.iter().find(|attribute| attribute.0 == key).map(|attribute| attribute.1)
        };
        span_peer(settled_kind(kind, &get), &get)
    }

    #[test]
    fn old_and_new_names_of_attributes_give_the_same_peer() {
        for (address, system) in [
            ("server.address", "db.system.name"),
            ("net.peer.name", "db.system"),
            ("peer.hostname", "db.type"),
            ("peer.service", "db.type"),
        ] {
            let attributes = [(address, "ledger-db"), (system, "postgresql"), ("db.name", "shop")];
            for kind in [SpanKind::Client, SpanKind::Local] {
                let peer = peer_of(kind, &attributes);
                assert_eq!((peer.name, peer.kind), ("ledger-db", Some("database")), "{address}");
            }
        }
        assert_eq!(peer_of(SpanKind::Client, &[("db.name", "shop")]).name, "shop");
        assert_eq!(peer_of(SpanKind::Client, &[("db.system", "redis")]).kind, Some("cache"));
        assert_eq!(peer_of(SpanKind::Client, &[("http.url", "https://u@a.b:80/x")]).name, "a.b");
        assert_eq!(peer_of(SpanKind::Local, &[("http.url", "https://a.b/x")]).name, "");
    }

    #[test]
    fn what_the_caller_asked_for_wrongly_is_no_failure() {
        let failed = |is_marked, status: &'static str| {
            has_failed(is_marked, &|key| (key == "http.status_code").then_some(status))
        };
        assert!(failed(false, "503") && failed(true, "429") && failed(true, "200"));
        assert!(!failed(true, "404") && !failed(false, "429") && !failed(false, "200"));
        assert!(has_failed(false, &|key| (key == "error").then_some("true")));
        assert!(!has_failed(false, &|key| (key == "error").then_some("false")));
    }

    #[test]
    fn addresses_are_no_names() {
        for text in [
            "10.0.3.17",
            "10.0.3.17:80",
            "::1",
            "[fe80::1]:80",
            "ip-10-0-3-17.ec2.internal",
            "localhost:80",
        ] {
            let peer = peer_of(SpanKind::Client, &[("server.address", text)]);
            assert!(peer.is_address && peer.name.is_empty(), "{text}");
        }
        let both = [("server.address", "10.0.3.17"), ("http.host", "stock:80")];
        assert_eq!(peer_of(SpanKind::Client, &both).name, "stock");
        assert!(!is_address_only("stock-1-2-3"));
    }

    #[test]
    fn a_span_that_handles_a_message_names_its_broker() {
        let attributes = [("messaging.system", "kafka"), ("messaging.operation", "receive")];
        let get = |key: &str| {
            attributes.iter().find(|attribute| attribute.0 == key).map(|attribute| attribute.1)
        };
        assert_eq!(settled_kind(SpanKind::Client, &get), SpanKind::Consumer);
        let peer = span_peer(SpanKind::Consumer, &get);
        assert_eq!((peer.name, peer.broker, peer.kind), ("", "kafka", Some("queue")));
    }
}
