//! Legend of a cascade: its signs, and the flows that are hit.

use super::super::font::Weight;
use super::super::frame::{MARGIN, Sheet};
use super::super::layout::Point;
use super::super::palette::Palette;
use super::super::shapes::{ShareColumns, StateLook as _, draw_bar};
use super::super::svg::{Anchor, LabelStyle, LineStyle, SvgPath};
use super::boxes::draw_rank_badge;
use super::{CascadePlan, FLOWS, draw_heading};
use crate::prose::format;
use crate::report::cascade::{BoxState, CascadeFlow, CascadeReport, EdgeKind};

/// The bar of the legend.
const EXAMPLE: ShareColumns = ShareColumns { failed: 0.35, degraded: 0.7, anyway: 0.2 };
/// Maximum number of flows are listed.
const FLOWS_MAX: usize = 12;

/// Lists the flows that are hit, in so many columns.
pub(super) fn draw_flows(
    sheet: &mut Sheet<'_>,
    cascade: &CascadeReport,
    at: Point,
    columns: usize,
) {
    let letters = sheet.letters;
    let mut y = at.y + letters.plain;
    draw_heading(sheet, Point { x: at.x, y }, "Order flows hit");
    y += 8.0;
    // Without orders on any flow the line for them would leave gaps.
    let has_orders = cascade.flows.iter().any(|flow| loss_caption(flow).is_some());
    let shown = cascade.flows.len().min(FLOWS_MAX);
    for row in cascade.flows[..shown].chunks(columns) {
        let rows: Vec<FlowText> =
            row.iter().map(|flow| FlowText::new(sheet, flow, cascade.threshold)).collect();
        let lines = rows.iter().map(|text| text.name.len()).max().unwrap_or(1) as f64;
        for (column, (flow, text)) in row.iter().zip(&rows).enumerate() {
            let x = at.x + column as f64 * (FLOWS + 24.0);
            draw_flow(sheet, flow, text, Point { x, y });
        }
        let orders = if has_orders { letters.tiny + 5.0 } else { 0.0 };
        y += letters.small * (lines + 0.5) + 10.0 + orders;
    }
    y += 4.0;
    if cascade.flows.len() > shown {
        y += letters.small;
        let more = format!("and {} more", cascade.flows.len() - shown);
        sheet.svg.draw_text(
            Point { x: at.x, y },
            LabelStyle::new(letters.small, Palette::Soft),
            &more,
        );
        y += 6.0;
    }
    sheet.top = y;
}

