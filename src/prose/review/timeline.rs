//! Timeline of the observations, each with what the simulation says beside it.

use super::sections::action_difference;
use super::{Review, ReviewBlock};
use crate::prose::format;
use crate::prose::simulation::Wording;
use crate::report::observed::Observation;
use crate::report::replay::ActionReport;
use crate::report::{ComponentState, TimelineMode};
use crate::report::{Spread, UnitReport};
use crate::sort::Arrange as _;

/// How many lines are written out.
const ROWS: usize = 60;

/// The table, and the picture where there is time.
pub(super) fn timeline_blocks(review: &Review<'_>, wording: &Wording) -> Vec<ReviewBlock> {
    let mut events = timeline_events(review, wording);
    if events.is_empty() {
        return Vec::new();
    }
    // What has no time stands last, in the order written.
    events
        .arrange_by(|a, b| a.at.unwrap_or(f64::INFINITY).total_cmp(&b.at.unwrap_or(f64::INFINITY)));
    let left_out = events.len().saturating_sub(ROWS);
    let mut rows = vec![["time", "what was seen", "by the simulation"].map(str::to_owned).to_vec()];
    rows.extend(events.into_iter().take(ROWS).map(|event| {
        let at = event
            .at
            .map_or_else(|| "not known".to_owned(), |at| format!("+{}", format::duration(at)));
        vec![at, event.seen, event.simulated]
    }));
    let mut blocks = vec![
        ReviewBlock::Said(
            "Times seen count from the start of the incident, simulated ones from the start of the \
             change: the median, and what 8 of 10 trials lie within."
                .to_owned(),
        ),
        ReviewBlock::Table(rows),
    ];
    if left_out > 0 {
        blocks.push(ReviewBlock::Said(format!("And {} more.", format::count(left_out as f64))));
    }
    if review.report.timeline.mode == TimelineMode::Rollout {
        blocks.push(ReviewBlock::Timeline);
    }
    blocks
}

struct ReviewEvent {
    at: Option<f64>,
    seen: String,
    simulated: String,
}

fn timeline_events(review: &Review<'_>, wording: &Wording) -> Vec<ReviewEvent> {
    let course = &review.report.timeline;
    let mut events: Vec<ReviewEvent> = review
        .observed
        .observed
        .iter()
        .filter(|observed| observed.state != ComponentState::Unaffected)
        .map(|observed| observation_event(review, observed, wording))
        .collect();
    let moments = [
        (review.observed.detected_s, "noticed", course.detected_s),
        (review.observed.mitigated_s, "the cause is gone", course.ended_s),
    ];
    for (at, what, spread) in moments {
        if at.is_some() {
            let simulated = spread.map_or_else(|| "–".to_owned(), |item| spread_text(what, item));
            events.push(ReviewEvent { at, seen: what.to_owned(), simulated });
        }
    }
    events.extend(review.replayed.actions.iter().map(|item| action_event(item, wording)));
    events
}

fn observation_event(
    review: &Review<'_>,
    observation: &Observation,
    wording: &Wording,
) -> ReviewEvent {
    let verb = match observation.state {
        ComponentState::Failed => "fails",
        ComponentState::Late => "is late",
        ComponentState::Degraded | ComponentState::Unaffected => "is degraded",
    };
    let share = observation
        .severity
        .map(|severity| format!(" for {} of requests", format::stated_share(severity)));
    let until =
        observation.until_s.map(|until_s| format!(", until +{}", format::duration(until_s)));
    let source =
        observation.source.as_ref().map(|source| format!(": “{}”", (wording.name)(source)));
    let parts = [share, until, source].map(Option::unwrap_or_default).concat();
    let units = if observation.is_flow { &review.report.flows } else { &review.report.services };
    let unit = units.iter().find(|unit| unit.name == observation.name);
    ReviewEvent {
        at: observation.from_s,
        seen: format!("{} {verb}{parts}", (wording.name)(&observation.name)),
        simulated: unit.map_or_else(|| "–".to_owned(), simulated_figure),
    }
}

fn simulated_figure(unit: &UnitReport) -> String {
    let (failed, degraded) = (format::estimate(&unit.failed), format::estimate(&unit.degraded));
    let what = match (unit.failed.p, unit.degraded.p) {
        (failed, degraded) if failed <= 0.0 && degraded <= 0.0 => return "not hit".to_owned(),
        (share, _) if share <= 0.0 => format!("degraded in {degraded} of trials"),
        _ => format!("fails in {failed} of trials"),
    };
    unit.first_failed_s
        .map_or_else(|| what.clone(), |first| format!("{what}, {}", spread_text("first", first)))
}

/// `first after 45 s (12 s–3 min)`.
fn spread_text(what: &str, spread: Spread) -> String {
    let [low, median, high] = [spread.p10, spread.p50, spread.p90].map(format::duration);
    // Where all trials agree, a range would repeat one number.
    if low == high {
        return if spread.p50 <= 0.0 {
            format!("{what} at once")
        } else {
            format!("{what} after {median}")
        };
    }
    format!("{what} after {median} ({low}–{high})")
}

fn action_event(action: &ActionReport, wording: &Wording) -> ReviewEvent {
    let target = action.target.as_ref().map(|target| format!(" {}", (wording.name)(target)));
    let caller = action.caller.as_ref().map(|caller| format!(" for {}", (wording.name)(caller)));
    let share = action.share.map(|share| format!(", {}", format::stated_share(share)));
    let what = action.action;
    let more = [target, caller, share].map(Option::unwrap_or_default).concat();
    ReviewEvent {
        at: Some(action.at_s),
        seen: format!("operators: {what}{more}"),
        simulated: action_difference(action, wording),
    }
}
