//! What is counted of a trial: section "What is counted".

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::load::Moment;
use super::moment::{SLACK, STAGES, State, reaches};
use super::world::World;

/// The outcome of one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trial {
    /// Whether some caller gave up on an answer that came too late.
    pub(crate) somebody_gave_up: bool,
    /// By `service` (as such) and `service/endpoint`.
    pub(crate) nodes: BTreeMap<String, Outcome>,
    /// By service: the worst of its nodes.
    pub(crate) services: BTreeMap<String, Outcome>,
    /// By flow.
    pub(crate) flows: BTreeMap<String, FlowOutcome>,
    /// By (caller, dependency) as they are drawn: `flow:name` for flows, `#2` for repetitions.
    pub(crate) dependencies: BTreeMap<(String, String), Passage>,
    /// By service: its load in the last moment, 1 being normal; 1 where load is not computed.
    pub(crate) loads: BTreeMap<String, f64>,
    /// When and how the break was noticed.
    pub(crate) detected: Option<Detected>,
    /// When the cause ended.
    pub(crate) cause_ended: Option<f64>,
    /// Services that must restart and never can.
    pub(crate) never_recover: BTreeSet<String>,
    /// Services overloaded in the last moment though the cause is gone, their warm-up is over, and
    /// they are not so without the change: a metastable failure.
    pub(crate) metastable: BTreeSet<String>,
    /// Services whose overload did not settle at some moment, with the change or without it.
    pub(crate) unsettled: BTreeSet<String>,
    /// Whether a cycle did not come to rest at some moment with the change or without it, or backlogs slid
    /// along a limit with and without it, or two of them at once.
    pub(crate) restless: bool,
    /// Whether a backlog slid along a limit.
    pub(crate) slides: bool,
}

/// What became of a node or a service. Times are in seconds from the start of the rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The peak of slow + down + corrupt.
    pub(crate) peak_failing: f64,
    /// The peak of all four.
    pub(crate) peak_bad: f64,
    /// Whether the first peak reaches the `failed` threshold.
    pub(crate) fails: bool,
    /// Whether the second peak reaches the `degraded` threshold.
    pub(crate) is_degraded: bool,
    /// The same two peaks and answers without the change.
    pub(crate) without_peaks: [f64; 2],
    pub(crate) without: [bool; 2],
    /// Whether at some moment it fails, or is degraded or worse, and would not without the change.
    pub(crate) caused: [bool; 2],
    /// The state in the last moment; of a service that of its worst node.
    pub(crate) state: State,
    /// The same without the change.
    pub(crate) baseline: State,
    /// When its failing share first reached the `failed` threshold, among the moments counted.
    pub(crate) first_failed: Option<f64>,
    /// For how long it did in total.
    pub(crate) failed_for: f64,
}

/// What became of a flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FlowOutcome {
    /// As a node.
    pub(crate) outcome: Outcome,
    /// The time integral of the failing share charged to the change, in seconds.
    pub(crate) lost_seconds: f64,
    /// The same of the corrupt share.
    pub(crate) wrong_seconds: f64,
    /// Orders lost, of a flow with a rate.
    pub(crate) orders_lost: Option<f64>,
    /// Wrong orders, of a flow with a rate.
    pub(crate) wrong_orders: Option<f64>,
}

/// How failure fared at a dependency.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Passage {
    /// The peak of the failing share of what it calls, of several that of the worst.
    pub(crate) came_in: f64,
    /// The peak of the failing share that it contributed.
    pub(crate) went_on: f64,
    /// Whether the first reaches the `degraded` threshold.
    pub(crate) tried: bool,
    /// Whether the second does.
    pub(crate) passed: bool,
    /// What contained it, if it was tried and did not pass.
    pub(crate) contained_by: Option<Guard>,
}

/// What keeps failure from passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// `propagation` drew no.
    Luck,
    /// `phase: start`: not needed to serve.
    Start,
    /// A retry succeeds.
    Retry,
    /// The cache answers.
    Cache,
    /// Enough other members are up.
    Redundancy,
    /// The buffer holds.
    Buffer,
    /// Something else answers instead.
    Fallback,
    /// The caller can do without.
    Soft,
    /// So few requests make the call.
    Rarity,
}

/// How a break was noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Detected {
    /// When.
    pub(crate) at: f64,
    /// By what.
    pub(crate) by: DetectedBy,
    /// At which exposure, where it then stays.
    pub(crate) exposure: f64,
}

