//! What is found wrong, one by one, for forms of text that put each beside a line.

use super::text::harmless;
use crate::prose::simulation::{self, Wording};
use crate::report::{Decision, LimitOutcome, ProblemSeverity, RuleOutcome};
use crate::report::{PlaceReport, Problem, Report};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It stops the change, or a file cannot be used.
    Error,
    /// A person must look.
    Warning,
    /// Good to know.
    Note,
}

/// One thing found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// What sort of thing it is, as a stable word.
    pub(super) id: String,
    /// A few words on the sort.
    pub(super) title: String,
    pub(super) level: Level,
    /// What was found, in a sentence.
    pub(super) text: String,
    /// By what the same finding is known in a later run.
    pub(super) key: String,
    /// Where it could be edited; the first counts most.
    pub(super) places: Vec<PlaceReport>,
}

const WORDING: Wording = Wording { name: harmless, arrow: "→" };

/// What a verdict stands on: rules and limits that do not hold, files that belong to no service, and
/// protections that are not stated.
pub(super) fn of_report(report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(verdict) = &report.verdict {
        for it in verdict.limits.iter().filter(|it| it.outcome != LimitOutcome::Held) {
            let is_exceeded = it.outcome == LimitOutcome::Exceeded;
            let level = if is_exceeded { Level::Error } else { Level::Warning };
            let id = format!("limit/{}", it.name);
            let title = format!("limit of {}", it.name);
            found.push(Finding {
                key: format!("{id}/{}", report.change),
                text: it.reason.clone(),
                places: it.locations.clone(),
                id,
                title,
                level,
            });
        }
        for it in verdict.rules.iter().filter(|it| it.outcome != RuleOutcome::Held) {
            let is_stop = it.outcome == RuleOutcome::Fired && it.verdict == Decision::Stop;
            let id = format!("rule/{}", it.name);
            found.push(Finding {
                title: it.name.clone(),
                level: if is_stop { Level::Error } else { Level::Warning },
                text: it.reason.clone(),
                key: format!("{id}/{}", report.change),
                places: it.locations.iter().chain(&it.place).cloned().collect(),
                id,
            });
        }
    }
    let unmatched = report.files.as_ref().filter(|it| it.unmatched > 0);
    found.extend(unmatched.map(|_| Finding {
        id: "files/unmatched".to_owned(),
        title: "changed files belong to no service".to_owned(),
        level: Level::Warning,
        text: simulation::files(report, &WORDING).unwrap_or_default(),
        key: "files/unmatched".to_owned(),
        places: Vec::new(),
    }));
    found.extend(report.unknowns.iter().map(|it| Finding {
        id: format!("unknown/{}", it.what),
        title: format!("{} is not stated", it.what),
        level: Level::Note,
        text: simulation::unknown(it, &WORDING),
        key: format!("unknown/{}/{}/{}", it.what, it.caller, it.dependency),
        places: it.place.iter().cloned().collect(),
    }));
    found
}

/// What is wrong with input files.
pub(super) fn of_problems(problems: &[Problem]) -> Vec<Finding> {
    let finding = |it: &Problem| {
        let help = it.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        let file = it.place.as_ref().map_or("", |place| &place.file);
        Finding {
            id: it.code.clone(),
            title: it.code.replace('-', " "),
            level: match it.severity {
                ProblemSeverity::Error => Level::Error,
                ProblemSeverity::Warning => Level::Warning,
            },
            text: format!("{}{help}", it.message),
            key: format!("{}/{file}/{}", it.code, it.message),
            places: it.place.iter().chain(&it.others).cloned().collect(),
        }
    };
    problems.iter().map(finding).collect()
}
