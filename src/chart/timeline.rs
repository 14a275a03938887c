//! When things fail, and for how long: a line for each service, in lanes by who owns it or where it
//! is, under the course of the change; what was observed in a real incident is laid over it.

use std::collections::BTreeMap;

use super::axis::{AxisScale, time_marks};
use super::cascade::draw_rank_badge;
use super::font::Weight;
use super::frame::{MARGIN, Sheet, cause_clause, provenance_note, services_left_out};
use super::layout::Point;
use super::palette::Palette;
use super::shapes::StateLook as _;
use super::svg::{Anchor, LabelStyle, LineStyle, Svg, SvgPath};
use super::{ChartStyle, PageSize};
use crate::cascade::common_mode;
use crate::prose::format;
use crate::report::Detector;
use crate::report::cascade::BoxState;
use crate::report::observed::Observation;
use crate::report::{CascadeReport, ObservedReport, Report, Spread, TimelineReport, UnitReport};
use crate::report::{ComponentState, TimelineMode};
use crate::sort::Arrange as _;

/// Why a picture cannot be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unable {
    /// There is no time.
    #[error(
        "a single moment has no course of time: the change says nothing of rollout, detection or rollback"
    )]
    Moment,
    /// Nothing fails, and nothing was observed.
    #[error("nothing fails in any trial, so there is nothing to show over time")]
    NothingFails,
    /// There is no order flow with a rate, or no time.
    #[error("no orders are counted: no flow has a rate, or the change is a single moment")]
    NoRates,
    /// Nothing changes the result by more than chance.
    #[error("no protection or unknown makes a difference that can be told from chance")]
    NoDifference,
    /// No trial loses an order.
    #[error("no trial loses any order")]
    NothingLost,
}

/// Subject of the lanes of a timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimelineLanes {
    /// Who owns a service.
    #[default]
    Team,
    /// Where it runs.
    Zone,
    /// How much it matters.
    Tier,
}

/// Draws when things fail.
///
/// # Errors
/// Where there is no time, or nothing to show.
pub fn draw_timeline(
    report: &Report,
    cascade: &CascadeReport,
    lanes: TimelineLanes,
    observed: Option<&ObservedReport>,
    style: &ChartStyle<'_>,
) -> Result<String, Unable> {
    if report.timeline.mode == TimelineMode::Snapshot {
        return Err(Unable::Moment);
    }
    let lanes = timeline_lanes(report, cascade, lanes, observed);
    if lanes.iter().all(|lane| lane.rows.is_empty()) {
        return Err(Unable::NothingFails);
    }
    let mut sheet = Sheet::new(style, if style.size == PageSize::Doc { 860.0 } else { 1280.0 });
    let title = timeline_title(report, cascade, observed);
    let mut notes = vec![provenance_note(report.trials, report.seed)];
    notes.push(
        "Time runs from the start of the rollout; early minutes have more room. Each mark is the \
         median over the trials in which that happens."
            .to_owned(),
    );
    if let Some(observed) = observed {
        let date = observed.date.as_ref().map_or_else(String::new, |date| format!(" of {date}"));
        notes.push(format!("Hollow diamonds: what was observed in {}{date}.", observed.incident));
    }
    sheet.draw_head(&title, &notes);
    let chart = Chart::new(&sheet, report, &lanes, observed);
    chart.draw_chart(&mut sheet, report, &lanes, observed);
    draw_protections(&mut sheet, cascade);
    draw_legend(&mut sheet, &lanes, observed.is_some());
    left_out(&mut sheet, cascade, &lanes);
    let description = timeline_description(&title, report, &lanes);
    Ok(sheet.into_svg("timeline", &title, &description))
}

