//! From what came of the rules to the verdict, in words.

use super::doubts::{doubts, is_untouched};
use super::rules::RuleState;
use super::sentences::{number, sentence};
use super::{Assumption, Check, Limit, Measure, diff};
use crate::engine::Tally;
use crate::model::{Change, Topology};
use crate::policy::Severity;
use crate::policy::evaluate::{Comparison, Metric, Ternary};
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
    let is = |it: &RuleState, wanted: Ternary| it.result() == wanted;
    let fired =
        |severity| all.iter().any(|it| is(it, Ternary::True) && it.rule.verdict == severity);
    let doubts = doubts(topology, change, gate, all, tally);
    let is_doubtful = !doubts.is_empty();
    let undecided =
        is_partial || all.iter().any(|it| !is(it, Ternary::True) && !is(it, Ternary::False));
    let decision = match () {
        () if is_untouched(gate) => Decision::Proceed,
        () if fired(Severity::Stop) => Decision::Stop,
        () if undecided || is_doubtful || fired(Severity::Caution) => Decision::Caution,
        () => Decision::Proceed,
    };
    let mut limit_reports: Vec<LimitReport> = limits
        .iter()
        .zip(gate.limits)
        .map(|(it, limit)| limit_report(it, limit, topology))
        .collect();
    let rule_reports: Vec<RuleReport> =
        rules.iter().map(|state| rule_report(topology, change, state)).collect();
    for ((it, report), limit) in limits.iter().zip(&mut limit_reports).zip(gate.limits) {
        report.reason = limit_reason(it, report, limit.measure);
    }
    let mut said: Vec<(u8, String)> = limits
        .iter()
        .zip(&limit_reports)
        .map(|(it, report)| (rank(it), report.reason.clone()))
        .chain(
            rules.iter().zip(&rule_reports).map(|(it, report)| (rank(it), report.reason.clone())),
        )
        .collect();
    said.extend(doubts.into_iter().map(|text| (1, text)));
    let harmless = gate.diff.and_then(diff::harmless);
    said.extend(harmless.map(|text| (4, text)));
    // Held rules say nothing one by one; held limits were asked about.
    let held = rules.iter().filter(|it| is(it, Ternary::False)).count();
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
fn rank(it: &RuleState) -> u8 {
    match (it.result(), it.rule.verdict) {
        (Ternary::True, Severity::Stop) => 0,
        (Ternary::True, Severity::Caution) => 2,
        (Ternary::False, _) => 4,
        (_, Severity::Stop) => 1,
        (_, Severity::Caution) => 3,
    }
}

fn outcome(it: &RuleState) -> RuleOutcome {
    match it.result() {
        Ternary::True => RuleOutcome::Fired,
        Ternary::False => RuleOutcome::Held,
        Ternary::Undetermined | Ternary::NoData => RuleOutcome::Undecided,
    }
}

fn limit_report(it: &RuleState, limit: &Limit, topology: &Topology) -> LimitReport {
    let compared = it.evaluation.as_ref().and_then(|it| it.comparisons.first());
    let figure = compared.map(|it| &it.figure);
    LimitReport {
        name: it.rule.name.clone(),
        flow: topology.flows[limit.flow as usize].name.clone(),
        limit: limit.at_most,
        value: figure.map(|it| it.value),
        low: figure.map(|it| it.low),
        high: figure.map(|it| it.high).filter(|high| high.is_finite()),
        outcome: match outcome(it) {
            RuleOutcome::Fired => LimitOutcome::Exceeded,
            RuleOutcome::Held => LimitOutcome::Held,
            RuleOutcome::Undecided => LimitOutcome::Undecided,
        },
        reason: String::new(),
        locations: Vec::new(),
    }
}

