//! Tests of policies, as text: how many pass, and then each case.

use crate::prose::escape::harmless_name;
use crate::report::policy_test::{CaseReport, PolicyTestReport};

/// Renders what came of the tests of policies.
pub fn render_policy_test(report: &PolicyTestReport) -> String {
    let all = report.passed + report.failed;
    let noun = if all == 1 { "case" } else { "cases" };
    let mut text = format!("{} of {all} {noun} passed\n", report.passed);
    for suite in &report.suites {
        text.push_str(&format!(
            "\n{} ({})\n",
            harmless_name(&suite.name),
            harmless_name(&suite.file)
        ));
        suite.cases.iter().for_each(|case| add_case(&mut text, case));
    }
    text
}

fn add_case(text: &mut String, case: &CaseReport) {
    let mark = if case.passed { "ok    " } else { "FAILED" };
    text.push_str(&format!("  {mark}  {}: {}\n", harmless_name(&case.name), case.verdict));
    for failure in &case.failures {
        text.push_str(&format!("          {}\n", harmless_name(failure)));
    }
    // Why the verdict is what it is helps only those who expected another.
    let reason = case.reasons.first().filter(|_| !case.passed);
    if let Some(reason) = reason {
        text.push_str(&format!("          because: {}\n", harmless_name(reason)));
    }
}