fn timeline_title(
    report: &Report,
    cascade: &CascadeReport,
    observed: Option<&ObservedReport>,
) -> String {
    let cause = cause_clause(&cascade.targets, common_mode(&report.targets), &cascade.change);
    let course = &report.timeline;
    let noticed = course
        .detected_s
        .map(|detected_s| format!("it is noticed after {}", format::duration(detected_s.p50)));
    let over = course
        .resolved_s
        .map(|resolved_s| format!("over after {}", format::duration(resolved_s.p50)));
    let said: Vec<String> = [noticed, over].into_iter().flatten().collect();
    let what = if said.is_empty() {
        "nobody notices and nothing is lost".to_owned()
    } else {
        format!("{} (medians)", said.join(" and "))
    };
    match observed {
        Some(observed) => format!("{}: observed, and simulated: {what}", observed.incident),
        None => format!("{cause}, {what}"),
    }
}

/// Lines that belong together.
struct Lane {
    name: String,
    rows: Vec<LaneRow>,
}

/// A service or flow over time.
struct LaneRow {
    name: String,
    rank: Option<usize>,
    state: BoxState,
    /// The probability that it fails because of the change.
    failed: f64,
    /// The probability that it is degraded or worse because of the change.
    degraded: f64,
    first: Option<Spread>,
    lasted: Option<Spread>,
    observed: Vec<Observation>,
}

fn timeline_lanes(
    report: &Report,
    cascade: &CascadeReport,
    lanes: TimelineLanes,
    observed: Option<&ObservedReport>,
) -> Vec<Lane> {
    let seen = |name: &str, is_flow: bool| -> Vec<Observation> {
        let of = observed.into_iter().flat_map(|observed| &observed.observed);
        of.filter(|of| of.name == name && of.is_flow == is_flow).cloned().collect()
    };
    // By what the lanes are for; `None` holds what has no team, zone or tier.
    let mut by_key: BTreeMap<Option<String>, Vec<LaneRow>> = BTreeMap::new();
    let mut order: Vec<Option<String>> = Vec::new();
    let mut add = |key: Option<String>, row: LaneRow| {
        if !by_key.contains_key(&key) {
            order.push(key.clone());
        }
        by_key.entry(key).or_default().push(row);
    };
    for item in &cascade.boxes {
        let observed = seen(&item.name, false);
        // A row of several services would have no time of its own.
        if item.folded.is_some() || item.first_failed_s.is_none() && observed.is_empty() {
            continue;
        }
        add(
            lane_key(lanes, item.team.as_ref(), &item.zones, item.tier),
            LaneRow {
                name: item.name.clone(),
                rank: item.rank,
                state: item.state,
                failed: item.failed.p,
                degraded: item.degraded.p,
                first: item.first_failed_s,
                lasted: item.failed_for_s,
                observed,
            },
        );
    }
    // What was observed counts even where the simulation hardly touches it.
    let drawn = |name: &str| cascade.boxes.iter().any(|item| item.name == name);
    for item in report.services.iter().filter(|service| !drawn(&service.name)) {
        let observed = seen(&item.name, false);
        if observed.iter().any(|observed| observed.state != ComponentState::Unaffected) {
            let key = lane_key(lanes, item.team.as_ref(), &[], item.tier);
            add(key, unit_row(item, observed));
        }
    }
    let flows: Vec<LaneRow> = report
        .flows
        .iter()
        .filter(|flow| {
            cascade.flows.iter().any(|hit| hit.name == flow.name)
                || !seen(&flow.name, true).is_empty()
        })
        .map(|flow| unit_row(flow, seen(&flow.name, true)))
        .filter(|row| row.first.is_some() || !row.observed.is_empty())
        .collect();
    let is_single = order.len() == 1;
    let mut all: Vec<Lane> = order
        .into_iter()
        .map(|key| {
            let rows = by_key.remove(&key).expect("every lane has lines");
            // Beside no other lane, what is absent is not worth a word.
            let absent = if is_single { "services" } else { lanes.absent_name() };
            Lane { name: key.unwrap_or_else(|| absent.to_owned()), rows }
        })
        .collect();
    if !flows.is_empty() {
        all.push(Lane { name: "order flows".to_owned(), rows: flows });
    }
    all
}

