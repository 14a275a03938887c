//! Captions of a cascade.

use std::collections::BTreeMap;

use super::super::frame::{cause_clause, services_left_out, threshold_note};
use crate::prose::format;
use crate::prose::terms;
use crate::report::cascade::{
    Arrows, BoxState, CascadeBox, CascadeEdge, CascadeReport, CascadeTotals, EdgeKind,
    FoldedServices, GuardShare,
};
use crate::report::{FailureMode, Protection};

/// Returns the title: what happens, as a sentence without its full stop.
pub(super) fn cascade_title(cascade: &CascadeReport) -> String {
    let cause = cause_clause(&cascade.targets, cascade.mode, &cascade.change);
    format!("{cause}, {}", outcome_clause(cascade))
}

/// Several flows that fail this often are told by their number: there is no single one to name.
const SURELY: f64 = 0.995;

fn outcome_clause(cascade: &CascadeReport) -> String {
    let all = cascade.flows.len() + cascade.flows_omitted;
    let failing = cascade.flows.iter().filter(|flow| flow.failed.p >= SURELY).count();
    if failing > 1 && failing == all {
        return format!("all {} order flows fail", format::count(all as f64));
    }
    if failing > 2 {
        let (failing, all) = (format::count(failing as f64), format::count(all as f64));
        return format!("{failing} of {all} order flows fail");
    }
    // A critical flow is named before all others.
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
                format::stated_share(cascade.threshold)
            )
        }
        None => {
            let failing = cascade.totals.fails + cascade.totals.may_fail;
            format!("{} can fail", format::plural(failing, "further service"))
        }
    }
}

/// Returns how many services are in which state, drawn or not.
pub(in crate::chart) fn state_counts(cascade: &CascadeReport) -> String {
    let CascadeTotals { fails, may_fail, degrades, holds } = cascade.totals;
    let mut parts = Vec::new();
    let services = |number: usize| format::plural(number, "service");
    if fails > 0 {
        let verb = if fails == 1 { "fails" } else { "fail" };
        parts.push(format!("{} {verb} in at least half of the trials", services(fails)));
    }
    if may_fail > 0 {
        parts.push(match (fails, may_fail) {
            (1.., _) => format!("{} more in fewer", format::count(may_fail as f64)),
            (_, 1) => "1 service fails in fewer than half of the trials".to_owned(),
            _ => format!("{} fail in fewer than half of the trials", services(may_fail)),
        });
    }
    let noun = |parts: &[String], number: usize| match parts {
        [] => services(number),
        _ => format::count(number as f64),
    };
    if degrades > 0 {
        let verb = if degrades == 1 { "is" } else { "are" };
        parts.push(format!("{} {verb} only degraded", noun(&parts, degrades)));
    }
    if holds > 0 {
        let verb = if holds == 1 { "holds" } else { "hold" };
        parts.push(format!("{} {verb}", noun(&parts, holds)));
    }
    if parts.is_empty() {
        return "nothing else is hit".to_owned();
    }
    parts.join(", ")
}

/// Returns the note about what was left out, and why.
pub(in crate::chart) fn left_out(cascade: &CascadeReport) -> Option<String> {
    let share = threshold_note(cascade);
    let mut parts = services_left_out(cascade);
    if cascade.flows_omitted > 0 {
        let flows = format::plural(cascade.flows_omitted, "order flow");
        parts.push(format!("{flows} hit in under {share} of trials or never"));
    }
    let mut sentences = Vec::new();
    if !parts.is_empty() {
        sentences.push(format!("Not drawn: {}.", format::list(&parts, "and", 3)));
    }
    sentences.extend(arrow_note(cascade));
    let mut text = sentences.join(" ");
    if let Some(asked) = cascade.threshold_asked {
        let asked = format::stated_share(asked);
        let more =
            format!("The threshold was raised from {asked} to {share} so that the picture fits.");
        text = if text.is_empty() { more } else { format!("{text} {more}") };
    }
    (!text.is_empty()).then_some(text)
}

/// Returns the calls that have no arrow of their own, where every box has one only.
fn arrow_note(cascade: &CascadeReport) -> Option<String> {
    if cascade.arrows == Arrows::All {
        return None;
    }
    let note = match cascade.further_calls {
        0 => "One arrow per box, the strongest way in.".to_owned(),
        1 => "One arrow per box, the strongest way in; 1 more call carries failure too.".to_owned(),
        calls => format!(
            "One arrow per box, the strongest way in; {} more calls carry failure too.",
            format::count(calls as f64)
        ),
    };
    Some(note)
}

/// Returns the name of a box, with the number of services that it stands for.
pub(in crate::chart) fn box_name(drawn: &CascadeBox) -> String {
    match &drawn.folded {
        // The label of folded callers is a number already.
        Some(folded) if !drawn.name.starts_with(|letter: char| letter.is_ascii_digit()) => {
            format!("{}: {}", drawn.name, format::plural(folded.names.len(), "service"))
        }
        _ => drawn.name.clone(),
    }
}

