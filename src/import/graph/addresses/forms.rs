//! The forms in which texts hold addresses: URLs, connection strings, lists, pairs.

use super::host::host_of;
use super::keys::{Purpose, purpose_of};

/// Keys of connection strings that are followed by a host.
const HOST_KEYS: &[&str] = &[
    "server",
    "servername",
    "host",
    "hostname",
    "hostaddr",
    "data source",
    "datasource",
    "endpoint",
    "addr",
    "address",
    "network address",
    "contactpoints",
    "contact points",
];

/// Schemes that name no machine.
const NO_MACHINES: &[&str] = &[
    "file",
    "unix",
    "http+unix",
    "npipe",
    "sqlite",
    "sqlite3",
    "sqlite+aiosqlite",
    "data",
    "classpath",
    "jar",
    "mem",
    "memory",
    "inmem",
    "null",
    "arn",
    "vault",
    "env",
    "secret",
    "s3",
    "s3a",
    "gs",
    "abfs",
    "abfss",
    "docker",
    "oci",
    "mailto",
    "otpauth",
    "stdout",
    "fd",
    "xds",
];

/// Schemes by which only brokers are reached; those of Kafka's listeners are among them.
const BROKERS: &[&str] = &[
    "amqp",
    "amqps",
    "pyamqp",
    "rabbitmq",
    "rabbit",
    "kafka",
    "confluentkafka",
    "plaintext",
    "sasl_plaintext",
    "sasl_ssl",
    "nats",
    "mqtt",
    "mqtts",
    "stomp",
    "pulsar",
    "nsq",
    "sqs",
    "sns",
    "pubsub",
    "gcppubsub",
    "sb",
    "activemq",
];

/// Schemes whose authority is a name server, and whose path is the target.
const TARGET_IN_PATH: &[&str] = &["dns", "passthrough"];

/// Of a text so many tokens are looked at.
const TOKENS_MAX: usize = 10_000;

/// An address found in a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::import) struct Address {
    /// The host without its port.
    pub(in crate::import) host: String,
    /// Its form tells that it is an address, whatever the key.
    pub(in crate::import) is_certain: bool,
    /// Its scheme is one of brokers: who calls it hands messages over, or takes them.
    pub(in crate::import) is_broker: bool,
}

impl Address {
    /// An address of which only the host is known.
    pub(in crate::import) fn of_host(host: String) -> Self {
        Self { host, is_certain: false, is_broker: false }
    }
}

/// Collects the addresses of a text.
pub(super) struct Scanner {
    /// Bare words are hosts.
    pub(super) bare: bool,
    /// Only URLs count.
    pub(super) only_urls: bool,
    pub(super) found: Vec<Address>,
    /// The hosts stand behind the scheme of a broker.
    is_broker: bool,
}

impl Scanner {
    pub(super) fn new(bare: bool, only_urls: bool) -> Self {
        Self { bare, only_urls, found: Vec::new(), is_broker: false }
    }

    fn push_host(&mut self, host: Option<String>, is_certain: bool) {
        if let Some(host) = host {
            self.found.push(Address { host, is_certain, is_broker: self.is_broker });
        }
    }

    /// Adds the addresses of a text in any form.
    pub(super) fn scan_text(&mut self, text: &str) {
        let mut start = 0;
        let mut from = 0;
        while let Some(at) = text[from..].find("://").map(|at| from + at) {
            let scheme = scheme_before(&text[start..at]);
            let end = at + 3 + end_of_url(&text[at + 3..]);
            if !scheme.is_empty() {
                self.scan_words(&text[start..at - scheme.len()]);
                self.scan_url(scheme, &text[at + 3..end]);
                start = end;
            }
            from = end;
        }
        self.scan_words(&text[start..]);
    }

