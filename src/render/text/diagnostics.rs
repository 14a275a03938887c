//! Shows diagnostics beside the lines they speak of, in the look of rustc.
//!
//! Only a window of a few lines around each place is given to `annotate-snippets`, with the right
//! line number, so that a mistake in a file of 100 MB is shown as quickly as any other.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Label, Place, Severity, SourceId, Sources};
use crate::prose::escape;

/// How the text is dressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiagnosticStyle {
    /// Plain text.
    #[default]
    Plain,
    /// With ANSI escapes for bold and colour.
    Ansi,
}

/// All diagnostics with the lines they speak of, and a last line that counts them; nothing for none.
pub fn render_diagnostics(
    diagnostics: &[Diagnostic],
    sources: &Sources,
    style: DiagnosticStyle,
) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let renderer = match style {
        DiagnosticStyle::Plain => Renderer::plain(),
        DiagnosticStyle::Ansi => Renderer::styled(),
    };
    let mut texts = SourceTexts::new(sources);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&render_one(diagnostic, &mut texts, &renderer));
        out.push_str("\n\n");
    }
    out.push_str(&count_summary(diagnostics));
    out.push('\n');
    // The lines of a file are shown as they are, and a runner reads them too.
    escape::without_commands(&out)
}

/// How many of each: `3 errors, 1 warning`.
pub fn count_summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let parts = [counted(errors, "error"), counted(diagnostics.len() - errors, "warning")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn render_one<'a>(
    diagnostic: &'a Diagnostic,
    texts: &mut SourceTexts<'a>,
    renderer: &Renderer,
) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title =
        level.primary_title(printable_text(&diagnostic.message)).id(diagnostic.code.as_str());
    let mut group = Group::with_title(title);
    let windows = text_windows(diagnostic, texts);
    let is_cut = windows.first().is_some_and(|window| window.column.is_some());
    let render = |groups: &[Group<'_>]| {
        let text = renderer.render(groups);
        if is_cut { without_second_headline(&text) } else { text }
    };
    for window in windows {
        group = window.show_in(group);
    }
    // A long replacement would hide the message; the help alone says enough.
    let fix = diagnostic.fix.as_ref().filter(|fix| fix.replacement.len() <= TEXT_MAX);
    let Some(fix) = fix else {
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(printable_text(help)));
        }
        return render(&[group]);
    };
    // A fix is a proposal, so it needs a headline of its own even where nobody wrote one.
    let help = diagnostic.help.as_deref().unwrap_or("write this instead");
    let window = texts.window_of(fix.place, fix.place);
    let patch = Patch::new(window.range_within(fix.place), printable_text(&fix.replacement));
    let snippet = Snippet::source(window.text).line_start(window.line).patch(patch);
    let suggestion = Level::HELP.secondary_title(printable_text(help)).element(snippet);
    render(&[group, suggestion])
}

/// A snippet with a headline of ours, for the column of a line that is cut, gets an empty one of its
/// own: leave that out.
fn without_second_headline(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    // Behind the title and our headline.
    let second = (2..lines.len()).find(|index| lines[*index].contains(":::"));
    let kept = lines.iter().enumerate().filter(|(index, _)| Some(*index) != second);
    kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
}

/// The stretches of text that a diagnostic is shown on, that of the primary place first.
fn text_windows<'a>(diagnostic: &'a Diagnostic, texts: &mut SourceTexts<'a>) -> Vec<Window<'a>> {
    let Some(primary) = &diagnostic.primary else { return Vec::new() };
    let mut groups: Vec<Vec<&Label>> = vec![vec![primary]];
    // Labels that are far apart get windows of their own: all lines between them would be shown
    // otherwise.
    for label in &diagnostic.others {
        let near = groups.iter_mut().find(|group| are_near(group, label));
        match near {
            Some(group) => group.push(label),
            None => groups.push(vec![label]),
        }
    }
    let mut windows: Vec<Window<'_>> =
        groups.into_iter().map(|group| texts.labelled_window(group)).collect();
    windows[0].is_primary = true;
    windows
}

/// Whether a label fits into one window with others.
fn are_near(group: &[&Label], label: &Label) -> bool {
    let first = group.iter().map(|other| other.place.start).min().unwrap_or(0);
    let last = group.iter().map(|other| other.place.end).max().unwrap_or(0);
    let place = label.place;
    place.source == group[0].place.source
        && place.end.saturating_sub(first) < NEAR
        && last.saturating_sub(place.start) < NEAR
}

/// How many bytes apart labels may be to be shown in one window.
const NEAR: u32 = 4096;

/// Longer lines are cut around the place; what remains too long for a terminal, `annotate-snippets`
/// cuts again, more nicely, but it would read all of a line of 100 MB for it.
const LINE_MAX: usize = 1000;

/// How much is left on both sides of a place on such a line.
const AROUND: usize = 100;

