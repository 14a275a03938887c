//! What a picture of a failure shows: the services that are hit, the callers whose guard held, and
//! how failure got from one to the next. The rest is counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{DependencyReport, Interval, Report, Spread, UnitReport};
use crate::model::Topology;
use crate::model::topology::{Caller, Dependency, DomainId, Phase, Service};
use crate::sort::{Arrange as _, Gather as _};

/// The version of the shape of a [`FocusReport`].
pub const FOCUS_SCHEMA: &str = "blastwave/focus/v1";

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lens {
    /// From this share of trials on something is shown.
    pub threshold: f64,
    /// At most so many boxes: the threshold rises until it holds, though not above a half; if that is
    /// not enough, what fails least is left out.
    pub boxes_max: usize,
}

impl Default for Lens {
    /// What is hit in 5% of trials, in at most 40 boxes: a page has tables for the rest.
    fn default() -> Self {
        Self { threshold: 0.05, boxes_max: 40 }
    }
}

/// The part of a simulation that fits into a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FocusReport {
    /// [`FOCUS_SCHEMA`].
    pub schema: String,
    /// The name of the topology.
    pub topology: String,
    /// The name of the change.
    pub change: String,
    /// What breaks, by name.
    pub targets: Vec<String>,
    /// The one mode in which all targets break, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The seed of all draws.
    pub seed: u64,
    /// How many trials were run.
    pub trials: u64,
    /// Whether there is time: else all is one moment.
    pub has_time: bool,
    /// The share of trials from which on something is shown.
    pub threshold: f64,
    /// The share that was asked for, where more than fits is hit at that share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_asked: Option<f64>,
    /// What is shown, in the order of impact.
    pub boxes: Vec<BoxReport>,
    /// How failure travels, from the thing that fails to the one that feels it.
    pub edges: Vec<EdgeReport>,
    /// The flows that are hit, worst first.
    pub flows: Vec<FlowHit>,
    /// How many flows are not hit in as many trials.
    pub flows_left_out: usize,
    /// Services that are hit as often, and left out because more would not fit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond: usize,
    /// Services that are hit more rarely.
    pub rarely_hit: usize,
    /// Services that nothing happens to in any trial.
    pub untouched: usize,
}

/// A service or failure domain in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxReport {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `origin`, `fails` (in half of the trials), `may_fail`, `degrades` or `holds`.
    pub state: String,
    /// Its place in the order of impact: 0 for what breaks itself.
    pub rank: usize,
    /// How many calls away from what breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<usize>,
    /// The probability that it fails.
    pub failed: Interval,
    /// The probability that it is degraded or worse.
    pub degraded: Interval,
    /// When it first failed, over the trials in which it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed_s: Option<Spread>,
    /// For how long in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_for_s: Option<Spread>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The failure domains it is in, joined by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How much it matters, 1 most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u32>,
    /// What it is; a failure domain's kind, for one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The flows that run over it, by name.
    pub flows: Vec<String>,
}

/// How failure gets from one box to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// The box that fails: its place in `boxes`.
    pub from: usize,
    /// The box that feels it.
    pub to: usize,
    /// `call` (failure from a dependency to its caller), `degraded` (from a dependency that is only
    /// degraded to a caller that is then too), `runs_in` (from a domain to what runs in it) or `load`
    /// (from what floods, or a cache that is lost, to what is flooded).
    pub kind: String,
    /// The share of trials in which failure passed; of other kinds, in which the box is hit.
    pub passed: f64,
    /// The share of trials in which it was contained, by guard, strongest first.
    pub held: Vec<HeldReport>,
}

impl EdgeReport {
    /// The strongest guard, where one held in at least this share of trials.
    pub fn guard(&self, at_least: f64) -> Option<&HeldReport> {
        self.held.first().filter(|held| held.share >= at_least)
    }
}

/// A guard that held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldReport {
    /// What held: `fallback`, `soft`, `timeout`, `retry`, `cache`, `buffer`, `redundancy` and so on.
    pub guard: String,
    /// In which share of trials.
    pub share: f64,
}

