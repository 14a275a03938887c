//! Lists of hosts below keys that say nothing: `zk1:2181,zk2:2181/kafka`, `a,b,c`.

use super::host::host_of;
use super::keys::words_of;

/// A longer list is no list of hosts.
const ITEMS_MAX: usize = 100;

/// Tags of images and weights are smaller numbers: `redis:7`, `blue:10`.
const PORT_MIN: u32 = 80;

/// Words of keys whose lists name other things, even where those are called like services.
const OTHER_LISTS: &[&str] = &[
    "PROFILE",
    "PROFILES",
    "FEATURE",
    "FEATURES",
    "FLAGS",
    "MODULES",
    "PLUGINS",
    "EXTENSIONS",
    "TAGS",
    "LABELS",
    "TOPICS",
    "QUEUES",
    "TABLES",
    "SCHEMAS",
    "DATABASES",
    "DBS",
    "NAMES",
    "USERS",
    "KEYS",
    "SCOPES",
    "ROLES",
    "GROUPS",
    "EXCLUDE",
    "EXCLUDED",
    "IGNORE",
    "IGNORED",
    "DISABLE",
    "DISABLED",
];

/// One item of a list that may be one of hosts.
#[derive(Debug, PartialEq)]
pub(in crate::import) struct ListedHost {
    pub(in crate::import) host: String,
    /// Without a port it may be any word.
    pub(in crate::import) has_port: bool,
}

/// Returns the items of a list that can be one of hosts; none where one of them cannot be, or where
/// there are fewer than two.
pub(in crate::import) fn listed_hosts(key: &str, value: &str) -> Vec<ListedHost> {
    let is_of_others = || words_of(key).iter().any(|word| OTHER_LISTS.contains(&word.as_str()));
    // What has another form is read by that.
    if value.contains(['=', '@', '{', '\n']) || value.contains("://") || is_of_others() {
        return Vec::new();
    }
    let items: Vec<&str> = value
        .trim_matches(['[', ']', ' '])
        .split([',', ';'])
        .map(|item| item.trim().trim_matches(['"', '\'']))
        .filter(|item| !item.is_empty())
        .take(ITEMS_MAX + 1)
        .collect();
    if !(2..=ITEMS_MAX).contains(&items.len()) {
        return Vec::new();
    }
    items.into_iter().map(listed_host).collect::<Option<_>>().unwrap_or_default()
}

fn listed_host(item: &str) -> Option<ListedHost> {
    let port = item.split_once(':').map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| u32::from(port) >= PORT_MIN);
    let is_fit = match port {
        Some(port) => is_port(port),
        None => !item.contains(['/', '\\']),
    };
    let host = host_of(item, true).filter(|_| is_fit && !item.contains(char::is_whitespace))?;
    Some(ListedHost { host, has_port: port.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(key: &str, value: &str) -> Vec<String> {
        let mark = |item: ListedHost| if item.has_port { item.host + ":" } else { item.host };
        listed_hosts(key, value).into_iter().map(mark).collect()
    }

    #[test]
    fn lists_of_hosts_are_told_from_other_lists() {
        assert_eq!(hosts("ZK", "zk1:2181,zk2:2181/kafka"), ["zk1:", "zk2:"]);
        assert_eq!(hosts("CASS", "a, b;c"), ["a", "b", "c"]);
        assert_eq!(hosts("CASS", "[\"a\",\"b:9042\"]"), ["a", "b:"]);
        for (key, value) in [
            ("CASS", "a"),
            ("X", "a=1,b=2"),
            ("X", "user:pass,other:word"),
            ("IMAGES", "redis:7,postgres:17"),
            ("X", "two words,and more"),
            ("X", "1,2,3"),
            ("X", "a/b,c/d"),
            ("PROFILES", "db,cache"),
            ("POSTGRES_MULTIPLE_DATABASES", "users,orders"),
        ] {
            assert!(hosts(key, value).is_empty(), "{key}={value}");
        }
    }
}
