//! What is wrong at a moment: broken targets, what they leave before a restart, and warm-ups.

use std::collections::{BTreeMap, BTreeSet};

use blastwave::model::Change;
use blastwave::model::change::{Routing, SeverityOf, Slowness, Target, TargetRef};
use blastwave::model::topology::DomainId;

use super::graph::Graph;
use super::interventions::{Effects, Intervention};
use super::moment::{Cohort, Situation, State};
use super::waiting::{Piece, Waiting, later};
use super::world::{Mode, World};

/// Requests that fare alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Users {
    /// Their share of all requests.
    pub(crate) weight: f64,
    /// Which share of their calls meets changed instances.
    pub(crate) exposed: f64,
    /// Whether they are those that the change fails wherever they meet it; `None` = not followed apart.
    pub(crate) bad: Option<bool>,
}

/// Requests by whether their users meet changed instances, and by whether they trigger the bug; `bad` is
/// the share that does, where those are followed apart.
pub(crate) fn cohorts(routing: Routing, exposure: f64, bad: Option<f64>) -> Vec<Users> {
    let users = |weight, exposed, bad| Users { weight, exposed, bad };
    match (routing, bad) {
        (Routing::Random, None) => vec![users(1.0, exposure, None)],
        (Routing::Random, Some(share)) => {
            vec![users(share, exposure, Some(true)), users(1.0 - share, exposure, Some(false))]
        }
        // At exposure 0 or 1 one of the two has no weight, but keeps its clocks for later.
        (Routing::Sticky, None) => {
            vec![users(exposure, 1.0, None), users(1.0 - exposure, 0.0, None)]
        }
        (Routing::Sticky, Some(share)) => {
            let both = exposure * share;
            let good = if both < 1.0 { ((exposure - both) / (1.0 - both)).max(0.0) } else { 0.0 };
            vec![users(both, 1.0, Some(true)), users(1.0 - both, good, Some(false))]
        }
    }
}

/// The share of requests that broken targets fail wherever they meet them; `None` where every change
/// fails all of them, or each attempt anew.
pub(crate) fn bad_requests(world: &World, change: &Change) -> Option<f64> {
    let is_split = |target: &Target| of_requests(target) && !target.severity.0.is_one();
    if !change.targets.iter().any(is_split) {
        return None;
    }
    let broken = change.targets.iter().zip(&world.targets);
    let broken = broken.filter(|(target, drawn)| of_requests(target) && drawn.broken);
    let largest = broken.map(|(_, drawn)| drawn.severity).fold(0.0, f64::max);
    Some(if largest > 0.0 { largest } else { 1.0 })
}

/// Whether a target fails certain requests; a failure domain fails all of them.
fn of_requests(target: &Target) -> bool {
    target.severity_of == SeverityOf::Requests && matches!(target.on, TargetRef::Node(_))
}

/// The share of such requests that a target fails where they meet it.
fn severity(world: &World, change: &Change, target: usize, bad: Option<bool>) -> f64 {
    let severity = world.targets[target].severity;
    match bad {
        Some(is_bad) if of_requests(&change.targets[target]) => {
            let share = bad_requests(world, change).expect("they are followed apart");
            if is_bad { (severity / share).min(1.0) } else { 0.0 }
        }
        _ => severity,
    }
}

/// A service that restarts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Restart {
    /// When it serves again, with no capacity at first.
    pub(crate) ready: f64,
    /// Over which its capacity then grows to all of it.
    pub(crate) warmup: f64,
    /// Whether a target domain took it down.
    pub(crate) by_domain: bool,
    /// Whether calls were led to the rest of it before.
    pub(crate) is_drained: bool,
    /// The share of it that restarts.
    pub(crate) part: f64,
    /// What it keeps until then.
    pub(crate) kept: Vec<Kept>,
}

/// A cause that outlives the cause of the incident.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    /// The nodes it hits.
    pub(crate) nodes: Vec<usize>,
    /// By cohort: what it does to them.
    pub(crate) by_cohort: Vec<State>,
    /// Whether a service crashed into it: then it does not add to what its calls do by now.
    pub(crate) crashed: bool,
}

impl Restart {
    pub(crate) fn is_waiting(&self, now: f64) -> bool {
        !super::moment::reaches(now, self.ready)
    }

