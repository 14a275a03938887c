//! From a document to a topology.

use super::compose::{compose_topology, expand_topology};
use super::delay::decode_delay;
use super::dependency::{self, Settings, needs_of};
use super::kind::{self, Kind};
use super::names::{Names, ServiceName, check_name};
use super::read::{Field, Mapping, Problems, Shape, distinct_items};
use super::shipping;
use super::waiting;
use crate::diagnostic::{Code, Diagnostic};
use crate::load::{Document, Entry, Key};
use crate::model::action::decode_automations;
use crate::model::change::Delay;
use crate::model::path_pattern::PathPattern;
use crate::model::shipping::Shipping;
use crate::model::topology::{
    Caller, Dependency, Domain, DomainId, Endpoint, Flow, NodeRef, Objective, Recovery, Replicas,
    Service, ServiceId, Thresholds, Topology, UnknownPools, UserRetries,
};
use crate::model::units::{Seconds, Share};

pub(crate) const TOPOLOGY: Shape = Shape {
    what: "a topology",
    keys: &[
        "version",
        "topology",
        "team",
        "include",
        "environments",
        "templates",
        "aliases",
        "thresholds",
        "failure_domains",
        "defaults",
        "services",
        "flows",
    ],
    schema: "",
};
pub(crate) const THRESHOLDS: Shape =
    Shape { what: "`thresholds`", keys: &["failed", "degraded"], schema: "/properties/thresholds" };
pub(crate) const DEFAULTS: Shape =
    Shape { what: "`defaults`", keys: &["dependency", "change"], schema: "/properties/defaults" };
pub(crate) const DOMAIN: Shape = Shape {
    what: "a failure domain",
    keys: &["kind", "within", "availability", "mttr"],
    schema: "/$defs/failure_domain",
};
pub(crate) const SERVICE: Shape = Shape {
    what: "a service",
    keys: &[
        "extends",
        "title",
        "kind",
        "team",
        "tier",
        "paths",
        "resources",
        "availability",
        "mttr",
        "domains",
        "replicas",
        "utilization",
        "overload",
        "queue",
        "drop_expired",
        "latency",
        "concurrency",
        "recovery",
        "automation",
        "dependencies",
        "endpoints",
        "failure_probability",
        "rollout",
        "detection",
        "rollback",
        "never",
    ],
    schema: "/$defs/service",
};
pub(crate) const REPLICAS: Shape = Shape {
    what: "`replicas`",
    keys: &["count", "needs", "availability", "mttr", "failover", "domains"],
    schema: "/$defs/replicas_settings",
};
pub(crate) const RECOVERY: Shape = Shape {
    what: "`recovery`",
    keys: &["restart", "warmup", "crashes"],
    schema: "/$defs/recovery",
};
pub(crate) const ENDPOINT: Shape =
    Shape { what: "an endpoint", keys: &["dependencies"], schema: "/$defs/endpoint" };
pub(crate) const FLOW: Shape = Shape {
    what: "a flow",
    keys: &[
        "title",
        "steps",
        "rate",
        "value",
        "critical",
        "objective",
        "retry_by_users",
        "patience",
    ],
    schema: "/$defs/flow",
};
pub(crate) const USER_RETRIES: Shape = Shape {
    what: "`retry_by_users`",
    keys: &["share", "attempts", "after"],
    schema: "/$defs/user_retries",
};

pub(crate) const OBJECTIVE: Shape = Shape {
    what: "an objective",
    keys: &["availability", "window", "latency"],
    schema: "/$defs/objective",
};

const REPLICAS_MAX: u32 = 10_000;
const ATTEMPTS_MAX: u32 = 100;

impl Topology {
    /// Decodes a topology file.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(document: &Document) -> Result<Self, Vec<Diagnostic>> {
        let document = &*expand_topology(document);
        let problems = Problems::of_document(document);
        let topology = kind::open_document(document, Kind::Topology, &TOPOLOGY, &problems)
            .and_then(|mapping| decode_topology(&mapping));
        problems.into_result(topology)
    }

    /// Decodes a topology file with its parts, in one of its environments or as it stands.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files, sorted by place.
    pub fn from_parts(
        root: Document,
        parts: Vec<Document>,
        environment: Option<&str>,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::from_document(&compose_topology(root, parts, environment))
    }
}

