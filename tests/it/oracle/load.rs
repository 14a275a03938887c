//! Load travels to dependencies: section "One moment: load travels to dependencies".

use std::collections::BTreeMap;

use blastwave::model::change::TargetRef;
use blastwave::model::topology::MemberMode;
use blastwave::model::{Rate, defaults};

use super::approach::{self, Approach};
use super::graph::{Graph, Kind};
use super::messages;
use super::moment::{Contribution, Here, SETTLED, SLACK, Seen, Situation, State};
use super::waiting::EDGE;
use super::world::World;

/// One way on which load comes to a node.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Arrival {
    /// The calling node.
    from: usize,
    /// The dependency as written.
    written: usize,
    /// The node called.
    to: usize,
    /// What it is called as.
    role: Role,
    /// Its normal traffic; `None` = unknown.
    normal: Option<f64>,
    /// Whether it comes only by way of a fallback: a fallback call, or a call of something that
    /// only fallbacks reach. In normal times there is none of it.
    extra: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// The dependency with this position among the members.
    Member(usize),
    /// What is called instead.
    Fallback,
}

/// Who normally calls whom how much.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    arrivals: Vec<Arrival>,
}

impl Traffic {
    /// The normal traffic of a topology.
    pub(crate) fn new(graph: &Graph) -> Self {
        let mut arrivals = Vec::new();
        for from in (0..graph.nodes.len()).filter(|node| counts(graph, *node)) {
            for &written in &graph.nodes[from].calls {
                let call = &graph.written[written];
                if graph.is_inside(from, written) || !call.serves() {
                    continue;
                }
                let arrival =
                    |to, role| Arrival { from, written, to, role, normal: None, extra: false };
                let members = call.on.iter().enumerate();
                arrivals.extend(members.map(|(member, to)| arrival(*to, Role::Member(member))));
                arrivals.extend(call.fallback.map(|to| arrival(to, Role::Fallback)));
            }
        }
        let mut traffic = Self { arrivals };
        traffic.follow_flows(graph);
        traffic
    }

    /// Callers first: each node's traffic goes on to what it calls.
    fn follow_flows(&mut self, graph: &Graph) {
        for &node in graph.cycles.iter().rev().flatten() {
            let traffic = match graph.nodes[node].kind {
                Kind::Flow(flow) => graph.topology.flows[flow].rate.map(Rate::get),
                Kind::Service(_) | Kind::Endpoint(_) => self.arriving(node),
            };
            let only_fallback = self.is_only_fallback(node);
            for arrival in self.arrivals.iter_mut().filter(|arrival| arrival.from == node) {
                let call = graph.written[arrival.written].dependency;
                let stands_by = call.mode == Some(MemberMode::Failover)
                    && !matches!(arrival.role, Role::Member(0));
                arrival.extra = only_fallback || arrival.role == Role::Fallback || stands_by;
                let to_each = matches!(call.mode, Some(MemberMode::Failover | MemberMode::Quorum));
                let share = match arrival.role {
                    Role::Member(_) if to_each => 1.0,
                    Role::Member(_) if call.any_of => f64::from(call.needs) / call.on.len() as f64,
                    Role::Member(_) | Role::Fallback => 1.0,
                };
                arrival.normal = traffic.map(|traffic| {
                    traffic * call.call_probability.get() * f64::from(call.calls) * share
                });
            }
        }
    }

    /// Whether something calls the node, and only by way of fallbacks.
    fn is_only_fallback(&self, node: usize) -> bool {
        let mut arriving = self.arrivals.iter().filter(|arrival| arrival.to == node).peekable();
        arriving.peek().is_some() && arriving.all(|arrival| arrival.extra)
    }

    /// The traffic of a service's node; unknown where nothing arrives. What only fallbacks reach
    /// has what it gets when all its callers fall back.
    fn arriving(&self, node: usize) -> Option<f64> {
        let only_fallback = self.is_only_fallback(node);
        let counted: Vec<&Arrival> = self
            .arrivals
            .iter()
            .filter(|arrival| arrival.to == node && arrival.extra == only_fallback)
            .collect();
        if counted.is_empty() {
            return None;
        }
        counted.iter().map(|arrival| arrival.normal).sum()
    }

    /// What comes to the nodes of a service.
    fn to_service(&self, graph: &Graph, service: usize) -> impl Iterator<Item = &Arrival> {
        self.arrivals.iter().filter(move |a| graph.nodes[a.to].service() == Some(service))
    }
}

