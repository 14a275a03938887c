//! The links of a cascade: failure that passed, as wide as it is frequent, and failure that was held.

use super::super::font::Weight;
use super::super::frame::Sheet;
use super::super::layout::{Direction, Point, Route, Size, Stroke};
use super::super::palette::Palette;
use super::super::svg::{Anchor, LabelStyle, LineStyle, SvgPath};
use super::{CascadePlan, captions};
use crate::chart::PageSize as Page;
use crate::prose::format;
use crate::report::cascade::{CascadeEdge, CascadeReport, EdgeKind};
use crate::sort::Arrange as _;

/// How far the two lines of a link lie apart where failure passes in some trials and not in others.
const APART: f64 = 5.0;

/// Label of a link: the failure that propagated, and the failure that was contained.
pub(super) struct LinkLabel {
    passed: Option<String>,
    held: Option<String>,
    size: Size,
}

impl LinkLabel {
    /// The label of an edge; a short one in a column of text is the share alone.
    pub(super) fn new(
        edge: &CascadeEdge,
        cascade: &CascadeReport,
        sheet: &Sheet<'_>,
        is_short: bool,
    ) -> Self {
        let is_doc = sheet.style.size == Page::Doc;
        let share = |share: f64| format::percent((share * 100.0).round() / 100.0);
        let is_failure = edge.kind != EdgeKind::Degraded && edge.passed >= cascade.threshold;
        let passed = is_failure.then(|| match edge.kind {
            EdgeKind::RunsIn => "runs here".to_owned(),
            EdgeKind::Load if is_doc => "load".to_owned(),
            EdgeKind::Load => "floods".to_owned(),
            _ => share(edge.passed),
        });
        let held = edge.strongest_guard(cascade.threshold).map(|held| match (is_doc, is_short) {
            (true, true) => share(held.share),
            (true, false) => format!("held {}", share(held.share)),
            (false, _) => captions::guard_caption(held),
        });
        let size = sheet.letters.tiny;
        let widest = [&passed, &held]
            .into_iter()
            .flatten()
            .map(|text| sheet.text_width(text, size, Weight::Bold))
            .fold(0.0, f64::max);
        let lines = [&passed, &held].into_iter().flatten().count() as f64;
        // What says nothing keeps its neighbours apart all the same.
        let size = Size { width: widest.max(6.0) + 14.0, height: lines * (size + 4.0) };
        Self { passed, held, size }
    }

    /// The room it takes.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Gives both the room of the larger.
    pub(super) fn share_room(&mut self, other: &mut Self) {
        super::boxes::share_room(&mut self.size, &mut other.size);
    }
}

/// Draws all links, what passed above what was held, and then their labels.
pub(super) fn draw_links(
    sheet: &mut Sheet<'_>,
    cascade: &CascadeReport,
    plan: &CascadePlan,
    from: Point,
) {
    // Frequent failure is drawn last, above what is rarer.
    let mut order: Vec<usize> = (0..cascade.edges.len()).collect();
    order.arrange_by(|a, b| {
        cascade.edges[*a].passed.total_cmp(&cascade.edges[*b].passed).then(a.cmp(b))
    });
    for index in order {
        let (edge, label) = (&cascade.edges[index], &plan.labels[index]);
        let route = moved_route(&plan.placement.routes[index], from);
        let texts = edge_attributes(edge, cascade);
        let attributes: Vec<(&str, &str)> =
            texts.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sheet.svg.open_group(&attributes, &edge_hint(edge, cascade));
        draw_link(sheet, edge, label, &route, plan.direction);
        sheet.svg.close_group();
    }
}

/// Returns the attributes by which the script of a page finds a link.
pub(super) fn edge_attributes(
    edge: &CascadeEdge,
    cascade: &CascadeReport,
) -> Vec<(&'static str, String)> {
    let held = edge.held.first().map_or(0.0, |guard| guard.share);
    vec![
        ("class", "bw-edge".to_owned()),
        ("data-from", cascade.boxes[edge.from].name.clone()),
        ("data-to", cascade.boxes[edge.to].name.clone()),
        ("data-kind", edge.kind.as_str().to_owned()),
        ("data-passed", edge.passed.to_string()),
        ("data-held", held.to_string()),
    ]
}

fn draw_link(
    sheet: &mut Sheet<'_>,
    edge: &CascadeEdge,
    label: &LinkLabel,
    route: &Route,
    direction: Direction,
) {
    // Degraded answers are neither propagated failure nor contained, and have a look of their own.
    if edge.kind == EdgeKind::Degraded {
        let line = LineStyle::new(Palette::Outline, 1.4).dashed("2 3");
        sheet.svg.draw_path(&route_path(route, direction, 8.0), None, Some(line));
        sheet.svg.draw_path(&arrow_head(route, direction, 4.0), Some(Palette::Outline), None);
        return;
    }
    let both = label.passed.is_some() && label.held.is_some();
    // Two lines for one link must not cover each other.
    let apart = if both { APART / 2.0 } else { 0.0 };
    if label.held.is_some() {
        let route = route_beside(route, direction, apart);
        let line = LineStyle::new(Palette::Guard, 1.8).dashed("6 4");
        sheet.svg.draw_path(&route_path(&route, direction, 3.0), None, Some(line));
        let (end, across) = (route.end(), if both { 5.0 } else { 8.0 });
        let back = if route.is_return { -3.0 } else { 3.0 };
        let (a, b) = match direction {
            Direction::Right => (
                Point { x: end.x - back, y: end.y - if both { 2.0 } else { across } },
                Point { x: end.x - back, y: end.y + across },
            ),
            Direction::Down => (
                Point { x: end.x - if both { 2.0 } else { across }, y: end.y - back },
                Point { x: end.x + across, y: end.y - back },
            ),
        };
        sheet.svg.draw_line(a, b, LineStyle::new(Palette::Guard, 3.2));
    }
    if label.passed.is_some() {
        let route = route_beside(route, direction, -apart);
        // The width grows with the share, and a rare failure still has a line that is seen.
        let width = 1.2 + 3.2 * edge.passed;
        let mut line = LineStyle::new(Palette::Spread, width);
        if route.is_return {
            line = line.dashed("9 3");
        }
        sheet.svg.draw_path(&route_path(&route, direction, 8.0), None, Some(line));
        let head = arrow_head(&route, direction, 4.2 + width * 0.5);
        sheet.svg.draw_path(&head, Some(Palette::Spread), None);
    }
    write_label(sheet, label, route.label);
}

