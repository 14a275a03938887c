//! How long services take to answer, and how many of their answers are failures, by the spans of a trace.
//!
//! A service is timed by the spans with which requests enter it. What sends no spans itself, such as a
//! database, is timed by those of its callers.

use std::collections::BTreeMap;

use super::linking::LinkedTrace;
use super::{Linker, NONE, Span, SpanKind};
use crate::import::graph::EvidenceGraph;
use crate::import::graph::measurements::SeenAnswers;

/// The answers that were seen of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    all: SeenAnswers,
    /// Failures of requests none of whose calls failed.
    failed_alone: u64,
}

impl Answers {
    fn add_answer(&mut self, span: &Span, is_through_calls: bool) {
        self.all.add_answer(span.duration, span.is_failed);
        self.failed_alone += u64::from(span.is_failed && !is_through_calls);
    }

    fn add_all(&mut self, other: &Self) {
        self.all.add_all(&other.all);
        self.failed_alone += other.failed_alone;
    }
}

/// The answers of all services, as they and as their callers saw them.
#[derive(Debug, Default)]
pub(super) struct AllAnswers {
    own: BTreeMap<u32, Answers>,
    of_peers: BTreeMap<u32, Answers>,
    /// When the first and the last span began, in nanoseconds.
    first: Option<u64>,
    last: u64,
}

impl AllAnswers {
    /// Takes note of when a span began.
    pub(super) fn note_start(&mut self, start: u64) {
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
        self.last = self.last.max(start);
    }

    /// Gives what callers saw of one peer to another name of it.
    pub(super) fn rename_peers(&mut self, other_name: &BTreeMap<u32, u32>) {
        for (peer, answers) in std::mem::take(&mut self.of_peers) {
            let name = other_name.get(&peer).copied().unwrap_or(peer);
            self.of_peers.entry(name).or_default().add_all(&answers);
        }
    }
}

impl Linker {
    /// Counts the answers of one trace.
    pub(super) fn count_answers(&mut self, trace: &LinkedTrace<'_>) {
        let has_failed_calls = trace.failed_callers();
        for (index, span) in trace.spans.iter().enumerate() {
            // Spans below the entry are steps of the same request.
            if trace.entries[index] == index && is_answer(index, trace) {
                let answers = self.answers.own.entry(span.service).or_default();
                answers.add_answer(span, has_failed_calls[index]);
            }
            // A callee with spans of its own times itself, without the network between.
            let is_of_peer = span.kind == SpanKind::Client
                && span.peer != NONE
                && !span.is_detached
                && !trace.has_remote_child[index];
            if is_of_peer {
                self.answers.of_peers.entry(span.peer).or_default().add_answer(span, false);
            }
        }
    }

    /// Adds latencies and errors to the services of the graph.
    pub(super) fn add_answers(&self, source: &str, graph: &mut EvidenceGraph) {
        let timed_by_callers =
            self.answers.of_peers.iter().filter(|(peer, _)| !self.services.contains(peer));
        for (is_own, (number, answers)) in (self.answers.own.iter().map(|own| (true, own)))
            .chain(timed_by_callers.map(|peer| (false, peer)))
        {
            // Callers see whether an answer failed, but not whether a call below it was the reason.
            let failed_alone = is_own.then_some(answers.failed_alone);
            let service = graph.service_or_new(self.name_at(*number));
            service.note_answers(&answers.all, failed_alone, source);
        }
        let seconds = self.answers.first.map(|first| (self.answers.last - first) as f64 / 1e9);
        // Spans of less than a second give no rate that means anything.
        if let Some(seconds) = seconds.filter(|seconds| *seconds >= 1.0) {
            graph.recorded_over =
                Some(graph.recorded_over.map_or(seconds, |known| known.max(seconds)));
        }
    }
}

/// Returns whether an entry span is an answer that somebody waited for: no message, no job of its own.
fn is_answer(index: usize, trace: &LinkedTrace<'_>) -> bool {
    let span = &trace.spans[index];
    // A span with a concluded parent was called by somebody unknown, who may not have waited.
    let is_called = trace.parents[index].is_some() && !trace.is_concluded[index];
    match span.kind {
        SpanKind::Server => !span.is_detached,
        SpanKind::Local => is_called && !span.is_detached,
        SpanKind::Client | SpanKind::Producer | SpanKind::Consumer => false,
    }
}

impl LinkedTrace<'_> {
    /// Returns for each span whether it is the entry of a request one of whose calls failed.
    fn failed_callers(&self) -> Vec<bool> {
        let mut found = vec![false; self.spans.len()];
        for (index, span) in self.spans.iter().enumerate().filter(|(_, span)| span.is_failed) {
            if span.kind == SpanKind::Client {
                found[self.entries[index]] = true;
            }
            // A server that failed without a client span above it still failed the request of its
            // parent.
            if let Some(parent) = self.parents[index]
                && self.entries[index] == index
                && !span.is_detached
                && !span.kind.is_message()
            {
                found[self.entries[parent]] = true;
            }
        }
        found
    }
}
