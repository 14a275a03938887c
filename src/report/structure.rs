//! The content of a topology, as it was read: who calls whom, and what runs over it. Nothing is simulated.

use serde::{Deserialize, Serialize};

use super::OmittedReport;

/// The version of this shape.
pub const SCHEMA: &str = "blastwave/structure/v1";

/// The content of a topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StructureReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub tool_version: String,
    /// The name of the topology.
    pub topology: String,
    /// How many services it has, shown or not.
    pub service_count: u64,
    /// Services, in the order of their names.
    pub services: Vec<ServiceStructure>,
    /// Flows, in the order of their names.
    pub flows: Vec<FlowStructure>,
    /// Of a summary: the lists that are shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<OmittedReport>,
}

/// A service, its neighbours, and the flows that run over it. What is absent is not stated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServiceStructure {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Kind of the service, in free text.
    pub kind: String,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// How much it matters, 1 most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u32>,
    /// The share of time in which it is not down for its own reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<f64>,
    /// How many replicas it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Patterns of the source files that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Its endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// Calls that it makes, those of its endpoints included.
    pub depends_on: Vec<DependencyStructure>,
    /// Services and endpoints that call it.
    pub used_by: Vec<String>,
    /// Flows that run over it, directly or through others.
    pub flows: Vec<String>,
}

/// A call. What is absent is not stated: an unknown timeout may be none at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DependencyStructure {
    /// Of an endpoint: which one calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Services or endpoints that are called; several are alternatives.
    pub on: Vec<String>,
    /// Whether the caller serves without it.
    pub soft: bool,
    /// How long the caller waits for one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// How often the caller tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Fallback of the caller: a service or endpoint, `static`, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// An order flow. What is absent is not stated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FlowStructure {
    /// Its name.
    pub name: String,
    /// A longer name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether it is business-critical.
    pub critical: bool,
    /// Orders per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// The calls that one order makes.
    pub steps: Vec<DependencyStructure>,
}
