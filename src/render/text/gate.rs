//! Sections on differences from an earlier result, and on what several changes do together.

use super::Page;
use super::emphasis::Emphasis;
use crate::prose::differences;
use crate::report::Report;

/// Adds the sections for which there is something to say.
pub(super) fn add_sections(page: &mut Page, report: &Report) {
    let together = differences::together_sentences(report, &page.wording);
    add_section(
        page,
        "Together",
        "how often flows fail by each change alone, and by all",
        &together,
    );
    let since = differences::baseline_sentences(report, &page.wording);
    let earlier = report.baseline.as_ref().map_or_else(String::new, |baseline| {
        let name = page.shown_name(&baseline.change);
        format!("the earlier result of {name} ({} trials), with 95% intervals", baseline.trials)
    });
    add_section(page, "Since", &earlier, &since);
}

fn add_section(page: &mut Page, title: &str, remark: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    page.add_head(title, remark);
    for line in lines {
        page.add_paragraph(Emphasis::Plain, "  ", line);
    }
}
