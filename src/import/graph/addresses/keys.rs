//! Tells the purpose of a value from the name of its variable.

/// Purpose of a value, going by the name of its variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::import) enum Purpose {
    /// The name says nothing: only what has the form of an address is one.
    #[default]
    Unstated,
    /// An address: even a bare word is a host.
    Address,
    /// A name, a credential, a number: only a URL is an address.
    NoAddress,
    /// An address of the service itself, or a link for people: a host outside is not called.
    Own,
    /// A place that is named and never called: an allowed origin, a listener, a page of profilers.
    NotCalled,
    /// A service that must be there before this one starts.
    Start,
}

/// Last words of keys whose value is an address even when it is a bare word.
const ADDRESSES: &[&str] = &[
    "HOST",
    "HOSTNAME",
    "HOSTS",
    "ADDR",
    "ADDRS",
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
    "NODES",
    "PEERS",
    "UPSTREAM",
    "UPSTREAMS",
    "DSN",
    "CONNECTION",
    "CONNECTIONSTRING",
    "CONNECT",
    "CONTACTPOINTS",
];

/// The same, where two words follow one another.
const ADDRESS_PAIRS: &[(&str, &str)] =
    &[("CONNECTION", "STRING"), ("CONTACT", "POINTS"), ("INITIAL", "HOSTS"), ("SEED", "NODES")];

/// Of those, the ones whose value is as often the name of a driver or of a mode.
const VAGUE: &[&str] = &["CONNECTION", "CONNECT", "SERVER", "NODES", "PEERS", "UPSTREAM", "DSN"];

/// Ends of words that hold two: `PGHOST`, `APIURL`.
const ADDRESS_ENDS: &[&str] = &["HOST", "HOSTS", "HOSTADDR", "URL", "URLS", "URI", "ENDPOINT"];

/// Words that end like an address and are none.
const NO_ADDRESS_ENDS: &[&str] = &["GHOST", "LOCALHOST", "CURL"];

/// Last words of keys whose value is never an address unless it is a URL.
const OTHERS: &[&str] = &[
    "USER", "USERS", "USERNAME", "PASS", "PASSWORD", "DB", "DATABASE", "NAME", "PROVIDER",
    "ADAPTER", "SECRET", "TOKEN", "KEY", "TOPIC", "PORT", "DRIVER", "ID", "CLASS", "VERSION",
    "PATH", "DIR", "FILE",
];

/// Words of keys whose values are places that are never called.
const NOT_CALLED: &[&str] = &[
    "PPROF",
    "PROFILING",
    "PROFILER",
    "HC",
    "HEALTHCHECK",
    "HEALTHCHECKS",
    "HEALTHZ",
    "CORS",
    "ORIGIN",
    "ORIGINS",
    "ALLOW",
    "ALLOWED",
    "ALLOWLIST",
    "WHITELIST",
    "TRUSTED",
    "SCRAPE",
    "NOPROXY",
    "CALLBACK",
    "CALLBACKS",
    "REDIRECT",
    "REDIRECTS",
    "ADVERTISE",
    "ADVERTISED",
    "LISTEN",
    "LISTENER",
    "LISTENERS",
    "BIND",
    "XMLNS",
    "CSP",
    "REFERER",
    "REFERRER",
];

/// The same, where two words follow one another.
const NOT_CALLED_PAIRS: &[(&str, &str)] =
    &[("NO", "PROXY"), ("HEALTH", "CHECK"), ("HEALTH", "CHECKS"), ("FRAME", "ANCESTORS")];

/// Words before the last that make an address the one of the service itself.
const OWN: &[&str] = &[
    "PUBLIC",
    "EXTERNAL",
    "SELF",
    "OWN",
    "CANONICAL",
    "ROOT",
    "SITE",
    "BASE",
    "APP",
    "APPLICATION",
    "WEBSITE",
    "DOMAIN",
    "VIRTUAL",
    "NEXTAUTH",
    "MY",
    "INSTANCE",
    "LETSENCRYPT",
    "ASPNETCORE",
];

/// Words of keys whose values are links for people.
const LINKS: &[&str] = &[
    "LINK",
    "LINKS",
    "LOGO",
    "ICON",
    "AVATAR",
    "HELP",
    "SUPPORT",
    "PRIVACY",
    "TERMS",
    "TOS",
    "HOMEPAGE",
    "IMPRINT",
    "DOCUMENTATION",
    "MANUAL",
    "BANNER",
    "IMAGE",
    "REPOSITORY",
];

