//! The boxes of a cascade: a sign, a name, how often it fails and when, and where it belongs.

use super::super::font::Weight;
use super::super::frame::Sheet;
use super::super::layout::{Point, Size};
use super::super::palette::Palette;
use super::super::shapes::{StateLook as _, draw_bar};
use super::super::svg::{Anchor, Line, Type};
use super::{Plan, captions};
use crate::chart::Size as Page;
use crate::prose::format;
use crate::report::cascade::{BoxState, CascadeBox, CascadeReport};

/// The room beside the sign.
const LEFT: f64 = 30.0;
/// The room at the right end.
const RIGHT: f64 = 10.0;

/// What a box says, cut to what fits.
pub(super) struct Content {
    name: String,
    state: String,
    tag: Option<String>,
    size: Size,
}

impl Content {
    /// The content of a box.
    pub(super) fn new(it: &CascadeBox, cascade: &CascadeReport, sheet: &Sheet<'_>) -> Self {
        let is_doc = sheet.style.size == Page::Doc;
        let letters = sheet.letters;
        let room = if is_doc { 148.0 } else { 190.0 };
        let fit = |text: &str, size: f64, weight| sheet.ruler.fit(text, size, weight, room);
        let name = fit(&it.name, letters.plain, Weight::Bold);
        let state = fit(&captions::state(it, cascade), letters.small, Weight::Regular);
        let tag = tag(it).filter(|_| !is_doc).map(|tag| fit(&tag, letters.tiny, Weight::Regular));
        let widths = [
            sheet.measure(&name, letters.plain, Weight::Bold),
            sheet.measure(&state, letters.small, Weight::Regular),
            tag.as_ref().map_or(0.0, |tag| sheet.measure(tag, letters.tiny, Weight::Regular)),
        ];
        let inner = widths.into_iter().fold(60.0, f64::max);
        let lines =
            letters.plain + letters.small + tag.as_ref().map_or(0.0, |_| letters.tiny + 3.0);
        let size = Size { width: LEFT + inner + RIGHT, height: lines + 25.0 };
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
fn tag(it: &CascadeBox) -> Option<String> {
    let zone = match it.zones.as_slice() {
        [] => None,
        [zone] => Some(zone.clone()),
        zones => Some(format!("{} zones", zones.len())),
    };
    let parts: Vec<&str> = [it.team.as_deref(), zone.as_deref()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Draws all boxes.
pub(super) fn draw(sheet: &mut Sheet<'_>, cascade: &CascadeReport, plan: &Plan, from: Point) {
    for ((it, content), at) in cascade.boxes.iter().zip(&plan.boxes).zip(&plan.placement.boxes) {
        let at = Point { x: from.x + at.x, y: from.y + at.y };
        let (failed, degraded) = (it.failed.p.to_string(), it.degraded.p.to_string());
        let rank = it.rank.to_string();
        let attributes = [
            ("class", "bw-box"),
            ("data-name", it.name.as_str()),
            ("data-state", it.state.code()),
            ("data-failed", failed.as_str()),
            ("data-degraded", degraded.as_str()),
            ("data-rank", rank.as_str()),
        ];
        sheet.svg.open(&attributes, &hint(it, cascade));
        one(sheet, it, content, at);
        sheet.svg.close();
    }
}

fn one(sheet: &mut Sheet<'_>, it: &CascadeBox, content: &Content, at: Point) {
    let state = it.state;
    let Size { width, height } = content.size;
    let letters = sheet.letters;
    let svg = &mut sheet.svg;
    svg.rect(at, (width, height), 6.0, Some(state.fill()), Some(state.outline()));
    let color = state.text();
    state.draw_sign(svg, Point { x: at.x + 15.0, y: at.y + 17.0 }, color);
    let mut y = at.y + 8.0 + letters.plain * 0.85;
    let x = at.x + LEFT;
    svg.text(Point { x, y }, Type::new(letters.plain, color).bold(), &content.name);
    y += letters.small + 3.0;
    svg.text(Point { x, y }, Type::new(letters.small, color), &content.state);
    if let Some(tag) = &content.tag {
        y += letters.tiny + 3.0;
        svg.text(Point { x, y }, Type::new(letters.tiny, color), tag);
    }
    let bar_at = Point { x: at.x + 8.0, y: at.y + height - 8.5 };
    if state != BoxState::Origin {
        draw_bar(svg, bar_at, (width - 16.0, 4.0), it.failed.p, it.degraded.p);
    }
    // What is never hit has no place in the order.
    if state != BoxState::Holds || it.degraded.p > 0.0 {
        badge(sheet, it.rank, Point { x: at.x, y: at.y });
    }
}

/// The place in the order of impact.
pub(in crate::chart) fn badge(sheet: &mut Sheet<'_>, rank: usize, middle: Point) {
    let size = sheet.letters.tiny - 0.5;
    let radius = if rank > 99 { 11.0 } else { 9.0 };
    sheet.svg.circle(middle, radius, Some(Palette::Paper), Some(Line::new(Palette::Outline, 1.2)));
    let how = Type::new(size, Palette::Text).bold().at(Anchor::Middle);
    let at = Point { x: middle.x, y: middle.y + size * 0.36 };
    sheet.svg.text(at, how, &rank.to_string());
}

/// What shows when a box is pointed at: everything that is known of it.
fn hint(it: &CascadeBox, cascade: &CascadeReport) -> String {
    let mut lines = vec![match &it.title {
        Some(title) => format!("{} ({title})", it.name),
        None => it.name.clone(),
    }];
    lines.push(format!(
        "fails in {} of trials, degraded or worse in {}",
        format::estimate(&it.failed),
        format::estimate(&it.degraded)
    ));
    if let Some(first) = it.first_failed_s.filter(|_| cascade.has_time) {
        lines.push(format!(
            "first fails after {} (median; {} to {} in 8 of 10 trials)",
            format::duration(first.p50),
            format::duration(first.p10),
            format::duration(first.p90)
        ));
    }
    lines.extend(it.team.as_ref().map(|team| format!("team {team}")));
    if !it.zones.is_empty() {
        lines.push(format!("in {}", it.zones.join(", ")));
    }
    lines.join("; ")
}
