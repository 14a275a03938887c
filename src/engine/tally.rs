//! Counts of an engine: integers and sums, added up in a fixed order.

use crate::compile::plan::{DependencyId, FlowId, ServiceId};
use crate::model::id::Table;
use std::collections::BTreeMap;

use super::outcome::{Anomalies, Failures, Outcome, TRIALS, Timeline, WaitReason};
use super::sketch::Sketch;
use crate::compile::Plan;

/// Protection that contains a failure, or the reason why it is not propagated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// Another member of an `any_of` answers.
    Redundancy,
    /// A retry succeeds.
    Retry,
    /// A cache answers.
    Cache,
    /// A buffer holds the requests.
    Buffer,
    /// A fallback answers.
    Fallback,
    /// The caller serves without it.
    Soft,
    /// The caller gave up waiting, so that another guard could act on a hanging dependency.
    Timeout,
    /// The caller noticed wrong answers, so that another guard could act on them.
    Validation,
    /// Few requests make the call (`call_probability`).
    CallProbability,
    /// The draw of `propagation` keeps the failure from the caller.
    Propagation,
}

impl Protection {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Redundancy,
        Self::Retry,
        Self::Cache,
        Self::Buffer,
        Self::Fallback,
        Self::Soft,
        Self::Timeout,
        Self::Validation,
        Self::CallProbability,
        Self::Propagation,
    ];

    /// Protections whose steps may reduce failure, in the order of the steps.
    pub(crate) const STEPS: [Self; 8] = [
        Self::Retry,
        Self::Cache,
        Self::Redundancy,
        Self::Buffer,
        Self::Fallback,
        Self::Soft,
        Self::CallProbability,
        Self::Propagation,
    ];
}

/// Binary digits kept of the times of units: to 0.1%, since there may be many units.
const TIME_DIGITS: u32 = 9;
/// Binary digits kept of orders lost: to 1 in 65,536.
const ORDER_DIGITS: u32 = 16;

/// Counts over all trials.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// How many trials.
    pub trials: u64,
    /// By unit, in the order of [`Outcome::units`].
    pub units: Vec<UnitTally>,
    /// By flow.
    pub flows: Table<FlowId, FlowTally>,
    /// Orders lost over all flows with a rate, trial by trial.
    pub lost: Sketch,
    /// By dependency as written.
    pub dependencies: Table<DependencyId, DependencyTally>,
    /// By service: in how many trials each kind of anomaly occurred.
    pub anomalies: Table<ServiceId, Anomalies<u64>>,
    /// In how many trials requests waited in vain for each reason, at some moment.
    pub reasons: BTreeMap<WaitReason, u64>,
    /// The course of the trials, where there is time.
    pub course: Option<TimelineTally>,
    /// Loss of each trial, in the order of trials, where there is time: orders lost, or where no
    /// flow has a rate, seconds' worth of orders.
    pub costs: Vec<f32>,
}

/// A service, an endpoint or a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitTally {
    /// In how many trials it failed.
    pub failed: u64,
    /// In how many it was degraded or worse.
    pub degraded: u64,
    /// In how many trials the same holds without the change.
    pub baseline: Failures<u64>,
    /// In how many trials the same holds because of the change: at some moment it does with the
    /// change and, at that moment, would not without.
    pub caused: Failures<u64>,
    /// The sum of its peak failing shares.
    pub share: f64,
    /// The sum of its peak shares that are answered, but late.
    pub late: f64,
    /// When it first failed, over the trials in which it did.
    pub first: Sketch,
    /// For how long in all.
    pub lasted: Sketch,
}

/// A flow.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowTally {
    /// Orders lost; empty where its rate is not known or there is no time.
    pub lost: Sketch,
    /// Of these, orders that went wrong unnoticed.
    pub wrong: Sketch,
    /// Outage because of the change, in seconds; empty where there is no time.
    pub outage: Sketch,
    /// Orders that are late because of the change; empty where its rate is not known or there is no time.
    pub late: Sketch,
    /// In how many trials the outage is not over at the horizon.
    pub unfinished: u64,
}

/// A dependency as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DependencyTally {
    /// Number of trials in which failure entered.
    pub tried: u64,
    /// In how many it passed.
    pub passed: u64,
    /// In how many it was contained, by guard.
    pub held: [u64; Protection::ALL.len()],
}

