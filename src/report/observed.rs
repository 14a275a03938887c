//! Observations of a real incident, to be laid over what is simulated.

use serde::{Deserialize, Serialize};

use super::ComponentState;
use crate::model::incident::{Observed, ObservedOn};
use crate::model::{Incident, Seconds, Share, Topology};
use crate::sort::Arrange as _;

/// Observations of an incident. Times are seconds from its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ObservedReport {
    /// The name of the incident.
    pub incident: String,
    /// When it was: a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Observed events of services and flows, in the order of time.
    pub observed: Vec<Observation>,
    /// When somebody noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_s: Option<f64>,
    /// When the cause was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigated_s: Option<f64>,
    /// Sentences on what kept the rest from failing, in the words of those who were there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what_held: Vec<String>,
    /// Notes on anything else worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Observed event of a service or flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Observation {
    /// The service or flow.
    pub name: String,
    /// Whether it is a flow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_flow: bool,
    /// Its state.
    pub state: ComponentState,
    /// From when, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_s: Option<f64>,
    /// Until when, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
    /// The share of requests affected, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<f64>,
    /// Where this is from, or the words of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl ObservedReport {
    /// Puts names to what was observed.
    pub fn new(incident: &Incident, topology: &Topology) -> Self {
        let mut observed: Vec<Observation> =
            incident.observed.iter().map(|observed| Observation::new(observed, topology)).collect();
        // What has no start stands last; then by name, so that the order is always the same.
        observed.arrange_by(|a, b| {
            let from = |observation: &Observation| observation.from_s.unwrap_or(f64::INFINITY);
            from(a).total_cmp(&from(b)).then_with(|| a.name.cmp(&b.name))
        });
        Self {
            incident: incident.name.clone(),
            date: incident.date.map(|date| date.to_string()),
            observed,
            detected_s: incident.detected.map(Seconds::get),
            mitigated_s: incident.mitigated.map(Seconds::get),
            what_held: incident.what_held.clone(),
            notes: incident.notes.clone(),
        }
    }
}

impl Observation {
    fn new(of: &Observed, topology: &Topology) -> Self {
        let (name, is_flow) = match of.on {
            ObservedOn::Service(id) => (topology.service(id).name.clone(), false),
            ObservedOn::Flow(flow) => (topology.flows[flow as usize].name.clone(), true),
        };
        Self {
            name,
            is_flow,
            state: of.state.into(),
            from_s: of.from.map(Seconds::get),
            until_s: of.until.map(Seconds::get),
            severity: of.severity.map(Share::get),
            source: of.source.clone(),
        }
    }
}
