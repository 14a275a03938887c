//! Applies interventions of operators and automations in the course of a trial.
//!
//! A plan without any of it keeps all of this empty, and pays for a test here and there.

use crate::compile::interventions::{Intervention, InterventionKind};
use crate::compile::plan::{Hit, NodeId, ObservedCall, Plan, ServiceId, TargetId};
use crate::engine::fluid::propagation::call_pipeline::SLACK;
use crate::engine::fluid::run::Run;
use crate::engine::fluid::state::lanes::{
    LANES, Lanes, Shares, SurvivalProducts, all, has, mask, ones, same,
};
use crate::engine::simd::array;
use crate::engine::trace::Event;
use crate::model::id::Table;

/// Interventions that have been applied so far.
#[derive(Default)]
pub(crate) struct AppliedInterventions {
    /// Whether anything is ever done.
    is_used: bool,
    /// By lane: the next of what operators do.
    next: [usize; LANES],
    /// By service: the share of requests that is turned away.
    turned_away: Table<ServiceId, Lanes>,
    /// The share of orders that is turned away.
    orders_turned_away: Lanes,
    /// By service: the share of it that is switched off.
    off: Table<ServiceId, Lanes>,
    /// By service: the share of its capacity that is gone.
    taken: Table<ServiceId, Lanes>,
    added: Vec<Added>,
    /// By target: the share that is fixed.
    fixed: Table<TargetId, Lanes>,
    /// By target: when it was fixed or switched off by itself; infinite where it was not.
    ended: Table<TargetId, Lanes>,
    /// By automation and lane.
    rules: Vec<[RuleState; LANES]>,
}

/// Capacity that a service got.
struct Added {
    /// The automation that gave it; `None` for operators.
    by: Option<usize>,
    lane: usize,
    service: ServiceId,
    at: f64,
    share: f64,
}

/// How far an automation has come.
#[derive(Clone, Copy)]
struct RuleState {
    /// Since when what it looks at has been failing.
    since: f64,
    /// When it acts next, if nothing changes.
    due: f64,
    /// When it takes back what it did, if nothing changes.
    undo: f64,
    /// The sum of the shares that it has not taken back.
    done: f64,
    /// Before this it does not act again.
    rests_until: f64,
    times: u32,
}

const IDLE: RuleState = RuleState {
    since: f64::INFINITY,
    due: f64::INFINITY,
    undo: f64::INFINITY,
    done: 0.0,
    rests_until: 0.0,
    times: 0,
};

impl AppliedInterventions {
    pub(crate) fn new(plan: &Plan) -> Self {
        if plan.interventions.is_empty() {
            return Self::default();
        }
        let of_services = || Table::filled(all(0.0), plan.services.len());
        Self {
            is_used: true,
            turned_away: of_services(),
            off: of_services(),
            taken: of_services(),
            fixed: Table::filled(all(0.0), plan.targets.len()),
            ended: Table::filled(all(f64::INFINITY), plan.targets.len()),
            rules: vec![[IDLE; LANES]; plan.interventions.automations.len()],
            ..Self::default()
        }
    }

    /// Nothing has been done yet.
    pub(crate) fn reset(&mut self) {
        if !self.is_used {
            return;
        }
        self.next = [0; LANES];
        self.orders_turned_away = all(0.0);
        self.added.clear();
        for shares in [&mut self.turned_away, &mut self.off] {
            shares.fill(all(0.0));
        }
        self.taken.fill(all(0.0));
        self.fixed.fill(all(0.0));
        self.ended.fill(all(f64::INFINITY));
        self.rules.fill([IDLE; LANES]);
    }

    /// The lanes in which nothing is left of a service.
    fn gone(&self, service: ServiceId) -> u8 {
        mask::<LANES>(|lane| self.taken[service][lane] >= 1.0 - SLACK)
    }

    /// The share of a service's capacity that was taken away.
    pub(crate) fn taken(&self, service: ServiceId) -> &Lanes {
        // Nothing is taken where nobody acts, and then nothing is kept.
        if self.is_used { &self.taken[service] } else { const { &all(0.0) } }
    }