/// A flow that is hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowHit {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether the business stands on it.
    pub critical: bool,
    /// The probability that it fails.
    pub failed: Interval,
    /// The probability that it is degraded or worse.
    pub degraded: Interval,
    /// Orders lost on average, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders_lost: Option<f64>,
}

impl FocusReport {
    /// The part of a report that fits through the lens. The topology is the one that was simulated.
    pub fn new(topology: &Topology, report: &Report, lens: &Lens) -> Self {
        let whole = Whole::new(topology, report);
        let mut threshold = lens.threshold;
        let mut shown = whole.shown(threshold);
        while shown.len() > lens.boxes_max.max(1) && threshold < THRESHOLD_MOST {
            // In steps of a fifth, from 1% on: a few dozen at the most.
            let higher = (threshold.max(0.01) * 1.2).min(THRESHOLD_MOST);
            // A whole percentage, since it is told.
            threshold = (higher * 100.0).ceil() / 100.0;
            shown = whole.shown(threshold);
        }
        if shown.len() > lens.boxes_max.max(1) {
            // A higher one would hide how failure gets from one to the other, and still not tell apart
            // what is hit in every trial.
            threshold = lens.threshold;
            shown = whole.shown(threshold);
        }
        let all = shown.clone();
        let shown = whole.in_order(shown, lens.boxes_max.max(1));
        // A state keeps its meaning however much is left out.
        let states_from = lens.threshold.min(threshold);
        let is_hit = |it: &&UnitReport| it.degraded.p >= threshold || it.failed.p >= threshold;
        let targets: Vec<String> = report.targets.iter().map(|it| it.name.clone()).collect();
        let drawn: BTreeSet<Part> = shown.iter().copied().into_set();
        let (mut beyond, mut rarely_hit, mut untouched) = (0, 0, 0);
        for (index, unit) in whole.units.iter().enumerate() {
            if !drawn.contains(&Part::Service(index)) {
                let is_touched = unit.degraded.p > 0.0 || unit.failed.p > 0.0;
                *match () {
                    () if all.contains(&Part::Service(index)) => &mut beyond,
                    () if is_touched => &mut rarely_hit,
                    () => &mut untouched,
                } += 1;
            }
        }
        Self {
            schema: FOCUS_SCHEMA.to_owned(),
            topology: report.topology.clone(),
            change: report.change.clone(),
            targets,
            mode: common_mode(report),
            seed: report.seed,
            trials: report.trials,
            has_time: report.course.kind == "time",
            threshold,
            threshold_asked: (threshold > lens.threshold).then_some(lens.threshold),
            edges: whole.edges(&shown, threshold),
            boxes: whole.boxes(&shown, states_from),
            flows: report.flows.iter().filter(is_hit).map(flow_hit).collect(),
            flows_left_out: report.flows.iter().filter(|it| !is_hit(it)).count(),
            beyond,
            rarely_hit,
            untouched,
        }
    }
}

/// The threshold rises no higher than this.
const THRESHOLD_MOST: f64 = 0.5;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A service by its number in the topology, or a failure domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Domain(usize),
    Service(usize),
}

/// What happens at the calls from one service to another.
#[derive(Clone, Debug, Default)]
struct Passage {
    tried: f64,
    passed: f64,
    held: BTreeMap<String, f64>,
}

/// Everything, by number.
struct Whole<'a> {
    topology: &'a Topology,
    report: &'a Report,
    /// By service.
    units: Vec<&'a UnitReport>,
    origins: BTreeSet<Part>,
    /// By dependency and caller, services both.
    passages: BTreeMap<(usize, usize), Passage>,
    hops: BTreeMap<Part, usize>,
    /// By service: the flows that run over it.
    flows: Vec<Vec<String>>,
}

