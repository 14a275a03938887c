//! Tests of policies: inputs, and the verdict and the rules that they must lead to.

use std::path::Path;

use super::expression::parse_timestamp;
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::Document;
use crate::model::decode::kind::{self, Kind};
use crate::model::decode::read::{Field, Mapping, Problems, Shape};
use crate::model::scenario::{FileRef, file_ref};
use crate::sort::Arrange as _;

/// More cases than this are a generated file, and each is a simulation.
const CASES_MAX: usize = 1000;

word_enums! {
    /// Verdict that a case expects.
    ExpectedVerdict {
        /// Ship it.
        Proceed = "proceed",
        /// A person must look at it first.
        Caution = "caution",
        /// Do not ship it.
        Stop = "stop",
    }
}

/// A file of cases for one policy, or for several that are applied together.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseSuite {
    /// Its name.
    pub name: String,
    /// The policies, the organisation's first; empty for the one that comes with the program.
    pub policies: Vec<FileRef>,
    /// The waivers.
    pub waivers: Option<FileRef>,
    /// In the order written, at least one.
    pub cases: Vec<PolicyCase>,
}

/// One case: a question to the gate, and the answer that it must give.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyCase {
    /// Its name, unique in the file.
    pub name: String,
    /// The topology.
    pub topology: FileRef,
    /// The changes that ship in one window.
    pub changes: Vec<FileRef>,
    /// Targets that break with certainty, where there is no change; without either the topology itself is
    /// judged.
    pub breaks: Vec<String>,
    /// The time of the check, in seconds since 1970.
    pub now: Option<f64>,
    /// Verdict that it must have.
    pub verdict: ExpectedVerdict,
    /// Rules that must fire; others may too.
    pub fires: Vec<String>,
    /// Rules that must hold.
    pub holds: Vec<String>,
    /// Rules that must fire and be waived.
    pub waived: Vec<String>,
}

pub(crate) const SUITE: Shape = Shape {
    what: "a policy test",
    keys: &["version", "policy_test", "policies", "waivers", "topology", "now", "cases"],
    schema: "",
};

pub(crate) const CASE: Shape = Shape {
    what: "a case",
    keys: &[
        "name", "topology", "change", "changes", "breaks", "now", "verdict", "fires", "holds",
        "waived",
    ],
    schema: "/$defs/case",
};

impl CaseSuite {
    /// Decodes a file of cases. Its paths are seen from its own folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(document: &Document, sources: &Sources) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let folder = Path::new(&sources.get(document.source).name).parent();
        let folder = folder.unwrap_or(Path::new(""));
        let suite = kind::open_document(document, Kind::PolicyTest, &SUITE, &problems)
            .and_then(|mapping| decode_suite(&mapping, folder));
        problems.into_result(suite)
    }
}

fn decode_suite(mapping: &Mapping<'_>, folder: &Path) -> Option<CaseSuite> {
    let name = mapping.get("policy_test").and_then(|field| field.title());
    let policies = mapping.get("policies").map(|field| files(&field, folder)).unwrap_or_default();
    let waivers = mapping.get("waivers").and_then(|field| file_ref(&field, folder));
    let topology = mapping.get("topology").and_then(|field| file_ref(&field, folder));
    let now = mapping.get("now").and_then(|field| moment(&field));
    let example = "[{ name: .., topology: shop.yaml, breaks: [cart], verdict: stop }]";
    let cases_field = mapping.require("cases", example)?;
    let items: Vec<Field<'_>> = cases_field.items().collect();
    // A file that tests nothing would pass for ever.
    if items.is_empty() && cases_field.is_list() {
        cases_field.report_problem(Code::MissingKey, "`cases` names nothing", "add a case");
    }
    if items.len() > CASES_MAX {
        let message = format!("this file has {} cases", items.len());
        let problem = Diagnostic::error(Code::TooLarge, message, items[CASES_MAX].place());
        mapping.problems().push(problem.help("split it into files of at most 1000 cases"));
        return None;
    }
    let shared = SharedInputs { folder, topology: topology.as_ref(), now };
    let read = items.iter().filter_map(|item| Some((decode_case(item, &shared)?, item)));
    let (cases, items): (Vec<PolicyCase>, Vec<&Field<'_>>) = read.unzip();
    refuse_equal_names(&cases, &items);
    Some(CaseSuite { name: name?, policies, waivers, cases })
}

/// Inputs that a file states for all of its cases.
struct SharedInputs<'a> {
    folder: &'a Path,
    topology: Option<&'a FileRef>,
    now: Option<f64>,
}

fn decode_case(field: &Field<'_>, shared: &SharedInputs<'_>) -> Option<PolicyCase> {
    let mapping = field.mapping(&CASE)?;
    mapping.not_both("change", "changes", "write all of them under `changes`");
    mapping.not_both("change", "breaks", "a case has one cause");
    mapping.not_both("changes", "breaks", "a case has one cause");
    let folder = shared.folder;
    let name = mapping.require("name", "a wrong flag stops").and_then(|field| field.title());
    let own = mapping.get("topology").map(|field| file_ref(&field, folder));
    let topology = match (own, shared.topology) {
        (Some(own), _) => own,
        (None, Some(topology)) => Some(topology.clone()),
        (None, None) => {
            mapping.report_missing("needs a topology", "topology: shop.yaml");
            None
        }
    };
    let one = mapping.get("change").and_then(|field| file_ref(&field, folder));
    let several = mapping.get("changes").map(|field| files(&field, folder));
    let list = |key| mapping.get(key).map(|field| texts(&field)).unwrap_or_default();
    let words = ExpectedVerdict::WORDS;
    let verdict = mapping.require("verdict", "stop").and_then(|field| field.word(words));
    let now = mapping.get("now").map(|field| moment(&field));
    Some(PolicyCase {
        name: name?,
        topology: topology?,
        changes: one.into_iter().chain(several.into_iter().flatten()).collect(),
        breaks: list("breaks"),
        now: now.unwrap_or(shared.now),
        verdict: verdict?,
        fires: list("fires"),
        holds: list("holds"),
        waived: list("waived"),
    })
}

fn files(field: &Field<'_>, folder: &Path) -> Vec<FileRef> {
    field.items().filter_map(|item| file_ref(&item, folder)).collect()
}

fn texts(field: &Field<'_>) -> Vec<String> {
    field.items().filter_map(|item| item.title()).collect()
}

/// Reads a day or a moment, in seconds since 1970. `clock` is refused: a test must not depend on its day.
fn moment(field: &Field<'_>) -> Option<f64> {
    let text = field.str()?.trim();
    let moment = parse_timestamp(text);
    if moment.is_none() {
        let message = format!("`{text}` is not a time");
        field.report_problem(
            Code::BadUnit,
            message,
            "write for example `2026-12-18` or `2026-12-18T16:00:00+01:00`",
        );
    }
    moment
}

fn refuse_equal_names(cases: &[PolicyCase], items: &[&Field<'_>]) {
    let mut names: Vec<(&str, &Field<'_>)> =
        cases.iter().map(|case| &*case.name).zip(items.iter().copied()).collect();
    names.arrange_by_key(|(name, _)| *name);
    for pair in names.windows(2) {
        if let [(name, _), (again, field)] = pair
            && name == again
        {
            let message = format!("two cases are called `{name}`");
            field.report_problem(Code::DuplicateName, message, "give one of them another name");
        }
    }
}
