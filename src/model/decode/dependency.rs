//! Dependencies: of services, of endpoints, and the steps of flows.

use super::names::Names;
use super::read::{Field, Mapping, Shape, distinct_items, report_repeats};
use super::waiting::IN_PROGRESS_MAX;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::topology::{
    Buffer, Cache, CallKind, Caller, Criticality, Dependency, Evidence, Fallback, MemberMode,
    NodeRef, Phase, Timeout, WhenFull,
};
use crate::model::units::{Seconds, Share};

/// The shape of a dependency, or of a step of a flow.
pub(crate) const DEPENDENCY: Shape = Shape {
    what: "a dependency",
    keys: &[
        "service",
        "any_of",
        "needs",
        "mode",
        "failover",
        "criticality",
        "kind",
        "timeout",
        "attempt_timeout",
        "max_in_flight",
        "parallel",
        "retries",
        "retry_budget",
        "circuit_breaker",
        "validates",
        "cache",
        "buffer",
        "fallback",
        "calls",
        "call_probability",
        "propagation",
        "phase",
        "evidence",
        "never",
        "source",
    ],
    schema: "/$defs/dependency_settings",
};

/// The shape of `defaults.dependency`.
pub(crate) const DEFAULTS: Shape = Shape {
    what: "a default for dependencies",
    keys: &[
        "criticality",
        "kind",
        "timeout",
        "attempt_timeout",
        "max_in_flight",
        "parallel",
        "retries",
        "retry_budget",
        "circuit_breaker",
        "validates",
        "cache",
        "buffer",
        "fallback",
        "calls",
        "call_probability",
        "propagation",
        "evidence",
        "source",
    ],
    schema: "/$defs/dependency_defaults",
};

/// The shape of a cache.
pub(crate) const CACHE: Shape = Shape {
    what: "a cache",
    keys: &["ttl", "hit_ratio", "service", "refill"],
    schema: "/$defs/cache_settings",
};

/// The shape of a buffer.
pub(crate) const BUFFER: Shape =
    Shape { what: "a buffer", keys: &["holds", "when_full"], schema: "/$defs/buffer_settings" };

/// The shape of a fallback.
pub(crate) const FALLBACK: Shape = Shape {
    what: "a fallback",
    keys: &["service", "static", "works"],
    schema: "/$defs/fallback_settings",
};

/// Keys that make no sense where nothing is called.
const PUSH_EXCLUDES: [&str; 13] = [
    "any_of",
    "mode",
    "failover",
    "timeout",
    "attempt_timeout",
    "max_in_flight",
    "parallel",
    "retries",
    "retry_budget",
    "circuit_breaker",
    "cache",
    "buffer",
    "fallback",
];

const RETRIES_MAX: u32 = 100;
const CALLS_MAX: u32 = 10_000;

/// The settings that a dependency declares; `None` = not declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    criticality: Option<Criticality>,
    kind: Option<CallKind>,
    timeout: Option<Timeout>,
    attempt_timeout: Option<Seconds>,
    max_in_flight: Option<u32>,
    parallel: Option<bool>,
    retries: Option<u32>,
    retry_budget: Setting<Share>,
    circuit_breaker: Option<bool>,
    validates: Option<bool>,
    cache: Setting<Cache>,
    buffer: Setting<Buffer>,
    fallback: Setting<Fallback>,
    calls: Option<u32>,
    call_probability: Option<Share>,
    propagation: Option<Share>,
    phase: Option<Phase>,
    evidence: Option<Evidence>,
    never_soft: bool,
    source: Option<String>,
}

/// A setting that a default may give and `none` takes away.
#[derive(Clone, Copy, Debug, Default)]
enum Setting<T> {
    #[default]
    Unset,
    /// Taken away with `none`.
    Off,
    Value(T),
}

impl<T> Setting<T> {
    fn read_field<'a>(
        field: Option<Field<'a>>,
        read: impl FnOnce(&Field<'a>) -> Option<T>,
    ) -> Self {
        match field {
            None => Self::Unset,
            Some(field) if field.is_word("none") => Self::Off,
            // A value that is wrong was reported; a default must not take its place.
            Some(field) => read(&field).map_or(Self::Off, Self::Value),
        }
    }

    fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Off => None,
        }
    }

    /// Returns its value, or the default where it is not set.
    fn or_default(self, default: Option<T>) -> Option<T> {
        match self {
            Self::Unset => default,
            own => own.into_value(),
        }
    }
}

/// Reads the defaults for the dependencies of services.
pub(crate) fn decode_defaults(field: &Field<'_>, names: &Names<'_>) -> Option<Settings> {
    Some(decode_settings(&field.mapping(&DEFAULTS)?, names))
}

/// Reads a dependency as a caller declares it.
pub(crate) fn decode_dependency(
    field: &Field<'_>,
    caller: Caller,
    defaults: &Settings,
    names: &Names<'_>,
) -> Option<Dependency> {
    // The short form of a dependency is its name.
    if !field.is_mapping() {
        let on = resolve_callee(field, caller, names)?;
        return Some(build_dependency(
            vec![on],
            1,
            false,
            Settings::default(),
            defaults,
            field.place(),
        ));
    }
    let mapping = field.mapping(&DEPENDENCY)?;
    let callees = decode_callees(&mapping, caller, names);
    let own = decode_settings(&mapping, names);
    let Callees { on, needs, any_of, place } = callees?;
    let mode = if any_of { decode_mode(&mapping, needs) } else { (None, None) };
    check_protections(&mapping, &own, &on, caller);
    // Whether it is a push may come from the defaults.
    if own.kind.or(defaults.kind) == Some(CallKind::Push) {
        refuse_protections_of_push(&mapping);
    }
    let dependency = build_dependency(on, needs, any_of, own, defaults, place);
    Some(Dependency { mode: mode.0, failover: mode.1, ..dependency })
}

/// Reads how calls find the members of an `any_of`, and how long they go on calling one that fails.
fn decode_mode(mapping: &Mapping<'_>, needs: u32) -> (Option<MemberMode>, Option<Seconds>) {
    let mode = mapping.get("mode").and_then(|field| field.word(MODES));
    let failover = mapping.get("failover").and_then(|field| field.positive_duration());
    // Whoever goes on calling a member for a while picks one for each attempt.
    let mode = mode.or(failover.map(|_| MemberMode::Spread));
    if mode == Some(MemberMode::Quorum) {
        mapping.refuse_key(
            "failover",
            "`failover` with `mode: quorum`",
            "all members are asked at once: remove it",
        );
    } else if mode.is_some() && needs > 1 {
        mapping.refuse_key(
            "needs",
            "more than one member must answer, but each call goes to one",
            "write `mode: quorum`, or leave `needs` out",
        );
    }
    (mode, failover)
}

/// The services that a dependency calls.
struct Callees {
    on: Vec<NodeRef>,
    needs: u32,
    any_of: bool,
    place: Place,
}

