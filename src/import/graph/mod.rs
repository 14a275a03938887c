//! The graph of evidence that all importers fill: what depends on what, and how that is known.

pub(super) mod addresses;
pub(super) mod drift;
pub(super) mod flows;
pub(super) mod gateways;
mod joins;
pub(super) mod kinds;
pub(super) mod limits;
pub(super) mod measurements;
pub(super) mod merge;
pub(super) mod names;
pub(super) mod pools;
pub(super) mod references;
pub(super) mod summary;
pub(super) mod write;

use std::collections::{BTreeMap, BTreeSet};

use self::limits::StatedPool;
use self::measurements::{LatencyGap, MeasuredErrors, MeasuredLatency};
use self::names::{Names, shell_word};
use crate::diagnostic::{Code, Diagnostic, Findings, Place};
use crate::model::topology::Evidence;

/// Of each kind of warning so many are told one by one.
const WARNINGS_PER_CODE: usize = 8;

/// Characters that separate a name from its number.
const MARKS: [char; 4] = ['-', '_', '.', '@'];

/// Of the places where a dependency was found, so many are kept.
const SOURCES_KEPT: usize = 2;

/// Services and dependencies with the evidence for them.
#[derive(Clone, Debug)]
pub struct EvidenceGraph {
    /// Services by the name that they have in the topology.
    pub services: BTreeMap<String, ImportedService>,
    /// Dependencies by caller and callee.
    pub dependencies: BTreeMap<(String, String), ImportedDependency>,
    /// Order flows by name.
    pub flows: BTreeMap<String, ImportedFlow>,
    /// Failure domains by name, with their kind.
    pub domains: BTreeMap<String, String>,
    /// Where it all came from, one line each.
    pub origins: Vec<String>,
    /// When to distrust it, one line each.
    pub remarks: Vec<String>,
    /// Calls of services to themselves, which say nothing about failure.
    pub self_calls: u64,
    /// Calls of which only the address of the other side is known, and no name.
    pub address_calls: u64,
    /// Addresses that became no dependency: why, and in which variables of which services.
    pub left_out: BTreeMap<LeftOutReason, BTreeSet<String>>,
    /// Mounted files with the configuration of gateways, which were read with those who mount them.
    pub mounted_files: BTreeSet<String>,
    /// How many addresses in variables say nothing, since most services have the same.
    pub common_variables: u64,
    /// Objectives, to be added to flows of a topology.
    pub objectives: Vec<ImportedObjective>,
    /// How long the requests were recorded, in seconds, by their time stamps; only told, never counted on.
    pub recorded_over: Option<f64>,
    /// Short names of services, by their names in the topology.
    short_names: BTreeMap<String, String>,
    names: Names,
    warnings: Findings,
}

/// Why an address became no dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOutReason {
    /// It leads to the machine or the container itself.
    OwnMachine,
    /// It is how others reach the service itself, or a link for people.
    OwnAddress,
    /// It is the name of a schema.
    Schema,
    /// It is named as an allowed origin, a listener, a page of profilers, and not called.
    NotCalled,
    /// It stands in a list of hosts with ports, and no source defines it.
    UnknownHost,
    /// A mesh knows it as a host outside, and nobody names it.
    UnusedEntry,
}

/// Service, with everything that the sources say of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportedService {
    /// The name it has in the source, where a topology does not allow that.
    pub title: Option<String>,
    /// Kind of the service, such as `postgres`.
    pub kind: Option<String>,
    /// Who owns it.
    pub team: Option<String>,
    /// How many copies run.
    pub replicas: Option<u32>,
    /// How many of them must be up.
    pub needs: Option<u32>,
    /// The failure domains that it is in: of several, its replicas are spread over them.
    pub domains: Vec<String>,
    /// Operations with dependencies of their own: by name, what each calls and in which share of its
    /// requests. All of them are among the dependencies of the service too.
    pub endpoints: BTreeMap<String, BTreeMap<String, f64>>,
    /// Requests from outside arrive here, the source says.
    pub is_entry: bool,
    /// How many requests each replica has in progress at once, where a source states it.
    pub pool: Option<StatedPool>,
    /// How many requests arrive from outside, in a second, where a source counts them.
    pub entry_rate: Option<f64>,
    /// How long its answers take, where a source timed enough of them.
    pub latency: Option<MeasuredLatency>,
    /// Why a source that timed its answers gives no latency.
    pub latency_gap: Option<LatencyGap>,
    /// How many requests to it failed. That is written beside it, and not simulated: a share of requests in
    /// some window is no availability, and holds what failed through its calls.
    pub errors: Option<MeasuredErrors>,
}

