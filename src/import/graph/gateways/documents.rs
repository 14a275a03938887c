//! Gateways that keep their configuration as YAML, JSON or TOML: Traefik, Envoy, Kong.

use std::collections::BTreeMap;

use super::super::addresses::Address;
use super::{Upstream, single_address, without_comments};
use crate::diagnostic::Sources;
use crate::load::{Node, parse_foreign};

/// How deeply a document is searched.
const DEPTH_MAX: usize = 32;

pub(super) fn is_config(text: &str) -> bool {
    let is_envoy = text.contains("clusters") && text.contains("socket_address")
        || text.contains("socketAddress");
    let is_traefik =
        text.contains("loadBalancer") && (text.contains("url") || text.contains("address"));
    is_envoy || is_traefik || text.contains("_format_version")
}

pub(super) fn document_upstreams(text: &str) -> Vec<Upstream> {
    let mut sources = Sources::default();
    let bytes = text.as_bytes().to_vec();
    let Ok(documents) = parse_foreign("gateway", bytes, &mut sources) else {
        return of_toml(text);
    };
    let mut found = Vec::new();
    for document in &documents {
        let root = &document.root;
        if root.get("_format_version").is_some() {
            of_kong(root, &mut found);
        } else if text.contains("loadBalancer") {
            of_traefik(root, &mut found);
        } else {
            of_envoy(root, &mut found);
        }
    }
    found
}

/// Traefik's dynamic configuration in TOML: the only keys that hold addresses of others.
fn of_toml(text: &str) -> Vec<Upstream> {
    let text = without_comments(text);
    let values = text.lines().flat_map(|line| line.split(['{', ','])).filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let is_address = matches!(key.trim().trim_start_matches('[').trim(), "url" | "address");
        is_address.then(|| value.trim().trim_end_matches(['}', ']', ' ']))
    });
    values.filter_map(single_address).map(|item| Upstream::from_addresses(vec![item])).collect()
}

fn of_traefik(root: &Node, found: &mut Vec<Upstream>) {
    for protocol in ["http", "tcp", "udp"] {
        let Some(part) = root.get(protocol) else { continue };
        let entries = |key: &str| part.get(key).map(Node::entries).unwrap_or_default();
        let mut services: BTreeMap<&str, Vec<Address>> = BTreeMap::new();
        for service in entries("services") {
            let servers = service.value.node_at("loadBalancer.servers").map(Node::items);
            let urls = servers.unwrap_or_default().iter();
            let urls =
                urls.filter_map(|url| url.scalar_at("url").or_else(|| url.scalar_at("address")));
            services.insert(&service.key.text, urls.filter_map(single_address).collect());
        }
        let mut weighted = Vec::new();
        for service in entries("services") {
            let parts =
                service.value.node_at("weighted.services").map(Node::items).unwrap_or_default();
            let mut upstream = Upstream::default();
            for part in parts {
                let name = part.scalar_at("name").unwrap_or_default();
                let name = name.split('@').next().unwrap_or_default();
                let weight = part.get("weight").and_then(Node::number).unwrap_or(1.0);
                for server in services.get(name).into_iter().flatten() {
                    upstream.servers.push((server.clone(), weight));
                }
                weighted.push(name);
            }
            if !upstream.servers.is_empty() {
                found.push(upstream);
            }
        }
        let alone = services
            .iter()
            .filter(|(name, service)| !weighted.contains(name) && !service.is_empty());
        found.extend(alone.map(|(_, servers)| Upstream::from_addresses(servers.clone())));
        for middleware in entries("middlewares") {
            let auth = middleware.value.scalar_at("forwardAuth.address").and_then(single_address);
            found.extend(auth.map(|auth| Upstream::from_addresses(vec![auth])));
        }
    }
}

fn of_kong(root: &Node, found: &mut Vec<Upstream>) {
    let items = |key: &str| root.get(key).map(Node::items).unwrap_or_default();
    let mut targets: BTreeMap<&str, Upstream> = BTreeMap::new();
    for upstream in items("upstreams") {
        let mut own = Upstream::default();
        for target in upstream.get("targets").map(Node::items).unwrap_or_default() {
            let weight = target.get("weight").and_then(Node::number).unwrap_or(100.0);
            own.servers.extend(
                target.scalar_at("target").and_then(single_address).map(|server| (server, weight)),
            );
        }
        // Health checks take failing targets out.
        own.tries_others = upstream.get("healthchecks").is_some();
        targets.insert(upstream.scalar_at("name").unwrap_or_default(), own);
    }
    for service in items("services") {
        let host = service.scalar_at("url").or_else(|| service.scalar_at("host"));
        let Some(address) = host.and_then(single_address) else { continue };
        found.push(match targets.get(address.host.as_str()) {
            Some(upstream) => upstream.clone(),
            None => Upstream::from_addresses(vec![address]),
        });
    }
}

fn of_envoy(root: &Node, found: &mut Vec<Upstream>) {
    let mut clusters = Vec::new();
    collect_values(root, &["clusters", "resources"], 0, &mut clusters);
    let mut by_name: BTreeMap<&str, Upstream> = BTreeMap::new();
    for cluster in clusters.iter().flat_map(|list| list.items()) {
        let Some(name) = cluster.scalar_at("name") else { continue };
        let mut addresses = Vec::new();
        collect_values(cluster, &["socket_address", "socketAddress"], 0, &mut addresses);
        let hosts = addresses.iter().filter_map(|item| single_address(item.scalar_at("address")?));
        let mut upstream = Upstream::from_addresses(hosts.collect());
        upstream.circuit_breaker =
            cluster.get("outlier_detection").or(cluster.get("outlierDetection")).is_some();
        if !upstream.servers.is_empty() {
            by_name.entry(name).or_insert(upstream);
        }
    }
    let mut weighted = Vec::new();
    collect_values(root, &["weighted_clusters", "weightedClusters"], 0, &mut weighted);
    let mut split = Vec::new();
    for route in weighted {
        let mut upstream = Upstream::default();
        for part in route.get("clusters").map(Node::items).unwrap_or_default() {
            let name = part.scalar_at("name").unwrap_or_default();
            let weight = part.get("weight").and_then(Node::number).unwrap_or(0.0);
            let Some(cluster) = by_name.get(name) else { continue };
            upstream.circuit_breaker |= cluster.circuit_breaker;
            let each = weight / cluster.servers.len() as f64;
            upstream
                .servers
                .extend(cluster.servers.iter().map(|(server, _)| (server.clone(), each)));
            split.push(name);
        }
        if !upstream.servers.is_empty() {
            found.push(upstream);
        }
    }
    let alone = by_name.into_iter().filter(|(name, _)| !split.contains(name));
    found.extend(alone.map(|(_, upstream)| upstream));
}

/// Adds the values of these keys, wherever they stand.
fn collect_values<'a>(node: &'a Node, keys: &[&str], depth: usize, found: &mut Vec<&'a Node>) {
    if depth > DEPTH_MAX {
        return;
    }
    for entry in node.entries() {
        if keys.contains(&&*entry.key.text) {
            found.push(&entry.value);
        }
        collect_values(&entry.value, keys, depth + 1, found);
    }
    node.items().iter().for_each(|item| collect_values(item, keys, depth + 1, found));
}
