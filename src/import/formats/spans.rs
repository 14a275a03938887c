//! The one linker of spans, for all formats of traces: from spans to calls between services.
//!
//! The rules are those of Zipkin's dependency linker where it has any (`zipkin2.internal.DependencyLinker`):
//! the server's name of a service counts more than the client's, a client span with children in another
//! service says nothing by itself, and both halves of a call may share one id. Two differ, since failure
//! and not data is followed: a consumer depends on its broker, and calls of a service to itself count
//! for nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::Options;
use crate::import::graph::names::{hash, one_line};
use crate::import::graph::{Flow, Graph};
use crate::model::topology::Evidence;
use crate::sort::Gather as _;

/// So many spans are kept until their traces are linked.
const SPANS_KEPT: usize = 1_000_000;

/// More flows than this are left out, the rarest first.
const FLOWS_MAX: usize = 40;

/// More names than this are taken for made up: operations beyond are all called the same.
const NAMES_MAX: usize = 200_000;

/// What part a span has in a call.
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
    /// The other side, as this side knows it; empty = not known.
    pub(in crate::import) peer: &'a str,
    /// What the other side is, when it has no spans of its own.
    pub(in crate::import) peer_kind: Option<&'static str>,
    /// It follows from its parent, which does not wait for it.
    pub(in crate::import) is_detached: bool,
    /// The call was tried again so many times before.
    pub(in crate::import) resends: u32,
    /// Spans of other traces that this one goes on from.
    pub(in crate::import) link: u64,
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
    resends: u8,
}

/// What was seen of one caller and callee.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    sync: u64,
    detached: u64,
    /// Requests of the caller with at least one call.
    requests: u64,
    resends: u8,
}

/// Collects spans, and links them trace by trace.
pub(in crate::import) struct Linker {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
    kinds: BTreeMap<u32, &'static str>,
    spans: Vec<Span>,
    services: BTreeSet<u32>,
    calls: BTreeMap<(u32, u32), Calls>,
    requests: BTreeMap<u32, u64>,
    roots: BTreeMap<(u32, u32), u64>,
    /// Of the requests that begin with an operation, how many call what.
    calls_of_roots: BTreeMap<(u32, u32), BTreeMap<u32, u64>>,
    total: u64,
    orphans: u64,
    self_calls: u64,
}

/// The number of a text that means nothing.
const NONE: u32 = 0;

impl Linker {
    pub(in crate::import) fn new() -> Self {
        Self {
            names: vec![String::new()],
            numbers: BTreeMap::from([(String::new(), NONE)]),
            kinds: BTreeMap::new(),
            spans: Vec::new(),
            services: BTreeSet::new(),
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            roots: BTreeMap::new(),
            calls_of_roots: BTreeMap::new(),
            total: 0,
            orphans: 0,
            self_calls: 0,
        }
    }

    /// How many spans were given.
    pub(in crate::import) fn total(&self) -> u64 {
        self.total
    }

