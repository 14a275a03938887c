//! The cascade: which services failure reaches from what breaks, in what order, and where it stops.
//!
//! Every link points the way failure travels, from a dependency to its caller. Zones and teams are
//! words in the boxes: boxes around boxes would push the columns apart.

mod boxes;
mod captions;
mod legend;
mod links;
mod pair;
mod single;

pub(super) use boxes::draw_rank_badge;
pub(super) use captions::{box_name, box_state, guard_caption, left_out, state_counts};
pub use pair::draw_before_after;

use super::font::Weight;
use super::frame::{MARGIN, Sheet, provenance_note};
use super::layout::{
    self, Direction, Layered, Layout as _, LayoutGraph, LayoutLink, Placement, Point,
};
use super::palette::Palette;
use super::svg::LabelStyle;
use super::{ChartStyle, PageSize};
use crate::cascade::with_one_arrow;
use crate::report::CascadeReport;
use crate::report::cascade::{Arrows, BoxState};
use boxes::draw_boxes;
use legend::{draw_flows, draw_legend};
use links::draw_links;
use single::plan_single;

/// How wide the list of flows is, where it stands beside the picture.
const FLOWS: f64 = 250.0;

/// The widest that a picture for a column of text may be.
const DOC: f64 = 860.0;

/// How high a page is on which such a picture may stand.
const PAGE: f64 = 1100.0;

/// How wide a picture of a dense cascade for a slide may be.
const SLIDE: f64 = 2200.0;

/// Draws the cascade.
pub fn draw_cascade(cascade: &CascadeReport, style: &ChartStyle<'_>) -> String {
    let sheet = Sheet::new(style, 0.0);
    if cascade.arrows == Arrows::One {
        return draw_single(cascade, sheet);
    }
    let plan = plan_cascade(cascade, &sheet);
    let page = match style.size {
        PageSize::Doc => DOC,
        PageSize::Slide => SLIDE,
        PageSize::Full => f64::INFINITY,
    };
    let room = single::room_for_boxes(page, flows_beside(cascade, &sheet));
    if plan.placement.size.width > room {
        // Shrunk to the page, it could not be read.
        return draw_single(&with_one_arrow(cascade), sheet);
    }
    draw_all_arrows(cascade, sheet, &plan)
}

/// Draws a dense cascade.
fn draw_single(cascade: &CascadeReport, mut sheet: Sheet<'_>) -> String {
    let is_doc = sheet.style.size == PageSize::Doc;
    let page = if is_doc { DOC } else { SLIDE };
    let beside = flows_beside(cascade, &sheet);
    let plan = plan_single(cascade, &sheet, single::room_for_boxes(page, beside));
    let title = captions::cascade_title(cascade);
    let mut notes = cascade_notes(cascade);
    notes.extend(
        captions::common_state(cascade).map(|state| format!("Where a box has no figure: {state}.")),
    );
    sheet.width = (plan.size.width + beside + 2.0 * MARGIN + 8.0).max(least_width(is_doc));
    sheet.draw_head(&title, &notes);
    let from = Point { x: MARGIN + 8.0, y: sheet.top + 8.0 };
    plan.draw_plan(&mut sheet, cascade, from);
    finish_cascade(cascade, sheet, &title, None, from.y, plan.size.height)
}

fn least_width(is_doc: bool) -> f64 {
    if is_doc { 640.0 } else { 860.0 }
}

/// Returns the width that the list of flows takes beside the picture.
fn flows_beside(cascade: &CascadeReport, sheet: &Sheet<'_>) -> f64 {
    let is_beside = sheet.style.size != PageSize::Doc && !cascade.flows.is_empty();
    if is_beside { FLOWS + 36.0 } else { 0.0 }
}

/// How the boxes and links are placed, and what they say.
struct CascadePlan {
    direction: Direction,
    boxes: Vec<boxes::BoxContent>,
    labels: Vec<links::LinkLabel>,
    placement: Placement,
}

/// Finds places for everything: from left to right, unless in a column of text that is worse to read
/// than from top to bottom with few boxes beside each other.
fn plan_cascade(cascade: &CascadeReport, sheet: &Sheet<'_>) -> CascadePlan {
    let right = place_all(cascade, sheet, LayoutWay::Right);
    // Only a column of text is narrow enough for another direction to pay.
    if sheet.style.size != PageSize::Doc || right.placement.size.width <= DOC - 2.0 * MARGIN {
        return right;
    }
    let others = std::iter::once(LayoutWay::Tight).chain((1..=6).rev().map(LayoutWay::Down));
    let plans = std::iter::once(right).chain(others.map(|way| place_all(cascade, sheet, way)));
    let cost = |plan: &CascadePlan| size_cost(plan.placement.size);
    let best = plans.min_by(|a, b| cost(a).total_cmp(&cost(b)));
    best.expect("there is one from left to right")
}

/// How bad a picture of some size is in a column of text: by how much it is shrunk there, squared since
/// letters lose by both, and how many pages it then takes.
fn size_cost(size: layout::Size) -> f64 {
    let shrunk = (size.width / (DOC - 2.0 * MARGIN)).max(1.0);
    let pages = (size.height / shrunk / PAGE).max(1.0);
    shrunk * shrunk * pages
}

