//! Recognises hosts, and tells where they are.

use std::net::Ipv4Addr;

/// Words that stand for "nothing" or for a switch where a host could stand.
const NO_HOSTS: &[&str] = &[
    "true",
    "false",
    "none",
    "null",
    "nil",
    "off",
    "on",
    "yes",
    "no",
    "undefined",
    "default",
    "disabled",
    "enabled",
    "disable",
    "enable",
    "auto",
    "any",
    "all",
    "changeme",
    "memory",
    "tcp",
    "http",
    "https",
    "unix",
    "file",
];

/// Ends of names of files, which look like the last part of a domain.
const FILE_ENDS: &[&str] = &[
    "yml",
    "yaml",
    "json",
    "xml",
    "conf",
    "cfg",
    "ini",
    "properties",
    "toml",
    "env",
    "sock",
    "pem",
    "crt",
    "key",
    "log",
    "txt",
    "js",
    "ts",
    "py",
    "rb",
    "sh",
    "html",
    "jar",
    "db",
    "sqlite",
    "sql",
    "php",
    "exe",
    "gz",
    "zip",
    "png",
    "svg",
    "css",
];

/// Hosts of names of schemas, which nobody calls.
const SCHEMAS: &[&str] = &[
    "www.w3.org",
    "w3.org",
    "json-schema.org",
    "java.sun.com",
    "xmlns.jcp.org",
    "xmlns.com",
    "xml.org",
    "xml.apache.org",
    "schema.org",
    "purl.org",
    "www.opengis.net",
    "ns.adobe.com",
    "www.springframework.org",
];

/// Where a host is, going by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Whereabouts {
    /// The machine or container that names it.
    OwnMachine,
    /// The name of a schema, which is no machine.
    Schema,
    /// A name without a domain, which only the same source can explain.
    Local,
    /// A full name or an address: it means the same to all who name it.
    Outside,
    /// No name that a network knows.
    NoHost,
}

/// Returns where a host is.
pub(in crate::import) fn host_whereabouts(host: &str) -> Whereabouts {
    let host = host.to_ascii_lowercase();
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        // Link-local addresses are those by which clouds serve metadata to their own machines.
        let is_own = address.is_loopback() || address.is_unspecified() || address.is_link_local();
        return if is_own { Whereabouts::OwnMachine } else { Whereabouts::Outside };
    }
    // The API of the cluster is there for everything, and no request of an order goes through it.
    let is_own = host == "localhost"
        || host.ends_with(".localhost")
        || host == "localhost.localdomain"
        || host.ends_with(".docker.internal")
        || host.starts_with("metadata.google")
        || host == "kubernetes.default"
        || host.starts_with("kubernetes.default.");
    if is_own {
        return Whereabouts::OwnMachine;
    }
    if SCHEMAS.contains(&host.as_str()) || host.starts_with("schemas.") {
        return Whereabouts::Schema;
    }
    let Some((before, last)) = host.rsplit_once('.') else {
        return if host.len() > 1 { Whereabouts::Local } else { Whereabouts::NoHost };
    };
    // No top-level domain in use is longer than 24 characters.
    let is_domain = (2..=24).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_lowercase())
        && before.split('.').all(|label| (1..=63).contains(&label.len()));
    if is_domain { Whereabouts::Outside } else { Whereabouts::NoHost }
}

/// The host of `host`, `host:port`, `1@host:port` or `host:port/path`; without a port only where a
/// bare word will do.
pub(super) fn host_of(token: &str, bare: bool) -> Option<String> {
    let token = token.rsplit('@').next().unwrap_or_default();
    let token = token.split(['/', '\\']).next().unwrap_or_default();
    let (host, port) = match token.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (token, None),
    };
    let has_port = port.is_some_and(|port| {
        let port = port.split(':').next().unwrap_or_default();
        (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    // `key: value` is no host with a port.
    if !has_port && (!bare || port.is_some_and(|port| !port.is_empty())) {
        return None;
    }
    let host = host.trim_end_matches('.');
    // With a port it is a host even if it ends like a file.
    let is_bare_file = !has_port
        && host.rsplit_once('.').is_some_and(|(_, end)| FILE_ENDS.contains(&&*end.to_lowercase()));
    (is_host(host) && !is_bare_file).then(|| host.to_owned())
}

/// Whether a text can be the name or the address of a host.
pub(super) fn is_host(host: &str) -> bool {
    let is_name = || {
        host.starts_with(|c: char| c.is_ascii_alphanumeric())
            && host.chars().any(|c| c.is_ascii_alphabetic())
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && !host.contains("..")
            && !NO_HOSTS.contains(&host.to_ascii_lowercase().as_str())
    };
    host.len() <= 253 && (is_name() || host.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whether_it_is_outside() {
        for host in ["core.x1.rds.example.com", "10.1.2.3", "cards.partner"] {
            assert_eq!(host_whereabouts(host), Whereabouts::Outside, "{host}");
        }
        for host in ["localhost", "127.0.0.1", "0.0.0.0", "host.docker.internal"] {
            assert_eq!(host_whereabouts(host), Whereabouts::OwnMachine, "{host}");
        }
        assert_eq!(host_whereabouts("cart"), Whereabouts::Local);
        assert_eq!(host_whereabouts("schemas.xmlsoap.org"), Whereabouts::Schema);
        assert_eq!(host_whereabouts("eyJh.eyJz.c2ln4"), Whereabouts::NoHost);
    }
}
