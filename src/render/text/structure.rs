//! The content of a topology, in lines.

use std::fmt::Write as _;

use crate::report::structure::{DependencyStructure, ServiceStructure, StructureReport};

/// Renders what a topology holds: a paragraph for each service, a line for each flow.
pub fn render_structure(report: &StructureReport) -> String {
    let mut text = format!("{}: {} services\n", report.topology, report.service_count);
    for service in &report.services {
        write_service(&mut text, service);
    }
    for flow in &report.flows {
        let critical = if flow.critical { ", critical" } else { "" };
        let steps: Vec<String> = flow.steps.iter().map(call_in_words).collect();
        let _ = writeln!(text, "\nflow {}{critical}\n  steps: {}", flow.name, steps.join("; "));
    }
    text
}

fn write_service(text: &mut String, service: &ServiceStructure) {
    let team = service.team.as_ref().map_or_else(String::new, |team| format!(", team {team}"));
    let _ = writeln!(text, "\n{} ({}{team})", service.name, service.kind);
    let calls: Vec<String> = service.depends_on.iter().map(call_in_words).collect();
    for (what, entries) in [
        ("depends on", calls),
        ("used by", service.used_by.clone()),
        ("flows", service.flows.clone()),
    ] {
        if !entries.is_empty() {
            let _ = writeln!(text, "  {what}: {}", entries.join("; "));
        }
    }
}

fn call_in_words(call: &DependencyStructure) -> String {
    let mut text = call.on.join(" or ");
    let timeout =
        call.timeout_s.map(|seconds| format!("timeout {} s", (seconds * 1000.0).round() / 1000.0));
    let retries = call.retries.map(|retries| format!("retries {retries}"));
    let fallback = call.fallback.as_ref().map(|fallback| format!("fallback {fallback}"));
    let soft = call.soft.then(|| "soft".to_owned());
    let facts: Vec<String> = [soft, timeout, retries, fallback].into_iter().flatten().collect();
    if !facts.is_empty() {
        let _ = write!(text, " ({})", facts.join(", "));
    }
    text
}
