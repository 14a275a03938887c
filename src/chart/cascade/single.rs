//! A dense cascade: one arrow for each box, from left to right, or as an outline where that is too wide.

use super::super::font::Weight;
use super::super::frame::{MARGIN, Sheet};
use super::super::layout::{Point, Size};
use super::super::palette::Palette;
use super::super::shapes::StateLook as _;
use super::super::svg::{LabelStyle, LineStyle, SvgPath};
use super::boxes::{box_attributes, box_hint, draw_rank_badge};
use super::captions;
use super::links::{edge_attributes, edge_hint};
use crate::report::CascadeReport;
use crate::report::cascade::{BoxState, CascadeEdge, EdgeKind};

/// The room beside the sign.
const LEFT: f64 = 28.0;
/// The room at the right end of a box.
const RIGHT: f64 = 10.0;
/// The room between columns, where arrows bend.
const COLUMN_GAP: f64 = 44.0;
/// The room between boxes below each other.
const ROW_GAP: f64 = 9.0;
/// How far an outline is indented for each call; less where it would be too wide.
const INDENT: f64 = 30.0;
/// The least width that is left to the boxes of an outline.
const OUTLINE_BOX: f64 = 330.0;

/// The place and text of a box.
struct Placed {
    at: Point,
    size: Size,
    /// Lines of the name, then lines of the state.
    name: Vec<String>,
    state: Vec<String>,
}

/// A dense cascade with a place for each box.
pub(super) struct SinglePlan {
    boxes: Vec<Placed>,
    parents: Vec<Option<usize>>,
    is_outline: bool,
    /// The room that all boxes take.
    pub(super) size: Size,
}

/// Finds a place for each box in at most this width.
pub(super) fn plan_single(cascade: &CascadeReport, sheet: &Sheet<'_>, width: f64) -> SinglePlan {
    let mut parents = vec![None; cascade.boxes.len()];
    for edge in &cascade.edges {
        // With one arrow for each box the edges form a tree.
        parents[edge.to] = Some(edge.from);
    }
    let common = captions::common_state(cascade);
    // A wide page has room for whole names.
    let room = if width > 1000.0 { 300.0 } else { 230.0 };
    let mut plan = SinglePlan {
        boxes: box_contents(cascade, sheet, common.as_deref(), room),
        parents,
        is_outline: false,
        size: Size::default(),
    };
    plan.place_columns();
    if plan.size.width > width {
        plan.is_outline = true;
        let deepest = plan.reading_order().into_iter().map(|(_, depth)| depth).max().unwrap_or(0);
        // The deepest box must keep a width in which it can be read.
        let indent = INDENT.min((width - OUTLINE_BOX).max(0.0) / deepest.max(1) as f64);
        let room = width - indent * deepest as f64 - LEFT - RIGHT;
        plan.boxes = box_contents(cascade, sheet, common.as_deref(), room.min(420.0));
        plan.place_outline(indent);
    }
    plan
}

/// Returns the text of each box in lines that fit into this width, with the room that it takes.
fn box_contents(
    cascade: &CascadeReport,
    sheet: &Sheet<'_>,
    common: Option<&str>,
    room: f64,
) -> Vec<Placed> {
    let letters = sheet.letters;
    let content = |(index, drawn): (usize, &_)| {
        let way = cascade.edges.iter().find(|edge| edge.to == index);
        let said = captions::dense_state(drawn, cascade, way);
        let state = if Some(said.as_str()) == common { String::new() } else { said };
        let name = captions::box_name(drawn);
        let name = sheet.ruler.wrap_name(&name, letters.plain, Weight::Bold, room);
        let state = match state.as_str() {
            "" => Vec::new(),
            text => sheet.ruler.wrap_text(text, letters.small, Weight::Regular, room),
        };
        let width_of = |lines: &[String], size: f64, weight| {
            lines.iter().map(|line| sheet.text_width(line, size, weight)).fold(0.0, f64::max)
        };
        let inner = width_of(&name, letters.plain, Weight::Bold).max(width_of(
            &state,
            letters.small,
            Weight::Regular,
        ));
        let lines = name.len() as f64 * line_height(letters.plain)
            + state.len() as f64 * line_height(letters.small);
        let size = Size { width: LEFT + inner + RIGHT, height: lines + 10.0 };
        Placed { at: Point::default(), size, name, state }
    };
    cascade.boxes.iter().enumerate().map(content).collect()
}

fn line_height(size: f64) -> f64 {
    size * 1.22
}

