//! From what came of the rules to the verdict, in words.

use super::doubts::{doubts, is_untouched};
use super::rules::RuleState;
use super::sentences::{number, sentence};
use super::{Assumption, Check, Limit, Measure, diff};
use crate::engine::Tally;
use crate::model::{Change, Topology};
use crate::policy::Severity;
use crate::policy::evaluate::{Comparison, Metric, Ternary, Unit};
use crate::policy::expression::Operator;
use crate::report::{
    ComparisonOutcome, Decision, LimitOutcome, LimitReport, MetricReport, PolicyReport,
    RuleOutcome, RuleReport, TestReport, Verdict,
};
use crate::sort::Arrange as _;

/// How many figures of a rule are reported: those that decide it.
const FIGURES: usize = 5;

pub(super) fn verdict(
    check: &Check<'_>,
    tally: &Tally,
    is_partial: bool,
    test: Option<TestReport>,
) -> Verdict {
    let Check { topology, change, gate, rules: all, .. } = check;
    let rules = all;
    let (limits, rules) = rules.split_at(gate.limits.len());
    let is = |rule_state: &RuleState, wanted: Ternary| rule_state.result() == wanted;
    let fired =
        |severity| all.iter().any(|item| is(item, Ternary::True) && item.rule.verdict == severity);
    let doubts = doubts(topology, change, gate, all, tally);
    let is_doubtful = !doubts.is_empty();
    let undecided =
        is_partial || all.iter().any(|item| !is(item, Ternary::True) && !is(item, Ternary::False));
    let decision = match () {
        () if is_untouched(gate) => Decision::Proceed,
        () if fired(Severity::Stop) => Decision::Stop,
        () if undecided || is_doubtful || fired(Severity::Caution) => Decision::Caution,
        () => Decision::Proceed,
    };
    let mut limit_reports: Vec<LimitReport> = limits
        .iter()
        .zip(gate.limits)
        .map(|(item, limit)| limit_report(item, limit, topology))
        .collect();
    let rule_reports: Vec<RuleReport> =
        rules.iter().map(|state| rule_report(topology, change, state)).collect();
    for ((item, report), limit) in limits.iter().zip(&mut limit_reports).zip(gate.limits) {
        report.reason = limit_reason(item, report, limit.measure);
    }
    let mut said: Vec<(u8, String)> = limits
        .iter()
        .zip(&limit_reports)
        .map(|(limit_report, report)| (rank(limit_report), report.reason.clone()))
        .chain(
            rules
                .iter()
                .zip(&rule_reports)
                .map(|(rule_report, report)| (rank(rule_report), report.reason.clone())),
        )
        .collect();
    said.extend(doubts.into_iter().map(|text| (1, text)));
    let harmless = gate.diff.and_then(diff::harmless);
    said.extend(harmless.map(|text| (4, text)));
    // Held rules say nothing one by one; held limits were asked about.
    let held = rules.iter().filter(|rule| is(rule, Ternary::False)).count();
    said.retain(|(_, text)| !text.is_empty());
    said.arrange_by_key(|(rank, _)| *rank);
    let mut reasons: Vec<String> = said.into_iter().map(|(_, text)| text).collect();
    if is_partial {
        reasons.push("the simulation was interrupted before it was certain".to_owned());
    }
    if let Some((policy, is_default)) = gate.policy {
        reasons.push(policy_reason(&policy.name, is_default, held, rules.len()));
    }
    Verdict {
        decision,
        reasons,
        undecided,
        limits: limit_reports,
        policy: gate
            .policy
            .map(|(policy, is_default)| PolicyReport { name: policy.name.clone(), is_default }),
        rules: rule_reports,
        test,
    }
}

fn policy_reason(name: &str, is_default: bool, held: usize, all: usize) -> String {
    let which = if is_default {
        "the policy that comes with the program (none was named)".to_owned()
    } else {
        format!("the policy `{name}`")
    };
    match (held, all) {
        (_, 0) => format!("{which} has no rules"),
        (held, all) if held == all => format!("all rules of {which} hold"),
        (held, all) => format!("{held} of {all} rules of {which} hold"),
    }
}

