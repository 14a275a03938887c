//! The report of a ranking.

use super::shell::{bare, name, page, plain, sentence, text};
use super::table::{Cell, Table};
use super::{Made, figure, list, section};
use crate::chart::{self, Size, Style, Theme};
use crate::prose::format;
use crate::render::rank as said;
use crate::report::rank::Toll;
use crate::report::{PageReport, RankReport};

/// A ranking as one HTML file.
pub fn rank(report: &RankReport, made: &Made<'_>) -> String {
    let headline = said::headline(report, name);
    let mut body = format!("<header>\n<h1>{}</h1>\n", sentence(&headline));
    if let Some(said) = said::interruption(report) {
        body.push_str(&format!("<p class=\"alarm\"><strong>{}</strong></p>\n", text(&said)));
    }
    body.push_str("<p class=\"soft\">Simulated, not measured.</p>\n</header>\n");
    body.push_str(
        "<div id=\"bw-controls\" role=\"group\" aria-label=\"What to show\" hidden>\n\
         <span class=\"ctl\"><label for=\"bw-q\">search</label> \
         <input id=\"bw-q\" type=\"search\"></span>\n\
         <p id=\"bw-status\" role=\"status\"></p>\n</div>\n<main>\n",
    );
    let style = Style { size: Size::Slide, theme: Theme::Embedded, font: None };
    let heat = figure(&chart::draw_heatmap(report, &style));
    body.push_str(&section("heat", "Which flow fails when which breaks", &heat));
    body.push_str(&section(
        "origins",
        "Everything that can break, the worst first",
        &origins(report),
    ));
    let points = said::single_points(report, name);
    let points: Vec<String> = points
        .into_iter()
        .map(|[flow, by]| format!("{flow} fails by each of {by} alone"))
        .collect();
    body.push_str(&section("points", "Single points of failure", &list(&points)));
    body.push_str(&section("assumed", "Assumed", &list(&report.assumptions)));
    let facts = [
        ("topology", name(&report.topology)),
        ("what breaks", format!("each {}, which is then {}", said::nouns(report)[0], report.mode)),
        ("trials", format!("{} each, seed {}", format::count(report.trials as f64), report.seed)),
        ("program", format!("blastwave {}", report.tool_version)),
    ];
    body.push_str(&made.section(&facts));
    body.push_str(&format!("</main>\n<footer><p>{}</p></footer>\n", text(&said::footer(report))));
    page(&plain(&headline), &body, &PageReport::default())
}

fn origins(report: &RankReport) -> String {
    let has_orders = report.origins.iter().any(|origin| origin.orders_per_min.is_some());
    let mut columns = vec!["breaks:", "place", "team:", "flows", "other services"];
    if has_orders {
        columns.push("orders per minute");
    }
    columns.push("alone takes down:");
    let mut table = Table::new("bw-services", &columns);
    let figure = |toll: &Toll| Cell::Figure(toll.mean, said::toll(toll));
    for origin in &report.origins {
        let mut cells = vec![
            Cell::Figure(origin.rank as f64, format::count(origin.rank as f64)),
            Cell::Markup(origin.team.as_deref().map_or_else(String::new, bare)),
            figure(&origin.flows),
            figure(&origin.services),
        ];
        if has_orders {
            cells.push(origin.orders_per_min.as_ref().map_or(Cell::Unknown, figure));
        }
        let alone: Vec<String> =
            origin.single_point_of.iter().map(|single_point_of| bare(single_point_of)).collect();
        cells.push(Cell::Markup(alone.join(", ")));
        table.row(&bare(&origin.name), &cells);
    }
    table.render().unwrap_or_default()
}
