//! Data for scripts: reports as they are.

use crate::report::drift::DriftReport;
use crate::report::policy_test::PolicyTestReport;
use crate::report::{
    AdviseReport, CompareReport, DiagnosisReport, DiagnosisScoreReport, ExplainReport, Problem,
    RankReport, ReplayReport, Report, ReviewReport, StructureReport, TrialTrace,
};

/// The report as indented JSON with a newline at the end; keys are always in the same order.
pub fn render_report(report: &Report) -> String {
    pretty_json(report)
}

/// An explanation, in the same form.
pub fn render_explanation(report: &ExplainReport) -> String {
    pretty_json(report)
}

/// Renders how a topology and its sources differ, in the same form.
pub fn render_drift(report: &DriftReport) -> String {
    pretty_json(report)
}

/// Renders what came of the tests of policies, in the same form.
pub fn render_policy_test(report: &PolicyTestReport) -> String {
    pretty_json(report)
}

/// The review of a topology, in the same form.
pub fn render_topology_review(report: &ReviewReport) -> String {
    pretty_json(report)
}

/// Advice, in the same form.
pub fn render_advice(report: &AdviseReport) -> String {
    pretty_json(report)
}

/// A comparison, in the same form.
pub fn render_comparison(report: &CompareReport) -> String {
    pretty_json(report)
}

/// A diagnosis, in the same form.
pub fn render_diagnosis(report: &DiagnosisReport) -> String {
    pretty_json(report)
}

/// The places of what set incidents off, in the same form.
pub fn render_diagnosis_score(report: &DiagnosisScoreReport) -> String {
    pretty_json(report)
}

/// One trial, in the same form.
pub fn render_trial(trial: &TrialTrace) -> String {
    pretty_json(trial)
}

/// A ranking, in the same form.
pub fn render_rank(ranking: &RankReport) -> String {
    pretty_json(ranking)
}

/// Replayed incidents, in the same form.
pub fn render_replay(report: &ReplayReport) -> String {
    pretty_json(report)
}

/// Renders what a topology holds, in the same form.
pub fn render_structure(report: &StructureReport) -> String {
    pretty_json(report)
}

/// A list of problems, in the same form.
pub fn render_problems(problems: &[Problem]) -> String {
    pretty_json(&problems)
}

fn pretty_json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("texts, numbers, lists and maps");
    text.push('\n');
    text
}