    /// The share of its capacity that it has.
    pub(crate) fn ramp(&self, now: f64) -> f64 {
        if self.is_drained && self.is_waiting(now) {
            1.0 - self.part
        } else if self.is_waiting(now) || self.warmup <= 0.0 {
            1.0
        } else {
            1.0 - self.part + self.part * ((now - self.ready) / self.warmup).clamp(0.0, 1.0)
        }
    }
}

/// Everything wrong at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wrongs {
    /// The targets in effect: their number, and whether they are wholly down whatever they drew.
    pub(crate) targets: Vec<(usize, bool)>,
    /// By service: its restart.
    pub(crate) restarts: BTreeMap<usize, Restart>,
    /// Users by whether they meet changed instances.
    pub(crate) cohorts: Vec<Users>,
    /// By target: the share of it that is still broken; all of it where nothing is said.
    pub(crate) still: Vec<f64>,
    /// What was done on purpose.
    pub(crate) effects: Option<Effects>,
    /// Whether exposures are counted in replicas.
    pub(crate) is_counted: bool,
    /// By service: the share of calls that goes to replicas which are down.
    pub(crate) failing_over: Vec<f64>,
    /// By target with a rollout of its own, or counted in replicas: its exposure, whoever meets the rest
    /// of the change.
    pub(crate) own_exposures: BTreeMap<usize, f64>,
}

impl Wrongs {
    /// What each target brings by its own, in each cohort.
    pub(crate) fn own_states(&self, world: &World, change: &Change, target: usize) -> Vec<State> {
        let wholly_down = self.targets.contains(&(target, true));
        let own = |users: &Users| {
            let exposed = self.own_exposures.get(&target).copied().unwrap_or(users.exposed);
            let share = exposed * severity(world, change, target, users.bad);
            own_state(world, target, wholly_down, share)
        };
        self.cohorts.iter().map(own).collect()
    }

    /// Nothing beyond the background.
    pub(crate) fn none(world: &World, change: &Change) -> Self {
        let cohorts = cohorts(Routing::Random, 0.0, bad_requests(world, change));
        Self { cohorts, ..Self::default() }
    }

    /// All broken targets, wholly.
    pub(crate) fn single_moment(world: &World, change: &Change) -> Self {
        let broken = |(number, _): &(usize, _)| world.targets[*number].broken;
        Self {
            targets: (0..world.targets.len()).map(|n| (n, false)).filter(broken).collect(),
            cohorts: cohorts(Routing::Random, 1.0, bad_requests(world, change)),
            ..Self::default()
        }
    }

    /// The domains among the targets, and whether what is in them hangs.
    pub(crate) fn domains(&self, world: &World, change: &Change) -> Vec<(DomainId, bool)> {
        let domain = |(number, wholly_down): &(usize, bool)| match change.targets[*number].on {
            TargetRef::Domain(domain) => {
                let hangs = world.targets[*number].mode == Mode::Slow && !wholly_down;
                Some((domain, hangs))
            }
            TargetRef::Node(_) => None,
        };
        self.targets.iter().filter_map(domain).collect()
    }

    /// What this comes to for the arithmetic of a moment.
    pub(crate) fn situation(
        &self,
        graph: &Graph,
        world: &World,
        change: &Change,
        now: f64,
    ) -> Situation {
        let domains = self.domains(world, change);
        let infrastructure = world.infrastructure(graph, change, &domains, now);
        let mut replicas_up = infrastructure.up.clone();
        let (mut down, mut capacity) = (infrastructure.down, infrastructure.up);
        for (service, restart) in &self.restarts {
            down[*service] |= restart.by_domain && restart.is_waiting(now);
            capacity[*service] *= restart.ramp(now);
        }
        if let Some(effects) = &self.effects {
            for (service, capacity) in capacity.iter_mut().enumerate() {
                let warmup = graph.topology.services[service].recovery.warmup.get();
                *capacity *= effects.capacity(service, warmup, now);
                down[service] |= effects.is_gone(service);
                let taken = effects.taken(service);
                replicas_up[service] -= taken;
                let replicas = graph.topology.services[service].replicas.as_ref();
                down[service] |= taken > 0.0
                    && replicas.is_some_and(|replicas| {
                        let up = replicas_up[service] * f64::from(replicas.count);
                        up < f64::from(replicas.needs) - 1e-6
                    });
            }
        }
        let numbers = 0..self.cohorts.len();
        let cohorts =
            numbers.map(|number| self.cohort(graph, world, change, now, number, &replicas_up));
        let effects = self.effects.clone();
        let failing_over = self.failing_over.clone();
        let (hanging, loses_slowly) = (infrastructure.hanging, infrastructure.loses_slowly);
        let waiting = Waiting::none(capacity.len());
        Situation {
            cohorts: cohorts.collect(),
            down,
            capacity,
            effects,
            failing_over,
            hanging,
            loses_slowly,
            waiting,
            full: BTreeSet::new(),
            warm: BTreeMap::new(),
            is_story: false,
            returning: Vec::new(),
            now: 0.0,
        }
    }