/// Returns the state that most boxes share: a dense picture says it once.
pub(super) fn common_state(cascade: &CascadeReport) -> Option<String> {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    let mut single = 0;
    for (index, drawn) in cascade.boxes.iter().enumerate() {
        if drawn.state != BoxState::Origin && drawn.folded.is_none() {
            let way = cascade.edges.iter().find(|edge| edge.to == index);
            *states.entry(dense_state(drawn, cascade, way)).or_default() += 1;
            single += 1;
        }
    }
    let (text, count) = states.into_iter().max_by_key(|(_, count)| *count)?;
    // Unless most boxes share a state, leaving it out saves nothing.
    (count > 3 && count * 2 > single).then_some(text)
}

/// Returns the state of a box in a dense picture, where arrows have no labels.
pub(super) fn dense_state(
    drawn: &CascadeBox,
    cascade: &CascadeReport,
    way: Option<&CascadeEdge>,
) -> String {
    let said = box_state(drawn, cascade);
    let Some(edge) = way else { return said };
    let held = edge.strongest_guard(cascade.threshold);
    let mut parts = vec![said];
    if edge.kind == EdgeKind::RunsIn {
        parts.push("runs there".to_owned());
    }
    parts.extend(held.filter(|_| drawn.folded.is_none()).map(guard_caption));
    parts.join(" · ")
}

/// Returns the state of services that are shown as one box: `248 services: 150 fail, 98 degraded`.
fn folded_state(folded: &FoldedServices) -> String {
    let count = |number: usize| format::count(number as f64);
    let total = folded.names.len();
    let verb = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", count(number)),
    };
    let mut parts = Vec::new();
    if folded.failing > 0 {
        parts.push(verb(folded.failing, "fails", "fail"));
    }
    if folded.degraded > 0 {
        parts.push(format!("{} degraded", count(folded.degraded)));
    }
    let holding = total - folded.failing - folded.degraded;
    if holding > 0 {
        parts.push(verb(holding, "holds", "hold"));
    }
    let said = parts.join(", ");
    // How many are reached through the callers is told where there are any.
    if total > folded.direct { format!("{} services: {said}", count(total)) } else { said }
}

/// Returns the words for a protection that held.
pub(in crate::chart) fn guard_caption(guard: &GuardShare) -> String {
    let share = format::percent(rounded_share(guard.share));
    match guard.guard {
        Protection::CallProbability => format!("not called {share}"),
        Protection::Propagation => format!("not propagated {share}"),
        Protection::Soft => format!("soft call held {share}"),
        other => format!("{} held {share}", terms::protection(other)),
    }
}

/// The picture in words.
pub(super) fn cascade_description(cascade: &CascadeReport) -> String {
    let mut sentences = vec![format!("{}.", state_counts(cascade))];
    for item in cascade.boxes.iter().take(30) {
        sentences.push(format!("{}: {}.", item.name, box_state(item, cascade)));
    }
    // A description may be read aloud, so it holds only the first boxes.
    for edge in &cascade.edges {
        if let Some(guard) =
            edge.strongest_guard(cascade.threshold).filter(|_| sentences.len() < 60)
        {
            sentences.push(format!(
                "At the call from {} to {}: {} of trials.",
                cascade.boxes[edge.to].name,
                cascade.boxes[edge.from].name,
                guard_caption(guard)
            ));
        }
    }
    sentences.extend(left_out(cascade));
    sentences.join(" ")
}

/// Returns the state of a box: `fails 80% · +3 min`.
pub(in crate::chart) fn box_state(drawn: &CascadeBox, cascade: &CascadeReport) -> String {
    if let Some(folded) = &drawn.folded {
        return folded_state(folded);
    }
    let (failed, degraded) = (rounded_share(drawn.failed.p), rounded_share(drawn.degraded.p));
    let what = match drawn.state {
        BoxState::Origin => match cascade.mode {
            Some(FailureMode::Down) => "goes down here".to_owned(),
            Some(FailureMode::Slow) => "hangs here".to_owned(),
            Some(FailureMode::Corrupt) => "wrong answers here".to_owned(),
            Some(FailureMode::Surge) => "floods from here".to_owned(),
            None => "change breaks here".to_owned(),
        },
        BoxState::Fails | BoxState::MayFail if degraded - failed >= ALSO_DEGRADED => {
            format!("fails {}, degraded {}", format::percent(failed), format::percent(degraded))
        }
        BoxState::Fails | BoxState::MayFail => format!("fails {}", format::percent(failed)),
        BoxState::Degrades => format!("degraded {}", format::percent(degraded)),
        BoxState::Holds if drawn.degraded.p >= cascade.threshold => {
            format!("holds, degraded {}", format::percent(degraded))
        }
        BoxState::Holds => "holds".to_owned(),
    };
    let is_failing = matches!(drawn.state, BoxState::Fails | BoxState::MayFail);
    match drawn.first_failed_s.filter(|_| cascade.has_time && is_failing) {
        Some(first) if first.p50 > 0.0 => format!("{what} · +{}", format::duration(first.p50)),
        _ => what,
    }
}

/// A box that fails says how often it is degraded as well, where that is more often by this share.
const ALSO_DEGRADED: f64 = 0.05;

/// Rounds a share to a tenth of a percent, as pictures show it.
fn rounded_share(share: f64) -> f64 {
    // Shares close to 0 and 1 keep their digits: rounded, they would say never or always.
    if (0.001..=0.999).contains(&share) { (share * 1000.0).round() / 1000.0 } else { share }
}