    /// Adds the hosts of a URL: what stands before and behind its `://`.
    fn scan_url(&mut self, scheme: &str, rest: &str) {
        let scheme = scheme.rsplit(':').next().unwrap_or(scheme).to_ascii_lowercase();
        let (authority, path, query) = parts_of_url(rest);
        // A Unix socket or a file is no host, but a query behind it may still name one.
        let authority = if NO_MACHINES.contains(&scheme.as_str()) { "" } else { authority };
        let target = TARGET_IN_PATH.contains(&scheme.as_str()).then(|| path.trim_matches('/'));
        let hosts = target.filter(|path| !path.is_empty()).unwrap_or(authority);
        // `amqp+ssl` is as much a broker as `amqp`.
        self.is_broker = BROKERS.contains(&scheme.split('+').next().unwrap_or_default());
        // A password may hold an `@`, so the last one ends the credentials.
        for host in hosts.rsplit('@').next().unwrap_or_default().split(',') {
            self.push_host(host_of(host.trim(), true), true);
        }
        self.is_broker = false;
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if value.contains("://") {
                self.scan_text(value);
                continue;
            }
            let is_host_key = HOST_KEYS.contains(&key.to_ascii_lowercase().as_str());
            value
                .split(',')
                .for_each(|value| self.push_host(host_of(value, is_host_key), is_host_key));
        }
    }

    /// Adds the addresses of a text without URLs.
    fn scan_words(&mut self, text: &str) {
        if self.only_urls {
            return;
        }
        let text = self.scan_drivers(text);
        // The values of a connection string may hold several words.
        let is_string = text.contains(';') && text.contains('=');
        let separators = |c: char| {
            c == ',' || c == ';' || matches!(c, '"' | '\'' | '`' | '[' | ']' | '(' | ')' | '|')
        };
        for part in text.split(separators).filter(|part| !part.is_empty()).take(TOKENS_MAX) {
            let pair = part.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            match pair.filter(|(key, _)| HOST_KEYS.contains(&&*key.to_ascii_lowercase())) {
                Some((_, value)) if !value.contains(char::is_whitespace) => {
                    self.push_host(host_of(value.trim_start_matches("tcp:"), true), true);
                }
                _ => part
                    .split_whitespace()
                    .take(TOKENS_MAX)
                    .for_each(|token| self.scan_token(token, self.bare && !is_string)),
            }
        }
    }

    fn scan_token(&mut self, token: &str, bare: bool) {
        // `host:port=...` is no pair of a key and a value.
        let Some((key, value)) = token.split_once('=').filter(|(key, _)| !key.contains(':')) else {
            self.push_host(host_of(token.trim_start_matches("tcp:"), bare), false);
            return;
        };
        let key = key.trim_start_matches('-');
        // Java takes properties as `-Dname.of.property=value`.
        let key = key.strip_prefix('D').filter(|rest| rest.contains('.')).unwrap_or(key);
        let is_host_key = HOST_KEYS.contains(&key.to_ascii_lowercase().as_str());
        match purpose_of(key) {
            Purpose::NotCalled | Purpose::Start => {}
            Purpose::Address => self.push_host(host_of(value, true), is_host_key),
            _ => self.push_host(host_of(value, is_host_key), is_host_key),
        }
    }

    /// Adds the hosts in forms of single drivers, and returns the text without them:
    /// `user:password@tcp(db:3306)/x` of Go, `jdbc:oracle:thin:@db:1521:x`.
    fn scan_drivers<'a>(&mut self, text: &'a str) -> std::borrow::Cow<'a, str> {
        let mut left = std::borrow::Cow::Borrowed(text);
        for protocol in ["tcp(", "tcp4(", "tcp6("] {
            while let Some(at) = left.find(protocol) {
                let inner = &left[at + protocol.len()..];
                let end = inner.find(')').unwrap_or(inner.len());
                let host = host_of(&inner[..end], true);
                let before = left[..at].rfind(char::is_whitespace).map_or(0, |space| space + 1);
                let behind = (at + protocol.len() + end + 1).min(left.len());
                let rest = format!("{} {}", &left[..before], path_cut(&left[behind..]));
                self.push_host(host, true);
                left = std::borrow::Cow::Owned(rest);
            }
        }
        if let Some((before, rest)) = left.split_once("jdbc:")
            && let Some((_, rest)) = rest.split_once('@')
            // Oracle also writes whole descriptions in parentheses, whose `HOST=` the scan of words
            // finds.
            && !rest.starts_with('(')
        {
            let host = host_of(rest.trim_start_matches('/'), true);
            let before = before.to_owned();
            self.push_host(host, true);
            left = std::borrow::Cow::Owned(before);
        }
        left
    }
}

