//! The report for a terminal: what somebody on call reads in ten seconds.
//!
//! A sentence comes first, then the flows, what they lose and when, then services, what held, what is
//! not known, what was taken for granted. However large the topology, it stays on a page or two.

mod emphasis;
mod gate;
mod glyphs;
mod guards;
mod losses;
mod rank;
mod replay;
mod sections;
mod table;
mod tree;
mod trial;
mod units;
mod when;

pub use rank::render_rank;
pub use replay::render_replay;
pub use sections::{
    render_advice, render_comparison, render_diagnosis, render_diagnosis_score, render_explanation,
};
pub use tree::render_tree;
pub use trial::render_trial;

use emphasis::{Emphasis, Line, columns, wrap};
use glyphs::Glyphs;

use crate::prose::escape;
use crate::prose::simulation::{self, Wording};
use crate::report::Decision;
use crate::report::Report;

/// How the text shall look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// How many columns a line may take; less than [`Style::NARROWEST`] is taken for that.
    pub width: usize,
    /// Only ASCII characters; others in names are written as `\u{…}`.
    pub ascii: bool,
    /// With ANSI escapes for colours.
    pub color: bool,
}

impl Style {
    /// The fewest columns with which lines keep to their width.
    pub const NARROWEST: usize = 60;
    /// Where the width of a terminal is not known.
    pub const USUAL: usize = 100;
    /// Wider lines are hard to read: nothing is drawn wider, whatever the terminal.
    const WIDEST: usize = 120;
}

impl Default for Style {
    fn default() -> Self {
        Self { width: Self::USUAL, ascii: false, color: false }
    }
}

/// The report as lines of text, the last one with its newline.
pub fn render(report: &Report, style: &Style) -> String {
    let mut page = Page::new(*style);
    headline(&mut page, report);
    units::add(&mut page, report);
    losses::add(&mut page, report);
    when::add(&mut page, report);
    gate::add(&mut page, report);
    units::add_services(&mut page, report);
    guards::add(&mut page, report);
    unknown(&mut page, report);
    assumed(&mut page, report);
    page.gap();
    let mut footer = simulation::footer(report);
    if page.widths.as_ref().is_some_and(|widths| widths.has(units::SHARE)) {
        footer.push_str(" At peak: requests that fail at the worst moment, on average.");
    }
    page.paragraph(Emphasis::Faint, "", &footer);
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
        let bar = Glyphs::of(false).bar(self.failed, self.degraded, self.cells);
        f.write_str(&bar.show(false))
    }
}

/// A name that cannot act on what shows it.
pub(super) fn harmless(name: &str) -> String {
    escape::name(name, false)
}

/// The text so far, and how to go on.
struct Page {
    style: Style,
    glyphs: &'static Glyphs,
    wording: Wording,
    text: String,
    /// The columns of the table of units, which others follow.
    widths: Option<table::Widths>,
}

impl Page {
    fn new(style: Style) -> Self {
        let glyphs = Glyphs::of(style.ascii);
        let name: fn(&str) -> String = if style.ascii {
            |name| escape::name(name, true)
        } else {
            |name| escape::name(name, false)
        };
        let style = Style { width: style.width.clamp(Style::NARROWEST, Style::WIDEST), ..style };
        let wording = Wording { name, arrow: glyphs.arrow };
        Self { style, glyphs, wording, text: String::new(), widths: None }
    }

    /// A name that is harmless.
    fn name(&self, name: &str) -> String {
        (self.wording.name)(name)
    }

    fn line(&mut self, line: &Line) {
        // The log of a pipeline is a terminal too, and its runner obeys some lines.
        self.text.push_str(&escape::without_commands(&line.show(self.style.color)));
        self.text.push('\n');
    }

    /// An empty line between sections.
    fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// The head of a section, with a remark.
    fn head(&mut self, title: &str, remark: &str) {
        self.gap();
        self.notice_in([Emphasis::Strong, Emphasis::Faint], title, 2, remark);
    }

    /// A text over several lines, those after the first as far in as the first one's start.
    fn paragraph(&mut self, ink: Emphasis, start: &str, text: &str) {
        let inset = columns(start);
        let text = escape::visible(text, self.style.ascii);
        for (index, part) in wrap(&text, self.style.width - inset).into_iter().enumerate() {
            let mut line = Line::default();
            if index == 0 {
                line.push(Emphasis::Plain, start)
            } else {
                line.blank(inset)
            };
            line.push(ink, part);
            self.line(&line);
        }
    }

