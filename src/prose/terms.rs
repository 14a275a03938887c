//! The words with which sentences name the codes of reports.

use crate::report::{Detector, FailureMode, Protection};

/// Returns the name of a protection.
pub(crate) fn protection(protection: Protection) -> &'static str {
    match protection {
        Protection::CallProbability => "not called",
        Protection::Propagation => "not propagated",
        other => other.as_str(),
    }
}

/// Returns the name of what detects a change.
pub(crate) fn detector(detector: Detector) -> &'static str {
    match detector {
        Detector::Alert => "an alert",
        Detector::Gate => "a gate",
        Detector::Nobody => "nobody",
        Detector::WrongAnswers => "wrong answers",
    }
}

/// Returns what one component and several components do in a mode.
pub(crate) fn mode_verbs(mode: Option<FailureMode>) -> [&'static str; 2] {
    match mode {
        Some(FailureMode::Down) => ["goes down", "go down"],
        Some(FailureMode::Slow) => ["hangs", "hang"],
        Some(FailureMode::Corrupt) => ["returns wrong answers", "return wrong answers"],
        Some(FailureMode::Surge) => ["floods what it calls", "flood what they call"],
        None => ["breaks", "break"],
    }
}