fn decode_topology(mapping: &Mapping<'_>) -> Option<Topology> {
    let problems = mapping.problems();
    let name = mapping.get("topology").and_then(|field| field.title());
    let thresholds = mapping
        .get("thresholds")
        .map_or(Some(Thresholds::default()), |field| decode_thresholds(&field));
    let named =
        |key: &'static str| mapping.get(key).map(|field| field.named_entries()).unwrap_or_default();
    let domain_entries = named("failure_domains");
    if let Some(include) = mapping.get("include") {
        let problem = "this file is a topology only together with the files that it includes";
        let help =
            "read it from its file as a topology; an edit names the file that holds the service";
        problems
            .push(Diagnostic::error(Code::Conflict, problem, include.place_of_key()).help(help));
    }
    let services_field = match mapping.get("include") {
        // The services may all stand in the parts.
        Some(_) => mapping.get("services"),
        None => mapping.require("services", "{ storefront: {} }"),
    };
    let service_entries = match services_field {
        Some(field) => field.named_entries(),
        None => Vec::new(),
    };
    let flow_entries = named("flows");
    let names = collect_names(&service_entries, &domain_entries, problems);

    let domains: Vec<Domain> =
        domain_entries.iter().map(|entry| decode_domain(entry, &names, problems)).collect();
    // A domain within itself would send every walk over domains round for ever.
    refuse_domain_cycles(&domains, problems);
    let defaults_mapping = mapping.get("defaults").and_then(|field| field.mapping(&DEFAULTS));
    let default = |key| defaults_mapping.and_then(|mapping| mapping.get(key));
    let defaults = default("dependency")
        .and_then(|field| dependency::decode_defaults(&field, &names))
        .unwrap_or_default();
    if mapping
        .get("services")
        .is_some_and(|field| field.is_mapping() && field.named_entries().is_empty())
    {
        mapping.report_missing("needs at least one service", "services: { storefront: {} }");
    }
    let services: Vec<Service> = (0_u32..)
        .zip(&service_entries)
        .map(|(index, entry)| decode_service(ServiceId(index), entry, &defaults, &names, problems))
        .collect();
    // Teams are known only once all services are read.
    let teams = shipping::team_names(services.iter().map(|service| service.team.as_deref()));
    let shipping = default("change")
        .map(|field| shipping::decode_defaults(&field, &names, &teams))
        .unwrap_or_default();
    let flows = (0_u32..)
        .zip(&flow_entries)
        .map(|(index, entry)| decode_flow(index, entry, &names, problems))
        .collect();
    if let Some(field) = mapping.get("aliases") {
        check_aliases(&field, &names);
    }
    let topology = Topology {
        name: name?,
        thresholds: thresholds?,
        domains,
        services,
        flows,
        shipping,
        unknown_pools: UnknownPools::LimitNothing,
        failing_targets_call: false,
    };
    // Utilization is checked last: whether a service is called in normal times depends on all
    // others.
    let utilizations: Vec<Option<Field<'_>>> =
        service_entries.iter().map(|entry| utilization_of(entry, problems)).collect();
    waiting::check_utilization(&topology, &utilizations);
    Some(topology)
}

/// Where a service states its utilization.
fn utilization_of<'a>(service: &'a Entry, problems: &'a Problems) -> Option<Field<'a>> {
    let written = service.value.entries().iter().find(|entry| &*entry.key.text == "utilization");
    written.map(|entry| Field::of_entry(entry, problems))
}

