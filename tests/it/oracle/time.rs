//! The story of a change: section "Time", at the points of a fixed grid.
//!
//! Events have their own exact times, and take effect at the first point of the grid that is not
//! before them; between two points nothing changes.

use std::collections::BTreeMap;

use blastwave::model::action::Action;
use blastwave::model::change::{Detection, Rollback, Routing, Stage, TargetRef};
use blastwave::model::topology::{Phase, ServiceId};
use blastwave::model::{Change, Seconds, Share};

use super::cause::{Kept, Restart, Wrongs, bad_requests, by_hand, cohorts, hit, in_whole_replicas};
use super::evidence::{Evidence, Failing};
use super::graph::Graph;
use super::interventions::{Acts, Rest};
use super::load::Moment;
use super::moment::{SLACK, State, reaches};
use super::outcome::{Conclusion, Detected, DetectedBy};
use super::world::{Mode, World};

/// What has an end at a time of its own; of what ends at one time, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    KillSwitch,
    /// A rollback that takes its time has taken all exposure back.
    Faded,
    Rollback,
    OrdinaryClock,
    CorruptClock,
    Stage,
    /// Of a target with a rollout of its own.
    TargetStage(usize),
}

/// How far the story of a change has come.
pub(crate) struct Story<'a> {
    graph: &'a Graph<'a>,
    world: &'a World,
    change: &'a Change,
    detection: &'a Detection,
    rollback: &'a Rollback,
    stages: Vec<Stage>,
    routing: Routing,
    stage: usize,
    exposure: f64,
    /// By target with a rollout of its own: its stage.
    own_stages: BTreeMap<usize, usize>,
    /// By target: the first time with exposure > 0 and >= `min_exposure`.
    reached: Vec<Option<f64>>,
    events: Vec<(f64, Event)>,
    /// Failed requests, counted.
    evidence: Evidence,
    ordinary_runs: bool,
    corrupt_runs: bool,
    detected: Option<Detected>,
    /// From when the rollback left every broken target wholly down.
    worsened: Option<f64>,
    /// By target: the first moment at which it was in effect.
    first_seen: Vec<Option<f64>>,
    cause_ended: Option<f64>,
    /// From when on the rollback takes exposure back.
    fades: Option<f64>,
    /// When the last moment was computed.
    moment_at: f64,
    restarts: BTreeMap<usize, Restart>,
    /// What operators and automations do.
    pub(crate) acts: Acts<'a>,
    /// By target: when it ended by itself.
    ended: Vec<Option<f64>>,
    /// By target: the share that is mended.
    mended: Vec<f64>,
}

impl<'a> Story<'a> {
    /// The story before it begins.
    pub(crate) fn new(graph: &'a Graph<'a>, world: &'a World, change: &'a Change) -> Self {
        let everything_at_once =
            Stage { exposure: Share::ONE, bake: None, catch_probability: Share::ZERO };
        let rollout = change.rollout.as_ref();
        let stages = rollout.map_or(vec![everything_at_once], |rollout| rollout.stages.clone());
        let detection = change.detection.as_ref().expect("the caller says how it is detected");
        let rollback = change.rollback.as_ref().expect("the caller says how it is taken back");
        assert!(detection.delay.is_some(), "the caller says how long detection takes");
        assert!(rollback.delay.is_some(), "the caller says how long the rollback takes");
        let mut story = Self {
            graph,
            world,
            change,
            detection,
            rollback,
            stages,
            routing: rollout.map_or(Routing::Random, |rollout| rollout.routing),
            stage: 0,
            exposure: 0.0,
            own_stages: BTreeMap::new(),
            reached: vec![None; change.targets.len()],
            events: Vec::new(),
            evidence: Evidence::new(graph, change, detection),
            ordinary_runs: false,
            corrupt_runs: false,
            detected: None,
            worsened: None,
            first_seen: vec![None; change.targets.len()],
            cause_ended: None,
            fades: None,
            moment_at: 0.0,
            restarts: BTreeMap::new(),
            acts: Acts::new(graph, change, true),
            ended: vec![None; change.targets.len()],
            mended: vec![0.0; change.targets.len()],
        };
        story.enter_stage(0, 0.0);
        for (target, item) in change.targets.iter().enumerate() {
            if item.rollout.is_some() {
                story.enter_target_stage(target, 0, 0.0);
            }
        }
        story
    }

