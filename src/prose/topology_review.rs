//! Sentences about the review of a topology: shared by everything that is read by people.

use super::explanation::Section;
use super::format;
use super::simulation::Wording;
use crate::report::compare::SinglePoint;
use crate::report::topology_review::{
    BreakReview, DependencyReview, FlowReview, FlowTrend, ReviewReport,
};
use crate::report::{ComponentKind, Verdict};

/// How many lines a section has at the most, and how many names a line.
const LINES: usize = 20;
const NAMES: usize = 5;

/// Returns the sentence that decides, then the verdict of the policy.
pub(crate) fn headline(report: &ReviewReport, wording: &Wording) -> Vec<String> {
    let mut said = vec![change_sentence(report, wording)];
    said.extend(report.verdict.iter().map(|verdict| verdict_sentence(verdict, wording)));
    if report.partial {
        said.push("Interrupted: fewer trials were run than asked for.".to_owned());
    }
    said
}

/// Returns what the new state loses and gains, the numbers first.
fn change_sentence(report: &ReviewReport, wording: &Wording) -> String {
    let gained = &report.single_points_gained;
    let weaker = flows_of(report, FlowTrend::Weaker) + flows_of(report, FlowTrend::Mixed);
    let stronger = flows_of(report, FlowTrend::Stronger);
    let mut parts = Vec::new();
    if !gained.is_empty() {
        let points = format::plural(gained.len(), "single point");
        parts.push(format!("{points} of failure more ({})", point_names(gained, wording)));
    }
    if !report.single_points_lost.is_empty() {
        let points = format::plural(report.single_points_lost.len(), "single point");
        parts.push(format!("{points} of failure fewer"));
    }
    if weaker > 0 {
        parts.push(format!("{} weaker", format::plural(weaker, "flow")));
    }
    if stronger > 0 {
        parts.push(format!("{} stronger", format::plural(stronger, "flow")));
    }
    if !report.unprotected_dependencies.is_empty() {
        let count = report.unprotected_dependencies.len();
        let noun = if count == 1 { "dependency" } else { "dependencies" };
        parts.push(format!("{count} new {noun} without protection"));
    }
    if !report.weakened_dependencies.is_empty() {
        let count = report.weakened_dependencies.len();
        let noun = if count == 1 { "dependency" } else { "dependencies" };
        parts.push(format!("{count} {noun} with less protection"));
    }
    if parts.is_empty() {
        return "No single break fails a flow more often than before.".to_owned();
    }
    format!("{}.", parts.join(", "))
}

fn flows_of(report: &ReviewReport, trend: FlowTrend) -> usize {
    report.flows.iter().filter(|flow| flow.trend == trend).count()
}

fn point_names(points: &[SinglePoint], wording: &Wording) -> String {
    let names = points.iter().take(NAMES).map(|point| (wording.name)(&point.name));
    with_rest(names.collect(), points.len())
}

/// Joins names, and says how many were left out.
fn with_rest(mut names: Vec<String>, all: usize) -> String {
    if all > names.len() {
        names.push(format!("and {} more", all - names.len()));
    }
    names.join(", ")
}

fn verdict_sentence(verdict: &Verdict, wording: &Wording) -> String {
    let first = verdict.reasons.first().map_or("no reason is known", String::as_str);
    format!("{}: {}", verdict.decision.as_str().to_uppercase(), (wording.name)(first))
}

/// Returns the whole review, section by section.
pub(crate) fn sections(report: &ReviewReport, wording: &Wording) -> Vec<Section> {
    let (gained, lost) = (&report.single_points_gained, &report.single_points_lost);
    let all = [
        Section {
            title: "Flows".to_owned(),
            remark: "single breaks that fail each, and its outage in 90 days".to_owned(),
            lines: report.flows.iter().take(LINES).map(|flow| flow_line(flow, wording)).collect(),
        },
        breaks_section(report, "Worse", |flow| &flow.worse, wording),
        breaks_section(report, "Better", |flow| &flow.better, wording),
        points_section("Single points of failure gained", gained, wording),
        points_section("Single points of failure lost", lost, wording),
        calls_section(
            "New dependencies without protection",
            &report.unprotected_dependencies,
            wording,
        ),
        calls_section("Dependencies with less protection", &report.weakened_dependencies, wording),
        names_section("Added", &report.added, wording),
        names_section("Removed", &report.removed, wording),
        Section {
            title: "Policy".to_owned(),
            remark: String::new(),
            lines: report
                .verdict
                .iter()
                .flat_map(|verdict| verdict.reasons.iter().skip(1))
                .map(|reason| (wording.name)(reason))
                .collect(),
        },
    ];
    all.into_iter().filter(|section| !section.lines.is_empty()).collect()
}

