//! From the spans of one trace to calls: which span belongs below which, and who called whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{Linker, NAMES_MAX, NONE, SPANS_KEPT, Span, SpanCallKind, SpanKind};

/// Services, and the brokers they know, of spans that others go on from.
type Linked = BTreeMap<u64, (u32, u32)>;

/// The spans of one trace with what is known of their places in it.
pub(super) struct LinkedTrace<'a> {
    pub(super) spans: &'a [Span],
    /// The span above each.
    pub(super) parents: Vec<Option<usize>>,
    /// The span above was concluded, since the real one was never stored.
    pub(super) is_concluded: Vec<bool>,
    /// The span with which the request of each entered its service.
    pub(super) entries: Vec<usize>,
    pub(super) has_remote_child: Vec<bool>,
}

impl Linker {
    /// Links the traces that were not added to lately, to make room; if that are too few, all.
    pub(super) fn link_old(&mut self) {
        // A trace whose spans are among the last quarter may still be growing.
        let recent: BTreeSet<u64> =
            self.spans[self.spans.len() * 3 / 4..].iter().map(|span| span.trace).collect();
        let spans = std::mem::take(&mut self.spans);
        let (kept, old): (Vec<Span>, Vec<Span>) =
            spans.into_iter().partition(|span| recent.contains(&span.trace));
        self.link_spans(old);
        // With few traces that all grow nothing would be freed, and each further span would cause a
        // search.
        if kept.len() > SPANS_KEPT * 3 / 4 {
            self.link_spans(kept);
        } else {
            self.spans = kept;
        }
    }

    /// Links spans, trace by trace.
    pub(super) fn link_spans(&mut self, mut spans: Vec<Span>) {
        // The sort is stable, so spans of one trace keep their order and results do not depend on
        // it.
        spans.sort_by_key(|span| span.trace);
        let linked: Linked = {
            let wanted: BTreeSet<u64> =
                spans.iter().map(|span| span.link).filter(|link| *link != 0).collect();
            let linked = spans.iter().filter(|span| wanted.contains(&span.id));
            linked.map(|span| (span.id, (span.service, span.peer))).collect()
        };
        for spans in spans.chunk_by(|a, b| a.trace == b.trace) {
            self.link_trace(&LinkedTrace::new(spans), &linked);
        }
    }

    /// Counts the calls of one trace.
    fn link_trace(&mut self, trace: &LinkedTrace<'_>, linked: &Linked) {
        let mut is_root = vec![false; trace.spans.len()];
        // How many calls of each request succeeded: an attempt after a failure is no call of its own.
        let mut made: BTreeMap<(usize, u32), u64> = BTreeMap::new();
        for (index, span) in trace.spans.iter().enumerate() {
            if trace.entries[index] == index {
                *self.requests.entry(span.service).or_default() += 1;
            }
            for (from, caller, callee, kind) in self.calls_of(index, trace, linked) {
                self.count_call(caller, callee, kind, span.resends);
                if let Some(from) = from {
                    let is_counted = !span.is_failed && span.resends == 0;
                    *made.entry((trace.entries[from], callee)).or_default() +=
                        u64::from(is_counted);
                }
            }
            // What goes on from a span of another trace begins nothing.
            let goes_on = linked.contains_key(&span.link);
            let is_orphan = span.parent != 0
                && !span.is_shared
                && (trace.parents[index].is_none() || trace.is_concluded[index]);
            self.orphans += u64::from(is_orphan);
            if trace.parents[index].is_none() && span.parent == 0 && !goes_on {
                is_root[index] = true;
                self.count_root(span);
            }
        }
        self.count_answers(trace);
        for ((entry, callee), succeeded) in made {
            let root = (trace.spans[entry].service, trace.spans[entry].operation);
            if is_root[entry] && self.roots.contains_key(&root) && root.0 != callee {
                *self.calls_of_roots.entry(root).or_default().entry(callee).or_default() += 1;
            }
            let calls = self.calls.entry((trace.spans[entry].service, callee)).or_default();
            calls.requests += 1;
            calls.succeeded += succeeded;
        }
    }

