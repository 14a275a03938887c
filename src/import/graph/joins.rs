//! One service under two names: `component:default/store` of a catalog, or `shop/store` of a mesh, is the
//! `store` of the files that run it.

use std::collections::{BTreeMap, BTreeSet};

use super::{EvidenceGraph, ImportedDependency, ImportedService, evidence_strength};

impl EvidenceGraph {
    /// Notes that a source calls the service `original` just `plain` in short.
    pub(in crate::import) fn note_short_name(&mut self, original: &str, plain: &str) {
        let name = self.service_name(original);
        if name != plain {
            self.short_names.insert(name, plain.to_owned());
        }
    }

    /// Joins services that have a long name with the services of other sources that have their short one.
    ///
    /// Short names that two services have are left alone: nothing says which of them is meant.
    pub(in crate::import) fn join_short_names(&mut self) {
        let names = std::mem::take(&mut self.short_names);
        // Two services with the same short name make it ambiguous.
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for plain in names.values() {
            *uses.entry(plain.to_lowercase()).or_default() += 1;
        }
        let mut by_lower: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in self.services.keys() {
            by_lower.entry(name.to_lowercase()).or_default().insert(name.clone());
        }
        // Without the callers of each service every rename would search all dependencies.
        let mut callers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (caller, callee) in self.dependencies.keys() {
            callers.entry(callee.clone()).or_default().insert(caller.clone());
        }
        for (name, plain) in names {
            let lower = plain.to_lowercase();
            let mut others = by_lower.get(&lower).into_iter().flatten();
            let same = others.find(|other| **other != name).cloned();
            if let (Some(same), 1) = (same, uses[&lower]) {
                self.rename_service(&name, &same, &mut callers);
                if let Some(known) = by_lower.get_mut(&name.to_lowercase()) {
                    known.remove(&name);
                }
            }
        }
    }

    /// Makes one service of two: everything that is known of the first becomes known of the second.
    ///
    /// `callers` holds the callers of each service, and is kept true.
    fn rename_service(
        &mut self,
        from: &str,
        to: &str,
        callers: &mut BTreeMap<String, BTreeSet<String>>,
    ) {
        let Some(service) = self.services.remove(from) else { return };
        self.services.entry(to.to_owned()).or_default().absorb_service(service);
        let first = (from.to_owned(), String::new());
        let as_caller = self.dependencies.range(first..).map(|(pair, _)| pair.clone());
        let mut touched: Vec<(String, String)> =
            as_caller.take_while(|(caller, _)| caller == from).collect();
        let as_callee = callers.remove(from).unwrap_or_default();
        let is_new = |caller: &String| caller != from;
        touched
            .extend(as_callee.into_iter().filter(is_new).map(|caller| (caller, from.to_owned())));
        touched.sort();
        let renamed = |name: String| if name == from { to.to_owned() } else { name };
        for pair in touched {
            let Some(dependency) = self.dependencies.remove(&pair) else { continue };
            if let Some(known) = callers.get_mut(&pair.1) {
                known.remove(&pair.0);
            }
            let pair = (renamed(pair.0), renamed(pair.1));
            callers.entry(pair.1.clone()).or_default().insert(pair.0.clone());
            // Both names were one service, so the call between them stays inside of it.
            if pair.0 == pair.1 {
                self.self_calls += 1;
                continue;
            }
            match self.dependencies.get_mut(&pair) {
                Some(known) => known.absorb_dependency(dependency),
                None => {
                    self.dependencies.insert(pair, dependency);
                }
            }
        }
        for flow in self.flows.values_mut() {
            for step in flow.steps.iter_mut().filter(|step| *step == from) {
                to.clone_into(step);
            }
        }
    }
}

impl ImportedService {
    /// Takes over what only another description of the same service says.
    fn absorb_service(&mut self, other: Self) {
        // A catalog knows owners and titles; what runs knows its kind by its image.
        self.team = other.team.or(self.team.take());
        self.kind = self.kind.take().or(other.kind);
        self.replicas = self.replicas.or(other.replicas);
        self.needs = self.needs.or(other.needs);
        self.is_entry |= other.is_entry;
        self.pool = self.pool.take().or(other.pool);
        self.entry_rate = self.entry_rate.or(other.entry_rate);
        other.latency.into_iter().for_each(|latency| self.note_latency(latency));
        other.errors.into_iter().for_each(|errors| self.note_errors(errors));
        self.latency_gap = self.latency_gap.or(other.latency_gap);
        for domain in other.domains {
            if !self.domains.contains(&domain) {
                self.domains.push(domain);
            }
        }
        self.endpoints.extend(other.endpoints);
    }
}

impl ImportedDependency {
    /// Takes over what another source says of the same dependency.
    fn absorb_dependency(&mut self, other: Self) {
        if evidence_strength(other.evidence) > evidence_strength(self.evidence) {
            self.evidence = other.evidence;
        }
        for source in other.sources {
            if !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
        // Needed to serve counts as soon as one source says so.
        self.is_start &= other.is_start;
        self.is_soft |= other.is_soft;
        self.is_async = self.is_async.or(other.is_async);
        self.timeout = self.timeout.or(other.timeout);
        self.attempt_timeout = self.attempt_timeout.or(other.attempt_timeout);
        self.retries = self.retries.or(other.retries);
        self.retry_budget = self.retry_budget.or(other.retry_budget);
        self.max_in_flight_each = self.max_in_flight_each.or(other.max_in_flight_each);
        self.circuit_breaker |= other.circuit_breaker;
        self.call_probability = self.call_probability.or(other.call_probability);
        self.calls += other.calls;
        self.counted_requests = self.counted_requests.or(other.counted_requests);
        self.calls_per_request = self.calls_per_request.or(other.calls_per_request);
        self.any_of = self.any_of.take().or(other.any_of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::Evidence;

    #[test]
    fn a_catalog_and_what_runs_speak_of_one_service() {
        let mut graph = EvidenceGraph::default();
        graph.service_or_new("component:default/store").team = Some("team-a".to_owned());
        graph.note_short_name("component:default/store", "store");
        graph.note_short_name("component:default/stock", "stock");
        let declared = Evidence::Declared;
        graph.depend_on("component:default/store", "component:default/stock", declared, "catalog");
        graph.depend_on("store", "stock", Evidence::Inferred, "compose");
        graph.join_short_names();
        assert_eq!(graph.services.keys().collect::<Vec<_>>(), ["stock", "store"]);
        assert_eq!(graph.services["store"].team.as_deref(), Some("team-a"));
        let (pair, dependency) = graph.dependencies.first_key_value().unwrap();
        assert_eq!(pair, &("store".to_owned(), "stock".to_owned()));
        assert_eq!(dependency.evidence, Evidence::Declared);
        assert_eq!(dependency.sources, ["compose", "catalog"]);
    }

    #[test]
    fn a_name_that_two_entities_have_is_left_alone() {
        let mut graph = EvidenceGraph::default();
        graph.note_short_name("component:a/store", "store");
        graph.note_short_name("component:b/store", "store");
        graph.service_or_new("store");
        graph.join_short_names();
        assert_eq!(graph.services.len(), 3);
    }
}
