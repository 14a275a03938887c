//! Two cascades in the same places: before and after something was changed about the architecture.

use std::collections::BTreeMap;

use super::super::font::Weight;
use super::super::frame::{MARGIN, Sheet, cause_clause, provenance_note};
use super::super::layout::{Placement, Point, Size as Room};
use super::super::palette::Palette;
use super::super::svg::{LabelStyle, LineStyle};
use super::super::{ChartStyle, PageSize};
use super::boxes::draw_boxes;
use super::legend::draw_legend;
use super::links::draw_links;
use super::{CascadePlan, LayoutWay, captions, lay_out};
use crate::prose::format;
use crate::report::CascadeReport;
use crate::report::Interval;
use crate::report::cascade::{BoxState, CascadeBox, CascadeEdge, CascadeFlow, EdgeKind};
use crate::sort::Gather as _;

/// Draws what one change does to two architectures, everything in the same place, and marks what
/// differs.
pub fn draw_before_after(
    before: &CascadeReport,
    after: &CascadeReport,
    style: &ChartStyle<'_>,
) -> String {
    let mut sheet = Sheet::new(style, 0.0);
    // Boxes and edges are compared by index below, so both must have the same ones in the same
    // order.
    let (before, after) = align_pair(before, after);
    let differing: Vec<bool> =
        before.boxes.iter().zip(&after.boxes).map(|(a, b)| is_different(a, b)).collect();
    // The first placements only give the sizes of boxes and labels; the places are found once for
    // both.
    let first = plan_pair(&before, &sheet);
    let second = plan_pair(&after, &sheet);
    let (first, second) = in_places_of_both(first, second, &before, &sheet);
    let size = first.placement.size;
    let least = if style.size == PageSize::Doc { 640.0 } else { 860.0 };
    sheet.width = (size.width + 2.0 * MARGIN + 8.0).max(least);
    let title = pair_title(&before, &after);
    let notes = [
        format!("{} · the same trials for both", provenance_note(before.trials, before.seed)),
        "Ringed: clearly different from before, with how often it failed then. Solid ring: better. Dashed ring: worse."
            .to_owned(),
    ];
    sheet.draw_head(&title, &notes);
    for (word, cascade, plan, ringed) in
        [("Before", &before, &first, &[][..]), ("After", &after, &second, differing.as_slice())]
    {
        sheet.top += sheet.letters.plain;
        let text = format!("{word}: {} — {}", cascade.topology, captions::state_counts(cascade));
        let at = Point { x: MARGIN, y: sheet.top };
        sheet.svg.draw_text(at, LabelStyle::new(sheet.letters.plain, Palette::Text).bold(), &text);
        let from = Point { x: MARGIN + 8.0, y: sheet.top + 20.0 };
        draw_links(&mut sheet, cascade, plan, from);
        draw_boxes(&mut sheet, cascade, plan, from);
        draw_rings(&mut sheet, plan, from, ringed, (&before, &after));
        sheet.top = from.y + size.height + 34.0;
    }
    draw_legend(&mut sheet, &after, Some(&second));
    let description = format!(
        "{title}. Before: {}. After: {}.",
        captions::state_counts(&before),
        captions::state_counts(&after)
    );
    sheet.into_svg("before-after", &title, &description)
}

