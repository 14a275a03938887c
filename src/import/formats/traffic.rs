//! Calls that were counted between services: from counts to the shares of a caller's requests.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::graph::EvidenceGraph;
use crate::import::graph::measurements::{MeasuredErrors, REQUESTS_MIN};
use crate::model::topology::Evidence;

/// The calls that were counted of one caller and one callee.
#[derive(Clone, Debug, Default)]
pub(super) struct CountedCalls {
    /// Requests, in any unit that is the same for all; 0 = not counted, as connections are not.
    pub(super) requests: f64,
    /// How many of them failed.
    pub(super) failed: f64,
    /// The name under which the callee is called: versions behind one name share it.
    pub(super) group: String,
    /// A message through a broker that nothing names.
    pub(super) is_message: bool,
    /// The file and metric in which it was found.
    pub(super) source: String,
}

/// Unit in which some traffic is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum CountUnit {
    /// Requests over a time that nothing says.
    #[default]
    Requests,
    /// Requests over so many seconds.
    RequestsOver(f64),
    /// Requests in a second.
    PerSecond,
}

/// Calls between services, and those from outside.
#[derive(Debug, Default)]
pub(super) struct CallTraffic {
    unit: CountUnit,
    calls: BTreeMap<(String, String), CountedCalls>,
    /// Requests that came from outside, by the service that they reach.
    from_outside: BTreeMap<String, CountedCalls>,
}

impl CallTraffic {
    /// Nothing yet, to be counted in a unit.
    pub(super) fn new(unit: CountUnit) -> Self {
        Self { unit, ..Self::default() }
    }

    /// Counts calls of one service to another.
    pub(super) fn count_calls(&mut self, caller: &str, callee: &str, counted: &CountedCalls) {
        let known = self
            .calls
            .entry((caller.to_owned(), callee.to_owned()))
            .or_insert_with(|| CountedCalls::none_of(counted));
        known.add_counts(counted);
        known.is_message &= counted.is_message;
    }

    /// Counts requests that reach a service from outside.
    pub(super) fn count_entries(&mut self, service: &str, counted: &CountedCalls) {
        let known = self.from_outside.entry(service.to_owned());
        known.or_insert_with(|| CountedCalls::none_of(counted)).add_counts(counted);
    }

    /// Adds everything to a graph: in which share of a caller's requests each call is made.
    ///
    /// Where nothing counted what the caller got, only the split between versions of one service is known:
    /// the call is then taken for made in every request, to one of them.
    pub(super) fn add_to(&self, graph: &mut EvidenceGraph) {
        for (service, counted) in &self.from_outside {
            let service = graph.service_or_new(service);
            service.is_entry = true;
            let rate = self.per_second(counted.requests).filter(|rate| *rate > 0.0);
            service.entry_rate = rate.or(service.entry_rate);
        }
        self.add_errors(graph);
        let mut received: BTreeMap<&str, f64> = self
            .from_outside
            .iter()
            .map(|(service, counted)| (service.as_str(), counted.requests))
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
                // Rates do not say from how many requests they are.
                dependency.counted_requests =
                    (self.unit != CountUnit::PerSecond).then_some(requests);
            } else if counted.requests > 0.0 && members.len() > 1 {
                // Of a group only the split between versions is known, not how often it is called.
                dependency.call_probability = Some(counted.requests / of_all);
            } else if *of_all > 0.0 && members.len() > 1 && counted.requests == 0.0 {
                // A version that got no request while others did.
                dependency.call_probability = Some(0.0);
            }
        }
    }
}

impl CallTraffic {
    /// Returns a count as a rate, where the time is known over which it was counted.
    pub(super) fn per_second(&self, requests: f64) -> Option<f64> {
        match self.unit {
            CountUnit::Requests => None,
            CountUnit::RequestsOver(seconds) => Some(requests / seconds),
            CountUnit::PerSecond => Some(requests),
        }
    }

    /// Adds how many of its requests each service failed, whoever asked.
    fn add_errors(&self, graph: &mut EvidenceGraph) {
        let mut all: BTreeMap<&str, CountedCalls> = BTreeMap::new();
        let called = self.calls.iter().map(|((_, callee), counted)| (callee, counted));
        for (callee, counted) in called.chain(&self.from_outside) {
            let known = all.entry(callee).or_insert_with(|| CountedCalls::none_of(counted));
            known.add_counts(counted);
        }
        for (callee, CountedCalls { requests, failed, source, .. }) in all {
            // Rates do not say from how many requests they are.
            if self.unit != CountUnit::PerSecond && requests < REQUESTS_MIN || requests <= 0.0 {
                continue;
            }
            // Different ends may count failures and requests, and a share above 1 is none.
            let failed = failed.min(requests);
            let errors = MeasuredErrors { requests, failed, failed_alone: None, source };
            graph.service_or_new(callee).note_errors(errors);
        }
    }
}

impl CountedCalls {
    /// Calls like others, of which none was counted yet.
    fn none_of(other: &Self) -> Self {
        // `is_message` starts as true, so that one call that is none turns it off.
        Self { requests: 0.0, failed: 0.0, is_message: true, ..other.clone() }
    }

    fn add_counts(&mut self, other: &Self) {
        for (known, count) in
            [(&mut self.requests, other.requests), (&mut self.failed, other.failed)]
        {
            // Counters that were reset give negative or undefined rates.
            if count.is_finite() && count > 0.0 {
                *known += count;
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
        traffic.count_entries("web", &counted(200.0, "web"));
        traffic.count_calls("web", "v1", &counted(90.0, "cart"));
        traffic.count_calls("web", "v2", &counted(10.0, "cart"));
        assert_eq!(share(&traffic, "web", "v1"), Some(0.45));
        assert_eq!(share(&traffic, "web", "v2"), Some(0.05));
    }

    #[test]
    fn what_failed_is_told_of_whoever_was_called_and_rates_only_where_the_time_is_known() {
        for (unit, rate) in [
            (CountUnit::Requests, None),
            (CountUnit::RequestsOver(20.0), Some(10.0)),
            (CountUnit::PerSecond, Some(200.0)),
        ] {
            let mut traffic = CallTraffic::new(unit);
            traffic.count_entries("web", &CountedCalls { failed: 8.0, ..counted(200.0, "web") });
            traffic.count_calls(
                "web",
                "cart",
                &CountedCalls { failed: 2.0, ..counted(50.0, "cart") },
            );
            let mut graph = EvidenceGraph::default();
            traffic.add_to(&mut graph);
            let web = &graph.services["web"];
            assert_eq!(web.entry_rate, rate);
            assert_eq!(
                web.errors.as_ref().map(|errors| (errors.failed, errors.requests)),
                Some((8.0, 200.0))
            );
            // Two of fifty say little, unless it is a rate.
            let is_told = graph.services["cart"].errors.is_some();
            assert_eq!(is_told, unit == CountUnit::PerSecond);
        }
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
