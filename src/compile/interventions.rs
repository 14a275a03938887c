//! Interventions of operators and automations, as numbers.

use super::plan::{Hit, Plan, Schedule, ServiceId};
use crate::model::action::{Action, ActionKind, Automation};
use crate::model::{Change, Seconds, Share, Topology};

/// Interventions in the course of a change besides detection and rollback; empty mostly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interventions {
    /// Interventions of operators, in order of time.
    pub actions: Vec<ScheduledIntervention>,
    /// Rules of automations; empty for a single moment.
    pub automations: Vec<AutomationRule>,
}

impl Interventions {
    /// Whether nothing is ever done.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.automations.is_empty()
    }

    /// Everything that may be done.
    pub fn iter(&self) -> impl Iterator<Item = &Intervention> {
        let actions = self.actions.iter().map(|action| &action.intervention);
        actions.chain(self.automations.iter().map(|automation| &automation.intervention))
    }
}

/// Something done at a known time.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledIntervention {
    /// Seconds from the start of the rollout.
    pub at: f64,
    /// When it began, where it is undone now.
    pub undoes: Option<f64>,
    /// Intervention to be made.
    pub intervention: Intervention,
}

/// Something done while a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub struct AutomationRule {
    /// Who does it: nothing happens while that is failed, or switched off.
    pub service: ServiceId,
    /// Node that the rule watches.
    pub watches: ServiceId,
    /// From which failing share on.
    pub failing: f64,
    /// For how many seconds without a break.
    pub lasting: f64,
    /// Intervention to be made.
    pub intervention: Intervention,
    /// Seconds from one time to the next, at least.
    pub every: f64,
    /// How often at the most.
    pub at_most: u32,
    /// For how many seconds what it did stays after its reason is gone.
    pub keep: f64,
}

/// Something done to services.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervention {
    /// What.
    pub kind: InterventionKind,
    /// To which services; empty = to all orders ([`InterventionKind::Shed`]), to all that is broken
    /// ([`InterventionKind::Fix`]).
    pub services: Vec<ServiceId>,
    /// Whose calls alone are led around; `None` = everybody's.
    pub caller: Option<ServiceId>,
    /// To which share.
    pub share: f64,
    /// Whether what restarts gets no calls any more before it does.
    pub drained: bool,
}

/// Kinds of intervention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterventionKind {
    /// Calls are led around them.
    Bypass,
    /// Requests are turned away.
    Shed,
    /// They start anew.
    Restart,
    /// They get capacity.
    AddCapacity,
    /// They lose capacity.
    RemoveCapacity,
    /// They call nothing, and what is broken about them is switched off.
    Disable,
    /// Mends what is broken about them.
    Fix,
}

/// Adds what is done to a plan that has its targets. Where operators take the cause away, nothing
/// is drawn for that.
pub(super) fn add_interventions(plan: &mut Plan, topology: &Topology, change: &Change) {
    let mut actions: Vec<ScheduledIntervention> =
        change.actions.iter().flat_map(|action| compile_action(plan, action)).collect();
    actions.extend(replaced_instances(plan, topology, change));
    // Equal times keep the order written.
    actions.sort_by(|a, b| a.at.total_cmp(&b.at));
    let Some(schedule) = &mut plan.schedule else { return };
    if change.actions.iter().any(Action::ends_cause) {
        forget_own_recovery(schedule);
    }
    let owned = topology.services.iter().zip(plan.services.ids());
    let rules = owned
        .flat_map(|(owned, service)| owned.automations.iter().map(move |item| (service, item)));
    let rules: Vec<AutomationRule> =
        rules.map(|(service, rule)| compile_automation(plan, service, rule)).collect();
    plan.interventions = Interventions { actions, automations: rules };
}

