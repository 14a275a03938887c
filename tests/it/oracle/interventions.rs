//! What operators and automations do: section "Actions and automations".

use std::collections::BTreeMap;

use blastwave::model::action::ActionKind;
use blastwave::model::change::TargetRef;
use blastwave::model::{Change, Share};

use super::graph::Graph;
use super::load::Moment;
use super::moment::{State, reaches};

/// What was done so far, as it bears on a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effects {
    /// By dependency as written and service: the share of calls that goes around it.
    pub(crate) led_around: BTreeMap<(usize, usize), f64>,
    /// By service: the share of requests turned away.
    pub(crate) turned_away: Vec<f64>,
    /// The share of orders turned away.
    pub(crate) orders_turned_away: f64,
    /// By service: the share of it that is switched off.
    pub(crate) off: Vec<f64>,
    /// By service: the share of its capacity that is gone.
    taken: Vec<f64>,
    /// By service: when it got capacity, and how much.
    added: Vec<Vec<(f64, f64, Option<usize>)>>,
}

impl Effects {
    fn none(services: usize) -> Self {
        let zeros = || vec![0.0; services];
        Self {
            led_around: BTreeMap::new(),
            turned_away: zeros(),
            orders_turned_away: 0.0,
            off: zeros(),
            taken: zeros(),
            added: vec![Vec::new(); services],
        }
    }

    /// Whether nothing is left of a service.
    pub(crate) fn is_gone(&self, service: usize) -> bool {
        reaches(self.taken[service], 1.0)
    }

    /// The share of the capacity of a service that was taken away.
    pub(crate) fn taken(&self, service: usize) -> f64 {
        self.taken[service]
    }

    /// What remains of, and comes to, the capacity of a service.
    pub(crate) fn capacity(&self, service: usize, warmup: f64, now: f64) -> f64 {
        let warm = |at: f64| if warmup > 0.0 { ((now - at) / warmup).clamp(0.0, 1.0) } else { 1.0 };
        let added: f64 = self.added[service].iter().map(|(at, share, _)| share * warm(*at)).sum();
        (1.0 - self.taken[service]).max(0.0) + added
    }
}

/// Something to be done, at its own time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervention {
    pub(crate) at: f64,
    kind: ActionKind,
    service: Option<usize>,
    caller: Option<usize>,
    /// The automation that does it, by its number among all rules.
    rule: Option<usize>,
    pub(crate) share: f64,
    /// Whether what restarts gets no calls any more.
    pub(crate) drained: bool,
    /// When it began, where it is undone.
    undoes: Option<f64>,
}

/// What the story has to do about a deed, beyond its effects on a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    /// Nothing.
    Nothing,
    /// Restart a service.
    Restart(usize),
    /// End the cause at a service, or everywhere.
    End(Option<usize>),
}

/// What is done in one walk.
#[derive(Clone, Debug)]
pub(crate) struct Acts<'a> {
    graph: &'a Graph<'a>,
    targets: Vec<usize>,
    actions: Vec<Intervention>,
    rules: Vec<RuleState>,
    pub(crate) effects: Effects,
}

#[derive(Clone, Debug)]
struct RuleState {
    owner: usize,
    number: usize,
    since: Option<f64>,
    due: Option<f64>,
    undo: Option<f64>,
    done: f64,
    rests_until: f64,
    times: u32,
}

impl<'a> Acts<'a> {
    /// With what operators do, or only with the automations.
    pub(crate) fn new(graph: &'a Graph<'a>, change: &Change, with_operators: bool) -> Self {
        let targets = change.targets.iter().filter_map(|target| match target.on {
            TargetRef::Node(node) => Some(node.service.0 as usize),
            TargetRef::Domain(_) => None,
        });
        let mut acts = Self {
            graph,
            targets: targets.collect(),
            actions: Vec::new(),
            rules: Vec::new(),
            effects: Effects::none(graph.topology.services.len()),
        };
        if with_operators {
            for action in &change.actions {
                let at = action.at.get();
                let target = action.target.map(|target| target.0 as usize);
                let caller = action.caller.map(|caller| caller.0 as usize);
                let deeds = acts.deeds(at, action.action, target, action.share);
                for deed in deeds {
                    let deed = Intervention { caller, drained: action.drained, ..deed };
                    acts.actions.push(deed);
                    acts.actions.extend(action.until.map(|until| Intervention {
                        at: until.get(),
                        undoes: Some(at),
                        ..deed
                    }));
                }
            }
            acts.replace_instances(change);
            acts.actions.sort_by(|a, b| a.at.total_cmp(&b.at));
        }
        for (owner, service) in graph.topology.services.iter().enumerate() {
            for number in 0..service.automations.len() {
                let (since, due, rests_until, times) = (None, None, 0.0, 0);
                acts.rules.push(RuleState {
                    owner,
                    number,
                    since,
                    due,
                    undo: None,
                    done: 0.0,
                    rests_until,
                    times,
                });
            }
        }
        acts
    }

