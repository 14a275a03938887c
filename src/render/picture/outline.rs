//! Text as outlines, for a rasterizer that knows no fonts.
//!
//! Our pictures set text in one way only: letter by letter from left to right, without pairs or
//! ligatures, as it was measured. Going from letters to outlines takes no more than the font itself.

use std::fmt::Write as _;

use roxmltree::{Document, Error, Node};
use ttf_parser::{GlyphId, OutlineBuilder};

use super::font::{Ruler, Weight};

/// A picture of this room with paths in place of texts.
///
/// # Errors
/// Where it is no XML.
pub(super) fn outlined(svg: &str, ruler: &Ruler<'_>) -> Result<String, Error> {
    let document = Document::parse(svg)?;
    let mut outlined = String::with_capacity(svg.len() * 4);
    let mut done = 0;
    for text in document.descendants().filter(|node| node.has_tag_name("text")) {
        outlined.push_str(&svg[done..text.range().start]);
        outline(text, ruler, &mut outlined);
        done = text.range().end;
    }
    outlined.push_str(&svg[done..]);
    Ok(outlined)
}

/// Part of a text that is set in one way.
struct Part<'a> {
    /// What says how it is painted.
    node: Node<'a, 'a>,
    weight: Weight,
    text: &'a str,
}

fn outline<'a>(text: Node<'a, 'a>, ruler: &Ruler<'_>, into: &mut String) {
    let number = |name: &str| text.attribute(name).and_then(|it| it.parse().ok()).unwrap_or(0.0);
    let (mut x, y, size): (f64, f64, f64) = (number("x"), number("y"), number("font-size"));
    let parts: Vec<Part<'_>> = text.children().filter_map(part).collect();
    let widths: Vec<f64> =
        parts.iter().map(|part| ruler.width(part.text, size, part.weight)).collect();
    let width: f64 = widths.iter().sum();
    x -= match text.attribute("text-anchor") {
        Some("middle") => width / 2.0,
        Some("end") => width,
        _ => 0.0,
    };
    for (part, width) in parts.iter().zip(widths) {
        let mut pen = Pen { at: (x, y), scale: 1.0, way: String::new() };
        for letter in part.text.chars() {
            let (face, glyph, advance) = ruler.glyph(letter, part.weight);
            pen.scale = size / f64::from(face.units_per_em());
            // A letter without an outline is a blank. What no font has is drawn as a box, unless it
            // is a mark without a width of its own.
            if glyph.is_some() || advance > 0.0 {
                face.outline_glyph(glyph.unwrap_or(GlyphId(0)), &mut pen);
            }
            pen.at.0 += advance * size;
        }
        let fill = part.node.attribute("fill").unwrap_or("black");
        let way = pen.way;
        writeln!(into, "<path fill=\"{fill}\" d=\"{way}\"/>").expect("a string takes all text");
        x += width;
    }
}

/// A child of a text: letters, or letters that are set differently from others.
fn part<'a>(child: Node<'a, 'a>) -> Option<Part<'a>> {
    let (node, text) = if child.is_text() {
        (child.parent()?, child.text()?)
    } else {
        (child, child.first_child()?.text()?)
    };
    let is_bold = node.attribute("font-weight") == Some("700");
    let weight = if is_bold { Weight::Bold } else { Weight::Regular };
    Some(Part { node, weight, text })
}

/// Follows the outline of a letter.
struct Pen {
    /// Where the letter begins on its baseline.
    at: (f64, f64),
    /// Pixels for each unit of the font.
    scale: f64,
    way: String,
}

impl Pen {
    fn go(&mut self, letter: char, points: &[(f32, f32)]) {
        self.way.push(letter);
        for (x, y) in points {
            let x = self.at.0 + f64::from(*x) * self.scale;
            let y = self.at.1 - f64::from(*y) * self.scale;
            write!(self.way, "{x:.2} {y:.2} ").expect("a string takes all text");
        }
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.go('M', &[(x, y)]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.go('L', &[(x, y)]);
    }

    fn quad_to(&mut self, by_x: f32, by_y: f32, x: f32, y: f32) {
        self.go('Q', &[(by_x, by_y), (x, y)]);
    }

    fn curve_to(&mut self, by_x: f32, by_y: f32, and_x: f32, and_y: f32, x: f32, y: f32) {
        self.go('C', &[(by_x, by_y), (and_x, and_y), (x, y)]);
    }

    fn close(&mut self) {
        self.way.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(svg: &str) -> Vec<(String, Vec<f64>)> {
        let outlined = outlined(svg, &Ruler::new(None)).unwrap();
        let document = Document::parse(&outlined).unwrap();
        assert!(!outlined.contains("<text"), "{outlined}");
        let paths = document.descendants().filter(|node| node.has_tag_name("path"));
        let numbers = |way: &str| {
            let parts = way.split(|letter: char| letter.is_alphabetic() || letter == ' ');
            parts.filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect()
        };
        paths
            .map(|path| {
                let fill = path.attribute("fill").unwrap().to_owned();
                (fill, numbers(path.attribute("d").unwrap()))
            })
            .collect()
    }

    /// The least and the greatest of every second number, from this one on.
    fn ends(way: &[f64], first: usize) -> (f64, f64) {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        way.iter().skip(first).step_by(2).fold(ends, |(a, b), it| (a.min(*it), b.max(*it)))
    }

    #[test]
    fn letters_stand_on_their_line_where_their_anchor_says() {
        let text = |anchor: &str| {
            format!(
                "<svg><text x=\"100\" y=\"50\" font-size=\"20\"{anchor} fill=\"#123456\">HH</text></svg>"
            )
        };
        let width = Ruler::new(None).width("HH", 20.0, Weight::Regular);
        let anchors = [
            ("", 100.0),
            (" text-anchor=\"middle\"", 100.0 - width / 2.0),
            (" text-anchor=\"end\"", 100.0 - width),
        ];
        for (anchor, start) in anchors {
            let all = paths(&text(anchor));
            let (fill, way) = &all[0];
            assert_eq!((all.len(), fill.as_str()), (1, "#123456"));
            let ((left, right), (top, bottom)) = (ends(way, 0), ends(way, 1));
            assert!(left > start && right < start + width, "{start}: {left} to {right}");
            assert!(right - left > 0.8 * width, "both letters are drawn");
            assert!((bottom - 50.0).abs() < 0.01 && top < 40.0, "{top} to {bottom}");
        }
    }

    #[test]
    fn parts_follow_one_another_in_their_own_colours() {
        let svg = "<svg><text x=\"0\" y=\"9\" font-size=\"9\"><tspan font-weight=\"700\" fill=\"red\">I</tspan>\
                   <tspan fill=\"blue\">&lt; 漢</tspan></text><rect width=\"1\"/></svg>";
        let all = paths(svg);
        let fills: Vec<&str> = all.iter().map(|(fill, _)| fill.as_str()).collect();
        assert_eq!(fills, ["red", "blue"]);
        assert!(ends(&all[0].1, 0).1 < ends(&all[1].1, 0).0, "one after the other");
        assert!(outlined(svg, &Ruler::new(None)).unwrap().ends_with("<rect width=\"1\"/></svg>"));
    }
}
