//! Finds the reach of a change: everything that is linked to one of its targets.
//!
//! Failure travels from a dependency to its callers, load travels the other way, and flows and failure
//! domains link what they share. So the links are followed in both directions: what is not linked to a
//! target cannot be hit, in any trial, with certainty. That is worth knowing, since trials alone can
//! only tell that something is rare.

use crate::model::change::TargetRef;
use crate::model::topology::{Caller, Dependency};
use crate::model::{Change, Topology};

/// The services and flows that a change could hit.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    services: Vec<bool>,
    flows: Vec<bool>,
}

impl Reach {
    /// Finds what is linked to the targets of a change.
    pub(super) fn of(topology: &Topology, change: &Change) -> Self {
        let (services, flows) = (topology.services.len(), topology.flows.len());
        // Operators and automations may act on anything.
        let acts = !change.actions.is_empty()
            || topology.services.iter().any(|service| !service.automations.is_empty());
        if acts {
            return Self { services: vec![true; services], flows: vec![true; flows] };
        }
        let mut links = Links::new(services + flows + topology.domains.len());
        let domain = |id: u32| services + flows + id as usize;
        for (caller, dependency) in topology.declared_dependencies() {
            let caller = match caller {
                Caller::Node(node) => node.service.0 as usize,
                Caller::Flow(flow) => services + flow as usize,
            };
            called_services(dependency).for_each(|called| links.join(caller, called));
        }
        for (index, service) in topology.services.iter().enumerate() {
            // Replicas may lie in domains that their service does not name.
            let of_replicas = service.replicas.iter().flat_map(|replicas| &replicas.domains);
            for id in service.domains.iter().chain(of_replicas) {
                links.join(index, domain(id.0));
            }
        }
        for (index, item) in topology.domains.iter().enumerate() {
            if let Some(outer) = item.within {
                links.join(domain(index as u32), domain(outer.0));
            }
        }
        let mut hit = vec![false; links.parents.len()];
        for target in &change.targets {
            let index = match target.on {
                TargetRef::Node(node) => node.service.0 as usize,
                TargetRef::Domain(id) => domain(id.0),
            };
            hit[links.root(index)] = true;
        }
        let mut is_hit = |index: usize| hit[links.root(index)];
        Self {
            services: (0..services).map(&mut is_hit).collect(),
            flows: (services..services + flows).map(&mut is_hit).collect(),
        }
    }

    /// Returns whether a service could be hit.
    pub(super) fn has_service(&self, service: usize) -> bool {
        self.services[service]
    }

    /// Returns whether a flow could be hit.
    pub(super) fn has_flow(&self, flow: usize) -> bool {
        self.flows[flow]
    }
}

fn called_services(dependency: &Dependency) -> impl Iterator<Item = usize> + '_ {
    let fallback = dependency.fallback.iter().filter_map(|fallback| fallback.on.as_ref());
    dependency.on.iter().chain(fallback).map(|node| node.service.0 as usize)
}

/// Sets of things that are linked, each known by one of them.
struct Links {
    parents: Vec<usize>,
}

impl Links {
    fn new(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            // Halving the path as it is walked keeps all later walks short.
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller index becomes the root, whatever the order of the links.
        self.parents[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::load;

    #[test]
    fn only_what_is_linked_to_a_target_is_reached() {
        let text = "\
version: 1
topology: t
failure_domains: { zone: {} }
services:
  web: { dependencies: [{ service: pay, fallback: backup }] }
  pay: {}
  backup: { domains: [zone] }
  batch: { domains: [zone] }
  mail: {}
flows: { order: { steps: [web] }, newsletter: { steps: [mail] } }
";
        let mut sources = Sources::default();
        let document =
            load::parse_document("t.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&document).unwrap();
        let breaks = |name: &str| {
            let mut sources = Sources::default();
            let change = Change::from_breaks(&[name.to_owned()], &topology, &mut sources).unwrap();
            Reach::of(&topology, &change)
        };
        let flow = |reach: &Reach, name: &str| {
            reach.has_flow(topology.flows.iter().position(|flow| flow.name == name).unwrap())
        };
        for name in ["pay", "backup", "batch", "zone"] {
            let reach = breaks(name);
            assert!(flow(&reach, "order") && !flow(&reach, "newsletter"), "{name}");
        }
        let reach = breaks("mail");
        assert!(!flow(&reach, "order") && flow(&reach, "newsletter"));
    }
}
