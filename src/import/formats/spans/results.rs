//! From counted calls to the graph: services, dependencies, zones and flows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Calls, Linker};
use crate::import::Options;
use crate::import::graph::names::{allowed_name, one_line};
use crate::import::graph::{EvidenceGraph, ImportedFlow};
use crate::model::topology::Evidence;

/// More flows than this are left out, the rarest first.
const FLOWS_MAX: usize = 40;

impl Linker {
    /// Adds everything seen to the graph; a window gives the flows their rates.
    pub(in crate::import) fn finish_graph(
        mut self,
        source: &str,
        options: &Options,
        graph: &mut EvidenceGraph,
    ) {
        let rest = std::mem::take(&mut self.spans);
        self.link_spans(rest);
        self.join_names();
        for number in &self.services {
            graph.service_or_new(self.name_at(*number));
        }
        for ((caller, callee), calls) in &self.calls {
            self.add_dependency(*caller, *callee, calls, source, graph);
        }
        // A peer that was never called is only a name in some attribute.
        let called: BTreeSet<u32> = self.calls.keys().map(|(_, callee)| *callee).collect();
        for (number, kind) in &self.kinds {
            if called.contains(number) && !self.services.contains(number) {
                graph
                    .service_or_new(self.name_at(*number))
                    .kind
                    .get_or_insert_with(|| (*kind).to_owned());
            }
        }
        self.add_zones(graph);
        self.add_answers(source, graph);
        graph.self_calls += self.self_calls;
        graph.address_calls += self.address_calls;
        if self.orphans > 0 {
            graph.remarks.push(format!(
                "{} of {} spans have a parent that was not recorded: calls may be missing. Where their trace \
                 has one root, they are taken for called from there (`evidence: inferred`).",
                self.orphans, self.total
            ));
        }
        self.add_flows(options, graph);
    }

    /// Gives every peer the name of the service that it is: a broker known by its sort alone that of the only
    /// broker of this sort, an address within a cluster that of its service.
    fn join_names(&mut self) {
        let mut other_name: BTreeMap<u32, u32> = BTreeMap::new();
        for (sort, named) in &self.brokers {
            // With two brokers of one sort nobody can say which of them is meant.
            if let (Some(only), 1) = (named.first(), named.len())
                && !self.services.contains(sort)
            {
                other_name.insert(*sort, *only);
            }
        }
        let peers: BTreeSet<u32> =
            self.calls.keys().flat_map(|(caller, callee)| [*caller, *callee]).collect();
        for peer in peers.difference(&self.services) {
            // `stock.shop.svc.cluster.local` is the Service of `stock`.
            let mut labels = self.name_at(*peer).split('.');
            let (first, is_in_cluster) = (labels.next(), labels.nth(1) == Some("svc"));
            let number = first.and_then(|first| self.numbers.get(first)).copied();
            if let (Some(number), true) = (number, is_in_cluster)
                && self.services.contains(&number)
            {
                other_name.insert(*peer, number);
            }
        }
        if other_name.is_empty() {
            return;
        }
        let settled = |number: u32| other_name.get(&number).copied().unwrap_or(number);
        for ((caller, callee), calls) in std::mem::take(&mut self.calls) {
            let pair = (settled(caller), settled(callee));
            // A service that calls itself under another name is one service, and the call stays
            // inside of it.
            if pair.0 != pair.1 {
                let known = self.calls.entry(pair).or_default();
                known.sync += calls.sync;
                known.detached += calls.detached;
                known.messages += calls.messages;
                known.concluded += calls.concluded;
                known.requests += calls.requests;
                known.succeeded += calls.succeeded;
                known.resends = known.resends.max(calls.resends);
            }
        }
        self.answers.rename_peers(&other_name);
        for calls in self.calls_of_roots.values_mut() {
            for (callee, count) in std::mem::take(calls) {
                *calls.entry(settled(callee)).or_default() += count;
            }
        }
    }

    fn add_dependency(
        &self,
        caller: u32,
        callee: u32,
        calls: &Calls,
        source: &str,
        graph: &mut EvidenceGraph,
    ) {
        let seen = calls.sync + calls.detached + calls.messages;
        let total = seen + calls.concluded;
        if total == 0 {
            return;
        }
        let noun = if total == 1 { "call" } else { "calls" };
        let source = format!("{source}: {total} {noun}");
        let evidence = if seen > 0 { Evidence::Observed } else { Evidence::Inferred };
        let known = graph.depend_on(self.name_at(caller), self.name_at(callee), evidence, source);
        let Some(dependency) = known else { return };
        if calls.sync + calls.concluded > 0 {
            dependency.note_call(false);
        }
        if calls.detached + calls.messages > 0 {
            dependency.note_call(true);
        }
        // Whoever hands a message to a broker does not fail with those who take it.
        dependency.is_soft |= calls.messages == total;
        let requests = self.requests.get(&caller).copied().unwrap_or(0);
        if requests > 0 && calls.requests > 0 {
            let share = (calls.requests as f64 / requests as f64).min(1.0);
            dependency.call_probability = Some(share);
            dependency.counted_requests = Some(requests as f64);
            dependency.calls_per_request = calls_per_request(calls);
        }
        if calls.resends > 0 {
            dependency.retries = Some(u32::from(calls.resends));
        }
    }

