//! The report of a simulation, with its verdict where it has one.

use super::shell::{
    escaped_text, isolated_name, name_in_sentence, plain_sentence, sentence_markup, whole_page,
};
use super::table::{HtmlCell, HtmlTable};
use super::{Made, html_figure, html_list, html_section};
use crate::chart::{self, ChartStyle, PageSize, Theme, TimelineLanes};
use crate::prose::format;
use crate::prose::simulation::{self, Wording};
use crate::prose::waiting;
use crate::report::{
    CascadeReport, DependencyReport, ExplainReport, Interval, ObservedReport, PageReport, Report,
    Spread, UnitReport, Verdict,
};
use crate::report::{Decision, TimelineMode};

const WORDING: Wording = Wording { name: name_in_sentence, arrow: "→" };
const DASH: &str = "–";
/// How many calls the table of guards names.
const HELD_MAX: usize = 200;
/// Pictures take the colours of the page.
pub(super) const STYLE: ChartStyle<'static> =
    ChartStyle { size: PageSize::Slide, theme: Theme::Embedded, font: None };

/// The report of a simulation as one HTML file. All three are of the same one.
pub fn simulated_page(
    report: &Report,
    focus: &CascadeReport,
    data: &PageReport,
    made: &Made<'_>,
) -> String {
    diagrams_page(report, focus, data, None, None, made)
}

/// The same with a tornado of what matters most, and what was observed in an incident over the timeline.
pub fn diagrams_page(
    report: &Report,
    focus: &CascadeReport,
    data: &PageReport,
    explained: Option<&ExplainReport>,
    observed: Option<&ObservedReport>,
    made: &Made<'_>,
) -> String {
    let headline = simulation::headline(report, &WORDING);
    let mut body = page_head(report, &headline);
    body.push_str(&page_controls(report, data));
    body.push_str("<main>\n");
    body.push_str(&html_section("flows", "Flows", &flows_table(report)));
    let cascade = html_figure(&chart::draw_cascade(focus, &STYLE));
    body.push_str(&html_section("cascade", "What fails, and what contains it", &cascade));
    body.push_str(&html_section("when", "When", &when_section(report, focus, observed)));
    // Where no orders are counted there is nothing to draw, and the sentences still stand.
    let losses = chart::draw_losses(report, &STYLE).ok();
    let losses = losses.map_or_else(String::new, |svg| html_figure(&svg));
    body.push_str(&html_section(
        "losses",
        "Orders lost",
        &(losses + &html_list(&simulation::losses_in_words(report, &WORDING))),
    ));
    let tornado = explained.and_then(|explained| chart::draw_tornado(explained, &STYLE).ok());
    let tornado = tornado.map_or_else(String::new, |svg| html_figure(&svg));
    body.push_str(&html_section("tornado", "What matters most", &tornado));
    body.push_str(&html_section("services", "Services", &services_table(report)));
    body.push_str(&html_section(
        "held",
        "What contained failure, and what did not",
        &protections_list(report),
    ));
    let waiting = waiting::reasons(&report.waiting, &WORDING);
    body.push_str(&html_section("waiting", waiting::TITLE, &html_list(&waiting)));
    let unknowns = simulation::relevant_unknowns(report)
        .into_iter()
        .map(|item| simulation::unknown_sentence(item, &WORDING));
    let unknowns: Vec<String> = unknowns.collect();
    body.push_str(&html_section("unknowns", "Not stated, and it matters", &html_list(&unknowns)));
    body.push_str(&html_section("assumed", "Assumed", &html_list(&report.assumptions)));
    body.push_str(&made.provenance_section(&report_facts(report)));
    body.push_str("</main>\n");
    body.push_str(&format!(
        "<footer><p>{}</p></footer>\n",
        escaped_text(&simulation::footer(report))
    ));
    whole_page(&plain_sentence(&headline), &body, data)
}

fn page_head(report: &Report, headline: &str) -> String {
    let mut head = String::from("<header>\n");
    // A verdict is what the page is opened for, so it takes the place of the headline.
    if let Some(verdict) = &report.verdict {
        head.push_str(&decision_markup(verdict));
        head.push_str(&format!("<p class=\"lead\">{}</p>\n", sentence_markup(headline)));
    } else {
        head.push_str(&format!("<h1>{}</h1>\n", sentence_markup(headline)));
    }
    if let Some(said) = simulation::per_rollout_sentence(report, &WORDING) {
        head.push_str(&format!("<p>{}</p>\n", sentence_markup(&said)));
    }
    if let Some(said) = simulation::interruption_note(report) {
        head.push_str(&format!(
            "<p class=\"alarm\"><strong>{}</strong></p>\n",
            sentence_markup(&said)
        ));
    }
    for (word, said) in simulation::alarms(report, &WORDING) {
        let said = sentence_markup(&said);
        head.push_str(&format!("<p class=\"alarm\"><strong>{word}:</strong> {said}</p>\n"));
    }
    head.push_str("<p class=\"soft\">Simulated, not measured.</p>\n</header>\n");
    head
}

