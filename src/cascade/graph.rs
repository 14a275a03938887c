//! The graph of failure between services and failure domains, with the figures of a report.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::calls::{CallOutcome, call_outcomes, flows_by_service, service_calls};
use crate::model::Topology;
use crate::model::topology::{DomainId, Service};
use crate::report::cascade::{
    BoxState, CascadeBox, CascadeEdge, CascadeTotals, EdgeKind, GuardShare,
};
use crate::report::{FailureMode, Protection, TimelineMode};
use crate::report::{Interval, Report, UnitReport, WaitingReport};
use crate::sort::{Arrange as _, Gather as _};

/// From this share of trials on, a service counts as one that fails rather than one that may fail.
const FAILS_FROM: f64 = 0.5;

/// Median times of first failures that differ by no more than this, in seconds, share a place in the
/// order.
const SAME_TIME_S: f64 = 0.5;
/// The same as a share of the earlier time.
const SAME_TIME_SHARE: f64 = 0.01;

/// A failure domain or a service, by its index in the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CascadeNode {
    Domain(usize),
    Service(usize),
}

/// Everything that a cascade may show.
pub(super) struct CascadeGraph<'a> {
    topology: &'a Topology,
    report: &'a Report,
    /// By service.
    units: Vec<&'a UnitReport>,
    origins: BTreeSet<CascadeNode>,
    /// By dependency and caller.
    outcomes: BTreeMap<(usize, usize), CallOutcome>,
    /// From failing domains to what runs in them.
    hosted: Vec<(CascadeNode, CascadeNode, f64)>,
    /// From what surges, or is lost as a cache, to what is overloaded.
    overloaded: Vec<(CascadeNode, CascadeNode, f64)>,
    hops: BTreeMap<CascadeNode, usize>,
    /// By service: the flows that run over it.
    flows: Vec<Vec<String>>,
    /// By service: why requests wait in vain there, or at its calls.
    waiting: Vec<Vec<WaitingReport>>,
}

impl<'a> CascadeGraph<'a> {
    /// Joins a topology with the report of its simulation.
    pub(super) fn new(topology: &'a Topology, report: &'a Report) -> Self {
        let by_name: BTreeMap<&str, &UnitReport> =
            report.services.iter().map(|unit| (unit.name.as_str(), unit)).into_map();
        let unit_of = |service: &Service| {
            // The report of a simulation holds all services of its topology.
            *by_name.get(service.name.as_str()).expect("a report of every service")
        };
        let targets = report.targets.iter();
        let mut graph = Self {
            topology,
            report,
            units: topology.services.iter().map(unit_of).collect(),
            origins: targets.filter_map(|target| origin_node(topology, &target.name)).into_set(),
            outcomes: call_outcomes(topology, report),
            hosted: Vec::new(),
            overloaded: Vec::new(),
            hops: BTreeMap::new(),
            flows: flows_by_service(topology),
            waiting: waiting_by_service(topology, report),
        };
        graph.hosted = graph.find_hosted();
        graph.overloaded = graph.find_overloaded();
        graph.hops = graph.count_hops();
        graph
    }

    /// Counts the services that are hit more rarely than the reached ones, and those that are never hit.
    pub(super) fn count_others(&self, reached: &BTreeSet<CascadeNode>) -> (usize, usize) {
        let nodes = (0..self.units.len()).map(CascadeNode::Service);
        let others: Vec<CascadeNode> = nodes.filter(|node| !reached.contains(node)).collect();
        let rarely_hit = others.iter().filter(|node| self.hit_share(**node) > 0.0).count();
        (rarely_hit, others.len() - rarely_hit)
    }

    /// Counts how many calls each node is away from the nearest origin, over calls at which failure
    /// arrived.
    fn count_hops(&self) -> BTreeMap<CascadeNode, usize> {
        let mut next: BTreeMap<CascadeNode, Vec<CascadeNode>> = BTreeMap::new();
        for ((dependency, caller), outcome) in &self.outcomes {
            // A call at which nothing arrived is no way of failure.
            if outcome.exposed > 0.0 {
                next.entry(CascadeNode::Service(*dependency))
                    .or_default()
                    .push(CascadeNode::Service(*caller));
            }
        }
        for (from, to, _) in self.hosted.iter().chain(&self.overloaded) {
            next.entry(*from).or_default().push(*to);
        }
        // Breadth first from all origins at once, so each node is found by its shortest way.
        let mut hops: BTreeMap<CascadeNode, usize> =
            self.origins.iter().map(|node| (*node, 0)).into_map();
        let mut queue: VecDeque<CascadeNode> = self.origins.iter().copied().collect();
        while let Some(node) = queue.pop_front() {
            let further = hops[&node] + 1;
            for to in next.get(&node).into_iter().flatten() {
                if !hops.contains_key(to) {
                    hops.insert(*to, further);
                    queue.push_back(*to);
                }
            }
        }
        hops
    }

