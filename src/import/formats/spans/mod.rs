//! The one linker of spans, for all formats of traces: from spans to calls between services.
//!
//! The rules are those of Zipkin's dependency linker where it has any (`zipkin2.internal.DependencyLinker`):
//! the server's name of a service counts more than the client's, a client span with children in another
//! service says nothing by itself, both halves of a call may share one id, and a span whose parent was never
//! stored belongs below the root of its trace. Two differ, since failure and not data is followed: a
//! consumer depends on its broker, and calls of a service to itself count for nothing.

mod answers;
mod attributes;
mod ids;
mod linking;
mod results;

pub(super) use attributes::{
    Peer, has_failed, is_address_only, settled_kind, span_peer, zone_name,
};
pub(super) use ids::id_number;

use std::collections::{BTreeMap, BTreeSet};

use self::answers::AllAnswers;
use self::ids::generalized_operation;

/// The number of spans that are kept until their traces are linked.
const SPANS_KEPT: usize = 1_000_000;

/// More names than this are taken for made up: operations beyond are all called the same.
const NAMES_MAX: usize = 200_000;

/// Of a service so many zones are kept.
const ZONES_MAX: usize = 50;

/// The number of a text that means nothing.
const NONE: u32 = 0;

/// The part that a span has in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::import) enum SpanKind {
    /// Not said, or within a service.
    #[default]
    Local,
    Client,
    Server,
    Producer,
    Consumer,
}

impl SpanKind {
    /// Returns whether the span hands a message over, or takes one.
    fn is_message(self) -> bool {
        matches!(self, Self::Producer | Self::Consumer)
    }
}

/// A span as a format gives it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::import) struct Given<'a> {
    pub(in crate::import) trace: u64,
    /// Not 0.
    pub(in crate::import) id: u64,
    /// 0 = none.
    pub(in crate::import) parent: u64,
    /// The other half of the call has the same id.
    pub(in crate::import) is_shared: bool,
    pub(in crate::import) kind: SpanKind,
    pub(in crate::import) service: &'a str,
    pub(in crate::import) operation: &'a str,
    /// The other side, as this side knows it.
    pub(in crate::import) peer: Peer<'a>,
    /// It follows from its parent, which does not wait for it.
    pub(in crate::import) is_detached: bool,
    /// The call was tried again so many times before.
    pub(in crate::import) resends: u32,
    /// Spans of other traces that this one goes on from.
    pub(in crate::import) link: u64,
    /// The zone that the service runs in; empty = not known.
    pub(in crate::import) zone: &'a str,
    /// When it began, in nanoseconds.
    pub(in crate::import) start: Option<u64>,
    /// How long it took, in nanoseconds.
    pub(in crate::import) duration: Option<u64>,
    /// It ended in a failure.
    pub(in crate::import) is_failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    trace: u64,
    id: u64,
    parent: u64,
    link: u64,
    service: u32,
    operation: u32,
    peer: u32,
    kind: SpanKind,
    is_shared: bool,
    is_detached: bool,
    is_to_address: bool,
    resends: u8,
    duration: Option<u64>,
    is_failed: bool,
}

/// The manner in which one service called another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpanCallKind {
    /// The caller waits.
    Sync,
    /// The caller goes on.
    Detached,
    /// Through a broker that no span names.
    Message,
    /// Concluded: the span between the two was never stored.
    Concluded,
}

/// The calls that were seen of one caller and callee.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    sync: u64,
    detached: u64,
    messages: u64,
    concluded: u64,
    /// Requests of the caller with at least one call.
    requests: u64,
    /// Calls of these requests that did not fail, attempts after the first left out.
    succeeded: u64,
    resends: u8,
}

/// Collects spans, and links them trace by trace.
pub(in crate::import) struct Linker {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
    kinds: BTreeMap<u32, &'static str>,
    spans: Vec<Span>,
    services: BTreeSet<u32>,
    zones: BTreeMap<u32, BTreeSet<u32>>,
    /// Brokers that spans name, by the sort of broker.
    brokers: BTreeMap<u32, BTreeSet<u32>>,
    calls: BTreeMap<(u32, u32), Calls>,
    requests: BTreeMap<u32, u64>,
    answers: AllAnswers,
    roots: BTreeMap<(u32, u32), u64>,
    /// Of the requests that begin with an operation, how many call what.
    calls_of_roots: BTreeMap<(u32, u32), BTreeMap<u32, u64>>,
    total: u64,
    orphans: u64,
    self_calls: u64,
    address_calls: u64,
}

