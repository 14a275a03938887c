//! The kinds of file, and how to tell them apart.

use super::read::{Field, Mapping, Problems, Shape, yaml_word};
use crate::diagnostic::{Code, Diagnostic};
use crate::load::{Document, Node, Value};
use crate::suggest;

/// The only edition of the files so far.
const VERSION: &str = "1";

/// A kind of input file, told by the key that names what the file describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Services and what they depend on.
    Topology,
    /// A planned change.
    Change,
    /// When to stop.
    Policy,
    /// Incident that happened once.
    Incident,
    /// A topology, changes and a policy that belong together.
    Scenario,
    /// Costs of protections.
    Costs,
    /// Observation of what fails now.
    Observation,
    /// Waivers of rules.
    Waivers,
    /// Tests of policies.
    PolicyTest,
}

impl Kind {
    /// All of them. Scenarios and incidents may also have the keys of the others, so they are first.
    pub const ALL: [Self; 9] = [
        Self::Scenario,
        Self::Incident,
        Self::PolicyTest,
        Self::Waivers,
        Self::Policy,
        Self::Costs,
        Self::Observation,
        Self::Change,
        Self::Topology,
    ];

    /// The kind of a document; `None` if it is none of ours.
    pub fn of_document(document: &Document) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| document.get(kind.key()).is_some())
    }

    /// The key whose value is the name of the thing described.
    pub fn key(self) -> &'static str {
        match self {
            Self::Topology => "topology",
            Self::Change => "change",
            Self::Policy => "policy",
            Self::Incident => "incident",
            Self::Scenario => "scenario",
            Self::Costs => "costs",
            Self::Observation => "observation",
            Self::Waivers => "waivers",
            Self::PolicyTest => "policy_test",
        }
    }

    /// With its article.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Topology => "a topology",
            Self::Change => "a change",
            Self::Policy => "a policy",
            Self::Incident => "an incident",
            Self::Scenario => "a scenario",
            Self::Costs => "a list of costs",
            Self::Observation => "an observation",
            Self::Waivers => "a list of waivers",
            Self::PolicyTest => "a policy test",
        }
    }
}

/// The outermost mapping of a document that must be of this kind and of a version we know.
pub(crate) fn open_document<'a>(
    document: &'a Document,
    wanted: Kind,
    shape: &'static Shape,
    problems: &'a Problems,
) -> Option<Mapping<'a>> {
    if let Some(problem) = wrong_kind(document, wanted) {
        problems.push(problem);
        return None;
    }
    let mapping = Field::root_of(document, wanted.key(), problems).mapping(shape)?;
    mapping.require(wanted.key(), "NAME");
    if let Some(field) = mapping.require("version", "1") {
        check_version(&field);
    }
    Some(mapping)
}

fn wrong_kind(document: &Document, wanted: Kind) -> Option<Diagnostic> {
    let root = &document.root;
    let what = wanted.describe();
    let wrong =
        |message: String, node: &Node| Diagnostic::error(Code::WrongKind, message, node.place);
    if !matches!(root.value, Value::Mapping(_)) {
        let given = root.value.describe();
        return Some(
            wrong(format!("{what} is a mapping, but this file holds {given}"), root)
                .help(format!("it starts with `version: 1` and `{}: NAME`", wanted.key())),
        );
    }
    // A key of another kind tells what the file is meant to be.
    if document.get(wanted.key()).is_none() {
        if let Some(other) = Kind::of_document(document) {
            let entry = document.get(other.key())?;
            let message = format!("this is {}, not {what}", other.describe());
            let problem = Diagnostic::error(Code::WrongKind, message, entry.key.place);
            return Some(problem.label("this key tells"));
        }
        // With a slip in the key, or a version, it is meant to be one of ours: read on.
        let keys = root.entries().iter().map(|entry| &*entry.key.text);
        let is_ours = document.get("version").is_some_and(|version| {
            matches!(&version.value.value, Value::Number(number) if &*number.text == VERSION)
        });
        // A file that is far from any of ours is refused as a whole, without a list of unknown
        // keys.
        if !is_ours && suggest::nearest(wanted.key(), keys).is_none() {
            return Some(wrong(format!("this is not {what}"), root).help(format!(
                "{what} starts with `version: 1` and `{}: NAME`; `blastwave import` makes a topology from other files",
                wanted.key()
            )));
        }
    }
    None
}

fn check_version(field: &Field<'_>) {
    match &field.node.value {
        Value::Number(number) if &*number.text == VERSION => {}
        Value::Number(number) => field.report_problem(
            Code::UnknownVersion,
            format!("version {} is not known to this program", number.text),
            "write `version: 1`, or use a newer program",
        ),
        // A version in quotes is a slip that can be fixed.
        Value::Text(text) if &**text == VERSION => {
            let problem = field.wrong_type("a number");
            field.problems().push(problem.help("write it without quotes").replace_with("1"));
        }
        Value::Text(text) => field.report_problem(
            Code::UnknownVersion,
            format!("version {} is not known to this program", yaml_word(text)),
            "write `version: 1`",
        ),
        _ => field.problems().push(field.wrong_type("a number").help("write `version: 1`")),
    }
}
