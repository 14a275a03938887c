//! A picture of this room as pixels.
//!
//! Our pictures are rectangles, circles, paths of straight lines and cubic curves, and texts, each
//! painted as its own attributes say; nothing is moved, cut or seen through. Text is set letter by
//! letter from left to right, without pairs or ligatures, as it was measured.

use roxmltree::{Document, Node};
use tiny_skia::{
    Color, FillRule, Paint, Path, PathBuilder, Pixmap, PixmapMut, Rect, Stroke, StrokeDash,
    Transform,
};
use ttf_parser::OutlineBuilder;

use super::font::{Ruler, Weight};

/// How far the points that bend a quarter of a circle stand from its ends, in radii: the curve is
/// then never off by more than 0.03% (Goldapp, "Approximation of circular arcs by cubic
/// polynomials", 1991).
const BEND: f32 = 0.552_284_8;

/// Canvas and scale of a rasterised picture.
pub(super) struct Raster<'a> {
    pixels: PixmapMut<'a>,
    ruler: &'a Ruler<'a>,
    transform: Transform,
}

/// The size of a picture in its own pixels; nothing where it says none.
pub(super) fn picture_size(picture: &Document<'_>) -> Option<(f32, f32)> {
    let root = picture.root_element();
    Some((number_attribute(root, "width")?, number_attribute(root, "height")?))
        .filter(|(w, h)| *w > 0.0 && *h > 0.0)
}

impl<'a> Raster<'a> {
    /// On these pixels, so many for each of the picture's own.
    pub(super) fn new(pixels: &'a mut Pixmap, ruler: &'a Ruler<'a>, scale: f32) -> Self {
        Self { pixels: pixels.as_mut(), ruler, transform: Transform::from_scale(scale, scale) }
    }

    /// Draws all elements of a picture, the later ones over the earlier.
    pub(super) fn draw_picture(&mut self, picture: &Document<'_>) {
        for element in picture.descendants().filter(Node::is_element) {
            let path = match element.tag_name().name() {
                "rect" => rectangle_path(element),
                "circle" => circle_path(element),
                "path" => element.attribute("d").and_then(path_from_data),
                "text" => {
                    self.draw_text(element);
                    continue;
                }
                _ => continue,
            };
            if let Some(path) = path {
                self.paint_path(&path, element);
            }
        }
    }

    /// Fills a path and draws its line, as an element says.
    fn paint_path(&mut self, path: &Path, element: Node<'_, '_>) {
        self.fill_path(path, element);
        let Some(paint) = element.attribute("stroke").and_then(paint_of) else { return };
        let dash = element.attribute("stroke-dasharray").and_then(|dash| {
            StrokeDash::new(dash.split(' ').filter_map(|dash| dash.parse().ok()).collect(), 0.0)
        });
        let width = number_attribute(element, "stroke-width").unwrap_or(1.0);
        let stroke = Stroke { width, dash, ..Stroke::default() };
        self.pixels.stroke_path(path, &paint, &stroke, self.transform, None);
    }

    fn fill_path(&mut self, path: &Path, element: Node<'_, '_>) {
        if let Some(paint) = element.attribute("fill").and_then(paint_of) {
            self.pixels.fill_path(path, &paint, FillRule::Winding, self.transform, None);
        }
    }

    fn draw_text(&mut self, text: Node<'_, '_>) {
        let at = |name: &str| f64::from(number_attribute(text, name).unwrap_or(0.0));
        let (mut x, y, size) = (at("x"), at("y"), at("font-size"));
        let parts: Vec<TextPart<'_>> = text.children().filter_map(text_part).collect();
        let widths: Vec<f64> =
            parts.iter().map(|part| self.ruler.text_width(part.text, size, part.weight)).collect();
        let width: f64 = widths.iter().sum();
        x -= match text.attribute("text-anchor") {
            Some("middle") => width / 2.0,
            Some("end") => width,
            _ => 0.0,
        };
        for (part, width) in parts.iter().zip(widths) {
            if let Some(path) = letters_path(part, self.ruler, (x, y), size) {
                self.fill_path(&path, part.node);
            }
            x += width;
        }
    }
}

/// Part of a text that is set in one way.
struct TextPart<'a> {
    /// Element whose attributes say how it is painted.
    node: Node<'a, 'a>,
    weight: Weight,
    text: &'a str,
}

/// A child of a text: letters, or letters that are set differently from others.
fn text_part<'a>(child: Node<'a, 'a>) -> Option<TextPart<'a>> {
    let (node, text) = if child.is_text() {
        (child.parent()?, child.text()?)
    } else {
        (child, child.first_child()?.text()?)
    };
    let is_bold = node.attribute("font-weight") == Some("700");
    let weight = if is_bold { Weight::Bold } else { Weight::Regular };
    Some(TextPart { node, weight, text })
}