fn decision_markup(verdict: &Verdict) -> String {
    let (class, word) = match verdict.decision {
        Decision::Proceed => ("proceed", "Proceed"),
        Decision::Caution if simulation::is_open(verdict) => ("caution", "Caution, undecided"),
        Decision::Caution => ("caution", "Caution"),
        Decision::Stop => ("stop", "Stop"),
    };
    let deciders: Vec<String> =
        verdict.deciders.iter().map(|decider| decider.text.clone()).collect();
    let deciders = if deciders.is_empty() {
        String::new()
    } else {
        format!("<p>What decides:</p>\n{}", html_list(&deciders))
    };
    format!("<h1 class=\"{class}\">{word}</h1>\n{}{deciders}", html_list(&verdict.reasons))
}

/// Shown by the script, since they do nothing without it.
pub(super) fn page_controls(report: &Report, data: &PageReport) -> String {
    let options: String = data
        .flows
        .iter()
        .enumerate()
        .map(|(index, flow)| format!("<option value=\"{index}\">{}</option>", escaped_text(flow)))
        .collect();
    let replay = if report.timeline.mode == TimelineMode::Rollout && data.until_s > 0.0 {
        "<span class=\"ctl\"><button type=\"button\" id=\"bw-play\">Play</button> \
         <label for=\"bw-t\">time</label> <input id=\"bw-t\" type=\"range\" min=\"0\" max=\"1000\" \
         value=\"1000\"> <output id=\"bw-t-out\" for=\"bw-t\">all of it</output></span>\n"
    } else {
        ""
    };
    format!(
        "<div id=\"bw-controls\" role=\"group\" aria-label=\"What to show\" hidden>\n\
         <span class=\"ctl\"><label for=\"bw-min\">fails in at least</label> \
         <input id=\"bw-min\" type=\"range\" min=\"0\" max=\"100\" value=\"0\"> \
         <output id=\"bw-min-out\" for=\"bw-min\">0%</output></span>\n\
         <span class=\"ctl\"><label for=\"bw-flow\">flow</label> <select id=\"bw-flow\">\
         <option value=\"\">all</option>{options}</select></span>\n{replay}\
         <span class=\"ctl\"><label for=\"bw-q\">search</label> \
         <input id=\"bw-q\" type=\"search\"></span>\n\
         <p id=\"bw-status\" role=\"status\"></p>\n</div>\n\
         <aside id=\"bw-panel\" aria-label=\"Selected service\" tabindex=\"-1\" hidden></aside>\n"
    )
}

fn share_cell(of: &Interval) -> HtmlCell {
    let shown = format!("{} ({})", format::estimate(of), format::interval(of, DASH));
    HtmlCell::Figure(of.exact.unwrap_or(of.p), shown)
}

fn flows_table(report: &Report) -> String {
    let has_losses = report.flows.iter().any(|flow| flow.orders_lost.is_some());
    let mut columns = vec!["flow:", "fails:", "fails (95% interval)", "degraded or worse"];
    let late = waiting::late_head(&report.flows);
    if !late.is_empty() {
        columns.push("late, but served");
    }
    if has_losses {
        columns.extend(["orders lost", "1 in 20 loses", "worst"]);
    }
    let mut table = HtmlTable::new("bw-flows", &columns);
    for flow in &report.flows {
        let failed = flow.failed.exact.unwrap_or(flow.failed.p);
        let meter = format!(
            "<meter min=\"0\" max=\"1\" low=\"0.01\" high=\"0.5\" optimum=\"0\" value=\"{failed}\">{}</meter>",
            format::percent(failed)
        );
        let mut cells =
            vec![HtmlCell::Markup(meter), share_cell(&flow.failed), share_cell(&flow.degraded)];
        if !late.is_empty() {
            cells.push(late_cell(flow));
        }
        if has_losses {
            match &flow.orders_lost {
                Some(lost) => cells.extend([
                    HtmlCell::Figure(lost.mean, format::mean(lost)),
                    HtmlCell::Figure(lost.p95, format::quantile(lost.p95, lost)),
                    HtmlCell::Figure(lost.max, format::quantile(lost.max, lost)),
                ]),
                None => cells.extend([HtmlCell::Unknown, HtmlCell::Unknown, HtmlCell::Unknown]),
            }
        }
        table.add_row(&unit_name(flow), &cells);
    }
    table.render_table().unwrap_or_default()
}