/// How many requests per second come to a target in normal times: `None` for a failure domain, which
/// gets none, NaN where it is not known.
pub(crate) fn target_rate(graph: &Graph, on: TargetRef) -> Option<f64> {
    let TargetRef::Node(node) = on else { return None };
    let traffic = Traffic::new(graph);
    let is_hit = |arrival: &&Arrival| match node.endpoint {
        None => graph.nodes[arrival.to].service() == Some(node.service.0 as usize),
        Some(_) => arrival.to == graph.node(node),
    };
    let arrivals: Vec<&Arrival> = traffic.arrivals.iter().filter(is_hit).collect();
    if arrivals.is_empty() || arrivals.iter().any(|arrival| arrival.normal.is_none()) {
        return Some(f64::NAN);
    }
    let normal = arrivals.iter().filter(|arrival| !arrival.extra);
    Some(normal.filter_map(|arrival| arrival.normal).sum())
}

/// Whether the node's calls count: a service's plain node that nothing refers to and that has
/// endpoints does not.
fn counts(graph: &Graph, node: usize) -> bool {
    let Kind::Service(service) = graph.nodes[node].kind else { return true };
    graph.topology.services[service].endpoints.is_empty()
        || graph.written.iter().filter(|written| written.serves()).any(|written| {
            let others = written.cache_service.iter().chain(&written.fallback);
            written.on.iter().chain(others).any(|other| *other == node)
        })
}

/// What a moment came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moment {
    /// By node: its state, over all cohorts.
    pub(crate) states: Vec<State>,
    /// By cohort: its share of all users.
    pub(crate) weights: Vec<f64>,
    /// By service: whether so much waits that somebody gives up, and it does not get less.
    pub(crate) swamped: Vec<bool>,
    /// By node: the share that it answers too late for its most impatient caller, over all cohorts.
    pub(crate) too_late: Vec<f64>,
    /// By cohort and node: the same.
    pub(crate) too_late_by_cohort: Vec<Vec<f64>>,
    /// By cohort: the states of its nodes.
    pub(crate) by_cohort: Vec<Vec<State>>,
    /// By cohort and dependency as written: the member that all calls went to.
    pub(crate) active: Vec<BTreeMap<usize, usize>>,
    /// By node: the share that it does not answer by its own health, over all cohorts.
    pub(crate) own_failing: Vec<f64>,
    /// By cohort and dependency as written: what it contributes.
    pub(crate) contributions: Vec<Vec<Contribution>>,
    /// By service: its load, 1 being normal.
    pub(crate) loads: Vec<f64>,
    /// By service: its load without what its own health fails.
    pub(crate) coming: Vec<f64>,
    /// By service: the share lost to overload.
    pub(crate) lost: Vec<f64>,
    /// By consumer: by how much the messages that wait for it grow in a second.
    pub(crate) message_growth: BTreeMap<usize, f64>,
    /// The services whose overload does not settle.
    pub(crate) swinging: Vec<usize>,
    /// Whether every cycle came to rest.
    pub(crate) cycles_rest: bool,
}

impl Moment {
    /// The state of a node, with what it answers too late among what fails.
    pub(crate) fn with_too_late(&self, node: usize) -> State {
        let State { slow, down, corrupt, degraded } = self.states[node];
        let answered = 1.0 - slow - down - corrupt;
        let in_time =
            if answered > 0.0 { 1.0 - (self.too_late[node] / answered).min(1.0) } else { 1.0 };
        State { slow: slow + self.too_late[node], down, corrupt, degraded: degraded * in_time }
    }
}

/// Computes a moment, starting with the shares that the services lost to overload before.
pub(crate) fn settle(
    graph: &Graph,
    world: &World,
    situation: &Situation,
    lost_before: &[f64],
) -> Moment {
    let has_load = graph.topology.services.iter().any(|service| service.utilization.is_some());
    let traffic = Traffic::new(graph);
    let mut lost = lost_before.to_vec();
    let mut approach = Approach::new(&lost);
    let mut spilled = BTreeMap::new();
    for round in 0.. {
        let mut moment = failure_at(graph, world, situation, &lost, &spilled);
        if !has_load {
            return moment;
        }
        let all = (graph, world, situation, &traffic, &moment, &spilled);
        let of_nodes = loads(all, of_nodes_in);
        let coming = loads(all, |loads| loads.by_service(true));
        moment.loads = loads(all, |loads| loads.by_service(false));
        moment.coming = coming;
        let mut spills_anew = false;
        for node in messages::consumers(graph) {
            let [comes, takes] = message_rates(graph, situation, &moment, &of_nodes, node);
            moment.message_growth.insert(node, comes - takes);
            let now = if comes > takes { 1.0 - takes / comes } else { 0.0 };
            let before = spilled.insert(node, now).unwrap_or(0.0);
            spills_anew |= (now - before).abs() > SETTLED;
        }
        let asked = overload(graph, situation, &moment.loads);
        let moves = |service: &usize| (asked[*service] - lost[*service]).abs() > approach::SETTLED;
        let moving: Vec<usize> = (0..asked.len()).filter(moves).collect();
        let (next, goes_on) = approach.next(&lost, &asked);
        lost = next;
        // A cycle that does not come to rest gives no loads to go on from.
        let is_over = !goes_on && (!spills_anew || round >= approach::GIVEN_UP);
        if is_over || !moment.cycles_rest {
            moment.swinging = moving;
            moment.lost = lost;
            moment.swamped = swamped(graph, situation, &moment.coming);
            return moment;
        }
    }
    unreachable!("it ends after some rounds")
}