    /// Lets operators and automations do what is due; gives the shares of services started anew.
    pub(crate) fn act(
        &mut self,
        now: f64,
        last: Option<&Moment>,
        baseline: Option<&Moment>,
    ) -> Vec<(usize, f64)> {
        let mut anew = Vec::new();
        for deed in self.acts.due(now) {
            // What ends is what was broken before.
            let still = self.still();
            match self.acts.perform(deed) {
                Rest::Nothing => {}
                Rest::Restart(service) => {
                    by_hand(&mut self.restarts, self.graph, service, deed);
                    anew.push((service, deed.share));
                }
                Rest::End(service) if deed.share < 1.0 => {
                    for target in 0..self.mended.len() {
                        if service.is_none_or(|service| self.is_of(target, service)) {
                            self.mended[target] = deed.share;
                        }
                    }
                }
                Rest::End(service) => self.mend(service, deed.at, last, baseline, &still),
            }
        }
        anew
    }

    fn still(&self) -> Vec<f64> {
        let off = |target: usize| match self.change.targets[target].on {
            TargetRef::Node(node) => self.acts.effects.off[node.service.0 as usize],
            TargetRef::Domain(_) => 0.0,
        };
        let all = self.mended.iter().enumerate();
        all.map(|(target, mended)| (1.0 - mended) * (1.0 - off(target))).collect()
    }

    fn is_of(&self, target: usize, service: usize) -> bool {
        let on = self.change.targets[target].on;
        matches!(on, TargetRef::Node(node) if node.service.0 as usize == service)
    }

    /// Ends the cause at a service, or everywhere if nothing else is broken.
    fn mend(
        &mut self,
        service: Option<usize>,
        at: f64,
        last: Option<&Moment>,
        baseline: Option<&Moment>,
        still: &[f64],
    ) {
        if self.cause_ended.is_some() {
            return;
        }
        let open =
            |target: &usize| self.world.targets[*target].broken && self.ended[*target].is_none();
        let mut open = (0..self.ended.len()).filter(open);
        let Some(service) =
            service.filter(|service| !open.all(|target| self.is_of(target, *service)))
        else {
            return self.end_cause(at, last, baseline, still);
        };
        let mut restarts = self.restarting_targets(still);
        restarts.retain(|restart, _| *restart == service);
        self.hold(at, restarts, baseline);
        for target in 0..self.ended.len() {
            if self.is_of(target, service) {
                self.ended[target] = self.ended[target].or(Some(at));
            }
        }
    }

    /// Lets everything happen that is due, given the last moment with and without the change.
    pub(crate) fn happen(&mut self, now: f64, last: Option<&Moment>, baseline: Option<&Moment>) {
        loop {
            self.events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            if self.events.first().is_none_or(|(at, _)| !reaches(now, *at)) {
                return;
            }
            let (at, event) = self.events.remove(0);
            match event {
                // Where operators end the cause, nothing is drawn for that.
                Event::Rollback | Event::KillSwitch
                    if self.change.actions.iter().any(Action::ends_cause) => {}
                Event::Rollback if self.cause_ended.is_some() => {}
                Event::Rollback if self.world.rollback_worsens => self.worsened = Some(at),
                Event::Rollback if !self.world.rollback_works => {}
                Event::Rollback if self.rollback.takes > Seconds::ZERO => {
                    self.fades = Some(at);
                    self.events.push((at + self.rollback.takes.get(), Event::Faded));
                }
                Event::Faded if self.cause_ended.is_some() => {}
                Event::KillSwitch
                    if self.cause_ended.is_some() || !self.world.kill_switch_works => {}
                Event::Rollback | Event::KillSwitch | Event::Faded => {
                    self.end_cause(at, last, baseline, &self.still());
                }
                Event::OrdinaryClock => self.detect(at, DetectedBy::Ordinary, last),
                Event::CorruptClock => self.detect(at, DetectedBy::Corrupt, last),
                Event::Stage => self.end_stage(at, last),
                Event::TargetStage(target) => self.end_target_stage(target, at, last),
            }
        }
    }

    fn broken(&self) -> impl Iterator<Item = usize> {
        (0..self.change.targets.len()).filter(|target| self.world.targets[*target].broken)
    }

