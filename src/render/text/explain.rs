//! An explanation for a terminal.

use super::ink::Ink;
use super::{Page, Style};
use crate::render::explanation;
use crate::report::ExplainReport;

/// The explanation as lines of text, the last one with its newline.
pub fn render_explanation(report: &ExplainReport, style: &Style) -> String {
    let mut page = Page::new(*style);
    for said in explanation::essence(report, &page.wording) {
        page.paragraph(Ink::Strong, "", &said);
    }
    for section in explanation::sections(report, &page.wording) {
        page.head(&section.title, &section.remark);
        let start = format!("  {} ", page.glyphs.bullet);
        for line in &section.lines {
            page.paragraph(Ink::Plain, &start, line);
        }
    }
    page.gap();
    page.paragraph(Ink::Faint, "", &explanation::footer(report));
    page.text
}