impl<'a> Whole<'a> {
    fn new(topology: &'a Topology, report: &'a Report) -> Self {
        let by_name: BTreeMap<&str, &UnitReport> =
            report.services.iter().map(|it| (it.name.as_str(), it)).into_map();
        let units: Vec<&UnitReport> = topology
            .services
            .iter()
            .map(|it| *by_name.get(it.name.as_str()).expect("a report of every service"))
            .collect();
        let origins = report.targets.iter().filter_map(|it| origin(topology, &it.name)).collect();
        let mut whole = Self {
            topology,
            report,
            units,
            origins,
            passages: passages(topology, report),
            hops: BTreeMap::new(),
            flows: flows_over(topology),
        };
        whole.hops = whole.hops();
        whole
    }

    /// How many calls each part is away from the nearest origin, over calls that let failure pass.
    fn hops(&self) -> BTreeMap<Part, usize> {
        let mut next: BTreeMap<Part, Vec<Part>> = BTreeMap::new();
        for ((dependency, caller), passage) in &self.passages {
            if passage.tried > 0.0 {
                next.entry(Part::Service(*dependency)).or_default().push(Part::Service(*caller));
            }
        }
        for (from, to, _) in self.hosted().into_iter().chain(self.flooded()) {
            next.entry(from).or_default().push(to);
        }
        let mut hops: BTreeMap<Part, usize> = self.origins.iter().map(|it| (*it, 0)).into_map();
        let mut queue: VecDeque<Part> = self.origins.iter().copied().collect();
        while let Some(part) = queue.pop_front() {
            let further = hops[&part] + 1;
            for to in next.get(&part).into_iter().flatten() {
                if !hops.contains_key(to) {
                    hops.insert(*to, further);
                    queue.push_back(*to);
                }
            }
        }
        hops
    }

    fn chance(&self, part: Part) -> f64 {
        match part {
            Part::Domain(_) => 1.0,
            Part::Service(index) => self.units[index].degraded.p.max(self.units[index].failed.p),
        }
    }

    /// What is hit often enough, what breaks, and whose guards held often enough.
    fn shown(&self, threshold: f64) -> BTreeSet<Part> {
        let services = (0..self.units.len()).map(Part::Service);
        let mut shown: BTreeSet<Part> =
            services.filter(|it| self.chance(*it) >= threshold).into_set();
        shown.extend(self.origins.iter().copied());
        let hit = shown.clone();
        for ((dependency, caller), passage) in &self.passages {
            let held = passage.held.values().copied().fold(0.0, f64::max);
            if held >= threshold && hit.contains(&Part::Service(*dependency)) {
                shown.insert(Part::Service(*caller));
            }
        }
        shown
    }

    /// In the order of impact, and of these the most important ones.
    fn in_order(&self, shown: BTreeSet<Part>, most: usize) -> Vec<Part> {
        let mut parts: Vec<Part> = shown.into_iter().collect();
        let hops = |part: &Part| self.hops.get(part).copied().unwrap_or(usize::MAX);
        if parts.len() > most {
            parts.arrange_by(|a, b| {
                let is_other = |part: &Part| !self.origins.contains(part);
                let failed = self.failed(*b).total_cmp(&self.failed(*a));
                let chance = self.chance(*b).total_cmp(&self.chance(*a));
                // Of what is hit alike, what is nearer: so the picture hangs together.
                let near = hops(a).cmp(&hops(b));
                is_other(a).cmp(&is_other(b)).then(failed).then(chance).then(near).then(a.cmp(b))
            });
            parts.truncate(most);
        }
        let is_other = |part: &Part| !self.origins.contains(part);
        parts.arrange_by(|a, b| {
            let when = self.when(*a).total_cmp(&self.when(*b));
            let often = self.failed(*b).total_cmp(&self.failed(*a));
            let order = is_other(a).cmp(&is_other(b)).then(when);
            order.then(hops(a).cmp(&hops(b))).then(often).then(a.cmp(b))
        });
        parts
    }

