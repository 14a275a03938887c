//! Records of eight trials as they go: peaks, times, losses, and what contained failure.

use crate::compile::plan::{Call, DependencyId, FlowId, NodeId, ObservedCall, Plan, ServiceId};
use crate::engine::fluid::observe::reasons::ReasonLanes;
use crate::engine::fluid::propagation::call_pipeline::{CallObserver, SLACK};
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{LANES, Lanes, Shares, all, has, mask, same};
use crate::engine::outcome::{Anomalies, Failures};
use crate::engine::simd::array;
use crate::engine::tally::Protection;
use crate::model::id::Table;

/// Record of eight trials.
pub(crate) struct Record {
    /// By unit, in the order of [`crate::engine::outcome::Outcome::units`].
    pub(crate) units: Vec<UnitRecord>,
    /// By flow.
    pub(crate) flows: Table<FlowId, FlowRecord>,
    /// By dependency.
    pub(crate) dependencies: Table<DependencyId, DependencyRecord>,
    /// Those at which something came in.
    pub(crate) tried: Vec<DependencyId>,
    /// Why requests waited in vain.
    pub(crate) reasons: ReasonLanes,
    /// The units to which something came.
    touched: Vec<u32>,
    /// By service: the lanes of each kind of anomaly.
    pub(crate) anomalies: Table<ServiceId, Anomalies<u8>>,
    pub(crate) impact: Lanes,
    pub(crate) over: Lanes,
    /// The nodes of every unit.
    nodes: Vec<Vec<NodeId>>,
    /// Units that are failed at the present moment.
    failed_now: Vec<(u32, u8)>,
}

/// A service, endpoint or flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitRecord {
    /// The peak of slow + down + corrupt.
    pub(crate) failing: Lanes,
    /// The peak of all four.
    pub(crate) any: Lanes,
    /// The peak of what is answered, but late.
    pub(crate) late: Lanes,
    pub(crate) first: Lanes,
    pub(crate) lasted: Lanes,
    /// The lanes in which it failed, or was degraded or worse, because of the change.
    pub(crate) caused: Failures<u8>,
}

/// A flow's losses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowRecord {
    /// Outage because of the change, in seconds.
    pub(crate) outage: Lanes,
    /// The lanes in which it loses something until the horizon.
    pub(crate) unfinished: u8,
    pub(crate) lost: Lanes,
    pub(crate) wrong: Lanes,
    /// Orders that were lost in the last moment.
    pub(crate) lost_now: Lanes,
    /// Orders that are late because of the change.
    pub(crate) late: Lanes,
}

/// Containment at a dependency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DependencyRecord {
    pub(crate) tried: u8,
    pub(crate) passed: u8,
    pub(crate) guard: [Protection; LANES],
    /// How much came in at the moment of `guard`.
    most: Lanes,
}

const UNTOUCHED: UnitRecord = UnitRecord {
    failing: all(0.0),
    any: all(0.0),
    late: all(0.0),
    first: all(f64::INFINITY),
    lasted: all(0.0),
    caused: Failures { failed: 0, degraded: 0 },
};
const NO_LOSS: FlowRecord = FlowRecord {
    outage: all(0.0),
    unfinished: 0,
    lost: all(0.0),
    wrong: all(0.0),
    lost_now: all(0.0),
    late: all(0.0),
};
const UNTRIED: DependencyRecord = DependencyRecord {
    tried: 0,
    passed: 0,
    guard: [Protection::Propagation; LANES],
    most: all(0.0),
};

impl Record {
    pub(crate) fn new(plan: &Plan) -> Self {
        let services = plan.services.ids().iter().map(|id| plan.nodes_of(id).collect());
        let endpoints = plan
            .services
            .iter()
            .flat_map(|service| service.endpoints.iter().map(|node| vec![*node]));
        let flows = plan.flows.iter().map(|flow| vec![flow.node]);
        let nodes: Vec<Vec<NodeId>> = services.chain(endpoints).chain(flows).collect();
        Self {
            units: vec![UNTOUCHED; nodes.len()],
            flows: Table::filled(NO_LOSS, plan.flows.len()),
            dependencies: Table::filled(UNTRIED, plan.dependencies.len()),
            tried: Vec::new(),
            reasons: ReasonLanes::new(),
            touched: Vec::new(),
            anomalies: Table::filled(Anomalies::default(), plan.services.len()),
            impact: all(f64::INFINITY),
            over: all(0.0),
            nodes,
            failed_now: Vec::new(),
        }
    }

