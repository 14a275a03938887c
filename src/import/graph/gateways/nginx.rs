//! nginx: `proxy_pass` and its like, `upstream` blocks, and variables set by `set`.

use std::collections::BTreeMap;

use super::super::limits::{CallLimits, pool_size};
use super::{Upstream, seconds_of, single_address, without_comments};

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
    let mut passes: Vec<Pass> = Vec::new();
    // The blocks that are open; the first is the file itself.
    let mut open: Vec<Block> = vec![Block::default()];
    for (statement, end) in split_statements(&text) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        match (words.as_slice(), end) {
            (["upstream", name, ..], '{') => {
                let upstream = Some((*name).to_owned());
                open.push(Block { upstream, first_pass: passes.len(), ..Block::default() });
                // nginx sends a request that one server fails to the next one, unless told
                // otherwise.
                blocks.entry((*name).to_owned()).or_default().tries_others = true;
            }
            (_, '{') => open.push(Block { first_pass: passes.len(), ..Block::default() }),
            (["server", server, options @ ..], ';') => {
                let name = open.last().and_then(|block| block.upstream.clone());
                let block = name.and_then(|name| blocks.get_mut(&name));
                // `down` marks a server that is out of use.
                if let (Some(block), false) = (block, options.contains(&"down")) {
                    let weight = options.iter().find_map(|word| word.strip_prefix("weight="));
                    let weight = weight.and_then(|text| text.parse().ok()).unwrap_or(1.0);
                    block.servers.extend(single_address(server).map(|address| (address, weight)));
                    let limit = options.iter().find_map(|word| word.strip_prefix("max_conns="));
                    let limit = limit.and_then(|text| text.parse().ok()).and_then(pool_size);
                    // One server without a limit leaves them all without one.
                    let before = block.limits.max_in_flight;
                    block.limits.max_in_flight = match (block.servers.len(), before, limit) {
                        (0 | 1, _, limit) => limit,
                        (_, Some(before), Some(limit)) => Some(before.saturating_add(limit)),
                        _ => None,
                    };
                }
            }
            (["set", name, value, ..], ';') => {
                variables.insert((*name).to_owned(), value.trim_matches(['"', '\'']).to_owned());
            }
            ([pass, target, ..], ';') if PASSES.contains(pass) => {
                let target = (*target).to_owned();
                passes.push(Pass { target, limits: CallLimits::default() });
            }
            ([directive, value, ..], ';') => {
                if let Some(block) = open.last_mut() {
                    block.note_limit(directive, value);
                }
            }
            _ => {}
        }
        if end == '}' && open.len() > 1 {
            close_block(open.pop(), &mut passes);
        }
    }
    while let Some(block) = open.pop() {
        close_block(Some(block), &mut passes);
    }
    let mut found: Vec<Upstream> = Vec::new();
    for Pass { target, limits } in passes {
        let mut pass = target;
        for (name, value) in &variables {
            pass = pass.replace(name.as_str(), value);
        }
        let Some(address) = single_address(&pass) else { continue };
        let mut upstream = match blocks.get(&address.host) {
            Some(block) => block.clone(),
            None => Upstream::from_addresses(vec![address]),
        };
        upstream.limits = upstream.limits.or(limits);
        // A limit for all attempts says nothing where there is one server: no other is tried.
        upstream.limits.timeout = upstream.limits.timeout.filter(|_| upstream.servers.len() > 1);
        // Many locations pass to the same upstream.
        if !found.contains(&upstream) {
            found.push(upstream);
        }
    }
    // A file of `conf.d` may hold the upstreams alone.
    if found.is_empty() { blocks.into_values().collect() } else { found }
}

/// A place that requests are passed to, with the limits of the blocks around it.
struct Pass {
    target: String,
    limits: CallLimits,
}

/// A block in braces, with what it says for everything in it.
#[derive(Default)]
struct Block {
    /// The name of a block of servers.
    upstream: Option<String>,
    limits: CallLimits,
    /// The number of passes before it.
    first_pass: usize,
}

impl Block {
    fn note_limit(&mut self, directive: &str, value: &str) {
        let Some((protocol, rest)) = directive.split_once('_') else { return };
        if !["proxy", "grpc", "fastcgi", "uwsgi", "scgi", "memcached"].contains(&protocol) {
            return;
        }
        match rest {
            "read_timeout" => self.limits.attempt_timeout = seconds_of(value, 1.0),
            "next_upstream_timeout" => self.limits.timeout = seconds_of(value, 1.0),
            _ => {}
        }
    }
}

/// Hands the limits of a block to the passes in it: those of the nearest block count.
fn close_block(block: Option<Block>, passes: &mut [Pass]) {
    let Some(block) = block else { return };
    for pass in passes.iter_mut().skip(block.first_pass) {
        pass.limits = pass.limits.or(block.limits);
    }
}

/// Returns how many requests nginx has in progress: each holds two of its connections, that of the user
/// and that to the upstream.
pub(super) fn nginx_pool(text: &str) -> Option<u32> {
    let text = without_comments(text);
    let number = |directive: &str| -> Option<f64> {
        split_statements(&text).find_map(|(statement, _)| {
            let (name, value) = statement.split_once(char::is_whitespace)?;
            (name == directive).then(|| value.trim().parse().ok())?
        })
    };
    // With `auto` it is the number of processors, which nothing says.
    let (processes, connections) = (number("worker_processes")?, number("worker_connections")?);
    pool_size(processes * connections / 2.0)
}

/// The statements of a file, each with the character that ends it: `;`, `{` or `}`.
fn split_statements(text: &str) -> impl Iterator<Item = (&str, char)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // `${NAME}` of a template that nothing filled in is no block.
        let mut from = 0;
        let at = loop {
            let at = from + rest[from..].find([';', '{', '}'])?;
            // A brace behind `$` belongs to a variable.
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
