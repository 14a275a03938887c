//! Names of hosts in values of environment variables, arguments and URLs.
//!
//! A value gives hosts and nothing else: whatever else stands in it may be a secret.

/// Last words of keys whose value is an address even when it is a bare word.
const ADDRESSES: &[&str] = &[
    "HOST",
    "HOSTNAME",
    "HOSTS",
    "ADDR",
    "ADDRESS",
    "ADDRESSES",
    "URL",
    "URLS",
    "URI",
    "URIS",
    "ENDPOINT",
    "ENDPOINTS",
    "SERVER",
    "SERVERS",
    "BROKER",
    "BROKERS",
    "SEEDS",
    "CONNECTION",
    "CONNECTIONSTRING",
    "CONNECT",
];

/// Last words of keys whose value is never an address unless it is a URL.
const OTHERS: &[&str] = &[
    "USER", "USERS", "USERNAME", "PASS", "PASSWORD", "DB", "DATABASE", "NAME", "PROVIDER",
    "ADAPTER", "SECRET", "TOKEN", "KEY", "TOPIC", "PORT", "DRIVER", "ID",
];

/// Keys of connection strings that are followed by a host.
const HOST_KEYS: &[&str] =
    &["server", "host", "hostname", "data source", "datasource", "endpoint", "addr", "address"];

/// What a value of an environment variable points to.
#[derive(Debug, Default, PartialEq)]
pub(in crate::import) struct Found {
    /// Hosts without ports, in the order of the value.
    pub(in crate::import) hosts: Vec<String>,
    /// The key names an address for sure, so that an unknown host is worth a warning.
    pub(in crate::import) is_address: bool,
}

/// The hosts in the value of a variable.
pub(in crate::import) fn in_variable(key: &str, value: &str) -> Found {
    let words = words(key);
    let last = words.last().map_or("", String::as_str);
    let is_other = OTHERS.contains(&last);
    let is_address = ADDRESSES.contains(&last)
        || words.len() > 1 && words[words.len() - 2] == "CONNECTION" && last == "STRING";
    if is_health_check(&words) || words.iter().any(|word| word == "PPROF") {
        return Found::default();
    }
    Found { hosts: in_text(value, is_address && !is_other, is_other), is_address }
}

/// Whether a variable lists what is only asked for its health.
fn is_health_check(words: &[String]) -> bool {
    words
        .iter()
        .any(|word| matches!(word.as_str(), "HC" | "HEALTHCHECK" | "HEALTHCHECKS" | "HEALTHZ"))
        || words
            .windows(2)
            .any(|pair| pair[0] == "HEALTH" && matches!(pair[1].as_str(), "CHECK" | "CHECKS"))
}

/// The hosts in the words of a command.
pub(in crate::import) fn in_arguments<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut after_flag = false;
    for word in arguments.into_iter().flat_map(str::split_whitespace) {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => (Some(flag), value),
            _ if word.starts_with('-') => (Some(word), ""),
            _ => (None, word),
        };
        let is_host_flag = flag.is_some_and(|flag| {
            flag == "-h"
                || words(flag.trim_start_matches('-'))
                    .last()
                    .is_some_and(|last| ADDRESSES.contains(&last.as_str()) && last != "CONNECTION")
        });
        let is_other = flag.is_some_and(|flag| {
            words(flag.trim_start_matches('-'))
                .last()
                .is_some_and(|last| OTHERS.contains(&last.as_str()))
        });
        if !value.is_empty() {
            let bare = if flag.is_some() { is_host_flag } else { after_flag };
            found.extend(in_text(value, bare, is_other));
        }
        after_flag = flag.is_some() && value.is_empty() && is_host_flag;
    }
    found
}

/// The hosts in a text; bare words count only where they must be addresses.
pub(in crate::import) fn in_text(text: &str, bare_words: bool, only_urls: bool) -> Vec<String> {
    let mut found = Vec::new();
    // The values of a connection string may hold several words.
    let bare_words = bare_words && !(text.contains(';') && text.contains('='));
    let separators =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '[' | ']' | '|');
    for token in text.split(separators).filter(|token| !token.is_empty()).take(10_000) {
        if let Some((_, rest)) = token.split_once("://") {
            url(rest, &mut found);
            continue;
        }
        if only_urls {
            continue;
        }
        if let Some((key, value)) = token.split_once('=')
            && !key.contains(':')
        {
            let key = key.trim_start_matches('-').to_lowercase();
            if HOST_KEYS.contains(&key.as_str()) {
                found.extend(host_of(value.trim_start_matches("tcp:"), true));
            } else {
                found.extend(host_of(value, false));
            }
            continue;
        }
        found.extend(host_of(token, bare_words));
    }
    found
}

