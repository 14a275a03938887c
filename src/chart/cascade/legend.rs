//! What the signs of a cascade mean, and which flows are hit.

use super::super::font::Weight;
use super::super::frame::{MARGIN, Sheet};
use super::super::layout::Point;
use super::super::palette::Palette;
use super::super::shapes::{StateLook as _, draw_bar};
use super::super::svg::{Anchor, Line, Path, Type};
use super::boxes::badge;
use super::{FLOWS, Plan, heading};
use crate::prose::format;
use crate::report::cascade::{BoxState, CascadeFlow, CascadeReport, EdgeKind};

/// At most so many flows are listed.
const FLOWS_MAX: usize = 12;

/// Lists the flows that are hit, in so many columns.
pub(super) fn flows(sheet: &mut Sheet<'_>, cascade: &CascadeReport, at: Point, columns: usize) {
    let letters = sheet.letters;
    let mut y = at.y + letters.plain;
    heading(sheet, Point { x: at.x, y }, "Order flows hit");
    y += 8.0;
    let has_orders = cascade.flows.iter().any(|flow| flow.orders_lost.is_some_and(|it| it > 0.0));
    let height = letters.small * 1.5 + 10.0 + if has_orders { letters.tiny + 5.0 } else { 0.0 };
    let shown = cascade.flows.len().min(FLOWS_MAX);
    for (index, flow) in cascade.flows.iter().take(shown).enumerate() {
        let column = (index % columns) as f64;
        let row = (index / columns) as f64;
        one(sheet, flow, Point { x: at.x + column * (FLOWS + 24.0), y: y + row * height });
    }
    y += shown.div_ceil(columns) as f64 * height + 4.0;
    if cascade.flows.len() > shown {
        y += letters.small;
        let more = format!("and {} more", cascade.flows.len() - shown);
        sheet.svg.text(Point { x: at.x, y }, Type::new(letters.small, Palette::Soft), &more);
        y += 6.0;
    }
    sheet.top = y;
}

fn one(sheet: &mut Sheet<'_>, flow: &CascadeFlow, at: Point) {
    let letters = sheet.letters;
    let (verb, share) = if flow.failed.p >= 0.005 || flow.degraded.p <= 0.0 {
        ("fails", &flow.failed)
    } else {
        ("degraded", &flow.degraded)
    };
    let share = format!("{verb} {}", format::estimate(share));
    let taken = sheet.measure(&share, letters.small, Weight::Bold);
    let name = sheet.ruler.fit(&flow.name, letters.small, Weight::Regular, FLOWS - taken - 10.0);
    let (failed, degraded) = (flow.failed.p.to_string(), flow.degraded.p.to_string());
    let attributes = [
        ("class", "bw-flow"),
        ("data-flow", flow.name.as_str()),
        ("data-failed", failed.as_str()),
        ("data-degraded", degraded.as_str()),
    ];
    let hint = format!(
        "{} fails in {} of trials, degraded or worse in {}",
        flow.title.as_ref().unwrap_or(&flow.name),
        format::estimate(&flow.failed),
        format::estimate(&flow.degraded)
    );
    sheet.svg.open(&attributes, &hint);
    let y = at.y + letters.small;
    sheet.svg.text(Point { x: at.x, y }, Type::new(letters.small, Palette::Text), &name);
    let how = Type::new(letters.small, Palette::Text).bold().at(Anchor::End);
    sheet.svg.text(Point { x: at.x + FLOWS, y }, how, &share);
    let bar_at = Point { x: at.x, y: y + 4.0 };
    draw_bar(&mut sheet.svg, bar_at, (FLOWS, 8.0), flow.failed.p, flow.degraded.p);
    if let Some(lost) = flow.orders_lost.filter(|lost| *lost > 0.0) {
        let text = format!("loses {} orders on average", format::rough(lost));
        let y = y + 14.0 + letters.tiny;
        sheet.svg.text(Point { x: at.x, y }, Type::new(letters.tiny, Palette::Soft), &text);
    }
    sheet.svg.close();
}

/// What a sign in the legend is.
enum Sign {
    Box(BoxState),
    Spread,
    Held,
    Both,
    Degraded,
    Returns,
    Badge,
    Bar,
}

