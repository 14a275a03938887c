//! The report for a terminal: what somebody on call reads in ten seconds.
//!
//! A sentence comes first, then the flows, what they lose and when, then services, what held, what is
//! not known, what was taken for granted. However large the topology, it stays on a page or two.

pub mod diagnostics;
mod drift;
mod emphasis;
mod gate;
mod glyphs;
mod guards;
mod losses;
mod policy_test;
mod rank;
mod replay;
mod sections;
mod short;
mod structure;
mod table;
mod tree;
mod trial;
mod units;
mod when;

pub use drift::drift_text;
pub use policy_test::render_policy_test;
pub use rank::render_rank;
pub use replay::render_replay;
pub use sections::{
    render_advice, render_comparison, render_diagnosis, render_diagnosis_score, render_explanation,
    render_topology_review,
};
pub use short::render_short;
pub use structure::render_structure;
pub use tree::render_tree;
pub use trial::render_trial;

use emphasis::{Emphasis, StyledLine, text_columns, wrap_text};
use glyphs::Glyphs;

use crate::prose::escape;
use crate::prose::simulation::{self, Wording};
use crate::prose::waiting;
use crate::report::Decision;
use crate::report::Report;

/// How the text shall look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextStyle {
    /// How many columns a line may take; less than [`TextStyle::NARROWEST`] is taken for that.
    pub width: usize,
    /// Only ASCII characters; others in names are written as `\u{…}`.
    pub ascii: bool,
    /// With ANSI escapes for colours.
    pub color: bool,
}

impl TextStyle {
    /// The fewest columns with which lines keep to their width.
    pub const NARROWEST: usize = 60;
    /// Where the width of a terminal is not known.
    pub const USUAL: usize = 100;
    /// Wider lines are hard to read: nothing is drawn wider, whatever the terminal.
    const WIDEST: usize = 120;
}

impl Default for TextStyle {
    fn default() -> Self {
        Self { width: Self::USUAL, ascii: false, color: false }
    }
}

/// The report as lines of text, the last one with its newline.
pub fn render_report(report: &Report, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    add_headline(&mut page, report);
    units::add_flows(&mut page, report);
    losses::add_losses(&mut page, report);
    when::add_when(&mut page, report);
    add_deciders(&mut page, report);
    gate::add_sections(&mut page, report);
    units::add_services(&mut page, report);
    guards::add_guards(&mut page, report);
    add_waiting(&mut page, report);
    add_unknowns(&mut page, report);
    add_assumptions(&mut page, report);
    page.add_gap();
    let mut footer = simulation::footer(report);
    // The head of the column is too short to say what it means.
    if page.widths.as_ref().is_some_and(|widths| widths.has_column(units::SHARE)) {
        footer.push_str(" At peak: requests that fail at the worst moment, on average.");
    }
    page.add_paragraph(Emphasis::Faint, "", &footer);
    page.text
}

/// A bar for other forms of text, in Unicode and without colour.
pub(super) struct ShareBar {
    /// The share that fails.
    pub(super) failed: f64,
    /// The share that is degraded or worse.
    pub(super) degraded: f64,
    /// How long the bar is.
    pub(super) cells: usize,
}

impl std::fmt::Display for ShareBar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bar = Glyphs::glyph_set(false).share_bar(self.failed, self.degraded, self.cells);
        f.write_str(&bar.with_colors(false))
    }
}

/// The text so far, and how to go on.
struct Page {
    style: TextStyle,
    glyphs: &'static Glyphs,
    wording: Wording,
    text: String,
    /// The columns of the table of units, which others follow.
    widths: Option<table::Widths>,
}

impl Page {
    fn new(style: TextStyle) -> Self {
        let glyphs = Glyphs::glyph_set(style.ascii);
        let name: fn(&str) -> String = if style.ascii {
            |name| escape::name(name, true)
        } else {
            |name| escape::name(name, false)
        };
        let style = TextStyle {
            width: style.width.clamp(TextStyle::NARROWEST, TextStyle::WIDEST),
            ..style
        };
        let wording = Wording { name, arrow: glyphs.arrow };
        Self { style, glyphs, wording, text: String::new(), widths: None }
    }

    /// A name that is harmless.
    fn shown_name(&self, name: &str) -> String {
        (self.wording.name)(name)
    }

    fn add_line(&mut self, line: &StyledLine) {
        // The log of a pipeline is a terminal too, and its runner obeys some lines.
        self.text.push_str(&escape::without_commands(&line.with_colors(self.style.color)));
        self.text.push('\n');
    }

    /// An empty line between sections.
    fn add_gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// The head of a section, with a remark.
    fn add_head(&mut self, title: &str, remark: &str) {
        self.add_gap();
        self.notice_in([Emphasis::Strong, Emphasis::Faint], title, 2, remark);
    }

    /// A text over several lines, those after the first as far in as the first one's start.
    fn add_paragraph(&mut self, ink: Emphasis, start: &str, text: &str) {
        let inset = text_columns(start);
        let text = escape::visible(text, self.style.ascii);
        for (index, part) in wrap_text(&text, self.style.width - inset).into_iter().enumerate() {
            let mut line = StyledLine::default();
            if index == 0 {
                line.push_piece(Emphasis::Plain, start)
            } else {
                line.push_blanks(inset)
            };
            line.push_piece(ink, part);
            self.add_line(&line);
        }
    }