/// Returns the name of the lane of a service; `None` where it states nothing that lanes are for.
fn lane_key(
    lanes: TimelineLanes,
    team: Option<&String>,
    zones: &[String],
    tier: Option<u32>,
) -> Option<String> {
    match lanes {
        TimelineLanes::Team => team.cloned(),
        TimelineLanes::Zone => (!zones.is_empty()).then(|| zones.join(", ")),
        TimelineLanes::Tier => tier.map(|tier| format!("tier {tier}")),
    }
}

impl TimelineLanes {
    /// Returns the name of the lane of services that state nothing.
    fn absent_name(self) -> &'static str {
        match self {
            Self::Team => "no team",
            Self::Zone => "no zone",
            Self::Tier => "no tier",
        }
    }
}

impl LaneRow {
    /// Returns how often it fails or is degraded: `fails 80%`.
    fn state_figure(&self) -> String {
        if self.failed > 0.0 {
            format!("fails {}", format::percent(rounded_share(self.failed)))
        } else if self.degraded > 0.0 {
            format!("degraded {}", format::percent(rounded_share(self.degraded)))
        } else {
            "holds".to_owned()
        }
    }
}

/// Returns what was seen of a row, with a mark where the simulation says otherwise for most trials.
fn seen_caption(row: &LaneRow, seen: &Observation) -> String {
    let agrees = match seen.state {
        ComponentState::Failed => row.failed >= 0.5,
        ComponentState::Degraded => row.degraded >= 0.5,
        // A row knows nothing of lateness: only failure contradicts it.
        ComponentState::Late => row.failed < 0.5,
        ComponentState::Unaffected => row.failed < 0.5,
    };
    let time = seen.from_s.map_or_else(String::new, |time| format!(" +{}", format::duration(time)));
    format!("{}seen: {}{time}", if agrees { "" } else { "≠ " }, seen.state)
}

fn unit_row(unit: &UnitReport, observed: Vec<Observation>) -> LaneRow {
    let state = match () {
        () if unit.caused.failed.p >= 0.5 => BoxState::Fails,
        () if unit.caused.failed.p > 0.0 => BoxState::MayFail,
        () if unit.caused.degraded.p > 0.0 => BoxState::Degrades,
        () => BoxState::Holds,
    };
    LaneRow {
        name: unit.name.clone(),
        rank: None,
        state,
        failed: unit.caused.failed.p,
        degraded: unit.caused.degraded.p,
        first: unit.first_failed_s,
        lasted: unit.failed_for_s,
        observed,
    }
}

const ROW: f64 = 25.0;

/// Where things stand.
struct Chart {
    names: f64,
    shares: f64,
    left: f64,
    scale: AxisScale,
    /// After which nothing is counted, in seconds.
    horizon: Option<f64>,
}

impl Chart {
    fn new(
        sheet: &Sheet<'_>,
        report: &Report,
        lanes: &[Lane],
        observed: Option<&ObservedReport>,
    ) -> Self {
        let is_doc = sheet.style.size == PageSize::Doc;
        let most = if is_doc { 190.0 } else { 300.0 };
        let rows = || lanes.iter().flat_map(|lane| &lane.rows);
        let names = rows()
            .map(|row| sheet.text_width(&row.name, sheet.letters.plain, Weight::Bold))
            .chain(
                lanes
                    .iter()
                    .map(|lane| sheet.text_width(&lane.name, sheet.letters.small, Weight::Bold)),
            )
            .fold(110.0, f64::max)
            .min(most);
        let shares = sheet.text_width("degraded 99.9%", sheet.letters.small, Weight::Regular) + 8.0;
        let left = MARGIN + 34.0 + names + 10.0 + shares + 14.0;
        let beside = if observed.is_some() { 190.0 } else { 112.0 };
        let length = sheet.width - MARGIN - left - beside;
        let course = &report.timeline;
        let spreads = [course.impact_s, course.detected_s, course.ended_s, course.resolved_s];
        let ends = spreads.into_iter().flatten().map(|spread| spread.p90);
        let lasting = rows().filter_map(|row| Some(row.first?.p50 + row.lasted?.p50));
        let firsts = rows().filter_map(|row| Some(row.first?.p90));
        let seen = rows()
            .flat_map(|row| &row.observed)
            .flat_map(|row| [row.from_s, row.until_s])
            .chain(
                observed
                    .into_iter()
                    .flat_map(|observed| [observed.detected_s, observed.mitigated_s]),
            )
            .flatten();
        let all: Vec<f64> =
            ends.chain(lasting).chain(firsts).chain(seen).filter(|end| end.is_finite()).collect();
        let max = all.iter().copied().fold(0.0, f64::max).max(1.0);
        // Half of the room for what comes before a hundredth of the whole time.
        let least = all.iter().copied().filter(|item| *item > 0.0).fold(max, f64::min);
        let scale =
            AxisScale::logarithmic(length, max * 1.05, (least / 2.0).clamp(max / 300.0, max / 8.0));
        Self { names, shares, left, scale, horizon: course.horizon_s }
    }