fn pair_title(before: &CascadeReport, after: &CascadeReport) -> String {
    let cause = cause_clause(&before.targets, before.mode, &before.change);
    // What differs is the news, and of that the business-critical flows.
    let changes = |flow: &&CascadeFlow| {
        let then = after.flows.iter().find(|item| item.name == flow.name);
        then.is_none_or(|item| are_apart(&flow.failed, &item.failed) || loses_other(flow, item))
    };
    let differing = || before.flows.iter().filter(changes);
    let flow = (differing().find(|flow| flow.critical))
        .or_else(|| differing().next())
        .or_else(|| before.flows.iter().find(|flow| flow.critical))
        .or(before.flows.first());
    let Some(flow) = flow else {
        return format!("{cause}: {} before, {} after", before.topology, after.topology);
    };
    let then = after.flows.iter().find(|item| item.name == flow.name);
    let share = |interval: &Interval| format::estimate(interval);
    let is_apart = then.is_none_or(|item| are_apart(&flow.failed, &item.failed));
    if !is_apart
        && let (Some(now), Some(then)) = (flow.orders_lost, then.and_then(|item| item.orders_lost))
    {
        // Equally likely to fail, it may still lose much less: then that is the news.
        let (now, then) = (format::digits(now, 3), format::digits(then, 3));
        if now == then {
            return format!("{cause}, {} loses {now} orders in both", flow.name);
        }
        return format!("{cause}, {} loses {now} orders before and {then} after", flow.name);
    }
    let now = share(&flow.failed);
    let then = then.map_or_else(
        || format!("under {}", format::stated_share(after.threshold)),
        |item| share(&item.failed),
    );
    format!("{cause}, {} fails in {now} of trials before and {then} after", flow.name)
}

/// Whether a flow loses other orders on average, as they are written.
fn loses_other(a: &CascadeFlow, b: &CascadeFlow) -> bool {
    let written =
        |cascade_flow: &CascadeFlow| cascade_flow.orders_lost.map(|lost| format::digits(lost, 3));
    written(a) != written(b)
}

/// Both with the same boxes and edges in the same order; what one lacks holds in it.
fn align_pair(before: &CascadeReport, after: &CascadeReport) -> (CascadeReport, CascadeReport) {
    let mut names: Vec<String> = before.boxes.iter().map(|item| item.name.clone()).collect();
    for item in &after.boxes {
        if !names.contains(&item.name) {
            names.push(item.name.clone());
        }
    }
    let pair = |edge: &CascadeEdge, of: &CascadeReport| {
        let place = |index: usize| {
            let name = &of.boxes[index].name;
            names.iter().position(|item| item == name).expect("all names are there")
        };
        (place(edge.from), place(edge.to), edge.kind)
    };
    let mut edges: Vec<(usize, usize, EdgeKind)> =
        before.edges.iter().map(|edge| pair(edge, before)).collect();
    edges.extend(after.edges.iter().map(|edge| pair(edge, after)));
    // Sorted, the edges do not depend on which of the two pictures had them first.
    edges.sort();
    edges.dedup();
    let of = |cascade: &CascadeReport, other: &CascadeReport| {
        let own: BTreeMap<&str, &CascadeBox> =
            cascade.boxes.iter().map(|item| (item.name.as_str(), item)).into_map();
        let others: BTreeMap<&str, &CascadeBox> =
            other.boxes.iter().map(|item| (item.name.as_str(), item)).into_map();
        let found: BTreeMap<(usize, usize, EdgeKind), &CascadeEdge> =
            cascade.edges.iter().map(|edge| (pair(edge, cascade), edge)).into_map();
        CascadeReport {
            boxes: names
                .iter()
                .map(|name| match own.get(name.as_str()) {
                    Some(own) => (*own).clone(),
                    None => at_rest(others[name.as_str()]),
                })
                .collect(),
            edges: edges
                .iter()
                .map(|key| CascadeEdge {
                    from: key.0,
                    to: key.1,
                    kind: key.2,
                    passed: found.get(key).map_or(0.0, |found| found.passed),
                    held: found.get(key).map_or_else(Vec::new, |found| found.held.clone()),
                })
                .collect(),
            ..cascade.clone()
        }
    };
    (of(before, after), of(after, before))
}

/// A box that is hit in the other picture only.
fn at_rest(other: &CascadeBox) -> CascadeBox {
    let nothing = Interval { p: 0.0, low: 0.0, high: 0.0, exact: None };
    CascadeBox {
        state: BoxState::Holds,
        failed: nothing,
        degraded: nothing,
        failed_anyway: 0.0,
        first_failed_s: None,
        failed_for_s: None,
        waiting: Vec::new(),
        ..other.clone()
    }
}