/// What noticed a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DetectedBy {
    /// The clock that slow and down requests start.
    Ordinary,
    /// The clock that wrong answers start as well.
    Corrupt,
    /// The gate at the end of a stage.
    Gate,
}

/// Writes down what happens in a trial.
pub(crate) struct Recorder<'a> {
    graph: &'a Graph<'a>,
    world: &'a World,
    trial: Trial,
    /// By dependency: the most that came in so far, and what would have contained it.
    most: Vec<(f64, Option<Guard>)>,
}

impl<'a> Recorder<'a> {
    /// Nothing has happened.
    pub(crate) fn new(graph: &'a Graph<'a>, world: &'a World) -> Self {
        let most = vec![(0.0, None); graph.written.len()];
        Self { graph, world, trial: Trial::default(), most }
    }

    /// Writes down a moment at `now` after which nothing changes for `lasting` seconds.
    pub(crate) fn record(&mut self, now: f64, lasting: f64, moment: &Moment, baseline: &Moment) {
        let graph = self.graph;
        let is_late = |moment: &Moment| moment.too_late.iter().any(|share| *share > 0.0);
        self.trial.somebody_gave_up |= is_late(moment) || is_late(baseline);
        for (number, node) in graph.nodes.iter().enumerate() {
            let (state, without) = (moment.with_too_late(number), baseline.with_too_late(number));
            if node.service().is_some() {
                let outcome = self.trial.nodes.entry(node.name.clone()).or_default();
                outcome.record(graph, now, lasting, &[(state, without)]);
            }
        }
        for service in 0..graph.topology.services.len() {
            let nodes = graph.nodes_of(service);
            let states: Vec<(State, State)> = nodes
                .iter()
                .map(|node| (moment.with_too_late(*node), baseline.with_too_late(*node)))
                .collect();
            let name = graph.service_name(service).to_owned();
            self.trial.loads.insert(name.clone(), moment.loads[service]);
            self.trial.services.entry(name).or_default().record(graph, now, lasting, &states);
        }
        self.record_flows(now, lasting, moment, baseline);
        self.record_passages(moment);
        for moment in [moment, baseline] {
            let names = moment.swinging.iter().map(|service| graph.service_name(*service));
            self.trial.unsettled.extend(names.map(str::to_owned));
            self.trial.restless |= !moment.cycles_rest;
        }
    }

    fn record_flows(&mut self, now: f64, lasting: f64, moment: &Moment, baseline: &Moment) {
        for (number, flow) in self.graph.topology.flows.iter().enumerate() {
            let node = self.graph.flow(number);
            let (state, without) = (moment.states[node], baseline.states[node]);
            let of = self.trial.flows.entry(flow.name.clone()).or_default();
            of.outcome.record(self.graph, now, lasting, &[(state, without)]);
            of.lost_seconds += lasting * beyond(state.failing(), without.failing());
            of.wrong_seconds += lasting * beyond(state.corrupt, without.corrupt);
            // The share of orders that customers give up, and of those that go wrong.
            let lost = |state: State| {
                let p = state.slow + state.down;
                let (r, n) =
                    flow.retry_by_users.map_or((0.0, 0), |item| (item.share.get(), item.attempts));
                let reach = |k: u32| libm::pow(r * p, f64::from(k));
                let tries: f64 = (0..n).map(reach).sum();
                let wrong = state.corrupt * (tries + reach(n));
                (p * ((1.0 - r) * tries + reach(n)) + wrong, wrong)
            };
            let beyond = |of: fn((f64, f64)) -> f64| (of(lost(state)) - of(lost(without))).max(0.0);
            if let Some(rate) = flow.rate {
                *of.orders_lost.get_or_insert(0.0) += rate.get() * lasting * beyond(|item| item.0);
                *of.wrong_orders.get_or_insert(0.0) += rate.get() * lasting * beyond(|item| item.1);
            }
        }
    }

    fn record_passages(&mut self, moment: &Moment) {
        for (number, written) in self.graph.written.iter().enumerate() {
            let mut failing = [0.0; STAGES];
            for (weight, contributions) in moment.weights.iter().zip(&moment.contributions) {
                for (sum, share) in failing.iter_mut().zip(contributions[number].failing) {
                    *sum += weight * share;
                }
            }
            let key = (written.caller.clone(), written.name.clone());
            let passage = self.trial.dependencies.entry(key).or_default();
            passage.came_in = passage.came_in.max(failing[0]);
            passage.went_on = passage.went_on.max(failing[STAGES - 1]);
            let (most, guard) = &mut self.most[number];
            if failing[0] > *most + SLACK {
                let reaches_caller = self.world.reaches[&written.key];
                *guard = name_guard(self.graph, failing, reaches_caller, written.serves());
                *most = failing[0];
            }
        }
    }

