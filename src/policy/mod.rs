//! The policy: when a change must stop, and when a person must look.

use crate::diagnostic::{Code, Diagnostic, Place, Sources};
use crate::load::{self, Document};
use crate::model::decode::kind::{self, Kind};
use crate::model::decode::read::{Field, Mapping, Problems, Shape};
use crate::model::topology::Topology;
use crate::sort::Arrange as _;
use expression::ExprNode;

pub mod cases;
pub mod evaluate;
pub mod expression;
pub mod layers;
pub mod vocabulary;
pub mod waivers;

pub use cases::{CaseSuite, PolicyCase};
pub use waivers::{Waiver, Waivers};

/// The policy that is applied where none is named, as YAML.
pub const DEFAULT: &str = include_str!("default-policy.yaml");

/// The policy for a topology that is judged as it is, without a change, as YAML.
pub const STEADY_STATE: &str = include_str!("steady-state-policy.yaml");

/// The policy for a topology that changes, as YAML: rules over `delta`.
pub const REVIEW: &str = include_str!("review-policy.yaml");

/// The name under which [`DEFAULT`] stands in messages.
const DEFAULT_NAME: &str = "default-policy.yaml";

/// More rules than this are a generated file, and a check would take long.
const RULES_MAX: usize = 1000;

/// Policy: rules that a change must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// In the order written; the worst of those that fire decides.
    pub rules: Vec<Rule>,
    /// Names of the policies that were put together, the organisation's first; empty for a single one.
    pub layers: Vec<String>,
    /// The branch that waivers, and this policy itself, are read from.
    pub waivers_from: Option<BranchName>,
}

/// Name of a branch of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchName {
    /// The name, without a remote: `main`.
    pub name: String,
    /// Where it is written.
    pub place: Place,
}

/// One condition, and what follows if it is true.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, unique in the policy.
    pub name: String,
    /// The condition, as written, on one line.
    pub text: String,
    /// The condition.
    pub when: ExprNode,
    /// Verdict if the rule fires.
    pub verdict: RuleVerdict,
    /// Message to people.
    pub message: String,
    /// Whether a policy that is named later may replace it by a weaker one.
    pub is_overridable: bool,
    /// The number of its policy in [`Policy::layers`]; 0 for a single policy.
    pub layer: usize,
    /// Where it is written.
    pub place: Place,
}

/// Verdict that follows if a rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleVerdict {
    /// A person must look.
    Caution,
    /// The change must not ship.
    Stop,
}

impl RuleVerdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caution => "caution",
            Self::Stop => "stop",
        }
    }
}

pub(crate) const POLICY: Shape =
    Shape { what: "a policy", keys: &["version", "policy", "waivers_from", "rules"], schema: "" };

pub(crate) const RULE: Shape = Shape {
    what: "a rule",
    keys: &["name", "when", "verdict", "message", "overridable"],
    schema: "/$defs/rule",
};

impl Policy {
    /// Decodes a policy file. With a topology, the flows and services that its rules name must be
    /// there.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place: also unknown names and wrong types in rules.
    pub fn from_document(
        document: &Document,
        sources: &Sources,
        topology: Option<&Topology>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let file = &sources.get(document.source).text;
        let policy = kind::open_document(document, Kind::Policy, &POLICY, &problems)
            .and_then(|mapping| policy(&mapping, file, topology));
        problems.into_result(policy)
    }

    /// Returns the policy that comes with the program.
    pub fn default_policy(sources: &mut Sources) -> Self {
        Self::built_in(DEFAULT_NAME, DEFAULT, sources)
    }

    /// Returns the policy for a topology that is judged as it is, without a change.
    pub fn steady_state(sources: &mut Sources) -> Self {
        Self::built_in("steady-state-policy.yaml", STEADY_STATE, sources)
    }

    /// Returns the policy for a topology that changes.
    pub fn topology_review(sources: &mut Sources) -> Self {
        Self::built_in("review-policy.yaml", REVIEW, sources)
    }

    fn built_in(name: &str, text: &str, sources: &mut Sources) -> Self {
        let document = load::parse_document(name, text.as_bytes().to_vec(), sources)
            .expect("policies of the program are YAML");
        Self::from_document(&document, sources, None).expect("policies of the program are in order")
    }
}

fn policy(mapping: &Mapping<'_>, file: &str, topology: Option<&Topology>) -> Option<Policy> {
    let name = mapping.get("policy").and_then(|field| field.title());
    let waivers_from = mapping.get("waivers_from").map(|field| branch_name(&field));
    let rules = mapping.require("rules", "[{ name: tier 1, when: .., verdict: stop }]")?;
    let items: Vec<Field<'_>> = rules.items().collect();
    if items.len() > RULES_MAX {
        let message = format!("this policy has {} rules", items.len());
        rules.report_problem(Code::RuleTooLarge, message, "a policy has at most 1000 rules");
        return None;
    }
    // A rule that is wrong does not keep the others from being read: all problems are told in one
    // run.
    let read = items.iter().filter_map(|item| Some((rule(item, file, topology)?, item)));
    let (rules, items): (Vec<Rule>, Vec<&Field<'_>>) = read.unzip();
    let mut names: Vec<(&str, &Field<'_>)> =
        rules.iter().map(|rule| &*rule.name).zip(items).collect();
    names.arrange_by_key(|(name, _)| *name);
    for pair in names.windows(2) {
        if let [(name, _), (again, field)] = pair
            && name == again
        {
            let message = format!("two rules are called `{name}`");
            field.report_problem(Code::DuplicateName, message, "give one of them another name");
        }
    }
    // A branch that cannot be read must not leave the policy without its protection.
    let waivers_from = waivers_from.map_or(Some(None), |branch| branch.map(Some))?;
    Some(Policy { name: name?, rules, layers: Vec::new(), waivers_from })
}

/// Reads the name of a branch. Only plain names are taken, since git would read a range, an option or an
/// object out of others.
fn branch_name(field: &Field<'_>) -> Option<BranchName> {
    let name = field.title()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_name = name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
        && !name.contains("//")
        && !name.ends_with(['/', '.']);
    if !is_name {
        let message = format!("`{name}` is not the name of a branch");
        field.report_problem(Code::BadName, message, "write for example `waivers_from: main`");
        return None;
    }
    Some(BranchName { name, place: field.place() })
}

fn rule(field: &Field<'_>, file: &str, topology: Option<&Topology>) -> Option<Rule> {
    let mapping = field.mapping(&RULE)?;
    let name = mapping.require("name", "tier 1 services").and_then(|field| field.title());
    let verdict = mapping.require("verdict", "stop").and_then(|field| {
        field.word(&[("caution", RuleVerdict::Caution), ("stop", RuleVerdict::Stop)])
    });
    let message = mapping.get("message").map(|field| field.text());
    let is_overridable = mapping.get("overridable").and_then(|field| field.flag());
    let when = mapping.require("when", "services.exists(s, s.tier == 1 && s.failed.p > 0.2)");
    // Read before anything returns, so that the problems of all keys are told at once.
    let when = when.and_then(|field| {
        let text = field.str()?;
        let node = expression::check(text, file, field.place(), topology, field.problems())?;
        // On one line, since reports show conditions in tables and lists.
        Some((text.split_whitespace().collect::<Vec<_>>().join(" "), node))
    });
    let message = message.unwrap_or_else(|| Some(String::new()))?;
    let (text, when) = when?;
    Some(Rule {
        name: name?,
        text,
        when,
        verdict: verdict?,
        message,
        is_overridable: is_overridable.unwrap_or_default(),
        layer: 0,
        place: field.place(),
    })
}