/// The outline of letters from a point on their baseline on; nothing where all are blank.
fn letters_path(part: &TextPart<'_>, ruler: &Ruler<'_>, at: (f64, f64), size: f64) -> Option<Path> {
    let mut pen = Pen { at, scale: 1.0, way: PathBuilder::new() };
    for letter in part.text.chars() {
        let (face, glyph, advance) = ruler.glyph_of(letter, part.weight);
        pen.scale = size / f64::from(face.units_per_em());
        // A letter without an outline is a blank; what no font has is a box, unless it is a mark
        // without a width of its own.
        match glyph {
            Some(glyph) => drop(face.outline_glyph(glyph, &mut pen)),
            None if advance > 0.0 => pen.unknown_letter(advance * f64::from(face.units_per_em())),
            None => {}
        }
        pen.at.0 += advance * size;
    }
    pen.way.finish()
}

/// Follows the outline of a letter.
struct Pen {
    /// Where the letter begins on its baseline.
    at: (f64, f64),
    /// Pixels for each unit of the font.
    scale: f64,
    way: PathBuilder,
}

impl Pen {
    fn point(&self, x: f32, y: f32) -> (f32, f32) {
        let x = self.at.0 + f64::from(x) * self.scale;
        let y = self.at.1 - f64::from(y) * self.scale;
        (x as f32, y as f32)
    }

    /// A frame as wide as a letter that no font has: the inner side runs the other way, and is left
    /// out.
    fn unknown_letter(&mut self, advance: f64) {
        let em = advance as f32;
        for (inset, is_inner) in [(0.1, false), (0.17, true)] {
            let (left, right) = (inset * em, (1.0 - inset) * em);
            let (bottom, top) = ((inset - 0.1) * em, (0.85 - inset) * em);
            let mut corners = [(left, bottom), (right, bottom), (right, top), (left, top)];
            if is_inner {
                corners.reverse();
            }
            self.move_to(corners[0].0, corners[0].1);
            corners[1..].iter().for_each(|(x, y)| self.line_to(*x, *y));
            self.close();
        }
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.point(x, y);
        self.way.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.point(x, y);
        self.way.line_to(x, y);
    }

    fn quad_to(&mut self, by_x: f32, by_y: f32, x: f32, y: f32) {
        let ((by_x, by_y), (x, y)) = (self.point(by_x, by_y), self.point(x, y));
        self.way.quad_to(by_x, by_y, x, y);
    }

    fn curve_to(&mut self, by_x: f32, by_y: f32, and_x: f32, and_y: f32, x: f32, y: f32) {
        let (by, and, to) = (self.point(by_x, by_y), self.point(and_x, and_y), self.point(x, y));
        self.way.cubic_to(by.0, by.1, and.0, and.1, to.0, to.1);
    }

    fn close(&mut self) {
        self.way.close();
    }
}

fn rectangle_path(element: Node<'_, '_>) -> Option<Path> {
    let at = |name: &str| number_attribute(element, name).unwrap_or(0.0);
    let (x, y, width, height) = (at("x"), at("y"), at("width"), at("height"));
    let round = at("rx").min(width / 2.0).min(height / 2.0);
    if round <= 0.0 {
        return Some(PathBuilder::from_rect(Rect::from_xywh(x, y, width, height)?));
    }
    let (right, bottom, less) = (x + width, y + height, round * (1.0 - BEND));
    let mut way = PathBuilder::new();
    way.move_to(x + round, y);
    way.line_to(right - round, y);
    way.cubic_to(right - less, y, right, y + less, right, y + round);
    way.line_to(right, bottom - round);
    way.cubic_to(right, bottom - less, right - less, bottom, right - round, bottom);
    way.line_to(x + round, bottom);
    way.cubic_to(x + less, bottom, x, bottom - less, x, bottom - round);
    way.line_to(x, y + round);
    way.cubic_to(x, y + less, x + less, y, x + round, y);
    way.close();
    way.finish()
}

fn circle_path(element: Node<'_, '_>) -> Option<Path> {
    let at = |name: &str| number_attribute(element, name).unwrap_or(0.0);
    PathBuilder::from_circle(at("cx"), at("cy"), at("r"))
}

/// A way as our pictures write it: jumps, straight lines and cubic curves between absolute points.
fn path_from_data(text: &str) -> Option<Path> {
    let mut way = PathBuilder::new();
    let mut rest = text.trim();
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        let end = after.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(after.len());
        let numbers: Vec<f32> = after[..end]
            .split_ascii_whitespace()
            .filter_map(|split_ascii_whitespace| split_ascii_whitespace.parse().ok())
            .collect();
        match (letter, numbers.as_slice()) {
            ('M', [x, y]) => way.move_to(*x, *y),
            ('L', [x, y]) => way.line_to(*x, *y),
            ('C', [a, b, c, d, x, y]) => way.cubic_to(*a, *b, *c, *d, *x, *y),
            ('Z', []) => way.close(),
            _ => return None,
        }
        rest = &after[end..];
    }
    way.finish()
}

fn number_attribute(element: Node<'_, '_>, name: &str) -> Option<f32> {
    element.attribute(name)?.parse().ok()
}

