//! The ways that failure took: in every trial, every chain of dependencies that it passed through,
//! from where it began to the flow, or to the call that held it.
//!
//! A trial in which failure came by two ways counts for both: nothing is chosen among them. What is
//! counted are the dependencies that the engine saw failure pass through, and the origins that it
//! drew.

use crate::model::id::Table;
use std::collections::BTreeMap;

use super::names::EventNames;
use super::origins::{self, Origins};
use crate::compile::Plan;
use crate::compile::plan::{DependencyId, FlowId, NodeId, ObservedCall};
use crate::engine::outcome::Outcome;
use crate::engine::{self, Progress, Simulator};
use crate::report::explain::PathReport;
use crate::report::{FailureOrigin, Protection};
use crate::sort::Arrange as _;

/// How many ways are kept for a flow, and how many are reported.
const KEPT: usize = 10_000;
const REPORTED: usize = 40;
/// How many ways are followed in one trial, and how many steps that may take.
const WAYS: usize = 32;
const STEPS: usize = 4_000;
/// How many dependencies a way may have.
const LENGTH: usize = 1_000;
/// How many kinds of trials are remembered, so that alike ones are followed once.
const REMEMBERED: usize = 20_000;

/// Where a way begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathOrigin {
    Target,
    Background,
    Overload,
}

/// A way: from its first node to its last; held there by the guard of this number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FailurePath {
    origin: PathOrigin,
    nodes: Vec<NodeId>,
    held_by: Option<usize>,
}

/// The ways to one flow.
#[derive(Default)]
pub(super) struct Ways {
    numbers: BTreeMap<FailurePath, usize>,
    ways: Vec<FailurePath>,
    counts: Vec<u64>,
    is_incomplete: bool,
}

/// Follows failure in so many trials, for these flows.
pub(super) fn trace_ways<'a>(
    plan: &'a Plan,
    simulation: &'a Simulator<'a>,
    seed: u64,
    trials: u64,
    flows: &[FlowId],
    progress: &dyn Progress,
) -> Vec<Ways> {
    let mut all: Vec<Ways> = flows.iter().map(|_| Ways::default()).collect();
    let nodes: Vec<NodeId> = flows.iter().map(|flow| plan.flows[*flow].node).collect();
    let leading: Vec<Table<NodeId, bool>> =
        nodes.iter().map(|node| reached_by(plan, *node)).collect();
    let first_flow = plan.services.len()
        + plan.services.iter().map(|service| service.endpoints.len()).sum::<usize>();
    let mut remembered: Vec<BTreeMap<Vec<u32>, Vec<usize>>> = vec![BTreeMap::new(); flows.len()];
    let mut chunk = 0;
    simulation.each_outcome(0..trials, progress, |outcome| {
        let chunk_of = Chunk::new(plan, outcome, origins::origins_in_chunk(plan, seed, chunk));
        chunk += 1;
        for (place, flow) in flows.iter().enumerate() {
            let fails = outcome.units[first_flow + flow.index()].failed;
            for trial in (0..64).filter(|trial| outcome.valid >> trial & 1 == 1) {
                let is_failed = fails >> trial & 1 == 1;
                let key = chunk_of.trial_key(trial, is_failed);
                if key.is_empty() {
                    continue;
                }
                let ways = &mut all[place];
                let known = &mut remembered[place];
                if let Some(known) = known.get(&key) {
                    known.iter().for_each(|way| ways.counts[*way] += 1);
                    continue;
                }
                let root = is_failed.then_some(nodes[place]);
                let found = chunk_of.ways_of_trial(trial, root, &leading[place], ways);
                found.iter().for_each(|way| ways.counts[*way] += 1);
                if known.len() < REMEMBERED {
                    known.insert(key, found);
                }
            }
        }
    });
    all
}

/// Which nodes a node refers to, through whatever is between.
fn reached_by(plan: &Plan, root: NodeId) -> Table<NodeId, bool> {
    let mut reached = Table::filled(false, plan.nodes.len());
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut reached[node], true) {
            let calls = plan.calls_of(&plan.nodes[node]);
            open.extend(calls.iter().flat_map(|call| plan.referred(call)));
        }
    }
    reached
}