/// How fast messages come to a consumer, and how fast it takes them: 1 is normal traffic.
fn message_rates(
    graph: &Graph,
    situation: &Situation,
    moment: &Moment,
    of_nodes: &[f64],
    node: usize,
) -> [f64; 2] {
    let service = graph.nodes[node].service().expect("flows take no messages");
    let used = graph.topology.services[service].utilization.expect("it is known");
    let works = 1.0 - moment.states[node].slow - moment.states[node].down;
    let kept = 1.0 - moment.lost[service];
    let turned_away = situation.effects.as_ref().map_or(0.0, |effect| effect.turned_away[service]);
    let failing_over = situation.failing_over.get(service).copied().unwrap_or(0.0);
    // What is turned away is part of what does not work.
    let arrives = (1.0 - turned_away) * (1.0 - failing_over) * (1.0 - situation.hanging[service]);
    let takes = if works > 0.0 && kept > 0.0 && arrives > 0.0 {
        situation.capacity[service] / used.get() / arrives * (works / kept).min(1.0)
    } else {
        0.0
    };
    [of_nodes[node], takes]
}

/// Section "failure travels to callers" for every cohort.
fn failure_at(
    graph: &Graph,
    world: &World,
    situation: &Situation,
    lost: &[f64],
    spilled: &BTreeMap<usize, f64>,
) -> Moment {
    let mut moment = Moment {
        states: vec![State::OK; graph.nodes.len()],
        swamped: vec![false; graph.topology.services.len()],
        too_late: vec![0.0; graph.nodes.len()],
        too_late_by_cohort: Vec::new(),
        weights: situation.cohorts.iter().map(|cohort| cohort.weight).collect(),
        by_cohort: Vec::new(),
        active: Vec::new(),
        own_failing: vec![0.0; graph.nodes.len()],
        contributions: Vec::new(),
        loads: vec![1.0; graph.topology.services.len()],
        coming: vec![1.0; graph.topology.services.len()],
        lost: lost.to_vec(),
        message_growth: BTreeMap::new(),
        swinging: Vec::new(),
        cycles_rest: true,
    };
    for cohort in &situation.cohorts {
        let here = Here { graph, world, situation, cohort, lost, spilled };
        let (states, delays, rest) = here.failure();
        moment.cycles_rest &= rest;
        for (sum, state) in moment.states.iter_mut().zip(&states) {
            *sum = sum.plus(state.times(cohort.weight));
        }
        for (node, sum) in moment.own_failing.iter_mut().enumerate() {
            *sum += cohort.weight * here.own_failing(node);
        }
        let all = 0..graph.written.len();
        let seen = Seen { states: &states, delays: &delays, caller: 0 };
        let goes_to_one =
            |w: &usize| graph.written[*w].dependency.mode == Some(MemberMode::Failover);
        let active = all.clone().filter(goes_to_one).map(|w| (w, here.active_member(w, seen)));
        moment.active.push(active.collect());
        let caller = |w: usize| graph.nodes.iter().position(|node| node.calls.contains(&w));
        let of = |w| {
            let caller = caller(w).expect("somebody calls it");
            here.contribution(w, Seen { caller, ..seen })
        };
        moment.contributions.push(all.map(of).collect());
        let too_late: Vec<f64> = (0..graph.nodes.len())
            .map(|node| here.too_late(node, states[node], &delays[node]))
            .collect();
        for (sum, too_late) in moment.too_late.iter_mut().zip(&too_late) {
            *sum += cohort.weight * too_late;
        }
        moment.too_late_by_cohort.push(too_late);
        moment.by_cohort.push(states);
    }
    moment
}

