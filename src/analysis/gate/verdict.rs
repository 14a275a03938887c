//! From what came of the rules to the verdict, in words.

use super::rules::RuleState;
use super::{Assumption, Gate, Limit, Measure, diff};
use crate::model::Topology;
use crate::policy::Severity;
use crate::policy::evaluate::{Comparison, Ternary};
use crate::report::{
    ComparisonOutcome, Decision, LimitOutcome, LimitReport, MetricReport, PolicyReport,
    RuleOutcome, RuleReport, TestReport, Verdict,
};
use crate::sort::Arrange as _;

/// How many figures of a rule are reported: those that decide it.
const FIGURES: usize = 5;

pub(super) fn verdict(
    topology: &Topology,
    gate: &Gate<'_>,
    rules: &[RuleState],
    is_partial: bool,
    test: Option<TestReport>,
) -> Verdict {
    let all = rules;
    let (limits, rules) = rules.split_at(gate.limits.len());
    let is = |it: &RuleState, wanted: Ternary| it.result() == wanted;
    let fired =
        |severity| all.iter().any(|it| is(it, Ternary::True) && it.rule.verdict == severity);
    let doubt = gate.diff.and_then(diff::doubt);
    let undecided = is_partial
        || doubt.is_some()
        || all.iter().any(|it| !is(it, Ternary::True) && !is(it, Ternary::False));
    let decision = match () {
        () if fired(Severity::Stop) => Decision::Stop,
        () if undecided || fired(Severity::Caution) => Decision::Caution,
        () => Decision::Proceed,
    };
    let mut limit_reports: Vec<LimitReport> = limits
        .iter()
        .zip(gate.limits)
        .map(|(it, limit)| limit_report(it, limit, topology))
        .collect();
    let mut rule_reports: Vec<RuleReport> = rules.iter().map(rule_report).collect();
    for ((it, report), limit) in limits.iter().zip(&mut limit_reports).zip(gate.limits) {
        report.reason = limit_reason(it, report, limit.measure);
    }
    for report in &mut rule_reports {
        report.reason = rule_reason(report);
    }
    let mut said: Vec<(u8, String)> = limits
        .iter()
        .zip(&limit_reports)
        .map(|(it, report)| (rank(it), report.reason.clone()))
        .chain(
            rules.iter().zip(&rule_reports).map(|(it, report)| (rank(it), report.reason.clone())),
        )
        .collect();
    said.extend(doubt.map(|text| (1, text)));
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
    } else if limits.is_empty() && gate.diff.is_none_or(|it| !it.services.is_empty()) {
        reasons.push("no limit was given, so nothing can be exceeded".to_owned());
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

fn rule_report(it: &RuleState) -> RuleReport {
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
        reason: String::new(),
        locations: Vec::new(),
    }
}

fn figure_report(it: &Comparison) -> MetricReport {
    let finite = |value: f64| value.clamp(f64::MIN, f64::MAX);
    MetricReport {
        name: it.figure.figure.as_deref().unwrap_or_default().to_owned(),
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

fn rule_reason(rule: &RuleReport) -> String {
    let message = rule.message.trim().trim_end_matches('.');
    match rule.outcome {
        RuleOutcome::Held => String::new(),
        RuleOutcome::Fired => {
            let decides = rule.metrics.iter().find(|it| it.outcome == ComparisonOutcome::True);
            let figure = decides.map(|it| format!(": {}", said(it))).unwrap_or_default();
            if figure.is_empty() && message.is_empty() {
                return format!("{}: {}", rule.name, rule.when);
            }
            let told = if message.is_empty() { String::new() } else { format!(". {message}") };
            format!("{}{figure}{}{told}", rule.name, at(rule.assumption))
        }
        RuleOutcome::Undecided => {
            let mut metrics = rule.metrics.iter();
            let open = metrics.find(|it| it.outcome == ComparisonOutcome::Undecided);
            let why = match (open, rule.missing.first()) {
                (Some(it), _) => {
                    format!("{}, too close to tell after {} trials", said(it), rule.trials)
                }
                (None, Some(why)) => why.clone(),
                (None, None) => "it could not be told".to_owned(),
            };
            format!("{}: undecided: {why}{}", rule.name, at(rule.assumption))
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

/// `flows["place-order"].failed.p is 31% (30.2% to 31.9%), over 20%`.
fn said(it: &MetricReport) -> String {
    let is_share = it.name.ends_with(".p")
        || it.name.ends_with("_share")
        || it.name.ends_with(".exposed")
        || it.name.ends_with(".passed");
    let show = |value: f64| number(value, is_share);
    let high = it.high.map_or_else(|| "any number".to_owned(), show);
    let interval = format!("{} is {} ({} to {high})", it.name, show(it.value), show(it.low));
    format!("{interval}, limit {} {}", it.comparison, show(it.limit))
}

fn number(value: f64, is_share: bool) -> String {
    let (value, unit) = if is_share { (value * 100.0, "%") } else { (value, "") };
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 1.0 => 3,
        small if small < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
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