/// Failures seen in 64 trials.
struct Chunk<'a> {
    plan: &'a Plan,
    outcome: &'a Outcome,
    origins: Origins,
    /// By dependency: in which trials failure passed.
    passed: Table<DependencyId, u64>,
    /// By node without an origin, through which nothing passed, but which fails all the same.
    overloaded: Table<NodeId, u64>,
    /// Where something begins in some trial: its kind, its node, and in which trials.
    marks: Vec<(u32, NodeId, u64)>,
}

impl<'a> Chunk<'a> {
    fn new(plan: &'a Plan, outcome: &'a Outcome, origins: Origins) -> Self {
        let mut passed = Table::filled(0, plan.dependencies.len());
        for dependency in &outcome.dependencies {
            passed[dependency.dependency] = dependency.passed;
        }
        let mut overloaded = Table::filled(0, plan.nodes.len());
        if plan.has_load {
            for (service, unit) in plan.services.ids().iter().zip(&outcome.units) {
                // A node that fails although nothing passed to it, and nothing began there, was
                // overloaded.
                for node in plan.nodes_of(service) {
                    let through = plan.calls_of(&plan.nodes[node]).iter();
                    let through = through.fold(0, |all, through| all | passed[through.dependency]);
                    overloaded[node] = (unit.failed | unit.degraded) & !through;
                }
            }
        }
        let kinds = [&origins.target, &origins.background, &overloaded];
        let marks = (0..).zip(kinds).flat_map(|(kind, masks)| {
            let nodes = masks.entries().filter(|(_, mask)| **mask != 0);
            nodes.map(move |(node, mask)| (kind, node, *mask))
        });
        let marks = marks.collect();
        Self { plan, outcome, origins, passed, overloaded, marks }
    }

    /// Returns the key that distinguishes one trial from another here; empty where nothing
    /// happened.
    fn trial_key(&self, trial: u32, is_failed: bool) -> Vec<u32> {
        let bit = |mask: u64| mask >> trial & 1 == 1;
        let mut key = Vec::new();
        for item in self.outcome.dependencies.iter().filter(|dependency| bit(dependency.tried)) {
            // The first protection that held is what the way shows.
            let held = item.held.iter().position(|held| bit(*held)).map_or(0, |guard| guard + 1);
            key.extend([item.dependency.0, held as u32 * 2 + u32::from(bit(item.passed))]);
        }
        if key.is_empty() {
            return key;
        }
        key.push(u32::from(is_failed));
        let here = self.marks.iter().filter(|(.., mask)| bit(*mask));
        // Marks of origins must not equal any number of a dependency.
        key.extend(here.flat_map(|(kind, node, _)| [u32::MAX - kind, node.0]));
        key
    }

    /// Where a way through this node begins, if here.
    fn origin_at(&self, trial: u32, node: NodeId) -> Option<PathOrigin> {
        let has = |masks: &Table<NodeId, u64>| masks[node] >> trial & 1 == 1;
        match () {
            () if has(&self.origins.target) => Some(PathOrigin::Target),
            () if has(&self.origins.background) => Some(PathOrigin::Background),
            () if has(&self.overloaded) => Some(PathOrigin::Overload),
            () => None,
        }
    }