/// Everything that decides loads.
type Deciding<'a> =
    (&'a Graph<'a>, &'a World, &'a Situation, &'a Traffic, &'a Moment, &'a BTreeMap<usize, f64>);

/// Loads over all cohorts, which share capacity.
fn loads(all: Deciding<'_>, of: impl Fn(&CohortLoads<'_>) -> Vec<f64>) -> Vec<f64> {
    let (graph, world, situation, traffic, moment, spilled) = all;
    let mut sum: Vec<f64> = Vec::new();
    for (number, cohort) in situation.cohorts.iter().enumerate() {
        let here = Here { graph, world, situation, cohort, lost: &moment.lost, spilled };
        let cohort_loads = CohortLoads {
            here,
            traffic,
            states: &moment.by_cohort[number],
            contributions: &moment.contributions[number],
        };
        let loads = of(&cohort_loads);
        sum.resize(loads.len(), 0.0);
        for (sum, load) in sum.iter_mut().zip(loads) {
            *sum += cohort.weight * load;
        }
    }
    sum
}

/// The loads of the nodes that one cohort brings.
fn of_nodes_in(loads: &CohortLoads<'_>) -> Vec<f64> {
    loads.by_node()
}

/// What decides the loads that one cohort brings.
struct CohortLoads<'a> {
    here: Here<'a>,
    traffic: &'a Traffic,
    states: &'a [State],
    contributions: &'a [Contribution],
}

impl CohortLoads<'_> {
    fn by_node(&self) -> Vec<f64> {
        let graph = self.here.graph;
        let mut of_nodes = vec![1.0; graph.nodes.len()];
        for &node in graph.cycles.iter().rev().flatten() {
            of_nodes[node] = match graph.nodes[node].kind {
                Kind::Flow(flow) => self.flow_load(flow, node),
                Kind::Service(service) | Kind::Endpoint(service) => {
                    self.mean(service, &of_nodes, |arrival| arrival.to == node)
                }
            };
        }
        of_nodes
    }

    /// The loads of the services; if asked, only what their own health does not fail.
    fn by_service(&self, healthy: bool) -> Vec<f64> {
        let of_nodes = self.by_node();
        let services = 0..self.here.graph.topology.services.len();
        services.map(|service| self.mean_of(service, &of_nodes, |_| true, healthy)).collect()
    }

    /// 1, and with users who try again 1 + the sum of (r p)^k for k = 1..n.
    fn flow_load(&self, flow: usize, node: usize) -> f64 {
        let failing = self.states[node].slow + self.states[node].down;
        let Some(retry) = self.here.graph.topology.flows[flow].retry_by_users else { return 1.0 };
        if retry.after.is_some() {
            return self.here.situation.returning.get(flow).copied().unwrap_or(1.0);
        }
        let again = retry.share.get() * failing;
        1.0 + (1..=retry.attempts).map(|k| libm::pow(again, f64::from(k))).sum::<f64>()
    }

    /// The mean of the factors of some of a service's arrivals, weighted by normal traffic; what
    /// falls back comes on top.
    fn mean(&self, service: usize, of_nodes: &[f64], which: impl Fn(&Arrival) -> bool) -> f64 {
        self.mean_of(service, of_nodes, which, false)
    }

    fn mean_of(
        &self,
        service: usize,
        of_nodes: &[f64],
        which: impl Fn(&Arrival) -> bool,
        healthy: bool,
    ) -> f64 {
        let graph = self.here.graph;
        let arrivals: Vec<&Arrival> = self.traffic.to_service(graph, service).collect();
        let all_known = arrivals.iter().all(|arrival| arrival.normal.is_some());
        let is_for_load = |arrival: &Arrival| graph.written[arrival.written].is_for_load();
        let loads = arrivals.iter().filter(|a| is_for_load(a)).count();
        let others = arrivals.iter().filter(|a| !is_for_load(a) && !a.extra).count();
        // All that is there for its load weighs as much as the others together.
        let of_load = if others == 0 { 1.0 } else { others as f64 / loads as f64 };
        let weight = |arrival: &Arrival| match arrival.normal {
            normal if all_known => normal,
            _ if is_for_load(arrival) => Some(of_load),
            _ => Some(1.0),
        };
        let chosen: Vec<&Arrival> = arrivals.into_iter().filter(|a| which(a)).collect();
        let only_fallback = chosen.iter().all(|arrival| arrival.extra);
        let (mut now, mut normal) = (0.0, 0.0);
        for arrival in chosen {
            let weight = weight(arrival).expect("all are known");
            let kept = if healthy { self.kept(arrival.to) } else { 1.0 };
            now += weight * self.factor(arrival, of_nodes) * kept;
            if arrival.extra == only_fallback {
                normal += weight;
            }
        }
        if normal > 0.0 { now / normal } else { 1.0 }
    }

    /// The share of what comes to a node that its own health does not fail, overload apart.
    fn kept(&self, node: usize) -> f64 {
        let nothing_lost = vec![0.0; self.here.lost.len()];
        let here = Here { lost: &nothing_lost, ..self.here };
        here.early_causes(node).iter().map(|cause| 1.0 - cause.slow - cause.down).product()
    }

    /// By how much a call is multiplied.
    fn factor(&self, arrival: &Arrival, of_nodes: &[f64]) -> f64 {
        let graph = self.here.graph;
        let health = self.here.early_causes(arrival.from);
        let not_lost: f64 = health.iter().map(|cause| 1.0 - cause.slow - cause.down).product();
        let effects = self.here.situation.effects.as_ref();
        let is_on = effects
            .zip(graph.nodes[arrival.from].service())
            .map_or(1.0, |(effects, service)| 1.0 - effects.off[service]);
        let surge = self.here.cohort.surge[arrival.from] * is_on;
        let caller = of_nodes[arrival.from] * not_lost * surge;
        let written = &graph.written[arrival.written];
        let contribution = &self.contributions[arrival.written];
        match arrival.role {
            Role::Member(member) => {
                let retries = contribution.members[member].retries;
                let cache = self.cache_factor(arrival, member);
                let made = 1.0 - self.here.led_around(arrival.written, arrival.to);
                caller * made * (1.0 + retries) * cache * self.any_of_factor(arrival, member)
            }
            Role::Fallback if self.here.world.fallback_works[&written.key] => {
                caller * contribution.falling_back
            }
            Role::Fallback => 0.0,
        }
    }

    /// (1 - x h) / (1 - h) with a cache that answers x of what it usually does.
    fn cache_factor(&self, arrival: &Arrival, member: usize) -> f64 {
        let call = self.here.graph.written[arrival.written].dependency;
        let Some(cache) = call.cache else { return 1.0 };
        if cache.hit_ratio.is_one() {
            return 1.0;
        }
        let hits = cache.hit_ratio.get();
        let answers = self.contributions[arrival.written].members[member].cache_answers;
        (1.0 - answers * hits) / (1.0 - hits)
    }

    /// Traffic moves to the members that are up.
    fn any_of_factor(&self, arrival: &Arrival, member: usize) -> f64 {
        let call = self.here.graph.written[arrival.written].dependency;
        if !call.any_of {
            return 1.0;
        }
        let members = &self.contributions[arrival.written].members;
        if let Some(share) = members[member].share {
            return share;
        }
        if call.mode.is_some() {
            return 1.0;
        }
        let up = |number: usize| 1.0 - members[number].state.slow - members[number].state.down;
        let all_up: f64 = (0..members.len()).map(up).sum();
        if all_up <= SETTLED {
            return 1.0;
        }
        let count = members.len() as f64;
        (count * up(member) / all_up).min(count / f64::from(call.needs))
    }
}

