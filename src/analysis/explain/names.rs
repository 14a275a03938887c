//! Names of events and nodes.

use crate::compile::Plan;
use crate::compile::plan::{DependencyId, NodeId, ReplicaId, ServiceId};
use crate::engine::exact::ExactEvent;
use crate::engine::exact::solutions::CutPart;
use crate::model::change::TargetRef;
use crate::model::id::Table;
use crate::model::{Change, Topology};
use crate::report::CallReport;
use crate::report::explain::CutEventReport;
use crate::report::{CutEventKind, FailureMode};

/// The names of everything that a plan only numbers.
pub(super) struct EventNames<'a> {
    topology: &'a Topology,
    change: &'a Change,
    /// By node.
    nodes: Table<NodeId, String>,
    /// By dependency as written: the caller and what is called.
    dependencies: Table<DependencyId, (String, String)>,
    /// By replica: its service, and its number there.
    replicas: Table<ReplicaId, (ServiceId, u32)>,
}

/// Name of a part, with what it is made of.
#[derive(Clone)]
pub(super) struct PartName {
    /// Text for people and for data.
    pub(super) text: String,
    /// Call, for a dependency or a fallback.
    pub(super) call: Option<CallReport>,
    /// Number of the replica, for a replica.
    pub(super) replica: Option<u32>,
}

impl PartName {
    /// Returns the name of a call.
    pub(super) fn of_call(caller: String, dependency: String) -> Self {
        let text = format!("{caller}>{dependency}");
        Self { text, call: Some(CallReport { caller, dependency }), replica: None }
    }
}

impl From<String> for PartName {
    fn from(text: String) -> Self {
        Self { text, call: None, replica: None }
    }
}

impl<'a> EventNames<'a> {
    pub(super) fn new(topology: &'a Topology, change: &'a Change, plan: &Plan) -> Self {
        let mut nodes = Table::filled(String::new(), plan.nodes.len());
        for (service, item) in topology.services.iter().zip(&plan.services) {
            nodes[item.node].clone_from(&service.name);
            for (endpoint, node) in service.endpoints.iter().zip(&item.endpoints) {
                nodes[*node] = format!("{}/{}", service.name, endpoint.name);
            }
        }
        for (flow, item) in topology.flows.iter().zip(&plan.flows) {
            nodes[item.node].clone_from(&flow.name);
        }
        let written = topology.declared_dependencies();
        let dependencies = written
            .map(|(caller, written)| {
                (topology.caller_name(caller), topology.dependency_name(written))
            })
            .collect();
        let replicas = plan.services.entries().flat_map(|(service, item)| {
            (0..item.replicas.len() as u32).map(move |number| (service, number))
        });
        Self { topology, change, nodes, dependencies, replicas: replicas.collect() }
    }

    /// A node: `service`, `service/endpoint`, or a flow.
    pub(super) fn node_name(&self, node: NodeId) -> &str {
        &self.nodes[node]
    }

    /// Returns the name of a dependency, with its two ends.
    pub(super) fn dependency_name(&self, dependency: DependencyId) -> PartName {
        let (caller, on) = &self.dependencies[dependency];
        PartName::of_call(caller.clone(), on.clone())
    }

    /// A service.
    pub(super) fn service_name(&self, service: ServiceId) -> &str {
        &self.topology.service(service).name
    }

    /// The service of a replica.
    pub(super) fn service_of_replica(&self, replica: ReplicaId) -> ServiceId {
        self.replicas[replica].0
    }

    /// Returns the kind of an event and the name of what it happens to. For a target, that is the
    /// component that it hits.
    pub(super) fn event_name(&self, event: ExactEvent) -> (CutEventKind, PartName) {
        match event {
            ExactEvent::Domain(domain) => {
                (CutEventKind::Domain, self.topology.domain(domain).name.clone().into())
            }
            ExactEvent::Service(service) => {
                (CutEventKind::Service, self.service_name(service).to_owned().into())
            }
            ExactEvent::Replica(replica) => {
                let (service, number) = self.replicas[replica];
                let text = format!("{}#{number}", self.service_name(service));
                (CutEventKind::Replica, PartName { text, call: None, replica: Some(number) })
            }
            ExactEvent::Target(target) | ExactEvent::Mode(target, _) => {
                match self.change.targets[target.index()].on {
                    TargetRef::Domain(domain) => {
                        (CutEventKind::Domain, self.topology.domain(domain).name.clone().into())
                    }
                    TargetRef::Node(node) => {
                        let kind = if node.endpoint.is_some() {
                            CutEventKind::Endpoint
                        } else {
                            CutEventKind::Service
                        };
                        (kind, self.topology.node_name(node).into())
                    }
                }
            }
            ExactEvent::Reaches(reaches) => {
                (CutEventKind::Dependency, self.dependency_name(reaches))
            }
            ExactEvent::NoFallback(no_fallback) => {
                (CutEventKind::Fallback, self.dependency_name(no_fallback))
            }
        }
    }

    /// A part of a cut set.
    pub(super) fn cut_event_report(&self, part: &CutPart) -> CutEventReport {
        let (kind, PartName { text: name, call, replica }) = self.event_name(part.event);
        let modes = [FailureMode::Down, FailureMode::Slow, FailureMode::Corrupt];
        let mode = part.mode.map(|mode| modes[usize::from(mode)]);
        CutEventReport { kind, name, call, replica, mode }
    }
}