/// Returns the capacity that rolling updates take away while they replace instances, and give back.
fn replaced_instances(
    plan: &Plan,
    topology: &Topology,
    change: &Change,
) -> Vec<ScheduledIntervention> {
    let mut all = Vec::new();
    let mut services: Vec<ServiceId> = Vec::new();
    for (target, item) in change.targets.iter().zip(&plan.targets) {
        let (Hit::Service(service) | Hit::Endpoint { service, .. }) = item.hit else { continue };
        let rollout = target.rollout.as_ref().or(change.rollout.as_ref());
        let Some(replacing) = rollout.and_then(|rollout| rollout.replacing) else { continue };
        // Endpoints of a service are replaced together.
        if services.contains(&service) {
            continue;
        }
        services.push(service);
        let replicas = topology.service(service).replicas.as_ref();
        let intervention = Intervention {
            kind: InterventionKind::RemoveCapacity,
            services: vec![service],
            caller: None,
            share: replacing.away(replicas.map(|replicas| replicas.count)),
            drained: false,
        };
        let (at, ends) = (0.0, replacing.lasts.get());
        let began = ScheduledIntervention { at, undoes: None, intervention };
        let undone = ScheduledIntervention { at: ends, undoes: Some(at), ..began.clone() };
        all.extend([began, undone].into_iter().filter(|item| item.intervention.share > 0.0));
    }
    all
}

fn forget_own_recovery(schedule: &mut Schedule) {
    schedule.rollback_works = 0.0;
    schedule.rollback_worsens = 0.0;
    schedule.kill_switch = None;
}

fn compile_action(plan: &Plan, action: &Action) -> Vec<ScheduledIntervention> {
    let intervention = compile_intervention(plan, action.action, action.target, action.share);
    let intervention =
        Intervention { caller: action.caller, drained: action.drained, ..intervention };
    let at = action.at.get();
    let begins = ScheduledIntervention { at, undoes: None, intervention: intervention.clone() };
    // An end is an event of its own, in its place in time.
    let ends = action.until.map(|until| ScheduledIntervention {
        at: until.get(),
        undoes: Some(at),
        intervention,
    });
    std::iter::once(begins).chain(ends).collect()
}

fn compile_automation(plan: &Plan, service: ServiceId, automation: &Automation) -> AutomationRule {
    AutomationRule {
        service,
        watches: automation.watches,
        failing: automation.failing.get(),
        lasting: automation.lasting.get(),
        intervention: compile_intervention(
            plan,
            automation.action,
            Some(automation.target),
            automation.share,
        ),
        every: Seconds::get(automation.every),
        at_most: automation.at_most,
        keep: automation.keep.get(),
    }
}

fn compile_intervention(
    plan: &Plan,
    action: ActionKind,
    target: Option<ServiceId>,
    share: Option<Share>,
) -> Intervention {
    let broken = target_services(plan);
    let kind = match action {
        ActionKind::Bypass => InterventionKind::Bypass,
        ActionKind::Shed => InterventionKind::Shed,
        ActionKind::Restart => InterventionKind::Restart,
        ActionKind::AddCapacity => InterventionKind::AddCapacity,
        ActionKind::Remove => InterventionKind::RemoveCapacity,
        // Without a target it is the change that is switched off.
        ActionKind::Disable if target.is_some() => InterventionKind::Disable,
        ActionKind::Disable | ActionKind::Rollback | ActionKind::Fix => InterventionKind::Fix,
    };
    let services = match (kind, target) {
        // What was fixed need not be what is named as changed.
        (InterventionKind::Fix, Some(target)) if broken.contains(&target) => vec![target],
        (InterventionKind::Fix, _) | (InterventionKind::Shed, None) => Vec::new(),
        (_, Some(target)) => vec![target],
        (InterventionKind::AddCapacity, None) => {
            // Capacity means something only where a load is known.
            let is_limited = |id: &ServiceId| plan.services[*id].utilization > 0.0;
            plan.services.ids().iter().filter(is_limited).collect()
        }
        (_, None) => broken,
    };
    Intervention {
        kind,
        services,
        caller: None,
        share: share.map_or(1.0, Share::get),
        drained: false,
    }
}

/// The services that targets hit.
fn target_services(plan: &Plan) -> Vec<ServiceId> {
    let services = plan.targets.iter().filter_map(|target| match target.hit {
        Hit::Service(service) | Hit::Endpoint { service, .. } => Some(service),
        Hit::Domain(_) => None,
    });
    let mut services: Vec<ServiceId> = services.collect();
    // A service with several targets is one.
    services.sort_unstable();
    services.dedup();
    services
}
