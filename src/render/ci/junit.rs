//! `JUnit` XML, in the form of Jenkins: every rule and limit is a test case, and so is the verdict.
//!
//! What stops the change and what asks for a person both fail, so that no reader of such files takes
//! what is undecided for a success; `type` tells them apart.

use crate::prose::escape::harmless_name;
use crate::report::Report;
use crate::report::{Decision, LimitOutcome, RuleOutcome};

/// A check as `JUnit` XML.
pub fn render_junit(report: &Report) -> String {
    let cases = test_cases(report);
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    // The counts stand on both levels, since readers look at either.
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\"", cases.len());
    let name = escaped_xml(&format!("{}: {}", report.topology, report.change));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"blastwave\" {counts}>\n  \
         <testsuite name=\"{name}\" {counts} skipped=\"0\">\n"
    );
    for case in cases {
        let start = format!(
            "    <testcase classname=\"blastwave.{}\" name=\"{}\"",
            case.class,
            escaped_xml(&case.name)
        );
        match case.failure {
            None => xml.push_str(&format!("{start}/>\n")),
            Some((kind, text)) => {
                let text = escaped_xml(&text);
                xml.push_str(&format!(
                    "{start}>\n      <failure type=\"{kind}\" message=\"{text}\">{text}</failure>\n    \
                     </testcase>\n"
                ));
            }
        }
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

struct Case {
    class: &'static str,
    name: String,
    /// `stop`, `caution` or `undecided`, and why.
    failure: Option<(&'static str, String)>,
}

fn test_cases(report: &Report) -> Vec<Case> {
    // Without a verdict nothing was checked, so there is no test.
    let Some(verdict) = &report.verdict else { return Vec::new() };
    let mut cases = Vec::new();
    cases.extend(verdict.limits.iter().map(|limit| Case {
        class: "limits",
        name: limit.name.clone(),
        failure: match limit.outcome {
            LimitOutcome::Held => None,
            LimitOutcome::Exceeded => Some(("stop", limit.reason.clone())),
            LimitOutcome::Undecided => Some(("undecided", limit.reason.clone())),
        },
    }));
    cases.extend(verdict.rules.iter().map(|rule| Case {
        class: "policy",
        name: rule.name.clone(),
        failure: match (rule.outcome, rule.verdict) {
            (RuleOutcome::Held, _) => None,
            (RuleOutcome::Fired, Decision::Stop) if !rule.waived => {
                Some(("stop", rule.reason.clone()))
            }
            (RuleOutcome::Fired, _) => Some(("caution", rule.reason.clone())),
            (RuleOutcome::Undecided, _) => Some(("undecided", rule.reason.clone())),
        },
    }));
    let why = || verdict.reasons.join("; ");
    cases.push(Case {
        class: "gate",
        name: "verdict".to_owned(),
        failure: match verdict.decision {
            Decision::Proceed => None,
            Decision::Stop => Some(("stop", why())),
            Decision::Caution if verdict.undecided => Some(("undecided", why())),
            Decision::Caution => Some(("caution", why())),
        },
    });
    cases
}

/// Text for XML 1.0; characters that it cannot hold were made visible before.
fn escaped_xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in harmless_name(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // These two are no characters of XML, not even as references.
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}
