//! The nodes and calls of a topology as plain lists, and which of them form cycles.

use std::collections::{BTreeMap, BTreeSet};

use blastwave::model::defaults;
use blastwave::model::topology::{CallKind, Dependency, NodeRef, Phase, ServiceId};
use blastwave::model::{Seconds, Topology};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service with this number as such.
    Service(usize),
    /// An endpoint of the service with this number.
    Endpoint(usize),
    /// The flow with this number.
    Flow(usize),
}

/// A service as such, an endpoint, or a flow.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// `service`, `service/endpoint` or the flow's name.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// The dependencies it calls: indices of [`Graph::written`].
    pub(crate) calls: Vec<usize>,
}

impl Node {
    /// The service whose health and capacity it has; a flow has none.
    pub(crate) fn service(&self) -> Option<usize> {
        match self.kind {
            Kind::Service(service) | Kind::Endpoint(service) => Some(service),
            Kind::Flow(_) => None,
        }
    }
}

/// A dependency as written: once, however many nodes make the call.
#[derive(Clone, Debug)]
pub(crate) struct Written<'a> {
    /// `service`, `service/endpoint`, or `flow:` and the flow's name.
    pub(crate) caller: String,
    /// The name of the node, or those of the members joined by `|`; from the second of the same
    /// name and caller on with `#2`, `#3` behind it.
    pub(crate) name: String,
    /// The name under which it is drawn: `caller>name`.
    pub(crate) key: String,
    /// What is written.
    pub(crate) dependency: &'a Dependency,
    /// What is called, as indices of [`Graph::nodes`]; several for an `any_of`.
    pub(crate) on: Vec<usize>,
    /// The node of the cache service.
    pub(crate) cache_service: Option<usize>,
    /// The node that is called instead.
    pub(crate) fallback: Option<usize>,
}

impl Written<'_> {
    /// Whether it is needed to serve, not only to start.
    pub(crate) fn serves(&self) -> bool {
        self.dependency.phase == Phase::Serve
    }

    /// Whether it is there for the load that it carries.
    pub(crate) fn is_for_load(&self) -> bool {
        self.dependency.kind == Some(CallKind::Load)
    }

    /// All nodes it refers to.
    fn refers_to(&self) -> impl Iterator<Item = usize> {
        self.on.iter().copied().chain(self.cache_service).chain(self.fallback)
    }
}

/// A topology as lists of nodes and dependencies.
#[derive(Clone, Debug)]
pub(crate) struct Graph<'a> {
    /// What it is made of.
    pub(crate) topology: &'a Topology,
    /// The services with their endpoints, then the flows.
    pub(crate) nodes: Vec<Node>,
    /// The dependencies as written.
    pub(crate) written: Vec<Written<'a>>,
    /// The cycles, a node in no cycle being one alone; what is called comes before its callers.
    pub(crate) cycles: Vec<Vec<usize>>,
    /// For each node the nodes that it reaches by calls, itself included.
    reach: Vec<BTreeSet<usize>>,
    /// For each node the lengths between which its delay is one piece.
    pub(crate) bounds: Vec<Vec<f64>>,
}

impl<'a> Graph<'a> {
    /// The graph of a topology.
    pub(crate) fn new(topology: &'a Topology) -> Self {
        let mut graph = Self {
            topology,
            nodes: Vec::new(),
            written: Vec::new(),
            cycles: Vec::new(),
            reach: Vec::new(),
            bounds: Vec::new(),
        };
        graph.add_nodes();
        graph.add_calls();
        graph.reach = (0..graph.nodes.len()).map(|node| graph.reached_from(node)).collect();
        graph.cycles = graph.find_cycles();
        graph.bounds = (0..graph.nodes.len()).map(|node| graph.bounds_of(node)).collect();
        graph
    }

