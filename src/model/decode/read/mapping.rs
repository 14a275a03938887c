//! Mappings: which keys they may have, and what is said when they have others.

use super::super::renamed::{self, RenamedKey};
use super::{Field, Problems, in_backticks, scalar_text};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::Entry;

/// Keys that a mapping may hold, each with its documentation.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Thing that the mapping describes, with its article.
    pub(crate) what: &'static str,
    /// The keys it may have.
    pub(crate) keys: &'static [&'static str],
    /// Where the JSON Schema describes it, as a JSON pointer; a test compares the two.
    #[cfg_attr(not(test), expect(dead_code, reason = "held to the schemas by a test"))]
    pub(crate) schema: &'static str,
}

/// Keys that people know from elsewhere, and ours.
const SYNONYMS: &[(&str, &str)] = &[
    ("depends_on", "dependencies"),
    ("dependsOn", "dependencies"),
    ("needs", "dependencies"),
    ("owner", "team"),
    ("type", "kind"),
    ("description", "title"),
    ("name", "title"),
    ("optional", "criticality"),
    ("coupling", "criticality"),
    ("retry", "retries"),
    ("zones", "domains"),
    ("probability", "call_probability"),
    ("duration", "bake"),
    ("percent", "exposure"),
];

/// A mapping whose keys are known to be among those of its shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping<'a> {
    pub(crate) shape: &'static Shape,
    /// Where to report what is missing.
    pub(crate) place: Place,
    entries: &'a [Entry],
    problems: &'a Problems,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(
        shape: &'static Shape,
        place: Place,
        entries: &'a [Entry],
        problems: &'a Problems,
    ) -> Self {
        let mapping = Self { shape, place, entries, problems };
        for entry in entries {
            let key = &*entry.key.text;
            // Merge keys are reported already.
            if !shape.keys.contains(&key) && key != "<<" {
                mapping.unknown_key(entry);
            }
        }
        mapping
    }

    fn unknown_key(&self, entry: &Entry) {
        let key = &*entry.key.text;
        let Shape { what, keys, .. } = self.shape;
        let problem = Diagnostic::error(
            Code::UnknownKey,
            format!("`{key}` is not a key of {what}"),
            entry.key.place,
        );
        // An old key has an exact answer, which is better than the nearest name.
        if let Some(renamed) = renamed::renamed_key(key, keys) {
            self.problems.push(renamed_key(entry, renamed));
            return;
        }
        let synonym = SYNONYMS.iter().find(|(theirs, ours)| *theirs == key && keys.contains(ours));
        // YAML takes `timeout:2s` for one word.
        if let Some((known, value)) = key.split_once(':').filter(|(known, _)| keys.contains(known))
        {
            let meant = format!("{known}: {value}");
            let help = "a space is missing behind the `:`";
            self.problems.push(problem.help(help).replace_with(meant));
            return;
        }
        let problem = match synonym {
            Some((_, ours)) => problem.help(format!("did you mean `{ours}`?")),
            None => self.problems.suggest_nearest(problem, key, keys.iter().copied(), || {
                Some(format!("its keys are {}", in_backticks(keys.iter(), "and")))
            }),
        };
        self.problems.push(problem);
    }

    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        // A key that the shape lacks would be reported as unknown and read all the same.
        debug_assert!(self.shape.keys.contains(&key), "`{key}` of {}", self.shape.what);
        let entry = self.entries.iter().find(|entry| &*entry.key.text == key)?;
        Some(Field {
            name: key,
            key: Some(entry.key.place),
            node: &entry.value,
            problems: self.problems,
        })
    }

    /// The value of a key; reports when it is not there, with an example of what to write.
    pub(crate) fn require(&self, key: &'static str, example: &str) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            self.report_missing(&format!("needs `{key}`"), &format!("{key}: {example}"));
        }
        field
    }

    /// Reports that something is not there, with an example of what to write.
    pub(crate) fn report_missing(&self, needs: &str, example: &str) {
        self.problems.push(
            Diagnostic::error(Code::MissingKey, format!("{} {needs}", self.shape.what), self.place)
                .help(format!("write for example `{example}`")),
        );
    }

    /// Reports when both keys are there.
    pub(crate) fn not_both(&self, key: &'static str, other: &'static str, why: &str) {
        if let (Some(first), Some(second)) = (self.get(key), self.get(other)) {
            self.problems.push(
                Diagnostic::error(
                    Code::Conflict,
                    format!("{} has either `{key}` or `{other}`, not both", self.shape.what),
                    second.place_of_key(),
                )
                .other_place(first.place_of_key(), "the other one")
                .help(why),
            );
        }
    }

    /// Reports a key that makes no sense here.
    pub(crate) fn refuse_key(&self, key: &'static str, message: impl Into<String>, help: &str) {
        if let Some(field) = self.get(key) {
            self.problems
                .push(Diagnostic::error(Code::Conflict, message, field.place_of_key()).help(help));
        }
    }

    pub(crate) fn problems(&self) -> &'a Problems {
        self.problems
    }
}

/// Names the new word for a key of version 0.1, and offers the entry as it is written today.
fn renamed_key(entry: &Entry, renamed: &RenamedKey) -> Diagnostic {
    let RenamedKey { was, now, .. } = renamed;
    let message = format!("`{was}` is now `{now}`");
    let problem = |place| Diagnostic::error(Code::Renamed, message, place);
    // A scalar has its new word beside the new key, so both are replaced in one piece.
    match scalar_text(&entry.value) {
        Some(text) if renamed.new_value(text) != text => {
            let place = Place { end: entry.value.place.end, ..entry.key.place };
            problem(place).replace_with(format!("{now}: {}", renamed.new_value(text)))
        }
        _ => problem(entry.key.place).replace_with(*now),
    }
}
