//! Waivers: a named person takes the risk of a rule, for some changes and for a time.

use jiff::civil::Date;

use super::Policy;
use super::expression::parse_timestamp;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::load::Document;
use crate::model::decode::kind::{self, Kind};
use crate::model::decode::names::Names;
use crate::model::decode::read::{Field, Mapping, Problems, Shape, distinct_items};
use crate::model::resource_pattern;
use crate::model::topology::{ServiceId, Topology};
use crate::suggest;

/// More waivers than this are a generated file.
const WAIVERS_MAX: usize = 1000;

/// For how long a waiver may be given, in days from the time of the check. What lasts longer is no
/// exception but a rule, and belongs into the policy.
pub const LONGEST_DAYS: f64 = 90.0;

/// A file of waivers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waivers {
    /// Its name.
    pub name: String,
    /// In the order written.
    pub list: Vec<Waiver>,
}

/// One waiver: turns the stop of a rule into caution.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiver {
    /// Name of the rule.
    pub rule: String,
    /// Scope: the changes that it is for.
    pub scope: WaiverScope,
    /// The person who takes the risk.
    pub who: String,
    /// Their reason.
    pub why: String,
    /// The last day on which it holds, in UTC.
    pub until: Date,
    /// Whether it was taken back on the branch that waivers are read from.
    pub is_withdrawn: bool,
    /// Where it is written.
    pub place: Place,
}

/// Scope of a waiver. Every part that is not empty must cover the change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaiverScope {
    /// Names of services. The change touches these, or services of the teams, and nothing else.
    pub services: Vec<String>,
    /// Names of teams.
    pub teams: Vec<String>,
    /// Names of changes; `*` stands for any text.
    pub changes: Vec<String>,
}

pub(crate) const WAIVERS: Shape =
    Shape { what: "a list of waivers", keys: &["version", "waivers", "waive"], schema: "" };

pub(crate) const WAIVER: Shape = Shape {
    what: "a waiver",
    keys: &["rule", "services", "teams", "changes", "who", "why", "until"],
    schema: "/$defs/waiver",
};

impl Waivers {
    /// Decodes a file of waivers. With a topology, the services and teams that it names must be there.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(
        document: &Document,
        topology: Option<&Topology>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let waivers = kind::open_document(document, Kind::Waivers, &WAIVERS, &problems)
            .and_then(|mapping| decode_waivers(&mapping, topology));
        problems.into_result(waivers)
    }

    /// Returns a diagnostic for each waiver of a rule that the policy does not have.
    pub fn unknown_rules(&self, policy: &Policy) -> Vec<Diagnostic> {
        let names = || policy.rules.iter().map(|rule| &*rule.name);
        let is_unknown = |waiver: &&Waiver| !names().any(|name| name == waiver.rule);
        let problem = |waiver: &Waiver| {
            let message = format!("the policy has no rule `{}`", waiver.rule);
            let problem = Diagnostic::error(Code::UnknownName, message, waiver.place);
            match suggest::nearest(&waiver.rule, names()) {
                Some(name) => problem.help(format!("did you mean `{name}`?")),
                None => problem.help("a waiver names a rule of the policy that is applied"),
            }
        };
        self.list.iter().filter(is_unknown).map(problem).collect()
    }
}

impl Waiver {
    /// Returns the moment at which it ends, in seconds since 1970: the end of its last day in UTC.
    pub fn end(&self) -> f64 {
        let next_day = self.until.tomorrow().unwrap_or(self.until);
        // The last day of the calendar has no next one; a waiver until then is refused as too long anyway.
        parse_timestamp(&next_day.to_string()).unwrap_or(f64::INFINITY)
    }

    /// Whether two waivers say the same, wherever they are written.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self { is_withdrawn, place, .. } = *self;
        *self == Self { is_withdrawn, place, ..other.clone() }
    }
}

impl WaiverScope {
    /// Whether a name is that of a change in scope; every name is where the scope names no change.
    pub fn covers_name(&self, change: &str) -> bool {
        self.changes.is_empty()
            || self.changes.iter().any(|pattern| resource_pattern::matches_text(pattern, change))
    }

    /// Whether it names neither services nor teams.
    pub fn is_of_any_service(&self) -> bool {
        self.services.is_empty() && self.teams.is_empty()
    }

    /// Whether a service is in scope.
    pub fn covers_service(&self, topology: &Topology, service: ServiceId) -> bool {
        let service = &topology.services[service.0 as usize];
        self.is_of_any_service()
            || self.services.contains(&service.name)
            || service.team.as_ref().is_some_and(|team| self.teams.contains(team))
    }