    /// Returns the probability that a node fails or is degraded.
    fn hit_share(&self, node: CascadeNode) -> f64 {
        match node {
            // A domain that breaks is down in every trial.
            CascadeNode::Domain(_) => 1.0,
            CascadeNode::Service(index) => hit_share(self.units[index]),
        }
    }

    /// Returns the probability that a node fails.
    fn failed_share(&self, node: CascadeNode) -> f64 {
        match node {
            CascadeNode::Domain(_) => 1.0,
            CascadeNode::Service(index) => self.units[index].caused.failed.p,
        }
    }

    /// Returns the median time of the first failure in seconds: 0 in a snapshot, infinity for what never
    /// fails in time.
    fn first_failed_s(&self, node: CascadeNode) -> f64 {
        match node {
            CascadeNode::Domain(_) => 0.0,
            CascadeNode::Service(_) if self.report.timeline.mode == TimelineMode::Snapshot => 0.0,
            CascadeNode::Service(index) => {
                self.units[index].first_failed_s.map_or(f64::INFINITY, |first| first.p50)
            }
        }
    }

    /// Returns what breaks, what is hit in this share of trials, and the callers whose protection held
    /// in as many.
    pub(super) fn reached_nodes(&self, threshold: f64) -> BTreeSet<CascadeNode> {
        let services = (0..self.units.len()).map(CascadeNode::Service);
        let mut reached = services.filter(|node| self.hit_share(*node) >= threshold).into_set();
        reached.extend(self.origins.iter().copied());
        // A copy, so that a caller which is added here does not bring in callers of its own.
        let hit = reached.clone();
        for ((dependency, caller), outcome) in &self.outcomes {
            let is_held = outcome.strongest_guard() >= threshold;
            if is_held && hit.contains(&CascadeNode::Service(*dependency)) {
                reached.insert(CascadeNode::Service(*caller));
            }
        }
        reached
    }

    /// Returns the most important nodes, at most so many, in the order of impact.
    pub(super) fn most_important(
        &self,
        reached: &BTreeSet<CascadeNode>,
        most: usize,
    ) -> Vec<CascadeNode> {
        let mut nodes: Vec<CascadeNode> = reached.iter().copied().collect();
        let hops = |node: &CascadeNode| self.hops.get(node).copied().unwrap_or(usize::MAX);
        let is_other = |node: &CascadeNode| !self.origins.contains(node);
        // Only where something must go: the order of importance is another one than that of impact.
        if nodes.len() > most {
            nodes.arrange_by(|a, b| {
                let failed = self.failed_share(*b).total_cmp(&self.failed_share(*a));
                let hit = self.hit_share(*b).total_cmp(&self.hit_share(*a));
                // Of what is hit alike, the nearer comes first: so the picture hangs together.
                let near = hops(a).cmp(&hops(b));
                is_other(a).cmp(&is_other(b)).then(failed).then(hit).then(near).then(a.cmp(b))
            });
            nodes.truncate(most);
        }
        // Shown in the order in which failure arrives.
        nodes.arrange_by(|a, b| {
            let time = self.first_failed_s(*a).total_cmp(&self.first_failed_s(*b));
            let often = self.failed_share(*b).total_cmp(&self.failed_share(*a));
            let order = is_other(a).cmp(&is_other(b)).then(time);
            order.then(hops(a).cmp(&hops(b))).then(often).then(a.cmp(b))
        });
        nodes
    }

