//! The report of a ranking.

use super::shell::{
    escaped_text, isolated_name, name_in_sentence, plain_sentence, sentence_markup, whole_page,
};
use super::table::{HtmlCell, HtmlTable};
use super::{Made, html_figure, html_list, html_section};
use crate::chart::{self, ChartStyle, PageSize, Theme};
use crate::prose::format;
use crate::prose::ranking;
use crate::report::rank::ImpactReport;
use crate::report::{PageReport, RankReport};

/// A ranking as one HTML file.
pub fn rank_page(report: &RankReport, made: &Made<'_>) -> String {
    let headline = ranking::rank_headline(report, name_in_sentence);
    let mut body = format!("<header>\n<h1>{}</h1>\n", sentence_markup(&headline));
    if let Some(note) = ranking::interruption_note(report) {
        body.push_str(&format!(
            "<p class=\"alarm\"><strong>{}</strong></p>\n",
            escaped_text(&note)
        ));
    }
    body.push_str("<p class=\"soft\">Simulated, not measured.</p>\n</header>\n");
    // Hidden until the script runs, since the controls do nothing without it.
    body.push_str(
        "<div id=\"bw-controls\" role=\"group\" aria-label=\"What to show\" hidden>\n\
         <span class=\"ctl\"><label for=\"bw-q\">search</label> \
         <input id=\"bw-q\" type=\"search\"></span>\n\
         <p id=\"bw-status\" role=\"status\"></p>\n</div>\n<main>\n",
    );
    let style = ChartStyle { size: PageSize::Slide, theme: Theme::Embedded, font: None };
    let heat = html_figure(&chart::draw_heatmap(report, &style));
    body.push_str(&html_section("heat", "Which flow fails when which breaks", &heat));
    body.push_str(&html_section(
        "origins",
        "Everything that can break, the worst first",
        &origins_table(report),
    ));
    let points = ranking::single_points(report, name_in_sentence);
    let points: Vec<String> = points
        .into_iter()
        .map(|[flow, by]| format!("{flow} fails by each of {by} alone"))
        .collect();
    body.push_str(&html_section("points", "Single points of failure", &html_list(&points)));
    body.push_str(&html_section("assumed", "Assumed", &html_list(&report.assumptions)));
    let facts = [
        ("topology", name_in_sentence(&report.topology)),
        (
            "what breaks",
            format!("each {}, which is then {}", ranking::origin_nouns(report)[0], report.mode),
        ),
        ("trials", format!("{} each, seed {}", format::count(report.trials as f64), report.seed)),
        ("program", format!("blastwave {}", report.tool_version)),
    ];
    body.push_str(&made.provenance_section(&facts));
    body.push_str(&format!(
        "</main>\n<footer><p>{}</p></footer>\n",
        escaped_text(&ranking::rank_footer(report))
    ));
    whole_page(&plain_sentence(&headline), &body, &PageReport::default())
}

fn origins_table(report: &RankReport) -> String {
    let has_orders = report.origins.iter().any(|origin| origin.orders_per_min.is_some());
    let mut columns = vec!["breaks:", "place", "team:", "flows", "other services"];
    if has_orders {
        columns.push("orders per minute");
    }
    columns.push("alone takes down:");
    let mut table = HtmlTable::new("bw-services", &columns);
    let figure = |toll: &ImpactReport| HtmlCell::Figure(toll.mean, ranking::impact_text(toll));
    for origin in &report.origins {
        let mut cells = vec![
            HtmlCell::Figure(origin.rank as f64, format::count(origin.rank as f64)),
            HtmlCell::Markup(origin.team.as_deref().map_or_else(String::new, isolated_name)),
            figure(&origin.flows),
            figure(&origin.services),
        ];
        if has_orders {
            cells.push(origin.orders_per_min.as_ref().map_or(HtmlCell::Unknown, figure));
        }
        let alone: Vec<String> = origin
            .single_point_of
            .iter()
            .map(|single_point_of| isolated_name(single_point_of))
            .collect();
        cells.push(HtmlCell::Markup(alone.join(", ")));
        table.add_row(&isolated_name(&origin.name), &cells);
    }
    table.render_table().unwrap_or_default()
}
