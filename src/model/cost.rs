//! Costs of protections: weights that advice is ordered by.

use super::decode::kind::{self, Kind};
use super::decode::read::{Field, Mapping, Problems, Shape};
use super::topology::Topology;
use crate::diagnostic::{Code, Diagnostic};
use crate::load::Document;
use crate::sort::Arrange as _;

word_enums! {
    /// A kind of protection that can be added.
    AdviceKind {
        /// A timeout.
        Timeout = "timeout",
        /// A circuit breaker.
        CircuitBreaker = "circuit-breaker",
        /// A check of answers.
        Validation = "validation",
        /// Another attempt.
        Retry = "retry",
        /// A cache.
        Cache = "cache",
        /// A fallback.
        Fallback = "fallback",
        /// A caller that does without.
        Soft = "soft",
        /// A cache whose entries never expire.
        StaticCache = "static-cache",
        /// A cache that is filled before it serves again.
        WarmCache = "warm-cache",
        /// A limit on retries, as a share of calls.
        RetryBudget = "retry-budget",
        /// A limit on calls in progress.
        Bulkhead = "bulkhead",
        /// A queue that holds less work than callers wait for.
        BoundedQueue = "bounded-queue",
        /// Replicas in a second failure domain.
        SecondDomain = "second-domain",
        /// Load that is refused instead of served too late.
        Shed = "shed",
        /// A switch that turns the change off.
        KillSwitch = "kill-switch",
        /// A smaller first stage.
        SmallerFirstStage = "smaller-first-stage",
        /// A longer time in a stage.
        LongerBake = "longer-bake",
        /// A check at the end of a stage.
        Gate = "gate",
        /// Faster detection.
        FasterDetection = "faster-detection",
        /// Faster rollback.
        FasterRollback = "faster-rollback",
    }
}

/// Where a protection is that is in the course of the change.
pub const THE_CHANGE: &str = "the change";

/// More entries than this are a generated file.
const COSTS_MAX: usize = 10_000;

/// Costs of protections, in any unit: days of work, money.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Its name.
    pub name: String,
    /// Cost of a protection that no entry names; above 0, and 1 where it is not stated.
    pub default: f64,
    /// Costs of single protections, in the order written.
    pub protections: Vec<Cost>,
}

/// Cost of a kind of protection, or of one at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Which kind.
    pub kind: AdviceKind,
    /// Only the one at this place: `caller > dependency`, a service, or [`THE_CHANGE`].
    pub at: Option<String>,
    /// How much, above 0.
    pub cost: f64,
}

pub(crate) const COSTS: Shape = Shape {
    what: "a list of costs",
    keys: &["version", "costs", "default", "protections"],
    schema: "",
};

pub(crate) const COST: Shape =
    Shape { what: "a cost", keys: &["kind", "at", "cost"], schema: "/$defs/cost" };

impl Default for Costs {
    /// Every step costs 1.
    fn default() -> Self {
        Self { name: String::new(), default: 1.0, protections: Vec::new() }
    }
}

impl Costs {
    /// Decodes a file of costs; the places that it names must be in the topology.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(
        document: &Document,
        topology: Option<&Topology>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let costs = kind::open_document(document, Kind::Costs, &COSTS, &problems)
            .and_then(|mapping| decode_costs(&mapping, topology));
        problems.into_result(costs)
    }

    /// Returns the cost of a kind of protection at a place: the cost stated for that place, else
    /// for the kind, else the default.
    pub fn cost_of(&self, kind: AdviceKind, at: &str) -> f64 {
        let here = |item: &&Cost| item.kind == kind && item.at.as_deref() == Some(at);
        let anywhere = |item: &&Cost| item.kind == kind && item.at.is_none();
        let found = self.protections.iter().find(here);
        let found = found.or_else(|| self.protections.iter().find(anywhere));
        found.map_or(self.default, |found| found.cost)
    }
}

