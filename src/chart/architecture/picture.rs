//! The architecture as SVG, and the places that editable formats share with it.

use super::{Architecture, ArchitectureBox, BoxShape};
use crate::chart::font::{Ruler, Weight};
use crate::chart::frame::{MARGIN, Sheet};
use crate::chart::layout::{
    Direction, Layered, Layout as _, LayoutGraph, LayoutLink, Placement, Point, Size, Stroke,
};
use crate::chart::palette::Palette;
use crate::chart::svg::{LabelStyle, LineStyle, SvgPath};
use crate::chart::{ChartStyle, PageSize as Page};

/// The greatest width of a picture in a column of text.
const DOC: f64 = 860.0;
/// The greatest width of the text in a box.
const TEXT: f64 = 185.0;
/// The room around the text of a box.
const PAD: f64 = 10.0;
/// The room between lines of text.
const LINE_GAP: f64 = 3.0;

/// The text of a box in lines, with the room that it takes.
pub(super) struct ArchitectureContent {
    pub(super) name: Vec<String>,
    pub(super) detail: Vec<String>,
    pub(super) size: Size,
}

impl ArchitectureContent {
    fn new(drawn: &ArchitectureBox, ruler: &Ruler<'_>, plain: f64, small: f64) -> Self {
        let name = ruler.wrap_name(&drawn.name, plain, Weight::Bold, TEXT);
        let detail = ruler.wrap_name(&drawn.detail, small, Weight::Regular, TEXT);
        let widest = |lines: &[String], size: f64, weight| {
            lines.iter().map(|line| ruler.text_width(line, size, weight)).fold(0.0, f64::max)
        };
        let inner = widest(&name, plain, Weight::Bold).max(widest(&detail, small, Weight::Regular));
        let lines =
            name.len() as f64 * (plain + LINE_GAP) + detail.len() as f64 * (small + LINE_GAP);
        // Below 60 pixels short names would make boxes too narrow to be hit by a pointer.
        let size = Size { width: inner.max(60.0) + PAD * 2.0, height: lines + PAD * 1.4 };
        Self { name, detail, size }
    }
}

/// Finds a place for each box: from left to right, unless that is wider than asked for and fewer boxes
/// beside each other are narrower.
pub(super) fn place_boxes(
    architecture: &Architecture,
    ruler: &Ruler<'_>,
    (plain, small): (f64, f64),
    width_max: f64,
) -> (Vec<ArchitectureContent>, Placement, Direction) {
    let contents: Vec<ArchitectureContent> = architecture
        .boxes
        .iter()
        .map(|drawn| ArchitectureContent::new(drawn, ruler, plain, small))
        .collect();
    let links = architecture.links.iter().map(|link| LayoutLink {
        from: link.from,
        to: link.to,
        label: Size { width: 12.0, height: 2.0 },
        // Links that a caller cannot do without should be the straight ones.
        weight: if link.is_soft { 1.0 } else { 2.0 },
    });
    let graph = LayoutGraph {
        boxes: contents.iter().map(|content| content.size).collect(),
        is_first: architecture.boxes.iter().map(|drawn| drawn.shape == BoxShape::Flow).collect(),
        links: links.collect(),
    };
    let right = Layered::default();
    let placement = right.place(&graph);
    // From left to right is how callers and dependencies are read best, so it is taken wherever it
    // fits.
    if placement.size.width <= width_max {
        return (contents, placement, Direction::Right);
    }
    // Fewer boxes beside each other make the picture narrower and longer.
    let down = (1..=6).rev().map(|row_max| {
        Layered { direction: Direction::Down, row_max, box_gap: 16.0, row_gap: 18.0, ..right }
            .place(&graph)
    });
    let best = down
        .map(|placement| (placement, Direction::Down))
        .chain([(placement.clone(), Direction::Right)])
        // Below the greatest width a narrower picture is no better, and the first one counts.
        .min_by(|a, b| a.0.size.width.max(width_max).total_cmp(&b.0.size.width.max(width_max)));
    let (placement, direction) = best.expect("there is one from left to right");
    (contents, placement, direction)
}