    fn x_of(&self, time: f64) -> f64 {
        self.left + self.scale.position_of(time)
    }

    fn right_edge(&self) -> f64 {
        self.x_of(f64::MAX)
    }

    fn draw_chart(
        &self,
        sheet: &mut Sheet<'_>,
        report: &Report,
        lanes: &[Lane],
        observed: Option<&ObservedReport>,
    ) {
        let letters = sheet.letters;
        let top = sheet.top + letters.small + 8.0;
        let body = Svg::new(sheet.style.theme);
        let above = std::mem::replace(&mut sheet.svg, body);
        sheet.top = top;
        self.draw_course(sheet, &report.timeline, observed);
        for lane in lanes {
            self.draw_lane(sheet, lane);
        }
        let bottom = sheet.top;
        let body = std::mem::replace(&mut sheet.svg, above);
        Self::lanes_behind(sheet, lanes, top, &report.timeline);
        self.draw_grid(sheet, top, bottom);
        sheet.svg.append_drawing(&body);
        sheet.top = bottom + 6.0;
    }

    fn course_rows(course: &TimelineReport) -> usize {
        [course.impact_s, course.detected_s, course.ended_s, course.resolved_s]
            .iter()
            .flatten()
            .count()
    }

    /// The pale boxes that hold the lines of a lane together.
    fn lanes_behind(sheet: &mut Sheet<'_>, lanes: &[Lane], top: f64, course: &TimelineReport) {
        let width = sheet.width - 2.0 * MARGIN;
        let counts = std::iter::once(Self::course_rows(course))
            .chain(lanes.iter().map(|lane| lane.rows.len()));
        let mut y = top;
        for count in counts.filter(|count| *count > 0) {
            let height = head_room(sheet) + count as f64 * ROW + 6.0;
            let at = Point { x: MARGIN, y };
            sheet.svg.draw_rect(
                at,
                (width, height),
                6.0,
                Some(Palette::Lane),
                Some(LineStyle::new(Palette::Faint, 0.8)),
            );
            y += height + 8.0;
        }
    }

    fn draw_grid(&self, sheet: &mut Sheet<'_>, top: f64, bottom: f64) {
        let size = sheet.letters.small;
        for (time, text) in time_marks(self.scale, 74.0) {
            let x = self.x_of(time);
            sheet.svg.draw_line(
                Point { x, y: top - 4.0 },
                Point { x, y: bottom - 8.0 },
                LineStyle::new(Palette::Faint, 0.9).dashed("2 4"),
            );
            let how = LabelStyle::new(size, Palette::Soft).anchored_at(Anchor::Middle);
            sheet.svg.draw_text(Point { x, y: top - 8.0 }, how, &text);
        }
    }