    /// Returns the calls that a span tells of: from which span, who, whom, and how.
    fn calls_of(
        &mut self,
        index: usize,
        trace: &LinkedTrace<'_>,
        linked: &Linked,
    ) -> Vec<(Option<usize>, u32, u32, SpanCallKind)> {
        let (span, parent) = (&trace.spans[index], trace.parents[index]);
        let mut calls = Vec::new();
        let names_peer = span.peer != NONE;
        match parent {
            // The broker is known: both sides depend on it, and not on one another.
            _ if span.kind.is_message() && names_peer => {
                calls.push((Some(index), span.service, span.peer, SpanCallKind::Detached));
            }
            // The server knows who called, and the caller's span was never stored.
            _ if span.kind == SpanKind::Server
                && names_peer
                && (parent.is_none() || trace.is_concluded[index]) =>
            {
                calls.push((None, span.peer, span.service, SpanCallKind::Sync));
            }
            Some(above) if trace.spans[above].service != span.service => {
                let above_span = &trace.spans[above];
                let is_message = span.kind == SpanKind::Consumer;
                let knows_broker = above_span.kind == SpanKind::Producer && above_span.peer != NONE;
                let kind = if is_message {
                    SpanCallKind::Message
                } else if trace.is_concluded[index] {
                    SpanCallKind::Concluded
                } else if span.is_detached {
                    SpanCallKind::Detached
                } else {
                    SpanCallKind::Sync
                };
                // The producer named its broker, so the consumer depends on the broker and not on
                // the producer.
                if is_message && knows_broker {
                    calls.push((
                        Some(index),
                        span.service,
                        above_span.peer,
                        SpanCallKind::Detached,
                    ));
                } else {
                    calls.push((Some(above), above_span.service, span.service, kind));
                }
            }
            _ => {}
        }
        // A client whose server has no spans: what it called is only known by its name.
        if span.kind == SpanKind::Client && !trace.has_remote_child[index] {
            if names_peer {
                // Libraries of brokers give their spans the kind of a client, too.
                let is_to_broker = self.kinds.get(&span.peer) == Some(&"queue");
                let kind = if span.is_detached || is_to_broker {
                    SpanCallKind::Detached
                } else {
                    SpanCallKind::Sync
                };
                calls.push((Some(index), span.service, span.peer, kind));
            } else if span.is_to_address {
                self.address_calls += 1;
            }
        }
        if let (SpanKind::Consumer, Some((producer, broker)), false) =
            (span.kind, linked.get(&span.link), names_peer)
        {
            calls.push(if *broker == NONE {
                (None, *producer, span.service, SpanCallKind::Message)
            } else {
                (Some(index), span.service, *broker, SpanCallKind::Detached)
            });
        }
        calls
    }

    fn count_call(&mut self, caller: u32, callee: u32, kind: SpanCallKind, resends: u8) {
        if caller == callee {
            self.self_calls += 1;
            return;
        }
        let calls = self.calls.entry((caller, callee)).or_default();
        let count = match kind {
            SpanCallKind::Sync => &mut calls.sync,
            SpanCallKind::Detached => &mut calls.detached,
            SpanCallKind::Message => &mut calls.messages,
            SpanCallKind::Concluded => &mut calls.concluded,
        };
        *count += 1;
        // The most attempts that were seen are how often the caller tries.
        calls.resends = calls.resends.max(resends);
    }

    /// Counts what begins a trace: it is what a user, or a timer, wanted.
    fn count_root(&mut self, span: &Span) {
        if self.roots.len() < NAMES_MAX {
            *self.roots.entry((span.service, span.operation)).or_default() += 1;
        }
    }
}

impl<'a> LinkedTrace<'a> {
    fn new(spans: &'a [Span]) -> Self {
        // Parents are looked up among all spans, since exporters do not write them in order.
        let mut by_id: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, span) in spans.iter().enumerate() {
            by_id.entry(span.id).or_default().push(index);
        }
        let mut parents: Vec<Option<usize>> =
            (0..spans.len()).map(|index| parent_span(index, spans, &by_id)).collect();
        let is_concluded = conclude_parents(spans, &by_id, &mut parents);
        let mut has_remote_child = vec![false; spans.len()];
        for (index, span) in spans.iter().enumerate() {
            if let Some(parent) = parents[index]
                && spans[parent].service != span.service
            {
                // A concluded child says nothing of the call that its root made.
                has_remote_child[parent] |= !is_concluded[index];
            }
        }
        let entries = entry_spans(spans, &parents);
        Self { spans, parents, is_concluded, entries, has_remote_child }
    }
}

/// Puts spans whose parent was never stored below the root of their trace, if that has just one; gives
/// which they are.
///
/// A proxy that sends no spans made such a parent, or it was lost. That the request of the root led to
/// them is certain, since they are of one trace; who was between is not.
fn conclude_parents(
    spans: &[Span],
    by_id: &BTreeMap<u64, Vec<usize>>,
    parents: &mut [Option<usize>],
) -> Vec<bool> {
    let mut is_concluded = vec![false; spans.len()];
    let mut roots = spans.iter().enumerate().filter(|(_, span)| span.parent == 0);
    // With several roots nobody can say below which of them a lost span belongs.
    let (Some((root, _)), None) = (roots.next(), roots.next()) else { return is_concluded };
    for (index, span) in spans.iter().enumerate() {
        let is_lost = span.parent != 0 && !by_id.contains_key(&span.parent);
        if index != root && is_lost && parents[index].is_none() && !span.is_shared {
            parents[index] = Some(root);
            is_concluded[index] = true;
        }
    }
    is_concluded
}

/// Returns the span that a span belongs below.
fn parent_span(index: usize, spans: &[Span], by_id: &BTreeMap<u64, Vec<usize>>) -> Option<usize> {
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
    // With a shared identifier both halves of a call have it: the half in the span's own service is
    // the parent.
    let own = candidates.iter().filter(|other| spans[**other].service == span.service);
    let best = own
        .max_by_key(|other| u8::from(spans[**other].kind == SpanKind::Server))
        .or_else(|| candidates.iter().find(|other| !spans[**other].is_shared));
    best.copied().filter(|other| *other != index)
}

/// Returns for each span the one with which its request entered its service.
fn entry_spans(spans: &[Span], parents: &[Option<usize>]) -> Vec<usize> {
    let mut entries: Vec<Option<usize>> = vec![None; spans.len()];
    for start in 0..spans.len() {
        let mut path = Vec::new();
        let mut at = start;
        let entry = loop {
            // Each path is walked once: what was found before is taken over.
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