    /// Parts beside each other, with breaks only between them.
    fn add_parts(&mut self, start: &str, parts: &[String]) {
        let gap = format!(" {} ", self.glyphs.dot);
        let mut line = start.to_owned();
        for part in parts {
            let is_first = text_columns(&line) == text_columns(start);
            let used = text_columns(&line) + text_columns(&gap) + text_columns(part);
            // Too long for a line by itself, so it is broken between words.
            if text_columns(start) + text_columns(part) > self.style.width {
                if !is_first {
                    self.add_line(&StyledLine::of_piece(
                        Emphasis::Plain,
                        std::mem::take(&mut line),
                    ));
                }
                self.add_paragraph(Emphasis::Plain, start, part);
                start.clone_into(&mut line);
                continue;
            }
            if used > self.style.width && !is_first {
                self.add_line(&StyledLine::of_piece(
                    Emphasis::Plain,
                    std::mem::replace(&mut line, start.to_owned()),
                ));
            } else if !is_first {
                line.push_str(&gap);
            }
            line.push_str(part);
        }
        if text_columns(&line) > text_columns(start) {
            self.add_line(&StyledLine::of_piece(Emphasis::Plain, line));
        }
    }

    /// Words that must be seen, and what they say.
    fn add_notice(&mut self, ink: Emphasis, word: &str, text: &str) {
        self.notice_in([ink, Emphasis::Plain], word, 1, text);
    }

    fn notice_in(&mut self, [ink, plain]: [Emphasis; 2], word: &str, gap: usize, text: &str) {
        let inset = text_columns(word) + gap;
        let text = escape::visible(text, self.style.ascii);
        for (index, part) in wrap_text(&text, self.style.width - inset).into_iter().enumerate() {
            let mut line = StyledLine::default();
            if index == 0 {
                line.push_piece(ink, word).push_blanks(inset - text_columns(word))
            } else {
                line.push_blanks(inset)
            };
            line.push_piece(plain, part);
            self.add_line(&line);
        }
    }
}

fn add_headline(page: &mut Page, report: &Report) {
    if let Some(interruption) = simulation::interruption_note(report) {
        page.add_paragraph(Emphasis::Doubtful, "", &interruption);
        page.add_gap();
    }
    add_verdict(page, report);
    let headline = simulation::headline(report, &page.wording);
    page.add_paragraph(Emphasis::Strong, "", &headline);
    if let Some(per_rollout) = simulation::per_rollout_sentence(report, &page.wording) {
        page.add_paragraph(Emphasis::Plain, "", &per_rollout);
    }
    if let Some(files) = simulation::files_sentence(report, &page.wording) {
        page.add_paragraph(Emphasis::Plain, "", &files);
    }
    for (word, text) in simulation::alarms(report, &page.wording) {
        let word = format!("{} {word}:", page.glyphs.warning);
        page.add_notice(Emphasis::Bad, &word, &text);
    }
}

fn add_verdict(page: &mut Page, report: &Report) {
    let Some(verdict) = &report.verdict else { return };
    let ink = match verdict.decision {
        Decision::Proceed => Emphasis::Good,
        Decision::Caution => Emphasis::Doubtful,
        Decision::Stop => Emphasis::Bad,
    };
    let word = format!("{}:", verdict.decision.as_str().to_uppercase());
    let reasons: Vec<String> =
        // Reasons hold names from files, so they are made harmless too.
        verdict.reasons.iter().map(|reason| page.shown_name(reason)).collect();
    let first = reasons.first().map_or("no reason was given", String::as_str);
    // Only where the first reason does not say it already.
    let undecided = if simulation::is_silently_open(verdict) { "undecided. " } else { "" };
    page.add_notice(ink, &word, &format!("{undecided}{first}"));
    let start = format!("  {} ", page.glyphs.bullet);
    for reason in reasons.iter().skip(1) {
        page.add_paragraph(Emphasis::Plain, &start, reason);
    }
    page.add_gap();
}

fn add_deciders(page: &mut Page, report: &Report) {
    let deciders = report.verdict.iter().flat_map(|verdict| &verdict.deciders);
    let start = format!("  {} ", page.glyphs.bullet);
    for (index, decider) in deciders.enumerate() {
        if index == 0 {
            page.add_head("What decides", "the verdict would be another one");
        }
        page.add_paragraph(Emphasis::Plain, &start, &decider.text);
    }
}

fn add_waiting(page: &mut Page, report: &Report) {
    let start = format!("  {} ", page.glyphs.bullet);
    for (index, reason) in waiting::reasons(&report.waiting, &page.wording).iter().enumerate() {
        if index == 0 {
            page.add_head(waiting::TITLE, "as a share of simulations");
        }
        page.add_paragraph(Emphasis::Plain, &start, reason);
    }
}

fn add_unknowns(page: &mut Page, report: &Report) {
    let unknowns = simulation::relevant_unknowns(report);
    if unknowns.is_empty() {
        return;
    }
    page.add_head("Not stated", "and it matters: the result at best and at worst");
    for item in unknowns {
        let text = simulation::unknown_sentence(item, &page.wording);
        page.add_paragraph(Emphasis::Plain, "  ", &text);
    }
}

fn add_assumptions(page: &mut Page, report: &Report) {
    if report.assumptions.is_empty() {
        return;
    }
    page.add_head("Assumed", "");
    for assumption in &report.assumptions {
        let start = format!("  {} ", page.glyphs.bullet);
        let text = page.shown_name(assumption);
        page.add_paragraph(Emphasis::Plain, &start, &text);
    }
}
