//! An incident: what happened once, to be laid over what a simulation says.

use std::path::Path;

use jiff::civil::Date;

use super::decode::kind;
use super::decode::names::Names;
use super::decode::read::{Field, Mapping, Problems, Shape};
use super::scenario::{FileRef, file_ref};
use super::topology::{ServiceId, Topology};
use super::units::Seconds;
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load::Document;
use crate::model::Kind;

/// What happened once. Times count from its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its name.
    pub name: String,
    /// The day on which it began.
    pub date: Option<Date>,
    /// The file of the topology at that time.
    pub topology: Option<FileRef>,
    /// The file of the change that set it off.
    pub change: Option<FileRef>,
    /// What broke, as for `--break`, where no change is known.
    pub breaks: Vec<String>,
    /// What was seen to happen, in the order written.
    pub observed: Vec<Observed>,
    /// When somebody noticed.
    pub detected: Option<Seconds>,
    /// When the cause was taken away.
    pub mitigated: Option<Seconds>,
    /// What kept the rest from failing, in words.
    pub what_held: Vec<String>,
    /// What else is worth knowing.
    pub notes: Option<String>,
}

/// What was seen to happen to a service or flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// What it happened to.
    pub on: ObservedOn,
    /// In what state it was.
    pub state: ObservedState,
    /// From when, where known.
    pub from: Option<Seconds>,
    /// Until when, where known.
    pub to: Option<Seconds>,
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
    /// It served with something missing.
    Degraded,
    /// Nothing happened to it.
    Unaffected,
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
    keys: &["service", "flow", "state", "from", "to"],
    schema: "/$defs/observation",
};

/// The files that an incident names: what is needed to read it against its topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFiles {
    /// The topology.
    pub topology: Option<FileRef>,
    /// The change.
    pub change: Option<FileRef>,
    /// What broke, where no change is known.
    pub breaks: Vec<String>,
}

impl Incident {
    /// The files that an incident names. Its paths are seen from its own folder.
    ///
    /// # Errors
    /// Where it is no incident, or a path is no text.
    pub fn files(document: &Document, sources: &Sources) -> Result<IncidentFiles, Vec<Diagnostic>> {
        let problems = Problems::of(document);
        let files = kind::open(document, Kind::Incident, &INCIDENT, &problems)
            .map(|mapping| files(&mapping, document, sources));
        problems.finish(files)
    }

    /// What an incident file means, the names in it being those of a topology.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn from_document(
        document: &Document,
        topology: &Topology,
        sources: &Sources,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::of(document);
        let incident = kind::open(document, Kind::Incident, &INCIDENT, &problems)
            .and_then(|mapping| incident(&mapping, files(&mapping, document, sources), topology));
        problems.finish(incident)
    }
}

fn files(mapping: &Mapping<'_>, document: &Document, sources: &Sources) -> IncidentFiles {
    let folder = Path::new(&sources.get(document.source).name).parent();
    let folder = folder.unwrap_or(Path::new(""));
    let file = |key| mapping.get(key).and_then(|field| file_ref(&field, folder));
    let breaks = mapping.get("breaks").map(|field| field.items().filter_map(|it| it.title()));
    IncidentFiles {
        topology: file("topology"),
        change: file("change"),
        breaks: breaks.map(Iterator::collect).unwrap_or_default(),
    }
}

fn incident(mapping: &Mapping<'_>, files: IncidentFiles, topology: &Topology) -> Option<Incident> {
    mapping.not_both("change", "breaks", "a change says itself what breaks");
    let names = Names::of(topology);
    let texts = |key| {
        let items = mapping.get(key).map(|field| field.items().filter_map(|it| it.title()));
        items.map(Iterator::collect).unwrap_or_default()
    };
    let duration = |key| mapping.get(key).and_then(|field: Field<'_>| field.duration());
    let observed = mapping.need("observed", "[{ service: payments, from: 4m, to: 2h }]");
    let observed = observed.map(|field| {
        let items = field.items().filter_map(|item| one(&item, &names, topology));
        items.collect::<Vec<_>>()
    });
    Some(Incident {
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

fn one(item: &Field<'_>, names: &Names<'_>, topology: &Topology) -> Option<Observed> {
    let mapping = item.mapping(&OBSERVED)?;
    mapping.not_both("service", "flow", "write one entry for each of them");
    let service = mapping.get("service");
    let flow = mapping.get("flow");
    if service.is_none() && flow.is_none() {
        mapping.missing("needs `service` or `flow`", "service: payments");
    }
    let words = [
        ("failed", ObservedState::Failed),
        ("degraded", ObservedState::Degraded),
        ("unaffected", ObservedState::Unaffected),
    ];
    let state =
        mapping.get("state").map_or(Some(ObservedState::Failed), |field| field.word(&words));
    let from = mapping.get("from").and_then(|field| field.duration());
    let to_field = mapping.get("to");
    let to = to_field.and_then(|field| field.duration());
    if let (Some(from), Some(to), Some(field)) = (from, to, to_field)
        && to < from
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
    Some(Observed { on: on?, state: state?, from, to })
}

fn resolve_flow(field: &Field<'_>, topology: &Topology) -> Option<u32> {
    let name = field.title()?;
    let found = topology.flows.iter().position(|flow| flow.name == name);
    if found.is_none() {
        let message = format!("there is no flow `{name}`");
        let problem = Diagnostic::error(Code::UnknownFlow, message, field.place());
        let names = topology.flows.iter().map(|flow| flow.name.as_str());
        field.problems().push(field.problems().suggest(problem, &name, names, || None));
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
        let shop = load::parse("shop", SHOP.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&shop).unwrap();
        let text = format!("version: 1\nincident: black friday\n{text}");
        let document = load::parse("in/i.yaml", text.into_bytes(), &mut sources).unwrap();
        assert_eq!(Kind::of(&document), Some(Kind::Incident));
        Incident::from_document(&document, &topology, &sources)
    }

    #[test]
    fn an_incident_says_what_was_seen_and_when() {
        let incident = read(
            "date: 2026-11-27\ntopology: ../shop.yaml\nbreaks: [payments:slow]\nobserved:\n\
             - { service: payments, from: 0s, to: 90m }\n- { flow: buy, state: degraded, from: 4m }\n\
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
    fn what_makes_no_sense_is_refused() {
        let code = |text: &str| read(text).unwrap_err()[0].code;
        assert_eq!(code("detected: 4m"), Code::MissingKey);
        assert_eq!(code("observed: [{ service: paymets }]"), Code::UnknownService);
        assert_eq!(code("observed: [{ flow: sell }]"), Code::UnknownFlow);
        assert_eq!(code("observed: [{ service: cart, from: 2h, to: 1h }]"), Code::OutOfRange);
        assert_eq!(code("observed: [{ service: cart, state: dead }]"), Code::UnknownWord);
        assert_eq!(code("observed: [{ from: 2h }]"), Code::MissingKey);
    }
}
