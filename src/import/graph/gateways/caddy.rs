//! Caddy: `reverse_proxy` and its like in a Caddyfile, and `dial` in its JSON.

use super::super::addresses::Address;
use super::{Upstream, single_address, without_comments};

const DIRECTIVES: &[&str] = &["reverse_proxy", "php_fastcgi", "forward_auth", "proxy"];

pub(super) fn is_config(text: &str) -> bool {
    ["reverse_proxy", "php_fastcgi", "forward_auth"].iter().any(|word| text.contains(word))
}

pub(super) fn caddy_upstreams(text: &str) -> Vec<Upstream> {
    let mut found = Vec::new();
    if text.trim_start().starts_with('{') && text.contains("\"dial\"") {
        let dials = text.split("\"dial\"").skip(1).filter_map(|rest| rest.split('"').nth(1));
        return dials
            .filter_map(single_address)
            .map(|dial| Upstream::from_addresses(vec![dial]))
            .collect();
    }
    let mut is_inside = false;
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
                let is_matcher = |word: &&&str| word.starts_with(['/', '*', '@']);
                let rest = rest.iter().skip_while(is_matcher);
                rest.filter_map(|word| single_address(word)).collect()
            }
            "}" => {
                is_inside = false;
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
