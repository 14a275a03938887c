//! Calls that were counted between services: from counts to the shares of a caller's requests.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::graph::EvidenceGraph;
use crate::model::topology::Evidence;

/// The calls that were counted of one caller and one callee.
#[derive(Clone, Debug, Default)]
pub(super) struct CountedCalls {
    /// Requests, in any unit that is the same for all; 0 = not counted, as connections are not.
    pub(super) requests: f64,
    /// The name under which the callee is called: versions behind one name share it.
    pub(super) group: String,
    /// A message through a broker that nothing names.
    pub(super) is_message: bool,
    /// The file and metric in which it was found.
    pub(super) source: String,
}

/// Calls between services, and those from outside.
#[derive(Debug, Default)]
pub(super) struct CallTraffic {
    calls: BTreeMap<(String, String), CountedCalls>,
    /// Requests that came from outside, by the service that they reach.
    from_outside: BTreeMap<String, f64>,
}

impl CallTraffic {
    /// Counts calls of one service to another.
    pub(super) fn count_calls(&mut self, caller: &str, callee: &str, counted: &CountedCalls) {
        let known = self
            .calls
            .entry((caller.to_owned(), callee.to_owned()))
            .or_insert_with(|| CountedCalls { requests: 0.0, is_message: true, ..counted.clone() });
        if counted.requests.is_finite() && counted.requests > 0.0 {
            known.requests += counted.requests;
        }
        known.is_message &= counted.is_message;
    }

    /// Counts requests that reach a service from outside.
    pub(super) fn count_entries(&mut self, service: &str, requests: f64) {
        let known = self.from_outside.entry(service.to_owned()).or_default();
        if requests.is_finite() && requests > 0.0 {
            *known += requests;
        }
    }

    /// Adds everything to a graph: in which share of a caller's requests each call is made.
    ///
    /// Where nothing counted what the caller got, only the split between versions of one service is known:
    /// the call is then taken for made in every request, to one of them.
    pub(super) fn add_to(&self, graph: &mut EvidenceGraph) {
        for service in self.from_outside.keys() {
            graph.service_or_new(service).is_entry = true;
        }
        let mut received: BTreeMap<&str, f64> = self
            .from_outside
            .iter()
            .map(|(service, requests)| (service.as_str(), *requests))
            .collect();
        let mut of_group: BTreeMap<(&str, &str), (f64, BTreeSet<&str>)> = BTreeMap::new();
        for ((caller, callee), counted) in &self.calls {
            *received.entry(callee).or_default() += counted.requests;
            let group = of_group.entry((caller, &counted.group)).or_default();
            group.0 += counted.requests;
            group.1.insert(callee);
        }
        for ((caller, callee), counted) in &self.calls {
            let known = graph.depend_on(caller, callee, Evidence::Observed, counted.source.clone());
            let Some(dependency) = known else { continue };
            if counted.is_message {
                // Whoever hands a message to a broker does not fail with those who take it.
                dependency.note_call(true);
                dependency.is_soft = true;
            }
            dependency.calls += counted.requests;
            let requests = received.get(caller.as_str()).copied().unwrap_or(0.0);
            let (of_all, members) = &of_group[&(caller.as_str(), counted.group.as_str())];
            if counted.requests > 0.0 && requests > 0.0 {
                dependency.call_probability = Some((counted.requests / requests).min(1.0));
            } else if counted.requests > 0.0 && members.len() > 1 {
                dependency.call_probability = Some(counted.requests / of_all);
            } else if *of_all > 0.0 && members.len() > 1 && counted.requests == 0.0 {
                // A version that got no request while others did.
                dependency.call_probability = Some(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(requests: f64, group: &str) -> CountedCalls {
        CountedCalls {
            requests,
            group: group.to_owned(),
            source: "t".to_owned(),
            ..CountedCalls::default()
        }
    }

    fn share(traffic: &CallTraffic, caller: &str, callee: &str) -> Option<f64> {
        let mut graph = EvidenceGraph::default();
        traffic.add_to(&mut graph);
        graph.dependencies[&(caller.to_owned(), callee.to_owned())].call_probability
    }

    #[test]
    fn shares_are_those_of_what_the_caller_got() {
        let mut traffic = CallTraffic::default();
        traffic.count_entries("web", 200.0);
        traffic.count_calls("web", "v1", &counted(90.0, "cart"));
        traffic.count_calls("web", "v2", &counted(10.0, "cart"));
        assert_eq!(share(&traffic, "web", "v1"), Some(0.45));
        assert_eq!(share(&traffic, "web", "v2"), Some(0.05));
    }

    #[test]
    fn versions_share_the_calls_of_a_caller_whose_requests_nothing_counted() {
        let mut traffic = CallTraffic::default();
        traffic.count_calls("web", "v1", &counted(90.0, "cart"));
        traffic.count_calls("web", "v2", &counted(10.0, "cart"));
        traffic.count_calls("web", "db", &counted(0.0, "db"));
        assert_eq!(share(&traffic, "web", "v1"), Some(0.9));
        assert_eq!(share(&traffic, "web", "db"), None);
    }
}
