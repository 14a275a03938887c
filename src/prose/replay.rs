//! Sentences about replayed incidents, and the cells of the table of their scores.

use crate::report::diagnosis::RankedReport;
use crate::report::replay::{
    ActionReport, ComponentReport, ContainmentReport, IncidentReport, LeadReport, ReplayReport,
    ScoreReport,
};
use crate::sort::Arrange as _;

const HEADS: [&str; 8] =
    ["balanced", "macro-F1", "Brier", "share", "start", "recovery", "within 4", "stopped"];

fn score_cells(score: &ScoreReport) -> [String; 8] {
    let number =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |item| format!("{item:.2}"));
    // Of nothing there is no share, so a dash and not 0.
    let of =
        |count: u64, all: u64| if all == 0 { "-".to_owned() } else { format!("{count}/{all}") };
    [
        number(score.balanced_accuracy),
        number(score.macro_f1),
        number(score.brier),
        number(score.share_error),
        number(score.tau),
        number(score.recovery_tau),
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
    rows.push(named("told the kind of fix", &report.fix_told));
    rows.push(named("told what operators did", &report.durations_told));
    rows.push(named("operators do nothing", &report.nothing_done));
    rows.push(named("declared dependencies only", &report.stated_only));
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

/// The names of the rows cut to a width, at the ends of words; two rows never bear the same name.
pub(crate) fn short_names(
    rows: &[ReplayRow],
    width: usize,
    shown: &dyn Fn(&str) -> String,
    columns: &dyn Fn(&str) -> usize,
    ellipsis: &str,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        let name = shown(&row.name);
        let mut short = cut_name(&name, width, columns, ellipsis);
        let mut number = 1;
        // A number tells names apart that begin with the same words.
        while names.contains(&short) {
            number += 1;
            let end = format!(" ({number})");
            let cut = cut_name(&name, width.saturating_sub(columns(&end)), columns, ellipsis);
            short = format!("{cut}{end}");
        }
        names.push(short);
    }
    names
}

fn cut_name(name: &str, width: usize, columns: &dyn Fn(&str) -> usize, ellipsis: &str) -> String {
    if columns(name) <= width {
        return name.to_owned();
    }
    let mut short = String::new();
    for word in name.split(' ') {
        let longer = if short.is_empty() { word.to_owned() } else { format!("{short} {word}") };
        if columns(&longer) + columns(ellipsis) > width {
            break;
        }
        short = longer;
    }
    if short.is_empty() {
        // One word alone is too long, and has to be cut somewhere.
        for letter in name.chars() {
            let longer = format!("{short}{letter}");
            if columns(&longer) + columns(ellipsis) > width {
                break;
            }
            short = longer;
        }
    }
    format!("{short}{ellipsis}")
}

/// Sentences about the table: what its columns mean, how certain the scores are, and how much better
/// than the best rule.
pub(crate) fn score_notes(report: &ReplayReport) -> Vec<String> {
    let score = &report.score;
    let mut notes = Vec::new();
    let interval = |name: &str, value: Option<f64>, interval: Option<[f64; 2]>| {
        let [low, high] = interval?;
        value.map(|value| format!("{name} {value:.2} ({low:.2} to {high:.2})"))
    };
    if let Some(of) = score.intervals {
        let parts: Vec<String> = [
            interval("balanced accuracy", score.balanced_accuracy, of.balanced_accuracy),
            interval("macro-F1", score.macro_f1, of.macro_f1),
            interval("start order", score.tau, of.tau),
            interval("recovery order", score.recovery_tau, of.recovery_tau),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !parts.is_empty() {
            notes.push(format!("95% intervals, incidents drawn anew: {}", parts.join(", ")));
        }
    }
    let lead = |name: &str, lead: &Option<LeadReport>| {
        let lead = lead.as_ref()?;
        let [low, high] = lead.interval?;
        Some(format!(
            "{name} is {:+.2} ({low:+.2} to {high:+.2}) from the best rule, `{}`",
            lead.difference, lead.rule
        ))
    };
    notes.extend(lead("balanced accuracy", &report.leads.balanced_accuracy));
    notes.extend(lead("macro-F1", &report.leads.macro_f1));
    if score.timed_pairs + score.recovery_pairs > 0 {
        notes.push(format!(
            "tau-b of the order of starts over {} in {}, of recoveries over {} in {}",
            counted_noun(score.timed_pairs, "pair"),
            counted_noun(score.timed_incidents, "incident"),
            counted_noun(score.recovery_pairs, "pair"),
            counted_noun(score.recovery_incidents, "incident"),
        ));
    }
    if score.shares > 0 {
        notes.push(format!(
            "share: mean distance from {} of failed requests",
            counted_noun(score.shares, "stated share")
        ));
    }
    if score.unconnected > 0 {
        notes.push(format!(
            "{} that no dependency connects with anything, not counted",
            counted_noun(score.unconnected, "component")
        ));
    }
    notes.extend(report.calibration.iter().map(|bin| {
        format!(
            "said to be hit with {:.0}% to {:.0}%: {}, {:.0}% of them hit",
            bin.from * 100.0,
            bin.to * 100.0,
            counted_noun(bin.components, "component"),
            bin.observed * 100.0
        )
    }));
    notes
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

/// When something was impacted, beside when it is by the simulation.
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
        (
            span(component.observed_from_s, component.observed_until_s),
            span(component.hit_from_s, component.hit_until_s),
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
