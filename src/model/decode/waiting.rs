//! Decodes waiting: queues, latencies, and how much later a slow target answers.

use super::read::{Field, Mapping, Shape};
use crate::diagnostic::{Code, Diagnostic};
use crate::load::Value;
use crate::model::change::{Change, Slowness, TargetRef};
use crate::model::topology::{Latency, MemberMode, Queue, ServiceId, Topology};
use crate::model::units::{Share, Utilization, parse_utilization};

/// Threads that share processors.
pub(crate) const QUEUE: Shape =
    Shape { what: "a queue", keys: &["threads", "cores"], schema: "/$defs/queue_settings" };
/// The time that answers take.
pub(crate) const LATENCY: Shape =
    Shape { what: "a latency", keys: &["median", "p99"], schema: "/$defs/latency" };
/// A target that answers later.
pub(crate) const SLOW: Shape = Shape {
    what: "`slow`",
    keys: &["probability", "adds", "factor"],
    schema: "/$defs/slow_settings",
};

/// More threads than any server has.
const THREADS_MAX: u32 = 1_000_000;
/// The most requests that can be in progress at once.
pub(super) const IN_PROGRESS_MAX: u32 = 1_000_000_000;

/// Reads a utilization: a share, or more than 100% of it.
pub(super) fn utilization(field: &Field<'_>) -> Option<Utilization> {
    // Shares end at 100%; a utilization may be higher.
    if let Value::Text(text) = &field.node.value
        && let Some(utilization) = parse_utilization(text)
    {
        return Some(utilization);
    }
    Utilization::new(field.positive_share()?.get())
}

/// Reads where requests wait: `queue`, or `overload: shed`, which says the same as `queue: none`.
pub(super) fn queue(mapping: &Mapping<'_>) -> Option<Queue> {
    // Both say where requests wait, and might contradict each other.
    mapping.not_both("queue", "overload", "`overload: shed` is a word for `queue: none`");
    if let Some(field) = mapping.get("overload") {
        return overload(&field);
    }
    let field = mapping.get("queue")?;
    if field.is_mapping() {
        return threads(mapping, &field);
    }
    if !matches!(field.node.value, Value::Text(_) | Value::Number(_)) {
        let problem = field.wrong_type("`unbounded`, `none`, a duration or a mapping");
        let example = "write for example `queue: 2s`, or `queue: { threads: 200, cores: 8 }`";
        field.problems().push(problem.help(example));
        return None;
    }
    if field.is_word("unbounded") {
        return Some(Queue::Unbounded);
    }
    if field.is_word("none") {
        return Some(Queue::Refuses);
    }
    field.positive_duration().map(Queue::Holds)
}

fn overload(field: &Field<'_>) -> Option<Queue> {
    if field.is_word("collapse") {
        field.report_problem(
            Code::UnknownWord,
            "no queue collapses by itself: `overload: collapse` is gone",
            "say where requests wait: `queue: unbounded` (the default), `queue: 2s`, or threads that \
             share processors, `queue: { threads: 200, cores: 8 }`",
        );
        return None;
    }
    field.word(&[("shed", Queue::Refuses)])
}