    /// The course of the change: its stages, and when it is noticed and over.
    fn draw_course(
        &self,
        sheet: &mut Sheet<'_>,
        course: &TimelineReport,
        observed: Option<&ObservedReport>,
    ) {
        let seen = |of: fn(&ObservedReport) -> Option<f64>| observed.and_then(of);
        let impact = course.impact.map(|impact| impact.p);
        let noticed = course.detected_by.get(&Detector::Nobody).map(|nobody| 1.0 - nobody);
        let with_share = |name: &str, share: Option<f64>| match share {
            Some(share) => format!("{name}, {}", format::percent(rounded_share(share))),
            None => name.to_owned(),
        };
        let rows = [
            (with_share("orders first lost", impact), course.impact_s, None),
            (with_share("noticed", noticed), course.detected_s, seen(|item| item.detected_s)),
            ("cause ends (rollback)".to_owned(), course.ended_s, seen(|item| item.mitigated_s)),
            ("no more orders lost".to_owned(), course.resolved_s, None),
        ];
        if Self::course_rows(course) == 0 {
            return;
        }
        let letters = sheet.letters;
        self.name_lane(sheet, "the change");
        self.draw_stages(sheet, course);
        sheet.top += head_room(sheet);
        for (name, spread, observed) in rows {
            let Some(spread) = spread else { continue };
            let y = sheet.top + ROW / 2.0;
            let how = LabelStyle::new(letters.plain, Palette::Text);
            let room = self.names + self.shares + 8.0;
            let text = sheet.ruler.fit_text(&name, letters.plain, Weight::Regular, room);
            sheet.svg.draw_text(
                Point { x: MARGIN + 34.0, y: y + letters.plain * 0.36 },
                how,
                &text,
            );
            self.draw_range(sheet, spread, y);
            let x = self.x_of(spread.p50);
            sheet.svg.draw_path(
                &SvgPath::polygon(&[
                    (x - 4.0, y - 8.0),
                    (x + 4.0, y - 8.0),
                    (x + 4.0, y + 8.0),
                    (x - 4.0, y + 8.0),
                ]),
                Some(Palette::Guard),
                Some(LineStyle::new(Palette::Paper, 1.0)),
            );
            draw_note(
                sheet,
                &format!("+{}", format::duration(spread.p50)),
                x.max(self.x_of(spread.p90)),
                y,
            );
            if let Some(time) = observed {
                self.draw_diamond(sheet, time, y, ComponentState::Failed);
            }
            sheet.top += ROW;
        }
        sheet.top += 14.0;
    }

    /// From when on which share has the change.
    fn draw_stages(&self, sheet: &mut Sheet<'_>, course: &TimelineReport) {
        let letters = sheet.letters;
        let y = sheet.top + letters.small + 3.0;
        let (mut start, mut free) = (0.0, self.left);
        for stage in &course.stages {
            let x = self.x_of(start);
            let text = format::stated_share(stage.exposure);
            let width = sheet.text_width(&text, letters.tiny, Weight::Bold);
            if x >= free && x + width < self.right_edge() + 40.0 {
                sheet.svg.draw_line(
                    Point { x, y: y - letters.tiny },
                    Point { x, y: y + 3.0 },
                    LineStyle::new(Palette::Text, 1.6),
                );
                sheet.svg.draw_text(
                    Point { x: x + 4.0, y },
                    LabelStyle::new(letters.tiny, Palette::Text).bold(),
                    &text,
                );
                free = x + width + 12.0;
            }
            let Some(bake) = stage.bake_s else { break };
            start += bake;
        }
        if !course.stages.is_empty() {
            let how = LabelStyle::new(letters.tiny, Palette::Soft).anchored_at(Anchor::End);
            sheet.svg.draw_text(Point { x: self.left - 12.0, y }, how, "rolled out to");
        }
    }

    fn name_lane(&self, sheet: &mut Sheet<'_>, name: &str) {
        let letters = sheet.letters;
        let name = sheet.ruler.fit_text(name, letters.small, Weight::Bold, self.names + 24.0);
        let at = Point { x: MARGIN + 10.0, y: sheet.top + letters.small + 3.0 };
        sheet.svg.draw_text(at, LabelStyle::new(letters.small, Palette::Soft).bold(), &name);
    }

    fn draw_lane(&self, sheet: &mut Sheet<'_>, lane: &Lane) {
        self.name_lane(sheet, &lane.name);
        sheet.top += head_room(sheet);
        for row in &lane.rows {
            let hint =
                format!("{} {} of trials", row.name, row.state_figure().replace(' ', " in "));
            sheet.svg.open_group(&[("class", "bw-row"), ("data-name", row.name.as_str())], &hint);
            self.draw_row(sheet, row);
            sheet.svg.close_group();
            sheet.top += ROW;
        }
        sheet.top += 14.0;
    }