/// Dependency, with everything that the sources say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedDependency {
    /// The best evidence for it.
    pub evidence: Evidence,
    /// Where it was found: file and key.
    pub sources: Vec<String>,
    /// Needed only to start, as far as is known.
    pub is_start: bool,
    /// The caller lives without it.
    pub is_soft: bool,
    /// A call that is waited for was seen or is stated, or one that is not; `None` = nobody says.
    pub is_async: Option<bool>,
    /// How long the caller waits for all attempts together, in seconds.
    pub timeout: Option<f64>,
    /// How long it waits for each attempt, in seconds.
    pub attempt_timeout: Option<f64>,
    /// How often the caller tries again.
    pub retries: Option<u32>,
    /// Retries as a share of calls, at most.
    pub retry_budget: Option<f64>,
    /// How many of these calls each replica of the caller has in progress at once.
    pub max_in_flight_each: Option<u32>,
    /// How many of them all replicas together have; known when all sources are read.
    pub max_in_flight: Option<u32>,
    /// The caller has a circuit breaker.
    pub circuit_breaker: bool,
    /// The share of the caller's requests that make the call.
    pub call_probability: Option<f64>,
    /// How many calls were counted.
    pub calls: f64,
    /// In how many requests of the caller that was counted; `None` = the source does not say.
    pub counted_requests: Option<f64>,
    /// How many calls each request makes that makes any; `None` = not counted.
    pub calls_per_request: Option<u32>,
    /// The name that it shares with others of which one is enough.
    pub any_of: Option<String>,
}

/// An order flow.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedFlow {
    /// Title in the source, or how the flow was derived.
    pub title: Option<String>,
    /// The services that one order calls.
    pub steps: Vec<String>,
    /// Orders per second.
    pub rate: Option<f64>,
    /// Made from the graph, since no source says what the flows are.
    pub is_derived: bool,
}

/// Objective that was promised.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedObjective {
    /// Its name.
    pub name: String,
    /// The service that it is of, where the source names one.
    pub service: Option<String>,
    /// The share of requests that must not fail.
    pub availability: f64,
    /// Over how many seconds.
    pub window: f64,
    /// Where it was found: file and name.
    pub source: String,
    /// Its place.
    pub place: Place,
}

impl Default for EvidenceGraph {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl EvidenceGraph {
    /// Nothing yet; every first name of a pair is taken for the second.
    pub fn new(aliases: &[(String, String)]) -> Self {
        Self {
            services: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            flows: BTreeMap::new(),
            domains: BTreeMap::new(),
            origins: Vec::new(),
            remarks: Vec::new(),
            self_calls: 0,
            address_calls: 0,
            left_out: BTreeMap::new(),
            mounted_files: BTreeSet::new(),
            common_variables: 0,
            objectives: Vec::new(),
            recorded_over: None,
            short_names: BTreeMap::new(),
            names: Names::new(aliases),
            warnings: Findings::new(WARNINGS_PER_CODE),
        }
    }

    /// The service of a name in a source; made when it is new.
    pub fn service_or_new(&mut self, original: &str) -> &mut ImportedService {
        let name = self.service_name(original);
        self.services.entry(name).or_default()
    }

    /// The name in the topology of a name in a source; the service is made when it is new.
    pub fn service_name(&mut self, original: &str) -> String {
        let (name, differs) = self.names.topology_name(original);
        let service = self.services.entry(name.clone()).or_default();
        if differs && service.title.is_none() {
            service.title = Some(names::one_line(original));
        }
        name
    }

    /// The service of a name in a source, if there is one.
    pub(crate) fn known_service(&mut self, original: &str) -> Option<&mut ImportedService> {
        let (name, _) = self.names.topology_name(original);
        self.services.get_mut(&name)
    }

    /// The name in the topology of a failure domain in a source; made when it is new.
    pub fn domain_name(&mut self, original: &str, kind: &str) -> String {
        let name = names::allowed_name(original);
        self.domains.entry(name.clone()).or_insert_with(|| kind.to_owned());
        name
    }

    /// Gives failure domains that are called like services another name: a topology has one space of
    /// names for both.
    pub(crate) fn part_domains_from_services(&mut self) {
        let is_taken = |name: &String| self.services.contains_key(name);
        let taken: Vec<String> =
            self.domains.keys().filter(|name| is_taken(name)).cloned().collect();
        for name in taken {
            let kind = self.domains.remove(&name).expect("it is one of them");
            let mut other = format!("{kind}.{name}");
            while self.services.contains_key(&other) || self.domains.contains_key(&other) {
                other.push_str("-2");
            }
            for service in self.services.values_mut() {
                for domain in service.domains.iter_mut().filter(|domain| **domain == name) {
                    domain.clone_from(&other);
                }
            }
            self.domains.insert(other, kind);
        }
    }