/// The text behind the path that it starts with.
fn path_cut(text: &str) -> &str {
    if text.starts_with('/') {
        text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest)
    } else {
        text
    }
}

/// The scheme at the end of a text, which may have several parts: `jdbc:postgresql`.
fn scheme_before(text: &str) -> &str {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':' | '_');
    let start = text.char_indices().rev().take_while(|(_, c)| inner(*c)).last();
    let scheme = start.map_or("", |(at, _)| &text[at..]);
    // `key:http` of a list of pairs; the scheme is the last part, and those before belong to drivers.
    let is_driver = |part: &str| matches!(part, "jdbc" | "r2dbc" | "pool");
    match scheme.split_once(':') {
        Some((first, _)) if is_driver(first) => scheme,
        _ => scheme.rsplit(':').next().unwrap_or(scheme),
    }
    .trim_start_matches(|c: char| !c.is_ascii_alphabetic())
}

/// Where a URL ends, from behind its `://`.
fn end_of_url(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut is_path = false;
    for (at, c) in rest.char_indices() {
        match c {
            '"' | '\'' | '<' | '>' | '`' | '|' | ';' => return at,
            c if c.is_whitespace() => return at,
            '[' | '(' => depth += 1,
            ']' | ')' if depth == 0 => return at,
            ']' | ')' => depth -= 1,
            // A slash within a password ends no authority.
            '/' | '?' => is_path = is_path || at > 0 && !has_password(&rest[..at], &rest[at..]),
            // A list of hosts goes on; a list of URLs, or a list behind a path, does not.
            ',' if is_path || starts_with_url(&rest[at + 1..]) => return at,
            _ => {}
        }
    }
    rest.len()
}

fn starts_with_url(text: &str) -> bool {
    let end = text.find([',', ' ', '\n']).unwrap_or(text.len()).min(text.len());
    text.trim_start()[..].split([',', ' ', '\n']).next().is_some_and(|next| next.contains("://"))
        && end > 0
}

/// Authority, path and query of what follows `://`. A password may hold characters that would end it.
fn parts_of_url(rest: &str) -> (&str, &str, &str) {
    let mut from = 0;
    let end = loop {
        match rest[from..].find(['/', '?', '#']).map(|at| from + at) {
            None => break rest.len(),
            Some(at) if has_password(&rest[..at], &rest[at..]) => from = at + 1,
            Some(at) => break at,
        }
    };
    let (authority, behind) = rest.split_at(end);
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    (authority, path, query)
}

/// Whether this is `user:password` with a password that goes on, and not `host:port`.
fn has_password(before: &str, behind: &str) -> bool {
    let after = before.split_once(':').map(|(_, after)| after);
    let is_port =
        // `host:80,host:81` is a list of hosts with ports.
        |text: &str| text.split(',').all(|text| text.rsplit(':').next().is_some_and(is_number));
    !before.contains('@')
        && after.is_some_and(|after| !is_port(after))
        && behind.split_whitespace().next().is_some_and(|behind| behind.contains('@'))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The pairs of a block of properties: a line each, `key: value` or `key=value`; none for another
/// text.
pub(super) fn block_properties(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '!', ';'])).collect();
    // One line alone may be any text with a colon in it.
    if lines.len() < 2 {
        return Vec::new();
    }
    lines.iter().filter_map(|line| line_property(line)).collect()
}

/// The key and the value of one line.
pub(super) fn line_property(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches("- ").trim_start_matches("export ");
    let end = line.find(['=', ':', ' '])?;
    let key = line[..end].trim_matches(['"', '\'']);
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '[' | ']');
    let value = line[end..].trim_start().strip_prefix(['=', ':'])?;
    // `http://x` alone is no pair, and neither is `host:80`.
    let is_pair = !value.starts_with("//")
        && (line.as_bytes()[end] != b':' || value.starts_with(' ') || value.is_empty());
    (is_pair && !key.is_empty() && key.chars().all(is_key))
        .then(|| (key, value.trim().trim_matches(['"', '\''])))
}