    /// Takes a span.
    pub(in crate::import) fn add(&mut self, given: Given<'_>) {
        let service = self.number(given.service);
        if service == NONE || given.id == 0 {
            return;
        }
        self.total += 1;
        self.services.insert(service);
        let peer = self.number(given.peer);
        if let (Some(kind), true) = (given.peer_kind, peer != NONE) {
            self.kinds.entry(peer).or_insert(kind);
        }
        let operation = self.number(&general(given.operation));
        self.spans.push(Span {
            trace: given.trace,
            id: given.id,
            parent: if given.parent == given.id { 0 } else { given.parent },
            link: given.link,
            service,
            operation,
            peer,
            kind: given.kind,
            is_shared: given.is_shared,
            is_detached: given.is_detached,
            resends: given.resends.min(100) as u8,
        });
        if self.spans.len() >= SPANS_KEPT {
            self.link_old();
        }
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        if self.names.len() >= NAMES_MAX {
            return NONE;
        }
        let number = self.names.len() as u32;
        self.names.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// Links the traces that were not added to lately, to make room; if that are too few, all.
    fn link_old(&mut self) {
        let recent: BTreeSet<u64> =
            self.spans[self.spans.len() * 3 / 4..].iter().map(|span| span.trace).collect();
        let spans = std::mem::take(&mut self.spans);
        let (kept, old): (Vec<Span>, Vec<Span>) =
            spans.into_iter().partition(|span| recent.contains(&span.trace));
        self.link(old);
        if kept.len() > SPANS_KEPT * 3 / 4 {
            self.link(kept);
        } else {
            self.spans = kept;
        }
    }

    fn link(&mut self, mut spans: Vec<Span>) {
        spans.sort_by_key(|span| span.trace);
        let by_id: BTreeMap<u64, u32> = {
            let wanted: BTreeSet<u64> =
                spans.iter().map(|span| span.link).filter(|link| *link != 0).into_set();
            let linked = spans.iter().filter(|span| wanted.contains(&span.id));
            linked.map(|span| (span.id, span.service)).into_map()
        };
        for trace in spans.chunk_by(|a, b| a.trace == b.trace) {
            self.trace(trace, &by_id);
        }
    }

    /// Links the spans of one trace.
    fn trace(&mut self, spans: &[Span], linked: &BTreeMap<u64, u32>) {
        let mut by_id: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, span) in spans.iter().enumerate() {
            by_id.entry(span.id).or_default().push(index);
        }
        let parents: Vec<Option<usize>> =
            (0..spans.len()).map(|index| parent(index, spans, &by_id)).collect();
        let mut has_remote_child = vec![false; spans.len()];
        for (index, span) in spans.iter().enumerate() {
            if let Some(parent) = parents[index]
                && spans[parent].service != span.service
            {
                has_remote_child[parent] = true;
            }
        }
        let entries = entries(spans, &parents);
        let mut is_root = vec![false; spans.len()];
        let mut made: BTreeSet<(usize, u32)> = BTreeSet::new();
        for (index, span) in spans.iter().enumerate() {
            if entries[index] == index {
                *self.requests.entry(span.service).or_default() += 1;
            }
            let mut call = |linker: &mut Self,
                            from: Option<usize>,
                            caller: u32,
                            callee: u32,
                            detached: bool| {
                linker.call(caller, callee, detached, span.resends);
                if let Some(from) = from {
                    made.insert((entries[from], callee));
                }
            };
            let names_broker = span.peer != NONE;
            match (span.kind, parents[index]) {
                // The broker is known: both sides depend on it, and not on one another.
                (SpanKind::Producer | SpanKind::Consumer, _) if names_broker => {
                    call(self, Some(index), span.service, span.peer, true);
                }
                (_, Some(parent)) if spans[parent].service != span.service => {
                    let is_message = span.kind == SpanKind::Consumer;
                    let knows_broker =
                        spans[parent].kind == SpanKind::Producer && spans[parent].peer != NONE;
                    if !(is_message && knows_broker) {
                        let detached = is_message || span.is_detached;
                        call(self, Some(parent), spans[parent].service, span.service, detached);
                    }
                }
                (SpanKind::Server, None) if names_broker && span.parent == 0 => {
                    call(self, None, span.peer, span.service, false);
                }
                _ => {}
            }
            // A client whose server has no spans: what it called is only known by its name.
            if span.kind == SpanKind::Client && span.peer != NONE && !has_remote_child[index] {
                call(self, Some(index), span.service, span.peer, span.is_detached);
            }
            if let (SpanKind::Consumer, Some(producer), false) =
                (span.kind, linked.get(&span.link), names_broker)
            {
                call(self, None, *producer, span.service, true);
            }
            // What goes on from a span of another trace begins nothing.
            let goes_on = linked.contains_key(&span.link);
            match parents[index] {
                None if span.parent == 0 && goes_on => {}
                None if span.parent == 0 => {
                    is_root[index] = true;
                    self.root(span);
                }
                None if !span.is_shared => self.orphans += 1,
                _ => {}
            }
        }
        for (entry, callee) in made {
            let root = (spans[entry].service, spans[entry].operation);
            if is_root[entry] && self.roots.contains_key(&root) && root.0 != callee {
                *self.calls_of_roots.entry(root).or_default().entry(callee).or_default() += 1;
            }
            self.calls.entry((spans[entry].service, callee)).or_default().requests += 1;
        }
    }