fn rule_report(topology: &Topology, change: &Change, it: &RuleState) -> RuleReport {
    let found = it.evaluation.as_ref();
    let result = it.result();
    let mut figures: Vec<&Comparison> = found.iter().flat_map(|it| &it.comparisons).collect();
    // Those that agree with the outcome explain it; among them the nearest to the limit, or furthest
    // beyond it.
    figures.arrange_by(|a, b| {
        let agrees = |it: &Comparison| it.result != result;
        let beyond = |it: &Comparison| {
            let gap = (it.figure.value - it.limit) / it.limit.abs().max(1e-9);
            if matches!(it.operator, "<" | "<=") { gap } else { -gap }
        };
        agrees(a).cmp(&agrees(b)).then_with(|| beyond(a).total_cmp(&beyond(b)))
    });
    let reason = rule_reason(topology, change, it, &figures);
    let mut reports: Vec<MetricReport> = figures.into_iter().map(figure_report).collect();
    reports.dedup();
    reports.truncate(FIGURES);
    RuleReport {
        name: it.rule.name.clone(),
        verdict: match it.rule.verdict {
            Severity::Caution => Decision::Caution,
            Severity::Stop => Decision::Stop,
        },
        outcome: outcome(it),
        message: it.rule.message.clone(),
        when: it.rule.text.clone(),
        missing: match result {
            Ternary::NoData | Ternary::Undetermined => found
                .iter()
                .flat_map(|it| it.missing.iter().take(FIGURES))
                .map(ToString::to_string)
                .collect(),
            _ => Vec::new(),
        },
        metrics: reports,
        assumption: it.unknown,
        trials: it.trials,
        place: None,
        reason,
        locations: Vec::new(),
    }
}

fn figure_report(it: &Comparison) -> MetricReport {
    let finite = |value: f64| value.clamp(f64::MIN, f64::MAX);
    MetricReport {
        name: it.figure.figure.as_deref().map(|it| it.path.clone()).unwrap_or_default(),
        value: finite(it.figure.value),
        low: finite(it.figure.low),
        high: it.figure.high.is_finite().then_some(it.figure.high),
        comparison: it.operator.to_owned(),
        limit: finite(it.limit),
        outcome: match it.result {
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
    let of = |wanted: Ternary| comparisons.iter().find(|it| it.result == wanted);
    let said = |it: &Comparison| {
        sentence(topology, it, &change.name).or_else(|| plain_comparison(it)).unwrap_or_default()
    };
    match state.result() {
        Ternary::False => String::new(),
        Ternary::True => match of(Ternary::True) {
            Some(it) => format!("{} (rule: {}){at}{told}", said(it), rule.name),
            None if message.is_empty() => format!("{}: {}", rule.name, rule.text),
            None => format!("{message} (rule: {}){at}", rule.name),
        },
        Ternary::Undetermined | Ternary::NoData => {
            let missing = state.evaluation.as_ref().and_then(|it| it.missing.first());
            match (of(Ternary::Undetermined), missing) {
                (Some(it), _) => format!(
                    "undecided: {}, too close to tell after {} trials (rule: {}){at}",
                    said(it),
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
fn plain_comparison(it: &Comparison) -> Option<String> {
    let figure = it.figure.figure.as_deref()?;
    let show = |value: f64| number(value, figure.metric == Metric::Share);
    let value = show(it.figure.value);
    Some(format!("{} is {value} (limit {} {})", figure.path, it.operator, show(it.limit)))
}

fn limit_reason(it: &RuleState, limit: &LimitReport, measure: Measure) -> String {
    let show = |value: f64| number(value, measure == Measure::Failed);
    let show_known = |value: Option<f64>| value.map_or_else(|| "any number".to_owned(), show);
    let (low, high) = (show(limit.low.unwrap_or(0.0)), show_known(limit.high));
    let (value, at_most) = (show_known(limit.value), show(limit.limit));
    let figure = format!("{}: {value} ({low} to {high})", limit.name);
    let taken = at(it.unknown);
    match limit.outcome {
        LimitOutcome::Exceeded => format!("{figure}, over the limit of {at_most}{taken}"),
        LimitOutcome::Held => format!("{figure}, within the limit of {at_most}{taken}"),
        LimitOutcome::Undecided => {
            match it.evaluation.as_ref().and_then(|found| found.missing.first()) {
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
