//! Sentences of an explanation: shared by everything that is read by people.

use super::format;
use super::simulation::Wording;
use super::terms;
use super::waiting;
use crate::report::explain::{
    CutEventReport, CutSetsReport, FlowExplained, ImportanceReport, PathReport, ProtectionReport,
};
use crate::report::{CallReport, ExplainReport};
use crate::report::{CutEventKind, EventScope, FailureOrigin, Metric, PartKind};

/// How many lines a section has at the most.
const LINES: usize = 8;

/// A part in failures below this is not worth a number: one in a hundred thousand.
const NEGLIGIBLE: f64 = 1e-5;

/// A head and what stands below it.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) remark: String,
    pub(crate) lines: Vec<String>,
}

/// The whole explanation, section by section.
pub(crate) fn sections(report: &ExplainReport, wording: &Wording) -> Vec<Section> {
    let flows = report.flows.iter().flat_map(|flow| flow_sections(flow, wording));
    let all = flows.chain([
        waiting_section(report, wording),
        protections_section(report, wording),
        unknowns_section(report, wording),
    ]);
    all.filter(|section| !section.lines.is_empty()).collect()
}

/// How likely each flow fails.
pub(crate) fn headline(report: &ExplainReport, wording: &Wording) -> Vec<String> {
    let mut said: Vec<String> = report
        .flows
        .iter()
        .map(|flow| {
            let (name, failed) = ((wording.name)(&flow.unit.name), &flow.unit.failed);
            let certainty = format::interval(failed, wording.dash());
            let fails = format!(
                "{name} fails in {} of simulations ({certainty}).",
                format::estimate(failed)
            );
            match flow.unit.noticeable_late() {
                Some(late) => {
                    let late = format::percent(late.p);
                    format!(
                        "{fails} {name} is late, but served, in {late} of its requests at worst."
                    )
                }
                None => fails,
            }
        })
        .collect();
    if let Some(reason) = &report.exact.reason {
        said.push(format!("Figures are estimated from trials: {reason}."));
    }
    said
}

/// Returns the footer: what was simulated, so that it can be repeated.
pub(crate) fn footer(report: &ExplainReport) -> String {
    let trials = format::plural(usize::try_from(report.trials).unwrap_or(usize::MAX), "trial");
    format!(
        "{trials}, seed {}, {} engine, blastwave {}: simulated, not measured.",
        report.seed, report.engine, report.tool_version
    )
}

fn flow_sections(flow: &FlowExplained, wording: &Wording) -> Vec<Section> {
    let name = (wording.name)(&flow.unit.name);
    let mut sections = Vec::new();
    if let Some(reason) = &flow.no_cut_sets {
        sections.push(Section {
            title: format!("What fails {name}"),
            remark: String::new(),
            lines: vec![format!("cut sets could not be found: {reason}")],
        });
    }
    if let Some(cut_sets) = &flow.cut_sets {
        sections.push(cut_sets_section(&name, cut_sets, wording));
    }
    sections.push(Section {
        title: format!("What matters most to {name}"),
        remark: format!(
            "how much more likely it fails when this has failed than when it works{}",
            left_out(flow.importance_left_out, "part", "that failure came to")
        ),
        lines: first_lines(
            flow.importance.iter().map(|item| importance_text(item, wording)),
            flow.importance.len(),
        ),
    });
    let through: Vec<&PathReport> =
        flow.paths.iter().filter(|path| path.contained_by.is_none()).collect();
    let held: Vec<&PathReport> =
        flow.paths.iter().filter(|path| path.contained_by.is_some()).collect();
    let more = if flow.paths_incomplete { "; not all were followed" } else { "" };
    let remark = format!("as a share of simulations; several may be open at once{more}");
    sections.push(Section {
        title: format!("Paths by which failure reached {name}"),
        remark: remark.clone(),
        lines: first_lines(
            through.iter().map(|through| path_text(through, wording)),
            through.len(),
        ),
    });
    sections.push(Section {
        title: format!("Paths to {name} on which failure was contained"),
        remark,
        lines: first_lines(held.iter().map(|held| path_text(held, wording)), held.len()),
    });
    sections
}

