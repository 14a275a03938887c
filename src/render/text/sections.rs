//! Answers that are a headline and lists, for a terminal.

use super::emphasis::Emphasis;
use super::{Page, TextStyle};
use crate::prose::explanation::Section;
use crate::prose::{advice, comparison, diagnosis, explanation, topology_review};
use crate::report::{
    AdviseReport, CompareReport, DiagnosisReport, DiagnosisScoreReport, ExplainReport, ReviewReport,
};

/// An explanation as lines of text, the last one with its newline.
pub fn render_explanation(report: &ExplainReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    let headline = explanation::headline(report, &page.wording);
    let sections = explanation::sections(report, &page.wording);
    page.fill_page(&headline, &sections, &explanation::footer(report));
    page.text
}

/// A comparison as lines of text, the last one with its newline.
pub fn render_comparison(report: &CompareReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    let headline = comparison::headline(report, &page.wording);
    let sections = comparison::sections(report, &page.wording);
    page.fill_page(&headline, &sections, &comparison::footer(report));
    page.text
}

/// The review of a topology as lines of text, the last one with its newline.
pub fn render_topology_review(report: &ReviewReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    let headline = topology_review::headline(report, &page.wording);
    let sections = topology_review::sections(report, &page.wording);
    page.fill_page(&headline, &sections, &topology_review::footer(report));
    page.text
}

/// Advice as lines of text, the last one with its newline.
pub fn render_advice(report: &AdviseReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    let headline = advice::headline(report, &page.wording);
    let sections = advice::sections(report, &page.wording);
    page.fill_page(&headline, &sections, &advice::footer(report));
    page.text
}

/// A diagnosis as lines of text, the last one with its newline.
pub fn render_diagnosis(report: &DiagnosisReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    let headline = diagnosis::headline(report, &page.wording);
    let sections = diagnosis::sections(report, &page.wording);
    page.fill_page(&headline, &sections, &diagnosis::footer(report));
    page.text
}

/// The places of what set incidents off as lines of text, the last one with its newline.
pub fn render_diagnosis_score(report: &DiagnosisScoreReport, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    let sections = diagnosis::score_sections(report, &page.wording);
    page.fill_page(&diagnosis::score_headline(report), &sections, &diagnosis::score_footer(report));
    page.text
}

impl Page {
    fn fill_page(&mut self, headline: &[String], sections: &[Section], footer: &str) {
        for said in headline {
            self.add_paragraph(Emphasis::Strong, "", said);
        }
        for section in sections {
            self.add_head(&section.title, &section.remark);
            let start = format!("  {} ", self.glyphs.bullet);
            for line in &section.lines {
                self.add_paragraph(Emphasis::Plain, &start, line);
            }
        }
        self.add_gap();
        self.add_paragraph(Emphasis::Faint, "", footer);
    }
}