    /// The ways of one trial, by number.
    fn ways_of_trial(
        &self,
        trial: u32,
        root: Option<NodeId>,
        is_leading: &Table<NodeId, bool>,
        into: &mut Ways,
    ) -> Vec<usize> {
        let mut search =
            PathSearch { chunk: self, trial, found: Vec::new(), steps: 0, was_cut: false };
        if let Some(root) = root {
            search.from(root, &mut vec![], None);
        }
        for dependency in &self.outcome.dependencies {
            let guard = dependency.held.iter().position(|held| held >> trial & 1 == 1);
            let (Some(guard), known) = (guard, &self.plan.dependencies[dependency.dependency])
            else {
                continue;
            };
            // Only calls on the way to this flow matter.
            let Some(ObservedCall { call, caller }) = known.observed else { continue };
            if !is_leading[caller] {
                continue;
            }
            let call = &self.plan.calls[call];
            for member in self.plan.members_of(call) {
                search.from(member.node, &mut vec![caller], Some(guard));
            }
        }
        into.is_incomplete |= search.was_cut;
        let mut numbers: Vec<usize> =
            search.found.into_iter().filter_map(|way| into.way_number(way)).collect();
        // Two members of a call may lead to the same way.
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

struct PathSearch<'a> {
    chunk: &'a Chunk<'a>,
    trial: u32,
    found: Vec<FailurePath>,
    steps: usize,
    was_cut: bool,
}

impl PathSearch<'_> {
    /// Follows failure back from a node; `after` is what comes after it, the end first.
    fn from(&mut self, node: NodeId, after: &mut Vec<NodeId>, held_by: Option<usize>) {
        self.steps += 1;
        // The number of ways grows exponentially with parallel paths.
        if self.steps > STEPS || self.found.len() >= WAYS || after.len() >= LENGTH {
            self.was_cut = true;
            return;
        }
        after.push(node);
        if let Some(origin) = self.chunk.origin_at(self.trial, node) {
            let nodes = after.iter().rev().copied().collect();
            self.found.push(FailurePath { origin, nodes, held_by });
            after.pop();
            return;
        }
        let plan = self.chunk.plan;
        for call in plan.calls_of(&plan.nodes[node]) {
            if self.chunk.passed[call.dependency] >> self.trial & 1 == 0 {
                continue;
            }
            for member in plan.members_of(call) {
                // A way through a cycle would never end.
                if !after.contains(&member.node) {
                    self.from(member.node, after, held_by);
                }
            }
        }
        after.pop();
    }
}

impl Ways {
    /// The number of a way; nothing where there are too many already.
    fn way_number(&mut self, way: FailurePath) -> Option<usize> {
        if let Some(known) = self.numbers.get(&way) {
            return Some(*known);
        }
        if self.ways.len() >= KEPT {
            self.is_incomplete = true;
            return None;
        }
        let number = self.ways.len();
        self.numbers.insert(way.clone(), number);
        self.ways.push(way);
        self.counts.push(0);
        Some(number)
    }

    /// The most frequent ways with names, and whether some were not followed.
    pub(super) fn path_reports(
        &self,
        names: &EventNames<'_>,
        trials: u64,
    ) -> (Vec<PathReport>, bool) {
        let mut reports: Vec<PathReport> = self
            .ways
            .iter()
            .zip(&self.counts)
            .map(|(way, count)| PathReport {
                origin: match way.origin {
                    PathOrigin::Target => FailureOrigin::Target,
                    PathOrigin::Background => FailureOrigin::Background,
                    PathOrigin::Overload => FailureOrigin::Overload,
                },
                through: way.nodes.iter().map(|node| names.node_name(*node).to_owned()).collect(),
                share: *count as f64 / trials.max(1) as f64,
                trials: *count,
                contained_by: way
                    .held_by
                    .map(|guard| Protection::from(engine::Protection::ALL[guard])),
            })
            .collect();
        reports.arrange_by(|a, b| {
            b.trials
                .cmp(&a.trials)
                .then_with(|| (&a.through, a.contained_by).cmp(&(&b.through, b.contained_by)))
        });
        // Both kinds have a place, however frequent the other is.
        let (mut through, mut held): (Vec<_>, Vec<_>) =
            reports.into_iter().partition(|report| report.contained_by.is_none());
        let is_incomplete = self.is_incomplete || through.len() > REPORTED || held.len() > REPORTED;
        through.truncate(REPORTED);
        held.truncate(REPORTED);
        through.extend(held);
        through.arrange_by_key(|through| std::cmp::Reverse(through.trials));
        (through, is_incomplete)
    }
}
