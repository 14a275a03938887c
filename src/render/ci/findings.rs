//! Findings one by one, for forms of text that put each beside a line.

use crate::prose::escape::harmless_name;
use crate::prose::simulation::{self, Wording};
use crate::report::{Decision, LimitOutcome, ProblemSeverity, RuleOutcome, WaiverOutcome};
use crate::report::{PlaceReport, Problem, Report, RuleReport};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FindingLevel {
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
    /// Kind of finding, as a stable word.
    pub(super) id: String,
    /// A few words on the sort.
    pub(super) title: String,
    pub(super) level: FindingLevel,
    /// Sentence about the finding.
    pub(super) text: String,
    /// By what the same finding is known in a later run.
    pub(super) key: String,
    /// Where it could be edited; the first counts most.
    pub(super) places: Vec<PlaceReport>,
}

const WORDING: Wording = Wording { name: harmless_name, arrow: "→" };

/// Returns the findings that a verdict rests on: rules and limits that do not hold, files that
/// belong to no service, and protections that are not stated.
pub(super) fn of_report(report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(verdict) = &report.verdict {
        for item in verdict.limits.iter().filter(|limit| limit.outcome != LimitOutcome::Held) {
            let is_exceeded = item.outcome == LimitOutcome::Exceeded;
            // An undecided limit is no error: nothing says that it is exceeded.
            let level = if is_exceeded { FindingLevel::Error } else { FindingLevel::Warning };
            let id = format!("limit/{}", item.name);
            let title = format!("limit of {}", item.name);
            found.push(Finding {
                // With the change, since the same limit may be exceeded by one change and not by
                // another.
                key: format!("{id}/{}", report.change),
                text: item.reason.clone(),
                places: item.locations.clone(),
                id,
                title,
                level,
            });
        }
        for item in verdict.rules.iter().filter(|rule| rule.outcome != RuleOutcome::Held) {
            // Only a rule that fired for certain stops; one that is undecided asks for a person.
            let is_stop = item.outcome == RuleOutcome::Fired
                && item.verdict == Decision::Stop
                && !item.waived;
            let id = format!("rule/{}", item.name);
            found.push(Finding {
                title: item.name.clone(),
                level: if is_stop { FindingLevel::Error } else { FindingLevel::Warning },
                text: with_advice(item),
                key: format!("{id}/{}", report.change),
                // First where the change could be edited, then the rule itself.
                places: item.locations.iter().chain(&item.place).cloned().collect(),
                id,
            });
        }
    }
    let waivers = report.verdict.iter().flat_map(|verdict| &verdict.waivers);
    // Waivers of other changes are no news, and those that apply stand beside their rule.
    let ineffective = waivers.filter(|waiver| {
        !matches!(waiver.outcome, WaiverOutcome::Applied | WaiverOutcome::OutOfScope)
    });
    found.extend(ineffective.map(|waiver| Finding {
        id: format!("waiver/{}", waiver.rule),
        title: format!("waiver of {}", waiver.rule),
        level: match waiver.outcome {
            WaiverOutcome::NotNeeded => FindingLevel::Note,
            _ => FindingLevel::Warning,
        },
        text: waiver.text.clone(),
        key: format!("waiver/{}/{}/{}", waiver.rule, waiver.who, waiver.until),
        places: waiver.place.iter().cloned().collect(),
    }));
    // One finding for all files: each by itself would hide the rest.
    let unmatched = report.files.as_ref().filter(|file| file.unmatched > 0);
    found.extend(unmatched.map(|_| Finding {
        id: "files/unmatched".to_owned(),
        title: "changed files belong to no service".to_owned(),
        level: FindingLevel::Warning,
        text: simulation::files_sentence(report, &WORDING).unwrap_or_default(),
        key: "files/unmatched".to_owned(),
        places: Vec::new(),
    }));
    found.extend(report.unknowns.iter().map(|item| Finding {
        id: format!("unknown/{}", item.what),
        title: format!("{} is not stated", item.what),
        level: FindingLevel::Note,
        text: simulation::unknown_sentence(item, &WORDING),
        // By what is unknown and not by its line, so that an edit above does not make it a new
        // finding.
        key: format!("unknown/{}/{}/{}", item.what, item.caller, item.dependency),
        places: item.place.iter().cloned().collect(),
    }));
    found
}

/// Returns what came of a rule, and what it tells people to do about it.
fn with_advice(rule: &RuleReport) -> String {
    let message = rule.message.trim();
    // The reason of a rule often holds its message already.
    let is_said = message.is_empty() || rule.reason.contains(message.trim_end_matches('.'));
    match rule.outcome {
        RuleOutcome::Fired if !is_said => format!("{}. {message}", rule.reason),
        _ => rule.reason.clone(),
    }
}

/// Returns the findings of problems in input files.
pub(super) fn of_problems(problems: &[Problem]) -> Vec<Finding> {
    let finding = |problem: &Problem| {
        let help = problem.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        // The line is left out, since it changes with every edit above.
        let file = problem.place.as_ref().map_or("", |place| &place.file);
        Finding {
            id: problem.code.to_string(),
            title: problem.code.as_str().replace('-', " "),
            level: match problem.severity {
                ProblemSeverity::Error => FindingLevel::Error,
                ProblemSeverity::Warning => FindingLevel::Warning,
            },
            text: format!("{}{help}", problem.message),
            key: format!("{}/{file}/{}", problem.code, problem.message),
            places: problem.place.iter().chain(&problem.others).cloned().collect(),
        }
    };
    problems.iter().map(finding).collect()
}