/// Returns what the value of a variable is for.
pub(in crate::import) fn purpose_of(key: &str) -> Purpose {
    let words = words_of(key);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let follows = |pair: &[String]| {
        NOT_CALLED_PAIRS.iter().any(|(first, second)| pair[0] == *first && pair[1] == *second)
    };
    // `ALLOWED_HOSTS` ends like an address, so what is never called is asked first.
    if has(NOT_CALLED) || words.windows(2).any(follows) {
        return Purpose::NotCalled;
    }
    if words.iter().any(|word| word == "WAIT" || word == "WAITFOR" || word == "PRECONDITION") {
        return Purpose::Start;
    }
    let Some((last, before)) = words.split_last() else { return Purpose::Unstated };
    let is_pair = ADDRESS_PAIRS
        .iter()
        .any(|(first, second)| before.last().is_some_and(|word| word == first) && last == second);
    // Links for people end in `URL` as well.
    if has(LINKS) || last == "DOMAIN" {
        return Purpose::Own;
    }
    if OTHERS.contains(&last.as_str()) {
        return Purpose::NoAddress;
    }
    if !(is_pair || is_address(last)) {
        return Purpose::Unstated;
    }
    // `PUBLIC_URL` is the address of the service itself, while `PUBLIC_API_URL` may be another
    // one's.
    let is_own = !before.is_empty() && before.iter().all(|word| OWN.contains(&word.as_str()));
    if is_own { Purpose::Own } else { Purpose::Address }
}

/// Whether a bare word below this key is a host for sure, so that an unknown one is worth a warning.
pub(in crate::import) fn is_certain(key: &str) -> bool {
    let words = words_of(key);
    words.last().is_some_and(|last| is_address(last) && !VAGUE.contains(&last.as_str()))
}

/// Whether a key speaks of traces, metrics and logs, which no request of a user needs.
pub(in crate::import) fn is_of_telemetry(key: &str) -> bool {
    const TELEMETRY: &[&str] = &[
        "OTEL",
        "OTLP",
        "TRACING",
        "TRACER",
        "SENTRY",
        "JAEGER",
        "ZIPKIN",
        "STATSD",
        "METRICS",
        "TELEMETRY",
        "PROMETHEUS",
        "PUSHGATEWAY",
        "LOKI",
        "FLUENTD",
        "LOGSTASH",
        "DATADOG",
        "DD",
        "NEWRELIC",
        "HONEYCOMB",
        "COLLECTOR",
        "APM",
        "ANALYTICS",
    ];
    words_of(key).iter().any(|word| TELEMETRY.contains(&word.as_str()))
}

fn is_address(word: &str) -> bool {
    let ends = || ADDRESS_ENDS.iter().any(|end| word.ends_with(end));
    ADDRESSES.contains(&word) || ends() && !NO_ADDRESS_ENDS.contains(&word)
}

/// The words of a key in capitals, without numbers at its end: `ConnectionStrings__basket`,
/// `CART_ADDR`, `spring.datasource.url`, `hosts[0]`.
pub(in crate::import) fn words_of(key: &str) -> Vec<String> {
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
    // `HOST_1` and `hosts[0]` mean the same as `HOST`.
    while words.len() > 1
        && words.last().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
    {
        words.pop();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_tells_what_a_value_is_for() {
        for key in [
            "CART_ADDR",
            "PGHOST",
            "hosts[0]",
            "DB_CONNECTION_STRING",
            "KAFKA_BROKERS_1",
            "CONTACT_POINTS",
        ] {
            assert_eq!(purpose_of(key), Purpose::Address, "{key}");
        }
        for key in ["DB_NAME", "POSTGRES_USER", "API_KEY", "JDBC_DRIVER"] {
            assert_eq!(purpose_of(key), Purpose::NoAddress, "{key}");
        }
        for key in ["CORS_ORIGINS", "NO_PROXY", "PROFILING_SERVICES", "ADVERTISED_LISTENERS"] {
            assert_eq!(purpose_of(key), Purpose::NotCalled, "{key}");
        }
        for key in ["APP_URL", "PUBLIC_BASE_URL", "HELP_LINK", "VIRTUAL_HOST"] {
            assert_eq!(purpose_of(key), Purpose::Own, "{key}");
        }
        assert_eq!(purpose_of("WAIT_HOSTS"), Purpose::Start);
        assert_eq!(purpose_of("GHOST"), Purpose::Unstated);
        assert_eq!(purpose_of("state.backend"), Purpose::Unstated);
    }
}
