//! The graph that the lints walk: a node for each service as such and for each endpoint.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::model::topology::{Dependency, NodeRef, Phase, ServiceId, Topology};

/// Nodes numbered by service and endpoint, hence in the order of their names.
pub(super) struct LintGraph<'a> {
    pub(super) topology: &'a Topology,
    /// The node of each service as such; its endpoints follow it.
    first: Vec<u32>,
    refs: Vec<NodeRef>,
}

impl<'a> LintGraph<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        let mut first = Vec::with_capacity(topology.services.len());
        let mut refs = Vec::new();
        for (index, service) in topology.services.iter().enumerate() {
            first.push(refs.len() as u32);
            let service_id = ServiceId(index as u32);
            refs.push(NodeRef { service: service_id, endpoint: None });
            let endpoints = 0..service.endpoints.len() as u32;
            refs.extend(
                endpoints.map(|endpoint| NodeRef { service: service_id, endpoint: Some(endpoint) }),
            );
        }
        Self { topology, first, refs }
    }

    pub(super) fn len(&self) -> usize {
        self.refs.len()
    }

    pub(super) fn index_of(&self, node: NodeRef) -> usize {
        let first = self.first[node.service.0 as usize] as usize;
        node.endpoint.map_or(first, |endpoint| first + 1 + endpoint as usize)
    }

    pub(super) fn node_at(&self, index: usize) -> NodeRef {
        self.refs[index]
    }

    pub(super) fn name_of(&self, index: usize) -> String {
        self.topology.node_name(self.refs[index])
    }

    /// The dependencies written for a node itself.
    pub(super) fn own_dependencies(&self, index: usize) -> &'a [Dependency] {
        let node = self.refs[index];
        let service = self.topology.service(node.service);
        match node.endpoint {
            None => &service.dependencies,
            Some(endpoint) => &service.endpoints[endpoint as usize].dependencies,
        }
    }

    /// The plain node of an endpoint's service, whose dependencies are the endpoint's too.
    pub(super) fn plain_node(&self, index: usize) -> Option<usize> {
        let node = self.refs[index];
        node.endpoint.map(|_| self.first[node.service.0 as usize] as usize)
    }

    /// Returns the nodes that a node refers to by those of its own dependencies that `wanted`
    /// accepts, and the plain node of an endpoint.
    pub(super) fn callees_of(
        &self,
        index: usize,
        wanted: impl Fn(&Dependency) -> bool,
    ) -> impl Iterator<Item = usize> {
        let dependencies = self.own_dependencies(index).iter().filter(move |dep| wanted(dep));
        let called = dependencies.flat_map(|dep| dep.on.iter()).map(|node| self.index_of(*node));
        self.plain_node(index).into_iter().chain(called)
    }

    /// The components of nodes that reach each other, callees before callers.
    pub(super) fn strong_components(
        &self,
        wanted: impl Fn(&Dependency) -> bool,
    ) -> Vec<Vec<usize>> {
        let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(self.len(), self.len());
        for _ in 0..self.len() {
            graph.add_node(());
        }
        for caller in 0..self.len() {
            for callee in self.callees_of(caller, &wanted) {
                graph.add_edge(NodeIndex::new(caller), NodeIndex::new(callee), ());
            }
        }
        // Kosaraju's algorithm is iterative in petgraph, Tarjan's recursive: a chain of 100,000
        // services would overflow the stack.
        let components = kosaraju_scc(&graph);
        components
            .into_iter()
            .map(|nodes| nodes.into_iter().map(NodeIndex::index).collect())
            .collect()
    }

    /// The number of the component that each node belongs to.
    pub(super) fn component_numbers(&self, components: &[Vec<usize>]) -> Vec<u32> {
        let mut numbers = vec![0; self.len()];
        for (number, nodes) in (0_u32..).zip(components) {
            for node in nodes {
                numbers[*node] = number;
            }
        }
        numbers
    }
}

/// Whether the caller fails when this fails fast for long: nothing softens, replaces or holds it back.
pub(super) fn is_hard(dependency: &Dependency) -> bool {
    !dependency.is_soft()
        && dependency.phase == Phase::Serve
        && dependency.fallback.is_none()
        && dependency.buffer.is_none()
        && dependency.needs as usize == dependency.on.len()
}
