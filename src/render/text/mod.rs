//! The report for a terminal: what somebody on call reads in ten seconds.
//!
//! A sentence comes first, then the flows, what they lose and when, then services, what held, what is
//! not known, what was taken for granted. However large the topology, it stays on a page or two.

mod glyphs;
mod ink;
mod losses;
mod table;
mod units;
mod when;

use glyphs::Glyphs;
use ink::{Ink, Line, clean, columns, wrap};

use super::story::{self, Wording};
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
    units::add_services(&mut page, report);
    held(&mut page, report);
    unknown(&mut page, report);
    assumed(&mut page, report);
    page.gap();
    page.paragraph(Ink::Faint, "", &story::footer(report));
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
    clean(name, false)
}

/// How many lines the smaller sections may take.
const HELD_MAX: usize = 5;
const UNHELD_MAX: usize = 4;

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
        let name: fn(&str) -> String =
            if style.ascii { |name| clean(name, true) } else { |name| clean(name, false) };
        let style = Style { width: style.width.clamp(Style::NARROWEST, Style::WIDEST), ..style };
        let wording = Wording { name, arrow: glyphs.arrow };
        Self { style, glyphs, wording, text: String::new(), widths: None }
    }

    /// A name that is harmless.
    fn name(&self, name: &str) -> String {
        (self.wording.name)(name)
    }

    fn line(&mut self, line: &Line) {
        self.text.push_str(&line.show(self.style.color));
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
        let mut line = Line::of(Ink::Strong, title);
        if !remark.is_empty() {
            line.blank(2).push(Ink::Faint, remark);
        }
        self.line(&line);
    }

    /// A text over several lines, those after the first as far in as the first one's start.
    fn paragraph(&mut self, ink: Ink, start: &str, text: &str) {
        let inset = columns(start);
        let text = if self.style.ascii { clean(text, true) } else { text.to_owned() };
        for (index, part) in wrap(&text, self.style.width - inset).into_iter().enumerate() {
            let mut line = Line::default();
            if index == 0 { line.push(Ink::Plain, start) } else { line.blank(inset) };
            line.push(ink, part);
            self.line(&line);
        }
    }

    /// Words that must be seen, and what they say.
    fn notice(&mut self, ink: Ink, word: &str, text: &str) {
        let inset = columns(word) + 2;
        for (index, part) in wrap(text, self.style.width - inset).into_iter().enumerate() {
            let mut line = Line::default();
            if index == 0 { line.push(ink, word).blank(2) } else { line.blank(inset) };
            line.push(Ink::Plain, part);
            self.line(&line);
        }
    }
}

fn headline(page: &mut Page, report: &Report) {
    if let Some(interruption) = story::interruption(report) {
        page.paragraph(Ink::Doubtful, "", &interruption);
        page.gap();
    }
    verdict(page, report);
    let essence = story::essence(report, &page.wording);
    page.paragraph(Ink::Strong, "", &essence);
    if let Some(per_rollout) = story::per_rollout(report, &page.wording) {
        page.paragraph(Ink::Plain, "", &per_rollout);
    }
    for (word, text) in story::alarms(report, &page.wording) {
        let word = format!("{} {word}:", page.glyphs.warning);
        page.notice(Ink::Bad, &word, &text);
    }
}

fn verdict(page: &mut Page, report: &Report) {
    let Some(verdict) = &report.verdict else { return };
    let ink = match verdict.decision.as_str() {
        "proceed" => Ink::Good,
        "caution" => Ink::Doubtful,
        _ => Ink::Bad,
    };
    let word = format!("{}:", verdict.decision.to_uppercase());
    let undecided = if verdict.undecided { "undecided. " } else { "" };
    let reasons: Vec<String> = verdict.reasons.iter().map(|reason| page.name(reason)).collect();
    let first = reasons.first().map_or("no reason was given", String::as_str);
    page.notice(ink, &word, &format!("{undecided}{first}"));
    let inset = " ".repeat(columns(&word) + 2);
    for reason in reasons.iter().skip(1) {
        page.paragraph(Ink::Plain, &inset, reason);
    }
    page.gap();
}

fn held(page: &mut Page, report: &Report) {
    let held = story::held(report);
    let unheld = story::unheld(report);
    if held.is_empty() && unheld.is_empty() {
        return;
    }
    page.head("What held", "in this share of worlds");
    for it in held.iter().take(HELD_MAX) {
        let call = page.wording.call(&it.at.caller, &it.at.dependency);
        let through = super::words::percent(it.at.passed);
        let dot = page.glyphs.dot;
        let got_through =
            if it.at.passed > 0.0 { format!(" {dot} got through {through}") } else { String::new() };
        page.paragraph(Ink::Plain, "  ", &format!("{call}: {}{got_through}", it.guards));
    }
    if held.len() > HELD_MAX {
        let more = format!("and at {} more", super::words::plural(held.len() - HELD_MAX, "call"));
        page.paragraph(Ink::Faint, "  ", &more);
    }
    if !unheld.is_empty() {
        let calls: Vec<String> = unheld
            .iter()
            .map(|it| {
                let call = page.wording.call(&it.caller, &it.dependency);
                format!("{call} {}", super::words::percent(it.passed))
            })
            .collect();
        let calls = super::words::list(&calls, "and", UNHELD_MAX);
        page.notice(Ink::Doubtful, "  nothing held at", &calls);
    }
}

fn unknown(page: &mut Page, report: &Report) {
    if report.unknowns.is_empty() {
        return;
    }
    page.head("Not stated", "and it matters: what the result would be at best and at worst");
    for it in &report.unknowns {
        let text = story::unknown(it, &page.wording);
        page.paragraph(Ink::Plain, "  ", &text);
    }
}

fn assumed(page: &mut Page, report: &Report) {
    if report.assumptions.is_empty() {
        return;
    }
    page.head("Assumed", "");
    for it in &report.assumptions {
        let start = format!("  {} ", page.glyphs.bullet);
        let text = page.name(it);
        page.paragraph(Ink::Plain, &start, &text);
    }
}
