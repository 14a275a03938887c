//! Sentences about replayed incidents, and the cells of the table of their scores.

use crate::report::diagnosis::RankedReport;
use crate::report::replay::{
    ActionReport, ComponentReport, ContainmentReport, IncidentReport, ReplayReport, ScoreReport,
};
use crate::sort::Arrange as _;

const HEADS: [&str; 7] =
    ["balanced", "macro-F1", "Brier", "tau", "within 2", "within 4", "contained"];

fn score_cells(score: &ScoreReport) -> [String; 7] {
    let number =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |item| format!("{item:.2}"));
    // Of nothing there is no share, so a dash and not 0.
    let of =
        |count: u64, all: u64| if all == 0 { "-".to_owned() } else { format!("{count}/{all}") };
    [
        number(score.balanced_accuracy),
        number(score.macro_f1),
        number(score.brier),
        number(score.tau),
        of(score.duration_within_2, score.durations),
        of(score.duration_within_4, score.durations),
        of(score.containments_confirmed, score.containments),
    ]
}

/// The heads of the columns; the last, where it was asked for, is the place of what set an incident
/// off among what a diagnosis finds.
pub(crate) fn column_heads(report: &ReplayReport) -> Vec<String> {
    let trigger = report.diagnosis.as_ref().map(|_| "trigger");
    HEADS.into_iter().chain(trigger).map(str::to_owned).collect()
}

/// A line of the table of scores.
pub(crate) struct ReplayRow {
    pub(crate) name: String,
    pub(crate) cells: Vec<String>,
}

/// Returns the lines of the table of scores: overall, for each rule and ablation, for each incident.
pub(crate) fn score_rows(report: &ReplayReport) -> Vec<ReplayRow> {
    let of_all = report
        .diagnosis
        .as_ref()
        .map(|diagnosis| format!("{}/{}", diagnosis.first_three, diagnosis.scored));
    let row = |name: String, score: &ScoreReport, trigger: Option<String>| {
        // With the column every row has a cell, also those that have no place of their own.
        let trigger = of_all.as_ref().map(|_| trigger.unwrap_or_else(|| "-".to_owned()));
        ReplayRow { name, cells: score_cells(score).into_iter().chain(trigger).collect() }
    };
    let named = |name: &str, score: &ScoreReport| row(name.to_owned(), score, None);
    let mut rows = vec![row("simulated".to_owned(), &report.score, of_all.clone())];
    rows.push(named("the same, durations told", &report.durations_told));
    rows.push(named("simulated, operators do nothing", &report.nothing_done));
    rows.push(named("simulated, stated dependencies only", &report.stated_only));
    rows.extend(report.baselines.iter().map(|baseline| named(&baseline.rule, &baseline.score)));
    rows.extend(report.ablation.iter().map(|ablation| {
        let remark = if ablation.changes_anything { "" } else { " (changes nothing)" };
        row(format!("without {}{remark}", ablation.without), &ablation.score, None)
    }));
    let places =
        report.diagnosis.iter().flat_map(|diagnosis| diagnosis.incidents.iter().map(place_text));
    let places = places.map(Some).chain(std::iter::repeat(None));
    rows.extend(report.incidents.iter().zip(places).map(|(item, place)| {
        let remark = if item.scored { "" } else { " (not scored)" };
        row(format!("{}{remark}", item.name), &item.score, place)
    }));
    rows
}

/// `2`, or `2-4` where others are exactly as likely.
fn place_text(ranked: &RankedReport) -> String {
    match ranked.tied {
        0 => ranked.rank.to_string(),
        tied => format!("{}-{}", ranked.rank, ranked.rank + tied),
    }
}

/// Returns the overall scores in a sentence.
pub(crate) fn replay_headline(report: &ReplayReport) -> String {
    let score = &report.score;
    let number = |value: Option<f64>| {
        value.map_or_else(|| "unknown".to_owned(), |item| format!("{item:.2}"))
    };
    format!(
        "{} scored, {} observed in them: balanced accuracy {}, macro-F1 {}{}",
        counted_noun(score.incidents, "incident"),
        counted_noun(score.components, "component"),
        number(score.balanced_accuracy),
        number(score.macro_f1),
        if report.partial { "; interrupted before all was simulated" } else { "" },
    )
}

/// Returns the heading of an incident: its name, its date, and how many states are right.
pub(crate) fn incident_title(incident: &IncidentReport) -> String {
    let date = incident.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
    let hits = incident.components.iter().filter(|component| component.is_hit()).count();
    format!("{}{date}: {hits} of {} right", incident.name, incident.components.len())
}