    /// The nodes of every unit.
    pub(crate) fn unit_nodes(&self) -> &[Vec<NodeId>] {
        &self.nodes
    }

    pub(crate) fn clear(&mut self) {
        // Few units are touched in most trials, so only those are cleared.
        for unit in self.touched.drain(..) {
            self.units[unit as usize] = UNTOUCHED;
        }
        self.flows.fill(NO_LOSS);
        for dependency in self.tried.drain(..) {
            self.dependencies[dependency] = UNTRIED;
        }
        self.anomalies.fill(Anomalies::default());
        self.reasons.clear();
        self.impact = all(f64::INFINITY);
        self.over = all(0.0);
    }
}

impl Run<'_> {
    /// Takes down the peaks of the present moment in these lanes.
    pub(crate) fn observe(&mut self, lanes: u8) {
        self.record.failed_now.clear();
        if lanes == 0 {
            return;
        }
        for unit in 0..self.record.nodes.len() {
            self.observe_unit(unit, lanes);
        }
        let mut reasons = std::mem::take(&mut self.record.reasons);
        self.add_service_reasons(lanes, &mut reasons);
        self.add_limit_reasons(lanes, &mut reasons);
        self.observe_dependencies(lanes, &mut reasons);
        self.record.reasons = reasons;
    }

    /// Returns the present failing share of a unit, and its share that is degraded or worse: the
    /// worst of its nodes. `None` where all of them are ok in every lane.
    fn unit_shares(&self, unit: usize) -> Option<Failures<Lanes>> {
        let mut worst = Failures { failed: all(0.0), degraded: all(0.0) };
        let mut is_quiet = true;
        for node in &self.record.nodes[unit] {
            let node = *node;
            if self.state.cohorts.iter().all(|cohort| cohort.quiet[node]) {
                continue;
            }
            is_quiet = false;
            for lane in 0..LANES {
                let failing = self.failing_share(node, lane);
                worst.failed[lane] = worst.failed[lane].max(failing);
                worst.degraded[lane] =
                    worst.degraded[lane].max(failing + self.degraded_share(node, lane));
            }
        }
        (!is_quiet).then_some(worst)
    }

    /// Returns the present share of a unit that is answered late: the worst of its nodes.
    fn late_shares(&self, unit: usize) -> Lanes {
        if !self.plan.has_delays && self.plan.consumers.is_empty() {
            return all(0.0);
        }
        // Flows stand behind all other units.
        let flow = unit.checked_sub(self.record.nodes.len() - self.plan.flows.len());
        let flow = flow.map(FlowId::new);
        let nodes = &self.record.nodes[unit];
        // Messages make orders late at whose nodes nothing is unusual; all else that is late is not quiet.
        let is_quiet = |node: NodeId| self.state.cohorts.iter().all(|cohort| cohort.quiet[node]);
        let has_messages = flow.is_some_and(|flow| !self.plan.flows[flow].messages.is_empty());
        if !has_messages && nodes.iter().all(|node| is_quiet(*node)) {
            return all(0.0);
        }
        let worst = |lane: usize| {
            nodes.iter().map(|node| self.late_share(*node, flow, lane)).fold(0.0, f64::max)
        };
        std::array::from_fn(worst)
    }

    /// Returns the lanes in which shares reach the thresholds of failure.
    fn failures(&self, shares: &Failures<Lanes>) -> Failures<u8> {
        let (failed, degraded) = (self.plan.failed - SLACK, self.plan.degraded - SLACK);
        Failures {
            failed: mask::<LANES>(|lane| shares.failed[lane] >= failed),
            degraded: mask::<LANES>(|lane| shares.degraded[lane] >= degraded),
        }
    }

    /// Returns the units that are degraded or worse at the present moment, with their lanes.
    pub(crate) fn units_failing(&self) -> Vec<(u32, Failures<u8>)> {
        let failures = |unit: usize| Some(self.failures(&self.unit_shares(unit)?));
        let units = (0..self.record.nodes.len()).filter_map(|unit| Some((unit, failures(unit)?)));
        units
            .filter(|(_, lanes)| lanes.failed | lanes.degraded != 0)
            .map(|(unit, lanes)| (unit as u32, lanes))
            .collect()
    }

    fn observe_unit(&mut self, unit: usize, lanes: u8) {
        let late = self.late_shares(unit);
        let shares = match self.unit_shares(unit) {
            Some(shares) => shares,
            None if same(&late, &all(0.0)) => return,
            None => Failures { failed: all(0.0), degraded: all(0.0) },
        };
        let now = self.failures(&shares).map(|failing| failing & lanes);
        let without = self.baseline.failures_now(unit);
        let record = &mut self.record.units[unit];
        if record.any == all(0.0) && record.late == all(0.0) {
            self.record.touched.push(unit as u32);
        }
        record.caused.failed |= now.failed & !without.failed;
        record.caused.degraded |= now.degraded & !without.degraded;
        for lane in 0..LANES {
            if has(lanes, lane) {
                record.failing[lane] = record.failing[lane].max(shares.failed[lane]);
                record.any[lane] = record.any[lane].max(shares.degraded[lane]);
                record.late[lane] = record.late[lane].max(late[lane]);
            }
            if has(now.failed, lane) {
                record.first[lane] = record.first[lane].min(self.state.time[lane]);
            }
        }
        if now.failed != 0 {
            self.record.failed_now.push((unit as u32, now.failed));
        }
    }

    /// Records the failure that arrived and that propagated, at every dependency whose caller was
    /// computed anew.
    fn observe_dependencies(&mut self, lanes: u8, reasons: &mut ReasonLanes) {
        if self.plan.schedule.is_none() || self.state.cohorts.len() > 1 {
            // Only the last moment counts, and lanes may come to it one after the other; and how many
            // users are in each cohort changes what comes in where nothing else does.
            self.state.computed.fill(true);
        }
        for (id, dependency) in self.plan.dependencies.entries() {
            let Some(ObservedCall { call, caller }) = dependency.observed else { continue };
            if self.state.computed[caller] {
                let call = &self.plan.calls[call];
                let cohorts = self.state.cohorts.len();
                if (0..cohorts).any(|cohort| !self.state.is_quiet(call, cohort)) {
                    self.observe_dependency(id, call, caller, lanes);
                    self.add_call_reasons(id, call, lanes, reasons);
                }
            }
        }
        self.state.computed.fill(false);
    }

    fn observe_dependency(&mut self, id: DependencyId, call: &Call, caller: NodeId, lanes: u8) {
        let cohorts = self.state.cohorts.len();
        let degraded = self.plan.degraded - SLACK;
        let mut watches = [Watch::NEW; 2];
        let mut out = [Shares::OK; 2];
        for cohort in 0..cohorts {
            out[cohort] = self.state.call(call, caller, cohort, &mut watches[cohort]).shares;
        }
        let firsts: Lanes = array(|lane| self.first_cohort(lane));
        let record = &mut self.record.dependencies[id];
        let was_untried = record.tried == 0;
        for lane in 0..LANES {
            let first = firsts[lane];
            let weigh = |of: &dyn Fn(usize) -> f64| {
                if cohorts == 1 { of(0) } else { first * of(0) + (1.0 - first) * of(1) }
            };
            let came = weigh(&|cohort| watches[cohort].entered[lane]);
            if !has(lanes, lane) || came < degraded {
                continue;
            }
            record.tried |= 1 << lane;
            let passed = weigh(&|cohort| out[cohort].failing(lane));
            if passed >= degraded {
                record.passed |= 1 << lane;
            } else if came > record.most[lane] {
                record.most[lane] = came;
                let reaches = has(self.sampled.reaches[id], lane);
                record.guard[lane] = if reaches {
                    let watch = &watches[0];
                    if cohorts == 1 {
                        watch.guard(call, degraded, lane)
                    } else {
                        watch.weighed(&watches[1], first, lane).guard(call, degraded, lane)
                    }
                } else {
                    Protection::Propagation
                };
            }
        }
        if was_untried && record.tried != 0 {
            self.record.tried.push(id);
        }
    }

    /// Counts what is lost from now until a later time.
    pub(crate) fn count_until(&mut self, lane: usize, until: f64) {
        let time = self.state.time[lane];
        let duration = until - time;
        if duration <= 0.0 {
            return;
        }
        for (unit, lanes) in &self.record.failed_now {
            if has(*lanes, lane) {
                self.record.units[*unit as usize].lasted[lane] += duration;
            }
        }
        for flow in self.plan.flows.ids() {
            let [_, failing, _] = self.charged(flow, lane);
            if failing > SLACK {
                self.record.impact[lane] = self.record.impact[lane].min(time);
                self.record.over[lane] = until;
            }
            let [lost, wrong] = self.orders_lost_in(flow, lane, duration);
            let late = self.plan.flows[flow].rate * self.charged_late(flow, lane) * duration;
            let record = &mut self.record.flows[flow];
            record.outage[lane] += failing * duration;
            if failing > SLACK && until >= self.end {
                record.unfinished |= 1 << lane;
            }
            record.lost_now[lane] = lost;
            record.lost[lane] += lost;
            record.wrong[lane] += wrong;
            record.late[lane] += late;
        }
    }

    /// Returns what a flow loses now, for whatever reason: slow + down; with corrupt; corrupt alone; late.
    /// While a wait slides along a limit it is the mean over the two states that follow each other.
    pub(crate) fn flow_losses(&self, flow: FlowId, lane: usize) -> [f64; 4] {
        self.sliding[lane].flow(flow, self.pure_losses(flow, lane))
    }

    /// Returns what a flow loses in the present state alone.
    pub(crate) fn pure_losses(&self, flow: FlowId, lane: usize) -> [f64; 4] {
        let node = self.plan.flows[flow].node;
        [
            self.node_share(node, lane, Shares::unanswered),
            self.node_share(node, lane, Shares::failing),
            self.node_share(node, lane, |shares, lane| shares.corrupt[lane]),
            self.late_share(node, Some(flow), lane),
        ]
    }

    /// Returns the loss of a flow to the change now: slow + down, with corrupt, and corrupt alone.
    pub(crate) fn charged(&self, flow: FlowId, lane: usize) -> [f64; 3] {
        let node = self.plan.flows[flow].node;
        if self.state.cohorts.iter().all(|cohort| cohort.quiet[node]) {
            return [0.0; 3];
        }
        let anyway = self.baseline.flow(flow, &self.progress[lane], lane);
        let now = self.flow_losses(flow, lane);
        std::array::from_fn(|level| beyond(now[level], anyway[level]))
    }

    /// Returns the share of a flow's orders that is late now because of the change.
    pub(crate) fn charged_late(&self, flow: FlowId, lane: usize) -> f64 {
        let [.., late] = self.flow_losses(flow, lane);
        let [.., anyway] = self.baseline.flow(flow, &self.progress[lane], lane);
        (late - anyway).max(0.0)
    }

    /// Returns the orders that a flow loses to the change in a moment of this duration, and those that go
    /// wrong unnoticed.
    fn orders_lost_in(&mut self, flow: FlowId, lane: usize, duration: f64) -> [f64; 2] {
        let item = &self.plan.flows[flow];
        if !item.thinks() {
            return self.charged_orders(flow, lane).map(|share| item.rate * share * duration);
        }
        let with = self.attempts_now(flow, lane);
        let [unanswered, _, corrupt, _] = self.baseline.flow(flow, &self.progress[lane], lane);
        let known = self.customers.iter_mut().find(|known| known.flow == flow);
        let customers = known.expect("every flow whose customers think has them");
        let lost = customers.lost(item, lane, duration, with);
        let anyway = customers.lose_anyway(item, lane, duration, [unanswered, corrupt]);
        let charged = |level: usize| item.rate * beyond(lost[level], anyway[level]);
        [charged(0), charged(1).min(charged(0))]
    }

    /// Returns the shares of a flow's attempts that get no answer now, and a wrong one.
    pub(crate) fn attempts_now(&self, flow: FlowId, lane: usize) -> [f64; 2] {
        let [unanswered, _, corrupt, _] = self.flow_losses(flow, lane);
        [unanswered, corrupt]
    }

    /// Returns the share of its orders that a flow loses to the change now, and the share of those
    /// that go wrong unnoticed. It differs from what fails where customers try again.
    pub(crate) fn charged_orders(&self, flow: FlowId, lane: usize) -> [f64; 2] {
        let item = &self.plan.flows[flow];
        if item.retry_attempts == 0 {
            let [_, failing, corrupt] = self.charged(flow, lane);
            // Wrong answers may take the place of none, and then grow by more than all losses do.
            return [failing, corrupt.min(failing)];
        }
        let [unanswered, corrupt] = self.attempts_now(flow, lane);
        let with = item.lost_orders(unanswered, corrupt);
        let [unanswered, _, corrupt, _] = self.baseline.flow(flow, &self.progress[lane], lane);
        let without = item.lost_orders(unanswered, corrupt);
        let charged = |level: usize| beyond(with[level], without[level]);
        [charged(0), charged(1).min(charged(0))]
    }

    /// Records what is known only at the end.
    pub(crate) fn finish(&mut self) {
        for held in &self.pending_restarts {
            if held.at.is_infinite() {
                self.record.anomalies[held.service].never_recovers |= 1 << held.lane;
            }
        }
        for (anomalies, unsettled) in self.record.anomalies.iter_mut().zip(&self.state.unsettled) {
            anomalies.unsettled |= unsettled;
        }
        if !self.plan.has_load {
            return;
        }
        for service in self.plan.services.ids() {
            let metastable = mask::<LANES>(|lane| {
                let (course, time) = (&self.progress[lane], self.state.time[lane]);
                let is_held = self.pending_restarts.iter().any(|pending_restart| {
                    pending_restart.lane == lane
                        && pending_restart.service == service
                        && time < pending_restart.at
                });
                // Overload that outlives its cause: nothing waits for a restart, and it is not
                // there without the change as well.
                course.ended_at.is_finite()
                    && time >= course.repair_at
                    && !is_held
                    && (self.is_swamped(service, lane)
                        || (self.state.overload[service][lane] > SLACK
                            && self.is_failed(service, lane)))
                    && !self.baseline.is_overloaded(service, lane)
            });
            self.record.anomalies[service].metastable = metastable;
            self.record.anomalies[service].unsettled |= self.loads.oscillates[service];
        }
    }
}

