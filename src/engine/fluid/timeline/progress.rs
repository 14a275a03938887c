//! The course of a trial: rollout, gates, detection, rollback, and what comes next.

use crate::compile::plan::{Delay, Plan, Schedule, Stage, Target, TargetId};
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::has;
use crate::engine::outcome::DetectedBy;
use crate::engine::trace::Event;
use crate::model::id::Table;

/// Where one trial stands.
#[derive(Clone, Debug)]
pub(crate) struct TrialProgress {
    /// Whether it is still being followed.
    pub(crate) alive: bool,
    /// Whether this is the same trial without the change.
    pub(crate) without_change: bool,
    pub(crate) exposure: f64,
    stage: usize,
    stage_end: f64,
    pub(crate) detected_at: f64,
    pub(crate) detected_by: DetectedBy,
    /// When the clock that started will have run; infinite before it starts.
    ordinary_at: f64,
    corrupt_at: f64,
    is_rollback_planned: bool,
    rollback_at: f64,
    kill_at: f64,
    /// From when on, and until when, the rollback takes exposure back.
    pub(crate) fades: [f64; 2],
    /// When the cause ended.
    pub(crate) ended_at: f64,
    pub(crate) repair_at: f64,
    /// From when on every broken target is down since a rollback made it worse.
    pub(crate) worsened_at: f64,
    /// Whether some target has been failing for some time: what a gate can see.
    pub(crate) has_shown: bool,
    /// The step of the baseline that holds now.
    pub(crate) base_step: usize,
    /// By target, where some has a rollout of its own.
    targets: Table<TargetId, TargetProgress>,
}

/// How far the rollout of one target has come.
#[derive(Clone, Copy, Debug)]
struct TargetProgress {
    stage: usize,
    stage_end: f64,
    exposure: f64,
}

const NEVER: f64 = f64::INFINITY;

impl TrialProgress {
    /// Whether a rollback took every broken target down.
    pub(crate) fn has_worsened(&self) -> bool {
        self.worsened_at.is_finite()
    }

    /// The start of a trial.
    pub(crate) fn start(plan: &Plan) -> Self {
        let schedule = plan.schedule.as_ref();
        let has_own = plan.targets.iter().any(|target| !target.stages.is_empty());
        let first_of = |target: &Target| TargetProgress {
            stage: 0,
            stage_end: if target.stages.is_empty() {
                NEVER
            } else {
                stage_end(&target.stages, 0, 0.0)
            },
            exposure: target.stages.first().map_or(1.0, |stage| stage.exposure),
        };
        let first = schedule.map(|schedule| schedule.stages[0]);
        Self {
            alive: true,
            without_change: false,
            exposure: first.map_or(1.0, |stage| stage.exposure),
            stage: 0,
            stage_end: schedule.map_or(NEVER, |schedule| stage_end(&schedule.stages, 0, 0.0)),
            detected_at: NEVER,
            detected_by: DetectedBy::Nobody,
            ordinary_at: NEVER,
            corrupt_at: NEVER,
            is_rollback_planned: false,
            rollback_at: NEVER,
            kill_at: NEVER,
            fades: [NEVER; 2],
            ended_at: NEVER,
            repair_at: NEVER,
            worsened_at: NEVER,
            has_shown: false,
            base_step: 0,
            targets: if has_own {
                plan.targets.iter().map(first_of).collect()
            } else {
                Table::new()
            },
        }
    }

    /// Returns the share of instances of a target that has the change.
    pub(crate) fn exposure_of(&self, target: TargetId, plan: &Plan) -> f64 {
        let item = &plan.targets[target];
        let exposure =
            if item.stages.is_empty() { self.exposure } else { self.targets[target].exposure };
        item.whole_exposure(exposure)
    }

    pub(crate) fn is_detected(&self) -> bool {
        self.detected_at.is_finite()
    }

    fn detect(&mut self, time: f64, by: DetectedBy) {
        self.detected_at = time;
        self.detected_by = by;
    }
}