    /// Puts services into the zones that their processes name.
    fn add_zones(&self, graph: &mut EvidenceGraph) {
        for (service, zones) in &self.zones {
            let domains: Vec<String> =
                zones.iter().map(|zone| graph.domain_name(self.name_at(*zone), "zone")).collect();
            if domains.is_empty() {
                continue;
            }
            let known = graph.service_or_new(self.name_at(*service));
            if domains.len() > 1 {
                // At least one replica runs in each.
                known.replicas.get_or_insert(domains.len() as u32);
            }
            known.domains = domains;
        }
    }

    /// Returns the services at which all requests begin a trace, each with a known operation: only those can be
    /// told apart by operations completely. What others call, too, keeps its dependencies for all.
    fn entries_only(&self, shown: &BTreeSet<(u32, u32)>) -> BTreeSet<u32> {
        let mut begun: BTreeMap<u32, u64> = BTreeMap::new();
        for ((service, _), count) in self.roots.iter().filter(|(root, _)| shown.contains(root)) {
            *begun.entry(*service).or_default() += count;
        }
        let all =
            begun.into_iter().filter(|(service, count)| self.requests.get(service) == Some(count));
        all.map(|(service, _)| service).collect()
    }

    /// Adds one flow for each operation that begins traces.
    fn add_flows(&self, options: &Options, graph: &mut EvidenceGraph) {
        let mut roots: Vec<(&(u32, u32), &u64)> = self.roots.iter().collect();
        roots.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), **key));
        if roots.len() > FLOWS_MAX {
            graph.remarks.push(format!(
                "Of {} operations that begin traces the {FLOWS_MAX} most frequent became flows.",
                roots.len()
            ));
        }
        roots.truncate(FLOWS_MAX);
        let shown: BTreeSet<(u32, u32)> = roots.iter().map(|(root, _)| **root).collect();
        let entries_only = self.entries_only(&shown);
        let of_several: BTreeSet<u32> = shown
            .iter()
            .map(|(service, _)| *service)
            .filter(|service| shown.iter().filter(|(shown, _)| shown == service).count() > 1)
            .collect();
        if !options.endpoints && !of_several.is_empty() {
            let names: Vec<&str> = of_several
                .iter()
                .take(3)
                .map(|of_several| self.names[*of_several as usize].as_str())
                .collect();
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
            let step = graph.service_name(&self.names[*service as usize]);
            let is_apart = options.endpoints && entries_only.contains(service);
            let operation = one_line(&self.names[*number as usize]);
            let base = allowed_name(&format!("{step} {operation}"));
            // Without a window the time of recording is unknown, and so are rates.
            let rate = options.window.map(|window| *count as f64 / window);
            let mut node = step.clone();
            if is_apart {
                let endpoint = allowed_name(&operation);
                let calls = self.calls_of_roots.get(&(*service, *number));
                let calls: BTreeMap<String, f64> = calls
                    .into_iter()
                    .flatten()
                    .map(|(callee, times)| {
                        (
                            graph.service_name(&self.names[*callee as usize]),
                            *times as f64 / *count as f64,
                        )
                    })
                    .collect();
                node = format!("{step}/{endpoint}");
                graph.service_or_new(&step).endpoints.entry(endpoint).or_default().extend(calls);
            }
            let flow = graph.flows.entry(base).or_insert_with(|| ImportedFlow {
                title: Some(format!("{operation} at {step}")),
                steps: vec![node],
                rate: None,
                is_derived: false,
            });
            if let Some(rate) = rate {
                // Two operations may have the same name once their identifiers are taken out.
                flow.rate = Some(flow.rate.unwrap_or(0.0) + rate);
            }
        }
    }
}

/// Returns how many calls a request makes that makes any, to the nearest whole number.
fn calls_per_request(calls: &Calls) -> Option<u32> {
    // Half of the divisor rounds to the nearest number without going through floating point.
    let mean = (calls.succeeded + calls.requests / 2) / calls.requests.max(1);
    u32::try_from(mean).ok().filter(|mean| *mean > 1)
}
