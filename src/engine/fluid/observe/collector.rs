//! Puts the records of eight times eight trials together into one outcome of 64.

use crate::compile::plan::{DependencyId, ServiceId};
use crate::model::id::Table;
use std::collections::BTreeMap;

use super::record::Record;
use crate::compile::Plan;
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{LANES, all, same};
use crate::engine::outcome::{
    Anomalies, Anomaly, DependencyOutcome, Each, FailedTime, FlowOutcome, Outcome, TRIALS,
    Timeline, UnitOutcome,
};
use crate::engine::tally::Protection;

/// Puts the records of eight times eight trials together.
pub(crate) struct Collector<'a> {
    plan: &'a Plan,
    outcome: Outcome,
    dependencies: Table<DependencyId, Option<Box<DependencyOutcome>>>,
    anomalies: Table<ServiceId, Anomalies<u64>>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(plan: &'a Plan, valid: u64) -> Self {
        let endpoints: usize = plan.services.iter().map(|service| service.endpoints.len()).sum();
        let units = plan.services.len() + endpoints + plan.flows.len();
        let flow = || FlowOutcome {
            share: [0.0; TRIALS],
            lost: [f64::NAN; TRIALS],
            wrong: [f64::NAN; TRIALS],
            outage: [f64::NAN; TRIALS],
            late: [f64::NAN; TRIALS],
            unfinished: 0,
        };
        Self {
            plan,
            outcome: Outcome {
                valid,
                units: vec![UnitOutcome::default(); units],
                times: Vec::new(),
                flows: plan.flows.iter().map(|_| flow()).collect(),
                dependencies: Vec::new(),
                anomalies: Vec::new(),
                reasons: BTreeMap::new(),
                course: plan.schedule.is_some().then(Box::default),
            },
            dependencies: Table::filled(None, plan.dependencies.len()),
            anomalies: Table::filled(Anomalies::default(), plan.services.len()),
        }
    }

    /// Adds what was seen of these trials in these lanes.
    pub(crate) fn collect(&mut self, run: &Run<'_>, trials: [u8; LANES], lanes: u8) {
        let record = &run.record;
        let at = trials.map(usize::from);
        let counted = |lane: &usize| lanes >> *lane & 1 == 1;
        self.collect_units(record, trials, lanes);
        self.collect_baseline(run, trials, lanes);
        let first_flow = self.outcome.units.len() - self.plan.flows.len();
        for ((id, seen), flow) in record.flows.entries().zip(&mut self.outcome.flows) {
            flow.unfinished |= of_trials(seen.unfinished & lanes, trials);
            for lane in (0..LANES).filter(counted) {
                flow.share[at[lane]] = record.units[first_flow + id.index()].failing[lane];
                if self.plan.schedule.is_some() {
                    flow.lost[at[lane]] = seen.lost[lane];
                    flow.wrong[at[lane]] = seen.wrong[lane];
                    flow.outage[at[lane]] = seen.outage[lane];
                    flow.late[at[lane]] = seen.late[lane];
                }
            }
        }
        self.collect_dependencies(record, trials, lanes);
        for (all, masks) in self.anomalies.iter_mut().zip(&record.anomalies) {
            let seen = masks.map(|mask| of_trials(mask & lanes, trials));
            all.metastable |= seen.metastable;
            all.never_recovers |= seen.never_recovers;
            all.unsettled |= seen.unsettled;
        }
        self.collect_reasons(record, trials, lanes);
        if let Some(course) = &mut self.outcome.course {
            for lane in (0..LANES).filter(counted) {
                collect_timeline(course, run, lane, at[lane]);
            }
        }
    }

    fn collect_units(&mut self, record: &Record, trials: [u8; LANES], lanes: u8) {
        // A share that is the threshold but for rounding has reached it.
        let (failed, degraded) = (self.plan.failed - SLACK, self.plan.degraded - SLACK);
        for (index, (unit, seen)) in self.outcome.units.iter_mut().zip(&record.units).enumerate() {
            if same(&seen.any, &all(0.0)) && same(&seen.late, &all(0.0)) {
                continue;
            }
            unit.caused.failed |= of_trials(seen.caused.failed & lanes, trials);
            unit.caused.degraded |= of_trials(seen.caused.degraded & lanes, trials);
            for lane in (0..LANES).filter(|lane| lanes >> *lane & 1 == 1) {
                let bit = 1 << trials[lane];
                unit.share += seen.failing[lane];
                unit.late += seen.late[lane];
                unit.degraded |= if seen.any[lane] >= degraded { bit } else { 0 };
                if seen.failing[lane] >= failed {
                    unit.failed |= bit;
                    if self.plan.schedule.is_some() {
                        self.outcome.times.push(FailedTime {
                            unit: index as u32,
                            first: seen.first[lane],
                            lasted: seen.lasted[lane],
                        });
                    }
                }
            }
        }
    }

    fn collect_baseline(&mut self, run: &Run<'_>, trials: [u8; LANES], lanes: u8) {
        for (unit, failures) in run.baseline.peaks() {
            let all = &mut self.outcome.units[unit].baseline;
            all.failed |= of_trials(failures.failed & lanes, trials);
            all.degraded |= of_trials(failures.degraded & lanes, trials);
        }
    }

    fn collect_reasons(&mut self, record: &Record, trials: [u8; LANES], lanes: u8) {
        for (reason, seen) in &record.reasons {
            let seen = of_trials(seen & lanes, trials);
            if seen != 0 {
                *self.outcome.reasons.entry(*reason).or_default() |= seen;
            }
        }
    }

    fn collect_dependencies(&mut self, record: &Record, trials: [u8; LANES], lanes: u8) {
        for &id in &record.tried {
            let seen = &record.dependencies[id];
            let place = &mut self.dependencies[id];
            let with = place.get_or_insert_with(|| {
                Box::new(DependencyOutcome {
                    dependency: id,
                    tried: 0,
                    passed: 0,
                    held: [0; Protection::ALL.len()],
                })
            });
            with.tried |= of_trials(seen.tried & lanes, trials);
            with.passed |= of_trials(seen.passed & lanes, trials);
            let held = seen.tried & !seen.passed & lanes;
            for lane in (0..LANES).filter(|lane| held >> *lane & 1 == 1) {
                with.held[seen.guard[lane] as usize] |= 1 << trials[lane];
            }
        }
    }

    pub(crate) fn finish(mut self) -> Outcome {
        self.outcome.dependencies =
            self.dependencies.into_iter().flatten().map(|boxed| *boxed).collect();
        // They may have been tried in lanes only that do not count.
        self.outcome.dependencies.retain(|dependency| dependency.tried != 0);
        for (service, trials) in self.anomalies.entries() {
            if *trials != Anomalies::default() {
                self.outcome.anomalies.push(Anomaly { service, trials: *trials });
            }
        }
        self.outcome
    }
}

/// A mask of lanes as one of the trials in them.
fn of_trials(lanes: u8, trials: [u8; LANES]) -> u64 {
    let lane = |lane: usize| u64::from(lanes >> lane & 1) << trials[lane];
    if lanes == 0 { 0 } else { (0..LANES).map(lane).sum() }
}

fn collect_timeline(course: &mut Timeline, run: &Run<'_>, lane: usize, trial: usize) {
    let set = |each: &mut Each, value: f64| each[trial] = value;
    let progress = &run.progress[lane];
    set(&mut course.impact, run.record.impact[lane]);
    set(&mut course.detected, progress.detected_at);
    course.detected_by[trial] = progress.detected_by;
    set(&mut course.exposure, progress.exposure);
    set(&mut course.ended, progress.ended_at);
    set(&mut course.over, run.record.over[lane]);
}