/// A few lines of a source.
struct Window<'a> {
    name: &'a str,
    text: &'a str,
    /// The offset of the text in the source.
    start: usize,
    /// The number of its first line.
    line: usize,
    /// Whether its first line is cut on the left, so that columns must be counted apart.
    column: Option<usize>,
    labels: Vec<&'a Label>,
    is_primary: bool,
}

impl<'a> Window<'a> {
    /// A place as a range within the window.
    fn range_within(&self, place: Place) -> std::ops::Range<usize> {
        let within = |byte: u32| {
            // A place may end outside the window, or within a character where the line was cut.
            let mut byte = (byte as usize).saturating_sub(self.start).min(self.text.len());
            while !self.text.is_char_boundary(byte) {
                byte -= 1;
            }
            byte
        };
        within(place.start)..within(place.end)
    }

    fn show_in(self, group: Group<'a>) -> Group<'a> {
        let mut snippet = Snippet::source(self.text).line_start(self.line);
        for (index, label) in self.labels.iter().enumerate() {
            let kind = match (index, self.is_primary) {
                (0, true) => AnnotationKind::Primary,
                _ => AnnotationKind::Context,
            };
            let annotation = kind.span(self.range_within(label.place));
            let text = (!label.text.is_empty()).then(|| printable_text(&label.text));
            snippet = snippet.annotation(annotation.label(text));
        }
        match self.column {
            None => group.element(snippet.path(printable_text(self.name))),
            Some(column) => {
                let origin =
                    Origin::path(printable_text(self.name)).line(self.line).char_column(column);
                group.element(origin).element(snippet)
            }
        }
    }
}

/// The sources, with what is known of their lines.
struct SourceTexts<'a> {
    sources: &'a Sources,
    lines: Vec<(SourceId, LineCounts)>,
}

impl<'a> SourceTexts<'a> {
    fn new(sources: &'a Sources) -> Self {
        Self { sources, lines: Vec::new() }
    }

    fn labelled_window(&mut self, labels: Vec<&'a Label>) -> Window<'a> {
        let places = || labels.iter().map(|label| label.place);
        let first = places().min_by_key(|place| place.start).expect("a window has a label");
        let last = places().max_by_key(|place| place.end).expect("a window has a label");
        let mut window = self.window_of(first, last);
        // The renderer counts columns in what it is given, so a cut line needs the column in the
        // whole line.
        if window.column.is_some() {
            let before = &self.sources.get(first.source).text[..labels[0].place.start as usize];
            let line = before.rfind('\n').map_or(0, |newline| newline + 1);
            window.column = Some(before[line..].chars().count() + 1);
            window.line = self.line_of(first.source, labels[0].place.start as usize);
        }
        window.labels = labels;
        window
    }

    /// The lines from one place to another.
    fn window_of(&mut self, first: Place, last: Place) -> Window<'a> {
        let source = self.sources.get(first.source);
        let text = source.text.as_str();
        let (from, to) =
            (char_boundary(text, first.start as usize), char_boundary(text, last.end as usize));
        let line_start = text[..from].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[to..].find('\n').map_or(text.len(), |newline| to + newline);
        let start = if from - line_start > LINE_MAX {
            char_boundary(text, from - AROUND)
        } else {
            line_start
        };
        let end =
            if line_end - to > LINE_MAX { char_boundary(text, to + AROUND) } else { line_end };
        Window {
            name: &source.name,
            text: &text[start..end.min(char_boundary(text, start + WINDOW_MAX))],
            start,
            line: self.line_of(first.source, from),
            column: (start > line_start).then_some(0),
            labels: Vec::new(),
            is_primary: false,
        }
    }

    /// The number of the line that holds this byte.
    fn line_of(&mut self, source: SourceId, byte: usize) -> usize {
        let text = &self.sources.get(source).text;
        let known = self.lines.iter().position(|(known, _)| *known == source);
        let index = known.unwrap_or_else(|| {
            self.lines.push((source, LineCounts::new(text)));
            self.lines.len() - 1
        });
        self.lines[index].1.line_of(text, byte)
    }
}

/// A place longer than this is shown in part.
const WINDOW_MAX: usize = 4 * NEAR as usize;