/// The host of what follows `://`, and those among the parameters of its query.
fn url(rest: &str, found: &mut Vec<String>) {
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = match address.split_once('/') {
        // A password with a slash in it: what stands before the slash is a user and no host.
        Some((before, after)) if has_password(before) && after.contains('@') => {
            let host = after.rsplit('@').next().unwrap_or_default();
            host.split('/').next().unwrap_or_default()
        }
        Some((before, _)) => before,
        None => address,
    };
    found.extend(host_of(authority.rsplit('@').next().unwrap_or_default(), true));
    for (_, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        found.extend(host_of(value, false));
    }
}

/// Whether this is `user:password` and not `host:port`.
fn has_password(text: &str) -> bool {
    let after = text.split_once(':').map(|(_, after)| after);
    !text.contains('@') && after.is_some_and(|it| !it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The host of `host`, `host:port`, `1@host:port` or `host:port/path`; without a port only where a bare
/// word will do.
fn host_of(token: &str, bare: bool) -> Option<String> {
    let token = token.rsplit('@').next().unwrap_or_default();
    let token = token.split('/').next().unwrap_or_default();
    let (host, port) = match token.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (token, None),
    };
    let has_port = port.is_some_and(|port| {
        let port = port.split(':').next().unwrap_or_default();
        (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !has_port && !bare {
        return None;
    }
    let is_host = host.len() <= 253
        && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host.chars().any(|c| c.is_ascii_alphabetic())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    is_host.then(|| host.trim_end_matches('.').to_owned())
}

/// The words of a key in capitals: `ConnectionStrings__basket`, `CART_ADDR`, `spring.datasource.url`.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in key.chars() {
        let is_break =
            !c.is_ascii_alphanumeric() || c.is_ascii_uppercase() && before.is_ascii_lowercase();
        if is_break && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric() {
            let word = words.last_mut().expect("there is one");
            word.push(c.to_ascii_uppercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, value: &str, hosts: &[&str]) {
        assert_eq!(in_variable(key, value).hosts, hosts, "{key}={value}");
    }

    #[test]
    fn addresses_are_found_in_all_their_forms() {
        check("CART_ADDR", "cart:7070", &["cart"]);
        check("MONGO_HOST", "user-db", &["user-db"]);
        check("EventBusConnection", "rabbitmq", &["rabbitmq"]);
        check("ConnectionString", "Server=sqldata;Database=x;User Id=sa;Password=p", &["sqldata"]);
        check("DB", "Host=astronomy-db;Username=otelu;Password=otelp", &[]);
        check("DB_CONNECTION_STRING", "Host=astronomy-db;Username=u", &["astronomy-db"]);
        check("URL", "postgres://u:p@db:5432/x", &["db"]);
        check("URL", "amqp://user:pa/ss@mq:5672/v", &["mq"]);
        check("X", "jdbc:postgresql://db/x?endpoint=seaweedfs:8333", &["db", "seaweedfs"]);
        check("B", "SASL_SSL://kafka1:10091,SASL_SSL://kafka2:10092", &["kafka1", "kafka2"]);
        check("V", "1@kafka1:13091", &["kafka1"]);
        check("identityUrl", "http://identity-api", &["identity-api"]);
    }

    #[test]
    fn credentials_and_health_checks_are_no_addresses() {
        check("POSTGRES_USER", "temporal", &[]);
        check("DB_NAME", "gitlab", &[]);
        check("SEARCH_PROVIDER", "rabbitmq", &[]);
        check("ADMIN_USERS", "postgres,sentry", &[]);
        check("PaymentUrlHC", "http://payment-api/hc", &[]);
        check("HealthChecksUI__HealthChecks__0__Uri", "http://webmvc/hc", &[]);
        check("MODE", "worker", &[]);
        check("SINCE", "12:30", &[]);
    }

    #[test]
    fn arguments_give_hosts_only_behind_their_flags() {
        let of = |text: &str| in_arguments([text]);
        assert_eq!(of("-d 60 -r 200 -c 2 -h edge-router"), ["edge-router"]);
        assert_eq!(of("run worker --rpc-host=taskbroker:50051"), ["taskbroker"]);
        assert_eq!(of("celery -A registrar"), Vec::<String>::new());
    }
}
