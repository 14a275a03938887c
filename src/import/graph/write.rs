//! The graph of evidence as a topology file: the same graph, the same bytes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::measurements::{MeasuredErrors, MeasuredLatency};
use super::names::allowed_name;
use super::{EvidenceGraph, ImportedDependency, ImportedFlow, ImportedService};
use crate::digits::group_digits;

/// Names that a topology does not allow in its title are replaced; the rest stays.
pub fn write_topology(name: &str, graph: &EvidenceGraph) -> String {
    let mut out = String::new();
    for origin in &graph.origins {
        let _ = writeln!(out, "# Imported from {}.", yaml_comment(origin));
    }
    for remark in &graph.remarks {
        let _ = writeln!(out, "# {}", yaml_comment(remark));
    }
    let _ = writeln!(out, "version: 1\ntopology: {}", yaml_scalar(&allowed_name(name)));
    let aliases: Vec<_> = graph.used_aliases().collect();
    if !aliases.is_empty() {
        out.push_str("aliases:\n");
        for (alias, name) in aliases {
            let _ = writeln!(out, "  {}: {}", yaml_scalar(alias), yaml_scalar(name));
        }
    }
    if !graph.domains.is_empty() {
        out.push_str("failure_domains:\n");
        for (name, kind) in &graph.domains {
            out.push_str(&domain_block(name, kind));
        }
    }
    out.push_str("services:\n");
    let mut dependencies = graph.dependencies.iter().peekable();
    for (name, service) in &graph.services {
        let mut own = Vec::new();
        while let Some(((caller, callee), dependency)) = dependencies.peek() {
            if caller > name {
                break;
            }
            if caller == name {
                own.push((callee.as_str(), *dependency));
            }
            dependencies.next();
        }
        out.push_str(&service_block(name, service, &own));
    }
    if !graph.flows.is_empty() {
        out.push_str("flows:\n");
        for (name, flow) in &graph.flows {
            out.push_str(&flow_block(name, flow));
        }
    }
    out
}

/// A failure domain, indented as below `failure_domains:`.
pub(in crate::import) fn domain_block(name: &str, kind: &str) -> String {
    format!("  {}: {{ kind: {} }}\n", yaml_scalar(name), yaml_scalar(kind))
}

/// A service with its dependencies, indented as below `services:`.
pub(in crate::import) fn service_block(
    name: &str,
    service: &ImportedService,
    dependencies: &[(&str, &ImportedDependency)],
) -> String {
    let mut out = format!("  {}:", yaml_scalar(name));
    let start = out.len();
    let mut line = |key: &str, value: &str| {
        let _ = write!(out, "\n    {key}: {value}");
    };
    if let Some(title) = &service.title {
        line("title", &yaml_scalar(title));
    }
    if let Some(kind) = &service.kind {
        line("kind", &yaml_scalar(kind));
    }
    if let Some(team) = &service.team {
        line("team", &yaml_scalar(team));
    }
    let domains: Vec<String> = service.domains.iter().map(|domain| yaml_scalar(domain)).collect();
    let domains = format!("[{}]", domains.join(", "));
    let replicas = service.written_replicas();
    let needs = service.needs.filter(|needs| replicas.is_some_and(|count| *needs < count));
    let needs = needs.map(|needs| format!(", needs: {}", needs.max(1))).unwrap_or_default();
    match (replicas, service.domains.len()) {
        (Some(count), 2..) => {
            line("replicas", &format!("{{ count: {count}{needs}, domains: {domains} }}"));
        }
        (Some(count), number) if !needs.is_empty() => {
            line("replicas", &format!("{{ count: {count}{needs} }}"));
            if number > 0 {
                line("domains", &domains);
            }
        }
        (count, number) => {
            if let Some(count) = count {
                line("replicas", &count.to_string());
            }
            if number > 0 {
                line("domains", &domains);
            }
        }
    }
    if let Some(latency) = &service.latency {
        let (value, comment) = latency_text(latency);
        line("latency", &format!("{value}  # {comment}"));
    }
    if let (Some(pool), Some(all)) = (&service.pool, service.concurrency()) {
        line("concurrency", &format!("{all}  # {}", super::names::one_line(&pool.source)));
    }
    if let Some(comment) = service.errors.as_ref().and_then(errors_text) {
        line("# errors", &comment);
    }
    let is_apart =
        |callee: &str| service.endpoints.values().any(|calls| calls.contains_key(callee));
    let (apart, common): (Vec<_>, Vec<_>) =
        dependencies.iter().copied().partition(|(callee, _)| is_apart(callee));
    if !common.is_empty() {
        line("dependencies", "");
        out.truncate(out.trim_end().len());
        for text in dependency_lines(&common) {
            let _ = write!(out, "\n      - {text}");
        }
    }
    if !service.endpoints.is_empty() {
        out.push_str("\n    endpoints:");
    }
    for (endpoint, calls) in &service.endpoints {
        let _ = write!(out, "\n      {}:", yaml_scalar(endpoint));
        if calls.is_empty() {
            out.push_str(" {}");
        } else {
            out.push_str("\n        dependencies:");
        }
        for (callee, dependency) in &apart {
            if let Some(share) = calls.get(*callee) {
                let own =
                    ImportedDependency { call_probability: Some(*share), ..(*dependency).clone() };
                let _ = write!(out, "\n          - {}", dependency_line(callee, &own));
            }
        }
    }
    if out.len() == start {
        out.push_str(" {}");
    }
    out.push('\n');
    out
}

