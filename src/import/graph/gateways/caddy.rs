//! Caddy: `reverse_proxy` and its like in a Caddyfile, and `dial` in its JSON.

use super::super::addresses::Address;
use super::super::limits::{CallLimits, pool_size};
use super::{Upstream, seconds_of, single_address, without_comments};

const DIRECTIVES: &[&str] = &["reverse_proxy", "php_fastcgi", "forward_auth", "proxy"];

pub(super) fn is_config(text: &str) -> bool {
    ["reverse_proxy", "php_fastcgi", "forward_auth"].iter().any(|word| text.contains(word))
}

pub(super) fn caddy_upstreams(text: &str) -> Vec<Upstream> {
    let mut found = Vec::new();
    if text.trim_start().starts_with('{') && text.contains("\"dial\"") {
        // In JSON every upstream has a key `dial`, wherever in the document it stands.
        let dials = text.split("\"dial\"").skip(1).filter_map(|rest| rest.split('"').nth(1));
        return dials
            .filter_map(single_address)
            .map(|dial| Upstream::from_addresses(vec![dial]))
            .collect();
    }
    let mut is_inside = false;
    // How many blocks are open within that of a directive, and the first of its upstreams.
    let (mut depth, mut first_of_block) = (0_usize, None);
    for line in without_comments(text).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((directive, rest)) = words.split_first() else { continue };
        let opens = rest.last() == Some(&"{");
        let rest: Vec<&str> = rest.iter().copied().filter(|word| *word != "{").collect();
        let servers: Vec<Address> = match *directive {
            "to" if is_inside => rest.iter().filter_map(|word| single_address(word)).collect(),
            "dynamic" if is_inside => {
                rest.get(1).and_then(|rest| single_address(rest)).into_iter().collect()
            }
            directive if DIRECTIVES.contains(&directive) => {
                is_inside = opens;
                // Options within the block hold for the upstreams of this directive only.
                (depth, first_of_block) = (0, Some(found.len()));
                // A matcher for paths may stand before the upstreams.
                let is_matcher = |word: &&&str| word.starts_with(['/', '*', '@']);
                let rest = rest.iter().skip_while(is_matcher);
                rest.filter_map(|word| single_address(word)).collect()
            }
            "}" if depth > 0 => {
                depth -= 1;
                continue;
            }
            "}" => {
                is_inside = false;
                continue;
            }
            directive if is_inside => {
                depth += usize::from(opens);
                if let (Some(first), Some(value)) = (first_of_block, rest.first()) {
                    let limits = note_limit(directive, value);
                    found[first..].iter_mut().for_each(|upstream: &mut Upstream| {
                        upstream.limits = upstream.limits.or(limits);
                    });
                }
                continue;
            }
            _ => continue,
        };
        if !servers.is_empty() {
            found.push(Upstream::from_addresses(servers));
        }
    }
    found
}

/// The limit that an option of `reverse_proxy` or of its transport sets.
fn note_limit(option: &str, value: &str) -> CallLimits {
    let mut limits = CallLimits::default();
    match option {
        "lb_try_duration" => limits.timeout = seconds_of(value, 1.0),
        "response_header_timeout" | "read_timeout" => {
            limits.attempt_timeout = seconds_of(value, 1.0);
        }
        "lb_retries" => limits.retries = value.parse().ok(),
        "max_conns_per_host" | "unhealthy_request_count" => {
            limits.max_in_flight = value.parse().ok().and_then(pool_size);
        }
        _ => {}
    }
    limits
}
