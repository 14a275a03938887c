//! Outcomes of rules and limits, in sentences: the flow, the figure, the limit, the rule.

use super::rules::RuleState;
use super::runs::CheckRun;
use super::sentences::{SentenceContext, ratio_text};
use super::{Assumption, Check};
use crate::compile::plan::FlowId;
use crate::model::Topology;
use crate::policy::Policy;
use crate::policy::evaluate::{Comparison, Ternary};
use crate::prose::format;

/// Returns what came of a rule in a sentence, the figure that decides it first; nothing where it holds.
pub(super) fn rule_reason(
    speaker: &SentenceContext<'_>,
    state: &RuleState,
    comparisons: &[&Comparison],
) -> String {
    let name = &state.rule.name;
    let of = |wanted: Ternary| comparisons.iter().find(|comparison| comparison.result == wanted);
    let message = state.rule.message.trim().trim_end_matches('.');
    let at = assumption_clause(state.taken);
    match state.result() {
        Ternary::False => String::new(),
        Ternary::True => match of(Ternary::True).and_then(|fired| speaker.claim(fired)) {
            Some(claim) => format!("{} ({}; rule: {name}{at})", claim.text, claim.limit),
            None if message.is_empty() => {
                format!("`{}` is true (rule: {name}{at})", state.rule.text)
            }
            None => format!("{message} (rule: {name}{at})"),
        },
        Ternary::Undetermined | Ternary::NoData => {
            let open = of(Ternary::Undetermined).and_then(|open| speaker.claim(open));
            match (open, missing_input(state)) {
                (Some(claim), _) => {
                    let (text, limit) = (claim.text, claim.limit);
                    let trials = simulations_text(state.trials);
                    format!(
                        "undecided after {trials}: {text}, too close to tell ({limit}; rule: {name}{at})"
                    )
                }
                (None, Some(why)) => not_checked(name, why),
                (None, None) => format!("undecided (rule: {name}{at})"),
            }
        }
    }
}

/// Returns what came of a limit of the command line in a sentence.
pub(super) fn limit_reason(speaker: &SentenceContext<'_>, state: &RuleState) -> String {
    let name = &state.rule.name;
    let compared = state.evaluation.as_ref().and_then(|evaluation| evaluation.comparisons.first());
    let at = assumption_clause(state.taken);
    match (compared.and_then(|compared| speaker.claim(compared)), state.result()) {
        (Some(claim), Ternary::True) => {
            format!("{}, above the {}{at}", claim.text, claim.limit)
        }
        (Some(claim), Ternary::False) => {
            format!("{}, within the {}{at}", claim.text, claim.limit)
        }
        (Some(claim), _) => {
            let (text, limit) = (claim.text, claim.limit);
            let trials = simulations_text(state.trials);
            format!("undecided after {trials}: {text}, too close to the {limit} to tell{at}")
        }
        (None, _) => missing_input(state)
            .map_or_else(|| format!("{name}: undecided"), |why| not_checked(name, why)),
    }
}

/// Returns why nothing is known of a rule, where the input lacks what it takes.
fn missing_input(state: &RuleState) -> Option<&str> {
    state.evaluation.as_ref()?.missing.first().map(|why| &**why)
}

fn not_checked(name: &str, why: &str) -> String {
    format!("not checked: `{name}` is undecided, because {why}")
}

/// Returns the advice of the rules that fired, each piece once.
pub(super) fn fired_messages(rules: &[RuleState]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for state in rules.iter().filter(|state| state.result() == Ternary::True) {
        let message = state.rule.message.trim();
        // A rule that compares no figure has its message as its reason already.
        if !message.is_empty()
            && state.has_comparisons()
            && !found.iter().any(|known| known == message)
        {
            found.push(message.to_owned());
        }
    }
    found
}

/// Returns how much room a change leaves that proceeds: what it costs the worst flow that is judged.
pub(super) fn headroom_sentence(
    check: &Check<'_>,
    speaker: &SentenceContext<'_>,
    run: &CheckRun<'_>,
) -> Option<String> {
    let Check { topology, .. } = check;
    if speaker.is_steady {
        return steady_state_sentence(topology, run);
    }
    let tally = &run.tally;
    let units = &tally.units[tally.units.len() - topology.flows.len()..];
    if units.iter().all(|unit| unit.caused.degraded == 0) {
        return Some("no flow fails because of the change".to_owned());
    }
    let share_of_budget = |flow: usize| {
        let seconds = tally.flows[FlowId::new(flow)].outage.quantile(0.95)?;
        Some(seconds / 60.0 / topology.flows[flow].objective().budget_minutes())
    };
    // Flows that no verdict depends on would hide the one that matters.
    let judged =
        (0..topology.flows.len()).filter(|flow| topology.is_judged(&topology.flows[*flow]));
    let (share, flow) = judged
        .filter_map(|flow| Some((share_of_budget(flow)?, flow)))
        // Of equal flows the first one is named.
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)))?;
    let name = &topology.flows[flow].name;
    if share <= 0.0 {
        return Some(format!("{name} loses no outage minute in 19 of 20 simulated rollouts"));
    }
    let minutes = format::three_digits(share * topology.flows[flow].objective().budget_minutes());
    let (share, budget) = (ratio_text(share), speaker.budget_name(flow));
    Some(format!(
        "{name} loses at most {minutes} outage minutes in 19 of 20 simulated rollouts, {share} its {budget}"
    ))
}

/// Returns how available the flow is that comes nearest to missing its objective.
fn steady_state_sentence(topology: &Topology, run: &CheckRun<'_>) -> Option<String> {
    let unavailable = |flow: usize| run.unavailability(flow);
    let allowed = |flow: usize| 1.0 - topology.flows[flow].objective().availability.get();
    let judged =
        (0..topology.flows.len()).filter(|flow| topology.is_judged(&topology.flows[*flow]));
    let (_, flow) = judged
        .map(|flow| (unavailable(flow) / allowed(flow), flow))
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)))?;
    let (name, missed) =
        (&topology.flows[flow].name, format::percent_three_digits(unavailable(flow)));
    let limit = format::percent_three_digits(allowed(flow));
    Some(format!("{name} is unavailable {missed} of the time, its objective allows {limit}"))
}

/// Returns how many rules of the policy hold.
pub(super) fn policy_reason(policy: &Policy, is_default: bool, held: usize, all: usize) -> String {
    let which = if is_default {
        "the policy that comes with the program (none was named)".to_owned()
    } else {
        match policy.layers.as_slice() {
            [] => format!("the policy `{}`", policy.name),
            layers => format!("the policies `{}`", layers.join("`, `")),
        }
    };
    match (held, all) {
        (_, 0) => format!("{which} has no rules"),
        (held, all) if held == all => format!("all rules of {which} hold"),
        (held, all) => format!("{held} of {all} rules of {which} hold"),
    }
}

/// Returns a number of simulated rollouts in words.
pub(super) fn simulations_text(trials: u64) -> String {
    format!("{} simulated rollouts", format::three_digits(trials as f64))
}

/// Returns how what is not stated was taken, where that is not as simulated.
fn assumption_clause(assumption: Assumption) -> &'static str {
    match assumption {
        Assumption::Worst => "; what is unknown at its worst",
        Assumption::Best => "; what is unknown at its best",
        Assumption::Stated => "",
    }
}
