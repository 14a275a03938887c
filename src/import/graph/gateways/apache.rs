//! Apache's HTTP server: `ProxyPass`, and the members of its balancers.

use super::{Upstream, single_address, without_comments};

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
                found.extend(
                    target
                        .and_then(|word| single_address(word))
                        .map(|target| Upstream::from_addresses(vec![target])),
                );
            }
            ["<Proxy", ..] => found.push(Upstream { tries_others: true, ..Upstream::default() }),
            ["BalancerMember", server, ..] => {
                if let Some(upstream) = found.last_mut() {
                    upstream.servers.extend(single_address(server).map(|address| (address, 1.0)));
                }
            }
            _ => {}
        }
    }
    found.retain(|upstream| !upstream.servers.is_empty());
    found
}
