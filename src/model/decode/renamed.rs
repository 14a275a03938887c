//! Keys and words of version 0.1 that have another name now: each is refused with its new name.
//!
//! One table serves every kind of file. A key of 0.1 is only looked up where it has no meaning
//! today, so that `needs`, a list in 0.1 and a count today, can stand in both.

/// A key that was renamed.
#[derive(Debug)]
pub(crate) struct RenamedKey {
    /// The key in version 0.1.
    pub(crate) was: &'static str,
    /// The key today.
    pub(crate) now: &'static str,
    /// Values whose meaning has another word under the new key.
    values: &'static [(&'static str, &'static str)],
}

impl RenamedKey {
    /// Returns the value to write under the new key, given the scalar that stands under the old one.
    pub(crate) fn new_value<'a>(&self, text: &'a str) -> &'a str {
        self.values.iter().find(|(was, _)| *was == text).map_or(text, |(_, now)| now)
    }
}

/// The keys of version 0.1 that have another name.
pub(crate) const KEYS: &[RenamedKey] = &[
    RenamedKey { was: "gate", now: "catch_probability", values: &[] },
    RenamedKey { was: "needs", now: "depends_on", values: &[] },
    RenamedKey {
        was: "required",
        now: "criticality",
        values: &[("false", "soft"), ("true", "hard")],
    },
    RenamedKey { was: "basis", now: "evidence", values: &[("stated", "declared")] },
    RenamedKey { was: "to", now: "until", values: &[] },
];

/// The words of version 0.1 that have another name: the key they stand under, the word then, and
/// the word today.
pub(crate) const WORDS: &[(&str, &str, &str)] = &[
    ("action", "add_capacity", "add-capacity"),
    ("action", "fail_over", "bypass"),
    ("evidence", "stated", "declared"),
];

/// Returns the entry for a key of version 0.1 whose new name is among `keys`.
pub(crate) fn renamed_key(was: &str, keys: &[&str]) -> Option<&'static RenamedKey> {
    KEYS.iter().find(|key| key.was == was && keys.contains(&key.now))
}

/// Returns today's word for a word of version 0.1 that stood under `key`.
pub(crate) fn renamed_word(key: &str, was: &str) -> Option<&'static str> {
    let found = WORDS.iter().find(|(under, word, _)| *under == key && *word == was);
    found.map(|(_, _, now)| *now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Diagnostic, Source, Sources};
    use crate::load;
    use crate::model::topology::{Criticality, Evidence};
    use crate::model::{Change, Incident, Topology};

    /// A topology in the words of version 0.1.
    const TOPOLOGY: &str = "version: 1
topology: shop
services:
  cart: { dependencies: [{ service: stock, required: false, basis: stated }] }
  mail: { dependencies: [{ service: stock, evidence: stated, required: true }] }
  keeper: { kind: automation, automation: { watches: stock, action: fail_over } }
  stock: {}
defaults: { dependency: { required: false, basis: inferred } }
flows: { buy: { steps: [cart, { service: mail, required: false }] } }
";
    /// A change in the words of version 0.1.
    const CHANGE: &str = "version: 1
change: v2
targets: [stock]
rollout: { stages: [{ exposure: 5%, bake: 10m, gate: 50% }, 100%] }
detection: { median: 5m, needs: [mail] }
rollback: { median: 5m, needs: [mail] }
kill_switch: { median: 5m, needs: [mail] }
actions: [{ at: 1h, action: add_capacity, target: cart }]
";
    /// The same with a strategy instead of stages.
    const STRATEGY: &str = "version: 1
change: v2
targets: [stock]
rollout: { strategy: canary, gate: 50% }
";
    /// An incident in the words of version 0.1.
    const INCIDENT: &str = "version: 1
incident: friday
observed: [{ service: cart, from: 1m, to: 2m }]
";

    fn read<T>(
        text: &str,
        decode: impl Fn(&load::Document) -> Result<T, Vec<Diagnostic>>,
    ) -> Result<T, Vec<Diagnostic>> {
        let document =
            load::parse_document("file", text.as_bytes().to_vec(), &mut Sources::default());
        decode(&document.expect("it is YAML"))
    }

    /// Applies the fix of every diagnostic, from the last to the first so that places stay right.
    fn fixed(text: &str, problems: &[Diagnostic]) -> String {
        let mut text = text.to_owned();
        for problem in problems.iter().rev() {
            let fix = problem.fix.as_ref().expect("the new word is offered");
            text.replace_range(fix.place.span(), &fix.replacement);
        }
        text
    }

    /// Reads a file of old words, and the same with every fix applied; returns what was said.
    fn messages<T>(
        text: &str,
        decode: impl Fn(&load::Document) -> Result<T, Vec<Diagnostic>>,
    ) -> (Vec<String>, T) {
        let problems = read(text, &decode).err().expect("old words are refused");
        assert!(problems.iter().all(|problem| problem.code == Code::Renamed), "{problems:#?}");
        let new = fixed(text, &problems);
        let value = read(&new, &decode).unwrap_or_else(|wrong| panic!("{new}\n{wrong:#?}"));
        (problems.into_iter().map(|problem| problem.message).collect(), value)
    }

    #[test]
    fn every_old_word_is_refused_with_its_new_name_and_the_fix_makes_the_file_right() {
        let (mut said, shop) = messages(TOPOLOGY, Topology::from_document);
        let change = |document: &load::Document| Change::from_document(document, &shop);
        said.extend(messages(CHANGE, change).0);
        said.extend(messages(STRATEGY, change).0);
        let mut sources = Sources::default();
        sources.add(Source { name: "file".to_owned(), text: INCIDENT.to_owned() });
        let incident =
            |document: &load::Document| Incident::from_document(document, &shop, &sources);
        said.extend(messages(INCIDENT, incident).0);
        let keys = KEYS.iter().map(|key| format!("`{}` is now `{}`", key.was, key.now));
        let words = WORDS.iter().map(|(key, was, now)| format!("`{key}`: `{was}` is now `{now}`"));
        for wanted in keys.chain(words) {
            assert!(said.contains(&wanted), "{wanted}: {said:#?}");
        }
        assert_eq!(said.len(), 15);
    }

    #[test]
    fn the_fix_keeps_what_an_old_key_meant() {
        let (_, shop) = messages(TOPOLOGY, Topology::from_document);
        let meant = |service: usize| {
            let dependency = &shop.services[service].dependencies[0];
            (dependency.criticality, dependency.evidence)
        };
        let declared = Some(Evidence::Declared);
        assert_eq!(meant(0), (Some(Criticality::Soft), declared), "cart");
        assert_eq!(meant(2), (Some(Criticality::Hard), declared), "mail");
    }
}
