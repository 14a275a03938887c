//! Compares the verdict of a check with what a test of the policy expects.

use crate::policy::PolicyCase;
use crate::report::policy_test::CaseReport;
use crate::report::{RuleOutcome, RuleReport, Verdict};

/// Returns what came of a case.
pub fn judge_case(case: &PolicyCase, verdict: &Verdict) -> CaseReport {
    let mut failures = Vec::new();
    let (found, expected) = (verdict.decision.as_str(), case.verdict.as_str());
    if found != expected {
        failures.push(format!("the verdict is {found}, not {expected}"));
    }
    for name in &case.fires {
        failures.extend(unmet(verdict, name, "fire", |rule| rule.outcome == RuleOutcome::Fired));
    }
    for name in &case.holds {
        failures.extend(unmet(verdict, name, "hold", |rule| rule.outcome == RuleOutcome::Held));
    }
    for name in &case.waived {
        failures.extend(unmet(verdict, name, "fire and be waived", |rule| {
            rule.waived && rule.outcome == RuleOutcome::Fired
        }));
    }
    let fired = verdict.rules.iter().filter(|rule| rule.outcome == RuleOutcome::Fired);
    CaseReport {
        name: case.name.clone(),
        passed: failures.is_empty(),
        verdict: verdict.decision,
        fired: fired.map(|rule| rule.name.clone()).collect(),
        failures,
        reasons: verdict.reasons.clone(),
    }
}

/// Returns that a rule does not do what is expected of it; `None` where it does.
fn unmet(
    verdict: &Verdict,
    name: &str,
    expected: &str,
    is_met: impl Fn(&RuleReport) -> bool,
) -> Option<String> {
    let Some(rule) = verdict.rules.iter().find(|rule| rule.name == name) else {
        return Some(format!("the policy has no rule `{name}`, which must {expected}"));
    };
    if is_met(rule) {
        return None;
    }
    let waived = if rule.waived { " and is waived" } else { "" };
    let found = match rule.outcome {
        RuleOutcome::Fired => "fires",
        RuleOutcome::Held => "holds",
        RuleOutcome::Undecided => "is undecided",
    };
    Some(format!("the rule `{name}` {found}{waived}, but must {expected}"))
}
