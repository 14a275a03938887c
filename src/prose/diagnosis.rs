//! Sentences of a diagnosis: shared by everything that is read by people.

use super::explanation::Section;
use super::format;
use super::simulation::Wording;
use super::waiting;
use crate::report::diagnosis::{
    CandidateReport, DiagnosisReport, DiagnosisScoreReport, LookReport, ModeReport, PairReport,
    RankedReport,
};

/// How many candidates are named.
const LINES: usize = 8;
/// How many reasons are named why requests wait if a candidate broke.
const CANDIDATE_REASONS: usize = 2;

/// Returns the headline: the component most likely to have broken.
pub(crate) fn headline(report: &DiagnosisReport, wording: &Wording) -> Vec<String> {
    let Some(first) = report.candidates.first() else {
        return vec!["There is nothing that may have broken.".to_owned()];
    };
    let leading: Vec<String> = report
        .candidates
        .iter()
        // Equal ranks are ties: nothing that is seen tells them apart.
        .take_while(|candidate| candidate.rank == 1)
        .map(|candidate| (wording.name)(&candidate.name))
        .collect();
    let share = format::percent(first.posterior);
    let said = if leading.len() == 1 {
        // The modes of a candidate are sorted, the likeliest first.
        let mode = first.modes.first().map_or_else(|| "down".to_owned(), mode_text);
        format!("Most likely {} broke ({mode}): {share}.", leading[0])
    } else {
        let names = format::list(&leading, "or", 4);
        format!("Nothing that is seen tells {names} apart: each is {share} likely.")
    };
    vec![said]
}

/// The diagnosis, section by section.
pub(crate) fn sections(report: &DiagnosisReport, wording: &Wording) -> Vec<Section> {
    let seen = report.observed.len();
    let shown = report.candidates.iter().take(LINES);
    let mut lines: Vec<String> = shown.map(|shown| candidate_text(shown, seen, wording)).collect();
    if report.candidates.len() > LINES {
        let rest: f64 =
            report.candidates[LINES..].iter().map(|candidate| candidate.posterior).sum();
        let count = report.candidates.len() - LINES;
        // Shares that were rounded may add up to slightly more than 1.
        lines.push(format!("and {count} more, {} together", format::percent(rest.min(1.0))));
    }
    let broke = Section {
        title: "What may have broken".to_owned(),
        remark: format!("each report wrong in {} of cases", format::percent(report.misreport)),
        lines,
    };
    let pairs = Section {
        title: "Two breaks together".to_owned(),
        remark: "better than any single one".to_owned(),
        lines: report.pairs.iter().map(|pair| pair_text(pair, wording)).collect(),
    };
    let look = Section {
        title: "Look at this next".to_owned(),
        remark: "the most informative observations first".to_owned(),
        lines: report.look_at.iter().map(|look_at| next_look_text(look_at, wording)).collect(),
    };
    let assumed = Section {
        title: "Assumed".to_owned(),
        remark: String::new(),
        lines: report.assumptions.clone(),
    };
    [broke, pairs, look, assumed].into_iter().filter(|item| !item.lines.is_empty()).collect()
}

/// `down`, or `down for 30% of requests`.
fn mode_text(mode: &ModeReport) -> String {
    if mode.share < 1.0 {
        format!("{} for {} of requests", mode.mode, format::stated_share(mode.share))
    } else {
        mode.mode.to_string()
    }
}

fn pair_text(pair: &PairReport, wording: &Wording) -> String {
    let names: Vec<String> = pair.names.iter().map(|name| (wording.name)(name)).collect();
    format!(
        "{}: {} times as likely as the likeliest single break",
        format::list(&names, "and", 2),
        format::count(pair.odds.min(1e9).round())
    )
}