    fn call(&mut self, caller: u32, callee: u32, is_detached: bool, resends: u8) {
        if caller == callee {
            self.self_calls += 1;
            return;
        }
        let calls = self.calls.entry((caller, callee)).or_default();
        *(if is_detached { &mut calls.detached } else { &mut calls.sync }) += 1;
        calls.resends = calls.resends.max(resends);
    }

    /// What begins a trace is what a user, or a timer, wanted.
    fn root(&mut self, span: &Span) {
        if self.roots.len() < NAMES_MAX {
            *self.roots.entry((span.service, span.operation)).or_default() += 1;
        }
    }

    /// Adds everything seen to the graph; a window gives the flows their rates.
    pub(in crate::import) fn finish(mut self, source: &str, options: &Options, graph: &mut Graph) {
        let rest = std::mem::take(&mut self.spans);
        self.link(rest);
        let name = |number: &u32| self.names[*number as usize].as_str();
        for number in &self.services {
            graph.service(name(number));
        }
        for ((caller, callee), calls) in &self.calls {
            if calls.sync + calls.detached == 0 {
                continue;
            }
            let total = calls.sync + calls.detached;
            let noun = if total == 1 { "call" } else { "calls" };
            let source = format!("{source}: {total} {noun}");
            let known = graph.depend(name(caller), name(callee), Evidence::Observed, source);
            let Some(dependency) = known else { continue };
            if calls.sync > 0 {
                dependency.saw(false);
            }
            if calls.detached > 0 {
                dependency.saw(true);
            }
            let requests = self.requests.get(caller).copied().unwrap_or(0);
            if requests > 0 && calls.requests > 0 {
                let share = (calls.requests as f64 / requests as f64).min(1.0);
                dependency.call_probability = Some(share);
            }
            if calls.resends > 0 {
                dependency.retries = Some(u32::from(calls.resends));
            }
        }
        let called: BTreeSet<u32> = self.calls.keys().map(|(_, callee)| *callee).into_set();
        for (number, kind) in &self.kinds {
            if called.contains(number) && !self.services.contains(number) {
                graph.service(name(number)).kind.get_or_insert_with(|| (*kind).to_owned());
            }
        }
        graph.self_calls += self.self_calls;
        if self.orphans > 0 {
            graph.remarks.push(format!(
                "{} of {} spans have a parent that was not recorded: calls may be missing.",
                self.orphans, self.total
            ));
        }
        self.flows(options, graph);
    }

    /// The services at which all requests begin a trace, each with a known operation: only those can be
    /// told apart by operations wholly. What others call, too, keeps its dependencies for all.
    fn entries_only(&self, shown: &BTreeSet<(u32, u32)>) -> BTreeSet<u32> {
        let mut begun: BTreeMap<u32, u64> = BTreeMap::new();
        for ((service, _), count) in self.roots.iter().filter(|(root, _)| shown.contains(root)) {
            *begun.entry(*service).or_default() += count;
        }
        let all =
            begun.into_iter().filter(|(service, count)| self.requests.get(service) == Some(count));
        all.map(|(service, _)| service).collect()
    }