    /// A dependency of two services, made when it is new; nothing for a service on itself.
    pub fn depend_on(
        &mut self,
        caller: &str,
        callee: &str,
        evidence: Evidence,
        source: impl Into<String>,
    ) -> Option<&mut ImportedDependency> {
        self.add_dependency(caller, callee, evidence, false, source.into())
    }

    /// A dependency that is needed to start; it becomes one for serving as soon as anything says so.
    pub fn depend_to_start(
        &mut self,
        caller: &str,
        callee: &str,
        source: impl Into<String>,
    ) -> Option<&mut ImportedDependency> {
        self.add_dependency(caller, callee, Evidence::Declared, true, source.into())
    }

    fn add_dependency(
        &mut self,
        caller: &str,
        callee: &str,
        evidence: Evidence,
        is_start: bool,
        source: String,
    ) -> Option<&mut ImportedDependency> {
        let (caller, callee) = (self.service_name(caller), self.service_name(callee));
        // A service that calls itself fails with itself, which adds nothing.
        if caller == callee {
            self.self_calls += 1;
            return None;
        }
        let new = || ImportedDependency::new(evidence, is_start);
        let known = self.dependencies.entry((caller, callee)).or_insert_with(new);
        // Start order says nothing of what is needed to serve: that stays as sure as it was.
        let is_assumed_to_serve = match (known.is_start, is_start) {
            (true, false) => evidence == Evidence::Assumed,
            (false, true) => known.evidence == Evidence::Assumed,
            _ => false,
        };
        known.is_start &= is_start;
        if is_assumed_to_serve {
            known.evidence = Evidence::Assumed;
        } else if evidence_strength(evidence) > evidence_strength(known.evidence) {
            known.evidence = evidence;
        }
        // Two places are enough to find it again, and a trace has thousands.
        if known.sources.len() < SOURCES_KEPT && !known.sources.contains(&source) {
            known.sources.push(source);
        }
        Some(known)
    }

    /// Something doubtful in a foreign file; the empty place stands for none.
    pub fn warn(&mut self, code: Code, message: impl Into<String>, place: Place) {
        let mut problem = Diagnostic::warning(code, message, place);
        // An empty place belongs to no file, and would be shown as its first line.
        if place.start == place.end {
            problem.primary = None;
        }
        self.warnings.push(problem);
    }

    /// Like [`Self::warn`], where no place is known.
    pub fn warn_of_file(&mut self, code: Code, message: impl Into<String>) {
        self.warn(code, message, Place::default());
    }

    /// Like [`Self::warn_of_file`], with what to do about it.
    pub(crate) fn warn_with_help(&mut self, code: Code, message: impl Into<String>, help: &str) {
        let mut problem = Diagnostic::warning(code, message, Place::default()).help(help);
        problem.primary = None;
        self.warnings.push(problem);
    }

    /// Takes over warnings of a reader.
    pub fn warn_all(&mut self, warnings: Vec<Diagnostic>) {
        for warning in warnings {
            self.warnings.push(warning);
        }
    }

    /// Warns of services whose names differ only in their number: they may be replicas of one.
    pub(crate) fn warn_of_numbered_names(&mut self) {
        let mut numbered: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in self.services.keys() {
            // Replicas that are written out are called `db1`, `db2` and so on.
            let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
            if !base.is_empty() && base.len() < name.len() {
                numbered.entry(base).or_default().push(name);
            }
        }
        let mut callees: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (caller, callee) in self.dependencies.keys() {
            callees.entry(caller).or_default().insert(callee);
        }
        // What is the same thing several times depends on the same, apart from one another.
        let traits = |names: &[&str]| {
            let alike: BTreeSet<&str> = names.iter().copied().collect();
            let own = |name: &&str| {
                let others = callees.get(*name).into_iter().flatten();
                let others = others.filter(|callee| !alike.contains(*callee));
                (&self.services[*name].kind, others.collect::<Vec<_>>())
            };
            // One kind and one set of callees for all of them.
            names.iter().map(own).collect::<BTreeSet<_>>().len()
        };
        let alike = numbered
            .values()
            .filter(|names| names.len() > 1 && counts_up(names) && traits(names) == 1);
        let messages: Vec<String> = alike
            .map(|names| {
                let base = names[0].trim_end_matches(|c: char| c.is_ascii_digit());
                // `reviews-v1` is a version of `reviews`.
                let base = base.strip_suffix('v').filter(|strip_suffix| strip_suffix.ends_with(MARKS)).unwrap_or(base);
                let base = base.trim_end_matches(MARKS);
                format!(
                    "`{}` and `{}` may be replicas of one service, and losing one no outage; if so, use \
                     `--alias {}` for each, and say how many `replicas` are needed",
                    names[0],
                    names[names.len() - 1],
                    shell_word(&format!("{}={base}", names[0])),
                )
            })
            .collect();
        for message in messages {
            self.warn_of_file(Code::ImportConflict, message);
        }
    }

