//! Lines of text in colours, as wide as they look.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Ansi};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Emphasis of a piece of text. The words and marks say it too: colour is never the only signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Emphasis {
    #[default]
    Plain,
    Strong,
    Faint,
    Bad,
    Doubtful,
    Good,
}

impl Emphasis {
    fn ansi_style(self) -> Ansi {
        match self {
            Self::Plain => Ansi::new(),
            Self::Strong => Ansi::new().bold(),
            Self::Faint => Ansi::new().dimmed(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Doubtful => AnsiColor::Yellow.on_default(),
            Self::Good => AnsiColor::Green.on_default(),
        }
    }
}

/// A line of text in pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct StyledLine {
    pieces: Vec<(Emphasis, String)>,
}

impl StyledLine {
    /// A line of one piece.
    pub(super) fn of_piece(ink: Emphasis, text: impl Into<String>) -> Self {
        let mut line = Self::default();
        line.push_piece(ink, text);
        line
    }

    /// Adds a piece.
    pub(super) fn push_piece(&mut self, ink: Emphasis, text: impl Into<String>) -> &mut Self {
        let text = text.into();
        if !text.is_empty() {
            self.pieces.push((ink, text));
        }
        self
    }

    /// Adds blanks.
    pub(super) fn push_blanks(&mut self, columns: usize) -> &mut Self {
        self.push_piece(Emphasis::Plain, " ".repeat(columns))
    }

    /// Adds all of another line.
    pub(super) fn append_line(&mut self, other: Self) -> &mut Self {
        self.pieces.extend(other.pieces);
        self
    }

    /// How many columns it takes.
    pub(super) fn column_count(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text_columns(text)).sum()
    }

    /// The line with its colours, or without, and with no blanks at its end.
    pub(super) fn with_colors(&self, has_color: bool) -> String {
        let mut text = String::new();
        let mut pieces = self.pieces.as_slice();
        while let Some(((_, last), rest)) = pieces.split_last()
            && last.trim_end().is_empty()
        {
            pieces = rest;
        }
        for (index, (ink, piece)) in pieces.iter().enumerate() {
            let piece = if index + 1 == pieces.len() { piece.trim_end() } else { piece };
            let style = ink.ansi_style();
            if has_color && *ink != Emphasis::Plain {
                write!(text, "{style}{piece}{style:#}").expect("memory takes any text");
            } else {
                text.push_str(piece);
            }
        }
        text
    }
}

/// How many columns a text takes in a terminal.
pub(super) fn text_columns(text: &str) -> usize {
    // By columns and not by letters: some take two, and some none.
    text.width()
}

/// A text in at most so many columns: what is too long loses its middle, since both ends of a name
/// tell it from its neighbours.
pub(super) fn shorten_text(text: &str, most: usize, ellipsis: &str) -> String {
    if text_columns(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(text_columns(ellipsis));
    let head = take_columns(text.chars(), room - room / 2);
    let tail: String = take_columns(text.chars().rev(), room / 2).chars().rev().collect();
    // A combining mark without its letter would hang on the ellipsis.
    let tail = tail.trim_start_matches(|c: char| c.width() == Some(0));
    format!("{head}{ellipsis}{tail}")
}

fn take_columns(chars: impl Iterator<Item = char>, most: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= most
        })
        .collect()
}

/// Breaks a text into lines of at most so many columns; a word that is longer is broken itself.
pub(super) fn wrap_text(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        // A word longer than a line would otherwise stand out of the page.
        for part in break_word(word, most.max(1)) {
            let line = lines.last_mut().expect("at least one line");
            let gap = usize::from(!line.is_empty());
            if text_columns(line) + gap + text_columns(&part) > most && gap == 1 {
                lines.push(part);
            } else {
                line.push_str(&" "[..gap]);
                line.push_str(&part);
            }
        }
    }
    lines
}

fn break_word(word: &str, most: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in word.chars() {
        let last = parts.last_mut().expect("at least one part");
        if text_columns(last) + c.width().unwrap_or(0) > most && !last.is_empty() {
            parts.push(c.to_string());
        } else {
            last.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shorten_text("storefront", 10, "…"), "storefront");
        assert_eq!(shorten_text("storefront-web-eu", 10, "…"), "store…b-eu");
        assert_eq!(shorten_text("storefront-web-eu", 10, ".."), "stor..b-eu");
        assert_eq!(shorten_text("", 10, "…"), "");
    }

    #[test]
    fn wide_letters_count_twice_and_are_never_halved() {
        assert_eq!(text_columns("支付服务"), 8);
        let short = shorten_text("支付服务支付服务", 8, "…");
        assert!(text_columns(&short) <= 8, "{short}");
        assert_eq!(short, "支付…务");
    }

    #[test]
    fn text_is_wrapped_at_words_and_inside_them_only_where_it_must() {
        assert_eq!(wrap_text("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap_text("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap_text("", 7), [""]);
    }

    #[test]
    fn colours_are_added_only_on_request_and_blanks_at_the_end_never() {
        let mut line = StyledLine::of_piece(Emphasis::Bad, "fails");
        line.push_blanks(3);
        assert_eq!(line.with_colors(false), "fails");
        assert_eq!(line.with_colors(true), "\u{1b}[1m\u{1b}[31mfails\u{1b}[0m");
    }
}