fn decode_callees(mapping: &Mapping<'_>, caller: Caller, names: &Names<'_>) -> Option<Callees> {
    mapping.not_both("service", "any_of", "write two dependencies if both are needed");
    // `needs` counts the members of an `any_of`.
    let Some(any_of) = mapping.get("any_of") else {
        mapping.refuse_key(
            "needs",
            "`needs` without `any_of`",
            "it says how many of the members of an `any_of` must be up",
        );
        for key in ["mode", "failover"] {
            let message = format!("`{key}` without `any_of`");
            mapping.refuse_key(key, message, "it says how calls find the members of an `any_of`");
        }
        let field = mapping.require("service", "payments")?;
        let on = resolve_callee(&field, caller, names)?;
        return Some(Callees { on: vec![on], needs: 1, any_of: false, place: field.place() });
    };
    let members: Vec<(Option<NodeRef>, Field<'_>)> =
        any_of.items().map(|item| (resolve_callee(&item, caller, names), item)).collect();
    let mut known: Vec<(NodeRef, Field<'_>)> =
        members.iter().filter_map(|(node, item)| Some(((*node)?, *item))).collect();
    report_repeats(&mut known);
    if members.is_empty() && any_of.is_list() {
        any_of.report_problem(
            Code::OutOfRange,
            "`any_of` has no members",
            "name at least one service",
        );
    }
    let needs = match mapping.get("needs") {
        Some(field) => needs_of(&field, members.len(), "members"),
        None => Some(1),
    };
    // In the order written: it is part of the name of the dependency.
    let on: Option<Vec<NodeRef>> = members.into_iter().map(|(node, _)| node).collect();
    let on = on.filter(|on| !on.is_empty())?;
    Some(Callees { on, needs: needs?, any_of: true, place: any_of.place() })
}

/// Reads how many must be up; reports when that is more than there are.
pub(crate) fn needs_of(field: &Field<'_>, count: usize, of_what: &str) -> Option<u32> {
    let needs = field.whole_number(1..=10_000)?;
    // More than there are could never be up.
    if needs as usize > count {
        let message = format!("{needs} must be up, but there are only {count} {of_what}");
        field.report_problem(Code::NeedsTooMany, message, "lower `needs`, or add more");
        return None;
    }
    Some(needs)
}

fn resolve_callee(field: &Field<'_>, caller: Caller, names: &Names<'_>) -> Option<NodeRef> {
    let node = names.resolve_node(field)?;
    if let Caller::Node(caller) = caller
        && is_self(caller, node)
    {
        let service = names.services[caller.service.0 as usize].name;
        let problem = Diagnostic::error(
            Code::SelfDependency,
            format!("`{service}` depends on itself"),
            field.place(),
        );
        field.problems().push(match caller.endpoint {
            None => problem.help("remove it"),
            Some(_) => problem.help(
                "an endpoint has the dependencies of its service anyway; it may depend on another endpoint",
            ),
        });
        return None;
    }
    Some(node)
}

/// Returns whether a call goes back to its caller: a service's own dependencies are those of its endpoints
/// too, and an endpoint needs its service anyway. A sibling endpoint is another thing.
fn is_self(caller: NodeRef, callee: NodeRef) -> bool {
    caller.service == callee.service
        && (caller.endpoint.is_none() || callee.endpoint.is_none() || caller == callee)
}

/// Refuses a protection that needs the very thing it protects from.
fn check_protections(mapping: &Mapping<'_>, own: &Settings, on: &[NodeRef], caller: Caller) {
    if let (Some(fallback), Some(field)) = (own.fallback.into_value(), mapping.get("fallback")) {
        // The caller cannot replace what it itself needs.
        let is_caller = |node| matches!(caller, Caller::Node(caller) if is_self(caller, node));
        if fallback.on.is_some_and(|node| on.contains(&node)) {
            field.report_problem(
                Code::SelfDependency,
                "the fallback is what it replaces",
                "name another service, or `static` for something that cannot fail",
            );
        } else if fallback.on.is_some_and(is_caller) {
            field.report_problem(
                Code::SelfDependency,
                "the fallback is the caller itself",
                "write `fallback: static` for something the caller does by itself",
            );
        }
    }
    if let (Some(Cache { service: Some(service), .. }), Some(field)) =
        (own.cache.into_value(), mapping.get("cache"))
        // A cache that fails with its source protects nothing.
        && on.iter().any(|node| node.service == service)
    {
        field.report_problem(
            Code::SelfDependency,
            "the cache is held by what it stands in for",
            "leave `service` out for a cache within the caller",
        );
    }
}

/// Refuses what only a call can have: a subscriber waits for nothing and calls nothing.
fn refuse_protections_of_push(mapping: &Mapping<'_>) {
    for key in PUSH_EXCLUDES {
        let message = format!("`{key}` with `kind: push`");
        mapping.refuse_key(
            key,
            message,
            "a copy that is pushed to the caller is not asked for: remove it",
        );
    }
}

fn build_dependency(
    on: Vec<NodeRef>,
    needs: u32,
    any_of: bool,
    own: Settings,
    defaults: &Settings,
    place: Place,
) -> Dependency {
    // What a default names is not guarded by itself, and nothing guards a start.
    let serves = own.phase != Some(Phase::Start);
    // A service that all calls fall back on cannot fall back on itself.
    let default_fallback = defaults
        .fallback
        .into_value()
        .filter(|fallback| serves && fallback.on.is_none_or(|node| !on.contains(&node)));
    let default_cache = defaults.cache.into_value().filter(|cache| {
        serves && cache.service.is_none_or(|service| on.iter().all(|node| node.service != service))
    });
    let default_buffer = defaults.buffer.into_value().filter(|_| serves);
    let kind = own.kind.or(defaults.kind);
    let never_soft = own.never_soft;
    let (own, defaults) = match kind {
        // The copy that the caller holds never expires, and the defaults of calls are not for it.
        Some(CallKind::Push) => (&as_push(own), &Settings::default()),
        _ => (&own, defaults),
    };
    Dependency {
        on,
        needs,
        any_of,
        mode: None,
        failover: None,
        criticality: own.criticality.or(defaults.criticality),
        kind,
        timeout: own.timeout.or(defaults.timeout).unwrap_or(Timeout::Unstated),
        attempt_timeout: own.attempt_timeout.or(defaults.attempt_timeout),
        max_in_flight: own.max_in_flight.or(defaults.max_in_flight),
        parallel: own.parallel.or(defaults.parallel).unwrap_or_default(),
        retries: own.retries.or(defaults.retries),
        retry_budget: own.retry_budget.or_default(defaults.retry_budget.into_value()),
        circuit_breaker: own.circuit_breaker.or(defaults.circuit_breaker),
        validates: own.validates.or(defaults.validates),
        cache: own.cache.or_default(default_cache),
        buffer: own.buffer.or_default(default_buffer),
        no_fallback: matches!(own.fallback, Setting::Off),
        fallback: own.fallback.or_default(default_fallback),
        calls: own.calls.or(defaults.calls).unwrap_or(1),
        call_probability: own.call_probability.or(defaults.call_probability).unwrap_or(Share::ONE),
        propagation: own.propagation.or(defaults.propagation).unwrap_or(Share::ONE),
        phase: own.phase.unwrap_or_default(),
        evidence: own.evidence.or(defaults.evidence),
        never_soft,
        source: own.source.clone().or_else(|| defaults.source.clone()),
        place,
    }
}

/// Returns the settings of a copy that is pushed: as a call whose answers are kept for ever.
fn as_push(own: Settings) -> Settings {
    let copy = Cache { ttl: None, hit_ratio: Share::ONE, service: None, refill: None };
    Settings {
        criticality: own.criticality,
        timeout: Some(Timeout::None),
        validates: own.validates,
        cache: Setting::Value(copy),
        call_probability: own.call_probability,
        propagation: own.propagation,
        phase: own.phase,
        evidence: own.evidence,
        source: own.source,
        ..Settings::default()
    }
}

/// Reads the protections that must never be advised; returns whether `soft` is among them.
pub(super) fn never_soft(field: &Field<'_>) -> bool {
    distinct_items(field, |item| item.word(&[("soft", ())])).contains(&())
}

fn decode_settings(mapping: &Mapping<'_>, names: &Names<'_>) -> Settings {
    let get = |key| mapping.get(key);
    Settings {
        criticality: get("criticality").and_then(|field| field.word(CRITICALITIES)),
        kind: get("kind").and_then(|field| field.word(KINDS)),
        timeout: get("timeout").and_then(|field| decode_timeout(&field)),
        attempt_timeout: get("attempt_timeout").and_then(|field| field.positive_duration()),
        max_in_flight: get("max_in_flight")
            .and_then(|field| field.whole_number(1..=IN_PROGRESS_MAX)),
        parallel: get("parallel").and_then(|field| field.flag()),
        retries: get("retries").and_then(|field| field.whole_number(0..=RETRIES_MAX)),
        retry_budget: Setting::read_field(get("retry_budget"), Field::share),
        circuit_breaker: get("circuit_breaker").and_then(|field| field.flag()),
        validates: get("validates").and_then(|field| field.flag()),
        cache: Setting::read_field(get("cache"), |field| decode_cache(field, names)),
        buffer: Setting::read_field(get("buffer"), decode_buffer),
        fallback: Setting::read_field(get("fallback"), |field| decode_fallback(field, names)),
        calls: get("calls").and_then(|field| field.whole_number(1..=CALLS_MAX)),
        call_probability: get("call_probability").and_then(|field| field.share()),
        propagation: get("propagation").and_then(|field| field.share()),
        // Not among the defaults: most dependencies are needed to serve.
        phase: mapping
            .shape
            // The same reader serves the defaults, whose shape lacks some keys.
            .keys
            .contains(&"phase")
            .then(|| get("phase"))
            .flatten()
            .and_then(|field| field.word(&[("serve", Phase::Serve), ("start", Phase::Start)])),
        evidence: get("evidence").and_then(|field| field.word(Evidence::WORDS)),
        never_soft: mapping
            .shape
            .keys
            .contains(&"never")
            .then(|| get("never"))
            .flatten()
            .is_some_and(|field| never_soft(&field)),
        source: get("source").and_then(|field| field.text()),
    }
}

const KINDS: &[(&str, CallKind)] = &[
    ("sync", CallKind::Sync),
    ("async", CallKind::Async),
    ("load", CallKind::Load),
    ("push", CallKind::Push),
];

const MODES: &[(&str, MemberMode)] = &[
    ("failover", MemberMode::Failover),
    ("quorum", MemberMode::Quorum),
    ("spread", MemberMode::Spread),
];

const CRITICALITIES: &[(&str, Criticality)] =
    &[("hard", Criticality::Hard), ("soft", Criticality::Soft)];

fn decode_timeout(field: &Field<'_>) -> Option<Timeout> {
    if field.is_word("none") {
        return Some(Timeout::None);
    }
    field.positive_duration().map(Timeout::After)
}

fn decode_cache(field: &Field<'_>, names: &Names<'_>) -> Option<Cache> {
    let mapping = field.mapping(&CACHE)?;
    let ttl_field = mapping.require("ttl", "10m");
    let is_static = ttl_field.is_some_and(|field| field.is_word("static"));
    let ttl = ttl_field.filter(|_| !is_static).and_then(|field| field.positive_duration());
    // A cache that never expires holds everything, unless it says otherwise.
    let ratio_field =
        if is_static { mapping.get("hit_ratio") } else { mapping.require("hit_ratio", "90%") };
    let hit_ratio = ratio_field.and_then(|field| field.share()).unwrap_or(Share::ONE);
    // A cache of 100% with a limited life would have to ask some time.
    if let Some(field) = ratio_field.filter(|_| ttl.is_some() && hit_ratio.is_one()) {
        field.report_problem(
            Code::Conflict,
            "a cache that answers every call never asks the service behind it",
            "write `ttl: static`, or a `hit_ratio` below 100%",
        );
    }
    let service = mapping.get("service").and_then(|field| names.resolve_service(&field));
    // 0 s says by hand what is the default: somebody fills it before it serves.
    let refill = mapping.get("refill").and_then(|field| field.duration());
    let refill = refill.filter(|refill| *refill > Seconds::ZERO);
    Some(Cache { ttl, hit_ratio, service, refill })
}

fn decode_buffer(field: &Field<'_>) -> Option<Buffer> {
    let mapping = field.mapping(&BUFFER)?;
    let holds = mapping.require("holds", "4h").and_then(|field| field.positive_duration());
    let when_full = mapping
        .require("when_full", "drop")
        .and_then(|field| field.word(&[("drop", WhenFull::Drop), ("block", WhenFull::Block)]));
    Some(Buffer { holds: holds?, when_full: when_full? })
}

fn decode_fallback(field: &Field<'_>, names: &Names<'_>) -> Option<Fallback> {
    if field.is_word("static") {
        return Some(Fallback { on: None, works: Share::ONE });
    }
    if !field.is_mapping() {
        let on = names.resolve_node(field)?;
        return Some(Fallback { on: Some(on), works: Share::ONE });
    }
    let mapping = field.mapping(&FALLBACK)?;
    let works = mapping.get("works").map_or(Some(Share::ONE), |field| field.share());
    mapping.not_both("service", "static", "a static fallback calls nothing");
    let is_static = mapping.get("static").map(|field| field.flag());
    let on = match (is_static, mapping.get("service")) {
        (_, Some(service)) => Some(names.resolve_node(&service)?),
        (Some(None), None) => return None,
        (Some(Some(true)), None) => None,
        (None | Some(Some(false)), None) => {
            mapping.require("service", "payments-backup");
            return None;
        }
    };
    Some(Fallback { on, works: works? })
}
