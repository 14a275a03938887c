//! What is different from an earlier result, and what several changes do together.

use super::Page;
use super::emphasis::Emphasis;
use crate::prose::differences;
use crate::report::Report;

/// Adds the sections for which there is something to say.
pub(super) fn add(page: &mut Page, report: &Report) {
    let together = differences::together(report, &page.wording);
    section(page, "Together", "how often flows fail by each change alone, and by all", &together);
    let since = differences::baseline(report, &page.wording);
    let earlier = report.baseline.as_ref().map_or_else(String::new, |baseline| {
        let name = page.name(&baseline.change);
        format!("the earlier result of {name} ({} trials), with 95% intervals", baseline.trials)
    });
    section(page, "Since", &earlier, &since);
}

fn section(page: &mut Page, title: &str, remark: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    page.head(title, remark);
    for line in lines {
        page.paragraph(Emphasis::Plain, "  ", line);
    }
}
