//! An incident review as one HTML file.

use super::shell::{bare, name, page, sentence, text};
use super::simulated::{STYLE, controls};
use super::{Made, figure, list, section};
use crate::chart::{self, Lanes};
use crate::prose::simulation::Wording;
use crate::render::review::{Block, Review};
use crate::report::PageReport;

const WORDING: Wording = Wording { name: marked, arrow: "→" };

/// A review as one HTML file.
pub fn review(review: &Review<'_>, data: &PageReport, made: &Made<'_>) -> String {
    let title = review.title();
    let date = review.observed.date.as_ref().map_or_else(String::new, |date| format!("{date} · "));
    let mut body = format!(
        "<header>\n<h1>{}</h1>\n<p class=\"soft\">{}simulated beside what was seen; of the simulated \
         part, nothing was measured.</p>\n</header>\n",
        bare(&title),
        text(&date)
    );
    body.push_str(&controls(review.report, data));
    body.push_str("<main>\n");
    for part in review.parts(&WORDING) {
        let blocks: String =
            part.blocks.iter().map(|block| markup(block, part.id, review)).collect();
        body.push_str(&section(part.id, part.title, &blocks));
    }
    body.push_str(&made.section(&[]));
    body.push_str("</main>\n");
    page(&title, &body, data)
}

/// Names of things are marked; a whole sentence, which has blanks, is not.
fn marked(said: &str) -> String {
    let marked = name(said);
    if said.contains(' ') { super::shell::plain(&marked) } else { marked }
}

fn markup(block: &Block, id: &str, review: &Review<'_>) -> String {
    match block {
        Block::Said(said) => format!("<p>{}</p>\n", sentence(said)),
        Block::List(items) | Block::Tasks(items) => list(items),
        Block::Table(rows) => table(rows, id),
        Block::Cascade => figure(&chart::draw_cascade(review.focus, &STYLE)),
        Block::Timeline => {
            let Review { report, focus, observed, .. } = *review;
            let drawn = chart::draw_timeline(report, focus, Lanes::Team, Some(observed), &STYLE);
            drawn.map_or_else(|_| String::new(), |svg| figure(&svg))
        }
    }
}

/// The table of components is the one that the script knows services by.
fn table(rows: &[Vec<String>], part: &str) -> String {
    let Some((head, rows)) = rows.split_first() else { return String::new() };
    let id = if part == "compared" { "bw-services".to_owned() } else { format!("bw-{part}") };
    let head: String =
        head.iter().map(|head| format!("<th scope=\"col\">{}</th>", text(head))).collect();
    let rows: String = rows.iter().map(|row| table_row(row)).collect();
    format!(
        "<div class=\"wide\"><table id=\"{id}\"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn table_row(cells: &[String]) -> String {
    let cells = cells.iter().enumerate().map(|(index, cell)| match (index, share(cell)) {
        (0, _) => format!("<th scope=\"row\">{}</th>", sentence(cell)),
        (_, Some(share)) => format!("<td class=\"n\" data-v=\"{share}\">{}</td>", text(cell)),
        (_, None) => format!("<td>{}</td>", sentence(cell)),
    });
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

/// The value of a cell that is a percentage, to be sorted by.
fn share(cell: &str) -> Option<f64> {
    cell.strip_suffix('%')?.parse().ok()
}