fn threads(service: &Mapping<'_>, field: &Field<'_>) -> Option<Queue> {
    let mapping = field.mapping(&QUEUE)?;
    let read = |key, example| {
        mapping
            .require(key, example)
            .and_then(|field: Field<'_>| field.whole_number(1..=THREADS_MAX))
    };
    let (threads, cores) = (read("threads", "200"), read("cores", "8"));
    // How long each request takes decides how many threads are busy.
    if service.get("latency").is_none() {
        let message = "threads that share processors need the `latency` of the service";
        let help = "write for example `latency: { median: 40ms, p99: 400ms }`";
        field.report_problem(Code::MissingKey, message, help);
    }
    if service.get("utilization").is_none() {
        let message = "threads that share processors need the `utilization` of the service";
        field.report_problem(Code::MissingKey, message, "write for example `utilization: 60%`");
    }
    // A core without a thread has nothing to do.
    if let (Some(threads), Some(cores)) = (threads, cores)
        && cores > threads
    {
        let message = format!("{threads} threads cannot keep {cores} cores busy");
        field.report_problem(
            Code::OutOfRange,
            message,
            "there are at least as many threads as cores",
        );
        return None;
    }
    Some(Queue::Threads { threads: threads?, cores: cores? })
}

/// Reads how long answers take.
pub(super) fn latency(field: &Field<'_>) -> Option<Latency> {
    let mapping = field.mapping(&LATENCY)?;
    let median_field = mapping.require("median", "40ms")?;
    let p99_field = mapping.require("p99", "400ms")?;
    let median = median_field.positive_duration();
    let latency = Latency { p99: p99_field.positive_duration()?, median: median? };
    if latency.p99 < latency.median {
        let message =
            format!("the 99th percentile {} is below the median {}", latency.p99, latency.median);
        p99_field.problems().push(
            Diagnostic::error(Code::DelayOrder, message, p99_field.place())
                .help("99 of 100 answers take at most `p99`, half of them at most `median`")
                .other_place(median_field.place(), "the median"),
        );
        return None;
    }
    Some(latency)
}

/// Reads how likely a target is to be slow, and how much later it then answers.
pub(super) fn slow(field: &Field<'_>) -> Option<(Share, Option<Slowness>)> {
    // A target that is slow without a length hangs.
    if !field.is_mapping() {
        return Some((field.share()?, None));
    }
    let mapping = field.mapping(&SLOW)?;
    mapping.not_both("adds", "factor", "answers come later by a time, or take a multiple of it");
    let probability = mapping.get("probability").map_or(Some(Share::ONE), |field| field.share());
    let adds = mapping.get("adds").map(|field| field.positive_duration().map(Slowness::Adds));
    let factor = mapping.get("factor").map(|field| field.factor().map(Slowness::Factor));
    match adds.or(factor) {
        None => Some((probability?, None)),
        Some(slowness) => Some((probability?, Some(slowness?))),
    }
}

/// Reports targets that take a multiple of a time that nobody knows.
pub(super) fn check_slowness(change: &Change, topology: &Topology, field: &dyn Fn(Diagnostic)) {
    for target in &change.targets {
        let TargetRef::Node(node) = target.on else { continue };
        let service = topology.service(node.service);
        if matches!(target.modes.slowness, Some(Slowness::Factor(_))) && service.latency.is_none() {
            let message =
                format!("`{}` states no `latency` that `factor` could multiply", service.name);
            field(
                Diagnostic::error(Code::MissingKey, message, target.place)
                    .help("state its `latency`, or write `adds: 300ms` instead"),
            );
        }
    }
}

/// Reports services that would be overloaded in normal times.
pub(super) fn check_utilization(topology: &Topology, utilizations: &[Option<Field<'_>>]) {
    // A fallback may be larger than its capacity, as nothing calls it in normal times.
    let is_overloaded =
        |id: &ServiceId| topology.service(*id).utilization.is_some_and(|used| used.get() > 1.0);
    let called = topology.declared_dependencies().flat_map(|(_, dependency)| {
        // What calls go to only once another one fails is as good as a fallback.
        let stands_by = dependency.mode == Some(MemberMode::Failover);
        let called = if stands_by { 1 } else { dependency.on.len() };
        dependency.on.iter().take(called)
    });
    let mut normal: Vec<ServiceId> =
        called.map(|node| node.service).filter(is_overloaded).collect();
    // A service may have many callers, and is reported once.
    normal.sort_unstable();
    normal.dedup();
    for id in normal {
        let Some(Some(field)) = utilizations.get(id.0 as usize) else { continue };
        let service = topology.service(id);
        let used = service.utilization.unwrap_or(Utilization::FULL);
        let message =
            format!("`{}` is called in normal times, and cannot serve {used}", service.name);
        let help = "more than 100% makes sense for a service that is only a fallback";
        field.report_problem(Code::OutOfRange, message, help);
    }
}