    fn add_nodes(&mut self) {
        let node = |name: &str, kind| Node { name: name.to_owned(), kind, calls: Vec::new() };
        for (number, service) in self.topology.services.iter().enumerate() {
            self.nodes.push(node(&service.name, Kind::Service(number)));
            for endpoint in &service.endpoints {
                let name = format!("{}/{}", service.name, endpoint.name);
                self.nodes.push(node(&name, Kind::Endpoint(number)));
            }
        }
        for (number, flow) in self.topology.flows.iter().enumerate() {
            self.nodes.push(node(&flow.name, Kind::Flow(number)));
        }
    }

    fn add_calls(&mut self) {
        let topology = self.topology;
        for (number, service) in topology.services.iter().enumerate() {
            // A service-level dependency is made by the plain node and by every endpoint.
            let all = self.nodes_of(number);
            self.add_dependencies(&service.name, &service.dependencies, &all);
            for (endpoint, node) in service.endpoints.iter().zip(&all[1..]) {
                let caller = self.nodes[*node].name.clone();
                self.add_dependencies(&caller, &endpoint.dependencies, &[*node]);
            }
        }
        for (number, flow) in topology.flows.iter().enumerate() {
            let node = self.flow(number);
            self.add_dependencies(&format!("flow:{}", flow.name), &flow.steps, &[node]);
        }
    }