    fn draw_row(&self, sheet: &mut Sheet<'_>, row: &LaneRow) {
        let letters = sheet.letters;
        let y = sheet.top + ROW / 2.0;
        let base = y + letters.plain * 0.36;
        if let Some(rank) = row.rank {
            draw_rank_badge(sheet, rank, Point { x: MARGIN + 18.0, y });
        }
        let size = name_size(sheet, &row.name, self.names);
        sheet.svg.draw_text(
            Point { x: MARGIN + 34.0, y: base },
            LabelStyle::new(size, Palette::Text).bold(),
            &sheet.ruler.fit_text(&row.name, size, Weight::Bold, self.names),
        );
        let how = LabelStyle::new(letters.small, Palette::Soft).anchored_at(Anchor::End);
        sheet.svg.draw_text(Point { x: self.left - 12.0, y: base }, how, &row.state_figure());
        if let Some(first) = row.first {
            let mut end = self.x_of(first.p90);
            if let Some(lasted) = row.lasted {
                let until = first.p50 + lasted.p50;
                self.draw_outage(sheet, first.p50, until, y);
                end = end.max(self.x_of(until));
            }
            self.draw_range(sheet, first, y);
            draw_marker(&mut sheet.svg, row.state, Point { x: self.x_of(first.p50), y });
            if let Some(lasted) =
                row.lasted.filter(|lasted| lasted.p50 > 0.0 && row.observed.is_empty())
            {
                let lasting = format::duration(lasted.p50);
                let is_cut = self.horizon.is_some_and(|end| first.p50 + lasted.p50 >= end * 0.98);
                let text = if is_cut {
                    format!("for {lasting}, not over")
                } else {
                    format!("for {lasting}")
                };
                draw_note(sheet, &text, end, y);
            }
        }
        if let Some(seen) = row.observed.first() {
            let text = seen_caption(row, seen);
            let how = LabelStyle::new(letters.tiny, Palette::Text).anchored_at(Anchor::End);
            sheet.svg.draw_text(Point { x: sheet.width - MARGIN - 6.0, y: base }, how, &text);
        }
        for observed in &row.observed {
            let Some(from) = observed.from_s else { continue };
            if let Some(until) = observed.until_s {
                let (a, b) = (
                    Point { x: self.x_of(from), y: y + 6.0 },
                    Point { x: self.x_of(until), y: y + 6.0 },
                );
                sheet.svg.draw_line(a, b, LineStyle::new(Palette::Text, 1.4).dashed("4 3"));
            }
            self.draw_diamond(sheet, from, y, observed.state);
        }
    }

    /// From the 10th to the 90th percentile.
    fn draw_range(&self, sheet: &mut Sheet<'_>, spread: Spread, y: f64) {
        let (from, to) = (self.x_of(spread.p10), self.x_of(spread.p90));
        let at = Point { x: from - 2.0, y: y - 4.5 };
        sheet.svg.draw_rect(
            at,
            (to - from + 4.0, 9.0),
            4.5,
            Some(Palette::Range),
            Some(LineStyle::new(Palette::Outline, 0.8)),
        );
    }

    /// For how long it is failing in the middle trial.
    fn draw_outage(&self, sheet: &mut Sheet<'_>, from: f64, until: f64, y: f64) {
        let (from, to) = (self.x_of(from), self.x_of(until));
        if to - from < 1.0 {
            return;
        }
        sheet.svg.draw_line(
            Point { x: from, y },
            Point { x: to, y },
            LineStyle::new(Palette::Spread, 2.4),
        );
        sheet.svg.draw_line(
            Point { x: to, y: y - 6.0 },
            Point { x: to, y: y + 6.0 },
            LineStyle::new(Palette::Spread, 2.4),
        );
    }

    fn draw_diamond(&self, sheet: &mut Sheet<'_>, time: f64, y: f64, state: ComponentState) {
        let is_dashed = matches!(state, ComponentState::Degraded | ComponentState::Late);
        diamond_mark(&mut sheet.svg, Point { x: self.x_of(time), y }, is_dashed);
    }
}