    /// Returns the boxes of nodes that stand in the order of impact.
    pub(super) fn cascade_boxes(&self, shown: &[CascadeNode], threshold: f64) -> Vec<CascadeBox> {
        let ranks = self.failure_ranks(shown, threshold);
        let mut boxes = Vec::with_capacity(shown.len());
        for (node, rank) in shown.iter().zip(ranks) {
            let is_origin = self.origins.contains(node);
            boxes.push(match *node {
                CascadeNode::Domain(index) => CascadeBox { rank, ..self.domain_box(index) },
                CascadeNode::Service(index) => CascadeBox {
                    rank,
                    hops: self.hops.get(node).copied(),
                    ..self.service_box(index, is_origin, threshold)
                },
            });
        }
        boxes
    }

    /// Returns the place of each node in the order of first failures: none without time, and none for
    /// what fails in fewer trials than the threshold.
    fn failure_ranks(&self, shown: &[CascadeNode], threshold: f64) -> Vec<Option<usize>> {
        let has_time = self.report.timeline.mode == TimelineMode::Rollout;
        let (mut rank, mut last) = (0, f64::NEG_INFINITY);
        let rank_of = |node: &CascadeNode| {
            if !has_time {
                return None;
            }
            if self.origins.contains(node) {
                // What breaks is the start of the order.
                return Some(0);
            }
            let time = self.first_failed_s(*node);
            // The times of what hardly ever fails because of the change are those of other failures.
            if time.is_infinite() || self.failed_share(*node) < threshold {
                return None;
            }
            // Medians that lie this close together are one moment to a reader.
            if time > (last + SAME_TIME_S).max(last * (1.0 + SAME_TIME_SHARE)) {
                // From the first of a rank and not from the last, so that a chain of small steps
                // does not become one rank.
                (rank, last) = (rank + 1, time);
            }
            Some(rank)
        };
        shown.iter().map(rank_of).collect()
    }

    /// Counts the services that do not break themselves, by state.
    pub(super) fn state_totals(
        &self,
        reached: &BTreeSet<CascadeNode>,
        threshold: f64,
    ) -> CascadeTotals {
        let mut totals = CascadeTotals::default();
        for (index, unit) in self.units.iter().enumerate() {
            // What breaks itself is counted nowhere, since the picture names it.
            let node = CascadeNode::Service(index);
            if self.origins.contains(&node) {
                continue;
            }
            match state_of(unit, threshold) {
                BoxState::Origin => {}
                BoxState::Fails => totals.fails += 1,
                BoxState::MayFail => totals.may_fail += 1,
                BoxState::Degrades => totals.degrades += 1,
                // What holds counts only where failure came to it: all others hold too.
                BoxState::Holds => totals.holds += usize::from(reached.contains(&node)),
            }
        }
        totals
    }

    fn domain_box(&self, index: usize) -> CascadeBox {
        let domain = &self.topology.domains[index];
        let certain = Interval { p: 1.0, low: 1.0, high: 1.0, exact: None };
        CascadeBox {
            name: domain.name.clone(),
            title: None,
            state: BoxState::Origin,
            rank: None,
            hops: Some(0),
            failed: certain,
            degraded: certain,
            failed_anyway: 0.0,
            first_failed_s: None,
            failed_for_s: None,
            team: None,
            zones: Vec::new(),
            tier: None,
            kind: Some(domain.kind.clone().unwrap_or_else(|| "failure domain".to_owned())),
            flows: Vec::new(),
            waiting: Vec::new(),
            folded: None,
        }
    }

    fn service_box(&self, index: usize, is_origin: bool, threshold: f64) -> CascadeBox {
        let (service, unit) = (&self.topology.services[index], self.units[index]);
        let zone_name = |id: DomainId| self.topology.domain(id).name.clone();
        CascadeBox {
            name: service.name.clone(),
            title: service.title.clone(),
            state: if is_origin { BoxState::Origin } else { state_of(unit, threshold) },
            rank: None,
            hops: None,
            failed: unit.caused.failed,
            degraded: unit.caused.degraded,
            failed_anyway: unit.baseline.failed.p,
            first_failed_s: unit.first_failed_s,
            failed_for_s: unit.failed_for_s,
            team: service.team.clone(),
            zones: service_zones(service).into_iter().map(zone_name).collect(),
            tier: service.tier,
            kind: Some(service.kind.clone()),
            flows: self.flows[index].clone(),
            waiting: self.waiting[index]
                .iter()
                .filter(|reason| reason.p >= threshold)
                .cloned()
                .collect(),
            folded: None,
        }
    }

