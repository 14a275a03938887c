//! Applies waivers to rules: a waived rule asks for caution where it would stop.

use super::Gate;
use super::rules::RuleState;
use crate::model::change::TargetRef;
use crate::model::{Change, Topology};
use crate::policy::evaluate::Ternary;
use crate::policy::waivers::LONGEST_DAYS;
use crate::policy::{Rule, RuleVerdict, Waiver};
use crate::report::{WaiverOutcome, WaiverReport};
use crate::suggest;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Returns the number of the first waiver that turns the stop of a rule into caution.
///
/// That is known before anything is simulated, so that no trial is spent on a verdict that is waived.
pub(super) fn waiver_of(
    rule: &Rule,
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
) -> Option<usize> {
    let is_active = |waiver: &Waiver| {
        waiver.rule == rule.name && refusal(waiver, topology, change, gate).is_none()
    };
    if rule.verdict != RuleVerdict::Stop {
        return None;
    }
    gate.waivers.iter().position(is_active)
}

/// Returns what came of every waiver, in their order.
pub(super) fn waiver_reports(
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
    rules: &[RuleState],
) -> Vec<WaiverReport> {
    let report = |(index, waiver): (usize, &Waiver)| {
        let outcome = outcome(index, waiver, topology, change, gate, rules);
        WaiverReport {
            rule: waiver.rule.clone(),
            outcome,
            services: waiver.scope.services.clone(),
            teams: waiver.scope.teams.clone(),
            changes: waiver.scope.changes.clone(),
            who: waiver.who.clone(),
            why: waiver.why.clone(),
            until: waiver.until.to_string(),
            text: outcome_sentence(waiver, outcome, rules),
            place: None,
        }
    };
    gate.waivers.iter().enumerate().map(report).collect()
}

fn outcome(
    index: usize,
    waiver: &Waiver,
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
    rules: &[RuleState],
) -> WaiverOutcome {
    let Some(state) = rules.iter().find(|state| state.rule.name == waiver.rule) else {
        return WaiverOutcome::UnknownRule;
    };
    if let Some(refused) = refusal(waiver, topology, change, gate) {
        return refused;
    }
    let is_used = state.waiver == Some(index) && state.result() != Ternary::False;
    if is_used { WaiverOutcome::Applied } else { WaiverOutcome::NotNeeded }
}

/// Returns why a waiver does not count for a change; `None` where it does.
fn refusal(
    waiver: &Waiver,
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
) -> Option<WaiverOutcome> {
    // The scope comes first: whether somebody else's waiver has expired is no news for this change.
    if waiver.scope.covers_everything(topology) {
        return Some(WaiverOutcome::TooBroad);
    }
    if !is_in_scope(waiver, topology, change, gate) {
        return Some(WaiverOutcome::OutOfScope);
    }
    if waiver.is_withdrawn {
        return Some(WaiverOutcome::Withdrawn);
    }
    // Without the time it may have expired, and what is unknown is never taken for safe.
    let Some(now) = gate.now else { return Some(WaiverOutcome::NotChecked) };
    let end = waiver.end();
    match () {
        () if now >= end => Some(WaiverOutcome::Expired),
        // The last day counts in full, so one more day lies between the two.
        () if end - now > (LONGEST_DAYS + 1.0) * DAY => Some(WaiverOutcome::TooLong),
        () => None,
    }
}

/// Whether every change that is checked, and everything that it touches, is in scope.
fn is_in_scope(waiver: &Waiver, topology: &Topology, change: &Change, gate: &Gate<'_>) -> bool {
    let scope = &waiver.scope;
    let has_name = if gate.changes.is_empty() {
        scope.covers_name(&change.name)
    } else {
        gate.changes.iter().all(|change| scope.covers_name(&change.name))
    };
    let is_covered = |on: TargetRef| match on {
        TargetRef::Node(node) => scope.covers_service(topology, node.service),
        // A failure domain holds services of anybody.
        TargetRef::Domain(_) => scope.is_of_any_service(),
    };
    let touches_all = change.targets.iter().all(|target| is_covered(target.on));
    // Where nothing is known to be touched, no service can be in scope.
    let is_known = scope.is_of_any_service() || !change.targets.is_empty();
    has_name && touches_all && is_known
}

fn outcome_sentence(waiver: &Waiver, outcome: WaiverOutcome, rules: &[RuleState]) -> String {
    let Waiver { rule, who, why, until, .. } = waiver;
    let of = format!("the waiver of `{rule}` by {who}");
    match outcome {
        WaiverOutcome::Applied => {
            let why = why.trim_end_matches('.');
            format!("waived by {who} until {until}: {why} (rule: {rule})")
        }
        WaiverOutcome::NotNeeded => format!("{of} until {until} is not needed"),
        WaiverOutcome::OutOfScope => format!("{of} is for other changes"),
        WaiverOutcome::Expired => format!("{of} expired on {until}"),
        WaiverOutcome::NotChecked => {
            format!("{of} does not count, because the current time is unknown: pass `--now`")
        }
        WaiverOutcome::UnknownRule => {
            let names = rules.iter().map(|state| &*state.rule.name);
            let meant = suggest::nearest(rule, names)
                .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            format!("{of} has no effect: the policy has no such rule{meant}")
        }
        WaiverOutcome::TooBroad => {
            format!("{of} does not count: it covers every change; name services, teams or changes")
        }
        WaiverOutcome::TooLong => {
            format!("{of} does not count: it lasts until {until}, more than {LONGEST_DAYS} days")
        }
        WaiverOutcome::Withdrawn => {
            format!("{of} does not count: it was withdrawn on the branch of the waivers")
        }
    }
}
