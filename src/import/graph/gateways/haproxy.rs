//! `HAProxy`: the servers of each `backend` and `listen`.

use super::super::limits::{CallLimits, pool_size};
use super::{Upstream, seconds_of, single_address, without_comments};

pub(super) fn is_config(text: &str) -> bool {
    let starts = |word: &str| text.lines().any(|line| line.split_whitespace().next() == Some(word));
    (starts("backend") || starts("listen")) && (starts("server") || starts("server-template"))
}

pub(super) fn haproxy_upstreams(text: &str) -> Vec<Upstream> {
    let mut found: Vec<Upstream> = Vec::new();
    let (mut defaults, mut is_default) = (CallLimits::default(), false);
    for line in without_comments(text).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["backend" | "listen" | "frontend" | "global", ..] => {
                found.push(Upstream { limits: defaults, ..Upstream::default() });
                is_default = false;
            }
            // `defaults` hold for the sections behind them, until the next ones.
            ["defaults", ..] => (defaults, is_default) = (CallLimits::default(), true),
            ["timeout", "server", value, ..] => {
                let limits = found.last_mut().filter(|_| !is_default);
                let limits = limits.map_or(&mut defaults, |upstream| &mut upstream.limits);
                // HAProxy counts times without a unit in milliseconds.
                limits.attempt_timeout = seconds_of(value, 0.001);
            }
            ["retries", value, ..] => {
                let limits = found.last_mut().filter(|_| !is_default);
                let limits = limits.map_or(&mut defaults, |upstream| &mut upstream.limits);
                limits.retries = value.parse().ok();
            }
            ["server", _, server, options @ ..]
            | ["server-template", _, _, server, options @ ..] => {
                let Some(upstream) = found.last_mut() else { continue };
                if options.contains(&"disabled") {
                    continue;
                }
                let weight = options.iter().position(|word| *word == "weight");
                let weight = weight.and_then(|at| options.get(at + 1)?.parse().ok());
                let limit = options.iter().position(|word| *word == "maxconn");
                let limit = limit.and_then(|at| options.get(at + 1)?.parse().ok());
                let limit = limit.and_then(pool_size);
                // One server without a limit leaves them all without one.
                let before = upstream.limits.max_in_flight;
                upstream.limits.max_in_flight = match (upstream.servers.len(), before, limit) {
                    (0, _, limit) => limit,
                    (_, Some(before), Some(limit)) => Some(before.saturating_add(limit)),
                    _ => None,
                };
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

/// Returns how many connections of users `HAProxy` has at once: `maxconn` of its section `global`.
pub(super) fn haproxy_pool(text: &str) -> Option<u32> {
    let mut is_global = false;
    for line in without_comments(text).lines() {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["global", ..] => is_global = true,
            ["backend" | "listen" | "frontend" | "defaults", ..] => is_global = false,
            ["maxconn", value, ..] if is_global => return value.parse().ok().and_then(pool_size),
            _ => {}
        }
    }
    None
}
