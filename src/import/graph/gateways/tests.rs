//! Each gateway with what stands in its files beside the addresses: comments, own names, options.

use super::*;

/// The upstreams as text: `a+b` tried one after the other, `a75/b25` divided.
fn read(text: &str) -> Vec<String> {
    let known = |name: &str| (name == "API_HOST").then(|| "api".to_owned());
    let shown = |upstream: Upstream| {
        let total: f64 = upstream.servers.iter().map(|(_, weight)| weight).sum();
        let share = |weight: f64| {
            let is_divided = !upstream.tries_others && upstream.servers.len() > 1;
            if is_divided { format!("{:.0}", 100.0 * weight / total) } else { String::new() }
        };
        let servers: Vec<String> = upstream
            .servers
            .iter()
            .map(|(server, weight)| server.host.clone() + &share(*weight))
            .collect();
        servers.join(if upstream.tries_others { "+" } else { "/" })
    };
    configured_upstreams(text, &known).expect("it is a gateway's").into_iter().map(shown).collect()
}

#[test]
fn nginx_is_read_with_upstreams_variables_and_without_comments() {
    let text = "# proxy_pass http://old;\nhttp { upstream s { server a:80 weight=3; server b:80; server c down; }\n\
                server { server_name shop.example; location / { proxy_pass http://s; }\n\
                location /x { set $up http://x:80; proxy_pass $up/y; }\n\
                location /p { fastcgi_pass php:9000; } location /e { proxy_pass http://${API_HOST}:1; }\n\
                location /u { proxy_pass http://${UNKNOWN}; } } }";
    assert_eq!(read(text), ["a+b", "x", "php", "api"]);
}

#[test]
fn caddy_is_read_with_matchers_blocks_and_lists() {
    let text = "shop.example {\n reverse_proxy /api/* {$API_HOST}:80\n # reverse_proxy old\n handle_path /x {\n  \
                reverse_proxy @m http://x y:80 {\n   lb_policy random\n   to z:80\n  }\n }\n}\n";
    assert_eq!(read(text), ["api", "x50/y50", "z"]);
}

#[test]
fn traefik_is_read_as_yaml_and_as_toml() {
    let yaml = "http:\n  routers: {r: {service: w}}\n  services:\n    a: {loadBalancer: {servers: [{url: 'http://a:1'}]}}\n    \
                b: {loadBalancer: {servers: [{url: 'http://b:1'}]}}\n    w: {weighted: {services: [{name: a, weight: 3}, {name: b, weight: 1}]}}\n  \
                middlewares: {m: {forwardAuth: {address: 'http://auth:4181'}}}\n";
    assert_eq!(read(yaml), ["a75/b25", "auth"]);
    let toml = "[http.services.a.loadBalancer]\n[[http.services.a.loadBalancer.servers]]\nurl = \"http://a:1\"\n# url = \"http://old\"\n";
    assert_eq!(read(toml), ["a"]);
}

#[test]
fn envoy_kong_haproxy_and_apache_are_read_with_their_weights() {
    let envoy = "static_resources:\n  listeners:\n  - address: {socket_address: {address: 0.0.0.0, port_value: 1}}\n    \
                 routes: [{route: {weighted_clusters: {clusters: [{name: a, weight: 90}, {name: b, weight: 10}]}}}]\n  \
                 clusters:\n  - {name: a, load_assignment: {endpoints: [{e: {socket_address: {address: a1, port_value: 1}}}]}}\n  \
                 - {name: b, hosts: [{socket_address: {address: b1, port_value: 1}}]}\n  \
                 - {name: c, hosts: [{socket_address: {address: c1, port_value: 1}}]}\n";
    assert_eq!(read(envoy), ["a190/b110", "c1"]);
    let kong = "_format_version: '3.0'\nservices: [{name: x, host: u}, {name: y, url: 'http://rest:1/'}]\n\
                upstreams: [{name: u, targets: [{target: 'a:1', weight: 80}, {target: 'b:1', weight: 20}]}]\n";
    assert_eq!(read(kong), ["a80/b20", "rest"]);
    let haproxy = "frontend f\n bind *:80\n default_backend b\nbackend b\n server s1 a:80 check\n server s2 b:80 check\n\
                   # server s3 old:80\nbackend c\n server s1 c:80 weight 3\n server s2 d:80 weight 1\n";
    assert_eq!(read(haproxy), ["a+b", "c75/d25"]);
    let apache = "ProxyPass \"/api\" \"http://api:80/\"\n<Proxy \"balancer://x\">\n BalancerMember \"http://a:80\"\n BalancerMember \"http://b:80\"\n</Proxy>\n";
    assert_eq!(read(apache), ["api", "a+b"]);
}

#[test]
fn rules_tell_the_hosts_by_which_users_come() {
    assert_eq!(
        labels::hosts_of_rule("Host(`a.example`) || Host(`b.example`) && Path(`/x`)"),
        ["a.example", "b.example"]
    );
    assert_eq!(
        labels::hosts_of_rule("Host:a.example,b.example;PathPrefix:/x"),
        ["a.example", "b.example"]
    );
    assert_eq!(labels::hosts_of_rule("PathPrefix(`/`)"), Vec::<String>::new());
}

#[test]
fn a_text_of_something_else_is_no_configuration() {
    for text in ["", "a: b", "spring.url=http://x", "services: {a: {image: x}}"] {
        assert_eq!(configured_upstreams(text, &|_| None), None, "{text}");
    }
}