    fn add_dependencies(&mut self, caller: &str, list: &'a [Dependency], callers: &[usize]) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for dependency in list {
            let mut name = self.topology.dependency_name(dependency);
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            if *count > 1 {
                name = format!("{name}#{count}");
            }
            let cache_service = dependency.cache.and_then(|cache| cache.service);
            for node in callers {
                self.nodes[*node].calls.push(self.written.len());
            }
            self.written.push(Written {
                caller: caller.to_owned(),
                key: format!("{caller}>{name}"),
                name,
                dependency,
                on: dependency.on.iter().map(|on| self.node(*on)).collect(),
                cache_service: cache_service
                    .map(|service| self.node(NodeRef { service, endpoint: None })),
                fallback: dependency.fallback.and_then(|f| f.on).map(|on| self.node(on)),
            });
        }
    }

    fn reached_from(&self, start: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([start]);
        let mut todo = vec![start];
        while let Some(node) = todo.pop() {
            for written in self.calls(node).filter(|written| written.serves()) {
                for next in written.refers_to() {
                    if reached.insert(next) {
                        todo.push(next);
                    }
                }
            }
        }
        reached
    }

    fn find_cycles(&self) -> Vec<Vec<usize>> {
        // A caller reaches all that its dependency reaches, and itself besides unless they form a
        // cycle: so the number of nodes reached puts what is called first.
        let mut cycles: Vec<Vec<usize>> = Vec::new();
        for node in 0..self.nodes.len() {
            match cycles.iter_mut().find(|cycle| self.same_cycle(cycle[0], node)) {
                Some(cycle) => cycle.push(node),
                None => cycles.push(vec![node]),
            }
        }
        cycles.sort_by_key(|cycle| self.reach[cycle[0]].len());
        cycles
    }

    fn same_cycle(&self, a: usize, b: usize) -> bool {
        self.reach[a].contains(&b) && self.reach[b].contains(&a)
    }

    /// Whether this call of `node` is inside a cycle: anything it refers to reaches `node` again.
    pub(crate) fn is_inside(&self, node: usize, written: usize) -> bool {
        let written = &self.written[written];
        written.serves() && written.refers_to().any(|other| self.same_cycle(node, other))
    }

    /// The service that wrote a dependency; a flow is none.
    pub(crate) fn caller_of(&self, written: usize) -> Option<usize> {
        let caller = self.nodes.iter().find(|node| node.calls.contains(&written));
        caller.and_then(Node::service)
    }

    /// Whether a node is one of a service.
    pub(crate) fn is_of(&self, node: usize, service: usize) -> bool {
        self.nodes[node].service() == Some(service)
    }

    /// The dependencies that a node calls.
    pub(crate) fn calls(&self, node: usize) -> impl Iterator<Item = &Written<'a>> {
        self.nodes[node].calls.iter().map(|written| &self.written[*written])
    }

    /// The index of what a reference points at.
    pub(crate) fn node(&self, reference: NodeRef) -> usize {
        let endpoint = reference.endpoint.map_or(0, |endpoint| endpoint as usize + 1);
        self.nodes_of(reference.service.0 as usize)[endpoint]
    }

    /// The flow of a node, if it is one's.
    pub(crate) fn flow_of(&self, node: usize) -> Option<usize> {
        match self.nodes[node].kind {
            Kind::Flow(flow) => Some(flow),
            Kind::Service(_) | Kind::Endpoint(_) => None,
        }
    }

    /// How long those wait that call a node: infinite for one without a timeout.
    fn patience_at(&self, node: usize) -> impl Iterator<Item = f64> {
        let waits = move |written: &&Written<'_>| {
            written.serves()
                && matches!(written.dependency.kind, None | Some(CallKind::Sync))
                && written.on.contains(&node)
        };
        self.written.iter().filter(waits).map(|written| {
            written.dependency.waits_per_attempt().map_or(f64::INFINITY, Seconds::get)
        })
    }

    /// The timeouts of those that call a node.
    pub(crate) fn timeouts(&self, node: usize) -> Vec<f64> {
        self.patience_at(node).filter(|timeout| timeout.is_finite()).collect()
    }

    /// How long those wait that call any node of a service.
    pub(crate) fn timeouts_of_service(&self, service: usize) -> Vec<f64> {
        self.nodes_of(service).into_iter().flat_map(|node| self.patience_at(node)).collect()
    }

    /// A quarter and half of the shortest wait of its callers, then those waits; of more than four the
    /// shortest, the longest and two between.
    fn bounds_of(&self, node: usize) -> Vec<f64> {
        let limits = self.limits(node);
        let last = limits.len() - 1;
        let kept =
            if last < 4 { limits.clone() } else { (0..4).map(|k| limits[k * last / 3]).collect() };
        [vec![limits[0] / 4.0, limits[0] / 2.0], kept].concat()
    }

    /// How long anybody waits for a node, each once: those without a timeout as long as those that wait
    /// for them, and one minute where nobody does.
    fn limits(&self, node: usize) -> Vec<f64> {
        let mut limits = self.timeouts(node);
        if let Some(flow) = self.flow_of(node) {
            let flow = &self.topology.flows[flow];
            limits.push(flow.patience.unwrap_or(defaults::PATIENCE).get());
            limits.extend(flow.objective.and_then(|objective| objective.latency).map(Seconds::get));
        }
        for caller in 0..self.nodes.len() {
            for number in &self.nodes[caller].calls {
                let written = &self.written[*number];
                let call = written.dependency;
                let waits = written.serves() && matches!(call.kind, None | Some(CallKind::Sync));
                let without_end = call.waits_per_attempt().is_none() && written.on.contains(&node);
                if waits
                    && !self.is_inside(caller, *number)
                    && (without_end || written.fallback == Some(node))
                {
                    limits.extend(self.limits(caller));
                }
            }
        }
        if limits.is_empty() {
            limits.push(60.0);
        }
        limits.sort_by(f64::total_cmp);
        limits.dedup();
        limits
    }

    /// The index of a flow's node.
    pub(crate) fn flow(&self, flow: usize) -> usize {
        self.nodes.len() - self.topology.flows.len() + flow
    }

    /// The nodes of a service: it as such, then its endpoints.
    pub(crate) fn nodes_of(&self, service: usize) -> Vec<usize> {
        let of = |node: &usize| self.nodes[*node].service() == Some(service);
        (0..self.nodes.len()).filter(of).collect()
    }

    /// The name of a service.
    pub(crate) fn service_name(&self, service: usize) -> &'a str {
        &self.topology.service(ServiceId(service as u32)).name
    }
}
