//! `HAProxy`: the servers of each `backend` and `listen`.

use super::{Upstream, single_address, without_comments};

pub(super) fn is_config(text: &str) -> bool {
    let starts = |word: &str| text.lines().any(|line| line.split_whitespace().next() == Some(word));
    (starts("backend") || starts("listen")) && (starts("server") || starts("server-template"))
}

pub(super) fn haproxy_upstreams(text: &str) -> Vec<Upstream> {
    let mut found: Vec<Upstream> = Vec::new();
    for line in without_comments(text).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["backend" | "listen" | "frontend" | "defaults" | "global", ..] => {
                found.push(Upstream::default());
            }
            ["server", _, server, options @ ..]
            | ["server-template", _, _, server, options @ ..] => {
                let Some(upstream) = found.last_mut() else { continue };
                if options.contains(&"disabled") {
                    continue;
                }
                let weight = options.iter().position(|word| *word == "weight");
                let weight = weight.and_then(|at| options.get(at + 1)?.parse().ok());
                // A server that is checked gets nothing while it fails.
                upstream.tries_others |= options.contains(&"check");
                upstream
                    .servers
                    .extend(single_address(server).map(|address| (address, weight.unwrap_or(1.0))));
            }
            _ => {}
        }
    }
    found.retain(|upstream| !upstream.servers.is_empty());
    found
}
