//! From what came of the rules to the verdict, in words.

use super::doubts::{doubts, is_untouched};
use super::reasons::{self, headroom_sentence, limit_reason, policy_reason, rule_reason};
use super::rules::RuleState;
use super::runs::CheckRun;
use super::sentences::SentenceContext;
use super::{Check, Limit, diff, runs, waivers};
use crate::model::Topology;
use crate::policy::evaluate::{Comparison, Ternary, Unit};
use crate::policy::expression::Operator;
use crate::policy::{Policy, RuleVerdict};
use crate::report::{
    ComparisonOutcome, Decision, LimitOutcome, LimitReport, MetricReport, PolicyReport,
    RuleOutcome, RuleReport, TestReport, Verdict, WaiverOutcome, WaiverReport,
};
use crate::sort::Arrange as _;

/// How many figures of a rule are reported: those that decide it.
const FIGURES: usize = 5;

/// Decides, and says why, the most important reason first.
pub(super) fn verdict(
    check: &Check<'_>,
    run: &CheckRun<'_>,
    is_partial: bool,
    test: Option<TestReport>,
) -> Verdict {
    let Check { topology, change, gate, rules: all, settings, .. } = check;
    let tally = &run.tally;
    let speaker = SentenceContext {
        topology,
        change: &change.name,
        spent: gate.spent,
        is_certain: settings.is_certain,
        is_steady: change.is_steady(),
    };
    let (limits, rules) = all.split_at(gate.limits.len());
    let doubts = doubts(topology, change, gate, all, tally);
    let undecided = is_partial || all.iter().any(|state| !state.result().is_known());
    let floor = runs::floor(all, !doubts.is_empty());
    let decision = match floor {
        // All files are known to belong to no service, so there is nothing to be judged.
        _ if is_untouched(change, gate) => Decision::Proceed,
        Some(RuleVerdict::Stop) => Decision::Stop,
        Some(RuleVerdict::Caution) => Decision::Caution,
        // Undecided is never taken for safe.
        None if undecided => Decision::Caution,
        None => Decision::Proceed,
    };
    let limit_reports: Vec<LimitReport> = limits
        .iter()
        .zip(gate.limits)
        .map(|(state, limit)| limit_report(&speaker, state, limit))
        .collect();
    let mut rule_reports: Vec<RuleReport> =
        rules.iter().map(|state| rule_report(&speaker, state)).collect();
    // Where no rule is asked, no waiver is either.
    let waiver_reports = match gate.policy {
        Some(_) => waivers::waiver_reports(topology, change, gate, rules),
        None => Vec::new(),
    };
    // What cannot change the verdict any more is not worth a line.
    // A rule that fired is a reason even where a stronger one decides.
    let matters = |state: &&RuleState| state.result() == Ternary::True || state.could_raise(floor);
    let of_limits = limits.iter().zip(limit_reports.iter().map(|report| &report.reason));
    let of_rules = rules.iter().zip(rule_reports.iter().map(|report| &report.reason));
    let mut said: Vec<(u8, String)> = of_limits
        // A limit that holds is told too: somebody asked about it.
        .filter(|(state, _)| matters(state) || state.result() == Ternary::False)
        .chain(of_rules.filter(|(state, _)| matters(state)))
        .map(|(state, reason)| (reason_rank(state), reason.clone()))
        .collect();
    said.extend(waiver_reports.iter().filter_map(waiver_reason));
    said.extend(doubts.into_iter().map(|text| (DOUBT, text)));
    // Rules that hold say nothing one by one; limits that hold were asked about.
    said.retain(|(_, text)| !text.is_empty());
    // Stable, so that rules of one rank stay in the order of the policy.
    said.arrange_by_key(|(rank, _)| *rank);
    let mut reasons: Vec<String> = said.into_iter().map(|(_, text)| text).collect();
    if decision == Decision::Proceed {
        let harmless = gate
            .diff
            .and_then(diff::harmless_reason)
            .or_else(|| change.touches_nothing().then(|| diff::UNTOUCHED.to_owned()));
        let first = harmless.or_else(|| headroom_sentence(check, &speaker, run));
        reasons.splice(0..0, first);
    }
    if is_partial {
        // The verdict comes first even where the simulation was cut short.
        let at = usize::from(!reasons.is_empty());
        let trials = reasons::simulations_text(tally.trials);
        reasons.insert(at, format!("undecided beyond that: interrupted after {trials}"));
    }
    // Messages of the policy come after what was found, since they tell what to do about it.
    reasons.extend(reasons::fired_messages(rules));
    if let Some((policy, is_default)) = gate.policy {
        let held = rules.iter().filter(|state| state.result() == Ternary::False).count();
        reasons.push(policy_reason(policy, is_default, held, rules.len()));
        // Readers of a rule alone, such as code hosts, must see that it is waived and from where it is.
        for (report, state) in rule_reports.iter_mut().zip(rules) {
            add_origin(report, state, policy, &waiver_reports);
        }
    }
    Verdict {
        decision,
        reasons,
        deciders: Vec::new(),
        undecided,
        limits: limit_reports,
        policy: gate.policy.map(|(policy, is_default)| PolicyReport {
            name: policy.name.clone(),
            is_default,
            layers: policy.layers.clone(),
        }),
        rules: rule_reports,
        waivers: waiver_reports,
        test,
    }
}