/// Other names of services, which may look like anything, since other programs gave them. Only imports
/// use them, and find them in the document.
fn check_aliases(field: &Field<'_>, names: &Names<'_>) {
    for entry in field.named_entries() {
        let alias = &entry.key.text;
        // An alias that is a name would make references ambiguous.
        if names.service_id(alias).is_some() || names.domain_id(alias).is_some() {
            let message = format!("the alias `{alias}` is the name of something else");
            field.problems().push(
                Diagnostic::error(Code::DuplicateName, message, entry.key.place)
                    .help("an alias is a name that only other programs use; remove it"),
            );
        }
        names.resolve_service(&Field::of_entry(entry, field.problems()));
    }
}

fn decode_thresholds(field: &Field<'_>) -> Option<Thresholds> {
    let mapping = field.mapping(&THRESHOLDS)?;
    let default = Thresholds::default();
    let read =
        |key, default| mapping.get(key).map_or(Some(default), |field| field.positive_share());
    let (failed, degraded) = (read("failed", default.failed)?, read("degraded", default.degraded)?);
    // What fails is degraded as well.
    if degraded > failed {
        let message =
            format!("something would be failed at {failed} but degraded only at {degraded}");
        problem_at(&mapping, message);
        return None;
    }
    Some(Thresholds { failed, degraded })
}

fn problem_at(mapping: &Mapping<'_>, message: String) {
    mapping.problems().push(
        Diagnostic::error(Code::Conflict, message, mapping.place)
            .help("`degraded` is at most `failed`; they default to 1% and 50%"),
    );
}

/// The names of services, endpoints and failure domains, in the order of their numbers.
fn collect_names<'a>(
    services: &[&'a Entry],
    domains: &[&'a Entry],
    problems: &Problems,
) -> Names<'a> {
    for entry in domains {
        check_name(&entry.key, "failure domain", problems);
    }
    let domain_names: Vec<&str> = domains.iter().map(|entry| &*entry.key.text).collect();
    let service_name = |entry: &&'a Entry| {
        check_name(&entry.key, "service", problems);
        // Targets of a change name either of them, without saying which.
        if let Ok(index) = domain_names.binary_search(&&*entry.key.text) {
            same_name(&entry.key, &domains[index].key, problems);
        }
        ServiceName {
            name: &entry.key.text,
            place: entry.key.place,
            endpoints: endpoint_names(entry),
        }
    };
    let services = services.iter().map(service_name).collect();
    Names::new(services, domain_names)
}

fn same_name(service: &Key, domain: &Key, problems: &Problems) {
    let message = format!("`{}` is a service and a failure domain", service.text);
    problems.push(
        Diagnostic::error(Code::DuplicateName, message, service.place)
            .other_place(domain.place, "the failure domain")
            .help("services and failure domains share one name space: rename one of them"),
    );
}

/// Returns the names of a service's endpoints. Problems with them are reported when the service is
/// read.
fn endpoint_names(service: &Entry) -> Vec<&str> {
    let endpoints = service.value.entries().iter().find(|entry| &*entry.key.text == "endpoints");
    let entries = endpoints.map(|entry| entry.value.entries()).unwrap_or_default();
    let mut names: Vec<&str> = entries.iter().map(|entry| &*entry.key.text).collect();
    // Merge keys are refused elsewhere.
    names.retain(|name| *name != "<<");
    names.sort_unstable();
    names.dedup();
    names
}

fn decode_domain(entry: &Entry, names: &Names<'_>, problems: &Problems) -> Domain {
    let field = Field::of_entry(entry, problems);
    let mapping = field.mapping_or_nothing(&DOMAIN);
    let get = |key| mapping.and_then(|mapping| mapping.get(key));
    Domain {
        name: entry.key.text.to_string(),
        kind: get("kind").and_then(|field| field.title()),
        within: get("within").and_then(|field| names.resolve_domain(&field)),
        availability: get("availability").and_then(|field| field.share()),
        mttr: get("mttr").and_then(|field| decode_time_to_repair(&field)),
        place: entry.key.place,
    }
}

