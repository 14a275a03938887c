//! Apache's HTTP server: `ProxyPass`, and the members of its balancers.

use super::super::limits::CallLimits;
use super::{Upstream, seconds_of, single_address, without_comments};

pub(super) fn is_config(text: &str) -> bool {
    text.contains("ProxyPass ") || text.contains("BalancerMember ")
}

pub(super) fn apache_upstreams(text: &str) -> Vec<Upstream> {
    let mut found: Vec<Upstream> = Vec::new();
    for line in without_comments(text).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["ProxyPass" | "ProxyPassMatch", targets @ ..] => {
                let target = targets.iter().find(|word| word.contains("://"));
                let target = target.filter(|word| !word.contains("balancer://"));
                let timeout = targets.iter().find_map(|word| word.strip_prefix("timeout="));
                let attempt_timeout = timeout.and_then(|text| seconds_of(text, 1.0));
                let limits = CallLimits { attempt_timeout, ..CallLimits::default() };
                let address = target.and_then(|word| single_address(word));
                found.extend(
                    address.map(|address| Upstream {
                        limits,
                        ..Upstream::from_addresses(vec![address])
                    }),
                );
            }
            // Apache sends a request that one member fails to the next one.
            ["<Proxy", ..] => found.push(Upstream { tries_others: true, ..Upstream::default() }),
            ["BalancerMember", server, ..] => {
                if let Some(upstream) = found.last_mut() {
                    upstream.servers.extend(single_address(server).map(|address| (address, 1.0)));
                }
            }
            _ => {}
        }
    }
    // A `<Proxy>` block may also set only options.
    found.retain(|upstream| !upstream.servers.is_empty());
    found
}