    /// One flow for each operation that begins traces.
    fn flows(&self, options: &Options, graph: &mut Graph) {
        let mut roots: Vec<(&(u32, u32), &u64)> = self.roots.iter().collect();
        roots.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), **key));
        if roots.len() > FLOWS_MAX {
            graph.remarks.push(format!(
                "Of {} operations that begin traces the {FLOWS_MAX} most frequent became flows.",
                roots.len()
            ));
        }
        roots.truncate(FLOWS_MAX);
        let shown: BTreeSet<(u32, u32)> = roots.iter().map(|(root, _)| **root).into_set();
        let entries_only = self.entries_only(&shown);
        let of_several: BTreeSet<u32> = shown
            .iter()
            .map(|(service, _)| *service)
            .filter(|service| shown.iter().filter(|(it, _)| it == service).count() > 1)
            .collect();
        if !options.endpoints && !of_several.is_empty() {
            let names: Vec<&str> =
                of_several.iter().take(3).map(|it| self.names[*it as usize].as_str()).collect();
            graph.remarks.push(format!(
                "Several flows enter at {}: each call_probability there is that of all its requests; \
                 `--endpoints` tells its operations apart.",
                names.join(", ")
            ));
        }
        if options.window.is_some() && !roots.is_empty() {
            graph.remarks.push(
                "Rates count the traces that were recorded: where only some are kept (sampling), they \
                 are too low by as much."
                    .to_owned(),
            );
        }
        for ((service, number), count) in roots {
            let step = graph.name(&self.names[*service as usize]);
            let is_apart = options.endpoints && entries_only.contains(service);
            let operation = one_line(&self.names[*number as usize]);
            let base = crate::import::graph::names::allowed(&format!("{step} {operation}"));
            let rate = options.window.map(|window| *count as f64 / window);
            let mut node = step.clone();
            if is_apart {
                let endpoint = crate::import::graph::names::allowed(&operation);
                let calls = self.calls_of_roots.get(&(*service, *number));
                let calls: BTreeMap<String, f64> = calls
                    .into_iter()
                    .flatten()
                    .map(|(callee, times)| {
                        (graph.name(&self.names[*callee as usize]), *times as f64 / *count as f64)
                    })
                    .collect();
                node = format!("{step}/{endpoint}");
                graph.service(&step).endpoints.entry(endpoint).or_default().extend(calls);
            }
            let flow = graph.flows.entry(base).or_insert_with(|| Flow {
                title: Some(format!("{operation} at {step}")),
                steps: vec![node],
                rate: None,
                is_derived: false,
            });
            if let Some(rate) = rate {
                flow.rate = Some(flow.rate.unwrap_or(0.0) + rate);
            }
        }
    }
}

/// The span that a span belongs below.
fn parent(index: usize, spans: &[Span], by_id: &BTreeMap<u64, Vec<usize>>) -> Option<usize> {
    let span = &spans[index];
    let halves = |id: u64| by_id.get(&id).map(Vec::as_slice).unwrap_or_default();
    // The server's half of a call is below the client's.
    if span.kind == SpanKind::Server {
        let client = |other: &&usize| {
            **other != index && matches!(spans[**other].kind, SpanKind::Client | SpanKind::Producer)
        };
        if let Some(client) = halves(span.id).iter().find(client) {
            return Some(*client);
        }
    }
    if span.parent == 0 {
        return None;
    }
    let candidates = halves(span.parent);
    let own = candidates.iter().filter(|other| spans[**other].service == span.service);
    let best = own
        .max_by_key(|other| u8::from(spans[**other].kind == SpanKind::Server))
        .or_else(|| candidates.iter().find(|other| !spans[**other].is_shared));
    best.copied().filter(|other| *other != index)
}

/// For each span the one with which its request entered its service.
fn entries(spans: &[Span], parents: &[Option<usize>]) -> Vec<usize> {
    let mut entries: Vec<Option<usize>> = vec![None; spans.len()];
    for start in 0..spans.len() {
        let mut path = Vec::new();
        let mut at = start;
        let entry = loop {
            if let Some(known) = entries[at] {
                break known;
            }
            path.push(at);
            match parents[at] {
                // A path as long as the trace has met itself: broken ids.
                Some(parent)
                    if spans[parent].service == spans[at].service && path.len() <= spans.len() =>
                {
                    at = parent;
                }
                _ => break at,
            }
        };
        for visited in path {
            entries[visited] = Some(entry);
        }
    }
    entries.into_iter().enumerate().map(|(index, entry)| entry.unwrap_or(index)).collect()
}

/// An operation without what differs from request to request: numbers and long hexadecimal parts.
fn general(operation: &str) -> String {
    let path = operation.split(['?', '#']).next().unwrap_or_default();
    let part = |part: &str| {
        let digits = part.chars().filter(char::is_ascii_digit).count();
        let is_id = digits > 0
            && (digits == part.len()
                || part.len() >= 16 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
        if is_id { "{id}".to_owned() } else { part.to_owned() }
    };
    let parts: Vec<String> = path.split('/').map(part).collect();
    let joined = parts.join("/");
    joined.chars().take(120).collect()
}

/// The number of an id: hexadecimal as it is, base64 decoded, anything else hashed. Never 0 for an id.
pub(in crate::import) fn id(text: &str) -> u64 {
    let text = text.trim();
    if text.is_empty() || text.bytes().all(|byte| byte == b'0') {
        return 0;
    }
    let is_hex = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if is_hex && !matches!(text.len(), 12 | 24) { None } else { base64(text) };
    let number = match bytes {
        Some(bytes) if bytes.iter().all(|byte| *byte == 0) => return 0,
        Some(bytes) => {
            let hex = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
            let digits: String =
                bytes.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 0xF)]).collect();
            hash(digits.as_bytes())
        }
        None => hash(text.to_ascii_lowercase().as_bytes()),
    };
    number.max(1)
}

