//! What was observed in a real incident, to be laid over what is simulated.

use serde::{Deserialize, Serialize};

/// What was observed in an incident. Times are seconds from its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedReport {
    /// The name of the incident.
    pub incident: String,
    /// When it was: a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// What happened to services and flows, in the order of time.
    pub observed: Vec<Observation>,
    /// When somebody noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_s: Option<f64>,
    /// When the cause was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigated_s: Option<f64>,
    /// What kept the rest from failing, in the words of those who were there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what_held: Vec<String>,
    /// What else is worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// What happened to a service or flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The service or flow.
    pub name: String,
    /// Whether it is a flow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_flow: bool,
    /// `failed`, `degraded` or `unaffected`.
    pub state: String,
    /// From when, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_s: Option<f64>,
    /// Until when, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
}