fn diamond_mark(svg: &mut Svg, at: Point, is_dashed: bool) {
    let Point { x, y } = at;
    let points = [(x, y - 9.0), (x + 8.0, y), (x, y + 9.0), (x - 8.0, y)];
    let line = LineStyle::new(Palette::Text, 2.0);
    svg.draw_path(
        &SvgPath::polygon(&points),
        Some(Palette::Paper),
        Some(if is_dashed { line.dashed("3 2") } else { line }),
    );
}

/// The mark of a state.
fn draw_marker(svg: &mut Svg, state: BoxState, at: Point) {
    let Point { x, y } = at;
    let line = Some(match state {
        BoxState::Degrades => LineStyle::new(Palette::Outline, 1.4).dashed("3 2"),
        _ => LineStyle::new(Palette::Outline, 1.2),
    });
    match state {
        BoxState::Origin | BoxState::Fails => {
            svg.draw_rect(
                Point { x: x - 7.0, y: y - 7.0 },
                (14.0, 14.0),
                1.5,
                Some(state.fill_color()),
                line,
            );
        }
        BoxState::MayFail => {
            let points = [(x, y - 8.0), (x + 8.5, y + 7.0), (x - 8.5, y + 7.0)];
            svg.draw_path(&SvgPath::polygon(&points), Some(state.fill_color()), line);
        }
        BoxState::Degrades | BoxState::Holds => {
            svg.draw_circle(at, 6.5, Some(state.fill_color()), line);
        }
    }
}

fn rounded_share(share: f64) -> f64 {
    if (0.001..=0.999).contains(&share) { (share * 1000.0).round() / 1000.0 } else { share }
}

/// The strongest guards, in a sentence.
fn draw_protections(sheet: &mut Sheet<'_>, cascade: &CascadeReport) {
    let mut held: Vec<(f64, String)> = cascade
        .edges
        .iter()
        .filter_map(|edge| {
            let guard = edge.strongest_guard(cascade.threshold)?;
            let (from, to) = (&cascade.boxes[edge.from].name, &cascade.boxes[edge.to].name);
            let share = format::percent(rounded_share(guard.share));
            Some((guard.share, format!("{} at {to} → {from} in {share} of trials", guard.guard)))
        })
        .collect();
    held.arrange_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    if held.is_empty() {
        return;
    }
    let names: Vec<String> = held.into_iter().map(|(_, text)| text).collect();
    let how = LabelStyle::new(sheet.letters.small, Palette::GuardText);
    sheet.draw_paragraph(&format!("What held: {}.", format::list(&names, "and", 4)), how);
    sheet.top += 4.0;
}

fn draw_legend(sheet: &mut Sheet<'_>, lanes: &[Lane], has_observed: bool) {
    let size = sheet.letters.small;
    let uses = |state: BoxState| {
        lanes
            .iter()
            .flat_map(|lane| &lane.rows)
            .any(|row| row.state == state && row.first.is_some())
    };
    let mut entries: Vec<(u8, BoxState, &str)> = Vec::new();
    if uses(BoxState::Origin) {
        entries.push((0, BoxState::Origin, "breaks itself"));
    }
    if uses(BoxState::Fails) {
        entries.push((0, BoxState::Fails, "fails in 50% of trials or more"));
    }
    if uses(BoxState::MayFail) {
        entries.push((0, BoxState::MayFail, "fails in fewer"));
    }
    if uses(BoxState::Degrades) || uses(BoxState::Holds) {
        entries.push((0, BoxState::Degrades, "mostly only degraded"));
    }
    entries.push((1, BoxState::Fails, "first failure: 10th to 90th percentile (mark: median)"));
    entries.push((2, BoxState::Fails, "failing for (median)"));
    if has_observed {
        entries.push((3, BoxState::Fails, "observed (dashed: degraded)"));
    }
    sheet.top += 4.0;
    let (mut x, mut y) = (MARGIN, sheet.top + 9.0);
    for (kind, state, text) in entries {
        let sign = if kind == 0 || kind == 3 { 24.0 } else { 44.0 };
        let width = sign + sheet.text_width(text, size, Weight::Regular) + 22.0;
        if x > MARGIN && x + width > sheet.width {
            x = MARGIN;
            y += size + 13.0;
        }
        let svg = &mut sheet.svg;
        match kind {
            0 => draw_marker(svg, state, Point { x: x + 9.0, y }),
            1 => {
                svg.draw_rect(
                    Point { x, y: y - 4.5 },
                    (36.0, 9.0),
                    4.5,
                    Some(Palette::Range),
                    None,
                );
            }
            2 => {
                svg.draw_line(
                    Point { x, y },
                    Point { x: x + 34.0, y },
                    LineStyle::new(Palette::Spread, 2.4),
                );
                svg.draw_line(
                    Point { x: x + 34.0, y: y - 6.0 },
                    Point { x: x + 34.0, y: y + 6.0 },
                    LineStyle::new(Palette::Spread, 2.4),
                );
            }
            _ => diamond_mark(svg, Point { x: x + 9.0, y }, false),
        }
        sheet.svg.draw_text(
            Point { x: x + sign, y: y + size * 0.36 },
            LabelStyle::new(size, Palette::Text),
            text,
        );
        x += width;
    }
    sheet.top = y + 14.0;
}