/// Failure that the steps of one call left over.
struct Watch {
    /// The failing share that came in; the largest of an `any_of`.
    entered: Lanes,
    slow: Lanes,
    corrupt: Lanes,
    /// The failing share after the step of each guard; the largest of an `any_of`.
    left: [Lanes; Protection::ALL.len()],
    has_acted: [bool; Protection::ALL.len()],
}

/// Returns how far a share is beyond what fails anyway. Both are fixed points that were approached from
/// different sides, so what differs by no more than their tolerance is no loss.
fn beyond(now: f64, anyway: f64) -> f64 {
    let difference = now - anyway;
    if difference > SLACK { difference } else { 0.0 }
}

impl Watch {
    const NEW: Self = Self {
        entered: all(0.0),
        slow: all(0.0),
        corrupt: all(0.0),
        left: [all(0.0); Protection::ALL.len()],
        has_acted: [false; Protection::ALL.len()],
    };

    /// Returns what was seen of both cohorts in one lane; the first one weighs so much.
    fn weighed(&self, second: &Self, first: f64, lane: usize) -> Self {
        let weigh = |a: &Lanes, b: &Lanes| all(first * a[lane] + (1.0 - first) * b[lane]);
        Self {
            entered: weigh(&self.entered, &second.entered),
            slow: weigh(&self.slow, &second.slow),
            corrupt: weigh(&self.corrupt, &second.corrupt),
            left: std::array::from_fn(|step| weigh(&self.left[step], &second.left[step])),
            has_acted: self.has_acted,
        }
    }