/// Draws the architecture.
pub fn draw_architecture(architecture: &Architecture, style: &ChartStyle<'_>) -> String {
    let mut sheet = Sheet::new(style, 0.0);
    let letters = sheet.letters;
    let width_max =
        // A slide may be wide, since it is shown as a whole.
        if style.size == Page::Doc { DOC - 2.0 * MARGIN } else { 2200.0 - 2.0 * MARGIN };
    let sizes = (letters.plain, letters.small);
    let (contents, placement, direction) =
        place_boxes(architecture, &sheet.ruler, sizes, width_max);
    sheet.width = (placement.size.width + 2.0 * MARGIN).max(640.0);
    let title = architecture.diagram_title();
    let notes =
        [architecture.extent_note(), "Arrows point from a caller to its dependency.".to_owned()];
    sheet.draw_head(&title, &notes);
    let from = Point { x: MARGIN, y: sheet.top };
    for (link, route) in architecture.links.iter().zip(&placement.routes) {
        let ends = [
            ("class", "bw-edge"),
            ("data-from", architecture.boxes[link.from].name.as_str()),
            ("data-to", architecture.boxes[link.to].name.as_str()),
        ];
        sheet.svg.open_group(&ends, "");
        let line = LineStyle::new(Palette::Outline, 1.4);
        let line = if link.is_soft { line.dashed("5 4") } else { line };
        let (path, head) = arrow_paths(route.start, &route.strokes, direction, from);
        sheet.svg.draw_path(&path, None, Some(line));
        sheet.svg.draw_path(&head, Some(Palette::Outline), None);
        sheet.svg.close_group();
    }
    // Boxes are drawn after links, so that no line crosses a name.
    for ((drawn, content), at) in architecture.boxes.iter().zip(&contents).zip(&placement.boxes) {
        let at = Point { x: from.x + at.x, y: from.y + at.y };
        let attributes = [("class", "bw-box"), ("data-name", drawn.name.as_str())];
        sheet.svg.open_group(&attributes, &format!("{}: {}", drawn.name, drawn.detail));
        draw_box(&mut sheet, drawn, content, at);
        sheet.svg.close_group();
    }
    sheet.top = from.y + placement.size.height + 12.0;
    let how = LabelStyle::new(letters.small, Palette::Soft);
    if architecture.links.iter().any(|link| link.is_soft) {
        sheet.draw_paragraph("Dashed: the caller can do without it.", how);
    }
    let description = format!("{title}: {}.", architecture.extent_note());
    sheet.into_svg("architecture", &title, &description)
}

fn draw_box(
    sheet: &mut Sheet<'_>,
    drawn: &ArchitectureBox,
    content: &ArchitectureContent,
    at: Point,
) {
    let letters = sheet.letters;
    let (fill, text) = match drawn.shape {
        BoxShape::Flow => (Palette::Origin, Palette::OnOrigin),
        BoxShape::Service | BoxShape::Group => (Palette::Lane, Palette::Text),
        BoxShape::External => (Palette::Paper, Palette::Text),
    };
    let line = LineStyle::new(Palette::Outline, 1.3);
    let line = if drawn.shape == BoxShape::External { line.dashed("5 3") } else { line };
    let radius = if drawn.shape == BoxShape::Flow { 14.0 } else { 5.0 };
    let size = (content.size.width, content.size.height);
    sheet.svg.draw_rect(at, size, radius, Some(fill), Some(line));
    let mut y = at.y + PAD * 0.7;
    for text_line in &content.name {
        y += letters.plain + LINE_GAP;
        let baseline = Point { x: at.x + PAD, y: y - letters.plain * 0.3 };
        sheet.svg.draw_text(baseline, LabelStyle::new(letters.plain, text).bold(), text_line);
    }
    for text_line in &content.detail {
        y += letters.small + LINE_GAP;
        let baseline = Point { x: at.x + PAD, y: y - letters.small * 0.3 };
        sheet.svg.draw_text(baseline, LabelStyle::new(letters.small, text), text_line);
    }
}

/// Returns the line of an arrow and its head.
fn arrow_paths(
    start: Point,
    strokes: &[Stroke],
    direction: Direction,
    by: Point,
) -> (SvgPath, SvgPath) {
    let moved = |point: Point| Point { x: point.x + by.x, y: point.y + by.y };
    let mut at = moved(start);
    let mut path = SvgPath::new().move_to(at);
    for stroke in strokes {
        let end = moved(stroke.end());
        path = match (stroke, direction) {
            (Stroke::Line(_), _) => path.line_to(end),
            (Stroke::Curve(_), Direction::Right) => {
                let x = at.x.midpoint(end.x);
                path.curve_to(Point { x, y: at.y }, Point { x, y: end.y }, end)
            }
            (Stroke::Curve(_), Direction::Down) => {
                let y = at.y.midpoint(end.y);
                path.curve_to(Point { x: at.x, y }, Point { x: end.x, y }, end)
            }
        };
        at = end;
    }
    let Point { x, y } = at;
    // A route that closes a cycle arrives from the other side.
    // The head points along the last stroke, for which the point before it is needed.
    let last = strokes.iter().rev().nth(1).map_or(moved(start), |stroke| moved(stroke.end()));
    let head = match direction {
        Direction::Right => {
            let back = if last.x > x { 8.0 } else { -8.0 };
            SvgPath::polygon(&[(x, y), (x + back, y - 4.0), (x + back, y + 4.0)])
        }
        Direction::Down => {
            let back = if last.y > y { 8.0 } else { -8.0 };
            SvgPath::polygon(&[(x, y), (x - 4.0, y + back), (x + 4.0, y + back)])
        }
    };
    (path, head)
}
