//! Sentences about a ranking.

use super::format;
use crate::report::RankReport;
use crate::report::rank::{ImpactReport, OriginReport};
use crate::report::{FailureMode, OriginKind};

/// How many names stand in a line.
const NAMES_MAX: usize = 12;

/// Returns the nouns for what breaks: singular and plural.
pub(crate) fn origin_nouns(report: &RankReport) -> [&'static str; 2] {
    match report.by {
        OriginKind::Endpoint => ["endpoint", "endpoints"],
        OriginKind::Domain => ["failure domain", "failure domains"],
        OriginKind::Dependency => ["dependency", "dependencies"],
        OriginKind::Service => ["service", "services"],
    }
}

/// The worst, in a sentence.
pub(crate) fn rank_headline(report: &RankReport, name: fn(&str) -> String) -> String {
    let [noun, nouns] = origin_nouns(report);
    // A topology without such origins is no error; the sentence says that there are none.
    let Some(worst) = report.origins.first() else {
        return format!("{} has no {nouns} that could break", name(&report.topology));
    };
    let how = match report.mode {
        FailureMode::Slow => "hangs",
        FailureMode::Corrupt => "returns wrong answers",
        _ => "is down",
    };
    let orders = worst.orders_per_min.map_or_else(String::new, |orders| {
        format!(", {} orders a minute", amount_text(orders.mean))
    });
    format!(
        "The worst {noun} to lose is {}: when it {how}, {} of {} and {} also fail{orders}",
        name(&worst.name),
        amount_text(worst.flows.mean),
        format::plural(report.flows.len(), "flow"),
        services_clause(worst),
    )
}

fn services_clause(origin: &OriginReport) -> String {
    if origin.services.mean <= 0.0 {
        return "no other service".to_owned();
    }
    let mean = amount_text(origin.services.mean);
    // The number decides as it is shown: 0.9999 is written as 1.
    let noun = if mean == "1" { "service" } else { "services" };
    format!("{mean} other {noun}")
}

/// By flow, what alone takes it down.
pub(crate) fn single_points(report: &RankReport, name: fn(&str) -> String) -> Vec<[String; 2]> {
    let of_flow = |flow: &crate::report::rank::RankFlow| {
        let points =
            report.origins.iter().filter(|origin| origin.single_point_of.contains(&flow.name));
        let names: Vec<String> = points.map(|point| name(&point.name)).collect();
        (!names.is_empty()).then(|| [name(&flow.name), format::list(&names, "and", NAMES_MAX)])
    };
    report.flows.iter().filter_map(of_flow).collect()
}

/// How it was found out.
pub(crate) fn rank_footer(report: &RankReport) -> String {
    let [_, nouns] = origin_nouns(report);
    let shown = report.origins.len() as u64;
    let left_out = match report.left_out {
        0 => String::new(),
        more => format!(", {} not shown", format::count(more as f64)),
    };
    format!(
        "{}: {} {nouns}{left_out}, {} trials each, seed {}, {} engine, blastwave {}",
        report.topology,
        format::count(shown as f64),
        format::count(report.trials as f64),
        report.seed,
        report.engine,
        report.tool_version,
    )
}

/// Says that fewer trials were run than asked for.
pub(crate) fn interruption_note(report: &RankReport) -> Option<String> {
    let trials = format::count(report.trials as f64);
    report.partial.then(|| format!("Interrupted: {trials} trials of each were run"))
}

/// A mean of things that are counted.
pub(crate) fn amount_text(value: f64) -> String {
    // Whole numbers stay whole: `3.00 services` would pretend to a measurement.
    if value == value.round() { format::count(value) } else { format::digits(value, 3) }
}

/// A mean with its worst trial, where that is another.
pub(crate) fn impact_text(of: &ImpactReport) -> String {
    let mean = amount_text(of.mean);
    let worst = amount_text(of.worst);
    if mean == worst { mean } else { format!("{mean} (worst {worst})") }
}

/// The 95% interval of a mean.
pub(crate) fn interval_text(of: &ImpactReport, dash: &str) -> String {
    // Trials that all agree leave no interval.
    if of.low == of.high {
        return "exact".to_owned();
    }
    format!("{}{dash}{}", amount_text(of.low), amount_text(of.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_where_they_can_be() {
        assert_eq!(amount_text(3.0), "3");
        let impact = ImpactReport { mean: 2.0, low: 2.0, high: 2.0, worst: 2.0 };
        assert_eq!(impact_text(&impact), "2");
        assert_eq!(interval_text(&impact, "–"), "exact");
    }
}
