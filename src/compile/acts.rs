//! What operators and automations do, as numbers.

use super::plan::{Hit, NONE, Plan, Schedule};
use crate::model::action::{Action, ActionKind, Automation};
use crate::model::{Change, Seconds, Share, Topology};

/// What is done in the course of a change besides detection and rollback; empty mostly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acts {
    /// What operators do, in order of time.
    pub actions: Vec<Timed>,
    /// What automations do; empty for a single moment.
    pub automations: Vec<Rule>,
}

impl Acts {
    /// Whether nothing is ever done.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.automations.is_empty()
    }

    /// Everything that may be done.
    pub fn deeds(&self) -> impl Iterator<Item = &Deed> {
        let actions = self.actions.iter().map(|it| &it.deed);
        actions.chain(self.automations.iter().map(|it| &it.deed))
    }
}

/// Something done at a known time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// Seconds from the start of the rollout.
    pub at: f64,
    /// What is done.
    pub deed: Deed,
}

/// Something done while a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Who does it: nothing happens while that is failed, or switched off.
    pub service: u32,
    /// What it looks at.
    pub watches: u32,
    /// From which failing share on.
    pub failing: f64,
    /// For how many seconds without a break.
    pub lasting: f64,
    /// What is done.
    pub deed: Deed,
    /// Seconds from one time to the next, at least.
    pub every: f64,
    /// How often at the most.
    pub at_most: u32,
}

/// Something done to services.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// What.
    pub does: Does,
    /// To which services; empty = to all orders ([`Does::TurnAway`]), to all that is broken
    /// ([`Does::EndCause`]).
    pub services: Vec<u32>,
    /// Whose calls alone are led around; [`super::plan::NONE`] = everybody's.
    pub caller: u32,
    /// To which share.
    pub share: f64,
}

/// What can be done to services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Calls are led around them.
    LeadAround,
    /// Requests are turned away.
    TurnAway,
    /// They start anew.
    Restart,
    /// They get capacity.
    AddCapacity,
    /// They lose capacity.
    TakeCapacity,
    /// They call nothing, and what is broken about them is switched off.
    SwitchOff,
    /// What is broken about them is mended.
    EndCause,
}

/// Adds what is done to a plan that has its targets. Where operators take the cause away, nothing
/// is drawn for that.
pub(super) fn add(plan: &mut Plan, topology: &Topology, change: &Change) {
    let mut actions: Vec<Timed> = change.actions.iter().map(|it| timed(plan, it)).collect();
    actions.sort_by(|a, b| a.at.total_cmp(&b.at));
    let Some(schedule) = &mut plan.schedule else { return };
    if change.actions.iter().any(Action::ends_cause) {
        never_taken_back(schedule);
    }
    let owned = topology.services.iter().zip(0_u32..);
    let rules = owned.flat_map(|(it, service)| it.automations.iter().map(move |it| (service, it)));
    let rules: Vec<Rule> = rules.map(|(service, it)| rule(plan, service, it)).collect();
    plan.acts = Acts { actions, automations: rules };
}

fn never_taken_back(schedule: &mut Schedule) {
    schedule.rollback_works = 0.0;
    schedule.rollback_worsens = 0.0;
    schedule.kill_switch = None;
}

fn timed(plan: &Plan, it: &Action) -> Timed {
    let target = it.target.map(|target| target.0);
    let caller = it.caller.map_or(NONE, |caller| caller.0);
    let deed = deed(plan, it.action, target, it.share);
    Timed { at: it.at.get(), deed: Deed { caller, ..deed } }
}

fn rule(plan: &Plan, service: u32, it: &Automation) -> Rule {
    Rule {
        service,
        watches: it.watches.0,
        failing: it.failing.get(),
        lasting: it.lasting.get(),
        deed: deed(plan, it.action, Some(it.target.0), it.share),
        every: Seconds::get(it.every),
        at_most: it.at_most,
    }
}

fn deed(plan: &Plan, kind: ActionKind, target: Option<u32>, share: Option<Share>) -> Deed {
    let broken = broken(plan);
    let does = match kind {
        ActionKind::Bypass | ActionKind::FailOver => Does::LeadAround,
        ActionKind::Shed => Does::TurnAway,
        ActionKind::Restart => Does::Restart,
        ActionKind::AddCapacity => Does::AddCapacity,
        ActionKind::Remove => Does::TakeCapacity,
        // Without a target it is the change that is switched off.
        ActionKind::Disable if target.is_some() => Does::SwitchOff,
        ActionKind::Disable | ActionKind::Rollback | ActionKind::Fix => Does::EndCause,
    };
    let services = match (does, target) {
        // What was mended need not be what is named as changed.
        (Does::EndCause, Some(target)) if broken.contains(&target) => vec![target],
        (Does::EndCause, _) | (Does::TurnAway, None) => Vec::new(),
        (_, Some(target)) => vec![target],
        (Does::AddCapacity, None) => {
            let is_limited = |it: &u32| plan.services[*it as usize].utilization > 0.0;
            (0..plan.services.len() as u32).filter(is_limited).collect()
        }
        (_, None) => broken,
    };
    Deed { does, services, caller: NONE, share: share.map_or(1.0, Share::get) }
}

/// The services that targets hit.
fn broken(plan: &Plan) -> Vec<u32> {
    let services = plan.targets.iter().filter_map(|it| match it.hit {
        Hit::Service(service) | Hit::Endpoint { service, .. } => Some(service),
        Hit::Domain(_) => None,
    });
    let mut services: Vec<u32> = services.collect();
    services.sort_unstable();
    services.dedup();
    services
}
