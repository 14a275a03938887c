//! Gateways that keep their configuration as YAML, JSON or TOML: Traefik, Envoy, Kong.

use std::collections::BTreeMap;

use super::super::addresses::Address;
use super::super::limits::{CallLimits, attempt_count, pool_size};
use super::{Upstream, seconds_of, single_address, without_comments};
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
    // Traefik also reads TOML, which is no YAML.
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
        let limits = traefik_limits(part);
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
                // A name may say which provider defines it: `web@docker`.
                let name = name.split('@').next().unwrap_or_default();
                let weight = part.get("weight").and_then(Node::number).unwrap_or(1.0);
                for server in services.get(name).into_iter().flatten() {
                    upstream.servers.push((server.clone(), weight));
                }
                weighted.push(name);
            }
            upstream.limits = limits.get(&*service.key.text).copied().unwrap_or_default();
            if !upstream.servers.is_empty() {
                found.push(upstream);
            }
        }
        let alone = services
            .iter()
            // A service that only takes part in a split is reached through it, and must not be
            // counted twice.
            .filter(|(name, service)| !weighted.contains(name) && !service.is_empty());
        found.extend(alone.map(|(name, servers)| Upstream {
            limits: limits.get(name).copied().unwrap_or_default(),
            ..Upstream::from_addresses(servers.clone())
        }));
        for middleware in entries("middlewares") {
            let auth = middleware.value.scalar_at("forwardAuth.address").and_then(single_address);
            found.extend(auth.map(|auth| Upstream::from_addresses(vec![auth])));
        }
    }
}

/// The limits of each service of Traefik: by its transport, and by the middlewares of its routers.
fn traefik_limits(part: &Node) -> BTreeMap<&str, CallLimits> {
    let entries = |key: &str| part.get(key).map(Node::entries).unwrap_or_default();
    let plain = |name: &'_ str| name.split('@').next().unwrap_or_default().to_owned();
    let mut limits: BTreeMap<&str, CallLimits> = BTreeMap::new();
    for service in entries("services") {
        let Some(transport) = service.value.scalar_at("loadBalancer.serversTransport") else {
            continue;
        };
        let transport = part.get("serversTransports").and_then(|all| all.get(&plain(transport)));
        let timeout = transport
            .and_then(|transport| transport.scalar_at("forwardingTimeouts.responseHeaderTimeout"));
        limits.entry(&service.key.text).or_default().attempt_timeout =
            timeout.and_then(|text| seconds_of(text, 1.0));
    }
    for router in entries("routers") {
        let Some(service) = router.value.scalar_at("service") else { continue };
        let names = router.value.get("middlewares").map(Node::items).unwrap_or_default();
        for name in names.iter().filter_map(Node::scalar) {
            let Some(middleware) = part.get("middlewares").and_then(|all| all.get(&plain(name)))
            else {
                continue;
            };
            let count = |path: &str| middleware.node_at(path).and_then(Node::number);
            let attempts = count("retry.attempts").and_then(pool_size);
            let own = CallLimits {
                // The first attempt is one of them.
                retries: attempts.map(|attempts| attempts - 1),
                max_in_flight: count("inFlightReq.amount").and_then(pool_size),
                circuit_breaker: middleware.get("circuitBreaker").is_some(),
                ..CallLimits::default()
            };
            let known = limits.entry(service.split('@').next().unwrap_or_default()).or_default();
            *known = known.or(own);
        }
    }
    limits
}