/// Explains the signs that are used.
pub(super) fn draw(sheet: &mut Sheet<'_>, cascade: &CascadeReport, plan: &Plan) {
    let mut entries: Vec<(Sign, String)> = Vec::new();
    for state in BoxState::ALL {
        if cascade.boxes.iter().any(|it| it.state == state) {
            entries.push((Sign::Box(state), meaning(state, cascade)));
        }
    }
    let is_degraded = |index: usize| cascade.edges[index].kind == EdgeKind::Degraded;
    let passed =
        |index: usize| !is_degraded(index) && cascade.edges[index].passed >= cascade.threshold;
    let held = |index: usize| cascade.edges[index].strongest_guard(cascade.threshold).is_some();
    let any = |test: &dyn Fn(usize) -> bool| (0..cascade.edges.len()).any(test);
    if any(&passed) {
        entries.push((Sign::Spread, "failure passed, wholly or in part (share of trials)".into()));
    }
    if any(&held) {
        entries.push((Sign::Held, "guard held (share of trials)".into()));
    }
    if any(&|index| passed(index) && held(index)) {
        entries.push((Sign::Both, "passed in some trials, held in others".into()));
    }
    if any(&is_degraded) {
        entries.push((Sign::Degraded, "degraded answers passed on".into()));
    }
    if any(&|index| passed(index) && plan.placement.routes[index].is_return) {
        entries.push((Sign::Returns, "closes a cycle".into()));
    }
    let order = if cascade.has_time {
        "order of impact (median time)"
    } else {
        "order of impact (calls away)"
    };
    entries.push((Sign::Badge, order.into()));
    entries.push((Sign::Bar, "share of trials: dark fails, light degraded".into()));
    let letters = sheet.letters;
    sheet.top += 8.0;
    let (mut x, mut y) = (MARGIN, sheet.top + 9.0);
    for (sign, text) in entries {
        let width = 46.0 + sheet.measure(&text, letters.small, Weight::Regular) + 22.0;
        if x > MARGIN && x + width > sheet.width {
            x = MARGIN;
            y += letters.small + 13.0;
        }
        sign_at(sheet, &sign, Point { x, y });
        let at = Point { x: x + 44.0, y: y + letters.small * 0.36 };
        sheet.svg.text(at, Type::new(letters.small, Palette::Text), &text);
        x += width;
    }
    sheet.top = y + 14.0;
}

fn meaning(state: BoxState, cascade: &CascadeReport) -> String {
    let share = cascade.threshold_asked.unwrap_or(cascade.threshold);
    let share = format::stated((share * 1000.0).round() / 1000.0);
    match state {
        BoxState::Origin => "breaks".to_owned(),
        BoxState::Fails => "fails in 50% of trials or more".to_owned(),
        BoxState::MayFail => format!("fails in {share} to 50%"),
        BoxState::Degrades => "only degraded".to_owned(),
        BoxState::Holds => "holds".to_owned(),
    }
}

fn sign_at(sheet: &mut Sheet<'_>, sign: &Sign, at: Point) {
    let svg = &mut sheet.svg;
    let (left, right) = (Point { x: at.x, y: at.y }, Point { x: at.x + 36.0, y: at.y });
    let spread = |svg: &mut super::super::svg::Svg, y: f64, line: Line| {
        let to = Point { x: right.x - 8.0, y };
        svg.line(Point { y, ..left }, to, line);
        let head = [(right.x, y), (right.x - 9.0, y - 5.0), (right.x - 9.0, y + 5.0)];
        svg.path(&Path::polygon(&head), Some(Palette::Spread), None);
    };
    let held = |svg: &mut super::super::svg::Svg, y: f64, above: f64| {
        let line = Line::new(Palette::Guard, 1.8).dashed("6 4");
        svg.line(Point { y, ..left }, Point { y, ..right }, line);
        let (a, b) = (Point { y: y - above, ..right }, Point { y: y + 7.0, ..right });
        svg.line(a, b, Line::new(Palette::Guard, 3.2));
    };
    match sign {
        Sign::Box(state) => {
            let corner = Point { x: at.x + 4.0, y: at.y - 9.0 };
            svg.rect(corner, (32.0, 18.0), 4.0, Some(state.fill()), Some(state.outline()));
            state.draw_sign(svg, Point { x: at.x + 20.0, y: at.y }, state.text());
        }
        Sign::Spread => spread(svg, at.y, Line::new(Palette::Spread, 3.0)),
        Sign::Held => held(svg, at.y, 7.0),
        Sign::Both => {
            held(svg, at.y + 3.0, 2.0);
            spread(svg, at.y - 2.0, Line::new(Palette::Spread, 2.0));
        }
        Sign::Degraded => {
            let to = Point { x: right.x - 7.0, ..right };
            svg.line(left, to, Line::new(Palette::Outline, 1.4).dashed("2 3"));
            let (x, y) = (right.x, right.y);
            let head = [(x, y), (x - 9.0, y - 4.0), (x - 9.0, y + 4.0)];
            svg.path(&Path::polygon(&head), Some(Palette::Outline), None);
        }
        Sign::Returns => spread(svg, at.y, Line::new(Palette::Spread, 2.4).dashed("9 3")),
        Sign::Badge => badge(sheet, 2, Point { x: at.x + 20.0, y: at.y }),
        Sign::Bar => draw_bar(svg, Point { x: at.x + 2.0, y: at.y - 3.0 }, (34.0, 6.0), 0.35, 0.7),
    }
}