    /// Returns the protection that contained it: the step after which less than `degraded` was
    /// left for good. What made it possible is named instead where most of what came in was slow
    /// and the caller gave up, or wrong and the caller noticed.
    fn guard(&self, call: &Call, degraded: f64, lane: usize) -> Protection {
        let (mut guard, mut was_held) = (Protection::Propagation, false);
        for step in Protection::STEPS.into_iter().filter(|step| self.has_acted[*step as usize]) {
            let is_held = self.left[step as usize][lane] < degraded;
            if is_held && !was_held {
                guard = step;
            }
            was_held = is_held;
        }
        let half = 0.5 * self.entered[lane];
        match guard {
            Protection::Redundancy
            | Protection::Retry
            | Protection::Fallback
            | Protection::Soft => {
                if call.gives_up && self.slow[lane] > half {
                    Protection::Timeout
                } else if call.validates && self.corrupt[lane] > half {
                    Protection::Validation
                } else {
                    guard
                }
            }
            _ => guard,
        }
    }
}

impl CallObserver<LANES> for Watch {
    fn enters(&mut self, shares: &Shares) {
        for lane in 0..LANES {
            let failing = shares.failing(lane);
            if failing > self.entered[lane] {
                self.entered[lane] = failing;
                self.slow[lane] = shares.slow[lane];
                self.corrupt[lane] = shares.corrupt[lane];
            }
        }
    }

    fn after(&mut self, guard: Protection, shares: &Shares) {
        self.has_acted[guard as usize] = true;
        let left = &mut self.left[guard as usize];
        for lane in 0..LANES {
            left[lane] = left[lane].max(shares.failing(lane));
        }
    }
}
