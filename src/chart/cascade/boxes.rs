//! The boxes of a cascade: a sign, a name, how often it fails and when, and where it belongs.

use super::super::font::Weight;
use super::super::frame::Sheet;
use super::super::layout::{Point, Size};
use super::super::palette::Palette;
use super::super::shapes::{ShareColumns, StateLook as _, draw_bar};
use super::super::svg::{Anchor, LabelStyle, LineStyle};
use super::{CascadePlan, captions};
use crate::chart::PageSize as Page;
use crate::prose::{format, waiting};
use crate::report::cascade::{BoxState, CascadeBox, CascadeReport};

/// The room beside the sign.
const LEFT: f64 = 30.0;
/// The room at the right end.
const RIGHT: f64 = 10.0;
/// The room between lines.
const LINE_GAP: f64 = 3.0;
/// Maximum number of reasons why requests wait in a box.
const WAITING_MAX: usize = 2;
/// Maximum number of names of folded services show when their box is pointed at.
const HINT_NAMES_MAX: usize = 40;

/// The text of a box, in lines.
pub(super) struct BoxContent {
    name: Vec<String>,
    state: Vec<String>,
    tag: Vec<String>,
    size: Size,
}

impl BoxContent {
    /// Returns the content of a box: no name is cut, it takes as many lines as it needs.
    pub(super) fn new(drawn: &CascadeBox, cascade: &CascadeReport, sheet: &Sheet<'_>) -> Self {
        let is_doc = sheet.style.size == Page::Doc;
        let letters = sheet.letters;
        let room = if is_doc { 148.0 } else { 190.0 };
        let ruler = &sheet.ruler;
        let name = ruler.wrap_name(&captions::box_name(drawn), letters.plain, Weight::Bold, room);
        let said = captions::box_state(drawn, cascade);
        let mut state = ruler.wrap_text(&said, letters.small, Weight::Regular, room);
        for reason in drawn.waiting.iter().take(WAITING_MAX) {
            let caption = waiting::caption(reason);
            state.extend(ruler.wrap_name(&caption, letters.small, Weight::Regular, room));
        }
        // In a column of text the picture is shrunk, and this line is the least important one.
        let tag = match place_tag(drawn).filter(|_| !is_doc) {
            Some(tag) => ruler.wrap_name(&tag, letters.tiny, Weight::Regular, room),
            None => Vec::new(),
        };
        let sets = [
            (&name, letters.plain, Weight::Bold),
            (&state, letters.small, Weight::Regular),
            (&tag, letters.tiny, Weight::Regular),
        ];
        let (mut inner, mut height) = (60.0_f64, 25.0 - LINE_GAP * 2.0);
        for (lines, size, weight) in sets {
            for line in lines {
                inner = inner.max(sheet.text_width(line, size, weight));
                height += size + LINE_GAP;
            }
        }
        let size = Size { width: LEFT + inner + RIGHT, height };
        Self { name, state, tag, size }
    }

    /// The room it takes.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Gives both the room of the larger.
    pub(super) fn share_room(&mut self, other: &mut Self) {
        share_room(&mut self.size, &mut other.size);
    }
}

/// Makes both sizes that of the larger.
pub(super) fn share_room(a: &mut Size, b: &mut Size) {
    let larger = Size { width: a.width.max(b.width), height: a.height.max(b.height) };
    (*a, *b) = (larger, larger);
}