/// A way to lay out a cascade.
#[derive(Clone, Copy, Debug, PartialEq)]
enum LayoutWay {
    /// From left to right.
    Right,
    /// The same with no more between columns than it takes.
    Tight,
    /// From top to bottom, with at most so many boxes beside each other.
    Down(usize),
}

impl LayoutWay {
    fn direction(self) -> Direction {
        if matches!(self, Self::Down(_)) { Direction::Down } else { Direction::Right }
    }

    fn layered_layout(self) -> Layered {
        let right = Layered::default();
        match self {
            Self::Right => right,
            Self::Tight => Layered { row_gap: 12.0, bend_most: 8.0, box_gap: 16.0, ..right },
            Self::Down(row_max) => Layered {
                direction: Direction::Down,
                row_max,
                box_gap: 16.0,
                row_gap: 18.0,
                ..right
            },
        }
    }
}

fn place_all(cascade: &CascadeReport, sheet: &Sheet<'_>, way: LayoutWay) -> CascadePlan {
    let boxes: Vec<boxes::BoxContent> =
        cascade.boxes.iter().map(|item| boxes::BoxContent::new(item, cascade, sheet)).collect();
    let is_short = way != LayoutWay::Right;
    let labels: Vec<links::LinkLabel> = cascade
        .edges
        .iter()
        .map(|edge| links::LinkLabel::new(edge, cascade, sheet, is_short))
        .collect();
    let placement = lay_out(cascade, &boxes, &labels, way);
    CascadePlan { direction: way.direction(), boxes, labels, placement }
}

/// Finds places for contents and labels of these sizes.
fn lay_out(
    cascade: &CascadeReport,
    boxes: &[boxes::BoxContent],
    labels: &[links::LinkLabel],
    way: LayoutWay,
) -> Placement {
    let links = cascade.edges.iter().zip(labels).map(|(edge, label)| LayoutLink {
        from: edge.from,
        to: edge.to,
        label: label.size(),
        // The more often failure passes, the straighter its link should be.
        weight: 1.0 + 4.0 * edge.passed,
    });
    let graph = LayoutGraph {
        boxes: boxes.iter().map(boxes::BoxContent::size).collect(),
        is_first: cascade.boxes.iter().map(|item| item.state == BoxState::Origin).collect(),
        links: links.collect(),
    };
    way.layered_layout().place(&graph)
}

fn draw_all_arrows(cascade: &CascadeReport, mut sheet: Sheet<'_>, plan: &CascadePlan) -> String {
    let size = plan.placement.size;
    let is_doc = sheet.style.size == PageSize::Doc;
    let beside = flows_beside(cascade, &sheet);
    sheet.width = (size.width + beside + 2.0 * MARGIN + 8.0).max(least_width(is_doc));
    let title = captions::cascade_title(cascade);
    sheet.draw_head(&title, &cascade_notes(cascade));
    // Badges reach out of their boxes.
    let from = Point { x: MARGIN + 8.0, y: sheet.top + 8.0 };
    draw_links(&mut sheet, cascade, plan, from);
    draw_boxes(&mut sheet, cascade, plan, from);
    finish_cascade(cascade, sheet, &title, Some(plan), from.y, size.height)
}

/// Draws the flows, the legend and what is omitted around boxes that stand at `top`.
fn finish_cascade(
    cascade: &CascadeReport,
    mut sheet: Sheet<'_>,
    title: &str,
    plan: Option<&CascadePlan>,
    top: f64,
    height: f64,
) -> String {
    let is_doc = sheet.style.size == PageSize::Doc;
    let has_flows = !cascade.flows.is_empty();
    sheet.top = top + height + 14.0;
    if has_flows && is_doc {
        sheet.top += 6.0;
        let room = sheet.inner_width() + 24.0;
        let columns = (1..=8_u32)
            .take_while(|columns| f64::from(*columns) * (FLOWS + 24.0) <= room)
            .count()
            .max(1);
        let at = Point { x: MARGIN, y: sheet.top };
        draw_flows(&mut sheet, cascade, at, columns);
    } else if has_flows {
        let at = Point { x: sheet.width - MARGIN - FLOWS, y: top - 8.0 };
        let drawn = sheet.top;
        draw_flows(&mut sheet, cascade, at, 1);
        sheet.top = sheet.top.max(drawn);
    }
    draw_legend(&mut sheet, cascade, plan);
    if let Some(left_out) = left_out(cascade) {
        sheet.top += 2.0;
        let how = LabelStyle::new(sheet.letters.small, Palette::Soft);
        sheet.draw_paragraph(&left_out, how);
    }
    sheet.into_svg("cascade", title, &captions::cascade_description(cascade))
}

fn cascade_notes(cascade: &CascadeReport) -> Vec<String> {
    vec![
        format!("{} · {}", provenance_note(cascade.trials, cascade.seed), state_counts(cascade)),
        "Arrows show how failure propagates: from a dependency to its caller.".to_owned(),
    ]
}

/// A heading within the picture.
fn draw_heading(sheet: &mut Sheet<'_>, at: Point, text: &str) {
    let how =
        LabelStyle { weight: Weight::Bold, ..LabelStyle::new(sheet.letters.plain, Palette::Text) };
    sheet.svg.draw_text(at, how, text);
}
