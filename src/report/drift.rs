//! How a topology and its sources differ, as data.

use serde::Serialize;

use crate::model::topology::Evidence;

/// The answer of `blastwave drift`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftReport {
    /// The version of this shape.
    pub schema_version: u32,
    /// Part by which a measured figure may differ, of the larger one.
    pub tolerance: f64,
    /// The topology.
    pub topology: String,
    /// The sources: path and format.
    pub sources: Vec<String>,
    /// How many services both have.
    pub services: usize,
    /// How many dependencies both have.
    pub dependencies: usize,
    /// Where they differ: by code, then by name. Empty where they agree.
    pub differences: Vec<DriftEntry>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftEntry {
    /// In which way they differ.
    pub code: DriftCode,
    /// The service, the caller, or the flow.
    pub name: String,
    /// Callee, where the difference is about a dependency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// How the sources know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Where the sources have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The key of the topology whose value has moved, such as `replicas` or `latency.p99`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its value in the topology.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_topology: Option<String>,
    /// Its value in the sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_sources: Option<String>,
}

/// In which way a topology and its sources differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DriftCode {
    /// The sources have a service that the topology has not.
    ServiceNotInTopology,
    /// The topology has a service that the sources have not.
    ServiceNotInSources,
    /// The sources have a dependency that the topology has not.
    DependencyNotInTopology,
    /// The topology has a dependency that the sources have not.
    DependencyNotInSources,
    /// Both have it, with other figures.
    Moved,
}
