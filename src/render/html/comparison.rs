//! The report of a comparison.

use super::shell::{
    escaped_text, isolated_name, name_in_sentence, plain_sentence, sentence_markup, whole_page,
};
use super::simulated::{STYLE, late_cell};
use super::table::{HtmlCell, HtmlTable};
use super::{Made, html_figure, html_list, html_section};
use crate::chart;
use crate::prose::comparison as said;
use crate::prose::format;
use crate::prose::simulation::Wording;
use crate::report::compare::{Difference, FlowDifference, LossDifference, PairReport, SideReport};
use crate::report::{CascadeReport, CompareReport, ComparedKind, Interval, Metric, PageReport};

const WORDING: Wording = Wording { name: name_in_sentence, arrow: "→" };

/// A comparison as one HTML file; `focuses` are what of each side fits into a picture, in their order.
pub fn comparison_page(
    report: &CompareReport,
    focuses: &[CascadeReport],
    made: &Made<'_>,
) -> String {
    let verdicts = said::headline(report, &Wording { name: str::to_owned, arrow: "→" });
    let first = verdicts.first().map_or("There is nothing to compare.", String::as_str);
    let mut body = format!("<header>\n<h1>{}</h1>\n", sentence_markup(first));
    for verdict in verdicts.iter().skip(1) {
        body.push_str(&format!("<p class=\"lead\">{}</p>\n", sentence_markup(verdict)));
    }
    if report.partial {
        let trials = format::count(report.trials as f64);
        body.push_str(&format!(
            "<p class=\"alarm\"><strong>Interrupted: these are the first {trials} trials only.</strong></p>\n"
        ));
    }
    body.push_str(
        "<p class=\"soft\">The same trials on each side. Simulated, not measured.</p>\n</header>\n<main>\n",
    );
    for (index, pair) in report.pairs.iter().enumerate() {
        body.push_str(&pair_sections(report, pair, index, focuses));
    }
    body.push_str(&html_section(
        "points",
        "Single points of failure",
        &html_list(&single_points(report)),
    ));
    body.push_str(&html_section("assumed", "Assumed", &html_list(&all_assumptions(report))));
    body.push_str(&made.provenance_section(&comparison_facts(report)));
    body.push_str(&format!(
        "</main>\n<footer><p>{}</p></footer>\n",
        escaped_text(&said::footer(report))
    ));
    whole_page(&plain_sentence(first), &body, &PageReport::default())
}

/// Renders the differences between two sides.
fn pair_sections(
    report: &CompareReport,
    pair: &PairReport,
    index: usize,
    focuses: &[CascadeReport],
) -> String {
    let sides = format!("{} → {}", isolated_name(&pair.a), isolated_name(&pair.b));
    let id =
        // An id may stand only once in a page, and each pair has the same sections.
        |what: &str| if index == 0 { what.to_owned() } else { format!("{what}-{}", index + 1) };
    let mut body = html_section(
        &id("flows"),
        &format!("Flows: {sides}"),
        &flows_table(report, pair, &id("bw-flows")),
    );
    let picture = picture_of(report, pair, index, focuses);
    body.push_str(&html_section(&id("cascade"), &format!("Before and after: {sides}"), &picture));
    let services = services_table(pair, &id("bw-services"));
    body.push_str(&html_section(
        &id("services"),
        &format!("Services that fail more or less often: {sides}"),
        &services,
    ));
    let only = |what: &str, side: &str, items: &[String]| {
        html_section(
            &id(what),
            &format!(
                "Only {} {}",
                isolated_name(side),
                WORDS[usize::from(what.starts_with("has"))]
            ),
            &html_list(items),
        )
    };
    let contained = |held: &[_]| -> Vec<String> {
        held.iter().map(|held| said::containment_text(held, &WORDING)).collect()
    };
    body.push_str(&only("holds-a", &pair.a, &contained(&pair.only_a_contains)));
    body.push_str(&only("holds-b", &pair.b, &contained(&pair.only_b_contains)));
    let named = |names: &[String]| -> Vec<String> {
        names.iter().map(|item| name_in_sentence(item)).collect()
    };
    body.push_str(&only("has-a", &pair.a, &named(&pair.only_in_a)));
    body.push_str(&only("has-b", &pair.b, &named(&pair.only_in_b)));
    let gained = named(&pair.single_points_gained);
    let lost = named(&pair.single_points_lost);
    body.push_str(&html_section(
        &id("points-gained"),
        &format!("Single points of failure that {} adds", isolated_name(&pair.b)),
        &html_list(&gained),
    ));
    body.push_str(&html_section(
        &id("points-lost"),
        &format!("Single points of failure that {} takes away", isolated_name(&pair.b)),
        &html_list(&lost),
    ));
    body
}