/// Every miss, the duration, the containments, and what was done with what it changed.
pub(crate) fn incident_lines(incident: &IncidentReport) -> Vec<String> {
    let misses = incident.components.iter().filter(|component| !component.is_hit()).map(miss_line);
    let mut lines: Vec<String> = misses.collect();
    if let Some(duration) = incident.duration {
        let time = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), minutes_text);
        let given = duration.given_actions_s.map(|given_actions_s| {
            format!("; {} with what operators did", minutes_text(given_actions_s))
        });
        lines.push(format!(
            "lasted {}, {} by the simulation{}",
            time(duration.observed_s),
            time(duration.predicted_s),
            given.unwrap_or_default()
        ));
    }
    lines.extend(incident.containment.iter().map(containment_line));
    lines.extend(incident.actions.iter().map(action_line));
    lines
}

/// Returns the line about an action of operators, and what it changed.
fn action_line(action: &ActionReport) -> String {
    let target = action.target.as_ref().map(|target| format!(" {target}")).unwrap_or_default();
    let share = action.share.map(|share| format!(" ({:.0}%)", share * 100.0)).unwrap_or_default();
    let caller = action.caller.as_ref().map(|caller| format!(" for {caller}")).unwrap_or_default();
    let what = format!("{}{target}{caller}{share} at {}", action.action, minutes_text(action.at_s));
    format!("done: {what}; {}", action_difference(action))
}

/// Returns the difference, by the simulation, that an action of operators makes.
fn action_difference(action: &ActionReport) -> String {
    let mut parts = Vec::new();
    if !action.spared.is_empty() {
        parts.push(format!("worse without it: {}", action.spared.join(", ")));
    }
    if !action.made_worse.is_empty() {
        parts.push(format!("better without it: {}", action.made_worse.join(", ")));
    }
    if let Some([with, without]) = action.durations_if_different() {
        parts.push(format!(
            "it lasts {} with it, {} without",
            minutes_text(with),
            minutes_text(without)
        ));
    }
    if parts.is_empty() {
        return "by the simulation it changes neither what fails nor how long it all lasts"
            .to_owned();
    }
    parts.join("; ")
}

/// When something was impacted, beside when it fails by the simulation.
pub(crate) struct Times<'a> {
    pub(crate) name: &'a str,
    pub(crate) seen: String,
    pub(crate) simulated: String,
}

/// All whose times are known, the first one first.
pub(crate) fn timed_components(incident: &IncidentReport) -> Vec<Times<'_>> {
    let mut timed: Vec<&ComponentReport> = incident
        .components
        .iter()
        .filter(|component| {
            component.observed_from_s.is_some() || component.observed_until_s.is_some()
        })
        .collect();
    // What has no start stands last; equal starts keep the order written.
    timed.arrange_by(|a, b| {
        let from = |component: &ComponentReport| component.observed_from_s.unwrap_or(f64::INFINITY);
        from(a).total_cmp(&from(b))
    });
    let span = |from: Option<f64>, until: Option<f64>| match (from, until) {
        (Some(from), Some(until)) => format!("+{} to +{}", minutes_text(from), minutes_text(until)),
        (Some(from), None) => format!("from +{}", minutes_text(from)),
        (None, Some(until)) => format!("until +{}", minutes_text(until)),
        (None, None) => "never".to_owned(),
    };
    let times = |component: &'_ ComponentReport| {
        let until = component
            .first_failed_s
            .zip(component.failed_for_s)
            .map(|(from, lasted)| from + lasted);
        // A service that fails in fewer than half of the trials is not predicted to fail, so it has
        // no time.
        let first = component.first_failed_s.filter(|_| component.failed >= 0.5);
        (
            span(component.observed_from_s, component.observed_until_s),
            span(first, until.filter(|_| first.is_some())),
        )
    };
    let all = timed.into_iter().map(|timed| {
        let (seen, simulated) = times(timed);
        Times { name: &timed.name, seen, simulated }
    });
    all.collect()
}

fn miss_line(component: &ComponentReport) -> String {
    format!(
        "miss: {} was {}, {} by the simulation (fails {:.0}%, degraded or worse {:.0}%)",
        component.name,
        component.observed,
        component.predicted,
        component.failed * 100.0,
        component.degraded * 100.0
    )
}

fn containment_line(containment: &ContainmentReport) -> String {
    let newly = containment.newly_impacted.join(", ");
    match containment.confirmed {
        Some(true) => format!("contained: {}; without it worse: {newly}", containment.what),
        Some(false) => {
            format!("contained in reality, but not in the simulation: {}", containment.what)
        }
        // Taking it away was not possible, which is not the same as making no difference.
        None => format!("contained; the simulation cannot be run without it: {}", containment.what),
    }
}

fn minutes_text(seconds: f64) -> String {
    format!("{:.0} min", seconds / 60.0)
}

fn counted_noun(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Returns how the scores were computed.
pub(crate) fn replay_footer(report: &ReplayReport) -> String {
    format!("{} each, seed {}", counted_noun(report.trials, "trial"), report.seed)
}