/// The services at which so much waits that somebody gives up on it, and does not get less.
fn swamped(graph: &Graph, situation: &Situation, coming: &[f64]) -> Vec<bool> {
    let patience = graph.topology.flows.iter().map(|flow| flow.patience);
    let patience = patience.map(|patience| patience.unwrap_or(defaults::PATIENCE).get());
    let patience = patience.fold(f64::INFINITY, f64::min);
    let of = |service: usize| {
        let Some(used) = graph.topology.services[service].utilization else { return false };
        let shortest = graph.timeouts_of_service(service).into_iter().fold(patience, f64::min);
        situation.waiting.wait[service] >= shortest - EDGE
            && used.get() * coming[service] >= situation.capacity[service] - SLACK
    };
    (0..coming.len()).map(of).collect()
}

/// The share of requests that each service loses to more load than it can serve.
fn overload(graph: &Graph, situation: &Situation, loads: &[f64]) -> Vec<f64> {
    let of = |service: usize| {
        let stated = &graph.topology.services[service];
        let Some(utilization) = stated.utilization else { return 0.0 };
        let capacity = situation.capacity[service] / utilization.get();
        let turned_away =
            situation.effects.as_ref().map_or(0.0, |effect| effect.turned_away[service]);
        let failing_over = situation.failing_over.get(service).copied().unwrap_or(0.0);
        let arrives = (1.0 - turned_away) * (1.0 - failing_over);
        let load = loads[service] * arrives * (1.0 - situation.hanging[service]);
        let has_room = !situation.waiting.is_full(graph, service);
        if situation.down[service] || load <= capacity || has_room {
            return 0.0;
        }
        1.0 - capacity / load
    };
    (0..loads.len()).map(of).collect()
}