/// The bytes of an id of 8 or 16 bytes in base64.
fn base64(text: &str) -> Option<Vec<u8>> {
    if !matches!(text.len(), 12 | 24) {
        return None;
    }
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    matches!(bytes.len(), 8 | 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(spans: &[Given<'_>]) -> Graph {
        let mut linker = Linker::new();
        spans.iter().for_each(|span| linker.add(*span));
        let mut graph = Graph::default();
        let options = Options { window: Some(60.0), ..Options::default() };
        linker.finish("t", &options, &mut graph);
        graph
    }

    fn span(id: u64, parent: u64, kind: SpanKind, service: &str) -> Given<'_> {
        Given { trace: 1, id, parent, kind, service, operation: "op", ..Given::default() }
    }

    fn edges(graph: &Graph) -> Vec<(&str, &str)> {
        graph.dependencies.keys().map(|(a, b)| (a.as_str(), b.as_str())).collect()
    }

    #[test]
    fn both_encodings_of_an_id_are_the_same_id() {
        assert_eq!(id("EEE19B7EC3C1B174"), id("eee19b7ec3c1b174"));
        assert_eq!(id("7uGbfsPBsXQ="), id("eee19b7ec3c1b174"));
        assert_eq!(id("0000000000000000"), 0);
        assert_eq!(id("AAAAAAAAAAA="), 0);
        assert_ne!(id("span-1"), 0);
    }

    #[test]
    fn the_halves_of_a_call_may_share_an_id() {
        let client = Given { peer: "other-name", ..span(2, 1, SpanKind::Client, "a") };
        let server = Given { is_shared: true, ..span(2, 1, SpanKind::Server, "b") };
        let graph = linked(&[span(1, 0, SpanKind::Server, "a"), client, server]);
        assert_eq!(edges(&graph), [("a", "b")]);
        let flow = graph.flows.values().next().unwrap();
        assert_eq!((flow.steps[0].as_str(), flow.rate), ("a", Some(1.0 / 60.0)));
    }

    #[test]
    fn a_call_without_a_server_goes_to_a_virtual_node() {
        let call =
            Given { peer: "db", peer_kind: Some("database"), ..span(3, 1, SpanKind::Client, "a") };
        let graph = linked(&[span(1, 0, SpanKind::Server, "a"), call]);
        assert_eq!(edges(&graph), [("a", "db")]);
        assert_eq!(graph.services["db"].kind.as_deref(), Some("database"));
    }

    #[test]
    fn a_consumer_depends_on_the_broker_or_else_the_producer_on_it() {
        let broker = [
            Given { peer: "mq", ..span(1, 0, SpanKind::Producer, "a") },
            Given { peer: "mq", ..span(2, 1, SpanKind::Consumer, "b") },
        ];
        let graph = linked(&broker);
        assert_eq!(edges(&graph), [("a", "mq"), ("b", "mq")]);
        assert!(graph.dependencies.values().all(|it| it.is_async == Some(true)));
        let graph =
            linked(&[span(1, 0, SpanKind::Producer, "a"), span(2, 1, SpanKind::Consumer, "b")]);
        assert_eq!(edges(&graph), [("a", "b")]);
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
        assert_eq!(edges(&graph), []);
        assert!(graph.remarks[0].contains("1 of 4 spans"));
    }

    #[test]
    fn operations_lose_what_differs_from_request_to_request() {
        assert_eq!(general("GET /orders/123/items?x=1"), "GET /orders/{id}/items");
        assert_eq!(general("/u/550e8400-e29b-41d4-a716-446655440000"), "/u/{id}");
    }
}