    /// Rolling updates take capacity away until all instances are replaced.
    fn replace_instances(&mut self, change: &Change) {
        for (number, target) in change.targets.iter().enumerate() {
            let TargetRef::Node(node) = target.on else { continue };
            let is_known = |other: &blastwave::model::change::Target| matches!(other.on, TargetRef::Node(other) if other.service == node.service);
            let rollout = target.rollout.as_ref().or(change.rollout.as_ref());
            let Some(replacing) = rollout.and_then(|rollout| rollout.replacing) else { continue };
            if change.targets[..number].iter().any(is_known) {
                continue;
            }
            let service = node.service.0 as usize;
            let replicas = self.graph.topology.services[service].replicas.as_ref();
            let share = Share::new(replacing.away(replicas.map(|replicas| replicas.count)));
            for deed in self.deeds(0.0, ActionKind::Remove, Some(service), share) {
                let ends = replacing.lasts.get();
                self.actions.push(deed);
                self.actions.push(Intervention { at: ends, undoes: Some(0.0), ..deed });
            }
        }
    }

    /// One deed for each service that is meant.
    fn deeds(
        &self,
        at: f64,
        kind: ActionKind,
        target: Option<usize>,
        share: Option<Share>,
    ) -> Vec<Intervention> {
        use ActionKind::{AddCapacity, Disable, Fix, Rollback, Shed};
        let services: Vec<Option<usize>> = match (kind, target) {
            (Rollback | Fix, Some(target)) if !self.targets.contains(&target) => vec![None],
            (_, Some(target)) => vec![Some(target)],
            (Rollback | Fix | Disable | Shed, None) => vec![None],
            (AddCapacity, None) => {
                let all = self.graph.topology.services.iter().enumerate();
                all.filter(|(_, item)| item.utilization.is_some())
                    .map(|(item, _)| Some(item))
                    .collect()
            }
            (_, None) => {
                let mut targets: Vec<Option<usize>> =
                    self.targets.iter().map(|target| Some(*target)).collect();
                targets.sort_unstable();
                targets.dedup();
                targets
            }
        };
        let share = share.map_or(1.0, Share::get);
        services
            .into_iter()
            .map(|service| Intervention {
                at,
                kind,
                service,
                caller: None,
                rule: None,
                share,
                drained: false,
                undoes: None,
            })
            .collect()
    }

    /// What is due, operators first; each must then be [done](Self::perform).
    pub(crate) fn due(&mut self, now: f64) -> Vec<Intervention> {
        let count = self.actions.iter().filter(|deed| reaches(now, deed.at)).count();
        let mut due: Vec<Intervention> = self.actions.drain(..count).collect();
        for index in 0..self.rules.len() {
            let RuleState { owner, number, due: at, undo, .. } = self.rules[index];
            if undo.is_some_and(|undo| reaches(now, undo)) {
                self.take_back(index);
                continue;
            }
            let Some(at) = at.filter(|at| reaches(now, *at)) else { continue };
            let rule = &self.graph.topology.services[owner].automations[number];
            let state = &mut self.rules[index];
            (state.due, state.times) = (None, state.times + 1);
            state.rests_until = at + rule.every.get();
            state.done += rule.share.map_or(1.0, Share::get);
            let target = Some(rule.target.0 as usize);
            let deeds = self.deeds(at, rule.action, target, rule.share);
            due.extend(deeds.into_iter().map(|deed| Intervention { rule: Some(index), ..deed }));
        }
        due
    }

    /// Takes back what an automation did, but for restarts and mending.
    fn take_back(&mut self, index: usize) {
        let state = &mut self.rules[index];
        let rule = &self.graph.topology.services[state.owner].automations[state.number];
        let target = rule.target.0 as usize;
        let done = std::mem::take(&mut state.done);
        state.undo = None;
        match rule.action {
            ActionKind::Bypass => {
                self.effects.led_around.retain(|(_, service), _| *service != target);
            }
            ActionKind::Shed => self.effects.turned_away[target] = 0.0,
            ActionKind::Remove => {
                let left = self.effects.taken[target] - done;
                self.effects.taken[target] = if reaches(0.0, left) { 0.0 } else { left };
            }
            ActionKind::AddCapacity => {
                self.effects.added[target].retain(|(_, _, by)| *by != Some(index));
            }
            ActionKind::Disable => self.effects.off[target] = 0.0,
            ActionKind::Restart | ActionKind::Rollback | ActionKind::Fix => {}
        }
    }

