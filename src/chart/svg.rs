//! The elements of a picture: numbers are rounded, texts are made harmless, colours are attributes.
//!
//! Colours stand in attributes, since viewers with a strict policy drop styles; where a picture may
//! turn dark, classes stand beside them.

use std::fmt::Write as _;

use super::Theme;
use super::font::Weight;
use super::layout::Point;
use super::palette::Palette;

/// A picture in the making.
pub(super) struct Svg {
    theme: Theme,
    body: String,
}

/// The line around something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LineStyle {
    pub(super) color: Palette,
    pub(super) width: f64,
    pub(super) dash: Option<&'static str>,
}

impl LineStyle {
    /// A solid one.
    pub(super) fn new(color: Palette, width: f64) -> Self {
        Self { color, width, dash: None }
    }

    /// The same, dashed.
    pub(super) fn dashed(self, dash: &'static str) -> Self {
        Self { dash: Some(dash), ..self }
    }
}

/// Which end of a text stands where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LabelStyle {
    pub(super) size: f64,
    pub(super) weight: Weight,
    pub(super) color: Palette,
    pub(super) anchor: Anchor,
}

impl LabelStyle {
    /// Plain text that begins where it is put.
    pub(super) fn new(size: f64, color: Palette) -> Self {
        Self { size, weight: Weight::Regular, color, anchor: Anchor::Start }
    }

    /// The same, bold.
    pub(super) fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    /// The same, with another end where it is put.
    pub(super) fn anchored_at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

impl Svg {
    /// An empty one.
    pub(super) fn new(theme: Theme) -> Self {
        Self { theme, body: String::new() }
    }

    /// Returns what was drawn.
    pub(super) fn into_body(self) -> String {
        self.body
    }

    /// Draws what another one holds.
    pub(super) fn append_drawing(&mut self, other: &Self) {
        self.body.push_str(&other.body);
    }

    fn color_value(&self, color: Palette) -> &'static str {
        if self.theme == Theme::Dark { color.dark_color() } else { color.light_color() }
    }

    /// The attributes of a fill and a line.
    fn paint_attributes(&self, fill: Option<Palette>, line: Option<LineStyle>) -> String {
        let fill_color = fill.map_or("none", |color| self.color_value(color));
        let mut text = format!(" fill=\"{fill_color}\"");
        if let Some(line) = line {
            let (color, width) = (self.color_value(line.color), coordinate_text(line.width));
            write!(text, " stroke=\"{color}\" stroke-width=\"{width}\"").expect(STRING);
            if let Some(dash) = line.dash {
                write!(text, " stroke-dasharray=\"{dash}\"").expect(STRING);
            }
        }
        if matches!(self.theme, Theme::Auto | Theme::Embedded) {
            let fill = fill.map(|color| format!("bw-f-{}", color.class_name()));
            let line = line.map(|line| format!("bw-s-{}", line.color.class_name()));
            let classes: Vec<String> = [fill, line].into_iter().flatten().collect();
            if !classes.is_empty() {
                write!(text, " class=\"{}\"", classes.join(" ")).expect(STRING);
            }
        }
        text
    }

