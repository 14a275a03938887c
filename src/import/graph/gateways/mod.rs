//! Configuration of gateways: where nginx, Caddy, Traefik, Envoy, Kong, `HAProxy` and Apache send requests.
//!
//! A text comes in, its upstreams go out: hosts, how the requests are divided between them, and the limits
//! of the calls. What a source has behind the hosts is none of its business.

mod apache;
mod caddy;
mod documents;
mod haproxy;
pub(in crate::import) mod labels;
mod nginx;

use super::EvidenceGraph;
use super::addresses::{Address, in_text};
use super::limits::CallLimits;
use super::references::{Reference, Target};

/// A larger file is no configuration that anybody wrote.
const TEXT_MAX: usize = 4 * 1024 * 1024;

/// Where a gateway sends the requests of one route.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::import) struct Upstream {
    /// The hosts with their weights.
    pub(in crate::import) servers: Vec<(Address, f64)>,
    /// A request that fails at one of them goes to another.
    pub(in crate::import) tries_others: bool,
    /// Limits of these calls.
    pub(in crate::import) limits: CallLimits,
}

impl Upstream {
    /// One or more servers that get the same.
    fn from_addresses(addresses: Vec<Address>) -> Self {
        let servers = addresses.into_iter().map(|address| (address, 1.0)).collect();
        Self { servers, ..Self::default() }
    }
}

/// Returns the upstreams in the configuration of a gateway; `None` for a text that is none.
///
/// `variable` gives what the gateway fills in for the name of a variable of its environment.
pub(in crate::import) fn configured_upstreams(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<Vec<Upstream>> {
    if text.len() > TEXT_MAX {
        return None;
    }
    let text = fill_variables(text, variable);
    // Order matters: the words of nginx and HAProxy are more specific than those of documents.
    let found = if nginx::is_config(&text) {
        nginx::nginx_upstreams(&text)
    } else if haproxy::is_config(&text) {
        haproxy::haproxy_upstreams(&text)
    } else if apache::is_config(&text) {
        apache::apache_upstreams(&text)
    } else if documents::is_config(&text) {
        documents::document_upstreams(&text)
    } else if caddy::is_config(&text) {
        caddy::caddy_upstreams(&text)
    } else {
        return None;
    };
    Some(found)
}

/// Makes dependencies of upstreams.
pub(in crate::import) fn connect_upstreams(
    caller: &str,
    upstreams: &[Upstream],
    source: &str,
    lookup: impl Fn(&str) -> Target,
    graph: &mut EvidenceGraph,
) {
    for upstream in upstreams {
        let total: f64 = upstream.servers.iter().map(|(_, weight)| weight).sum();
        let known: Vec<(Target, &Address, f64)> = (upstream.servers.iter())
            .map(|(address, weight)| (lookup(&address.host), address, *weight))
            .collect();
        let names: Vec<String> = known
            .iter()
            .filter_map(|(target, ..)| match target {
                Target::Service(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        let called: Vec<String> =
            known.iter().flat_map(|(target, ..)| target_names(target)).collect();
        // Only services can be members of an `any_of`, and versions of one another.
        let is_known = names.len() == known.len() && names.len() > 1 && total > 0.0;
        if let (true, Some((_, address, _))) = (is_known, known.first()) {
            let target = if upstream.tries_others {
                Target::AnyOf(names.join(" or "), names.clone())
            } else {
                let weights = known.iter().map(|(.., weight)| *weight);
                Target::Versions(names.iter().cloned().zip(weights).collect())
            };
            graph.add_reference(&Reference::from_address(caller, address, source), target);
        } else {
            // A server with a weight of 0 gets no requests.
            for (target, address, _) in known.into_iter().filter(|(.., weight)| *weight > 0.0) {
                graph.add_reference(&Reference::from_address(caller, address, source), target);
            }
        }
        let caller = graph.service_name(caller);
        for name in called {
            let callee = graph.service_name(&name);
            if let Some(dependency) = graph.dependencies.get_mut(&(caller.clone(), callee)) {
                dependency.apply_limits(&upstream.limits);
            }
        }
    }
}

/// The services that a target stands for.
fn target_names(target: &Target) -> Vec<String> {
    match target {
        Target::Service(name) | Target::External(name) => vec![name.clone()],
        Target::Versions(all) => all.iter().map(|(name, _)| name.clone()).collect(),
        Target::AnyOf(_, names) => names.clone(),
        Target::Unknown => Vec::new(),
    }
}

/// Returns how many requests a gateway has in progress at once, where its configuration limits that.
pub(in crate::import) fn configured_pool(text: &str) -> Option<u32> {
    if text.len() > TEXT_MAX {
        return None;
    }
    if nginx::is_config(text) {
        nginx::nginx_pool(text)
    } else if haproxy::is_config(text) {
        haproxy::haproxy_pool(text)
    } else {
        None
    }
}

/// A time as gateways write it: a number in a unit of its own, or with one behind it; 0 is none.
fn seconds_of(text: &str, unit: f64) -> Option<f64> {
    let text = text.trim().trim_end_matches(';').trim_matches(['"', '\'']);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "" => unit,
        "us" => 1e-6,
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let seconds = number * unit;
    // A time of more than thirty years is a slip.
    (seconds > 0.0 && seconds <= 1e9).then_some(seconds)
}

/// The text with the variables of the environment filled in that are known: `${X}`, `{$X}`,
/// `{env.X}`, `{{ env "X" }}`.
fn fill_variables(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    const FORMS: [(&str, &str); 5] =
        [("${", "}"), ("{$", "}"), ("{env.", "}"), ("{{ env \"", "\" }}"), ("{{env \"", "\"}}")];
    let mut out = text.to_owned();
    for (open, close) in FORMS {
        if !out.contains(open) {
            continue;
        }
        let mut next = String::with_capacity(out.len());
        let mut rest = out.as_str();
        while let Some(at) = rest.find(open) {
            next.push_str(&rest[..at]);
            let inner = &rest[at + open.len()..];
            let end = inner.find(close);
            // A default may follow the name of the variable.
            let name = end.map(|end| inner[..end].split([':', '-']).next().unwrap_or_default());
            if let (Some(end), Some(value)) = (end, name.and_then(variable)) {
                next.push_str(&value);
                rest = &inner[end + close.len()..];
            } else {
                next.push_str(open);
                rest = inner;
            }
        }
        next.push_str(rest);
        out = next;
    }
    out
}

/// A text without what stands behind `#`, line by line.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        // A `#` within a word may belong to a URL.
        let is_comment = |at: &usize| *at == 0 || line[..*at].ends_with(char::is_whitespace);
        let end = line.match_indices('#').map(|(at, _)| at).find(is_comment);
        out.push_str(&line[..end.unwrap_or(line.len())]);
        out.push('\n');
    }
    out
}

/// The host of an address that stands alone.
fn single_address(text: &str) -> Option<Address> {
    let text = text.trim().trim_matches(['"', '\'']);
    let mut found = in_text(text, true).into_iter();
    found.next().map(|address| Address { is_certain: true, ..address })
}

#[cfg(test)]
mod tests;