    fn failed(&self, part: Part) -> f64 {
        match part {
            Part::Domain(_) => 1.0,
            Part::Service(index) => self.units[index].failed.p,
        }
    }

    /// The median time of the first failure; 0 in a moment, infinite for what never fails in time.
    fn when(&self, part: Part) -> f64 {
        match part {
            Part::Domain(_) => 0.0,
            Part::Service(_) if self.report.course.kind != "time" => 0.0,
            Part::Service(index) => {
                self.units[index].first_failed_s.map_or(f64::INFINITY, |first| first.p50)
            }
        }
    }

    fn boxes(&self, shown: &[Part], threshold: f64) -> Vec<BoxReport> {
        let mut rank = 0;
        shown
            .iter()
            .map(|part| {
                let is_origin = self.origins.contains(part);
                rank += usize::from(!is_origin);
                let hops = self.hops.get(part).copied();
                match *part {
                    Part::Domain(index) => self.domain_box(index),
                    Part::Service(index) => BoxReport {
                        rank: if is_origin { 0 } else { rank },
                        hops,
                        ..self.service_box(index, is_origin, threshold)
                    },
                }
            })
            .collect()
    }

    fn domain_box(&self, index: usize) -> BoxReport {
        let domain = &self.topology.domains[index];
        let certain = Interval { p: 1.0, low: 1.0, high: 1.0, exact: None };
        BoxReport {
            name: domain.name.clone(),
            title: None,
            state: "origin".to_owned(),
            rank: 0,
            hops: Some(0),
            failed: certain,
            degraded: certain,
            first_failed_s: None,
            failed_for_s: None,
            team: None,
            zone: None,
            tier: None,
            kind: Some(domain.kind.clone().unwrap_or_else(|| "failure domain".to_owned())),
            flows: Vec::new(),
        }
    }

    fn service_box(&self, index: usize, is_origin: bool, threshold: f64) -> BoxReport {
        let (service, unit) = (&self.topology.services[index], self.units[index]);
        let state = match () {
            () if is_origin => "origin",
            () if unit.failed.p >= 0.5 => "fails",
            () if unit.failed.p >= threshold => "may_fail",
            () if unit.degraded.p >= threshold => "degrades",
            () => "holds",
        };
        let zones: Vec<&str> =
            zones(service).into_iter().map(|it| self.topology.domain(it).name.as_str()).collect();
        BoxReport {
            name: service.name.clone(),
            title: service.title.clone(),
            state: state.to_owned(),
            rank: 0,
            hops: None,
            failed: unit.failed,
            degraded: unit.degraded,
            first_failed_s: unit.first_failed_s,
            failed_for_s: unit.failed_for_s,
            team: service.team.clone(),
            zone: (!zones.is_empty()).then(|| zones.join(", ")),
            tier: service.tier,
            kind: Some(service.kind.clone()),
            flows: self.flows[index].clone(),
        }
    }

    fn edges(&self, shown: &[Part], threshold: f64) -> Vec<EdgeReport> {
        let at: BTreeMap<Part, usize> =
            shown.iter().enumerate().map(|(index, part)| (*part, index)).into_map();
        let place = |part: Part| at.get(&part).copied();
        let calls = self.passages.iter().filter_map(|((dependency, caller), passage)| {
            let (from, to) = (place(Part::Service(*dependency))?, place(Part::Service(*caller))?);
            let strongest = passage.held.values().copied().fold(0.0, f64::max);
            // What links a box to the rest is shown however rare it is.
            (passage.passed.max(strongest) >= threshold)
                .then(|| edge(from, to, "call", passage.passed, &passage.held))
        });
        let none = BTreeMap::new();
        let hosted = self.hosted().into_iter().map(|it| (it, "runs_in"));
        let flooded = self.flooded().into_iter().map(|it| (it, "load"));
        let others = hosted.chain(flooded).filter_map(|((from, to, share), kind)| {
            (share >= threshold).then_some(())?;
            Some(edge(place(from)?, place(to)?, kind, share, &none))
        });
        let mut edges: Vec<EdgeReport> = calls.collect();
        let is_reached = |edges: &[EdgeReport], to: usize| {
            edges.iter().any(|it| it.to == to && (it.passed >= threshold || !it.held.is_empty()))
        };
        // Where a box runs explains it only if nothing else does.
        for edge in others {
            let is_surge = edge.kind == "load" && self.origins.contains(&shown[edge.from]);
            if is_surge || !is_reached(&edges, edge.to) {
                edges.push(edge);
            }
        }
        for (index, part) in shown.iter().enumerate() {
            if !self.origins.contains(part) && !is_reached(&edges, index) {
                let from = self.degraded_by(*part, &at, threshold);
                edges.extend(from.map(|(from, share)| edge(from, index, "degraded", share, &none)));
            }
        }
        edges.arrange_by_key(|edge| (edge.from, edge.to));
        edges
    }