/// Returns what a flow loses on average, because of the change where that is known, and how many of its
/// orders are late.
fn loss_caption(flow: &CascadeFlow) -> Option<String> {
    let late = flow.late.map(|late| format!("late {}", format::percent(late.p)));
    let parts: Vec<String> = lost_caption(flow).into_iter().chain(late).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn lost_caption(flow: &CascadeFlow) -> Option<String> {
    if let Some(minutes) = flow.outage_min {
        let outage = format::duration(minutes * 60.0);
        return (minutes > 0.0).then(|| format!("{outage} of outage on average"));
    }
    let lost = flow.orders_lost.filter(|lost| *lost > 0.0)?;
    Some(format!("loses {} orders on average", format::two_digits(lost)))
}

/// The text of a flow.
struct FlowText {
    /// Its name, in lines.
    name: Vec<String>,
    share: String,
}

impl FlowText {
    fn new(sheet: &Sheet<'_>, flow: &CascadeFlow, threshold: f64) -> Self {
        let size = sheet.letters.small;
        // A flow below the threshold is shown for its degraded share, which is why it is listed.
        let (verb, share) = if flow.failed.p >= threshold || flow.degraded.p <= flow.failed.p {
            ("fails", &flow.failed)
        } else {
            ("degraded", &flow.degraded)
        };
        let is_only_late = flow.degraded.p < threshold && flow.late.is_some();
        let share = match flow.late.filter(|_| is_only_late) {
            Some(late) => format!("late {}", format::percent(late.p)),
            None => format!("{verb} {}", format::estimate(share)),
        };
        let room = FLOWS - sheet.text_width(&share, size, Weight::Bold) - 10.0;
        let name = sheet.ruler.wrap_name(&flow.name, size, Weight::Regular, room);
        Self { name, share }
    }
}

fn draw_flow(sheet: &mut Sheet<'_>, flow: &CascadeFlow, text: &FlowText, at: Point) {
    let letters = sheet.letters;
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
    sheet.svg.open_group(&attributes, &hint);
    let mut y = at.y + letters.small;
    let how = LabelStyle::new(letters.small, Palette::Text).bold().anchored_at(Anchor::End);
    sheet.svg.draw_text(Point { x: at.x + FLOWS, y }, how, &text.share);
    for (index, line) in text.name.iter().enumerate() {
        y = at.y + letters.small * (index + 1) as f64;
        sheet.svg.draw_text(
            Point { x: at.x, y },
            LabelStyle::new(letters.small, Palette::Text),
            line,
        );
    }
    let bar_at = Point { x: at.x, y: y + 4.0 };
    let shares = ShareColumns {
        failed: flow.failed.p,
        degraded: flow.degraded.p,
        anyway: flow.failed_anyway,
    };
    draw_bar(&mut sheet.svg, bar_at, (FLOWS, 8.0), shares);
    if let Some(text) = loss_caption(flow) {
        let y = y + 14.0 + letters.tiny;
        sheet.svg.draw_text(
            Point { x: at.x, y },
            LabelStyle::new(letters.tiny, Palette::Soft),
            &text,
        );
    }
    sheet.svg.close_group();
}

/// Sign in the legend.
enum Sign {
    Box(BoxState),
    Spread,
    Held,
    Both,
    Degraded,
    Returns,
    Badge,
    Bar,
    Folded,
}

/// Explains the signs that are used.
pub(super) fn draw_legend(
    sheet: &mut Sheet<'_>,
    cascade: &CascadeReport,
    plan: Option<&CascadePlan>,
) {
    let mut entries: Vec<(Sign, String)> = Vec::new();
    for state in BoxState::ALL.iter().copied() {
        if cascade.boxes.iter().any(|item| item.state == state) {
            entries.push((Sign::Box(state), state_meaning(state, cascade)));
        }
    }
    let is_degraded = |index: usize| cascade.edges[index].kind == EdgeKind::Degraded;
    let passed =
        // An edge below the threshold is in the picture for what held it.
        |index: usize| !is_degraded(index) && cascade.edges[index].passed >= cascade.threshold;
    let held = |index: usize| cascade.edges[index].strongest_guard(cascade.threshold).is_some();
    let any = |test: &dyn Fn(usize) -> bool| (0..cascade.edges.len()).any(test);
    if any(&passed) {
        entries.push((Sign::Spread, "failure propagated (share of trials)".into()));
    }
    if any(&held) {
        entries.push((Sign::Held, "a protection held (share of trials)".into()));
    }
    if plan.is_some() && any(&|index| passed(index) && held(index)) {
        entries.push((Sign::Both, "propagated in some trials, held in others".into()));
    }
    if any(&is_degraded) {
        entries.push((Sign::Degraded, "degraded answers passed on".into()));
    }
    // A dense cascade has no routes, and no arrows that return.
    let is_return = |index: usize| plan.is_some_and(|plan| plan.placement.routes[index].is_return);
    if any(&|index| passed(index) && is_return(index)) {
        entries.push((Sign::Returns, "closes a cycle".into()));
    }
    if cascade.boxes.iter().any(|drawn| drawn.rank.is_some()) {
        entries.push((Sign::Badge, "order of first failures (median time)".into()));
    }
    if cascade.boxes.iter().any(|drawn| drawn.folded.is_some()) {
        entries.push((Sign::Folded, "several services as one box".into()));
    }
    if plan.is_some() {
        // Dark paper turns the colours around, so they are not named.
        let has_anyway = cascade.boxes.iter().any(|drawn| drawn.failed_anyway >= 0.005)
            || cascade.flows.iter().any(|flow| flow.failed_anyway >= 0.005);
        let anyway = if has_anyway { "; grey line: fails without the change" } else { "" };
        let text = format!("share of trials: first part fails, second is degraded{anyway}");
        entries.push((Sign::Bar, text));
    }
    let letters = sheet.letters;
    sheet.top += 8.0;
    let (mut x, mut y) = (MARGIN, sheet.top + 9.0);
    for (sign, text) in entries {
        let width = 46.0 + sheet.text_width(&text, letters.small, Weight::Regular) + 22.0;
        // An entry that does not fit goes to the next line, unless it is the first of its line.
        if x > MARGIN && x + width > sheet.width {
            x = MARGIN;
            y += letters.small + 13.0;
        }
        draw_sign_at(sheet, &sign, Point { x, y });
        let at = Point { x: x + 44.0, y: y + letters.small * 0.36 };
        sheet.svg.draw_text(at, LabelStyle::new(letters.small, Palette::Text), &text);
        x += width;
    }
    sheet.top = y + 14.0;
}

fn state_meaning(state: BoxState, cascade: &CascadeReport) -> String {
    let share = cascade.threshold_asked.unwrap_or(cascade.threshold);
    let share = format::stated_share((share * 1000.0).round() / 1000.0);
    match state {
        BoxState::Origin => "breaks".to_owned(),
        BoxState::Fails => "fails in 50% of trials or more".to_owned(),
        BoxState::MayFail => format!("fails in {share} to 50%"),
        BoxState::Degrades => "only degraded".to_owned(),
        BoxState::Holds => "holds".to_owned(),
    }
}

fn draw_sign_at(sheet: &mut Sheet<'_>, sign: &Sign, at: Point) {
    let svg = &mut sheet.svg;
    let (left, right) = (Point { x: at.x, y: at.y }, Point { x: at.x + 36.0, y: at.y });
    let spread = |svg: &mut super::super::svg::Svg, y: f64, line: LineStyle| {
        let to = Point { x: right.x - 8.0, y };
        svg.draw_line(Point { y, ..left }, to, line);
        let head = [(right.x, y), (right.x - 9.0, y - 5.0), (right.x - 9.0, y + 5.0)];
        svg.draw_path(&SvgPath::polygon(&head), Some(Palette::Spread), None);
    };
    let held = |svg: &mut super::super::svg::Svg, y: f64, above: f64| {
        let line = LineStyle::new(Palette::Guard, 1.8).dashed("6 4");
        svg.draw_line(Point { y, ..left }, Point { y, ..right }, line);
        let (a, b) = (Point { y: y - above, ..right }, Point { y: y + 7.0, ..right });
        svg.draw_line(a, b, LineStyle::new(Palette::Guard, 3.2));
    };
    match sign {
        Sign::Box(state) => {
            let corner = Point { x: at.x + 4.0, y: at.y - 9.0 };
            svg.draw_rect(
                corner,
                (32.0, 18.0),
                4.0,
                Some(state.fill_color()),
                Some(state.outline_style()),
            );
            state.draw_sign(svg, Point { x: at.x + 20.0, y: at.y }, state.text_color());
        }
        Sign::Spread => spread(svg, at.y, LineStyle::new(Palette::Spread, 3.0)),
        Sign::Held => held(svg, at.y, 7.0),
        Sign::Both => {
            held(svg, at.y + 3.0, 2.0);
            spread(svg, at.y - 2.0, LineStyle::new(Palette::Spread, 2.0));
        }
        Sign::Degraded => {
            let to = Point { x: right.x - 7.0, ..right };
            svg.draw_line(left, to, LineStyle::new(Palette::Outline, 1.4).dashed("2 3"));
            let (x, y) = (right.x, right.y);
            let head = [(x, y), (x - 9.0, y - 4.0), (x - 9.0, y + 4.0)];
            svg.draw_path(&SvgPath::polygon(&head), Some(Palette::Outline), None);
        }
        Sign::Returns => spread(svg, at.y, LineStyle::new(Palette::Spread, 2.4).dashed("9 3")),
        Sign::Badge => draw_rank_badge(sheet, 2, Point { x: at.x + 20.0, y: at.y }),
        Sign::Folded => {
            for step in [5.0, 2.5, 0.0] {
                let corner = Point { x: at.x + 4.0 + step, y: at.y - 9.0 + step };
                let line = BoxState::Holds.outline_style();
                svg.draw_rect(
                    corner,
                    (26.0, 13.0),
                    3.0,
                    Some(BoxState::Holds.fill_color()),
                    Some(line),
                );
            }
        }
        Sign::Bar => draw_bar(svg, Point { x: at.x + 2.0, y: at.y - 3.0 }, (34.0, 6.0), EXAMPLE),
    }
}