fn of_kong(root: &Node, found: &mut Vec<Upstream>) {
    let items = |key: &str| root.get(key).map(Node::items).unwrap_or_default();
    let mut targets: BTreeMap<&str, Upstream> = BTreeMap::new();
    for upstream in items("upstreams") {
        let mut own = Upstream::default();
        for target in upstream.get("targets").map(Node::items).unwrap_or_default() {
            // Kong's default weight is 100.
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
        // Kong looks a host up among its upstreams before it asks DNS.
        let upstream = match targets.get(address.host.as_str()) {
            Some(upstream) => upstream.clone(),
            None => Upstream::from_addresses(vec![address]),
        };
        let number = |key: &str| service.get(key).and_then(Node::number);
        let limits = CallLimits {
            // In milliseconds.
            attempt_timeout: number("read_timeout")
                .filter(|time| *time > 0.0)
                .map(|time| time / 1e3),
            retries: number("retries").and_then(attempt_count),
            ..CallLimits::default()
        };
        found.push(Upstream { limits: upstream.limits.or(limits), ..upstream });
    }
}

fn of_envoy(root: &Node, found: &mut Vec<Upstream>) {
    let mut clusters = Vec::new();
    collect_values(root, &["clusters", "resources"], 0, &mut clusters);
    let routes = envoy_route_limits(root);
    let mut by_name: BTreeMap<&str, Upstream> = BTreeMap::new();
    for cluster in clusters.iter().flat_map(|list| list.items()) {
        let Some(name) = cluster.scalar_at("name") else { continue };
        let mut addresses = Vec::new();
        collect_values(cluster, &["socket_address", "socketAddress"], 0, &mut addresses);
        let hosts = addresses.iter().filter_map(|item| single_address(item.scalar_at("address")?));
        let mut upstream = Upstream::from_addresses(hosts.collect());
        let limits = envoy_cluster_limits(cluster);
        upstream.limits = limits.or(routes.get(name).copied().unwrap_or_default());
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
            upstream.limits = upstream.limits.or(cluster.limits);
            // A weight is one of the cluster, whose servers share it.
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

/// The value of a key in the two spellings that Envoy reads.
fn get_either<'n>(node: &'n Node, snake: &str, camel: &str) -> Option<&'n Node> {
    node.get(snake).or_else(|| node.get(camel))
}

fn envoy_cluster_limits(cluster: &Node) -> CallLimits {
    let thresholds = get_either(cluster, "circuit_breakers", "circuitBreakers");
    let thresholds = thresholds.and_then(|breakers| breakers.get("thresholds"));
    // Those for requests of high priority are few.
    let is_normal = |part: &&Node| part.scalar_at("priority").is_none_or(|text| text == "DEFAULT");
    let normal = thresholds.and_then(|list| list.items().iter().find(is_normal));
    let limit = normal.and_then(|part| {
        let requests = get_either(part, "max_requests", "maxRequests");
        requests.or_else(|| get_either(part, "max_connections", "maxConnections"))
    });
    let budget = normal.and_then(|part| get_either(part, "retry_budget", "retryBudget"));
    let budget = budget.and_then(|budget| get_either(budget, "budget_percent", "budgetPercent"));
    CallLimits {
        max_in_flight: limit.and_then(Node::number).and_then(pool_size),
        retry_budget: budget
            .and_then(|percent| percent.get("value")?.number())
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(|percent| percent / 100.0),
        circuit_breaker: get_either(cluster, "outlier_detection", "outlierDetection").is_some(),
        ..CallLimits::default()
    }
}

/// The limits of the routes to each cluster. Where routes to one cluster differ, those of the first count.
fn envoy_route_limits(root: &Node) -> BTreeMap<&str, CallLimits> {
    let mut hosts = Vec::new();
    collect_values(root, &["virtual_hosts", "virtualHosts"], 0, &mut hosts);
    let mut limits: BTreeMap<&str, CallLimits> = BTreeMap::new();
    for host in hosts.iter().flat_map(|list| list.items()) {
        let of_all = get_either(host, "retry_policy", "retryPolicy");
        for route in host.get("routes").map(Node::items).unwrap_or_default() {
            let Some(action) = route.get("route") else { continue };
            let policy = get_either(action, "retry_policy", "retryPolicy").or(of_all);
            let time = |node: Option<&Node>| seconds_of(node?.scalar()?, 1.0);
            let own = CallLimits {
                timeout: time(action.get("timeout")),
                attempt_timeout: time(
                    policy
                        .and_then(|policy| get_either(policy, "per_try_timeout", "perTryTimeout")),
                ),
                // Without a number it is one.
                retries: policy.map(|policy| {
                    let count =
                        get_either(policy, "num_retries", "numRetries").and_then(Node::number);
                    count.and_then(pool_size).unwrap_or(1)
                }),
                ..CallLimits::default()
            };
            let weighted = get_either(action, "weighted_clusters", "weightedClusters");
            let weighted = weighted.and_then(|clusters| clusters.get("clusters")).map(Node::items);
            let names =
                weighted.unwrap_or_default().iter().filter_map(|part| part.scalar_at("name"));
            for name in names.chain(action.scalar_at("cluster")) {
                limits.entry(name).or_insert(own);
            }
        }
    }
    limits
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