fn left_out(sheet: &mut Sheet<'_>, cascade: &CascadeReport, lanes: &[Lane]) {
    let drawn = |name: &str| lanes.iter().flat_map(|lane| &lane.rows).any(|row| row.name == name);
    let (folded, single): (Vec<_>, Vec<_>) =
        cascade.boxes.iter().partition(|drawn| drawn.folded.is_some());
    let timeless = single.iter().filter(|single| !drawn(&single.name)).count();
    let folded: usize =
        folded.iter().flat_map(|folded| &folded.folded).map(|folded| folded.names.len()).sum();
    let mut parts = Vec::new();
    if folded > 0 {
        parts.push(format!("{} hit too", format::plural(folded, "service")));
    }
    if timeless > 0 {
        parts.push(format!("{} only degraded, or holding", format::plural(timeless, "service")));
    }
    parts.extend(services_left_out(cascade));
    if !parts.is_empty() {
        let how = LabelStyle::new(sheet.letters.small, Palette::Soft);
        sheet.draw_paragraph(&format!("Not drawn: {}.", format::list(&parts, "and", 3)), how);
    }
}

fn timeline_description(title: &str, report: &Report, lanes: &[Lane]) -> String {
    let rows = lanes.iter().flat_map(|lane| &lane.rows);
    let said = rows.filter_map(|row| {
        let first = row.first?;
        let (share, after) =
            (format::percent(rounded_share(row.failed)), format::duration(first.p50));
        Some(format!("{} fails in {share} of trials, first after {after} (median).", row.name))
    });
    let said: Vec<String> = said.take(40).collect();
    format!("{title}. {}. {}", provenance_note(report.trials, report.seed), said.join(" "))
}

/// Returns the size of letters at which a long name fits into its room, though none too small to read.
fn name_size(sheet: &Sheet<'_>, name: &str, room: f64) -> f64 {
    let letters = sheet.letters;
    let width = sheet.text_width(name, letters.plain, Weight::Bold);
    (letters.plain * (room / width.max(1.0)).min(1.0)).max(letters.tiny)
}

/// The room above the first line of a lane.
fn head_room(sheet: &Sheet<'_>) -> f64 {
    sheet.letters.small + 8.0
}

/// A few words to the right of a mark, or not at all where there is no room.
fn draw_note(sheet: &mut Sheet<'_>, text: &str, x: f64, y: f64) {
    let size = sheet.letters.tiny;
    let width = sheet.text_width(text, size, Weight::Regular);
    if x + 10.0 + width <= sheet.width - MARGIN - 2.0 {
        let at = Point { x: x + 10.0, y: y + size * 0.36 };
        sheet.svg.draw_text(at, LabelStyle::new(size, Palette::Soft), text);
    }
}