/// So many lines, and how many more there are.
fn first_lines(lines: impl Iterator<Item = String>, count: usize) -> Vec<String> {
    let mut shown: Vec<String> = lines.take(LINES).collect();
    if count > LINES {
        shown.push(format!("and {} more", format::count((count - LINES) as f64)));
    }
    shown
}

/// Returns the sentence on what was left out because it was too much, and by which order.
fn left_out(number: u64, noun: &str, what: &str) -> String {
    if number == 0 {
        return String::new();
    }
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    format!("; not tried: the {} {what} least often", format::plural(number, noun))
}

fn cut_sets_section(name: &str, of: &CutSetsReport, wording: &Wording) -> Section {
    let mut remark = match of.complete_to_order {
        Some(order) => format!(
            // Larger sets exist perhaps, but were not searched for, which must not be read as
            // "none".
            "{} of at most {order}: larger ones were not looked for",
            format::plural(usize::try_from(of.count).unwrap_or(usize::MAX), "smallest set")
        ),
        None if of.count == 1 => "the only smallest set".to_owned(),
        None => format!(
            "all {}",
            format::plural(usize::try_from(of.count).unwrap_or(usize::MAX), "smallest set")
        ),
    };
    if of.events == EventScope::Structural {
        remark.push_str(", with services and domains however unlikely");
    }
    if let Some(reason) = &of.simplified {
        remark.push_str(&format!("; taken as all or nothing at one moment, since {reason}"));
    }
    let lines = of.sets.iter().enumerate().map(|(place, set)| {
        let joint = if place == 0 { "if" } else { "or" };
        let events: Vec<String> =
            set.events.iter().map(|item| cut_event_text(item, wording)).collect();
        let events = if events.is_empty() {
            "nothing more happens".to_owned()
        } else {
            events.join(" and ")
        };
        let share = set.share.map_or_else(String::new, |share| {
            format!(", {} of its failures", format::percent(share.min(1.0)))
        });
        let chance = if set.probability > 0.0 {
            format!(" ({}{share})", format::percent(set.probability))
        } else {
            String::new()
        };
        format!("{joint} {events}{chance}")
    });
    let count = usize::try_from(of.count).unwrap_or(usize::MAX);
    Section { title: format!("{name} fails"), remark, lines: first_lines(lines, count) }
}

fn cut_event_text(cut_event: &CutEventReport, wording: &Wording) -> String {
    let name = part_text(&cut_event.name, cut_event.call.as_ref(), wording);
    match (cut_event.kind, cut_event.mode) {
        (CutEventKind::Dependency, _) => format!("failure passes {name}"),
        (CutEventKind::Fallback, _) => format!("no fallback at {name}"),
        (CutEventKind::Replica, _) => format!("replica {name}"),
        // Only what the change breaks has a mode; without one it is down for its own reasons.
        (_, Some(mode)) => format!("change to {name} ({mode})"),
        _ => name,
    }
}

/// A name; of a dependency both ends.
fn part_text(name: &str, call: Option<&CallReport>, wording: &Wording) -> String {
    match call {
        Some(call) => wording.call(&call.caller, &call.dependency),
        None => (wording.name)(name),
    }
}