/// Reports each circle of failure domains once, at its first by name.
fn refuse_domain_cycles(domains: &[Domain], problems: &Problems) {
    // Which walk came by: a walk that meets itself has found a circle.
    let mut seen_by = vec![usize::MAX; domains.len()];
    for start in 0..domains.len() {
        let mut at = start;
        while seen_by[at] == usize::MAX {
            seen_by[at] = start;
            // The walk ends at a domain that was seen: by this walk it is a circle, by an earlier
            // one it was reported.
            match domains[at].within {
                Some(outer) => at = outer.0 as usize,
                None => break,
            }
        }
        let Some(outer) = domains[at].within else { continue };
        if seen_by[at] == start {
            let mut path = vec![at];
            let mut next = outer.0 as usize;
            while next != at {
                path.push(next);
                next = domains[next].within.map_or(at, |outer| outer.0 as usize);
            }
            report_domain_cycle(&path, domains, problems);
        }
    }
}

fn report_domain_cycle(path: &[usize], domains: &[Domain], problems: &Problems) {
    let names: Vec<&str> =
        path.iter().chain(&path[..1]).map(|index| &*domains[*index].name).collect();
    let shown = match names.len() {
        ..=12 => names.join(" -> "),
        many => format!("{} -> … -> {} ({} in all)", names[..5].join(" -> "), names[0], many - 1),
    };
    problems.push(
        Diagnostic::error(
            Code::DomainCycle,
            format!("failure domains within themselves: {shown}"),
            domains[path[0]].place,
        )
        .help("remove one `within`"),
    );
}

fn decode_service(
    id: ServiceId,
    entry: &Entry,
    defaults: &Settings,
    names: &Names<'_>,
    problems: &Problems,
) -> Service {
    let field = Field::of_entry(entry, problems);
    let mapping = field.mapping_or_nothing(&SERVICE);
    let get = |key| mapping.and_then(|mapping| mapping.get(key));
    let plain = NodeRef { service: id, endpoint: None };
    // Templates are laid under services before they are decoded, where there are any.
    if let Some(template) = get("extends") {
        let message = "this file defines no `templates` that a service could extend";
        let help = "define it under `templates`";
        problems.push(
            Diagnostic::error(Code::UnknownName, message, template.place_of_key()).help(help),
        );
    }
    Service {
        name: entry.key.text.to_string(),
        title: get("title").and_then(|field| field.title()),
        kind: get("kind").and_then(|field| field.title()).unwrap_or_else(|| "service".to_owned()),
        team: get("team").and_then(|field| field.title()),
        tier: get("tier").and_then(|field| field.whole_number(0..=100)),
        paths: get("paths").map(|field| decode_paths(&field)).unwrap_or_default(),
        resources: get("resources").map(|field| decode_resources(&field)).unwrap_or_default(),
        availability: get("availability").and_then(|field| field.share()),
        mttr: get("mttr").and_then(|field| decode_time_to_repair(&field)),
        domains: get("domains").map(|field| set_of_domains(&field, names)).unwrap_or_default(),
        replicas: get("replicas").and_then(|field| decode_replicas(&field, names)),
        utilization: get("utilization").and_then(|field| waiting::utilization(&field)),
        queue: mapping.and_then(|mapping| waiting::queue(&mapping)),
        drop_expired: get("drop_expired").and_then(|field| field.flag()).unwrap_or_default(),
        latency: get("latency").and_then(|field| waiting::latency(&field)),
        concurrency: get("concurrency")
            .and_then(|field| field.whole_number(1..=waiting::IN_PROGRESS_MAX)),
        recovery: get("recovery").map(|field| decode_recovery(&field)).unwrap_or_default(),
        automations: get("automation")
            .map(|item| decode_automations(&item, names))
            .unwrap_or_default(),
        dependencies: get("dependencies")
            .map(|field| decode_dependencies(&field, Caller::Node(plain), defaults, names))
            .unwrap_or_default(),
        endpoints: get("endpoints")
            .map(|field| decode_endpoints(&field, id, defaults, names))
            .unwrap_or_default(),
        shipping: mapping
            .map(|mapping| shipping::decode_shipping(&mapping, names))
            .filter(Shipping::is_declared)
            .map(Box::new),
        never_soft: get("never").is_some_and(|field| dependency::never_soft(&field)),
        place: entry.key.place,
    }
}