    /// Parts beside each other, with breaks only between them.
    fn parts(&mut self, start: &str, parts: &[String]) {
        let gap = format!(" {} ", self.glyphs.dot);
        let mut line = start.to_owned();
        for part in parts {
            let is_first = columns(&line) == columns(start);
            let used = columns(&line) + columns(&gap) + columns(part);
            if columns(start) + columns(part) > self.style.width {
                if !is_first {
                    self.line(&Line::of(Emphasis::Plain, std::mem::take(&mut line)));
                }
                self.paragraph(Emphasis::Plain, start, part);
                start.clone_into(&mut line);
                continue;
            }
            if used > self.style.width && !is_first {
                self.line(&Line::of(
                    Emphasis::Plain,
                    std::mem::replace(&mut line, start.to_owned()),
                ));
            } else if !is_first {
                line.push_str(&gap);
            }
            line.push_str(part);
        }
        if columns(&line) > columns(start) {
            self.line(&Line::of(Emphasis::Plain, line));
        }
    }

    /// Words that must be seen, and what they say.
    fn notice(&mut self, ink: Emphasis, word: &str, text: &str) {
        self.notice_in([ink, Emphasis::Plain], word, 1, text);
    }

    fn notice_in(&mut self, [ink, plain]: [Emphasis; 2], word: &str, gap: usize, text: &str) {
        let inset = columns(word) + gap;
        let text = escape::visible(text, self.style.ascii);
        for (index, part) in wrap(&text, self.style.width - inset).into_iter().enumerate() {
            let mut line = Line::default();
            if index == 0 {
                line.push(ink, word).blank(inset - columns(word))
            } else {
                line.blank(inset)
            };
            line.push(plain, part);
            self.line(&line);
        }
    }
}

fn headline(page: &mut Page, report: &Report) {
    if let Some(interruption) = simulation::interruption(report) {
        page.paragraph(Emphasis::Doubtful, "", &interruption);
        page.gap();
    }
    verdict(page, report);
    let headline = simulation::headline(report, &page.wording);
    page.paragraph(Emphasis::Strong, "", &headline);
    if let Some(per_rollout) = simulation::per_rollout(report, &page.wording) {
        page.paragraph(Emphasis::Plain, "", &per_rollout);
    }
    if let Some(files) = simulation::files(report, &page.wording) {
        page.paragraph(Emphasis::Plain, "", &files);
    }
    for (word, text) in simulation::alarms(report, &page.wording) {
        let word = format!("{} {word}:", page.glyphs.warning);
        page.notice(Emphasis::Bad, &word, &text);
    }
}

fn verdict(page: &mut Page, report: &Report) {
    let Some(verdict) = &report.verdict else { return };
    let ink = match verdict.decision {
        Decision::Proceed => Emphasis::Good,
        Decision::Caution => Emphasis::Doubtful,
        Decision::Stop => Emphasis::Bad,
    };
    let word = format!("{}:", verdict.decision.as_str().to_uppercase());
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| page.name(reason)).collect();
    let first = reasons.first().map_or("no reason was given", String::as_str);
    let undecided = if simulation::is_silently_open(verdict) { "undecided. " } else { "" };
    page.notice(ink, &word, &format!("{undecided}{first}"));
    let start = format!("  {} ", page.glyphs.bullet);
    for reason in reasons.iter().skip(1) {
        page.paragraph(Emphasis::Plain, &start, reason);
    }
    page.gap();
}

fn unknown(page: &mut Page, report: &Report) {
    let unknowns = simulation::unknowns(report);
    if unknowns.is_empty() {
        return;
    }
    page.head("Not stated", "and it matters: the result at best and at worst");
    for item in unknowns {
        let text = simulation::unknown(item, &page.wording);
        page.paragraph(Emphasis::Plain, "  ", &text);
    }
}

fn assumed(page: &mut Page, report: &Report) {
    if report.assumptions.is_empty() {
        return;
    }
    page.head("Assumed", "");
    for assumption in &report.assumptions {
        let start = format!("  {} ", page.glyphs.bullet);
        let text = page.name(assumption);
        page.paragraph(Emphasis::Plain, &start, &text);
    }
}