/// The nearest character that starts at or before a byte.
fn char_boundary(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// How many lines start before each block of a text: counting all of a large file for each of its
/// mistakes would take minutes.
struct LineCounts(Vec<usize>);

impl LineCounts {
    const BLOCK: usize = 64 * 1024;

    fn new(text: &str) -> Self {
        let mut lines = 1;
        let count = |block: &[u8]| {
            let before = lines;
            lines += count_newlines(block);
            before
        };
        Self(text.as_bytes().chunks(Self::BLOCK).map(count).collect())
    }

    fn line_of(&self, text: &str, byte: usize) -> usize {
        let block = byte / Self::BLOCK;
        match self.0.get(block) {
            Some(before) => before + count_newlines(&text.as_bytes()[block * Self::BLOCK..byte]),
            // Just behind the last byte of a full block, or in an empty file.
            None => 1 + count_newlines(text.as_bytes()),
        }
    }
}

#[expect(clippy::naive_bytecount, reason = "fast enough here without another crate")]
fn count_newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// A text that a terminal cannot take for a command, on one line, and not longer than a reader's
/// patience: a value in the wrong place can be a whole file.
fn printable_text(text: &str) -> String {
    // Escapes in a message could move the cursor or change what was printed before.
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    match text.char_indices().nth(TEXT_MAX) {
        None => text.chars().map(plain).collect(),
        Some((end, _)) => text[..end].chars().map(plain).chain(['…']).collect(),
    }
}

/// How many characters of a message, a label or a help are shown.
const TEXT_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Source};

    fn place_of(text: &str, word: &str) -> Place {
        let start = text.find(word).expect("it is there");
        Place { source: SourceId(0), start: start as u32, end: (start + word.len()) as u32 }
    }

    fn shown(text: &str, diagnostic: Diagnostic) -> String {
        let mut sources = Sources::default();
        sources.add(Source { name: "shop.yaml".to_owned(), text: text.to_owned() });
        render_diagnostics(&[diagnostic], &sources, DiagnosticStyle::Plain)
    }

    #[test]
    fn a_problem_looks_like_one_of_rustc() {
        let text = "# Läden ☃\nservices:\n  checkout:\n    dependencies:\n      - { service: paymnts }\n  payments: {}\n";
        let diagnostic = Diagnostic::error(
            Code::UnknownService,
            "there is no service `paymnts`",
            place_of(text, "paymnts"),
        )
        .label("no service of this name")
        .other_place(place_of(text, "payments"), "`payments` is defined here")
        .help("did you mean `payments`?")
        .replace_with("payments");
        let wanted = [
            "error[unknown-service]: there is no service `paymnts`",
            " --> shop.yaml:5:20",
            "  |",
            "5 |       - { service: paymnts }",
            "  |                    ^^^^^^^ no service of this name",
            "6 |   payments: {}",
            "  |   -------- `payments` is defined here",
            "  |",
            "help: did you mean `payments`?",
            "  |",
            "5 |       - { service: payments }",
            "  |                        +",
            "",
            "1 error",
        ];
        assert_eq!(shown(text, diagnostic).trim_end().lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_place_on_a_very_long_line_is_shown_with_its_surroundings() {
        let text = format!("{{ {} wrong, {} }}", "ä: b, ".repeat(1000), "c: d, ".repeat(1000));
        let diagnostic =
            Diagnostic::error(Code::Syntax, "wrong", place_of(&text, "wrong")).label("here");
        let wanted = [
            "error[syntax]: wrong",
            " --> shop.yaml:1:6004",
            "  |",
            "1 |  ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b, ä: b,  wrong, c: d, c: d, c: d, c: d, c: d, c: d, c: d...",
            "  |                                                                                       ^^^^^ here",
            "",
            "1 error",
        ];
        assert_eq!(shown(&text, diagnostic).trim_end().lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_problem_of_a_whole_file_has_no_lines() {
        let diagnostic = Diagnostic::file_error(Code::Empty, "`a\u{1b}[31m` holds nothing")
            .help("write something");
        let wanted = [
            "error[empty]: `a�[31m` holds nothing",
            " |",
            " = help: write something",
            "",
            "1 error",
        ];
        assert_eq!(shown("", diagnostic).trim_end().lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn places_far_apart_are_shown_apart() {
        let text = format!("first\n{}again\n", "x\n".repeat(10_000));
        let diagnostic = Diagnostic::error(Code::DuplicateKey, "twice", place_of(&text, "again"))
            .other_place(place_of(&text, "first"), "first here");
        let wanted = [
            "error[duplicate-key]: twice",
            "     --> shop.yaml:10002:1",
            "      |",
            "10002 | again",
            "      | ^^^^^",
            "      |",
            "     ::: shop.yaml:1:1",
            "      |",
            "    1 | first",
            "      | ----- first here",
            "",
            "1 error",
        ];
        assert_eq!(shown(&text, diagnostic).trim_end().lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn errors_and_warnings_are_counted() {
        let error = Diagnostic::file_error(Code::Empty, "x");
        let warning = Diagnostic::warning(Code::NoEffect, "x", Place::default());
        assert_eq!(count_summary(&[]), "");
        assert_eq!(count_summary(std::slice::from_ref(&warning)), "1 warning");
        assert_eq!(count_summary(&[error.clone(), error, warning]), "2 errors, 1 warning");
    }

    #[test]
    fn lines_are_counted_in_blocks() {
        let text = "a\n".repeat(LineCounts::BLOCK);
        let counts = LineCounts::new(&text);
        for byte in [0, 1, 2, LineCounts::BLOCK - 1, LineCounts::BLOCK, text.len() - 1, text.len()]
        {
            assert_eq!(counts.line_of(&text, byte), 1 + count_newlines(&text.as_bytes()[..byte]));
        }
    }
}