fn candidate_text(candidate: &CandidateReport, seen: usize, wording: &Wording) -> String {
    let modes: Vec<String> = candidate
        .modes
        .iter()
        // Modes that hardly add to the chance of the candidate would only make the line longer.
        .filter(|mode| mode.posterior >= 0.05 * candidate.posterior && candidate.posterior > 0.0)
        .map(|mode| format!("{} {}", mode_text(mode), format::percent(mode.posterior)))
        .collect();
    let tied = if candidate.tied > 0 {
        format!(", tied with {} more", candidate.tied)
    } else {
        String::new()
    };
    let agrees = candidate.agrees.map_or_else(String::new, |agrees| {
        format!("; explains {agrees} of {} seen", format::count(seen as f64))
    });
    let misses: Vec<String> = candidate
        .misses
        .iter()
        .map(|miss| {
            format!("{} {}, not {}", (wording.name)(&miss.name), miss.predicted, miss.observed)
        })
        .collect();
    let misses = if misses.is_empty() {
        String::new()
    } else {
        format!(" (by it {})", format::list(&misses, "and", 3))
    };
    let reasons = waiting::reasons(&candidate.waiting, wording);
    let reasons = if reasons.is_empty() {
        String::new()
    } else {
        format!("; then {}", format::list(&reasons, "and", CANDIDATE_REASONS))
    };
    format!(
        "{}. {}: {}{tied} ({}){agrees}{misses}{reasons}",
        candidate.rank,
        (wording.name)(&candidate.name),
        format::percent(candidate.posterior),
        if modes.is_empty() { "no mode".to_owned() } else { modes.join(", ") },
    )
}

fn next_look_text(look: &LookReport, wording: &Wording) -> String {
    let answers: Vec<String> = look
        .answers
        .iter()
        // Answers that are this unlikely will hardly be given.
        .filter(|answer| answer.chance >= 0.01)
        .map(|answer| {
            format!(
                "{} ({}) would point at {} ({})",
                answer.state,
                format::percent(answer.chance),
                (wording.name)(&answer.leader),
                format::percent(answer.posterior)
            )
        })
        .collect();
    format!(
        "{} {}, {:.2} bits: {}",
        look.kind,
        (wording.name)(&look.name),
        look.bits,
        answers.join("; ")
    )
}

/// Returns the footer: what was simulated, so that it can be repeated.
pub(crate) fn footer(report: &DiagnosisReport) -> String {
    let count = |number: u64, noun| format::plural(usize::try_from(number).unwrap_or(0), noun);
    format!(
        "{} with {} seen; {} in each mode. Seed {}, blastwave {}: simulated, not measured.",
        count(report.candidates.len() as u64, "component"),
        count(report.observed.len() as u64, "report"),
        count(report.trials, "trial"),
        report.seed,
        report.tool_version
    )
}

/// How often what set incidents off is found.
pub(crate) fn score_headline(report: &DiagnosisScoreReport) -> Vec<String> {
    vec![format!(
        "What set it off is among the first three in {} of {} incidents that count (first in {}); by \
         chance in {:.1}.",
        report.first_three, report.scored, report.first, report.by_chance
    )]
}

/// The incidents, one by one.
pub(crate) fn score_sections(report: &DiagnosisScoreReport, wording: &Wording) -> Vec<Section> {
    vec![Section {
        title: "The place of what set it off".to_owned(),
        remark: "ties count against it".to_owned(),
        lines: report.incidents.iter().map(|incident| rank_text(incident, wording)).collect(),
    }]
}

fn rank_text(ranked: &RankedReport, wording: &Wording) -> String {
    let place = match ranked.tied {
        0 => format!("place {}", ranked.rank),
        // Ties share their places, so a range is told.
        tied => format!("places {} to {}", ranked.rank, ranked.rank + tied),
    };
    let triggers: Vec<String> = ranked.trigger.iter().map(|name| (wording.name)(name)).collect();
    let first = if ranked.rank == 1 {
        String::new()
    } else {
        format!("; first is {}", (wording.name)(&ranked.first))
    };
    let remark = if ranked.scored { "" } else { " (not scored)" };
    format!(
        "{}{remark}: {place} of {} for {} ({}){first}",
        (wording.name)(&ranked.incident),
        ranked.candidates,
        format::list(&triggers, "and", 3),
        format::percent(ranked.posterior)
    )
}

/// Returns the footer of scores: what was simulated, so that it can be repeated.
pub(crate) fn score_footer(report: &DiagnosisScoreReport) -> String {
    let trials = format::plural(usize::try_from(report.trials).unwrap_or(0), "trial");
    format!(
        "{trials} for each component in each mode, seed {}, blastwave {}: simulated, not measured.",
        report.seed, report.tool_version
    )
}