    /// Lets the automations look at a moment.
    pub(crate) fn watch(&mut self, now: f64, moment: &Moment) {
        let graph = self.graph;
        let worst = |service: usize| {
            let nodes = graph.nodes_of(service).into_iter();
            nodes.map(|node| moment.with_too_late(node).failing()).fold(0.0, f64::max)
        };
        for state in &mut self.rules {
            let rule = &graph.topology.services[state.owner].automations[state.number];
            let holds = reaches(worst(rule.watches.0 as usize), rule.failing.get());
            state.since = holds.then(|| state.since.unwrap_or(now));
            let failed = graph.topology.thresholds.failed.get();
            let is_able =
                self.effects.off[state.owner] < 1.0 && !reaches(worst(state.owner), failed);
            let may = is_able && state.times < rule.at_most;
            let due = |since: f64| (since + rule.lasting.get()).max(state.rests_until).max(now);
            state.due = state.since.filter(|_| may).map(due);
            state.undo = if holds || state.done <= 0.0 {
                None
            } else {
                state.undo.or(Some(now + rule.keep.get()))
            };
        }
    }

    /// Ends what operators began.
    fn undo(&mut self, deed: Intervention, began: f64) {
        let effects = &mut self.effects;
        match (deed.kind, deed.service) {
            (ActionKind::Shed, None) => effects.orders_turned_away = 0.0,
            (ActionKind::Shed, Some(item)) => effects.turned_away[item] = 0.0,
            (ActionKind::Disable, Some(item)) => effects.off[item] = 0.0,
            (ActionKind::Remove, Some(item)) => {
                let left = effects.taken[item] - deed.share;
                effects.taken[item] = if reaches(0.0, left) { 0.0 } else { left };
            }
            (ActionKind::AddCapacity, Some(item)) => {
                let is_it =
                    |added: &(f64, f64, Option<usize>)| added.2.is_none() && added.0 <= began;
                if let Some(index) = effects.added[item].iter().rposition(is_it) {
                    effects.added[item].remove(index);
                }
            }
            (ActionKind::Bypass, Some(item)) => {
                let graph = self.graph;
                effects.led_around.retain(|(written, service), _| {
                    let by = graph.caller_of(*written);
                    *service != item || deed.caller.is_some_and(|caller| by != Some(caller))
                });
            }
            _ => {}
        }
    }

    /// Puts a deed into effect; gives what is left to do.
    pub(crate) fn perform(&mut self, deed: Intervention) -> Rest {
        let Intervention { at, kind, service, caller, rule, share, .. } = deed;
        if let Some(began) = deed.undoes {
            self.undo(deed, began);
            return Rest::Nothing;
        }
        match (kind, service) {
            (ActionKind::Bypass, Some(item)) => {
                for (written, dependency) in self.graph.written.iter().enumerate() {
                    let by = self.graph.caller_of(written);
                    let calls = dependency.on.iter().any(|on| self.graph.is_of(*on, item));
                    if calls && caller.is_none_or(|caller| by == Some(caller)) {
                        self.effects.led_around.insert((written, item), share);
                    }
                }
            }
            (ActionKind::Shed, Some(item)) => self.effects.turned_away[item] = share,
            (ActionKind::Shed, None) => self.effects.orders_turned_away = share,
            (ActionKind::AddCapacity, Some(item)) => {
                self.effects.added[item].push((at, share, rule));
            }
            (ActionKind::Remove, Some(item)) => self.effects.taken[item] += share,
            (ActionKind::Restart, Some(item)) => return Rest::Restart(item),
            (ActionKind::Disable, Some(item)) => {
                self.effects.off[item] = share;
                if share >= 1.0 {
                    return Rest::End(Some(item));
                }
            }
            (_, service) => return Rest::End(service),
        }
        Rest::Nothing
    }

    /// What is left of a state at the end of a call by this service.
    pub(crate) fn after_call(effects: &Effects, caller: Option<usize>, state: State) -> State {
        state.times(1.0 - caller.map_or(0.0, |caller| effects.off[caller]))
    }
}