/// Where it belongs: `payments team · eu-west-1a`.
fn place_tag(cascade_box: &CascadeBox) -> Option<String> {
    let zone = match cascade_box.zones.as_slice() {
        [] => None,
        [zone] => Some(zone.clone()),
        zones => Some(format!("{} zones", zones.len())),
    };
    let parts: Vec<&str> =
        [cascade_box.team.as_deref(), zone.as_deref()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Draws all boxes.
pub(super) fn draw_boxes(
    sheet: &mut Sheet<'_>,
    cascade: &CascadeReport,
    plan: &CascadePlan,
    from: Point,
) {
    let placed = plan.boxes.iter().zip(&plan.placement.boxes);
    for (drawn, (content, at)) in cascade.boxes.iter().zip(placed) {
        let at = Point { x: from.x + at.x, y: from.y + at.y };
        let texts = box_attributes(drawn);
        let attributes: Vec<(&str, &str)> =
            texts.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sheet.svg.open_group(&attributes, &box_hint(drawn, cascade));
        draw_box(sheet, drawn, content, at);
        sheet.svg.close_group();
    }
}

/// Returns the attributes by which the script of a page finds a box.
pub(super) fn box_attributes(drawn: &CascadeBox) -> Vec<(&'static str, String)> {
    let class = if drawn.folded.is_some() { "bw-box bw-fold" } else { "bw-box" };
    let mut attributes = vec![
        ("class", class.to_owned()),
        ("data-name", drawn.name.clone()),
        ("data-state", drawn.state.as_str().to_owned()),
        ("data-failed", drawn.failed.p.to_string()),
        ("data-degraded", drawn.degraded.p.to_string()),
    ];
    attributes.extend(drawn.rank.map(|rank| ("data-rank", rank.to_string())));
    if let Some(folded) = &drawn.folded {
        // A name may hold any letter, so the list is JSON.
        let names = serde_json::to_string(&folded.names).expect("names are text");
        attributes.push(("data-members", names));
    }
    attributes
}

fn draw_box(sheet: &mut Sheet<'_>, drawn: &CascadeBox, content: &BoxContent, at: Point) {
    let state = drawn.state;
    let Size { width, height } = content.size;
    let letters = sheet.letters;
    let svg = &mut sheet.svg;
    svg.draw_rect(at, (width, height), 6.0, Some(state.fill_color()), Some(state.outline_style()));
    let color = state.text_color();
    state.draw_sign(svg, Point { x: at.x + 15.0, y: at.y + 17.0 }, color);
    let mut y = at.y + 8.0 - LINE_GAP;
    let x = at.x + LEFT;
    for line in &content.name {
        y += letters.plain + LINE_GAP;
        let how = LabelStyle::new(letters.plain, color).bold();
        svg.draw_text(Point { x, y: y - letters.plain * 0.15 }, how, line);
    }
    for line in &content.state {
        y += letters.small + LINE_GAP;
        let at = Point { x, y: y - letters.small * 0.15 };
        svg.draw_text(at, LabelStyle::new(letters.small, color), line);
    }
    for line in &content.tag {
        y += letters.tiny + LINE_GAP;
        svg.draw_text(
            Point { x, y: y - letters.tiny * 0.15 },
            LabelStyle::new(letters.tiny, color),
            line,
        );
    }
    let bar_at = Point { x: at.x + 8.0, y: at.y + height - 8.5 };
    if state != BoxState::Origin {
        let shares = ShareColumns {
            failed: drawn.failed.p,
            degraded: drawn.degraded.p,
            anyway: drawn.failed_anyway,
        };
        draw_bar(svg, bar_at, (width - 16.0, 4.0), shares);
    }
    // A box that holds never fails first.
    if let Some(rank) = drawn.rank.filter(|_| state != BoxState::Holds) {
        draw_rank_badge(sheet, rank, Point { x: at.x, y: at.y });
    }
}

/// Draws the place in the order of first failures.
pub(in crate::chart) fn draw_rank_badge(sheet: &mut Sheet<'_>, rank: usize, middle: Point) {
    let size = sheet.letters.tiny;
    // Three digits need a larger circle.
    let radius = if rank > 99 { 12.0 } else { 9.5 };
    let line = LineStyle::new(Palette::Outline, 1.2);
    sheet.svg.draw_circle(middle, radius, Some(Palette::Paper), Some(line));
    let how = LabelStyle::new(size, Palette::Text).bold().anchored_at(Anchor::Middle);
    let at = Point { x: middle.x, y: middle.y + size * 0.36 };
    sheet.svg.draw_text(at, how, &rank.to_string());
}

/// Returns everything that is known of a box: it shows when the box is pointed at.
pub(super) fn box_hint(drawn: &CascadeBox, cascade: &CascadeReport) -> String {
    if let Some(folded) = &drawn.folded {
        // Hints of browsers show no scroll bar, so a long list is cut.
        let names = format::list(&folded.names, "and", HINT_NAMES_MAX);
        return format!("{}: {names}", captions::box_name(drawn));
    }
    let mut lines = vec![match &drawn.title {
        Some(title) => format!("{} ({title})", drawn.name),
        None => drawn.name.clone(),
    }];
    lines.push(format!(
        "because of the change: fails in {} of trials, degraded or worse in {}",
        format::estimate(&drawn.failed),
        format::estimate(&drawn.degraded)
    ));
    if drawn.failed_anyway > 0.0 {
        lines.push(format!("fails without it in {}", format::percent(drawn.failed_anyway)));
    }
    if let Some(first) = drawn.first_failed_s.filter(|_| cascade.has_time) {
        lines.push(format!(
            "first fails after {} (median; {} to {} in 8 of 10 trials)",
            format::duration(first.p50),
            format::duration(first.p10),
            format::duration(first.p90)
        ));
    }
    lines.extend(
        drawn
            .waiting
            .iter()
            .map(|reason| format!("{} ({})", reason.text, format::percent(reason.p))),
    );
    lines.extend(drawn.team.as_ref().map(|team| format!("team {team}")));
    if !drawn.zones.is_empty() {
        lines.push(format!("in {}", drawn.zones.join(", ")));
    }
    lines.join("; ")
}