    fn cohort(
        &self,
        graph: &Graph,
        world: &World,
        change: &Change,
        now: f64,
        number: usize,
        replicas_up: &[f64],
    ) -> Cohort {
        let Users { weight, exposed, bad } = self.cohorts[number];
        let mut cohort = Cohort {
            weight,
            causes: vec![Vec::new(); graph.nodes.len()],
            late_causes: vec![Vec::new(); graph.nodes.len()],
            crashed: vec![Vec::new(); graph.nodes.len()],
            surge: vec![1.0; graph.nodes.len()],
            slowed: vec![Vec::new(); graph.nodes.len()],
            ..Cohort::default()
        };
        for &(target, wholly_down) in &self.targets {
            let still = self.still.get(target).copied().unwrap_or(1.0);
            let share = self.own_exposures.get(&target).copied().unwrap_or(exposed);
            let share = share * severity(world, change, target, bad);
            let slowness = change.targets[target].modes.slowness;
            let is_late =
                slowness.is_some() && !wholly_down && world.targets[target].mode == Mode::Slow;
            if let (true, Some(slowness)) = (is_late, slowness) {
                let share = share * still;
                let piece = match slowness {
                    Slowness::Adds(adds) => later(share, adds.get()),
                    Slowness::Factor(factor) => Piece { share, length: 0.0, factor },
                };
                for node in hit(graph, change.targets[target].on) {
                    cohort.slowed[node].push(piece);
                }
                continue;
            }
            let mut own = own_state(world, target, wholly_down, share).times(still);
            if leaves_too_few(graph, world, change, target, own, self.is_counted, replicas_up) {
                own = State::DOWN;
            }
            let surge = surge(world, change, target, wholly_down, share * still);
            // Instances that fail only some requests fail them after they made their calls.
            let is_late = !wholly_down && world.targets[target].severity < 1.0;
            for node in hit(graph, change.targets[target].on) {
                let causes = if is_late { &mut cohort.late_causes } else { &mut cohort.causes };
                causes[node].push(own);
                cohort.surge[node] *= surge;
            }
        }
        for restart in self.restarts.values().filter(|restart| restart.is_waiting(now)) {
            for kept in &restart.kept {
                for node in &kept.nodes {
                    let of_node =
                        if kept.crashed { &mut cohort.crashed } else { &mut cohort.causes };
                    of_node[*node].push(kept.by_cohort[number]);
                }
            }
        }
        cohort
    }
}

/// The nodes whose health a target has a part in; a domain works through its services instead.
pub(crate) fn hit(graph: &Graph, on: TargetRef) -> Vec<usize> {
    match on {
        TargetRef::Node(node) if node.endpoint.is_some() => vec![graph.node(node)],
        TargetRef::Node(node) => graph.nodes_of(node.service.0 as usize),
        TargetRef::Domain(_) => Vec::new(),
    }
}

/// What a broken target brings by its own, when it fails this share of requests.
fn own_state(world: &World, target: usize, wholly_down: bool, share: f64) -> State {
    if wholly_down {
        return State::DOWN;
    }
    let drawn = world.targets[target];
    match drawn.mode {
        Mode::Down => State { down: share, ..State::OK },
        Mode::Slow => State { slow: share, ..State::OK },
        Mode::Corrupt => State { corrupt: share, ..State::OK },
        Mode::Surge => State::OK,
    }
}