    /// Returns the links between nodes that are shown, each hit in at least this share of trials.
    pub(super) fn cascade_edges(&self, shown: &[CascadeNode], threshold: f64) -> Vec<CascadeEdge> {
        let places: BTreeMap<CascadeNode, usize> =
            shown.iter().enumerate().map(|(index, node)| (*node, index)).into_map();
        let mut edges = self.call_edges(&places, threshold);
        let mut is_reached = vec![false; shown.len()];
        for edge in &edges {
            is_reached[edge.to] |= edge.passed >= threshold || !edge.held.is_empty();
        }
        let hosted = self.hosted.iter().map(|link| (link, EdgeKind::RunsIn));
        let overloaded = self.overloaded.iter().map(|link| (link, EdgeKind::Load));
        for ((from, to, share), kind) in hosted.chain(overloaded) {
            let (Some(from), Some(to)) = (places.get(from), places.get(to)) else { continue };
            let is_surge = kind == EdgeKind::Load && self.origins.contains(&shown[*from]);
            // Where a box runs explains its failure only if no call does.
            if *share >= threshold && (is_surge || !is_reached[*to]) {
                is_reached[*to] = true;
                edges.push(plain_edge(*from, *to, kind, *share));
            }
        }
        for (index, node) in shown.iter().enumerate() {
            if !self.origins.contains(node) && !is_reached[index] {
                let from = self.degrading_nodes(*node, &places, threshold);
                let links = from.into_iter();
                edges.extend(
                    links.map(|(from, share)| plain_edge(from, index, EdgeKind::Degraded, share)),
                );
            }
        }
        // In the order of boxes, so that the drawing does not depend on how edges were found.
        edges.arrange_by_key(|edge| (edge.from, edge.to));
        edges
    }

    fn call_edges(
        &self,
        places: &BTreeMap<CascadeNode, usize>,
        threshold: f64,
    ) -> Vec<CascadeEdge> {
        let mut edges = Vec::new();
        for ((dependency, caller), outcome) in &self.outcomes {
            let ends = (
                places.get(&CascadeNode::Service(*dependency)),
                places.get(&CascadeNode::Service(*caller)),
            );
            let (Some(from), Some(to)) = ends else { continue };
            // A call is shown if something came through or was held, either of them often enough.
            if outcome.passed.max(outcome.strongest_guard()) >= threshold {
                edges.push(CascadeEdge {
                    held: guard_shares(&outcome.held),
                    ..plain_edge(*from, *to, EdgeKind::Call, outcome.passed)
                });
            }
        }
        edges
    }

    /// Returns the shown dependencies whose degraded answers degrade a node, with the share of trials.
    /// A soft call does not feel them.
    fn degrading_nodes(
        &self,
        node: CascadeNode,
        places: &BTreeMap<CascadeNode, usize>,
        threshold: f64,
    ) -> BTreeMap<usize, f64> {
        let mut found = BTreeMap::new();
        let CascadeNode::Service(index) = node else { return found };
        let hard = service_calls(&self.topology.services[index]).filter(|call| !call.is_soft());
        for target in hard.flat_map(|call| &call.on) {
            let from = CascadeNode::Service(target.service.0 as usize);
            // A box cannot be degraded by another more often than either of them is hit.
            let share = self.hit_share(from).min(self.hit_share(node));
            if let Some(place) = places.get(&from).filter(|_| from != node && share >= threshold) {
                found.insert(*place, share);
            }
        }
        found
    }

    /// Returns links from target domains to the services in them, with the chance that these are hit.
    fn find_hosted(&self) -> Vec<(CascadeNode, CascadeNode, f64)> {
        let mut found = Vec::new();
        for origin in &self.origins {
            let CascadeNode::Domain(domain) = origin else { continue };
            for (index, service) in self.topology.services.iter().enumerate() {
                let mut zones = service_zones(service).into_iter();
                if zones.any(|zone| is_within(self.topology, zone, *domain)) {
                    let node = CascadeNode::Service(index);
                    found.push((*origin, node, self.hit_share(node)));
                }
            }
        }
        found
    }

