//! The cascade and the timeline as text for Mermaid, as GitHub and wikis draw it.
//!
//! Versions 11 and 12 lay out and color differently unless the layout, theme and look are named, so
//! they are. Both refuse more than 500 links or 50,000 letters, and are unreadable long before: what
//! is larger than [`BOXES_MAX`], [`LINKS_MAX`] or [`BYTES_MAX`] is refused here, with what to do.

use std::fmt::{self, Write as _};

use super::dot::percent_text;
use super::frame::{cause_clause, provenance_note};
use super::palette::Palette;
use super::shapes::StateLook as _;
use super::timeline::Unable;
use crate::prose::format;
use crate::report::cascade::{BoxState, EdgeKind};
use crate::report::{CascadeReport, ObservedReport, Report};
use crate::report::{ComponentState, TimelineMode};

/// Maximum number of boxes.
pub const BOXES_MAX: usize = 60;
/// Maximum number of links.
pub const LINKS_MAX: usize = 100;
/// Maximum number of bytes.
pub const BYTES_MAX: usize = 20_000;

const STRING: &str = "a string takes all text";

/// A part of a diagram whose number is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitedPart {
    /// Boxes of a flowchart.
    Boxes,
    /// Links of a flowchart.
    Links,
    /// Rows of a Gantt chart.
    Services,
    /// Bytes of the text.
    Bytes,
}

impl fmt::Display for LimitedPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Boxes => "boxes",
            Self::Links => "links",
            Self::Services => "services",
            Self::Bytes => "bytes",
        })
    }
}

/// Why a diagram is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} are too many for a Mermaid diagram: {count}, and at most {limit}")]
#[non_exhaustive]
pub struct TooLarge {
    /// Part of which there are too many.
    pub part: LimitedPart,
    /// How many there are.
    pub count: usize,
    /// How many there may be.
    pub limit: usize,
}

pub(super) fn check_limit(part: LimitedPart, count: usize, limit: usize) -> Result<(), TooLarge> {
    if count > limit { Err(TooLarge { part, count, limit }) } else { Ok(()) }
}

/// The cascade as a flowchart.
///
/// # Errors
/// Where it is too large to be drawn.
pub fn cascade_flowchart(cascade: &CascadeReport) -> Result<String, TooLarge> {
    check_limit(LimitedPart::Boxes, cascade.boxes.len(), BOXES_MAX)?;
    let title = cause_clause(&cascade.targets, cascade.mode, &cascade.change);
    let note = provenance_note(cascade.trials, cascade.seed);
    let mut text = format!(
        "---\ntitle: \"{}\"\nconfig:\n  layout: dagre\n  theme: base\n  look: classic\n  themeVariables:\n    \
         edgeLabelBackground: \"#ffffff\"\n  flowchart:\n    curve: basis\n    nodeSpacing: 24\n    rankSpacing: 60\n---\n\
         flowchart LR\n  accTitle: {}\n  accDescr: {}\n",
        yaml_scalar(&format!("{title} ({note})")),
        plain_text(&title),
        plain_text(&super::cascade::state_counts(cascade))
    );
    if let Some(left_out) = super::cascade::left_out(cascade) {
        // Mermaid has no place for a note: a comment says it to whoever reads the source.
        writeln!(text, "  %% {}", plain_text(&left_out)).expect(STRING);
    }
    for (index, item) in cascade.boxes.iter().enumerate() {
        let said = super::cascade::box_state(item, cascade);
        let sign = match item.state {
            BoxState::Origin => "⚡",
            BoxState::Fails => "✕",
            BoxState::MayFail => "▲",
            BoxState::Degrades => "◐",
            BoxState::Holds => "✓",
        };
        let (open, close) = if item.state == BoxState::Origin { ("([", "])") } else { ("(", ")") };
        writeln!(
            text,
            "  n{index}{open}\"{sign} {}{}<br/>{}\"{close}:::{}",
            item.rank.map_or_else(String::new, |rank| format!("{rank} ")),
            escaped_label(&super::cascade::box_name(item)),
            escaped_label(&said),
            class_name(item.state)
        )
        .expect(STRING);
    }
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    let mut count = 0;
    for edge in &cascade.edges {
        if edge.kind == EdgeKind::Degraded {
            writeln!(text, "  n{} -.-> n{}", edge.from, edge.to).expect(STRING);
            count += 1;
        } else if edge.passed >= cascade.threshold {
            let share = match edge.kind {
                EdgeKind::RunsIn => "runs here".to_owned(),
                EdgeKind::Load => "floods".to_owned(),
                _ => percent_text(edge.passed),
            };
            writeln!(text, "  n{} ==>|\"{share}\"| n{}", edge.from, edge.to).expect(STRING);
            passed.push(count.to_string());
            count += 1;
        }
        if let Some(guard) = edge.strongest_guard(cascade.threshold) {
            let said = escaped_label(&super::cascade::guard_caption(guard));
            writeln!(text, "  n{} -.-x|\"{said}\"| n{}", edge.from, edge.to).expect(STRING);
            held.push(count.to_string());
            count += 1;
        }
    }
    check_limit(LimitedPart::Links, count, LINKS_MAX)?;
    for state in BoxState::ALL.iter().copied() {
        let width = if state == BoxState::Origin { 3 } else { 1 };
        let dash = if state == BoxState::Degrades { ",stroke-dasharray:5 3" } else { "" };
        let word = class_name(state);
        writeln!(
            text,
            "  classDef {word} fill:{},color:{},stroke:{},stroke-width:{width}px{dash}",
            state.fill_color().light_color(),
            state.text_color().light_color(),
            Palette::Outline.light_color()
        )
        .expect(STRING);
    }
    for (links, color, width) in [(passed, Palette::Spread, 3), (held, Palette::Guard, 2)] {
        if !links.is_empty() {
            let links = links.join(",");
            writeln!(
                text,
                "  linkStyle {links} stroke:{},stroke-width:{width}px",
                color.light_color()
            )
            .expect(STRING);
        }
    }
    check_limit(LimitedPart::Bytes, text.len(), BYTES_MAX)?;
    Ok(text)
}

