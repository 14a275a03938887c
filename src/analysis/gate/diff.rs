//! What the files of a diff mean for the verdict.

use crate::model::Diff;
use crate::model::change::ChangeKind;

/// What is taken for granted of a change that is known by its files only.
pub(super) fn assumption(diff: &Diff) -> String {
    let kind = match diff.kind {
        Some(ChangeKind::Schema) => "schema",
        Some(ChangeKind::Config) => "config",
        _ => "code",
    };
    format!(
        "the change is known by its files only: its kind ({kind}) is guessed from their names, and every \
         service that they belong to breaks wholly and at once, without rollout or rollback"
    )
}

/// Why the files alone keep the change from proceeding; nothing where it is known to whom each of them
/// belongs.
pub(super) fn doubt(diff: &Diff) -> Option<String> {
    if diff.files == 0 {
        return Some("no file is named as changed, so it is not known what would break".to_owned());
    }
    if diff.unmatched == 0 {
        return None;
    }
    let named: Vec<String> = diff.first_unmatched.iter().map(|it| format!("`{it}`")).collect();
    let more = diff.unmatched - named.len() as u64;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (files, belong) =
        if diff.unmatched == 1 { ("changed file", "belongs") } else { ("changed files", "belong") };
    let hint = if diff.has_paths { "" } else { " (no service of the topology says `paths`)" };
    Some(format!(
        "{} {files} {belong} to no service, so it is not known what would break: {}{more}{hint}",
        diff.unmatched,
        named.join(", ")
    ))
}

/// Why a change that touches no service need not be simulated.
pub(super) fn harmless(diff: &Diff) -> Option<String> {
    (diff.files > 0 && diff.unmatched == 0 && diff.services.is_empty())
        .then(|| "no service is touched: every changed file is said to belong to none".to_owned())
}
