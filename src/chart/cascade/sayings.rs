//! What a cascade says in words.

use super::super::frame::{cause, services_left_out, threshold};
use crate::prose::format;
use crate::report::focus::{BoxReport, FocusReport};

/// What happens, in a sentence without its end.
pub(super) fn title(focus: &FocusReport) -> String {
    let cause = cause(&focus.targets, focus.mode.as_deref(), &focus.change);
    format!("{cause}, {}", outcome(focus))
}

fn outcome(focus: &FocusReport) -> String {
    let flow = focus.flows.iter().find(|flow| flow.critical).or(focus.flows.first());
    match flow {
        Some(flow) if flow.failed.p >= focus.threshold => {
            format!("{} fails in {} of trials", flow.name, format::estimate(&flow.failed))
        }
        Some(flow) => {
            format!("{} is degraded in {} of trials", flow.name, format::estimate(&flow.degraded))
        }
        None if focus.flows_left_out > 0 => {
            format!("no order flow is hit in {} of trials or more", format::stated(focus.threshold))
        }
        None => {
            let failing = count(focus, &["fails", "may_fail"]);
            format!("{} can fail", format::plural(failing, "further service"))
        }
    }
}

fn count(focus: &FocusReport, states: &[&str]) -> usize {
    focus.boxes.iter().filter(|it| states.contains(&it.state.as_str())).count()
}

/// How many services are in which state.
pub(in crate::chart) fn counts(focus: &FocusReport) -> String {
    let mut parts = Vec::new();
    let fails = count(focus, &["fails"]);
    let (may, degrades) = (count(focus, &["may_fail"]), count(focus, &["degrades"]));
    let holds = count(focus, &["holds"]);
    let services = |number: usize| format::plural(number, "service");
    if fails > 0 {
        let verb = if fails == 1 { "fails" } else { "fail" };
        parts.push(format!("{} {verb} in at least half of the trials", services(fails)));
    }
    if may > 0 {
        parts.push(match (fails, may) {
            (1.., _) => format!("{may} more in fewer"),
            (_, 1) => "1 service fails in fewer than half of the trials".to_owned(),
            _ => format!("{} fail in fewer than half of the trials", services(may)),
        });
    }
    if degrades > 0 {
        let noun = if fails + may > 0 { degrades.to_string() } else { services(degrades) };
        let verb = if degrades == 1 { "is" } else { "are" };
        parts.push(format!("{noun} {verb} only degraded"));
    }
    if holds > 0 {
        let noun = if parts.is_empty() { services(holds) } else { holds.to_string() };
        let verb = if holds == 1 { "holds" } else { "hold" };
        parts.push(format!("{noun} {verb}"));
    }
    if parts.is_empty() {
        return "nothing else is hit".to_owned();
    }
    parts.join(", ")
}

/// What was left out, and why.
pub(super) fn left_out(focus: &FocusReport) -> Option<String> {
    let share = threshold(focus);
    let mut parts = services_left_out(focus);
    if focus.flows_left_out > 0 {
        let flows = format::plural(focus.flows_left_out, "order flow");
        parts.push(format!("{flows} hit in under {share} of trials or never"));
    }
    let mut text = if parts.is_empty() {
        String::new()
    } else {
        format!("Not drawn: {}.", format::list(&parts, "and", 3))
    };
    if let Some(asked) = focus.threshold_asked {
        let asked = format::stated(asked);
        let more =
            format!("The threshold was raised from {asked} to {share} so that the picture fits.");
        text = if text.is_empty() { more } else { format!("{text} {more}") };
    }
    (!text.is_empty()).then_some(text)
}

/// The picture in words.
pub(super) fn description(focus: &FocusReport) -> String {
    let mut sentences = vec![format!("{}.", counts(focus))];
    for it in focus.boxes.iter().take(30) {
        sentences.push(format!("{}: {}.", it.name, state(it, focus)));
    }
    for edge in &focus.edges {
        if let Some(guard) = edge.guard(focus.threshold).filter(|_| sentences.len() < 60) {
            sentences.push(format!(
                "At the call from {} to {}, {} held in {} of trials.",
                focus.boxes[edge.to].name,
                focus.boxes[edge.from].name,
                guard.guard,
                format::percent(guard.share)
            ));
        }
    }
    sentences.extend(left_out(focus));
    sentences.join(" ")
}

/// What is said of a box: `fails 80% · +3 min`.
pub(in crate::chart) fn state(it: &BoxReport, focus: &FocusReport) -> String {
    let what = match it.state.as_str() {
        "origin" => match focus.mode.as_deref() {
            Some("down") => "goes down here".to_owned(),
            Some("slow") => "hangs here".to_owned(),
            Some("corrupt") => "wrong answers here".to_owned(),
            Some("surge") => "floods from here".to_owned(),
            _ => "change breaks here".to_owned(),
        },
        "fails" | "may_fail" => format!("fails {}", format::percent(rounded(it.failed.p))),
        "degrades" => format!("degraded {}", format::percent(rounded(it.degraded.p))),
        _ => "holds".to_owned(),
    };
    match it.first_failed_s.filter(|_| focus.has_time && it.state != "origin") {
        Some(first) if it.state != "degrades" && it.state != "holds" && first.p50 > 0.0 => {
            format!("{what} · +{}", format::duration(first.p50))
        }
        _ => what,
    }
}

/// What a picture shows of a share: no more than a tenth of a percent.
fn rounded(share: f64) -> f64 {
    if (0.001..=0.999).contains(&share) { (share * 1000.0).round() / 1000.0 } else { share }
}