fn class_name(state: BoxState) -> String {
    state.as_str().replace('_', "")
}

/// The timeline as a Gantt chart: from the median first failure, for the median time of failing; after
/// what was observed in an incident, where there was one.
///
/// # Errors
/// Where there is no time, or nothing fails; `Ok(Err(..))` where it is too large.
pub fn timeline_gantt(
    report: &Report,
    cascade: &CascadeReport,
    observed: Option<&ObservedReport>,
) -> Result<Result<String, TooLarge>, Unable> {
    if report.timeline.mode == TimelineMode::Snapshot {
        return Err(Unable::Moment);
    }
    let rows: Vec<_> = cascade.boxes.iter().filter(|item| item.first_failed_s.is_some()).collect();
    let seen = observed.map_or_else(String::new, observations_section);
    if rows.is_empty() && seen.is_empty() {
        return Err(Unable::NothingFails);
    }
    if let Err(error) =
        check_limit(LimitedPart::Services, rows.len() + seen.lines().count(), BOXES_MAX)
    {
        return Ok(Err(error));
    }
    let title = cause_clause(&cascade.targets, cascade.mode, &cascade.change);
    let note = provenance_note(cascade.trials, cascade.seed);
    let mut text = format!(
        "---\nconfig:\n  theme: base\n  look: classic\n  themeVariables:\n    critBkgColor: \"{}\"\n    \
         critBorderColor: \"{}\"\n    activeTaskBkgColor: \"{}\"\n    activeTaskBorderColor: \"{}\"\n---\ngantt\n  \
         title {}\n  dateFormat YYYY-MM-DD HH:mm:ss.SSS\n  axisFormat {}\n",
        Palette::MayFail.light_color(),
        Palette::Fails.light_color(),
        Palette::Degrades.light_color(),
        Palette::MayFail.light_color(),
        task_name(&format!("{title} ({note}; medians)")),
        axis_format(report, cascade, observed)
    );
    text.push_str(&seen);
    let mut lanes: Vec<&str> = Vec::new();
    for row in &rows {
        let lane = row.team.as_deref().unwrap_or("services");
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    let course = &report.timeline;
    let milestones = [
        ("noticed", course.detected_s),
        ("cause ends", course.ended_s),
        ("over", course.resolved_s),
    ];
    if milestones.iter().any(|(_, spread)| spread.is_some()) {
        let of = if seen.is_empty() { "the change" } else { "the change (simulated)" };
        writeln!(text, "  section {of}").expect(STRING);
    }
    for (name, spread) in milestones {
        if let Some(spread) = spread {
            writeln!(text, "  {name} :milestone, {}, 0ms", clock_time(spread.p50)).expect(STRING);
        }
    }
    for lane in lanes {
        writeln!(text, "  section {}", task_name(lane)).expect(STRING);
        for item in rows.iter().filter(|row| row.team.as_deref().unwrap_or("services") == lane) {
            let from = item.first_failed_s.map_or(0.0, |first| first.p50);
            let lasted = item.failed_for_s.map_or(0.0, |lasted| lasted.p50).max(1.0);
            let tag = match item.failed.p {
                p if p >= 0.5 => "crit, ",
                p if p >= 0.1 => "active, ",
                _ => "",
            };
            let share = format::percent((item.failed.p * 1000.0).round() / 1000.0);
            writeln!(
                text,
                "  {}{} fails {share} :{tag}{}, {}",
                item.rank.map_or_else(String::new, |rank| format!("{rank} ")),
                task_name(&item.name),
                clock_time(from),
                clock_time(from + lasted)
            )
            .expect(STRING);
        }
    }
    Ok(check_limit(LimitedPart::Bytes, text.len(), BYTES_MAX).map(|()| text))
}

/// Returns the observations as a section; empty where no time is known.
fn observations_section(observed: &ObservedReport) -> String {
    let mut text = String::new();
    for item in &observed.observed {
        let Some(from) = item.from_s.filter(|_| item.state != ComponentState::Unaffected) else {
            continue;
        };
        let (name, state, at) = (task_name(&item.name), &item.state, clock_time(from));
        match item.until_s.filter(|until| *until > from) {
            Some(until) => {
                let tag = if item.state == ComponentState::Failed { "crit" } else { "active" };
                writeln!(text, "  {name} {state} :{tag}, {at}, {}", clock_time(until))
            }
            None => writeln!(text, "  {name} {state} :milestone, {at}, 0ms"),
        }
        .expect(STRING);
    }
    for (what, at) in [("noticed", observed.detected_s), ("cause ends", observed.mitigated_s)] {
        if let Some(at) = at {
            writeln!(text, "  {what} :milestone, {}, 0ms", clock_time(at)).expect(STRING);
        }
    }
    if text.is_empty() { text } else { format!("  section observed\n{text}") }
}

/// A time as a day and hour of a January without change of clocks: as a number of seconds, it would
/// be shifted by the zone of whoever reads it.
fn clock_time(seconds: f64) -> String {
    let all = (seconds.max(0.0) * 1000.0).round().min(DAYS_MAX * 86_400_000.0);
    #[expect(clippy::cast_sign_loss, reason = "it was clamped to what is positive")]
    let all = all as u64;
    let (days, hours) = (all / 86_400_000, all / 3_600_000 % 24);
    let (minutes, seconds, rest) = (all / 60_000 % 60, all / 1000 % 60, all % 1000);
    format!("2000-01-{:02} {hours:02}:{minutes:02}:{seconds:02}.{rest:03}", days + 1)
}

/// Later times are drawn at the end of this many days.
const DAYS_MAX: f64 = 30.0;

/// How times are written: with the day where there is more than one.
fn axis_format(
    report: &Report,
    cascade: &CascadeReport,
    observed: Option<&ObservedReport>,
) -> &'static str {
    let course = &report.timeline;
    let ends = [course.detected_s, course.ended_s, course.resolved_s]
        .into_iter()
        .flatten()
        .map(|item| item.p50);
    let seen = observed.into_iter().flat_map(|item| {
        let all = item.observed.iter().flat_map(|observed| [observed.from_s, observed.until_s]);
        all.chain([item.detected_s, item.mitigated_s]).flatten()
    });
    let rows = cascade
        .boxes
        .iter()
        .filter_map(|item| Some(item.first_failed_s?.p50 + item.failed_for_s?.p50));
    let last = ends.chain(seen).chain(rows).fold(0.0, f64::max);
    if last >= 86_400.0 { "day %d %H:%M" } else { "%H:%M:%S" }
}

/// A name within a label: markup and quotes as the entities that Mermaid knows.
pub(super) fn escaped_label(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '"' => safe.push_str("#quot;"),
            '&' => safe.push_str("#amp;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '#' => safe.push_str("#35;"),
            '`' | '|' | '\\' | '[' | ']' | '{' | '}' => {
                write!(safe, "#{};", u32::from(letter)).expect(STRING);
            }
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => safe.push('\u{FFFD}'),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A text in a quoted YAML scalar: titles know no entities, so markup is spelled with other marks.
pub(super) fn yaml_scalar(text: &str) -> String {
    let keep = |letter: char| match letter {
        '<' => '‹',
        '>' => '›',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    text.chars().map(keep).collect::<String>().replace('\\', "\\\\").replace('"', "\\\"")
}

/// A text that ends with its line and holds no markup.
pub(super) fn plain_text(text: &str) -> String {
    let keep = |letter: char| match letter {
        '<' | '>' | '{' | '}' | '#' | ';' | '"' => ' ',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    text.chars().map(keep).collect()
}

/// The name of a task or section of a Gantt chart, which ends at a colon.
fn task_name(text: &str) -> String {
    plain_text(text).replace([':', ','], " ")
}