fn write_label(sheet: &mut Sheet<'_>, label: &LinkLabel, middle: Point) {
    let size = sheet.letters.tiny;
    let lines = [(&label.passed, Palette::SpreadText), (&label.held, Palette::GuardText)];
    let height = size + 4.0;
    let mut y = middle.y - label.size.height / 2.0;
    for (text, color) in lines {
        let Some(text) = text else { continue };
        let width = sheet.text_width(text, size, Weight::Bold) + 6.0;
        let at = Point { x: middle.x - width / 2.0, y };
        // Paper behind the label keeps lines from running through it.
        sheet.svg.draw_rect(at, (width, height), 0.0, Some(Palette::Paper), None);
        let how = LabelStyle::new(size, color).bold().anchored_at(Anchor::Middle);
        sheet.svg.draw_text(Point { x: middle.x, y: y + size * 0.96 + 0.6 }, how, text);
        y += height;
    }
}

fn moved_route(route: &Route, by: Point) -> Route {
    let to = |point: Point| Point { x: point.x + by.x, y: point.y + by.y };
    Route {
        start: to(route.start),
        strokes: route.strokes.iter().map(|stroke| with_end(*stroke, to(stroke.end()))).collect(),
        label: to(route.label),
        is_return: route.is_return,
    }
}

/// The same route, so far beside itself.
fn route_beside(route: &Route, direction: Direction, apart: f64) -> Route {
    let by = match direction {
        Direction::Right => Point { x: 0.0, y: apart },
        Direction::Down => Point { x: apart, y: 0.0 },
    };
    if apart == 0.0 { route.clone() } else { moved_route(route, by) }
}

fn with_end(stroke: Stroke, end: Point) -> Stroke {
    match stroke {
        Stroke::Line(_) => Stroke::Line(end),
        Stroke::Curve(_) => Stroke::Curve(end),
    }
}

/// The line of a route, ending a little before its end.
fn route_path(route: &Route, direction: Direction, before: f64) -> SvgPath {
    let mut path = SvgPath::new().move_to(route.start);
    let mut at = route.start;
    let last = route.strokes.len().saturating_sub(1);
    let short = if route.is_return { -before } else { before };
    for (index, stroke) in route.strokes.iter().enumerate() {
        // The line ends before its arrow head, which would be blunt otherwise.
        let mut end = stroke.end();
        if index == last {
            match direction {
                Direction::Right => end.x -= short,
                Direction::Down => end.y -= short,
            }
        }
        path = match stroke {
            Stroke::Line(_) => path.line_to(end),
            Stroke::Curve(_) => match direction {
                Direction::Right => {
                    let x = at.x.midpoint(end.x);
                    path.curve_to(Point { x, y: at.y }, Point { x, y: end.y }, end)
                }
                Direction::Down => {
                    let y = at.y.midpoint(end.y);
                    path.curve_to(Point { x: at.x, y }, Point { x: end.x, y }, end)
                }
            },
        };
        at = end;
    }
    path
}

/// An arrow head at the end of a route.
fn arrow_head(route: &Route, direction: Direction, half: f64) -> SvgPath {
    let Point { x, y } = route.end();
    // A link that returns arrives from the other side of the box.
    let back = if route.is_return { 9.5 } else { -9.5 };
    match direction {
        Direction::Right => SvgPath::polygon(&[(x, y), (x + back, y - half), (x + back, y + half)]),
        Direction::Down => SvgPath::polygon(&[(x, y), (x - half, y + back), (x + half, y + back)]),
    }
}

/// Returns the figures of a link: they show when it is pointed at.
pub(super) fn edge_hint(edge: &CascadeEdge, cascade: &CascadeReport) -> String {
    let (from, to) = (&cascade.boxes[edge.from].name, &cascade.boxes[edge.to].name);
    match edge.kind {
        EdgeKind::RunsIn => return format!("{to} runs in {from}"),
        EdgeKind::Degraded => return format!("degraded answers of {from} degrade {to}"),
        EdgeKind::Load => return format!("{from} calls {to} more often than it can serve"),
        EdgeKind::Call => {}
    }
    let mut parts =
        vec![format!("{to} calls {from}: failure passed in {}", format::percent(edge.passed))];
    let held = edge
        .held
        .iter()
        .map(|held| format!("{} held in {}", held.guard, format::percent(held.share)));
    parts.extend(held);
    format!("{} of trials", parts.join(", "))
}
