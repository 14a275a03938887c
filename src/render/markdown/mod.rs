//! The report for a pull request: a verdict, a table of flows, and the rest folded away.
//!
//! Written for GitHub's and GitLab's flavour. Names come from files that anybody may have written, so
//! they stand in code, where they can neither mention people nor close a table.

mod drift;
mod rank;
mod replay;
mod review;

pub use drift::drift_markdown;
pub use rank::rank_markdown;
pub use replay::replay_markdown;
pub use review::review_markdown;

use crate::prose::escape::{
    markdown_code as code, markdown_marked as marked, markdown_prose as prose,
};
use crate::prose::explanation::Section;
use crate::prose::simulation::{self, HIT, Wording};
use crate::prose::{
    advice, comparison, diagnosis, differences, explanation, format, topology_review, waiting,
};
use crate::render::text::ShareBar;
use crate::report::Decision;
use crate::report::{
    AdviseReport, CompareReport, DiagnosisReport, DiagnosisScoreReport, ExplainReport, Report,
    ReviewReport, UnitReport, Verdict,
};

/// How many rows a table may have.
const ROWS_MAX: usize = 20;
/// The longest comment, in characters: code hosts refuse one of more than 65,536.
const COMMENT_MAX: usize = 60_000;
/// How many reasons a verdict may list after the first, and how long each may be.
const REASONS_MAX: usize = 20;
const REASON_LENGTH: usize = 600;
/// How many cells a bar has: it stands in a narrow column.
const BAR: usize = 12;
const DASH: &str = "–";
const WORDING: Wording = Wording { name: code, arrow: "→" };
/// For names inside sentences of others.
const SENTENCES: Wording = Wording { name: prose, arrow: "→" };

/// The report as a comment.
pub fn render_comment(report: &Report) -> String {
    let mut parts = Vec::new();
    parts.extend(
        simulation::interruption_note(report)
            // First what changes how everything below is read.
            .map(|interruption| format!("> ⚠️ **{interruption}**")),
    );
    parts.extend(report.verdict.as_ref().map(|_| comment_marker(report)));
    parts.extend(report.verdict.as_ref().map(verdict_text));
    parts.push(format!("**{}**", simulation::headline(report, &WORDING)));
    parts.extend(simulation::per_rollout_sentence(report, &WORDING));
    parts.extend(simulation::files_sentence(report, &WORDING));
    let alarms = simulation::alarms(report, &WORDING);
    parts.extend(alarms.into_iter().map(|(word, text)| format!("⚠️ **{word}:** {text}")));
    parts.extend(flows_section(report));
    parts.extend(report.picture.as_deref().map(picture_link));
    parts.extend(course_section(report));
    let deciders = report.verdict.iter().flat_map(|verdict| &verdict.deciders);
    let deciders: Vec<String> = deciders.map(|decider| prose(&decider.text)).collect();
    parts.extend(titled_list("What decides", &deciders));
    let together = differences::together_sentences(report, &WORDING);
    parts.extend(titled_list("Together", &together));
    let since = differences::baseline_sentences(report, &WORDING);
    let earlier =
        report.baseline.as_ref().map_or_else(String::new, |baseline| code(&baseline.change));
    parts.extend(titled_list(&format!("Since {earlier}"), &since));
    parts.extend(services_section(report));
    parts.extend(protections_section(report));
    parts.extend(folded_list(waiting::TITLE, waiting::reasons(&report.waiting, &WORDING)));
    let unknowns = simulation::relevant_unknowns(report)
        .into_iter()
        .map(|item| simulation::unknown_sentence(item, &WORDING));
    parts.extend(folded_list("Not stated, and it matters", unknowns.collect()));
    let assumptions = report.assumptions.iter().map(|assumption| prose(assumption));
    parts.extend(folded_list("Assumed", assumptions.collect()));
    parts.push(format!("<sub>{}</sub>", prose(&simulation::footer(report))));
    join_fitting(parts)
}