    fn enter_stage(&mut self, stage: usize, at: f64) {
        for target in 0..self.change.targets.len() {
            if self.change.targets[target].rollout.is_none() {
                self.evidence.begin_stage(target);
            }
        }
        self.stage = stage;
        self.exposure = self.stages[stage].exposure.get();
        for (reached, target) in self.reached.iter_mut().zip(&self.change.targets) {
            let exposure = match self.routing {
                Routing::Random => in_whole_replicas(self.graph, target.on, self.exposure),
                Routing::Sticky => self.exposure,
            };
            let is_enough = reaches(exposure, target.min_exposure.get());
            if target.rollout.is_none() && reached.is_none() && self.exposure > 0.0 && is_enough {
                *reached = Some(at);
            }
        }
        let bake = self.stages[stage].bake.map_or(0.0, Seconds::get);
        self.events.push((at + bake, Event::Stage));
    }

    fn end_stage(&mut self, at: f64, last: Option<&Moment>) {
        if self.detected.is_some() {
            return;
        }
        let has_gate = self.stages[self.stage].bake.is_some();
        let seen = (0..self.change.targets.len()).any(|target| self.was_failing(target, at));
        let sees = |gate: f64| gate < self.evidence.chance_to_see(self.broken());
        if has_gate
            && seen
            && self.world.gates[self.stage]
            && sees(self.world.gate_counts[self.stage])
        {
            self.detect(at, DetectedBy::Gate, last);
        } else if self.stage + 1 < self.stages.len() {
            self.enter_stage(self.stage + 1, at);
        }
    }

    fn enter_target_stage(&mut self, target: usize, stage: usize, at: f64) {
        self.own_stages.insert(target, stage);
        self.evidence.begin_stage(target);
        let item = &self.change.targets[target];
        let exposure = self.own_exposure(target);
        let is_enough = reaches(exposure, item.min_exposure.get());
        if self.reached[target].is_none() && exposure > 0.0 && is_enough {
            self.reached[target] = Some(at);
        }
        let stages = &item.rollout.as_ref().expect("it has a rollout").stages;
        let bake = stages[stage].bake.map_or(0.0, Seconds::get);
        self.events.push((at + bake, Event::TargetStage(target)));
    }

    fn own_exposure(&self, target: usize) -> f64 {
        let stages = &self.change.targets[target].rollout.as_ref().expect("it has one").stages;
        let exposure = stages[self.own_stages[&target]].exposure.get();
        in_whole_replicas(self.graph, self.change.targets[target].on, exposure)
    }

    /// The exposures of targets that do not follow from who meets the change.
    fn own_exposures(&self, now: f64) -> BTreeMap<usize, f64> {
        let mut exposures: BTreeMap<usize, f64> =
            self.own_stages.keys().map(|target| (*target, self.own_exposure(*target))).collect();
        if self.routing == Routing::Random {
            for (target, item) in self.change.targets.iter().enumerate() {
                let counted = in_whole_replicas(self.graph, item.on, self.exposure);
                exposures.entry(target).or_insert(counted);
            }
        }
        let left = self.left_of_exposure(now);
        exposures.values_mut().for_each(|exposure| *exposure *= left);
        exposures
    }

    /// The share of its exposure that the change still has.
    fn left_of_exposure(&self, now: f64) -> f64 {
        let takes = self.rollback.takes.get();
        self.fades.map_or(1.0, |from| (1.0 - (now - from) / takes).clamp(0.0, 1.0))
    }

    fn end_target_stage(&mut self, target: usize, at: f64, last: Option<&Moment>) {
        if self.detected.is_some() {
            return;
        }
        let stage = self.own_stages[&target];
        let stages = &self.change.targets[target].rollout.as_ref().expect("it has one").stages;
        let seen = (0..self.change.targets.len()).any(|target| self.was_failing(target, at));
        let sees = |gate: f64| gate < self.evidence.chance_to_see(self.broken());
        let is_caught = stages[stage].bake.is_some() && seen;
        if is_caught
            && self.world.target_gates[target][stage]
            && sees(self.world.target_gate_counts[target][stage])
        {
            self.detect(at, DetectedBy::Gate, last);
        } else if stage + 1 < stages.len() {
            self.enter_target_stage(target, stage + 1, at);
        }
    }

    /// Whether a broken target had a failing share of its own before `at`.
    fn was_failing(&self, target: usize, at: f64) -> bool {
        let drawn = self.world.targets[target];
        let ended = self.ended[target].or(self.cause_ended).unwrap_or(at);
        let until = at.min(ended);
        let began_before = self.begins(target).is_some_and(|begins| begins < until - SLACK);
        drawn.broken && drawn.mode != Mode::Surge && drawn.severity > 0.0 && began_before
    }