    /// Whether it covers every change that there could be.
    pub fn covers_everything(&self, topology: &Topology) -> bool {
        let is_any_name = |pattern: &String| pattern.chars().all(|c| c == '*');
        let names_any = self.changes.is_empty() || self.changes.iter().any(is_any_name);
        let all = 0..topology.services.len() as u32;
        names_any
            && topology.services.len() > 1
            && all.into_iter().all(|index| self.covers_service(topology, ServiceId(index)))
    }
}

fn decode_waivers(mapping: &Mapping<'_>, topology: Option<&Topology>) -> Option<Waivers> {
    let name = mapping.get("waivers").and_then(|field| field.title());
    let example =
        "[{ rule: freeze, services: [cart], who: Ada Lovelace, why: .., until: 2026-12-24 }]";
    let items: Vec<Field<'_>> = mapping.require("waive", example)?.items().collect();
    if items.len() > WAIVERS_MAX {
        let message = format!("this file has {} waivers", items.len());
        let problem = Diagnostic::error(Code::TooLarge, message, items[WAIVERS_MAX].place());
        mapping.problems().push(problem.help("remove those that have expired"));
        return None;
    }
    let names = topology.map(Names::of_topology);
    // A waiver that is wrong does not keep the others from being read.
    let read = |item: &Field<'_>| decode_waiver(item, topology.zip(names.as_ref()));
    let list = items.iter().filter_map(read).collect();
    Some(Waivers { name: name?, list })
}

fn decode_waiver(field: &Field<'_>, named: Option<(&Topology, &Names<'_>)>) -> Option<Waiver> {
    let mapping = field.mapping(&WAIVER)?;
    let title = |key, example| mapping.require(key, example).and_then(|field| field.title());
    let rule = title("rule", "error budget at risk");
    let who = title("who", "Ada Lovelace");
    let why = mapping.require("why", "the old provider ends on Friday").and_then(|field| {
        let text = field.text()?;
        if text.is_empty() {
            field.report_problem(Code::BadName, "`why` is empty", "write the reason");
            return None;
        }
        // On one line, since reports show it in sentences.
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    let until = mapping.require("until", "2026-12-24").and_then(|field| field.date());
    let scope = decode_scope(&mapping, named);
    Some(Waiver {
        rule: rule?,
        scope: scope?,
        who: who?,
        why: why?,
        until: until?,
        is_withdrawn: false,
        place: field.place(),
    })
}

/// Reads the scope. A waiver without one would be for every change, which nobody writes on purpose.
fn decode_scope(
    mapping: &Mapping<'_>,
    named: Option<(&Topology, &Names<'_>)>,
) -> Option<WaiverScope> {
    let list = |key| mapping.get(key);
    if ["services", "teams", "changes"].into_iter().all(|key| list(key).is_none()) {
        mapping.report_missing("has no scope", "services: [cart]");
        return None;
    }
    let services = list("services").map(|field| {
        if let Some((_, names)) = named {
            // Reports names that are not there.
            distinct_items(&field, |item| names.resolve_service(item));
        }
        texts(&field)
    });
    let teams = list("teams").map(|field| {
        let teams = texts(&field);
        if let Some((topology, _)) = named {
            field.items().for_each(|item| check_team(&item, topology));
        }
        teams
    });
    let changes = list("changes").map(|field| texts(&field));
    // An empty list would be no restriction where somebody began to write one.
    for (key, texts) in [("services", &services), ("teams", &teams), ("changes", &changes)] {
        if texts.as_ref().is_some_and(Vec::is_empty)
            && let Some(field) = list(key)
            && field.is_list()
            && field.node.items().is_empty()
        {
            let message = format!("`{key}` names nothing");
            field.report_problem(Code::MissingKey, message, "name something, or remove the key");
        }
    }
    Some(WaiverScope {
        services: services.unwrap_or_default(),
        teams: teams.unwrap_or_default(),
        changes: changes.unwrap_or_default(),
    })
}

fn texts(field: &Field<'_>) -> Vec<String> {
    field.items().filter_map(|item| item.title()).collect()
}

fn check_team(field: &Field<'_>, topology: &Topology) {
    let Some(name) = field.str() else { return };
    let teams = || topology.services.iter().filter_map(|service| service.team.as_deref());
    if teams().any(|team| team == name) {
        return;
    }
    let message = format!("no service is of a team `{name}`");
    let problem = Diagnostic::error(Code::UnknownTeam, message, field.place());
    let problems = field.problems();
    problems.push(problems.suggest_nearest(problem, name, teams(), || None));
}