impl Linker {
    pub(in crate::import) fn new() -> Self {
        Self {
            names: vec![String::new()],
            numbers: BTreeMap::from([(String::new(), NONE)]),
            kinds: BTreeMap::new(),
            spans: Vec::new(),
            services: BTreeSet::new(),
            zones: BTreeMap::new(),
            brokers: BTreeMap::new(),
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            answers: AllAnswers::default(),
            roots: BTreeMap::new(),
            calls_of_roots: BTreeMap::new(),
            total: 0,
            orphans: 0,
            self_calls: 0,
            address_calls: 0,
        }
    }

    /// Returns how many spans were given.
    pub(in crate::import) fn spans_total(&self) -> u64 {
        self.total
    }

    /// Takes a span.
    pub(in crate::import) fn add_span(&mut self, given: Given<'_>) {
        let service = self.name_number(given.service);
        // Without a service a span connects nothing, and without an identifier nothing can refer to
        // it.
        if service == NONE || given.id == 0 {
            return;
        }
        self.total += 1;
        given.start.into_iter().for_each(|start| self.answers.note_start(start));
        self.services.insert(service);
        let zone = self.name_number(given.zone);
        let zones = self.zones.entry(service).or_default();
        if zone != NONE && zones.len() < ZONES_MAX {
            zones.insert(zone);
        }
        let peer = self.peer_number(given.peer);
        let operation = self.name_number(&generalized_operation(given.operation));
        self.spans.push(Span {
            trace: given.trace,
            id: given.id,
            // A span that is its own parent is broken; as a root it does no harm.
            parent: if given.parent == given.id { 0 } else { given.parent },
            link: given.link,
            service,
            operation,
            peer,
            kind: given.kind,
            is_shared: given.is_shared,
            is_detached: given.is_detached,
            is_to_address: given.peer.is_address,
            // Eight bits are enough: nobody tries a hundred times.
            resends: given.resends.min(100) as u8,
            duration: given.duration,
            is_failed: given.is_failed,
        });
        if self.spans.len() >= SPANS_KEPT {
            self.link_old();
        }
    }

    /// Returns the number of the other side; of a broker without a name that of its sort.
    fn peer_number(&mut self, peer: Peer<'_>) -> u32 {
        let named = self.name_number(peer.name);
        let sort = self.name_number(peer.broker);
        if sort != NONE {
            let known = self.brokers.entry(sort).or_default();
            if named != NONE {
                known.insert(named);
            }
        }
        let number = if named == NONE { sort } else { named };
        if let (Some(kind), true) = (peer.kind, number != NONE) {
            self.kinds.entry(number).or_insert(kind);
        }
        number
    }

    fn name_number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // Hostile files may hold endless names, and the memory is bounded by this.
        if self.names.len() >= NAMES_MAX {
            return NONE;
        }
        let number = self.names.len() as u32;
        self.names.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn name_at(&self, number: u32) -> &str {
        &self.names[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Options;
    use crate::import::graph::EvidenceGraph;
    use crate::model::topology::Evidence;

    fn linked(spans: &[Given<'_>]) -> EvidenceGraph {
        let mut linker = Linker::new();
        spans.iter().for_each(|span| linker.add_span(*span));
        let mut graph = EvidenceGraph::default();
        let options = Options { window: Some(60.0), ..Options::default() };
        linker.finish_graph("t", &options, &mut graph);
        graph
    }

    fn span(id: u64, parent: u64, kind: SpanKind, service: &str) -> Given<'_> {
        Given { trace: 1, id, parent, kind, service, operation: "op", ..Given::default() }
    }

    fn named(name: &'static str, kind: Option<&'static str>) -> Peer<'static> {
        Peer { name, kind, ..Peer::default() }
    }

    fn edges(graph: &EvidenceGraph) -> Vec<(&str, &str)> {
        graph.dependencies.keys().map(|(a, b)| (a.as_str(), b.as_str())).collect()
    }

    #[test]
    fn the_halves_of_a_call_may_share_an_id() {
        let client = Given { peer: named("other-name", None), ..span(2, 1, SpanKind::Client, "a") };
        let server = Given { is_shared: true, ..span(2, 1, SpanKind::Server, "b") };
        let graph = linked(&[span(1, 0, SpanKind::Server, "a"), client, server]);
        assert_eq!(edges(&graph), [("a", "b")]);
        let flow = graph.flows.values().next().unwrap();
        assert_eq!((flow.steps[0].as_str(), flow.rate), ("a", Some(1.0 / 60.0)));
    }

    #[test]
    fn a_call_without_a_server_goes_to_a_virtual_node() {
        let call =
            Given { peer: named("db", Some("database")), ..span(3, 1, SpanKind::Client, "a") };
        let graph = linked(&[span(1, 0, SpanKind::Server, "a"), call]);
        assert_eq!(edges(&graph), [("a", "db")]);
        assert_eq!(graph.services["db"].kind.as_deref(), Some("database"));
    }

    #[test]
    fn a_consumer_depends_on_the_broker_or_else_the_producer_on_it() {
        let broker = [
            Given { peer: named("mq", Some("queue")), ..span(1, 0, SpanKind::Producer, "a") },
            Given { peer: named("mq", Some("queue")), ..span(2, 1, SpanKind::Consumer, "b") },
        ];
        let graph = linked(&broker);
        assert_eq!(edges(&graph), [("a", "mq"), ("b", "mq")]);
        assert!(graph.dependencies.values().all(|dependency| dependency.is_async == Some(true)));
        let graph =
            linked(&[span(1, 0, SpanKind::Producer, "a"), span(2, 1, SpanKind::Consumer, "b")]);
        assert_eq!(edges(&graph), [("a", "b")]);
        assert!(graph.dependencies.values().all(|dependency| dependency.is_soft));
    }

    #[test]
    fn a_broker_known_by_its_sort_is_the_only_one_of_that_sort() {
        let sort = |name: &'static str| Peer {
            name,
            kind: Some("queue"),
            broker: "kafka",
            is_address: false,
        };
        let graph = linked(&[
            Given { peer: sort("kafka.internal"), ..span(1, 0, SpanKind::Producer, "a") },
            Given { peer: sort(""), link: 1, trace: 2, ..span(2, 0, SpanKind::Consumer, "b") },
            Given { link: 1, trace: 3, ..span(3, 0, SpanKind::Consumer, "c") },
        ]);
        let expected = [("a", "kafka.internal"), ("b", "kafka.internal"), ("c", "kafka.internal")];
        assert_eq!(edges(&graph), expected);
        assert_eq!(graph.services["kafka.internal"].kind.as_deref(), Some("queue"));
    }