    /// From when on a target is in effect if it is broken: exposure never goes down.
    fn begins(&self, target: usize) -> Option<f64> {
        self.reached[target].map(|reached| reached + self.world.targets[target].onset)
    }

    fn detect(&mut self, at: f64, by: DetectedBy, last: Option<&Moment>) {
        if self.detected.is_some() {
            return;
        }
        self.detected = Some(Detected { at, by, exposure: self.exposure });
        let factor = |needs: &[ServiceId], factor: f64| {
            if last.is_some_and(|last| self.any_failed(needs, last)) { factor } else { 1.0 }
        };
        let rollback =
            self.world.rollback * factor(&self.rollback.depends_on, self.rollback.needs_factor);
        let mut ends = vec![(at + rollback, Event::Rollback)];
        if let Some(kill_switch) = &self.change.kill_switch {
            let factor = factor(&kill_switch.depends_on, kill_switch.needs_factor);
            ends.push((at + self.world.kill_switch * factor, Event::KillSwitch));
        }
        self.events.extend(ends);
    }

    /// Whether one of these services is failed: the worst of its nodes.
    fn any_failed(&self, services: &[ServiceId], moment: &Moment) -> bool {
        let mut nodes = services.iter().flat_map(|s| self.graph.nodes_of(s.0 as usize));
        nodes.any(|node| self.is_failed(moment.with_too_late(node).failing()))
    }

    fn is_failed(&self, share: f64) -> bool {
        reaches(share, self.graph.topology.thresholds.failed.get())
    }

    /// Starts the clocks of detection, after a moment has been computed.
    pub(crate) fn start_clocks(&mut self, now: f64, moment: &Moment, baseline: &Moment) {
        self.moment_at = now;
        for target in 0..self.first_seen.len() {
            if self.first_seen[target].is_none() && self.in_effect(target, now) {
                self.first_seen[target] = Some(now);
            }
        }
        let needs_fail = self.any_failed(&self.detection.depends_on, moment);
        let factor = if needs_fail { self.detection.needs_factor } else { 1.0 };
        let failing = self.failing_targets(now);
        let [unanswered, all] = self.evidence.notices(self.graph, moment, baseline, &failing);
        if !self.ordinary_runs && unanswered {
            self.ordinary_runs = true;
            self.events.push((now + self.world.detection * factor, Event::OrdinaryClock));
        }
        if !self.corrupt_runs && !unanswered && all {
            self.corrupt_runs = true;
            self.events.push((now + self.world.detection_corrupt * factor, Event::CorruptClock));
        }
    }

    /// Counts what fails from `now` on for so many seconds, while nobody has noticed.
    pub(crate) fn count(&mut self, now: f64, moment: &Moment, baseline: &Moment, seconds: f64) {
        if self.detected.is_none() {
            let failing = self.failing_targets(now);
            self.evidence.count(self.graph, moment, baseline, &failing, seconds);
        }
    }

    /// What fails of each target by itself.
    fn failing_targets(&self, now: f64) -> Vec<Failing> {
        let wrongs = self.wrongs(now);
        let mut all = vec![Failing::default(); self.change.targets.len()];
        for (target, _) in &wrongs.targets {
            let own = wrongs.own_exposures.get(target).copied();
            let exposure = own.unwrap_or(self.exposure);
            let mut of_all = [0.0; 2];
            let own_states = wrongs.own_states(self.world, self.change, *target);
            for (users, own) in wrongs.cohorts.iter().zip(own_states) {
                let state = own.times(wrongs.still[*target]);
                of_all[0] += users.weight * (state.slow + state.down);
                of_all[1] += users.weight * state.failing();
            }
            let of_changed = if exposure > 0.0 {
                of_all.map(|share| (share / exposure).min(1.0))
            } else {
                of_all
            };
            all[*target] = Failing { of_changed, of_all };
        }
        all
    }

    /// What is wrong at `now`.
    pub(crate) fn wrongs(&self, now: f64) -> Wrongs {
        let all = 0..self.change.targets.len();
        Wrongs {
            targets: all
                .filter(|target| self.in_effect(*target, now))
                .map(|target| (target, self.worsened.is_some()))
                .collect(),
            restarts: self.restarts.clone(),
            cohorts: cohorts(
                self.routing,
                self.exposure * self.left_of_exposure(now),
                bad_requests(self.world, self.change),
            ),
            still: self.still(),
            effects: Some(self.acts.effects.clone()),
            own_exposures: self.own_exposures(now),
            is_counted: self.routing == Routing::Random,
            failing_over: Vec::new(),
        }
    }

