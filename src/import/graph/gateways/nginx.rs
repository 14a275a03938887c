//! nginx: `proxy_pass` and its like, `upstream` blocks, and variables set by `set`.

use std::collections::BTreeMap;

use super::super::addresses::Address;
use super::{Upstream, single_address, without_comments};

const PASSES: &[&str] =
    &["proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"];

pub(super) fn is_config(text: &str) -> bool {
    let has_pass = PASSES.iter().any(|pass| text.contains(pass));
    has_pass || text.contains("upstream ") && text.contains("server ") && text.contains(';')
}

pub(super) fn nginx_upstreams(text: &str) -> Vec<Upstream> {
    let text = without_comments(text);
    let mut blocks: BTreeMap<String, Upstream> = BTreeMap::new();
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut passes: Vec<String> = Vec::new();
    // The names of the blocks that are open.
    let mut open: Vec<Option<String>> = Vec::new();
    for (statement, end) in split_statements(&text) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        match (words.as_slice(), end) {
            (["upstream", name, ..], '{') => {
                open.push(Some((*name).to_owned()));
                blocks.entry((*name).to_owned()).or_default().tries_others = true;
            }
            (_, '{') => open.push(None),
            (["server", server, options @ ..], ';') => {
                let block = open.last().cloned().flatten().and_then(|name| blocks.get_mut(&name));
                if let (Some(block), false) = (block, options.contains(&"down")) {
                    let weight = options.iter().find_map(|word| word.strip_prefix("weight="));
                    let weight = weight.and_then(|text| text.parse().ok()).unwrap_or(1.0);
                    block.servers.extend(single_address(server).map(|address| (address, weight)));
                }
            }
            (["set", name, value, ..], ';') => {
                variables.insert((*name).to_owned(), value.trim_matches(['"', '\'']).to_owned());
            }
            ([pass, target, ..], ';') if PASSES.contains(pass) => passes.push((*target).to_owned()),
            _ => {}
        }
        if end == '}' {
            open.pop();
        }
    }
    let mut found: Vec<Upstream> = Vec::new();
    for pass in passes {
        let mut pass = pass;
        for (name, value) in &variables {
            pass = pass.replace(name.as_str(), value);
        }
        let Some(Address { host, is_certain }) = single_address(&pass) else { continue };
        let upstream = match blocks.get(&host) {
            Some(block) => block.clone(),
            None => Upstream::from_addresses(vec![Address { host, is_certain }]),
        };
        if !found.contains(&upstream) {
            found.push(upstream);
        }
    }
    // A file of `conf.d` may hold the upstreams alone.
    if found.is_empty() { blocks.into_values().collect() } else { found }
}

/// The statements of a file, each with the character that ends it: `;`, `{` or `}`.
fn split_statements(text: &str) -> impl Iterator<Item = (&str, char)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // `${NAME}` of a template that nothing filled in is no block.
        let mut from = 0;
        let at = loop {
            let at = from + rest[from..].find([';', '{', '}'])?;
            if rest[at..].starts_with('{') && rest[..at].ends_with('$') {
                from = at + rest[at..].find('}')? + 1;
                continue;
            }
            break at;
        };
        let statement = rest[..at].trim();
        let end = rest[at..].chars().next()?;
        rest = &rest[at + 1..];
        Some((statement, end))
    })
}