/// Of several sources only the first is written where all take more characters than this.
const SOURCE_MAX: usize = 180;

/// Dependencies as mappings on one line each; those of which one is enough stand together.
pub(in crate::import) fn dependency_lines(
    dependencies: &[(&str, &ImportedDependency)],
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut written = BTreeSet::new();
    for (callee, dependency) in dependencies {
        let Some(name) = &dependency.any_of else {
            lines.push(dependency_line(callee, dependency));
            continue;
        };
        let is_member =
            |other: &&(&str, &ImportedDependency)| other.1.any_of.as_ref() == Some(name);
        let members: Vec<&str> =
            dependencies.iter().filter(is_member).map(|dependency| dependency.0).collect();
        if members.len() < 2 {
            lines.push(dependency_line(callee, dependency));
        } else if written.insert(name) {
            let members: Vec<String> = members.into_iter().map(yaml_scalar).collect();
            let members = format!("any_of: [{}]", members.join(", "));
            lines.push(line_of(&members, dependency));
        }
    }
    lines
}

/// A dependency as a mapping on one line.
pub(in crate::import) fn dependency_line(callee: &str, dependency: &ImportedDependency) -> String {
    line_of(&format!("service: {}", yaml_scalar(callee)), dependency)
}

fn line_of(on: &str, dependency: &ImportedDependency) -> String {
    let mut out = format!("{{ {on}");
    let mut key = |text: String| {
        out.push_str(", ");
        out.push_str(&text);
    };
    if dependency.is_start {
        key("phase: start".to_owned());
    }
    if dependency.is_soft {
        key("criticality: soft".to_owned());
    }
    if !dependency.is_start {
        if dependency.is_async == Some(true) {
            key("kind: async".to_owned());
        }
        let (timeout, attempt_timeout) = written_timeouts(dependency);
        if let Some(timeout) = timeout {
            key(format!("timeout: {}", duration_text(timeout)));
        }
        if let Some(timeout) = attempt_timeout {
            key(format!("attempt_timeout: {}", duration_text(timeout)));
        }
        if let Some(retries) = dependency.retries {
            key(format!("retries: {}", retries.min(100)));
        }
        if let Some(share) = dependency.retry_budget.and_then(percent_text) {
            key(format!("retry_budget: {share}"));
        }
        if let Some(limit) = dependency.max_in_flight {
            key(format!("max_in_flight: {limit}"));
        }
        if dependency.circuit_breaker {
            key("circuit_breaker: true".to_owned());
        }
        if let Some(share) = dependency.call_probability.and_then(percent_text) {
            key(format!("call_probability: {share}"));
        }
        if let Some(calls) = dependency.calls_per_request.filter(|calls| *calls > 1) {
            key(format!("calls: {calls}"));
        }
    }
    key(format!("evidence: {}", dependency.evidence));
    if !dependency.sources.is_empty() {
        // As many as can be read on one line; a path that is cut leads nowhere.
        let all = dependency.sources.join("; ");
        let told = if all.len() > SOURCE_MAX { &dependency.sources[0] } else { &all };
        key(format!("source: {}", quoted_scalar(&super::names::one_line(told))));
    }
    out.push_str(" }");
    out
}

/// Returns how long a caller waits, in seconds, as a topology has it: `timeout` and `attempt_timeout`.
///
/// A limit for all attempts together without one for each is a limit for each, too: an attempt that hangs
/// uses it up, and none follows. A limit for each alone is what `timeout` means without
/// `attempt_timeout`.
pub(in crate::import) fn written_timeouts(
    dependency: &ImportedDependency,
) -> (Option<f64>, Option<f64>) {
    match (dependency.timeout, dependency.attempt_timeout) {
        (Some(total), None) if dependency.retries.is_some_and(|retries| retries > 0) => {
            (Some(total), Some(total))
        }
        (Some(total), Some(each)) => (Some(total), Some(each.min(total))),
        (total, each) => (total.or(each), None),
    }
}

/// Returns a latency as a value of a topology, and the comment that says how it is known.
pub(in crate::import) fn latency_text(latency: &MeasuredLatency) -> (String, String) {
    let time = |seconds: f64| measured_duration(seconds);
    let value = format!("{{ median: {}, p99: {} }}", time(latency.median), time(latency.p99));
    let source = super::names::one_line(&latency.source);
    let comment = match latency.requests {
        Some(requests) => format!("observed: {} requests, {source}", whole_text(requests)),
        None => format!("observed: {source}"),
    };
    (value, comment)
}