/// Whether the intervals of one of the two figures lie apart.
fn is_different(a: &CascadeBox, b: &CascadeBox) -> bool {
    are_apart(&a.failed, &b.failed) || are_apart(&a.degraded, &b.degraded)
}

// Intervals that overlap may be the same figure.
fn are_apart(a: &Interval, b: &Interval) -> bool {
    a.high < b.low || b.high < a.low
}

fn plan_pair(cascade: &CascadeReport, sheet: &Sheet<'_>) -> CascadePlan {
    super::place_all(cascade, sheet, LayoutWay::Right)
}

/// Gives both the same places, with room for the larger of what each says.
fn in_places_of_both(
    mut first: CascadePlan,
    mut second: CascadePlan,
    cascade: &CascadeReport,
    sheet: &Sheet<'_>,
) -> (CascadePlan, CascadePlan) {
    for (a, b) in first.boxes.iter_mut().zip(&mut second.boxes) {
        a.share_room(b);
    }
    for (a, b) in first.labels.iter_mut().zip(&mut second.labels) {
        a.share_room(b);
    }
    let ways: &[LayoutWay] = match sheet.style.size {
        PageSize::Doc => &[
            LayoutWay::Right,
            LayoutWay::Down(6),
            LayoutWay::Down(4),
            LayoutWay::Down(3),
            LayoutWay::Down(2),
        ],
        PageSize::Slide | PageSize::Full => &[LayoutWay::Right],
    };
    let placed = ways.iter().map(|way| (*way, lay_out(cascade, &first.boxes, &first.labels, *way)));
    // Both stand below each other.
    let cost = |placement: &Placement| {
        super::size_cost(Room { height: placement.size.height * 2.0, ..placement.size })
    };
    let best = placed.min_by(|a, b| cost(&a.1).total_cmp(&cost(&b.1)));
    let (way, placement) = best.expect("there is one from left to right");
    (first.placement, first.direction) = (placement, way.direction());
    second.placement = first.placement.clone();
    second.direction = first.direction;
    (first, second)
}

/// Rings around what differs, and how often it failed before.
fn draw_rings(
    sheet: &mut Sheet<'_>,
    plan: &CascadePlan,
    from: Point,
    ringed: &[bool],
    (before, after): (&CascadeReport, &CascadeReport),
) {
    for (index, _) in ringed.iter().enumerate().filter(|(_, is_ringed)| **is_ringed) {
        let (at, size) = (plan.placement.boxes[index], plan.boxes[index].size());
        let corner = Point { x: from.x + at.x - 5.0, y: from.y + at.y - 5.0 };
        let room = (size.width + 10.0, size.height + 10.0);
        // With equal failures the degraded share decides which of the two is worse.
        let is_worse = after.boxes[index].failed.p > before.boxes[index].failed.p
            || (after.boxes[index].failed.p == before.boxes[index].failed.p
                && after.boxes[index].degraded.p > before.boxes[index].degraded.p);
        let (line, color) = if is_worse {
            (LineStyle::new(Palette::Spread, 2.6).dashed("7 4"), Palette::SpreadText)
        } else {
            (LineStyle::new(Palette::Guard, 2.6), Palette::GuardText)
        };
        sheet.svg.draw_rect(corner, room, 10.0, None, Some(line));
        // Short, for at the left is the badge of the box below.
        let was = before.boxes[index].failed.p;
        let was = format!("was {}", format::percent((was * 1000.0).round() / 1000.0));
        let small = sheet.letters.tiny;
        let width = sheet.text_width(&was, small, Weight::Bold) + 8.0;
        // At the foot of the ring: at its head is the badge.
        let at = Point { x: corner.x + room.0 - width - 6.0, y: corner.y + room.1 - 4.0 };
        sheet.svg.draw_rect(at, (width, small + 4.0), 3.0, Some(Palette::Paper), None);
        let text = Point { x: at.x + 4.0, y: at.y + small };
        sheet.svg.draw_text(text, LabelStyle::new(small, color).bold(), &was);
    }
}
