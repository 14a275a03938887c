//! An incident: what happened once, to be laid over what a simulation says.

use std::path::Path;

use jiff::civil::Date;

use super::action::{Action, decode_actions};
use super::change::Change;
use super::decode::kind;
use super::decode::names::Names;
use super::decode::read::{Field, Mapping, Problems, Shape};
use super::scenario::{FileRef, file_ref};
use super::topology::{ServiceId, Topology};
use super::units::{Seconds, Share};
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::{Document, Value};
use crate::model::Kind;

/// Incident that happened once. Times count from its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its name.
    pub name: String,
    /// The day on which it began.
    pub date: Option<Date>,
    /// The file of the topology at that time; the incident's own where it holds the topology itself.
    pub topology: Option<FileRef>,
    /// The file of the change that set it off; the incident's own where it holds the change itself.
    pub change: Option<FileRef>,
    /// Breaks, as for `--break`, where no change is known.
    pub breaks: Vec<String>,
    /// Whether a back-test counts it; false for mere illustrations.
    pub scored: bool,
    /// Actions of operators, in the order written.
    pub actions: Vec<Action>,
    /// How long it lasted, from the first impact to the last.
    pub duration: Option<Seconds>,
    /// Kind of fix that ended it.
    pub fix: Option<FixKind>,
    /// Containments: what stopped the spread, and what it kept from failing.
    pub containment: Vec<Containment>,
    /// Where the facts are from.
    pub sources: Vec<String>,
    /// Observations, in the order written.
    pub observed: Vec<Observed>,
    /// When somebody noticed.
    pub detected: Option<Seconds>,
    /// When the cause was taken away.
    pub mitigated: Option<Seconds>,
    /// Sentences on what kept the rest from failing.
    pub what_held: Vec<String>,
    /// Notes on anything else worth knowing.
    pub notes: Option<String>,
}

/// Observed state of a service or flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Service or flow that was observed.
    pub on: ObservedOn,
    /// In what state it was.
    pub state: ObservedState,
    /// From when, where known.
    pub from: Option<Seconds>,
    /// Until when, where known.
    pub until: Option<Seconds>,
    /// The share of requests affected, where known.
    pub severity: Option<Share>,
    /// Where this is from, or the words of the source.
    pub source: Option<String>,
}

/// Something that stopped the spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Containment {
    /// Description of the containment.
    pub what: String,
    /// Whose protected calls it consists in: without it they are hard, and nothing stands in for
    /// what they call. Nothing where no call of the topology expresses it.
    pub caller: Option<ServiceId>,
    /// Only its calls to this service; nothing = all its protected calls.
    pub dependency: Option<ServiceId>,
    /// Services that it kept from failing.
    pub stopped: Vec<ServiceId>,
}

/// A service or flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedOn {
    /// A service.
    Service(ServiceId),
    /// The flow of this index in [`Topology::flows`].
    Flow(u32),
}

/// The state that something was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedState {
    /// It failed.
    Failed,
    /// It served with something missing, or failed some of the requests.
    Degraded,
    /// It served everything, but later than it should.
    Late,
    /// Nothing happened to it.
    Unaffected,
}

word_enums! {
    /// Kind of fix that ended an incident: each has its usual time, see
    /// [`fix_delay`](crate::model::defaults::fix_delay).
    FixKind {
        /// The change was taken back, or corrected.
        Undo = "undo",
        /// Restarts, or more capacity.
        Capacity = "capacity",
        /// Load was limited, or led around what had failed.
        Limit = "limit",
        /// A database was repaired in place.
        Repair = "repair",
        /// Somebody else had to fix it.
        Vendor = "vendor",
        /// State was rebuilt, restored or failed over by hand.
        Rebuild = "rebuild",
    }
}

pub(crate) const INCIDENT: Shape = Shape {
    what: "an incident",
    keys: &[
        "version",
        "incident",
        "date",
        "topology",
        "change",
        "breaks",
        "scored",
        "actions",
        "duration",
        "fix",
        "containment",
        "sources",
        "observed",
        "detected",
        "mitigated",
        "what_held",
        "notes",
    ],
    schema: "",
};