    fn in_effect(&self, target: usize, now: f64) -> bool {
        let drawn = self.world.targets[target];
        let begun = |by: f64| self.begins(target).is_some_and(|begins| reaches(by, begins));
        let ended = self.ended[target].filter(|at| reaches(now, *at)).or(self.cause_ended);
        let is_on = match ended {
            None => self.worsened.is_some() || begun(now),
            // Only corrupt data stays, until it is repaired.
            Some(ended) => {
                let repaired = self.world.repair.map_or(ended, |repair| ended + repair);
                drawn.mode == Mode::Corrupt
                    && begun(ended)
                    && self.has_written(target)
                    && !reaches(now, repaired)
            }
        };
        drawn.broken && is_on
    }

    /// Whether a target was in effect for a while before a rollback took it down for good.
    fn has_written(&self, target: usize) -> bool {
        let Some(worsened) = self.worsened else { return true };
        self.first_seen[target].is_some_and(|seen| seen < worsened)
    }

    /// Ends the cause everywhere. What was still broken just before decides who must restart: what is
    /// switched off now was not then.
    fn end_cause(
        &mut self,
        at: f64,
        last: Option<&Moment>,
        baseline: Option<&Moment>,
        still: &[f64],
    ) {
        let mut restarts = BTreeMap::new();
        if let Some(last) = last {
            restarts = self.restarting_targets(still);
            self.add_taken_down_by_domains(&mut restarts);
            self.add_crashed(&mut restarts, at, last);
        }
        self.cause_ended = Some(at);
        self.hold(at, restarts, baseline);
    }

    /// Holds services until they restart, whatever held them before.
    fn hold(&mut self, at: f64, mut restarts: BTreeMap<usize, Restart>, baseline: Option<&Moment>) {
        let Some(baseline) = baseline else { return };
        let ready = self.when_ready(at, &restarts.keys().copied().collect::<Vec<_>>(), baseline);
        for (service, restart) in &mut restarts {
            restart.ready = ready[service];
        }
        self.restarts.extend(restarts);
    }

    fn restart(&self, service: usize) -> Restart {
        let warmup = self.graph.topology.services[service].recovery.warmup.get();
        Restart {
            ready: f64::INFINITY,
            warmup,
            by_domain: false,
            is_drained: false,
            part: 1.0,
            kept: Vec::new(),
        }
    }

    /// Targets whose own slow + down share was failed in the last moment keep it.
    fn restarting_targets(&self, still: &[f64]) -> BTreeMap<usize, Restart> {
        let wrongs = self.wrongs(self.moment_at);
        let mut restarts = BTreeMap::new();
        for &(target, _) in &wrongs.targets {
            let on = self.change.targets[target].on;
            let TargetRef::Node(node) = on else { continue };
            let own = wrongs.own_states(self.world, self.change, target);
            let own: Vec<State> = own.into_iter().map(|own| own.times(still[target])).collect();
            let weighted = wrongs.cohorts.iter().zip(&own);
            let failing: f64 =
                weighted.map(|(users, own)| users.weight * (own.slow + own.down)).sum();
            if self.is_failed(failing) {
                // Corrupt data is not kept by a restart, but by the lack of repair.
                let by_cohort = own.iter().map(|own| State { corrupt: 0.0, ..*own }).collect();
                let service = node.service.0 as usize;
                let restart = restarts.entry(service).or_insert_with(|| self.restart(service));
                restart.kept.push(Kept { nodes: hit(self.graph, on), by_cohort, crashed: false });
            }
        }
        restarts
    }

    fn add_taken_down_by_domains(&self, restarts: &mut BTreeMap<usize, Restart>) {
        let domains = self.wrongs(self.moment_at).domains(self.world, self.change);
        let with = self.world.infrastructure(self.graph, self.change, &domains, self.moment_at);
        let without = self.world.infrastructure(self.graph, self.change, &[], self.moment_at);
        for service in 0..with.down.len() {
            if with.down[service] && !without.down[service] {
                restarts.entry(service).or_insert_with(|| self.restart(service)).by_domain = true;
            }
        }
    }

