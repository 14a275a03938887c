//! Sentences of a comparison: shared by everything that is read by people.

use super::explanation::Section;
use super::format;
use super::simulation::Wording;
use super::waiting;
use crate::report::CompareReport;
use crate::report::compare::{
    Difference, FlowDifference, LossDifference, OnlyContained, PairReport,
};

/// How many lines a section has at the most.
const LINES: usize = 8;

/// The verdict of every pair.
pub(crate) fn headline(report: &CompareReport, wording: &Wording) -> Vec<String> {
    report.pairs.iter().map(|pair| (wording.name)(&pair.verdict)).collect()
}

/// The whole comparison, section by section.
pub(crate) fn sections(report: &CompareReport, wording: &Wording) -> Vec<Section> {
    let all = report.pairs.iter().flat_map(|pair| {
        let [a, b] = [&pair.a, &pair.b].map(|name| (wording.name)(name));
        let only = |name: &str, held: &[OnlyContained]| Section {
            title: format!("Only {name} contains"),
            remark: "as a share of simulations".to_owned(),
            lines: held.iter().take(LINES).map(|held| containment_text(held, wording)).collect(),
        };
        [
            flows_section(pair, report, &format!("{a} {} {b}", wording.arrow), wording),
            services_section(pair, &format!("{a} {} {b}", wording.arrow), wording),
            only(&a, &pair.only_a_contains),
            only(&b, &pair.only_b_contains),
            missing_section(&a, &pair.only_in_a, wording),
            missing_section(&b, &pair.only_in_b, wording),
        ]
    });
    all.filter(|section| !section.lines.is_empty()).collect()
}

/// Returns the footer: what was simulated, so that it can be repeated.
pub(crate) fn footer(report: &CompareReport) -> String {
    let trials = format::plural(usize::try_from(report.trials).unwrap_or(usize::MAX), "trial");
    format!(
        "The same {trials} on each side, seed {}, blastwave {}: simulated, not measured. \
         Intervals are 95%, from differences within each trial.",
        report.seed, report.tool_version
    )
}

fn flows_section(
    pair: &PairReport,
    report: &CompareReport,
    title: &str,
    wording: &Wording,
) -> Section {
    let failed = |side: &str, flow: &str| {
        // A flow that one side does not have has no figure there.
        let side = report.sides.iter().find(|item| item.name == side)?;
        let flow = side.result.flows.iter().find(|item| item.name == flow)?;
        Some(format::estimate(&flow.failed))
    };
    let line = |flow: &FlowDifference| {
        let [a, b] = [&pair.a, &pair.b].map(|side| failed(side, &flow.name).unwrap_or_default());
        let lost = flow.orders_lost.map_or_else(String::new, |lost| {
            format!("; orders lost {}", losses_text(&lost, [&pair.a, &pair.b], wording))
        });
        let by = points_text(&flow.failed);
        let late = late_text(report, [&pair.a, &pair.b], &flow.name, wording);
        format!(
            "{}: fails in {a} {} {b} of simulations ({by}){lost}{late}",
            (wording.name)(&flow.name),
            wording.arrow
        )
    };
    Section {
        title: format!("Flows, {title}"),
        remark: "percentage points more or fewer".to_owned(),
        lines: pair.flows.iter().take(2 * LINES).map(line).collect(),
    }
}

/// Returns how much of a flow is late on each side: `; late at worst 35% (4,200) → 0%`. Empty where it is
/// on neither.
fn late_text(report: &CompareReport, sides: [&str; 2], flow: &str, wording: &Wording) -> String {
    let on = |side: &str| {
        let side = report.sides.iter().find(|item| item.name == side)?;
        let flow = side.result.flows.iter().find(|item| item.name == flow)?;
        flow.noticeable_late().map(|_| waiting::late_cell(flow))
    };
    let [a, b] = sides.map(on);
    if a.is_none() && b.is_none() {
        return String::new();
    }
    let [a, b] = [a, b].map(|share| share.unwrap_or_else(|| "0%".to_owned()));
    format!("; late, but served, at worst {a} {} {b}", wording.arrow)
}

/// `5,100 → 1,900 (-3,300 to -3,100); now loses more in 62% of simulations, planned in 3%`.
fn losses_text(lost: &LossDifference, sides: [&str; 2], wording: &Wording) -> String {
    let of = &lost.difference;
    let signed = |value: f64| {
        let sign = if value < 0.0 { "-" } else { "+" };
        format!("{sign}{}", format::digits(value.abs(), 3))
    };
    // The whole interval must be 0: an estimate of 0 alone may hide a difference.
    let change = if of.low == 0.0 && of.high == 0.0 {
        "no difference".to_owned()
    } else {
        format!("{} to {}", signed(of.low), signed(of.high))
    };
    format!(
        "{} {} {} ({change}); {} loses more in {} of simulations, {} in {}",
        format::digits(lost.a, 3),
        wording.arrow,
        format::digits(lost.b, 3),
        (wording.name)(sides[0]),
        format::percent(lost.a_loses_more.p),
        (wording.name)(sides[1]),
        format::percent(lost.b_loses_more.p),
    )
}

/// A difference of probabilities in percentage points.
fn points_text(of: &Difference) -> String {
    if of.low == 0.0 && of.high == 0.0 {
        return "no difference".to_owned();
    }
    format!("{:+.2}, from {:+.2} to {:+.2}", of.value * 100.0, of.low * 100.0, of.high * 100.0)
}

fn services_section(pair: &PairReport, title: &str, wording: &Wording) -> Section {
    // Thousands of services differ by chance; only a clear difference is worth a line.
    let clear = pair.services.iter().filter(|service| service.failed.is_clear()).take(LINES);
    Section {
        title: format!("Services that fail more or less often, {title}"),
        remark: "percentage points".to_owned(),
        lines: clear
            .map(|clear| format!("{}: {}", (wording.name)(&clear.name), points_text(&clear.failed)))
            .collect(),
    }
}

pub(crate) fn containment_text(only_contained: &OnlyContained, wording: &Wording) -> String {
    let by: Vec<String> = only_contained
        .by
        .iter()
        .map(|(by, share)| format!("{by} {}", format::percent(*share)))
        .collect();
    let other = if only_contained.in_both { "" } else { " (the other has no such call)" };
    let call = wording.call(&only_contained.caller, &only_contained.dependency);
    format!("{call}: {}{other}", format::list(&by, "and", 4))
}

fn missing_section(name: &str, only: &[String], wording: &Wording) -> Section {
    let names: Vec<String> = only.iter().map(|only| (wording.name)(only)).collect();
    Section {
        title: format!("Only {name} has"),
        remark: String::new(),
        lines: if names.is_empty() { Vec::new() } else { vec![format::list(&names, "and", 12)] },
    }
}