/// Worst first; what could not be told may yet weigh as much as its rule does.
fn rank(rule_state: &RuleState) -> u8 {
    match (rule_state.result(), rule_state.rule.verdict) {
        (Ternary::True, Severity::Stop) => 0,
        (Ternary::True, Severity::Caution) => 2,
        (Ternary::False, _) => 4,
        (_, Severity::Stop) => 1,
        (_, Severity::Caution) => 3,
    }
}

fn outcome(rule_state: &RuleState) -> RuleOutcome {
    match rule_state.result() {
        Ternary::True => RuleOutcome::Fired,
        Ternary::False => RuleOutcome::Held,
        Ternary::Undetermined | Ternary::NoData => RuleOutcome::Undecided,
    }
}

fn limit_report(rule_state: &RuleState, limit: &Limit, topology: &Topology) -> LimitReport {
    let compared =
        rule_state.evaluation.as_ref().and_then(|evaluation| evaluation.comparisons.first());
    let figure = compared.map(|compared| &compared.figure);
    LimitReport {
        name: rule_state.rule.name.clone(),
        flow: topology.flows[limit.flow as usize].name.clone(),
        limit: limit.at_most,
        value: figure.map(|figure| figure.value),
        low: figure.map(|figure| figure.low),
        high: figure.map(|figure| figure.high).filter(|high| high.is_finite()),
        outcome: match outcome(rule_state) {
            RuleOutcome::Fired => LimitOutcome::Exceeded,
            RuleOutcome::Held => LimitOutcome::Held,
            RuleOutcome::Undecided => LimitOutcome::Undecided,
        },
        reason: String::new(),
        locations: Vec::new(),
    }
}

fn rule_report(topology: &Topology, change: &Change, rule_state: &RuleState) -> RuleReport {
    let found = rule_state.evaluation.as_ref();
    let result = rule_state.result();
    let mut figures: Vec<&Comparison> = found.iter().flat_map(|found| &found.comparisons).collect();
    // Those that agree with the outcome explain it; among them the nearest to the limit, or furthest
    // beyond it.
    figures.arrange_by(|a, b| {
        let agrees = |comparison: &Comparison| comparison.result != result;
        let beyond = |comparison: &Comparison| {
            let gap =
                (comparison.figure.value - comparison.limit) / comparison.limit.abs().max(1e-9);
            if matches!(comparison.operator, Operator::Lt | Operator::Le) { gap } else { -gap }
        };
        agrees(a).cmp(&agrees(b)).then_with(|| beyond(a).total_cmp(&beyond(b)))
    });
    let reason = rule_reason(topology, change, rule_state, &figures);
    let mut reports: Vec<MetricReport> =
        figures.into_iter().map(|figure| figure_report(topology, figure)).collect();
    reports.dedup();
    reports.truncate(FIGURES);
    RuleReport {
        name: rule_state.rule.name.clone(),
        verdict: match rule_state.rule.verdict {
            Severity::Caution => Decision::Caution,
            Severity::Stop => Decision::Stop,
        },
        outcome: outcome(rule_state),
        message: rule_state.rule.message.clone(),
        when: rule_state.rule.text.clone(),
        missing: match result {
            Ternary::NoData | Ternary::Undetermined => found
                .iter()
                .flat_map(|found| found.missing.iter().take(FIGURES))
                .map(ToString::to_string)
                .collect(),
            _ => Vec::new(),
        },
        metrics: reports,
        assumption: rule_state.unknown,
        trials: rule_state.trials,
        place: None,
        reason,
        locations: Vec::new(),
    }
}

