//! Gateways that are told by the services behind them: labels of Traefik and Caddy, variables of
//! nginx-proxy.

/// A gateway that asks the engine of the containers what it has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::import) enum Discovery {
    /// `traefik.http.routers.NAME.rule`
    Traefik,
    /// `caddy.reverse_proxy`
    Caddy,
    /// The variable `VIRTUAL_HOST`
    NginxProxy,
}

/// How a service is reached by such a gateway.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::import) struct Exposure {
    pub(in crate::import) by: Discovery,
    /// The label or variable that says so.
    pub(in crate::import) key: String,
    /// The names by which users reach it.
    pub(in crate::import) hosts: Vec<String>,
}

/// Returns which kind of gateway an image is, if it is one that asks for labels.
pub(in crate::import) fn discovery_of(image: &str) -> Option<Discovery> {
    let image = image.to_lowercase();
    // Only the name of the image is compared, since a registry may be called after anything.
    let last = image.rsplit('/').next().unwrap_or_default();
    let last = last.split([':', '@']).next().unwrap_or_default();
    if last.starts_with("traefik") {
        Some(Discovery::Traefik)
    } else if last.starts_with("caddy") {
        Some(Discovery::Caddy)
    } else if last == "nginx-proxy" || last == "docker-gen" {
        Some(Discovery::NginxProxy)
    } else {
        None
    }
}

/// Returns how a service is reached, going by its labels and variables.
pub(in crate::import) fn label_exposures<'a>(
    labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    virtual_host: Option<&str>,
) -> Vec<Exposure> {
    let mut found = Vec::new();
    let is_switched_off =
        // `false` counts more than any rule: Traefik then does not look at the service.
        labels.clone().any(|(key, value)| key == "traefik.enable" && value.trim() == "false");
    let is_route = |key: &str| {
        let is_router = key.starts_with("traefik.http.routers.")
            || key.starts_with("traefik.tcp.routers.")
            || key.starts_with("traefik.udp.routers.");
        is_router || key.starts_with("traefik.frontend.") || key == "traefik.backend"
    };
    let is_switched_on =
        labels.clone().find(|(key, value)| *key == "traefik.enable" && value.trim() == "true");
    let route = labels.clone().find(|(key, _)| is_route(key)).or(is_switched_on);
    if let Some((key, _)) = route.filter(|_| !is_switched_off) {
        let rules = labels.clone().filter(|(key, _)| is_route(key));
        let hosts = rules.flat_map(|(_, rule)| hosts_of_rule(rule)).collect();
        found.push(Exposure { by: Discovery::Traefik, key: format!("labels.{key}"), hosts });
    }
    let of_caddy = labels.clone().find(|(key, _)| {
        key.starts_with("caddy") && key.split(['.', '_']).any(|part| part == "reverse")
    });
    if let Some((key, _)) = of_caddy {
        let sites = labels
            .filter(|(key, _)| *key == "caddy" || key.starts_with("caddy_") && !key.contains('.'));
        let hosts = sites.flat_map(|(_, value)| value.split([',', ' '])).map(str::to_owned);
        let hosts = hosts.filter(|host| !host.is_empty()).collect();
        found.push(Exposure { by: Discovery::Caddy, key: format!("labels.{key}"), hosts });
    }
    if let Some(host) = virtual_host.filter(|host| !host.is_empty()) {
        let hosts = host.split(',').map(|host| host.trim().to_owned()).collect();
        let key = "environment.VIRTUAL_HOST".to_owned();
        found.push(Exposure { by: Discovery::NginxProxy, key, hosts });
    }
    found
}

/// The hosts of a rule such as ``Host(`a.example`, `b.example`) && PathPrefix(`/x`)``, or of the
/// older `Host:a.example`.
pub(in crate::import) fn hosts_of_rule(rule: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in rule.split("Host").skip(1) {
        // `HostSNI` is the rule of TCP routes.
        if let Some(list) = part.strip_prefix("SNI").unwrap_or(part).strip_prefix('(') {
            let list = list.split(')').next().unwrap_or_default();
            found.extend(
                list.split(',').map(|host| host.trim_matches(['`', '"', '\'', ' ']).to_owned()),
            );
        } else if let Some(list) = part.strip_prefix(':') {
            let list = list.split(';').next().unwrap_or_default();
            found.extend(list.split(',').map(|host| host.trim().to_owned()));
        }
    }
    found.retain(|host| !host.is_empty());
    found
}