    /// All warnings, sorted.
    pub fn take_warnings(&mut self) -> Vec<Diagnostic> {
        std::mem::replace(&mut self.warnings, Findings::new(WARNINGS_PER_CODE)).finish()
    }

    /// The table of other names that was given, for names that are services by now.
    pub fn used_aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.used_aliases().filter(|(_, name)| self.services.contains_key(*name))
    }

    /// Warns of names that differ only in case or punctuation: they may be one service.
    pub fn warn_of_similar_names(&mut self) {
        let mut by_plain: BTreeMap<String, Vec<&String>> = BTreeMap::new();
        for name in self.services.keys() {
            // `OrderService` and `order-service` are most often one.
            let plain = name.chars().filter(|c| c.is_alphanumeric());
            by_plain.entry(plain.flat_map(char::to_lowercase).collect()).or_default().push(name);
        }
        let similar: Vec<String> = by_plain
            .values()
            .filter(|names| names.len() > 1)
            .map(|names| {
                let (first, second) = (names[0], names[1]);
                format!(
                    "`{first}` and `{second}` differ only in case or punctuation; if they are one \
                     service, use `--alias {}`",
                    shell_word(&format!("{second}={first}"))
                )
            })
            .collect();
        for message in similar {
            self.warn_of_file(Code::ImportConflict, message);
        }
    }

    /// Returns the callers and callees of all dependencies that are needed to serve.
    pub fn serving_dependencies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.dependencies
            .iter()
            .filter(|(_, dependency)| !dependency.is_start)
            .map(|((caller, callee), _)| (&**caller, &**callee))
    }
}

impl ImportedDependency {
    fn new(evidence: Evidence, is_start: bool) -> Self {
        Self {
            evidence,
            sources: Vec::new(),
            is_start,
            is_soft: false,
            is_async: None,
            timeout: None,
            attempt_timeout: None,
            retries: None,
            retry_budget: None,
            max_in_flight_each: None,
            max_in_flight: None,
            circuit_breaker: false,
            call_probability: None,
            calls: 0.0,
            counted_requests: None,
            calls_per_request: None,
            any_of: None,
        }
    }

    /// Takes note of a call that is waited for, or not; one that is waited for decides.
    pub fn note_call(&mut self, is_async: bool) {
        // One call that is waited for is enough to block the caller.
        self.is_async = Some(is_async && self.is_async.unwrap_or(true));
    }
}

/// Ranks evidence: observed counts more than declared, and that more than assumed.
pub(crate) fn evidence_strength(evidence: Evidence) -> u8 {
    match evidence {
        Evidence::Assumed => 0,
        Evidence::Inferred => 1,
        Evidence::Declared => 2,
        Evidence::Observed => 3,
    }
}

/// Whether names end in numbers without a gap, from 0 or 1: those of anonymized services have gaps.
fn counts_up(names: &[&str]) -> bool {
    let number = |name: &&str| {
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
        name[base.len()..].parse::<u64>().ok()
    };
    let numbers: Option<BTreeSet<u64>> = names.iter().map(number).collect();
    numbers.is_some_and(|numbers| {
        let first = numbers.first().copied().unwrap_or(0);
        first <= 1
            && numbers.len() == names.len()
            && numbers.last().is_some_and(|last| last - first + 1 == numbers.len() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_order_becomes_a_dependency_when_anything_confirms_it() {
        let mut graph = EvidenceGraph::default();
        graph.depend_to_start("a", "b", "f: depends_on");
        let key = ("a".to_owned(), "b".to_owned());
        assert!(graph.dependencies[&key].is_start);
        graph.depend_on("a", "b", Evidence::Inferred, "f: environment");
        let dependency = &graph.dependencies[&key];
        assert!(!dependency.is_start);
        assert_eq!(dependency.evidence, Evidence::Declared);
        graph.depend_to_start("a", "b", "g: depends_on");
        assert!(!graph.dependencies[&key].is_start);
    }

    #[test]
    fn a_call_that_is_waited_for_decides() {
        let mut graph = EvidenceGraph::default();
        let dependency = graph.depend_on("a", "b", Evidence::Observed, "t").unwrap();
        dependency.note_call(true);
        assert_eq!(dependency.is_async, Some(true));
        dependency.note_call(false);
        dependency.note_call(true);
        assert_eq!(dependency.is_async, Some(false));
    }

    #[test]
    fn a_service_does_not_depend_on_itself() {
        let mut graph = EvidenceGraph::default();
        assert!(graph.depend_on("a", "a", Evidence::Observed, "t").is_none());
        assert_eq!(graph.self_calls, 1);
    }
}