fn figure_report(topology: &Topology, item: &Comparison) -> MetricReport {
    let unit = item.figure.figure.as_deref().and_then(|figure| figure.unit);
    let (flow, service) = match unit {
        Some(Unit::Flow(flow)) => (Some(topology.flows[flow].name.clone()), None),
        Some(Unit::Service(service)) => (None, Some(topology.services[service].name.clone())),
        None => (None, None),
    };
    let finite = |value: f64| value.clamp(f64::MIN, f64::MAX);
    MetricReport {
        name: item.figure.figure.as_deref().map(|figure| figure.path.clone()).unwrap_or_default(),
        flow,
        service,
        value: finite(item.figure.value),
        low: finite(item.figure.low),
        high: item.figure.high.is_finite().then_some(item.figure.high),
        comparison: item.operator.into(),
        limit: finite(item.limit),
        outcome: match item.result {
            Ternary::True => ComparisonOutcome::True,
            Ternary::False => ComparisonOutcome::False,
            _ => ComparisonOutcome::Undecided,
        },
    }
}

/// Returns what came of a rule in a sentence, the figure that decides it first; nothing where it holds.
fn rule_reason(
    topology: &Topology,
    change: &Change,
    state: &RuleState,
    comparisons: &[&Comparison],
) -> String {
    let rule = &state.rule;
    let message = rule.message.trim().trim_end_matches('.');
    let told = if message.is_empty() { String::new() } else { format!(". {message}") };
    let at = at(state.unknown);
    let of = |wanted: Ternary| comparisons.iter().find(|comparison| comparison.result == wanted);
    let said = |comparison: &Comparison| {
        sentence(topology, comparison, &change.name)
            .or_else(|| plain_comparison(comparison))
            .unwrap_or_default()
    };
    match state.result() {
        Ternary::False => String::new(),
        Ternary::True => match of(Ternary::True) {
            Some(of) => format!("{} (rule: {}){at}{told}", said(of), rule.name),
            None if message.is_empty() => format!("{}: {}", rule.name, rule.text),
            None => format!("{message} (rule: {}){at}", rule.name),
        },
        Ternary::Undetermined | Ternary::NoData => {
            let missing =
                state.evaluation.as_ref().and_then(|evaluation| evaluation.missing.first());
            match (of(Ternary::Undetermined), missing) {
                (Some(item), _) => format!(
                    "undecided: {}, too close to tell after {} trials (rule: {}){at}",
                    said(item),
                    state.trials,
                    rule.name
                ),
                (None, Some(why)) => format!("undecided, since {why} (rule: {}){at}", rule.name),
                (None, None) => format!("undecided (rule: {}){at}", rule.name),
            }
        }
    }
}

/// How what is not stated was taken, where that is not as simulated.
fn at(assumption: Assumption) -> &'static str {
    match assumption {
        Assumption::Worst => " (what is not stated at its worst)",
        Assumption::Best => " (what is not stated at its best)",
        Assumption::Stated => "",
    }
}

/// Returns a comparison of a figure for which there is no sentence: `total.orders_lost.p95 is 310, limit > 200`.
fn plain_comparison(comparison: &Comparison) -> Option<String> {
    let figure = comparison.figure.figure.as_deref()?;
    let show = |value: f64| number(value, figure.metric == Metric::Share);
    let value = show(comparison.figure.value);
    Some(format!(
        "{} is {value} (limit {} {})",
        figure.path,
        comparison.operator.as_str(),
        show(comparison.limit)
    ))
}

fn limit_reason(rule_state: &RuleState, limit: &LimitReport, measure: Measure) -> String {
    let show = |value: f64| number(value, measure == Measure::Failed);
    let show_known = |value: Option<f64>| value.map_or_else(|| "any number".to_owned(), show);
    let (low, high) = (show(limit.low.unwrap_or(0.0)), show_known(limit.high));
    let (value, at_most) = (show_known(limit.value), show(limit.limit));
    let figure = format!("{}: {value} ({low} to {high})", limit.name);
    let taken = at(rule_state.unknown);
    match limit.outcome {
        LimitOutcome::Exceeded => format!("{figure}, over the limit of {at_most}{taken}"),
        LimitOutcome::Held => format!("{figure}, within the limit of {at_most}{taken}"),
        LimitOutcome::Undecided => {
            match rule_state.evaluation.as_ref().and_then(|found| found.missing.first()) {
                Some(why) => format!("{}: undecided: {why}", limit.name),
                None => {
                    format!(
                        "{figure}, too close to the limit of {at_most} to tell: undecided{taken}"
                    )
                }
            }
        }
    }
}
