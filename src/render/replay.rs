//! Replayed incidents as sentences, and as Markdown.

use crate::report::replay::{
    ComponentReport, ContainmentReport, IncidentReport, ReplayReport, ScoreReport,
};

/// The comparison in Markdown.
pub fn markdown(report: &ReplayReport) -> String {
    let mut out = format!("{}\n\n", essence(report));
    out.push_str(&format!("| | {} |\n|---|{}\n", HEADS.join(" | "), "---:|".repeat(HEADS.len())));
    for (name, score) in score_rows(report) {
        out.push_str(&format!("| {} | {} |\n", cell(&name), cells(&score).join(" | ")));
    }
    for incident in &report.incidents {
        out.push_str(&format!("\n### {}\n\n", cell(&title(incident))));
        for line in lines(incident) {
            out.push_str(&format!("- {}\n", cell(&line)));
        }
    }
    out.push_str(&format!("\n{}\n", footer(report)));
    out
}

pub(super) const HEADS: [&str; 7] =
    ["balanced", "macro-F1", "Brier", "tau", "within 2", "within 4", "contained"];

pub(super) fn cells(score: &ScoreReport) -> [String; 7] {
    let number = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
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

pub(super) fn score_rows(report: &ReplayReport) -> Vec<(String, ScoreReport)> {
    let mut rows = vec![
        ("simulated".to_owned(), report.score.clone()),
        ("simulated, stated dependencies only".to_owned(), report.stated_only.clone()),
    ];
    rows.extend(report.baselines.iter().map(|it| (it.rule.clone(), it.score.clone())));
    rows.extend(report.ablation.iter().map(|it| {
        let remark = if it.changes_anything { "" } else { " (changes nothing)" };
        (format!("without {}{remark}", it.without), it.score.clone())
    }));
    rows.extend(report.incidents.iter().map(|it| {
        let remark = if it.scored { "" } else { " (not scored)" };
        (format!("{}{remark}", it.name), it.score.clone())
    }));
    rows
}

pub(super) fn essence(report: &ReplayReport) -> String {
    let score = &report.score;
    let number = |it: Option<f64>| it.map_or_else(|| "unknown".to_owned(), |it| format!("{it:.2}"));
    format!(
        "{} scored, {} observed in them: balanced accuracy {}, macro-F1 {}{}",
        counted(score.incidents, "incident"),
        counted(score.components, "component"),
        number(score.balanced_accuracy),
        number(score.macro_f1),
        if report.partial { "; interrupted before all was simulated" } else { "" },
    )
}

pub(super) fn title(incident: &IncidentReport) -> String {
    let date = incident.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
    let hits = incident.components.iter().filter(|it| it.is_hit()).count();
    format!("{}{date}: {hits} of {} right", incident.name, incident.components.len())
}

/// Every miss, the duration, the containments, and what was done.
pub(super) fn lines(incident: &IncidentReport) -> Vec<String> {
    let misses = incident.components.iter().filter(|it| !it.is_hit()).map(miss);
    let mut lines: Vec<String> = misses.collect();
    if let Some(it) = incident.duration {
        let time = |it: Option<f64>| it.map_or_else(|| "unknown".to_owned(), minutes);
        let given = it
            .given_actions_s
            .map(|it| format!("; {} when the cause ends when operators ended it", minutes(it)));
        lines.push(format!(
            "lasted {}, {} by the simulation{}",
            time(it.observed_s),
            time(it.predicted_s),
            given.unwrap_or_default()
        ));
    }
    lines.extend(incident.containment.iter().map(contained));
    let left = incident.actions.iter().filter(|it| !it.simulated);
    let left: Vec<String> = left
        .map(|it| {
            let target = it.target.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
            format!("{}{target} at {}", it.action.replace('_', " "), minutes(it.at_s))
        })
        .collect();
    if !left.is_empty() {
        lines.push(format!("done by operators and not simulated: {}", left.join(", ")));
    }
    lines
}

fn miss(it: &ComponentReport) -> String {
    format!(
        "miss: {} was {}, {} by the simulation (fails {:.0}%, degraded or worse {:.0}%)",
        it.name,
        it.observed,
        it.predicted,
        it.failed * 100.0,
        it.degraded * 100.0
    )
}

fn contained(it: &ContainmentReport) -> String {
    let newly = it.newly_impacted.join(", ");
    match it.confirmed {
        Some(true) => format!("held: {}; without it worse: {newly}", it.what),
        Some(false) => format!("held by the facts, and by the simulation not: {}", it.what),
        None => format!("held, and not to be taken away in the simulation: {}", it.what),
    }
}

fn minutes(seconds: f64) -> String {
    format!("{:.0} min", seconds / 60.0)
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn footer(report: &ReplayReport) -> String {
    format!("{} each, seed {}", counted(report.trials, "trial"), report.seed)
}

/// What cannot break a cell or a line of Markdown.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for it in text.chars().filter(|it| !it.is_control()) {
        if "|<>*_`[]\\".contains(it) {
            out.push('\\');
        }
        out.push(it);
    }
    out
}
