//! Results of tests of policies, as data.

use serde::Serialize;

use super::Decision;

/// The answer of `blastwave policy test`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyTestReport {
    /// The version of this shape.
    pub schema_version: u32,
    /// How many cases passed.
    pub passed: usize,
    /// How many cases failed.
    pub failed: usize,
    /// The files, in the order given.
    pub suites: Vec<SuiteReport>,
}

/// One file of cases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteReport {
    /// Its name.
    pub name: String,
    /// Its path.
    pub file: String,
    /// Its cases, in their order.
    pub cases: Vec<CaseReport>,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// Whether it has the expected verdict, and every rule does what is expected of it.
    pub passed: bool,
    /// The verdict that the check has.
    pub verdict: Decision,
    /// Rules that fired, in the order of the policy.
    pub fired: Vec<String>,
    /// Differences from what is expected, in sentences; empty where it passed.
    pub failures: Vec<String>,
    /// Reasons of the verdict, worst first.
    pub reasons: Vec<String>,
}

impl PolicyTestReport {
    /// The version of this shape.
    pub const VERSION: u32 = 1;

    /// Counts the cases of files.
    pub fn new(suites: Vec<SuiteReport>) -> Self {
        let cases = || suites.iter().flat_map(|suite| &suite.cases);
        let passed = cases().filter(|case| case.passed).count();
        let failed = cases().count() - passed;
        Self { schema_version: Self::VERSION, passed, failed, suites }
    }
}