    /// The outcome, once all has been written down.
    pub(crate) fn finish(mut self) -> Trial {
        let degraded = self.graph.topology.thresholds.degraded.get();
        for (written, (_, guard)) in self.graph.written.iter().zip(&self.most) {
            let key = (written.caller.clone(), written.name.clone());
            let passage = self.trial.dependencies.entry(key).or_default();
            passage.tried = reaches(passage.came_in, degraded);
            passage.passed = passage.tried && reaches(passage.went_on, degraded);
            if passage.tried && !passage.passed {
                passage.contained_by = *guard;
            }
        }
        self.trial
    }
}

/// The step after which the failing share no longer reaches the threshold.
fn name_guard(
    graph: &Graph,
    failing: [f64; STAGES],
    reaches_caller: bool,
    serves: bool,
) -> Option<Guard> {
    let named = [
        Guard::Retry,
        Guard::Cache,
        Guard::Redundancy,
        Guard::Buffer,
        Guard::Fallback,
        Guard::Soft,
        Guard::Rarity,
    ];
    if !serves {
        return Some(Guard::Start);
    }
    if !reaches_caller {
        return Some(Guard::Luck);
    }
    let degraded = graph.topology.thresholds.degraded.get();
    let contained =
        |step: &usize| reaches(failing[*step], degraded) && !reaches(failing[*step + 1], degraded);
    (0..named.len()).rev().find(contained).map(|step| named[step])
}

impl Outcome {
    /// Writes down the worst of some nodes, each with and without the change.
    fn record(&mut self, graph: &Graph, now: f64, lasting: f64, nodes: &[(State, State)]) {
        let thresholds = graph.topology.thresholds;
        let worst =
            |of: fn(State) -> f64| nodes.iter().map(|(state, _)| of(*state)).fold(0.0, f64::max);
        let failing = worst(State::failing);
        self.peak_failing = self.peak_failing.max(failing);
        self.peak_bad = self.peak_bad.max(worst(State::bad));
        self.fails = reaches(self.peak_failing, thresholds.failed.get());
        self.is_degraded = reaches(self.peak_bad, thresholds.degraded.get());
        let limits = [thresholds.failed.get(), thresholds.degraded.get()];
        let shares: [fn(State) -> f64; 2] = [State::failing, State::bad];
        for degree in 0..2 {
            let without =
                nodes.iter().map(|(_, without)| shares[degree](*without)).fold(0.0, f64::max);
            self.without_peaks[degree] = self.without_peaks[degree].max(without);
            let anyway = reaches(without, limits[degree]);
            self.without[degree] |= anyway;
            self.caused[degree] |= reaches(worst(shares[degree]), limits[degree]) && !anyway;
        }
        let worst_first = |a: State, b: State| if b.failing() > a.failing() { b } else { a };
        self.state = nodes.iter().map(|(state, _)| *state).fold(nodes[0].0, worst_first);
        self.baseline = nodes.iter().map(|(_, without)| *without).fold(nodes[0].1, worst_first);
        if reaches(failing, thresholds.failed.get()) {
            self.first_failed = self.first_failed.or(Some(now));
            self.failed_for += lasting;
        }
    }
}

impl Recorder<'_> {
    /// Adds what only the story as a whole tells.
    pub(crate) fn conclude(&mut self, conclusion: &Conclusion) {
        let name = |service: &usize| self.graph.service_name(*service).to_owned();
        self.trial.detected = conclusion.detected;
        self.trial.cause_ended = conclusion.cause_ended;
        self.trial.never_recover = conclusion.never_recover.iter().map(name).collect();
        self.trial.metastable = conclusion.metastable.iter().map(name).collect();
    }
}

/// What only the story as a whole tells; services by number.
pub(crate) struct Conclusion {
    /// When and how the break was noticed.
    pub(crate) detected: Option<Detected>,
    /// When the cause ended.
    pub(crate) cause_ended: Option<f64>,
    /// Services that must restart and never can.
    pub(crate) never_recover: Vec<usize>,
    /// Services overloaded at the end though the cause is gone.
    pub(crate) metastable: Vec<usize>,
}

/// Returns how far a share is beyond what fails anyway. Two walks come to rest from different sides: a
/// difference of no more than this is none.
fn beyond(with: f64, without: f64) -> f64 {
    const SAME: f64 = 1e-9;
    let difference = with - without;
    if difference > SAME { difference } else { 0.0 }
}
