//! The course of time: when the first orders are lost, when somebody notices, when it is over, and how
//! far the rollout had come.

use super::Page;
use super::emphasis::{Emphasis, text_columns};
use super::table::{TextBar, TextCell, TextRow, TextTable, Widths};
use crate::prose::{format, simulation};
use crate::report::TimelineMode;
use crate::report::{Report, Spread, TimelineReport};

/// Columns that are given up where the page is narrow: how far the rollout had come.
const EXPENDABLE: &[usize] = &[3];

/// Adds the section where there is time, and something is lost in some trial.
pub(super) fn add_when(page: &mut Page, report: &Report) {
    let course = &report.timeline;
    if course.mode == TimelineMode::Snapshot {
        return;
    }
    if course.impact_s.is_none() && course.detected_s.is_none() {
        return;
    }
    let table = TextTable { rows: timeline_rows(course), expendable: EXPENDABLE };
    let width = page.style.width;
    let widths = match &page.widths {
        Some(widths) => widths.with_same_name(&table, width),
        None => Widths::fit_page(&table, width),
    };
    page.add_gap();
    for line in table.table_lines(&widths, page.glyphs) {
        page.add_line(&line);
    }
    let remarks = timeline_remarks(page, course);
    if !remarks.is_empty() {
        page.add_parts("  ", &remarks);
    }
    example_trials(page, report);
}

/// Adds the median trial and a 1-in-20 trial, each in a sentence; `--trial` shows one step by step.
fn example_trials(page: &mut Page, report: &Report) {
    let labels: Vec<String> = report
        .example_trials
        .iter()
        .map(|example_trial| {
            format!("  a {} rollout:", example_trial.label.as_str().replace(' ', "-"))
        })
        .collect();
    let width = labels.iter().map(|label| text_columns(label)).max().unwrap_or(0);
    for (label, trial) in labels.iter().zip(&report.example_trials) {
        let rest = " ".repeat(width - text_columns(label));
        let number = trial.trial;
        let text = simulation::trial_sentence(trial, &page.wording);
        page.add_notice(
            Emphasis::Strong,
            &format!("{label}{rest}"),
            &format!("{text} (--trial {number})"),
        );
    }
}

fn timeline_rows(course: &TimelineReport) -> Vec<TextRow> {
    let heads = ["first loss", "noticed", "over", "rolled out"];
    let head = TextRow {
        mark: None,
        name: (Emphasis::Strong, "When".to_owned()),
        bar: TextBar::StripLegend,
        cells: heads.into_iter().map(|head| TextCell::new(Emphasis::Faint, head)).collect(),
    };
    let scale = TimeScale::of_timeline(course);
    let row = |name: &str, of: fn(Spread) -> f64| TextRow {
        mark: Some((Emphasis::Plain, "")),
        name: (Emphasis::Plain, name.to_owned()),
        bar: TextBar::Strip(scale.strip_ends(course, of)),
        cells: strip_cells(course, of),
    };
    vec![head, row("half by", |item| item.p50), row("19 of 20 by", |item| item.p95)]
}

fn strip_cells(course: &TimelineReport, of: fn(Spread) -> f64) -> Vec<TextCell> {
    let time = |spread: Option<Spread>| {
        TextCell::new(
            Emphasis::Plain,
            spread.map_or_else(|| "never".to_owned(), |spread| in_words(of(spread))),
        )
    };
    let exposure = course.exposure_at_detection;
    let exposure = exposure.map_or_else(String::new, |exposure| format::percent(of(exposure)));
    vec![
        time(course.impact_s),
        time(course.detected_s),
        time(course.resolved_s),
        TextCell::new(Emphasis::Plain, exposure),
    ]
}

fn in_words(time: f64) -> String {
    if time <= 0.0 { "at once".to_owned() } else { format::duration(time) }
}

/// Times on a strip: logarithmic, since a minute matters at the start and an hour at the end.
struct TimeScale {
    unit: f64,
    end: f64,
}

impl TimeScale {
    fn of_timeline(course: &TimelineReport) -> Self {
        let times = [course.impact_s, course.detected_s, course.resolved_s];
        let end = times.into_iter().flatten().map(|time| time.p95).fold(0.0, f64::max);
        // A twentieth of the whole is the unit, at most a minute: below it the scale is nearly
        // linear.
        Self { unit: (end / 20.0).clamp(1e-3, 60.0), end: end.max(1e-3) }
    }

    fn cell_at(&self, time: f64) -> f64 {
        libm::log1p(time / self.unit) / libm::log1p(self.end / self.unit)
    }

    fn strip_ends(&self, course: &TimelineReport, of: fn(Spread) -> f64) -> [f64; 3] {
        // What never happens lies at the end of the strip.
        let at = |spread: Option<Spread>| spread.map_or(1.0, |spread| self.cell_at(of(spread)));
        [at(course.impact_s), at(course.detected_s), at(course.resolved_s)]
    }
}

fn timeline_remarks(page: &Page, course: &TimelineReport) -> Vec<String> {
    // Where every trial loses orders, there is nothing to say about the others.
    let impact = course.impact.filter(|impact| impact.p < 1.0);
    let impact = impact
        .map(|impact| format!("orders are lost in {} of simulations", format::estimate(&impact)));
    let noticed = simulation::detection_shares(course).map(|by| format!("noticed by {by}"));
    let rollout =
        simulation::rollout_text(course, &page.wording).map(|rollout| format!("rollout {rollout}"));
    [rollout, noticed, impact].into_iter().flatten().collect()
}