/// Whether the replicas that a target takes down are more than its service can do without.
fn leaves_too_few(
    graph: &Graph,
    world: &World,
    change: &Change,
    target: usize,
    own: State,
    is_counted: bool,
    replicas_up: &[f64],
) -> bool {
    let TargetRef::Node(node) = change.targets[target].on else { return false };
    let service = node.service.0 as usize;
    let Some(replicas) = &graph.topology.services[service].replicas else { return false };
    let is_of_users = !is_counted && change.targets[target].rollout.is_none();
    let is_whole = world.targets[target].severity >= 1.0 || own == State::DOWN;
    let up = (replicas_up[service] - own.down) * f64::from(replicas.count);
    !is_of_users && is_whole && own.down > 0.0 && up < f64::from(replicas.needs) - 1e-6
}

/// A share of instances as a whole number of replicas, where those are known.
pub(crate) fn in_whole_replicas(graph: &Graph, on: TargetRef, exposure: f64) -> f64 {
    let TargetRef::Node(node) = on else { return exposure };
    match &graph.topology.services[node.service.0 as usize].replicas {
        None => exposure,
        Some(replicas) => {
            let count = f64::from(replicas.count);
            ((exposure * count - 1e-9).ceil() / count).clamp(0.0, 1.0)
        }
    }
}

/// Calls to replicas that are down before callers know.
pub(crate) struct Failovers {
    /// By service: the share of replicas that was up, that of the calls that fails, and until when.
    known: Vec<(f64, f64, f64)>,
}

impl Failovers {
    pub(crate) fn new(graph: &Graph, start: &super::world::Infrastructure) -> Self {
        let all = 0..graph.topology.services.len();
        Self { known: all.map(|service| (start.up[service], 0.0, 0.0)).collect() }
    }

    /// Looks at the shares that are up now; gives the shares of calls that fail.
    pub(crate) fn look(&mut self, graph: &Graph, now: f64, up: &[f64]) -> Vec<f64> {
        let mut failing = vec![0.0; up.len()];
        for (service, (known, fails, until)) in self.known.iter_mut().enumerate() {
            let replicas = graph.topology.services[service].replicas.as_ref();
            let Some(lasts) = replicas.and_then(|replicas| replicas.failover) else { continue };
            if lasts.get() <= 0.0 {
                continue;
            }
            if super::moment::reaches(now, *until) {
                *fails = 0.0;
            }
            let lost = *known - up[service];
            if lost > 1e-9 {
                *fails += lost;
                *until = now + lasts.get();
            }
            *fails = fails.min(1.0 - up[service]).max(0.0);
            *known = up[service];
            failing[service] = *fails;
        }
        failing
    }
}

/// By how much a broken target multiplies its calls, when this share of requests meets it.
fn surge(world: &World, change: &Change, target: usize, wholly_down: bool, share: f64) -> f64 {
    let drawn = world.targets[target];
    if wholly_down || drawn.mode != Mode::Surge {
        return 1.0;
    }
    1.0 + share * (change.targets[target].modes.surge_factor - 1.0)
}

/// Operators or an automation start a share of a service anew, or what waits needs not wait longer.
pub(crate) fn by_hand(
    restarts: &mut BTreeMap<usize, Restart>,
    graph: &Graph,
    service: usize,
    deed: Intervention,
) {
    let Intervention { at, share, .. } = deed;
    let recovery = graph.topology.services[service].recovery;
    let ready = at + recovery.restart.get();
    if let Some(restart) = restarts.get_mut(&service).filter(|restart| restart.is_waiting(at)) {
        restart.ready = restart.ready.min(ready);
        return;
    }
    let is_drained = deed.drained && share < 1.0;
    let down = State { down: if is_drained { 0.0 } else { share }, ..State::OK };
    let kept = Kept { nodes: graph.nodes_of(service), by_cohort: vec![down; 2], crashed: false };
    let restart = Restart {
        ready,
        warmup: recovery.warmup.get(),
        by_domain: share >= 1.0,
        is_drained,
        part: share,
        kept: vec![kept],
    };
    restarts.insert(service, restart);
}
