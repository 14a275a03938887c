//! Own failures of a node at a moment: background, targets, restarts.

use crate::compile::plan::{DomainId, Hit, NodeId, ServiceId, TargetId};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::propagation::step_state::choose_lanes;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{
    LANES, Lanes, Shares, SurvivalProducts, all, has, mask, ones, same,
};
use crate::engine::fluid::state::sampled_trials::Mode;
use crate::engine::simd::array;
use crate::model::change::Routing;
use crate::model::id::Table;

impl Run<'_> {
    /// Gives every node that may suffer for its own reasons in these trials a place to note it.
    pub(crate) fn register_all_affected(&mut self) {
        self.affected.clear();
        let plan = self.plan;
        for service in plan.services.ids() {
            let affected = self.sampled.down[service] != 0
                || !self.index_of_plan.targets_of[service].is_empty()
                || self.index_of_plan.in_target_domains.binary_search(&service).is_ok();
            if affected {
                self.register_affected(service);
            }
        }
        self.register_intervention_targets();
    }

    /// Gives the nodes of a service a place to note what they suffer.
    pub(crate) fn register_affected(&mut self, service: ServiceId) {
        for node in self.plan.nodes_of(service) {
            self.register_affected_node(node);
        }
    }

    /// Gives a node a place to note what it suffers.
    pub(crate) fn register_affected_node(&mut self, node: NodeId) {
        if self.state.cohorts[0].own_index[node].is_none() {
            self.affected.push(node);
            for cohort in &mut self.state.cohorts {
                cohort.own_index[node] = Some(cohort.own.next_id());
                cohort.own.push(SurvivalProducts::ALL);
                cohort.own_sends.push(all(1.0));
            }
        }
    }

    /// Brings own health, capacities and surges up to the present moment.
    pub(crate) fn update_own(&mut self) {
        self.update_target_shares();
        self.update_domains();
        self.update_failovers();
        for index in self.affected.ids() {
            let node = self.affected[index];
            for cohort in 0..self.state.cohorts.len() {
                let (left, sends) = self.own_left(node, cohort);
                let of_cohort = &mut self.state.cohorts[cohort];
                // Places in `own` are in the order of `affected`.
                if of_cohort.own[index] != left || !same(&of_cohort.own_sends[index], &sends) {
                    (of_cohort.own[index], of_cohort.own_sends[index]) = (left, sends);
                    self.state.touch(node);
                }
            }
        }
        self.update_floors();
        self.update_slowed();
        self.state.touch_expired();
        if self.plan.has_load {
            self.update_capacities();
            self.update_surges();
        }
    }

    /// Updates the least failure that crashed services keep until they restart.
    fn update_floors(&mut self) {
        for cohort in 0..self.state.cohorts.len() {
            let mut floors: Vec<(NodeId, SurvivalProducts)> = Vec::new();
            for held in self.pending_restarts.iter().filter(|held| held.crashed) {
                if self.state.time[held.lane] >= held.at {
                    continue;
                }
                for node in self.plan.nodes_of(held.service) {
                    let index = floors.iter().position(|(known, _)| *known == node);
                    let index = index.unwrap_or_else(|| {
                        floors.push((node, SurvivalProducts::ALL));
                        floors.len() - 1
                    });
                    let (slow, down) = held.share_of(node, cohort);
                    let levels = &mut floors[index].1.0;
                    levels[0][held.lane] = 1.0 - slow;
                    for level in &mut levels[1..] {
                        level[held.lane] = 1.0 - slow - down;
                    }
                }
            }
            let before = std::mem::replace(&mut self.state.cohorts[cohort].floors, floors.clone());
            if before != floors {
                for (node, _) in before.iter().chain(&floors) {
                    self.state.touch(*node);
                }
            }
        }
    }

    /// The share with which each broken target fails now, for each cohort.
    fn update_target_shares(&mut self) {
        for target in self.plan.targets.ids() {
            for lane in 0..LANES {
                let [first, second] = match self.target_severity(target, lane) {
                    None => [0.0; 2],
                    // A rollback that made it worse hits whoever comes, exposed or not.
                    Some(severity) if self.progress[lane].has_worsened() => [severity; 2],
                    Some(severity) => {
                        let severities = self.severities(target, severity, lane);
                        let exposures = self.exposures(target, lane);
                        [severities[0] * exposures[0], severities[1] * exposures[1]]
                    }
                };
                let still = self.still_broken(target, lane);
                self.target_shares[target][0][lane] = first * still;
                self.target_shares[target][1][lane] = second * still;
            }
        }
    }

    /// Returns the share of requests of each cohort that a target fails where they meet it.
    fn severities(&self, target: TargetId, severity: f64, lane: usize) -> [f64; 2] {
        if self.splits_requests && self.plan.targets[target].of_requests {
            // All requests that fail are in the first cohort, so they are a larger part of it.
            [(severity / self.sampled.bad_requests[lane]).min(1.0), 0.0]
        } else {
            [severity; 2]
        }
    }

    /// Returns the share of the calls of each cohort that meet changed instances of a target.
    fn exposures(&self, target: TargetId, lane: usize) -> [f64; 2] {
        let exposure = self.progress[lane].exposure_of(target, self.plan);
        let exposure = exposure * self.left_of_exposure(lane);
        let has_own_rollout = !self.plan.targets[target].stages.is_empty();
        if has_own_rollout || self.plan.routing == Routing::Random {
            // Who meets it does not follow from who meets the rest of the change.
            return [exposure; 2];
        }
        if !self.splits_requests {
            return [1.0, 0.0];
        }
        // The second cohort holds the good requests of exposed users, too.
        let first = self.first_cohort(lane);
        let others = if first < 1.0 { (exposure - first) / (1.0 - first) } else { 0.0 };
        [1.0, others.max(0.0)]
    }

    /// The share of requests on changed instances that a broken target fails now, if it acts.
    fn target_severity(&self, target: TargetId, lane: usize) -> Option<f64> {
        let broken = self.sampled.targets.get(target).filter(|target| has(target.broken, lane))?;
        let (time, course) = (self.state.time[lane], &self.progress[lane]);
        if course.without_change {
            return None;
        }
        let from = self.fails_from[target][lane];
        let by_itself = self.interventions.ended_at(target, lane);
        let (ended, repaired) = if by_itself.is_finite() {
            (by_itself, self.repaired_at(by_itself, lane))
        } else {
            (course.ended_at, course.repair_at)
        };
        if ended.is_finite() {
            // Wrong data outlive their cause until they are repaired.
            let outlives = broken.mode[lane] == Mode::Corrupt && time < repaired;
            // What a rollback took down wrote none from then on.
            let has_written = from <= ended && from < course.worsened_at;
            return (outlives && has_written).then_some(broken.severity[lane]);
        }
        if course.has_worsened() {
            return Some(1.0);
        }
        let exposure = course.exposure_of(target, self.plan);
        let exposed = exposure > 0.0 && exposure >= self.plan.targets[target].min_exposure;
        (exposed && time >= from).then_some(broken.severity[lane])
    }

    /// How a target fails now: a rollback that made it worse takes it down.
    pub(crate) fn mode(&self, target: TargetId, lane: usize) -> Mode {
        if self.progress[lane].has_worsened() && self.progress[lane].ended_at.is_infinite() {
            Mode::Down
        } else {
            self.sampled.targets[target].mode[lane]
        }
    }

    /// Which services target domains take down, and how many replicas they leave.
    fn update_domains(&mut self) {
        if self.index_of_plan.in_target_domains.is_empty() {
            return;
        }
        self.domains_now.clone_from(&self.sampled.domains);
        self.domains_hanging.clear();
        self.domains_hanging.resize(self.plan.domains.len(), 0);
        let mut some_hang = 0;
        for (target, item) in self.plan.targets.entries() {
            if let Hit::Domain(domain) = item.hit {
                let shares = &self.target_shares[target][0];
                let broken = mask::<LANES>(|lane| shares[lane] > 0.0);
                let hangs = broken & mask::<LANES>(|lane| self.mode(target, lane) == Mode::Slow);
                self.domains_now[domain] |= broken & !hangs;
                self.domains_hanging[domain] |= hangs;
                some_hang |= hangs;
            }
        }
        // Outer domains come first in this order, so each takes over one that is complete.
        for domain in &self.plan.domain_order {
            if let Some(within) = self.plan.domains[*domain].within {
                self.domains_now[*domain] |= self.domains_now[within];
                self.domains_hanging[*domain] |= self.domains_hanging[within];
            }
        }
        for &service in &self.index_of_plan.in_target_domains {
            let (down, up) = self.sampled.health(self.plan, service, &self.domains_now);
            self.fallen[service] = down & !self.sampled.down[service];
            self.replicas_up[service] = up;
        }
        // What hung before may have to be taken back.
        if some_hang != 0 || self.loses_slowly.iter().any(|lanes| *lanes != 0) {
            self.update_hanging();
        }
    }

    /// Which share of the calls to services hangs in target domains. Where callers learn after some time
    /// that it does, these replicas are as good as down.
    fn update_hanging(&mut self) {
        let lost: Table<DomainId, u8> = self
            .domains_now
            .iter()
            .zip(&self.domains_hanging)
            .map(|(now, hangs)| now | hangs)
            .collect();
        for &service in &self.index_of_plan.in_target_domains {
            let (down, up) = self.sampled.health(self.plan, service, &self.domains_now);
            let (out, serving) = self.sampled.health(self.plan, service, &lost);
            let learns = self.plan.services[service].failover > 0.0;
            if learns {
                self.fallen[service] = out & !self.sampled.down[service];
            }
            self.replicas_up[service] = serving;
            self.loses_slowly[service] =
                mask::<LANES>(|lane| serving[lane] < up[lane] || has(out & !down, lane));
            self.hanging[service] = array(|lane| match () {
                () if learns || has(down, lane) => 0.0,
                () if has(out, lane) => 1.0,
                () => up[lane] - serving[lane],
            });
        }
    }

    /// Returns what own health leaves of a node, and the share of requests for which it makes its calls
    /// all the same: a bug that fails only some requests shows after the calls were made.
    fn own_left(&self, node: NodeId, cohort: usize) -> (SurvivalProducts, Lanes) {
        let Some(service) = self.plan.nodes[node].service else {
            let left = self.left_of_orders();
            return (left, left.0[1]);
        };
        let down = self.sampled.down[service] | self.fallen[service];
        let mut left = SurvivalProducts::ALL;
        self.leave_on_purpose(service, &mut left);
        if down != 0 {
            left.apply_down(&ones(down));
        }
        let held = self.pending_restarts.iter().filter(|held| held.service == service);
        // Those that crashed have a floor instead, so that what they keep does not count twice.
        for held in held.filter(|held| !held.crashed) {
            if self.state.time[held.lane] < held.at {
                let mut shares = Shares::OK;
                let (slow, down) = held.share_of(node, cohort);
                (shares.slow[held.lane], shares.down[held.lane]) = (slow, down);
                left.times(&SurvivalProducts::of(&shares));
            }
        }
        if let Some(failing_over) = self.failing_over(service) {
            let slowly = self.loses_slowly[service];
            left.apply_slow(&choose_lanes(slowly, failing_over, &all(0.0)));
            left.apply_down(&choose_lanes(slowly, &all(0.0), failing_over));
        }
        if !same(&self.hanging[service], &all(0.0)) {
            left.apply_slow(&self.hanging[service]);
        }
        let mut sends = left.0[1];
        for target in &self.index_of_plan.targets_of[service] {
            if self.hits(*target, node) {
                let damage = SurvivalProducts::of(&self.target_damage(*target, cohort));
                for lane in 0..LANES {
                    if self.is_whole(*target, lane) && !self.plan.failing_targets_call {
                        sends[lane] *= damage.0[1][lane];
                    }
                }
                left.times(&damage);
            }
        }
        (left, sends)
    }

    /// Whether changed instances of a target fail all that comes to them.
    fn is_whole(&self, target: TargetId, lane: usize) -> bool {
        let severity = self.sampled.targets[target].severity[lane];
        severity >= 1.0 || self.progress[lane].has_worsened()
    }

    /// Returns the damage of one target to the nodes that it hits.
    fn target_damage(&self, target: TargetId, cohort: usize) -> Shares {
        let mut damage = Shares::OK;
        for lane in 0..LANES {
            let share = self.target_shares[target][cohort][lane];
            if share > 0.0 {
                match self.mode(target, lane) {
                    Mode::Down if self.leaves_too_few(target, share, lane) => {
                        damage.down[lane] = 1.0;
                    }
                    Mode::Down => damage.down[lane] = share,
                    // What answers later at last is told apart from what hangs.
                    Mode::Slow if self.plan.targets[target].slow_adds.is_finite() => {}
                    Mode::Slow => damage.slow[lane] = share,
                    Mode::Corrupt => damage.corrupt[lane] = share,
                    Mode::Surge => {}
                }
            }
        }
        damage
    }

    /// Whether the replicas that a target takes down are more than its service can do without.
    fn leaves_too_few(&self, target: TargetId, share: f64, lane: usize) -> bool {
        let item = &self.plan.targets[target];
        let (Hit::Service(service) | Hit::Endpoint { service, .. }) = item.hit else {
            return false;
        };
        if item.replicas == 0 || !self.is_whole(target, lane) {
            return false;
        }
        let replicas = f64::from(item.replicas);
        let away = self.interventions.taken(service)[lane];
        let up = (self.replicas_left(service)[lane] - away - share) * replicas;
        // Shares of replicas are fractions, so the product is whole only but for rounding.
        up < f64::from(self.plan.services[service].needs) - 1e-6
    }

    /// The share of a service's replicas that domains and outages leave up.
    pub(crate) fn replicas_left(&self, service: ServiceId) -> &Lanes {
        let is_touched = self.index_of_plan.in_target_domains.binary_search(&service).is_ok();
        if is_touched { &self.replicas_up[service] } else { &self.sampled.capacity[service] }
    }

    /// The slow and down shares of a node that come from targets which must restart, in one lane.
    pub(crate) fn lasting_harm(&self, node: NodeId, cohort: usize, lane: usize) -> (f64, f64) {
        let service = self.plan.service_of(node);
        let (mut not_slow, mut answered) = (1.0, 1.0);
        for target in &self.index_of_plan.targets_of[service] {
            if self.hits(*target, node) && self.must_restart(*target, lane) {
                let left = 1.0 - self.target_shares[*target][cohort][lane];
                answered *= left;
                if self.mode(*target, lane) == Mode::Slow {
                    not_slow *= left;
                }
            }
        }
        (1.0 - not_slow, not_slow - answered)
    }

    /// Whether a target hits a node of its service.
    fn hits(&self, target: TargetId, node: NodeId) -> bool {
        match self.plan.targets[target].hit {
            Hit::Service(_) => true,
            Hit::Endpoint { node: hit, .. } => hit == node,
            Hit::Domain(_) => false,
        }
    }

    /// Whether a target's own slow + down share is failed, so that it does not come back at once.
    pub(crate) fn must_restart(&self, target: TargetId, lane: usize) -> bool {
        let share = self.over_cohorts(lane, |cohort| self.target_shares[target][cohort][lane]);
        let fails = match self.mode(target, lane) {
            Mode::Down => true,
            Mode::Slow => self.plan.targets[target].slow_adds.is_infinite(),
            Mode::Corrupt | Mode::Surge => false,
        };
        share > 0.0 && fails && share >= self.plan.failed - SLACK
    }

    /// Whether some target that fails rather than surges does so now.
    pub(crate) fn shows_failure(&self, lane: usize) -> bool {
        self.plan.targets.ids().iter().any(|target| {
            let fails = self.target_shares[target].iter().any(|shares| shares[lane] > 0.0);
            fails && self.mode(target, lane) != Mode::Surge
        })
    }

    fn update_capacities(&mut self) {
        let mut now = std::mem::take(&mut self.capacities);
        now.clear();
        for (id, service) in self.plan.services.entries() {
            if service.utilization <= 0.0 {
                // Without a stated utilization nothing is ever overloaded.
                now.push((all(f64::INFINITY), 0));
                continue;
            }
            let up = *self.replicas_left(id);
            let exempt = self.sampled.down[id] | self.fallen[id];
            now.push((array(|lane| up[lane] / service.utilization), exempt));
        }
        for held in &self.pending_restarts {
            let service = held.service;
            let ramp = self.ramp(held.at, self.plan.services[service].warmup, held.lane);
            let is_drained = held.drained && self.state.time[held.lane] < held.at;
            let ramp = if is_drained { 0.0 } else { ramp };
            if ramp < 1.0 {
                now[service].0[held.lane] *= 1.0 - held.part + held.part * ramp;
            }
            if held.fell && self.state.time[held.lane] < held.at {
                now[service].1 |= 1 << held.lane;
            }
        }
        self.change_capacities(&mut now);
        for (service, (capacity, exempt)) in now.entries() {
            let utilization = self.plan.services[service].utilization;
            if utilization <= 0.0 {
                continue;
            }
            let mut arrives = self.arriving(service);
            if let Some(failing_over) = self.failing_over(service) {
                // What fails on its way does not arrive either.
                arrives = array(|lane| arrives[lane] * (1.0 - failing_over[lane]));
            }
            if !same(&self.hanging[service], &all(0.0)) {
                arrives = array(|lane| arrives[lane] * (1.0 - self.hanging[service][lane]));
            }
            self.loads.arrives[service] = arrives;
            self.loads.speed[service] = capacity.map(|capacity| capacity * utilization);
            // What is turned away does not arrive: that is as good as more capacity.
            let enough = array(|lane| {
                if arrives[lane] > 0.0 { capacity[lane] / arrives[lane] } else { f64::INFINITY }
            });
            self.loads.serve(service, &enough, *exempt);
        }
        self.capacities = now;
    }

    /// The share of its capacity that a restarted service has, at the middle of the present step.
    pub(crate) fn ramp(&self, at: f64, warmup: f64, lane: usize) -> f64 {
        let time = self.state.time[lane];
        if time < at || warmup <= 0.0 || time >= at + warmup {
            return 1.0;
        }
        (self.ramp_step(at, warmup, time) + 0.5) / f64::from(self.ramp_steps)
    }

    /// The number of the step of a ramp that a time lies in.
    fn ramp_step(&self, at: f64, warmup: f64, time: f64) -> f64 {
        let step = warmup / f64::from(self.ramp_steps);
        // A boundary was computed by a product: allow for its rounding.
        ((time - at) / step + 1e-6).floor().min(f64::from(self.ramp_steps) - 1.0)
    }

    /// The next boundary of a ramp after a time, if it is not over.
    pub(crate) fn next_ramp(&self, at: f64, warmup: f64, time: f64) -> f64 {
        if time < at {
            return at;
        }
        if warmup <= 0.0 || time >= at + warmup {
            return f64::INFINITY;
        }
        let next = self.ramp_step(at, warmup, time) + 1.0;
        at + warmup * (next / f64::from(self.ramp_steps))
    }

    fn update_surges(&mut self) {
        for cohort in 0..self.state.cohorts.len() {
            let mut surges: Vec<(NodeId, Lanes)> = Vec::new();
            for (target, item) in self.plan.targets.entries() {
                let factor = self.surge(target, cohort);
                if same(&factor, &all(1.0)) {
                    continue;
                }
                let mut add = |node| multiply(&mut surges, node, &factor);
                match item.hit {
                    Hit::Service(service) => self.plan.nodes_of(service).for_each(&mut add),
                    Hit::Endpoint { node, .. } => add(node),
                    Hit::Domain(_) => {}
                }
            }
            for (node, factor) in self.suppressed() {
                multiply(&mut surges, node, &factor);
            }
            let before = std::mem::replace(&mut self.state.cohorts[cohort].surge, surges.clone());
            if before != surges {
                for (node, _) in before.iter().chain(&surges) {
                    self.state.sends_anew[cohort].mark(*node);
                }
            }
        }
    }

    fn surge(&self, target: TargetId, cohort: usize) -> Lanes {
        let more = self.plan.targets[target].surge_factor - 1.0;
        array(|lane| {
            let share = self.target_shares[target][cohort][lane];
            let surges = share > 0.0 && self.mode(target, lane) == Mode::Surge;
            if surges { 1.0 + share * more } else { 1.0 }
        })
    }
}

/// Multiplies an entry of a short list.
fn multiply(list: &mut Vec<(NodeId, Lanes)>, node: NodeId, factor: &Lanes) {
    match list.iter_mut().find(|(known, _)| *known == node) {
        Some((_, known)) => {
            for lane in 0..LANES {
                known[lane] *= factor[lane];
            }
        }
        None => list.push((node, *factor)),
    }
}