impl SinglePlan {
    /// Returns the boxes, each before those that it leads to, with how many arrows it is from the start.
    fn reading_order(&self) -> Vec<(usize, usize)> {
        let mut children = vec![Vec::new(); self.boxes.len()];
        let mut open = Vec::new();
        for (index, parent) in self.parents.iter().enumerate() {
            match parent {
                Some(parent) => children[*parent].push(index),
                None => open.push((index, 0)),
            }
        }
        // A stack gives the last one first.
        open.reverse();
        let mut order = Vec::with_capacity(self.boxes.len());
        // A list of open boxes takes the place of recursion, as a chain may be long.
        while let Some((index, depth)) = open.pop() {
            order.push((index, depth));
            open.extend(children[index].iter().rev().map(|child| (*child, depth + 1)));
        }
        order
    }

    /// Places boxes in columns by how many arrows they are from the start, callers beside what they call.
    fn place_columns(&mut self) {
        let order = self.reading_order();
        let columns = order.iter().map(|(_, depth)| depth + 1).max().unwrap_or(0);
        let mut widths = vec![0.0_f64; columns];
        for (index, depth) in &order {
            widths[*depth] = widths[*depth].max(self.boxes[*index].size.width);
        }
        let mut lefts = Vec::with_capacity(columns);
        let mut left = 0.0;
        for width in &widths {
            lefts.push(left);
            left += width + COLUMN_GAP;
        }
        let has_children: Vec<bool> =
            (0..self.boxes.len()).map(|index| self.parents.contains(&Some(index))).collect();
        let mut bottom = 0.0_f64;
        for (index, depth) in &order {
            self.boxes[*index].at.x = lefts[*depth];
            if !has_children[*index] {
                self.boxes[*index].at.y = bottom;
                bottom += self.boxes[*index].size.height + ROW_GAP;
            }
        }
        // Backwards, so that children have their places before their parents.
        for (index, _) in order.iter().rev().filter(|(index, _)| has_children[*index]) {
            let middles = (0..self.boxes.len())
                .filter(|child| self.parents[*child] == Some(*index))
                .map(|child| self.boxes[child].middle_y());
            let (least, most) =
                middles.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), y| (a.min(y), b.max(y)));
            let drawn = &mut self.boxes[*index];
            // A parent stands in the middle of its children.
            drawn.at.y = least.midpoint(most) - drawn.size.height / 2.0;
        }
        self.separate_columns(&order);
        self.measure_extent();
    }

    /// A tall parent with small children would reach into its neighbours: moves what overlaps down.
    fn separate_columns(&mut self, order: &[(usize, usize)]) {
        let columns = order.iter().map(|(_, depth)| depth + 1).max().unwrap_or(0);
        // Boxes above the top edge move the whole picture down.
        let top = self.boxes.iter().map(|drawn| drawn.at.y).fold(0.0, f64::min);
        let mut bottoms = vec![f64::NEG_INFINITY; columns];
        for (index, depth) in order {
            let drawn = &mut self.boxes[*index];
            drawn.at.y = (drawn.at.y - top).max(bottoms[*depth]);
            bottoms[*depth] = drawn.at.y + drawn.size.height + ROW_GAP;
        }
    }

    /// Places every box in a row of its own below what it calls, indented by the number of calls.
    fn place_outline(&mut self, indent: f64) {
        let mut y = 0.0;
        for (index, depth) in self.reading_order() {
            let drawn = &mut self.boxes[index];
            drawn.at = Point { x: indent * depth as f64, y };
            y += drawn.size.height + ROW_GAP - 2.0;
        }
        self.measure_extent();
    }

    fn measure_extent(&mut self) {
        let right = |drawn: &Placed| drawn.at.x + drawn.size.width;
        let bottom = |drawn: &Placed| drawn.at.y + drawn.size.height;
        self.size = Size {
            width: self.boxes.iter().map(right).fold(0.0, f64::max),
            height: self.boxes.iter().map(bottom).fold(0.0, f64::max),
        };
    }

    /// Draws arrows, and then boxes over them.
    pub(super) fn draw_plan(&self, sheet: &mut Sheet<'_>, cascade: &CascadeReport, from: Point) {
        // Arrows first: boxes are drawn over their ends.
        for edge in &cascade.edges {
            let texts = edge_attributes(edge, cascade);
            let attributes: Vec<(&str, &str)> =
                texts.iter().map(|(name, value)| (*name, value.as_str())).collect();
            sheet.svg.open_group(&attributes, &edge_hint(edge, cascade));
            self.draw_arrow(sheet, cascade, edge, from);
            sheet.svg.close_group();
        }
        for (drawn, placed) in cascade.boxes.iter().zip(&self.boxes) {
            let texts = box_attributes(drawn);
            let attributes: Vec<(&str, &str)> =
                texts.iter().map(|(name, value)| (*name, value.as_str())).collect();
            sheet.svg.open_group(&attributes, &box_hint(drawn, cascade));
            placed.draw_box(sheet, drawn.state, drawn.folded.is_some(), from);
            if let Some(rank) = drawn.rank.filter(|_| drawn.state != BoxState::Holds) {
                let at = Point { x: from.x + placed.at.x, y: from.y + placed.at.y };
                draw_rank_badge(sheet, rank, at);
            }
            sheet.svg.close_group();
        }
    }

    fn draw_arrow(
        &self,
        sheet: &mut Sheet<'_>,
        cascade: &CascadeReport,
        edge: &CascadeEdge,
        by: Point,
    ) {
        let (a, b) = (&self.boxes[edge.from], &self.boxes[edge.to]);
        let end = Point { x: by.x + b.at.x, y: by.y + b.middle_y() };
        let start = if self.is_outline {
            Point { x: by.x + a.at.x + 12.0, y: by.y + a.at.y + a.size.height }
        } else {
            Point { x: by.x + a.at.x + a.size.width, y: by.y + a.middle_y() }
        };
        let propagates = edge.passed >= cascade.threshold;
        let (color, line) = match (edge.kind, propagates) {
            (EdgeKind::Degraded, _) => {
                (Palette::Outline, LineStyle::new(Palette::Outline, 1.4).dashed("2 3"))
            }
            (_, true) => {
                (Palette::Spread, LineStyle::new(Palette::Spread, 1.2 + 2.2 * edge.passed))
            }
            (_, false) => (Palette::Guard, LineStyle::new(Palette::Guard, 1.8).dashed("6 4")),
        };
        // Degraded answers get through, so they have a head and no bar.
        let is_held = !propagates && edge.kind != EdgeKind::Degraded;
        let short = Point { x: end.x - if is_held { 3.0 } else { 8.0 }, y: end.y };
        let path = if self.is_outline {
            SvgPath::new().move_to(start).line_to(Point { x: start.x, y: end.y }).line_to(short)
        } else {
            let x = start.x.midpoint(end.x);
            SvgPath::new().move_to(start).curve_to(
                Point { x, y: start.y },
                Point { x, y: end.y },
                short,
            )
        };
        sheet.svg.draw_path(&path, None, Some(line));
        if is_held {
            let (top, foot) =
                (Point { y: end.y - 8.0, ..short }, Point { y: end.y + 8.0, ..short });
            sheet.svg.draw_line(top, foot, LineStyle::new(color, 3.2));
        } else {
            let (x, y) = (end.x, end.y);
            let head = SvgPath::polygon(&[(x, y), (x - 9.0, y - 4.5), (x - 9.0, y + 4.5)]);
            sheet.svg.draw_path(&head, Some(color), None);
        }
    }
}

