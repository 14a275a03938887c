//! Judges what the files of a diff mean for the verdict.

use crate::model::change::ChangeKind;
use crate::model::diff::{DiffSize, KEPT};
use crate::model::{Change, Diff};

/// Returns what is assumed about a change that is known by its files only.
pub(super) fn diff_assumption(diff: &Diff) -> String {
    let kind = match diff.kind {
        Some(ChangeKind::Schema) => "schema",
        Some(ChangeKind::Config) => "config",
        Some(ChangeKind::Dependency) => "dependency",
        _ => "code",
    };
    let risk = diff.risk().map_or_else(String::new, |risk| {
        let DiffSize { files, lines } = risk.size;
        format!(
            "; it breaks with probability {}, judged by its size of {lines} lines in {files} files (10% for \
             50 lines, DORA 2024; larger changes break more often, Kamei et al. 2013)",
            risk.failure_probability
        )
    });
    let shipping = if diff.services.iter().all(|service| service.is_shipping_declared) {
        "shipped as the topology declares"
    } else {
        "without rollout or rollback"
    };
    format!(
        "the change is known by its files only: its kind ({kind}) is guessed from their names, and every \
         service that they belong to breaks completely, {shipping}{risk}"
    )
}

/// Why the files alone keep the change from proceeding; nothing where it is known to whom each of them
/// belongs.
pub(super) fn diff_doubt(diff: &Diff) -> Option<String> {
    if diff.files == 0 {
        return Some("no file is named as changed, so it is not known what would break".to_owned());
    }
    if let Some(line) = &diff.first_joined {
        return Some(format!(
            "a line of the list of files seems to hold several names: `{line}`. Write one name on each line, \
             or end each with NUL and add `--null`"
        ));
    }
    // Files that belong to services, or are known to matter to none, leave nothing open.
    if diff.unmatched == 0 {
        return None;
    }
    let named: Vec<String> =
        diff.first_unmatched.iter().map(|first_unmatched| format!("`{first_unmatched}`")).collect();
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

/// Why what a change names as unmatched keeps it from proceeding.
pub(super) fn unmatched_doubt(change: &Change) -> Option<String> {
    let unmatched = change.unmatched.as_ref().filter(|names| !names.is_empty())?;
    let named: Vec<String> = unmatched.iter().take(KEPT).map(|name| format!("`{name}`")).collect();
    let more = unmatched.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (things, belong) = if unmatched.len() == 1 {
        ("changed resource", "belongs")
    } else {
        ("changed resources", "belong")
    };
    Some(format!(
        "{} {things} {belong} to no service, so it is not known what would break: {}{more}. State \
         `resources` of the services, or remove from `unmatched` what breaks nothing",
        unmatched.len(),
        named.join(", ")
    ))
}

/// Why a change that touches no service proceeds.
pub(super) const UNTOUCHED: &str = "no service is touched; nothing to simulate";

/// Why a change that touches no service need not be simulated.
pub(super) fn harmless_reason(diff: &Diff) -> Option<String> {
    (diff.files > 0
        && diff.unmatched == 0
        && diff.first_joined.is_none()
        && diff.services.is_empty())
    .then(|| format!("{UNTOUCHED}{}", left_out_clause(diff)))
}

/// Returns which files were left out of a diff, and why, as the end of a sentence.
pub(super) fn left_out_clause(diff: &Diff) -> String {
    let mut parts: Vec<String> = Vec::new();
    if diff.ignored > 0 {
        parts.push(format!("{} said to belong to no service", diff.ignored));
    }
    for part in &diff.left_out {
        let more = if part.files > 1 { ", …" } else { "" };
        parts.push(format!("{} {} ({}{more})", part.files, part.effect.plural_noun(), part.first));
    }
    if parts.is_empty() { String::new() } else { format!(". Left out: {}", parts.join(", ")) }
}