    /// Returns links from targets that may surge to what they call, and from caches whose loss sends all
    /// calls on to what stands behind them, with the chance of its failure.
    fn find_overloaded(&self) -> Vec<(CascadeNode, CascadeNode, f64)> {
        let mut found = BTreeMap::new();
        for target in &self.report.targets {
            let origin = origin_node(self.topology, &target.name);
            let Some(from @ CascadeNode::Service(index)) = origin else { continue };
            if target.modes.contains_key(&FailureMode::Surge) {
                let calls = service_calls(&self.topology.services[index]);
                for called in calls.flat_map(|call| &call.on) {
                    let to = CascadeNode::Service(called.service.0 as usize);
                    if to != from {
                        found.insert((from, to), self.hit_share(to));
                    }
                }
            }
        }
        for call in self.topology.services.iter().flat_map(service_calls) {
            let Some(cache) = call.cache.as_ref().and_then(|cache| cache.service) else { continue };
            let from = CascadeNode::Service(cache.0 as usize);
            for called in &call.on {
                let to = CascadeNode::Service(called.service.0 as usize);
                // A service whose capacity is unknown cannot be overloaded.
                let has_limit = self.topology.service(called.service).utilization.is_some();
                // A cache that never fails sends nothing on.
                if to != from && has_limit && self.failed_share(from) > 0.0 {
                    // Both must happen, so the rarer of the two bounds it.
                    let share = self.failed_share(from).min(self.hit_share(to));
                    let known = found.entry((from, to)).or_insert(share);
                    *known = known.max(share);
                }
            }
        }
        found.into_iter().map(|((from, to), share)| (from, to, share)).collect()
    }
}

/// Returns the probability that a unit fails or is degraded because of the change.
pub(super) fn hit_share(unit: &UnitReport) -> f64 {
    // What is degraded anyway and fails because of the change counts only in the second.
    unit.caused.degraded.p.max(unit.caused.failed.p)
}

/// Returns the state of a service that does not break itself.
fn state_of(unit: &UnitReport, threshold: f64) -> BoxState {
    if unit.caused.failed.p >= FAILS_FROM {
        BoxState::Fails
    } else if unit.caused.failed.p >= threshold {
        BoxState::MayFail
    } else if unit.caused.degraded.p >= threshold {
        BoxState::Degrades
    } else {
        BoxState::Holds
    }
}

fn plain_edge(from: usize, to: usize, kind: EdgeKind, passed: f64) -> CascadeEdge {
    CascadeEdge { from, to, kind, passed, held: Vec::new() }
}

/// Returns protections, strongest first.
fn guard_shares(held: &BTreeMap<Protection, f64>) -> Vec<GuardShare> {
    let share_of =
        |(guard, share): (&Protection, &f64)| GuardShare { guard: *guard, share: *share };
    let mut shares: Vec<GuardShare> = held.iter().map(share_of).collect();
    // Equal shares in the order of protections, so that names never change places.
    shares.arrange_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.guard.cmp(&b.guard)));
    shares
}

fn origin_node(topology: &Topology, name: &str) -> Option<CascadeNode> {
    // A target may be an endpoint; it is shown by its service.
    let service = topology.node(name).map(|node| CascadeNode::Service(node.service.0 as usize));
    service.or_else(|| topology.domain_id(name).map(|id| CascadeNode::Domain(id.0 as usize)))
}

/// Returns the failure domains that a service or its replicas are in.
fn service_zones(service: &Service) -> Vec<DomainId> {
    let replicas = service.replicas.iter().flat_map(|replicas| &replicas.domains);
    let mut zones: Vec<DomainId> = replicas.copied().collect();
    // Replicas say more exactly where a service runs than the service itself.
    if zones.is_empty() {
        zones.clone_from(&service.domains);
    }
    zones.sort();
    zones.dedup();
    zones
}

/// Returns whether a domain is another one or lies in it.
fn is_within(topology: &Topology, inner: DomainId, outer: usize) -> bool {
    let mut next = Some(inner);
    while let Some(id) = next {
        if id.0 as usize == outer {
            return true;
        }
        next = topology.domain(id).within;
    }
    false
}
/// Returns, by service, why requests wait in vain there, or at its calls and those of its endpoints.
pub(super) fn waiting_by_service(topology: &Topology, report: &Report) -> Vec<Vec<WaitingReport>> {
    let mut reasons: BTreeMap<&str, Vec<WaitingReport>> = BTreeMap::new();
    for reason in &report.waiting {
        let service = reason.service.split('/').next().unwrap_or_default();
        reasons.entry(service).or_default().push(reason.clone());
    }
    let services = topology.services.iter();
    services.map(|service| reasons.remove(&*service.name).unwrap_or_default()).collect()
}