fn decode_costs(mapping: &Mapping<'_>, topology: Option<&Topology>) -> Option<Costs> {
    let name = mapping.get("costs").and_then(|field| field.title());
    let default = mapping.get("default").map_or(Some(1.0), |field| field.amount());
    let example = "[{ kind: fallback, cost: 5 }]";
    // Read before the limit is checked, so that the diagnostic can point at the first entry too
    // many.
    let items: Vec<Field<'_>> = mapping.require("protections", example)?.items().collect();
    if items.len() > COSTS_MAX {
        let message = format!("this file has {} entries", items.len());
        let place = items[COSTS_MAX].place();
        let problem = Diagnostic::error(Code::TooLarge, message, place);
        mapping.problems().push(problem.help("costs have at most 10000 entries"));
        return None;
    }
    let places = topology.map(protection_places);
    let read: Vec<Option<Cost>> =
        items.iter().map(|item| decode_cost(item, places.as_deref())).collect();
    let mut named: Vec<_> = read
        .iter()
        .zip(&items)
        .filter_map(|(cost, item)| cost.as_ref().map(|cost| ((&cost.kind, &cost.at), item)))
        .collect();
    // Sorted, equal entries stand side by side, and 10,000 of them are not compared with each
    // other.
    named.arrange_by_key(|(name, _)| *name);
    for pair in named.windows(2) {
        if let [(name, _), (again, field)] = pair
            && name == again
        {
            let at = name.1.as_ref().map_or_else(String::new, |at| format!(" at `{at}`"));
            let message = format!("the cost of `{}`{at} is given twice", name.0);
            field.report_problem(Code::DuplicateName, message, "remove one of them");
        }
    }
    Some(Costs {
        name: name?,
        default: default?,
        // One wrong entry is reported; a list without it would have other costs than the person
        // meant.
        protections: read.into_iter().collect::<Option<_>>()?,
    })
}

fn decode_cost(item: &Field<'_>, places: Option<&[String]>) -> Option<Cost> {
    let mapping = item.mapping(&COST)?;
    let kind = mapping.require("kind", "fallback").and_then(|field| field.word(AdviceKind::WORDS));
    let cost = mapping.require("cost", "5").and_then(|field| field.amount());
    let at = match mapping.get("at") {
        None => None,
        Some(field) => Some(decode_place(&field, places)?),
    };
    Some(Cost { kind: kind?, at, cost: cost? })
}

/// A place with single blanks around the `>`.
fn decode_place(field: &Field<'_>, places: Option<&[String]>) -> Option<String> {
    let text = field.str()?;
    // `a>b` and `a > b` mean the same place.
    let named: Vec<&str> = text.split('>').map(str::trim).collect();
    let named = named.join(" > ");
    // Without a topology no place is known, and none is refused.
    if let Some(places) = places
        && !places.contains(&named)
    {
        let message = format!("there is no place `{named}` for a protection");
        let problem = Diagnostic::error(Code::UnknownName, message, field.place());
        let names = places.iter().map(String::as_str);
        field.problems().push(field.problems().suggest_nearest(problem, &named, names, || {
            Some("write `CALLER > DEPENDENCY`, a service, or `the change`".to_owned())
        }));
        return None;
    }
    Some(named)
}

/// Where protections may be in a topology.
fn protection_places(topology: &Topology) -> Vec<String> {
    let calls = topology.declared_dependencies().map(|(caller, declared_dependency)| {
        format!(
            "{} > {}",
            topology.caller_name(caller),
            topology.dependency_name(declared_dependency)
        )
    });
    let services = topology.services.iter().map(|service| service.name.clone());
    calls.chain(services).chain([THE_CHANGE.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::load;

    fn read(text: &str) -> Result<Costs, Vec<Diagnostic>> {
        let mut sources = Sources::default();
        let shop =
            "version: 1\ntopology: shop\nservices: {cart: {dependencies: [redis]}, redis: {}}\n";
        let shop = load::parse_document("shop", shop.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&shop).unwrap();
        let text = format!("version: 1\ncosts: ours\n{text}");
        let document = load::parse_document("cost", text.into_bytes(), &mut sources).unwrap();
        Costs::from_document(&document, Some(&topology))
    }

    #[test]
    fn the_nearest_cost_counts() {
        let costs = read(
            "default: 2\nprotections: [{kind: cache, cost: 3}, {kind: cache, at: cart>redis, cost: 0.5}]",
        )
        .unwrap();
        assert_eq!(costs.cost_of(AdviceKind::Timeout, "cart > redis"), 2.0);
        assert_eq!(costs.cost_of(AdviceKind::Cache, "a > b"), 3.0);
        assert_eq!(costs.cost_of(AdviceKind::Cache, "cart > redis"), 0.5);
    }

    #[test]
    fn everything_wrong_is_reported_at_its_place() {
        let problems = read(
            "default: 0\nprotections: [{kind: cash, cost: 3}, {kind: soft, at: cart > reddis, cost: -1}]",
        )
        .unwrap_err();
        let codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
        let range = Code::OutOfRange;
        assert_eq!(codes, [range, Code::UnknownWord, Code::UnknownName, range], "{problems:#?}");
        let twice = "protections: [{kind: soft, cost: 3}, {kind: soft, cost: 1}]";
        assert_eq!(read(twice).unwrap_err().len(), 1);
    }
}