    /// A box with round corners.
    pub(super) fn draw_rect(
        &mut self,
        at: Point,
        (width, height): (f64, f64),
        radius: f64,
        fill: Option<Palette>,
        line: Option<LineStyle>,
    ) {
        let (x, y, width, height) = (
            coordinate_text(at.x),
            coordinate_text(at.y),
            coordinate_text(width),
            coordinate_text(height),
        );
        let paint = self.paint_attributes(fill, line);
        let round = if radius > 0.0 {
            format!(" rx=\"{}\"", coordinate_text(radius))
        } else {
            String::new()
        };
        let element = format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{round}{paint}/>\n"
        );
        self.body.push_str(&element);
    }

    /// A circle.
    pub(super) fn draw_circle(
        &mut self,
        at: Point,
        radius: f64,
        fill: Option<Palette>,
        line: Option<LineStyle>,
    ) {
        let (x, y, radius) =
            (coordinate_text(at.x), coordinate_text(at.y), coordinate_text(radius));
        let paint = self.paint_attributes(fill, line);
        self.body.push_str(&format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"{paint}/>\n"));
    }

    /// A path.
    pub(super) fn draw_path(
        &mut self,
        path: &SvgPath,
        fill: Option<Palette>,
        line: Option<LineStyle>,
    ) {
        let paint = self.paint_attributes(fill, line);
        self.body.push_str(&format!("<path d=\"{}\"{paint}/>\n", path.0.trim_end()));
    }

    /// A straight line.
    pub(super) fn draw_line(&mut self, from: Point, to: Point, line: LineStyle) {
        self.draw_path(&SvgPath::new().move_to(from).line_to(to), None, Some(line));
    }

    /// Text on its baseline.
    pub(super) fn draw_text(&mut self, at: Point, how: LabelStyle, text: &str) {
        self.draw_spans(at, how, &[(how.weight, how.color, text)]);
    }

    /// Text whose parts are set differently.
    pub(super) fn draw_spans(
        &mut self,
        at: Point,
        how: LabelStyle,
        parts: &[(Weight, Palette, &str)],
    ) {
        let (x, y, size) =
            (coordinate_text(at.x), coordinate_text(at.y), coordinate_text(how.size));
        let anchor = match how.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = |weight: Weight| match weight {
            Weight::Regular => "",
            Weight::Bold => " font-weight=\"700\"",
        };
        let mut inner = String::new();
        let is_one = parts.len() == 1;
        for (of, color, text) in parts {
            if is_one {
                inner.push_str(&escaped_xml(text));
            } else {
                let paint = self.paint_attributes(Some(*color), None);
                write!(inner, "<tspan{}{paint}>{}</tspan>", weight(*of), escaped_xml(text))
                    .expect(STRING);
            }
        }
        let own = if is_one {
            format!("{}{}", weight(parts[0].0), self.paint_attributes(Some(parts[0].1), None))
        } else {
            String::new()
        };
        self.body.push_str(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{anchor}{own} xml:space=\"preserve\">{inner}</text>\n"
        ));
    }

    /// Opens a group with a title that shows when it is pointed at; values of attributes are made
    /// harmless, names must be.
    pub(super) fn open_group(&mut self, attributes: &[(&str, &str)], title: &str) {
        self.body.push_str("<g");
        for (name, value) in attributes {
            write!(self.body, " {name}=\"{}\"", escaped_xml(value)).expect(STRING);
        }
        self.body.push_str(">\n");
        if !title.is_empty() {
            writeln!(self.body, "<title>{}</title>", escaped_xml(title)).expect(STRING);
        }
    }

    /// Closes the last group.
    pub(super) fn close_group(&mut self) {
        self.body.push_str("</g>\n");
    }
}

const STRING: &str = "a string takes all text";

/// The way of a pen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SvgPath(String);

impl SvgPath {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Goes somewhere without drawing.
    #[must_use]
    pub(super) fn move_to(self, to: Point) -> Self {
        self.with_command("M", &[to])
    }

    /// Draws a straight line.
    #[must_use]
    pub(super) fn line_to(self, to: Point) -> Self {
        self.with_command("L", &[to])
    }

    /// Draws a cubic curve.
    #[must_use]
    pub(super) fn curve_to(self, by: Point, and: Point, to: Point) -> Self {
        self.with_command("C", &[by, and, to])
    }

    /// Draws a line back to the start.
    #[must_use]
    pub(super) fn closed(mut self) -> Self {
        self.0.push('Z');
        self
    }

    /// All of these, closed.
    pub(super) fn polygon(points: &[(f64, f64)]) -> Self {
        let mut path = Self::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let to = Point { x: *x, y: *y };
            path = if index == 0 { path.move_to(to) } else { path.line_to(to) };
        }
        path.closed()
    }

    fn with_command(mut self, letter: &str, points: &[Point]) -> Self {
        self.0.push_str(letter);
        for point in points {
            write!(self.0, "{} {} ", coordinate_text(point.x), coordinate_text(point.y))
                .expect(STRING);
        }
        self
    }
}

/// A number to a tenth of a pixel.
pub(super) fn coordinate_text(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text that stands for itself in XML: markup is escaped, and what XML cannot hold, or what would turn
/// the text around it, becomes a sign for the unknown.
pub(crate) fn escaped_xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' | '\r' => safe.push(' '),
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FFFE}' | '\u{FFFF}' => {
                safe.push('\u{FFFD}');
            }
            letter if letter.is_control() => safe.push('\u{FFFD}'),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(coordinate_text(3.0), "3");
        assert_eq!(coordinate_text(-0.04), "0");
        assert_eq!(coordinate_text(2.25), "2.2");
    }

    #[test]
    fn hostile_text_is_harmless() {
        assert_eq!(escaped_xml("</script><a b='c\">"), "&lt;/script&gt;&lt;a b=&#39;c&quot;&gt;");
        assert_eq!(escaped_xml("a\u{202E}b\u{0}c\nd"), "a\u{FFFD}b\u{FFFD}c d");
        assert_eq!(escaped_xml("ok → 漢 🙂"), "ok → 漢 🙂");
    }
}