/// Returns the cells of a flow: its name, its trend, its single breaks, its outage minutes, its budget.
pub(crate) fn flow_cells(flow: &FlowReview, wording: &Wording) -> [String; 5] {
    let minutes = format::three_digits;
    let outage = |figure: Option<f64>| figure.map_or_else(|| "unknown".to_owned(), minutes);
    let budget = flow.budget;
    let assumed = if budget.is_assumed { " (assumed)" } else { "" };
    [
        (wording.name)(&flow.name),
        flow.trend.as_str().to_owned(),
        format!("{} {} {}", flow.breaks_before, wording.arrow, flow.breaks_after),
        format!("{} {} {}", outage(budget.before_min), wording.arrow, outage(budget.after_min)),
        format!("{}{assumed}", minutes(budget.budget_min)),
    ]
}

fn flow_line(flow: &FlowReview, wording: &Wording) -> String {
    let [name, trend, breaks, outage, budget] = flow_cells(flow, wording);
    format!(
        "{name}: {trend}; single breaks that fail it: {breaks}; outage minutes: {outage}, allowed {budget}"
    )
}

fn breaks_section(
    report: &ReviewReport,
    title: &str,
    breaks: impl Fn(&FlowReview) -> &Vec<BreakReview>,
    wording: &Wording,
) -> Section {
    let share = |share: Option<f64>| share.map_or_else(|| "not there".to_owned(), format::percent);
    let line = |flow: &FlowReview, item: &BreakReview| {
        let domain = if item.kind == ComponentKind::Domain { "domain " } else { "" };
        format!(
            "{}: fails in {} {} {} of simulations if {domain}{} breaks",
            (wording.name)(&flow.name),
            share(item.before),
            wording.arrow,
            share(item.after),
            (wording.name)(&item.name),
        )
    };
    let lines = report.flows.iter().flat_map(|flow| {
        let shown = breaks(flow).iter().take(NAMES).map(|item| line(flow, item));
        shown.collect::<Vec<String>>()
    });
    Section {
        title: title.to_owned(),
        remark: "share of simulations in which the flow fails because of the break".to_owned(),
        lines: lines.take(LINES).collect(),
    }
}

fn points_section(title: &str, points: &[SinglePoint], wording: &Wording) -> Section {
    let line = |point: &SinglePoint| {
        let flows = point.flows.iter().take(NAMES).map(|flow| (wording.name)(flow)).collect();
        format!("{}: {}", (wording.name)(&point.name), with_rest(flows, point.flows.len()))
    };
    Section {
        title: title.to_owned(),
        remark: "each fails these flows all by itself".to_owned(),
        lines: points.iter().take(LINES).map(line).collect(),
    }
}

fn calls_section(title: &str, calls: &[DependencyReview], wording: &Wording) -> Section {
    let line = |item: &DependencyReview| {
        let missing: Vec<&str> = item.missing.iter().map(|kind| kind.as_str()).collect();
        format!(
            "{} {} {}: no {}",
            (wording.name)(&item.call.caller),
            wording.arrow,
            (wording.name)(&item.call.dependency),
            missing.join(", no ")
        )
    };
    Section {
        title: title.to_owned(),
        remark: String::new(),
        lines: calls.iter().take(LINES).map(line).collect(),
    }
}

fn names_section(title: &str, names: &[String], wording: &Wording) -> Section {
    Section {
        title: title.to_owned(),
        remark: String::new(),
        lines: names.iter().take(LINES).map(|name| (wording.name)(name)).collect(),
    }
}

/// Returns the footer: what was simulated, so that it can be repeated.
pub(crate) fn footer(report: &ReviewReport) -> String {
    let trials = format::plural(usize::try_from(report.trials).unwrap_or(usize::MAX), "trial");
    format!(
        "{} and {} single breaks, {trials} each, seed {}, blastwave {}: simulated, not measured.",
        report.before.breaks, report.after.breaks, report.seed, report.tool_version
    )
}
