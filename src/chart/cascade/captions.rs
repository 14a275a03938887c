//! What a cascade says in words.

use super::super::frame::{cause, services_left_out, threshold};
use crate::prose::format;
use crate::report::FailureMode;
use crate::report::cascade::{BoxState, CascadeBox, CascadeReport};

/// What happens, in a sentence without its end.
pub(super) fn title(cascade: &CascadeReport) -> String {
    let cause = cause(&cascade.targets, cascade.mode, &cascade.change);
    format!("{cause}, {}", outcome(cascade))
}

fn outcome(cascade: &CascadeReport) -> String {
    let flow = cascade.flows.iter().find(|flow| flow.critical).or(cascade.flows.first());
    match flow {
        Some(flow) if flow.failed.p >= cascade.threshold => {
            format!("{} fails in {} of trials", flow.name, format::estimate(&flow.failed))
        }
        Some(flow) => {
            format!("{} is degraded in {} of trials", flow.name, format::estimate(&flow.degraded))
        }
        None if cascade.flows_omitted > 0 => {
            format!(
                "no order flow is hit in {} of trials or more",
                format::stated(cascade.threshold)
            )
        }
        None => {
            let failing = count(cascade, &[BoxState::Fails, BoxState::MayFail]);
            format!("{} can fail", format::plural(failing, "further service"))
        }
    }
}

fn count(cascade: &CascadeReport, states: &[BoxState]) -> usize {
    cascade.boxes.iter().filter(|it| states.contains(&it.state)).count()
}

/// How many services are in which state.
pub(in crate::chart) fn counts(cascade: &CascadeReport) -> String {
    let mut parts = Vec::new();
    let fails = count(cascade, &[BoxState::Fails]);
    let (may, degrades) =
        (count(cascade, &[BoxState::MayFail]), count(cascade, &[BoxState::Degrades]));
    let holds = count(cascade, &[BoxState::Holds]);
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
pub(super) fn left_out(cascade: &CascadeReport) -> Option<String> {
    let share = threshold(cascade);
    let mut parts = services_left_out(cascade);
    if cascade.flows_omitted > 0 {
        let flows = format::plural(cascade.flows_omitted, "order flow");
        parts.push(format!("{flows} hit in under {share} of trials or never"));
    }
    let mut text = if parts.is_empty() {
        String::new()
    } else {
        format!("Not drawn: {}.", format::list(&parts, "and", 3))
    };
    if let Some(asked) = cascade.threshold_asked {
        let asked = format::stated(asked);
        let more =
            format!("The threshold was raised from {asked} to {share} so that the picture fits.");
        text = if text.is_empty() { more } else { format!("{text} {more}") };
    }
    (!text.is_empty()).then_some(text)
}

/// The picture in words.
pub(super) fn description(cascade: &CascadeReport) -> String {
    let mut sentences = vec![format!("{}.", counts(cascade))];
    for it in cascade.boxes.iter().take(30) {
        sentences.push(format!("{}: {}.", it.name, state(it, cascade)));
    }
    for edge in &cascade.edges {
        if let Some(guard) =
            edge.strongest_guard(cascade.threshold).filter(|_| sentences.len() < 60)
        {
            sentences.push(format!(
                "At the call from {} to {}, {} held in {} of trials.",
                cascade.boxes[edge.to].name,
                cascade.boxes[edge.from].name,
                guard.guard,
                format::percent(guard.share)
            ));
        }
    }
    sentences.extend(left_out(cascade));
    sentences.join(" ")
}

/// What is said of a box: `fails 80% · +3 min`.
pub(in crate::chart) fn state(it: &CascadeBox, cascade: &CascadeReport) -> String {
    let what = match it.state {
        BoxState::Origin => match cascade.mode {
            Some(FailureMode::Down) => "goes down here".to_owned(),
            Some(FailureMode::Slow) => "hangs here".to_owned(),
            Some(FailureMode::Corrupt) => "wrong answers here".to_owned(),
            Some(FailureMode::Surge) => "floods from here".to_owned(),
            None => "change breaks here".to_owned(),
        },
        BoxState::Fails | BoxState::MayFail => {
            format!("fails {}", format::percent(rounded(it.failed.p)))
        }
        BoxState::Degrades => format!("degraded {}", format::percent(rounded(it.degraded.p))),
        BoxState::Holds => "holds".to_owned(),
    };
    match it.first_failed_s.filter(|_| cascade.has_time && it.state != BoxState::Origin) {
        Some(first)
            if !matches!(it.state, BoxState::Degrades | BoxState::Holds) && first.p50 > 0.0 =>
        {
            format!("{what} · +{}", format::duration(first.p50))
        }
        _ => what,
    }
}

/// What a picture shows of a share: no more than a tenth of a percent.
fn rounded(share: f64) -> f64 {
    if (0.001..=0.999).contains(&share) { (share * 1000.0).round() / 1000.0 } else { share }
}