    /// The drawn dependencies of a service whose degraded answers degrade it too. A soft call does not
    /// feel them.
    fn degraded_by(
        &self,
        part: Part,
        at: &BTreeMap<Part, usize>,
        threshold: f64,
    ) -> impl Iterator<Item = (usize, f64)> {
        let mut found: BTreeMap<usize, f64> = BTreeMap::new();
        if let Part::Service(index) = part {
            let service = &self.topology.services[index];
            for node in calls(service).filter(|it| !it.is_soft()).flat_map(|it| &it.on) {
                let from = Part::Service(node.service.0 as usize);
                let share = self.chance(from).min(self.chance(part));
                if let Some(place) = at.get(&from).filter(|_| from != part && share >= threshold) {
                    found.insert(*place, share);
                }
            }
        }
        found.into_iter()
    }

    /// From target domains to the services in them, with the chance that these are hit.
    fn hosted(&self) -> Vec<(Part, Part, f64)> {
        let mut found = Vec::new();
        for origin in &self.origins {
            let Part::Domain(domain) = origin else { continue };
            for (index, service) in self.topology.services.iter().enumerate() {
                if zones(service).iter().any(|zone| is_within(self.topology, *zone, *domain)) {
                    let part = Part::Service(index);
                    found.push((*origin, part, self.chance(part)));
                }
            }
        }
        found
    }

    /// From targets that may flood what they call to what they call, and from caches whose loss sends all
    /// calls on to what stands behind them; with the chance of its failure.
    fn flooded(&self) -> Vec<(Part, Part, f64)> {
        let mut found = BTreeMap::new();
        for target in &self.report.targets {
            let Some(from @ Part::Service(index)) = origin(self.topology, &target.name) else {
                continue;
            };
            if target.modes.contains_key("surge") {
                for node in calls(&self.topology.services[index]).flat_map(|it| &it.on) {
                    let to = Part::Service(node.service.0 as usize);
                    if to != from {
                        found.insert((from, to), self.chance(to));
                    }
                }
            }
        }
        for call in self.topology.services.iter().flat_map(calls) {
            let Some(cache) = call.cache.as_ref().and_then(|it| it.service) else { continue };
            let from = Part::Service(cache.0 as usize);
            for node in &call.on {
                let to = Part::Service(node.service.0 as usize);
                // What no limit is known of cannot be flooded.
                let has_limit = self.topology.service(node.service).utilization.is_some();
                if to != from && has_limit && self.failed(from) > 0.0 {
                    let share = self.failed(from).min(self.chance(to));
                    let known = found.entry((from, to)).or_insert(share);
                    *known = known.max(share);
                }
            }
        }
        found.into_iter().map(|((from, to), chance)| (from, to, chance)).collect()
    }
}

/// All calls of a service and of its endpoints.
fn calls(service: &Service) -> impl Iterator<Item = &Dependency> {
    service.dependencies.iter().chain(service.endpoints.iter().flat_map(|it| &it.dependencies))
}