/// When a stage ends that starts now; the last one without a bake never does.
fn stage_end(stages: &[Stage], stage: usize, now: f64) -> f64 {
    let is_last = stage + 1 == stages.len();
    let bake = stages[stage].bake;
    if is_last && bake == 0.0 { NEVER } else { now + bake }
}

impl Run<'_> {
    /// Returns the share of its exposure that the change still has while a rollback takes it back.
    pub(crate) fn left_of_exposure(&self, lane: usize) -> f64 {
        let [fades, faded] = self.progress[lane].fades;
        let time = self.state.time[lane];
        match () {
            () if time < fades => 1.0,
            () if time >= faded => 0.0,
            () => 1.0 - self.ramp(fades, faded - fades, lane),
        }
    }

    /// Lets outages begin and end that have nothing to do with the change.
    pub(crate) fn change_outages(&mut self, lane: usize) {
        let time = self.state.time[lane];
        if self.sampled.next_outage(lane) > time {
            return;
        }
        let services_in = &self.index_of_plan.services_in;
        self.sampled.change_outages(self.plan, services_in, lane, time);
        for index in 0..self.sampled.changed_services.len() {
            let service = self.sampled.changed_services[index];
            if has(self.sampled.down[service], lane) {
                self.register_affected(service);
            }
        }
    }

    /// Everything that happens at the present time of a lane, before its moment is computed.
    pub(crate) fn events(&mut self, lane: usize) {
        let time = self.state.time[lane];
        self.change_outages(lane);
        self.apply_interventions(lane);
        if let Some(schedule) = &self.plan.schedule
            && !self.progress[lane].without_change
        {
            self.end_cause_if_due(lane, time, schedule);
            let course = &mut self.progress[lane];
            if !course.is_detected() && time >= course.ordinary_at.min(course.corrupt_at) {
                let by = if course.ordinary_at <= course.corrupt_at {
                    DetectedBy::Alert
                } else {
                    DetectedBy::WrongAnswers
                };
                course.detect(time, by);
                self.note(lane, Event::Detected(by));
            }
            self.gates_and_stages(lane, time, schedule);
            self.stages_of_targets(lane, time);
        }
        self.arm_targets(lane, time);
        self.baseline.advance(&mut self.progress[lane], lane, time);
    }

    fn end_cause_if_due(&mut self, lane: usize, time: f64, schedule: &Schedule) {
        if self.progress[lane].ended_at.is_finite() {
            return;
        }
        if time >= self.progress[lane].kill_at {
            self.end(lane, time, schedule, true);
        } else if time >= self.progress[lane].fades[1] {
            self.end(lane, time, schedule, false);
        } else if time >= self.progress[lane].rollback_at {
            // It happens once, whatever comes of it.
            self.progress[lane].rollback_at = NEVER;
            if has(self.sampled.rollback_worsens, lane) {
                self.progress[lane].worsened_at = time;
                self.note(lane, Event::RollbackWorsened);
            } else if has(self.sampled.rollback_works, lane) {
                if schedule.rollback_takes > 0.0 {
                    self.progress[lane].fades = [time, time + schedule.rollback_takes];
                } else {
                    self.end(lane, time, schedule, false);
                }
            }
        }
    }

    /// Ends the cause by hand.
    pub(crate) fn cause_taken_away(&mut self, lane: usize) {
        if let Some(schedule) = &self.plan.schedule {
            self.end(lane, self.state.time[lane], schedule, false);
        }
    }

    fn end(&mut self, lane: usize, time: f64, schedule: &Schedule, by_switch: bool) {
        self.note(lane, Event::CauseEnds { by_switch });
        let delay = self.sampled.repair[lane];
        self.progress[lane].repair_at = if schedule.repair.is_some() { time + delay } else { time };
        self.end_cause(lane, time);
    }

    fn gates_and_stages(&mut self, lane: usize, time: f64, schedule: &Schedule) {
        // Several stages may end at one moment: a bake may be 0.
        while !self.progress[lane].is_detected() && time >= self.progress[lane].stage_end {
            let course = &mut self.progress[lane];
            let stage = course.stage;
            let is_caught = course.has_shown && has(self.sampled.gates[stage], lane);
            if is_caught && self.sees_enough(lane, stage) {
                let course = &mut self.progress[lane];
                course.detect(time, DetectedBy::Gate);
                self.note(lane, Event::Detected(DetectedBy::Gate));
                continue;
            }
            self.evidence.begin_stage(self.plan, lane, None);
            let course = &mut self.progress[lane];
            if stage + 1 == schedule.stages.len() {
                course.stage_end = NEVER;
            } else {
                course.stage += 1;
                course.exposure = schedule.stages[course.stage].exposure;
                course.stage_end = stage_end(&schedule.stages, course.stage, time);
            }
            if schedule.stages[stage].gate > 0.0 {
                self.note(lane, Event::GatePassed(stage as u32));
            }
            if stage + 1 < schedule.stages.len() {
                self.note(lane, Event::Stage(stage as u32 + 1));
            }
        }
    }

    /// The same for targets with a rollout of their own.
    fn stages_of_targets(&mut self, lane: usize, time: f64) {
        for target in self.progress[lane].targets.ids() {
            let item = &self.plan.targets[target];
            while !self.progress[lane].is_detected()
                && time >= self.progress[lane].targets[target].stage_end
            {
                let progress = &mut self.progress[lane];
                let stage = progress.targets[target].stage;
                let gate = item.first_gate as usize + stage;
                let is_caught = progress.has_shown && has(self.sampled.gates[gate], lane);
                if is_caught && self.sees_enough(lane, gate) {
                    let progress = &mut self.progress[lane];
                    progress.detect(time, DetectedBy::Gate);
                    self.note(lane, Event::Detected(DetectedBy::Gate));
                    break;
                }
                self.evidence.begin_stage(self.plan, lane, Some(target));
                let own = &mut self.progress[lane].targets[target];
                if stage + 1 == item.stages.len() {
                    own.stage_end = NEVER;
                } else {
                    own.stage = stage + 1;
                    own.exposure = item.stages[own.stage].exposure;
                    own.stage_end = stage_end(&item.stages, own.stage, time);
                }
            }
        }
    }

    /// Starts the onset of targets that the exposure has reached.
    fn arm_targets(&mut self, lane: usize, time: f64) {
        for (target, item) in self.plan.targets.entries() {
            let exposure = self.progress[lane].exposure_of(target, self.plan);
            let from = &mut self.fails_from[target][lane];
            if from.is_infinite() && exposure > 0.0 && exposure >= item.min_exposure {
                let onset = self.sampled.targets[target].onset[lane];
                // In a single moment the onset is over.
                *from = if self.plan.schedule.is_some() { time + onset } else { time };
            }
        }
    }

    /// Starts clocks by what the moment shows, and plans the way back once detected.
    pub(crate) fn clocks(&mut self, lane: usize) {
        let Some(schedule) = &self.plan.schedule else { return };
        let time = self.state.time[lane];
        let has_automations = !self.plan.interventions.automations.is_empty();
        if has_automations && self.interventions.next_time(self.plan, lane, false) <= time {
            // An automation changes this very moment: without the change it did so already.
            return;
        }
        if !self.progress[lane].is_detected() {
            let [ordinary, failing] = self.weigh_evidence(lane);
            let corrupt = failing && !ordinary;
            if ordinary && self.progress[lane].ordinary_at.is_infinite() {
                let delay = self.delay(&schedule.detection, self.sampled.detection[lane], lane);
                self.progress[lane].ordinary_at = time + delay;
                self.note(lane, Event::AlertStarts(time + delay));
            }
            if corrupt && self.progress[lane].corrupt_at.is_infinite() {
                let drawn = self.sampled.detection_corrupt[lane];
                let delay = self.delay(&schedule.detection_corrupt, drawn, lane);
                self.progress[lane].corrupt_at = time + delay;
                self.note(lane, Event::WrongAnswersStart(time + delay));
            }
        }
        if self.progress[lane].is_detected() && !self.progress[lane].is_rollback_planned {
            self.plan_rollback(lane, time, schedule);
        }
    }

    fn plan_rollback(&mut self, lane: usize, time: f64, schedule: &Schedule) {
        let sampled = &self.sampled;
        self.progress[lane].is_rollback_planned = true;
        if has(sampled.rollback_works | sampled.rollback_worsens, lane) {
            let delay = self.delay(&schedule.rollback, sampled.rollback[lane], lane);
            self.progress[lane].rollback_at = time + delay;
        }
        if let Some(kill_switch) = &schedule.kill_switch
            && has(sampled.kill_switch_works, lane)
        {
            let delay = self.delay(kill_switch, sampled.kill_switch[lane], lane);
            self.progress[lane].kill_at = time + delay;
        }
        let planned = self.progress[lane].rollback_at.min(self.progress[lane].kill_at);
        self.note(lane, Event::RollbackStarts(planned));
    }

    /// A drawn delay, longer if something that it needs is failed now.
    fn delay(&self, delay: &Delay, drawn: f64, lane: usize) -> f64 {
        let hampered = delay.needs.iter().any(|service| self.is_failed(*service, lane));
        if hampered { drawn * delay.factor } else { drawn }
    }

    /// The next time at which something may change in a lane.
    pub(crate) fn next_time(&mut self, lane: usize, end: f64) -> f64 {
        let next_wait = self.next_wait(lane);
        let (time, course) = (self.state.time[lane], &self.progress[lane]);
        let mut next = end;
        // What is due is taken even if it is due now: it was not known when this moment began.
        let mut due = |at: f64| next = next.min(at.max(time));
        if !course.without_change && self.plan.schedule.is_some() {
            if !course.is_detected() {
                due(course.stage_end);
                for target in &course.targets {
                    due(target.stage_end);
                }
                due(course.ordinary_at);
                due(course.corrupt_at);
                let runs = [course.ordinary_at, course.corrupt_at].map(f64::is_finite);
                due(self.next_alert(lane, runs));
            }
            if course.ended_at.is_infinite() {
                due(course.rollback_at);
                due(course.kill_at);
                due(course.fades[1]);
            }
        }
        due(self.interventions.next_time(self.plan, lane, course.without_change));
        // What is behind is part of the present moment, so only what is ahead counts.
        let mut later = |at: f64| {
            if at > time {
                next = next.min(at);
            }
        };
        if !course.without_change && course.ended_at.is_infinite() {
            for (from, target) in self.fails_from.iter().zip(&self.sampled.targets) {
                if has(target.broken, lane) {
                    later(from[lane]);
                }
            }
        }
        // In one loop, so that the comparison is compiled into it once.
        for at in [
            next_wait,
            self.next_message(lane),
            self.next_customers(lane),
            self.next_refill(lane),
            course.repair_at,
            self.sampled.next_outage(lane),
            self.next_failover(lane),
            self.next_added(lane, time),
            self.next_repair(lane, time),
        ] {
            later(at);
        }
        let [fades, faded] = course.fades;
        if fades.is_finite() && course.ended_at.is_infinite() {
            later(self.next_ramp(fades, faded - fades, time));
        }
        for held in self.pending_restarts.iter().filter(|held| held.lane == lane) {
            let warmup = self.plan.services[held.service].warmup;
            later(self.next_ramp(held.at, warmup, time));
        }
        for limits in &self.index_of_plan.limits {
            for cohort in &self.state.cohorts {
                let since = cohort.failing_since(limits.watched)[lane];
                if since.is_finite() {
                    for after in &limits.after {
                        later(since + after);
                    }
                }
            }
        }
        if self.plan.schedule.is_some() {
            later(self.baseline.next_time(course, lane));
        }
        next
    }
}