/// Returns the comment that says how many requests failed; `None` where none did.
fn errors_text(errors: &MeasuredErrors) -> Option<String> {
    let percent = |count: f64| format!("{}%", digits_text(count / errors.requests * 100.0, 2));
    let alone = match errors.failed_alone {
        Some(alone) => format!(", {} not through its calls", percent(alone)),
        None => String::new(),
    };
    let source = super::names::one_line(&errors.source);
    (errors.failed > 0.0).then(|| {
        format!("{} of requests failed{alone} (observed: {source})", percent(errors.failed))
    })
}

/// A measured duration with three digits that count, at least a microsecond.
pub(in crate::import) fn measured_duration(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{}ms", digits_text(seconds.max(1e-6) * 1000.0, 3))
    } else {
        format!("{}s", digits_text(seconds, 3))
    }
}

/// A number without a fraction, with commas between the thousands.
pub(in crate::import) fn whole_text(value: f64) -> String {
    group_digits(&format!("{:.0}", value.max(0.0)))
}

/// A flow, indented as below `flows:`.
pub(in crate::import) fn flow_block(name: &str, flow: &ImportedFlow) -> String {
    let mut out = String::new();
    if flow.is_derived {
        out.push_str("  # Derived: no source says what the order flows are.\n");
    }
    let _ = write!(out, "  {}: {{ ", yaml_scalar(&allowed_name(name)));
    if let Some(title) = &flow.title {
        let _ = write!(out, "title: {}, ", yaml_scalar(title));
    }
    let steps: Vec<String> = flow.steps.iter().map(|step| yaml_scalar(step)).collect();
    let _ = write!(out, "steps: [{}]", steps.join(", "));
    if let Some(rate) = flow.rate.and_then(rate_text) {
        let _ = write!(out, ", rate: {rate}");
    }
    out.push_str(" }\n");
    out
}

/// A share as a percentage of four digits; nothing for all, which needs not be said.
fn percent_text(share: f64) -> Option<String> {
    let rounded = digits_text(share.clamp(0.0, 1.0) * 100.0, 4);
    (rounded != "100").then(|| format!("{rounded}%"))
}

fn rate_text(per_second: f64) -> Option<String> {
    if !(per_second > 0.0 && per_second.is_finite()) {
        return None;
    }
    Some(if per_second >= 1.0 {
        format!("{}/s", digits_text(per_second, 6))
    } else if per_second * 60.0 >= 1.0 {
        format!("{}/min", digits_text(per_second * 60.0, 6))
    } else {
        format!("{}/h", digits_text(per_second * 3600.0, 6))
    })
}

/// Seconds as a duration of a topology.
fn duration_text(seconds: f64) -> String {
    let milliseconds = (seconds * 1000.0).round().max(1.0);
    if milliseconds % 1000.0 == 0.0 {
        format!("{}s", milliseconds / 1000.0)
    } else {
        format!("{milliseconds}ms")
    }
}

/// A number with so many digits that count, and no zeros behind the point.
pub(in crate::import) fn digits_text(value: f64, count: i32) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    let magnitude = libm::floor(libm::log10(value)) as i32;
    let decimals = usize::try_from((count - 1 - magnitude).clamp(0, 12)).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Returns a text as a YAML scalar: plain only where no reader could take it for anything else.
pub fn yaml_scalar(text: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let other_meaning = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "none" | "static"
    );
    if starts_well && !other_meaning && text.chars().all(inner) {
        text.to_owned()
    } else {
        quoted_scalar(text)
    }
}

/// A text in double quotes.
fn quoted_scalar(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn yaml_comment(text: &str) -> String {
    super::names::one_line(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        assert_eq!(yaml_scalar("web-1.x"), "web-1.x");
        for text in ["1e5", "yes", "a: b", "a #b", "", "~", "*a", "- a", "0x10", "ä", "none"] {
            assert_eq!(yaml_scalar(text), format!("\"{text}\""));
        }
        assert_eq!(yaml_scalar("a\"b\\\n"), "\"a\\\"b\\\\\\u000a\"");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(percent_text(0.5).as_deref(), Some("50%"));
        assert_eq!(percent_text(1.0 / 3.0).as_deref(), Some("33.33%"));
        assert_eq!(percent_text(0.000_012_34).as_deref(), Some("0.001234%"));
        assert_eq!(percent_text(1.0), None);
        assert_eq!(rate_text(0.5).as_deref(), Some("30/min"));
        assert_eq!(rate_text(20.0).as_deref(), Some("20/s"));
        assert_eq!(duration_text(0.3), "300ms");
        assert_eq!(duration_text(2.0), "2s");
    }
}