pub(crate) const OBSERVED: Shape = Shape {
    what: "an observation",
    keys: &["service", "flow", "state", "from", "until", "severity", "source"],
    schema: "/$defs/observation",
};

pub(crate) const CONTAINMENT: Shape = Shape {
    what: "a containment",
    keys: &["what", "caller", "dependency", "stopped"],
    schema: "/$defs/containment",
};

/// The files that an incident names: what is needed to read it against its topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFiles {
    /// The topology.
    pub topology: Option<FileRef>,
    /// The change.
    pub change: Option<FileRef>,
    /// Breaks, where no change is known.
    pub breaks: Vec<String>,
}

impl Incident {
    /// The files that an incident names. Its paths are seen from its own folder.
    ///
    /// # Errors
    /// Where it is no incident, or a path is no text.
    pub fn named_files(
        document: &Document,
        sources: &Sources,
    ) -> Result<IncidentFiles, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let files = kind::open_document(document, Kind::Incident, &INCIDENT, &problems)
            .map(|mapping| decode_files(&mapping, document, sources));
        problems.into_result(files)
    }

    /// The change that set it off, with what operators did.
    pub fn acted_on(&self, change: &Change) -> Change {
        let mut change = change.clone();
        change.actions.extend(self.actions.iter().cloned());
        change
    }

    /// Decodes an incident file; the names in it are those of a topology.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(
        document: &Document,
        topology: &Topology,
        sources: &Sources,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of_document(document);
        let incident = kind::open_document(document, Kind::Incident, &INCIDENT, &problems)
            .and_then(|mapping| {
                decode_incident(&mapping, decode_files(&mapping, document, sources), topology)
            });
        problems.into_result(incident)
    }
}

/// The topology or the change that a document holds within an incident; the document itself where
/// it is no incident.
pub fn held_within(document: Document, key: &'static str) -> Document {
    if Kind::of_document(&document) != Some(Kind::Incident) {
        return document;
    }
    // Only a mapping is held in place; a text is the path of a file.
    let held =
        document.get(key).filter(|document| matches!(document.value.value, Value::Mapping(_)));
    match held.map(|entry| entry.value.clone()) {
        Some(root) => Document { root, ..document },
        None => document,
    }
}

fn decode_files(mapping: &Mapping<'_>, document: &Document, sources: &Sources) -> IncidentFiles {
    let folder = Path::new(&sources.get(document.source).name).parent();
    let folder = folder.unwrap_or(Path::new(""));
    let file = |key| {
        let field: Field<'_> = mapping.get(key)?;
        // What is held in place lies in this file.
        if field.is_mapping() {
            let path = sources.get(document.source).name.clone();
            return Some(FileRef { path, place: field.place() });
        }
        file_ref(&field, folder)
    };
    let breaks = mapping.get("breaks").map(|field| field.items().filter_map(|item| item.title()));
    IncidentFiles {
        topology: file("topology"),
        change: file("change"),
        breaks: breaks.map(Iterator::collect).unwrap_or_default(),
    }
}