/// Joins the parts of a comment that fit into one; what does not fit is left out whole, since half a
/// table or an open fold would break what follows.
fn join_fitting(parts: Vec<String>) -> String {
    let mut room = COMMENT_MAX;
    let mut kept = Vec::new();
    let mut left_out = 0;
    for part in parts {
        // Counted with the empty line that joins it to the next.
        let length = part.chars().count() + 2;
        // A part that does not fit ends nothing: shorter ones behind it may still fit.
        if length <= room {
            room -= length;
            kept.push(part);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let sections = format::plural(left_out, "section");
        kept.push(format!(
            "<sub>Left out, because a comment is limited in length: {sections}.</sub>"
        ));
    }
    kept.join("\n\n") + "\n"
}

/// An explanation as a comment.
pub fn render_explanation(report: &ExplainReport) -> String {
    let headline = explanation::headline(report, &WORDING);
    render_sections(
        &headline,
        &explanation::sections(report, &WORDING),
        &explanation::footer(report),
    )
}

/// Advice as a comment.
pub fn render_advice(report: &AdviseReport) -> String {
    let headline = advice::headline(report, &SENTENCES);
    render_sections(&headline, &advice::sections(report, &SENTENCES), &advice::footer(report))
}

/// A comparison as a comment.
pub fn render_comparison(report: &CompareReport) -> String {
    let headline = comparison::headline(report, &SENTENCES);
    render_sections(
        &headline,
        &comparison::sections(report, &SENTENCES),
        &comparison::footer(report),
    )
}

/// The review of a topology as a comment: the sentence, the table of flows, and the rest.
pub fn render_topology_review(report: &ReviewReport) -> String {
    let headline = topology_review::headline(report, &SENTENCES);
    let mut sections = topology_review::sections(report, &SENTENCES);
    // A table takes the place of the lines about flows.
    sections.retain(|section| section.title != "Flows");
    let mut table = MarkdownTable::new(
        &["flow", "", "single breaks that fail it", "outage min in 90 days", "allowed"],
        2,
    );
    for flow in report.flows.iter().take(ROWS_MAX) {
        table.rows.push(topology_review::flow_cells(flow, &WORDING).to_vec());
    }
    let mut said = headline;
    let first = said.remove(0);
    let rest = render_sections(&said, &sections, &topology_review::footer(report));
    if report.flows.is_empty() {
        return format!("**{first}**\n\n{rest}");
    }
    format!("**{first}**\n\n{}\n\n{rest}", table.render_table())
}

/// A diagnosis as a comment.
pub fn render_diagnosis(report: &DiagnosisReport) -> String {
    let headline = diagnosis::headline(report, &SENTENCES);
    render_sections(&headline, &diagnosis::sections(report, &SENTENCES), &diagnosis::footer(report))
}

/// The places of what set incidents off as a comment.
pub fn render_diagnosis_score(report: &DiagnosisScoreReport) -> String {
    let sections = diagnosis::score_sections(report, &SENTENCES);
    render_sections(&diagnosis::score_headline(report), &sections, &diagnosis::score_footer(report))
}

/// A headline and lists.
fn render_sections(headline: &[String], sections: &[Section], footer: &str) -> String {
    let mut parts: Vec<String> = headline.iter().map(|said| format!("**{said}**")).collect();
    for section in sections {
        let remark = if section.remark.is_empty() {
            String::new()
        } else {
            format!(" <sub>{}</sub>", prose(&section.remark))
        };
        let lines: Vec<String> = section.lines.iter().map(|line| format!("- {line}")).collect();
        parts.push(format!("#### {}{remark}\n\n{}", section.title, lines.join("\n")));
    }
    parts.push(format!("<sub>{}</sub>", prose(footer)));
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

/// Returns the marker by which a bot finds an earlier comment, to update it in place: the same for
/// every check of a topology.
fn comment_marker(report: &Report) -> String {
    // A `>` or `--` in the name could end the HTML comment.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/');
    let name: String = report.topology.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    format!("<!-- blastwave:check:{name} -->")
}

fn titled_list(title: &str, lines: &[String]) -> Option<String> {
    let items: Vec<String> = lines.iter().map(|line| format!("- {line}")).collect();
    (!items.is_empty()).then(|| format!("**{title}**\n\n{}", items.join("\n")))
}

fn verdict_text(verdict: &Verdict) -> String {
    let (mark, word) = match verdict.decision {
        Decision::Proceed => ("✅", "Proceed"),
        Decision::Caution if simulation::is_silently_open(verdict) => ("⚠️", "Caution, undecided"),
        Decision::Caution => ("⚠️", "Caution"),
        Decision::Stop => ("⛔", "Stop"),
    };
    // A reason that names hundreds of services would push all else out of the comment.
    let short = |reason: &String| reason.chars().take(REASON_LENGTH).collect::<String>();
    let mut reasons = verdict.reasons.iter().map(|reason| marked(&short(reason)));
    let first = reasons.next().map_or_else(String::new, |reason| format!(" {reason}"));
    let head = format!("### {mark} {word}:{first}");
    let mut rest: Vec<String> = reasons.map(|reason| format!("- {reason}")).collect();
    let more = rest.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        rest.truncate(REASONS_MAX);
        rest.push(format!("- and {}", format::plural(more, "more reason")));
    }
    if rest.is_empty() { head } else { format!("{head}\n\n{}", rest.join("\n")) }
}

fn flows_section(report: &Report) -> Option<String> {
    if report.flows.is_empty() {
        return None;
    }
    let has_losses = report.flows.iter().any(|flow| flow.orders_lost.is_some());
    let late = waiting::late_head(&report.flows);
    let mut table = MarkdownTable::new(&["flow", "", "fails", "95% interval", "degraded"], 2);
    if !late.is_empty() {
        table.columns.push(late);
    }
    if has_losses {
        table.columns.extend(["orders lost", "1 in 20", "worst"]);
    }
    for flow in report.flows.iter().take(ROWS_MAX) {
        let mut cells = unit_cells(report, flow);
        if !late.is_empty() {
            cells.push(waiting::late_cell(flow));
        }
        if has_losses {
            cells.extend(match &flow.orders_lost {
                Some(lost) => [
                    format::mean(lost),
                    format::quantile(lost.p95, lost),
                    format::quantile(lost.max, lost),
                ],
                None => ["not known".to_owned(), String::new(), String::new()],
            });
        }
        table.rows.push(cells);
    }
    let more = report.flows.len().saturating_sub(ROWS_MAX);
    let more = if more > 0 {
        format!("\n\nand {}", format::plural(more, "more flow"))
    } else {
        String::new()
    };
    Some(format!("{}{more}", table.render_table()))
}

/// A picture is shown, a page is linked.
fn picture_link(url: &str) -> String {
    // Parentheses would end the link.
    let url = url.replace('(', "%28").replace(')', "%29");
    // The end of the path tells what it is, whatever query stands behind it.
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let is_shown = [".svg", ".png", ".gif", ".jpg", ".jpeg", ".webp"];
    if is_shown.iter().any(|end| path.ends_with(end)) {
        format!("[![What fails, and what contains it]({url})]({url})")
    } else {
        format!("[Pictures and details]({url})")
    }
}

/// Name, bar, and the figures that flows and services share.
fn unit_cells(report: &Report, unit: &UnitReport) -> Vec<String> {
    let failures = simulation::leading_failures(report, unit);
    let failed = failures.failed.exact.unwrap_or(failures.failed.p);
    let bar = ShareBar { failed, degraded: failures.degraded.p, cells: BAR };
    vec![
        code(&unit.name),
        format!("`{bar}`"),
        format::estimate(&failures.failed),
        format::interval(&failures.failed, DASH),
        format::estimate(&failures.degraded),
    ]
}

fn course_section(report: &Report) -> Option<String> {
    let course = &report.timeline;
    let spreads: [simulation::CourseSpread; 4] = [
        ("first loss after", course.impact_s, format::duration),
        ("noticed after", course.detected_s, format::duration),
        ("over after", course.resolved_s, format::duration),
        ("rolled out by the time it is noticed", course.exposure_at_detection, format::percent),
    ];
    let mut items = simulation::course_items(report, &spreads, &SENTENCES);
    let worth = simulation::losses_in_words(report, &WORDING);
    // In a list the sentence stands alone and must say what is worth so much.
    items.extend(worth.into_iter().map(|worth| match worth.strip_prefix("worth ") {
        Some(money) => format!("the lost orders are worth {money}"),
        None => worth.replace(" of them ", " of the lost orders "),
    }));
    folded_list("When, and what it costs", items)
}

fn services_section(report: &Report) -> Option<String> {
    // Services that are hardly ever hit would hide those that are.
    let is_hit = |service: &&UnitReport| service.degraded.p >= HIT;
    let hit: Vec<&UnitReport> = report.services.iter().filter(is_hit).collect();
    if hit.is_empty() {
        return None;
    }
    let mut table = MarkdownTable::new(&["service", "", "fails", "95% interval", "degraded"], 2);
    table.rows.extend(hit.iter().take(ROWS_MAX).map(|service| unit_cells(report, service)));
    let failing = hit.iter().filter(|service| service.failed.p >= HIT).count();
    let all = format::plural(report.services.len(), "service");
    let degraded = hit.len() - failing;
    let degraded = if degraded > 0 {
        format!(", {} more can be degraded", format::count(degraded as f64))
    } else {
        String::new()
    };
    let title = format!("Services: {} of {all} can fail{degraded}", format::count(failing as f64));
    let more = hit.len().saturating_sub(ROWS_MAX);
    let more = if more > 0 {
        format!("\n\nand {} more", format::count(more as f64))
    } else {
        String::new()
    };
    Some(folded_section(&title, &format!("{}{more}", table.render_table())))
}

fn protections_section(report: &Report) -> Option<String> {
    let held = simulation::contained_calls(report);
    let mut items: Vec<String> = held
        .iter()
        .take(ROWS_MAX)
        .map(|held| {
            let call = WORDING.call(&held.at.caller, &held.at.dependency);
            let passed = if held.at.passed > 0.0 {
                format!("; propagated {}", format::percent(held.at.passed))
            } else {
                String::new()
            };
            format!("{call}: {}{passed}", held.guards)
        })
        .collect();
    items.extend(simulation::uncontained_calls(report).iter().take(ROWS_MAX).map(|unheld| {
        let call = WORDING.call(&unheld.caller, &unheld.dependency);
        format!("{call}: nothing contained it; propagated {}", format::percent(unheld.passed))
    }));
    folded_list("What contained failure, and what did not (shares of simulations)", items)
}

/// A table whose first columns are text and whose others are figures.
pub(super) struct MarkdownTable {
    columns: Vec<&'static str>,
    texts: usize,
    pub(super) rows: Vec<Vec<String>>,
}

impl MarkdownTable {
    pub(super) fn new(columns: &[&'static str], texts: usize) -> Self {
        Self { columns: columns.to_vec(), texts, rows: Vec::new() }
    }

    pub(super) fn render_table(&self) -> String {
        let row = |cells: &mut dyn Iterator<Item = &str>| {
            format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
        };
        let mut rules =
            (0..self.columns.len()).map(|column| if column < self.texts { "---" } else { "--:" });
        let mut lines = vec![row(&mut self.columns.iter().copied()), row(&mut rules)];
        lines.extend(self.rows.iter().map(|cells| row(&mut cells.iter().map(String::as_str))));
        lines.join("\n")
    }
}

pub(super) fn folded_list(title: &str, items: Vec<String>) -> Option<String> {
    let list: Vec<String> = items.into_iter().map(|item| format!("- {item}")).collect();
    (!list.is_empty()).then(|| folded_section(title, &list.join("\n")))
}

fn folded_section(title: &str, body: &str) -> String {
    // Without the empty lines, the Markdown inside would be taken for HTML.
    format!("<details><summary>{title}</summary>\n\n{body}\n\n</details>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_shown_and_pages_linked() {
        let shown = picture_link("https://ci.example/a(1).SVG?raw=true");
        let url = "https://ci.example/a%281%29.SVG?raw=true";
        assert_eq!(shown, format!("[![What fails, and what contains it]({url})]({url})"));
        assert_eq!(
            picture_link("https://ci.example/7"),
            "[Pictures and details](https://ci.example/7)"
        );
    }
}