fn edge(
    from: usize,
    to: usize,
    kind: &str,
    passed: f64,
    held: &BTreeMap<String, f64>,
) -> EdgeReport {
    let mut held: Vec<HeldReport> = held
        .iter()
        .map(|(guard, share)| HeldReport { guard: guard.clone(), share: *share })
        .collect();
    held.arrange_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.guard.cmp(&b.guard)));
    EdgeReport { from, to, kind: kind.to_owned(), passed, held }
}

fn origin(topology: &Topology, name: &str) -> Option<Part> {
    let service = topology.node(name).map(|node| Part::Service(node.service.0 as usize));
    service.or_else(|| topology.domain_id(name).map(|id| Part::Domain(id.0 as usize)))
}

/// The failure domains that a service or its replicas are in.
fn zones(service: &Service) -> Vec<DomainId> {
    let replicas = service.replicas.iter().flat_map(|it| &it.domains);
    let mut zones: Vec<DomainId> = replicas.copied().collect();
    if zones.is_empty() {
        zones.clone_from(&service.domains);
    }
    zones.sort();
    zones.dedup();
    zones
}

fn is_within(topology: &Topology, inner: DomainId, outer: usize) -> bool {
    let mut at = Some(inner);
    while let Some(id) = at {
        if id.0 as usize == outer {
            return true;
        }
        at = topology.domain(id).within;
    }
    false
}

/// What the report says of calls, by services: of several calls between the same two, the one at
/// which most came in counts for each figure.
fn passages(topology: &Topology, report: &Report) -> BTreeMap<(usize, usize), Passage> {
    let reported: BTreeMap<(&str, &str), &DependencyReport> = report
        .dependencies
        .iter()
        .map(|it| ((it.caller.as_str(), it.dependency.as_str()), it))
        .collect();
    let mut passages: BTreeMap<(usize, usize), Passage> = BTreeMap::new();
    for (caller, written) in topology.written().filter(|(_, it)| it.phase == Phase::Serve) {
        let Caller::Node(node) = caller else { continue };
        let (by, on) = (topology.caller_name(caller), topology.dependency_name(written));
        let Some(found) = reported.get(&(by.as_str(), on.as_str())) else { continue };
        for target in &written.on {
            if target.service == node.service {
                continue;
            }
            let key = (target.service.0 as usize, node.service.0 as usize);
            let passage = passages.entry(key).or_default();
            passage.tried = passage.tried.max(found.tried);
            passage.passed = passage.passed.max(found.passed);
            for (guard, share) in &found.contained {
                let held = passage.held.entry(guard.clone()).or_default();
                *held = held.max(*share);
            }
        }
    }
    passages
}

/// By service: the names of the flows that run over it, directly or through others.
pub fn flows_over(topology: &Topology) -> Vec<Vec<String>> {
    let mut over = vec![Vec::new(); topology.services.len()];
    for flow in &topology.flows {
        let mut seen = vec![false; topology.services.len()];
        let mut open: Vec<usize> =
            flow.steps.iter().flat_map(|it| &it.on).map(|it| it.service.0 as usize).collect();
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            let on = calls(&topology.services[index]).flat_map(|it| &it.on);
            open.extend(on.map(|it| it.service.0 as usize));
        }
        for (names, _) in over.iter_mut().zip(&seen).filter(|(_, seen)| **seen) {
            names.push(flow.name.clone());
        }
    }
    over
}

/// The mode in which all targets break, where there is one.
pub fn common_mode(report: &Report) -> Option<String> {
    let mut modes = report.targets.iter().flat_map(|it| it.modes.keys());
    let first = modes.next()?;
    modes.all(|mode| mode == first).then(|| first.clone())
}

fn flow_hit(flow: &UnitReport) -> FlowHit {
    FlowHit {
        name: flow.name.clone(),
        title: flow.title.clone(),
        critical: flow.critical == Some(true),
        failed: flow.failed,
        degraded: flow.degraded,
        orders_lost: flow.orders_lost.map(|lost| lost.mean),
    }
}