fn decode_incident(
    mapping: &Mapping<'_>,
    files: IncidentFiles,
    topology: &Topology,
) -> Option<Incident> {
    mapping.not_both("change", "breaks", "a change says itself what breaks");
    let names = Names::of_topology(topology);
    let texts = |key| {
        let items = mapping.get(key).map(|field| field.items().filter_map(|item| item.title()));
        items.map(Iterator::collect).unwrap_or_default()
    };
    let duration = |key| mapping.get(key).and_then(|field: Field<'_>| field.duration());
    let observed = mapping.require("observed", "[{ service: payments, from: 4m, until: 2h }]");
    let observed = observed.map(|field| decode_observations(&field, &names, topology));
    let mut contained = Vec::new();
    for item in mapping.get("containment").iter().flat_map(Field::items) {
        contained.extend(decode_containment(&item, &names));
    }
    Some(Incident {
        // An incident counts unless it says that it does not.
        scored: mapping.get("scored").and_then(|field| field.flag()).unwrap_or(true),
        actions: decode_actions(mapping.get("actions"), &names),
        duration: mapping.get("duration").and_then(|field| field.positive_duration()),
        fix: mapping.get("fix").and_then(|field| field.word(FixKind::WORDS)),
        containment: contained,
        sources: texts("sources"),
        name: mapping.get("incident").and_then(|field| field.title())?,
        date: mapping.get("date").and_then(|field| field.date()),
        topology: files.topology,
        change: files.change,
        breaks: files.breaks,
        observed: observed?,
        detected: duration("detected"),
        mitigated: duration("mitigated"),
        what_held: texts("what_held"),
        notes: mapping.get("notes").and_then(|field| field.title()),
    })
}

/// Decodes the observations, entry by entry.
pub(super) fn decode_observations(
    field: &Field<'_>,
    names: &Names<'_>,
    topology: &Topology,
) -> Vec<Observed> {
    field.items().filter_map(|item| decode_observation(&item, names, topology)).collect()
}

fn decode_observation(
    item: &Field<'_>,
    names: &Names<'_>,
    topology: &Topology,
) -> Option<Observed> {
    let mapping = item.mapping(&OBSERVED)?;
    mapping.not_both("service", "flow", "write one entry for each of them");
    let service = mapping.get("service");
    let flow = mapping.get("flow");
    if service.is_none() && flow.is_none() {
        mapping.report_missing("needs `service` or `flow`", "service: payments");
    }
    let words = [
        ("failed", ObservedState::Failed),
        ("degraded", ObservedState::Degraded),
        ("late", ObservedState::Late),
        ("unaffected", ObservedState::Unaffected),
    ];
    let state =
        // Most entries say what failed, so this is what an entry without a state means.
        mapping.get("state").map_or(Some(ObservedState::Failed), |field| field.word(&words));
    let from = mapping.get("from").and_then(|field| field.duration());
    let until_field = mapping.get("until");
    let until = until_field.and_then(|field| field.duration());
    // At once is no mistake: something may fail for a moment only.
    if let (Some(from), Some(until), Some(field)) = (from, until, until_field)
        && until < from
    {
        field.problems().push(
            Diagnostic::error(Code::OutOfRange, "it ends before it begins", field.place())
                .help("both times count from the start of the incident"),
        );
    }
    let on = match (service, flow) {
        (Some(field), _) => names.resolve_service(&field).map(ObservedOn::Service),
        (None, Some(field)) => resolve_flow(&field, topology).map(ObservedOn::Flow),
        (None, None) => None,
    };
    let severity = mapping.get("severity").and_then(|field| field.share());
    let source = mapping.get("source").and_then(|field| field.title());
    Some(Observed { on: on?, state: state?, from, until, severity, source })
}

fn decode_containment(item: &Field<'_>, names: &Names<'_>) -> Option<Containment> {
    let mapping = item.mapping(&CONTAINMENT)?;
    let service = |field: Field<'_>| names.resolve_service(&field);
    if mapping.get("dependency").is_some() && mapping.get("caller").is_none() {
        mapping.report_missing("needs `caller` with `dependency`", "caller: storefront");
    }
    let what = mapping.require("what", "the product page served from its cache");
    let stopped = mapping.get("stopped").map(|field| field.items().filter_map(service).collect());
    Some(Containment {
        what: what.and_then(|field| field.title())?,
        caller: mapping.get("caller").and_then(service),
        dependency: mapping.get("dependency").and_then(service),
        stopped: stopped.unwrap_or_default(),
    })
}

fn resolve_flow(field: &Field<'_>, topology: &Topology) -> Option<u32> {
    let name = field.title()?;
    let found = topology.flows.iter().position(|flow| flow.name == name);
    if found.is_none() {
        let message = format!("there is no flow `{name}`");
        let problem = Diagnostic::error(Code::UnknownFlow, message, field.place());
        let names = topology.flows.iter().map(|flow| flow.name.as_str());
        field.problems().push(field.problems().suggest_nearest(problem, &name, names, || None));
    }
    found.map(|index| index as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    const SHOP: &str = "version: 1\ntopology: shop\nservices: {cart: {}, payments: {}}\n\
                        flows: {buy: {steps: [cart]}}\n";

    fn read(text: &str) -> Result<Incident, Vec<Diagnostic>> {
        let mut sources = Sources::default();
        let shop = load::parse_document("shop", SHOP.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&shop).unwrap();
        let text = format!("version: 1\nincident: black friday\n{text}");
        let document = load::parse_document("in/i.yaml", text.into_bytes(), &mut sources).unwrap();
        assert_eq!(Kind::of_document(&document), Some(Kind::Incident));
        Incident::from_document(&document, &topology, &sources)
    }

    #[test]
    fn an_incident_says_what_was_seen_and_when() {
        let incident = read(
            "date: 2026-11-27\ntopology: ../shop.yaml\nbreaks: [payments:slow]\nobserved:\n\
             - { service: payments, from: 0s, until: 90m }\n- { flow: buy, state: degraded, from: 4m }\n\
             detected: 4m\nmitigated: 80m\nwhat_held: [the cache]\nnotes: a long night\n",
        )
        .unwrap();
        assert_eq!(incident.topology.unwrap().path, "in/../shop.yaml");
        assert_eq!(incident.observed.len(), 2);
        assert_eq!(incident.observed[1].on, ObservedOn::Flow(0));
        assert_eq!(incident.observed[1].state, ObservedState::Degraded);
        assert_eq!(incident.mitigated.map(Seconds::get), Some(4800.0));
    }

    #[test]
    fn what_people_did_and_what_held_is_read() {
        let incident = read(
            "breaks: [payments]\nscored: false\nduration: 2h\nfix: limit\nsources: [a page]\nobserved:\n\
             - { service: payments, until: 90m, severity: 55%, source: said so }\nactions:\n\
             - { at: 80m, action: rollback }\n- { at: 90m, action: shed, target: cart, share: 30% }\n\
             containment: [{ what: a cache, caller: cart, dependency: payments, stopped: [cart] }]\n",
        )
        .unwrap();
        assert!(!incident.scored);
        assert_eq!(incident.fix, Some(FixKind::Limit));
        assert_eq!(incident.observed[0].severity.map(Share::get), Some(0.55));
        assert_eq!(incident.observed[0].until.map(Seconds::get), Some(5400.0));
        assert!(incident.actions[0].ends_cause());
        assert_eq!(incident.actions[1].action.yaml_word(), "shed");
        assert_eq!(incident.containment[0].stopped, [ServiceId(0)]);
    }

    #[test]
    fn a_topology_and_a_change_may_be_within() {
        let mut sources = Sources::default();
        let text = "version: 1\nincident: i\ntopology: { version: 1, topology: t, services: {a: {}} }\n\
                    change: { version: 1, change: c, targets: [a] }\nobserved: [{ service: a }]\n";
        let document =
            load::parse_document("i.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        let files = Incident::named_files(&document, &sources).unwrap();
        assert_eq!(files.topology.unwrap().path, "i.yaml");
        let topology = held_within(document.clone(), "topology");
        let topology = Topology::from_document(&topology).unwrap();
        let change = held_within(document.clone(), "change");
        assert!(Change::from_document(&change, &topology).is_ok());
        assert!(Incident::from_document(&document, &topology, &sources).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let code = |text: &str| read(text).unwrap_err()[0].code;
        assert_eq!(code("detected: 4m"), Code::MissingKey);
        assert_eq!(code("observed: [{ service: paymets }]"), Code::UnknownService);
        assert_eq!(code("observed: [{ flow: sell }]"), Code::UnknownFlow);
        assert_eq!(code("observed: [{ service: cart, from: 2h, until: 1h }]"), Code::OutOfRange);
        assert_eq!(code("observed: [{ service: cart, state: dead }]"), Code::UnknownWord);
        assert_eq!(code("observed: [{ from: 2h }]"), Code::MissingKey);
        assert_eq!(code("observed: []\nfix: luck"), Code::UnknownWord);
        assert_eq!(code("observed: []\nactions: [{ action: fix }]"), Code::MissingKey);
        assert_eq!(code("observed: []\nactions: [{ at: 1m, action: pray }]"), Code::UnknownWord);
        assert_eq!(
            code("observed: []\ncontainment: [{ what: luck, dependency: cart }]"),
            Code::MissingKey
        );
    }
}