fn importance_text(importance: &ImportanceReport, wording: &Wording) -> String {
    let name = part_text(&importance.name, importance.call.as_ref(), wording);
    let what = match importance.kind {
        PartKind::Dependency => "call ",
        PartKind::Fallback => "fallback of ",
        PartKind::Replicas => "replicas of ",
        PartKind::Domain => "domain ",
        PartKind::Target => "change to ",
        PartKind::Service | PartKind::Endpoint => "",
    };
    let birnbaum = &importance.birnbaum;
    let interval = match (birnbaum.low, birnbaum.high) {
        (Some(low), Some(high)) => {
            let dash = wording.dash();
            let end = |value: f64| format::percent(value.max(0.0));
            format!(" ({}{dash}{})", end(low), end(high))
        }
        _ => String::new(),
    };
    let mut said = format!("{what}{name}: {}{interval}", signed_points(birnbaum.value));
    if let Some(share) = importance.criticality.filter(|share| *share >= NEGLIGIBLE) {
        // Rounding may bring it above 1.
        said.push_str(&format!("; the cause of {} of failures", format::percent(share.min(1.0))));
    }
    if let Some(worth) = importance.risk_achievement_worth.filter(|worth| *worth > 1.0) {
        said.push_str(&format!("; {} times as likely when failed", format::two_digits(worth)));
    }
    said
}

fn signed_points(share: f64) -> String {
    if share < 0.0 { format!("-{}", format::percent(-share)) } else { format::percent(share) }
}

fn path_text(path: &PathReport, wording: &Wording) -> String {
    let names: Vec<String> = path.through.iter().map(|name| (wording.name)(name)).collect();
    let way = names.join(&format!(" {} ", wording.arrow));
    let origin = match path.origin {
        FailureOrigin::Background => ", down for its own reasons",
        FailureOrigin::Overload => ", overloaded",
        FailureOrigin::Target => "",
    };
    let held = path
        .contained_by
        .map_or_else(String::new, |by| format!(", contained there: {}", terms::protection(by)));
    format!("{} {way}{origin}{held}", format::percent(path.share))
}

fn waiting_section(report: &ExplainReport, wording: &Wording) -> Section {
    Section {
        title: waiting::TITLE.to_owned(),
        remark: "as a share of simulations".to_owned(),
        lines: waiting::reasons(&report.waiting, wording),
    }
}

fn protections_section(report: &ExplainReport, wording: &Wording) -> Section {
    let lines = report.containment.iter().map(|containment| protection_text(containment, wording));
    Section {
        title: "What protections did".to_owned(),
        remark: format!(
            "and what would be lost more without each, with the same draws{}",
            left_out(report.containment_left_out, "protection", "that contained failure")
        ),
        lines: first_lines(lines, report.containment.len()),
    }
}

fn protection_text(protection: &ProtectionReport, wording: &Wording) -> String {
    let call = wording.call(&protection.caller, &protection.dependency);
    let saved = protection.saved.map_or_else(String::new, |saved| {
        let low = saved.low.unwrap_or(saved.value);
        let high = saved.high.unwrap_or(saved.value);
        let dash = wording.dash();
        // An interval that holds 0 shows no saving.
        let is_noise = low <= 0.0 && high >= 0.0;
        match (is_noise, protection.metric) {
            (true, _) => ", saved nothing that shows".to_owned(),
            (_, Metric::OrdersLost) => {
                let [value, low, high] = [saved.value, low, high].map(format::two_digits);
                format!(", saved {value} orders on average ({low}{dash}{high})")
            }
            _ => {
                let [value, low, high] = [saved.value, low, high].map(signed_points);
                format!(", saved {value} of requests ({low}{dash}{high})")
            }
        }
    });
    format!(
        "{} at {call}: contained {} of {}, propagated {}{saved}",
        protection.protection,
        format::percent(protection.contained),
        format::percent(protection.exposed),
        format::percent(protection.passed)
    )
}

fn unknowns_section(report: &ExplainReport, wording: &Wording) -> Section {
    let lines =
        report.unknowns.iter().map(|item| super::simulation::unknown_sentence(item, wording));
    Section {
        title: "Measure this first".to_owned(),
        remark: "what is not stated and matters: the result at best and at worst".to_owned(),
        lines: first_lines(lines, report.unknowns.len()),
    }
}
