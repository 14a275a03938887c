//! Sentences on differences from an earlier result, and on what several changes do together.

use super::format;
use super::simulation::Wording;
use crate::report::{BaselineReport, DeltaReport, DifferenceReport, InteractionReport, Report};

/// Maximum number of services, and of names, in a sentence.
const NAMES_MAX: usize = 5;

/// Returns what got worse or better since an earlier result, and what keeps the two from being
/// compared.
pub(crate) fn baseline_sentences(report: &Report, wording: &Wording) -> Vec<String> {
    let Some(baseline) = &report.baseline else { return Vec::new() };
    let mut lines: Vec<String> = baseline.differs.iter().map(|text| format!("{text}.")).collect();
    let flows: Vec<&DeltaReport> =
        // A difference whose interval holds 0 may be chance, and would be read as a change.
        baseline.flows.iter().filter(|flow| is_real(&flow.failed)).collect();
    if flows.is_empty() && !baseline.flows.is_empty() {
        lines.push("No flow fails more or less often, beyond what chance explains.".to_owned());
    }
    lines.extend(flows.iter().map(|flow| share_change(flow, wording)));
    lines.extend(baseline.flows.iter().filter_map(|flow| lost_change(flow, wording)));
    lines.extend(
        baseline.services.iter().take(NAMES_MAX).map(|service| share_change(service, wording)),
    );
    let more = baseline.services.len().saturating_sub(NAMES_MAX);
    if more > 0 {
        lines.push(format!("So do {} more often or less.", format::plural(more, "more service")));
    }
    lines.extend(names_on_one_side(baseline, wording));
    lines
}

/// Returns the effect on each flow of several changes, each alone and all together.
pub(crate) fn together_sentences(report: &Report, wording: &Wording) -> Vec<String> {
    let Some(together) = &report.together else { return Vec::new() };
    let names: Vec<String> =
        together.alone.iter().map(|alone| (wording.name)(&alone.change)).collect();
    together
        .flows
        .iter()
        .take(NAMES_MAX * 2)
        .map(|flow| interaction_sentence(flow, &names, wording))
        .collect()
}

fn interaction_sentence(flow: &InteractionReport, changes: &[String], wording: &Wording) -> String {
    let alone: Vec<String> = changes
        .iter()
        .zip(&flow.alone)
        .map(|(name, alone)| format!("{} by {name}", format::percent(alone.p)))
        .collect();
    let joint = format!(
        "{} by all of them, {} if they only coincided",
        format::percent(flow.together.p),
        format::percent(flow.independent)
    );
    // Without the losses of each alone there is no sum to compare with.
    let lost = flow.orders_lost_together.filter(|_| !flow.orders_lost_alone.is_empty());
    let lost = lost.map_or_else(String::new, |all| {
        let sum = flow.orders_lost_alone.iter().sum();
        let (all, sum) = (format::two_digits(all), format::two_digits(sum));
        format!("; {all} orders lost on average, {sum} by each alone in sum")
    });
    format!("{} fails: {}; {joint}{lost}.", (wording.name)(&flow.name), alone.join(", "))
}

/// Whether the interval of a difference is clear of nothing.
fn is_real(difference: &DifferenceReport) -> bool {
    difference.low > 0.0 || difference.high < 0.0
}

fn share_change(delta: &DeltaReport, wording: &Wording) -> String {
    let (low, high) = (delta.failed.low, delta.failed.high);
    let points = |share: f64| format!("{:+.1}", share * 100.0);
    format!(
        "{} fails {} often: {} {} {} ({} to {} points).",
        (wording.name)(&delta.name),
        if low > 0.0 { "more" } else { "less" },
        format::percent(delta.failed.before),
        wording.arrow,
        format::percent(delta.failed.after),
        points(low),
        points(high)
    )
}

fn lost_change(delta: &DeltaReport, wording: &Wording) -> Option<String> {
    let lost = delta.orders_lost.filter(is_real)?;
    let word = if lost.low > 0.0 { "more" } else { "fewer" };
    let tail = delta.orders_lost_p95.map_or_else(String::new, |orders_lost_p95| {
        let (before, after) =
            (format::two_digits(orders_lost_p95.before), format::two_digits(orders_lost_p95.after));
        format!("; 1 in 20: {before} {} {after}", wording.arrow)
    });
    let (before, after) = (format::two_digits(lost.before), format::two_digits(lost.after));
    Some(format!(
        "{} loses {word} orders on average: {before} {} {after}{tail}.",
        (wording.name)(&delta.name),
        wording.arrow
    ))
}

fn names_on_one_side(baseline: &BaselineReport, wording: &Wording) -> Vec<String> {
    let name_list = |names: &[String], where_| {
        let list: Vec<String> = names.iter().map(|name| (wording.name)(name)).collect();
        (!list.is_empty()).then(|| format!("{where_} {}.", format::list(&list, "and", NAMES_MAX)))
    };
    let added = name_list(&baseline.added, "Only in this result:");
    let removed = name_list(&baseline.removed, "Only in the earlier one:");
    let points =
        |of: &Option<Vec<String>>, said| name_list(of.as_deref().unwrap_or_default(), said);
    let gained = points(&baseline.single_points_gained, "New single points of failure:");
    let lost = points(&baseline.single_points_lost, "No longer a single point of failure:");
    gained.into_iter().chain(lost).chain(added).chain(removed).collect()
}