/// The course of the trials.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineTally {
    /// When some flow first lost something, over the trials in which one did.
    pub impact: Sketch,
    /// When it was detected, over the trials in which it was.
    pub detected: Sketch,
    /// In how many trials it was noticed by nobody, an alert, wrong answers, a gate.
    pub detected_by: [u64; 4],
    /// The exposure at detection, over the same trials.
    pub exposure: Sketch,
    /// When the cause ended, over the trials in which it did.
    pub ended: Sketch,
    /// When the last flow stopped losing, over the trials with an impact.
    pub over: Sketch,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(plan: &Plan) -> Self {
        let endpoints: usize = plan.services.iter().map(|service| service.endpoints.len()).sum();
        let unit = || UnitTally {
            failed: 0,
            degraded: 0,
            baseline: Failures::default(),
            caused: Failures::default(),
            share: 0.0,
            late: 0.0,
            first: Sketch::new(TIME_DIGITS),
            lasted: Sketch::new(TIME_DIGITS),
        };
        let flow = || FlowTally {
            lost: Sketch::new(ORDER_DIGITS),
            wrong: Sketch::new(ORDER_DIGITS),
            outage: Sketch::new(ORDER_DIGITS),
            late: Sketch::new(ORDER_DIGITS),
            unfinished: 0,
        };
        let units = plan.services.len() + endpoints + plan.flows.len();
        Self {
            trials: 0,
            units: (0..units).map(|_| unit()).collect(),
            flows: plan.flows.iter().map(|_| flow()).collect(),
            lost: Sketch::new(ORDER_DIGITS),
            dependencies: Table::filled(DependencyTally::default(), plan.dependencies.len()),
            anomalies: Table::filled(Anomalies::default(), plan.services.len()),
            reasons: BTreeMap::new(),
            course: plan.schedule.as_ref().map(|_| TimelineTally {
                impact: Sketch::new(ORDER_DIGITS),
                detected: Sketch::new(ORDER_DIGITS),
                detected_by: [0; 4],
                exposure: Sketch::new(ORDER_DIGITS),
                ended: Sketch::new(ORDER_DIGITS),
                over: Sketch::new(ORDER_DIGITS),
            }),
            costs: Vec::new(),
        }
    }

    /// Adds 64 trials. Outcomes must come in the order of their trials for equal bits.
    pub fn add_outcome(&mut self, outcome: &Outcome) {
        self.trials += u64::from(outcome.valid.count_ones());
        for (all, one) in self.units.iter_mut().zip(&outcome.units) {
            all.failed += u64::from(one.failed.count_ones());
            all.degraded += u64::from(one.degraded.count_ones());
            all.baseline.add_trials(&one.baseline);
            all.caused.add_trials(&one.caused);
            all.share += one.share;
            all.late += one.late;
        }
        for (all, one) in self.flows.iter_mut().zip(&outcome.flows) {
            all.unfinished += u64::from(one.unfinished.count_ones());
        }
        for time in &outcome.times {
            self.units[time.unit as usize].first.add(time.first);
            self.units[time.unit as usize].lasted.add(time.lasted);
        }
        for dependency in &outcome.dependencies {
            let all = &mut self.dependencies[dependency.dependency];
            all.tried += u64::from(dependency.tried.count_ones());
            all.passed += u64::from(dependency.passed.count_ones());
            for (all, held) in all.held.iter_mut().zip(dependency.held) {
                *all += u64::from(held.count_ones());
            }
        }
        for anomaly in &outcome.anomalies {
            let all = &mut self.anomalies[anomaly.service];
            let counts = anomaly.trials.map(|trials| u64::from(trials.count_ones()));
            all.metastable += counts.metastable;
            all.never_recovers += counts.never_recovers;
            all.unsettled += counts.unsettled;
        }
        for (reason, trials) in &outcome.reasons {
            *self.reasons.entry(*reason).or_default() += u64::from(trials.count_ones());
        }
        for trial in (0..TRIALS).filter(|trial| outcome.valid >> trial & 1 == 1) {
            self.add_orders(outcome, trial);
            if let (Some(all), Some(course)) = (&mut self.course, &outcome.course) {
                all.add_timeline(course, trial);
            }
        }
    }

    fn add_orders(&mut self, outcome: &Outcome, trial: usize) {
        let (mut total, mut has_rate, mut outage) = (0.0, false, 0.0);
        for (all, flow) in self.flows.iter_mut().zip(&outcome.flows) {
            let lost = flow.lost[trial];
            let seconds = flow.outage[trial];
            if !seconds.is_nan() {
                outage += seconds;
                all.outage.add(seconds);
            }
            if !lost.is_nan() {
                has_rate = true;
                total += lost;
                all.lost.add(lost);
                all.wrong.add(flow.wrong[trial]);
                all.late.add(flow.late[trial]);
            }
        }
        if has_rate {
            self.lost.add(total);
        }
        if self.course.is_some() {
            // One for each trial, so half of the memory: they only rank trials.
            self.costs.push(if has_rate { total } else { outage } as f32);
        }
    }

    /// Returns the first trial whose cost is the `q` quantile of the costs of all trials.
    pub fn trial_at(&self, q: f64) -> Option<u64> {
        let mut order: Vec<u32> = (0..self.costs.len() as u32).collect();
        #[expect(clippy::cast_sign_loss, reason = "a rank is not negative")]
        let rank = ((q * order.len() as f64).ceil() as usize).clamp(1, order.len().max(1)) - 1;
        let cost = |trial: &u32| (self.costs[*trial as usize], *trial);
        if order.is_empty() {
            return None;
        }
        let (_, at, _) = order.select_nth_unstable_by(rank, |a, b| {
            let (a, b) = (cost(a), cost(b));
            a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
        });
        let found = self.costs[*at as usize];
        self.costs.iter().position(|cost| *cost == found).map(|trial| trial as u64)
    }

    /// Prepares the sketches for quantiles.
    pub fn settle_sketches(&mut self) {
        for unit in &mut self.units {
            unit.first.settle();
            unit.lasted.settle();
        }
        for flow in &mut self.flows {
            flow.lost.settle();
            flow.wrong.settle();
            flow.outage.settle();
            flow.late.settle();
        }
        self.lost.settle();
        if let Some(course) = &mut self.course {
            for sketch in [
                &mut course.impact,
                &mut course.detected,
                &mut course.exposure,
                &mut course.ended,
                &mut course.over,
            ] {
                sketch.settle();
            }
        }
    }
}

impl TimelineTally {
    fn add_timeline(&mut self, course: &Timeline, trial: usize) {
        self.detected_by[course.detected_by[trial] as usize] += 1;
        if course.detected[trial].is_finite() {
            self.detected.add(course.detected[trial]);
            self.exposure.add(course.exposure[trial]);
        }
        if course.ended[trial].is_finite() {
            self.ended.add(course.ended[trial]);
        }
        if course.impact[trial].is_finite() {
            self.impact.add(course.impact[trial]);
            self.over.add(course.over[trial]);
        }
    }
}