impl Placed {
    fn middle_y(&self) -> f64 {
        self.at.y + self.size.height / 2.0
    }

    fn draw_box(&self, sheet: &mut Sheet<'_>, state: BoxState, is_folded: bool, by: Point) {
        let letters = sheet.letters;
        let at = Point { x: by.x + self.at.x, y: by.y + self.at.y };
        let Size { width, height } = self.size;
        if is_folded {
            // The edges of two boxes behind it: it stands for several.
            for step in [5.0, 2.5] {
                let behind = Point { x: at.x + step, y: at.y + step };
                let fill = Some(state.fill_color());
                sheet.svg.draw_rect(
                    behind,
                    (width, height),
                    5.0,
                    fill,
                    Some(state.outline_style()),
                );
            }
        }
        sheet.svg.draw_rect(
            at,
            (width, height),
            5.0,
            Some(state.fill_color()),
            Some(state.outline_style()),
        );
        let sign = Point { x: at.x + 14.0, y: at.y + 5.0 + line_height(letters.plain) / 2.0 };
        state.draw_sign(&mut sheet.svg, sign, state.text_color());
        let x = at.x + LEFT;
        let mut y = at.y + 5.0;
        for line in &self.name {
            let how = LabelStyle::new(letters.plain, state.text_color()).bold();
            sheet.svg.draw_text(Point { x, y: y + letters.plain * 0.94 }, how, line);
            y += line_height(letters.plain);
        }
        for line in &self.state {
            let how = LabelStyle::new(letters.small, state.text_color());
            sheet.svg.draw_text(Point { x, y: y + letters.small * 0.94 }, how, line);
            y += line_height(letters.small);
        }
    }
}

/// Returns the width that boxes may take, given what else stands beside them.
pub(super) fn room_for_boxes(page: f64, beside: f64) -> f64 {
    page - beside - 2.0 * MARGIN - 8.0
}
