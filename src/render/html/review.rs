//! An incident review as one HTML file.

use super::shell::{escaped_text, isolated_name, name_in_sentence, sentence_markup, whole_page};
use super::simulated::{STYLE, page_controls};
use super::{Made, html_figure, html_list, html_section};
use crate::chart::{self, TimelineLanes};
use crate::prose::review::{Review, ReviewBlock, ReviewSection};
use crate::prose::simulation::Wording;
use crate::report::PageReport;

const WORDING: Wording = Wording { name: mark_name, arrow: "→" };

/// A review as one HTML file.
pub fn review_page(review: &Review<'_>, data: &PageReport, made: &Made<'_>) -> String {
    let title = review.review_title();
    let date = review.observed.date.as_ref().map_or_else(String::new, |date| format!("{date} · "));
    let mut body = format!(
        "<header>\n<h1>{}</h1>\n<p class=\"soft\">{}simulated beside what was seen; of the simulated \
         part, nothing was measured.</p>\n</header>\n",
        isolated_name(&title),
        escaped_text(&date)
    );
    body.push_str(&page_controls(review.report, data));
    body.push_str("<main>\n");
    for part in review.review_parts(&WORDING) {
        let blocks: String =
            part.blocks.iter().map(|block| block_markup(block, part.section, review)).collect();
        body.push_str(&html_section(part.section.anchor(), part.section.title(), &blocks));
    }
    body.push_str(&made.provenance_section(&[]));
    body.push_str("</main>\n");
    whole_page(&title, &body, data)
}

/// Names of things are marked; a whole sentence, which has blanks, is not.
fn mark_name(said: &str) -> String {
    let marked = name_in_sentence(said);
    if said.contains(' ') { super::shell::plain_sentence(&marked) } else { marked }
}

fn block_markup(block: &ReviewBlock, section: ReviewSection, review: &Review<'_>) -> String {
    match block {
        ReviewBlock::Said(said) => format!("<p>{}</p>\n", sentence_markup(said)),
        ReviewBlock::List(items) | ReviewBlock::Tasks(items) => html_list(items),
        ReviewBlock::Table(rows) => review_table(rows, section),
        ReviewBlock::Cascade => html_figure(&chart::draw_cascade(review.focus, &STYLE)),
        ReviewBlock::Timeline => {
            let Review { report, focus, observed, .. } = *review;
            let drawn =
                chart::draw_timeline(report, focus, TimelineLanes::Team, Some(observed), &STYLE);
            // Where no time is known there is no timeline, and the rest of the review still stands.
            drawn.map_or_else(|_| String::new(), |svg| html_figure(&svg))
        }
    }
}

/// The table of components is the one that the script knows services by.
fn review_table(rows: &[Vec<String>], section: ReviewSection) -> String {
    let Some((head, rows)) = rows.split_first() else { return String::new() };
    let id = match section {
        ReviewSection::Comparison => "bw-services".to_owned(),
        _ => format!("bw-{}", section.anchor()),
    };
    let head: String =
        head.iter().map(|head| format!("<th scope=\"col\">{}</th>", escaped_text(head))).collect();
    let rows: String = rows.iter().map(|row| table_row(row)).collect();
    format!(
        "<div class=\"wide\"><table id=\"{id}\"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn table_row(cells: &[String]) -> String {
    let cells = cells.iter().enumerate().map(|(index, cell)| match (index, share_of(cell)) {
        (0, _) => format!("<th scope=\"row\">{}</th>", sentence_markup(cell)),
        (_, Some(share)) => {
            format!("<td class=\"n\" data-v=\"{share}\">{}</td>", escaped_text(cell))
        }
        (_, None) => format!("<td>{}</td>", sentence_markup(cell)),
    });
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

/// The value of a cell that is a percentage, to be sorted by.
fn share_of(cell: &str) -> Option<f64> {
    cell.strip_suffix('%')?.parse().ok()
}
