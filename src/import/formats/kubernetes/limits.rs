//! Limits that routes, rules and annotations of meshes set for calls: how long callers wait, how often they
//! try, how many calls are in progress, and whether they stop calling.

use super::objects::Object;
use super::routes::{is_general, rule_backends};
use crate::import::graph::limits::{CallLimits, attempt_count, pool_size};
use crate::load::Node;
use crate::model::units;

/// A host with the namespace that it is looked up in, and the limits of all calls to it.
type HostLimit<'n> = (String, Option<&'n str>, CallLimits);

/// Returns what an object says of every call to some hosts.
pub(super) fn stated_limits<'n>(object: &'n Object<'_>) -> Vec<HostLimit<'n>> {
    let node = &*object.node;
    let of_object = |host: &str, limits| vec![(host.to_owned(), object.namespace(), limits)];
    // Each mesh states its limits in kinds of its own, and those that a file has are read, whatever
    // the mesh.
    match object.kind() {
        "VirtualService" => of_virtual_service(object),
        "HTTPRoute" | "GRPCRoute" => of_route(object),
        "DestinationRule" => {
            of_object(node.scalar_at("spec.host").unwrap_or_default(), of_destination_rule(object))
        }
        "Service" => of_object(object.name().unwrap_or_default(), of_linkerd_annotations(object)),
        // Of Linkerd, called by the whole host of its Service.
        "ServiceProfile" => {
            // Only a ratio of retries to requests is a budget here; Linkerd's least rate per second
            // is left out.
            let budget = node.node_at("spec.retryBudget.retryRatio").and_then(Node::number);
            let retry_budget = budget.filter(|share| (0.0..=1.0).contains(share));
            let limits = CallLimits { retry_budget, ..CallLimits::default() };
            of_object(object.name().unwrap_or_default(), limits)
        }
        "MeshCircuitBreaker" | "MeshTimeout" | "MeshRetry" => of_kuma(object),
        // Of Consul.
        "ServiceDefaults" => {
            let defaults = "spec.upstreamConfig.defaults";
            let pool = node.node_at(&format!("{defaults}.limits"));
            let limits = CallLimits {
                circuit_breaker: node.node_at(&format!("{defaults}.passiveHealthCheck")).is_some(),
                max_in_flight: pool
                    .and_then(|pool| number_at(pool, &["maxConcurrentRequests", "maxConnections"])),
                ..CallLimits::default()
            };
            of_object(object.name().unwrap_or_default(), limits)
        }
        "ServiceRouter" => {
            // A rule for some paths does not hold for all calls, and endpoints are not told apart
            // here.
            let rule = object.items_at("spec.routes").iter().find(|rule| is_general(rule));
            let limits = rule.map_or_else(CallLimits::default, |rule| CallLimits {
                timeout: duration_at(rule, "destination.requestTimeout"),
                retries: count_at(rule, "destination.numRetries"),
                ..CallLimits::default()
            });
            of_object(object.name().unwrap_or_default(), limits)
        }
        // Envoy Gateway, Open Service Mesh and others name the service that they are about.
        "BackendTrafficPolicy" | "UpstreamTrafficSetting" => {
            let host = node.scalar_at("spec.targetRef.name").or(node.scalar_at("spec.host"));
            host.map(|host| of_object(host, of_traffic_policy(node))).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn of_virtual_service<'n>(object: &'n Object<'_>) -> Vec<HostLimit<'n>> {
    let mut found = Vec::new();
    for rule in object.items_at("spec.http").iter().filter(|rule| is_general(rule)) {
        let limits = CallLimits {
            timeout: duration_at(rule, "timeout"),
            attempt_timeout: duration_at(rule, "retries.perTryTimeout"),
            retries: count_at(rule, "retries.attempts"),
            ..CallLimits::default()
        };
        let routes = rule.get("route").map(Node::items).unwrap_or_default();
        for host in routes.iter().filter_map(|route| route.scalar_at("destination.host")) {
            found.push((host.to_owned(), object.namespace(), limits));
        }
    }
    found
}

fn of_route<'n>(object: &'n Object<'_>) -> Vec<HostLimit<'n>> {
    let annotated = of_linkerd_annotations(object);
    let mut found = Vec::new();
    for rule in object.items_at("spec.rules").iter().filter(|rule| is_general(rule)) {
        let own = CallLimits {
            timeout: duration_at(rule, "timeouts.request"),
            attempt_timeout: duration_at(rule, "timeouts.backendRequest"),
            retries: count_at(rule, "retry.attempts"),
            ..CallLimits::default()
        };
        let items = rule.get("backendRefs").map(Node::items).unwrap_or_default();
        // A limit of the route itself is more specific than an annotation.
        for (name, namespace, _) in rule_backends(items, object) {
            found.push((name.to_owned(), namespace, own.or(annotated)));
        }
    }
    found
}

fn of_destination_rule(object: &Object<'_>) -> CallLimits {
    let policy = object.node.node_at("spec.trafficPolicy");
    let ports = policy
        .and_then(|policy| policy.get("portLevelSettings"))
        .map(Node::items)
        .unwrap_or_default();
    let subsets = object.items_at("spec.subsets").iter();
    let subsets = subsets.filter_map(|subset| subset.get("trafficPolicy"));
    // A breaker may be declared for all calls, for one port or for one subset: each of them stops
    // calls.
    let all: Vec<&Node> = policy.into_iter().chain(ports).chain(subsets).collect();
    let is_breaker = |policy: &Node| {
        let ports = policy.get("portLevelSettings").map(Node::items).unwrap_or_default();
        std::iter::once(policy).chain(ports).any(|policy| policy.get("outlierDetection").is_some())
    };
    // A pool of one subset, or of one port of several, limits only a part of the calls.
    let pooled = policy.filter(|policy| policy.get("connectionPool").is_some());
    let pooled = pooled.or_else(|| ports.first().filter(|_| ports.len() == 1));
    CallLimits {
        circuit_breaker: all.iter().any(|policy| is_breaker(policy)),
        max_in_flight: pooled.and_then(|policy| {
            let pool = policy.get("connectionPool")?;
            // Requests are limited over HTTP/2. Where only connections are, each of HTTP/1 carries
            // one request at a time.
            number_at(pool, &["http.http2MaxRequests", "tcp.maxConnections"])
        }),
        ..CallLimits::default()
    }
}

/// Linkerd's limits are annotations of Services and routes.
fn of_linkerd_annotations(object: &Object<'_>) -> CallLimits {
    let annotations = object.node.node_at("metadata.annotations");
    let get = |key: &str| annotations.and_then(|all| all.get(key)?.scalar());
    let duration = |key: &str| get(key).and_then(seconds_of);
    let tries_again =
        // Linkerd retries nothing without one of these annotations.
        ["retry.linkerd.io/http", "retry.linkerd.io/grpc"].iter().any(|key| get(key).is_some());
    // Without a limit it is one.
    let limit = get("retry.linkerd.io/limit").and_then(|text| text.trim().parse().ok());
    CallLimits {
        timeout: duration("timeout.linkerd.io/request"),
        attempt_timeout: duration("retry.linkerd.io/timeout"),
        retries: tries_again.then(|| limit.unwrap_or(1)),
        circuit_breaker: get("balancer.linkerd.io/failure-accrual")
            .is_some_and(|mode| mode != "none"),
        ..CallLimits::default()
    }
}

fn of_kuma<'n>(object: &'n Object<'_>) -> Vec<HostLimit<'n>> {
    let node = &*object.node;
    let is_breaker = object.kind() == "MeshCircuitBreaker";
    // `quote_shop_svc_80`
    let host = |target: &str| target.split("_svc").next().unwrap_or(target).replace('_', ".");
    let mut found = Vec::new();
    for item in object.items_at("spec.to") {
        let Some(target) = item.scalar_at("targetRef.name") else { continue };
        let pool = item.node_at("default.connectionLimits");
        let attempts = ["default.http", "default.grpc"];
        let attempts = attempts.iter().find_map(|key| item.node_at(key));
        let limits = CallLimits {
            circuit_breaker: is_breaker,
            timeout: attempts.and_then(|http| duration_at(http, "requestTimeout")),
            attempt_timeout: attempts.and_then(|http| duration_at(http, "perTryTimeout")),
            retries: attempts.and_then(|http| count_at(http, "numRetries")),
            max_in_flight: pool
                .and_then(|pool| number_at(pool, &["maxRequests", "maxConnections"])),
            ..CallLimits::default()
        };
        found.push((host(target), object.namespace(), limits));
    }
    // Rules for incoming calls have no target of their own: they are about the service that the
    // policy selects.
    if let (true, Some(target)) =
        (is_breaker && node.node_at("spec.from").is_some(), node.scalar_at("spec.targetRef.name"))
    {
        let limits = CallLimits { circuit_breaker: true, ..CallLimits::default() };
        found.push((host(target), object.namespace(), limits));
    }
    found
}

fn of_traffic_policy(node: &Node) -> CallLimits {
    let breakers = ["spec.circuitBreaker", "spec.connectionSettings", "spec.healthCheck.passive"];
    let pool = node.node_at("spec.circuitBreaker");
    CallLimits {
        timeout: duration_at(node, "spec.timeout.http.requestTimeout"),
        attempt_timeout: duration_at(node, "spec.retry.perRetry.timeout"),
        retries: count_at(node, "spec.retry.numRetries"),
        max_in_flight: pool
            .and_then(|pool| number_at(pool, &["maxParallelRequests", "maxConnections"])),
        circuit_breaker: breakers.iter().any(|path| node.node_at(path).is_some()),
        ..CallLimits::default()
    }
}

fn seconds_of(text: &str) -> Option<f64> {
    units::parse_duration(text).ok().map(units::Seconds::get).filter(|seconds| *seconds > 0.0)
}

fn duration_at(node: &Node, path: &str) -> Option<f64> {
    seconds_of(node.scalar_at(path)?)
}

fn count_at(node: &Node, path: &str) -> Option<u32> {
    attempt_count(node.node_at(path)?.number()?)
}

/// The first of some limits that is stated.
fn number_at(node: &Node, paths: &[&str]) -> Option<u32> {
    paths.iter().find_map(|path| pool_size(node.node_at(path)?.number()?))
}