/// The rank of rules that ask for caution, and of waivers that make them do so.
const CAUTION: u8 = 1;
/// The rank of questions that nobody answered, among what came of the rules.
const DOUBT: u8 = 2;
/// The rank of waivers that change nothing, behind everything that does.
const WITHOUT_EFFECT: u8 = 6;

/// Returns what a waiver adds to the reasons, with its rank; nothing where it is for other changes.
fn waiver_reason(report: &WaiverReport) -> Option<(u8, String)> {
    let rank = match report.outcome {
        WaiverOutcome::OutOfScope => return None,
        WaiverOutcome::Applied => CAUTION,
        _ => WITHOUT_EFFECT,
    };
    Some((rank, report.text.clone()))
}

/// Adds the policy that a rule is from, and the waiver that weakens it.
fn add_origin(
    report: &mut RuleReport,
    rule_state: &RuleState,
    policy: &Policy,
    waivers: &[WaiverReport],
) {
    if !policy.layers.is_empty() {
        report.policy = Some(policy.layer_name(&rule_state.rule).to_owned());
    }
    let Some(waiver) = rule_state.waiver.and_then(|index| waivers.get(index)) else { return };
    report.waived = true;
    // Its own verdict is reported as the policy has it.
    report.verdict = Decision::Stop;
    if !report.reason.is_empty() {
        report.reason = format!("{}; {}", report.reason, waiver.text);
    }
}

/// Returns the rank of what came of a rule: worst first, and what is undecided after what fired.
fn reason_rank(rule_state: &RuleState) -> u8 {
    match (rule_state.result(), rule_state.rule.verdict) {
        (Ternary::True, RuleVerdict::Stop) => 0,
        (Ternary::True, RuleVerdict::Caution) => CAUTION,
        (Ternary::False, _) => 5,
        (_, RuleVerdict::Stop) => 3,
        (_, RuleVerdict::Caution) => 4,
    }
}

fn rule_outcome(rule_state: &RuleState) -> RuleOutcome {
    match rule_state.result() {
        Ternary::True => RuleOutcome::Fired,
        Ternary::False => RuleOutcome::Held,
        Ternary::Undetermined | Ternary::NoData => RuleOutcome::Undecided,
    }
}

fn limit_report(
    speaker: &SentenceContext<'_>,
    rule_state: &RuleState,
    limit: &Limit,
) -> LimitReport {
    let topology: &Topology = speaker.topology;
    let compared =
        rule_state.evaluation.as_ref().and_then(|evaluation| evaluation.comparisons.first());
    let figure = compared.map(|compared| &compared.figure);
    LimitReport {
        name: rule_state.rule.name.clone(),
        flow: topology.flows[limit.flow as usize].name.clone(),
        limit: limit.at_most,
        value: figure.map(|figure| figure.value),
        low: figure.map(|figure| figure.low),
        // An interval without an upper end has none in the report.
        high: figure.map(|figure| figure.high).filter(|high| high.is_finite()),
        outcome: match rule_outcome(rule_state) {
            RuleOutcome::Fired => LimitOutcome::Exceeded,
            RuleOutcome::Held => LimitOutcome::Held,
            RuleOutcome::Undecided => LimitOutcome::Undecided,
        },
        reason: limit_reason(speaker, rule_state),
        locations: Vec::new(),
    }
}

fn rule_report(speaker: &SentenceContext<'_>, rule_state: &RuleState) -> RuleReport {
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
    let reason = rule_reason(speaker, rule_state, &figures);
    let mut reports: Vec<MetricReport> =
        figures.into_iter().map(|figure| figure_report(speaker.topology, figure)).collect();
    // One figure may be compared several times in a rule.
    reports.dedup();
    reports.truncate(FIGURES);
    RuleReport {
        name: rule_state.rule.name.clone(),
        verdict: match rule_state.rule.verdict {
            RuleVerdict::Caution => Decision::Caution,
            RuleVerdict::Stop => Decision::Stop,
        },
        waived: false,
        policy: None,
        outcome: rule_outcome(rule_state),
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
        assumption: rule_state.taken,
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
    // JSON has no infinity.
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
