//! Lists what keeps a gate from saying proceed though no rule fired: questions that nobody
//! answered.

use super::rules::RuleState;
use super::{Gate, Limit, Measure, diff};
use crate::engine::Tally;
use crate::model::change::TargetRef;
use crate::model::{Change, Topology};

/// Returns all reasons for caution that no rule gives, the most important first.
pub(super) fn doubts(
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
    rules: &[RuleState],
    tally: &Tally,
) -> Vec<String> {
    let mut found = Vec::new();
    // A diff that touches nothing is judged by its files alone.
    if is_untouched(change, gate) {
        return found;
    }
    found.extend(gate.warnings.iter().map(|warning| {
        format!("a warning may hide something, and `--strict` was asked for: {}", warning.message)
    }));
    if topology.flows.is_empty() {
        found.push("no flow is defined, so nobody can tell what users lose".to_owned());
    }
    found.extend(gate.diff.and_then(diff::diff_doubt));
    found.extend(diff::unmatched_doubt(change));
    found.extend(unknown_shipping(topology, change, gate, tally));
    found.extend(gate.limits.iter().filter_map(|limit| limit_without_effect(topology, limit)));
    let is_default = gate.policy.is_some_and(|(_, is_default)| is_default);
    let of_policy = rules.iter().skip(gate.limits.len());
    // A rule of the default policy may well fit nothing in a small topology; a rule that somebody
    // wrote was meant to fit.
    let vacuous = of_policy.filter(|state| !is_default && state.is_vacuous());
    found.extend(vacuous.map(|state| {
        let name = &state.rule.name;
        format!("the rule `{name}` judges nothing: no flow, service or dependency fits it")
    }));
    // A diff of unknown files breaks nothing, so that no rule is asked; that is said already.
    let is_asked = change.is_judged_by_rules(gate.diff);
    if is_asked && gate.policy.is_none() && gate.limits.is_empty() {
        found.push("neither a policy nor a limit is given, so nothing is judged".to_owned());
    }
    if gate.policy.is_some_and(|(policy, _)| policy.rules.is_empty()) && gate.limits.is_empty() {
        found.push("the policy has no rules, so nothing is judged".to_owned());
    }
    found
}

/// Whether what is changed touches no service, and it is known that it does not.
pub(super) fn is_untouched(change: &Change, gate: &Gate<'_>) -> bool {
    change.touches_nothing() || gate.diff.is_some_and(|diff| diff::harmless_reason(diff).is_some())
}

/// Whether a flow fails because of a diff of which nobody says how it is shipped. A gate that stops every
/// pull request for want of a line of YAML is switched off, so this asks for caution.
fn unknown_shipping(
    topology: &Topology,
    change: &Change,
    gate: &Gate<'_>,
    tally: &Tally,
) -> Option<String> {
    let touched = if let Some(diff) = gate.diff {
        diff.services.first()?.service
    } else {
        // A change that a person wrote says how it is shipped, or means that it is shipped at once.
        change.unmatched.as_ref()?;
        change.targets.iter().find_map(|target| match target.on {
            TargetRef::Node(node) => Some(node.service),
            TargetRef::Domain(_) => None,
        })?
    };
    let flows = &tally.units[tally.units.len() - topology.flows.len()..];
    // A declared course in time says how it is shipped, and a flow that never fails makes it
    // irrelevant.
    if !change.is_moment() || flows.iter().all(|flow| flow.caused.failed == 0) {
        return None;
    }
    let name = &topology.service(touched).name;
    Some(format!(
        "it is not known how {name} is shipped; say it once in `defaults.change`. Judged as if all at once"
    ))
}

/// A limit that no figure can exceed is no limit.
fn limit_without_effect(topology: &Topology, limit: &Limit) -> Option<String> {
    let flow = &topology.flows[limit.flow as usize].name;
    (limit.measure == Measure::Failed && limit.at_most >= 1.0)
        .then(|| format!("the limit of 100% for {flow} can never be exceeded"))
}
