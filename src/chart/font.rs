//! How wide text is: measured with the font that a PNG is drawn with.
//!
//! `DejaVu` Sans is as wide as Verdana, which takes its place where it is not installed, and wider than
//! most others: text that fits here fits elsewhere.

use ttf_parser::{Face, GlyphId};

/// Latin, Greek, Cyrillic, punctuation and arrows of `DejaVu` Sans; its licence lies beside it.
const REGULAR: &[u8] = include_bytes!("font/DejaVuSans.ttf");
/// The same of `DejaVu` Sans Bold.
const BOLD: &[u8] = include_bytes!("font/DejaVuSans-Bold.ttf");

/// The families that text is set in.
pub(super) const FAMILIES: &str = "DejaVu Sans, Verdana, Geneva, sans-serif";

/// How heavy text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// Measures text.
pub(super) struct Ruler<'a> {
    regular: Face<'a>,
    bold: Face<'a>,
    further: Option<Face<'a>>,
}

impl<'a> Ruler<'a> {
    /// With a further font for letters that the usual one lacks.
    pub(super) fn new(further: Option<&'a [u8]>) -> Self {
        let own = |font: &'static [u8]| Face::parse(font, 0).expect("the font is a font");
        Self {
            regular: own(REGULAR),
            bold: own(BOLD),
            further: further.and_then(|font| Face::parse(font, 0).ok()),
        }
    }

    /// The width of text in pixels, for letters of this size.
    pub(super) fn text_width(&self, text: &str, size: f64, weight: Weight) -> f64 {
        text.chars().map(|letter| self.advance_of(letter, weight)).sum::<f64>() * size
    }

    /// The advance of a letter as a share of the size.
    fn advance_of(&self, letter: char, weight: Weight) -> f64 {
        self.glyph_of(letter, weight).2
    }

    /// The font that has a letter, its number there, and its advance as a share of the size; no number
    /// where none has it.
    pub(super) fn glyph_of(
        &self,
        letter: char,
        weight: Weight,
    ) -> (&Face<'a>, Option<GlyphId>, f64) {
        let own = match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        };
        [Some(own), self.further.as_ref()]
            // The own font comes first, so that pictures are the same on every machine.
            .into_iter()
            .flatten()
            .find_map(|face| {
                let glyph = face.glyph_index(letter)?;
                let advance = f64::from(face.glyph_hor_advance(glyph)?);
                Some((face, Some(glyph), advance / f64::from(face.units_per_em())))
            })
            // Some other font has it, or draws a box in its place: an em at the most.
            .unwrap_or_else(|| match unicode_width::UnicodeWidthChar::width(letter) {
                Some(0) => (own, None, 0.0),
                _ => (own, None, 1.05),
            })
    }

    /// The text, or as much of its beginning as fits, and then an ellipsis.
    pub(super) fn fit_text(&self, text: &str, size: f64, weight: Weight, room: f64) -> String {
        if self.text_width(text, size, weight) <= room {
            return text.to_owned();
        }
        let mut left = room - self.text_width("…", size, weight);
        let mut kept = String::new();
        for letter in text.chars() {
            left -= self.advance_of(letter, weight) * size;
            if left < 0.0 {
                break;
            }
            kept.push(letter);
        }
        format!("{}…", kept.trim_end())
    }

    /// Returns a name in as many lines as it takes, broken behind a hyphen, an underscore, a dot, a slash
    /// or a space where there is one, and anywhere else where there is none. No letter is lost.
    pub(super) fn wrap_name(
        &self,
        name: &str,
        size: f64,
        weight: Weight,
        room: f64,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        // A break behind a separator keeps the parts of a name whole.
        for part in name.split_inclusive(['-', '_', '.', '/', ' ', ':']) {
            let whole = format!("{line}{part}");
            // A space at the end of a line is not drawn.
            if self.text_width(whole.trim_end(), size, weight) <= room {
                line = whole;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in part.chars() {
                let longer = format!("{line}{letter}");
                // The first letter of a line stays even where it alone is too wide, or the loop
                // would not end.
                if !line.is_empty() && self.text_width(longer.trim_end(), size, weight) > room {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        lines.push(line);
        lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
    }

    /// The words of a text in lines that fit.
    pub(super) fn wrap_text(
        &self,
        text: &str,
        size: f64,
        weight: Weight,
        room: f64,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split(' ') {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if !line.is_empty() && self.text_width(&longer, size, weight) > room {
                lines.push(self.fit_text(&line, size, weight, room));
                word.clone_into(&mut line);
            } else {
                line = longer;
            }
        }
        lines.push(self.fit_text(&line, size, weight, room));
        lines
    }
}

/// Whether a file is a font that can be used.
pub fn is_font(bytes: &[u8]) -> bool {
    Face::parse(bytes, 0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_too_long_is_cut_to_its_room() {
        let ruler = Ruler::new(None);
        let cut = ruler.fit_text("a-service-with-a-very-long-name", 13.0, Weight::Bold, 90.0);
        assert!(cut.ends_with('…'), "{cut}");
        assert!(ruler.text_width(&cut, 13.0, Weight::Bold) <= 90.0);
        assert_eq!(ruler.fit_text("short", 13.0, Weight::Bold, 90.0), "short");
    }

    #[test]
    fn every_character_has_a_width_and_marks_have_none() {
        let ruler = Ruler::new(None);
        let width = |text: &str| ruler.text_width(text, 10.0, Weight::Regular);
        assert_eq!(width("漢"), 10.5);
        assert_eq!(width("\u{301}"), width("\u{302}"));
        assert!(width("m") > width("i"));
        assert!(width("→ ≥ · … –") > 20.0, "the signs that pictures use");
    }

    #[test]
    fn lines_break_between_words() {
        let ruler = Ruler::new(None);
        let lines = ruler.wrap_text("one two three four five six", 12.0, Weight::Regular, 80.0);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), "one two three four five six");
    }
}