fn decode_paths(field: &Field<'_>) -> Vec<String> {
    let glob = |item: Field<'_>| {
        let glob = item.title()?;
        // A pattern that never matches would leave files without a service, unnoticed.
        if let Err(error) = PathPattern::new(&glob) {
            let message = format!("`{glob}` is not a path pattern: {error}");
            item.report_problem(Code::BadName, message, "write for example `services/payments/**`");
        }
        Some(glob)
    };
    field.items().filter_map(glob).collect()
}

fn decode_resources(field: &Field<'_>) -> Vec<String> {
    let pattern = |item: Field<'_>| {
        let pattern = item.title()?;
        // Such a pattern would give every resource to this service, whatever it is.
        if pattern.bytes().all(|byte| byte == b'*') {
            let message = format!("`{pattern}` is the pattern of every resource");
            let help = "name a part of the address, such as `module.payments.*`";
            item.report_problem(Code::BadName, message, help);
        }
        Some(pattern)
    };
    field.items().filter_map(pattern).collect()
}

fn set_of_domains(field: &Field<'_>, names: &Names<'_>) -> Vec<DomainId> {
    distinct_items(field, |item| names.resolve_domain(item))
}

fn decode_replicas(field: &Field<'_>, names: &Names<'_>) -> Option<Replicas> {
    // A number alone is how most people state replicas.
    if field.is_number() {
        let count = field.whole_number(1..=REPLICAS_MAX)?;
        return Some(Replicas {
            count,
            needs: 1,
            availability: None,
            mttr: None,
            failover: None,
            domains: Vec::new(),
        });
    }
    let mapping = field.mapping(&REPLICAS)?;
    let count =
        mapping.require("count", "3").and_then(|field| field.whole_number(1..=REPLICAS_MAX));
    let needs = match (mapping.get("needs"), count) {
        (Some(field), Some(count)) => needs_of(&field, count as usize, "replicas"),
        (Some(field), None) => field.whole_number(1..=REPLICAS_MAX),
        (None, _) => Some(1),
    };
    let availability = mapping.get("availability").and_then(|field| field.share());
    let mttr = mapping.get("mttr").and_then(|field| decode_time_to_repair(&field));
    // In the order written: it says which replica sits where.
    let domains = mapping
        .get("domains")
        .map(|field| field.items().filter_map(|item| names.resolve_domain(&item)).collect());
    Some(Replicas {
        count: count?,
        needs: needs?,
        availability,
        mttr,
        failover: mapping.get("failover").and_then(|field| field.duration()),
        domains: domains.unwrap_or_default(),
    })
}

/// How long outages last: above 0, or they would come without end.
fn decode_time_to_repair(field: &Field<'_>) -> Option<Delay> {
    let delay = decode_delay(field)?;
    if delay.median == Seconds::ZERO {
        field.report_problem(
            Code::OutOfRange,
            "outages that last no time at all",
            "state the usual time to repair, such as `mttr: { median: 30m, p95: 4h }`",
        );
        return None;
    }
    Some(delay)
}

fn decode_recovery(field: &Field<'_>) -> Recovery {
    let mapping = field.mapping(&RECOVERY);
    let get = |key| mapping.and_then(|mapping| mapping.get(key));
    Recovery {
        restart: get("restart").and_then(|field| field.duration()).unwrap_or_default(),
        warmup: get("warmup").and_then(|field| field.duration()).unwrap_or_default(),
        crashes: get("crashes").and_then(|field| field.flag()).unwrap_or_default(),
    }
}

fn decode_dependencies(
    field: &Field<'_>,
    caller: Caller,
    defaults: &Settings,
    names: &Names<'_>,
) -> Vec<Dependency> {
    field
        .items()
        .filter_map(|item| dependency::decode_dependency(&item, caller, defaults, names))
        .collect()
}

