//! What events and nodes are called.

use crate::compile::Plan;
use crate::engine::exact::Event;
use crate::engine::exact::solutions::Part;
use crate::model::change::TargetRef;
use crate::model::{Change, Topology};
use crate::report::explain::CutEventReport;
use crate::report::{CutEventKind, FailureMode};

/// The names of everything that a plan only numbers.
pub(super) struct Names<'a> {
    topology: &'a Topology,
    change: &'a Change,
    /// By node.
    nodes: Vec<String>,
    /// By dependency as written: the caller and what is called.
    dependencies: Vec<(String, String)>,
    /// By replica: its service, and its number there.
    replicas: Vec<(u32, u32)>,
}

impl<'a> Names<'a> {
    pub(super) fn new(topology: &'a Topology, change: &'a Change, plan: &Plan) -> Self {
        let mut nodes = vec![String::new(); plan.nodes.len()];
        for (service, it) in topology.services.iter().zip(&plan.services) {
            nodes[it.node as usize].clone_from(&service.name);
            for (endpoint, node) in service.endpoints.iter().zip(&it.endpoints) {
                nodes[*node as usize] = format!("{}/{}", service.name, endpoint.name);
            }
        }
        for (flow, it) in topology.flows.iter().zip(&plan.flows) {
            nodes[it.node as usize].clone_from(&flow.name);
        }
        let written = topology.declared_dependencies();
        let dependencies = written
            .map(|(caller, it)| (topology.caller_name(caller), topology.dependency_name(it)))
            .collect();
        let replicas = plan.services.iter().enumerate().flat_map(|(service, it)| {
            (0..it.replicas.len() as u32).map(move |number| (service as u32, number))
        });
        Self { topology, change, nodes, dependencies, replicas: replicas.collect() }
    }

    /// A node: `service`, `service/endpoint`, or a flow.
    pub(super) fn node(&self, node: u32) -> &str {
        &self.nodes[node as usize]
    }

    /// Caller and dependency.
    pub(super) fn dependency(&self, number: u32) -> String {
        let (caller, on) = &self.dependencies[number as usize];
        format!("{caller}>{on}")
    }

    /// A service.
    pub(super) fn service(&self, number: u32) -> &str {
        &self.topology.services[number as usize].name
    }

    /// The service of a replica.
    pub(super) fn service_of_replica(&self, number: u32) -> u32 {
        self.replicas[number as usize].0
    }

    /// What kind of thing an event happens to, and its name. Of a target, what it hits.
    pub(super) fn event(&self, event: Event) -> (CutEventKind, String) {
        match event {
            Event::Domain(it) => {
                (CutEventKind::Domain, self.topology.domains[it as usize].name.clone())
            }
            Event::Service(it) => (CutEventKind::Service, self.service(it).to_owned()),
            Event::Replica(it) => {
                let (service, number) = self.replicas[it as usize];
                (CutEventKind::Replica, format!("{}#{number}", self.service(service)))
            }
            Event::Target(it) | Event::Mode(it, _) => match self.change.targets[it as usize].on {
                TargetRef::Domain(domain) => {
                    (CutEventKind::Domain, self.topology.domain(domain).name.clone())
                }
                TargetRef::Node(node) => {
                    let kind = if node.endpoint.is_some() {
                        CutEventKind::Endpoint
                    } else {
                        CutEventKind::Service
                    };
                    (kind, self.topology.node_name(node))
                }
            },
            Event::Reaches(it) => (CutEventKind::Dependency, self.dependency(it)),
            Event::NoFallback(it) => (CutEventKind::Fallback, self.dependency(it)),
        }
    }

    /// A part of a cut set.
    pub(super) fn part(&self, part: &Part) -> CutEventReport {
        let (kind, name) = self.event(part.event);
        let modes = [FailureMode::Down, FailureMode::Slow, FailureMode::Corrupt];
        let mode = part.mode.map(|mode| modes[usize::from(mode)]);
        CutEventReport { kind, name, mode }
    }
}