/// Headings of what one side alone does.
const WORDS: [&str; 2] = ["contains failure (as shares of simulations)", "has"];

/// Both in the same places; of sides that are the same, one would say as much.
fn picture_of(
    report: &CompareReport,
    pair: &PairReport,
    index: usize,
    focuses: &[CascadeReport],
) -> String {
    let of = |side: &str| {
        let place = report.sides.iter().position(|item| item.name == side)?;
        focuses.get(place)
    };
    let (Some(a), Some(b)) = (of(&pair.a), of(&pair.b)) else { return String::new() };
    // Two equal pictures side by side would say no more than one.
    if pair.identical {
        return html_figure(
            &chart::draw_cascade(a, &STYLE).replace("bw-cascade-", &format!("bw-cascade-{index}-")),
        );
    }
    // Every picture of a page has names of its own for its title and its description.
    let svg = chart::draw_before_after(a, b, &STYLE);
    html_figure(&svg.replace("bw-before-after-", &format!("bw-before-after-{index}-")))
}

fn side_named<'a>(report: &'a CompareReport, name: &str) -> Option<&'a SideReport> {
    report.sides.iter().find(|side| side.name == name)
}

fn flows_table(report: &CompareReport, pair: &PairReport, id: &str) -> String {
    let [a, b] = [&pair.a, &pair.b];
    let has_losses = pair.flows.iter().any(|flow| flow.orders_lost.is_some());
    let mut columns = vec![
        "flow:".to_owned(),
        format!("fails: {a}"),
        format!("fails: {b}"),
        "points more or fewer".to_owned(),
    ];
    let is_late = |side: &str| {
        side_named(report, side).is_some_and(|side| {
            side.result.flows.iter().any(|flow| flow.noticeable_late().is_some())
        })
    };
    let has_late = is_late(a) || is_late(b);
    if has_late {
        columns.extend([format!("late, but served: {a}"), format!("late, but served: {b}")]);
    }
    if has_losses {
        columns.extend([
            format!("orders lost: {a}"),
            format!("orders lost: {b}"),
            "orders more or fewer".to_owned(),
            format!("{a} loses more in"),
            format!("{b} loses more in"),
        ]);
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = HtmlTable::new(id, &columns);
    for flow in &pair.flows {
        let mut cells: Vec<HtmlCell> =
            [a, b].map(|item| failed_cell(report, item, &flow.name)).into();
        cells.push(points_of(&flow.failed));
        if has_late {
            cells.extend([a, b].map(|side| late_cell_of(report, side, &flow.name)));
        }
        if has_losses {
            cells.extend(loss_cells(flow));
        }
        table.add_row(&isolated_name(&flow.name), &cells);
    }
    let total = total_sentence(&pair.total, report.metric);
    // Trials are paired, so the interval is that of the difference, narrower than those of the
    // sides suggest.
    let note = "Points are percentage points; in brackets are 95% intervals, from differences within \
                each trial.";
    let note = format!("<p>{}</p>\n<p class=\"soft\">{note}</p>\n", escaped_text(&total));
    table.render_table().unwrap_or_default() + &note
}

fn failed_cell(report: &CompareReport, of: &str, flow: &str) -> HtmlCell {
    // A flow that one side does not have is unknown there, and not 0.
    let found = side_named(report, of)
        .and_then(|side| side.result.flows.iter().find(|item| item.name == flow));
    found.map_or(HtmlCell::Unknown, |found| share_cell(&found.failed))
}

fn late_cell_of(report: &CompareReport, of: &str, flow: &str) -> HtmlCell {
    let found = side_named(report, of)
        .and_then(|side| side.result.flows.iter().find(|item| item.name == flow));
    found.map_or(HtmlCell::Unknown, late_cell)
}

fn share_cell(of: &Interval) -> HtmlCell {
    HtmlCell::Figure(of.exact.unwrap_or(of.p), format::estimate(of))
}

/// A difference of probabilities, in percentage points.
fn points_of(of: &Difference) -> HtmlCell {
    // The whole interval must be 0: an estimate of 0 alone may hide a difference.
    let shown = if of.low == 0.0 && of.high == 0.0 {
        "none".to_owned()
    } else {
        format!("{:+.2} ({:+.2} to {:+.2})", of.value * 100.0, of.low * 100.0, of.high * 100.0)
    };
    HtmlCell::Figure(of.value, shown)
}

fn loss_cells(flow: &FlowDifference) -> Vec<HtmlCell> {
    let Some(lost) = &flow.orders_lost else { return (0..5).map(|_| HtmlCell::Unknown).collect() };
    let orders = |value: f64| HtmlCell::Figure(value, format::digits(value, 3));
    vec![
        orders(lost.a),
        orders(lost.b),
        HtmlCell::Figure(lost.difference.value, range_text(&lost.difference)),
        share_cell(&lost.a_loses_more),
        share_cell(&lost.b_loses_more),
    ]
}

/// `-3,200 (-3,300 to -3,100)`.
fn range_text(of: &Difference) -> String {
    if of.low == 0.0 && of.high == 0.0 {
        return "none".to_owned();
    }
    let signed = |value: f64| {
        let sign = if value < 0.0 { "-" } else { "+" };
        format!("{sign}{}", format::digits(value.abs(), 3))
    };
    format!("{} ({} to {})", signed(of.value), signed(of.low), signed(of.high))
}

fn total_sentence(of: &LossDifference, metric: Metric) -> String {
    let (what, show): (_, fn(f64) -> String) = if metric == Metric::OrdersLost {
        ("orders lost on average", |value| format::digits(value, 3))
    } else {
        ("of requests fail at peak", format::percent)
    };
    let change = match metric {
        Metric::OrdersLost => range_text(&of.difference),
        Metric::FailingShare => format!(
            "{:+.2} percentage points, from {:+.2} to {:+.2}",
            of.difference.value * 100.0,
            of.difference.low * 100.0,
            of.difference.high * 100.0
        ),
    };
    format!("Over all flows that both have: {} → {} {what}: {change}.", show(of.a), show(of.b))
}

fn services_table(pair: &PairReport, id: &str) -> String {
    let columns = ["service:", "points more or fewer"];
    let mut table = HtmlTable::new(id, &columns);
    // Thousands of services differ by chance; only a clear difference is worth a row.
    for item in pair.services.iter().filter(|service| service.failed.is_clear()) {
        table.add_row(&isolated_name(&item.name), &[points_of(&item.failed)]);
    }
    table.render_table().unwrap_or_default()
}

/// Returns the single points of failure, side by side.
fn single_points(report: &CompareReport) -> Vec<String> {
    let of = |side: &SideReport| {
        let points = side.single_points.iter().map(|single_point| {
            let flows: Vec<String> =
                single_point.flows.iter().map(|flow| name_in_sentence(flow)).collect();
            format!("{} ({})", name_in_sentence(&single_point.name), format::list(&flows, "and", 4))
        });
        let points: Vec<String> = points.collect();
        let said =
            if points.is_empty() { "none".to_owned() } else { format::list(&points, "and", 12) };
        format!("{}: {said}", name_in_sentence(&side.name))
    };
    report.sides.iter().map(of).collect()
}

/// Of all sides, each once.
fn all_assumptions(report: &CompareReport) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for said in report.sides.iter().flat_map(|side| &side.result.assumptions) {
        // Most sides take the same things for granted.
        if !all.contains(said) {
            all.push(said.clone());
        }
    }
    all
}

fn comparison_facts(report: &CompareReport) -> Vec<(&'static str, String)> {
    let sides: Vec<String> = report.sides.iter().map(|side| name_in_sentence(&side.name)).collect();
    let mut facts = vec![(report.of.as_str(), format::list(&sides, "and", 12))];
    if let Some(first) = report.sides.first() {
        facts.push(match report.of {
            ComparedKind::Changes => ("topology", name_in_sentence(&first.result.topology)),
            ComparedKind::Topologies => ("change", name_in_sentence(&first.result.change)),
        });
    }
    let renames: Vec<String> = report
        .renames
        .iter()
        .map(|[old, new]| format!("{} is {}", name_in_sentence(old), name_in_sentence(new)))
        .collect();
    if !renames.is_empty() {
        facts.push(("taken for the same", format::list(&renames, "and", 12)));
    }
    facts.push((
        "trials",
        format!("{} on each side, seed {}", format::count(report.trials as f64), report.seed),
    ));
    facts.push(("program", format!("blastwave {}", report.tool_version)));
    facts
}