fn decode_endpoints(
    field: &Field<'_>,
    service: ServiceId,
    defaults: &Settings,
    names: &Names<'_>,
) -> Vec<Endpoint> {
    let problems = field.problems();
    let endpoint = |(index, entry): (u32, &&Entry)| {
        check_name(&entry.key, "endpoint", problems);
        let caller = Caller::Node(NodeRef { service, endpoint: Some(index) });
        let mapping = Field::of_entry(entry, problems).mapping_or_nothing(&ENDPOINT);
        let list = mapping.and_then(|mapping| mapping.get("dependencies"));
        Endpoint {
            name: entry.key.text.to_string(),
            dependencies: list
                .map(|list| decode_dependencies(&list, caller, defaults, names))
                .unwrap_or_default(),
            place: entry.key.place,
        }
    };
    (0_u32..).zip(&field.named_entries()).map(endpoint).collect()
}

fn decode_flow(index: u32, entry: &Entry, names: &Names<'_>, problems: &Problems) -> Flow {
    check_name(&entry.key, "flow", problems);
    let mapping = Field::of_entry(entry, problems).mapping(&FLOW);
    let get = |key| mapping.and_then(|mapping| mapping.get(key));
    let steps = mapping
        .and_then(|mapping| mapping.require("steps", "[storefront]"))
        .map(|field| decode_steps(&field, index, &entry.key, names))
        .unwrap_or_default();
    Flow {
        name: entry.key.text.to_string(),
        title: get("title").and_then(|field| field.title()),
        steps,
        rate: get("rate").and_then(|field| field.rate()),
        value: get("value").and_then(|field| field.money()),
        critical: get("critical").and_then(|field| field.flag()).unwrap_or_default(),
        objective: get("objective").and_then(|field| decode_objective(&field)),
        retry_by_users: get("retry_by_users").and_then(|field| user_retries(&field)),
        patience: get("patience").and_then(|field| field.positive_duration()),
        place: entry.key.place,
    }
}

fn decode_steps(field: &Field<'_>, index: u32, flow: &Key, names: &Names<'_>) -> Vec<Dependency> {
    // An order that calls nothing could never fail.
    if field.is_list() && field.node.items().is_empty() {
        let message = format!("flow `{}` has no steps", flow.text);
        field.report_problem(Code::EmptyFlow, message, "name the services that an order calls");
    }
    // Defaults are for calls between services: a customer's patience is another thing.
    decode_dependencies(field, Caller::Flow(index), &Settings::default(), names)
}

fn decode_objective(field: &Field<'_>) -> Option<Objective> {
    let mapping = field.mapping(&OBJECTIVE)?;
    let default = Objective::default();
    let availability = mapping.get("availability").map_or(Some(default.availability), |field| {
        let share = field.share()?;
        if share.is_zero() || share.is_one() {
            // With 100% nothing may ever fail, with 0% everything may: neither leaves a budget to judge by.
            let message = format!("an objective of {share} leaves no error budget to judge by");
            field.report_problem(
                Code::OutOfRange,
                message,
                "write for example `availability: 99.9%`",
            );
            return None;
        }
        Some(share)
    });
    let window =
        mapping.get("window").map_or(Some(default.window), |field| field.positive_duration());
    let latency = mapping.get("latency").and_then(|field| field.positive_duration());
    Some(Objective { availability: availability?, window: window?, latency })
}

fn user_retries(field: &Field<'_>) -> Option<UserRetries> {
    if field.is_number() {
        let attempts = field.whole_number(1..=ATTEMPTS_MAX)?;
        return Some(UserRetries { share: Share::ONE, attempts, after: None });
    }
    let mapping = field.mapping(&USER_RETRIES)?;
    let share = mapping.get("share").map_or(Some(Share::ONE), |field| field.share());
    let attempts =
        mapping.require("attempts", "2").and_then(|field| field.whole_number(1..=ATTEMPTS_MAX));
    let after = mapping.get("after").and_then(|field| field.positive_duration());
    Some(UserRetries { share: share?, attempts: attempts?, after })
}