/// Returns how much of a unit is late, with the number of orders where it is known.
pub(super) fn late_cell(unit: &UnitReport) -> HtmlCell {
    unit.noticeable_late().map_or(HtmlCell::Figure(0.0, String::new()), |late| {
        HtmlCell::Figure(late.p, waiting::late_cell(unit))
    })
}

fn unit_name(unit: &UnitReport) -> String {
    match &unit.title {
        Some(title) => {
            format!("{} <small>{}</small>", isolated_name(&unit.name), isolated_name(title))
        }
        None => isolated_name(&unit.name),
    }
}

fn services_table(report: &Report) -> String {
    let has_time = report.timeline.mode == TimelineMode::Rollout;
    let mut columns = vec!["service:", "team:", "tier", "fails", "degraded or worse"];
    if has_time {
        columns.extend(["first fails after (median)", "fails for (median)"]);
    }
    let mut table = HtmlTable::new("bw-services", &columns);
    let time = |spread: Option<Spread>| match spread {
        Some(spread) => HtmlCell::Figure(spread.p50, format::duration(spread.p50)),
        None => HtmlCell::Unknown,
    };
    for service in &report.services {
        let team = service.team.as_deref().map_or_else(String::new, isolated_name);
        let tier = service
            .tier
            .map_or(HtmlCell::Unknown, |tier| HtmlCell::Figure(f64::from(tier), tier.to_string()));
        let figure =
            |of: &Interval| HtmlCell::Figure(of.exact.unwrap_or(of.p), format::estimate(of));
        let mut cells =
            vec![HtmlCell::Markup(team), tier, figure(&service.failed), figure(&service.degraded)];
        if has_time {
            cells.extend([time(service.first_failed_s), time(service.failed_for_s)]);
        }
        table.add_row(&isolated_name(&service.name), &cells);
    }
    table.render_table().unwrap_or_default()
}

fn protections_list(report: &Report) -> String {
    let columns = ["caller:", "dependency:", "exposed", "propagated", "contained by:"];
    let mut table = HtmlTable::new("bw-held", &columns);
    let held = simulation::contained_calls(report).into_iter().map(|held| (held.at, held.guards));
    let unheld = simulation::uncontained_calls(report)
        .into_iter()
        .map(|unheld| (unheld, "nothing contained it".to_owned()));
    let all: Vec<(&DependencyReport, String)> = held.chain(unheld).collect();
    // A page of thousands of rows opens slowly, and the rest is reached by selecting a service.
    let more = all.len().saturating_sub(HELD_MAX);
    for (at, guards) in all.into_iter().take(HELD_MAX) {
        let cells = [
            HtmlCell::Markup(isolated_name(&at.dependency)),
            HtmlCell::Figure(at.exposed, format::percent(at.exposed)),
            HtmlCell::Figure(at.passed, format::percent(at.passed)),
            HtmlCell::Markup(escaped_text(&guards)),
        ];
        table.add_row(&isolated_name(&at.caller), &cells);
    }
    let more = if more > 0 {
        let calls = format::plural(more, "more call");
        format!(
            "<p class=\"soft\">And {calls}: select a service to see those to it and from it.</p>\n"
        )
    } else {
        String::new()
    };
    table.render_table().unwrap_or_default() + &more
}

fn when_section(
    report: &Report,
    focus: &CascadeReport,
    observed: Option<&ObservedReport>,
) -> String {
    let course = &report.timeline;
    let drawn = chart::draw_timeline(report, focus, TimelineLanes::Team, observed, &STYLE).ok();
    let mut body = drawn.map_or_else(String::new, |svg| html_figure(&svg));
    let spreads: [simulation::CourseSpread; 3] = [
        ("first loss after", course.impact_s, format::duration),
        ("noticed after", course.detected_s, format::duration),
        ("over after", course.resolved_s, format::duration),
    ];
    let items = simulation::course_items(report, &spreads, &WORDING);
    body.push_str(&html_list(&items));
    body
}

fn report_facts(report: &Report) -> Vec<(&'static str, String)> {
    let targets = report.targets.iter().map(|target| {
        let modes =
            target.modes.iter().map(|(mode, p)| format!("{mode} {}", format::stated_share(*p)));
        let modes: Vec<String> = modes.collect();
        let chance = format::stated_share(target.probability);
        format!("{} breaks in {chance}: {}", name_in_sentence(&target.name), modes.join(", "))
    });
    let targets: Vec<String> = targets.collect();
    let trials = format::count(report.trials as f64);
    vec![
        ("topology", name_in_sentence(&report.topology)),
        ("change", name_in_sentence(&report.change)),
        ("what breaks", targets.join("; ")),
        ("chance that the change breaks", format::stated_share(report.failure_probability)),
        ("trials", format!("{trials}, seed {}, {} engine", report.seed, report.engine)),
        ("program", format!("blastwave {}", report.tool_version)),
    ]
}