    /// Services that crash when they fail through their calls keep the state of the worst node.
    fn add_crashed(&self, restarts: &mut BTreeMap<usize, Restart>, at: f64, last: &Moment) {
        let anyway = self.world.infrastructure(self.graph, self.change, &[], at);
        for (service, stated) in self.graph.topology.services.iter().enumerate() {
            // What is down for its own reasons comes back for its own reasons.
            let is_excluded = restarts.contains_key(&service) || anyway.down[service];
            if is_excluded || !stated.recovery.crashes {
                continue;
            }
            let nodes = self.graph.nodes_of(service);
            let share = |node: usize| last.states[node].slow + last.states[node].down;
            let mut worst = nodes[0];
            for node in &nodes {
                if share(*node) > share(worst) {
                    worst = *node;
                }
            }
            if self.is_failed(share(worst)) {
                let slow_and_down = |states: &Vec<State>| {
                    let State { slow, down, .. } = states[worst];
                    State { slow, down, ..State::OK }
                };
                let by_cohort = last.by_cohort.iter().map(slow_and_down).collect();
                let mut restart = self.restart(service);
                restart.kept.push(Kept { nodes, by_cohort, crashed: true });
                restarts.insert(service, restart);
            }
        }
    }

    /// When each of these services serves again: what waits for itself in a circle never does.
    fn when_ready(&self, at: f64, services: &[usize], baseline: &Moment) -> BTreeMap<usize, f64> {
        // From "never" down: a service gets a time once all it waits for has one.
        let mut ready: BTreeMap<usize, f64> =
            services.iter().map(|service| (*service, f64::INFINITY)).collect();
        loop {
            let next: BTreeMap<usize, f64> = services
                .iter()
                .map(|service| {
                    let restart = self.graph.topology.services[*service].recovery.restart.get();
                    (*service, self.dependencies_ready(at, *service, &ready, baseline) + restart)
                })
                .collect();
            if next == ready {
                return ready;
            }
            ready = next;
        }
    }

    /// When the last of a service's hard dependencies of either phase is back.
    fn dependencies_ready(
        &self,
        at: f64,
        service: usize,
        ready: &BTreeMap<usize, f64>,
        baseline: &Moment,
    ) -> f64 {
        let nodes = self.graph.nodes_of(service);
        let written = nodes.iter().flat_map(|node| self.graph.calls(*node));
        let mut latest = at;
        let needed = |written: &&super::graph::Written| {
            !written.dependency.is_soft() && !written.is_for_load()
        };
        for written in written.filter(needed) {
            let mut members: Vec<f64> = written
                .on
                .iter()
                .map(|node| {
                    let other = self.graph.nodes[*node].service().expect("flows are not called");
                    let starts = written.dependency.phase == Phase::Start;
                    if starts && self.is_failed(baseline.with_too_late(*node).failing()) {
                        f64::INFINITY
                    } else if other == service {
                        // Its own endpoints start with it.
                        at
                    } else {
                        let waiting =
                            self.restarts.get(&other).filter(|restart| restart.is_waiting(at));
                        let waiting = waiting.map_or(at, |waiting| waiting.ready);
                        ready.get(&other).copied().unwrap_or(waiting)
                    }
                })
                .collect();
            members.sort_by(f64::total_cmp);
            latest = latest.max(members[written.dependency.needs as usize - 1]);
        }
        latest
    }

    /// What only the story as a whole tells, given its last moment.
    pub(crate) fn conclude(&self, last: &Moment, baseline: &Moment) -> Conclusion {
        let never = |(service, restart): (&usize, &Restart)| {
            restart.ready.is_infinite().then_some(*service)
        };
        let metastable = |service: &usize| {
            let ramp = self.restarts.get(service).map_or(1.0, |r| r.ramp(self.moment_at));
            let is_so = last.lost[*service] > SLACK || last.swamped[*service];
            let anyway = baseline.lost[*service] > SLACK || baseline.swamped[*service];
            is_so && !anyway && ramp >= 1.0
        };
        let all = 0..self.graph.topology.services.len();
        Conclusion {
            detected: self.detected,
            cause_ended: self.cause_ended,
            never_recover: self.restarts.iter().filter_map(never).collect(),
            metastable: all
                .filter(|service| self.cause_ended.is_some() && metastable(service))
                .collect(),
        }
    }
}