/// A colour as our pictures write it, `#RRGGBB`; nothing for none.
fn paint_of(color: &str) -> Option<Paint<'static>> {
    let digits = color.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    let [_, red, green, blue] = value.to_be_bytes();
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(Color::from_rgba8(red, green, blue, u8::MAX));
    Some(paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(svg: &str) -> Pixmap {
        let document = Document::parse(svg).unwrap();
        let mut pixels = Pixmap::new(100, 50).unwrap();
        Raster::new(&mut pixels, &Ruler::new(None), 1.0).draw_picture(&document);
        pixels
    }

    fn color(pixels: &Pixmap, x: u32, y: u32) -> [u8; 4] {
        let demultiply = pixels.pixel(x, y).unwrap().demultiply();
        [demultiply.red(), demultiply.green(), demultiply.blue(), demultiply.alpha()]
    }

    #[test]
    fn shapes_are_filled_and_lined_where_they_say() {
        let pixels = drawn(
            "<svg><rect x=\"10\" y=\"10\" width=\"40\" height=\"30\" rx=\"10\" fill=\"#102030\"/>\
             <circle cx=\"75\" cy=\"25\" r=\"10\" fill=\"#405060\" stroke=\"#FF0000\" stroke-width=\"4\"/>\
             <path d=\"M0 45 L100 45\" fill=\"none\" stroke=\"#00FF00\" stroke-width=\"2\" stroke-dasharray=\"10 10\"/>\
             <path d=\"M0 0 C10 0 10 0 10 5 L0 5 Z\" fill=\"#0000FF\"/></svg>",
        );
        assert_eq!(color(&pixels, 30, 25), [0x10, 0x20, 0x30, 255], "inside the box");
        assert_eq!(color(&pixels, 11, 11)[3], 0, "outside its round corner");
        assert_eq!(color(&pixels, 75, 25), [0x40, 0x50, 0x60, 255], "inside the circle");
        assert_eq!(color(&pixels, 85, 25), [255, 0, 0, 255], "on its line");
        assert_eq!(color(&pixels, 5, 44), [0, 255, 0, 255], "on the dash");
        assert_eq!(color(&pixels, 15, 44)[3], 0, "between dashes");
        assert_eq!(color(&pixels, 2, 2), [0, 0, 255, 255], "under the curve");
    }

    #[test]
    fn no_way_of_others_is_guessed_at() {
        for text in ["", "M1 2", "M0 0 A1 1 0 0 1 5 5", "M0 0 l5 5", "M0 0 L5", "é"] {
            assert_eq!(path_from_data(text), None, "{text}");
        }
    }

    /// The bounds of each part of the texts of a picture, with its colour.
    fn parts(svg: &str) -> Vec<(String, Rect)> {
        let document = Document::parse(svg).unwrap();
        let text = document.descendants().find(|node| node.has_tag_name("text")).unwrap();
        let parts = text.children().filter_map(text_part);
        let bounds = |part: TextPart<'_>| {
            let path = letters_path(&part, &Ruler::new(None), (0.0, 0.0), 20.0)?;
            Some((part.node.attribute("fill").unwrap().to_owned(), path.bounds()))
        };
        parts.filter_map(bounds).collect()
    }

    /// The columns in which something is drawn.
    fn columns(pixels: &Pixmap) -> (u32, u32) {
        let is_drawn = |x: &u32| (0..50).any(|y| color(pixels, *x, y)[3] > 0);
        ((0..100).find(is_drawn).unwrap(), (0..100).rfind(is_drawn).unwrap())
    }

    #[test]
    fn letters_stand_on_their_line_where_their_anchor_says() {
        let width = Ruler::new(None).text_width("HH", 20.0, Weight::Regular);
        let anchors = [
            ("", 50.0),
            (" text-anchor=\"middle\"", 50.0 - width / 2.0),
            (" text-anchor=\"end\"", 50.0 - width),
        ];
        for (anchor, start) in anchors {
            let pixels = drawn(&format!(
                "<svg><text x=\"50\" y=\"40\" font-size=\"20\"{anchor} fill=\"#123456\">HH</text></svg>"
            ));
            let (left, right) = columns(&pixels);
            assert!(f64::from(left) > start && f64::from(right) < start + width, "{anchor}");
            assert!(f64::from(right - left) > 0.8 * width, "both letters are drawn");
            let is_drawn = |y: &u32| (left..=right).any(|x| color(&pixels, x, *y)[3] > 0);
            assert_eq!((0..50).rfind(is_drawn), Some(39), "on the line");
        }
    }

    #[test]
    fn parts_follow_one_another_in_their_own_colours() {
        let svg = "<svg><text x=\"0\" y=\"20\" font-size=\"20\">\
                   <tspan font-weight=\"700\" fill=\"#FF0000\">I</tspan>\
                   <tspan fill=\"#0000FF\">&lt;漢</tspan></text></svg>";
        let all = parts(svg);
        assert_eq!((all[0].0.as_str(), all[1].0.as_str()), ("#FF0000", "#0000FF"));
        let pixels = drawn(svg);
        let red = (0..100).rfind(|x| color(&pixels, *x, 12)[0] > 200).unwrap();
        let blue = (0..100).find(|x| color(&pixels, *x, 12)[2] > 200).unwrap();
        assert!(red < blue, "one after the other");
        assert!(all[1].1.right() > 25.0, "what no font has is a box: {:?}", all[1].1);
    }
}