    /// When a target was fixed or switched off by itself.
    pub(crate) fn ended_at(&self, target: TargetId, lane: usize) -> f64 {
        if self.is_used { self.ended[target][lane] } else { f64::INFINITY }
    }

    /// When the next thing happens that is known by now.
    pub(crate) fn next_time(&self, plan: &Plan, lane: usize, without_change: bool) -> f64 {
        let mut next = f64::INFINITY;
        if !self.is_used {
            return next;
        }
        if let (Some(action), false) =
            (plan.interventions.actions.get(self.next[lane]), without_change)
        {
            next = action.at;
        }
        self.rules.iter().fold(next, |next, rule| next.min(rule[lane].due).min(rule[lane].undo))
    }
}

impl Run<'_> {
    /// Gives places to note what they suffer to all that may be turned away or switched off.
    pub(crate) fn register_intervention_targets(&mut self) {
        let plan = self.plan;
        for intervention in plan.interventions.iter() {
            if !matches!(
                intervention.kind,
                InterventionKind::Shed
                    | InterventionKind::Disable
                    | InterventionKind::RemoveCapacity
            ) {
                continue;
            }
            intervention.services.iter().for_each(|service| self.register_affected(*service));
            if intervention.services.is_empty() {
                plan.flows.iter().for_each(|flow| self.register_affected_node(flow.node));
            }
        }
    }

    /// Does what is due in a lane: operators first.
    pub(crate) fn apply_interventions(&mut self, lane: usize) {
        if !self.interventions.is_used {
            return;
        }
        let (plan, time) = (self.plan, self.state.time[lane]);
        // Operators act because of the change; automations act without it as well.
        while !self.progress[lane].without_change
            && let Some(action) = plan.interventions.actions.get(self.interventions.next[lane])
            && action.at <= time
        {
            self.interventions.next[lane] += 1;
            match action.undoes {
                None => self.perform(lane, &action.intervention, None, None),
                Some(began) => self.undo_action(lane, &action.intervention, began),
            }
        }
        for (index, rule) in plan.interventions.automations.iter().enumerate() {
            let state = &mut self.interventions.rules[index][lane];
            if state.undo <= time {
                state.undo = f64::INFINITY;
                let done = std::mem::take(&mut state.done);
                self.take_back(lane, &rule.intervention, Some(index), done);
            } else if state.due <= time {
                state.due = f64::INFINITY;
                state.times += 1;
                state.done += rule.intervention.share;
                state.rests_until = time + rule.every;
                self.perform(lane, &rule.intervention, Some(rule.service), Some(index));
            }
        }
    }

    /// Lets automations look at the moment.
    pub(crate) fn watch(&mut self, lane: usize) {
        if !self.interventions.is_used {
            return;
        }
        let time = self.state.time[lane];
        for (index, rule) in self.plan.interventions.automations.iter().enumerate() {
            let failing = self
                .plan
                .nodes_of(rule.watches)
                .map(|node| self.failing_share(node, lane))
                .fold(0.0, f64::max);
            // It acts through its own service, which must be there for that.
            let is_able = self.interventions.off[rule.service][lane] < 1.0
                && !self.is_failed(rule.service, lane);
            let state = &mut self.interventions.rules[index][lane];
            let holds = failing >= rule.failing - SLACK;
            state.since = if holds { state.since.min(time) } else { f64::INFINITY };
            let acts = holds && is_able && state.times < rule.at_most;
            let due = (state.since + rule.lasting).max(state.rests_until).max(time);
            state.due = if acts { due } else { f64::INFINITY };
            state.undo = match () {
                () if holds || state.done <= 0.0 => f64::INFINITY,
                () if state.undo.is_finite() => state.undo,
                () => time + rule.keep,
            };
        }
    }

    fn perform(
        &mut self,
        lane: usize,
        intervention: &Intervention,
        by: Option<ServiceId>,
        rule: Option<usize>,
    ) {
        let named = intervention.services.iter().copied().map(Some);
        let is_for_all =
            matches!(intervention.kind, InterventionKind::Shed | InterventionKind::Fix);
        let nobody = (is_for_all && intervention.services.is_empty()).then_some(None);
        for service in named.chain(nobody) {
            if !self.progress[lane].without_change {
                let Intervention { kind, share, .. } = *intervention;
                self.note(lane, Event::Acted { by, kind, service, share });
            }
            self.perform_on(lane, intervention, service, rule);
        }
    }

    fn perform_on(
        &mut self,
        lane: usize,
        intervention: &Intervention,
        service: Option<ServiceId>,
        by: Option<usize>,
    ) {
        let at = self.state.time[lane];
        let Intervention { kind, share, caller, .. } = *intervention;
        match (kind, service) {
            (InterventionKind::Bypass, Some(service)) => {
                self.bypass_service(lane, service, caller, share);
            }
            (InterventionKind::Shed, None) => {
                self.interventions.orders_turned_away[lane] = share;
            }
            (InterventionKind::Shed, Some(service)) => {
                self.interventions.turned_away[service][lane] = share;
            }
            (InterventionKind::Restart, Some(service)) => {
                self.restart(service, lane, share, intervention.drained);
            }
            (InterventionKind::AddCapacity, Some(service)) => {
                self.interventions.added.push(Added { by, lane, service, at, share });
            }
            (InterventionKind::RemoveCapacity, Some(service)) => {
                self.interventions.taken[service][lane] += share;
            }
            (InterventionKind::Disable, Some(service)) => {
                if share >= 1.0 {
                    self.fix_target(Some(service), lane);
                }
                self.interventions.off[service][lane] = share;
                self.switch_off(service);
            }
            (InterventionKind::Fix, _) if share >= 1.0 => self.fix_target(service, lane),
            (InterventionKind::Fix, _) => {
                for target in self.plan.targets.ids() {
                    if service.is_none_or(|service| self.is_of(target, service)) {
                        self.interventions.fixed[target][lane] = share;
                    }
                }
            }
            // All else is done to services that are named.
            (_, None) => {}
        }
    }

    /// Ends what operators began at a time.
    fn undo_action(&mut self, lane: usize, intervention: &Intervention, began: f64) {
        if intervention.services.is_empty() && intervention.kind == InterventionKind::Shed {
            self.interventions.orders_turned_away[lane] = 0.0;
        }
        if intervention.kind == InterventionKind::AddCapacity {
            for service in &intervention.services {
                let is_it = |added: &Added| {
                    added.lane == lane
                        && added.by.is_none()
                        && added.service == *service
                        && added.at <= began
                };
                let found = self.interventions.added.iter().rposition(is_it);
                if let Some(index) = found {
                    self.interventions.added.remove(index);
                }
            }
        } else {
            self.take_back(lane, intervention, None, intervention.share);
        }
    }

    /// Takes back what an automation did, so much in all.
    fn take_back(
        &mut self,
        lane: usize,
        intervention: &Intervention,
        rule: Option<usize>,
        done: f64,
    ) {
        for service in intervention.services.iter().copied() {
            match intervention.kind {
                InterventionKind::Bypass => {
                    self.bypass_service(lane, service, intervention.caller, 0.0);
                }
                InterventionKind::Shed => self.interventions.turned_away[service][lane] = 0.0,
                InterventionKind::RemoveCapacity => {
                    let left = self.interventions.taken[service][lane] - done;
                    // Shares that were added up come back to 0 only but for rounding.
                    self.interventions.taken[service][lane] = if left > SLACK { left } else { 0.0 };
                }
                InterventionKind::AddCapacity => {
                    self.interventions.added.retain(|added| added.lane != lane || added.by != rule);
                }
                InterventionKind::Disable => {
                    self.interventions.off[service][lane] = 0.0;
                    self.switch_off(service);
                }
                InterventionKind::Restart | InterventionKind::Fix => {}
            }
        }
    }

    /// Tells the moment about calls that are led around a service: everybody's, or one caller's.
    fn bypass_service(
        &mut self,
        lane: usize,
        service: ServiceId,
        by: Option<ServiceId>,
        share: f64,
    ) {
        let plan = self.plan;
        for (dependency, item) in plan.dependencies.entries() {
            let Some(ObservedCall { call, caller }) = item.observed else { continue };
            if by.is_some() && plan.nodes[caller].service != by {
                continue;
            }
            let members = plan.members_of(&plan.calls[call]).iter();
            for node in members.map(|member| member.node) {
                if plan.nodes[node].service == Some(service) {
                    let key = (dependency, node);
                    entry(&mut self.state.bypassed, key)[lane] = share;
                }
            }
        }
        for node in plan.nodes_of(service) {
            for caller in self.index_of_plan.callers_of(node) {
                self.state.touch(*caller);
            }
        }
    }

    /// Tells the moment about the dependencies of a service that is switched off.
    fn switch_off(&mut self, service: ServiceId) {
        let (plan, shares) = (self.plan, self.interventions.off[service]);
        for (dependency, item) in plan.dependencies.entries() {
            let caller = item.observed.map(|observed| observed.caller);
            if caller.is_some_and(|caller| plan.nodes[caller].service == Some(service)) {
                *entry(&mut self.state.switched_off, dependency) = shares;
            }
        }
        self.state.touch_service(service);
    }

    /// Ends the cause at a service, or everywhere; if nothing else is broken, altogether.
    fn fix_target(&mut self, service: Option<ServiceId>, lane: usize) {
        if self.progress[lane].ended_at.is_finite() || self.progress[lane].without_change {
            return;
        }
        let is_open = |target: &TargetId| {
            has(self.sampled.targets[*target].broken, lane)
                && self.interventions.ended[*target][lane].is_infinite()
        };
        let mut open = self.plan.targets.ids().iter().filter(is_open);
        let is_all = service.is_none_or(|service| open.all(|target| self.is_of(target, service)));
        let Some(service) = service.filter(|_| !is_all) else {
            self.cause_taken_away(lane);
            return;
        };
        let time = self.state.time[lane];
        self.end_cause_at(service, lane, time);
        for target in self.plan.targets.ids() {
            if self.is_of(target, service) {
                let ended = &mut self.interventions.ended[target][lane];
                *ended = ended.min(time);
            }
        }
    }

    fn is_of(&self, target: TargetId, service: ServiceId) -> bool {
        match self.plan.targets[target].hit {
            Hit::Service(hit) | Hit::Endpoint { service: hit, .. } => hit == service,
            Hit::Domain(_) => false,
        }
    }

    /// When what a target corrupted is repaired, if it ended by itself at this time.
    pub(crate) fn repaired_at(&self, ended: f64, lane: usize) -> f64 {
        let repair = self.plan.schedule.as_ref().is_some_and(|schedule| schedule.repair.is_some());
        if repair { ended + self.sampled.repair[lane] } else { ended }
    }

    /// When data are repaired next that a target corrupted which ended by itself.
    pub(crate) fn next_repair(&self, lane: usize, time: f64) -> f64 {
        let ended = self
            .interventions
            .ended
            .iter()
            .map(|ended| ended[lane])
            .filter(|ended| ended.is_finite());
        let repaired = ended.map(|ended| self.repaired_at(ended, lane));
        repaired.filter(|at| *at > time).fold(f64::INFINITY, f64::min)
    }

    /// The part of a target's failing share that is neither fixed nor switched off.
    pub(crate) fn still_broken(&self, target: TargetId, lane: usize) -> f64 {
        if !self.interventions.is_used {
            return 1.0;
        }
        let off = match self.plan.targets[target].hit {
            Hit::Service(service) | Hit::Endpoint { service, .. } => {
                self.interventions.off[service][lane]
            }
            Hit::Domain(_) => 0.0,
        };
        (1.0 - self.interventions.fixed[target][lane]) * (1.0 - off)
    }

    /// Returns the survival of a flow where orders are turned away.
    pub(crate) fn left_of_orders(&self) -> SurvivalProducts {
        let mut left = SurvivalProducts::ALL;
        if self.interventions.is_used {
            left.apply_down(&self.interventions.orders_turned_away);
        }
        left
    }

    /// Applies to the survival of a service what was done to it on purpose.
    pub(crate) fn leave_on_purpose(&self, service: ServiceId, left: &mut SurvivalProducts) {
        if !self.interventions.is_used {
            return;
        }
        left.apply_down(&self.interventions.turned_away[service]);
        let gone = self.gone(service);
        if gone != 0 {
            left.apply_down(&ones(gone));
        }
        let off = self.interventions.off[service];
        if !same(&off, &all(0.0)) {
            left.times(&SurvivalProducts::of(&Shares { degraded: off, ..Shares::OK }));
        }
    }

    /// Returns the lanes in which a service serves nobody because of what was taken away: all of it, or so
    /// many replicas that too few are left.
    fn gone(&self, service: ServiceId) -> u8 {
        let taken = self.interventions.taken(service);
        let gone = self.interventions.gone(service);
        let item = &self.plan.services[service];
        if item.replicas.is_empty() || same(taken, &all(0.0)) {
            return gone;
        }
        let left = self.replicas_left(service);
        let replicas = item.replicas.len() as f64;
        gone | mask::<LANES>(|lane| {
            let up = (left[lane] - taken[lane]) * replicas;
            taken[lane] > 0.0 && up < f64::from(item.needs) - 1e-6
        })
    }

    /// Brings capacities, and the lanes in which services are down without overload, in line with what
    /// was done.
    pub(crate) fn change_capacities(&self, capacities: &mut Table<ServiceId, (Lanes, u8)>) {
        if !self.interventions.is_used {
            return;
        }
        let limited = self.plan.services.entries().filter(|(_, service)| service.utilization > 0.0);
        for (id, service) in limited {
            capacities[id].1 |= self.gone(id);
            let acts = &self.interventions;
            let mut factors: Lanes = array(|lane| (1.0 - acts.taken[id][lane]).max(0.0));
            for added in acts.added.iter().filter(|added| added.service == id) {
                let warmup = service.warmup;
                factors[added.lane] += added.share * self.ramp(added.at, warmup, added.lane);
            }
            for lane in 0..LANES {
                capacities[id].0[lane] *= factors[lane];
            }
        }
    }

    /// The share of requests to a service that is not turned away on purpose.
    pub(crate) fn arriving(&self, service: ServiceId) -> Lanes {
        if self.interventions.is_used {
            self.interventions.turned_away[service].map(|share| 1.0 - share)
        } else {
            all(1.0)
        }
    }

    /// When added capacity changes next after a time.
    pub(crate) fn next_added(&self, lane: usize, time: f64) -> f64 {
        let added = self.interventions.added.iter().filter(|added| added.lane == lane);
        let next = |added: &Added| {
            self.next_ramp(added.at, self.plan.services[added.service].warmup, time)
        };
        added.map(next).fold(f64::INFINITY, f64::min)
    }

    /// The factor on the calls of nodes that are switched off, where some are.
    pub(crate) fn suppressed(&self) -> impl Iterator<Item = (NodeId, Lanes)> + '_ {
        let services = self.interventions.off.entries().filter(|(_, off)| !same(off, &all(0.0)));
        services.flat_map(|(service, off)| {
            let factor = off.map(|off| 1.0 - off);
            self.plan.nodes_of(service).map(move |node| (node, factor))
        })
    }
}

/// An entry of a short list; a new one is 0 in every lane.
fn entry<K: PartialEq>(list: &mut Vec<(K, Lanes)>, key: K) -> &mut Lanes {
    let index = list.iter().position(|(known, _)| *known == key);
    let index = index.unwrap_or_else(|| {
        list.push((key, all(0.0)));
        list.len() - 1
    });
    &mut list[index].1
}