    #[test]
    fn a_span_without_its_parent_is_called_from_the_only_root() {
        let lost = span(9, 77, SpanKind::Server, "stock");
        let graph = linked(&[span(1, 0, SpanKind::Server, "edge"), lost]);
        assert_eq!(edges(&graph), [("edge", "stock")]);
        let dependency = graph.dependencies.values().next().unwrap();
        assert_eq!(dependency.evidence, Evidence::Inferred);
        let two_roots =
            [span(1, 0, SpanKind::Server, "a"), span(2, 0, SpanKind::Server, "b"), lost];
        assert!(edges(&linked(&two_roots)).is_empty());
    }

    #[test]
    fn zones_become_failure_domains_with_a_replica_in_each() {
        let graph = linked(&[
            Given { zone: "eu-1a", ..span(1, 0, SpanKind::Server, "a") },
            Given { zone: "eu-1b", ..span(2, 0, SpanKind::Server, "a") },
            Given { zone: "eu-1a", ..span(3, 0, SpanKind::Server, "b") },
        ]);
        assert_eq!(graph.services["a"].domains, ["eu-1a", "eu-1b"]);
        assert_eq!(graph.services["a"].replicas, Some(2));
        assert_eq!(
            (&graph.services["b"].domains[..], graph.services["b"].replicas),
            (&["eu-1a".to_owned()][..], None)
        );
    }

    #[test]
    fn the_share_of_requests_that_call_is_counted_by_request() {
        let request = |base: u64, calls: bool| {
            let mut all = vec![Given { trace: base, ..span(base + 1, 0, SpanKind::Server, "a") }];
            for at in 0..if calls { 2 } else { 0 } {
                let id = base + 2 + at;
                all.push(Given { trace: base, ..span(id, base + 1, SpanKind::Server, "b") });
            }
            all
        };
        let spans: Vec<Given<'_>> =
            (1..=4).flat_map(|trace| request(trace * 100, trace == 1)).collect();
        let graph = linked(&spans);
        let dependency = graph.dependencies.values().next().unwrap();
        assert_eq!(dependency.call_probability, Some(0.25));
        assert_eq!(dependency.is_async, Some(false));
    }

    #[test]
    fn broken_ids_end() {
        let graph = linked(&[
            span(1, 2, SpanKind::Local, "a"),
            span(2, 1, SpanKind::Local, "a"),
            span(3, 3, SpanKind::Server, "b"),
            span(4, 99, SpanKind::Server, "c"),
        ]);
        assert_eq!(edges(&graph), [("b", "c")]);
        assert!(graph.remarks[0].contains("1 of 4 spans"));
    }
}
